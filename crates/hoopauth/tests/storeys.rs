//! The order of the core's source files: a file imports only from storeys below its own.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
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
    let wrong = imports::upward(&src(), STOREYS, &KNOW_EACH_OTHER);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A stranger finds all methods of a type in one or two files.
#[test]
fn methods_of_a_type_stand_in_two_files_at_most() {
    let mut files: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (file, code) in imports::sources(&src()) {
        for line in code.lines().filter_map(|line| line.strip_prefix("impl")) {
            // `impl<T> Name<T> {`, and not `impl Trait for Name {`.
            let line = line.trim_start_matches(|c| c != ' ').trim_start();
            if !line.contains(" for ") {
                files.entry(imports::word(line)).or_default().insert(file.clone());
            }
        }
    }
    assert!(files.contains_key("Client") && files.contains_key("Inner"));
    for (name, files) in files {
        assert!(files.len() <= 2, "{name} has methods in {files:?}");
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
