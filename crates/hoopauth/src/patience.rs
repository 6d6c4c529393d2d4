//! The time that is left for the stores of our own, on the thread that works for a call.
//!
//! `TokenStore` is a public trait that host programs implement, so the deadline of a call is no
//! argument of its methods. A [`Patience`] lasts as long as the call; each wait of a store takes
//! [`at_most`] what is left. It goes by real time, for so do locks and networks, also where the
//! client's clock is the program's own.

use std::time::{Duration, Instant};

use crate::callback::Marks;

/// While it lives, stores wait no longer on this thread. Then what held before holds again.
#[must_use]
pub(crate) struct Patience {
    before: Option<Instant>,
}

impl Patience {
    /// At most `longest` from now, and no longer than whatever led here.
    pub(crate) fn of(longest: Duration) -> Self {
        let until = Instant::now().checked_add(longest);
        let before = Marks::get().patience;
        let patience = match (before, until) {
            (Some(before), Some(until)) => Some(before.min(until)),
            (before, until) => before.or(until),
        };
        Marks::change(|marks| marks.patience = patience);
        Self { before }
    }

    /// Begins a wait of at least `least` from now, whatever led here: for a grant that would be
    /// lost otherwise.
    #[cfg(any(feature = "postgres", feature = "sqlite", test))]
    pub(crate) fn at_least(least: Duration) -> Self {
        let before = Marks::get().patience;
        let until = Instant::now().checked_add(least);
        let patience = before.and_then(|before| until.map(|until| before.max(until)));
        Marks::change(|marks| marks.patience = patience);
        Self { before }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        Marks::change(|marks| marks.patience = self.before);
    }
}

/// Returns `longest`, or the rest of it.
pub(crate) fn at_most(longest: Duration) -> Duration {
    Marks::get()
        .patience
        .map_or(longest, |until| longest.min(until.saturating_duration_since(Instant::now())))
}

/// Returns `true` once nothing is left.
pub(crate) fn is_over() -> bool {
    at_most(Duration::MAX).is_zero()
}

/// Longest time that a caller whose token is good may wait for the store. A look at the store takes
/// less, and a store that hangs delays nobody.
pub(crate) const QUICK: Duration = Duration::from_millis(500);
/// Time that a store gets to save a grant whose call has no time left, because the refresh token
/// before it is spent.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) const TO_SAVE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_shortest_counts_and_what_must_be_saved_has_some() {
        assert_eq!(at_most(DAY), DAY);
        let hour = Patience::of(HOUR);
        assert!(at_most(DAY) <= HOUR && !is_over());
        {
            let _longer = Patience::of(DAY);
            assert!(at_most(DAY) <= HOUR);
            let _none = Patience::of(Duration::ZERO);
            assert!(is_over() && at_most(DAY).is_zero());
            {
                let _some = Patience::at_least(HOUR);
                assert!(at_most(DAY) > HOUR / 2);
            }
            assert!(is_over());
        }
        assert!(!is_over());
        drop(hour);
        let _unbounded = Patience::at_least(Duration::ZERO);
        assert_eq!(at_most(DAY), DAY);
    }
}
