//! A local HoopAI for development and tests.
//!
//! [`Emulator::start`] opens a port on 127.0.0.1 and plays the platform there: the authorize page,
//! the token endpoints, some API routes; with the errors, limits and headers of the real one, and
//! with faults on request. It runs on a thread and a runtime of its own, so it serves blocking
//! tests and asynchronous ones. The README lists every fact it plays.
//!
//! ```
//! use hoopauth_emulator::{Config, Emulator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::start(Config::default().window(0))?;
//! let grant = emulator.issue_grant("location:hoopLocation00000001", &["contacts.readonly"])?;
//! assert!(emulator.is_refresh_token_live(&grant.refresh_token.unwrap_or_default()));
//! assert!(emulator.token().ends_with("/oauth/token"));
//! # Ok(())
//! # }
//! ```
//!
//! It is for tests only: it shows tokens to whoever asks, and it approves whatever a test tells it
//! to.
#![forbid(unsafe_code)]

mod account;
mod announce;
mod answer;
mod api;
mod authorize;
mod changes;
mod clock;
mod config;
mod control;
mod control_http;
mod emulator;
mod error;
mod fault;
mod gate;
mod grants;
mod installed_locations;
mod limits;
mod location_token;
mod refusal;
mod request;
mod server;
mod shared;
mod state;
mod statistics;
mod style;
mod token;
mod tokens;
mod webhook;

pub use account::{Account, Class};
pub use config::{
    App, Casing, Company, Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_COMPANY_ID,
    DEFAULT_COMPANY_PRIVATE_INTEGRATION, DEFAULT_LOCATION_IDS,
    DEFAULT_LOCATION_PRIVATE_INTEGRATION, DEFAULT_SCOPES, ErrorStyle, PrivateIntegration, Settings,
};
pub use control::Control;
pub use emulator::Emulator;
pub use error::ControlError;
pub use fault::{Endpoint, Fault, FaultKind};
pub use grants::Grant;
pub use statistics::Statistics;
pub use webhook::{
    Attempt, Delivery, DeliveryState, HmacStyle, RetryPolicy, SignedWebhook, Webhook, WebhookKey,
    WebhookScheme,
};
