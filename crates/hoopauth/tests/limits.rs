//! Rate limits: what answers say of them, and pacing that keeps below them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::raw::{Raw, SleepLog, VirtualClock, answer};
use common::{World, location};
use hoopauth::{
    Account, Client, ClientBuilder, Clock, Error, ErrorCode, Grant, Response, Timestamp,
};
use hoopauth_emulator::Config;

const NOON: Timestamp = Timestamp(1_700_049_600_000);
const SECOND: Duration = Duration::from_secs(1);

/// A client that paces, of one static token.
fn paced(url: &str, clock: Arc<dyn Clock>, per_interval: usize) -> ClientBuilder {
    Client::builder()
        .private_integration_token("pit-1")
        .default_account(&location(0))
        .api_base(url)
        .clock(clock)
        .pacing(true)
        .requests_per_interval(u64::try_from(per_interval).unwrap())
        .timeout(Duration::from_secs(3_600))
}

fn limited(result: hoopauth::Result<Response>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::RateLimited, "{error:?}");
    assert_eq!(error.account(), Some(&location(0)));
    assert!(error.is_retryable());
    error
}

#[test]
fn the_last_answer_tells_the_limits_of_its_account() {
    let world = World::new();
    let client = world.builder().default_account(&location(0)).build().unwrap();
    for index in 0..2 {
        client.import(world.grant(&location(index)), false).unwrap();
    }
    let of = |index: usize| client.rate_limit(location(index).as_str());
    assert_eq!((of(0), of(1)), (None, None));
    client.request("GET", "/contacts/").send().unwrap();
    client.request("GET", "/contacts/").send().unwrap();
    let limit = of(0).unwrap();
    assert_eq!(
        (limit.limit, limit.remaining, limit.interval),
        (Some(100), Some(98), Some(10 * SECOND))
    );
    assert_eq!((limit.daily_limit, limit.daily_remaining), (Some(200_000), Some(199_998)));
    assert_eq!(limit.seen_at, world.clock.now());
    let midnight = limit.daily_reset.unwrap();
    // The emulator's clock is up to a second ahead of this world's.
    assert!((midnight.0 + 999) % 86_400_000 < 1_000, "{midnight:?}");
    assert!(midnight > limit.seen_at && midnight.since(limit.seen_at) <= 86_400 * SECOND);
    assert_eq!(of(1), None);

    // An answer that says nothing of limits changes nothing, one that was an error counts as well.
    client.request("GET", "/contacts/nobody").send().unwrap_err();
    assert_eq!(of(0).unwrap().remaining, Some(97));

    // A host that sends its own requests.
    let headers = client.headers_for(location(1).as_str(), "GET").unwrap();
    client
        .report(&headers, 200, &[("X-RateLimit-Remaining", "5"), ("x-ratelimit-max", "100")], b"")
        .unwrap();
    assert_eq!((of(1).unwrap().remaining, of(1).unwrap().daily_limit), (Some(5), None));
    client.report(&headers, 200, &[("content-type", "text/plain")], b"").unwrap();
    assert_eq!(of(1).unwrap().remaining, Some(5));
    assert_eq!(of(0).unwrap().remaining, Some(97));
}

#[test]
fn a_limit_that_is_reached_is_waited_for() {
    let world = World::with(
        Config::default().settings(|settings| settings.api_requests_per_10_seconds = Some(2)),
    );
    let client = world
        .builder()
        .default_account(&location(0))
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    client.import(world.grant(&location(0)), false).unwrap();
    client.request("GET", "/contacts/").send().unwrap();
    client.request("GET", "/contacts/").send().unwrap();
    let error = limited(client.request("GET", "/contacts/").send());
    assert_eq!((error.retry_after(), error.status()), (Some(10 * SECOND), Some(429)));
    world.pass(10);
    client.request("GET", "/contacts/").send().unwrap();
}

#[test]
fn a_spent_day_fails_at_once_until_it_is_over() {
    for pacing in [false, true] {
        let world = World::with(
            Config::default().settings(|settings| settings.api_requests_per_day = Some(1)),
        );
        let client = world.builder().default_account(&location(0)).pacing(pacing).build().unwrap();
        client.import(world.grant(&location(0)), false).unwrap();
        client.request("GET", "/contacts/").send().unwrap();
        let error = limited(client.request("GET", "/contacts/").send());
        let reset = client.rate_limit(location(0).as_str()).unwrap().daily_reset.unwrap();
        assert_eq!(error.retry_after(), Some(reset.since(world.clock.now())));
        // With pacing the second one is not sent at all.
        assert_eq!(world.emulator.statistics().api_requests, if pacing { 1 } else { 2 });
        let headers = client.headers("GET").unwrap();
        let error =
            client.report(&headers, 429, &[("X-RateLimit-Daily-Remaining", "0")], b"").unwrap_err();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        world.pass(reset.since(world.clock.now()).as_secs() + 1);
        client.request("GET", "/contacts/").send().unwrap();
    }
}

#[test]
fn the_days_own_count_is_kept_too() {
    let server = Raw::answering(200, "", "{}");
    let clock = SleepLog::new(NOON);
    let client = paced(&server.url, Arc::<SleepLog>::clone(&clock), 100)
        .requests_per_day(3)
        .build()
        .unwrap();
    for _ in 0..3 {
        client.request("POST", "/a").send().unwrap();
    }
    let error = limited(client.request("POST", "/a").send());
    assert_eq!(error.retry_after(), Some(12 * 3_600 * SECOND));
    clock.clock.advance(12 * 3_600 * SECOND);
    client.request("POST", "/a").send().unwrap();
    assert_eq!(server.seen().len(), 4);
    assert!(clock.take().is_empty());
}

#[test]
fn without_pacing_nothing_is_held_back() {
    let server = Raw::answering(200, "X-RateLimit-Max: 1\r\nX-RateLimit-Remaining: 0\r\n", "{}");
    let clock = SleepLog::new(NOON);
    let client =
        paced(&server.url, Arc::<SleepLog>::clone(&clock), 1).pacing(false).build().unwrap();
    for _ in 0..5 {
        client.request("GET", "/a").send().unwrap();
    }
    assert!(clock.take().is_empty());
}

#[test]
fn no_interval_holds_more_than_the_limit_from_many_threads() {
    let (clock, sent) = (VirtualClock::new(), Arc::new(Mutex::new(Vec::new())));
    let (seen_at, times) = (Arc::clone(&clock), Arc::clone(&sent));
    let server = Raw::start(move |_, _| {
        // Whoever sent this is awake: the clock stands.
        times.lock().unwrap().push(seen_at.monotonic());
        answer(200, "", "{}")
    });
    let client = paced(&server.url, Arc::<VirtualClock>::clone(&clock), 10).build().unwrap();
    (0..8).for_each(|_| clock.enter());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    client.request("GET", "/a").send().unwrap();
                }
                clock.leave();
            });
        }
    });
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 40);
    for window in sent.windows(11) {
        assert!(window[10] - window[0] >= 10_000, "{sent:?}");
    }
    // And no more is held back than must be: three times ten wait for the ten before.
    assert_eq!(sent[39] - sent[0], 3 * 10_200);
}

#[test]
fn who_comes_first_is_sent_first() {
    let clock = VirtualClock::new();
    let server = Raw::answering(200, "", "{}");
    let client = paced(&server.url, Arc::<VirtualClock>::clone(&clock), 1).build().unwrap();
    clock.enter();
    client.request("GET", "/first").send().unwrap();
    thread::scope(|scope| {
        for number in 0..5 {
            let (client, own) = (&client, &clock);
            clock.enter();
            scope.spawn(move || {
                client.request("GET", &format!("/{number}")).send().unwrap();
                own.leave();
            });
            clock.wait_until_asleep(number + 1);
        }
        clock.leave();
    });
    assert_eq!(server.lines(), ["GET /first", "GET /0", "GET /1", "GET /2", "GET /3", "GET /4"]);
}

#[test]
fn accounts_do_not_wait_for_each_other() {
    let world = World::new();
    let client = world
        .builder()
        .pacing(true)
        .requests_per_interval(1)
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    for index in 0..3 {
        let account = location(index);
        client.import(world.grant(&account), false).unwrap();
        client.request("GET", "/contacts/").account(account.as_str()).send().unwrap();
    }
    limited(client.request("GET", "/contacts/").account(location(0).as_str()).send());
}

#[test]
fn a_turn_that_comes_too_late_is_told_at_once_and_takes_no_place() {
    let server = Raw::answering(200, "", "{}");
    let clock = SleepLog::new(NOON);
    let client = paced(&server.url, Arc::<SleepLog>::clone(&clock), 1).build().unwrap();
    client.request("GET", "/a").send().unwrap();
    for _ in 0..3 {
        let error = limited(client.request("GET", "/a").timeout(5 * SECOND).send());
        assert_eq!(
            (error.retry_after(), error.status()),
            (Some(Duration::from_millis(10_200)), None)
        );
    }
    assert!(clock.take().is_empty() && server.seen().len() == 1);
    client.request("GET", "/a").send().unwrap();
    assert_eq!(clock.take(), [Duration::from_millis(10_200)]);
}

#[test]
fn what_other_programs_use_of_the_limit_is_left_to_them() {
    // Ten are allowed, seven are used up by others.
    let server = Raw::answering(
        200,
        "X-RateLimit-Max: 10\r\nX-RateLimit-Remaining: 2\r\nX-RateLimit-Interval-Milliseconds: \
         10000\r\n",
        "{}",
    );
    let clock = SleepLog::new(NOON);
    let client = paced(&server.url, Arc::<SleepLog>::clone(&clock), 10).build().unwrap();
    client.request("GET", "/a").send().unwrap();
    assert!(clock.take().is_empty());
    // What a host sent itself and reported counts as well.
    let headers = client.headers("GET").unwrap();
    let told = [
        ("X-RateLimit-Max", "10"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Interval-Milliseconds", "10000"),
    ];
    client.report(&headers, 200, &told, b"").unwrap();
    client.request("GET", "/a").send().unwrap();
    assert_eq!(clock.take(), [Duration::from_millis(10_200)]);
}

/// An agency whose locations are minted by a server that says what is left.
fn minting() -> (Raw, Arc<SleepLog>, Client) {
    let server = Raw::start(|_, seen| {
        if seen.line().contains("installedLocations") {
            let listed = r#"{"locations":[{"_id":"one"},{"_id":"two"},{"_id":"three"}],"count":3}"#;
            return answer(200, "", listed);
        }
        let minted = r#"{"access_token":"minted","expires_in":86399,"userType":"Location","companyId":"co"}"#;
        answer(201, "X-RateLimit-Max: 100\r\nX-RateLimit-Remaining: 77\r\n", minted)
    });
    let clock = SleepLog::new(NOON);
    let client = Client::builder()
        .client_id("0123456789abcdef01234567-abc")
        .client_secret("secret")
        .store("memory:")
        .api_base(&server.url)
        .location_token_url(format!("{}/oauth/locationToken", server.url))
        .clock(Arc::<SleepLog>::clone(&clock))
        .pacing(true)
        .requests_per_interval(2)
        .timeout(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let company = Account::company("co").unwrap();
    let grant = Grant::new(company, "company-token").with_expires_at(NOON.plus(86_399 * SECOND));
    client.import(grant, false).unwrap();
    (server, clock, client)
}

#[test]
fn mints_count_as_requests_of_their_company() {
    let (server, clock, client) = minting();
    let company = Account::company("co").unwrap();
    for id in ["one", "two", "three"] {
        // Someone waits for it: it is counted and does not wait itself.
        client.mint(&Account::location(id).unwrap(), &company).unwrap();
    }
    assert!(clock.take().is_empty() && server.seen().len() == 3);
    assert_eq!(client.rate_limit("company:co").unwrap().remaining, Some(77));
    client.request("GET", "/a").account("company:co").send().unwrap();
    assert_eq!(clock.take(), [Duration::from_millis(10_200)]);
}

#[test]
fn minting_all_waits_its_turn() {
    let (server, clock, client) = minting();
    let summary = client.mint_all(&Account::company("co").unwrap(), |_| true).unwrap();
    assert_eq!((summary.minted, server.seen().len()), (3, 4));
    assert_eq!(clock.take(), [Duration::from_millis(10_200)]);
}

#[test]
fn a_429_holds_back_all_requests_of_the_account() {
    let server = Raw::start(|index, _| {
        if index == 0 { answer(429, "Retry-After: 60\r\n", "") } else { answer(200, "", "{}") }
    });
    let clock = SleepLog::new(NOON);
    let client = paced(&server.url, Arc::<SleepLog>::clone(&clock), 10).build().unwrap();
    limited(client.request("POST", "/a").send());
    client.request("POST", "/a").send().unwrap();
    assert_eq!(clock.take(), [60 * SECOND]);
}
