//! Internal interface of the language bindings. It may change with every release.

use std::sync::Arc;

use crate::client::Client;
use crate::webhook::{WebhookDelivery, WebhookVerifier};

/// Returns the client whose store a verification may wait for.
pub fn waits_for(verifier: &WebhookVerifier) -> Option<Client> {
    verifier.waits_for().map(|inner| Client { inner: Arc::clone(inner) })
}

/// Returns the client whose store remembers a delivery.
pub fn remembered_by(delivery: &WebhookDelivery) -> Option<Client> {
    delivery.remembered_by().map(|inner| Client { inner: Arc::clone(inner) })
}
