//! Calls of what the program brought, and the refusal of calls back into a client from there.

use hoopauth::{Error, ErrorCode};
use pyo3::prelude::*;

use crate::error::exception;
use crate::green::{Inside, switching};

/// Refuses a call back into a client.
#[inline]
pub(crate) fn refuse_reentry(py: Python<'_>) -> PyResult<()> {
    if INSIDE.with(|inside| inside.is_current(py)) { Err(reentered(py)) } else { Ok(()) }
}

#[cold]
fn reentered(py: Python<'_>) -> PyErr {
    let error = Error::new(
        ErrorCode::InvalidState,
        "the client was called from within one of its own callbacks: do that work after the \
         callback returned",
    );
    exception(py, &error, None)
}

/// Calls what the program brought. A call back into a client is refused where it comes from within,
/// not where another greenlet of the thread makes it.
pub(crate) fn inside<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    struct Leave(usize);
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.with(|inside| inside.leave(self.0));
        }
    }
    switching(|py| {
        let _leave = Leave(INSIDE.with(|inside| inside.enter(py)));
        work(py)
    })
}

thread_local! {
    /// The greenlets of this thread that are in callbacks.
    static INSIDE: Inside = const { Inside::nowhere() };
}
