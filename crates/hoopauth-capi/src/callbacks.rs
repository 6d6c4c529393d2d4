//! Tables of functions that the host program gives: copied when they are registered, used from any
//! thread, given back once.

use std::ffi::c_void;
use std::mem::{MaybeUninit, size_of};
use std::ptr;

use hoopauth_core::{Error, ErrorCode, Result};

use crate::argument::null;

/// A table of callbacks as C gives it.
///
/// # Safety
/// The type is `#[repr(C)]`, begins with a `usize` that says its size, and all-zero bytes are a
/// valid value.
pub(crate) unsafe trait Table: Copy {
    /// The size it had in the first version: no shorter one is taken.
    const LEAST: usize;

    fn user_data(&self) -> *mut c_void;
    fn destroy(&self) -> Option<unsafe extern "C" fn(user_data: *mut c_void)>;
}

/// A registered table: its `destroy` is called once, when nobody uses it any more.
#[derive(Debug)]
pub(crate) struct Callbacks<T: Table>(pub(crate) T);

// SAFETY: the contract of every table says that its functions are called from any thread,
// concurrently.
unsafe impl<T: Table> Send for Callbacks<T> {}
// SAFETY: as above.
unsafe impl<T: Table> Sync for Callbacks<T> {}

impl<T: Table> Callbacks<T> {
    /// Copies a table. A shorter one is filled with zeros: its program is older. Of a longer one,
    /// the tail must be zeros: its program wants something that this version does not do.
    ///
    /// # Safety
    /// `table` is NULL or valid for as many bytes as its first member says.
    pub(crate) unsafe fn copy(name: &str, table: *const T) -> Result<T> {
        if table.is_null() {
            return Err(null(name));
        }
        let refuse = |why: &str| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "`{name}`: {why}: set `struct_size` to the size of the struct, with sizeof"
                ),
            )
        };
        // SAFETY: its first member is the size, as `Table` says.
        let size = unsafe { table.cast::<usize>().read_unaligned() };
        if size < T::LEAST {
            return Err(refuse("`struct_size` is smaller than the struct of the first version"));
        }
        if size > LARGEST {
            return Err(refuse("`struct_size` is too large to be a size"));
        }
        let known = size.min(size_of::<T>());
        // SAFETY: valid for `size` bytes, as the caller says.
        let tail = unsafe {
            std::slice::from_raw_parts(table.cast::<u8>().add(known), size.saturating_sub(known))
        };
        if tail.iter().any(|byte| *byte != 0) {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "`{name}` sets members that this version of the library does not know: set \
                     them to zero, or update the library"
                ),
            ));
        }
        let mut copy = MaybeUninit::<T>::zeroed();
        // SAFETY: both are valid for `known` bytes, and zeros are valid where nothing is copied, as
        // `Table` says.
        unsafe {
            ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), known);
            Ok(copy.assume_init())
        }
    }
}

impl<T: Table> Drop for Callbacks<T> {
    fn drop(&mut self) {
        if let Some(destroy) = self.0.destroy() {
            // SAFETY: the host gave it for this, and this is its last use.
            unsafe { destroy(self.0.user_data()) };
        }
    }
}

/// A required function that is missing.
pub(crate) fn missing(table: &str, function: &str) -> Error {
    Error::new(
        ErrorCode::InvalidArgument,
        format!("`{table}`: `{function}` is NULL: give a function"),
    )
}

const LARGEST: usize = 65_536;
