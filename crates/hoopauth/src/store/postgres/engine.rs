//! The one thread that talks to the server.
//!
//! The driver is asynchronous and its connections have to be attended to all the time: they notice
//! a server that goes away, and send the heartbeats of leases. So a thread of ours does that, and
//! callers wait for it with plain locks. This also works inside the host's async runtime, where a
//! second runtime can't be driven.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::failure::store;
use crate::error::{Error, ErrorCode, Result};

/// The thread and its runtime; both end when this is dropped.
pub(super) struct Engine {
    handle: Handle,
    alive: Option<mpsc::Sender<Infallible>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(super) fn start() -> Result<Self> {
        let failed = |error: &dyn fmt::Display| {
            store(format!(
                "no thread for PostgreSQL could be started ({error}): check the limits of this \
                 process"
            ))
        };
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MOST_LOOKUPS)
            .thread_name(THREAD)
            .build()
            .map_err(|error| failed(&error))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (alive, mut all_gone) = mpsc::channel(1);
        let run = move || {
            runtime.block_on(async {
                let _ = stopped.await;
                // Those who hold a connection are gone by now: it takes its leave of the server and
                // ends.
                let _ = timeout(FAREWELL, all_gone.recv()).await;
            });
            // A look-up of a name may still hang.
            runtime.shutdown_background();
        };
        let thread =
            Builder::new().name(THREAD.to_owned()).spawn(run).map_err(|error| failed(&error))?;
        Ok(Self { handle, alive: Some(alive), stop: Some(stop), thread: Some(thread) })
    }

    /// The error of work whose answer never came.
    pub(super) fn ended() -> Error {
        Error::new(ErrorCode::Internal, "the thread for PostgreSQL ended; please report it")
    }

    /// Does `work` on the thread until it ends or is aborted.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(work).abort_handle()
    }

    /// Returns a sender that a connection holds as long as it is there.
    pub(super) fn alive(&self) -> Option<mpsc::Sender<Infallible>> {
        self.alive.clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

const THREAD: &str = "hoopauth-pg";
const MOST_LOOKUPS: usize = 2;
const FAREWELL: Duration = Duration::from_millis(500);
