//! The deadline of a call, and the means to end its wait from another thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::{Error, ErrorCode, Result};

/// How long calls may take, and a switch that ends their waits. Cloning shares both; any thread may cancel.
///
/// [`Client::within`] does a call within one. What ends is the wait: a token request that was sent is finished on a thread of
/// its own and its answer saved, so that cancelling never costs a grant.
#[derive(Clone, Default)]
pub struct Context {
    shared: Arc<Shared>,
}

impl Context {
    /// A context without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context whose calls end `timeout` from now at the latest, with `TIMEOUT`.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            shared: Arc::new(Shared { deadline: Instant::now().checked_add(timeout), ..Shared::default() }),
        }
    }

    /// Ends all waits within this context, those under way and those to come, with `CANCELLED`.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// `CANCELLED` or `TIMEOUT` once it is over.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the call was cancelled; a refresh under way goes on, and the next call has its result",
            ));
        }
        if self.left().is_some_and(|left| left.is_zero()) {
            return Err(Error::new(
                ErrorCode::Timeout,
                "the call's deadline has passed; a refresh under way goes on, and the next call has its result",
            ));
        }
        Ok(())
    }

    /// Waits until it is over, at most `longest`.
    pub(crate) fn pause(&self, longest: Duration) {
        let until = Instant::now().checked_add(longest);
        let mut guard = self.lock();
        while self.check().is_ok() {
            let left = until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            guard = self.wait(guard, left);
        }
    }

    fn left(&self) -> Option<Duration> {
        self.shared.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn wake(&self) {
        // Under the lock: whoever is about to wait has looked already or sees it.
        let _guard = self.lock();
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, ()>, longest: Duration) -> MutexGuard<'a, ()> {
        let longest = self.left().map_or(longest, |left| left.min(longest));
        self.shared.changed.wait_timeout(guard, longest).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("left", &self.left())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    deadline: Option<Instant>,
    cancelled: AtomicBool,
    turn: Mutex<()>,
    changed: Condvar,
}

impl Client {
    /// Does `work` with this client, for as long as `context` allows.
    ///
    /// The work runs on a thread of its own. When the context ends first this answers `CANCELLED` or `TIMEOUT` at once, and
    /// the work goes on to its end: [`close`](Self::close) waits for it. Headers that are cached need none of this: ask
    /// [`fresh_headers`](Self::fresh_headers) first.
    pub fn within<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.within_checking(context, Duration::MAX, || Ok(()), work)
    }

    /// As [`within`](Self::within), asking `check` again and again on the calling thread; its error ends the wait.
    #[doc(hidden)]
    pub fn within_checking<T: Send + 'static>(
        &self,
        context: &Context,
        every: Duration,
        mut check: impl FnMut() -> Result<()>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome_of(work, |work| self.run_within(context, every, &mut check, work))
    }

    /// As [`within`](Self::within); without a context, here and now.
    #[doc(hidden)]
    pub fn within_if<T: Send + 'static>(
        &self,
        context: Option<&Context>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome_of(work, |work| match context {
            Some(context) => self.run_within(context, Duration::MAX, &mut || Ok(()), work),
            None => work(self),
        })
    }

    /// For work of every kind, so that programs carry it once.
    fn run_within(
        &self,
        context: &Context,
        every: Duration,
        check: &mut dyn FnMut() -> Result<()>,
        work: Work,
    ) -> Result<()> {
        // Counted before it is looked at: a client that closes waits for what it let through.
        let worker = self.inner.check_process().is_ok().then(|| self.inner.calls.enter());
        self.inner.check_open()?;
        context.check()?;
        let Some(worker) = worker else {
            // Nothing in a forked child waits for anything; and a thread started there may find locks that nobody will open.
            return work(self);
        };
        let outcome = Arc::new(Mutex::new(None));
        let (client, done, waiter) = (self.clone(), Arc::clone(&outcome), context.clone());
        let started = thread::Builder::new().name("hoopauth-call".to_owned()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&client)));
            let result = result
                .unwrap_or_else(|_| Err(Error::new(ErrorCode::Panic, "the call panicked; please report it")));
            drop(client);
            *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            waiter.wake();
            drop(worker);
        });
        if let Err(error) = started {
            return Err(Error::new(
                ErrorCode::Internal,
                format!("no thread could be started for a call that can be cancelled: {error}"),
            )
            .with_retryable(true));
        }
        let mut guard = context.lock();
        loop {
            if let Some(result) = outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return result;
            }
            context.check()?;
            guard = context.wait(guard, every.min(LONGEST_WAIT));
            if every < LONGEST_WAIT {
                // Not under the lock: it may run code of the host's that cancels.
                drop(guard);
                check()?;
                guard = context.lock();
            }
        }
    }
}

type Work = Box<dyn FnOnce(&Client) -> Result<()> + Send>;

/// What `work` answers when `run` runs it.
fn outcome_of<T: Send + 'static>(
    work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    run: impl FnOnce(Work) -> Result<()>,
) -> Result<T> {
    let outcome = Arc::new(Mutex::new(None));
    let done = Arc::clone(&outcome);
    run(Box::new(move |client| {
        let value = work(client)?;
        *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }))?;
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome
        .ok_or_else(|| Error::new(ErrorCode::Internal, "a call ended without an outcome; please report it"))
}

/// A call that closing waits for.
pub(crate) struct Counted {
    calls: Arc<Calls>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let calls = &self.calls;
        // Waking costs a system call, be anybody asleep or not. Whoever waits said so before looking at the count.
        if calls.running.fetch_sub(1, Ordering::SeqCst) == 1 && calls.waiting.load(Ordering::SeqCst) > 0 {
            drop(calls.turn());
            calls.changed.notify_all();
        }
    }
}

/// How many calls are under way that may wait, whether their callers still do or not.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    running: AtomicUsize,
    /// How many wait for the last one's end.
    waiting: AtomicUsize,
    turn: Mutex<()>,
    changed: Condvar,
}

impl Calls {
    pub(crate) fn enter(self: &Arc<Self>) -> Counted {
        self.running.fetch_add(1, Ordering::SeqCst);
        Counted { calls: Arc::clone(self) }
    }

    /// Waits until none runs, at most `longest`.
    pub(crate) fn finish(&self, longest: Duration) {
        let until = Instant::now().checked_add(longest);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = self.turn();
        while self.running.load(Ordering::SeqCst) > 0 {
            let left = until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            turn = self.changed.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
