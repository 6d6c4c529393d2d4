use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::Account;
use crate::webhook::delivery::RetryPolicy;
use crate::webhook::keys::HmacStyle;

/// Configuration that an emulator begins with.
///
/// [`Config::default`] is the fixture of the README: one app, one company with three locations, a
/// Private Integration token of each class. [`Config::empty`] has none of them. Everything can be
/// changed while the emulator runs, see [`crate::Control`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The apps. The first one is meant where a control call names none.
    pub apps: Vec<App>,
    /// The companies, each with its locations.
    pub companies: Vec<Company>,
    /// The Private Integration tokens.
    pub private_integrations: Vec<PrivateIntegration>,
    /// Settings that can be changed while the emulator runs.
    pub settings: Settings,
}

impl Config {
    /// No apps, no companies, no Private Integration tokens.
    pub fn empty() -> Self {
        Self {
            port: 0,
            apps: Vec::new(),
            companies: Vec::new(),
            private_integrations: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// Sets the port; 0 takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Adds an app.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Adds a company with its locations.
    #[must_use]
    pub fn company(mut self, company: Company) -> Self {
        self.companies.push(company);
        self
    }

    /// Adds a Private Integration token.
    #[must_use]
    pub fn private_integration(mut self, token: PrivateIntegration) -> Self {
        self.private_integrations.push(token);
        self
    }

    /// Sets the seconds in which a used refresh token still answers with the same new pair; 0 is
    /// strict.
    #[must_use]
    pub fn window(mut self, seconds: u64) -> Self {
        self.settings.window = seconds;
        self
    }

    /// Sets the lifetime of access tokens in seconds.
    #[must_use]
    pub fn lifetime(mut self, seconds: i64) -> Self {
        self.settings.lifetime = seconds;
        self
    }

    /// Changes the settings in place.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        let company = DEFAULT_LOCATION_IDS
            .iter()
            .zip(1..)
            .fold(Company::new(DEFAULT_COMPANY_ID, "Hoop Agency"), |company, (id, number)| {
                company.location(id, &format!("Hoop Location {number}"))
            });
        Self::empty()
            .app(App::new(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET))
            .company(company)
            .private_integration(PrivateIntegration::new(
                DEFAULT_COMPANY_PRIVATE_INTEGRATION,
                Account::company(DEFAULT_COMPANY_ID),
            ))
            .private_integration(PrivateIntegration::new(
                DEFAULT_LOCATION_PRIVATE_INTEGRATION,
                Account::location(DEFAULT_LOCATION_IDS[0]),
            ))
    }
}

/// An app of the marketplace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct App {
    /// `<appId>-<suffix>`.
    pub client_id: String,
    /// The secret of the token endpoint.
    pub client_secret: String,
    /// The name on the authorize page.
    #[serde(default = "unnamed_app")]
    pub name: String,
    /// The redirect URIs that are accepted, character for character; none listed accepts any.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The scopes that may be asked for; none listed accepts any.
    #[serde(default)]
    pub scopes: Vec<String>,
}

impl App {
    /// An app that accepts any redirect URI and any scope.
    pub fn new(client_id: &str, client_secret: &str) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            name: unnamed_app(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
        }
    }

    /// Sets the name on the authorize page.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Registers a redirect URI: from the first one on, only registered ones are accepted.
    #[must_use]
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Sets the scopes that may be asked for.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(ToString::to_string).collect();
        self
    }

    /// The part of the client id that webhooks and the list of installed locations name the app by.
    pub fn app_id(&self) -> &str {
        self.client_id.split_once('-').map_or(&self.client_id, |(app_id, _)| app_id)
    }

    /// Scopes that are granted when a control call names none.
    pub(crate) fn default_scopes(&self) -> String {
        if self.scopes.is_empty() { DEFAULT_SCOPES.join(" ") } else { self.scopes.join(" ") }
    }
}

/// A company (agency) and its locations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Company {
    /// The company's id.
    pub id: String,
    /// The company's name.
    pub name: String,
    /// The locations: id and name.
    pub locations: Vec<(String, String)>,
}

impl Company {
    /// A company without locations.
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.into(), name: name.into(), locations: Vec::new() }
    }

    /// Adds a location.
    #[must_use]
    pub fn location(mut self, id: &str, name: &str) -> Self {
        self.locations.push((id.into(), name.into()));
        self
    }
}

/// A Private Integration token and whom it speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrivateIntegration {
    /// `pit-` and a UUID.
    pub token: String,
    /// The one account it speaks for.
    pub account: Account,
    /// The scopes it has; none listed means all.
    pub scopes: Vec<String>,
}

impl PrivateIntegration {
    /// A token with every scope.
    pub fn new(token: &str, account: Account) -> Self {
        Self { token: token.into(), account, scopes: Vec::new() }
    }

    /// Limits the token to these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(ToString::to_string).collect();
        self
    }
}

/// Settings that can be changed while the emulator runs; the JSON of `/control/settings` has the
/// same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Seconds in which a used refresh token still answers with the same new pair; 0 is strict.
    pub window: u64,
    /// Lifetime of access tokens in seconds, by the emulator's clock.
    pub lifetime: i64,
    /// Lifetime of unused refresh tokens in seconds.
    pub refresh_lifetime: i64,
    /// Lifetime of authorization codes in seconds.
    pub code_lifetime: i64,
    /// Token requests an app may send in 60 seconds before it is answered 429; none is unlimited.
    pub token_requests_per_minute: Option<u32>,
    /// API requests of one app for one account in 10 seconds before it is answered 429; none is
    /// unlimited.
    pub api_requests_per_10_seconds: Option<u32>,
    /// API requests of one app for one account in a day before it is answered 429; none is
    /// unlimited.
    pub api_requests_per_day: Option<u32>,
    /// Spelling of the members of token answers. A request with `Version: v3` is always answered in
    /// camelCase.
    pub casing: Casing,
    /// Form of errors. A request with `Version: v3` always gets [`ErrorStyle::V3`].
    pub error_style: ErrorStyle,
    /// `true` if a minted location token comes with a refresh token.
    pub location_refresh_token: bool,
    /// The most locations that one page of the list of installed locations holds, whatever `limit`
    /// asks for.
    pub locations_per_page: usize,
    /// `true` if that list tells the number of all locations in `count`.
    pub count_locations: bool,
    /// `true` if requests without a `User-Agent`, or with Python's own, are refused as the edge
    /// refuses them.
    pub check_user_agent: bool,
    /// Length of access and refresh tokens in characters, about.
    pub token_size: usize,
    /// Real milliseconds the token endpoint waits before it looks at a request.
    pub token_latency_ms: u64,
    /// The same for the location token endpoint.
    pub location_token_latency_ms: u64,
    /// The same for everything else under the API base.
    pub api_latency_ms: u64,
    /// Members of token answers that are replaced, whatever was asked for, by their `snake_case`
    /// name as in `expires_in` (`userType`, `companyId`, `locationId`, … as they are). Unknown
    /// names are added.
    pub answer: Map<String, Value>,
    /// Members that are left out of token answers, by the same names.
    pub answer_omit: Vec<String>,
    /// Encoding of HMAC signatures of webhooks.
    pub webhook_hmac: HmacStyle,
    /// URL to which `INSTALL` and `UNINSTALL` are sent when an account is authorized or
    /// uninstalled: an `http` address of this machine. None sends nothing.
    pub webhook_url: Option<String>,
    /// Policy by which those are tried again.
    pub webhook_retry: RetryPolicy,
    /// Real milliseconds a receiver of webhooks has to answer.
    pub webhook_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 30,
            lifetime: 86_399,
            refresh_lifetime: 365 * 86_400,
            code_lifetime: 600,
            token_requests_per_minute: None,
            api_requests_per_10_seconds: Some(100),
            api_requests_per_day: Some(200_000),
            casing: Casing::Snake,
            error_style: ErrorStyle::Classic,
            location_refresh_token: true,
            locations_per_page: 100,
            count_locations: true,
            check_user_agent: true,
            token_size: 1_000,
            token_latency_ms: 0,
            location_token_latency_ms: 0,
            api_latency_ms: 0,
            answer: Map::new(),
            answer_omit: Vec::new(),
            webhook_hmac: HmacStyle::Hex,
            webhook_url: None,
            webhook_retry: RetryPolicy::Classic,
            webhook_timeout_ms: 10_000,
        }
    }
}

/// Spelling of the members of token answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// `access_token`, `expires_in`, …
    Snake,
    /// `accessToken`, `expiresIn`, … as version v3 does.
    Camel,
}

/// Form of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorStyle {
    /// `{"statusCode", "message", "traceId"}`, with the platform's exceptions.
    Classic,
    /// `{"error", "error_description", "traceId"}` at the token endpoint; the API stays classic.
    Rfc6749,
    /// `{"error": {"code", "message", "details", "resolution"}, "traceId"}`.
    V3,
}

fn unnamed_app() -> String {
    "Emulated App".into()
}

/// Client id of the default app.
pub const DEFAULT_CLIENT_ID: &str = "65f0a1b2c3d4e5f607182930-hoopdev1";
/// Client secret of the default app.
pub const DEFAULT_CLIENT_SECRET: &str = "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e";
/// Id of the default company.
pub const DEFAULT_COMPANY_ID: &str = "hoopCompany000000001";
/// Ids of the default company's locations.
pub const DEFAULT_LOCATION_IDS: [&str; 3] =
    ["hoopLocation00000001", "hoopLocation00000002", "hoopLocation00000003"];
/// Private Integration token of the default company.
pub const DEFAULT_COMPANY_PRIVATE_INTEGRATION: &str = "pit-c0000000-0000-4000-8000-000000000001";
/// Private Integration token of the first default location.
pub const DEFAULT_LOCATION_PRIVATE_INTEGRATION: &str = "pit-10ca7100-0000-4000-8000-000000000001";
/// Returns the scopes that are granted if none are named and the app lists none.
pub const DEFAULT_SCOPES: [&str; 12] = [
    "contacts.readonly",
    "contacts.write",
    "conversations.readonly",
    "conversations.write",
    "calendars.readonly",
    "calendars.write",
    "opportunities.readonly",
    "opportunities.write",
    "locations.readonly",
    "companies.readonly",
    "oauth.readonly",
    "oauth.write",
];
