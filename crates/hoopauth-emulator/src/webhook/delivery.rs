use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::tokens::random;
use crate::webhook::event::Prepared;

/// Policy by which a delivery is sent again, by the emulator's clock. What the platform does is
/// documented in two ways, and both send again what was answered with 429. A receiver that answers
/// anything else to what it could not handle loses events under `Classic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// Never.
    None,
    /// Only after an answer of 429: 6 times, 10 minutes and up to one more after each. Any other
    /// answer is final, 5xx too, and so is none at all.
    Classic,
    /// After any answer but 2xx, and after none: 12 times, 1 minute after the first and twice as
    /// long after each further one, for 68 hours.
    Exponential,
}

impl RetryPolicy {
    /// Returns how long after this round, which was not answered with 2xx, the next one is due.
    /// `is_429`: a request of it was answered so.
    fn delay_ms(self, round: u32, is_429: bool) -> Option<i64> {
        match self {
            Self::Classic if is_429 && round <= 6 => {
                Some(600_000 + i64::from(u16::from_le_bytes(random()) % MAX_JITTER_MS))
            }
            Self::Exponential if round <= 12 => Some(60_000 << (round - 1)),
            _ => None,
        }
    }
}

/// A webhook on its way to a receiver. Every attempt carries the same body and the same signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Counted from 1.
    pub id: u64,
    /// The receiver.
    pub url: String,
    /// `type` of the event.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// `webhookId` of the event.
    pub webhook_id: Option<String>,
    /// Policy by which the delivery is tried again.
    pub retry: RetryPolicy,
    /// State of the delivery.
    pub state: DeliveryState,
    /// Attempts so far; duplicates count one by one.
    pub attempts: Vec<Attempt>,
    /// Moment of the next try: the first full second of the emulator's clock. None while it is
    /// sent, and at the end.
    pub due: Option<i64>,
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its time.
    Pending,
    /// The answers are waited for.
    Sending,
    /// Answered with 2xx.
    Delivered,
    /// Not answered with 2xx, and not tried again.
    Failed,
}

/// One request of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Moment at which the answer came, in seconds of the emulator's clock.
    pub at: i64,
    /// The status; 0 if there was no answer.
    pub status: u16,
    /// Reason why there was no answer.
    pub error: Option<String>,
}

/// All deliveries since the last reset; of those that ended, the latest.
#[derive(Debug)]
pub(crate) struct Deliveries {
    by_id: BTreeMap<u64, Record>,
    last_id: u64,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Record {
    shown: Delivery,
    due_ms: Option<i64>,
    rounds: u32,
    /// Returns the number of requests that the next round sends at once.
    copies: u32,
    webhook: Arc<Prepared>,
}

/// One round of a delivery, to be sent without the lock.
pub(crate) struct Round {
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) copies: u32,
    pub(crate) webhook: Arc<Prepared>,
}

impl Deliveries {
    pub(crate) fn new() -> Self {
        Self { by_id: BTreeMap::new(), last_id: 0, wake: Arc::new(Notify::new()) }
    }

    /// Signal that the sender waits for when nothing is due: it is woken when that may have
    /// changed.
    pub(crate) fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Queues a delivery, due now.
    pub(crate) fn push(
        &mut self,
        url: &str,
        webhook: Prepared,
        copies: u32,
        retry: RetryPolicy,
        now_ms: i64,
    ) -> u64 {
        self.forget_ended();
        self.last_id += 1;
        let member =
            |name| webhook.event.get(name).and_then(|value| value.as_str()).map(ToOwned::to_owned);
        let shown = Delivery {
            id: self.last_id,
            url: url.to_owned(),
            event_type: member("type"),
            webhook_id: member("webhookId"),
            retry,
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            due: Some(seconds_up(now_ms)),
        };
        let record =
            Record { shown, due_ms: Some(now_ms), rounds: 0, copies, webhook: Arc::new(webhook) };
        self.by_id.insert(self.last_id, record);
        self.wake.notify_one();
        self.last_id
    }

    /// Takes the rounds that are due; tells when the next one will be.
    pub(crate) fn take_due(&mut self, now_ms: i64) -> (Vec<Round>, Option<i64>) {
        let mut due = Vec::new();
        for record in self.by_id.values_mut() {
            if record.due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
                record.due_ms = None;
                record.shown.due = None;
                record.shown.state = DeliveryState::Sending;
                due.push(Round {
                    id: record.shown.id,
                    url: record.shown.url.clone(),
                    copies: record.copies,
                    webhook: record.webhook.clone(),
                });
            }
        }
        (due, self.by_id.values().filter_map(|record| record.due_ms).min())
    }

    /// Notes what became of a round. A retry sends one request, however many there were.
    pub(crate) fn finish(&mut self, id: u64, attempts: Vec<Attempt>, now_ms: i64) {
        let Some(record) = self.by_id.get_mut(&id) else { return };
        let delivered = attempts.iter().any(|attempt| (200..300).contains(&attempt.status));
        let is_429 = attempts.iter().any(|attempt| attempt.status == 429);
        record.shown.attempts.extend(attempts);
        record.rounds += 1;
        record.copies = 1;
        record.shown.state = if delivered {
            DeliveryState::Delivered
        } else if let Some(delay_ms) = record.shown.retry.delay_ms(record.rounds, is_429) {
            let due_ms = now_ms.saturating_add(delay_ms);
            record.due_ms = Some(due_ms);
            record.shown.due = Some(seconds_up(due_ms));
            DeliveryState::Pending
        } else {
            DeliveryState::Failed
        };
        self.wake.notify_one();
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }

    pub(crate) fn find(&self, id: u64) -> Option<&Delivery> {
        self.by_id.get(&id).map(|record| &record.shown)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.by_id.values().map(|record| &record.shown)
    }

    fn forget_ended(&mut self) {
        if self.by_id.len() < KEPT_AT_MOST {
            return;
        }
        let ended = |record: &Record| {
            matches!(record.shown.state, DeliveryState::Delivered | DeliveryState::Failed)
        };
        let oldest = self.by_id.values().find(|record| ended(record)).map(|record| record.shown.id);
        if let Some(id) = oldest {
            self.by_id.remove(&id);
        }
    }
}

fn seconds_up(ms: i64) -> i64 {
    ms.div_euclid(1_000) + i64::from(ms.rem_euclid(1_000) > 0)
}

const MAX_JITTER_MS: u16 = 60_000;
/// More deliveries than any test looks through.
const KEPT_AT_MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_policies_end() {
        let delays = |policy: RetryPolicy| {
            (1..).map_while(move |round| policy.delay_ms(round, true)).collect::<Vec<_>>()
        };
        assert!(delays(RetryPolicy::None).is_empty());
        let classic = delays(RetryPolicy::Classic);
        assert_eq!(classic.len(), 6);
        assert!(classic.iter().all(|delay| (600_000..660_000).contains(delay)));
        let exponential = delays(RetryPolicy::Exponential);
        assert_eq!((exponential.len(), exponential[0], exponential[11]), (12, 60_000, 122_880_000));
        assert!(exponential.iter().sum::<i64>() < 3 * 86_400_000);
        assert_eq!(RetryPolicy::Classic.delay_ms(1, false), None);
        assert_eq!(RetryPolicy::Exponential.delay_ms(1, false), Some(60_000));
    }
}
