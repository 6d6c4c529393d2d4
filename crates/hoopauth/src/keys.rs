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
use crate::seal::{FINGERPRINT_LABEL, Fingerprinter, GRANT_LABEL, KeyRing, PENDING_LABEL};
use crate::secret::Secret;
#[cfg(feature = "sqlite")]
use crate::store::UserStore;
use crate::store_key::{LEAST_KEY, StoreKey, key_mistake, split};

/// The keys of an OAuth client, each derived with its own label.
pub(crate) struct Keys {
    pub(crate) grants: Option<KeyRing>,
    pub(crate) pending: KeyRing,
    pub(crate) fingerprint: Fingerprinter,
    /// Fingerprinters of the keys that only open.
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

/// Source of the secret of the keys.
pub(crate) enum KeySource {
    /// Given; the first seals, all open. Empty: nothing is sealed.
    Given(Vec<Secret>),
    /// A file that holds them.
    File(PathBuf),
    /// The key file of the user's own store, made if there is none.
    #[cfg(feature = "sqlite")]
    User(std::sync::Arc<UserStore>),
}

impl From<Option<StoreKey>> for KeySource {
    fn from(key: Option<StoreKey>) -> Self {
        match key {
            None => Self::Given(Vec::new()),
            Some(StoreKey::Given(secrets)) => Self::Given(secrets),
            Some(StoreKey::File(path)) => Self::File(path),
        }
    }
}

impl KeySource {
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
            "is not there, and the store's grants were sealed with it: restore it from your \
             backup; if it is lost, remove the store beside it and let the users authorize again",
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
                    "may not be read by this user: make this user its owner (`chown`), or start \
                     the program as its owner"
                        .to_owned()
                }
                ErrorKind::IsADirectory => {
                    "is a folder: give the path of the file in it that holds the key".to_owned()
                }
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
            "holds a key of less than 16 bytes: restore the file, or draw a new key (`openssl rand \
             -base64 32`)",
        ));
    }
    if !mark {
        return Ok(Some(secrets));
    }
    // Values that were sealed while the mark counted as a part of the first key still open.
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
            tracing::warn!(
                path = %path.display(),
                "others could read the key file: their rights are taken away"
            );
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
                "can be read by others than its owner: run `chmod 600 {}` as its owner, then try \
                 again",
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

fn key_error(path: &Path, what: &str) -> Error {
    Error::new(ErrorCode::StoreKey, format!("the key file `{}` {what}", path.display()))
}

const BYTE_ORDER_MARK: &str = "\u{feff}";
const UTF16: &str =
    "is UTF-16 text: save it as UTF-8 or ASCII (in PowerShell with `-Encoding ascii`)";

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
