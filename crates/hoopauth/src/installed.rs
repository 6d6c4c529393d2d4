//! The locations that a company installed the app in, and minting a grant for each.

use crate::account::Account;
use crate::client::Client;
use crate::error::{Error, ErrorCode, Result};

/// A location of a company, as the platform lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledLocation {
    /// `location:<id>`.
    pub account: Account,
    /// Its name.
    pub name: Option<String>,
    /// Whether the app is installed in it.
    pub installed: bool,
}

/// How far [`Client::mint_all`] has come; given to its callback after each location.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MintProgress {
    /// The location that was just looked at.
    pub account: Account,
    /// Its failure, if it could not be minted.
    pub error: Option<Error>,
    /// What happened so far.
    pub summary: MintSummary,
}

/// What [`Client::mint_all`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MintSummary {
    /// Locations whose grant was minted.
    pub minted: u64,
    /// Locations that had a live grant already.
    pub kept: u64,
    /// Locations that could not be minted.
    pub failed: u64,
}

impl Client {
    /// All locations that `company` installed the app in, page by page until the end.
    pub fn installed_locations(&self, _company: &Account) -> Result<Vec<InstalledLocation>> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }

    /// Mints a grant for each location that `company` installed the app in and that has none: begun again after a break, it
    /// goes on where it was. `progress` is told after each location; `false` ends it.
    pub fn mint_all(
        &self,
        _company: &Account,
        _progress: impl FnMut(&MintProgress) -> bool,
    ) -> Result<MintSummary> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }
}
