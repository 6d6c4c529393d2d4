//! Members of a JSON object from outside, each read on its own.
//!
//! A strict parser gives up the whole object for one odd member: a name that comes twice, a number
//! out of range, nesting without end, half an emoji. Here the other members stay readable.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in the order they came. A list counts as an object whose members have
/// no names.
#[derive(Default)]
pub(crate) struct Members<'a> {
    list: Vec<(Cow<'a, [u8]>, &'a RawValue)>,
    is_whole: bool,
}

impl<'a> Members<'a> {
    /// Reads the readable members of `text`; if the text breaks off, the members before that place.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut members = Self::default();
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Collect(&mut members.list).deserialize(&mut reader);
        members.is_whole = read.is_ok();
        members
    }

    /// Returns `false` if the text broke off: a member that is missing may have stood in the lost
    /// part.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Looks for a member by its names, the preferred one first, and returns the first value that
    /// `read` can use. Of a name that came several times the last such value counts, as in most
    /// parsers.
    pub(crate) fn find<T>(
        &self,
        names: [&str; 2],
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Option<T> {
        names.iter().find_map(|name| self.values(name).rev().find_map(&read))
    }

    /// Returns `true` if a member is there and says anything: neither `null` nor an empty text.
    pub(crate) fn says(&self, names: [&str; 2]) -> bool {
        names.iter().any(|name| self.values(name).any(|value| !matches!(value, "null" | "\"\"")))
    }

    /// The objects and lists among the values.
    pub(crate) fn nested(&self) -> impl Iterator<Item = Self> {
        let values = self.list.iter().map(|(_, value)| value.get());
        values.filter(|value| value.starts_with(['{', '['])).map(Self::read)
    }

    fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.list
            .iter()
            .filter(move |(own, _)| **own == *name.as_bytes())
            .map(|(_, value)| value.get().trim_ascii())
    }
}

/// Reads a text, a whole number as its digits, or a list of exactly one of these; trimmed, and
/// never empty.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    scalar(value).or_else(|| match &*list(value)? {
        [one] => scalar(one),
        _ => None,
    })
}

/// Reads the texts of a list, or a single text; other values are left out.
pub(crate) fn texts(value: &str) -> Vec<Cow<'_, str>> {
    match list(value) {
        Some(values) => values.into_iter().filter_map(scalar).collect(),
        None => scalar(value).into_iter().collect(),
    }
}

/// Reads a number as it is written, also from a text.
pub(crate) fn number(value: &str) -> Option<f64> {
    let value = list(value).filter(|values| values.len() == 1).map_or(value, |values| values[0]);
    value.trim_matches('"').trim_ascii().parse().ok()
}

fn scalar(value: &str) -> Option<Cow<'_, str>> {
    let text = match value.as_bytes() {
        [b'"', .., b'"'] => match value.get(1..value.len() - 1)? {
            plain if !plain.contains('\\') => Cow::Borrowed(plain.trim_ascii()),
            _ => Cow::Owned(trimmed(serde_json::from_str(value).ok()?)),
        },
        digits if digits.iter().all(u8::is_ascii_digit) => Cow::Borrowed(value),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Trims in place: the value may be a secret, and no copy of it must stay behind.
fn trimmed(mut text: String) -> String {
    text.truncate(text.trim_ascii_end().len());
    text.drain(..text.len() - text.trim_ascii_start().len());
    text
}

fn list(value: &str) -> Option<Vec<&str>> {
    if !value.starts_with('[') {
        return None;
    }
    let values: Vec<&RawValue> = serde_json::from_str(value).ok()?;
    Some(values.into_iter().map(RawValue::get).collect())
}

/// Collects members until the text ends or breaks off.
struct Collect<'c, 'a>(&'c mut Vec<(Cow<'a, [u8]>, &'a RawValue)>);

impl<'a> DeserializeSeed<'a> for Collect<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Collect<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.0.push((name, map.next_value()?));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element()? {
            self.0.push((Cow::Borrowed(b""), value));
        }
        Ok(())
    }
}

/// Reads a member's name as bytes: as text, half an emoji in it would be an error.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, [u8]>;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_bytes(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E>(self, name: &'a [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, names: [&str; 2]) -> Option<String> {
        Members::read(json).find(names, text).map(Cow::into_owned)
    }

    #[test]
    fn a_member_is_read_whatever_the_others_hold() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for odd in [
            "{}",
            "1e999",
            "-0",
            "99999999999999999999999999999999",
            r#""\ud800""#,
            r#""\ud83d\ude00""#,
            "[1,[2,{}]]",
            "null",
            &deep,
        ] {
            for name in ["x", "a", "\\ud800", "\\u0061"] {
                let before = format!(r#"{{"{name}":{odd},"a":"good","b":{odd}}}"#);
                assert_eq!(find(&before, ["a", "A"]).as_deref(), Some("good"), "{name} {odd:.40}");
            }
        }
    }

    #[test]
    fn the_last_value_that_can_be_read_counts_and_the_preferred_name_goes_first() {
        assert_eq!(find(r#"{"a":"1","a":"2","a":{},"b":"3"}"#, ["a", "b"]).as_deref(), Some("2"));
        assert_eq!(find(r#"{"a":{},"b":"3"}"#, ["a", "b"]).as_deref(), Some("3"));
        assert_eq!(find(r#"{"A":"1"}"#, ["a", "b"]), None);
    }

    #[test]
    fn a_text_that_breaks_off_keeps_what_came_before() {
        for (json, found, whole) in [
            (r#"{"a":"1","b":"#, Some("1"), false),
            (r#"{"a":"1","b":"2}"#, Some("1"), false),
            (r#"{"a":"1","#, Some("1"), false),
            (r#"{"a":"1""#, Some("1"), false),
            (r#"{"a":"1"} and more"#, Some("1"), true),
            ("\u{feff}{\"a\":\"1\"}", Some("1"), true),
            (r#"{"a":"1"#, None, false),
            ("", None, false),
            ("<html>", None, false),
            ("null", None, false),
            ("\"a\"", None, false),
        ] {
            let members = Members::read(json);
            assert_eq!(members.find(["a", "a"], text).as_deref(), found, "{json}");
            assert_eq!(members.is_whole(), whole, "{json}");
        }
    }

    #[test]
    fn texts_numbers_and_lists_of_one_are_texts() {
        for (value, found) in [
            (r#"" a\tb ""#, Some("a\tb")),
            (r#""\n a\/b \r\n""#, Some("a/b")),
            (r#""\n""#, None),
            ("7", Some("7")),
            ("007", Some("007")),
            (r#"["a"]"#, Some("a")),
            ("[7]", Some("7")),
            (r#"["a","b"]"#, None),
            (r#"[["a"]]"#, None),
            ("[]", None),
            ("\"\"", None),
            ("\" \"", None),
            ("\"", None),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            ("{}", None),
        ] {
            assert_eq!(text(value).as_deref(), found, "{value}");
        }
        assert_eq!(texts(r#"["a",1,null,{},"b"]"#), ["a", "1", "b"]);
        assert_eq!(texts("\"a b\""), ["a b"]);
        assert!(texts("{}").is_empty());
        assert_eq!(number(r#"" 3.5 ""#), Some(3.5));
        assert_eq!(number("[60]"), Some(60.0));
        assert_eq!(number("[]"), None);
    }

    #[test]
    fn nested_objects_are_read_alike() {
        let members = Members::read(r#"{"x":1,"data":{"a":"1"},"list":[{"a":"2"}]}"#);
        let found: Vec<_> =
            members.nested().filter_map(|inner| inner.find(["a", "a"], text)).collect();
        assert_eq!(found, ["1"]);
        assert_eq!(Members::read(r#"[{"a":"2"}]"#).nested().count(), 1);
    }
}
