//! The cache: the snapshot of each account, found without a lock.
//!
//! The table is open addressing over (tag, snapshot) pairs: one line of the table and one of the
//! snapshot make a hit. Readers load atomics only; writers of one shard take turns.
//!
//! Maintained maps were measured (`docs/architecture.md` has the figures). They take about as many
//! instructions, but each breaks a promise: `papaya` may hang a forked child, `scc` keeps removed
//! tokens in memory, `dashmap` takes a lock for each call.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;

use crate::account::Account;
use crate::clock::ClientClock;
use crate::snapshot::{Moment, Served, Snapshot};
use crate::sync::{Mutex, lock};

/// Place where a handle finds its account's snapshot; [`Snapshot::nothing`] if there is none.
pub(crate) struct Slot {
    snapshot: ArcSwap<Snapshot>,
    /// Counts the snapshots that stood here: who kept one sees whether it still stands.
    version: AtomicU64,
}

impl Slot {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot: ArcSwap::new(snapshot), version: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn load(&self) -> Served {
        self.snapshot.load()
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn store(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Has it read again, unless it is of `generation` or later. For the holder of the writer's
    /// lock.
    fn suspect(&self, generation: u64) {
        let snapshot = self.snapshot.load_full();
        // Nobody's name: there is nothing here.
        if !snapshot.name().is_empty() && snapshot.generation < generation && !snapshot.is_unread()
        {
            self.store(Arc::new(snapshot.suspected(Moment::PAST)));
        }
    }
}

/// All snapshots of a client.
pub(crate) struct Cache {
    hasher: foldhash::quality::RandomState,
    shards: Box<[Shard]>,
    /// The most snapshots a shard keeps.
    limit: usize,
    /// Nothing is published any more.
    closed: AtomicBool,
}

impl Cache {
    /// A cache for `limit` accounts; 0 is unbounded.
    pub(crate) fn new(limit: u64) -> Self {
        let shards = if limit == 0 || limit > 4096 { SHARDS } else { 1 };
        let limit = if limit == 0 {
            usize::MAX
        } else {
            usize::try_from(limit).unwrap_or(usize::MAX).div_ceil(shards)
        };
        let nothing = Arc::new(Snapshot::nothing());
        Self {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..shards).map(|_| Shard::new(&nothing)).collect(),
            limit,
            closed: AtomicBool::new(false),
        }
    }

    /// The snapshot of an account, if it is ready. Takes no lock; may miss one that is being moved.
    #[allow(
        clippy::inline_always,
        reason = "the hot path: what is called from it is a third of it"
    )]
    #[inline(always)]
    pub(crate) fn fresh(&self, name: &[u8], clock: &ClientClock) -> Option<Served> {
        let tag = self.tag(name);
        let (snapshot, now) = self.shard(tag).find(tag, name, || clock.quick())?;
        (!snapshot.soft.had_come(now)).then_some(snapshot)
    }

    /// The snapshot of an account, fresh or not.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Snapshot>> {
        let name = name.as_bytes();
        let tag = self.tag(name);
        let shard = self.shard(tag);
        let found = shard.find(tag, name, || ()).or_else(|| {
            let _unmoved = lock(&shard.writer);
            shard.find(tag, name, || ())
        });
        found.map(|(snapshot, ())| Served::into_inner(snapshot))
    }

    /// Makes `snapshot` the one that all callers get from now on.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        self.put(snapshot, |_| true);
    }

    /// Publishes as [`publish`](Self::publish) does, unless another snapshot than `old` was
    /// published meanwhile.
    pub(crate) fn replace(&self, old: &Arc<Snapshot>, snapshot: Arc<Snapshot>) {
        self.put(snapshot, |current| current.is_some_and(|current| Arc::ptr_eq(&current, old)));
    }

    fn put(&self, snapshot: Arc<Snapshot>, wanted: impl FnOnce(Option<Served>) -> bool) {
        let tag = self.tag(snapshot.name().as_bytes());
        let shard = self.shard(tag);
        let mut writer = lock(&shard.writer);
        // Looked at under the lock under which closing empties this shard.
        if self.closed.load(Ordering::SeqCst)
            || !wanted(shard.find(tag, snapshot.name().as_bytes(), || ()).map(|(found, ())| found))
        {
            return;
        }
        if let Some(slot) = writer.slots.get(snapshot.name()).and_then(Weak::upgrade) {
            slot.store(Arc::clone(&snapshot));
        }
        shard.put(&mut writer, tag, snapshot, self.limit);
    }

    /// Has an account read again, unless its snapshot is of `generation` or later.
    pub(crate) fn suspect(&self, name: &str, generation: u64) {
        let tag = self.tag(name.as_bytes());
        let shard = self.shard(tag);
        let writer = lock(&shard.writer);
        match shard.find(tag, name.as_bytes(), || ()) {
            Some((snapshot, ())) if snapshot.generation < generation => {
                shard.suspect(&writer, tag, &snapshot);
            }
            Some(_) => {}
            // The table had no room for it: a handle may still serve it.
            None => {
                if let Some(slot) = writer.slots.get(name).and_then(Weak::upgrade) {
                    slot.suspect(generation);
                }
            }
        }
    }

    /// Has all accounts read again.
    pub(crate) fn suspect_all(&self) {
        for shard in &self.shards {
            let writer = lock(&shard.writer);
            for bucket in shard.buckets() {
                let tag = bucket.tag.load(Ordering::Relaxed);
                if tag != 0 {
                    shard.suspect(&writer, tag, &bucket.snapshot.load_full());
                }
            }
            // Those too that handles serve and the table had no room for.
            for slot in writer.slots.values().filter_map(Weak::upgrade) {
                slot.suspect(u64::MAX);
            }
        }
    }

    /// The snapshot of an account, fresh or not, without any lock: in a forked child one may never
    /// be opened again.
    pub(crate) fn inherited(&self, name: &str) -> Option<Arc<Snapshot>> {
        let tag = self.tag(name.as_bytes());
        self.shard(tag)
            .find(tag, name.as_bytes(), || ())
            .map(|(snapshot, ())| Served::into_inner(snapshot))
    }

    /// Forgets the snapshot of an account.
    pub(crate) fn forget(&self, name: &str) {
        let tag = self.tag(name.as_bytes());
        let shard = self.shard(tag);
        let mut writer = lock(&shard.writer);
        if let Some(slot) = writer.slots.get(name).and_then(Weak::upgrade) {
            slot.store(Arc::clone(&shard.nothing));
        }
        if let Some(place) = shard.place(tag, name.as_bytes()) {
            shard.remove(&mut writer, place);
        }
    }

    /// Forgets all, and takes nothing any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.clear();
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut writer = lock(&shard.writer);
            for slot in writer.slots.values().filter_map(Weak::upgrade) {
                slot.store(Arc::clone(&shard.nothing));
            }
            shard.empty(shard.buckets());
            writer.live = 0;
        }
    }

    /// The slot that a handle of this account reads; kept in step with the table while any handle
    /// lives.
    pub(crate) fn slot(&self, account: &Account) -> Arc<Slot> {
        let tag = self.tag(account.as_str().as_bytes());
        let shard = self.shard(tag);
        let mut writer = lock(&shard.writer);
        if let Some(slot) = writer.slots.get(account.as_str()).and_then(Weak::upgrade) {
            return slot;
        }
        if writer.slots.len() >= 2 * writer.slots_swept.max(16) {
            writer.slots.retain(|_, slot| slot.strong_count() > 0);
            writer.slots_swept = writer.slots.len();
        }
        let found = shard.find(tag, account.as_str().as_bytes(), || ());
        let snapshot = found
            .map_or_else(|| Arc::clone(&shard.nothing), |(found, ())| Served::into_inner(found));
        let slot = Arc::new(Slot::new(snapshot));
        writer.slots.insert(account.as_str().into(), Arc::downgrade(&slot));
        slot
    }

    /// Returns the number of cached accounts.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.writer).live).sum()
    }

    #[inline]
    fn tag(&self, name: &[u8]) -> u64 {
        // Zero marks an empty bucket.
        self.hasher.hash_one(name) | 1
    }

    #[inline]
    fn shard(&self, tag: u64) -> &Shard {
        // Their number is a power of two.
        &self.shards[(tag >> 32) as usize & (self.shards.len() - 1)]
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A part of the table, with one writer at a time.
///
/// It grows into a level of twice the size; the old level stays allocated, emptied, so that readers
/// need no guard for the table itself. A reader that meets a writer moving a snapshot may miss it,
/// never get another account's: those who miss look again under the writer's lock before they do
/// anything costly.
struct Shard {
    current: AtomicUsize,
    levels: [OnceLock<Box<[Bucket]>>; LEVELS],
    nothing: Arc<Snapshot>,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    live: usize,
    slots: HashMap<Box<str>, Weak<Slot>>,
    slots_swept: usize,
}

/// A snapshot and the hash of its account's name; the tag 0 ends a probe.
struct Bucket {
    tag: AtomicU64,
    snapshot: ArcSwap<Snapshot>,
}

impl Shard {
    fn new(nothing: &Arc<Snapshot>) -> Self {
        let shard = Self {
            current: AtomicUsize::new(0),
            levels: [const { OnceLock::new() }; LEVELS],
            nothing: Arc::clone(nothing),
            writer: Mutex::new(Writer::default()),
        };
        shard.level(0);
        shard
    }

    /// The buckets of a level, made when first asked for.
    fn level(&self, level: usize) -> &[Bucket] {
        self.levels[level].get_or_init(|| {
            let bucket = || Bucket {
                tag: AtomicU64::new(0),
                snapshot: ArcSwap::new(Arc::clone(&self.nothing)),
            };
            (0..SMALLEST << level).map(|_| bucket()).collect()
        })
    }

    #[inline]
    fn buckets(&self) -> &[Bucket] {
        self.levels[self.current.load(Ordering::Acquire)].get().map_or(&[], |buckets| buckets)
    }

    /// Calls `meanwhile` while the first bucket is on its way from memory. What is done there is
    /// not done behind the snapshot's own way, where it would keep the next call's bucket out of
    /// the processor's sight.
    #[allow(clippy::inline_always, reason = "a part of the hot path")]
    #[inline(always)]
    fn find<T>(&self, tag: u64, name: &[u8], meanwhile: impl FnOnce() -> T) -> Option<(Served, T)> {
        let buckets = self.buckets();
        if probe(buckets, tag).next()?.tag.load(Ordering::Acquire) == 0 {
            return None;
        }
        let meanwhile = meanwhile();
        for bucket in probe(buckets, tag) {
            let found = bucket.tag.load(Ordering::Acquire);
            if found == tag {
                let snapshot = bucket.snapshot.load();
                if snapshot.name.is(name) {
                    return Some((snapshot, meanwhile));
                }
            } else if found == 0 {
                return None;
            }
        }
        None
    }

    // The functions below are for the holder of the writer's lock.

    fn put(&self, writer: &mut Writer, tag: u64, snapshot: Arc<Snapshot>, limit: usize) {
        if let Some(place) = self.place(tag, snapshot.name().as_bytes()) {
            self.buckets()[place].snapshot.store(snapshot);
            return;
        }
        let level = self.current.load(Ordering::Relaxed);
        let full = (writer.live + 1) * 4 > self.buckets().len() * 3;
        if writer.live >= limit || (full && level + 1 == LEVELS) {
            // Any victim is right in the long run; the one at the newcomer's place costs no
            // bookkeeping.
            let buckets = self.buckets();
            let occupied = |place: &usize| buckets[*place].tag.load(Ordering::Relaxed) != 0;
            if let Some(victim) = places(buckets.len(), tag).find(occupied) {
                self.remove(writer, victim);
            }
        } else if full {
            let (old, new) = (self.buckets(), self.level(level + 1));
            for bucket in old {
                let tag = bucket.tag.load(Ordering::Relaxed);
                if tag != 0 {
                    insert(new, tag, bucket.snapshot.load_full());
                }
            }
            self.current.store(level + 1, Ordering::Release);
            self.empty(old);
        }
        insert(self.buckets(), tag, snapshot);
        writer.live += 1;
    }

    fn suspect(&self, writer: &Writer, tag: u64, snapshot: &Snapshot) {
        let Some(place) = self.place(tag, snapshot.name().as_bytes()) else { return };
        let suspect = Arc::new(snapshot.suspected(Moment::PAST));
        if let Some(slot) = writer.slots.get(snapshot.name()).and_then(Weak::upgrade) {
            slot.store(Arc::clone(&suspect));
        }
        self.buckets()[place].snapshot.store(suspect);
    }

    fn place(&self, tag: u64, name: &[u8]) -> Option<usize> {
        let buckets = self.buckets();
        for place in places(buckets.len(), tag) {
            let found = buckets[place].tag.load(Ordering::Relaxed);
            if found == tag && buckets[place].snapshot.load().name.is(name) {
                return Some(place);
            } else if found == 0 {
                return None;
            }
        }
        None
    }

    /// Empties a bucket and moves up entries that were pushed past it, so that probes stay short
    /// without gravestones.
    fn remove(&self, writer: &mut Writer, mut hole: usize) {
        let buckets = self.buckets();
        let mask = buckets.len() - 1;
        let mut next = (hole + 1) & mask;
        loop {
            let tag = buckets[next].tag.load(Ordering::Relaxed);
            if tag == 0 {
                break;
            }
            let from_home = next.wrapping_sub(home(tag)) & mask;
            if from_home >= next.wrapping_sub(hole) & mask {
                buckets[hole].snapshot.store(buckets[next].snapshot.load_full());
                buckets[hole].tag.store(tag, Ordering::Release);
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.empty(&buckets[hole..=hole]);
        writer.live -= 1;
    }

    fn empty(&self, buckets: &[Bucket]) {
        for bucket in buckets.iter().filter(|bucket| bucket.tag.load(Ordering::Relaxed) != 0) {
            bucket.tag.store(0, Ordering::Release);
            bucket.snapshot.store(Arc::clone(&self.nothing));
        }
    }
}

/// Takes the first empty bucket; there is one, a level is never full.
fn insert(buckets: &[Bucket], tag: u64, snapshot: Arc<Snapshot>) {
    if let Some(bucket) = probe(buckets, tag).find(|bucket| bucket.tag.load(Ordering::Relaxed) == 0)
    {
        bucket.snapshot.store(snapshot);
        // A reader that sees the tag sees the snapshot.
        bucket.tag.store(tag, Ordering::Release);
    }
}

/// The buckets a tag may stand in, in order.
#[inline]
fn probe(buckets: &[Bucket], tag: u64) -> impl Iterator<Item = &Bucket> {
    let mask = buckets.len().wrapping_sub(1);
    (0..buckets.len()).map(move |step| &buckets[home(tag).wrapping_add(step) & mask])
}

/// Address of those buckets.
fn places(buckets: usize, tag: u64) -> impl Iterator<Item = usize> {
    (0..buckets).map(move |step| home(tag).wrapping_add(step) & buckets.wrapping_sub(1))
}

#[inline]
fn home(tag: u64) -> usize {
    (tag >> 1) as usize
}

const SHARDS: usize = 16;
const SMALLEST: usize = 8;
/// The largest level has 2³⁰ buckets.
const LEVELS: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::snapshot::Constants;
    use std::time::Duration;

    fn snapshot(name: &str, token: &str) -> Arc<Snapshot> {
        let constants = Arc::new(Constants::new("", ""));
        Arc::new(Snapshot::new(name, token, constants, 1))
    }

    #[test]
    fn finds_what_was_published_and_nothing_else() {
        let cache = Cache::new(0);
        for i in 0..10_000 {
            cache.publish(snapshot(&format!("location:{i}"), &i.to_string()));
        }
        cache.publish(snapshot("location:7", "new"));
        assert_eq!(cache.len(), 10_000);
        for i in (0..10_000).filter(|i| *i != 7) {
            assert_eq!(cache.get(&format!("location:{i}")).unwrap().token(), i.to_string());
        }
        assert_eq!(cache.get("location:7").unwrap().token(), "new");
        assert!(cache.get("location:10000").is_none());
        cache.forget("location:7");
        assert!(cache.get("location:7").is_none());
        cache.clear();
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_bounded_cache_stays_bounded() {
        for limit in [1, 10, 5_000] {
            let cache = Cache::new(limit);
            for i in 0..20_000 {
                let name = format!("location:{i}");
                cache.publish(snapshot(&name, "t"));
                assert!(cache.get(&name).is_some());
            }
            assert!(
                cache.len() <= usize::try_from(limit).unwrap().next_multiple_of(SHARDS),
                "{}",
                cache.len()
            );
        }
    }

    #[test]
    fn forgetting_and_publishing_for_ever_does_not_fill_the_table() {
        let cache = Cache::new(0);
        for i in 0..50_000 {
            let name = format!("location:{i}");
            cache.publish(snapshot(&name, "t"));
            cache.forget(&name);
        }
        assert_eq!(cache.len(), 0);
        assert!(cache.shards.iter().all(|shard| shard.buckets().len() == SMALLEST));
    }

    #[test]
    fn handles_follow_the_table() {
        let cache = Cache::new(0);
        let account = Account::location("l").unwrap();
        let slot = cache.slot(&account);
        assert!(slot.load().name().is_empty());
        cache.publish(snapshot(account.as_str(), "a"));
        assert_eq!(slot.load().token(), "a");
        assert!(Arc::ptr_eq(&slot, &cache.slot(&account)));
        cache.forget(account.as_str());
        assert!(slot.load().name().is_empty());
    }

    #[test]
    fn handles_see_what_happens_to_accounts_that_the_table_had_no_room_for() {
        let cache = Cache::new(1);
        let account = Account::location("l").unwrap();
        let slot = cache.slot(&account);
        let evict = || {
            cache.publish(snapshot(account.as_str(), "a"));
            cache.publish(snapshot("location:other", "t"));
            assert!(cache.get(account.as_str()).is_none());
            assert!(slot.load().token() == "a" && !slot.load().is_suspect());
        };
        evict();
        cache.suspect(account.as_str(), 1);
        assert!(!slot.load().is_suspect(), "that generation is the one that is here");
        cache.suspect(account.as_str(), 2);
        assert!(slot.load().is_suspect());
        evict();
        cache.suspect_all();
        assert!(slot.load().is_suspect());
        evict();
        cache.forget(account.as_str());
        assert!(slot.load().name().is_empty());
        evict();
        cache.clear();
        assert!(slot.load().name().is_empty());
        // A handle that has nothing stays that way.
        cache.suspect(account.as_str(), 9);
        cache.suspect_all();
        assert!(slot.load().name().is_empty());
    }

    #[test]
    fn what_others_changed_is_suspect_until_it_is_published_anew() {
        let cache = Cache::new(0);
        let account = Account::location("l").unwrap();
        let slot = cache.slot(&account);
        for i in 0..100 {
            cache.publish(snapshot(&format!("location:{i}"), "t"));
        }
        cache.publish(snapshot(account.as_str(), "a"));
        cache.suspect(account.as_str(), 1);
        assert!(!slot.load().is_suspect(), "that generation is the one that is here");
        cache.suspect("location:unknown", 9);
        cache.suspect(account.as_str(), 2);
        let version = slot.version();
        let clock = ManualClock::new(Timestamp(5));
        let suspect = slot.load();
        assert!(suspect.is_suspect() && !suspect.is_fresh(&clock) && suspect.token() == "a");
        assert!(!suspect.is_expired(&clock), "it can still be served");
        assert!(
            cache.get(account.as_str()).unwrap().is_suspect()
                && !cache.get("location:7").unwrap().is_suspect()
        );
        cache.publish(snapshot(account.as_str(), "b"));
        assert!(!slot.load().is_suspect() && slot.version() > version);
        cache.suspect_all();
        assert!(slot.load().is_suspect());
        assert!((0..100).all(|i| cache.get(&format!("location:{i}")).unwrap().is_suspect()));
    }

    #[test]
    fn only_what_still_stands_is_replaced() {
        let cache = Cache::new(0);
        let name = "location:l";
        cache.publish(snapshot(name, "a"));
        let before = cache.get(name).unwrap();
        cache.suspect(name, 2);
        cache.replace(&before, snapshot(name, "b"));
        assert!(cache.get(name).unwrap().is_suspect(), "the suspicion is not lost");
        cache.replace(&cache.get(name).unwrap(), snapshot(name, "b"));
        assert_eq!(cache.get(name).unwrap().token(), "b");
        cache.forget(name);
        cache.replace(&before, snapshot(name, "c"));
        assert!(cache.get(name).is_none());
    }

    #[test]
    fn long_names_work() {
        let name = format!("location:{}", "x".repeat(100));
        let cache = Cache::new(0);
        cache.publish(snapshot(&name, "a"));
        assert_eq!(cache.get(&name).unwrap().name(), name);
    }

    #[test]
    fn a_moment_comes_on_either_clock() {
        let clock = ManualClock::new(Timestamp(1_000_000));
        let moment = Moment::at(Timestamp(1_060_000), &clock);
        assert!(!moment.has_come(&clock));
        clock.jump_to(Timestamp(-86_400_000));
        assert!(!moment.has_come(&clock));
        clock.advance(Duration::from_secs(60));
        assert!(moment.has_come(&clock));
        clock.jump_to(Timestamp(2_000_000));
        assert!(moment.has_come(&clock));
    }
}
