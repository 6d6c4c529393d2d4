//! Pacing of token-endpoint requests: a sliding log, so that no 60 seconds hold more than the budget at the platform.

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

    pub(crate) fn take(&mut self, request: SlotRequest, now: Timestamp) -> Slot {
        // After a clock that jumped back, requests 'of the future' count as of now: nobody waits longer than a minute.
        for sent in self.sent.iter_mut().filter(|sent| **sent > now) {
            *sent = now;
        }
        while self.sent.front().is_some_and(|sent| now.since(*sent) >= MINUTE) {
            self.sent.pop_front();
        }
        let room = match request.priority {
            Priority::Recovery => usize::MAX,
            Priority::Normal => request.per_minute as usize,
            // With a budget of one there is nothing to leave to others.
            Priority::Soft => (request.per_minute as usize).saturating_sub(1).max(1),
        };
        if self.sent.len() < room {
            self.sent.push_back(now);
            return Slot::Taken;
        }
        let blocking = self.sent[self.sent.len() - room];
        Slot::Wait(MINUTE.saturating_sub(now.since(blocking)).max(Duration::from_millis(1)))
    }
}

/// The platform's minute and one second more: a slot is taken before its request is on the wire, and what travelled slowly
/// and what travelled fast must not meet in one minute over there.
const MINUTE: Duration = Duration::from_secs(61);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(log: &mut SlidingLog, priority: Priority, now: i64) -> Slot {
        log.take(SlotRequest { per_minute: 5, priority }, Timestamp(now))
    }

    #[test]
    fn soft_leaves_one_and_recovery_is_never_held_back() {
        let mut log = SlidingLog::default();
        for _ in 0..4 {
            assert_eq!(ask(&mut log, Priority::Soft, 0), Slot::Taken);
        }
        assert_eq!(ask(&mut log, Priority::Soft, 0), Slot::Wait(MINUTE));
        assert_eq!(ask(&mut log, Priority::Normal, 10), Slot::Taken);
        assert_eq!(ask(&mut log, Priority::Normal, 1_000), Slot::Wait(Duration::from_secs(60)));
        assert_eq!(ask(&mut log, Priority::Recovery, 1_000), Slot::Taken);
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
        fn never_more_than_the_budget_in_any_minute(steps in prop::collection::vec(0i64..40_000, 1..200), limit in 1u32..8) {
            let mut log = SlidingLog::default();
            let mut now = 0;
            let mut taken: Vec<i64> = Vec::new();
            for step in steps {
                now += step;
                let slot = log.take(SlotRequest { per_minute: limit, priority: Priority::Normal }, Timestamp(now));
                match slot {
                    Slot::Taken => taken.push(now),
                    Slot::Wait(wait) => {
                        now += i64::try_from(wait.as_millis()).unwrap();
                        prop_assert_eq!(log.take(SlotRequest { per_minute: limit, priority: Priority::Normal }, Timestamp(now)), Slot::Taken);
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
