//! What carries HTTP: reqwest by default, or the host program's own.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::secret::Secret;

#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{ReqwestTransport, TransportSettings};

/// Sends one HTTP request and answers what came back.
///
/// A transport must not follow redirects, must give up after `request.timeout`, and must not answer a body longer than
/// `request.max_body`. It is called from any thread, concurrently, with no lock of ours held but the account's lease.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request`. A status of 4xx or 5xx is an answer, not an error.
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError>;
}

/// One request, ready to send. `Debug` shows no header values and no body.
pub struct TransportRequest {
    /// `GET`, `POST` and so on.
    pub method: &'static str,
    /// An absolute URL.
    pub url: String,
    /// Names in canonical spelling; values may be secret.
    pub headers: Vec<(Cow<'static, str>, Secret)>,
    /// The body; empty for none.
    pub body: Body,
    /// For the whole exchange, the body included.
    pub timeout: Duration,
    /// The longest body to accept, in bytes after decompression. A longer one is [`TransportErrorKind::BodyTooLarge`].
    pub max_body: usize,
}

/// The body of a request. `Debug` does not show it.
///
/// That of a token request is secret and wiped when dropped; that of an API request is shared by all tries of it.
#[derive(Clone, Default)]
pub struct Body {
    kind: BodyKind,
}

#[derive(Clone)]
enum BodyKind {
    Secret(Secret),
    Shared(Bytes),
}

impl Default for BodyKind {
    fn default() -> Self {
        Self::Shared(Bytes::new())
    }
}

impl Body {
    /// What to send.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.kind {
            BodyKind::Secret(text) => text.expose().as_bytes(),
            BodyKind::Shared(bytes) => bytes,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// A reference to what is shared, a copy of what is secret.
    #[cfg(feature = "reqwest")]
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.kind {
            BodyKind::Secret(text) => Bytes::copy_from_slice(text.expose().as_bytes()),
            BodyKind::Shared(bytes) => bytes.clone(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.as_bytes().len()).finish()
    }
}

impl From<Secret> for Body {
    fn from(text: Secret) -> Self {
        Self { kind: BodyKind::Secret(text) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { kind: BodyKind::Shared(bytes.into()) }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Shared(bytes) }
    }
}

impl fmt::Debug for TransportRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An answer. `Debug` shows neither headers nor body: token answers are secrets.
pub struct TransportResponse {
    /// The HTTP status.
    pub status: u16,
    /// Header names in any case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl TransportResponse {
    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for TransportResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why no answer came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What failed.
    pub kind: TransportErrorKind,
    /// For people; no secrets, no bodies.
    pub message: String,
    /// Whether any byte of the request may have reached the server. When in doubt, `true`.
    pub sent: bool,
}

/// The ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection, or it broke.
    Network,
    /// No answer in time.
    Timeout,
    /// The certificate or the handshake.
    Tls,
    /// The body is longer than allowed or not what its headers say.
    BodyTooLarge,
    /// The answer is not HTTP.
    Malformed,
    /// The transport can't be built or used as configured; a retry changes nothing.
    Config,
    /// A callback of the host program failed.
    Callback,
}
