//! Pacing of token-endpoint requests: a sliding log, so that no 60 seconds hold more than the
//! budget at the platform.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::{Priority, Slot, SlotRequest};

/// The times of the last requests, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlidingLog {
    sent: VecDeque<Timestamp>,
}

impl SlidingLog {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (times, _) = bytes.as_chunks::<8>();
        Self { sent: times.iter().map(|time| Timestamp(i64::from_be_bytes(*time))).collect() }
    }

    /// The log as a store keeps it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.sent.iter().flat_map(|sent| sent.0.to_be_bytes()).collect()
    }

    /// Takes a place in the log for one request. `in_doubt`: a token is in doubt while this request
    /// is under way, be it the one that it sends or another account's, so that its repeat must find
    /// a place.
    pub(crate) fn take(&mut self, request: SlotRequest, now: Timestamp, in_doubt: bool) -> Slot {
        self.forget_the_old(now);
        let all = (request.per_minute as usize).max(1);
        match request.priority {
            // Repeats are few and spaced. More than these at once would be refused by the platform
            // anyway.
            Priority::Recovery => self.take_below(all + all.max(FEWEST_REPEATS), now),
            // A budget of two is too small to halve.
            Priority::Normal if in_doubt && all > 2 => self.take_with_repeat(all, now),
            Priority::Normal => self.take_below(all, now),
            // With a budget of one there is nothing to leave to others.
            Priority::Soft => self.take_below((all - 1).max(1), now),
        }
    }

    /// Counts the minute as full for the next `wait`: the platform says that it is.
    pub(crate) fn fill(&mut self, per_minute: u32, wait: Duration, now: Timestamp) {
        self.forget_the_old(now);
        let at = now.minus(MINUTE.saturating_sub(wait));
        while self.sent.len() < per_minute as usize {
            self.sent.push_back(at);
        }
        self.sent.make_contiguous().sort_unstable();
    }

    fn forget_the_old(&mut self, now: Timestamp) {
        // After a clock that jumped back, requests 'of the future' count as of now: nobody waits
        // longer than a minute.
        for sent in self.sent.iter_mut().filter(|sent| **sent > now) {
            *sent = now;
        }
        while self.sent.front().is_some_and(|sent| now.since(*sent) >= MINUTE) {
            self.sent.pop_front();
        }
    }

    fn take_below(&mut self, room: usize, now: Timestamp) -> Slot {
        if self.sent.len() < room {
            self.sent.push_back(now);
            return Slot::Taken;
        }
        Slot::Wait(self.leaves(self.sent.len() - room, now))
    }

    /// Takes the last place only if another becomes free before the platform forgets what the
    /// request was answered.
    fn take_with_repeat(&mut self, all: usize, now: Timestamp) -> Slot {
        if self.sent.len() + 1 < all {
            self.sent.push_back(now);
            return Slot::Taken;
        }
        // The requests that have to leave before the last place is there, and the one that makes
        // room for the repeat.
        let too_many = (self.sent.len() + 1).saturating_sub(all);
        let for_itself =
            too_many.checked_sub(1).map_or(Duration::ZERO, |last| self.leaves(last, now));
        let for_its_repeat = self.leaves(too_many, now).saturating_sub(REPEAT_WITHIN);
        let wait = for_itself.max(for_its_repeat);
        if wait.is_zero() {
            self.sent.push_back(now);
            return Slot::Taken;
        }
        Slot::Wait(wait)
    }

    /// The time until the request at `index` leaves the log.
    fn leaves(&self, index: usize, now: Timestamp) -> Duration {
        MINUTE.saturating_sub(now.since(self.sent[index]))
    }
}

/// The platform's minute and one second more: a slot is taken before its request is on the wire,
/// and what travelled slowly and what travelled fast must not meet in one minute over there.
const MINUTE: Duration = Duration::from_secs(61);
/// A lost answer is asked for again for 20 seconds. A place that becomes free within this time
/// comes early enough for that.
const REPEAT_WITHIN: Duration = Duration::from_secs(15);
/// With a small budget, so many repeats in a minute find a place all the same.
const FEWEST_REPEATS: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(log: &mut SlidingLog, priority: Priority, now: i64) -> Slot {
        log.take(SlotRequest { per_minute: 5, priority }, Timestamp(now), false)
    }

    #[test]
    fn soft_leaves_one_and_a_repeat_is_not_held_back() {
        let mut log = SlidingLog::default();
        for _ in 0..4 {
            assert_eq!(ask(&mut log, Priority::Soft, 0), Slot::Taken);
        }
        assert_eq!(ask(&mut log, Priority::Soft, 0), Slot::Wait(MINUTE));
        assert_eq!(ask(&mut log, Priority::Normal, 10), Slot::Taken);
        assert_eq!(ask(&mut log, Priority::Normal, 1_000), Slot::Wait(Duration::from_secs(60)));
        for _ in 0..5 {
            assert_eq!(ask(&mut log, Priority::Recovery, 1_000), Slot::Taken);
        }
        assert_eq!(ask(&mut log, Priority::Recovery, 1_000), Slot::Wait(Duration::from_secs(60)));
    }

    #[test]
    fn a_refresh_takes_the_last_place_only_where_its_repeat_finds_one() {
        let mut log = SlidingLog::default();
        let normal = SlotRequest { per_minute: 5, priority: Priority::Normal };
        for at in [0, 0, 1_000, 2_000] {
            assert_eq!(log.take(normal, Timestamp(at), true), Slot::Taken);
        }
        assert_eq!(log.take(normal, Timestamp(3_000), true), Slot::Wait(Duration::from_secs(43)));
        assert_eq!(log.take(normal, Timestamp(46_000), true), Slot::Taken);
        // Full: the first two leave at 61 s, and the third, which makes room for a repeat, a second
        // later.
        assert_eq!(log.take(normal, Timestamp(46_000), true), Slot::Wait(Duration::from_secs(15)));
        // Nobody's token is in doubt: the last place is anybody's.
        assert_eq!(log.take(normal, Timestamp(61_000), false), Slot::Taken);
        assert_eq!(log.take(normal, Timestamp(61_000), false), Slot::Taken);
        assert_eq!(log.take(normal, Timestamp(61_000), false), Slot::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn a_minute_that_the_platform_calls_full_is_full() {
        let mut log = SlidingLog::default();
        ask(&mut log, Priority::Normal, 0);
        log.fill(5, Duration::MAX, Timestamp(1_000));
        assert_eq!(ask(&mut log, Priority::Soft, 1_000), Slot::Wait(MINUTE));
        assert_eq!(ask(&mut log, Priority::Normal, 61_000), Slot::Taken);
        assert_eq!(ask(&mut log, Priority::Normal, 61_000), Slot::Wait(Duration::from_secs(1)));

        let mut log = SlidingLog::default();
        ask(&mut log, Priority::Normal, 0);
        log.fill(5, Duration::from_secs(7), Timestamp(1_000));
        assert_eq!(ask(&mut log, Priority::Normal, 1_000), Slot::Wait(Duration::from_secs(7)));
        assert_eq!(ask(&mut log, Priority::Normal, 8_000), Slot::Taken);
    }

    #[test]
    fn a_clock_jumping_back_blocks_for_a_minute_at_most() {
        let mut log = SlidingLog::default();
        for _ in 0..5 {
            ask(&mut log, Priority::Normal, 86_400_000);
        }
        assert_eq!(ask(&mut log, Priority::Normal, 0), Slot::Wait(MINUTE));
        assert_eq!(ask(&mut log, Priority::Normal, 61_000), Slot::Taken);
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget_in_any_minute(
            steps in prop::collection::vec(0i64..40_000, 1..200), limit in 1u32..8, in_doubt: bool,
        ) {
            let normal = SlotRequest { per_minute: limit, priority: Priority::Normal };
            let mut log = SlidingLog::default();
            let mut now = 0;
            let mut taken: Vec<i64> = Vec::new();
            for step in steps {
                now += step;
                let slot = log.take(normal, Timestamp(now), in_doubt);
                match slot {
                    Slot::Taken => taken.push(now),
                    Slot::Wait(wait) => {
                        now += i64::try_from(wait.as_millis()).unwrap();
                        prop_assert_eq!(log.take(normal, Timestamp(now), in_doubt), Slot::Taken);
                        taken.push(now);
                    }
                }
            }
            for window in taken.windows(limit as usize + 1) {
                prop_assert!(window[limit as usize] - window[0] >= 61_000);
            }
        }
    }
}
