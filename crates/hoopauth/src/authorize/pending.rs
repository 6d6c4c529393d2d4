//! Pending authorizations, which the host program keeps until the user comes back.

use std::borrow::Cow;
use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use zeroize::Zeroizing;

use super::{AuthorizeDefaults, challenge, extensible, mismatch};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::options::REDIRECT_URI_LIMIT;
use crate::seal::KeyRing;
use crate::secret::Secret;
use crate::web_url;

/// An authorization that was begun: send the user to [`url`](Self::url), keep this until the
/// redirect arrives.
///
/// A pending authorization serves one redirect, and only the browser that was sent away may bring
/// it: keep it where that browser's session is. The sealed form holds none of the scopes; if a
/// token answer names no scopes, those of the client's option `scopes` then count as granted.
/// `Debug` shows neither the URL nor the `state`.
#[derive(Clone)]
pub struct PendingAuthorization {
    pub(super) url: Secret,
    pub(super) state: Secret,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) verifier: Option<Secret>,
    pub(super) login_window_self: bool,
    pub(super) version_id: Option<String>,
    pub(super) expires_at: Timestamp,
}

impl PendingAuthorization {
    /// Returns the URL to send the user to. It contains the `state`: don't log it. After sealing
    /// and opening, the URL asks for the client's scopes.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// Returns the value that ties the redirect to this request (RFC 6749, 10.12); 256 random bits.
    pub fn state(&self) -> &Secret {
        &self.state
    }

    /// Returns the URL that the user comes back to. The exchange of the code repeats it.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns the moment from which the redirect is refused.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Scopes that the URL asks for.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The PKCE verifier (RFC 7636, 4.1), if a challenge was sent.
    pub(crate) fn verifier(&self) -> Option<&Secret> {
        self.verifier.as_ref()
    }

    /// Seals the parts that completing needs as text. The text fits into a cookie, whatever the
    /// number of scopes, and opens for the same `app` only.
    pub(crate) fn seal(&self, ring: &KeyRing, app: &str) -> Result<String> {
        let record = SealedLogin {
            state: self.state.expose().into(),
            redirect_uri: self.redirect_uri.as_str().into(),
            verifier: self.verifier.as_ref().map(|verifier| verifier.expose().into()),
            login_window_self: self.login_window_self,
            version_id: self.version_id.as_deref().map(Cow::Borrowed),
            expires_at: self.expires_at,
        };
        // Roomy from the start: growing it would leave copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(RECORD_ROOM));
        serde_json::to_writer(&mut *plain, &record).map_err(|_| {
            Error::new(
                ErrorCode::Internal,
                "the pending login could not be written as text; please report it",
            )
        })?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(ring.seal(&associated(app), &plain)?))
    }

    /// Reads what [`seal`](Self::seal) made. Text that does not open, whatever the reason, is
    /// `STATE_MISMATCH`.
    pub(crate) fn open(
        text: &str,
        ring: &KeyRing,
        app: &str,
        defaults: &AuthorizeDefaults,
    ) -> Result<Self> {
        if text.len() > SEALED_LIMIT {
            return Err(Error::argument(format!(
                "the sealed login has {} bytes, more than {SEALED_LIMIT}: give exactly the text \
                 that sealing gave you",
                text.len()
            )));
        }
        let unreadable = || {
            mismatch(
                "the sealed login can't be opened: it was changed or cut short on the way, or it \
                 was sealed by another app or with another key; begin the login again",
            )
        };
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())?;
        let plain = ring.open(&associated(app), &sealed).map_err(|_| unreadable())?;
        let record: SealedLogin<'_> = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        let mut pending = Self {
            url: Secret::public(""),
            state: Secret::new(record.state),
            scopes: defaults.scopes.clone(),
            redirect_uri: record.redirect_uri.into_owned(),
            verifier: record.verifier.map(Secret::new),
            login_window_self: record.login_window_self,
            version_id: record.version_id.map(Cow::into_owned),
            expires_at: record.expires_at,
        };
        pending.url = pending.url_with(&extensible(&defaults.authorize_url)?, &defaults.client_id);
        Ok(pending)
    }

    /// The URL to send the user to, on the authorization page `base`.
    pub(super) fn url_with(&self, base: &str, client_id: &str) -> Secret {
        let scope = self.scopes.join(" ");
        let challenge = self.verifier.as_ref().map(|verifier| challenge(verifier.expose()));
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &*self.redirect_uri),
            ("scope", &scope),
            ("state", self.state.expose()),
        ];
        if let Some(challenge) = &challenge {
            pairs.push(("code_challenge", challenge));
            pairs.push(("code_challenge_method", "S256"));
        }
        if self.login_window_self {
            pairs.push(("loginWindowOpenMode", "self"));
        }
        if let Some(version_id) = &self.version_id {
            pairs.push(("version_id", version_id));
        }
        web_url::encode_after(base, &pairs)
    }
}

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("url", &self.url)
            .field("state", &self.state)
            .field("scopes", &self.scopes)
            .field("redirect_uri", &self.redirect_uri)
            .field("verifier", &self.verifier)
            .field("login_window_self", &self.login_window_self)
            .field("version_id", &self.version_id)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

pub(super) fn associated(app: &str) -> [&[u8]; 2] {
    [b"pending", app.as_bytes()]
}

/// Content of a sealed pending authorization. Borrowed, so that reading leaves no copies behind.
///
/// Earlier versions sealed the URL, too, which grows with the scopes. We ignore it and make it anew
/// of the client's options.
#[derive(serde::Serialize, serde::Deserialize)]
struct SealedLogin<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    redirect_uri: Cow<'a, str>,
    #[serde(borrow)]
    verifier: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    login_window_self: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    version_id: Option<Cow<'a, str>>,
    expires_at: Timestamp,
}

/// Longest sealed login; those of earlier versions held the URL.
pub(super) const SEALED_LIMIT: usize = 16 * 1024;
/// Room for the longest redirect URI, of whose characters JSON escapes none but the backslash,
/// which it can't have.
const RECORD_ROOM: usize = REDIRECT_URI_LIMIT + 512;
