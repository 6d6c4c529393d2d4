//! The examples in C and C++ do what they say.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod programs;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_IDS,
    DEFAULT_LOCATION_PRIVATE_INTEGRATION, DEFAULT_SCOPES, Emulator,
};
use programs::{Programs, root, run, succeed, text};

const C: &[&str] = &["-std=c11", "-D_DEFAULT_SOURCE"];
const CPP: &[&str] = &["-std=c++17"];

#[test]
fn the_demos_tell_the_whole_story() {
    for (programs, demo) in both("demo") {
        let mut command = programs.command(&root().join("examples/with_emulator.sh"));
        // What is set for production does not get in the way.
        command.env("HOOPAI_TOKEN", "pit-of-production").env("HOOPAUTH_STORE", "nonsense:");
        let said = succeed(command.arg(&demo));
        for (number, part) in [
            (2, "Private Integration token calls the API: 200"),
            (4, "location:hoopLocation00000001 is authorized"),
            (5, "STATE_MISMATCH"),
            (7, "401"),
            (8, "refreshes it, once, and the API answers 200"),
            (9, "REAUTHORIZATION_REQUIRED"),
        ] {
            let line = said.lines().find(|line| line.starts_with(&format!("{number}. "))).unwrap();
            assert!(line.contains(part), "{said}");
        }
        assert!(said.ends_with("all of it as it should be\n"), "{said}");
    }
}

#[test]
fn a_demo_fails_where_anything_is_off() {
    for (programs, demo) in both("demo") {
        // The control is another emulator's: nothing expires where the API is.
        let emulator = Emulator::start(Config::default()).unwrap();
        let mut command = programs.command(&root().join("examples/with_emulator.sh"));
        let control = format!("EMULATOR_CONTROL={}", emulator.control());
        let output = run(command.args(["env", &control]).arg(&demo));
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("the expired token is refused"), "{}", text(&output));
    }
}

#[test]
fn a_private_integration_calls_the_api() {
    let emulator = Emulator::start(Config::default()).unwrap();
    for (programs, program) in both("private_integration") {
        let mut command = programs.command(&program);
        command
            .env("HOOPAI_TOKEN", DEFAULT_LOCATION_PRIVATE_INTEGRATION)
            .env("HOOPAUTH_API_BASE", emulator.api());
        let said = succeed(command.env("LOCATION_ID", DEFAULT_LOCATION_IDS[0]));
        assert!(said.starts_with("200: ") && said.contains(DEFAULT_LOCATION_IDS[0]), "{said}");
        // A token that is not one is told.
        command.env("HOOPAI_TOKEN", "pit-a b");
        let output = run(&mut command);
        assert!(
            output.status.code() == Some(1) && text(&output).contains("token"),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn a_login_goes_on_after_its_token_is_refused() {
    for (programs, program) in both("oauth") {
        let emulator = Emulator::start(Config::default()).unwrap();
        // The first API call is refused as if the token had expired.
        emulator.add_fault(hoopauth_emulator::Fault::status(
            hoopauth_emulator::Endpoint::Api,
            401,
            r#"{"message":"Invalid JWT"}"#,
        ));
        let (status, said) = log_in(&emulator, programs.command(&program));
        assert!(status.success() && said.contains("200: "), "{said}");
        assert!(
            said.contains(&format!("authorized location:{}", DEFAULT_LOCATION_IDS[0])),
            "{said}"
        );
        assert_eq!(emulator.statistics().rotations, 1);
    }
}

/// Plays the user: approves, and pastes where the browser ends at.
fn log_in(emulator: &Emulator, mut command: Command) -> (std::process::ExitStatus, String) {
    command
        .env("HOOPAUTH_STORE", "memory:")
        .env("HOOPAUTH_CLIENT_ID", DEFAULT_CLIENT_ID)
        .env("HOOPAUTH_CLIENT_SECRET", DEFAULT_CLIENT_SECRET)
        .env("HOOPAUTH_REDIRECT_URI", "https://app.example/callback")
        .env("HOOPAUTH_SCOPES", DEFAULT_SCOPES.join(" "))
        .env("HOOPAUTH_API_BASE", emulator.api())
        .env("HOOPAUTH_AUTHORIZE_URL", emulator.authorize_url())
        .env("HOOPAUTH_TOKEN_URL", emulator.token());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut page = String::new();
    output.read_line(&mut page).unwrap();
    let state =
        page.split("state=").nth(1).and_then(|rest| rest.split(['&', '\n']).next()).unwrap();
    let account = format!("location:{}", DEFAULT_LOCATION_IDS[0]);
    let code = emulator.authorize(&account, &DEFAULT_SCOPES).unwrap();
    let redirect = format!("https://app.example/callback?code={code}&state={state}\n");
    child.stdin.take().unwrap().write_all(redirect.as_bytes()).unwrap();
    let mut said = String::new();
    output.read_to_string(&mut said).unwrap();
    (child.wait().unwrap(), said)
}

/// An example in C and in C++.
fn both(name: &str) -> [(Programs, PathBuf); 2] {
    let (first, second) = (Programs::new(), Programs::new());
    let c = first.c(&format!("examples/c/{name}.c"), C);
    let cpp = second.cpp(&format!("examples/cpp/{name}.cpp"), CPP);
    [(first, c), (second, cpp)]
}
