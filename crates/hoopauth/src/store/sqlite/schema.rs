//! The tables, their versions, and whether a file is ours at all.

use rusqlite::{Connection, TransactionBehavior};

use super::Failure;
use crate::error::{Error, ErrorCode};

/// Returns `true` if there is nothing left to do. Fails if the file is not ours to use.
pub(super) fn is_current(connection: &Connection) -> Result<bool, Failure> {
    let version = check(connection)?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(version == MIGRATIONS.len() && journal == "wal")
}

/// Makes the tables, or brings older ones forward. One process at a time.
pub(super) fn set_up(connection: &mut Connection) -> Result<(), Failure> {
    if check(connection)? == 0 {
        // Only in an empty file does this have an effect. A grant is a few kilobytes: on small
        // pages half of each is lost.
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    }
    let journal: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if journal != "wal" {
        return Err(Error::new(
            ErrorCode::Store,
            "the store is in a folder where SQLite's write-ahead log does not work (a network \
             share, say): put it on a local disk",
        )
        .into());
    }
    connection.busy_timeout(crate::patience::at_most(super::database::BUSY_TIMEOUT))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in &MIGRATIONS[check(&transaction)?..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
    )?;
    transaction.commit()?;
    Ok(())
}

/// The version of the tables in the file; 0 for an empty one.
fn check(connection: &Connection) -> Result<usize, Failure> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application, version, tables) != (0, 0, 0) {
        return Err(Error::config(
            "`store`: the file is the database of another program: give a path of its own",
        )
        .into());
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(Error::new(
            ErrorCode::Store,
            format!(
                "the store was written by a later release (its schema is {version}, this release \
                 knows {}): upgrade hoopauth in every program that shares it",
                MIGRATIONS.len()
            ),
        )
        .into()),
    }
}

/// Each step brings the schema one version forward; a released step never changes.
pub(super) const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE app (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        sent BLOB NOT NULL DEFAULT x''
    ) STRICT;
    CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        app INTEGER NOT NULL REFERENCES app,
        name TEXT NOT NULL,
        generation INTEGER NOT NULL,
        sealed BLOB,
        expires_at INTEGER NOT NULL,
        seen BLOB NOT NULL,
        mark BLOB,
        marked_at INTEGER,
        back_off TEXT,
        UNIQUE (app, name)
    ) STRICT;
    CREATE INDEX tombstone ON account (app, name) WHERE sealed IS NULL;
    CREATE INDEX deadline ON account (app, expires_at) WHERE sealed IS NOT NULL;
    CREATE INDEX open_mark ON account (app, name) WHERE mark IS NOT NULL;
    CREATE TABLE claim (
        app INTEGER NOT NULL REFERENCES app,
        id BLOB NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (app, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_end ON claim (until);
    CREATE TABLE counter (changes INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (0);
",
    "
    CREATE TABLE change (
        number INTEGER PRIMARY KEY,
        app INTEGER NOT NULL REFERENCES app,
        name TEXT NOT NULL,
        generation INTEGER NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE account ADD COLUMN retry_at INTEGER;
    ALTER TABLE account ADD COLUMN troubled INTEGER NOT NULL DEFAULT 0;
    UPDATE account SET retry_at = CAST(substr(back_off, instr(back_off, ',') + 1) AS INTEGER),
        troubled = back_off LIKE '[true,%' WHERE back_off IS NOT NULL;
    DROP INDEX deadline;
    CREATE INDEX deadline ON account (app, expires_at) WHERE sealed IS NOT NULL AND NOT troubled;
    CREATE INDEX trouble ON account (app, retry_at) WHERE sealed IS NOT NULL AND troubled;
",
];

/// 'hoop'.
const APPLICATION: i64 = 0x686f_6f70;
const PAGE_SIZE: i64 = 16_384;
