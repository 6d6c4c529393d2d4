use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State as Extract};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::control::Control;
use crate::control_http::{Answer, malformed, read};
use crate::error::ControlError;
use crate::shared::Shared;
use crate::webhook::control::is_answered;
use crate::webhook::delivery::{Delivery, DeliveryState, RetryPolicy};
use crate::webhook::event::Webhook;
use crate::webhook::keys::WebhookScheme;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/webhooks/keys", get(keys))
        .route("/webhooks/rotate", post(rotate))
        .route("/webhooks/sign", post(sign))
        .route("/webhooks/send", post(send))
        .route("/webhooks/deliveries", get(deliveries))
}

async fn keys(Extract(control): Extract<Control>) -> Answer {
    Ok(Json(json!({ "keys": control.webhook_keys() })))
}

async fn rotate(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        scheme: WebhookScheme,
    }
    Ok(Json(json!(control.rotate_webhook_key(read::<Asked>(&body)?.scheme))))
}

async fn sign(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    Ok(Json(json!(control.sign_webhook(&read::<Webhook>(&body)?)?)))
}

/// Takes the members of `sign` beside its own.
async fn send(Extract(shared): Extract<Arc<Shared>>, body: Bytes) -> Answer {
    let mut asked: Map<String, Value> = read(&body)?;
    let mut take = |name| asked.remove(name).unwrap_or_default();
    let Value::String(url) = take("url") else { return Err(malformed("give `url`")) };
    let times = or_default(take("times"), 1)?;
    let retry = or_default(take("retry"), RetryPolicy::None)?;
    let wait = or_default(take("wait"), true)?;
    let webhook: Webhook = or_malformed(asked.into())?;
    let control = Control::new(shared.clone());
    let id = control.queue_webhook(&url, &webhook, times, retry)?;
    if wait {
        shared.wait_for_deliveries(control.round_at_most(), |state| is_answered(state, id)).await;
    }
    Ok(Json(json!(control.webhook_delivery(id)?)))
}

async fn deliveries(Extract(shared): Extract<Arc<Shared>>, Query(asked): Query<Wanted>) -> Answer {
    let timeout =
        Duration::try_from_secs_f64(asked.timeout).map_err(|why| malformed(&why.to_string()))?;
    let mut shown = Vec::new();
    let reached = shared
        .wait_for_deliveries(timeout, |state| {
            shown = state
                .deliveries
                .all()
                .filter(|delivery| asked.matches(delivery))
                .cloned()
                .collect();
            shown.len() >= asked.at_least
        })
        .await;
    Ok(Json(json!({ "deliveries": shown, "reached": reached })))
}

/// Selection of deliveries, and the number that is waited for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<u64>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    state: Option<DeliveryState>,
    /// At least so many.
    #[serde(default)]
    attempts: usize,
    #[serde(default)]
    at_least: usize,
    #[serde(default)]
    timeout: f64,
}

impl Wanted {
    fn matches(&self, delivery: &Delivery) -> bool {
        self.id.is_none_or(|id| id == delivery.id)
            && (self.event_type.is_none() || self.event_type == delivery.event_type)
            && self.state.is_none_or(|state| state == delivery.state)
            && delivery.attempts.len() >= self.attempts
    }
}

fn or_default<T: DeserializeOwned>(value: Value, default: T) -> Result<T, ControlError> {
    if value.is_null() { Ok(default) } else { or_malformed(value) }
}

fn or_malformed<T: DeserializeOwned>(value: Value) -> Result<T, ControlError> {
    serde_json::from_value(value).map_err(|why| malformed(&why.to_string()))
}
