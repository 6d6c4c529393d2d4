//! Grants that are imported and exported.

use hoopauth::Account;
use pyo3::prelude::*;

use crate::clock::{seconds, timestamp};
use crate::error::{raised, refused};
use crate::number::Seconds;
use crate::text::{Str, Strs, arg};

/// The stored result of the authorization of one account, which `import_grant` takes and
/// `export_grant` returns.
///
/// Args:
///     account: `location:<id>` or `company:<id>`.
///     access_token: the access token.
///     refresh_token: the refresh token. Whoever sends it elsewhere spends it.
///     expires_at: when the access token ends, in seconds since the epoch; left out, it counts as
///         ended.
///     scopes: the scopes that were granted.
///     company_id: the company a location belongs to.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct Grant {
    pub(crate) inner: hoopauth::Grant,
}

#[pymethods]
impl Grant {
    #[new]
    #[pyo3(signature = (account, access_token, *, refresh_token=None, expires_at=None, scopes=None,
        company_id=None))]
    fn new(
        py: Python<'_>,
        account: Str<'_, arg::account>,
        access_token: Str<'_, arg::access_token>,
        refresh_token: Option<Str<'_, arg::refresh_token>>,
        expires_at: Option<Seconds>,
        scopes: Option<Strs<arg::scopes>>,
        company_id: Option<Str<'_, arg::company_id>>,
    ) -> PyResult<Self> {
        let mut inner =
            hoopauth::Grant::new(raised(py, Account::parse(&account))?, access_token.get());
        if let Some(token) = refresh_token {
            inner = inner.with_refresh_token(token.get());
        }
        if let Some(at) = expires_at {
            let at = at.moment().ok_or_else(|| {
                refused(
                    py,
                    "`expires_at` is out of range: give seconds since the epoch, before \
                             the year 10000, or leave it out if unknown",
                )
            })?;
            inner = inner.with_expires_at(timestamp(at));
        }
        if let Some(scopes) = scopes {
            inner = inner.with_scopes(scopes.iter().map(String::as_str));
        }
        if let Some(id) = company_id {
            inner = inner.with_company_id(&id);
        }
        Ok(Self { inner })
    }

    /// Account of the grant.
    #[getter]
    fn account(&self) -> &str {
        self.inner.account().as_str()
    }

    /// The access token. A secret.
    #[getter]
    fn access_token(&self) -> &str {
        self.inner.access_token().expose()
    }

    /// The refresh token. A secret; sending it elsewhere spends it.
    #[getter]
    fn refresh_token(&self) -> Option<&str> {
        self.inner.refresh_token().map(hoopauth::Secret::expose)
    }

    /// Moment at which the access token ends, in seconds since the epoch.
    ///
    /// An `expires_in` of 0, or a negative one, counts as 60 seconds from the request; a missing
    /// one counts as 86 399.
    #[getter]
    fn expires_at(&self) -> f64 {
        seconds(self.inner.expires_at())
    }

    /// Moment at which this token pair was requested or imported, in seconds since the epoch.
    #[getter]
    fn obtained_at(&self) -> f64 {
        seconds(self.inner.obtained_at())
    }

    /// Moment at which the user authorized the grant, or it was imported or minted, in seconds
    /// since the epoch.
    #[getter]
    fn authorized_at(&self) -> f64 {
        seconds(self.inner.authorized_at())
    }

    /// The scopes that were granted.
    #[getter]
    fn scopes(&self) -> Vec<String> {
        self.inner.scopes().to_vec()
    }

    /// The company, also of a location.
    #[getter]
    fn company_id(&self) -> Option<&str> {
        self.inner.company_id()
    }

    /// Id of the user who authorized the grant.
    #[getter]
    fn user_id(&self) -> Option<&str> {
        self.inner.user_id()
    }

    /// True if the grant was minted from its company's token.
    #[getter]
    fn minted(&self) -> bool {
        self.inner.is_minted()
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.Grant {}>", self.inner.account())
    }
}
