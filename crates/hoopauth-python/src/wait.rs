//! Calls that can wait: without the interpreter, and so that Ctrl-C ends the wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoopauth::binding::{ClientBinding as _, HeadersWork};
use hoopauth::{Context, Error, ErrorCode, Headers, Result};
use pyo3::intern;
use pyo3::prelude::*;

use crate::error::exception;
use crate::green::{any, let_others_run, switching};
use crate::in_call::watched;
use crate::live::{Live, foreign};
use crate::reentry::refuse_reentry;

/// Does `work` with the core's client, detached.
///
/// On the main thread, and where a context is given, it runs on a thread of its own: Ctrl-C or the
/// context ends the wait, and the work goes on to its end. On other threads it runs right here. So
/// it does where the main thread is one of greenlets and the work calls objects of the program's:
/// these are at home among its greenlets.
pub(crate) fn call<T: Send + 'static>(
    py: Python<'_>,
    live: &Live,
    context: Option<Context>,
    work: impl FnOnce(&hoopauth::Client) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    refuse_reentry(py)?;
    let core = live.core(py)?;
    let client = core.client.clone();
    let busy = live.busy();
    if context.is_none() && !leaves_for_signals(py, live)? {
        let done = py.detach(|| {
            let done = watched(|| guarded(|| work(&client)));
            drop(busy);
            done
        });
        return finish(py, done);
    }
    let every = look(py);
    let mut signalled = None;
    let done = py.detach(|| {
        client.within_checking(
            &context.unwrap_or_default(),
            every,
            || checked(&mut signalled),
            move |client| {
                let done = watched(|| guarded(|| work(client)));
                drop(busy);
                Ok(done)
            },
        )
    });
    if let Some(signalled) = signalled {
        return Err(signalled);
    }
    done.map_or_else(|error| Err(exception(py, &error, None)), |done| finish(py, done))
}

/// Headers of an account, as [`call`] does other work: callers that may leave share a thread per
/// account.
pub(crate) fn headers(
    py: Python<'_>,
    live: &Live,
    context: Option<Context>,
    account: Option<&str>,
    method: &str,
) -> PyResult<Headers> {
    refuse_reentry(py)?;
    let core = match live.core(py) {
        Ok(core) => core,
        Err(refused) => return inherited(py, live, account, method).ok_or(refused),
    };
    let client = core.client.clone();
    let name = account.or_else(|| client.default_account()).map(str::to_owned);
    let (Some(name), true) = (name, context.is_some() || leaves_for_signals(py, live)?) else {
        let (account, method) = (account.map(str::to_owned), method.to_owned());
        return call(py, live, context, move |client| match account {
            Some(account) => client.headers_for(&account, &method),
            None => client.headers(&method),
        });
    };
    let every = look(py);
    let mut signalled = None;
    let cause = Arc::new(Mutex::new(None));
    let work = || -> HeadersWork {
        let (busy, cause) = (live.busy(), Arc::clone(&cause));
        Box::new(move |client, name| {
            let (headers, raised) = watched(|| guarded(|| client.headers_for(name, "GET")));
            *cause.lock().unwrap_or_else(PoisonError::into_inner) = raised;
            drop(busy);
            headers
        })
    };
    let context = context.unwrap_or_default();
    let done = py.detach(|| {
        let check = || checked(&mut signalled);
        client.headers_within_checking(&context, every, check, &name, method, work)
    });
    if let Some(signalled) = signalled {
        return Err(signalled);
    }
    let raised = cause.lock().unwrap_or_else(PoisonError::into_inner).take();
    finish(py, (done, raised))
}

/// Returns the headers that the parent of a forked child cached, until their token ends.
fn inherited(py: Python<'_>, live: &Live, account: Option<&str>, method: &str) -> Option<Headers> {
    let core = live.current();
    let core = core.as_ref().filter(|core| foreign(core.process) && !live.is_closed())?;
    let name = account.or_else(|| core.client.default_account())?;
    inline(py, || core.client.headers_for(name, method)).ok()
}

/// Does `work`, detached, and answers Ctrl-C on the way: then it goes on, and nobody waits for it.
pub(crate) fn detached<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    if !is_main_thread(py)? {
        let done = py.detach(|| watched(|| guarded(work)));
        return finish(py, done);
    }
    let every = look(py);
    let (sender, mut receiver) = mpsc::sync_channel(1);
    let started = std::thread::Builder::new().name("hoopauth-call".to_owned()).spawn(move || {
        let _ = sender.send(watched(|| guarded(work)));
    });
    if started.is_err() {
        let error = Error::new(
            ErrorCode::Internal,
            "the system gave no thread for the call: try again later",
        );
        return Err(exception(py, &error.with_retryable(true), None));
    }
    loop {
        let done;
        (receiver, done) = py.detach(move || {
            let done = receiver.recv_timeout(every);
            (receiver, done)
        });
        match done {
            Ok(done) => return finish(py, done),
            Err(RecvTimeoutError::Timeout) => {
                py.check_signals()?;
                let_others_run(TURN);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(exception(py, &panicked(), None));
            }
        }
    }
}

/// Does `work`, which never waits, right here and detached.
pub(crate) fn inline<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    refuse_reentry(py)?;
    let done = py.detach(|| watched(|| guarded(work)));
    finish(py, done)
}

fn finish<T>(py: Python<'_>, (result, cause): (Result<T>, Option<PyErr>)) -> PyResult<T> {
    result.map_err(|error| exception(py, &error, cause))
}

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::new(ErrorCode::Panic, "the call panicked; please report it")
}

#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is not general enough"
)]
fn checked(signalled: &mut Option<PyErr>) -> Result<()> {
    match switching(|py| py.check_signals()) {
        Some(Ok(())) => {
            // The work may need what another greenlet of this thread has.
            let_others_run(TURN);
            Ok(())
        }
        Some(Err(raised)) => {
            *signalled = Some(raised);
            Err(Error::new(
                ErrorCode::Cancelled,
                "a signal handler ended the wait by raising; a refresh under way goes on",
            ))
        }
        None => Err(Error::new(
            ErrorCode::Cancelled,
            "the wait ended because the interpreter is ending",
        )),
    }
}

/// Only the main thread gets signals. Without `threading` imported there is no other that Python
/// knows of.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Ok(threading) = modules.get_item(intern!(py, "threading")) else { return Ok(true) };
    let main = threading.call_method0(intern!(py, "main_thread"))?.getattr(intern!(py, "ident"))?;
    let own = threading.call_method0(intern!(py, "get_ident"))?;
    main.eq(own)
}

/// Longest time for which a wait may stop its thread: the other greenlets of the thread, if there
/// are any, stand still meanwhile.
fn look(py: Python<'_>) -> Duration {
    // Asked for once before another thread may need it: gevent sets up what all its threads share
    // at the first wait.
    if any(py) && let_others_run(Duration::ZERO) { Duration::from_millis(1) } else { LOOK }
}

/// Returns `true` if the work goes to a thread of its own so that signals end the wait.
fn leaves_for_signals(py: Python<'_>, live: &Live) -> PyResult<bool> {
    Ok(is_main_thread(py)? && !(live.has_objects() && any(py)))
}

/// Time that other greenlets run between two looks.
const TURN: Duration = Duration::from_millis(4);
/// Time within which a signal is seen.
const LOOK: Duration = Duration::from_millis(50);
