//! Keys that webhooks may be signed with.

use hoopauth::webhook::{self, SignatureScheme};
use hoopauth::{Error, ErrorCode, Timestamp};
use pyo3::intern;
use pyo3::prelude::*;

use crate::clock::timestamp;
use crate::error::{exception, raised, refused};
use crate::number::Seconds;
use crate::text::{Str, arg};

/// A key that webhooks may be signed with.
///
/// Args:
///     scheme: `"ed25519"` (`X-GHL-Signature`), `"rsa-sha256"` (`X-WH-Signature`) or
///         `"hmac-sha256"` (`x-wl-signature`, `X-Hook-Signature`).
///     label: for people: a verified delivery tells it.
///     key: a public one as PEM, or SPKI or (Ed25519) its 32 bytes as base64 or hex; an HMAC secret
///         as it is, of at least 16 bytes.
///     not_before, not_after: it counts from, and until, this moment only: an aware `datetime`, or
///         seconds since the epoch.
///
/// Raises `hoopauth.Config`.
#[pyclass(frozen, module = "hoopauth")]
pub(crate) struct WebhookKey {
    pub(crate) inner: webhook::WebhookKey,
}

#[pymethods]
impl WebhookKey {
    #[new]
    #[pyo3(signature = (scheme, label, key, not_before=None, not_after=None))]
    fn new(
        py: Python<'_>,
        scheme: Str<'_, arg::scheme>,
        label: Str<'_, arg::label>,
        key: Str<'_, arg::key>,
        not_before: Option<&Bound<'_, PyAny>>,
        not_after: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let scheme = SignatureScheme::from_name(&scheme).ok_or_else(|| {
            let names =
                SignatureScheme::ALL.map(|scheme| format!("`{}`", scheme.name())).join(", ");
            exception(
                py,
                &Error::new(ErrorCode::Config, format!("`scheme` is one of {names}")),
                None,
            )
        })?;
        let mut inner = raised(py, webhook::WebhookKey::new(scheme, &label, &key))?;
        if let Some(at) = not_before {
            inner = inner.not_before(moment(at, "not_before")?);
        }
        if let Some(at) = not_after {
            inner = inner.not_after(moment(at, "not_after")?);
        }
        Ok(Self { inner })
    }

    /// The scheme's name.
    #[getter]
    fn scheme(&self) -> &'static str {
        self.inner.scheme().name()
    }

    /// The label.
    #[getter]
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.WebhookKey {} {:?}>", self.inner.scheme().name(), self.inner.label())
    }
}

/// A `datetime` that knows its zone, or seconds.
fn moment(at: &Bound<'_, PyAny>, argument: &str) -> PyResult<Timestamp> {
    let py = at.py();
    let wrong = || {
        let message = format!(
            "`{argument}` is an aware datetime, or seconds since the epoch before the year 10000"
        );
        refused(py, &message)
    };
    let seconds = match at.getattr_opt(intern!(py, "timestamp"))? {
        // Without a zone it would be read in the zone of whatever computer this is.
        Some(_) if at.getattr(intern!(py, "tzinfo")).is_ok_and(|zone| zone.is_none()) => {
            return Err(wrong());
        }
        Some(method) => method.call0()?,
        None => at.clone(),
    };
    seconds.extract::<Seconds>().ok().and_then(Seconds::moment).map(timestamp).ok_or_else(wrong)
}
