//! What an API answer means for the token it was asked with.

use std::sync::Arc;

use url::Url;

use crate::account::{Account, AccountKind};
use crate::snapshot::{Served, Snapshot};
use crate::client::Client;
use crate::clock::Clock;
use crate::credential::{Credential, Rotation, Verdict};
use crate::error::{Error, ErrorCode, Result};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::operations::Operation;
use crate::refresh::token_endpoint::Refusal;

/// What to do after an API answer was reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The answer is no matter of authentication: use it.
    Pass,
    /// The token was refused and there is a new one: repeat the request once, with these headers.
    Repeat(Headers),
}

impl Client {
    /// What an answer means, and what can be done about it; `sent`: method and path, where the host
    /// tells.
    pub(crate) fn judge(
        &self,
        headers: &Headers,
        sent: Option<(&str, &str)>,
        status: u16,
        answer_headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Report> {
        let inner = &self.inner;
        inner.check_open()?;
        if matches!(status, 401 | 403) {
            // The cause may be what another process did to the account.
            inner.clock.look_soon();
        }
        let told = inner.note_limits(headers.account(), status, answer_headers.iter().copied());
        let snapshot = headers.snapshot();
        if let 200..=299 = status {
            inner.note_accepted(snapshot);
        }
        if !may_refuse(status) {
            return Ok(Report::Pass);
        }
        let operation = sent.and_then(|(method, path)| self.operation_of(method, path));
        let account = Account::parse(snapshot.name()).ok();
        let token = TokenKind::of(&inner.credential);
        let asked = Asked { account: account.as_ref(), operation, token, bearer: snapshot.token() };
        let error = match classify(&asked, status, body) {
            Meaning::Pass => return Ok(Report::Pass),
            Meaning::Final(error) => {
                return Err(match told.wait {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                });
            }
            // Of two tokens the other is tried whatever the platform says of the one in use: that
            // costs nothing.
            Meaning::PrivateIntegration(error) if token == TokenKind::Grant => return Err(error),
            Meaning::PrivateIntegration(error) | Meaning::Refreshable(error) => error,
        };
        let snapshot = match (&inner.credential, account) {
            (Credential::OAuth { .. }, Some(account)) => {
                inner.replace_refused(&account, snapshot, &error)?
            }
            (Credential::PrivateIntegration(rotation), account) => {
                inner.rotate(rotation, snapshot).map_err(|message| {
                    let refused = Error::new(ErrorCode::InvalidPrivateIntegration, message)
                        .with_status(status)
                        .with_server_message(error.server_message())
                        .with_trace_id(error.trace_id());
                    match account {
                        Some(account) => refused.with_account(&account),
                        None => refused,
                    }
                })?
            }
            _ => return Err(error),
        };
        let repeat = Headers::new(
            Served::from_inner(snapshot),
            if headers.content_type().is_some() { b"POST" } else { b"GET" },
        );
        let same_version = headers.version() == repeat.version();
        Ok(Report::Repeat(if same_version {
            repeat
        } else {
            repeat.with_version(headers.version())?
        }))
    }

    /// The documented operation of a request that was sent: a path below `api_base`, or the whole
    /// URL.
    pub(crate) fn operation_of(&self, method: &str, path: &str) -> Option<Operation> {
        let method = method.to_ascii_uppercase();
        if path.starts_with('/') {
            return Operation::find(&method, path);
        }
        let url = Url::parse(path).ok()?;
        let base = Url::parse(&self.inner.options.text("api_base")?).ok()?;
        let below = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
        if url.origin() != base.origin() || !below.starts_with('/') {
            return None;
        }
        Operation::find(&method, below)
    }
}

impl Inner {
    /// Takes in that the platform took a token.
    #[inline]
    pub(crate) fn note_accepted(&self, sent: &Snapshot) {
        if let Credential::PrivateIntegration(rotation) = &self.credential {
            rotation.accepted(sent.token());
        }
    }

    /// After the platform refused a Private Integration token: headers with the other one, or what
    /// to tell the user.
    fn rotate(
        &self,
        rotation: &Rotation,
        reported: &Snapshot,
    ) -> std::result::Result<Arc<Snapshot>, &'static str> {
        let alone = "the platform refuses the Private Integration token: copy the current one from the account's settings";
        match rotation.refused(reported.token(), self.clock.monotonic(), || self.cache.clear()) {
            Verdict::Switched { refused, used } => {
                tracing::warn!(
                    option = refused,
                    "the platform refuses the Private Integration token of `{refused}`: that of `{used}` is used from now on; \
                     take the refused one out of the configuration, or replace it by the current one from the account's settings",
                );
            }
            Verdict::Late => {}
            Verdict::Alone => return Err(alone),
            Verdict::Both => {
                return Err(
                    "both Private Integration tokens are refused, that of `private_integration_token` and that of \
                     `private_integration_token_next`: copy the current one from the account's settings",
                );
            }
        }
        self.static_snapshot(reported.name()).ok_or(alone)
    }
}

/// The meaning of a status and body.
#[derive(Debug)]
pub(crate) enum Meaning {
    Pass,
    /// The token is expired, revoked or of the wrong kind: a refresh can cure it.
    Refreshable(Error),
    /// The Private Integration token is wrong.
    PrivateIntegration(Error),
    /// Nothing about the token can be cured by a refresh.
    Final(Error),
}

/// What is known of a request that was refused, or will be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    /// Whose token it carries.
    pub(crate) account: Option<&'a Account>,
    pub(crate) operation: Option<Operation>,
    pub(crate) token: TokenKind,
    /// What it carries, which the answer may echo.
    pub(crate) bearer: &'a str,
}

/// Where a token came from, which decides what a user can do about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokenKind {
    #[default]
    Grant,
    PrivateIntegration,
    Static,
}

impl TokenKind {
    pub(crate) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::OAuth { .. } => Self::Grant,
            Credential::PrivateIntegration(_) => Self::PrivateIntegration,
            Credential::AccessToken { .. } => Self::Static,
        }
    }
}

impl Asked<'_> {
    /// The token's scopes do not cover the operation.
    pub(crate) fn lacks_scope(&self) -> Error {
        let named = self.operation.and_then(Operation::scope);
        let what = named.map_or_else(
            || format!("{} needs a scope that the token lacks", self.name()),
            |scope| format!("{} needs the scope `{scope}`", self.name()),
        );
        let cure = match self.token {
            TokenKind::Grant => "add it to the app and to `scopes`, then authorize again",
            TokenKind::PrivateIntegration => {
                "add it to the Private Integration in the account's settings"
            }
            TokenKind::Static => "set `access_token` to a token that has it",
        };
        self.error(ErrorCode::InsufficientScope, format!("{what}: {cure}"))
    }

    /// The token is not of a class that the operation serves.
    pub(crate) fn wrong_class(&self) -> Error {
        let name = self.name();
        let message = match (self.needed_class(), self.token) {
            (Some(AccountKind::Location), TokenKind::Grant) => format!(
                "{name} needs a token of class Location: name the location, as `location:<id>` or as the request's `locationId`; \
                 its token is minted from its company's, or comes by an authorization of the location"
            ),
            (Some(AccountKind::Company), TokenKind::Grant) => format!(
                "{name} needs a token of class Company: name the company as `company:<id>`, and authorize the app for it with \
                 `user_type` `Company`"
            ),
            (Some(kind), TokenKind::PrivateIntegration) => format!(
                "{name} needs a token of class {kind}: make the Private Integration in the settings of a {kind}, and say whose it \
                 is with `default_account`"
            ),
            (Some(kind), TokenKind::Static) => format!(
                "{name} needs a token of class {kind}: set `access_token` to one, and say whose it is with `default_account`"
            ),
            (None, TokenKind::PrivateIntegration) => format!(
                "{name} does not serve Private Integration tokens: use OAuth, with `client_id` and `client_secret`"
            ),
            (None, _) => format!(
                "{name} does not serve this class of token: use the location's account instead of its company's, or the \
                 reverse"
            ),
        };
        self.error(ErrorCode::WrongTokenClass, message)
    }

    /// The class that would do, as far as it can be told.
    fn needed_class(&self) -> Option<AccountKind> {
        let own = self.account.map(Account::kind);
        let other = AccountKind::ALL.into_iter().find(|kind| own.is_some_and(|own| own != *kind));
        let Some(operation) = self.operation else {
            return other.filter(|_| self.token != TokenKind::PrivateIntegration);
        };
        if self.token == TokenKind::PrivateIntegration && !operation.allows_private_integration() {
            return None;
        }
        match AccountKind::ALL.map(|kind| operation.allows(kind)) {
            [true, false] => Some(AccountKind::Location),
            [false, true] => Some(AccountKind::Company),
            _ => other,
        }
        .filter(|needed| own != Some(*needed))
    }

    fn name(&self) -> String {
        self.operation.map_or_else(
            || "this operation".to_owned(),
            |operation| format!("`{} {}`", operation.method(), operation.path()),
        )
    }

    fn error(&self, code: ErrorCode, message: impl Into<String>) -> Error {
        let error = Error::new(code, message);
        match self.account {
            Some(account) => error.with_account(account),
            None => error,
        }
    }
}

/// Whether an answer with this status may be a refusal of the token, or of the pace.
fn may_refuse(status: u16) -> bool {
    matches!(status, 400 | 401 | 403 | 429)
}

/// Reads an answer. The rows are those that integrators recorded against the live service.
pub(crate) fn classify(asked: &Asked<'_>, status: u16, body: &[u8]) -> Meaning {
    if !may_refuse(status) {
        return Meaning::Pass;
    }
    let mut refusal = Refusal::parse(body);
    let lower = match &refusal.message {
        Some(text) => text.to_ascii_lowercase(),
        None => String::from_utf8_lossy(&body[..body.len().min(2_000)]).to_ascii_lowercase(),
    };
    // What it says is read first: a secret may be a word of it.
    refusal.hide(asked.bearer);
    let says = |part: &str| lower.contains(part);
    let told = |error: Error| {
        error
            .with_status(status)
            .with_server_message(refusal.message.as_deref())
            .with_trace_id(refusal.trace_id.as_deref())
    };
    let build = |code: ErrorCode, message: &str| told(asked.error(code, message));
    match status {
        429 => Meaning::Final(build(
            ErrorCode::RateLimited,
            "the API's rate limit for this account is reached: try again after `retry_after`; the option `pacing` keeps below the limit",
        )),
        400 if says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API does not serve this path in this version: set `api_version`, or the request's version, to the one that is \
             documented for it",
        )),
        400 => Meaning::Pass,
        _ if says("invalid private integration token") => Meaning::PrivateIntegration(build(
            ErrorCode::InvalidPrivateIntegration,
            "the platform refuses the Private Integration token: it is wrong, or was replaced by a new one. Copy the current one \
             from the account's settings",
        )),
        _ if says("version header") || says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API does not know the version in the `Version` header: set `api_version` to one that is documented, such as \
             `2021-07-28`",
        )),
        _ if says("not authorized for this scope") => Meaning::Final(told(asked.lacks_scope())),
        _ if says("authclass type")
            || says("user type mismatch")
            || says("user type is not yet supported") =>
        {
            Meaning::Final(told(asked.wrong_class()))
        }
        _ if says("access to this location") || says("not accessible from this token") => {
            Meaning::Final(build(
                ErrorCode::WrongAccount,
                "the token belongs to another account than the request asks for: name the account that the request's ids belong to",
            ))
        }
        403 if says("1010") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the platform refuses the request's `User-Agent`: send the one that hoopauth's headers hold, or set the option `user_agent`",
        )),
        401 => Meaning::Refreshable(build(
            ErrorCode::ReauthorizationRequired,
            match asked.token {
                TokenKind::Static => {
                    "the API refuses the access token: set `access_token` to one that is valid"
                }
                _ => "the API refuses the access token: send the user through authorization again",
            },
        )),
        _ => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API refuses this request (status 403); `server_message` says why: check what the user and the app may do, and \
             whether a firewall or a proxy on the way answers in the API's place",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_row() {
        for (status, text, code, refreshable) in [
            (401, "Invalid JWT", ErrorCode::ReauthorizationRequired, true),
            (
                401,
                "Invalid token: access token is invalid",
                ErrorCode::ReauthorizationRequired,
                true,
            ),
            (401, "Invalid Private Integration token", ErrorCode::InvalidPrivateIntegration, false),
            (
                401,
                "This authClass type is not allowed to access this scope. Please",
                ErrorCode::WrongTokenClass,
                false,
            ),
            (
                401,
                "The token is not authorized for this scope.",
                ErrorCode::InsufficientScope,
                false,
            ),
            (401, "Token's user type mismatch!", ErrorCode::WrongTokenClass, false),
            (
                401,
                "This token's user type is not yet supported!",
                ErrorCode::WrongTokenClass,
                false,
            ),
            (401, "version header was not found.", ErrorCode::HttpStatus, false),
            (401, "version header is invalid", ErrorCode::HttpStatus, false),
            (400, "Invalid API version segment in path", ErrorCode::HttpStatus, false),
            (
                403,
                "The token does not have access to this location.",
                ErrorCode::WrongAccount,
                false,
            ),
            (
                403,
                "This location is not accessible from this token!",
                ErrorCode::WrongAccount,
                false,
            ),
            (429, "Too Many Requests", ErrorCode::RateLimited, false),
        ] {
            let body = serde_json::json!({ "statusCode": status, "message": text, "traceId": "t" })
                .to_string();
            let (error, can_refresh) = match classify(&Asked::default(), status, body.as_bytes()) {
                Meaning::Refreshable(error) => (error, true),
                Meaning::PrivateIntegration(error) | Meaning::Final(error) => (error, false),
                Meaning::Pass => panic!("{text}"),
            };
            assert_eq!((error.code(), can_refresh), (code, refreshable), "{text}");
            assert_eq!((error.trace_id(), error.status()), (Some("t"), Some(status)));
        }
        let edge = classify(&Asked::default(), 403, b"<html>Error 1010</html>");
        assert!(matches!(edge, Meaning::Final(error) if error.message().contains("User-Agent")));
    }

    #[test]
    fn what_is_no_matter_of_authentication_passes() {
        for (status, body) in [
            (200, &b"{}"[..]),
            (404, b"{}"),
            (500, b"Invalid JWT"),
            (400, b"{\"message\":\"name\"}"),
        ] {
            assert!(matches!(classify(&Asked::default(), status, body), Meaning::Pass));
        }
    }
}
