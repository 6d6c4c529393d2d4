//! Processes that share a store, and get one delivery at once.

use std::time::Duration;

use hoopauth::Clock;
use hoopauth::ErrorCode;
use hoopauth::webhook::{
    SignatureScheme, WebhookDelivery, WebhookKey, WebhookVerifier, WebhookVerifierBuilder,
};
use hoopauth_emulator::{SignedWebhook, Webhook, WebhookScheme};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use serde_json::json;

use crate::child::{builder, say, wait_for_a_line};
use crate::site::Site;

/// Message to a child: the key, the headers and the body.
fn told(site: &Site, webhook: &SignedWebhook) -> String {
    let key = site.world.emulator.webhook_key(WebhookScheme::Ed25519).key;
    serde_json::to_string(&(key, &webhook.headers, &webhook.body)).unwrap()
}

fn with_key(builder: WebhookVerifierBuilder, key: &str) -> WebhookVerifierBuilder {
    builder.key(WebhookKey::new(SignatureScheme::Ed25519, "emulator", key).unwrap())
}

fn verify(
    builder: WebhookVerifierBuilder,
    headers: &[(String, String)],
    body: &str,
) -> hoopauth::Result<WebhookDelivery> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    builder.build().unwrap().verify(headers, body.as_bytes())
}

/// In a child process: verifies a delivery when it may, says what came of it, and confirms it when
/// it may.
pub(crate) fn handle(argument: &str) {
    let (key, headers, body): (String, Vec<(String, String)>, String) =
        serde_json::from_str(argument).unwrap();
    let client = builder().build().unwrap();
    let verifier = with_key(client.webhook_verifier(), &key);
    say("ready");
    wait_for_a_line();
    let result = verify(verifier, &headers, &body);
    say(result.as_ref().err().map_or("mine", |error| error.code().name()));
    wait_for_a_line();
    if let Ok(delivery) = result {
        delivery.confirm().unwrap();
    }
    say("done");
}

/// In a child process: a worker forked from it is refused by the verifier that was made before, and
/// leaves its parent's delivery alone.
pub(crate) fn handle_in_a_fork(argument: &str) {
    let (key, headers, body): (String, Vec<(String, String)>, String) =
        serde_json::from_str(argument).unwrap();
    let verifier = with_key(WebhookVerifier::builder().any_app(true), &key).build().unwrap();
    let verify = || {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        verifier.verify(headers, body.as_bytes())
    };
    let before = verify().unwrap();
    before.release().unwrap();
    let parents = verify().unwrap();
    // SAFETY: no other thread of ours runs; the harness's one waits. glibc keeps its allocator
    // usable in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            assert_eq!(parents.confirm().unwrap_err().code(), ErrorCode::InvalidState);
            assert_eq!(
                verify().unwrap_err().code(),
                ErrorCode::InvalidState,
                "its copy of the memory would learn nothing of the parent's"
            );
            drop(parents);
            say("done");
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            waitpid(child, None).unwrap();
            parents.confirm().unwrap();
            say(verify().unwrap_err().code().name());
        }
    }
}

#[test]
fn a_forked_worker_leaves_its_parents_delivery_alone() {
    let site = Site::new();
    let webhook = site.world.emulator.sign_webhook(&Webhook::event(json!({}))).unwrap();
    let mut process = site.start("handle a webhook in a fork", &told(&site, &webhook));
    assert_eq!(process.line(), "done");
    assert_eq!(process.line(), "WEBHOOK_REPLAYED");
}

#[test]
fn of_processes_with_one_delivery_at_once_one_wins() {
    let site = Site::new();
    for _ in 0..5 {
        let webhook = site.world.emulator.sign_webhook(&Webhook::event(json!({}))).unwrap();
        let mut processes: Vec<_> =
            (0..4).map(|_| site.start("handle a webhook", &told(&site, &webhook))).collect();
        for process in &mut processes {
            assert_eq!(process.line(), "ready");
        }
        for process in &mut processes {
            process.go();
        }
        let mut said: Vec<_> = processes.iter_mut().map(crate::site::Process::line).collect();
        said.sort_unstable();
        assert_eq!(said, ["LEASE_TIMEOUT", "LEASE_TIMEOUT", "LEASE_TIMEOUT", "mine"]);
        for process in &mut processes {
            process.go();
            assert_eq!(process.line(), "done");
        }
        // Once it is confirmed, it stays so when all of them have ended.
        drop(processes);
        let mut late = site.start("handle a webhook", &told(&site, &webhook));
        assert_eq!(late.line(), "ready");
        late.go();
        assert_eq!(late.line(), "WEBHOOK_REPLAYED");
    }
}

#[test]
fn a_killed_holders_delivery_is_accepted_once_its_claim_has_ended() {
    let site = Site::new();
    let webhook = site.world.emulator.sign_webhook(&Webhook::event(json!({}))).unwrap();
    let mut holder = site.start("handle a webhook", &told(&site, &webhook));
    assert_eq!(holder.line(), "ready");
    holder.go();
    assert_eq!(holder.line(), "mine");
    holder.kill();

    let key = site.world.emulator.webhook_key(WebhookScheme::Ed25519).key;
    let clock = std::sync::Arc::new(hoopauth::ManualClock::new(hoopauth::SystemClock.now()));
    let client = site.builder().clock(clock.clone()).build().unwrap();
    let again =
        || verify(with_key(client.webhook_verifier(), &key), &webhook.headers, &webhook.body);
    let error = again().unwrap_err();
    assert!(error.code() == ErrorCode::LeaseTimeout && error.is_retryable());
    // Ten minutes, and what passed since it was claimed.
    clock.advance(Duration::from_secs(600));
    let second = again().unwrap();
    assert_eq!(again().unwrap_err().code(), ErrorCode::LeaseTimeout);
    second.confirm().unwrap();
    assert_eq!(again().unwrap_err().code(), ErrorCode::WebhookReplayed);
}
