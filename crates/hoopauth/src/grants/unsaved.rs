//! Grants that the store did not take: good answers, held in memory until they can be saved.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Grant;
use crate::account::Account;
use crate::error::Error;
use crate::sync::{Mutex, lock};

/// A good answer that the store did not take.
struct Unsaved {
    grant: Grant,
    /// Generation that it replaces. `None` for a new authorization, which replaces any.
    expected: Option<u64>,
    /// Error of the last try to save it.
    error: Error,
    /// Until then a caller with a good token does not wait for another try, because the last one
    /// took long.
    quiet_until: Option<Instant>,
}

/// The unsaved grants of a client.
#[derive(Default)]
pub(crate) struct UnsavedGrants {
    held: Mutex<HashMap<Account, Unsaved>>,
    /// Number of them, so that nobody takes the lock where there are none.
    count: AtomicUsize,
}

impl UnsavedGrants {
    /// Holds a grant in place of any held before.
    pub(crate) fn hold(&self, grant: Grant, expected: Option<u64>, error: Error) {
        let mut held = lock(&self.held);
        let account = grant.account.clone();
        held.insert(account, Unsaved { grant, expected, error, quiet_until: None });
        self.count.store(held.len(), Ordering::SeqCst);
    }

    /// Forgets the grant of an account: it is saved, or replaced.
    pub(crate) fn forget(&self, account: &Account) {
        let mut held = lock(&self.held);
        held.remove(account);
        self.count.store(held.len(), Ordering::SeqCst);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn contains(&self, account: &Account) -> bool {
        !self.is_empty() && lock(&self.held).contains_key(account)
    }

    /// Returns the grant of an account, and the generation that it replaces.
    pub(crate) fn get(&self, account: &Account) -> Option<(Grant, Option<u64>)> {
        if self.is_empty() {
            return None;
        }
        lock(&self.held).get(account).map(|held| (held.grant.clone(), held.expected))
    }

    /// Returns the error of the last try to save the grant of an account.
    pub(crate) fn error(&self, account: &Account) -> Option<Error> {
        lock(&self.held).get(account).map(|held| held.error.clone())
    }

    /// Notes that another try to save the grant failed.
    pub(crate) fn note(&self, account: &Account, error: &Error) {
        tracing::warn!(%account, %error, "the held grant could not be saved yet");
        if let Some(held) = lock(&self.held).get_mut(account) {
            held.error = error.clone();
        }
    }

    /// Returns `true` while a caller with a good token should not wait for another try.
    pub(crate) fn is_quiet(&self, account: &Account, now: Instant) -> bool {
        let until = lock(&self.held).get(account).and_then(|held| held.quiet_until);
        until.is_some_and(|until| now < until)
    }

    /// Notes that a try failed that took so long: the next one follows much later.
    pub(crate) fn keep_quiet(&self, account: &Account, took: Duration) {
        if let Some(held) = lock(&self.held).get_mut(account) {
            held.quiet_until = Instant::now().checked_add(took * QUIET_AFTER);
        }
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        lock(&self.held).keys().cloned().collect()
    }
}

/// The quiet time after a slow try, as a multiple of the time that the try took.
const QUIET_AFTER: u32 = 10;
