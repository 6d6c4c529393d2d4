//! Arguments from C, and what goes out by its pointers: text, bytes, structs.

use std::ffi::{CStr, c_char};
use std::ptr;

use hoopauth_core::{Error, ErrorCode, Result};

/// Makes an out-parameter NULL.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub(crate) unsafe fn clear<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: the caller says so.
        unsafe { out.write(ptr::null_mut()) };
    }
}

/// Text from C: `len` bytes, or up to the NUL where `len` is `HOOPAUTH_NUL_TERMINATED`. NULL with
/// length 0 is empty text.
///
/// # Safety
/// `text` is NULL or valid for that many bytes.
#[inline]
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller says so.
    str::from_utf8(unsafe { text_bytes(name, text, len)? }).map_err(|_| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("`{name}` is not UTF-8: convert it before you pass it"),
        )
    })
}

/// Reads text as [`text`] does, but it need not be UTF-8.
///
/// # Safety
/// As for [`text`].
#[inline]
pub(crate) unsafe fn text_bytes<'a>(
    name: &str,
    text: *const c_char,
    len: usize,
) -> Result<&'a [u8]> {
    // SAFETY: the caller says so.
    unsafe { bytes(name, text.cast(), if len == usize::MAX { terminated(text) } else { len }) }
}

/// # Safety
/// `text` is NULL or ends with a NUL.
unsafe fn terminated(text: *const c_char) -> usize {
    // NULL with a length of its own is told from NULL with length 0.
    if text.is_null() {
        return usize::MAX;
    }
    // SAFETY: the caller says so.
    unsafe { CStr::from_ptr(text) }.count_bytes()
}

/// Bytes from C. NULL with length 0 is no bytes.
///
/// # Safety
/// `bytes` is NULL or valid for `len` bytes.
#[inline]
pub(crate) unsafe fn bytes<'a>(name: &str, bytes: *const u8, len: usize) -> Result<&'a [u8]> {
    if bytes.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    if isize::try_from(len).is_err() {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!(
                "`{name}`: the given length is longer than any memory: check the length argument"
            ),
        ));
    }
    // SAFETY: not NULL, and valid for `len` bytes, as the caller says.
    Ok(unsafe { std::slice::from_raw_parts(bytes, len) })
}

/// Writes a value to an out-parameter of C's own.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub(crate) unsafe fn put<T>(name: &str, out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, and valid as the caller says.
    unsafe { out.write(value) };
    Ok(())
}

/// A struct of C's own that the library fills in: its program says how long it is, for a later
/// version's is longer.
///
/// # Safety
/// The type is `#[repr(C)]` and begins with a `usize` that says its size.
pub(crate) unsafe trait Filled: Copy {
    /// The size it had in the first version: no shorter one is taken.
    const LEAST: usize;
}

/// Fills in what the program knows of a struct. What a longer one has behind stays as it is.
///
/// # Safety
/// `out` is NULL or valid for as many bytes as its first member says, and `value`'s first member is
/// never read.
pub(crate) unsafe fn fill<T: Filled>(name: &str, out: *mut T, value: &T) -> Result<()> {
    // SAFETY: the caller says so, and a value has the bytes of its type.
    unsafe { fill_bytes(name, out.cast(), ptr::from_ref(value).cast(), T::LEAST, size_of::<T>()) }
}

/// # Safety
/// As for [`fill`].
unsafe fn fill_bytes(
    name: &str,
    out: *mut u8,
    value: *const u8,
    least: usize,
    known: usize,
) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: its first member is the size, as `Filled` says.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    if size < least {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!(
                "`{name}`: `struct_size` is too small: set it to the size of the struct, with \
                 sizeof"
            ),
        ));
    }
    let first = size_of::<usize>();
    // SAFETY: both are valid for so many bytes, and the size is left as it is.
    unsafe {
        ptr::copy_nonoverlapping(
            value.add(first),
            out.add(first),
            size.min(known).saturating_sub(first),
        );
    }
    Ok(())
}

#[cold]
pub(crate) fn null(name: &str) -> Error {
    Error::new(ErrorCode::InvalidArgument, format!("`{name}` is NULL: pass a valid pointer"))
}
