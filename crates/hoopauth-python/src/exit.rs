//! The end of the interpreter: calls that go on are waited for, so that no new token pair is lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::live::{Core, Live};
use crate::maintenance::Thread;

/// Notes a client to be closed at exit.
pub(crate) fn note_client(live: &Arc<Live>) {
    let mut all = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() == all.capacity() {
        all.retain(|live| live.strong_count() > 0);
    }
    all.push(Arc::downgrade(live));
}

/// Notes the core client of an object that is gone while calls of it go on.
pub(crate) fn note_orphan(core: Arc<Core>, busy: Arc<AtomicUsize>) {
    let mut all = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    let (idle, mut working): (Vec<_>, Vec<_>) = std::mem::take(&mut *all)
        .into_iter()
        .partition(|(_, busy)| busy.load(Ordering::SeqCst) == 0);
    working.push((core, busy));
    *all = working;
    drop(all);
    Python::try_attach(|py| py.detach(|| drop(idle)));
}

/// Notes maintenance to be stopped at exit.
pub(crate) fn note_maintenance(thread: &Arc<Thread>) {
    let mut all = MAINTENANCE.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|thread| thread.strong_count() > 0);
    all.push(Arc::downgrade(thread));
}

/// Closes all clients: run at exit. Waits for calls whose callers left, at most each client's
/// `timeout`.
#[pyfunction]
#[pyo3(name = "_close_all")]
pub(crate) fn close_all(py: Python<'_>) {
    let threads = std::mem::take(&mut *MAINTENANCE.lock().unwrap_or_else(PoisonError::into_inner));
    let clients = std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner));
    let orphans = std::mem::take(&mut *ORPHANS.lock().unwrap_or_else(PoisonError::into_inner));
    let orphans = orphans.into_iter().map(|(core, _)| core).filter(|core| core.process.is_this());
    let orphans: Vec<_> = orphans.map(|core| core.client.clone()).collect();
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

// They are held with the interpreter attached and released before anything else is done: no forked
// child finds them taken.
static LIVE: Mutex<Vec<Weak<Live>>> = Mutex::new(Vec::new());
static MAINTENANCE: Mutex<Vec<Weak<Thread>>> = Mutex::new(Vec::new());
static ORPHANS: Mutex<Vec<(Arc<Core>, Arc<AtomicUsize>)>> = Mutex::new(Vec::new());
