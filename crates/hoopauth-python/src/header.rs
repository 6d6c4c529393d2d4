//! HTTP headers as Python's libraries have them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyString, PyTuple};

use crate::error::refused;

/// The pairs of a mapping, or of an iterable of pairs; `None` has none. Names and values are text
/// or bytes; an entry that is neither is left out, and so is all that follows what can't be
/// iterated over.
pub(crate) fn pairs(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    if headers.is_none() {
        return Ok(Vec::new());
    }
    Ok(entries(headers)?.map_while(Result::ok).filter_map(|entry| pair(&entry)).collect())
}

/// Reads, as [`pairs`] does, headers that the program itself gives as `argument`: an entry that is
/// neither text nor bytes is refused.
pub(crate) fn strict_pairs(
    headers: &Bound<'_, PyAny>,
    argument: &str,
) -> PyResult<Vec<(String, String)>> {
    let wrong = || {
        let message = format!(
            "`{argument}` is of the wrong form: give a mapping or a list of pairs, with text or \
             bytes as names and values"
        );
        refused(headers.py(), &message)
    };
    let read = |entry: PyResult<Bound<'_, PyAny>>| {
        entry.ok().and_then(|entry| pair(&entry)).ok_or_else(wrong)
    };
    entries(headers).map_err(|_| wrong())?.map(read).collect()
}

/// The pairs whose names begin so, in any case; read in place, for there are many others.
pub(crate) fn prefixed(pairs: &Bound<'_, PyAny>, prefix: &str) -> PyResult<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in pairs.try_iter()? {
        let entry = entry?;
        let Ok(entry) = entry.cast::<PyTuple>() else { continue };
        let name = entry.get_item(0)?;
        let begins = |name: &[u8]| {
            name.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let begins = match name.cast::<PyBytes>() {
            Ok(bytes) => begins(bytes.as_bytes()),
            Err(_) => name
                .cast::<PyString>()
                .is_ok_and(|text| text.to_str().is_ok_and(|text| begins(text.as_bytes()))),
        };
        if begins && let Some(pair) = pair(entry) {
            found.push(pair);
        }
    }
    Ok(found)
}

/// The entries of a mapping, or of whatever gives pairs.
pub(crate) fn entries<'py>(pairs: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    match pairs.getattr_opt(intern!(pairs.py(), "items"))? {
        Some(items) if items.is_callable() => items.call0()?.try_iter(),
        _ => pairs.try_iter(),
    }
}

fn pair(entry: &Bound<'_, PyAny>) -> Option<(String, String)> {
    let (name, value) = halves(entry)?;
    Some((text(&name)?, text(&value)?))
}

/// The two parts of a pair: a tuple, a list, or whatever else gives two.
pub(crate) fn halves<'py>(
    entry: &Bound<'py, PyAny>,
) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let mut parts = entry.try_iter().ok()?.map_while(Result::ok);
    let pair = (parts.next()?, parts.next()?);
    parts.next().is_none().then_some(pair)
}

/// Bytes are Latin-1, as HTTP has them.
fn text(part: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(bytes) = part.cast::<PyBytes>() {
        return Some(bytes.as_bytes().iter().copied().map(char::from).collect());
    }
    part.cast::<PyString>().ok()?.extract().ok()
}
