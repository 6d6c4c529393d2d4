//! The log.

use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::sync::Arc;

use hoopauth_core::binding::{LogRecord, LogSink, set_log};

use crate::callbacks::{Callbacks, Table, missing};
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::lent::Text;
use crate::status::hoopauth_status_t;

/// Log level: nothing.
pub const HOOPAUTH_LOG_OFF: i32 = 0;
/// Log level: something was lost or is about to be.
pub const HOOPAUTH_LOG_ERROR: i32 = 1;
/// Log level: something failed and is tried again.
pub const HOOPAUTH_LOG_WARN: i32 = 2;
/// Log level: what happened.
pub const HOOPAUTH_LOG_INFO: i32 = 3;
/// Log level: why it happened.
pub const HOOPAUTH_LOG_DEBUG: i32 = 4;
/// Log level: everything. No level holds secrets.
pub const HOOPAUTH_LOG_TRACE: i32 = 5;

/// Callbacks that receive log records. See "Callbacks" on the first page.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_log_callbacks_t {
    /// `sizeof(hoopauth_log_callbacks_t)`.
    pub struct_size: usize,
    /// Given to each callback.
    pub user_data: *mut c_void,
    /// Called once, when the table is not used any more; may be NULL.
    pub destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Takes one record: its level, the part of the library it comes from, and its text. The texts
    /// are valid until it returns.
    pub log: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            level: i32,
            target: *const c_char,
            target_len: usize,
            message: *const c_char,
            message_len: usize,
        ),
    >,
}

// SAFETY: `repr(C)`, size first, and all members are valid as zeros.
unsafe impl Table for hoopauth_log_callbacks_t {
    const LEAST: usize = size_of::<usize>() * 4;

    fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)> {
        self.destroy
    }
}

/// Sends the library's log records up to `level` to `callbacks`, in place of those before. For the
/// whole process: the log belongs to no client. `callbacks` NULL or level `HOOPAUTH_LOG_OFF`:
/// nowhere.
///
/// The table is copied; its `destroy` is called if and only if this succeeds. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`; `HOOPAUTH_INVALID_STATE` where the library is linked into a Rust
/// program that has its own log. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_log_set(
    level: i32,
    callbacks: *const hoopauth_log_callbacks_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let level = u8::try_from(level).ok().filter(|level| *level <= 5).ok_or_else(|| {
                hoopauth_core::Error::new(
                    hoopauth_core::ErrorCode::InvalidArgument,
                    "`level` is not a log level: pass one of the constants `HOOPAUTH_LOG_`",
                )
            })?;
            if callbacks.is_null() {
                return set_log(0, None);
            }
            let table = Callbacks::copy("callbacks", callbacks)?;
            if table.log.is_none() {
                return Err(missing("callbacks", "log"));
            }
            // Nothing of the host's is destroyed where this fails.
            set_log(0, None)?;
            set_log(level, Some(Arc::new(Sink(Callbacks(table)))))
        })
    }
}

struct Sink(Callbacks<hoopauth_log_callbacks_t>);

impl LogSink for Sink {
    fn log(&self, record: &LogRecord<'_>) {
        let Some(log) = self.0.0.log else { return };
        let (target, message) = (Text::new(record.target), Text::new(record.message));
        let (mut target_len, mut message_len) = (0, 0);
        // SAFETY: the host's function, with texts that live until it returns.
        unsafe {
            let (target, message) =
                (target.lend(&raw mut target_len), message.lend(&raw mut message_len));
            log(
                self.0.0.user_data,
                i32::from(record.level),
                target,
                target_len,
                message,
                message_len,
            );
        }
    }
}
