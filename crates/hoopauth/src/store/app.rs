//! The store as one app uses it: its own rows, and a mark around code that may be the program's.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;

use super::{Due, Fingerprint, Key, Lease, NewRecord, Record, Slot, SlotRequest, TokenStore};
use crate::account::Account;
use crate::callback::calling;
use crate::clock::Timestamp;
use crate::error::Result;

/// The rows, claims and budget of one app. Its methods are those of [`TokenStore`].
///
/// Each call is marked as a callback, because the store may be code of the program: a client that
/// is called from there refuses.
#[derive(Clone, Debug)]
pub(crate) struct AppStore {
    store: Arc<dyn TokenStore>,
    /// Origin of the token endpoint and client id.
    app: String,
}

impl AppStore {
    pub(crate) fn new(store: Arc<dyn TokenStore>, app: String) -> Self {
        Self { store, app }
    }

    fn key<'a>(&'a self, account: &'a Account) -> Key<'a> {
        Key { app: &self.app, account }
    }

    pub(crate) fn load(&self, account: &Account, now: Timestamp) -> Result<Option<Record>> {
        calling(|| self.store.load(&self.key(account), now))
    }

    pub(crate) fn save(
        &self,
        account: &Account,
        expected: u64,
        record: &NewRecord,
    ) -> Result<bool> {
        calling(|| self.store.save(&self.key(account), expected, record))
    }

    pub(crate) fn lease<'a>(
        &'a self,
        account: &Account,
        wait: Duration,
    ) -> Result<Option<Box<dyn Lease + 'a>>> {
        calling(|| self.store.lease(&self.key(account), wait))
    }

    pub(crate) fn accounts(&self) -> Result<Vec<Account>> {
        calling(|| self.store.accounts(&self.app))
    }

    pub(crate) fn open_marks(&self) -> Result<Vec<Account>> {
        calling(|| self.store.open_marks(&self.app))
    }

    pub(crate) fn due(&self, now: Timestamp, limit: usize) -> Result<Due> {
        calling(|| self.store.due(&self.app, now, limit))
    }

    pub(crate) fn take_slot(&self, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        calling(|| self.store.take_slot(&self.app, request, now))
    }

    pub(crate) fn exhaust(&self, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        calling(|| self.store.exhaust(&self.app, per_minute, wait, now))
    }

    pub(crate) fn claim(&self, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        calling(|| self.store.claim(&self.app, id, until, now))
    }

    pub(crate) fn claimed(&self, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        calling(|| self.store.claimed(&self.app, id, now))
    }

    pub(crate) fn unclaim(&self, id: &Fingerprint) -> Result<()> {
        calling(|| self.store.unclaim(&self.app, id))
    }

    /// Remembers `id` until `until`, even if it is remembered for a shorter time already.
    pub(crate) fn claim_anew(
        &self,
        id: &Fingerprint,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        if !self.claim(id, until, now)? {
            self.unclaim(id)?;
            self.claim(id, until, now)?;
        }
        Ok(())
    }

    pub(crate) fn changes(&self) -> Result<u64> {
        calling(|| self.store.changes())
    }

    pub(crate) fn changed(&self, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        calling(|| self.store.changed(&self.app, since))
    }
}

/// Returns the id of a claim: a hash that is the same in every process and under every key. The
/// text must be no secret.
pub(crate) fn claim_id(label: &str, text: &str) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(label.len() as u64).to_be_bytes());
    context.update(label.as_bytes());
    context.update(text.as_bytes());
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}
