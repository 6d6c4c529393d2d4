//! Measures what hoopauth promises and prints JSON lines; the last ones are the promises. Exit
//! status 1: one is broken.
//!
//! Things that are compared run in turns, and each turn gives one ratio. A ratio whose spread
//! contains the limit is undecided and breaks no promise.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program that prints its results, and has nothing to do but stop where a \
              measurement fails"
)]

mod c;
#[path = "../../crates/hoopauth/tests/postgres/cluster.rs"]
mod cluster;
mod fixture;
mod fleet;
mod instructions;
mod many;
mod memory;
mod operations;
mod pairs;
mod python;
mod requests;
mod speed;
mod storm;
mod webhooks;

use std::collections::HashMap;
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use self::many::Many;
use self::pairs::{Limit, Pairs, Verdict};
use self::storm::Storm;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match arguments[..] {
        [] => return quoted(),
        ["all"] => return all(),
        ["more"] => return kept(&more()),
        ["loop-name", what] => instructions::loop_name(what == "call"),
        ["loop-many", what] => instructions::loop_many(what == "call"),
        ["loop-handle", what] => instructions::loop_handle(what == "call"),
        ["speed", accounts] => speed::compare(number(accounts)),
        ["threads", accounts] => speed::compare_threads(number(accounts)),
        ["c"] => drop(c::Programs::build().measure()),
        ["compare"] => drop(speed::measure(&c::Programs::build())),
        ["cold-start"] => drop(c::Programs::build().cold_starts()),
        ["fleet"] => drop(fleet::measure()),
        ["fleet_largest"] => drop(fleet::largest()),
        ["fleet_troubled"] => drop(fleet::troubled()),
        ["operations"] => return kept(&operations_promises()),
        ["python"] => return kept(&python_promises()),
        ["storm"] => return kept(&storm_promises(&storm::measure_all())),
        ["serve"] => requests::serve(),
        ["requests"] => return kept(&request_promises(&c::Programs::build())),
        ["requests-compare", url] => requests::compare(url),
        ["requests-bare", url] => requests::bare(url),
        ["webhooks"] => return kept(&webhook_promises(&c::Programs::build())),
        ["webhooks", file] => webhooks::in_rust(file),
        ["storm-process"] => storm::process(),
        ["many"] => return kept(&many_promises(&many::measure())),
        ["store-open", path, account] => println!("{}", many::open_once(path, account)),
        ["bytes", accounts] => println!("{}", memory::bytes_per_account(number(accounts))),
        _ => {
            eprintln!(
                "usage: hoopauth-bench [all | more | loop-name call|bare | loop-many call|bare | \
                 loop-handle call|bare | speed ACCOUNTS | threads ACCOUNTS | c | cold-start | \
                 fleet | fleet_largest | fleet_troubled | operations | python | requests | \
                 webhooks | storm | many | bytes ACCOUNTS]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The table that people quote: a few minutes.
fn quoted() -> ExitCode {
    let programs = c::Programs::build();
    kept(&quoted_promises(&programs))
}

/// The table, and everything that takes long.
fn all() -> ExitCode {
    let programs = c::Programs::build();
    let mut promises = quoted_promises(&programs);
    promises.extend(more());
    kept(&promises)
}

fn quoted_promises(programs: &c::Programs) -> Vec<bool> {
    let speed = speed::measure(programs);
    let by_name = instructions::measure("rust", "loop-name");
    let by_handle = instructions::measure("handle", "loop-handle");
    let misses = instructions::cache_misses();
    let storms = storm::measure_all();
    let c = programs.measure();
    let mut promises = vec![
        decided("headers_1", &speed.name, Limit::AtMost(0.75)),
        decided("headers_handle_1", &speed.handle, Limit::AtMost(0.35)),
        at_most("headers_instructions", by_name, 400.0),
        at_most("headers_instructions_handle", by_handle, 120.0),
        at_most("headers_cache_misses", misses, 5.0),
        decided("c_headers_1", &speed.c_name, Limit::AtMost(0.75)),
        decided("c_headers_handle_1", &speed.c_handle, Limit::AtMost(0.4)),
        at_most("c_headers_instructions", c.by_name, 450.0),
        at_most("c_headers_instructions_handle", c.by_handle, 150.0),
        decided("c_cold_start", &c.over_floor_ms, Limit::AtMost(2.0)),
        decided("c_cold_start_sqlite", &c.sqlite_over_floor_ms, Limit::AtMost(4.0)),
        at_most("library_bytes", Some(c.library_bytes), 7e6),
    ];
    promises.extend(storm_promises(&storms));
    promises.extend(operations_promises());
    promises.extend(python_promises());
    promises.extend(request_promises(programs));
    promises.extend(webhook_promises(programs));
    promises
}

/// Sizes and simulations that take long.
fn more() -> Vec<bool> {
    let programs = c::Programs::build();
    let large = speed::measure_large(&programs);
    let ratio = memory::measure();
    let many = many::measure();
    let fleet = fleet::measure();
    let mut promises = vec![
        decided("headers_two_threads", &large.two_threads, Limit::AtLeast(1.8)),
        at_most("bytes_per_account_ratio", Some(ratio), 1.35),
        at_most("fleet_expired_calls", Some(fleet.expired_calls), 0.0),
        at_most("fleet_peak_per_minute", Some(fleet.peak_per_minute), 5.0),
        at_most("fleet_troubled_expired_calls", Some(fleet.troubled_expired_calls), 0.0),
        promise("fleet_largest", Some(fleet.largest), 6_840.0, fleet.largest >= 6_840.0),
    ];
    promises.extend(many_promises(&many));
    promises.extend(python_promises_large());
    promises
}

fn storm_promises(storms: &[(&str, Storm)]) -> Vec<bool> {
    let promises = storms.iter().flat_map(|(name, storm)| {
        let once = (storm.requests - 1.0).abs() < f64::EPSILON;
        [
            promise(&format!("{name}_requests"), Some(storm.requests), 1.0, once),
            at_most(&format!("{name}_failures"), Some(storm.failures), 0.0),
        ]
    });
    promises.collect()
}

fn many_promises(many: &Many) -> Vec<bool> {
    vec![
        at_most("store_open", Some(many.open_ms), 20.0),
        at_most("store_refresh_write", Some(many.write_ratio), 2.0),
        at_most("store_file_ratio", Some(many.file_ratio), 1.6),
    ]
}

fn operations_promises() -> Vec<bool> {
    let operations = operations::measure();
    vec![
        at_most("operations_lookup", Some(operations.lookup_ns), 1_000.0),
        at_most("operations_bytes", Some(operations.bytes), 65_536.0),
    ]
}

fn python_promises() -> Vec<bool> {
    let python = python::measure();
    vec![
        decided("python_headers_1", &python.headers, Limit::AtMost(2.5)),
        decided("python_cold_start_over_floor_ms", &python.over_floor_ms, Limit::AtMost(15.0)),
        decided(
            "python_cold_start_sqlite_over_floor_ms",
            &python.sqlite_over_floor_ms,
            Limit::AtMost(20.0),
        ),
        at_most("wheel_bytes", Some(python.wheel_bytes), 6e6),
    ]
}

/// After [`python_promises`], which installs the wheel.
fn python_promises_large() -> Vec<bool> {
    let promises = python::headers_large()
        .into_iter()
        .map(|(n, ratios)| decided(&format!("python_headers_{n}"), &ratios, Limit::AtMost(2.5)));
    promises.collect()
}

/// After [`python_promises`], which installs the wheel.
fn request_promises(c: &c::Programs) -> Vec<bool> {
    let overhead = requests::measure(c);
    [
        ("rust", overhead.rust),
        ("c", overhead.c),
        ("python", overhead.python),
        ("python_httpx", overhead.httpx),
    ]
    .map(|(via, ratios)| decided(&format!("request_overhead_{via}"), &ratios, Limit::AtMost(1.05)))
    .to_vec()
}

/// After [`python_promises`], which installs the wheel.
fn webhook_promises(c: &c::Programs) -> Vec<bool> {
    let ratios = webhooks::measure(c);
    let promises = ratios.iter().map(|(via, scheme, ratios)| match *via {
        "python" => {
            decided(&format!("webhook_verify_ratio_python_{scheme}"), ratios, Limit::AtLeast(0.90))
        }
        _ => decided(&format!("webhook_verify_ratio_{via}_{scheme}"), ratios, Limit::AtLeast(0.95)),
    });
    promises.collect()
}

fn kept(promises: &[bool]) -> ExitCode {
    if promises.iter().all(|kept| *kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A value that could not be measured is not kept either: a promise is shown or it is not.
fn at_most(name: &str, value: Option<f64>, limit: f64) -> bool {
    promise(name, value, limit, value.is_some_and(|value| value <= limit))
}

/// A promise about pairs.
fn decided(name: &str, pairs: &Pairs, limit: Limit) -> bool {
    let verdict = pairs.judge(limit);
    let (value, spread) = (rounded(pairs.median()), pairs.spread());
    let mut line = json!({
        "bench": "promise", "name": name, "value": value, "limit": rounded(limit.value()),
        "ok": verdict == Verdict::Kept,
    });
    if verdict == Verdict::Undecided {
        line["ok"] = Value::Null;
        line["undecided"] = json!(true);
    }
    if let (Some(line), Value::Object(spread)) = (line.as_object_mut(), spread) {
        line.extend(spread);
    }
    println!("{line}");
    verdict != Verdict::Broken
}

fn promise(name: &str, value: Option<f64>, limit: f64, ok: bool) -> bool {
    let value = value.map(rounded);
    println!(
        "{}",
        json!({"bench": "promise", "name": name, "value": value, "limit": rounded(limit), "ok": ok})
    );
    ok
}

/// Prints one measurement; `more` is an object of further keys.
fn line(bench: &str, via: &str, n: usize, value: Option<f64>, unit: &str, more: Value) {
    let value = value.map(rounded);
    let mut line = json!({"bench": bench, "via": via, "n": n, "value": value, "unit": unit});
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    println!("{line}");
}

/// Runs programs some times, each run in a process of its own with memory of its own. They take
/// turns, so that whatever slows the machine down meets all of them. Prints their lines with the
/// medians, and returns the values of the runs by the names of their benches.
fn in_turns(runs: usize, programs: &[&dyn Fn() -> Command]) -> Vec<HashMap<String, Vec<f64>>> {
    let rounds: Vec<Vec<Vec<Value>>> = (0..runs)
        .map(|_| programs.iter().map(|program| lines_of(&mut program())).collect())
        .collect();
    let values = (0..programs.len()).map(|program| {
        let first: &[Value] = &rounds[0][program];
        let named = first.iter().enumerate().map(|(index, line)| {
            let value =
                |round: &Vec<Vec<Value>>| round[program][index]["value"].as_f64().expect("a value");
            let values: Vec<f64> = rounds.iter().map(value).collect();
            let mut line = line.clone();
            line["value"] = json!(median(values.clone()));
            println!("{line}");
            (line["bench"].as_str().expect("a name").to_owned(), values)
        });
        named.collect()
    });
    values.collect()
}

fn lines_of(program: &mut Command) -> Vec<Value> {
    let output = program.output().expect("a program that starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON lines");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Number of processes that measure a size at which it matters where their memory lies.
const PROCESSES: usize = 5;

/// This program again, in a process that holds nothing yet.
fn again() -> Command {
    Command::new(std::env::current_exe().expect("the path of this program"))
}
