//! The Rust runner of the conformance cases in `tests/cases`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::HashMap;

use common::{World, approve, http};
use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use hoopauth::{
    Account, Client, Clock as _, Error, ErrorCode, Grant, Headers, Import, PendingAuthorization,
    Report,
};
use hoopauth_emulator::Casing;
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
    assert!(played >= 57, "only {played} cases were found");
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
            builder = builder.option(
                name,
                if (name.as_str(), value) == ("store", "file") { &file } else { value },
            );
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
    let other = steps.iter().any(|step| step.get("by").is_some());
    let other = other.then(|| (make().unwrap(), HashMap::new()));
    let mut player = Player {
        world,
        client,
        login: None,
        grant: None,
        verifiers: HashMap::new(),
        webhook: None,
    };
    let mut other = other;
    for step in steps {
        let mut own = step.clone();
        let by = own.as_object_mut().unwrap().remove("by");
        if let Some(by) = &by {
            assert_eq!(by, "other", "{step}");
            player.swap(other.as_mut().unwrap());
        }
        let outcome = player.step(&own);
        if by.is_some() {
            player.swap(other.as_mut().unwrap());
        }
        check(step, outcome);
    }
}

/// `expect` is a code's name, or an object whose members the outcome must have; without it, the
/// step must succeed.
fn check(step: &Value, outcome: Result<Value, Error>) {
    match (outcome, step.get("expect")) {
        (Ok(_), None) => {}
        (Err(error), Some(Value::String(code))) => assert_eq!(error.code().name(), code, "{step}"),
        (Ok(outcome), Some(Value::Object(expected))) => {
            for (name, value) in expected {
                let part = step["do"] == "send" && (name == "body" || name == "header");
                let found = outcome
                    .get(name)
                    .is_some_and(|own| if part { holds(own, value) } else { own == value });
                assert!(found, "{name} in {step}: {outcome}");
            }
        }
        (outcome, _) => panic!("{step}: {outcome:?}"),
    }
}

/// Returns `true` if everything expected is there; objects may hold more.
fn holds(value: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(parts) => {
            parts.iter().all(|(name, part)| value.get(name).is_some_and(|own| holds(own, part)))
        }
        _ => value == expected,
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
    /// Verifiers by their options and keys.
    verifiers: Verifiers,
    /// Delivery that came last.
    webhook: Option<(Vec<(String, String)>, String)>,
}

type Verifiers = HashMap<String, WebhookVerifier>;

impl Player {
    fn swap(&mut self, other: &mut (Client, Verifiers)) {
        std::mem::swap(&mut self.client, &mut other.0);
        std::mem::swap(&mut self.verifiers, &mut other.1);
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each step")]
    fn step(&mut self, step: &Value) -> Result<Value, Error> {
        let text = |name: &str| {
            step[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {step}"))
        };
        let account = || Account::parse(text("account")).unwrap();
        let keys = |known: &[&str]| only(step, &[&["do", "expect"], known].concat());
        let emulator = &self.world.emulator;
        match text("do") {
            "headers" => {
                keys(&["method", "account"]);
                let headers = self.headers(step, text("method"))?;
                let value =
                    |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
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
                let outcome = match self
                    .client
                    .import(self.grant.clone().unwrap(), step["replace"] == true)?
                {
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
            "send" => return self.send(step, text("method"), text("path")),
            "rate_limit" => {
                keys(&["account"]);
                return Ok(match self.client.rate_limit(text("account")) {
                    None => json!({ "known": false }),
                    Some(limit) => json!({
                        "known": true,
                        "limit": limit.limit,
                        "remaining": limit.remaining,
                        "daily_limit": limit.daily_limit,
                        "daily_remaining": limit.daily_remaining,
                    }),
                });
            }
            "scopes_for" => {
                keys(&["operations"]);
                let operations = step["operations"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|name| name.as_str().unwrap());
                return Ok(json!({ "scopes": hoopauth::operations::scopes_for(operations)? }));
            }
            "installed_locations" => {
                keys(&["company"]);
                let locations =
                    self.client.installed_locations(&Account::parse(text("company"))?)?;
                let accounts: Vec<&str> =
                    locations.iter().map(|location| location.account.as_str()).collect();
                return Ok(json!({ "accounts": accounts }));
            }
            "mint_all" => {
                keys(&["company"]);
                let summary = self.client.mint_all(&Account::parse(text("company"))?, |_| true)?;
                return Ok(json!({ "minted": summary.minted, "kept": summary.kept,
                        "failed": summary.failed }));
            }
            "revoke_key" => {
                keys(&["token"]);
                self.control("private-integrations/revoke", &json!({ "token": text("token") }));
            }
            "webhook" => return self.webhook(step),
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
                keys(&[
                    "endpoint", "kind", "status", "headers", "body", "members", "omit", "first",
                    "before", "times",
                ]);
                let mut fault = step.clone();
                let members = fault.as_object_mut().unwrap();
                members.retain(|name, _| name != "do" && name != "expect");
                self.control("faults", &fault);
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

    fn send(&self, step: &Value, method: &str, path: &str) -> Result<Value, Error> {
        let known = [
            "do",
            "expect",
            "method",
            "path",
            "account",
            "params",
            "json",
            "body",
            "headers",
            "version",
            "any_status",
            "repeatable",
        ];
        only(step, &known);
        let mut request = self.client.request(method, path);
        let pairs = |name: &str| {
            let object = step[name].as_object().cloned().unwrap_or_default();
            object.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned()))
        };
        for (name, value) in pairs("params") {
            request = request.param(&name, &value);
        }
        for (name, value) in pairs("headers") {
            request = request.header(&name, &value);
        }
        if let Some(account) = step["account"].as_str() {
            request = request.account(account);
        }
        if let Some(version) = step["version"].as_str() {
            request = request.version(version);
        }
        if let Some(value) = step.get("json") {
            request = request.json(value);
        }
        if let Some(body) = step["body"].as_str() {
            request = request.body(body.to_owned());
        }
        let request =
            request.any_status(step["any_status"] == true).repeatable(step["repeatable"] == true);
        let response = request.send()?;
        let expected = step["expect"]["header"].as_object().cloned().unwrap_or_default();
        let header: Value =
            expected.keys().map(|name| (name.clone(), json!(response.header(name)))).collect();
        let body = response.json::<Value>().unwrap_or_default();
        Ok(json!({ "status": response.status(), "header": header, "body": body }))
    }

    fn webhook(&mut self, step: &Value) -> Result<Value, Error> {
        let known = [
            "do",
            "expect",
            "verifier",
            "keys",
            "emulator_keys",
            "headers",
            "body",
            "sign",
            "again",
            "then",
        ];
        only(step, &known);
        let pairs = |headers: &Value| -> Vec<(String, String)> {
            let pairs = headers.as_array().unwrap().iter();
            pairs
                .map(|pair| [0, 1].map(|part| pair[part].as_str().unwrap().to_owned()).into())
                .collect()
        };
        if let Some(sign) = step.get("sign") {
            let signed = self.control("webhooks/sign", sign);
            self.webhook =
                Some((pairs(&signed["headers"]), signed["body"].as_str().unwrap().to_owned()));
        } else if step["again"] != true {
            self.webhook =
                Some((pairs(&step["headers"]), step["body"].as_str().unwrap().to_owned()));
        }
        let name = json!([step["verifier"], step["keys"], step["emulator_keys"]]).to_string();
        if !self.verifiers.contains_key(&name) {
            let verifier = self.verifier(step)?;
            self.verifiers.insert(name.clone(), verifier);
        }
        let (headers, body) = self.webhook.as_ref().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let delivery = self.verifiers[&name].verify(headers, body.as_bytes())?;
        let event = delivery.event();
        let mut outcome = json!({
            "type": event.event_type(),
            "webhook_id": event.webhook_id(),
            "account": event.account().map(Account::as_str),
            "app_id": event.app_id(),
            "key": delivery.key(),
        });
        match step["then"].as_str().unwrap_or("confirm") {
            "confirm" => delivery.confirm()?,
            "release" => delivery.release()?,
            "apply" => {
                outcome["applied"] = self.client.apply(event)?.name().into();
                delivery.confirm()?;
            }
            // As a process that ended: nobody gives it back.
            "leave" => std::mem::forget(delivery),
            other => panic!("unknown end {other}"),
        }
        Ok(outcome)
    }

    fn verifier(&self, step: &Value) -> Result<WebhookVerifier, Error> {
        let mut keys = step["keys"].as_array().cloned().unwrap_or_default();
        if step["emulator_keys"] == true {
            let own = http()
                .get(format!("{}/webhooks/keys", self.world.emulator.control()))
                .send()
                .unwrap();
            let own: Value = serde_json::from_str(&own.text().unwrap()).unwrap();
            keys.extend(own["keys"].as_array().unwrap().iter().cloned());
        }
        let mut builder = self.client.webhook_verifier();
        for (name, value) in step["verifier"].as_object().into_iter().flatten() {
            builder = builder.option(name, value.as_str().unwrap());
        }
        for key in keys {
            let text = |name: &str| key[name].as_str().unwrap();
            let scheme = SignatureScheme::from_name(text("scheme"))
                .ok_or_else(|| Error::new(ErrorCode::Config, "no such scheme"))?;
            builder = builder.key(WebhookKey::new(scheme, text("label"), text("key"))?);
        }
        builder.build()
    }

    /// A call of the emulator's control.
    fn control(&self, call: &str, body: &Value) -> Value {
        let address = format!("{}/{call}", self.world.emulator.control());
        let answer = http().post(address).body(body.to_string()).send().unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().unwrap());
        assert!((200..300).contains(&status), "{call} {body}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn login(&mut self, step: &Value, account: &Account) -> Result<Value, Error> {
        if step["again"] != true {
            let request = self.client.authorization_request()?.pkce(step["pkce"] == true);
            let mut pending = self.client.begin(request)?;
            assert_eq!(
                pending.url().contains("code_challenge_method=S256"),
                step["pkce"] == true,
                "{step}"
            );
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
