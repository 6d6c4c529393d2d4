//! Made-up keys: read or refused, never shown.
#![no_main]

use hoopauth::ErrorCode;
use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let scheme = SignatureScheme::ALL[usize::from(*first) % SignatureScheme::ALL.len()];
    match WebhookKey::new(scheme, "key", text) {
        Ok(key) => {
            assert!(text.len() < 16 || !format!("{key:?}").contains(text), "a key is shown");
            let verifier = WebhookVerifier::builder().option("any_app", "true").key(key).build();
            let headers = [
                ("X-GHL-Signature", &b"AAAA"[..]),
                ("X-WH-Signature", b"AAAA"),
                ("x-wl-signature", b"AAAA"),
            ];
            assert!(
                verifier.is_ok_and(|verifier| verifier.verify_signature(headers, b"{}").is_err())
            );
        }
        Err(error) => assert_eq!(error.code(), ErrorCode::Config),
    }
});
