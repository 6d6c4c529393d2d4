//! The Rust runner of the conformance cases in `tests/cases`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{World, approve, http};
use hoopauth::{Account, Client, Clock as _, Error, Grant, Headers, Import, PendingAuthorization, Report};
use hoopauth_emulator::{Casing, Endpoint, Fault, FaultKind};
use serde_json::{Value, json};

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
    assert!(played >= 30, "only {played} cases were found");
}

#[test]
fn a_wrong_case_fails() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/wrong");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let cases: Vec<Value> =
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for case in cases {
            let passed = std::panic::catch_unwind(|| play(&case)).is_ok();
            assert!(!passed, "this must fail: {}", case["name"]);
            played += 1;
        }
    }
    assert!(played >= 10, "only {played} cases were found");
}

fn play(case: &Value) {
    only(case, &["name", "since", "options", "steps", "expect_build"]);
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let options = case["options"].as_object().unwrap();
    let make = || {
        let mut builder = match options.get("oauth") {
            None => Client::builder().api_base(world.emulator.api()).clock(world.clock.clone()),
            Some(value) if value == "default" => world.app().store("memory:"),
            Some(value) => panic!("unknown app {value}"),
        };
        for (name, value) in options.iter().filter(|(name, _)| *name != "oauth") {
            let file = format!("sqlite:{}", folder.path().join("grants.db").display());
            let value = value.as_str().unwrap();
            builder =
                builder.option(name, if (name.as_str(), value) == ("store", "file") { &file } else { value });
        }
        builder.build()
    };
    let steps = case["steps"].as_array().unwrap();
    let client = match (make(), case["expect_build"].as_str()) {
        (Err(error), Some(code)) => {
            assert_eq!(error.code().name(), code);
            assert!(steps.is_empty(), "no steps can follow");
            return;
        }
        (built, None) => built.unwrap(),
        (Ok(_), Some(code)) => panic!("{code} was expected"),
    };
    let other = steps.iter().any(|step| step.get("by").is_some()).then(|| make().unwrap());
    let mut player = Player { world, client, login: None, grant: None };
    let mut other = other;
    for step in steps {
        let mut own = step.clone();
        let by = own.as_object_mut().unwrap().remove("by");
        if let Some(by) = &by {
            assert_eq!(by, "other", "{step}");
            std::mem::swap(&mut player.client, other.as_mut().unwrap());
        }
        let outcome = player.step(&own);
        if by.is_some() {
            std::mem::swap(&mut player.client, other.as_mut().unwrap());
        }
        check(step, outcome);
    }
}

/// `expect` is a code's name, or an object whose members the outcome must have; without it, the step must succeed.
fn check(step: &Value, outcome: Result<Value, Error>) {
    match (outcome, step.get("expect")) {
        (Ok(_), None) => {}
        (Err(error), Some(Value::String(code))) => assert_eq!(error.code().name(), code, "{step}"),
        (Ok(outcome), Some(Value::Object(expected))) => {
            for (name, value) in expected {
                assert_eq!(outcome.get(name), Some(value), "{name} in {step}");
            }
        }
        (outcome, _) => panic!("{step}: {outcome:?}"),
    }
}

fn only(object: &Value, known: &[&str]) {
    for name in object.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "unknown member {name} in {object}");
    }
}

struct Player {
    world: World,
    client: Client,
    /// The last login and its redirect.
    login: Option<(PendingAuthorization, String)>,
    /// The last grant that was imported.
    grant: Option<Grant>,
}

impl Player {
    #[allow(clippy::too_many_lines, reason = "one arm for each step")]
    fn step(&mut self, step: &Value) -> Result<Value, Error> {
        let text = |name: &str| step[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {step}"));
        let account = || Account::parse(text("account")).unwrap();
        let keys = |known: &[&str]| only(step, &[&["do", "expect"], known].concat());
        let emulator = &self.world.emulator;
        match text("do") {
            "headers" => {
                keys(&["method", "account"]);
                let headers = self.headers(step, text("method"))?;
                let value = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
                return Ok(["Authorization", "Version", "User-Agent", "Content-Type"]
                    .iter()
                    .map(|name| ((*name).to_owned(), json!(value(name))))
                    .collect());
            }
            "login" => {
                keys(&["account", "pkce", "sealed", "deny", "state", "again"]);
                return self.login(step, &account());
            }
            "import" => {
                keys(&["account", "replace", "again"]);
                if step["again"] != true {
                    self.grant = Some(self.world.grant(&account()));
                }
                let outcome =
                    match self.client.import(self.grant.clone().unwrap(), step["replace"] == true)? {
                        Import::Imported => "imported",
                        Import::Known => "known",
                        Import::Kept => "kept",
                        other => panic!("unknown outcome {other:?}"),
                    };
                return Ok(json!({ "outcome": outcome }));
            }
            "export" => {
                keys(&["account"]);
                let grant = self.client.export(&account())?;
                return Ok(json!({
                    "account": grant.account().as_str(),
                    "company_id": grant.company_id(),
                    "minted": grant.is_minted(),
                }));
            }
            "accounts" => {
                keys(&[]);
                let accounts = self.client.accounts()?;
                let names: Vec<&str> = accounts.iter().map(Account::as_str).collect();
                return Ok(json!({ "accounts": names }));
            }
            "health" => {
                keys(&["account"]);
                let health = self.client.health(&account())?;
                return Ok(json!({
                    "needs_reauthorization": health.needs_reauthorization,
                    "unsaved": health.unsaved,
                    "idle_days_left": health.idle_days_left,
                }));
            }
            "mint" => {
                keys(&["account", "company"]);
                self.client.mint(&account(), &Account::parse(text("company")).unwrap())?;
            }
            "remove" => {
                keys(&["account"]);
                return Ok(json!({ "removed": self.client.remove(&account())? }));
            }
            "request" => {
                keys(&["account", "path", "report"]);
                return Ok(json!({ "status": self.request(step, text("path"))? }));
            }
            "advance" => {
                keys(&["seconds"]);
                self.world.pass(step["seconds"].as_u64().unwrap());
            }
            "maintain" => {
                keys(&["seconds"]);
                let seconds = step["seconds"].as_u64().unwrap();
                let until = self.world.clock.now().plus(std::time::Duration::from_secs(seconds));
                self.client.maintain(until)?;
                emulator.advance(i64::try_from(seconds).unwrap());
            }
            "settings" => {
                keys(&["casing"]);
                let casing = match text("casing") {
                    "camel" => Casing::Camel,
                    "snake" => Casing::Snake,
                    other => panic!("unknown casing {other}"),
                };
                emulator.configure(|settings| settings.casing = casing);
            }
            "fault" => {
                keys(&["endpoint", "kind"]);
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
                emulator.add_fault(Fault::new(endpoint, kind));
            }
            "revoke" => {
                keys(&["account", "token"]);
                match text("token") {
                    "access" => emulator.revoke_access(text("account")).unwrap(),
                    "refresh" => emulator.revoke_refresh(text("account")).unwrap(),
                    other => panic!("unknown token {other}"),
                }
            }
            "pause" | "unpause" => {
                keys(&["account"]);
                let pause = text("do") == "pause";
                let id = account().id().to_owned();
                if pause { emulator.pause(&id) } else { emulator.unpause(&id) }.unwrap();
            }
            "uninstall" => {
                keys(&["account"]);
                emulator.uninstall(text("account")).unwrap();
            }
            "statistics" => {
                keys(&[]);
                return Ok(serde_json::to_value(emulator.statistics()).unwrap());
            }
            other => panic!("unknown step {other}"),
        }
        Ok(json!({}))
    }

    fn headers(&self, step: &Value, method: &str) -> Result<Headers, Error> {
        match step["account"].as_str() {
            Some(account) => self.client.headers_for(account, method),
            None => self.client.headers(method),
        }
    }

    fn request(&self, step: &Value, path: &str) -> Result<u16, Error> {
        let headers = self.headers(step, "GET")?;
        let (status, body) = self.world.call(&headers, path);
        if step["report"] != true {
            return Ok(status);
        }
        match self.client.report(&headers, status, &[], body.as_bytes())? {
            Report::Repeat(again) => Ok(self.world.call(&again, path).0),
            _ => Ok(status),
        }
    }

    fn login(&mut self, step: &Value, account: &Account) -> Result<Value, Error> {
        if step["again"] != true {
            let request = self.client.authorization_request()?.pkce(step["pkce"] == true);
            let mut pending = self.client.begin(request)?;
            assert_eq!(pending.url().contains("code_challenge_method=S256"), step["pkce"] == true, "{step}");
            if step["sealed"] == true {
                pending = self.client.open_pending(&self.client.seal_pending(&pending)?)?;
            }
            let redirect = if step["deny"] == true {
                let answer = http().get(format!("{}&deny=1", pending.url())).send().unwrap();
                answer.headers()["location"].to_str().unwrap().to_owned()
            } else {
                approve(pending.url(), account)
            };
            self.login = Some((pending, redirect));
        }
        let (pending, redirect) = self.login.as_ref().unwrap();
        let redirect = match step.get("state").map(Value::as_str) {
            None => redirect.clone(),
            Some(Some("wrong")) => redirect.replace(pending.state().expose(), "wrong"),
            Some(other) => panic!("unknown state {other:?}"),
        };
        let authorized = self.client.complete(pending, &redirect)?;
        Ok(json!({ "account": authorized.as_str() }))
    }
}
