//! Text and bytes that are lent to C: a NUL stands behind them.

use std::ffi::c_char;
use std::ptr;

use zeroize::{Zeroize, Zeroizing};

/// Text for C: NUL-terminated, wiped when dropped.
pub(crate) struct Text(Zeroizing<Box<str>>);

impl Text {
    /// Text in which a NUL would end it early loses it.
    pub(crate) fn new(text: &str) -> Self {
        let mut own = String::with_capacity(text.len().saturating_add(1));
        if text.as_bytes().contains(&0) {
            own.extend(text.chars().filter(|c| *c != '\0'));
        } else {
            own.push_str(text);
        }
        own.push('\0');
        Self(Zeroizing::new(own.into_boxed_str()))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.strip_suffix('\0').unwrap_or(&self.0)
    }

    /// Returns the address of the text; the length goes to `len` if that is not NULL.
    ///
    /// # Safety
    /// `len` is NULL or valid for a write.
    pub(crate) unsafe fn lend(&self, len: *mut usize) -> *const c_char {
        // SAFETY: the caller says so.
        unsafe { lend(&self.0, len) }
    }
}

/// Bytes for C, which may hold NULs: one more stands behind them. Wiped when dropped.
pub(crate) struct Blob(Vec<u8>);

impl Blob {
    pub(crate) fn copy(bytes: &[u8]) -> Self {
        let mut own = Vec::with_capacity(bytes.len().saturating_add(1));
        own.extend_from_slice(bytes);
        Self::new(own)
    }

    pub(crate) fn new(mut bytes: Vec<u8>) -> Self {
        bytes.reserve_exact(1);
        bytes.push(0);
        Self(bytes)
    }

    /// Returns the address of the items; their number goes to `len` if that is not NULL.
    ///
    /// # Safety
    /// `len` is NULL or valid for a write.
    pub(crate) unsafe fn lend(&self, len: *mut usize) -> *const c_char {
        if !len.is_null() {
            // SAFETY: the caller says so.
            unsafe { len.write(self.0.len().saturating_sub(1)) };
        }
        self.0.as_ptr().cast()
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        // All at once, for which a slice is quicker than a vector.
        self.0.as_mut_slice().zeroize();
    }
}

/// Lends text that has a NUL behind it.
///
/// # Safety
/// `len` is NULL or valid for a write.
pub(crate) unsafe fn lend(with_nul: &str, len: *mut usize) -> *const c_char {
    if !len.is_null() {
        // SAFETY: the caller says so.
        unsafe { len.write(with_nul.len().saturating_sub(1)) };
    }
    with_nul.as_ptr().cast()
}

/// Returns what an accessor returns if there is nothing: NULL, and length 0.
///
/// # Safety
/// `len` is NULL or valid for a write.
pub(crate) unsafe fn lend_some(text: Option<&Text>, len: *mut usize) -> *const c_char {
    // SAFETY: the caller says so.
    unsafe {
        match text {
            Some(text) => text.lend(len),
            None => lend_none(len),
        }
    }
}

/// Lends bytes as [`lend_some`] lends text.
///
/// # Safety
/// `len` is NULL or valid for a write.
pub(crate) unsafe fn lend_bytes(bytes: Option<&Blob>, len: *mut usize) -> *const c_char {
    // SAFETY: the caller says so.
    unsafe {
        match bytes {
            Some(bytes) => bytes.lend(len),
            None => lend_none(len),
        }
    }
}

/// # Safety
/// `len` is NULL or valid for a write.
unsafe fn lend_none(len: *mut usize) -> *const c_char {
    if !len.is_null() {
        // SAFETY: the caller says so.
        unsafe { len.write(0) };
    }
    ptr::null()
}
