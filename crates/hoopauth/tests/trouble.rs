//! Failures that meet each other: outages, lost answers, paused accounts, dead grants. No grant is
//! lost, and one account's trouble costs no other.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::{World, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{Key, Leased, Listed, MemoryStore, NewRow, Row, RowStore, TokenStore};
use hoopauth::{Account, Client, Clock, Error, ErrorCode, Grant, SystemClock, Timestamp};
use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_COMPANY_ID, DEFAULT_SCOPES, Emulator,
    Endpoint, Fault, FaultKind,
};

const DAY: u64 = 86_399;

/// The platform's own budget, on both sides.
fn world() -> World {
    World::with(Config::default().settings(|settings| settings.token_requests_per_minute = Some(5)))
}

fn client(world: &World) -> Client {
    world.builder().token_requests_per_minute(5).max_wait(Duration::from_secs(0)).build().unwrap()
}

fn ask(client: &Client, account: &Account) -> Result<(), Error> {
    client.headers_for(account.as_str(), "GET").map(drop)
}

/// More locations of the emulator's company, each with a grant whose access token has ended.
fn ended(world: &World, client: &Client, count: usize) -> Vec<Account> {
    let ids = world.emulator.add_locations(DEFAULT_COMPANY_ID, count).unwrap();
    let accounts: Vec<_> = ids.iter().map(|id| Account::location(id).unwrap()).collect();
    for account in &accounts {
        end(world, client, account);
    }
    accounts
}

fn end(world: &World, client: &Client, account: &Account) {
    let grant = world.grant(account).with_expires_at(Timestamp(1));
    client.import(grant, true).unwrap();
}

fn requests_of(world: &World, account: &Account) -> u64 {
    world
        .emulator
        .statistics()
        .token_requests_by_account
        .get(account.as_str())
        .copied()
        .unwrap_or(0)
}

fn down() -> Fault {
    Fault::status(Endpoint::Token, 503, "{}").times(1_000_000)
}

#[test]
fn an_answer_lost_after_an_outage_comes_back_too() {
    for others in [false, true] {
        let world = world();
        let client = client(&world);
        let account = &ended(&world, &client, 1)[0];
        let busy = if others { ended(&world, &client, 5) } else { Vec::new() };
        world.emulator.add_fault(down());
        assert_eq!(ask(&client, account).unwrap_err().code(), ErrorCode::HttpStatus);
        world.emulator.clear_faults();
        world.pass(3_600);

        // The first answer and its repeat within the call are lost.
        world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer).times(2));
        let error = ask(&client, account).unwrap_err();
        for other in &busy {
            let _ = ask(&client, other);
        }
        world.pass(error.retry_after().unwrap().as_secs());
        ask(&client, account).unwrap();
        let statistics = world.emulator.statistics();
        assert_eq!((statistics.reuse_outside_window, statistics.token_requests_limited), (0, 0));
        assert!(!client.health(account).unwrap().needs_reauthorization);
    }
}

#[test]
fn the_repeat_of_a_lost_answer_finds_a_place_in_the_budget() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 5);
    world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer).after(4));
    let mut waited = 0;
    for account in &accounts {
        while let Err(error) = ask(&client, account) {
            let wait = error.retry_after().unwrap().as_secs() + 1;
            waited += wait;
            assert!(waited < 180, "{error:?}");
            world.pass(wait);
        }
    }
    let statistics = world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_inside_window), (5, 1));
    // Until the kept place is there, a repeat may be turned away: it comes in time all the same.
    assert_eq!(statistics.reuse_outside_window, 0);
    assert!(statistics.token_requests_limited <= 2, "{}", statistics.token_requests_limited);
}

/// Answers of the token endpoint, and the number of requests that one call makes of each.
fn refusals() -> Vec<(FaultKind, ErrorCode, u64)> {
    let answer =
        |status, body: &str| FaultKind::Status { status, headers: vec![], body: body.into() };
    let told = |status, seconds: &str| FaultKind::Status {
        status,
        headers: vec![("retry-after".into(), seconds.into())],
        body: "{}".into(),
    };
    vec![
        (answer(400, r#"{"message":"Location is not active"}"#), ErrorCode::AccountInactive, 1),
        (answer(401, r#"{"error":"invalid_client"}"#), ErrorCode::TokenRequestRejected, 1),
        (answer(422, r#"{"message":"no"}"#), ErrorCode::TokenRequestRejected, 1),
        (answer(429, "{}"), ErrorCode::RateLimited, 1),
        (told(429, "120"), ErrorCode::RateLimited, 1),
        (told(503, "60"), ErrorCode::HttpStatus, 1),
        (answer(503, "{}"), ErrorCode::HttpStatus, 2),
        (answer(200, "<html>"), ErrorCode::MalformedResponse, 2),
        (FaultKind::LostAnswer, ErrorCode::Network, 2),
        (answer(400, r#"{"error":"invalid_grant"}"#), ErrorCode::ReauthorizationRequired, 1),
    ]
}

#[test]
fn every_caller_gets_the_stored_failure_until_its_time() {
    for (kind, code, requests) in refusals() {
        let world = World::new();
        let (one, other) = (world.client(), world.client());
        let account = &ended(&world, &one, 1)[0];
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind.clone()).times(1_000_000));
        let first = ask(&one, account).unwrap_err();
        assert_eq!(first.code(), code, "{kind:?}");
        for client in [&one, &other, &one, &other] {
            let again = ask(client, account).unwrap_err();
            assert_eq!((again.code(), again.message()), (code, first.message()), "{kind:?}");
            assert_eq!(again.status(), first.status(), "{kind:?}");
            assert_eq!(
                again.retry_after().is_some(),
                code != ErrorCode::ReauthorizationRequired,
                "{kind:?}"
            );
        }
        assert_eq!(world.emulator.statistics().token_requests, requests, "{kind:?}");
        // Its time is the one that was told.
        if let Some(wait) = first.retry_after() {
            world.emulator.clear_faults();
            world.pass(wait.as_secs() - 1);
            ask(&one, account).unwrap_err();
            world.pass(2);
            ask(&one, account).unwrap();
        }
    }
}

#[test]
fn a_living_token_is_served_beside_every_failure() {
    for (kind, _, _) in refusals() {
        let world = World::new();
        let client = world.client();
        let account = &ended(&world, &client, 1)[0];
        let ends = Timestamp((world.emulator.now() + 30) * 1000);
        client.import(world.grant(account).with_expires_at(ends), true).unwrap();
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind.clone()).times(1_000_000));
        for _ in 0..5 {
            ask(&client, account).unwrap();
        }
        assert!(world.emulator.statistics().token_requests <= 2, "{kind:?}");
    }
}

#[test]
fn a_limit_that_the_endpoint_names_holds_for_all_accounts() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 2);
    world.emulator.add_fault(Fault::status(Endpoint::Token, 429, "{}"));
    assert_eq!(ask(&client, &accounts[0]).unwrap_err().code(), ErrorCode::RateLimited);
    let error = ask(&client, &accounts[1]).unwrap_err();
    assert_eq!((error.code(), requests_of(&world, &accounts[1])), (ErrorCode::RateLimited, 0));
    world.pass(61);
    ask(&client, &accounts[1]).unwrap();
}

#[test]
fn a_paused_location_that_is_asked_for_all_the_time_costs_no_other() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 2);
    world.emulator.pause(accounts[0].id()).unwrap();
    for second in 0..900 {
        assert_eq!(ask(&client, &accounts[0]).unwrap_err().code(), ErrorCode::AccountInactive);
        if second % 300 == 10 {
            end(&world, &client, &accounts[1]);
            ask(&client, &accounts[1]).unwrap();
        }
        world.pass(1);
    }
    let asked = requests_of(&world, &accounts[0]);
    assert!((3..=6).contains(&asked), "{asked}");
    // It comes back within the longest pause.
    world.emulator.unpause(accounts[0].id()).unwrap();
    world.pass(900);
    ask(&client, &accounts[0]).unwrap();
}

#[test]
fn an_outage_is_no_flood_and_ends_for_all_at_once() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 2);
    world.emulator.add_fault(down());
    for _ in 0..60 {
        assert_eq!(ask(&client, &accounts[0]).unwrap_err().code(), ErrorCode::HttpStatus);
        world.pass(1);
    }
    assert_eq!(world.emulator.statistics().token_requests, 3);
    world.emulator.clear_faults();
    ask(&client, &accounts[1]).unwrap();
}

/// Two dozen paused locations, each asked for every minute, and one that works.
#[test]
fn many_failing_accounts_together_leave_the_budget_to_the_healthy() {
    let world = world();
    let client = client(&world);
    let failing = ended(&world, &client, 24);
    for account in &failing {
        world.emulator.pause(account.id()).unwrap();
    }
    // Each of them has failed twice, as the endpoint served others.
    for _ in 0..40 {
        for account in &failing {
            let _ = ask(&client, account);
        }
        world.pass(60);
    }
    let healthy = ended(&world, &client, 4);
    let before = world.emulator.statistics().token_requests;
    for minute in 0..60 {
        for account in &failing {
            ask(&client, account).unwrap_err();
        }
        let account = &healthy[minute % 4];
        end(&world, &client, account);
        ask(&client, account).unwrap();
        world.pass(60);
    }
    let for_failing = world.emulator.statistics().token_requests - before - 60;
    assert!((10..=31).contains(&for_failing), "{for_failing} of 300 requests");
}

#[test]
fn a_clean_refusal_is_final_at_once_however_little_time_there_is() {
    for timeout in [0.5, 1.0, 2.0, 30.0] {
        let world = world();
        let client = world
            .builder()
            .token_requests_per_minute(5)
            .timeout(Duration::from_secs_f64(timeout))
            .build()
            .unwrap();
        let account = &ended(&world, &client, 1)[0];
        world.emulator.uninstall(account.as_str()).unwrap();
        for _ in 0..4 {
            assert_eq!(
                ask(&client, account).unwrap_err().code(),
                ErrorCode::ReauthorizationRequired
            );
        }
        assert_eq!(world.emulator.statistics().token_requests, 1);
        assert!(client.health(account).unwrap().needs_reauthorization);
    }
}

#[test]
fn a_refusal_in_doubt_is_looked_at_twice_if_there_is_time_and_never_lost() {
    for (timeout, looks) in [(1.0, 1), (30.0, 2)] {
        let world = World::new();
        let account = &ended(&world, &world.client(), 1)[0];
        let dies = world
            .builder()
            .step_hook(|step, _| match step {
                Step::Send => Err(Error::new(ErrorCode::Store, "told to fail")),
                _ => Ok(()),
            })
            .build()
            .unwrap();
        ask(&dies, account).unwrap_err();
        world.emulator.uninstall(account.as_str()).unwrap();
        let client = world.builder().timeout(Duration::from_secs_f64(timeout)).build().unwrap();
        assert_eq!(ask(&client, account).unwrap_err().code(), ErrorCode::ReauthorizationRequired);
        assert_eq!(world.emulator.statistics().token_requests, looks, "{timeout}");
    }
}

#[test]
fn without_retries_only_a_lost_answer_is_asked_for_again() {
    for (kind, requests) in [
        (FaultKind::Status { status: 503, headers: vec![], body: "{}".into() }, 1),
        (FaultKind::LostAnswer, 2),
    ] {
        let world = World::new();
        let client = world.builder().max_retries(0).build().unwrap();
        let account = &ended(&world, &client, 1)[0];
        world.emulator.add_fault(Fault::new(Endpoint::Token, kind).times(9));
        ask(&client, account).unwrap_err();
        assert_eq!(world.emulator.statistics().token_requests, requests);
    }
}

/// A process that is stopped between its mark and its request comes back long after another one did
/// the refresh.
#[test]
fn a_process_that_stood_still_does_not_send_what_others_spent() {
    for standstill in [3, 40, 4_000] {
        let world = Arc::new(World::new());
        let rows = Arc::new(Rows::default());
        let other = world.app().row_store(rows.clone()).build().unwrap();
        let account = ended(&world, &other, 1).remove(0);
        let (inside, of, stopped) = (world.clone(), account.clone(), AtomicBool::new(false));
        let client = world
            .app()
            .row_store(rows)
            .step_hook(move |step, _| {
                if step == Step::Send && !stopped.swap(true, Ordering::SeqCst) {
                    ask(&other, &of).unwrap();
                    inside.pass(standstill);
                }
                Ok(())
            })
            .build()
            .unwrap();
        ask(&client, &account).unwrap();
        let statistics = world.emulator.statistics();
        assert_eq!(
            (statistics.token_requests, statistics.reuse_outside_window),
            (1, 0),
            "{standstill}"
        );
    }
}

/// Rows in memory whose leases end at once, as a database's do whose client fell silent.
#[derive(Debug, Default)]
struct Rows(Mutex<HashMap<Account, Row>>);

impl RowStore for Rows {
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>, Error> {
        Ok(self.0.lock().unwrap().get(key.account).cloned())
    }

    fn save(&self, key: &Key<'_>, expected: u64, row: &NewRow<'_>) -> Result<bool, Error> {
        let mut rows = self.0.lock().unwrap();
        if rows.get(key.account).map_or(0, |row| row.version) != expected {
            return Ok(false);
        }
        rows.insert(key.account.clone(), Row { version: expected + 1, bytes: row.bytes.to_vec() });
        Ok(true)
    }

    fn list(&self, _: &str) -> Result<Vec<Listed>, Error> {
        Ok(Vec::new())
    }

    fn lease<'a>(&'a self, _: &Key<'_>, _: Duration) -> Result<Leased<'a>, Error> {
        Ok(Leased::Held(Box::new(())))
    }
}

/// Callers of a living token come every seven seconds; both answers of the early refresh are lost.
#[test]
fn an_early_refresh_whose_answer_is_lost_is_asked_again_in_time() {
    let world = world();
    let client = client(&world);
    let account = location(0);
    client.import(world.grant(&account), true).unwrap();
    world.pass(DAY - 2_000);
    world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer).times(2));
    for _ in 0..400 {
        ask(&client, &account).unwrap();
        world.pass(7);
    }
    let statistics = world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_outside_window), (1, 0));
    assert!(!client.health(&account).unwrap().needs_reauthorization);
}

/// The platform calls the minute full for this account alone, and goes on doing so.
#[test]
fn an_account_in_doubt_that_is_limited_all_the_time_costs_no_other() {
    let world = World::new();
    let client = client(&world);
    let accounts = ended(&world, &client, 2);
    world.emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer).times(2));
    ask(&client, &accounts[0]).unwrap_err();
    world.emulator.clear_faults();
    let mut failed = 0;
    for second in 0..1_800 {
        world.emulator.add_fault(Fault::status(Endpoint::Token, 429, "{}").times(1_000_000));
        ask(&client, &accounts[0]).unwrap_err();
        world.emulator.clear_faults();
        if second % 60 == 30 {
            end(&world, &client, &accounts[1]);
        }
        failed += u32::from(ask(&client, &accounts[1]).is_err());
        world.pass(1);
    }
    assert!(requests_of(&world, &accounts[0]) <= 12, "{}", requests_of(&world, &accounts[0]));
    // Each of those says that the whole minute is full.
    assert!(failed < 500, "{failed}");
}

#[test]
fn a_mint_that_fails_for_a_moment_ends_no_grant() {
    let world =
        World::with(Config::default().settings(|settings| settings.location_refresh_token = false));
    let client = world.client();
    let (company, account) = (Account::company(DEFAULT_COMPANY_ID).unwrap(), location(0));
    client.import(world.grant(&company), false).unwrap();
    client.import(world.grant(&account), false).unwrap();
    world.emulator.revoke_refresh(account.as_str()).unwrap();
    world.pass(DAY);
    ask(&client, &account).unwrap();
    world.pass(DAY);
    // Minted by now, it still has the refresh token that is refused.
    ask(&client, &company).unwrap();
    world.emulator.add_fault(Fault::status(Endpoint::LocationToken, 503, "{}"));
    let error = ask(&client, &account).unwrap_err();
    assert_ne!(error.code(), ErrorCode::ReauthorizationRequired, "{error:?}");
    assert!(!client.health(&account).unwrap().needs_reauthorization);
    world.pass(30);
    ask(&client, &account).unwrap();
}

#[test]
fn a_mint_without_a_network_is_tried_again_soon() {
    let world =
        World::with(Config::default().settings(|settings| settings.location_refresh_token = false));
    let client = world.client();
    let (company, account) = (Account::company(DEFAULT_COMPANY_ID).unwrap(), location(0));
    client.import(world.grant(&company), false).unwrap();
    client.mint(&account, &company).unwrap();
    world.pass(DAY - 100);
    client.import(world.grant(&company), true).unwrap();
    world.pass(200);
    let offline = world.builder().location_token_url("http://127.0.0.1:1/x").build().unwrap();
    for _ in 0..1_200 {
        ask(&offline, &account).unwrap_err();
        world.pass(1);
    }
    if let Err(error) = ask(&client, &account) {
        assert!(error.retry_after().unwrap() <= Duration::from_secs(60), "{error:?}");
    }
}

#[test]
fn an_outage_is_not_the_trouble_of_those_it_meets() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 3);
    // Another account was served a moment before.
    ask(&client, &accounts[2]).unwrap();
    world.pass(15);
    world.emulator.add_fault(down());
    for _ in 0..30 {
        for account in &accounts[..2] {
            ask(&client, account).unwrap_err();
        }
        world.pass(1);
    }
    world.emulator.clear_faults();
    world.pass(90);
    for account in &accounts[..2] {
        ask(&client, account).unwrap();
    }
}

/// The bill of an agency was not paid for two hours; then it was.
#[test]
fn accounts_that_were_paused_together_come_back_together() {
    let world = world();
    let client = client(&world);
    let accounts = ended(&world, &client, 60);
    for account in &accounts {
        world.emulator.pause(account.id()).unwrap();
    }
    for _ in 0..120 {
        for account in &accounts {
            ask(&client, account).unwrap_err();
        }
        world.pass(60);
    }
    for account in &accounts {
        world.emulator.unpause(account.id()).unwrap();
    }
    let mut minutes = 0;
    while accounts.iter().filter(|account| ask(&client, account).is_err()).count() > 0 {
        minutes += 1;
        assert!(minutes < 45, "still waiting");
        world.pass(60);
    }
}

#[test]
fn a_clock_that_was_wrong_for_a_while_locks_no_troubled_account_out() {
    let world = world();
    let client = client(&world);
    let account = &ended(&world, &client, 1)[0];
    world.emulator.pause(account.id()).unwrap();
    let right = world.clock.now();
    world.clock.advance(Duration::from_secs(400 * DAY));
    for _ in 0..20 {
        ask(&client, account).unwrap_err();
        world.clock.advance(Duration::from_secs(60));
        world.emulator.advance(60);
    }
    world.clock.jump_to(right);
    world.emulator.unpause(account.id()).unwrap();
    world.pass(600);
    ask(&client, account).unwrap();
}

#[test]
fn a_very_short_timeout_can_refresh_too() {
    let world = World::new();
    let client = world.builder().timeout(Duration::from_millis(50)).build().unwrap();
    let account = &ended(&world, &client, 1)[0];
    world.emulator.uninstall(account.as_str()).unwrap();
    assert_eq!(ask(&client, account).unwrap_err().code(), ErrorCode::ReauthorizationRequired);
}

/// Another holder has the lease of the one account that is due. On a clock that moves when it is
/// told, a maintainer that did not pause would never end.
#[test]
fn maintenance_pauses_behind_a_holder() {
    let world = world();
    let client = client(&world);
    let account = location(0);
    client.import(world.grant(&account), true).unwrap();
    world.pass(DAY - 20);
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let holder = world
        .builder()
        .step_hook(move |step, _| {
            if step == Step::Send {
                tell.send(()).unwrap();
                let _ = wait.lock().unwrap().recv();
            }
            Ok(())
        })
        .build()
        .unwrap();
    let maintainer = world.client();
    std::thread::scope(|scope| {
        scope.spawn(|| ask(&holder, &account));
        told.recv().unwrap();
        maintainer.maintain(world.clock.now().plus(Duration::from_secs(60))).unwrap();
        drop(go);
    });
}

/// A location waits for its company, which the platform limits. Others that are due do not.
#[test]
fn maintenance_goes_on_behind_a_company_that_is_limited() {
    let world =
        World::with(Config::default().settings(|settings| settings.location_refresh_token = false));
    let client = world
        .builder()
        .token_requests_per_minute(5)
        .max_wait(Duration::from_secs(0))
        .build()
        .unwrap();
    let (company, account) = (Account::company(DEFAULT_COMPANY_ID).unwrap(), location(0));
    client.import(world.grant(&company), false).unwrap();
    client.mint(&account, &company).unwrap();
    world.pass(100);
    let healthy = location(1);
    client.import(world.grant(&healthy), true).unwrap();
    world.pass(DAY - 2_000);
    end(&world, &client, &company);
    let limited = FaultKind::Status {
        status: 429,
        headers: vec![("retry-after".into(), "3600".into())],
        body: "{}".into(),
    };
    world.emulator.add_fault(Fault::new(Endpoint::Token, limited));
    ask(&client, &company).unwrap_err();
    for _ in 0..10 {
        client.maintain(world.clock.now().plus(Duration::from_secs(60))).unwrap();
        world.emulator.advance(60);
    }
    assert!(requests_of(&world, &healthy) >= 1);
}

/// An earlier release stored an account's name as an env file gave it, with its quotation marks.
#[test]
fn one_odd_name_in_the_store_hides_no_other_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants.db");
    let world = World::new();
    let build = || {
        let store = format!("sqlite:{}", path.display());
        world.app().store(store).store_key("k".repeat(32)).build().unwrap()
    };
    let odd = ended(&world, &build(), 1).remove(0);
    let rename = "UPDATE account SET name = 'location:\"quoted\"' WHERE name = ?1";
    rusqlite::Connection::open(&path).unwrap().execute(rename, [odd.as_str()]).unwrap();
    let client = build();
    let healthy = location(1);
    client.import(world.grant(&healthy), true).unwrap();
    world.pass(DAY - 3_000);
    for _ in 0..10 {
        client.maintain(world.clock.now().plus(Duration::from_secs(60))).unwrap();
        world.emulator.advance(60);
    }
    assert_eq!(client.accounts().unwrap().len(), 2);
    assert!(requests_of(&world, &healthy) >= 1);
}

/// One account's tokens live for a minute only. Maintenance has time for the others.
#[test]
fn tokens_of_a_minute_do_not_take_all_of_maintenance() {
    use common::raw::{Raw, answer};

    let server = Raw::start(|number, seen| {
        let short = String::from_utf8_lossy(&seen.body).contains("refresh_token=short");
        let (kind, life) = if short { ("short", 0) } else { ("healthy", 86_399) };
        let pair = format!(r#""access_token":"a{number}","refresh_token":"{kind}{number}""#);
        answer(200, "", &format!(r#"{{{pair},"expires_in":{life}}}"#))
    });
    let start = Timestamp(1_700_000_000_000);
    let clock = Arc::new(hoopauth::ManualClock::new(start));
    let client = Client::builder()
        .client_id("i")
        .client_secret("s")
        .token_url(format!("{}/t", server.url))
        .clock(clock.clone())
        .token_store(Arc::new(MemoryStore::new()))
        .build()
        .unwrap();
    let import = |name: &str, ends| {
        let grant = Grant::new(Account::location(name).unwrap(), "x")
            .with_refresh_token(format!("{name}x"));
        client.import(grant.with_expires_at(start.plus(Duration::from_secs(ends))), true).unwrap();
    };
    import("short", 3_000);
    for number in 0..3 {
        import(&format!("healthy{number}"), 3_600);
    }
    client.maintain(start.plus(Duration::from_secs(2_400))).unwrap();
    for number in 0..3 {
        let account = Account::location(&format!("healthy{number}")).unwrap();
        let ends = client.health(&account).unwrap().expires_at;
        assert!(ends >= start.plus(Duration::from_secs(DAY)), "{account}");
    }
}

/// A course of outages, on a clock of its own: days in which the endpoint breaks down, loses
/// answers and is full, locations are paused and go on, and dead grants stand among them. A call
/// for each account every ten seconds, so that somebody comes back while a lost answer can be had
/// again. `HOOPAUTH_KILLS` is the number of its days, `HOOPAUTH_SEED` chooses another course.
#[test]
fn no_outage_costs_a_grant_or_a_neighbour() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let days = number("HOOPAUTH_KILLS").unwrap_or(1);
    let seed = number("HOOPAUTH_SEED").unwrap_or_else(|| {
        u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()
    });
    println!("HOOPAUTH_SEED={seed} HOOPAUTH_KILLS={days}");
    let mut random = Random(seed);
    // Tokens of four hours: each account is refreshed six times a day.
    let world = World::with(
        Config::default()
            .lifetime(14_400)
            .settings(|settings| settings.token_requests_per_minute = Some(5)),
    );
    let clients: Vec<_> = (0..2).map(|_| client(&world)).collect();
    let accounts = ended(&world, &clients[0], 24);
    let (dead, paused, healthy) = (&accounts[..4], &accounts[4..8], &accounts[8..]);
    for account in dead {
        world.emulator.uninstall(account.as_str()).unwrap();
    }
    // In steps of ten seconds.
    let (mut well_since, mut longest) = (0, 0);
    for step in 0..days * 8_640 {
        // Not while a token may be in doubt: an answer that is lost for longer than the window is
        // lost for good.
        if random.below(1_000) == 0 && step >= well_since + 6 {
            let answer = |status, body: &str| FaultKind::Status {
                status,
                headers: vec![],
                body: body.into(),
            };
            let (kind, times) = match random.below(4) {
                0 => (FaultKind::LostAnswer, 1 + random.below(3)),
                1 => (answer(429, "{}"), 1 + random.below(3)),
                2 => (answer(200, "<html>"), 1 + random.below(12)),
                _ => (answer(503, "{}"), 1 + random.below(12)),
            };
            world
                .emulator
                .add_fault(Fault::new(Endpoint::Token, kind).times(u32::try_from(times).unwrap()));
        }
        for account in paused {
            match step % 4_320 {
                0 => world.emulator.pause(account.id()).unwrap(),
                1_800 => world.emulator.unpause(account.id()).unwrap(),
                _ => {}
            }
        }
        if world.emulator.pending_faults() > 0 {
            well_since = step + 1;
        }
        for account in &accounts {
            let client = &clients[usize::try_from(random.below(2)).unwrap()];
            match ask(client, account) {
                Ok(()) => assert!(!dead.contains(account)),
                Err(error) if error.code() == ErrorCode::ReauthorizationRequired => {
                    assert!(dead.contains(account), "seed {seed}, step {step}: {error:?}");
                }
                Err(_) if !healthy.contains(account) => {}
                // A quarter of an hour after the last failure, and some minutes of the budget,
                // everybody is served again.
                Err(error) => {
                    longest = longest.max((step + 1).saturating_sub(well_since));
                    assert!(step < well_since + 120, "seed {seed}, step {step}: {error:?}");
                }
            }
        }
        world.pass(10);
    }
    world.emulator.clear_faults();
    world.pass(1_800);
    for account in accounts.iter().filter(|account| !dead.contains(account)) {
        let _ = world.emulator.unpause(account.id());
        while let Err(error) = ask(&clients[0], account) {
            assert_ne!(error.code(), ErrorCode::ReauthorizationRequired, "seed {seed}: {error:?}");
            world.pass(error.retry_after().unwrap().as_secs() + 1);
        }
    }
    let statistics = world.emulator.statistics();
    println!(
        "{}",
        serde_json::json!({
            "soak": "outage", "seed": seed, "days": days, "rotations": statistics.rotations,
            "token_requests": statistics.token_requests, "seconds_to_recover": longest * 10,
            "reuse_inside_window": statistics.reuse_inside_window,
            "reuse_outside_window": statistics.reuse_outside_window,
        })
    );
    assert_eq!(statistics.reuse_outside_window, 0, "seed {seed}");
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }
}

/// A location's token is minted again once its company is well, though its own refresh token is
/// gone.
#[test]
fn a_company_in_trouble_costs_its_locations_nothing_for_good() {
    let world = World::new();
    let client = world.client();
    let (company, account) = (Account::company(DEFAULT_COMPANY_ID).unwrap(), location(0));
    client.import(world.grant(&company), false).unwrap();
    client.import(world.grant(&account), false).unwrap();
    world.emulator.revoke_refresh(account.as_str()).unwrap();
    world.pass(DAY);
    // The location's own token is refused and its company can't be refreshed now.
    world.emulator.add_fault(Fault::status(Endpoint::Token, 400, r#"{"error":"invalid_grant"}"#));
    world.emulator.add_fault(down());
    let error = ask(&client, &account).unwrap_err();
    assert_ne!(error.code(), ErrorCode::ReauthorizationRequired, "{error:?}");
    assert!(!client.health(&account).unwrap().needs_reauthorization);
    world.emulator.clear_faults();
    world.pass(900);
    ask(&client, &account).unwrap();
    assert!(client.export(&account).unwrap().is_minted());

    // Minted ones wait for their company, and no longer.
    world.pass(DAY);
    world.emulator.add_fault(down());
    assert_eq!(ask(&client, &account).unwrap_err().code(), ErrorCode::HttpStatus);
    world.emulator.clear_faults();
    world.pass(8);
    ask(&client, &account).unwrap();
}

/// A token that is good for hours is served while the endpoint hangs on what a crash left open;
/// that is finished meanwhile.
#[test]
fn the_first_call_of_a_process_waits_for_no_other_account() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let builder = || {
        Client::builder()
            .client_id(DEFAULT_CLIENT_ID)
            .client_secret(DEFAULT_CLIENT_SECRET)
            .api_base(emulator.api())
            .token_url(emulator.token())
            .location_token_url(emulator.location_token())
            .token_store(Arc::clone(&store))
    };
    let grant = |account: &Account| {
        let issued = emulator.issue_grant(account.as_str(), &DEFAULT_SCOPES).unwrap();
        Grant::new(account.clone(), issued.access_token)
            .with_refresh_token(issued.refresh_token.unwrap())
    };
    let (fresh, crashed) = (location(0), location(1));
    let later = SystemClock.now().plus(Duration::from_secs(80_000));
    let dies = builder()
        .step_hook(|step, _| match step {
            Step::Check => Err(Error::new(ErrorCode::Store, "told to fail")),
            _ => Ok(()),
        })
        .build()
        .unwrap();
    dies.import(grant(&fresh).with_expires_at(later), false).unwrap();
    dies.import(grant(&crashed), false).unwrap();
    ask(&dies, &crashed).unwrap_err();

    emulator.hold(Endpoint::Token);
    let (saved, news) = mpsc::channel();
    let client = builder()
        .on_change(move |change| saved.send(change.account.clone()).unwrap())
        .build()
        .unwrap();
    ask(&client, &fresh).unwrap();
    assert!(emulator.wait_until_held(Endpoint::Token, 1, Duration::from_secs(20)));
    emulator.release(Endpoint::Token);
    assert_eq!(news.recv().unwrap(), crashed);
    client.close().unwrap();
    let statistics = emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_inside_window), (1, 1));
}

/// Rows that this client has no key for, dead grants and paused accounts stand first among those
/// that are due.
#[test]
fn maintenance_reaches_the_healthy_behind_any_number_in_trouble() {
    let world = world();
    let client =
        world.builder().token_requests_per_minute(5).store_key("k".repeat(32)).build().unwrap();
    let stranger = world.builder().store_key("other".repeat(8)).build().unwrap();
    ended(&world, &stranger, 40);
    let dead = ended(&world, &client, 40);
    let paused = ended(&world, &client, 40);
    for account in &dead {
        world.emulator.uninstall(account.as_str()).unwrap();
    }
    for account in &paused {
        world.emulator.pause(account.id()).unwrap();
    }
    let healthy: Vec<_> = (0..3).map(location).collect();
    for account in &healthy {
        client.import(world.grant(account), true).unwrap();
    }
    let maintain = |client: &Client, seconds: u64| {
        for _ in 0..seconds / 60 {
            client.maintain(world.clock.now().plus(Duration::from_secs(60))).unwrap();
            world.emulator.advance(60);
        }
    };
    // Once all of them were refused, the healthy are served within minutes for the rest of the day,
    // and for days.
    maintain(&client, 3 * DAY);
    for account in &healthy {
        let health = client.health(account).unwrap();
        assert!(health.expires_at > world.clock.now(), "{account}");
        assert!(requests_of(&world, account) >= 3, "{account}");
    }
    let dead = dead.iter().map(|account| requests_of(&world, account)).sum::<u64>();
    assert!((40..=40 * 9).contains(&dead), "{dead}");
    assert_eq!(world.emulator.statistics().token_requests_limited, 0);
}
