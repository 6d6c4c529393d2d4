//! The platform's documented operations, their scopes, and the least scopes for a list of them.

use crate::account::AccountKind;
use crate::error::{Error, Result};

/// One documented operation. Copying costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    index: u16,
}

impl Operation {
    /// The operation that `method` and `path` (with or without a query) mean; `None` for one that is not documented.
    pub fn find(_method: &str, _path: &str) -> Option<Self> {
        None
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..0).map(|index| Self { index })
    }

    /// The method, in capitals.
    pub fn method(self) -> &'static str {
        let _ = self.index;
        ""
    }

    /// The path template, such as `/contacts/{contactId}`.
    pub fn path(self) -> String {
        String::new()
    }

    /// The documented `Version`.
    pub fn version(self) -> Option<&'static str> {
        None
    }

    /// Whether tokens of that class may call it; `true` where nothing is documented.
    pub fn allows(self, _class: AccountKind) -> bool {
        true
    }

    /// Whether a Private Integration token may call it.
    pub fn allows_private_integration(self) -> bool {
        true
    }

    pub(crate) fn location_id(self, _path: &str) -> Option<&str> {
        None
    }

    /// The scope it needs, where one is documented.
    pub fn scope(self) -> Option<&'static str> {
        None
    }
}

/// The least scopes for a list of operations, each written as `GET /contacts/{contactId}`, with a template's or a real path.
/// Sorted, each once. `INVALID_ARGUMENT` names one that is not documented.
pub fn scopes_for<'a>(_operations: impl IntoIterator<Item = &'a str>) -> Result<Vec<&'static str>> {
    Err(Error::argument("not built yet"))
}

/// The scopes that most programs need, as constants.
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
}
