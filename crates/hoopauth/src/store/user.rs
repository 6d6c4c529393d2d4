//! The store of one user in its default place, with its key beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Due, Fingerprint, Key, Lease, NewRecord, Record, Slot, SlotRequest, SqliteStore, TokenStore,
};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::mistake::{self, Form};

/// A SQLite store in the user's data folder, which is made at the first use.
#[derive(Debug)]
pub(crate) struct UserStore {
    folder: PathBuf,
    key_path: PathBuf,
    store: SqliteStore,
}

impl UserStore {
    /// The store of the user that this process runs as. No I/O.
    pub(crate) fn of_this_user() -> Result<Self> {
        data_folder(|name| std::env::var_os(name).map(PathBuf::from))?
            .map(|folder| Self::at(folder.join("hoopauth")))
            .ok_or_else(|| {
                Error::config(
                    "`store`: this user has no home folder for the default store: set `store` to \
                     `sqlite:PATH` with a path of your own, and `store_key`",
                )
            })
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        let (path, key_path) = (folder.join("grants.db"), folder.join("store.key"));
        Self { folder, key_path, store: SqliteStore::new(path) }
    }

    pub(crate) fn key_path(&self) -> &Path {
        &self.key_path
    }

    /// Returns `true` if anything was sealed with a key.
    pub(crate) fn has_grants(&self) -> Result<bool> {
        self.store()?.has_grants()
    }

    fn store(&self) -> Result<&SqliteStore> {
        if !self.store.is_open() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&self.folder).map_err(|error| {
                Error::new(
                    ErrorCode::Store,
                    format!(
                        "the folder `{}` could not be made ({error}): give this user the right to \
                         make it, or set `store` to `sqlite:PATH` with a path of your own, and \
                         `store_key`",
                        self.folder.display()
                    ),
                )
            })?;
        }
        Ok(&self.store)
    }
}

impl TokenStore for UserStore {
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>> {
        self.store()?.load(key, now)
    }

    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool> {
        self.store()?.save(key, expected, record)
    }

    fn accounts(&self, app: &str) -> Result<Vec<Account>> {
        self.store()?.accounts(app)
    }

    fn open_marks(&self, app: &str) -> Result<Vec<Account>> {
        self.store()?.open_marks(app)
    }

    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due> {
        self.store()?.due(app, now, limit)
    }

    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        self.store()?.lease(key, wait)
    }

    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot> {
        self.store()?.take_slot(app, request, now)
    }

    fn exhaust(&self, app: &str, per_minute: u32, wait: Duration, now: Timestamp) -> Result<()> {
        self.store()?.exhaust(app, per_minute, wait, now)
    }

    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.store()?.claim(app, id, until, now)
    }

    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        self.store()?.claimed(app, id, now)
    }

    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        self.store()?.unclaim(app, id)
    }

    fn changes(&self) -> Result<u64> {
        self.store()?.changes()
    }

    fn changed(&self, app: &str, since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        self.store()?.changed(app, since)
    }
}

/// Folder that the system has for the data of a user's programs: on Linux `$XDG_DATA_HOME`, else
/// `~/.local/share`.
///
/// A relative path is passed over, as the specification asks. One in quotes or with a placeholder
/// is an error: the store would be looked for where it is not.
fn data_folder(read: impl Fn(&str) -> Option<PathBuf>) -> Result<Option<PathBuf>> {
    let absolute = |name: &str| {
        let Some(path) = read(name) else { return Ok(None) };
        if let Some(what) = path.to_str().and_then(|text| mistake::found(text, Form::Path))
            && !path.exists()
        {
            return Err(Error::config(format!(
                "the environment variable `{name}`, by which the store is found, {what}"
            )));
        }
        Ok(Some(path).filter(|path| path.is_absolute()))
    };
    Ok(if cfg!(windows) {
        absolute("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        absolute("HOME")?.map(|home| home.join("Library/Application Support"))
    } else {
        match absolute("XDG_DATA_HOME")? {
            Some(folder) => Some(folder),
            None => absolute("HOME")?.map(|home| home.join(".local/share")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn the_folder_is_the_systems() {
        let of = |data: Option<&str>, home: Option<&str>| {
            data_folder(|name| match name {
                "XDG_DATA_HOME" => data.map(PathBuf::from),
                "HOME" => home.map(PathBuf::from),
                _ => None,
            })
            .unwrap()
        };
        assert_eq!(of(Some("/data"), Some("/home/me")), Some("/data".into()));
        // A relative one is to be ignored, says the specification.
        assert_eq!(of(Some("data"), Some("/home/me")), Some("/home/me/.local/share".into()));
        assert_eq!(of(None, None), None);
        for wrong in ["\"/planted\"", "'/planted'", "$HOME/planted", "~/planted"] {
            let error =
                data_folder(|name| (name == "XDG_DATA_HOME").then(|| wrong.into())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config);
            assert!(
                error.message().contains("`XDG_DATA_HOME`") && !error.message().contains("planted"),
                "{error}"
            );
        }
    }
}
