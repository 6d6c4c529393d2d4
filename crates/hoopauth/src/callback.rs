//! Guards the border to the host program's callbacks: a call back into the client from within one is refused, because it
//! would wait for the very refresh that waits for the callback.

use std::cell::Cell;

use crate::error::{Error, Result};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs a callback.
pub(crate) fn calling<T>(callback: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    callback()
}

/// Refuses to go on inside a callback.
pub(crate) fn refuse_reentry() -> Result<()> {
    if DEPTH.get() == 0 {
        return Ok(());
    }
    Err(Error::state(
        "the client was called from within one of its own callbacks: do that work after the callback returned",
    ))
}
