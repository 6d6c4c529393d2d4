//! Maintenance in the background.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyAny;

use crate::owner::Owner;
use crate::wait::detached;

/// Maintenance on a thread of its own, until `stop()`, the end of its `with` block, or
/// `Client.close()`. Keep this object: maintenance stops when nothing holds it any more.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct Maintenance {
    thread: Arc<Thread>,
    /// Client, which is kept alive while it is maintained.
    owner: Owner,
}

impl Maintenance {
    /// The thread uses the program's objects: the client's mark of that lives as long as the
    /// thread, not as this.
    pub(crate) fn new(maintenance: hoopauth::Maintenance, owner: Owner) -> Self {
        let thread = Arc::new(Thread { running: Mutex::new(Some(maintenance)) });
        note(&thread);
        Self { thread, owner }
    }
}

#[pymethods]
impl Maintenance {
    /// Ends maintenance, and waits for the refresh under way; Ctrl-C ends the wait, not the
    /// refresh.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let thread = Arc::clone(&self.thread);
        detached(py, move || {
            thread.stop();
            Ok(())
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (kind, value, traceback);
        self.stop(py)
    }

    fn __repr__(&self) -> &'static str {
        "<hoopauth.Maintenance>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.owner.visit(&visit)
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        // The thread may need the interpreter to end.
        if Python::try_attach(|py| py.detach(|| self.thread.stop())).is_none() {
            self.thread.stop();
        }
    }
}

/// A thread that maintains a client.
pub(crate) struct Thread {
    running: Mutex<Option<hoopauth::Maintenance>>,
}

impl Thread {
    pub(crate) fn stop(&self) {
        // Dropped without the lock: its end waits for the thread, unless this is the thread.
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(running);
    }
}

/// Notes a thread, to be stopped when the interpreter ends.
fn note(thread: &Arc<Thread>) {
    let mut all = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|thread| thread.strong_count() > 0);
    all.push(Arc::downgrade(thread));
}

/// Takes all threads that were noted.
pub(crate) fn take_running() -> Vec<Weak<Thread>> {
    std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

// It is held with the interpreter attached and released before anything else is done: no forked
// child finds it taken.
static RUNNING: Mutex<Vec<Weak<Thread>>> = Mutex::new(Vec::new());
