//! Authorizations that were begun.

use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;

use crate::clock::seconds;
use crate::owner::Owner;
use crate::wait::call;

/// An authorization that was begun: send the user to `url`, keep this until the redirect arrives.
///
/// It serves one redirect, within ten minutes, and only the same browser may bring that redirect:
/// keep this object, or the text of `seal()`, in the session of that browser.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct PendingAuthorization {
    pub(crate) inner: hoopauth::PendingAuthorization,
    owner: Owner,
}

impl PendingAuthorization {
    pub(crate) fn new(inner: hoopauth::PendingAuthorization, owner: Owner) -> Self {
        Self { inner, owner }
    }
}

#[pymethods]
impl PendingAuthorization {
    /// The URL to send the user to. It contains the `state`: don't log it. After sealing and
    /// opening, the URL asks for the client's scopes.
    #[getter]
    fn url(&self) -> &str {
        self.inner.url()
    }

    /// The value that ties the redirect to this request. A secret.
    #[getter]
    fn state(&self) -> &str {
        self.inner.state().expose()
    }

    /// URL that the user comes back to.
    #[getter]
    fn redirect_uri(&self) -> &str {
        self.inner.redirect_uri()
    }

    /// The moment from which the redirect is refused, in seconds since the epoch.
    #[getter]
    fn expires_at(&self) -> f64 {
        seconds(self.inner.expires_at())
    }

    /// Seals this object as encrypted text, for a cookie or another process of the same app;
    /// `Client.open_pending` reads it.
    ///
    /// The text has some hundred characters, whatever the number of scopes: it holds the parts that
    /// completing needs. If the answer to the code names no scopes, the scopes of the option
    /// `scopes` then count as granted.
    fn seal(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.inner.clone();
        call(py, &self.owner.live, None, move |client| client.seal_pending(&inner))
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.PendingAuthorization expires_at={}>", seconds(self.inner.expires_at()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.owner.visit(&visit)
    }
}
