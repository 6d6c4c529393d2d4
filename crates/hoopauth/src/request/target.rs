//! The URL of a request.

use std::borrow::Cow;
use std::ops::Range;

use url::form_urlencoded;

use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::web_url;

/// The checked URL of a request.
#[derive(Debug)]
pub(super) struct Target {
    /// Absolute, with the query.
    pub(super) url: String,
    /// Place of the path below `api_base` in `url`.
    below: Option<Range<usize>>,
    /// Place of the query that the path brought along.
    own_query: Option<Range<usize>>,
}

impl Target {
    /// Builds the URL from a path below `api_base`, or from an absolute URL on one of the
    /// configured origins, and from parameters that still need encoding.
    ///
    /// Refuses URLs that parsers read differently, so that no parser on the way sees another path,
    /// another host or a second request in them.
    pub(super) fn new(
        settings: &Settings,
        given: &str,
        params: &[(String, String)],
    ) -> Result<Self> {
        if given.len() > LONGEST_URL {
            return Err(too_long());
        }
        let base = &settings.api_base;
        let (origin, rest) = if given.starts_with('/') {
            if given.starts_with("//") {
                return Err(Error::argument(
                    "the path begins with `//`, which names a host: begin it with one `/`",
                ));
            }
            (Cow::Borrowed(base.prefix()), given)
        } else {
            let (origin, rest) = split_absolute(settings, given)?;
            (Cow::Owned(origin), rest)
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        check_path(path)?;
        check_query(query.unwrap_or_default())?;

        let room: usize = params.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut url = String::with_capacity(origin.len() + rest.len() + room + 1);
        url.push_str(&origin);
        let start = url.len();
        url.push_str(if path.is_empty() { "/" } else { path });
        let below = if given.starts_with('/') {
            Some(start..url.len())
        } else {
            base.below(&url).map(|path| url.len() - path.len()..url.len())
        };
        let own_query = query.map(|query| {
            url.push('?');
            let start = url.len();
            url.push_str(query);
            start..url.len()
        });
        for (name, value) in params {
            if !url.ends_with('&') && own_query.as_ref().is_none_or(|own| own.start != url.len()) {
                url.push(if url.len() == start + path.len().max(1) { '?' } else { '&' });
            }
            web_url::push_pair(&mut url, name, value);
            if url.len() > LONGEST_URL {
                return Err(too_long());
            }
        }
        Ok(Self { url, below, own_query })
    }

    /// The path below `api_base`, from its `/` on, without the query.
    pub(super) fn below(&self) -> Option<&str> {
        self.below.clone().and_then(|range| self.url.get(range))
    }

    /// The query that the path brought along, decoded; the parameters are not in it.
    pub(super) fn own_query(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let query =
            self.own_query.clone().and_then(|range| self.url.get(range)).unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).into_owned()
    }
}

/// The path of a URL, for the log.
pub(super) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/");
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Origin and rest of an absolute URL that the bearer may be sent to.
fn split_absolute<'a>(settings: &Settings, given: &'a str) -> Result<(String, &'a str)> {
    let Some((_, behind)) = given.split_once("://") else {
        return Err(Error::argument(
            "the path must begin with `/`, as in `/contacts/`; or give a whole URL, beginning with \
             `https://`",
        ));
    };
    let url = settings.bearer_url(given)?;
    let rest = behind.find(['/', '?', '#']).map_or("", |start| &behind[start..]);
    Ok((url.origin().ascii_serialization(), rest))
}

/// RFC 3986, 3.3, without what proxies and servers resolve differently.
fn check_path(path: &str) -> Result<()> {
    let mut bytes = path.bytes();
    let mut has_dots = false;
    while let Some(byte) = bytes.next() {
        has_dots |= byte == b'.';
        match byte {
            b'%' => match web_url::escape(&mut bytes) {
                Some(b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f) => {
                    return Err(Error::argument(
                        "the path holds an encoded slash, backslash, dot or control character \
                         (`%2F`, `%5C`, `%2E`, `%00`): servers read these differently; put such a \
                         value into a `param` or the body",
                    ));
                }
                Some(_) => {}
                None => return Err(bad_escape("path")),
            },
            b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            | b'+' | b',' | b';' | b'=' | b':' | b'@' => {}
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return Err(bad_character("path")),
        }
    }
    // `..;x` is `..` to some servers.
    if has_dots && path.split('/').any(|part| matches!(part.split(';').next(), Some("." | ".."))) {
        return Err(Error::argument(
            "the path holds the segment `.` or `..`: give the path that is meant",
        ));
    }
    Ok(())
}

/// RFC 3986, 3.4, and the brackets and the like that people write there.
fn check_query(query: &str) -> Result<()> {
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                web_url::escape(&mut bytes).ok_or_else(|| bad_escape("query"))?;
            }
            b'"' | b'#' | b'<' | b'>' | b'\\' => return Err(bad_character("query")),
            _ if byte.is_ascii_graphic() => {}
            _ => return Err(bad_character("query")),
        }
    }
    Ok(())
}

fn bad_escape(part: &str) -> Error {
    Error::argument(format!(
        "the {part} holds a `%` without two hexadecimal digits: write `%25` for a `%`"
    ))
}

fn bad_character(part: &str) -> Error {
    Error::argument(format!(
        "the {part} holds a space, a backslash, a `#`, a control character, a character outside \
         ASCII or another one that a URL can't carry: percent-encode it, or use `param`, which does"
    ))
}

fn too_long() -> Error {
    Error::argument(format!("the URL is longer than {LONGEST_URL} bytes: send the data in a body"))
}

/// Below what HTTP libraries take.
const LONGEST_URL: usize = 60_000;

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn client(base: &str) -> crate::Client {
        crate::Client::builder().private_integration_token("pit-1").api_base(base).build().unwrap()
    }

    fn target(base: &str, given: &str, params: &[(&str, &str)]) -> Target {
        let params: Vec<_> =
            params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Target::new(client(base).inner.settings(), given, &params)
            .unwrap_or_else(|error| panic!("{given}: {error}"))
    }

    #[test]
    fn joins_paths_and_parameters() {
        for (base, given, params, url, below) in [
            ("https://h.example", "/a/", &[][..], "https://h.example/a/", Some("/a/")),
            ("https://h.example/", "/", &[], "https://h.example/", Some("/")),
            ("https://h.example/base/", "/a", &[], "https://h.example/base/a", Some("/a")),
            (
                "https://h.example",
                "/a",
                &[("q", "x y&=")],
                "https://h.example/a?q=x%20y%26%3D",
                Some("/a"),
            ),
            ("https://h.example", "/", &[("q", "1")], "https://h.example/?q=1", Some("/")),
            ("https://h.example", "/a?b=1", &[("q", "")], "https://h.example/a?b=1&q=", Some("/a")),
            (
                "https://h.example",
                "/a?",
                &[("q", "1"), ("q", "é")],
                "https://h.example/a?q=1&q=%C3%A9",
                Some("/a"),
            ),
            ("https://h.example", "/a?b&", &[("q", "1")], "https://h.example/a?b&q=1", Some("/a")),
            (
                "https://h.example",
                "HTTPS://H.example:443/a?b",
                &[],
                "https://h.example/a?b",
                Some("/a"),
            ),
            (
                "https://h.example",
                "https://h.example",
                &[("q", "1")],
                "https://h.example/?q=1",
                Some("/"),
            ),
            (
                "https://h.example",
                "https://h.example?b",
                &[("q", "1")],
                "https://h.example/?b&q=1",
                Some("/"),
            ),
            (
                "https://h.example/base",
                "https://h.example/base/a",
                &[],
                "https://h.example/base/a",
                Some("/a"),
            ),
            (
                "https://h.example/base",
                "https://h.example/basement",
                &[],
                "https://h.example/basement",
                None,
            ),
            ("https://h.example/base", "https://h.example/a", &[], "https://h.example/a", None),
            (
                "https://h.example",
                "https://services.leadconnectorhq.com/a",
                &[],
                "https://services.leadconnectorhq.com/a",
                None,
            ),
            (
                "https://h.example",
                "/a:b@c/%41;x=1,(2)",
                &[],
                "https://h.example/a:b@c/%41;x=1,(2)",
                Some("/a:b@c/%41;x=1,(2)"),
            ),
        ] {
            let target = target(base, given, params);
            assert_eq!((target.url.as_str(), target.below()), (url, below), "{base} {given}");
            assert_eq!(Url::parse(url).unwrap().as_str(), url, "a parser changes nothing of it");
        }
    }

    #[test]
    fn the_own_query_is_decoded() {
        let target = target("https://h.example", "/a?b=%20+&c&d=1", &[("e", "2")]);
        let pairs: Vec<_> = target.own_query().collect();
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("b", "  "), ("c", ""), ("d", "1")]);
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        let long = format!("/{}", "a".repeat(LONGEST_URL));
        for bad in [
            "",
            "a",
            "contacts/",
            "?a",
            "//evil.example/a",
            "///a",
            "/\\evil.example",
            "/a/../b",
            "/..",
            "/./a",
            "/a/.",
            "/a/..;x/b",
            "/a b",
            "/a\r\nX: y",
            "/a\nb",
            "/a\0",
            "/a\tb",
            "/a\x7f",
            "/é",
            "/a#b",
            "/a?b#c",
            "/a?b c",
            "/a?é",
            "/a?b\r\n",
            "/a?\"",
            "/%2e%2E/a",
            "/a%2Fb",
            "/a%2fb",
            "/a%5cb",
            "/a%00",
            "/a%0d%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a?%",
            "/{id}",
            "/<id>",
            "/a|b",
            "ftp://h.example/a",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https:h.example/a",
            "https:/h.example/a",
            "https:///h.example/a",
            "http://h.example/a",
            "https://evil.example/a",
            "https://u@h.example/a",
            "https://u:p@h.example/",
            "https://@h.example/",
            "https://h.example@evil.example/",
            "https://h.example.evil.example/",
            "https://h.example:444/",
            "https://h.example/../a",
            "https://h.example\\@evil.example/",
            "https://h.example#/a",
            "https://%68.example/",
            "https://h.example/a#b",
            " https://h.example/a",
            "https://h.example/a b",
            "https://h\u{e9}.example/",
            &long,
        ] {
            let error = Target::new(client("https://h.example").inner.settings(), bad, &[])
                .err()
                .unwrap_or_else(|| panic!("{bad:.40}"));
            assert_eq!(error.code(), crate::ErrorCode::InvalidArgument, "{bad:.40}");
        }
        let params = [("a".to_owned(), "x".repeat(LONGEST_URL))];
        assert!(Target::new(client("https://h.example").inner.settings(), "/a", &params).is_err());
    }

    #[test]
    fn the_log_sees_the_path_alone() {
        for (url, path) in
            [("https://h/a/b?c=/d", "/a/b"), ("https://h", "/"), ("https://h:1/?x", "/")]
        {
            assert_eq!(path_of(url), path);
        }
    }
}
