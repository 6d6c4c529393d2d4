//! Parts that all entry points share: ownership, the guard, text.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use hoopauth_core::{Error, ErrorCode, Result};
use zeroize::{Zeroize, Zeroizing};

use crate::error::hoopauth_error_t;
use crate::status::{HOOPAUTH_OK, hoopauth_status_t};

/// Ties each C type to one kind of ownership: freeing it the wrong way does not compile.
pub(crate) trait Handle: Sized {
    type Kind: Kind<Self>;
}

/// Kind of ownership of a handle.
pub(crate) trait Kind<T> {
    fn into_raw(value: T) -> *mut T;

    /// # Safety
    /// `handle` came from `into_raw` of this kind and is not used again.
    unsafe fn free(handle: *mut T);
}

/// One owner.
pub(crate) struct Owned;

impl<T> Kind<T> for Owned {
    fn into_raw(value: T) -> *mut T {
        Box::into_raw(Box::new(value))
    }

    unsafe fn free(handle: *mut T) {
        // SAFETY: `into_raw` made it of a box, and this is its last use.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Counted references.
pub(crate) struct Shared;

impl<T> Kind<T> for Shared {
    fn into_raw(value: T) -> *mut T {
        Arc::into_raw(Arc::new(value)).cast_mut()
    }

    unsafe fn free(handle: *mut T) {
        // SAFETY: `into_raw` made it of an `Arc`, and the caller gives up one count.
        drop(unsafe { Arc::from_raw(handle) });
    }
}

/// Frees a handle. Does nothing for NULL.
///
/// # Safety
/// `handle` is NULL or a handle that is not used again.
pub(crate) unsafe fn free<T: Handle>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller says so.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| unsafe { T::Kind::free(handle) })) {
            discard(payload);
        }
    }
}

/// One more reference to a shared handle; NULL stays NULL.
///
/// # Safety
/// `handle` is NULL or a live handle.
pub(crate) unsafe fn share<T: Handle<Kind = Shared>>(handle: *const T) -> *mut T {
    if !handle.is_null() {
        // SAFETY: it is a live `Arc`.
        unsafe { Arc::increment_strong_count(handle) };
    }
    handle.cast_mut()
}

/// Runs a call: `*err` is NULL from the start, a failure is put there, and no panic passes.
///
/// # Safety
/// `err` is NULL or valid for a write.
pub(crate) unsafe fn call(
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<()>,
) -> hoopauth_status_t {
    let mut work = Some(work);
    // SAFETY: the caller says so.
    unsafe { guarded(err, &mut || work.take().map_or(Ok(()), |work| work())) }
}

/// One guard for the work of all entry points.
///
/// # Safety
/// As for [`call`].
unsafe fn guarded(
    err: *mut *mut hoopauth_error_t,
    work: &mut dyn FnMut() -> Result<()>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe { clear(err) };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => HOOPAUTH_OK,
        // SAFETY: as above.
        Ok(Err(error)) => unsafe { fail(err, error) },
        Err(payload) => {
            discard(payload);
            let error = Error::new(
                ErrorCode::Panic,
                "hoopauth stopped the call because of a bug in hoopauth; please report it",
            );
            // SAFETY: as above.
            unsafe { fail(err, error) }
        }
    }
}

/// Drops what a panic carried, which may panic again.
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cold]
unsafe fn fail(err: *mut *mut hoopauth_error_t, error: Error) -> hoopauth_status_t {
    let status = error.code().number();
    if !err.is_null() {
        // SAFETY: `call`'s caller says so.
        unsafe {
            err.write(<hoopauth_error_t as Handle>::Kind::into_raw(hoopauth_error_t::new(error)));
        };
    }
    status
}

/// Runs a function that makes a handle, as [`call`] does: `*out` is NULL from the start and set on
/// success.
///
/// # Safety
/// `out` and `err` are NULL or valid for a write.
pub(crate) unsafe fn make<T: Handle>(
    out: *mut *mut T,
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<T>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe { hand_out(out, err, || work().map(T::Kind::into_raw)) }
}

/// Runs work that returns the handle itself, as [`make`] does; NULL: none.
///
/// # Safety
/// As for [`make`].
pub(crate) unsafe fn hand_out<T>(
    out: *mut *mut T,
    err: *mut *mut hoopauth_error_t,
    work: impl FnOnce() -> Result<*mut T>,
) -> hoopauth_status_t {
    // SAFETY: the caller says so.
    unsafe {
        clear(out);
        call(err, || {
            if out.is_null() {
                return Err(null("the out-parameter"));
            }
            out.write(work()?);
            Ok(())
        })
    }
}

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

/// Returns the value behind a handle.
///
/// # Safety
/// `handle` is NULL or live, for as long as the answer is used.
pub(crate) unsafe fn the<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller says so.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// A reference to a shared handle for as long as a call lasts: a callback of the call may free the
/// host's own.
pub(crate) struct Held<T: Handle<Kind = Shared>>(*const T);

impl<T: Handle<Kind = Shared>> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the reference that was taken keeps it.
        unsafe { &*self.0 }
    }
}

impl<T: Handle<Kind = Shared>> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: gives up the reference that was taken.
        unsafe { free(self.0.cast_mut()) }
    }
}

/// Returns the same as [`the`], held until the answer is dropped.
///
/// # Safety
/// `handle` is NULL or live.
pub(crate) unsafe fn held<T: Handle<Kind = Shared>>(
    handle: *const T,
    name: &str,
) -> Result<Held<T>> {
    // SAFETY: the caller says so.
    if unsafe { share(handle) }.is_null() { Err(null(name)) } else { Ok(Held(handle)) }
}

/// Returns the value behind a handle, to change it.
///
/// # Safety
/// As for [`the`], and nobody else uses it meanwhile.
pub(crate) unsafe fn the_mut<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller says so.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
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
