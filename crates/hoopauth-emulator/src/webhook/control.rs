use crate::control::Control;
use crate::error::ControlError;
use crate::webhook::event::{SignedWebhook, Webhook};
use crate::webhook::keys::{Secret, WebhookKey, WebhookScheme};

/// Webhooks.
impl Control {
    /// What a receiver needs to verify the emulator's webhooks: scheme by scheme, newest first. Keys that were rotated out stay.
    pub fn webhook_keys(&self) -> Vec<WebhookKey> {
        let keys = self.shared.lock().webhook_keys.all();
        keys.into_iter().map(|(key, current)| key.show(current)).collect()
    }

    /// The key that this scheme signs with now: SPKI in base64, or the secret.
    pub fn webhook_key(&self, scheme: WebhookScheme) -> Result<WebhookKey, ControlError> {
        let key = self.shared.lock().webhook_keys.find(scheme, None)?;
        Ok(key.show(true))
    }

    /// Makes a new key, which signs from now on unless a webhook names another.
    pub fn rotate_webhook_key(&self, scheme: WebhookScheme) -> WebhookKey {
        let secret = Secret::generate(scheme);
        self.shared.lock().webhook_keys.rotate(secret)
    }

    /// Signs a webhook and gives it back, for tests that bring it to the receiver themselves.
    pub fn sign_webhook(&self, webhook: &Webhook) -> Result<SignedWebhook, ControlError> {
        let prepared = webhook.prepare(&self.shared.lock())?;
        Ok(prepared.sign())
    }
}
