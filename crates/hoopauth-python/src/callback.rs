//! The border to what the program brings: objects that are called, and what they raise.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};

use hoopauth::{Error, ErrorCode, Result};
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;

/// An object of the program's. The client that holds it shows it to the garbage collector, which may empty it.
pub(crate) struct Slot {
    name: &'static str,
    object: Mutex<Option<Py<PyAny>>>,
}

impl Slot {
    pub(crate) fn new(name: &'static str, object: Py<PyAny>) -> Self {
        Self { name, object: Mutex::new(Some(object)) }
    }

    /// Calls `f` with the object. What it raises is `CALLBACK_FAILED` and kept as the cause; its text may hold anything, so
    /// that only its type is named.
    pub(crate) fn call<T>(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T> {
        let called = Python::try_attach(|py| {
            let object = self.get(py).ok_or_else(|| self.failed(method, "is gone with its client"))?;
            let _inside = Inside::enter();
            f(&object).map_err(|raised| {
                let kind = raised.get_type(py).name().map_or_else(|_| String::new(), |name| name.to_string());
                let error = self.failed(method, &format!("raised `{kind}`"));
                CAUSE.set(Some(raised));
                error
            })
        });
        called.unwrap_or_else(|| Err(self.failed(method, "can't be called: the interpreter is ending")))
    }

    /// As [`call`](Self::call), for what can't answer with an error: the call that led here fails after all.
    pub(crate) fn call_infallible<T>(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Option<T> {
        match self.call(method, f) {
            Ok(value) => Some(value),
            Err(error) if IN_CALL.get() > 0 => {
                FAILED.set(Some(error));
                None
            }
            // A thread of hoopauth's own: there is nobody to raise it to.
            Err(_) => {
                if let Some(raised) = CAUSE.take() {
                    Python::try_attach(|py| raised.write_unraisable(py, self.get(py).as_ref()));
                }
                None
            }
        }
    }

    /// Whether the object has a method, or any attribute, of that name.
    pub(crate) fn has(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        match self.get(py) {
            Some(object) => Ok(object.getattr_opt(name)?.is_some_and(|value| !value.is_none())),
            None => Ok(false),
        }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        object.as_ref().map(|object| object.bind(py).clone())
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        match self.object.try_lock() {
            Ok(object) => object.as_ref().map_or(Ok(()), |object| visit.call(object)),
            // It is in use, so it is no garbage.
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn clear(&self) {
        let object = self.object.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(object);
    }

    fn failed(&self, method: &str, what: &str) -> Error {
        Error::new(ErrorCode::CallbackFailed, format!("`{method}` of the program's {} {what}", self.name))
    }
}

/// Runs a call of the core's on this thread; answers what a callback in it raised, too.
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
    let result = FAILED.take().map_or(result, Err);
    match result {
        Err(error) if error.code() == ErrorCode::CallbackFailed => (Err(error), CAUSE.take()),
        result => (result, None),
    }
}

/// Refuses a call back into a client.
#[inline]
pub(crate) fn refuse_reentry(py: Python<'_>) -> PyResult<()> {
    if INSIDE.get() == 0 { Ok(()) } else { Err(reentered(py)) }
}

#[cold]
fn reentered(py: Python<'_>) -> PyErr {
    let error = Error::new(
        ErrorCode::InvalidState,
        "the client was called from within one of its own callbacks: do that work after the callback returned",
    );
    crate::error::exception(py, &error, None)
}

/// While it lives, this thread is in a callback.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    static IN_CALL: Cell<u32> = const { Cell::new(0) };
    /// What the last callback on this thread raised.
    static CAUSE: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// The failure of a callback that could not answer one.
    static FAILED: RefCell<Option<Error>> = const { RefCell::new(None) };
}
