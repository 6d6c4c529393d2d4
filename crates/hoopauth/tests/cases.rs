//! The Rust runner of the conformance cases in `tests/cases`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{World, approve};
use hoopauth::{Account, Client, Error, Headers, Report};
use hoopauth_emulator::{Casing, Endpoint, Fault, FaultKind};
use serde_json::Value;

#[test]
fn every_case_passes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") || path.ends_with("schema.json") {
            continue;
        }
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in cases {
            println!("{}: {}", path.file_name().unwrap().to_string_lossy(), case["name"]);
            play(&case);
            played += 1;
        }
    }
    assert!(played >= 18, "only {played} cases were found");
}

fn play(case: &Value) {
    let world = World::new();
    let options = case["options"].as_object().unwrap();
    let mut builder = if options.contains_key("oauth") {
        world.builder()
    } else {
        Client::builder().api_base(world.emulator.api()).clock(world.clock.clone())
    };
    for (name, value) in options.iter().filter(|(name, _)| *name != "oauth") {
        builder = builder.option(name, value.as_str().unwrap());
    }
    let client = match (builder.build(), case["expect_build"].as_str()) {
        (Err(error), Some(code)) => {
            assert_eq!(error.code().name(), code);
            return;
        }
        (built, None) => built.unwrap(),
        (Ok(_), Some(code)) => panic!("{code} was expected"),
    };
    for step in case["steps"].as_array().unwrap() {
        run(&world, &client, step);
    }
}

fn run(world: &World, client: &Client, step: &Value) {
    let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {step}"));
    let account = || Account::parse(text("account")).unwrap();
    match text("do") {
        "headers" => match (headers(client, step, step["method"].as_str().unwrap()), &step["expect"]) {
            (Err(error), Value::String(code)) => assert_eq!(error.code().name(), code, "{step}"),
            (Ok(headers), Value::Object(expected)) => {
                for (name, value) in expected {
                    let found = headers.iter().find(|(n, _)| n == name).map(|(_, value)| value);
                    assert_eq!(found, value.as_str(), "{name} in {step}");
                }
            }
            (Ok(_), Value::Null) => {}
            (result, _) => panic!("{step}: {result:?}"),
        },
        "login" => {
            let pending = client.begin(client.authorization_request().unwrap()).unwrap();
            assert_eq!(client.complete(&pending, &approve(pending.url(), &account())).unwrap(), account());
        }
        "import" => {
            client.import(world.grant(&account()), step["replace"] == true).unwrap();
        }
        "remove" => assert!(client.remove(&account()).unwrap()),
        "request" => {
            let answer = request(world, client, step);
            match (answer, &step["expect"]) {
                (Err(error), Value::String(code)) => assert_eq!(error.code().name(), code, "{step}"),
                (Ok(status), Value::Object(expected)) => assert_eq!(expected["status"], status, "{step}"),
                (result, _) => panic!("{step}: {result:?}"),
            }
        }
        "advance" => world.pass(step["seconds"].as_u64().unwrap()),
        "settings" => world.emulator.configure(|settings| match step["casing"].as_str() {
            Some("camel") => settings.casing = Casing::Camel,
            Some("snake") => settings.casing = Casing::Snake,
            _ => panic!("unknown setting in {step}"),
        }),
        "fault" => {
            let endpoint = match text("endpoint") {
                "token" => Endpoint::Token,
                "location_token" => Endpoint::LocationToken,
                other => panic!("unknown endpoint {other}"),
            };
            let kind = match text("kind") {
                "lost_answer" => FaultKind::LostAnswer,
                "cut_body" => FaultKind::CutBody,
                "malformed_json" => FaultKind::MalformedJson,
                other => panic!("unknown fault {other}"),
            };
            world.emulator.add_fault(Fault::new(endpoint, kind));
        }
        "revoke" => world.emulator.revoke_access(text("account")).unwrap(),
        "pause" => world.emulator.pause(account().id()).unwrap(),
        "unpause" => world.emulator.unpause(account().id()).unwrap(),
        "uninstall" => world.emulator.uninstall(text("account")).unwrap(),
        "statistics" => {
            let statistics = serde_json::to_value(world.emulator.statistics()).unwrap();
            for (name, value) in step["expect"].as_object().unwrap() {
                assert_eq!(&statistics[name], value, "{name}");
            }
        }
        other => panic!("unknown step {other}"),
    }
}

fn headers(client: &Client, step: &Value, method: &str) -> Result<Headers, Error> {
    match step["account"].as_str() {
        Some(account) => client.headers_for(account, method),
        None => client.headers(method),
    }
}

fn request(world: &World, client: &Client, step: &Value) -> Result<u16, Error> {
    let path = step["path"].as_str().unwrap();
    let headers = headers(client, step, "GET")?;
    let (status, body) = world.call(&headers, path);
    if step["report"] != true {
        return Ok(status);
    }
    match client.report(&headers, status, &[], body.as_bytes())? {
        Report::Repeat(again) => Ok(world.call(&again, path).0),
        _ => Ok(status),
    }
}
