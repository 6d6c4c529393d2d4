//! Token answers: their members, and the grant that they become.
//!
//! The refresh token or the code that asked for an answer is spent when it comes. So a usable
//! access token is enough: each other member is taken if it can be read, and the stored value stays
//! where it can't.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::{Zeroize, Zeroizing};

use crate::account::{Account, AccountKind};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Grant, check_token, issued_at, plausible, within_second};
use crate::members::{Members, number, text, texts};
use crate::secret::Secret;

/// A token answer as it came: nothing is believed yet.
pub(crate) struct TokenAnswer {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) lifetime: Duration,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) user_type: Option<AccountKind>,
    pub(crate) company_id: Option<String>,
    pub(crate) location_id: Option<String>,
    pub(crate) user_id: Option<String>,
    /// `false` if it broke off: a member that is missing may have stood in the lost part.
    pub(crate) is_whole: bool,
    /// The `Date` of the answer: the platform's clock, in full seconds.
    date: Option<Timestamp>,
}

impl TokenAnswer {
    /// Adds the answer's `Date` header; one that can't be read is none.
    pub(crate) fn dated(mut self, header: Option<&str>) -> Self {
        let date = header.and_then(|text| httpdate::parse_http_date(text.trim_ascii()).ok());
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        self.date = since.and_then(|since| plausible(since.as_secs_f64()));
        self
    }

    /// Reads an answer. Each member may come in either casing (`access_token`, `accessToken`), in
    /// both, or several times: what can be used of it counts. The object may stand one level deep
    /// in another one or in a list.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let replaced;
        let body = if let Ok(text) = std::str::from_utf8(body) {
            text
        } else {
            replaced = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
            &replaced
        };
        let members = Members::read(body);
        let has_token = |members: &Members<'_>| members.find(ACCESS_TOKEN, token).is_some();
        let members =
            if has_token(&members) { Some(members) } else { members.nested().find(has_token) };
        let unusable = || {
            Error::malformed(
                "the token endpoint's answer holds no access token that can be used: check \
                 `token_url`, and whether a proxy, a firewall or a login page on the way answers \
                 in its place",
            )
        };
        let members = members.ok_or_else(unusable)?;
        let access_token = members.find(ACCESS_TOKEN, token).ok_or_else(unusable)?;
        take(&members, TOKEN_TYPE, bearer);
        Ok(Self {
            access_token,
            refresh_token: take(&members, REFRESH_TOKEN, token),
            lifetime: take(&members, EXPIRES_IN, lifetime).unwrap_or(DOCUMENTED),
            scopes: take(&members, SCOPE, scopes),
            user_type: take(&members, USER_TYPE, user_type),
            company_id: take(&members, COMPANY_ID, id),
            location_id: take(&members, LOCATION_ID, id),
            user_id: take(&members, USER_ID, id),
            is_whole: members.is_whole(),
            date: None,
        })
    }

    /// The account that this answer names, by its class. Where it names none, the class is the one
    /// that was `asked` for, or the one whose id is there: a location's answer holds its company's
    /// id, too, but not the reverse.
    pub(crate) fn account(&self, asked: Option<AccountKind>) -> Result<Account> {
        let told = self.location_id.as_ref().map(|_| AccountKind::Location);
        let told = told.or(self.company_id.as_ref().map(|_| AccountKind::Company));
        let asked = asked.filter(|kind| self.id(*kind).is_some());
        let kind = self.user_type.or(asked).or(told).ok_or_else(|| {
            Error::malformed(
                "the token endpoint's answer names no account for its token, so nothing was \
                 stored: send the user through authorization again",
            )
        })?;
        let id = self.id(kind).ok_or_else(|| {
            Error::malformed(format!(
                "the token endpoint's answer is of class {kind} but has no {kind} id, so nothing \
                 was stored: send the user through authorization again"
            ))
        })?;
        match kind {
            AccountKind::Location => Account::location(id),
            AccountKind::Company => Account::company(id),
        }
    }

    /// Refuses an answer that speaks for someone else than `account`. What an answer leaves out
    /// contradicts nothing.
    pub(crate) fn check(&self, account: &Account) -> Result<()> {
        if let Some(kind) = self.user_type
            && kind != account.kind()
        {
            return Err(Error::new(
                ErrorCode::WrongTokenClass,
                format!(
                    "the platform gave a {kind} token where a {} token was asked for",
                    account.kind()
                ),
            )
            .with_account(account));
        }
        if self.id(account.kind()).is_some_and(|id| id != account.id()) {
            return Err(Error::new(
                ErrorCode::WrongAccount,
                "the platform gave a token of another account than the one that was asked for",
            )
            .with_account(account));
        }
        Ok(())
    }

    /// Makes the grant that follows `before` (none for a new authorization). Its life is counted
    /// from when it was asked for: how long the answer travelled nobody knows.
    pub(crate) fn into_grant(
        self,
        account: &Account,
        before: Option<&Grant>,
        asked: Timestamp,
        minted: bool,
    ) -> Grant {
        let known = before.and_then(|grant| grant.refresh_token.clone());
        if self.refresh_token.is_none() && known.is_some() && !minted {
            tracing::warn!(
                %account,
                "the token endpoint's answer holds no refresh token that can be used; the stored \
                 one is kept, and is used when the access token ends"
            );
        }
        let platform_authorized_at = if let Some(grant) = before {
            grant.platform_date()
        } else {
            // The later one, if they differ: an authorization that counts as too old is lost to a
            // late UNINSTALL.
            let told = self.date.max(issued_at(self.access_token.expose()));
            told.map(|told| within_second(told, asked))
        };
        Grant {
            account: account.clone(),
            platform_authorized_at,
            access_token: self.access_token,
            // RFC 6749 §6: where no new refresh token comes, the old one goes on.
            refresh_token: self.refresh_token.or(known),
            obtained_at: asked,
            expires_at: asked.plus(self.lifetime),
            authorized_at: before.map_or(asked, |grant| grant.authorized_at),
            scopes: self
                .scopes
                .or_else(|| before.map(|grant| grant.scopes.clone()))
                .unwrap_or_default(),
            company_id: self
                .company_id
                .or_else(|| before.and_then(|grant| grant.company_id.clone())),
            user_id: self.user_id.or_else(|| before.and_then(|grant| grant.user_id.clone())),
            minted,
        }
    }

    /// Makes the grant that holds an answer which speaks for someone else than its account. Its
    /// refresh token replaces the spent one, and the next refresh shows whom it speaks for. Its
    /// access token counts as ended, so nobody is served with it; one that still lives (`serves`)
    /// goes on in its place.
    pub(crate) fn into_held(self, before: &Grant, asked: Timestamp, serves: bool) -> Grant {
        let mut held = before.clone();
        if let Some(token) = self.refresh_token {
            held.refresh_token = Some(token);
        }
        if !serves {
            held.access_token = self.access_token;
            held.obtained_at = asked;
            held.expires_at = asked;
        }
        held
    }

    /// Checks as [`check`](Self::check) does, if nothing is stored yet; `next` tells what to do.
    pub(crate) fn check_new(&self, account: &Account, next: &str) -> Result<()> {
        self.check(account).map_err(|error| {
            let message = format!("{}, so nothing was stored: {next}", error.message());
            Error::new(error.code(), message).with_account(account)
        })
    }

    fn id(&self, kind: AccountKind) -> Option<&str> {
        match kind {
            AccountKind::Location => self.location_id.as_deref(),
            AccountKind::Company => self.company_id.as_deref(),
        }
    }
}

/// Takes a member if it can be read, and logs that it can't.
fn take<'a, T>(
    members: &Members<'a>,
    names: [&'static str; 2],
    read: impl Fn(&'a str) -> Option<T>,
) -> Option<T> {
    let found = members.find(names, read);
    if found.is_none() && members.says(names) {
        tracing::warn!(
            member = names[0],
            "a member of the token endpoint's answer is not of the documented form and is left out"
        );
    }
    found
}

/// Reads a token that fits into a header and a form.
fn token(value: &str) -> Option<Secret> {
    let token = match text(value)? {
        Cow::Borrowed(token) => Secret::new(token),
        Cow::Owned(mut token) => {
            let secret = Secret::new(token.as_str());
            token.zeroize();
            secret
        }
    };
    check_token("token", token.expose()).is_ok().then_some(token)
}

fn id(value: &str) -> Option<String> {
    let id = text(value)?;
    Account::location(&id).is_ok().then(|| id.into_owned())
}

fn user_type(value: &str) -> Option<AccountKind> {
    AccountKind::from_user_type(&text(value)?)
}

fn bearer(value: &str) -> Option<()> {
    text(value)?.eq_ignore_ascii_case("bearer").then_some(())
}

/// Reads scopes, separated by white space or commas, or as a list. None at all is no answer: RFC
/// 6749 has no empty scope.
fn scopes(value: &str) -> Option<Vec<String>> {
    let separates = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    let texts = texts(value);
    let scopes = texts.iter().flat_map(|text| text.split(separates));
    let scopes: Vec<_> = scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    (!scopes.is_empty()).then_some(scopes)
}

/// Reads how long a token is taken to live: seconds as a number or a numeric text, fractions cut.
///
/// Zero or negative: one minute, so that the pair is kept and no endpoint is asked more than once a
/// minute for it. Longer than ten years can't be meant.
fn lifetime(value: &str) -> Option<Duration> {
    match number(value)? {
        seconds if seconds < 1.0 => Some(SHORTEST),
        seconds if seconds <= TEN_YEARS => Duration::try_from_secs_f64(seconds.floor()).ok(),
        _ => None,
    }
}

const ACCESS_TOKEN: [&str; 2] = ["access_token", "accessToken"];
const REFRESH_TOKEN: [&str; 2] = ["refresh_token", "refreshToken"];
const TOKEN_TYPE: [&str; 2] = ["token_type", "tokenType"];
const EXPIRES_IN: [&str; 2] = ["expires_in", "expiresIn"];
const SCOPE: [&str; 2] = ["scope", "scopes"];
const USER_TYPE: [&str; 2] = ["userType", "user_type"];
const COMPANY_ID: [&str; 2] = ["companyId", "company_id"];
const LOCATION_ID: [&str; 2] = ["locationId", "location_id"];
const USER_ID: [&str; 2] = ["userId", "user_id"];

/// Life that the platform documents, for an answer that names none: an earlier end shows as a 401,
/// which refreshes.
const DOCUMENTED: Duration = Duration::from_secs(86_399);
const SHORTEST: Duration = Duration::from_secs(60);
const TEN_YEARS: f64 = 10.0 * 366.0 * 86_400.0;

#[cfg(test)]
mod tests;
