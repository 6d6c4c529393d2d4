//! The API's rate limits.

use hoopauth_core::{RateLimit, Timestamp};

use crate::account::hoopauth_account_t;
use crate::argument::{Filled, fill, put};
use crate::client::{check_owner, hoopauth_client_t};
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::held;
use crate::status::hoopauth_status_t;

/// The API's limits of one account, as its last answer told them. A limit that was not told is -1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hoopauth_rate_limit_t {
    /// `sizeof(hoopauth_rate_limit_t)`, set by the caller.
    pub struct_size: usize,
    /// Requests allowed per interval.
    pub limit: i64,
    /// Requests left in the current interval.
    pub remaining: i64,
    /// Length of an interval in seconds.
    pub interval: f64,
    /// Requests allowed per day.
    pub daily_limit: i64,
    /// Requests left today.
    pub daily_remaining: i64,
    /// Moment at which the daily limit starts anew, in milliseconds since the Unix epoch.
    pub daily_reset_ms: i64,
    /// Moment at which the answer came, in milliseconds since the Unix epoch.
    pub seen_at_ms: i64,
}

// SAFETY: `repr(C)`, size first.
unsafe impl Filled for hoopauth_rate_limit_t {
    const LEAST: usize = size_of::<usize>() + 7 * size_of::<i64>();
}

impl hoopauth_rate_limit_t {
    fn new(limit: &RateLimit) -> Self {
        let number =
            |value: Option<u64>| value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX));
        Self {
            struct_size: 0,
            limit: number(limit.limit),
            remaining: number(limit.remaining),
            interval: limit.interval.map_or(-1.0, |interval| interval.as_secs_f64()),
            daily_limit: number(limit.daily_limit),
            daily_remaining: number(limit.daily_remaining),
            daily_reset_ms: limit.daily_reset.map_or(-1, |reset| reset.0),
            seen_at_ms: limit.seen_at.0,
        }
    }
}

/// The API's limits of an account (NULL: the default one), as the last answer to this client told
/// them: to a request, or reported.
///
/// `*found` tells whether there was such an answer; if there was none, all members are -1. Of
/// `rate_limit`, `struct_size` must be set. No I/O. Errors: `HOOPAUTH_INVALID_ARGUMENT`. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_rate_limit(
    client: *const hoopauth_client_t,
    account: *const hoopauth_account_t,
    rate_limit: *mut hoopauth_rate_limit_t,
    found: *mut bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let client = held(client, "client")?;
            let client = &client.0;
            check_owner(client, account)?;
            let name = match account.as_ref() {
                Some(account) => account.handle.account().as_str(),
                // That of a static token that speaks for none.
                None => client.default_account().unwrap_or_default(),
            };
            let limit = client.rate_limit(name);
            put("found", found, limit.is_some())?;
            let nothing = RateLimit::default();
            let mut told = hoopauth_rate_limit_t::new(limit.as_ref().unwrap_or(&nothing));
            if limit.is_none() {
                told.seen_at_ms = UNKNOWN.0;
            }
            fill("rate_limit", rate_limit, &told)
        })
    }
}

const UNKNOWN: Timestamp = Timestamp(-1);
