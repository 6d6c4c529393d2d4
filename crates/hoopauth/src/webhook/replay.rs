//! That each delivery is handled once: who has it, and which ones were handled.
//!
//! A delivery is claimed while it is handled. The claim ends by itself, so that the platform's next try is accepted where a handler
//! died with it; confirmed, it is remembered for as long as it could come again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;

use super::event::WebhookEvent;
use crate::callback::calling;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::store::Fingerprint;
use crate::sync::{Mutex, lock};

/// Where deliveries are remembered.
pub(super) enum Replay {
    /// Nowhere: the program does it.
    Off,
    /// In this process, for all verifiers of a client.
    Memory(Arc<Mutex<Memory>>, Option<Arc<Inner>>),
    /// In a client's store, for all who share it.
    Store(Arc<Inner>),
}

/// How long deliveries are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lives {
    /// Those that are being handled.
    pub(super) claim: Duration,
    /// Those that were.
    pub(super) done: Duration,
}

/// A delivery's place in what is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    claim: Fingerprint,
    done: Fingerprint,
}

impl Ids {
    pub(super) fn of(event: &WebhookEvent) -> Self {
        Self { claim: id(CLAIM_LABEL, event.webhook_id()), done: id(DONE_LABEL, event.webhook_id()) }
    }
}

impl Replay {
    /// Refuses a client that was closed, and a forked child: what its parent remembers it does not learn of. `INVALID_STATE`.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Memory(memory, client) => {
                client.as_ref().map_or(Ok(()), |inner| inner.check_open())?;
                lock(memory).check_process()
            }
            Self::Store(inner) => {
                inner.check_open()?;
                inner.check_process()
            }
        }
    }

    /// Whether a delivery was handled before.
    pub(super) fn is_done(&self, ids: &Ids, now: Timestamp) -> Result<bool> {
        match self {
            Self::Off => Ok(false),
            Self::Memory(memory, _) => Ok(lock(memory).state(ids, now) == Some(State::Done)),
            Self::Store(inner) => Ok(claimed(inner, &ids.done, now)? == Some(true)),
        }
    }

    /// Claims a delivery. `WEBHOOK_REPLAYED` if it was handled, `LEASE_TIMEOUT` while it is being handled, `WEBHOOK_STALE` if
    /// that can't be told any more.
    pub(super) fn claim(&self, ids: &Ids, event: &WebhookEvent, lives: Lives, now: Timestamp) -> Result<()> {
        let until = now.plus(lives.claim);
        match self {
            Self::Off => Ok(()),
            Self::Memory(memory, _) => lock(memory).claim(ids, event.timestamp().unwrap_or(now), until, now),
            Self::Store(inner) => claim_in_store(inner, ids, until, now),
        }
    }

    /// Remembers that a delivery was handled. Doing it again changes nothing.
    pub(super) fn confirm(
        &self,
        ids: &Ids,
        event: &WebhookEvent,
        lives: Lives,
        now: Timestamp,
    ) -> Result<()> {
        let until = now.plus(lives.done);
        match self {
            Self::Off => {}
            Self::Memory(memory, _) => {
                lock(memory).confirm(ids, event.timestamp().unwrap_or(now), until, now);
            }
            Self::Store(inner) => {
                if !claim(inner, &ids.done, until, now)? {
                    // What a look left there ends too early.
                    unclaim(inner, &ids.done)?;
                    claim(inner, &ids.done, until, now)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets a claim.
    pub(super) fn release(&self, ids: &Ids) -> Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Memory(memory, _) => {
                lock(memory).release(ids);
                Ok(())
            }
            Self::Store(inner) => unclaim(inner, &ids.claim),
        }
    }
}

/// Of all who try at once, over all processes, one gets it.
fn claim_in_store(inner: &Inner, ids: &Ids, until: Timestamp, now: Timestamp) -> Result<()> {
    let _call = inner.begin_call();
    if claimed(inner, &ids.done, now)? == Some(true) {
        return Err(replayed());
    }
    if !claim(inner, &ids.claim, until, now)? {
        return Err(if claimed(inner, &ids.done, now)? == Some(true) { replayed() } else { being_handled() });
    }
    // Whoever had it may have confirmed it since the first look. A store that can't be asked is asked by claiming, which
    // nobody else does who has no claim of the delivery.
    let done = match claimed(inner, &ids.done, now) {
        Ok(Some(done)) => Ok(done),
        Ok(None) => claim(inner, &ids.done, now.plus(LOOK), now)
            .and_then(|free| if free { unclaim(inner, &ids.done).map(|()| false) } else { Ok(true) }),
        Err(error) => Err(error),
    };
    match done {
        Ok(false) => Ok(()),
        done => {
            if let Err(error) = unclaim(inner, &ids.claim) {
                tracing::warn!(%error, "a webhook's claim could not be released; it ends by itself");
            }
            Err(done.err().unwrap_or_else(replayed))
        }
    }
}

fn claim(inner: &Inner, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
    let _call = inner.begin_call();
    calling(|| inner.store.claim(&inner.settings.app, id, until, now))
}

fn claimed(inner: &Inner, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
    let _call = inner.begin_call();
    calling(|| inner.store.claimed(&inner.settings.app, id, now))
}

fn unclaim(inner: &Inner, id: &Fingerprint) -> Result<()> {
    let _call = inner.begin_call();
    calling(|| inner.store.unclaim(&inner.settings.app, id))
}

/// A bounded memory. What it forgets for want of room it takes for handled, and with it all that is as old.
#[derive(Debug)]
pub(super) struct Memory {
    room: usize,
    process: u32,
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
    state: State,
    moment: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Claimed,
    Done,
}

impl Memory {
    /// One for `room` deliveries.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room: room.max(1),
            process: std::process::id(),
            entries: HashMap::new(),
            by_moment: BTreeSet::new(),
            by_end: BTreeSet::new(),
            forgotten: None,
        }
    }

    fn check_process(&self) -> Result<()> {
        if self.process != std::process::id() {
            return Err(Error::state(
                "the process was forked since the verifier was made, whose memory of deliveries the two would not share: make it \
                 after the fork, or let a store that processes share remember (`replay`)",
            ));
        }
        Ok(())
    }

    fn state(&self, ids: &Ids, now: Timestamp) -> Option<State> {
        self.entries.get(&ids.claim).filter(|entry| entry.until > now).map(|entry| entry.state)
    }

    fn claim(&mut self, ids: &Ids, moment: Timestamp, until: Timestamp, now: Timestamp) -> Result<()> {
        match self.state(ids, now) {
            Some(State::Done) => return Err(replayed()),
            Some(State::Claimed) => return Err(being_handled()),
            None => {}
        }
        if self.forgotten.is_some_and(|forgotten| moment <= forgotten)
            && !self.entries.contains_key(&ids.claim)
        {
            return Err(Error::new(
                ErrorCode::WebhookStale,
                "the webhook is older than what this process remembers, so that it may have been handled before: raise \
                 `replay_memory`, or let a store remember (`replay`)",
            ));
        }
        self.keep(ids.claim, Entry { state: State::Claimed, moment, until }, now);
        Ok(())
    }

    fn confirm(&mut self, ids: &Ids, moment: Timestamp, until: Timestamp, now: Timestamp) {
        self.keep(ids.claim, Entry { state: State::Done, moment, until }, now);
    }

    fn release(&mut self, ids: &Ids) {
        if self.entries.get(&ids.claim).is_some_and(|entry| entry.state == State::Claimed) {
            self.forget(&ids.claim);
        }
    }

    fn keep(&mut self, id: Fingerprint, entry: Entry, now: Timestamp) {
        self.forget(&id);
        while let Some((_, ended)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) {
            // The clock may be set back.
            if let Some(entry) = self.entries.get(&ended).filter(|entry| entry.state == State::Done) {
                self.forgotten = self.forgotten.max(Some(entry.moment));
            }
            self.forget(&ended);
        }
        while self.entries.len() >= self.room {
            let Some((moment, oldest)) = self.by_moment.first().copied() else { break };
            self.forget(&oldest);
            self.forgotten = self.forgotten.max(Some(moment));
        }
        self.entries.insert(id, entry);
        self.by_moment.insert((entry.moment, id));
        self.by_end.insert((entry.until, id));
    }

    fn forget(&mut self, id: &Fingerprint) {
        if let Some(entry) = self.entries.remove(id) {
            self.by_moment.remove(&(entry.moment, *id));
            self.by_end.remove(&(entry.until, *id));
        }
    }
}

/// What something is remembered by: the same in every process, whatever its keys, for those change. What is hashed is no secret.
pub(super) fn id(label: &str, text: &str) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(label.len() as u64).to_be_bytes());
    context.update(label.as_bytes());
    context.update(text.as_bytes());
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

pub(super) fn replayed() -> Error {
    Error::new(
        ErrorCode::WebhookReplayed,
        "the webhook was handled before: do nothing, and answer 200 so that it is not sent again",
    )
}

fn being_handled() -> Error {
    Error::new(
        ErrorCode::LeaseTimeout,
        "the webhook is being handled: do nothing, and answer 503 so that it is sent again if that fails",
    )
    .with_retry_after(COME_AGAIN)
}

const CLAIM_LABEL: &str = "webhook-claim";
const DONE_LABEL: &str = "webhook-done";
const COME_AGAIN: Duration = Duration::from_secs(60);
/// How long a look by claiming lasts where a crash leaves it.
const LOOK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(name: &str) -> Ids {
        Ids { claim: id(CLAIM_LABEL, name), done: id(DONE_LABEL, name) }
    }

    #[test]
    fn a_clock_that_jumps_and_comes_back_forgets_nothing() {
        let mut memory = Memory::new(10);
        let (now, later) = (Timestamp(1_000), Timestamp(1_000_000));
        memory.claim(&ids("a"), now, Timestamp(2_000), now).unwrap();
        memory.confirm(&ids("a"), now, Timestamp(3_000), now);
        memory.claim(&ids("b"), later, Timestamp(2_000_000), later).unwrap();
        let error = memory.claim(&ids("a"), now, Timestamp(2_000), now).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WebhookStale);
        memory.claim(&ids("c"), Timestamp(1_001), Timestamp(2_000), now).unwrap();
    }

    #[test]
    fn a_forked_child_has_no_memory() {
        let mut memory = Memory::new(10);
        memory.check_process().unwrap();
        memory.process ^= 1;
        let replay = Replay::Memory(Arc::new(Mutex::new(memory)), None);
        assert_eq!(replay.check().unwrap_err().code(), ErrorCode::InvalidState);
    }
}
