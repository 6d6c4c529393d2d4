//! The cost of a request over the same request made by hand, against one local server with
//! connections kept open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hoopauth::{Account, Client, Clock as _, Grant, SystemClock};
use rustix::thread::CpuSet;
use serde_json::json;

use crate::pairs::Pairs;
use crate::{again, c, fixture, in_turns, line, median, python};

/// The time of a request over that of one by hand, by language.
pub(crate) struct Overhead {
    pub(crate) rust: Pairs,
    pub(crate) c: Pairs,
    pub(crate) python: Pairs,
    pub(crate) httpx: Pairs,
}

/// All on one core: with two it is chance where the threads of client and server wake, and a
/// request takes from 40 to 140 microseconds for that. So what is measured is the work, of which
/// the other core does nothing meanwhile.
pub(crate) fn measure(c: &c::Programs) -> Overhead {
    let everywhere = rustix::thread::sched_getaffinity(None).unwrap();
    rustix::thread::sched_setaffinity(None, &last_of(&everywhere)).unwrap();
    let overhead = measure_here(c);
    rustix::thread::sched_setaffinity(None, &everywhere).unwrap();
    overhead
}

fn last_of(cores: &CpuSet) -> CpuSet {
    let last = (0..CpuSet::MAX_CPU).rev().find(|core| cores.is_set(*core)).expect("a core");
    let mut alone = CpuSet::new();
    alone.set(last);
    alone
}

fn measure_here(c: &c::Programs) -> Overhead {
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
    let rust = Pairs::new(ratios.remove(0).remove("request_overhead").expect("a ratio"));
    let by_c = Pairs::new((0..PROCESSES).map(|_| compare_processes(url, c)).collect());
    let floor = json!({ "floor": "reqwest" });
    line("request_overhead", "c", 1, Some(by_c.median()), "ratio", floor);
    // By hand in C, with libcurl, is for information: it is another HTTP client.
    in_turns(PROCESSES, &[&|| c.curl(url)]);
    let [python, httpx] = python::requests(url);
    Overhead { rust, c: by_c, python, httpx }
}

/// Both in one process, in turns: prints the ratio, and what each took.
pub(crate) fn compare(url: &str) {
    let (client, bare) = (client_of(url), Bare::new(url));
    let (ratio, ours, by_hand) = alternating(|| time(|| bare.send()), || time(|| send(&client)));
    line("request_overhead", "rust", 1, Some(ratio), "ratio", json!({ "floor": "reqwest" }));
    line("request", "rust", 1, Some(ours), "us", json!({}));
    line("request_bare", "reqwest", 1, Some(by_hand), "us", json!({}));
}

/// A process that does it by hand and one of C's, in turns.
fn compare_processes(url: &str, c: &c::Programs) -> f64 {
    let (mut bare, mut ours) =
        (Turns::start(again().args(["requests-bare", url])), Turns::start(&mut c.requests(url)));
    let (ratio, ours, _) = alternating(|| bare.take(), || ours.take());
    line("request", "c", 1, Some(ours), "us", json!({}));
    ratio
}

/// The medians of the ratio of both, of ours, and of the one by hand.
fn alternating(mut by_hand: impl FnMut() -> f64, mut ours: impl FnMut() -> f64) -> (f64, f64, f64) {
    let rounds: Vec<_> = (0..=ROUNDS).map(|_| (by_hand(), ours())).collect();
    // The first round opens the connections.
    let of = |value: fn(&(f64, f64)) -> f64| median(rounds.iter().skip(1).map(value).collect());
    (of(|(by_hand, ours)| ours / by_hand), of(|(_, ours)| *ours), of(|(by_hand, _)| *by_hand))
}

/// Sends by hand alone: a round for each line read, whose time is written.
pub(crate) fn bare(url: &str) {
    let bare = Bare::new(url);
    for _ in std::io::stdin().lines() {
        println!("{:.3}", time(|| bare.send()));
    }
}

/// A process that takes turns; it ends with its standard input.
struct Turns {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Turns {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take().unwrap(), output, child }
    }

    /// Microseconds a request.
    fn take(&mut self) -> f64 {
        let mut line = String::new();
        self.input.write_all(b"\n").unwrap();
        self.output.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let client = fixture::builder()
        .api_base(url)
        .default_account(&Account::parse(ACCOUNT).unwrap())
        .store("memory:")
        .build()
        .unwrap();
    let tomorrow = SystemClock.now().plus(Duration::from_secs(86_400));
    let grant =
        Grant::new(Account::parse(ACCOUNT).unwrap(), fixture::token(0)).with_expires_at(tomorrow);
    client.import(grant, false).unwrap();
    client
}

fn send(client: &Client) {
    let response = client.request("GET", PATH).send().unwrap();
    assert_eq!(response.body().len(), BODY_BYTES);
}

/// Code that a program would write by hand.
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
        let mut child =
            again().arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
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
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \
         {BODY_BYTES}\r\n\r\n{body}"
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
const REQUESTS: u32 = 100;
const ROUNDS: usize = 50;
const PROCESSES: usize = 5;
