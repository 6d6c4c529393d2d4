//! hoopauth
