use std::time::Duration;

use crate::control::Control;
use crate::error::ControlError;
use crate::state::State;
use crate::webhook::delivery::{Delivery, RetryPolicy};
use crate::webhook::event::{SignedWebhook, Webhook};
use crate::webhook::keys::{Secret, WebhookKey, WebhookScheme};
use crate::webhook::sender::check_url;

/// Webhooks.
impl Control {
    /// Returns the keys with which a receiver verifies the emulator's webhooks: scheme by scheme,
    /// newest first. Keys that were rotated out stay.
    pub fn webhook_keys(&self) -> Vec<WebhookKey> {
        let keys = self.shared.lock().webhook_keys.all();
        keys.into_iter().map(|(key, current)| key.show(current)).collect()
    }

    /// The key that this scheme signs with now: SPKI in base64, or the secret.
    pub fn webhook_key(&self, scheme: WebhookScheme) -> WebhookKey {
        let key = self.shared.lock().webhook_keys.newest(scheme);
        key.show(true)
    }

    /// Makes a new key, which signs from now on unless a webhook names another.
    pub fn rotate_webhook_key(&self, scheme: WebhookScheme) -> WebhookKey {
        let secret = Secret::generate(scheme);
        self.shared.lock().webhook_keys.rotate(secret)
    }

    /// Signs a webhook and gives it back, for tests that bring it to the receiver themselves.
    pub fn sign_webhook(&self, webhook: &Webhook) -> Result<SignedWebhook, ControlError> {
        let prepared = self.shared.lock().prepare(webhook)?;
        Ok(prepared.sign())
    }

    /// Posts a webhook to a receiver on this machine, `times` times at once, and waits for the
    /// answers. A failed one is tried again as `retry` says.
    pub fn send_webhook(
        &self,
        url: &str,
        webhook: &Webhook,
        times: u32,
        retry: RetryPolicy,
    ) -> Result<Delivery, ControlError> {
        let id = self.queue_webhook(url, webhook, times, retry)?;
        self.shared
            .wait_for_deliveries_blocking(self.round_at_most(), |state| is_answered(state, id));
        self.webhook_delivery(id)
    }

    /// The same without waiting; returns the delivery's id.
    pub fn queue_webhook(
        &self,
        url: &str,
        webhook: &Webhook,
        times: u32,
        retry: RetryPolicy,
    ) -> Result<u64, ControlError> {
        check_url(url).map_err(ControlError::Malformed)?;
        if times == 0 {
            return Err(ControlError::Malformed("`times` is at least 1".into()));
        }
        let mut state = self.shared.lock();
        let webhook = state.prepare(webhook)?;
        let now_ms = state.clock.now_ms();
        Ok(state.deliveries.push(url, webhook, times, retry, now_ms))
    }

    /// Returns the state of a delivery.
    pub fn webhook_delivery(&self, id: u64) -> Result<Delivery, ControlError> {
        let found = self.shared.lock().deliveries.find(id).cloned();
        found.ok_or_else(|| ControlError::Unknown(format!("the delivery {id}")))
    }

    /// All deliveries since the last reset, oldest first; those of the install flow too.
    pub fn webhook_deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().deliveries.all().cloned().collect()
    }

    /// Blocks until at least this many deliveries are as wanted; false if that takes longer than
    /// `timeout`. `wanted` must not ask the emulator anything.
    pub fn wait_for_deliveries(
        &self,
        at_least: usize,
        timeout: Duration,
        mut wanted: impl FnMut(&Delivery) -> bool,
    ) -> bool {
        let enough = |state: &State| {
            state.deliveries.all().filter(|shown| wanted(shown)).count() >= at_least
        };
        self.shared.wait_for_deliveries_blocking(timeout, enough)
    }

    /// Forgets all deliveries; what is being sent is still sent once.
    pub fn clear_deliveries(&self) {
        self.shared.lock().deliveries.clear();
    }

    /// Longer than the answers of one round can take.
    pub(crate) fn round_at_most(&self) -> Duration {
        Duration::from_millis(self.settings().webhook_timeout_ms) + Duration::from_secs(5)
    }
}

/// Returns `true` if the first round of the delivery is over.
pub(crate) fn is_answered(state: &State, id: u64) -> bool {
    state.deliveries.find(id).is_none_or(|delivery| !delivery.attempts.is_empty())
}
