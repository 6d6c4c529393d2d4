//! Rules for following redirects.

use url::Url;

use super::method::Method;
use crate::transport::TransportResponse;
use crate::web_url;

/// Returns the `Location` of a redirect that the request may follow.
pub(super) fn location(method: Method, answer: &TransportResponse) -> Option<&str> {
    let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    answer.header("location").filter(|_| is_redirect && method.only_reads())
}

/// Returns the URL that a redirect leads to, or the reason why hoopauth does not follow it.
/// `loopback`: the first request went to this computer.
pub(super) fn target(from: &Url, location: &str, loopback: bool) -> Result<Url, &'static str> {
    let mut to = from.join(location).map_err(|_| NO_URL)?;
    to.set_fragment(None);
    if web_url::has_user(&to) {
        return Err(
            "it redirects to a URL that holds a user or a password, which is not followed; check \
             the path and `api_base`",
        );
    }
    match (from.scheme(), to.scheme()) {
        (_, "https") => Ok(to),
        ("http", "http") if loopback && web_url::is_loopback(&to) => Ok(to),
        _ => Err(
            "it redirects to a URL without `https://`, which is not followed; check the path and \
             `api_base`",
        ),
    }
}

pub(super) const MOST_HOPS: usize = 5;
pub(super) const NO_URL: &str =
    "it redirects to something that is no URL; check the path and `api_base`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gets_are_sent_elsewhere() {
        for (method, status, location, followed) in [
            (Method::Get, 302, Some("/b"), true),
            (Method::Head, 308, Some("/b"), true),
            (Method::Get, 301, None, false),
            (Method::Get, 200, Some("/b"), false),
            (Method::Get, 304, Some("/b"), false),
            (Method::Post, 303, Some("/b"), false),
            (Method::Options, 307, Some("/b"), false),
        ] {
            let headers: Vec<_> =
                location.map(|to| ("Location".to_owned(), to.to_owned())).into_iter().collect();
            let answer = TransportResponse { status, headers: headers.into(), body: Vec::new() };
            assert_eq!(super::location(method, &answer).is_some(), followed, "{method} {status}");
        }
    }

    #[test]
    fn never_from_https_to_http() {
        for (from, location, loopback, to) in [
            ("https://a.example/x/y?q=1", "z", false, Some("https://a.example/x/z")),
            ("https://a.example/x", "?q", false, Some("https://a.example/x?q")),
            ("https://a.example/x", "//b.example/#f", false, Some("https://b.example/")),
            ("https://a.example/x", "http://a.example/x", false, None),
            ("https://localhost/x", "http://localhost/x", true, None),
            ("https://a.example/x", "http://127.0.0.1/x", false, None),
            ("http://127.0.0.1:1/x", "http://[::1]:2/x", true, Some("http://[::1]:2/x")),
            ("http://127.0.0.1:1/x", "http://localhost/x", true, Some("http://localhost/x")),
            ("http://127.0.0.1:1/x", "http://a.localhost/x", true, None),
            ("http://127.0.0.1:1/x", "http://a.example/x", true, None),
            ("http://127.0.0.1:1/x", "https://a.example/x", true, Some("https://a.example/x")),
            ("https://a.example/x", "https://u:p@a.example/x", false, None),
            ("https://a.example/x", "file:///etc/passwd", false, None),
            ("https://a.example/x", "https://", false, None),
        ] {
            let found = target(&Url::parse(from).unwrap(), location, loopback);
            assert_eq!(found.as_ref().ok().map(Url::as_str), to, "{from} {location}");
        }
    }
}
