//! Signatures: the headers that carry them, and the choice among several.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::keys::{SignatureScheme, WebhookKey};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::web_url::hex_byte;

/// The keys of a verifier.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<WebhookKey>,
    dated: bool,
}

/// Result of [`KeySet::verify`].
pub(super) struct Verified<'a> {
    /// The first key that verified.
    pub(super) key: &'a WebhookKey,
    /// `true` if a signature was made with a shared secret.
    pub(super) by_secret: bool,
}

impl KeySet {
    /// `CONFIG` without a key, and for one that could never count.
    pub(super) fn new(keys: Vec<WebhookKey>) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::config(
                "a webhook verifier needs a key: add one, or leave `platform_key` on",
            ));
        }
        keys.iter().try_for_each(WebhookKey::check_dates)?;
        let dated = keys.iter().any(WebhookKey::is_dated);
        Ok(Self { keys, dated })
    }

    /// Returns `true` if there is a key that signs for other apps, too.
    pub(super) fn has_public(&self) -> bool {
        self.keys.iter().any(|key| key.scheme() != SignatureScheme::HmacSha256)
    }

    /// Checks every signature that there is a key for; all of them must be good, and at least one
    /// there.
    pub(super) fn verify<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
        now: impl FnOnce() -> Timestamp,
    ) -> Result<Verified<'_>> {
        let mut found = HEADERS.map(|(name, scheme)| Found { name, scheme, value: None });
        for (name, value) in headers {
            if let Some(found) = slot(name).and_then(|slot| found.get_mut(slot)) {
                found.add(value)?;
            }
        }
        let now = if self.dated { now() } else { Timestamp::default() };
        let mut verified: Option<Verified<'_>> = None;
        for found in &found {
            let Some(signature) = found.signature() else { continue };
            if let Some(key) = self.check(found, signature, body, now)? {
                let by_secret = key.scheme() == SignatureScheme::HmacSha256;
                let first = verified.get_or_insert(Verified { key, by_secret });
                first.by_secret |= by_secret;
            }
        }
        verified.ok_or_else(|| self.unverified(&found, now))
    }

    /// The key that made a signature; `None` if there is none of its scheme that counts.
    fn check(
        &self,
        found: &Found<'_>,
        signature: &[u8],
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<&WebhookKey>> {
        let mut counting =
            self.of(found.scheme).filter(|key| key.out_of_dates(now).is_none()).peekable();
        if counting.peek().is_none() {
            return Ok(None);
        }
        let mut buffer = [0; LONGEST_SIGNATURE];
        let signature = found.decode(signature, &mut buffer)?;
        match counting.find(|key| key.verifies(body, signature)) {
            Some(key) => Ok(Some(key)),
            None => Err(invalid(format!(
                "the signature in `{}` was not made with {} over this body{}: answer 401. If the \
                 webhook is genuine, pass the body exactly as it came (not parsed and written \
                 again), and check that the key is the current one",
                found.name,
                self.labels(found.scheme, |key| key.out_of_dates(now).is_none()),
                self.out_of_dates(found.scheme, now),
            ))),
        }
    }

    /// Explains why nothing verified although no signature is wrong.
    #[cold]
    fn unverified(&self, found: &[Found<'_>], now: Timestamp) -> Error {
        if let Some(found) = found.iter().find(|found| found.signature().is_some()) {
            let scheme = found.scheme;
            if self.of(scheme).next().is_some() {
                return invalid(format!(
                    "the webhook is signed in `{}` only, and no key of `{}` is valid now{}: answer \
                     401, and add the current key",
                    found.name,
                    scheme.name(),
                    self.out_of_dates(scheme, now)
                ));
            }
            let cure = match scheme {
                SignatureScheme::Ed25519 => {
                    "leave `platform_key` on, or add the key that signed it"
                }
                SignatureScheme::RsaSha256 => {
                    "set `platform_rsa_key`, or add the key that signed it"
                }
                SignatureScheme::HmacSha256 => "add the webhook's secret as a key",
            };
            return invalid(format!(
                "the webhook is signed in `{}` only, and there is no key of `{}`: answer 401, and \
                 {cure}",
                found.name,
                scheme.name()
            ));
        }
        let wanted = HEADERS.iter().filter(|(_, scheme)| self.of(*scheme).next().is_some());
        let wanted: Vec<_> = wanted.map(|(name, _)| format!("`{name}`")).collect();
        let wanted = wanted.join(" or ");
        missing(match found.iter().find_map(|found| found.value.map(|value| (found.name, value))) {
            Some((name, [])) => {
                format!("the webhook's header `{name}` is empty, so it is not signed: answer 401")
            }
            Some((name, _)) => {
                format!("the webhook's header `{name}` is `N/A`, so it is not signed: answer 401")
            }
            None => format!(
                "the webhook carries no signature; it would be in {wanted}: answer 401, and check \
                 that all headers of the request are passed to the verifier"
            ),
        })
    }

    fn of(&self, scheme: SignatureScheme) -> impl Iterator<Item = &WebhookKey> {
        self.keys.iter().filter(move |key| key.scheme() == scheme)
    }

    fn labels(&self, scheme: SignatureScheme, wanted: impl Fn(&WebhookKey) -> bool) -> String {
        let labels: Vec<_> = self
            .of(scheme)
            .filter(|key| wanted(key))
            .map(|key| format!("`{}`", key.label()))
            .collect();
        labels.join(" or ")
    }

    /// The keys of a scheme that do not count, in brackets.
    fn out_of_dates(&self, scheme: SignatureScheme, now: Timestamp) -> String {
        let outs: Vec<_> = self
            .of(scheme)
            .filter_map(|key| Some(format!("`{}` {}", key.label(), key.out_of_dates(now)?)))
            .collect();
        if outs.is_empty() { String::new() } else { format!(" ({})", outs.join(", ")) }
    }
}

/// One header that may hold a signature.
struct Found<'h> {
    name: &'static str,
    scheme: SignatureScheme,
    value: Option<&'h [u8]>,
}

impl<'h> Found<'h> {
    /// Adds a value: one that was said before is the same one. Some servers join them with commas,
    /// which no signature holds.
    fn add(&mut self, value: &'h [u8]) -> Result<()> {
        for value in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if self.value.is_some_and(|before| before != value) {
                return Err(invalid(format!(
                    "the webhook carries `{}` several times with different values: answer 401",
                    self.name
                )));
            }
            self.value = Some(value);
        }
        Ok(())
    }

    /// The signature, unless the header is missing or says that there is none.
    fn signature(&self) -> Option<&'h [u8]> {
        self.value.filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case(NOT_SIGNED))
    }

    fn decode<'b>(&self, text: &[u8], buffer: &'b mut [u8; LONGEST_SIGNATURE]) -> Result<&'b [u8]> {
        let length = match self.scheme {
            SignatureScheme::Ed25519 => base64(text, buffer).filter(|length| *length == 64),
            SignatureScheme::RsaSha256 => base64(text, buffer),
            SignatureScheme::HmacSha256 => tag(text, buffer),
        };
        length.and_then(|length| buffer.get(..length)).ok_or_else(|| {
            let form = match self.scheme {
                SignatureScheme::Ed25519 => "64 bytes as base64",
                SignatureScheme::RsaSha256 => "at most 1024 bytes as base64",
                SignatureScheme::HmacSha256 => {
                    "64 hexadecimal digits or 44 characters of base64, with or without `sha256=` \
                     in front"
                }
            };
            invalid(format!(
                "the signature in `{}` is malformed: it is not {form}; answer \
                             401",
                self.name
            ))
        })
    }
}

/// The place of a header in [`HEADERS`]; names in any case.
fn slot(name: &str) -> Option<usize> {
    HEADERS.iter().position(|(known, _)| name.eq_ignore_ascii_case(known))
}

fn base64(text: &[u8], buffer: &mut [u8; LONGEST_SIGNATURE]) -> Option<usize> {
    if text.len() > LONGEST_SIGNATURE / 3 * 4 {
        return None;
    }
    BASE64_STANDARD.decode_slice(text, buffer).ok()
}

/// Reads an HMAC: hex or base64, told apart by length.
fn tag(text: &[u8], buffer: &mut [u8; LONGEST_SIGNATURE]) -> Option<usize> {
    let text = text.strip_prefix(b"sha256=").unwrap_or(text);
    match text.len() {
        64 => {
            for (byte, pair) in buffer.iter_mut().zip(text.as_chunks::<2>().0) {
                *byte = hex_byte(*pair)?;
            }
            Some(32)
        }
        44 => base64(text, buffer).filter(|length| *length == 32),
        _ => None,
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::SignatureInvalid, message)
}

fn missing(message: String) -> Error {
    Error::new(ErrorCode::SignatureMissing, message)
}

/// Headers that carry signatures.
const HEADERS: [(&str, SignatureScheme); 4] = [
    ("X-GHL-Signature", SignatureScheme::Ed25519),
    ("X-WH-Signature", SignatureScheme::RsaSha256),
    ("x-wl-signature", SignatureScheme::HmacSha256),
    ("X-Hook-Signature", SignatureScheme::HmacSha256),
];
const NOT_SIGNED: &[u8] = b"N/A";
/// Length of the signature of an RSA key of 8192 bits, rounded up as base64 decoding does.
const LONGEST_SIGNATURE: usize = 1026;
