//! Made-up bodies, properly signed: an event or `WEBHOOK_MALFORMED`.
#![no_main]

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use hoopauth::ErrorCode;
use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "0123456789abcdef";

fuzz_target!(|body: &[u8]| {
    static VERIFIER: OnceLock<WebhookVerifier> = OnceLock::new();
    let verifier = VERIFIER.get_or_init(|| {
        let builder = WebhookVerifier::builder()
            .option("any_app", "true")
            .option("without_timestamp", "true")
            .option("replay", "off");
        builder
            .key(WebhookKey::new(SignatureScheme::HmacSha256, "secret", SECRET).expect("a key"))
            .build()
            .expect("a verifier")
    });
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body);
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    match verifier.verify([("x-wl-signature", signature.as_bytes())], body) {
        Ok(delivery) => {
            let event = delivery.event();
            assert_eq!(event.body(), body);
            assert!(event.json().is_object());
            assert!(!event.webhook_id().is_empty());
            assert!(event.json_text().trim_start().starts_with('{'));
        }
        Err(error) => assert!(
            matches!(
                error.code(),
                ErrorCode::WebhookMalformed | ErrorCode::WebhookStale | ErrorCode::WebhookForeign
            ),
            "{error}"
        ),
    }
});
