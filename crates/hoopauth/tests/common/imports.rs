//! Reads the imports of a crate's source files, for the tests of the order of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names every import in the folder `src` that is not from a lower storey.
///
/// `storeys` lists the names of files and folders from the ground up. A name may import the names
/// that stand before it. The files of a folder may import each other, and so may the names in
/// `know_each_other`.
pub(crate) fn upward(src: &Path, storeys: &[&str], know_each_other: &[&str]) -> Vec<String> {
    let places: BTreeMap<&str, usize> =
        storeys.iter().flat_map(|storey| storey.split_whitespace()).zip(0..).collect();
    let mut wrong = Vec::new();
    for (file, code) in sources(src) {
        let own = name_of(&file);
        let Some(place) = places.get(own.as_str()) else {
            wrong.push(format!("{} is in no storey", file.display()));
            continue;
        };
        // A crate shows names of all storeys to its users.
        if own == "lib" {
            continue;
        }
        for import in imports(&code) {
            let knows = |name: &str| know_each_other.contains(&name);
            if import == own || knows(&own) && knows(&import) {
                continue;
            }
            let why = match places.get(import.as_str()) {
                Some(of) if of < place => continue,
                Some(_) => "stands above",
                None => "is no file",
            };
            wrong.push(format!("{} imports {import}, which {why}", file.display()));
        }
    }
    wrong
}

/// All files below `src` without comments and unit tests, by their paths in it.
pub(crate) fn sources(src: &Path) -> Vec<(PathBuf, String)> {
    let mut folders = vec![src.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(src).unwrap().to_owned();
                if !is_test(&path) {
                    found.push((path, code_of(&text)));
                }
            }
        }
    }
    assert!(found.len() > 25, "only {} files were found", found.len());
    found
}

/// Tests may use the whole crate.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path == Path::new("store/contract.rs")
}

fn code_of(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The name of a file's storey: its folder in `src`, or the file itself.
fn name_of(path: &Path) -> String {
    let first = path.components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

/// The names behind `crate::`.
fn imports(code: &str) -> BTreeSet<String> {
    assert!(!code.contains("use crate::{") && !code.contains("crate::*"), "one name per import");
    code.split("crate::").skip(1).map(word).collect()
}

/// The name with which a text begins.
pub(crate) fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
