//! API requests: building, checking and sending them, and the reaction to their answers.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::inner::Inner;
use crate::response::Response;

mod fields;
mod foreign;
mod method;
mod outgoing;
mod preflight;
mod redirect;
mod report;
mod retry;
mod send;
mod target;

pub use self::foreign::{ForeignRequest, Look};
use self::method::Method;
pub use self::report::Report;
pub(crate) use self::report::report;

/// A request to be sent. [`send`](Self::send) reports its errors.
#[must_use]
#[derive(Clone)]
pub struct RequestBuilder {
    inner: Arc<Inner>,
    /// `None` for an unknown method.
    method: Option<Method>,
    path: String,
    account: Option<String>,
    params: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    is_json: bool,
    version: Option<String>,
    timeout: Option<Duration>,
    max_body: Option<usize>,
    any_status: bool,
    repeatable: bool,
    error: Option<Error>,
}

impl RequestBuilder {
    pub(crate) fn new(inner: Arc<Inner>, method: &str, path: &str) -> Self {
        Self {
            inner,
            method: Method::parse(method),
            path: path.to_owned(),
            account: None,
            params: Vec::new(),
            headers: Vec::new(),
            body: None,
            is_json: false,
            version: None,
            timeout: None,
            max_body: None,
            any_status: false,
            repeatable: false,
            error: None,
        }
    }

    /// Sets the account whose headers the request carries, as `location:<id>` or `company:<id>`.
    /// The default account serves requests that name none.
    pub fn account(mut self, account: &str) -> Self {
        self.set_account(account);
        self
    }

    pub(crate) fn set_account(&mut self, account: &str) {
        self.account = Some(account.to_owned());
    }

    /// Adds a query parameter, and encodes it. A name may be added several times.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        let mut text = Capped { text: Vec::with_capacity(128), most: LONGEST_BODY };
        match serde_json::to_writer(&mut text, value) {
            Ok(()) => {
                self.body = Some(text.text.into());
                self.is_json = true;
            }
            Err(error) => {
                // The error's own words may quote the value.
                let why = if error.is_io() {
                    "it is longer than 512 MiB"
                } else {
                    "a key that is no text, or a value that JSON has no form for"
                };
                self.error.get_or_insert(Error::argument(format!(
                    "the body can't be written as JSON: {why}"
                )));
            }
        }
        self
    }

    /// Sets a raw body of at most 512 MiB; GET and HEAD carry none. The `Content-Type` is
    /// `application/json` for POST, PUT and PATCH, unless [`header`](Self::header) sets another.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Some(bytes.into());
        self.is_json = false;
        self
    }

    /// Adds a header. The library itself sets `Authorization`, `Version`, `User-Agent`, `Host` and
    /// the headers of the connection: those are `INVALID_ARGUMENT`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the `Version` of this request, in place of `api_version`.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// Sets the time for the whole request with all its tries and waits, in place of the option
    /// `timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the longest body to accept in the answer, in bytes after decompression, in place of the
    /// option `max_response_bytes`.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Returns an answer with any status, not only 2xx. A 401 that a refresh can cure is still
    /// cured.
    pub fn any_status(mut self, any: bool) -> Self {
        self.any_status = any;
        self
    }

    /// Declares that the request may be sent twice: a POST or PATCH is then tried again like a GET.
    pub fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    /// Sends the request, repeats it if that can help, and returns the answer.
    ///
    /// A GET, HEAD, OPTIONS, PUT or DELETE is tried again, at most `max_retries` times, after a
    /// failed or broken connection and after the statuses 429, 502, 503 and 504. Any other request
    /// is tried again only if nothing of it was sent, or if it is [`repeatable`](Self::repeatable).
    /// `send` waits as long as the server says; if the time left is too short for that wait, it
    /// returns the error at once, with `retry_after`. Redirects of GET and HEAD are followed; if
    /// they lead to another origin, even a configured one, the token and the added headers are left
    /// out. A refused token is refreshed and the request repeated, once.
    ///
    /// Errors: `INVALID_ARGUMENT` (nothing was sent), those of
    /// [`headers_for`](crate::Client::headers_for) and [`report`](crate::Client::report),
    /// `NETWORK`, `TIMEOUT`, `TLS`, `RATE_LIMITED`, `MALFORMED_RESPONSE` (the body is too long),
    /// and `HTTP_STATUS` for any other status than 2xx. If an answer came, [`Error::response`]
    /// holds it.
    pub fn send(self) -> Result<Response> {
        send::send(&self)
    }

    /// Sends as [`send`](Self::send) does, and keeps the builder.
    pub(crate) fn send_kept(&self) -> Result<Response> {
        send::send(self)
    }
}

/// Text in memory, up to a length.
struct Capped {
    text: Vec<u8>,
    most: usize,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.most {
            return Err(io::Error::other("it is longer than 512 MiB"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method.map(Method::as_str))
            .finish_non_exhaustive()
    }
}

/// Longest body of a request, in bytes.
pub const LONGEST_BODY: usize = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ResponseHeaders;

    #[test]
    fn json_is_not_written_beyond_its_limit() {
        for (most, fits) in [(7, true), (6, false)] {
            let mut text = Capped { text: Vec::new(), most };
            assert_eq!(serde_json::to_writer(&mut text, &["abc"]).is_ok(), fits);
            assert!(text.text.len() <= most);
        }
    }

    #[test]
    fn json_errors_quote_nothing() {
        struct Failing;
        impl Serialize for Failing {
            fn serialize<S: serde::Serializer>(
                &self,
                _: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("planted"))
            }
        }
        let client = crate::Client::builder().private_integration_token("pit-1").build().unwrap();
        let refused = client.request("POST", "/a").json(&Failing).send().unwrap_err();
        let response =
            Response::new(200, ResponseHeaders::default(), b"{\n\"token\": \"planted\"}".into());
        let error = response.json::<std::collections::HashMap<String, u8>>().unwrap_err();
        assert!(error.message().contains("line 2 column"), "{error}");
        assert!(!format!("{refused:?} {error:?}").contains("planted"), "{refused:?} {error:?}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let client =
            crate::Client::builder().private_integration_token("pit-planted").build().unwrap();
        let request =
            client.request("POST", "/planted").param("planted", "planted").body("planted");
        let response = Response::new(
            200,
            vec![("planted".into(), "planted".into())].into(),
            b"planted".into(),
        );
        assert!(!format!("{request:?} {response:?}").contains("planted"));
    }
}
