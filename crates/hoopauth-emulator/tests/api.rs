//! The API routes and their refusals.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::*;
use hoopauth_emulator::{
    Company, Config, DEFAULT_COMPANY_ID, DEFAULT_COMPANY_PRIVATE_INTEGRATION, DEFAULT_LOCATION_IDS,
    DEFAULT_LOCATION_PRIVATE_INTEGRATION, Emulator,
};
use serde_json::json;

fn start() -> (Emulator, String) {
    let stranger = Company::new("stranger", "Stranger").location("strangerLocation", "Stranger's");
    let emulator = Emulator::start(Config::default().company(stranger)).unwrap();
    let token = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    (emulator, token)
}

fn post(emulator: &Emulator, path: &str, token: &str) -> Call {
    Call::new("POST", &format!("{}{path}", emulator.api())).bearer(token)
}

#[test]
fn contacts_live_and_die() {
    let (emulator, token) = start();
    let body = json!({ "locationId": DEFAULT_LOCATION_IDS[0], "firstName": "Ada" });
    let created = post(&emulator, "/contacts/", &token).json(&body).send();
    assert_eq!(created.status, 201);
    let id = text(&created.json()["contact"], "id").to_owned();
    let path = format!("/contacts/{id}");
    let put = Call::new("PUT", &format!("{}{path}", emulator.api()));
    put.bearer(&token).json(&json!({ "firstName": "Grace" })).send().ok();
    assert_eq!(get(&emulator, &path, &token).send().ok().json()["contact"]["firstName"], "Grace");
    let listed = get(&emulator, "/contacts/?locationId=hoopLocation00000001&limit=5", &token)
        .send()
        .ok()
        .json();
    assert_eq!((listed["contacts"].as_array().unwrap().len(), &listed["count"]), (1, &json!(1)));
    let other = emulator.issue_grant(OTHER_LOCATION, &[]).unwrap().access_token;
    get(&emulator, &path, &other)
        .send()
        .refused(403, "This location is not accessible from this token!");
    Call::new("DELETE", &format!("{}{path}", emulator.api())).bearer(&token).send().ok();
    get(&emulator, &path, &token).send().refused(404, "Contact not found");
}

#[test]
fn every_route_answers_those_it_is_for() {
    let (emulator, location) = start();
    let company = emulator.issue_grant(COMPANY, &[]).unwrap().access_token;
    for path in [
        "/calendars/",
        "/conversations/search",
        "/opportunities/search",
        "/locations/hoopLocation00000001",
    ] {
        let answer = get(&emulator, path, &location).send().ok();
        assert_eq!(answer.json()["traceId"].as_str().unwrap().len(), 36);
        get(&emulator, path, DEFAULT_LOCATION_PRIVATE_INTEGRATION).send().ok();
    }
    for path in
        ["/companies/hoopCompany000000001", "/locations/search?companyId=hoopCompany000000001"]
    {
        get(&emulator, path, &company).send().ok();
        get(&emulator, path, DEFAULT_COMPANY_PRIVATE_INTEGRATION).send().ok();
    }
    let all = get(&emulator, "/locations/search", &company).send().ok().json();
    assert_eq!(all["locations"].as_array().unwrap().len(), 3);
    get(&emulator, "/nowhere", &location).send().refused(404, "Cannot GET /nowhere");
}

#[test]
fn headers_are_checked() {
    let (emulator, token) = start();
    let call = || get(&emulator, "/contacts/", &token);
    call().without("version").send().refused(401, "version header was not found.");
    call().header("version", "2020-01-01").send().refused(401, "version header is invalid");
    for version in ["2021-07-28", "2021-04-15", "v3"] {
        call().header("version", version).send().ok();
    }
    get(&emulator, "/v9/contacts/", &token).send().refused(400, "Invalid API version segment v9");
    for agent in ["Python-urllib/3.12", "python-requests/2.32", " "] {
        let answer = call().header("user-agent", agent).send();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (403, "text/html; charset=UTF-8")
        );
        assert!(answer.text().contains("Error 1010"));
    }
    assert_eq!(call().without("user-agent").send().status, 403);
    emulator.configure(|settings| settings.check_user_agent = false);
    call().without("user-agent").send().ok();
    let typeless =
        post(&emulator, "/contacts/", &token).json(&json!({})).without("content-type").send();
    assert_eq!(typeless.status, 415);
}

#[test]
fn bearers_are_checked() {
    let (emulator, token) = start();
    let call = |token: &str| get(&emulator, "/contacts/", token).send();
    call("made.up.token").refused(401, "Invalid JWT");
    get(&emulator, "/contacts/", "x")
        .header("authorization", "Basic eA==")
        .send()
        .refused(401, "Invalid JWT");
    get(&emulator, "/contacts/", "x").without("authorization").send().refused(401, "Invalid JWT");
    call("pit-00000000-0000-0000-0000-000000000000")
        .refused(401, "Invalid Private Integration token");
    let wrong_kind = seed(&emulator);
    call(&wrong_kind).refused(401, "Invalid token: access token is invalid");

    let lapsed = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    emulator.advance(86_399);
    call(&lapsed).refused(401, "Invalid JWT");
    let expired = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    call(&expired).ok();
    emulator.expire_access(LOCATION).unwrap();
    call(&expired).refused(401, "Invalid JWT");
    let revoked = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    emulator.revoke_access(LOCATION).unwrap();
    call(&revoked).refused(401, "Invalid token: access token is invalid");
    let uninstalled = emulator.issue_grant(LOCATION, &[]).unwrap();
    emulator.uninstall(LOCATION).unwrap();
    call(&uninstalled.access_token).refused(401, "Invalid token: access token is invalid");
    assert!(!emulator.is_refresh_token_live(&uninstalled.refresh_token.unwrap()));
    let other = emulator.issue_grant(OTHER_LOCATION, &[]).unwrap().access_token;
    emulator.expire_all_access();
    call(&other).refused(401, "Invalid JWT");
    let reborn = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    call(&reborn).ok();
    call(&token).refused(401, "Invalid token: access token is invalid");
}

#[test]
fn class_scope_and_tenant_are_checked() {
    let (emulator, location) = start();
    let company = emulator.issue_grant(COMPANY, &[]).unwrap().access_token;
    let answer = get(&emulator, "/contacts/", &company).send();
    assert_eq!(answer.status, 401);
    assert!(
        text(&answer.json(), "message")
            .starts_with("This authClass type is not allowed to access this scope")
    );
    get(&emulator, "/companies/x", &location).send().refused(401, "Token's user type mismatch!");
    let narrow = emulator.issue_grant(LOCATION, &["calendars.readonly"]).unwrap().access_token;
    get(&emulator, "/contacts/", &narrow)
        .send()
        .refused(401, "The token is not authorized for this scope.");
    let key = emulator.add_private_integration(LOCATION, &["calendars.readonly"]).unwrap();
    get(&emulator, "/contacts/", &key)
        .send()
        .refused(401, "The token is not authorized for this scope.");
    get(&emulator, "/calendars/", &key).send().ok();
    emulator.revoke_private_integration(&key).unwrap();
    get(&emulator, "/calendars/", &key).send().refused(401, "Invalid Private Integration token");

    let no_access = "The token does not have access to this location.";
    get(&emulator, "/contacts/?locationId=hoopLocation00000002", &location)
        .send()
        .refused(403, no_access);
    get(&emulator, "/locations/hoopLocation00000002", &location).send().refused(403, no_access);
    let body = json!({ "locationId": DEFAULT_LOCATION_IDS[1] });
    post(&emulator, "/contacts/", &location).json(&body).send().refused(403, no_access);
    get(&emulator, "/locations/strangerLocation", &company)
        .send()
        .refused(403, "This location is not accessible from this token!");
    assert_eq!(get(&emulator, "/companies/stranger", &company).send().status, 403);
}

#[test]
fn the_limit_is_told_and_kept() {
    let (emulator, token) = start();
    emulator.freeze();
    let first = get(&emulator, "/contacts/", &token).send().ok();
    for (name, value) in [
        ("x-ratelimit-interval-milliseconds", "10000"),
        ("x-ratelimit-max", "100"),
        ("x-ratelimit-remaining", "99"),
        ("x-ratelimit-limit-daily", "200000"),
        ("x-ratelimit-daily-remaining", "199999"),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    assert_eq!(get(&emulator, "/contacts/", "x").send().header("x-ratelimit-remaining"), "100");
    emulator.configure(|settings| settings.api_requests_per_10_seconds = Some(2));
    get(&emulator, "/contacts/", &token).send().ok();
    let limited = get(&emulator, "/contacts/", &token).send();
    limited.refused(429, "Too Many Requests");
    assert_eq!(
        (limited.header("x-ratelimit-max"), limited.header("x-ratelimit-remaining")),
        ("2", "0")
    );
    let other = emulator.issue_grant(OTHER_LOCATION, &[]).unwrap().access_token;
    get(&emulator, "/contacts/", &other).send().ok();
    emulator.advance(10);
    get(&emulator, "/contacts/", &token).send().ok();
    let counted = emulator.statistics();
    assert_eq!(counted.api_requests, 6);
    assert_eq!(counted.api_requests_by_account[LOCATION], [(200, 3), (429, 1)].into());
    assert_eq!(counted.api_requests_by_account["unknown"], [(401, 1)].into());
}

#[test]
fn echo_shows_what_came() {
    let (emulator, token) = start();
    let sent = json!({ "a": [1, 2] });
    let echoed = post(&emulator, "/echo/deep?x=1", &token)
        .header("x-own", "y")
        .json(&sent)
        .send()
        .ok()
        .json();
    assert_eq!((&echoed["method"], &echoed["path"]), (&json!("POST"), &json!("/echo/deep")));
    assert_eq!((&echoed["query"], &echoed["body"]), (&json!("x=1"), &sent));
    assert_eq!(echoed["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(echoed["headers"]["x-own"], "y");
    assert_eq!(echoed["account"], LOCATION);
    let company = emulator.issue_grant(COMPANY, &["none"]).unwrap().access_token;
    assert_eq!(get(&emulator, "/echo", &company).send().ok().json()["account"], COMPANY);
    let tenant = format!("/echo?locationId={}", DEFAULT_LOCATION_IDS[1]);
    assert_eq!(get(&emulator, &tenant, &token).send().status, 403);
    assert_eq!(
        get(&emulator, &format!("/echo?companyId={DEFAULT_COMPANY_ID}"), &token).send().status,
        200
    );
}
