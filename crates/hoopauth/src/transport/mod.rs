//! Transports, which carry HTTP: reqwest by default, or the host program's own.

use std::borrow::Cow;
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorCode};
use crate::secret::Secret;

#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{ReqwestTransport, TransportSettings};

/// Returns the transport of a client: `CONFIG` if there is none.
pub(crate) fn of(transport: Option<&Arc<dyn Transport>>) -> crate::error::Result<&dyn Transport> {
    transport.map(|transport| &**transport).ok_or_else(|| {
        Error::config("no transport: enable the feature `reqwest` or give the builder a transport")
    })
}

/// A carrier of HTTP: it sends one request and returns the answer.
///
/// A transport must not follow redirects, must give up after `request.timeout`, and must not return
/// a body longer than `request.max_body`. After that time it must send nothing, even if the process
/// stood still meanwhile: others may have spent the refresh token. The client calls it from any
/// thread, concurrently, and holds no lock meanwhile except the account's lease.
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
    /// Headers: names in canonical spelling; values may be secret.
    pub headers: Vec<(Cow<'static, str>, Secret)>,
    /// The body; empty for none.
    pub body: Body,
    /// Time for the whole exchange, the body included.
    pub timeout: Duration,
    /// The longest body to accept, in bytes after decompression. A longer one is
    /// [`TransportErrorKind::BodyTooLarge`].
    pub max_body: usize,
}

/// The body of a request. `Debug` does not show it.
///
/// The body of a token request is secret and wiped when dropped. All tries of an API request share
/// one body.
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
    /// Returns the bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.kind {
            BodyKind::Secret(text) => text.expose().as_bytes(),
            BodyKind::Shared(bytes) => bytes,
        }
    }

    /// Returns `true` if there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Returns a reference to a shared body, or a copy of a secret body that is wiped when it is
    /// dropped.
    #[cfg(feature = "reqwest")]
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.kind {
            BodyKind::Secret(text) => Bytes::from_owner(SecretBytes(text.clone())),
            BodyKind::Shared(bytes) => bytes.clone(),
        }
    }
}

#[cfg(feature = "reqwest")]
struct SecretBytes(Secret);

#[cfg(feature = "reqwest")]
impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
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
    /// The headers. `vec![...].into()` makes them from names and values.
    pub headers: ResponseHeaders,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl TransportResponse {
    /// Returns the value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

impl fmt::Debug for TransportResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The headers of an answer, names in lower case. `Debug` shows neither names nor values.
///
/// The headers stay as the transport had them: most are never used, so only a requested header
/// becomes text.
#[derive(Clone, Default)]
pub struct ResponseHeaders {
    kind: HeadersKind,
}

#[derive(Clone)]
enum HeadersKind {
    /// Names in lower case.
    Own(Vec<(String, String)>),
    /// All values are visible ASCII.
    #[cfg(feature = "reqwest")]
    Http(http::HeaderMap),
}

impl Default for HeadersKind {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl ResponseHeaders {
    /// Returns the value of the first header of that name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        match &self.kind {
            HeadersKind::Own(pairs) => pairs
                .iter()
                .find(|(own, _)| own.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str()),
            #[cfg(feature = "reqwest")]
            HeadersKind::Http(map) => map.get(name).and_then(|value| value.to_str().ok()),
        }
    }

    /// Returns names in lower case with their values; values of one name keep their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        Pairs::of(self)
    }

    /// Returns the pairs that [`iter`](Self::iter) gives, if they are at hand as text.
    pub(crate) fn as_pairs(&self) -> Option<&[(String, String)]> {
        match &self.kind {
            HeadersKind::Own(pairs) => Some(pairs),
            #[cfg(feature = "reqwest")]
            HeadersKind::Http(_) => None,
        }
    }

    /// Replaces bytes of values that are not UTF-8 by U+FFFD.
    #[cfg(feature = "reqwest")]
    fn of_http(map: http::HeaderMap) -> Self {
        if map.values().all(|value| value.to_str().is_ok()) {
            return Self { kind: HeadersKind::Http(map) };
        }
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let pairs = map.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Self { kind: HeadersKind::Own(pairs.collect()) }
    }
}

impl From<Vec<(String, String)>> for ResponseHeaders {
    /// Names may be in any case.
    fn from(mut pairs: Vec<(String, String)>) -> Self {
        for (name, _) in &mut pairs {
            name.make_ascii_lowercase();
        }
        Self { kind: HeadersKind::Own(pairs) }
    }
}

impl fmt::Debug for ResponseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHeaders")
            .field("count", &self.iter().count())
            .finish_non_exhaustive()
    }
}

/// An iterator over headers. That of `http` can't be cloned, so a clone of this one begins again
/// and goes as far.
struct Pairs<'a> {
    of: &'a ResponseHeaders,
    rest: PairsKind<'a>,
    taken: usize,
}

enum PairsKind<'a> {
    Own(slice::Iter<'a, (String, String)>),
    #[cfg(feature = "reqwest")]
    Http(http::header::Iter<'a, http::HeaderValue>),
}

impl<'a> Pairs<'a> {
    fn of(headers: &'a ResponseHeaders) -> Self {
        let rest = match &headers.kind {
            HeadersKind::Own(pairs) => PairsKind::Own(pairs.iter()),
            #[cfg(feature = "reqwest")]
            HeadersKind::Http(map) => PairsKind::Http(map.iter()),
        };
        Self { of: headers, rest, taken: 0 }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.rest {
            PairsKind::Own(pairs) => {
                pairs.next().map(|(name, value)| (name.as_str(), value.as_str()))
            }
            #[cfg(feature = "reqwest")]
            PairsKind::Http(pairs) => pairs
                .next()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())),
        };
        self.taken += usize::from(next.is_some());
        next
    }
}

impl Clone for Pairs<'_> {
    fn clone(&self) -> Self {
        let mut again = Self::of(self.of);
        for _ in 0..self.taken {
            again.next();
        }
        again
    }
}

/// Reason why no answer came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Kind of failure.
    pub kind: TransportErrorKind,
    /// Description for people, without secrets and bodies.
    pub message: String,
    /// `true` if a byte of the request may have reached the server. In doubt it is `true`.
    pub sent: bool,
}

/// Kinds of failure of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// There was no connection, or it broke.
    Network,
    /// No answer came in time.
    Timeout,
    /// The certificate or the handshake failed.
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

impl TransportErrorKind {
    /// Code of the error that the caller gets.
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            Self::Network => ErrorCode::Network,
            Self::Timeout => ErrorCode::Timeout,
            Self::Tls => ErrorCode::Tls,
            Self::Config => ErrorCode::Config,
            Self::Callback => ErrorCode::CallbackFailed,
            Self::BodyTooLarge | Self::Malformed => ErrorCode::MalformedResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_the_same_whoever_brings_them() {
        let came =
            [("Set-Cookie", "a=planted"), ("X-A", "1"), ("SET-COOKIE", "b"), ("x-empty", "")];
        let text = came.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        for headers in headers_of(&came, text) {
            assert_eq!(headers.get("set-cookie"), Some("a=planted"));
            assert_eq!(headers.get("x-A"), Some("1"));
            assert_eq!(headers.get("X-Empty"), Some(""));
            for none in ["x-b", "", "\u{e9}", "a b"] {
                assert_eq!(headers.get(none), None, "{none:?}");
            }
            let mut pairs: Vec<_> = headers.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            assert_eq!(
                pairs,
                [("set-cookie", "a=planted"), ("set-cookie", "b"), ("x-a", "1"), ("x-empty", "")]
            );

            let mut rest = headers.iter();
            for taken in 0..=pairs.len() {
                assert!(rest.clone().eq(headers.iter().skip(taken)), "{taken}");
                rest.next();
            }
            assert!(!format!("{headers:?}").contains("planted"));
        }
        assert_eq!(ResponseHeaders::default().iter().count(), 0);
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn headers_that_are_no_ascii_are_readable() {
        let mut map = http::HeaderMap::new();
        for (name, value) in [("x-utf", &b"\xc3\xa9"[..]), ("x-other", b"a\xff"), ("x-a", b"1")] {
            map.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let headers = ResponseHeaders::of_http(map);
        for (name, value) in [("X-Utf", "\u{e9}"), ("x-other", "a\u{fffd}"), ("x-a", "1")] {
            assert_eq!(headers.get(name), Some(value), "{name}");
        }
    }

    #[cfg(feature = "reqwest")]
    fn headers_of(
        came: &[(&'static str, &'static str)],
        text: Vec<(String, String)>,
    ) -> Vec<ResponseHeaders> {
        let mut map = http::HeaderMap::new();
        for (name, value) in came {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, http::HeaderValue::from_static(value));
        }
        let lazy = ResponseHeaders::of_http(map);
        assert!(lazy.as_pairs().is_none());
        vec![text.into(), lazy]
    }

    #[cfg(not(feature = "reqwest"))]
    fn headers_of(
        _: &[(&'static str, &'static str)],
        text: Vec<(String, String)>,
    ) -> Vec<ResponseHeaders> {
        vec![text.into()]
    }
}
