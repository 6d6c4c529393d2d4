//! Calls with a deadline, and calls that another thread cancels.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::{World, location};
use hoopauth::{Client, Context, Error, ErrorCode, Headers, Report, Timestamp};
use hoopauth_emulator::{DEFAULT_CLIENT_SECRET, Endpoint, Fault};

const ENOUGH: Duration = Duration::from_secs(30);
const FOREVER: Timestamp = Timestamp(i64::MAX);

/// A world whose first location has an expired token, and whose token endpoint holds back its answers.
fn held_world() -> (World, Client) {
    let world = World::new();
    let client = world.client();
    client.import(world.grant(&location(0)), true).unwrap();
    world.pass(86_399);
    world.emulator.hold_answers(Endpoint::Token);
    (world, client)
}

fn headers(client: &Client, context: &Context) -> Result<Headers, Error> {
    client.within(context, |client| client.headers_for(location(0).as_str(), "GET"))
}

/// The refresh whose caller left is finished, saved, and served to the next caller.
fn it_went_on(world: &World, client: &Client) {
    world.emulator.release(Endpoint::Token);
    let headers = client.headers_for(location(0).as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, "/locations/hoopLocation00000001").0, 200);
    assert_eq!(world.emulator.statistics().token_requests, 1);
}

#[test]
fn another_thread_cancels_and_the_refresh_goes_on() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        assert_eq!(call.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
    });
    assert_eq!(headers(&client, &context).unwrap_err().code(), ErrorCode::Cancelled, "cancelled for good");
    it_went_on(&world, &client);
}

#[test]
fn a_deadline_ends_the_wait_and_the_refresh_goes_on() {
    let (world, client) = held_world();
    let error = headers(&client, &Context::with_timeout(Duration::from_millis(50))).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Timeout, true));
    assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
    it_went_on(&world, &client);
    assert_eq!(
        headers(&client, &Context::with_timeout(Duration::ZERO)).unwrap_err().code(),
        ErrorCode::Timeout,
        "a deadline that has passed"
    );
}

#[test]
fn closing_waits_for_what_goes_on() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        call.join().unwrap().unwrap_err();
        let closing = scope.spawn(|| client.close());
        world.emulator.release(Endpoint::Token);
        closing.join().unwrap().unwrap();
    });
    let stored = world.client().export(&location(0)).unwrap();
    assert!(
        world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()),
        "the new pair was saved"
    );
}

#[test]
fn closing_again_waits_too() {
    let (world, client) = held_world();
    let context = Context::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| headers(&client, &context));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        context.cancel();
        call.join().unwrap().unwrap_err();
        // The first to close is given up.
        scope.spawn(|| client.close());
        while client.headers_for(location(1).as_str(), "GET").unwrap_err().code() != ErrorCode::InvalidState {
            std::thread::yield_now();
        }
        scope.spawn(|| world.emulator.release(Endpoint::Token));
        client.close().unwrap();
        let stored = world.client().export(&location(0)).unwrap();
        assert!(world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()));
    });
}

#[test]
fn a_check_on_the_calling_thread_ends_the_wait() {
    let (world, client) = held_world();
    let (asked, asks) = mpsc::channel();
    let error = client
        .within_checking(
            &Context::new(),
            Duration::from_millis(1),
            || {
                asked.send(std::thread::current().id()).unwrap();
                Err(Error::new(ErrorCode::Cancelled, "a signal"))
            },
            |client| client.headers_for(location(0).as_str(), "GET"),
        )
        .unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::Cancelled, "a signal"));
    assert_eq!(asks.recv().unwrap(), std::thread::current().id());
    assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
    it_went_on(&world, &client);
}

#[test]
fn a_panic_within_is_an_error() {
    let client = Client::builder().access_token("a").build().unwrap();
    let error = client.within(&Context::new(), |_| -> Result<(), Error> { panic!("told to") }).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Panic);
    client.close().unwrap();
}

#[test]
fn maintenance_ends_with_its_context() {
    let client = Client::builder().client_id("a-b").client_secret("c").store("memory:").build().unwrap();
    let context = Context::new();
    std::thread::scope(|scope| {
        let maintaining = scope.spawn(|| client.maintain_within(FOREVER, &context));
        context.cancel();
        assert_eq!(maintaining.join().unwrap().unwrap_err().code(), ErrorCode::Cancelled);
    });
}

#[test]
fn headers_put_together_again_can_be_reported() {
    let world = World::new();
    let client = world.client();
    let account = location(0);
    client.import(world.grant(&account), true).unwrap();
    let sent = client.headers_for(account.as_str(), "POST").unwrap();
    world.emulator.revoke_access(account.as_str()).unwrap();
    let again = client.sent_headers(account.as_str(), "POST", sent.authorization()).unwrap();
    let report = client.report(&again, 401, &[], br#"{"message":"Invalid JWT"}"#).unwrap();
    let Report::Repeat(repeat) = report else { panic!("{report:?}") };
    assert_ne!(repeat.authorization(), sent.authorization());
    assert_eq!(repeat.content_type(), Some("application/json"));
    for wrong in ["", "Bearer ", "Bearer a b", "Basic abc", "Bearer \r\n"] {
        assert_eq!(
            client.sent_headers(account.as_str(), "GET", wrong).unwrap_err().code(),
            ErrorCode::InvalidArgument
        );
    }
}

#[test]
fn closing_waits_for_calls_of_other_threads_and_nothing_is_served_afterwards() {
    let (world, client) = held_world();
    let handle = client.account(location(0).as_str()).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.headers_for(location(0).as_str(), "GET"));
        assert!(world.emulator.wait_until_held(Endpoint::Token, 1, ENOUGH));
        let closing = scope.spawn(|| client.close());
        while client.accounts().is_ok() {
            std::thread::yield_now();
        }
        world.emulator.release(Endpoint::Token);
        closing.join().unwrap().unwrap();
        assert!(call.is_finished() || call.join().is_ok());
    });
    assert_eq!(client.headers_for(location(0).as_str(), "GET").unwrap_err().code(), ErrorCode::InvalidState);
    assert_eq!(handle.headers("GET").unwrap_err().code(), ErrorCode::InvalidState);
    let stored = world.client().export(&location(0)).unwrap();
    assert!(world.emulator.is_refresh_token_live(stored.refresh_token().unwrap().expose()));
}

#[test]
fn urls_of_the_settings_are_written_as_all_read_them() {
    for odd in ["https:///a.example/x", "https:/a.example/x", "https:a.example/x", "https:\\\\a.example/x"] {
        for option in ["api_base", "token_url", "location_token_url"] {
            let error = Client::builder().access_token("a").option(option, odd).build().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config, "{option} {odd}");
            assert!(error.message().starts_with(&format!("`{option}` must be written as")), "{error}");
        }
    }
}

#[test]
fn a_bearer_goes_where_every_parser_says_it_goes() {
    let client = Client::builder().access_token("a").api_base("https://api.example").build().unwrap();
    for url in [
        "https://api.example/x?y=z",
        "HTTPS://API.example:443/",
        "https://services.leadconnectorhq.com/oauth/token",
    ] {
        client.check_url(url).unwrap();
    }
    for url in [
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "https://user@api.example/",
        "https://api.example\\@evil.example/",
        "https:\\\\api.example/",
        "https:api.example",
        "https:///api.example/x",
        " https://api.example/",
        "ht\ttps://api.example/",
        "https://api.example/\r\n",
        "blob:https://api.example/x",
        "http://api.example/",
        "https://api.example:8443/",
        "//api.example/",
        "/x",
        "",
    ] {
        assert_eq!(client.check_url(url).unwrap_err().code(), ErrorCode::InvalidArgument, "{url:?}");
    }
}

#[test]
fn what_a_server_echoes_of_the_request_is_cut_out() {
    let world = World::new();
    let client = world.client();
    let grant = world.grant(&location(0));
    let refresh = grant.refresh_token().unwrap().expose().to_owned();
    client.import(grant, true).unwrap();
    world.pass(86_399);
    // Whole, written as JSON may write it, and cut short.
    let escaped = refresh.chars().fold(String::new(), |text, c| format!("{text}\\u{:04x}", u32::from(c)));
    let cut = &refresh[..refresh.len() - 1];
    let body = format!(
        "{{\"message\":\"bad {DEFAULT_CLIENT_SECRET} and {escaped}, {cut}\",\"traceId\":\"{DEFAULT_CLIENT_SECRET}\"}}"
    );
    world.emulator.add_fault(Fault::status(Endpoint::Token, 422, &body).times(10));
    let error = client.headers_for(location(0).as_str(), "GET").unwrap_err();
    let said = format!("{error:?}");
    assert!(
        said.contains("bad [redacted] and [redacted], [redacted]")
            && !said.contains(DEFAULT_CLIENT_SECRET)
            && !said.contains(&refresh[..8]),
        "{said}"
    );
}
