//! The body of a refusal: its code, its words, its trace id.

use std::borrow::Cow;

use crate::error::Error;
use crate::members::{Members, text, texts};
use crate::redact::hide;

/// A code of RFC 6749 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OAuthCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
}

impl OAuthCode {
    /// Reads a code, in the spellings that servers use: `invalid_grant`, `INVALID_GRANT`,
    /// `Invalid grant`.
    fn read(text: &str) -> Option<Self> {
        let plain: String = text
            .trim()
            .chars()
            .map(|c| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() })
            .collect();
        Some(match plain.as_str() {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            _ => return None,
        })
    }
}

/// The parts of a refusal that hoopauth reads, wherever they stand in the body.
#[derive(Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) trace_id: Option<String>,
}

impl Refusal {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(&body[..body.len().min(MOST_READ)]);
        let members = Members::read(&body);
        let error = members.find(["error", "code"], Some);
        let wrapped = error.filter(|error| error.starts_with('{')).map(Members::read);
        let inner = |names| wrapped.as_ref().and_then(|members| members.find(names, joined));
        Self {
            code: inner(["code", "error"]).or_else(|| members.find(["error", "code"], joined)),
            message: members
                .find(["error_description", "message"], joined)
                .or_else(|| inner(["message", "error_description"])),
            trace_id: members.find(["traceId", "trace_id"], joined),
        }
    }

    /// Adds the status and the trace id to an error.
    pub(crate) fn describe(&self, error: Error, status: u16) -> Error {
        error.with_status(status).with_trace_id(self.trace_id.as_deref())
    }

    /// Message and code, for a search.
    pub(super) fn words(&self) -> Words {
        let words = [&self.message, &self.code].into_iter().flatten();
        Words::new(&words.map(String::as_str).collect::<Vec<_>>().join(" "))
    }

    /// Returns `true` if the body has a code of RFC 6749, so that it is a refusal whatever the
    /// status.
    pub(crate) fn has_oauth_code(&self) -> bool {
        self.oauth_code().is_some()
    }

    pub(super) fn oauth_code(&self) -> Option<OAuthCode> {
        self.code.as_deref().and_then(OAuthCode::read)
    }

    /// Redacts a secret that the server echoed: whole or cut short, as text (not as JSON writes
    /// it).
    pub(crate) fn hide(&mut self, secret: &str) {
        for text in [&mut self.code, &mut self.message, &mut self.trace_id].into_iter().flatten() {
            hide(text, secret);
        }
    }
}

/// A refusal's words in lower case.
pub(super) struct Words(String);

impl Words {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn say(&self, part: &str) -> bool {
        self.0.contains(part)
    }

    /// The token belongs to another account than the location that was asked for.
    pub(super) fn deny_the_location(&self) -> bool {
        self.say("access to this location") || self.say("not accessible from this token")
    }
}

/// Reads a text, or those of a list one after another.
fn joined(value: &str) -> Option<String> {
    let joined = text(value).map_or_else(|| texts(value).join("; "), Cow::into_owned);
    (!joined.is_empty()).then_some(joined)
}

const MOST_READ: usize = 1 << 20;
