//! An answer as responses and exceptions hold it. Its methods, which may raise, are in `response`.

use hoopauth::binding::ResponseBinding as _;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// The answer to `Client.request`. Its `repr` shows neither headers nor body.
///
/// Args:
///     status: the HTTP status.
///     headers: a mapping, or pairs.
///     content: the body.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: Py<PyBytes>,
    pub(crate) headers: PyOnceLock<Py<PyAny>>,
}

impl Response {
    pub(crate) fn new(py: Python<'_>, response: &hoopauth::Response) -> Self {
        let fields =
            response.fields().iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            status: response.status(),
            fields: fields.collect(),
            content: PyBytes::new(py, response.body()).unbind(),
            headers: PyOnceLock::new(),
        }
    }
}
