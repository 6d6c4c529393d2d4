//! INSTALL and UNINSTALL change grants, whenever they come.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::receiver::serve;
use common::{World, approve, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::MemoryStore;
use hoopauth::transport::{
    Transport, TransportError, TransportErrorKind, TransportRequest, TransportResponse,
};
use hoopauth::webhook::{Applied, SignatureScheme, WebhookEvent, WebhookKey, WebhookVerifier};
use hoopauth::{Account, Client, Clock, Error, ErrorCode, Grant, ManualClock, Timestamp};
use hoopauth_emulator::{
    App, Company, DEFAULT_COMPANY_ID, DEFAULT_LOCATION_IDS, DeliveryState, Endpoint, Fault,
    Webhook, WebhookScheme,
};
use serde_json::{Value, json};

fn company() -> Account {
    Account::company(DEFAULT_COMPANY_ID).unwrap()
}

fn verifier(world: &World, client: &Client) -> WebhookVerifier {
    let key = world.emulator.webhook_key(WebhookScheme::Ed25519).key;
    let key = WebhookKey::new(SignatureScheme::Ed25519, "emulator", &key).unwrap();
    client.webhook_verifier().key(key).replay("off").build().unwrap()
}

/// A verified event of the emulator.
fn event(world: &World, client: &Client, members: Value) -> WebhookEvent {
    let signed = world.emulator.sign_webhook(&Webhook::event(members)).unwrap();
    let headers = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    verifier(world, client).verify(headers, signed.body.as_bytes()).unwrap().event().clone()
}

/// An event of the emulator's install flow, `seconds` old.
fn of(world: &World, client: &Client, kind: &str, account: &Account, seconds: i64) -> WebhookEvent {
    let id = if account.as_str().starts_with("location") { "locationId" } else { "companyId" };
    let at = world.clock.now().0 - seconds * 1000;
    event(world, client, json!({ "type": kind, id: account.id(), "timestamp": at }))
}

/// The same of a location, with its company named.
fn of_company(world: &World, client: &Client, kind: &str, index: usize) -> WebhookEvent {
    let at = world.clock.now().0;
    let members = json!({ "type": kind, "locationId": location(index).id(),
        "companyId": DEFAULT_COMPANY_ID, "timestamp": at });
    event(world, client, members)
}

fn works(world: &World, client: &Client, account: &Account) {
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, &format!("/locations/{}", account.id())).0, 200, "{account}");
}

fn minted(world: &World) -> u64 {
    world.emulator.statistics().location_token_requests
}

fn no_grant(client: &Client, account: &Account) {
    assert_eq!(client.headers_for(account.as_str(), "GET").unwrap_err().code(), ErrorCode::NoGrant);
}

/// The company authorizes the app.
fn exchange(client: &Client, account: &Account) {
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    client.complete(&pending, &approve(pending.url(), account)).unwrap();
}

#[test]
fn an_install_mints_the_locations_grant_once() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    world.pass(10);
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    assert_eq!(client.apply(&install).unwrap(), Applied::Minted);
    works(&world, &client, &location(0));
    let grant = client.export(&location(0)).unwrap();
    assert!(grant.is_minted() && grant.company_id() == Some(DEFAULT_COMPANY_ID));
    assert_eq!(grant.authorized_at(), install.timestamp().unwrap());
    // Again, by this process or another: nothing changes.
    for client in [&client, &world.client()] {
        assert_eq!(client.apply(&install).unwrap(), Applied::Nothing);
    }
    assert_eq!(minted(&world), 1);
    // A newer one is another installation.
    world.pass(60);
    let again = of(&world, &client, "INSTALL", &location(0), 0);
    assert_eq!(client.apply(&again).unwrap(), Applied::Minted);
    assert_eq!((client.apply(&install).unwrap(), minted(&world)), (Applied::Nothing, 2));
}

#[test]
fn a_company_and_other_events_change_nothing() {
    let world = World::new();
    let client = world.client();
    for account in [company(), location(0)] {
        assert_eq!(
            client.apply(&of(&world, &client, "ContactCreate", &account, 0)).unwrap(),
            Applied::Nothing
        );
    }
    assert_eq!(
        client.apply(&of(&world, &client, "INSTALL", &company(), 0)).unwrap(),
        Applied::Nothing
    );
    let nobody = event(&world, &client, json!({ "type": "UNINSTALL" }));
    assert_eq!(client.apply(&nobody).unwrap(), Applied::Nothing);
    assert!(client.accounts().unwrap().is_empty());
}

#[test]
fn an_install_before_the_code_exchange_is_finished_by_it() {
    for import in [false, true] {
        let world = World::new();
        let client = world.client();
        let install = of(&world, &client, "INSTALL", &location(0), 0);
        for _ in 0..2 {
            assert_eq!(client.apply(&install).unwrap(), Applied::Remembered);
        }
        no_grant(&client, &location(0));
        world.pass(3);
        if import {
            client.import(world.grant(&company()), false).unwrap();
        } else {
            exchange(&client, &company());
        }
        assert_eq!(minted(&world), 1, "by the exchange itself");
        assert_eq!(
            client.export(&location(0)).unwrap().authorized_at(),
            install.timestamp().unwrap()
        );
        works(&world, &client, &location(0));
        assert_eq!((client.apply(&install).unwrap(), minted(&world)), (Applied::Nothing, 1));
        // Others get nothing that nobody installed.
        no_grant(&client, &location(1));
        assert_eq!(minted(&world), 1);
    }
}

#[test]
fn what_another_process_remembered_is_minted_when_it_is_asked_for() {
    let world = World::new();
    let (webhooks, logins) = (world.client(), world.client());
    let install = of(&world, &webhooks, "INSTALL", &location(0), 0);
    assert_eq!(webhooks.apply(&install).unwrap(), Applied::Remembered);
    drop(webhooks);
    exchange(&logins, &company());
    assert_eq!(minted(&world), 0);
    works(&world, &logins, &location(0));
    no_grant(&logins, &location(1));
    // Once it is removed, it is not there again because it was remembered once.
    logins.remove(&location(0)).unwrap();
    no_grant(&logins, &location(0));
    assert_eq!(minted(&world), 1);
}

#[test]
fn among_several_companies_the_right_one_is_found() {
    let world = World::new();
    for id in ["second", "third"] {
        world.emulator.add_company(Company::new(id, "Another")).unwrap();
    }
    let [second, third] = ["second", "third"].map(|id| Account::company(id).unwrap());
    world.emulator.add_location("third", "apart", "Apart").unwrap();
    let apart = Account::location("apart").unwrap();
    for nameless in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let client = || world.app().token_store(store.clone()).build().unwrap();
        let webhooks = client();
        let mut install = json!({ "type": "INSTALL", "locationId": "apart" });
        if nameless {
            install["companyId"] = Value::Null;
        }
        let install = event(&world, &webhooks, install);
        assert_eq!(webhooks.apply(&install).unwrap(), Applied::Remembered);
        let logins = client();
        for company in [&company(), &second] {
            logins.import(world.grant(company), false).unwrap();
        }
        no_grant(&logins, &apart);
        world.pass(120);
        logins.import(world.grant(&third), false).unwrap();
        works(&world, &logins, &apart);
        // With the company's grant there it is minted at once.
        world.pass(120);
        let mut again = json!({ "type": "INSTALL", "locationId": "apart" });
        if nameless {
            again["companyId"] = Value::Null;
        }
        logins.remove(&apart).unwrap();
        assert_eq!(logins.apply(&event(&world, &logins, again)).unwrap(), Applied::Minted);
    }
}

#[test]
fn an_uninstall_removes_what_is_older_than_it() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(0)), false).unwrap();
    works(&world, &client, &location(0));
    // One that was sent before the user authorized the app anew.
    assert_eq!(
        client.apply(&of(&world, &client, "UNINSTALL", &location(0), 5)).unwrap(),
        Applied::Outdated
    );
    works(&world, &client, &location(0));
    world.pass(1);
    let uninstall = of(&world, &client, "UNINSTALL", &location(0), 0);
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Removed);
    no_grant(&client, &location(0));
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Nothing);
    // The seed that an app imports at every start does not bring it back: a tombstone knows it. A
    // new login does.
    world.pass(60);
    client.import(world.grant(&location(0)), false).unwrap();
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Outdated);
    works(&world, &client, &location(0));
}

#[test]
fn a_removed_seed_stays_removed() {
    let world = World::new();
    let client = world.client();
    let seed = world.grant(&location(0));
    client.import(seed.clone(), false).unwrap();
    world.pass(1);
    client.apply(&of(&world, &client, "UNINSTALL", &location(0), 0)).unwrap();
    assert_eq!(client.import(seed, false).unwrap(), hoopauth::Import::Known);
    no_grant(&client, &location(0));
}

#[test]
fn a_company_goes_with_its_locations_and_no_others() {
    let world = World::new();
    let client = world.client();
    world.emulator.add_company(Company::new("second", "Another")).unwrap();
    world.emulator.add_location("second", "apart", "Apart").unwrap();
    let apart = Account::location("apart").unwrap();
    for account in [&company(), &location(0), &apart] {
        client.import(world.grant(account), false).unwrap();
    }
    world.pass(1);
    client.mint(&location(1), &company()).unwrap();
    // This one was authorized anew after the UNINSTALL was sent.
    world.pass(60);
    client.import(world.grant(&location(2)), false).unwrap();
    let uninstall = of(&world, &client, "UNINSTALL", &company(), 30);
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Removed);
    assert_eq!(client.accounts().unwrap().len(), 2);
    for account in [&company(), &location(0), &location(1)] {
        no_grant(&client, account);
    }
    for account in [&apart, &location(2)] {
        works(&world, &client, account);
    }
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Nothing);

    // A company that was authorized anew keeps everything.
    client.import(world.grant(&company()), false).unwrap();
    client.mint(&location(0), &company()).unwrap();
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Outdated);
    works(&world, &client, &location(0));
}

#[test]
fn what_a_crash_left_of_a_companys_removal_is_removed_by_the_next_try() {
    let world = World::new();
    let client = world.client();
    for account in [&company(), &location(0)] {
        client.import(world.grant(account), false).unwrap();
    }
    world.pass(1);
    let uninstall = of(&world, &client, "UNINSTALL", &company(), 0);
    client.remove(&company()).unwrap();
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Removed);
    no_grant(&client, &location(0));
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Nothing);
}

#[test]
fn an_uninstall_ends_what_was_remembered_before_it() {
    let world = World::new();
    let client = world.client();
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    client.apply(&install).unwrap();
    client.apply(&of(&world, &client, "INSTALL", &location(1), 0)).unwrap();
    // Sent before the INSTALL, and come after it.
    let stale = of(&world, &client, "UNINSTALL", &location(0), 60);
    assert_eq!(client.apply(&stale).unwrap(), Applied::Outdated);
    world.pass(1);
    assert_eq!(
        client.apply(&of(&world, &client, "UNINSTALL", &location(1), 0)).unwrap(),
        Applied::Nothing
    );
    exchange(&client, &company());
    works(&world, &client, &location(0));
    no_grant(&client, &location(1));
    assert_eq!(minted(&world), 1);
    // Another process knows it too.
    no_grant(&world.client(), &location(1));
    assert_eq!(minted(&world), 1);
}

#[test]
fn a_companys_uninstall_ends_what_was_remembered_of_its_locations() {
    let world = World::new();
    let client = world.client();
    let install = of_company(&world, &client, "INSTALL", 0);
    assert_eq!(client.apply(&install).unwrap(), Applied::Remembered);
    world.pass(1);
    let uninstall = of(&world, &client, "UNINSTALL", &company(), 0);
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Nothing);
    // One that was sent before it and comes after it.
    assert_eq!(client.apply(&install).unwrap(), Applied::Nothing);
    exchange(&client, &company());
    for client in [&client, &world.client()] {
        no_grant(client, &location(0));
    }
    assert_eq!(minted(&world), 0);
}

#[test]
fn an_install_older_than_the_uninstall_brings_nothing_back() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    let installs = [0, 1].map(|index| of(&world, &client, "INSTALL", &location(index), 0));
    assert_eq!(client.apply(&installs[0]).unwrap(), Applied::Minted);
    world.pass(60);
    // There was a grant, and there was none.
    for (index, applied) in [(0, Applied::Removed), (1, Applied::Nothing)] {
        let uninstall = of(&world, &client, "UNINSTALL", &location(index), 0);
        assert_eq!(client.apply(&uninstall).unwrap(), applied);
        for client in [&client, &world.client()] {
            assert_eq!(client.apply(&installs[index]).unwrap(), Applied::Nothing);
            no_grant(client, &location(index));
        }
    }
    assert_eq!(minted(&world), 1);
    // A newer one does.
    world.pass(1);
    let again = of(&world, &client, "INSTALL", &location(1), 0);
    assert_eq!(client.apply(&again).unwrap(), Applied::Minted);
    works(&world, &client, &location(1));
}

#[test]
fn an_install_over_a_tombstone_is_remembered_for_all() {
    let world = World::new();
    let (client, other) = (world.client(), world.client());
    client.apply(&of(&world, &client, "UNINSTALL", &location(0), 0)).unwrap();
    world.pass(1);
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    assert_eq!(client.apply(&install).unwrap(), Applied::Remembered);
    other.import(world.grant(&company()), false).unwrap();
    works(&world, &other, &location(0));
}

#[test]
fn another_process_does_not_forget_an_install_that_it_can_not_date() {
    let world = World::new();
    let (client, other) = (world.client(), world.client());
    world.pass(60);
    for index in [0, 1] {
        let install = of(&world, &client, "INSTALL", &location(index), 0);
        assert_eq!(client.apply(&install).unwrap(), Applied::Remembered);
    }
    let stale = of(&world, &other, "UNINSTALL", &location(0), 30);
    assert_eq!(other.apply(&stale).unwrap(), Applied::Nothing);
    world.pass(1);
    let uninstall = of(&world, &other, "UNINSTALL", &location(1), 0);
    assert_eq!(other.apply(&uninstall).unwrap(), Applied::Nothing);
    exchange(&client, &company());
    works(&world, &client, &location(0));
    for client in [&client, &other] {
        no_grant(client, &location(1));
    }
    assert_eq!(minted(&world), 1);
}

#[test]
fn a_companys_grant_that_nobody_can_read_does_not_stand_before_the_others() {
    let world = World::new();
    world.emulator.add_company(Company::new("second", "Another")).unwrap();
    world.emulator.add_location("second", "apart", "Apart").unwrap();
    let apart = Account::location("apart").unwrap();
    let second = Account::company("second").unwrap();
    let foreign = world.builder().store_key("another-key-0123456789").build().unwrap();
    foreign.import(world.grant(&company()), false).unwrap();
    let client = world.client();
    client.import(world.grant(&second), false).unwrap();
    let nameless = json!({ "type": "INSTALL", "locationId": "apart", "companyId": null });
    let install = event(&world, &client, nameless);
    assert_eq!(client.apply(&install).unwrap(), Applied::Minted);
    works(&world, &client, &apart);
    // Where none mints it, the first one's error is told.
    client.remove(&second).unwrap();
    client.remove(&apart).unwrap();
    assert_eq!(client.apply(&install).unwrap_err().code(), ErrorCode::StoreKey);
}

#[test]
fn a_location_that_nobody_can_read_does_not_end_its_companys_removal() {
    let world = World::new();
    let foreign = world.builder().store_key("another-key-0123456789").build().unwrap();
    foreign.import(world.grant(&location(1)), false).unwrap();
    let client = world.client();
    for account in [company(), location(0), location(2)] {
        client.import(world.grant(&account), false).unwrap();
    }
    world.pass(1);
    let error = client.apply(&of(&world, &client, "UNINSTALL", &company(), 0)).unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::StoreKey, Some(&location(1))));
    assert_eq!(client.accounts().unwrap(), [location(1)]);
}

#[test]
fn a_location_of_its_own_needs_no_company() {
    let world = World::new();
    let client = world.client();
    exchange(&client, &location(0));
    world.pass(1);
    // The event of the installation that the login was part of, a moment late by our clock.
    assert_eq!(
        client.apply(&of(&world, &client, "INSTALL", &location(0), 0)).unwrap(),
        Applied::Nothing
    );
    works(&world, &client, &location(0));
    assert_eq!(minted(&world), 0);
}

#[test]
fn only_events_of_the_clients_app_are_applied() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(0)), false).unwrap();
    world.pass(1);
    let other = "0000000000000000000000aa-other";
    world.emulator.add_app(App::new(other, "another-apps-secret-0123456789")).unwrap();
    let theirs = world.app().client_id(other).build().unwrap();
    let key = world.emulator.webhook_key(WebhookScheme::Ed25519).key;
    let key = WebhookKey::new(SignatureScheme::Ed25519, "emulator", &key).unwrap();
    let uninstall = Webhook::event(json!({ "type": "UNINSTALL", "locationId": location(0).id() }));
    let verified = |builder: hoopauth::webhook::WebhookVerifierBuilder, webhook: &Webhook| {
        let signed = world.emulator.sign_webhook(webhook).unwrap();
        let headers = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let verifier =
            builder.clock(world.clock.clone()).key(key.clone()).replay("off").build().unwrap();
        verifier.verify(headers, signed.body.as_bytes()).unwrap().event().clone()
    };
    // Genuine, and another app's.
    let foreign = uninstall.clone().client_id(other);
    for builder in
        [theirs.webhook_verifier(), WebhookVerifier::builder().app_id("0000000000000000000000aa")]
    {
        let event = verified(builder, &foreign);
        assert_eq!(client.apply(&event).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
    // Nobody verified it.
    let body = br#"{"type":"UNINSTALL","locationId":"l","appId":"65f0a1b2c3d4e5f607182930"}"#;
    let event = hoopauth::binding::parse_webhook(body).unwrap();
    assert_eq!(client.apply(&event).unwrap_err().code(), ErrorCode::InvalidArgument);
    works(&world, &client, &location(0));
    // Its own, by whichever verifier; and of the app that the program says is this client's.
    let own = verified(WebhookVerifier::builder().app_id("65f0a1b2c3d4e5f607182930"), &uninstall);
    assert_eq!(client.apply(&own).unwrap(), Applied::Removed);
    let said = verified(client.webhook_verifier().app_id("0000000000000000000000aa"), &foreign);
    assert_eq!(client.apply(&said).unwrap(), Applied::Nothing);
    let fixed = Client::builder().access_token("t").build().unwrap();
    assert_eq!(fixed.apply(&own).unwrap_err().code(), ErrorCode::InvalidState);
}

#[test]
fn a_mint_that_fails_fails_the_event_and_the_next_try_mends_it() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 503, "{}"));
    let error = client.apply(&install).unwrap_err();
    assert!(error.is_retryable() && error.account() == Some(&location(0)), "{error:?}");
    assert_eq!(client.apply(&install).unwrap(), Applied::Minted);
    works(&world, &client, &location(0));
}

#[test]
fn what_can_not_be_minted_at_a_call_is_not_tried_at_each() {
    let world = World::new();
    let webhooks = world.client();
    webhooks.apply(&of(&world, &webhooks, "INSTALL", &location(0), 0)).unwrap();
    drop(webhooks);
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 503, "{}"));
    for _ in 0..10 {
        no_grant(&client, &location(0));
    }
    assert_eq!(minted(&world), 1);
    world.pass(60);
    works(&world, &client, &location(0));
}

#[test]
fn a_minted_grant_that_can_not_be_saved_is_held() {
    let world = World::new();
    let full = Arc::new(AtomicBool::new(false));
    let flag = full.clone();
    let client = world
        .builder()
        .step_hook(move |step, _| match step {
            Step::Save if flag.load(Ordering::SeqCst) => {
                Err(Error::new(ErrorCode::Store, "disk full"))
            }
            _ => Ok(()),
        })
        .build()
        .unwrap();
    client.import(world.grant(&company()), false).unwrap();
    full.store(true, Ordering::SeqCst);
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    assert_eq!(client.apply(&install).unwrap(), Applied::Minted);
    assert!(client.health(&location(0)).unwrap().unsaved);
    works(&world, &client, &location(0));
    // Held or stored: it is removed, and does not come back when the store works again.
    world.pass(1);
    let uninstall = of(&world, &client, "UNINSTALL", &location(0), 0);
    assert_eq!(client.apply(&uninstall).unwrap(), Applied::Removed);
    full.store(false, Ordering::SeqCst);
    no_grant(&client, &location(0));
    client.close().unwrap();
    no_grant(&world.client(), &location(0));
}

#[test]
fn threads_that_apply_one_install_and_refresh_meanwhile_end_with_one_grant() {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    let old = Grant::new(location(0), "ended")
        .with_company_id(DEFAULT_COMPANY_ID)
        .with_refresh_token(world.grant(&location(0)).refresh_token().unwrap().clone());
    client.import(old, false).unwrap();
    world.pass(60);
    let install = of(&world, &client, "INSTALL", &location(0), 0);
    let applied: Vec<_> = std::thread::scope(|scope| {
        let refreshes: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client.headers_for(location(0).as_str(), "GET")))
            .collect();
        let applies: Vec<_> =
            (0..4).map(|_| scope.spawn(|| client.apply(&install).unwrap())).collect();
        for refresh in refreshes {
            refresh.join().unwrap().unwrap();
        }
        applies.into_iter().map(|apply| apply.join().unwrap()).collect()
    });
    assert_eq!(
        applied.iter().filter(|applied| **applied == Applied::Minted).count(),
        1,
        "{applied:?}"
    );
    assert_eq!(minted(&world), 1);
    works(&world, &client, &location(0));
    assert_eq!(client.export(&location(0)).unwrap().authorized_at(), install.timestamp().unwrap());
    assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
}

#[test]
fn a_remembered_install_is_forgotten_after_a_month() {
    let world = World::new();
    let client = world.client();
    client.apply(&of(&world, &client, "INSTALL", &location(0), 0)).unwrap();
    world.pass(30 * 86_400 + 1);
    exchange(&client, &company());
    no_grant(&client, &location(0));
    assert_eq!(minted(&world), 0);

    // A second one is remembered as long as any.
    client.remove(&company()).unwrap();
    client.apply(&of(&world, &client, "INSTALL", &location(1), 0)).unwrap();
    world.pass(20 * 86_400);
    client.apply(&of(&world, &client, "INSTALL", &location(1), 0)).unwrap();
    world.pass(20 * 86_400);
    let other = world.client();
    other.import(world.grant(&company()), false).unwrap();
    works(&world, &other, &location(1));
}

#[test]
fn the_platforms_install_flow_ends_in_grants_and_their_removal() {
    let world = World::new();
    let client = world.client();
    let handler = client.clone();
    let (url, answers) = serve(verifier(&world, &client), move |delivery| {
        handler.apply(delivery.event()).inspect_err(|error| eprintln!("{error:?}")).is_ok()
    });
    world.emulator.configure(|settings| settings.webhook_url = Some(url));
    // The company's INSTALL and those of its locations go out at once, before or after the code is
    // exchanged.
    exchange(&client, &company());
    let delivered =
        |delivery: &hoopauth_emulator::Delivery| delivery.state == DeliveryState::Delivered;
    let installs = 1 + DEFAULT_LOCATION_IDS.len();
    assert!(world.emulator.wait_for_deliveries(installs, PATIENCE, delivered));
    for _ in 0..installs {
        assert_eq!(answers.recv().unwrap(), 200);
    }
    for index in 0..DEFAULT_LOCATION_IDS.len() {
        works(&world, &client, &location(index));
        assert!(client.export(&location(index)).unwrap().is_minted());
    }
    world.pass(60);
    world.emulator.uninstall(location(0).as_str()).unwrap();
    assert!(world.emulator.wait_for_deliveries(installs + 1, PATIENCE, delivered));
    no_grant(&client, &location(0));
    works(&world, &client, &location(1));
    world.emulator.uninstall(company().as_str()).unwrap();
    assert!(world.emulator.wait_for_deliveries(installs + 2, PATIENCE, delivered));
    assert_eq!(client.accounts().unwrap(), []);
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_names_are_those_of_every_language() {
    let all = [
        Applied::Nothing,
        Applied::Minted,
        Applied::Remembered,
        Applied::Removed,
        Applied::Outdated,
    ];
    assert_eq!(all.map(Applied::name), ["nothing", "minted", "remembered", "removed", "outdated"]);
}

/// A client whose clock stands still, so many seconds away from the platform's.
fn askew(world: &World, seconds: i64) -> Client {
    let clock = Arc::new(ManualClock::new(Timestamp(world.clock.now().0 + seconds * 1000)));
    world.builder().clock(clock).build().unwrap()
}

/// Way in which an account gets its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Login,
    Import,
    Mint,
}

fn authorize(world: &World, client: &Client, way: Way) {
    match way {
        Way::Login => exchange(client, &location(0)),
        Way::Import => drop(client.import(world.grant(&location(0)), true).unwrap()),
        Way::Mint => client.mint(&location(0), &company()).unwrap(),
    }
}

#[test]
fn an_authorization_is_dated_by_the_platform_however_wrong_our_clock_is() {
    for way in [Way::Login, Way::Import, Way::Mint] {
        for skew in [-240, -60, 0, 60, 240] {
            let world = World::new();
            let client = askew(&world, skew);
            client.import(world.grant(&company()), false).unwrap();
            let late = |seconds| of(&world, &client, "UNINSTALL", &location(0), seconds);
            world.pass(10);
            let before = late(5);
            authorize(&world, &client, way);
            // It happened before the authorization, and is only delivered now.
            assert_eq!(client.apply(&before).unwrap(), Applied::Outdated, "{way:?} {skew}");
            works(&world, &client, &location(0));
            // The mirrored case: it happened after the authorization, whatever our clock said then.
            world.pass(5);
            assert_eq!(client.apply(&late(0)).unwrap(), Applied::Removed, "{way:?} {skew}");
            no_grant(&client, &location(0));
        }
    }
}

#[test]
fn the_date_of_an_authorization_outlives_refreshes_and_is_the_same_for_all() {
    let world = World::new();
    let clock = Arc::new(ManualClock::new(Timestamp(world.clock.now().0 - 120_000)));
    let client = world.builder().clock(clock.clone()).build().unwrap();
    let before = of(&world, &client, "UNINSTALL", &location(0), 5);
    exchange(&client, &location(0));
    clock.advance(Duration::from_secs(90_000));
    world.pass(90_000);
    works(&world, &client, &location(0));
    assert_eq!(world.emulator.statistics().token_requests_by_grant_type["refresh_token"], 1);
    for client in [&askew(&world, 120), &client] {
        assert_eq!(client.apply(&before).unwrap(), Applied::Outdated);
    }
    world.pass(1);
    assert_eq!(
        client.apply(&of(&world, &client, "UNINSTALL", &location(0), 0)).unwrap(),
        Applied::Removed
    );
}

#[test]
fn an_uninstall_without_a_time_is_dated_by_our_clock_as_the_grant_is() {
    for skew in [-240, 240] {
        let world = World::new();
        let client = askew(&world, skew);
        exchange(&client, &location(0));
        let members =
            json!({ "type": "UNINSTALL", "locationId": location(0).id(), "timestamp": null });
        let webhook = Webhook::event(members).schemes(&[WebhookScheme::HmacSha256]);
        let signed = world.emulator.sign_webhook(&webhook).unwrap();
        let secret = world.emulator.webhook_key(WebhookScheme::HmacSha256).key;
        let key = WebhookKey::new(SignatureScheme::HmacSha256, "secret", &secret).unwrap();
        let verifier = client.webhook_verifier().key(key).build().unwrap();
        let headers = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let delivery = verifier.verify(headers, signed.body.as_bytes()).unwrap();
        assert_eq!(client.apply(delivery.event()).unwrap(), Applied::Removed, "{skew}");
    }
}

/// A host's transport that hands on no header of the answer.
#[derive(Debug)]
struct Headless;

impl Transport for Headless {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let mut sent = common::http().post(&request.url).body(request.body.as_bytes().to_owned());
        for (name, value) in &request.headers {
            sent = sent.header(&**name, value.expose());
        }
        let gone = |_| TransportError {
            kind: TransportErrorKind::Network,
            message: "gone".into(),
            sent: true,
        };
        let answer = sent.send().map_err(gone)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().unwrap().to_vec();
        Ok(TransportResponse { status, headers: vec![].into(), body })
    }
}

#[test]
fn without_the_answers_date_the_token_tells_when_it_was_issued() {
    let world = World::new();
    let clock = Arc::new(ManualClock::new(Timestamp(world.clock.now().0 - 200_000)));
    let client = world.builder().clock(clock).transport(Arc::new(Headless)).build().unwrap();
    let before = of(&world, &client, "UNINSTALL", &location(0), 5);
    exchange(&client, &location(0));
    assert_eq!(client.apply(&before).unwrap(), Applied::Outdated);
    world.pass(1);
    assert_eq!(
        client.apply(&of(&world, &client, "UNINSTALL", &location(0), 0)).unwrap(),
        Applied::Removed
    );
}
