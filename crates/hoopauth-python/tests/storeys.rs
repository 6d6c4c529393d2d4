//! The order of the Python module's source files: a file imports only from files below its own.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../hoopauth/tests/common/imports.rs"]
#[allow(dead_code, reason = "the core's test uses all of it")]
mod imports;

use std::path::Path;

/// The files from the ground up. A file or folder may import those that stand before it in this
/// list. The files of a folder may import each other.
const STOREYS: &[&str] = &[
    // 0: exceptions, and values as Python gives them.
    "answer error number header",
    // 1: the border to what the program brings: its objects, its greenlets, its log.
    "in_call green reentry log callback text option",
    // 2: values of the core as Python objects, and the program's objects as traits of the core.
    "clock context response request grant health limits operation change store transport",
    // 3: the parts behind a client, and calls that wait.
    "live owner wait",
    // 4: objects that belong to a client.
    "installed pending maintenance webhook",
    // 5: the client.
    "client",
    // 6: its end, and requests of other libraries.
    "exit foreign",
    "lib",
];

#[test]
fn files_import_only_from_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong = imports::upward(&src, STOREYS, &[]);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
