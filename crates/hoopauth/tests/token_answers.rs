//! Answers of the token endpoint that are not quite what is documented, over sockets: whatever
//! holds a usable pair keeps the grant.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Captured, World, approve, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::MemoryStore;
use hoopauth::{Account, AccountKind, Client, Clock, Error, ErrorCode, Grant};
use hoopauth_emulator::{DEFAULT_COMPANY_ID, Endpoint, Fault, FaultKind};
use serde_json::{Map, Value, json};

const DAY: u64 = 86_399;

fn odd(members: &Value, omit: &[&str], first: &str, before: &str) -> FaultKind {
    FaultKind::OddAnswer {
        members: members.as_object().unwrap().clone(),
        omit: omit.iter().map(ToString::to_string).collect(),
        first: first.into(),
        before: before.into(),
    }
}

fn set(members: &Value) -> FaultKind {
    odd(members, &[], "", "")
}

/// Everything that an answer may have beside a usable pair.
fn oddities() -> Vec<FaultKind> {
    let mut all = vec![
        odd(&json!({}), &[], "", "\u{feff}"),
        odd(&json!({}), &[], r#""access_token":null,"refresh_token":"","expires_in":"x","#, " \n"),
        odd(
            &json!({}),
            &[],
            r#""accessToken":"other","refreshToken":"other","tokenType":"Bearer","expiresIn":1,"#,
            "",
        ),
        odd(
            &json!({}),
            &[],
            r#""location_id":"else","user_type":"Company","company_id":"else","#,
            "",
        ),
        odd(&json!({}), &[], r#""huge":1e999,"half":"\ud83d","\ud83d":0,"#, ""),
        odd(&json!({}), &[], &format!(r#""deep":{}{},"#, "[".repeat(5_000), "]".repeat(5_000)), ""),
        odd(
            &json!({}),
            &["token_type", "expires_in", "scope", "userType", "companyId", "locationId", "userId"],
            "",
            "",
        ),
        set(&json!({ "token_type": "mac", "userType": "Agency", "userId": 7, "companyId": 12345 })),
        set(&json!({ "scope": ["contacts.readonly", 7, null], "approvedLocations": "none",
                "traceId": [] })),
    ];
    for odd in [
        json!({}),
        json!([]),
        json!(["a", "b"]),
        json!(true),
        json!(-1.5),
        json!(null),
        json!("a b\n"),
        json!("\0"),
    ] {
        all.push(set(&json!({
            "token_type": odd, "expires_in": odd, "scope": odd, "userType": odd, "companyId": odd,
            "locationId": odd,
            "userId": odd, "planId": odd, "isBulkInstallation": odd, "traceId": odd,
        })));
    }
    for life in [json!(0), json!(-86_399), json!("3600"), json!(3600.5), json!("1e3"), json!(1e300)]
    {
        all.push(set(&json!({ "expires_in": life })));
    }
    all
}

fn works(world: &World, client: &Client, account: &Account) {
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    let (status, body) = world.call(&headers, &format!("/locations/{}", account.id()));
    assert_eq!(status, 200, "{body}");
}

/// The store holds the pair that the platform gave last.
fn is_current(world: &World, client: &Client, account: &Account) -> Grant {
    let grant = client.export(account).unwrap();
    let pair = world.emulator.current_grant(account.as_str()).unwrap().unwrap();
    assert_eq!(grant.access_token().expose(), pair.access_token);
    assert_eq!(grant.refresh_token().map(|token| token.expose().to_owned()), pair.refresh_token);
    grant
}

#[test]
fn a_refresh_keeps_every_usable_pair_and_what_it_knew() {
    for kind in oddities() {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        let seed = world.grant(&account).with_scopes(["contacts.write", "locations.readonly"]);
        client.import(seed, false).unwrap();
        world.pass(DAY);
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind.clone()));
        works(&world, &client, &account);
        let grant = is_current(&world, &client, &account);
        assert!(!grant.scopes().is_empty() && grant.company_id().is_some(), "{kind:?}");
        let statistics = world.emulator.statistics();
        assert_eq!((statistics.rotations, statistics.token_requests), (1, 1), "{kind:?}");
        // The chain goes on.
        world.pass(DAY);
        works(&world, &client, &account);
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0, "{kind:?}");
    }
}

#[test]
fn a_login_keeps_every_usable_pair() {
    for kind in oddities() {
        let nameless = matches!(&kind, FaultKind::OddAnswer { members, omit, .. }
            if omit.iter().any(|name| name == "locationId") || members.contains_key("locationId"));
        let world = World::new();
        let client = world.builder().user_type(AccountKind::Location).build().unwrap();
        let pending = client.begin(client.authorization_request().unwrap()).unwrap();
        let redirect = approve(pending.url(), &location(0));
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind.clone()));
        match client.complete(&pending, &redirect) {
            Ok(account) => {
                assert_eq!(account, location(0), "{kind:?}");
                works(&world, &client, &account);
                is_current(&world, &client, &account);
            }
            // Nobody knows whose it is.
            Err(error) => {
                assert!(nameless, "{kind:?}: {error:?}");
                let expected = [ErrorCode::MalformedResponse, ErrorCode::WrongTokenClass];
                assert!(expected.contains(&error.code()), "{kind:?}: {error:?}");
            }
        }
    }
}

#[test]
fn minting_keeps_every_usable_token() {
    for kind in oddities() {
        // Minting spends nothing: a token of an unknown company is not taken.
        if matches!(&kind, FaultKind::OddAnswer { members, first, .. }
            if members.get("companyId").is_some_and(|id| *id == 12345)
                || first.contains("company_id"))
        {
            continue;
        }
        let world = World::new();
        let client = world.client();
        let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
        client.import(world.grant(&company), false).unwrap();
        world.emulator.add_fault(Fault::new(Endpoint::LocationToken, kind.clone()));
        client.mint(&location(0), &company).unwrap();
        works(&world, &client, &location(0));
        assert_eq!(
            client.export(&location(0)).unwrap().company_id(),
            Some(DEFAULT_COMPANY_ID),
            "{kind:?}"
        );
    }
}

#[test]
fn members_that_are_passed_over_are_logged_without_their_values() {
    let log = Captured::of_process();
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(1)), false).unwrap();
    world.pass(DAY);
    let planted = json!({ "userType": "planted-1", "companyId": { "planted-2": 1 },
        "token_type": "planted-3" });
    world.emulator.add_fault(Fault::new(Endpoint::Token, set(&planted)));
    works(&world, &client, &location(1));
    let text = log.text();
    for member in ["userType", "companyId", "token_type"] {
        assert!(text.contains(&format!("member=\"{member}\"")), "{text}");
    }
    assert!(!text.contains("planted"), "{text}");
}

/// RFC 6749 §6: without a new refresh token the old one goes on.
#[test]
fn a_refresh_token_that_cannot_be_read_leaves_the_stored_one() {
    for kind in [
        odd(&json!({}), &["refresh_token"], "", ""),
        set(&json!({ "refresh_token": {} })),
        set(&json!({ "refresh_token": ["a", "b"] })),
        set(&json!({ "refresh_token": "a b" })),
    ] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        let seed = world.grant(&account);
        client.import(seed.clone(), false).unwrap();
        world.pass(DAY);
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind));
        works(&world, &client, &account);
        assert_eq!(client.export(&account).unwrap().refresh_token(), seed.refresh_token());
        works(&world, &client, &account);
        assert_eq!(world.emulator.statistics().token_requests, 1);
    }
}

/// An answer that breaks off before its refresh token is asked for again, inside the window.
#[test]
fn a_pair_that_was_cut_off_comes_back() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    let cut = FaultKind::Status {
        status: 200,
        headers: Vec::new(),
        body: r#"{"access_token":"half-a-pair","expires_in":86399,"refresh_tok"#.into(),
    };
    world.emulator.add_fault(Fault::new(Endpoint::Token, cut).processed(true));
    works(&world, &client, &account);
    is_current(&world, &client, &account);
    let statistics = world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_inside_window), (1, 1));
}

/// Answers that speak for someone else than their account, and the codes.
fn contradictions() -> [(Value, ErrorCode); 4] {
    [
        (json!({ "userType": "Company" }), ErrorCode::WrongTokenClass),
        (json!({ "userType": ["company"], "locationId": null }), ErrorCode::WrongTokenClass),
        (json!({ "locationId": "another" }), ErrorCode::WrongAccount),
        (json!({ "locationId": 7, "userType": "?" }), ErrorCode::WrongAccount),
    ]
}

#[test]
fn a_pair_of_someone_else_is_kept_and_not_used_and_the_spent_token_is_not_sent_again() {
    for (members, code) in contradictions() {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        let seed = world.grant(&account);
        client.import(seed.clone(), false).unwrap();
        world.pass(DAY);
        world.emulator.add_fault(Fault::new(Endpoint::Token, set(&members)));
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!((error.code(), error.account()), (code, Some(&account)), "{error:?}");
        assert!(error.message().contains("the new tokens are kept"), "{error}");
        assert!(error.message().contains("authorization again"), "{error}");

        // Kept, by this process and for others, and served to nobody.
        for client in [&client, &world.client()] {
            let grant = is_current(&world, client, &account);
            assert_eq!(grant.company_id(), seed.company_id());
            assert!(grant.expires_at() <= world.clock.now());
            assert!(client.fresh_headers(account.as_str(), "GET").is_none());
            let health = client.health(&account).unwrap();
            assert_eq!(health.last_error.as_deref(), Some(error.message()));
            assert!(!health.needs_reauthorization);
        }
        // The same import again changes nothing.
        client.import(seed, true).unwrap();
        is_current(&world, &client, &account);

        // After a pause it is asked whose it is, with the token that is not spent.
        world.pass(3_600);
        works(&world, &client, &account);
        let statistics = world.emulator.statistics();
        assert_eq!((statistics.rotations, statistics.token_requests), (2, 2));
        assert_eq!((statistics.reuse_inside_window, statistics.reuse_outside_window), (0, 0));
    }
}

#[test]
fn a_platform_that_stays_wrong_is_asked_less_and_less_and_no_pair_is_lost() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.configure(|settings| {
        settings.answer = Map::from_iter([("locationId".to_owned(), json!("another"))]);
    });
    for _ in 0..20 {
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), ErrorCode::WrongAccount);
        is_current(&world, &client, &account);
        world.pass(900);
    }
    world.emulator.configure(|settings| settings.answer.clear());
    world.pass(900);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
}

/// Nobody refused the token that still lives.
#[test]
fn a_living_token_is_served_beside_a_pair_of_someone_else() {
    for (early, calls) in [(600, 3), (30, 1)] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        let seed = world.grant(&account);
        client.import(seed.clone(), false).unwrap();
        world.pass(DAY - early);
        let wrong = set(&json!({ "locationId": "another" }));
        world.emulator.add_fault(Fault::new(Endpoint::Token, wrong));
        for client in [&client, &client, &world.client()].into_iter().take(calls) {
            let headers = client.headers_for(account.as_str(), "GET").unwrap();
            assert_eq!(headers.authorization(), format!("Bearer {}", seed.access_token().expose()));
        }
        assert_ne!(client.export(&account).unwrap().refresh_token(), seed.refresh_token());
        assert_eq!(world.emulator.statistics().rotations, 1, "{early}");
        world.pass(3_600);
        works(&world, &client, &account);
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
    }
}

#[test]
fn a_pair_of_someone_else_that_cannot_be_saved_is_held() {
    let world = World::new();
    let account = location(0);
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let flag = broken.clone();
    let client = world
        .builder()
        .step_hook(move |at, _| match at {
            Step::Save if flag.load(std::sync::atomic::Ordering::SeqCst) => {
                Err(Error::new(ErrorCode::Store, "disk full"))
            }
            _ => Ok(()),
        })
        .build()
        .unwrap();
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.add_fault(Fault::new(Endpoint::Token, set(&json!({ "locationId": "another" }))));
    let error = client.headers_for(account.as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongAccount, "{error:?}");
    assert!(client.health(&account).unwrap().unsaved);
    is_current(&world, &client, &account);
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    world.pass(3_600);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
    assert!(!client.health(&account).unwrap().unsaved);
}

/// RFC 6749 §5.1: an answer without scopes has those that were asked for; §6: a refresh keeps those
/// there are.
#[test]
fn an_answer_without_scopes_means_those_that_were_asked_for() {
    for silent in [
        odd(&json!({}), &["scope"], "", ""),
        set(&json!({ "scope": "" })),
        set(&json!({ "scope": null })),
        set(&json!({ "scope": {} })),
    ] {
        let world = World::new();
        let client =
            world.builder().scopes(["contacts.readonly", "locations.readonly"]).build().unwrap();
        let request = || client.authorization_request().unwrap();
        let fewer = request().scopes(["locations.readonly"]);
        for (request, sealed, scopes) in [
            (request(), false, &["contacts.readonly", "locations.readonly"][..]),
            (request(), true, &["contacts.readonly", "locations.readonly"]),
            (fewer, false, &["locations.readonly"]),
        ] {
            let pending = client.begin(request).unwrap();
            let redirect = approve(pending.url(), &location(0));
            let pending = if sealed {
                client.open_pending(&client.seal_pending(&pending).unwrap()).unwrap()
            } else {
                pending
            };
            world.emulator.add_fault(Fault::new(Endpoint::Token, silent.clone()));
            let account = client.complete(&pending, &redirect).unwrap();
            assert_eq!(client.export(&account).unwrap().scopes(), scopes);

            world.pass(DAY);
            world.emulator.add_fault(Fault::new(Endpoint::Token, silent.clone()));
            works(&world, &client, &account);
            assert_eq!(client.export(&account).unwrap().scopes(), scopes);
        }
        // Nobody knows what an installation from the marketplace page asked for.
        let code = world.emulator.authorize(location(1).as_str(), &[]).unwrap();
        world.emulator.add_fault(Fault::new(Endpoint::Token, silent));
        client.complete_unsolicited(&code, &location(1)).unwrap();
        assert!(client.export(&location(1)).unwrap().scopes().is_empty());
    }
}

/// A proxy in front of the endpoint has not looked at a code: the same redirect may come again.
#[test]
fn a_login_that_did_not_reach_the_endpoint_may_be_completed_again() {
    let world = World::new();
    let client = world.client();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let redirect = approve(pending.url(), &location(0));
    for (status, code) in [
        (403, ErrorCode::MalformedResponse),
        (407, ErrorCode::MalformedResponse),
        (425, ErrorCode::HttpStatus),
        (429, ErrorCode::RateLimited),
    ] {
        world.emulator.add_fault(Fault::status(Endpoint::Token, status, "<html>no</html>"));
        let error = client.complete(&pending, &redirect).unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    }
    world.pass(61);
    assert_eq!(client.complete(&pending, &redirect).unwrap(), location(0));
}

#[test]
fn the_code_of_a_refusal_decides_whether_a_grant_is_over() {
    let words = "The provided authorization grant (e.g., authorization code, resource owner \
                 credentials) or refresh token is invalid, expired, revoked, does not match the \
                 redirection URI used in the authorization request";
    for description in [words, "Location is not active", "Authorization code not found", ""] {
        for body in [
            json!({ "error": "invalid_grant", "error_description": description }),
            json!({ "error": { "code": "INVALID_GRANT", "message": description, "details": [],
                "resolution": "" } }),
        ] {
            let world = World::new();
            let client = world.client();
            let account = location(0);
            client.import(world.grant(&account), false).unwrap();
            world.pass(DAY);
            world
                .emulator
                .add_fault(Fault::status(Endpoint::Token, 400, &body.to_string()).times(5));
            let error = client.headers_for(account.as_str(), "GET").unwrap_err();
            assert_eq!(error.code(), ErrorCode::ReauthorizationRequired, "{body}: {error:?}");
            assert!(client.health(&account).unwrap().needs_reauthorization);

            let pending = client.begin(client.authorization_request().unwrap()).unwrap();
            let redirect = approve(pending.url(), &account);
            world.emulator.clear_faults();
            world.emulator.add_fault(Fault::status(Endpoint::Token, 400, &body.to_string()));
            let error = client.complete(&pending, &redirect).unwrap_err();
            assert_eq!(error.code(), ErrorCode::TokenRequestRejected, "{body}: {error:?}");
            assert!(error.message().contains("authorization code"), "{error}");
        }
    }
}

#[test]
fn what_stands_in_the_way_ends_no_grant() {
    for (status, body) in [
        (403, "<html>Blocked by the firewall</html>"),
        (403, "{\"message\":\"Forbidden\"}"),
        (404, "{\"statusCode\":404,\"message\":\"Cannot POST /oauth/token\"}"),
        (400, ""),
        (407, ""),
        (408, "{\"message\":\"Request Timeout\"}"),
        (425, ""),
        (200, "<html>Log in to the network</html>"),
        (302, ""),
    ] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        client.import(world.grant(&account), false).unwrap();
        world.pass(DAY);
        world.emulator.add_fault(Fault::status(Endpoint::Token, status, body).times(3));
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.status(), Some(status), "{error:?}");
        assert!(
            !error.message().contains("settings") && !error.message().contains("support"),
            "{error}"
        );
        assert!(!client.health(&account).unwrap().needs_reauthorization);
        world.emulator.clear_faults();
        world.pass(3_600);
        works(&world, &client, &account);
    }
}

#[test]
fn a_secret_with_spaces_is_sent_as_it_is() {
    let secret = "two words & more=+%";
    let world = World::with(
        hoopauth_emulator::Config::default().app(hoopauth_emulator::App::new("other-app", secret)),
    );
    let store = Arc::new(MemoryStore::new());
    let client = world
        .builder()
        .token_store(store)
        .client_id("other-app")
        .client_secret(secret)
        .build()
        .unwrap();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let account = client.complete(&pending, &approve(pending.url(), &location(0))).unwrap();
    world.pass(DAY);
    works(&world, &client, &account);

    world.emulator.add_fault(Fault::status(
        Endpoint::Token,
        401,
        &json!({ "message": format!("not {secret}") }).to_string(),
    ));
    world.pass(DAY);
    let error = client.headers_for(account.as_str(), "GET").unwrap_err();
    assert!(!format!("{error:?}").contains("two words"), "{error:?}");
}

/// 60 seconds, so that the pair is kept and no endpoint is asked more than once a minute for it.
#[test]
fn a_life_of_nothing_counts_as_a_minute() {
    for life in [json!(0), json!(-5), json!("-1"), json!(0.2)] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        client.import(world.grant(&account), false).unwrap();
        world.pass(DAY);
        let asked = world.clock.now();
        world.emulator.add_fault(Fault::new(Endpoint::Token, set(&json!({ "expires_in": life }))));
        works(&world, &client, &account);
        assert_eq!(
            client.export(&account).unwrap().expires_at(),
            asked.plus(Duration::from_secs(60))
        );
    }
}
