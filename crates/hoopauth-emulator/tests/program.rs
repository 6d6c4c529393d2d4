//! The program: one line of addresses, then it ends with its stdin.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use common::*;
use serde_json::Value;

/// A started program and its addresses.
fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hoopauth-emulator"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    child.stdout = Some(stdout.into_inner());
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn it_prints_its_addresses_and_ends_with_its_stdin() {
    let (mut child, addresses) = start(&["--port", "0"]);
    let api = text(&addresses, "api").to_owned();
    assert!(api.starts_with("http://127.0.0.1:"));
    for (name, path) in [
        ("authorize", "/oauth/chooselocation"),
        ("token", "/oauth/token"),
        ("location_token", "/oauth/locationToken"),
        ("control", "/control"),
    ] {
        assert_eq!(addresses[name], format!("{api}{path}"));
    }
    Call::new("GET", &format!("{api}/control/statistics")).send().ok();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn flags_become_settings() {
    let (mut child, addresses) = start(&[
        "--window=0",
        "--lifetime=60",
        "--client-id=abc-1",
        "--client-secret=s",
        "--token-requests-per-minute=5",
        "--api-requests-per-10-seconds=0",
        "--casing=camel",
        "--error-style=rfc6749",
        "--locations=2",
        "--no-location-refresh-token",
    ]);
    let settings =
        Call::new("GET", &format!("{}/settings", text(&addresses, "control"))).send().ok().json();
    assert_eq!((&settings["window"], &settings["lifetime"]), (&0.into(), &60.into()));
    assert_eq!(settings["token_requests_per_minute"], 5);
    assert_eq!(settings["api_requests_per_10_seconds"], Value::Null);
    assert_eq!(
        (&settings["casing"], &settings["error_style"]),
        (&"camel".into(), &"rfc6749".into())
    );
    assert_eq!(settings["location_refresh_token"], false);
    let form = [
        ("client_id", "abc-1"),
        ("client_secret", "s"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
    ];
    let answer = Call::new("POST", text(&addresses, "token")).form(&form).send();
    assert_eq!(answer.json()["error"], "invalid_grant");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_stays_when_told_to() {
    let (mut child, addresses) = start(&["--stay"]);
    drop(child.stdin.take());
    Call::new("GET", &format!("{}/clock", text(&addresses, "control"))).send().ok();
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_taken_port_is_a_plain_error() {
    let (mut child, addresses) = start(&[]);
    let port = text(&addresses, "api").rsplit(':').next().unwrap();
    let second = Command::new(env!("CARGO_BIN_EXE_hoopauth-emulator"))
        .args(["--port", port])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!second.status.success() && second.stdout.is_empty());
    assert!(String::from_utf8(second.stderr).unwrap().starts_with("hoopauth-emulator: "));
    drop(child.stdin.take());
    child.wait().unwrap();
}
