//! Minting an installed location in its turn among the refreshes of its grant.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::is_over_tombstone;
use crate::account::Account;
use crate::callback::calling;
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::grants::{Before, ChangeKind, Content, Grant, Row, Written, no_grant};
use crate::refresh::{Refresher, lease_timeout, mint_grant};
use crate::snapshot::Snapshot;
use crate::steps::Step;

/// Reason to mint a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintFor {
    /// A request needs it. A location that was removed stays removed.
    Request,
    /// The location was installed, at that moment if it is known.
    Install(Option<Timestamp>),
}

impl MintFor {
    fn at(self) -> Option<Timestamp> {
        match self {
            Self::Request => None,
            Self::Install(at) => at,
        }
    }
}

/// Mints a location's grant. Returns `false` if there is one as young as the installation already,
/// or any if the moment of the installation is not known.
pub(crate) fn mint_installed(
    refresher: &Refresher,
    location: &Account,
    company: &Account,
    why: MintFor,
) -> Result<bool> {
    let grants = &refresher.grants;
    for _ in 0..TRIES {
        let longest = grants.at_most(grants.settings.max_wait);
        let (led, minted) = (Cell::new(false), Cell::new(None));
        let work = |wait| {
            led.set(true);
            mint_under_lease(refresher, location, company, why, wait, &minted)
        };
        let Some(flown) = refresher.fly(location, longest, work) else { break };
        if why.at().is_none() {
            return flown.map(|_| minted.get().unwrap_or(false));
        }
        // Another thread's refresh, however it ended, may have been of an older grant.
        if led.get() {
            if minted.get() == Some(false) {
                return Ok(false);
            }
            flown?;
            if let Some(minted) = minted.get() {
                return Ok(minted);
            }
        }
    }
    Err(lease_timeout().with_account(location))
}

/// Mints once the lease is had. `minted` becomes `true` or `false` once that is decided.
fn mint_under_lease(
    refresher: &Refresher,
    location: &Account,
    company: &Account,
    why: MintFor,
    wait: Duration,
    minted: &Cell<Option<bool>>,
) -> Result<Arc<Snapshot>> {
    let grants = &refresher.grants;
    let mut lease = grants.store.lease(location, wait)?.ok_or_else(lease_timeout)?;
    let at = why.at();
    let changes = grants.changes_seen();
    let record = calling(|| lease.load(grants.clock.now()))?;
    let row = Before::of(record.as_ref(), changes);
    if let Some(record) = &record {
        grants.vault.check_replaceable(location, record)?;
        if record.grant.is_none() {
            let stays = match why {
                MintFor::Request => true,
                MintFor::Install(None) => !is_over_tombstone(grants, location, record.generation)?,
                MintFor::Install(Some(at)) => record.expires_at >= at,
            };
            if stays {
                minted.set(Some(false));
                return Err(no_grant(location));
            }
        }
    }
    let before = match grants.unsaved_grant(location) {
        Some((held, _)) => Some(held),
        None => grants.open_live(location, record).ok().map(|(_, grant)| grant),
    };
    let is_as_young = |before: &&Grant| at.is_none_or(|at| before.authorized_for_webhooks() >= at);
    if let Some(before) = before.as_ref().filter(is_as_young) {
        minted.set(Some(false));
        return Ok(grants.snapshot_of(before, row.generation));
    }
    let timeout = grants.settings.attempt_timeout;
    let mut grant = mint_grant(refresher, company, location, before.as_ref(), timeout)?;
    // By the platform's clock, as later events are.
    grant.authorized_at = at.unwrap_or(grant.obtained_at);
    grant.platform_authorized_at = at.or(grant.platform_authorized_at);
    minted.set(Some(true));
    let content = Content::Grant { grant: &grant, spent: None };
    let written = grants.steps.at(Step::Save, location).and_then(|()| {
        let row_of_lease = Row::Lease(&mut *lease);
        grants.put(row_of_lease, location, &row, &content, Some(ChangeKind::Saved))
    });
    match written {
        Ok(Written::Saved(snapshot)) => Ok(snapshot),
        Ok(_) => {
            // Somebody stored something newer. The next turn looks at that.
            minted.set(None);
            Ok(grants.snapshot_of(&grant, row.generation))
        }
        Err(error) => Ok(grants.hold(grant, None, error)),
    }
}

/// Number of turns in which a location is tried.
const TRIES: usize = 16;
