//! Made-up answers of the token endpoint: new headers or a typed error; nothing that was sent is in
//! it, and the grant stays.
#![no_main]

use std::sync::{Arc, Mutex};

use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, Client, Grant, ManualClock, Timestamp};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Default)]
struct Made(Mutex<(u16, Vec<u8>)>);

impl Transport for Made {
    fn send(&self, _: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let (status, body) = self.0.lock().expect("a lock").clone();
        Ok(TransportResponse { status, headers: vec![].into(), body })
    }
}

const STATUSES: [u16; 10] = [200, 201, 204, 302, 400, 401, 403, 422, 429, 503];

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let client = Client::builder()
        .client_id("0123456789abcdef01234567-fuzz")
        .client_secret("planted-client-secret")
        .store("memory:")
        .clock(clock)
        .transport(Arc::new(Made(Mutex::new((status, body.to_vec())))))
        .build()
        .expect("a client");
    let account = Account::location("one").expect("an account");
    let grant = Grant::new(account.clone(), "planted-access-token")
        .with_refresh_token("planted-refresh-token")
        .with_expires_at(Timestamp(1_600_000_000_000));
    client.import(grant, false).expect("an import");
    match client.headers_for(account.as_str(), "GET") {
        Ok(headers) => {
            let token = headers.authorization().strip_prefix("Bearer ").expect("a bearer");
            assert!(status < 300 && token.bytes().all(|byte| byte.is_ascii_graphic()), "{status}");
        }
        Err(error) => {
            let text = format!("{error} {error:?} {:?}", error.server_message());
            assert!(
                !text.contains("planted-refresh") && !text.contains("planted-client"),
                "{text}"
            );
            assert!(client.export(&account).is_ok(), "the grant is gone");
        }
    }
});
