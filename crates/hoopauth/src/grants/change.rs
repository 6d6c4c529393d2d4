//! Changes of grants, as the program is told of them.

use crate::account::Account;

/// A change of an account's grant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Account whose grant changed.
    pub account: Account,
    /// Stored generation that the change is about.
    pub generation: u64,
    /// Kind of the change.
    pub kind: ChangeKind,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new authorization or import was stored.
    Saved,
    /// The tokens were refreshed or minted.
    Refreshed,
    /// A new pair could not be saved and is held in memory.
    Unsaved,
    /// The grant was removed.
    Removed,
    /// The platform refused the grant for good.
    Refused,
}

/// Hook of the program that is called after each change.
pub(crate) type ChangeHook = Box<dyn Fn(&Change) + Send + Sync>;
