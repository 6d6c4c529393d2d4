//! For tests of the guard: a panic in the middle of a call.

use hoopauth_core::binding::Step;
use hoopauth_core::{Error, ErrorCode};

use crate::config::hoopauth_config_t;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::the_mut;
use crate::status::hoopauth_status_t;

/// Lets clients panic at a step of the refresh, by its number from 0. Not in the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_test_panic_at(
    config: *mut hoopauth_config_t,
    step: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let step = Step::ALL
                .get(step)
                .ok_or_else(|| Error::new(ErrorCode::InvalidArgument, "no such step"))?;
            the_mut(config, "config")?.panic_at = Some(*step);
            Ok(())
        })
    }
}
