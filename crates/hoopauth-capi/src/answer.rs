//! The answer to an API request, as responses and errors hold it.

use std::sync::OnceLock;

use hoopauth_core::Response;
use hoopauth_core::binding::ResponseBinding as _;
use hoopauth_core::transport::ResponseHeaders;

use crate::handle::{Handle, Owned};
use crate::lent::{Blob, Text};

/// The answer to an API request.
///
/// The caller owns what `hoopauth_request_send` made and frees it with `hoopauth_response_free`;
/// that of an error is the error's. What comes out of it lives as long as it does. Any thread may
/// read it.
pub struct hoopauth_response_t {
    pub(crate) status: u16,
    pub(crate) headers: ResponseHeaders,
    /// The same for C, as soon as it asks for them.
    texts: OnceLock<Vec<(Text, Text)>>,
    pub(crate) body: Blob,
}

impl Handle for hoopauth_response_t {
    type Kind = Owned;
}

impl hoopauth_response_t {
    pub(crate) fn new(response: Response) -> Self {
        let (status, headers, body) = response.into_parts();
        Self { status, headers, texts: OnceLock::new(), body: Blob::new(body) }
    }

    pub(crate) fn texts(&self) -> &[(Text, Text)] {
        self.texts.get_or_init(|| {
            self.headers.iter().map(|(name, value)| (Text::new(name), Text::new(value))).collect()
        })
    }
}
