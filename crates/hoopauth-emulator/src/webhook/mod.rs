//! Webhooks: keys of the emulator's own in every scheme of the platform, what is signed with them,
//! and its delivery.

mod control;
pub(crate) mod control_http;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod keys;
pub(crate) mod progress;
pub(crate) mod sender;

pub use delivery::{Attempt, Delivery, DeliveryState, RetryPolicy};
pub use event::{SignedWebhook, Webhook};
pub use keys::{HmacStyle, WebhookKey, WebhookScheme};
