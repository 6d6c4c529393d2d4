//! The lock file beside a database: leases, and which copy of the library has the database open.
//!
//! A lease is one byte of the file, at a place that comes from app and account, locked by a POSIX
//! record lock: the kernel frees it when its process dies, and a forked child does not have it.
//! Such locks do not exclude threads of one process, so a table does that; and closing *any*
//! descriptor of the file drops all locks of the process, so it is opened once per process and
//! never closed.
//!
//! Both tables, ours and SQLite's, exist once per copy of the library. Two copies in one process (a
//! Python module and a system library, say) would drop each other's locks, which breaks the
//! database too. So each process has a byte of its own in the file, and a copy that opens the
//! database holds it by an open-file-description lock, which does exclude two copies in one
//! process: the second one is refused. Linux has such locks; elsewhere two copies are not detected.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::lock;
use crate::store::hash;

/// The lock file, open. Not to be dropped: that would free all leases of the process.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    held: Mutex<HashMap<u64, Option<system::Guard>>>,
    freed: Condvar,
}

impl LockFile {
    /// Opens the lock file, made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = super::private(&mut options).open(path)?;
        let identity = Identity::of(&file.metadata()?, path);
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
            held: Mutex::new(HashMap::new()),
            freed: Condvar::new(),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns `true` if the path still names this file. If not, others lock another file.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        Ok(Identity::now_at(&self.path)? == Some(self.identity))
    }

    /// Locks a place against all threads and processes, waiting at most `wait`; whether it did.
    pub(super) fn lock(&self, place: u64, wait: Duration) -> io::Result<bool> {
        let until = Instant::now().checked_add(wait);
        let left = || until.map_or(wait, |until| until.saturating_duration_since(Instant::now()));
        let mut held = lock(&self.held);
        while held.contains_key(&place) {
            let left = left();
            if left.is_zero() {
                return Ok(false);
            }
            held = self
                .freed
                .wait_timeout(held, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
        held.insert(place, None);
        drop(held);

        // Against other processes there is no lock that waits for a limited time: ask again and
        // again, ever less often.
        let mut pause = FIRST_PAUSE;
        let result = loop {
            match system::try_lock(&self.file, &self.path, place) {
                Ok(Some(guard)) => break Ok(Some(guard)),
                Ok(None) if left().is_zero() => break Ok(None),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            thread::sleep(pause.min(left()));
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        if let Ok(Some(guard)) = result {
            lock(&self.held).insert(place, Some(guard));
            return Ok(true);
        }
        self.forget(place);
        result.map(|_| false)
    }

    /// Gives a place back.
    pub(super) fn unlock(&self, place: u64) {
        if let Err(error) = system::unlock(&self.file, place) {
            // The kernel frees it at the end of the process.
            tracing::error!(%error, "the right to refresh an account could not be given back; it \
                                     is free when this process ends");
        }
        self.forget(place);
    }

    /// Says that this copy of the library has the database open; `false` if another copy in this
    /// process has.
    pub(super) fn enter(&self) -> io::Result<bool> {
        system::enter(&self.file)
    }

    /// Takes that back.
    pub(super) fn leave(&self) {
        if let Err(error) = system::leave(&self.file) {
            tracing::warn!(%error, "the note that this process uses the store could not be taken \
                                    back; it goes when this process ends");
        }
    }

    fn forget(&self, place: u64) {
        lock(&self.held).remove(&place);
        self.freed.notify_all();
    }
}

/// The place of an account's lease. The same in every process and release, so not of std's hasher.
pub(super) fn place(app: &str, account: &str) -> u64 {
    FIRST_LEASE + hash(&[app, account]) % (RANGE - FIRST_LEASE)
}

/// The place that is held while the database is set up.
pub(super) const SETUP: u64 = 0;

/// Identity of a file: the same for all its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&std::fs::metadata(path)?, path))
    }

    /// Does the same as [`at`](Self::at); `None` if there is no such file any more.
    pub(super) fn now_at(path: &Path) -> io::Result<Option<Self>> {
        match Self::at(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            identity => identity.map(Some),
        }
    }

    #[cfg(unix)]
    fn of(metadata: &Metadata, _path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }

    #[cfg(not(unix))]
    fn of(_metadata: &Metadata, path: &Path) -> Self {
        Self(hash(&[&path.to_string_lossy()]), 0)
    }
}

#[cfg(unix)]
mod system {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::{File, Path, io};

    /// The kernel keeps it.
    pub(super) type Guard = ();

    pub(super) fn try_lock(file: &File, _path: &Path, place: u64) -> io::Result<Option<Guard>> {
        Ok(taken(fcntl(file, FcntlArg::F_SETLK(&range(libc::F_WRLCK, place)?)))?.then_some(()))
    }

    pub(super) fn unlock(file: &File, place: u64) -> io::Result<()> {
        fcntl(file, FcntlArg::F_SETLK(&range(libc::F_UNLCK, place)?))?;
        Ok(())
    }

    fn taken(result: nix::Result<i32>) -> io::Result<bool> {
        match result {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::unnecessary_cast,
        reason = "small constants whose type differs by platform"
    )]
    fn range(kind: impl Into<i32>, place: u64) -> io::Result<libc::flock> {
        Ok(libc::flock {
            l_type: kind.into() as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: libc::off_t::try_from(place).map_err(io::Error::other)?,
            l_len: 1,
            l_pid: 0,
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn enter(file: &File) -> io::Result<bool> {
        match own_place() {
            Some(place) => taken(fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, place)?))),
            None => Ok(true),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn leave(file: &File) -> io::Result<()> {
        if let Some(place) = own_place() {
            fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, place)?))?;
        }
        Ok(())
    }

    /// A place for this process alone: neither a later process of the same number nor one in
    /// another container has it. `None` without `/proc`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn own_place() -> Option<u64> {
        let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in parentheses, can hold anything.
        let (_, numbers) = stat.rsplit_once(')')?;
        let started = numbers.split_ascii_whitespace().nth(19)?;
        let parts = [&*space.to_string_lossy(), started, &std::process::id().to_string()];
        Some(super::RANGE + super::hash(&parts) % super::RANGE)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn enter(_file: &File) -> io::Result<bool> {
        Ok(true)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn leave(_file: &File) -> io::Result<()> {
        Ok(())
    }
}

/// A file per lease, locked as a whole: these locks belong to a handle, and nothing forks.
#[cfg(not(unix))]
mod system {
    use std::fs::TryLockError;

    use super::{File, OpenOptions, Path, io};

    /// Open and locked.
    pub(super) type Guard = File;

    pub(super) fn try_lock(_file: &File, path: &Path, place: u64) -> io::Result<Option<Guard>> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{place:x}"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn unlock(_file: &File, _place: u64) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn enter(_file: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) fn leave(_file: &File) -> io::Result<()> {
        Ok(())
    }
}

const FIRST_LEASE: u64 = 16;
/// Leases below, processes above; both within what a file offset can say.
#[cfg(unix)]
const RANGE: u64 = 1 << (nix::libc::off_t::BITS - 3);
#[cfg(not(unix))]
const RANGE: u64 = 1 << 61;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
