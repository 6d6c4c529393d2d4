use std::collections::{HashMap, VecDeque};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Settings;
use crate::statistics::forget_outside;

/// Recent requests of each app and account, by the emulator's clock.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    token: HashMap<String, VecDeque<i64>>,
    api: HashMap<(String, String), Windows>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Windows {
    interval: Window,
    day: Window,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    used: u32,
}

/// Use of the limits by an app for an account after a request, as the answer's headers tell.
pub(crate) struct Standing {
    pub(crate) exceeded: bool,
    used: Windows,
    now_ms: i64,
}

impl Limits {
    /// Counts a token request of this app; false if it is one too many, which does not count.
    pub(crate) fn admit_token(
        &mut self,
        client_id: &str,
        now_ms: i64,
        per_minute: Option<u32>,
    ) -> bool {
        let Some(per_minute) = per_minute else { return true };
        let log = self.token.entry(client_id.to_owned()).or_default();
        forget_outside(log, now_ms, 60_000);
        if log.len() >= per_minute as usize {
            return false;
        }
        log.push_back(now_ms);
        true
    }

    /// Counts an API request of this app for this account.
    pub(crate) fn admit_api(
        &mut self,
        app: &str,
        account: String,
        now_ms: i64,
        settings: &Settings,
    ) -> Standing {
        let windows = self.api.entry((app.to_owned(), account)).or_default();
        windows.interval.enter(now_ms.div_euclid(INTERVAL_MS));
        windows.day.enter(now_ms.div_euclid(DAY_MS));
        let exceeded = settings
            .api_requests_per_10_seconds
            .is_some_and(|limit| windows.interval.used >= limit)
            || settings.api_requests_per_day.is_some_and(|limit| windows.day.used >= limit);
        if !exceeded {
            windows.interval.used += 1;
            windows.day.used += 1;
        }
        Standing { exceeded, used: *windows, now_ms }
    }
}

impl Window {
    fn enter(&mut self, number: i64) {
        if self.number != number {
            *self = Self { number, used: 0 };
        }
    }
}

impl Standing {
    /// Limits of a caller who could not be told apart: nothing used.
    pub(crate) fn unknown(now_ms: i64) -> Self {
        Self { exceeded: false, used: Windows::default(), now_ms }
    }

    /// Writes the headers; a limit that is switched off has none.
    pub(crate) fn write(&self, settings: &Settings, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, value: i64| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        };
        if let Some(limit) = settings.api_requests_per_10_seconds {
            put("x-ratelimit-interval-milliseconds", INTERVAL_MS);
            put("x-ratelimit-max", limit.into());
            put("x-ratelimit-remaining", limit.saturating_sub(self.used.interval.used).into());
        }
        if let Some(limit) = settings.api_requests_per_day {
            put("x-ratelimit-limit-daily", limit.into());
            put("x-ratelimit-daily-remaining", limit.saturating_sub(self.used.day.used).into());
            put("x-ratelimit-daily-reset", DAY_MS - self.now_ms.rem_euclid(DAY_MS));
        }
    }
}

const INTERVAL_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;
