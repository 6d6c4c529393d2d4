//! An attempt: one refresh of one account under its lease.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::backoff::{Failed, Outcome, share};
use super::mint::mint_grant;
use super::token_answer::TokenAnswer;
use super::token_endpoint::{FailureClass, TokenFailure};
use super::{LONGEST_WINDOW, Need, Refresher, SOFT_ATTEMPT, budget_spent};
use crate::account::{Account, AccountKind};
use crate::callback::calling;
use crate::calls::timed_out;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Before, ChangeKind, Content, Grant, Grants, Row, Written};
use crate::secret::Secret;
use crate::snapshot::Snapshot;
use crate::steps::Step;
use crate::store::{BackOff, Begin, Fingerprint, Lease, Priority, Record, Slot, WINDOW};

/// One refresh of one account, by the holder of its lease.
pub(super) struct Attempt<'a> {
    refresher: &'a Refresher,
    grants: &'a Grants,
    account: &'a Account,
    need: &'a Need,
    lease: &'a mut dyn Lease,
}

/// The stored row that a refresh begins with, opened.
struct Reread {
    record: Record,
    grant: Grant,
}

/// A refresh token on its way.
struct Spending<'a> {
    stored: &'a Reread,
    token: &'a Secret,
    fingerprint: Fingerprint,
    /// A request for the same token was sent before, and its outcome is not known.
    open: Option<crate::store::Mark>,
    /// Longest time for one request.
    attempt: Duration,
    /// Moment of the first request of the current window.
    first_sent: Timestamp,
    /// Some request, of this call or an earlier one, may have spent the token.
    in_doubt: bool,
    /// Number of requests sent by this call.
    sent: u32,
    looked_again: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        refresher: &'a Refresher,
        account: &'a Account,
        need: &'a Need,
        lease: &'a mut dyn Lease,
    ) -> Self {
        Self { refresher, grants: &refresher.grants, account, need, lease }
    }

    /// Re-reads the row, and refreshes it unless that has happened already.
    pub(super) fn run(&mut self) -> Result<Arc<Snapshot>> {
        let (grants, account) = (self.grants, self.account);
        let (record, changes) = loop {
            grants.steps.at(Step::Reread, account)?;
            let unsaved = grants.unsaved_grant(account);
            let changes = grants.changes_seen();
            let record = self.reload()?;
            let Some((held, expected)) = unsaved else { break (record, changes) };
            let generation = record.as_ref().map_or(0, |record| record.generation);
            // An unsaved grant goes before the stored one, unless someone stored a newer one.
            if expected.is_some_and(|expected| expected != generation) {
                grants.forget_unsaved(account);
                break (record, changes);
            }
            let snapshot = grants.held_snapshot(&held, expected);
            if self.refresher.is_good(&snapshot, self.need) {
                return Ok(snapshot);
            }
            // Its token must not be spent before it is stored: it could come back neither from
            // memory, if this process ended, nor from the store.
            grants.save_held(&held, record.as_ref(), changes, self.lease)?;
        };
        let (record, grant) = grants.open_live(account, record)?;
        let snapshot = self.with_age(grants.snapshot_of(&grant, record.generation));
        if self.is_done(&snapshot, &record, &grant) {
            if !grants.is_unsaved(account) {
                grants.publish(Arc::clone(&snapshot), changes);
            }
            return Ok(snapshot);
        }
        self.check_back_off(&record)?;
        let stored = Reread { record, grant };
        let mut mint_error = None;
        if stored.grant.minted {
            match self.mint(&stored) {
                Ok(snapshot) => return Ok(snapshot),
                Err(error) if stored.grant.refresh_token.is_none() => {
                    // The company's trouble is noted with the company. Once that is over, its
                    // locations need not wait.
                    if is_of_another(&error, account) {
                        return Err(error);
                    }
                    let outcome = mint_outcome(&error);
                    return Err(self.note_failure(&stored.record, error, outcome));
                }
                Err(error) => {
                    tracing::warn!(%account, %error, "minting failed; the refresh token is used");
                    mint_error = Some(error);
                }
            }
        }
        self.spend(&stored, mint_error)
    }

    fn reload(&mut self) -> Result<Option<Record>> {
        calling(|| self.lease.load(self.grants.clock.now()))
    }

    /// Returns the cached snapshot if it has the same token, because it knows its age also by the
    /// monotonic clock.
    fn with_age(&self, stored: Arc<Snapshot>) -> Arc<Snapshot> {
        match self.grants.cache.get(self.account.as_str()) {
            Some(cached)
                if cached.generation == stored.generation && cached.same_token(&stored) =>
            {
                if cached.is_suspect() { Arc::new(stored.aged_as(&cached)) } else { cached }
            }
            _ => stored,
        }
    }

    /// Returns `true` if the stored grant satisfies the need.
    fn is_done(&self, stored: &Arc<Snapshot>, record: &Record, grant: &Grant) -> bool {
        match self.need {
            Need::Recover => record.mark.is_none(),
            Need::Maintain { window, .. } => {
                let widest = if grant.lifetime() < SHORT_LIFE { WIDEST_OF_SHORT } else { WIDEST };
                let window = (*window).min(grant.lifetime().mul_f64(widest));
                let now = self.grants.clock.now();
                let left = grant.trusted_expiry(now).since(now);
                self.refresher.is_good(stored, &Need::Soft) && left > window
            }
            need => self.refresher.is_good(stored, need),
        }
    }

    /// Sends the refresh token.
    fn spend(&mut self, stored: &Reread, mint_error: Option<Error>) -> Result<Arc<Snapshot>> {
        let Some(token) = stored.grant.refresh_token.clone() else {
            let error = Error::new(
                ErrorCode::ReauthorizationRequired,
                "the access token has ended and there is no refresh token: send the user through \
                 authorization again",
            );
            return self.last_way_out(stored, error, mint_error);
        };
        let grants = self.grants;
        let fingerprint = grants.vault.fingerprint(self.account, token.expose());
        let open = stored.record.mark.filter(|mark| mark.fingerprint == fingerprint);
        let young = open.filter(|mark| mark.age < LONGEST_WINDOW);
        let priority = match young {
            Some(_) => Priority::Recovery,
            None => self.turn(&stored.record)?,
        };
        let longest = grants.settings.attempt_timeout;
        let attempt =
            if matches!(self.need, Need::Soft) { longest.min(SOFT_ATTEMPT) } else { longest };
        grants.steps.at(Step::Mark, self.account)?;
        let marked = Stand::now(&grants.clock);
        self.mark(&stored.record, fingerprint, priority)?;
        let start = grants.clock.now();
        // The mark of a window that is over was dated anew.
        let age = open.map_or(Duration::ZERO, |mark| mark.age);
        let age = if age < WINDOW { age } else { Duration::ZERO };
        let mut spending = Spending {
            stored,
            token: &token,
            fingerprint,
            open,
            attempt,
            first_sent: start.minus(age),
            in_doubt: open.is_some(),
            sent: 0,
            looked_again: false,
        };
        // The token that comes may be as old as the first request that asked for it.
        let issued = start.minus(young.map_or(Duration::ZERO, |mark| mark.age));
        let failure = match self.send(&mut spending, marked)? {
            Sent::Answer(answer) => return self.take_answer(*answer, issued, &spending),
            Sent::ByOthers(snapshot) => return Ok(snapshot),
            Sent::Failed(failure) => failure,
        };
        self.give_up(&spending, failure, mint_error)
    }

    /// Sends the refresh token until there is an answer, or no further try can help.
    fn send(&mut self, spending: &mut Spending<'_>, mut marked: Stand) -> Result<Sent> {
        let (grants, account) = (self.grants, self.account);
        let record = &spending.stored.record;
        loop {
            grants.steps.at(Step::Send, account)?;
            // A process that stood still may have lost the lease, and the token may be spent by
            // now.
            if marked.is_long_ago(&grants.clock) {
                let again = self.reload()?;
                let is_ours = |now: &Record| is_still_ours(now, record, spending.fingerprint);
                if !again.as_ref().is_some_and(is_ours) {
                    return self.someone_elses(again).map(Sent::ByOthers);
                }
                marked = Stand::now(&grants.clock);
            }
            let left = grants.at_most(spending.attempt);
            if left.is_zero() {
                if spending.sent == 0 {
                    self.take_back_mark(spending);
                    return Err(timed_out());
                }
                return Ok(Sent::Failed(TokenFailure::new(timed_out(), FailureClass::Unknown)));
            }
            spending.sent += 1;
            let answer = self.refresher.token_endpoint()?.refresh(account, spending.token, left);
            grants.steps.at(Step::Check, account)?;
            let failure = match answer {
                Ok(answer) => return Ok(Sent::Answer(Box::new(answer))),
                Err(failure) => failure,
            };
            spending.in_doubt |= failure.class == FailureClass::Unknown;
            self.refresher.note_limit(&failure.error);
            let Some(pause) = self.pause_before_next_try(spending, &failure) else {
                return Ok(Sent::Failed(failure));
            };
            // Inside the window the platform answers the same token with the same new pair: a lost
            // answer comes back.
            let until_answer =
                grants.clock.now().since(spending.first_sent) + pause + spending.attempt;
            let over = until_answer > WINDOW && failure.class == FailureClass::Unknown;
            if over || !self.has_time_for(pause) {
                return Ok(Sent::Failed(failure));
            }
            if !pause.is_zero() {
                grants.clock.sleep(pause);
                let again = self.reload()?;
                if again.as_ref().is_none_or(|again| again.generation != record.generation) {
                    return self.someone_elses(again).map(Sent::ByOthers);
                }
                marked = Stand::now(&grants.clock);
            }
            // Only a request whose answer may be lost goes beyond the budget.
            let answered =
                failure.class == FailureClass::Unknown && failure.error.status().is_some();
            let priority = if answered { Priority::Normal } else { Priority::Recovery };
            let taken = grants.store.take_slot(self.refresher.slot(priority), grants.clock.now());
            if !matches!(taken, Ok(Slot::Taken)) {
                return Ok(Sent::Failed(failure));
            }
        }
    }

    /// Takes the mark of a refresh back that was not sent. The noted failure stays as it was.
    fn take_back_mark(&mut self, spending: &Spending<'_>) {
        let record = &spending.stored.record;
        let (close, before) = (spending.open.is_none(), record.back_off.as_ref());
        if let Err(error) = calling(|| self.lease.note(record.generation, close, before)) {
            tracing::warn!(
                account = %self.account, %error,
                "the mark of a refresh that was not sent could not be removed; the next call sends \
                 the refresh token"
            );
        }
    }

    /// Notes a refresh that failed, unless somebody else did the work meanwhile.
    fn give_up(
        &mut self,
        spending: &Spending<'_>,
        failure: TokenFailure,
        mint_error: Option<Error>,
    ) -> Result<Arc<Snapshot>> {
        let record = &spending.stored.record;
        // Somebody may have come past a process that stood still.
        match self.reload() {
            Ok(Some(again)) if again.generation == record.generation => {}
            Ok(again) => return self.someone_elses(again),
            Err(error) if failure.class == FailureClass::InvalidGrant => return Err(error),
            Err(_) => {}
        }
        let outcome = match failure.class {
            FailureClass::InvalidGrant => {
                return self.last_way_out(spending.stored, failure.error, mint_error);
            }
            _ if spending.in_doubt => Outcome::InDoubt {
                age: self.grants.clock.now().since(spending.first_sent),
                first: spending.open.is_none_or(|mark| mark.age >= WINDOW),
            },
            _ if failure.error.status().is_none() => Outcome::NotSent,
            _ => Outcome::Untouched,
        };
        Err(self.note_failure(record, failure.error, outcome))
    }

    /// Returns the place of a refresh in the budget. Fails if it is not the account's turn:
    /// accounts that fail while others are served share a small part of the budget.
    fn turn(&self, record: &Record) -> Result<Priority> {
        if let Some(back_off) = record.back_off.as_ref().filter(|back_off| back_off.is_troubled()) {
            // Once the settings are corrected, it is not the account's trouble any more.
            let corrected =
                back_off.settings.is_some() && back_off.settings != self.settings_fingerprint();
            let (now, share) = (self.grants.clock.now(), self.share());
            let turn = turn_of_troubled(now, share);
            if !corrected && !self.grants.store.claim(&turn, now.plus(share), now)? {
                return Err(back_off.error(share));
            }
            return Ok(Priority::Soft);
        }
        Ok(match self.need {
            Need::Soft | Need::Recover | Need::Maintain { urgent: false, .. } => Priority::Soft,
            Need::Hard | Need::Refused(_) | Need::Maintain { urgent: true, .. } => Priority::Normal,
        })
    }

    fn share(&self) -> Duration {
        share(self.grants.settings.token_requests_per_minute)
    }

    /// Returns the time before the token is sent once more within this call; `None` if it is not.
    fn pause_before_next_try(
        &self,
        spending: &mut Spending<'_>,
        failure: &TokenFailure,
    ) -> Option<Duration> {
        let record = &spending.stored.record;
        match failure.class {
            FailureClass::Untouched => None,
            // The token may just have been spent, and the answer to an earlier request may still be
            // on its way through the platform. If nothing is in doubt, or the token was refused
            // before, a refusal is final.
            FailureClass::InvalidGrant => {
                let known = record.back_off.as_ref().is_some_and(|before| before.refused);
                let looks = spending.in_doubt && !known && !spending.looked_again;
                spending.looked_again = true;
                looks.then_some(SECOND_LOOK)
            }
            FailureClass::Unknown if spending.sent >= 2 => None,
            // No answer came: the new pair may wait for whoever asks again.
            FailureClass::Unknown if failure.error.status().is_none() => Some(Duration::ZERO),
            // An answer came, and it is a failure. It is worth another try if somebody waits for
            // it, unless it failed before this call or asks for more time.
            FailureClass::Unknown => {
                let first = record.back_off.is_none() && self.grants.settings.max_retries > 0;
                let waits = matches!(self.need, Need::Hard | Need::Refused(_));
                let told = failure.error.retry_after().unwrap_or_default();
                (first && waits && told <= LONGEST_RETRY_PAUSE).then(|| told.max(RETRY_PAUSE))
            }
        }
    }

    /// Returns `true` if the call has time for a pause and a request after it.
    fn has_time_for(&self, pause: Duration) -> bool {
        let needed = pause + SHORTEST_ATTEMPT.min(self.grants.settings.timeout / 2);
        self.grants.at_most(needed) == needed
    }

    /// Mints from the company, because the refresh token is gone; if that can't be, the user must
    /// authorize again. `mint_error` is the error of an earlier try of this call to mint.
    fn last_way_out(
        &mut self,
        stored: &Reread,
        error: Error,
        mint_error: Option<Error>,
    ) -> Result<Arc<Snapshot>> {
        let account = self.account;
        let minted = match mint_error {
            Some(tried) => Err(tried),
            None => self.mint(stored),
        };
        match minted {
            Ok(snapshot) => Ok(snapshot),
            // The token is gone for good, but the account is not: the next try may mint it.
            Err(mint_error) if mint_error.is_retryable() => {
                tracing::warn!(
                    %account, error = %mint_error,
                    "the refresh token is refused, and a new token could not be minted from the \
                     company's yet; it is tried again"
                );
                let outcome = mint_outcome(&mint_error);
                Err(self.note_failure(&stored.record, mint_error, outcome))
            }
            Err(mint_error) => {
                tracing::warn!(
                    %account, error = %mint_error,
                    "the refresh token is refused, and no token can be minted from the company's: \
                     the user has to authorize again"
                );
                let error = self.note_failure(&stored.record, error, Outcome::Refused);
                self.grants.changed(account, stored.record.generation, ChangeKind::Refused);
                Err(error)
            }
        }
    }

    /// Mints a location's token from its company's grant.
    fn mint(&mut self, stored: &Reread) -> Result<Arc<Snapshot>> {
        let (account, grant) = (self.account, &stored.grant);
        let Some(company) =
            grant.company_id.as_deref().filter(|_| account.kind() == AccountKind::Location)
        else {
            return Err(Error::new(
                ErrorCode::NoGrant,
                "the company of this location is not known, so no token can be minted for it: \
                 send the user through authorization again",
            )
            .with_account(account));
        };
        let company = Account::company(company)?;
        let is_soft = matches!(self.need, Need::Soft);
        let timeout = if is_soft { SOFT_ATTEMPT } else { self.grants.settings.attempt_timeout };
        let new = mint_grant(self.refresher, &company, account, Some(grant), timeout)?;
        self.keep(new, stored)
    }

    /// Keeps the pair of an answer to a refresh, whatever else the answer says. A pair that speaks
    /// for another account is kept too, because the token that asked for it is spent; but nobody is
    /// served with it.
    fn take_answer(
        &mut self,
        answer: TokenAnswer,
        issued: Timestamp,
        spending: &Spending<'_>,
    ) -> Result<Arc<Snapshot>> {
        let (account, stored) = (self.account, spending.stored);
        let (record, before) = (&stored.record, &stored.grant);
        self.refresher.last_success.store(self.grants.clock.now().0, Ordering::Relaxed);
        if record.back_off.as_ref().is_some_and(BackOff::is_troubled) {
            // The trouble of this account may be over for others, too: the next of them need not
            // wait for its turn.
            let turn = turn_of_troubled(self.grants.clock.now(), self.share());
            if let Err(error) = self.grants.store.unclaim(&turn) {
                tracing::debug!(%error, "a slot of the token-request budget could not be given \
                                         back");
            }
        }
        let Err(error) = answer.check(account) else {
            return self.keep(answer.into_grant(account, Some(before), issued, false), stored);
        };
        let now = self.grants.clock.now();
        let serves = !matches!(self.need, Need::Refused(_)) && before.trusted_expiry(now) > now;
        let held = answer.into_held(before, issued, serves);
        let token = held.access_token.clone();
        let snapshot = self.keep(held, stored)?;
        if snapshot.token() != token.expose() {
            // Someone else's grant came in between.
            return Ok(snapshot);
        }
        let message = format!(
            "{}: the new tokens are kept but not used, and refreshed once more after \
             `retry_after`. If this stays, send the user through authorization again for this \
             account",
            error.message()
        );
        let error = Error::new(error.code(), message).with_account(account);
        tracing::warn!(%account, %error, "the answer to a refresh speaks for another account");
        let saved = Record { generation: record.generation + 1, ..record.clone() };
        Err(self.note_failure(&saved, error, Outcome::Untouched))
    }

    /// Saves a good answer and publishes it. From here on nothing may lose it.
    fn keep(&mut self, new: Grant, stored: &Reread) -> Result<Arc<Snapshot>> {
        let (grants, account) = (self.grants, self.account);
        let spent = stored.grant.refresh_token.as_ref();
        let spent = spent.map(|token| grants.vault.fingerprint(account, token.expose()));
        let before = Before::of(Some(&stored.record), grants.changes_seen());
        let content = Content::Grant { grant: &new, spent };
        let kind = Some(ChangeKind::Refreshed);
        match grants.put(Row::Lease(self.lease), account, &before, &content, kind) {
            Ok(Written::Saved(snapshot)) => Ok(snapshot),
            Ok(Written::Stopped(error)) => Err(error),
            Ok(Written::Moved | Written::Removed) => {
                // The lease may be lost, for example after this host stood still. The row can be
                // read all the same.
                let again = self.reload().or_else(|_| grants.load(account))?;
                self.someone_elses(again)
            }
            Err(error) => Ok(grants.hold_refreshed(new, before.generation, error)),
        }
    }

    /// Returns the snapshot of a row that somebody else wrote during this refresh.
    fn someone_elses(&self, record: Option<Record>) -> Result<Arc<Snapshot>> {
        let grants = self.grants;
        let (record, grant) = grants
            .open_live(self.account, record)
            .inspect_err(|_| grants.cache.forget(self.account.as_str()))?;
        let snapshot = grants.snapshot_of(&grant, record.generation);
        grants.cache.publish(Arc::clone(&snapshot));
        if snapshot.is_hard(&grants.clock) {
            return Err(Error::new(
                ErrorCode::LeaseTimeout,
                "the grant was changed elsewhere during the refresh: try again",
            ));
        }
        Ok(snapshot)
    }

    /// Takes a slot of the budget and writes the mark. Callers who can't go on without a new token
    /// wait for the slot, as long as they have time for the request behind it; others don't.
    fn mark(
        &mut self,
        record: &Record,
        fingerprint: Fingerprint,
        priority: Priority,
    ) -> Result<()> {
        let grants = self.grants;
        let patient =
            matches!(self.need, Need::Hard | Need::Refused(_)) && priority != Priority::Soft;
        let slot = self.refresher.slot(priority);
        let mut waited = Duration::ZERO;
        loop {
            if !self.has_time_for(Duration::ZERO) {
                return Err(timed_out());
            }
            let now = grants.clock.now();
            match calling(|| self.lease.begin(record.generation, fingerprint, slot, now))? {
                Begin::Marked => return Ok(()),
                Begin::Moved => {
                    return Err(Error::new(
                        ErrorCode::LeaseTimeout,
                        "the grant was changed elsewhere before the refresh: try again",
                    ));
                }
                Begin::Wait(wait)
                    if patient
                        && wait <= grants.settings.max_wait.saturating_sub(waited)
                        && self.has_time_for(wait) =>
                {
                    grants.clock.sleep(wait);
                    waited += wait;
                }
                // A caller that waits for room behind a refusal is told of the refusal.
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

    /// Returns the noted error while the account is not to be tried.
    fn check_back_off(&self, record: &Record) -> Result<()> {
        let noted = record.back_off.as_ref();
        let error = noted.and_then(|note| {
            note.error_until(self.grants.clock.now(), || self.settings_fingerprint())
        });
        error.map_or(Ok(()), Err)
    }

    /// Notes in the store when to try again, and adds that to the error. A store that can't take
    /// the note changes nothing about the error.
    fn note_failure(&mut self, record: &Record, error: Error, outcome: Outcome) -> Error {
        let now = self.grants.clock.now();
        let back_off = Failed {
            error: &error,
            outcome,
            before: record.back_off.as_ref(),
            last_success: self.refresher.last_success(),
            settings: self.settings_fingerprint(),
        }
        .note(now);
        let close_mark = !matches!(outcome, Outcome::InDoubt { .. });
        let noted = calling(|| self.lease.note(record.generation, close_mark, Some(&back_off)));
        if let Err(error) = noted {
            tracing::warn!(
                account = %self.account, %error,
                "the store could not note the failure; other callers may try this account too \
                 early"
            );
        }
        let pause = back_off.until.since(now);
        if outcome == Outcome::Refused || pause.is_zero() {
            error
        } else {
            error.with_retry_after(pause)
        }
    }

    /// Returns a fingerprint of the settings that a token request depends on.
    fn settings_fingerprint(&self) -> Option<Fingerprint> {
        let (client_id, secret) = self.refresher.credential.oauth().ok()?;
        let token_url = &self.grants.settings.token_url;
        let settings = format!("{client_id} {token_url} {}", secret.expose());
        let settings = zeroize::Zeroizing::new(settings);
        Some(self.grants.vault.fingerprint(self.account, &settings))
    }
}

/// Result of sending a refresh token.
enum Sent {
    Answer(Box<TokenAnswer>),
    /// Somebody else stored this grant meanwhile.
    ByOthers(Arc<Snapshot>),
    Failed(TokenFailure),
}

/// Returns `true` if the refresh that `before` was read for may still go on: nobody stored anything
/// since, and the mark is ours.
fn is_still_ours(now: &Record, before: &Record, fingerprint: Fingerprint) -> bool {
    now.generation == before.generation
        && now.mark.is_some_and(|mark| mark.fingerprint == fingerprint)
}

/// Returns the claim on the turn of the troubled accounts. Each share of time has another one, so
/// that a clock that was wrong for a while blocks none of the others.
fn turn_of_troubled(now: Timestamp, share: Duration) -> Fingerprint {
    let share = i64::try_from(share.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut turn = *b"troubled--------";
    turn[8..].copy_from_slice(&(now.0 / share).to_be_bytes());
    turn
}

/// Returns what a failed mint says of the account: without an answer, nothing but the network may
/// be wrong.
fn mint_outcome(error: &Error) -> Outcome {
    if error.status().is_none() { Outcome::NotSent } else { Outcome::Untouched }
}

/// Returns `true` if an error speaks of another account than this one.
fn is_of_another(error: &Error, account: &Account) -> bool {
    error.account().is_some_and(|of| of != account)
}

/// A moment by both clocks. The monotonic clock stands still while a computer sleeps; the wall
/// clock may be set.
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

/// Widest part of a token's life in which maintenance may begin to renew it.
const WIDEST: f64 = 0.98;
/// The same for short lives: such tokens must not take all of maintenance's time.
const WIDEST_OF_SHORT: f64 = 0.5;
const SHORT_LIFE: Duration = Duration::from_secs(6 * 3_600);
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// Pause before a request is sent again that the server failed on.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(3);
/// With less time than this no request is begun: it would only be cut off, and leave the token in
/// doubt.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);
/// So long between mark and request tells that the process stood still.
const STANDSTILL: Duration = Duration::from_secs(2);
