//! The conformance cases, played by the runners in C and C++; and cases that must fail, which they
//! do not let pass.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod programs;

use std::path::{Path, PathBuf};

use programs::{Programs, SANITIZED, root, run, succeed, text};

#[test]
fn every_case_passes_in_c_and_no_wrong_one() {
    let programs = Programs::new();
    let runner = programs.c("tests/c/cases.c", &[&["-std=gnu11"], SANITIZED].concat());
    play(&programs, &runner);
}

#[test]
fn every_case_passes_in_cpp_and_no_wrong_one() {
    let programs = Programs::new();
    let runner = programs.cpp("tests/cpp/cases.cpp", &["-std=c++17"]);
    play(&programs, &runner);
}

fn play(programs: &Programs, runner: &Path) {
    let files = files("tests/cases");
    let count: usize = files.iter().map(|file| cases(file).len()).sum();
    assert!(count >= 30, "only {count} cases were found");
    let said = succeed(programs.command(runner).args(&files));
    assert_eq!(said.lines().last(), Some(format!("{count} passed, 0 failed").as_str()), "{said}");
    for case in files.iter().flat_map(|file| cases(file)) {
        assert!(said.contains(&format!("passed: {case}\n")), "{case} is not named: {said}");
    }

    for file in self::files("tests/cases/wrong") {
        let count = cases(&file).len();
        // What a case that fails leaves behind is nobody's matter.
        let output = run(programs.command(runner).env("ASAN_OPTIONS", "detect_leaks=0").arg(&file));
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stdout);
        let last = format!("0 passed, {count} failed");
        assert_eq!(said.lines().last(), Some(last.as_str()), "{}", text(&output));
    }
    // No cases at all are no success.
    assert_eq!(run(&mut programs.command(runner)).status.code(), Some(1));
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension().is_some_and(|ending| ending == "json")
                && !path.ends_with("schema.json")
        })
        .collect();
    files.sort();
    files
}

/// The names of a file's cases.
fn cases(file: &Path) -> Vec<String> {
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    cases.iter().map(|case| case["name"].as_str().unwrap().to_owned()).collect()
}
