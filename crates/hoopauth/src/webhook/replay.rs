//! That each delivery is handled once: who has it, and which ones were handled.
//!
//! A delivery is claimed while it is handled. The claim ends by itself, so that the platform's next
//! try is accepted where a handler died with it; confirmed, it is remembered for as long as it
//! could come again.

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
    /// Those that were, and that can't be told from a later one.
    pub(super) indistinct: Duration,
}

/// A delivery's place in what is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    claim: Fingerprint,
    done: Fingerprint,
}

impl Ids {
    pub(super) fn of(event: &WebhookEvent) -> Self {
        Self {
            claim: id(CLAIM_LABEL, event.webhook_id()),
            done: id(DONE_LABEL, event.webhook_id()),
        }
    }
}

impl Replay {
    /// Refuses a client that was closed, and a forked child: what its parent remembers it does not
    /// learn of. `INVALID_STATE`.
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

    /// Claims a delivery. `WEBHOOK_REPLAYED` if it was handled, `LEASE_TIMEOUT` while it is being
    /// handled, `WEBHOOK_STALE` if that can't be told any more.
    pub(super) fn claim(
        &self,
        ids: &Ids,
        event: &WebhookEvent,
        lives: Lives,
        now: Timestamp,
    ) -> Result<()> {
        let until = now.plus(lives.claim);
        match self {
            Self::Off => Ok(()),
            Self::Memory(memory, _) => lock(memory).claim(ids, event.timestamp(), until, now),
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
        let until = now.plus(if event.is_indistinct() { lives.indistinct } else { lives.done });
        match self {
            Self::Off => {}
            Self::Memory(memory, _) => lock(memory).confirm(ids, event.timestamp(), until, now),
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
        return Err(if claimed(inner, &ids.done, now)? == Some(true) {
            replayed()
        } else {
            being_handled()
        });
    }
    // Whoever had it may have confirmed it since the first look. A store that can't be asked is
    // asked by claiming, which nobody else does who has no claim of the delivery.
    let done = match claimed(inner, &ids.done, now) {
        Ok(Some(done)) => Ok(done),
        Ok(None) => claim(inner, &ids.done, now.plus(LOOK), now).and_then(|free| {
            if free { unclaim(inner, &ids.done).map(|()| false) } else { Ok(true) }
        }),
        Err(error) => Err(error),
    };
    match done {
        Ok(false) => Ok(()),
        done => {
            if let Err(error) = unclaim(inner, &ids.claim) {
                tracing::warn!(%error, "a webhook could not be released in the store; it is accepted again after `claim_seconds`");
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

/// A bounded memory. What it forgets for want of room it takes for handled, and with it all that is
/// as old.
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
    /// When its event happened; when it came, if it does not say.
    moment: Timestamp,
    is_dated: bool,
    until: Timestamp,
}

impl Entry {
    fn new(state: State, moment: Option<Timestamp>, until: Timestamp, now: Timestamp) -> Self {
        Self { state, moment: moment.unwrap_or(now), is_dated: moment.is_some(), until }
    }
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
                "the process was forked after the verifier was made, and the two processes don't share what it remembers: make the \
                 verifier after the fork, or make it with a client whose store they share (`replay` = `store`)",
            ));
        }
        Ok(())
    }

    fn state(&self, ids: &Ids, now: Timestamp) -> Option<State> {
        self.entries.get(&ids.claim).filter(|entry| entry.until > now).map(|entry| entry.state)
    }

    fn claim(
        &mut self,
        ids: &Ids,
        moment: Option<Timestamp>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        match self.state(ids, now) {
            Some(State::Done) => return Err(replayed()),
            Some(State::Claimed) => return Err(being_handled()),
            None => {}
        }
        if self.forgotten.is_some_and(|forgotten| moment.unwrap_or(now) <= forgotten)
            && !self.entries.contains_key(&ids.claim)
        {
            return Err(Error::new(
                ErrorCode::WebhookStale,
                "the webhook is older than what this process remembers, so it may have been handled before: answer 400, and raise \
                 `replay_memory`, or set `replay` to `store`",
            ));
        }
        self.keep(ids.claim, Entry::new(State::Claimed, moment, until, now), now);
        Ok(())
    }

    fn confirm(&mut self, ids: &Ids, moment: Option<Timestamp>, until: Timestamp, now: Timestamp) {
        self.keep(ids.claim, Entry::new(State::Done, moment, until, now), now);
    }

    fn release(&mut self, ids: &Ids) {
        if self.entries.get(&ids.claim).is_some_and(|entry| entry.state == State::Claimed) {
            self.forget(&ids.claim);
        }
    }

    fn keep(&mut self, id: Fingerprint, entry: Entry, now: Timestamp) {
        self.forget(&id);
        while let Some((_, ended)) = self.by_end.first().copied().filter(|(until, _)| *until <= now)
        {
            // The clock may be set back. What has no date was no event of a date that could come
            // again.
            if let Some(entry) =
                self.forget(&ended).filter(|entry| entry.state == State::Done && entry.is_dated)
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

/// What something is remembered by: the same in every process, whatever its keys, for those change.
/// What is hashed is no secret.
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
        "the webhook was handled before: do nothing, and answer 200, so that the platform does not send it again",
    )
}

fn being_handled() -> Error {
    Error::new(
        ErrorCode::LeaseTimeout,
        "this webhook is being handled by another worker: do nothing, and answer 429, so that the platform sends it again in \
         case that worker fails",
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
        memory.claim(&ids("a"), Some(now), Timestamp(2_000), now).unwrap();
        memory.confirm(&ids("a"), Some(now), Timestamp(3_000), now);
        memory.claim(&ids("b"), Some(later), Timestamp(2_000_000), later).unwrap();
        let error = memory.claim(&ids("a"), Some(now), Timestamp(2_000), now).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WebhookStale);
        memory.claim(&ids("c"), Some(Timestamp(1_001)), Timestamp(2_000), now).unwrap();
    }

    #[test]
    fn what_has_no_date_shortens_no_age() {
        let mut memory = Memory::new(2);
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        for (name, now) in [("a", 1), ("b", 2), ("c", 3)] {
            memory.claim(&ids(name), None, at(10), at(now)).unwrap();
            memory.confirm(&ids(name), None, at(10), at(now));
        }
        // One was forgotten for want of room, the others at their end: an older event with a date
        // is still accepted.
        memory.claim(&ids("d"), Some(at(0)), at(100), at(20)).unwrap();
        // The same bytes again are another event by then.
        memory.claim(&ids("c"), None, at(100), at(20)).unwrap();
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
