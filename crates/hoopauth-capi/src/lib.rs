//! The C ABI of hoopauth.
