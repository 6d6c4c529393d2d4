//! Maintenance in the background.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyAny;

use crate::client::Client;
use crate::wait::detached;

/// Maintenance on a thread of its own, until `stop()`, the end of its `with` block, or
/// `Client.close()`. Keep this object: maintenance stops when nothing holds it any more.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct Maintenance {
    thread: Arc<Thread>,
    /// Client, which is kept alive while it is maintained.
    client: Py<Client>,
}

impl Maintenance {
    /// The thread uses the program's objects: the client's mark of that lives as long as the
    /// thread, not as this.
    pub(crate) fn new(maintenance: hoopauth::Maintenance, client: &Bound<'_, Client>) -> Self {
        let thread = Arc::new(Thread { running: Mutex::new(Some(maintenance)) });
        crate::exit::note_maintenance(&thread);
        Self { thread, client: client.clone().unbind() }
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

    /// The client breaks the cycles that it is part of.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)
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
