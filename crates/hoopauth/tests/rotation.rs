//! Two Private Integration tokens while one is rotated, against the emulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Captured, World, location};
use hoopauth::binding::{HandleBinding as _, HeadersBinding as _};
use hoopauth::{Account, Client, ErrorCode, Headers, Report};
use hoopauth_emulator::{Config, Endpoint, Fault, PrivateIntegration};

const OLD: &str = "pit-00000000-0000-4000-8000-000000000001";
const NEW: &str = "pit-00000000-0000-4000-8000-000000000002";

fn world() -> World {
    Captured::of_process();
    let account = location(0).as_str().parse().unwrap();
    World::with(Config::default().private_integration(PrivateIntegration::new(OLD, account)))
}

fn add(world: &World, token: &str) {
    let account = location(0).as_str().parse().unwrap();
    world.emulator.put_private_integration(PrivateIntegration::new(token, account)).unwrap();
}

/// A client of the first location with both tokens.
fn client(world: &World) -> Client {
    Client::builder()
        .private_integration_token(OLD)
        .private_integration_token_next(NEW)
        .default_account(&location(0))
        .api_base(world.emulator.api())
        .clock(world.clock.clone())
        .build()
        .unwrap()
}

fn path() -> String {
    format!("/locations/{}", location(0).id())
}

fn uses(headers: &Headers, token: &str) -> bool {
    headers.authorization() == format!("Bearer {token}")
}

/// Sends a request and reports its answer: the status of the last try, or the error.
fn send(world: &World, client: &Client, headers: &Headers) -> Result<u16, hoopauth::Error> {
    let (status, body) = world.call(headers, &path());
    match client.report(headers, status, &[], body.as_bytes())? {
        Report::Repeat(again) => {
            let (status, body) = world.call(&again, &path());
            match client.report(&again, status, &[], body.as_bytes())? {
                Report::Pass => Ok(status),
                _ => panic!("told to repeat a repeated request"),
            }
        }
        _ => Ok(status),
    }
}

#[test]
fn a_dead_token_gives_its_place_to_the_other_which_keeps_it() {
    let world = world();
    let client = client(&world);
    let handle = client.account(location(0).as_str()).unwrap();
    let kept = handle.headers("GET").unwrap();
    assert!(uses(&kept, OLD) && uses(&client.headers("GET").unwrap(), OLD));
    assert_eq!(send(&world, &client, &kept).unwrap(), 200);
    assert_eq!(client.refused_private_integration_token(), None);

    add(&world, NEW);
    world.emulator.revoke_private_integration(OLD).unwrap();
    let version = handle.version();
    assert_eq!(send(&world, &client, &kept).unwrap(), 200);
    // What hosts keep of the old one is seen to be old.
    assert_ne!(handle.version(), version);
    assert!(!handle.is_current(version, &kept.clone().into_parts().0));
    for method in ["GET", "POST"] {
        assert!(uses(&client.headers(method).unwrap(), NEW));
        assert!(uses(&handle.headers(method).unwrap(), NEW));
        assert!(uses(&client.fresh_headers(location(0).as_str(), method).unwrap(), NEW));
    }
    assert_eq!(client.refused_private_integration_token(), Some("private_integration_token"));
    let text = Captured::of_process().text();
    assert!(
        text.contains("that of `private_integration_token_next` is used from now on"),
        "{text}"
    );
    assert!(!text.contains(OLD) && !text.contains(NEW), "{text}");

    // A late report of the old one is answered with the one in use, with the version that was sent.
    let late = kept.with_version("2021-04-15").unwrap();
    let body = br#"{"message":"Invalid Private Integration token"}"#;
    let Report::Repeat(again) = client.report(&late, 401, &[], body).unwrap() else { panic!() };
    assert!(uses(&again, NEW));
    assert_eq!(again.version(), "2021-04-15");
    // Also where the host put the headers together again.
    let sent = client.sent_headers(location(0).as_str(), "GET", &format!("Bearer {OLD}")).unwrap();
    let Report::Repeat(again) = client.report(&sent, 401, &[], body).unwrap() else { panic!() };
    assert!(uses(&again, NEW));
    let before = world.emulator.statistics().api_requests;
    assert_eq!(send(&world, &client, &client.headers("GET").unwrap()).unwrap(), 200);
    assert_eq!(world.emulator.statistics().api_requests, before + 1);
}

#[test]
fn two_dead_tokens_are_an_error_that_says_so_and_looked_at_again_later() {
    let world = world();
    world.emulator.revoke_private_integration(OLD).unwrap();
    let client = client(&world);
    let error = send(&world, &client, &client.headers("GET").unwrap()).unwrap_err();
    assert_eq!((error.code(), error.status()), (ErrorCode::InvalidPrivateIntegration, Some(401)));
    assert!(error.message().starts_with("both Private Integration tokens are refused"), "{error}");
    assert_eq!(error.account(), Some(&location(0)));
    assert!(client.refused_private_integration_token().is_some());

    // Within a minute nothing is tried again.
    add(&world, OLD);
    world.pass(59);
    let before = world.emulator.statistics().api_requests;
    let error = send(&world, &client, &client.headers("GET").unwrap()).unwrap_err();
    assert!(error.message().starts_with("both"), "{error}");
    assert_eq!(world.emulator.statistics().api_requests, before + 1);

    world.pass(1);
    assert_eq!(send(&world, &client, &client.headers("GET").unwrap()).unwrap(), 200);
    assert!(uses(&client.headers("GET").unwrap(), OLD));
    assert_eq!(client.refused_private_integration_token(), Some("private_integration_token_next"));
}

#[test]
fn a_token_that_works_again_was_a_hiccup() {
    let world = world();
    world.emulator.revoke_private_integration(OLD).unwrap();
    let client = Client::builder()
        .private_integration_token(OLD)
        .api_base(world.emulator.api())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let error = send(&world, &client, &client.headers("GET").unwrap()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidPrivateIntegration);
    assert!(!error.message().starts_with("both"), "{error}");
    assert_eq!(client.refused_private_integration_token(), Some("private_integration_token"));
    add(&world, OLD);
    assert_eq!(send(&world, &client, &client.headers("GET").unwrap()).unwrap(), 200);
    assert_eq!(client.refused_private_integration_token(), None);
}

#[test]
fn many_threads_report_the_old_token_and_it_is_switched_once() {
    for dead in [false, true] {
        let world = world();
        let client = client(&world);
        let (accounts, old) = ([location(0), location(0)], client.headers("GET").unwrap());
        world.emulator.revoke_private_integration(OLD).unwrap();
        if !dead {
            add(&world, NEW);
        }
        let (barrier, switched) = (Barrier::new(64), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let (world, client, old, barrier, switched) =
                    (&world, &client, &old, &barrier, &switched);
                let account = accounts[thread % 2].clone();
                scope.spawn(move || {
                    barrier.wait();
                    for _ in 0..20 {
                        let body = br#"{"message":"Invalid Private Integration token"}"#;
                        match client.report(old, 401, &[], body) {
                            Ok(Report::Repeat(again)) => assert!(uses(&again, NEW)),
                            Ok(_) => panic!(),
                            Err(error) => {
                                assert!(dead && error.message().starts_with("both"), "{error}");
                            }
                        }
                        // From the first report on, nobody gets the old one again.
                        let headers = client.headers_for(account.as_str(), "GET").unwrap();
                        assert!(uses(&headers, NEW));
                        if thread < 4 && send(world, client, &headers).is_ok() {
                            switched.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(switched.load(Ordering::Relaxed), if dead { 0 } else { 80 });
        assert_eq!(
            client.refused_private_integration_token(),
            Some(if dead { "private_integration_token_next" } else { "private_integration_token" })
        );
    }
}

/// The platform has several words for a key that it does not know any more.
#[test]
fn whatever_a_refusal_says_of_the_token_the_other_one_is_tried() {
    for message in ["Invalid JWT", "Invalid token: access token is invalid", "who knows", ""] {
        let world = world();
        add(&world, NEW);
        let body = serde_json::json!({ "statusCode": 401, "message": message }).to_string();
        let refused = |times: u32| {
            world.emulator.add_fault(Fault::status(Endpoint::Api, 401, &body).times(times));
        };
        refused(1);
        let asked = client(&world);
        assert_eq!(asked.request("GET", &path()).send().unwrap().status(), 200, "{message}");
        assert!(uses(&asked.headers("GET").unwrap(), NEW));
        assert_eq!(asked.refused_private_integration_token(), Some("private_integration_token"));

        refused(1);
        let reported = client(&world);
        assert_eq!(
            send(&world, &reported, &reported.headers("GET").unwrap()).unwrap(),
            200,
            "{message}"
        );
        assert!(uses(&reported.headers("GET").unwrap(), NEW));

        // Both are tried once, and the error is about the tokens.
        refused(2);
        let error = client(&world).request("GET", &path()).send().unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (ErrorCode::InvalidPrivateIntegration, Some(401))
        );
        assert!(error.message().starts_with("both"), "{message}: {error}");
        assert_eq!(world.emulator.pending_faults(), 0);

        // One alone costs one request.
        refused(1);
        let alone = Client::builder().private_integration_token(OLD).api_base(world.emulator.api());
        let error = alone.build().unwrap().request("GET", &path()).send().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidPrivateIntegration, "{message}");
    }
}

#[test]
fn other_refusals_switch_nothing_and_one_token_given_twice_is_one() {
    let world = world();
    let client = client(&world);
    let headers = client.headers("GET").unwrap();
    for (status, message) in [
        (401, "The token is not authorized for this scope."),
        (401, "This authClass type is not allowed to access this scope."),
        (401, "version header is invalid"),
        (403, "Forbidden"),
        (403, "The token does not have access to this location."),
        (429, "Too Many Requests"),
    ] {
        let body = serde_json::json!({ "message": message }).to_string();
        client.report(&headers, status, &[], body.as_bytes()).unwrap_err();
    }
    assert!(uses(&client.headers("GET").unwrap(), OLD));
    assert_eq!(client.refused_private_integration_token(), None);

    let twice = Client::builder()
        .private_integration_token(OLD)
        .private_integration_token_next(OLD)
        .api_base(world.emulator.api())
        .build()
        .unwrap();
    let body = br#"{"message":"Invalid Private Integration token"}"#;
    let error = twice.report(&twice.headers("GET").unwrap(), 401, &[], body).unwrap_err();
    assert!(!error.message().starts_with("both"), "{error}");
}

#[test]
fn all_names_that_one_token_serves_are_switched() {
    let world = world();
    add(&world, NEW);
    let client = Client::builder()
        .private_integration_token(OLD)
        .private_integration_token_next(NEW)
        .api_base(world.emulator.api())
        .build()
        .unwrap();
    let accounts: Vec<_> = (0..300).map(|n| Account::location(&format!("l{n}")).unwrap()).collect();
    for account in &accounts {
        assert!(uses(&client.headers_for(account.as_str(), "GET").unwrap(), OLD));
    }
    world.emulator.revoke_private_integration(OLD).unwrap();
    assert_eq!(send(&world, &client, &client.headers("GET").unwrap()).unwrap(), 200);
    for account in &accounts {
        assert!(uses(&client.headers_for(account.as_str(), "GET").unwrap(), NEW));
    }
}

#[test]
fn a_request_is_sent_again_with_the_other_token() {
    let world = world();
    let client = client(&world);
    world.emulator.revoke_private_integration(OLD).unwrap();
    let error = client.request("GET", &path()).send().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidPrivateIntegration);
    assert!(error.message().starts_with("both"), "{error}");
    assert_eq!(world.emulator.statistics().api_requests, 2);

    add(&world, NEW);
    assert_eq!(client.request("GET", &path()).send().unwrap().status(), 200);
    // It works again: that is noticed without a report.
    assert_eq!(client.refused_private_integration_token(), Some("private_integration_token"));
}
