//! Deadlines and cancellation.

use std::time::Duration;

use hoopauth_core::{Context, Error, ErrorCode};

use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Shared, free, share, the};
use crate::status::hoopauth_status_t;

/// Deadline for calls, and a switch that ends their waits from another thread.
///
/// Every function that may wait takes one; NULL there means: the option `timeout`, and no switch.
/// What ends is the wait: a token request that was sent is finished on a thread of its own and its
/// answer saved, so that cancelling never costs a grant. While many calls go on that were left,
/// further ones wait, within their contexts, until one of those ends. Counted:
/// `hoopauth_context_ref`, `hoopauth_context_free`. Any thread may use it.
pub struct hoopauth_context_t(pub(crate) Context);

impl Handle for hoopauth_context_t {
    type Kind = Shared;
}

/// Makes a context whose calls end `timeout` seconds from now at the latest, with
/// `HOOPAUTH_TIMEOUT`; infinity for no end.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_ARGUMENT` for a negative timeout or
/// one that is no number. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_context_new(
    timeout: f64,
    out: *mut *mut hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            if timeout.is_nan() || timeout < 0.0 {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "`timeout` is negative or not a number: give the seconds from now, 0 or more, \
                     or infinity for no end",
                ));
            }
            // A time that is too long for a duration counts as no end.
            Ok(hoopauth_context_t(match Duration::try_from_secs_f64(timeout) {
                Ok(timeout) => Context::with_timeout(timeout),
                Err(_) => Context::new(),
            }))
        })
    }
}

/// Ends all waits within `context`, those under way and those to come, with `HOOPAUTH_CANCELLED`.
///
/// Errors: `HOOPAUTH_INVALID_ARGUMENT` for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_context_cancel(
    context: *const hoopauth_context_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the(context, "context")?.0.cancel();
            Ok(())
        })
    }
}

/// Returns true if the context was cancelled; false for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_context_is_cancelled(context: *const hoopauth_context_t) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { context.as_ref() }.is_some_and(|context| context.0.is_cancelled())
}

/// One more reference, to be freed like the first; returns `context`, NULL if the handle is NULL.
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_context_ref(
    context: *const hoopauth_context_t,
) -> *mut hoopauth_context_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { share(context) }
}

/// Gives up one reference. Does nothing for NULL. Calls under way within it go on.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_context_free(context: *mut hoopauth_context_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(context) }
}
