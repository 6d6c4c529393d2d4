//! Webhooks, signed and sent by the emulator: what is let through, and what each refusal is called.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::receiver::serve;
use common::{World, location};
use hoopauth::store::{Fingerprint, Key, Listed, NewRow, Row, RowStore};
use hoopauth::webhook::{
    SignatureScheme, WEBHOOK_OPTIONS, WebhookDelivery, WebhookKey, WebhookVerifier,
    WebhookVerifierBuilder,
};
use hoopauth::{Account, Clock, Error, ErrorCode, Result, Timestamp};
use hoopauth_emulator::{
    App, DEFAULT_COMPANY_ID, DeliveryState, HmacStyle, RetryPolicy, SignedWebhook, Webhook,
    WebhookScheme,
};
use serde_json::{Value, json};

use ErrorCode::{
    Config, InvalidState, LeaseTimeout, SignatureInvalid, SignatureMissing, WebhookForeign,
    WebhookMalformed, WebhookReplayed, WebhookStale,
};

fn scheme(scheme: WebhookScheme) -> SignatureScheme {
    SignatureScheme::from_name(scheme.as_str()).unwrap()
}

/// Adds the emulator's keys of these schemes.
fn with_keys(
    world: &World,
    mut builder: WebhookVerifierBuilder,
    schemes: &[WebhookScheme],
) -> WebhookVerifierBuilder {
    for key in world.emulator.webhook_keys() {
        if schemes.contains(&key.scheme) {
            builder =
                builder.key(WebhookKey::new(scheme(key.scheme), &key.label, &key.key).unwrap());
        }
    }
    builder
}

/// Verifier of an app whose platform is the emulator, in its newest and its shared-secret scheme.
fn builder(world: &World) -> WebhookVerifierBuilder {
    let schemes = [WebhookScheme::Ed25519, WebhookScheme::HmacSha256];
    with_keys(world, world.client().webhook_verifier(), &schemes)
}

fn signed(world: &World, webhook: &Webhook) -> SignedWebhook {
    world.emulator.sign_webhook(webhook).unwrap()
}

fn event(world: &World, members: Value) -> SignedWebhook {
    signed(world, &Webhook::event(members))
}

/// A body as it is, signed with the newest Ed25519 key.
fn body(world: &World, text: &str) -> SignedWebhook {
    signed(world, &Webhook::body(text).schemes(&[WebhookScheme::Ed25519]))
}

fn headers(webhook: &SignedWebhook) -> Vec<(&str, &[u8])> {
    webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn verify(verifier: &WebhookVerifier, webhook: &SignedWebhook) -> Result<WebhookDelivery> {
    verifier.verify(headers(webhook), webhook.body.as_bytes())
}

fn refuse<T>(result: Result<T>, code: ErrorCode, words: &str) -> Error {
    let error =
        result.err().unwrap_or_else(|| panic!("it is let through, not refused for {words}"));
    assert_eq!(error.code(), code, "{error}");
    assert!(error.message().contains(words), "{error}");
    error
}

#[test]
fn a_genuine_event_is_let_through_and_told_whole() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    let webhook = event(
        &world,
        json!({ "type": "ContactCreate", "locationId": location(0).id(), "companyId": "c",
            "name": "Zoë" }),
    );
    let delivery = verify(&verifier, &webhook).unwrap();
    let event = delivery.event();
    assert_eq!(delivery.key(), "emulator-1");
    assert_eq!((event.event_type(), event.account()), ("ContactCreate", Some(&location(0))));
    assert_eq!(event.app_id(), Some("65f0a1b2c3d4e5f607182930"));
    assert_eq!(event.body(), webhook.body.as_bytes());
    assert_eq!(
        (&event.json()["name"], &event.json()["webhookId"]),
        (&json!("Zoë"), &json!(event.webhook_id()))
    );
    assert!(event.timestamp().unwrap().since(world.clock.now()) < Duration::from_secs(1));

    // The bytes are what is signed: the same JSON written again is not.
    let mut again = webhook.clone();
    again.body = webhook.body.replace("\":", "\": ");
    refuse(verify(&verifier, &again), SignatureInvalid, "exactly as it came");
}

#[test]
fn a_map_of_headers_does_as_well() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    let webhook = event(&world, json!({}));
    let mut map = http::HeaderMap::new();
    for (name, value) in &webhook.headers {
        map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    assert_eq!(verifier.verify_http(&map, webhook.body.as_bytes()).unwrap().key(), "emulator-1");
    map.append("x-ghl-signature", "N/A".parse().unwrap());
    refuse(
        verifier.verify_http(&map, webhook.body.as_bytes()),
        SignatureInvalid,
        "different values",
    );
}

#[test]
fn header_names_come_in_any_case_and_values_with_space_around() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    let webhook = signed(&world, &Webhook::event(json!({})).schemes(&[WebhookScheme::Ed25519]));
    let signature = &webhook.headers[0].1;
    let check = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        verifier.verify_signature(headers, webhook.body.as_bytes()).map(WebhookKey::label)
    };
    let comma = format!("{signature}, {signature}");
    let padded = format!(" \t{signature} ");
    for good in [
        &[("x-ghl-signature", &**signature)][..],
        &[("X-GHL-SIGNATURE", signature), ("Host", "x")],
        &[("X-Ghl-Signature", &padded)],
        // Said twice is said once.
        &[("X-GHL-Signature", signature), ("x-ghl-signature", &padded)],
        &[("X-GHL-Signature", &comma)],
    ] {
        assert_eq!(check(good).unwrap(), "emulator-1", "{good:?}");
    }
    let other = event(&world, json!({}));
    let other = &other.headers[0].1;
    for values in
        [[&**signature, &**other], [other, signature], [signature, ""], ["N/A", signature]]
    {
        let headers = values.map(|value| ("X-GHL-Signature", value));
        refuse(check(&headers), SignatureInvalid, "several times with different values");
        let joined = values.join(",");
        refuse(check(&[("X-GHL-Signature", &joined)]), SignatureInvalid, "several times");
    }
}

#[test]
fn what_is_not_signed_says_why_each_in_its_words() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    let check = |headers: &[(&str, &str)]| {
        verifier
            .verify_signature(headers.iter().map(|(name, value)| (*name, value.as_bytes())), b"{}")
    };
    let error = refuse(check(&[]), SignatureMissing, "carries no signature");
    assert!(
        error.message().contains("`X-GHL-Signature` or `x-wl-signature`") && !error.is_retryable()
    );
    refuse(
        check(&[("Authorization", "x"), ("X-GHL-Signatures", "x")]),
        SignatureMissing,
        "carries no signature",
    );
    refuse(check(&[("X-GHL-Signature", "")]), SignatureMissing, "`X-GHL-Signature` is empty");
    refuse(check(&[("x-wl-signature", " \t ")]), SignatureMissing, "`x-wl-signature` is empty");
    refuse(check(&[("X-GHL-Signature", "N/A")]), SignatureMissing, "`N/A`");
    refuse(check(&[("X-WH-Signature", "n/a")]), SignatureMissing, "`X-WH-Signature` is `N/A`");
    refuse(check(&[("X-GHL-Signature", "N/A"), ("X-WH-Signature", "")]), SignatureMissing, "N/A");
}

#[test]
fn a_malformed_signature_is_told_from_a_wrong_one() {
    let world = World::new();
    let schemes = WebhookScheme::ALL;
    let verifier = with_keys(&world, world.client().webhook_verifier(), &schemes).build().unwrap();
    let webhook = signed(&world, &Webhook::event(json!({})).schemes(&schemes));
    let good: Vec<_> = webhook.headers[..3].to_vec();
    let check = |name: &str, value: &str| {
        verifier
            .verify_signature([(name, value.as_bytes())], webhook.body.as_bytes())
            .map(|key| (key.scheme(), key.label().to_owned()))
    };
    for (scheme, (name, value)) in SignatureScheme::ALL.into_iter().zip(&good) {
        assert_eq!(check(name, value).unwrap(), (scheme, "emulator-1".to_owned()));
        let flipped = |at: usize| {
            let mut text = value.clone().into_bytes();
            text[at] = if text[at] == b'0' { b'1' } else { b'0' };
            String::from_utf8(text).unwrap()
        };
        for at in [0, value.len() / 2] {
            refuse(check(name, &flipped(at)), SignatureInvalid, "was not made with");
        }
        for bad in ["x", "é", "====", &value[1..], &value.repeat(20), &format!("{value} {value}")]
        {
            refuse(check(name, bad), SignatureInvalid, "malformed");
        }
    }
    let (ed25519, rsa) = (&good[0].1, &good[1].1);
    for bad in [
        ed25519.trim_end_matches('=').to_owned(),
        ed25519.replace(['+', '/'], "-") + "=",
        // The last digit says more than there is: two texts must not be one signature.
        format!("{}B==", &ed25519[..85]),
        rsa.clone(),
    ] {
        refuse(check("X-GHL-Signature", &bad), SignatureInvalid, "64 bytes as base64");
    }
    // A shorter one is base64, and wrong.
    refuse(check("X-WH-Signature", ed25519), SignatureInvalid, "was not made with");
    let hex = &good[2].1;
    for bad in [
        format!("sha1={hex}"),
        format!("SHA256={hex}"),
        format!("sha256= {hex}"),
        format!("sha256=sha256={hex}"),
        hex[..40].to_owned(),
        hex.replacen(|_: char| true, "g", 1),
        "=".repeat(44),
        ed25519.clone(),
    ] {
        refuse(
            check("x-wl-signature", &bad),
            SignatureInvalid,
            "64 hexadecimal digits or 44 characters",
        );
    }
}

#[test]
fn a_shared_secret_signs_in_each_of_its_shapes() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    for style in [HmacStyle::Hex, HmacStyle::Base64, HmacStyle::PrefixedHex] {
        world.emulator.configure(|settings| settings.webhook_hmac = style);
        let webhook =
            signed(&world, &Webhook::event(json!({})).schemes(&[WebhookScheme::HmacSha256]));
        let (name, value) = &webhook.headers[0];
        let upper = value.replace("sha256=", "").to_uppercase();
        let mut shapes = vec![(&**name, value.clone()), ("X-Hook-Signature", format!(" {value}"))];
        match style {
            HmacStyle::Base64 => shapes.push(("X-WL-Signature", format!("sha256={value}"))),
            _ => shapes.push(("x-hook-signature", upper)),
        }
        for (name, value) in &shapes {
            let key = verifier
                .verify_signature([(*name, value.as_bytes())], webhook.body.as_bytes())
                .unwrap();
            assert_eq!(key.scheme(), SignatureScheme::HmacSha256);
        }
        // Both names at once are two signatures, and both count.
        let wrong = "0".repeat(64);
        let both = [("x-wl-signature", value.as_bytes()), ("X-Hook-Signature", wrong.as_bytes())];
        refuse(
            verifier.verify_signature(both, webhook.body.as_bytes()),
            SignatureInvalid,
            "`X-Hook-Signature`",
        );
    }
}

#[test]
fn no_scheme_outvotes_another() {
    let world = World::new();
    let (both, all) = ([WebhookScheme::Ed25519, WebhookScheme::RsaSha256], WebhookScheme::ALL);
    let with =
        |schemes: &[WebhookScheme]| with_keys(&world, world.client().webhook_verifier(), schemes);
    let webhook = signed(&world, &Webhook::event(json!({})).schemes(&all));
    let broken = |name: &str, value: &str| {
        let mut webhook = webhook.clone();
        let header = webhook.headers.iter_mut().find(|(known, _)| known == name).unwrap();
        value.clone_into(&mut header.1);
        webhook
    };
    let newest = with(&both[..1]).build().unwrap();
    // The others' headers are there, and there is no key for them: well or ill formed, they say
    // nothing.
    for value in [&webhook.headers[1].1, "garbage", "N/A", ""] {
        assert!(
            newest
                .verify_signature(
                    headers(&broken("X-WH-Signature", value)),
                    webhook.body.as_bytes()
                )
                .is_ok()
        );
    }
    // With a key they must be good, however good the other is.
    let strict = with(&both).build().unwrap();
    assert_eq!(verify(&strict, &webhook).unwrap().key(), "emulator-1");
    let foreign = event(&world, json!({}));
    refuse(
        verify(&strict, &broken("X-WH-Signature", &foreign.headers[1].1)),
        SignatureInvalid,
        "`X-WH-Signature`",
    );
    refuse(
        verify(&strict, &broken("X-GHL-Signature", &foreign.headers[0].1)),
        SignatureInvalid,
        "`X-GHL-Signature`",
    );
    refuse(verify(&strict, &broken("X-WH-Signature", "garbage")), SignatureInvalid, "malformed");
    // What is not signed in one scheme may be in another.
    assert!(
        strict
            .verify_signature(headers(&broken("X-WH-Signature", "N/A")), webhook.body.as_bytes())
            .is_ok()
    );

    // Alone, a scheme without a key is told by what would cure it.
    let alone = |scheme| signed(&world, &Webhook::event(json!({})).schemes(&[scheme]));
    for (scheme, cure) in [
        (WebhookScheme::RsaSha256, "`platform_rsa_key`"),
        (WebhookScheme::HmacSha256, "the webhook's secret"),
    ] {
        refuse(verify(&newest, &alone(scheme)), SignatureInvalid, cure);
    }
    let secret = with(&[WebhookScheme::HmacSha256]).platform_key(false).build().unwrap();
    refuse(verify(&secret, &alone(WebhookScheme::Ed25519)), SignatureInvalid, "`platform_key`");
}

#[test]
fn the_platforms_keys_are_built_in() {
    let world = World::new();
    let webhook = signed(&world, &Webhook::event(json!({})));
    let (ed25519, rsa) = (webhook.headers[0].clone(), webhook.headers[1].clone());
    let check = |verifier: &WebhookVerifier, (name, value): &(String, String)| {
        verifier
            .verify_signature([(&**name, value.as_bytes())], webhook.body.as_bytes())
            .unwrap_err()
            .message()
            .to_owned()
    };
    let verifier = world.client().webhook_verifier().build().unwrap();
    assert!(check(&verifier, &ed25519).contains("with `platform` over"));
    assert!(check(&verifier, &rsa).contains("there is no key of `rsa-sha256`"));
    let verifier = world.client().webhook_verifier().platform_rsa_key(true).build().unwrap();
    assert!(check(&verifier, &rsa).contains("with `platform-rsa` over"));
    let without = world.client().webhook_verifier().platform_key(false).build();
    refuse(without, Config, "needs a key");
}

#[test]
fn keys_overlap_while_one_is_rotated_and_count_within_their_dates() {
    let world = World::new();
    let old = world.emulator.webhook_key(WebhookScheme::Ed25519);
    let new = world.emulator.rotate_webhook_key(WebhookScheme::Ed25519);
    let now = world.clock.now();
    let key = |key: &hoopauth_emulator::WebhookKey| {
        WebhookKey::new(SignatureScheme::Ed25519, &key.label, &key.key).unwrap()
    };
    let second = Duration::from_secs(1);
    let client = world.client();
    let verifier = client
        .webhook_verifier()
        .platform_key(false)
        .key(key(&old).not_after(now.plus(second * 100)))
        .key(key(&new).not_before(now.plus(second * 50)))
        .build()
        .unwrap();
    let sign = |label: &str| {
        let schemes = [WebhookScheme::Ed25519];
        signed(&world, &Webhook::event(json!({})).key(label).schemes(&schemes))
    };
    let label =
        |name: &str| verify(&verifier, &sign(name)).map(|delivery| delivery.key().to_owned());
    assert_eq!(label(&old.label).unwrap(), old.label);
    let error = refuse(label(&new.label), SignatureInvalid, "`emulator-2` has not begun");
    assert!(error.message().contains("with `emulator-1` over"), "{error}");
    world.pass(50);
    assert_eq!(
        (label(&old.label).unwrap(), label(&new.label).unwrap()),
        (old.label.clone(), new.label.clone())
    );
    world.pass(51);
    refuse(label(&old.label), SignatureInvalid, "`emulator-1` has ended");
    assert_eq!(label(&new.label).unwrap(), new.label);

    // One that does not count is as none: alone it verifies nothing, beside another it spoils
    // nothing.
    let past = key(&old).not_after(now);
    let verifier = client.webhook_verifier().platform_key(false).key(past.clone()).build().unwrap();
    refuse(
        verify(&verifier, &sign(&old.label)),
        SignatureInvalid,
        "no key of `ed25519` is valid now (`emulator-1` has ended)",
    );
    let verifier = builder(&world).platform_key(false).key(past).build();
    assert!(verifier.is_ok());
    let wrong = key(&old).not_before(now.plus(second)).not_after(now);
    refuse(client.webhook_verifier().key(wrong).build(), Config, "ends before it begins");
}

#[test]
fn only_events_of_this_app_count() {
    let world = World::new();
    let other = "0000000000000000000000aa-other";
    world.emulator.add_app(App::new(other, "another-apps-secret-0123456789")).unwrap();
    let client = world.client();
    let newest = [WebhookScheme::Ed25519];
    let with = || with_keys(&world, client.webhook_verifier(), &newest);
    let (strict, any) = (with().build().unwrap(), with().any_app(true).build().unwrap());
    let own = event(&world, json!({}));
    let nobodys = event(&world, json!({ "appId": null }));
    let others = signed(&world, &Webhook::event(json!({})).client_id(other));
    assert!(verify(&strict, &own).is_ok() && verify(&any, &own).is_ok());
    for (webhook, words) in
        [(&nobodys, "names no `appId`"), (&others, "its `appId` is not the verifier's `app_id`")]
    {
        let error = refuse(verify(&strict, webhook), WebhookForeign, words);
        assert!(
            error.message().contains("answer 200") && error.message().contains("`any_app`"),
            "{error}"
        );
        assert!(!error.is_retryable());
        assert!(verify(&any, webhook).is_ok());
    }
    // What changes grants is never another app's.
    for kind in ["INSTALL", "UNINSTALL"] {
        for verifier in [&strict, &any] {
            let webhook = event(&world, json!({ "type": kind, "locationId": "l", "appId": null }));
            refuse(verify(verifier, &webhook), WebhookForeign, "must name its app");
            let webhook = signed(
                &world,
                &Webhook::event(json!({ "type": kind, "locationId": "l" })).client_id(other),
            );
            refuse(verify(verifier, &webhook), WebhookForeign, "is not the verifier's `app_id`");
            let webhook = event(&world, json!({ "type": kind, "locationId": "l" }));
            assert!(verify(verifier, &webhook).is_ok());
        }
    }
    let theirs = with().app_id("0000000000000000000000aa").build().unwrap();
    assert!(verify(&theirs, &others).is_ok() && verify(&theirs, &own).is_err());
}

#[test]
fn a_secret_of_the_apps_own_names_the_app() {
    let world = World::new();
    let other = "0000000000000000000000aa-other";
    world.emulator.add_app(App::new(other, "another-apps-secret-0123456789")).unwrap();
    let secret = [WebhookScheme::HmacSha256];
    let sign = |members: Value| signed(&world, &Webhook::event(members).schemes(&secret));
    let verifier = builder(&world).build().unwrap();
    assert!(verify(&verifier, &sign(json!({ "appId": null }))).is_ok());
    assert!(verify(&verifier, &sign(json!({ "type": "INSTALL", "locationId": "l" }))).is_ok());
    refuse(
        verify(&verifier, &sign(json!({ "type": "INSTALL", "appId": null }))),
        WebhookForeign,
        "must name its app",
    );
    refuse(verify(&verifier, &sign(json!({ "appId": "x" }))), WebhookForeign, "`app_id`");
    // Without a client nobody knows the app: enough for a secret, too little for the platform's
    // keys and for grants.
    let alone = with_keys(&world, WebhookVerifier::builder().clock(world.clock.clone()), &secret);
    refuse(with_keys(&world, WebhookVerifier::builder(), &secret).build(), Config, "`app_id`");
    let alone = alone.platform_key(false).build().unwrap();
    assert!(
        verify(&alone, &sign(json!({}))).is_ok()
            && verify(&alone, &sign(json!({ "appId": null }))).is_ok()
    );
    refuse(
        verify(&alone, &sign(json!({ "type": "UNINSTALL", "locationId": "l" }))),
        WebhookForeign,
        "set `app_id`",
    );
}

#[test]
fn without_a_client_the_app_must_be_said() {
    let world = World::new();
    let newest = [WebhookScheme::Ed25519];
    let with = || with_keys(&world, WebhookVerifier::builder().clock(world.clock.clone()), &newest);
    refuse(with().build(), Config, "`any_app`");
    refuse(with().app_id("x").replay("store").build(), Config, "`replay`");
    let own = event(&world, json!({}));
    for builder in [with().any_app(true), with().app_id("65f0a1b2c3d4e5f607182930")] {
        let verifier = builder.build().unwrap();
        verify(&verifier, &own).unwrap().confirm().unwrap();
        refuse(verify(&verifier, &own), WebhookReplayed, "handled before");
    }
    // A client of a static token has no store for it either.
    let client =
        hoopauth::Client::builder().access_token("t").clock(world.clock.clone()).build().unwrap();
    refuse(client.webhook_verifier().build(), Config, "`app_id`");
    let verifier =
        with_keys(&world, client.webhook_verifier(), &newest).any_app(true).build().unwrap();
    verify(&verifier, &own).unwrap().confirm().unwrap();
    refuse(verify(&verifier, &own), WebhookReplayed, "handled before");
    refuse(client.webhook_verifier().any_app(true).replay("store").build(), Config, "`replay`");
}

#[test]
fn nothing_is_parsed_before_the_signature_is_right() {
    let world = World::new();
    let verifier = builder(&world).max_body(1_000).build().unwrap();
    let deep = format!("{{\"type\":{}", "[".repeat(900));
    for bad in ["not JSON", "[]", "{\"type\":\"X\",}", &deep] {
        refuse(
            verify(&verifier, &body(&world, bad)),
            WebhookMalformed,
            "can't be read as an event",
        );
        refuse(verifier.verify([], bad.as_bytes()), SignatureMissing, "no signature");
    }
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(1_000));
    refuse(verify(&verifier, &body(&world, &long)), WebhookMalformed, "`max_body`");
    let id = json!({ "type": "UNINSTALL", "locationId": "a b" });
    refuse(verify(&verifier, &event(&world, id)), WebhookMalformed, "`locationId`");
}

#[test]
fn unknown_types_pass_and_a_body_without_an_id_is_its_own() {
    let world = World::new();
    let verifier = builder(&world).build().unwrap();
    let webhook = event(&world, json!({ "type": "SomethingOfTomorrow", "webhookId": null }));
    let delivery = verify(&verifier, &webhook).unwrap();
    assert_eq!(delivery.event().event_type(), "SomethingOfTomorrow");
    assert!(delivery.event().webhook_id().starts_with("sha256:"));
    delivery.confirm().unwrap();
    refuse(verify(&verifier, &webhook), WebhookReplayed, "answer 200");
    let other = event(&world, json!({ "type": "SomethingOfTomorrow", "webhookId": null, "n": 2 }));
    assert!(verify(&verifier, &other).is_ok());
}

/// A verifier that remembers in the client's store, and one that does in its own memory.
fn of_each_kind(world: &World) -> [WebhookVerifier; 2] {
    [builder(world).build().unwrap(), builder(world).replay("memory").build().unwrap()]
}

#[test]
fn a_delivery_is_claimed_then_confirmed_or_released() {
    let world = World::new();
    for verifier in of_each_kind(&world) {
        let webhook = event(&world, json!({}));
        let delivery = verify(&verifier, &webhook).unwrap();
        let error = refuse(verify(&verifier, &webhook), LeaseTimeout, "answer 429");
        assert!(error.is_retryable() && error.retry_after() == Some(Duration::from_secs(60)));
        delivery.confirm().unwrap();
        delivery.confirm().unwrap();
        refuse(delivery.release(), InvalidState, "confirmed");
        drop(delivery);
        let error = refuse(verify(&verifier, &webhook), WebhookReplayed, "answer 200");
        assert!(!error.is_retryable());
        // For as long as it could come again, and longer than a claim.
        world.pass(259_000);
        refuse(verify(&verifier, &webhook), WebhookReplayed, "answer 200");

        let webhook = event(&world, json!({}));
        let delivery = verify(&verifier, &webhook).unwrap();
        delivery.release().unwrap();
        delivery.release().unwrap();
        refuse(delivery.confirm(), InvalidState, "released");
        let again = verify(&verifier, &webhook).unwrap();
        drop(delivery);
        refuse(verify(&verifier, &webhook), LeaseTimeout, "429");
        // Dropped is released.
        drop(again);
        verify(&verifier, &webhook).unwrap().confirm().unwrap();
        refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
    }
}

#[test]
fn a_claim_ends_by_itself_and_then_is_nobodys_to_give_back() {
    let world = World::new();
    for verifier in of_each_kind(&world) {
        let webhook = event(&world, json!({}));
        let slow = verify(&verifier, &webhook).unwrap();
        world.pass(599);
        refuse(verify(&verifier, &webhook), LeaseTimeout, "429");
        world.pass(1);
        let second = verify(&verifier, &webhook).unwrap();
        // The first one's handler is late: what it gives back is not the second one's.
        slow.release().unwrap();
        drop(slow);
        refuse(verify(&verifier, &webhook), LeaseTimeout, "429");
        second.confirm().unwrap();
        refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
    }
    let quick = builder(&world).claim_seconds(Duration::from_secs(2)).build().unwrap();
    let webhook = event(&world, json!({}));
    let slow = verify(&quick, &webhook).unwrap();
    world.pass(2);
    let second = verify(&quick, &webhook).unwrap();
    // A late confirmation counts all the same, and the second one's adds nothing.
    slow.confirm().unwrap();
    refuse(verify(&quick, &webhook), WebhookReplayed, "200");
    second.confirm().unwrap();
}

#[test]
fn verifiers_of_one_store_remember_for_each_other() {
    let world = World::new();
    let (one, two) = (builder(&world).build().unwrap(), builder(&world).build().unwrap());
    let alone = builder(&world).replay("memory").build().unwrap();
    let webhook = event(&world, json!({}));
    let delivery = verify(&one, &webhook).unwrap();
    refuse(verify(&two, &webhook), LeaseTimeout, "429");
    assert!(verify(&alone, &webhook).is_ok());
    delivery.confirm().unwrap();
    refuse(verify(&two, &webhook), WebhookReplayed, "200");
    // Whatever its keys: what was handled stays so when the store's key is another.
    let rotated = world.builder().store_key("another-key-0123456789").build().unwrap();
    let rotated =
        with_keys(&world, rotated.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap();
    refuse(verify(&rotated, &webhook), WebhookReplayed, "200");
    // Another app's ids are its own.
    let other =
        world.app().client_id("65f0a1b2c3d4e5f607182930-second").token_store(world.store.clone());
    let other =
        with_keys(&world, other.build().unwrap().webhook_verifier(), &[WebhookScheme::Ed25519]);
    assert!(verify(&other.build().unwrap(), &webhook).is_ok());
}

#[test]
fn of_many_threads_with_one_delivery_one_gets_it() {
    let world = World::new();
    for verifier in of_each_kind(&world) {
        for _ in 0..20 {
            let webhook = event(&world, json!({}));
            let barrier = Barrier::new(8);
            let got: Vec<_> = std::thread::scope(|scope| {
                let one = || {
                    barrier.wait();
                    let result = verify(&verifier, &webhook);
                    barrier.wait();
                    if let Ok(delivery) = &result {
                        delivery.confirm().unwrap();
                    }
                    result.map(|_| ()).map_err(|error| error.code())
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(got.iter().filter(|result| result.is_ok()).count(), 1, "{got:?}");
            assert!(
                got.iter().all(|result| matches!(result, Ok(()) | Err(LeaseTimeout))),
                "{got:?}"
            );
        }
    }
}

#[test]
fn switched_off_nothing_is_remembered() {
    let world = World::new();
    let verifier = builder(&world).replay("off").build().unwrap();
    let webhook = event(&world, json!({}));
    let delivery = verify(&verifier, &webhook).unwrap();
    delivery.confirm().unwrap();
    verify(&verifier, &webhook).unwrap().release().unwrap();
    // Only the age still counts.
    world.pass(259_201);
    refuse(verify(&verifier, &webhook), WebhookStale, "`max_age`");
}

#[test]
fn age_is_judged_by_the_clients_clock() {
    let world = World::new();
    let at = |millis: i64| event(&world, json!({ "timestamp": world.clock.now().0 + millis }));
    let usual = builder(&world).build().unwrap();
    for (millis, fine) in
        [(300_000, true), (300_001, false), (-259_200_000, true), (-259_200_001, false)]
    {
        let result = verify(&usual, &at(millis));
        if fine {
            result.unwrap();
        } else {
            refuse(result, WebhookStale, if millis > 0 { "future" } else { "`max_age`" });
        }
    }
    let strict = builder(&world).max_age(Duration::from_secs(300)).build().unwrap();
    // What others on a store handled is forgotten after three days.
    refuse(builder(&world).max_age(Duration::from_secs(259_201)).build(), Config, "`max_age`");
    builder(&world).max_age(Duration::from_secs(259_201)).replay("memory").build().unwrap();
    verify(&strict, &at(-300_000)).unwrap();
    refuse(verify(&strict, &at(-300_001)), WebhookStale, "300 seconds old");
    // One that was handled in time is not stale when it comes again, but done.
    let webhook = at(0);
    verify(&strict, &webhook).unwrap().confirm().unwrap();
    world.pass(700);
    refuse(verify(&strict, &webhook), WebhookReplayed, "200");
    // An offset is read, not dropped.
    let text = json!({ "timestamp": "1970-01-01T01:00:00+01:00" });
    refuse(verify(&usual, &event(&world, text)), WebhookStale, "old");
}

#[test]
fn without_a_timestamp_only_who_says_so_accepts() {
    let world = World::new();
    let webhook = event(&world, json!({ "timestamp": null }));
    refuse(
        verify(&builder(&world).build().unwrap(), &webhook),
        WebhookStale,
        "`without_timestamp`",
    );
    for replay in ["store", "memory"] {
        let verifier = builder(&world).without_timestamp(true).replay(replay).build().unwrap();
        let delivery = verify(&verifier, &webhook).unwrap();
        assert_eq!(delivery.event().timestamp(), None);
        delivery.confirm().unwrap();
        refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
    }
}

#[test]
fn without_a_timestamp_a_shared_secret_is_enough() {
    let world = World::new();
    let sign = |members: Value| {
        signed(&world, &Webhook::event(members).schemes(&[WebhookScheme::HmacSha256]))
    };
    // As in HoopAI's own example.
    let sample = || {
        sign(json!({ "locationId": "L1", "id": "c1", "timestamp": null, "webhookId": null,
                "appId": null }))
    };
    let verifier = builder(&world).build().unwrap();
    assert_eq!(verify(&verifier, &sample()).unwrap().event().event_type(), "ContactCreate");
    verify(&verifier, &sign(json!({ "timestamp": "tomorrow" }))).unwrap();
    // Said so, it is refused all the same; and a date that is there counts.
    let strict = builder(&world).without_timestamp(false).build().unwrap();
    refuse(verify(&strict, &sample()), WebhookStale, "has no `timestamp`");
    refuse(verify(&strict, &sign(json!({ "timestamp": "tomorrow" }))), WebhookStale, "ISO 8601");
    refuse(verify(&verifier, &sign(json!({ "timestamp": 1 }))), WebhookStale, "`max_age`");
    // Signed with the platform's key too: the secret proves it.
    let both = [WebhookScheme::Ed25519, WebhookScheme::HmacSha256];
    let both = signed(&world, &Webhook::event(json!({ "timestamp": null })).schemes(&both));
    verify(&verifier, &both).unwrap();
}

#[test]
fn a_second_event_without_id_and_time_is_no_repetition() {
    let world = World::new();
    let sign = |members: Value| {
        signed(&world, &Webhook::event(members).schemes(&[WebhookScheme::HmacSha256]))
    };
    let uninstall = |webhook_id: Value, timestamp: Value| {
        sign(json!({ "type": "UNINSTALL", "locationId": "l", "webhookId": webhook_id,
                "timestamp": timestamp }))
    };
    for verifier in of_each_kind(&world) {
        let webhook = uninstall(Value::Null, Value::Null);
        for _ in 0..3 {
            verify(&verifier, &webhook).unwrap().confirm().unwrap();
            // What the platform sends again because our answer was lost comes within eleven
            // minutes.
            world.pass(660);
            refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
            world.pass(300);
        }
        // An id, or a time, makes it one event for as long as any is accepted.
        for dated in [false, true] {
            let now = world.clock.now().0;
            let webhook = if dated {
                uninstall(Value::Null, now.into())
            } else {
                uninstall("w".into(), Value::Null)
            };
            verify(&verifier, &webhook).unwrap().confirm().unwrap();
            world.pass(86_400);
            refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
            world.pass(180_000);
        }
        // A newer one with a time is not taken for stale by what was forgotten.
        world.pass(1_000);
        verify(&verifier, &event(&world, json!({ "timestamp": world.clock.now().0 - 900_000 })))
            .unwrap();
    }
}

#[test]
fn genuine_bodies_are_delivered_however_they_look() {
    let world = World::new();
    let verifier = builder(&world).any_app(true).without_timestamp(true).build().unwrap();
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(300), "]".repeat(300));
    for text in [
        r#"{"_id":"inv1","status":"paid","altId":"L1","altType":"location","total":999}"#,
        r#"{"type":"ContactCreate","webhookId":7,"locationId":12,"companyId":3,"timestamp":1}"#,
        "\u{feff}{\"type\":\"X\"}",
        r#"{"type":"X","a":1,"a":2,"b":1e999}"#,
        r#"{"type":null,"webhookId":{},"locationId":[],"companyId":true,"appId":{"$oid":"x"}}"#,
        &deep,
        "{}",
    ] {
        // A date of 1970 is too old for any app.
        let text = text
            .replace(r#""timestamp":1"#, &format!(r#""timestamp":{}"#, world.clock.now().0 / 1000));
        let delivery = verify(&verifier, &body(&world, &text)).unwrap();
        assert_eq!(delivery.event().body(), text.as_bytes());
        assert!(delivery.event().json().is_object(), "{text}");
    }
}

/// A client and a verifier of the emulator's app on one store file.
fn on_file(world: &World, path: &std::path::Path) -> (hoopauth::Client, WebhookVerifier) {
    let store = format!("sqlite:{}", path.display());
    let client =
        world.app().store(store).store_key("0123456789abcdef0123456789abcdef").build().unwrap();
    let verifier =
        with_keys(world, client.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap();
    (client, verifier)
}

#[test]
fn an_event_that_names_no_app_is_ours_if_its_account_is() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants.db");
    let (client, verifier) = on_file(&world, &path);
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    let of = |members: Value| {
        let mut webhook = Webhook::event(members).schemes(&[WebhookScheme::Ed25519]);
        webhook.event.insert("appId".into(), Value::Null);
        signed(&world, &webhook)
    };
    let of_location = || of(json!({ "locationId": location(0).id() }));
    let of_both = || of(json!({ "locationId": location(1).id(), "companyId": company.id() }));
    let of_invoice =
        || of(json!({ "type": null, "altId": location(0).id(), "altType": "location" }));
    let of_nobody = || of(json!({ "id": "c1" }));
    for webhook in [of_location(), of_both(), of_invoice(), of_nobody()] {
        refuse(verify(&verifier, &webhook), WebhookForeign, "no grant for its account");
    }
    // Its installation is known: the company's grant only comes later.
    let install = event(
        &world,
        json!({ "type": "INSTALL", "locationId": location(0).id(), "companyId": company.id() }),
    );
    client.apply(verify(&verifier, &install).unwrap().event()).unwrap();
    verify(&verifier, &of_location()).unwrap();
    client.import(world.grant(&company), false).unwrap();
    // Another process finds in the store what it never had in memory, and asks nobody else.
    let requests = world.emulator.statistics().token_requests;
    let (other, cold) = on_file(&world, &path);
    for webhook in [of_location(), of_both(), of_invoice()] {
        verify(&cold, &webhook).unwrap().confirm().unwrap();
    }
    refuse(verify(&cold, &of_nobody()), WebhookForeign, "no grant for its account");
    assert_eq!(world.emulator.statistics().token_requests, requests);
    // What was minted is a grant of its own; and what is removed elsewhere is nobody's at once.
    client.mint(&location(2), &company).unwrap();
    let minted = || of(json!({ "locationId": location(2).id() }));
    verify(&cold, &minted()).unwrap();
    other.headers_for(location(2).as_str(), "GET").unwrap();
    client.remove(&location(2)).unwrap();
    refuse(verify(&cold, &minted()), WebhookForeign, "no grant for its account");
    // An app that is named decides, whoever has a grant.
    let named = event(&world, json!({ "locationId": location(0).id(), "appId": "other" }));
    refuse(verify(&verifier, &named), WebhookForeign, "is not the verifier's `app_id`");
    for unclear in
        [json!(["65f0a1b2c3d4e5f607182930"]), json!({ "id": "65f0a1b2c3d4e5f607182930" })]
    {
        let webhook = event(&world, json!({ "locationId": location(0).id(), "appId": unclear }));
        refuse(verify(&verifier, &webhook), WebhookForeign, "is not the verifier's `app_id`");
    }
    // A verifier for another app has no use for this one's grants.
    let stranger = with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519])
        .app_id("x")
        .build()
        .unwrap();
    refuse(verify(&stranger, &of_location()), WebhookForeign, "no client whose grants");
    // Without memory of deliveries the client is asked all the same, and says when it is closed.
    let off = with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519])
        .replay("off")
        .build()
        .unwrap();
    verify(&off, &of_location()).unwrap();
    client.close().unwrap();
    refuse(verify(&off, &of_location()), InvalidState, "closed");
}

#[test]
fn a_store_that_is_away_is_no_reason_to_call_an_event_foreign() {
    /// Rows that can't be read.
    #[derive(Debug)]
    struct Away;
    impl RowStore for Away {
        fn load(&self, _: &Key<'_>) -> Result<Option<Row>> {
            Err(Error::new(ErrorCode::Store, "gone"))
        }
        fn save(&self, _: &Key<'_>, _: u64, _: &NewRow<'_>) -> Result<bool> {
            Ok(false)
        }
        fn list(&self, _: &str) -> Result<Vec<Listed>> {
            Ok(vec![])
        }
    }
    let world = World::new();
    let client = world.app().row_store(Arc::new(Away)).build().unwrap();
    let verifier =
        with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap();
    let webhook = event(&world, json!({ "appId": null, "locationId": "l" }));
    refuse(verify(&verifier, &webhook), ErrorCode::Store, "gone");
}

#[test]
fn what_memory_forgets_shortens_the_age_it_accepts() {
    let world = World::new();
    let verifier = builder(&world).replay("memory").replay_memory(3).build().unwrap();
    let at =
        |seconds: i64| event(&world, json!({ "timestamp": world.clock.now().0 - seconds * 1000 }));
    let handle = |webhook: &SignedWebhook| {
        verify(&verifier, webhook).map(|delivery| delivery.confirm().unwrap())
    };
    let webhooks: Vec<_> = [500, 400, 300].map(at).into();
    for webhook in &webhooks {
        handle(webhook).unwrap();
    }
    // As long as all are remembered, older ones are accepted.
    handle(&at(200)).unwrap();
    // The oldest had to go: it, and what is as old as it, may have been handled.
    refuse(handle(&webhooks[0]), WebhookStale, "`replay_memory`");
    refuse(handle(&at(500)), WebhookStale, "`replay_memory`");
    refuse(handle(&at(600)), WebhookStale, "`replay_memory`");
    refuse(handle(&webhooks[1]), WebhookReplayed, "200");
    handle(&at(450)).unwrap();
    // Which one of them had to go for this, the platform's next try is not handled twice.
    for webhook in &webhooks {
        assert!(handle(webhook).is_err());
    }
    // What is over leaves room.
    let roomy = builder(&world)
        .replay("memory")
        .replay_memory(2)
        .max_age(Duration::from_secs(60))
        .build()
        .unwrap();
    for _ in 0..10 {
        verify(&roomy, &at(0)).unwrap().confirm().unwrap();
        world.pass(3_700);
        verify(&roomy, &at(59)).unwrap().confirm().unwrap();
    }
}

/// A host's rows: claims in memory, and whether one may be asked for.
#[derive(Debug)]
struct Rows(Arc<hoopauth::store::MemoryStore>, bool);

impl RowStore for Rows {
    fn load(&self, _: &Key<'_>) -> Result<Option<Row>> {
        Ok(None)
    }
    fn save(&self, _: &Key<'_>, _: u64, _: &NewRow<'_>) -> Result<bool> {
        Ok(false)
    }
    fn list(&self, _: &str) -> Result<Vec<Listed>> {
        Ok(vec![])
    }
    fn claim(
        &self,
        app: &str,
        id: &Fingerprint,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<bool>> {
        hoopauth::store::TokenStore::claim(&*self.0, app, id, until, now).map(Some)
    }
    fn claimed(&self, app: &str, id: &Fingerprint, now: Timestamp) -> Result<Option<bool>> {
        if self.1 { hoopauth::store::TokenStore::claimed(&*self.0, app, id, now) } else { Ok(None) }
    }
    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
        hoopauth::store::TokenStore::unclaim(&*self.0, app, id)
    }
}

#[test]
fn a_hosts_store_remembers_as_far_as_it_can_be_asked() {
    let world = World::new();
    for asks in [true, false] {
        let claims = Arc::new(hoopauth::store::MemoryStore::new());
        let verifier = || {
            let client =
                world.app().row_store(Arc::new(Rows(claims.clone(), asks))).build().unwrap();
            with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap()
        };
        let (one, two) = (verifier(), verifier());
        let webhook = event(&world, json!({}));
        let delivery = verify(&one, &webhook).unwrap();
        refuse(verify(&two, &webhook), LeaseTimeout, "429");
        delivery.release().unwrap();
        verify(&two, &webhook).unwrap().confirm().unwrap();
        let meanwhile = if asks { WebhookReplayed } else { LeaseTimeout };
        refuse(verify(&one, &webhook), meanwhile, "do nothing");
        // Once the claim has ended it is found out by claiming.
        world.pass(601);
        for verifier in [&one, &two] {
            refuse(verify(verifier, &webhook), WebhookReplayed, "200");
        }
        // A handler that never came back: the next try is accepted, by one.
        let webhook = event(&world, json!({}));
        std::mem::forget(verify(&one, &webhook).unwrap());
        world.pass(601);
        let second = verify(&two, &webhook).unwrap();
        refuse(verify(&one, &webhook), LeaseTimeout, "429");
        drop(second);
    }
}

#[test]
fn a_look_that_a_crash_left_is_not_taken_for_handled() {
    /// Rows that can't be asked, and whose next look can't be taken back.
    #[derive(Debug)]
    struct Crash(Rows, std::sync::atomic::AtomicBool);
    impl RowStore for Crash {
        fn load(&self, key: &Key<'_>) -> Result<Option<Row>> {
            self.0.load(key)
        }
        fn save(&self, key: &Key<'_>, version: u64, row: &NewRow<'_>) -> Result<bool> {
            self.0.save(key, version, row)
        }
        fn list(&self, app: &str) -> Result<Vec<Listed>> {
            self.0.list(app)
        }
        fn claim(
            &self,
            app: &str,
            id: &Fingerprint,
            until: Timestamp,
            now: Timestamp,
        ) -> Result<Option<bool>> {
            self.0.claim(app, id, until, now)
        }
        fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()> {
            if self.1.swap(false, Ordering::SeqCst) {
                return Err(Error::new(ErrorCode::Store, "gone"));
            }
            self.0.unclaim(app, id)
        }
    }
    let world = World::new();
    let rows = Rows(Arc::new(hoopauth::store::MemoryStore::new()), false);
    let rows = Arc::new(Crash(rows, true.into()));
    let client = world.app().row_store(rows).build().unwrap();
    let verifier =
        with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap();
    let webhook = event(&world, json!({}));
    refuse(verify(&verifier, &webhook), ErrorCode::Store, "gone");
    world.pass(6);
    verify(&verifier, &webhook).unwrap().confirm().unwrap();
    world.pass(601);
    refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
}

#[test]
fn a_memory_store_of_the_clients_own_is_bounded_and_shared_by_its_verifiers() {
    let world = World::new();
    let client = world.app().store("memory:").build().unwrap();
    let verifier = || {
        let builder = with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519]);
        builder.replay_memory(2).build().unwrap()
    };
    let at =
        |seconds: i64| event(&world, json!({ "timestamp": world.clock.now().0 - seconds * 1000 }));
    let webhooks: Vec<_> = [500, 400, 300].map(at).into();
    for webhook in &webhooks {
        verify(&verifier(), webhook).unwrap().confirm().unwrap();
    }
    refuse(verify(&verifier(), &webhooks[2]), WebhookReplayed, "200");
    refuse(verify(&verifier(), &webhooks[0]), WebhookStale, "`replay_memory`");
    client.close().unwrap();
    refuse(verify(&verifier(), &at(0)), InvalidState, "closed");
}

#[test]
fn a_host_without_claims_remembers_in_the_process() {
    #[derive(Debug)]
    struct Bare;
    impl RowStore for Bare {
        fn load(&self, _: &Key<'_>) -> Result<Option<Row>> {
            Ok(None)
        }
        fn save(&self, _: &Key<'_>, _: u64, _: &NewRow<'_>) -> Result<bool> {
            Ok(false)
        }
        fn list(&self, _: &str) -> Result<Vec<Listed>> {
            Ok(vec![])
        }
    }
    let world = World::new();
    let client = world.app().row_store(Arc::new(Bare)).build().unwrap();
    let verifier =
        with_keys(&world, client.webhook_verifier(), &[WebhookScheme::Ed25519]).build().unwrap();
    let webhook = event(&world, json!({}));
    verify(&verifier, &webhook).unwrap().confirm().unwrap();
    refuse(verify(&verifier, &webhook), WebhookReplayed, "200");
    client.close().unwrap();
    refuse(verify(&verifier, &event(&world, json!({}))), InvalidState, "closed");
}

#[test]
fn options_are_checked_by_name() {
    let client = World::new().client();
    for row in WEBHOOK_OPTIONS {
        for bad in ["", "a\0b", "\u{7}"] {
            let error = client.webhook_verifier().option(row.name, bad).build().unwrap_err();
            assert_eq!(error.code(), Config);
            assert!(error.message().contains(row.name), "{error}");
        }
        if let Some(default) = row.default {
            client.webhook_verifier().option(row.name, default).build().unwrap();
        }
    }
    for (name, bad) in [
        ("replay", "disk"),
        ("max_age", "0"),
        ("max_age", "-1"),
        ("replay_memory", "0"),
        ("any_app", "yes"),
        ("claim_seconds", "nan"),
        ("max_body", "1e3"),
    ] {
        refuse(client.webhook_verifier().option(name, bad).build(), Config, name);
    }
    refuse(
        client.webhook_verifier().option("Max-Age", "1").build(),
        Config,
        "did you mean `max_age`?",
    );
    refuse(client.webhook_verifier().option("client_id", "1").build(), Config, "no option");
    // The first wrong one is told.
    refuse(
        client.webhook_verifier().option("x", "1").option("any_app", "no").build(),
        Config,
        "`x`",
    );
}

#[test]
fn under_both_retry_policies_each_event_is_handled_once() {
    // Both send again what is answered with 429; only one of them would come again after the 503 of
    // other receivers.
    for policy in [RetryPolicy::Classic, RetryPolicy::Exponential] {
        let world = World::new();
        let (handled, tries) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, seen) = (handled.clone(), tries.clone());
        // The first handler fails; the platform's next try, minutes or hours later, is accepted and
        // handled.
        let (url, answers) = serve(builder(&world).build().unwrap(), move |_| {
            let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
            if !first {
                count.fetch_add(1, Ordering::SeqCst);
            }
            !first
        });
        let delivery =
            world.emulator.send_webhook(&url, &Webhook::event(json!({})), 1, policy).unwrap();
        assert_eq!(answers.recv().unwrap(), 429);
        world.pass(700);
        let delivered =
            |deliveries: &hoopauth_emulator::Delivery| deliveries.state == DeliveryState::Delivered;
        assert!(world.emulator.wait_for_deliveries(1, Duration::from_secs(60), delivered));
        assert_eq!(answers.recv().unwrap(), 200);
        assert_eq!(handled.load(Ordering::SeqCst), 1);
        // Duplicates at once, of a new event: one is handled; the others come later, or learn that
        // it is done.
        world
            .emulator
            .send_webhook(&url, &Webhook::event(json!({})), 8, RetryPolicy::None)
            .unwrap();
        let statuses: Vec<_> = (0..8).map(|_| answers.recv().unwrap()).collect();
        assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
        assert_eq!(handled.load(Ordering::SeqCst), 2, "{delivery:?}");
    }
}
