//! One open database of this process: its connections, shared by all stores on one file.
//!
//! A forked child must not use its parent's connections. But SQLite remembers per process which
//! files it has open, and a new connection in the child would trust locks that only the parent has.
//! So the child closes the inherited ones before it opens its own: with no transaction under way
//! and no checkpoint at close this touches the child's memory and descriptors only. Where the fork
//! hit the middle of a transaction, nothing can be done, and the store is refused there.

use std::fs::{self, OpenOptions};
use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::failure::{self, Failure};
use super::lock::{Identity, LockFile, SETUP};
use super::{lock, schema};
use crate::error::{Error, ErrorCode, Result};
use crate::patience;
use crate::process::Process;

/// The databases of this copy of the library.
pub(super) static REGISTRY: Registry = Registry::new();

type Known = Vec<(Identity, Arc<Database>)>;

/// The open databases, by the identity of their lock files. An entry stays for ever.
#[derive(Debug)]
pub(super) struct Registry {
    known: Mutex<Known>,
}

impl Registry {
    pub(super) const fn new() -> Self {
        Self { known: Mutex::new(Vec::new()) }
    }

    /// Opens the database at `path`, made if it is not there.
    pub(super) fn open(&self, path: &Path) -> Result<Handle> {
        let path = find_or_make(path)?;
        let database = self.database(path)?;
        database.attach()?;
        Ok(Handle(database))
    }

    fn database(&self, path: PathBuf) -> Result<Arc<Database>> {
        let lock_path = beside(&path, "-lock");
        // Only in a forked child it can be taken for ever.
        let mut known = match self.known.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => self.wait_for_known()?,
        };
        let found = Identity::at(&lock_path)
            .ok()
            .and_then(|identity| known.iter().find(|(of, _)| *of == identity));
        if let Some((_, found)) = found {
            if found.process.is_this() {
                return Ok(Arc::clone(found));
            }
            found.disown()?;
        }
        let opening = |error| failure::io(&error, &lock_path, "opening");
        let lock = LockFile::open(&lock_path).map_err(opening)?;
        let identity = lock.identity();
        let database = Arc::new(Database {
            process: Process::this(),
            path,
            lock,
            state: Mutex::new(State::default()),
            turned: Condvar::new(),
            written: Condvar::new(),
            returned: Condvar::new(),
        });
        // The one that a forked child inherited stays open for ever.
        match known.iter_mut().find(|(of, _)| *of == identity) {
            Some((_, known)) => mem::forget(mem::replace(known, Arc::clone(&database))),
            None => known.push((identity, Arc::clone(&database))),
        }
        Ok(database)
    }

    fn wait_for_known(&self) -> Result<MutexGuard<'_, Known>> {
        let start = Instant::now();
        while start.elapsed() < LONGEST_OPENING {
            match self.known.try_lock() {
                Ok(known) => return Ok(known),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if patience::is_over() => {
                    return Err(in_use("another store"));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(forked_midway())
    }
}

/// A store's hold on a database.
#[derive(Debug)]
pub(super) struct Handle(Arc<Database>);

impl Deref for Handle {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.process.is_this() {
            self.0.detach();
        }
    }
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    process: Process,
    path: PathBuf,
    pub(super) lock: LockFile,
    state: Mutex<State>,
    /// Told when `turning`, `writing` and `busy` of it become less.
    turned: Condvar,
    written: Condvar,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    identity: Option<Identity>,
    stores: usize,
    /// The first store is opening the database, or the last one closing it.
    turning: bool,
    /// A thread of this process writes: the others don't occupy connections while they wait for it.
    writing: bool,
    busy: usize,
    idle: Vec<Connection>,
}

impl Database {
    /// Runs `work` on a connection, outside of any transaction.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let connection = self.take()?;
        work(&connection).map_err(|failure| failure.of(&self.path))
    }

    /// Runs `work` in a transaction; durable once this answers `Ok`.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let _writing = self.begin_writing()?;
        let mut connection = self.take()?;
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|failure: Failure| failure.of(&self.path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn attach(&self) -> Result<()> {
        let mut state = self.wait_while(
            |state| state.turning,
            &self.turned,
            "another thread opens or closes it",
        )?;
        if state.stores > 0 {
            state.stores += 1;
            return Ok(());
        }
        state.turning = true;
        drop(state);
        let _turning = Turning(self);

        let entered =
            self.lock.enter().map_err(|error| failure::io(&error, &self.path, "locking"))?;
        if !entered {
            return Err(Error::state(
                "another copy of hoopauth in this process has the store open, and SQLite can't \
                 share a file between two: use one copy in a process, or give each its own store",
            ));
        }
        let (connection, identity) = self.start().inspect_err(|_| self.lock.leave())?;
        let mut state = lock(&self.state);
        state.idle.push(connection);
        state.identity = Some(identity);
        state.stores = 1;
        Ok(())
    }

    fn detach(&self) {
        let mut state = lock(&self.state);
        state.stores -= 1;
        if state.stores > 0 {
            return;
        }
        state.turning = true;
        let idle = mem::take(&mut state.idle);
        drop(state);
        let _turning = Turning(self);
        if let Some(connection) = idle.first() {
            // So that the file alone is whole, where nobody else is at it. If not, the next one
            // does it.
            let _ = connection.busy_timeout(Duration::ZERO);
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        drop(idle);
        self.lock.leave();
    }

    /// In a forked child: closes what the parent had open.
    pub(super) fn disown(&self) -> Result<()> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(forked_midway()),
        };
        if state.busy > 0 || state.turning {
            return Err(forked_midway());
        }
        state.idle.clear();
        Ok(())
    }

    /// The first connection, with the tables in place.
    fn start(&self) -> Result<(Connection, Identity)> {
        let mut connection = self.connect()?;
        let current = schema::is_current(&connection).map_err(|failure| failure.of(&self.path))?;
        if !current {
            let locking = |error| failure::io(&error, &self.path, "locking");
            if !self.lock.lock(SETUP, patience::at_most(BUSY_TIMEOUT)).map_err(locking)? {
                return Err(Error::new(
                    ErrorCode::Store,
                    format!(
                        "another process is creating the tables of the store `{}` and does not \
                         finish: try again; if this stays, end that process",
                        self.path.display()
                    ),
                )
                .with_retryable(true));
            }
            let result = be_patient(&connection)
                .map_err(Failure::from)
                .and_then(|()| schema::set_up(&mut connection))
                .map_err(|failure| failure.of(&self.path));
            self.lock.unlock(SETUP);
            result?;
        }
        let identity =
            Identity::at(&self.path).map_err(|error| failure::io(&error, &self.path, "reading"))?;
        Ok((connection, identity))
    }

    fn connect(&self) -> Result<Connection> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.path, flags)?;
            be_patient(&connection)?;
            // A forked child closes inherited connections, which must not touch the files.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", 0)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        };
        open().map_err(|error: rusqlite::Error| Failure::from(error).of(&self.path))
    }

    fn take(&self) -> Result<Pooled<'_>> {
        let all_busy = |state: &State| state.busy >= MOST_CONNECTIONS;
        let mut state =
            self.wait_while(all_busy, &self.returned, "other threads of this process use it")?;
        // Who removes or replaces the file of a running program would have it write into nothing.
        let now = Identity::now_at(&self.path)
            .map_err(|error| failure::io(&error, &self.path, "reading"))?;
        if state.identity != now {
            return Err(Error::new(
                ErrorCode::Store,
                format!(
                    "the store `{}` was removed or replaced while it was open: put it back, or \
                     restart the programs that use it",
                    self.path.display()
                ),
            ));
        }
        state.busy += 1;
        let idle = state.idle.pop();
        drop(state);
        let mut pooled = Pooled { database: self, connection: idle };
        if let Some(connection) = &pooled.connection {
            be_patient(connection).map_err(|error| Failure::from(error).of(&self.path))?;
        } else {
            pooled.connection = Some(self.connect()?);
        }
        Ok(pooled)
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut state = lock(&self.state);
        state.busy -= 1;
        state.idle.extend(connection);
        drop(state);
        self.returned.notify_one();
    }

    fn begin_writing(&self) -> Result<Writing<'_>> {
        let others_write = |state: &State| state.writing;
        self.wait_while(
            others_write,
            &self.written,
            "other threads of this process write to it",
        )?
        .writing = true;
        Ok(Writing(self))
    }

    /// The state once it is not `so` any more; an error that says `why` if it stays so for longer
    /// than the call may take.
    fn wait_while(
        &self,
        so: impl Fn(&State) -> bool,
        changed: &Condvar,
        why: &str,
    ) -> Result<MutexGuard<'_, State>> {
        let start = Instant::now();
        let longest = patience::at_most(LONGEST_QUEUE);
        let mut state = lock(&self.state);
        while so(&state) {
            let left = longest.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(in_use(&format!("the store `{}`: {why}", self.path.display())));
            }
            state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }
}

/// The turn of the one thread that writes.
struct Writing<'a>(&'a Database);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).writing = false;
        self.0.written.notify_one();
    }
}

/// While the first store opens the database, or the last one closes it.
struct Turning<'a>(&'a Database);

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).turning = false;
        self.0.turned.notify_all();
    }
}

/// Has statements wait for other processes as long as the call may take.
fn be_patient(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(patience::at_most(BUSY_TIMEOUT))
}

/// A connection on loan.
#[derive(Debug)]
struct Pooled<'a> {
    database: &'a Database,
    connection: Option<Connection>,
}

impl Deref for Pooled<'_> {
    type Target = Connection;

    #[allow(clippy::unwrap_used, reason = "`take` fills it before anybody sees it")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }
}

impl DerefMut for Pooled<'_> {
    #[allow(clippy::unwrap_used, reason = "`take` fills it before anybody sees it")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().unwrap()
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        self.database.give_back(self.connection.take());
    }
}

/// The database's real path; an empty file for this user alone is made if there is none.
fn find_or_make(path: &Path) -> Result<PathBuf> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // An existing file is not opened here: closing it again would drop SQLite's locks on it.
    match super::private(&mut options).open(path) {
        Ok(file) => {
            let synced = file.sync_all().and_then(|()| sync_folder(path));
            synced.map_err(|error| failure::io(&error, path, "making"))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failure::io(&error, path, "making")),
    }
    let path = fs::canonicalize(path).map_err(|error| failure::io(&error, path, "finding"))?;
    if !path.is_file() {
        return Err(Error::config(format!(
            "`store`: `{}` is a folder or a device: give the path of a file",
            path.display()
        )));
    }
    for suffix in ["", "-wal", "-shm", "-lock"] {
        restrict(&beside(&path, suffix));
    }
    Ok(path)
}

/// Takes the rights of others away.
#[cfg(unix)]
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o077 != 0
        && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(0o600))
    {
        tracing::warn!(path = %path.display(), %error, "others than its owner may read a file of \
                                                        the store");
    }
}

#[cfg(not(unix))]
fn restrict(_path: &Path) {}

/// Makes a new name in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn forked_midway() -> Error {
    Error::state(
        "the process was forked while another thread used the store, which leaves the copy \
         unusable here: fork before the first use, or start a new program instead",
    )
}

fn in_use(what: &str) -> Error {
    Error::new(ErrorCode::Store, format!("{what}, for longer than this call may wait; try again"))
        .with_retryable(true)
}

/// Longest wait of a statement for other processes, unless the call ends earlier.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait of a thread for the others of its process, unless the call ends earlier. The others
/// come to an end.
const LONGEST_QUEUE: Duration = Duration::from_secs(60);
/// Longest time that another thread may hold the list of databases, under which it only opens a
/// file.
const LONGEST_OPENING: Duration = Duration::from_secs(2);
const MOST_CONNECTIONS: usize = 8;
/// Pages in the write-ahead log before they are moved into the database: four megabytes.
const CHECKPOINT_PAGES: i64 = 256;
