//! The deadline of a call, and the means to end its wait from another thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cache::{Served, Snapshot};
use crate::callback::let_others_run;
use crate::client::Client;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;

/// How long calls may take, and a switch that ends their waits. Cloning shares both; any thread may
/// cancel.
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
            shared: Arc::new(Shared {
                deadline: Instant::now().checked_add(timeout),
                ..Shared::default()
            }),
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
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
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

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Waits until `ready` answers something; asks `check` again and again meanwhile.
    fn wait_until<T>(
        &self,
        every: Duration,
        check: &mut dyn FnMut() -> Result<()>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut guard = self.lock();
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            self.check()?;
            guard = self.wait(guard, every.min(LONGEST_WAIT));
            if every < LONGEST_WAIT {
                // Not under the lock: it may run code of the host's that cancels.
                drop(guard);
                check()?;
                guard = self.lock();
            }
        }
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
    /// The work runs on a thread of its own. When the context ends first this answers `CANCELLED`
    /// or `TIMEOUT` at once, and the work goes on to its end: [`close`](Self::close) waits for it.
    /// While many calls go on like that, further ones wait on their own threads, within their
    /// contexts, until one of those ends: so threads never pile up. For headers use
    /// [`headers_within`](Self::headers_within): callers of one account then share a thread.
    pub fn within<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.within_checking(context, Duration::MAX, || Ok(()), work)
    }

    /// As [`headers_for`](Self::headers_for), for as long as `context` allows.
    ///
    /// Callers wait on their own threads. What an account needs is done once for all of them, on a
    /// thread that goes on when they give up: so a refresh under way is finished and saved, and
    /// there are never more threads than accounts that need one.
    pub fn headers_within(
        &self,
        context: &Context,
        account: &str,
        method: &str,
    ) -> Result<Headers> {
        self.headers_within_checking(
            context,
            Duration::MAX,
            || Ok(()),
            account,
            method,
            || Box::new(|client, name| client.headers_for(name, "GET")),
        )
    }

    /// As [`headers_within`](Self::headers_within), asking `check` as
    /// [`within_checking`](Self::within_checking) does. `work` makes what gets the headers of a
    /// named account.
    #[doc(hidden)]
    pub fn headers_within_checking(
        &self,
        context: &Context,
        every: Duration,
        mut check: impl FnMut() -> Result<()>,
        account: &str,
        method: &str,
        work: impl Fn() -> HeadersWork,
    ) -> Result<Headers> {
        if let Some(headers) = self.fresh_headers(account, method) {
            return Ok(headers);
        }
        if !(account.is_empty() && self.inner.credential.is_static()) {
            Account::parse(account)?;
        }
        let mut again = false;
        loop {
            let work = work();
            let name = account.to_owned();
            let work: Work = Box::new(move |client| {
                work(client, &name).map(|headers| Some(headers.into_parts().0))
            });
            let (outcome, joined) =
                self.run_within(context, every, &mut check, Some(account), work);
            match outcome {
                Ok(Some(snapshot)) => {
                    return Ok(Headers::new(Served::from_inner(snapshot), method.as_bytes()));
                }
                Ok(None) => return Err(no_outcome()),
                // That call began earlier: a login or an import may have come before ours.
                Err(error) if joined && !again && is_cured_by_a_grant(error.code()) => again = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`within`](Self::within), asking `check` again and again on the calling thread; its error
    /// ends the wait.
    #[doc(hidden)]
    pub fn within_checking<T: Send + 'static>(
        &self,
        context: &Context,
        every: Duration,
        mut check: impl FnMut() -> Result<()>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome_of(work, |work| self.run_within(context, every, &mut check, None, work).0)
    }

    /// As [`within`](Self::within); without a context, here and now.
    #[doc(hidden)]
    pub fn within_if<T: Send + 'static>(
        &self,
        context: Option<&Context>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outcome_of(work, |work| match context {
            Some(context) => self.run_within(context, Duration::MAX, &mut || Ok(()), None, work).0,
            None => work(self),
        })
    }

    /// For work of every kind, so that programs carry it once. Callers that give the same `key`
    /// share a job; tells whether one was joined that had begun before.
    fn run_within(
        &self,
        context: &Context,
        every: Duration,
        check: &mut dyn FnMut() -> Result<()>,
        key: Option<&str>,
        work: Work,
    ) -> (Result<Outcome>, bool) {
        // Counted before it is looked at: a client that closes waits for what it let through.
        let counted = self.inner.check_process().is_ok().then(|| self.inner.calls.enter());
        if let Err(error) = self.inner.check_open().and_then(|()| context.check()) {
            return (Err(error), false);
        }
        let Some(counted) = counted else {
            // Nothing in a forked child waits for anything; and a thread started there may find
            // locks that nobody will open.
            return (work(self), false);
        };
        let jobs = &self.inner.jobs;
        let (job, joined) = loop {
            match jobs.join(key, context) {
                Joined::Ours(job) => break (job, false),
                Joined::Others(job) => break (job, true),
                Joined::Full => {
                    let waited = context.wait_until(every, check, || jobs.has_room().then_some(()));
                    jobs.forget(context);
                    if let Err(error) = waited {
                        return (Err(error), false);
                    }
                }
            }
        };
        if !joined && let Err(error) = self.start(&job, key, counted, work) {
            jobs.finish(key, &job, Err(error.clone()));
            return (Err(error), false);
        }
        let outcome = context.wait_until(every, check, || job.outcome());
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // It may have ended at the last moment.
            Err(error) => jobs.leave(&job, context).unwrap_or(Err(error)),
        };
        (outcome, joined)
    }

    fn start(&self, job: &Arc<Job>, key: Option<&str>, counted: Counted, work: Work) -> Result<()> {
        let (client, job, key) = (self.clone(), Arc::clone(job), key.map(str::to_owned));
        let jobs = Arc::clone(&self.inner.jobs);
        let run = move || {
            if key.is_none() {
                JOB.set(Some(Arc::clone(&job)));
            }
            let result = catch_unwind(AssertUnwindSafe(|| work(&client)));
            let result = result.unwrap_or_else(|_| {
                Err(Error::new(ErrorCode::Panic, "the call panicked; please report it"))
            });
            // Dropped before the outcome is told: nobody who heard of it finds the client held by
            // this thread.
            drop(client);
            jobs.finish(key.as_deref(), &job, result);
            drop(counted);
        };
        let started = thread::Builder::new().name("hoopauth-call".to_owned()).spawn(run);
        started.map(drop).map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                format!(
                    "the system gave no thread for a call that can be cancelled ({error}): try again later"
                ),
            )
            .with_retryable(true)
        })
    }
}

/// What gets headers on a thread that its caller may leave.
#[doc(hidden)]
pub type HeadersWork = Box<dyn FnOnce(&Client, &str) -> Result<Headers> + Send>;

/// What headers are made of, where the work was to get some.
type Outcome = Option<Arc<Snapshot>>;

type Work = Box<dyn FnOnce(&Client) -> Result<Outcome> + Send>;

/// What `work` answers when `run` runs it.
fn outcome_of<T: Send + 'static>(
    work: impl FnOnce(&Client) -> Result<T> + Send + 'static,
    run: impl FnOnce(Work) -> Result<Outcome>,
) -> Result<T> {
    let outcome = Arc::new(Mutex::new(None));
    let done = Arc::clone(&outcome);
    run(Box::new(move |client| {
        let value = work(client)?;
        *locked(&done) = Some(value);
        Ok(None)
    }))?;
    let outcome = locked(&outcome).take();
    outcome.ok_or_else(no_outcome)
}

fn no_outcome() -> Error {
    Error::new(ErrorCode::Internal, "a call ended without an outcome; please report it")
}

/// Errors that end with the next login or import.
fn is_cured_by_a_grant(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoGrant | ErrorCode::ReauthorizationRequired)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work on a thread of its own, and who waits for it.
struct Job {
    state: Mutex<JobState>,
    /// End of the first caller's wait.
    deadline: Option<Instant>,
}

struct JobState {
    outcome: Option<Result<Outcome>>,
    waiting: Vec<Context>,
}

impl Job {
    fn outcome(&self) -> Option<Result<Outcome>> {
        locked(&self.state).outcome.clone()
    }

    /// Keeps the outcome; answers who waited for it.
    fn end(&self, outcome: Result<Outcome>) -> (Vec<Context>, bool) {
        let mut state = locked(&self.state);
        state.outcome = Some(outcome);
        let waiting = std::mem::take(&mut state.waiting);
        let was_left = waiting.is_empty();
        (waiting, was_left)
    }
}

enum Joined {
    Ours(Arc<Job>),
    Others(Arc<Job>),
    /// So many were left by their callers that no more are begun.
    Full,
}

/// The jobs of a client. Those whose callers wait are no more than the program's own threads; those
/// that were left are bounded here.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Mutex<JobsState>,
}

#[derive(Default)]
struct JobsState {
    /// Those that callers share.
    shared: HashMap<Box<str>, Arc<Job>>,
    /// How many go on with nobody waiting.
    left: usize,
    /// Who waits for room.
    waiting: Vec<Context>,
}

impl Jobs {
    fn join(&self, key: Option<&str>, context: &Context) -> Joined {
        let mut state = locked(&self.state);
        if let Some(job) = key.and_then(|key| state.shared.get(key)).cloned() {
            let mut inside = locked(&job.state);
            if inside.outcome.is_none() {
                let was_left = inside.waiting.is_empty();
                inside.waiting.push(context.clone());
                drop(inside);
                if was_left {
                    state.left = state.left.saturating_sub(1);
                    let waiting = std::mem::take(&mut state.waiting);
                    drop(state);
                    wake_all(&waiting);
                }
                return Joined::Others(job);
            }
        }
        if state.left >= MOST_LEFT {
            state.waiting.push(context.clone());
            return Joined::Full;
        }
        let waiting = vec![context.clone()];
        let state_of_job = Mutex::new(JobState { outcome: None, waiting });
        let job = Arc::new(Job { state: state_of_job, deadline: context.shared.deadline });
        if let Some(key) = key {
            state.shared.insert(key.into(), Arc::clone(&job));
        }
        Joined::Ours(job)
    }

    /// A caller gives up; answers the outcome if that came all the same.
    fn leave(&self, job: &Job, context: &Context) -> Option<Result<Outcome>> {
        let mut state = locked(&self.state);
        let mut inside = locked(&job.state);
        if inside.outcome.is_some() {
            return inside.outcome.clone();
        }
        if let Some(at) = inside.waiting.iter().position(|waiting| waiting.is(context)) {
            inside.waiting.swap_remove(at);
            if inside.waiting.is_empty() {
                state.left += 1;
            }
        }
        None
    }

    fn finish(&self, key: Option<&str>, job: &Arc<Job>, outcome: Result<Outcome>) {
        let mut state = locked(&self.state);
        if let Some(key) = key
            && state.shared.get(key).is_some_and(|shared| Arc::ptr_eq(shared, job))
        {
            state.shared.remove(key);
        }
        let (mut waiting, was_left) = job.end(outcome);
        if was_left {
            state.left = state.left.saturating_sub(1);
            waiting.append(&mut state.waiting);
        }
        drop(state);
        wake_all(&waiting);
    }

    fn has_room(&self) -> bool {
        locked(&self.state).left < MOST_LEFT
    }

    /// A caller waits for room no longer.
    fn forget(&self, context: &Context) {
        let mut state = locked(&self.state);
        if let Some(at) = state.waiting.iter().position(|waiting| waiting.is(context)) {
            state.waiting.swap_remove(at);
        }
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

thread_local! {
    /// The job that this thread does for one caller. A thread of our own, so that no green threads
    /// share it.
    static JOB: RefCell<Option<Arc<Job>>> = const { RefCell::new(None) };
}

/// Whether the one caller left that this thread works for; `None` where it works for itself, or for
/// several.
pub(crate) fn caller_left() -> Option<bool> {
    JOB.with_borrow(|job| job.as_ref().map(|job| locked(&job.state).waiting.is_empty()))
}

/// How long the one caller waits that this thread works for: what only that caller wants need take
/// no longer.
pub(crate) fn left_of_caller() -> Duration {
    JOB.with_borrow(|job| match job {
        Some(job) if locked(&job.state).waiting.is_empty() => Duration::ZERO,
        Some(job) => {
            job.deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
        }
        None => Duration::MAX,
    })
}

fn wake_all(contexts: &[Context]) {
    contexts.iter().for_each(Context::wake);
}

/// A call that closing waits for.
pub(crate) struct Counted {
    calls: Arc<Calls>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let calls = &self.calls;
        // Waking costs a system call, be anybody asleep or not. Whoever waits said so before
        // looking at the count.
        if calls.running.fetch_sub(1, Ordering::SeqCst) == 1
            && calls.waiting.load(Ordering::SeqCst) > 0
        {
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
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            drop(turn);
            // Another green thread of this very thread may have to go on first.
            let others_ran = let_others_run(left.min(LONGEST_TURN));
            turn = self.turn();
            if !others_ran && self.running.load(Ordering::SeqCst) > 0 {
                turn =
                    self.changed.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest that other green threads run before the calls are counted again.
const LONGEST_TURN: Duration = Duration::from_millis(10);
/// The most calls of a client that go on after their callers left.
const MOST_LEFT: usize = 64;
