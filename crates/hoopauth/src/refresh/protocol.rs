//! When to refresh, and the one protocol by which it happens.
//!
//! Fresh tokens are served by the client with no thought. From the soft mark on one caller
//! refreshes early while the others are served; from the hard mark on callers wait. A refresh
//! always goes: lease, re-read, mark and slot, send, check, save, publish, release. Whatever
//! crashes or fails in between, the old or the new grant is in the store, and an open mark tells
//! the next one to send the same refresh token again while the platform still answers it with the
//! same new pair.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::account::{Account, AccountKind};
use crate::refresh::backoff::{Failed, Outcome, share};
use crate::snapshot::{Moment, Snapshot};
use crate::callback::calling;
use crate::client::ChangeKind;
use crate::clock::{Clock, Timestamp};
use crate::calls::timed_out;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::Grant;
use crate::inner::Inner;
use crate::operations::Operation;
use crate::patience::Patience;
use crate::request::report::{Asked, Meaning, classify};
use crate::store::{
    BackOff, Begin, Fingerprint, Lease, Priority, Record, Slot, SlotRequest, WINDOW,
};
use crate::refresh::token_answer::TokenAnswer;
use crate::refresh::token_endpoint::{FailureClass, TokenFailure};
use crate::transport::TransportResponse;

/// The named points of a refresh, in their order. A test can stop or fail at each.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Before the lease is asked for.
    Lease,
    /// The lease is held; before the store is read again.
    Reread,
    /// Before slot and mark are written.
    Mark,
    /// The mark is durable; before the request is sent.
    Send,
    /// The answer is here; before it is checked.
    Check,
    /// Before the new grant is saved.
    Save,
    /// The new grant is durable; before the snapshot is published.
    Publish,
    /// Before the lease is given back.
    Release,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Lease,
        Self::Reread,
        Self::Mark,
        Self::Send,
        Self::Check,
        Self::Save,
        Self::Publish,
        Self::Release,
    ];
}

/// Why a refresh is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// The token lives, but not for long: try, and wait for nothing.
    Soft,
    /// Callers can't go on without.
    Hard,
    /// The API refused this token.
    Refused(Arc<Snapshot>),
    /// Maintenance wants it renewed once it has less than this to live: it waits for nothing, and
    /// `urgent` or not decides whether it leaves room in the budget to others.
    Maintain { window: Duration, urgent: bool },
    /// A refresh whose outcome is not known stands open.
    Recover,
}

impl Inner {
    /// The slow path: whatever has to happen so that `account` has headers.
    pub(crate) fn obtain(&self, account: &Account) -> Result<Arc<Snapshot>> {
        let clock = &self.clock;
        let snapshot = match self.cache.get(account.as_str()) {
            Some(snapshot)
                if snapshot.is_suspect()
                    && !snapshot.is_fresh(clock)
                    && !self.is_unsaved(account) =>
            {
                self.read_suspect(account, &snapshot)?
            }
            Some(snapshot) => snapshot,
            None => self.read_in(account)?,
        };
        if self.is_unsaved(account) {
            let hard = snapshot.is_hard(clock);
            let saved =
                if hard { self.save_unsaved(account) } else { self.save_unsaved_quickly(account) };
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
            self.cache.replace(&snapshot, Arc::clone(&later));
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
                tracing::warn!(%account, %error, "refresh failed; the token is served while it lives");
                Ok(snapshot)
            }
            Err(error) => Err(error.with_account(account)),
        }
    }

    /// Refreshes while others may do the same; waits for whoever does.
    pub(crate) fn refresh_waiting(&self, account: &Account, need: &Need) -> Result<Arc<Snapshot>> {
        let longest = self.at_most(self.settings.max_wait);
        let work =
            |left| self.lead(account, need, left).map_err(|error| error.with_account(account));
        match self.flights.fly(account, longest, work) {
            Some(Ok(snapshot)) if self.is_refused(&snapshot) => {
                Err(Self::refused_again(account, self.note_replaced(account)))
            }
            Some(result) => result,
            None => Err(Error::new(
                ErrorCode::LeaseTimeout,
                "another process or thread refreshes this account and did not finish in time (`max_wait`): try again",
            )
            .with_account(account)),
        }
    }

    /// One caller tries; every failure is logged and the living token served.
    fn refresh_early(&self, account: &Account, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let quick = Patience::of(SOFT_STORE);
        let refreshed = self.refresh_alone(account, &Need::Soft);
        drop(quick);
        match refreshed {
            None => snapshot,
            Some(Ok(fresh)) => fresh,
            Some(Err(error)) => {
                tracing::warn!(%account, %error, "early refresh failed; it is tried again later");
                // Until then the calls are to cost nothing again.
                let again = self.clock.now().plus(error.retry_after().unwrap_or(SOFT_PAUSE));
                let current = self.cache.get(account.as_str());
                if let Some(current) =
                    current.filter(|current| current.generation == snapshot.generation)
                    && !current.is_suspect()
                    && !self.is_refused(&current)
                    && !self.is_unsaved(account)
                {
                    let soft = Moment::at(again, &self.clock).earlier(current.hard());
                    self.cache.replace(&current, Arc::new(current.with_soft(soft)));
                }
                snapshot
            }
        }
    }

    /// Reads an account into the cache.
    pub(crate) fn read_in(&self, account: &Account) -> Result<Arc<Snapshot>> {
        if let Some(snapshot) = self.unsaved_snapshot(account) {
            return Ok(snapshot);
        }
        let seen = self.seen();
        let record = self.load(account)?;
        // A handle may still have what the cache had no room for.
        let gone = |error: &Error| error.code() == ErrorCode::NoGrant;
        let (record, grant) = self.open_live(account, record).inspect_err(|error| {
            if gone(error) {
                self.cache.forget(account.as_str());
            }
        })?;
        let snapshot = self.snapshot_of(&grant, record.generation);
        self.publish(Arc::clone(&snapshot), seen);
        Ok(snapshot)
    }

    /// As [`refresh_waiting`](Self::refresh_waiting), but waits for nobody: `None` while another
    /// thread is at it, `LEASE_TIMEOUT` while another process is.
    pub(crate) fn refresh_alone(
        &self,
        account: &Account,
        need: &Need,
    ) -> Option<Result<Arc<Snapshot>>> {
        self.flights.fly_alone(account, || {
            self.lead(account, need, Duration::ZERO).map_err(|error| error.with_account(account))
        })
    }

    /// Refreshes, once the lease is had; `wait` is how long that may take.
    fn lead(&self, account: &Account, need: &Need, wait: Duration) -> Result<Arc<Snapshot>> {
        // A flight that ended between the caller's look and now may have done the work.
        if let Some(current) = self.cache.get(account.as_str())
            && self.is_good(&current, need)
            && !self.is_unsaved(account)
        {
            return Ok(current);
        }
        self.step(Step::Lease, account)?;
        let mut lease = calling(|| self.store.lease(&self.key(account), wait))?.ok_or_else(|| {
            Error::new(
                ErrorCode::LeaseTimeout,
                "another process or thread refreshes this account and did not finish in time (`max_wait`): try again",
            )
        })?;
        let result = self.refresh_leased(account, need, &mut *lease);
        let released = self.step(Step::Release, account);
        drop(lease);
        released.and(result)
    }

    fn refresh_leased(
        &self,
        account: &Account,
        need: &Need,
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        self.step(Step::Reread, account)?;
        let unsaved = self.unsaved_grant(account);
        let seen = self.seen();
        let record = calling(|| lease.load(self.clock.now()))?;
        if let Some((grant, expected)) = unsaved {
            let generation = record.as_ref().map_or(0, |record| record.generation);
            // What could not be saved goes before what is stored, unless someone stored something
            // newer.
            if expected.is_none_or(|expected| expected == generation) {
                let held = self.held_snapshot(&grant, expected);
                if self.is_good(&held, need) {
                    return Ok(held);
                }
                // Spent, it could come back neither from memory, if this process ended, nor from
                // what is stored.
                self.save_held(&grant, record.as_ref(), lease)?;
                return self.refresh_leased(account, need, lease);
            }
            self.forget_unsaved(account);
        }
        let (record, grant) = self.open_live(account, record)?;
        let stored = self.snapshot_of(&grant, record.generation);
        // The same token as the cached one: that knows its age also by the monotonic clock.
        let stored = match self.cache.get(account.as_str()) {
            Some(cached)
                if cached.generation == stored.generation && cached.same_token(&stored) =>
            {
                if cached.is_suspect() { Arc::new(stored.aged_as(&cached)) } else { cached }
            }
            _ => stored,
        };
        let good = match need {
            Need::Recover => record.mark.is_none(),
            Need::Maintain { window, .. } => {
                let widest = if grant.lifetime() < SHORT_LIFE { WIDEST_OF_SHORT } else { WIDEST };
                let window = (*window).min(grant.lifetime().mul_f64(widest));
                let left = grant.trusted_expiry(self.clock.now()).since(self.clock.now());
                self.is_good(&stored, &Need::Soft) && left > window
            }
            _ => self.is_good(&stored, need),
        };
        if good {
            if !self.is_unsaved(account) {
                self.publish(Arc::clone(&stored), seen);
            }
            return Ok(stored);
        }
        self.check_back_off(account, &record)?;
        let mut mint_error = None;
        if grant.minted {
            match self.mint(account, &grant, &record, need, lease) {
                Ok(snapshot) => return Ok(snapshot),
                // The company's trouble is noted with the company: once that is over, its locations
                // need not wait.
                Err(error) if grant.refresh_token.is_none() && is_of_another(&error, account) => {
                    return Err(error);
                }
                Err(error) if grant.refresh_token.is_none() => {
                    let outcome = mint_outcome(&error);
                    return Err(self.note_failure(account, &record, error, outcome, lease));
                }
                Err(error) => {
                    tracing::warn!(%account, %error, "minting failed; the refresh token is used");
                    mint_error = Some(error);
                }
            }
        }
        self.spend(account, &grant, &record, need, mint_error, lease)
    }

    /// Sends the refresh token.
    fn spend(
        &self,
        account: &Account,
        grant: &Grant,
        record: &Record,
        need: &Need,
        mint_error: Option<Error>,
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        let Some(refresh_token) = grant.refresh_token.clone() else {
            let error = reauthorize(
                "the access token has ended and there is no refresh token: send the user through authorization again",
            );
            return self.last_way_out(account, grant, record, need, (error, mint_error), lease);
        };
        let fingerprint = self.fingerprint(account, refresh_token.expose());
        let open = record.mark.filter(|mark| mark.fingerprint == fingerprint);
        let priority = match open {
            Some(mark) if mark.age < LONGEST_WINDOW => Priority::Recovery,
            _ => self.turn(account, record, need)?,
        };
        let attempt = if matches!(need, Need::Soft) {
            self.settings.attempt_timeout.min(SOFT_ATTEMPT)
        } else {
            self.settings.attempt_timeout
        };
        self.step(Step::Mark, account)?;
        let mut marked = Stand::now(&self.clock);
        self.mark(record, fingerprint, priority, need, lease)?;
        let start = self.clock.now();
        // The mark of a window that is over was dated anew.
        let age =
            open.map_or(
                Duration::ZERO,
                |mark| if mark.age < WINDOW { mark.age } else { Duration::ZERO },
            );
        let first_sent = start.minus(age);
        // The token that comes may be as old as the first request that asked for it.
        let issued = start.minus(
            open.filter(|mark| mark.age < LONGEST_WINDOW).map_or(Duration::ZERO, |mark| mark.age),
        );
        // `true` if some try, of this call or an earlier one, may have spent the token.
        let mut in_doubt = open.is_some();
        let mut tries = Tries { sent: 0, looked_again: false };
        let failure = loop {
            self.step(Step::Send, account)?;
            // A process that stood still may have lost the lease, and the token may be spent by
            // now.
            if marked.is_long_ago(&self.clock) {
                let again = calling(|| lease.load(self.clock.now()))?;
                if !again.as_ref().is_some_and(|again| is_still_ours(again, record, fingerprint)) {
                    return self.someone_elses(account, again);
                }
                marked = Stand::now(&self.clock);
            }
            let left = self.at_most(attempt);
            if left.is_zero() {
                if tries.sent == 0 {
                    // Nothing was sent: what is noted stays as it was.
                    let (close, before) = (open.is_none(), record.back_off.as_ref());
                    let noted = calling(|| lease.note(record.generation, close, before));
                    noted.unwrap_or_else(
                        |error| tracing::warn!(%account, %error, "the note of a refresh that was not sent could not be taken back; the next call sends the refresh token"),
                    );
                    return Err(timed_out());
                }
                break TokenFailure::new(timed_out(), FailureClass::Unknown);
            }
            tries.sent += 1;
            let answer = self.token_endpoint()?.refresh(account, &refresh_token, left);
            self.step(Step::Check, account)?;
            let failure = match answer {
                Ok(answer) => return self.take_answer(answer, grant, issued, record, need, lease),
                Err(failure) => failure,
            };
            in_doubt |= failure.class == FailureClass::Unknown;
            self.note_limit(&failure.error);
            let Some(pause) =
                self.pause_before_next_try(record, need, &failure, in_doubt, &mut tries)
            else {
                break failure;
            };
            // Inside the window the platform answers the same token with the same new pair: what
            // was lost comes back.
            let over = self.clock.now().since(first_sent) + pause + attempt > WINDOW;
            if over && failure.class == FailureClass::Unknown || !self.has_time_for(pause) {
                break failure;
            }
            if !pause.is_zero() {
                self.clock.sleep(pause);
                let again = calling(|| lease.load(self.clock.now()))?;
                if again.as_ref().is_none_or(|again| again.generation != record.generation) {
                    return self.someone_elses(account, again);
                }
                marked = Stand::now(&self.clock);
            }
            // Only what may be lost goes beyond the budget.
            let answered =
                failure.class == FailureClass::Unknown && failure.error.status().is_some();
            let priority = if answered { Priority::Normal } else { Priority::Recovery };
            let slot =
                SlotRequest { per_minute: self.settings.token_requests_per_minute, priority };
            let taken =
                calling(|| self.store.take_slot(&self.settings.app, slot, self.clock.now()));
            if !matches!(taken, Ok(Slot::Taken)) {
                break failure;
            }
        };
        // Whoever came meanwhile, as past a process that stood still, may have done the work.
        match calling(|| lease.load(self.clock.now())) {
            Ok(Some(again)) if again.generation == record.generation => {}
            Ok(again) => return self.someone_elses(account, again),
            Err(error) if failure.class == FailureClass::InvalidGrant => return Err(error),
            Err(_) => {}
        }
        let outcome = match failure.class {
            FailureClass::InvalidGrant => {
                let errors = (failure.error, mint_error);
                return self.last_way_out(account, grant, record, need, errors, lease);
            }
            _ if in_doubt => Outcome::InDoubt {
                age: self.clock.now().since(first_sent),
                first: open.is_none_or(|mark| mark.age >= WINDOW),
            },
            _ if failure.error.status().is_none() => Outcome::NotSent,
            _ => Outcome::Untouched,
        };
        Err(self.note_failure(account, record, failure.error, outcome, lease))
    }

    /// The place of a refresh in the budget. An error if it is none's turn: accounts that fail
    /// while others are served have a small share of the budget, of which nobody else needs to
    /// know.
    fn turn(&self, account: &Account, record: &Record, need: &Need) -> Result<Priority> {
        if let Some(back_off) = record.back_off.as_ref().filter(|back_off| back_off.is_troubled()) {
            // Whose settings were corrected is not the account's trouble any more.
            let corrected = back_off.settings.is_some()
                && back_off.settings != self.settings_fingerprint(account);
            let (now, share) = (self.clock.now(), share(self.settings.token_requests_per_minute));
            let turn = turn_of_troubled(now, share);
            if !corrected
                && !calling(|| self.store.claim(&self.settings.app, &turn, now.plus(share), now))?
            {
                return Err(back_off.error(share));
            }
            return Ok(Priority::Soft);
        }
        Ok(match need {
            Need::Soft | Need::Recover | Need::Maintain { urgent: false, .. } => Priority::Soft,
            Need::Hard | Need::Refused(_) | Need::Maintain { urgent: true, .. } => Priority::Normal,
        })
    }

    /// The time before the token is sent once more within this call; `None` if it is not.
    fn pause_before_next_try(
        &self,
        record: &Record,
        need: &Need,
        failure: &TokenFailure,
        in_doubt: bool,
        tries: &mut Tries,
    ) -> Option<Duration> {
        match failure.class {
            FailureClass::Untouched => None,
            // A refusal of a token that may just have been spent: the answer to an earlier request
            // may still be on its way through the platform. Where nothing is in doubt, or it was
            // refused before, a refusal is final.
            FailureClass::InvalidGrant => {
                let known = record.back_off.as_ref().is_some_and(|before| before.refused);
                let looks = in_doubt && !known && !tries.looked_again;
                tries.looked_again = true;
                looks.then_some(SECOND_LOOK)
            }
            FailureClass::Unknown if tries.sent >= 2 => None,
            // No answer came: the new pair may wait for whoever asks again.
            FailureClass::Unknown if failure.error.status().is_none() => Some(Duration::ZERO),
            // An answer came, and it is a failure. It is worth another try where somebody waits for
            // it, unless it failed before this call or asks for more time.
            FailureClass::Unknown => {
                let first = record.back_off.is_none() && self.settings.max_retries > 0;
                let waits = matches!(need, Need::Hard | Need::Refused(_));
                let told = failure.error.retry_after().unwrap_or_default();
                (first && waits && told <= LONGEST_RETRY_PAUSE).then(|| told.max(RETRY_PAUSE))
            }
        }
    }

    /// Returns `true` if a call has time for a pause and a request after it.
    fn has_time_for(&self, pause: Duration) -> bool {
        let needed = pause + SHORTEST_ATTEMPT.min(self.settings.timeout / 2);
        self.at_most(needed) == needed
    }

    /// Takes in that the platform counts more requests in this minute than we know of.
    pub(crate) fn note_limit(&self, error: &Error) {
        if error.code() != ErrorCode::RateLimited {
            return;
        }
        let (settings, now) = (&self.settings, self.clock.now());
        let (budget, wait) =
            (settings.token_requests_per_minute, error.retry_after().unwrap_or(Duration::MAX));
        let noted = calling(|| self.store.exhaust(&settings.app, budget, wait, now));
        if let Err(error) = noted {
            tracing::warn!(%error, "the store could not be told that the token endpoint's limit is reached; other processes learn it from the endpoint");
        }
    }

    /// The refresh token is gone: mint from the company if that can be, else the user must
    /// authorize again. `errors` are that of the refresh and, where minting was tried before it,
    /// that of minting.
    fn last_way_out(
        &self,
        account: &Account,
        grant: &Grant,
        record: &Record,
        need: &Need,
        (error, mint_error): (Error, Option<Error>),
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        let minted = match mint_error {
            Some(tried) => Err(tried),
            None => self.mint(account, grant, record, need, lease),
        };
        match minted {
            Ok(snapshot) => Ok(snapshot),
            // The token is gone for good, but the account is not: the next try may mint it.
            Err(mint_error) if mint_error.is_retryable() => {
                tracing::warn!(%account, error = %mint_error, "the refresh token is refused, and a new token could not be minted from the company's yet; it is tried again");
                let outcome = mint_outcome(&mint_error);
                Err(self.note_failure(account, record, mint_error, outcome, lease))
            }
            Err(mint_error) => {
                tracing::warn!(
                    %account, error = %mint_error,
                    "the refresh token is refused, and no token can be minted from the company's: the user has to authorize again"
                );
                let error = self.note_failure(account, record, error, Outcome::Refused, lease);
                self.changed(account, record.generation, ChangeKind::Refused);
                Err(error)
            }
        }
    }

    /// Mints a location's token from its company's grant.
    fn mint(
        &self,
        account: &Account,
        grant: &Grant,
        record: &Record,
        need: &Need,
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        let Some(company) =
            grant.company_id.as_deref().filter(|_| account.kind() == AccountKind::Location)
        else {
            return Err(Error::new(
                ErrorCode::NoGrant,
                "the company of this location is not known, so no token can be minted for it: send the user through \
                 authorization again",
            )
            .with_account(account));
        };
        let company = Account::company(company)?;
        let timeout =
            if matches!(need, Need::Soft) { SOFT_ATTEMPT } else { self.settings.attempt_timeout };
        let new = self.mint_grant(&company, account, Some(grant), timeout)?;
        let fingerprint =
            grant.refresh_token.as_ref().map(|token| self.fingerprint(account, token.expose()));
        self.keep(new, record, fingerprint.unwrap_or_default(), lease)
    }

    /// Asks for a location's token, to follow `before`; refreshes the company's once if it is
    /// refused, with growing pauses where that cures nothing.
    pub(crate) fn mint_grant(
        &self,
        company: &Account,
        location: &Account,
        before: Option<&Grant>,
        timeout: Duration,
    ) -> Result<Grant> {
        // It is no request that could wait its turn: someone's lease or call waits for it.
        self.count_turn(company.as_str());
        self.mint_counted(company, location, before, timeout)
    }

    /// As [`mint_grant`](Self::mint_grant), where the first request had its turn.
    pub(crate) fn mint_counted(
        &self,
        company: &Account,
        location: &Account,
        before: Option<&Grant>,
        timeout: Duration,
    ) -> Result<Grant> {
        let heard = |answer: &TransportResponse| {
            self.note_limits(company.as_str(), answer.status, answer.headers.iter());
        };
        let mut bearer = self.serve(company).map_err(|error| error.with_account(company))?;
        let mut repeated = false;
        loop {
            let endpoint = self.token_endpoint()?;
            let left = self.at_most(timeout);
            if left.is_zero() {
                return Err(timed_out());
            }
            let asked = self.clock.now();
            match endpoint.mint(company, location, bearer.authorization(), left, &heard) {
                Ok(answer) => {
                    answer.check_new(location, MINT_FROM_ITS_OWN)?;
                    if answer.company_id.as_deref().is_some_and(|id| id != company.id()) {
                        return Err(Error::new(
                            ErrorCode::WrongAccount,
                            format!(
                                "the platform gave a token of another company's location, so nothing was stored: {MINT_FROM_ITS_OWN}"
                            ),
                        )
                        .with_account(location));
                    }
                    let mut grant = answer.into_grant(location, before, asked, true);
                    grant.company_id = Some(company.id().to_owned());
                    return Ok(grant);
                }
                Err(failure) if failure.error.status() == Some(401) && !repeated => {
                    let asked = Asked {
                        account: Some(company),
                        operation: Operation::find("POST", "/oauth/locationToken"),
                        bearer: bearer.token(),
                        ..Asked::default()
                    };
                    let refused = match classify(&asked, 401, &failure.body) {
                        Meaning::Refreshable(error) => error,
                        Meaning::Final(error) | Meaning::PrivateIntegration(error) => {
                            return Err(error);
                        }
                        Meaning::Pass => return Err(failure.error),
                    };
                    repeated = true;
                    // A refusal that no new token cures must not spend one refresh token per
                    // location.
                    bearer = self.replace_refused(company, &bearer, &refused)?;
                    self.count_turn(company.as_str());
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// Keeps the pair of an answer to a refresh, whatever else it says. One that speaks for someone
    /// else is kept, too, for the token that asked for it is spent; but nobody is served with it.
    fn take_answer(
        &self,
        answer: TokenAnswer,
        before: &Grant,
        issued: Timestamp,
        record: &Record,
        need: &Need,
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        let account = &before.account;
        let spent =
            before.refresh_token.as_ref().map(|token| self.fingerprint(account, token.expose()));
        let spent = spent.unwrap_or_default();
        self.last_success.store(self.clock.now().0, Ordering::Relaxed);
        if record.back_off.as_ref().is_some_and(BackOff::is_troubled) {
            // What troubled this account may be over for others, too: the next of them need not
            // wait for its turn.
            let share = share(self.settings.token_requests_per_minute);
            let turn = turn_of_troubled(self.clock.now(), share);
            let released = calling(|| self.store.unclaim(&self.settings.app, &turn));
            released
                .unwrap_or_else(|error| tracing::debug!(%error, "a turn could not be given back"));
        }
        let Err(error) = answer.check(account) else {
            return self.keep(
                answer.into_grant(account, Some(before), issued, false),
                record,
                spent,
                lease,
            );
        };
        let now = self.clock.now();
        let serves = !matches!(need, Need::Refused(_)) && before.trusted_expiry(now) > now;
        let held = answer.into_held(before, issued, serves);
        let token = held.access_token.clone();
        let snapshot = self.keep(held, record, spent, lease)?;
        if snapshot.token() != token.expose() {
            // Someone else's grant came in between.
            return Ok(snapshot);
        }
        let message = format!(
            "{}: the new tokens are kept but not used, and refreshed once more after `retry_after`. If this stays, send the \
             user through authorization again for this account",
            error.message()
        );
        let error = Error::new(error.code(), message).with_account(account);
        tracing::warn!(%account, %error, "the answer to a refresh speaks for another account");
        let saved = Record { generation: record.generation + 1, ..record.clone() };
        Err(self.note_failure(account, &saved, error, Outcome::Untouched, lease))
    }

    /// Saves a good answer and publishes it. From here on nothing may lose it.
    pub(crate) fn keep(
        &self,
        new: Grant,
        record: &Record,
        spent: Fingerprint,
        lease: &mut dyn Lease,
    ) -> Result<Arc<Snapshot>> {
        let account = new.account.clone();
        let expected = record.generation;
        let seen = self.seen();
        let saved =
            self.new_record(&new, expected, &record.seen, Some(spent)).and_then(|new_record| {
                self.step(Step::Save, &account)?;
                calling(|| lease.save(expected, &new_record))
            });
        match saved {
            Ok(true) => {
                self.step(Step::Publish, &account)?;
                let snapshot = self.snapshot_of(&new, expected + 1);
                // A login that came meanwhile and could not be saved is newer: the next call finds
                // it and saves it.
                if !self.is_unsaved(&account) {
                    self.publish(Arc::clone(&snapshot), seen);
                }
                self.changed(&account, expected + 1, ChangeKind::Refreshed);
                Ok(snapshot)
            }
            Ok(false) => {
                // The lease may be lost, as is one of a host that stood still: what the others
                // stored can be read all the same.
                let again =
                    calling(|| lease.load(self.clock.now())).or_else(|_| self.load(&account))?;
                self.someone_elses(&account, again)
            }
            Err(error) => {
                tracing::error!(%account, %error, "the new grant could not be saved; it is held in memory and saved at the next call");
                Ok(self.hold_unsaved(new, expected, error))
            }
        }
    }

    /// Saves what could not be saved before over what is stored, unless that moved on meanwhile.
    fn save_held(
        &self,
        grant: &Grant,
        record: Option<&Record>,
        lease: &mut dyn Lease,
    ) -> Result<()> {
        let (account, seen) = (&grant.account, self.seen());
        let expected = record.map_or(0, |record| record.generation);
        let saved = record
            .map_or(Ok(()), |record| self.check_replaceable(account, record))
            .and_then(|()| {
                self.new_record(grant, expected, record.map_or(&[], |record| &record.seen), None)
            })
            .and_then(|new| calling(|| lease.save(expected, &new)))
            .inspect_err(|error| self.note_unsaved(account, error))?;
        if saved {
            self.forget_unsaved(account);
            self.publish(self.snapshot_of(grant, expected + 1), seen);
            self.changed(account, expected + 1, ChangeKind::Saved);
        }
        Ok(())
    }

    /// The generation moved on under us: what is stored now is right.
    pub(crate) fn someone_elses(
        &self,
        account: &Account,
        record: Option<Record>,
    ) -> Result<Arc<Snapshot>> {
        let (record, grant) =
            self.open_live(account, record).inspect_err(|_| self.cache.forget(account.as_str()))?;
        let snapshot = self.snapshot_of(&grant, record.generation);
        self.cache.publish(Arc::clone(&snapshot));
        if snapshot.is_hard(&self.clock) {
            return Err(Error::new(
                ErrorCode::LeaseTimeout,
                "the grant was changed elsewhere during the refresh: try again",
            ));
        }
        Ok(snapshot)
    }

    /// Takes a slot of the budget and writes the mark. Callers who can't go on without wait for the
    /// slot, as long as they have time for the request behind it; all others don't.
    fn mark(
        &self,
        record: &Record,
        fingerprint: Fingerprint,
        priority: Priority,
        need: &Need,
        lease: &mut dyn Lease,
    ) -> Result<()> {
        let patient = matches!(need, Need::Hard | Need::Refused(_)) && priority != Priority::Soft;
        let mut waited = Duration::ZERO;
        loop {
            if !self.has_time_for(Duration::ZERO) {
                return Err(timed_out());
            }
            let slot =
                SlotRequest { per_minute: self.settings.token_requests_per_minute, priority };
            match calling(|| lease.begin(record.generation, fingerprint, slot, self.clock.now()))? {
                Begin::Marked => return Ok(()),
                Begin::Moved => {
                    return Err(Error::new(
                        ErrorCode::LeaseTimeout,
                        "the grant was changed elsewhere before the refresh: try again",
                    ));
                }
                Begin::Wait(wait)
                    if patient
                        && wait <= self.settings.max_wait.saturating_sub(waited)
                        && self.has_time_for(wait) =>
                {
                    self.clock.sleep(wait);
                    waited += wait;
                }
                // Who waits for room behind a refusal is told of the refusal.
                Begin::Wait(wait) => {
                    let refused =
                        record.back_off.as_ref().filter(|back_off| back_off.is_troubled());
                    return Err(
                        refused.map_or_else(|| budget_spent(wait), |back_off| back_off.error(wait))
                    );
                }
            }
        }
    }

    /// Waits for room in the budget, at most `max_wait`.
    pub(crate) fn take_slot(&self, priority: Priority) -> Result<()> {
        let mut waited = Duration::ZERO;
        loop {
            let request =
                SlotRequest { per_minute: self.settings.token_requests_per_minute, priority };
            match calling(|| self.store.take_slot(&self.settings.app, request, self.clock.now()))? {
                Slot::Taken => return Ok(()),
                Slot::Wait(wait)
                    if wait <= self.at_most(self.settings.max_wait.saturating_sub(waited)) =>
                {
                    self.clock.sleep(wait);
                    waited += wait;
                }
                Slot::Wait(wait) => return Err(budget_spent(wait)),
            }
        }
    }

    /// Answers the noted error while an account is not to be tried.
    fn check_back_off(&self, account: &Account, record: &Record) -> Result<()> {
        let noted = record.back_off.as_ref();
        let error = noted.and_then(|note| {
            note.error_until(self.clock.now(), || self.settings_fingerprint(account))
        });
        error.map_or(Ok(()), Err)
    }

    /// Writes down when to try again, and adds it to the error. That it can't be written changes
    /// nothing about the error.
    fn note_failure(
        &self,
        account: &Account,
        record: &Record,
        error: Error,
        outcome: Outcome,
        lease: &mut dyn Lease,
    ) -> Error {
        let now = self.clock.now();
        let last_success = self.last_success.load(Ordering::Relaxed);
        let back_off = Failed {
            error: &error,
            outcome,
            before: record.back_off.as_ref(),
            last_success: (last_success > 0).then_some(Timestamp(last_success)),
            settings: self.settings_fingerprint(account),
        }
        .note(now);
        let close_mark = !matches!(outcome, Outcome::InDoubt { .. });
        if let Err(error) = calling(|| lease.note(record.generation, close_mark, Some(&back_off))) {
            tracing::warn!(%account, %error, "the store could not note the failure; other callers may try this account too early");
        }
        let pause = back_off.until.since(now);
        if outcome == Outcome::Refused || pause.is_zero() {
            error
        } else {
            error.with_retry_after(pause)
        }
    }

    /// A fingerprint of the settings that a token request depends on.
    fn settings_fingerprint(&self, account: &Account) -> Option<Fingerprint> {
        let (client_id, secret) = self.oauth().ok()?;
        let settings = zeroize::Zeroizing::new(format!(
            "{client_id} {} {}",
            self.settings.token_url,
            secret.expose()
        ));
        Some(self.fingerprint(account, &settings))
    }

    /// Whether a snapshot satisfies a need.
    fn is_good(&self, snapshot: &Arc<Snapshot>, need: &Need) -> bool {
        let clock = &self.clock;
        match need {
            Need::Soft => snapshot.is_fresh(clock) && !self.is_refused(snapshot),
            Need::Hard => !snapshot.is_hard(clock) && !self.is_refused(snapshot),
            Need::Refused(refused) => !snapshot.same_token(refused) && !snapshot.is_hard(clock),
            // Only the store knows.
            Need::Maintain { .. } | Need::Recover => false,
        }
    }

    /// The snapshot of a grant, with its moments.
    pub(crate) fn snapshot_of(&self, grant: &Grant, generation: u64) -> Arc<Snapshot> {
        let clock = &self.clock;
        let now = clock.now();
        let expires = grant.trusted_expiry(now);
        let life = if grant.lifetime().is_zero() { expires.since(now) } else { grant.lifetime() };
        // Spread over the fleet: an account's early refresh starts somewhere in the last quarter of
        // its life, the same place for every process.
        let spread =
            f64::from(self.fingerprint(&grant.account, &generation.to_string())[0]) / 255.0;
        let soft = expires.minus((life / 4).mul_f64(1.0 - spread * 0.25));
        let hard = expires.minus(self.settings.refresh_before.min(life / 10));
        let soft = soft.min(hard);
        let moment =
            |when: Timestamp| if when <= now { Moment::PAST } else { Moment::at(when, clock) };
        let constants = Arc::clone(&self.constants);
        let snapshot = Snapshot::new(
            grant.account.as_str(),
            grant.access_token.expose(),
            constants,
            generation,
        );
        Arc::new(snapshot.with_moments(moment(soft), moment(hard), moment(expires)))
    }
}

pub(crate) fn no_grant(account: &Account) -> Error {
    Error::new(
        ErrorCode::NoGrant,
        "there is no grant for this account: send the user through authorization, or import one",
    )
    .with_account(account)
}

fn reauthorize(message: &str) -> Error {
    Error::new(ErrorCode::ReauthorizationRequired, message)
}

fn budget_spent(wait: Duration) -> Error {
    Error::new(
        ErrorCode::RateLimited,
        "the token requests of this minute are used up (`token_requests_per_minute`): try again after `retry_after`",
    )
    .with_retry_after(wait)
}

/// Returns `true` if the refresh that `before` was read for may still go on: nobody stored anything
/// since, and the mark is ours.
fn is_still_ours(now: &Record, before: &Record, fingerprint: Fingerprint) -> bool {
    now.generation == before.generation
        && now.mark.is_some_and(|mark| mark.fingerprint == fingerprint)
}

/// The claim on the turn of the troubled accounts: of each time there is another one, so that a
/// clock that was wrong for a while blocks none of the others.
fn turn_of_troubled(now: Timestamp, share: Duration) -> Fingerprint {
    let share = i64::try_from(share.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut turn = *b"troubled--------";
    turn[8..].copy_from_slice(&(now.0 / share).to_be_bytes());
    turn
}

/// What a mint that failed says of the account: without an answer nothing but the network may be
/// wrong.
fn mint_outcome(error: &Error) -> Outcome {
    if error.status().is_none() { Outcome::NotSent } else { Outcome::Untouched }
}

/// Returns `true` if an error speaks of another account than this one.
fn is_of_another(error: &Error, account: &Account) -> bool {
    error.account().is_some_and(|of| of != account)
}

/// What was tried within one call.
struct Tries {
    sent: u32,
    looked_again: bool,
}

/// A moment by both clocks: the monotonic one stands still while a computer sleeps, the other one
/// may be set.
struct Stand {
    wall: Timestamp,
    monotonic: u64,
}

impl Stand {
    fn now(clock: &impl Clock) -> Self {
        Self { wall: clock.now(), monotonic: clock.monotonic() }
    }

    fn is_long_ago(&self, clock: &impl Clock) -> bool {
        let wall = clock.now().since(self.wall);
        let monotonic = Duration::from_millis(clock.monotonic().saturating_sub(self.monotonic));
        wall.max(monotonic) >= STANDSTILL
    }
}

/// Failures beside which a living token is still right to serve.
fn still_serves(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::NoGrant | ErrorCode::Cancelled | ErrorCode::InvalidState)
}

/// As long as a lost answer may still be had, asking for it does not wait for the budget: the
/// platform's own 30 seconds.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(30);
/// The part of a token's life that maintenance may begin to renew it in, at most.
const WIDEST: f64 = 0.98;
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// How long the store may take beside an early refresh, whose caller has a token that lives.
const SOFT_STORE: Duration = Duration::from_secs(2);
const SOFT_ATTEMPT: Duration = Duration::from_secs(4);
const SOFT_PAUSE: Duration = Duration::from_secs(30);
/// Before a request is sent again that the server failed on.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(3);
/// With less time than this no request is begun: it would only be cut off, and leave the token in
/// doubt.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);
/// So long between mark and request tells that the process stood still.
const STANDSTILL: Duration = Duration::from_secs(2);
/// The next step where a location was minted from another company than its own.
const MINT_FROM_ITS_OWN: &str =
    "check that the location belongs to the company that you mint it from";
/// The part of a short life that maintenance may begin to renew it in: such tokens must not take
/// all of its time.
const WIDEST_OF_SHORT: f64 = 0.5;
const SHORT_LIFE: Duration = Duration::from_secs(6 * 3_600);
