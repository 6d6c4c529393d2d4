//! The SQLite store with real files and real processes, which are killed.
#![cfg(all(unix, feature = "sqlite", feature = "reqwest"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::exit)]

#[path = "../common/mod.rs"]
mod common;

mod child;
mod faults;
mod fork;
mod kills;
mod sealing;
mod site;
mod stopped;
mod together;
mod webhooks;

/// Roles of child processes that only these tests have.
fn play(role: &str, argument: &str) {
    match role {
        "meet a fault" => faults::meet(argument),
        "handle a webhook in a fork" => webhooks::handle_in_a_fork(argument),
        "handle a webhook" => webhooks::handle(argument),
        other => panic!("no role {other}"),
    }
}
