//! Calls that can wait: without the interpreter, and so that Ctrl-C ends the wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hoopauth::{Context, Error, ErrorCode, Result};
use pyo3::intern;
use pyo3::prelude::*;

use crate::callback::{refuse_reentry, watched};
use crate::error::exception;
use crate::live::Live;

/// Does `work` with the core's client, detached.
///
/// On the main thread, and where a context is given, it runs on a thread of its own: Ctrl-C or the context ends the wait, and
/// the work goes on to its end. On other threads it runs right here.
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
    if context.is_none() && !is_main_thread(py)? {
        let done = py.detach(|| {
            let done = watched(|| guarded(|| work(&client)));
            drop(busy);
            done
        });
        return finish(py, done);
    }
    let mut signalled = None;
    let done = py.detach(|| {
        client.within_checking(
            &context.unwrap_or_default(),
            LOOK,
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

/// Does `work`, detached, and answers Ctrl-C on the way: then it goes on, and nobody waits for it.
pub(crate) fn detached<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    if !is_main_thread(py)? {
        let done = py.detach(|| watched(|| guarded(work)));
        return finish(py, done);
    }
    let (sender, mut receiver) = mpsc::sync_channel(1);
    let started = std::thread::Builder::new().name("hoopauth-call".to_owned()).spawn(move || {
        let _ = sender.send(watched(|| guarded(work)));
    });
    if started.is_err() {
        let error = Error::new(ErrorCode::Internal, "no thread could be started for the call; try again");
        return Err(exception(py, &error.with_retryable(true), None));
    }
    loop {
        let done;
        (receiver, done) = py.detach(move || {
            let done = receiver.recv_timeout(LOOK);
            (receiver, done)
        });
        match done {
            Ok(done) => return finish(py, done),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(exception(py, &panicked(), None));
            }
        }
    }
}

/// Does `work`, which never waits, right here and detached.
pub(crate) fn inline<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
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

#[allow(clippy::redundant_closure_for_method_calls, reason = "the method itself is not general enough")]
fn checked(signalled: &mut Option<PyErr>) -> Result<()> {
    match Python::try_attach(|py| py.check_signals()) {
        Some(Ok(())) => Ok(()),
        Some(Err(raised)) => {
            *signalled = Some(raised);
            Err(Error::new(ErrorCode::Cancelled, "a signal ended the wait"))
        }
        None => Err(Error::new(ErrorCode::Cancelled, "the interpreter is ending")),
    }
}

/// Only the main thread gets signals. Without `threading` imported there is no other that Python knows of.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Ok(threading) = modules.get_item(intern!(py, "threading")) else { return Ok(true) };
    let main = threading.call_method0(intern!(py, "main_thread"))?.getattr(intern!(py, "ident"))?;
    let own = threading.call_method0(intern!(py, "get_ident"))?;
    main.eq(own)
}

/// How soon a signal is seen.
const LOOK: Duration = Duration::from_millis(50);
