//! Maintenance: renews the tokens of a whole fleet ahead of their end, within the budget, and finishes what crashes left open.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::account::Account;
use crate::cache::Snapshot;
use crate::callback::calling;
use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::refresh::Need;
use crate::reseal::Resealing;
use crate::sync::{Condvar, Mutex, lock, wait};

impl Client {
    /// Renews tokens until `until`, by the client's clock: whichever ends first goes first, one at a time, as fast as the
    /// budget allows and as early as the size of the fleet demands. Where it runs, callers do not refresh early themselves.
    ///
    /// Any number of threads and processes may do this on one store: no token is renewed twice. What a crash left open is
    /// finished within seconds, ahead of the budget. With several store keys, what the older ones sealed is sealed with the first.
    /// Blocks; failures are logged and tried again. Errors: `INVALID_STATE`
    /// without OAuth, once the client is closed, and in a forked child.
    pub fn maintain(&self, until: Timestamp) -> Result<()> {
        self.maintain_within(until, &Context::new())
    }

    /// As [`maintain`](Self::maintain), until `context` ends: `CANCELLED`, `TIMEOUT`. A refresh under way is finished first.
    pub fn maintain_within(&self, until: Timestamp, context: &Context) -> Result<()> {
        self.inner.maintain(until, context)
    }

    /// As [`maintain`](Self::maintain) on a thread of its own, until the answer is dropped or the client closed.
    ///
    /// It may be dropped anywhere, also in a hook that runs on its own thread: that thread then ends by itself.
    pub fn maintain_in_background(&self) -> Result<Maintenance> {
        self.maintain_in_background_holding(())
    }

    /// As [`maintain_in_background`](Self::maintain_in_background); the thread drops `held` when it ends.
    #[doc(hidden)]
    pub fn maintain_in_background_holding<T: Send + 'static>(&self, held: T) -> Result<Maintenance> {
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

/// Maintenance in the background. Dropping it ends it and waits for the refresh under way; on its own thread, in a hook, nothing
/// is waited for.
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
        let Some(inner) = inner.upgrade().filter(|inner| inner.check_maintainable().is_ok()) else { return };
        pause = inner.maintained(|| inner.next_pause(&mut round));
    }
}

/// What one maintainer remembers.
#[derive(Debug, Default)]
struct Round {
    /// When to look for open marks again, on the monotonic clock.
    marks_at: u64,
    resealing: Resealing,
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
        let looked = self.finish_open_marks(round).and_then(|()| self.renew_next());
        let pause = looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "maintenance could not look into the store; it goes on");
            LOOK
        });
        match self.reseal_some(&mut round.resealing) {
            Ok(true) => Duration::ZERO,
            Ok(false) => pause.min(LOOK),
            Err(error) => {
                tracing::warn!(%error, "older keys could not be looked for; it goes on");
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
        round.marks_at = now.saturating_add(u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX));
        for account in calling(|| self.store.open_marks(&self.settings.app))? {
            let _call = self.begin_call();
            self.recover(&account);
        }
        Ok(())
    }

    /// Renews the token that ends first, if it is time.
    fn renew_next(&self) -> Result<Duration> {
        let now = self.clock.now();
        let due = calling(|| self.store.due(&self.settings.app, now, BATCH))?;
        let (window, urgent) = self.window(due.total);
        for (account, ends) in due.first {
            if ends.since(now) > window {
                return Ok(ends.since(now.plus(window)));
            }
            let _call = self.begin_call();
            match self.renew(&account, &Need::Maintain { window, urgent }) {
                Some(Ok(snapshot)) if snapshot.ends() > ends => return Ok(Duration::ZERO),
                Some(Ok(_)) | None => {}
                Some(Err(error)) => match (error.code(), error.retry_after()) {
                    (ErrorCode::RateLimited, Some(pause)) => return Ok(pause),
                    // Another process does it.
                    (ErrorCode::LeaseTimeout, _) => {}
                    _ => tracing::warn!(%account, %error, "a token could not be renewed yet"),
                },
            }
        }
        Ok(LOOK)
    }

    /// `None` where another thread does it, or nothing can be done yet: what could not be saved comes first, for until it is
    /// the store shows the old grant, its end and its open mark.
    pub(crate) fn renew(&self, account: &Account, need: &Need) -> Option<Result<Arc<Snapshot>>> {
        if self.is_unsaved(account) && !self.save_unsaved(account) {
            return None;
        }
        self.refresh_alone(account, need)
    }

    /// How long before its end a token is renewed, and whether the fleet needs the whole budget for that.
    fn window(&self, accounts: u64) -> (Duration, bool) {
        let budget = u64::from(self.settings.token_requests_per_minute);
        // A minute of the budget is a second longer than the platform's.
        let all = Duration::from_secs(accounts.saturating_mul(61) / budget);
        let needed = all.mul_f64(SLACK) + RESERVE;
        (needed.max(DAY / 4), all > DAY.mul_f64(RELAXED))
    }
}

const DAY: Duration = Duration::from_secs(86_400);
/// The longest without a look at the store.
const LOOK: Duration = Duration::from_secs(5);
/// How many of the next are looked at, for some may be in other hands.
const BATCH: usize = 16;
/// Renewals fail now and then; logins come between.
const SLACK: f64 = 1.1;
const RESERVE: Duration = Duration::from_secs(600);
/// Above this part of the budget maintenance leaves none of it to others.
const RELAXED: f64 = 0.7;
