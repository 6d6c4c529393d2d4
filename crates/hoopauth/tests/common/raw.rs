//! A bare HTTP server that answers as a test tells it, and remembers what came; and clocks for
//! tests that wait.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use hoopauth::{Clock, ManualClock, Timestamp};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Number of the connection that the request came by, from 0.
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// Method and target, as in `GET /a?b`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            own.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub enum Reply {
    /// Written as it is; the connection stays open.
    Keep(String),
    /// Written as it is, then the connection is closed.
    Last(String),
}

/// An answer with a body.
pub fn answer(status: u16, headers: &str, body: &str) -> Reply {
    Reply::Keep(format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

/// Listens on 127.0.0.1 until the process ends.
pub struct Raw {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that this side has closed.
    closed: Arc<(Mutex<usize>, Condvar)>,
}

impl Raw {
    /// Answers the n-th request, from 0, of all connections with what `reply` says.
    pub fn start(reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, closed) = (Arc::default(), Arc::default());
        let raw = Self { url, seen: Arc::clone(&seen), closed: Arc::clone(&closed) };
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (seen, closed, reply) =
                    (Arc::clone(&seen), Arc::clone(&closed), Arc::clone(&reply));
                thread::spawn(move || {
                    serve(stream.unwrap(), connection, &seen, &*reply);
                    *closed.0.lock().unwrap() += 1;
                    closed.1.notify_all();
                });
            }
        });
        raw
    }

    /// Answers every request alike.
    pub fn answering(status: u16, headers: &'static str, body: &'static str) -> Self {
        Self::start(move |_, _| answer(status, headers, body))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Method and target of all requests.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.line().to_owned()).collect()
    }

    pub fn wait_until_closed(&self, count: usize) {
        let mut closed = self.closed.0.lock().unwrap();
        while *closed < count {
            closed = self.closed.1.wait(closed).unwrap();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    all: &Mutex<Vec<Seen>>,
    reply: &(impl Fn(usize, &Seen) -> Reply + ?Sized),
) {
    while let Some(seen) = read(&mut stream, connection) {
        let index = {
            let mut all = all.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        match reply(index, &seen) {
            Reply::Keep(text) => {
                if stream.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Reply::Last(text) => {
                // The client may have hung up.
                let _ = stream.write_all(text.as_bytes());
                return;
            }
        }
    }
}

fn read(stream: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut seen = Seen { connection, head, body: bytes[end + 4..].to_vec() };
            let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
            while seen.body.len() < length {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => return None,
                    Ok(count) => seen.body.extend_from_slice(&chunk[..count]),
                }
            }
            return Some(seen);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// A clock that moves when it is slept on, and remembers how long.
#[derive(Debug)]
pub struct SleepLog {
    pub clock: ManualClock,
    slept: Mutex<Vec<Duration>>,
}

impl SleepLog {
    pub fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { clock: ManualClock::new(now), slept: Mutex::default() })
    }

    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.slept.lock().unwrap())
    }
}

impl Clock for SleepLog {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> u64 {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
        self.clock.advance(duration);
    }
}

/// A clock for many threads: it moves on when all of them sleep, to the moment when the first
/// wakes.
#[derive(Debug, Default)]
pub struct VirtualClock {
    state: Mutex<Virtual>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Virtual {
    now: u64,
    awake: usize,
    /// Moment at which the sleepers wake.
    asleep: Vec<u64>,
}

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Counts a thread before it starts.
    pub fn enter(&self) {
        self.lock().awake += 1;
    }

    /// A thread that was counted is done.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.awake -= 1;
        self.move_on(&mut state);
    }

    pub fn wait_until_asleep(&self, count: usize) {
        let mut state = self.lock();
        while state.asleep.len() < count {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Virtual> {
        self.state.lock().unwrap()
    }

    fn move_on(&self, state: &mut Virtual) {
        if state.awake == 0
            && let Some(first) = state.asleep.iter().copied().min()
        {
            let before = state.asleep.len();
            state.asleep.retain(|wakes| *wakes > first);
            state.now = first;
            state.awake += before - state.asleep.len();
        }
        self.changed.notify_all();
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_049_600_000).plus(Duration::from_millis(self.monotonic()))
    }

    fn monotonic(&self) -> u64 {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) {
        let mut state = self.lock();
        let wakes = state.now + u64::try_from(duration.as_millis()).unwrap();
        state.awake -= 1;
        state.asleep.push(wakes);
        self.move_on(&mut state);
        while state.now < wakes {
            state = self.changed.wait(state).unwrap();
        }
    }
}
