//! The change that the hook `on_change` is told.

use std::sync::Arc;

use hoopauth::ChangeKind;
use pyo3::prelude::*;

use crate::callback::Slot;

/// Something happened to an account's grant.
#[pyclass(frozen, get_all, module = "hoopauth")]
pub(crate) struct Change {
    /// Account of the grant.
    account: String,
    /// The stored generation it is about.
    generation: u64,
    /// `"saved"` (a new authorization or import), `"refreshed"`, `"unsaved"` (the store failed; the
    /// new pair is held in memory), `"removed"`, or `"refused"` (the platform refused it for good).
    kind: &'static str,
}

#[pymethods]
impl Change {
    fn __repr__(&self) -> String {
        format!("<hoopauth.Change {} {} {}>", self.account, self.generation, self.kind)
    }
}

/// A hook that calls the program's. Whatever that raises, the call that led there goes on: what it
/// tells of has happened.
pub(crate) fn hook(slot: Arc<Slot>) -> impl Fn(&hoopauth::Change) + Send + Sync + 'static {
    move |change| {
        let change = Change {
            account: change.account.as_str().to_owned(),
            generation: change.generation,
            kind: match change.kind {
                ChangeKind::Saved => "saved",
                ChangeKind::Refreshed => "refreshed",
                ChangeKind::Unsaved => "unsaved",
                ChangeKind::Removed => "removed",
                ChangeKind::Refused => "refused",
                _ => "other",
            },
        };
        slot.call_unheard("on_change", |hook| hook.call1((change,)).map(drop));
    }
}
