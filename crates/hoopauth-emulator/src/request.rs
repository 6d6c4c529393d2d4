use std::collections::BTreeMap;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::account::{Account, Class};
use crate::refusal::Refusal;
use crate::state::State;

/// Account that the bearer of a request speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: Account,
    /// The index of the app; none for a Private Integration token.
    pub(crate) app: Option<usize>,
    scopes: Option<String>,
}

impl Caller {
    /// Reads the bearer and looks it up.
    pub(crate) fn of(state: &State, headers: &HeaderMap) -> Result<Self, Refusal> {
        let bearer = bearer(headers).ok_or_else(|| Refusal::api(401, "Invalid JWT"))?;
        if bearer.starts_with("pit-") {
            let Some(token) = state.private_integrations.get(bearer) else {
                return Err(Refusal::api(401, "Invalid Private Integration token"));
            };
            let scopes = (!token.scopes.is_empty()).then(|| token.scopes.join(" "));
            return Ok(Self { account: token.account.clone(), app: None, scopes });
        }
        let access = state.grants.check_access(bearer, state.clock.now_ms())?;
        Ok(Self {
            account: access.account.clone(),
            app: Some(access.app),
            scopes: Some(access.scopes.to_string()),
        })
    }

    /// The name of the account in the statistics, whether or not its bearer is still worth
    /// anything.
    pub(crate) fn name(state: &State, headers: &HeaderMap) -> String {
        let bearer = bearer(headers).unwrap_or_default();
        let key = state.private_integrations.get(bearer).map(|token| &token.account);
        let account = key.or_else(|| state.grants.account_of_access(bearer));
        account.map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    /// The scopes of an OAuth grant, separated by spaces; empty for a Private Integration token
    /// with every scope.
    pub(crate) fn scopes(&self) -> &str {
        self.scopes.as_deref().unwrap_or_default()
    }

    pub(crate) fn class(&self) -> Class {
        self.account.class()
    }

    pub(crate) fn require_scope(&self, scope: &str) -> Result<(), Refusal> {
        match &self.scopes {
            Some(scopes) if !scopes.split(' ').any(|granted| granted == scope) => {
                Err(Refusal::api(401, "The token is not authorized for this scope."))
            }
            _ => Ok(()),
        }
    }

    /// Lets only tokens of a company's OAuth grant through; returns the app and the company.
    pub(crate) fn require_company_grant(&self) -> Result<(usize, &str), Refusal> {
        match (&self.account, self.app) {
            (_, None) => Err(Refusal::api(401, "This token's user type is not yet supported!")),
            (Account::Location(_), _) => Err(Refusal::api(401, "Token's user type mismatch!")),
            (Account::Company(id), Some(app)) => Ok((app, id)),
        }
    }

    /// Lets only accounts through that are this one or belong to it.
    pub(crate) fn require_location(&self, state: &State, location_id: &str) -> Result<(), Refusal> {
        match &self.account {
            Account::Location(own) if **own == *location_id => Ok(()),
            Account::Location(_) => {
                Err(Refusal::api(403, "The token does not have access to this location."))
            }
            Account::Company(own) => match state.locations.get(location_id) {
                Some(location) if location.company_id == *own => Ok(()),
                _ => Err(Refusal::api(403, "This location is not accessible from this token!")),
            },
        }
    }

    pub(crate) fn require_company(&self, state: &State, company_id: &str) -> Result<(), Refusal> {
        match state.company_of(&self.account) {
            Ok(own) if **own == *company_id => Ok(()),
            _ => Err(Refusal::api(403, "The token does not have access to this location.")),
        }
    }
}

/// The parameters of a form or a query. Their names are known by either casing: `client_id` or
/// `clientId`.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    values: BTreeMap<String, String>,
    repeated: Option<String>,
}

impl Parameters {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(encoded) {
            let snake = snake(&name);
            if parameters.values.insert(snake.clone(), value.into_owned()).is_some() {
                parameters.repeated = Some(snake);
            }
        }
        parameters
    }

    pub(crate) fn of_query(parts: &Parts) -> Self {
        Self::parse(parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// The value, unless it is missing or empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value as a number of items.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        self.value(name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| Refusal::validation(format!("{name} must be a number")))
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.value(name).ok_or_else(|| Refusal::missing(name))
    }

    /// RFC 6749 forbids sending a parameter twice.
    pub(crate) fn refuse_repeated(&self) -> Result<(), Refusal> {
        self.repeated.as_ref().map_or(Ok(()), |name| Err(Refusal::invalid(name)))
    }
}

/// Takes a request apart; a body that is too long or breaks off counts as empty.
pub(crate) async fn read(request: Request) -> (Parts, Bytes) {
    let (parts, body) = request.into_parts();
    (parts, to_bytes(body, BODY_AT_MOST).await.unwrap_or_default())
}

/// The edge in front of the platform: it refuses requests that don't say what sent them.
pub(crate) fn check_edge(state: &State, headers: &HeaderMap) -> Result<(), Refusal> {
    if !state.settings.check_user_agent {
        return Ok(());
    }
    let agent =
        headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if agent.trim().is_empty() || agent.to_ascii_lowercase().starts_with("python") {
        return Err(Refusal::edge_1010());
    }
    Ok(())
}

pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("version") {
        None => Err(Refusal::api(401, "version header was not found.")),
        Some(version) if VERSIONS.iter().any(|known| version == known) => Ok(()),
        Some(_) => Err(Refusal::api(401, "version header is invalid")),
    }
}

pub(crate) fn has_content_type(headers: &HeaderMap, expected: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(expected)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn snake(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len() + 2), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";
const VERSIONS: [&str; 3] = ["2021-07-28", "2021-04-15", "v3"];
const BODY_AT_MOST: usize = 4 << 20;
