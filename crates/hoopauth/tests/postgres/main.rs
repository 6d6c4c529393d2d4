//! The PostgreSQL store with a real server and real processes, which are killed.
#![cfg(all(unix, feature = "postgres", feature = "sqlite", feature = "reqwest"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::exit)]

#[path = "../common/mod.rs"]
mod common;

// What is true of every store that processes share.
#[path = "../sqlite/child.rs"]
mod child;
#[allow(dead_code, reason = "the site here goes before")]
#[path = "../sqlite/site.rs"]
mod files;
#[path = "../sqlite/fork.rs"]
mod fork;
#[path = "../sqlite/kills.rs"]
mod kills;
#[path = "../sqlite/together.rs"]
mod together;

mod cluster;
mod faults;
mod outages;
mod sealing;
mod site;

/// There is nothing that the child processes of these tests alone do.
fn play(role: &str, _: &str) {
    panic!("no role {role}");
}
