//! The C ABI, proved by programs in C: compiled by the C compiler, linked with the libraries that
//! were just built, and run against a local HoopAI; plainly, under valgrind, and with gcc's
//! sanitizers.
#![cfg(target_os = "linux")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails its test"
)]

mod harness;
mod header;
mod install;
mod nulls;
mod programs;
