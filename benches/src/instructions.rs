//! Instructions and cache misses per call, counted by valgrind: the same on every machine and under
//! every load.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopauth::AccountHandle;
use serde_json::json;

use crate::fixture::{client_over, indices, name};
use crate::line;

/// Counts the instructions that each call adds to the same loop without calls; `None` without
/// valgrind. A run that fails is a broken benchmark.
pub(crate) fn measure(via: &str, mode: &str) -> Option<f64> {
    let program = std::env::current_exe().expect("the path of this program");
    measure_program(via, &program, mode)
}

/// Measures, as [`measure`] does, another program with the same modes.
pub(crate) fn measure_program(via: &str, program: &Path, mode: &str) -> Option<f64> {
    let value = match (count(program, mode, "bare"), count(program, mode, "call")) {
        (Ok(bare), Ok(calls)) => (calls - bare) / f64::from(CALLS),
        (Err(missing), _) | (_, Err(missing)) => {
            line(
                "headers_instructions",
                via,
                ACCOUNTS,
                None,
                "instructions",
                json!({"missing": missing}),
            );
            return None;
        }
    };
    line("headers_instructions", via, ACCOUNTS, Some(value), "instructions", json!({}));
    Some(value)
}

// Functions of their own: within a larger one they would be counted with its want of registers.
#[inline(never)]
pub(crate) fn loop_name(calling: bool) {
    loop_over(ACCOUNTS, calling);
}

/// Does the same as [`loop_name`], over so many accounts that no simulated cache holds them.
#[inline(never)]
pub(crate) fn loop_many(calling: bool) {
    loop_over(MANY_ACCOUNTS, calling);
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "counted as it stands in the loop that calls it")]
fn loop_over(accounts: usize, calling: bool) {
    let client = client_over(accounts);
    // In the order of the calls, as a program has the names: reading one misses no cache.
    let names: Vec<String> =
        indices(accounts, CALLS as usize).into_iter().map(|i| name(i as usize)).collect();
    for name in &names {
        let name = black_box(name);
        if calling {
            black_box(client.headers_for(name, "GET").unwrap());
        }
    }
}

#[inline(never)]
pub(crate) fn loop_handle(calling: bool) {
    let client = client_over(ACCOUNTS);
    let handles: Vec<AccountHandle> =
        (0..ACCOUNTS).map(|i| client.account(&name(i)).unwrap()).collect();
    for i in indices(ACCOUNTS, CALLS as usize) {
        let handle = black_box(&handles[i as usize]);
        if calling {
            black_box(handle.headers("GET").unwrap());
        }
    }
}

/// Counts the misses of the last cache that each call adds, over accounts that the simulated caches
/// don't hold; `None` without valgrind. The caches are simulated with fixed sizes, so the count
/// does not depend on the machine.
pub(crate) fn cache_misses() -> Option<f64> {
    let program = std::env::current_exe().expect("the path of this program");
    let counted = |calling| count_misses(&program, "loop-many", calling);
    let (value, more) = match (counted("bare"), counted("call")) {
        (Ok(bare), Ok(calls)) => (Some((calls - bare) / f64::from(CALLS)), json!({})),
        (Err(missing), _) | (_, Err(missing)) => (None, json!({"missing": missing})),
    };
    line("headers_cache_misses", "rust", MANY_ACCOUNTS, value, "misses", more);
    value
}

/// Counts all misses of the last cache of one run.
fn count_misses(program: &Path, mode: &str, calling: &str) -> Result<f64, String> {
    let caches = ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"];
    let text = valgrind("cachegrind", &caches, program, mode, calling)?;
    let events = text.lines().find_map(|line| line.strip_prefix("events: "));
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let (Some(events), Some(summary)) = (events, summary) else {
        return Err("cachegrind: no summary".to_owned());
    };
    let counts = events.split(' ').zip(summary.split(' '));
    let misses = counts.filter(|(event, _)| ["DLmr", "DLmw"].contains(event));
    misses.map(|(_, count)| count.parse::<f64>().map_err(|error| error.to_string())).sum()
}

/// All instructions of one run, or why they could not be counted.
fn count(program: &Path, mode: &str, calling: &str) -> Result<f64, String> {
    let text = valgrind("callgrind", &[], program, mode, calling)?;
    let total = |line: &str| {
        line.strip_prefix("summary:").or(line.strip_prefix("totals:"))?.trim().parse().ok()
    };
    text.lines().find_map(total).ok_or_else(|| "callgrind: no total".to_owned())
}

/// Runs a program under a tool of valgrind, and returns what the tool wrote.
fn valgrind(
    tool: &str,
    options: &[&str],
    program: &Path,
    mode: &str,
    calling: &str,
) -> Result<String, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = directory.path().join("out");
    let status = Command::new("valgrind")
        .arg(format!("--tool={tool}"))
        .arg(format!("--{tool}-out-file={}", out.display()))
        .args(options)
        .arg(program)
        .args([mode, calling])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    assert!(status.success(), "valgrind: {status}");
    std::fs::read_to_string(&out).map_err(|error| format!("{tool}: {error}"))
}

const ACCOUNTS: usize = 1_000;
/// Ten times what the simulated caches hold.
const MANY_ACCOUNTS: usize = 20_000;
const CALLS: u32 = 100_000;
