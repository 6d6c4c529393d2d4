//! Webhooks with made-up headers: nobody has the keys, so none may verify.
#![no_main]

use std::sync::OnceLock;

use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static VERIFIER: OnceLock<WebhookVerifier> = OnceLock::new();
    let verifier = VERIFIER.get_or_init(|| {
        let secret = WebhookKey::new(SignatureScheme::HmacSha256, "secret", "0123456789abcdef");
        let builder =
            WebhookVerifier::builder().option("any_app", "true").option("platform_rsa_key", "true");
        builder.key(secret.expect("a key")).build().expect("a verifier")
    });
    // Lines `name: value`, up to an empty one; the rest is the body.
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 2..).unwrap_or_default());
    let headers: Vec<(&str, &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line.get(colon + 1..)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, value))
        })
        .collect();
    let error = verifier.verify(headers.iter().copied(), body).expect_err("nobody has the keys");
    assert!(matches!(error.code().number(), 60 | 61), "{error}");
    assert!(verifier.verify_signature(headers, body).is_err());
});
