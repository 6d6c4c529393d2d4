//! State of a grant.

use std::ffi::c_char;

use hoopauth_core::Health;

use crate::account::hoopauth_account_t;
use crate::client::{account_or_default, hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::make;
use crate::handle::{Handle, Owned, free, held};
use crate::lent::{Text, lend_some};
use crate::status::hoopauth_status_t;

/// State of an account's grant. The caller owns it and frees it with `hoopauth_health_free`. Any
/// thread may read it.
pub struct hoopauth_health_t {
    health: Health,
    last_error: Option<Text>,
    scopes: Text,
}

impl Handle for hoopauth_health_t {
    type Kind = Owned;
}

/// Reads the state of an account's grant (NULL: the default account).
///
/// `*out` is the caller's to free. Errors: `HOOPAUTH_NO_GRANT`, and those of the store. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_health(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_health_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            let account = account_or_default(client, account)?;
            let health = within(client, context, move |client| client.health(&account))?;
            Ok(hoopauth_health_t {
                last_error: health.last_error.as_deref().map(Text::new),
                scopes: Text::new(&health.scopes.join(" ")),
                health,
            })
        })
    }
}

/// Returns the moment at which the access token ends, in milliseconds since the Unix epoch; 0 for
/// NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_expires_at_ms(health: *const hoopauth_health_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { health.as_ref() }.map_or(0, |health| health.health.expires_at.0)
}

/// Returns the moment at which the token pair was requested or imported, in milliseconds since the
/// Unix epoch; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_refreshed_at_ms(health: *const hoopauth_health_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { health.as_ref() }.map_or(0, |health| health.health.refreshed_at.0)
}

/// Returns the moment at which the user authorized the grant, in milliseconds since the Unix epoch;
/// 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_authorized_at_ms(health: *const hoopauth_health_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    unsafe { health.as_ref() }.map_or(0, |health| health.health.authorized_at.0)
}

/// The last failure since then.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `health`, or NULL if
/// there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_last_error(
    health: *const hoopauth_health_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(health.as_ref().and_then(|health| health.last_error.as_ref()), len) }
}

/// Returns true if HoopAI refused the refresh token and only the user can help; false for NULL. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_needs_reauthorization(
    health: *const hoopauth_health_t,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { health.as_ref() }.is_some_and(|health| health.health.needs_reauthorization)
}

/// Returns true if the current token pair is held in memory because the store failed; false for
/// NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_is_unsaved(health: *const hoopauth_health_t) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { health.as_ref() }.is_some_and(|health| health.health.unsaved)
}

/// Days until the refresh token ends if nobody uses it (it lives one year); -1 without a refresh
/// token, and for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_idle_days_left(health: *const hoopauth_health_t) -> i64 {
    // SAFETY: by the contract on the header's first page.
    let days = unsafe { health.as_ref() }.and_then(|health| health.health.idle_days_left);
    days.map_or(-1, |days| i64::try_from(days).unwrap_or(i64::MAX))
}

/// The scopes, separated by spaces.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `health`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_scopes(
    health: *const hoopauth_health_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(health.as_ref().map(|health| &health.scopes), len) }
}

/// Frees a health. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_health_free(health: *mut hoopauth_health_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(health) }
}
