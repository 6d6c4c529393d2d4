//! Refresh: when a token is renewed, and the protocol that loses no grant.
//!
//! A fresh token is served without a thought. From the soft moment on, one caller refreshes early
//! while the others are served. From the hard moment on, callers wait. A refresh always goes:
//! lease, re-read, mark and slot, send, check, save, publish, release. Whatever crashes or fails in
//! between, the old or the new grant is in the store. An open mark tells the next caller to send
//! the same refresh token again, while the platform still answers it with the same new pair.

mod attempt;
mod backoff;
mod exchange;
mod flight;
mod maintain;
mod mint;
mod recovery;
mod refused;
mod token_answer;
mod token_endpoint;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use self::attempt::Attempt;
pub(crate) use self::exchange::{Login, exchange};
use self::flight::Flights;
pub use self::maintain::Maintenance;
pub(crate) use self::maintain::{maintain, maintain_in_background};
pub(crate) use self::mint::{mint_counted, mint_grant};
pub(crate) use self::recovery::finish_fresh_marks;
use self::refused::RefusedTokens;
pub(crate) use self::refused::{refused_again, replace_refused};
use self::token_endpoint::TokenEndpoint;
pub(crate) use self::token_endpoint::{FailureClass, OWN_VERSION};

use crate::account::Account;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Grant, Grants};
use crate::limits::Limits;
use crate::patience::Patience;
use crate::snapshot::{Moment, Served, Snapshot};
use crate::steps::Step;
use crate::store::{Priority, Slot, SlotRequest};
use crate::transport::{self, Transport};

/// The refreshes of a client.
pub(crate) struct Refresher {
    pub(crate) grants: Grants,
    pub(crate) credential: Credential,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// The API's limits. Minting counts as an API request.
    pub(crate) limits: Limits,
    flights: Flights<Arc<Snapshot>>,
    refused: RefusedTokens,
    /// The moment at which the token endpoint last gave tokens to this client, in milliseconds
    /// since
    /// 1970. 0: not yet.
    last_success: AtomicI64,
    /// Number of threads of this process that maintain the fleet.
    maintainers: AtomicUsize,
}

/// Reason for a refresh.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// The token lives, but not for long: try, and wait for nothing.
    Soft,
    /// Callers can't go on without a new token.
    Hard,
    /// The API refused this token.
    Refused(Arc<Snapshot>),
    /// Maintenance renews the token once it has less than `window` to live. It waits for nothing.
    /// Unless it is `urgent`, it leaves room in the budget to others.
    Maintain { window: Duration, urgent: bool },
    /// A refresh whose outcome is not known stands open.
    Recover,
}

impl Refresher {
    pub(crate) fn new(
        grants: Grants,
        credential: Credential,
        transport: Option<Arc<dyn Transport>>,
    ) -> Self {
        Self {
            grants,
            credential,
            transport,
            limits: Limits::default(),
            flights: Flights::new(),
            refused: RefusedTokens::default(),
            last_success: AtomicI64::new(0),
            maintainers: AtomicUsize::new(0),
        }
    }

    /// Gets the snapshot of an account for use within another call.
    pub(crate) fn serve(&self, account: &Account) -> Result<Arc<Snapshot>> {
        match self.grants.cache.fresh(account.as_str().as_bytes(), &self.grants.clock) {
            Some(snapshot) => Ok(Served::into_inner(snapshot)),
            None => self.obtain(account),
        }
    }

    /// Does everything that has to happen so that `account` has headers.
    pub(crate) fn obtain(&self, account: &Account) -> Result<Arc<Snapshot>> {
        let (grants, clock) = (&self.grants, &self.grants.clock);
        let snapshot = match grants.cache.get(account.as_str()) {
            Some(snapshot)
                if snapshot.is_suspect()
                    && !snapshot.is_fresh(clock)
                    && !grants.is_unsaved(account) =>
            {
                grants.read_suspect(account, &snapshot, self.is_living(&snapshot))?
            }
            Some(snapshot) => snapshot,
            None => grants.read_in(account)?,
        };
        if grants.is_unsaved(account) {
            let hard = snapshot.is_hard(clock);
            let saved = if hard {
                grants.save_unsaved(account)
            } else {
                grants.save_unsaved_quickly(account)
            };
            if !saved && !hard {
                return Ok(snapshot);
            }
        }
        if snapshot.is_fresh(clock) {
            return Ok(snapshot);
        }
        let refused = self.is_refused(&snapshot);
        if !snapshot.is_hard(clock) && !refused && self.is_maintained() {
            let later = Arc::new(snapshot.with_soft(snapshot.hard()));
            grants.cache.replace(&snapshot, Arc::clone(&later));
            return Ok(later);
        }
        if !snapshot.is_hard(clock) && !refused {
            return Ok(self.refresh_early(account, snapshot));
        }
        let need = if refused { Need::Refused(Arc::clone(&snapshot)) } else { Need::Hard };
        match self.refresh_waiting(account, &need) {
            Ok(fresh) => Ok(fresh),
            // The token still lives by the clock and nobody refused it: better than no headers.
            Err(error) if !refused && !snapshot.is_expired(clock) && still_serves(error.code()) => {
                tracing::warn!(
                    %account, %error, "refresh failed; the token is served while it lives"
                );
                Ok(snapshot)
            }
            Err(error) => Err(error.with_account(account)),
        }
    }

    /// Refreshes while others may do the same, and waits for whoever does.
    pub(crate) fn refresh_waiting(&self, account: &Account, need: &Need) -> Result<Arc<Snapshot>> {
        let longest = self.grants.at_most(self.grants.settings.max_wait);
        let work = |left| self.lead(account, need, left);
        match self.fly(account, longest, work) {
            Some(Ok(snapshot)) if self.is_refused(&snapshot) => {
                Err(refused_again(account, self.refused.note_replaced(account, &self.grants.clock)))
            }
            Some(result) => result,
            None => Err(lease_timeout().with_account(account)),
        }
    }

    /// Refreshes without waiting for anybody: `None` while another thread is at it, `LEASE_TIMEOUT`
    /// while another process is.
    pub(crate) fn refresh_alone(
        &self,
        account: &Account,
        need: &Need,
    ) -> Option<Result<Arc<Snapshot>>> {
        self.flights.fly_alone(account, || {
            self.lead(account, need, Duration::ZERO).map_err(|error| error.with_account(account))
        })
    }

    /// Refreshes without waiting for anybody, after an unsaved grant was saved. Until that is
    /// stored, the store shows the old grant, its end and its open mark; so `None` means that
    /// nothing can be done yet, or that another thread is at it.
    pub(crate) fn renew(&self, account: &Account, need: &Need) -> Option<Result<Arc<Snapshot>>> {
        if self.grants.is_unsaved(account) && !self.grants.save_unsaved(account) {
            return None;
        }
        self.refresh_alone(account, need)
    }

    /// Gets the result of the refresh or mint of an account that is under way, or does `work`
    /// within the time that `work` is given. `None` if nothing came within `longest`.
    pub(crate) fn fly(
        &self,
        account: &Account,
        longest: Duration,
        work: impl FnOnce(Duration) -> Result<Arc<Snapshot>>,
    ) -> Option<Result<Arc<Snapshot>>> {
        let work = |left| work(left).map_err(|error| error.with_account(account));
        self.flights.fly(account, longest, work)
    }

    /// Tries once. A failure is logged, and the living token is served.
    fn refresh_early(&self, account: &Account, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let quick = Patience::of(SOFT_STORE);
        let refreshed = self.refresh_alone(account, &Need::Soft);
        drop(quick);
        match refreshed {
            None => snapshot,
            Some(Ok(fresh)) => fresh,
            Some(Err(error)) => {
                tracing::warn!(%account, %error, "early refresh failed; it is tried again later");
                // Until then, calls should cost nothing again.
                let grants = &self.grants;
                let again = grants.clock.now().plus(error.retry_after().unwrap_or(SOFT_PAUSE));
                let current = grants.cache.get(account.as_str());
                if let Some(current) =
                    current.filter(|current| current.generation == snapshot.generation)
                    && !current.is_suspect()
                    && !self.is_refused(&current)
                    && !grants.is_unsaved(account)
                {
                    let soft = Moment::at(again, &grants.clock).earlier(current.hard());
                    grants.cache.replace(&current, Arc::new(current.with_soft(soft)));
                }
                snapshot
            }
        }
    }

    /// Refreshes once it has the lease. `wait` is the longest time for that.
    fn lead(&self, account: &Account, need: &Need, wait: Duration) -> Result<Arc<Snapshot>> {
        let grants = &self.grants;
        // A flight that ended between the caller's look and now may have done the work.
        if let Some(current) = grants.cache.get(account.as_str())
            && self.is_good(&current, need)
            && !grants.is_unsaved(account)
        {
            return Ok(current);
        }
        grants.steps.at(Step::Lease, account)?;
        let mut lease = grants.store.lease(account, wait)?.ok_or_else(lease_timeout)?;
        let result = Attempt::new(self, account, need, &mut *lease).run();
        let released = grants.steps.at(Step::Release, account);
        drop(lease);
        released.and(result)
    }

    /// Returns `true` if a snapshot satisfies a need.
    fn is_good(&self, snapshot: &Arc<Snapshot>, need: &Need) -> bool {
        let clock = &self.grants.clock;
        match need {
            Need::Soft => snapshot.is_fresh(clock) && !self.is_refused(snapshot),
            Need::Hard => self.is_living(snapshot),
            Need::Refused(refused) => !snapshot.same_token(refused) && !snapshot.is_hard(clock),
            // Only the store knows.
            Need::Maintain { .. } | Need::Recover => false,
        }
    }

    /// Returns `true` while a token is good: it is not about to end, and the API did not refuse it.
    pub(crate) fn is_living(&self, snapshot: &Snapshot) -> bool {
        !snapshot.is_hard(&self.grants.clock) && !self.is_refused(snapshot)
    }

    #[cfg(test)]
    pub(crate) fn has_no_refused_tokens(&self) -> bool {
        self.refused.is_empty()
    }

    pub(crate) fn is_refused(&self, snapshot: &Snapshot) -> bool {
        self.refused.contains(snapshot)
    }

    /// Stores a new authorization over whatever is there. Returns `true` if it is stored, and
    /// `false` if it is held in memory because the store failed.
    pub(crate) fn adopt(&self, grant: Grant) -> bool {
        let account = grant.account.clone();
        let stored = self.grants.adopt(grant);
        if stored {
            self.refused.forget(&account);
        }
        stored
    }

    /// Waits for room in the budget of token requests, at most `max_wait`.
    fn take_slot(&self, priority: Priority) -> Result<()> {
        let grants = &self.grants;
        let mut waited = Duration::ZERO;
        loop {
            match grants.store.take_slot(self.slot(priority), grants.clock.now())? {
                Slot::Taken => return Ok(()),
                Slot::Wait(wait)
                    if wait <= grants.at_most(grants.settings.max_wait.saturating_sub(waited)) =>
                {
                    grants.clock.sleep(wait);
                    waited += wait;
                }
                Slot::Wait(wait) => return Err(budget_spent(wait)),
            }
        }
    }

    fn slot(&self, priority: Priority) -> SlotRequest {
        SlotRequest { per_minute: self.grants.settings.token_requests_per_minute, priority }
    }

    /// Notes that the platform counts more requests in this minute than we know of.
    fn note_limit(&self, error: &Error) {
        if error.code() != ErrorCode::RateLimited {
            return;
        }
        let budget = self.grants.settings.token_requests_per_minute;
        let wait = error.retry_after().unwrap_or(Duration::MAX);
        if let Err(error) = self.grants.store.exhaust(budget, wait, self.grants.clock.now()) {
            tracing::warn!(
                %error,
                "the store could not be told that the token endpoint's limit is reached; other \
                 processes learn it from the endpoint"
            );
        }
    }

    fn token_endpoint(&self) -> Result<TokenEndpoint<'_>> {
        let (client_id, client_secret) = self.credential.oauth()?;
        let grants = &self.grants;
        Ok(TokenEndpoint {
            transport: transport::of(self.transport.as_ref())?,
            token_url: &grants.settings.token_url,
            location_token_url: &grants.settings.location_token_url,
            client_id,
            client_secret,
            constants: &grants.constants,
            clock: &grants.clock,
        })
    }

    fn is_maintained(&self) -> bool {
        self.maintainers.load(Ordering::Relaxed) > 0
    }

    /// Returns the moment at which the token endpoint last gave tokens to this client.
    fn last_success(&self) -> Option<Timestamp> {
        let at = self.last_success.load(Ordering::Relaxed);
        (at > 0).then_some(Timestamp(at))
    }
}

/// The error of a refresh that another process or thread holds.
pub(crate) fn lease_timeout() -> Error {
    Error::new(
        ErrorCode::LeaseTimeout,
        "another process or thread refreshes this account and did not finish in time \
         (`max_wait`): try again",
    )
}

fn budget_spent(wait: Duration) -> Error {
    Error::new(
        ErrorCode::RateLimited,
        "the token requests of this minute are used up (`token_requests_per_minute`): try again \
         after `retry_after`",
    )
    .with_retry_after(wait)
}

/// Returns `true` for failures beside which a living token is still right to serve.
fn still_serves(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::NoGrant | ErrorCode::Cancelled | ErrorCode::InvalidState)
}

/// Time of the store beside an early refresh, whose caller has a living token.
const SOFT_STORE: Duration = Duration::from_secs(2);
const SOFT_ATTEMPT: Duration = Duration::from_secs(4);
const SOFT_PAUSE: Duration = Duration::from_secs(30);
/// While a lost answer may still be had, asking for it does not wait for the budget: the platform's
/// own 30 seconds.
const LONGEST_WINDOW: Duration = Duration::from_secs(30);
