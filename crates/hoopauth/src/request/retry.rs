//! Rules for sending a request again.

use std::time::Duration;

use crate::seal::random;
use crate::transport::{TransportError, TransportErrorKind};

/// Returns `true` if a request may be sent again after this failure. `repeatable`: sending it twice
/// does no harm.
pub(super) fn after_failure(error: &TransportError, repeatable: bool) -> bool {
    let passing = match error.kind {
        TransportErrorKind::Network => true,
        // Only the connection has its own timeout. A request that was sent may use all that is left
        // of the call.
        TransportErrorKind::Timeout => !error.sent,
        _ => false,
    };
    passing && (repeatable || !error.sent)
}

/// Returns `true` if another try can help after this status.
pub(super) fn after_status(status: u16) -> bool {
    matches!(status, 429 | 502..=504)
}

/// Returns the wait before the next try, `tries` after the first: anything up to a ceiling that
/// doubles, so that clients that failed together do not come back together.
pub(super) fn jitter(tries: u32) -> Duration {
    let ceiling = FIRST_CEILING.saturating_mul(1 << tries.min(16)).min(LAST_CEILING);
    // Without a random source nothing else of the client works either.
    let part = random::<4>().map_or(u32::MAX, u32::from_ne_bytes);
    ceiling.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

const FIRST_CEILING: Duration = Duration::from_millis(500);
const LAST_CEILING: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_anything_up_to_a_doubling_ceiling() {
        for (tries, ceiling) in
            [(0, 500), (1, 1_000), (2, 2_000), (4, 8_000), (10, 8_000), (u32::MAX, 8_000)]
        {
            let waits: Vec<_> = (0..200).map(|_| jitter(tries)).collect();
            let ceiling = Duration::from_millis(ceiling);
            assert!(waits.iter().all(|wait| *wait <= ceiling), "{tries}");
            // Each of these fails once in 2^200 runs.
            assert!(waits.iter().any(|wait| *wait < ceiling / 2), "{tries}");
            assert!(waits.iter().any(|wait| *wait > ceiling / 2), "{tries}");
        }
    }

    #[test]
    fn a_failure_is_repeated_where_that_is_safe_and_can_help() {
        use TransportErrorKind::{
            BodyTooLarge, Callback, Config, Malformed, Network, Timeout, Tls,
        };
        for (kind, sent, repeatable, again) in [
            (Network, true, true, true),
            (Network, true, false, false),
            (Network, false, false, true),
            (Timeout, false, false, true),
            (Timeout, true, true, false),
            (Tls, false, true, false),
            (BodyTooLarge, true, true, false),
            (Malformed, true, true, false),
            (Config, false, true, false),
            (Callback, false, true, false),
        ] {
            let error = TransportError { kind, message: String::new(), sent };
            assert_eq!(after_failure(&error, repeatable), again, "{kind:?} {sent} {repeatable}");
        }
    }
}
