//! The process that made something. A forked child has copies of its parent's clients, locks and
//! connections, and must use none of them.

use crate::error::{Error, Result};

/// A process, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// The process that runs this.
    pub fn this() -> Self {
        Self(std::process::id())
    }

    /// Returns `true` in this process, and `false` in a child that was forked from it.
    #[inline]
    pub fn is_this(self) -> bool {
        self == Self::this()
    }

    /// A process that is not this one.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(std::process::id() ^ 1)
    }

    /// Refuses to go on in a forked child: `INVALID_STATE`.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_this() {
            return Ok(());
        }
        Err(Error::state(
            "this process was forked after the client was made: make a new client in this process",
        ))
    }
}
