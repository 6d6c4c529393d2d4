//! How a client is configured: the builder, and the options in the form they are used in.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::time::Duration;

use crate::account::{Account, AccountKind};
use crate::cache::Cache;
use crate::client::{Change, Client};
use crate::clock::{ClientClock, Clock};
use crate::context::Calls;
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::refresh::flight::Flights;
use crate::snapshot::Constants;
use crate::inner::Inner;
use crate::keys::{KeySource, LazyKeys};
use crate::limits::{Limits, Pacing};
use crate::options::OptionSet;
use crate::request::preflight::{FactsOfGrants, ScopePreflight};
use crate::refresh::Step;
use crate::request::ApiBase;
use crate::store::{HostStore, MemoryStore, RowStore, TokenStore};
#[cfg(feature = "postgres")]
use crate::store::{PostgresSettings, PostgresStore};
#[cfg(feature = "sqlite")]
use crate::store::{SqliteStore, UserStore};
use crate::store_name::StoreName;
use crate::sync::Mutex;
use crate::transport::Transport;
use crate::watch::Watch;
use crate::webhook::Installs;

/// Configures a [`Client`]. A wrong value is reported by [`build`](Self::build).
#[derive(Default)]
#[must_use]
pub struct ClientBuilder {
    options: OptionSet,
    environment: bool,
    error: Option<Error>,
    store: Option<Arc<dyn TokenStore>>,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    on_change: Option<ChangeHook>,
    step_hook: Option<StepHook>,
    language: Option<String>,
}

impl ClientBuilder {
    /// Sets an option of the table by name. The last value wins.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.options.set(name, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Lets the environment fill what is not set explicitly.
    pub fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// A store of the host's own, instead of the option `store`.
    pub fn token_store(mut self, store: Arc<dyn TokenStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Rows of the host's own, instead of the option `store`: the simplest way to bring a store.
    pub fn row_store(self, rows: Arc<dyn RowStore>) -> Self {
        self.token_store(Arc::new(HostStore::new(rows)))
    }

    /// A transport of the host's own, instead of reqwest.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// A clock of the host's own, instead of the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Calls `hook` after each change of a grant, on whatever thread made it. It must not call the
    /// client.
    pub fn on_change(mut self, hook: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Box::new(hook));
        self
    }

    #[doc(hidden)]
    pub fn step_hook(
        mut self,
        hook: impl Fn(Step, &Account) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.step_hook = Some(Box::new(hook));
        self
    }

    /// The language of a binding, for the `User-Agent`.
    #[doc(hidden)]
    pub fn language(mut self, language: &str) -> Self {
        self.language = Some(language.to_owned());
        self
    }

    /// The same options again, as [`Client::again`] gives them.
    pub(crate) fn with_options(options: OptionSet, language: Option<String>) -> Self {
        Self { options, language, ..Self::default() }
    }

    /// Checks everything and makes the client. Nothing is read or opened here, beyond a look
    /// whether paths are folders. All errors are `CONFIG` and name the option, and the variable if
    /// the value came from the environment.
    pub fn build(mut self) -> Result<Client> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.environment {
            self.options.fill_from(|name| std::env::var_os(name))?;
        }
        let options = &self.options;
        let credential = Credential::from_options(options)?;
        let settings = Settings::read(options, &credential)?;
        let user_agent = options.text("user_agent").unwrap_or_else(|| {
            format!(
                "hoopauth/{} ({})",
                env!("CARGO_PKG_VERSION"),
                self.language.as_deref().unwrap_or("rust")
            )
        });
        let own_store = self.store.is_some();
        let version = options.text("api_version").unwrap_or_default();
        let constants = Arc::new(Constants::new(&version, &user_agent));
        // A memory store of the client's own is nobody else's to change, and a static token is in
        // none.
        let shared = !credential.is_static()
            && (own_store || options.text("store").as_deref() != Some("memory:"));
        let (store, source) = match self.store.take() {
            Some(store) => (store, KeySource::parse(options.secret("store_key").as_ref())?),
            None => open_store(options, &credential)?,
        };
        let default_account = options.account("default_account")?;
        let static_name = credential.is_static().then(String::new);
        let default_name =
            default_account.as_ref().map(|account| account.as_str().to_owned()).or(static_name);
        let keys = match &credential {
            Credential::OAuth { client_secret, .. } => {
                Some(LazyKeys::new(source, client_secret.clone()))
            }
            _ => None,
        };
        let transport = match self.transport.take() {
            Some(transport) => Some(transport),
            None => default_transport(options),
        };
        // A static token speaks for any name that it is asked for: those that a program makes up
        // must not fill the memory.
        let cache = Cache::new(match options.number("cache_accounts") {
            0 if credential.is_static() => STATIC_ACCOUNTS,
            limit => limit,
        });
        Ok(Client {
            inner: Arc::new_cyclic(|me| Inner {
                me: me.clone(),
                last_success: AtomicI64::new(0),
                options: self.options,
                language: self.language.take(),
                cache,
                clock: ClientClock::new(self.clock.take(), shared),
                settings,
                credential,
                constants,
                default_name,
                default_account,
                keys,
                store,
                watch: shared.then(Watch::default),
                own_store,
                transport,
                flights: Flights::new(),
                unsaved: Mutex::new(HashMap::new()),
                unsaved_count: AtomicUsize::new(0),
                refused: Mutex::new(HashMap::new()),
                installs: Installs::default(),
                limits: Limits::default(),
                facts: FactsOfGrants::default(),
                closed: AtomicBool::new(false),
                maintainers: AtomicUsize::new(0),
                calls: Arc::new(Calls::default()),
                jobs: Arc::default(),
                process: std::process::id(),
                on_change: self.on_change.take(),
                step_hook: self.step_hook.take(),
            }),
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The options in the form they are used in.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Origin of the token endpoint and client id: what everything stored is keyed by.
    pub(crate) app: String,
    /// The origins that a bearer may be sent to: the API's and the token endpoints'.
    pub(crate) origins: Vec<url::Origin>,
    pub(crate) authorize_url: String,
    pub(crate) token_url: String,
    pub(crate) location_token_url: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) user_type: Option<AccountKind>,
    pub(crate) refresh_before: Duration,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) max_wait: Duration,
    pub(crate) max_retries: u32,
    pub(crate) token_requests_per_minute: u32,
    pub(crate) api_base: ApiBase,
    pub(crate) max_response_bytes: usize,
    pub(crate) documented_version: bool,
    pub(crate) scope_preflight: ScopePreflight,
    /// `None`: requests are not held back.
    pub(crate) pacing: Option<Pacing>,
}

impl Settings {
    fn read(options: &OptionSet, credential: &Credential) -> Result<Self> {
        let text = |name: &str| options.text(name).unwrap_or_default();
        let token_url = text("token_url");
        let origin = url::Url::parse(&token_url)
            .map_err(|_| Error::config("`token_url` is not a URL"))?
            .origin()
            .ascii_serialization();
        let app = match credential {
            Credential::OAuth { client_id, .. } => format!("{origin} {client_id}"),
            _ => origin,
        };
        let origins = ["api_base", "token_url", "location_token_url"]
            .iter()
            .filter_map(|name| url::Url::parse(&text(name)).ok())
            .map(|url| url.origin())
            .collect();
        let number = |name: &str| u32::try_from(options.number(name)).unwrap_or(u32::MAX);
        Ok(Self {
            app,
            origins,
            authorize_url: text("authorize_url"),
            token_url,
            location_token_url: text("location_token_url"),
            redirect_uri: options.text("redirect_uri"),
            scopes: options.list("scopes"),
            user_type: options.user_type(),
            refresh_before: options.seconds("refresh_before"),
            timeout: options.seconds("timeout"),
            attempt_timeout: options.seconds("attempt_timeout"),
            max_wait: options.seconds("max_wait"),
            max_retries: number("max_retries"),
            token_requests_per_minute: number("token_requests_per_minute"),
            api_base: ApiBase::read(&text("api_base"))?,
            max_response_bytes: usize::try_from(options.number("max_response_bytes"))
                .unwrap_or(usize::MAX),
            documented_version: options.boolean("documented_version"),
            scope_preflight: ScopePreflight::read(options),
            pacing: options.boolean("pacing").then(|| Pacing::read(options)),
        })
    }
}

/// Opens the store that the options name, and tells where its key comes from.
fn open_store(
    options: &OptionSet,
    credential: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    let text = options.text("store").unwrap_or_default();
    let key = options.secret("store_key");
    let source = KeySource::parse(key.as_ref())?;
    match StoreName::parse(&text).map_err(|what| Error::config(format!("`store` {what}")))? {
        StoreName::Memory => Ok((Arc::new(MemoryStore::new()), source)),
        StoreName::SqliteOfUser => open_sqlite("", key.is_some(), source, credential),
        StoreName::Sqlite(path) => open_sqlite(path, key.is_some(), source, credential),
        StoreName::Postgres(url) => open_postgres(url, options, source, credential),
    }
}

#[cfg(feature = "sqlite")]
fn open_sqlite(
    path: &str,
    has_key: bool,
    source: KeySource,
    credential: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    // A static token is never stored: no file, no key.
    if credential.is_static() {
        return Ok((Arc::new(MemoryStore::new()), source));
    }
    if path.is_empty() {
        let store = Arc::new(UserStore::of_this_user()?);
        let source = if has_key { source } else { KeySource::User(Arc::clone(&store)) };
        return Ok((store, source));
    }
    if !has_key {
        return Err(Error::config(
            "`store_key` is missing: a store at a path of your own is sealed with a key that you keep; set `store_key` \
             to a random secret of at least 16 bytes, or to `file:PATH` for a file that holds one",
        ));
    }
    // From here on it means the same file, wherever the program goes.
    let path = std::path::absolute(path).map_err(|error| {
        Error::config(format!(
            "`store`: the current folder is not known ({error}): give a whole path"
        ))
    })?;
    Ok((Arc::new(SqliteStore::new(path)), source))
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite(
    _: &str,
    _: bool,
    _: KeySource,
    _: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    Err(Error::config(
        "`store`: this build of hoopauth has no SQLite; use `memory:`, bring a store of your own, or turn the feature `sqlite` on",
    ))
}

#[cfg(feature = "postgres")]
fn open_postgres(
    url: &str,
    options: &OptionSet,
    source: KeySource,
    credential: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    let ca_file = options.text("ca_file").map(Into::into);
    let settings = PostgresSettings::parse(url, ca_file, options.seconds("connect_timeout"))?;
    // A static token is never stored: no connection, no key.
    if credential.is_static() {
        return Ok((Arc::new(MemoryStore::new()), source));
    }
    if !options.is_set("store_key") {
        return Err(Error::config(
            "`store_key` is missing: what is kept in a database is sealed with a key that you keep; set `store_key` to \
             a random secret of at least 16 bytes, or to `file:PATH` for a file that holds one",
        ));
    }
    Ok((Arc::new(PostgresStore::new(settings)), source))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(
    _: &str,
    _: &OptionSet,
    _: KeySource,
    _: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    Err(Error::config(
        "`store`: this build of hoopauth has no PostgreSQL; use `sqlite:PATH`, bring a store of your own, or turn the feature \
         `postgres` on",
    ))
}

#[cfg(feature = "reqwest")]
#[allow(clippy::unnecessary_wraps, reason = "without the feature there is none")]
fn default_transport(options: &OptionSet) -> Option<Arc<dyn Transport>> {
    use crate::transport::{ReqwestTransport, TransportSettings};

    Some(Arc::new(ReqwestTransport::new(TransportSettings {
        connect_timeout: options.seconds("connect_timeout"),
        ca_file: options.text("ca_file").map(Into::into),
        proxy: options.text("proxy"),
    })))
}

#[cfg(not(feature = "reqwest"))]
fn default_transport(_options: &OptionSet) -> Option<Arc<dyn Transport>> {
    None
}

/// The most accounts that a client with a static token keeps headers of, where the option says no
/// other number.
const STATIC_ACCOUNTS: u64 = 4_096;

pub(crate) type ChangeHook = Box<dyn Fn(&Change) + Send + Sync>;
pub(crate) type StepHook = Box<dyn Fn(Step, &Account) -> Result<()> + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::lock;

    /// A static token answers for any name; a program that makes names up must not fill the memory
    /// with them.
    #[test]
    fn a_static_client_remembers_so_many_names_and_no_more() {
        let client = Client::builder().access_token("token").build().unwrap();
        for number in 0..2 * STATIC_ACCOUNTS {
            let name = format!("location:{number}");
            assert_eq!(client.headers_for(&name, "GET").unwrap().account(), name);
        }
        assert!(client.inner.cache.len() <= usize::try_from(STATIC_ACCOUNTS).unwrap());
        let all = Client::builder().access_token("token").cache_accounts(0).build().unwrap();
        all.headers_for("location:1", "GET").unwrap();
        assert_eq!(all.inner.cache.len(), 1);
    }

    /// What there is no grant for leaves nothing behind.
    #[test]
    fn names_without_a_grant_are_not_remembered() {
        let client = Client::builder()
            .client_id("app-1")
            .client_secret("secret")
            .store("memory:")
            .build()
            .unwrap();
        for number in 0..100 {
            let name = format!("location:{number}");
            client.headers_for(&name, "GET").unwrap_err();
            client.account(&name).unwrap().headers("GET").unwrap_err();
            client.headers_within(&crate::Context::new(), &name, "GET").unwrap_err();
        }
        assert_eq!(client.inner.cache.len(), 0);
        assert!(lock(&client.inner.refused).is_empty());
    }
}
