//! Calls within a context: on a thread of their own, which goes on if the caller gives up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::calls::Counted;
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::jobs::{self, Job, JobOutcome, Joined};
use crate::snapshot::Served;
use crate::sync::{Mutex, lock};

/// The wait of a caller.
pub(crate) struct Wait<'a> {
    pub(crate) context: &'a Context,
    /// Time between two calls of `check`.
    pub(crate) every: Duration,
    /// Called on the waiting thread. Its error ends the wait.
    pub(crate) check: &'a mut dyn FnMut() -> Result<()>,
}

/// Work that gets the headers of a named account, on a thread that its caller may leave.
pub(crate) type InnerHeadersWork = Box<dyn FnOnce(&Arc<Inner>, &str) -> Result<Headers> + Send>;

type Work = Box<dyn FnOnce(&Arc<Inner>) -> Result<JobOutcome> + Send>;

/// Does `work` on a thread of its own, for as long as the context allows.
pub(crate) fn work<T: Send + 'static>(
    inner: &Arc<Inner>,
    wait: &mut Wait<'_>,
    work: impl FnOnce(&Arc<Inner>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = Arc::new(Mutex::new(None));
    let done = Arc::clone(&outcome);
    let work: Work = Box::new(move |inner| {
        let value = work(inner)?;
        *lock(&done) = Some(value);
        Ok(None)
    });
    run(inner, wait, None, work).0?;
    let outcome = lock(&outcome).take();
    outcome.ok_or_else(no_outcome)
}

/// Gets the headers of an account, for as long as the context allows. Callers of one account share
/// a thread.
pub(crate) fn headers(
    inner: &Arc<Inner>,
    wait: &mut Wait<'_>,
    account: &str,
    method: &str,
    work: &dyn Fn() -> InnerHeadersWork,
) -> Result<Headers> {
    let mut again = false;
    loop {
        let work = work();
        let name = account.to_owned();
        let work: Work =
            Box::new(move |inner| work(inner, &name).map(|headers| Some(headers.into_parts().0)));
        let (outcome, joined) = run(inner, wait, Some(account), work);
        match outcome {
            Ok(Some(snapshot)) => {
                return Ok(Headers::new(Served::from_inner(snapshot), method.as_bytes()));
            }
            Ok(None) => return Err(no_outcome()),
            // The joined call began earlier: a login or an import may have come before ours.
            Err(error) if joined && !again && is_cured_by_a_grant(error.code()) => again = true,
            Err(error) => return Err(error),
        }
    }
}

/// Runs work of any kind, so that programs hold this code once. Callers that give the same `key`
/// share a job. The second value is `true` if a job was joined that had begun before.
fn run(
    inner: &Arc<Inner>,
    wait: &mut Wait<'_>,
    key: Option<&str>,
    work: Work,
) -> (Result<JobOutcome>, bool) {
    let Wait { context, every, check } = wait;
    // Counted before the client is checked: a client that closes waits for the calls that it let
    // through.
    let counted = inner.check_process().is_ok().then(|| inner.grants().calls.enter());
    if let Err(error) = inner.check_open().and_then(|()| context.check()) {
        return (Err(error), false);
    }
    let Some(counted) = counted else {
        // In a forked child nothing waits for calls, and a new thread may find locks that nobody
        // will open.
        return (work(inner), false);
    };
    let jobs = &inner.jobs;
    let (job, joined) = loop {
        match jobs.join(key, context) {
            Joined::Ours(job) => break (job, false),
            Joined::Others(job) => break (job, true),
            Joined::Full => {
                let room = || jobs.has_room().then_some(());
                let waited = context.wait_until(*every, *check, room);
                jobs.forget(context);
                if let Err(error) = waited {
                    return (Err(error), false);
                }
            }
        }
    };
    if !joined && let Err(error) = start(inner, &job, key, counted, work) {
        jobs.finish(key, &job, Err(error.clone()));
        return (Err(error), false);
    }
    let outcome = match context.wait_until(*every, *check, || job.outcome()) {
        Ok(outcome) => outcome,
        // The outcome may have come at the last moment.
        Err(error) => jobs.leave(&job, context).unwrap_or(Err(error)),
    };
    (outcome, joined)
}

/// Starts the thread of a job.
fn start(
    inner: &Arc<Inner>,
    job: &Arc<Job>,
    key: Option<&str>,
    counted: Counted,
    work: Work,
) -> Result<()> {
    let (inner, job, key) = (Arc::clone(inner), Arc::clone(job), key.map(str::to_owned));
    let jobs = Arc::clone(&inner.jobs);
    let run = move || {
        if key.is_none() {
            jobs::work_for_one(&job);
        }
        let result = catch_unwind(AssertUnwindSafe(|| work(&inner)));
        let result = result.unwrap_or_else(|_| {
            Err(Error::new(ErrorCode::Panic, "the call panicked; please report it"))
        });
        // Dropped before the outcome is told: nobody who heard of it finds the client held by this
        // thread.
        drop(inner);
        jobs.finish(key.as_deref(), &job, result);
        drop(counted);
    };
    let started = thread::Builder::new().name("hoopauth-call".to_owned()).spawn(run);
    started.map(drop).map_err(|error| {
        Error::new(
            ErrorCode::Internal,
            format!(
                "the system gave no thread for a call that can be cancelled ({error}): try again \
                 later"
            ),
        )
        .with_retryable(true)
    })
}

fn no_outcome() -> Error {
    Error::new(ErrorCode::Internal, "a call ended without an outcome; please report it")
}

/// Returns `true` for errors that end with the next login or import.
fn is_cured_by_a_grant(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoGrant | ErrorCode::ReauthorizationRequired)
}
