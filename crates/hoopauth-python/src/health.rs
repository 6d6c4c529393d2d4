//! The state of a grant.

use pyo3::prelude::*;

use crate::clock::seconds;

/// State of an account's grant. Times are seconds since the epoch.
#[pyclass(frozen, get_all, module = "hoopauth")]
pub(crate) struct Health {
    /// Moment at which the access token ends.
    expires_at: f64,
    /// Moment at which the token pair was requested or imported.
    refreshed_at: f64,
    /// Moment at which the user authorized the grant.
    authorized_at: f64,
    /// The last failure since then.
    last_error: Option<String>,
    /// True if HoopAI refused the refresh token and only the user can help.
    needs_reauthorization: bool,
    /// True if the current pair is held in memory because the store failed.
    unsaved: bool,
    /// Days until an unused refresh token ends; `None` without a refresh token.
    idle_days_left: Option<u64>,
    /// The scopes.
    scopes: Vec<String>,
}

impl From<hoopauth::Health> for Health {
    fn from(health: hoopauth::Health) -> Self {
        Self {
            expires_at: seconds(health.expires_at),
            refreshed_at: seconds(health.refreshed_at),
            authorized_at: seconds(health.authorized_at),
            last_error: health.last_error,
            needs_reauthorization: health.needs_reauthorization,
            unsaved: health.unsaved,
            idle_days_left: health.idle_days_left,
            scopes: health.scopes,
        }
    }
}

#[pymethods]
impl Health {
    fn __repr__(&self) -> String {
        format!(
            "<hoopauth.Health expires_at={} needs_reauthorization={} unsaved={}>",
            self.expires_at,
            if self.needs_reauthorization { "True" } else { "False" },
            if self.unsaved { "True" } else { "False" }
        )
    }
}
