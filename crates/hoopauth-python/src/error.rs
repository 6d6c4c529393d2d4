//! The core's errors as exceptions.

use hoopauth::{Error, ErrorCode};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::answer::Response;

/// The exception of a core error; `cause` becomes its `__cause__`.
pub(crate) fn exception(py: Python<'_>, error: &Error, cause: Option<PyErr>) -> PyErr {
    match made(py, error) {
        Ok(exception) => {
            if cause.is_some() {
                exception.set_cause(py, cause);
            }
            exception
        }
        Err(broken) => broken,
    }
}

/// A core result as Python's.
pub(crate) fn raised<T>(py: Python<'_>, result: hoopauth::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error, None))
}

/// `INVALID_ARGUMENT`, with what to give instead.
pub(crate) fn refused(py: Python<'_>, message: &str) -> PyErr {
    exception(py, &Error::new(ErrorCode::InvalidArgument, message), None)
}

fn made(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.get_or_try_init(py, || {
        py.import("hoopauth._errors")?.getattr("make").map(Bound::unbind)
    })?;
    let exception = make.bind(py).call1((
        error.code().number(),
        error.message(),
        error.status(),
        error.retry_after().map(|wait| wait.as_secs_f64()),
        error.is_retryable(),
        error.trace_id(),
        error.account().map(hoopauth::Account::as_str),
        error.server_message(),
        error.response().map(|response| Response::new(py, response)),
    ))?;
    Ok(PyErr::from_value(exception))
}
