//! One connection, and the settings of its session.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Failure, Outcome, store};
use super::pooler;
use super::settings::PostgresSettings;
use super::{IDLE_HOLDER, LOCK_TIMEOUT, STATEMENT_TIMEOUT};

/// An open connection. It ends when this is dropped, and with it all that its session holds.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    /// The server process that serves it: always this one, else somebody between us and the server
    /// mixes sessions.
    pub(super) backend: i32,
    task: AbortHandle,
}

impl Connection {
    /// Connects, and makes the session one that promises what the store promises.
    pub(super) async fn open(
        settings: &PostgresSettings,
        tls: MakeRustlsConnect,
        alive: Option<mpsc::Sender<Infallible>>,
    ) -> Outcome<Self> {
        let (client, task) = connect(settings, tls.clone(), alive.clone()).await?;
        let mut connection = Self { client: Arc::new(client), backend: 0, task };
        let prepared = async {
            connection.backend =
                limited(STATEMENT_TIMEOUT, prepare(&connection.client, settings)).await?;
            pooler::check(&connection, settings, tls, alive).await
        };
        match prepared.await {
            Ok(()) => Ok(connection),
            Err(failure) => {
                connection.abort();
                Err(failure)
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Ends it at once, whatever it is doing.
    pub(super) fn abort(self) {
        self.task.abort();
    }
}

/// A session as the server makes it.
pub(super) async fn connect(
    settings: &PostgresSettings,
    tls: MakeRustlsConnect,
    alive: Option<mpsc::Sender<Infallible>>,
) -> Outcome<(Client, AbortHandle)> {
    let hosts = settings.config.get_hosts().len().max(settings.config.get_hostaddrs().len());
    let longest = settings.connect_timeout * u32::try_from(hosts + 1).unwrap_or(u32::MAX);
    let connecting = async { Ok(Box::pin(settings.config.connect(tls)).await?) };
    let (client, connection) = limited(longest, connecting).await?;
    let version = connection.parameter("server_version").unwrap_or_default().to_owned();
    let task = tokio::spawn(async move {
        let _alive = alive;
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to PostgreSQL ended");
        }
    });
    let major: u32 =
        version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("").parse().unwrap_or(0);
    if major < OLDEST_SERVER {
        return Err(store(format!(
            "the server {} is PostgreSQL {version}: {OLDEST_SERVER} or later is needed",
            settings.place
        ))
        .into());
    }
    Ok((client, task.abort_handle()))
}

/// `work` within a time.
pub(super) async fn limited<T>(
    longest: Duration,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    timeout(longest, work).await.unwrap_or(Err(Failure::TimedOut))
}

/// The number in the first row of an answer.
pub(super) fn number(answer: &[SimpleQueryMessage]) -> Option<i32> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

/// Makes the settings of the session; answers its server process.
async fn prepare(client: &Client, settings: &PostgresSettings) -> Outcome<i32> {
    // A commit is on the disk, whatever the server's or the user's default. No other schema's
    // tables are meant.
    let answer = client
        .simple_query(&format!(
            "SET search_path TO {schema}, pg_temp; SET synchronous_commit TO on; SET \
             default_transaction_isolation TO 'read committed'; SET default_transaction_read_only \
             TO off; SET statement_timeout TO {statement}; SET lock_timeout TO {lock}; SET \
             idle_in_transaction_session_timeout TO {statement}; SET idle_session_timeout TO \
             {idle}; SELECT pg_backend_pid()",
            schema = settings.schema,
            statement = STATEMENT_TIMEOUT.as_millis(),
            lock = LOCK_TIMEOUT.as_millis(),
            idle = IDLE_CONNECTION.as_millis(),
        ))
        .await?;
    // The same towards a host that is gone, on the server's side. Not every system has all of them.
    let tcp = client
        .batch_execute(&format!(
            "SET client_connection_check_interval TO 2000; SET tcp_keepalives_idle TO 4; SET \
             tcp_keepalives_interval TO 2; SET tcp_keepalives_count TO 3; SET tcp_user_timeout TO \
             {}",
            IDLE_HOLDER.as_millis()
        ))
        .await;
    if let Err(error) = tcp {
        if error.code().is_none() {
            return Err(error.into());
        }
        tracing::debug!(%error, "the server knows no limits for connections whose other end is \
                                 gone");
    }
    number(&answer).ok_or_else(|| store("the PostgreSQL server does not name its process").into())
}

/// The first release with `idle_session_timeout`, by which the lease of a silent holder ends.
const OLDEST_SERVER: u32 = 14;
/// Time after which the server ends an idle connection, which a forked child might otherwise keep
/// open for ever.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(15 * 60);
