//! Grants: the only place that loads, opens, seals, writes and publishes the rows of a store.
//!
//! [`Grants`] reads in this file and writes in `write.rs`.

mod change;
pub(crate) mod facts;
mod grant;
mod health;
mod import;
mod reseal;
mod unsaved;
mod vault;
mod watch;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

pub(crate) use self::change::ChangeHook;
pub use self::change::{Change, ChangeKind};
use self::facts::{FactsOfGrants, GrantFacts};
pub use self::grant::Grant;
pub(crate) use self::grant::{check_token, issued_at, plausible, within_second};
pub use self::health::Health;
pub(crate) use self::health::health;
pub use self::import::Import;
pub(crate) use self::import::import;
pub(crate) use self::reseal::Resealing;
use self::unsaved::UnsavedGrants;
pub(crate) use self::vault::Vault;
pub(crate) use self::watch::{Bearer, LOOK_EVERY, Watch};
pub(crate) use self::write::{Before, Content, Decision, Row, Written};

use crate::account::{Account, AccountKind};
use crate::cache::Cache;
use crate::calls::{Call, Calls, at_most};
use crate::clock::{ClientClock, Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::patience::QUICK;
use crate::settings::Settings;
use crate::snapshot::{Constants, Moment, Snapshot};
use crate::steps::Steps;
use crate::store::{AppStore, Record};

/// The grants of a client: rows in the store, and their copies in memory.
pub(crate) struct Grants {
    pub(crate) cache: Cache,
    pub(crate) clock: ClientClock,
    pub(crate) settings: Arc<Settings>,
    pub(crate) constants: Arc<Constants>,
    pub(crate) vault: Vault,
    pub(crate) store: AppStore,
    watch: Option<Watch>,
    unsaved: UnsavedGrants,
    facts: FactsOfGrants,
    pub(crate) calls: Arc<Calls>,
    pub(crate) steps: Steps,
    on_change: Option<ChangeHook>,
}

/// Parts that grants are made of.
pub(crate) struct GrantParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: ClientClock,
    pub(crate) vault: Vault,
    pub(crate) store: AppStore,
    /// `true` if others may change the store.
    pub(crate) is_shared: bool,
    pub(crate) steps: Steps,
    pub(crate) on_change: Option<ChangeHook>,
}

impl Grants {
    pub(crate) fn new(parts: GrantParts) -> Self {
        let GrantParts { settings, clock, vault, store, is_shared, steps, on_change } = parts;
        Self {
            cache: Cache::new(settings.cache_accounts),
            constants: Arc::new(Constants::new(&settings.api_version, &settings.user_agent)),
            watch: is_shared.then(|| Watch::new(store.clone())),
            clock,
            settings,
            vault,
            store,
            unsaved: UnsavedGrants::default(),
            facts: FactsOfGrants::default(),
            calls: Arc::new(Calls::new()),
            steps,
            on_change,
        }
    }

    /// Returns `true` if other clients may change the store.
    pub(crate) fn is_shared(&self) -> bool {
        self.watch.is_some()
    }

    /// Begins a call that takes at most the option `timeout`, or goes on with the call that led
    /// here.
    pub(crate) fn begin_call(&self) -> Call {
        self.calls.begin(&self.clock, self.settings.timeout)
    }

    /// Returns the time that is left of this thread's call, at most `longest`.
    pub(crate) fn at_most(&self, longest: Duration) -> Duration {
        at_most(&self.clock, longest)
    }

    pub(crate) fn load(&self, account: &Account) -> Result<Option<Record>> {
        self.store.load(account, self.clock.now())
    }

    /// Opens the grant of a record: `NO_GRANT` for no record and for a tombstone.
    pub(crate) fn open_live(
        &self,
        account: &Account,
        record: Option<Record>,
    ) -> Result<(Record, Grant)> {
        let mut record = record.ok_or_else(|| no_grant(account))?;
        if let Some(newer) =
            self.cache.get(account.as_str()).filter(|it| it.generation > record.generation)
            && !self.is_unsaved(account)
        {
            // Another thread may have stored the newer one since the record was read.
            record = self.load(account)?.ok_or_else(|| no_grant(account))?;
            if record.generation < newer.generation && !self.is_unsaved(account) {
                return Err(rolled_back(account));
            }
        }
        let bytes = Zeroizing::new(record.grant.take().ok_or_else(|| no_grant(account))?);
        let grant = self.vault.open(account, &record, &bytes)?;
        Ok((record, grant))
    }

    /// Reads an account's grant: the unsaved one, else the stored one.
    pub(crate) fn export(&self, account: &Account) -> Result<Grant> {
        if let Some((grant, _)) = self.unsaved_grant(account) {
            return Ok(grant);
        }
        let _call = self.begin_call();
        let record = self.load(account)?;
        self.open_live(account, record).map(|(_, grant)| grant)
    }

    /// Returns the live grant of an account, and whether the platform refused it for good. A
    /// damaged grant counts as none, because it may be replaced.
    pub(crate) fn live(&self, account: &Account) -> Result<Option<(Grant, bool)>> {
        if let Some((grant, _)) = self.unsaved_grant(account) {
            return Ok(Some((grant, false)));
        }
        let record = self.load(account)?;
        match self.open_live(account, record) {
            Ok((record, grant)) => {
                Ok(Some((grant, record.back_off.is_some_and(|back_off| back_off.refused))))
            }
            Err(error) if matches!(error.code(), ErrorCode::NoGrant | ErrorCode::StoreCorrupt) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the generation of an account's tombstone, and the moment of its UNINSTALL.
    pub(crate) fn tombstone(&self, account: &Account) -> Result<Option<(u64, Timestamp)>> {
        let record = self.load(account)?.filter(|record| record.grant.is_none());
        Ok(record.map(|record| (record.generation, record.expires_at)))
    }

    /// Returns `true` if the account has a grant, here or in the store.
    pub(crate) fn has_grant(&self, account: &Account) -> Result<bool> {
        Ok(self.is_unsaved(account)
            || self.load(account)?.is_some_and(|record| record.grant.is_some()))
    }

    /// Returns the companies that have a grant.
    pub(crate) fn companies(&self) -> Result<Vec<Account>> {
        let mut accounts = self.store.accounts()?;
        accounts.retain(|account| account.kind() == AccountKind::Company);
        Ok(accounts)
    }

    /// Returns the facts about the grant behind a snapshot.
    pub(crate) fn facts_of(&self, snapshot: &Snapshot) -> Result<GrantFacts> {
        let account = Account::parse(snapshot.name())?;
        if let Some((grant, _)) = self.unsaved_grant(&account) {
            return Ok(self.facts.of_unsaved(grant));
        }
        self.facts.of_stored(snapshot.name(), snapshot.generation, || {
            let record = self.load(&account)?;
            let (record, grant) = self.open_live(&account, record)?;
            Ok((record.generation, grant))
        })
    }

    /// Reads an account into the cache.
    pub(crate) fn read_in(&self, account: &Account) -> Result<Arc<Snapshot>> {
        if let Some((grant, expected)) = self.unsaved_grant(account) {
            let snapshot = self.held_snapshot(&grant, expected);
            self.cache.publish(Arc::clone(&snapshot));
            return Ok(snapshot);
        }
        let changes = self.changes_seen();
        let record = self.load(account)?;
        // A handle may still have a snapshot that the cache had no room for.
        let gone = |error: &Error| error.code() == ErrorCode::NoGrant;
        let (record, grant) = self.open_live(account, record).inspect_err(|error| {
            if gone(error) {
                self.cache.forget(account.as_str());
            }
        })?;
        let snapshot = self.snapshot_of(&grant, record.generation);
        self.publish(Arc::clone(&snapshot), changes);
        Ok(snapshot)
    }

    /// Reads an account again that others may have changed. While the store can't be read, a token
    /// that is good (`is_living`) is served.
    pub(crate) fn read_suspect(
        &self,
        account: &Account,
        cached: &Arc<Snapshot>,
        is_living: bool,
    ) -> Result<Arc<Snapshot>> {
        let quick = self.watch.as_ref().filter(|_| is_living).map(Watch::quick);
        let start = Instant::now();
        let read = self.load(account).and_then(|record| self.open_live(account, record));
        drop(quick);
        let snapshot = match read {
            Ok((record, grant)) => {
                let stored = self.snapshot_of(&grant, record.generation);
                if stored.generation == cached.generation && stored.same_token(cached) {
                    Arc::new(stored.aged_as(cached))
                } else {
                    stored
                }
            }
            Err(error) if error.code() == ErrorCode::NoGrant => {
                self.cache.forget(account.as_str());
                return Err(error);
            }
            // The caller refreshes it, which reads the store too.
            Err(_) if !is_living => return Ok(Arc::clone(cached)),
            Err(error) => {
                if start.elapsed() >= QUICK {
                    // The other accounts need not find out one by one.
                    self.tell_trouble(&error);
                }
                if cached.is_unread() {
                    tracing::warn!(
                        %account, %error,
                        "the store can't be read, so changes made elsewhere are not seen; the \
                         token is served while it lives"
                    );
                }
                let again = Moment::at(self.clock.now().plus(LOOK_EVERY), &self.clock);
                Arc::new(cached.suspected(again.earlier(cached.hard())))
            }
        };
        self.cache.replace(cached, Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Makes the snapshot of a grant, with the moments at which it stops being good.
    pub(crate) fn snapshot_of(&self, grant: &Grant, generation: u64) -> Arc<Snapshot> {
        let clock = &self.clock;
        let now = clock.now();
        let expires = grant.trusted_expiry(now);
        let life = if grant.lifetime().is_zero() { expires.since(now) } else { grant.lifetime() };
        // The early refreshes of a fleet are spread: an account's starts somewhere in the last
        // quarter of its life, at the same place in every process.
        let place = self.vault.fingerprint(&grant.account, &generation.to_string());
        let spread = f64::from(place[0]) / 255.0;
        let soft = expires.minus((life / 4).mul_f64(1.0 - spread * 0.25));
        let hard = expires.minus(self.settings.refresh_before.min(life / 10));
        let soft = soft.min(hard);
        let moment =
            |when: Timestamp| if when <= now { Moment::PAST } else { Moment::at(when, clock) };
        let (name, token) = (grant.account.as_str(), grant.access_token.expose());
        let snapshot = Snapshot::new(name, token, Arc::clone(&self.constants), generation);
        Arc::new(snapshot.with_moments(moment(soft), moment(hard), moment(expires)))
    }

    /// Looks for changes that others made, if a look is due. Fails only if nothing was ever read
    /// from the store.
    pub(crate) fn watch_store(&self, bearer: Bearer) -> Result<()> {
        match &self.watch {
            Some(watch) => watch.look_if_due(&self.cache, &self.clock, bearer),
            None => Ok(()),
        }
    }

    /// Returns the watch, if the store is shared and was read before.
    pub(crate) fn begun_watch(&self) -> Option<&Watch> {
        self.watch.as_ref().filter(|watch| watch.has_begun())
    }

    /// Returns the count of changes that was seen last: `None` if the store does not tell. Ask for
    /// it before you read or write a row, for [`publish`](Self::publish).
    pub(crate) fn changes_seen(&self) -> Option<u64> {
        match &self.watch {
            Some(watch) => watch.changes_seen(&self.clock),
            None => Some(0),
        }
    }

    /// Publishes a snapshot of a row that was read or written after `changes` were seen. A look
    /// that came between did not know of this row.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>, changes: Option<u64>) {
        let published = Arc::clone(&snapshot);
        self.cache.publish(snapshot);
        if changes.is_none() || self.changes_seen() != changes {
            self.cache.suspect(published.name(), u64::MAX);
        }
    }

    pub(crate) fn tell_trouble(&self, error: &Error) {
        if let Some(watch) = &self.watch {
            watch.tell_trouble(error);
        }
    }

    pub(crate) fn is_unsaved(&self, account: &Account) -> bool {
        self.unsaved.contains(account)
    }

    /// Returns the unsaved grant of an account, and the generation that it replaces.
    pub(crate) fn unsaved_grant(&self, account: &Account) -> Option<(Grant, Option<u64>)> {
        self.unsaved.get(account)
    }

    /// Returns the error of the last try to save an account's grant, while the grant is unsaved.
    pub(crate) fn unsaved_error(&self, account: &Account) -> Option<Error> {
        self.unsaved.error(account)
    }

    /// Makes the snapshot of an unsaved grant. It is never fresh, so that each call comes by and
    /// tries to save the grant.
    pub(crate) fn held_snapshot(&self, grant: &Grant, expected: Option<u64>) -> Arc<Snapshot> {
        Arc::new(self.snapshot_of(grant, expected.unwrap_or(0) + 1).with_soft(Moment::PAST))
    }
}

impl Drop for Grants {
    fn drop(&mut self) {
        // In a forked child, the unsaved grants are the parent's.
        if !self.unsaved.is_empty()
            && self.calls.process().is_this()
            && let Err(error) = self.save_all_unsaved()
        {
            tracing::error!(%error, "a grant could not be saved before the client ended");
        }
    }
}

pub(crate) fn no_grant(account: &Account) -> Error {
    Error::new(
        ErrorCode::NoGrant,
        "there is no grant for this account: send the user through authorization, or import one",
    )
    .with_account(account)
}

/// The error of a row whose generation went backwards. Its refresh token is spent: sending it could
/// cost the newer grant.
fn rolled_back(account: &Account) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        "the store holds an older grant of this account than this process has used: somebody \
         restored an older copy of the row or of the store; authorize the account again, or \
         restart the programs to go on with the older grant",
    )
    .with_account(account)
}
