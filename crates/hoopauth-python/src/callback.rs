//! The border to what the program brings: objects that are called, and what they raise.

use std::sync::{Mutex, PoisonError};

use hoopauth::{Error, ErrorCode, Result};
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::in_call;
use crate::reentry::inside;

/// An object of the program's. The client that holds it shows it to the garbage collector, which
/// may empty it.
pub(crate) struct Slot {
    /// The keyword that it was given by.
    option: &'static str,
    name: &'static str,
    object: Mutex<Option<Py<PyAny>>>,
}

/// Fault of a callback.
pub(crate) enum Fault {
    /// The callback raised.
    Raised(PyErr),
    /// The callback returned an invalid value: the text names the value and the valid ones.
    Answered(String),
}

impl From<PyErr> for Fault {
    fn from(raised: PyErr) -> Self {
        Self::Raised(raised)
    }
}

/// The name of a type, for messages.
pub(crate) fn type_name(kind: &Bound<'_, PyType>) -> String {
    kind.name().map_or_else(|_| String::new(), |name| name.to_string())
}

impl Slot {
    pub(crate) fn new(option: &'static str, name: &'static str, object: Py<PyAny>) -> Self {
        Self { option, name, object: Mutex::new(Some(object)) }
    }

    /// Calls `f` with the object. What it raises is `CALLBACK_FAILED` and kept as the cause; its
    /// text may hold anything, so that only its type is named.
    pub(crate) fn call<T>(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T> {
        self.call_reading(method, |object| f(object).map_err(Fault::Raised))
    }

    /// Calls as [`call`](Self::call) does; `f` also judges the value that the object returned.
    pub(crate) fn call_reading<T>(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let called = inside(|py| {
            let object = self.get(py).ok_or_else(|| {
                (self.failed(method, "is gone: its client was garbage-collected"), None)
            })?;
            f(&object).map_err(|fault| match fault {
                Fault::Raised(raised) => {
                    let what = format!("raised `{}`", type_name(&raised.get_type(py)));
                    (self.failed(method, &what), Some(raised))
                }
                Fault::Answered(what) => (self.failed(method, &format!("returned {what}")), None),
            })
        });
        let ending =
            || Err((self.failed(method, "can't be called: the interpreter is ending"), None));
        called.unwrap_or_else(ending).map_err(|(error, raised)| {
            in_call::keep_cause(raised);
            error
        })
    }

    /// Calls as [`call_reading`](Self::call_reading) does a method that can't return an error: the
    /// call that led here fails after all.
    pub(crate) fn call_infallible<T>(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> std::result::Result<T, Fault>,
    ) -> Option<T> {
        match self.call_reading(method, f) {
            Ok(value) => Some(value),
            Err(error) if in_call::is_running() => {
                in_call::fail(error);
                None
            }
            // A thread of hoopauth's own: there is nobody to raise it to.
            Err(error) => {
                self.tell(&error, in_call::take_cause());
                None
            }
        }
    }

    /// Tells news as [`call`](Self::call) does: no result depends on it, so its exception is told
    /// to whoever reads logs, and to `sys.unraisablehook`, as Python does where there is nobody to
    /// raise it to.
    pub(crate) fn call_unheard(
        &self,
        method: &str,
        f: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>,
    ) {
        let before = in_call::take_cause();
        if let Err(error) = self.call(method, f) {
            self.tell(&error, in_call::take_cause());
        }
        in_call::keep_cause(before);
    }

    fn tell(&self, error: &Error, raised: Option<PyErr>) {
        // What hears of it must not call the client either.
        inside(|py| {
            crate::log::warn(
                py,
                "hoopauth.callback",
                &format!("{}; the call goes on", error.message()),
            );
            if let Some(raised) = raised {
                raised.write_unraisable(py, self.get(py).as_ref());
            }
        });
    }

    /// `CONFIG` if the object lacks one of the methods that it can't be without.
    pub(crate) fn require(&self, py: Python<'_>, methods: &[&str]) -> PyResult<()> {
        for method in methods {
            if !self.has(py, method)? {
                return Err(self.misfit(py, &format!("has no method `{method}`")));
            }
        }
        Ok(())
    }

    /// Returns `true` if the object has a method of that name; a `None` in its place counts as no
    /// method. `CONFIG` if it is there and can't be called.
    pub(crate) fn has(&self, py: Python<'_>, method: &str) -> PyResult<bool> {
        let Some(object) = self.get(py) else { return Ok(false) };
        match object.getattr_opt(method)? {
            Some(value) if value.is_callable() => Ok(true),
            Some(value) if !value.is_none() => {
                Err(self.misfit(py, &format!("has a `{method}` that can't be called")))
            }
            _ => Ok(false),
        }
    }

    /// `CONFIG` if the object itself can't be called.
    pub(crate) fn require_callable(&self, py: Python<'_>) -> PyResult<()> {
        match self.get(py) {
            Some(object) if !object.is_callable() => Err(self.misfit(py, "can't be called")),
            _ => Ok(()),
        }
    }

    fn misfit(&self, py: Python<'_>, what: &str) -> PyErr {
        let kind = self.get(py).map_or_else(String::new, |object| type_name(&object.get_type()));
        let message = format!(
            "`{}`: the given `{kind}` {what}; `hoopauth.types` says what it needs",
            self.option
        );
        crate::error::exception(py, &Error::new(ErrorCode::Config, message), None)
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
        Error::new(
            ErrorCode::CallbackFailed,
            format!("`{method}` of the program's {} {what}", self.name),
        )
    }
}
