//! The token endpoint on the wire: exchange, refresh, mint; and what its refusals mean.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use crate::account::{Account, AccountKind};
use crate::authorize::encode_form;
use crate::error::{Error, ErrorCode, hide};
use crate::grant::TokenAnswer;
use crate::headers::Constants;
use crate::secret::Secret;
use crate::transport::{Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse};

/// What the requests need beside the tokens.
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) token_url: &'a str,
    pub(crate) location_token_url: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a Secret,
    pub(crate) constants: &'a Constants,
}

/// Why a token request gave no tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenFailure {
    pub(crate) error: Error,
    pub(crate) class: FailureClass,
    /// The refusal's body; empty where no refusal came.
    pub(crate) body: Vec<u8>,
}

impl TokenFailure {
    pub(crate) fn new(error: Error, class: FailureClass) -> Self {
        Self { error, class, body: Vec::new() }
    }
}

/// What a failure says about the refresh token that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// It is expired, revoked or spent.
    InvalidGrant,
    /// Nothing: the request was refused before it was looked at, or never arrived. It is as good as before.
    Untouched,
    /// It may have been spent: the answer was lost, cut or no answer of ours.
    Unknown,
}

impl TokenEndpoint<'_> {
    /// RFC 6749 §4.1.3.
    pub(crate) fn exchange(
        &self,
        code: &Secret,
        redirect_uri: Option<&str>,
        verifier: Option<&Secret>,
        user_type: Option<AccountKind>,
        timeout: Duration,
    ) -> Result<TokenAnswer, TokenFailure> {
        let mut form = self.form("authorization_code");
        form.push(("code", code.expose()));
        form.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
        form.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
        form.extend(user_type.map(|kind| ("user_type", kind.user_type())));
        self.post(self.token_url, &form, vec![], timeout, &|_| ())
    }

    /// RFC 6749 §6.
    pub(crate) fn refresh(
        &self,
        account: &Account,
        refresh_token: &Secret,
        timeout: Duration,
    ) -> Result<TokenAnswer, TokenFailure> {
        let mut form = self.form("refresh_token");
        form.push(("refresh_token", refresh_token.expose()));
        form.push(("user_type", account.kind().user_type()));
        self.post(self.token_url, &form, vec![], timeout, &|_| ())
    }

    /// A location's token from its company's, which spends nothing. `heard` is told of the answer, for the company's limits.
    pub(crate) fn mint(
        &self,
        company: &Account,
        location: &Account,
        authorization: &str,
        timeout: Duration,
        heard: &dyn Fn(&TransportResponse),
    ) -> Result<TokenAnswer, TokenFailure> {
        let form = [("companyId", company.id()), ("locationId", location.id())];
        let headers = vec![
            ("Authorization".into(), Secret::new(authorization)),
            ("Version".into(), Secret::new(self.constants.version())),
        ];
        self.post(self.location_token_url, &form, headers, timeout, heard)
    }

    fn form<'a>(&'a self, grant_type: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("client_id", self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("grant_type", grant_type),
        ]
    }

    fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        mut headers: Vec<(Cow<'static, str>, Secret)>,
        timeout: Duration,
        heard: &dyn Fn(&TransportResponse),
    ) -> Result<TokenAnswer, TokenFailure> {
        headers.push(("Content-Type".into(), Secret::new("application/x-www-form-urlencoded")));
        headers.push(("Accept".into(), Secret::new("application/json")));
        headers.push(("User-Agent".into(), Secret::new(self.constants.user_agent())));
        let request = TransportRequest {
            method: "POST",
            url: url.to_owned(),
            headers,
            body: encode_form(form).into(),
            timeout,
            max_body: LARGEST_ANSWER,
        };
        let response =
            crate::callback::calling(|| self.transport.send(&request)).map_err(|error| lost(&error))?;
        heard(&response);
        let fields = form.iter().filter(|(name, _)| SECRET_FIELDS.contains(name)).map(|(_, value)| *value);
        let bearer = request.headers.iter().filter_map(|(_, value)| value.expose().strip_prefix("Bearer "));
        read(response, fields.chain(bearer))
    }
}

/// `secrets` are what was sent: a server may echo it, and its words end up in errors.
fn read<'a>(
    mut response: TransportResponse,
    secrets: impl Iterator<Item = &'a str>,
) -> Result<TokenAnswer, TokenFailure> {
    let answer = match response.status {
        _ if response.body.len() > LARGEST_ANSWER => Err(TokenFailure::new(
            Error::malformed("the token endpoint's answer is longer than 1 MiB").with_status(response.status),
            FailureClass::Unknown,
        )),
        200..=299 => TokenAnswer::parse(&response.body)
            .map(|answer| answer.dated(response.header("date")))
            .map_err(|error| TokenFailure::new(error.with_status(response.status), FailureClass::Unknown)),
        _ => Err(refusal(&response, secrets)),
    };
    zeroize::Zeroize::zeroize(&mut response.body);
    answer
}

fn lost(error: &TransportError) -> TokenFailure {
    let (code, retryable) = match error.kind {
        TransportErrorKind::Network => (ErrorCode::Network, true),
        TransportErrorKind::Timeout => (ErrorCode::Timeout, true),
        TransportErrorKind::Tls => (ErrorCode::Tls, false),
        TransportErrorKind::Config => (ErrorCode::Config, false),
        TransportErrorKind::Callback => (ErrorCode::CallbackFailed, false),
        TransportErrorKind::BodyTooLarge | TransportErrorKind::Malformed => {
            (ErrorCode::MalformedResponse, false)
        }
    };
    let message = format!("the token endpoint gave no answer: {}", crate::error::clean(&error.message));
    TokenFailure::new(
        Error::new(code, message).with_retryable(retryable),
        if error.sent { FailureClass::Unknown } else { FailureClass::Untouched },
    )
}

/// Reads the three shapes of refusal: HoopAI's own, RFC 6749 §5.2, and the wrapped one.
fn refusal<'a>(response: &TransportResponse, secrets: impl Iterator<Item = &'a str>) -> TokenFailure {
    let mut body = Refusal::parse(&response.body);
    let status = response.status;
    let (code, class, message) = classify(status, &body);
    secrets.for_each(|secret| body.hide(secret));
    let mut error = Error::new(code, message)
        .with_status(status)
        .with_server_message(body.message.as_deref().or(body.code.as_deref()))
        .with_trace_id(body.trace_id.as_deref());
    if let Some(seconds) = response.header("retry-after").and_then(|text| text.trim().parse().ok()) {
        error = error.with_retry_after(Duration::from_secs(u64::min(seconds, 86_400)));
    }
    let retryable = status == 429 || status >= 500;
    TokenFailure { error: error.with_retryable(retryable), class, body: response.body.clone() }
}

fn classify(status: u16, body: &Refusal) -> (ErrorCode, FailureClass, String) {
    let text = body.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let code = body.code.as_deref().unwrap_or_default();
    let says = |part: &str| text.contains(part);
    let rejected =
        |message: &str| (ErrorCode::TokenRequestRejected, FailureClass::Untouched, message.to_owned());
    match status {
        429 => (
            ErrorCode::RateLimited,
            FailureClass::Untouched,
            "the token endpoint's limit is reached: lower `token_requests_per_minute` or wait".to_owned(),
        ),
        500.. => (
            ErrorCode::HttpStatus,
            FailureClass::Unknown,
            format!("the token endpoint failed with status {status}; try again"),
        ),
        300..=399 => (
            ErrorCode::MalformedResponse,
            FailureClass::Untouched,
            "the token endpoint answered with a redirect, which is not followed: check `token_url`"
                .to_owned(),
        ),
        _ if says("not active") => (
            ErrorCode::AccountInactive,
            FailureClass::Untouched,
            "the account is paused or unpaid; its grant is kept and works again when it is active".to_owned(),
        ),
        _ if code == "invalid_client" || says("invalid client") => {
            rejected("the token endpoint does not know this client: check `client_id` and `client_secret`")
        }
        _ if says("authorization code") || says("authorization_code") => rejected(
            "the authorization code is wrong, expired or was used: send the user through authorization again",
        ),
        _ if code == "invalid_grant" || says("invalid grant") || says("refresh token is invalid") => (
            ErrorCode::ReauthorizationRequired,
            FailureClass::InvalidGrant,
            "the grant is expired, revoked or was used elsewhere: send the user through authorization again"
                .to_owned(),
        ),
        _ if says("parameter") || status == 422 => rejected(
            "the token endpoint refuses a parameter: check `redirect_uri`, `user_type` and the app's settings",
        ),
        _ => rejected("the token endpoint refuses the request: check the app's settings"),
    }
}

/// The parts of a refusal that are read, wherever they stand.
#[derive(Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) trace_id: Option<String>,
}

impl Refusal {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(&body[..body.len().min(LARGEST_ANSWER)]);
        let Ok(wire) = serde_json::from_slice::<RefusalWire>(body.as_bytes()) else {
            return Self::default();
        };
        let text = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => Some(text),
            Some(serde_json::Value::Array(parts)) => {
                let parts: Vec<_> = parts.iter().filter_map(serde_json::Value::as_str).collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let (mut code, mut message) = (None, text(wire.error_description).or_else(|| text(wire.message)));
        match wire.error {
            Some(serde_json::Value::Object(mut wrapped)) => {
                code = text(wrapped.remove("code"));
                message = message.or_else(|| text(wrapped.remove("message")));
            }
            other => code = code.or_else(|| text(other)),
        }
        Self { code, message, trace_id: text(wire.trace_id) }
    }

    /// Takes a secret out of it, as a server may have echoed it: whole or cut short, as text (not as JSON writes it).
    pub(crate) fn hide(&mut self, secret: &str) {
        for text in [&mut self.code, &mut self.message, &mut self.trace_id].into_iter().flatten() {
            hide(text, secret);
        }
    }
}

#[derive(Deserialize)]
struct RefusalWire {
    error: Option<serde_json::Value>,
    error_description: Option<serde_json::Value>,
    message: Option<serde_json::Value>,
    #[serde(rename = "traceId", alias = "trace_id")]
    trace_id: Option<serde_json::Value>,
}

const SECRET_FIELDS: &[&str] = &["client_secret", "refresh_token", "code", "code_verifier"];
const LARGEST_ANSWER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> TokenFailure {
        refusal(&TransportResponse { status, headers: vec![].into(), body: body.into() }, [].into_iter())
    }

    #[test]
    fn every_row_of_the_error_table() {
        use ErrorCode::{
            AccountInactive, HttpStatus, RateLimited, ReauthorizationRequired, TokenRequestRejected,
        };
        use FailureClass::{InvalidGrant, Unknown, Untouched};
        for (status, body, code, class) in [
            (
                400,
                r#"{"statusCode":400,"message":"Invalid grant: refresh token is invalid"}"#,
                ReauthorizationRequired,
                InvalidGrant,
            ),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"gone"}"#,
                ReauthorizationRequired,
                InvalidGrant,
            ),
            (
                400,
                r#"{"error":{"code":"invalid_grant","message":"x","details":{},"resolution":"y"}}"#,
                ReauthorizationRequired,
                InvalidGrant,
            ),
            (400, r#"{"message":"Location is not active"}"#, AccountInactive, Untouched),
            (400, r#"{"message":"Invalid parameter: user_type"}"#, TokenRequestRejected, Untouched),
            (400, r#"{"message":"Missing parameter: code"}"#, TokenRequestRejected, Untouched),
            (400, r#"{"error":"invalid_client"}"#, TokenRequestRejected, Untouched),
            (401, r#"{"error":"invalid_client","error_description":"no"}"#, TokenRequestRejected, Untouched),
            (
                401,
                r#"{"error":"UnAuthorized!","error_description":"Authorization code not found"}"#,
                TokenRequestRejected,
                Untouched,
            ),
            (422, r#"{"message":"grant_type must be a string"}"#, TokenRequestRejected, Untouched),
            (422, r#"{"message":["a must be","b must be"]}"#, TokenRequestRejected, Untouched),
            (429, "", RateLimited, Untouched),
            (500, "<html>", HttpStatus, Unknown),
            (503, r#"{"message":"down"}"#, HttpStatus, Unknown),
            (307, "", ErrorCode::MalformedResponse, Untouched),
            (418, "not json", TokenRequestRejected, Untouched),
        ] {
            let failure = refused(status, body);
            assert_eq!((failure.error.code(), failure.class), (code, class), "{status} {body}");
            assert_eq!(failure.error.status(), Some(status));
            assert_eq!(failure.error.is_retryable(), status == 429 || status >= 500);
        }
    }

    #[test]
    fn server_words_and_trace_id_are_kept() {
        let failure = refused(422, r#"{"message":["a must be","b must be"],"traceId":"t-1"}"#);
        assert_eq!(failure.error.server_message(), Some("a must be; b must be"));
        assert_eq!(failure.error.trace_id(), Some("t-1"));
    }
}
