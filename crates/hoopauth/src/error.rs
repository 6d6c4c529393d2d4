//! The one error type, and its numbers, which are the same in every language.

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::redact::clean;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: what went wrong, what to do next, and what the server said.
///
/// The message never holds a secret. Cloning is cheap: all callers that waited for one refresh get
/// the same error.
#[derive(Clone, thiserror::Error)]
#[error("{} [{}]", self.inner.message, self.inner.code)]
pub struct Error {
    inner: Arc<ErrorParts>,
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
            inner: Arc::new(ErrorParts {
                code,
                message: message.into(),
                status: None,
                server_message: None,
                trace_id: None,
                retry_after: None,
                retryable,
                account: None,
                attachment: None,
            }),
        }
    }

    /// Returns the code of the failure.
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// Says what happened and what to do next.
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

    /// Returns the time to wait before the next try, if it is known. After a failed refresh the
    /// same call gets the same error until then.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Returns `true` if the same call can succeed later with nothing changed by a person.
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// The account it is about.
    pub fn account(&self) -> Option<&Account> {
        self.inner.account.as_ref()
    }

    /// Returns the attached value, if it is of this type.
    pub(crate) fn attachment<T: Any>(&self) -> Option<&T> {
        self.inner
            .attachment
            .as_deref()
            .and_then(|attachment| (attachment as &dyn Any).downcast_ref())
    }

    /// Attaches a value of a higher layer, which knows its type: the answer that the error is
    /// about.
    pub(crate) fn with_attachment<T>(mut self, attachment: T) -> Self
    where
        T: Any + Send + Sync + UnwindSafe + RefUnwindSafe,
    {
        self.edit().attachment = Some(Arc::new(attachment));
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

    fn edit(&mut self) -> &mut ErrorParts {
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

type Attachment = dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe;

#[derive(Clone)]
struct ErrorParts {
    code: ErrorCode,
    message: String,
    status: Option<u16>,
    server_message: Option<String>,
    trace_id: Option<String>,
    retry_after: Option<Duration>,
    retryable: bool,
    account: Option<Account>,
    attachment: Option<Arc<Attachment>>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// Kind of failure of an [`Error`]. The number is the same in every language; unknown
        /// numbers mean failure.
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
    /// An argument is empty, too long, not UTF-8 or of the wrong form: correct the argument
    /// that the message names.
    InvalidArgument = 1 "INVALID_ARGUMENT",
    /// The client is closed, is a parent process's, is called from its own callback, or has
    /// no credential for this: correct the program as the message says.
    InvalidState = 2 "INVALID_STATE",
    /// The caller cancelled the wait: nothing; a refresh under way goes on.
    Cancelled = 3 "CANCELLED",
    /// An option is unknown, missing or wrong: correct the option that the message names.
    Config = 10 "CONFIG",
    /// The server could not be reached or the connection broke: check the network; try
    /// again, after `retry_after` if it is set.
    Network = 20 "NETWORK",
    /// No answer came in time: try again, after `retry_after` if it is set; a refresh under
    /// way goes on.
    Timeout = 21 "TIMEOUT",
    /// The server's certificate could not be verified: look at the computer's clock and at
    /// the server's certificate, or name its authority with `ca_file`; the message says
    /// which.
    Tls = 22 "TLS",
    /// The grant is over for good: send the user through authorization again.
    ReauthorizationRequired = 30 "REAUTHORIZATION_REQUIRED",
    /// There is no grant for this account: send the user through authorization, or import a
    /// grant.
    NoGrant = 31 "NO_GRANT",
    /// The redirect's `state` is missing, wrong, expired or was used before: begin the
    /// authorization again.
    StateMismatch = 32 "STATE_MISMATCH",
    /// The user, or the platform, refused the authorization: ask the user; begin again.
    AuthorizationDenied = 33 "AUTHORIZATION_DENIED",
    /// The token endpoint refuses the request, for its client id, secret, code or
    /// parameters: correct what the message names; if it names the code, begin the login
    /// again.
    TokenRequestRejected = 34 "TOKEN_REQUEST_REJECTED",
    /// The account is paused or unpaid; its grant is kept: activate the account at HoopAI.
    AccountInactive = 35 "ACCOUNT_INACTIVE",
    /// The answer is not what the protocol allows, or comes from something on the way, such
    /// as a firewall: check `token_url`, and firewalls, proxies and login pages on the way;
    /// try again after `retry_after`.
    MalformedResponse = 36 "MALFORMED_RESPONSE",
    /// A limit is reached: try again after `retry_after`.
    RateLimited = 37 "RATE_LIMITED",
    /// The token lacks a scope: add the scope to the app and to `scopes`, and authorize
    /// again.
    InsufficientScope = 40 "INSUFFICIENT_SCOPE",
    /// A company's token where a location's is needed, or the reverse: use the other
    /// account; if a refresh meets this and it stays, authorize again.
    WrongTokenClass = 41 "WRONG_TOKEN_CLASS",
    /// The token speaks for another account than the one that was asked for: use the
    /// account that the request names; if a refresh meets this and it stays, authorize
    /// again.
    WrongAccount = 42 "WRONG_ACCOUNT",
    /// The platform refuses the Private Integration token: copy the current token from the
    /// account's settings.
    InvalidPrivateIntegration = 43 "INVALID_PRIVATE_INTEGRATION",
    /// Another HTTP status that is a failure: do what the message says; if `retryable`, try
    /// again, after `retry_after` if it is set.
    HttpStatus = 44 "HTTP_STATUS",
    /// The store could not read or write: repair the store as the message says, its folder,
    /// rights, space or server.
    Store = 50 "STORE",
    /// Another process or thread still refreshes this account after `max_wait`, or handles
    /// this webhook: try again; answer 429 to the webhook.
    LeaseTimeout = 51 "LEASE_TIMEOUT",
    /// The store's key is missing or not the one that its rows were sealed with: set
    /// `store_key` to the key that the rows were sealed with.
    StoreKey = 52 "STORE_KEY",
    /// A stored row can't be opened or read: authorize or import this account again, or do
    /// what the message says; look for who else writes to the store.
    StoreCorrupt = 53 "STORE_CORRUPT",
    /// The webhook carries no signature, or none of a scheme that a key is there for:
    /// answer 401.
    SignatureMissing = 60 "SIGNATURE_MISSING",
    /// The webhook's signature is malformed, or no key made it: answer 401; check the keys,
    /// and that the body is what came byte for byte.
    SignatureInvalid = 61 "SIGNATURE_INVALID",
    /// The webhook is older than `max_age`, from the future, or has no time: answer 400;
    /// check the computer's clock.
    WebhookStale = 62 "WEBHOOK_STALE",
    /// The webhook was handled before: answer 200, and do nothing.
    WebhookReplayed = 63 "WEBHOOK_REPLAYED",
    /// The webhook's body can't be read as an event, or is longer than `max_body`: answer
    /// 400.
    WebhookMalformed = 64 "WEBHOOK_MALFORMED",
    /// The webhook is genuine, but of another app, or of an account without a grant here:
    /// answer 200, and do nothing.
    WebhookForeign = 65 "WEBHOOK_FOREIGN",
    /// A panic was caught at a language border: report it, with the message.
    Panic = 90 "PANIC",
    /// A defect of hoopauth, or a computer without a resource that it needs: report it,
    /// with the message; try again if `retryable`.
    Internal = 91 "INTERNAL",
    /// A callback of the program failed: correct your store, transport, clock or hook.
    CallbackFailed = 92 "CALLBACK_FAILED",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
    fn display_names_the_code() {
        assert_eq!(Error::config("`scopes` is empty").to_string(), "`scopes` is empty [CONFIG]");
    }
}
