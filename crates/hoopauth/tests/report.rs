//! The effects of reported answers, against the emulator: which spend a refresh token, how often,
//! and what the errors say.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Barrier;
use std::time::Duration;

use common::{World, location};
use hoopauth::{Account, Client, Clock, Error, ErrorCode, Headers, Report};
use hoopauth_emulator::{DEFAULT_COMPANY_ID, Endpoint, Fault};

/// Sends a request that the API answers like this, and reports the answer.
fn answered(
    world: &World,
    client: &Client,
    headers: &Headers,
    status: u16,
    body: &str,
) -> Result<Report, Error> {
    world.emulator.add_fault(Fault::status(Endpoint::Api, status, body));
    let (got, body) = world.call(headers, "/echo");
    assert_eq!(got, status);
    client.report(headers, got, &[], body.as_bytes())
}

fn invalid(world: &World, client: &Client, account: &Account) -> Result<Report, Error> {
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    answered(world, client, &headers, 401, r#"{"statusCode":401,"message":"Invalid JWT"}"#)
}

fn spent(world: &World) -> u64 {
    world.emulator.statistics().token_requests
}

#[test]
fn no_answer_that_a_refresh_cannot_cure_spends_a_refresh_token() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    for (status, message, code) in [
        (401, "Invalid Private Integration token", ErrorCode::InvalidPrivateIntegration),
        (
            401,
            "This authClass type is not allowed to access this scope. Use another token.",
            ErrorCode::WrongTokenClass,
        ),
        (401, "The token is not authorized for this scope.", ErrorCode::InsufficientScope),
        (401, "Token's user type mismatch!", ErrorCode::WrongTokenClass),
        (401, "This token's user type is not yet supported!", ErrorCode::WrongTokenClass),
        (401, "version header was not found.", ErrorCode::HttpStatus),
        (401, "version header is invalid", ErrorCode::HttpStatus),
        (400, "Invalid API version segment v9", ErrorCode::HttpStatus),
        (403, "The token does not have access to this location.", ErrorCode::WrongAccount),
        (403, "This location is not accessible from this token!", ErrorCode::WrongAccount),
        (403, "<html>Error 1010</html>", ErrorCode::HttpStatus),
        (429, "Too Many Requests", ErrorCode::RateLimited),
    ] {
        for body in [
            serde_json::json!({ "statusCode": status, "message": message, "traceId": "t" }),
            serde_json::json!({ "error": { "code": "X", "message": message, "details": [] },
                "traceId": "t" }),
            serde_json::json!({ "statusCode": status, "message": [message], "traceId": "t" }),
        ] {
            let result = answered(&world, &client, &headers, status, &body.to_string());
            let error = result.expect_err(message);
            assert_eq!(error.code(), code, "{message}: {error:?}");
            assert_eq!((error.status(), error.trace_id()), (Some(status), Some("t")), "{message}");
            assert_eq!(error.account(), Some(&account));
        }
    }
    assert_eq!(spent(&world), 0);
}

#[test]
fn whatever_else_a_401_says_a_refresh_is_tried_once() {
    for body in [
        r#"{"statusCode":401,"message":"Invalid JWT"}"#,
        r#"{"statusCode":401,"message":"Invalid token: access token is invalid"}"#,
        r#"{"message":"nobody has recorded this one"}"#,
        "",
    ] {
        let world = World::new();
        let client = world.client();
        client.import(world.grant(&location(0)), false).unwrap();
        let headers = client.headers_for(location(0).as_str(), "GET").unwrap();
        let Report::Repeat(again) = answered(&world, &client, &headers, 401, body).unwrap() else {
            panic!("{body}")
        };
        assert_ne!(again.authorization(), headers.authorization());
        assert_eq!(world.call(&again, "/echo").0, 200);
        assert_eq!(spent(&world), 1, "{body}");
    }
}

#[test]
fn the_scope_and_the_class_are_named() {
    let world = World::new();
    let client = world.client();
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    for account in [&location(0), &company] {
        client.import(world.grant(account), false).unwrap();
    }
    let told = |account: &Account, method: &str, path: &str, said: &str| {
        let headers = client.headers_for(account.as_str(), method).unwrap();
        let body = serde_json::json!({ "statusCode": 401, "message": said }).to_string();
        client.report_request(&headers, method, path, 401, &[], body.as_bytes()).unwrap_err()
    };
    let scope = "The token is not authorized for this scope.";
    let url = format!("{}/contacts/?locationId=x", world.emulator.api());
    for path in ["/contacts/", "/contacts/?locationId=x", &url] {
        let error = told(&location(0), "post", path, scope);
        assert_eq!(error.code(), ErrorCode::InsufficientScope);
        let end = "`POST /contacts/` needs the scope `contacts.write`: add it to the app and to \
                   `scopes`, then authorize again";
        assert_eq!(error.message(), end);
    }
    for elsewhere in ["/no/such/operation", "https://elsewhere.example/contacts/", "no path"] {
        let error = told(&location(0), "POST", elsewhere, scope);
        assert_eq!(error.code(), ErrorCode::InsufficientScope);
        assert!(error.message().contains("needs a scope that the token lacks"), "{error}");
    }
    let class = "This authClass type is not allowed to access this scope. Use another token.";
    let error = told(&company, "GET", "/contacts/c1", class);
    assert!(
        error.message().starts_with("`GET /contacts/{contactId}` needs a token of class Location"),
        "{error}"
    );
    let error = told(&location(0), "GET", "/companies/c1", "Token's user type mismatch!");
    assert!(
        error.message().starts_with("`GET /companies/{companyId}` needs a token of class Company"),
        "{error}"
    );
    assert_eq!(error.code(), ErrorCode::WrongTokenClass);

    // Where only the answer is known, the account tells.
    let headers = client.headers_for(company.as_str(), "GET").unwrap();
    let body = serde_json::json!({ "message": class }).to_string();
    let error = client.report(&headers, 401, &[], body.as_bytes()).unwrap_err();
    assert!(
        error.message().starts_with("this operation needs a token of class Location"),
        "{error}"
    );
    assert_eq!(spent(&world), 0);
}

#[test]
fn refusal_after_refusal_is_answered_by_growing_pauses() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let refused = |pause: u64| {
        let before = spent(&world);
        let error = invalid(&world, &client, &account).unwrap_err();
        assert_eq!(error.code(), ErrorCode::HttpStatus, "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(pause)));
        assert!(error.is_retryable());
        assert_eq!(spent(&world), before);
    };
    for _ in 0..2 {
        assert!(matches!(invalid(&world, &client, &account), Ok(Report::Repeat(_))));
    }
    assert_eq!(spent(&world), 2);
    let mut total = 2;
    for pause in [60, 240, 900, 900, 900] {
        refused(pause);
        world.pass(pause - 1);
        // That other requests succeed meanwhile changes nothing.
        let headers = client.headers_for(account.as_str(), "GET").unwrap();
        let (status, body) = world.call(&headers, "/echo");
        assert!(matches!(client.report(&headers, status, &[], body.as_bytes()), Ok(Report::Pass)));
        refused(1);
        world.pass(1);
        assert!(matches!(invalid(&world, &client, &account), Ok(Report::Repeat(_))));
        total += 1;
        assert_eq!(spent(&world), total);
    }
    // Forgotten after a quiet time.
    refused(900);
    world.pass(4 * 900);
    for _ in 0..2 {
        assert!(matches!(invalid(&world, &client, &account), Ok(Report::Repeat(_))));
    }
    refused(60);
    assert_eq!(spent(&world), total + 2);

    // Another account has its own count.
    client.import(world.grant(&location(1)), false).unwrap();
    assert!(matches!(invalid(&world, &client, &location(1)), Ok(Report::Repeat(_))));
}

#[test]
fn a_new_authorization_begins_anew() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    while invalid(&world, &client, &account).is_ok() {}
    let code = world.emulator.authorize(account.as_str(), &[]).unwrap();
    client.complete_unsolicited(&code, &account).unwrap();
    assert!(matches!(invalid(&world, &client, &account), Ok(Report::Repeat(_))));
}

#[test]
fn many_reports_of_one_token_are_one_refusal() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    for round in 1..=2 {
        let headers = client.headers_for(account.as_str(), "GET").unwrap();
        let barrier = Barrier::new(50);
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    barrier.wait();
                    let report =
                        client.report(&headers, 401, &[], br#"{"message":"Invalid JWT"}"#).unwrap();
                    assert!(matches!(report, Report::Repeat(_)));
                });
            }
        });
        assert_eq!(spent(&world), round);
    }
}

#[test]
fn the_same_token_again_is_a_refusal_like_another() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let Report::Repeat(headers) = invalid(&world, &client, &account).unwrap() else { panic!() };
    // The platform now answers each refresh with the token that it refuses.
    let token = headers.authorization().strip_prefix("Bearer ").unwrap().to_owned();
    world.emulator.configure(|settings| {
        settings.answer.insert("access_token".into(), token.into());
    });
    for _ in 0..20 {
        let error = invalid(&world, &client, &account).unwrap_err();
        assert_eq!(error.code(), ErrorCode::HttpStatus);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    }
    assert_eq!(spent(&world), 2);
}

#[test]
fn a_limit_says_how_long_to_wait_as_a_request_would() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(0)), false).unwrap();
    let headers = client.headers_for(location(0).as_str(), "GET").unwrap();
    let now =
        std::time::UNIX_EPOCH + Duration::from_millis(world.clock.now().0.try_into().unwrap());
    let date = httpdate::fmt_http_date(now + Duration::from_secs(90));
    for (answer, least, most) in [
        (vec![("Retry-After", "3")], 3, 3),
        (vec![("x-ratelimit-interval-milliseconds", "20000")], 20, 20),
        (vec![("Retry-After", date.as_str())], 89, 90),
        (
            vec![
                ("Retry-After", "1"),
                ("X-RateLimit-Daily-Remaining", "0"),
                ("X-RateLimit-Daily-Reset", "5000"),
            ],
            5,
            5,
        ),
        (vec![], 10, 10),
    ] {
        let error = client.report(&headers, 429, &answer, b"").unwrap_err();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        let wait = error.retry_after().unwrap();
        assert!(
            (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&wait),
            "{answer:?} {wait:?}"
        );
    }
}
