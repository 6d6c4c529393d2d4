//! Memory per account, in a process that holds nothing else.

use serde_json::json;

use crate::fixture::{TOKEN_BYTES, empty_client, fill};
use crate::{again, line, median};

/// Measures in fresh processes; answers bytes per account over bytes per token.
#[allow(clippy::cast_precision_loss, reason = "900 is exact")]
pub(crate) fn measure() -> f64 {
    let values = (0..3)
        .map(|_| {
            let output = again().args(["bytes", &ACCOUNTS.to_string()]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
        })
        .collect();
    let value = median(values);
    let ratio = value / TOKEN_BYTES as f64;
    let more = json!({"token_bytes": TOKEN_BYTES, "ratio": crate::rounded(ratio)});
    line("bytes_per_account", "rust", ACCOUNTS, Some(value), "bytes", more);
    ratio
}

/// Measures the bytes that this process grows for each account when a client takes in `accounts`
/// accounts.
#[allow(clippy::cast_precision_loss, reason = "a few gigabytes are exact")]
pub(crate) fn bytes_per_account(accounts: usize) -> f64 {
    // What is set up once is no account's.
    fill(&empty_client(), 0..100);
    let client = empty_client();
    let before = resident_pages();
    fill(&client, 0..accounts);
    let grown = resident_pages() - before;
    drop(client);
    (grown * page_bytes()) as f64 / accounts as f64
}

fn resident_pages() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    text.split_whitespace().nth(1).expect("the resident pages").parse().expect("a number")
}

fn page_bytes() -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("/proc/self/smaps");
    let line =
        smaps.lines().find(|line| line.starts_with("KernelPageSize:")).expect("the page size");
    line.split_whitespace().nth(1).expect("kilobytes").parse::<usize>().expect("a number") * 1024
}

const ACCOUNTS: usize = 1_000_000;
