//! The options of a client as types: they are parsed when they are set, and nothing above this file
//! asks for an option by name.

#[cfg(any(feature = "postgres", feature = "reqwest"))]
use std::path::PathBuf;
use std::time::Duration;

use url::{Origin, Url};

use crate::account::{Account, AccountKind};
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::options::OptionSet;
#[cfg(feature = "reqwest")]
use crate::secret::Secret;
use crate::store_key::StoreKey;
use crate::store_name::StoreName;
use crate::web_url::{self, Flaw};

/// The options in the form that they are used in.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Origin of the token endpoint and client id: the key of all stored data.
    pub(crate) app: String,
    /// The origins that a bearer may be sent to: those of the API and the token endpoints.
    pub(crate) origins: Vec<Origin>,
    pub(crate) authorize_url: Url,
    pub(crate) token_url: String,
    pub(crate) location_token_url: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) user_type: Option<AccountKind>,
    pub(crate) default_account: Option<Account>,
    pub(crate) store: StoreName,
    pub(crate) store_key: Option<StoreKey>,
    pub(crate) refresh_before: Duration,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    #[cfg(any(feature = "postgres", feature = "reqwest"))]
    pub(crate) connect_timeout: Duration,
    pub(crate) max_wait: Duration,
    pub(crate) max_retries: u32,
    pub(crate) token_requests_per_minute: u32,
    pub(crate) api_base: ApiBase,
    pub(crate) api_version: String,
    pub(crate) user_agent: String,
    pub(crate) max_response_bytes: usize,
    pub(crate) documented_version: bool,
    pub(crate) scope_preflight: ScopePreflight,
    /// `None`: requests are not held back.
    pub(crate) pacing: Option<Pacing>,
    /// Accounts whose headers are kept in memory. 0: as many as are used.
    pub(crate) cache_accounts: u64,
    #[cfg(any(feature = "postgres", feature = "reqwest"))]
    pub(crate) ca_file: Option<PathBuf>,
    #[cfg(feature = "reqwest")]
    pub(crate) proxy: Option<Secret>,
}

impl Settings {
    /// Takes the settings from `options`. `language` is that of the binding, for the `User-Agent`.
    pub(crate) fn read(
        options: &OptionSet,
        credential: &Credential,
        language: Option<&str>,
    ) -> Result<Self> {
        let token_url = options.url("token_url")?;
        let location_token_url = options.url("location_token_url")?;
        let api_base = options.url("api_base")?;
        let origin = token_url.origin().ascii_serialization();
        let app = match credential {
            Credential::OAuth { client_id, .. } => format!("{origin} {client_id}"),
            _ => origin,
        };
        let user_agent = options.text("user_agent")?.unwrap_or_else(|| {
            let version = env!("CARGO_PKG_VERSION");
            format!("hoopauth/{version} ({})", language.unwrap_or("rust"))
        });
        // The row's limit fits.
        let number = |name: &str| -> Result<u32> {
            options.number(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        Ok(Self {
            app,
            origins: [&api_base, &token_url, &location_token_url].map(Url::origin).into(),
            authorize_url: options.url("authorize_url")?,
            token_url: token_url.into(),
            location_token_url: location_token_url.into(),
            redirect_uri: options.text("redirect_uri")?,
            scopes: options.list("scopes")?,
            user_type: options.user_type("user_type")?,
            default_account: options.account("default_account")?,
            store: options.store()?,
            store_key: options.store_key()?,
            refresh_before: options.seconds("refresh_before")?,
            timeout: options.seconds("timeout")?,
            attempt_timeout: options.seconds("attempt_timeout")?,
            #[cfg(any(feature = "postgres", feature = "reqwest"))]
            connect_timeout: options.seconds("connect_timeout")?,
            max_wait: options.seconds("max_wait")?,
            max_retries: number("max_retries")?,
            token_requests_per_minute: number("token_requests_per_minute")?,
            api_base: ApiBase::new(&api_base),
            api_version: options.need_text("api_version")?,
            user_agent,
            max_response_bytes: options.size("max_response_bytes")?,
            documented_version: options.is_on("documented_version")?,
            scope_preflight: match options.choice("scope_preflight")? {
                Some("warn") => ScopePreflight::Warn,
                Some("refuse") => ScopePreflight::Refuse,
                _ => ScopePreflight::Off,
            },
            pacing: if options.is_on("pacing")? { Some(Pacing::read(options)?) } else { None },
            cache_accounts: match options.number("cache_accounts")? {
                0 if credential.is_static() => STATIC_ACCOUNTS,
                limit => limit,
            },
            #[cfg(any(feature = "postgres", feature = "reqwest"))]
            ca_file: options.text("ca_file")?.map(PathBuf::from),
            #[cfg(feature = "reqwest")]
            proxy: options.secret("proxy")?,
        })
    }

    /// Parses the URL of a request and checks that the bearer may be sent there. The error never
    /// shows the URL beyond its origin.
    pub(crate) fn bearer_url(&self, text: &str) -> Result<Url> {
        let url = match web_url::parse(text) {
            // Other parsers may look for a host behind `:///`, wherever it stands.
            Ok(url) if !web_url::has_user(&url) && !text.contains(":///") => url,
            Err(Flaw::NotWhole) => {
                return Err(Error::argument(
                    "the request's URL is not whole: write it as `https://host/path`",
                ));
            }
            _ => {
                return Err(Error::argument(
                    "the request's URL does not begin with `https://`, or holds a user, an escape \
                     in its host, a backslash, white space or a control character: the token is \
                     not sent there",
                ));
            }
        };
        let origin = url.origin();
        if self.origins.contains(&origin) {
            return Ok(url);
        }
        Err(Error::argument(format!(
            "the request goes to `{}`, which is none of the configured hosts, so the token is not \
             sent there: correct the URL, or set `api_base` to that host",
            origin.ascii_serialization()
        )))
    }
}

/// The option `api_base` in the form that paths are joined to.
#[derive(Debug)]
pub(crate) struct ApiBase {
    /// Origin and path, without a `/` at its end.
    prefix: String,
}

impl ApiBase {
    fn new(url: &Url) -> Self {
        Self { prefix: url.origin().ascii_serialization() + url.path().trim_end_matches('/') }
    }

    /// Origin and path, without a `/` at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the path of a whole URL below the base, from its `/` on and with the query, or
    /// `None` if the URL leads elsewhere.
    pub(crate) fn below<'u>(&self, url: &'u str) -> Option<&'u str> {
        url.strip_prefix(&self.prefix).filter(|path| path.starts_with('/'))
    }
}

/// Reaction of `request` to an operation that the grant's scopes do not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopePreflight {
    Off,
    Warn,
    Refuse,
}

/// The limits that pacing stays below. Times are milliseconds.
#[derive(Debug)]
pub(crate) struct Pacing {
    pub(crate) per_interval: usize,
    pub(crate) interval: u64,
    /// The interval and a little more, so that a slow request and a fast one do not meet in one
    /// interval of the platform.
    pub(crate) span: u64,
    pub(crate) per_day: u64,
}

impl Pacing {
    fn read(options: &OptionSet) -> Result<Self> {
        let interval = options.seconds("request_interval")?.as_millis();
        Ok(Self::new(
            options.size("requests_per_interval")?,
            u64::try_from(interval).unwrap_or(u64::MAX).max(1),
            options.number("requests_per_day")?,
        ))
    }

    pub(crate) fn new(per_interval: usize, interval: u64, per_day: u64) -> Self {
        let slack = (interval / 50).clamp(1, MOST_SLACK);
        Self { per_interval, interval, span: interval + slack, per_day }
    }
}

/// The most accounts whose headers a client with a static token keeps, unless the option says
/// another number. Such a token speaks for any name, and names that a program makes up must not
/// fill the memory.
pub(crate) const STATIC_ACCOUNTS: u64 = 4_096;
const MOST_SLACK: u64 = 200;
