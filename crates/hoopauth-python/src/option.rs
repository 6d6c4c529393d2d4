//! Options as Python people write them.

use hoopauth::{ClientBuilder, Error, ErrorCode, Secret};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use crate::error::exception;
use crate::text::UNWRITABLE;

/// Gives keyword arguments to a builder.
pub(crate) fn apply(
    builder: ClientBuilder,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<ClientBuilder> {
    let options = texts(options)?;
    Ok(options.iter().fold(builder, |builder, (name, value)| builder.option(name, value.expose())))
}

/// Keyword arguments as names and texts. `None` leaves an option out.
pub(crate) fn texts(options: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, Secret)>> {
    let mut texts = Vec::new();
    for (name, value) in options.into_iter().flatten() {
        let Ok(name) = name.extract::<String>() else {
            return Err(unwritable(name.py(), "an option's name"));
        };
        if !value.is_none() {
            let value = text(&name, &value)?;
            texts.push((name, value));
        }
    }
    Ok(texts)
}

/// Text as it is; numbers as decimals; truth as `true` and `false`; paths; lists of text, separated
/// by spaces.
fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Secret> {
    if value.is_instance_of::<PyString>() {
        return secret(name, value);
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Secret::new(if truth.is_true() { "true" } else { "false" }));
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        return value
            .str()
            .and_then(|text| text.extract::<String>())
            .map(Secret::new)
            .map_err(|_| refused(value, name));
    }
    if let Some(path) = value.getattr_opt("__fspath__")? {
        let path = path.call0()?;
        return if path.is_instance_of::<PyString>() {
            secret(name, &path)
        } else {
            Err(refused(value, name))
        };
    }
    let Ok(words) = value.extract::<Vec<Bound<'_, PyString>>>() else {
        return Err(refused(value, name));
    };
    let words = words.iter().map(|word| secret(name, word)).collect::<PyResult<Vec<_>>>()?;
    let words: Vec<_> = words.iter().map(Secret::expose).collect();
    Ok(Secret::new(words.join(" ")))
}

/// Text, which Python may hold without being able to write it.
fn secret(name: &str, text: &Bound<'_, PyAny>) -> PyResult<Secret> {
    let written = text.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
    written.map(Secret::from).ok_or_else(|| unwritable(text.py(), &format!("`{name}`")))
}

fn unwritable(py: Python<'_>, name: &str) -> PyErr {
    exception(py, &Error::new(ErrorCode::Config, format!("{name} {UNWRITABLE}")), None)
}

/// The value is not shown: it may be a secret in the wrong wrapping.
fn refused(value: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let kind = value.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
    let error = Error::new(
        ErrorCode::Config,
        format!(
            "`{name}` is a `{kind}`: give text, a number, a truth value, a path or a list of text"
        ),
    );
    exception(value.py(), &error, None)
}
