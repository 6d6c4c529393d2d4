//! The Python module of hoopauth.
