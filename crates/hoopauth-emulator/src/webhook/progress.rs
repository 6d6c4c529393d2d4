//! Waiting for deliveries.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Wakes those who wait for a delivery.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    notify: Notify,
    blocking: Condvar,
}

impl Progress {
    /// Tells those who wait that a delivery came further.
    pub(crate) fn announce(&self) {
        self.notify.notify_waiters();
        self.blocking.notify_all();
    }

    /// Waits until the deliveries are as wanted; false if that takes longer than `at_most`.
    pub(crate) async fn wait(&self, at_most: Duration, mut wanted: impl FnMut() -> bool) -> bool {
        let until = async {
            loop {
                let moved = self.notify.notified();
                if wanted() {
                    return;
                }
                moved.await;
            }
        };
        timeout(at_most, until).await.is_ok()
    }

    /// The same for threads outside the emulator, with the guard of what `wanted` looks at.
    pub(crate) fn wait_blocking<T>(
        &self,
        guard: MutexGuard<'_, T>,
        at_most: Duration,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> bool {
        let (guard, _) = self
            .blocking
            .wait_timeout_while(guard, at_most, |state| !wanted(state))
            .unwrap_or_else(PoisonError::into_inner);
        wanted(&guard)
    }
}
