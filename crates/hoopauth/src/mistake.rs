//! Finds what env files, templates, editors and secret managers leave in a value: quotes,
//! placeholders, byte order marks.
//!
//! A value that holds such a mistake would be used as it is: the platform refuses it later with
//! other words, or a text that anybody can guess becomes the key of the store. Each answer here
//! goes on after the name of the value and shows nothing of it.

/// Kind of text that a value must be; it says which characters are legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any text: only mistakes of the value as a whole count.
    Text,
    /// Any text, never shown, that must not be the place where a secret is kept.
    Secret,
    /// One word of visible ASCII: a token, an id, a version.
    Word,
    /// A URL, which may hold a user and a password.
    Url,
    /// A path: legal names may hold almost everything, so that only the plain mistakes count.
    Path,
}

/// Finds the mistake in a trimmed value, in words such as `is in quotes: remove them`.
pub(crate) fn found(value: &str, form: Form) -> Option<&'static str> {
    whole(value).or_else(|| match form {
        Form::Text => None,
        Form::Secret => place(value),
        Form::Word => place(value).or_else(|| word(value)),
        Form::Url => url(value),
        Form::Path => path(value),
    })
}

/// Finds mistakes that are wrong in every kind of text.
fn whole(value: &str) -> Option<&'static str> {
    around(value).or_else(|| {
        value
            .chars()
            .any(char::is_control)
            .then_some("holds a line break or another control character: remove it")
    })
}

/// Finds the mistakes around a text, for keys, which may have line breaks and any characters
/// inside.
pub(crate) fn around(value: &str) -> Option<&'static str> {
    if value.starts_with(BYTE_ORDER_MARK) || value.ends_with(BYTE_ORDER_MARK) {
        return Some(
            "begins with a byte order mark, an invisible character that some editors write: save \
             the text as UTF-8 without a byte order mark",
        );
    }
    if value.starts_with(is_odd_space) || value.ends_with(is_odd_space) {
        return Some(
            "begins or ends with an invisible character, as text copied from a web page or a \
             document does: type it anew",
        );
    }
    if is_quoted(value) {
        return Some("is in quotes, and they would be part of it: remove them");
    }
    if is_placeholder(value) {
        return Some(
            "is a placeholder that nothing replaced: set it to the real value; env files and many \
             programs do not replace variables",
        );
    }
    value
        .match_indices("${")
        .any(|(at, _)| {
            value[at + 2..]
                .split_once('}')
                .is_some_and(|(name, _)| name.len() > 1 && is_identifier(name))
        })
        .then_some(PART)
}

/// Finds a secret that only says where the secret is.
fn place(value: &str) -> Option<&'static str> {
    if names_a_file(value) {
        return Some(
            "names a file, and only `store_key` reads files: read the file in your program and \
             give its content",
        );
    }
    if is_path(value) {
        return Some("is a path, not a secret: read the file in your program and give its content");
    }
    if value.starts_with("{\"") && value.ends_with('}') {
        return Some("is a JSON object: give the one member that is the secret");
    }
    None
}

fn word(value: &str) -> Option<&'static str> {
    let first_word = value.split_ascii_whitespace().next().unwrap_or_default();
    if first_word.eq_ignore_ascii_case("bearer") && first_word.len() < value.len() {
        return Some("begins with `Bearer`: give the token alone, without that word");
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(
            "holds white space or a character outside ASCII: copy it again; it is one word",
        );
    }
    if value.contains(['"', '\'', '`']) {
        return Some("holds a quotation mark: remove it");
    }
    if value.contains(NOT_IN_WORDS) {
        return Some(
            "holds a character that it can't have, such as `$`, `{`, `<` or `*`: a placeholder \
             that nothing replaced, or a copy of a masked value; copy it again from where it was \
             made",
        );
    }
    None
}

fn url(value: &str) -> Option<&'static str> {
    let odd = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`');
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
    // In a password everything may stand that the URL's reader takes.
    let behind_user = authority.rfind('@').map_or(rest, |at| &rest[at..]);
    if scheme.contains(odd) || behind_user.contains(odd) {
        return Some(
            "holds a space, a quotation mark or another character that a URL must not contain: \
             remove it, or write it as `%` and its two hexadecimal digits",
        );
    }
    has_placeholder(value, &['/', ':', '@', '?', '&', '=', '#', ',']).then_some(PART)
}

fn path(value: &str) -> Option<&'static str> {
    if value.starts_with("-----BEGIN") {
        return Some("is the content of a file: write it to a file and give that file's path");
    }
    if value.starts_with("~/") || value == "~" {
        return Some("begins with `~`, which only a shell knows: write the whole path");
    }
    if has_placeholder(value, &['/', '\\']) { Some(PART) } else { None }
}

/// Finds quotation marks around all of it, or around nothing.
fn is_quoted(value: &str) -> bool {
    let value = value.strip_prefix('\\').unwrap_or(value);
    let mut chars = value.chars();
    let (Some(first), Some(last)) = (chars.next(), chars.next_back()) else { return false };
    match first {
        '"' | '\'' | '`' => first == last,
        _ => TYPOGRAPHIC.contains(&first) && TYPOGRAPHIC.contains(&last),
    }
}

/// Returns `true` for a template's variable and nothing else.
pub(crate) fn is_placeholder(value: &str) -> bool {
    let inside = |open: &str, close: &str| {
        value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
    };
    if ["${", "$(", "#{", "${{"].iter().any(|open| {
        let close = if open.ends_with('(') { ")" } else { "}" };
        inside(open, close).is_some_and(|name| !name.contains(['{', '(']) || name.starts_with('{'))
    }) {
        return true;
    }
    if inside("{{", "}}").is_some() || inside("{%", "%}").is_some() {
        return true;
    }
    if inside("{", "}").or_else(|| inside("%", "%")).is_some_and(is_identifier) {
        return true;
    }
    if inside("<", ">").or_else(|| inside("[", "]")).is_some_and(is_words) {
        return true;
    }
    match value.strip_prefix('$') {
        Some(name) => {
            let name = name.strip_prefix("env:").unwrap_or(name);
            is_identifier(name) && is_like_a_variable(name)
        }
        None => false,
    }
}

/// Returns `true` for a variable somewhere in a value that `separators` divide.
fn has_placeholder(value: &str, separators: &[char]) -> bool {
    let braced = |open: &str, close: char| {
        value.match_indices(open).any(|(at, _)| {
            let rest = &value[at + open.len()..];
            rest.find(close).is_some_and(|end| end > 0 && !rest[..end].contains(separators))
        })
    };
    braced("${", '}')
        || braced("{{", '}')
        || braced("$(", ')')
        || value.split(separators).any(|part| !part.is_empty() && is_placeholder(part))
}

/// Returns `true` if a value begins with `file:` in any spelling: `File:`, `file :`.
pub(crate) fn names_a_file(value: &str) -> bool {
    let Some((scheme, _)) = value.split_once(':') else { return false };
    scheme.trim_ascii().eq_ignore_ascii_case("file")
}

/// Returns `true` for a path without `file:` in front. Base64 may begin with `/`, too, so that a
/// slash alone is none.
pub(crate) fn is_path(value: &str) -> bool {
    let drive = |value: &str| {
        let bytes = value.as_bytes();
        bytes.len() > 3
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'\\' | b'/')
    };
    let absolute = ROOTS.iter().any(|root| value.starts_with(root));
    let relative = ["./", "../", "~/", ".\\", "..\\"].iter().any(|start| value.starts_with(start));
    let with_ending = value.starts_with('/')
        && value.rsplit_once('.').is_some_and(|(_, ending)| {
            (1..=8).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric())
        })
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b' '));
    absolute || relative || with_ending || drive(value)
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Returns `true` for `HOOPAI_TOKEN` and `hoopai_token`: a password that begins with `$` is seldom
/// written so.
fn is_like_a_variable(name: &str) -> bool {
    let upper = !name.bytes().any(|b| b.is_ascii_lowercase());
    let lower = !name.bytes().any(|b| b.is_ascii_uppercase());
    upper || (lower && name.trim_matches('_').contains('_'))
}

/// Letters, digits, spaces and hyphens, as in `<your token>`.
fn is_words(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '\'' | '…'))
}

/// White space outside ASCII, and characters that have no width.
fn is_odd_space(c: char) -> bool {
    (c.is_whitespace() && !c.is_ascii())
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{202a}'..='\u{202e}')
}

const BYTE_ORDER_MARK: char = '\u{feff}';
const TYPOGRAPHIC: &[char] = &[
    '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}',
    '\u{ab}', '\u{bb}', '\u{2039}', '\u{203a}', '\u{300c}', '\u{300d}', '\u{ff02}', '\u{ff07}',
    '\u{b4}', '\u{2032}', '\u{2033}',
];
/// RFC 6750, 2.1, has no place for them in a token, nor has the platform in an id.
const NOT_IN_WORDS: &[char] =
    &['$', '%', '<', '>', '{', '}', '[', ']', '(', ')', '\\', ',', ';', '*'];
const ROOTS: &[&str] = &[
    "/etc/",
    "/run/",
    "/var/",
    "/home/",
    "/root/",
    "/opt/",
    "/usr/",
    "/srv/",
    "/mnt/",
    "/tmp/",
    "/secrets/",
    "/app/",
    "/Users/",
    "/data/",
    "/config/",
    "/vault/",
];
const PART: &str = "holds a placeholder that nothing replaced: write the real text in its place";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_env_files_and_templates_leave_is_found() {
        for form in [Form::Text, Form::Secret, Form::Word, Form::Url, Form::Path] {
            for value in [
                "\"planted-0123456789\"",
                "'planted-0123456789'",
                "`planted-0123456789`",
                "\\\"planted-0123456789\\\"",
                "\u{201c}planted-0123456789\u{201d}",
                "\u{201e}planted\u{201c}",
                "\u{2018}planted\u{2019}",
                "\u{ab}planted\u{bb}",
                "\"\"",
                "''",
                "${HOOPAI_TOKEN}",
                "${hoopai.token:-x}",
                "${{ secrets.TOKEN }}",
                "$(cat token)",
                "#{TOKEN}",
                "$HOOPAI_TOKEN",
                "$TOKEN",
                "$hoopai_token",
                "$env:TOKEN",
                "%HOOPAI_TOKEN%",
                "{{ token }}",
                "{{token}}",
                "{% token %}",
                "{token}",
                "<token>",
                "<your token here>",
                "[redacted]",
                "\u{feff}planted",
                "planted\u{a0}",
                "\u{200b}planted",
                "plan\nted",
                "plan\0ted",
            ] {
                let said = found(value, form).unwrap_or_else(|| panic!("{form:?} takes {value:?}"));
                assert!(!said.contains("planted") && !said.contains("TOKEN"), "{said}");
            }
        }
    }

    #[test]
    fn what_a_secret_may_be_is_none() {
        for value in [
            "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e",
            "a \"quoted\" word and 'another'",
            "it's",
            "\"",
            "ends with \"",
            "$ecret-0123456789",
            "$ecretPassword1",
            "pa$$word ${x} y",
            "%20%20",
            "{not json",
            "<a><b>",
            "/abcDEF+0123456789abcdefABCDEF01=",
            "+/8=/8Aa",
            "p\u{e4}ssw\u{f6}rd of sixteen",
            "\u{201c}one\u{201d} or \u{201c}two",
            "profile:x",
        ] {
            assert_eq!(found(value, Form::Secret), None, "{value:?}");
        }
        for value in [
            "pit-01234567-89ab",
            "eyJhbGciOiJSUzI1NiJ9.eyJ_-.abc",
            "app1-suffix",
            "v3",
            "a~b+c/d==",
        ] {
            assert_eq!(found(value, Form::Word), None, "{value:?}");
        }
    }

    #[test]
    fn a_secret_that_only_says_where_it_is_is_refused() {
        for value in [
            "file:/run/secrets/token",
            "File:token",
            "FILE :token",
            "/run/secrets/token",
            "/keys/store.key",
            "./store.key",
            "C:\\keys\\store.key",
            "{\"token\": \"planted\"}",
        ] {
            assert!(found(value, Form::Secret).is_some(), "{value:?}");
            assert!(found(value, Form::Word).is_some(), "{value:?}");
        }
    }

    #[test]
    fn words_have_no_quotes_and_no_masks() {
        for value in [
            "pit-\"a\"",
            "\"pit-a",
            "pit-a'",
            "pit-****",
            "Bearer pit-a",
            "a b",
            "\u{e9}",
            "pit-a\\n",
            "a,b",
            "<a",
        ] {
            assert!(found(value, Form::Word).is_some(), "{value:?}");
        }
    }

    #[test]
    fn urls_and_paths_keep_what_is_legal_in_them() {
        for value in [
            "https://host.example/a$b/c?$filter=x",
            "http://user:p$ss@proxy.example:8080",
            "http://user:%24%7Ba@proxy.example",
            "postgres://u:p\"<q>\\@h/d",
            "postgres://u:p%22q@h/d?options=-c%20x",
            "https://h.example/{id}x",
        ] {
            assert_eq!(found(value, Form::Url), None, "{value:?}");
        }
        for value in [
            "https://${HOST}/x",
            "https://h.example/${PATH}",
            "http://$PROXY_USER:x@h",
            "http://u:%PASS%@h",
            "https://{{host}}/",
            "https://h.example/a\"b",
            "https://<host>/",
            "postgres://u:${PGPASSWORD}@h/d",
        ] {
            assert!(found(value, Form::Url).is_some(), "{value:?}");
        }
        for value in
            ["/a$b/c", "C:\\$x\\y", "/it's/\"here\".pem", "/a b/100%/c", "/$lower/x", "a{b}c"]
        {
            assert_eq!(found(value, Form::Path), None, "{value:?}");
        }
        for value in ["$HOME/x", "/a/${B}/c", "%APPDATA%\\x", "~/x", "{{root}}/x", "/a/${B}.pem"] {
            assert!(found(value, Form::Path).is_some(), "{value:?}");
        }
    }
}
