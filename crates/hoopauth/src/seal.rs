//! Encryption at rest: sealed bytes, several keys, keyed fingerprints.
//!
//! A sealed value is `form (1) | key id (8) | nonce (12) | ciphertext | tag (16)`, AES-256-GCM
//! (NIST SP 800-38D). The associated data is form, key id, and each part that the value is bound to
//! behind its length. Two forms:
//!
//! - `1` is bound to what its parts say: a pending authorization to its app. Grants were sealed so
//!   before the form `2`, bound to app and account.
//! - `2` is bound to a generation besides, its last part, 8 bytes big-endian: grants, so that an
//!   older grant of the same account can't be put back in the place of a newer one.
//!
//! Keys and key ids come from the host program's secret by HKDF-SHA256 (RFC 5869), one label per
//! purpose. HKDF does not make a guessable secret strong: the secret itself has to be random.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac, rand};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::secret::Secret;

/// Purpose of the keys that seal stored grants.
pub(crate) const GRANT_LABEL: &str = "hoopauth/grant/v1";

/// Purpose of the keys that seal pending authorizations.
pub(crate) const PENDING_LABEL: &str = "hoopauth/pending/v1";

/// Purpose of the key behind fingerprints of refresh tokens.
pub(crate) const FINGERPRINT_LABEL: &str = "hoopauth/fingerprint/v1";

/// Bytes from the system's cryptographic random source.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| {
        Error::new(ErrorCode::Internal, "the system's random source failed: check the host")
    })?;
    Ok(bytes)
}

/// Keys of one purpose: the first seals, all of them open.
///
/// Nonces are random, so one key should seal fewer than 2^32 values (SP 800-38D, 8.3).
pub(crate) struct KeyRing {
    first: SealingKey,
    rest: Vec<SealingKey>,
}

impl KeyRing {
    /// Derives one key per secret for the purpose `label`. No secret, or an empty one, is
    /// `STORE_KEY`.
    pub(crate) fn from_secrets(secrets: &[&Secret], label: &str) -> Result<Self> {
        let (first, rest) = secrets.split_first().ok_or_else(no_key)?;
        Ok(Self {
            first: SealingKey::derive(first, label)?,
            rest: rest
                .iter()
                .map(|secret| SealingKey::derive(secret, label))
                .collect::<Result<_>>()?,
        })
    }

    /// Encrypts `plain`; only the same `aad`, part by part, opens it again.
    pub(crate) fn seal(&self, aad: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_as(PLAIN, aad, plain)
    }

    /// Seals as [`seal`](Self::seal) does, and binds the value to the generation that it is stored
    /// as.
    pub(crate) fn seal_numbered(
        &self,
        aad: &[&[u8]],
        generation: u64,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        self.seal_as(NUMBERED, &[aad, &[&generation.to_be_bytes()]].concat(), plain)
    }

    fn seal_as(&self, form: u8, aad: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::new(ErrorCode::Internal, "encryption failed; please report it");
        let key = &self.first;
        let nonce = random::<NONCE_LENGTH>()?;

        // Whole from the start: growing it would leave copies behind.
        let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
        sealed.push(form);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.resize(OVERHEAD + plain.len(), 0);

        let (_, body) = sealed.split_at_mut(HEADER_LENGTH);
        let (ciphertext, tag) = body.split_at_mut(plain.len());
        key.cipher
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                associated(form, key.id, aad),
                plain,
                ciphertext,
                &[],
                tag,
            )
            .map_err(failed)?;
        Ok(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) made. `STORE_KEY` if none of the keys sealed it,
    /// `STORE_CORRUPT` if it was changed, cut, moved to other `aad`, or written by a later version.
    pub(crate) fn open(&self, aad: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_as(PLAIN, aad, sealed)
    }

    /// Decrypts what [`seal_numbered`](Self::seal_numbered) made for this generation.
    pub(crate) fn open_numbered(
        &self,
        aad: &[&[u8]],
        generation: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.open_as(NUMBERED, &[aad, &[&generation.to_be_bytes()]].concat(), sealed)
    }

    fn open_as(&self, form: u8, aad: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (&found, rest) = sealed.split_first().ok_or_else(corrupt)?;
        if found != form {
            return Err(if found > NUMBERED { from_later(found) } else { corrupt() });
        }
        let (id, rest) = rest.split_first_chunk::<ID_LENGTH>().ok_or_else(corrupt)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(corrupt)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LENGTH>().ok_or_else(corrupt)?;

        match self.all().find(|key| key.id == *id) {
            Some(key) => key.open(form, nonce, aad, ciphertext, tag).ok_or_else(corrupt),
            // Opened by one of ours all the same: the id itself was changed.
            None if self.all().any(|key| key.open(form, nonce, aad, ciphertext, tag).is_some()) => {
                Err(corrupt())
            }
            None => Err(Error::new(
                ErrorCode::StoreKey,
                "a value was sealed with a key that is not among those given: give the key that it \
                 was sealed with; while you change keys, give the new one first and the old one \
                 behind it",
            )),
        }
    }

    /// Returns `true` if there are keys that only open.
    pub(crate) fn has_older(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Returns `true` if the first key sealed this, as far as its id tells, in the form that grants
    /// have now.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.strip_prefix(&[NUMBERED]).is_some_and(|rest| rest.starts_with(&self.first.id))
    }

    fn all(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

/// Returns `true` for sealed bytes; JSON never begins so.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(&(PLAIN | NUMBERED)))
}

/// Returns `true` for bytes in the form of a release that did not bind grants to their generation.
pub(crate) fn is_unnumbered(bytes: &[u8]) -> bool {
    bytes.first() == Some(&PLAIN)
}

/// Keyed hashes (HMAC-SHA256, RFC 2104) by which secrets are recognized without being kept.
pub(crate) struct Fingerprinter {
    key: hmac::Key,
}

impl Fingerprinter {
    /// Derives the key for the purpose `label`. An empty secret is `STORE_KEY`.
    pub(crate) fn from_secret(secret: &Secret, label: &str) -> Result<Self> {
        let key = derive(secret, label, "/mac")?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*key) })
    }

    /// The fingerprint of `text`; another `context` gives another one.
    pub(crate) fn of(&self, context: &str, text: &str) -> [u8; 16] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&length(context.as_bytes()));
        mac.update(context.as_bytes());
        mac.update(text.as_bytes());
        let tag = mac.sign();

        let mut fingerprint = [0; 16];
        for (to, from) in fingerprint.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        fingerprint
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprinter").finish_non_exhaustive()
    }
}

struct SealingKey {
    id: [u8; ID_LENGTH],
    cipher: LessSafeKey,
}

impl SealingKey {
    fn derive(secret: &Secret, label: &str) -> Result<Self> {
        let key = derive(secret, label, "/key")?;
        let unbound = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| underivable())?;
        let named = derive(secret, label, "/id")?;
        let id = named.first_chunk().ok_or_else(underivable)?;
        Ok(Self { id: *id, cipher: LessSafeKey::new(unbound) })
    }

    fn open(
        &self,
        form: u8,
        nonce: &[u8; NONCE_LENGTH],
        aad: &[&[u8]],
        ciphertext: &[u8],
        tag: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(vec![0; ciphertext.len()]);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.cipher
            .open_separate_gather(
                nonce,
                associated(form, self.id, aad),
                ciphertext,
                tag,
                &mut plain,
            )
            .ok()
            .map(|()| plain)
    }
}

fn derive(secret: &Secret, label: &str, part: &str) -> Result<Zeroizing<[u8; 32]>> {
    if secret.is_empty() {
        return Err(no_key());
    }
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(secret.expose().as_bytes())
        .expand(&[label.as_bytes(), part.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .map_err(|_| underivable())?;
    Ok(key)
}

/// Each part behind its length, so that no two lists of parts give the same bytes.
fn associated(form: u8, id: [u8; ID_LENGTH], parts: &[&[u8]]) -> Aad<Vec<u8>> {
    let mut bytes = vec![form];
    bytes.extend_from_slice(&id);
    for part in parts {
        bytes.extend_from_slice(&length(part));
        bytes.extend_from_slice(part);
    }
    Aad::from(bytes)
}

fn length(bytes: &[u8]) -> [u8; 8] {
    (bytes.len() as u64).to_be_bytes()
}

fn no_key() -> Error {
    Error::new(
        ErrorCode::StoreKey,
        "the key is missing or empty: set `store_key` to a random secret of at least 16 bytes",
    )
}

fn underivable() -> Error {
    Error::new(ErrorCode::Internal, "a key could not be derived; please report it")
}

fn corrupt() -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        "a sealed value does not open: it was changed, or belongs to another account or to an \
         older state of this one; authorize the account again, or restore the whole store from a \
         backup",
    )
}

fn from_later(form: u8) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        format!(
            "a sealed value has form {form}, this release reads {PLAIN} and {NUMBERED}: a later \
             release wrote it, or it was changed; upgrade hoopauth, or restore the store from a \
             backup"
        ),
    )
}

const PLAIN: u8 = 1;
const NUMBERED: u8 = 2;
const ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;
const HEADER_LENGTH: usize = 1 + ID_LENGTH + NONCE_LENGTH;
const OVERHEAD: usize = HEADER_LENGTH + TAG_LENGTH;

#[cfg(test)]
mod tests {
    use super::*;

    const AAD: &[&[u8]] = &[b"app", b"location:1"];

    fn ring(secrets: &[&str]) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::from(*text)).collect();
        KeyRing::from_secrets(&secrets.iter().collect::<Vec<_>>(), GRANT_LABEL).unwrap()
    }

    fn code<T>(result: Result<T>) -> ErrorCode {
        result.err().unwrap().code()
    }

    #[test]
    fn opens_what_it_sealed() {
        let ring = ring(&["one"]);
        for plain in [&b""[..], b"x", &vec![7; 100_000]] {
            let sealed = ring.seal(AAD, plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            assert_eq!(&**ring.open(AAD, &sealed).unwrap(), plain);
        }
    }

    #[test]
    fn a_value_opens_for_its_own_generation_only() {
        let ring = ring(&["one"]);
        let sealed = ring.seal_numbered(AAD, 7, b"planted").unwrap();
        assert_eq!(&**ring.open_numbered(AAD, 7, &sealed).unwrap(), b"planted");
        assert!(is_sealed(&sealed) && !is_unnumbered(&sealed));
        for generation in [0, 6, 8, u64::MAX] {
            let opened = ring.open_numbered(AAD, generation, &sealed);
            assert_eq!(code(opened), ErrorCode::StoreCorrupt, "{generation}");
        }
        // Neither form passes for the other, not even with its first byte changed.
        let plain = ring.seal(&[AAD[0], AAD[1], &7_u64.to_be_bytes()], b"planted").unwrap();
        assert!(is_sealed(&plain) && is_unnumbered(&plain));
        for (mut from, other) in [(plain, NUMBERED), (sealed, PLAIN)] {
            for first in [from[0], other, NUMBERED + 1] {
                from[0] = first;
                let aad = &[AAD[0], AAD[1], &7_u64.to_be_bytes()[..]];
                let opened = if other == NUMBERED {
                    ring.open_numbered(AAD, 7, &from)
                } else {
                    ring.open(aad, &from)
                };
                assert_eq!(code(opened), ErrorCode::StoreCorrupt, "{first}");
            }
        }
    }

    #[test]
    fn never_seals_twice_alike() {
        let ring = ring(&["one"]);
        assert_ne!(ring.seal(AAD, b"same").unwrap(), ring.seal(AAD, b"same").unwrap());
    }

    #[test]
    fn a_flipped_bit_is_noticed_everywhere() {
        let ring = ring(&["one"]);
        let sealed = ring.seal(AAD, b"planted").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(
                    code(ring.open(AAD, &changed)),
                    ErrorCode::StoreCorrupt,
                    "byte {at} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn cut_or_lengthened_values_are_corrupt() {
        let ring = ring(&["one"]);
        let mut sealed = ring.seal(AAD, b"planted").unwrap();
        for length in 0..sealed.len() {
            assert_eq!(
                code(ring.open(AAD, &sealed[..length])),
                ErrorCode::StoreCorrupt,
                "{length}"
            );
        }
        sealed.push(0);
        assert_eq!(code(ring.open(AAD, &sealed)), ErrorCode::StoreCorrupt);
    }

    #[test]
    fn other_associated_data_is_refused() {
        let ring = ring(&["one"]);
        let sealed = ring.seal(&[b"ab", b"c"], b"planted").unwrap();
        let others: &[&[&[u8]]] =
            &[&[b"a", b"bc"], &[b"abc"], &[b"ab", b"c", b""], &[b"c", b"ab"], &[b"ab"], &[]];
        for aad in others {
            assert_eq!(code(ring.open(aad, &sealed)), ErrorCode::StoreCorrupt, "{aad:?}");
        }
    }

    #[test]
    fn keys_rotate() {
        let (old, new, both) = (ring(&["old"]), ring(&["new"]), ring(&["new", "old"]));
        let before = old.seal(AAD, b"before").unwrap();
        assert_eq!(&**both.open(AAD, &before).unwrap(), b"before");
        let after = both.seal(AAD, b"after").unwrap();
        assert_eq!(&**new.open(AAD, &after).unwrap(), b"after");
        assert_eq!(code(old.open(AAD, &after)), ErrorCode::StoreKey);
        assert_eq!(code(new.open(AAD, &before)), ErrorCode::StoreKey);
        assert!(both.has_older() && !new.has_older());
        let [before, after] = [&old, &both].map(|ring| ring.seal_numbered(AAD, 1, b"x").unwrap());
        assert!(both.is_current(&after) && !both.is_current(&before) && !both.is_current(&[]));
        assert!(!both.is_current(&both.seal(AAD, b"x").unwrap()));
    }

    #[test]
    fn labels_separate_purposes() {
        let secret = Secret::new("one");
        let grants = KeyRing::from_secrets(&[&secret], GRANT_LABEL).unwrap();
        let pending = KeyRing::from_secrets(&[&secret], PENDING_LABEL).unwrap();
        assert_eq!(code(pending.open(AAD, &grants.seal(AAD, b"x").unwrap())), ErrorCode::StoreKey);
    }

    #[test]
    fn a_missing_key_is_named_so() {
        assert_eq!(code(KeyRing::from_secrets(&[], GRANT_LABEL)), ErrorCode::StoreKey);
        let empty = Secret::new("");
        assert_eq!(
            code(KeyRing::from_secrets(&[&Secret::new("one"), &empty], GRANT_LABEL)),
            ErrorCode::StoreKey
        );
        assert_eq!(
            code(Fingerprinter::from_secret(&empty, FINGERPRINT_LABEL)),
            ErrorCode::StoreKey
        );
    }

    #[test]
    fn fingerprints_depend_on_key_context_and_text() {
        let one = Fingerprinter::from_secret(&Secret::new("one"), FINGERPRINT_LABEL).unwrap();
        let two = Fingerprinter::from_secret(&Secret::new("two"), FINGERPRINT_LABEL).unwrap();
        assert_eq!(one.of("app", "token"), one.of("app", "token"));
        assert_ne!(one.of("app", "token"), one.of("app", "Token"));
        assert_ne!(one.of("ap", "ptoken"), one.of("app", "token"));
        assert_ne!(one.of("app", "token"), two.of("app", "token"));
    }

    #[test]
    fn debug_shows_nothing() {
        let printer =
            Fingerprinter::from_secret(&Secret::new("planted"), FINGERPRINT_LABEL).unwrap();
        assert_eq!(
            format!("{:?} {printer:?}", ring(&["planted"])),
            "KeyRing { .. } Fingerprinter { .. }"
        );
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
