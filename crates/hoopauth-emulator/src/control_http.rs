//! The control calls over HTTP: JSON in, JSON out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, Query, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::config::{App, Company, PrivateIntegration, Settings};
use crate::control::Control;
use crate::error::ControlError;
use crate::fault::{Endpoint, Fault, FaultKind};
use crate::shared::Shared;
use crate::tokens;
use crate::webhook::sender::check_url;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/apps", post(add_app))
        .route("/companies", post(add_company))
        .route("/locations", post(add_locations))
        .route("/private-integrations", post(add_private_integration))
        .route("/private-integrations/revoke", post(revoke_private_integration))
        .route("/pause", post(pause))
        .route("/unpause", post(unpause))
        .route("/uninstall", post(uninstall))
        .route("/revoke", post(revoke))
        .route("/expire", post(expire))
        .route("/authorize", post(authorize))
        .route("/install", post(install))
        .route("/grants", get(current_grant).post(issue_grant))
        .route("/refresh-token", post(refresh_token))
        .route("/settings", get(settings).post(configure))
        .route("/faults", get(pending_faults).post(add_fault).delete(clear_faults))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/held", get(held))
        .route("/clock", get(clock).post(set_clock))
        .route("/statistics", get(statistics))
        .route("/reset", post(reset))
        .fallback(unknown)
}

async fn add_app(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    control.add_app(read::<App>(&body)?)?;
    Ok(done())
}

async fn add_company(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(default = "tokens::id")]
        id: String,
        #[serde(default)]
        name: String,
    }
    let asked: Asked = read(&body)?;
    control.add_company(Company::new(&asked.id, &asked.name))?;
    Ok(Json(json!({ "id": asked.id })))
}

async fn add_locations(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        company_id: String,
        id: Option<String>,
        #[serde(default)]
        name: String,
        count: Option<usize>,
    }
    let asked: Asked = read(&body)?;
    let ids = match (asked.id, asked.count) {
        (Some(_), Some(_)) => return Err(malformed("give `id` or `count`, not both")),
        (None, Some(count)) => control.add_locations(&asked.company_id, count)?,
        (id, None) => {
            let id = id.unwrap_or_else(tokens::id);
            control.add_location(&asked.company_id, &id, &asked.name)?;
            vec![id]
        }
    };
    Ok(Json(json!({ "ids": ids })))
}

async fn add_private_integration(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        account: String,
        token: Option<String>,
        #[serde(default)]
        scopes: Vec<String>,
    }
    let asked: Asked = read(&body)?;
    let scopes = borrowed(&asked.scopes);
    let token = match asked.token {
        None => control.add_private_integration(&asked.account, &scopes)?,
        Some(token) => {
            let account = asked.account.parse()?;
            control.put_private_integration(
                PrivateIntegration::new(&token, account).scopes(&scopes),
            )?;
            token
        }
    };
    Ok(Json(json!({ "token": token })))
}

async fn revoke_private_integration(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    control.revoke_private_integration(&read::<Token>(&body)?.token)?;
    Ok(done())
}

async fn pause(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    control.pause(&read::<Location>(&body)?.location_id)?;
    Ok(done())
}

async fn unpause(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    control.unpause(&read::<Location>(&body)?.location_id)?;
    Ok(done())
}

async fn uninstall(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        account: String,
    }
    control.uninstall(&read::<Asked>(&body)?.account)?;
    Ok(done())
}

async fn revoke(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        account: Option<String>,
        #[serde(default)]
        access: bool,
        #[serde(default)]
        refresh: bool,
        token: Option<String>,
    }
    let asked: Asked = read(&body)?;
    if asked.token.is_none() && (asked.account.is_none() || !(asked.access || asked.refresh)) {
        return Err(malformed("give `token`, or `account` with `access` or `refresh`"));
    }
    if let Some(token) = &asked.token {
        control.revoke_token(token)?;
    }
    if let Some(account) = &asked.account {
        if asked.access {
            control.revoke_access(account)?;
        }
        if asked.refresh {
            control.revoke_refresh(account)?;
        }
    }
    Ok(done())
}

async fn expire(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Asked {
        account: Option<String>,
    }
    match read::<Asked>(&body)?.account {
        Some(account) => control.expire_access(&account)?,
        None => control.expire_all_access(),
    }
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForAccount {
    account: String,
    #[serde(default)]
    scopes: Vec<String>,
    client_id: Option<String>,
}

async fn authorize(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    let asked: ForAccount = read(&body)?;
    let code = control.authorize_for(
        asked.client_id.as_deref(),
        &asked.account,
        &borrowed(&asked.scopes),
    )?;
    Ok(Json(json!({ "code": code })))
}

async fn install(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        account: String,
        redirect_uri: String,
    }
    let asked: Asked = read(&body)?;
    Ok(Json(json!({ "redirect": control.install(&asked.account, &asked.redirect_uri)? })))
}

async fn issue_grant(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    let asked: ForAccount = read(&body)?;
    let grant = control.issue_grant_for(
        asked.client_id.as_deref(),
        &asked.account,
        &borrowed(&asked.scopes),
    )?;
    Ok(Json(json!(grant)))
}

async fn current_grant(
    Extract(control): Extract<Control>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let account = query.get("account").ok_or_else(|| malformed("give `account`"))?;
    Ok(Json(json!(control.current_grant(account)?)))
}

async fn refresh_token(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    Ok(Json(json!({ "live": control.is_refresh_token_live(&read::<Token>(&body)?.token) })))
}

async fn settings(Extract(control): Extract<Control>) -> Answer {
    Ok(Json(json!(control.settings())))
}

/// Lays the given members over the settings.
async fn configure(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    let given: BTreeMap<String, Value> = read(&body)?;
    let mut settings = json!(control.settings());
    for (name, value) in given {
        settings[name] = value;
    }
    let settings: Settings =
        serde_json::from_value(settings).map_err(|why| malformed(&why.to_string()))?;
    if let Some(url) = &settings.webhook_url {
        check_url(url).map_err(ControlError::Malformed)?;
    }
    control.configure(|current| *current = settings);
    Ok(Json(json!(control.settings())))
}

async fn add_fault(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        endpoint: Endpoint,
        kind: String,
        status: Option<u16>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<Value>,
        #[serde(default)]
        members: Map<String, Value>,
        #[serde(default)]
        omit: Vec<String>,
        #[serde(default)]
        first: String,
        #[serde(default)]
        before: String,
        location: Option<String>,
        bytes: Option<usize>,
        pause_ms: Option<u64>,
        #[serde(default = "once")]
        times: u32,
        #[serde(default)]
        after: u32,
        processed: Option<bool>,
    }
    let asked: Asked = read(&body)?;
    let bytes = asked.bytes.unwrap_or(DEFAULT_BYTES);
    let kind = match asked.kind.as_str() {
        "status" => FaultKind::Status {
            status: asked.status.ok_or_else(|| malformed("a fault `status` needs `status`"))?,
            headers: asked.headers.into_iter().collect(),
            body: match asked.body {
                None => String::new(),
                Some(Value::String(text)) => text,
                Some(json) => json.to_string(),
            },
        },
        "timeout" => FaultKind::Timeout,
        "close" => FaultKind::Close,
        "lost_answer" => FaultKind::LostAnswer,
        "cut_body" => FaultKind::CutBody,
        "odd_answer" => FaultKind::OddAnswer {
            members: asked.members,
            omit: asked.omit,
            first: asked.first,
            before: asked.before,
        },
        "malformed_json" => FaultKind::MalformedJson,
        "garbage" => FaultKind::Garbage,
        "redirect" => FaultKind::Redirect {
            location: asked
                .location
                .ok_or_else(|| malformed("a fault `redirect` needs `location`"))?,
        },
        "large_body" => FaultKind::LargeBody { bytes },
        "gzip_bomb" => FaultKind::GzipBomb { bytes },
        "drip" => FaultKind::Drip { pause_ms: asked.pause_ms.unwrap_or(DEFAULT_PAUSE_MS) },
        other => return Err(malformed(&format!("there is no fault `{other}`"))),
    };
    let mut fault = Fault::new(asked.endpoint, kind).times(asked.times).after(asked.after);
    if let Some(processed) = asked.processed {
        fault = fault.processed(processed);
    }
    control.add_fault(fault);
    Ok(done())
}

async fn pending_faults(Extract(control): Extract<Control>) -> Answer {
    Ok(Json(json!({ "pending": control.pending_faults() })))
}

async fn clear_faults(Extract(control): Extract<Control>) -> Answer {
    control.clear_faults();
    Ok(done())
}

async fn hold(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        endpoint: Endpoint,
        #[serde(default)]
        answers: bool,
    }
    let asked: Asked = read(&body)?;
    if asked.answers {
        control.hold_answers(asked.endpoint);
    } else {
        control.hold(asked.endpoint);
    }
    Ok(done())
}

async fn release(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Asked {
        endpoint: Option<Endpoint>,
        count: Option<usize>,
    }
    match read::<Asked>(&body)? {
        Asked { endpoint: Some(endpoint), count: Some(count) } => {
            control.release_some(endpoint, count);
        }
        Asked { endpoint: Some(endpoint), count: None } => control.release(endpoint),
        Asked { endpoint: None, count: None } => control.release_all(),
        Asked { endpoint: None, count: Some(_) } => {
            return Err(malformed("`count` needs `endpoint`"));
        }
    }
    Ok(done())
}

async fn held(Extract(shared): Extract<Arc<Shared>>, Query(asked): Query<Held>) -> Answer {
    let timeout =
        Duration::try_from_secs_f64(asked.timeout).map_err(|why| malformed(&why.to_string()))?;
    let reached = shared.gates.wait(asked.endpoint, asked.at_least, timeout).await;
    Ok(Json(json!({ "held": shared.gates.held(asked.endpoint), "reached": reached })))
}

#[derive(Deserialize)]
struct Held {
    endpoint: Endpoint,
    #[serde(default)]
    at_least: usize,
    #[serde(default)]
    timeout: f64,
}

async fn clock(Extract(control): Extract<Control>) -> Answer {
    Ok(Json(json!({ "now": control.now(), "frozen": control.is_frozen() })))
}

async fn set_clock(Extract(control): Extract<Control>, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        frozen: Option<bool>,
        now: Option<i64>,
        advance: Option<i64>,
    }
    let asked: Asked = read(&body)?;
    match asked.frozen {
        Some(true) => control.freeze(),
        Some(false) => control.unfreeze(),
        None => {}
    }
    if let Some(now) = asked.now {
        control.set_now(now);
    }
    if let Some(seconds) = asked.advance {
        control.advance(seconds);
    }
    clock(Extract(control)).await
}

async fn statistics(Extract(control): Extract<Control>) -> Answer {
    Ok(Json(json!(control.statistics())))
}

/// Back to a quiet emulator; apps, accounts and tokens stay.
async fn reset(Extract(control): Extract<Control>) -> Answer {
    control.reset_statistics();
    control.clear_faults();
    control.clear_deliveries();
    control.release_all();
    Ok(done())
}

async fn unknown() -> Response {
    ControlError::Unknown("this control call".into()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Location {
    location_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: String,
}

pub(crate) type Answer = Result<Json<Value>, ControlError>;

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

impl FromRef<Arc<Shared>> for Control {
    fn from_ref(shared: &Arc<Shared>) -> Self {
        Self::new(shared.clone())
    }
}

/// Reads a body as JSON, whatever its `Content-Type` says; none counts as `{}`.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|why| malformed(&why.to_string()))
}

pub(crate) fn done() -> Json<Value> {
    Json(json!({}))
}

pub(crate) fn malformed(why: &str) -> ControlError {
    ControlError::Malformed(why.to_owned())
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn once() -> u32 {
    1
}

/// More than a client should be willing to read.
const DEFAULT_BYTES: usize = 64 << 20;
const DEFAULT_PAUSE_MS: u64 = 200;
