//! The Python client that another object belongs to.

use std::sync::Arc;

use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;

use crate::live::Live;

/// A Python client, kept alive by an object that belongs to it.
///
/// The client breaks the cycles that it is part of: the object needs no `__clear__`.
pub(crate) struct Owner {
    pub(crate) live: Arc<Live>,
    client: Py<PyAny>,
}

impl Owner {
    pub(crate) fn new(live: &Arc<Live>, client: &Bound<'_, PyAny>) -> Self {
        Self { live: Arc::clone(live), client: client.clone().unbind() }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { live: Arc::clone(&self.live), client: self.client.clone_ref(py) }
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)
    }
}
