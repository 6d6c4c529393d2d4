//! Installs: what INSTALL and UNINSTALL mean for grants, and the locations of a company.
//!
//! An INSTALL may come before its company's code exchange. It is remembered, in the store for
//! thirty days and in memory, and the location is minted once the company's grant is there: right
//! then by the process that remembers it, by others when the location is first asked for.

mod lifecycle;
mod locations;
mod mint;
mod remove;

use std::collections::HashMap;
use std::time::Duration;

pub use self::lifecycle::Applied;
pub(crate) use self::lifecycle::{Installations, Uninstalled};
pub use self::locations::{InstalledLocation, MintProgress, MintSummary};
pub(crate) use self::locations::{LOCATIONS_PATH, Pace, list_locations, mint_all};
pub(crate) use self::mint::{MintFor, mint_installed};

use crate::account::{Account, AccountKind};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::grants::Grants;
use crate::store::{Fingerprint, claim_id};
use crate::sync::{Mutex, lock};

/// Installations that wait for their company's grant, as this client knows them.
#[derive(Debug, Default)]
pub(crate) struct Installs {
    waiting: Mutex<HashMap<Account, Waiting>>,
    /// Locations that could not be minted when they were asked for, with the moment of the next try
    /// on the monotonic clock.
    pauses: Mutex<HashMap<Account, u64>>,
}

/// An installation that waits.
#[derive(Clone, Debug)]
struct Waiting {
    company: Option<Account>,
    at: Timestamp,
}

impl Installs {
    fn waiting(&self, location: &Account) -> Option<Waiting> {
        lock(&self.waiting).get(location).cloned()
    }

    /// Returns the locations whose installations match.
    fn matching(&self, matches: impl Fn(&Waiting) -> bool) -> Vec<(Account, Timestamp)> {
        let waiting = lock(&self.waiting);
        let matching = waiting.iter().filter(|(_, waiting)| matches(waiting));
        matching.map(|(location, waiting)| (location.clone(), waiting.at)).collect()
    }

    /// Remembers an installation, here and in the store.
    fn remember(
        &self,
        grants: &Grants,
        location: &Account,
        company: Option<&Account>,
        at: Timestamp,
    ) -> Result<()> {
        let now = grants.clock.now();
        let until = now.plus(REMEMBERED);
        let of_company = company.map(|company| of_company(location, company));
        let tombstone = grants.tombstone(location)?;
        let over = tombstone.map(|(generation, _)| over_tombstone(location, generation));
        // The location last: who finds it finds the others too. A note of an older installation is
        // made anew, so that this one is remembered as long as any.
        for id in of_company.into_iter().chain(over).chain([of_location(location)]) {
            grants.store.claim_anew(&id, until, now)?;
        }
        let mut waiting = lock(&self.waiting);
        waiting.retain(|_, waiting| waiting.at.plus(REMEMBERED) > now);
        waiting.insert(location.clone(), Waiting { company: company.cloned(), at });
        Ok(())
    }

    /// Forgets a remembered installation: it is finished, or over.
    pub(crate) fn forget(&self, grants: &Grants, location: &Account) -> Result<()> {
        if location.kind() != AccountKind::Location {
            return Ok(());
        }
        let here = lock(&self.waiting).remove(location).is_some();
        match is_install_stored(grants, location)? {
            Some(false) => Ok(()),
            None if !here => Ok(()),
            _ => grants.store.unclaim(&of_location(location)),
        }
    }

    /// Returns `true` if an account is one of this app's: it has a grant, or is a location whose
    /// installation is remembered. Asks the store, because other processes may have stored the
    /// grant.
    pub(crate) fn knows(&self, grants: &Grants, account: &Account) -> Result<bool> {
        grants.calls.check_open()?;
        grants.calls.check_process()?;
        if grants.has_grant(account)? {
            return Ok(true);
        }
        Ok(account.kind() == AccountKind::Location
            && (self.waiting(account).is_some()
                || is_install_stored(grants, account)? == Some(true)))
    }
}

/// Returns `true` if an installation is remembered in the store, and `None` if the store can't
/// tell.
fn is_install_stored(grants: &Grants, location: &Account) -> Result<Option<bool>> {
    grants.store.claimed(&of_location(location), grants.clock.now())
}

/// Returns `true` if an installation was remembered that is newer than this tombstone.
fn is_over_tombstone(grants: &Grants, location: &Account, generation: u64) -> Result<bool> {
    let id = over_tombstone(location, generation);
    Ok(grants.store.claimed(&id, grants.clock.now())? == Some(true))
}

fn of_location(location: &Account) -> Fingerprint {
    claim_id("install", location.as_str())
}

fn of_company(location: &Account, company: &Account) -> Fingerprint {
    claim_id("install of company", &format!("{location} {company}"))
}

fn over_tombstone(location: &Account, generation: u64) -> Fingerprint {
    claim_id("install over tombstone", &format!("{location} {generation}"))
}

/// An installation whose company has not authorized the app by then is forgotten.
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);
