//! The choice of a request's headers before it is sent: account, class, scopes and `Version`.

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::method::Method;
use super::outgoing::Outgoing;
use crate::account::{Account, AccountKind, NO_ACCOUNT};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::installs::{MintFor, mint_installed};
use crate::operations::Operation;
use crate::patience::{Patience, QUICK};
use crate::refresh::mint_grant;
use crate::refusal::{ApiCall, TokenKind};
use crate::serve::headers_for;
use crate::settings::ScopePreflight;
use crate::snapshot::{Served, Snapshot};

/// Finds the headers of a request, refuses what the platform would refuse, and chooses the
/// `Version`.
///
/// With a fresh token and the options' defaults that costs one lookup, and copies nothing.
pub(super) fn prepare(inner: &Arc<Inner>, request: &Outgoing<'_>) -> Result<Headers> {
    let settings = inner.settings();
    let Some(name) = request.account else { return Err(Error::config(NO_ACCOUNT)) };
    let mut headers = match request.operation {
        Some(operation) => headers_of_class(inner, name, operation, request)?,
        None => headers_or_minted(inner, name, request.method)?,
    };
    if let Some(operation) = request.operation
        && settings.scope_preflight != ScopePreflight::Off
    {
        check_scope(inner, &headers, operation)?;
    }
    let documented =
        request.operation.filter(|_| settings.documented_version).and_then(Operation::version);
    if let Some(version) = request.version.or(documented)
        && version != headers.version()
    {
        headers = headers.with_version(version)?;
    }
    Ok(headers)
}

/// Returns the headers of `name`, or those of the location in the request if only locations may
/// call the operation.
fn headers_of_class(
    inner: &Arc<Inner>,
    name: &str,
    operation: Operation,
    request: &Outgoing<'_>,
) -> Result<Headers> {
    if inner.refresher.credential.is_static() {
        // The account of a static token is known only if the program named it.
        let refused =
            inner.settings().default_account.as_ref().filter(|own| !operation.allows(own.kind()));
        let headers = headers_for(inner, name, request.method.bytes())?;
        return match refused {
            Some(account) => Err(call_of(inner, Some(account), operation).wrong_class()),
            None => Ok(headers),
        };
    }
    let class = AccountKind::of_name(name);
    if class.is_none_or(|class| operation.allows(class)) {
        return headers_or_minted(inner, name, request.method);
    }
    let account = Account::parse(name)?;
    let call = call_of(inner, Some(&account), operation);
    if account.kind() != AccountKind::Company {
        return Err(call.wrong_class());
    }
    let Some(location) = request.location(operation)? else { return Err(call.wrong_class()) };
    let headers = match headers_for(inner, location.as_str(), request.method.bytes()) {
        Err(error) if is_about(&error, &location) => {
            serving(mint_first(inner, &location, Some(&account), error)?, request.method)
        }
        headers => headers?,
    };
    // A company's token must not be used for another company's locations.
    match inner.grants().facts_of(headers.snapshot())?.company_id {
        Some(of) if *of == *account.id() => Ok(headers),
        Some(_) => Err(Error::new(
            ErrorCode::WrongAccount,
            "the request names a location that does not belong to the company it is sent for: \
                 name that location's own company, or the location itself",
        )
        .with_account(&location)),
        None => Ok(serving(mint_anew(inner, &location, &account)?, request.method)),
    }
}

/// Returns the headers of an account. Mints a location of which nothing is stored.
fn headers_or_minted(inner: &Arc<Inner>, name: &str, method: Method) -> Result<Headers> {
    match headers_for(inner, name, method.bytes()) {
        Err(error) if error.code() == ErrorCode::NoGrant => {
            let location = Account::parse(name)?;
            if location.kind() != AccountKind::Location || !is_about(&error, &location) {
                return Err(error);
            }
            Ok(serving(mint_first(inner, &location, None, error)?, method))
        }
        headers => headers,
    }
}

fn call_of<'a>(
    inner: &Arc<Inner>,
    account: Option<&'a Account>,
    operation: Operation,
) -> ApiCall<'a> {
    ApiCall {
        account,
        operation: Some(operation),
        token: TokenKind::of(&inner.refresher.credential),
        bearer: "",
    }
}

/// Mints a location of which nothing is stored from its company, if the client has that. Returns
/// `error` otherwise, and for a location that was removed.
fn mint_first(
    inner: &Arc<Inner>,
    location: &Account,
    company: Option<&Account>,
    error: Error,
) -> Result<Arc<Snapshot>> {
    let _call = inner.begin_call();
    match inner.grants().load(location)? {
        None => {}
        Some(record) if record.grant.is_some() => return inner.refresher.obtain(location),
        Some(_) => return Err(error),
    }
    let company = match company {
        Some(company) => company.clone(),
        None => match own_company(inner)? {
            Some(company) => company,
            None => return Err(error),
        },
    };
    mint_installed(&inner.refresher, location, &company, MintFor::Request)?;
    inner.refresher.serve(location)
}

/// Mints a location whose grant does not name its company. Only its own company can mint it, and
/// the new grant names that.
fn mint_anew(inner: &Arc<Inner>, location: &Account, company: &Account) -> Result<Arc<Snapshot>> {
    let _call = inner.begin_call();
    let grant =
        mint_grant(&inner.refresher, company, location, None, inner.settings().attempt_timeout)?;
    inner.refresher.adopt(grant);
    inner.refresher.serve(location)
}

/// Returns the company from which locations are minted if the request names none: the default
/// account, or the only company that is stored.
fn own_company(inner: &Arc<Inner>) -> Result<Option<Account>> {
    match inner
        .settings()
        .default_account
        .as_ref()
        .filter(|account| account.kind() == AccountKind::Company)
    {
        Some(default) => Ok(Some(default.clone())),
        None => only_company(inner),
    }
}

/// Refuses an operation that the token's scopes do not cover, or logs a warning.
fn check_scope(inner: &Arc<Inner>, headers: &Headers, operation: Operation) -> Result<()> {
    let error = match &inner.refresher.credential {
        Credential::PrivateIntegration(_) if !operation.allows_private_integration() => {
            let account = Account::parse(headers.account()).ok();
            call_of(inner, account.as_ref(), operation).wrong_class()
        }
        Credential::OAuth { .. } => {
            let Some(scope) = operation.scope() else { return Ok(()) };
            // The token is at hand, so a store that hangs delays the request only for a moment.
            let quick = Patience::of(QUICK);
            let facts = inner.grants().facts_of(headers.snapshot());
            drop(quick);
            let scopes = match facts {
                Ok(facts) => facts.scopes,
                Err(error) => {
                    tracing::debug!(%error, "the scopes of a grant can't be read; the request is \
                                             sent");
                    return Ok(());
                }
            };
            if scopes.is_empty() || scopes.iter().any(|own| own == scope) {
                return Ok(());
            }
            let account = Account::parse(headers.account()).ok();
            call_of(inner, account.as_ref(), operation).lacks_scope()
        }
        _ => return Ok(()),
    };
    if inner.settings().scope_preflight == ScopePreflight::Refuse {
        return Err(error);
    }
    tracing::warn!(account = headers.account(), %error, "the platform will refuse this request");
    Ok(())
}

/// Returns the company whose grant is stored, if there is exactly one.
fn only_company(inner: &Inner) -> Result<Option<Account>> {
    let mut companies = inner.grants().companies()?;
    let company = companies.pop();
    Ok(company.filter(|_| companies.is_empty()))
}

impl Outgoing<'_> {
    /// Returns the location that the request names: in its path, else its query, else its JSON
    /// body.
    fn location(&self, operation: Operation) -> Result<Option<Account>> {
        let in_path = self
            .target
            .below()
            .and_then(|path| operation.location_id(path))
            .map(|id| percent_decode_str(id).decode_utf8().unwrap_or(Cow::Borrowed(id)));
        let id = in_path.or_else(|| self.location_in_query()).or_else(|| self.location_in_body());
        id.map(|id| Account::location(&id)).transpose()
    }

    fn location_in_query(&self) -> Option<Cow<'_, str>> {
        let value = |name: &str| {
            let found = self.query.iter().find(|(own, value)| own == name && !value.is_empty());
            found.map(|(_, value)| Cow::Borrowed(value.as_str()))
        };
        // Some operations spell it so.
        let location = value("locationId").or_else(|| value("location_id"));
        LocationMembers { location, alternative: value("altId"), kind: value("altType") }.location()
    }

    fn location_in_body(&self) -> Option<Cow<'_, str>> {
        let is_object = self.body.trim_ascii_start().first() == Some(&b'{');
        if !is_object || self.body.len() > LONGEST_BODY {
            return None;
        }
        serde_json::from_slice::<LocationMembers<'_>>(&self.body).ok()?.location()
    }
}

/// The members that name a request's location.
#[derive(Deserialize)]
struct LocationMembers<'a> {
    #[serde(borrow, rename = "locationId", alias = "location_id")]
    location: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "altId")]
    alternative: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "altType")]
    kind: Option<Cow<'a, str>>,
}

impl<'a> LocationMembers<'a> {
    fn location(self) -> Option<Cow<'a, str>> {
        let is_location = self.kind.as_deref() == Some("location");
        self.location.or(self.alternative.filter(|_| is_location)).filter(|id| !id.is_empty())
    }
}

/// Returns `true` if nothing is stored of this very location.
fn is_about(error: &Error, location: &Account) -> bool {
    error.code() == ErrorCode::NoGrant && error.account() == Some(location)
}

fn serving(snapshot: Arc<Snapshot>, method: Method) -> Headers {
    Headers::new(Served::from_inner(snapshot), method.bytes())
}

/// The longest JSON body that is searched for its location.
const LONGEST_BODY: usize = 1 << 20;
