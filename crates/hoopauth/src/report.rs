//! What an API answer means for the token it was asked with.

use std::time::Duration;

use crate::account::Account;
use crate::error::{Error, ErrorCode};
use crate::headers::Headers;
use crate::token_endpoint::Refusal;

/// What to do after an API answer was reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The answer is no matter of authentication: use it.
    Pass,
    /// The token was refused and there is a new one: repeat the request once, with these headers.
    Repeat(Headers),
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

/// Reads an answer. The rows are those that integrators recorded against the live service.
pub(crate) fn classify(
    account: Option<&Account>,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Meaning {
    if !matches!(status, 400 | 401 | 403 | 429) {
        return Meaning::Pass;
    }
    let refusal = Refusal::parse(body);
    let raw;
    let text = if let Some(text) = &refusal.message {
        text.as_str()
    } else {
        raw = String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned();
        &raw
    };
    let lower = text.to_ascii_lowercase();
    let says = |part: &str| lower.contains(part);
    let build = |code: ErrorCode, message: &str| {
        let error = Error::new(code, message)
            .with_status(status)
            .with_server_message(refusal.message.as_deref())
            .with_trace_id(refusal.trace_id.as_deref())
            .with_retryable(code == ErrorCode::RateLimited);
        match account {
            Some(account) => error.with_account(account),
            None => error,
        }
    };
    match status {
        429 => {
            let mut error = build(ErrorCode::RateLimited, "the API's rate limit is reached: wait");
            let find = |name: &str| {
                headers
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                    .and_then(|(_, v)| v.trim().parse::<u64>().ok())
            };
            if let Some(seconds) = find("retry-after") {
                error = error.with_retry_after(Duration::from_secs(seconds.min(86_400)));
            } else if let Some(millis) = find("x-ratelimit-interval-milliseconds") {
                error = error.with_retry_after(Duration::from_millis(millis.min(86_400_000)));
            }
            Meaning::Final(error)
        }
        400 if says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the `Version` header does not fit this path: set `api_version`",
        )),
        400 => Meaning::Pass,
        _ if says("invalid private integration token") => Meaning::PrivateIntegration(build(
            ErrorCode::InvalidPrivateIntegration,
            "the Private Integration token is wrong or was rotated: copy the current one from the settings",
        )),
        _ if says("version header") || says("api version") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the `Version` header is missing or wrong: set `api_version`",
        )),
        _ if says("not authorized for this scope") => Meaning::Final(build(
            ErrorCode::InsufficientScope,
            "the token lacks a scope for this: add it to the app and to `scopes`, then authorize again",
        )),
        _ if says("authclass type") => Meaning::Final(build(
            ErrorCode::WrongTokenClass,
            "this operation needs a token of the other class: a location's instead of its company's, or the reverse",
        )),
        _ if says("user type mismatch") || says("user type is not yet supported") => Meaning::Final(build(
            ErrorCode::WrongTokenClass,
            "this operation does not serve this class of token",
        )),
        _ if says("access to this location") || says("not accessible from this token") => {
            Meaning::Final(build(
                ErrorCode::WrongAccount,
                "the token speaks for another account than the one the request names",
            ))
        }
        403 if says("1010") => Meaning::Final(build(
            ErrorCode::HttpStatus,
            "the platform's edge refuses the `User-Agent`: send the one of these headers",
        )),
        401 => Meaning::Refreshable(build(
            ErrorCode::ReauthorizationRequired,
            "the API refuses the access token: send the user through authorization again",
        )),
        _ => Meaning::Final(build(ErrorCode::HttpStatus, "the API forbids this request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_row() {
        for (status, text, code, refreshable) in [
            (401, "Invalid JWT", ErrorCode::ReauthorizationRequired, true),
            (401, "Invalid token: access token is invalid", ErrorCode::ReauthorizationRequired, true),
            (401, "Invalid Private Integration token", ErrorCode::InvalidPrivateIntegration, false),
            (
                401,
                "This authClass type is not allowed to access this scope. Please",
                ErrorCode::WrongTokenClass,
                false,
            ),
            (401, "The token is not authorized for this scope.", ErrorCode::InsufficientScope, false),
            (401, "Token's user type mismatch!", ErrorCode::WrongTokenClass, false),
            (401, "This token's user type is not yet supported!", ErrorCode::WrongTokenClass, false),
            (401, "version header was not found.", ErrorCode::HttpStatus, false),
            (401, "version header is invalid", ErrorCode::HttpStatus, false),
            (400, "Invalid API version segment in path", ErrorCode::HttpStatus, false),
            (403, "The token does not have access to this location.", ErrorCode::WrongAccount, false),
            (403, "This location is not accessible from this token!", ErrorCode::WrongAccount, false),
            (429, "Too Many Requests", ErrorCode::RateLimited, false),
        ] {
            let body =
                serde_json::json!({ "statusCode": status, "message": text, "traceId": "t" }).to_string();
            let (error, can_refresh) = match classify(None, status, &[], body.as_bytes()) {
                Meaning::Refreshable(error) => (error, true),
                Meaning::PrivateIntegration(error) | Meaning::Final(error) => (error, false),
                Meaning::Pass => panic!("{text}"),
            };
            assert_eq!((error.code(), can_refresh), (code, refreshable), "{text}");
            assert_eq!((error.trace_id(), error.status()), (Some("t"), Some(status)));
        }
        let edge = classify(None, 403, &[], b"<html>Error 1010</html>");
        assert!(matches!(edge, Meaning::Final(error) if error.message().contains("User-Agent")));
    }

    #[test]
    fn what_is_no_matter_of_authentication_passes() {
        for (status, body) in
            [(200, &b"{}"[..]), (404, b"{}"), (500, b"Invalid JWT"), (400, b"{\"message\":\"name\"}")]
        {
            assert!(matches!(classify(None, status, &[], body), Meaning::Pass));
        }
    }

    #[test]
    fn waits_are_read() {
        let wait = |headers: &[(&str, &str)]| match classify(None, 429, headers, b"") {
            Meaning::Final(error) => error.retry_after(),
            _ => None,
        };
        assert_eq!(wait(&[("Retry-After", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(wait(&[("x-ratelimit-interval-milliseconds", "10000")]), Some(Duration::from_secs(10)));
        assert_eq!(wait(&[]), None);
    }
}
