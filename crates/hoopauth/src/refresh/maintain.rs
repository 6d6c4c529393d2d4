//! Maintenance: renews the tokens of a whole fleet ahead of their end, within the budget, and
//! finishes what crashes left open.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::account::Account;
use crate::refresh::backoff::share;
use crate::snapshot::Snapshot;
use crate::callback::calling;
use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::refresh::{LONGEST_WINDOW, Need};
use crate::reseal::Resealing;
use crate::sync::{Condvar, Mutex, lock, wait};

impl Client {
    /// Renews tokens until `until`, by the client's clock, one at a time, as fast as the budget
    /// allows and as early as the size of the fleet demands. Where it runs, callers do not refresh
    /// early themselves.
    ///
    /// Refreshes that a crash interrupted come first, within seconds. Then come tokens that live,
    /// whichever ends first, and after them those that have ended. Accounts that keep failing while
    /// others are served, and grants that the platform refused, share a tenth of the budget. Rows
    /// that this client can't read are put aside for 15 minutes.
    ///
    /// Any number of threads and processes may do this on one store: no token is renewed twice.
    /// With several store keys, grants that an older one sealed are sealed with the first. Blocks;
    /// failures are logged and tried again. Errors: `INVALID_STATE` without OAuth, once the client
    /// is closed, and in a forked child.
    pub fn maintain(&self, until: Timestamp) -> Result<()> {
        self.maintain_within(until, &Context::new())
    }

    /// As [`maintain`](Self::maintain), until `context` ends: `CANCELLED`, `TIMEOUT`. A refresh
    /// under way is finished first.
    pub fn maintain_within(&self, until: Timestamp, context: &Context) -> Result<()> {
        self.inner.maintain(until, context)
    }

    /// As [`maintain`](Self::maintain) on a thread of its own, until the answer is dropped or the
    /// client closed.
    ///
    /// It may be dropped anywhere, also in a hook that runs on its own thread: that thread then
    /// ends by itself.
    pub fn maintain_in_background(&self) -> Result<Maintenance> {
        self.maintain_in_background_holding(())
    }

    /// As [`maintain_in_background`](Self::maintain_in_background); the thread drops `held` when it
    /// ends.
    #[doc(hidden)]
    pub fn maintain_in_background_holding<T: Send + 'static>(
        &self,
        held: T,
    ) -> Result<Maintenance> {
        self.inner.check_maintainable()?;
        let inner = Arc::downgrade(&self.inner);
        let stop = Arc::new(Stop::default());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("hoopauth-maintenance".to_owned())
            .spawn(move || {
                in_background(&inner, &stopped);
                drop(held);
            })
            .map_err(|error| {
                Error::new(
                    ErrorCode::Internal,
                    format!("no thread for maintenance could be started: {error}"),
                )
            })?;
        Ok(Maintenance { stop, thread: Some(thread), process: self.inner.process })
    }
}

/// Maintenance in the background. Dropping it ends it and waits for the refresh under way; on its
/// own thread, in a hook, nothing is waited for.
#[derive(Debug)]
#[must_use = "dropping it ends the maintenance"]
pub struct Maintenance {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        // A forked child has no such thread.
        if self.process == std::process::id() {
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

    /// Waits; answers whether it is over.
    fn within(&self, longest: Duration) -> bool {
        let ended = lock(&self.ended);
        *ended || *wait(&self.changed, ended, longest)
    }
}

fn in_background(inner: &Weak<Inner>, stop: &Stop) {
    let mut round = Round::default();
    let mut pause = Duration::ZERO;
    while !stop.within(pause) {
        let Some(inner) = inner.upgrade().filter(|inner| inner.check_maintainable().is_ok()) else {
            return;
        };
        pause = inner.maintained(|| inner.next_pause(&mut round));
    }
}

/// What one maintainer remembers.
#[derive(Debug, Default)]
struct Round {
    /// When to look for open marks again, on the monotonic clock.
    marks_at: u64,
    /// Counts the looks at what is due.
    turn: u32,
    /// When to try a troubled account again, on the monotonic clock.
    trouble_at: u64,
    /// Accounts that can't be renewed here and now, with the time of the next try on the monotonic
    /// clock. Others may have no trouble with them: those that have the key of a row, say. So the
    /// store is told nothing.
    aside: HashMap<Account, u64>,
    resealing: Resealing,
}

impl Round {
    /// Leaves an account alone for a while, so that it does not take the place of those behind it.
    fn put_aside(&mut self, account: &Account, error: &Error, ticks: u64) {
        let unreadable = matches!(error.code(), ErrorCode::StoreKey | ErrorCode::StoreCorrupt);
        let pause = if unreadable { UNREADABLE_PAUSE } else { FAILED_PAUSE };
        self.aside.insert(account.clone(), later(ticks, pause));
    }
}

/// A moment on the monotonic clock.
fn later(ticks: u64, pause: Duration) -> u64 {
    ticks.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

impl Inner {
    fn maintain(&self, until: Timestamp, context: &Context) -> Result<()> {
        let mut round = Round::default();
        self.maintained(|| {
            loop {
                self.check_maintainable()?;
                context.check()?;
                let now = self.clock.now();
                if now >= until {
                    return Ok(());
                }
                let pause = self.next_pause(&mut round);
                let pause = pause.min(until.since(self.clock.now()));
                if self.clock.is_system() {
                    context.pause(pause);
                } else {
                    self.clock.sleep(pause);
                }
            }
        })
    }

    pub(crate) fn is_maintained(&self) -> bool {
        self.maintainers.load(Ordering::Relaxed) > 0
    }

    /// Runs `work` as one of the maintainers.
    fn maintained<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Leave<'a>(&'a Inner);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.maintainers.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.maintainers.fetch_add(1, Ordering::Relaxed);
        let _leave = Leave(self);
        work()
    }

    fn check_maintainable(&self) -> Result<()> {
        self.check_open()?;
        self.oauth()?;
        self.check_process()
    }

    /// Does what is due; answers how long there is nothing to do.
    fn next_pause(&self, round: &mut Round) -> Duration {
        let looked = self.finish_open_marks(round).and_then(|()| self.renew_next(round));
        let pause = looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "maintenance could not read the store; it tries again");
            LOOK
        });
        match self.reseal_some(&mut round.resealing) {
            Ok(true) => Duration::ZERO,
            Ok(false) => pause.min(LOOK),
            Err(error) => {
                tracing::warn!(%error, "maintenance could not look for grants that an older key sealed; it tries again");
                pause.min(LOOK)
            }
        }
    }

    /// Sends again what was sent and never answered.
    fn finish_open_marks(&self, round: &mut Round) -> Result<()> {
        let now = self.clock.monotonic();
        if now < round.marks_at {
            return Ok(());
        }
        round.marks_at = later(now, LOOK);
        for account in calling(|| self.store.open_marks(&self.settings.app))? {
            let _call = self.begin_call();
            let Ok(Some(record)) = self.load(&account) else { continue };
            // Older ones are renewed in their turn: there is no hurry any more.
            let is_young = record.mark.is_some_and(|mark| mark.age < LONGEST_WINDOW);
            if is_young && !record.back_off.is_some_and(|back_off| back_off.lasts(self.clock.now()))
            {
                self.recover(&account);
            }
        }
        Ok(())
    }

    /// Renews the token that ends first, if it is time. Accounts that always fail, or were refused,
    /// come from time to time: however many they are, they never delay the others.
    fn renew_next(&self, round: &mut Round) -> Result<Duration> {
        let (now, ticks) = (self.clock.now(), self.clock.monotonic());
        round.aside.retain(|_, until| *until > ticks);
        let listed = BATCH + round.aside.len();
        let due = calling(|| self.store.due(&self.settings.app, now, listed))?;
        let (window, urgent) = self.window(due.total);
        if ticks >= round.trouble_at
            && let Some(account) =
                due.troubled.iter().find(|account| !round.aside.contains_key(*account))
        {
            round.trouble_at = later(ticks, share(self.settings.token_requests_per_minute));
            let _call = self.begin_call();
            if let Some(Err(error)) = self.renew(account, &Need::Maintain { window, urgent: false })
            {
                tracing::debug!(%account, %error, "the token of an account that failed before could not be renewed; it is tried again");
                round.put_aside(account, &error, ticks);
            }
        }
        let next = due.first.iter().find(|(account, _)| !round.aside.contains_key(account));
        let pause = next.map_or(LOOK, |(_, ends)| ends.since(now.plus(window)));
        let living = due.first.into_iter().take_while(|(_, ends)| ends.since(now) <= window);
        let ended = due.ended.into_iter().map(|account| (account, now));
        // Tokens that live come before those that have ended: that way their callers never wait.
        // The others have a turn from time to time, however many live.
        round.turn = round.turn.wrapping_add(1);
        let all: Vec<_> = if round.turn.is_multiple_of(TURN_OF_ENDED) {
            ended.chain(living).collect()
        } else {
            living.chain(ended).collect()
        };
        let (mut skipped, mut tried) = (false, false);
        for (account, ends) in all {
            if round.aside.contains_key(&account) {
                continue;
            }
            let _call = self.begin_call();
            tried = true;
            match self.renew(&account, &Need::Maintain { window, urgent }) {
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
                        tracing::warn!(%account, %error, "a token could not be renewed; it is tried again");
                        round.put_aside(&account, &error, ticks);
                        skipped = true;
                    }
                },
            }
        }
        // Behind those that were skipped there may be more. What is due and can't be done now is
        // looked at again later.
        Ok(match (skipped, tried) {
            (true, _) => Duration::ZERO,
            (false, true) => LOOK,
            (false, false) => pause,
        })
    }

    /// `None` where another thread does it, or nothing can be done yet: what could not be saved
    /// comes first, for until it is the store shows the old grant, its end and its open mark.
    pub(crate) fn renew(&self, account: &Account, need: &Need) -> Option<Result<Arc<Snapshot>>> {
        if self.is_unsaved(account) && !self.save_unsaved(account) {
            return None;
        }
        self.refresh_alone(account, need)
    }

    /// How long before its end a token is renewed, and whether the fleet needs the whole budget for
    /// that.
    fn window(&self, accounts: u64) -> (Duration, bool) {
        let budget = u64::from(self.settings.token_requests_per_minute);
        // A minute of the budget is a second longer than the platform's.
        let all = |budget: u64| Duration::from_secs(accounts.saturating_mul(61) / budget.max(1));
        let urgent = all(budget) > DAY.mul_f64(RELAXED);
        let needed = all(if urgent { budget } else { budget - 1 }).mul_f64(SLACK) + RESERVE;
        (needed.max(DAY / 4), urgent)
    }
}

const DAY: Duration = Duration::from_secs(86_400);
/// The longest without a look at the store.
const LOOK: Duration = Duration::from_secs(5);
/// The pause before a row is read again that this client has no key for, or that is damaged.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The pause after any other failure, where the store does not know of a longer one.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// How many of the next are looked at, for some may be in other hands.
const BATCH: usize = 16;
/// Renewals fail now and then, logins come between, and those in trouble or long ended have their
/// turns.
const SLACK: f64 = 1.22;
/// Of so many renewals one is of a token that has ended, where others live.
const TURN_OF_ENDED: u32 = 16;
const RESERVE: Duration = Duration::from_secs(600);
/// Above this part of the budget maintenance leaves none of it to others.
const RELAXED: f64 = 0.6;
