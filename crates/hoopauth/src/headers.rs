//! The header rules: what every request to HoopAI carries.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::secret::{Part, Secret};
use crate::snapshot::{Served, Snapshot, without_nul};

/// Ready-made headers of one account for one method. Immutable; cloning shares it.
///
/// `Authorization`, `Version` and `User-Agent` always; `Content-Type: application/json` for POST,
/// PUT and PATCH.
pub struct Headers {
    snapshot: Served,
    content_type: bool,
    version: Option<Arc<str>>,
}

impl Headers {
    #[inline]
    pub(crate) fn new(snapshot: Served, method: &[u8]) -> Self {
        Self { snapshot, content_type: carries_body(method), version: None }
    }

    /// Returns the value of `Authorization`: `Bearer` and the token. It is secret: send it, don't
    /// print it.
    pub fn authorization(&self) -> &str {
        self.snapshot.authorization()
    }

    /// The value of `Version`.
    pub fn version(&self) -> &str {
        match &self.version {
            Some(version) => without_nul(version),
            None => self.snapshot.constants().version(),
        }
    }

    /// Returns the value of `User-Agent`.
    pub fn user_agent(&self) -> &str {
        self.snapshot.constants().user_agent()
    }

    /// Returns the value of `Content-Type`, if the method carries a body.
    pub fn content_type(&self) -> Option<&'static str> {
        self.content_type.then_some(JSON)
    }

    /// Returns the `Version` if it is not the client's, with a NUL behind it.
    pub(crate) fn own_version_with_nul(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns `true` if the headers have a `Content-Type`.
    pub(crate) fn has_content_type(&self) -> bool {
        self.content_type
    }

    /// Takes the headers apart for C, which counts references to the snapshot: the snapshot, `true`
    /// if there is a `Content-Type`, and the `Version` if it is not the client's.
    #[inline]
    pub(crate) fn into_parts(self) -> (Arc<Snapshot>, bool, Option<Arc<str>>) {
        (Served::into_inner(self.snapshot), self.content_type, self.version)
    }

    /// Puts together the parts that [`into_parts`](Self::into_parts) took apart.
    pub(crate) fn from_parts(
        snapshot: Arc<Snapshot>,
        content_type: bool,
        version: Option<Arc<str>>,
    ) -> Self {
        Self { snapshot: Served::from_inner(snapshot), content_type, version }
    }

    /// Returns the account of the headers; empty for a static token without an account.
    pub fn account(&self) -> &str {
        self.snapshot.name()
    }

    /// Returns the same headers with another `Version`, for this call.
    pub fn with_version(mut self, version: &str) -> Result<Self> {
        let version = version.trim_ascii();
        if version.is_empty()
            || version.len() > 64
            || !version.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::argument(
                "a version is 1 to 64 printable ASCII characters, such as `2021-07-28`",
            ));
        }
        self.version = Some(format!("{version}\0").into());
        Ok(self)
    }

    /// Returns names and values, in this order: `Authorization`, `Version`, `User-Agent`,
    /// `Content-Type`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            Some(("Authorization", self.authorization())),
            Some(("Version", self.version())),
            Some(("User-Agent", self.user_agent())),
            self.content_type().map(|value| ("Content-Type", value)),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the headers as a map of the `http` crate; `Authorization` is marked sensitive.
    pub fn to_header_map(&self) -> http::HeaderMap {
        let mut map = http::HeaderMap::with_capacity(4);
        for (name, value) in self.iter() {
            // Every part was checked to be printable ASCII when it was taken in.
            if let (Ok(name), Ok(mut value)) =
                (http::HeaderName::from_bytes(name.as_bytes()), http::HeaderValue::from_str(value))
            {
                value.set_sensitive(name == http::header::AUTHORIZATION);
                map.insert(name, value);
            }
        }
        map
    }

    /// Returns the same headers with the token of another snapshot.
    pub(crate) fn with_token_of(&self, snapshot: Served) -> Self {
        let same_version = snapshot.constants().version() == self.version();
        let version = if same_version {
            None
        } else {
            self.version.clone().or_else(|| Some(format!("{}\0", self.version()).into()))
        };
        Self { snapshot, content_type: self.content_type, version }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the same as [`iter`](Self::iter), to be sent: the token is not copied.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&'static str, Secret)> {
        let lent = |part| Secret::lent(Arc::<Snapshot>::clone(&self.snapshot), part);
        let version = match &self.version {
            Some(version) => Secret::new(without_nul(version)),
            None => lent(Part::Version),
        };
        let content_type = self.content_type().map(|value| ("Content-Type", Secret::public(value)));
        [
            Some(("Authorization", lent(Part::Authorization))),
            Some(("Version", version)),
            Some(("User-Agent", lent(Part::UserAgent))),
            content_type,
        ]
        .into_iter()
        .flatten()
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self {
            snapshot: Served::from_inner(Arc::clone(&self.snapshot)),
            content_type: self.content_type,
            version: self.version.clone(),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("authorization", &"[redacted]")
            .field("version", &self.version())
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}

/// RFC 9110: methods are case-sensitive, but people write `post`.
#[allow(clippy::inline_always, reason = "half of it is the call")]
#[inline(always)]
pub fn carries_body(method: &[u8]) -> bool {
    // All of them begin with the same letter, which tells most others apart.
    matches!(method, [first, rest @ ..] if first | 0x20 == b'p' && is_put_post_or_patch(rest))
}

#[inline(never)]
fn is_put_post_or_patch(rest: &[u8]) -> bool {
    [&b"ut"[..], b"ost", b"atch"].iter().any(|word| rest.eq_ignore_ascii_case(word))
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_for_bodies_in_any_case() {
        for method in ["POST", "put", "Patch"] {
            assert!(carries_body(method.as_bytes()));
        }
        for method in ["GET", "DELETE", "HEAD", "", "POSTS", "\u{130}OST", "P\u{f}ST", "0OST", "P"]
        {
            assert!(!carries_body(method.as_bytes()));
        }
    }
}
