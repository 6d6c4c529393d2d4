//! Webhooks: the verifier, its keys, and what it verified.

mod delivery;
mod fields;
mod key;
mod verifier;

pub(crate) use self::delivery::WebhookDelivery;
pub(crate) use self::key::WebhookKey;
pub(crate) use self::verifier::WebhookVerifier;
