//! What the API's answers say of its rate limits, and pacing that keeps requests below them.

use crate::client::Client;
use crate::clock::Timestamp;
use std::time::Duration;

/// The API's limits of one account, as its last answer told them. What was not told is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests allowed per [`interval`](Self::interval).
    pub limit: Option<u64>,
    /// Requests left in the current interval.
    pub remaining: Option<u64>,
    /// The length of an interval.
    pub interval: Option<Duration>,
    /// Requests allowed per day.
    pub daily_limit: Option<u64>,
    /// Requests left today.
    pub daily_remaining: Option<u64>,
    /// When the daily limit starts anew.
    pub daily_reset: Option<Timestamp>,
    /// When the answer came.
    pub seen_at: Timestamp,
}

impl Client {
    /// The API's limits of `account`, as the last answer to this client told them: by [`request`](Self::request) or
    /// [`report`](Self::report). `None` before the first.
    pub fn rate_limit(&self, _account: &str) -> Option<RateLimit> {
        None
    }
}
