use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::account::Account;

/// Content of a token for a program that decodes it. The emulator itself looks tokens up and never
/// reads them.
pub(crate) struct Claims<'a> {
    pub(crate) kind: &'static str,
    pub(crate) account: &'a Account,
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a str,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
}

impl Claims<'_> {
    /// A token in the shape of a JWT of about `size` characters, signed with random bytes.
    pub(crate) fn token(&self, size: usize) -> String {
        let mut claims = json!({
            "authClass": self.account.class().as_str(),
            "authClassId": self.account.id(),
            "sub": self.account.id(),
            "channel": "OAUTH",
            "kind": self.kind,
            "sourceId": self.client_id,
            "scopes": self.scopes.split(' ').collect::<Vec<_>>(),
            "iat": self.issued_at,
            "exp": self.expires_at,
            "jti": hex::<12>(),
        });
        let bare = claims.to_string().len();
        let fixed = HEADER.len() + 2 + SIGNATURE_TEXT;
        let wanted = size.saturating_sub(fixed) / 4 * 3;
        if let Some(padding) = wanted.checked_sub(bare + PADDING_MEMBER) {
            claims["padding"] = "0".repeat(padding).into();
        }
        let mut token = String::with_capacity(size.max(fixed + bare * 4 / 3 + 4));
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(random::<SIGNATURE_BYTES>(), &mut token);
        token
    }
}

/// Tells tokens apart by a keyed 128-bit hash, so that a token of a kilobyte costs sixteen bytes to
/// remember.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    high: RandomState,
    low: RandomState,
}

impl Fingerprints {
    pub(crate) fn of(&self, token: &str) -> u128 {
        (u128::from(self.high.hash_one(token)) << 64) | u128::from(self.low.hash_one(token))
    }
}

/// `BYTES` random bytes in hexadecimal.
pub(crate) fn hex<const BYTES: usize>() -> String {
    random::<BYTES>().iter().fold(String::with_capacity(BYTES * 2), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
        );
        text
    })
}

/// A random UUID of version 4, as text.
pub(crate) fn uuid() -> String {
    let mut bytes = random::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
        );
    }
    text
}

/// An id of 20 letters and digits, like those of locations and companies.
pub(crate) fn id() -> String {
    random::<20>()
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Random bytes of the operating system's generator.
#[expect(clippy::expect_used, reason = "a system without randomness can't run an emulator")]
pub(crate) fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// `{"alg":"RS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";
/// Length of an RSA signature with a 2048-bit key.
const SIGNATURE_BYTES: usize = 256;
const SIGNATURE_TEXT: usize = 342;
/// `,"padding":""`
const PADDING_MEMBER: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_three_parts_and_about_the_size_asked_for() {
        let account = Account::location("hoopLocation00000001");
        let claims = Claims {
            kind: "access",
            account: &account,
            client_id: "app-1",
            scopes: "contacts.readonly contacts.write",
            issued_at: 1,
            expires_at: 2,
        };
        for size in [800, 1_000, 4_096] {
            let token = claims.token(size);
            assert_eq!(token.split('.').count(), 3);
            assert!(token.len().abs_diff(size) < 8, "{} for {size}", token.len());
        }
        let smallest = claims.token(0);
        assert!(smallest.len() < 800 && smallest != claims.token(0));
    }

    #[test]
    fn ids_have_the_shape_of_the_platform_s() {
        assert_eq!(hex::<12>().len(), 24);
        assert_eq!(id().len(), 20);
        let uuid = uuid();
        assert_eq!((uuid.len(), uuid.matches('-').count(), &uuid[14..15]), (36, 4, "4"));
    }
}
