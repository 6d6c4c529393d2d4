//! HTTP methods of API requests.

use std::fmt;

/// A method that requests can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// Reads a name in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    pub(super) fn bytes(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }

    /// Returns `true` if sending a request twice has the effect of sending it once (RFC 9110,
    /// 9.2.2).
    pub(super) fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Returns `true` for the methods that only read: they carry no body, and follow redirects.
    pub(super) fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_in_any_case() {
        assert_eq!(Method::parse("pAtCh"), Some(Method::Patch));
        for bad in ["", "GETS", "CONNECT", "TRACE", "G ET", "GET\r\n", "\u{130}"] {
            assert_eq!(Method::parse(bad), None, "{bad}");
        }
    }
}
