//! Instructions per call, counted by callgrind: the same on every machine and under every load.

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
    let client = client_over(ACCOUNTS);
    let names: Vec<String> = (0..ACCOUNTS).map(name).collect();
    for i in indices(ACCOUNTS, CALLS as usize) {
        let name = black_box(&names[i as usize]);
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

/// All instructions of one run, or why they could not be counted.
fn count(program: &Path, mode: &str, calling: &str) -> Result<f64, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = directory.path().join("callgrind.out");
    let status = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([mode, calling])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    assert!(status.success(), "valgrind: {status}");
    let text = std::fs::read_to_string(&out).map_err(|error| format!("callgrind: {error}"))?;
    let total = |line: &str| {
        line.strip_prefix("summary:").or(line.strip_prefix("totals:"))?.trim().parse().ok()
    };
    text.lines().find_map(total).ok_or_else(|| "callgrind: no total".to_owned())
}

const ACCOUNTS: usize = 1_000;
const CALLS: u32 = 100_000;
