//! Changes by others in a shared store are seen within five seconds, and at once when the API
//! refuses.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Captured, World, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{
    Due, Fingerprint, Key, Lease, MemoryStore, NewRecord, Record, Slot, SlotRequest, TokenStore,
};
use hoopauth::{Account, AccountHandle, Client, Error, ErrorCode, Report, Result, Timestamp};

/// The longest until a change elsewhere is seen.
const SEEN: u64 = 5;

/// A memory store that counts what it is asked, and can be out of reach.
#[derive(Debug)]
struct Counting {
    store: Arc<MemoryStore>,
    loads: AtomicUsize,
    looks: AtomicUsize,
    away: AtomicBool,
    /// Time that a look takes, in milliseconds.
    slow: AtomicUsize,
    /// `true` if the store knows only that something changed.
    vague: bool,
}

impl Counting {
    fn of(world: &World, vague: bool) -> Arc<Self> {
        let (loads, looks) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (away, slow) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { store: world.store.clone(), loads, looks, away, slow, vague })
    }

    fn ask(&self, count: &AtomicUsize) -> Result<()> {
        count.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::Store, "the store is away"));
        }
        Ok(())
    }

    /// Loads and looks since this was asked last.
    fn asked(&self) -> (usize, usize) {
        (self.loads.swap(0, Ordering::SeqCst), self.looks.swap(0, Ordering::SeqCst))
    }
}

impl TokenStore for Counting {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.ask(&self.loads)?;
        self.store.load(key, now)
    }
    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.store.save(key, expected, record)
    }
    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.store.accounts(app)
    }
    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.store.open_marks(app)
    }
    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        self.store.due(app, now, limit)
    }
    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        self.store.lease(key, wait)
    }
    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        self.store.take_slot(app, request, now)
    }
    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.store.claim(app, id, until, now)
    }
    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.store.unclaim(app, id)
    }
    fn changes(&self) -> Result<u64> {
        self.ask(&self.looks)?;
        std::thread::sleep(Duration::from_millis(self.slow.load(Ordering::SeqCst) as u64));
        self.store.changes()
    }
    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        if self.vague { Ok(None) } else { self.store.changed(app, since) }
    }
}

type Ask = Box<dyn Fn() -> Result<String>>;

/// The ways to ask for headers: by name, by handle.
fn ways(client: &Client, account: &Account) -> [Ask; 2] {
    let (by_name, name): (Client, String) = (client.clone(), account.as_str().to_owned());
    let handle: AccountHandle = client.account(account.as_str()).unwrap();
    [
        Box::new(move || {
            by_name.headers_for(&name, "GET").map(|headers| headers.authorization().to_owned())
        }),
        Box::new(move || handle.headers("GET").map(|headers| headers.authorization().to_owned())),
    ]
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.err().unwrap().code()
}

/// A handle keeps what it served last: also of an account that a small cache has no room for, it
/// must see what others do.
#[test]
fn a_handle_sees_what_others_do_to_an_account_that_the_cache_forgot() {
    for vague in [false, true] {
        let world = World::new();
        let client = world
            .builder()
            .token_store(Counting::of(&world, vague))
            .cache_accounts(1)
            .build()
            .unwrap();
        let other = world.client();
        let (one, two) = (location(0), location(1));
        let handles = [&one, &two].map(|account| client.account(account.as_str()).unwrap());
        for account in [&one, &two] {
            client.import(world.grant(account), false).unwrap();
        }
        let ask = |handle: usize| {
            handles[handle].headers("GET").map(|headers| headers.authorization().to_owned())
        };
        let before = ask(0).unwrap();
        ask(1).unwrap();

        other.import(world.grant(&one), true).unwrap();
        world.pass(SEEN);
        ask(1).unwrap();
        assert_ne!(ask(0).unwrap(), before, "authorized anew");
        ask(1).unwrap();

        other.remove(&one).unwrap();
        world.pass(SEEN);
        ask(1).unwrap();
        assert_eq!(code(ask(0)), ErrorCode::NoGrant, "removed");
        assert_eq!(code(ask(0)), ErrorCode::NoGrant, "and gone for good");
        assert!(handles[0].fresh_headers("GET").is_none());
        ask(1).unwrap();
    }
}

#[test]
fn what_another_client_does_is_seen_within_five_seconds() {
    for vague in [false, true] {
        for way in 0..2 {
            let world = World::new();
            let store = Counting::of(&world, vague);
            let client = world.builder().token_store(store).build().unwrap();
            let other = world.client();
            let (one, two) = (location(0), location(1));
            client.import(world.grant(&one), false).unwrap();
            client.import(world.grant(&two), false).unwrap();
            let ask = &ways(&client, &one)[way];
            let untouched = &ways(&client, &two)[way];
            let (before, kept) = (ask().unwrap(), untouched().unwrap());

            // Authorized anew.
            other.import(world.grant(&one), true).unwrap();
            world.pass(SEEN);
            let authorized = ask().unwrap();
            assert_ne!(authorized, before);

            // Refreshed: one request, whoever asks.
            let sent = other.headers_for(one.as_str(), "GET").unwrap();
            world.emulator.revoke_access(one.as_str()).unwrap();
            let body = br#"{"message":"Invalid JWT"}"#;
            assert!(matches!(other.report(&sent, 401, &[], body).unwrap(), Report::Repeat(_)));
            world.pass(SEEN);
            let refreshed = ask().unwrap();
            assert_ne!(refreshed, authorized);
            assert_eq!(world.emulator.statistics().token_requests, 1);

            other.remove(&one).unwrap();
            world.pass(SEEN);
            assert_eq!(code(ask()), ErrorCode::NoGrant);
            other.import(world.grant(&one), false).unwrap();
            ask().unwrap();
            assert_eq!(untouched().unwrap(), kept);
        }
    }
}

#[test]
fn it_is_seen_at_once_when_the_api_refuses() {
    for (status, body) in [
        (403, &br#"{"message":"The token does not have access to this location."}"#[..]),
        (401, br#"{"message":"The token is not authorized for this scope."}"#),
    ] {
        for way in 0..2 {
            let world = World::new();
            let (client, other) = (world.client(), world.client());
            let account = location(0);
            client.import(world.grant(&account), false).unwrap();
            let ask = &ways(&client, &account)[way];
            let before = ask().unwrap();
            let sent = client.headers_for(account.as_str(), "GET").unwrap();
            other.import(world.grant(&account), true).unwrap();
            client.report(&sent, status, &[], body).unwrap_err();
            assert_ne!(ask().unwrap(), before);
            other.remove(&account).unwrap();
            client.report(&sent, status, &[], body).unwrap_err();
            assert_eq!(code(ask()), ErrorCode::NoGrant);
        }
    }
}

#[test]
fn while_nothing_changes_a_look_is_all_that_is_asked() {
    let world = World::new();
    let store = Counting::of(&world, false);
    let client = world.builder().token_store(store.clone()).build().unwrap();
    let company = hoopauth_emulator::DEFAULT_COMPANY_ID;
    let accounts: Vec<Account> = world
        .emulator
        .add_locations(company, 50)
        .unwrap()
        .iter()
        .map(|id| Account::location(id).unwrap())
        .collect();
    for account in &accounts {
        client.import(world.grant(account), false).unwrap();
    }
    let ask_all =
        || accounts.iter().for_each(|account| drop(client.headers_for(account.as_str(), "GET")));
    ask_all();
    store.asked();
    for _ in 0..10 {
        ask_all();
        assert_eq!(store.asked(), (0, 0));
        world.pass(SEEN);
        ask_all();
        assert_eq!(store.asked(), (0, 1));
    }
    // What the client does itself is no news, and of what others do only that is read.
    client.import(world.grant(&accounts[0]), true).unwrap();
    store.asked();
    world.pass(SEEN);
    ask_all();
    assert_eq!(store.asked(), (0, 1));
    world.client().import(world.grant(&accounts[7]), true).unwrap();
    world.pass(SEEN);
    ask_all();
    ask_all();
    assert_eq!(store.asked(), (1, 1));
}

#[test]
fn while_the_store_is_away_living_tokens_are_served_and_it_is_told_once() {
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let world = World::new();
        let store = Counting::of(&world, false);
        let client = world.builder().token_store(store.clone()).build().unwrap();
        let account = location(0);
        client.import(world.grant(&account), false).unwrap();
        let [by_name, by_handle] = ways(&client, &account);
        let token = by_name().unwrap();
        store.away.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            world.pass(SEEN);
            store.asked();
            for _ in 0..20 {
                assert_eq!(
                    (by_name().unwrap(), by_handle().unwrap()),
                    (token.clone(), token.clone())
                );
            }
            assert_eq!(store.asked(), (0, 1));
        }
        // It comes back, with news; and goes away again before they are read.
        world.client().import(world.grant(&account), true).unwrap();
        store.away.store(false, Ordering::SeqCst);
        world.pass(SEEN);
        assert_ne!(by_handle().unwrap(), token);
    });
    let log = log.text();
    assert_eq!(log.matches("the store does not answer").count(), 1, "{log}");
}

#[test]
fn a_store_that_is_slow_to_tell_of_changes_is_asked_less_and_less_often() {
    let world = World::new();
    let store = Counting::of(&world, false);
    let client = world.builder().token_store(store.clone()).build().unwrap();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let ask = || client.headers_for(account.as_str(), "GET").unwrap();
    ask();
    let looks_in_a_minute = || {
        store.asked();
        for _ in 0..60 {
            world.pass(1);
            ask();
        }
        store.asked().1
    };
    assert_eq!(looks_in_a_minute(), 15);
    store.slow.store(800, Ordering::SeqCst);
    assert!(looks_in_a_minute() <= 4);
    assert!(looks_in_a_minute() <= 2);
    // It is quick again, and seen to be.
    store.slow.store(0, Ordering::SeqCst);
    looks_in_a_minute();
    assert_eq!(looks_in_a_minute(), 15);
    // A refusal asks at once all the same.
    store.slow.store(800, Ordering::SeqCst);
    world.pass(SEEN);
    ask();
    world.client().import(world.grant(&account), true).unwrap();
    let headers = ask();
    client.report(&headers, 403, &[], b"{}").ok();
    assert_ne!(ask().authorization(), headers.authorization());
}

#[test]
fn what_nobody_else_can_change_is_not_looked_at() {
    let world = World::new();
    let store = Counting::of(&world, false);
    let client = Client::builder()
        .private_integration_token("pit-1")
        .token_store(store.clone())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    for _ in 0..3 {
        client.headers("GET").unwrap();
        world.pass(SEEN);
    }
    assert_eq!(store.asked(), (0, 0));
}

/// A refresh whose answer was lost with its process.
fn left_open(world: &World, account: &Account) {
    let dies = world
        .builder()
        .step_hook(|step, _| match step {
            Step::Check => Err(Error::new(ErrorCode::Store, "told to fail")),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    dies.headers_for(account.as_str(), "GET").unwrap_err();
}

#[test]
fn what_a_crash_left_open_is_finished_by_whoever_comes_next_whatever_it_asks_for() {
    for (pause, finished) in [(10, true), (25, false)] {
        let world = World::new();
        let (open, asked) = (location(0), location(1));
        world.client().import(world.grant(&open), false).unwrap();
        world.pass(86_399);
        world.client().import(world.grant(&asked), false).unwrap();
        left_open(&world, &open);
        world.pass(pause);
        let next = world.client();
        next.headers_for(asked.as_str(), "GET").unwrap();
        let statistics = world.emulator.statistics();
        // Once the platform may have forgotten, there is no hurry: its own callers ask, or
        // maintenance.
        assert_eq!(statistics.token_requests, if finished { 2 } else { 1 });
        assert_eq!((statistics.rotations, statistics.reuse_outside_window), (1, 0));
        if finished {
            world.pass(86_300);
            next.headers_for(open.as_str(), "GET").unwrap();
            assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
        }
    }
}

#[test]
fn a_holder_that_is_still_at_it_is_left_to_it() {
    let world = World::new();
    let (open, asked) = (location(0), location(1));
    let client = world.client();
    client.import(world.grant(&open), false).unwrap();
    world.pass(86_399);
    client.import(world.grant(&asked), false).unwrap();
    world.emulator.hold(hoopauth_emulator::Endpoint::Token);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| client.headers_for(open.as_str(), "GET"));
        let endpoint = hoopauth_emulator::Endpoint::Token;
        assert!(world.emulator.wait_until_held(endpoint, 1, Duration::from_secs(60)));
        // With a lease that it waited for, this would not come back before the other one does.
        world.client().headers_for(asked.as_str(), "GET").unwrap();
        world.emulator.release(endpoint);
        refresh.join().unwrap().unwrap();
    });
    assert_eq!(world.emulator.statistics().token_requests, 1);
}
