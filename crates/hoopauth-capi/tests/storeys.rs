//! The order of the C library's source files: a file imports only from files below its own.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../hoopauth/tests/common/imports.rs"]
#[allow(dead_code, reason = "the core's test uses all of it")]
mod imports;

use std::path::Path;

/// The files from the ground up. A file may import the files that stand before it in this list.
const STOREYS: &[&str] = &[
    // 0: pointers, text and handles; no noun of C's.
    "version status argument handle lent callbacks answer ready",
    // 1: errors, and the guard that hands them out.
    "error guard",
    // 2: nouns that need no client.
    "text context failure log headers response grant operations account",
    // 3: the making of a client.
    "config panics clock change transport store",
    // 4: the client.
    "client",
    // 5: more calls of a client, and their results.
    "request limits installed authorization health maintenance",
    // 6: webhooks.
    "webhook_config webhook_delivery webhook_verifier",
    "lib",
];

#[test]
fn files_import_only_from_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong = imports::upward(&src, STOREYS, &[]);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
