//! Authorization: sending the user to the authorization page, and reading the redirect back, with
//! `state` and PKCE.

mod pending;
mod redirect;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::options::{validate_redirect_uri, validate_scopes};
use crate::seal::random;
use crate::secret::Secret;

pub use self::pending::PendingAuthorization;
pub use self::redirect::Redirect;

/// An authorization request being put together (RFC 6749, 4.1.1).
///
/// The request starts with the client's own redirect URI and scopes; values that are set here count
/// for this request only. They are checked when the request is built.
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationRequest {
    defaults: AuthorizeDefaults,
    pkce: bool,
    login_window_self: bool,
    version_id: Option<String>,
}

impl AuthorizationRequest {
    pub(crate) fn new(defaults: AuthorizeDefaults) -> Self {
        Self { defaults, pkce: false, login_window_self: false, version_id: None }
    }

    /// Sets the URL that the user comes back to, exactly as registered with the app.
    ///
    /// An absolute `http` or `https` URL without a fragment (RFC 6749, 3.1.2), at most 2048 bytes.
    pub fn redirect_uri(mut self, redirect_uri: &str) -> Self {
        self.defaults.redirect_uri = Some(redirect_uri.to_owned());
        self
    }

    /// Sets the scopes to ask for, one per item, instead of the client's scopes. Repetitions are
    /// dropped.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.defaults.scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        self
    }

    /// Adds a code challenge, method `S256` (RFC 7636). Off by default: HoopAI does not document
    /// it.
    pub fn pkce(mut self, pkce: bool) -> Self {
        self.pkce = pkce;
        self
    }

    /// Asks for the login in the same window, not in a new one (`loginWindowOpenMode=self`).
    pub fn login_window_self(mut self, same_window: bool) -> Self {
        self.login_window_self = same_window;
        self
    }

    /// The version of an app that is not published (`version_id`).
    pub fn version_id(mut self, version_id: &str) -> Self {
        self.version_id = Some(version_id.to_owned());
        self
    }

    /// Checks everything and draws `state` and verifier. The user has ten minutes from `now`.
    pub(crate) fn build(self, now: Timestamp) -> Result<PendingAuthorization> {
        let AuthorizeDefaults { authorize_url, client_id, redirect_uri, scopes } = self.defaults;
        let redirect_uri = redirect_uri.ok_or_else(|| {
            Error::config(
                "`redirect_uri` is missing: set it to the redirect URL that is registered with the \
                 app",
            )
        })?;
        validate_redirect_uri("`redirect_uri`", &redirect_uri)?;
        validate_client_id(&client_id)?;
        let scopes = validate_scopes("`scopes`", scopes)?;
        if let Some(version_id) = &self.version_id {
            validate_version_id(version_id)?;
        }
        let base = extensible(&authorize_url)?;

        let state = random_text()?;
        let verifier = if self.pkce { Some(random_text()?) } else { None };
        let mut pending = PendingAuthorization {
            url: Secret::public(""),
            state,
            scopes,
            redirect_uri,
            verifier,
            login_window_self: self.login_window_self,
            version_id: self.version_id,
            expires_at: now.plus(LIFETIME),
        };
        pending.url = pending.url_with(&base, &client_id);
        if pending.url.expose().len() > URL_LIMIT {
            return Err(Error::config(format!(
                "the authorization URL would have {} bytes, more than {URL_LIMIT}: ask for fewer \
                 `scopes` or shorten `redirect_uri`",
                pending.url.expose().len()
            )));
        }
        Ok(pending)
    }
}

/// Options of the client that an authorization request starts with.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeDefaults {
    pub(crate) authorize_url: Url,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Vec<String>,
}

fn mismatch(message: &str) -> Error {
    Error::new(ErrorCode::StateMismatch, message)
}

fn validate_client_id(text: &str) -> Result<()> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::config(
            "`client_id` is empty or holds a space, a control character or a character outside \
             ASCII: copy it again from the app's page on the marketplace",
        ));
    }
    Ok(())
}

fn validate_version_id(text: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if text.is_empty() || text.len() > VERSION_ID_LIMIT || !text.bytes().all(allowed) {
        return Err(Error::argument(format!(
            "`version_id` has 1 to {VERSION_ID_LIMIT} characters, and only letters, digits, `-`, \
             `.`, `_` and `~`: copy it from the app's install link"
        )));
    }
    Ok(())
}

/// The authorization page's URL, ready for more parameters. Its own query stays (RFC 6749, 3.1).
fn extensible(url: &Url) -> Result<String> {
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| OUR_PARAMETERS.contains(&&**name)) {
        return Err(Error::config(format!(
            "`authorize_url` already has the parameter `{name}`, which hoopauth adds: remove it \
             there"
        )));
    }
    let mut text = String::from(url.clone());
    match text.split_once('?') {
        None => text.push('?'),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => {}
        Some(_) => text.push('&'),
    }
    Ok(text)
}

/// 32 random bytes as 43 characters: RFC 7636, 4.1 asks that of a verifier.
fn random_text() -> Result<Secret> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::from(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

/// RFC 7636, 4.2, method `S256`.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

const LIFETIME: Duration = Duration::from_secs(600);
const VERSION_ID_LIMIT: usize = 128;
/// Servers take request lines of about this size.
const URL_LIMIT: usize = 9 * 1024;
const OUR_PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "loginWindowOpenMode",
    "version_id",
];
