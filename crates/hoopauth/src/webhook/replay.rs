//! Replay: each delivery is handled once. The claims of deliveries, and the memory of handled ones.
//!
//! A delivery is claimed while it is handled. The claim ends by itself, so that the platform's next
//! try is accepted where a handler died with it; confirmed, it is remembered for as long as it
//! could come again.

use std::sync::Arc;
use std::time::Duration;

use super::event::WebhookEvent;
use crate::clock::Timestamp;
use crate::deliveries::{Deliveries, DeliveryIds, DeliveryState, being_handled, replayed};
use crate::error::Result;
use crate::inner::Inner;
use crate::store::Fingerprint;
use crate::sync::{Mutex, lock};

/// Place where deliveries are remembered.
pub(super) enum Replay {
    /// Nowhere: the program does it.
    Off,
    /// In this process, for all verifiers of a client.
    Memory(Arc<Mutex<Deliveries>>, Option<Arc<Inner>>),
    /// In a client's store, for all who share it.
    Store(Arc<Inner>),
}

/// Times for which deliveries are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lives {
    /// Time of a claim: the delivery is being handled.
    pub(super) claim: Duration,
    /// Time of a handled delivery.
    pub(super) done: Duration,
    /// Time of a handled delivery that can't be told from a later one.
    pub(super) indistinct: Duration,
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

    /// Returns `true` if a delivery was handled before.
    pub(super) fn is_done(&self, ids: &DeliveryIds, now: Timestamp) -> Result<bool> {
        match self {
            Self::Off => Ok(false),
            Self::Memory(memory, _) => {
                Ok(lock(memory).state(ids, now) == Some(DeliveryState::Done))
            }
            Self::Store(inner) => Ok(claimed(inner, &ids.done, now)? == Some(true)),
        }
    }

    /// Claims a delivery. `WEBHOOK_REPLAYED` if it was handled, `LEASE_TIMEOUT` while it is being
    /// handled, `WEBHOOK_STALE` if that can't be told any more.
    pub(super) fn claim(
        &self,
        ids: &DeliveryIds,
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
        ids: &DeliveryIds,
        event: &WebhookEvent,
        lives: Lives,
        now: Timestamp,
    ) -> Result<()> {
        let until = now.plus(if event.is_indistinct() { lives.indistinct } else { lives.done });
        match self {
            Self::Off => {}
            Self::Memory(memory, _) => lock(memory).confirm(ids, event.timestamp(), until, now),
            Self::Store(inner) => {
                let _call = inner.begin_call();
                // A note that a look left there would end too early.
                inner.grants().store.claim_anew(&ids.done, until, now)?;
            }
        }
        Ok(())
    }

    /// Forgets a claim.
    pub(super) fn release(&self, ids: &DeliveryIds) -> Result<()> {
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

/// Claims a delivery. If several workers try at once, in any processes, one gets the claim.
fn claim_in_store(
    inner: &Inner,
    ids: &DeliveryIds,
    until: Timestamp,
    now: Timestamp,
) -> Result<()> {
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
        Ok(None) => claim(inner, &ids.done, now.plus(LOOK_BY_CLAIM), now).and_then(|free| {
            if free { unclaim(inner, &ids.done).map(|()| false) } else { Ok(true) }
        }),
        Err(error) => Err(error),
    };
    match done {
        Ok(false) => Ok(()),
        done => {
            if let Err(error) = unclaim(inner, &ids.claim) {
                tracing::warn!(%error, "a webhook could not be released in the store; it is \
                                        accepted again after `claim_seconds`");
            }
            Err(done.err().unwrap_or_else(replayed))
        }
    }
}

fn claim(inner: &Inner, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
    let _call = inner.begin_call();
    inner.grants().store.claim(id, until, now)
}

fn claimed(inner: &Inner, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
    let _call = inner.begin_call();
    inner.grants().store.claimed(id, now)
}

fn unclaim(inner: &Inner, id: &Fingerprint) -> Result<()> {
    let _call = inner.begin_call();
    inner.grants().store.unclaim(id)
}

/// Time that a claim lasts which a crash left behind after a look.
const LOOK_BY_CLAIM: Duration = Duration::from_secs(5);
