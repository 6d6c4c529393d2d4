//! The watch: it notices changes of others in a store within seconds, by the store's count of
//! changes.
//!
//! The hot path pays nothing for it: the clock that it asks also tells when a look is due, and the
//! one caller that comes then looks. An account that was changed elsewhere is read again when it is
//! next asked for; nothing else is.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::cache::Cache;
use crate::clock::ClientClock;
use crate::error::{Error, Result};
use crate::patience::{Patience, QUICK};
use crate::store::AppStore;

/// Knowledge of a client about the changes in a store that it shares.
#[derive(Debug)]
pub(crate) struct Watch {
    store: AppStore,
    /// Count of changes at or after which all snapshots were read. It is known before the first one
    /// is read.
    seen: OnceCell<AtomicU64>,
    /// Open marks were looked for.
    opened: AtomicBool,
    /// The last look failed, and that was told.
    failing: AtomicBool,
    /// Number of looks in a row that took long.
    slow: AtomicU32,
}

/// Kind of the caller that comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// The caller has a good token: it must not wait for the store.
    Living,
    /// The caller needs the store anyway.
    None,
}

impl Watch {
    pub(crate) fn new(store: AppStore) -> Self {
        Self {
            store,
            seen: OnceCell::new(),
            opened: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            slow: AtomicU32::new(0),
        }
    }

    /// Begins the time that the store has beside a caller with a good token.
    ///
    /// A store in trouble gets no time: a request to our own stores then ends without its caller,
    /// and the next caller sees the result.
    pub(crate) fn quick(&self) -> Patience {
        Patience::of(if self.failing.load(Ordering::Relaxed) { Duration::ZERO } else { QUICK })
    }

    /// Returns `true` once the count of changes was read.
    pub(crate) fn has_begun(&self) -> bool {
        self.seen.get().is_some()
    }

    /// Returns `true` for the first caller that asks, who then looks for open marks.
    pub(crate) fn take_open_marks(&self) -> bool {
        !self.opened.swap(true, Ordering::Relaxed)
    }

    /// Lets the next caller look for open marks, because this one failed.
    pub(crate) fn give_back_open_marks(&self) {
        self.opened.store(false, Ordering::Relaxed);
    }

    /// Looks for changes that others made, if a look is due. Fails only if the count of changes was
    /// never read.
    pub(crate) fn look_if_due(
        &self,
        cache: &Cache,
        clock: &ClientClock,
        bearer: Bearer,
    ) -> Result<()> {
        let quick = (bearer == Bearer::Living).then(|| self.quick());
        let seen = self.first_seen(clock).inspect_err(|error| {
            clock.take_look(LOOK_EVERY);
            self.tell_trouble(error);
        })?;
        drop(quick);
        if clock.take_look(LOOK_EVERY) {
            self.look_quickly(cache, clock, seen);
        }
        Ok(())
    }

    /// Looks, and delays its caller for a moment at most; not even that while the store is known
    /// not to answer. Our own stores keep to that. A store of the program that takes longer is
    /// asked ever less often.
    fn look_quickly(&self, cache: &Cache, clock: &ClientClock, seen: &AtomicU64) {
        let start = Instant::now();
        let quick = self.quick();
        let count = self.store.changes();
        drop(quick);
        let took = start.elapsed();
        let looked = count.and_then(|count| self.take_in(cache, seen, count));
        if took > QUICK * 3 / 2 {
            let slow = self.slow.fetch_add(1, Ordering::Relaxed).min(MOST_DOUBLINGS);
            clock.look_after(LOOK_EVERY * 2_u32.pow(slow + 1));
        } else {
            self.slow.store(0, Ordering::Relaxed);
            if looked.is_err() {
                clock.look_after(AGAIN);
            }
        }
        match looked {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => self.tell_trouble(&error),
        }
    }

    /// Returns the count of changes before which nothing was read.
    fn first_seen(&self, clock: &ClientClock) -> Result<&AtomicU64> {
        if let Some(seen) = self.seen.get() {
            return Ok(seen);
        }
        // Asked without a lock: a store of the program may let another green thread of this thread
        // run, which then comes here. Of several that ask at once, the first answer counts, because
        // each caller reads what it publishes later.
        let seen = self.store.changes()?;
        clock.take_look(LOOK_EVERY);
        Ok(self.seen.get_or_init(|| AtomicU64::new(seen)))
    }

    /// Marks the accounts as suspect that were changed by the time that the count was `now`.
    fn take_in(&self, cache: &Cache, seen: &AtomicU64, now: u64) -> Result<()> {
        let before = seen.load(Ordering::SeqCst);
        if now == before {
            return Ok(());
        }
        // The store has just answered: here it gets its time.
        let _quick = Patience::of(QUICK);
        let changed = self.store.changed(before)?;
        // First the count: whoever reads a row from here on and publishes it sees that it moved. Of
        // two looks at once, the late one leaves it to the next to look again.
        let _ = seen.compare_exchange(before, now, Ordering::SeqCst, Ordering::SeqCst);
        match changed {
            Some(changed) => {
                for (account, generation) in changed {
                    cache.suspect(account.as_str(), generation);
                }
            }
            None => cache.suspect_all(),
        }
        Ok(())
    }

    /// Returns the count of changes that was seen last, or `None` if the store does not tell.
    pub(crate) fn changes_seen(&self, clock: &ClientClock) -> Option<u64> {
        self.first_seen(clock).ok().map(|seen| seen.load(Ordering::SeqCst))
    }

    /// Logs that the store does not answer, once each time that this begins.
    pub(crate) fn tell_trouble(&self, error: &Error) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %error,
                "the store does not answer, so changes made elsewhere are not seen; living tokens \
                 are served meanwhile"
            );
        }
    }
}

/// Time between two looks at a shared store. With the look itself, others' changes are seen within
/// five seconds.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(4);
/// Time from a look that failed to the next.
const AGAIN: Duration = Duration::from_secs(1);
/// Most doublings of the time between looks that take long: a minute.
const MOST_DOUBLINGS: u32 = 3;
