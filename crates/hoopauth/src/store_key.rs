//! The option `store_key`, as far as its text tells.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::mistake::{self, Form};
use crate::secret::Secret;

/// Keys that seal the store, or the file that holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreKey {
    /// The keys themselves. The first seals, all open.
    Given(Vec<Secret>),
    /// `file:PATH`: a file that holds them.
    File(PathBuf),
}

impl StoreKey {
    /// Parses the text. Its only look at the disk is whether the path is there and is no folder.
    /// `label` names the option in errors.
    pub(crate) fn parse(label: &str, text: &str) -> Result<Self> {
        let refuse = |what: &str| Err(Error::config(format!("{label} {what}")));
        if let Some(path) = text.strip_prefix(FILE_PREFIX) {
            let path = file_of(path);
            if path.is_empty() {
                return refuse("has no path behind `file:`: write `file:/folder/store.key`");
            }
            if path.starts_with("//") {
                return refuse(
                    "names a file on another computer: write `file:` and a path, as in \
                     `file:/folder/store.key`",
                );
            }
            if let Some(what) = mistake::found(path, Form::Path)
                && !Path::new(path).exists()
            {
                return refuse(&format!("names a file whose path {what}"));
            }
            if Path::new(path).is_dir() {
                return refuse(
                    "names a folder: give the path of the file in it that holds the key",
                );
            }
            // From here on it means the same file, wherever the program goes.
            let path = std::path::absolute(path).map_err(|error| {
                Error::config(format!(
                    "{label}: the current folder is not known ({error}): give a whole path"
                ))
            })?;
            return Ok(Self::File(path));
        }
        if let Some(what) = mistake::found(text, Form::Text) {
            return refuse(what);
        }
        let keys: Vec<_> = text.split_ascii_whitespace().collect();
        if mistake::names_a_file(text) {
            return refuse(
                "names a file, but not as `file:PATH`: write `file:` in lower case, without a \
                 space",
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
                "needs at least 16 bytes for each key: draw a random one (`openssl rand -base64 \
                 32`), or write `file:PATH` for a file that holds it",
            );
        }
        Ok(Self::Given(split(text)))
    }
}

/// Splits a text into keys, which white space separates.
pub(crate) fn split(text: &str) -> Vec<Secret> {
    text.split_ascii_whitespace().map(Secret::from).collect()
}

/// Finds the mistake in one key: anybody could guess it, or it only says where the key is.
pub(crate) fn key_mistake(key: &str) -> Option<&'static str> {
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

const FILE_PREFIX: &str = "file:";
/// Fewest bytes of a key.
pub(crate) const LEAST_KEY: usize = 16;
