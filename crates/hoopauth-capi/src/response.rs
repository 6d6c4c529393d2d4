//! Answers to API requests.

use std::ffi::c_char;

use crate::answer::hoopauth_response_t;
use crate::argument::text;
use crate::error::hoopauth_error_t;
use crate::guard::call;
use crate::handle::{free, the};
use crate::headers::{hoopauth_header_t, put_header};
use crate::lent::{lend_bytes, lend_some};
use crate::status::hoopauth_status_t;

/// The HTTP status; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_status(response: *const hoopauth_response_t) -> u16 {
    // SAFETY: by the contract on the header's first page.
    unsafe { response.as_ref() }.map_or(0, |response| response.status)
}

/// Returns the number of headers; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_header_count(
    response: *const hoopauth_response_t,
) -> usize {
    // SAFETY: by the contract on the header's first page.
    unsafe { response.as_ref() }.map_or(0, |response| response.headers.iter().count())
}

/// One of the headers in the order they came, by its number from 0. Names are in lower case.
///
/// `*header` gets texts borrowed from `response`. Errors: `HOOPAUTH_INVALID_ARGUMENT` for NULL and
/// for a number that is not below `hoopauth_response_header_count`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_header_at(
    response: *const hoopauth_response_t,
    index: usize,
    header: *mut hoopauth_header_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { call(err, || put_header(the(response, "response")?.texts(), index, header)) }
}

/// The value of the first header of that name, in any case.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `response`, or NULL
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_header(
    response: *const hoopauth_response_t,
    name: *const c_char,
    name_len: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        let value = response.as_ref().zip(text("name", name, name_len).ok()).and_then(
            |(response, name)| {
                let mut headers = response.texts().iter();
                headers
                    .find(|(own, _)| own.as_str().eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            },
        );
        lend_some(value, len)
    }
}

/// The body, decompressed. It may hold any bytes, NULs too; a NUL stands behind it.
///
/// `len`, if not NULL, gets the length in bytes, 0 if there is none. Returns bytes borrowed from
/// `response`; NULL if the handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_body(
    response: *const hoopauth_response_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_bytes(response.as_ref().map(|response| &response.body), len) }
}

/// The answer that an error is about, headers and body at hand.
///
/// Returns a response that is borrowed from `error`, never to be freed; NULL if a request did not
/// end in an answer. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_error_response(
    error: *const hoopauth_error_t,
) -> *const hoopauth_response_t {
    // SAFETY: by the contract on the header's first page.
    unsafe { error.as_ref() }
        .and_then(hoopauth_error_t::response)
        .map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Frees an answer. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_response_free(response: *mut hoopauth_response_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(response) }
}
