//! The API's rate limits.

use pyo3::prelude::*;

use crate::clock::seconds;

/// The API's limits of one account, as its last answer told them; what was not told is None.
#[pyclass(frozen, get_all, module = "hoopauth")]
pub(crate) struct RateLimit {
    /// Requests allowed per interval.
    limit: Option<u64>,
    /// Requests left in the current interval.
    remaining: Option<u64>,
    /// The length of an interval, in seconds.
    interval: Option<f64>,
    /// Requests allowed per day.
    daily_limit: Option<u64>,
    /// Requests left today.
    daily_remaining: Option<u64>,
    /// Moment at which the daily limit starts anew, in seconds since the epoch.
    daily_reset: Option<f64>,
    /// Moment at which the answer came, in seconds since the epoch.
    seen_at: f64,
}

impl From<hoopauth::RateLimit> for RateLimit {
    fn from(limit: hoopauth::RateLimit) -> Self {
        Self {
            limit: limit.limit,
            remaining: limit.remaining,
            interval: limit.interval.map(|interval| interval.as_secs_f64()),
            daily_limit: limit.daily_limit,
            daily_remaining: limit.daily_remaining,
            daily_reset: limit.daily_reset.map(seconds),
            seen_at: seconds(limit.seen_at),
        }
    }
}

#[pymethods]
impl RateLimit {
    fn __repr__(&self) -> String {
        let shown = |number: Option<u64>| {
            number.map_or_else(|| "None".to_owned(), |number| number.to_string())
        };
        format!(
            "<hoopauth.RateLimit remaining={} daily_remaining={}>",
            shown(self.remaining),
            shown(self.daily_remaining)
        )
    }
}
