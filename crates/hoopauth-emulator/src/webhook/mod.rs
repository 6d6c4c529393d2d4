//! Webhooks: keys of the emulator's own in every scheme of the platform, what is signed with them,
//! and its delivery.

mod control;
pub(crate) mod control_http;
mod delivery;
mod event;
mod keys;
mod sender;

pub use delivery::{Attempt, Delivery, DeliveryState, RetryPolicy};
pub use event::{SignedWebhook, Webhook};
pub use keys::{HmacStyle, WebhookKey, WebhookScheme};

pub(crate) use delivery::Deliveries;
pub(crate) use keys::Keys;
pub(crate) use sender::{Progress, check_url, run};
