//! The front door: the client and what it answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::account::{Account, AccountKind};
use crate::authorize::{AuthorizationRequest, AuthorizeDefaults, PendingAuthorization, Redirect};
use crate::builder::ClientBuilder;
use crate::cache::Slot;
use crate::snapshot::{Served, Snapshot};
use crate::callback::{calling, refuse_reentry};
use crate::clock::{Clock, Timestamp};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::Grant;
use crate::headers::Headers;
use crate::inner::{Inner, SAVE_TRIES, busy};
use crate::options::OptionSet;
use crate::request::report::Report;
use crate::secret::Secret;
use crate::sync::sorted;
use crate::store::NewRecord;
use crate::sync::lock;
use crate::refresh::token_endpoint::FailureClass;

/// Authenticates a program's requests to HoopAI: any number of accounts with one credential.
///
/// Cloning is cheap and shares everything; any thread may call any method at any time. Getting
/// headers of an account whose token is fresh takes no lock, allocates nothing and does no I/O.
/// When a refresh is due, the caller's own thread does it; and every few seconds one caller looks
/// whether others changed anything in a store that they share.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

impl Client {
    /// Starts to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Checks an option and its value as [`ClientBuilder::option`] would, without a builder.
    #[doc(hidden)]
    pub fn check_option(name: &str, value: &str) -> Result<()> {
        OptionSet::default().set(name, value)
    }

    /// A client configured by the environment alone: `HOOPAUTH_<OPTION>`, `HOOPAI_TOKEN`,
    /// `LOCATION_ID`.
    pub fn from_env() -> Result<Self> {
        Self::builder().environment().build()
    }

    /// The headers for a request of the default account. The method's case does not matter.
    #[inline]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        match &self.inner.default_name {
            Some(name) => self.headers_for(name, method),
            None => Err(Error::config(NO_ACCOUNT)),
        }
    }

    /// The headers for a request of `account` (`location:<id>` or `company:<id>`).
    ///
    /// Errors: `NO_GRANT`, `REAUTHORIZATION_REQUIRED` and what a refresh can meet.
    #[inline]
    pub fn headers_for(&self, account: &str, method: &str) -> Result<Headers> {
        let served = match self.inner.cache.fresh(account.as_bytes(), &self.inner.clock) {
            Some(served) => served,
            None => Served::from_inner(self.inner.slow(account)?),
        };
        Ok(Headers::new(served, method.as_bytes()))
    }

    /// The headers for a request of `account`, if they are cached and fresh: never waits, never
    /// does I/O.
    #[inline]
    pub fn fresh_headers(&self, account: &str, method: &str) -> Option<Headers> {
        let served = self.inner.cache.fresh(account.as_bytes(), &self.inner.clock)?;
        Some(Headers::new(served, method.as_bytes()))
    }

    /// What [`fresh_headers`](Self::fresh_headers) are made of, counted, for a text that nobody
    /// checked to be UTF-8.
    #[doc(hidden)]
    #[allow(clippy::inline_always, reason = "the hot path of the C library")]
    #[inline(always)]
    pub fn fresh_snapshot(&self, account: &[u8]) -> Option<Arc<Snapshot>> {
        self.inner.cache.fresh(account, &self.inner.clock).map(Served::into_inner)
    }

    /// Headers as they were sent, put together again from the value of `Authorization`: for a host
    /// that kept no [`Headers`] until the answer came and now wants to [`report`](Self::report) it.
    pub fn sent_headers(
        &self,
        account: &str,
        method: &str,
        authorization: &str,
    ) -> Result<Headers> {
        let token = authorization
            .strip_prefix("Bearer ")
            .filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()))
            .ok_or_else(|| {
                Error::argument("`Authorization` is `Bearer ` and the token that was sent")
            })?;
        if !(account.is_empty() && self.inner.credential.is_static()) {
            Account::parse(account)?;
        }
        let snapshot = Snapshot::new(account, token, Arc::clone(&self.inner.constants), 0);
        Ok(Headers::new(Served::from_inner(Arc::new(snapshot)), method.as_bytes()))
    }

    /// The name of the default account: `default_account`, or empty for a static token without one;
    /// `None` where there is neither.
    pub fn default_account(&self) -> Option<&str> {
        self.inner.default_name.as_deref()
    }

    /// Refuses a `url` that this client's bearer must not be sent to: any whose origin is neither
    /// the API's (`api_base`) nor a token endpoint's. Adapters of HTTP libraries ask before they
    /// put headers on a request. `INVALID_ARGUMENT`.
    pub fn check_url(&self, url: &str) -> Result<()> {
        let parsed = url::Url::parse(url).map_err(|_| Error::argument(NOT_WHOLE))?;
        // What one parser reads as a host, another reads as a user or a path: only what all read
        // alike is let through.
        let start = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let odd = |c: char| c == '\\' || c.is_control() || c.is_whitespace();
        if !matches!(&*start.to_ascii_lowercase(), "http" | "https")
            || url.contains(odd)
            || url.contains(":///")
            || !parsed.username().is_empty()
            || parsed.password().is_some()
        {
            return Err(Error::argument(
                "the request's URL does not begin with `https://`, or holds a user, a backslash, white space or a control \
                 character: the token is not sent there",
            ));
        }
        let origin = parsed.origin();
        if self.inner.settings.origins.contains(&origin) {
            return Ok(());
        }
        Err(Error::argument(format!(
            "the request goes to `{}`, which is none of the configured hosts, so the token is not sent there: correct the URL, or set `api_base` to that host",
            origin.ascii_serialization()
        )))
    }

    /// A builder with this client's options, the environment's included: what a forked child makes
    /// a client of its own with.
    ///
    /// Store, transport, clock and hooks that were given as objects are not among them.
    /// `INVALID_STATE` for OAuth with the store `memory:`: the grants in it stay with the process
    /// that has them.
    pub fn again(&self) -> Result<ClientBuilder> {
        let inner = &self.inner;
        if !inner.own_store
            && inner.oauth().is_ok()
            && inner.options.text("store").as_deref() == Some("memory:")
        {
            return Err(Error::state(
                "a forked process can't use its parent's memory store: make the client after the fork, or use a store that processes share",
            ));
        }
        Ok(ClientBuilder::with_options(inner.options.clone(), inner.language.clone()))
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
        self.authorize_defaults().map(AuthorizationRequest::new)
    }

    fn authorize_defaults(&self) -> Result<AuthorizeDefaults> {
        let (client_id, _) = self.inner.oauth()?;
        let settings = &self.inner.settings;
        Ok(AuthorizeDefaults {
            authorize_url: settings.authorize_url.clone(),
            client_id: client_id.to_owned(),
            redirect_uri: settings.redirect_uri.clone(),
            scopes: settings.scopes.clone(),
        })
    }

    /// Makes the URL to send the user to, and what must be kept until the user comes back (at most
    /// 10 minutes).
    pub fn begin(&self, request: AuthorizationRequest) -> Result<PendingAuthorization> {
        self.inner.check_open()?;
        request.build(self.inner.clock.now())
    }

    /// Seals a pending authorization as text, for a cookie or another process of the same app: some
    /// hundred characters, whatever the number of scopes.
    ///
    /// It holds what completing needs: state, redirect URI, PKCE verifier and end. Where the answer
    /// to the code names no scopes, those of the option `scopes` then count as granted, and not
    /// those that this request asked for.
    pub fn seal_pending(&self, pending: &PendingAuthorization) -> Result<String> {
        pending.seal(self.inner.pending_ring()?, &self.inner.settings.app)
    }

    /// Opens what [`seal_pending`](Self::seal_pending) made. `STATE_MISMATCH` if it was made by
    /// another app or changed.
    pub fn open_pending(&self, sealed: &str) -> Result<PendingAuthorization> {
        let defaults = self.authorize_defaults()?;
        PendingAuthorization::open(
            sealed,
            self.inner.pending_ring()?,
            &self.inner.settings.app,
            &defaults,
        )
    }

    /// Completes an authorization with the redirect the user came back by: the whole URL, or its
    /// query.
    ///
    /// Checks `state` (once only), exchanges the code and stores the grant. Answers whose it is.
    /// Errors: `STATE_MISMATCH`, `AUTHORIZATION_DENIED`, `WRONG_TOKEN_CLASS`, and those of the
    /// token endpoint.
    pub fn complete(&self, pending: &PendingAuthorization, redirect: &str) -> Result<Account> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.oauth()?;
        let redirect = Redirect::read(redirect)?;
        let _call = inner.begin_call();
        let now = inner.clock.now();
        let code = redirect.check(pending, now)?;
        let id = inner.fingerprinter()?.of("state", pending.state().expose());
        let until = pending.expires_at().plus(Duration::from_secs(60));
        if !calling(|| inner.store.claim(&inner.settings.app, &id, until, now))? {
            return Err(Error::new(
                ErrorCode::StateMismatch,
                "this redirect was used before, as when the browser loads the page again: if the login did not succeed, begin a new \
                 one",
            ));
        }
        let scopes = self.asked_scopes(pending);
        let result =
            inner.exchange(code, Some(pending.redirect_uri()), pending.verifier(), &scopes, None);
        if let Err((_, FailureClass::Untouched)) = &result {
            // The code was not looked at: the same redirect may be tried again.
            if let Err(error) = calling(|| inner.store.unclaim(&inner.settings.app, &id)) {
                tracing::warn!(%error, "the redirect of a login that failed could not be released in the store: the user has to begin a new login");
            }
        }
        result.map_err(|(error, _)| error)
    }

    /// The scopes that an authorization asked for; the client's own where the pending one does not
    /// hold its URL any more.
    fn asked_scopes(&self, pending: &PendingAuthorization) -> Vec<String> {
        let url = url::Url::parse(pending.url()).ok();
        let asked = url.and_then(|url| {
            let (_, scope) = url.query_pairs().find(|(name, _)| name == "scope")?;
            Some(scope.split_ascii_whitespace().map(str::to_owned).collect())
        });
        asked.unwrap_or_else(|| self.inner.settings.scopes.clone())
    }

    /// Completes an installation that began on the marketplace page and so carries no `state`.
    ///
    /// Without `state` anybody can make a user's browser bring a code of a foreign account; so the
    /// caller says for which account the code must be, and anything else is `WRONG_ACCOUNT` and not
    /// stored.
    pub fn complete_unsolicited(&self, code: &str, expected: &Account) -> Result<Account> {
        self.inner.check_open()?;
        if code.is_empty() || code.len() > 4096 || !code.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::argument(
                "a code has 1 to 4096 printable ASCII characters: give the parameter `code` of the URL that the user came to, \
                 percent-escapes decoded",
            ));
        }
        let redirect_uri = self.inner.settings.redirect_uri.as_deref();
        self.inner
            .exchange(&Secret::new(code), redirect_uri, None, &[], Some(expected))
            .map_err(|(error, _)| error)
    }

    /// Mints a location's grant from its company's, and stores it.
    pub fn mint(&self, location: &Account, company: &Account) -> Result<()> {
        let _call = self.inner.begin_call();
        self.inner.check_open()?;
        if location.kind() != AccountKind::Location || company.kind() != AccountKind::Company {
            return Err(Error::argument(
                "a location's grant is minted from its company's: give the location as `location:<id>`, and the company as \
                 `company:<id>`",
            ));
        }
        let timeout = self.inner.settings.attempt_timeout;
        let grant = self.inner.mint_grant(company, location, None, timeout)?;
        self.inner.adopt(grant);
        self.inner.finish_installs(location);
        Ok(())
    }

    /// Imports a grant from elsewhere.
    ///
    /// A grant whose refresh token this account was ever imported or refreshed with changes
    /// nothing, so that an app may import its seed at every start. Another live grant is kept
    /// unless `replace` is said.
    pub fn import(&self, mut grant: Grant, replace: bool) -> Result<Import> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.oauth()?;
        grant.validate()?;
        let _call = inner.begin_call();
        let now = inner.clock.now();
        grant.obtained_at = now;
        grant.authorized_at = now;
        let account = grant.account.clone();
        let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
        let fingerprint = inner.fingerprint(&account, token.expose());
        for _ in 0..SAVE_TRIES {
            let seen_changes = inner.seen();
            let record = inner.load(&account)?;
            if let Some(record) = &record {
                inner.check_replaceable(&account, record)?;
            }
            let (expected, seen, live) = record.map_or((0, vec![], false), |record| {
                (record.generation, record.seen, record.grant.is_some())
            });
            if inner.has_seen(&account, token.expose(), &seen)? {
                return Ok(Import::Known);
            }
            if live && !replace {
                return Ok(Import::Kept);
            }
            let new = inner.new_record(&grant, expected, &seen, Some(fingerprint))?;
            if calling(|| inner.store.save(&inner.key(&account), expected, &new))? {
                inner.forget_unsaved(&account);
                inner.publish(inner.snapshot_of(&grant, expected + 1), seen_changes);
                inner.changed(&account, expected + 1, ChangeKind::Saved);
                inner.finish_installs(&account);
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
        let _call = self.inner.begin_call();
        let record = self.inner.load(account)?;
        self.inner.open_live(account, record).map(|(_, grant)| grant)
    }

    /// The accounts that have a grant, sorted.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.inner.check_open()?;
        let _call = self.inner.begin_call();
        let accounts = calling(|| self.inner.store.accounts(&self.inner.settings.app))?;
        Ok(sorted(accounts))
    }

    /// Removes an account's grant and leaves a tombstone; whether there was one.
    pub fn remove(&self, account: &Account) -> Result<bool> {
        let inner = &self.inner;
        inner.check_open()?;
        let _call = inner.begin_call();
        inner.forget_install(account)?;
        for _ in 0..SAVE_TRIES {
            let record = inner.load(account)?;
            let Some(record) = record.filter(|record| record.grant.is_some()) else {
                inner.forget_unsaved(account);
                inner.cache.forget(account.as_str());
                return Ok(false);
            };
            inner.check_replaceable(account, &record)?;
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
        let _call = inner.begin_call();
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
            idle_days_left: grant
                .refresh_token
                .as_ref()
                .map(|_| idle_ends.since(now).as_secs() / 86_400),
            scopes: grant.scopes,
        })
    }

    /// Tells what came back for a request that was sent with `headers`.
    ///
    /// A 401 that a refresh can cure is cured, once, and answered with [`Report::Repeat`]; what a
    /// refresh can't cure is a typed error; what is no matter of authentication is
    /// [`Report::Pass`]. `answer_headers` are those of the answer; of its body the first kilobytes
    /// are enough.
    pub fn report(
        &self,
        headers: &Headers,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        self.judge(headers, None, status, answer_headers, body)
    }

    /// As [`report`](Self::report), for a host that knows what it sent: then the error names the
    /// scope or the class that the operation needs. `path` is a path below `api_base` or the whole
    /// URL, with or without a query.
    pub fn report_request(
        &self,
        headers: &Headers,
        method: &str,
        path: &str,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        self.judge(headers, Some((method, path)), status, answer_headers, body)
    }

    /// The option whose Private Integration token the platform refused: `private_integration_token`
    /// or `private_integration_token_next`. Put another token there, or leave the option out if the
    /// other one stays in use.
    ///
    /// `None` while none was refused, and again once that token works.
    pub fn refused_private_integration_token(&self) -> Option<&'static str> {
        match &self.inner.credential {
            Credential::PrivateIntegration(rotation) => rotation.refused_option(),
            _ => None,
        }
    }

    /// Whether that is any, without asking which: for those who would report every good answer
    /// otherwise.
    #[doc(hidden)]
    pub fn any_refused_token(&self) -> bool {
        matches!(&self.inner.credential, Credential::PrivateIntegration(rotation) if rotation.any_refused())
    }

    /// Saves what is unsaved and ends this client and its clones; later calls are `INVALID_STATE`.
    ///
    /// Calls under way are waited for, at most `timeout`, those too whose callers left
    /// ([`within`](Self::within)): what was sent is saved. Closing again waits and saves again: for
    /// those who gave the first one up.
    pub fn close(&self) -> Result<()> {
        refuse_reentry()?;
        self.inner.closed.store(true, Ordering::SeqCst);
        self.inner.cache.close();
        self.finish();
        self.inner.save_all_unsaved()
    }

    /// Waits for the calls under way, at most `timeout`: what the last reference does in languages
    /// where freeing it may end the program's hold on them.
    #[doc(hidden)]
    pub fn finish(&self) {
        // A forked child has none of those threads; a callback would wait for itself.
        if self.inner.check_process().is_ok() && refuse_reentry().is_ok() {
            self.inner.calls.finish(self.inner.settings.timeout);
        }
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
    #[allow(
        clippy::inline_always,
        reason = "a fifth of a hit is the call itself: registers saved, the result copied"
    )]
    #[inline(always)]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        let mut served = self.slot.load();
        if !served.is_ready(&self.inner.clock) {
            drop(served);
            served = self.slow()?;
        }
        Ok(Headers::new(served, method.as_bytes()))
    }

    #[cold]
    #[inline(never)]
    fn slow(&self) -> Result<Served> {
        self.inner.slow(self.account.as_str()).map(Served::from_inner).or_else(|error| {
            // In a forked child the table may have had no room for what this handle has.
            let has = |own: &Snapshot| !own.name().is_empty() && !own.is_expired(&self.inner.clock);
            let own = self.slot.load();
            if self.inner.check_process().is_err() && self.inner.check_open().is_ok() && has(&own) {
                return Ok(own);
            }
            Err(error)
        })
    }

    /// Whose handle it is.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether it was made with this client or a clone of it.
    #[doc(hidden)]
    #[inline]
    pub fn is_of(&self, client: &Client) -> bool {
        Arc::ptr_eq(&self.inner, &client.inner)
    }

    /// The headers for a request of this account, if they are cached and fresh: never waits, never
    /// does I/O.
    #[inline]
    pub fn fresh_headers(&self, method: &str) -> Option<Headers> {
        let served = self.slot.load();
        served.is_ready(&self.inner.clock).then(|| Headers::new(served, method.as_bytes()))
    }

    /// Changes with each snapshot that is published for this account.
    #[doc(hidden)]
    #[inline]
    pub fn version(&self) -> u64 {
        self.slot.version()
    }

    /// Whether a snapshot that stood here at `version` is still what everybody gets.
    #[doc(hidden)]
    #[inline]
    pub fn is_current(&self, version: u64, snapshot: &Snapshot) -> bool {
        self.slot.version() == version && snapshot.is_ready(&self.inner.clock)
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
    /// When the token pair was asked for or imported.
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

pub(crate) const NO_ACCOUNT: &str =
    "no account is named and `default_account` is not set: name an account, or set the option";
pub(crate) const NOT_WHOLE: &str =
    "the request's URL is not whole: write it as `https://host/path`";
const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(365 * 86_400);
