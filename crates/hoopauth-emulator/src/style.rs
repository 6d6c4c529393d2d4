use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::account::Class;
use crate::config::{Casing, ErrorStyle, Settings};
use crate::grants::Grant;
use crate::refusal::Refusal;
use crate::tokens::uuid;

/// Style in which one request wants its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    casing: Casing,
    errors: ErrorStyle,
}

impl Style {
    /// The settings decide, unless the request speaks version v3.
    pub(crate) fn of(settings: &Settings, headers: &HeaderMap) -> Self {
        if headers.get("version").is_some_and(|version| version == "v3") {
            return Self { casing: Casing::Camel, errors: ErrorStyle::V3 };
        }
        Self { casing: settings.casing, errors: settings.error_style }
    }

    pub(crate) fn refuse(self, refusal: &Refusal) -> Response {
        refusal.answer(self.errors)
    }

    /// The answer that carries a new pair.
    /// `approved`: the locations that a company's user approved.
    pub(crate) fn grant(
        self,
        status: StatusCode,
        grant: &Grant,
        approved: &[String],
        settings: &Settings,
    ) -> Response {
        let mut members = members(grant, approved);
        for name in &settings.answer_omit {
            members.remove(name);
        }
        members.extend(settings.answer.clone());
        if self.casing == Casing::Camel {
            members = members.into_iter().map(|(name, value)| (camel(&name), value)).collect();
        }
        (status, Json(Value::Object(members))).into_response()
    }
}

fn members(grant: &Grant, approved: &[String]) -> Map<String, Value> {
    let class = grant.account.class();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    put("access_token", grant.access_token.as_str().into());
    put("token_type", "Bearer".into());
    put("expires_in", grant.expires_in.into());
    put("scope", grant.scope.as_str().into());
    put("userType", class.as_str().into());
    put("companyId", grant.company_id.as_str().into());
    put("userId", grant.user_id.as_str().into());
    put("planId", PLAN_ID.into());
    put("isBulkInstallation", (class == Class::Company).into());
    put("traceId", uuid().into());
    if let Some(token) = &grant.refresh_token {
        put("refresh_token", token.as_str().into());
    }
    if let Some(id) = &grant.location_id {
        put("locationId", id.as_str().into());
    }
    if class == Class::Company {
        put("approvedLocations", json!(approved));
        put("installToFutureLocations", true.into());
        put("approveAllLocations", true.into());
    }
    members
}

/// `refresh_token` as `refreshToken`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

pub(crate) const PLAN_ID: &str = "hoopPlan000000000001";
