//! The simplest form of a store of the host program: opaque rows, written by compare-and-set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{
    BackOff, Begin, Due, Fingerprint, Key, Lease, Mark, MemoryStore, NewRecord, Record, Slot,
    SlotRequest, TokenStore,
};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::patience;

/// Rows of a host program, one for each app and account. Only this library knows their content.
///
/// Three methods make a store. The guarantees of [`lease`](Self::lease),
/// [`take_slot`](Self::take_slot), [`claim`](Self::claim) and [`changes`](Self::changes) hold
/// within one process only if the store lacks them. On a store that several processes share, each
/// process then refreshes an account: the platform's window of 30 seconds and the compare-and-set
/// repair most cases, but not all. Each process keeps the budget for itself alone, and a redirect
/// could be completed once in each. A process notices a removal or a new authorization by another
/// process only when its own token is due or refused.
///
/// The methods are called from any thread, concurrently. They must not call back into the client.
pub trait RowStore: Send + Sync + fmt::Debug {
    /// Returns the row, or `None` if it was never saved.
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>>;

    /// Stores `row` as version `expected + 1` if the stored version is `expected` (0: no row),
    /// atomically among all who share the store. Returns `true` if it did; the row is then durable.
    fn save(&self, key: &Key<'_>, expected: u64, row: &NewRow<'_>) -> Result<bool>;

    /// Returns all rows of an app, in any order. Each client asks once, when it first uses the
    /// store, and maintenance asks again.
    fn list(&self, app: &str) -> Result<Vec<Listed>>;

    /// Takes the exclusive right to refresh one account, among all who share the store. Waits at
    /// most `wait`. The right must end with the process that holds it, and must never be taken
    /// away.
    fn lease<'a>(&'a self, _key: &Key<'_>, _wait: Duration) -> Result<Leased<'a>> {
        Ok(Leased::Unsupported)
    }

    /// Does the same as [`TokenStore::take_slot`]; `None` if not supported.
    fn take_slot(
        &self,
        _app: &str,
        _request: SlotRequest,
        _now: Timestamp,
    ) -> Result<Option<Slot>> {
        Ok(None)
    }

    /// Does the same as [`TokenStore::claim`]; `None` if not supported.
    fn claim(
        &self,
        _app: &str,
        _id: &Fingerprint,
        _until: Timestamp,
        _now: Timestamp,
    ) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Does the same as [`TokenStore::claimed`]; `None` if not supported. Then a webhook that comes
    /// again while its claim lasts is told to come later, even if it was handled.
    fn claimed(&self, _app: &str, _id: &Fingerprint, _now: Timestamp) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Does the same as [`TokenStore::unclaim`]. Called only where [`claim`](Self::claim) is
    /// supported.
    fn unclaim(&self, _app: &str, _id: &Fingerprint) -> Result<()> {
        Ok(())
    }

    /// Does the same as [`TokenStore::changes`]; `None` if not supported. When the number moved,
    /// the rows of accounts in use are read again. Return at once: a caller with a fresh token
    /// waits for it.
    fn changes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// A stored row.
#[derive(Clone)]
pub struct Row {
    /// Version, which rises by one at each save of this row and never restarts.
    pub version: u64,
    /// Saved bytes: UTF-8 text. Grants in it are sealed if `store_key` is set, and secret if not.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A row to be saved: the bytes, and the columns by which the row is found.
pub struct NewRow<'a> {
    /// See [`Row::bytes`].
    pub bytes: &'a [u8],
    /// See [`Listed::live`].
    pub live: bool,
    /// See [`Listed::marked`].
    pub marked: bool,
    /// See [`Listed::expires_at`].
    pub expires_at: Timestamp,
    /// See [`Listed::not_before`].
    pub not_before: Timestamp,
}

impl fmt::Debug for NewRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRow")
            .field("live", &self.live)
            .field("marked", &self.marked)
            .finish_non_exhaustive()
    }
}

/// A listed row: its columns as they were last saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Account of the row.
    pub account: Account,
    /// `true` if there is a grant; else the row is a tombstone, which must be kept.
    pub live: bool,
    /// `true` if a refresh is open.
    pub marked: bool,
    /// End of the access token.
    pub expires_at: Timestamp,
    /// Moment before which maintenance leaves the account alone.
    pub not_before: Timestamp,
}

/// Outcome of [`RowStore::lease`].
#[derive(Debug)]
pub enum Leased<'a> {
    /// The lease is held until this is dropped.
    Held(Box<dyn Held + 'a>),
    /// Another holder kept the lease all the time.
    Busy,
    /// The store has no leases.
    Unsupported,
}

/// A lease in use; dropping it gives it back.
pub trait Held: fmt::Debug {}

impl<T: fmt::Debug> Held for T {}

/// Makes a [`TokenStore`] of a [`RowStore`].
#[derive(Debug)]
pub struct HostStore {
    rows: Arc<dyn RowStore>,
    /// Leases, budgets and claims where the host has none.
    local: MemoryStore,
}

impl HostStore {
    /// A store over the host's rows.
    pub fn new(rows: Arc<dyn RowStore>) -> Self {
        Self { rows, local: MemoryStore::new() }
    }

    fn read(&self, key: &Key<'_>) -> Result<Option<(u64, RowContent)>> {
        let Some(row) = self.rows.load(key)? else { return Ok(None) };
        let bytes = Zeroizing::new(row.bytes);
        let content: RowContent = serde_json::from_slice(&bytes).map_err(|_| {
            Error::new(
                ErrorCode::StoreCorrupt,
                "the program's own store gave back a row that can't be read: `load` must return \
                 exactly the bytes that `save` was given",
            )
            .with_account(key.account)
        })?;
        if content.form != FORM {
            return Err(Error::new(
                ErrorCode::Store,
                "a later release of hoopauth wrote this row of the program's own store: upgrade \
                 hoopauth in this program",
            )
            .with_account(key.account));
        }
        Ok(Some((row.version, content)))
    }

    fn write(&self, key: &Key<'_>, version: u64, content: &RowContent) -> Result<bool> {
        // Roomy from the start: growing it would leave copies behind.
        let room = content.grant.as_ref().map_or(0, String::len) + 64 * content.seen.len() + 1024;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, content).map_err(|_| {
            Error::new(ErrorCode::Internal, "a row could not be written as JSON; please report it")
        })?;
        let back_off = content.back_off.as_ref().map_or(i64::MIN, |back_off| back_off.until.0);
        self.rows.save(
            key,
            version,
            &NewRow {
                bytes: &bytes,
                live: content.grant.is_some(),
                marked: content.mark.is_some(),
                expires_at: content.expires_at,
                not_before: Timestamp(back_off),
            },
        )
    }

    /// Changes a row of generation `expected`, whatever notes others write meanwhile; `false` if it
    /// is not of it.
    fn change(
        &self,
        key: &Key<'_>,
        expected: u64,
        change: impl Fn(&mut RowContent),
    ) -> Result<bool> {
        for _ in 0..WRITE_TRIES {
            let (version, mut content) = self.read(key)?.unwrap_or_default();
            if content.generation != expected {
                return Ok(false);
            }
            change(&mut content);
            if self.write(key, version, &content)? {
                return Ok(true);
            }
        }
        Err(super::busy(key.account))
    }

    fn listed(&self, app: &str, wanted: impl Fn(&Listed) -> bool) -> Result<Vec<Account>> {
        let rows = self.rows.list(app)?;
        Ok(rows.into_iter().filter(wanted).map(|row| row.account).collect())
    }
}

impl TokenStore for HostStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.read(key)?.map(|(_, content)| content.into_record(now)))
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.change(key, expected, |content| {
            *content = RowContent {
                form: FORM,
                generation: expected + 1,
                grant: record.grant.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes)),
                expires_at: record.expires_at,
                seen: record.seen.clone(),
                mark: None,
                back_off: None,
            };
        })
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.listed(app, |row| row.live)
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.listed(app, |row| row.marked)
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        let live: Vec<_> = self.rows.list(app)?.into_iter().filter(|row| row.live).collect();
        let total = live.len() as u64;
        let ripe = live.into_iter().filter(|row| row.not_before <= now);
        let mut ended: Vec<_> = ripe.map(|row| (row.expires_at, row.account)).collect();
        ended.sort_unstable();
        let first = ended.split_off(ended.partition_point(|(ends, _)| *ends <= now));
        Ok(Due {
            total,
            first: first.into_iter().take(limit).map(|(ends, account)| (account, ends)).collect(),
            ended: ended.into_iter().take(limit).map(|(_, account)| account).collect(),
            troubled: Vec::new(),
        })
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        let wait = patience::at_most(wait);
        let held: Box<dyn Held + 'a> = match self.rows.lease(key, wait)? {
            Leased::Held(held) => held,
            Leased::Busy => return Ok(None),
            Leased::Unsupported => match self.local.lease(key, wait)? {
                Some(lease) => Box::new(lease),
                None => return Ok(None),
            },
        };
        Ok(Some(Box::new(HostLease {
            store: self,
            app: key.app.to_owned(),
            account: key.account.clone(),
            _held: held,
        })))
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        match self.rows.take_slot(app, request, now)? {
            Some(slot) => Ok(slot),
            None => self.local.take_slot(app, request, now),
        }
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        self.local.exhaust(app, per_minute, wait, now)
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        match self.rows.claim(app, id, until, now)? {
            Some(claimed) => Ok(claimed),
            None => self.local.claim(app, id, until, now),
        }
    }

    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        match self.rows.claimed(app, id, now)? {
            Some(claimed) => Ok(Some(claimed)),
            // Of the host's claims it knows nothing.
            None => Ok(self.local.claimed(app, id, now)?.filter(|claimed| *claimed)),
        }
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.rows.unclaim(app, id)?;
        self.local.unclaim(app, id)
    }

    fn changes(&self) -> Result<u64> {
        Ok(self.rows.changes()?.unwrap_or(0))
    }
}

#[derive(Debug)]
struct HostLease<'a> {
    store: &'a HostStore,
    app: String,
    account: Account,
    _held: Box<dyn Held + 'a>,
}

impl HostLease<'_> {
    fn key(&self) -> Key<'_> {
        Key { app: &self.app, account: &self.account }
    }
}

impl Lease for HostLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        self.store.load(&self.key(), now)
    }

    /// The slot first: what a crash in between costs is a slot, never a mark.
    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin> {
        let key = self.key();
        if self.store.read(&key)?.is_none_or(|(_, content)| content.generation != expected) {
            return Ok(Begin::Moved);
        }
        if let Slot::Wait(wait) = self.store.take_slot(key.app, slot, now)? {
            return Ok(Begin::Wait(wait));
        }
        let marked = self.store.change(&key, expected, |content| {
            content.mark = Some((fingerprint, Mark::date(content.mark, fingerprint, now)));
        })?;
        Ok(if marked { Begin::Marked } else { Begin::Moved })
    }

    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        self.store.save(&self.key(), expected, record)
    }

    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        self.store.change(&self.key(), expected, |content| {
            if close_mark {
                content.mark = None;
            }
            content.back_off = back_off.cloned();
        })?;
        Ok(())
    }
}

/// Content of a row.
#[derive(Default, Serialize, Deserialize)]
struct RowContent {
    form: u32,
    generation: u64,
    grant: Option<String>,
    expires_at: Timestamp,
    seen: Vec<Fingerprint>,
    mark: Option<(Fingerprint, Timestamp)>,
    back_off: Option<BackOff>,
}

impl RowContent {
    fn into_record(mut self, now: Timestamp) -> Record {
        Record {
            generation: self.generation,
            // Text that does not decode does not open either: the error says that the grant is
            // damaged.
            grant: self.grant.take().map(|mut text| {
                let bytes = BASE64_STANDARD.decode(&text).unwrap_or_default();
                text.zeroize();
                bytes
            }),
            expires_at: self.expires_at,
            seen: std::mem::take(&mut self.seen),
            mark: self.mark.map(|(fingerprint, sent)| Mark { fingerprint, age: now.since(sent) }),
            back_off: self.back_off.take(),
        }
    }
}

impl Drop for RowContent {
    fn drop(&mut self) {
        self.grant.zeroize();
    }
}

const FORM: u32 = 1;
const WRITE_TRIES: usize = 16;
