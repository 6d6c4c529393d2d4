//! Two clients over one store, what they were made to do, and what must hold whatever that was.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoopauth::store::{MemoryStore, TokenStore};
use hoopauth::{Account, Client, Clock, Error, ErrorCode, Grant, ManualClock, Report, Step, Timestamp};

use super::platform::{LIFE, Platform, WINDOW};

const ACCOUNTS: usize = 3;
const PER_MINUTE: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// As if the process had been killed: what it held in memory is gone.
    Crash,
    /// As if the store or the disk had failed.
    Fail,
}

struct Crashed;

type Armed = Arc<Mutex<Option<(Step, Stop)>>>;

/// What the model knows of an account.
#[derive(Default)]
struct Known {
    /// The first pair, as an app ships it.
    seed: Option<(String, String)>,
    /// A grant is in the store.
    stored: bool,
    /// The platform refuses the family.
    revoked: bool,
    /// Since when a rotated pair may be known to the platform alone.
    at_risk_since: Option<u64>,
    /// That lasted longer than the window: it may be lost, and only then.
    may_be_lost: bool,
}

pub(crate) struct World {
    pub(crate) platform: Platform,
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    clients: Vec<Client>,
    armed: Vec<Armed>,
    generations: Arc<Mutex<HashMap<Account, u64>>>,
    known: Vec<Known>,
    /// Sends that were checked.
    looked_at: usize,
}

pub(crate) fn id(account: usize) -> String {
    format!("location{account}")
}

fn account(number: usize) -> Account {
    Account::location(&id(number)).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        let mut world = Self {
            platform: Platform::new(clock.clone(), ACCOUNTS),
            clock,
            store: Arc::new(MemoryStore::new()),
            clients: vec![],
            armed: vec![],
            generations: Arc::default(),
            known: vec![],
            looked_at: 0,
        };
        for _ in 0..2 {
            let armed = Armed::default();
            world.clients.push(world.client(&armed));
            world.armed.push(armed);
        }
        for number in 0..ACCOUNTS {
            world.known.push(Known::default());
            let pair = world.platform.authorize(number);
            world.known[number].seed = Some(pair);
            world.import_seed(0, number);
        }
        world
    }

    fn client(&self, armed: &Armed) -> Client {
        let (armed, generations) = (armed.clone(), self.generations.clone());
        let store: Arc<dyn TokenStore> = self.store.clone();
        Client::builder()
            .client_id("app-1")
            .client_secret("secret")
            .token_requests_per_minute(PER_MINUTE)
            .token_store(store)
            .transport(Arc::new(self.platform.clone()))
            .clock(self.clock.clone())
            .step_hook(move |step, _| {
                let mut armed = armed.lock().unwrap();
                match *armed {
                    Some((at, stop)) if at == step => {
                        *armed = None;
                        drop(armed);
                        match stop {
                            Stop::Crash => std::panic::resume_unwind(Box::new(Crashed)),
                            Stop::Fail => Err(Error::new(ErrorCode::Store, "told to fail")),
                        }
                    }
                    _ => Ok(()),
                }
            })
            .on_change(move |change| {
                let mut generations = generations.lock().unwrap();
                let before = generations.insert(change.account.clone(), change.generation);
                assert!(
                    before.is_none_or(|before| before <= change.generation),
                    "{change:?} after {before:?}"
                );
            })
            .build()
            .unwrap()
    }

    pub(crate) fn headers(&mut self, client: usize, number: usize) {
        self.call(client, number, |client, account| client.headers_for(account.as_str(), "GET").map(Some));
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

    /// Runs one call of a client and draws the model's conclusions.
    fn call(
        &mut self,
        client: usize,
        number: usize,
        call: impl FnOnce(&Client, &Account) -> hoopauth::Result<Option<hoopauth::Headers>>,
    ) {
        let account = account(number);
        let sent_before = self.platform.sent().len();
        let result = catch_unwind(AssertUnwindSafe(|| call(&self.clients[client], &account)));
        let sent = self.platform.sent().len() > sent_before;
        let now = self.clock.monotonic();
        if let Ok(Ok(Some(headers))) = &result {
            let token = headers.authorization().strip_prefix("Bearer ").unwrap();
            assert!(self.platform.lives(token), "an ended token was served");
        }
        if result.is_err() {
            self.bury(client);
        }
        // What the store has is what another process would find.
        let (client, current) = (&self.clients[client], self.platform.current(number));
        let unsaved = client.health(&account).is_ok_and(|health| health.unsaved);
        let saved = !unsaved
            && client.export(&account).is_ok_and(|grant| grant.refresh_token().unwrap().expose() == current);
        let known = &mut self.known[number];
        if saved {
            known.at_risk_since = None;
        } else if sent {
            known.at_risk_since.get_or_insert(now);
        }
    }

    /// Replaces a client that crashed. What it held is not dropped in order: nothing more may be saved.
    fn bury(&mut self, client: usize) {
        *self.armed[client].lock().unwrap() = None;
        let new = self.client(&self.armed[client]);
        std::mem::forget(std::mem::replace(&mut self.clients[client], new));
    }

    pub(crate) fn restart(&mut self, client: usize) {
        self.bury(client);
    }

    pub(crate) fn arm(&mut self, client: usize, at: usize, stop: Stop) {
        *self.armed[client].lock().unwrap() = Some((Step::ALL[at], stop));
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn import_seed(&mut self, client: usize, number: usize) {
        let (access, refresh) = self.known[number].seed.clone().unwrap();
        let expires = Timestamp(self.clock.now().0).plus(LIFE);
        let grant = Grant::new(account(number), access).with_refresh_token(refresh).with_expires_at(
            // As old as it is: the seed is the same at every start.
            if self.known[number].stored { Timestamp(1) } else { expires },
        );
        let imported = self.clients[client].import(grant, false).unwrap();
        if imported == hoopauth::Import::Imported {
            self.known[number].stored = true;
        }
    }

    pub(crate) fn authorize(&mut self, client: usize, number: usize) {
        let (access, refresh) = self.platform.authorize(number);
        let grant = Grant::new(account(number), access)
            .with_refresh_token(refresh)
            .with_expires_at(self.clock.now().plus(LIFE));
        self.clients[client].import(grant, true).unwrap();
        let seed = self.known[number].seed.take();
        self.known[number] = Known { seed, stored: true, ..Known::default() };
    }

    pub(crate) fn remove(&mut self, client: usize, number: usize) {
        self.clients[client].remove(&account(number)).unwrap();
        self.known[number].stored = false;
    }

    pub(crate) fn revoke(&mut self, number: usize) {
        self.platform.revoke(number);
        self.known[number].revoked = true;
    }

    /// What must hold after every action.
    pub(crate) fn check(&mut self) {
        let now = self.clock.monotonic();
        for known in &mut self.known {
            let since = known.at_risk_since;
            known.may_be_lost |= since.is_some_and(|since| Duration::from_millis(now - since) >= WINDOW);
        }
        let sent = self.platform.sent();
        for late in
            sent[std::mem::replace(&mut self.looked_at, sent.len())..].iter().filter(|sent| sent.too_late)
        {
            assert!(self.known[late.account].may_be_lost || self.known[late.account].revoked, "{late:?}");
        }
        // The same token sent again is a recovery: it does not wait for the budget.
        let mut first_sends: Vec<u64> = vec![];
        for (i, send) in sent.iter().enumerate() {
            if sent[..i].iter().all(|before| before.token != send.token) {
                first_sends.push(send.at);
            }
        }
        for window in first_sends.windows(PER_MINUTE + 1) {
            assert!(window[PER_MINUTE] - window[0] >= 60_000, "more than the budget in a minute: {window:?}");
        }
    }

    /// With all faults gone, every account that can come back does so within a few calls, each a back-off after the other.
    pub(crate) fn check_the_end(&mut self) {
        self.platform.clear_faults();
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
            let known = &self.known[number];
            let client = &self.clients[0];
            match client.headers_for(account.as_str(), "GET") {
                Ok(headers) => {
                    assert!(known.stored, "a removed account was served");
                    let token = headers.authorization().strip_prefix("Bearer ").unwrap();
                    if self.platform.is_current(number, token) {
                        return;
                    }
                    // The API refuses what is no longer the family's token.
                    let body = br#"{"message":"The token is expired"}"#;
                    let _ = client.report(&headers, 401, &[], body);
                    self.clock.advance(Duration::from_secs(61));
                }
                Err(error) if error.code() == ErrorCode::NoGrant => {
                    assert!(!known.stored, "{error:?}");
                    return;
                }
                Err(error) if error.code() == ErrorCode::ReauthorizationRequired => {
                    assert!(known.revoked || known.may_be_lost, "{error:?}");
                    return;
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    self.clock.advance(error.retry_after().unwrap_or(Duration::from_secs(1)));
                }
            }
        }
        assert!(self.known[number].may_be_lost || self.known[number].revoked, "{account} did not come back");
    }
}
