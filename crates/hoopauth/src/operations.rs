//! The platform's documented operations, their scopes, and the least scopes for a list of them.
//!
//! `operations/operations.tsv` lists them. `make generate` packs it into `operations/table.rs`,
//! which is all that a program carries: about 12 KB, with nothing to set up.

#[rustfmt::skip] // Generated, and denser than rustfmt would leave it.
mod table;

use std::fmt;

use self::table::{METHODS, NODES, ROWS, SCOPES, SEGMENTS, VERSIONS};
use crate::account::AccountKind;
use crate::error::{Error, Result};
use crate::redact::clean;

/// One documented operation. Copying costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    index: u16,
}

impl Operation {
    /// The operation that `method` and `path` (with or without a query) mean; `None` for one that
    /// is not documented.
    ///
    /// The method may be in any case, and a slash at the end of the path makes no difference. A
    /// parameter stands for any segment that is not empty, percent-encoded or not; where a written
    /// segment fits too, that one is meant. Allocates nothing.
    pub fn find(method: &str, path: &str) -> Option<Self> {
        Self::find_path(method, without_query(path))
    }

    /// Finds as [`find`](Self::find) does, for a path without a query.
    pub(crate) fn find_path(method: &str, path: &str) -> Option<Self> {
        let method = METHODS.iter().position(|known| known.eq_ignore_ascii_case(method))?;
        descend(ROOT, between_slashes(path)?.as_bytes(), method)
    }

    /// All of them, in the order of their paths.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(&ROWS).map(|(index, _)| Self { index })
    }

    /// The method, in capitals.
    pub fn method(self) -> &'static str {
        METHODS[self.row().method()]
    }

    /// The path template, such as `/contacts/{contactId}`; with a slash at its end where the
    /// documentation has one.
    pub fn path(self) -> String {
        let mut path = String::new();
        write_path(&mut path, self.row().node());
        if self.row().0 & 1 != 0 {
            path.push('/');
        }
        path
    }

    /// The documented `Version`.
    pub fn version(self) -> Option<&'static str> {
        let number = usize::from(self.row().1 >> 3 & 0b11);
        Some(VERSIONS[number.checked_sub(1)?])
    }

    /// Returns `true` if tokens of that class may call the operation, or if nothing is documented.
    pub fn allows(self, class: AccountKind) -> bool {
        match self.token_classes() {
            TokenClasses::Location => class == AccountKind::Location,
            TokenClasses::Company => class == AccountKind::Company,
            TokenClasses::Both | TokenClasses::Undocumented => true,
        }
    }

    /// Returns `true` if a Private Integration token may call the operation, or if nothing is
    /// documented.
    pub fn allows_private_integration(self) -> bool {
        self.row().1 & 1 << 7 != 0 || !self.documents_classes()
    }

    /// Returns `true` if the documentation says which tokens may call the operation.
    pub fn documents_classes(self) -> bool {
        self.token_classes() != TokenClasses::Undocumented
    }

    /// The scope it needs, where one is documented.
    pub fn scope(self) -> Option<&'static str> {
        let number = usize::from(self.row().2);
        Some(SCOPES.get(number.checked_sub(1)?))
    }

    /// The classes of tokens that may call it.
    fn token_classes(self) -> TokenClasses {
        match self.row().1 >> 5 & 0b11 {
            0b01 => TokenClasses::Location,
            0b10 => TokenClasses::Company,
            0b11 => TokenClasses::Both,
            _ => TokenClasses::Undocumented,
        }
    }

    /// Returns the part of `path`, by which this operation was found, at the place of
    /// `{locationId}`; encoded as it is there.
    pub(crate) fn location_id(self, path: &str) -> Option<&str> {
        let mut node = self.row().node();
        while NODES[node].name() != "{locationId}" {
            node = parent(node)?;
        }
        let segments_before = std::iter::successors(parent(node), |node| parent(*node)).count() - 1;
        between_slashes(without_query(path))?
            .split('/')
            .nth(segments_before)
            .filter(|segment| !segment.is_empty())
    }

    fn row(self) -> &'static Row {
        &ROWS[usize::from(self.index)]
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}

/// Text of the operation, as [`scopes_for`] reads it.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

/// Classes of tokens that may call an operation, as far as they are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenClasses {
    Location,
    Company,
    Both,
    Undocumented,
}

/// The least scopes for a list of operations, each written as `GET /contacts/{contactId}`, with a
/// template's or a real path. Sorted, each once. `INVALID_ARGUMENT` names one that is not
/// documented.
pub fn scopes_for<'a>(operations: impl IntoIterator<Item = &'a str>) -> Result<Vec<&'static str>> {
    let mut scopes = Vec::new();
    for text in operations {
        let operation = text
            .trim()
            .split_once(char::is_whitespace)
            .and_then(|(method, path)| Operation::find(method, path.trim_start()))
            .ok_or_else(|| undocumented(text))?;
        scopes.extend(operation.scope());
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

/// Returns the bytes of a program that the table takes.
#[doc(hidden)]
pub fn table_bytes() -> usize {
    let words: usize =
        METHODS.iter().chain(&VERSIONS).map(|word| size_of::<&str>() + word.len()).sum();
    words + SEGMENTS.bytes() + SCOPES.bytes() + size_of_val(&NODES) + size_of_val(&ROWS)
}

/// The scopes that most programs need, as constants, and all that are documented.
pub mod scopes {
    use super::SCOPES;

    /// Reads contacts, with their notes, tasks and appointments.
    pub const CONTACTS_READONLY: &str = "contacts.readonly";
    /// Creates, changes and deletes contacts, with their notes, tasks, tags, followers, campaigns
    /// and workflows.
    pub const CONTACTS_WRITE: &str = "contacts.write";
    /// Reads and searches conversations; their messages need `conversations/message.readonly`.
    pub const CONVERSATIONS_READONLY: &str = "conversations.readonly";
    /// Creates, changes and deletes conversations; sending messages needs
    /// `conversations/message.write`.
    pub const CONVERSATIONS_WRITE: &str = "conversations.write";
    /// Reads calendars, their schedules and free slots; events and appointments need
    /// `calendars/events.readonly`.
    pub const CALENDARS_READONLY: &str = "calendars.readonly";
    /// Creates, changes and deletes calendars and their schedules; events and appointments need
    /// `calendars/events.write`.
    pub const CALENDARS_WRITE: &str = "calendars.write";
    /// Reads and searches opportunities, with their pipelines and lost reasons.
    pub const OPPORTUNITIES_READONLY: &str = "opportunities.readonly";
    /// Creates, changes and deletes opportunities, with their followers and status.
    pub const OPPORTUNITIES_WRITE: &str = "opportunities.write";

    /// All that a documented operation needs, sorted. The platform knows others too.
    pub fn documented() -> impl Iterator<Item = &'static str> {
        (0..SCOPES.ends.len()).map(|index| SCOPES.get(index))
    }
}

/// Strings in one piece: the text of all, and where each of them ends.
struct Names {
    text: &'static str,
    ends: &'static [u16],
}

impl Names {
    fn get(&self, index: usize) -> &'static str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[usize::from(start)..usize::from(self.ends[index])]
    }

    fn bytes(&self) -> usize {
        size_of_val(self) + self.text.len() + size_of_val(self.ends)
    }
}

/// A place in the tree of paths; `operations/table.rs` tells the layout.
struct Node(u16, u16, u16);

impl Node {
    fn name(&self) -> &'static str {
        SEGMENTS.get(usize::from(self.0 & 0x1ff))
    }

    /// The tag keeps most names from being looked at.
    fn fits(&self, segment: &[u8], tag: u16) -> bool {
        match self.0 >> 9 {
            PARAMETER => true,
            own => own == tag && self.name().as_bytes() == segment,
        }
    }
}

/// An operation; `operations/table.rs` tells the layout.
struct Row(u16, u8, u8);

impl Row {
    fn node(&self) -> usize {
        usize::from(self.0 >> 1)
    }

    fn method(&self) -> usize {
        usize::from(self.1 & 0b111)
    }
}

fn without_query(path: &str) -> &str {
    let end = path.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    end.map_or(path, |end| &path[..end])
}

/// The path without its first slash and its last. `None` if it does not begin with one.
fn between_slashes(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    Some(path.strip_suffix('/').unwrap_or(path))
}

/// The operation at the end of `rest`, seen from `node`.
fn descend(node: usize, rest: &[u8], method: usize) -> Option<Operation> {
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (segment, rest) = (&rest[..end], rest.get(end + 1..));
    if segment.is_empty() {
        return None;
    }
    let tag = tag(segment);
    // Parameters stand last. Some nodes have two, where methods name them differently.
    let (first, end) = (usize::from(NODES[node].1), usize::from(NODES[node + 1].1));
    for (child, it) in (first..end).zip(&NODES[first..end]) {
        if it.fits(segment, tag) {
            let found = match rest {
                Some(rest) => descend(child, rest, method),
                None => operation_at(child, method),
            };
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// A number from 1 to 127 that tells most segments apart.
fn tag(segment: &[u8]) -> u16 {
    let hash = segment
        .iter()
        .fold(0_u16, |hash, byte| hash.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    hash % 127 + 1
}

fn operation_at(node: usize, method: usize) -> Option<Operation> {
    let first = NODES[node].2;
    let rows = ROWS.get(usize::from(first)..)?.iter().take_while(|row| row.node() == node);
    let (index, _) = (first..).zip(rows).find(|(_, row)| row.method() == method)?;
    Some(Operation { index })
}

/// The children of a node stand together, so its parent is the last one whose children do not begin
/// behind it.
fn parent(node: usize) -> Option<usize> {
    (node != ROOT).then(|| NODES.partition_point(|other| usize::from(other.1) <= node) - 1)
}

fn write_path(path: &mut String, node: usize) {
    if let Some(parent) = parent(node) {
        write_path(path, parent);
        path.push('/');
        path.push_str(NODES[node].name());
    }
}

fn undocumented(text: &str) -> Error {
    // By segments, so that a long path does not look like a token.
    let text = text.trim().split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<String> = text.split('/').take(12).map(clean).collect();
    Error::argument(format!(
        "`{}` is not a documented operation: write the method and the path, such as `GET \
         /contacts/{{contactId}}`",
        segments.join("/")
    ))
}

const ROOT: usize = 0;

/// The tag of parameters.
const PARAMETER: u16 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Operation {
        Operation::find(method, path).unwrap_or_else(|| panic!("{method} {path}"))
    }

    #[test]
    fn the_location_of_a_path() {
        for (method, path, id) in [
            ("GET", "/locations/L1", Some("L1")),
            ("GET", "/locations/L1/customFields/f?locationId=L2", Some("L1")),
            ("GET", "/conversations/messages/m/locations/L1/recording/", Some("L1")),
            ("GET", "/locations/L%201/", Some("L%201")),
            ("GET", "/contacts/c", None),
            ("GET", "/locations/search", None),
        ] {
            assert_eq!(found(method, path).location_id(path), id, "{path}");
        }
        let operation = found("GET", "/locations/L1/tags");
        for other in ["", "/", "/locations", "/locations/", "/locations//tags", "locations/L1"] {
            assert_eq!(operation.location_id(other), None, "{other}");
        }
        for operation in Operation::all() {
            let path = operation.path();
            let has = path.contains("{locationId}").then_some("{locationId}");
            assert_eq!(operation.location_id(&path), has, "{path}");
        }
    }

    #[test]
    fn the_classes_of_tokens() {
        for (method, path, classes) in [
            ("GET", "/contacts/", TokenClasses::Location),
            ("PUT", "/locations/L1", TokenClasses::Company),
            ("GET", "/locations/L1", TokenClasses::Both),
            ("POST", "/oauth/token", TokenClasses::Undocumented),
        ] {
            assert_eq!(found(method, path).token_classes(), classes, "{path}");
        }
    }

    #[test]
    fn an_unknown_operation_is_named_without_what_may_be_secret() {
        let error = scopes_for(["GET /contacts/", "GET /contact/abc?key=s3cret", "GET /nothing"])
            .unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::InvalidArgument);
        assert!(error.message().starts_with("`GET /contact/abc` is not"), "{error}");
        let error = scopes_for(["GET /x/pit-01234567-89ab-cdef-0123-456789abcdef\n"]).unwrap_err();
        assert!(error.message().starts_with("`GET /x/[redacted]` is not"), "{error}");
    }
}
