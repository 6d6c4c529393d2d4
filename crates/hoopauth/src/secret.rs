//! Secrets: text that must not be seen.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A token, secret or key: prints as `[redacted]`, is wiped when dropped, compares in constant
/// time.
#[derive(Clone)]
pub struct Secret(Text);

#[derive(Clone)]
enum Text {
    Own(Box<str>),
    /// A text that is no secret.
    Public(&'static str),
    /// A text that its owner lends and wipes.
    Lent(Arc<dyn Lends>, Part),
}

impl Secret {
    /// Takes the text over. The caller wipes its own copies.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Text::Own(text.into()))
    }

    /// Wraps a text that is not secret but stands between secrets.
    pub(crate) const fn public(text: &'static str) -> Self {
        Self(Text::Public(text))
    }

    /// Makes a text that `owner` lends, without a copy.
    pub(crate) fn lent(owner: Arc<dyn Lends>, part: Part) -> Self {
        Self(Text::Lent(owner, part))
    }

    /// Returns the text itself. Keep it no longer than you need it.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::Own(text) => text,
            Text::Public(text) => text,
            Text::Lent(owner, part) => owner.lend(*part),
        }
    }

    /// Returns `true` if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Returns `true` if both are the same text. Not in constant time: for two texts of the
    /// program's own.
    #[cfg(feature = "reqwest")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let (own, other) = (self.expose(), other.expose());
        std::ptr::eq(own, other) || own == other
    }
}

/// An owner of ready-made header values, which lends them without a copy.
pub(crate) trait Lends: Send + Sync {
    /// The value of a header.
    fn lend(&self, part: Part) -> &str;
}

/// The header whose value is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Authorization,
    Version,
    UserAgent,
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        if let Text::Own(text) = &mut self.0 {
            text.zeroize();
        }
        self.0 = Text::Public("");
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Text::Own(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl ZeroizeOnDrop for Secret {}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.expose().as_bytes(), other.expose().as_bytes())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Equality whose time depends on the lengths only.
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

thread_local! {
    /// `true` if secrets passed over this thread's stack since it was last wiped.
    static TRAFFIC: Cell<bool> = const { Cell::new(false) };
}

/// Says that a request with secrets goes over this thread's stack.
#[cfg(feature = "reqwest")]
pub(crate) fn note_traffic() {
    TRAFFIC.set(true);
}

/// Overwrites the unused part of the stack, if secrets passed there. Foreign code leaves them
/// behind: the dynamic linker, for example, stores the vector registers there, through which a
/// token was just copied.
pub(crate) fn wipe_stack_after_traffic() {
    if TRAFFIC.take() {
        wipe_stack();
    }
}

#[inline(never)]
#[allow(
    clippy::large_stack_arrays,
    reason = "that is its purpose: what passed there reached as deep"
)]
fn wipe_stack() {
    let mut below = [0_u8; STACK_OF_TRAFFIC];
    std::hint::black_box(&mut below);
}

/// Depth that HTTP and TLS reach; no deeper, because a thread of the program may have little more.
const STACK_OF_TRAFFIC: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nothing_and_compares() {
        let secret = Secret::new("planted");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        assert_eq!(secret, Secret::new("planted"));
        assert_ne!(secret, Secret::new("Planted"));
        assert_ne!(secret, Secret::new("plant"));
    }
}
