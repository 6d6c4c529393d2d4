//! The option `store`, as far as its text tells.

use std::path::Path;

use crate::mistake::{self, Form};
use crate::secret::Secret;

/// A store, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreName {
    /// `memory:`.
    Memory,
    /// `sqlite:`, the store of this user in its default place.
    SqliteOfUser,
    /// `sqlite:PATH`.
    Sqlite(String),
    /// `postgres://…`, which may hold a password.
    Postgres(Secret),
}

impl StoreName {
    /// Parses the name. Its only look at the disk is whether the path is a folder. The error goes
    /// on after the option's name and shows nothing of the value.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(match text.to_ascii_lowercase().as_str() {
                word @ ("memory" | "sqlite") => format!("lacks a colon: write `{word}:`"),
                _ if mistake::is_path(text) => {
                    "is a path without the kind of store: write `sqlite:` in front of it".to_owned()
                }
                _ => FORMS.to_owned(),
            });
        };
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("has something behind `memory:`: write `memory:` alone".to_owned()),
            "sqlite" => sqlite(rest),
            "postgres" | "postgresql" => match mistake::found(text, Form::Url) {
                Some(what) => Err(what.to_owned()),
                None => Ok(Self::Postgres(Secret::new(text))),
            },
            _ => Err(match scheme.to_ascii_lowercase().as_str() {
                known @ ("memory" | "sqlite" | "postgres" | "postgresql") => {
                    format!("must be written in lower case: `{known}:`")
                }
                "sqlite3" | "file" => {
                    "must begin with `sqlite:`, then the path of the file".to_owned()
                }
                other if other.starts_with("sqlite+") => {
                    "must begin with `sqlite:`, then the path of the file".to_owned()
                }
                other if other.starts_with("postgres") => {
                    "must begin with `postgres://`, without the name of a driver".to_owned()
                }
                _ => FORMS.to_owned(),
            }),
        }
    }
}

fn sqlite(path: &str) -> Result<StoreName, String> {
    if path.is_empty() {
        return Ok(StoreName::SqliteOfUser);
    }
    let refuse = |what: &str| Err(what.to_owned());
    let lower = path.to_ascii_lowercase();
    if lower.contains(":memory:")
        || lower.contains("mode=memory")
        || lower.trim_matches(':') == "memory"
    {
        return refuse(
            "names SQLite's database in memory, which is no file: write `memory:` for a store in \
             memory",
        );
    }
    if path.starts_with("//") {
        return refuse(
            "is written as a URL: write `sqlite:/folder/file` for an absolute path, `sqlite:file` \
             for one below the current folder",
        );
    }
    if mistake::names_a_file(path) {
        return refuse(
            "holds `file:` behind `sqlite:`: write the path alone, `sqlite:/folder/file`",
        );
    }
    if path.starts_with(|c: char| c.is_ascii_whitespace()) {
        return refuse("has a space behind `sqlite:`: remove it");
    }
    if lower.contains("?mode=") || lower.contains("?cache=") || lower.contains("?vfs=") {
        return refuse(
            "holds parameters of SQLite's own URLs: write the path alone, `sqlite:/folder/file`",
        );
    }
    let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(what) = mistake::found(path, Form::Path)
        && !parent.is_some_and(Path::exists)
    {
        return refuse(what);
    }
    if path.ends_with(['/', '\\'])
        || Path::new(path).file_name().is_none()
        || Path::new(path).is_dir()
    {
        return refuse(
            "names a folder: write the path of a file in it, `sqlite:/folder/grants.db`",
        );
    }
    Ok(StoreName::Sqlite(path.to_owned()))
}

const FORMS: &str =
    "must be `memory:`, `sqlite:`, `sqlite:PATH` or `postgres://user:password@host:port/database`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_are_read() {
        assert_eq!(StoreName::parse("memory:"), Ok(StoreName::Memory));
        assert_eq!(StoreName::parse("sqlite:"), Ok(StoreName::SqliteOfUser));
        for path in [
            "a.db",
            "/x/a b/c.db",
            "C:\\x\\a.db",
            "./a.db",
            "../a",
            "/a$b/c.db",
            "/it's/a.db",
            "memory.db",
        ] {
            assert_eq!(
                StoreName::parse(&format!("sqlite:{path}")),
                Ok(StoreName::Sqlite(path.to_owned()))
            );
        }
        let url = "postgres://u:p$s\"x@h:1/d?sslmode=disable";
        assert_eq!(StoreName::parse(url), Ok(StoreName::Postgres(Secret::new(url))));
    }

    #[test]
    fn near_misses_are_told_the_right_spelling() {
        for (text, says) in [
            ("sqlite::memory:", "`memory:`"),
            ("sqlite:file::memory:", "`memory:`"),
            ("sqlite:file::memory:?cache=shared", "`memory:`"),
            ("sqlite:file:planted?mode=memory", "`memory:`"),
            ("sqlite::MEMORY:", "`memory:`"),
            ("sqlite:memory", "`memory:`"),
            ("sqlite::memory", "`memory:`"),
            ("sqlite://planted/x.db", "`sqlite:/folder/file`"),
            ("sqlite:///planted/x.db", "`sqlite:/folder/file`"),
            ("sqlite:file:planted.db", "`sqlite:/folder/file`"),
            ("sqlite:planted.db?cache=shared", "`sqlite:/folder/file`"),
            ("sqlite: /planted.db", "space"),
            ("sqlite:/planted/", "folder"),
            ("sqlite:.", "folder"),
            ("sqlite:..", "folder"),
            ("sqlite:/", "folder"),
            ("sqlite:\"/planted.db\"", "quotes"),
            ("sqlite:$HOME/planted.db", "placeholder"),
            ("sqlite:${HOME}/planted.db", "placeholder"),
            ("sqlite:~/planted.db", "`~`"),
            ("SQLite:planted.db", "`sqlite:`"),
            ("Memory:", "`memory:`"),
            ("memory", "`memory:`"),
            ("memory:planted", "`memory:`"),
            ("sqlite", "`sqlite:`"),
            ("sqlite3:planted.db", "`sqlite:`"),
            ("sqlite+pysqlite:///planted.db", "`sqlite:`"),
            ("file:planted.db", "`sqlite:`"),
            ("/var/lib/planted.db", "`sqlite:`"),
            ("postgresql+psycopg2://u:planted@h/d", "`postgres://`"),
            ("postgres://u:${PLANTED}@h/d", "placeholder"),
            ("mysql://u:planted@h/d", "`memory:`"),
            ("planted", "`memory:`"),
        ] {
            let said = StoreName::parse(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
            assert!(!said.to_lowercase().contains("planted"), "{text}: {said}");
        }
        let folder = tempfile::tempdir().unwrap();
        let said = StoreName::parse(&format!("sqlite:{}", folder.path().display())).unwrap_err();
        assert!(said.contains("folder"), "{said}");
        // A folder of that name is there: then it is no placeholder.
        std::fs::create_dir(folder.path().join("$HOME")).unwrap();
        assert!(
            StoreName::parse(&format!("sqlite:{}", folder.path().join("$HOME/a.db").display()))
                .is_ok()
        );
    }
}
