//! Good answers of the token endpoint, made odd: whatever stands beside a usable pair, the pair is
//! kept and the spent refresh token is gone. Only an answer that speaks for someone else is not
//! served.
#![no_main]

use std::sync::{Arc, Mutex};

use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, Client, ErrorCode, Grant, ManualClock, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
struct Made(Mutex<Vec<u8>>);

impl Transport for Made {
    fn send(&self, _: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let body = self.0.lock().expect("a lock").clone();
        Ok(TransportResponse { status: 200, headers: vec![].into(), body })
    }
}

/// Names that may come before the pair, whatever they hold: the last usable value of a name counts.
const BEFORE: [&str; 2] = ["access_token", "refresh_token"];
/// Names that may come anywhere.
const ANYWHERE: [&str; 18] = [
    "accessToken",
    "refreshToken",
    "token_type",
    "tokenType",
    "expires_in",
    "expiresIn",
    "scope",
    "userType",
    "user_type",
    "companyId",
    "company_id",
    "locationId",
    "location_id",
    "userId",
    "traceId",
    "error",
    "",
    "data",
];

/// Each piece of the input is a member: a byte for its name and place, then its value, as JSON if
/// it is any.
fn answer(data: &[u8]) -> Vec<u8> {
    let mut parts = data.split(|byte| *byte == b'\n');
    let frame = parts.next().and_then(<[u8]>::first).copied().unwrap_or_default();
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for part in parts {
        let Some((first, value)) = part.split_first() else { continue };
        let text = String::from_utf8_lossy(value);
        let value = match serde_json::from_str::<&RawValue>(&text) {
            Ok(json) => json.get().to_owned(),
            Err(_) => serde_json::to_string(&text).expect("a text"),
        };
        let index = usize::from(*first) % (BEFORE.len() + 2 * ANYWHERE.len());
        let (list, name) = match index.checked_sub(BEFORE.len()) {
            None => (&mut before, BEFORE[index]),
            Some(index) if index < ANYWHERE.len() => (&mut before, ANYWHERE[index]),
            Some(index) => (&mut behind, ANYWHERE[index - ANYWHERE.len()]),
        };
        list.push(format!("\"{name}\":{value}"));
    }
    before.push("\"access_token\":\"new\",\"refresh_token\":\"next\"".to_owned());
    before.append(&mut behind);
    let object = format!("{{{}}}", before.join(","));
    match frame % 8 {
        0 => format!("\u{feff}{object}"),
        1 => format!("\r\n {object}\n"),
        2 => format!("{object}}} and more"),
        3 => format!("[{object}]"),
        4 => format!("{{\"x\":1,\"answer\":{object}}}"),
        // It breaks off behind the pair.
        5 => object[..object.len() - 1].to_owned(),
        _ => object,
    }
    .into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let client = Client::builder()
        .client_id("0123456789abcdef01234567-fuzz")
        .client_secret("planted-client-secret")
        .store("memory:")
        .clock(Arc::new(ManualClock::new(Timestamp(1_700_000_000_000))))
        .transport(Arc::new(Made(Mutex::new(answer(data)))))
        .build()
        .expect("a client");
    let account = Account::location("one").expect("an account");
    let grant = Grant::new(account.clone(), "old")
        .with_refresh_token("spent")
        .with_expires_at(Timestamp(1_600_000_000_000));
    client.import(grant, false).expect("an import");
    match client.headers_for(account.as_str(), "GET") {
        Ok(headers) => assert_eq!(headers.authorization(), "Bearer new"),
        Err(error) => {
            let expected = [ErrorCode::WrongAccount, ErrorCode::WrongTokenClass];
            assert!(expected.contains(&error.code()), "{error:?}");
        }
    }
    let kept = client.export(&account).expect("a grant");
    assert_eq!(kept.refresh_token().expect("a refresh token").expose(), "next");
});
