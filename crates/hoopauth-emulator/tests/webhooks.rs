//! Webhooks: signatures that verify over the raw bytes, keys that are rotated, deliveries and their
//! retries, the install flow.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::*;
use hoopauth_emulator::{
    App, Config, ControlError, DEFAULT_CLIENT_ID, DEFAULT_COMPANY_ID, DEFAULT_LOCATION_IDS,
    DeliveryState, Emulator, HmacStyle, RetryPolicy, SignedWebhook, Webhook, WebhookKey,
    WebhookScheme,
};
use serde_json::{Value, json};

/// Longer than anything here takes; only a hanging test waits for it.
const FOREVER: Duration = Duration::from_secs(60);
const APP_ID: &str = "65f0a1b2c3d4e5f607182930";

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn ask(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Answer {
    Call::new(method, &format!("{}/{path}", emulator.control()))
        .without("user-agent")
        .json(body)
        .send()
}

fn post(emulator: &Emulator, path: &str, body: &Value) -> Value {
    ask(emulator, "POST", path, body).ok().json()
}

/// A program's webhook endpoint: answers with the given statuses, then with 200; 0 closes without
/// an answer.
struct Endpoint {
    url: String,
    came: mpsc::Receiver<Received>,
    stopped: Arc<AtomicBool>,
}

#[derive(Clone, Debug, PartialEq)]
struct Received {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Endpoint {
    fn start(statuses: &[u16]) -> Self {
        Self::start_together(statuses, 1)
    }

    /// Answers only when this many requests are there.
    fn start_together(statuses: &[u16], together: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hooks?from=hoop", listener.local_addr().unwrap());
        let (sender, came) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let barrier = Arc::new(Barrier::new(together));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (sender, statuses, barrier) =
                    (sender.clone(), statuses.clone(), barrier.clone());
                thread::spawn(move || answer(stream.unwrap(), &sender, &statuses, &barrier));
            }
        });
        Self { url, came, stopped }
    }

    fn next(&self) -> Received {
        self.came.recv_timeout(FOREVER).unwrap()
    }

    /// The next events, in whatever order they came.
    fn events(&self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.next().event()).collect()
    }

    fn is_quiet(&self) -> bool {
        self.came.try_recv().is_err()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        let address = self.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let _ = TcpStream::connect(address);
    }
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn answer(
    stream: TcpStream,
    sender: &mpsc::Sender<Received>,
    statuses: &Mutex<VecDeque<u16>>,
    barrier: &Barrier,
) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut received = Received { line: lines[0].clone(), headers, body: Vec::new() };
    received.body = vec![0; received.header("content-length").parse().unwrap()];
    reader.read_exact(&mut received.body).unwrap();
    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
    sender.send(received).unwrap();
    barrier.wait();
    if status > 0 {
        write!(reader.into_inner(), "HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\n\r\nok")
            .unwrap();
    }
}

/// The value of the signature header of this scheme, in any case.
fn signature(headers: &[(String, String)], scheme: WebhookScheme) -> Option<&str> {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme.header()));
    found.map(|(_, value)| value.as_str())
}

/// Returns `true` if the signature of the key's scheme is this key's, over exactly these bytes.
fn verifies(key: &WebhookKey, headers: &[(String, String)], body: &[u8]) -> bool {
    let public = |algorithm: &'static dyn VerificationAlgorithm, signature: &str| {
        let signature = STANDARD.decode(signature).unwrap();
        let public = ParsedPublicKey::new(algorithm, STANDARD.decode(&key.key).unwrap()).unwrap();
        public.verify_sig(body, &signature).is_ok()
    };
    let signature = signature(headers, key.scheme).unwrap();
    match key.scheme {
        WebhookScheme::Ed25519 => public(&ED25519, signature),
        WebhookScheme::RsaSha256 => public(&RSA_PKCS1_2048_8192_SHA256, signature),
        WebhookScheme::HmacSha256 => {
            let tag = match signature.strip_prefix("sha256=").unwrap_or(signature) {
                hex if hex.len() == 64 => (0..32)
                    .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                    .collect(),
                base64 => STANDARD.decode(base64).unwrap(),
            };
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.key.as_bytes()), body, &tag).is_ok()
        }
        _ => false,
    }
}

fn event(signed: &SignedWebhook) -> Value {
    serde_json::from_str(&signed.body).unwrap()
}

#[test]
fn every_scheme_signs_the_raw_bytes() {
    let emulator = start();
    let body = "{ \"type\":\"ContactCreate\",\n\t\"name\": \"Zo\u{eb}\" } ";
    let signed = emulator.sign_webhook(&Webhook::body(body).schemes(&WebhookScheme::ALL)).unwrap();
    assert_eq!(signed.body, body);
    let names: Vec<_> = signed.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["X-GHL-Signature", "X-WH-Signature", "x-wl-signature", "Content-Type"]);
    let keys = emulator.webhook_keys();
    assert_eq!(keys.iter().map(|key| key.scheme).collect::<Vec<_>>(), WebhookScheme::ALL);
    for key in &keys {
        assert!(key.current && key.label == "emulator-1");
        assert!(verifies(key, &signed.headers, body.as_bytes()), "{key:?}");
        assert!(!verifies(key, &signed.headers, body.trim_end().as_bytes()), "{key:?}");
    }
    let other = start().webhook_key(WebhookScheme::Ed25519);
    assert!(!verifies(&other, &signed.headers, body.as_bytes()), "each emulator has its own");
}

#[test]
fn hmac_is_written_in_three_ways() {
    let emulator = start();
    let key = emulator.webhook_key(WebhookScheme::HmacSha256);
    assert!(key.key.len() >= 16);
    for (style, length) in
        [(HmacStyle::Hex, 64), (HmacStyle::Base64, 44), (HmacStyle::PrefixedHex, 71)]
    {
        emulator.configure(|settings| settings.webhook_hmac = style);
        let signed = emulator
            .sign_webhook(&Webhook::body("x").schemes(&[WebhookScheme::HmacSha256]))
            .unwrap();
        assert_eq!(signature(&signed.headers, key.scheme).unwrap().len(), length);
        assert!(verifies(&key, &signed.headers, b"x"));
    }
}

#[test]
fn events_are_filled_in_as_the_platform_writes_them() {
    let emulator = start();
    emulator.freeze();
    emulator.set_now(1_700_000_000);
    let sign = |members: Value| event(&emulator.sign_webhook(&Webhook::event(members)).unwrap());
    let bare = sign(json!({ "locationId": "l" }));
    assert_eq!((&bare["type"], &bare["appId"]), (&json!("ContactCreate"), &json!(APP_ID)));
    assert_eq!(
        (&bare["timestamp"], &bare["locationId"]),
        (&json!("2023-11-14T22:13:20.000Z"), &json!("l"))
    );
    assert_eq!(text(&bare, "webhookId").len(), 36);
    assert_ne!(sign(json!({}))["webhookId"], bare["webhookId"]);
    let own = json!({ "type": "X", "webhookId": "w", "timestamp": "t", "appId": "a" });
    assert_eq!(sign(own.clone()), own);
    let nothing = json!({ "type": null, "webhookId": null, "timestamp": null, "appId": null });
    assert_eq!(sign(nothing), json!({}));
    emulator.add_app(App::new("other-1", "s")).unwrap();
    let other = emulator.sign_webhook(&Webhook::event(json!({})).client_id("other-1")).unwrap();
    assert_eq!(event(&other)["appId"], "other");
}

#[test]
fn an_install_says_all_the_platform_says() {
    let emulator = start();
    let sign = |members: Value| event(&emulator.sign_webhook(&Webhook::event(members)).unwrap());
    let location = sign(json!({ "type": "INSTALL", "locationId": DEFAULT_LOCATION_IDS[0] }));
    assert_eq!(
        (&location["installType"], &location["companyId"]),
        (&json!("Location"), &json!(DEFAULT_COMPANY_ID))
    );
    for member in
        ["appId", "versionId", "userId", "planId", "companyName", "timestamp", "webhookId"]
    {
        assert!(!text(&location, member).is_empty(), "{member}");
    }
    assert_eq!(location["trial"]["onTrial"], true);
    assert_eq!(
        (&location["isWhitelabelCompany"], &location["whitelabelDetails"]),
        (&json!(false), &json!({}))
    );
    let company =
        sign(json!({ "type": "INSTALL", "companyId": DEFAULT_COMPANY_ID, "userId": null }));
    assert_eq!(company["installType"], "Company");
    assert!(company.get("locationId").is_none() && company.get("userId").is_none());
    let stranger = sign(json!({ "type": "INSTALL", "locationId": "stranger" }));
    assert!(stranger.get("companyId").is_none() && stranger.get("companyName").is_none());
}

#[test]
fn a_rotated_key_is_still_known_and_can_still_sign() {
    let emulator = start();
    for scheme in WebhookScheme::ALL {
        let old = emulator.webhook_key(scheme);
        let new = emulator.rotate_webhook_key(scheme);
        assert!(new.current && new.label == "emulator-2" && new.key != old.key);
        let keys: Vec<_> =
            emulator.webhook_keys().into_iter().filter(|key| key.scheme == scheme).collect();
        assert_eq!((keys.len(), &keys[0]), (2, &new));
        assert_eq!((&keys[1].key, keys[1].current), (&old.key, false));
        let webhook = Webhook::body("x").schemes(&[scheme]);
        let signed = emulator.sign_webhook(&webhook).unwrap();
        assert!(verifies(&new, &signed.headers, b"x") && !verifies(&old, &signed.headers, b"x"));
        let signed = emulator.sign_webhook(&webhook.clone().key("emulator-1")).unwrap();
        assert!(verifies(&old, &signed.headers, b"x"));
        let unknown = emulator.sign_webhook(&webhook.key("emulator-3"));
        assert!(matches!(unknown, Err(ControlError::Unknown(_))));
    }
}

#[test]
fn keys_are_told_rotated_and_used_over_http() {
    let emulator = start();
    let keys = ask(&emulator, "GET", "webhooks/keys", &json!({})).ok().json();
    assert_eq!(keys, json!({ "keys": emulator.webhook_keys() }));
    let schemes: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "scheme")).collect();
    assert_eq!(schemes, ["ed25519", "rsa-sha256", "hmac-sha256"]);
    let new = post(&emulator, "webhooks/rotate", &json!({ "scheme": "ed25519" }));
    assert_eq!((&new["label"], &new["current"]), (&json!("emulator-2"), &json!(true)));
    let signed = post(&emulator, "webhooks/sign", &json!({ "event": { "type": "X" } }));
    let headers: Vec<(String, String)> = serde_json::from_value(signed["headers"].clone()).unwrap();
    for key in emulator.webhook_keys().into_iter().take(3).filter(|key| key.current) {
        assert!(verifies(&key, &headers, text(&signed, "body").as_bytes()));
    }
    let unsigned = post(&emulator, "webhooks/sign", &json!({ "body": "{}", "schemes": [] }));
    assert_eq!(
        unsigned,
        json!({ "headers": [["Content-Type", "application/json"]], "body": "{}" })
    );
    for (wrong, status) in [
        (json!({ "schemes": ["md5"] }), 400),
        (json!({ "event": { "type": "X" }, "body": "x" }), 400),
        (json!({ "key": "emulator-2" }), 404),
        (json!({ "client_id": "nobody" }), 404),
    ] {
        assert_eq!(ask(&emulator, "POST", "webhooks/sign", &wrong).status, status, "{wrong}");
    }
}

#[test]
fn a_webhook_is_delivered_byte_for_byte() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[201]));
    let body = "{\"type\": \"ContactCreate\",  \"webhookId\": \"w-1\"}";
    let webhook = Webhook::body(body).schemes(&WebhookScheme::ALL);
    let delivery = emulator.send_webhook(&endpoint.url, &webhook, 1, RetryPolicy::None).unwrap();
    assert_eq!((delivery.id, delivery.state, delivery.due), (1, DeliveryState::Delivered, None));
    assert_eq!(
        (delivery.event_type.as_deref(), delivery.webhook_id.as_deref()),
        (Some("ContactCreate"), Some("w-1"))
    );
    assert_eq!(delivery.attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(), [201]);
    let received = endpoint.next();
    assert_eq!(
        (received.line.as_str(), received.header("content-type")),
        ("POST /hooks?from=hoop HTTP/1.1", "application/json")
    );
    assert_eq!(received.body, body.as_bytes());
    assert!(emulator.webhook_keys().iter().all(|key| verifies(
        key,
        &received.headers,
        &received.body
    )));
    let counted = emulator.statistics();
    assert_eq!((counted.webhooks_sent, counted.webhook_answers), (1, [(201, 1)].into()));
    assert_eq!(counted.webhooks_sent_by_type, [("ContactCreate".to_owned(), 1)].into());
}

#[test]
fn duplicates_come_at_once() {
    let (emulator, endpoint) = (start(), Endpoint::start_together(&[500, 200, 500], 3));
    let delivery = emulator
        .send_webhook(&endpoint.url, &Webhook::event(json!({})), 3, RetryPolicy::Classic)
        .unwrap();
    assert_eq!((delivery.attempts.len(), delivery.state), (3, DeliveryState::Delivered));
    let first = endpoint.next();
    assert!(first.body == endpoint.next().body && first.body == endpoint.next().body);
}

#[test]
fn the_classic_policy_tries_six_times_more_after_429_with_the_same_payload() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[429; 7]));
    emulator.freeze();
    let webhook = Webhook::event(json!({ "type": "X" }));
    let delivery = emulator.send_webhook(&endpoint.url, &webhook, 1, RetryPolicy::Classic).unwrap();
    let id = delivery.id;
    let first = endpoint.next();
    let mut due = delivery.due.unwrap();
    assert_eq!(delivery.state, DeliveryState::Pending);
    // A later key does not change what is on its way.
    emulator.rotate_webhook_key(WebhookScheme::Ed25519);
    for attempts in 2..=7 {
        assert!((600..=661).contains(&(due - emulator.now())), "{due} {}", emulator.now());
        emulator.set_now(due - 1);
        let other = Endpoint::start(&[]);
        emulator.send_webhook(&other.url, &webhook, 1, RetryPolicy::None).unwrap();
        assert_eq!(
            emulator.webhook_delivery(id).unwrap().attempts.len(),
            attempts - 1,
            "not yet due"
        );
        emulator.set_now(due);
        assert!(
            emulator
                .wait_for_deliveries(1, FOREVER, |d| d.id == id && d.attempts.len() == attempts)
        );
        let again = endpoint.next();
        assert_eq!((&again.body, &again.headers), (&first.body, &first.headers));
        due = emulator.webhook_delivery(id).unwrap().due.unwrap_or_default();
    }
    let ended = emulator.webhook_delivery(id).unwrap();
    assert_eq!((ended.state, ended.due), (DeliveryState::Failed, None));
    let statuses: Vec<_> = ended.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [429; 7]);
    assert!(endpoint.is_quiet());
}

#[test]
fn under_the_classic_policy_every_answer_but_429_is_final() {
    for status in [503, 0, 302, 400, 404, 408, 425, 500, 502, 504] {
        let (emulator, endpoint) = (start(), Endpoint::start(&[429, status]));
        emulator.freeze();
        let webhook = Webhook::event(json!({}));
        let delivery =
            emulator.send_webhook(&endpoint.url, &webhook, 1, RetryPolicy::Classic).unwrap();
        assert_eq!(delivery.state, DeliveryState::Pending);
        emulator.set_now(delivery.due.unwrap());
        assert!(emulator.wait_for_deliveries(1, FOREVER, |delivery| delivery.attempts.len() == 2));
        let ended = emulator.webhook_delivery(delivery.id).unwrap();
        assert_eq!((ended.state, ended.due), (DeliveryState::Failed, None), "{status}");
        assert_eq!(
            (ended.attempts[1].status, ended.attempts[1].error.is_some()),
            (status, status == 0)
        );
    }
}

#[test]
fn under_the_exponential_policy_any_failure_comes_again() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[503, 0, 302, 404, 429, 200]));
    emulator.freeze();
    let webhook = Webhook::event(json!({}));
    emulator.send_webhook(&endpoint.url, &webhook, 1, RetryPolicy::Exponential).unwrap();
    for attempts in 2..=6 {
        emulator.advance(3_600);
        assert!(
            emulator
                .wait_for_deliveries(1, FOREVER, |delivery| delivery.attempts.len() == attempts)
        );
    }
    let ended = &emulator.webhook_deliveries()[0];
    let statuses: Vec<_> = ended.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(
        (statuses, ended.state),
        (vec![503, 0, 302, 404, 429, 200], DeliveryState::Delivered)
    );
}

#[test]
fn the_exponential_policy_waits_twice_as_long_each_time() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[500; 13]));
    emulator.freeze();
    let webhook = Webhook::event(json!({}));
    let mut delivery =
        emulator.send_webhook(&endpoint.url, &webhook, 2, RetryPolicy::Exponential).unwrap();
    let id = delivery.id;
    assert_eq!(delivery.attempts.len(), 2);
    let mut pause = 60;
    for attempts in 3..=13 {
        assert!((pause..=pause + 1).contains(&(delivery.due.unwrap() - emulator.now())));
        emulator.advance(pause + 1);
        assert!(
            emulator
                .wait_for_deliveries(1, FOREVER, |d| d.id == id && d.attempts.len() == attempts)
        );
        delivery = emulator.webhook_delivery(id).unwrap();
        pause *= 2;
    }
    // The endpoint is well again: the last retry arrives, almost three days late.
    emulator.advance(pause + 1);
    assert!(emulator.wait_for_deliveries(1, FOREVER, |d| d.state == DeliveryState::Delivered));
    let attempts = emulator.webhook_delivery(id).unwrap().attempts;
    assert_eq!((attempts.len(), attempts[13].status), (14, 200));
    assert!((2 * 86_400..3 * 86_400).contains(&(attempts[13].at - attempts[0].at)));
}

#[test]
fn time_alone_makes_a_retry_due() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[500]));
    let webhook = Webhook::event(json!({}));
    let due = emulator
        .send_webhook(&endpoint.url, &webhook, 1, RetryPolicy::Exponential)
        .unwrap()
        .due
        .unwrap();
    emulator.set_now(due - 1);
    assert!(
        emulator
            .wait_for_deliveries(1, FOREVER, |delivery| delivery.state == DeliveryState::Delivered)
    );
    assert!(emulator.now() >= due - 1);
}

#[test]
fn a_receiver_that_is_not_there_or_not_here_is_told() {
    let emulator = start();
    let webhook = Webhook::event(json!({}));
    let gone =
        emulator.send_webhook("http://127.0.0.1:1/", &webhook, 1, RetryPolicy::None).unwrap();
    assert_eq!((gone.state, gone.attempts[0].status), (DeliveryState::Failed, 0));
    assert!(gone.attempts[0].error.is_some());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    emulator.configure(|settings| settings.webhook_timeout_ms = 1);
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let slow = emulator.send_webhook(&url, &webhook, 1, RetryPolicy::None).unwrap();
    assert_eq!(slow.attempts[0].error.as_deref(), Some("no answer within 1 ms"));
    for url in ["http://app.example/", "https://127.0.0.1/"] {
        let refused = emulator.send_webhook(url, &webhook, 1, RetryPolicy::None);
        assert!(matches!(refused, Err(ControlError::Malformed(_))));
    }
    assert_eq!(emulator.statistics().webhook_answers, [(0, 2)].into());
}

#[test]
fn the_install_flow_tells_the_webhook() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[]));
    emulator.issue_grant(LOCATION, &[]).unwrap();
    emulator.configure(|settings| settings.webhook_url = Some(endpoint.url.clone()));
    emulator.issue_grant(LOCATION, &[]).unwrap();
    let code = emulator.authorize(LOCATION, &[]).unwrap();
    // Before the exchange.
    let received = endpoint.next();
    let event = received.event();
    assert_eq!(
        (&event["type"], &event["locationId"]),
        (&json!("INSTALL"), &json!(DEFAULT_LOCATION_IDS[0]))
    );
    assert_eq!(
        (&event["appId"], &event["companyId"]),
        (&json!(APP_ID), &json!(DEFAULT_COMPANY_ID))
    );
    for scheme in [WebhookScheme::Ed25519, WebhookScheme::RsaSha256] {
        assert!(verifies(&emulator.webhook_key(scheme), &received.headers, &received.body));
    }
    assert_eq!(signature(&received.headers, WebhookScheme::HmacSha256), None);
    exchange(&emulator, &code, &[]).send().ok();

    emulator.uninstall(LOCATION).unwrap();
    let event = endpoint.next().event();
    assert_eq!(
        (&event["type"], &event["locationId"]),
        (&json!("UNINSTALL"), &json!(DEFAULT_LOCATION_IDS[0]))
    );
    assert!(event.get("companyId").is_none() && event["appId"] == APP_ID);

    let redirect = format!(
        "{}?response_type=code&client_id={DEFAULT_CLIENT_ID}&redirect_uri={REDIRECT}&scope=a.b&approve={OTHER_LOCATION}",
        emulator.authorize_url()
    );
    assert_eq!(Call::new("GET", &redirect).send().status, 302);
    assert_eq!(endpoint.next().event()["locationId"], DEFAULT_LOCATION_IDS[1]);
    assert!(
        emulator
            .wait_for_deliveries(3, FOREVER, |delivery| delivery.state == DeliveryState::Delivered)
    );
    assert!(endpoint.is_quiet());
}

#[test]
fn a_company_s_install_is_one_of_each_of_its_locations_too() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[]));
    emulator.uninstall("location:hoopLocation00000003").unwrap();
    emulator.configure(|settings| settings.webhook_url = Some(endpoint.url.clone()));
    emulator.install(COMPANY, REDIRECT).unwrap();
    let events = endpoint.events(3);
    let company = events.iter().find(|event| event["installType"] == "Company").unwrap();
    assert!(company["companyId"] == DEFAULT_COMPANY_ID && company.get("locationId").is_none());
    for id in &DEFAULT_LOCATION_IDS[..2] {
        let event = events.iter().find(|event| event["locationId"] == *id).unwrap();
        assert_eq!(
            (&event["installType"], &event["companyId"]),
            (&json!("Location"), &json!(DEFAULT_COMPANY_ID))
        );
    }
    emulator.add_location(DEFAULT_COMPANY_ID, "future", "Future").unwrap();
    let future = endpoint.next().event();
    assert_eq!((&future["type"], &future["locationId"]), (&json!("INSTALL"), &json!("future")));
    assert!(future.get("companyId").is_none() && future.get("userId").is_none());
    emulator.uninstall(COMPANY).unwrap();
    let gone = endpoint.next().event();
    assert_eq!(
        (&gone["type"], &gone["companyId"]),
        (&json!("UNINSTALL"), &json!(DEFAULT_COMPANY_ID))
    );
    emulator.add_location(DEFAULT_COMPANY_ID, "later", "Later").unwrap();
    assert!(
        emulator
            .wait_for_deliveries(5, FOREVER, |delivery| delivery.state == DeliveryState::Delivered)
    );
    assert!(endpoint.is_quiet() && emulator.statistics().webhooks_sent == 5);
}

#[test]
fn deliveries_are_sent_and_waited_for_over_http() {
    let (emulator, endpoint) = (start(), Endpoint::start(&[429, 200]));
    post(&emulator, "clock", &json!({ "frozen": true }));
    let sent = post(
        &emulator,
        "webhooks/send",
        &json!({ "url": endpoint.url, "event": { "type": "X" }, "schemes": ["ed25519"],
            "retry": "classic" }),
    );
    assert_eq!(
        (&sent["id"], &sent["attempts"][0]["status"], &sent["state"]),
        (&json!(1), &json!(429), &json!("pending"))
    );
    assert_eq!(sent["webhook_id"], endpoint.next().event()["webhookId"]);
    let list = |query: &str| {
        ask(&emulator, "GET", &format!("webhooks/deliveries{query}"), &json!({})).ok().json()
    };
    assert_eq!(list(""), json!({ "deliveries": [sent], "reached": true }));
    assert_eq!(list("?state=delivered&at_least=1"), json!({ "deliveries": [], "reached": false }));
    let due = sent["due"].as_i64().unwrap();
    post(&emulator, "clock", &json!({ "now": due }));
    let done = list("?id=1&type=X&state=delivered&attempts=2&at_least=1&timeout=60");
    assert_eq!(
        (&done["reached"], &done["deliveries"][0]["attempts"][1]["status"]),
        (&json!(true), &json!(200))
    );

    // Without waiting: the answer comes although the receiver's does not.
    let together = Endpoint::start_together(&[], 2);
    let unsent = json!({ "url": together.url, "event": {}, "wait": false });
    assert_eq!(post(&emulator, "webhooks/send", &unsent)["attempts"], json!([]));
    let twice = json!({ "url": together.url, "event": {} });
    assert_eq!(post(&emulator, "webhooks/send", &twice)["attempts"].as_array().unwrap().len(), 1);

    for wrong in [
        json!({ "event": {} }),
        json!({ "url": "http://app.example/", "event": {} }),
        json!({ "url": endpoint.url, "times": 0 }),
        json!({ "url": endpoint.url, "retry": "often" }),
        json!({ "url": endpoint.url, "schemas": [] }),
    ] {
        assert_eq!(ask(&emulator, "POST", "webhooks/send", &wrong).status, 400, "{wrong}");
    }
    assert_eq!(
        ask(&emulator, "POST", "settings", &json!({ "webhook_url": "http://app.example/" })).status,
        400
    );
    assert_eq!(
        post(&emulator, "settings", &json!({ "webhook_url": endpoint.url }))["webhook_url"],
        endpoint.url
    );
    post(&emulator, "reset", &json!({}));
    assert_eq!(list(""), json!({ "deliveries": [], "reached": true }));
}
