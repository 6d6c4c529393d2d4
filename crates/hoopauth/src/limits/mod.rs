//! The API's rate limits as its answers tell them, and pacing that keeps requests below them.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use foldhash::fast::RandomState;

use crate::account::Account;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::process::Process;
use crate::settings::Pacing;
use crate::sync::{Mutex, lock};

mod pacing;

use self::pacing::{Exhausted, Turn, Window};

/// The API's limits of one account, as its last answer told them. A limit that the answer did not
/// tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests allowed per [`interval`](Self::interval).
    pub limit: Option<u64>,
    /// Requests left in the current interval.
    pub remaining: Option<u64>,
    /// The length of an interval.
    pub interval: Option<Duration>,
    /// Requests allowed per day.
    pub daily_limit: Option<u64>,
    /// Requests left today.
    pub daily_remaining: Option<u64>,
    /// Moment at which the daily limit starts anew.
    pub daily_reset: Option<Timestamp>,
    /// Moment at which the answer came.
    pub seen_at: Timestamp,
}

impl RateLimit {
    /// Reads the headers of an answer. Returns `None` if they tell no limit.
    fn read<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Timestamp) -> Option<Self> {
        let mut limit = Self { seen_at: now, ..Self::default() };
        let mut told = false;
        for (name, value) in headers {
            let Some(rest) = told_by(name) else { continue };
            let Ok(number) = value.trim_ascii().parse::<u64>() else { continue };
            let is = |name: &str| rest.eq_ignore_ascii_case(name);
            if is("max") {
                limit.limit = Some(number);
            } else if is("remaining") {
                limit.remaining = Some(number);
            } else if is("interval-milliseconds") {
                limit.interval = Some(Duration::from_millis(number.min(LONGEST_WAIT_MS)));
            } else if is("limit-daily") {
                limit.daily_limit = Some(number);
            } else if is("daily-remaining") {
                limit.daily_remaining = Some(number);
            } else if is("daily-reset") {
                limit.daily_reset = Some(reset_at(number, now));
            } else {
                continue;
            }
            told = true;
        }
        told.then_some(limit)
    }

    /// Returns the moment at which the daily limit starts anew, if the limit is spent. A moment
    /// that is more than a day ahead counts as midnight.
    fn day_spent_until(&self) -> Option<Timestamp> {
        let believed = |reset: &Timestamp| {
            *reset > self.seen_at
                && reset.since(self.seen_at) <= Duration::from_millis(LONGEST_DAY_MS)
        };
        (self.daily_remaining == Some(0))
            .then(|| self.daily_reset.filter(believed).unwrap_or(next_day(self.seen_at)))
    }
}

/// The wait that an answer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitHint {
    /// Time to wait before the next request.
    pub(crate) wait: Option<Duration>,
    /// Nothing is left of the day's requests.
    pub(crate) day_spent: bool,
}

/// The limits of all accounts of a client, in parts with a lock each.
#[derive(Debug)]
pub(crate) struct Limits {
    shards: [Mutex<LimitsShard>; SHARDS],
    hasher: RandomState,
    /// A forked child may have inherited a shard while it was locked.
    process: Process,
    #[cfg(test)]
    pub(crate) answers_noted: std::sync::atomic::AtomicUsize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            process: Process::this(),
            #[cfg(test)]
            answers_noted: std::sync::atomic::AtomicUsize::default(),
        }
    }
}

impl Limits {
    /// Returns the limits of `account` as its last answer told them.
    pub(crate) fn seen(&self, account: &str) -> Option<RateLimit> {
        self.process.is_this().then(|| self.shard(account).get(account)?.seen).flatten()
    }

    /// Keeps the limits that an answer tells, and returns the wait that the answer asks for.
    pub(crate) fn note<'a>(
        &self,
        clock: &dyn Clock,
        pacing: Option<&Pacing>,
        account: &str,
        status: u16,
        headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> WaitHint {
        #[cfg(test)]
        self.answers_noted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Most answers tell nothing.
        if !matches!(status, 429 | 502..=504)
            && !headers.clone().any(|(name, _)| told_by(name).is_some())
        {
            return WaitHint::default();
        }
        let (now, monotonic) = clock.both();
        let seen = RateLimit::read(headers.clone(), now);
        let hint = wait_hint(status, headers, seen.as_ref(), now);
        let hold = hint.wait.filter(|_| status == 429 && !hint.day_spent);
        if (seen.is_some() || pacing.is_some() && hold.is_some()) && self.process.is_this() {
            let mut shard = self.shard(account);
            let limits = shard.of(account, monotonic);
            if let Some(pacing) = pacing {
                limits.window.note(pacing, seen.as_ref(), hold, monotonic);
            }
            limits.seen = seen.or(limits.seen);
        }
        hint
    }

    /// Counts a request that is sent at once, so that others wait for it.
    pub(crate) fn count_turn(&self, clock: &dyn Clock, pacing: Option<&Pacing>, account: &str) {
        if let Some(pacing) = pacing.filter(|_| self.process.is_this()) {
            let (now, monotonic) = clock.both();
            let mut shard = self.shard(account);
            shard.of(account, monotonic).window.count(pacing, (now, monotonic));
        }
    }

    /// Waits until pacing lets a request of `account` go. `left` returns the time that the caller
    /// can wait; if the request's turn comes later, the error is `RATE_LIMITED`, at once.
    pub(crate) fn await_turn(
        &self,
        clock: &dyn Clock,
        pacing: Option<&Pacing>,
        account: &str,
        left: impl Fn() -> Duration,
    ) -> Result<()> {
        let Some(pacing) = pacing else { return Ok(()) };
        self.process.check()?;
        let mut ticket = None;
        loop {
            let left = u64::try_from(left().as_millis()).unwrap_or(u64::MAX);
            let (now, monotonic) = clock.both();
            let turn = {
                let mut shard = self.shard(account);
                shard.of(account, monotonic).window.take(pacing, ticket, (now, monotonic), left)
            };
            match turn {
                Turn::Now => return Ok(()),
                Turn::Later { ticket: mine, wait } => {
                    ticket = Some(mine);
                    tracing::debug!(account, ?wait, "the request is held back by pacing");
                    clock.sleep(wait);
                }
                Turn::TooLate { limit, wait } => return Err(too_late(account, limit, wait)),
            }
        }
    }

    fn shard(&self, account: &str) -> crate::sync::MutexGuard<'_, LimitsShard> {
        use std::hash::BuildHasher as _;

        #[allow(clippy::cast_possible_truncation, reason = "the low bits are all that counts")]
        let hash = self.hasher.hash_one(account) as usize;
        // The index is below SHARDS.
        lock(&self.shards[hash % SHARDS])
    }
}

#[derive(Debug, Default)]
struct LimitsShard {
    accounts: HashMap<Box<str>, AccountLimits, RandomState>,
}

#[derive(Debug, Default)]
struct AccountLimits {
    seen: Option<RateLimit>,
    window: Window,
    /// On the monotonic clock.
    used_at: u64,
}

impl LimitsShard {
    fn get(&self, account: &str) -> Option<&AccountLimits> {
        self.accounts.get(account)
    }

    /// Returns the limits of `account`. If the shard is full, it forgets the accounts that were
    /// unused for longest.
    fn of(&mut self, account: &str, now: u64) -> &mut AccountLimits {
        if self.accounts.len() >= MOST_PER_SHARD && !self.accounts.contains_key(account) {
            let mut used: Vec<_> = self.accounts.values().map(|limits| limits.used_at).collect();
            used.sort_unstable();
            let oldest = used.get(MOST_PER_SHARD / 4).copied().unwrap_or_default();
            self.accounts
                .retain(|_, limits| limits.used_at > oldest || limits.window.is_waited_for());
        }
        let limits = self.accounts.entry(account.into()).or_default();
        limits.used_at = now;
        limits
    }
}

/// Returns the name of a limit header behind its prefix, or `None` for another header.
fn told_by(name: &str) -> Option<&str> {
    name.get(..PREFIX.len())
        .filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
        .and(name.get(PREFIX.len()..))
}

/// Returns the wait before a request with this answer is sent again.
fn wait_hint<'a>(
    status: u16,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    seen: Option<&RateLimit>,
    now: Timestamp,
) -> WaitHint {
    if !matches!(status, 429 | 502..=504) {
        return WaitHint::default();
    }
    if status == 429
        && let Some(reset) = seen.and_then(RateLimit::day_spent_until)
    {
        return WaitHint { wait: Some(reset.since(now)), day_spent: true };
    }
    let asked = retry_after(headers, now);
    let interval =
        || (status == 429).then(|| seen.and_then(|seen| seen.interval).unwrap_or(DEFAULT_INTERVAL));
    WaitHint { wait: asked.or_else(interval), day_spent: false }
}

/// Reads `Retry-After`, in either of its forms (RFC 9110, 10.2.3). Anything else counts as absent.
///
/// A date counts from the answer's own `Date`, if there is one, because the server's clock may
/// differ from ours.
pub(crate) fn retry_after<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    now: Timestamp,
) -> Option<Duration> {
    let (mut asked, mut sent) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("retry-after") {
            asked = asked.or(Some(value.trim_ascii()));
        } else if name.eq_ignore_ascii_case("date") {
            sent = sent.or(Some(value.trim_ascii()));
        }
    }
    let asked = asked?;
    let longest = Duration::from_millis(LONGEST_WAIT_MS);
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean more than the longest.
        return Some(
            asked.parse().map_or(longest, |seconds| Duration::from_secs(seconds).min(longest)),
        );
    }
    let until = date(asked)?;
    let from = sent.and_then(date).unwrap_or(now);
    Some(until.since(from).min(longest))
}

fn date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(0).plus(date))
}

/// The header is documented as milliseconds, but not as "from now" or "since 1970". The two can't
/// be mistaken for each other.
fn reset_at(number: u64, now: Timestamp) -> Timestamp {
    let millis = i64::try_from(number).unwrap_or(i64::MAX);
    match number {
        EPOCH_MILLIS.. => {
            Timestamp(millis.min(now.0.saturating_add(LONGEST_WAIT_MS.cast_signed())))
        }
        EPOCH_SECONDS.. => Timestamp(millis.saturating_mul(1000)),
        _ => now.plus(Duration::from_millis(number)),
    }
}

fn next_day(now: Timestamp) -> Timestamp {
    Timestamp(day_of(now).saturating_add(1).saturating_mul(DAY_MS))
}

fn day_of(now: Timestamp) -> i64 {
    now.0.div_euclid(DAY_MS)
}

fn too_late(account: &str, limit: Exhausted, wait: Duration) -> Error {
    let message = match limit {
        Exhausted::Interval => {
            "pacing holds the request back for longer than is left of its `timeout`: try again \
             after `retry_after`, or send fewer requests at once"
        }
        Exhausted::Day => {
            "the account's requests of this day are used up (`requests_per_day`): try again after \
             `retry_after`"
        }
    };
    let error = Error::new(ErrorCode::RateLimited, message).with_retry_after(wait);
    match Account::parse(account) {
        Ok(account) => error.with_account(&account),
        Err(_) => error,
    }
}

const PREFIX: &str = "x-ratelimit-";
/// The platform's documented interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;
/// A day, and the hour that is added where clocks are put back.
const LONGEST_DAY_MS: u64 = 25 * 3_600_000;
/// A year: no sum of it and a clock overflows.
const LONGEST_WAIT_MS: u64 = 366 * 86_400_000;
/// 1973 as milliseconds; three years as a duration.
const EPOCH_MILLIS: u64 = 100_000_000_000;
/// 2001 as seconds; eleven days as a duration.
const EPOCH_SECONDS: u64 = 1_000_000_000;
const SHARDS: usize = 16;
const MOST_PER_SHARD: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_700_049_600_000);

    fn read(headers: &[(&str, &str)]) -> Option<RateLimit> {
        RateLimit::read(headers.iter().copied(), NOON)
    }

    #[test]
    fn every_header_in_any_case() {
        assert_eq!(
            read(&[("content-type", "x"), ("x-ratelimit", "1"), ("X-RateLimit-Other", "1")]),
            None
        );
        let all = read(&[
            ("X-RateLimit-Max", "100"),
            ("x-ratelimit-remaining", " 7 "),
            ("X-RATELIMIT-INTERVAL-MILLISECONDS", "10000"),
            ("X-RateLimit-Limit-Daily", "200000"),
            ("X-RateLimit-Daily-Remaining", "199000"),
            ("X-RateLimit-Daily-Reset", "60000"),
        ]);
        let expected = RateLimit {
            limit: Some(100),
            remaining: Some(7),
            interval: Some(Duration::from_secs(10)),
            daily_limit: Some(200_000),
            daily_remaining: Some(199_000),
            daily_reset: Some(NOON.plus(Duration::from_secs(60))),
            seen_at: NOON,
        };
        assert_eq!(all, Some(expected));
        let odd = read(&[
            ("x-ratelimit-max", "-1"),
            ("x-ratelimit-remaining", "many"),
            ("x-ratelimit-\u{e9}", "1"),
        ]);
        assert_eq!(odd, None);
    }

    #[test]
    fn the_reset_is_a_duration_or_a_moment() {
        let reset = |text: &str| {
            read(&[("x-ratelimit-daily-reset", text)]).and_then(|limit| limit.daily_reset)
        };
        let later = NOON.plus(Duration::from_secs(3_600));
        assert_eq!(reset("3600000"), Some(later));
        assert_eq!(reset(&later.0.to_string()), Some(later));
        assert_eq!(reset(&later.as_secs().to_string()), Some(later));
        assert!(reset(&u64::MAX.to_string()) < Some(Timestamp(i64::MAX)));
    }

    #[test]
    fn a_spent_day_ends_at_its_reset_or_at_midnight() {
        let until = |reset: Option<&str>| {
            let mut headers = vec![("x-ratelimit-daily-remaining", "0")];
            headers.extend(reset.map(|reset| ("x-ratelimit-daily-reset", reset)));
            read(&headers).and_then(|limit| limit.day_spent_until())
        };
        assert_eq!(until(Some("1000")), Some(NOON.plus(Duration::from_secs(1))));
        assert_eq!(until(None), Some(NOON.plus(Duration::from_secs(12 * 3_600))));
        assert_eq!(until(Some("1700000000000")), until(None), "a moment that is past says nothing");
        assert_eq!(until(Some("99999999999")), until(None), "nor does one that is no day ahead");
        assert_eq!(until(Some("90000000")), Some(NOON.plus(Duration::from_secs(90_000))));
        assert_eq!(
            read(&[("x-ratelimit-daily-remaining", "1")]).and_then(|limit| limit.day_spent_until()),
            None
        );
    }

    #[test]
    fn what_an_answer_says_of_waiting() {
        let wait = |status: u16, headers: &[(&str, &str)]| {
            let told = wait_hint(status, headers.iter().copied(), read(headers).as_ref(), NOON);
            (told.wait.map(|wait| wait.as_secs()), told.day_spent)
        };
        assert_eq!(wait(200, &[("retry-after", "3")]), (None, false));
        assert_eq!(wait(503, &[]), (None, false));
        assert_eq!(wait(503, &[("Retry-After", "3")]), (Some(3), false));
        assert_eq!(wait(429, &[]), (Some(10), false));
        assert_eq!(wait(429, &[("x-ratelimit-interval-milliseconds", "2000")]), (Some(2), false));
        let both = [("x-ratelimit-interval-milliseconds", "2000"), ("retry-after", "1")];
        assert_eq!(wait(429, &both), (Some(1), false));
        assert_eq!(wait(429, &[("retry-after", "soon")]), (Some(10), false));
        let spent = [("retry-after", "1"), ("x-ratelimit-daily-remaining", "0")];
        assert_eq!(wait(429, &spent), (Some(12 * 3_600), true));
        assert_eq!(wait(503, &spent), (Some(1), false));
    }

    #[test]
    fn retry_after_as_a_date() {
        // NOON is Wed, 15 Nov 2023 12:00:00 GMT.
        let wait = |value: &str| retry_after([("RETRY-AFTER", value)].into_iter(), NOON);
        assert_eq!(wait("Wed, 15 Nov 2023 12:00:07 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wednesday, 15-Nov-23 12:00:07 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed Nov 15 12:00:07 2023"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 15 Nov 2023 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("18446744073709551615"), Some(Duration::from_millis(LONGEST_WAIT_MS)));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait(""), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut shard = LimitsShard::default();
        for number in 0..3 * MOST_PER_SHARD as u64 {
            shard.of(&format!("location:{number}"), number).seen = Some(RateLimit::default());
            assert!(shard.accounts.len() <= MOST_PER_SHARD);
        }
        let last = format!("location:{}", 3 * MOST_PER_SHARD - 1);
        assert!(shard.get(&last).is_some() && shard.get("location:0").is_none());
    }
}
