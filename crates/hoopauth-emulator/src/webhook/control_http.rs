use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::control::Control;
use crate::control_http::{Answer, read};
use crate::state::Shared;
use crate::webhook::event::Webhook;
use crate::webhook::keys::WebhookScheme;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/webhooks/keys", get(keys))
        .route("/webhooks/rotate", post(rotate))
        .route("/webhooks/sign", post(sign))
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
