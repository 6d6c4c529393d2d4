//! The platform's documented operations.

use hoopauth::AccountKind;
use hoopauth::operations;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::raised;
use crate::text::{Str, Strs, arg};

/// One documented operation of the platform's API.
#[pyclass(frozen, eq, hash, module = "hoopauth")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    method: &'static str,
    path: String,
    version: Option<&'static str>,
    scope: Option<&'static str>,
    location: bool,
    company: bool,
    private_integration: bool,
}

#[pymethods]
impl Operation {
    /// The method, in capitals.
    #[getter]
    fn method(&self) -> &'static str {
        self.method
    }

    /// The path template, such as `/contacts/{contactId}`.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// The documented `Version`; None if none is.
    #[getter]
    fn version(&self) -> Option<&'static str> {
        self.version
    }

    /// The scope it needs; None if none is documented.
    #[getter]
    fn scope(&self) -> Option<&'static str> {
        self.scope
    }

    /// The classes of tokens that may call it, `"location"` and `"company"`: both where nothing is
    /// documented.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let classes = [(self.location, "location"), (self.company, "company")];
        PyTuple::new(
            py,
            classes.into_iter().filter(|(may, _)| *may).map(|(_, name)| name).collect::<Vec<_>>(),
        )
    }

    /// True if a Private Integration token may call the operation, or if nothing is documented.
    #[getter]
    fn private_integration(&self) -> bool {
        self.private_integration
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.Operation {} {}>", self.method, self.path)
    }
}

/// The documented operation that a method and a path mean, with or without a query; None for one
/// that is not documented.
#[pyfunction]
pub(crate) fn operation(
    method: Str<'_, arg::method>,
    path: Str<'_, arg::path>,
) -> Option<Operation> {
    operations::Operation::find(&method, &path).map(|found| Operation {
        method: found.method(),
        path: found.path(),
        version: found.version(),
        scope: found.scope(),
        location: found.allows(AccountKind::Location),
        company: found.allows(AccountKind::Company),
        private_integration: found.allows_private_integration(),
    })
}

/// The least scopes for a list of operations, each written as `GET /contacts/{contactId}`, with a
/// template's or a real path.
///
/// Sorted, each once. Raises `hoopauth.InvalidArgument`, which names the one that is not
/// documented.
#[pyfunction]
pub(crate) fn scopes_for(
    py: Python<'_>,
    operations: Strs<arg::operations>,
) -> PyResult<Vec<&'static str>> {
    raised(py, operations::scopes_for(operations.iter().map(String::as_str)))
}
