//! The named points of a refresh, at which a test can stop or fail it.

use crate::account::Account;
use crate::error::Result;

/// A named point of a refresh. They come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Before the lease is asked for.
    Lease,
    /// The lease is held; before the store is read again.
    Reread,
    /// Before slot and mark are written.
    Mark,
    /// The mark is durable; before the request is sent.
    Send,
    /// The answer is here; before it is checked.
    Check,
    /// Before the new grant is saved.
    Save,
    /// The new grant is durable; before the snapshot is published.
    Publish,
    /// Before the lease is given back.
    Release,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 8] = [
        Self::Lease,
        Self::Reread,
        Self::Mark,
        Self::Send,
        Self::Check,
        Self::Save,
        Self::Publish,
        Self::Release,
    ];
}

/// Hook of a test that is called at each step.
pub(crate) type StepHook = Box<dyn Fn(Step, &Account) -> Result<()> + Send + Sync>;

/// The steps of a client's refreshes, announced to the hook if there is one.
#[derive(Default)]
pub(crate) struct Steps(pub(crate) Option<StepHook>);

impl Steps {
    /// Announces a step. The hook's error ends the refresh there.
    pub(crate) fn at(&self, step: Step, account: &Account) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(step, account))
    }
}
