//! Webhooks: keys of the emulator's own in every scheme of the platform, and what is signed with them.

mod control;
pub(crate) mod control_http;
mod event;
mod keys;

pub use event::{SignedWebhook, Webhook};
pub use keys::{HmacStyle, WebhookKey, WebhookScheme};

pub(crate) use keys::Keys;
