//! A deadline for calls, and the means to end their wait from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorCode, Result};

/// Deadline for calls, and a switch that ends their waits. Clones share both; any thread may
/// cancel.
///
/// [`Client::within`](crate::Client::within) makes a call within a context. Only the wait ends: a
/// token request that was sent is finished on a thread of its own, and its answer is saved, so that
/// cancelling never costs a grant.
#[derive(Clone, Default)]
pub struct Context {
    shared: Arc<ContextState>,
}

impl Context {
    /// A context without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context whose calls end `timeout` from now at the latest, with `TIMEOUT`.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            shared: Arc::new(ContextState {
                deadline: Instant::now().checked_add(timeout),
                ..ContextState::default()
            }),
        }
    }

    /// Ends all waits within this context, those under way and those to come, with `CANCELLED`.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Returns `true` once it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// `CANCELLED` or `TIMEOUT` once it is over.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(
                ErrorCode::Cancelled,
                "the call was cancelled; a refresh under way goes on, and the next call has its \
                 result",
            ));
        }
        if self.left().is_some_and(|left| left.is_zero()) {
            return Err(Error::new(
                ErrorCode::Timeout,
                "the call's deadline has passed; a refresh under way goes on, and the next call \
                 has its result",
            ));
        }
        Ok(())
    }

    /// Waits until it is over, at most `longest`.
    pub(crate) fn pause(&self, longest: Duration) {
        let until = Instant::now().checked_add(longest);
        let mut guard = self.lock();
        while self.check().is_ok() {
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            guard = self.wait(guard, left);
        }
    }

    /// End of the context, on the system's monotonic clock.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.shared.deadline
    }

    fn left(&self) -> Option<Duration> {
        self.shared.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn wake(&self) {
        // Under the lock: whoever is about to wait has looked already or sees it.
        let _guard = self.lock();
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, guard: MutexGuard<'a, ()>, longest: Duration) -> MutexGuard<'a, ()> {
        let longest = self.left().map_or(longest, |left| left.min(longest));
        self.shared.changed.wait_timeout(guard, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Waits until `ready` answers something; asks `check` again and again meanwhile.
    pub(crate) fn wait_until<T>(
        &self,
        every: Duration,
        check: &mut dyn FnMut() -> Result<()>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut guard = self.lock();
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            self.check()?;
            guard = self.wait(guard, every.min(LONGEST_WAIT));
            if every < LONGEST_WAIT {
                // Not under the lock: it may run code of the host's that cancels.
                drop(guard);
                check()?;
                guard = self.lock();
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("left", &self.left())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct ContextState {
    deadline: Option<Instant>,
    cancelled: AtomicBool,
    turn: Mutex<()>,
    changed: Condvar,
}

const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
