//! What a request costs over the same request made by hand, against one local server with connections kept open.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use hoopauth::{Account, Client, Clock as _, Grant, SystemClock};
use serde_json::json;

use crate::{again, c, fixture, in_turns, line, median, python};

/// The time of a request over that of one by hand, by language.
pub(crate) struct Overhead {
    pub(crate) rust: f64,
    pub(crate) c: f64,
    pub(crate) python: f64,
    pub(crate) httpx: f64,
}

pub(crate) fn measure(c: &c::Programs) -> Overhead {
    let server = Server::start();
    let url = server.url.as_str();
    let mut ratios = in_turns(
        PROCESSES,
        &[&|| {
            let mut command = again();
            command.args(["requests-compare", url]);
            command
        }],
    );
    let rust = ratios.remove(0)["request_overhead"];
    // By hand in C, with libcurl, is for information: it is another HTTP client.
    let times = in_turns(
        PROCESSES,
        &[
            &|| {
                let mut command = again();
                command.args(["requests-bare", url]);
                command
            },
            &|| c.requests(url),
            &|| c.curl(url),
        ],
    );
    let (bare, through_c) = (times[0]["request_bare"], times[1]["request"]);
    let by_c = through_c / bare;
    line("request_overhead", "c", 1, Some(by_c), "ratio", json!({ "floor": "reqwest" }));
    let [python, httpx] = python::requests(url);
    Overhead { rust, c: by_c, python, httpx }
}

/// Both in one process, in turns: prints the ratio, and what each took.
pub(crate) fn compare(url: &str) {
    let (client, bare) = (client_of(url), Bare::new(url));
    let (mut rounds, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for round in 0..=ROUNDS {
        let by_hand = time(|| bare.send());
        let ours = time(|| send(&client));
        // The first round opens the connections.
        if round > 0 {
            rounds[0].push(by_hand);
            rounds[1].push(ours);
            ratios.push(ours / by_hand);
        }
    }
    let [by_hand, ours] = rounds.map(median);
    line("request_overhead", "rust", 1, Some(median(ratios)), "ratio", json!({ "floor": "reqwest" }));
    line("request", "rust", 1, Some(ours), "us", json!({}));
    line("request_bare", "reqwest", 1, Some(by_hand), "us", json!({}));
}

/// By hand alone.
pub(crate) fn bare(url: &str) {
    let bare = Bare::new(url);
    let rounds = (0..=ROUNDS).map(|_| time(|| bare.send())).skip(1).collect();
    line("request_bare", "reqwest", 1, Some(median(rounds)), "us", json!({}));
}

/// Microseconds a request.
fn time(mut request: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..REQUESTS {
        request();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

fn client_of(url: &str) -> Client {
    let client = fixture::builder().api_base(url).default_account(ACCOUNT).store("memory:").build().unwrap();
    let tomorrow = SystemClock.now().plus(Duration::from_secs(86_400));
    let grant = Grant::new(Account::parse(ACCOUNT).unwrap(), fixture::token(0)).with_expires_at(tomorrow);
    client.import(grant, false).unwrap();
    client
}

fn send(client: &Client) {
    let response = client.request("GET", PATH).send().unwrap();
    assert_eq!(response.body().len(), BODY_BYTES);
}

/// What a program would write by hand.
struct Bare {
    client: reqwest::blocking::Client,
    url: String,
    token: String,
}

impl Bare {
    fn new(url: &str) -> Self {
        Self {
            client: reqwest::blocking::Client::new(),
            url: format!("{url}{PATH}"),
            token: fixture::token(0),
        }
    }

    fn send(&self) {
        let response = self
            .client
            .get(&self.url)
            .bearer_auth(&self.token)
            .header("Version", "2021-07-28")
            .header("Accept", "application/json")
            .header("User-Agent", "bare")
            .send()
            .unwrap();
        assert_eq!(response.bytes().unwrap().len(), BODY_BYTES);
    }
}

/// The server, in a process of its own; it ends with its standard input.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Child,
    _input: ChildStdin,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = again().arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut url).unwrap();
        let input = child.stdin.take().unwrap();
        Self { url: url.trim().to_owned(), child, _input: input }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers every request with the same kilobyte, until standard input ends.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || stream.map(answer));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(BODY_BYTES - 11));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n{body}"
    );
    let (mut received, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        received.extend_from_slice(&chunk[..read]);
        // All of them are GETs, one after the other.
        if received.ends_with(b"\r\n\r\n") {
            received.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

const ACCOUNT: &str = "location:hoopLocation00000001";
const PATH: &str = "/contacts/hoopContact000000001";
const BODY_BYTES: usize = 1024;
const REQUESTS: u32 = 300;
const ROUNDS: usize = 15;
const PROCESSES: usize = 5;
