//! The client: the calls of a program, each passed on to the part that does it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Account, AccountKind, NO_ACCOUNT};
use crate::authorize::{AuthorizationRequest, PendingAuthorization};
use crate::cache::Slot;
use crate::callback::refuse_reentry;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::grants::{self, Grant, Health, Import};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::installs::{
    self, Applied, InstalledLocation, LOCATIONS_PATH, MintProgress, MintSummary, Pace,
};
use crate::limits::RateLimit;
use crate::login;
use crate::refresh::{self, Maintenance, OWN_VERSION};
use crate::request::{Report, RequestBuilder, report};
use crate::response::Response;
use crate::serve;
use crate::snapshot::{Served, Snapshot};
use crate::webhook::{self, WebhookEvent, WebhookVerifierBuilder};
use crate::within::{self, InnerHeadersWork, Wait};

/// Authenticates a program's requests to HoopAI: any number of accounts with one credential.
///
/// Cloning is cheap and shares everything; any thread may call any method at any time. Getting
/// headers of an account whose token is fresh takes no lock, allocates nothing and does no I/O.
/// If a refresh is due, the caller's own thread does it. Every few seconds, one caller looks for
/// changes that others made in a shared store.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

impl Client {
    /// Returns the headers for a request of the default account. The method's case does not matter.
    #[inline]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        match &self.inner.default_name {
            Some(name) => self.headers_for(name, method),
            None => Err(Error::config(NO_ACCOUNT)),
        }
    }

    /// Returns the headers for a request of `account` (`location:<id>` or `company:<id>`).
    ///
    /// Errors: `NO_GRANT`, `REAUTHORIZATION_REQUIRED` and those of a refresh.
    #[inline]
    pub fn headers_for(&self, account: &str, method: &str) -> Result<Headers> {
        serve::headers_for(&self.inner, account, method.as_bytes())
    }

    /// Returns the headers for a request of `account` if they are cached and fresh. Never waits,
    /// and does no I/O.
    #[inline]
    pub fn fresh_headers(&self, account: &str, method: &str) -> Option<Headers> {
        let grants = self.inner.grants();
        let served = grants.cache.fresh(account.as_bytes(), &grants.clock)?;
        Some(Headers::new(served, method.as_bytes()))
    }

    /// Returns the counted snapshot behind [`fresh_headers`](Self::fresh_headers). Nobody needs to
    /// have checked that `account` is UTF-8.
    #[allow(clippy::inline_always, reason = "the hot path of the C library")]
    #[inline(always)]
    pub(crate) fn fresh_snapshot(&self, account: &[u8]) -> Option<Arc<Snapshot>> {
        let grants = self.inner.grants();
        grants.cache.fresh(account, &grants.clock).map(Served::into_inner)
    }

    /// Rebuilds the sent headers from the value of `Authorization`, for a program that kept no
    /// [`Headers`] until the answer came and wants to [`report`](Self::report) it.
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
        self.check_name(account)?;
        let constants = Arc::clone(&self.inner.grants().constants);
        let snapshot = Snapshot::new(account, token, constants, 0);
        Ok(Headers::new(Served::from_inner(Arc::new(snapshot)), method.as_bytes()))
    }

    /// Refuses a name that is no account. A static token without an account has the empty name.
    fn check_name(&self, account: &str) -> Result<()> {
        if !(account.is_empty() && self.inner.refresher.credential.is_static()) {
            Account::parse(account)?;
        }
        Ok(())
    }

    /// Returns the name of the default account: `default_account`, or the empty text for a static
    /// token without one; `None` if there is neither.
    pub fn default_account(&self) -> Option<&str> {
        self.inner.default_name.as_deref()
    }

    /// Refuses a `url` that this client's token must not be sent to: any whose origin is neither
    /// the API's (`api_base`) nor a token endpoint's. Adapters of HTTP libraries ask before they
    /// put headers on a request. Error: `INVALID_ARGUMENT`.
    pub fn check_url(&self, url: &str) -> Result<()> {
        self.inner.settings().bearer_url(url).map(drop)
    }

    /// Returns a handle of one account, which gets headers without looking the account up again.
    pub fn account(&self, account: &str) -> Result<AccountHandle> {
        let account = Account::parse(account)?;
        serve::check_static_account(&self.inner, account.as_str())?;
        let slot = self.inner.grants().cache.slot(&account);
        Ok(AccountHandle { inner: Arc::clone(&self.inner), account, slot })
    }

    /// Starts an authorization request with the client's options. Set what differs, then
    /// [`begin`](Self::begin) it.
    pub fn authorization_request(&self) -> Result<AuthorizationRequest> {
        login::request(&self.inner)
    }

    /// Makes the URL to send the user to, and the value to keep until the user comes back (at most
    /// 10 minutes).
    pub fn begin(&self, request: AuthorizationRequest) -> Result<PendingAuthorization> {
        login::begin(&self.inner, request)
    }

    /// Seals a pending authorization as text, for a cookie or another process of the same app: some
    /// hundred characters, whatever the number of scopes.
    ///
    /// The text holds state, redirect URI, PKCE verifier and end. If the answer to the code names
    /// no scopes, those of the option `scopes` then count as granted, and not those that this
    /// request asked for.
    pub fn seal_pending(&self, pending: &PendingAuthorization) -> Result<String> {
        login::seal_pending(&self.inner, pending)
    }

    /// Opens the text that [`seal_pending`](Self::seal_pending) made. `STATE_MISMATCH` if another
    /// app made it, or if it was changed.
    pub fn open_pending(&self, sealed: &str) -> Result<PendingAuthorization> {
        login::open_pending(&self.inner, sealed)
    }

    /// Completes an authorization with the redirect by which the user came back: the whole URL, or
    /// its query.
    ///
    /// Checks `state` (once only), exchanges the code and stores the grant. Returns the account of
    /// the grant. Errors: `STATE_MISMATCH`, `AUTHORIZATION_DENIED`, `WRONG_TOKEN_CLASS`, and those
    /// of the token endpoint.
    pub fn complete(&self, pending: &PendingAuthorization, redirect: &str) -> Result<Account> {
        login::complete(&self.inner, pending, redirect)
    }

    /// Completes an installation that began on the marketplace page and so carries no `state`.
    ///
    /// Without `state` anybody can make a user's browser bring the code of a foreign account. So
    /// name the account that the code must be for; any other is `WRONG_ACCOUNT` and is not stored.
    pub fn complete_unsolicited(&self, code: &str, expected: &Account) -> Result<Account> {
        login::complete_unsolicited(&self.inner, code, expected)
    }

    /// Mints a location's grant from its company's, and stores it.
    pub fn mint(&self, location: &Account, company: &Account) -> Result<()> {
        let inner = &self.inner;
        let _call = inner.begin_call();
        inner.check_open()?;
        if location.kind() != AccountKind::Location || company.kind() != AccountKind::Company {
            return Err(Error::argument(
                "a location's grant is minted from its company's: give the location as \
                 `location:<id>`, and the company as `company:<id>`",
            ));
        }
        let timeout = inner.settings().attempt_timeout;
        let grant = refresh::mint_grant(&inner.refresher, company, location, None, timeout)?;
        inner.refresher.adopt(grant);
        inner.installations().finish_installs(location);
        Ok(())
    }

    /// Returns all locations that `company` installed the app in, page by page until there are as
    /// many as the platform counts, or none are left. Needs the scope `oauth.readonly`.
    ///
    /// Errors: those of a [`request`](Self::request); `MALFORMED_RESPONSE` for a list that repeats
    /// itself or does not end.
    pub fn installed_locations(&self, company: &Account) -> Result<Vec<InstalledLocation>> {
        let fetch = |params: &[(&str, &str)]| self.fetch_locations(company, params);
        let mut pace = Pace::default();
        installs::list_locations(&self.inner.refresher, company, &mut pace, &fetch)
    }

    /// Mints a grant for each location that `company` installed the app in and that has none. Begun
    /// again after a break, it goes on where it was. `progress` is told after each location, and
    /// must not call the client; `false` ends the run.
    ///
    /// It sends no more than the platform lets one company send, and takes as long as that needs. A
    /// grant that the platform refused for good is minted anew, and so is one that was removed. An
    /// error for one location is reported and skipped. An error that affects all locations stops
    /// the run: a company whose token is refused, a store that does not save, and, as
    /// `RATE_LIMITED`, a limit that waits do not cure or that asks for a wait of over a minute. Go
    /// on after `retry_after`.
    pub fn mint_all(
        &self,
        company: &Account,
        progress: impl FnMut(&MintProgress) -> bool,
    ) -> Result<MintSummary> {
        let fetch = |params: &[(&str, &str)]| self.fetch_locations(company, params);
        installs::mint_all(&self.inner.refresher, company, &fetch, progress)
    }

    fn fetch_locations(&self, company: &Account, params: &[(&str, &str)]) -> Result<Response> {
        let request = self.request("GET", LOCATIONS_PATH).account(company.as_str());
        let request = request.version(OWN_VERSION);
        params.iter().fold(request, |request, (name, value)| request.param(name, value)).send()
    }

    /// Imports a grant from elsewhere.
    ///
    /// A grant whose refresh token this account was ever imported or refreshed with changes
    /// nothing, so that an app may import its seed at every start. Another live grant is kept,
    /// unless `replace` is `true`.
    pub fn import(&self, grant: Grant, replace: bool) -> Result<Import> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.refresher.credential.oauth()?;
        let account = grant.account.clone();
        let imported = grants::import(inner.grants(), grant, replace)?;
        if imported == Import::Imported {
            inner.installations().finish_installs(&account);
        }
        Ok(imported)
    }

    /// Returns the stored grant of an account, tokens included, for moving it elsewhere.
    pub fn export(&self, account: &Account) -> Result<Grant> {
        self.inner.check_open()?;
        self.inner.grants().export(account)
    }

    /// Returns the accounts that have a grant, sorted.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.inner.check_open()?;
        let _call = self.inner.begin_call();
        let mut accounts = self.inner.grants().store.accounts()?;
        accounts.sort_unstable();
        Ok(accounts)
    }

    /// Removes an account's grant and leaves a tombstone. Returns `true` if there was a grant.
    pub fn remove(&self, account: &Account) -> Result<bool> {
        let inner = &self.inner;
        inner.check_open()?;
        let _call = inner.begin_call();
        inner.installs.forget(inner.grants(), account)?;
        inner.grants().remove(account)
    }

    /// Returns the state of an account's grant.
    pub fn health(&self, account: &Account) -> Result<Health> {
        self.inner.check_open()?;
        grants::health(self.inner.grants(), account)
    }

    /// Starts a request: a path below `api_base`, such as `/contacts/`, or an absolute URL on one
    /// of the configured hosts.
    ///
    /// The request carries the headers of its account. Set what differs, then
    /// [`send`](RequestBuilder::send) it.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        RequestBuilder::new(Arc::clone(&self.inner), method, path)
    }

    /// Returns the API's limits of `account`, as the last answer to this client told them: by
    /// [`request`](Self::request) or [`report`](Self::report). `None` before the first answer. The
    /// account of a static token that has none is the empty text.
    pub fn rate_limit(&self, account: &str) -> Option<RateLimit> {
        self.inner.refresher.limits.seen(account)
    }

    /// Takes in the answer to a request that was sent with `headers`.
    ///
    /// A 401 that a refresh can cure is cured, once, and answered with [`Report::Repeat`]. A
    /// refusal that a refresh can't cure is a typed error. Any other answer is [`Report::Pass`].
    /// `answer_headers` are those of the answer; of its body the first kilobytes are enough.
    pub fn report(
        &self,
        headers: &Headers,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        report(&self.inner, headers, None, status, answer_headers, body)
    }

    /// Does the same as [`report`](Self::report) for a program that also passes what it sent: the
    /// error then names the scope or the class that the operation needs. `path` is a path below
    /// `api_base` or the whole URL, with or without a query.
    pub fn report_request(
        &self,
        headers: &Headers,
        method: &str,
        path: &str,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        report(&self.inner, headers, Some((method, path)), status, answer_headers, body)
    }

    /// Configures a verifier of webhooks for this client's app: `app_id` from `client_id`, replay
    /// memory in the client's store.
    pub fn webhook_verifier(&self) -> WebhookVerifierBuilder {
        WebhookVerifierBuilder::new(Some(Arc::clone(&self.inner)))
    }

    /// Changes the grants of this client as a verified INSTALL or UNINSTALL demands. A second call
    /// changes nothing, and neither do other events.
    ///
    /// INSTALL mints the location's grant from its company's grant. UNINSTALL removes the grant (of
    /// a company, also the grants of its locations), unless the user authorized it again since: the
    /// platform's clock dates both, so that our clock need not be right. Errors: `INVALID_ARGUMENT`
    /// for an event that was not verified to be of this client's app, and those of minting and of
    /// the store: release the delivery then, and answer 429 so that it comes again.
    pub fn apply(&self, event: &WebhookEvent) -> Result<Applied> {
        webhook::apply(&self.inner, event)
    }

    /// Renews tokens until `until`, by the client's clock, one at a time, as fast as the budget
    /// allows and as early as the size of the fleet demands. While it runs, callers do not refresh
    /// early themselves.
    ///
    /// Refreshes that a crash interrupted come first, within seconds. Then come tokens that live,
    /// whichever ends first, and after them those that have ended. Accounts that keep failing while
    /// others are served, and grants that the platform refused, share a tenth of the budget. Rows
    /// that this client can't read are put aside for 15 minutes.
    ///
    /// Any number of threads and processes may do this on one store: no token is renewed twice.
    /// With several store keys, grants that an older one sealed are sealed with the first. Blocks;
    /// failures are logged and tried again. Errors: `INVALID_STATE` without OAuth, once the client
    /// is closed, and in a forked child.
    pub fn maintain(&self, until: Timestamp) -> Result<()> {
        self.maintain_within(until, &Context::new())
    }

    /// Maintains as [`maintain`](Self::maintain) does, until `context` ends: `CANCELLED`,
    /// `TIMEOUT`. A refresh under way is finished first.
    pub fn maintain_within(&self, until: Timestamp, context: &Context) -> Result<()> {
        refresh::maintain(&self.inner.refresher, until, context)
    }

    /// Maintains as [`maintain`](Self::maintain) does, on a thread of its own, until the result is
    /// dropped or the client closed.
    ///
    /// You may drop the result anywhere, also in a hook that runs on its thread: that thread then
    /// ends by itself.
    pub fn maintain_in_background(&self) -> Result<Maintenance> {
        self.maintain_in_background_holding(())
    }

    /// Does the same as [`maintain_in_background`](Self::maintain_in_background); the thread drops
    /// `held` when it ends.
    pub(crate) fn maintain_in_background_holding<T: Send + 'static>(
        &self,
        held: T,
    ) -> Result<Maintenance> {
        refresh::maintain_in_background(&self.inner, held)
    }

    /// Does `work` with this client, as long as `context` allows.
    ///
    /// The work runs on a thread of its own. If the context ends first, this returns `CANCELLED` or
    /// `TIMEOUT` at once, and the work goes on to its end: [`close`](Self::close) waits for it.
    /// While many calls go on like that, further ones wait on their own threads, within their
    /// contexts, until one of those ends: so threads never pile up. For headers use
    /// [`headers_within`](Self::headers_within): callers of one account then share a thread.
    pub fn within<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.within_checking(context, Duration::MAX, || Ok(()), work)
    }

    /// Returns the same as [`headers_for`](Self::headers_for), for as long as `context` allows.
    ///
    /// Callers wait on their own threads. An account's refresh is done once for all of them, on a
    /// thread that goes on when they give up: so a refresh under way is finished and saved, and
    /// there are never more threads than accounts that need one.
    pub fn headers_within(
        &self,
        context: &Context,
        account: &str,
        method: &str,
    ) -> Result<Headers> {
        self.headers_within_checking(
            context,
            Duration::MAX,
            || Ok(()),
            account,
            method,
            || Box::new(|client, name| client.headers_for(name, "GET")),
        )
    }

    /// Returns the same as [`headers_within`](Self::headers_within). Calls `check` on the calling
    /// thread each time `every` has passed; its error ends the wait. `work` makes the work that
    /// gets the headers of an account.
    pub(crate) fn headers_within_checking(
        &self,
        context: &Context,
        every: Duration,
        mut check: impl FnMut() -> Result<()>,
        account: &str,
        method: &str,
        work: impl Fn() -> HeadersWork,
    ) -> Result<Headers> {
        if let Some(headers) = self.fresh_headers(account, method) {
            return Ok(headers);
        }
        self.check_name(account)?;
        let mut wait = Wait { context, every, check: &mut check };
        let work = || -> InnerHeadersWork {
            let work = work();
            Box::new(move |inner, name| work(&Self::of(inner), name))
        };
        within::headers(&self.inner, &mut wait, account, method, &work)
    }

    /// Does the same as [`within`](Self::within). Calls `check` on the calling thread each time
    /// `every` has passed; its error ends the wait.
    pub(crate) fn within_checking<T: Send + 'static>(
        &self,
        context: &Context,
        every: Duration,
        mut check: impl FnMut() -> Result<()>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut wait = Wait { context, every, check: &mut check };
        within::work(&self.inner, &mut wait, |inner| work(&Self::of(inner)))
    }

    /// Returns the option whose Private Integration token the platform refused:
    /// `private_integration_token` or `private_integration_token_next`. Put another token there, or
    /// leave the option out if the other token stays in use.
    ///
    /// `None` while no token was refused, and again once that token works.
    pub fn refused_private_integration_token(&self) -> Option<&'static str> {
        match &self.inner.refresher.credential {
            Credential::PrivateIntegration(rotation) => rotation.refused_option(),
            _ => None,
        }
    }

    /// Returns `true` if a Private Integration token was refused, for those who would report every
    /// good answer otherwise.
    pub(crate) fn any_refused_token(&self) -> bool {
        matches!(
            &self.inner.refresher.credential,
            Credential::PrivateIntegration(rotation) if rotation.any_refused()
        )
    }

    /// Saves unsaved grants and ends this client and its clones. Later calls are `INVALID_STATE`.
    ///
    /// Waits for the calls under way, at most `timeout`, also for those whose callers left
    /// ([`within`](Self::within)): the answers to their requests are saved. Closing again waits and
    /// saves again.
    pub fn close(&self) -> Result<()> {
        refuse_reentry()?;
        let grants = self.inner.grants();
        grants.calls.close();
        grants.cache.close();
        self.finish();
        grants.save_all_unsaved()
    }

    /// Waits for the calls under way, at most `timeout`. The last reference does this in languages
    /// in which freeing it may end the program's hold on them.
    pub(crate) fn finish(&self) {
        // A forked child has none of those threads; a callback would wait for itself.
        if self.inner.check_process().is_ok() && refuse_reentry().is_ok() {
            self.inner.grants().calls.finish(self.inner.settings().timeout);
        }
    }

    fn of(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner) }
    }
}

/// Work that gets the headers of a named account, on a thread that its caller may leave.
pub type HeadersWork = Box<dyn FnOnce(&Client, &str) -> Result<Headers> + Send>;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("app", &self.inner.settings().app).finish_non_exhaustive()
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
    /// Returns the headers for a request of this account.
    #[allow(
        clippy::inline_always,
        reason = "a fifth of a hit is the call itself: registers saved, the result copied"
    )]
    #[inline(always)]
    pub fn headers(&self, method: &str) -> Result<Headers> {
        let mut served = self.slot.load();
        if !served.is_ready(self.inner.clock()) {
            drop(served);
            served = self.slow()?;
        }
        Ok(Headers::new(served, method.as_bytes()))
    }

    #[cold]
    #[inline(never)]
    fn slow(&self) -> Result<Served> {
        serve::slow(&self.inner, self.account.as_str()).map(Served::from_inner).or_else(|error| {
            // In a forked child, the handle may have a snapshot that the table had no room for.
            let has =
                |own: &Snapshot| !own.name().is_empty() && !own.is_expired(self.inner.clock());
            let own = self.slot.load();
            if self.inner.check_process().is_err() && self.inner.check_open().is_ok() && has(&own) {
                return Ok(own);
            }
            Err(error)
        })
    }

    /// Returns the account of the handle.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns `true` if it was made with this client or a clone of it.
    #[inline]
    pub(crate) fn is_of(&self, client: &Client) -> bool {
        Arc::ptr_eq(&self.inner, &client.inner)
    }

    /// Returns the headers for a request of this account if they are cached and fresh. Never waits,
    /// and does no I/O.
    #[inline]
    pub fn fresh_headers(&self, method: &str) -> Option<Headers> {
        let served = self.slot.load();
        served.is_ready(self.inner.clock()).then(|| Headers::new(served, method.as_bytes()))
    }

    /// Returns a number that changes with each snapshot that is published for this account.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.slot.version()
    }

    /// Returns `true` while a snapshot that stood here at `version` is still the one that is
    /// served.
    #[inline]
    pub(crate) fn is_current(&self, version: u64, snapshot: &Snapshot) -> bool {
        self.slot.version() == version && snapshot.is_ready(self.inner.clock())
    }
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountHandle").field(&self.account).finish()
    }
}
