//! The platform's documented operations, their scopes, and the least scopes for a list of them.
//!
//! `operations/operations.tsv` lists them. `make generate` sorts it into `operations/table.rs`,
//! which is all that a program carries: about 40 KB, with nothing to set up.

#[rustfmt::skip] // Generated, one row a line.
mod table;

use std::fmt;
use std::ops::Range;

use self::table::{METHODS, ROWS, SCOPES, VERSIONS};
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
        descend(0..ROWS.len(), "/".len(), between_slashes(path)?.as_bytes(), method)
    }

    /// All of them, in the order of their paths.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(&ROWS).map(|(index, _)| Self { index })
    }

    /// The method, in capitals.
    pub fn method(self) -> &'static str {
        METHODS[usize::from(self.row().method)]
    }

    /// The path template, such as `/contacts/{contactId}`; with a slash at its end where the
    /// documentation has one.
    pub fn path(self) -> String {
        self.row().path.to_owned()
    }

    /// The documented `Version`.
    pub fn version(self) -> Option<&'static str> {
        self.row().version.map(|index| VERSIONS[usize::from(index)])
    }

    /// Returns `true` if tokens of that class may call the operation, or if nothing is documented.
    pub fn allows(self, class: AccountKind) -> bool {
        match self.row().classes {
            TokenClasses::Location => class == AccountKind::Location,
            TokenClasses::Company => class == AccountKind::Company,
            TokenClasses::Both | TokenClasses::Undocumented => true,
        }
    }

    /// Returns `true` if a Private Integration token may call the operation, or if nothing is
    /// documented.
    pub fn allows_private_integration(self) -> bool {
        self.row().private_integration || !self.documents_classes()
    }

    /// Returns `true` if the documentation says which tokens may call the operation.
    pub fn documents_classes(self) -> bool {
        self.row().classes != TokenClasses::Undocumented
    }

    /// The scope it needs, where one is documented.
    pub fn scope(self) -> Option<&'static str> {
        self.row().scope.map(|index| SCOPES[usize::from(index)])
    }

    /// Returns the segment of `path`, by which this operation was found, that stands in the place
    /// of `{locationId}`; encoded as it is there.
    pub(crate) fn location_id(self, path: &str) -> Option<&str> {
        let place = self.row().path.split('/').position(|segment| segment == "{locationId}")?;
        without_query(path).split('/').nth(place).filter(|segment| !segment.is_empty())
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
pub(crate) fn table_bytes() -> usize {
    let texts = METHODS.iter().chain(&VERSIONS).chain(&SCOPES);
    let texts = texts.map(|text| size_of::<&str>() + text.len());
    let rows = ROWS.iter().map(|row| size_of::<Row>() + row.path.len());
    texts.chain(rows).sum()
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
        SCOPES.iter().copied()
    }
}

/// A row of the table: one operation.
struct Row {
    path: &'static str,
    /// Place in `METHODS`.
    method: u8,
    /// Place in `VERSIONS`.
    version: Option<u8>,
    classes: TokenClasses,
    private_integration: bool,
    /// Place in `SCOPES`.
    scope: Option<u8>,
}

impl Row {
    /// Returns the segment that begins at a byte of the path; an empty one behind the last.
    fn segment(&self, start: usize) -> &'static [u8] {
        let rest = self.path.as_bytes().get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        &rest[..end]
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

/// Finds the operation whose path goes on with `rest`, in rows whose paths are the same up to the
/// byte `start`.
///
/// The rows are sorted by their segments. So the rows that have one segment at `start` stand
/// together, rows whose path has ended come first, and parameters come last.
fn descend(rows: Range<usize>, start: usize, rest: &[u8], method: usize) -> Option<Operation> {
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (segment, rest) = (&rest[..end], rest.get(end + 1..));
    if segment.is_empty() {
        return None;
    }
    let follow = |rows: Range<usize>, name: &[u8]| match rest {
        Some(rest) => descend(rows, start + name.len() + 1, rest, method),
        None => operation_at(rows, start + name.len() + 1, method),
    };
    let begin = first(rows.clone(), |row| row.segment(start) >= segment.min(PARAMETER));
    if segment < PARAMETER {
        let end = first(begin..rows.end, |row| row.segment(start) > segment);
        if let Some(found) = follow(begin..end, segment) {
            return Some(found);
        }
    }
    // Some paths have two parameters here, because methods name them differently.
    let mut begin = first(begin..rows.end, |row| row.segment(start) >= PARAMETER);
    while begin < rows.end {
        let name = ROWS[begin].segment(start);
        let end = first(begin..rows.end, |row| row.segment(start) > name);
        if let Some(found) = follow(begin..end, name) {
            return Some(found);
        }
        begin = end;
    }
    None
}

/// Finds the operation of `method` among rows whose path may end before the byte `end`.
fn operation_at(rows: Range<usize>, end: usize, method: usize) -> Option<Operation> {
    let mut ended = rows.take_while(|index| ROWS[*index].segment(end).is_empty());
    let index = ended.find(|index| usize::from(ROWS[*index].method) == method)?;
    Some(Operation { index: u16::try_from(index).ok()? })
}

/// The first row of a sorted range for which `is_behind` holds, or the end of the range.
fn first(rows: Range<usize>, is_behind: impl Fn(&Row) -> bool) -> usize {
    rows.start + ROWS[rows].partition_point(|row| !is_behind(row))
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

/// All parameters sort from here on, and all other segments before.
const PARAMETER: &[u8] = b"{";

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
            assert_eq!(found(method, path).row().classes, classes, "{path}");
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
