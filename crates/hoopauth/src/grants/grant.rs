//! The stored result of an authorization.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::mistake::{self, Form};
use crate::secret::Secret;

/// Result of one account's authorization: tokens, expiry, scopes, class and ids. `Debug` shows no
/// token.
#[derive(Clone)]
pub struct Grant {
    pub(crate) account: Account,
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) authorized_at: Timestamp,
    /// `authorized_at` by the platform's clock, as far as an answer told it: webhooks are dated by
    /// that one.
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

    /// Sets the end of the access token.
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

    /// Sets the company of a location: with it, a lost refresh token can be replaced by minting.
    #[must_use]
    pub fn with_company_id(mut self, id: &str) -> Self {
        self.company_id = Some(id.to_owned());
        self
    }

    /// Returns the account of the grant.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Returns the refresh token. A program that sends it outside this client spends it.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Returns the moment at which the access token ends. If the platform gives a life of no time
    /// or less (`expires_in` of 0, or negative), it counts as 60 seconds from the request; where it
    /// says nothing, as 86 399.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns the moment at which this token pair was requested or imported.
    pub fn obtained_at(&self) -> Timestamp {
        self.obtained_at
    }

    /// Returns the moment at which the user authorized the grant, or it was imported or minted.
    pub fn authorized_at(&self) -> Timestamp {
        self.authorized_at
    }

    /// Returns the scopes that were granted.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Returns the company, also of a location.
    pub fn company_id(&self) -> Option<&str> {
        self.company_id.as_deref()
    }

    /// Returns the id of the user who authorized the grant.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Returns `true` if the grant was minted from its company's token.
    pub fn is_minted(&self) -> bool {
        self.minted
    }

    /// Returns when it was authorized, to be compared with the time of a webhook: by the platform's
    /// clock where that is known, else by ours.
    pub(crate) fn authorized_for_webhooks(&self) -> Timestamp {
        self.platform_date().unwrap_or(self.authorized_at)
    }

    /// Returns when it was authorized by the platform's clock. A grant that nobody dated (imported,
    /// or stored by an older version) tells it by its access token, as long as that is the first
    /// one.
    pub(crate) fn platform_date(&self) -> Option<Timestamp> {
        let is_first = self.obtained_at == self.authorized_at && !self.minted;
        self.platform_authorized_at.or_else(|| {
            let issued = is_first.then(|| issued_at(self.access_token.expose())).flatten();
            issued.map(|issued| within_second(issued, self.obtained_at))
        })
    }

    /// Returns the whole life of the access token, as its answer tells it.
    pub(crate) fn lifetime(&self) -> Duration {
        self.expires_at.since(self.obtained_at)
    }

    /// The end as it can be trusted at `now`: a clock that stood ahead when the token was stored
    /// must not lengthen its life.
    pub(crate) fn trusted_expiry(&self, now: Timestamp) -> Timestamp {
        if self.obtained_at > now {
            self.expires_at.min(now.plus(self.lifetime()))
        } else {
            self.expires_at
        }
    }

    /// Checks what an application imports.
    pub(crate) fn validate(&self) -> Result<()> {
        check_token("access token", self.access_token.expose())
            .and_then(|()| match &self.refresh_token {
                Some(token) => check_token("refresh token", token.expose()),
                None => Ok(()),
            })
            .map_err(|error| {
                Error::argument(error.message().to_owned()).with_account(&self.account)
            })?;
        let tokens = [
            ("access token", Some(&self.access_token)),
            ("refresh token", self.refresh_token.as_ref()),
        ];
        for (name, token) in tokens {
            if let Some(what) = token.and_then(|token| mistake::found(token.expose(), Form::Secret))
            {
                return Err(
                    Error::argument(format!("the {name} {what}")).with_account(&self.account)
                );
            }
        }
        let ids = self.company_id.iter().chain(&self.user_id);
        if let Some(what) = ids.clone().find_map(|id| mistake::found(id, Form::Text)) {
            return Err(
                Error::argument(format!("an id of the grant {what}")).with_account(&self.account)
            );
        }
        if ids
            .clone()
            .any(|id| id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(Error::argument(
                "an id of the grant is empty, longer than 128 bytes, or holds a \
                                 character that ids never contain: copy it \
                                 again",
            )
            .with_account(&self.account));
        }
        Ok(())
    }

    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let stored = StoredForm {
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
        // Roomy from the start: growing it would leave copies behind.
        let tokens = stored.access_token.len()
            + stored.refresh_token.as_ref().map_or(0, |token| token.len());
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(2 * (tokens + stored.scopes.len()) + 1024));
        serde_json::to_writer(&mut *bytes, &stored).map_err(|_| {
            Error::new(
                ErrorCode::Internal,
                "a grant could not be written as JSON; please report it",
            )
        })?;
        Ok(bytes)
    }

    pub(crate) fn from_bytes(account: &Account, bytes: &[u8]) -> Result<Self> {
        let stored: StoredForm<'_> = serde_json::from_slice(bytes).map_err(|_| {
            Error::new(
                ErrorCode::StoreCorrupt,
                "the stored grant can't be read: authorize this account again, or restore the \
                 store from a backup",
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

/// Returns when an access token was issued, by its claim `iat`. Nobody checks who wrote it: it is a
/// hint.
pub(crate) fn issued_at(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct TokenClaims {
        iat: f64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE.decode(claims).ok()?);
    plausible(serde_json::from_slice::<TokenClaims>(&claims).ok()?.iat)
}

/// Returns a moment in full seconds, unless no clock that is set says so.
pub(crate) fn plausible(seconds: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "it lies within this century")]
    CENTURY.contains(&seconds).then(|| Timestamp(seconds as i64 * 1000))
}

/// Returns the moment within the second `told` that our clock says, if it says that second; else
/// the second's beginning.
pub(crate) fn within_second(told: Timestamp, ours: Timestamp) -> Timestamp {
    if (told.0..told.0 + 1000).contains(&ours.0) { ours } else { told }
}

/// A token must fit into a header and a form: visible ASCII, at most 64 KiB.
pub(crate) fn check_token(what: &str, token: &str) -> Result<()> {
    if token.is_empty() || token.len() > 65_536 || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::malformed(format!(
            "the {what} is empty, longer than 65536 bytes, or holds white space, control \
             characters or characters outside ASCII"
        )));
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct StoredForm<'a> {
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

/// The years 2015 to 2100, in seconds: earlier ones are clocks that were never set.
const CENTURY: Range<f64> = 1_420_070_400.0..4_102_444_800.0;
/// Tokens come with padding and without.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_round_trips() {
        let account = Account::location("l").unwrap();
        let grant = Grant::new(account.clone(), "a")
            .with_refresh_token("r")
            .with_scopes(["x", "y"])
            .with_company_id("c");
        let back = Grant::from_bytes(&account, &grant.to_bytes().unwrap()).unwrap();
        assert_eq!(
            (back.access_token.expose(), back.scopes.len(), back.company_id()),
            ("a", 2, Some("c"))
        );
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
