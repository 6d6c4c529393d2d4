//! The stored result of an authorization, and how token answers become one.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::{Zeroize, Zeroizing};

use crate::account::{Account, AccountKind};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::secret::Secret;

/// What one account's authorization gave: tokens, expiry, scopes, class and ids. `Debug` shows no token.
#[derive(Clone)]
pub struct Grant {
    pub(crate) account: Account,
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) authorized_at: Timestamp,
    pub(crate) scopes: Vec<String>,
    pub(crate) company_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) minted: bool,
}

impl Grant {
    /// A grant from elsewhere, to be imported. Its access token counts as expired until
    /// [`expires_at`](Self::with_expires_at) is said, so that the first use refreshes it.
    pub fn new(account: Account, access_token: impl Into<Secret>) -> Self {
        Self {
            account,
            access_token: access_token.into(),
            refresh_token: None,
            obtained_at: Timestamp(0),
            expires_at: Timestamp(0),
            authorized_at: Timestamp(0),
            scopes: Vec::new(),
            company_id: None,
            user_id: None,
            minted: false,
        }
    }

    /// Adds the refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(token.into());
        self
    }

    /// Says when the access token ends.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// Says which scopes it has.
    #[must_use]
    pub fn with_scopes<'a>(mut self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        self.scopes = scopes.into_iter().map(str::to_owned).collect();
        self
    }

    /// Says which company a location belongs to: its way back when the refresh token is lost.
    #[must_use]
    pub fn with_company_id(mut self, id: &str) -> Self {
        self.company_id = Some(id.to_owned());
        self
    }

    /// Whom it speaks for.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// The refresh token. Whoever sends it outside this client spends it.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// When the access token ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When this token pair was asked for, or imported.
    pub fn obtained_at(&self) -> Timestamp {
        self.obtained_at
    }

    /// When the user authorized it, or it was imported or minted.
    pub fn authorized_at(&self) -> Timestamp {
        self.authorized_at
    }

    /// The scopes that were granted.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The company, also of a location.
    pub fn company_id(&self) -> Option<&str> {
        self.company_id.as_deref()
    }

    /// Who authorized it.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Whether it was minted from its company's token.
    pub fn is_minted(&self) -> bool {
        self.minted
    }

    /// How long the access token lives in all, in the sense of its answer.
    pub(crate) fn lifetime(&self) -> Duration {
        self.expires_at.since(self.obtained_at)
    }

    /// The end as it can be trusted at `now`: a clock that stood ahead when the token was stored must not
    /// lengthen its life.
    pub(crate) fn trusted_expiry(&self, now: Timestamp) -> Timestamp {
        if self.obtained_at > now { self.expires_at.min(now.plus(self.lifetime())) } else { self.expires_at }
    }

    /// Checks what an application imports.
    pub(crate) fn validate(&self) -> Result<()> {
        check_token("access token", self.access_token.expose())
            .and_then(|()| match &self.refresh_token {
                Some(token) => check_token("refresh token", token.expose()),
                None => Ok(()),
            })
            .map_err(|error| Error::argument(error.message().to_owned()).with_account(&self.account))?;
        let ids = self.company_id.iter().chain(&self.user_id);
        if ids.clone().any(|id| id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(
                Error::argument("an id is 1 to 128 printable ASCII characters").with_account(&self.account)
            );
        }
        Ok(())
    }

    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let stored = Stored {
            access_token: Cow::Borrowed(self.access_token.expose()),
            refresh_token: self.refresh_token.as_ref().map(|token| Cow::Borrowed(token.expose())),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            authorized_at: self.authorized_at,
            scopes: self.scopes.join(" "),
            company_id: self.company_id.clone(),
            user_id: self.user_id.clone(),
            minted: self.minted,
        };
        // Roomy from the start: growing it would leave copies behind.
        let tokens = stored.access_token.len() + stored.refresh_token.as_ref().map_or(0, |token| token.len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * (tokens + stored.scopes.len()) + 1024));
        serde_json::to_writer(&mut *bytes, &stored)
            .map_err(|_| Error::new(ErrorCode::Internal, "a grant could not be written as JSON"))?;
        Ok(bytes)
    }

    pub(crate) fn from_bytes(account: &Account, bytes: &[u8]) -> Result<Self> {
        let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(|_| {
            Error::new(
                ErrorCode::StoreCorrupt,
                "the stored grant does not parse: authorize this account again",
            )
            .with_account(account)
        })?;
        Ok(Self {
            account: account.clone(),
            access_token: Secret::new(stored.access_token),
            refresh_token: stored.refresh_token.map(Secret::new),
            obtained_at: stored.obtained_at,
            expires_at: stored.expires_at,
            authorized_at: stored.authorized_at,
            scopes: stored.scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            company_id: stored.company_id,
            user_id: stored.user_id,
            minted: stored.minted,
        })
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("account", &self.account)
            .field("expires_at", &self.expires_at)
            .field("scopes", &self.scopes)
            .field("minted", &self.minted)
            .finish_non_exhaustive()
    }
}

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
}

impl TokenAnswer {
    /// Reads an answer in either casing (`access_token`, `accessToken`).
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let mut wire: Wire = serde_json::from_slice(body).map_err(|_| {
            Error::malformed("the token endpoint's answer is not the JSON it should be; try again, then ask HoopAI's support")
        })?;
        let access_token = wire.access_token.take().filter(|token| !token.is_empty()).ok_or_else(|| {
            Error::malformed(
                "the token endpoint's answer holds no access token; try again, then ask HoopAI's support",
            )
        })?;
        let access_token = Secret::new(access_token);
        check_token("access token", access_token.expose())?;
        let refresh_token = wire.refresh_token.take().filter(|token| !token.is_empty()).map(Secret::new);
        if let Some(token) = &refresh_token {
            check_token("refresh token", token.expose())?;
        }
        if let Some(kind) = &wire.token_type
            && !kind.eq_ignore_ascii_case("bearer")
        {
            return Err(Error::malformed("the token endpoint answered a token that is not a bearer token"));
        }
        let user_type = match wire.user_type.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(AccountKind::from_user_type(text).ok_or_else(|| {
                Error::malformed(
                    "the token endpoint's answer has a `userType` that is neither Location nor Company",
                )
            })?),
        };
        let id = |text: &mut Option<String>| text.take().filter(|id| !id.is_empty());
        Ok(Self {
            access_token,
            refresh_token,
            lifetime: lifetime(wire.expires_in.as_deref()),
            scopes: wire.scope.take().map(|text| text.split_ascii_whitespace().map(str::to_owned).collect()),
            user_type,
            company_id: id(&mut wire.company_id),
            location_id: id(&mut wire.location_id),
            user_id: id(&mut wire.user_id),
        })
    }

    /// The account this answer names, by its class; `asked` where the answer names no class.
    pub(crate) fn account(&self, asked: Option<AccountKind>) -> Result<Account> {
        let kind = self.user_type.or(asked).ok_or_else(|| {
            Error::malformed("the token endpoint's answer has no `userType`: set the option `user_type`")
        })?;
        let id = match kind {
            AccountKind::Location => &self.location_id,
            AccountKind::Company => &self.company_id,
        };
        let missing = || {
            Error::malformed(format!("the token endpoint's answer is of class {kind} but holds no id of one"))
        };
        let id = id.as_deref().ok_or_else(missing)?;
        match kind {
            AccountKind::Location => Account::location(id),
            AccountKind::Company => Account::company(id),
        }
        .map_err(|_| Error::malformed("the token endpoint's answer names an id that is not one"))
    }

    /// Refuses an answer that speaks for someone else than `account`. What an answer leaves out contradicts nothing:
    /// a rotated pair is too precious to be thrown away for a missing member.
    pub(crate) fn check(&self, account: &Account) -> Result<()> {
        if let Some(kind) = self.user_type
            && kind != account.kind()
        {
            return Err(Error::new(
                ErrorCode::WrongTokenClass,
                format!(
                    "the token endpoint answered a {kind} token where a {} token was asked for",
                    account.kind()
                ),
            )
            .with_account(account));
        }
        let id = match account.kind() {
            AccountKind::Location => &self.location_id,
            AccountKind::Company => &self.company_id,
        };
        if id.as_deref().is_some_and(|id| id != account.id()) {
            return Err(Error::new(
                ErrorCode::WrongAccount,
                "the token endpoint answered a token of another account; nothing was stored",
            )
            .with_account(account));
        }
        Ok(())
    }

    /// Makes the grant that follows `before` (none for a new authorization). Its life is counted from when it was asked for: how
    /// long the answer travelled nobody knows.
    pub(crate) fn into_grant(
        self,
        account: &Account,
        before: Option<&Grant>,
        asked: Timestamp,
        minted: bool,
    ) -> Grant {
        Grant {
            account: account.clone(),
            access_token: self.access_token,
            // RFC 6749 §6: where no new refresh token comes, the old one goes on.
            refresh_token: self
                .refresh_token
                .or_else(|| before.and_then(|grant| grant.refresh_token.clone())),
            obtained_at: asked,
            expires_at: asked.plus(self.lifetime),
            authorized_at: before.map_or(asked, |grant| grant.authorized_at),
            scopes: self.scopes.or_else(|| before.map(|grant| grant.scopes.clone())).unwrap_or_default(),
            company_id: self.company_id.or_else(|| before.and_then(|grant| grant.company_id.clone())),
            user_id: self.user_id.or_else(|| before.and_then(|grant| grant.user_id.clone())),
            minted,
        }
    }
}

/// A token must fit into a header and a form: visible ASCII, at most 64 KiB.
fn check_token(what: &str, token: &str) -> Result<()> {
    if token.is_empty() || token.len() > 65_536 || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::malformed(format!(
            "the {what} is empty, longer than 65536 bytes, or holds white space, control characters or characters outside ASCII"
        )));
    }
    Ok(())
}

/// How long an answer's token is taken to live.
///
/// A number or a numeric string of seconds, fractions cut. Missing, not a number, or longer than ten years: the documented
/// 86 399 seconds (an earlier end shows as a 401, which refreshes). Zero or negative: one minute, so that the pair is kept
/// and no endpoint is asked more than once a minute for it.
fn lifetime(expires_in: Option<&RawValue>) -> Duration {
    let text = expires_in.map_or("", RawValue::get).trim_matches('"').trim();
    match text.parse::<f64>() {
        Ok(seconds) if seconds < 1.0 => SHORTEST,
        Ok(seconds) if seconds <= TEN_YEARS => {
            Duration::try_from_secs_f64(seconds.floor()).unwrap_or(DOCUMENTED)
        }
        _ => DOCUMENTED,
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(alias = "accessToken")]
    access_token: Option<String>,
    #[serde(alias = "refreshToken")]
    refresh_token: Option<String>,
    #[serde(alias = "tokenType")]
    token_type: Option<String>,
    #[serde(alias = "expiresIn")]
    expires_in: Option<Box<RawValue>>,
    scope: Option<String>,
    #[serde(alias = "userType")]
    user_type: Option<String>,
    #[serde(alias = "companyId")]
    company_id: Option<String>,
    #[serde(alias = "locationId")]
    location_id: Option<String>,
    #[serde(alias = "userId")]
    user_id: Option<String>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(rename = "a", borrow)]
    access_token: Cow<'a, str>,
    #[serde(rename = "r", borrow, skip_serializing_if = "Option::is_none", default)]
    refresh_token: Option<Cow<'a, str>>,
    #[serde(rename = "o")]
    obtained_at: Timestamp,
    #[serde(rename = "e")]
    expires_at: Timestamp,
    #[serde(rename = "u")]
    authorized_at: Timestamp,
    #[serde(rename = "s", default)]
    scopes: String,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none", default)]
    company_id: Option<String>,
    #[serde(rename = "i", skip_serializing_if = "Option::is_none", default)]
    user_id: Option<String>,
    #[serde(rename = "m", default)]
    minted: bool,
}

const DOCUMENTED: Duration = Duration::from_secs(86_399);
const SHORTEST: Duration = Duration::from_secs(60);
const TEN_YEARS: f64 = 10.0 * 366.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<TokenAnswer> {
        TokenAnswer::parse(json.as_bytes())
    }

    #[test]
    fn both_casings() {
        let snake = parse(r#"{"access_token":"a","refresh_token":"r","expires_in":86399,"token_type":"Bearer","scope":"x y","userType":"Location","locationId":"l","companyId":"c"}"#).unwrap();
        let camel = parse(r#"{"accessToken":"a","refreshToken":"r","expiresIn":"86399","tokenType":"bearer","scope":"x y","userType":"location","locationId":"l","companyId":"c"}"#).unwrap();
        for answer in [snake, camel] {
            assert_eq!(answer.access_token.expose(), "a");
            assert_eq!(answer.refresh_token.as_ref().unwrap().expose(), "r");
            assert_eq!(answer.lifetime, Duration::from_secs(86_399));
            assert_eq!(answer.account(None).unwrap().as_str(), "location:l");
        }
    }

    #[test]
    fn every_kind_of_expires_in() {
        let of = |raw: &str| {
            parse(&format!(r#"{{"access_token":"a","expires_in":{raw}}}"#)).unwrap().lifetime.as_secs()
        };
        for (raw, seconds) in [
            ("3600", 3600),
            ("\"3600\"", 3600),
            ("3600.9", 3600),
            ("0", 60),
            ("-5", 60),
            ("\"-5\"", 60),
            ("1e99", 86_399),
            ("1e400", 86_399),
            ("99999999999999999999999999", 86_399),
            ("null", 86_399),
            ("\"soon\"", 86_399),
            ("{}", 86_399),
            ("\"NaN\"", 86_399),
            ("\"inf\"", 86_399),
        ] {
            assert_eq!(of(raw), seconds, "{raw}");
        }
        assert_eq!(parse(r#"{"access_token":"a"}"#).unwrap().lifetime.as_secs(), 86_399);
    }

    #[test]
    fn bad_tokens_are_malformed_and_not_shown() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"planted\n"}"#,
            r#"{"access_token":"planté"}"#,
            r#"{"access_token":"a","refresh_token":"planted\u0000"}"#,
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a","userType":"planted"}"#,
        ] {
            let Err(error) = parse(json) else { panic!("{json}") };
            assert_eq!(error.code(), ErrorCode::MalformedResponse);
            assert!(!format!("{error:?}").contains("planted"));
        }
    }

    #[test]
    fn class_is_told_by_user_type_not_by_ids() {
        let answer =
            parse(r#"{"access_token":"a","userType":"Company","companyId":"c","locationId":"l"}"#).unwrap();
        assert_eq!(answer.account(Some(AccountKind::Location)).unwrap().as_str(), "company:c");
        let location = Account::location("l").unwrap();
        assert_eq!(answer.check(&location).unwrap_err().code(), ErrorCode::WrongTokenClass);
        let other = Account::company("d").unwrap();
        assert_eq!(answer.check(&other).unwrap_err().code(), ErrorCode::WrongAccount);
        let bare = parse(r#"{"access_token":"a"}"#).unwrap();
        bare.check(&location).unwrap();
        assert_eq!(bare.account(None).unwrap_err().code(), ErrorCode::MalformedResponse);
    }

    #[test]
    fn stored_form_round_trips() {
        let account = Account::location("l").unwrap();
        let grant = Grant::new(account.clone(), "a")
            .with_refresh_token("r")
            .with_scopes(["x", "y"])
            .with_company_id("c");
        let back = Grant::from_bytes(&account, &grant.to_bytes().unwrap()).unwrap();
        assert_eq!((back.access_token.expose(), back.scopes.len(), back.company_id()), ("a", 2, Some("c")));
        assert_eq!(Grant::from_bytes(&account, b"{").unwrap_err().code(), ErrorCode::StoreCorrupt);
    }

    #[test]
    fn a_clock_that_stood_ahead_lengthens_no_life() {
        let mut grant = Grant::new(Account::location("l").unwrap(), "a");
        grant.obtained_at = Timestamp(100_000_000);
        grant.expires_at = Timestamp(100_060_000);
        assert_eq!(grant.trusted_expiry(Timestamp(1_000_000)), Timestamp(1_060_000));
        assert_eq!(grant.trusted_expiry(Timestamp(100_030_000)), Timestamp(100_060_000));
    }
}
