//! Errors.

use std::ffi::c_char;
use std::sync::OnceLock;

use hoopauth_core::Error;

use crate::answer::hoopauth_response_t;
use crate::handle::{Handle, Owned, free};
use crate::lent::{Text, lend_some};
use crate::status::{HOOPAUTH_OK, hoopauth_status_t};

/// Reason why a call failed: what happened, what to do next, and what the server said. It contains
/// no secret.
///
/// The caller owns it and frees it with `hoopauth_error_free`. Its texts live as long as it does.
/// Any thread may read it.
pub struct hoopauth_error_t {
    error: Error,
    message: Text,
    server_message: Option<Text>,
    trace_id: Option<Text>,
    account: Option<Text>,
    response: OnceLock<Option<hoopauth_response_t>>,
}

impl Handle for hoopauth_error_t {
    type Kind = Owned;
}

impl hoopauth_error_t {
    pub(crate) fn new(error: Error) -> Self {
        Self {
            message: Text::new(error.message()),
            server_message: error.server_message().map(Text::new),
            trace_id: error.trace_id().map(Text::new),
            account: error.account().map(|account| Text::new(account.as_str())),
            response: OnceLock::new(),
            error,
        }
    }

    /// The answer that it is about; copied when it is first asked for.
    pub(crate) fn response(&self) -> Option<&hoopauth_response_t> {
        let copy = || self.error.response().cloned().map(hoopauth_response_t::new);
        self.response.get_or_init(copy).as_ref()
    }
}

/// The status that the call returned; `HOOPAUTH_OK` for NULL.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_code(error: *const hoopauth_error_t) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { error.as_ref() }.map_or(HOOPAUTH_OK, |error| error.error.code().number())
}

/// Returns what happened and what to do next, for people.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `error`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_message(
    error: *const hoopauth_error_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(error.as_ref().map(|error| &error.message), len) }
}

/// The HTTP status of the answer that caused the error; 0 if there was none, and for NULL.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_http_status(error: *const hoopauth_error_t) -> u16 {
    // SAFETY: by the contract on the header's first page.
    unsafe { error.as_ref() }.and_then(|error| error.error.status()).unwrap_or(0)
}

/// The server's own words, at most 500 characters, without control characters and without what
/// looks like a token.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `error`, or NULL if
/// there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_server_message(
    error: *const hoopauth_error_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(error.as_ref().and_then(|error| error.server_message.as_ref()), len) }
}

/// The server's `traceId`, for HoopAI's support.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `error`, or NULL if
/// there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_trace_id(
    error: *const hoopauth_error_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(error.as_ref().and_then(|error| error.trace_id.as_ref()), len) }
}

/// Returns the seconds to wait before the next try; negative if that is not known, and for NULL.
/// Until then a failed refresh gives the same error.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_retry_after(error: *const hoopauth_error_t) -> f64 {
    // SAFETY: by the contract on the header's first page.
    let wait = unsafe { error.as_ref() }.and_then(|error| error.error.retry_after());
    wait.map_or(-1.0, |wait| wait.as_secs_f64())
}

/// Returns true if the same call can succeed later although nobody changes anything; false for
/// NULL.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_is_retryable(error: *const hoopauth_error_t) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { error.as_ref() }.is_some_and(|error| error.error.is_retryable())
}

/// The account it is about, such as "location:ve9EPM428h8vShlRW1KT".
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `error`, or NULL if
/// there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_account(
    error: *const hoopauth_error_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(error.as_ref().and_then(|error| error.account.as_ref()), len) }
}

/// Frees an error. Does nothing for NULL.
///
/// Its texts must not be used afterwards. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_free(error: *mut hoopauth_error_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(error) }
}
