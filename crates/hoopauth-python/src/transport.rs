//! Transports that the program brings.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hoopauth::transport::{
    Body, Transport, TransportError, TransportErrorKind, TransportRequest as CoreRequest,
    TransportResponse,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView, PyString};

use crate::callback::{Fault, Slot, type_name};
use crate::header::pairs;
use crate::number::Whole;

/// One HTTP request for a transport of the program, ready to send. Its `repr` shows neither headers
/// nor body.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct TransportRequest {
    method: &'static str,
    url: String,
    headers: Vec<(Cow<'static, str>, hoopauth::Secret)>,
    body: Body,
    /// Deadline by both clocks: while a computer sleeps, only the wall clock moves.
    until: (Instant, SystemTime),
    max_body: usize,
}

#[pymethods]
impl TransportRequest {
    /// `GET`, `POST` and so on.
    #[getter]
    fn method(&self) -> &'static str {
        self.method
    }

    /// An absolute URL.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// Names in canonical spelling, with their values, which may be secret.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in &self.headers {
            headers.set_item(&**name, value.expose())?;
        }
        Ok(headers)
    }

    /// The body; empty for none. A secret.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.body.as_bytes())
    }

    /// Seconds left for the exchange, the body included. Raises `hoopauth.Timeout` if no time is
    /// left: do not send the request then, because others may have spent its refresh token
    /// meanwhile.
    #[getter]
    fn timeout(&self, py: Python<'_>) -> PyResult<f64> {
        let (until, wall) = self.until;
        let left = until.saturating_duration_since(Instant::now());
        let left = left.min(wall.duration_since(SystemTime::now()).unwrap_or_default());
        if left.is_zero() {
            let class = py.import("hoopauth._errors")?.getattr("Timeout")?;
            let error = class.call1(("the time for this request is over: do not send it",))?;
            error.setattr("sent", false)?;
            return Err(PyErr::from_value(error));
        }
        Ok(left.as_secs_f64())
    }

    /// The longest body to accept, in bytes after decompression.
    #[getter]
    fn max_body(&self) -> usize {
        self.max_body
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.TransportRequest {} {}>", self.method, self.url)
    }
}

pub(crate) struct PyTransport {
    slot: Arc<Slot>,
}

impl PyTransport {
    pub(crate) fn new(py: Python<'_>, slot: Arc<Slot>) -> PyResult<Self> {
        slot.require(py, &["send"])?;
        Ok(Self { slot })
    }
}

impl Transport for PyTransport {
    fn send(&self, request: &CoreRequest) -> Result<TransportResponse, TransportError> {
        let timeout = request.timeout.min(LONGEST);
        let request = TransportRequest {
            method: request.method,
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            until: (Instant::now() + timeout, SystemTime::now() + timeout),
            max_body: request.max_body,
        };
        let answer = self.slot.call_reading("send", |transport| {
            match transport.call_method1("send", (request,)) {
                Ok(answer) => read(&answer).map(Ok),
                Err(raised) => told(transport.py(), &raised)
                    .map_or(Err(Fault::Raised(raised)), |error| Ok(Err(error))),
            }
        });
        answer.unwrap_or_else(|error| {
            Err(TransportError {
                kind: TransportErrorKind::Callback,
                message: error.message().to_owned(),
                sent: true,
            })
        })
    }
}

/// A transport returns `(status, headers, body)`. The request may have spent a refresh token, so
/// every readable part is used.
fn read(answer: &Bound<'_, PyAny>) -> Result<TransportResponse, Fault> {
    let parts: Option<Vec<_>> =
        answer.try_iter().ok().and_then(|parts| parts.collect::<PyResult<_>>().ok());
    let Some([status, headers, body]) = parts.as_deref() else {
        return Err(Fault::Answered(format!(
            "a `{}` that is not (status, headers, body)",
            kind(answer)
        )));
    };
    let status = status.extract::<Whole>().ok().and_then(Whole::status).ok_or_else(|| {
        Fault::Answered("a status that is not a whole number from 100 to 599".to_owned())
    })?;
    let headers = pairs(headers).unwrap_or_default().into();
    Ok(TransportResponse { status, headers, body: bytes(body)? })
}

/// Text is read as UTF-8; any object that shows its bytes is accepted.
fn bytes(body: &Bound<'_, PyAny>) -> Result<Vec<u8>, Fault> {
    if body.is_none() {
        return Ok(Vec::new());
    }
    let bytes = if body.is_instance_of::<PyString>() {
        body.call_method1("encode", ("utf-8", "replace"))
    } else {
        PyMemoryView::from(body).and_then(|view| view.call_method0("tobytes"))
    };
    bytes.and_then(|bytes| bytes.extract()).map_err(|_| {
        Fault::Answered(format!("a body that is a `{}`: give bytes or text", kind(body)))
    })
}

fn kind(object: &Bound<'_, PyAny>) -> String {
    type_name(&object.get_type())
}

/// Failure that a transport reports by raising `hoopauth.Network`, `hoopauth.Timeout` or
/// `hoopauth.Tls`. An attribute `sent = False` on it promises that no byte was sent.
fn told(py: Python<'_>, raised: &PyErr) -> Option<TransportError> {
    let errors = py.import("hoopauth._errors").ok()?;
    let value = raised.value(py);
    let kinds = [
        (
            "Network",
            TransportErrorKind::Network,
            "the program's transport could not reach the server (it raised `hoopauth.Network`)",
        ),
        (
            "Timeout",
            TransportErrorKind::Timeout,
            "the program's transport had no answer in time (it raised `hoopauth.Timeout`)",
        ),
        (
            "Tls",
            TransportErrorKind::Tls,
            "the program's transport refused the server's certificate (it raised `hoopauth.Tls`)",
        ),
    ];
    let (_, kind, message) = kinds.into_iter().find(|(name, ..)| {
        errors.getattr(*name).and_then(|class| value.is_instance(&class)).unwrap_or(false)
    })?;
    let sent = value.getattr("sent").and_then(|sent| sent.is_truthy()).unwrap_or(true);
    Some(TransportError { kind, message: message.to_owned(), sent })
}

impl std::fmt::Debug for PyTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PyTransport")
    }
}

const LONGEST: Duration = Duration::from_secs(86_400);
