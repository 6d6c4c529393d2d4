//! Requests: what is sent, what is tried again, where redirects lead, and what an answer becomes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::raw::{Raw, Reply, SleepLog, answer};
use common::{Captured, World, location};
use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Client, ClientBuilder, Error, ErrorCode, Response, Timestamp};
use hoopauth_emulator::{Config, Endpoint, Fault, FaultKind};
use serde_json::{Value, json};

const NOON: Timestamp = Timestamp(1_700_049_600_000);
/// Address at which nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";
const SECOND: Duration = Duration::from_secs(1);

/// A client with a static token.
fn client(url: &str) -> (Client, Arc<SleepLog>) {
    build(url, |builder| builder)
}

fn build(url: &str, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, Arc<SleepLog>) {
    let clock = SleepLog::new(NOON);
    let builder = Client::builder()
        .private_integration_token("pit-planted")
        .api_base(url)
        .clock(Arc::<SleepLog>::clone(&clock));
    (set(builder).build().unwrap(), clock)
}

/// A world whose client has a grant of the first location.
fn authorized() -> (World, Client) {
    authorized_with(|builder| builder)
}

fn authorized_with(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (World, Client) {
    let world = World::with(
        Config::default().settings(|settings| settings.api_requests_per_10_seconds = None),
    );
    let client = set(world.builder().default_account(&location(0))).build().unwrap();
    client.import(world.grant(&location(0)), false).unwrap();
    (world, client)
}

fn fail(result: hoopauth::Result<Response>, code: ErrorCode) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
    error
}

fn argument(result: hoopauth::Result<Response>) -> Error {
    fail(result, ErrorCode::InvalidArgument)
}

// What is sent.

#[test]
fn a_contact_is_made_and_read() {
    let (_world, client) = authorized();
    let made =
        client.request("post", "/contacts/").json(&json!({"firstName": "Ada"})).send().unwrap();
    assert_eq!((made.status(), made.header("Content-Type")), (201, Some("application/json")));
    let made: Value = made.json().unwrap();
    let path = format!("/contacts/{}", made["contact"]["id"].as_str().unwrap());
    let read = client.request("GET", &path).account(location(0).as_str()).send().unwrap();
    assert_eq!(read.json::<Value>().unwrap()["contact"]["firstName"], "Ada");
    assert!(read.text().contains("Ada") && read.header("x-ratelimit-daily-remaining").is_some());
    assert_eq!(read.json::<Vec<u8>>().unwrap_err().code(), ErrorCode::MalformedResponse);
    fail(client.request("GET", &path).account(location(1).as_str()).send(), ErrorCode::NoGrant);
    argument(client.request("GET", &path).account("nobody").send());
}

#[test]
fn headers_parameters_and_bodies_go_out_as_they_are_meant() {
    let server = Raw::answering(200, "", "{}");
    let (client, _) = client(&format!("{}/base/", server.url));
    client.request("get", "/a?b=1").param("q", "x y&é").param("q", "").send().unwrap();
    client
        .request("POST", "/a")
        .json(&json!([1]))
        .header("X-Own", "1")
        .version("v3")
        .send()
        .unwrap();
    client
        .request("PUT", "/a")
        .body("<x/>")
        .header("content-type", "text/xml")
        .header("accept", "text/*")
        .send()
        .unwrap();
    client.request("DELETE", "/a").json(&json!([2])).send().unwrap();
    client.request("DELETE", &format!("{}/elsewhere", server.url)).send().unwrap();
    client.request("HEAD", "/a").send().unwrap();
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(common::raw::Seen::line).collect();
    assert_eq!(
        lines,
        [
            "GET /base/a?b=1&q=x%20y%26%C3%A9&q=",
            "POST /base/a",
            "PUT /base/a",
            "DELETE /base/a",
            "DELETE /elsewhere",
            "HEAD /base/a"
        ]
    );
    for one in &seen {
        assert_eq!(one.header("authorization"), Some("Bearer pit-planted"));
        assert!(one.header("user-agent").unwrap().starts_with("hoopauth/"));
    }
    let of = |index: usize| {
        let one = &seen[index];
        (
            one.header("content-type"),
            one.header("accept"),
            one.header("version"),
            one.body.as_slice(),
        )
    };
    let json = Some("application/json");
    assert_eq!(of(0), (None, json, Some("2021-07-28"), &b""[..]));
    assert_eq!(of(1), (json, json, Some("v3"), &b"[1]"[..]));
    assert_eq!(seen[1].header("x-own"), Some("1"));
    assert_eq!(of(2), (Some("text/xml"), Some("text/*"), Some("2021-07-28"), &b"<x/>"[..]));
    assert_eq!(of(3), (json, json, Some("2021-07-28"), &b"[2]"[..]));
    assert_eq!(seen[2].head.matches("text/").count(), 2, "the added headers replace the library's");
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_sent() {
    let server = Raw::answering(200, "", "{}");
    let (client, clock) = client(&server.url);
    for path in [
        "/a/../planted",
        "/a planted",
        "/a\r\nX-planted: 1",
        "//planted.example/",
        "a",
        "https://evil.example/",
        "/%2fa",
    ] {
        argument(client.request("GET", path).send());
    }
    argument(client.request("PLANTED", "/a").send());
    for (name, value) in [
        ("Authorization", "Bearer planted"),
        ("Version", "v3"),
        ("user-agent", "planted"),
        ("HOST", "planted.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Accept-Encoding", "br"),
        ("X-A", "planted\r\nX-B: 1"),
        ("X-A\r\nX-B", "planted"),
        ("X A", "planted"),
    ] {
        argument(client.request("GET", "/a").header(name, value).send());
    }
    argument(client.request("GET", "/a").body("planted").send());
    argument(client.request("HEAD", "/a").json(&json!("planted")).send());
    argument(
        client.request("POST", "/a").json(&std::collections::HashMap::from([((1, 2), 3)])).send(),
    );
    argument(client.request("GET", "/a").version("planted\r\n1").send());
    assert!(server.seen().is_empty() && clock.take().is_empty());
    client.request("GET", "/a").body("").send().unwrap();
}

#[cfg(target_pointer_width = "64")]
#[test]
fn two_gigabytes_are_refused_unread() {
    let server = Raw::answering(200, "", "{}");
    let (client, _) = client(&server.url);
    // The system gives such memory only when it is touched.
    let error = argument(client.request("POST", "/a").body(vec![0_u8; 2 << 30]).send());
    assert!(error.message().contains("512 MiB"), "{error}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_closed_client_sends_nothing() {
    let server = Raw::answering(200, "", "{}");
    let (client, _) = client(&server.url);
    client.close().unwrap();
    fail(client.request("GET", "/a").send(), ErrorCode::InvalidState);
    assert!(server.seen().is_empty());
}

// What an answer becomes.

#[test]
fn another_status_is_an_error_with_the_answer_in_it_or_an_answer() {
    let (world, client) = authorized();
    let error = fail(client.request("GET", "/contacts/nobody").send(), ErrorCode::HttpStatus);
    assert_eq!((error.status(), error.is_retryable()), (Some(404), false));
    assert!(error.server_message().is_some() && error.trace_id().is_some(), "{error:?}");
    assert_eq!(error.account(), Some(&location(0)));
    let response = error.response().unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.json::<Value>().unwrap()["statusCode"], 404);

    let taken = client.request("GET", "/contacts/nobody").any_status(true).send().unwrap();
    assert_eq!(taken.status(), 404);
    world.emulator.add_fault(Fault::status(Endpoint::Api, 500, "{\"message\":\"down\"}").times(2));
    let error = fail(client.request("GET", "/contacts/").send(), ErrorCode::HttpStatus);
    assert_eq!(
        (error.status(), error.is_retryable(), error.server_message()),
        (Some(500), true, Some("down"))
    );
    assert_eq!(client.request("GET", "/contacts/").any_status(true).send().unwrap().status(), 500);
}

#[test]
fn refusals_of_the_platform_are_typed_and_hold_the_answer() {
    let (world, client) = authorized();
    // Of an operation that is not documented nothing is known before.
    let body = r#"{"statusCode":401,"message":"Token's user type mismatch!"}"#;
    world.emulator.add_fault(Fault::status(Endpoint::Api, 401, body).times(2));
    let error = fail(client.request("GET", "/echo").send(), ErrorCode::WrongTokenClass);
    assert_eq!(error.response().unwrap().status(), 401);
    let taken = client.request("GET", "/echo").any_status(true).send().unwrap();
    assert_eq!(taken.status(), 401);
    let error = fail(
        client.request("GET", "/contacts/").param("locationId", "hoopLocation00000002").send(),
        ErrorCode::WrongAccount,
    );
    assert_eq!(error.response().unwrap().status(), 403);
}

#[test]
fn a_server_that_echoes_the_token_does_not_bring_it_into_an_error() {
    for (status, code) in
        [(404, ErrorCode::HttpStatus), (400, ErrorCode::HttpStatus), (429, ErrorCode::RateLimited)]
    {
        // Whole, cut short, and as JSON may write it.
        for echo in [
            "Bearer pit-planted, pit-planted",
            "the token pit-planted-",
            "pit-plante",
            "pit\\u002dplanted",
        ] {
            let body = format!("{{\"message\":\"no {echo}\",\"traceId\":\"{echo}\"}}");
            let server = Raw::start(move |_, _| answer(status, "", &body));
            let (client, _) = build(&server.url, |builder| builder.max_retries(0));
            let error = fail(client.request("GET", "/a").send(), code);
            assert!(!format!("{error:?}").contains("pit-plan"), "{error:?}");
        }
    }
}

#[test]
fn long_answers_end_at_the_cap() {
    let (world, client) =
        authorized_with(|builder| builder.max_response_bytes(100_000).max_retries(0));
    for kind in [FaultKind::LargeBody { bytes: 64 << 20 }, FaultKind::GzipBomb { bytes: 64 << 20 }]
    {
        world.emulator.add_fault(Fault::new(Endpoint::Api, kind));
        let error = fail(client.request("GET", "/contacts/").send(), ErrorCode::MalformedResponse);
        assert!(error.message().contains("`max_response_bytes`"), "{error}");
    }
    world.emulator.add_fault(Fault::new(Endpoint::Api, FaultKind::LargeBody { bytes: 200_000 }));
    let response = client.request("GET", "/contacts/").max_body(200_000).send().unwrap();
    assert_eq!(response.body().len(), 200_000);
    fail(client.request("GET", "/contacts/").max_body(1).send(), ErrorCode::MalformedResponse);
}

#[test]
fn answers_that_lie_or_never_end_are_typed_errors() {
    let (world, client) = authorized_with(|builder| builder.max_retries(0));
    world.emulator.add_fault(Fault::new(Endpoint::Api, FaultKind::CutBody));
    fail(client.request("GET", "/contacts/").send(), ErrorCode::Network);
    world.emulator.add_fault(Fault::new(Endpoint::Api, FaultKind::Garbage));
    let garbage = client.request("GET", "/contacts/").send().unwrap();
    assert_eq!(garbage.json::<Value>().unwrap_err().code(), ErrorCode::MalformedResponse);
    for kind in [FaultKind::Drip { pause_ms: 20 }, FaultKind::Timeout] {
        world.emulator.add_fault(Fault::new(Endpoint::Api, kind));
        let short = Duration::from_millis(400);
        let error =
            fail(client.request("GET", "/contacts/").timeout(short).send(), ErrorCode::Timeout);
        assert!(error.is_retryable() && error.account() == Some(&location(0)), "{error:?}");
    }
    fail(client.request("GET", "/contacts/").timeout(Duration::ZERO).send(), ErrorCode::Timeout);
    client.request("GET", "/contacts/").timeout(Duration::MAX).send().unwrap();
}

#[test]
fn a_transport_of_the_host_is_not_trusted_with_the_cap() {
    #[derive(Debug)]
    struct Careless;
    impl Transport for Careless {
        fn send(&self, _: &TransportRequest) -> Result<TransportResponse, TransportError> {
            Ok(TransportResponse {
                status: 200,
                headers: vec![("X-A".into(), "1".into())].into(),
                body: vec![b' '; 11],
            })
        }
    }
    let (client, _) = build("https://api.example", |builder| builder.transport(Arc::new(Careless)));
    let response = client.request("GET", "/a").max_body(11).send().unwrap();
    assert_eq!(response.headers(), [("x-a".to_owned(), "1".to_owned())]);
    fail(client.request("GET", "/a").max_body(10).send(), ErrorCode::MalformedResponse);
}

// What is tried again.

#[test]
fn what_a_status_is_worth() {
    for (status, method, repeatable, times) in [
        (502, "GET", false, 3),
        (503, "PUT", false, 3),
        (504, "DELETE", false, 3),
        (429, "GET", false, 2),
        (502, "HEAD", false, 3),
        (502, "OPTIONS", false, 3),
        (502, "POST", false, 1),
        (503, "PATCH", false, 1),
        (429, "POST", false, 1),
        (502, "POST", true, 3),
        (503, "PATCH", true, 3),
        (500, "GET", false, 1),
        (404, "GET", false, 1),
        (501, "PUT", true, 1),
    ] {
        let server = Raw::start(move |_, _| answer(status, "", ""));
        // Two waits of ten seconds do not fit.
        let (client, _) = build(&server.url, |builder| builder.timeout(Duration::from_secs(15)));
        let request = client.request(method, "/a").repeatable(repeatable);
        let request =
            if matches!(method, "GET" | "HEAD") { request } else { request.body("planted") };
        let code = if status == 429 { ErrorCode::RateLimited } else { ErrorCode::HttpStatus };
        let error = fail(request.send(), code);
        assert_eq!(error.response().unwrap().status(), status);
        let seen = server.seen();
        assert_eq!(seen.len(), times, "{status} {method} {repeatable}");
        assert!(seen.iter().all(|one| one.body == seen[0].body));
    }
}

#[test]
fn max_retries_counts_and_any_status_changes_nothing_of_it() {
    let server = Raw::start(|index, _| answer(if index < 4 { 503 } else { 200 }, "", "{}"));
    let (client, _) = build(&server.url, |builder| builder.max_retries(3));
    assert_eq!(client.request("GET", "/a").any_status(true).send().unwrap().status(), 503);
    assert_eq!(server.seen().len(), 4);
    assert_eq!(client.request("GET", "/a").send().unwrap().status(), 200);
    let (client, clock) = build(&Raw::answering(503, "", "").url, |builder| builder.max_retries(0));
    fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
    assert!(clock.take().is_empty());
}

#[test]
fn waits_are_random_below_a_doubling_ceiling() {
    let server = Raw::answering(502, "", "");
    let (client, clock) =
        build(&server.url, |builder| builder.max_retries(6).timeout(Duration::from_secs(3_600)));
    let mut differ = false;
    for _ in 0..4 {
        fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
        let slept = clock.take();
        for (wait, ceiling) in slept.iter().zip([500, 1_000, 2_000, 4_000, 8_000, 8_000]) {
            assert!(*wait <= Duration::from_millis(ceiling), "{slept:?}");
            differ |= *wait < Duration::from_millis(ceiling / 2);
        }
        assert!((5..=6).contains(&slept.len()), "a wait of nothing is not slept: {slept:?}");
    }
    assert!(differ);
}

/// Waits that the server named, in seconds: each is slept, and up to the ceiling of its try beyond.
fn named(slept: &[Duration], seconds: &[u64]) {
    assert_eq!(slept.len(), seconds.len(), "{slept:?}");
    for (index, (slept, seconds)) in slept.iter().zip(seconds).enumerate() {
        let beyond = slept.checked_sub(Duration::from_secs(*seconds)).unwrap();
        assert!(beyond <= Duration::from_millis(500 << index), "{slept:?}");
    }
}

#[test]
fn what_the_server_says_of_waiting_is_not_the_same_for_all() {
    let server = Raw::answering(503, "Retry-After: 7\r\n", "");
    let (client, clock) =
        build(&server.url, |builder| builder.max_retries(6).timeout(Duration::from_secs(3_600)));
    fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
    let slept = clock.take();
    assert!(slept.len() == 6 && slept.iter().any(|slept| *slept > 7 * SECOND), "{slept:?}");
    // Where the time is short, it is obeyed to the moment.
    fail(
        client.request("GET", "/a").timeout(7 * SECOND + Duration::from_millis(1)).send(),
        ErrorCode::HttpStatus,
    );
    assert!(clock.take()[0] <= 7 * SECOND + Duration::from_millis(1));
}

#[test]
fn what_the_server_says_of_waiting_is_obeyed() {
    for (status, headers, seconds) in [
        (503, "Retry-After: 7\r\n", 7),
        (429, "Retry-After: 3\r\nX-RateLimit-Interval-Milliseconds: 9000\r\n", 3),
        (429, "Retry-After: Wed, 15 Nov 2023 12:00:05 GMT\r\n", 5),
        (429, "X-RateLimit-Interval-Milliseconds: 4000\r\n", 4),
        (429, "", 10),
    ] {
        let server = Raw::start(move |index, _| {
            if index == 0 { answer(status, headers, "") } else { answer(200, "", "{}") }
        });
        let (client, clock) = client(&server.url);
        client.request("GET", "/a").send().unwrap();
        named(&clock.take(), &[seconds]);
    }
}

#[test]
fn a_wait_for_which_there_is_no_time_is_an_error_at_once() {
    for (status, headers, code, seconds) in [
        (503, "Retry-After: 30\r\n", ErrorCode::HttpStatus, 30),
        (429, "Retry-After: 86400\r\n", ErrorCode::RateLimited, 86_400),
        (429, "Retry-After: Wed, 15 Nov 2023 13:00:00 GMT\r\n", ErrorCode::RateLimited, 3_600),
        (429, "X-RateLimit-Interval-Milliseconds: 60000\r\n", ErrorCode::RateLimited, 60),
        // The day is spent: no shorter wait helps.
        (
            429,
            "Retry-After: 1\r\nX-RateLimit-Daily-Remaining: 0\r\nX-RateLimit-Daily-Reset: 5000\r\n",
            ErrorCode::RateLimited,
            5,
        ),
        (
            429,
            "X-RateLimit-Daily-Remaining: 0\r\nX-RateLimit-Daily-Reset: 1700049607000\r\n",
            ErrorCode::RateLimited,
            7,
        ),
        (429, "X-RateLimit-Daily-Remaining: 0\r\n", ErrorCode::RateLimited, 43_200),
    ] {
        let server = Raw::start(move |_, _| answer(status, headers, ""));
        let (client, clock) = client(&server.url);
        let error = fail(client.request("GET", "/a").send(), code);
        assert_eq!(
            (error.status(), error.retry_after()),
            (Some(status), Some(Duration::from_secs(seconds))),
            "{headers}"
        );
        assert!(error.is_retryable() && error.response().is_some());
        assert!(clock.take().is_empty() && server.seen().len() == 1, "{headers}");
        assert_eq!(client.request("GET", "/a").any_status(true).send().unwrap().status(), status);
    }
}

#[test]
fn one_deadline_over_all_tries_and_waits() {
    let server = Raw::answering(503, "Retry-After: 2\r\n", "");
    let (client, clock) = build(&server.url, |builder| builder.max_retries(10));
    let error = fail(client.request("GET", "/a").timeout(5 * SECOND).send(), ErrorCode::HttpStatus);
    named(&clock.take(), &[2, 2]);
    assert_eq!(server.seen().len(), 3);
    assert_eq!(error.retry_after(), Some(2 * SECOND));
    let (client, clock) =
        build(&server.url, |builder| builder.max_retries(10).timeout(Duration::from_secs(3)));
    fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
    named(&clock.take(), &[2]);
}

#[test]
fn a_broken_connection_is_tried_again_where_that_is_safe() {
    for (method, repeatable, times) in [
        ("GET", false, 3),
        ("PUT", false, 3),
        ("DELETE", false, 3),
        ("POST", false, 1),
        ("PATCH", false, 1),
        ("POST", true, 3),
    ] {
        let server = Raw::start(|_, _| Reply::Last(String::new()));
        let (client, _) = client(&server.url);
        fail(client.request(method, "/a").repeatable(repeatable).send(), ErrorCode::Network);
        assert_eq!(server.seen().len(), times, "{method}");
    }
    let server = Raw::start(|index, _| match index {
        0 => Reply::Last(String::new()),
        1 => Reply::Last("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{".to_owned()),
        _ => answer(200, "", "{}"),
    });
    let (client, _) = client(&server.url);
    assert_eq!(client.request("GET", "/a").send().unwrap().body(), b"{}");
}

#[test]
fn where_nothing_listens_every_method_is_tried_again() {
    for method in ["GET", "POST", "PATCH"] {
        // A wait of nothing is not slept.
        let (client, clock) =
            build(NOBODY, |builder| builder.max_retries(10).timeout(Duration::from_secs(3_600)));
        let error = fail(client.request(method, "/a").send(), ErrorCode::Network);
        assert!(error.is_retryable() && error.response().is_none());
        assert!(clock.take().len() >= 9, "{method}");
    }
}

#[test]
fn a_connection_that_the_server_closed_while_it_was_idle_harms_nobody() {
    let server =
        Raw::start(|_, _| Reply::Last("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}".to_owned()));
    let (client, clock) = client(&server.url);
    for (index, method) in ["GET", "POST", "PATCH", "GET", "POST"].into_iter().enumerate() {
        assert_eq!(client.request(method, "/a").send().unwrap().status(), 200, "{method}");
        server.wait_until_closed(index + 1);
    }
    assert_eq!(server.seen().len(), 5);
    assert!(clock.take().is_empty(), "no try failed");
}

#[test]
fn connections_are_used_again() {
    let server = Raw::answering(200, "", "{}");
    let (client, _) = client(&server.url);
    for _ in 0..5 {
        client.request("GET", "/a").send().unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.connection == 0));
}

// The cure of a refused token.

#[test]
fn a_refused_token_is_refreshed_and_the_request_repeated_with_its_body() {
    let (world, client) = authorized();
    for any_status in [false, true] {
        world.emulator.expire_access(location(0).as_str()).unwrap();
        let before = world.emulator.statistics();
        let made = client
            .request("POST", "/contacts/")
            .json(&json!({"firstName": "Ada"}))
            .any_status(any_status)
            .send()
            .unwrap();
        assert_eq!(made.status(), 201);
        assert_eq!(made.json::<Value>().unwrap()["contact"]["firstName"], "Ada");
        let after = world.emulator.statistics();
        assert_eq!(
            (after.rotations - before.rotations, after.api_requests - before.api_requests),
            (1, 2)
        );
        world.pass(600);
    }
}

#[test]
fn a_new_token_that_is_refused_too_costs_no_second_refresh() {
    let (world, client) = authorized();
    for any_status in [false, true] {
        let before = world.emulator.statistics();
        let refusal = "{\"message\":\"Invalid JWT\",\"traceId\":\"t-1\"}";
        world.emulator.add_fault(Fault::status(Endpoint::Api, 401, refusal).times(2));
        let result = client.request("GET", "/contacts/").any_status(any_status).send();
        if any_status {
            assert_eq!(result.unwrap().status(), 401);
        } else {
            let error = fail(result, ErrorCode::HttpStatus);
            assert_eq!((error.status(), error.trace_id()), (Some(401), Some("t-1")));
            assert_eq!(error.response().unwrap().status(), 401);
        }
        let after = world.emulator.statistics();
        assert_eq!(
            (after.rotations - before.rotations, after.api_requests - before.api_requests),
            (1, 2)
        );
        world.pass(600);
    }
}

#[test]
fn a_cure_and_a_retry_go_together() {
    let (world, client) = authorized();
    world.emulator.add_fault(Fault::status(Endpoint::Api, 401, "{\"message\":\"Invalid JWT\"}"));
    world.emulator.add_fault(Fault::status(Endpoint::Api, 503, ""));
    assert_eq!(client.request("GET", "/contacts/").send().unwrap().status(), 200);
    assert_eq!(world.emulator.statistics().api_requests, 3);
}

#[test]
fn a_grant_that_is_over_ends_the_request_with_the_answer_at_hand() {
    let (world, client) = authorized();
    world.emulator.revoke_access(location(0).as_str()).unwrap();
    world.emulator.revoke_refresh(location(0).as_str()).unwrap();
    let error =
        fail(client.request("GET", "/contacts/").send(), ErrorCode::ReauthorizationRequired);
    assert_eq!(error.response().map(Response::status), Some(401));
}

// Redirects.

#[test]
fn a_redirect_within_the_api_keeps_the_token() {
    let server = Raw::start(|_, seen| match seen.line() {
        "GET /a/b?q=1" => answer(302, "Location: ../c?x\r\n", ""),
        "HEAD /a" => answer(308, "Location: /c\r\n", ""),
        "GET /c?x" | "HEAD /c" => {
            answer(200, "", if seen.line().starts_with("HEAD") { "" } else { "{}" })
        }
        _ => answer(500, "", ""),
    });
    let (client, _) = client(&server.url);
    client.request("GET", "/a/b?q=1").header("X-Own", "1").send().unwrap();
    client.request("HEAD", "/a").send().unwrap();
    assert_eq!(server.lines(), ["GET /a/b?q=1", "GET /c?x", "HEAD /a", "HEAD /c"]);
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some("Bearer pit-planted"));
    }
    assert_eq!(server.seen()[1].header("x-own"), Some("1"));
}

#[test]
fn another_origin_sees_neither_the_token_nor_added_headers() {
    for status in [301, 302, 303, 307, 308] {
        let other = Raw::answering(200, "X-RateLimit-Max: 7\r\n", "{\"other\":1}");
        let to = format!("Location: {}/b\r\n", other.url);
        let server = Raw::start(move |_, _| answer(status, &to, ""));
        let (client, _) = client(&server.url);
        let response = client
            .request("GET", "/a")
            .header("X-Own", "planted")
            .header("Cookie", "planted")
            .header("Accept", "text/*")
            .send();
        assert_eq!(response.unwrap().body(), b"{\"other\":1}");
        let seen = other.seen();
        assert!(!seen[0].head.contains("planted"), "{}", seen[0].head);
        for name in ["authorization", "version", "x-own", "cookie", "referer", "content-type"] {
            assert_eq!(seen[0].header(name), None, "{name}");
        }
        assert_eq!(seen[0].header("accept"), Some("text/*"));
        assert!(seen[0].header("user-agent").unwrap().starts_with("hoopauth/"));
        assert_eq!(
            client.rate_limit(""),
            None,
            "what another server says of limits is not the API's"
        );
    }
}

#[test]
fn another_configured_origin_does_not_see_the_token_either() {
    let other = Raw::answering(200, "", "{}");
    let to = format!("Location: {}/b\r\n", other.url);
    let server = Raw::start(move |_, _| answer(302, &to, ""));
    let (client, _) =
        build(&server.url, |builder| builder.token_url(format!("{}/token", other.url)));
    client.request("GET", "/a").header("X-Own", "planted").send().unwrap();
    assert_eq!(other.lines(), ["GET /b"]);
    assert!(!other.seen()[0].head.contains("planted"), "{}", other.seen()[0].head);
    // Asked for by the caller itself, it is one of the API's hosts.
    client.request("GET", &format!("{}/c", other.url)).send().unwrap();
    assert_eq!(other.seen()[1].header("authorization"), Some("Bearer pit-planted"));
}

#[test]
fn a_token_that_was_dropped_does_not_come_back() {
    // The other server sends back, and refuses: that is no reason to refresh.
    let back = Arc::new(Mutex::new(String::new()));
    let target = Arc::clone(&back);
    let other = Raw::start(move |_, _| {
        answer(302, &format!("Location: {}/back\r\n", target.lock().unwrap()), "")
    });
    let to = format!("Location: {}/b\r\n", other.url);
    let server = Raw::start(move |_, seen| match seen.line() {
        "GET /a" => answer(302, &to, ""),
        _ => answer(401, "", "{\"message\":\"Invalid JWT\"}"),
    });
    back.lock().unwrap().clone_from(&server.url);
    let (client, _) = client(&server.url);
    let error = fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
    assert_eq!(error.status(), Some(401));
    assert_eq!(server.lines(), ["GET /a", "GET /back"]);
    assert_eq!(server.seen()[1].header("authorization"), None);
}

#[test]
fn circles_and_long_ways_end() {
    let server = Raw::start(|_, seen| match seen.line() {
        "GET /circle" => answer(302, "Location: /half\r\n", "1"),
        "GET /half" => answer(302, "Location: /circle\r\n", "2"),
        "GET /self" => answer(302, "Location: /self\r\n", ""),
        line => {
            let number: u32 = line.rsplit('/').next().unwrap().parse().unwrap();
            if number == 0 {
                answer(200, "", "{}")
            } else {
                answer(302, &format!("Location: /{}\r\n", number - 1), "")
            }
        }
    });
    let (client, _) = client(&server.url);
    let error = fail(client.request("GET", "/circle").send(), ErrorCode::HttpStatus);
    assert!(error.message().contains("circle"), "{error}");
    assert_eq!(error.response().unwrap().body(), b"2");
    fail(client.request("GET", "/self").send(), ErrorCode::HttpStatus);
    assert_eq!(client.request("GET", "/5").send().unwrap().status(), 200);
    let error = fail(client.request("GET", "/6").send(), ErrorCode::HttpStatus);
    assert!(error.message().contains("five"), "{error}");
    assert_eq!(client.request("GET", "/circle").any_status(true).send().unwrap().status(), 302);
}

#[test]
fn redirects_that_are_not_followed_are_errors() {
    for (method, location) in [
        ("POST", "/b"),
        ("PUT", "/b"),
        ("DELETE", "/b"),
        ("PATCH", "/b"),
        ("GET", "http://plain.example/planted"),
        ("GET", "http://planted:planted@127.0.0.1/"),
        ("GET", "ftp://127.0.0.1/"),
        ("GET", "https://"),
    ] {
        let server = Raw::start(move |_, _| answer(307, &format!("Location: {location}\r\n"), ""));
        let (client, _) = client(&server.url);
        let error = fail(client.request(method, "/a").send(), ErrorCode::HttpStatus);
        assert_eq!((error.status(), server.seen().len()), (Some(307), 1), "{method} {location}");
        assert_eq!(error.response().unwrap().header("location"), Some(location));
        assert_eq!(client.request(method, "/a").any_status(true).send().unwrap().status(), 307);
    }
    let (client, _) = client(&Raw::answering(302, "", "").url);
    fail(client.request("GET", "/a").send(), ErrorCode::HttpStatus);
}

#[test]
fn what_a_hop_meets_is_tried_again_there() {
    let server = Raw::start(|index, seen| match (index, seen.line()) {
        (_, "GET /a") => answer(302, "Location: /b\r\n", ""),
        (1, "GET /b") => answer(503, "", ""),
        _ => answer(200, "", "{}"),
    });
    let (client, _) = client(&server.url);
    client.request("GET", "/a").send().unwrap();
    assert_eq!(server.lines(), ["GET /a", "GET /b", "GET /b"]);
}

// Many at once, and what is seen of it.

#[test]
fn eight_threads_share_one_client() {
    let (world, client) = authorized();
    thread::scope(|scope| {
        for number in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for turn in 0..50 {
                    let name = format!("{number}-{turn}");
                    let made = client
                        .request("POST", "/contacts/")
                        .json(&json!({"firstName": name}))
                        .send()
                        .unwrap();
                    assert_eq!(
                        made.json::<Value>().unwrap()["contact"]["firstName"],
                        name.as_str()
                    );
                }
            });
        }
    });
    let statistics = world.emulator.statistics();
    assert_eq!(statistics.api_requests_by_account[location(0).as_str()][&201], 400);
    assert_eq!(statistics.token_requests, 0);
}

#[test]
fn inside_an_async_runtime_the_thread_blocks() {
    let server = Raw::answering(200, "", "{}");
    let (client, _) = client(&server.url);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert_eq!(client.request("POST", "/a").json(&1).send().unwrap().status(), 200);
    });
}

#[test]
fn the_log_shows_the_path_and_nothing_else() {
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let server = Raw::start(|index, _| match index {
            0 => answer(302, "Location: /shown/too?a=planted\r\n", "planted"),
            1 => answer(503, "", "planted"),
            _ => answer(200, "X-A: planted\r\n", "planted"),
        });
        let (client, _) = client(&server.url);
        client
            .request("GET", "/shown?a=planted")
            .param("planted", "planted")
            .header("X-Own", "planted")
            .send()
            .unwrap();
        client.request("POST", "/shown").body("planted").send().unwrap();
        let (client, _) = build(NOBODY, |builder| builder.max_retries(0));
        fail(client.request("GET", "/shown?a=planted").send(), ErrorCode::Network);
    });
    let text = log.text();
    assert!(
        text.contains("/shown") && text.contains("/shown/too") && text.contains("503"),
        "{text}"
    );
    assert!(!text.contains("planted"), "{text}");
}
