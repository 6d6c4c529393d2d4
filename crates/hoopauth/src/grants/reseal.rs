//! Sealing anew: rows that an older key sealed are sealed with the first one, so that the older key
//! can be given up.
//!
//! Each refresh does it with its own row. Maintenance does it with all rows, also with those that
//! can't be refreshed.

use std::time::Duration;

use super::{Before, Content, Grants, Row, Written};
use crate::account::Account;
use crate::callback::calling;
use crate::clock::Clock;
use crate::error::Result;
use crate::seal::KeyRing;

/// Progress of a maintainer through the store.
#[derive(Debug, Default)]
pub(crate) struct Resealing {
    /// The accounts still to be looked at; `None` before the start.
    accounts: Option<Vec<Account>>,
    done: usize,
}

impl Resealing {
    /// Looks at the next rows. Returns `true` if there are more.
    pub(crate) fn next(&mut self, grants: &Grants) -> Result<bool> {
        let Some(ring) = grants.vault.ring()?.filter(|ring| ring.has_older()) else {
            return Ok(false);
        };
        let accounts = match &mut self.accounts {
            Some(accounts) => accounts,
            none => none.insert(grants.store.accounts()?),
        };
        if accounts.is_empty() {
            return Ok(false);
        }
        for account in accounts.split_off(accounts.len().saturating_sub(AT_ONCE)) {
            match reseal(grants, &account, ring) {
                Ok(sealed) => self.done += usize::from(sealed),
                Err(error) => {
                    tracing::warn!(
                        %account, %error,
                        "a grant could not be sealed with the first key; it stays sealed with an \
                         older one"
                    );
                }
            }
        }
        if accounts.is_empty() && self.done > 0 {
            tracing::info!(grants = self.done, "all grants are sealed with the first key now");
        }
        Ok(!accounts.is_empty())
    }
}

/// Seals one row anew if an older key sealed it. Returns `true` if it did.
fn reseal(grants: &Grants, account: &Account, ring: &KeyRing) -> Result<bool> {
    let is_old =
        |bytes: &Option<Vec<u8>>| bytes.as_ref().is_some_and(|bytes| !ring.is_current(bytes));
    if !grants.load(account)?.is_some_and(|record| is_old(&record.grant)) {
        return Ok(false);
    }
    // Whoever holds the lease refreshes the row, and so seals it anew.
    let Some(mut lease) = grants.store.lease(account, Duration::ZERO)? else { return Ok(false) };
    let record = calling(|| lease.load(grants.clock.now()))?;
    let Some(record) = record.filter(|record| is_old(&record.grant) && record.mark.is_none())
    else {
        return Ok(false);
    };
    let (record, grant) = grants.open_live(account, Some(record))?;
    let before = Before::of(Some(&record), None);
    let content = Content::Grant { grant: &grant, spent: None };
    let written = grants.put(Row::Lease(&mut *lease), account, &before, &content, None)?;
    let sealed = matches!(written, Written::Saved(_));
    // It is the same grant, so the note about its last failure stays.
    if sealed && record.back_off.is_some() {
        calling(|| lease.note(record.generation + 1, false, record.back_off.as_ref()))?;
    }
    Ok(sealed)
}

/// Rows between two looks for tokens to renew.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests;
