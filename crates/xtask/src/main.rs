//! Writes the files of this tree that follow from its sources: `xtask generate`. With `--check`, it
//! writes nothing, names the files that differ and fails.

#![allow(clippy::print_stdout, reason = "a command that speaks to a person")]

mod api;
mod blocks;
mod c;
mod header;
#[path = "../../hoopauth/src/operations/pack.rs"]
mod pack;
mod pages;
mod python;
mod sources;
mod twins;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::sources::Sources;

/// A generated file: its path in the tree, and its text.
type File = (&'static str, String);

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["generate"] => generate(false),
        ["generate", "--check"] => generate(true),
        _ => Err("usage: xtask generate [--check]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Makes all files. `check` compares them with the tree instead of writing them.
fn generate(check: bool) -> Result<()> {
    let sources = Sources::read()?;
    // cbindgen reads the status codes, which are generated, from the tree.
    let mut differ =
        settle(vec![("crates/hoopauth-capi/src/status.rs", c::status(&sources)?)], check)?;
    differ.extend(settle(files(&sources)?, check)?);
    if differ.is_empty() {
        return Ok(());
    }
    if check {
        return Err(format!("run `make generate` and commit: {} differ", differ.join(", ")));
    }
    println!("wrote {}", differ.join(", "));
    Ok(())
}

fn files(sources: &Sources) -> Result<Vec<File>> {
    let header = header::text(sources)?;
    let declarations = c::declarations(&header);
    Ok(vec![
        ("bindings/api.json", api::json(sources, &declarations)?),
        ("bindings/cpp/include/hoopauth.hpp", twins::replace(&c::cpp(sources)?)?),
        ("crates/hoopauth/src/operations/table.rs", pack::table(pack::OPERATIONS)?),
        ("docs/errors.md", pages::errors(sources)),
        ("docs/options.md", hoopauth::binding::options_page()),
        ("docs/scopes.md", pack::page(pack::OPERATIONS)?),
        ("include/hoopauth.h", header),
        ("python/README.md", pages::python_manual(sources)?),
        ("python/hoopauth/__init__.py", python::package(sources)?),
        ("python/hoopauth/_errors.py", python::errors(sources)?),
        ("python/hoopauth/scopes.py", python::scopes(sources)?),
        ("python/hoopauth/types.py", python::types()?),
        ("tests/c/symbols.txt", c::symbols(&declarations)),
    ])
}

/// Writes the files that differ from the tree, and names them; `check` only names them.
fn settle(files: Vec<File>, check: bool) -> Result<Vec<&'static str>> {
    let mut differ = Vec::new();
    for (path, text) in files {
        if std::fs::read_to_string(root().join(path)).is_ok_and(|committed| committed == text) {
            continue;
        }
        differ.push(path);
        if !check {
            std::fs::write(root().join(path), text).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    Ok(differ)
}

/// The tree that this program was built in.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}
