//! The single flight: of all threads that want one account refreshed, one does it and the others
//! get its result.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::callback::{let_others_run, reentered};
use crate::error::{Error, ErrorCode, Result};
use crate::jobs::caller_left;
use crate::sync::{Condvar, Mutex, ThreadId, lock, thread, wait};

/// The refreshes under way in this process.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    under_way: Mutex<HashMap<Account, Arc<Flight<T>>>>,
}

impl<T: Clone> Flights<T> {
    pub(crate) fn new() -> Self {
        Self { under_way: Mutex::new(HashMap::new()) }
    }

    /// Gets the result of the flight under way, or does `work` within the time it is given. `None`
    /// if nothing came within `longest`.
    pub(crate) fn fly(
        &self,
        account: &Account,
        longest: Duration,
        work: impl FnOnce(Duration) -> Result<T>,
    ) -> Option<Result<T>> {
        let until = Instant::now().checked_add(longest);
        loop {
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            let follower = match self.join(account, Waiting::Waits) {
                Role::Leader(leader) => return Some(leader.land(work(left))),
                Role::Follower(follower) => follower,
            };
            let patience = follower.flight.patience;
            match follower.wait(left)? {
                // That one waited for nothing, or began to wait earlier: what it gave up, this
                // caller may still get.
                Err(error) if patience == Waiting::None || is_its_own(&error) => {
                    if until.is_some_and(|until| until <= Instant::now()) {
                        return Some(Err(error));
                    }
                }
                result => return Some(result),
            }
        }
    }

    /// Does `work`, which waits for nobody; `None` if a flight is under way.
    pub(crate) fn fly_alone(
        &self,
        account: &Account,
        work: impl FnOnce() -> Result<T>,
    ) -> Option<Result<T>> {
        match self.join(account, Waiting::None) {
            Role::Leader(leader) => Some(leader.land(work())),
            Role::Follower(_) => None,
        }
    }

    /// Joins the flight of an account: the first to come leads it.
    fn join(&self, account: &Account, patience: Waiting) -> Role<'_, T> {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(account) {
            return Role::Follower(Follower { flight: Arc::clone(flight) });
        }
        let leader = thread::current().id();
        let flight =
            Arc::new(Flight { patience, leader, result: Mutex::new(None), landed: Condvar::new() });
        under_way.insert(account.clone(), Arc::clone(&flight));
        Role::Leader(Leader { flights: self, account: account.clone(), flight, landed: false })
    }
}

/// Returns `true` for the failure of a leader that ran out of its own time and noted nothing:
/// others may have more.
fn is_its_own(error: &Error) -> bool {
    error.code() == ErrorCode::LeaseTimeout
        || error.code() == ErrorCode::Timeout && error.retry_after().is_none()
}

/// `true` if the leader of a flight waits for others: for the lease, for a place in the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Waits,
    None,
}

/// Role of a caller.
enum Role<'a, T: Clone> {
    /// Does the work and says how it ended.
    Leader(Leader<'a, T>),
    /// Waits, or goes on without.
    Follower(Follower<T>),
}

/// The one that does the work.
struct Leader<'a, T: Clone> {
    flights: &'a Flights<T>,
    account: Account,
    flight: Arc<Flight<T>>,
    landed: bool,
}

impl<T: Clone> Leader<'_, T> {
    /// Gives the result to all who wait, and opens the way for the next flight.
    fn land(mut self, result: Result<T>) -> Result<T> {
        self.end(result.clone());
        result
    }

    fn end(&mut self, result: Result<T>) {
        self.landed = true;
        // First out of the map, then the result: whoever joins from here on starts afresh.
        lock(&self.flights.under_way).remove(&self.account);
        *lock(&self.flight.result) = Some(result);
        self.flight.landed.notify_all();
    }
}

impl<T: Clone> Drop for Leader<'_, T> {
    fn drop(&mut self) {
        if !self.landed {
            self.end(Err(Error::new(
                ErrorCode::Internal,
                "the refresh ended without a result because the thread that did it panicked; try \
                 again",
            )));
        }
    }
}

/// One that waits.
struct Follower<T> {
    flight: Arc<Flight<T>>,
}

impl<T: Clone> Follower<T> {
    /// The leader's result; `None` if it did not come within `longest`.
    fn wait(self, longest: Duration) -> Option<Result<T>> {
        let until = Instant::now().checked_add(longest);
        let mut result = lock(&self.flight.result);
        loop {
            if let Some(result) = &*result {
                return Some(result.clone());
            }
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            if self.flight.leader != thread::current().id() {
                let look = match caller_left() {
                    None => left,
                    Some(false) => left.min(LOOK_AT_CALLER),
                    // Nobody hears of the result: this thread need not stay for it.
                    Some(true) => return None,
                };
                result = wait(&self.flight.landed, result, look);
                continue;
            }
            // The leader is another green thread of this very thread, in a callback: it goes on
            // only if we let it run.
            drop(result);
            if !let_others_run(left.min(TURN)) {
                return Some(Err(reentered()));
            }
            result = lock(&self.flight.result);
        }
    }
}

#[derive(Debug)]
struct Flight<T> {
    patience: Waiting,
    leader: ThreadId,
    result: Mutex<Option<Result<T>>>,
    landed: Condvar,
}

/// Time within which a follower sees that its caller left.
const LOOK_AT_CALLER: Duration = Duration::from_millis(50);
/// The longest that other green threads run before the flight is looked at again.
const TURN: Duration = Duration::from_millis(5);

#[cfg(all(test, feature = "shuttle"))]
mod model {
    use shuttle::sync::atomic::{AtomicUsize, Ordering};
    use shuttle::thread;

    use super::*;

    /// Three callers in every order that 2 000 random schedules reach: each gets a value, flights
    /// never overlap, and whoever joined a flight got that flight's value.
    #[test]
    fn no_schedule_overlaps_loses_or_hangs() {
        shuttle::check_random(
            || {
                let flights = Arc::new(Flights::<usize>::new());
                let flying = Arc::new(AtomicUsize::new(0));
                let flown = Arc::new(AtomicUsize::new(0));
                let callers: Vec<_> = (0..3)
                    .map(|_| {
                        let (flights, flying, flown) =
                            (flights.clone(), flying.clone(), flown.clone());
                        thread::spawn(move || {
                            let account = Account::location("l").unwrap();
                            let work = |_| {
                                assert_eq!(
                                    flying.fetch_add(1, Ordering::SeqCst),
                                    0,
                                    "two leaders at once"
                                );
                                thread::yield_now();
                                let value = flown.fetch_add(1, Ordering::SeqCst) + 1;
                                flying.fetch_sub(1, Ordering::SeqCst);
                                Ok(value)
                            };
                            flights.fly(&account, HOUR, work).unwrap().unwrap()
                        })
                    })
                    .collect();
                for caller in callers {
                    assert!(caller.join().unwrap() >= 1);
                }
            },
            2_000,
        );
    }

    #[test]
    fn a_leader_that_gives_up_wakes_all() {
        shuttle::check_random(
            || {
                let flights = Arc::new(Flights::<usize>::new());
                let account = Account::location("l").unwrap();
                let Role::Leader(leader) = flights.join(&account, Waiting::Waits) else {
                    unreachable!()
                };
                let follower = match flights.join(&account, Waiting::Waits) {
                    Role::Follower(follower) => thread::spawn(move || follower.wait(HOUR)),
                    Role::Leader(_) => unreachable!(),
                };
                drop(leader);
                assert_eq!(
                    follower.join().unwrap().unwrap().unwrap_err().code(),
                    ErrorCode::Internal
                );
            },
            2_000,
        );
    }

    /// Early and recovering refreshes give up at once where another process holds the lease: that
    /// is not the answer to a caller who has time to wait for it.
    #[test]
    fn whoever_waits_gets_no_failure_of_one_that_does_not() {
        shuttle::check_random(
            || {
                let flights = Arc::new(Flights::<usize>::new());
                let account = Account::location("l").unwrap();
                let late = || Err(Error::new(ErrorCode::LeaseTimeout, "another holder refreshes"));
                let impatient = {
                    let (flights, account) = (flights.clone(), account.clone());
                    thread::spawn(move || {
                        flights.fly_alone(&account, || {
                            thread::yield_now();
                            late()
                        })
                    })
                };
                let caller = |longest, result: fn() -> Result<usize>| {
                    let (flights, account) = (flights.clone(), account.clone());
                    thread::spawn(move || flights.fly(&account, longest, |_| result()))
                };
                let hasty = caller(Duration::ZERO, late);
                for caller in [caller(HOUR, || Ok(7)), caller(HOUR, || Ok(7))] {
                    assert_eq!(caller.join().unwrap().unwrap().unwrap(), 7);
                }
                let _ = (impatient.join().unwrap(), hasty.join().unwrap());
            },
            2_000,
        );
    }

    const HOUR: Duration = Duration::from_secs(3600);
}
