//! `POST /oauth/locationToken`.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use crate::account::Account;
use crate::fault::Endpoint;
use crate::grants::Grant;
use crate::refusal::Refusal;
use crate::request::{Caller, FORM, Parameters, check_edge, check_version, has_content_type, read};
use crate::shared::Shared;
use crate::state::State;

pub(crate) async fn location_token(
    Extract(shared): Extract<Arc<Shared>>,
    request: Request,
) -> Response {
    let (parts, body) = read(request).await;
    shared.lock().counters.shown.location_token_requests += 1;
    shared.attend(Endpoint::LocationToken, || answer(&mut shared.lock(), &parts, &body)).await
}

fn answer(state: &mut State, parts: &Parts, body: &[u8]) -> Response {
    let style = state.style(&parts.headers);
    match mint(state, parts, body) {
        Ok(grant) => {
            let approved = state.approved_locations(&grant);
            style.grant(StatusCode::CREATED, &grant, &approved, &state.settings)
        }
        Err(refusal) => style.refuse(&refusal),
    }
}

fn mint(state: &mut State, parts: &Parts, body: &[u8]) -> Result<Arc<Grant>, Refusal> {
    check_edge(state, &parts.headers)?;
    check_version(&parts.headers)?;
    let caller = Caller::of(state, &parts.headers)?;
    let (app, _) = caller.require_company_grant()?;
    caller.require_scope("oauth.write")?;
    if !has_content_type(&parts.headers, FORM) {
        return Err(Refusal::validation("companyId must be a string"));
    }
    let form = Parameters::parse(body);
    let required = |name, shown: &str| {
        form.value(name).ok_or_else(|| Refusal::validation(format!("{shown} should not be empty")))
    };
    let company_id = required("company_id", "companyId")?;
    let location_id = required("location_id", "locationId")?;
    caller.require_company(state, company_id)?;
    caller.require_location(state, location_id)?;
    let location = Account::location(location_id);
    if state.grants.is_uninstalled(&location) {
        return Err(Refusal::api(403, "This location is not accessible from this token!"));
    }
    if state.is_paused(&location) {
        return Err(Refusal::inactive());
    }
    let scopes = caller.scopes().to_owned();
    let grant = state
        .issue(app, &location, &scopes, state.settings.location_refresh_token)
        .map_err(|why| Refusal::api(400, why.to_string()))?;
    state.counters.minted(&location.to_string());
    Ok(grant)
}
