//! Writing rows: one sequence for logins, imports, refreshes, mints, removals and sealing anew.
//!
//! load → decide → seal → compare-and-set → forget the unsaved grant → publish → tell the program.

use std::sync::Arc;
use std::time::Instant;

use super::{Change, ChangeKind, Grant, Grants};
use crate::account::Account;
use crate::callback::calling;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::patience::{self, Patience, QUICK};
use crate::snapshot::Snapshot;
use crate::steps::Step;
use crate::store::{Fingerprint, Lease, NewRecord, Record, busy};

/// New content of a row.
pub(crate) enum Content<'a> {
    /// A grant, and the fingerprint of a refresh token to remember beside the grant's own.
    Grant { grant: &'a Grant, spent: Option<Fingerprint> },
    /// No grant. `at` is the moment of the UNINSTALL, or 0.
    Tombstone { at: Timestamp },
}

/// The row before the write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    pub(crate) generation: u64,
    pub(crate) seen: Vec<Fingerprint>,
    /// The changes that were seen before the row was read.
    pub(crate) changes: Option<u64>,
}

impl Before {
    pub(crate) fn of(record: Option<&Record>, changes: Option<u64>) -> Self {
        let (generation, seen) =
            record.map_or((0, vec![]), |record| (record.generation, record.seen.clone()));
        Self { generation, seen, changes }
    }
}

/// The way to the row.
pub(crate) enum Row<'a> {
    Store,
    /// The exclusive right to refresh it.
    Lease(&'a mut dyn Lease),
}

/// Outcome of a write.
pub(crate) enum Written {
    /// The grant is stored and published.
    Saved(Arc<Snapshot>),
    /// The tombstone is stored.
    Removed,
    /// Somebody else wrote first. Nothing was stored.
    Moved,
    /// The grant is stored; a test stopped the refresh before it was published.
    Stopped(Error),
}

/// Decision about a row that was loaded.
pub(crate) enum Decision<'a, T> {
    /// Leaves the row as it is.
    Leave(T),
    /// Writes the row. Without a kind of change, nothing is published or told.
    Write(Content<'a>, Option<ChangeKind>, T),
}

impl Grants {
    /// Writes a row if nobody else wrote since it was read: seals, compares and sets, publishes,
    /// and tells the program. An error means that nothing is known to be stored.
    pub(crate) fn put(
        &self,
        row: Row<'_>,
        account: &Account,
        before: &Before,
        content: &Content<'_>,
        kind: Option<ChangeKind>,
    ) -> Result<Written> {
        let is_refresh = kind == Some(ChangeKind::Refreshed);
        let new = match content {
            Content::Grant { grant, spent } => {
                self.vault.seal(grant, before.generation, &before.seen, *spent)?
            }
            Content::Tombstone { at } => {
                NewRecord { grant: None, expires_at: *at, seen: before.seen.clone() }
            }
        };
        if is_refresh {
            self.steps.at(Step::Save, account)?;
        }
        let stored = match row {
            Row::Store => self.store.save(account, before.generation, &new),
            Row::Lease(lease) => calling(|| lease.save(before.generation, &new)),
        }?;
        if !stored {
            return Ok(Written::Moved);
        }
        if is_refresh && let Err(error) = self.steps.at(Step::Publish, account) {
            return Ok(Written::Stopped(error));
        }
        // A login that came during a refresh and could not be saved is newer than the refresh. The
        // next call finds the login and saves it.
        if kind.is_some() && !is_refresh {
            self.unsaved.forget(account);
        }
        let generation = before.generation + 1;
        let written = match content {
            Content::Grant { grant, .. } => Written::Saved(self.snapshot_of(grant, generation)),
            Content::Tombstone { .. } => Written::Removed,
        };
        let Some(kind) = kind else { return Ok(written) };
        match &written {
            Written::Saved(_) if self.is_unsaved(account) => {}
            Written::Saved(snapshot) => self.publish(Arc::clone(snapshot), before.changes),
            _ => self.cache.forget(account.as_str()),
        }
        self.changed(account, generation, kind);
        Ok(written)
    }

    /// Loads a row, asks `decide` what to do, and does it; begins again if somebody else wrote
    /// meanwhile.
    ///
    /// A row whose grant another key sealed is `STORE_KEY`, before `decide` is asked.
    pub(crate) fn write<'a, T>(
        &self,
        account: &Account,
        mut decide: impl FnMut(Option<&Record>) -> Result<Decision<'a, T>>,
    ) -> Result<T> {
        for _ in 0..SAVE_TRIES {
            let changes = self.changes_seen();
            let record = self.load(account)?;
            if let Some(record) = &record {
                self.vault.check_replaceable(account, record)?;
            }
            let (content, kind, answer) = match decide(record.as_ref())? {
                Decision::Leave(answer) => return Ok(answer),
                Decision::Write(content, kind, answer) => (content, kind, answer),
            };
            let before = Before::of(record.as_ref(), changes);
            match self.put(Row::Store, account, &before, &content, kind)? {
                Written::Moved => {}
                Written::Stopped(error) => return Err(error),
                Written::Saved(_) | Written::Removed => return Ok(answer),
            }
        }
        Err(busy(account))
    }

    /// Stores a new authorization over whatever is there. Holds it in memory if the store fails;
    /// returns `true` if it is stored.
    pub(crate) fn adopt(&self, grant: Grant) -> bool {
        match self.save_over(&grant) {
            Ok(()) => true,
            Err(error) => {
                self.hold(grant, None, error);
                false
            }
        }
    }

    fn save_over(&self, grant: &Grant) -> Result<()> {
        self.write(&grant.account, |_| {
            let content = Content::Grant { grant, spent: None };
            Ok(Decision::Write(content, Some(ChangeKind::Saved), ()))
        })
    }

    /// Removes an account's grant and leaves a tombstone. Returns `true` if there was a grant in
    /// the store.
    pub(crate) fn remove(&self, account: &Account) -> Result<bool> {
        self.write(account, |record| {
            if record.is_none_or(|record| record.grant.is_none()) {
                self.forget(account);
                return Ok(Decision::Leave(false));
            }
            let content = Content::Tombstone { at: Timestamp(0) };
            Ok(Decision::Write(content, Some(ChangeKind::Removed), true))
        })
    }

    /// Forgets everything that is kept in memory of an account.
    pub(crate) fn forget(&self, account: &Account) {
        self.unsaved.forget(account);
        self.cache.forget(account.as_str());
    }

    /// Forgets a grant that was never stored, and tells the program that it is removed.
    pub(crate) fn drop_unsaved(&self, account: &Account) {
        self.forget(account);
        self.changed(account, 0, ChangeKind::Removed);
    }

    /// Forgets the unsaved grant of an account: somebody stored a newer one.
    pub(crate) fn forget_unsaved(&self, account: &Account) {
        self.unsaved.forget(account);
    }

    /// Holds a grant in memory that could not be saved.
    pub(crate) fn hold(&self, grant: Grant, expected: Option<u64>, error: Error) -> Arc<Snapshot> {
        let account = grant.account.clone();
        tracing::error!(
            %account, %error,
            "the new grant could not be saved; it is held in memory and saved at the next call"
        );
        let snapshot = self.held_snapshot(&grant, expected);
        self.unsaved.hold(grant, expected, error);
        self.cache.publish(Arc::clone(&snapshot));
        self.changed(&account, expected.unwrap_or(0), ChangeKind::Unsaved);
        snapshot
    }

    /// Holds a refreshed grant, unless a login is held that came meanwhile.
    pub(crate) fn hold_refreshed(
        &self,
        grant: Grant,
        expected: u64,
        error: Error,
    ) -> Arc<Snapshot> {
        match self.unsaved_grant(&grant.account) {
            Some((login, None)) => {
                tracing::warn!(
                    account = %grant.account, %error,
                    "a refreshed grant could not be saved; a newer login is held and is saved \
                     instead"
                );
                self.held_snapshot(&login, None)
            }
            _ => self.hold(grant, Some(expected), error),
        }
    }

    /// Tries to save the unsaved grant of an account. Returns `true` if there is none any more.
    pub(crate) fn save_unsaved(&self, account: &Account) -> bool {
        let Some((grant, expected)) = self.unsaved_grant(account) else { return true };
        let saved = match expected {
            None => self.save_over(&grant),
            Some(expected) => self.save_after(&grant, expected),
        };
        saved.inspect_err(|error| self.unsaved.note(account, error)).is_ok()
    }

    /// Saves a held grant as the successor of generation `expected`. If somebody stored something
    /// newer meanwhile, the newer one stays.
    fn save_after(&self, grant: &Grant, expected: u64) -> Result<()> {
        let account = &grant.account;
        let changes = self.changes_seen();
        let seen = self.load(account)?.map_or_else(Vec::new, |record| record.seen);
        let before = Before { generation: expected, seen, changes };
        let content = Content::Grant { grant, spent: None };
        match self.put(Row::Store, account, &before, &content, Some(ChangeKind::Saved))? {
            Written::Moved => self.forget(account),
            Written::Stopped(error) => return Err(error),
            Written::Saved(_) | Written::Removed => {}
        }
        Ok(())
    }

    /// Saves a held grant over `record` under a lease, unless somebody else wrote meanwhile.
    pub(crate) fn save_held(
        &self,
        grant: &Grant,
        record: Option<&Record>,
        changes: Option<u64>,
        lease: &mut dyn Lease,
    ) -> Result<()> {
        let account = &grant.account;
        let content = Content::Grant { grant, spent: None };
        let before = Before::of(record, changes);
        record
            .map_or(Ok(()), |record| self.vault.check_replaceable(account, record))
            .and_then(|()| {
                self.put(Row::Lease(lease), account, &before, &content, Some(ChangeKind::Saved))
            })
            .inspect_err(|error| self.unsaved.note(account, error))
            .map(drop)
    }

    /// Saves as [`save_unsaved`](Self::save_unsaved) does, for a caller whose held token is good: a
    /// store that hangs is tried only now and then.
    pub(crate) fn save_unsaved_quickly(&self, account: &Account) -> bool {
        let start = Instant::now();
        if self.unsaved.is_quiet(account, start) {
            return false;
        }
        let quick = Patience::of(QUICK);
        let saved = self.save_unsaved(account);
        drop(quick);
        let took = start.elapsed();
        if !saved && took >= QUICK {
            self.unsaved.keep_quiet(account, took);
        }
        saved
    }

    /// Tries to save all unsaved grants, and forgets all snapshots.
    pub(crate) fn save_all_unsaved(&self) -> Result<()> {
        let accounts = self.unsaved.accounts();
        // With nothing to save, a broken clock of the program need not be asked.
        let _call = (!accounts.is_empty()).then(|| self.begin_call());
        let mut result = Ok(());
        for account in accounts {
            if !self.save_unsaved(&account)
                && let Some(error) = self.unsaved_error(&account)
            {
                result = Err(error.with_account(&account));
                // A store that hangs is not waited for once per account.
                if patience::is_over() {
                    break;
                }
            }
        }
        self.cache.clear();
        result
    }

    /// Tells the program of a change.
    pub(crate) fn changed(&self, account: &Account, generation: u64, kind: ChangeKind) {
        tracing::debug!(%account, generation, ?kind, "the grant changed");
        if let Some(hook) = &self.on_change {
            let change = Change { account: account.clone(), generation, kind };
            calling(|| hook(&change));
        }
    }
}

/// Number of tries to write a row that others write at the same time.
const SAVE_TRIES: usize = 16;
