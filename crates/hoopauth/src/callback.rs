//! Guards the border to the host program's callbacks: a call back into the client from within one
//! is refused, because it would wait for the very refresh that waits for the callback.
//!
//! What must be known of the call that a thread is in is one value, [`Marks`]. A host with green
//! threads (greenlets, fibers) can switch to another one inside a callback and come back much
//! later: so each callback puts the marks back as they were when it began, and a host that tells
//! its green threads apart hides them for that long ([`outside`]).

use std::cell::Cell;
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::error::{Error, Result};

/// The state of the call that this thread is in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Number of callbacks that the thread is inside.
    pub(crate) depth: u32,
    /// End of the call, on its client's monotonic clock.
    pub(crate) deadline: Option<u64>,
    /// End of the waits for our own stores: see [`Patience`](crate::patience::Patience).
    pub(crate) patience: Option<Instant>,
    /// The host's clock is being asked.
    pub(crate) asking: bool,
    /// A log sink is at work.
    pub(crate) logging: bool,
}

impl Marks {
    const NONE: Self =
        Self { depth: 0, deadline: None, patience: None, asking: false, logging: false };

    pub(crate) fn get() -> Self {
        MARKS.get()
    }

    /// Changes the marks; returns those before.
    pub(crate) fn change(change: impl FnOnce(&mut Self)) -> Self {
        let before = MARKS.get();
        let mut marks = before;
        change(&mut marks);
        MARKS.set(marks);
        before
    }
}

thread_local! {
    static MARKS: Cell<Marks> = const { Cell::new(Marks::NONE) };
}

/// Puts marks back when it is dropped.
struct Restore(Marks);

impl Drop for Restore {
    fn drop(&mut self) {
        MARKS.set(self.0);
    }
}

/// Runs a callback.
pub(crate) fn calling<T>(callback: impl FnOnce() -> T) -> T {
    let _restore = Restore(Marks::change(|marks| marks.depth += 1));
    callback()
}

/// Runs code of the host's as if this thread were in no call: for bindings that refuse calls from
/// within callbacks themselves, because their host switches between green threads there.
pub fn outside<T>(callback: impl FnOnce() -> T) -> T {
    let _restore = Restore(Marks::change(|marks| *marks = Marks::NONE));
    callback()
}

/// Refuses to go on inside a callback.
pub(crate) fn refuse_reentry() -> Result<()> {
    if Marks::get().depth == 0 { Ok(()) } else { Err(reentered()) }
}

pub(crate) fn reentered() -> Error {
    Error::state(
        "the client was called from within one of its own callbacks: do that work after the \
         callback returned",
    )
}

/// Lets the other green threads of this thread run for about so long; `false` where there are none.
type LetOthersRun = fn(Duration) -> bool;

/// Tells how other green threads get to run, for the whole process: the first to say so is heard.
pub fn set_let_others_run(let_others_run: LetOthersRun) {
    let _ = LET_OTHERS_RUN.set(let_others_run);
}

/// Waits about so long while other green threads of this thread run; `false`, at once, where there
/// are none.
pub(crate) fn let_others_run(pause: Duration) -> bool {
    LET_OTHERS_RUN.get().is_some_and(|others| calling(|| others(pause)))
}

static LET_OTHERS_RUN: OnceCell<LetOthersRun> = OnceCell::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_leaves_the_marks_as_it_found_them() {
        let before = Marks::change(|marks| marks.deadline = Some(7));
        calling(|| {
            assert!(refuse_reentry().is_err() && Marks::get().deadline == Some(7));
            outside(|| {
                // Another green thread of the host's: it is in no callback, and comes and goes as
                // it likes.
                assert!(refuse_reentry().is_ok() && Marks::get().deadline.is_none());
                Marks::change(|marks| {
                    *marks = Marks {
                        depth: 9,
                        deadline: Some(9),
                        patience: None,
                        asking: true,
                        logging: true,
                    }
                });
            });
            assert!(
                refuse_reentry().is_err()
                    && Marks::get().deadline == Some(7)
                    && !Marks::get().asking
            );
            Marks::change(|marks| *marks = Marks::NONE);
        });
        assert!(refuse_reentry().is_ok() && Marks::get().deadline == Some(7));
        Marks::change(|marks| *marks = before);
    }
}
