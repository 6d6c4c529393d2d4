//! The answer to an API request.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, Result};
use crate::transport::ResponseHeaders;

/// The answer to an API request. Cloning is cheap; `Debug` shows neither headers nor body. While it
/// lives it keeps what was read of the connection with its headers, 8 KiB or more: keep what you
/// need of many answers, not the answers.
#[derive(Clone)]
pub struct Response {
    inner: Arc<Parts>,
}

struct Parts {
    status: u16,
    headers: ResponseHeaders,
    /// The same as text, as soon as all are asked for.
    pairs: OnceLock<Vec<(String, String)>>,
    body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, headers: ResponseHeaders, body: Vec<u8>) -> Self {
        Self { inner: Arc::new(Parts { status, headers, pairs: OnceLock::new(), body }) }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.inner.status
    }

    /// The headers in the order they came, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        let Parts { headers, pairs, .. } = &*self.inner;
        headers.as_pairs().unwrap_or_else(|| {
            pairs.get_or_init(|| {
                headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            })
        })
    }

    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers.get(name)
    }

    /// The headers as the transport had them.
    pub(crate) fn fields(&self) -> &ResponseHeaders {
        &self.inner.headers
    }

    /// The body, decompressed.
    pub fn body(&self) -> &[u8] {
        &self.inner.body
    }

    /// Status, headers and body, to be kept otherwise; copied only where others hold them too.
    pub(crate) fn into_parts(self) -> (u16, ResponseHeaders, Vec<u8>) {
        match Arc::try_unwrap(self.inner) {
            Ok(parts) => (parts.status, parts.headers, parts.body),
            Err(shared) => (shared.status, shared.headers.clone(), shared.body.clone()),
        }
    }

    /// Returns the body as text; bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body())
    }

    /// The body read as JSON. `MALFORMED_RESPONSE`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body()).map_err(|error| {
            // The error's own words may quote the body.
            let why = match error.classify() {
                Category::Data => "a value of another type than expected",
                Category::Eof => "it ends too early",
                Category::Syntax | Category::Io => "it is no JSON",
            };
            Error::malformed(format!(
                "the answer's body is not the JSON that was expected: {why}, at line {} column {}",
                error.line(),
                error.column()
            ))
        })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Error {
    /// Returns the answer that the error is about, with headers and body, if a
    /// [`request`](crate::Client::request) ended in one.
    pub fn response(&self) -> Option<&Response> {
        self.attachment()
    }

    pub(crate) fn with_response(self, response: Response) -> Self {
        self.with_attachment(response)
    }
}
