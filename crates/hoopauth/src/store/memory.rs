//! The store of one process: gone with it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::budget::SlidingLog;
use super::{
    BackOff, Begin, Due, Fingerprint, KNOWN_CHANGES, Key, Lease, Mark, NewRecord, Record, Slot,
    SlotRequest, TokenStore, WINDOW, changed_of,
};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::patience;
use crate::process::Process;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// Grants in memory. Serves one process: a forked child has a copy that would spend the parent's
/// refresh tokens, so there it answers `INVALID_STATE`.
#[derive(Debug)]
pub struct MemoryStore {
    process: Process,
    inner: Mutex<Tables>,
    freed: Condvar,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            process: Process::this(),
            inner: Mutex::new(Tables::default()),
            freed: Condvar::new(),
        }
    }

    /// The guard, unless this is a forked copy (whose lock may be held for ever by a thread that is
    /// not here).
    fn inner(&self) -> Result<MutexGuard<'_, Tables>> {
        if !self.process.is_this() {
            return Err(Error::state(
                "a forked process can't use its parent's memory store: make the client after the \
                 fork, or use a store that processes share",
            ));
        }
        Ok(lock(&self.inner))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenStore for MemoryStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.inner()?.load(&owned(key), now))
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        Ok(self.inner()?.save(owned(key), expected, record))
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        Ok(self.inner()?.accounts(app, |row| row.record.grant.is_some()))
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        Ok(self.inner()?.accounts(app, |row| row.mark.is_some()))
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        let inner = self.inner()?;
        let Some(live) = inner.live.get(app) else { return Ok(Due::default()) };
        let waits = |account: &Account| {
            let row = inner.rows.get(&(app.to_owned(), account.clone()));
            row.and_then(|row| row.record.back_off.as_ref())
                .is_some_and(|back_off| back_off.lasts(now))
        };
        let ready = |(_, account): &&(Timestamp, Account)| !waits(account);
        let ended =
            live.deadlines.iter().take_while(|(at, _)| *at <= now).filter(ready).take(limit);
        let living =
            live.deadlines.iter().skip_while(|(at, _)| *at <= now).filter(ready).take(limit);
        let ripe = |(_, account): &&(Timestamp, Account)| !waits(account);
        let troubled = live.troubled.iter().take_while(|(until, _)| *until <= now);
        // Those of a clock that was far ahead stand at the end.
        let wrong =
            live.troubled.iter().rev().take_while(|(until, _)| until.since(now) > BackOff::LONGEST);
        let troubled = troubled.chain(wrong).filter(ripe).take(limit);
        Ok(Due {
            total: live.deadlines.len() as u64,
            first: living.map(|(at, account)| (account.clone(), *at)).collect(),
            ended: ended.map(|(_, account)| account.clone()).collect(),
            troubled: troubled.map(|(_, account)| account.clone()).collect(),
        })
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        let key = owned(key);
        let wait = patience::at_most(wait);
        let until = Instant::now().checked_add(wait);
        let mut inner = self.inner()?;
        while inner.leased.contains(&key) {
            let left = until.map_or(wait, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            inner = crate::sync::wait(&self.freed, inner, left);
        }
        inner.leased.insert(key.clone());
        Ok(Some(Box::new(MemoryLease { store: self, key })))
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        let mut inner = self.inner()?;
        let in_doubt = inner.has_open_window(app, now);
        Ok(inner.budgets.entry(app.to_owned()).or_default().take(request, now, in_doubt))
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        self.inner()?.budgets.entry(app.to_owned()).or_default().fill(per_minute, wait, now);
        Ok(())
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        let mut inner = self.inner()?;
        let claims = inner.claims.entry(app.to_owned()).or_default();
        while let Some((ends, ended)) =
            claims.by_end.first().filter(|(ends, _)| *ends <= now).copied()
        {
            claims.by_end.remove(&(ends, ended));
            claims.ends.remove(&ended);
        }
        if claims.ends.contains_key(id) {
            return Ok(false);
        }
        claims.ends.insert(*id, until);
        claims.by_end.insert((until, *id));
        Ok(true)
    }

    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        let inner = self.inner()?;
        let until = inner.claims.get(app).and_then(|claims| claims.ends.get(id));
        Ok(Some(until.is_some_and(|until| *until > now)))
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        let mut inner = self.inner()?;
        if let Some(claims) = inner.claims.get_mut(app)
            && let Some(until) = claims.ends.remove(id)
        {
            claims.by_end.remove(&(until, *id));
        }
        Ok(())
    }

    fn changes(&self) -> Result<u64> {
        Ok(self.inner()?.changes)
    }

    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        let inner = self.inner()?;
        let first = inner.changes - inner.changed.len() as u64 + 1;
        let numbered = (first..).zip(&inner.changed).filter(|(number, _)| *number > since);
        changed_of(
            app,
            since,
            numbered.map(|(number, ((of, account), generation))| {
                Ok((number, of.clone(), account.clone(), *generation))
            }),
        )
    }
}

#[derive(Debug)]
struct MemoryLease<'a> {
    store: &'a MemoryStore,
    key: OwnedKey,
}

impl Lease for MemoryLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.store.inner()?.load(&self.key, now))
    }

    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin> {
        let mut inner = self.store.inner()?;
        let inner = &mut *inner;
        let Some(row) =
            inner.rows.get_mut(&self.key).filter(|row| row.record.generation == expected)
        else {
            return Ok(Begin::Moved);
        };
        if let Slot::Wait(wait) =
            inner.budgets.entry(self.key.0.clone()).or_default().take(slot, now, true)
        {
            return Ok(Begin::Wait(wait));
        }
        row.mark = Some((fingerprint, Mark::date(row.mark, fingerprint, now)));
        inner.marked.entry(self.key.0.clone()).or_default().insert(self.key.1.clone());
        Ok(Begin::Marked)
    }

    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        Ok(self.store.inner()?.save(self.key.clone(), expected, record))
    }

    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        let mut inner = self.store.inner()?;
        let inner = &mut *inner;
        let Some(row) =
            inner.rows.get_mut(&self.key).filter(|row| row.record.generation == expected)
        else {
            return Ok(());
        };
        let live = inner.live.entry(self.key.0.clone()).or_default();
        live.remove(&self.key.1, &row.record);
        if close_mark {
            row.mark = None;
            inner.marked.entry(self.key.0.clone()).or_default().remove(&self.key.1);
        }
        row.record.back_off = back_off.cloned();
        live.insert(&self.key.1, &row.record);
        Ok(())
    }
}

impl Drop for MemoryLease<'_> {
    fn drop(&mut self) {
        // In a forked child the lease is the parent's: nothing to give back.
        if let Ok(mut inner) = self.store.inner() {
            inner.leased.remove(&self.key);
            drop(inner);
            self.store.freed.notify_all();
        }
    }
}

type OwnedKey = (String, Account);

#[derive(Debug, Default)]
struct Tables {
    rows: HashMap<OwnedKey, MemoryRow>,
    /// The live grants of each app.
    live: HashMap<String, Live>,
    /// The accounts of each app whose mark is open.
    marked: HashMap<String, HashSet<Account>>,
    leased: HashSet<OwnedKey>,
    budgets: HashMap<String, SlidingLog>,
    /// Claims of each app.
    claims: HashMap<String, ClaimLog>,
    changes: u64,
    /// The last of them, with the generations they made.
    changed: VecDeque<(OwnedKey, u64)>,
}

/// The live grants of an app.
#[derive(Debug, Default)]
struct Live {
    /// Accounts by the end of their tokens.
    deadlines: BTreeSet<(Timestamp, Account)>,
    /// The troubled ones, by the end of their back-off.
    troubled: BTreeSet<(Timestamp, Account)>,
}

impl Live {
    fn insert(&mut self, account: &Account, record: &Record) {
        if record.grant.is_some() {
            let (set, at) = self.place(record);
            set.insert((at, account.clone()));
        }
    }

    fn remove(&mut self, account: &Account, record: &Record) {
        let (set, at) = self.place(record);
        set.remove(&(at, account.clone()));
    }

    fn place(&mut self, record: &Record) -> (&mut BTreeSet<(Timestamp, Account)>, Timestamp) {
        match record.back_off.as_ref().filter(|back_off| back_off.is_troubled()) {
            Some(back_off) => (&mut self.troubled, back_off.until),
            None => (&mut self.deadlines, record.expires_at),
        }
    }
}

#[derive(Debug, Default)]
struct ClaimLog {
    ends: HashMap<Fingerprint, Timestamp>,
    by_end: BTreeSet<(Timestamp, Fingerprint)>,
}

#[derive(Debug)]
struct MemoryRow {
    record: Record,
    mark: Option<(Fingerprint, Timestamp)>,
}

impl Drop for MemoryRow {
    fn drop(&mut self) {
        // Not sealed without a key.
        zeroize::Zeroize::zeroize(&mut self.record.grant);
    }
}

impl Tables {
    fn load(&self, key: &OwnedKey, now: Timestamp) -> Option<Record> {
        let row = self.rows.get(key)?;
        let mark = row.mark.map(|(fingerprint, sent)| Mark { fingerprint, age: now.since(sent) });
        Some(Record { mark, ..row.record.clone() })
    }

    fn save(&mut self, key: OwnedKey, expected: u64, new: &NewRecord) -> bool {
        if self.rows.get(&key).map_or(0, |row| row.record.generation) != expected {
            return false;
        }
        let record = Record {
            generation: expected + 1,
            grant: new.grant.clone(),
            expires_at: new.expires_at,
            seen: new.seen.clone(),
            mark: None,
            back_off: None,
        };
        let live = self.live.entry(key.0.clone()).or_default();
        if let Some(before) = self.rows.get(&key) {
            live.remove(&key.1, &before.record);
        }
        live.insert(&key.1, &record);
        if let Some(marked) = self.marked.get_mut(&key.0) {
            marked.remove(&key.1);
        }
        if self.changed.len() as u64 == KNOWN_CHANGES {
            self.changed.pop_front();
        }
        self.changed.push_back((key.clone(), expected + 1));
        self.rows.insert(key, MemoryRow { record, mark: None });
        self.changes += 1;
        true
    }

    /// Returns `true` if the answer to a refresh may still be lost and asked for again.
    fn has_open_window(&self, app: &str, now: Timestamp) -> bool {
        let open = |account: &Account| {
            let row = self.rows.get(&(app.to_owned(), account.clone()));
            row.and_then(|row| row.mark).is_some_and(|(_, at)| now.since(at) < WINDOW)
        };
        self.marked.get(app).is_some_and(|marked| marked.iter().any(open))
    }

    fn accounts(&self, app: &str, wanted: impl Fn(&MemoryRow) -> bool) -> Vec<Account> {
        self.rows
            .iter()
            .filter(|((of, _), row)| of == app && wanted(row))
            .map(|((_, account), _)| account.clone())
            .collect()
    }
}

fn owned(key: &Key<'_>) -> OwnedKey {
    (key.app.to_owned(), key.account.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::contract::{Bench, Still, contract};
    use super::*;

    struct Memory(Arc<MemoryStore>, Still);

    impl Bench for Memory {
        fn open(&self) -> Arc<dyn TokenStore> {
            Arc::<MemoryStore>::clone(&self.0)
        }

        fn now(&self) -> Timestamp {
            self.1.now()
        }

        fn pass(&self, time: Duration) {
            self.1.pass(time);
        }
    }

    #[test]
    fn the_last_thousand_changes_are_known() {
        let store = MemoryStore::new();
        let account = Account::location("l").unwrap();
        let key = Key { app: "app", account: &account };
        let record = NewRecord { grant: None, expires_at: Timestamp(0), seen: vec![] };
        for generation in 0..KNOWN_CHANGES + 5 {
            assert!(store.save(&key, generation, &record).unwrap());
        }
        assert_eq!(store.changed("app", 4).unwrap(), None);
        assert_eq!(store.changed("app", 5).unwrap().unwrap().len() as u64, KNOWN_CHANGES);
        assert_eq!(
            store.changed("app", KNOWN_CHANGES + 4).unwrap(),
            Some(vec![(account, KNOWN_CHANGES + 5)])
        );
    }

    contract!(Memory(Arc::new(MemoryStore::new()), Still::new()));
}
