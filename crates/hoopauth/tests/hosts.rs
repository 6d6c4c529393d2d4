//! Transports and stores of the host's own, at their worst.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::Duration;

use common::{World, approve, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{
    BackOff, Begin, Due, Fingerprint, Key, Lease, NewRecord, Record, Slot, SlotRequest, TokenStore,
};
use hoopauth::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use hoopauth::{
    Account, Client, Clock, Error, ErrorCode, ManualClock, PendingAuthorization, Result, Timestamp,
};
use hoopauth_emulator::DEFAULT_COMPANY_ID;

#[derive(Debug)]
struct Scripted(fn(&TransportRequest) -> std::result::Result<TransportResponse, TransportError>);

impl Transport for Scripted {
    fn send(
        &self,
        request: &TransportRequest,
    ) -> std::result::Result<TransportResponse, TransportError> {
        (self.0)(request)
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it is what a transport answers")]
fn ok(status: u16, body: Vec<u8>) -> std::result::Result<TransportResponse, TransportError> {
    Ok(TransportResponse { status, headers: vec![].into(), body })
}

#[test]
fn a_transport_that_lies_or_returns_too_much_is_a_typed_error() {
    type Script = fn(&TransportRequest) -> std::result::Result<TransportResponse, TransportError>;
    let scripts: [(Script, ErrorCode); 7] = [
        (|_| ok(200, vec![b' '; 2 << 20]), ErrorCode::MalformedResponse),
        (|_| ok(200, vec![0xff; 10]), ErrorCode::MalformedResponse),
        (|_| ok(0, vec![]), ErrorCode::MalformedResponse),
        (|_| ok(700, vec![]), ErrorCode::HttpStatus),
        (|_| ok(302, vec![]), ErrorCode::MalformedResponse),
        (
            |_| {
                Err(TransportError {
                    kind: TransportErrorKind::Tls,
                    message: "x\u{7}".into(),
                    sent: false,
                })
            },
            ErrorCode::Tls,
        ),
        (
            |_| {
                Err(TransportError {
                    kind: TransportErrorKind::Callback,
                    message: String::new(),
                    sent: true,
                })
            },
            ErrorCode::CallbackFailed,
        ),
    ];
    for (script, code) in scripts {
        let world = World::new();
        let account = location(0);
        let client = world.builder().transport(Arc::new(Scripted(script))).build().unwrap();
        client.import(world.grant(&account), false).unwrap();
        let before = client.export(&account).unwrap().refresh_token().unwrap().clone();
        world.pass(86_399);
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(!error.message().contains('\u{7}'));
        assert_eq!(client.export(&account).unwrap().refresh_token().unwrap(), &before);
    }
}

/// Notes how long each request may take, takes that long by the clock, and gives no answer.
#[derive(Debug)]
struct Slow {
    clock: Arc<ManualClock>,
    takes: Duration,
    allowed: Mutex<Vec<Duration>>,
}

impl Transport for Slow {
    fn send(
        &self,
        request: &TransportRequest,
    ) -> std::result::Result<TransportResponse, TransportError> {
        self.allowed.lock().unwrap().push(request.timeout);
        self.clock.advance(self.takes.min(request.timeout));
        Err(TransportError {
            kind: TransportErrorKind::Timeout,
            message: "too late".into(),
            sent: true,
        })
    }
}

#[test]
fn the_timeout_bounds_the_whole_call_not_each_try() {
    let millis = Duration::from_millis;
    for (timeout, takes, expected) in [
        ("30", 8_000, &[8_000, 8_000][..]),
        ("10", 8_000, &[8_000, 2_000]),
        ("5", 8_000, &[5_000]),
        ("1", 400, &[1_000, 600]),
    ] {
        let world = World::new();
        let account = location(0);
        let slow = Arc::new(Slow {
            clock: world.clock.clone(),
            takes: millis(takes),
            allowed: Mutex::default(),
        });
        let client =
            world.builder().option("timeout", timeout).transport(slow.clone()).build().unwrap();
        client.import(world.grant(&account), false).unwrap();
        world.pass(86_400);
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Timeout, "{error:?}");
        assert!(error.is_retryable());
        let expected: Vec<_> = expected.iter().copied().map(millis).collect();
        assert_eq!(*slow.allowed.lock().unwrap(), expected, "timeout={timeout}");

        // The next call has its own time, and finds what may have been spent still within the
        // window.
        world.pass(error.retry_after().unwrap().as_secs());
        client.headers_for(account.as_str(), "GET").unwrap_err();
        assert!(slow.allowed.lock().unwrap().len() > expected.len());
    }
}

/// Grants the first location, and takes nine seconds for it.
#[derive(Debug)]
struct Late(Arc<ManualClock>);

impl Transport for Late {
    fn send(&self, _: &TransportRequest) -> std::result::Result<TransportResponse, TransportError> {
        self.0.advance(Duration::from_secs(9));
        let body = serde_json::json!({
            "access_token": "access", "refresh_token": "refresh", "expires_in": 86_399,
            "userType": "Location",
            "locationId": location(0).id(), "companyId": DEFAULT_COMPANY_ID,
        });
        ok(200, body.to_string().into_bytes())
    }
}

#[test]
fn a_login_and_a_minted_token_live_from_when_they_were_asked_for() {
    let world = World::new();
    let client = world.builder().transport(Arc::new(Late(world.clock.clone()))).build().unwrap();
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    client.import(world.grant(&company), false).unwrap();
    let ends = || client.export(&location(0)).unwrap().expires_at();

    let asked = world.clock.now();
    client.mint(&location(0), &company).unwrap();
    assert_eq!(ends(), asked.plus(Duration::from_secs(86_399)));

    let asked = world.clock.now();
    client.complete_unsolicited("code", &location(0)).unwrap();
    assert_eq!(ends(), asked.plus(Duration::from_secs(86_399)));
}

#[derive(Debug)]
struct Hanging {
    entered: Barrier,
    leave: Barrier,
}

impl Transport for Hanging {
    fn send(&self, _: &TransportRequest) -> std::result::Result<TransportResponse, TransportError> {
        self.entered.wait();
        self.leave.wait();
        Err(TransportError {
            kind: TransportErrorKind::Timeout,
            message: "too late".into(),
            sent: false,
        })
    }
}

#[test]
fn behind_a_hanging_transport_callers_give_up_or_are_served() {
    let world = World::new();
    let transport = Arc::new(Hanging { entered: Barrier::new(2), leave: Barrier::new(2) });
    let client = world
        .builder()
        .transport(transport.clone())
        .max_wait(Duration::from_millis(10))
        .build()
        .unwrap();
    let (dead, living) = (location(0), location(1));
    client.import(world.grant(&dead), false).unwrap();
    world.pass(86_399);
    client.import(world.grant(&living), false).unwrap();
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| client.headers_for(dead.as_str(), "GET").unwrap_err().code());
        transport.entered.wait();
        let error = client.headers_for(dead.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), ErrorCode::LeaseTimeout);
        assert!(error.is_retryable());
        // Another account's callers notice nothing.
        client.headers_for(living.as_str(), "GET").unwrap();
        transport.leave.wait();
        assert_eq!(leader.join().unwrap(), ErrorCode::Timeout);
    });
}

/// A memory store whose every call fails while it is told to, or only those that save.
#[derive(Debug)]
struct Failing {
    store: Arc<hoopauth::store::MemoryStore>,
    broken: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

impl Failing {
    fn check(&self) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::Store, "the disk is gone"));
        }
        Ok(())
    }

    fn check_room(&self) -> Result<()> {
        self.check()?;
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::Store, "the disk is full"));
        }
        Ok(())
    }
}

impl TokenStore for Failing {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.check()?;
        self.store.load(key, now)
    }
    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.check_room()?;
        self.store.save(key, expected, record)
    }
    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.check()?;
        self.store.accounts(app)
    }
    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.check()?;
        self.store.open_marks(app)
    }
    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        self.check()?;
        self.store.due(app, now, limit)
    }
    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        self.check()?;
        let lease = self.store.lease(key, wait)?;
        Ok(lease.map(|lease| Box::new(FailingLease { lease, of: self }) as Box<dyn Lease>))
    }
    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        self.check()?;
        self.store.take_slot(app, request, now)
    }
    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.check()?;
        self.store.claim(app, id, until, now)
    }
    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.check()?;
        self.store.unclaim(app, id)
    }
    fn changes(&self) -> Result<u64> {
        self.check()?;
        self.store.changes()
    }
}

#[derive(Debug)]
struct FailingLease<'a> {
    lease: Box<dyn Lease + 'a>,
    of: &'a Failing,
}

impl Lease for FailingLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        self.of.check()?;
        self.lease.load(now)
    }
    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin> {
        self.of.check()?;
        self.lease.begin(expected, fingerprint, slot, now)
    }
    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        self.of.check_room()?;
        self.lease.save(expected, record)
    }
    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        self.of.check()?;
        self.lease.note(expected, close_mark, back_off)
    }
}

#[test]
fn a_store_that_breaks_at_any_step_keeps_the_old_or_the_new_grant() {
    for step in Step::ALL {
        let world = World::new();
        let account = location(0);
        let broken = Arc::new(AtomicBool::new(false));
        let store =
            Failing { store: world.store.clone(), broken: broken.clone(), full: Arc::default() };
        let (armed, switch) = (Arc::new(AtomicBool::new(false)), broken.clone());
        let arm = armed.clone();
        let client = world
            .builder()
            .token_store(Arc::new(store))
            .step_hook(move |at, _| {
                if at == step && arm.swap(false, Ordering::SeqCst) {
                    switch.store(true, Ordering::SeqCst);
                }
                Ok(())
            })
            .build()
            .unwrap();
        client.import(world.grant(&account), false).unwrap();
        world.pass(86_399);
        armed.store(true, Ordering::SeqCst);
        let first = client.headers_for(account.as_str(), "GET");
        if let Err(error) = &first {
            assert_eq!(
                (error.code(), error.message()),
                (ErrorCode::Store, "the disk is gone"),
                "{step:?}"
            );
        }
        broken.store(false, Ordering::SeqCst);
        let headers = client.headers_for(account.as_str(), "GET").unwrap();
        assert_eq!(
            world.call(&headers, &format!("/locations/{}", account.id())).0,
            200,
            "{step:?}"
        );
        drop(client);
        // What is stored now is good for the next process too.
        let next = world.client();
        world.pass(86_399);
        let headers = next.headers_for(account.as_str(), "GET").unwrap();
        assert_eq!(
            world.call(&headers, &format!("/locations/{}", account.id())).0,
            200,
            "{step:?}"
        );
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0, "{step:?}");
    }
}

#[test]
fn a_login_that_can_not_be_saved_outlives_a_refusal() {
    let world = World::new();
    let account = location(0);
    let full = Arc::new(AtomicBool::new(true));
    let store = Failing { store: world.store.clone(), broken: Arc::default(), full: full.clone() };
    let client = world.builder().token_store(Arc::new(store)).build().unwrap();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    client.complete(&pending, &approve(pending.url(), &account)).unwrap();
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    // The first grant of its account: there is nothing in the store that could be refreshed
    // instead.
    let error =
        client.report(&headers, 401, &[], br#"{"message":"The token is expired"}"#).unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::Store, "the disk is full"));
    assert!(client.health(&account).unwrap().unsaved);
    full.store(false, Ordering::SeqCst);
    for client in [client, world.client()] {
        let headers = client.headers_for(account.as_str(), "GET").unwrap();
        assert_eq!(world.call(&headers, &format!("/locations/{}", account.id())).0, 200);
    }
}

#[test]
fn a_login_that_can_not_be_saved_is_not_saved_over_another_keys_grant() {
    let world = World::new();
    let account = location(0);
    let with_key = |key: &str, full: bool| {
        let full = Arc::new(AtomicBool::new(full));
        let store =
            Failing { store: world.store.clone(), broken: Arc::default(), full: full.clone() };
        let client = world.builder().token_store(Arc::new(store)).store_key(key).build().unwrap();
        (client, full)
    };
    let (client, full) = with_key("the-first-key-of-the-two", true);
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    client.complete(&pending, &approve(pending.url(), &account)).unwrap();
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    let (other, _) = with_key("the-second-key-of-the-two", false);
    other.import(world.grant(&account), false).unwrap();
    full.store(false, Ordering::SeqCst);
    let error =
        client.report(&headers, 401, &[], br#"{"message":"The token is expired"}"#).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreKey, "{error:?}");
    other.export(&account).unwrap();
}

#[test]
fn a_login_that_can_not_be_saved_outlives_the_refresh_that_it_came_into() {
    for save_fails in [false, true] {
        let world = World::new();
        let account = location(0);
        let full = Arc::new(AtomicBool::new(false));
        let store =
            Failing { store: world.store.clone(), broken: Arc::default(), full: full.clone() };
        let login: Arc<OnceLock<(Client, PendingAuthorization, String)>> = Arc::default();
        let (arrives, disk) = (Arc::clone(&login), full.clone());
        let client = world
            .builder()
            .token_store(Arc::new(store))
            .step_hook(move |at, _| {
                if at == Step::Check && !disk.swap(true, Ordering::SeqCst) {
                    let (client, pending, redirect) = arrives.get().unwrap();
                    client.complete(pending, redirect).unwrap();
                    disk.store(save_fails, Ordering::SeqCst);
                }
                Ok(())
            })
            .build()
            .unwrap();
        client.import(world.grant(&account), false).unwrap();
        world.pass(86_399);
        let pending = client.begin(client.authorization_request().unwrap()).unwrap();
        let redirect = approve(pending.url(), &account);
        assert!(login.set((client.clone(), pending, redirect)).is_ok());
        client.headers_for(account.as_str(), "GET").unwrap();
        assert!(client.health(&account).unwrap().unsaved);
        full.store(false, Ordering::SeqCst);
        client.close().unwrap();
        // What the platform gave last is what the login brought.
        let last = world.emulator.current_grant(account.as_str()).unwrap().unwrap();
        let stored = world.client().export(&account).unwrap();
        assert_eq!(
            stored.refresh_token().unwrap().expose(),
            last.refresh_token.unwrap(),
            "save_fails={save_fails}"
        );
        assert_eq!(
            (world.emulator.statistics().exchanges, world.emulator.statistics().rotations),
            (1, 1)
        );
    }
}

#[test]
fn inside_an_async_runtime_nothing_panics() {
    let world = World::new();
    let account = location(0);
    let client = world.client();
    client.import(world.grant(&account), false).unwrap();
    world.pass(86_399);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        client.headers_for(account.as_str(), "GET").unwrap();
        drop(client);
    });
    assert_eq!(world.emulator.statistics().rotations, 1);
}
