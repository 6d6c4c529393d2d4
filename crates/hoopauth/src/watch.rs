//! What others do to the grants in a store: seen within seconds, by a look at the store's count of changes.
//!
//! The hot path pays nothing for it: the clock that it asks also tells when a look is due, and the one caller that comes then
//! looks. What changed elsewhere is read again when its account is next asked for, nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::sync::OnceCell;

use crate::account::Account;
use crate::cache::{Moment, Snapshot};
use crate::callback::calling;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::refresh::{Need, WINDOW};

/// What a client knows of the changes in a store that it shares.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The count of changes that all snapshots are from or younger than; known before the first one is read.
    seen: OnceCell<AtomicU64>,
    /// Whether open marks were looked for.
    opened: AtomicBool,
    /// Whether the last look failed, and was told.
    failing: AtomicBool,
}

impl Inner {
    /// What comes before a look into the cache that may end in the store: a look for what others changed, if it is due. At the
    /// first time also for what a crash left open. An error only where nothing was ever read under this watch.
    pub(crate) fn watch_store(&self) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let seen = self.first_seen(watch).inspect_err(|_| {
            self.clock.take_look(LOOK);
        })?;
        if !watch.opened.swap(true, Ordering::Relaxed) {
            self.finish_fresh_marks();
        }
        if self.clock.take_look(LOOK) {
            match self.look(seen) {
                Ok(()) => watch.failing.store(false, Ordering::Relaxed),
                Err(error) => self.tell_trouble(&error),
            }
        }
        Ok(())
    }

    /// The count of changes before which nothing was read.
    fn first_seen<'a>(&self, watch: &'a Watch) -> Result<&'a AtomicU64> {
        if let Some(seen) = watch.seen.get() {
            return Ok(seen);
        }
        // Asked without a lock: a store of the host's may let another green thread of this thread run, which then comes here.
        let seen = calling(|| self.store.changes())?;
        self.clock.take_look(LOOK);
        // Of several who ask at once, the first to be here counts, for each reads what it publishes later.
        Ok(watch.seen.get_or_init(|| AtomicU64::new(seen)))
    }

    fn look(&self, seen: &AtomicU64) -> Result<()> {
        let before = seen.load(Ordering::SeqCst);
        let now = calling(|| self.store.changes())?;
        if now == before {
            return Ok(());
        }
        let changed = calling(|| self.store.changed(&self.settings.app, before))?;
        // First the count: whoever reads a row from here on and publishes it sees that it moved. Of two looks at once, the one
        // that comes late leaves it to the next to look again.
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

    /// The count of changes that was seen last; `None` where the store does not tell. Asked for before a row is read or written,
    /// for [`publish`](Self::publish).
    pub(crate) fn seen(&self) -> Option<u64> {
        match &self.watch {
            None => Some(0),
            Some(watch) => self.first_seen(watch).ok().map(|seen| seen.load(Ordering::SeqCst)),
        }
    }

    /// Publishes what was read or written when `seen` had been seen. If a look came between, it did not know of this.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>, seen: Option<u64>) {
        let published = Arc::clone(&snapshot);
        self.cache.publish(snapshot);
        if seen.is_none() || self.seen() != seen {
            self.cache.suspect(published.name(), u64::MAX);
        }
    }

    /// Reads an account that others may have changed. While that can't be done, the token is served for as long as it lives.
    pub(crate) fn read_suspect(&self, account: &Account, cached: &Arc<Snapshot>) -> Result<Arc<Snapshot>> {
        let read = self.load(account).and_then(|record| self.open_live(account, record));
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
            Err(_) if cached.is_hard(&self.clock) || self.is_refused(cached) => {
                return Ok(Arc::clone(cached));
            }
            Err(error) => {
                if cached.is_unread() {
                    tracing::warn!(%account, %error, "what others changed can't be read; the token is served while it lives");
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
            tracing::warn!(%error, "the store can't be asked for changes; living tokens are served meanwhile");
        }
    }

    /// What a crash left open a moment ago is asked for again while the platform still answers it. The rest waits for its
    /// callers, or for maintenance.
    fn finish_fresh_marks(&self) {
        let marks = match calling(|| self.store.open_marks(&self.settings.app)) {
            Ok(marks) => marks,
            Err(error) => return self.tell_trouble(&error),
        };
        for account in marks {
            if self.at_most(self.settings.attempt_timeout).is_zero() {
                return;
            }
            let record = self.load(&account).ok().flatten();
            if record.and_then(|record| record.mark).is_some_and(|mark| mark.age < WINDOW) {
                self.recover(&account);
            }
        }
    }

    /// Finishes an open refresh, unless its holder is still at it.
    pub(crate) fn recover(&self, account: &Account) {
        match self.renew(account, &Need::Recover) {
            Some(Err(error)) if error.code() != ErrorCode::LeaseTimeout => {
                tracing::warn!(%account, %error, "an open refresh could not be finished yet");
            }
            _ => {}
        }
    }
}

/// From one look at a shared store to the next: with the look itself, no more than five seconds.
pub(crate) const LOOK: Duration = Duration::from_secs(4);
