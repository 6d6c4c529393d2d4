//! Calls under way: their beginning, their deadlines, and the wait for the last of them.
//!
//! A call ends by one deadline, `timeout`, with all its tries and waits. Closing a client waits for
//! the calls under way, because the answers to their requests must be saved.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::callback::{Marks, let_others_run, refuse_reentry};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::patience::Patience;
use crate::process::Process;
use crate::secret::wipe_stack_after_traffic;

/// The calls of one client, also those that go on after their callers left.
#[derive(Debug)]
pub(crate) struct Calls {
    /// The process that made the client.
    process: Process,
    closed: AtomicBool,
    running: AtomicUsize,
    /// Number of threads that wait for the last call's end.
    waiting: AtomicUsize,
    turn: Mutex<()>,
    changed: Condvar,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self {
            process: Process::this(),
            closed: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            turn: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Counts a call until the answer is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Counted {
        self.running.fetch_add(1, Ordering::SeqCst);
        Counted { calls: Arc::clone(self) }
    }

    /// Begins a call that takes at most `timeout` by `clock`, or goes on with the call that led
    /// here.
    pub(crate) fn begin(self: &Arc<Self>, clock: &impl Clock, timeout: Duration) -> Call {
        let outermost = Marks::get().deadline.is_none();
        let patience = outermost.then(|| Patience::of(timeout));
        if outermost {
            let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let deadline = clock.monotonic().saturating_add(timeout);
            Marks::change(|marks| marks.deadline = Some(deadline));
        }
        // A forked child inherited its parent's calls, which never end in the child.
        let counted = self.process.is_this().then(|| self.enter());
        Call { outermost, _patience: patience, counted }
    }

    /// Refuses calls once the client is closed, and calls from within its own callbacks.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::state("the client is closed: make a new one"));
        }
        refuse_reentry()
    }

    /// Refuses what a forked child must not do with its parent's client.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.process.check()
    }

    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Lets no call begin any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until no call is under way, at most `longest`.
    pub(crate) fn finish(&self, longest: Duration) {
        let until = Instant::now().checked_add(longest);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = self.turn();
        while self.running.load(Ordering::SeqCst) > 0 {
            let left =
                until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            drop(turn);
            // Another green thread of this very thread may have to go on first.
            let others_ran = let_others_run(left.min(LONGEST_TURN));
            turn = self.turn();
            if !others_ran && self.running.load(Ordering::SeqCst) > 0 {
                turn =
                    self.changed.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that closing the client waits for.
pub(crate) struct Counted {
    calls: Arc<Calls>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let calls = &self.calls;
        // Waking costs a system call even if nobody waits. A thread that waits says so before it
        // looks at the count.
        if calls.running.fetch_sub(1, Ordering::SeqCst) == 1
            && calls.waiting.load(Ordering::SeqCst) > 0
        {
            drop(calls.turn());
            calls.changed.notify_all();
        }
    }
}

/// A call under way. While it lives, everything that this thread does for a client ends by one
/// deadline.
pub(crate) struct Call {
    outermost: bool,
    _patience: Option<Patience>,
    counted: Option<Counted>,
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.outermost {
            Marks::change(|marks| marks.deadline = None);
            wipe_stack_after_traffic();
        }
    }
}

impl Call {
    /// Returns `true` in the process that made the client, and `false` in a forked child.
    pub(crate) fn is_at_home(&self) -> bool {
        self.counted.is_some()
    }
}

/// Returns the time that is left of this thread's call, at most `longest`.
pub(crate) fn at_most(clock: &impl Clock, longest: Duration) -> Duration {
    match Marks::get().deadline {
        Some(deadline) => {
            longest.min(Duration::from_millis(deadline.saturating_sub(clock.monotonic())))
        }
        None => longest,
    }
}

/// The error of a call that ran out of time before it could send (again).
pub(crate) fn timed_out() -> Error {
    Error::new(ErrorCode::Timeout, "the call took longer than `timeout`; try again")
        .with_retryable(true)
}

/// The longest that other green threads run before the calls are counted again.
const LONGEST_TURN: Duration = Duration::from_millis(10);
