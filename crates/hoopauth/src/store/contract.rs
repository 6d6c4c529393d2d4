//! The promises of every store of ours, as tests that each of them runs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{BackOff, Begin, Key, NewRecord, Priority, Slot, SlotRequest, TokenStore};
use crate::account::Account;
use crate::clock::Timestamp;

/// Place where a store is tried out.
pub(super) trait Bench {
    /// A store, over the same records each time.
    fn open(&self) -> Arc<dyn TokenStore>;

    /// The client's clock.
    fn now(&self) -> Timestamp;

    /// Lets time pass, for the client and for the store.
    fn pass(&self, time: Duration);
}

/// Makes a test of each promise.
macro_rules! contract {
    ($bench:expr) => {
        crate::store::contract::contract!($bench;
            compare_and_set_never_upserts
            a_mark_keeps_its_first_time_and_goes_with_its_generation
            a_back_off_is_bound_to_its_generation
            a_lease_is_exclusive_and_holds_up_nobody_else
            a_lease_ends_its_work_whatever_others_store
            the_budget_is_one_for_all
            an_exhausted_minute_is_full_for_all
            the_troubled_are_listed_apart
            claims_end
            what_ends_first_is_due_first
            changes_are_told_by_name
            many_threads_share_a_store
        );
    };
    ($bench:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                crate::store::contract::$name(&$bench);
            }
        )*
    };
}
pub(super) use contract;

const SLOT: SlotRequest = SlotRequest { per_minute: 5, priority: Priority::Normal };

fn account() -> Account {
    Account::location("l").unwrap()
}

fn key(account: &Account) -> Key<'_> {
    Key { app: "app", account }
}

fn new_record(bytes: &[u8]) -> NewRecord {
    NewRecord {
        grant: Some(bytes.to_vec()),
        expires_at: Timestamp(7),
        seen: vec![[1; 16], [2; 16]],
    }
}

pub(super) fn compare_and_set_never_upserts(bench: &dyn Bench) {
    let (store, now) = (bench.open(), bench.now());
    let account = account();
    let key = key(&account);
    assert!(store.load(&key, now).unwrap().is_none());
    assert!(!store.save(&key, 1, &new_record(b"x")).unwrap());
    assert!(store.save(&key, 0, &new_record(b"a")).unwrap());
    assert!(!store.save(&key, 0, &new_record(b"b")).unwrap());
    let record = store.load(&key, now).unwrap().unwrap();
    assert_eq!((record.generation, record.grant.as_deref()), (1, Some(&b"a"[..])));
    assert_eq!((record.expires_at, record.seen), (Timestamp(7), vec![[1; 16], [2; 16]]));
    assert_eq!(store.accounts("app").unwrap(), std::slice::from_ref(&account));

    assert!(store.save(&key, 1, &NewRecord { grant: None, ..new_record(b"") }).unwrap());
    assert_eq!(store.accounts("app").unwrap(), []);
    assert!(store.save(&key, 2, &new_record(b"c")).unwrap());
    assert!(!store.save(&key, u64::MAX - 1, &new_record(b"c")).is_ok_and(|saved| saved));
    let other = Key { app: "other", account: &account };
    assert!(store.load(&other, now).unwrap().is_none());
    assert_eq!(store.accounts("other").unwrap(), []);

    // All of it is there for the next one, who also sees whether anything changed.
    let next = bench.open();
    assert_eq!(next.load(&key, now).unwrap().unwrap().generation, 3);
    let changes = next.changes().unwrap();
    assert!(store.save(&key, 3, &new_record(b"d")).unwrap());
    assert_ne!(next.changes().unwrap(), changes);
}

pub(super) fn a_mark_keeps_its_first_time_and_goes_with_its_generation(bench: &dyn Bench) {
    let store = bench.open();
    let account = account();
    let key = key(&account);
    let seconds = |age: Duration| age.as_secs();
    store.save(&key, 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key, Duration::ZERO).unwrap().unwrap();
    assert_eq!(lease.begin(7, [1; 16], SLOT, bench.now()).unwrap(), Begin::Moved);
    assert_eq!(store.open_marks("app").unwrap(), []);
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Marked);
    assert_eq!(store.open_marks("app").unwrap(), std::slice::from_ref(&account));
    bench.pass(Duration::from_secs(9));
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Marked);
    let mark = lease.load(bench.now()).unwrap().unwrap().mark.unwrap();
    assert_eq!((mark.fingerprint, seconds(mark.age)), ([1; 16], 9));
    // The platform has forgotten that request: this one begins a window of its own.
    bench.pass(Duration::from_secs(52));
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Marked);
    let mark = lease.load(bench.now()).unwrap().unwrap().mark.unwrap();
    assert_eq!((mark.fingerprint, seconds(mark.age)), ([1; 16], 0));
    lease.begin(1, [2; 16], SLOT, bench.now()).unwrap();
    let mark = lease.load(bench.now()).unwrap().unwrap().mark.unwrap();
    assert_eq!((mark.fingerprint, seconds(mark.age)), ([2; 16], 0));

    lease.note(7, true, None).unwrap();
    assert!(lease.load(bench.now()).unwrap().unwrap().mark.is_some());
    lease.note(1, true, None).unwrap();
    assert!(lease.load(bench.now()).unwrap().unwrap().mark.is_none());
    lease.begin(1, [3; 16], SLOT, bench.now()).unwrap();
    assert!(lease.save(1, &new_record(b"b")).unwrap());
    assert!(lease.load(bench.now()).unwrap().unwrap().mark.is_none());
    assert_eq!(store.open_marks("app").unwrap(), []);
}

pub(super) fn a_back_off_is_bound_to_its_generation(bench: &dyn Bench) {
    let store = bench.open();
    let account = account();
    let key = key(&account);
    store.save(&key, 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key, Duration::ZERO).unwrap().unwrap();
    let until = bench.now().plus(Duration::from_secs(5));
    let back_off = BackOff {
        refused: true,
        until,
        failures: 2,
        code: 30,
        message: "\"no\"".into(),
        alone: 1,
        status: Some(400),
        server_message: Some("gone".into()),
        retryable: true,
        at: bench.now(),
        settings: Some([7; 16]),
    };
    lease.load(bench.now()).unwrap();
    lease.note(7, true, Some(&back_off)).unwrap();
    assert!(lease.load(bench.now()).unwrap().unwrap().back_off.is_none());
    lease.begin(1, [1; 16], SLOT, bench.now()).unwrap();
    lease.note(1, false, Some(&back_off)).unwrap();
    let record = lease.load(bench.now()).unwrap().unwrap();
    assert_eq!((record.back_off, record.mark.is_some()), (Some(back_off.clone()), true));
    lease.note(1, true, None).unwrap();
    let record = lease.load(bench.now()).unwrap().unwrap();
    assert_eq!((record.back_off, record.mark), (None, None));
    lease.note(1, false, Some(&back_off)).unwrap();
    assert!(lease.save(1, &new_record(b"b")).unwrap());
    assert_eq!(lease.load(bench.now()).unwrap().unwrap().back_off, None);
}

pub(super) fn a_lease_is_exclusive_and_holds_up_nobody_else(bench: &dyn Bench) {
    let (store, other) = (bench.open(), bench.open());
    let (one, two) = (account(), Account::location("m").unwrap());
    let first = store.lease(&key(&one), Duration::ZERO).unwrap().unwrap();
    assert!(store.lease(&key(&one), Duration::ZERO).unwrap().is_none());
    assert!(other.lease(&key(&one), Duration::from_millis(1)).unwrap().is_none());
    // Another account and another app go on.
    let mut second = other.lease(&key(&two), Duration::ZERO).unwrap().unwrap();
    assert!(second.save(0, &new_record(b"m")).unwrap());
    assert!(store.save(&key(&one), 0, &new_record(b"l")).unwrap());
    let elsewhere = Key { app: "other", account: &one };
    assert!(store.lease(&elsewhere, Duration::ZERO).unwrap().is_some());
    thread::scope(|scope| {
        let waiting =
            scope.spawn(|| other.lease(&key(&one), Duration::from_secs(60)).unwrap().is_some());
        drop(first);
        assert!(waiting.join().unwrap());
    });
    assert!(store.lease(&key(&one), Duration::ZERO).unwrap().is_some());
}

pub(super) fn a_lease_ends_its_work_whatever_others_store(bench: &dyn Bench) {
    let store = bench.open();
    let account = account();
    let key = key(&account);
    store.save(&key, 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key, Duration::ZERO).unwrap().unwrap();
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Marked);
    assert!(bench.open().save(&key, 1, &new_record(b"newer")).unwrap());
    assert!(!lease.save(1, &new_record(b"late")).unwrap());
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Moved);
    let record = lease.load(bench.now()).unwrap().unwrap();
    assert_eq!((record.generation, record.grant.as_deref()), (2, Some(&b"newer"[..])));
}

pub(super) fn the_budget_is_one_for_all(bench: &dyn Bench) {
    let (store, other) = (bench.open(), bench.open());
    let account = account();
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key(&account), Duration::ZERO).unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!(store.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
        assert_eq!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
    }
    // The last place is kept for the repeat of what this would send, until another is free in time
    // for it.
    let Begin::Wait(wait) = lease.begin(1, [1; 16], SLOT, bench.now()).unwrap() else {
        panic!("no wait")
    };
    assert!((44..=46).contains(&wait.as_secs()), "{wait:?}");
    bench.pass(Duration::from_secs(50));
    assert_eq!(lease.begin(1, [1; 16], SLOT, bench.now()).unwrap(), Begin::Marked);
    let Begin::Wait(wait) = lease.begin(1, [2; 16], SLOT, bench.now()).unwrap() else {
        panic!("no wait")
    };
    assert!((10..=11).contains(&wait.as_secs()), "{wait:?}");
    // The mark is the old one: without a slot nothing is sent.
    let mark = lease.load(bench.now()).unwrap().unwrap().mark.unwrap();
    assert_eq!(mark.fingerprint, [1; 16]);
    assert!(matches!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Wait(_)));
    let recovery = SlotRequest { priority: Priority::Recovery, ..SLOT };
    assert_eq!(other.take_slot("app", recovery, bench.now()).unwrap(), Slot::Taken);
    assert_eq!(other.take_slot("other", SLOT, bench.now()).unwrap(), Slot::Taken);
    bench.pass(Duration::from_secs(12));
    // Of six, one was sent a moment ago and one is the repeat: with the mark open, a login leaves
    // the last place to it, too.
    for _ in 0..2 {
        assert_eq!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
    }
    assert!(matches!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Wait(_)));
    lease.note(1, true, None).unwrap();
    assert_eq!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
}

pub(super) fn an_exhausted_minute_is_full_for_all(bench: &dyn Bench) {
    let (store, other) = (bench.open(), bench.open());
    assert_eq!(store.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
    store.exhaust("app", SLOT.per_minute, Duration::MAX, bench.now()).unwrap();
    assert!(matches!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Wait(_)));
    assert_eq!(other.take_slot("other", SLOT, bench.now()).unwrap(), Slot::Taken);
    bench.pass(Duration::from_secs(62));
    assert_eq!(other.take_slot("app", SLOT, bench.now()).unwrap(), Slot::Taken);
}

/// A host's own store can't tell them apart: there maintenance finds out by itself.
pub(super) fn the_troubled_are_listed_apart(bench: &dyn Bench) {
    let store = bench.open();
    let now = bench.now();
    let named: Vec<Account> = (0..3).map(|n| Account::location(&n.to_string()).unwrap()).collect();
    for account in &named {
        assert!(store.save(&key(account), 0, &new_record(b"a")).unwrap());
    }
    let note = |account: &Account, back_off: BackOff| {
        let mut lease = store.lease(&key(account), Duration::ZERO).unwrap().unwrap();
        lease.load(bench.now()).unwrap();
        lease.note(1, false, Some(&back_off)).unwrap();
    };
    let ends = |seconds| now.plus(Duration::from_secs(seconds));
    note(&named[0], BackOff { refused: true, until: ends(60), ..BackOff::default() });
    note(&named[1], BackOff { alone: 2, until: ends(30), ..BackOff::default() });
    let due = store.due("app", now, 9).unwrap();
    assert_eq!((due.total, due.first.len() + due.ended.len(), due.troubled.len()), (1, 1, 0));
    bench.pass(Duration::from_secs(61));
    let due = store.due("app", bench.now(), 9).unwrap();
    assert_eq!(due.troubled, [named[1].clone(), named[0].clone()]);
    assert_eq!(store.due("app", bench.now(), 1).unwrap().troubled, [named[1].clone()]);
    // A new grant ends all trouble.
    assert!(store.save(&key(&named[0]), 1, &new_record(b"b")).unwrap());
    let due = store.due("app", bench.now(), 9).unwrap();
    assert_eq!((due.total, due.first.len() + due.ended.len(), due.troubled.len()), (2, 2, 1));
}

pub(super) fn claims_end(bench: &dyn Bench) {
    let store = bench.open();
    let claim = |app| {
        let now = bench.now();
        store.claim(app, &[1; 16], now.plus(Duration::from_secs(60)), now).unwrap()
    };
    let claimed = |app| bench.open().claimed(app, &[1; 16], bench.now()).unwrap();
    assert_eq!(claimed("app"), Some(false));
    assert!(claim("app"));
    assert!(!claim("app"));
    assert_eq!((claimed("app"), claimed("other")), (Some(true), Some(false)));
    assert!(claim("other"));
    store.unclaim("app", &[1; 16]).unwrap();
    assert_eq!((claimed("app"), claimed("other")), (Some(false), Some(true)));
    assert!(claim("app"));
    bench.pass(Duration::from_secs(61));
    assert_eq!(claimed("app"), Some(false));
    assert!(claim("app"));
    assert!(!claim("app"));
}

pub(super) fn what_ends_first_is_due_first(bench: &dyn Bench) {
    let store = bench.open();
    let now = bench.now();
    let named: Vec<Account> = (0..4).map(|n| Account::location(&n.to_string()).unwrap()).collect();
    let ends = |seconds| now.plus(Duration::from_secs(seconds));
    for (account, seconds) in named.iter().zip([30, 10, 20, 40]) {
        let record = NewRecord { expires_at: ends(seconds), ..new_record(b"a") };
        assert!(store.save(&key(account), 0, &record).unwrap());
    }
    assert!(store.save(&key(&named[3]), 1, &NewRecord { grant: None, ..new_record(b"") }).unwrap());
    let due = store.due("app", now, 2).unwrap();
    assert_eq!(due.total, 3);
    assert_eq!(due.first, [(named[1].clone(), ends(10)), (named[2].clone(), ends(20))]);

    let mut lease = store.lease(&key(&named[1]), Duration::ZERO).unwrap().unwrap();
    lease.load(now).unwrap();
    let back_off = BackOff { until: ends(60), failures: 1, code: 20, ..BackOff::default() };
    lease.note(1, false, Some(&back_off)).unwrap();
    let first =
        |due: super::Due| due.first.into_iter().map(|(account, _)| account).collect::<Vec<_>>();
    assert_eq!(first(store.due("app", now, 9).unwrap()), [named[2].clone(), named[0].clone()]);
    // By then all have ended.
    bench.pass(Duration::from_secs(61));
    let due = store.due("app", bench.now(), 2).unwrap();
    assert_eq!(
        (due.total, &*due.first, &*due.ended),
        (3, &[][..], &[named[1].clone(), named[2].clone()][..])
    );
    assert_eq!(store.due("other", now, 9).unwrap(), super::Due::default());
}

pub(super) fn changes_are_told_by_name(bench: &dyn Bench) {
    let (store, other) = (bench.open(), bench.open());
    let (one, two) = (account(), Account::location("m").unwrap());
    let start = store.changes().unwrap();
    assert_eq!(store.changed("app", start).unwrap(), None);
    assert!(other.save(&key(&one), 0, &new_record(b"a")).unwrap());
    assert!(other.save(&Key { app: "other", account: &one }, 0, &new_record(b"a")).unwrap());
    assert!(other.save(&key(&two), 0, &new_record(b"a")).unwrap());
    assert!(!other.save(&key(&two), 0, &new_record(b"a")).unwrap());
    let mut lease = other.lease(&key(&one), Duration::ZERO).unwrap().unwrap();
    assert!(lease.save(1, &NewRecord { grant: None, ..new_record(b"") }).unwrap());
    let changed = |app, since| store.changed(app, since).unwrap();
    assert_eq!(
        changed("app", start),
        Some(vec![(one.clone(), 1), (two.clone(), 1), (one.clone(), 2)])
    );
    assert_eq!(changed("app", start + 2), Some(vec![(two, 1), (one.clone(), 2)]));
    assert_eq!(changed("other", start), Some(vec![(one, 1)]));
    assert_eq!(changed("third", start), Some(vec![]));
    // No claim is made for an unknown id.
    assert_eq!(changed("app", start + 4), None);
    assert_eq!(changed("app", start + 99), None);
}

pub(super) fn many_threads_share_a_store(bench: &dyn Bench) {
    let store = bench.open();
    let before = store.changes().unwrap();
    thread::scope(|scope| {
        for thread in 0..32 {
            let store = &store;
            scope.spawn(move || {
                let account = Account::location(&thread.to_string()).unwrap();
                for round in 0..4 {
                    assert!(store.save(&key(&account), round, &new_record(b"a")).unwrap());
                    let record = store.load(&key(&account), Timestamp(0)).unwrap().unwrap();
                    assert_eq!(record.generation, round + 1);
                }
            });
        }
    });
    assert_eq!(store.changes().unwrap(), before + 128);
}

/// A clock that stands still until it is moved.
pub(super) struct Still(std::sync::Mutex<Timestamp>);

impl Still {
    pub(super) fn new() -> Self {
        Self(std::sync::Mutex::new(Timestamp(1_000_000)))
    }

    pub(super) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(super) fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(time);
    }
}
