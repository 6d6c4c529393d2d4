//! Failures of SQLite and the file system, in this crate's words.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode as Code;

use crate::error::{Error, ErrorCode};

/// A failure that does not know yet of which store.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Ours(Error),
}

impl Failure {
    /// The error of the store at `path`.
    pub(super) fn of(self, path: &Path) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Sqlite(error) => sqlite(&error, path),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// The error of a file operation on `path`.
pub(super) fn io(error: &io::Error, path: &Path, what: &str) -> Error {
    let next = match error.kind() {
        io::ErrorKind::NotFound => "create the folder, or give another path in `store`",
        io::ErrorKind::PermissionDenied => "give this user the right to write there",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: give another path in `store`"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space"
        }
        _ => "check the path in `store`",
    };
    Error::new(ErrorCode::Store, format!("{what} `{}` failed ({error}): {next}", path.display()))
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

fn sqlite(error: &rusqlite::Error, path: &Path) -> Error {
    let (code, extended) = match error {
        rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => return bad_row("value"),
        _ => (Code::Unknown, 0),
    };
    let path = path.display();
    let store = |text: String| Error::new(ErrorCode::Store, text);
    let corrupt = |text: String| Error::new(ErrorCode::StoreCorrupt, text);
    match code {
        Code::DiskFull => store(format!("the disk of the store `{path}` is full: free some space")),
        Code::ReadOnly => store(format!(
            "the store `{path}` is read-only: give this user the right to write to the file and \
             its folder"
        )),
        Code::DatabaseBusy | Code::DatabaseLocked => store(format!(
            "the store `{path}` is locked by another program, for longer than this call may wait: \
             try again; if it stays so, close the program that has the file open (a database \
             shell, a backup)"
        ))
        .with_retryable(true),
        Code::NotADatabase => corrupt(format!(
            "the store `{path}` is not a database: restore it from a backup, or give another path \
             in `store`"
        )),
        Code::DatabaseCorrupt => corrupt(format!(
            "the store `{path}` is damaged: restore it from a \
                                                  backup"
        )),
        Code::CannotOpen | Code::PermissionDenied | Code::AuthorizationForStatementDenied => {
            store(format!(
                "the store `{path}` can't be opened: give this user the right to write to the file \
                 and its folder"
            ))
        }
        Code::SystemIoFailure => store(format!(
            "the system could not read or write the store `{path}` (SQLite error {extended}): \
             check the disk, its free space, and the limits of this process (`ulimit`)"
        )),
        _ => store(format!(
            "the store `{path}` failed (SQLite error {extended}: {error}): try again; if this \
             stays, check the file with `sqlite3 {path} 'PRAGMA integrity_check'` and report it"
        )),
    }
}
