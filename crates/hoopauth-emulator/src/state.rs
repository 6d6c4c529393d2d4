//! The data of the emulated platform, and lookups in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::account::{Account, Class};
use crate::clock::Clock;
use crate::config::{App, PrivateIntegration, Settings};
use crate::error::ControlError;
use crate::fault::{Endpoint, Faults};
use crate::grants::{Grant, Grants};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::statistics::Counters;
use crate::style::Style;
use crate::webhook::delivery::Deliveries;
use crate::webhook::keys::Keys;

/// Everything the emulated platform knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) grants: Grants,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) apps: Vec<App>,
    pub(crate) companies: BTreeMap<Arc<str>, CompanyRecord>,
    pub(crate) locations: HashMap<Arc<str>, LocationRecord>,
    pub(crate) private_integrations: HashMap<String, PrivateIntegration>,
    pub(crate) contacts: BTreeMap<String, Contact>,
    pub(crate) webhook_keys: Keys,
    pub(crate) deliveries: Deliveries,
}

#[derive(Debug)]
pub(crate) struct CompanyRecord {
    pub(crate) name: String,
    pub(crate) user_id: String,
    pub(crate) locations: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct LocationRecord {
    pub(crate) name: String,
    pub(crate) company_id: Arc<str>,
    pub(crate) paused: bool,
}

#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) location_id: String,
    pub(crate) fields: Map<String, Value>,
}

/// An authorization code that waits to be exchanged.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) app: usize,
    pub(crate) account: Account,
    pub(crate) scopes: Arc<str>,
    /// Redirect URI that the exchange must repeat; none for an install that the marketplace began.
    pub(crate) redirect_uri: Option<String>,
    /// The S256 challenge of PKCE.
    pub(crate) challenge: Option<String>,
    pub(crate) expires_ms: i64,
}

impl State {
    /// The index of the app with this client id and secret.
    pub(crate) fn authenticate(
        &self,
        client_id: &str,
        client_secret: &str,
    ) -> Result<usize, Refusal> {
        use crate::refusal::RefusalKind::InvalidClient;
        let Some(app) = self.app_index(client_id) else {
            return Err(Refusal::new(400, InvalidClient, "Invalid client: client id is unknown"));
        };
        if self.apps[app].client_secret != client_secret {
            return Err(Refusal::new(
                401,
                InvalidClient,
                "Invalid client: client credentials are invalid",
            ));
        }
        Ok(app)
    }

    pub(crate) fn app_index(&self, client_id: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.client_id == client_id)
    }

    /// The company of the account, itself if it is one.
    pub(crate) fn company_of(&self, account: &Account) -> Result<&Arc<str>, ControlError> {
        let found = match account {
            Account::Company(id) => self.companies.get_key_value(id).map(|(id, _)| id),
            Account::Location(id) => self.locations.get(id).map(|location| &location.company_id),
        };
        found.ok_or_else(|| ControlError::Unknown(account.to_string()))
    }

    pub(crate) fn is_paused(&self, account: &Account) -> bool {
        match account {
            Account::Location(id) => self.locations.get(id).is_some_and(|location| location.paused),
            Account::Company(_) => false,
        }
    }

    pub(crate) fn window_ms(&self) -> i64 {
        i64::try_from(self.settings.window).unwrap_or(i64::MAX).saturating_mul(1_000)
    }

    /// The locations that the user of a company's grant approved; none for a location's grant.
    pub(crate) fn approved_locations(&self, grant: &Grant) -> Vec<String> {
        if grant.account.class() != Class::Company {
            return Vec::new();
        }
        let company = self.companies.get(grant.company_id.as_str());
        let locations = company.into_iter().flat_map(|company| &company.locations);
        locations
            .take(APPROVED_AT_MOST)
            .filter(|id| !self.grants.is_uninstalled(&Account::Location((*id).clone())))
            .map(ToString::to_string)
            .collect()
    }

    /// Form that this request's answer must have.
    pub(crate) fn style(&self, headers: &HeaderMap) -> Style {
        Style::of(&self.settings, headers)
    }

    pub(crate) fn latency_ms(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Token => self.settings.token_latency_ms,
            Endpoint::LocationToken => self.settings.location_token_latency_ms,
            Endpoint::InstalledLocations | Endpoint::Api => self.settings.api_latency_ms,
        }
    }
}

/// An answer for a company of a hundred thousand locations would be megabytes long.
const APPROVED_AT_MOST: usize = 100;
