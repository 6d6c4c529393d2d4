//! Webhooks: signatures that verify over the raw bytes, and keys that are rotated.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::*;
use hoopauth_emulator::{
    App, Config, ControlError, DEFAULT_COMPANY_ID, DEFAULT_LOCATION_IDS, Emulator, HmacStyle, SignedWebhook,
    Webhook, WebhookKey, WebhookScheme,
};
use serde_json::{Value, json};

const APP_ID: &str = "65f0a1b2c3d4e5f607182930";

fn start() -> Emulator {
    Emulator::start(Config::default()).unwrap()
}

fn ask(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Answer {
    Call::new(method, &format!("{}/{path}", emulator.control())).without("user-agent").json(body).send()
}

fn post(emulator: &Emulator, path: &str, body: &Value) -> Value {
    ask(emulator, "POST", path, body).ok().json()
}

/// The value of the signature header of this scheme, in any case.
fn signature(headers: &[(String, String)], scheme: WebhookScheme) -> Option<&str> {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme.header()));
    found.map(|(_, value)| value.as_str())
}

/// Whether the signature of the key's scheme is this key's, over these very bytes.
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
                hex if hex.len() == 64 => {
                    (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
                }
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
    let other = start().webhook_key(WebhookScheme::Ed25519).unwrap();
    assert!(!verifies(&other, &signed.headers, body.as_bytes()), "each emulator has its own");
}

#[test]
fn hmac_is_written_in_three_ways() {
    let emulator = start();
    let key = emulator.webhook_key(WebhookScheme::HmacSha256).unwrap();
    assert!(key.key.len() >= 16);
    for (style, length) in [(HmacStyle::Hex, 64), (HmacStyle::Base64, 44), (HmacStyle::PrefixedHex, 71)] {
        emulator.configure(|settings| settings.webhook_hmac = style);
        let signed =
            emulator.sign_webhook(&Webhook::body("x").schemes(&[WebhookScheme::HmacSha256])).unwrap();
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
    assert_eq!((&bare["timestamp"], &bare["locationId"]), (&json!("2023-11-14T22:13:20.000Z"), &json!("l")));
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
    for member in ["appId", "versionId", "userId", "planId", "companyName", "timestamp", "webhookId"] {
        assert!(!text(&location, member).is_empty(), "{member}");
    }
    assert_eq!(location["trial"]["onTrial"], true);
    assert_eq!(
        (&location["isWhitelabelCompany"], &location["whitelabelDetails"]),
        (&json!(false), &json!({}))
    );
    let company = sign(json!({ "type": "INSTALL", "companyId": DEFAULT_COMPANY_ID, "userId": null }));
    assert_eq!(company["installType"], "Company");
    assert!(company.get("locationId").is_none() && company.get("userId").is_none());
    let stranger = sign(json!({ "type": "INSTALL", "locationId": "stranger" }));
    assert!(stranger.get("companyId").is_none() && stranger.get("companyName").is_none());
}

#[test]
fn a_rotated_key_is_still_known_and_can_still_sign() {
    let emulator = start();
    for scheme in WebhookScheme::ALL {
        let old = emulator.webhook_key(scheme).unwrap();
        let new = emulator.rotate_webhook_key(scheme);
        assert!(new.current && new.label == "emulator-2" && new.key != old.key);
        let keys: Vec<_> = emulator.webhook_keys().into_iter().filter(|key| key.scheme == scheme).collect();
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
    let schemes: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| text(key, "scheme")).collect();
    assert_eq!(schemes, ["ed25519", "rsa-sha256", "hmac-sha256"]);
    let new = post(&emulator, "webhooks/rotate", &json!({ "scheme": "ed25519" }));
    assert_eq!((&new["label"], &new["current"]), (&json!("emulator-2"), &json!(true)));
    let signed = post(&emulator, "webhooks/sign", &json!({ "event": { "type": "X" } }));
    let headers: Vec<(String, String)> = serde_json::from_value(signed["headers"].clone()).unwrap();
    for key in emulator.webhook_keys().into_iter().take(3).filter(|key| key.current) {
        assert!(verifies(&key, &headers, text(&signed, "body").as_bytes()));
    }
    let unsigned = post(&emulator, "webhooks/sign", &json!({ "body": "{}", "schemes": [] }));
    assert_eq!(unsigned, json!({ "headers": [["Content-Type", "application/json"]], "body": "{}" }));
    for (wrong, status) in [
        (json!({ "schemes": ["md5"] }), 400),
        (json!({ "event": { "type": "X" }, "body": "x" }), 400),
        (json!({ "key": "emulator-2" }), 404),
        (json!({ "client_id": "nobody" }), 404),
    ] {
        assert_eq!(ask(&emulator, "POST", "webhooks/sign", &wrong).status, status, "{wrong}");
    }
}
