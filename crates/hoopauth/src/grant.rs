//! The stored result of an authorization, and how token answers become one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
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
    /// `authorized_at` by the platform's clock, as far as an answer told it: webhooks are dated by that one.
    pub(crate) platform_authorized_at: Option<Timestamp>,
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
            platform_authorized_at: None,
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

    /// Returns when it was authorized, to be compared with the time of a webhook: by the platform's clock where that is known, else by
    /// ours.
    pub(crate) fn authorized_for_webhooks(&self) -> Timestamp {
        self.platform_date().unwrap_or(self.authorized_at)
    }

    /// Returns when it was authorized by the platform's clock. A grant that nobody dated (imported, or stored by an older version) tells
    /// it by its access token, as long as that is the first one.
    fn platform_date(&self) -> Option<Timestamp> {
        let is_first = self.obtained_at == self.authorized_at && !self.minted;
        self.platform_authorized_at.or_else(|| {
            let issued = is_first.then(|| issued_at(self.access_token.expose())).flatten();
            issued.map(|issued| within_second(issued, self.obtained_at))
        })
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
            platform_authorized_at: self.platform_authorized_at,
            scopes: self.scopes.join(" "),
            company_id: self.company_id.clone(),
            user_id: self.user_id.clone(),
            minted: self.minted,
        };
        serde_json::to_vec(&stored)
            .map(Zeroizing::new)
            .map_err(|_| Error::new(ErrorCode::Internal, "a grant could not be written as JSON"))
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
            platform_authorized_at: stored.platform_authorized_at,
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
            date: None,
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
        let platform_authorized_at = if let Some(grant) = before {
            grant.platform_date()
        } else {
            // The later one, if they differ: an authorization that counts as too old is lost to a late UNINSTALL.
            let told = self.date.max(issued_at(self.access_token.expose()));
            told.map(|told| within_second(told, asked))
        };
        Grant {
            account: account.clone(),
            platform_authorized_at,
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

/// Returns when an access token was issued, by its claim `iat`. Nobody checks who wrote it: it is a hint.
fn issued_at(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        iat: f64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE.decode(claims).ok()?);
    plausible(serde_json::from_slice::<Claims>(&claims).ok()?.iat)
}

/// Returns a moment in full seconds, unless no clock that is set says so.
fn plausible(seconds: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "it lies within this century")]
    CENTURY.contains(&seconds).then(|| Timestamp(seconds as i64 * 1000))
}

/// Returns the moment within the second `told` that our clock says, if it says that second; else the second's beginning.
fn within_second(told: Timestamp, ours: Timestamp) -> Timestamp {
    if (told.0..told.0 + 1000).contains(&ours.0) { ours } else { told }
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
    #[serde(rename = "p", skip_serializing_if = "Option::is_none", default)]
    platform_authorized_at: Option<Timestamp>,
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
/// The years 2015 to 2100, in seconds: earlier ones are clocks that were never set.
const CENTURY: Range<f64> = 1_420_070_400.0..4_102_444_800.0;
/// Tokens come with padding and without.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
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

    /// A token that says that it was issued in second `iat`.
    fn jwt(iat: &str) -> String {
        let claims = URL_SAFE.encode(format!(r#"{{"sub":"x","iat":{iat}}}"#));
        format!("e30.{}.c2ln", claims.trim_end_matches('='))
    }

    fn answered(token: &str, date: Option<&str>, asked: i64) -> Grant {
        let answer =
            parse(&format!(r#"{{"access_token":"{token}","refresh_token":"r"}}"#)).unwrap().dated(date);
        answer.into_grant(&Account::location("l").unwrap(), None, Timestamp(asked), false)
    }

    #[test]
    fn an_authorization_is_dated_by_the_platform() {
        let date = "Tue, 14 Nov 2023 22:13:20 GMT";
        let second = 1_700_000_000_000;
        let dated = |token: &str, date: Option<&str>, asked: i64| {
            answered(token, date, asked).authorized_for_webhooks().0 - second
        };
        // Our clock tells the part of the second, where it agrees; elsewhere it is not believed.
        for (asked, at) in [(second, 0), (second + 640, 640), (second - 1, 0), (second + 1_000, 0), (0, 0)] {
            assert_eq!(dated("opaque", Some(date), asked), at);
            assert_eq!(dated(&jwt("1700000000"), None, asked), at);
        }
        assert_eq!(dated(&jwt("1700000002.9"), Some(date), second), 2_000);
        assert_eq!(dated(&jwt("1600000000"), Some(" Tuesday, 14-Nov-23 22:13:20 GMT "), second), 0);
        // Neither of them says anything that could be: then it is our clock.
        for token in
            ["opaque", "a.b.c", "a.!.c", &jwt("0"), &jwt("-1"), &jwt("1e99"), &jwt("\"x\""), &jwt("null")]
        {
            for date in [None, Some(""), Some("yesterday"), Some("Thu, 01 Jan 1970 00:00:00 GMT")] {
                assert_eq!(dated(token, date, second - 60_000), -60_000, "{token} {date:?}");
            }
        }
    }

    #[test]
    fn the_date_of_an_authorization_outlives_refreshes_and_the_store() {
        let grant = answered("opaque", Some("Tue, 14 Nov 2023 22:13:20 GMT"), 5);
        let back = Grant::from_bytes(&grant.account, &grant.to_bytes().unwrap()).unwrap();
        let later = parse(r#"{"access_token":"b"}"#).unwrap().dated(Some("Tue, 14 Nov 2023 23:13:20 GMT"));
        let later = later.into_grant(&grant.account, Some(&back), Timestamp(9), false);
        assert_eq!(later.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
        assert_eq!(later.authorized_at, Timestamp(5));
        // A row of an older version, and an import: the first access token knows, and what it knows is kept.
        let mut old = answered(&jwt("1700000000"), None, 5);
        old.platform_authorized_at = None;
        assert!(!String::from_utf8_lossy(&old.to_bytes().unwrap()).contains("\"p\""));
        assert_eq!(old.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
        let later = parse(r#"{"access_token":"b"}"#).unwrap();
        let later = later.into_grant(&old.account, Some(&old), Timestamp(9), false);
        assert_eq!(later.authorized_for_webhooks(), Timestamp(1_700_000_000_000));
        // A later token says nothing of the authorization.
        old.obtained_at = Timestamp(6);
        assert_eq!(old.authorized_for_webhooks(), Timestamp(5));
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
