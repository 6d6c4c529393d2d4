//! Time, injectable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::callback::{Marks, calling};

/// Source of the client's time. The hot path calls it: it must be quick and must not block.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns milliseconds since the Unix epoch, as the system believes. May jump.
    fn now(&self) -> Timestamp;

    /// Returns milliseconds on a clock that never jumps; its zero is arbitrary.
    fn monotonic(&self) -> u64;

    /// Returns both at once. The hot path asks this, so that an injected clock costs one call.
    fn both(&self) -> (Timestamp, u64) {
        (self.now(), self.monotonic())
    }

    /// Lets `duration` pass.
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Milliseconds since the Unix epoch.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns this moment plus `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns this moment minus `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time from `earlier` to this; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns whole seconds since the Unix epoch.
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// The system's clocks. Coarse (a few milliseconds) where the system has them: a read costs
/// nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp(system::now_millis())
    }

    #[inline]
    fn monotonic(&self) -> u64 {
        system::monotonic_millis()
    }

    #[inline]
    fn both(&self) -> (Timestamp, u64) {
        let (wall, monotonic) = system::both_millis();
        (Timestamp(wall), monotonic)
    }
}

/// A client's clock: the system's, asked without a virtual call, or the host's. It also knows when
/// the client has to look into its store for changes of others, so that the hot path asks one clock
/// for both.
#[derive(Debug)]
pub(crate) struct ClientClock {
    injected: Option<Arc<dyn Clock>>,
    /// Moment on the system's monotonic clock until which the hot path goes on. It is 0, the past,
    /// if the host has its own clock.
    quick_until: AtomicU64,
    /// Moment of the next look, by the monotonic clock.
    look_at: AtomicU64,
}

impl ClientClock {
    /// Makes a clock. With `looks`, a look is due at once, else never.
    pub(crate) fn new(injected: Option<Arc<dyn Clock>>, looks: bool) -> Self {
        let look_at = if looks { 0 } else { u64::MAX };
        let quick_until = if injected.is_some() { 0 } else { look_at };
        Self {
            injected,
            quick_until: AtomicU64::new(quick_until),
            look_at: AtomicU64::new(look_at),
        }
    }

    pub(crate) fn is_system(&self) -> bool {
        self.injected.is_none()
    }

    /// Reads both clocks for the hot path. Returns `END_OF_TIME`, so that nothing counts as fresh,
    /// if a look into the store is due.
    #[inline]
    pub(crate) fn quick(&self) -> (Timestamp, u64) {
        let tick = system::monotonic_millis();
        if tick >= self.quick_until.load(Ordering::Relaxed) {
            return self.quick_by_host();
        }
        (Timestamp(system::wall_at(tick)), tick)
    }

    /// Returns `true` if neither these moments, on the wall clock and the monotonic one, nor that
    /// of the next look have come. It answers the question of [`quick`](Self::quick) in fewer
    /// steps.
    #[inline]
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "read after the clock was, they need no place meanwhile"
    )]
    pub(crate) fn is_before(&self, wall: &i64, monotonic: &u64) -> bool {
        let tick = system::monotonic_millis();
        if tick >= self.quick_until.load(Ordering::Relaxed) {
            return self.is_before_by_host(*wall, *monotonic);
        }
        system::wall_at(tick) < *wall && tick < *monotonic
    }

    #[cold]
    #[inline(never)]
    fn is_before_by_host(&self, wall: i64, monotonic: u64) -> bool {
        let now = self.quick_by_host();
        now.0.0 < wall && now.1 < monotonic
    }

    #[cold]
    #[inline(never)]
    fn quick_by_host(&self) -> (Timestamp, u64) {
        let Some(clock) = &self.injected else { return END_OF_TIME };
        let now = ask(|| clock.both(), END_OF_TIME);
        if now.1 < self.look_at.load(Ordering::Relaxed) { now } else { END_OF_TIME }
    }

    /// Returns `true` to one caller if a look is due, which that caller then does. The next look is
    /// due after `pause`.
    pub(crate) fn take_look(&self, pause: Duration) -> bool {
        let now = self.monotonic();
        let due = self.look_at.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let taken = now >= due
            && self
                .look_at
                .compare_exchange(due, next, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok();
        if taken && self.is_system() {
            self.quick_until.store(next, Ordering::SeqCst);
            if self.look_at.load(Ordering::SeqCst) != next {
                // Somebody wants a look meanwhile.
                self.quick_until.store(0, Ordering::SeqCst);
            }
        }
        taken
    }

    /// Delays the next look by `pause`, unless somebody wants one at once.
    pub(crate) fn look_after(&self, pause: Duration) {
        let due = self.look_at.load(Ordering::SeqCst);
        if due == 0 || due == u64::MAX {
            return;
        }
        let next =
            self.monotonic().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let set =
            self.look_at.compare_exchange(due, next, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if set && self.is_system() {
            self.quick_until.store(next, Ordering::SeqCst);
            if self.look_at.load(Ordering::SeqCst) != next {
                self.quick_until.store(0, Ordering::SeqCst);
            }
        }
    }

    /// Makes a look due, if this clock has looks.
    pub(crate) fn look_soon(&self) {
        if self.look_at.load(Ordering::Relaxed) != u64::MAX {
            self.look_at.store(0, Ordering::SeqCst);
            self.quick_until.store(0, Ordering::SeqCst);
        }
    }
}

impl Clock for ClientClock {
    fn now(&self) -> Timestamp {
        match &self.injected {
            None => SystemClock.now(),
            Some(clock) => ask(|| clock.now(), END_OF_TIME.0),
        }
    }

    fn monotonic(&self) -> u64 {
        match &self.injected {
            None => SystemClock.monotonic(),
            Some(clock) => ask(|| clock.monotonic(), END_OF_TIME.1),
        }
    }

    fn both(&self) -> (Timestamp, u64) {
        match &self.injected {
            None => SystemClock.both(),
            Some(clock) => ask(|| clock.both(), END_OF_TIME),
        }
    }

    fn sleep(&self, duration: Duration) {
        match &self.injected {
            None => SystemClock.sleep(duration),
            Some(clock) => ask(|| clock.sleep(duration), ()),
        }
    }
}

/// Asks a host's clock. If the host's clock calls the client, the client asks the clock again: it
/// then reads `END_OF_TIME`, so that nothing counts as fresh and the call gets the error of a call
/// from within a callback.
fn ask<T>(ask: impl FnOnce() -> T, inside: T) -> T {
    if Marks::get().asking {
        return inside;
    }
    calling(|| {
        Marks::change(|marks| marks.asking = true);
        ask()
    })
}

const END_OF_TIME: (Timestamp, u64) = (Timestamp(i64::MAX), u64::MAX);

/// A clock that moves only when told: for tests, and for programs that simulate.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// Makes a clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { wall: AtomicI64::new(now.0), monotonic: AtomicU64::new(1) }
    }

    /// Lets `duration` pass, on both the wall and the monotonic clock.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.monotonic.fetch_add(millis, Ordering::SeqCst);
        self.wall.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock, as an administrator would; no time passes on the monotonic one.
    pub fn jump_to(&self, now: Timestamp) {
        self.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// The wall clock as it stood at a tick of the monotonic one. Both coarse clocks move at the
    /// same ticks, some milliseconds apart, so that most reads of one spare the other.
    static TICK: AtomicU64 = AtomicU64::new(u64::MAX);
    static WALL_AT_TICK: AtomicI64 = AtomicI64::new(0);

    #[inline]
    pub(super) fn both_millis() -> (i64, u64) {
        let tick = monotonic_millis();
        (wall_at(tick), tick)
    }

    /// Returns the wall clock, after `tick` was just read from the monotonic one.
    #[inline]
    pub(super) fn wall_at(tick: u64) -> i64 {
        if TICK.load(Ordering::Acquire) == tick {
            return WALL_AT_TICK.load(Ordering::Relaxed);
        }
        next_tick(tick)
    }

    #[cold]
    fn next_tick(tick: u64) -> i64 {
        let wall = now_millis();
        WALL_AT_TICK.store(wall, Ordering::Relaxed);
        TICK.store(tick, Ordering::Release);
        wall
    }

    #[inline]
    pub(super) fn now_millis() -> i64 {
        millis(clock_gettime(ClockId::RealtimeCoarse))
    }

    #[inline]
    pub(super) fn monotonic_millis() -> u64 {
        millis(clock_gettime(ClockId::MonotonicCoarse)).cast_unsigned()
    }

    /// Nanoseconds are below 10⁹: a division of 32 bits costs half of one of 64.
    #[inline]
    fn millis(time: Timespec) -> i64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 ≤ tv_nsec < 10⁹"
        )]
        let nanoseconds = time.tv_nsec as u32;
        time.tv_sec * 1000 + i64::from(nanoseconds / 1_000_000)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn both_millis() -> (i64, u64) {
        (now_millis(), monotonic_millis())
    }

    pub(super) fn wall_at(_tick: u64) -> i64 {
        now_millis()
    }

    pub(super) fn now_millis() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn monotonic_millis() -> u64 {
        u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_move_and_agree_with_each_read_alone() {
        let clock = ClientClock::new(None, false);
        let (wall, monotonic) = clock.both();
        loop {
            let (later_wall, later) = clock.both();
            assert!(later >= monotonic);
            if later > monotonic {
                let slack = later - monotonic + 1000;
                assert!(later_wall.since(wall) <= Duration::from_millis(slack));
                assert!(clock.now() >= later_wall && clock.monotonic() >= later);
                return;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_injected_clock_answers_for_itself() {
        let manual = Arc::new(ManualClock::new(Timestamp(5)));
        let clock = ClientClock::new(Some(Arc::<ManualClock>::clone(&manual)), false);
        clock.sleep(Duration::from_millis(7));
        assert_eq!(
            (clock.now(), clock.monotonic(), clock.both()),
            (Timestamp(12), 8, (Timestamp(12), 8))
        );
        assert_eq!(clock.quick(), clock.both());
    }

    #[test]
    fn a_look_is_one_callers_and_due_again_after_its_pause() {
        let manual = Arc::new(ManualClock::new(Timestamp(5)));
        let injected = ClientClock::new(Some(Arc::<ManualClock>::clone(&manual)), true);
        for clock in [&injected, &ClientClock::new(None, true)] {
            let is_quick = || clock.quick() != END_OF_TIME;
            let hour = Duration::from_secs(3600);
            assert!(!is_quick(), "the first one is due at once");
            assert!(clock.take_look(hour) && !clock.take_look(hour));
            assert!(is_quick());
            clock.look_soon();
            assert!(!is_quick());
            assert!(clock.take_look(hour) && is_quick());
        }
        manual.advance(Duration::from_millis(3_599_999));
        assert_ne!(injected.quick(), END_OF_TIME);
        manual.advance(Duration::from_millis(1));
        assert!(injected.quick() == END_OF_TIME && injected.take_look(Duration::ZERO));

        let never = ClientClock::new(None, false);
        never.look_soon();
        assert!(never.quick() != END_OF_TIME && !never.take_look(Duration::ZERO));
    }
}
