//! Text that a function makes.

use std::ffi::c_char;

use crate::handle::{Handle, Owned, free};
use crate::lent::{Text, lend_some};

/// A text that the library made. The caller owns it and frees it with `hoopauth_text_free`. Any
/// thread may read it.
pub struct hoopauth_text_t(pub(crate) Text);

impl Handle for hoopauth_text_t {
    type Kind = Owned;
}

/// The text itself.
///
/// `len`, if not NULL, gets the length in bytes. Returns text borrowed from `text`; NULL if the
/// handle is NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_text_data(
    text: *const hoopauth_text_t,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: by the contract on the header's first page.
    unsafe { lend_some(text.as_ref().map(|text| &text.0), len) }
}

/// Frees a text and wipes it. Does nothing for NULL. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hoopauth_text_free(text: *mut hoopauth_text_t) {
    // SAFETY: by the contract on the header's first page.
    unsafe { free(text) }
}
