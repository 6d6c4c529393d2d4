//! The keys of an OAuth client: where their secret comes from, and one key per purpose derived from it.
//!
//! The secret is read at the first use, so that making a client does no I/O. A key is only ever made for the store of one
//! user in its default place, and only while nothing is sealed there: elsewhere a new key would hide the loss of the old one.

use std::fs;
use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::secret::Secret;
#[cfg(feature = "sqlite")]
use crate::store::UserStore;
use crate::store::seal::{FINGERPRINT_LABEL, Fingerprinter, GRANT_LABEL, KeyRing, PENDING_LABEL};

/// The keys of an OAuth client, each derived with its own label.
pub(crate) struct Keys {
    pub(crate) grants: Option<KeyRing>,
    pub(crate) pending: KeyRing,
    pub(crate) fingerprint: Fingerprinter,
    /// Those of the keys that only open.
    pub(crate) older_fingerprints: Vec<Fingerprinter>,
}

impl Keys {
    /// From the secrets of `store_key`; without any, from the client secret, and nothing is sealed in the store.
    fn derive(store_keys: &[Secret], client_secret: &Secret) -> Result<Self> {
        let store_keys: Vec<&Secret> = store_keys.iter().collect();
        let base = if store_keys.is_empty() { vec![client_secret] } else { store_keys.clone() };
        let grants =
            if store_keys.is_empty() { None } else { Some(KeyRing::from_secrets(&store_keys, GRANT_LABEL)?) };
        let older = base[1..].iter().map(|secret| Fingerprinter::from_secret(secret, FINGERPRINT_LABEL));
        Ok(Self {
            grants,
            pending: KeyRing::from_secrets(&base, PENDING_LABEL)?,
            fingerprint: Fingerprinter::from_secret(base[0], FINGERPRINT_LABEL)?,
            older_fingerprints: older.collect::<Result<_>>()?,
        })
    }
}

/// The keys, derived when they are first asked for.
pub(crate) struct LazyKeys {
    source: KeySource,
    client_secret: Secret,
    keys: OnceCell<Keys>,
}

impl LazyKeys {
    pub(crate) fn new(source: KeySource, client_secret: Secret) -> Self {
        Self { source, client_secret, keys: OnceCell::new() }
    }

    /// The keys. `STORE_KEY` where their secret is missing or can't be read; the next call tries again.
    pub(crate) fn get(&self) -> Result<&Keys> {
        self.keys.get_or_try_init(|| Keys::derive(&self.source.read()?, &self.client_secret))
    }
}

/// Where the secret of the keys comes from.
pub(crate) enum KeySource {
    /// Given; the first seals, all open. Empty: nothing is sealed.
    Given(Vec<Secret>),
    /// A file that holds them.
    File(PathBuf),
    /// The key file of the user's own store, made if there is none.
    #[cfg(feature = "sqlite")]
    User(std::sync::Arc<UserStore>),
}

impl KeySource {
    /// Reads the option `store_key`.
    pub(crate) fn parse(text: Option<&Secret>) -> Self {
        let Some(text) = text else { return Self::Given(Vec::new()) };
        match text.expose().strip_prefix(FILE_PREFIX) {
            Some(path) => Self::File(path.into()),
            None => Self::Given(split(text.expose())),
        }
    }

    fn read(&self) -> Result<Vec<Secret>> {
        match self {
            Self::Given(secrets) => Ok(secrets.clone()),
            Self::File(path) => read_file(path)?
                .ok_or_else(|| key_error(path, "is missing: restore it, or set `store_key` to where it is")),
            #[cfg(feature = "sqlite")]
            Self::User(store) => read_or_make(store),
        }
    }
}

/// Checks the option `store_key` as far as its text tells.
pub(crate) fn check_store_key(text: &str) -> Result<()> {
    if text.strip_prefix(FILE_PREFIX).is_some_and(|path| !path.is_empty()) {
        return Ok(());
    }
    if text.split_ascii_whitespace().any(|key| key.len() < LEAST_KEY) {
        return Err(Error::config(
            "`store_key` needs at least 16 bytes, or `file:` and a path: make one with a password generator",
        ));
    }
    Ok(())
}

#[cfg(feature = "sqlite")]
fn read_or_make(store: &UserStore) -> Result<Vec<Secret>> {
    let path = store.key_path();
    if let Some(secrets) = read_file(path)? {
        return Ok(secrets);
    }
    // Whoever sealed something made the key before: if it is still missing now, it is lost.
    let sealed = store.has_grants()?;
    if let Some(secrets) = read_file(path)? {
        return Ok(secrets);
    }
    if sealed {
        return Err(key_error(
            path,
            "is missing, and the store's grants were sealed with it: restore it, or remove the store and authorize again",
        ));
    }
    make_file(path)?;
    read_file(path)?.ok_or_else(|| key_error(path, "was removed while it was made: try again"))
}

/// Makes a key file, whole or not at all; if another process was quicker, that one's stays.
#[cfg(feature = "sqlite")]
fn make_file(path: &Path) -> Result<()> {
    use std::io::{self, Write as _};

    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use crate::store::{private, sync_folder};

    let random = || crate::store::seal::random::<32>().map(Zeroizing::new);
    let text = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*random()?) + "\n");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", &BASE64_URL_SAFE_NO_PAD.encode(*random()?)[..16]));
    let draft = PathBuf::from(name);

    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    let written = private(&mut options)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| sync_folder(path));
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(|error| key_error(path, &format!("could not be made ({error})")))
}

/// The secrets in a key file, separated by white space; `None` if there is no such file.
fn read_file(path: &Path) -> Result<Option<Vec<Secret>>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(key_error(path, &format!("could not be read ({error}): check its rights"))),
    };
    let secrets = split(&text);
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().len() < LEAST_KEY) {
        return Err(key_error(path, "holds no key of at least 16 bytes: restore it"));
    }
    Ok(Some(secrets))
}

fn split(text: &str) -> Vec<Secret> {
    text.split_ascii_whitespace().map(Secret::from).collect()
}

fn key_error(path: &Path, what: &str) -> Error {
    Error::new(ErrorCode::StoreKey, format!("the key file `{}` {what}", path.display()))
}

const FILE_PREFIX: &str = "file:";
const LEAST_KEY: usize = 16;

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;
    use crate::account::Account;
    use crate::clock::Timestamp;
    use crate::store::{Key, NewRecord, TokenStore};

    fn exposed(result: Result<Vec<Secret>>) -> Vec<String> {
        result.unwrap().iter().map(|secret| secret.expose().to_owned()).collect()
    }

    #[test]
    fn all_who_start_at_once_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(16);
        let found: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let store = UserStore::at(folder.path().join("new/folder"));
                barrier.wait();
                exposed(read_or_make(&store))
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|keys| *keys == found[0] && keys.len() == 1 && keys[0].len() == 43));
        let names: Vec<_> = fs::read_dir(folder.path().join("new/folder"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("store.key"))
            .collect();
        assert_eq!(names, ["store.key"], "no draft is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let store = UserStore::at(folder.path().join("hoopauth"));
        read_or_make(&store).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(store.key_path()), mode(&folder.path().join("hoopauth"))), (0o600, 0o700));
    }

    #[test]
    fn a_lost_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = UserStore::at(folder.path().to_owned());
        let before = exposed(read_or_make(&store));
        let account = Account::location("l").unwrap();
        let record = NewRecord { grant: Some(b"sealed".to_vec()), expires_at: Timestamp(0), seen: vec![] };
        store.save(&Key { app: "app", account: &account }, 0, &record).unwrap();
        fs::rename(store.key_path(), folder.path().join("kept")).unwrap();
        let lazy = LazyKeys::new(KeySource::User(Arc::new(store)), Secret::new("client secret"));
        let error = lazy.get().err().unwrap();
        assert_eq!(error.code(), ErrorCode::StoreKey);
        assert!(error.message().contains("restore it"), "{error}");
        assert!(!folder.path().join("store.key").exists());
        // Once it is back, everything goes on.
        fs::rename(folder.path().join("kept"), folder.path().join("store.key")).unwrap();
        assert!(lazy.get().is_ok());
        assert_eq!(exposed(lazy.source.read()), before);
    }

    #[test]
    fn key_files_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a key");
        let read = || KeySource::parse(Some(&Secret::new(format!("file:{}", path.display())))).read();
        let missing = read().unwrap_err();
        assert!(missing.code() == ErrorCode::StoreKey && missing.message().contains("is missing"));
        for bad in ["", " \n", "too short", "0123456789abcdef short"] {
            fs::write(&path, bad).unwrap();
            let error = read().unwrap_err();
            assert!(error.code() == ErrorCode::StoreKey && !error.message().contains("short"), "{error}");
        }
        fs::write(&path, "0123456789abcdef\nfedcba9876543210\n").unwrap();
        assert_eq!(exposed(read()), ["0123456789abcdef", "fedcba9876543210"]);
        assert!(check_store_key("file:x").is_ok() && check_store_key("file:").is_err());
    }
}
