//! Maintenance in the background.

use hoopauth_core::Maintenance;

use crate::client::hoopauth_client_t;
use crate::error::hoopauth_error_t;
use crate::guard::make;
use crate::handle::{Handle, Owned, free, held};
use crate::status::hoopauth_status_t;

/// Maintenance on a thread of the library's own. The caller owns it; `hoopauth_maintenance_free`
/// ends it.
pub struct hoopauth_maintenance_t {
    _running: Maintenance,
}

impl Handle for hoopauth_maintenance_t {
    type Kind = Owned;
}

/// Does the same as `hoopauth_client_maintain` on a thread of its own, until the handle is freed or
/// the client closed. Failures are logged.
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_INVALID_STATE` without OAuth, after close, and
/// in a forked child. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_maintain_in_background(
    client: *const hoopauth_client_t,
    out: *mut *mut hoopauth_maintenance_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            Ok(hoopauth_maintenance_t {
                _running: held(client, "client")?.0.maintain_in_background()?,
            })
        })
    }
}

/// Ends the maintenance and waits for the refresh under way; does nothing if `maintenance` is NULL.
/// In a callback on maintenance's own thread nothing is waited for: the thread ends by itself. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_maintenance_free(maintenance: *mut hoopauth_maintenance_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(maintenance) }
}
