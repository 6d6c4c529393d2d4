//! The order of the core's source files: a file imports only from storeys below its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The storeys from the ground up, in `docs/architecture.md` with their reasons.
///
/// A name is a file or a folder of `src`. It may import the names that stand before it in this
/// list. The files of a folder may import each other.
const STOREYS: &[&str] = &[
    // 0: no rules of this library.
    "redact mistake members sync secret error account callback clock process patience web_url \
     calls context host_log",
    // 1: options as types, and parts that know nothing of grants.
    "certificates proxy transport response store_name store_key options operations credential \
     settings snapshot seal jobs steps",
    // 2: what grants are made of, and what answers mean.
    "store keys cache headers refusal limits authorize deliveries",
    // 3: the only place that reads and writes rows.
    "grants",
    // 4: tokens from the platform.
    "refresh",
    // 5: locations of a company; the parts of a client.
    "installs inner",
    // 6: the calls of a program.
    "serve login within request webhook client",
    // 7: making a client.
    "builder binding lib",
];

/// An error names its account, and a wrong account is an error.
const KNOW_EACH_OTHER: [&str; 2] = ["error", "account"];

#[test]
fn files_import_only_from_below() {
    let places: BTreeMap<&str, usize> =
        STOREYS.iter().flat_map(|storey| storey.split_whitespace()).zip(0..).collect();
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let own = name_of(&file);
        let Some(place) = places.get(own.as_str()) else {
            wrong.push(format!("{} is in no storey", file.display()));
            continue;
        };
        // What a crate shows to its users is of any storey.
        if own == "lib" {
            continue;
        }
        for import in imports(&code) {
            let knows = |name: &str| KNOW_EACH_OTHER.contains(&name);
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
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A stranger finds all methods of a type in one or two files.
#[test]
fn methods_of_a_type_stand_in_two_files_at_most() {
    let mut files: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (file, code) in sources() {
        for line in code.lines().filter_map(|line| line.strip_prefix("impl")) {
            // `impl<T> Name<T> {`, and not `impl Trait for Name {`.
            let line = line.trim_start_matches(|c| c != ' ').trim_start();
            if !line.contains(" for ") {
                files.entry(word(line)).or_default().insert(file.clone());
            }
        }
    }
    assert!(files.contains_key("Client") && files.contains_key("Inner"));
    for (name, files) in files {
        assert!(files.len() <= 2, "{name} has methods in {files:?}");
    }
}

/// All files of the core without comments and unit tests, by their paths in `src`.
fn sources() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&src).unwrap().to_owned();
                if !is_test(&path) {
                    found.push((path, code_of(&text)));
                }
            }
        }
    }
    assert!(found.len() > 60, "only {} files were found", found.len());
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
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
