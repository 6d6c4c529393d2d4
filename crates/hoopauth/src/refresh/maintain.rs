//! Maintenance: renews the tokens of a whole fleet ahead of their end, within the budget, and
//! finishes the refreshes that crashes left open.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::backoff::share;
use super::recovery::recover;
use super::{LONGEST_WINDOW, Need, Refresher};
use crate::account::Account;
use crate::clock::{Clock, Timestamp};
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Grants, Resealing};
use crate::process::Process;
use crate::sync::{Condvar, Mutex, lock, wait};

/// Maintains the fleet until `until` or the end of `context`.
pub(crate) fn maintain(refresher: &Refresher, until: Timestamp, context: &Context) -> Result<()> {
    let clock = &refresher.grants.clock;
    let mut maintainer = Maintainer::default();
    maintained(refresher, || {
        loop {
            check_maintainable(refresher)?;
            context.check()?;
            if clock.now() >= until {
                return Ok(());
            }
            let pause = maintainer.next_pause(refresher);
            let pause = pause.min(until.since(clock.now()));
            if clock.is_system() {
                context.pause(pause);
            } else {
                clock.sleep(pause);
            }
        }
    })
}

/// Maintains the fleet on a thread of its own, which drops `held` when it ends.
pub(crate) fn maintain_in_background<O, T>(owner: &Arc<O>, held: T) -> Result<Maintenance>
where
    O: AsRef<Refresher> + Send + Sync + 'static,
    T: Send + 'static,
{
    let refresher = owner.as_ref().as_ref();
    check_maintainable(refresher)?;
    let process = refresher.grants.calls.process();
    let owner = Arc::downgrade(owner);
    let stop = Arc::new(Stop::default());
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("hoopauth-maintenance".to_owned())
        .spawn(move || {
            in_background(&owner, &stopped);
            drop(held);
        })
        .map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                format!("no thread for maintenance could be started: {error}"),
            )
        })?;
    Ok(Maintenance { stop, thread: Some(thread), process })
}

/// Maintenance in the background. Dropping it ends it and waits for the refresh under way. On its
/// own thread, in a hook, the drop waits for nothing.
#[derive(Debug)]
#[must_use = "dropping it ends the maintenance"]
pub struct Maintenance {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    process: Process,
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        // A forked child has no such thread.
        if self.process.is_this() {
            self.stop.end();
            if let Some(thread) = self.thread.take().filter(|thread| !is_this(thread)) {
                let _ = thread.join();
            }
        }
    }
}

/// A thread that waited for itself would wait for ever.
fn is_this(thread: &JoinHandle<()>) -> bool {
    thread.thread().id() == std::thread::current().id()
}

#[derive(Debug, Default)]
struct Stop {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn end(&self) {
        *lock(&self.ended) = true;
        self.changed.notify_all();
    }

    /// Waits. Returns `true` once maintenance is over.
    fn within(&self, longest: Duration) -> bool {
        let ended = lock(&self.ended);
        *ended || *wait(&self.changed, ended, longest)
    }
}

fn in_background<O: AsRef<Refresher>>(owner: &Weak<O>, stop: &Stop) {
    let mut maintainer = Maintainer::default();
    let mut pause = Duration::ZERO;
    while !stop.within(pause) {
        let Some(owner) = owner.upgrade() else { return };
        let refresher = owner.as_ref().as_ref();
        if check_maintainable(refresher).is_err() {
            return;
        }
        pause = maintained(refresher, || maintainer.next_pause(refresher));
    }
}

/// Runs `work` as one of the client's maintainers.
fn maintained<T>(refresher: &Refresher, work: impl FnOnce() -> T) -> T {
    struct Leave<'a>(&'a Refresher);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.maintainers.fetch_sub(1, Ordering::Relaxed);
        }
    }
    refresher.maintainers.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(refresher);
    work()
}

fn check_maintainable(refresher: &Refresher) -> Result<()> {
    refresher.grants.calls.check_open()?;
    refresher.credential.oauth()?;
    refresher.grants.calls.check_process()
}

/// One maintainer, and its memory from round to round. Moments are on the monotonic clock.
#[derive(Debug, Default)]
struct Maintainer {
    /// Moment of the next look for open marks.
    marks_at: u64,
    /// Number of looks for due accounts.
    turn: u32,
    /// Moment of the next try of a troubled account.
    trouble_at: u64,
    /// Accounts that can't be renewed here and now, with the moment of the next try. Others may
    /// have no trouble with them, for example those that have the key of a row; so the store is not
    /// told.
    aside: HashMap<Account, u64>,
    resealing: Resealing,
}

impl Maintainer {
    /// Does the due work. Returns the time until there is more to do.
    fn next_pause(&mut self, refresher: &Refresher) -> Duration {
        let looked = self.finish_open_marks(refresher).and_then(|()| self.renew_next(refresher));
        let pause = looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "maintenance could not read the store; it tries again");
            LONGEST_ROUND
        });
        match self.resealing.next(&refresher.grants) {
            Ok(true) => Duration::ZERO,
            Ok(false) => pause.min(LONGEST_ROUND),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "maintenance could not look for grants that an older key sealed; it tries \
                     again"
                );
                pause.min(LONGEST_ROUND)
            }
        }
    }

    /// Sends those refresh tokens again that were sent and never answered.
    fn finish_open_marks(&mut self, refresher: &Refresher) -> Result<()> {
        let Grants { store, clock, .. } = &refresher.grants;
        let now = clock.monotonic();
        if now < self.marks_at {
            return Ok(());
        }
        self.marks_at = later(now, LONGEST_ROUND);
        for account in store.open_marks()? {
            let _call = refresher.grants.begin_call();
            let Ok(Some(record)) = refresher.grants.load(&account) else { continue };
            // Older ones are renewed in their turn: there is no hurry any more.
            let is_young = record.mark.is_some_and(|mark| mark.age < LONGEST_WINDOW);
            if is_young && !record.back_off.is_some_and(|back_off| back_off.lasts(clock.now())) {
                recover(refresher, &account);
            }
        }
        Ok(())
    }

    /// Renews the token that ends first, if it is time. Accounts that always fail, or were refused,
    /// are tried from time to time: however many they are, they never delay the others.
    fn renew_next(&mut self, refresher: &Refresher) -> Result<Duration> {
        let Grants { store, clock, settings, .. } = &refresher.grants;
        let budget = settings.token_requests_per_minute;
        let (now, ticks) = (clock.now(), clock.monotonic());
        self.aside.retain(|_, until| *until > ticks);
        let listed = BATCH + self.aside.len();
        let due = store.due(now, listed)?;
        let (window, urgent) = window(due.total, budget);
        if ticks >= self.trouble_at
            && let Some(account) =
                due.troubled.iter().find(|account| !self.aside.contains_key(*account))
        {
            self.trouble_at = later(ticks, share(budget));
            let _call = refresher.grants.begin_call();
            let renewed = refresher.renew(account, &Need::Maintain { window, urgent: false });
            if let Some(Err(error)) = renewed {
                tracing::debug!(
                    %account, %error,
                    "the token of an account that failed before could not be renewed; it is tried \
                     again"
                );
                self.put_aside(account, &error, ticks);
            }
        }
        let next = due.first.iter().find(|(account, _)| !self.aside.contains_key(account));
        let pause = next.map_or(LONGEST_ROUND, |(_, ends)| ends.since(now.plus(window)));
        let living = due.first.into_iter().take_while(|(_, ends)| ends.since(now) <= window);
        let ended = due.ended.into_iter().map(|account| (account, now));
        // Tokens that live come before those that have ended: that way their callers never wait.
        // The others have a turn from time to time, however many live.
        self.turn = self.turn.wrapping_add(1);
        let all: Vec<_> = if self.turn.is_multiple_of(TURN_OF_ENDED) {
            ended.chain(living).collect()
        } else {
            living.chain(ended).collect()
        };
        let (mut skipped, mut tried) = (false, false);
        for (account, ends) in all {
            if self.aside.contains_key(&account) {
                continue;
            }
            let _call = refresher.grants.begin_call();
            tried = true;
            match refresher.renew(&account, &Need::Maintain { window, urgent }) {
                Some(Ok(snapshot)) if snapshot.ends() > ends => return Ok(Duration::ZERO),
                Some(Ok(_)) | None => {}
                Some(Err(error)) => match (error.code(), error.retry_after()) {
                    // The budget is spent. A limit that the platform named is one account's, or its
                    // company's.
                    (ErrorCode::RateLimited, Some(pause)) if error.status().is_none() => {
                        return Ok(pause);
                    }
                    // Another process does it.
                    (ErrorCode::LeaseTimeout, _) => {}
                    _ => {
                        tracing::warn!(
                            %account, %error, "a token could not be renewed; it is tried again"
                        );
                        self.put_aside(&account, &error, ticks);
                        skipped = true;
                    }
                },
            }
        }
        // Behind those that were skipped there may be more. What is due and can't be done now is
        // looked at again later.
        Ok(match (skipped, tried) {
            (true, _) => Duration::ZERO,
            (false, true) => LONGEST_ROUND,
            (false, false) => pause,
        })
    }

    /// Leaves an account alone for a while, so that it does not take the place of those behind it.
    fn put_aside(&mut self, account: &Account, error: &Error, ticks: u64) {
        let unreadable = matches!(error.code(), ErrorCode::StoreKey | ErrorCode::StoreCorrupt);
        let pause = if unreadable { UNREADABLE_PAUSE } else { FAILED_PAUSE };
        self.aside.insert(account.clone(), later(ticks, pause));
    }
}

/// Returns a later moment on the monotonic clock.
fn later(ticks: u64, pause: Duration) -> u64 {
    ticks.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

/// Returns how long before its end a token is renewed, and `true` if the fleet needs the whole
/// budget for that.
fn window(accounts: u64, per_minute: u32) -> (Duration, bool) {
    let budget = u64::from(per_minute);
    // A minute of the budget is a second longer than the platform's.
    let all = |budget: u64| Duration::from_secs(accounts.saturating_mul(61) / budget.max(1));
    let urgent = all(budget) > DAY.mul_f64(RELAXED);
    let needed = all(if urgent { budget } else { budget - 1 }).mul_f64(SLACK) + RESERVE;
    (needed.max(DAY / 4), urgent)
}

const DAY: Duration = Duration::from_secs(86_400);
/// The longest time without a look at the store.
const LONGEST_ROUND: Duration = Duration::from_secs(5);
/// The pause before a row is read again that this client has no key for, or that is damaged.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The pause after any other failure, if the store does not know of a longer one.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// Number of the next accounts that are looked at, because some may be in other hands.
const BATCH: usize = 16;
/// Renewals fail now and then, logins come between, and those in trouble or long ended have their
/// turns.
const SLACK: f64 = 1.22;
/// One of so many renewals is of a token that has ended, while others live.
const TURN_OF_ENDED: u32 = 16;
const RESERVE: Duration = Duration::from_secs(600);
/// Above this part of the budget maintenance leaves none of it to others.
const RELAXED: f64 = 0.6;
