//! The list of installed locations, and minting them all, against the emulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/rows.rs"]
mod rows;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{World, location};
use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, Client, Clock, ErrorCode, Result};
use hoopauth_emulator::{
    Config, DEFAULT_COMPANY_ID, DEFAULT_COMPANY_PRIVATE_INTEGRATION, Endpoint, Fault, FaultKind,
};
use rows::Rows;

fn company() -> Account {
    Account::company(DEFAULT_COMPANY_ID).unwrap()
}

/// A client that has the company's grant, of a company with so many locations.
fn agency(world: &World, locations: usize) -> Client {
    world.emulator.add_locations(DEFAULT_COMPANY_ID, locations - 3).unwrap();
    let client = world.client();
    client.import(world.grant(&company()), false).unwrap();
    client
}

#[test]
fn all_pages_are_read_until_a_short_or_an_empty_one() {
    for (locations, pages) in [(3, 1), (19, 1), (20, 2), (60, 4), (61, 4)] {
        let world = World::new();
        let client = agency(&world, locations);
        world.emulator.uninstall(location(1).as_str()).unwrap();
        let found = client.installed_locations(&company()).unwrap();
        assert_eq!(found.len(), locations);
        assert_eq!(world.emulator.statistics().installed_locations_requests, pages);
        assert_eq!(found[0].account, location(0));
        assert!(found[0].name.is_some());
        for location_of in &found {
            assert_eq!(location_of.installed, location_of.account != location(1));
        }
        let mut accounts: Vec<_> = found.into_iter().map(|location| location.account).collect();
        accounts.sort();
        accounts.dedup();
        assert_eq!(accounts.len(), locations);
    }
}

/// A server's page may be shorter than what was asked for.
#[test]
fn short_pages_are_read_on_until_as_many_are_here_as_are_counted_or_none_is_left() {
    for (per_page, counts, locations, pages) in [
        (15, true, 45, 3),
        (15, false, 45, 4),
        (7, true, 10, 2),
        (1, true, 3, 3),
        (20, false, 19, 2),
    ] {
        let world = World::with(Config::default().settings(|settings| {
            settings.locations_per_page = per_page;
            settings.count_locations = counts;
        }));
        let client = agency(&world, locations);
        let found = client.installed_locations(&company()).unwrap();
        assert_eq!(found.len(), locations);
        assert_eq!(world.emulator.statistics().installed_locations_requests, pages);
        let summary = client.mint_all(&company(), |_| true).unwrap();
        assert_eq!((summary.minted, summary.failed), (u64::try_from(locations).unwrap(), 0));
    }
}

/// A list that goes on for ever, or never has as many as it counts, a page of `length` at a time.
#[derive(Debug)]
struct Short {
    length: usize,
    /// `true` if each page is the first one.
    repeats: bool,
    count: serde_json::Value,
    pages: AtomicUsize,
}

impl Transport for Short {
    fn send(&self, _: &TransportRequest) -> std::result::Result<TransportResponse, TransportError> {
        let page = self.pages.fetch_add(1, Ordering::Relaxed);
        let start = if self.repeats { 0 } else { page * self.length };
        let items: Vec<_> = (start..start + self.length)
            .map(|item| serde_json::json!({ "_id": item, "name": 7, "isInstalled": null }))
            .collect();
        let body =
            serde_json::json!({ "locations": items, "count": self.count }).to_string().into_bytes();
        Ok(TransportResponse { status: 200, headers: vec![].into(), body })
    }
}

#[test]
fn short_pages_end_or_are_an_error_and_never_a_part_in_silence() {
    for (length, repeats, count, pages, found) in [
        // A server that knows no `skip`.
        (3, true, serde_json::json!(null), 2, Some(3)),
        (3, true, serde_json::json!(3), 1, Some(3)),
        (3, true, serde_json::json!("3"), 1, Some(3)),
        (3, true, serde_json::json!({}), 2, Some(3)),
        (3, true, serde_json::json!(45), 2, None),
        (20, true, serde_json::json!(20), 2, None),
        (0, true, serde_json::json!(45), 1, Some(0)),
        (1, false, serde_json::json!(null), 5_001, None),
        (1, false, serde_json::json!(1e99), 5_001, None),
        (19, false, serde_json::json!(-1), 1, Some(19)),
    ] {
        let world = World::new();
        let short = Arc::new(Short { length, repeats, count, pages: AtomicUsize::new(0) });
        let client = world.builder().transport(short.clone()).build().unwrap();
        client.import(world.grant(&company()), false).unwrap();
        match (client.installed_locations(&company()), found) {
            (Ok(locations), Some(found)) => assert_eq!(locations.len(), found, "{short:?}"),
            (Err(error), None) => {
                assert_eq!(error.code(), ErrorCode::MalformedResponse, "{short:?}");
            }
            (got, _) => panic!("{short:?}: {got:?}"),
        }
        assert_eq!(short.pages.load(Ordering::Relaxed), pages, "{short:?}");
    }
}

/// `v3` has other paths and members: a call keeps the version that it was written for.
#[test]
fn the_librarys_own_calls_keep_their_version() {
    for version in ["v3", "2021-04-15"] {
        let world = World::new();
        world.emulator.add_locations(DEFAULT_COMPANY_ID, 1).unwrap();
        let asked = Arc::new(Versions::default());
        let client = world.builder().api_version(version).documented_version(true);
        let client = client.transport(asked.clone()).build().unwrap();
        client.import(world.grant(&company()), false).unwrap();
        client.installed_locations(&company()).unwrap();
        client.mint(&location(0), &company()).unwrap_err();
        assert_eq!(*asked.0.lock().unwrap(), ["2021-07-28", "2021-07-28"]);
        assert_eq!(client.headers_for(company().as_str(), "GET").unwrap().version(), version);
    }
}

/// Notes the versions that it is asked in.
#[derive(Debug, Default)]
struct Versions(std::sync::Mutex<Vec<String>>);

impl Transport for Versions {
    fn send(
        &self,
        request: &TransportRequest,
    ) -> std::result::Result<TransportResponse, TransportError> {
        let version = request.headers.iter().find(|(name, _)| name == "Version").unwrap();
        self.0.lock().unwrap().push(version.1.expose().to_owned());
        let body = br#"{"locations":[],"count":0}"#.to_vec();
        Ok(TransportResponse { status: 200, headers: vec![].into(), body })
    }
}

#[test]
fn only_a_companys_grant_lists() {
    let world = World::new();
    let client = world.client();
    let code = |result: Result<Vec<_>>| result.unwrap_err().code();
    assert_eq!(code(client.installed_locations(&location(0))), ErrorCode::InvalidArgument);
    assert_eq!(code(client.installed_locations(&company())), ErrorCode::NoGrant);
    let integration = Client::builder()
        .private_integration_token(DEFAULT_COMPANY_PRIVATE_INTEGRATION)
        .api_base(world.emulator.api())
        .build()
        .unwrap();
    assert_eq!(code(integration.installed_locations(&company())), ErrorCode::InvalidState);
    assert_eq!(
        integration.mint_all(&company(), |_| true).unwrap_err().code(),
        ErrorCode::InvalidState
    );
    assert_eq!(world.emulator.statistics().installed_locations_requests, 0);
}

/// A platform whose list of locations does not end.
#[derive(Debug)]
struct Endless {
    /// Number of locations.
    of: usize,
    pages: AtomicUsize,
}

impl Transport for Endless {
    fn send(&self, _: &TransportRequest) -> std::result::Result<TransportResponse, TransportError> {
        let page = self.pages.fetch_add(1, Ordering::Relaxed);
        let items: Vec<_> = (0..20)
            .map(|item| serde_json::json!({ "_id": format!("l{}", (page * 20 + item) % self.of) }))
            .collect();
        let body = serde_json::json!({ "locations": items }).to_string().into_bytes();
        Ok(TransportResponse { status: 200, headers: vec![].into(), body })
    }
}

#[test]
fn a_list_without_an_end_is_an_error() {
    for (of, pages) in [(20, 2), (50, 4), (usize::MAX, 5_001)] {
        let world = World::new();
        let endless = Arc::new(Endless { of, pages: AtomicUsize::new(0) });
        let client = world.builder().transport(endless.clone()).build().unwrap();
        client.import(world.grant(&company()), false).unwrap();
        // As long as the token lives.
        let error = client.installed_locations(&company()).unwrap_err();
        assert_eq!(
            (error.code(), error.account()),
            (ErrorCode::MalformedResponse, Some(&company()))
        );
        assert_eq!(endless.pages.load(Ordering::Relaxed), pages);
    }
    for body in [
        "{}",
        "[]",
        r#"{"locations":[{"id":"x"}]}"#,
        r#"{"locations":[{"_id":"a b"}]}"#,
        "null",
        "x",
    ] {
        let world = World::new();
        let client = agency(&world, 3);
        world.emulator.add_fault(Fault::status(Endpoint::InstalledLocations, 200, body));
        let error = client.installed_locations(&company()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::MalformedResponse, "{body}");
    }
}

#[test]
fn all_are_minted_at_the_pace_of_the_platform_and_a_break_loses_nothing() {
    let world = World::new();
    let client = agency(&world, 250);
    world.emulator.uninstall(location(2).as_str()).unwrap();
    client.import(world.grant(&location(0)), false).unwrap();
    let start = world.clock.monotonic();
    let (mut sent, mut last) = (Vec::new(), None);
    let mut told = 0;
    let mut note = |progress: &hoopauth::MintProgress, most: u64| {
        told += 1;
        assert!(progress.error.is_none());
        if last != Some(progress.summary.minted) {
            sent.push(world.clock.monotonic());
        }
        last = Some(progress.summary.minted);
        let summary = progress.summary;
        summary.minted + summary.kept < most
    };
    let first = client.mint_all(&company(), |progress| note(progress, 100)).unwrap();
    assert_eq!((first.minted, first.kept, first.failed), (99, 1, 0));
    // Another process goes on.
    let second = world.client().mint_all(&company(), |progress| note(progress, u64::MAX)).unwrap();
    assert_eq!((second.minted, second.kept, second.failed), (149, 100, 0));
    assert_eq!(told, 349);
    let third = client.mint_all(&company(), |_| true).unwrap();
    assert_eq!((third.minted, third.kept, third.failed), (0, 249, 0));

    let statistics = world.emulator.statistics();
    assert_eq!((statistics.location_tokens_minted, statistics.token_requests), (248, 0));
    assert_eq!(client.accounts().unwrap().len(), 250);
    for window in sent.windows(101) {
        assert!(window[100] - window[0] >= 10_000, "{window:?}");
    }
    let took = Duration::from_millis(world.clock.monotonic() - start);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let headers = client.headers_for(location(1).as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, "/contacts/").0, 200);
}

#[test]
fn one_locations_failure_does_not_end_it() {
    let world = World::new();
    let client = agency(&world, 6);
    world.emulator.pause(location(0).id()).unwrap();
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 503, "busy").after(1));
    let mut failures = HashMap::new();
    let summary = client
        .mint_all(&company(), |progress| {
            if let Some(error) = &progress.error {
                assert_eq!(error.account(), Some(&progress.account));
                failures.insert(progress.account.clone(), error.code());
            }
            true
        })
        .unwrap();
    assert_eq!((summary.minted, summary.kept, summary.failed), (4, 0, 2));
    assert_eq!(failures[&location(0)], ErrorCode::AccountInactive);
    assert_eq!(failures.len(), 2);
    world.emulator.unpause(location(0).id()).unwrap();
    let summary = client.mint_all(&company(), |_| true).unwrap();
    assert_eq!((summary.minted, summary.kept, summary.failed), (2, 4, 0));
}

#[test]
fn a_limit_that_is_reached_all_the_same_is_waited_for() {
    let world = World::new();
    let client = agency(&world, 3);
    let limited = FaultKind::Status {
        status: 429,
        headers: vec![("retry-after".into(), "7".into())],
        body: r#"{"statusCode":429,"message":"Too Many Requests"}"#.into(),
    };
    world.emulator.add_fault(Fault::new(Endpoint::LocationToken, limited).times(2));
    let before = world.clock.monotonic();
    let summary = client.mint_all(&company(), |_| true).unwrap();
    assert_eq!((summary.minted, summary.failed), (3, 0));
    assert_eq!(world.clock.monotonic() - before, 14_000);
}

#[test]
fn a_limit_that_stays_ends_the_run_which_goes_on_later() {
    for (seconds, sent, slept) in [(7_u64, 6, 35_000), (3_600, 1, 0)] {
        let world = World::new();
        let client = agency(&world, 3);
        let limited = FaultKind::Status {
            status: 429,
            headers: vec![("retry-after".into(), seconds.to_string())],
            body: r#"{"statusCode":429,"message":"Too Many Requests"}"#.into(),
        };
        world.emulator.add_fault(Fault::new(Endpoint::LocationToken, limited).times(100));
        let before = world.clock.monotonic();
        let error = client.mint_all(&company(), |_| true).unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::RateLimited, Some(&company())));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        assert_eq!(world.clock.monotonic() - before, slept);
        assert_eq!(world.emulator.statistics().location_token_requests, sent);
        world.emulator.clear_faults();
        assert_eq!(client.mint_all(&company(), |_| true).unwrap().minted, 3);
    }
}

#[test]
fn progress_that_calls_the_client_is_refused() {
    let world = World::new();
    let client = agency(&world, 3);
    let mut codes = Vec::new();
    client
        .mint_all(&company(), |progress| {
            codes.push(client.mint(&progress.account, &company()).unwrap_err().code());
            true
        })
        .unwrap();
    assert_eq!(codes, [ErrorCode::InvalidState; 3]);
}

/// Lists nothing, and notes what it was asked.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<String>);

impl Transport for Asked {
    fn send(
        &self,
        request: &TransportRequest,
    ) -> std::result::Result<TransportResponse, TransportError> {
        self.0.lock().unwrap().clone_from(&request.url);
        Ok(TransportResponse {
            status: 200,
            headers: vec![].into(),
            body: br#"{"locations":[]}"#.to_vec(),
        })
    }
}

#[test]
fn the_app_is_named_as_webhooks_name_it() {
    let world = World::new();
    let asked = Arc::new(Asked::default());
    let client =
        world.builder().client_id("app1-part-two").transport(asked.clone()).build().unwrap();
    client.import(world.grant(&company()), false).unwrap();
    assert!(client.installed_locations(&company()).unwrap().is_empty());
    let url = asked.0.lock().unwrap().clone();
    assert!(url.contains("appId=app1&"), "{url}");
}

#[test]
fn a_refused_company_ends_it() {
    // With nothing to mint with, and with a token that may not mint.
    let scope = r#"{"statusCode":401,"message":"The token is not authorized for this scope."}"#;
    for (fault, code) in
        [(None, ErrorCode::ReauthorizationRequired), (Some(scope), ErrorCode::InsufficientScope)]
    {
        let world = World::new();
        let client = agency(&world, 10);
        if let Some(body) = fault {
            world
                .emulator
                .add_fault(Fault::status(Endpoint::LocationToken, 401, body).after(1).times(100));
        }
        let error = client
            .mint_all(&company(), |progress| {
                if fault.is_none() && progress.summary.minted == 1 {
                    world.emulator.revoke_access(company().as_str()).unwrap();
                    world.emulator.revoke_refresh(company().as_str()).unwrap();
                }
                true
            })
            .unwrap_err();
        assert_eq!((error.code(), error.account()), (code, Some(&company())), "{error:?}");
        assert_eq!(world.emulator.statistics().location_tokens_minted, 1);
        assert!(world.emulator.statistics().location_token_requests <= 3);
    }
}

#[test]
fn a_dead_grant_is_minted_anew() {
    let world = World::new();
    let client = agency(&world, 3);
    client.import(world.grant(&location(0)), false).unwrap();
    world.emulator.revoke_refresh(location(0).as_str()).unwrap();
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 403, "{}"));
    world.pass(86_400);
    let error = client.headers_for(location(0).as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::ReauthorizationRequired);
    assert!(client.health(&location(0)).unwrap().needs_reauthorization);
    let summary = client.mint_all(&company(), |_| true).unwrap();
    assert_eq!((summary.minted, summary.kept), (3, 0));
    assert!(!client.health(&location(0)).unwrap().needs_reauthorization);
}

#[test]
fn a_store_that_does_not_save_ends_it() {
    let world = World::new();
    let rows = Arc::new(Rows::default());
    let client = world.app().row_store(rows.clone()).store_key("0123456789abcdef").build().unwrap();
    client.import(world.grant(&company()), false).unwrap();
    let error = client
        .mint_all(&company(), |progress| {
            rows.full.store(progress.summary.minted == 1, Ordering::SeqCst);
            true
        })
        .unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::Store, Some(&location(1))));
    assert_eq!(world.emulator.statistics().location_tokens_minted, 2);
    // What was minted is held, and saved when that works again.
    rows.full.store(false, Ordering::SeqCst);
    let summary = client.mint_all(&company(), |_| true).unwrap();
    assert_eq!((summary.minted, summary.kept), (1, 2));
}
