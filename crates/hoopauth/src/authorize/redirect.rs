//! The redirect that the user comes back with.

use super::{PendingAuthorization, mismatch};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::secret::Secret;
use crate::web_url;

/// Parameters that came back to the redirect URI (RFC 6749, 4.1.2). `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Redirect {
    code: Option<Secret>,
    state: Option<Secret>,
    error: Option<Secret>,
    error_description: Option<Secret>,
}

impl Redirect {
    /// Reads the URL the user came back to, or only its query, with or without the `?`.
    ///
    /// Spaces around it and a fragment are dropped; parameters of other names are ignored. More
    /// than 16 KiB, a broken percent-escape, or `code`, `state`, `error` or `error_description`
    /// given twice is `INVALID_ARGUMENT`.
    ///
    /// Scheme, host and path are not compared with the redirect URI: behind a proxy or a relay they
    /// differ. What ties the redirect to the request is `state`.
    pub fn read(text: &str) -> Result<Self> {
        if text.len() > REDIRECT_LIMIT {
            return Err(Error::argument(format!(
                "a redirect has at most {REDIRECT_LIMIT} bytes, this one has {}: give the URL the \
                 user came back to",
                text.len()
            )));
        }
        let broken = || {
            Error::argument(
                "the redirect holds a broken percent-escape or bytes that are not UTF-8: give the \
                 URL exactly as the user came back to it",
            )
        };
        let mut redirect = Self { code: None, state: None, error: None, error_description: None };
        for pair in query_of(text.trim_ascii()).split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = web_url::decode_form(name).ok_or_else(broken)?;
            let slot = match name.expose() {
                "code" => &mut redirect.code,
                "state" => &mut redirect.state,
                "error" => &mut redirect.error,
                "error_description" => &mut redirect.error_description,
                _ => continue,
            };
            if slot.is_some() {
                return Err(Error::argument(format!(
                    "duplicate parameter `{}` in the redirect: give the URL exactly as the user \
                     came back to it",
                    name.expose()
                )));
            }
            *slot = Some(web_url::decode_form(value).ok_or_else(broken)?);
        }
        Ok(redirect)
    }

    /// The `state` it carries, by which a host with several pending authorizations finds the one to
    /// check against.
    pub fn state(&self) -> Option<&Secret> {
        self.state.as_ref()
    }

    /// The code, if this answers `pending` and the user agreed.
    ///
    /// `STATE_MISMATCH` if `state` is missing or another one, or `pending` has expired by `now`;
    /// `AUTHORIZATION_DENIED`, with the server's words, if it brings an error; `INVALID_ARGUMENT`
    /// if it brings no usable code. An error is believed only with the right `state`, else anyone
    /// could end a login with a link; one without any `state` is `STATE_MISMATCH`, with the
    /// server's words.
    pub fn check(&self, pending: &PendingAuthorization, now: Timestamp) -> Result<&Secret> {
        let Some(state) = present(self.state.as_ref()) else {
            return Err(match self.denial() {
                Some(said) => mismatch(
                    "the authorization page says that the login was refused (`server_message` has \
                     its words), but the redirect carries no `state`, so its login is unknown and \
                     nothing was stored: ask the user, and begin the login again",
                )
                .with_server_message(Some(&said)),
                None => mismatch(
                    "the redirect carries no `state`, so its login is unknown: give the whole URL \
                     that the user came back to; for installations that begin on the marketplace, \
                     use `complete_unsolicited`",
                ),
            });
        };
        if *state != pending.state {
            return Err(mismatch(
                "the redirect belongs to another login than this one (its `state` differs): \
                 begin the login again, and finish it in the same browser session",
            ));
        }
        if now >= pending.expires_at {
            return Err(mismatch(
                "the login took longer than ten minutes and is no longer accepted: begin the login \
                 again",
            ));
        }
        if let Some(said) = self.denial() {
            return Err(Error::new(
                ErrorCode::AuthorizationDenied,
                "the user or the platform refused the login; `server_message` says why: ask the \
                 user to agree, or correct what it names, such as `scopes` or `redirect_uri`, then \
                 begin the login again",
            )
            .with_server_message(Some(&said)));
        }
        let code = present(self.code.as_ref()).ok_or_else(|| {
            Error::argument(
                "the redirect carries no `code`: give the whole URL that the user came back to",
            )
        })?;
        if code.expose().len() > CODE_LIMIT || code.expose().chars().any(char::is_control) {
            return Err(Error::argument(format!(
                "the redirect's `code` is longer than {CODE_LIMIT} bytes or holds a control \
                 character: give the URL exactly as the user came back to it"
            )));
        }
        Ok(code)
    }

    /// Returns the server's words, if it refused.
    fn denial(&self) -> Option<String> {
        let error = present(self.error.as_ref())?;
        Some(match present(self.error_description.as_ref()) {
            Some(description) => format!("{}: {}", error.expose(), description.expose()),
            None => error.expose().to_owned(),
        })
    }
}

/// The query of a URL, of a path with a query, or of a query alone.
fn query_of(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(before, _fragment)| before);
    // In a query alone the first of these is the `=` or `&` of its first parameter; a later `?` is
    // data.
    match text.find([':', '/', '?', '=', '&']) {
        Some(at) if matches!(text.as_bytes().get(at), Some(b':' | b'/' | b'?')) => {
            text.split_once('?').map_or("", |(_, query)| query)
        }
        _ => text,
    }
}

fn present(value: Option<&Secret>) -> Option<&Secret> {
    value.filter(|value| !value.is_empty())
}

pub(super) const CODE_LIMIT: usize = 4096;
pub(super) const REDIRECT_LIMIT: usize = 16 * 1024;
