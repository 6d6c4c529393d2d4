//! Sealing anew: what an older key sealed is sealed with the first one, so that the older can be given up.
//!
//! Each refresh does it with its own row; maintenance does it with all of them, those too that can't be refreshed.

use std::time::Duration;

use crate::account::Account;
use crate::callback::calling;
use crate::clock::Clock;
use crate::error::Result;
use crate::inner::Inner;
use crate::store::seal::KeyRing;

/// Where a maintainer is in the store.
#[derive(Debug, Default)]
pub(crate) struct Resealing {
    /// What is still to be looked at; `None` before the start.
    accounts: Option<Vec<Account>>,
    done: usize,
}

impl Inner {
    /// Looks at the next rows; whether there are more.
    pub(crate) fn reseal_some(&self, progress: &mut Resealing) -> Result<bool> {
        let Some(ring) = self.ring()?.filter(|ring| ring.has_older()) else { return Ok(false) };
        let accounts = match &mut progress.accounts {
            Some(accounts) => accounts,
            none => none.insert(calling(|| self.store.accounts(&self.settings.app))?),
        };
        if accounts.is_empty() {
            return Ok(false);
        }
        for account in accounts.split_off(accounts.len().saturating_sub(AT_ONCE)) {
            match self.reseal(&account, ring) {
                Ok(sealed) => progress.done += usize::from(sealed),
                Err(error) => {
                    tracing::warn!(%account, %error, "a grant could not be sealed with the first key");
                }
            }
        }
        if accounts.is_empty() && progress.done > 0 {
            tracing::info!(grants = progress.done, "all grants are sealed with the first key now");
        }
        Ok(!accounts.is_empty())
    }

    /// Seals one row anew, if an older key sealed it; whether it did.
    fn reseal(&self, account: &Account, ring: &KeyRing) -> Result<bool> {
        let is_old = |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(|bytes| !ring.is_by_first(bytes));
        if !self.load(account)?.is_some_and(|record| is_old(&record.grant)) {
            return Ok(false);
        }
        // Whoever refreshes it seals it anew.
        let Some(mut lease) = calling(|| self.store.lease(&self.key(account), Duration::ZERO))? else {
            return Ok(false);
        };
        let record = calling(|| lease.load(self.clock.now()))?;
        let Some(record) = record.filter(|record| is_old(&record.grant) && record.mark.is_none()) else {
            return Ok(false);
        };
        let (record, grant) = self.open_live(account, Some(record))?;
        let new = self.new_record(&grant, &record.seen, None)?;
        let saved = calling(|| lease.save(record.generation, &new))?;
        // It is the same grant: what was said of it holds.
        if saved && record.back_off.is_some() {
            calling(|| lease.note(record.generation + 1, false, record.back_off.as_ref()))?;
        }
        Ok(saved)
    }
}

/// Rows between two looks for what is to be renewed.
const AT_ONCE: usize = 64;
