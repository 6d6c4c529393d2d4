//! Maintenance in the background.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyAny;

/// Maintenance on a thread of its own, until `stop()`, the end of its `with` block, or the end of the client.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct Maintenance {
    thread: Arc<Thread>,
}

impl Maintenance {
    pub(crate) fn new(maintenance: hoopauth::Maintenance) -> Self {
        let thread = Arc::new(Thread { maintenance: Mutex::new(Some(maintenance)) });
        crate::exit::note_maintenance(&thread);
        Self { thread }
    }
}

#[pymethods]
impl Maintenance {
    /// Ends it, and waits for the refresh under way.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.thread.stop());
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
    ) {
        let _ = (kind, value, traceback);
        self.stop(py);
    }

    fn __repr__(&self) -> &'static str {
        "<hoopauth.Maintenance>"
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
    maintenance: Mutex<Option<hoopauth::Maintenance>>,
}

impl Thread {
    pub(crate) fn stop(&self) {
        let maintenance = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(maintenance);
    }
}
