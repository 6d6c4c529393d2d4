//! Checks of values that have a grammar of their own: scopes, redirect URIs, URLs. Each error names
//! the option and shows nothing of the value.

use std::collections::HashSet;

use url::Url;

use crate::error::{Error, Result};
use crate::mistake::{self, Form};
use crate::web_url::{self, Flaw};

/// Returns the scopes without repetitions, in their order. `CONFIG` if there is none, or one is not
/// a `scope-token` (RFC 6749, 3.3) of the platform's kind. `label` names the option.
pub(crate) fn validate_scopes<S: AsRef<str>>(
    label: &str,
    scopes: impl IntoIterator<Item = S>,
) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    let mut unique = Vec::new();
    let mut total = 0;
    for (index, scope) in scopes.into_iter().enumerate() {
        let scope = scope.as_ref();
        // Counted, not quoted: a token given here by mistake must not end up in a log.
        let refuse = |what: &str| {
            Err(Error::config(format!(
                "{label}: number {} {what}; one scope is a word such as `contacts.readonly`, and \
                 several are separated by spaces or are items of a list",
                index + 1
            )))
        };
        if scope.is_empty() || scope.len() > SCOPE_LIMIT {
            return refuse(&format!("is empty or longer than {SCOPE_LIMIT} characters"));
        }
        // RFC 6749 allows commas, but no scope of the platform has one, and lists of programs do.
        if scope.contains([',', ';']) {
            return refuse("holds a comma or a semicolon: put a space in its place");
        }
        if let Some(what) = mistake::found(scope, Form::Text) {
            return refuse(what);
        }
        if !scope.bytes().all(is_scope_byte) {
            return refuse(
                "holds a space, a quotation mark, a backslash, a control character or one outside \
                 ASCII",
            );
        }
        if scope.starts_with(['\'', '`', '[', '{', '<'])
            || scope.ends_with(['\'', '`', ']', '}', '>'])
        {
            return refuse("begins or ends with a quotation mark or a bracket: remove it");
        }
        if ["%20", "%2c", "%2C"].iter().any(|separator| scope.contains(separator)) {
            return refuse("holds a separator as a URL writes it: put a space in its place");
        }
        if seen.contains(scope) {
            continue;
        }
        total += scope.len() + 1;
        if total > SCOPES_LIMIT + 1 {
            return Err(Error::config(format!(
                "{label}: all together they have more than {SCOPES_LIMIT} bytes: ask for fewer \
                 scopes"
            )));
        }
        seen.insert(scope.to_owned());
        unique.push(scope.to_owned());
    }
    if unique.is_empty() {
        return Err(Error::config(format!(
            "{label}: name at least one scope that the app was given, such as `contacts.readonly`"
        )));
    }
    Ok(unique)
}

/// Checks a redirect URI as it is registered with the app; `label` names the option.
pub(crate) fn validate_redirect_uri(label: &str, text: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    if text.len() > REDIRECT_URI_LIMIT {
        return refuse(&format!(
            "has {} bytes, more than {REDIRECT_URI_LIMIT}: register a shorter one with the app",
            text.len()
        ));
    }
    // The URL parser would repair these in silence, and the server compares the exact text.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || NOT_IN_URI.contains(&c)) {
        return refuse(
            "holds a space, a control character or one of \" < > \\ ^ ` { | }: percent-encode it, \
             as it is registered with the app",
        );
    }
    // The server compares the text as it stands: whether a host is a good international name is not
    // for us to say.
    let ascii: String = text.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    let Ok(url) = web_url::parse(&ascii) else {
        return refuse(
            "is not a whole URL: write it with `https://` in front, exactly as it is registered \
             with the app",
        );
    };
    if url.fragment().is_some() {
        return refuse(
            "has a fragment (`#…`), which no redirect URI may have: remove it, and register it \
             without",
        );
    }
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| ITS_PARAMETERS.contains(&&**name)) {
        return refuse(&format!(
            "has a parameter `{name}` of its own, which the platform adds itself and would be \
             there twice: give yours another name, or keep its value in the user's session, and \
             register the URL without it"
        ));
    }
    Ok(())
}

/// Checks the URL of an option; `label` names the option.
pub(super) fn check_url(label: &str, value: &str) -> Result<Url> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    let url = match web_url::parse(value) {
        Ok(url) => url,
        Err(Flaw::NotWhole) => {
            return refuse(
                "is not a whole URL: write it as `https://host/path`, with `https://` in front",
            );
        }
        Err(Flaw::NoHost) => return refuse("names no host: write it as `https://host/path`"),
        Err(Flaw::Ambiguous) => {
            return refuse("must be written as `https://host/path`, with `https://` in front");
        }
        Err(Flaw::Scheme) => return refuse("must begin with `https://`"),
    };
    if !web_url::has_usable_host(&url) {
        return refuse(
            "has a host name with a character that no host name has: write the name of the real \
             host",
        );
    }
    if !web_url::is_private(&url) {
        return refuse(
            "must begin with `https://`: `http://` is for this computer only (`localhost`)",
        );
    }
    if web_url::has_user(&url) || url.fragment().is_some() {
        return refuse("must hold no user, password or fragment (`#…`): remove it");
    }
    Ok(url)
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

/// Longest redirect URI.
pub(crate) const REDIRECT_URI_LIMIT: usize = 2048;
pub(super) const SCOPE_LIMIT: usize = 128;
const SCOPES_LIMIT: usize = 8 * 1024;
/// RFC 3986, appendix A, has no place for them; letters outside ASCII are let through as
/// registered.
const NOT_IN_URI: &[char] = &['"', '<', '>', '\\', '^', '`', '{', '|', '}'];
/// Parameters that the platform adds to a redirect URI (RFC 6749, 4.1.2).
const ITS_PARAMETERS: &[&str] = &["state", "code", "error", "error_description", "error_uri"];
