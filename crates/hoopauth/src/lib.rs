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
mod backoff;
mod budget;
mod builder;
mod cache;
mod callback;
#[cfg(any(feature = "postgres", feature = "reqwest"))]
mod certificates;
mod client;
mod clock;
mod context;
mod credential;
mod deadline;
mod error;
mod flight;
mod grant;
mod headers;
#[doc(hidden)]
pub mod host_log;
mod inner;
mod installed;
mod keys;
mod limits;
mod maintain;
mod members;
mod mistake;
pub mod operations;
mod options;
mod patience;
mod preflight;
mod proxy;
mod refresh;
mod report;
mod request;
mod reseal;
mod secret;
mod sorted;
mod store_name;
mod sync;
mod token_answer;
mod token_endpoint;

pub mod store;
pub mod transport;
mod watch;
pub mod webhook;

pub use crate::account::{Account, AccountKind};
pub use crate::authorize::{AuthorizationRequest, PendingAuthorization, Redirect};
pub use crate::builder::ClientBuilder;
#[doc(hidden)]
pub use crate::snapshot::Snapshot;
#[doc(hidden)]
pub use crate::callback::{outside, set_let_others_run};
pub use crate::client::{AccountHandle, Change, ChangeKind, Client, Health, Import};
pub use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::context::Context;
#[doc(hidden)]
pub use crate::context::HeadersWork;
#[doc(hidden)]
pub use crate::error::clean as clean_text;
pub use crate::error::{Error, ErrorCode, Result};
pub use crate::grants::Grant;
pub use crate::headers::Headers;
#[doc(hidden)]
pub use crate::headers::{carries_body, with_nuls};
pub use crate::installed::{InstalledLocation, MintProgress, MintSummary};
pub use crate::limits::RateLimit;
pub use crate::maintain::Maintenance;
pub use crate::options::{OPTIONS, OptionKind, OptionRow, options_page};
#[doc(hidden)]
pub use crate::refresh::Step;
pub use crate::request::report::Report;
#[doc(hidden)]
pub use crate::request::LONGEST_BODY;
pub use crate::request::{RequestBuilder, Response};
pub use crate::secret::Secret;
