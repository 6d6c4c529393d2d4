//! Ownership of handles: which pointer is freed how, and how a call reaches the value behind it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hoopauth_core::Result;

use crate::argument::null;

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

/// Drops what a panic carried, which may panic again.
#[cold]
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
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
