//! What installations mean for grants: minted at INSTALL, removed at UNINSTALL.
//!
//! An INSTALL may come before its company's code exchange. It is remembered, in the store for
//! thirty days and in memory, and the location minted once the company's grant is there: right then
//! by the process that remembers it, by others when the location is first asked for.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::event::{Lifecycle, VerifiedFor, WebhookEvent};
use super::replay::{Memory, id};
use crate::account::{Account, AccountKind};
use crate::snapshot::Snapshot;
use crate::callback::calling;
use crate::client::{ChangeKind, Client};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::grants::Grant;
use crate::inner::{Inner, SAVE_TRIES, busy};
use crate::refresh::{Step, no_grant};
use crate::store::{Fingerprint, NewRecord};
use crate::sync::{Mutex, lock};

impl Client {
    /// Does what a verified INSTALL or UNINSTALL means for the grants of this client. Doing it
    /// again changes nothing; other events mean nothing.
    ///
    /// INSTALL mints the location's grant from its company's. UNINSTALL removes the grant, a
    /// company's with those of its locations, unless the user authorized it anew since: both are
    /// dated by the platform's clock, so that ours need not be right. Errors: `INVALID_ARGUMENT`
    /// for an event that was not verified to be of this client's app, and those of minting and of
    /// the store: release the delivery then, and answer 429 so that it comes again.
    pub fn apply(&self, event: &WebhookEvent) -> Result<Applied> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.oauth()?;
        let Some(lifecycle) = event.lifecycle() else { return Ok(Applied::Nothing) };
        let ours = match event.verified() {
            VerifiedFor::AnyApp => false,
            VerifiedFor::AppId => event.app_id() == inner.credential.app_id(),
            VerifiedFor::Client(app) => **app == *inner.settings.app,
        };
        if !ours {
            return Err(Error::argument(
                "the event was not verified for this client's app: verify it with a verifier that this client's `webhook_verifier` made",
            ));
        }
        inner.check_process()?;
        let Some(account) = event.account() else { return Ok(Applied::Nothing) };
        let _call = inner.begin_call();
        let uninstalled = match event.timestamp() {
            Some(at) => Uninstalled { at, is_platforms: true },
            None => Uninstalled { at: inner.clock.now(), is_platforms: false },
        };
        let at = uninstalled.at;
        match (lifecycle, account.kind()) {
            (Lifecycle::Install, AccountKind::Location) => {
                inner.install(account, event.company(), at)
            }
            (Lifecycle::Install, AccountKind::Company) => Ok(Applied::Nothing),
            (Lifecycle::Uninstall, AccountKind::Location) => inner.uninstall(account, uninstalled),
            (Lifecycle::Uninstall, AccountKind::Company) => {
                inner.uninstall_company(account, uninstalled)
            }
        }
    }
}

/// What [`Client::apply`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// The event says nothing about grants, or nothing new.
    Nothing,
    /// A location's grant was minted.
    Minted,
    /// The company's grant is not here yet: the location's is minted once it is.
    Remembered,
    /// Grants were removed.
    Removed,
    /// An UNINSTALL older than the grant's authorization: ignored.
    Outdated,
}

impl Applied {
    /// The name in every language: `nothing`, `minted`, `remembered`, `removed`, `outdated`.
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

/// Installations that wait for their company's grant, and what else webhooks leave in a client.
#[derive(Debug, Default)]
pub(crate) struct Installs {
    waiting: Mutex<HashMap<Account, Waiting>>,
    /// When those that could not be minted when they were asked for may be tried again.
    pauses: Mutex<HashMap<Account, u64>>,
    /// The deliveries that a client remembers whose store is its own memory.
    pub(super) deliveries: OnceLock<Arc<Mutex<Memory>>>,
}

/// Why a location is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintFor {
    /// A request wants it: one that was removed stays removed.
    Request,
    /// It was installed, at that time where it is known.
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

/// When an app was uninstalled.
#[derive(Clone, Copy, Debug)]
struct Uninstalled {
    at: Timestamp,
    /// The event says so. Else it is when the event came, by our clock.
    is_platforms: bool,
}

impl Uninstalled {
    /// Returns `true` if a grant was authorized after it. Both moments are of the same clock, as
    /// far as that is known.
    fn is_before(self, grant: &Grant) -> bool {
        let authorized =
            if self.is_platforms { grant.authorized_for_webhooks() } else { grant.authorized_at };
        authorized > self.at
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    company: Option<Account>,
    at: Timestamp,
}

impl Inner {
    fn install(
        &self,
        location: &Account,
        company: Option<&Account>,
        at: Timestamp,
    ) -> Result<Applied> {
        let before = self.live(location)?;
        if before.as_ref().is_some_and(|(grant, _)| grant.authorized_for_webhooks() >= at) {
            self.forget_install(location)?;
            return Ok(Applied::Nothing);
        }
        for account in company.into_iter().chain([location]) {
            if self.tombstone(account)?.is_some_and(|(_, removed)| removed >= at) {
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
            let minted = self.mint_installed(location, company, MintFor::Install(Some(at)))?;
            self.forget_install(location)?;
            Ok(if minted { Applied::Minted } else { Applied::Nothing })
        };
        let (mut awaited, mut failed) = (None, None);
        for company in
            known.clone().map_or_else(|| self.few_companies(), |known| Ok(vec![known]))?
        {
            match self.serve(&company).map_err(|error| (error.code(), error)) {
                Ok(_) => match mint(&company) {
                    // Which one it is of, the event does not always say.
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
        self.remember_install(location, known.as_ref(), at)?;
        if let Some(error) = failed {
            return Err(error);
        }
        // The company's grant may have come meanwhile, and found nothing to finish.
        match awaited {
            Some(company) if self.live(&company)?.is_some() => mint(&company),
            _ => Ok(Applied::Remembered),
        }
    }

    /// Mints a location's grant in its turn among refreshes; `false` if there is one as young as
    /// the installation already, or any where that is not known.
    pub(crate) fn mint_installed(
        &self,
        location: &Account,
        company: &Account,
        why: MintFor,
    ) -> Result<bool> {
        let at = why.at();
        for _ in 0..SAVE_TRIES {
            let longest = self.at_most(self.settings.max_wait);
            let (led, minted) = (Cell::new(false), Cell::new(None));
            let work = |wait| {
                led.set(true);
                let snapshot = self.mint_leased_install(location, company, why, wait, &minted);
                snapshot.map_err(|error| error.with_account(location))
            };
            let Some(flown) = self.flights.fly(location, longest, work) else { break };
            if at.is_none() {
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
        Err(Error::new(
            ErrorCode::LeaseTimeout,
            "another process or thread refreshes this account and did not finish in time (`max_wait`): try again",
        )
        .with_account(location))
    }

    fn mint_leased_install(
        &self,
        location: &Account,
        company: &Account,
        why: MintFor,
        wait: Duration,
        minted: &Cell<Option<bool>>,
    ) -> Result<Arc<Snapshot>> {
        let mut lease = calling(|| self.store.lease(&self.key(location), wait))?.ok_or_else(|| {
            Error::new(
                ErrorCode::LeaseTimeout,
                "another process or thread refreshes this account and did not finish in time (`max_wait`): try again",
            )
        })?;
        let at = why.at();
        let seen = self.seen();
        let record = calling(|| lease.load(self.clock.now()))?;
        if let Some(record) = &record {
            self.check_replaceable(location, record)?;
            if record.grant.is_none() {
                let stays = match why {
                    MintFor::Request => true,
                    MintFor::Install(None) => {
                        !self.is_over_tombstone(location, record.generation)?
                    }
                    MintFor::Install(Some(at)) => record.expires_at >= at,
                };
                if stays {
                    minted.set(Some(false));
                    return Err(no_grant(location));
                }
            }
        }
        let (generation, fingerprints) =
            record.as_ref().map_or((0, vec![]), |record| (record.generation, record.seen.clone()));
        let before = match self.unsaved_grant(location) {
            Some((held, _)) => Some(held),
            None => self.open_live(location, record).ok().map(|(_, grant)| grant),
        };
        let is_as_young =
            |before: &&Grant| at.is_none_or(|at| before.authorized_for_webhooks() >= at);
        if let Some(before) = before.as_ref().filter(is_as_young) {
            minted.set(Some(false));
            return Ok(self.snapshot_of(before, generation));
        }
        let mut grant =
            self.mint_grant(company, location, before.as_ref(), self.settings.attempt_timeout)?;
        // By the platform's clock, as later events will be.
        grant.authorized_at = at.unwrap_or(grant.obtained_at);
        grant.platform_authorized_at = at.or(grant.platform_authorized_at);
        minted.set(Some(true));
        let saved = self.new_record(&grant, generation, &fingerprints, None).and_then(|new| {
            self.step(Step::Save, location)?;
            calling(|| lease.save(generation, &new))
        });
        match saved {
            Ok(true) => {
                self.forget_unsaved(location);
                let snapshot = self.snapshot_of(&grant, generation + 1);
                self.publish(Arc::clone(&snapshot), seen);
                self.changed(location, generation + 1, ChangeKind::Saved);
                Ok(snapshot)
            }
            Ok(false) => {
                // Somebody stored something newer: that is looked at in the next turn.
                minted.set(None);
                Ok(self.snapshot_of(&grant, generation))
            }
            Err(error) => {
                tracing::error!(account = %location, %error, "the new grant could not be saved; it is held in memory and saved at the next call");
                Ok(self.hold(grant, None, error))
            }
        }
    }

    fn uninstall(&self, location: &Account, uninstalled: Uninstalled) -> Result<Applied> {
        let remembered = lock(&self.installs.waiting).get(location).map(|waiting| waiting.at);
        if remembered.is_some_and(|installed| installed > uninstalled.at) {
            return Ok(Applied::Outdated);
        }
        let applied = self.remove_older(location, uninstalled, None)?;
        // One that another process remembered may be newer, which it knows: for all others the
        // tombstone speaks.
        if applied != Applied::Outdated && remembered.is_some() {
            self.forget_install(location)?;
        }
        Ok(applied)
    }

    /// First the company's own, so that nothing is minted from it any more. What a crash or an
    /// error leaves, the platform's next try removes.
    fn uninstall_company(&self, company: &Account, uninstalled: Uninstalled) -> Result<Applied> {
        let at = uninstalled.at;
        let applied = self.remove_older(company, uninstalled, None)?;
        if applied == Applied::Outdated {
            return Ok(applied);
        }
        let older: Vec<_> = lock(&self.installs.waiting)
            .iter()
            .filter(|(_, waiting)| waiting.at <= at && waiting.company.as_ref() == Some(company))
            .map(|(location, _)| location.clone())
            .collect();
        let (mut removed, mut failed) = (applied == Applied::Removed, None);
        for location in older {
            if let Err(error) = self.forget_install(&location) {
                failed.get_or_insert(error);
            }
        }
        for account in calling(|| self.store.accounts(&self.settings.app))? {
            if account.kind() == AccountKind::Location {
                let gone =
                    self.remove_older(&account, uninstalled, Some(company)).and_then(|applied| {
                        let gone = applied == Applied::Removed;
                        let waiting =
                            lock(&self.installs.waiting).get(&account).map(|waiting| waiting.at);
                        if gone && waiting.is_some_and(|installed| installed <= at) {
                            self.forget_install(&account)?;
                        }
                        Ok(gone)
                    });
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

    /// Removes a grant that was authorized by `at`, and leaves a tombstone of that moment, also
    /// where there was none; with `company` only one of a location of that.
    fn remove_older(
        &self,
        account: &Account,
        uninstalled: Uninstalled,
        company: Option<&Account>,
    ) -> Result<Applied> {
        let at = uninstalled.at;
        for _ in 0..SAVE_TRIES {
            let held = self.unsaved_grant(account).map(|(grant, _)| grant);
            let record = self.load(account)?;
            let dead = record.as_ref().filter(|record| record.grant.is_none());
            let dead =
                dead.map(|record| (record.generation, record.seen.clone(), record.expires_at));
            let stored = record.filter(|record| record.grant.is_some()).map(|record| {
                (record.generation, record.seen.clone(), self.open_live(account, Some(record)))
            });
            let (place, grant) = match stored {
                None if held.is_none() => {
                    self.cache.forget(account.as_str());
                    let (generation, seen, removed) =
                        dead.unwrap_or((0, vec![], Timestamp(i64::MIN)));
                    if company.is_none() && removed < at {
                        let tombstone = NewRecord { grant: None, expires_at: at, seen };
                        if !calling(|| self.store.save(&self.key(account), generation, &tombstone))?
                        {
                            continue;
                        }
                    }
                    return Ok(Applied::Nothing);
                }
                None => (None, held),
                Some((generation, seen, Ok((_, grant)))) => {
                    (Some((generation, seen)), Some(held.unwrap_or(grant)))
                }
                // Another key's is somebody else's; what is damaged nobody can use.
                Some((_, _, Err(error))) if error.code() == ErrorCode::StoreKey => {
                    return Err(error);
                }
                Some((generation, seen, Err(_))) => (Some((generation, seen)), held),
            };
            if grant.as_ref().is_some_and(|grant| uninstalled.is_before(grant)) {
                return Ok(Applied::Outdated);
            }
            let of_it = |company: &Account| {
                grant.as_ref().and_then(|grant| grant.company_id.as_deref()) == Some(company.id())
            };
            if company.is_some_and(|company| !of_it(company)) {
                return Ok(Applied::Nothing);
            }
            let mut now = 0;
            if let Some((generation, seen)) = place {
                let tombstone = NewRecord { grant: None, expires_at: at, seen };
                if !calling(|| self.store.save(&self.key(account), generation, &tombstone))? {
                    continue;
                }
                now = generation + 1;
            }
            self.forget_unsaved(account);
            self.cache.forget(account.as_str());
            self.changed(account, now, ChangeKind::Removed);
            return Ok(Applied::Removed);
        }
        Err(busy(account))
    }

    /// Returns `true` if an account is one of this app's: it has a grant, or is a location whose
    /// installation is remembered. Asks the store; other processes may have stored the grant.
    pub(super) fn knows(&self, account: &Account) -> Result<bool> {
        self.check_open()?;
        self.check_process()?;
        if self.is_unsaved(account)
            || self.load(account)?.is_some_and(|record| record.grant.is_some())
        {
            return Ok(true);
        }
        Ok(account.kind() == AccountKind::Location
            && (lock(&self.installs.waiting).contains_key(account)
                || self.is_install_stored(account)? == Some(true)))
    }

    /// The live grant of an account, and whether the platform refused it for good.
    fn live(&self, account: &Account) -> Result<Option<(Grant, bool)>> {
        if let Some((grant, _)) = self.unsaved_grant(account) {
            return Ok(Some((grant, false)));
        }
        let record = self.load(account)?;
        match self.open_live(account, record) {
            Ok((record, grant)) => {
                Ok(Some((grant, record.back_off.is_some_and(|back_off| back_off.refused))))
            }
            // What is damaged may be replaced.
            Err(error) if matches!(error.code(), ErrorCode::NoGrant | ErrorCode::StoreCorrupt) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The generation of an account's tombstone, and the moment of the UNINSTALL that it is of.
    fn tombstone(&self, account: &Account) -> Result<Option<(u64, Timestamp)>> {
        let record = self.load(account)?.filter(|record| record.grant.is_none());
        Ok(record.map(|record| (record.generation, record.expires_at)))
    }

    /// Whether an installation was remembered that is newer than this tombstone.
    fn is_over_tombstone(&self, location: &Account, generation: u64) -> Result<bool> {
        let id = over_tombstone(location, generation);
        let claimed = calling(|| self.store.claimed(&self.settings.app, &id, self.clock.now()))?;
        Ok(claimed == Some(true))
    }

    /// The company whose grant is stored, if it is one.
    pub(crate) fn only_company(&self) -> Result<Option<Account>> {
        let mut companies = self.companies()?;
        let company = companies.pop();
        Ok(company.filter(|_| companies.is_empty()))
    }

    /// The companies that may be tried in turn.
    fn few_companies(&self) -> Result<Vec<Account>> {
        self.companies().map(|mut companies| {
            companies.truncate(MOST_TRIED);
            companies
        })
    }

    fn companies(&self) -> Result<Vec<Account>> {
        let mut accounts = calling(|| self.store.accounts(&self.settings.app))?;
        accounts.retain(|account| account.kind() == AccountKind::Company);
        Ok(accounts)
    }

    fn remember_install(
        &self,
        location: &Account,
        company: Option<&Account>,
        at: Timestamp,
    ) -> Result<()> {
        let now = self.clock.now();
        let until = now.plus(REMEMBERED);
        let app = &self.settings.app;
        // The location last: who finds it finds the others too.
        let company = company.map(|company| (company, of_company(location, company)));
        let over =
            self.tombstone(location)?.map(|(generation, _)| over_tombstone(location, generation));
        for id in company.map(|(_, id)| id).into_iter().chain(over).chain([of_location(location)]) {
            if !calling(|| self.store.claim(app, &id, until, now))? {
                // An older installation's: this one is remembered as long as any.
                calling(|| self.store.unclaim(app, &id))?;
                calling(|| self.store.claim(app, &id, until, now))?;
            }
        }
        let company = company.map(|(company, _)| company);
        let mut waiting = lock(&self.installs.waiting);
        waiting.retain(|_, waiting| waiting.at.plus(REMEMBERED) > now);
        waiting.insert(location.clone(), Waiting { company: company.cloned(), at });
        Ok(())
    }

    /// Whether an installation is remembered in the store; `None` if that can't be told.
    fn is_install_stored(&self, location: &Account) -> Result<Option<bool>> {
        let id = of_location(location);
        calling(|| self.store.claimed(&self.settings.app, &id, self.clock.now()))
    }

    /// Forgets a remembered installation: it is finished, or over.
    pub(crate) fn forget_install(&self, location: &Account) -> Result<()> {
        if location.kind() != AccountKind::Location {
            return Ok(());
        }
        let here = lock(&self.installs.waiting).remove(location).is_some();
        match self.is_install_stored(location)? {
            Some(false) => Ok(()),
            None if !here => Ok(()),
            _ => calling(|| self.store.unclaim(&self.settings.app, &of_location(location))),
        }
    }

    /// After a company's grant came: mints those locations whose installation waited for it here.
    /// What fails waits on. A location that has its own waits no more.
    pub(crate) fn finish_installs(&self, company: &Account) {
        if company.kind() != AccountKind::Company {
            let waited = lock(&self.installs.waiting).contains_key(company);
            if waited && let Err(error) = self.forget_install(company) {
                tracing::warn!(account = %company, %error, "the note about a finished installation could not be deleted from the store; it is deleted when the account is used next");
            }
            return;
        }
        let waiting: Vec<_> = lock(&self.installs.waiting)
            .iter()
            .filter(|(_, waiting)| waiting.company.as_ref().is_none_or(|own| own == company))
            .map(|(location, waiting)| (location.clone(), waiting.at))
            .collect();
        let _call = self.begin_call();
        for (location, at) in waiting {
            let minted = match self.is_install_stored(&location) {
                // Another process finished it, or it is over.
                Ok(Some(false)) => Ok(false),
                Ok(_) => self.mint_installed(&location, company, MintFor::Install(Some(at))),
                Err(error) => Err(error),
            };
            if let Err(error) = minted.and_then(|_| self.forget_install(&location)) {
                tracing::warn!(account = %location, %error, "the grant of an installed location could not be minted yet; it is tried again when the location is used");
                if error.is_retryable() {
                    return;
                }
            }
        }
    }

    /// A location without a grant, for which `error` says so, may be one whose installation is
    /// remembered: then it is minted.
    #[cold]
    pub(crate) fn finish_install(&self, location: &Account, error: Error) -> Result<Arc<Snapshot>> {
        let about_it =
            error.code() == ErrorCode::NoGrant && error.account().is_none_or(|of| of == location);
        if !about_it || location.kind() != AccountKind::Location || self.oauth().is_err() {
            return Err(error);
        }
        let now = self.clock.monotonic();
        if lock(&self.installs.pauses).get(location).is_some_and(|until| *until > now) {
            return Err(error);
        }
        match self.mint_remembered(location) {
            Ok(true) => self.obtain(location),
            Ok(false) => Err(error),
            Err(failure) => {
                tracing::warn!(account = %location, error = %failure, "the grant of an installed location could not be minted; it is tried again in a minute, when the location is used");
                let mut pauses = lock(&self.installs.pauses);
                pauses.retain(|_, until| *until > now);
                pauses.insert(location.clone(), now + PAUSE);
                Err(error)
            }
        }
    }

    /// Mints a location whose installation is remembered; `false` if none is, or its company's
    /// grant is not here yet.
    fn mint_remembered(&self, location: &Account) -> Result<bool> {
        let here = lock(&self.installs.waiting).get(location).cloned();
        match self.is_install_stored(location)? {
            Some(false) => {
                lock(&self.installs.waiting).remove(location);
                return Ok(false);
            }
            None if here.is_none() => return Ok(false),
            _ => {}
        }
        if let (None, Some((generation, _))) = (&here, self.tombstone(location)?)
            && !self.is_over_tombstone(location, generation)?
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
            match self.mint_installed(location, &company, MintFor::Install(at)) {
                Ok(_) => return self.forget_install(location).map(|()| true),
                Err(error) if error.code() == ErrorCode::NoGrant => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// The companies that a remembered location may be of.
    fn companies_of(&self, location: &Account) -> Result<Vec<Account>> {
        let companies = self.companies()?;
        let now = self.clock.now();
        let mut of_it = Vec::new();
        for company in &companies {
            let id = of_company(location, company);
            if calling(|| self.store.claimed(&self.settings.app, &id, now))? == Some(true) {
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

fn of_location(location: &Account) -> Fingerprint {
    id("install", location.as_str())
}

fn of_company(location: &Account, company: &Account) -> Fingerprint {
    id("install of company", &format!("{location} {company}"))
}

fn over_tombstone(location: &Account, generation: u64) -> Fingerprint {
    id("install over tombstone", &format!("{location} {generation}"))
}

/// An installation whose company has not authorized the app by then is forgotten.
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);
/// Of companies, where the event does not say which one.
const MOST_TRIED: usize = 10;
/// In milliseconds, between two tries to mint a location at a call.
const PAUSE: u64 = 60_000;
