//! The host's clock.

use std::ffi::c_void;
use std::fmt;
use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;

use hoopauth_core::{Clock, Timestamp};

use crate::callbacks::{Callbacks, Table, missing};
use crate::config::hoopauth_config_t;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::the_mut;
use crate::status::hoopauth_status_t;

/// A clock of the host's own, for tests and simulations. See "Callbacks" on the first page. Called
/// on the hot path: it must be quick and must not block.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_clock_callbacks_t {
    /// `sizeof(hoopauth_clock_callbacks_t)`.
    pub struct_size: usize,
    /// Given to each callback.
    pub user_data: *mut c_void,
    /// Called once, when the table is not used any more; may be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Milliseconds since the Unix epoch. May jump.
    pub now_ms: Option<unsafe extern "C" fn(user_data: *mut c_void) -> i64>,
    /// Milliseconds on a clock that never jumps; its zero is arbitrary.
    pub monotonic_ms: Option<unsafe extern "C" fn(user_data: *mut c_void) -> u64>,
    /// Lets that many milliseconds pass. NULL: they pass in real time.
    pub sleep_ms: Option<unsafe extern "C" fn(user_data: *mut c_void, duration_ms: u64)>,
}

// SAFETY: `repr(C)`, size first, and all members are valid as zeros.
unsafe impl Table for hoopauth_clock_callbacks_t {
    const LEAST: usize = size_of::<usize>() * 5;

    fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)> {
        self.destroy
    }
}

/// Gives clients the host's clock instead of the system's.
///
/// The table is copied; its `destroy` is called if and only if this succeeds. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_config_set_clock(
    config: *mut hoopauth_config_t,
    callbacks: *const hoopauth_clock_callbacks_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let config = the_mut(config, "config")?;
            let table = Callbacks::copy("callbacks", callbacks)?;
            if table.now_ms.is_none() {
                return Err(missing("callbacks", "now_ms"));
            }
            if table.monotonic_ms.is_none() {
                return Err(missing("callbacks", "monotonic_ms"));
            }
            config.clock = Some(Arc::new(HostClock(Callbacks(table))));
            Ok(())
        })
    }
}

struct HostClock(Callbacks<hoopauth_clock_callbacks_t>);

impl fmt::Debug for HostClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostClock")
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        // SAFETY: the host's function.
        self.0.0.now_ms.map_or(Timestamp(0), |now| Timestamp(unsafe { now(self.0.0.user_data) }))
    }

    fn monotonic(&self) -> u64 {
        // SAFETY: the host's function.
        self.0.0.monotonic_ms.map_or(0, |monotonic| unsafe { monotonic(self.0.0.user_data) })
    }

    fn sleep(&self, duration: Duration) {
        match self.0.0.sleep_ms {
            // SAFETY: the host's function.
            Some(sleep) => unsafe {
                sleep(self.0.0.user_data, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
            },
            None => std::thread::sleep(duration),
        }
    }
}
