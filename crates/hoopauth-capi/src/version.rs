//! Versions.

use std::ffi::c_char;

/// The version of the ABI that this header describes. It changes only where a program that was
/// compiled against an older header can't run on the library any more.
pub const HOOPAUTH_ABI_VERSION: u32 = 1;

/// The version of the library, as numbers.
pub const HOOPAUTH_VERSION_MAJOR: u32 = 0;
/// See `HOOPAUTH_VERSION_MAJOR`.
pub const HOOPAUTH_VERSION_MINOR: u32 = 1;
/// See `HOOPAUTH_VERSION_MAJOR`.
pub const HOOPAUTH_VERSION_PATCH: u32 = 0;

/// The version of the ABI that the library has. A program that was compiled with another
/// `HOOPAUTH_ABI_VERSION` must not use it.
///
/// Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn hoopauth_abi_version() -> u32 {
    HOOPAUTH_ABI_VERSION
}

/// The version of the library, such as "0.1.0"; the macro `HOOPAUTH_VERSION` is that of the header.
///
/// Returns static text; never NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn hoopauth_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
