//! The platform's documented operations and their scopes.

use std::ffi::{CStr, c_char};

use hoopauth_core::operations::{Operation, scopes_for};
use hoopauth_core::{AccountKind, Error, ErrorCode, Result};

use crate::argument::{null, text};
use crate::error::hoopauth_error_t;
use crate::guard::{hand_out, make};
use crate::handle::{Handle, Kind as _, Owned, free};
use crate::lent::{Text, lend_some};
use crate::status::hoopauth_status_t;
use crate::text::hoopauth_text_t;

/// One documented operation. The caller owns it and frees it with `hoopauth_operation_free`. Any
/// thread may read it.
pub struct hoopauth_operation_t {
    operation: Operation,
    method: Text,
    path: Text,
    version: Option<Text>,
    scope: Option<Text>,
}

impl Handle for hoopauth_operation_t {
    type Kind = Owned;
}

/// Finds the operation that a method, in any case, and a path, with or without a query, mean.
///
/// `*out` is the caller's to free; NULL on success: it is not documented. No I/O. Errors: only for
/// NULL and for text that is not UTF-8. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_find(
    method: *const c_char,
    method_len: usize,
    path: *const c_char,
    path_len: usize,
    out: *mut *mut hoopauth_operation_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        hand_out(out, err, || {
            let found =
                Operation::find(text("method", method, method_len)?, text("path", path, path_len)?);
            Ok(found.map_or(std::ptr::null_mut(), |operation| {
                <hoopauth_operation_t as Handle>::Kind::into_raw(hoopauth_operation_t {
                    method: Text::new(operation.method()),
                    path: Text::new(&operation.path()),
                    version: operation.version().map(Text::new),
                    scope: operation.scope().map(Text::new),
                    operation,
                })
            }))
        })
    }
}

/// The method, in capitals.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `operation`; NULL if
/// the handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_method(
    operation: *const hoopauth_operation_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(operation.as_ref().map(|operation| &operation.method), len) }
}

/// The path template, such as "/contacts/{contactId}".
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `operation`; NULL if
/// the handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_path(
    operation: *const hoopauth_operation_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(operation.as_ref().map(|operation| &operation.path), len) }
}

/// The documented `Version`.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `operation`, or NULL
/// if none is documented. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_version(
    operation: *const hoopauth_operation_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(operation.as_ref().and_then(|operation| operation.version.as_ref()), len) }
}

/// The scope it needs.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `operation`, or NULL
/// if none is documented. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_scope(
    operation: *const hoopauth_operation_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(operation.as_ref().and_then(|operation| operation.scope.as_ref()), len) }
}

/// Returns true if tokens of locations may call the operation, or if nothing is documented; false
/// for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_allows_location(
    operation: *const hoopauth_operation_t,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { operation.as_ref() }.is_some_and(|this| this.operation.allows(AccountKind::Location))
}

/// Returns true if tokens of companies may call the operation, or if nothing is documented; false
/// for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_allows_company(
    operation: *const hoopauth_operation_t,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { operation.as_ref() }.is_some_and(|this| this.operation.allows(AccountKind::Company))
}

/// Returns true if a Private Integration token may call the operation, or if nothing is documented;
/// false for NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_allows_private_integration(
    operation: *const hoopauth_operation_t,
) -> bool {
    // SAFETY: by the contract on the header's first page.
    unsafe { operation.as_ref() }.is_some_and(|this| this.operation.allows_private_integration())
}

/// Frees an operation. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_operation_free(operation: *mut hoopauth_operation_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(operation) }
}

/// The least scopes for some operations, separated by spaces, sorted, each once.
///
/// `operations` are texts that end with a NUL, each as "GET /contacts/{contactId}", with a
/// template's or a real path; it may be NULL with count 0. `*out` is the caller's to free. No I/O.
/// Errors: `HOOPAUTH_INVALID_ARGUMENT`, with the one in the message that is not documented. Any
/// thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_scopes_for(
    operations: *const *const c_char,
    operation_count: usize,
    out: *mut *mut hoopauth_text_t,
    err: *mut *mut hoopauth_error_t,
) -> hoopauth_status_t {
    // SAFETY: by the contract on the header's first page.
    unsafe {
        make(out, err, || {
            let scopes = scopes_for(texts(operations, operation_count)?)?;
            Ok(hoopauth_text_t(Text::new(&scopes.join(" "))))
        })
    }
}

/// # Safety
/// `list` is NULL or valid for `count` addresses, each NULL or of text that ends with a NUL.
unsafe fn texts<'a>(list: *const *const c_char, count: usize) -> Result<Vec<&'a str>> {
    if list.is_null() {
        return if count == 0 { Ok(Vec::new()) } else { Err(null("operations")) };
    }
    if count > MOST {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("there are more than {MOST} operations: ask for fewer at once"),
        ));
    }
    // SAFETY: the caller says so.
    let list = unsafe { std::slice::from_raw_parts(list, count) };
    list.iter()
        .map(|one| {
            if one.is_null() {
                return Err(null("one of `operations`"));
            }
            // SAFETY: the caller says so.
            unsafe { CStr::from_ptr(*one) }.to_str().map_err(|_| {
                Error::new(
                    ErrorCode::InvalidArgument,
                    "one of `operations` is not UTF-8: convert it before you pass it",
                )
            })
        })
        .collect()
}

const MOST: usize = 10_000;
