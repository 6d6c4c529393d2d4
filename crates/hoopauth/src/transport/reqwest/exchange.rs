//! The data of an exchange: URL and headers to send, the body of the answer, and failures in words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::mem;
use std::time::Instant;

use ::reqwest::Response;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::driver::Route;
use crate::redact::clean;
use crate::secret::Secret;
use crate::transport::{TransportError, TransportErrorKind};
use crate::web_url::{self, Flaw, is_loopback};

/// Scheme and authority, which all URLs to one host begin with.
pub(super) struct Origin {
    /// Scheme and authority, as they are written.
    pub(super) text: Box<str>,
    /// The URL of `/` there.
    pub(super) root: Url,
    pub(super) is_loopback: bool,
    /// Host and port: all of a URL that messages show.
    pub(super) peer: String,
}

impl Origin {
    pub(super) fn new(text: &str, url: &Url) -> Self {
        let mut root = url.clone();
        root.set_path("");
        root.set_query(None);
        root.set_fragment(None);
        let host = url.host_str().unwrap_or_default();
        let peer = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self { text: text.into(), root, is_loopback: is_loopback(url), peer }
    }

    pub(super) fn route(&self) -> Route {
        if self.is_loopback { Route::Direct } else { Route::Proxied }
    }

    /// Returns the URL of a path, from its `/` on, and its query: the same that the whole text
    /// would give. Returns `None` if there is more than a path and a query.
    pub(super) fn join(&self, rest: &str) -> Option<Url> {
        let mut path_end = rest.len();
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                b'#' | b'\\' | ..=b' ' => return None,
                b'?' => path_end = path_end.min(at),
                _ => {}
            }
        }
        let (path, query) = rest.split_at_checked(path_end)?;
        if !path.starts_with('/') {
            return None;
        }
        let mut url = self.root.clone();
        url.set_path(path);
        if let Some(query) = query.strip_prefix('?') {
            url.set_query(Some(query));
        }
        Some(url)
    }
}

/// The text that a header's value shares with its secret.
struct SentValue(Secret);

impl AsRef<[u8]> for SentValue {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

pub(super) type Pair = (Cow<'static, str>, Secret);

/// Headers, as they were given and as they are sent.
pub(super) struct KnownHeaders {
    pub(super) pairs: Vec<Pair>,
    pub(super) read: HeaderMap,
}

impl KnownHeaders {
    pub(super) fn are(&self, pairs: &[Pair]) -> bool {
        let same =
            |((name, value), (other, text)): (&Pair, &Pair)| name == other && value.is_same(text);
        self.pairs.len() == pairs.len() && self.pairs.iter().zip(pairs).all(same)
    }
}

/// Splits a URL into scheme and authority, and the rest from its `/` on. Returns `None` if the
/// border is not plain to see.
pub(super) fn split_origin(text: &str) -> Option<(&str, &str)> {
    let (scheme, behind) = text.split_once("://")?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !(is("http") || is("https")) || behind.starts_with('/') {
        return None;
    }
    let start = text.len() - behind.len();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    let end = start + text.bytes().skip(start).position(|b| !plain(b))?;
    let (origin, rest) = text.split_at_checked(end)?;
    rest.starts_with('/').then_some((origin, rest))
}

/// Parses the URL to send to.
pub(super) fn target(url: &str) -> Result<Url, TransportError> {
    let refuse = |what: &str| Err(config(format!("the URL to send to {what}")));
    match web_url::parse(url) {
        Ok(url) if web_url::has_user(&url) => {
            refuse("holds a user or a password: remove them, the token says who asks")
        }
        Ok(url) => Ok(url),
        Err(Flaw::Scheme) => refuse("must begin with `https://`"),
        Err(_) => refuse("is not a whole URL: write it as `https://host/path`"),
    }
}

/// Reads headers as the HTTP library wants them.
pub(super) fn headers(pairs: &[Pair]) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| config(format!("`{}` is not a header name", name.escape_debug())))?;
        // The value is the secret, not a copy that nobody wipes.
        let read = Some(value).filter(|value| value.expose().is_ascii());
        let read = read.map(|value| {
            HeaderValue::from_maybe_shared(Bytes::from_owner(SentValue(value.clone())))
        });
        let mut value = read.and_then(Result::ok).ok_or_else(|| {
            config(format!(
                "the value of the header `{name}` has a line break or another character that no \
                 header carries: remove it"
            ))
        })?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Reads the body up to `max_body`. It trusts neither the length that the headers tell nor the size
/// that the body inflates to.
pub(super) async fn read_body(
    mut response: Response,
    max_body: usize,
    deadline: Instant,
    peer: &str,
) -> Result<Vec<u8>, TransportError> {
    let length = response.content_length();
    if length.is_some_and(|length| length > max_body as u64) {
        return Err(too_large(max_body, peer));
    }
    // C wants one byte more behind it.
    let room = length
        .and_then(|length| usize::try_from(length).ok())
        .map_or(0, |length| length.min(SHORT) + 1);
    // It may hold tokens: what is not handed on is wiped, the shorter one too from which it grew.
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    while let Some(chunk) = response.chunk().await.map_err(|error| explain_body(&error, peer))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large(max_body, peer));
        }
        let needed = body.len() + chunk.len();
        if needed > body.capacity() {
            let mut larger =
                Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity()) + 1));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
        // A server that never lets us wait gives a timer no turn.
        if Instant::now() >= deadline {
            return Err(timed_out(peer, true));
        }
    }
    Ok(mem::take(&mut body))
}

fn too_large(max_body: usize, peer: &str) -> TransportError {
    TransportError {
        kind: TransportErrorKind::BodyTooLarge,
        message: format!(
            "the answer of {peer} is longer than the {max_body} bytes that are accepted"
        ),
        sent: true,
    }
}

fn explain_body(error: &(dyn StdError + 'static), peer: &str) -> TransportError {
    if any(error, &is_timeout) {
        return timed_out(peer, true);
    }
    if any(error, &|e| e.is::<rustls::Error>()) {
        return TransportError {
            kind: TransportErrorKind::Tls,
            message: format!("the TLS connection to {peer} broke: {}", cause(error)),
            sent: true,
        };
    }
    network(format!("the answer of {peer} broke off: {}", cause(error)), true)
}

/// Tells what to do about a failure of TLS.
pub(super) fn next_step(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };

    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            NotValidYet | NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: look at this computer's clock, which \
                 is probably behind"
            }
            Expired | ExpiredContext { .. } => {
                "the server's certificate has expired: look at this computer's clock, which may \
                 be ahead; if it is right, the server needs a new certificate"
            }
            NotValidForName | NotValidForNameContext { .. } => {
                "the server's certificate is for another name: check the host in the URL"
            }
            UnknownIssuer => {
                "no authority that this computer trusts signed the server's certificate: set \
                 `ca_file` to the authority's certificates if you trust it, as for a proxy of your \
                 company"
            }
            _ => "the server needs another certificate, or `ca_file` the authority's certificates",
        },
        _ => {
            "check the host and the port in the URL, and whether a proxy or firewall stands in \
             between; set `ca_file` if the server's authority is not among the system's"
        }
    }
}

/// Returns `true` if `test` holds for an error or one beneath it. An I/O error hides what it wraps
/// from `source`.
fn any(error: &(dyn StdError + 'static), test: &dyn Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if test(error) {
            return true;
        }
        current = beneath(error);
    }
    false
}

/// Finds the error of a type: this one, or one beneath it.
pub(super) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        current = beneath(error);
    }
    None
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<::reqwest::Error>().is_some_and(::reqwest::Error::is_timeout)
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn beneath<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns the words of the innermost error. The outer ones say little, and reqwest's own may hold
/// the URL.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut words = None;
    let mut current = Some(error);
    while let Some(error) = current {
        if !error.is::<::reqwest::Error>() {
            words = Some(error);
        }
        current = beneath(error);
    }
    words.map_or_else(|| "no cause is known".to_owned(), |error| clean(&error.to_string()))
}

pub(super) fn config(message: String) -> TransportError {
    TransportError { kind: TransportErrorKind::Config, message, sent: false }
}

pub(super) fn network(message: String, sent: bool) -> TransportError {
    TransportError { kind: TransportErrorKind::Network, message, sent }
}

pub(super) fn timed_out(peer: &str, sent: bool) -> TransportError {
    let message = if sent {
        format!("{peer} did not answer in time")
    } else {
        format!("no connection to {peer} came about in time")
    };
    TransportError { kind: TransportErrorKind::Timeout, message, sent }
}

/// Room for as much is made before it arrives.
pub(super) const SHORT: usize = 64 * 1024;
