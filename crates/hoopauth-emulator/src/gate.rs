use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fault::Endpoint;

/// Gate at which a request can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the emulator looks at it.
    Request,
    /// After it took effect, before its answer is sent.
    Answer,
}

/// The gates at which requests wait until a test lets them go on.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    all: Mutex<[[Gate; 2]; Endpoint::COUNT]>,
    opened: Notify,
    changed: Notify,
    changed_blocking: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    closed: bool,
    held: usize,
    /// Counts releases, so that a gate that is closed again at once still lets go whom it held.
    released: u64,
    /// Number of waiting requests that may go although the gate stays closed; never more than wait.
    passes: usize,
}

impl Gates {
    pub(crate) fn close(&self, endpoint: Endpoint, stage: Stage) {
        self.lock()[endpoint as usize][stage as usize].closed = true;
    }

    /// Opens both gates of the endpoint.
    pub(crate) fn open(&self, endpoint: Endpoint) {
        for gate in &mut self.lock()[endpoint as usize] {
            gate.closed = false;
            gate.released += 1;
            gate.passes = 0;
        }
        self.opened.notify_waiters();
    }

    /// Lets this many of those that wait go on, answers first, and leaves the gates closed.
    pub(crate) fn let_through(&self, endpoint: Endpoint, count: usize) {
        let mut left = count;
        for gate in self.lock()[endpoint as usize].iter_mut().rev() {
            let passes = left.min(gate.held - gate.passes);
            gate.passes += passes;
            left -= passes;
        }
        self.opened.notify_waiters();
    }

    pub(crate) fn held(&self, endpoint: Endpoint) -> usize {
        held(&self.lock(), endpoint)
    }

    /// Blocks until `at_least` requests are held; false if that takes longer than `timeout`.
    pub(crate) fn wait_blocking(
        &self,
        endpoint: Endpoint,
        at_least: usize,
        timeout: Duration,
    ) -> bool {
        let (gates, _) = self
            .changed_blocking
            .wait_timeout_while(self.lock(), timeout, |gates| held(gates, endpoint) < at_least)
            .unwrap_or_else(PoisonError::into_inner);
        held(&gates, endpoint) >= at_least
    }

    /// Waits like [`Gates::wait_blocking`], on the emulator's runtime.
    pub(crate) async fn wait(
        &self,
        endpoint: Endpoint,
        at_least: usize,
        timeout: Duration,
    ) -> bool {
        let enough = async {
            loop {
                let changed = self.changed.notified();
                if self.held(endpoint) >= at_least {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(timeout, enough).await.is_ok()
    }

    /// Goes through the gate, waiting in front of it while it is closed.
    pub(crate) async fn pass(&self, endpoint: Endpoint, stage: Stage) {
        let mut opened = self.opened.notified();
        let came = {
            let gate = &mut self.lock()[endpoint as usize][stage as usize];
            if !gate.closed {
                return;
            }
            gate.held += 1;
            gate.released
        };
        let _waiting = Waiting { gates: self, endpoint, stage };
        self.announce();
        loop {
            opened.await;
            opened = self.opened.notified();
            let gate = &mut self.lock()[endpoint as usize][stage as usize];
            if gate.released != came {
                return;
            }
            if gate.passes > 0 {
                gate.passes -= 1;
                return;
            }
        }
    }

    fn announce(&self) {
        self.changed_blocking.notify_all();
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, [[Gate; 2]; Endpoint::COUNT]> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Uncounts a waiting request, also one whose client went away.
struct Waiting<'a> {
    gates: &'a Gates,
    endpoint: Endpoint,
    stage: Stage,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        {
            let gate = &mut self.gates.lock()[self.endpoint as usize][self.stage as usize];
            gate.held -= 1;
            gate.passes = gate.passes.min(gate.held);
        }
        self.gates.announce();
    }
}

fn held(gates: &[[Gate; 2]; Endpoint::COUNT], endpoint: Endpoint) -> usize {
    gates[endpoint as usize].iter().map(|gate| gate.held).sum()
}
