//! Maintenance of a fleet, on a clock of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "the model's tests use the rest")]
mod model {
    pub(crate) mod platform;
    pub(crate) mod world {
        pub(crate) fn id(account: usize) -> String {
            format!("location{account}")
        }
    }
}

use std::collections::HashSet;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use hoopauth::binding::{BuilderBinding as _, ClientBinding as _, Step};
use hoopauth::store::{MemoryStore, TokenStore};
use hoopauth::{
    Account, Change, Client, ClientBuilder, Clock, Error, ErrorCode, Grant, Maintenance,
    ManualClock, Timestamp,
};
use model::platform::{Fault, LIFE, Platform};
use model::world::id;

struct Fleet {
    clock: Arc<ManualClock>,
    platform: Platform,
    store: Arc<MemoryStore>,
    accounts: Vec<Account>,
}

impl Fleet {
    fn new(accounts: usize) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        Self {
            platform: Platform::new(clock.clone(), accounts),
            clock,
            store: Arc::new(MemoryStore::new()),
            accounts: (0..accounts).map(|number| Account::location(&id(number)).unwrap()).collect(),
        }
    }

    fn builder(&self) -> ClientBuilder {
        let store: Arc<dyn TokenStore> = self.store.clone();
        Client::builder()
            .client_id("app-1")
            .client_secret("secret")
            .token_store(store)
            .transport(Arc::new(self.platform.clone()))
            .clock(self.clock.clone())
    }

    /// All accounts authorized now.
    fn client(&self) -> Client {
        let client = self.builder().build().unwrap();
        for (number, account) in self.accounts.iter().enumerate() {
            let (access, refresh) = self.platform.authorize(number);
            let ends = self.clock.now().plus(LIFE);
            let grant = Grant::new(account.clone(), access)
                .with_refresh_token(refresh)
                .with_expires_at(ends);
            client.import(grant, true).unwrap();
        }
        client
    }

    fn all_live(&self, client: &Client) {
        for account in &self.accounts {
            let headers = client.headers_for(account.as_str(), "GET").unwrap();
            let token = headers.authorization().strip_prefix("Bearer ").unwrap();
            assert!(self.platform.lives(token), "{account} was served an ended token");
        }
    }

    fn no_token_was_sent_twice(&self) {
        let sent = self.platform.sent();
        let different: HashSet<_> = sent.iter().map(|sent| &sent.token).collect();
        assert_eq!(different.len(), sent.len());
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_small_fleet_is_renewed_in_its_last_quarter_by_maintenance_alone() {
    let fleet = Fleet::new(7);
    let client = fleet.client();
    for _ in 0..4 * 24 * 60 {
        let sent = fleet.platform.sent().len();
        fleet.all_live(&client);
        assert_eq!(fleet.platform.sent().len(), sent, "a caller refreshed");
        client.maintain(fleet.clock.now().plus(MINUTE)).unwrap();
    }
    fleet.no_token_was_sent_twice();
    let sent = fleet.platform.sent().len();
    assert!((7 * 4..=7 * 6).contains(&sent), "{sent} refreshes in four days");
}

#[test]
fn many_maintainers_renew_nothing_twice() {
    let fleet = Fleet::new(40);
    let first = fleet.client();
    let others: Vec<_> = (0..3).map(|_| fleet.builder().build().unwrap()).collect();
    let until = fleet.clock.now().plus(3 * LIFE);
    std::thread::scope(|scope| {
        for client in others.iter().chain([&first]) {
            scope.spawn(|| client.maintain(until).unwrap());
        }
    });
    fleet.no_token_was_sent_twice();
    fleet.all_live(&first);
}

/// One maintainer, for each moves the one clock: with several, time passes between a slot and its
/// request.
#[test]
fn the_budget_is_kept() {
    let fleet = Fleet::new(300);
    let client = fleet.client();
    client.maintain(fleet.clock.now().plus(2 * LIFE)).unwrap();
    fleet.no_token_was_sent_twice();
    fleet.all_live(&client);
    let sent: Vec<u64> = fleet.platform.sent().iter().map(|sent| sent.at).collect();
    assert!(sent.len() >= 600, "{} refreshes", sent.len());
    assert!(
        sent.windows(6).all(|six| six[5] - six[0] >= 60_000),
        "more than the budget in a minute"
    );
}

/// An unused refresh token lives for a year: nobody may wait that long because others are many.
#[test]
fn in_a_fleet_beyond_the_budget_nobody_is_forgotten() {
    let fleet = Fleet::new(200);
    drop(fleet.client());
    let client = fleet.builder().token_requests_per_minute(1).build().unwrap();
    // A seventh of what the platform's day would take.
    fleet.clock.advance(LIFE * 30);
    let start = fleet.clock.now();
    client.maintain(start.plus(Duration::from_secs(61 * 450))).unwrap();
    fleet.no_token_was_sent_twice();
    for account in &fleet.accounts {
        let refreshed = client.health(account).unwrap().refreshed_at;
        assert!(refreshed >= start, "{account} was not renewed in the time of two rounds");
    }
}

#[test]
fn an_idle_fleet_is_kept_alive_for_years() {
    let fleet = Fleet::new(3);
    let client = fleet.client();
    for _ in 0..900 {
        fleet.clock.advance(20 * 60 * MINUTE);
        client.maintain(fleet.clock.now().plus(MINUTE)).unwrap();
        for account in &fleet.accounts {
            assert!(client.health(account).unwrap().idle_days_left.unwrap() >= 363);
        }
    }
    fleet.all_live(&client);
    fleet.no_token_was_sent_twice();
}

#[test]
fn an_open_refresh_is_finished_though_nobody_calls() {
    let fleet = Fleet::new(1);
    drop(fleet.client());
    let fails = fleet
        .builder()
        .step_hook(|step, _| match step {
            Step::Check => Err(Error::new(ErrorCode::Store, "told to fail")),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    fleet.clock.advance(LIFE);
    fails.headers_for(fleet.accounts[0].as_str(), "GET").unwrap_err();
    fleet.clock.advance(Duration::from_secs(10));

    let client = fleet.builder().build().unwrap();
    client.maintain(fleet.clock.now().plus(Duration::from_secs(1))).unwrap();
    let stored = client.export(&fleet.accounts[0]).unwrap();
    assert_eq!(stored.refresh_token().unwrap().expose(), fleet.platform.current(0));
    assert!(fleet.platform.sent().iter().all(|sent| !sent.too_late));
}

#[test]
fn accounts_that_cannot_be_renewed_hold_nobody_up() {
    let fleet = Fleet::new(30);
    let client = fleet.client();
    for number in 0..25 {
        fleet.platform.revoke(number);
    }
    for fault in [Fault::LostAnswer, Fault::Status(500), Fault::NotSent, Fault::Garbage] {
        fleet.platform.add_fault(fault);
    }
    client.maintain(fleet.clock.now().plus(2 * LIFE)).unwrap();
    for (number, account) in fleet.accounts.iter().enumerate() {
        match client.headers_for(account.as_str(), "GET") {
            Ok(_) => assert!(number >= 25),
            Err(error) => {
                assert!(number < 25, "{error:?}");
                assert_eq!(error.code(), ErrorCode::ReauthorizationRequired);
            }
        }
    }
    // Refused ones are asked for again, ever more rarely.
    assert!(fleet.platform.sent().len() < 25 * 10 + 5 * 4, "{}", fleet.platform.sent().len());
}

#[test]
fn in_the_background_until_it_is_dropped_or_the_client_closed() {
    let fleet = Fleet::new(1);
    drop(fleet.client());
    fleet.clock.advance(LIFE);
    let (renewed, news) = mpsc::channel();
    let client = fleet
        .builder()
        .on_change(move |change| renewed.send(change.kind).unwrap())
        .build()
        .unwrap();
    let maintenance = client.maintain_in_background().unwrap();
    news.recv().unwrap();
    drop(maintenance);
    let stored = client.export(&fleet.accounts[0]).unwrap();
    assert_eq!(stored.refresh_token().unwrap().expose(), fleet.platform.current(0));

    let maintenance = client.maintain_in_background().unwrap();
    client.close().unwrap();
    drop(maintenance);
    assert_eq!(client.maintain_in_background().unwrap_err().code(), ErrorCode::InvalidState);
    let later = fleet.clock.now().plus(MINUTE);
    assert_eq!(client.maintain(later).unwrap_err().code(), ErrorCode::InvalidState);
    let token = Client::builder().access_token("a").build().unwrap();
    assert_eq!(token.maintain(later).unwrap_err().code(), ErrorCode::InvalidState);
}

/// Maintenance that a hook lets go of.
type Holding = Option<(Maintenance, Option<Client>)>;

/// The last hold on maintenance, or on the client itself, goes away in a hook that runs on
/// maintenance's own thread.
#[test]
fn maintenance_and_client_may_go_on_maintenances_own_thread() {
    for with_client in [false, true] {
        let fleet = Fleet::new(1);
        drop(fleet.client());
        fleet.clock.advance(LIFE);
        let held: Arc<Mutex<Holding>> = Arc::default();
        let (done, gone) = mpsc::channel();
        let in_hook = Arc::clone(&held);
        let hook = move |_: &Change| {
            let held = in_hook.lock().unwrap().take();
            let own_thread = std::thread::current().name() == Some("hoopauth-maintenance");
            drop(held);
            done.send(own_thread).unwrap();
        };
        let client = fleet.builder().on_change(hook).build().unwrap();
        let (ends, ended) = mpsc::channel::<()>();
        let mut holding = held.lock().unwrap();
        let maintenance = client.maintain_in_background_holding(ends).unwrap();
        let keeps = (!with_client).then(|| client.clone());
        *holding = Some((maintenance, Some(client)));
        drop(holding);
        assert!(gone.recv().unwrap(), "the hook ran there");
        // The thread ends: what it held is dropped.
        assert!(ended.recv().is_err());
        // The renewed pair is saved.
        let stored = fleet.builder().build().unwrap().export(&fleet.accounts[0]).unwrap();
        assert_eq!(stored.refresh_token().unwrap().expose(), fleet.platform.current(0));
        if let Some(client) = keeps {
            client.close().unwrap();
        }
    }
}

/// Closing waits for calls under way, the one that the hook belongs to among them: refused, and
/// nothing hangs.
#[test]
fn a_client_is_not_closed_from_within_its_own_hook() {
    let fleet = Fleet::new(1);
    drop(fleet.client());
    fleet.clock.advance(LIFE);
    let held: Arc<Mutex<Option<Client>>> = Arc::default();
    let (told, hears) = mpsc::channel();
    let in_hook = Arc::clone(&held);
    let hook = move |_: &Change| {
        let client = in_hook.lock().unwrap().take();
        told.send(client.map(|client| client.close())).unwrap();
    };
    let client = fleet.builder().on_change(hook).build().unwrap();
    *held.lock().unwrap() = Some(client.clone());
    let maintenance = client.maintain_in_background().unwrap();
    let error = hears.recv().unwrap().unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidState);
    drop(maintenance);
    client.close().unwrap();
}
