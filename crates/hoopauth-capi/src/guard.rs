//! The guard of all entry points: errors and handles go out by pointers, and no panic passes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hoopauth_core::{Error, ErrorCode, Result};

use crate::argument::{clear, null};
use crate::error::hoopauth_error_t;
use crate::handle::{Handle, Kind as _, discard};
use crate::status::{HOOPAUTH_OK, hoopauth_status_t};

/// Runs a call: `*err` is NULL from the start, a failure is put there, and no panic passes.
///
/// # Safety
/// `err` is NULL or valid for a write.
pub(crate) unsafe fn call(
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<()>,
) -> hoopauth_status_t {
    let mut work = Some(work);
    // SAFETY: the caller says so.
    unsafe { guarded(err, &mut || work.take().map_or(Ok(()), |work| work())) }
}

/// One guard for the work of all entry points.
///
/// # Safety
/// As for [`call`].
unsafe fn guarded(
    err: *mut *mut hoopauth_error_t,
    work: &mut dyn FnMut() -> Result<()>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe { clear(err) };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => HOOPAUTH_OK,
        // SAFETY: as above.
        Ok(Err(error)) => unsafe { fail(err, error) },
        Err(payload) => {
            discard(payload);
            let error = Error::new(
                ErrorCode::Panic,
                "hoopauth stopped the call because of a bug in hoopauth; please report it",
            );
            // SAFETY: as above.
            unsafe { fail(err, error) }
        }
    }
}

#[cold]
unsafe fn fail(err: *mut *mut hoopauth_error_t, error: Error) -> hoopauth_status_t {
    let status = error.code().number();
    if !err.is_null() {
        // SAFETY: `call`'s caller says so.
        unsafe {
            err.write(<hoopauth_error_t as Handle>::Kind::into_raw(hoopauth_error_t::new(error)));
        };
    }
    status
}

/// Runs a function that makes a handle, as [`call`] does: `*out` is NULL from the start and set on
/// success.
///
/// # Safety
/// `out` and `err` are NULL or valid for a write.
pub(crate) unsafe fn make<T: Handle>(
    out: *mut *mut T,
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<T>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe { hand_out(out, err, || work().map(T::Kind::into_raw)) }
}

/// Runs work that returns the handle itself, as [`make`] does; NULL: none.
///
/// # Safety
/// As for [`make`].
pub(crate) unsafe fn hand_out<T>(
    out: *mut *mut T,
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<*mut T>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe {
        clear(out);
        call(err, || {
            if out.is_null() {
                return Err(null("the out-parameter"));
            }
            out.write(work()?);
            Ok(())
        })
    }
}
