//! The end of the interpreter: calls that go on are waited for, so that no new token pair is lost.

use std::sync::Weak;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::live::{take_open, take_orphans};
use crate::maintenance::take_running;

/// Closes all clients: run at exit. Waits for calls whose callers left, at most each client's
/// `timeout`.
#[pyfunction]
#[pyo3(name = "_close_all")]
pub(crate) fn close_all(py: Python<'_>) {
    let (threads, clients, orphans) = (take_running(), take_open(), take_orphans());
    py.detach(|| {
        threads.iter().filter_map(Weak::upgrade).for_each(|thread| thread.stop());
        let clients = clients.iter().filter_map(Weak::upgrade).filter_map(|live| live.close());
        for client in clients.chain(orphans) {
            // There is nobody to tell, and the core has logged it.
            let _ = client.close();
        }
    });
}

/// Refuses the import in a sub-interpreter: threads that go on after their callers can be waited
/// for at the end of the main interpreter only.
pub(crate) fn refuse_subinterpreter() -> PyResult<()> {
    // SAFETY: attached, as whoever initialises a module is. The main interpreter's number is 0.
    if unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) } == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "hoopauth can't be imported in a sub-interpreter: import it in the main interpreter \
         (mod_wsgi: set `WSGIApplicationGroup %{GLOBAL}`)",
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let close_all = module.getattr("_close_all")?;
    module.py().import("atexit")?.call_method1("register", (close_all,)).map(drop)
}
