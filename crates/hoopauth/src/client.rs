//! The front door: the client and its builder.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::account::{Account, AccountKind};
use crate::authorize::{AuthorizationRequest, AuthorizeDefaults, PendingAuthorization, Redirect};
use crate::cache::{Cache, Moment, Slot, Snapshot};
use crate::callback::{calling, refuse_reentry};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::flight::Flights;
use crate::grant::Grant;
use crate::headers::{Constants, Headers};
use crate::options::OptionSet;
use crate::refresh::{Need, Step, no_grant};
use crate::report::{Meaning, Report, classify};
use crate::secret::Secret;
use crate::store::seal::{FINGERPRINT_LABEL, Fingerprinter, GRANT_LABEL, KeyRing, PENDING_LABEL};
use crate::store::{Fingerprint, Key, MemoryStore, NewRecord, Priority, Record, TokenStore};
use crate::sync::{Mutex, lock};
use crate::token_endpoint::{FailureClass, TokenEndpoint};
use crate::transport::Transport;

/// Authenticates a program's requests to HoopAI: any number of accounts with one credential.
///
/// Cloning is cheap and shares everything; any thread may call any method at any time. Getting headers of an account whose
/// token is fresh takes no lock, allocates nothing and does no I/O. When a refresh is due, the caller's own thread does it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Starts to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client configured by the environment alone: `HOOPAUTH_<OPTION>`, `HOOPAI_TOKEN`, `LOCATION_ID`.
    pub fn from_env() -> Result<Self> {
        Self::builder().environment().build()
    }

    /// The headers for a request of the default account. The method's case does not matter.
    #[inline]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        match &self.inner.default_name {
            Some(name) => self.headers_for(name, method),
            None => Err(Error::config("no account is named and `default_account` is not set")),
        }
    }

    /// The headers for a request of `account` (`location:<id>` or `company:<id>`).
    ///
    /// Errors: `NO_GRANT`, `REAUTHORIZATION_REQUIRED` and what a refresh can meet.
    #[inline]
    pub fn headers_for(&self, account: &str, method: &str) -> Result<Headers> {
        if let Some(snapshot) = self.inner.cache.fresh(account, &*self.inner.clock) {
            return Ok(Headers::new(snapshot, method));
        }
        self.inner.slow(account).map(|snapshot| Headers::new(snapshot, method))
    }

    /// A handle of one account: its headers without looking the account up again.
    pub fn account(&self, account: &str) -> Result<AccountHandle> {
        let account = Account::parse(account)?;
        self.inner.check_static_account(account.as_str())?;
        let slot = self.inner.cache.slot(&account);
        Ok(AccountHandle { inner: Arc::clone(&self.inner), account, slot })
    }

    /// Starts an authorization: set what differs from the options, then [`begin`](Self::begin) it.
    pub fn authorization_request(&self) -> Result<AuthorizationRequest> {
        let (client_id, _) = self.inner.oauth()?;
        let settings = &self.inner.settings;
        Ok(AuthorizationRequest::new(AuthorizeDefaults {
            authorize_url: settings.authorize_url.clone(),
            client_id: client_id.to_owned(),
            redirect_uri: settings.redirect_uri.clone(),
            scopes: settings.scopes.clone(),
        }))
    }

    /// Makes the URL to send the user to, and what must be kept until the user comes back (at most 10 minutes).
    pub fn begin(&self, request: AuthorizationRequest) -> Result<PendingAuthorization> {
        self.inner.check_open()?;
        request.build(self.inner.clock.now())
    }

    /// Seals a pending authorization as text, for a cookie or another process of the same app.
    pub fn seal_pending(&self, pending: &PendingAuthorization) -> Result<String> {
        pending.seal(self.inner.pending_ring()?, &self.inner.settings.app)
    }

    /// Opens what [`seal_pending`](Self::seal_pending) made. `STATE_MISMATCH` if it was made by another app or changed.
    pub fn open_pending(&self, sealed: &str) -> Result<PendingAuthorization> {
        PendingAuthorization::open(sealed, self.inner.pending_ring()?, &self.inner.settings.app)
    }

    /// Completes an authorization with the redirect the user came back by: the whole URL, or its query.
    ///
    /// Checks `state` (once only), exchanges the code and stores the grant. Answers whose it is.
    /// Errors: `STATE_MISMATCH`, `AUTHORIZATION_DENIED`, `WRONG_TOKEN_CLASS`, and those of the token endpoint.
    pub fn complete(&self, pending: &PendingAuthorization, redirect: &str) -> Result<Account> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.oauth()?;
        let redirect = Redirect::read(redirect)?;
        let now = inner.clock.now();
        let code = redirect.check(pending, now)?;
        let id = inner.fingerprinter()?.of("state", pending.state().expose());
        let until = pending.expires_at().plus(Duration::from_secs(60));
        if !calling(|| inner.store.claim(&inner.settings.app, &id, until, now))? {
            return Err(Error::new(
                ErrorCode::StateMismatch,
                "this redirect was used already: a reload shows it again; begin a new authorization if none succeeded",
            ));
        }
        let result = inner.exchange(code, Some(pending.redirect_uri()), pending.verifier(), None);
        if let Err((_, FailureClass::Untouched)) = &result {
            // The code was not looked at: the same redirect may be tried again.
            if let Err(error) = calling(|| inner.store.unclaim(&inner.settings.app, &id)) {
                tracing::warn!(%error, "a claimed state could not be released");
            }
        }
        result.map_err(|(error, _)| error)
    }

    /// Completes an installation that began on the marketplace page and so carries no `state`.
    ///
    /// Without `state` anybody can make a user's browser bring a code of a foreign account; so the caller says for which
    /// account the code must be, and anything else is `WRONG_ACCOUNT` and not stored.
    pub fn complete_unsolicited(&self, code: &str, expected: &Account) -> Result<Account> {
        self.inner.check_open()?;
        if code.is_empty() || code.len() > 4096 || !code.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::argument("a code is 1 to 4096 printable ASCII characters"));
        }
        let redirect_uri = self.inner.settings.redirect_uri.as_deref();
        self.inner
            .exchange(&Secret::new(code), redirect_uri, None, Some(expected))
            .map_err(|(error, _)| error)
    }

    /// Mints a location's grant from its company's, and stores it.
    pub fn mint(&self, location: &Account, company: &Account) -> Result<()> {
        self.inner.check_open()?;
        if location.kind() != AccountKind::Location || company.kind() != AccountKind::Company {
            return Err(Error::argument(
                "a location's grant is minted from a company's: give `location:<id>`, `company:<id>`",
            ));
        }
        let answer = self.inner.mint_answer(company, location, self.inner.settings.attempt_timeout)?;
        let mut grant = answer.into_grant(location, None, self.inner.clock.now(), true);
        grant.company_id = Some(company.id().to_owned());
        self.inner.adopt(grant);
        Ok(())
    }

    /// Imports a grant from elsewhere.
    ///
    /// A grant whose refresh token this account was ever imported or refreshed with changes nothing, so that an app may import
    /// its seed at every start. Another live grant is kept unless `replace` is said.
    pub fn import(&self, mut grant: Grant, replace: bool) -> Result<Import> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.oauth()?;
        grant.validate()?;
        let now = inner.clock.now();
        grant.obtained_at = now;
        grant.authorized_at = now;
        let account = grant.account.clone();
        let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
        let fingerprint = inner.fingerprint(&account, token.expose());
        for _ in 0..SAVE_TRIES {
            let record = inner.load(&account)?;
            let (expected, seen, live) = record.map_or((0, vec![], false), |record| {
                (record.generation, record.seen, record.grant.is_some())
            });
            if seen.contains(&fingerprint) {
                return Ok(Import::Known);
            }
            if live && !replace {
                return Ok(Import::Kept);
            }
            let new = inner.new_record(&grant, &seen, Some(fingerprint))?;
            if calling(|| inner.store.save(&inner.key(&account), expected, &new))? {
                inner.forget_unsaved(&account);
                inner.cache.publish(inner.snapshot_of(&grant, expected + 1));
                inner.changed(&account, expected + 1, ChangeKind::Saved);
                return Ok(Import::Imported);
            }
        }
        Err(busy(&account))
    }

    /// The stored grant of an account, tokens included, for moving it elsewhere.
    pub fn export(&self, account: &Account) -> Result<Grant> {
        self.inner.check_open()?;
        if let Some((grant, _)) = self.inner.unsaved_grant(account) {
            return Ok(grant);
        }
        let record = self.inner.load(account)?;
        self.inner.open_live(account, record).map(|(_, grant)| grant)
    }

    /// The accounts that have a grant, sorted.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.inner.check_open()?;
        let mut accounts = calling(|| self.inner.store.accounts(&self.inner.settings.app))?;
        accounts.sort();
        Ok(accounts)
    }

    /// Removes an account's grant and leaves a tombstone; whether there was one.
    pub fn remove(&self, account: &Account) -> Result<bool> {
        let inner = &self.inner;
        inner.check_open()?;
        for _ in 0..SAVE_TRIES {
            let record = inner.load(account)?;
            let Some(record) = record.filter(|record| record.grant.is_some()) else {
                inner.forget_unsaved(account);
                inner.cache.forget(account.as_str());
                return Ok(false);
            };
            let tombstone = NewRecord { grant: None, expires_at: Timestamp(0), seen: record.seen };
            if calling(|| inner.store.save(&inner.key(account), record.generation, &tombstone))? {
                inner.forget_unsaved(account);
                inner.cache.forget(account.as_str());
                inner.changed(account, record.generation + 1, ChangeKind::Removed);
                return Ok(true);
            }
        }
        Err(busy(account))
    }

    /// How an account's grant stands.
    pub fn health(&self, account: &Account) -> Result<Health> {
        let inner = &self.inner;
        inner.check_open()?;
        let unsaved = inner.unsaved_grant(account);
        let is_unsaved = unsaved.is_some();
        let unsaved_error = lock(&inner.unsaved).get(account).map(|held| held.error.clone());
        let record = match inner.load(account) {
            Ok(record) => record,
            Err(error) if !is_unsaved => return Err(error),
            Err(_) => None,
        };
        let back_off = record.as_ref().and_then(|record| record.back_off.clone());
        let grant = match unsaved {
            Some((grant, _)) => grant,
            None => inner.open_live(account, record)?.1,
        };
        let now = inner.clock.now();
        let idle_ends = grant.obtained_at.plus(REFRESH_TOKEN_LIFE);
        Ok(Health {
            expires_at: grant.trusted_expiry(now),
            refreshed_at: grant.obtained_at,
            authorized_at: grant.authorized_at,
            last_error: unsaved_error
                .map(|error| error.message().to_owned())
                .or(back_off.as_ref().map(|b| b.message.clone())),
            needs_reauthorization: back_off.is_some_and(|back_off| back_off.refused),
            unsaved: is_unsaved,
            idle_days_left: grant.refresh_token.as_ref().map(|_| idle_ends.since(now).as_secs() / 86_400),
            scopes: grant.scopes,
        })
    }

    /// Tells what came back for a request that was sent with `headers`.
    ///
    /// A 401 that a refresh can cure is cured, once, and answered with [`Report::Repeat`]; what a refresh can't cure is a typed
    /// error; what is no matter of authentication is [`Report::Pass`]. `answer_headers` are those of the answer; of its body
    /// the first kilobytes are enough.
    pub fn report(
        &self,
        headers: &Headers,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        self.inner.check_open()?;
        let snapshot = headers.snapshot();
        let account = Account::parse(snapshot.name()).ok();
        let error = match classify(account.as_ref(), status, answer_headers, body) {
            Meaning::Pass => return Ok(Report::Pass),
            Meaning::Final(error) => return Err(error),
            Meaning::PrivateIntegration(error) | Meaning::Refreshable(error) => error,
        };
        let refused = match (&self.inner.credential, account) {
            (Credential::OAuth { .. }, Some(account)) => account,
            (Credential::PrivateIntegration { .. }, _) => {
                let error = Error::new(
                    ErrorCode::InvalidPrivateIntegration,
                    "the Private Integration token is refused: copy the current one from the settings",
                )
                .with_status(status)
                .with_server_message(error.server_message())
                .with_trace_id(error.trace_id());
                return Err(error);
            }
            _ => return Err(error),
        };
        let snapshot = self.inner.replace_refused(&refused, snapshot, &error)?;
        let repeat = Headers::new(snapshot, if headers.content_type().is_some() { "POST" } else { "GET" });
        let same_version = headers.version() == repeat.version();
        Ok(Report::Repeat(if same_version { repeat } else { repeat.with_version(headers.version())? }))
    }

    /// Saves what is unsaved and ends this client and its clones; later calls are `INVALID_STATE`.
    pub fn close(&self) -> Result<()> {
        if self.inner.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.cache.clear();
        self.inner.save_all_unsaved()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("app", &self.inner.settings.app).finish_non_exhaustive()
    }
}

/// One account of a client, looked up once. Cloning is cheap.
#[derive(Clone)]
pub struct AccountHandle {
    inner: Arc<Inner>,
    account: Account,
    slot: Arc<Slot>,
}

impl AccountHandle {
    /// The headers for a request of this account.
    #[inline]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        let guard = self.slot.load();
        if let Some(snapshot) = &*guard
            && snapshot.is_fresh(&*self.inner.clock)
        {
            return Ok(Headers::new(Arc::clone(snapshot), method));
        }
        drop(guard);
        self.inner.slow(self.account.as_str()).map(|snapshot| Headers::new(snapshot, method))
    }

    /// Whose handle it is.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountHandle").field(&self.account).finish()
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Import {
    /// The grant is stored.
    Imported,
    /// This refresh token was seen before: nothing changed.
    Known,
    /// Another live grant is there and was kept.
    Kept,
}

/// How an account's grant stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// When the access token ends.
    pub expires_at: Timestamp,
    /// When the token pair was received.
    pub refreshed_at: Timestamp,
    /// When the user authorized it.
    pub authorized_at: Timestamp,
    /// The last failure since then.
    pub last_error: Option<String>,
    /// Whether the platform refused the refresh token and only the user can help.
    pub needs_reauthorization: bool,
    /// Whether the current pair is held in memory because the store failed.
    pub unsaved: bool,
    /// Days until an unused refresh token ends (it lives one year); `None` without a refresh token.
    pub idle_days_left: Option<u64>,
    /// The scopes.
    pub scopes: Vec<String>,
}

/// Something happened to an account's grant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Whose grant.
    pub account: Account,
    /// The stored generation it is about.
    pub generation: u64,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new authorization or import was stored.
    Saved,
    /// The tokens were refreshed or minted.
    Refreshed,
    /// A new pair could not be saved and is held in memory.
    Unsaved,
    /// The grant was removed.
    Removed,
    /// The platform refused the grant for good.
    Refused,
}

type ChangeHook = Box<dyn Fn(&Change) + Send + Sync>;
type StepHook = Box<dyn Fn(Step, &Account) -> Result<()> + Send + Sync>;

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
    language: Option<&'static str>,
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

    /// Calls `hook` after each change of a grant, on whatever thread made it. It must not call the client.
    pub fn on_change(mut self, hook: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Box::new(hook));
        self
    }

    #[doc(hidden)]
    pub fn step_hook(mut self, hook: impl Fn(Step, &Account) -> Result<()> + Send + Sync + 'static) -> Self {
        self.step_hook = Some(Box::new(hook));
        self
    }

    /// The language of a binding, for the `User-Agent`.
    #[doc(hidden)]
    pub fn language(mut self, language: &'static str) -> Self {
        self.language = Some(language);
        self
    }

    /// Checks everything and makes the client. No I/O happens here; all errors are `CONFIG` and name the option.
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
        let constants = Arc::new(Constants {
            version: options.text("api_version").unwrap_or_default(),
            user_agent: options.text("user_agent").unwrap_or_else(|| {
                format!("hoopauth/{} ({})", env!("CARGO_PKG_VERSION"), self.language.unwrap_or("rust"))
            }),
        });
        let store = match self.store.take() {
            Some(store) => store,
            None => open_store(&options.text("store").unwrap_or_default())?,
        };
        let default_account = options.account("default_account")?;
        let static_name = credential.static_token().map(|_| String::new());
        let default_name =
            default_account.as_ref().map(|account| account.as_str().to_owned()).or(static_name);
        let keys = Keys::derive(options, &credential)?;
        let transport = match self.transport.take() {
            Some(transport) => Some(transport),
            None => default_transport(options),
        };
        Ok(Client {
            inner: Arc::new(Inner {
                cache: Cache::new(options.number("cache_accounts")),
                clock: self.clock.take().unwrap_or_else(|| Arc::new(SystemClock)),
                settings,
                credential,
                constants,
                default_name,
                default_account,
                keys,
                store,
                transport,
                flights: Flights::new(),
                unsaved: Mutex::new(HashMap::new()),
                unsaved_count: AtomicUsize::new(0),
                refused: Mutex::new(HashMap::new()),
                closed: AtomicBool::new(false),
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

/// What all parts of a client share.
pub(crate) struct Inner {
    pub(crate) cache: Cache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) credential: Credential,
    pub(crate) constants: Arc<Constants>,
    default_name: Option<String>,
    default_account: Option<Account>,
    keys: Option<Keys>,
    pub(crate) store: Arc<dyn TokenStore>,
    transport: Option<Arc<dyn Transport>>,
    pub(crate) flights: Flights<Arc<Snapshot>>,
    unsaved: Mutex<HashMap<Account, Unsaved>>,
    unsaved_count: AtomicUsize,
    refused: Mutex<HashMap<Account, Refused>>,
    closed: AtomicBool,
    process: u32,
    on_change: Option<ChangeHook>,
    step_hook: Option<StepHook>,
}

/// A good answer that the store did not take.
struct Unsaved {
    grant: Grant,
    /// The generation it replaces; `None`: whatever is there (a new authorization).
    expected: Option<u64>,
    error: Error,
}

/// The last token that the API refused.
struct Refused {
    snapshot: Arc<Snapshot>,
    at: u64,
    in_a_row: u32,
}

impl Inner {
    /// Everything but a fresh snapshot.
    #[cold]
    fn slow(&self, name: &str) -> Result<Arc<Snapshot>> {
        self.check_open()?;
        if let Some(token) = self.credential.static_token() {
            self.check_static_account(name)?;
            let snapshot = Arc::new(Snapshot::new(name, token.expose(), Arc::clone(&self.constants), 0));
            self.cache.publish(Arc::clone(&snapshot));
            return Ok(snapshot);
        }
        if self.process != std::process::id() {
            return Err(Error::state(
                "the process was forked since the client was made: make a client of its own in the child",
            ));
        }
        self.obtain(&Account::parse(name)?)
    }

    /// A snapshot of another account, for use within a refresh.
    pub(crate) fn serve(&self, account: &Account) -> Result<Arc<Snapshot>> {
        match self.cache.fresh(account.as_str(), &*self.clock) {
            Some(snapshot) => Ok(snapshot),
            None => self.obtain(account),
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::state("the client is closed: make a new one"));
        }
        refuse_reentry()
    }

    /// A static token speaks for one account; if the program said which, no other may be asked for.
    fn check_static_account(&self, name: &str) -> Result<()> {
        if self.credential.static_token().is_none() || name.is_empty() {
            return Ok(());
        }
        let account = Account::parse(name)?;
        match &self.default_account {
            Some(own) if *own != account => Err(Error::new(
                ErrorCode::WrongAccount,
                "the static token speaks for `default_account` only: use OAuth to serve several accounts",
            )
            .with_account(&account)),
            _ => Ok(()),
        }
    }

    fn oauth(&self) -> Result<(&str, &Secret)> {
        match &self.credential {
            Credential::OAuth { client_id, client_secret } => Ok((client_id, client_secret)),
            _ => Err(Error::state(
                "this needs OAuth: the client has a static token; set `client_id` and `client_secret`",
            )),
        }
    }

    fn keys(&self) -> Result<&Keys> {
        self.keys
            .as_ref()
            .ok_or_else(|| Error::state("this needs OAuth: set `client_id` and `client_secret`"))
    }

    fn pending_ring(&self) -> Result<&KeyRing> {
        self.keys().map(|keys| &keys.pending)
    }

    fn fingerprinter(&self) -> Result<&Fingerprinter> {
        self.keys().map(|keys| &keys.fingerprint)
    }

    pub(crate) fn token_endpoint(&self) -> Result<TokenEndpoint<'_>> {
        let (client_id, client_secret) = self.oauth()?;
        let transport = self.transport.as_deref().ok_or_else(|| {
            Error::config("no transport: enable the feature `reqwest` or give the builder a transport")
        })?;
        Ok(TokenEndpoint {
            transport,
            token_url: &self.settings.token_url,
            location_token_url: &self.settings.location_token_url,
            client_id,
            client_secret,
            constants: &self.constants,
        })
    }

    pub(crate) fn key<'a>(&'a self, account: &'a Account) -> Key<'a> {
        Key { app: &self.settings.app, account }
    }

    pub(crate) fn fingerprint(&self, account: &Account, token: &str) -> Fingerprint {
        self.keys
            .as_ref()
            .map_or_else(Fingerprint::default, |keys| keys.fingerprint.of(account.as_str(), token))
    }

    pub(crate) fn step(&self, step: Step, account: &Account) -> Result<()> {
        self.step_hook.as_ref().map_or(Ok(()), |hook| hook(step, account))
    }

    pub(crate) fn changed(&self, account: &Account, generation: u64, kind: ChangeKind) {
        tracing::debug!(%account, generation, ?kind, "the grant changed");
        if let Some(hook) = &self.on_change {
            let change = Change { account: account.clone(), generation, kind };
            calling(|| hook(&change));
        }
    }

    pub(crate) fn load(&self, account: &Account) -> Result<Option<Record>> {
        calling(|| self.store.load(&self.key(account), self.clock.now()))
    }

    /// Opens the grant of a record; `NO_GRANT` for none and for a tombstone.
    pub(crate) fn open_live(&self, account: &Account, record: Option<Record>) -> Result<(Record, Grant)> {
        let mut record = record.ok_or_else(|| no_grant(account))?;
        let bytes = record.grant.take().ok_or_else(|| no_grant(account))?;
        let bytes = zeroize::Zeroizing::new(bytes);
        let grant = match self.keys.as_ref().and_then(|keys| keys.grants.as_ref()) {
            Some(ring) => {
                let plain = ring
                    .open(&[self.settings.app.as_bytes(), account.as_str().as_bytes()], &bytes)
                    .map_err(|error| error.with_account(account))?;
                Grant::from_bytes(account, &plain)?
            }
            None => Grant::from_bytes(account, &bytes)?,
        };
        Ok((record, grant))
    }

    /// Makes what is stored of a grant. `spent` is a refresh token's fingerprint to be remembered beside the new one's.
    pub(crate) fn new_record(
        &self,
        grant: &Grant,
        seen: &[Fingerprint],
        spent: Option<Fingerprint>,
    ) -> Result<NewRecord> {
        let plain = grant.to_bytes()?;
        let bytes = match self.keys.as_ref().and_then(|keys| keys.grants.as_ref()) {
            Some(ring) => {
                ring.seal(&[self.settings.app.as_bytes(), grant.account.as_str().as_bytes()], &plain)?
            }
            None => plain.to_vec(),
        };
        let mut seen = seen.to_vec();
        let now = grant.refresh_token.as_ref().map(|token| self.fingerprint(&grant.account, token.expose()));
        for fingerprint in spent.into_iter().chain(now) {
            if !seen.contains(&fingerprint) {
                seen.push(fingerprint);
            }
        }
        // The seed that an app imports at every start is the first: it must never be forgotten.
        while seen.len() > MOST_SEEN {
            seen.remove(KEPT_SEEDS);
        }
        Ok(NewRecord { grant: Some(bytes), expires_at: grant.expires_at, seen })
    }

    /// Exchanges a code and stores the grant.
    fn exchange(
        &self,
        code: &Secret,
        redirect_uri: Option<&str>,
        verifier: Option<&Secret>,
        expected: Option<&Account>,
    ) -> std::result::Result<Account, (Error, FailureClass)> {
        let untouched = |error: Error| (error, FailureClass::Untouched);
        let asked = expected.map(Account::kind).or(self.settings.user_type);
        let mut tries = 0;
        let answer = loop {
            self.take_slot(Priority::Normal).map_err(untouched)?;
            let endpoint = self.token_endpoint().map_err(untouched)?;
            match endpoint.exchange(code, redirect_uri, verifier, asked, self.settings.attempt_timeout) {
                Ok(answer) => break answer,
                // A code is good for one use: only what surely never arrived is sent again.
                Err(failure)
                    if failure.class == FailureClass::Untouched
                        && failure.error.code() == ErrorCode::Network
                        && tries < self.settings.max_retries =>
                {
                    tries += 1;
                }
                Err(failure) => {
                    let class =
                        if failure.error.is_retryable() { failure.class } else { FailureClass::Unknown };
                    return Err((failure.error, class));
                }
            }
        };
        let stored = || -> Result<Account> {
            let account = answer.account(asked)?;
            if let Some(kind) = asked
                && kind != account.kind()
            {
                return Err(Error::new(
                    ErrorCode::WrongTokenClass,
                    format!(
                        "the user authorized a {} where a {kind} was asked for; nothing was stored: authorize again and choose a {kind}",
                        account.kind()
                    ),
                ));
            }
            if let Some(expected) = expected {
                answer.check(expected)?;
            }
            let grant = answer.into_grant(&account, None, self.clock.now(), false);
            self.adopt(grant);
            Ok(account)
        };
        stored().map_err(|error| (error, FailureClass::Unknown))
    }

    /// Stores a new authorization over whatever is there; if the store fails it is held in memory.
    fn adopt(&self, grant: Grant) {
        let account = grant.account.clone();
        match self.save_over(&grant) {
            Ok(generation) => {
                self.forget_unsaved(&account);
                lock(&self.refused).remove(&account);
                self.cache.publish(self.snapshot_of(&grant, generation));
                self.changed(&account, generation, ChangeKind::Saved);
            }
            Err(error) => {
                tracing::error!(%account, %error, "the new grant could not be saved; it is held in memory and saved at the next call");
                self.hold(grant, None, error);
            }
        }
    }

    fn save_over(&self, grant: &Grant) -> Result<u64> {
        for _ in 0..SAVE_TRIES {
            let (expected, seen) =
                self.load(&grant.account)?.map_or((0, vec![]), |record| (record.generation, record.seen));
            let new = self.new_record(grant, &seen, None)?;
            if calling(|| self.store.save(&self.key(&grant.account), expected, &new))? {
                return Ok(expected + 1);
            }
        }
        Err(busy(&grant.account))
    }

    /// Keeps a refreshed pair that could not be saved.
    pub(crate) fn hold_unsaved(&self, grant: Grant, expected: u64, error: Error) -> Arc<Snapshot> {
        self.hold(grant, Some(expected), error)
    }

    fn hold(&self, grant: Grant, expected: Option<u64>, error: Error) -> Arc<Snapshot> {
        let account = grant.account.clone();
        let snapshot = self.held_snapshot(&grant, expected);
        let mut unsaved = lock(&self.unsaved);
        unsaved.insert(account.clone(), Unsaved { grant, expected, error });
        self.unsaved_count.store(unsaved.len(), Ordering::SeqCst);
        drop(unsaved);
        self.cache.publish(Arc::clone(&snapshot));
        self.changed(&account, expected.unwrap_or(0), ChangeKind::Unsaved);
        snapshot
    }

    /// Never fresh, so that each call comes by and tries to save it.
    fn held_snapshot(&self, grant: &Grant, expected: Option<u64>) -> Arc<Snapshot> {
        Arc::new(self.snapshot_of(grant, expected.unwrap_or(0) + 1).with_soft(Moment::PAST))
    }

    pub(crate) fn is_unsaved(&self, account: &Account) -> bool {
        self.unsaved_count.load(Ordering::SeqCst) > 0 && lock(&self.unsaved).contains_key(account)
    }

    pub(crate) fn unsaved_grant(&self, account: &Account) -> Option<(Grant, Option<u64>)> {
        if self.unsaved_count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        lock(&self.unsaved).get(account).map(|held| (held.grant.clone(), held.expected))
    }

    pub(crate) fn unsaved_snapshot(&self, account: &Account) -> Option<Arc<Snapshot>> {
        let (grant, expected) = self.unsaved_grant(account)?;
        let snapshot = self.held_snapshot(&grant, expected);
        self.cache.publish(Arc::clone(&snapshot));
        Some(snapshot)
    }

    pub(crate) fn forget_unsaved(&self, account: &Account) {
        let mut unsaved = lock(&self.unsaved);
        unsaved.remove(account);
        self.unsaved_count.store(unsaved.len(), Ordering::SeqCst);
    }

    /// Tries to save what is held of an account; whether nothing is held any more.
    pub(crate) fn save_unsaved(&self, account: &Account) -> bool {
        let Some((grant, expected)) = self.unsaved_grant(account) else { return true };
        let saved = match expected {
            None => self.save_over(&grant).map(Some),
            Some(expected) => self.load(account).and_then(|record| {
                let seen = record.map_or_else(Vec::new, |record| record.seen);
                let new = self.new_record(&grant, &seen, None)?;
                let saved = calling(|| self.store.save(&self.key(account), expected, &new))?;
                Ok(saved.then_some(expected + 1))
            }),
        };
        match saved {
            Ok(generation) => {
                self.forget_unsaved(account);
                match generation {
                    Some(generation) => {
                        self.cache.publish(self.snapshot_of(&grant, generation));
                        self.changed(account, generation, ChangeKind::Saved);
                    }
                    // Someone stored something newer meanwhile: that is right.
                    None => self.cache.forget(account.as_str()),
                }
                true
            }
            Err(error) => {
                tracing::warn!(%account, %error, "the held grant could not be saved yet");
                if let Some(held) = lock(&self.unsaved).get_mut(account) {
                    held.error = error;
                }
                false
            }
        }
    }

    fn save_all_unsaved(&self) -> Result<()> {
        let accounts: Vec<_> = lock(&self.unsaved).keys().cloned().collect();
        let mut result = Ok(());
        for account in accounts {
            if !self.save_unsaved(&account)
                && let Some(held) = lock(&self.unsaved).get(&account)
            {
                result = Err(held.error.clone().with_account(&account));
            }
        }
        self.cache.clear();
        result
    }

    pub(crate) fn is_refused(&self, snapshot: &Snapshot) -> bool {
        let Ok(account) = Account::parse(snapshot.name()) else { return false };
        lock(&self.refused).get(&account).is_some_and(|refused| refused.snapshot.same_token(snapshot))
    }

    pub(crate) fn refused_again(account: &Account) -> Error {
        Error::new(
            ErrorCode::HttpStatus,
            "the API refuses token after token of this account; wait, and check that the app is still installed",
        )
        .with_status(401)
        .with_retry_after(REFUSED_SPAN)
        .with_account(account)
    }

    /// After a refreshable 401: another token than the refused one.
    fn replace_refused(
        &self,
        account: &Account,
        reported: &Snapshot,
        error: &Error,
    ) -> Result<Arc<Snapshot>> {
        let current = match self.cache.get(account.as_str()) {
            Some(current) => current,
            None => self.read_in(account)?,
        };
        if !current.same_token(reported) && !self.is_refused(&current) && !current.is_hard(&*self.clock) {
            return Ok(current);
        }
        let refused = Arc::new(reported.with_soft(Moment::PAST));
        let now = self.clock.monotonic();
        {
            let mut map = lock(&self.refused);
            let before = map
                .get(account)
                .filter(|before| Duration::from_millis(now.saturating_sub(before.at)) < REFUSED_SPAN);
            let in_a_row = match before {
                Some(before) if before.snapshot.same_token(reported) => before.in_a_row,
                Some(before) => before.in_a_row + 1,
                None => 1,
            };
            if in_a_row > REFUSED_IN_A_ROW {
                drop(map);
                return Err(Self::refused_again(account).with_server_message(error.server_message()));
            }
            map.insert(account.clone(), Refused { snapshot: Arc::clone(&refused), at: now, in_a_row });
        }
        if current.same_token(reported) {
            self.cache.publish(Arc::clone(&refused));
        }
        let snapshot = self.refresh_waiting(account, &Need::Refused(refused))?;
        if snapshot.same_token(reported) {
            return Err(Self::refused_again(account));
        }
        Ok(snapshot)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not in a forked child: what is held there is the parent's.
        if self.unsaved_count.load(Ordering::SeqCst) > 0
            && self.process == std::process::id()
            && let Err(error) = self.save_all_unsaved()
        {
            tracing::error!(%error, "a grant could not be saved before the client ended");
        }
    }
}

/// The options in the form they are used in.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Origin of the token endpoint and client id: what everything stored is keyed by.
    pub(crate) app: String,
    authorize_url: String,
    pub(crate) token_url: String,
    pub(crate) location_token_url: String,
    redirect_uri: Option<String>,
    scopes: Vec<String>,
    user_type: Option<AccountKind>,
    pub(crate) refresh_before: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) max_wait: Duration,
    pub(crate) max_retries: u32,
    pub(crate) token_requests_per_minute: u32,
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
        let number = |name: &str| u32::try_from(options.number(name)).unwrap_or(u32::MAX);
        Ok(Self {
            app,
            authorize_url: text("authorize_url"),
            token_url,
            location_token_url: text("location_token_url"),
            redirect_uri: options.text("redirect_uri"),
            scopes: options.list("scopes"),
            user_type: options.user_type(),
            refresh_before: options.seconds("refresh_before"),
            attempt_timeout: options.seconds("attempt_timeout").min(options.seconds("timeout")),
            max_wait: options.seconds("max_wait"),
            max_retries: number("max_retries"),
            token_requests_per_minute: number("token_requests_per_minute"),
        })
    }
}

/// The keys of an OAuth client, each derived with its own label.
struct Keys {
    grants: Option<KeyRing>,
    pending: KeyRing,
    fingerprint: Fingerprinter,
}

impl Keys {
    fn derive(options: &OptionSet, credential: &Credential) -> Result<Option<Self>> {
        let Credential::OAuth { client_secret, .. } = credential else { return Ok(None) };
        let store_keys: Vec<Secret> = options
            .secret("store_key")
            .map_or_else(Vec::new, |text| text.expose().split_ascii_whitespace().map(Secret::from).collect());
        let store_keys: Vec<&Secret> = store_keys.iter().collect();
        let base = if store_keys.is_empty() { vec![client_secret] } else { store_keys.clone() };
        let grants =
            if store_keys.is_empty() { None } else { Some(KeyRing::from_secrets(&store_keys, GRANT_LABEL)?) };
        Ok(Some(Self {
            grants,
            pending: KeyRing::from_secrets(&base, PENDING_LABEL)?,
            fingerprint: Fingerprinter::from_secret(base[0], FINGERPRINT_LABEL)?,
        }))
    }
}

fn open_store(text: &str) -> Result<Arc<dyn TokenStore>> {
    match text.split_once(':').map(|(scheme, _)| scheme) {
        Some("memory") if text == "memory:" => Ok(Arc::new(MemoryStore::new())),
        Some("sqlite" | "postgres" | "postgresql") => Err(Error::config(
            "`store`: this build has no such store; use `memory:` or give the builder a store",
        )),
        _ => Err(Error::config("`store` must be `memory:`")),
    }
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

fn busy(account: &Account) -> Error {
    Error::new(ErrorCode::Store, "the grant changes faster than it can be written; try again")
        .with_retryable(true)
        .with_account(account)
}

const SAVE_TRIES: usize = 16;
const MOST_SEEN: usize = 64;
const KEPT_SEEDS: usize = 16;
const REFUSED_SPAN: Duration = Duration::from_secs(60);
const REFUSED_IN_A_ROW: u32 = 2;
const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(365 * 86_400);
