//! `GET /oauth/installedLocations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::account::Account;
use crate::fault::Endpoint;
use crate::refusal::Refusal;
use crate::request::{Caller, Parameters, check_edge, check_version};
use crate::shared::Shared;
use crate::state::State;
use crate::tokens::uuid;

pub(crate) async fn installed_locations(
    Extract(shared): Extract<Arc<Shared>>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    shared.lock().counters.shown.installed_locations_requests += 1;
    shared.attend(Endpoint::InstalledLocations, || answer(&shared.lock(), &parts)).await
}

fn answer(state: &State, parts: &Parts) -> Response {
    match page(state, parts) {
        Ok(page) => Json(page).into_response(),
        Err(refusal) => state.style(&parts.headers).refuse(&refusal),
    }
}

fn page(state: &State, parts: &Parts) -> Result<Value, Refusal> {
    check_edge(state, &parts.headers)?;
    check_version(&parts.headers)?;
    let caller = Caller::of(state, &parts.headers)?;
    let (app, own_company) = caller.require_company_grant()?;
    caller.require_scope("oauth.readonly")?;
    let query = Parameters::of_query(parts);
    let required = |name, shown: &str| {
        query.value(name).ok_or_else(|| Refusal::validation(format!("{shown} should not be empty")))
    };
    let company_id = required("company_id", "companyId")?;
    let app_id = required("app_id", "appId")?;
    let skip = query.number("skip", 0)?;
    let limit = query.number("limit", PAGE)?.min(state.settings.locations_per_page);
    caller.require_company(state, company_id)?;
    if app_id != state.apps[app].app_id() {
        return Err(Refusal::invalid("appId"));
    }
    let wanted = query.value("is_installed").map(|wanted| wanted == "true");
    let locations = state.companies.get(own_company).map_or(&[][..], |company| &company.locations);
    let items: Vec<_> = locations
        .iter()
        .filter_map(|id| {
            let is_installed = !state.grants.is_uninstalled(&Account::Location(id.clone()));
            let name = state.locations.get(id).map(|location| location.name.as_str());
            (wanted.is_none_or(|wanted| wanted == is_installed))
                .then(|| json!({ "_id": **id, "name": name, "isInstalled": is_installed }))
        })
        .skip(skip)
        .take(limit)
        .collect();
    let mut page = json!({
        "locations": items,
        "installToFutureLocations": true,
        "traceId": uuid(),
    });
    if state.settings.count_locations {
        page["count"] = locations.len().into();
    }
    Ok(page)
}

const PAGE: usize = 20;
