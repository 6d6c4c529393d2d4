//! Calls with a deadline, and calls that another thread cancels.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use common::{World, location};
use hoopauth::binding::ClientBinding as _;
use hoopauth::store::{
    Due, Fingerprint, Key, Lease, MemoryStore, NewRecord, Record, Slot, SlotRequest, TokenStore,
};
use hoopauth::{Account, Client, Context, Error, ErrorCode, Headers, Report, Timestamp};
use hoopauth_emulator::{DEFAULT_CLIENT_SECRET, Endpoint, Fault};

const ENOUGH: Duration = Duration::from_secs(30);
const FOREVER: Timestamp = Timestamp(i64::MAX);

/// A world whose first location has an expired token, and whose token endpoint holds back its
/// answers.
fn held_world() -> (World, Client) {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(0)), true).unwrap();
    world.pass(86_399);
    world.emulator.hold_answers(Endpoint::Token);
    (world, client)
}

fn headers(client: &Client, context: &Context) -> Result<Headers, Error> {
    client.within(context, |client| client.headers_for(location(0).as_str(), "GET"))
}

/// The refresh whose caller left is finished, saved, and served to the next caller.
fn it_went_on(world: &World, client: &Client) {
    world.emulator.release(Endpoint::Token);
    let headers = client.headers_for(location(0).as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, "/locations/hoopLocation00000001").0, 200);
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn another_thread_cancels_and_the_refresh_goes_on() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        assert_eq!(call.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
    });
    assert_eq!(
        headers(&client, &context).unwrap_err().code(),
        ErrorCode::Cancelled,
        "cancelled for good"
    );
    it_went_on(&world, &client);
}

#[test]
fn a_deadline_ends_the_wait_and_the_refresh_goes_on() {
    let (world, client) = held_world();
    let error = headers(&client, &Context::with_timeout(Duration::from_millis(50))).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Timeout, true));
    assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
    it_went_on(&world, &client);
    assert_eq!(
        headers(&client, &Context::with_timeout(Duration::ZERO)).unwrap_err().code(),
        ErrorCode::Timeout,
        "a deadline that has passed"
    );
}

/// Threads of this process that do calls for callers which may leave.
fn call_threads() -> usize {
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm"))
            .ok()
            .filter(|name| name.trim() == "hoopauth-call")
    };
    std::fs::read_dir("/proc/self/task").unwrap().filter_map(named).count()
}

fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// More than all tests of this file leave at a time, and far less than there are calls.
const FEW: usize = 30;

#[test]
fn impatient_callers_of_an_account_share_one_refresh_and_its_thread() {
    let (world, client) = held_world();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let context = Context::with_timeout(Duration::from_millis(1));
                    let error =
                        client.headers_within(&context, location(0).as_str(), "GET").unwrap_err();
                    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Timeout, true));
                }
            });
        }
    });
    assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
    assert!(call_threads() < FEW, "{}", call_threads());
    // A patient one joins them, and gets what they began; so do those with another method.
    std::thread::scope(|scope| {
        let calls = ["GET", "POST"].map(|method| {
            let client = &client;
            scope.spawn(move || {
                let context = Context::with_timeout(ENOUGH);
                client.headers_within(&context, location(0).as_str(), method).unwrap()
            })
        });
        world.emulator.release(Endpoint::Token);
        let [get, post] = calls.map(|call| call.join().unwrap());
        assert_eq!(get.authorization(), post.authorization());
        assert_eq!((get.content_type(), post.content_type()), (None, Some("application/json")));
    });
    it_went_on(&world, &client);
}

#[test]
fn calls_that_only_follow_end_with_their_callers() {
    let (world, client) = held_world();
    let leads = Context::new();
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| headers(&client, &leads));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        for _ in 0..200 {
            headers(&client, &Context::with_timeout(Duration::from_millis(1))).unwrap_err();
        }
        until(|| call_threads() < FEW);
        world.emulator.release(Endpoint::Token);
        leader.join().unwrap().unwrap();
    });
}

/// Waits of any kind: when too many were left by their callers, the next ones wait on their own
/// threads until one ended.
#[test]
fn calls_that_were_left_are_bounded() {
    const MOST: usize = 64;
    let client = Client::builder().access_token("token").build().unwrap();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (begun, begins) = mpsc::channel();
    let call = |context: &Context| {
        let (gate, begun) = (Arc::clone(&gate), begun.clone());
        client.within(context, move |_| {
            begun.send(()).unwrap();
            let open = gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap();
            drop(open);
            Ok(())
        })
    };
    for _ in 0..MOST {
        let context = Context::new();
        std::thread::scope(|scope| {
            let called = scope.spawn(|| call(&context));
            begins.recv().unwrap();
            context.cancel();
            assert_eq!(called.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
        });
    }
    for _ in 0..100 {
        let error = call(&Context::with_timeout(Duration::from_millis(1))).unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Timeout, true));
    }
    assert!(begins.try_recv().is_err(), "none of these was begun");
    let cancelled = Context::new();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| call(&cancelled));
        cancelled.cancel();
        assert_eq!(waits.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
        let patient = scope.spawn(|| call(&Context::with_timeout(ENOUGH)));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        patient.join().unwrap().unwrap();
    });
    client.close().unwrap();
}

/// Whoever joins a call that began before a login must not get that call's answer of before it.
#[test]
fn a_login_that_came_before_the_call_is_seen_by_it() {
    let world = World::new();
    let (reached, arrivals) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let slow =
        SlowRows { rows: world.store.clone(), first: AtomicBool::new(true), reached, goes_on };
    let client = world.builder().token_store(Arc::new(slow)).build().unwrap();
    let account = location(0);
    let call = || client.headers_within(&Context::with_timeout(ENOUGH), account.as_str(), "GET");
    std::thread::scope(|scope| {
        let early = scope.spawn(call);
        arrivals.recv().unwrap();
        client.import(world.grant(&account), false).unwrap();
        client.remove(&account).unwrap();
        let late = scope.spawn(call);
        client.import(world.grant(&account), false).unwrap();
        go_on.send(()).unwrap();
        let _ = early.join().unwrap();
        late.join().unwrap().unwrap();
    });
}

/// A store whose first read is answered late, with what was there when it was asked.
#[derive(Debug)]
struct SlowRows {
    rows: Arc<MemoryStore>,
    first: AtomicBool,
    reached: mpsc::Sender<()>,
    goes_on: Mutex<mpsc::Receiver<()>>,
}

impl TokenStore for SlowRows {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>, Error> {
        let loaded = self.rows.load(key, now);
        if self.first.swap(false, Ordering::SeqCst) {
            self.reached.send(()).unwrap();
            self.goes_on.lock().unwrap().recv().unwrap();
        }
        loaded
    }
    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool, Error> {
        self.rows.save(key, expected, record)
    }
    fn accounts(&self, app: &str) -> Result<Vec<Account>, Error> {
        self.rows.accounts(app)
    }
    fn open_marks(&self, app: &str) -> Result<Vec<Account>, Error> {
        self.rows.open_marks(app)
    }
    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due, Error> {
        self.rows.due(app, now, limit)
    }
    fn lease<'a>(
        &'a self,
        key: &Key<'_>,
        wait: Duration,
    ) -> Result<Option<Box<dyn Lease + 'a>>, Error> {
        self.rows.lease(key, wait)
    }
    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot, Error> {
        self.rows.take_slot(app, request, now)
    }
    fn claim(
        &self,
        app: &str,
        id: &Fingerprint,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.rows.claim(app, id, until, now)
    }
    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<(), Error> {
        self.rows.unclaim(app, id)
    }
    fn changes(&self) -> Result<u64, Error> {
        self.rows.changes()
    }
}

#[test]
fn closing_waits_for_what_goes_on() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        call.join().unwrap().unwrap_err();
        let closing = scope.spawn(|| client.close());
        world.emulator.release(Endpoint::Token);
        closing.join().unwrap().unwrap();
    });
    let stored = world.client().export(&location(0)).unwrap();
    assert!(
        world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()),
        "the new pair was saved"
    );
}

#[test]
fn closing_again_waits_too() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        call.join().unwrap().unwrap_err();
        // The first to close is given up.
        scope.spawn(|| client.close());
        while client.headers_for(location(1).as_str(), "GET").unwrap_err().code()
            != ErrorCode::InvalidState
        {
            std::thread::yield_now();
        }
        scope.spawn(|| world.emulator.release(Endpoint::Token));
        client.close().unwrap();
        let stored = world.client().export(&location(0)).unwrap();
        assert!(world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()));
    });
}

#[test]
fn a_check_on_the_calling_thread_ends_the_wait() {
    let (world, client) = held_world();
    let (asked, asks) = mpsc::channel();
    let error = client
        .within_checking(
            &Context::new(),
            Duration::from_millis(1),
            || {
                asked.send(std::thread::current().id()).unwrap();
                Err(Error::new(ErrorCode::Cancelled, "a signal"))
            },
            |client| client.headers_for(location(0).as_str(), "GET"),
        )
        .unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::Cancelled, "a signal"));
    assert_eq!(asks.recv().unwrap(), std::thread::current().id());
    assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
    it_went_on(&world, &client);
}

#[test]
fn a_panic_within_is_an_error() {
    let client = Client::builder().access_token("a").build().unwrap();
    let error =
        client.within(&Context::new(), |_| -> Result<(), Error> { panic!("told to") }).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Panic);
    client.close().unwrap();
}

#[test]
fn maintenance_ends_with_its_context() {
    let client =
        Client::builder().client_id("a-b").client_secret("c").store("memory:").build().unwrap();
    let context = Context::new();
    std::thread::scope(|scope| {
        let maintaining = scope.spawn(|| client.maintain_within(FOREVER, &context));
        context.cancel();
        assert_eq!(maintaining.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
    });
}

#[test]
fn headers_put_together_again_can_be_reported() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), true).unwrap();
    let sent = client.headers_for(account.as_str(), "POST").unwrap();
    world.emulator.revoke_access(account.as_str()).unwrap();
    let again = client.sent_headers(account.as_str(), "POST", sent.authorization()).unwrap();
    let report = client.report(&again, 401, &[], br#"{"message":"Invalid JWT"}"#).unwrap();
    let Report::Repeat(repeat) = report else { panic!("{report:?}") };
    assert_ne!(repeat.authorization(), sent.authorization());
    assert_eq!(repeat.content_type(), Some("application/json"));
    for wrong in ["", "Bearer ", "Bearer a b", "Basic abc", "Bearer \r\n"] {
        assert_eq!(
            client.sent_headers(account.as_str(), "GET", wrong).unwrap_err().code(),
            ErrorCode::InvalidArgument
        );
    }
}

#[test]
fn closing_waits_for_calls_of_other_threads_and_nothing_is_served_afterwards() {
    let (world, client) = held_world();
    let handle = client.account(location(0).as_str()).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.headers_for(location(0).as_str(), "GET"));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        let closing = scope.spawn(|| client.close());
        while client.accounts().is_ok() {
            std::thread::yield_now();
        }
        world.emulator.release(Endpoint::Token);
        closing.join().unwrap().unwrap();
        assert!(call.is_finished() || call.join().is_ok());
    });
    assert_eq!(
        client.headers_for(location(0).as_str(), "GET").unwrap_err().code(),
        ErrorCode::InvalidState
    );
    assert_eq!(handle.headers("GET").unwrap_err().code(), ErrorCode::InvalidState);
    let stored = world.client().export(&location(0)).unwrap();
    assert!(world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()));
}

#[test]
fn urls_of_the_settings_are_written_as_all_read_them() {
    for odd in
        ["https:///a.example/x", "https:/a.example/x", "https:a.example/x", "https:\\\\a.example/x"]
    {
        for option in ["api_base", "token_url", "location_token_url"] {
            let error =
                Client::builder().access_token("a").option(option, odd).build().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{option} {odd}");
            assert!(
                error.message().starts_with(&format!("`{option}` must be written as")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_bearer_goes_where_every_parser_says_it_goes() {
    let client =
        Client::builder().access_token("a").api_base("https://api.example").build().unwrap();
    for url in [
        "https://api.example/x?y=z",
        "HTTPS://API.example:443/",
        "https://services.leadconnectorhq.com/oauth/token",
    ] {
        client.check_url(url).unwrap();
    }
    for url in [
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "https://user@api.example/",
        "https://api.example\\@evil.example/",
        "https:\\\\api.example/",
        "https:api.example",
        "https:///api.example/x",
        " https://api.example/",
        "ht\ttps://api.example/",
        "https://api.example/\r\n",
        "blob:https://api.example/x",
        "http://api.example/",
        "https://api.example:8443/",
        "//api.example/",
        "/x",
        "",
    ] {
        assert_eq!(
            client.check_url(url).unwrap_err().code(),
            ErrorCode::InvalidArgument,
            "{url:?}"
        );
    }
}

#[test]
fn what_a_server_echoes_of_the_request_is_cut_out() {
    let world = World::new();
    let client = world.client();
    let grant = world.grant(&location(0));
    let refresh = grant.refresh_token().unwrap().expose().to_owned();
    client.import(grant, true).unwrap();
    world.pass(86_399);
    // Whole, written as JSON may write it, and cut short.
    let escaped =
        refresh.chars().fold(String::new(), |text, c| format!("{text}\\u{:04x}", u32::from(c)));
    let cut = &refresh[..refresh.len() - 1];
    let body = format!(
        "{{\"message\":\"bad {DEFAULT_CLIENT_SECRET} and {escaped}, \
         {cut}\",\"traceId\":\"{DEFAULT_CLIENT_SECRET}\"}}"
    );
    world.emulator.add_fault(Fault::status(Endpoint::Token, 422, &body).times(10));
    let error = client.headers_for(location(0).as_str(), "GET").unwrap_err();
    let said = format!("{error:?}");
    assert!(
        said.contains("bad [redacted] and [redacted], [redacted]")
            && !said.contains(DEFAULT_CLIENT_SECRET)
            && !said.contains(&refresh[..8]),
        "{said}"
    );
}
