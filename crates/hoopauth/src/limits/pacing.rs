//! Pacing: a sliding window of one account's requests, with a queue of the requests that wait.

use std::collections::VecDeque;
use std::time::Duration;

use super::{LONGEST_DAY_MS, RateLimit, day_of, next_day};
use crate::clock::Timestamp;
use crate::settings::Pacing;

/// The requests of one account. All moments are on the monotonic clock, but for those of the day.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Moments at which the requests of the last span were sent, oldest first.
    sent: VecDeque<u64>,
    /// The requests that wait, in the order they came: ticket and the moment they wait for.
    waiting: VecDeque<(u64, u64)>,
    next_ticket: u64,
    /// Number of our requests that fit into the span, and the moment until which that holds. Other
    /// programs use up the rest.
    room: Option<(usize, u64)>,
    /// Moment until which the platform told us to wait.
    held_until: u64,
    /// A day since 1970, and the number of requests sent in it.
    day: (i64, u64),
    /// Moment until which the platform has nothing left for us.
    day_spent_until: Option<Timestamp>,
}

/// Answer to a request that asks for its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send the request; it is counted.
    Now,
    /// Wait, then ask again with this ticket.
    Later { ticket: u64, wait: Duration },
    /// The request can't wait that long and lost its place in the queue.
    TooLate { limit: Exhausted, wait: Duration },
}

/// The limit that holds a request back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Interval,
    Day,
}

impl Window {
    /// Asks for a turn, for the first time or again with the ticket. `left`: milliseconds that the
    /// caller can wait.
    pub(super) fn take(
        &mut self,
        pacing: &Pacing,
        ticket: Option<u64>,
        (wall, now): (Timestamp, u64),
        left: u64,
    ) -> Turn {
        self.forget(pacing, now);
        let place =
            ticket.and_then(|ticket| self.waiting.iter().position(|(other, _)| *other == ticket));
        let ahead = place.unwrap_or(self.waiting.len());
        if let Some(wait) = self.day_spent(pacing, wall, ahead) {
            self.leave(place);
            return Turn::TooLate { limit: Exhausted::Day, wait };
        }
        let at = self.earliest(pacing, now, ahead);
        let wait = at - now;
        if wait == 0 {
            self.leave(place);
            self.push(now);
            return Turn::Now;
        }
        let length = Duration::from_millis(wait);
        if wait >= left {
            self.leave(place);
            return Turn::TooLate { limit: Exhausted::Interval, wait: length };
        }
        let ticket = if let Some(entry) = place.and_then(|place| self.waiting.get_mut(place)) {
            entry.1 = at;
            entry.0
        } else {
            self.next_ticket += 1;
            self.waiting.push_back((self.next_ticket, at));
            self.next_ticket
        };
        Turn::Later { ticket, wait: length }
    }

    /// Counts a request that did not ask for a turn.
    pub(super) fn count(&mut self, pacing: &Pacing, (wall, now): (Timestamp, u64)) {
        self.forget(pacing, now);
        self.begin_day(wall);
        self.push(now);
    }

    fn push(&mut self, now: u64) {
        self.sent.push_back(now);
        self.day.1 += 1;
    }

    /// Takes in the limits that an answer told. `hold`: time that all requests of the account have
    /// to wait.
    pub(super) fn note(
        &mut self,
        pacing: &Pacing,
        seen: Option<&RateLimit>,
        hold: Option<Duration>,
        now: u64,
    ) {
        self.forget(pacing, now);
        // One wrong answer must not stop an account for longer than a day.
        let after = |wait: Duration| {
            now.saturating_add(
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(LONGEST_HOLD_MS),
            )
        };
        if let Some(hold) = hold {
            self.held_until = self.held_until.max(after(hold));
        }
        let Some(seen) = seen else { return };
        if seen.daily_remaining.is_some() {
            self.day_spent_until = seen.day_spent_until();
        }
        let same_interval =
            seen.interval.is_none_or(|interval| interval == Duration::from_millis(pacing.interval));
        match (seen.limit, seen.remaining) {
            (Some(limit), Some(remaining)) if same_interval => {
                let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                let used = count(limit.saturating_sub(remaining));
                let others = used.saturating_sub(self.sent.len());
                let room = count(limit).saturating_sub(others);
                self.room =
                    (room < pacing.per_interval).then_some((room, now.saturating_add(pacing.span)));
            }
            // Counted over another interval than ours, it can't be compared with our count: only
            // its end can.
            (_, Some(0)) if !same_interval => {
                self.held_until = self.held_until.max(after(seen.interval.unwrap_or_default()));
            }
            _ => {}
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the moment at which a request can go that has `ahead` requests before it in the
    /// queue.
    fn earliest(&self, pacing: &Pacing, now: u64, ahead: usize) -> u64 {
        let before =
            ahead.checked_sub(1).and_then(|last| self.waiting.get(last)).map_or(0, |(_, at)| *at);
        let soonest = now.max(before).max(self.held_until);
        let full = soonest.max(self.after(pacing, pacing.per_interval, ahead));
        match self.room {
            Some((room, until)) if full < until => {
                full.max(self.after(pacing, room, ahead)).min(full.max(until))
            }
            _ => full,
        }
    }

    /// Returns the moment at which a window of `most` requests has room for one more.
    fn after(&self, pacing: &Pacing, most: usize, ahead: usize) -> u64 {
        if most == 0 {
            return u64::MAX;
        }
        let count = self.sent.len();
        let Some(index) = (count + ahead).checked_sub(most) else { return 0 };
        let sent = |index: usize| self.sent.get(index).copied();
        let waiting = || self.waiting.get(index - count).map(|(_, at)| *at);
        // Requests that were sent count too, in case those that wait overslept their moments.
        let blocking = sent(index).or_else(waiting).max(count.checked_sub(most).and_then(sent));
        blocking.map_or(0, |blocking| blocking.saturating_add(pacing.span))
    }

    fn day_spent(&mut self, pacing: &Pacing, now: Timestamp, ahead: usize) -> Option<Duration> {
        self.begin_day(now);
        if let Some(until) = self.day_spent_until {
            // One that is further ahead was noted before the clock was set back.
            if now < until && until.since(now) <= Duration::from_millis(LONGEST_DAY_MS) {
                return Some(until.since(now));
            }
            self.day_spent_until = None;
        }
        (self.day.1 + ahead as u64 >= pacing.per_day).then(|| next_day(now).since(now))
    }

    fn begin_day(&mut self, now: Timestamp) {
        if self.day.0 != day_of(now) {
            self.day = (day_of(now), 0);
        }
    }

    fn forget(&mut self, pacing: &Pacing, now: u64) {
        while self.sent.front().is_some_and(|sent| now.saturating_sub(*sent) >= pacing.span) {
            self.sent.pop_front();
        }
        self.room = self.room.filter(|(_, until)| now < *until);
    }

    fn leave(&mut self, place: Option<usize>) {
        place.and_then(|place| self.waiting.remove(place));
    }
}

const LONGEST_HOLD_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests;
