//! URL rules: one definition each of a usable web URL, a host name, loopback, and the percent and
//! form coding.
//!
//! Callers word their own messages. This file answers only with a [`Flaw`] or with `true` and
//! `false`.

use std::net::IpAddr;
use std::str;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Reason why a text is not a web URL that every parser reads alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The text is not an absolute URL.
    NotWhole,
    /// The URL names no host, as in `mailto:a` or `h.example:8080`.
    NoHost,
    /// Parsers read the text differently: `https:/host`, `https:///host`, `https://@host`, a
    /// percent-escape in the host, a backslash, white space or a control character anywhere.
    Ambiguous,
    /// The scheme is neither `http` nor `https`.
    Scheme,
}

/// Parses an absolute `http` or `https` URL.
///
/// The URL parser alone repairs slashes and drops line breaks in silence. Proxies and servers
/// repair such a text in another way and see another host, so that it is refused here.
pub(crate) fn parse(text: &str) -> Result<Url, Flaw> {
    let url = Url::parse(text).map_err(|_| Flaw::NotWhole)?;
    if !url.has_host() {
        return Err(Flaw::NoHost);
    }
    let (scheme, rest) = text.split_once("://").ok_or(Flaw::Ambiguous)?;
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let odd = |c: char| c == '\\' || c.is_control() || c.is_whitespace();
    if !scheme.eq_ignore_ascii_case(url.scheme())
        || authority.is_empty()
        || host.contains('%')
        || (authority.contains('@') && !has_user(&url))
        || text.contains(odd)
    {
        return Err(Flaw::Ambiguous);
    }
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(Flaw::Scheme) }
}

/// Returns `true` if the URL holds a user or a password.
pub(crate) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns `true` if nobody on the way reads along: `https`, or any scheme to loopback.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// Returns `true` if the URL leads to this computer.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_loopback_host(name),
        Some(Host::Ipv4(address)) => is_loopback_address(address.into()),
        Some(Host::Ipv6(address)) => is_loopback_address(address.into()),
        None => false,
    }
}

/// Returns `true` for the hosts of RFC 8252, 7.3 and 8.3: `localhost`, `127.0.0.0/8` and `::1`.
///
/// Names such as `a.localhost` and `localhost.` do not count: many resolvers ask the network for
/// them.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback_address)
}

/// Returns `true` for `127.0.0.0/8`, written as IPv6 too, and `::1`.
pub(crate) fn is_loopback_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns `true` if the URL's host is an address or a usable name.
pub(crate) fn has_usable_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_host_name(name),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

/// Returns `true` for an address and for a usable name.
#[cfg(feature = "postgres")]
pub(crate) fn is_host(text: &str) -> bool {
    is_host_name(text) || text.parse::<IpAddr>().is_ok()
}

/// Returns `true` if every character is one that names of hosts have. The URL parser accepts
/// others, such as `$` and `"`.
fn is_host_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// Encodes pairs as `application/x-www-form-urlencoded`, for requests to the token endpoint
/// (RFC 6749, appendix B).
pub(crate) fn encode_form(pairs: &[(&str, &str)]) -> Secret {
    encode_after("", pairs)
}

/// Encodes pairs behind `prefix`, for a query that follows a URL.
pub(crate) fn encode_after(prefix: &str, pairs: &[(&str, &str)]) -> Secret {
    // An escape has three bytes. We reserve all of the room because growth would leave copies of
    // the secrets behind.
    let room: usize = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + room));
    text.push_str(prefix);
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        push_pair(&mut text, name, value);
    }
    Secret::new(text.as_str())
}

/// Appends `name=value`, encoded. A space becomes `%20`, not `+`, because form decoders and URI
/// decoders both read that rightly.
pub(crate) fn push_pair(text: &mut String, name: &str, value: &str) {
    text.extend(utf8_percent_encode(name, ESCAPED));
    text.push('=');
    text.extend(utf8_percent_encode(value, ESCAPED));
}

/// Decodes one name or value of a form or a query: `+` and percent-escapes. Returns `None` for a
/// broken escape and for bytes that are not UTF-8.
pub(crate) fn decode_form(text: &str) -> Option<Secret> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            escape(&mut bytes)?;
        }
    }
    let mut spaced = Zeroizing::new(Vec::with_capacity(text.len()));
    spaced.extend(text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }));
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    decoded.extend(percent_decode(&spaced));
    str::from_utf8(&decoded).ok().map(Secret::new)
}

/// Takes the two digits behind a `%` and returns the byte that they stand for.
pub(crate) fn escape(bytes: &mut str::Bytes<'_>) -> Option<u8> {
    hex_byte([bytes.next()?, bytes.next()?])
}

/// Reads two hexadecimal digits.
pub(crate) fn hex_byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// All characters but the unreserved ones of RFC 3986, 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_web_url_is_one_that_every_parser_reads_alike() {
        for good in [
            "https://h.example",
            "HTTPS://H.example:443/a?b#c",
            "http://[::1]:9/x",
            "http://u:p%40@h/",
            "https://h.example/%2F?u=file:///x",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for (bad, flaw) in [
            ("", Flaw::NotWhole),
            ("//h.example", Flaw::NotWhole),
            ("/a", Flaw::NotWhole),
            ("https://", Flaw::NotWhole),
            ("https://h:99999", Flaw::NotWhole),
            ("h.example:80", Flaw::NoHost),
            ("mailto:a@h", Flaw::NoHost),
            ("ftp://h/", Flaw::Scheme),
            ("https:h.example", Flaw::Ambiguous),
            ("https:/h.example", Flaw::Ambiguous),
            ("https:///h.example", Flaw::Ambiguous),
            ("https:h.example/p?x=://y", Flaw::Ambiguous),
            ("https:\\\\h.example", Flaw::Ambiguous),
            ("https://\\h.example", Flaw::Ambiguous),
            ("https://h.example\\@evil.example/", Flaw::Ambiguous),
            ("https://%68.example/", Flaw::Ambiguous),
            ("https://@h.example/", Flaw::Ambiguous),
            ("https://h.example/a\tb", Flaw::Ambiguous),
            (" https://h.example", Flaw::Ambiguous),
        ] {
            assert_eq!(parse(bad), Err(flaw), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known_in_all_spellings() {
        for (url, expected) in [
            ("http://localhost:1/", true),
            ("http://LOCALHOST/", true),
            ("http://127.1/", true),
            ("http://127.255.0.1/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://localhost./", false),
            ("http://a.localhost/", false),
            ("http://localhost.example/", false),
            ("http://notlocalhost/", false),
            ("http://0.0.0.0/", false),
            ("http://128.0.0.1/", false),
            ("http://[::2]/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn forms_are_encoded_exactly() {
        let form = encode_form(&[
            ("a b", "1+1=2&/é"),
            ("empty", ""),
            ("plain", "AZaz09-._~"),
            ("x", "\u{1F600}%*'()!"),
        ]);
        assert_eq!(
            form.expose(),
            "a%20b=1%2B1%3D2%26%2F%C3%A9&empty=&plain=AZaz09-._~&x=%F0%9F%98%80%25%2A%27%28%29%21"
        );
        assert!(encode_form(&[]).is_empty());
    }

    #[test]
    fn broken_escapes_are_refused() {
        for broken in ["%", "a%4", "%zz", "%+1", "%ff", "%e9"] {
            assert!(decode_form(broken).is_none(), "{broken}");
        }
        assert_eq!(decode_form("a+b%2B%c3%A9").unwrap().expose(), "a b+\u{e9}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn forms_come_back_as_they_went(
            pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..6)
        ) {
            let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let form = encode_form(&borrowed);
            let decoded: Vec<(String, String)> =
                url::form_urlencoded::parse(form.expose().as_bytes()).into_owned().collect();
            prop_assert_eq!(decoded, pairs);
        }

        #[test]
        fn our_decoder_reads_our_encoder(text in any::<String>()) {
            let form = encode_form(&[("k", &text)]);
            let value = decode_form(form.expose().strip_prefix("k=").unwrap()).unwrap();
            prop_assert_eq!(value.expose(), text);
        }

        #[test]
        fn our_decoder_agrees_with_the_url_crate(text in "[a-z+%=0-9A-F/?é -]{0,40}") {
            if let Some(value) = decode_form(&text) {
                let whole = format!("k={text}");
                let (_, expected) = url::form_urlencoded::parse(whole.as_bytes()).next().unwrap();
                prop_assert_eq!(value.expose(), &*expected);
            }
        }
    }
}
