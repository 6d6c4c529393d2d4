//! Failures of the server, the driver and the network, in this crate's words.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::error::{Error, ErrorCode};
use crate::redact::clean;

/// Result of work on a connection.
pub(super) type Outcome<T> = Result<T, Failure>;

/// A failure that does not know yet of which store.
#[derive(Debug)]
pub(super) enum Failure {
    Driver(tokio_postgres::Error),
    /// No answer in time. Whatever was asked for may have happened.
    TimedOut,
    Ours(Error),
}

impl Failure {
    /// Returns `true` if the connection is of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Driver(error) => error.code().is_none_or(ends_the_session),
            Self::TimedOut => true,
            // Not a bad row, but a session with wrong settings.
            Self::Ours(error) => error.code() == ErrorCode::Store,
        }
    }

    /// The error of work on the store at `place`.
    pub(super) fn of(self, place: &str) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::TimedOut => store(format!(
                "the PostgreSQL server {place} did not answer within the time this call may take: \
                 try again; if this stays, check the server and the network"
            ))
            .with_retryable(true),
            Self::Driver(error) => driver(&error, place),
        }
    }

    /// The error of connecting to `place`.
    pub(super) fn of_connecting(self, place: &str) -> Error {
        match self {
            Self::TimedOut => unreachable(place, "no answer in time"),
            Self::Driver(error) if error.code().is_none() => connecting(&error, place),
            failure => failure.of(place),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// A value in the tables that this library never writes.
pub(super) fn bad_row(what: &str) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        format!(
            "the store holds a {what} that hoopauth did not write: authorize the account again, or \
             restore the store from a backup"
        ),
    )
}

/// An error of the store.
pub(super) fn store(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Store, message)
}

fn ends_the_session(state: &SqlState) -> bool {
    // Idle for too long: these two classes, and the last one by its number, because the driver does
    // not know it.
    let code = state.code();
    code.starts_with("08") || code.starts_with("57P") || matches!(code, "25P03" | "25P04" | "XX000")
}

fn driver(error: &tokio_postgres::Error, place: &str) -> Error {
    let Some(database) = error.as_db_error() else {
        if error.source().is_some_and(|cause| cause.downcast_ref::<std::io::Error>().is_none())
            && !error.is_closed()
        {
            return bad_row("value");
        }
        return store(format!("the connection to the PostgreSQL server {place} broke: try again"))
            .with_retryable(true);
    };
    let said = clean(database.message());
    let (what, retryable) = match database.code() {
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            "authentication failed: check user and password in `store`, and the server's \
             pg_hba.conf",
            false,
        ),
        &SqlState::UNDEFINED_DATABASE => {
            ("the database does not exist: create it, or name another one in `store`", false)
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => (
            "permission denied: give the user the right to use the store's schema, and to read and \
             write its tables",
            false,
        ),
        &SqlState::DISK_FULL => ("the server's disk is full: free some space", true),
        &SqlState::OUT_OF_MEMORY => {
            ("the server is out of memory: try again, and give it more", true)
        }
        &SqlState::TOO_MANY_CONNECTIONS => (
            "too many connections: raise the server's `max_connections` or the user's limit, or \
             run fewer processes",
            true,
        ),
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            ("the server is read-only: name the primary in `store`, not a replica", false)
        }
        &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW => {
            ("the server is starting or stopping: try again", true)
        }
        &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED => (
            "a statement took too long: look for a transaction that holds locks on the store's \
             tables, and try again",
            true,
        ),
        &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE => {
            ("the server gave up a statement in favour of others: try again", true)
        }
        &SqlState::UNDEFINED_TABLE
        | &SqlState::UNDEFINED_COLUMN
        | &SqlState::INVALID_SCHEMA_NAME => (
            "the store's tables were removed or changed while it was open: restore them, and \
             restart the programs that use it",
            false,
        ),
        state if ends_the_session(state) => ("the server ended the connection: try again", true),
        _ => ("a statement failed: look into the server's log", false),
    };
    let code = database.code().code();
    store(format!("the PostgreSQL server {place}: {what} (server: {said} [{code}])"))
        .with_retryable(retryable)
}

fn connecting(error: &tokio_postgres::Error, place: &str) -> Error {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return store(format!(
                "no TLS connection to the PostgreSQL server {place}: {inner}; set `ca_file` or \
                 `sslrootcert` to the certificate of its authority, fix the certificate, or choose \
                 another `sslmode` in `store`"
            ));
        }
        cause = inner
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .map(|inner| inner as &dyn std::error::Error)
            .or_else(|| inner.source());
    }
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("does not support TLS") {
        return store(format!(
            "the PostgreSQL server {place} has no TLS: switch it on there, or add \
             `sslmode=disable` to `store` if the network between is yours alone"
        ));
    }
    match error.to_string().as_str() {
        "authentication error" | "invalid configuration" => store(format!(
            "the PostgreSQL server {place}: authentication failed ({}): check user and password in \
             `store`",
            clean(&cause)
        )),
        _ => unreachable(place, &clean(&cause)),
    }
}

fn unreachable(place: &str, cause: &str) -> Error {
    let cause = if cause.is_empty() { "the connection was closed" } else { cause };
    store(format!(
        "can't connect to the PostgreSQL server {place} ({cause}): check that it runs and is \
         reachable, and try again"
    ))
    .with_retryable(true)
}
