//! The refresh protocol against the emulator: expiry, storms, lost answers, failing stores,
//! refusals.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{World, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{MemoryStore, TokenStore};
use hoopauth::{Account, ChangeKind, Clock, Error, ErrorCode, Grant, Import, Report};
use hoopauth_emulator::{Config, DEFAULT_COMPANY_ID, Endpoint, Fault, FaultKind};

const DAY: u64 = 86_399;

fn works(world: &World, client: &hoopauth::Client, account: &Account) {
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    let (status, body) = world.call(&headers, &format!("/locations/{}", account.id()));
    assert_eq!(status, 200, "{body}");
}

#[test]
fn an_expired_token_is_refreshed_and_the_api_goes_on() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    for _ in 0..3 {
        works(&world, &client, &account);
        world.pass(DAY);
    }
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().rotations, 3);
}

/// An answer that travels long, or comes again after the first one was lost, brings a token that is
/// as old as its request.
#[test]
fn a_tokens_life_is_counted_from_when_it_was_asked_for() {
    let world = World::new();
    let account = location(0);
    let refresh_token = world.grant(&account).refresh_token().unwrap().clone();
    world
        .client()
        .import(Grant::new(account.clone(), "ended").with_refresh_token(refresh_token), false)
        .unwrap();
    let (clock, crashed) = (world.clock.clone(), AtomicBool::new(false));
    let client = world
        .builder()
        .step_hook(move |at, _| {
            if at == Step::Check {
                clock.advance(Duration::from_secs(9));
                if !crashed.swap(true, Ordering::SeqCst) {
                    return Err(Error::new(ErrorCode::Store, "told to fail"));
                }
            }
            Ok(())
        })
        .build()
        .unwrap();
    let asked = world.clock.now();
    client.headers_for(account.as_str(), "GET").unwrap_err();
    client.headers_for(account.as_str(), "GET").unwrap();
    assert_eq!(world.emulator.statistics().rotations, 1);
    assert_eq!(client.export(&account).unwrap().expires_at(), asked.plus(Duration::from_secs(DAY)));
}

#[test]
fn early_in_the_last_quarter_one_call_refreshes() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY / 2);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().token_requests, 0);
    world.pass(DAY / 2 - 600);
    works(&world, &client, &account);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn a_failing_early_refresh_is_not_noticed_and_not_repeated_at_once() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY - 600);
    world.emulator.add_fault(Fault::status(Endpoint::Token, 429, "{}").times(100));
    for _ in 0..10 {
        works(&world, &client, &account);
    }
    assert_eq!(world.emulator.statistics().token_requests, 1);
    assert!(client.health(&account).unwrap().last_error.is_some());
}

#[test]
fn a_hundred_threads_make_one_request() {
    let world = World::with(Config::default().settings(|s| s.token_latency_ms = 50));
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    let barrier = Barrier::new(100);
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                barrier.wait();
                if client.headers_for(account.as_str(), "GET").is_err() {
                    failures.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn a_lost_answer_is_asked_for_again_inside_the_window() {
    for kind in [FaultKind::LostAnswer, FaultKind::CutBody] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        client.import(world.grant(&account), false).unwrap();
        world.pass(DAY);
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind));
        works(&world, &client, &account);
        let statistics = world.emulator.statistics();
        assert_eq!(
            (statistics.rotations, statistics.reuse_inside_window, statistics.reuse_outside_window),
            (1, 1, 0)
        );
    }
}

#[test]
fn answers_lost_twice_come_back_with_the_next_call() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer).times(2));
    let error = client.headers_for(account.as_str(), "GET").unwrap_err();
    world.pass(error.retry_after().unwrap().as_secs());
    works(&world, &client, &account);
    let statistics = world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_outside_window), (1, 0));
}

#[test]
fn a_lost_answer_stays_in_doubt_when_the_next_try_is_turned_away() {
    let world = World::new();
    let client = world
        .builder()
        .token_requests_per_minute(5)
        .max_wait(Duration::from_secs(0))
        .build()
        .unwrap();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer));
    world.emulator.add_fault(Fault::status(Endpoint::Token, 429, "{}"));
    client.headers_for(account.as_str(), "GET").unwrap_err();
    // The platform says that the minute is full. A token in doubt does not wait for its end.
    world.pass(25);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
}

#[test]
fn failing_or_stopping_at_each_step_loses_nothing() {
    for step in Step::ALL {
        let world = World::new();
        let account = location(0);
        let fail = Arc::new(AtomicBool::new(true));
        let flag = fail.clone();
        let client = world
            .builder()
            .step_hook(move |at, _| {
                if at == step && flag.swap(false, Ordering::SeqCst) {
                    return Err(Error::new(ErrorCode::Store, "told to fail"));
                }
                Ok(())
            })
            .build()
            .unwrap();
        client.import(world.grant(&account), false).unwrap();
        world.pass(DAY);
        let _ = client.headers_for(account.as_str(), "GET");
        assert!(!fail.load(Ordering::SeqCst), "{step:?} was not reached");
        works(&world, &client, &account);
        // Another process on the same store sees the same.
        works(&world, &world.client(), &account);
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0, "{step:?}");
        assert!(!client.health(&account).unwrap().unsaved, "{step:?}");
    }
}

#[test]
fn a_panic_at_each_step_loses_nothing() {
    for step in Step::ALL {
        let world = World::new();
        let account = location(0);
        let fail = Arc::new(AtomicBool::new(true));
        let client = world
            .builder()
            .step_hook(move |at, _| {
                assert!(!(at == step && fail.swap(false, Ordering::SeqCst)), "told to panic");
                Ok(())
            })
            .build()
            .unwrap();
        client.import(world.grant(&account), false).unwrap();
        world.pass(DAY);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            client.headers_for(account.as_str(), "GET")
        }))
        .unwrap_err();
        works(&world, &client, &account);
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0, "{step:?}");
    }
}

#[test]
fn a_pair_that_could_not_be_saved_is_served_and_saved_later() {
    let world = World::new();
    let account = location(0);
    let broken = Arc::new(AtomicBool::new(true));
    let flag = broken.clone();
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let client = world
        .builder()
        .step_hook(move |at, _| match at {
            Step::Save if flag.load(Ordering::SeqCst) => {
                Err(Error::new(ErrorCode::Store, "disk full"))
            }
            _ => Ok(()),
        })
        .on_change(move |change| seen.lock().unwrap().push(change.kind))
        .build()
        .unwrap();
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, &format!("/locations/{}", account.id())).0, 200);
    assert!(events.lock().unwrap().contains(&ChangeKind::Unsaved));
    broken.store(false, Ordering::SeqCst);
    works(&world, &client, &account);
    assert!(!client.health(&account).unwrap().unsaved);
    works(&world, &world.client(), &account);
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn a_pair_is_saved_before_it_is_spent() {
    let world = World::new();
    let account = location(0);
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let client = world
        .builder()
        .token_store(Arc::clone(&store))
        .step_hook(|at, _| match at {
            Step::Save => Err(Error::new(ErrorCode::Store, "disk full")),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    let seed = world.grant(&account);
    client.import(seed.clone(), false).unwrap();
    world.pass(DAY);
    let held = client.headers_for(account.as_str(), "GET").unwrap();
    assert!(client.health(&account).unwrap().unsaved);
    let report = client.report(&held, 401, &[], br#"{"message":"The token is expired"}"#).unwrap();
    assert!(matches!(report, Report::Repeat(_)));
    // As if the process were killed now: what another finds is one step behind the platform, not
    // two.
    std::mem::forget(client);
    let next = world.builder().token_store(store).build().unwrap();
    let stored = next.export(&account).unwrap();
    assert_ne!(stored.refresh_token().unwrap().expose(), seed.refresh_token().unwrap().expose());
    works(&world, &next, &account);
}

#[test]
fn a_refused_refresh_token_asks_for_reauthorization_and_does_not_hammer() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.uninstall(account.as_str()).unwrap();
    for _ in 0..5 {
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), ErrorCode::ReauthorizationRequired, "{error:?}");
        assert_eq!(error.account(), Some(&account));
    }
    // Nothing was in doubt, so that the refusal is final at once; then nothing is sent until the
    // next probe.
    assert_eq!(world.emulator.statistics().token_requests, 1);
    assert!(client.health(&account).unwrap().needs_reauthorization);
    // A new authorization ends it at once.
    assert_eq!(client.import(world.grant(&account), true).unwrap(), Import::Imported);
    works(&world, &client, &account);
}

#[test]
fn a_refused_location_comes_back_by_minting() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    client.import(world.grant(&company), false).unwrap();
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY / 4);
    world.emulator.revoke_refresh(account.as_str()).unwrap();
    world.emulator.revoke_access(account.as_str()).unwrap();
    world.pass(DAY);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().location_tokens_minted, 1);
    assert!(client.export(&account).unwrap().is_minted());
    world.pass(DAY);
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().location_tokens_minted, 2);
}

#[test]
fn a_paused_location_keeps_its_grant() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.pause(account.id()).unwrap();
    let error = client.headers_for(account.as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::AccountInactive);
    world.emulator.unpause(account.id()).unwrap();
    world.pass(error.retry_after().unwrap().as_secs());
    works(&world, &client, &account);
}

#[test]
fn invalid_client_marks_no_account() {
    let world = World::new();
    let account = location(0);
    let wrong = world.builder().client_secret("wrong-secret").build().unwrap();
    wrong.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    assert_eq!(
        wrong.headers_for(account.as_str(), "GET").unwrap_err().code(),
        ErrorCode::TokenRequestRejected
    );
    assert!(!wrong.health(&account).unwrap().needs_reauthorization);
    works(&world, &world.client(), &account);
}

#[test]
fn a_dead_network_serves_the_living_token() {
    let world = World::new();
    let client = world.builder().token_url("http://127.0.0.1:1/oauth/token").build().unwrap();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY - 30);
    works(&world, &client, &account);
    world.pass(40);
    let error = client.headers_for(account.as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Network);
    assert!(error.is_retryable());
}

#[test]
fn lies_of_the_token_endpoint_are_typed_and_the_refresh_token_stays() {
    let body =
        |text: &str| FaultKind::Status { status: 200, headers: Vec::new(), body: text.to_owned() };
    for (kind, code) in [
        (body("<html>"), ErrorCode::MalformedResponse),
        (body("{}"), ErrorCode::MalformedResponse),
        (body(r#"{"access_token":"a b"}"#), ErrorCode::MalformedResponse),
        (
            body(r#"{"access_token":"a","userType":"Company","companyId":"c"}"#),
            ErrorCode::WrongTokenClass,
        ),
        (
            body(r#"{"access_token":"a","userType":"Location","locationId":"other"}"#),
            ErrorCode::WrongAccount,
        ),
        (FaultKind::MalformedJson, ErrorCode::MalformedResponse),
        (
            FaultKind::Status { status: 503, headers: Vec::new(), body: String::new() },
            ErrorCode::HttpStatus,
        ),
    ] {
        let world = World::new();
        let client = world.client();
        let account = location(0);
        client.import(world.grant(&account), false).unwrap();
        let before = client.export(&account).unwrap().refresh_token().unwrap().clone();
        world.pass(DAY);
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind).times(2));
        let error = client.headers_for(account.as_str(), "GET").unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(client.export(&account).unwrap().refresh_token().unwrap(), &before);
        world.emulator.clear_faults();
        world.pass(error.retry_after().unwrap().as_secs());
        works(&world, &client, &account);
    }
}

#[test]
fn a_refreshable_401_is_cured_once_and_others_are_typed() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    world.emulator.revoke_access(account.as_str()).unwrap();
    let (status, body) = world.call(&headers, &format!("/locations/{}", account.id()));
    assert_eq!(status, 401);
    let Report::Repeat(again) = client.report(&headers, status, &[], body.as_bytes()).unwrap()
    else {
        panic!()
    };
    assert_eq!(world.call(&again, &format!("/locations/{}", account.id())).0, 200);
    // A late report of the old headers spends nothing.
    let Report::Repeat(_) = client.report(&headers, status, &[], body.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(world.emulator.statistics().token_requests, 1);

    let (status, body) = world.call(&again, &format!("/locations/{}", location(1).id()));
    let error = client.report(&again, status, &[], body.as_bytes()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongAccount, "{body}");
    assert!(matches!(client.report(&again, 404, &[], b"{}"), Ok(Report::Pass)));
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn an_api_that_refuses_every_token_is_not_refreshed_for_ever() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    for _ in 0..10 {
        let Ok(headers) = client.headers_for(account.as_str(), "GET") else { break };
        let _ = client.report(&headers, 401, &[], br#"{"message":"Invalid JWT"}"#);
    }
    assert!(
        world.emulator.statistics().token_requests <= 3,
        "{}",
        world.emulator.statistics().token_requests
    );
}

#[test]
fn importing_the_seed_at_every_start_changes_nothing() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    let seed = world.grant(&account);
    assert_eq!(client.import(seed.clone(), false).unwrap(), Import::Imported);
    world.pass(DAY);
    works(&world, &client, &account);
    assert_eq!(client.import(seed.clone(), true).unwrap(), Import::Known);
    works(&world, &client, &account);
    assert_eq!(client.import(world.grant(&account), false).unwrap(), Import::Kept);
    assert!(client.remove(&account).unwrap());
    assert_eq!(client.import(seed, true).unwrap(), Import::Known);
    assert_eq!(client.headers_for(account.as_str(), "GET").unwrap_err().code(), ErrorCode::NoGrant);
}

#[test]
fn a_removal_during_the_refresh_wins() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    world.pass(DAY);
    world.emulator.hold(Endpoint::Token);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| client.headers_for(account.as_str(), "GET"));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, Duration::from_secs(20)));
        assert!(client.remove(&account).unwrap());
        world.emulator.release(Endpoint::Token);
        assert_eq!(refresh.join().unwrap().unwrap_err().code(), ErrorCode::NoGrant);
    });
    assert!(client.accounts().unwrap().is_empty());
}

#[test]
fn a_clock_a_day_off_breaks_nothing() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    let start = world.emulator.now() * 1000;
    world.clock.jump_to(hoopauth::Timestamp(start - 86_400_000));
    works(&world, &client, &account);
    world.pass(DAY);
    works(&world, &client, &account);
    world.clock.jump_to(hoopauth::Timestamp(start + 3 * 86_400_000));
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().reuse_outside_window, 0);
}

#[test]
fn the_budget_holds_callers_back_with_the_time_to_wait() {
    let world = World::new();
    let client = world.builder().token_requests_per_minute(2).build().unwrap();
    let expired = |i| {
        Grant::new(location(i), "x")
            .with_refresh_token(world.grant(&location(i)).refresh_token().unwrap().clone())
    };
    for i in 0..3 {
        client.import(expired(i), false).unwrap();
    }
    works(&world, &client, &location(0));
    works(&world, &client, &location(1));
    let error = client.headers_for(location(2).as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::RateLimited);
    assert!(error.retry_after().unwrap() <= Duration::from_secs(61));
    world.pass(60);
    works(&world, &client, &location(2));
    assert_eq!(world.emulator.statistics().token_requests_peak_per_minute, 2);
}

#[test]
fn a_call_from_a_callback_is_refused_not_a_deadlock() {
    let world = World::new();
    let account = location(0);
    let cell = Arc::new(std::sync::OnceLock::<hoopauth::Client>::new());
    let (inside, result) = (cell.clone(), Arc::new(std::sync::Mutex::new(None)));
    let got = result.clone();
    let client = world
        .builder()
        .on_change(move |_| {
            if let Some(client) = inside.get() {
                let codes =
                    [client.accounts().unwrap_err().code(), client.close().unwrap_err().code()];
                *got.lock().unwrap() = Some(codes);
            }
        })
        .build()
        .unwrap();
    cell.set(client.clone()).unwrap();
    client.import(world.grant(&account), false).unwrap();
    assert_eq!(*result.lock().unwrap(), Some([ErrorCode::InvalidState; 2]));
    works(&world, &client, &account);
}

#[test]
fn a_closed_client_says_so() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), false).unwrap();
    client.headers_for(account.as_str(), "GET").unwrap();
    client.close().unwrap();
    assert_eq!(
        client.headers_for(account.as_str(), "GET").unwrap_err().code(),
        ErrorCode::InvalidState
    );
}
