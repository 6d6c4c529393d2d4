//! Snapshots: the ready-to-send headers of one account, and the moments at which they stop being
//! good.

use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;
use zeroize::Zeroizing;

use crate::clock::{ClientClock, Clock, Timestamp};
use crate::secret::{Lends, Part, constant_time_eq};

/// The immutable headers of one account, with the moments at which they stop being good.
///
/// Public for the C ABI, which counts references to it; not part of the crate's interface.
#[repr(C)]
pub struct Snapshot {
    /// Until here, on both clocks, it is served with no further thought.
    pub(crate) soft: Moment,
    /// The account, beside the check: the first line of a snapshot is all that a hit reads.
    pub(crate) name: Name,
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

    /// Returns `true` if the moment had come when a clock told [these times](Clock::both).
    #[inline]
    pub(crate) fn had_come(self, (wall, monotonic): (Timestamp, u64)) -> bool {
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

    /// Makes the placeholder for a missing snapshot: it has no account, and is never fresh.
    pub(crate) fn nothing() -> Self {
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

    /// Returns `true` if nobody tried yet to read the row again.
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

    /// Returns `true` if the snapshot is served at once: it is fresh, and no look into the store is
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

    /// Returns the moment at which the token ends, by the wall clock.
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

impl Lends for Snapshot {
    fn lend(&self, part: Part) -> &str {
        match part {
            Part::Authorization => self.authorization(),
            Part::Version => self.constants.version(),
            Part::UserAgent => self.constants.user_agent(),
        }
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

/// The parts of the headers that are the same for all accounts of a client.
#[derive(Debug)]
pub(crate) struct Constants {
    /// These have NULs behind them, for C.
    pub(crate) version: Box<str>,
    pub(crate) user_agent: Box<str>,
}

impl Constants {
    pub(crate) fn new(version: &str, user_agent: &str) -> Self {
        Self {
            version: format!("{version}\0").into(),
            user_agent: format!("{user_agent}\0").into(),
        }
    }

    pub(crate) fn version(&self) -> &str {
        without_nul(&self.version)
    }

    pub(crate) fn user_agent(&self) -> &str {
        without_nul(&self.user_agent)
    }
}

/// An account's text, inside the snapshot where it is short, as the platform's are.
pub(crate) enum Name {
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
    pub(crate) fn is(&self, text: &[u8]) -> bool {
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
const INLINE: usize = 30;
