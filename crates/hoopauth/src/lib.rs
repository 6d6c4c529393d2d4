//! Authentication for programs that talk to the HoopAI platform.
//!
//! One [`Client`] holds the credential (a Private Integration token, a static access token, or an
//! OAuth 2.0 app) and serves any number of accounts. It hands out ready-made [`Headers`], refreshes
//! tokens before they end, one refresh per account at a time, and does not lose a rotated refresh
//! token to a failure in between. A failed refresh is noted in the store: until
//! [`Error::retry_after`] is over, callers get the living token, or the same error at once.
//!
//! ```
//! # fn main() -> hoopauth::Result<()> {
//! let client = hoopauth::Client::builder().private_integration_token("pit-0123").build()?;
//! let headers = client.headers("POST")?;
//! assert_eq!(headers.authorization(), "Bearer pit-0123");
//! assert_eq!(headers.version(), "2021-07-28");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod account;
mod authorize;
#[doc(hidden)]
pub mod binding;
mod builder;
mod cache;
mod callback;
mod calls;
#[cfg(any(feature = "postgres", feature = "reqwest"))]
mod certificates;
mod client;
mod clock;
mod context;
mod credential;
mod deliveries;
mod error;
mod grants;
mod headers;
mod host_log;
mod inner;
mod installs;
mod jobs;
mod keys;
mod limits;
mod login;
mod members;
mod mistake;
pub mod operations;
mod options;
mod patience;
mod process;
mod proxy;
mod redact;
mod refresh;
mod refusal;
mod request;
mod response;
mod seal;
mod secret;
mod serve;
mod settings;
mod snapshot;
mod steps;
pub mod store;
mod store_key;
mod store_name;
mod sync;
pub mod transport;
mod web_url;
pub mod webhook;
mod within;

pub use crate::account::{Account, AccountKind};
pub use crate::authorize::{AuthorizationRequest, PendingAuthorization, Redirect};
pub use crate::builder::ClientBuilder;
pub use crate::client::{AccountHandle, Client};
pub use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::context::Context;
pub use crate::error::{Error, ErrorCode, Result};
pub use crate::grants::{Change, ChangeKind, Grant, Health, Import};
pub use crate::headers::Headers;
pub use crate::installs::{InstalledLocation, MintProgress, MintSummary};
pub use crate::limits::RateLimit;
pub use crate::options::{OPTIONS, OptionKind, OptionRow};
pub use crate::refresh::Maintenance;
pub use crate::request::{Report, RequestBuilder};
pub use crate::response::Response;
pub use crate::secret::Secret;

// The tests of documentation compile the examples of these pages.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/rust.md")]
struct Pages;
