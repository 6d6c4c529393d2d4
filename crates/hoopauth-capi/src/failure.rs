//! Failures of callbacks.

use std::ffi::c_char;

use hoopauth_core::{Error, ErrorCode, Result};

use crate::argument::text;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::the_mut;
use crate::status::{HOOPAUTH_OK, code, hoopauth_status_t};

/// Place where a callback puts its reason, beside the status that it returns. It belongs to the
/// library, and is valid until the callback returns.
#[derive(Default)]
pub struct hoopauth_failure_t {
    message: Option<String>,
    retryable: Option<bool>,
}

/// Says what happened, for the message of the error that the caller of the library gets. No
/// secrets; what looks like a token is cut out.
///
/// Copied. Errors: `HOOPAUTH_INVALID_ARGUMENT`. Only in the callback that got `failure`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_failure_set_message(
    failure: *mut hoopauth_failure_t,
    message: *const c_char,
    message_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let message = text("message", message, message_len)?.to_owned();
            the_mut(failure, "failure")?.message = Some(message);
            Ok(())
        })
    }
}

/// Says whether the same call can succeed later with nothing changed by a person.
///
/// Errors: for NULL. Only in the callback that got `failure`. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_failure_set_retryable(
    failure: *mut hoopauth_failure_t,
    retryable: bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(failure, "failure")?.retryable = Some(retryable);
            Ok(())
        })
    }
}

impl hoopauth_failure_t {
    pub(crate) fn message(&self) -> Option<String> {
        self.message.as_deref().map(hoopauth_core::binding::clean_text)
    }

    /// Gives a callback's status its meaning: the callback may use the codes in `own`; all others
    /// are `CALLBACK_FAILED`.
    pub(crate) fn check(
        self,
        status: hoopauth_status_t,
        what: &str,
        own: &[ErrorCode],
    ) -> Result<()> {
        if status == HOOPAUTH_OK {
            return Ok(());
        }
        let code =
            code(status).filter(|code| own.contains(code)).unwrap_or(ErrorCode::CallbackFailed);
        let message = match self.message() {
            Some(message) => format!("the host's {what} failed: {message}"),
            None => format!(
                "the host's {what} failed with status {status} and gave no message: look for the \
                 cause in the host program"
            ),
        };
        let error = Error::new(code, message);
        Err(match self.retryable {
            Some(retryable) => error.with_retryable(retryable),
            None => error,
        })
    }
}
