//! The headers that a request is sent with, and the requests that are not sent at all, against the
//! emulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/rows.rs"]
mod rows;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier, Mutex};

use common::{Captured, World, location};
use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, Client, ClientBuilder, Error, ErrorCode, Grant, Response};
use hoopauth_emulator::{
    Company, Config, DEFAULT_COMPANY_ID, DEFAULT_COMPANY_PRIVATE_INTEGRATION,
    DEFAULT_LOCATION_PRIVATE_INTEGRATION, Endpoint, Fault,
};
use rows::Rows;
use serde_json::{Value, json};

fn company() -> Account {
    Account::company(DEFAULT_COMPANY_ID).unwrap()
}

/// A client that has the company's grant and nothing else.
fn agency(world: &World, builder: ClientBuilder) -> Client {
    let client = builder.build().unwrap();
    client.import(world.grant(&company()), false).unwrap();
    client
}

fn minted(world: &World) -> u64 {
    world.emulator.statistics().location_tokens_minted
}

fn api_requests(world: &World) -> u64 {
    world.emulator.statistics().api_requests
}

/// Returns the account whose token a request carried, as the API saw it.
fn served(world: &World, account: &Account) -> u64 {
    let by_account = world.emulator.statistics().api_requests_by_account;
    by_account.get(account.as_str()).map_or(0, |by_status| by_status.values().sum())
}

fn get(client: &Client, account: &str, path: &str) -> Result<Response, Error> {
    client.request("GET", path).account(account).any_status(true).send()
}

#[test]
fn a_company_on_a_locations_operation_uses_the_locations_grant() {
    let world = World::new();
    let client = agency(&world, world.builder());
    let id = location(0).id().to_owned();
    let name = company().as_str().to_owned();
    let of = |method: &str, path: &str| client.request(method, path).account(&name);
    let sent = [
        get(&client, &name, &format!("/locations/{id}/tags")),
        get(&client, &name, &format!("/contacts/?locationId={id}")),
        of("GET", "/contacts/").param("locationId", &id).send(),
        of("GET", "/opportunities/search").param("location_id", &id).send(),
        of("GET", "/contacts/").param("altType", "location").param("altId", &id).send(),
        of("POST", "/contacts/").json(&json!({ "name": "Ada", "locationId": id })).send(),
        of("POST", "/contacts/")
            .json(&json!({ "nested": { "locationId": "x" }, "altType": "location", "altId": id }))
            .send(),
    ];
    let length = u64::try_from(sent.len()).unwrap();
    for response in sent {
        response.unwrap();
    }
    assert_eq!((served(&world, &location(0)), served(&world, &company())), (length, 0));
    assert_eq!(minted(&world), 1);
    let grant = client.export(&location(0)).unwrap();
    assert!(grant.is_minted());
    assert_eq!(grant.company_id(), Some(DEFAULT_COMPANY_ID));

    // What both may call goes with the company's own.
    assert_eq!(get(&client, &name, &format!("/locations/{id}")).unwrap().status(), 200);
    assert_eq!(served(&world, &company()), 1);
    // Minting costs nothing of the budget of the token endpoint.
    assert_eq!(world.emulator.statistics().token_requests, 0);
}

#[test]
fn the_path_goes_before_the_query_and_the_query_before_the_body() {
    let world = World::new();
    let client = agency(&world, world.builder().default_account(&company()));
    let ids = [0, 1, 2].map(|index| location(index).id().to_owned());
    let send = |path: String, body: Value| {
        client
            .request("POST", &path)
            .param("locationId", &ids[1])
            .json(&body)
            .any_status(true)
            .send()
            .unwrap()
    };
    send(format!("/locations/{}/tags", ids[0]), json!({ "locationId": ids[2] }));
    assert_eq!([0, 1, 2].map(|index| served(&world, &location(index))), [1, 0, 0]);
    send("/contacts/".to_owned(), json!({ "locationId": ids[2] }));
    assert_eq!([0, 1, 2].map(|index| served(&world, &location(index))), [1, 1, 0]);
}

#[test]
fn a_company_that_names_no_location_is_told_to() {
    let world = World::new();
    let client = agency(&world, world.builder().default_account(&company()));
    let long = json!({ "a": "x".repeat(1 << 20), "locationId": location(0).id() }).to_string();
    let bodies: [&[u8]; 7] = [
        b"",
        b"{}",
        b"[1]",
        b"not json",
        br#"{"locationId":7}"#,
        br#"{"altType":"company","altId":"x"}"#,
        long.as_bytes(),
    ];
    for body in bodies {
        let error = client.request("POST", "/contacts/").body(body.to_vec()).send().unwrap_err();
        assert_eq!(error.code(), ErrorCode::WrongTokenClass);
        assert!(error.message().contains("name the location"), "{error}");
        assert_eq!(error.account(), Some(&company()));
    }
    let error =
        client.request("GET", "/contacts/").param("locationId", "not an id").send().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    assert_eq!((api_requests(&world), world.emulator.statistics().location_token_requests), (0, 0));
}

#[test]
fn a_location_on_a_companys_operation_is_not_sent() {
    let world = World::new();
    let client = agency(&world, world.builder());
    client.import(world.grant(&location(0)), false).unwrap();
    let error = get(&client, location(0).as_str(), "/companies/x").unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongTokenClass);
    assert!(error.message().contains("token of class Company: name the company"), "{error}");
    assert_eq!(error.account(), Some(&location(0)));
    assert_eq!(api_requests(&world), 0);
    // What is not documented passes.
    assert_eq!(get(&client, location(0).as_str(), "/echo").unwrap().status(), 200);
}

#[test]
fn a_location_that_nothing_is_stored_of_is_minted_from_the_clients_company() {
    for builder in [
        |world: &World| world.builder(),
        |world: &World| world.builder().default_account(&company()),
    ] {
        let world = World::new();
        let client = agency(&world, builder(&world));
        for path in ["/contacts/", "/echo"] {
            assert_eq!(get(&client, location(1).as_str(), path).unwrap().status(), 200);
        }
        assert_eq!((minted(&world), served(&world, &location(1))), (1, 2));
        // Headers alone are another matter: nothing is asked for that was not said.
        let error = client.headers_for(location(2).as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), ErrorCode::NoGrant);
    }
}

#[test]
fn nothing_is_minted_without_one_company_to_mint_from() {
    let other = "anotherCompany000001";
    let config = Config::default()
        .company(Company::new(other, "Another").location("anotherLocation00001", "One"));
    let world = World::with(config);
    let client = world.client();
    let no_grant = |client: &Client| {
        let error = get(client, location(0).as_str(), "/contacts/").unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::NoGrant, Some(&location(0))));
    };
    no_grant(&client);
    // Of two companies it is not known which one's it is.
    for id in [DEFAULT_COMPANY_ID, other] {
        client.import(world.grant(&Account::company(id).unwrap()), false).unwrap();
    }
    no_grant(&client);
    assert_eq!(world.emulator.statistics().location_token_requests, 0);
    // The default account says.
    let client = world.builder().default_account(&company()).build().unwrap();
    get(&client, location(0).as_str(), "/contacts/").unwrap();
    assert_eq!(minted(&world), 1);
    // A company that is not authorized is what is missing.
    let world = World::new();
    let error = get(&world.client(), company().as_str(), "/contacts/?locationId=l").unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::NoGrant, Some(&company())));
}

#[test]
fn nobody_speaks_for_another_companys_location() {
    let other = "anotherCompany000001";
    let config = Config::default()
        .company(Company::new(other, "Another").location("anotherLocation00001", "One"));
    let world = World::with(config);
    let client = agency(&world, world.builder());
    let theirs = Account::location("anotherLocation00001").unwrap();
    let path = format!("/contacts/?locationId={}", theirs.id());
    // There is a grant of it in the store, authorized by its own people.
    client.import(world.grant(&theirs), false).unwrap();
    for _ in 0..2 {
        let error = get(&client, company().as_str(), &path).unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::WrongAccount, Some(&theirs)));
    }
    assert_eq!(api_requests(&world), 0);
    get(&client, theirs.as_str(), &path).unwrap();

    // Nor is it minted: the platform refuses that.
    client.remove(&theirs).unwrap();
    let fresh = Account::location("anotherLocation00002").unwrap();
    world.emulator.add_location(other, fresh.id(), "Two").unwrap();
    let error = get(&client, company().as_str(), &format!("/contacts/?locationId={}", fresh.id()))
        .unwrap_err();
    assert_eq!(error.status(), Some(403), "{error:?}");
    assert_eq!(minted(&world), 0);
}

#[test]
fn a_location_of_an_unknown_company_is_minted_before_a_company_speaks_for_it() {
    let other = "anotherCompany000001";
    let config = Config::default()
        .company(Company::new(other, "Another").location("anotherLocation00001", "One"));
    let world = World::with(config);
    let client = agency(&world, world.builder());
    let theirs = Account::location("anotherLocation00001").unwrap();
    for account in [&theirs, &location(0)] {
        let told = world.grant(account);
        let silent = Grant::new(account.clone(), told.access_token().clone())
            .with_refresh_token(told.refresh_token().unwrap().clone())
            .with_expires_at(told.expires_at());
        client.import(silent, false).unwrap();
    }
    let of = |account: &Account| {
        get(&client, company().as_str(), &format!("/contacts/?locationId={}", account.id()))
    };
    for _ in 0..2 {
        assert_eq!(of(&theirs).unwrap_err().status(), Some(403));
    }
    assert_eq!((api_requests(&world), minted(&world)), (0, 0));
    for _ in 0..2 {
        assert_eq!(of(&location(0)).unwrap().status(), 200);
    }
    assert_eq!((api_requests(&world), minted(&world)), (2, 1));
    assert_eq!(client.export(&location(0)).unwrap().company_id(), Some(DEFAULT_COMPANY_ID));
}

#[test]
fn a_minted_answer_of_someone_else_is_not_stored() {
    for (answer, code) in [
        (json!({ "userType": "Company" }), ErrorCode::WrongTokenClass),
        (json!({ "locationId": "another" }), ErrorCode::WrongAccount),
        (json!({ "companyId": "another" }), ErrorCode::WrongAccount),
    ] {
        let world = World::new();
        let client = agency(&world, world.builder());
        let Value::Object(answer) = answer else { unreachable!() };
        world.emulator.configure(|settings| settings.answer = answer.clone());
        let error = get(&client, location(0).as_str(), "/contacts/").unwrap_err();
        assert_eq!(error.code(), code, "{answer:?}: {error:?}");
        assert_eq!(client.export(&location(0)).unwrap_err().code(), ErrorCode::NoGrant);
        assert_eq!(api_requests(&world), 0);
    }
}

#[test]
fn what_was_removed_is_not_minted_by_itself() {
    let world = World::new();
    let client = agency(&world, world.builder());
    get(&client, location(0).as_str(), "/contacts/").unwrap();
    client.remove(&location(0)).unwrap();
    for (account, path) in [
        (location(0), "/contacts/".to_owned()),
        (company(), format!("/contacts/?locationId={}", location(0).id())),
    ] {
        let error = get(&client, account.as_str(), &path).unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::NoGrant, Some(&location(0))));
    }
    assert_eq!(minted(&world), 1);
    client.mint(&location(0), &company()).unwrap();
    get(&client, location(0).as_str(), "/contacts/").unwrap();
}

#[test]
fn a_hundred_threads_mint_once() {
    let world = World::with(Config::default().settings(|s| s.location_token_latency_ms = 50));
    let client = agency(&world, world.builder());
    let barrier = Barrier::new(100);
    std::thread::scope(|scope| {
        for thread in 0..100 {
            let (client, barrier) = (&client, &barrier);
            scope.spawn(move || {
                let id = location(0).id().to_owned();
                barrier.wait();
                if thread % 2 == 0 {
                    get(client, location(0).as_str(), "/contacts/").unwrap();
                } else {
                    get(client, company().as_str(), &format!("/contacts/?locationId={id}"))
                        .unwrap();
                }
            });
        }
    });
    let statistics = world.emulator.statistics();
    assert_eq!((statistics.location_token_requests, statistics.location_tokens_minted), (1, 1));
    assert_eq!(client.export(&location(0)).unwrap().account(), &location(0));
}

#[test]
fn two_clients_of_one_store_mint_once() {
    let world = World::new();
    let (one, two) = (agency(&world, world.builder()), world.client());
    world.emulator.hold(Endpoint::LocationToken);
    std::thread::scope(|scope| {
        let callers = [&one, &two]
            .map(|client| scope.spawn(|| get(client, location(0).as_str(), "/echo").unwrap()));
        assert!(world.emulator.wait_until_held(
            Endpoint::LocationToken,
            1,
            std::time::Duration::from_secs(10)
        ));
        world.emulator.release(Endpoint::LocationToken);
        for caller in callers {
            assert_eq!(caller.join().unwrap().status(), 200);
        }
    });
    assert_eq!(world.emulator.statistics().location_token_requests, 1);
}

#[test]
fn a_companys_refused_token_is_replaced_before_its_location_is_minted() {
    let world = World::new();
    let client = agency(&world, world.builder());
    world.emulator.revoke_access(company().as_str()).unwrap();
    get(&client, location(0).as_str(), "/contacts/").unwrap();
    assert_eq!(world.emulator.statistics().token_requests, 1);

    // A failure for good is told, and spends nothing.
    let body = r#"{"statusCode":401,"message":"The token is not authorized for this scope."}"#;
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 401, body));
    let error = get(&client, location(1).as_str(), "/contacts/").unwrap_err();
    assert_eq!(error.code(), ErrorCode::InsufficientScope);
    assert!(error.message().contains("`oauth.write`"), "{error}");
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn a_mint_that_is_refused_for_good_does_not_spend_the_companys_refresh_tokens() {
    let unknown = r#"{"statusCode":401,"message":"nobody has recorded this one"}"#;
    let known = "<html>The token is not authorized for this scope.</html>";
    for (body, code, most) in
        [(unknown, ErrorCode::HttpStatus, 2), (known, ErrorCode::InsufficientScope, 0)]
    {
        let world = World::new();
        let client = agency(&world, world.builder());
        world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 401, body).times(100));
        let mut last = None;
        for turn in 0..8 {
            let error = get(&client, location(turn % 3).as_str(), "/contacts/").unwrap_err();
            assert_eq!(error.status(), Some(401), "{error:?}");
            last = Some(error);
        }
        let error = last.unwrap();
        assert_eq!(
            (error.code(), world.emulator.statistics().token_requests),
            (code, most),
            "{error:?}"
        );
        assert_eq!(error.retry_after().is_some(), most > 0);
    }
}

/// Answers everything, and notes the `Version` that it was asked with.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<String>>);

impl Transport for Noting {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let version = request.headers.iter().find(|(name, _)| name == "Version").unwrap();
        self.0.lock().unwrap().push(version.1.expose().to_owned());
        Ok(TransportResponse { status: 200, headers: vec![].into(), body: b"{}".to_vec() })
    }
}

#[test]
fn the_documented_version_is_sent_where_there_is_one() {
    let world = World::new();
    let grant = world.grant(&location(0));
    for (documented, expected) in [
        (true, ["2021-04-15", "2021-07-28", "v9", "v9", "2021-04-15"]),
        (false, ["v9", "v9", "v9", "v9", "2021-04-15"]),
    ] {
        let noting = Arc::new(Noting::default());
        let client = world
            .builder()
            .transport(noting.clone())
            .default_account(&location(0))
            .api_version("v9")
            .documented_version(documented)
            .build()
            .unwrap();
        client.import(grant.clone(), false).unwrap();
        // Documented twice, documented without a version, not documented.
        for path in ["/calendars/", "/contacts/", "/conversations/messages/email/e1", "/echo"] {
            client.request("GET", path).send().unwrap();
        }
        // What the caller says goes first.
        client.request("GET", "/contacts/").version("2021-04-15").send().unwrap();
        assert_eq!(*noting.0.lock().unwrap(), expected);
    }
}

#[test]
fn scopes_are_asked_before_the_platform_is() {
    let world = World::new();
    let grant = world.grant(&location(0)).with_scopes(["contacts.readonly"]);
    let bare = world.grant(&location(1));
    let log = Captured::of_process();
    let warned = || {
        log.text()
            .lines()
            .filter(|line| line.contains("will refuse") && line.contains("`calendars.readonly`"))
            .count()
    };
    for mode in ["off", "warn", "refuse"] {
        let client = world.builder().scope_preflight(mode).build().unwrap();
        client.import(grant.clone(), true).unwrap();
        client.import(bare.clone(), true).unwrap();
        let send = |account: &Account, method: &str, path: &str| {
            let before = api_requests(&world);
            let sent =
                client.request(method, path).account(account.as_str()).any_status(true).send();
            assert_eq!(api_requests(&world) - before, u64::from(sent.is_ok()));
            sent
        };
        // Covered; not documented; no scope documented; no scopes recorded.
        send(&location(0), "GET", "/contacts/").unwrap();
        send(&location(0), "GET", "/echo").unwrap();
        send(&location(0), "POST", "/contacts/bulk/business").unwrap();
        send(&location(1), "GET", "/calendars/").unwrap();
        let before = warned();
        match (mode, send(&location(0), "GET", "/calendars/")) {
            ("refuse", Err(error)) => {
                assert_eq!(
                    (error.code(), error.account()),
                    (ErrorCode::InsufficientScope, Some(&location(0)))
                );
                assert!(
                    error.message().contains("needs the scope `calendars.readonly`"),
                    "{error}"
                );
            }
            ("off" | "warn", Ok(_)) => {}
            (mode, result) => panic!("{mode}: {result:?}"),
        }
        assert_eq!(warned() - before, usize::from(mode == "warn"), "{}", log.text());
    }
    assert_eq!(warned(), 1);
}

#[test]
fn scopes_are_read_once_and_an_unreadable_store_refuses_nothing() {
    for (mode, reads) in [("off", 0), ("warn", 1), ("refuse", 1)] {
        let world = World::new();
        let rows = Arc::new(Rows::default());
        let client = world
            .app()
            .row_store(rows.clone())
            .store_key("0123456789abcdef")
            .scope_preflight(mode)
            .build()
            .unwrap();
        client.import(world.grant(&location(0)).with_scopes(["contacts.readonly"]), false).unwrap();
        client.headers_for(location(0).as_str(), "GET").unwrap();
        let before = rows.loads.load(Ordering::SeqCst);
        for _ in 0..20 {
            assert_eq!(get(&client, location(0).as_str(), "/contacts/").unwrap().status(), 200);
        }
        assert_eq!(rows.loads.load(Ordering::SeqCst) - before, reads, "{mode}");
    }
    let world = World::new();
    let rows = Arc::new(Rows::default());
    let client = world
        .app()
        .row_store(rows.clone())
        .store_key("0123456789abcdef")
        .scope_preflight("refuse")
        .build()
        .unwrap();
    client.import(world.grant(&location(0)).with_scopes(["contacts.readonly"]), false).unwrap();
    rows.broken.store(true, Ordering::SeqCst);
    assert_eq!(get(&client, location(0).as_str(), "/calendars/").unwrap().status(), 200);
    rows.broken.store(false, Ordering::SeqCst);
    let error = get(&client, location(0).as_str(), "/calendars/").unwrap_err();
    assert_eq!(error.code(), ErrorCode::InsufficientScope);
}

#[test]
fn a_new_authorization_brings_its_scopes() {
    let world = World::new();
    let client = world.builder().scope_preflight("refuse").build().unwrap();
    let account = location(0);
    client.import(world.grant(&account).with_scopes(["contacts.readonly"]), false).unwrap();
    let calendars =
        || get(&client, account.as_str(), "/calendars/").map(|response| response.status());
    assert_eq!(calendars().unwrap_err().code(), ErrorCode::InsufficientScope);
    let code = world.emulator.authorize(account.as_str(), &["calendars.readonly"]).unwrap();
    client.complete_unsolicited(&code, &account).unwrap();
    assert_eq!(calendars().unwrap(), 200);
    // And another process's authorization as well.
    let code = world.emulator.authorize(account.as_str(), &["contacts.readonly"]).unwrap();
    world.client().complete_unsolicited(&code, &account).unwrap();
    world.pass(5);
    assert_eq!(calendars().unwrap_err().code(), ErrorCode::InsufficientScope);
}

#[test]
fn static_tokens_are_of_the_class_that_the_default_account_says() {
    Captured::of_process();
    let world = World::new();
    let base = || Client::builder().api_base(world.emulator.api()).clock(world.clock.clone());
    let class = |error: Error| {
        assert_eq!(error.code(), ErrorCode::WrongTokenClass, "{error:?}");
        error.message().to_owned()
    };
    let client = base()
        .private_integration_token(DEFAULT_COMPANY_PRIVATE_INTEGRATION)
        .default_account(&company())
        .build()
        .unwrap();
    let message =
        class(client.request("GET", "/contacts/").param("locationId", "l").send().unwrap_err());
    assert!(
        message.contains("create the Private Integration in the settings of a Location"),
        "{message}"
    );
    let client = base()
        .private_integration_token(DEFAULT_LOCATION_PRIVATE_INTEGRATION)
        .default_account(&location(0))
        .build()
        .unwrap();
    class(client.request("GET", "/companies/x").send().unwrap_err());
    assert_eq!(api_requests(&world), 0);
    assert_eq!(client.request("GET", "/contacts/").send().unwrap().status(), 200);

    // Where nothing was said the platform decides.
    let client =
        base().private_integration_token(DEFAULT_COMPANY_PRIVATE_INTEGRATION).build().unwrap();
    class(client.request("GET", "/contacts/").send().unwrap_err());
    assert_eq!(api_requests(&world), 2);

    // Operations that serve no Private Integration tokens are refused where that is asked for.
    for (mode, sent) in [("off", 1), ("warn", 1), ("refuse", 0)] {
        let client = base()
            .private_integration_token(DEFAULT_LOCATION_PRIVATE_INTEGRATION)
            .scope_preflight(mode)
            .build()
            .unwrap();
        // Of this one nothing is documented: the platform decides.
        let before = api_requests(&world);
        client.request("POST", "/contacts/bulk/business").any_status(true).send().unwrap();
        assert_eq!(api_requests(&world) - before, 1, "{mode}");
        let before = api_requests(&world);
        let result = client.request("GET", "/marketplace/billing/charges").any_status(true).send();
        assert_eq!(api_requests(&world) - before, sent, "{mode}");
        assert_eq!(result.is_ok(), sent == 1);
        if let Err(error) = result {
            assert!(class(error).contains("does not serve Private Integration tokens"));
        }
    }
}
