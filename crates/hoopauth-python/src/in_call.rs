//! The call of the core's that a thread is in, and the failures of callbacks in it.

use std::cell::{Cell, RefCell};

use hoopauth::{Error, ErrorCode, Result};
use pyo3::prelude::*;

/// Runs a call of the core's on this thread. Returns its result, and the exception of a callback in
/// it that caused the failure.
pub(crate) fn watched<T>(work: impl FnOnce() -> Result<T>) -> (Result<T>, Option<PyErr>) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            IN_CALL.set(IN_CALL.get() - 1);
        }
    }
    CAUSE.set(None);
    FAILED.set(None);
    IN_CALL.set(IN_CALL.get() + 1);
    let leave = Leave;
    let result = work();
    drop(leave);
    if let Some((error, cause)) = FAILED.take() {
        return (Err(error), cause);
    }
    match result {
        Err(error) if error.code() == ErrorCode::CallbackFailed => (Err(error), CAUSE.take()),
        result => (result, None),
    }
}

/// Returns `true` if this thread is in a call: its caller hears of failures.
pub(crate) fn is_running() -> bool {
    IN_CALL.get() > 0
}

/// Keeps the exception of the last callback, for the call that it was made in.
pub(crate) fn keep_cause(raised: Option<PyErr>) {
    CAUSE.set(raised);
}

/// Takes the exception of the last callback.
pub(crate) fn take_cause() -> Option<PyErr> {
    CAUSE.take()
}

/// Makes the call fail after all, because of a callback that can't return an error.
pub(crate) fn fail(error: Error) {
    FAILED.set(Some((error, CAUSE.take())));
}

/// The state of the call that this thread is in, set aside while other greenlets of the thread may
/// run; put back when it is dropped.
pub(crate) struct SetAside {
    in_call: u32,
    cause: Option<PyErr>,
    failed: Option<(Error, Option<PyErr>)>,
}

impl SetAside {
    pub(crate) fn new() -> Self {
        Self { in_call: IN_CALL.take(), cause: CAUSE.take(), failed: FAILED.take() }
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        IN_CALL.set(self.in_call);
        CAUSE.set(self.cause.take());
        FAILED.set(self.failed.take());
    }
}

thread_local! {
    static IN_CALL: Cell<u32> = const { Cell::new(0) };
    /// Exception of the last callback on this thread.
    static CAUSE: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// The failure of a callback that could not return an error.
    static FAILED: RefCell<Option<(Error, Option<PyErr>)>> = const { RefCell::new(None) };
}
