//! The headers that a caller may add to a request.

use crate::error::{Error, Result};

/// Refuses headers that the library owns, and names and values that HTTP can't carry.
pub(super) fn check(fields: &[(String, String)]) -> Result<()> {
    if fields.len() > MOST_FIELDS {
        return Err(Error::argument(format!(
            "more than {MOST_FIELDS} headers were added to the request"
        )));
    }
    for (name, value) in fields {
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_token) {
            return Err(Error::argument(
                "a header's name is empty, too long or holds a character that RFC 9110 does not \
                 allow in one",
            ));
        }
        if let Some((owned, instead)) =
            OWNED.iter().find(|(owned, _)| owned.eq_ignore_ascii_case(name))
        {
            return Err(Error::argument(format!(
                "the header `{owned}` is set by hoopauth: {instead}"
            )));
        }
        if value.len() > LONGEST_VALUE || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Error::argument(format!(
                "the value of the header `{name}` is longer than {LONGEST_VALUE} bytes or holds a \
                 line break, another control character or a character outside ASCII"
            )));
        }
    }
    Ok(())
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Headers that the library sets, and what to use instead.
const OWNED: &[(&str, &str)] = &[
    ("Authorization", "say whose token it is with `account`"),
    ("Version", "use the request's `version` or the option `api_version`"),
    ("User-Agent", "use the option `user_agent`"),
    ("Host", "use the option `api_base`"),
    ("Content-Length", "it is the length of the body; leave it out"),
    ("Transfer-Encoding", "the body is sent as it is; leave it out"),
    ("Accept-Encoding", "answers are decompressed on the way; leave it out"),
    ("Proxy-Authorization", "use the option `proxy`"),
    ("Connection", CONNECTION),
    ("Keep-Alive", CONNECTION),
    ("Proxy-Connection", CONNECTION),
    ("TE", CONNECTION),
    ("Trailer", CONNECTION),
    ("Upgrade", CONNECTION),
    ("HTTP2-Settings", CONNECTION),
    ("Expect", CONNECTION),
];

const CONNECTION: &str = "connections are its own; leave it out";
const MOST_FIELDS: usize = 200;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> Error {
        check(&[(name.to_owned(), value.to_owned())]).expect_err(name)
    }

    #[test]
    fn owned_headers_say_what_to_use_instead() {
        for (name, word) in [
            ("authorization", "`account`"),
            ("VERSION", "`version`"),
            ("user-agent", "`user_agent`"),
            ("Host", "`api_base`"),
            ("content-length", "leave it out"),
            ("te", "leave it out"),
        ] {
            let error = refused(name, "x");
            assert!(error.message().contains(word), "{}", error.message());
        }
    }

    #[test]
    fn names_are_tokens_and_values_one_line() {
        for name in ["", " ", "a b", "a:", "a\r\nb", "é", "a\0", "(a)", &"a".repeat(300)] {
            refused(name, "x");
        }
        for value in ["a\r\nX-Other: 1", "a\n", "\r", "\0", "\t", "\x7f", "é", &"a".repeat(70_000)]
        {
            let error = refused("X-A", value);
            assert!(!error.message().contains("Other"), "{}", error.message());
        }
        let good = [
            ("x-trace!", ""),
            ("Accept", "*/*"),
            ("Content-Type", "text/plain; charset=\"utf-8\""),
        ];
        let good: Vec<_> = good.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        check(&good).unwrap();
        check(&vec![good[0].clone(); 201]).unwrap_err();
    }
}
