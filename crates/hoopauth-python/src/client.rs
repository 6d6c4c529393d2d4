//! The client.

use std::sync::Arc;

use hoopauth::binding::{BuilderBinding as _, ClientBinding as _};
use hoopauth::webhook::Applied;
use hoopauth::{Account, ClientBuilder, Error, ErrorCode, Headers, Import, Report};
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::answer::Response;
use crate::callback::Slot;
use crate::clock::timestamp;
use crate::context::{Context, of_call};
use crate::error::{exception, raised, refused};
use crate::grant::Grant;
use crate::header::{pairs, prefixed};
use crate::health::Health;
use crate::in_call::watched;
use crate::installed::{self, InstalledLocation, MintSummary};
use crate::limits::RateLimit;
use crate::live::{self, Live, Objects};
use crate::maintenance::Maintenance;
use crate::number::{Seconds, Whole};
use crate::option;
use crate::owner::Owner;
use crate::pending::PendingAuthorization;
use crate::reentry::refuse_reentry;
use crate::request::{self, Request};
use crate::text::{Data, Str, Words, arg};
use crate::wait::{call, detached};
use crate::webhook::{WebhookDelivery, WebhookVerifier};

/// Authenticates a program's requests to HoopAI: any number of accounts with one credential.
///
/// Options are keyword arguments; `hoopauth.Options` documents them. Durations are seconds (int or
/// float), lists may be lists of str, and None leaves an option out. A wrong option raises
/// `hoopauth.Config`, which names it. This does no I/O.
///
/// Any thread may call any method at any time. A call that can wait lets other threads run
/// meanwhile, and takes `timeout=` (seconds) or `context=` (a `hoopauth.Context`):
/// `hoopauth.Timeout` or `hoopauth.Cancelled` then ends the wait, as Ctrl-C does on the main
/// thread, while the refresh under way is finished and saved.
///
/// Args:
///     token_store: the store of the grants, instead of the option `store`; see
///         `hoopauth.TokenStore`.
///     transport: the carrier of HTTP, see `hoopauth.Transport`.
///     clock: the source of the time, see `hoopauth.Clock`.
///     on_change: called with a `hoopauth.Change` after each change of a grant.
#[pyclass(frozen, weakref, module = "hoopauth")]
pub(crate) struct Client {
    pub(crate) live: Arc<Live>,
    has_clock: bool,
    constants: PyOnceLock<Constants>,
}

/// Headers as dicts to copy, `Authorization` left empty: without and with `Content-Type`.
struct Constants {
    bare: Py<PyDict>,
    with_body: Py<PyDict>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*, token_store=None, transport=None, clock=None, on_change=None,
        **options))]
    fn new(
        py: Python<'_>,
        token_store: Option<Py<PyAny>>,
        transport: Option<Py<PyAny>>,
        clock: Option<Py<PyAny>>,
        on_change: Option<Py<PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let builder = option::apply(hoopauth::Client::builder(), options)?;
        Self::build(py, builder, token_store, transport, clock, on_change)
    }

    /// Makes a client that the environment configures: `HOOPAUTH_<OPTION>`, `HOOPAI_TOKEN`,
    /// `LOCATION_ID`.
    ///
    /// Arguments override the environment. Raises `hoopauth.Config`.
    #[staticmethod]
    #[pyo3(signature = (*, token_store=None, transport=None, clock=None, on_change=None,
        **options))]
    fn from_env(
        py: Python<'_>,
        token_store: Option<Py<PyAny>>,
        transport: Option<Py<PyAny>>,
        clock: Option<Py<PyAny>>,
        on_change: Option<Py<PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let builder = option::apply(hoopauth::Client::builder().environment(), options)?;
        Self::build(py, builder, token_store, transport, clock, on_change)
    }

    /// Returns the headers for one request, as a new dict: `Authorization`, `Version`,
    /// `User-Agent`, and `Content-Type` for POST, PUT and PATCH.
    ///
    /// A fresh token costs well under a microsecond and never waits; an ending one is refreshed
    /// first.
    ///
    /// Args:
    ///     method: the request's method, in any case.
    ///     account: `location:<id>` or `company:<id>`; the option `default_account` if left out.
    ///     timeout: seconds to wait at most.
    ///     context: a deadline or switch shared with other calls.
    ///
    /// Raises `hoopauth.NoGrant`, `hoopauth.ReauthorizationRequired`, and the errors of a refresh.
    #[pyo3(
        signature = (method=Str::of("GET"), account=None, *, timeout=None, context=None),
        text_signature = "($self, method='GET', account=None, *, timeout=None, context=None)"
    )]
    fn headers<'py>(
        &self,
        py: Python<'py>,
        method: Str<'_, arg::method>,
        account: Option<Str<'_, arg::account>>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'py, Context>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        if let Some(headers) = self.fresh(py, method.get(), account.as_ref().map(Str::get))? {
            return Ok(headers);
        }
        let context = of_call(py, timeout, context)?;
        let headers = crate::wait::headers(
            py,
            &self.live,
            context,
            account.as_ref().map(Str::get),
            method.get(),
        )?;
        self.dict(py, &headers)
    }

    /// Returns headers as `headers` does if they are cached and fresh, else None. Never waits, so
    /// that an event loop may call it.
    #[pyo3(signature = (method=Str::of("GET"), account=None),
        text_signature = "($self, method='GET', account=None)")]
    fn fresh_headers<'py>(
        &self,
        py: Python<'py>,
        method: Str<'_, arg::method>,
        account: Option<Str<'_, arg::account>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.fresh(py, method.get(), account.as_ref().map(Str::get))
    }

    /// Refuses a URL that the bearer must not be sent to: any but those of the API (`api_base`) and
    /// the token endpoints.
    ///
    /// Raises `hoopauth.InvalidArgument`.
    fn check_url(&self, py: Python<'_>, url: Str<'_, arg::url>) -> PyResult<()> {
        raised(py, self.live.core(py)?.client.check_url(&url))
    }

    /// Makes the URL to send the user to, and the object to keep until the user comes back (at most
    /// 10 minutes).
    ///
    /// Args:
    ///     redirect_uri, scopes: instead of the client's options.
    ///     pkce: adds a code challenge (RFC 7636).
    ///     login_window_self: asks for the login in the same window.
    ///     version_id: the version of an app that is not published.
    ///
    /// Raises `hoopauth.Config` if something is missing or wrong.
    #[pyo3(signature = (*, redirect_uri=None, scopes=None, pkce=false, login_window_self=false,
        version_id=None))]
    fn authorization_request(
        slf: &Bound<'_, Self>,
        py: Python<'_>,
        redirect_uri: Option<Str<'_, arg::redirect_uri>>,
        scopes: Option<Words<arg::scopes>>,
        pkce: bool,
        login_window_self: bool,
        version_id: Option<Str<'_, arg::version_id>>,
    ) -> PyResult<PendingAuthorization> {
        refuse_reentry(py)?;
        let core = slf.get().live.core(py)?;
        let (pending, cause) = watched(|| {
            let mut request = core.client.authorization_request()?;
            if let Some(redirect_uri) = redirect_uri {
                request = request.redirect_uri(&redirect_uri);
            }
            if let Some(scopes) = scopes {
                request = request.scopes(scopes.iter());
            }
            if let Some(version_id) = version_id {
                request = request.version_id(&version_id);
            }
            core.client.begin(request.pkce(pkce).login_window_self(login_window_self))
        });
        let pending = pending.map_err(|error| exception(py, &error, cause))?;
        Ok(PendingAuthorization::new(pending, owner(slf)))
    }

    /// Opens what `PendingAuthorization.seal()` made. Raises `hoopauth.StateMismatch` if another
    /// app made it or it was changed.
    fn open_pending(
        slf: &Bound<'_, Self>,
        sealed: Str<'_, arg::sealed>,
    ) -> PyResult<PendingAuthorization> {
        let sealed = sealed.to_owned();
        let pending =
            call(slf.py(), &slf.get().live, None, move |client| client.open_pending(&sealed))?;
        Ok(PendingAuthorization::new(pending, owner(slf)))
    }

    /// Completes an authorization with the redirect by which the user came back: the whole URL, or
    /// its query.
    ///
    /// Checks `state` (once only), exchanges the code and stores the grant. Returns the account of
    /// the grant. Raises `hoopauth.StateMismatch`, `hoopauth.AuthorizationDenied`,
    /// `hoopauth.WrongTokenClass`, and the token endpoint's errors.
    #[pyo3(signature = (pending, redirect, *, timeout=None, context=None))]
    fn complete(
        &self,
        py: Python<'_>,
        pending: &Bound<'_, PendingAuthorization>,
        redirect: Str<'_, arg::redirect>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<String> {
        let redirect = redirect.to_owned();
        let context = of_call(py, timeout, context)?;
        let pending = pending.get().inner.clone();
        let account =
            call(py, &self.live, context, move |client| client.complete(&pending, &redirect))?;
        Ok(account.as_str().to_owned())
    }

    /// Completes an installation that began on the marketplace page and so carries no `state`.
    ///
    /// Without `state` anybody can bring the code of a foreign account. So `expected` names the
    /// account that the code must be for. Any other account raises `hoopauth.WrongAccount` and is
    /// not stored.
    #[pyo3(signature = (code, expected, *, timeout=None, context=None))]
    fn complete_unsolicited(
        &self,
        py: Python<'_>,
        code: Str<'_, arg::code>,
        expected: Str<'_, arg::expected>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<String> {
        let code = code.to_owned();
        let context = of_call(py, timeout, context)?;
        let expected = raised(py, Account::parse(&expected))?;
        let account = call(py, &self.live, context, move |client| {
            client.complete_unsolicited(&code, &expected)
        })?;
        Ok(account.as_str().to_owned())
    }

    /// Mints a location's grant from its company's, and stores it.
    #[pyo3(signature = (location, company, *, timeout=None, context=None))]
    fn mint(
        &self,
        py: Python<'_>,
        location: Str<'_, arg::location>,
        company: Str<'_, arg::company>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<()> {
        let context = of_call(py, timeout, context)?;
        let (location, company) =
            (raised(py, Account::parse(&location))?, raised(py, Account::parse(&company))?);
        call(py, &self.live, context, move |client| client.mint(&location, &company))
    }

    /// Returns all locations that a company installed the app in.
    #[pyo3(signature = (company, *, timeout=None, context=None))]
    fn installed_locations(
        &self,
        py: Python<'_>,
        company: Str<'_, arg::company>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Vec<InstalledLocation>> {
        let context = of_call(py, timeout, context)?;
        let company = raised(py, Account::parse(&company))?;
        let locations =
            call(py, &self.live, context, move |client| client.installed_locations(&company))?;
        Ok(locations.into_iter().map(InstalledLocation::from).collect())
    }

    /// Mints a grant for each location that a company installed the app in and that has none. A new
    /// run after a break continues there. Ctrl-C, `timeout=` and `context=` end the run after the
    /// current location.
    ///
    /// Args:
    ///     company: `company:<id>`.
    ///     progress: called with a `hoopauth.MintProgress` after each location, on any thread.
    ///         False ends the run. An exception ends it, too, and is raised here.
    #[pyo3(signature = (company, progress=None, *, timeout=None, context=None))]
    fn mint_all(
        &self,
        py: Python<'_>,
        company: Str<'_, arg::company>,
        progress: Option<Py<PyAny>>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<MintSummary> {
        let context = of_call(py, timeout, context)?;
        let company = raised(py, Account::parse(&company))?;
        installed::mint_all(py, &self.live, company, progress, context)
    }

    /// Sends an API request with the headers of its account, repeats it if that can help, and
    /// returns the answer.
    ///
    /// Args:
    ///     method: the request's method.
    ///     path: a path below `api_base`, such as `/contacts/`, or an absolute URL on one of the
    ///         configured hosts.
    ///     account: the account of the headers; the option `default_account` if left out.
    ///     params: query parameters, a mapping or pairs; a list as the value repeats the name, None
    ///         leaves it out.
    ///     json: a body that is written as JSON.
    ///     data: a raw body, text or bytes.
    ///     headers: further headers, a mapping or pairs. `Authorization`, `Version`, `User-Agent`,
    ///         `Host` and those of the connection are the library's.
    ///     version: another `Version` than the option `api_version`.
    ///     timeout: seconds for the request with all its tries and waits, instead of the option
    ///         `timeout`.
    ///     max_body: the longest body to accept, in bytes, instead of the option
    ///         `max_response_bytes`.
    ///     any_status: gives an answer with any status, not only 2xx.
    ///     repeatable: declares that the request may be sent twice: a POST or PATCH is then tried
    ///         again like a GET.
    ///     context: a deadline or switch shared with other calls.
    ///
    /// Raises the errors of `headers`. An answer that is not 2xx raises its own exception:
    /// `hoopauth.InsufficientScope`, `hoopauth.WrongTokenClass`, `hoopauth.WrongAccount`,
    /// `hoopauth.RateLimited`, ..., `hoopauth.HttpStatus` for all else. The answer is its
    /// `response`.
    #[pyo3(signature = (
        method, path, *, account=None, params=None, json=None, data=None, headers=None,
        version=None, timeout=None,
        max_body=None, any_status=false, repeatable=false, context=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    fn request(
        &self,
        py: Python<'_>,
        method: Str<'_, arg::method>,
        path: Str<'_, arg::path>,
        account: Option<Str<'_, arg::account>>,
        params: Option<&Bound<'_, PyAny>>,
        json: Option<&Bound<'_, PyAny>>,
        data: Option<Data<arg::data>>,
        headers: Option<&Bound<'_, PyAny>>,
        version: Option<Str<'_, arg::version>>,
        timeout: Option<Seconds>,
        max_body: Option<Whole>,
        any_status: bool,
        repeatable: bool,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Response> {
        let context = of_call(py, None, context)?;
        let sending = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            account: account.map(|account| account.to_owned()),
            params: params.map_or_else(|| Ok(Vec::new()), request::params)?,
            headers: request::headers(headers, json.is_some())?,
            body: request::body(py, json, data)?,
            version: version.map(|version| version.to_owned()),
            timeout: request::timeout(py, timeout)?,
            max_body: request::max_body(py, max_body)?,
            any_status,
            repeatable,
        };
        let response = call(py, &self.live, context, move |client| sending.send(client))?;
        Ok(Response::new(py, &response))
    }

    /// Returns the API's limits of an account, as the last answer told them to `request` or
    /// `report`; None before the first answer. Never waits.
    fn rate_limit(
        &self,
        py: Python<'_>,
        account: Str<'_, arg::account>,
    ) -> PyResult<Option<RateLimit>> {
        Ok(self.live.core(py)?.client.rate_limit(&account).map(RateLimit::from))
    }

    /// The option whose Private Integration token the platform refused: put another token there.
    /// None if no token was refused, or if that token works again.
    #[getter]
    fn refused_private_integration_token(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        Ok(self.live.core(py)?.client.refused_private_integration_token())
    }

    /// Keeps the limits that an answer tells if it has nothing to do with authentication and its
    /// request carried a token. For the adapters; quick.
    #[pyo3(name = "_note_limits")]
    fn note_limits(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        status: u16,
        answer_headers: &Bound<'_, PyAny>,
        account: Option<Str<'_, arg::account>>,
    ) -> PyResult<()> {
        self.take_limits(py, headers, status, answer_headers, account.as_deref())
    }

    /// Makes a verifier of webhooks for this client's app. It accepts the app's own events only.
    /// The client's store remembers the handled events, for all who share the store.
    ///
    /// Options are keyword arguments; `hoopauth.WebhookOptions` documents them. A wrong one raises
    /// `hoopauth.Config`.
    ///
    /// Args:
    ///     keys: `hoopauth.WebhookKey`s beside the platform's own.
    #[pyo3(signature = (keys=None, **options))]
    fn webhook_verifier(
        slf: &Bound<'_, Self>,
        keys: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<WebhookVerifier> {
        WebhookVerifier::make(slf.py(), keys, None, options, Some(owner(slf)))
    }

    /// Changes the grants of this client as a verified INSTALL or UNINSTALL demands. A second call
    /// changes nothing.
    ///
    /// Returns the outcome: `"nothing"`, `"minted"` (a location's grant), `"remembered"` (it is
    /// minted once its company's grant is there), `"removed"`, or `"outdated"` (an UNINSTALL older
    /// than the grant's authorization is ignored).
    #[pyo3(signature = (delivery, *, timeout=None, context=None))]
    fn apply(
        &self,
        py: Python<'_>,
        delivery: &Bound<'_, WebhookDelivery>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<&'static str> {
        let context = of_call(py, timeout, context)?;
        let event = delivery.get().event();
        call(py, &self.live, context, move |client| client.apply(&event)).map(Applied::name)
    }

    /// Reads the answer to a request that was sent with `headers`.
    ///
    /// Returns None if the answer has nothing to do with authentication. After a 401 that a refresh
    /// cured, it returns the headers with which to repeat the request once. A refusal that a
    /// refresh can't cure raises its own exception: `hoopauth.InsufficientScope`,
    /// `hoopauth.WrongTokenClass`, `hoopauth.WrongAccount`, `hoopauth.RateLimited`, ...
    ///
    /// Args:
    ///     headers: the headers that were sent.
    ///     status: the answer's HTTP status.
    ///     answer_headers: the answer's headers, a mapping.
    ///     body: the answer's body; the first kilobytes are enough.
    ///     method, url: of the request: with both, the error names the scope or the class that the
    ///         operation needs.
    ///     account: the account of the headers; the option `default_account` if left out.
    #[pyo3(signature = (
        headers, status, answer_headers=None, body=None, method=None, url=None, *, account=None,
        timeout=None, context=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    fn report<'py>(
        &self,
        py: Python<'py>,
        headers: &Bound<'py, PyAny>,
        status: Whole,
        answer_headers: Option<&Bound<'py, PyAny>>,
        body: Option<Data<arg::body>>,
        method: Option<Str<'_, arg::method>>,
        url: Option<Str<'_, arg::url>>,
        account: Option<Str<'_, arg::account>>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'py, Context>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let sent = method.as_deref().zip(url.as_deref());
        let account = account.as_deref();
        let report = self.report_to_core(
            py,
            headers,
            status,
            answer_headers,
            body,
            sent,
            account,
            timeout,
            context,
        )?;
        match report {
            Report::Repeat(headers) => self.repeat_dict(py, &headers).map(Some),
            _ => Ok(None),
        }
    }

    /// Imports a grant from elsewhere. Returns `"imported"`; `"known"` if its refresh token was
    /// ever seen for this account, so that an app may import its seed at every start; or `"kept"`
    /// if another live grant is there and `replace` is not said.
    #[pyo3(signature = (grant, *, replace=false, timeout=None, context=None))]
    fn import_grant(
        &self,
        py: Python<'_>,
        grant: &Bound<'_, Grant>,
        replace: bool,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<&'static str> {
        let context = of_call(py, timeout, context)?;
        let grant = grant.get().inner.clone();
        let import = call(py, &self.live, context, move |client| client.import(grant, replace))?;
        Ok(match import {
            Import::Imported => "imported",
            Import::Known => "known",
            _ => "kept",
        })
    }

    /// Returns the stored grant of an account, tokens included, for moving it elsewhere. Raises
    /// `hoopauth.NoGrant`.
    #[pyo3(signature = (account, *, timeout=None, context=None))]
    fn export_grant(
        &self,
        py: Python<'_>,
        account: Str<'_, arg::account>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Grant> {
        let context = of_call(py, timeout, context)?;
        let account = raised(py, Account::parse(&account))?;
        let inner = call(py, &self.live, context, move |client| client.export(&account))?;
        Ok(Grant { inner })
    }

    /// Returns the accounts that have a grant, sorted.
    #[pyo3(signature = (*, timeout=None, context=None))]
    fn accounts(
        &self,
        py: Python<'_>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Vec<String>> {
        let context = of_call(py, timeout, context)?;
        let accounts = call(py, &self.live, context, hoopauth::Client::accounts)?;
        Ok(accounts.iter().map(|account| account.as_str().to_owned()).collect())
    }

    /// Removes an account's grant. Returns True if there was one.
    #[pyo3(signature = (account, *, timeout=None, context=None))]
    fn remove(
        &self,
        py: Python<'_>,
        account: Str<'_, arg::account>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<bool> {
        let context = of_call(py, timeout, context)?;
        let account = raised(py, Account::parse(&account))?;
        call(py, &self.live, context, move |client| client.remove(&account))
    }

    /// Returns the state of an account's grant. Raises `hoopauth.NoGrant`.
    #[pyo3(signature = (account, *, timeout=None, context=None))]
    fn health(
        &self,
        py: Python<'_>,
        account: Str<'_, arg::account>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Health> {
        let context = of_call(py, timeout, context)?;
        let account = raised(py, Account::parse(&account))?;
        call(py, &self.live, context, move |client| client.health(&account)).map(Health::from)
    }

    /// Renews tokens ahead of their end, within the budget, until `until` (seconds since the epoch,
    /// by the client's clock; `math.inf`: until the client is closed). Living tokens come first,
    /// whichever ends first; accounts that keep failing share a tenth of the budget.
    ///
    /// Blocks; Ctrl-C, `timeout=` and `context=` end it, after the refresh under way. Raises
    /// `hoopauth.InvalidState` without OAuth and once the client is closed.
    #[pyo3(signature = (until, *, timeout=None, context=None))]
    fn maintain(
        &self,
        py: Python<'_>,
        until: Seconds,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<()> {
        let context = of_call(py, timeout, context)?;
        if until.0.is_nan() {
            return Err(refused(
                py,
                "`until` is not a number: give seconds since the epoch, or math.inf for no end",
            ));
        }
        let until = timestamp(until.0);
        // Unlike other calls it does not go on without its caller.
        let own = hoopauth::Context::new();
        let inner = own.clone();
        let result = call(py, &self.live, Some(context.unwrap_or_default()), move |client| {
            client.maintain_within(until, &inner)
        });
        own.cancel();
        result
    }

    /// Does the same as `maintain` on a thread of its own, until `stop()`, the end of the `with`
    /// block, or `close()`. Keep the result: maintenance stops when nothing holds it any more.
    fn maintain_in_background(slf: &Bound<'_, Self>) -> PyResult<Maintenance> {
        let py = slf.py();
        refuse_reentry(py)?;
        let core = slf.get().live.core(py)?;
        let busy = slf.get().live.busy();
        let maintenance = raised(py, core.client.maintain_in_background_holding(busy))?;
        Ok(Maintenance::new(maintenance, owner(slf)))
    }

    /// Makes an `auth=` object for requests (`pip install hoopauth[requests]`); see
    /// `hoopauth._requests.Auth`.
    ///
    /// Args:
    ///     account: `location:<id>` or `company:<id>`; the option `default_account` if left out.
    ///         Raises `hoopauth.InvalidArgument` for anything else.
    #[pyo3(signature = (account=None))]
    fn requests_auth<'py>(
        slf: &Bound<'py, Self>,
        account: Option<Str<'_, arg::account>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        adapter(slf, "requests", account.as_deref())
    }

    /// Makes an `auth=` object for httpx, sync and async (`pip install hoopauth[httpx]`); see
    /// `hoopauth._httpx.Auth`.
    ///
    /// Args:
    ///     account: `location:<id>` or `company:<id>`; the option `default_account` if left out.
    ///         Raises `hoopauth.InvalidArgument` for anything else.
    #[pyo3(signature = (account=None))]
    fn httpx_auth<'py>(
        slf: &Bound<'py, Self>,
        account: Option<Str<'_, arg::account>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        adapter(slf, "httpx", account.as_deref())
    }

    /// Saves unsaved grants and ends this client; later calls raise `hoopauth.InvalidState`. A
    /// second `close()` does nothing.
    ///
    /// Waits for calls that go on without their callers, at most for the option `timeout`. The end
    /// of the interpreter closes open clients.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        refuse_reentry(py)?;
        match self.live.close() {
            Some(client) => {
                let busy = self.live.busy();
                detached(py, move || {
                    let closed = client.close();
                    drop(busy);
                    closed
                })
            }
            None => Ok(()),
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind=None, value=None, traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (kind, value, traceback);
        self.close(py)
    }

    fn __repr__(&self) -> String {
        format!("<hoopauth.Client{}>", if self.live.is_closed() { " closed" } else { "" })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a hoopauth.Client can't be pickled or copied, because it holds secrets and \
             connections: make one in each process",
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.live.visit(&visit)
    }

    fn __clear__(&self) {
        self.live.clear();
    }
}

impl Client {
    fn build(
        py: Python<'_>,
        builder: ClientBuilder,
        token_store: Option<Py<PyAny>>,
        transport: Option<Py<PyAny>>,
        clock: Option<Py<PyAny>>,
        on_change: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let slot = |option, name, object: Option<Py<PyAny>>| {
            object.map(|object| Arc::new(Slot::new(option, name, object)))
        };
        let objects = Objects {
            store: slot("token_store", "store", token_store),
            transport: slot("transport", "transport", transport),
            clock: slot("clock", "clock", clock),
            on_change: slot("on_change", "hook", on_change),
        };
        let has_clock = objects.clock.is_some();
        let live = Arc::new(Live::new(py, builder.language("python"), objects)?);
        live::note(&live);
        Ok(Self { live, has_clock, constants: PyOnceLock::new() })
    }

    /// Tells the core about an answer. `request`: method and URL.
    #[allow(clippy::too_many_arguments, reason = "each has a name in Python")]
    pub(crate) fn report_to_core(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        status: Whole,
        answer_headers: Option<&Bound<'_, PyAny>>,
        body: Option<Data<arg::body>>,
        request: Option<(&str, &str)>,
        account: Option<&str>,
        timeout: Option<Seconds>,
        context: Option<&Bound<'_, Context>>,
    ) -> PyResult<Report> {
        let context = of_call(py, timeout, context)?;
        let status = status.status().ok_or_else(|| {
            refused(py, "`status` is not an HTTP status: give a whole number from 100 to 599")
        })?;
        let sent = pairs(headers)?;
        let answer_headers = answer_headers.map_or_else(|| Ok(Vec::new()), pairs)?;
        let body = body.map(|body| body[..body.len().min(BODY_READ)].to_vec()).unwrap_or_default();
        let account = account.map(str::to_owned);
        let request = request.map(|(method, url)| (method.to_owned(), url.to_owned()));
        call(py, &self.live, context, move |client| {
            let find = |name: &str| {
                sent.iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.as_str())
            };
            let account =
                account.as_deref().or_else(|| client.default_account()).ok_or_else(|| {
                    Error::new(
                        ErrorCode::Config,
                        "no account is named and `default_account` is not \
                                               set: pass `account=`, or set the option",
                    )
                })?;
            let like = if find("content-type").is_some() { "POST" } else { "GET" };
            let mut headers =
                client.sent_headers(account, like, find("authorization").unwrap_or_default())?;
            if let Some(version) = find("version").filter(|version| *version != headers.version()) {
                headers = headers.with_version(version)?;
            }
            let answer_headers: Vec<_> = answer_headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            match &request {
                Some((method, url)) => {
                    client.report_request(&headers, method, url, status, &answer_headers, &body)
                }
                _ => client.report(&headers, status, &answer_headers, &body),
            }
        })
    }

    /// Headers for a repeat, with the version of the refused request.
    pub(crate) fn repeat_dict<'py>(
        &self,
        py: Python<'py>,
        headers: &Headers,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.dict(py, headers)?;
        dict.set_item(intern!(py, "Version"), headers.version())?;
        Ok(dict)
    }

    /// Returns `true` if the token may be sent to this URL.
    pub(crate) fn may_go_to(&self, py: Python<'_>, url: &str) -> bool {
        self.live.core(py).is_ok_and(|core| core.client.check_url(url).is_ok())
    }

    /// Keeps the limits that an answer tells, if its request carried a token.
    pub(crate) fn take_limits(
        &self,
        py: Python<'_>,
        headers: &Bound<'_, PyAny>,
        status: u16,
        answer_headers: &Bound<'_, PyAny>,
        account: Option<&str>,
    ) -> PyResult<()> {
        let limits = prefixed(answer_headers, "x-ratelimit-")?;
        let core = self.live.current();
        let Some(client) = core.as_ref().map(|core| &core.client).filter(|client| {
            !limits.is_empty() || matches!(status, 200..=299) && client.any_refused_token()
        }) else {
            return Ok(());
        };
        let token = headers.call_method1(intern!(py, "get"), (intern!(py, "Authorization"),))?;
        let Ok(token) = token.cast::<PyString>() else { return Ok(()) };
        // Whatever it is, it was not ours.
        let Ok(token) = token.to_str() else { return Ok(()) };
        let pairs: Vec<_> =
            limits.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // Nothing depends on it.
        let _ = watched(|| {
            let account = account.or_else(|| client.default_account()).unwrap_or_default();
            client.report(&client.sent_headers(account, "GET", token)?, status, &pairs, b"")
        });
        Ok(())
    }

    #[inline]
    fn fresh<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        account: Option<&str>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        refuse_reentry(py)?;
        let core = self.live.current();
        let Some(client) = core.as_ref().map(|core| &core.client) else { return Ok(None) };
        let Some(account) = account.or_else(|| client.default_account()) else { return Ok(None) };
        let headers = if self.has_clock {
            let (headers, cause) = watched(|| Ok(client.fresh_headers(account, method)));
            headers.map_err(|error| exception(py, &error, cause))?
        } else {
            client.fresh_headers(account, method)
        };
        headers.map(|headers| self.dict(py, &headers)).transpose()
    }

    /// A dict of the caller's own. Only the bearer is made afresh.
    #[inline]
    fn dict<'py>(&self, py: Python<'py>, headers: &Headers) -> PyResult<Bound<'py, PyDict>> {
        let constants = match self.constants.get(py) {
            Some(constants) => constants,
            None => self.constants(py, headers)?,
        };
        let template =
            if headers.content_type().is_some() { &constants.with_body } else { &constants.bare };
        let dict = template.bind(py).copy()?;
        dict.set_item(intern!(py, "Authorization"), PyString::new(py, headers.authorization()))?;
        Ok(dict)
    }

    #[cold]
    fn constants(&self, py: Python<'_>, headers: &Headers) -> PyResult<&Constants> {
        self.constants.get_or_try_init(py, || {
            let bare = PyDict::new(py);
            bare.set_item(intern!(py, "Authorization"), py.None())?;
            bare.set_item(intern!(py, "Version"), headers.version())?;
            bare.set_item(intern!(py, "User-Agent"), headers.user_agent())?;
            let with_body = bare.copy()?;
            with_body.set_item(intern!(py, "Content-Type"), "application/json")?;
            Ok(Constants { bare: bare.unbind(), with_body: with_body.unbind() })
        })
    }
}

fn owner(client: &Bound<'_, Client>) -> Owner {
    Owner::new(&client.get().live, client)
}

fn adapter<'py>(
    client: &Bound<'py, Client>,
    library: &str,
    account: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = client.py();
    if let Some(account) = account {
        raised(py, Account::parse(account))?;
    }
    py.import("hoopauth._auth")?.call_method1("auth", (library, client, account))
}

const BODY_READ: usize = 65_536;
