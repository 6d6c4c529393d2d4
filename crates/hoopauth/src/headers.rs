//! The header rules: what every request to HoopAI carries.

use std::fmt;
use std::sync::Arc;

use crate::cache::{Served, Snapshot, without_nul};
use crate::error::{Error, Result};

/// Ready-made headers of one account for one method. Immutable; cloning shares it.
///
/// `Authorization`, `Version` and `User-Agent` always; `Content-Type: application/json` for POST, PUT and PATCH.
pub struct Headers {
    snapshot: Served,
    content_type: bool,
    version: Option<Arc<str>>,
}

impl Headers {
    #[inline]
    pub(crate) fn new(snapshot: Served, method: &str) -> Self {
        Self { snapshot, content_type: carries_body(method), version: None }
    }

    /// The value of `Authorization`: `Bearer` and the token. A secret: send it, don't print it.
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

    /// The value of `User-Agent`.
    pub fn user_agent(&self) -> &str {
        self.snapshot.constants().user_agent()
    }

    /// The value of `Content-Type`, where the method carries a body.
    pub fn content_type(&self) -> Option<&'static str> {
        self.content_type.then(|| without_nul(JSON))
    }

    /// As [`iter`](Self::iter), each text with a NUL behind it, for C.
    #[doc(hidden)]
    pub fn with_nuls(&self) -> [Option<(&'static str, &str)>; 4] {
        [
            Some(("Authorization\0", self.snapshot.authorization_with_nul())),
            Some(("Version\0", self.version_with_nul())),
            Some(("User-Agent\0", &*self.snapshot.constants().user_agent)),
            self.content_type.then_some(("Content-Type\0", JSON)),
        ]
    }

    /// Whose they are; empty for a static token without an account.
    pub fn account(&self) -> &str {
        self.snapshot.name()
    }

    fn version_with_nul(&self) -> &str {
        self.version.as_deref().unwrap_or(&self.snapshot.constants().version)
    }

    /// The same headers with another `Version`, for this call.
    pub fn with_version(mut self, version: &str) -> Result<Self> {
        let version = version.trim_ascii();
        if version.is_empty() || version.len() > 64 || !version.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::argument(
                "a version is 1 to 64 printable ASCII characters, such as `2021-07-28`",
            ));
        }
        self.version = Some(format!("{version}\0").into());
        Ok(self)
    }

    /// Names and values, in this order: `Authorization`, `Version`, `User-Agent`, `Content-Type`.
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

    /// The same as a map of the `http` crate, `Authorization` marked sensitive.
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

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
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

/// The parts of the headers that are the same for all accounts of a client.
#[derive(Debug)]
pub(crate) struct Constants {
    /// These have NULs behind them, for C.
    version: Box<str>,
    user_agent: Box<str>,
}

impl Constants {
    pub(crate) fn new(version: &str, user_agent: &str) -> Self {
        Self { version: format!("{version}\0").into(), user_agent: format!("{user_agent}\0").into() }
    }

    pub(crate) fn version(&self) -> &str {
        without_nul(&self.version)
    }

    pub(crate) fn user_agent(&self) -> &str {
        without_nul(&self.user_agent)
    }
}

/// RFC 9110: methods are case-sensitive, but people write `post`.
#[inline]
fn carries_body(method: &str) -> bool {
    match method.len() {
        3 => method.eq_ignore_ascii_case("put"),
        4 => method.eq_ignore_ascii_case("post"),
        5 => method.eq_ignore_ascii_case("patch"),
        _ => false,
    }
}

const JSON: &str = "application/json\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_for_bodies_in_any_case() {
        for method in ["POST", "put", "Patch"] {
            assert!(carries_body(method));
        }
        for method in ["GET", "DELETE", "HEAD", "", "POSTS", "\u{130}OST"] {
            assert!(!carries_body(method));
        }
    }
}
