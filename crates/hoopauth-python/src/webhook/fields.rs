//! Headers and body of a webhook, read in place.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};

use crate::error::refused;
use crate::header::{entries, halves};

/// The headers of a request: a mapping, pairs, or a WSGI environment, of `str` or `bytes`. None of
/// them is dropped in silence: it might be the signature.
pub(crate) struct Fields<'py> {
    parts: Vec<(Part<'py>, Part<'py>)>,
}

impl<'py> Fields<'py> {
    pub(crate) fn read(headers: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut fields = Self { parts: Vec::new() };
        if let Ok(dict) = headers.cast_exact::<PyDict>() {
            let environment = is_environment(headers);
            for (name, value) in dict {
                fields.add(name, &value, environment)?;
            }
            return Ok(fields);
        }
        let mapping = headers.getattr_opt("items")?.is_some();
        let environment = mapping && is_environment(headers);
        for entry in entries(headers).map_err(|_| wrong(headers.py()))? {
            let (name, value) = halves(&entry?).ok_or_else(|| wrong(headers.py()))?;
            fields.add(name, &value, environment)?;
        }
        Ok(fields)
    }

    fn add(
        &mut self,
        name: Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        environment: bool,
    ) -> PyResult<()> {
        let py = value.py();
        let mut name = Part::new(name).ok_or_else(|| wrong(py))?;
        if let Some(field) = name.text()?.strip_prefix("HTTP_") {
            name = Part::Made(field.replace('_', "-"));
        } else if environment {
            return Ok(());
        }
        // Several values of one name, as gateways give them.
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            for value in value.try_iter()? {
                let value = Part::new(value?).ok_or_else(|| wrong(py))?;
                value.bytes()?;
                self.parts.push((Part::Made(name.text()?.into_owned()), value));
            }
            return Ok(());
        }
        let value = Part::new(value.clone()).ok_or_else(|| wrong(py))?;
        value.bytes()?;
        self.parts.push((name, value));
        Ok(())
    }

    /// Headers in the form that the core takes.
    pub(crate) fn pairs(&self) -> PyResult<Vec<(Cow<'_, str>, &[u8])>> {
        self.parts.iter().map(|(name, value)| Ok((name.text()?, value.bytes()?))).collect()
    }

    /// The same for a call that outlives this one.
    pub(crate) fn owned(&self) -> PyResult<Vec<(String, Vec<u8>)>> {
        Ok(self
            .pairs()?
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.to_vec()))
            .collect())
    }
}

enum Part<'py> {
    Text(Bound<'py, PyString>),
    Bytes(Bound<'py, PyBytes>),
    Made(String),
}

impl<'py> Part<'py> {
    fn new(part: Bound<'py, PyAny>) -> Option<Self> {
        match part.cast_into::<PyString>() {
            Ok(text) => Some(Self::Text(text)),
            Err(other) => other.into_inner().cast_into::<PyBytes>().ok().map(Self::Bytes),
        }
    }

    fn text(&self) -> PyResult<Cow<'_, str>> {
        match self {
            Self::Text(text) => text.to_str().map(Cow::Borrowed).map_err(|_| wrong(text.py())),
            Self::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes.as_bytes())),
            Self::Made(text) => Ok(Cow::Borrowed(text)),
        }
    }

    fn bytes(&self) -> PyResult<&[u8]> {
        match self {
            Self::Text(text) => text.to_str().map(str::as_bytes).map_err(|_| wrong(text.py())),
            Self::Bytes(bytes) => Ok(bytes.as_bytes()),
            Self::Made(text) => Ok(text.as_bytes()),
        }
    }
}

/// The body, byte for byte: what was decoded or parsed is not what was signed.
pub(crate) fn body(body: &Bound<'_, PyAny>) -> PyResult<PyBackedBytes> {
    if body.is_instance_of::<PyBytes>() || body.is_instance_of::<PyByteArray>() {
        return body.extract().map_err(Into::into);
    }
    if body.is_instance_of::<PyMemoryView>() {
        return body.call_method0("tobytes")?.extract().map_err(Into::into);
    }
    let kind = crate::callback::type_name(&body.get_type());
    let message = format!(
        "`body` is a `{kind}`: give the request's raw bytes; the signature covers them, not what \
         they were decoded or parsed to"
    );
    Err(refused(body.py(), &message))
}

/// WSGI's, or Django's `META`: headers are among much else there, as `HTTP_<NAME>`.
fn is_environment(mapping: &Bound<'_, PyAny>) -> bool {
    ["REQUEST_METHOD", "wsgi.version"].iter().any(|name| mapping.contains(name).unwrap_or(false))
}

fn wrong(py: Python<'_>) -> PyErr {
    refused(
        py,
        "`headers` is a mapping, a list of pairs or a WSGI environment; names and values are text \
         or bytes",
    )
}
