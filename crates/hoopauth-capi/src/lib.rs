//! The C ABI of hoopauth. One file per C noun; the header `include/hoopauth.h` is made of them by
//! cbindgen.
//!
//! The contract that every function keeps stands on the header's first page. Below the nouns,
//! `handle` says who owns which pointer, `argument` and `lent` say how text comes in and goes out,
//! and `guard` lets no panic pass.
#![allow(non_camel_case_types, reason = "the types are named as C names them")]
#![allow(
    clippy::doc_markdown,
    missing_debug_implementations,
    reason = "what is documented here is read in the header, and nothing of it is used from Rust"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a caller must keep is the contract on the header's first page, for all \
              functions alike"
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod argument;
mod callbacks;
mod guard;
mod handle;
mod lent;
#[cfg(feature = "fault-injection")]
pub mod panics;

pub mod account;
pub mod answer;
pub mod authorization;
pub mod change;
pub mod client;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
pub mod failure;
pub mod grant;
pub mod headers;
pub mod health;
pub mod installed;
pub mod limits;
pub mod log;
pub mod maintenance;
pub mod operations;
pub mod ready;
pub mod request;
pub mod response;
pub mod status;
pub mod store;
pub mod text;
pub mod transport;
pub mod version;
pub mod webhook_config;
pub mod webhook_delivery;
pub mod webhook_verifier;

use hoopauth_wiping::Wiping;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;
