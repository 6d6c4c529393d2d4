//! The one error type, and the numbers every language knows it by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::request::Response;

/// What every fallible function of this crate answers.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: what went wrong, what to do next, and what the server said.
///
/// The message never holds a secret. Cloning is cheap: all callers that waited for one refresh get
/// the same error.
#[derive(Clone, thiserror::Error)]
#[error("{} [{}]", self.inner.message, self.inner.code)]
pub struct Error {
    inner: Arc<Inner>,
}

impl Error {
    /// An error of `code` whose `message` says what to do next. Host stores and transports build
    /// theirs with it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let retryable = matches!(
            code,
            ErrorCode::Network
                | ErrorCode::Timeout
                | ErrorCode::RateLimited
                | ErrorCode::LeaseTimeout
        );
        Self {
            inner: Arc::new(Inner {
                code,
                message: message.into(),
                status: None,
                server_message: None,
                trace_id: None,
                retry_after: None,
                retryable,
                account: None,
                response: None,
            }),
        }
    }

    /// Which failure this is.
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// What happened and what to do next.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status, where an answer caused the error.
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// The server's own words, control characters removed and cut at 500 characters.
    pub fn server_message(&self) -> Option<&str> {
        self.inner.server_message.as_deref()
    }

    /// The server's `traceId`, for HoopAI's support.
    pub fn trace_id(&self) -> Option<&str> {
        self.inner.trace_id.as_deref()
    }

    /// How long to wait before the next try, where that is known. After a failed refresh the same
    /// call gets the same error until then.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether the same call can succeed later with nothing changed by a person.
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// The account it is about.
    pub fn account(&self) -> Option<&Account> {
        self.inner.account.as_ref()
    }

    /// The answer that it is about, headers and body at hand, where a
    /// [`request`](crate::Client::request) ended in one.
    pub fn response(&self) -> Option<&Response> {
        self.inner.response.as_ref()
    }

    pub(crate) fn with_response(mut self, response: Response) -> Self {
        self.edit().response = Some(response);
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.edit().status = Some(status);
        self
    }

    /// Adds the server's words; they are cleaned and cut.
    #[must_use]
    pub fn with_server_message(mut self, message: Option<&str>) -> Self {
        self.edit().server_message = message.map(clean);
        self
    }

    /// Adds the server's trace id; it is cleaned and cut.
    #[must_use]
    pub fn with_trace_id(mut self, trace_id: Option<&str>) -> Self {
        self.edit().trace_id = trace_id.map(clean);
        self
    }

    /// Adds when to try again; the error becomes retryable.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        let inner = self.edit();
        inner.retry_after = Some(wait);
        inner.retryable = true;
        self
    }

    /// Says whether a retry can help.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.edit().retryable = retryable;
        self
    }

    /// Adds the account, unless one is named already.
    #[must_use]
    pub fn with_account(mut self, account: &Account) -> Self {
        let inner = self.edit();
        if inner.account.is_none() {
            inner.account = Some(account.clone());
        }
        self
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.inner)
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidState, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Config, message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::MalformedResponse, message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.debug_struct("Error")
            .field("code", &inner.code)
            .field("message", &inner.message)
            .field("status", &inner.status)
            .field("server_message", &inner.server_message)
            .field("trace_id", &inner.trace_id)
            .field("retry_after", &inner.retry_after)
            .field("retryable", &inner.retryable)
            .field("account", &inner.account)
            .finish()
    }
}

#[derive(Clone)]
struct Inner {
    code: ErrorCode,
    message: String,
    status: Option<u16>,
    server_message: Option<String>,
    trace_id: Option<String>,
    retry_after: Option<Duration>,
    retryable: bool,
    account: Option<Account>,
    response: Option<Response>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// Which failure an [`Error`] is. The number is the same in every language; unknown numbers
        /// mean failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number that crosses language borders.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The code with this number, if this release knows it.
            pub(crate) fn from_number(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.number() == number)
            }

            /// The constant's name, such as `NO_GRANT`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// An argument is empty, too long, not UTF-8 or of the wrong form; the message names it.
    InvalidArgument = 1 "INVALID_ARGUMENT",
    /// The client is closed, is a parent process's, is called from its own callback, or has no
    /// credential for this.
    InvalidState = 2 "INVALID_STATE",
    /// The caller cancelled the wait; a refresh under way goes on.
    Cancelled = 3 "CANCELLED",
    /// An option is unknown, missing or wrong; the message names it.
    Config = 10 "CONFIG",
    /// The server could not be reached or the connection broke: try again.
    Network = 20 "NETWORK",
    /// No answer came in time: try again; a refresh under way goes on.
    Timeout = 21 "TIMEOUT",
    /// The server's certificate could not be verified.
    Tls = 22 "TLS",
    /// The grant is over for good: send the user through authorization again.
    ReauthorizationRequired = 30 "REAUTHORIZATION_REQUIRED",
    /// There is no grant for this account: send the user through authorization, or import one.
    NoGrant = 31 "NO_GRANT",
    /// The redirect's `state` is missing, wrong, expired or was used before: begin the
    /// authorization again.
    StateMismatch = 32 "STATE_MISMATCH",
    /// The user, or the platform, refused the authorization.
    AuthorizationDenied = 33 "AUTHORIZATION_DENIED",
    /// The token endpoint refuses the request itself: a wrong client id, secret, code or parameter.
    TokenRequestRejected = 34 "TOKEN_REQUEST_REJECTED",
    /// The account is paused or unpaid; its grant is kept and works again later.
    AccountInactive = 35 "ACCOUNT_INACTIVE",
    /// The answer is not what the protocol allows, or comes from something on the way, such as a
    /// firewall.
    MalformedResponse = 36 "MALFORMED_RESPONSE",
    /// A limit is reached: try again after `retry_after`.
    RateLimited = 37 "RATE_LIMITED",
    /// The token lacks a scope.
    InsufficientScope = 40 "INSUFFICIENT_SCOPE",
    /// A company's token where a location's is needed, or the reverse.
    WrongTokenClass = 41 "WRONG_TOKEN_CLASS",
    /// The token speaks for another account than the one that was asked for.
    WrongAccount = 42 "WRONG_ACCOUNT",
    /// The platform refuses the Private Integration token: copy the current one from the account's
    /// settings.
    InvalidPrivateIntegration = 43 "INVALID_PRIVATE_INTEGRATION",
    /// Another HTTP status that is a failure.
    HttpStatus = 44 "HTTP_STATUS",
    /// The store could not read or write.
    Store = 50 "STORE",
    /// Another process or thread still refreshes this account after `max_wait`, or handles this
    /// webhook: answer 429.
    LeaseTimeout = 51 "LEASE_TIMEOUT",
    /// The store's key is missing or not the one that its rows were sealed with.
    StoreKey = 52 "STORE_KEY",
    /// A stored row can't be opened or read: authorize or import this account again.
    StoreCorrupt = 53 "STORE_CORRUPT",
    /// The webhook carries no signature, or none of a scheme that a key is there for: answer 401.
    SignatureMissing = 60 "SIGNATURE_MISSING",
    /// The webhook's signature is malformed, or no key made it: answer 401.
    SignatureInvalid = 61 "SIGNATURE_INVALID",
    /// The webhook is older than `max_age`, from the future, or has no time: answer 400.
    WebhookStale = 62 "WEBHOOK_STALE",
    /// The webhook was handled before: answer 200, do nothing.
    WebhookReplayed = 63 "WEBHOOK_REPLAYED",
    /// The webhook's body can't be read as an event, or is longer than `max_body`: answer 400.
    WebhookMalformed = 64 "WEBHOOK_MALFORMED",
    /// The webhook is genuine, but of another app, or of an account without a grant here: answer
    /// 200, do nothing.
    WebhookForeign = 65 "WEBHOOK_FOREIGN",
    /// A panic was caught at a language border.
    Panic = 90 "PANIC",
    /// A defect of hoopauth; please report it.
    Internal = 91 "INTERNAL",
    /// A callback of the program failed.
    CallbackFailed = 92 "CALLBACK_FAILED",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text from outside, made safe for a message or a log: no control characters, no token-like runs,
/// at most 500 characters.
pub fn clean(text: &str) -> String {
    let text: String =
        text.chars().take(LOOKED_AT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut after_bearer = false;
    let cleaned: String = text
        .split_inclusive(|c: char| !in_word(c))
        .map(|run| {
            let word = run.trim_end_matches(|c: char| !in_word(c));
            let secret = looks_secret(word) || (after_bearer && word.len() >= 8);
            if !word.is_empty() {
                after_bearer = word.eq_ignore_ascii_case("bearer");
            }
            if secret { run.replace(word, HIDDEN) } else { run.to_owned() }
        })
        .collect();
    // Cut last: half a token no longer looks like one.
    cleaned.chars().take(SERVER_TEXT_LIMIT).collect()
}

/// Takes what begins like a secret out of a text, to the end of the word; eight characters are
/// enough of a likeness. Of a shorter one only itself is taken out, where it is a word.
pub(crate) fn hide(text: &mut String, secret: &str) {
    let head = secret.char_indices().nth(HEAD).map_or(secret, |(end, _)| &secret[..end]);
    if head.is_empty() || !text.contains(head) {
        return;
    }
    let is_short = secret.chars().nth(HEAD - 1).is_none();
    let mut hidden = String::new();
    let mut rest = text.as_str();
    while let Some((before, found)) = rest.find(head).map(|at| rest.split_at(at)) {
        hidden.push_str(before);
        let behind = &found[head.len()..];
        if is_short && (hidden.ends_with(in_word) || behind.starts_with(in_word)) {
            hidden.push_str(head);
            rest = behind;
            continue;
        }
        hidden.push_str(HIDDEN);
        let alike = found.chars().zip(secret.chars()).take_while(|(one, other)| one == other);
        let alike = alike.map(|(one, _)| one.len_utf8()).sum::<usize>();
        rest = found[alike..].trim_start_matches(in_word);
    }
    hidden.push_str(rest);
    *text = hidden;
}

const HEAD: usize = 8;
const HIDDEN: &str = "[redacted]";

/// Whether a character is one that tokens are made of.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '=')
}

/// A server may echo what it was sent. JWTs and Private Integration tokens have a shape; long
/// unbroken runs with digits are treated alike. Ids (24 characters, UUIDs) stay readable.
fn looks_secret(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 16
        || word.starts_with("pit-") && word.len() > 12
        || word.len() > 40 && word.bytes().any(|b| b.is_ascii_digit())
}

const SERVER_TEXT_LIMIT: usize = 500;
const LOOKED_AT: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        let mut numbers: Vec<_> = ErrorCode::ALL.iter().map(|c| c.number()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
        let names: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn echoed_secrets_are_cut_out_of_server_text() {
        let text = clean(
            "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIi is bad\r\nfor 5f0c1ab2 pit-0123456789abcdef",
        );
        assert_eq!(text, "token [redacted] is bad  for 5f0c1ab2 [redacted]");
        assert_eq!(clean(&"x".repeat(9_000)).len(), SERVER_TEXT_LIMIT);
        assert_eq!(
            clean("was Bearer Zq8fW12x, a bearer token is bad"),
            "was Bearer [redacted], a bearer token is bad"
        );
        let cut = clean(&format!("{}{}", "y ".repeat(245), "abcdefghij0123456789".repeat(20)));
        assert!(!cut.contains("abcdefghij"), "{cut}");
    }

    #[test]
    fn a_secret_is_hidden_whole_and_cut_short() {
        let hidden = |text: &str, secret: &str| {
            let mut text = text.to_owned();
            hide(&mut text, secret);
            text
        };
        assert_eq!(
            hidden("s3cret-of-app, s3cret-of-ap! s3cret-", "s3cret-of-app"),
            "[redacted], [redacted]! s3cret-"
        );
        assert_eq!(
            hidden("s3cret-os3cret-of-app and more", "s3cret-of-app"),
            "[redacted] and more"
        );
        assert_eq!(
            hidden("(two words, two word, two wo)", "two words"),
            "([redacted], [redacted], two wo)"
        );
        assert_eq!(
            hidden("short (short) shortly shor", "short"),
            "[redacted] ([redacted]) shortly shor"
        );
        assert_eq!(hidden("a Bearer a, aa", "a"), "[redacted] Bearer [redacted], aa");
        assert_eq!(hidden("ключ-ключ ключ-клю", "ключ-ключ"), "[redacted] [redacted]");
        assert_eq!(hidden("[redacted] as it was", "[redacted]"), "[redacted] as it was");
        assert_eq!(hidden("anything", ""), "anything");
    }

    #[test]
    fn display_names_the_code() {
        assert_eq!(Error::config("`scopes` is empty").to_string(), "`scopes` is empty [CONFIG]");
    }
}
