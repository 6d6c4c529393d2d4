//! A store of the program's: `load`, `save` and `accounts` are enough; what else it has is used.

use std::sync::Arc;
use std::time::Duration;

use hoopauth::store::{
    Due, Fingerprint, HostStore, Key, Lease, Leased, Listed, NewRecord, NewRow, Priority, Record,
    Row, RowStore, Slot as Room, SlotRequest, TokenStore,
};
use hoopauth::{Account, Error, ErrorCode, Result, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes};

use crate::callback::{Fault, Slot, type_name};
use crate::clock::{seconds, timestamp};
use crate::number::Seconds;
use crate::text::answered;

/// The store that the core sees.
#[derive(Debug)]
pub(crate) struct PyStore {
    host: HostStore,
    rows: Arc<PyRows>,
}

impl PyStore {
    pub(crate) fn new(py: Python<'_>, slot: Arc<Slot>) -> PyResult<Self> {
        slot.require(py, &["load", "save", "accounts"])?;
        let rows = Arc::new(PyRows {
            has_rows: slot.has(py, "rows")?,
            has_lease: slot.has(py, "lease")?,
            has_take_slot: slot.has(py, "take_slot")?,
            has_claim: slot.has(py, "claim")?,
            has_unclaim: slot.has(py, "unclaim")?,
            has_changes: slot.has(py, "changes")?,
            slot,
        });
        Ok(Self { host: HostStore::new(Arc::<PyRows>::clone(&rows)), rows })
    }

    /// Every account that the store names, with its record: for a store that can't list its rows.
    fn read_all(&self, app: &str, now: Timestamp) -> Result<Vec<(Account, Record)>> {
        let mut all = Vec::new();
        for account in self.rows.names(app)? {
            if let Some(record) = self.host.load(&Key { app, account: &account }, now)? {
                all.push((account, record));
            }
        }
        Ok(all)
    }
}

impl TokenStore for PyStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.host.load(key, now)
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.host.save(key, expected, record)
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        if self.rows.has_rows {
            return self.host.accounts(app);
        }
        let live = self
            .read_all(app, Timestamp(0))?
            .into_iter()
            .filter(|(_, record)| record.grant.is_some());
        Ok(live.map(|(account, _)| account).collect())
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        if self.rows.has_rows {
            return self.host.open_marks(app);
        }
        let marked = self
            .read_all(app, Timestamp(0))?
            .into_iter()
            .filter(|(_, record)| record.mark.is_some());
        Ok(marked.map(|(account, _)| account).collect())
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        if self.rows.has_rows {
            return self.host.due(app, now, limit);
        }
        let all = self.read_all(app, now)?;
        Ok(Due::of(all.into_iter().filter(|(_, record)| record.grant.is_some()), now, limit))
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        self.host.lease(key, wait)
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Room> {
        self.host.take_slot(app, request, now)
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        self.host.exhaust(app, per_minute, wait, now)
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.host.claim(app, id, until, now)
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.host.unclaim(app, id)
    }

    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        self.host.claimed(app, id, now)
    }

    fn changes(&self) -> Result<u64> {
        self.host.changes()
    }
}

/// The program's object, as rows.
#[allow(clippy::struct_excessive_bools, reason = "one per method that may be left out")]
struct PyRows {
    slot: Arc<Slot>,
    has_rows: bool,
    has_lease: bool,
    has_take_slot: bool,
    has_claim: bool,
    has_unclaim: bool,
    has_changes: bool,
}

impl PyRows {
    fn names(&self, app: &str) -> Result<Vec<Account>> {
        let names: Vec<String> = self.slot.call_reading("accounts", |store| {
            store
                .call_method1("accounts", (app,))?
                .try_iter()?
                .map(|name| answered(&name?))
                .collect()
        })?;
        names.iter().map(|name| account(name, "accounts")).collect()
    }
}

impl RowStore for PyRows {
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>> {
        let row: Option<(u64, Vec<u8>)> = self.slot.call("load", |store| {
            store.call_method1("load", (key.app, key.account.as_str()))?.extract()
        })?;
        Ok(row.map(|(version, bytes)| Row { version, bytes }))
    }

    fn save(&self, key: &Key<'_>, expected: u64, row: &NewRow<'_>) -> Result<bool> {
        self.slot.call_reading("save", |store| {
            let data = PyBytes::new(store.py(), row.bytes);
            let not_before = row.not_before.max(Timestamp(0));
            let columns = (row.live, row.marked, seconds(row.expires_at), seconds(not_before));
            truth(
                &store.call_method1(
                    "save",
                    (key.app, key.account.as_str(), expected, data, columns),
                )?,
            )
        })
    }

    fn list(&self, app: &str) -> Result<Vec<Listed>> {
        type Listing = (String, (bool, bool, f64, f64));
        let rows: Vec<Listing> = self.slot.call_reading("rows", |store| {
            let rows = store.call_method1("rows", (app,))?;
            let read = |row: PyResult<Bound<'_, PyAny>>| {
                let (name, columns): (Bound<'_, PyAny>, _) = row?.extract()?;
                Ok((answered(&name)?, columns))
            };
            rows.try_iter()?.map(read).collect()
        })?;
        rows.into_iter()
            .map(|(name, (live, marked, expires_at, not_before))| {
                Ok(Listed {
                    account: account(&name, "rows")?,
                    live,
                    marked,
                    expires_at: timestamp(expires_at),
                    not_before: timestamp(not_before),
                })
            })
            .collect()
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Leased<'a>> {
        if !self.has_lease {
            return Ok(Leased::Unsupported);
        }
        let lease = self.slot.call("lease", |store| {
            let lease =
                store.call_method1("lease", (key.app, key.account.as_str(), wait.as_secs_f64()))?;
            Ok((!lease.is_none()).then(|| lease.unbind()))
        })?;
        Ok(lease.map_or(Leased::Busy, |lease| {
            Leased::Held(Box::new(PyLease { slot: &self.slot, lease }))
        }))
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Option<Room>> {
        if !self.has_take_slot {
            return Ok(None);
        }
        let priority = match request.priority {
            Priority::Soft => "soft",
            Priority::Normal => "normal",
            Priority::Recovery => "recovery",
        };
        let wait = self.slot.call_reading("take_slot", |store| {
            let wait = store
                .call_method1("take_slot", (app, request.per_minute, priority, seconds(now)))?;
            let wait = wait.extract::<Seconds>().ok().filter(|wait| !wait.0.is_nan());
            wait.map(|wait| wait.0).ok_or_else(|| {
                Fault::Answered("a value that is not a number of seconds".to_owned())
            })
        })?;
        Ok(Some(if wait > 0.0 {
            Room::Wait(Duration::try_from_secs_f64(wait).unwrap_or(LONGEST))
        } else {
            Room::Taken
        }))
    }

    fn claim(
        &self,
        app: &str,
        id: &Fingerprint,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<bool>> {
        // What could not be given back is better kept here.
        if !(self.has_claim && self.has_unclaim) {
            return Ok(None);
        }
        let new = self.slot.call_reading("claim", |store| {
            let id = PyBytes::new(store.py(), id);
            truth(&store.call_method1("claim", (app, id, seconds(until), seconds(now)))?)
        })?;
        Ok(Some(new))
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        if !self.has_unclaim {
            return Ok(());
        }
        self.slot.call("unclaim", |store| {
            let id = PyBytes::new(store.py(), id);
            store.call_method1("unclaim", (app, id)).map(drop)
        })
    }

    fn changes(&self) -> Result<Option<u64>> {
        if !self.has_changes {
            return Ok(None);
        }
        self.slot.call("changes", |store| store.call_method0("changes")?.extract()).map(Some)
    }
}

impl std::fmt::Debug for PyRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PyRows")
    }
}

/// A lease of the program's; dropping it gives it back.
struct PyLease<'a> {
    slot: &'a Slot,
    lease: Py<PyAny>,
}

impl Drop for PyLease<'_> {
    fn drop(&mut self) {
        self.slot.call_infallible("release", |store| {
            self.lease.bind(store.py()).call_method0("release").map(drop).map_err(Fault::Raised)
        });
    }
}

impl std::fmt::Debug for PyLease<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PyLease")
    }
}

/// Reads a `True` or `False` of the store: a store that forgets to say so must not be taken for one
/// that refuses.
fn truth(answer: &Bound<'_, PyAny>) -> std::result::Result<bool, Fault> {
    match answer.cast::<PyBool>() {
        Ok(truth) => Ok(truth.is_true()),
        Err(_) => Err(Fault::Answered(format!(
            "a `{}`, not True or False",
            type_name(&answer.get_type())
        ))),
    }
}

fn account(name: &str, method: &str) -> Result<Account> {
    hoopauth::binding::account_of_store(name).map_err(|_| {
        Error::new(
            ErrorCode::CallbackFailed,
            format!(
                "`{method}` of the program's store returned a name that is not an account: it \
                     must return the names that it was given, such as `location:<id>`"
            ),
        )
    })
}

const LONGEST: Duration = Duration::from_secs(86_400);
