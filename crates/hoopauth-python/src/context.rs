//! Deadlines, and the switch that ends waits.

use std::time::Duration;

use pyo3::prelude::*;

use crate::error::refused;
use crate::number::Seconds;

/// Deadline for calls, and a switch that ends their waits.
///
/// Pass it as `context=` to any calls, on any threads. Only the wait ends: a refresh under way is
/// finished and saved, and the next call has its result.
///
/// Args:
///     timeout: seconds from now after which calls end with `hoopauth.Timeout`; `None` and infinity
///         set no deadline. A negative one and NaN raise `hoopauth.InvalidArgument`.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct Context {
    pub(crate) inner: hoopauth::Context,
}

#[pymethods]
impl Context {
    #[new]
    #[pyo3(signature = (timeout=None))]
    fn new(py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Self> {
        Ok(Self {
            inner: timeout
                .map_or_else(|| Ok(hoopauth::Context::new()), |seconds| lasting(py, seconds))?,
        })
    }

    /// Ends all current and later waits within this context, with `hoopauth.Cancelled`. Any thread
    /// may call it.
    fn cancel(&self) {
        self.inner.cancel();
    }

    /// True if the context was cancelled.
    #[getter]
    fn cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.Context{}>", if self.inner.is_cancelled() { " cancelled" } else { "" })
    }
}

/// Returns the context of a call: the given one, or a new one that lasts `timeout` seconds.
pub(crate) fn of_call(
    py: Python<'_>,
    timeout: Option<Seconds>,
    context: Option<&Bound<'_, Context>>,
) -> PyResult<Option<hoopauth::Context>> {
    match (timeout, context) {
        (None, None) => Ok(None),
        (None, Some(context)) => Ok(Some(context.get().inner.clone())),
        (Some(seconds), None) => lasting(py, seconds).map(Some),
        (Some(_), Some(_)) => Err(refused(py, "give `timeout` or `context`, not both")),
    }
}

/// A deadline that is longer than any program runs counts as none.
fn lasting(py: Python<'_>, Seconds(seconds): Seconds) -> PyResult<hoopauth::Context> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(refused(
            py,
            "`timeout` is negative or not a number: give seconds, 0 or more, or leave it out for \
             no deadline",
        ));
    }
    let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Ok(hoopauth::Context::with_timeout(timeout))
}
