//! The state behind its lock, with what holds a request up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;

use crate::fault::Endpoint;
use crate::gate::{Gates, Stage};
use crate::state::State;
use crate::webhook::progress::Progress;

/// State that all requests and the control methods share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) base: String,
    pub(crate) gates: Gates,
    pub(crate) deliveries_progress: Progress,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(base: String, state: State) -> Self {
        let (gates, deliveries_progress) = (Gates::default(), Progress::default());
        Self { base, gates, deliveries_progress, state: Mutex::new(state) }
    }

    /// The lock is never kept over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles one request of an endpoint, with its latency, its gates and its faults around it.
    pub(crate) async fn attend(
        &self,
        endpoint: Endpoint,
        handle: impl FnOnce() -> Response,
    ) -> Response {
        let latency_ms = self.lock().latency_ms(endpoint);
        if latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        }
        self.gates.pass(endpoint, Stage::Request).await;
        let fault = self.lock().faults.next(endpoint);
        let answer = match fault {
            None => handle(),
            Some(fault) if fault.processed => {
                let real = handle();
                fault.play(Some(real)).await
            }
            Some(fault) => fault.play(None).await,
        };
        self.gates.pass(endpoint, Stage::Answer).await;
        answer
    }

    /// Waits until the deliveries are as wanted; false if that takes longer than `at_most`.
    pub(crate) async fn wait_for_deliveries(
        &self,
        at_most: Duration,
        mut wanted: impl FnMut(&State) -> bool,
    ) -> bool {
        self.deliveries_progress.wait(at_most, || wanted(&self.lock())).await
    }

    /// The same for threads outside the emulator.
    pub(crate) fn wait_for_deliveries_blocking(
        &self,
        at_most: Duration,
        wanted: impl FnMut(&State) -> bool,
    ) -> bool {
        self.deliveries_progress.wait_blocking(self.lock(), at_most, wanted)
    }
}
