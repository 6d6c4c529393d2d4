//! The keys that webhooks may be signed with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::mistake;
use crate::web_url::hex_byte;

/// Scheme by which a webhook is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// `X-GHL-Signature`: Ed25519 (RFC 8032) over the raw body.
    Ed25519,
    /// `X-WH-Signature`: RSA PKCS#1 v1.5 (RFC 8017) with SHA-256 over the raw body.
    RsaSha256,
    /// `x-wl-signature` or `X-Hook-Signature`: HMAC-SHA256 (RFC 2104) over the raw body.
    HmacSha256,
}

impl SignatureScheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::RsaSha256, Self::HmacSha256];

    /// Returns the name in every language: `ed25519`, `rsa-sha256`, `hmac-sha256`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::RsaSha256 => "rsa-sha256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// Reads a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }
}

/// A key that webhooks may be signed with. Parsed once; cloning is cheap. `Debug` shows nothing of
/// it.
#[derive(Clone)]
pub struct WebhookKey {
    scheme: SignatureScheme,
    label: String,
    not_before: Timestamp,
    not_after: Timestamp,
    material: Material,
}

impl WebhookKey {
    /// Makes a key. A public key is PEM, or SPKI DER or (Ed25519) the 32 raw bytes as base64 or
    /// hex. An HMAC secret is used unchanged, except for white space at its ends, and has at least
    /// 16 bytes. `label` is for people: a verified delivery tells it. `CONFIG`.
    pub fn new(scheme: SignatureScheme, label: &str, key: &str) -> Result<Self> {
        if label.is_empty() || label.len() > LONGEST_LABEL || label.chars().any(char::is_control) {
            return Err(Error::config(format!(
                "the label of a webhook key is empty, longer than {LONGEST_LABEL} bytes, or holds \
                 a control character: choose a short name"
            )));
        }
        let trimmed = key.trim_ascii();
        let place = || {
            (mistake::names_a_file(trimmed) || mistake::is_path(trimmed)).then_some(
                "is the place of a file: read the file in your program and give its content",
            )
        };
        if let Some(what) = mistake::around(trimmed).or_else(place) {
            return Err(Error::config(format!("the webhook key `{label}` {what}")));
        }
        if trimmed.starts_with("-----BEGIN") && trimmed.contains("\\n") {
            return Err(Error::config(format!(
                "the webhook key `{label}` has its line ends written as `\\n`: put real line ends \
                 in their place"
            )));
        }
        let material = match scheme {
            SignatureScheme::Ed25519 => ed25519(label, key)?,
            SignatureScheme::RsaSha256 => rsa(label, key)?,
            SignatureScheme::HmacSha256 => secret(label, key)?,
        };
        Ok(Self {
            scheme,
            label: label.to_owned(),
            not_before: ALWAYS.0,
            not_after: ALWAYS.1,
            material,
        })
    }

    /// Returns the key that the platform signs the webhooks of every app with.
    pub(super) fn platform() -> Result<Self> {
        Self::new(SignatureScheme::Ed25519, "platform", PLATFORM_KEY)
    }

    /// Returns the platform's older key; its end is announced for 1 September 2026.
    pub(super) fn platform_rsa() -> Result<Self> {
        Self::new(SignatureScheme::RsaSha256, "platform-rsa", PLATFORM_RSA_KEY)
    }

    /// Makes the key valid from this moment on only, by the client's clock.
    #[must_use]
    pub fn not_before(mut self, moment: Timestamp) -> Self {
        self.not_before = moment;
        self
    }

    /// Makes the key valid until this moment only, by the client's clock.
    #[must_use]
    pub fn not_after(mut self, moment: Timestamp) -> Self {
        self.not_after = moment;
        self
    }

    /// The scheme.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns `true` if the key is valid for a limited time only.
    pub(super) fn is_dated(&self) -> bool {
        (self.not_before, self.not_after) != ALWAYS
    }

    /// Refuses a key that could never be valid: `CONFIG`.
    pub(super) fn check_dates(&self) -> Result<()> {
        if self.not_before > self.not_after {
            return Err(Error::config(format!(
                "the webhook key `{}` ends before it begins: swap `not_before` and `not_after`",
                self.label
            )));
        }
        Ok(())
    }

    /// Returns the reason why the key is not valid at `now`, if so.
    pub(super) fn out_of_dates(&self, now: Timestamp) -> Option<&'static str> {
        if now < self.not_before {
            Some("has not begun")
        } else if now > self.not_after {
            Some("has ended")
        } else {
            None
        }
    }

    /// Returns `true` if the key made this signature of `body`. Takes constant time if the key is a
    /// secret.
    pub(super) fn verifies(&self, body: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify_sig(body, signature).is_ok(),
            Material::Secret(key) => hmac::verify(key, body, signature).is_ok(),
        }
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKey")
            .field("scheme", &self.scheme)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Material {
    Public(Arc<ParsedPublicKey>),
    Secret(Arc<hmac::Key>),
}

fn ed25519(label: &str, text: &str) -> Result<Material> {
    let bytes = decode(label, text)?;
    let raw = match bytes.len() {
        32 => &bytes[..],
        _ => bytes.strip_prefix(ED25519_SPKI).filter(|raw| raw.len() == 32).ok_or_else(|| {
            unreadable(label, "an Ed25519 public key: 32 raw bytes or SPKI, as PEM, base64 or hex")
        })?,
    };
    if is_of_small_order(raw) {
        return Err(Error::config(format!(
            "the webhook key `{label}` is one that anybody can sign for, such as all zeros: copy \
             the key again"
        )));
    }
    ParsedPublicKey::new(&ED25519, raw)
        .map(|key| Material::Public(Arc::new(key)))
        .map_err(|_| unreadable(label, "an Ed25519 public key"))
}

fn rsa(label: &str, text: &str) -> Result<Material> {
    let bytes = decode(label, text)?;
    let refused =
        || unreadable(label, "an RSA public key of 2048 to 8192 bits: SPKI, as PEM, base64 or hex");
    if !is_one_sequence(&bytes) {
        return Err(refused());
    }
    // This one looks at the size and takes SPKI only; the other one verifies.
    PublicEncryptingKey::from_der(&bytes).map_err(|_| refused())?;
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &bytes)
        .map(|key| Material::Public(Arc::new(key)))
        .map_err(|_| refused())
}

fn secret(label: &str, text: &str) -> Result<Material> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.len() < LEAST_SECRET {
        return Err(Error::config(format!(
            "the webhook secret `{label}` has fewer than {LEAST_SECRET} bytes and could be \
             guessed: use a longer one"
        )));
    }
    if text.trim_ascii_start().starts_with("-----BEGIN")
        || decode(label, text).is_ok_and(|key| is_public(&key))
    {
        return Err(Error::config(format!(
            "the webhook secret `{label}` is a public key or PEM text, which is no secret: pass a \
             public key with its own scheme (`ed25519`, `rsa-sha256`), or pass the webhook's \
             secret here"
        )));
    }
    Ok(Material::Secret(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))))
}

/// Reads the bytes of a public key: PEM, base64 or hex.
///
/// The PEM labels are read here, not by `rustls-pki-types`: that crate refuses a block on one line
/// (as an environment variable may hold it), and accepts a second block, text around
/// the block, and a private key before it.
fn decode(label: &str, text: &str) -> Result<Vec<u8>> {
    let refused = || unreadable(label, "PEM, base64 or hex");
    if text.len() > LONGEST_KEY {
        return Err(refused());
    }
    let text = text.trim_ascii();
    let text = match text.strip_prefix("-----BEGIN ") {
        None => text,
        Some(rest) => {
            let (kind, rest) = rest.split_once("-----").ok_or_else(refused)?;
            if kind.contains("PRIVATE") {
                return Err(Error::config(format!(
                    "the webhook key `{label}` is a private key: pass the public key instead, and \
                     treat the private key as compromised"
                )));
            }
            if kind != PEM_KIND {
                return Err(unreadable(label, "PEM that begins with `-----BEGIN PUBLIC KEY-----`"));
            }
            let (inside, end) = rest.split_once("-----END ").ok_or_else(refused)?;
            if end.strip_prefix(PEM_KIND) != Some("-----") {
                return Err(unreadable(label, "one PEM block"));
            }
            inside
        }
    };
    let text: String = text.split_ascii_whitespace().collect();
    // Base64 of any of these keys has letters beyond F.
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return from_hex(text.as_bytes()).ok_or_else(refused);
    }
    LENIENT.decode(text).map_err(|_| refused())
}

/// Returns `true` for the bytes of a public key.
fn is_public(bytes: &[u8]) -> bool {
    bytes.strip_prefix(ED25519_SPKI).is_some_and(|raw| raw.len() == 32)
        || (is_one_sequence(bytes) && PublicEncryptingKey::from_der(bytes).is_ok())
        || LENIENT
            .decode(PLATFORM_KEY)
            .is_ok_and(|spki| spki.strip_prefix(ED25519_SPKI) == Some(bytes))
}

/// Reads hex of either case into bytes.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| hex_byte(*pair)).collect())?
}

/// Returns `true` for one DER sequence with nothing behind it.
fn is_one_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(*high) << 8 | usize::from(*low)
        }
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        _ => false,
    }
}

/// Returns `true` if a point's order is at most 8, in any of its encodings: such a key accepts
/// signatures of everything (RFC 8032, 8.4, leaves it open whether they count).
fn is_of_small_order(point: &[u8]) -> bool {
    // The sign of x is in the last bit.
    let same = |known: &[u8; 32]| {
        known.iter().zip(point).take(31).all(|(a, b)| a == b)
            && known.last().zip(point.last()).is_some_and(|(a, b)| a & 0x7f == b & 0x7f)
    };
    SMALL_ORDER.iter().any(same)
}

fn unreadable(label: &str, what: &str) -> Error {
    Error::config(format!("the webhook key `{label}` is not {what}: copy the key again"))
}

/// The platform's Ed25519 key, as it is documented.
const PLATFORM_KEY: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
const PLATFORM_RSA_KEY: &str = include_str!("platform-rsa.pem");
const PEM_KIND: &str = "PUBLIC KEY";
/// Moments of a key that is always valid.
const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
const LONGEST_LABEL: usize = 64;
const LONGEST_KEY: usize = 16_384;
const LEAST_SECRET: usize = 16;
/// Prefix of the 32 bytes of a key (RFC 8410).
const ED25519_SPKI: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Keys come with their padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The y coordinates of the points of order 1, 2, 4 and 8, those too that are not reduced.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    little(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

const fn little(low: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = low;
    bytes
}

/// 2²⁵⁵ - 19 ends, or begins, with `ed`.
const fn near_p(low: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = low;
    bytes[31] = 0x7f;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use SignatureScheme::{Ed25519, HmacSha256, RsaSha256};

    fn refuse(scheme: SignatureScheme, key: &str) -> Error {
        let error = WebhookKey::new(scheme, "mine", key).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config, "{error}");
        assert!(error.message().contains("`mine`"), "{error}");
        assert!(
            key.len() < 8 || key.starts_with('-') || !error.message().contains(&key[..8]),
            "{error}"
        );
        error
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02X}"))
    }

    #[test]
    fn names_are_read_in_any_case() {
        for scheme in SignatureScheme::ALL {
            assert_eq!(SignatureScheme::from_name(&scheme.name().to_uppercase()), Some(scheme));
        }
        assert_eq!(SignatureScheme::from_name("rsa"), None);
    }

    #[test]
    fn a_public_key_may_be_written_in_every_form() {
        let spki = LENIENT.decode(PLATFORM_KEY).unwrap();
        let raw = &spki[12..];
        for form in [
            PLATFORM_KEY.to_owned(),
            PLATFORM_KEY.trim_end_matches('=').to_owned(),
            format!(" {}\r\n{}\n", &PLATFORM_KEY[..20], &PLATFORM_KEY[20..]),
            format!("-----BEGIN PUBLIC KEY-----\n{PLATFORM_KEY}\n-----END PUBLIC KEY-----\n"),
            format!("-----BEGIN PUBLIC KEY----- {PLATFORM_KEY} -----END PUBLIC KEY-----"),
            hex(&spki),
            hex(raw).to_lowercase(),
            LENIENT.encode(raw),
        ] {
            WebhookKey::new(Ed25519, "mine", &form).unwrap();
        }
        let inside: String =
            PLATFORM_RSA_KEY.lines().filter(|line| !line.starts_with('-')).collect();
        for form in
            [PLATFORM_RSA_KEY.to_owned(), inside.clone(), hex(&LENIENT.decode(&inside).unwrap())]
        {
            WebhookKey::new(RsaSha256, "mine", &form).unwrap();
        }
    }

    #[test]
    fn what_env_files_leave_in_a_key_is_told() {
        let pem = PLATFORM_RSA_KEY.trim_end();
        for bad in [
            "\"a-secret-of-some-length\"",
            "'a-secret-of-some-length'",
            "${WEBHOOK_SECRET_NAME}",
            "\u{feff}a-secret-of-some-length",
            "file:/etc/app/webhook.secret",
            "/run/secrets/webhook",
        ] {
            let error = refuse(HmacSha256, bad);
            assert!(
                !error.message().contains("secret-of") && !error.message().contains("WEBHOOK_"),
                "{error}"
            );
        }
        for (bad, what) in [
            (format!("\"{pem}\""), "quotes"),
            (pem.replace('\n', "\\n"), "`\\n`"),
            ("file:/etc/app/webhook.pem".to_owned(), "place of a file"),
        ] {
            let error = WebhookKey::new(RsaSha256, "mine", &bad).unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
        let trimmed = WebhookKey::new(HmacSha256, "mine", "a-secret-of-some-length\r\n").unwrap();
        let plain = hmac::Key::new(hmac::HMAC_SHA256, b"a-secret-of-some-length");
        assert!(trimmed.verifies(b"x", hmac::sign(&plain, b"x").as_ref()));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let spki = LENIENT.decode(PLATFORM_KEY).unwrap();
        let rsa: String = PLATFORM_RSA_KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let longer = [&spki[..], b"x"].concat();
        for bad in
            ["", " ", "x", "00", &hex(&spki[..43]), &hex(&longer), &rsa, "é", &"A".repeat(1 << 20)]
        {
            refuse(Ed25519, bad);
        }
        let longer = [&LENIENT.decode(&rsa).unwrap()[..], b"x"].concat();
        for bad in ["", "x", PLATFORM_KEY, &hex(&longer), &rsa[..rsa.len() - 8]] {
            refuse(RsaSha256, bad);
        }
        let pem =
            |kind: &str| format!("-----BEGIN {kind}-----\n{PLATFORM_KEY}\n-----END {kind}-----");
        assert!(refuse(Ed25519, &pem("PRIVATE KEY")).message().contains("private"));
        refuse(Ed25519, &pem("CERTIFICATE"));
        refuse(Ed25519, &format!("{}\n{}", pem(PEM_KIND), pem(PEM_KIND)));
        refuse(Ed25519, "-----BEGIN PUBLIC KEY-----");
        refuse(HmacSha256, "fifteen bytes..");
        WebhookKey::new(HmacSha256, "mine", "sixteen bytes...").unwrap();
        for label in ["", "a\nb", &"x".repeat(65)] {
            assert!(WebhookKey::new(Ed25519, label, PLATFORM_KEY).is_err());
        }
    }

    #[test]
    fn a_public_key_is_no_secret() {
        let spki = LENIENT.decode(PLATFORM_KEY).unwrap();
        let rsa: String = PLATFORM_RSA_KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let raw = &spki[12..];
        for public in [
            PLATFORM_KEY,
            PLATFORM_RSA_KEY,
            &rsa,
            &hex(&spki),
            &hex(raw).to_lowercase(),
            &LENIENT.encode(raw),
        ] {
            assert!(refuse(HmacSha256, public).message().contains("public"));
        }
        refuse(HmacSha256, "-----BEGIN PRIVATE KEY-----");
        for secret in
            ["0123456789abcdef".repeat(4), LENIENT.encode([7; 32]), LENIENT.encode([7; 44])]
        {
            WebhookKey::new(HmacSha256, "mine", &secret).unwrap();
        }
    }

    #[test]
    fn a_key_that_anybody_can_sign_for_is_refused() {
        for point in SMALL_ORDER {
            let mut other = point;
            other[31] |= 0x80;
            for point in [point, other] {
                assert!(refuse(Ed25519, &hex(&point)).message().contains("anybody"));
            }
        }
    }

    #[test]
    fn dates_include_their_ends() {
        let key =
            WebhookKey::platform().unwrap().not_before(Timestamp(10)).not_after(Timestamp(20));
        let why = |now| key.out_of_dates(Timestamp(now));
        assert_eq!(
            (why(9), why(10), why(20), why(21)),
            (Some("has not begun"), None, None, Some("has ended"))
        );
        assert!(key.check_dates().is_ok() && key.not_after(Timestamp(9)).check_dates().is_err());
    }
}
