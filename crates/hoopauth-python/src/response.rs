//! Answers to API requests.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};

use crate::answer::Response;
use crate::error::{exception, refused};
use crate::header::strict_pairs;
use crate::number::Whole;
use hoopauth::{Error, ErrorCode};

#[pymethods]
impl Response {
    #[new]
    #[pyo3(signature = (status, headers=None, content=None))]
    fn made(
        py: Python<'_>,
        status: Whole,
        headers: Option<&Bound<'_, PyAny>>,
        content: Option<Py<PyBytes>>,
    ) -> PyResult<Self> {
        Ok(Self {
            status: status.status().ok_or_else(|| {
                refused(py, "`status` is not an HTTP status: give a whole number from 100 to 599")
            })?,
            fields: headers
                .map_or_else(|| Ok(Vec::new()), |headers| strict_pairs(headers, "headers"))?,
            content: content.unwrap_or_else(|| PyBytes::new(py, b"").unbind()),
            headers: PyOnceLock::new(),
        })
    }

    /// The HTTP status.
    #[getter]
    fn status(&self) -> u16 {
        self.status
    }

    /// The headers: a mapping whose names count in any case. Values of one name are joined by `, `;
    /// `get_list(name)` gives them one by one.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let headers = self.headers.get_or_try_init(py, || {
            let class = py.import("hoopauth._headers")?.getattr("ResponseHeaders")?;
            class.call1((self.fields.clone(),)).map(Bound::unbind)
        })?;
        Ok(headers.clone_ref(py))
    }

    /// The body, decompressed.
    #[getter]
    fn content(&self, py: Python<'_>) -> Py<PyBytes> {
        self.content.clone_ref(py)
    }

    /// The body as text; what is not UTF-8 is replaced by U+FFFD.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.content.bind(py).call_method1("decode", ("utf-8", "replace"))
    }

    /// The body read as JSON. Raises `hoopauth.MalformedResponse`.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, self.content.bind(py)).map_err(|raised| {
            let error = Error::new(
                ErrorCode::MalformedResponse,
                "the answer's body is not JSON: read it with `text` or `content`",
            )
            .with_status(self.status);
            exception(py, &error, Some(raised))
        })
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.Response {}>", self.status)
    }

    /// Exceptions cross processes with it.
    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, Parts) {
        (py.get_type::<Self>(), (self.status, self.fields.clone(), self.content.clone_ref(py)))
    }
}

type Parts = (u16, Vec<(String, String)>, Py<PyBytes>);

/// Reads JSON as Python does.
pub(crate) fn loads<'py>(py: Python<'py>, text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (text,))
}

/// Writes JSON as Python does, without white space.
pub(crate) fn dumps(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let how = PyDict::new(py);
    how.set_item("ensure_ascii", false)?;
    how.set_item("allow_nan", false)?;
    how.set_item("separators", (",", ":"))?;
    let text =
        py.import(intern!(py, "json"))?.call_method(intern!(py, "dumps"), (value,), Some(&how))?;
    text.call_method0(intern!(py, "encode"))?.extract()
}
