//! Removing the grants of an app that was uninstalled.

use super::{Applied, Uninstalled};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, Result};
use crate::grants::{ChangeKind, Content, Decision, Grants};

/// Removes a grant that was authorized before the UNINSTALL. Leaves a tombstone of that moment,
/// also if there was no grant. With `company`, removes only a grant of that company's location.
pub(super) fn remove_older(
    grants: &Grants,
    account: &Account,
    uninstalled: Uninstalled,
    company: Option<&Account>,
) -> Result<Applied> {
    let at = uninstalled.at;
    grants.write(account, |record| {
        let tombstone = Content::Tombstone { at };
        let held = grants.unsaved_grant(account).map(|(grant, _)| grant);
        let stored = record.filter(|record| record.grant.is_some());
        let grant = match stored.map(|record| grants.open_live(account, Some(record.clone()))) {
            None if held.is_none() => {
                grants.cache.forget(account.as_str());
                let removed = record.map_or(Timestamp(i64::MIN), |record| record.expires_at);
                return Ok(if company.is_none() && removed < at {
                    Decision::Write(tombstone, None, Applied::Nothing)
                } else {
                    Decision::Leave(Applied::Nothing)
                });
            }
            Some(Ok((_, grant))) => Some(held.unwrap_or(grant)),
            // A grant under another key belongs to somebody else. A damaged one is of no use.
            Some(Err(error)) if error.code() == ErrorCode::StoreKey => return Err(error),
            None | Some(Err(_)) => held,
        };
        if grant.as_ref().is_some_and(|grant| uninstalled.is_before(grant)) {
            return Ok(Decision::Leave(Applied::Outdated));
        }
        let is_of = |company: &Account| {
            grant.as_ref().and_then(|grant| grant.company_id.as_deref()) == Some(company.id())
        };
        if company.is_some_and(|company| !is_of(company)) {
            return Ok(Decision::Leave(Applied::Nothing));
        }
        if stored.is_none() {
            grants.drop_unsaved(account);
            return Ok(Decision::Leave(Applied::Removed));
        }
        Ok(Decision::Write(tombstone, Some(ChangeKind::Removed), Applied::Removed))
    })
}
