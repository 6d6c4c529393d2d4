//! Deliveries: the webhooks that this process handles or has handled.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::process::Process;
use crate::store::{Fingerprint, claim_id};

/// Ids under which a delivery is claimed, and remembered once it is handled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryIds {
    pub(crate) claim: Fingerprint,
    pub(crate) done: Fingerprint,
}

impl DeliveryIds {
    pub(crate) fn of(webhook_id: &str) -> Self {
        Self { claim: claim_id(CLAIM_LABEL, webhook_id), done: claim_id(DONE_LABEL, webhook_id) }
    }
}

/// A bounded memory of deliveries. A delivery that it forgets because it has no room counts as
/// handled, and with it all that are as old.
#[derive(Debug)]
pub(crate) struct Deliveries {
    room: usize,
    process: Process,
    entries: HashMap<Fingerprint, Entry>,
    /// The entries by the moment of their event.
    by_moment: BTreeSet<(Timestamp, Fingerprint)>,
    /// The entries by when they end.
    by_end: BTreeSet<(Timestamp, Fingerprint)>,
    /// The newest moment of an event that was forgotten too early.
    forgotten: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: DeliveryState,
    /// Moment of the event; if the event does not name it, the moment at which it came.
    moment: Timestamp,
    is_dated: bool,
    until: Timestamp,
}

impl Entry {
    fn new(
        state: DeliveryState,
        moment: Option<Timestamp>,
        until: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self { state, moment: moment.unwrap_or(now), is_dated: moment.is_some(), until }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    Claimed,
    Done,
}

impl Deliveries {
    /// Makes a memory for `room` deliveries.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room: room.max(1),
            process: Process::this(),
            entries: HashMap::new(),
            by_moment: BTreeSet::new(),
            by_end: BTreeSet::new(),
            forgotten: None,
        }
    }

    pub(crate) fn check_process(&self) -> Result<()> {
        if !self.process.is_this() {
            return Err(Error::state(
                "the process was forked after the verifier was made, and the two processes don't \
                 share what it remembers: make the verifier after the fork, or make it with a \
                 client whose store they share (`replay` = `store`)",
            ));
        }
        Ok(())
    }

    pub(crate) fn state(&self, ids: &DeliveryIds, now: Timestamp) -> Option<DeliveryState> {
        self.entries.get(&ids.claim).filter(|entry| entry.until > now).map(|entry| entry.state)
    }

    pub(crate) fn claim(
        &mut self,
        ids: &DeliveryIds,
        moment: Option<Timestamp>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        match self.state(ids, now) {
            Some(DeliveryState::Done) => return Err(replayed()),
            Some(DeliveryState::Claimed) => return Err(being_handled()),
            None => {}
        }
        if self.forgotten.is_some_and(|forgotten| moment.unwrap_or(now) <= forgotten)
            && !self.entries.contains_key(&ids.claim)
        {
            return Err(Error::new(
                ErrorCode::WebhookStale,
                "the webhook is older than what this process remembers, so it may have been \
                 handled before: answer 400, and raise `replay_memory`, or set `replay` to \
                 `store`",
            ));
        }
        self.keep(ids.claim, Entry::new(DeliveryState::Claimed, moment, until, now), now);
        Ok(())
    }

    pub(crate) fn confirm(
        &mut self,
        ids: &DeliveryIds,
        moment: Option<Timestamp>,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.keep(ids.claim, Entry::new(DeliveryState::Done, moment, until, now), now);
    }

    pub(crate) fn release(&mut self, ids: &DeliveryIds) {
        if self.entries.get(&ids.claim).is_some_and(|entry| entry.state == DeliveryState::Claimed) {
            self.forget(&ids.claim);
        }
    }

    fn keep(&mut self, id: Fingerprint, entry: Entry, now: Timestamp) {
        self.forget(&id);
        while let Some((_, ended)) = self.by_end.first().copied().filter(|(until, _)| *until <= now)
        {
            // The clock may be set back. An entry without a date was no event of a date that could
            // come again.
            if let Some(entry) = self
                .forget(&ended)
                .filter(|entry| entry.state == DeliveryState::Done && entry.is_dated)
            {
                self.forgotten = self.forgotten.max(Some(entry.moment));
            }
        }
        while self.entries.len() >= self.room {
            let Some((_, oldest)) = self.by_moment.first().copied() else { break };
            if let Some(entry) = self.forget(&oldest).filter(|entry| entry.is_dated) {
                self.forgotten = self.forgotten.max(Some(entry.moment));
            }
        }
        self.entries.insert(id, entry);
        self.by_moment.insert((entry.moment, id));
        self.by_end.insert((entry.until, id));
    }

    fn forget(&mut self, id: &Fingerprint) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.by_moment.remove(&(entry.moment, *id));
        self.by_end.remove(&(entry.until, *id));
        Some(entry)
    }
}

pub(crate) fn replayed() -> Error {
    Error::new(
        ErrorCode::WebhookReplayed,
        "the webhook was handled before: do nothing, and answer 200, so that the platform does not \
         send it again",
    )
}

pub(crate) fn being_handled() -> Error {
    Error::new(
        ErrorCode::LeaseTimeout,
        "this webhook is being handled by another worker: do nothing, and answer 429, so that the \
         platform sends it again in case that worker fails",
    )
    .with_retry_after(COME_AGAIN)
}

const CLAIM_LABEL: &str = "webhook-claim";
const DONE_LABEL: &str = "webhook-done";
const COME_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_and_comes_back_forgets_nothing() {
        let mut memory = Deliveries::new(10);
        let (now, later) = (Timestamp(1_000), Timestamp(1_000_000));
        memory.claim(&DeliveryIds::of("a"), Some(now), Timestamp(2_000), now).unwrap();
        memory.confirm(&DeliveryIds::of("a"), Some(now), Timestamp(3_000), now);
        memory.claim(&DeliveryIds::of("b"), Some(later), Timestamp(2_000_000), later).unwrap();
        let error =
            memory.claim(&DeliveryIds::of("a"), Some(now), Timestamp(2_000), now).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WebhookStale);
        memory.claim(&DeliveryIds::of("c"), Some(Timestamp(1_001)), Timestamp(2_000), now).unwrap();
    }

    #[test]
    fn what_has_no_date_shortens_no_age() {
        let mut memory = Deliveries::new(2);
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        for (name, now) in [("a", 1), ("b", 2), ("c", 3)] {
            memory.claim(&DeliveryIds::of(name), None, at(10), at(now)).unwrap();
            memory.confirm(&DeliveryIds::of(name), None, at(10), at(now));
        }
        // One was forgotten because it has no room, the others at their end: an older event with a
        // date is still accepted.
        memory.claim(&DeliveryIds::of("d"), Some(at(0)), at(100), at(20)).unwrap();
        // The same bytes again are another event by then.
        memory.claim(&DeliveryIds::of("c"), None, at(100), at(20)).unwrap();
    }

    #[test]
    fn a_forked_child_has_no_memory() {
        let mut memory = Deliveries::new(10);
        memory.check_process().unwrap();
        memory.process = Process::other();
        assert_eq!(memory.check_process().unwrap_err().code(), ErrorCode::InvalidState);
    }
}
