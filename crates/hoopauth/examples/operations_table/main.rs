//! Prints what `make operations` writes: `table`, the source of the sorted table of operations, or
//! `page`, `docs/scopes.md`.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod generate;

use std::process::ExitCode;

fn main() -> ExitCode {
    let text = match std::env::args().nth(1).as_deref() {
        Some("table") => generate::table(generate::OPERATIONS),
        Some("page") => generate::page(generate::OPERATIONS),
        _ => Err("usage: operations_table table|page".to_owned()),
    };
    match text {
        Ok(text) => print!("{text}"),
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
