//! The connections of one store.
//!
//! Short work, the leases of locations and the leases of companies have a bound each. So a holder
//! of a lease never waits for the connections of other holders: its own work goes over the
//! connection of its lease, and a location's refresh that needs its company's waits for no other
//! location.

//!
//! Work that its caller can't wait for any longer goes on to its end on the engine's thread, and
//! keeps its connection until then: a server that hangs is asked by no more connections than one
//! that works.

use std::fmt;
use std::future::Future;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, limited};
use super::engine::Engine;
use super::failure::{Failure, Outcome, store};
use super::schema;
use super::settings::PostgresSettings;
use super::{ANSWER_TIMEOUT, GIVE_BACK_TIMEOUT, tls, unlock};
use crate::error::{Error, Result};
use crate::patience;

pub(super) struct Pool {
    settings: Arc<PostgresSettings>,
    tls: OnceCell<MakeRustlsConnect>,
    shared: Arc<PoolState>,
    /// Last, so that it still is there when the connections take their leave.
    pub(super) engine: Engine,
}

/// State that abandoned work uses, too.
#[derive(Default)]
struct PoolState {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Connections on loan, by purpose.
    out: [usize; 3],
    outage: Option<Outage>,
    /// `true` if the tables are known to be there.
    ready: bool,
    /// The store is gone: nothing is kept any more.
    closed: bool,
}

impl PoolState {
    fn state(&self) -> MutexGuard<'_, State> {
        // No panic leaves something half-done behind it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection for others, if there is room.
    fn keep(&self, connection: Connection) {
        let mut state = self.state();
        let surplus = if state.closed || connection.is_closed() || state.idle.len() >= MOST_IDLE {
            Some(connection)
        } else {
            state.idle.push(connection);
            None
        };
        drop(state);
        drop(surplus);
    }

    fn note_outage(&self, error: Error) {
        let mut state = self.state();
        let failures = state.outage.as_ref().map_or(0, |outage| outage.failures);
        let pause = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(failures.min(16)));
        let until = Instant::now() + pause;
        state.outage = Some(Outage { failures: failures.saturating_add(1), error, until });
    }
}

/// The right to one of the connections for a purpose; ends with this.
struct PoolTurn {
    shared: Arc<PoolState>,
    purpose: Purpose,
}

impl Drop for PoolTurn {
    fn drop(&mut self) {
        self.shared.state().out[self.purpose as usize] -= 1;
        self.shared.returned.notify_all();
    }
}

/// The server can't be reached.
struct Outage {
    failures: u32,
    error: Error,
    /// Until then nobody tries.
    until: Instant,
}

/// Purpose of a connection.
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
    pub(super) fn new(settings: Arc<PostgresSettings>) -> Result<Self> {
        Ok(Self {
            settings,
            engine: Engine::start()?,
            tls: OnceCell::new(),
            shared: Arc::default(),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.settings.place
    }

    pub(super) fn schema(&self) -> &str {
        &self.settings.schema
    }

    /// Reads: over a new connection again if the first one was an old one that turns out to be
    /// broken.
    pub(super) fn read<T, F>(&self, work: impl Fn(Arc<Client>, i32) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let mut pooled = self.take_for_work()?;
        let result = pooled.run(&work);
        match result {
            Err(failure) if failure.is_broken() && !pooled.fresh && !patience::is_over() => {
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

    /// Makes the error for a caller that found all connections in use.
    pub(super) fn exhausted(&self) -> Error {
        store(format!(
            "all connections of this process to the PostgreSQL server {} are in use: try again; if \
             this stays, check the server and the network",
            self.place()
        ))
        .with_retryable(true)
    }

    /// A connection; `None` if all for this purpose stay in use for `wait`, or until the call ends.
    pub(super) fn take(&self, purpose: Purpose, wait: Duration) -> Result<Option<Pooled<'_>>> {
        let wait = patience::at_most(wait);
        let until = Instant::now().checked_add(wait);
        let mut state = self.shared.state();
        while state.out[purpose as usize] >= purpose.most() {
            let left = until.map_or(wait, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.shared.returned.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.out[purpose as usize] += 1;
        let turn = PoolTurn { shared: Arc::clone(&self.shared), purpose };
        while let Some(connection) = state.idle.pop() {
            if !connection.is_closed() {
                drop(state);
                return Ok(Some(Pooled {
                    pool: self,
                    loan: Some((connection, turn)),
                    fresh: false,
                }));
            }
        }
        drop(state);
        let loan = self.connect(turn)?;
        Ok(Some(Pooled { pool: self, loan: Some(loan), fresh: true }))
    }

    /// A new connection to a server with our tables. While the server is known to be away: its
    /// error, at once.
    fn connect(&self, turn: PoolTurn) -> Result<(Connection, PoolTurn)> {
        let tls = self.tls.get_or_try_init(|| tls::connector(&self.settings))?.clone();
        let now = Instant::now();
        let mut state = self.shared.state();
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

        let (settings, alive, shared) =
            (Arc::clone(&self.settings), self.engine.alive(), Arc::clone(&self.shared));
        let (tell, told) = std_mpsc::sync_channel(1);
        self.engine.spawn(async move {
            let opened = match Connection::open(&settings, tls, alive).await {
                Ok(connection) => {
                    shared.state().outage = None;
                    make_ready(connection, &settings, &shared, ready).await
                }
                Err(failure) => {
                    let error = failure.of_connecting(&settings.place);
                    shared.note_outage(error.clone());
                    Err(error)
                }
            };
            // Its caller may have left.
            if let Err(std_mpsc::SendError((Ok(connection), _turn))) = tell.send((opened, turn)) {
                shared.keep(connection);
            }
        });
        match told.recv_timeout(patience::at_most(Duration::MAX)) {
            Ok((opened, turn)) => opened.map(|connection| (connection, turn)),
            Err(std_mpsc::RecvTimeoutError::Timeout) => {
                Err(Failure::TimedOut.of_connecting(self.place()))
            }
            Err(std_mpsc::RecvTimeoutError::Disconnected) => Err(Engine::ended()),
        }
    }

    /// Pretends that the server has just gone away, and for long.
    #[cfg(test)]
    pub(super) fn refuse_connections(&self) {
        let error = store("can't connect").with_retryable(true);
        let until = Instant::now() + Duration::from_secs(3600);
        self.shared.state().outage = Some(Outage { failures: 1, error, until });
    }

    #[cfg(test)]
    pub(super) fn end_pause(&self) {
        if let Some(outage) = &mut self.shared.state().outage {
            outage.until = Instant::now();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }
}

/// The connection, once the tables are there.
async fn make_ready(
    connection: Connection,
    settings: &PostgresSettings,
    shared: &PoolState,
    ready: bool,
) -> Result<Connection> {
    if ready {
        return Ok(connection);
    }
    let making = schema::ensure(&connection.client, &settings.schema, &schema::MIGRATIONS);
    match limited(ANSWER_TIMEOUT, making).await {
        Ok(()) => {
            shared.state().ready = true;
            Ok(connection)
        }
        Err(failure) => {
            // It may be in the middle of a transaction.
            connection.abort();
            Err(failure.of(&settings.place))
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A connection on loan.
pub(super) struct Pooled<'a> {
    pool: &'a Pool,
    /// `None` once it broke, was given up, or went on without its caller.
    loan: Option<(Connection, PoolTurn)>,
    fresh: bool,
}

impl Pooled<'_> {
    /// Does `work` and waits for its end; a connection that breaks, or does not answer, is given
    /// up.
    pub(super) fn run<T, F>(&mut self, work: impl FnOnce(Arc<Client>, i32) -> F) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.run_within(ANSWER_TIMEOUT, work)
    }

    /// The work itself takes `longest` at most. A call that ends earlier leaves it alone: it is
    /// done to its end, and the connection is then kept for others, unless its session may hold a
    /// lease.
    pub(super) fn run_within<T, F>(
        &mut self,
        longest: Duration,
        work: impl FnOnce(Arc<Client>, i32) -> F,
    ) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let Some((connection, turn)) = self.loan.take() else {
            return Err(store(format!(
                "the connection to the PostgreSQL server {} broke: try again",
                self.pool.place()
            ))
            .with_retryable(true)
            .into());
        };
        let work = work(Arc::clone(&connection.client), connection.backend);
        let (tell, told) = std_mpsc::sync_channel(1);
        self.pool.engine.spawn(async move {
            let result = limited(longest, work).await;
            let connection = if result.as_ref().is_err_and(Failure::is_broken) {
                connection.abort();
                None
            } else {
                Some(connection)
            };
            if let Err(std_mpsc::SendError((_, Some(connection), turn))) =
                tell.send((result, connection, turn))
                && matches!(turn.purpose, Purpose::Work)
            {
                turn.shared.keep(connection);
            }
        });
        match told.recv_timeout(patience::at_most(Duration::MAX)) {
            Ok((result, connection, turn)) => {
                self.loan = connection.map(|connection| (connection, turn));
                result
            }
            Err(std_mpsc::RecvTimeoutError::Timeout) => Err(Failure::TimedOut),
            Err(std_mpsc::RecvTimeoutError::Disconnected) => Err(Engine::ended().into()),
        }
    }

    /// Gives back the lock that its session holds, and then the connection. One whose session may
    /// still hold it is ended. Takes no longer than the call may; the rest is done without it.
    pub(super) fn give_back_lease(mut self, place: i64) {
        let Some((connection, turn)) = self.loan.take() else { return };
        let (tell, told) = std_mpsc::sync_channel(1);
        self.pool.engine.spawn(async move {
            let unlocking = unlock(Arc::clone(&connection.client), place);
            if let Ok(true) = limited(GIVE_BACK_TIMEOUT, unlocking).await {
                turn.shared.keep(connection);
            } else {
                tracing::warn!(
                    "the right to refresh an account could not be given back; the \
                                connection that holds it is ended"
                );
                connection.abort();
            }
            drop(turn);
            let _ = tell.send(());
        });
        let _ = told.recv_timeout(patience::at_most(GIVE_BACK_TIMEOUT));
    }

    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.loan.as_ref().map(|(connection, _)| Arc::clone(&connection.client))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.loan.as_ref().is_none_or(|(connection, _)| connection.is_closed())
    }

    /// Ends the connection, and with it what its session holds.
    pub(super) fn give_up(&mut self) {
        if let Some((connection, _turn)) = self.loan.take() {
            connection.abort();
        }
    }

    /// In a forked child: leaves the parent's connection alone.
    pub(super) fn leak(mut self) {
        std::mem::forget(self.loan.take());
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        if let Some((connection, _turn)) = self.loan.take() {
            self.pool.shared.keep(connection);
        }
    }
}

impl fmt::Debug for Pooled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

const MOST_IDLE: usize = 4;
/// Longest wait of a caller for a connection in use.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
