//! API requests that the library sends.

use std::ffi::c_char;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use hoopauth_core::binding::{LONGEST_BODY, RequestBinding as _};
use hoopauth_core::{Client, Error, ErrorCode, RequestBuilder};

use crate::answer::hoopauth_response_t;
use crate::argument::{bytes, text};
use crate::client::{hoopauth_client_t, within};
use crate::context::hoopauth_context_t;
use crate::error::hoopauth_error_t;
use crate::guard::{call, make};
use crate::handle::{Handle, Owned, free, held, the, the_mut};
use crate::status::hoopauth_status_t;

/// A request to the API that the library sends: with the headers of its account, and again where
/// that can help.
///
/// The caller owns it and frees it with `hoopauth_request_free`; it keeps what it needs of its
/// client, and may be sent any number of times. Any thread may send it; one thread at a time may
/// change it.
pub struct hoopauth_request_t {
    client: Client,
    builder: RequestBuilder,
}

impl Handle for hoopauth_request_t {
    type Kind = Owned;
}

impl hoopauth_request_t {
    fn change(&mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) {
        let none = self.client.request("", "");
        self.builder = change(mem::replace(&mut self.builder, none));
    }
}

/// Makes a request: an HTTP method in any case, and a path below `api_base`, such as "/contacts/",
/// or an absolute URL on one of the configured hosts.
///
/// Texts are copied. `*out` is the caller's to free. Errors: only for NULL and for text that is not
/// UTF-8; a wrong method or path is told when it is sent. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_client_request(
    client: *const hoopauth_client_t,
    method: *const c_char,
    method_len: usize,
    path: *const c_char,
    path_len: usize,
    out: *mut *mut hoopauth_request_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let client = held(client, "client")?.0.clone();
            let builder =
                client.request(text("method", method, method_len)?, text("path", path, path_len)?);
            Ok(hoopauth_request_t { client, builder })
        })
    }
}

/// Sets whose headers it carries, "location:<id>" or "company:<id>"; unset, those of the default
/// account. Copied.
///
/// Errors: for NULL; a wrong one is told when it is sent. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_account(
    request: *mut hoopauth_request_t,
    account: *const c_char,
    account_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let account = text("account", account, account_len)?;
            the_mut(request, "request")?.builder.set_account(account);
            Ok(())
        })
    }
}

/// Adds a query parameter; it is encoded. May be called again, with the same name too. Copied.
/// Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_add_param(
    request: *mut hoopauth_request_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let (name, value) = (text("name", name, name_len)?, text("value", value, value_len)?);
            the_mut(request, "request")?.change(|request| request.param(name, value));
            Ok(())
        })
    }
}

/// Adds a header. Copied. `Authorization`, `Version`, `User-Agent`, `Host` and those of the
/// connection are the library's: such a one is `HOOPAUTH_INVALID_ARGUMENT` when the request is
/// sent. Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_add_header(
    request: *mut hoopauth_request_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let (name, value) = (text("name", name, name_len)?, text("value", value, value_len)?);
            the_mut(request, "request")?.change(|request| request.header(name, value));
            Ok(())
        })
    }
}

/// Sets the body, any bytes. Copied once, however often it is sent. Its `Content-Type` is
/// "application/json" for POST, PUT and PATCH unless a header of that name was added. Errors: for
/// NULL, and `HOOPAUTH_INVALID_ARGUMENT` for more than 512 MiB. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_body(
    request: *mut hoopauth_request_t,
    body: *const u8,
    body_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            if body_len > LONGEST_BODY {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "the body is longer than 512 MiB: send less at a time",
                ));
            }
            let body = Bytes::copy_from_slice(bytes("body", body, body_len)?);
            the_mut(request, "request")?.change(|request| request.body(body));
            Ok(())
        })
    }
}

/// Sets another `Version` than the option `api_version`. Copied. Errors: for NULL; a wrong one is
/// told when it is sent. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_version(
    request: *mut hoopauth_request_t,
    version: *const c_char,
    version_len: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            let version = text("version", version, version_len)?;
            the_mut(request, "request")?.change(|request| request.version(version));
            Ok(())
        })
    }
}

/// Sets how many seconds it may take with all its tries and waits, instead of the option `timeout`.
/// Errors: `HOOPAUTH_INVALID_ARGUMENT` for a negative one or one that is no number. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_timeout(
    request: *mut hoopauth_request_t,
    timeout: f64,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            if timeout.is_nan() || timeout < 0.0 {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    "`timeout` is negative or not a number: give seconds, 0 or more",
                ));
            }
            let timeout = Duration::from_secs_f64(timeout.min(LONGEST));
            the_mut(request, "request")?.change(|request| request.timeout(timeout));
            Ok(())
        })
    }
}

/// Sets the longest body to accept in the answer, in bytes after decompression, instead of the
/// option `max_response_bytes`. A longer one is `HOOPAUTH_MALFORMED_RESPONSE`. Errors: for NULL.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_max_body(
    request: *mut hoopauth_request_t,
    max_body: usize,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(request, "request")?.change(|request| request.max_body(max_body));
            Ok(())
        })
    }
}

/// Sets whether an answer with any status is an answer, not only 2xx. A 401 that a refresh can cure
/// is cured all the same. Unset, no.
///
/// Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_any_status(
    request: *mut hoopauth_request_t,
    any_status: bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(request, "request")?.change(|request| request.any_status(any_status));
            Ok(())
        })
    }
}

/// Sets whether sending it twice does no harm: a POST or PATCH is then tried again as a GET is.
/// Unset, it is tried again only where nothing of it was sent. Errors: for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_set_repeatable(
    request: *mut hoopauth_request_t,
    repeatable: bool,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            the_mut(request, "request")?.change(|request| request.repeatable(repeatable));
            Ok(())
        })
    }
}

/// Sends the request, repeats it if that can help, and hands out the answer.
///
/// An expiring token is refreshed on the way; one that is refused is refreshed and the request
/// repeated, once. Waits are obeyed, redirects of GET and HEAD followed, and the token never leaves
/// the configured hosts. A request that `context` ends goes on without its caller, and its answer
/// is dropped. `request` stays the caller's; `*out` is the caller's to free. Errors: those of
/// `hoopauth_client_headers` and `hoopauth_client_report`, `HOOPAUTH_INVALID_ARGUMENT` (nothing was
/// sent), `HOOPAUTH_NETWORK`, `HOOPAUTH_TIMEOUT`, `HOOPAUTH_TLS`, `HOOPAUTH_MALFORMED_RESPONSE`,
/// and `HOOPAUTH_HTTP_STATUS` for any other status than 2xx; where an answer came,
/// `hoopauth_error_response` has it. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_send(
    request: *const hoopauth_request_t,
    context: *const hoopauth_context_t,
    out: *mut *mut hoopauth_response_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let request = the(request, "request")?;
            let response = if context.is_null() {
                request.builder.send_kept()
            } else {
                let builder = request.builder.clone();
                within(&request.client, context, move |_| builder.send())
            };
            response.map(hoopauth_response_t::new)
        })
    }
}

/// Frees a request. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_request_free(request: *mut hoopauth_request_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(request) }
}

/// Longer than anybody waits, and short enough to be added to any moment.
const LONGEST: f64 = 1e9;
