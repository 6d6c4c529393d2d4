//! Everything runs with the log at `trace`; no planted secret may come out anywhere.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::format_push_string)]

mod common;

use std::sync::Arc;

use common::{Captured, World, approve, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::webhook::{SignatureScheme, WebhookKey};
use hoopauth::{Client, Error, ErrorCode};
use hoopauth_emulator::{
    DEFAULT_CLIENT_SECRET, Endpoint, Fault, FaultKind, Webhook, WebhookScheme,
};

#[test]
fn no_secret_comes_out_of_logs_errors_or_debug() {
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let mut seen = String::new();
    let mut secrets = vec![DEFAULT_CLIENT_SECRET.to_owned()];
    tracing::subscriber::with_default(subscriber, || {
        let world = World::new();
        let broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = broken.clone();
        let client = world
            .builder()
            .step_hook(move |step, _| match step {
                Step::Save if flag.load(std::sync::atomic::Ordering::SeqCst) => {
                    Err(Error::new(ErrorCode::Store, "disk full"))
                }
                _ => Ok(()),
            })
            .build()
            .unwrap();
        let account = location(0);
        let pending = client.begin(client.authorization_request().unwrap().pkce(true)).unwrap();
        secrets.push(pending.state().expose().to_owned());
        let redirect = approve(pending.url(), &account);
        seen += &format!("{pending:?} {client:?} {:?}", world.builder());
        client.complete(&pending, &redirect).unwrap();
        seen += &format!("{:?}", client.complete(&pending, &redirect).unwrap_err());
        for fault in [
            FaultKind::LostAnswer,
            FaultKind::MalformedJson,
            FaultKind::Status { status: 500, headers: Vec::new(), body: String::new() },
        ] {
            let grant = client.export(&account).unwrap();
            secrets.push(grant.access_token().expose().to_owned());
            secrets.push(grant.refresh_token().unwrap().expose().to_owned());
            // A server that echoes what it was sent must not make us repeat it.
            let echo = serde_json::json!({ "message": format!("bad token {}",
                grant.refresh_token().unwrap().expose()) });
            world.pass(90_000);
            world.emulator.add_fault(Fault::status(Endpoint::Token, 422, &echo.to_string()));
            world.emulator.add_fault(Fault::new(Endpoint::Token, fault));
            for _ in 0..3 {
                match client.headers_for(account.as_str(), "GET") {
                    Ok(headers) => seen += &format!("{headers:?}"),
                    Err(error) => {
                        seen += &format!("{error} {error:?}");
                        world.pass(error.retry_after().map_or(0, |wait| wait.as_secs()));
                    }
                }
            }
            seen += &format!("{grant:?} {:?}", client.health(&account));
        }
        broken.store(true, std::sync::atomic::Ordering::SeqCst);
        world.pass(90_000);
        let _ = client.headers_for(account.as_str(), "GET");
        seen += &webhooks(&world, &client, &mut secrets);
        let grant = client.export(&account).unwrap();
        secrets.push(grant.access_token().expose().to_owned());
        secrets.push(grant.refresh_token().unwrap().expose().to_owned());
    });
    seen += &log.text();
    assert!(seen.contains("disk full"), "the log was captured");
    for secret in secrets {
        assert!(!seen.contains(&secret), "a secret of {} characters came out", secret.len());
        let part: String = secret.chars().take(40).collect();
        assert!(!seen.contains(&part), "the start of a secret came out");
    }
}

/// Debug output of keys, verifiers, deliveries and refusals of webhooks.
fn webhooks(world: &World, client: &Client, secrets: &mut Vec<String>) -> String {
    let mut seen = String::new();
    let secret = world.emulator.webhook_key(WebhookScheme::HmacSha256).key;
    let short = "short-secret-1";
    let scheme = SignatureScheme::HmacSha256;
    seen += &format!("{:?}", WebhookKey::new(scheme, "mine", short).unwrap_err());
    // A private key, given by mistake.
    let private =
        format!("-----BEGIN PRIVATE KEY-----\n{secret}{secret}\n-----END PRIVATE KEY-----");
    for scheme in SignatureScheme::ALL {
        for text in [&private, &format!("{short}{secret}!")] {
            match WebhookKey::new(scheme, "mine", text) {
                Ok(key) => seen += &format!("{key:?}"),
                Err(error) => seen += &format!("{error} {error:?}"),
            }
        }
    }
    let builder = client.webhook_verifier().key(WebhookKey::new(scheme, "mine", &secret).unwrap());
    seen += &format!("{builder:?}");
    let verifier = builder.build().unwrap();
    let webhook = Webhook::event(serde_json::json!({ "email": "planted@example.com" }));
    let webhook =
        world.emulator.sign_webhook(&webhook.schemes(&[WebhookScheme::HmacSha256])).unwrap();
    let (name, value) = &webhook.headers[0];
    let verify =
        |value: &str, body: &str| verifier.verify([(&**name, value.as_bytes())], body.as_bytes());
    let delivery = verify(value, &webhook.body).unwrap();
    seen += &format!("{verifier:?} {delivery:?} {:?}", delivery.event());
    // What would have been right is a secret too: whoever knows it can sign.
    for error in [
        verify(value, &webhook.body).unwrap_err(),
        verify(&value[1..], &webhook.body).unwrap_err(),
        verify(value, &format!("{} ", webhook.body)).unwrap_err(),
    ] {
        seen += &format!("{error} {error:?}");
    }
    secrets.extend([secret, short.to_owned(), value.clone(), "planted@example.com".to_owned()]);
    seen
}
