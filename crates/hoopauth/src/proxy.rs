//! The names of proxies, from the option and from the environment.
//!
//! The HTTP library passes over a proxy that it can't read and goes out directly. Here that is an
//! error: who set a proxy does not want that. Nothing of a value is shown, for it may hold a
//! password.

#[cfg(feature = "reqwest")]
use std::ffi::OsString;

use url::Url;

use crate::mistake::{self, Form};
use crate::web_url;

/// Reads a proxy's name: `http://user:password@host:port`, or without the scheme. The error goes on
/// after the option's name.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    let text = text.trim_ascii();
    if let Some(what) = mistake::found(text, Form::Url) {
        return Err(what);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {}
        other if other.starts_with("socks") => return Err(SOCKS),
        _ => return Err(FORM),
    }
    // One reader takes it for a `/`, another for a part of the user's name.
    if rest.contains('\\') {
        return Err(BACKSLASH);
    }
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            if port.parse::<u16>().is_ok_and(|port| port > 0) {
                host
            } else {
                return Err(FORM);
            }
        }
        _ => place,
    };
    // `http:/host` and `http:host` have a host of that name; a number alone would be read as an
    // address.
    if ["http", "https"].iter().any(|name| host.eq_ignore_ascii_case(name))
        || host.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(FORM);
    }
    if host.to_ascii_lowercase().starts_with("socks") && !host.contains('.') {
        return Err(SOCKS);
    }
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| FORM)?;
    if web_url::has_usable_host(&url) && url.as_str().parse::<http::Uri>().is_ok() {
        Ok(url)
    } else {
        Err(FORM)
    }
}

/// Checks the variables that the HTTP library takes proxies from, and answers which of them names
/// the one for `https`. The error is a whole sentence.
#[cfg(feature = "reqwest")]
pub(crate) fn of_environment(
    read: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<&'static str>, String> {
    // In a CGI program the variables may come from a request; the library then leaves them alone.
    if read("REQUEST_METHOD").is_some() {
        return Ok(None);
    }
    let text = |name: &'static str| match read(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) if text.is_empty() => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(format!(
            "the environment variable `{name}` is not UTF-8 text: correct it, or unset it"
        )),
    };
    let mut names_one = None;
    for name in PROXY_VARIABLES {
        let Some(value) = text(name)? else { continue };
        // The library reads it as it is, without trimming.
        let taken = || {
            value.parse::<http::Uri>().is_ok_and(|uri| {
                uri.authority().is_some()
                    && matches!(uri.scheme_str(), None | Some("http" | "https"))
            })
        };
        let checked = parse(&value).and_then(|_| if taken() { Ok(()) } else { Err(FORM) });
        checked.map_err(|what| {
            format!("the environment variable `{name}` {what}, or unset the variable")
        })?;
        if names_one.is_none() && !name.eq_ignore_ascii_case("HTTP_PROXY") {
            names_one = Some(name);
        }
    }
    for name in ["NO_PROXY", "no_proxy"] {
        let Some(value) = text(name)? else { continue };
        if let Some(what) = wrong_exceptions(&value) {
            return Err(format!("the environment variable `{name}` {what}"));
        }
    }
    Ok(names_one)
}

/// Finds the mistake in a list of hosts that no proxy is used for. An entry that can't be read
/// would be passed over.
#[cfg(feature = "reqwest")]
fn wrong_exceptions(value: &str) -> Option<&'static str> {
    const SEPARATE: &str = "must be a list of host names and addresses, separated by commas";
    if let Some(what) = mistake::found(value.trim_ascii(), Form::Text) {
        return Some(what);
    }
    value.split(',').map(str::trim_ascii).filter(|entry| !entry.is_empty()).find_map(|entry| {
        if mistake::found(entry, Form::Text).is_some() {
            return Some(
                "holds an entry in quotes or a placeholder: write host names and addresses, \
                 separated by commas",
            );
        }
        if entry.contains("://") {
            return Some("holds a URL: write the host's name alone, without `http://` and path");
        }
        if entry.contains(|c: char| c.is_whitespace() || IN_NO_HOST.contains(&c)) {
            return Some(SEPARATE);
        }
        let (address, bits) = entry.split_once('/')?;
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return Some("holds an invalid network: write it as `10.0.0.0/8`"),
        };
        let fits = bits.parse::<u8>().is_ok_and(|bits| bits <= most);
        (!fits).then_some("holds an invalid network: write it as `10.0.0.0/8`")
    })
}

/// Variables in the order in which the first one that is set counts; `HTTP_PROXY` is for plain HTTP
/// alone.
#[cfg(feature = "reqwest")]
const PROXY_VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
/// Characters that separate entries in other lists, or stand in placeholders.
#[cfg(feature = "reqwest")]
const IN_NO_HOST: &[char] = &[';', '|', '"', '\'', '<', '>', '{', '}'];
const FORM: &str =
    "is not the name of a proxy: write `http://host:port`, or `http://user:password@host:port`";
const BACKSLASH: &str =
    "holds a backslash: write it as `%5C`, as in `http://DOMAIN%5Cuser:password@host:port`";
const SOCKS: &str =
    "names a SOCKS proxy, which is not supported: name an HTTP proxy, `http://host:port`";

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG: &[&str] = &[
        "",
        "http://",
        "http:/planted:80",
        "http:planted",
        "https:8443",
        "8080",
        ":8080",
        "http://:8080",
        "ftp://planted:1",
        "socks5://u:planted@h:1",
        "SOCKS5H://planted:1",
        "socks4://planted",
        "http://u:planted@h:99999",
        "http://u:planted@h:0",
        "http://u:planted@h:port",
        "http://u:planted@",
        "a planted",
        "\"http://planted:80\"",
        "'http://planted:80'",
        "http://\"planted\":80",
        "${PLANTED}",
        "http://${PLANTED}:80",
        "http://u:$PLANTED@h:80",
        "http://%PLANTED%:80",
        "http://pl@nted:x@h:1@",
        "http://<planted>:1",
        "http://planted\n:1",
        "planted DIRECT",
        "http://DOMAIN\\planted:x@h:1",
    ];

    #[test]
    fn proxies_are_read_as_people_write_them() {
        for text in [
            "http://h:1",
            "https://h",
            "h:8080",
            "h",
            "h.example",
            "10.0.0.1:3128",
            "http://[::1]:3128",
            "http://u:p%40ss@h:1/",
            "http://u:p$w\"x@h:1",
            "user:planted@h:1",
            "HTTP://h:1",
            " http://h:1 ",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in WRONG {
            let said = parse(text).unwrap_err();
            assert!(!said.to_lowercase().contains("planted"), "{text}: {said}");
        }
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn every_variable_of_the_environment_is_checked_and_named() {
        let with = |name: &'static str, value: &str| {
            let value = OsString::from(value);
            of_environment(move |asked| (asked == name).then(|| value.clone()))
        };
        for name in PROXY_VARIABLES {
            for text in WRONG.iter().filter(|text| !text.is_empty()) {
                let said = with(name, text).unwrap_err();
                assert!(
                    said.contains(&format!("`{name}`")) && !said.to_lowercase().contains("planted"),
                    "{text}: {said}"
                );
            }
            assert!(with(name, "").is_ok(), "an empty one is unset");
            let names_one = with(name, "http://h:1").unwrap();
            assert_eq!(names_one.is_some(), !name.eq_ignore_ascii_case("http_proxy"), "{name}");
        }
        for name in ["NO_PROXY", "no_proxy"] {
            for good in [
                "",
                "*",
                "localhost,127.0.0.1, .example,10.0.0.0/8,::1,fd00::/8",
                "host:80",
                "h\u{f6}st",
            ] {
                assert_eq!(with(name, good), Ok(None), "{good}");
            }
            for bad in [
                "\"planted\"",
                "planted,'planted'",
                "${PLANTED}",
                "planted;planted",
                "planted planted",
                "http://planted",
                "10.0.0.0/33",
                "planted/8",
            ] {
                let said = with(name, bad).unwrap_err();
                assert!(
                    said.contains(name) && !said.to_lowercase().contains("planted"),
                    "{bad}: {said}"
                );
            }
        }
        let cgi = |name: &str| {
            matches!(name, "REQUEST_METHOD" | "HTTP_PROXY").then(|| OsString::from("a b"))
        };
        assert_eq!(of_environment(cgi), Ok(None));
    }

    #[cfg(all(unix, feature = "reqwest"))]
    #[test]
    fn a_variable_that_is_not_utf8_is_named() {
        use std::os::unix::ffi::OsStringExt;

        let read = |name: &str| {
            (name == "https_proxy").then(|| OsString::from_vec(b"http://planted\xff".to_vec()))
        };
        assert!(of_environment(read).unwrap_err().contains("`https_proxy`"));
    }
}
