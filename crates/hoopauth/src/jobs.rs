//! Work on threads of its own, whose callers may leave before it ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::Result;
use crate::snapshot::Snapshot;
use crate::sync::{Mutex, lock};

/// The headers that a job got, if it was to get some.
pub(crate) type JobOutcome = Option<Arc<Snapshot>>;

/// Work on a thread of its own, and who waits for it.
pub(crate) struct Job {
    state: Mutex<JobState>,
    /// End of the first caller's wait.
    deadline: Option<Instant>,
}

struct JobState {
    outcome: Option<Result<JobOutcome>>,
    waiting: Vec<Context>,
}

impl Job {
    pub(crate) fn outcome(&self) -> Option<Result<JobOutcome>> {
        lock(&self.state).outcome.clone()
    }

    /// Keeps the outcome; answers who waited for it.
    fn end(&self, outcome: Result<JobOutcome>) -> (Vec<Context>, bool) {
        let mut state = lock(&self.state);
        state.outcome = Some(outcome);
        let waiting = std::mem::take(&mut state.waiting);
        let was_left = waiting.is_empty();
        (waiting, was_left)
    }
}

pub(crate) enum Joined {
    Ours(Arc<Job>),
    Others(Arc<Job>),
    /// So many were left by their callers that no more are begun.
    Full,
}

/// The jobs of a client. Those whose callers wait are no more than the program's own threads; those
/// that were left are bounded here.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Mutex<JobsState>,
}

#[derive(Default)]
struct JobsState {
    /// Jobs that callers share.
    shared: HashMap<Box<str>, Arc<Job>>,
    /// Number of jobs that go on although nobody waits.
    left: usize,
    /// Callers that wait for room.
    waiting: Vec<Context>,
}

impl Jobs {
    pub(crate) fn join(&self, key: Option<&str>, context: &Context) -> Joined {
        let mut state = lock(&self.state);
        if let Some(job) = key.and_then(|key| state.shared.get(key)).cloned() {
            let mut inside = lock(&job.state);
            if inside.outcome.is_none() {
                let was_left = inside.waiting.is_empty();
                inside.waiting.push(context.clone());
                drop(inside);
                if was_left {
                    state.left = state.left.saturating_sub(1);
                    let waiting = std::mem::take(&mut state.waiting);
                    drop(state);
                    wake_all(&waiting);
                }
                return Joined::Others(job);
            }
        }
        if state.left >= MOST_LEFT {
            state.waiting.push(context.clone());
            return Joined::Full;
        }
        let waiting = vec![context.clone()];
        let state_of_job = Mutex::new(JobState { outcome: None, waiting });
        let job = Arc::new(Job { state: state_of_job, deadline: context.deadline() });
        if let Some(key) = key {
            state.shared.insert(key.into(), Arc::clone(&job));
        }
        Joined::Ours(job)
    }

    /// A caller gives up; answers the outcome if that came all the same.
    pub(crate) fn leave(&self, job: &Job, context: &Context) -> Option<Result<JobOutcome>> {
        let mut state = lock(&self.state);
        let mut inside = lock(&job.state);
        if inside.outcome.is_some() {
            return inside.outcome.clone();
        }
        if let Some(at) = inside.waiting.iter().position(|waiting| waiting.is(context)) {
            inside.waiting.swap_remove(at);
            if inside.waiting.is_empty() {
                state.left += 1;
            }
        }
        None
    }

    pub(crate) fn finish(&self, key: Option<&str>, job: &Arc<Job>, outcome: Result<JobOutcome>) {
        let mut state = lock(&self.state);
        if let Some(key) = key
            && state.shared.get(key).is_some_and(|shared| Arc::ptr_eq(shared, job))
        {
            state.shared.remove(key);
        }
        let (mut waiting, was_left) = job.end(outcome);
        if was_left {
            state.left = state.left.saturating_sub(1);
            waiting.append(&mut state.waiting);
        }
        drop(state);
        wake_all(&waiting);
    }

    pub(crate) fn has_room(&self) -> bool {
        lock(&self.state).left < MOST_LEFT
    }

    /// A caller waits for room no longer.
    pub(crate) fn forget(&self, context: &Context) {
        let mut state = lock(&self.state);
        if let Some(at) = state.waiting.iter().position(|waiting| waiting.is(context)) {
            state.waiting.swap_remove(at);
        }
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

thread_local! {
    /// The job that this thread does for one caller. A thread of our own, so that no green threads
    /// share it.
    static JOB: RefCell<Option<Arc<Job>>> = const { RefCell::new(None) };
}

/// Notes that this thread does a job for one caller.
pub(crate) fn work_for_one(job: &Arc<Job>) {
    JOB.set(Some(Arc::clone(job)));
}

/// Returns `true` if the one caller left that this thread works for; `None` if it works for itself,
/// or for several.
pub(crate) fn caller_left() -> Option<bool> {
    JOB.with_borrow(|job| job.as_ref().map(|job| lock(&job.state).waiting.is_empty()))
}

/// Returns the time that the one caller still waits that this thread works for: work for that
/// caller alone need take no longer.
pub(crate) fn left_of_caller() -> Duration {
    JOB.with_borrow(|job| match job {
        Some(job) if lock(&job.state).waiting.is_empty() => Duration::ZERO,
        Some(job) => {
            job.deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
        }
        None => Duration::MAX,
    })
}

fn wake_all(contexts: &[Context]) {
    contexts.iter().for_each(Context::wake);
}

/// The most jobs of a client that go on after their callers left.
const MOST_LEFT: usize = 64;
