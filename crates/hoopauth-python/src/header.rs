//! HTTP headers as Python's libraries have them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The pairs of a mapping, or of an iterable of pairs; `None` has none. Names and values are text or bytes; an entry that is
/// neither is left out, and so is all that follows what can't be iterated over.
pub(crate) fn pairs(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    if headers.is_none() {
        return Ok(Vec::new());
    }
    let entries = match headers.getattr_opt(intern!(headers.py(), "items"))? {
        Some(items) if items.is_callable() => items.call0()?.try_iter()?,
        _ => headers.try_iter()?,
    };
    Ok(entries.map_while(Result::ok).filter_map(|entry| pair(&entry)).collect())
}

fn pair(entry: &Bound<'_, PyAny>) -> Option<(String, String)> {
    let mut parts = entry.try_iter().ok()?.map_while(Result::ok);
    let pair = (text(&parts.next()?)?, text(&parts.next()?)?);
    parts.next().is_none().then_some(pair)
}

/// Bytes are Latin-1, as HTTP has them.
fn text(part: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(bytes) = part.cast::<PyBytes>() {
        return Some(bytes.as_bytes().iter().copied().map(char::from).collect());
    }
    part.cast::<PyString>().ok()?.extract().ok()
}
