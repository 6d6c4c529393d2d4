//! Headers of a request.

use std::ffi::c_char;

use hoopauth_core::{Error, ErrorCode, Result};

use crate::argument::{null, put, text};
use crate::error::hoopauth_error_t;
use crate::guard::{call, hand_out};
use crate::lent::{Text, lend, lend_some};
use crate::ready::{self, hoopauth_headers_t, texts};
use crate::status::hoopauth_status_t;

/// A header's name and value. Both end with a NUL, which the lengths do not count.
#[repr(C)]
pub struct hoopauth_header_t {
    /// The name.
    pub name: *const c_char,
    /// Length of `name` in bytes; as input it may be `HOOPAUTH_NUL_TERMINATED`.
    pub name_len: usize,
    /// The value.
    pub value: *const c_char,
    /// Length of `value` in bytes; as input it may be `HOOPAUTH_NUL_TERMINATED`.
    pub value_len: usize,
}

/// Returns the number of headers; 0 for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_count(headers: *const hoopauth_headers_t) -> usize {
    // SAFETY: by the contract on the header's first page.
    if headers.is_null() { 0 } else { unsafe { texts(headers) }.iter().flatten().count() }
}

/// One of the headers, by its number from 0.
///
/// `*header` gets texts borrowed from `headers`. Errors: `HOOPAUTH_INVALID_ARGUMENT` for NULL and
/// for a number that is not below `hoopauth_headers_count`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_at(
    headers: *const hoopauth_headers_t,
    index: usize,
    header: *mut hoopauth_header_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        call(err, || {
            if headers.is_null() {
                return Err(null("headers"));
            }
            let all = texts(headers);
            let (name, value) = all.iter().flatten().nth(index).ok_or_else(no_such_header)?;
            let (mut name_len, mut value_len) = (0, 0);
            let (name, value) = (lend(name, &raw mut name_len), lend(value, &raw mut value_len));
            put("header", header, hoopauth_header_t { name, name_len, value, value_len })
        })
    }
}

/// The value of `Authorization`: "Bearer " and the token. A secret: send it, don't print it.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `headers`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_authorization(
    headers: *const hoopauth_headers_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { value(headers, 0, len) }
}

/// The value of `Version`.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `headers`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_version(
    headers: *const hoopauth_headers_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { value(headers, 1, len) }
}

/// The value of `User-Agent`. HoopAI's edge refuses requests without one.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `headers`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_user_agent(
    headers: *const hoopauth_headers_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { value(headers, 2, len) }
}

/// The value of `Content-Type`: "application/json" for POST, PUT and PATCH.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `headers`, or NULL
/// if there is none. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_content_type(
    headers: *const hoopauth_headers_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { value(headers, 3, len) }
}

/// The same headers with another `Version`, for an operation that documents another one.
///
/// `headers` stays the caller's; `*out` is the caller's to free. Errors:
/// `HOOPAUTH_INVALID_ARGUMENT`. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_with_version(
    headers: *const hoopauth_headers_t,
    version: *const c_char,
    version_len: usize,
    out: *mut *mut hoopauth_headers_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        hand_out(out, err, || {
            if headers.is_null() {
                return Err(null("headers"));
            }
            let version = text("version", version, version_len)?;
            Ok(ready::give(ready::headers(headers).with_version(version)?))
        })
    }
}

/// Frees headers. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_headers_free(headers: *mut hoopauth_headers_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        if !headers.is_null() {
            ready::free(headers);
        }
    }
}

/// Gives one of some headers to C.
///
/// # Safety
/// `header` is NULL or valid for a write.
pub(crate) unsafe fn put_header(
    headers: &[(Text, Text)],
    index: usize,
    header: *mut hoopauth_header_t,
) -> Result<()> {
    let (name, value) = headers.get(index).ok_or_else(no_such_header)?;
    let (mut name_len, mut value_len) = (0, 0);
    // SAFETY: the caller says so.
    unsafe {
        let (name, value) = (name.lend(&raw mut name_len), value.lend(&raw mut value_len));
        put("header", header, hoopauth_header_t { name, name_len, value, value_len })
    }
}

fn no_such_header() -> Error {
    Error::new(
        ErrorCode::InvalidArgument,
        "`index` is too large: it must be less than hoopauth_headers_count",
    )
}

/// # Safety
/// As for the functions above.
unsafe fn value(
    headers: *const hoopauth_headers_t,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller says so.
    unsafe {
        if headers.is_null() {
            return lend_some(None, len);
        }
        match texts(headers).get(index) {
            Some(Some((_, value))) => lend(value, len),
            _ => lend_some(None, len),
        }
    }
}
