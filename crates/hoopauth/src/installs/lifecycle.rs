//! INSTALL and UNINSTALL: a location is minted, grants are removed.

use std::sync::Arc;

use super::mint::{MintFor, mint_installed};
use super::remove::remove_older;
use super::{Installs, is_install_stored, is_over_tombstone, of_company};
use crate::account::{Account, AccountKind};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Grant, Grants};
use crate::refresh::Refresher;
use crate::snapshot::Snapshot;
use crate::sync::lock;

/// Outcome of [`Client::apply`](crate::Client::apply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// The event means nothing for grants, or nothing new.
    Nothing,
    /// A location's grant was minted.
    Minted,
    /// The company's grant is not here yet. The location's grant is minted once it is.
    Remembered,
    /// Grants were removed.
    Removed,
    /// An UNINSTALL older than the grant's authorization: ignored.
    Outdated,
}

impl Applied {
    /// Returns the name that every language uses: `nothing`, `minted`, `remembered`, `removed`,
    /// `outdated`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Minted => "minted",
            Self::Remembered => "remembered",
            Self::Removed => "removed",
            Self::Outdated => "outdated",
        }
    }
}

/// The moment at which an app was uninstalled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uninstalled {
    pub(crate) at: Timestamp,
    /// The event names the moment, by the platform's clock. Otherwise it is the moment at which the
    /// event came, by our clock.
    pub(crate) is_platforms: bool,
}

impl Uninstalled {
    /// Returns `true` if a grant was authorized after it. Both moments are of the same clock, as
    /// far as that is known.
    pub(super) fn is_before(self, grant: &Grant) -> bool {
        let authorized =
            if self.is_platforms { grant.authorized_for_webhooks() } else { grant.authorized_at };
        authorized > self.at
    }
}

/// The installations of a client's app.
pub(crate) struct Installations<'a> {
    pub(crate) refresher: &'a Refresher,
    pub(crate) installs: &'a Installs,
}

impl Installations<'_> {
    fn grants(&self) -> &Grants {
        &self.refresher.grants
    }

    fn forget(&self, location: &Account) -> Result<()> {
        self.installs.forget(self.grants(), location)
    }

    /// Mints the location's grant from its company's, or remembers the installation.
    pub(crate) fn install(
        &self,
        location: &Account,
        company: Option<&Account>,
        at: Timestamp,
    ) -> Result<Applied> {
        let before = self.grants().live(location)?;
        if before.as_ref().is_some_and(|(grant, _)| grant.authorized_for_webhooks() >= at) {
            self.forget(location)?;
            return Ok(Applied::Nothing);
        }
        for account in company.into_iter().chain([location]) {
            if self.grants().tombstone(account)?.is_some_and(|(_, removed)| removed >= at) {
                return Ok(Applied::Nothing);
            }
        }
        let known = before.as_ref().and_then(|(grant, _)| grant.company_id.as_deref());
        let known = match (company, known) {
            (Some(company), _) => Some(company.clone()),
            (None, Some(id)) => Some(Account::company(id)?),
            (None, None) => None,
        };
        let mint = |company: &Account| -> Result<Applied> {
            let minted =
                mint_installed(self.refresher, location, company, MintFor::Install(Some(at)))?;
            self.forget(location)?;
            Ok(if minted { Applied::Minted } else { Applied::Nothing })
        };
        let (mut awaited, mut failed) = (None, None);
        for company in
            known.clone().map_or_else(|| self.few_companies(), |known| Ok(vec![known]))?
        {
            match self.refresher.serve(&company).map_err(|error| (error.code(), error)) {
                Ok(_) => match mint(&company) {
                    // The event does not always name the company.
                    Err(error) if known.is_none() => {
                        if error.is_retryable() {
                            failed.get_or_insert(error);
                        }
                    }
                    applied => return applied,
                },
                Err((ErrorCode::NoGrant, _)) => awaited = Some(company),
                Err((ErrorCode::ReauthorizationRequired, _)) => {}
                Err((_, error)) if known.is_none() => {
                    failed.get_or_insert(error);
                }
                Err((_, error)) => return Err(error),
            }
        }
        if before.is_some_and(|(_, refused)| !refused) {
            // A location that was authorized by itself needs no company.
            return failed.map_or(Ok(Applied::Nothing), Err);
        }
        self.installs.remember(self.grants(), location, known.as_ref(), at)?;
        if let Some(error) = failed {
            return Err(error);
        }
        // The company's grant may have come meanwhile, and found nothing to finish.
        match awaited {
            Some(company) if self.grants().live(&company)?.is_some() => mint(&company),
            _ => Ok(Applied::Remembered),
        }
    }

    /// Removes the grant of a location.
    pub(crate) fn uninstall(
        &self,
        location: &Account,
        uninstalled: Uninstalled,
    ) -> Result<Applied> {
        let remembered = self.installs.waiting(location).map(|waiting| waiting.at);
        if remembered.is_some_and(|installed| installed > uninstalled.at) {
            return Ok(Applied::Outdated);
        }
        let applied = remove_older(self.grants(), location, uninstalled, None)?;
        // An installation that another process remembered may be newer, and that process knows it.
        // For all others the tombstone speaks.
        if applied != Applied::Outdated && remembered.is_some() {
            self.forget(location)?;
        }
        Ok(applied)
    }

    /// Removes the grants of a company and its locations. The company's own goes first, so that
    /// nothing is minted from it any more. If a crash or an error leaves some, the platform's next
    /// try removes them.
    pub(crate) fn uninstall_company(
        &self,
        company: &Account,
        uninstalled: Uninstalled,
    ) -> Result<Applied> {
        let at = uninstalled.at;
        let applied = remove_older(self.grants(), company, uninstalled, None)?;
        if applied == Applied::Outdated {
            return Ok(applied);
        }
        let older = self
            .installs
            .matching(|waiting| waiting.at <= at && waiting.company.as_ref() == Some(company));
        let (mut removed, mut failed) = (applied == Applied::Removed, None);
        for (location, _) in older {
            if let Err(error) = self.forget(&location) {
                failed.get_or_insert(error);
            }
        }
        for account in self.grants().store.accounts()? {
            if account.kind() == AccountKind::Location {
                let gone = self.uninstall_location_of(company, &account, uninstalled);
                match gone {
                    Ok(gone) => removed |= gone,
                    Err(error) => {
                        failed.get_or_insert(error.with_account(&account));
                    }
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(if removed { Applied::Removed } else { Applied::Nothing }),
        }
    }

    /// Removes the grant of a company's location. Returns `true` if there was one.
    fn uninstall_location_of(
        &self,
        company: &Account,
        location: &Account,
        uninstalled: Uninstalled,
    ) -> Result<bool> {
        let applied = remove_older(self.grants(), location, uninstalled, Some(company))?;
        let removed = applied == Applied::Removed;
        let waiting = self.installs.waiting(location);
        if removed && waiting.is_some_and(|waiting| waiting.at <= uninstalled.at) {
            self.forget(location)?;
        }
        Ok(removed)
    }

    /// Returns the companies that may be tried in turn.
    fn few_companies(&self) -> Result<Vec<Account>> {
        let mut companies = self.grants().companies()?;
        companies.truncate(MOST_TRIED);
        Ok(companies)
    }

    /// Mints the locations whose installations waited here for the grant of `company`, which is
    /// here now. Those that fail wait on. A location that got a grant of its own waits no more.
    pub(crate) fn finish_installs(&self, company: &Account) {
        if company.kind() != AccountKind::Company {
            let waited = self.installs.waiting(company).is_some();
            if waited && let Err(error) = self.forget(company) {
                tracing::warn!(
                    account = %company, %error,
                    "the note about a finished installation could not be deleted from the store; \
                     it is deleted when the account is used next"
                );
            }
            return;
        }
        let waiting = self
            .installs
            .matching(|waiting| waiting.company.as_ref().is_none_or(|own| own == company));
        let _call = self.grants().begin_call();
        for (location, at) in waiting {
            let minted = match is_install_stored(self.grants(), &location) {
                // Another process finished it, or it is over.
                Ok(Some(false)) => Ok(false),
                Ok(_) => {
                    mint_installed(self.refresher, &location, company, MintFor::Install(Some(at)))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = minted.and_then(|_| self.forget(&location)) {
                tracing::warn!(
                    account = %location, %error,
                    "the grant of an installed location could not be minted yet; it is tried again \
                     when the location is used"
                );
                if error.is_retryable() {
                    return;
                }
            }
        }
    }

    /// Mints a location whose installation is remembered. `error` says that it has no grant, and is
    /// returned if that stays so.
    #[cold]
    pub(crate) fn finish_install(&self, location: &Account, error: Error) -> Result<Arc<Snapshot>> {
        let about_it =
            error.code() == ErrorCode::NoGrant && error.account().is_none_or(|of| of == location);
        if !about_it
            || location.kind() != AccountKind::Location
            || self.refresher.credential.oauth().is_err()
        {
            return Err(error);
        }
        let now = self.grants().clock.monotonic();
        if lock(&self.installs.pauses).get(location).is_some_and(|until| *until > now) {
            return Err(error);
        }
        match self.mint_remembered(location) {
            Ok(true) => self.refresher.obtain(location),
            Ok(false) => Err(error),
            Err(failure) => {
                tracing::warn!(
                    account = %location, error = %failure,
                    "the grant of an installed location could not be minted; it is tried again in \
                     a minute, when the location is used"
                );
                let mut pauses = lock(&self.installs.pauses);
                pauses.retain(|_, until| *until > now);
                pauses.insert(location.clone(), now + PAUSE);
                Err(error)
            }
        }
    }

    /// Mints a location whose installation is remembered. Returns `false` if none is, or if its
    /// company's grant is not here yet.
    fn mint_remembered(&self, location: &Account) -> Result<bool> {
        let here = self.installs.waiting(location);
        match is_install_stored(self.grants(), location)? {
            Some(false) => {
                lock(&self.installs.waiting).remove(location);
                return Ok(false);
            }
            None if here.is_none() => return Ok(false),
            _ => {}
        }
        if let (None, Some((generation, _))) = (&here, self.grants().tombstone(location)?)
            && !is_over_tombstone(self.grants(), location, generation)?
        {
            return Ok(false);
        }
        let companies = match here.as_ref().and_then(|waiting| waiting.company.clone()) {
            Some(company) => vec![company],
            None => self.companies_of(location)?,
        };
        let mut result = Ok(false);
        for company in companies {
            let at = here.as_ref().map(|waiting| waiting.at);
            match mint_installed(self.refresher, location, &company, MintFor::Install(at)) {
                Ok(_) => return self.forget(location).map(|()| true),
                Err(error) if error.code() == ErrorCode::NoGrant => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Returns the companies that a remembered location may belong to.
    fn companies_of(&self, location: &Account) -> Result<Vec<Account>> {
        let companies = self.grants().companies()?;
        let now = self.grants().clock.now();
        let mut of_it = Vec::new();
        for company in &companies {
            let id = of_company(location, company);
            if self.grants().store.claimed(&id, now)? == Some(true) {
                of_it.push(company.clone());
            }
        }
        if of_it.is_empty() {
            of_it = companies;
            of_it.truncate(MOST_TRIED);
        }
        Ok(of_it)
    }
}

/// Most companies that are tried if the event does not name one.
const MOST_TRIED: usize = 10;
/// Milliseconds between two tries to mint a location at a call.
const PAUSE: u64 = 60_000;
