//! The connections of one store.
//!
//! Short work, the leases of locations and the leases of companies have a bound each. So a holder of a lease never waits for
//! what other holders have: its own work goes over the connection of its lease, and a location's refresh that needs its
//! company's waits for no other location.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, limited};
use super::engine::Engine;
use super::failure::{Failure, Outcome, store};
use super::schema;
use super::settings::Settings;
use super::{ANSWER_TIMEOUT, tls};
use crate::error::{Error, Result};

pub(super) struct Pool {
    settings: Arc<Settings>,
    tls: OnceCell<MakeRustlsConnect>,
    state: Mutex<State>,
    returned: Condvar,
    /// Last, so that it still is there when the connections take their leave.
    pub(super) engine: Engine,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// How many are on loan, by purpose.
    out: [usize; 3],
    outage: Option<Outage>,
    /// Whether the tables are known to be there.
    ready: bool,
}

/// The server can't be reached.
struct Outage {
    failures: u32,
    error: Error,
    /// Until then nobody tries.
    until: Instant,
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Work,
    LocationLease,
    CompanyLease,
}

impl Purpose {
    fn most(self) -> usize {
        match self {
            Self::Work => 4,
            Self::LocationLease => 6,
            Self::CompanyLease => 2,
        }
    }
}

impl Pool {
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self> {
        Ok(Self {
            settings,
            engine: Engine::start()?,
            tls: OnceCell::new(),
            state: Mutex::default(),
            returned: Condvar::new(),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.settings.place
    }

    pub(super) fn schema(&self) -> &str {
        &self.settings.schema
    }

    /// Reads: over a new connection again if the first one was an old one that turns out to be broken.
    pub(super) fn read<T, F>(&self, work: impl Fn(Arc<Client>, i32) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let mut pooled = self.take_for_work()?;
        let result = pooled.run(&work);
        match result {
            Err(failure) if failure.is_broken() && !pooled.fresh => {
                drop(pooled);
                let mut pooled = self.take_for_work()?;
                pooled.run(&work).map_err(|failure| failure.of(self.place()))
            }
            result => result.map_err(|failure| failure.of(self.place())),
        }
    }

    /// Writes, once.
    pub(super) fn write<T, F>(&self, work: impl FnOnce(Arc<Client>, i32) -> F) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.take_for_work()?.run(work)
    }

    fn take_for_work(&self) -> Result<Pooled<'_>> {
        self.take(Purpose::Work, LONGEST_QUEUE)?.ok_or_else(|| self.exhausted())
    }

    /// What to say where all connections stayed in use.
    pub(super) fn exhausted(&self) -> Error {
        store(format!(
            "all connections of this process to the PostgreSQL server {} are in use: try again",
            self.place()
        ))
        .with_retryable(true)
    }

    /// A connection; `None` if all for this purpose stay in use for `wait`.
    pub(super) fn take(&self, purpose: Purpose, wait: Duration) -> Result<Option<Pooled<'_>>> {
        let until = Instant::now().checked_add(wait);
        let mut state = self.state();
        while state.out[purpose as usize] >= purpose.most() {
            let left = until.map_or(wait, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            state = self.returned.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.out[purpose as usize] += 1;
        let mut pooled = Pooled { pool: self, purpose, connection: None, fresh: false };
        while let Some(connection) = state.idle.pop() {
            if !connection.is_closed() {
                pooled.connection = Some(connection);
                return Ok(Some(pooled));
            }
        }
        drop(state);
        pooled.connection = Some(self.connect()?);
        pooled.fresh = true;
        Ok(Some(pooled))
    }

    /// A new connection to a server with our tables. While the server is known to be away: its error, at once.
    fn connect(&self) -> Result<Connection> {
        let tls = self.tls.get_or_try_init(|| tls::connector(&self.settings))?.clone();
        let now = Instant::now();
        let mut state = self.state();
        if let Some(outage) = &mut state.outage {
            if now < outage.until {
                let error = outage.error.clone();
                return Err(if error.is_retryable() {
                    error.with_retry_after(outage.until - now)
                } else {
                    error
                });
            }
            // One tries, the others don't wait for how it ends.
            outage.until = now + self.settings.connect_timeout;
        }
        let ready = state.ready;
        drop(state);

        let (settings, alive) = (Arc::clone(&self.settings), self.engine.alive());
        let opened = self.engine.run(async move { Connection::open(&settings, tls, alive).await })?;
        let connection = match opened {
            Ok(connection) => connection,
            Err(failure) => {
                let error = failure.of_connecting(self.place());
                let mut state = self.state();
                let failures = state.outage.as_ref().map_or(0, |outage| outage.failures);
                let pause = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(failures.min(16)));
                let until = Instant::now() + pause;
                state.outage =
                    Some(Outage { failures: failures.saturating_add(1), error: error.clone(), until });
                return Err(error);
            }
        };
        self.state().outage = None;
        if !ready {
            let (client, settings) = (Arc::clone(&connection.client), Arc::clone(&self.settings));
            let ensured = self.engine.run(limited(ANSWER_TIMEOUT, async move {
                schema::ensure(&client, &settings.schema, &schema::MIGRATIONS).await
            }))?;
            ensured.map_err(|failure| failure.of(self.place()))?;
            self.state().ready = true;
        }
        Ok(connection)
    }

    /// As if the server had just gone away, and for long.
    #[cfg(test)]
    pub(super) fn refuse_connections(&self) {
        let error = store("can't connect").with_retryable(true);
        let until = Instant::now() + Duration::from_secs(3600);
        self.state().outage = Some(Outage { failures: 1, error, until });
    }

    #[cfg(test)]
    pub(super) fn end_pause(&self) {
        if let Some(outage) = &mut self.state().outage {
            outage.until = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic leaves something half-done behind it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A connection on loan.
#[derive(Debug)]
pub(super) struct Pooled<'a> {
    pool: &'a Pool,
    purpose: Purpose,
    connection: Option<Connection>,
    fresh: bool,
}

impl Pooled<'_> {
    /// Does `work` and waits for its end; a connection that breaks, or does not answer, is given up.
    pub(super) fn run<T, F>(&mut self, work: impl FnOnce(Arc<Client>, i32) -> F) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.run_within(ANSWER_TIMEOUT, work)
    }

    pub(super) fn run_within<T, F>(
        &mut self,
        longest: Duration,
        work: impl FnOnce(Arc<Client>, i32) -> F,
    ) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let Some(connection) = &self.connection else {
            return Err(store("the connection to the PostgreSQL server broke: try again")
                .with_retryable(true)
                .into());
        };
        let work = work(Arc::clone(&connection.client), connection.backend);
        let result = self.pool.engine.run(limited(longest, work))?;
        if result.as_ref().is_err_and(Failure::is_broken) {
            self.give_up();
        }
        result
    }

    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.connection.as_ref().map(|connection| Arc::clone(&connection.client))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.connection.as_ref().is_none_or(Connection::is_closed)
    }

    /// Ends the connection, and with it what its session holds.
    pub(super) fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abort();
        }
    }

    /// In a forked child: leaves the parent's connection alone.
    pub(super) fn leak(mut self) {
        std::mem::forget(self.connection.take());
        std::mem::forget(self);
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|connection| !connection.is_closed());
        let mut state = self.pool.state();
        state.out[self.purpose as usize] -= 1;
        let surplus = if state.idle.len() < MOST_IDLE {
            state.idle.extend(connection);
            None
        } else {
            connection
        };
        drop(state);
        drop(surplus);
        self.pool.returned.notify_all();
    }
}

const MOST_IDLE: usize = 4;
/// How long a caller waits for a connection in use.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
