//! The token endpoint on the wire: exchange, refresh, mint.

use std::borrow::Cow;
use std::time::Duration;

use super::token_answer::TokenAnswer;
use crate::account::{Account, AccountKind};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode};
use crate::limits::retry_after;
use crate::redact::clean;
pub(crate) use crate::refusal::FailureClass;
use crate::refusal::{Asks, Refusal, TokenRefusal, classify_token_refusal, look_between};
use crate::secret::Secret;
use crate::snapshot::Constants;
use crate::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use crate::web_url;

/// Values that the requests need beside the tokens.
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) token_url: &'a str,
    pub(crate) location_token_url: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a Secret,
    pub(crate) constants: &'a Constants,
    pub(crate) clock: &'a dyn Clock,
}

/// Reason why a token request gave no tokens.
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
        self.post(Asks::Code, &form, vec![], timeout, &|_| ())
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
        self.post(Asks::Refresh, &form, vec![], timeout, &|_| ())
    }

    /// A location's token from its company's, which spends nothing. `heard` is told of the answer,
    /// for the company's limits.
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
            ("Version".into(), Secret::public(OWN_VERSION)),
        ];
        self.post(Asks::Mint, &form, headers, timeout, heard)
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
        asks: Asks,
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
            url: match asks {
                Asks::Code | Asks::Refresh => self.token_url.to_owned(),
                Asks::Mint => self.location_token_url.to_owned(),
            },
            headers,
            body: web_url::encode_form(form).into(),
            timeout,
            max_body: LARGEST_ANSWER,
        };
        let response = crate::callback::calling(|| self.transport.send(&request))
            .map_err(|error| lost(&error, asks))?;
        heard(&response);
        let fields =
            form.iter().filter(|(name, _)| SECRET_FIELDS.contains(name)).map(|(_, value)| *value);
        let bearer =
            request.headers.iter().filter_map(|(_, value)| value.expose().strip_prefix("Bearer "));
        self.read(response, asks, fields.chain(bearer))
    }

    /// `secrets` are the secrets that were sent: a server may echo them, and its words end up in
    /// errors.
    fn read<'a>(
        &self,
        mut response: TransportResponse,
        asks: Asks,
        secrets: impl Iterator<Item = &'a str>,
    ) -> Result<TokenAnswer, TokenFailure> {
        let status = response.status;
        let unknown =
            |error: Error| Err(TokenFailure::new(error.with_status(status), FailureClass::Unknown));
        let answer = match status {
            _ if response.body.len() > LARGEST_ANSWER => unknown(Error::malformed(format!(
                "the answer of the token endpoint is longer than 1 MiB: {}",
                look_between(asks)
            ))),
            200..=299 => match TokenAnswer::parse(&response.body) {
                // The refresh token may stand in the lost part. While that can be had, the same
                // request brings it again.
                Ok(answer)
                    if asks == Asks::Refresh
                        && !answer.is_whole
                        && answer.refresh_token.is_none() =>
                {
                    unknown(Error::malformed(format!(
                        "the answer of the token endpoint breaks off before its end: {}",
                        look_between(asks)
                    )))
                }
                Ok(answer) => Ok(answer.dated(response.header("date"))),
                // Some servers refuse with a status of success.
                Err(_) if Refusal::parse(&response.body).has_oauth_code() => {
                    Err(self.refusal(&response, asks, secrets))
                }
                Err(error) => unknown(error),
            },
            _ => Err(self.refusal(&response, asks, secrets)),
        };
        zeroize::Zeroize::zeroize(&mut response.body);
        answer
    }

    /// Reads the three shapes of refusal: HoopAI's own, RFC 6749 §5.2, and the wrapped one.
    fn refusal<'a>(
        &self,
        response: &TransportResponse,
        asks: Asks,
        secrets: impl Iterator<Item = &'a str>,
    ) -> TokenFailure {
        let mut body = Refusal::parse(&response.body);
        let status = response.status;
        let TokenRefusal { code, class, message, is_transient } =
            classify_token_refusal(status, &body, asks);
        secrets.for_each(|secret| body.hide(secret));
        let mut error = body
            .describe(Error::new(code, message), status)
            .with_server_message(body.message.as_deref().or(body.code.as_deref()))
            .with_retryable(is_transient);
        // What stands in the way may be gone by the time that it names; a refusal of the request
        // itself stays.
        let passes = is_transient || code == ErrorCode::MalformedResponse;
        if let Some(wait) =
            retry_after(response.headers.iter(), self.clock.now()).filter(|_| passes)
        {
            error = error.with_retry_after(wait.min(LONGEST_WAIT));
        }
        TokenFailure { error, class, body: response.body.clone() }
    }
}

fn lost(error: &TransportError, asks: Asks) -> TokenFailure {
    let between = look_between(asks);
    let (retryable, next) = match error.kind {
        TransportErrorKind::Network => (true, "check the network, then try again"),
        TransportErrorKind::Timeout => {
            (true, "try again, and raise `attempt_timeout` if this stays")
        }
        // The message itself says what to do.
        TransportErrorKind::Tls | TransportErrorKind::Config | TransportErrorKind::Callback => {
            (false, "")
        }
        TransportErrorKind::BodyTooLarge | TransportErrorKind::Malformed => {
            (false, between.as_str())
        }
    };
    let code = error.kind.code();
    let what = if code == ErrorCode::Config {
        "nothing was sent"
    } else {
        "the token endpoint gave no answer"
    };
    let why = clean(&error.message);
    let message =
        if next.is_empty() { format!("{what}: {why}") } else { format!("{what} ({why}): {next}") };
    TokenFailure::new(
        Error::new(code, message).with_retryable(retryable),
        if error.sent { FailureClass::Unknown } else { FailureClass::Untouched },
    )
}

/// The `Version` that the library's own calls were written for, whatever version the program's
/// calls have.
pub(crate) const OWN_VERSION: &str = "2021-07-28";
const SECRET_FIELDS: &[&str] = &["client_secret", "refresh_token", "code", "code_verifier"];
const LARGEST_ANSWER: usize = 1 << 20;
/// The longest that a server is obeyed when it asks to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
