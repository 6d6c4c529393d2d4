//! The meaning of an API answer for the token that was sent.

use super::body::{Refusal, Words};
use crate::account::{Account, AccountKind};
use crate::credential::Credential;
use crate::error::{Error, ErrorCode};
use crate::operations::Operation;

/// The meaning of a status and body.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// The answer says nothing about the token.
    Pass,
    /// The token is expired, revoked or of the wrong kind: a refresh can help.
    Refreshable(Error),
    /// The Private Integration token is wrong.
    PrivateIntegration(Error),
    /// A refresh can't help.
    Final(Error),
}

/// An API call whose refusal is explained, before or after it is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ApiCall<'a> {
    /// Account of the token.
    pub(crate) account: Option<&'a Account>,
    pub(crate) operation: Option<Operation>,
    pub(crate) token: TokenKind,
    /// The token itself. The answer may echo it.
    pub(crate) bearer: &'a str,
}

/// Origin of a token. It decides the user's next step.
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

impl ApiCall<'_> {
    /// Error of a token whose scopes do not cover the operation.
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

    /// Error of a token whose class the operation does not serve.
    pub(crate) fn wrong_class(&self) -> Error {
        let name = self.name();
        let message = match (self.needed_class(), self.token) {
            (Some(AccountKind::Location), TokenKind::Grant) => format!(
                "{name} needs a token of class Location: name the location, as `location:<id>` or \
                 as the request's `locationId`; its token is minted from its company's, or comes \
                 by an authorization of the location"
            ),
            (Some(AccountKind::Company), TokenKind::Grant) => format!(
                "{name} needs a token of class Company: name the company as `company:<id>`, and \
                 authorize the app for it with `user_type` `Company`"
            ),
            (Some(kind), TokenKind::PrivateIntegration) => format!(
                "{name} needs a token of class {kind}: create the Private Integration in the \
                 settings of a {kind}, and set `default_account` to that account"
            ),
            (Some(kind), TokenKind::Static) => format!(
                "{name} needs a token of class {kind}: set `access_token` to such a token, and set \
                 `default_account` to its account"
            ),
            (None, TokenKind::PrivateIntegration) => format!(
                "{name} does not serve Private Integration tokens: use OAuth, with `client_id` and \
                 `client_secret`"
            ),
            (None, _) => format!(
                "{name} does not serve this class of token: use the location's account instead of \
                 its company's, or the reverse"
            ),
        };
        self.error(ErrorCode::WrongTokenClass, message)
    }

    /// The class that the operation serves, if it is known.
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

/// Returns `true` for the statuses that may refuse the token or the pace.
pub(crate) fn may_refuse(status: u16) -> bool {
    matches!(status, 400 | 401 | 403 | 429)
}

/// Reads an answer. Integrators recorded these rows against the live service.
pub(crate) fn classify(call: &ApiCall<'_>, status: u16, body: &[u8]) -> Meaning {
    if !may_refuse(status) {
        return Meaning::Pass;
    }
    let mut refusal = Refusal::parse(body);
    let words = match &refusal.message {
        Some(text) => Words::new(text),
        None => Words::new(&String::from_utf8_lossy(&body[..body.len().min(2_000)])),
    };
    // Only after the words were read: the secret may be one of them.
    refusal.hide(call.bearer);
    let says = |part: &str| words.say(part);
    let told =
        |error| refusal.describe(error, status).with_server_message(refusal.message.as_deref());
    let build = |code: ErrorCode, message: &str| told(call.error(code, message));
    match status {
        429 => Meaning::Final(build(
            ErrorCode::RateLimited,
            "the API's rate limit for this account is reached: try again after `retry_after`; the \
             option `pacing` keeps below the limit",
        )),
        400 if says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API does not serve this path in this version: set `api_version`, or the request's \
             version, to the one that is documented for it",
        )),
        400 => Meaning::Pass,
        _ if says("invalid private integration token") => Meaning::PrivateIntegration(build(
            ErrorCode::InvalidPrivateIntegration,
            "the platform refuses the Private Integration token: it is wrong, or was replaced by a \
             new one. Copy the current one from the account's settings",
        )),
        _ if says("version header") || says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API does not know the version in the `Version` header: set `api_version` to one \
             that is documented, such as `2021-07-28`",
        )),
        _ if says("not authorized for this scope") => Meaning::Final(told(call.lacks_scope())),
        _ if says("authclass type")
            || says("user type mismatch")
            || says("user type is not yet supported") =>
        {
            Meaning::Final(told(call.wrong_class()))
        }
        _ if words.deny_the_location() => Meaning::Final(build(
            ErrorCode::WrongAccount,
            "the token belongs to another account than the request asks for: name the account that \
             the request's ids belong to",
        )),
        403 if says("1010") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the platform refuses the request's `User-Agent`: send the one that hoopauth's headers \
             hold, or set the option `user_agent`",
        )),
        401 => Meaning::Refreshable(build(
            ErrorCode::ReauthorizationRequired,
            match call.token {
                TokenKind::Static => {
                    "the API refuses the access token: set `access_token` to one that is valid"
                }
                _ => "the API refuses the access token: send the user through authorization again",
            },
        )),
        _ => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the API refuses this request (status 403); `server_message` says why: check what the \
             user and the app may do, and whether a firewall or a proxy on the way answers in the \
             API's place",
        )),
    }
}

/// Error of an answer whose status is not 2xx and that says nothing about the token. `next_step`:
/// replaces the usual advice for the status.
pub(crate) fn status_error(
    status: u16,
    body: &[u8],
    bearer: &str,
    next_step: Option<&str>,
) -> Error {
    let mut refusal = Refusal::parse(body);
    refusal.hide(bearer);
    let next_step = next_step.unwrap_or_else(|| usual_step(status));
    let message = format!("the API answered with status {status}: {next_step}");
    refusal
        .describe(Error::new(ErrorCode::HttpStatus, message), status)
        .with_server_message(refusal.message.as_deref().or(refusal.code.as_deref()))
        .with_retryable(status >= 500 || matches!(status, 408 | 425))
}

fn usual_step(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "it redirects, and only a GET or HEAD follows that; send the request to the URL in the \
             answer's `Location`"
        }
        404 => "nothing is there; check the path and the ids in it",
        409 => {
            "the request conflicts with stored data; read the data again, then send the change \
                again"
        }
        405 => "it does not take this method here; check the method and the path",
        407 => {
            "a proxy on the way asks for a user and a password; write them into the proxy's URL, \
             in the option `proxy` or in the environment's `HTTPS_PROXY`"
        }
        408 | 425 => "it, or a proxy on the way, did not take the request in time; try again",
        413 => "the body is too long for it; send less at a time",
        422 | 400 => "it refuses what was sent; `server_message` and the answer's body say what",
        429 => "its rate limit is reached; try again after `retry_after`",
        500.. => "it failed; try again later",
        _ => "see `server_message` and the answer's body",
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
            let (error, can_refresh) = match classify(&ApiCall::default(), status, body.as_bytes())
            {
                Meaning::Refreshable(error) => (error, true),
                Meaning::PrivateIntegration(error) | Meaning::Final(error) => (error, false),
                Meaning::Pass => panic!("{text}"),
            };
            assert_eq!((error.code(), can_refresh), (code, refreshable), "{text}");
            assert_eq!((error.trace_id(), error.status()), (Some("t"), Some(status)));
        }
        let edge = classify(&ApiCall::default(), 403, b"<html>Error 1010</html>");
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
            assert!(matches!(classify(&ApiCall::default(), status, body), Meaning::Pass));
        }
    }
}
