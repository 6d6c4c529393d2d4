//! Calls within a context: on a thread of their own, which goes on when the caller gives up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::account::Account;
use crate::calls::Counted;
use crate::client::Client;
use crate::context::Context;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::jobs::{self, Job, Joined, Outcome};
use crate::snapshot::Served;
use crate::sync::lock;

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
                jobs::work_for_one(&job);
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
        *lock(&done) = Some(value);
        Ok(None)
    }))?;
    let outcome = lock(&outcome).take();
    outcome.ok_or_else(no_outcome)
}

fn no_outcome() -> Error {
    Error::new(ErrorCode::Internal, "a call ended without an outcome; please report it")
}

/// Errors that end with the next login or import.
fn is_cured_by_a_grant(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoGrant | ErrorCode::ReauthorizationRequired)
}
