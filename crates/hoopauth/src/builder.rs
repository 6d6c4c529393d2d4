//! The builder: it turns options and parts of the host program into a client.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::account::Account;
use crate::client::Client;
use crate::clock::{ClientClock, Clock};
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::grants::{Change, ChangeHook, GrantParts, Grants, Vault};
use crate::inner::Inner;
use crate::installs::Installs;
use crate::keys::{KeySource, LazyKeys};
use crate::options::{self, OptionSet, client_options, setters};
use crate::refresh::Refresher;
use crate::settings::Settings;
use crate::steps::{Step, StepHook, Steps};
use crate::store::{AppStore, HostStore, MemoryStore, RowStore, TokenStore};
#[cfg(feature = "postgres")]
use crate::store::{PostgresSettings, PostgresStore};
#[cfg(feature = "sqlite")]
use crate::store::{SqliteStore, UserStore};
use crate::store_key::StoreKey;
use crate::store_name::StoreName;
use crate::transport::Transport;
use crate::webhook::WEBHOOK_OPTIONS;

impl Client {
    /// Starts to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Makes a client that the environment alone configures: `HOOPAUTH_<OPTION>`, `HOOPAI_TOKEN`,
    /// `LOCATION_ID`.
    pub fn from_env() -> Result<Self> {
        Self::builder().environment().build()
    }

    /// Returns a builder with this client's options, the environment's included. A forked child
    /// makes a client of its own with it.
    ///
    /// Store, transport, clock and hooks that were given as objects are not among them.
    /// `INVALID_STATE` for OAuth with the store `memory:`: the grants in it stay with the process
    /// that has them.
    pub fn again(&self) -> Result<ClientBuilder> {
        let inner = &self.inner;
        let is_oauth = !inner.refresher.credential.is_static();
        if !inner.own_store && is_oauth && inner.settings().store == StoreName::Memory {
            return Err(Error::state(
                "a forked process can't use its parent's memory store: make the client after the \
                 fork, or use a store that processes share",
            ));
        }
        let (options, language) = (inner.options.clone(), inner.language.clone());
        Ok(ClientBuilder { options, language, ..ClientBuilder::default() })
    }
}

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
    /// Sets an option of the table by name, from text: seconds as decimals, lists separated by
    /// spaces. The last value wins.
    pub fn option(self, name: &str, value: &str) -> Self {
        self.set(|options| options.set(name, value))
    }

    fn set(mut self, set: impl FnOnce(&mut OptionSet) -> Result<()>) -> Self {
        if let Err(error) = set(&mut self.options) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Lets the environment fill the options that are not set.
    pub fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// Sets a store of the host, instead of the option `store`.
    pub fn token_store(mut self, store: Arc<dyn TokenStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets rows of the host, instead of the option `store`: the simplest way to bring a store.
    pub fn row_store(self, rows: Arc<dyn RowStore>) -> Self {
        self.token_store(Arc::new(HostStore::new(rows)))
    }

    /// Sets a transport of the host, instead of reqwest.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets a clock of the host, instead of the system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Calls `hook` after each change of a grant, on the thread that made the change. The hook must
    /// not call the client.
    pub fn on_change(mut self, hook: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Box::new(hook));
        self
    }

    pub(crate) fn step_hook(
        mut self,
        hook: impl Fn(Step, &Account) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.step_hook = Some(Box::new(hook));
        self
    }

    /// Sets the language of a binding, for the `User-Agent`.
    pub(crate) fn language(mut self, language: &str) -> Self {
        self.language = Some(language.to_owned());
        self
    }

    /// Checks everything and makes the client. Reads and opens nothing; it only checks on the disk
    /// if a path is a folder. All errors are `CONFIG` and name the option, and the variable if the
    /// value came from the environment.
    pub fn build(mut self) -> Result<Client> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.environment {
            self.options.fill_from(|name| std::env::var_os(name))?;
        }
        let options = &self.options;
        let credential = Credential::from_options(options)?;
        let settings = Settings::read(options, &credential, self.language.as_deref())?;
        let own_store = self.store.is_some();
        // Nobody else can change a memory store of the client's own, and a static token is in no
        // store.
        let is_shared =
            !credential.is_static() && (own_store || settings.store != StoreName::Memory);
        let (store, source) = match self.store.take() {
            Some(store) => (store, settings.store_key.clone().into()),
            None => open_store(&settings, &credential)?,
        };
        let static_name = credential.is_static().then(String::new);
        let default_name = settings.default_account.as_ref();
        let default_name = default_name.map(|account| account.as_str().to_owned()).or(static_name);
        let keys = match &credential {
            Credential::OAuth { client_secret, .. } => {
                Some(LazyKeys::new(source, client_secret.clone()))
            }
            _ => None,
        };
        let transport = match self.transport.take() {
            Some(transport) => Some(transport),
            None => default_transport(&settings),
        };
        let app = settings.app.clone();
        let grants = Grants::new(GrantParts {
            settings: Arc::new(settings),
            clock: ClientClock::new(self.clock.take(), is_shared),
            vault: Vault::new(app.clone(), keys),
            store: AppStore::new(store, app),
            is_shared,
            steps: Steps(self.step_hook.take()),
            on_change: self.on_change.take(),
        });
        Ok(Client {
            inner: Arc::new(Inner {
                options: self.options,
                language: self.language.take(),
                own_store,
                default_name,
                refresher: Refresher::new(grants, credential, transport),
                installs: Installs::default(),
                deliveries: OnceLock::new(),
                jobs: Arc::default(),
            }),
        })
    }
}

/// One method for each option; the last value wins.
impl ClientBuilder {
    client_options!(setters);
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Opens the store that the settings name, and tells where its key comes from.
fn open_store(
    settings: &Settings,
    credential: &Credential,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    let key = settings.store_key.clone();
    // A static token is never stored: no file, no connection, no key.
    let is_static = credential.is_static();
    match &settings.store {
        StoreName::Memory => Ok((Arc::new(MemoryStore::new()), key.into())),
        StoreName::SqliteOfUser | StoreName::Sqlite(_) if is_static => {
            Ok((Arc::new(MemoryStore::new()), key.into()))
        }
        StoreName::SqliteOfUser => open_sqlite_of_user(key),
        StoreName::Sqlite(path) => open_sqlite(path, key),
        StoreName::Postgres(url) => open_postgres(url.expose(), settings, key, is_static),
    }
}

#[cfg(feature = "sqlite")]
fn open_sqlite_of_user(key: Option<StoreKey>) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    let store = Arc::new(UserStore::of_this_user()?);
    let source = if key.is_some() { key.into() } else { KeySource::User(Arc::clone(&store)) };
    Ok((store, source))
}

#[cfg(feature = "sqlite")]
fn open_sqlite(path: &str, key: Option<StoreKey>) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    if key.is_none() {
        return Err(Error::config(
            "`store_key` is missing: a store at your own path is sealed with your own key; set \
             `store_key` to a random secret of at least 16 bytes, or to `file:PATH` for a file \
             that holds one",
        ));
    }
    // From here on it means the same file, wherever the program goes.
    let path = std::path::absolute(path).map_err(|error| {
        Error::config(format!(
            "`store`: the current folder is not known ({error}): give a whole path"
        ))
    })?;
    Ok((Arc::new(SqliteStore::new(path)), key.into()))
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite_of_user(key: Option<StoreKey>) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    open_sqlite("", key)
}

#[cfg(not(feature = "sqlite"))]
fn open_sqlite(_: &str, _: Option<StoreKey>) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    Err(Error::config(
        "`store`: this build of hoopauth has no SQLite; use `memory:`, bring a store of your own, \
         or turn the feature `sqlite` on",
    ))
}

#[cfg(feature = "postgres")]
fn open_postgres(
    url: &str,
    settings: &Settings,
    key: Option<StoreKey>,
    is_static: bool,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    let server = PostgresSettings::parse(url, settings.ca_file.clone(), settings.connect_timeout)?;
    if is_static {
        return Ok((Arc::new(MemoryStore::new()), key.into()));
    }
    if key.is_none() {
        return Err(Error::config(
            "`store_key` is missing: a database store is sealed with your own key; set `store_key` \
             to a random secret of at least 16 bytes, or to `file:PATH` for a file that holds one",
        ));
    }
    Ok((Arc::new(PostgresStore::new(server)), key.into()))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(
    _: &str,
    _: &Settings,
    key: Option<StoreKey>,
    is_static: bool,
) -> Result<(Arc<dyn TokenStore>, KeySource)> {
    if is_static {
        return Ok((Arc::new(MemoryStore::new()), key.into()));
    }
    Err(Error::config(
        "`store`: this build of hoopauth has no PostgreSQL; use `sqlite:PATH`, bring a store of \
         your own, or turn the feature `postgres` on",
    ))
}

#[cfg(feature = "reqwest")]
#[allow(clippy::unnecessary_wraps, reason = "without the feature there is none")]
fn default_transport(settings: &Settings) -> Option<Arc<dyn Transport>> {
    use crate::transport::{ReqwestTransport, TransportSettings};

    Some(Arc::new(ReqwestTransport::new(TransportSettings {
        connect_timeout: settings.connect_timeout,
        ca_file: settings.ca_file.clone(),
        proxy: settings.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
    })))
}

#[cfg(not(feature = "reqwest"))]
fn default_transport(_: &Settings) -> Option<Arc<dyn Transport>> {
    None
}

/// Writes the documentation page of the options in Markdown; `docs/options.md` is this text.
pub fn options_page() -> String {
    options::page(WEBHOOK_OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::STATIC_ACCOUNTS;

    /// A static token answers for any name; a program that makes names up must not fill the memory
    /// with them.
    #[test]
    fn a_static_client_remembers_so_many_names_and_no_more() {
        let client = Client::builder().access_token("token").build().unwrap();
        for number in 0..2 * STATIC_ACCOUNTS {
            let name = format!("location:{number}");
            assert_eq!(client.headers_for(&name, "GET").unwrap().account(), name);
        }
        assert!(client.inner.grants().cache.len() <= usize::try_from(STATIC_ACCOUNTS).unwrap());
        let all = Client::builder().access_token("token").cache_accounts(0).build().unwrap();
        all.headers_for("location:1", "GET").unwrap();
        assert_eq!(all.inner.grants().cache.len(), 1);
    }

    /// Names without a grant leave nothing behind.
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
        assert_eq!(client.inner.grants().cache.len(), 0);
        assert!(client.inner.refresher.has_no_refused_tokens());
    }

    #[test]
    fn the_page_is_the_committed_one() {
        let committed = include_str!("../../../docs/options.md");
        assert_eq!(committed, options_page(), "run `make generate`");
    }

    /// Features do not change a default: a store that was not built in is missed when it is needed.
    #[test]
    #[cfg(not(feature = "sqlite"))]
    fn a_store_that_was_not_built_in_is_named() {
        assert!(Client::builder().access_token("token").build().is_ok());
        let oauth = || Client::builder().client_id("app-1").client_secret("secret");
        assert!(oauth().store("memory:").build().is_ok());
        for store in ["sqlite:", "sqlite:grants.db"] {
            let error = oauth().store(store).store_key("0123456789abcdef").build().unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::Config);
            assert!(error.message().contains("feature `sqlite`"), "{error}");
        }
        assert!(oauth().build().is_err());
    }

    /// A typed setter has the limits of the text, and the last value wins.
    #[test]
    fn typed_values_have_the_limits_of_texts() {
        use std::time::Duration;

        let refused = |builder: ClientBuilder, name: &str| {
            let error = builder.access_token("token").build().unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::Config);
            assert!(error.message().starts_with(&format!("`{name}`")), "{error}");
        };
        refused(Client::builder().timeout(Duration::ZERO), "timeout");
        refused(Client::builder().attempt_timeout(Duration::from_millis(9_001)), "attempt_timeout");
        refused(Client::builder().max_retries(11), "max_retries");
        refused(Client::builder().scopes(["a b"]).scopes(["a"]), "scopes");
        refused(Client::builder().scopes::<&str>([]), "scopes");
        refused(Client::builder().scope_preflight("perhaps"), "scope_preflight");
        refused(Client::builder().api_base("http://a.localhost/"), "api_base");

        let account = Account::location("a").unwrap();
        let client = Client::builder()
            .access_token("token")
            .timeout(Duration::from_millis(1_500))
            .option("timeout", "2.5")
            .max_retries(3)
            .pacing(true)
            .scopes(["a", "b", "a"])
            .user_type(crate::AccountKind::Company)
            .default_account(&account)
            .api_base("http://127.0.0.1:1/base/".to_owned())
            .build()
            .unwrap();
        let settings = client.inner.settings();
        assert_eq!(settings.timeout, Duration::from_millis(2_500));
        assert_eq!((settings.max_retries, settings.pacing.is_some()), (3, true));
        assert_eq!(settings.scopes, ["a", "b"]);
        assert_eq!(settings.user_type, Some(crate::AccountKind::Company));
        assert_eq!(settings.default_account.as_ref(), Some(&account));
        assert_eq!(settings.api_base.prefix(), "http://127.0.0.1:1/base");
    }
}
