//! Two clients over one store, others that come in between, what they were made to do, and what
//! must hold whatever that was.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{
    Due, Fingerprint, Key, Lease, MemoryStore, NewRecord, Record, Slot, SlotRequest, TokenStore,
};
use hoopauth::{
    Account, Client, Clock, Error, ErrorCode, Grant, ManualClock, Report, Result, Timestamp,
};

use super::platform::{LIFE, Platform, WINDOW};

const ACCOUNTS: usize = 3;
const PER_MINUTE: usize = 5;

/// Event at a step of a client's refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A kill of the process: its memory is gone.
    Crash,
    /// A failure of the store or the disk.
    Fail,
    /// Another process does something to the same account; then the refresh goes on.
    Meanwhile(Deed),
}

/// Act of another process, the user or the platform in the middle of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Headers,
    ImportSeed,
    Authorize,
    Remove,
    Revoke,
    /// The process stands still.
    Pass(Duration),
}

struct Crashed;

type Armed = Arc<Mutex<Vec<(Step, Stop)>>>;

/// Knowledge of the model about an account.
#[derive(Default)]
struct Known {
    /// The first pair, as an app ships it.
    seed: Option<(String, String)>,
    /// A grant is in the store.
    stored: bool,
    /// The platform refuses the family.
    revoked: bool,
    /// Since when a rotated pair is not in the store.
    at_risk_since: Option<u64>,
    /// `true` if that lasted longer than the window: only then may the grant be lost.
    may_be_lost: bool,
}

/// State that the two clients and the others share.
pub(crate) struct Shared {
    pub(crate) platform: Platform,
    clock: Arc<ManualClock>,
    store: Arc<Store>,
    known: Mutex<Vec<Known>>,
    /// The other process, which neither crashes nor fails.
    other: OnceLock<Client>,
    /// A process stood still between its slot of the budget and its request, which nothing can make
    /// up for.
    late: Mutex<bool>,
    /// Sends that were checked.
    looked_at: Mutex<usize>,
}

pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    clients: Vec<Client>,
    armed: Vec<Armed>,
}

pub(crate) fn id(account: usize) -> String {
    format!("location{account}")
}

fn account(number: usize) -> Account {
    Account::location(&id(number)).unwrap()
}

fn number_of(account: &Account) -> usize {
    account.id().strip_prefix("location").unwrap().parse().unwrap()
}

impl Shared {
    /// A client whose changes of an account never go back.
    fn builder(&self) -> hoopauth::ClientBuilder {
        let store: Arc<dyn TokenStore> = self.store.clone();
        let generations = Mutex::new(HashMap::<Account, u64>::new());
        Client::builder()
            .client_id("app-1")
            .client_secret("secret")
            .token_requests_per_minute(u64::try_from(PER_MINUTE).unwrap())
            .token_store(store)
            .transport(Arc::new(self.platform.clone()))
            .clock(self.clock.clone())
            .on_change(move |change| {
                let mut generations = generations.lock().unwrap();
                let before = generations.insert(change.account.clone(), change.generation);
                assert!(
                    before.is_none_or(|before| before <= change.generation),
                    "{change:?} after {before:?}"
                );
            })
    }

    fn other(&self) -> &Client {
        self.other.get().unwrap()
    }

    fn known<T>(&self, number: usize, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap()[number])
    }

    /// Checks what a call answered and draws the model's conclusions from what the store has now:
    /// what a next process finds.
    fn conclude(&self, number: usize, result: Option<&Result<Option<hoopauth::Headers>>>) {
        if let Some(Ok(Some(headers))) = result {
            let token = headers.authorization().strip_prefix("Bearer ").unwrap();
            assert!(self.platform.lives(token), "an ended token was served");
        }
        let current = self.platform.current(number);
        let saved = self
            .other()
            .export(&account(number))
            .is_ok_and(|grant| grant.refresh_token().unwrap().expose() == current);
        let rotated_at = self.platform.rotated_at(number);
        self.known(number, |known| known.at_risk_since = (!saved).then_some(rotated_at));
    }

    fn import_seed(&self, client: &Client, number: usize) {
        let ((access, refresh), stored) =
            self.known(number, |known| (known.seed.clone().unwrap(), known.stored));
        // As old as it is: the seed is the same at every start.
        let expires = if stored { Timestamp(1) } else { self.clock.now().plus(LIFE) };
        let grant = Grant::new(account(number), access)
            .with_refresh_token(refresh)
            .with_expires_at(expires);
        if client.import(grant, false).unwrap() == hoopauth::Import::Imported {
            self.known(number, |known| known.stored = true);
        }
    }

    /// No token was sent too late but of an account that had been at risk for too long.
    fn check_sends(&self) {
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap();
        for known in &mut *known {
            let since = known.at_risk_since;
            known.may_be_lost |=
                since.is_some_and(|since| Duration::from_millis(now - since) >= WINDOW);
        }
        let sent = self.platform.sent();
        let before = std::mem::replace(&mut *self.looked_at.lock().unwrap(), sent.len());
        for late in sent[before..].iter().filter(|sent| sent.too_late) {
            assert!(known[late.account].may_be_lost || known[late.account].revoked, "{late:?}");
        }
    }

    fn authorize(&self, client: &Client, number: usize) {
        // What was is forgotten.
        self.check_sends();
        let (access, refresh) = self.platform.authorize(number);
        let grant = Grant::new(account(number), access)
            .with_refresh_token(refresh)
            .with_expires_at(self.clock.now().plus(LIFE));
        client.import(grant, true).unwrap();
        self.known(number, |known| {
            let seed = known.seed.take();
            *known = Known { seed, stored: true, ..Known::default() };
        });
    }

    fn remove(&self, client: &Client, number: usize) {
        client.remove(&account(number)).unwrap();
        self.known(number, |known| known.stored = false);
    }

    fn revoke(&self, number: usize) {
        self.platform.revoke(number);
        self.known(number, |known| known.revoked = true);
    }

    /// Plays the events while a refresh of this account stands at `step`.
    fn meanwhile(&self, deed: Deed, step: Step, number: usize) {
        match deed {
            Deed::Headers => {
                let result = self.other().headers_for(account(number).as_str(), "GET").map(Some);
                self.conclude(number, Some(&result));
            }
            Deed::ImportSeed => self.import_seed(self.other(), number),
            Deed::Authorize => self.authorize(self.other(), number),
            Deed::Remove => self.remove(self.other(), number),
            Deed::Revoke => self.revoke(number),
            Deed::Pass(time) => {
                *self.late.lock().unwrap() |= step == Step::Send;
                self.clock.advance(time);
            }
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        let shared = Arc::new(Shared {
            platform: Platform::new(clock.clone(), ACCOUNTS),
            clock,
            store: Arc::default(),
            known: Mutex::default(),
            other: OnceLock::new(),
            late: Mutex::default(),
            looked_at: Mutex::default(),
        });
        shared.other.set(shared.builder().build().unwrap()).unwrap();
        let mut world = Self { shared, clients: vec![], armed: vec![] };
        for _ in 0..2 {
            let armed = Armed::default();
            world.clients.push(world.client(&armed));
            world.armed.push(armed);
        }
        for number in 0..ACCOUNTS {
            let seed = Some(world.shared.platform.authorize(number));
            world.shared.known.lock().unwrap().push(Known { seed, ..Known::default() });
            world.import_seed(0, number);
        }
        world
    }

    fn client(&self, armed: &Armed) -> Client {
        let (armed, shared) = (armed.clone(), Arc::downgrade(&self.shared));
        self.shared
            .builder()
            .step_hook(move |step, account| {
                loop {
                    let mut stops = armed.lock().unwrap();
                    let Some(next) = stops.iter().position(|(at, _)| *at == step) else {
                        return Ok(());
                    };
                    let (_, stop) = stops.remove(next);
                    drop(stops);
                    match stop {
                        Stop::Crash => std::panic::resume_unwind(Box::new(Crashed)),
                        Stop::Fail => return Err(Error::new(ErrorCode::Store, "told to fail")),
                        Stop::Meanwhile(deed) => {
                            shared.upgrade().unwrap().meanwhile(deed, step, number_of(account));
                        }
                    }
                }
            })
            .build()
            .unwrap()
    }

    pub(crate) fn headers(&mut self, client: usize, number: usize) {
        self.call(client, number, |client, account| {
            client.headers_for(account.as_str(), "GET").map(Some)
        });
    }

    pub(crate) fn refuse(&mut self, client: usize, number: usize) {
        self.call(client, number, |client, account| {
            let headers = client.headers_for(account.as_str(), "GET")?;
            let body = br#"{"message":"The token is expired"}"#;
            match client.report(&headers, 401, &[], body)? {
                Report::Repeat(again) => Ok(Some(again)),
                _ => Ok(None),
            }
        });
    }

    /// Maintenance of some seconds: a look for open marks, and what is due.
    pub(crate) fn maintain(&mut self, client: usize) {
        let until = self.shared.clock.now().plus(Duration::from_secs(6));
        self.run(client, |client| client.maintain(until).unwrap());
        for number in 0..ACCOUNTS {
            self.shared.conclude(number, None);
        }
    }

    fn call(
        &mut self,
        client: usize,
        number: usize,
        call: impl FnOnce(&Client, &Account) -> Result<Option<hoopauth::Headers>>,
    ) {
        let result = self.run(client, |client| call(client, &account(number)));
        // A client's first call finishes what others left open, too.
        for other in 0..ACCOUNTS {
            self.shared.conclude(other, result.as_ref().filter(|_| other == number));
        }
    }

    /// Runs what a client does; `None` if it crashed.
    fn run<T>(&mut self, client: usize, work: impl FnOnce(&Client) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(&self.clients[client]))) {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Crashed>() => {
                self.bury(client);
                None
            }
            Err(cause) => std::panic::resume_unwind(cause),
        }
    }

    /// Replaces a client that crashed. What it held is not dropped in order: nothing more may be
    /// saved.
    fn bury(&mut self, client: usize) {
        self.armed[client].lock().unwrap().clear();
        let new = self.client(&self.armed[client]);
        std::mem::forget(std::mem::replace(&mut self.clients[client], new));
    }

    pub(crate) fn restart(&mut self, client: usize) {
        self.bury(client);
    }

    pub(crate) fn arm(&mut self, client: usize, at: usize, stop: Stop) {
        let mut armed = self.armed[client].lock().unwrap();
        // A token that is still good for a minute when it is served must not end while it is.
        let passes = |stop: &Stop| matches!(stop, Stop::Meanwhile(Deed::Pass(_)));
        if !passes(&stop) || armed.iter().all(|(_, before)| !passes(before)) {
            armed.push((Step::ALL[at], stop));
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.shared.clock.advance(time);
    }

    pub(crate) fn import_seed(&mut self, client: usize, number: usize) {
        self.shared.import_seed(&self.clients[client], number);
    }

    pub(crate) fn authorize(&mut self, client: usize, number: usize) {
        self.shared.authorize(&self.clients[client], number);
    }

    pub(crate) fn remove(&mut self, client: usize, number: usize) {
        self.shared.remove(&self.clients[client], number);
    }

    pub(crate) fn revoke(&mut self, number: usize) {
        self.shared.revoke(number);
    }

    /// Checks the conditions that must hold after every action.
    pub(crate) fn check(&mut self) {
        self.shared.check_sends();
        let sent = self.shared.platform.sent();
        if *self.shared.late.lock().unwrap() {
            return;
        }
        // The same token sent again is a recovery: it does not wait for the budget.
        let mut first_sends: Vec<u64> = vec![];
        for (i, send) in sent.iter().enumerate() {
            if sent[..i].iter().all(|before| before.token != send.token) {
                first_sends.push(send.at);
            }
        }
        for window in first_sends.windows(PER_MINUTE + 1) {
            assert!(
                window[PER_MINUTE] - window[0] >= 60_000,
                "more than the budget in a minute: {window:?}"
            );
        }
    }

    /// With all faults gone, every account that can come back does so within a few calls, each a
    /// back-off after the other.
    pub(crate) fn check_the_end(&mut self) {
        self.shared.platform.clear_faults();
        for client in 0..2 {
            self.bury(client);
        }
        for number in 0..ACCOUNTS {
            self.comes_back(number);
        }
    }

    fn comes_back(&mut self, number: usize) {
        let account = account(number);
        for _ in 0..8 {
            self.check();
            let shared = &self.shared;
            let (stored, gone) =
                shared.known(number, |known| (known.stored, known.revoked || known.may_be_lost));
            let client = &self.clients[0];
            match client.headers_for(account.as_str(), "GET") {
                Ok(headers) => {
                    assert!(stored, "a removed account was served");
                    let token = headers.authorization().strip_prefix("Bearer ").unwrap();
                    if shared.platform.is_current(number, token) {
                        return;
                    }
                    // The API refuses what is no longer the family's token.
                    let body = br#"{"message":"The token is expired"}"#;
                    let _ = client.report(&headers, 401, &[], body);
                    shared.clock.advance(Duration::from_secs(61));
                }
                Err(error) if error.code() == ErrorCode::NoGrant => {
                    assert!(!stored, "{error:?}");
                    return;
                }
                Err(error) if error.code() == ErrorCode::ReauthorizationRequired => {
                    assert!(gone, "{error:?}");
                    return;
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    shared.clock.advance(error.retry_after().unwrap_or(Duration::from_secs(1)));
                }
            }
        }
        let gone = self.shared.known(number, |known| known.may_be_lost || known.revoked);
        assert!(gone, "{account} did not come back");
    }
}

/// In memory, but nobody waits for a lease: whoever has it may be a refresh further up on this very
/// thread.
#[derive(Debug, Default)]
struct Store(MemoryStore);

impl TokenStore for Store {
    fn lease<'a>(&'a self, key: &Key<'_>, _: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        self.0.lease(key, Duration::ZERO)
    }

    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.0.load(key, now)
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.0.save(key, expected, record)
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.0.accounts(app)
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.0.open_marks(app)
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        self.0.due(app, now, limit)
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        self.0.take_slot(app, request, now)
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.0.claim(app, id, until, now)
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.0.unclaim(app, id)
    }

    fn changes(&self) -> Result<u64> {
        self.0.changes()
    }
    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        self.0.changed(app, since)
    }
}
