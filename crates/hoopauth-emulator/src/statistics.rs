use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Counts of the emulator since it started or was last reset.
///
/// Accounts are written `location:<id>` or `company:<id>`; `unknown` where a request named none the
/// emulator knows. A status of 0 stands for an answer that was never sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests that reached the token endpoint, held, faulty and refused ones included.
    pub token_requests: u64,
    /// The same by `grant_type`; `other` for anything but the two that exist.
    pub token_requests_by_grant_type: BTreeMap<String, u64>,
    /// The same by account.
    pub token_requests_by_account: BTreeMap<String, u64>,
    /// The most token requests within any 60 seconds of the emulator's clock.
    pub token_requests_peak_per_minute: u64,
    /// Token requests that were answered 429 by the limit.
    pub token_requests_limited: u64,
    /// Answers of the token endpoint by status.
    pub token_answers: BTreeMap<u16, u64>,
    /// Codes that were exchanged for a pair.
    pub exchanges: u64,
    /// Refresh tokens that were used up for a new pair.
    pub rotations: u64,
    /// Used refresh tokens that came again inside the window and got the same pair.
    pub reuse_inside_window: u64,
    /// Used refresh tokens that came again after the window and were refused.
    pub reuse_outside_window: u64,
    /// Requests that reached the location token endpoint.
    pub location_token_requests: u64,
    /// Location tokens minted from a company token.
    pub location_tokens_minted: u64,
    /// The same by account.
    pub location_tokens_minted_by_account: BTreeMap<String, u64>,
    /// Requests for the list of installed locations.
    pub installed_locations_requests: u64,
    /// Requests to the API routes.
    pub api_requests: u64,
    /// The same by account and status.
    pub api_requests_by_account: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Webhooks that were posted: every duplicate and every retry counts.
    pub webhooks_sent: u64,
    /// The same by `type`; `unknown` for bodies without one.
    pub webhooks_sent_by_type: BTreeMap<String, u64>,
    /// The same by the receiver's status, 0 if it did not answer.
    pub webhook_answers: BTreeMap<u16, u64>,
}

/// The counters, and the log of the last minute that the peak is read from.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) shown: Statistics,
    last_minute: VecDeque<i64>,
}

impl Counters {
    pub(crate) fn token_request(&mut self, grant_type: &str, account: &str, now_ms: i64) {
        let grant_type = match grant_type {
            "authorization_code" | "refresh_token" => grant_type,
            _ => "other",
        };
        self.shown.token_requests += 1;
        count(&mut self.shown.token_requests_by_grant_type, grant_type);
        count(&mut self.shown.token_requests_by_account, account);
        forget_outside(&mut self.last_minute, now_ms, 60_000);
        self.last_minute.push_back(now_ms);
        let in_minute = self.last_minute.len() as u64;
        self.shown.token_requests_peak_per_minute =
            self.shown.token_requests_peak_per_minute.max(in_minute);
    }

    pub(crate) fn token_answer(&mut self, status: u16) {
        *self.shown.token_answers.entry(status).or_default() += 1;
    }

    pub(crate) fn minted(&mut self, account: &str) {
        self.shown.location_tokens_minted += 1;
        count(&mut self.shown.location_tokens_minted_by_account, account);
    }

    pub(crate) fn api_answer(&mut self, account: &str, status: u16) {
        let counts = &mut self.shown.api_requests_by_account;
        if !counts.contains_key(account) {
            counts.insert(account.to_owned(), BTreeMap::new());
        }
        if let Some(by_status) = counts.get_mut(account) {
            *by_status.entry(status).or_default() += 1;
        }
    }

    pub(crate) fn webhook(&mut self, event_type: &str, status: u16) {
        self.shown.webhooks_sent += 1;
        count(&mut self.shown.webhooks_sent_by_type, event_type);
        *self.shown.webhook_answers.entry(status).or_default() += 1;
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Drops the times that are not within the `span_ms` before `now_ms`; later ones too, after a clock
/// was put back.
pub(crate) fn forget_outside(log: &mut VecDeque<i64>, now_ms: i64, span_ms: i64) {
    while log.front().is_some_and(|first| now_ms.saturating_sub(*first) >= span_ms) {
        log.pop_front();
    }
    while log.back().is_some_and(|last| *last > now_ms) {
        log.pop_back();
    }
}

fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.to_owned(), 1)),
    }
}
