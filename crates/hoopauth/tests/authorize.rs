//! Logging in through the emulator's authorization page.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{World, approve, http, location};
use hoopauth::{Account, AccountKind, ErrorCode};
use hoopauth_emulator::DEFAULT_COMPANY_ID;

#[test]
fn login_stores_a_grant_that_the_api_accepts() {
    let world = World::new();
    let client = world.client();
    let pending = client.begin(client.authorization_request().unwrap().pkce(true)).unwrap();
    let sealed = client.seal_pending(&pending).unwrap();
    let redirect = approve(pending.url(), &location(0));
    let reopened = client.open_pending(&sealed).unwrap();
    let account = client.complete(&reopened, &redirect).unwrap();
    assert_eq!(account, location(0));
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    let (status, body) = world.call(&headers, &format!("/locations/{}", account.id()));
    assert_eq!(status, 200, "{body}");
    assert_eq!(client.accounts().unwrap(), vec![account]);
}

/// Early refreshes can wait, a user can't: they leave a place of the budget free.
#[test]
fn a_login_goes_before_early_refreshes() {
    let world = World::new();
    let client = world
        .builder()
        .token_requests_per_minute(5)
        .max_wait(Duration::from_millis(50))
        .build()
        .unwrap();
    let ids = world.emulator.add_locations(DEFAULT_COMPANY_ID, 8).unwrap();
    let accounts: Vec<_> = ids.iter().map(|id| Account::location(id).unwrap()).collect();
    for account in &accounts {
        client.import(world.grant(account), false).unwrap();
    }
    world.pass(23 * 3600);
    for account in &accounts {
        client.headers_for(account.as_str(), "GET").unwrap();
    }
    assert_eq!(world.emulator.statistics().token_requests, 4);
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    client.complete(&pending, &approve(pending.url(), &location(0))).unwrap();
    assert_eq!(world.emulator.statistics().token_requests, 5);
}

#[test]
fn a_redirect_is_good_once() {
    let world = World::new();
    let client = world.client();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let redirect = approve(pending.url(), &location(0));
    client.complete(&pending, &redirect).unwrap();
    let requests = world.emulator.statistics().token_requests;
    assert_eq!(client.complete(&pending, &redirect).unwrap_err().code(), ErrorCode::StateMismatch);
    assert_eq!(world.emulator.statistics().token_requests, requests);
}

#[test]
fn someone_elses_state_is_refused_and_nothing_is_sent() {
    let world = World::new();
    let client = world.client();
    let mine = client.begin(client.authorization_request().unwrap()).unwrap();
    let other = client.begin(client.authorization_request().unwrap()).unwrap();
    let redirect = approve(other.url(), &location(0));
    assert_eq!(client.complete(&mine, &redirect).unwrap_err().code(), ErrorCode::StateMismatch);
    assert_eq!(client.complete(&mine, "?code=abc").unwrap_err().code(), ErrorCode::StateMismatch);
    world.pass(601);
    assert_eq!(client.complete(&other, &redirect).unwrap_err().code(), ErrorCode::StateMismatch);
    assert_eq!(world.emulator.statistics().token_requests, 0);
}

#[test]
fn denial_is_told() {
    let world = World::new();
    let client = world.client();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let response = http().get(format!("{}&deny=1", pending.url())).send().unwrap();
    let redirect = response.headers()["location"].to_str().unwrap();
    assert_eq!(
        client.complete(&pending, redirect).unwrap_err().code(),
        ErrorCode::AuthorizationDenied
    );
}

#[test]
fn the_other_class_is_not_stored() {
    let world = World::new();
    let client = world.builder().user_type(AccountKind::Location).build().unwrap();
    let pending = client.begin(client.authorization_request().unwrap()).unwrap();
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    let error = client.complete(&pending, &approve(pending.url(), &company)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongTokenClass, "{error:?}");
    assert!(client.accounts().unwrap().is_empty());
}

#[test]
fn an_unsolicited_code_must_be_for_the_expected_account() {
    let world = World::new();
    let client = world.client();
    let install = |account: &Account| {
        let url = world
            .emulator
            .install(account.as_str(), "https://app.example/callback?from=hoop")
            .unwrap();
        let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
        code.to_owned()
    };
    let error = client.complete_unsolicited(&install(&location(1)), &location(0)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongAccount);
    assert!(client.accounts().unwrap().is_empty());
    client.complete_unsolicited(&install(&location(1)), &location(1)).unwrap();
    assert_eq!(
        client.complete_unsolicited("never issued", &location(1)).unwrap_err().code(),
        ErrorCode::InvalidArgument
    );
    let error = client.complete_unsolicited("never-issued", &location(1)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TokenRequestRejected);
}

#[test]
fn a_pending_authorization_of_another_app_does_not_open() {
    let world = World::new();
    let client = world.client();
    let sealed = client
        .seal_pending(&client.begin(client.authorization_request().unwrap()).unwrap())
        .unwrap();
    let other = world.builder().client_secret("another-secret").build().unwrap();
    assert_eq!(other.open_pending(&sealed).unwrap_err().code(), ErrorCode::StateMismatch);
}
