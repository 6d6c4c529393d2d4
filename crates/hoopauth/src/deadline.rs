//! The time one call of the program may take: `timeout`, with all its tries and waits.

use std::time::Duration;

use crate::callback::Marks;
use crate::clock::Clock;
use crate::context::Counted;
use crate::error::{Error, ErrorCode};
use crate::inner::Inner;
use crate::patience::Patience;
use crate::secret::wipe_stack_after_traffic;

/// While it lives, everything this thread does for a client ends by one deadline, and closing the
/// client waits for it.
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
    /// Whether this process made the client; a forked child is no more than tolerated.
    pub(crate) fn is_at_home(&self) -> bool {
        self.counted.is_some()
    }
}

impl Inner {
    /// Begins a call, or goes on with the one that led here.
    pub(crate) fn begin_call(&self) -> Call {
        self.begin_call_of(self.settings.timeout)
    }

    /// The same with another `timeout`, which counts where no call led here.
    pub(crate) fn begin_call_of(&self, timeout: Duration) -> Call {
        let outermost = Marks::get().deadline.is_none();
        let patience = outermost.then(|| Patience::of(timeout));
        if outermost {
            let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let deadline = self.clock.monotonic().saturating_add(timeout);
            Marks::change(|marks| marks.deadline = Some(deadline));
        }
        // A forked child inherited calls of its parent's, which never end in it.
        let counted = self.check_process().is_ok().then(|| self.calls.enter());
        Call { outermost, _patience: patience, counted }
    }

    /// `longest`, or what is left of the call.
    pub(crate) fn at_most(&self, longest: Duration) -> Duration {
        match Marks::get().deadline {
            Some(deadline) => {
                longest.min(Duration::from_millis(deadline.saturating_sub(self.clock.monotonic())))
            }
            None => longest,
        }
    }
}

/// The error of a call that ran out of time before it could send (again).
pub(crate) fn timed_out() -> Error {
    Error::new(ErrorCode::Timeout, "the call took longer than `timeout`; try again")
        .with_retryable(true)
}
