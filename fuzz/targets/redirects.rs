//! Made-up redirects: without the state of the pending authorization none completes it.
#![no_main]

use std::sync::OnceLock;

use hoopauth::{Client, PendingAuthorization, Redirect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static PENDING: OnceLock<(Client, PendingAuthorization)> = OnceLock::new();
    let (client, pending) = PENDING.get_or_init(|| {
        let client = Client::builder()
            .client_id("0123456789abcdef01234567-fuzz")
            .client_secret("planted-client-secret")
            .redirect_uri("https://app.example/callback")
            .scopes(["contacts.readonly"])
            .store("memory:")
            .build()
            .expect("a client");
        let request = client.authorization_request().expect("a request");
        let pending = client.begin(request).expect("a pending authorization");
        (client, pending)
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Redirect::read(text);
    let error = client.complete(pending, text).expect_err("nobody knows the state");
    let message = format!("{error} {error:?} {read:?}");
    assert!(
        !message.contains(pending.state().expose()) && !message.contains("planted-client-secret")
    );
    let _ = client.open_pending(text).expect_err("nobody has the key");
});
