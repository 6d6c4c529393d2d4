//! Many callers at once of one account whose token has ended: the threads of one process, and those
//! of several on one store.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hoopauth::{Account, Client, ClientBuilder, Grant};
use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_IDS, DEFAULT_SCOPES,
    Emulator,
};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{again, line};

pub(crate) struct Storm {
    pub(crate) requests: f64,
    pub(crate) failures: f64,
}

/// Each, by the name of its promises.
pub(crate) fn measure_all() -> [(&'static str, Storm); 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("grants.db").display());
    let server = Cluster::start();
    [
        ("refresh_storm", among_threads()),
        ("storm_sqlite", among_processes("sqlite", &file)),
        ("storm_postgres", among_processes("postgres", &server.url())),
    ]
}

#[allow(clippy::cast_precision_loss, reason = "at most a few hundred")]
fn among_threads() -> Storm {
    let emulator = slow_emulator();
    let client = configured(&emulator, "memory:").build().unwrap();
    import_expired(&emulator, &client);
    let (failures, slowest) = call_at_once(&client, CALLERS, || {});
    let requests = emulator.statistics().token_requests;
    line(
        "refresh_storm",
        "rust",
        CALLERS,
        Some(requests as f64),
        "requests",
        more(requests, failures, slowest),
    );
    Storm { requests: requests as f64, failures: failures as f64 }
}

#[allow(clippy::cast_precision_loss, reason = "at most a few hundred")]
fn among_processes(name: &str, store: &str) -> Storm {
    let emulator = slow_emulator();
    import_expired(&emulator, &configured(&emulator, store).build().unwrap());
    let mut processes: Vec<Process> =
        (0..PROCESSES).map(|_| Process::start(&emulator, store)).collect();
    for process in &mut processes {
        assert_eq!(process.said(), json!("ready"));
    }
    for process in &mut processes {
        process.go();
    }
    let (mut failures, mut slowest) = (0, Duration::ZERO);
    for process in &mut processes {
        let said = process.said();
        failures += usize::try_from(said["failures"].as_u64().unwrap()).unwrap();
        slowest = slowest.max(Duration::from_secs_f64(said["slowest_ms"].as_f64().unwrap() / 1e3));
    }
    let requests = emulator.statistics().token_requests;
    let callers = PROCESSES * THREADS;
    let mut more = more(requests, failures, slowest);
    more["store"] = json!(name);
    line("storm", "rust", callers, Some(requests as f64), "requests", more);
    Storm { requests: requests as f64, failures: failures as f64 }
}

/// One of the processes, configured by its environment; it calls once it is told to.
pub(crate) fn process() {
    let client = Client::from_env().unwrap();
    let (failures, slowest) = call_at_once(&client, THREADS, || {
        say(&json!("ready"));
        std::io::stdin().read_line(&mut String::new()).unwrap();
    });
    say(&json!({"failures": failures, "slowest_ms": slowest.as_secs_f64() * 1e3}));
}

fn say(value: &Value) {
    println!("{value}");
    std::io::stdout().flush().unwrap();
}

/// Another process of this program; killed when dropped.
struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(emulator: &Emulator, store: &str) -> Self {
        let mut command = again();
        command.arg("storm-process").env_remove("HOOPAI_TOKEN").env_remove("LOCATION_ID");
        for (option, value) in options(emulator, store) {
            command.env(format!("HOOPAUTH_{}", option.to_uppercase()), value);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn said(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the process ended")
    }

    fn go(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "go").unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn slow_emulator() -> Emulator {
    let config = Config::default().settings(|settings| settings.token_latency_ms = 50);
    Emulator::start(config).unwrap()
}

fn account() -> Account {
    Account::location(DEFAULT_LOCATION_IDS[0]).unwrap()
}

fn options(emulator: &Emulator, store: &str) -> [(&'static str, String); 8] {
    [
        ("client_id", DEFAULT_CLIENT_ID.to_owned()),
        ("client_secret", DEFAULT_CLIENT_SECRET.to_owned()),
        ("api_base", emulator.api()),
        ("authorize_url", emulator.authorize_url()),
        ("token_url", emulator.token()),
        ("location_token_url", emulator.location_token()),
        ("store", store.to_owned()),
        ("store_key", "a-key-for-measurements".to_owned()),
    ]
}

fn configured(emulator: &Emulator, store: &str) -> ClientBuilder {
    let set = |builder: ClientBuilder, (name, value): (&str, String)| builder.option(name, &value);
    options(emulator, store).into_iter().fold(Client::builder(), set)
}

fn import_expired(emulator: &Emulator, client: &Client) {
    let issued = emulator.issue_grant(account().as_str(), &DEFAULT_SCOPES).unwrap();
    // Without a word on when it ends, a grant counts as expired.
    let grant = Grant::new(account(), issued.access_token)
        .with_refresh_token(issued.refresh_token.unwrap());
    client.import(grant, false).unwrap();
}

/// Threads that all call once `begin` returned; how many got no headers, and how long the slowest
/// took.
fn call_at_once(client: &Client, threads: usize, begin: impl FnOnce()) -> (usize, Duration) {
    let (account, barrier) = (account(), Barrier::new(threads + 1));
    let call = || {
        barrier.wait();
        let start = Instant::now();
        let ok = client.headers_for(account.as_str(), "GET").is_ok();
        (ok, start.elapsed())
    };
    let outcomes: Vec<(bool, Duration)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        begin();
        barrier.wait();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let failures = outcomes.iter().filter(|(ok, _)| !ok).count();
    (failures, outcomes.iter().map(|(_, took)| *took).max().unwrap_or_default())
}

fn more(requests: u64, failures: usize, slowest: Duration) -> Value {
    json!({
        "token_requests": requests,
        "failures": failures,
        "slowest_ms": crate::rounded(slowest.as_secs_f64() * 1e3),
    })
}

const CALLERS: usize = 100;
const PROCESSES: usize = 8;
const THREADS: usize = 32;
