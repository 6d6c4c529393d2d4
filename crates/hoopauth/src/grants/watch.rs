//! What others do to the grants in a store: seen within seconds, by a look at the store's count of
//! changes.
//!
//! The hot path pays nothing for it: the clock that it asks also tells when a look is due, and the
//! one caller that comes then looks. What changed elsewhere is read again when its account is next
//! asked for, nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::account::Account;
use crate::snapshot::{Moment, Snapshot};
use crate::callback::calling;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::patience::{Patience, QUICK};
use crate::refresh::Need;
use crate::store::WINDOW;

/// What a client knows of the changes in a store that it shares.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The count of changes that all snapshots are from or younger than; known before the first one
    /// is read.
    seen: OnceCell<AtomicU64>,
    /// Whether open marks were looked for.
    opened: AtomicBool,
    /// Whether the last look failed, and was told.
    failing: AtomicBool,
    /// How many looks in a row took long, whatever came of them.
    slow: AtomicU32,
}

/// What becomes of the caller that comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// It has a token that is good: it must not wait for the store.
    Living,
    /// It needs the store anyway.
    None,
}

impl Watch {
    /// The time that the store has beside a caller with a good token: none while it is in trouble,
    /// for what our own stores were asked for then comes to its end without the caller, and the
    /// next one sees it.
    fn quick(&self) -> Patience {
        Patience::of(if self.failing.load(Ordering::Relaxed) { Duration::ZERO } else { QUICK })
    }
}

impl Inner {
    /// What comes before a look into the cache that may end in the store: a look for what others
    /// changed, if it is due. An error only where nothing was ever read under this watch.
    pub(crate) fn watch_store(&self, bearer: Bearer) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let quick = (bearer == Bearer::Living).then(|| watch.quick());
        let seen = self.first_seen(watch).inspect_err(|error| {
            self.clock.take_look(LOOK);
            self.tell_trouble(error);
        })?;
        drop(quick);
        if self.clock.take_look(LOOK) {
            self.look_quickly(watch, seen);
        }
        Ok(())
    }

    /// A look that delays its caller for a moment at most, and not even that while the store is
    /// known not to answer. Our own stores keep to that; a host's that takes longer is asked ever
    /// less often.
    fn look_quickly(&self, watch: &Watch, seen: &AtomicU64) {
        let start = Instant::now();
        let quick = watch.quick();
        let count = calling(|| self.store.changes());
        drop(quick);
        let took = start.elapsed();
        let looked = count.and_then(|count| self.take_in(seen, count));
        if took > QUICK * 3 / 2 {
            let slow = watch.slow.fetch_add(1, Ordering::Relaxed).min(MOST_DOUBLINGS);
            self.clock.look_after(LOOK * 2_u32.pow(slow + 1));
        } else {
            watch.slow.store(0, Ordering::Relaxed);
            if looked.is_err() {
                self.clock.look_after(AGAIN);
            }
        }
        match looked {
            Ok(()) => watch.failing.store(false, Ordering::Relaxed),
            Err(error) => self.tell_trouble(&error),
        }
    }

    /// The count of changes before which nothing was read.
    fn first_seen<'a>(&self, watch: &'a Watch) -> Result<&'a AtomicU64> {
        if let Some(seen) = watch.seen.get() {
            return Ok(seen);
        }
        // Asked without a lock: a store of the host's may let another green thread of this thread
        // run, which then comes here. Of several who ask at once, the first to be here counts, for
        // each reads what it publishes later.
        let seen = calling(|| self.store.changes())?;
        self.clock.take_look(LOOK);
        Ok(watch.seen.get_or_init(|| AtomicU64::new(seen)))
    }

    /// Has those accounts read again that were changed by the time that the count of changes was
    /// `now`.
    fn take_in(&self, seen: &AtomicU64, now: u64) -> Result<()> {
        let before = seen.load(Ordering::SeqCst);
        if now == before {
            return Ok(());
        }
        // The store has just answered: here it gets its time.
        let _quick = Patience::of(QUICK);
        let changed = calling(|| self.store.changed(&self.settings.app, before))?;
        // First the count: whoever reads a row from here on and publishes it sees that it moved. Of
        // two looks at once, the one that comes late leaves it to the next to look again.
        let _ = seen.compare_exchange(before, now, Ordering::SeqCst, Ordering::SeqCst);
        match changed {
            Some(changed) => {
                for (account, generation) in changed {
                    self.cache.suspect(account.as_str(), generation);
                }
            }
            None => self.cache.suspect_all(),
        }
        Ok(())
    }

    /// The count of changes that was seen last; `None` where the store does not tell. Asked for
    /// before a row is read or written, for [`publish`](Self::publish).
    pub(crate) fn seen(&self) -> Option<u64> {
        match &self.watch {
            None => Some(0),
            Some(watch) => self.first_seen(watch).ok().map(|seen| seen.load(Ordering::SeqCst)),
        }
    }

    /// Publishes what was read or written when `seen` had been seen. If a look came between, it did
    /// not know of this.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>, seen: Option<u64>) {
        let published = Arc::clone(&snapshot);
        self.cache.publish(snapshot);
        if seen.is_none() || self.seen() != seen {
            self.cache.suspect(published.name(), u64::MAX);
        }
    }

    /// Reads an account that others may have changed. While that can't be done, the token is served
    /// for as long as it lives.
    pub(crate) fn read_suspect(
        &self,
        account: &Account,
        cached: &Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>> {
        let living = !cached.is_hard(&self.clock) && !self.is_refused(cached);
        let quick = self.watch.as_ref().filter(|_| living).map(Watch::quick);
        let start = Instant::now();
        let read = self.load(account).and_then(|record| self.open_live(account, record));
        drop(quick);
        let snapshot = match read {
            Ok((record, grant)) => {
                let stored = self.snapshot_of(&grant, record.generation);
                if stored.generation == cached.generation && stored.same_token(cached) {
                    Arc::new(stored.aged_as(cached))
                } else {
                    stored
                }
            }
            Err(error) if error.code() == ErrorCode::NoGrant => {
                self.cache.forget(account.as_str());
                return Err(error);
            }
            // It is refreshed, which reads the store too.
            Err(_) if !living => return Ok(Arc::clone(cached)),
            Err(error) => {
                if start.elapsed() >= QUICK {
                    // The other accounts need not find out one by one.
                    self.tell_trouble(&error);
                }
                if cached.is_unread() {
                    tracing::warn!(%account, %error, "the store can't be read, so changes made elsewhere are not seen; the token is served while it lives");
                }
                let again = Moment::at(self.clock.now().plus(LOOK), &self.clock);
                Arc::new(cached.suspected(again.earlier(cached.hard())))
            }
        };
        self.cache.replace(cached, Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Once for each time that the store can't be asked.
    fn tell_trouble(&self, error: &Error) {
        if self.watch.as_ref().is_some_and(|watch| !watch.failing.swap(true, Ordering::Relaxed)) {
            tracing::warn!(%error, "the store does not answer, so changes made elsewhere are not seen; living tokens are served meanwhile");
        }
    }

    /// Finishes what a crash left open a moment ago, while the platform still answers it: once for
    /// each client, after its first call, for `called`, has what it came for. The rest waits for
    /// its callers, or for maintenance.
    ///
    /// It runs on a thread of its own, which ends with the last of them. A call for one account
    /// never waits for another's.
    pub(crate) fn finish_fresh_marks(&self, called: &Account) {
        let Some(watch) = &self.watch else { return };
        if watch.seen.get().is_none() || watch.opened.swap(true, Ordering::Relaxed) {
            return;
        }
        let marks = match calling(|| self.store.open_marks(&self.settings.app)) {
            Ok(marks) => marks,
            Err(error) => {
                // The next call looks again.
                watch.opened.store(false, Ordering::Relaxed);
                return self.tell_trouble(&error);
            }
        };
        let others =
            marks.into_iter().filter(|account| account != called && !self.is_unsaved(account));
        let others: Vec<_> = others.collect();
        if others.is_empty() {
            return;
        }
        // Whoever brings a clock expects that nothing happens between its ticks.
        let Some(inner) = self.me.upgrade().filter(|_| self.clock.is_system()) else {
            let fresh = others.iter().filter(|account| self.has_fresh_mark(account));
            return fresh.for_each(|account| self.recover(account));
        };
        // Counted from here on: a client that closes waits for it.
        let counted = self.calls.enter();
        let work = move || {
            let _counted = counted;
            for account in others {
                if inner.check_open().is_err() {
                    return;
                }
                let _call = inner.begin_call();
                if inner.has_fresh_mark(&account) {
                    inner.recover(&account);
                }
            }
        };
        if let Err(error) =
            std::thread::Builder::new().name("hoopauth-recovery".to_owned()).spawn(work)
        {
            tracing::warn!(%error, "no thread could be started to finish refreshes that a crash interrupted; their accounts' next calls do it");
        }
    }

    fn has_fresh_mark(&self, account: &Account) -> bool {
        let record = self.load(account).ok().flatten();
        record.and_then(|record| record.mark).is_some_and(|mark| mark.age < WINDOW)
    }

    /// Finishes an open refresh, unless its holder is still at it.
    pub(crate) fn recover(&self, account: &Account) {
        match self.renew(account, &Need::Recover) {
            Some(Err(error)) if error.code() != ErrorCode::LeaseTimeout => {
                tracing::warn!(%account, %error, "a refresh that was interrupted could not be finished; it is tried again");
            }
            _ => {}
        }
    }
}

/// From one look at a shared store to the next: with the look itself, no more than five seconds.
pub(crate) const LOOK: Duration = Duration::from_secs(4);
/// From one that failed to the next.
const AGAIN: Duration = Duration::from_secs(1);
/// Of the time between looks, where they take long: a minute.
const MOST_DOUBLINGS: u32 = 3;
