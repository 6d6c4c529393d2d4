//! The keys of an OAuth client: where their secret comes from, and one key per purpose derived from
//! it.
//!
//! The secret is read at the first use, so that making a client does no I/O. A key is only ever
//! made for the store of one user in its default place, and only while nothing is sealed there:
//! elsewhere a new key would hide the loss of the old one.

use std::fs;
use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::mistake::{self, Form};
use crate::secret::Secret;
#[cfg(feature = "sqlite")]
use crate::store::UserStore;
use crate::seal::{FINGERPRINT_LABEL, Fingerprinter, GRANT_LABEL, KeyRing, PENDING_LABEL};

/// The keys of an OAuth client, each derived with its own label.
pub(crate) struct Keys {
    pub(crate) grants: Option<KeyRing>,
    pub(crate) pending: KeyRing,
    pub(crate) fingerprint: Fingerprinter,
    /// Those of the keys that only open.
    pub(crate) older_fingerprints: Vec<Fingerprinter>,
}

impl Keys {
    /// From the secrets of `store_key`; without any, from the client secret, and nothing is sealed
    /// in the store.
    fn derive(store_keys: &[Secret], client_secret: &Secret) -> Result<Self> {
        let store_keys: Vec<&Secret> = store_keys.iter().collect();
        let base = if store_keys.is_empty() { vec![client_secret] } else { store_keys.clone() };
        let grants = if store_keys.is_empty() {
            None
        } else {
            Some(KeyRing::from_secrets(&store_keys, GRANT_LABEL)?)
        };
        let older =
            base[1..].iter().map(|secret| Fingerprinter::from_secret(secret, FINGERPRINT_LABEL));
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

    /// The keys. `STORE_KEY` where their secret is missing or can't be read; the next call tries
    /// again.
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
    /// Reads the option `store_key`, which was checked.
    pub(crate) fn parse(text: Option<&Secret>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Given(Vec::new())) };
        let Some(path) = text.expose().strip_prefix(FILE_PREFIX) else {
            return Ok(Self::Given(split(text.expose())));
        };
        // From here on it means the same file, wherever the program goes.
        let path = std::path::absolute(file_of(path)).map_err(|error| {
            Error::config(format!(
                "`store_key`: the current folder is not known ({error}): give a whole path"
            ))
        })?;
        Ok(Self::File(path))
    }

    fn read(&self) -> Result<Vec<Secret>> {
        match self {
            Self::Given(secrets) => Ok(secrets.clone()),
            Self::File(path) => read_file(path)?.ok_or_else(|| {
                key_error(
                    path,
                    "is not there: restore it from your backup, or correct the path in `store_key`",
                )
            }),
            #[cfg(feature = "sqlite")]
            Self::User(store) => read_or_make(store),
        }
    }
}

/// Checks the option `store_key` as far as its text tells; `label` names it.
pub(crate) fn check_store_key(label: &str, text: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
    if let Some(path) = text.strip_prefix(FILE_PREFIX) {
        let path = file_of(path);
        if path.is_empty() {
            return refuse("has no path behind `file:`: write `file:/folder/store.key`");
        }
        if path.starts_with("//") {
            return refuse(
                "names a file on another computer: write `file:` and a path, as in `file:/folder/store.key`",
            );
        }
        if let Some(what) = mistake::found(path, Form::Path)
            && !Path::new(path).exists()
        {
            return refuse(&format!("names a file whose path {what}"));
        }
        if Path::new(path).is_dir() {
            return refuse("names a folder: give the path of the file in it that holds the key");
        }
        return Ok(());
    }
    if let Some(what) = mistake::found(text, Form::Text) {
        return refuse(what);
    }
    let keys: Vec<_> = text.split_ascii_whitespace().collect();
    if mistake::names_a_file(text) {
        return refuse(
            "names a file, but not as `file:PATH`: write `file:` in lower case, without a space",
        );
    }
    for (index, key) in keys.iter().enumerate() {
        if let Some(what) = key_mistake(key) {
            let which = if keys.len() > 1 {
                format!("key number {} in {label}", index + 1)
            } else {
                label.to_owned()
            };
            return Err(Error::config(format!("{which} {what}")));
        }
    }
    if keys.iter().any(|key| key.len() < LEAST_KEY) {
        return refuse(
            "needs at least 16 bytes for each key: draw a random one (`openssl rand -base64 32`), or write `file:PATH` \
             for a file that holds it",
        );
    }
    Ok(())
}

/// Finds the mistake in one key: anybody could guess it, or it only says where the key is.
fn key_mistake(key: &str) -> Option<&'static str> {
    if mistake::names_a_file(key) {
        return Some("names a file: `store_key` is either keys, or one `file:PATH`");
    }
    if mistake::is_path(key) {
        return Some("is a path: write `file:` in front of it");
    }
    mistake::found(key, Form::Text)
}

/// Returns the path behind `file:`, also where it is written as a URL, `file:///folder/file`.
fn file_of(path: &str) -> &str {
    let path = path.trim_ascii();
    path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path)
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
            "is not there, and the store's grants were sealed with it: restore it from your backup; if it is lost, remove the \
             store beside it and let the users authorize again",
        ));
    }
    make_file(path)?;
    read_file(path)?.ok_or_else(|| key_error(path, "was removed while it was made: call again"))
}

/// Makes a key file, whole or not at all; if another process was quicker, that one's stays.
#[cfg(feature = "sqlite")]
fn make_file(path: &Path) -> Result<()> {
    use std::io::{self, Write as _};

    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use crate::store::{private, sync_folder};

    let random = || crate::seal::random::<32>().map(Zeroizing::new);
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
    written.and(removed).map_err(|error| {
        key_error(
            path,
            &format!(
                "could not be made ({error}): give this user the right to write to its folder"
            ),
        )
    })
}

/// The secrets in a key file, separated by white space; `None` if there is no such file.
fn read_file(path: &Path) -> Result<Option<Vec<Secret>>> {
    use std::io::ErrorKind;

    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => {
            let what = match error.kind() {
                ErrorKind::NotFound => return Ok(None),
                ErrorKind::PermissionDenied => {
                    "may not be read by this user: make this user its owner (`chown`), or start the program as its owner"
                        .to_owned()
                }
                ErrorKind::IsADirectory => "is a folder: give the path of the file in it that holds the key".to_owned(),
                _ => format!("could not be read ({error}): check the disk and the path"),
            };
            return Err(key_error(path, &what));
        }
    };
    restrict(path)?;
    let mark = bytes.starts_with(BYTE_ORDER_MARK.as_bytes());
    let secrets = split(text_of(path, &bytes[if mark { BYTE_ORDER_MARK.len() } else { 0 }..])?);
    if secrets.is_empty() {
        return Err(key_error(path, "is empty: restore it from your backup"));
    }
    if let Some(what) = secrets.iter().find_map(|secret| key_mistake(secret.expose())) {
        return Err(Error::config(format!(
            "`store_key`: a key in the key file `{}` {what}",
            path.display()
        )));
    }
    if secrets.iter().any(|secret| secret.expose().len() < LEAST_KEY) {
        return Err(key_error(
            path,
            "holds a key of less than 16 bytes: restore the file, or draw a new key (`openssl rand -base64 32`)",
        ));
    }
    if !mark {
        return Ok(Some(secrets));
    }
    // What was sealed while the mark counted as a part of the first key still opens.
    let marked = secrets.first().map(|first| {
        let both = Zeroizing::new(format!("{BYTE_ORDER_MARK}{}", first.expose()));
        Secret::new(both.as_str())
    });
    Ok(Some(secrets.into_iter().chain(marked).collect()))
}

/// Decodes a key file, and names UTF-16 where that is its encoding.
fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(key_error(path, UTF16));
    }
    // A key of ASCII in UTF-16 has a zero in every other byte.
    let pairs = bytes.as_chunks::<2>().0;
    if pairs.len() > 1
        && (pairs.iter().all(|pair| pair[0] == 0) || pairs.iter().all(|pair| pair[1] == 0))
    {
        return Err(key_error(path, UTF16));
    }
    str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
        key_error(
            path,
            "is not text: write the key as text, for example as base64 (`openssl rand -base64 32`)",
        )
    })
}

/// Takes the rights of others away, as for the database; where that is not possible, a file that
/// others can read is refused.
///
/// Files of root that a group may read are left as they are: so administrators and orchestrators
/// hand secrets to services.
#[cfg(unix)]
fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.mode() & 0o777;
    let shared = if metadata.uid() == 0 { mode & 0o027 } else { mode & 0o077 };
    if shared == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "others could read the key file: their rights are taken away");
            Ok(())
        }
        // A secret that an orchestrator mounted: its rights are not ours to change, and only this
        // container sees it.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            tracing::warn!(path = %path.display(), "others than its owner may read the key file");
            Ok(())
        }
        Err(_) => Err(key_error(
            path,
            &format!(
                "can be read by others than its owner: run `chmod 600 {}` as its owner, then try again",
                path.display()
            ),
        )),
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn restrict(_path: &Path) -> Result<()> {
    Ok(())
}

fn split(text: &str) -> Vec<Secret> {
    text.split_ascii_whitespace().map(Secret::from).collect()
}

fn key_error(path: &Path, what: &str) -> Error {
    Error::new(ErrorCode::StoreKey, format!("the key file `{}` {what}", path.display()))
}

const FILE_PREFIX: &str = "file:";
const BYTE_ORDER_MARK: &str = "\u{feff}";
const UTF16: &str =
    "is UTF-16 text: save it as UTF-8 or ASCII (in PowerShell with `-Encoding ascii`)";
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
        assert!(
            found.iter().all(|keys| *keys == found[0] && keys.len() == 1 && keys[0].len() == 43)
        );
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
        let record =
            NewRecord { grant: Some(b"sealed".to_vec()), expires_at: Timestamp(0), seen: vec![] };
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
        let read = || {
            KeySource::parse(Some(&Secret::new(format!("file:{}", path.display())))).unwrap().read()
        };
        let missing = read().unwrap_err();
        assert!(
            missing.code() == ErrorCode::StoreKey && missing.message().contains("is not there")
        );
        for bad in ["", " \n", "\u{feff}", "too short", "0123456789abcdef short"] {
            fs::write(&path, bad).unwrap();
            let error = read().unwrap_err();
            assert!(
                error.code() == ErrorCode::StoreKey && !error.message().contains("short"),
                "{error}"
            );
        }
        fs::write(&path, "0123456789abcdef\nfedcba9876543210\n").unwrap();
        assert_eq!(exposed(read()), ["0123456789abcdef", "fedcba9876543210"]);
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a key");
        let keys = |content: &str| {
            fs::write(&path, content).unwrap();
            exposed(KeySource::File(path.clone()).read())
        };
        assert_eq!(
            keys("\u{feff}0123456789abcdef\r\n"),
            ["0123456789abcdef", "\u{feff}0123456789abcdef"]
        );
        // What an earlier version sealed with the mark in the key opens, and is sealed anew without
        // it.
        let old = [Secret::new("\u{feff}0123456789abcdef")];
        let sealed =
            KeyRing::from_secrets(&[&old[0]], GRANT_LABEL).unwrap().seal(&[b"a"], b"x").unwrap();
        let now = KeySource::File(path.clone()).read().unwrap();
        let ring = KeyRing::from_secrets(&now.iter().collect::<Vec<_>>(), GRANT_LABEL).unwrap();
        assert_eq!(*ring.open(&[b"a"], &sealed).unwrap(), *b"x");
        let plain =
            KeyRing::from_secrets(&[&Secret::new("0123456789abcdef")], GRANT_LABEL).unwrap();
        assert!(plain.open(&[b"a"], &ring.seal(&[b"a"], b"x").unwrap()).is_ok());
    }

    #[test]
    fn key_files_that_are_no_keys_say_why_and_show_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let utf16 = |little: bool| -> Vec<u8> {
            let units = "planted-0123456789".encode_utf16();
            units
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect()
        };
        let files: [(Vec<u8>, &str, ErrorCode); 11] = [
            ([vec![0xff, 0xfe], utf16(true)].concat(), "UTF-16", ErrorCode::StoreKey),
            ([vec![0xfe, 0xff], utf16(false)].concat(), "UTF-16", ErrorCode::StoreKey),
            (utf16(true), "UTF-16", ErrorCode::StoreKey),
            (utf16(false), "UTF-16", ErrorCode::StoreKey),
            (b"planted-0123456789\xff".to_vec(), "not text", ErrorCode::StoreKey),
            (b"planted\0-0123456789-0123456789".to_vec(), "not text", ErrorCode::StoreKey),
            (b"\"planted-0123456789\"\n".to_vec(), "quotes", ErrorCode::Config),
            (b"planted-0123456789 'planted-0123456789'".to_vec(), "quotes", ErrorCode::Config),
            (b"${PLANTED_0123456789}".to_vec(), "placeholder", ErrorCode::Config),
            (b"file:/planted/store.key".to_vec(), "file", ErrorCode::Config),
            (b"planted\x01-0123456789".to_vec(), "control", ErrorCode::Config),
        ];
        for (content, what, code) in files {
            fs::write(&path, &content).unwrap();
            let error = KeySource::File(path.clone()).read().unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains(what), "{what}: {error}");
            assert!(!error.message().to_lowercase().contains("planted"), "{error}");
        }
        let error = KeySource::File(folder.path().to_owned()).read().unwrap_err();
        assert!(
            error.code() == ErrorCode::StoreKey && error.message().contains("is a folder"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_restricted() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        let mode_after = |mode: u32| {
            fs::write(&path, "0123456789abcdef").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeySource::File(path.clone()).read().unwrap();
            fs::metadata(&path).unwrap().mode() & 0o777
        };
        for (mode, after) in
            [(0o600, 0o600), (0o400, 0o400), (0o644, 0o600), (0o666, 0o600), (0o444, 0o400)]
        {
            assert_eq!(mode_after(mode), after, "{mode:o}");
            fs::remove_file(&path).unwrap();
        }
        let of_root = fs::metadata(folder.path()).unwrap().uid() == 0;
        assert_eq!(mode_after(0o640), if of_root { 0o640 } else { 0o600 });
    }

    #[test]
    fn the_option_is_checked_as_far_as_its_text_tells() {
        let check = |text: &str| check_store_key("`store_key`", text);
        for good in [
            "0123456789abcdef",
            "0123456789abcdef fedcba9876543210",
            "file:x",
            "file:/a b/store.key",
            "file:///a/store.key",
            "file: /a/store.key",
            "file:/a$b/store.key",
            "$ecretPassword-0123",
            "it's-0123456789abcdef",
            "/8Aa+0123456789abcdefABCDEF0123456789=",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        let folder = tempfile::tempdir().unwrap();
        for bad in [
            "file:",
            "file:///",
            "file://planted/store.key",
            "File:/planted/store.key",
            "FILE:/planted/store.key",
            "file :/planted/store.key",
            "\"file:/planted/store.key\"",
            "'file:/planted/store.key'",
            "file:\"/planted/store.key\"",
            "file:$PLANTED/store.key",
            "file:~/planted/store.key",
            "/etc/planted/store.key",
            "./planted/store.key",
            "C:\\planted\\store.key",
            "planted-0123456789 file:/planted",
            "planted-0123456789 /run/planted",
            "\"planted-0123456789\"",
            "\u{201c}planted-0123456789\u{201d}",
            "planted-0123456789 'planted-0123456789'",
            "${PLANTED_0123456789}",
            "$PLANTED_0123456789",
            "%PLANTED_0123456789%",
            "{{ planted.store_key }}",
            "<planted key of the store>",
            "planted",
            &format!("file:{}", folder.path().display()),
        ] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{bad}");
            assert!(error.message().contains("`store_key`"), "{error}");
            assert!(!error.message().to_lowercase().contains("planted"), "{error}");
        }
    }
}
