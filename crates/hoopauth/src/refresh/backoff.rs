//! Back-off: when a failed refresh is tried again, and what its callers are told until then.
//!
//! A failure is noted in the store, so that it binds every caller of every process. Without that,
//! one account that always fails would use up the token requests of all accounts.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode};
use crate::store::{BackOff, Fingerprint, WINDOW};

/// A failed refresh, as far as it decides when to try again.
pub(crate) struct Failed<'a> {
    pub(crate) error: &'a Error,
    pub(crate) outcome: Outcome,
    /// The note of the failure before, if there is one.
    pub(crate) before: Option<&'a BackOff>,
    /// Moment at which the token endpoint last gave tokens to this process, for any account.
    pub(crate) last_success: Option<Timestamp>,
    /// See [`BackOff::settings`].
    pub(crate) settings: Option<Fingerprint>,
}

/// Meaning of a failure for the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The platform refused it.
    Refused,
    /// The token may be spent: an answer is missing. `age` is the time since the first request of
    /// the window; `first` is `true` if this call made that request.
    InDoubt { age: Duration, first: bool },
    /// The token is as good as before: the endpoint did not look at it.
    Untouched,
    /// The token is as good as before: nothing left this computer.
    NotSent,
}

impl Failed<'_> {
    /// Makes the note of this failure.
    pub(crate) fn note(&self, now: Timestamp) -> BackOff {
        let refused = self.outcome == Outcome::Refused;
        let before = BackOff::of_kind(self.before, refused);
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        BackOff {
            refused,
            until: now.plus(self.pause(failures)),
            failures,
            code: self.error.code().number(),
            message: self.error.message().to_owned(),
            alone: if self.is_alone(before) {
                before.map_or(0, |before| before.alone).saturating_add(1)
            } else {
                0
            },
            at: now,
            status: self.error.status(),
            server_message: self.error.server_message().map(str::to_owned),
            retryable: self.error.is_retryable(),
            settings: self.settings.filter(|_| ends_with_settings(self.error.code())),
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let grown = |first: Duration, factor: u32, longest: Duration| {
            let growth = factor.saturating_pow(failures.saturating_sub(1).min(12));
            first.saturating_mul(growth).min(longest)
        };
        let pause = match self.outcome {
            Outcome::Refused => return grown(REFUSED, 4, BackOff::LONGEST),
            Outcome::InDoubt { age, first } => {
                // The new pair may wait at the platform: each window has a repeat while that is
                // given out. Between the windows the pauses grow. A limit of the endpoint passes
                // within the minute, so it is asked again for as long as that can help: in the
                // first window.
                let limited = self.error.code() == ErrorCode::RateLimited;
                let soon = if limited { failures <= IN_A_WINDOW } else { failures == 1 || first };
                let left = WINDOW.saturating_sub(age);
                if soon && !left.is_zero() {
                    REPEAT.min(left).max(SHORTEST_REPEAT)
                } else if limited {
                    let growth =
                        2u32.saturating_pow(failures.saturating_sub(IN_A_WINDOW + 1).min(12));
                    LIMITED.saturating_mul(growth).min(LONGEST_TRANSIENT)
                } else {
                    // Two failures a window.
                    let growth = 2u32.saturating_pow((failures / 2).min(12));
                    (DOUBTFUL / 2).saturating_mul(growth).min(LONGEST_TRANSIENT)
                }
            }
            // The minute is over then.
            Outcome::Untouched if self.error.code() == ErrorCode::RateLimited => {
                grown(LIMITED, 2, LONGEST_TRANSIENT)
            }
            Outcome::Untouched => grown(TRANSIENT, 4, LONGEST_TRANSIENT),
            // A blip of the network costs nobody anything: the next call tries at once.
            Outcome::NotSent if failures == 1 => Duration::ZERO,
            Outcome::NotSent => (grown(LOCAL, 4, 4 * LONGEST_LOCAL) / 4).min(LONGEST_LOCAL),
        };
        match self.error.retry_after().map(|told| told.clamp(SHORTEST_TOLD, LONGEST_TOLD)) {
            // The server knows best, until it turns out that it does not.
            Some(told) if failures == 1 => told,
            Some(told) => told.max(pause),
            None => pause,
        }
    }

    /// Returns `true` if the trouble is the account's own and not the endpoint's, as far as this
    /// process can tell.
    fn is_alone(&self, before: Option<&BackOff>) -> bool {
        self.error.code() == ErrorCode::AccountInactive
            || before.zip(self.last_success).is_some_and(|(before, success)| success > before.at)
    }
}

impl BackOff {
    /// Returns `true` while the account is not to be tried. A clock that jumped back does not lock
    /// it out.
    pub(crate) fn lasts(&self, now: Timestamp) -> bool {
        let wait = self.until.since(now);
        !wait.is_zero() && wait <= BackOff::LONGEST
    }

    /// The error for a caller that comes too early, if `now` is too early. `settings`: see
    /// [`Self::settings`].
    pub(crate) fn error_until(
        &self,
        now: Timestamp,
        settings: impl FnOnce() -> Option<Fingerprint>,
    ) -> Option<Error> {
        if !self.lasts(now) {
            return None;
        }
        // Whoever corrected the client's secret does not wait for the end of a pause that the wrong
        // one brought.
        if self.settings.is_some() && self.settings != settings() {
            return None;
        }
        Some(self.error(self.until.since(now)))
    }

    /// The noted error again, with the time to wait.
    pub(crate) fn error(&self, wait: Duration) -> Error {
        let code = ErrorCode::from_number(self.code).unwrap_or(ErrorCode::HttpStatus);
        let mut error = Error::new(code, &*self.message)
            .with_server_message(self.server_message.as_deref())
            .with_retryable(self.retryable);
        if let Some(status) = self.status {
            error = error.with_status(status);
        }
        if self.refused { error } else { error.with_retry_after(wait) }
    }
}

/// Returns `true` for failures that end when the client is configured anew.
fn ends_with_settings(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::TokenRequestRejected | ErrorCode::Config | ErrorCode::Tls)
}

/// From one request of the troubled accounts to the next: they get a tenth of the budget.
pub(crate) fn share(per_minute: u32) -> Duration {
    Duration::from_secs(610) / per_minute.max(1)
}

/// A second try inside the window, after the failure of a call.
const REPEAT: Duration = Duration::from_secs(8);
const SHORTEST_REPEAT: Duration = Duration::from_secs(2);
/// From the first window to the next; twice as long after each.
const DOUBTFUL: Duration = Duration::from_secs(60);
const TRANSIENT: Duration = Duration::from_secs(30);
const LIMITED: Duration = Duration::from_secs(61);
const LONGEST_TRANSIENT: Duration = Duration::from_secs(15 * 60);
/// The network is away, or a setting is wrong: no token request is wasted.
const LOCAL: Duration = Duration::from_secs(3);
const LONGEST_LOCAL: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(60);
const SHORTEST_TOLD: Duration = Duration::from_secs(1);
/// The longest wait that a `Retry-After` is obeyed for.
const LONGEST_TOLD: Duration = Duration::from_secs(3_600);
/// So many tries, each [`REPEAT`] after the other, fit into a window.
const IN_A_WINDOW: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn failed(error: &Error, outcome: Outcome, before: Option<&BackOff>) -> BackOff {
        Failed { error, outcome, before, last_success: None, settings: Some([1; 16]) }.note(NOW)
    }

    /// The pauses of failures in a row, in seconds.
    fn pauses(error: &Error, outcome: Outcome) -> Vec<u64> {
        let mut note: Option<BackOff> = None;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let next = failed(error, outcome, note.as_ref());
            pauses.push(next.until.since(NOW).as_secs());
            note = Some(next);
        }
        pauses
    }

    #[test]
    fn pauses_grow_and_end() {
        let down = Error::new(ErrorCode::HttpStatus, "down").with_status(503);
        let young = |first| Outcome::InDoubt { age: Duration::from_secs(1), first };
        assert_eq!(pauses(&down, young(true)), [8; 7]);
        assert_eq!(pauses(&down, young(false)), [8, 60, 60, 120, 120, 240, 240]);
        let limited = Error::new(ErrorCode::RateLimited, "full");
        assert_eq!(pauses(&limited, young(true)), [8, 8, 8, 61, 122, 244, 488]);
        let old = Outcome::InDoubt { age: WINDOW, first: true };
        assert_eq!(pauses(&limited, old), [61, 61, 61, 61, 122, 244, 488]);
        assert_eq!(pauses(&limited, Outcome::Untouched), [61, 122, 244, 488, 900, 900, 900]);
        assert_eq!(pauses(&down, Outcome::Untouched), [30, 120, 480, 900, 900, 900, 900]);
        assert_eq!(pauses(&down, Outcome::NotSent), [0, 3, 12, 48, 60, 60, 60]);
        assert_eq!(pauses(&down, Outcome::Refused), [60, 240, 960, 3_840, 15_360, 61_440, 86_400]);
    }

    #[test]
    fn a_repeat_comes_before_the_window_ends() {
        let down = Error::new(ErrorCode::HttpStatus, "down");
        for age in 0..20 {
            let age = Duration::from_secs(age);
            let pause = failed(&down, Outcome::InDoubt { age, first: true }, None).until.since(NOW);
            assert!(age + pause <= WINDOW + SHORTEST_REPEAT, "{age:?} {pause:?}");
        }
    }

    #[test]
    fn the_endpoints_own_time_is_obeyed_within_reason() {
        let told = |seconds| {
            let error = Error::new(ErrorCode::RateLimited, "full")
                .with_retry_after(Duration::from_secs(seconds));
            failed(&error, Outcome::Untouched, None).until.since(NOW).as_secs()
        };
        assert_eq!([told(0), told(7), told(120), told(1_000_000)], [1, 7, 120, 3_600]);
    }

    #[test]
    fn callers_get_the_noted_error_until_then() {
        let error = Error::new(ErrorCode::AccountInactive, "paused")
            .with_status(400)
            .with_server_message(Some("Location is not active"));
        let note = failed(&error, Outcome::Untouched, None);
        let told = note.error_until(NOW.plus(Duration::from_secs(10)), || None).unwrap();
        assert_eq!(
            (told.code(), told.message(), told.status()),
            (error.code(), "paused", Some(400))
        );
        assert_eq!(told.server_message(), error.server_message());
        assert_eq!(told.retry_after(), Some(Duration::from_secs(20)));
        assert!(note.error_until(NOW.plus(Duration::from_secs(30)), || None).is_none());
        // Two days back: the clock was set.
        assert!(note.error_until(NOW.minus(2 * BackOff::LONGEST), || None).is_none());
    }

    #[test]
    fn corrected_settings_end_the_pause_that_the_wrong_ones_brought() {
        let rejected = Error::new(ErrorCode::TokenRequestRejected, "wrong secret");
        let note = failed(&rejected, Outcome::Untouched, None);
        assert!(note.error_until(NOW, || Some([1; 16])).is_some());
        assert!(note.error_until(NOW, || Some([2; 16])).is_none());
        let down = failed(&Error::new(ErrorCode::HttpStatus, "down"), Outcome::Untouched, None);
        assert!(down.error_until(NOW, || Some([2; 16])).is_some());
    }

    #[test]
    fn trouble_is_an_accounts_own_where_others_are_served_meanwhile() {
        let down = Error::new(ErrorCode::HttpStatus, "down");
        let second = |seconds| NOW.plus(Duration::from_secs(seconds));
        let note = |at, last_success, before: Option<&BackOff>| {
            Failed {
                error: &down,
                outcome: Outcome::Untouched,
                before,
                last_success,
                settings: None,
            }
            .note(second(at))
        };
        // A success a moment before an outage tells nothing of it.
        let outage = note(10, Some(second(9)), None);
        let outage = note(50, Some(second(9)), Some(&outage));
        assert_eq!((outage.failures, outage.alone, outage.is_troubled()), (2, 0, false));
        let own = note(60, Some(second(55)), Some(&outage));
        let own = note(90, Some(second(80)), Some(&own));
        assert_eq!((own.alone, own.is_troubled()), (2, true));
        // In an outage of all it is no longer its own.
        let again = note(120, Some(second(80)), Some(&own));
        assert_eq!((again.failures, again.is_troubled()), (5, false));
    }
}
