//! The control calls over HTTP.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::*;
use hoopauth_emulator::{Config, DEFAULT_LOCATION_IDS, Emulator};
use serde_json::{Value, json};

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn ask(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Answer {
    Call::new(method, &format!("{}/{path}", emulator.control()))
        .without("user-agent")
        .json(body)
        .send()
}

fn post(emulator: &Emulator, path: &str, body: &Value) -> Value {
    ask(emulator, "POST", path, body).ok().json()
}

#[test]
fn accounts_and_keys_are_made() {
    let emulator = start();
    post(
        &emulator,
        "apps",
        &json!({ "client_id": "two-2", "client_secret": "s", "scopes": ["a.b"] }),
    );
    post(&emulator, "companies", &json!({ "id": "c2", "name": "Second" }));
    let one =
        post(&emulator, "locations", &json!({ "company_id": "c2", "id": "l2", "name": "Only" }));
    assert_eq!(one["ids"], json!(["l2"]));
    let many = post(&emulator, "locations", &json!({ "company_id": "c2", "count": 3 }));
    assert_eq!(many["ids"].as_array().unwrap().len(), 3);
    let grant =
        post(&emulator, "grants", &json!({ "account": "location:l2", "client_id": "two-2" }));
    assert_eq!((&grant["scope"], &grant["company_id"]), (&json!("a.b"), &json!("c2")));
    let now = ask(&emulator, "GET", "grants?account=location:l2", &json!({})).ok().json();
    assert_eq!(now["refresh_token"], grant["refresh_token"]);
    let live = post(&emulator, "refresh-token", &json!({ "token": grant["refresh_token"] }));
    assert_eq!(live["live"], true);
    let key = post(&emulator, "private-integrations", &json!({ "account": "location:l2" }));
    let key = text(&key, "token");
    assert_eq!(key.len(), 40);
    get(&emulator, "/contacts/", key).send().ok();
    post(&emulator, "private-integrations/revoke", &json!({ "token": key }));
    assert_eq!(get(&emulator, "/contacts/", key).send().status, 401);
}

#[test]
fn accounts_are_paused_revoked_expired_and_uninstalled() {
    let emulator = start();
    let place = json!({ "location_id": DEFAULT_LOCATION_IDS[0] });
    let token = seed(&emulator);
    post(&emulator, "pause", &place);
    refresh(&emulator, &token).send().refused(400, "Location is not active");
    post(&emulator, "unpause", &place);
    let pair = refresh(&emulator, &token).send().ok().json();
    let check = || get(&emulator, "/contacts/", text(&pair, "access_token")).send().status;
    assert_eq!(check(), 200);
    post(&emulator, "expire", &json!({ "account": LOCATION }));
    assert_eq!(check(), 401);
    post(&emulator, "revoke", &json!({ "account": LOCATION, "refresh": true }));
    assert!(!emulator.is_refresh_token_live(text(&pair, "refresh_token")));
    let single = seed(&emulator);
    post(&emulator, "revoke", &json!({ "token": single }));
    assert!(!emulator.is_refresh_token_live(&single));
    post(&emulator, "uninstall", &json!({ "account": LOCATION }));
    post(&emulator, "expire", &json!({}));
}

#[test]
fn codes_are_made() {
    let emulator = start();
    let code = post(&emulator, "authorize", &json!({ "account": LOCATION, "scopes": ["x.y"] }));
    assert_eq!(exchange(&emulator, text(&code, "code"), &[]).send().ok().json()["scope"], "x.y");
    let install =
        post(&emulator, "install", &json!({ "account": COMPANY, "redirect_uri": REDIRECT }));
    assert!(text(&install, "redirect").starts_with("https://app.example/callback?code="));
}

#[test]
fn settings_are_laid_over() {
    let emulator = start();
    let changed =
        post(&emulator, "settings", &json!({ "window": 5, "answer": { "expires_in": "60" } }));
    assert_eq!((&changed["window"], &changed["lifetime"]), (&json!(5), &json!(86_399)));
    assert_eq!(refresh(&emulator, &seed(&emulator)).send().ok().json()["expires_in"], "60");
    let wrong = ask(&emulator, "POST", "settings", &json!({ "windows": 5 }));
    assert_eq!(wrong.status, 400);
    assert!(text(&wrong.json(), "error").contains("windows"));
    let now = ask(&emulator, "GET", "settings", &json!({})).ok().json();
    assert_eq!(now, changed);
}

#[test]
fn faults_are_queued_and_reset() {
    let emulator = start();
    let teapot = json!({ "endpoint": "token", "kind": "status", "status": 418, "body": { "a": 1 },
        "headers": { "x-b": "c" } });
    post(&emulator, "faults", &teapot);
    let struck = refresh(&emulator, "x").send();
    assert_eq!((struck.status, struck.json(), struck.header("x-b")), (418, json!({ "a": 1 }), "c"));
    for kind in [
        "timeout",
        "close",
        "lost_answer",
        "cut_body",
        "malformed_json",
        "garbage",
        "large_body",
        "gzip_bomb",
        "drip",
    ] {
        post(
            &emulator,
            "faults",
            &json!({ "endpoint": "location_token", "kind": kind, "times": 2, "after": 1 }),
        );
    }
    post(
        &emulator,
        "faults",
        &json!({ "endpoint": "api", "kind": "redirect", "location": "/x", "processed": true }),
    );
    assert_eq!(ask(&emulator, "GET", "faults", &json!({})).json()["pending"], 19);
    for wrong in [
        json!({ "endpoint": "token", "kind": "earthquake" }),
        json!({ "endpoint": "token", "kind": "status" }),
        json!({ "endpoint": "nowhere", "kind": "close" }),
        json!({ "endpoint": "token", "kind": "close", "time": 3 }),
    ] {
        assert_eq!(ask(&emulator, "POST", "faults", &wrong).status, 400, "{wrong}");
    }
    ask(&emulator, "DELETE", "faults", &json!({})).ok();
    assert_eq!(emulator.pending_faults(), 0);
    post(&emulator, "reset", &json!({}));
    assert_eq!(ask(&emulator, "GET", "statistics", &json!({})).json()["token_requests"], 0);
}

#[test]
fn holds_are_waited_for() {
    let emulator = start();
    post(&emulator, "hold", &json!({ "endpoint": "token" }));
    let none = ask(&emulator, "GET", "held?endpoint=token&at_least=1", &json!({})).json();
    assert_eq!(none, json!({ "held": 0, "reached": false }));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| refresh(&emulator, &seed(&emulator)).send().ok());
        let one =
            ask(&emulator, "GET", "held?endpoint=token&at_least=1&timeout=60", &json!({})).json();
        assert_eq!(one, json!({ "held": 1, "reached": true }));
        post(&emulator, "release", &json!({ "endpoint": "token", "count": 1 }));
        waiting.join().unwrap();
    });
    post(&emulator, "release", &json!({ "endpoint": "token" }));
    assert_eq!(ask(&emulator, "POST", "release", &json!({ "count": 1 })).status, 400);
    post(&emulator, "hold", &json!({ "endpoint": "api", "answers": true }));
    post(&emulator, "release", &json!({}));
}

#[test]
fn the_clock_is_set() {
    let emulator = start();
    let set = post(&emulator, "clock", &json!({ "frozen": true, "now": 1_700_000_000 }));
    assert_eq!(set, json!({ "now": 1_700_000_000, "frozen": true }));
    assert_eq!(emulator.now_millis() / 1_000, emulator.now());
    assert_eq!(post(&emulator, "clock", &json!({ "advance": -100 }))["now"], 1_699_999_900);
    post(&emulator, "clock", &json!({ "frozen": false }));
    assert_eq!(ask(&emulator, "GET", "clock", &json!({})).json()["frozen"], false);
}

#[test]
fn statistics_are_told() {
    let emulator = start();
    refresh(&emulator, &seed(&emulator)).send().ok();
    let told = ask(&emulator, "GET", "statistics", &json!({})).json();
    assert_eq!(told, json!(emulator.statistics()));
    assert_eq!(told["token_requests_by_account"], json!({ LOCATION: 1 }));
    assert_eq!(told["token_answers"], json!({ "200": 1 }));
}

#[test]
fn wrong_calls_are_explained() {
    let emulator = start();
    for (path, body, status) in [
        ("grants", json!({ "account": "nobody" }), 400),
        ("grants", json!({ "account": "location:nobody" }), 404),
        ("grants", json!({ "account": LOCATION, "client_id": "nobody" }), 404),
        ("companies", json!({ "id": "hoopCompany000000001" }), 409),
        ("locations", json!({ "company_id": "nobody", "count": 1 }), 404),
        ("revoke", json!({ "account": LOCATION }), 400),
        ("nowhere", json!({}), 404),
    ] {
        let answer = ask(&emulator, "POST", path, &body);
        assert_eq!(answer.status, status, "{path}");
        assert!(!text(&answer.json(), "error").is_empty());
    }
}
