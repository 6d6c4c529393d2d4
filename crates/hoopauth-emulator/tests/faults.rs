//! Faults, holds, and stopping in the middle of either.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use hoopauth_emulator::{Config, Emulator, Endpoint, Fault, FaultKind};
use serde_json::json;

/// Longer than anything here takes; only a hanging test waits for it.
const FOREVER: Duration = Duration::from_secs(60);

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

#[test]
fn a_made_up_answer_has_no_effect_unless_processed() {
    let emulator = start();
    let token = seed(&emulator);
    let fault = |status| Fault::status(Endpoint::Token, status, "{\"message\":\"busy\"}");
    emulator.add_fault(fault(503).times(2));
    emulator.add_fault(fault(500).processed(true));
    for _ in 0..2 {
        refresh(&emulator, &token).send().refused_with(503);
        assert!(emulator.is_refresh_token_live(&token));
    }
    refresh(&emulator, &token).send().refused_with(500);
    assert!(!emulator.is_refresh_token_live(&token));
    refresh(&emulator, &token).send().ok();
    let counted = emulator.statistics();
    assert_eq!((counted.rotations, counted.reuse_inside_window), (1, 1));
    assert_eq!(counted.token_answers, [(200, 1), (500, 1), (503, 2)].into());
}

trait RefusedWith {
    fn refused_with(&self, status: u16);
}

impl RefusedWith for Answer {
    #[track_caller]
    fn refused_with(&self, status: u16) {
        assert_eq!((self.status, &self.json()["message"]), (status, &json!("busy")));
    }
}

#[test]
fn a_lost_answer_is_found_again_inside_the_window() {
    let emulator = start();
    emulator.freeze();
    let token = seed(&emulator);
    emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::LostAnswer));
    assert!(refresh(&emulator, &token).try_send().is_err());
    let pair = emulator.current_grant(LOCATION).unwrap().unwrap();
    emulator.advance(20);
    let found = refresh(&emulator, &token).send().ok().json();
    assert_eq!(Some(text(&found, "refresh_token")), pair.refresh_token.as_deref());
    assert_eq!(text(&found, "access_token"), pair.access_token);
    assert_eq!(emulator.statistics().token_answers, [(0, 1), (200, 1)].into());
}

#[test]
fn an_odd_answer_is_the_real_one_rewritten() {
    let emulator = start();
    let token = seed(&emulator);
    let odd = FaultKind::OddAnswer {
        members: json!({ "userType": 7, "accessToken": null }).as_object().unwrap().clone(),
        omit: vec!["scope".into()],
        first: "\"expires_in\":{},".into(),
        before: "\u{feff}".into(),
    };
    emulator.add_fault(Fault::new(Endpoint::Token, odd.clone()).times(2));
    let body = String::from_utf8(refresh(&emulator, &token).send().ok().body.to_vec()).unwrap();
    assert!(!emulator.is_refresh_token_live(&token));
    let body = body.strip_prefix("\u{feff}{\"expires_in\":{},").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    let pair = emulator.current_grant(LOCATION).unwrap().unwrap();
    assert_eq!(text(&answer, "access_token"), pair.access_token);
    assert_eq!((&answer["userType"], answer.get("scope")), (&json!(7), None));
    assert!(answer["accessToken"].is_null() && answer["expires_in"].is_number());
    // A refusal stays as it is.
    refresh(&emulator, "never issued")
        .send()
        .refused(400, "Invalid grant: refresh token is invalid");
}

#[test]
fn a_cut_answer_breaks_off_after_the_rotation() {
    let emulator = start();
    let token = seed(&emulator);
    emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::CutBody));
    let form = format!(
        "client_id={}&client_secret={}&grant_type=refresh_token&refresh_token={token}",
        hoopauth_emulator::DEFAULT_CLIENT_ID,
        hoopauth_emulator::DEFAULT_CLIENT_SECRET
    );
    let mut stream = TcpStream::connect(emulator.api().strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /oauth/token HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    let announced: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(body.len(), announced / 2);
    assert_eq!(emulator.statistics().rotations, 1);
    emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::CutBody).processed(false));
    assert!(refresh(&emulator, &token).try_send().is_err());
}

#[test]
fn bodies_can_be_wrong_in_many_ways() {
    let emulator = start();
    let token = seed(&emulator);
    let strike = |kind| {
        emulator.add_fault(Fault::new(Endpoint::Token, kind));
        refresh(&emulator, &token).send()
    };
    for kind in [FaultKind::MalformedJson, FaultKind::Garbage] {
        let answer = strike(kind);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    }
    let large = strike(FaultKind::LargeBody { bytes: 3_000_001 });
    assert_eq!((large.body.len(), large.json()), (3_000_001, json!({})));
    let bomb = strike(FaultKind::GzipBomb { bytes: 32 << 20 });
    assert_eq!(bomb.header("content-encoding"), "gzip");
    assert!(bomb.body.len() < 256 * 1_024);
    let redirect = strike(FaultKind::Redirect { location: "http://127.0.0.1:1/elsewhere".into() });
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (307, "http://127.0.0.1:1/elsewhere")
    );
    emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::Close));
    assert!(refresh(&emulator, &token).try_send().is_err());
    assert!(emulator.is_refresh_token_live(&token));
}

#[test]
fn an_answer_can_drip_for_ever_and_does_not_keep_the_emulator() {
    let emulator = start();
    emulator.add_fault(Fault::new(Endpoint::Api, FaultKind::Drip { pause_ms: 1 }));
    let mut stream = TcpStream::connect(emulator.api().strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET /contacts/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(FOREVER)).unwrap();
    let mut came = Vec::new();
    while came.windows(6).filter(|bytes| bytes == b"1\r\n \r\n").count() < 3 {
        let mut some = [0; 512];
        let length = stream.read(&mut some).unwrap();
        assert!(length > 0);
        came.extend(&some[..length]);
    }
    assert!(came.starts_with(b"HTTP/1.1 200"));
    drop(emulator);
    let _ = stream.read_to_end(&mut came);
    assert!(!came.ends_with(b"0\r\n\r\n"));
}

#[test]
fn faults_keep_to_their_endpoint_and_to_their_turn() {
    let emulator = start();
    let token = emulator.issue_grant(LOCATION, &[]).unwrap().access_token;
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    let kind = FaultKind::Status { status: 429, headers, body: String::new() };
    emulator.add_fault(Fault::new(Endpoint::Api, kind).after(1));
    refresh(&emulator, &seed(&emulator)).send().ok();
    get(&emulator, "/contacts/", &token).send().ok();
    let struck = get(&emulator, "/contacts/", &token).send();
    assert_eq!((struck.status, struck.header("retry-after")), (429, "7"));
    get(&emulator, "/contacts/", &token).send().ok();
    assert_eq!(
        emulator.statistics().api_requests_by_account[LOCATION],
        [(200, 2), (429, 1)].into()
    );
    emulator.add_fault(Fault::status(Endpoint::Api, 500, ""));
    assert_eq!(emulator.pending_faults(), 1);
    emulator.clear_faults();
    get(&emulator, "/contacts/", &token).send().ok();
}

#[test]
fn held_requests_go_on_when_released() {
    let emulator = start();
    let tokens = [seed(&emulator), seed(&emulator)];
    emulator.hold(Endpoint::Token);
    thread::scope(|scope| {
        let threads =
            tokens.each_ref().map(|token| scope.spawn(|| refresh(&emulator, token).send().ok()));
        assert!(emulator.wait_until_held(Endpoint::Token, 2, FOREVER));
        assert_eq!(emulator.held(Endpoint::Token), 2);
        assert!(tokens.iter().all(|token| emulator.is_refresh_token_live(token)));
        assert_eq!(emulator.statistics().token_requests, 2);
        emulator.release(Endpoint::Token);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(emulator.held(Endpoint::Token), 0);
    assert!(!emulator.wait_until_held(Endpoint::Token, 1, Duration::ZERO));
    refresh(&emulator, &seed(&emulator)).send().ok();
}

#[test]
fn held_requests_go_on_one_by_one() {
    let emulator = start();
    let tokens = [seed(&emulator), seed(&emulator), seed(&emulator)];
    emulator.hold(Endpoint::Token);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for token in &tokens {
            let (sender, emulator) = (sender.clone(), &emulator);
            scope.spawn(move || sender.send(refresh(emulator, token).send().status).unwrap());
        }
        assert!(emulator.wait_until_held(Endpoint::Token, 3, FOREVER));
        for left in [2, 1] {
            emulator.release_some(Endpoint::Token, 1);
            assert_eq!(receiver.recv_timeout(FOREVER), Ok(200));
            assert_eq!(emulator.held(Endpoint::Token), left);
            assert_eq!(emulator.statistics().rotations, 3 - left as u64);
        }
        emulator.release_some(Endpoint::Token, 5);
        assert_eq!(receiver.recv_timeout(FOREVER), Ok(200));
        // What was left over is not saved up: the next one waits again.
        let waiting = scope.spawn(|| refresh(&emulator, &tokens[0]).send().status);
        assert!(emulator.wait_until_held(Endpoint::Token, 1, FOREVER));
        emulator.release(Endpoint::Token);
        assert_eq!(waiting.join().unwrap(), 200);
    });
}

#[test]
fn held_answers_took_effect_already() {
    let emulator = start();
    let token = seed(&emulator);
    emulator.hold_answers(Endpoint::Token);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| refresh(&emulator, &token).send().ok());
        assert!(emulator.wait_until_held(Endpoint::Token, 1, FOREVER));
        assert!(!emulator.is_refresh_token_live(&token));
        emulator.release_all();
        waiting.join().unwrap();
    });
}

#[test]
fn a_client_that_leaves_is_not_held_any_more_and_had_no_effect() {
    let emulator = start();
    emulator.hold(Endpoint::Api);
    let mut stream = TcpStream::connect(emulator.api().strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET /contacts/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(emulator.wait_until_held(Endpoint::Api, 1, FOREVER));
    drop(stream);
    // When the emulator sees the client leave is up to the system.
    while emulator.held(Endpoint::Api) > 0 {
        thread::yield_now();
    }
    emulator.release(Endpoint::Api);
    assert!(emulator.statistics().api_requests_by_account.is_empty());
}

#[test]
fn it_stops_with_requests_in_every_state() {
    let emulator = start();
    let token = seed(&emulator);
    emulator.add_fault(Fault::new(Endpoint::Token, FaultKind::Timeout));
    emulator.hold(Endpoint::Api);
    let _idle = TcpStream::connect(emulator.api().strip_prefix("http://").unwrap()).unwrap();
    let handle = emulator.handle();
    let (sender, receiver) = mpsc::channel();
    let clients = [refresh(&handle, &token), get(&handle, "/contacts/", "x")].map(|call| {
        let sender = sender.clone();
        thread::spawn(move || sender.send(call.try_send().is_err()).unwrap())
    });
    assert!(emulator.wait_until_held(Endpoint::Api, 1, FOREVER));
    while emulator.pending_faults() > 0 {
        thread::yield_now();
    }
    drop(emulator);
    assert_eq!(
        (receiver.recv_timeout(FOREVER), receiver.recv_timeout(FOREVER)),
        (Ok(true), Ok(true))
    );
    for client in clients {
        client.join().unwrap();
    }
    assert!(TcpStream::connect(handle.api().strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn it_starts_and_stops_inside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(start()) });
}
