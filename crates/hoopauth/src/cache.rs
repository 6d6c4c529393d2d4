//! Snapshots: the ready-to-send headers of each account, found without a lock.
//!
//! The table is open addressing over (tag, snapshot) pairs: one line of the table and one of the
//! snapshot make a hit. Readers load atomics only; writers of one shard take turns.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, Guard};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::clock::{ClientClock, Clock, Timestamp};
use crate::headers::Constants;
use crate::secret::constant_time_eq;
use crate::sync::{Mutex, lock};

/// The immutable headers of one account, with the moments at which they stop being good.
///
/// Public for the C ABI, which counts references to it; not part of the crate's interface.
#[repr(C)]
pub struct Snapshot {
    /// Until here, on both clocks, it is served with no further thought.
    soft: Moment,
    /// The account, beside the check: the first line of a snapshot is all that a hit reads.
    name: Name,
    /// With a NUL behind it, for C.
    authorization: Zeroizing<Box<str>>,
    constants: Arc<Constants>,
    /// From here on callers wait for a refresh.
    hard: Moment,
    expires: Moment,
    pub(crate) generation: u64,
    /// The store may hold something newer: it is read again before this is served.
    suspect: bool,
}

/// A moment on the wall clock and on the monotonic one. It has come when it has come on either: the
/// wall clock counts through a suspended machine, the monotonic one through a clock set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    wall: i64,
    monotonic: u64,
}

impl Moment {
    pub(crate) const NEVER: Self = Self { wall: i64::MAX, monotonic: u64::MAX };
    pub(crate) const PAST: Self = Self { wall: i64::MIN, monotonic: 0 };

    pub(crate) fn at(when: Timestamp, clock: &dyn Clock) -> Self {
        let left = u64::try_from(when.0.saturating_sub(clock.now().0)).unwrap_or(0);
        Self { wall: when.0, monotonic: clock.monotonic().saturating_add(left) }
    }

    pub(crate) fn earlier(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), monotonic: self.monotonic.min(other.monotonic) }
    }

    #[inline]
    pub(crate) fn has_come(self, clock: &(impl Clock + ?Sized)) -> bool {
        self.had_come(clock.both())
    }

    /// Whether it had come when a clock said [this](Clock::both).
    #[inline]
    fn had_come(self, (wall, monotonic): (Timestamp, u64)) -> bool {
        wall.0 >= self.wall || monotonic >= self.monotonic
    }
}

impl Snapshot {
    pub(crate) fn new(name: &str, token: &str, constants: Arc<Constants>, generation: u64) -> Self {
        let mut authorization = String::with_capacity(BEARER.len() + token.len() + 1);
        authorization.push_str(BEARER);
        authorization.push_str(token);
        authorization.push('\0');
        Self {
            soft: Moment::NEVER,
            name: Name::new(name),
            authorization: Zeroizing::new(authorization.into_boxed_str()),
            constants,
            hard: Moment::NEVER,
            expires: Moment::NEVER,
            generation,
            suspect: false,
        }
    }

    /// What stands where there is no snapshot: nobody's, and never fresh.
    fn nothing() -> Self {
        let constants = Arc::new(Constants::new("", ""));
        Self::new("", "", constants, 0).with_moments(Moment::PAST, Moment::PAST, Moment::PAST)
    }

    pub(crate) fn with_moments(mut self, soft: Moment, hard: Moment, expires: Moment) -> Self {
        (self.soft, self.hard, self.expires) = (soft, hard, expires);
        self
    }

    /// The same token with another soft moment.
    pub(crate) fn with_soft(&self, soft: Moment) -> Self {
        let mut same =
            Self::new(self.name(), self.token(), Arc::clone(&self.constants), self.generation)
                .with_moments(soft, self.hard, self.expires);
        same.suspect = self.suspect;
        same
    }

    /// The same token, to be read again from `soft` on.
    pub(crate) fn suspected(&self, soft: Moment) -> Self {
        let mut suspect = self.with_soft(soft);
        suspect.suspect = true;
        suspect
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Whether nobody tried yet to read it again.
    pub(crate) fn is_unread(&self) -> bool {
        self.suspect && self.soft == Moment::PAST
    }

    /// The same token, read at another time: it is as old as the older of the two says.
    pub(crate) fn aged_as(&self, older: &Self) -> Self {
        let soft = self.soft.earlier(older.hard);
        self.with_soft(soft).with_moments(
            soft,
            self.hard.earlier(older.hard),
            self.expires.earlier(older.expires),
        )
    }

    /// Whether it is served with no further thought: it is fresh, and no look into the store is
    /// due.
    #[inline]
    pub(crate) fn is_ready(&self, clock: &ClientClock) -> bool {
        clock.is_before(&self.soft.wall, &self.soft.monotonic)
    }

    pub(crate) fn is_fresh(&self, clock: &(impl Clock + ?Sized)) -> bool {
        !self.soft.has_come(clock)
    }

    pub(crate) fn is_hard(&self, clock: &dyn Clock) -> bool {
        self.hard.has_come(clock)
    }

    /// When the token ends, by the wall clock.
    pub(crate) fn ends(&self) -> Timestamp {
        Timestamp(self.expires.wall)
    }

    pub(crate) fn hard(&self) -> Moment {
        self.hard
    }

    pub(crate) fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.expires.has_come(clock)
    }

    pub(crate) fn authorization(&self) -> &str {
        without_nul(&self.authorization)
    }

    pub(crate) fn authorization_with_nul(&self) -> &str {
        &self.authorization
    }

    pub(crate) fn token(&self) -> &str {
        &self.authorization()[BEARER.len()..]
    }

    pub(crate) fn constants(&self) -> &Constants {
        &self.constants
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(crate) fn same_token(&self, other: &Self) -> bool {
        constant_time_eq(self.authorization.as_bytes(), other.authorization.as_bytes())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("account", &self.name())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The text of one that has a NUL behind it.
pub(crate) fn without_nul(text: &str) -> &str {
    text.strip_suffix('\0').unwrap_or(text)
}

/// A snapshot in use: it costs two atomic operations and leaves the snapshot's own memory alone.
pub(crate) type Served = Guard<Arc<Snapshot>>;

/// Where a handle finds its account's snapshot; [`Snapshot::nothing`] where there is none.
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
        found.map(|(snapshot, ())| Guard::into_inner(snapshot))
    }

    /// Makes `snapshot` the one that all callers get from now on.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        self.put(snapshot, |_| true);
    }

    /// As [`publish`](Self::publish), unless something else than `old` was published meanwhile.
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
            .map(|(snapshot, ())| Guard::into_inner(snapshot))
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
            .map_or_else(|| Arc::clone(&shard.nothing), |(found, ())| Guard::into_inner(found));
        let slot = Arc::new(Slot::new(snapshot));
        writer.slots.insert(account.as_str().into(), Arc::downgrade(&slot));
        slot
    }

    /// How many accounts are cached.
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

    // What follows is for the holder of the writer's lock.

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

    /// Empties a bucket and moves up what was pushed past it, so that probes stay short without
    /// gravestones.
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

/// Where those buckets are.
fn places(buckets: usize, tag: u64) -> impl Iterator<Item = usize> {
    (0..buckets).map(move |step| home(tag).wrapping_add(step) & buckets.wrapping_sub(1))
}

#[inline]
fn home(tag: u64) -> usize {
    (tag >> 1) as usize
}

/// An account's text, inside the snapshot where it is short, as the platform's are.
enum Name {
    Inline(u8, [u8; INLINE]),
    Boxed(Box<str>),
}

impl Name {
    fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Inline(length, bytes)
            }
            _ => Self::Boxed(text.into()),
        }
    }

    /// Compares bytes: a hit does not pay for a check of UTF-8.
    #[inline]
    fn is(&self, text: &[u8]) -> bool {
        match self {
            Self::Inline(length, bytes) => bytes.get(..usize::from(*length)) == Some(text),
            Self::Boxed(own) => own.as_bytes() == text,
        }
    }

    fn as_str(&self) -> &str {
        match self {
            // Copied from a `str` as a whole, so it is one.
            Self::Inline(length, bytes) => bytes
                .get(..usize::from(*length))
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .unwrap_or_default(),
            Self::Boxed(text) => text,
        }
    }
}

const BEARER: &str = "Bearer ";
const SHARDS: usize = 16;
const SMALLEST: usize = 8;
/// The largest level has 2³⁰ buckets.
const LEVELS: usize = 28;
const INLINE: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
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
