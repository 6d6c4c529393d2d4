//! The store of one computer: a SQLite file that any number of processes share.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

mod database;
mod failure;
mod lock;
mod schema;

pub(crate) use self::database::sync_folder;
use self::database::{Handle, REGISTRY};
use self::failure::{Failure, bad_row};
use super::budget::SlidingLog;
use super::{
    BackOff, Begin, Due, Fingerprint, KNOWN_CHANGES, Key, Lease, Mark, NewRecord, Record, Slot,
    SlotRequest, TokenStore, WINDOW, changed_of,
};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::patience::{self, Patience, TO_SAVE};
use crate::process::Process;

/// Grants in a SQLite file. Opened at the first use; nothing of it is used in a forked child, which
/// makes its own.
///
/// Beside the database lie SQLite's own `-wal` and `-shm`, and `-lock`, which must never be removed
/// while a program runs.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    process: Process,
    handle: OnceCell<Handle>,
}

impl SqliteStore {
    /// The store in the file at `path`, which is made if it is not there; its folder is not.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, process: Process::this(), handle: OnceCell::new() }
    }

    /// Returns `true` if the store was used.
    pub(crate) fn is_open(&self) -> bool {
        self.handle.get().is_some()
    }

    /// Returns `true` if any account of any app has a grant.
    pub(crate) fn has_grants(&self) -> Result<bool> {
        self.handle()?.read(|connection| {
            Ok(connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM account WHERE sealed IS NOT NULL)",
                [],
                |row| row.get(0),
            )?)
        })
    }

    fn handle(&self) -> Result<&Handle> {
        if !self.process.is_this() {
            return Err(Error::state(
                "this process was forked after the store was opened: make a new client in this \
                 process",
            ));
        }
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        // Threads that start at once don't wait here but at the database, each no longer than its
        // call may take.
        let opened = REGISTRY.open(&self.path)?;
        Ok(self.handle.try_insert(opened).unwrap_or_else(|(first, _)| first))
    }
}

impl TokenStore for SqliteStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.handle()?.read(|connection| load(connection, key, now))
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        let _some = Patience::at_least(TO_SAVE);
        self.handle()?.write(|transaction| save(transaction, key, expected, record))
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        // Both halves come from indexes; a million grants are not read for their names.
        self.names(
            app,
            "SELECT account.name FROM account JOIN app ON app.id = app WHERE app.name = ?1 EXCEPT \
             SELECT account.name FROM account JOIN app ON app.id = app WHERE app.name = ?1 AND \
             sealed IS NULL",
        )
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.names(
            app,
            "SELECT account.name FROM account JOIN app ON app.id = app WHERE app.name = ?1 AND \
             mark IS NOT NULL",
        )
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        self.handle()?.read(|connection| {
            let total: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM account WHERE app = (SELECT id FROM app WHERE name = ?1) \
                     AND sealed IS NOT NULL AND NOT troubled",
                )?
                .query_row([app], |row| row.get(0))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            // One that ends later than any is of a clock that was wrong.
            let longest = now.plus(BackOff::LONGEST).0;
            let list =
                |condition: &str| -> std::result::Result<Vec<(Account, Timestamp)>, Failure> {
                    let mut statement = connection.prepare_cached(&format!(
                    "SELECT name, expires_at FROM account WHERE app = (SELECT id FROM app WHERE \
                     name = ?1) AND sealed IS NOT NULL AND {condition} LIMIT ?3"
                ))?;
                    let mut rows = statement.query(params![app, now.0, limit, longest])?;
                    let mut found = Vec::new();
                    while let Some(row) = rows.next()? {
                        found.push((account(row)?, Timestamp(row.get(1)?)));
                    }
                    Ok(found)
                };
            let names = |found: Vec<(Account, Timestamp)>| {
                found.into_iter().map(|(account, _)| account).collect()
            };
            let ripe = "(retry_at <= ?2 OR retry_at > ?4)";
            let ready = format!("NOT troubled AND (retry_at IS NULL OR {ripe})");
            let first = list(&format!("{ready} AND expires_at > ?2 ORDER BY expires_at"))?;
            let ended = names(list(&format!("{ready} AND expires_at <= ?2 ORDER BY expires_at"))?);
            let troubled = names(list(&format!("troubled AND {ripe} ORDER BY retry_at"))?);
            Ok(Due { total: u64::try_from(total).unwrap_or(0), first, ended, troubled })
        })
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        let handle = self.handle()?;
        let place = lock::place(key.app, key.account.as_str());
        let locking = |error| failure::io(&error, handle.path(), "locking");
        if !handle.lock.lock(place, patience::at_most(wait)).map_err(locking)? {
            return Ok(None);
        }
        let lease = SqliteLease {
            handle,
            process: self.process,
            place,
            app: key.app.to_owned(),
            account: key.account.clone(),
        };
        if !handle.lock.is_in_place().map_err(locking)? {
            return Err(Error::new(
                crate::error::ErrorCode::Store,
                format!(
                    "the lock file of the store `{}` was removed while it was open: restart the \
                     programs that use it, and leave that file alone",
                    handle.path().display()
                ),
            ));
        }
        Ok(Some(Box::new(lease)))
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        self.handle()?.write(|transaction| take_slot(transaction, app, request, now, false))
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        self.handle()?.write(|transaction| {
            let id = app_id(transaction, app)?;
            let mut log = log(transaction, id)?;
            log.fill(per_minute, wait, now);
            write_log(transaction, id, &log)
        })
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.handle()?.write(|transaction| {
            let app = app_id(transaction, app)?;
            transaction.prepare_cached("DELETE FROM claim WHERE until <= ?1")?.execute([now.0])?;
            let inserted = transaction
                .prepare_cached("INSERT INTO claim VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute(params![app, id, until.0])?;
            Ok(inserted == 1)
        })
    }

    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        self.handle()?.read(|connection| {
            let claimed = connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM claim WHERE app = (SELECT id FROM app WHERE name \
                     = ?1) AND id = ?2 AND until > ?3)",
                )?
                .query_row(params![app, id, now.0], |row| row.get(0))?;
            Ok(Some(claimed))
        })
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.handle()?.write(|transaction| {
            transaction
                .prepare_cached(
                    "DELETE FROM claim WHERE app = (SELECT id FROM app WHERE name = ?1) AND id = \
                     ?2",
                )?
                .execute(params![app, id])?;
            Ok(())
        })
    }

    fn changes(&self) -> Result<u64> {
        self.handle()?.read(|connection| {
            let changes = connection
                .prepare_cached("SELECT changes FROM counter")?
                .query_row([], |row| row.get::<_, i64>(0))?;
            Ok(u64::try_from(changes).map_err(|_| bad_row("counter"))?)
        })
    }

    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        let count = |number: i64| u64::try_from(number).map_err(|_| bad_row("change"));
        let changes = self.handle()?.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, app.name, change.name, generation FROM change JOIN app ON app.id = \
                 app WHERE number > ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([number(since)?])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(2)?;
                let account = Account::of_store(&name).map_err(|_| bad_row("account"))?;
                changes.push((count(row.get(0)?)?, row.get(1)?, account, count(row.get(3)?)?));
            }
            Ok(changes)
        })?;
        changed_of(app, since, changes.into_iter().map(Ok))
    }
}

impl SqliteStore {
    fn names(&self, app: &str, query: &str) -> Result<Vec<Account>> {
        self.handle()?.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query([app])?;
            let mut accounts = Vec::new();
            while let Some(row) = rows.next()? {
                accounts.push(account(row)?);
            }
            Ok(accounts)
        })
    }
}

/// Held by a lock of the kernel; the record is read and written like anybody's.
#[derive(Debug)]
struct SqliteLease<'a> {
    handle: &'a Handle,
    process: Process,
    place: u64,
    app: String,
    account: Account,
}

impl SqliteLease<'_> {
    fn key(&self) -> Result<Key<'_>> {
        if !self.process.is_this() {
            return Err(Error::state(
                "this process was forked during a refresh, which stays with the parent process: \
                 make a new client in this process",
            ));
        }
        Ok(Key { app: &self.app, account: &self.account })
    }
}

impl Lease for SqliteLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        let key = self.key()?;
        self.handle.read(|connection| load(connection, &key, now))
    }

    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin> {
        let key = self.key()?;
        self.handle.write(|transaction| {
            if generation(transaction, &key)? != expected {
                return Ok(Begin::Moved);
            }
            if let Slot::Wait(wait) = take_slot(transaction, key.app, slot, now, true)? {
                return Ok(Begin::Wait(wait));
            }
            let open = transaction
                .prepare_cached(
                    "SELECT mark, marked_at FROM account WHERE app = (SELECT id FROM app WHERE \
                     name = ?1) AND name = ?2 AND mark IS NOT NULL",
                )?
                .query_row(params![key.app, key.account.as_str()], |row| {
                    Ok((row.get(0)?, Timestamp(row.get(1)?)))
                })
                .optional()?;
            let at = Mark::date(open, fingerprint, now);
            transaction
                .prepare_cached(
                    "UPDATE account SET mark = ?3, marked_at = ?4 WHERE app = (SELECT id FROM app \
                     WHERE name = ?1) AND name = ?2",
                )?
                .execute(params![key.app, key.account.as_str(), fingerprint, at.0])?;
            Ok(Begin::Marked)
        })
    }

    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        let key = self.key()?;
        let _some = Patience::at_least(TO_SAVE);
        self.handle.write(|transaction| save(transaction, &key, expected, record))
    }

    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        let key = self.key()?;
        let (retry_at, troubled) =
            (back_off.map(|it| it.until.0), back_off.is_some_and(BackOff::is_troubled));
        let back_off = back_off.map(written).transpose()?;
        let generation = number(expected)?;
        self.handle.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE account SET mark = iif(?4, NULL, mark), marked_at = iif(?4, NULL, \
                     marked_at), back_off = ?5, retry_at = ?6, troubled = ?7 WHERE app = (SELECT \
                     id FROM app WHERE name = ?1) AND name = ?2 AND generation = ?3",
                )?
                .execute(params![
                    key.app,
                    key.account.as_str(),
                    generation,
                    close_mark,
                    back_off,
                    retry_at,
                    troubled
                ])?;
            Ok(())
        })
    }
}

impl Drop for SqliteLease<'_> {
    fn drop(&mut self) {
        if self.process.is_this() {
            self.handle.lock.unlock(self.place);
        }
    }
}

fn load(
    connection: &Connection,
    key: &Key<'_>,
    now: Timestamp,
) -> std::result::Result<Option<Record>, Failure> {
    connection
        .prepare_cached(
            "SELECT generation, sealed, expires_at, seen, mark, marked_at, back_off FROM account \
             WHERE app = (SELECT id FROM app WHERE name = ?1) AND name = ?2",
        )?
        .query_row([key.app, key.account.as_str()], |row| Ok(record(row, now)))
        .optional()?
        .transpose()
        .map_err(|failure| match failure {
            Failure::Ours(error) => error.with_account(key.account).into(),
            failure @ Failure::Sqlite(_) => failure,
        })
}

fn record(row: &Row<'_>, now: Timestamp) -> std::result::Result<Record, Failure> {
    let seen: Vec<u8> = row.get("seen")?;
    let (seen, rest) = seen.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(bad_row("list of fingerprints").into());
    }
    let mark: Option<Fingerprint> = row.get("mark")?;
    let marked_at: Option<i64> = row.get("marked_at")?;
    let back_off: Option<String> = row.get("back_off")?;
    Ok(Record {
        generation: row
            .get::<_, i64>("generation")?
            .try_into()
            .map_err(|_| bad_row("generation"))?,
        grant: row.get("sealed")?,
        expires_at: Timestamp(row.get("expires_at")?),
        seen: seen.to_vec(),
        mark: mark
            .zip(marked_at)
            .map(|(fingerprint, at)| Mark { fingerprint, age: now.since(Timestamp(at)) }),
        back_off: back_off.map(|text| read(&text)).transpose()?,
    })
}

fn generation(connection: &Connection, key: &Key<'_>) -> std::result::Result<u64, Failure> {
    let generation: Option<i64> = connection
        .prepare_cached(
            "SELECT generation FROM account WHERE app = (SELECT id FROM app WHERE name = ?1) AND \
             name = ?2",
        )?
        .query_row([key.app, key.account.as_str()], |row| row.get(0))
        .optional()?;
    Ok(u64::try_from(generation.unwrap_or(0)).map_err(|_| bad_row("generation"))?)
}

fn save(
    transaction: &Transaction<'_>,
    key: &Key<'_>,
    expected: u64,
    record: &NewRecord,
) -> std::result::Result<bool, Failure> {
    let query = if expected == 0 {
        "INSERT INTO account (app, name, generation, sealed, expires_at, seen) \
         VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE account SET generation = ?3 + 1, sealed = ?4, expires_at = ?5, seen = ?6, mark = \
         NULL, marked_at = NULL, back_off = NULL, retry_at = NULL, troubled = 0 WHERE app = ?1 AND \
         name = ?2 AND generation = ?3"
    };
    let app = app_id(transaction, key.app)?;
    let changed = transaction.prepare_cached(query)?.execute(params![
        app,
        key.account.as_str(),
        number(expected)?,
        record.grant,
        record.expires_at.0,
        record.seen.as_flattened(),
    ])?;
    if changed == 1 {
        transaction.prepare_cached("UPDATE counter SET changes = changes + 1")?.execute([])?;
        transaction
            .prepare_cached("INSERT INTO change SELECT changes, ?1, ?2, ?3 + 1 FROM counter")?
            .execute(params![app, key.account.as_str(), number(expected)?])?;
        transaction
            .prepare_cached(
                "DELETE FROM change WHERE number <= (SELECT changes FROM counter) - ?1",
            )?
            .execute([KNOWN_CHANGES.cast_signed()])?;
    }
    Ok(changed == 1)
}

/// Takes a slot. `marks`: the request that it is for opens a mark.
fn take_slot(
    transaction: &Transaction<'_>,
    app: &str,
    request: SlotRequest,
    now: Timestamp,
    marks: bool,
) -> std::result::Result<Slot, Failure> {
    let id = app_id(transaction, app)?;
    let in_doubt = marks
        || transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM account WHERE app = ?1 AND mark IS NOT NULL AND \
                 marked_at > ?2)",
            )?
            .query_row(params![id, now.minus(WINDOW).0], |row| row.get(0))?;
    let mut log = log(transaction, id)?;
    let slot = log.take(request, now, in_doubt);
    if slot == Slot::Taken {
        write_log(transaction, id, &log)?;
    }
    Ok(slot)
}

/// The times of an app's last token requests.
fn log(transaction: &Transaction<'_>, app: i64) -> std::result::Result<SlidingLog, Failure> {
    let sent: Vec<u8> = transaction
        .prepare_cached("SELECT sent FROM app WHERE id = ?1")?
        .query_row([app], |row| row.get(0))?;
    Ok(SlidingLog::from_bytes(&sent))
}

fn write_log(
    transaction: &Transaction<'_>,
    app: i64,
    log: &SlidingLog,
) -> std::result::Result<(), Failure> {
    transaction
        .prepare_cached("UPDATE app SET sent = ?2 WHERE id = ?1")?
        .execute(params![app, log.to_bytes()])?;
    Ok(())
}

fn app_id(transaction: &Transaction<'_>, app: &str) -> std::result::Result<i64, Failure> {
    let find = |transaction: &Transaction<'_>| {
        let mut statement = transaction.prepare_cached("SELECT id FROM app WHERE name = ?1")?;
        statement.query_row([app], |row| row.get(0)).optional()
    };
    if let Some(id) = find(transaction)? {
        return Ok(id);
    }
    transaction.execute("INSERT INTO app (name) VALUES (?1)", [app])?;
    Ok(transaction.last_insert_rowid())
}

fn number(generation: u64) -> Result<i64> {
    i64::try_from(generation).map_err(|_| bad_row("generation"))
}

fn written(back_off: &BackOff) -> Result<String> {
    serde_json::to_string(back_off).map_err(|_| bad_row("back-off"))
}

fn read(text: &str) -> Result<BackOff> {
    serde_json::from_str(text).map_err(|_| bad_row("back-off"))
}

/// The account named in a row's first column.
fn account(row: &Row<'_>) -> std::result::Result<Account, Failure> {
    let name: String = row.get(0)?;
    Ok(Account::of_store(&name).map_err(|_| bad_row("account"))?)
}

/// For this user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// std's lock in every build: the model checker's can't be static. No panic leaves something
/// half-done behind one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
