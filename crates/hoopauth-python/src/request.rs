//! API requests as Python people write them.

use std::time::Duration;

use hoopauth::{Error, ErrorCode, Result};
use pyo3::exceptions::{PyRecursionError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::error::{exception, refused};
use crate::header::{entries, halves, strict_pairs};
use crate::number::{Seconds, Whole};
use crate::response::dumps;
use crate::text::{Data, arg, unwritable};

/// Arguments of `Client.request`.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) account: Option<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) version: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_body: Option<usize>,
    pub(crate) any_status: bool,
    pub(crate) repeatable: bool,
}

impl Request {
    pub(crate) fn send(self, client: &hoopauth::Client) -> Result<hoopauth::Response> {
        let mut request = client
            .request(&self.method, &self.path)
            .any_status(self.any_status)
            .repeatable(self.repeatable);
        if let Some(account) = &self.account {
            request = request.account(account);
        }
        for (name, value) in &self.params {
            request = request.param(name, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        if let Some(version) = &self.version {
            request = request.version(version);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if let Some(max_body) = self.max_body {
            request = request.max_body(max_body);
        }
        request.send()
    }
}

/// The body: JSON, or text or bytes as they are.
pub(crate) fn body(
    py: Python<'_>,
    json: Option<&Bound<'_, PyAny>>,
    data: Option<Data<arg::data>>,
) -> PyResult<Option<Vec<u8>>> {
    match (json, data) {
        (None, None) => Ok(None),
        (None, Some(data)) => Ok(Some(data.to_vec())),
        (Some(json), None) => dumps(py, json).map(Some).map_err(|raised| {
            if raised.is_instance_of::<PyUnicodeEncodeError>(py) {
                // As the cause it would show the whole body.
                let error = unwritable(py, "json");
                error.set_cause(
                    py,
                    Some(PyValueError::new_err(
                        "half of a surrogate pair can't be \
                                                                encoded",
                    )),
                );
                error
            } else if raised.is_instance_of::<PyTypeError>(py)
                || raised.is_instance_of::<PyValueError>(py)
                || raised.is_instance_of::<PyRecursionError>(py)
            {
                let error = Error::new(
                    ErrorCode::InvalidArgument,
                    "`json` can't be written as \
                                                                    JSON: its cause says why; give \
                                                                    dicts, lists, text, numbers, \
                                                                    booleans and None",
                );
                exception(py, &error, Some(raised))
            } else {
                raised
            }
        }),
        (Some(_), Some(_)) => Err(refused(py, "give `json` or `data`, not both")),
    }
}

/// Query parameters: a mapping, or pairs. A list as the value repeats the name; None leaves it out.
pub(crate) fn params(params: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let py = params.py();
    let wrong = || {
        refused(
            py,
            "`params` is of the wrong form: give a mapping or a list of pairs, with text, numbers, \
             booleans or lists of them as values",
        )
    };
    let mut all = Vec::new();
    for entry in entries(params).map_err(|_| wrong())? {
        let (name, value) = entry.ok().and_then(|entry| halves(&entry)).ok_or_else(wrong)?;
        let name: String = name.extract().map_err(|_| wrong())?;
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            for value in value.try_iter()? {
                all.push((name.clone(), param(&value?).ok_or_else(wrong)?));
            }
        } else if !value.is_none() {
            all.push((name, param(&value).ok_or_else(wrong)?));
        }
    }
    Ok(all)
}

fn param(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(truth) = value.cast::<PyBool>() {
        return Some(if truth.is_true() { "true" } else { "false" }.to_owned());
    }
    if value.is_instance_of::<PyString>() {
        return value.extract().ok();
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        return value.str().and_then(|text| text.extract()).ok();
    }
    None
}

/// Request headers: a mapping, or pairs. JSON is called so, whatever the method.
pub(crate) fn headers(
    headers: Option<&Bound<'_, PyAny>>,
    is_json: bool,
) -> PyResult<Vec<(String, String)>> {
    let mut pairs =
        headers.map_or_else(|| Ok(Vec::new()), |headers| strict_pairs(headers, "headers"))?;
    if is_json && !pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
        pairs.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    Ok(pairs)
}

/// Longer than any program runs is a day: the core knows no request without an end.
pub(crate) fn timeout(py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Option<Duration>> {
    let Some(Seconds(seconds)) = timeout else { return Ok(None) };
    if seconds.is_nan() || seconds < 0.0 {
        return Err(refused(
            py,
            "`timeout` is negative or not a number: give seconds, 0 or more, or leave it out for \
             the option `timeout`",
        ));
    }
    Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)))
}

pub(crate) fn max_body(py: Python<'_>, bytes: Option<Whole>) -> PyResult<Option<usize>> {
    bytes
        .map(|Whole(bytes)| {
            usize::try_from(bytes).map_err(|_| {
                refused(py, "`max_body` is negative or too large: give a number of bytes")
            })
        })
        .transpose()
}

const LONGEST: Duration = Duration::from_secs(86_400);
