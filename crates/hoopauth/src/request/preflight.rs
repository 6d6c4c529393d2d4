//! What a request needs before it is sent: whose token, of which class, with which scopes, and
//! which `Version`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::account::{Account, AccountKind};
use crate::snapshot::{Served, Snapshot};
use crate::client::{Client, NO_ACCOUNT};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::operations::Operation;
use crate::options::OptionSet;
use crate::patience::{Patience, QUICK};
use crate::request::report::{Asked, TokenKind};
use crate::sync::{Mutex, lock};
use crate::webhook::MintFor;

/// A request that is about to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// Whose token is asked for; else the default account's.
    pub(crate) account: Option<&'a str>,
    /// In capitals.
    pub(crate) method: &'a str,
    /// The path below `api_base`, from its `/` on, encoded as it is sent, without the query. `None`
    /// for a URL that is not below it.
    pub(crate) path: Option<&'a str>,
    /// The query, decoded.
    pub(crate) query: &'a [(String, String)],
    /// The body, if there is one.
    pub(crate) body: Option<&'a [u8]>,
    /// The `Version` that the caller asks for.
    pub(crate) version: Option<&'a str>,
}

/// What it is sent with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) headers: Headers,
    pub(crate) operation: Option<Operation>,
}

impl Client {
    /// Finds the token for a request, refuses what the platform would refuse, and chooses the
    /// `Version`.
    ///
    /// With a fresh token and the options' defaults it costs two lookups, and nothing is copied.
    pub(crate) fn prepare(&self, request: &Outgoing<'_>) -> Result<Prepared> {
        let settings = &self.inner.settings;
        let operation = request.path.and_then(|path| Operation::find_path(request.method, path));
        let Some(name) = request.account.or_else(|| self.default_account()) else {
            return Err(Error::config(NO_ACCOUNT));
        };
        let mut headers = match operation {
            Some(operation) => self.headers_of_class(name, operation, request)?,
            None => self.headers_or_minted(name, request.method)?,
        };
        if let Some(operation) = operation
            && settings.scope_preflight != ScopePreflight::Off
        {
            self.inner.check_scope(&headers, operation)?;
        }
        let documented =
            operation.filter(|_| settings.documented_version).and_then(Operation::version);
        if let Some(version) = request.version.or(documented)
            && version != headers.version()
        {
            headers = headers.with_version(version)?;
        }
        Ok(Prepared { headers, operation })
    }

    /// The headers of `name`, or of the location that the request names where only those may call
    /// the operation.
    fn headers_of_class(
        &self,
        name: &str,
        operation: Operation,
        request: &Outgoing<'_>,
    ) -> Result<Headers> {
        let inner = &self.inner;
        if inner.credential.is_static() {
            // What a static token speaks for is known only where the program said so.
            let refused =
                inner.default_account.as_ref().filter(|own| !operation.allows(own.kind()));
            let headers = self.headers_for(name, request.method)?;
            return match refused {
                Some(account) => Err(inner.asked(Some(account), operation).wrong_class()),
                None => Ok(headers),
            };
        }
        let class = AccountKind::of_name(name);
        if class.is_none_or(|class| operation.allows(class)) {
            return self.headers_or_minted(name, request.method);
        }
        let account = Account::parse(name)?;
        let asked = inner.asked(Some(&account), operation);
        if account.kind() != AccountKind::Company {
            return Err(asked.wrong_class());
        }
        let Some(location) = request.location(operation)? else { return Err(asked.wrong_class()) };
        let headers = match self.headers_for(location.as_str(), request.method) {
            Err(error) if is_about(&error, &location) => {
                serving(inner.mint_first(&location, Some(&account), error)?, request.method)
            }
            headers => headers?,
        };
        // Who may speak for a company may not speak for another one's locations.
        match inner.facts(headers.snapshot())?.company_id {
            Some(of) if *of == *account.id() => Ok(headers),
            Some(_) => Err(Error::new(
                ErrorCode::WrongAccount,
                "the request names a location that does not belong to the company it is sent for: name that location's own company, or \
                 the location itself",
            )
            .with_account(&location)),
            None => Ok(serving(inner.mint_anew(&location, &account)?, request.method)),
        }
    }

    /// The headers of an account; a location that there is nothing of is minted.
    fn headers_or_minted(&self, name: &str, method: &str) -> Result<Headers> {
        match self.headers_for(name, method) {
            Err(error) if error.code() == ErrorCode::NoGrant => {
                let location = Account::parse(name)?;
                if location.kind() != AccountKind::Location || !is_about(&error, &location) {
                    return Err(error);
                }
                Ok(serving(self.inner.mint_first(&location, None, error)?, method))
            }
            headers => headers,
        }
    }
}

impl Outgoing<'_> {
    /// The location that the request names: in its path, else its query, else its JSON body.
    fn location(&self, operation: Operation) -> Result<Option<Account>> {
        let in_path = self
            .path
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
        Ids { location, alternative: value("altId"), kind: value("altType") }.location()
    }

    fn location_in_body(&self) -> Option<Cow<'_, str>> {
        let body = self.body.filter(|body| body.len() <= LONGEST_BODY)?;
        if body.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        serde_json::from_slice::<Ids<'_>>(body).ok()?.location()
    }
}

/// Where requests name their location.
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow, rename = "locationId", alias = "location_id")]
    location: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "altId")]
    alternative: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "altType")]
    kind: Option<Cow<'a, str>>,
}

impl<'a> Ids<'a> {
    fn location(self) -> Option<Cow<'a, str>> {
        let is_location = self.kind.as_deref() == Some("location");
        self.location.or(self.alternative.filter(|_| is_location)).filter(|id| !id.is_empty())
    }
}

impl Inner {
    fn asked<'a>(&self, account: Option<&'a Account>, operation: Operation) -> Asked<'a> {
        Asked {
            account,
            operation: Some(operation),
            token: TokenKind::of(&self.credential),
            bearer: "",
        }
    }

    /// Mints a location that nothing is stored of from its company, where the client has one; else
    /// the error stands. One that was removed stays removed.
    fn mint_first(
        &self,
        location: &Account,
        company: Option<&Account>,
        error: Error,
    ) -> Result<Arc<Snapshot>> {
        let _call = self.begin_call();
        match self.load(location)? {
            None => {}
            Some(record) if record.grant.is_some() => return self.obtain(location),
            Some(_) => return Err(error),
        }
        let company = match company {
            Some(company) => company.clone(),
            None => match self.own_company()? {
                Some(company) => company,
                None => return Err(error),
            },
        };
        self.mint_installed(location, &company, MintFor::Request)?;
        self.serve(location)
    }

    /// Mints a location whose grant does not say of which company it is: only its own company can,
    /// and the new grant says it.
    fn mint_anew(&self, location: &Account, company: &Account) -> Result<Arc<Snapshot>> {
        let _call = self.begin_call();
        let grant = self.mint_grant(company, location, None, self.settings.attempt_timeout)?;
        self.adopt(grant);
        self.serve(location)
    }

    /// The company that locations are minted from where none is named: the default account, or the
    /// only one there is.
    fn own_company(&self) -> Result<Option<Account>> {
        match self.default_account.as_ref().filter(|account| account.kind() == AccountKind::Company)
        {
            Some(default) => Ok(Some(default.clone())),
            None => self.only_company(),
        }
    }

    /// Warns of what the token's scopes do not cover, or refuses it.
    fn check_scope(&self, headers: &Headers, operation: Operation) -> Result<()> {
        let error = match &self.credential {
            Credential::PrivateIntegration(_) if !operation.allows_private_integration() => {
                let account = Account::parse(headers.account()).ok();
                self.asked(account.as_ref(), operation).wrong_class()
            }
            Credential::OAuth { .. } => {
                let Some(scope) = operation.scope() else { return Ok(()) };
                // The token is at hand: a store that hangs holds its request up for a moment only.
                let quick = Patience::of(QUICK);
                let facts = self.facts(headers.snapshot());
                drop(quick);
                let scopes = match facts {
                    Ok(facts) => facts.scopes,
                    Err(error) => {
                        tracing::debug!(%error, "the scopes of a grant can't be read; the request is sent");
                        return Ok(());
                    }
                };
                if scopes.is_empty() || scopes.iter().any(|own| own == scope) {
                    return Ok(());
                }
                let account = Account::parse(headers.account()).ok();
                self.asked(account.as_ref(), operation).lacks_scope()
            }
            _ => return Ok(()),
        };
        if self.settings.scope_preflight == ScopePreflight::Refuse {
            return Err(error);
        }
        tracing::warn!(account = headers.account(), %error, "the platform will refuse this request");
        Ok(())
    }

    /// What is known of the grant behind a snapshot; read from the store once per generation.
    fn facts(&self, snapshot: &Snapshot) -> Result<Facts> {
        let account = Account::parse(snapshot.name())?;
        if let Some((grant, _)) = self.unsaved_grant(&account) {
            return Ok(self.facts.keep(snapshot.name(), None, grant.scopes, grant.company_id));
        }
        if let Some(known) = self.facts.find(snapshot.name(), snapshot.generation) {
            return Ok(known);
        }
        let record = self.load(&account)?;
        let (record, grant) = self.open_live(&account, record)?;
        let generation = Some(record.generation);
        Ok(self.facts.keep(snapshot.name(), generation, grant.scopes, grant.company_id))
    }
}

/// What `request` does before it sends what the grant's scopes do not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopePreflight {
    Off,
    Warn,
    Refuse,
}

impl ScopePreflight {
    pub(crate) fn read(options: &OptionSet) -> Self {
        match options.text("scope_preflight").as_deref() {
            Some("warn") => Self::Warn,
            Some("refuse") => Self::Refuse,
            _ => Self::Off,
        }
    }
}

/// What preflights ask of a grant, kept beside the snapshots: those of clients that ask nothing
/// stay as small as they are.
#[derive(Debug, Default)]
pub(crate) struct FactsOfGrants {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    of: HashMap<Box<str>, (u64, Facts)>,
    /// The scopes that came last: most grants of an app have the same.
    scopes: Arc<[String]>,
}

#[derive(Clone, Debug)]
struct Facts {
    scopes: Arc<[String]>,
    company_id: Option<Arc<str>>,
}

impl FactsOfGrants {
    /// What is known of a generation, or of a later one.
    fn find(&self, name: &str, generation: u64) -> Option<Facts> {
        let known = lock(&self.known);
        known.of.get(name).filter(|(of, _)| *of >= generation).map(|(_, facts)| facts.clone())
    }

    /// Keeps it, unless it is of no stored generation.
    fn keep(
        &self,
        name: &str,
        generation: Option<u64>,
        scopes: Vec<String>,
        company_id: Option<String>,
    ) -> Facts {
        let mut known = lock(&self.known);
        if *known.scopes != *scopes {
            known.scopes = scopes.into();
        }
        let facts =
            Facts { scopes: Arc::clone(&known.scopes), company_id: company_id.map(Into::into) };
        if let Some(generation) = generation {
            if known.of.len() >= MOST_KNOWN
                && !known.of.contains_key(name)
                && let Some(other) = known.of.keys().next().cloned()
            {
                known.of.remove(&other);
            }
            known.of.insert(name.into(), (generation, facts.clone()));
        }
        facts
    }
}

/// Whether the error says that there is nothing of this very location.
fn is_about(error: &Error, location: &Account) -> bool {
    error.code() == ErrorCode::NoGrant && error.account() == Some(location)
}

fn serving(snapshot: Arc<Snapshot>, method: &str) -> Headers {
    Headers::new(Served::from_inner(snapshot), method.as_bytes())
}

/// The longest JSON body that is looked into for its location.
const LONGEST_BODY: usize = 1 << 20;
/// A few megabytes, where all have scopes of their own.
const MOST_KNOWN: usize = 16_384;
