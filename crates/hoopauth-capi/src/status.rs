//! Status codes: the same numbers in every language.

use std::ffi::c_char;

use hoopauth_core::ErrorCode;

/// Result of every fallible function: `HOOPAUTH_OK` or the code of a failure. An unknown code means
/// failure.
pub type hoopauth_status_t = i32;

/// Success.
pub const HOOPAUTH_OK: hoopauth_status_t = 0;

// BEGIN generated: codes
/// An argument is empty, too long, not UTF-8 or of the wrong form: correct the argument that the
/// message names.
pub const HOOPAUTH_INVALID_ARGUMENT: hoopauth_status_t = 1;
/// The client is closed, is a parent process's, is called from its own callback, or has no
/// credential for this: correct the program as the message says.
pub const HOOPAUTH_INVALID_STATE: hoopauth_status_t = 2;
/// The caller cancelled the wait: nothing; a refresh under way goes on.
pub const HOOPAUTH_CANCELLED: hoopauth_status_t = 3;
/// An option is unknown, missing or wrong: correct the option that the message names.
pub const HOOPAUTH_CONFIG: hoopauth_status_t = 10;
/// The server could not be reached or the connection broke: check the network; try again, after
/// `retry_after` if it is set.
pub const HOOPAUTH_NETWORK: hoopauth_status_t = 20;
/// No answer came in time: try again, after `retry_after` if it is set; a refresh under way goes
/// on.
pub const HOOPAUTH_TIMEOUT: hoopauth_status_t = 21;
/// The server's certificate could not be verified: look at the computer's clock and at the server's
/// certificate, or name its authority with `ca_file`; the message says which.
pub const HOOPAUTH_TLS: hoopauth_status_t = 22;
/// The grant is over for good: send the user through authorization again.
pub const HOOPAUTH_REAUTHORIZATION_REQUIRED: hoopauth_status_t = 30;
/// There is no grant for this account: send the user through authorization, or import a grant.
pub const HOOPAUTH_NO_GRANT: hoopauth_status_t = 31;
/// The redirect's `state` is missing, wrong, expired or was used before: begin the authorization
/// again.
pub const HOOPAUTH_STATE_MISMATCH: hoopauth_status_t = 32;
/// The user, or the platform, refused the authorization: ask the user; begin again.
pub const HOOPAUTH_AUTHORIZATION_DENIED: hoopauth_status_t = 33;
/// The token endpoint refuses the request, for its client id, secret, code or parameters: correct
/// what the message names; if it names the code, begin the login again.
pub const HOOPAUTH_TOKEN_REQUEST_REJECTED: hoopauth_status_t = 34;
/// The account is paused or unpaid; its grant is kept: activate the account at HoopAI.
pub const HOOPAUTH_ACCOUNT_INACTIVE: hoopauth_status_t = 35;
/// The answer is not what the protocol allows, or comes from something on the way, such as a
/// firewall: check `token_url`, and firewalls, proxies and login pages on the way; try again after
/// `retry_after`.
pub const HOOPAUTH_MALFORMED_RESPONSE: hoopauth_status_t = 36;
/// A limit is reached: try again after `retry_after`.
pub const HOOPAUTH_RATE_LIMITED: hoopauth_status_t = 37;
/// The token lacks a scope: add the scope to the app and to `scopes`, and authorize again.
pub const HOOPAUTH_INSUFFICIENT_SCOPE: hoopauth_status_t = 40;
/// A company's token where a location's is needed, or the reverse: use the other account; if a
/// refresh meets this and it stays, authorize again.
pub const HOOPAUTH_WRONG_TOKEN_CLASS: hoopauth_status_t = 41;
/// The token speaks for another account than the one that was asked for: use the account that the
/// request names; if a refresh meets this and it stays, authorize again.
pub const HOOPAUTH_WRONG_ACCOUNT: hoopauth_status_t = 42;
/// The platform refuses the Private Integration token: copy the current token from the account's
/// settings.
pub const HOOPAUTH_INVALID_PRIVATE_INTEGRATION: hoopauth_status_t = 43;
/// Another HTTP status that is a failure: do what the message says; if `retryable`, try again,
/// after `retry_after` if it is set.
pub const HOOPAUTH_HTTP_STATUS: hoopauth_status_t = 44;
/// The store could not read or write: repair the store as the message says, its folder, rights,
/// space or server.
pub const HOOPAUTH_STORE: hoopauth_status_t = 50;
/// Another process or thread still refreshes this account after `max_wait`, or handles this
/// webhook: try again; answer 429 to the webhook.
pub const HOOPAUTH_LEASE_TIMEOUT: hoopauth_status_t = 51;
/// The store's key is missing or not the one that its rows were sealed with: set `store_key` to the
/// key that the rows were sealed with.
pub const HOOPAUTH_STORE_KEY: hoopauth_status_t = 52;
/// A stored row can't be opened or read: authorize or import this account again, or do what the
/// message says; look for who else writes to the store.
pub const HOOPAUTH_STORE_CORRUPT: hoopauth_status_t = 53;
/// The webhook carries no signature, or none of a scheme that a key is there for: answer 401.
pub const HOOPAUTH_SIGNATURE_MISSING: hoopauth_status_t = 60;
/// The webhook's signature is malformed, or no key made it: answer 401; check the keys, and that
/// the body is what came byte for byte.
pub const HOOPAUTH_SIGNATURE_INVALID: hoopauth_status_t = 61;
/// The webhook is older than `max_age`, from the future, or has no time: answer 400; check the
/// computer's clock.
pub const HOOPAUTH_WEBHOOK_STALE: hoopauth_status_t = 62;
/// The webhook was handled before: answer 200, and do nothing.
pub const HOOPAUTH_WEBHOOK_REPLAYED: hoopauth_status_t = 63;
/// The webhook's body can't be read as an event, or is longer than `max_body`: answer 400.
pub const HOOPAUTH_WEBHOOK_MALFORMED: hoopauth_status_t = 64;
/// The webhook is genuine, but of another app, or of an account without a grant here: answer 200,
/// and do nothing.
pub const HOOPAUTH_WEBHOOK_FOREIGN: hoopauth_status_t = 65;
/// A panic was caught at a language border: report it, with the message.
pub const HOOPAUTH_PANIC: hoopauth_status_t = 90;
/// A defect of hoopauth, or a computer without a resource that it needs: report it, with the
/// message; try again if `retryable`.
pub const HOOPAUTH_INTERNAL: hoopauth_status_t = 91;
/// A callback of the program failed: correct your store, transport, clock or hook.
pub const HOOPAUTH_CALLBACK_FAILED: hoopauth_status_t = 92;
// END generated

/// The name of a status, such as "NO_GRANT"; "OK" for success, "UNKNOWN" for a number this version
/// does not know.
///
/// Returns static text; never NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn hoopauth_status_name(status: hoopauth_status_t) -> *const c_char {
    let name = match status {
        HOOPAUTH_OK => c"OK",
        // BEGIN generated: names
        HOOPAUTH_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        HOOPAUTH_INVALID_STATE => c"INVALID_STATE",
        HOOPAUTH_CANCELLED => c"CANCELLED",
        HOOPAUTH_CONFIG => c"CONFIG",
        HOOPAUTH_NETWORK => c"NETWORK",
        HOOPAUTH_TIMEOUT => c"TIMEOUT",
        HOOPAUTH_TLS => c"TLS",
        HOOPAUTH_REAUTHORIZATION_REQUIRED => c"REAUTHORIZATION_REQUIRED",
        HOOPAUTH_NO_GRANT => c"NO_GRANT",
        HOOPAUTH_STATE_MISMATCH => c"STATE_MISMATCH",
        HOOPAUTH_AUTHORIZATION_DENIED => c"AUTHORIZATION_DENIED",
        HOOPAUTH_TOKEN_REQUEST_REJECTED => c"TOKEN_REQUEST_REJECTED",
        HOOPAUTH_ACCOUNT_INACTIVE => c"ACCOUNT_INACTIVE",
        HOOPAUTH_MALFORMED_RESPONSE => c"MALFORMED_RESPONSE",
        HOOPAUTH_RATE_LIMITED => c"RATE_LIMITED",
        HOOPAUTH_INSUFFICIENT_SCOPE => c"INSUFFICIENT_SCOPE",
        HOOPAUTH_WRONG_TOKEN_CLASS => c"WRONG_TOKEN_CLASS",
        HOOPAUTH_WRONG_ACCOUNT => c"WRONG_ACCOUNT",
        HOOPAUTH_INVALID_PRIVATE_INTEGRATION => c"INVALID_PRIVATE_INTEGRATION",
        HOOPAUTH_HTTP_STATUS => c"HTTP_STATUS",
        HOOPAUTH_STORE => c"STORE",
        HOOPAUTH_LEASE_TIMEOUT => c"LEASE_TIMEOUT",
        HOOPAUTH_STORE_KEY => c"STORE_KEY",
        HOOPAUTH_STORE_CORRUPT => c"STORE_CORRUPT",
        HOOPAUTH_SIGNATURE_MISSING => c"SIGNATURE_MISSING",
        HOOPAUTH_SIGNATURE_INVALID => c"SIGNATURE_INVALID",
        HOOPAUTH_WEBHOOK_STALE => c"WEBHOOK_STALE",
        HOOPAUTH_WEBHOOK_REPLAYED => c"WEBHOOK_REPLAYED",
        HOOPAUTH_WEBHOOK_MALFORMED => c"WEBHOOK_MALFORMED",
        HOOPAUTH_WEBHOOK_FOREIGN => c"WEBHOOK_FOREIGN",
        HOOPAUTH_PANIC => c"PANIC",
        HOOPAUTH_INTERNAL => c"INTERNAL",
        HOOPAUTH_CALLBACK_FAILED => c"CALLBACK_FAILED",
        // END generated
        _ => c"UNKNOWN",
    };
    name.as_ptr()
}

/// The code of a number that a callback returned; `None` for success and for unknown numbers.
pub(crate) fn code(status: hoopauth_status_t) -> Option<ErrorCode> {
    ErrorCode::ALL.iter().copied().find(|code| code.number() == status)
}
