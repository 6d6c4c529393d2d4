//! A store of the program's: `load`, `save` and `accounts` are enough; what else it has is used.
//!
//! What it lacks is done in this process: leases, the budget and claims by a memory store, notes (marks and back-offs) by a
//! map beside the rows, lists by reading every row.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hoopauth::store::{
    BackOff, Begin, Due, Fingerprint, Key, Lease, Mark, MemoryStore, NewRecord, Priority, Record,
    Slot as Room, SlotRequest, TokenStore,
};
use hoopauth::{Account, Error, ErrorCode, Result, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::{Deserialize, Serialize};

use crate::callback::Slot;
use crate::clock::{seconds, timestamp};

pub(crate) struct PyStore {
    slot: Arc<Slot>,
    has: Has,
    here: MemoryStore,
    notes: Mutex<HashMap<(String, Account), Notes>>,
    changes: AtomicU64,
}

/// Which of the methods that may be left out there are.
#[allow(clippy::struct_excessive_bools, reason = "one per method")]
struct Has {
    update: bool,
    open_marks: bool,
    due: bool,
    lease: bool,
    take_slot: bool,
    claim: bool,
    unclaim: bool,
    changes: bool,
}

impl PyStore {
    pub(crate) fn new(py: Python<'_>, slot: Arc<Slot>) -> PyResult<Self> {
        let has = Has {
            update: slot.has(py, "update")?,
            open_marks: slot.has(py, "open_marks")?,
            due: slot.has(py, "due")?,
            lease: slot.has(py, "lease")?,
            take_slot: slot.has(py, "take_slot")?,
            claim: slot.has(py, "claim")?,
            unclaim: slot.has(py, "unclaim")?,
            changes: slot.has(py, "changes")?,
        };
        Ok(Self { slot, has, here: MemoryStore::new(), notes: Mutex::default(), changes: AtomicU64::new(0) })
    }

    /// The row as it is stored, with its generation and the notes that are kept beside it.
    fn row(&self, key: &Key<'_>) -> Result<Option<(u64, Row)>> {
        let found: Option<(u64, Vec<u8>)> = self
            .slot
            .call("load", |store| store.call_method1("load", (key.app, key.account.as_str()))?.extract())?;
        let Some((generation, data)) = found else { return Ok(None) };
        let mut row = Row::read(&data, key.account)?;
        if !self.has.update
            && let Some(notes) = self.notes().get(&owned(key)).filter(|notes| notes.generation == generation)
        {
            (row.mark, row.back_off) = (notes.mark.clone(), notes.back_off.clone());
        }
        Ok(Some((generation, row)))
    }

    /// Writes the notes of a generation.
    fn write_notes(&self, key: &Key<'_>, generation: u64, row: Row) -> Result<()> {
        if self.has.update {
            let marked = row.mark.is_some();
            let data = row.write()?;
            self.slot.call("update", |store| {
                let data = PyBytes::new(store.py(), &data);
                store
                    .call_method1("update", (key.app, key.account.as_str(), generation, data, marked))
                    .map(drop)
            })?;
        } else {
            let notes = Notes { generation, mark: row.mark, back_off: row.back_off };
            self.notes().insert(owned(key), notes);
        }
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Every account that the store knows of, with its row.
    fn rows(&self, app: &str) -> Result<Vec<(Account, Row)>> {
        let mut rows = Vec::new();
        for account in self.names("accounts", app)? {
            if let Some((_, row)) = self.row(&Key { app, account: &account })? {
                rows.push((account, row));
            }
        }
        Ok(rows)
    }

    fn names(&self, method: &str, app: &str) -> Result<Vec<Account>> {
        let names: Vec<String> = self.slot.call(method, |store| {
            store.call_method1(method, (app,))?.try_iter()?.map(|name| name?.extract()).collect()
        })?;
        names.iter().map(|name| Account::parse(name).map_err(|_| self.nonsense(method))).collect()
    }

    fn nonsense(&self, method: &str) -> Error {
        Error::new(
            ErrorCode::CallbackFailed,
            format!("`{method}` of the program's store answered an account that is none"),
        )
    }

    /// The first `limit` of the store's own list that do not wait for their back-off to end.
    fn due_of_store(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        let mut ask = limit;
        loop {
            let (total, first): (u64, Vec<(String, f64)>) = self.slot.call("due", |store| {
                let (total, first): (u64, Bound<'_, PyAny>) =
                    store.call_method1("due", (app, seconds(now), ask))?.extract()?;
                let first = first.try_iter()?.map(|item| item?.extract()).collect::<PyResult<_>>()?;
                Ok((total, first))
            })?;
            let complete = first.len() < ask;
            let mut due = Due { total, first: Vec::new() };
            for (name, ends) in first {
                let account = Account::parse(&name).map_err(|_| self.nonsense("due"))?;
                let row = self.row(&Key { app, account: &account })?;
                if row.is_some_and(|(_, row)| row.is_due(now)) {
                    due.first.push((account, timestamp(ends)));
                }
            }
            if complete || due.first.len() >= limit {
                due.first.truncate(limit);
                return Ok(due);
            }
            ask = ask.saturating_mul(2);
        }
    }

    fn notes(&self) -> MutexGuard<'_, HashMap<(String, Account), Notes>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for PyStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        let Some((generation, row)) = self.row(key)? else { return Ok(None) };
        row.into_record(generation, now, key.account).map(Some)
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        let data = Row::new(record).write()?;
        let expires_at = record.grant.is_some().then(|| seconds(record.expires_at));
        let saved: bool = self.slot.call("save", |store| {
            let data = PyBytes::new(store.py(), &data);
            let arguments = (key.app, key.account.as_str(), expected, data, expires_at);
            store.call_method1("save", arguments)?.is_truthy()
        })?;
        if saved {
            self.notes().remove(&owned(key));
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        Ok(saved)
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        let rows = self.rows(app)?;
        Ok(rows.into_iter().filter(|(_, row)| row.grant.is_some()).map(|(account, _)| account).collect())
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        if !self.has.update {
            let notes = self.notes();
            let marked = notes.iter().filter(|((of, _), notes)| of == app && notes.mark.is_some());
            return Ok(marked.map(|((_, account), _)| account.clone()).collect());
        }
        if self.has.open_marks {
            return self.names("open_marks", app);
        }
        let rows = self.rows(app)?;
        Ok(rows.into_iter().filter(|(_, row)| row.mark.is_some()).map(|(account, _)| account).collect())
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        if self.has.due {
            return self.due_of_store(app, now, limit);
        }
        let rows: Vec<_> = self.rows(app)?.into_iter().filter(|(_, row)| row.grant.is_some()).collect();
        let total = rows.len() as u64;
        let mut first: Vec<_> = rows
            .into_iter()
            .filter(|(_, row)| row.is_due(now))
            .map(|(account, row)| (account, row.expires_at))
            .collect();
        first.sort_by_key(|(_, ends)| *ends);
        first.truncate(limit);
        Ok(Due { total, first })
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        let held = if self.has.lease {
            let lease = self.slot.call("lease", |store| {
                let lease =
                    store.call_method1("lease", (key.app, key.account.as_str(), wait.as_secs_f64()))?;
                Ok((!lease.is_none()).then(|| lease.unbind()))
            })?;
            lease.map(Held::Program)
        } else {
            self.here.lease(key, wait)?.map(Held::Here)
        };
        Ok(held.map(|held| -> Box<dyn Lease + 'a> {
            Box::new(PyLease { store: self, app: key.app.to_owned(), account: key.account.clone(), held })
        }))
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Room> {
        if !self.has.take_slot {
            return self.here.take_slot(app, request, now);
        }
        let priority = match request.priority {
            Priority::Soft => "soft",
            Priority::Normal => "normal",
            Priority::Recovery => "recovery",
        };
        let wait: f64 = self.slot.call("take_slot", |store| {
            store.call_method1("take_slot", (app, request.per_minute, priority, seconds(now)))?.extract()
        })?;
        Ok(if wait > 0.0 {
            Room::Wait(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
        } else {
            Room::Taken
        })
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        if !self.has.claim {
            return self.here.claim(app, id, until, now);
        }
        self.slot.call("claim", |store| {
            let id = PyBytes::new(store.py(), id);
            store.call_method1("claim", (app, id, seconds(until), seconds(now)))?.is_truthy()
        })
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        if !self.has.claim {
            return self.here.unclaim(app, id);
        }
        if !self.has.unclaim {
            return Ok(());
        }
        self.slot.call("unclaim", |store| {
            let id = PyBytes::new(store.py(), id);
            store.call_method1("unclaim", (app, id)).map(drop)
        })
    }

    fn changes(&self) -> Result<u64> {
        if !self.has.changes {
            return Ok(self.changes.load(Ordering::SeqCst));
        }
        self.slot.call("changes", |store| store.call_method0("changes")?.extract())
    }
}

impl std::fmt::Debug for PyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PyStore")
    }
}

/// The lease itself, which ends when this is dropped.
enum Held<'a> {
    Here(#[allow(dead_code, reason = "held, not used")] Box<dyn Lease + 'a>),
    Program(Py<PyAny>),
}

struct PyLease<'a> {
    store: &'a PyStore,
    app: String,
    account: Account,
    held: Held<'a>,
}

impl PyLease<'_> {
    fn key(&self) -> Key<'_> {
        Key { app: &self.app, account: &self.account }
    }
}

impl Lease for PyLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        self.store.load(&self.key(), now)
    }

    /// The slot goes first: a crash in between wastes one, and loses no mark.
    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin> {
        let key = self.key();
        let Some((_, mut row)) = self.store.row(&key)?.filter(|(generation, _)| *generation == expected)
        else {
            return Ok(Begin::Moved);
        };
        if let Room::Wait(wait) = self.store.take_slot(&self.app, slot, now)? {
            return Ok(Begin::Wait(wait));
        }
        if row.mark.as_ref().is_none_or(|mark| mark.fingerprint != fingerprint) {
            row.mark = Some(StoredMark { fingerprint, sent: now });
            self.store.write_notes(&key, expected, row)?;
        }
        Ok(Begin::Marked)
    }

    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        self.store.save(&self.key(), expected, record)
    }

    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        let key = self.key();
        let Some((_, mut row)) = self.store.row(&key)?.filter(|(generation, _)| *generation == expected)
        else {
            return Ok(());
        };
        if close_mark {
            row.mark = None;
        }
        row.back_off = back_off.map(StoredBackOff::new);
        self.store.write_notes(&key, expected, row)
    }
}

impl Drop for PyLease<'_> {
    fn drop(&mut self) {
        if let Held::Program(lease) = &self.held {
            self.store
                .slot
                .call_infallible("release", |store| lease.bind(store.py()).call_method0("release").map(drop));
        }
    }
}

impl std::fmt::Debug for PyLease<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PyLease").field(&self.account).finish()
    }
}

/// Notes of a store that has no `update`.
struct Notes {
    generation: u64,
    mark: Option<StoredMark>,
    back_off: Option<StoredBackOff>,
}

/// A record as the bytes that a program keeps. The grant in it is sealed if a `store_key` is set.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(rename = "g", skip_serializing_if = "Option::is_none", default)]
    grant: Option<String>,
    #[serde(rename = "e")]
    expires_at: Timestamp,
    #[serde(rename = "s")]
    seen: Vec<String>,
    #[serde(rename = "m", skip_serializing_if = "Option::is_none", default)]
    mark: Option<StoredMark>,
    #[serde(rename = "b", skip_serializing_if = "Option::is_none", default)]
    back_off: Option<StoredBackOff>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredMark {
    #[serde(rename = "f")]
    fingerprint: Fingerprint,
    #[serde(rename = "t")]
    sent: Timestamp,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredBackOff {
    refused: bool,
    until: Timestamp,
    failures: u32,
    code: i32,
    message: String,
}

impl StoredBackOff {
    fn new(back_off: &BackOff) -> Self {
        Self {
            refused: back_off.refused,
            until: back_off.until,
            failures: back_off.failures,
            code: back_off.code,
            message: back_off.message.clone(),
        }
    }
}

impl Row {
    fn new(record: &NewRecord) -> Self {
        Self {
            grant: record.grant.as_ref().map(|grant| BASE64_STANDARD.encode(grant)),
            expires_at: record.expires_at,
            seen: record.seen.iter().map(|seen| BASE64_STANDARD.encode(seen)).collect(),
            mark: None,
            back_off: None,
        }
    }

    fn read(data: &[u8], account: &Account) -> Result<Self> {
        serde_json::from_slice(data).map_err(|_| corrupt(account))
    }

    fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|_| Error::new(ErrorCode::Internal, "a record could not be written as JSON"))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.grant.is_some() && self.back_off.as_ref().is_none_or(|back_off| back_off.until <= now)
    }

    fn into_record(self, generation: u64, now: Timestamp, account: &Account) -> Result<Record> {
        let bytes = |text: &String| BASE64_STANDARD.decode(text).map_err(|_| corrupt(account));
        let seen = self.seen.iter().map(|text| {
            bytes(text).and_then(|bytes| Fingerprint::try_from(bytes).map_err(|_| corrupt(account)))
        });
        Ok(Record {
            generation,
            grant: self.grant.as_ref().map(bytes).transpose()?,
            expires_at: self.expires_at,
            seen: seen.collect::<Result<_>>()?,
            mark: self.mark.map(|mark| Mark { fingerprint: mark.fingerprint, age: now.since(mark.sent) }),
            back_off: self.back_off.map(|back_off| BackOff {
                refused: back_off.refused,
                until: back_off.until,
                failures: back_off.failures,
                code: back_off.code,
                message: back_off.message,
            }),
        })
    }
}

fn owned(key: &Key<'_>) -> (String, Account) {
    (key.app.to_owned(), key.account.clone())
}

fn corrupt(account: &Account) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        "what the program's store gave back is not what it was given: authorize this account again",
    )
    .with_account(account)
}
