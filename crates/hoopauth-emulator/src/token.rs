//! `POST /oauth/token`.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State as Extract};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::answer::answered_status;
use crate::fault::Endpoint;
use crate::grants::Grant;
use crate::refusal::{Refusal, RefusalKind};
use crate::request::{FORM, JSON, Parameters, check_edge, has_content_type, read};
use crate::shared::Shared;
use crate::state::State;

pub(crate) async fn token(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = read(request).await;
    let form = if has_content_type(&parts.headers, FORM) {
        Parameters::parse(&body)
    } else {
        Parameters::default()
    };
    let admitted = arrive(&mut shared.lock(), &form);
    let answer = if admitted {
        shared.attend(Endpoint::Token, || answer(&mut shared.lock(), &parts, &form)).await
    } else {
        shared.lock().style(&parts.headers).refuse(&Refusal::too_many())
    };
    shared.lock().counters.token_answer(answered_status(&answer));
    answer
}

/// Counts the request; false if the limit refuses it.
fn arrive(state: &mut State, form: &Parameters) -> bool {
    let code = form.value("code").and_then(|code| state.codes.get(code)).map(|code| &code.account);
    let refresh =
        form.value("refresh_token").and_then(|token| state.grants.account_of_refresh(token));
    let account = code.or(refresh).map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let now_ms = state.clock.now_ms();
    state.counters.token_request(form.value("grant_type").unwrap_or_default(), &account, now_ms);
    let client_id = form.value("client_id").unwrap_or_default();
    let admitted =
        state.limits.admit_token(client_id, now_ms, state.settings.token_requests_per_minute);
    if !admitted {
        state.counters.shown.token_requests_limited += 1;
    }
    admitted
}

fn answer(state: &mut State, parts: &Parts, form: &Parameters) -> Response {
    let style = state.style(&parts.headers);
    match pair(state, parts, form) {
        Ok(grant) => {
            let approved = state.approved_locations(&grant);
            style.grant(StatusCode::OK, &grant, &approved, &state.settings)
        }
        Err(refusal) => style.refuse(&refusal),
    }
}

fn pair(state: &mut State, parts: &Parts, form: &Parameters) -> Result<Arc<Grant>, Refusal> {
    check_edge(state, &parts.headers)?;
    if has_content_type(&parts.headers, JSON) {
        return Err(Refusal::validation("grant_type must be a string"));
    }
    form.refuse_repeated()?;
    let grant_type = form.require("grant_type")?;
    let client_id = form.require("client_id")?;
    let client_secret = form.require("client_secret")?;
    if !matches!(form.value("user_type"), None | Some("Location" | "Company")) {
        return Err(Refusal::invalid("user_type"));
    }
    match grant_type {
        "authorization_code" => exchange(state, form, client_id, client_secret),
        "refresh_token" => {
            let token = form.require("refresh_token")?;
            let app = state.authenticate(client_id, client_secret)?;
            state.rotate(app, token)
        }
        _ => Err(Refusal::invalid("grant_type")),
    }
}

/// The code is looked at before the secret, as on the platform.
fn exchange(
    state: &mut State,
    form: &Parameters,
    client_id: &str,
    client_secret: &str,
) -> Result<Arc<Grant>, Refusal> {
    let text = form.require("code")?;
    let not_found = || Refusal::new(401, RefusalKind::CodeNotFound, "Authorization code not found");
    let now_ms = state.clock.now_ms();
    let code =
        state.codes.get(text).filter(|code| now_ms < code.expires_ms).ok_or_else(not_found)?;
    let app = state.authenticate(client_id, client_secret)?;
    if code.app != app {
        return Err(not_found());
    }
    if let Some(expected) = &code.redirect_uri
        && form.require("redirect_uri")? != expected
    {
        return Err(Refusal::invalid("redirect_uri"));
    }
    if let Some(challenge) = &code.challenge {
        let verifier = form.require("code_verifier")?;
        if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) != *challenge {
            let message = "Invalid grant: code verifier is invalid";
            return Err(Refusal::new(400, RefusalKind::InvalidGrant, message));
        }
    }
    if state.is_paused(&code.account) {
        return Err(Refusal::inactive());
    }
    let code = state.codes.remove(text).ok_or_else(not_found)?;
    let grant = state.issue(app, &code.account, &code.scopes, true).map_err(|_| not_found())?;
    state.counters.shown.exchanges += 1;
    Ok(grant)
}
