//! The store of many hosts: a PostgreSQL database.
//!
//! A lease is an advisory lock of the session of its own connection; the server frees it when that
//! connection ends. Work is done in single statements, each a transaction of its own, so nothing is
//! locked while an answer travels.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// Milliseconds since 1970 by the database's clock.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::int8"
    };
}

/// Counts what `saved` changed, and keeps the last changes by name.
macro_rules! counted {
    () => {
        "counted AS (UPDATE counter SET changes = changes + 1 WHERE EXISTS (SELECT FROM saved) \
         RETURNING changes), told AS (INSERT INTO change SELECT changes, app, name, generation \
         FROM counted, saved), untold AS (DELETE FROM change WHERE number <= (SELECT changes FROM \
         counted) - 1000) "
    };
}

mod connection;
mod engine;
mod failure;
mod pool;
mod pooler;
mod schema;
mod settings;
mod tls;

use self::connection::IDLE_CONNECTION;
use self::failure::{Failure, Outcome, bad_row, store};
use self::pool::{Pool, Pooled, Purpose};
pub(crate) use self::settings::PostgresSettings;
use super::budget::SlidingLog;
use super::{
    BackOff, Begin, Due, Fingerprint, Key, Lease, Mark, NewRecord, Record, Slot, SlotRequest,
    TokenStore, WINDOW, changed_of,
};
use crate::account::{Account, AccountKind};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::patience::{self, Patience, TO_SAVE};
use crate::process::Process;

/// Grants in a PostgreSQL database. Connects at the first use; nothing of it is used in a forked
/// child, which makes its own.
pub(crate) struct PostgresStore {
    settings: Arc<PostgresSettings>,
    process: Process,
    /// The count of changes that came after its caller had left.
    late: Arc<Mutex<Option<u64>>>,
    pool: OnceCell<Inherited<Pool>>,
}

impl PostgresStore {
    /// The store that `settings` name.
    pub(crate) fn new(settings: PostgresSettings) -> Self {
        let (process, late) = (Process::this(), Arc::default());
        Self { settings: Arc::new(settings), process, late, pool: OnceCell::new() }
    }

    fn pool(&self) -> Result<&Pool> {
        if !self.process.is_this() {
            return Err(Error::state(
                "this process was forked after the store was opened: make a new client in this \
                 process",
            ));
        }
        let pool = self
            .pool
            .get_or_try_init(|| Pool::new(Arc::clone(&self.settings)).map(Inherited::new))?;
        pool.0.as_ref().ok_or_else(|| Error::state("the store is closed"))
    }

    fn names(&self, app: &str, query: &'static str) -> Result<Vec<Account>> {
        let app: Arc<str> = app.into();
        self.pool()?.read(|client, _| {
            let app = Arc::clone(&app);
            async move {
                let rows = client.query_typed(query, &[(&&*app, Type::TEXT)]).await?;
                rows.iter().map(|row| account(row, 0)).collect()
            }
        })
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl TokenStore for PostgresStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        let key = OwnedKey::of(key);
        let loaded = self.pool()?.read(|client, backend| load(client, backend, key.clone(), now));
        loaded.map(|(record, _)| record).map_err(|error| error.with_account(&key.account))
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        let _some = Patience::at_least(TO_SAVE);
        let pool = self.pool()?;
        let change = Change::new(key, expected, record)?;
        let saved = pool.write(|client, backend| save(client, backend, Arc::clone(&change)));
        saved.or_else(|failure| save_again(pool, &change, failure))
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.names(
            app,
            "SELECT name FROM account WHERE app = (SELECT id FROM app WHERE name = $1) AND sealed \
             IS NOT NULL",
        )
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.names(
            app,
            "SELECT name FROM account WHERE app = (SELECT id FROM app WHERE name = $1) AND mark IS \
             NOT NULL",
        )
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        let app: Arc<str> = app.into();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.pool()?.read(|client, _| {
            let app = Arc::clone(&app);
            async move {
                let total: i64 = client
                    .query_typed_one(
                        "SELECT count(*) FROM account WHERE app = (SELECT id FROM app WHERE name = \
                         $1) AND sealed IS NOT NULL AND NOT troubled",
                        &[(&&*app, Type::TEXT)],
                    )
                    .await?
                    .try_get(0)?;
                // The same clock as in `offset`.
                let clock = concat!(
                    "WITH clock AS MATERIALIZED (SELECT CASE WHEN abs(",
                    now!(),
                    " - $2) < $4 THEN $2 ELSE ",
                    now!(),
                    " END AS now) SELECT name, expires_at FROM account, clock \
                     WHERE app = (SELECT id FROM app WHERE name = $1) AND sealed IS NOT NULL"
                );
                let list = async |condition: &str| -> Outcome<Vec<(Account, Timestamp)>> {
                    let arguments = [
                        (&&*app as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
                        (&now.0, Type::INT8),
                        (&limit, Type::INT8),
                        (&ONE_CLOCK, Type::INT8),
                    ];
                    let query = format!("{clock} AND {condition} LIMIT $3");
                    let rows = client.query_typed(&query, &arguments).await?;
                    rows.iter()
                        .map(|row| Ok((account(row, 0)?, Timestamp(row.try_get::<_, i64>(1)?))))
                        .collect()
                };
                let names = |found: Vec<(Account, Timestamp)>| {
                    found.into_iter().map(|(account, _)| account).collect()
                };
                let ready = "NOT troubled AND (back_off_until IS NULL OR back_off_until <= \
                             clock.now)";
                let first = list(&format!(
                    "{ready} AND expires_at > $2 ORDER BY \
                                           expires_at"
                ))
                .await?;
                let ended = names(
                    list(&format!(
                        "{ready} AND expires_at <= $2 ORDER BY \
                                                 expires_at"
                    ))
                    .await?,
                );
                let troubled = names(
                    list(
                        "troubled AND back_off_until <= clock.now ORDER BY \
                                back_off_until",
                    )
                    .await?,
                );
                Ok(Due { total: u64::try_from(total).unwrap_or(0), first, ended, troubled })
            }
        })
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        let pool = self.pool()?;
        let purpose = match key.account.kind() {
            AccountKind::Location => Purpose::LocationLease,
            AccountKind::Company => Purpose::CompanyLease,
        };
        let wait = patience::at_most(wait);
        let start = std::time::Instant::now();
        let place = place(&["lease", pool.schema(), key.app, key.account.as_str()]);
        // A connection of the pool may turn out to be broken; then a second one is not.
        for last in [false, true] {
            let left = wait.saturating_sub(start.elapsed());
            let Some(mut pooled) = pool.take(purpose, left)? else {
                return if wait.is_zero() { Ok(None) } else { Err(pool.exhausted()) };
            };
            // The server's answer that the lock was not free has to come before the call ends.
            let left = wait.saturating_sub(start.elapsed());
            let left = left.min(patience::at_most(Duration::MAX).saturating_sub(ON_THE_WAY));
            let longest = left.saturating_add(ANSWER_TIMEOUT);
            match pooled.run_within(longest, |client, backend| lock(client, backend, place, left)) {
                Ok(true) => {
                    return Ok(Some(Box::new(PostgresLease::new(pool, pooled, place, key))));
                }
                Ok(false) if left.is_zero() => return Ok(None),
                // A statement that failed while it waited for the lock may have been given it all
                // the same.
                Ok(false) => {
                    pooled.give_up();
                    return Ok(None);
                }
                Err(failure) => {
                    pooled.give_up();
                    if !failure.is_broken() || last || patience::is_over() {
                        return Err(failure.of(pool.place()));
                    }
                }
            }
        }
        Ok(None)
    }

    fn take_slot(&self, app: &str, request: SlotRequest, _: Timestamp) -> Result<Slot> {
        let pool = self.pool()?;
        let app: Arc<str> = app.into();
        let taken = pool.write(|client, backend| async move {
            in_turn(|| take_slot(&client, backend, &app, request)).await
        });
        taken.map_err(|failure| failure.of(pool.place()))
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, _: Timestamp) -> Result<()> {
        let pool = self.pool()?;
        let app: Arc<str> = app.into();
        let done = pool.write(|client, backend| async move {
            in_turn(|| exhaust(&client, backend, &app, per_minute, wait)).await
        });
        done.map_err(|failure| failure.of(pool.place()))
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        let pool = self.pool()?;
        let (app, id) = (app.to_owned(), *id);
        let life = until.0.saturating_sub(now.0);
        let claimed = pool.write(|client, _| async move { claim(&client, &app, &id, life).await });
        claimed.map_err(|failure| failure.of(pool.place()))
    }

    fn claimed(&self, app: &str, id: &Fingerprint, _now: Timestamp) -> Result<Option<bool>> {
        let pool = self.pool()?;
        let (app, id): (Arc<str>, _) = (app.into(), *id);
        let claimed = pool.read(|client, _| {
            let app = Arc::clone(&app);
            async move {
                let query = concat!(
                    "SELECT EXISTS (SELECT FROM claim WHERE app = (SELECT id FROM app WHERE name = \
                     $1) AND id = $2 AND until > ",
                    now!(),
                    ")"
                );
                let row = client
                    .query_typed_one(query, &[(&&*app, Type::TEXT), (&&id[..], Type::BYTEA)])
                    .await?;
                Ok(row.try_get(0)?)
            }
        });
        claimed.map(Some)
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        let pool = self.pool()?;
        let (app, id) = (app.to_owned(), *id);
        let forgotten = pool.write(|client, _| async move {
            let query =
                "DELETE FROM claim WHERE app = (SELECT id FROM app WHERE name = $1) AND id = $2";
            client.execute_typed(query, &[(&app, Type::TEXT), (&&id[..], Type::BYTEA)]).await?;
            Ok(())
        });
        forgotten.map_err(|failure| failure.of(pool.place()))
    }

    /// A caller with little time, before a server that takes longer, gets the count of the look
    /// before. That count is older, and moves all the same.
    fn changes(&self) -> Result<u64> {
        let found = self.pool()?.read(|client, _| {
            let late = Arc::clone(&self.late);
            async move {
                let row = client.query_typed_one("SELECT changes FROM counter", &[]).await?;
                let count =
                    u64::try_from(row.try_get::<_, i64>(0)?).map_err(|_| bad_row("counter"))?;
                *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(count);
                Ok(count)
            }
        });
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).take();
        found.or_else(|error| late.ok_or(error))
    }

    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        let after = number(since)?;
        let changes = self.pool()?.read(|client, _| async move {
            let query = "SELECT number, change.name, generation, app.name FROM change JOIN app ON \
                         app.id = app WHERE number > $1 ORDER BY number";
            let rows = client.query_typed(query, &[(&after, Type::INT8)]).await?;
            let count = |row: &Row, column| {
                u64::try_from(row.try_get::<_, i64>(column)?)
                    .map_err(|_| Failure::from(bad_row("change")))
            };
            let change =
                |row: &Row| Ok((count(row, 0)?, row.try_get(3)?, account(row, 1)?, count(row, 2)?));
            rows.iter().map(change).collect::<Outcome<Vec<_>>>()
        })?;
        changed_of(app, since, changes.into_iter().map(Ok))
    }
}

/// Held by the session of its connection, over which all its work goes.
struct PostgresLease<'a> {
    pool: &'a Pool,
    pooled: Option<Pooled<'a>>,
    heartbeat: AbortHandle,
    process: Process,
    place: i64,
    key: OwnedKey,
    /// Milliseconds by which the database's clock is ahead of the client's.
    ahead: i64,
}

impl<'a> PostgresLease<'a> {
    fn new(pool: &'a Pool, pooled: Pooled<'a>, place: i64, key: &Key<'_>) -> Self {
        let client = pooled.client();
        // The server ends a silent holder's session. A connection that a forked child inherited is
        // silent: the thread that would speak is not there.
        let heartbeat = pool.engine.spawn(async move {
            let Some(client) = client else { return };
            loop {
                sleep(HEARTBEAT).await;
                if !matches!(timeout(IDLE_HOLDER, client.check_connection()).await, Ok(Ok(()))) {
                    return;
                }
            }
        });
        let (process, key) = (Process::this(), OwnedKey::of(key));
        Self { pool, pooled: Some(pooled), heartbeat, process, place, key, ahead: 0 }
    }

    fn pooled(&mut self) -> Result<&mut Pooled<'a>> {
        if !self.process.is_this() {
            return Err(Error::state(
                "this process was forked during a refresh, which stays with the parent process: \
                 make a new client in this process",
            ));
        }
        let lost = self.lost();
        match &mut self.pooled {
            Some(pooled) if !pooled.is_lost() => Ok(pooled),
            _ => Err(lost),
        }
    }

    fn lost(&self) -> Error {
        store(format!(
            "the connection to the PostgreSQL server {} broke, and with it the lease: try again",
            self.pool.place()
        ))
        .with_retryable(true)
    }

    fn error(&self, failure: Failure) -> Error {
        failure.of(self.pool.place()).with_account(&self.key.account)
    }
}

impl fmt::Debug for PostgresLease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLease").field("account", &self.key.account).finish_non_exhaustive()
    }
}

impl Lease for PostgresLease<'_> {
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>> {
        let key = self.key.clone();
        let loaded = self.pooled()?.run(|client, backend| load(client, backend, key, now));
        let (record, ahead) = loaded.map_err(|failure| self.error(failure))?;
        self.ahead = ahead;
        Ok(record)
    }

    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        _: Timestamp,
    ) -> Result<Begin> {
        let (key, expected) = (self.key.clone(), number(expected)?);
        let begun = self.pooled()?.run(|client, backend| async move {
            in_turn(|| begin(&client, backend, &key, expected, &fingerprint, slot)).await
        });
        begun.map_err(|failure| self.error(failure))
    }

    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool> {
        let _some = Patience::at_least(TO_SAVE);
        let change = Change::new(&self.key.borrowed(), expected, record)?;
        let failure = match self.pooled() {
            Ok(pooled) => {
                match pooled.run(|client, backend| save(client, backend, Arc::clone(&change))) {
                    Ok(saved) => return Ok(saved),
                    Err(failure) => failure,
                }
            }
            Err(error) if error.is_retryable() => Failure::TimedOut,
            Err(error) => return Err(error),
        };
        // The lease is lost; the generation still guards the new pair, which is worth a try.
        save_again(self.pool, &change, failure)
    }

    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()> {
        let (key, expected) = (self.key.clone(), number(expected)?);
        let until = back_off.map(|back_off| back_off.until.0.saturating_add(self.ahead));
        let troubled = back_off.is_some_and(BackOff::is_troubled);
        let text = back_off.map(written).transpose()?;
        let noted = self.pooled()?.run(|client, _| async move {
            let query = "UPDATE account SET mark = CASE WHEN $4 THEN NULL ELSE mark END, marked_at \
                         = CASE WHEN $4 THEN NULL ELSE marked_at END, back_off_until = $5, \
                         back_off = $6, troubled = $7 WHERE app = (SELECT id FROM app WHERE name = \
                         $1) AND name = $2 AND generation = $3";
            client
                .execute_typed(
                    query,
                    &[
                        (&&*key.app, Type::TEXT),
                        (&key.account.as_str(), Type::TEXT),
                        (&expected, Type::INT8),
                        (&close_mark, Type::BOOL),
                        (&until, Type::INT8),
                        (&text, Type::TEXT),
                        (&troubled, Type::BOOL),
                    ],
                )
                .await?;
            Ok(())
        });
        noted.map_err(|failure| self.error(failure))
    }
}

impl Drop for PostgresLease<'_> {
    fn drop(&mut self) {
        let Some(pooled) = self.pooled.take() else { return };
        if !self.process.is_this() {
            // The parent's, as is the thread that the heartbeat would be told on.
            pooled.leak();
            return;
        }
        self.heartbeat.abort();
        if !pooled.is_lost() {
            pooled.give_back_lease(self.place);
        }
    }
}

/// Takes the lock of a session, waiting at most `wait`; whether it did.
async fn lock(client: Arc<Client>, backend: i32, place: i64, wait: Duration) -> Outcome<bool> {
    // One text is one transaction: where the lock is not had in time, the settings are as they
    // were.
    let holder = format!("SET idle_session_timeout TO {}", IDLE_HOLDER.as_millis());
    if wait.as_millis() == 0 {
        let query = "SELECT pg_try_advisory_lock($1), pg_backend_pid()";
        let row = client.query_typed_one(query, &[(&place, Type::INT8)]).await?;
        let locked = row.try_get(0)?;
        check_backend(&row, 1, backend)?;
        if locked {
            client.batch_execute(&holder).await?;
        }
        return Ok(locked);
    }
    // As long as the server can count.
    let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX / 2);
    let query = format!(
        "SET lock_timeout TO {wait}; SET statement_timeout TO 0; SELECT pg_advisory_lock({place}); \
         SET lock_timeout TO {}; SET statement_timeout TO {}; {holder}; SELECT 1 WHERE \
         pg_backend_pid() = {backend}",
        LOCK_TIMEOUT.as_millis(),
        STATEMENT_TIMEOUT.as_millis(),
    );
    match client.simple_query(&query).await {
        Ok(answer) if connection::number(&answer[answer.len().saturating_sub(2)..]) == Some(1) => {
            Ok(true)
        }
        Ok(_) => Err(pooler::refused().into()),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives it back; whether the session had it.
async fn unlock(client: Arc<Client>, place: i64) -> Outcome<bool> {
    let row =
        client.query_typed_one("SELECT pg_advisory_unlock($1)", &[(&place, Type::INT8)]).await?;
    let idle = format!("SET idle_session_timeout TO {}", IDLE_CONNECTION.as_millis());
    client.batch_execute(&idle).await?;
    Ok(row.try_get(0)?)
}

/// The record, and how much the database's clock is ahead of the client's.
async fn load(
    client: Arc<Client>,
    backend: i32,
    key: OwnedKey,
    now: Timestamp,
) -> Outcome<(Option<Record>, i64)> {
    let query = concat!(
        "SELECT pg_backend_pid(), ",
        now!(),
        ", generation, sealed, expires_at, seen, mark, marked_at, back_off_until, back_off FROM \
         (VALUES (1)) AS one LEFT JOIN account ON app = (SELECT id FROM app WHERE name = $1) AND \
         name = $2"
    );
    let row = client
        .query_typed_one(query, &[(&&*key.app, Type::TEXT), (&key.account.as_str(), Type::TEXT)])
        .await?;
    check_backend(&row, 0, backend)?;
    let here: i64 = row.try_get(1)?;
    // Clocks that agree are one clock: then every moment comes back as it was given.
    let ahead =
        Some(here.saturating_sub(now.0)).filter(|ahead| ahead.abs() >= ONE_CLOCK).unwrap_or(0);
    let Some(generation) = row.try_get::<_, Option<i64>>(2)? else { return Ok((None, ahead)) };
    let (seen, rest) = row.try_get::<_, &[u8]>(5)?.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(bad_row("list of fingerprints").into());
    }
    let mark = mark(&row, 6)?;
    let marked_at: Option<i64> = row.try_get(7)?;
    let until: Option<i64> = row.try_get(8)?;
    let back_off: Option<&str> = row.try_get(9)?;
    let record = Record {
        generation: u64::try_from(generation).map_err(|_| bad_row("generation"))?,
        grant: row.try_get(3)?,
        expires_at: Timestamp(row.try_get(4)?),
        seen: seen.to_vec(),
        mark: mark.zip(marked_at).map(|(fingerprint, at)| Mark {
            fingerprint,
            age: Timestamp(here).since(Timestamp(at)),
        }),
        back_off: until
            .zip(back_off)
            .map(|(until, text)| read(text, Timestamp(until.saturating_sub(ahead))))
            .transpose()?,
    };
    Ok((Some(record), ahead))
}

/// A save, and all that is needed to see later whether it was done.
struct Change {
    app: String,
    account: Account,
    expected: i64,
    grant: Option<Vec<u8>>,
    expires_at: i64,
    seen: Vec<u8>,
}

impl Change {
    fn new(key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            app: key.app.to_owned(),
            account: key.account.clone(),
            expected: number(expected)?,
            grant: record.grant.clone(),
            expires_at: record.expires_at.0,
            seen: record.seen.as_flattened().to_vec(),
        }))
    }
}

/// Compares and sets.
async fn save(client: Arc<Client>, backend: i32, change: Arc<Change>) -> Outcome<bool> {
    // The counter is touched only after the row: two that wait for each other there can't be.
    let query = if change.expected == 0 {
        concat!(
            "WITH saved AS (INSERT INTO account (app, name, generation, sealed, expires_at, seen) \
             SELECT id, $2, $3 + 1, $4, $5, $6 FROM app WHERE name = $1 ON CONFLICT DO NOTHING \
             RETURNING app, name, generation), ",
            counted!(),
            "SELECT pg_backend_pid(), EXISTS (SELECT FROM saved), EXISTS (SELECT FROM app WHERE \
             name = $1)"
        )
    } else {
        concat!(
            "WITH saved AS (UPDATE account SET generation = $3 + 1, sealed = $4, expires_at = $5, \
             seen = $6, mark = NULL, marked_at = NULL, back_off_until = NULL, back_off = NULL, \
             troubled = false WHERE app = (SELECT id FROM app WHERE name = $1) AND name = $2 AND \
             generation = $3 RETURNING app, name, generation), ",
            counted!(),
            "SELECT pg_backend_pid(), EXISTS (SELECT FROM saved), true"
        )
    };
    loop {
        let row = client
            .query_typed_one(
                query,
                &[
                    (&change.app, Type::TEXT),
                    (&change.account.as_str(), Type::TEXT),
                    (&change.expected, Type::INT8),
                    (&change.grant, Type::BYTEA),
                    (&change.expires_at, Type::INT8),
                    (&change.seen, Type::BYTEA),
                ],
            )
            .await?;
        check_backend(&row, 0, backend)?;
        if row.try_get(2)? {
            return Ok(row.try_get(1)?);
        }
        add_app(&client, &change.app).await?;
    }
}

/// Saves over another connection after one that broke with `failure`, where the save may have been
/// done all the same.
fn save_again(pool: &Pool, change: &Arc<Change>, failure: Failure) -> Result<bool> {
    let error = |failure: Failure| failure.of(pool.place()).with_account(&change.account);
    if !failure.is_broken() {
        return Err(error(failure));
    }
    let saved =
        pool.write(|client, backend| save(client, backend, Arc::clone(change))).map_err(error)?;
    if saved {
        return Ok(true);
    }
    let change = Arc::clone(change);
    let mine = pool.write(|client, _| async move {
        let query = "SELECT FROM account WHERE app = (SELECT id FROM app WHERE name = $1) AND name \
                     = $2 AND generation = $3 + 1 AND sealed IS NOT DISTINCT FROM $4 AND seen = $5";
        let rows = client
            .query_typed(
                query,
                &[
                    (&change.app, Type::TEXT),
                    (&change.account.as_str(), Type::TEXT),
                    (&change.expected, Type::INT8),
                    (&change.grant, Type::BYTEA),
                    (&change.seen, Type::BYTEA),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    });
    mine.map_err(|failure| failure.of(pool.place()))
}

/// Repeats `attempt` until nobody else was faster.
async fn in_turn<T, F>(attempt: impl Fn() -> F) -> Outcome<T>
where
    F: Future<Output = Outcome<Option<T>>>,
{
    let start = Instant::now();
    while start.elapsed() < STATEMENT_TIMEOUT {
        if let Some(done) = attempt().await? {
            return Ok(done);
        }
    }
    Err(store("too many processes ask for the token-request budget at once: try again")
        .with_retryable(true)
        .into())
}

/// Takes a slot and writes the mark in one statement. `None`: another took a slot meanwhile.
async fn begin(
    client: &Client,
    backend: i32,
    key: &OwnedKey,
    expected: i64,
    fingerprint: &Fingerprint,
    request: SlotRequest,
) -> Outcome<Option<Begin>> {
    let account = key.account.as_str();
    let row = client
        .query_typed_one(
            concat!(
                "SELECT pg_backend_pid(), ",
                now!(),
                ", sent, turn, generation, mark, marked_at \
                                                      FROM (VALUES (1)) AS one LEFT JOIN app ON \
                                                      app.name = $1 LEFT JOIN account ON \
                                                      account.app = app.id AND account.name = $2"
            ),
            &[(&&*key.app, Type::TEXT), (&account, Type::TEXT)],
        )
        .await?;
    check_backend(&row, 0, backend)?;
    if row.try_get::<_, Option<i64>>(4)? != Some(expected) {
        return Ok(Some(Begin::Moved));
    }
    let now = Timestamp(row.try_get(1)?);
    let mut log = SlidingLog::from_bytes(row.try_get(2)?);
    if let Slot::Wait(wait) = log.take(request, now, true) {
        return Ok(Some(Begin::Wait(wait)));
    }
    let turn: i64 = row.try_get(3)?;
    let open = mark(&row, 5)?.zip(row.try_get::<_, Option<i64>>(6)?.map(Timestamp));
    let marked_at = Mark::date(open, *fingerprint, now).0;
    let row = client
        .query_typed_one(
            "WITH slot AS (UPDATE app SET sent = $3, turn = turn + 1 WHERE name = $1 AND turn = $4 \
             RETURNING id), marked AS (UPDATE account SET mark = $6, marked_at = $7 WHERE app = \
             (SELECT id FROM slot) AND name = $2 AND generation = $5 RETURNING 1) SELECT EXISTS \
             (SELECT FROM slot), EXISTS (SELECT FROM marked)",
            &[
                (&&*key.app, Type::TEXT),
                (&account, Type::TEXT),
                (&log.to_bytes(), Type::BYTEA),
                (&turn, Type::INT8),
                (&expected, Type::INT8),
                (&&fingerprint[..], Type::BYTEA),
                (&marked_at, Type::INT8),
            ],
        )
        .await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?) {
        (false, _) => None,
        (true, true) => Some(Begin::Marked),
        // It moved on between the two statements; a slot is lost.
        (true, false) => Some(Begin::Moved),
    })
}

async fn take_slot(
    client: &Client,
    backend: i32,
    app: &str,
    request: SlotRequest,
) -> Outcome<Option<Slot>> {
    let Some((mut log, turn, now, in_doubt)) = log(client, backend, app).await? else {
        return Ok(None);
    };
    if let Slot::Wait(wait) = log.take(request, now, in_doubt) {
        return Ok(Some(Slot::Wait(wait)));
    }
    Ok(write_log(client, app, &log, turn).await?.then_some(Slot::Taken))
}

/// Counts the minute as full. `None`: another took a slot meanwhile.
async fn exhaust(
    client: &Client,
    backend: i32,
    app: &str,
    per_minute: u32,
    wait: Duration,
) -> Outcome<Option<()>> {
    let Some((mut log, turn, now, _)) = log(client, backend, app).await? else { return Ok(None) };
    log.fill(per_minute, wait, now);
    Ok(write_log(client, app, &log, turn).await?.then_some(()))
}

/// The times of an app's last token requests, their turn, the server's time, and `true` if an
/// answer of the last seconds is in doubt. `None`: the app was not there, and is now.
async fn log(
    client: &Client,
    backend: i32,
    app: &str,
) -> Outcome<Option<(SlidingLog, i64, Timestamp, bool)>> {
    let query = concat!(
        "WITH clock AS MATERIALIZED (SELECT ",
        now!(),
        " AS now) SELECT pg_backend_pid(), now, sent, turn, EXISTS (SELECT FROM account WHERE \
         account.app = app.id AND mark IS NOT NULL AND marked_at > now - $2) FROM clock LEFT JOIN \
         app ON name = $1"
    );
    let window = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let row = client.query_typed_one(query, &[(&app, Type::TEXT), (&window, Type::INT8)]).await?;
    check_backend(&row, 0, backend)?;
    let Some(sent) = row.try_get::<_, Option<&[u8]>>(2)? else {
        add_app(client, app).await?;
        return Ok(None);
    };
    let log = SlidingLog::from_bytes(sent);
    Ok(Some((log, row.try_get(3)?, Timestamp(row.try_get(1)?), row.try_get(4)?)))
}

/// Writes the log back unless another did since `turn`; returns `true` if it did.
async fn write_log(client: &Client, app: &str, log: &SlidingLog, turn: i64) -> Outcome<bool> {
    let written = client
        .execute_typed(
            "UPDATE app SET sent = $2, turn = turn + 1 WHERE name = $1 AND turn = $3",
            &[(&app, Type::TEXT), (&log.to_bytes(), Type::BYTEA), (&turn, Type::INT8)],
        )
        .await?;
    Ok(written == 1)
}

/// Remembers `id` for `life` milliseconds.
async fn claim(client: &Client, app: &str, id: &Fingerprint, life: i64) -> Outcome<bool> {
    add_app(client, app).await?;
    client
        .batch_execute(concat!(
            "DELETE FROM claim WHERE (app, id) IN (SELECT app, id FROM claim WHERE until <= ",
            now!(),
            " ORDER BY until LIMIT 100 FOR UPDATE SKIP LOCKED)"
        ))
        .await?;
    let query = concat!(
        "INSERT INTO claim SELECT app.id, $2, ",
        now!(),
        " + $3 FROM app WHERE name = $1 \
         ON CONFLICT (app, id) DO UPDATE SET until = excluded.until WHERE claim.until <= ",
        now!()
    );
    let claimed = client
        .execute_typed(query, &[(&app, Type::TEXT), (&&id[..], Type::BYTEA), (&life, Type::INT8)])
        .await?;
    Ok(claimed == 1)
}

async fn add_app(client: &Client, app: &str) -> Outcome<()> {
    let query = "INSERT INTO app (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM app WHERE name = \
                 $1) ON CONFLICT DO NOTHING";
    client.execute_typed(query, &[(&app, Type::TEXT)]).await?;
    Ok(())
}

/// Checks that the connection still has the same session.
fn check_backend(row: &Row, column: usize, backend: i32) -> Outcome<()> {
    if row.try_get::<_, i32>(column)? != backend {
        return Err(pooler::refused().into());
    }
    Ok(())
}

fn account(row: &Row, column: usize) -> Outcome<Account> {
    Ok(Account::of_store(row.try_get(column)?).map_err(|_| bad_row("account"))?)
}

fn number(generation: u64) -> Result<i64> {
    i64::try_from(generation).map_err(|_| bad_row("generation"))
}

/// The fingerprint of an open mark.
fn mark(row: &Row, column: usize) -> Outcome<Option<Fingerprint>> {
    let mark: Option<&[u8]> = row.try_get(column)?;
    Ok(mark.map(|mark| mark.try_into().map_err(|_| bad_row("mark"))).transpose()?)
}

fn written(back_off: &BackOff) -> Result<String> {
    serde_json::to_string(back_off).map_err(|_| bad_row("back-off"))
}

/// Reads a back-off whose end is `until` by the client's clock.
fn read(text: &str, until: Timestamp) -> Result<BackOff> {
    if let Ok(back_off) = serde_json::from_str::<BackOff>(text) {
        return Ok(BackOff { until, ..back_off });
    }
    // As the first releases wrote it.
    let (refused, failures, code, message) =
        serde_json::from_str(text).map_err(|_| bad_row("back-off"))?;
    Ok(BackOff { refused, until, failures, code, message, ..BackOff::default() })
}

/// The key of an advisory lock. The same in every process and release.
fn place(parts: &[&str]) -> i64 {
    super::hash(parts).cast_signed()
}

#[derive(Clone)]
struct OwnedKey {
    app: Arc<str>,
    account: Account,
}

impl OwnedKey {
    fn of(key: &Key<'_>) -> Self {
        Self { app: key.app.into(), account: key.account.clone() }
    }

    fn borrowed(&self) -> Key<'_> {
        Key { app: &self.app, account: &self.account }
    }
}

/// A value that a forked child must not drop: that would speak to the server in the parent's name.
struct Inherited<T>(Option<T>, Process);

impl<T> Inherited<T> {
    fn new(value: T) -> Self {
        Self(Some(value), Process::this())
    }
}

impl<T> Drop for Inherited<T> {
    fn drop(&mut self) {
        if !self.1.is_this() {
            std::mem::forget(self.0.take());
        }
    }
}

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the server's own limits, which leave the connection usable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time of a question and its answer in most networks.
const ON_THE_WAY: Duration = Duration::from_millis(250);
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(2);
/// After so long without a word from a lease's holder, its session ends.
const IDLE_HOLDER: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Clocks that differ by less milliseconds are taken for one.
const ONE_CLOCK: i64 = 2_000;

#[cfg(test)]
#[cfg(unix)]
mod tests;
