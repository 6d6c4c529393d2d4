use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;

/// The emulator's own clock: the system's, moved by an offset, or standing still.
///
/// Lifetimes, the reuse window and the limits follow this clock; latencies and time-outs are real
/// time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: i64,
    frozen_ms: Option<i64>,
}

impl Clock {
    pub(crate) fn advance_ms(&mut self, by_ms: i64) {
        match &mut self.frozen_ms {
            Some(frozen) => *frozen = frozen.saturating_add(by_ms),
            None => self.offset_ms = self.offset_ms.saturating_add(by_ms),
        }
    }

    pub(crate) fn set_ms(&mut self, now_ms: i64) {
        self.advance_ms(now_ms.saturating_sub(self.now_ms()));
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen_ms = Some(self.now_ms());
    }

    /// Goes on from where the clock stood.
    pub(crate) fn unfreeze(&mut self) {
        if let Some(frozen) = self.frozen_ms.take() {
            self.offset_ms = frozen.saturating_sub(system_ms());
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen_ms.is_some()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.frozen_ms.unwrap_or_else(|| system_ms().saturating_add(self.offset_ms))
    }

    /// Returns the time as the header `Date` tells it, in full seconds; `None` outside of the years
    /// that it can write.
    pub(crate) fn http_date(&self) -> Option<HeaderValue> {
        let seconds =
            u64::try_from(self.now_ms().div_euclid(1_000)).ok().filter(|at| *at < YEAR_10000)?;
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        HeaderValue::try_from(date).ok()
    }
}

/// In seconds since 1970.
const YEAR_10000: u64 = 253_402_300_800;

fn system_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn a_frozen_clock_moves_only_when_told_and_goes_on_from_there() {
        let mut clock = Clock::default();
        clock.set_ms(1_000_000);
        clock.freeze();
        let stood = clock.now_ms();
        clock.advance_ms(-500);
        assert_eq!(clock.now_ms(), stood - 500);
        clock.unfreeze();
        assert!(clock.now_ms() >= stood - 500);
        assert!(!clock.is_frozen());
    }

    #[test]
    fn dates_are_those_of_http() {
        let date = |ms: i64| {
            let mut clock = Clock::default();
            clock.freeze();
            clock.set_ms(ms);
            clock.http_date().map(|date| date.to_str().unwrap().to_owned())
        };
        assert_eq!(date(1_700_000_000_999).as_deref(), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
        assert_eq!((date(-1), date(i64::MAX)), (None, None));
    }
}
