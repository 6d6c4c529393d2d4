//! The platform's documented operations, their scopes, and the least scopes for a list of them.
//!
//! The facts are those of HoopAI's `OpenAPI` files, in `operations.tsv`; the build makes a compact tree of path segments of them.

use std::collections::BTreeSet;
use std::fmt;

use crate::account::AccountKind;
use crate::error::{Error, Result};

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// One documented operation. Copying costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Where its record stands in the table.
    place: u16,
}

impl Operation {
    /// The operation that a method, in any case, and a path mean; `None` for one that is not documented. Takes well below a
    /// microsecond and no memory.
    ///
    /// The path is one below `api_base`, real or a template, encoded as it is sent; a query and a slash at its end don't matter. Where
    /// a documented segment and a parameter both fit, the segment is meant.
    pub fn find(method: &str, path: &str) -> Option<Self> {
        let method = METHODS.iter().position(|own| own.eq_ignore_ascii_case(method))?;
        Node::root().find(method, segments(path))
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut all = Vec::new();
        Node::root().walk(&mut Vec::new(), &mut |place, _| all.push(Self { place }));
        all.into_iter()
    }

    /// The method, in capitals.
    pub fn method(self) -> &'static str {
        METHODS.get(usize::from(self.first() & 7)).copied().unwrap_or_default()
    }

    /// The path template, such as `/contacts/{contactId}`.
    pub fn path(self) -> String {
        let mut path = String::new();
        Node::root().walk(&mut Vec::new(), &mut |place, labels| {
            if place == self.place {
                for label in labels {
                    path.push('/');
                    label.write(&mut path);
                }
            }
        });
        if self.second() & SLASH != 0 {
            path.push('/');
        }
        path
    }

    /// The documented `Version`.
    pub fn version(self) -> Option<&'static str> {
        match self.first() >> 3 & 3 {
            1 => Some("2021-07-28"),
            2 => Some("2021-04-15"),
            _ => None,
        }
    }

    /// Whether tokens of that class may call it; `true` where nothing is documented.
    pub fn allows(self, class: AccountKind) -> bool {
        match self.first() >> 5 & 3 {
            1 => class == AccountKind::Location,
            2 => class == AccountKind::Company,
            _ => true,
        }
    }

    /// Whether a Private Integration token may call it.
    pub fn allows_private_integration(self) -> bool {
        self.first() >> 7 == 1
    }

    /// The scope it needs, where one is documented.
    pub fn scope(self) -> Option<&'static str> {
        let number = usize::from(self.second() & !SLASH).checked_sub(1)?;
        SCOPES.lines().nth(number)
    }

    /// What stands in the place of `{locationId}` in a real path of this operation.
    pub(crate) fn location_id(self, path: &str) -> Option<&str> {
        let mut found = None;
        Node::root().walk(&mut Vec::new(), &mut |place, labels| {
            if place == self.place {
                found = labels.iter().position(|label| matches!(label, Label::Parameter("locationId")));
            }
        });
        segments(path).nth(found?)
    }

    fn first(self) -> u8 {
        TABLE.get(usize::from(self.place)).copied().unwrap_or_default()
    }

    fn second(self) -> u8 {
        TABLE.get(usize::from(self.place) + 1).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

/// The least scopes for a list of operations, each written as `GET /contacts/{contactId}`, with a template's or a real path.
/// Sorted, each once. `INVALID_ARGUMENT` names one that is not documented.
pub fn scopes_for<'a>(operations: impl IntoIterator<Item = &'a str>) -> Result<Vec<&'static str>> {
    let mut scopes = BTreeSet::new();
    for text in operations {
        let operation = text
            .trim_ascii()
            .split_once(|c: char| c.is_ascii_whitespace())
            .and_then(|(method, path)| Operation::find(method, path.trim_ascii()))
            .ok_or_else(|| {
                Error::argument(format!(
                    "`{}` is no documented operation: write it as `GET /contacts/{{contactId}}`",
                    crate::error::clean(text).chars().take(200).collect::<String>()
                ))
            })?;
        scopes.extend(operation.scope());
    }
    Ok(scopes.into_iter().collect())
}

/// The scopes that most programs need, as constants, and all that are documented.
pub mod scopes {
    /// Reads contacts.
    pub const CONTACTS_READONLY: &str = "contacts.readonly";
    /// Creates, changes and deletes contacts.
    pub const CONTACTS_WRITE: &str = "contacts.write";
    /// Reads conversations.
    pub const CONVERSATIONS_READONLY: &str = "conversations.readonly";
    /// Creates, changes and deletes conversations.
    pub const CONVERSATIONS_WRITE: &str = "conversations.write";
    /// Reads calendars.
    pub const CALENDARS_READONLY: &str = "calendars.readonly";
    /// Creates, changes and deletes calendars.
    pub const CALENDARS_WRITE: &str = "calendars.write";
    /// Reads opportunities.
    pub const OPPORTUNITIES_READONLY: &str = "opportunities.readonly";
    /// Creates, changes and deletes opportunities.
    pub const OPPORTUNITIES_WRITE: &str = "opportunities.write";

    /// All scopes that some documented operation needs, sorted.
    pub fn documented() -> impl Iterator<Item = &'static str> {
        super::SCOPES.lines()
    }
}

/// How many bytes of the library the operations take.
#[doc(hidden)]
pub fn table_bytes() -> usize {
    TABLE.len() + SCOPES.len() + NAMES.len()
}

/// A part of the table: a place in the tree, with all that is below it.
#[derive(Clone, Copy)]
struct Node {
    start: usize,
    end: usize,
}

#[derive(Clone, Copy)]
enum Label {
    Text(&'static [u8]),
    /// By its name.
    Parameter(&'static str),
}

impl Node {
    fn root() -> Self {
        Self { start: 0, end: TABLE.len() }
    }

    fn find<'p>(self, method: usize, mut rest: impl Iterator<Item = &'p str> + Clone) -> Option<Operation> {
        let Some(segment) = rest.next() else {
            let own = |operation: &Operation| usize::from(operation.first() & 7) == method;
            return self.operations().find(own);
        };
        self.children().find_map(|(label, child)| match label {
            Label::Text(text) if text != segment.as_bytes() => None,
            Label::Parameter(_) if segment.is_empty() => None,
            _ => child.find(method, rest.clone()),
        })
    }

    /// Shows each operation with the labels that lead to it.
    fn walk(self, labels: &mut Vec<Label>, show: &mut dyn FnMut(u16, &[Label])) {
        for operation in self.operations() {
            show(operation.place, labels);
        }
        for (label, child) in self.children() {
            labels.push(label);
            child.walk(labels, show);
            labels.pop();
        }
    }

    fn operations(self) -> impl Iterator<Item = Operation> {
        let places = (self.start + 1..self.first_child()).step_by(2);
        places.filter_map(|place| u16::try_from(place).ok()).map(|place| Operation { place })
    }

    fn children(self) -> impl Iterator<Item = (Label, Self)> {
        let mut next = self.first_child();
        std::iter::from_fn(move || {
            if next >= self.end {
                return None;
            }
            let length = usize::from(*TABLE.get(next)?);
            let (label, after) = if length == 0 {
                let name = NAMES.lines().nth(usize::from(*TABLE.get(next + 1)?))?;
                (Label::Parameter(name), next + 2)
            } else {
                (Label::Text(TABLE.get(next + 1..next + 1 + length)?), next + 1 + length)
            };
            let start = after + 2;
            let length = u16::from_le_bytes([*TABLE.get(after)?, *TABLE.get(after + 1)?]);
            next = start + usize::from(length);
            Some((label, Self { start, end: next }))
        })
    }

    fn first_child(self) -> usize {
        self.start + 1 + 2 * usize::from(TABLE.get(self.start).copied().unwrap_or_default())
    }
}

impl Label {
    fn write(self, path: &mut String) {
        match self {
            Self::Text(text) => path.push_str(&String::from_utf8_lossy(text)),
            Self::Parameter(name) => {
                path.push('{');
                path.push_str(name);
                path.push('}');
            }
        }
    }
}

/// The segments of a path without its query; a slash at its end adds none.
fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const SLASH: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorCode;

    static FACTS: &str = include_str!("../operations.tsv");

    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        FACTS.lines().skip(1).map(|line| line.split('\t').collect())
    }

    /// A path of this template as it is sent.
    fn real(template: &str) -> String {
        let fill =
            |segment: &str| if segment.starts_with('{') { "a%20b-1".to_owned() } else { segment.to_owned() };
        template.split('/').map(fill).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn every_row_is_found_with_all_that_is_known_of_it() {
        let mut count = 0;
        for row in rows() {
            let [method, template, version, classes, integration, scope] = row[..] else { panic!("{row:?}") };
            let path = real(template);
            for path in [
                template.to_owned(),
                path.clone(),
                format!("{path}?a=/b"),
                format!("{}/", path.trim_end_matches('/')),
            ] {
                let found = Operation::find(&method.to_ascii_lowercase(), &path).expect(&path);
                assert_eq!((found.method(), &*found.path()), (method, template));
                assert_eq!(found.version().unwrap_or("-"), version);
                assert_eq!(found.scope().unwrap_or("-"), scope);
                assert_eq!(found.allows_private_integration(), integration == "yes");
                let named = |class: &str| classes == "-" || classes.split(',').any(|own| own == class);
                assert_eq!(found.allows(AccountKind::Location), named("location"));
                assert_eq!(found.allows(AccountKind::Company), named("company"));
                let located = template.contains("{locationId}");
                assert_eq!(found.location_id(&path).is_some(), located, "{template}");
            }
            count += 1;
        }
        assert_eq!((count, Operation::all().count()), (576, 576));
        assert!(Operation::all().all(|own| Operation::find(own.method(), &own.path()) == Some(own)));
    }

    #[test]
    fn a_segment_goes_before_a_parameter() {
        let path = |path: &str| Operation::find("GET", path).map(Operation::path);
        assert_eq!(path("/products/collections").unwrap(), "/products/collections");
        assert_eq!(path("/products/5f0c").unwrap(), "/products/{productId}");
        assert_eq!(
            Operation::find("GET", "/locations/abc/tags").unwrap().location_id("/locations/abc/tags"),
            Some("abc")
        );
    }

    #[test]
    fn what_is_not_documented_is_not_found() {
        for (method, path) in [
            ("GET", ""),
            ("GET", "/"),
            ("GET", "//"),
            ("GET", "/contacts//"),
            ("GET", "/contact"),
            ("GET", "/Contacts/"),
            ("GET", "/contacts/a/b/c/d/e/f/g"),
            ("PATCH", "/contacts/"),
            ("", "/contacts/"),
            ("GETT", "/contacts/"),
        ] {
            assert_eq!(Operation::find(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn the_least_scopes() {
        let scopes =
            scopes_for(["GET /contacts/{contactId}", " get\t/contacts/abc ", "POST /contacts/"]).unwrap();
        assert_eq!(scopes, [scopes::CONTACTS_READONLY, scopes::CONTACTS_WRITE]);
        assert!(scopes_for([]).unwrap().is_empty());
        for wrong in ["", "GET", "/contacts/", "GET /nothing", "GET/contacts/"] {
            let error = scopes_for(["GET /contacts/", wrong]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
            assert!(error.message().contains(&format!("`{wrong}`")), "{}", error.message());
        }
    }

    #[test]
    fn the_constants_are_documented_scopes() {
        use scopes::*;
        let documented: Vec<_> = documented().collect();
        assert!(documented.is_sorted());
        for scope in [
            CONTACTS_READONLY,
            CONTACTS_WRITE,
            CONVERSATIONS_READONLY,
            CONVERSATIONS_WRITE,
            CALENDARS_READONLY,
            CALENDARS_WRITE,
            OPPORTUNITIES_READONLY,
            OPPORTUNITIES_WRITE,
        ] {
            assert!(documented.contains(&scope), "{scope}");
        }
    }

    #[test]
    fn the_table_is_small() {
        assert!(table_bytes() <= 16 * 1024, "{}", table_bytes());
    }

    proptest! {
        #[test]
        fn any_text_is_looked_up(method in "(GET|POST|PUT|PATCH|DELETE|[a-zA-Z]{0,8})", path in "(/?[a-z{}%.-]{0,12}){0,9}\\PC{0,20}") {
            if let Some(found) = Operation::find(&method, &path) {
                prop_assert!(found.method().eq_ignore_ascii_case(&method));
                prop_assert_eq!(segments(&found.path()).count(), segments(&path).count());
            }
            let _ = scopes_for([path.as_str(), &format!("{method} {path}")]);
        }
    }
}
