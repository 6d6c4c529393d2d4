use std::fmt;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::ControlError;
use crate::tokens::hex;

/// Scheme by which a webhook is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WebhookScheme {
    /// `X-GHL-Signature`: Ed25519, in base64.
    Ed25519,
    /// `X-WH-Signature`: RSA PKCS#1 v1.5 with SHA-256, in base64.
    RsaSha256,
    /// `x-wl-signature`: HMAC-SHA256, written as [`crate::Settings::webhook_hmac`] says.
    HmacSha256,
}

impl WebhookScheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::RsaSha256, Self::HmacSha256];

    /// The name in control calls: `ed25519`, `rsa-sha256`, `hmac-sha256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::RsaSha256 => "rsa-sha256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// The header that carries the signature.
    pub fn header(self) -> &'static str {
        match self {
            Self::Ed25519 => "X-GHL-Signature",
            Self::RsaSha256 => "X-WH-Signature",
            Self::HmacSha256 => "x-wl-signature",
        }
    }
}

/// Encoding of HMAC signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacStyle {
    /// 64 hexadecimal digits.
    Hex,
    /// 44 characters of base64.
    Base64,
    /// `sha256=` and 64 hexadecimal digits.
    PrefixedHex,
}

/// Key with which a receiver verifies the emulator's webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WebhookKey {
    /// The scheme it is for.
    pub scheme: WebhookScheme,
    /// `emulator-1`, `emulator-2`, … in each scheme.
    pub label: String,
    /// The public key as SPKI in base64; of HMAC, the secret.
    pub key: String,
    /// `true` if webhooks are signed with this key unless they name another; false for keys that
    /// were rotated out.
    pub current: bool,
}

/// The keys of every scheme, oldest first.
#[derive(Debug)]
pub(crate) struct Keys {
    by_scheme: [Vec<Arc<SigningKey>>; WebhookScheme::ALL.len()],
}

impl Keys {
    /// New keys, but for RSA, which takes too long to make: that one is the same in every emulator.
    pub(crate) fn new() -> Self {
        let first = |scheme| {
            let secret = match scheme {
                WebhookScheme::RsaSha256 => Secret::TestRsa,
                scheme => Secret::generate(scheme),
            };
            vec![Arc::new(SigningKey { scheme, label: label(1), secret })]
        };
        Self { by_scheme: WebhookScheme::ALL.map(first) }
    }

    /// Signs with this key from now on.
    pub(crate) fn rotate(&mut self, secret: Secret) -> WebhookKey {
        let scheme = secret.scheme();
        let keys = &mut self.by_scheme[scheme as usize];
        let key = Arc::new(SigningKey { scheme, label: label(keys.len() + 1), secret });
        keys.push(key.clone());
        key.show(true)
    }

    #[expect(
        clippy::expect_used,
        reason = "every scheme begins with a key and none is ever removed"
    )]
    pub(crate) fn newest(&self, scheme: WebhookScheme) -> Arc<SigningKey> {
        self.by_scheme[scheme as usize].last().expect("a key of every scheme").clone()
    }

    /// The key of this label, or the newest one.
    pub(crate) fn find(
        &self,
        scheme: WebhookScheme,
        label: Option<&str>,
    ) -> Result<Arc<SigningKey>, ControlError> {
        let Some(label) = label else { return Ok(self.newest(scheme)) };
        let found = self.by_scheme[scheme as usize].iter().find(|key| key.label == label);
        let unknown = || ControlError::Unknown(format!("a {} key `{label}`", scheme.as_str()));
        found.cloned().ok_or_else(unknown)
    }

    /// Every key, scheme by scheme, newest first.
    pub(crate) fn all(&self) -> Vec<(Arc<SigningKey>, bool)> {
        let newest_first = |keys: &Vec<Arc<SigningKey>>| {
            keys.iter()
                .rev()
                .cloned()
                .enumerate()
                .map(|(age, key)| (key, age == 0))
                .collect::<Vec<_>>()
        };
        self.by_scheme.iter().flat_map(newest_first).collect()
    }
}

/// A key with its private half.
pub(crate) struct SigningKey {
    pub(crate) scheme: WebhookScheme,
    label: String,
    secret: Secret,
}

pub(crate) enum Secret {
    Ed25519(Ed25519KeyPair),
    /// The key of the file beside this one, which every emulator begins with.
    TestRsa,
    Rsa(RsaKeyPair),
    Hmac(String),
}

impl Secret {
    /// A new key of this scheme. RSA takes a while, so no lock should be held.
    #[expect(clippy::expect_used, reason = "a system that can't make keys can't run an emulator")]
    pub(crate) fn generate(scheme: WebhookScheme) -> Self {
        match scheme {
            WebhookScheme::Ed25519 => {
                Self::Ed25519(Ed25519KeyPair::generate().expect("a new Ed25519 key"))
            }
            WebhookScheme::RsaSha256 => {
                Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a new RSA key"))
            }
            WebhookScheme::HmacSha256 => Self::Hmac(hex::<32>()),
        }
    }

    fn scheme(&self) -> WebhookScheme {
        match self {
            Self::Ed25519(_) => WebhookScheme::Ed25519,
            Self::TestRsa | Self::Rsa(_) => WebhookScheme::RsaSha256,
            Self::Hmac(_) => WebhookScheme::HmacSha256,
        }
    }
}

impl SigningKey {
    /// The value of the signature header of this body.
    pub(crate) fn sign(&self, body: &[u8], style: HmacStyle) -> String {
        match &self.secret {
            Secret::Ed25519(pair) => STANDARD.encode(pair.sign(body)),
            Secret::TestRsa => sign_rsa(&TEST_RSA_KEY, body),
            Secret::Rsa(pair) => sign_rsa(pair, body),
            Secret::Hmac(secret) => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
                match style {
                    HmacStyle::Hex => hexadecimal(tag.as_ref()),
                    HmacStyle::Base64 => STANDARD.encode(tag),
                    HmacStyle::PrefixedHex => format!("sha256={}", hexadecimal(tag.as_ref())),
                }
            }
        }
    }

    pub(crate) fn show(&self, current: bool) -> WebhookKey {
        let key = match &self.secret {
            Secret::Ed25519(pair) => spki(pair.public_key()),
            Secret::TestRsa => spki(TEST_RSA_KEY.public_key()),
            Secret::Rsa(pair) => spki(pair.public_key()),
            Secret::Hmac(secret) => secret.clone(),
        };
        WebhookKey { scheme: self.scheme, label: self.label.clone(), key, current }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("scheme", &self.scheme)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "the buffer is as long as the modulus")]
fn sign_rsa(pair: &RsaKeyPair, body: &[u8]) -> String {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature)
        .expect("an RSA signature");
    STANDARD.encode(signature)
}

fn spki(public: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    public.as_der().map(|der| STANDARD.encode(der.as_ref())).unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn label(number: usize) -> String {
    format!("emulator-{number}")
}

/// 4096 bits, as the platform's. It signs nothing but what emulators send.
#[expect(clippy::expect_used, reason = "the file is part of the program")]
static TEST_RSA_KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let text: String =
        include_str!("test_rsa_key.pem").lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).expect("base64 of the test key");
    RsaKeyPair::from_pkcs8(&der).expect("the test key")
});
