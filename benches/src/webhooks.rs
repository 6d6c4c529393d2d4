//! Webhooks verified in a second on one core, beside the bare check of the signature.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoopauth::webhook::{SignatureScheme, WebhookKey, WebhookVerifier};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::pairs::Pairs;
use crate::{again, c, line, lines_of, median, python};

/// Verified a second over bare checks a second, by language and scheme.
pub(crate) type Ratios = Vec<(&'static str, String, Pairs)>;

/// Runs the programs in turns; a ratio is that of one round, of which the median counts.
pub(crate) fn measure(c: &c::Programs) -> Ratios {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.json");
    std::fs::write(&path, serde_json::to_vec(&Material::new()).unwrap()).unwrap();
    let file = path.to_str().unwrap();
    let programs: [&dyn Fn() -> Command; 3] = [
        &|| {
            let mut command = again();
            command.args(["webhooks", file]);
            command
        },
        &|| c.webhooks(file),
        &|| python::webhooks(file),
    ];
    let mut rates: BTreeMap<[String; 3], Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for program in programs {
            for line in lines_of(&mut program()) {
                let key =
                    ["via", "scheme", "stage"].map(|key| line[key].as_str().unwrap().to_owned());
                rates.entry(key).or_default().push(line["value"].as_f64().unwrap());
            }
        }
    }
    for ([via, scheme, stage], rates) in &rates {
        let more = json!({ "scheme": scheme, "stage": stage });
        line("webhook_verify", via, BODY_BYTES, Some(median(rates.clone())), "1/s", more);
    }
    let mut ratios = Vec::new();
    for via in ["rust", "c", "python"] {
        for scheme in
            [SignatureScheme::Ed25519, SignatureScheme::RsaSha256].map(SignatureScheme::name)
        {
            let of = |via: &str, stage: &str| &rates[&[via, scheme, stage].map(str::to_owned)];
            let ratios_of_rounds = Pairs::ratios(of(via, "verify"), of("rust", "primitive"));
            line(
                "webhook_verify_ratio",
                via,
                BODY_BYTES,
                Some(ratios_of_rounds.median()),
                "ratio",
                json!({ "scheme": scheme }),
            );
            ratios.push((via, scheme.replace('-', "_"), ratios_of_rounds));
        }
    }
    for peer in node(file) {
        println!("{peer}");
    }
    ratios
}

/// In Rust: the bare check with a parsed key, our check of the signature, and all of it, replay
/// memory included.
pub(crate) fn in_rust(file: &str) {
    let material: Material = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let verifier = material.verifier();
    for scheme in &material.schemes {
        let algorithm: Option<&'static dyn VerificationAlgorithm> = match scheme.name.as_str() {
            "ed25519" => Some(&signature::ED25519),
            "rsa-sha256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            _ => None,
        };
        let body = |index: usize| material.bodies[index].as_bytes();
        let headers =
            |index: usize| [(scheme.header.as_str(), scheme.signatures[index].as_bytes())];
        let mut stages: Vec<(&str, Stage<'_>)> = vec![
            (
                "verify",
                Box::new(|index| {
                    let _ = verifier.verify_signature(headers(index), body(index)).unwrap();
                }),
            ),
            // Dropped, and so given back: the next round may have it again.
            ("full", Box::new(|index| drop(verifier.verify(headers(index), body(index)).unwrap()))),
        ];
        if let Some(algorithm) = algorithm {
            let key =
                ParsedPublicKey::new(algorithm, STANDARD.decode(&scheme.key).unwrap()).unwrap();
            let signatures: Vec<Vec<u8>> =
                scheme.signatures.iter().map(|text| STANDARD.decode(text).unwrap()).collect();
            let check =
                move |index: usize| key.verify_sig(body(index), &signatures[index]).unwrap();
            stages.push(("primitive", Box::new(check)));
        }
        let mut rounds = vec![Vec::new(); stages.len()];
        for _ in 0..TURNS {
            for (rates, (_, stage)) in rounds.iter_mut().zip(&mut stages) {
                let start = Instant::now();
                for _ in 0..PASSES {
                    (0..material.bodies.len()).for_each(&mut *stage);
                }
                #[allow(clippy::cast_precision_loss, reason = "a thousand")]
                let checked = (PASSES * material.bodies.len()) as f64;
                rates.push(checked / start.elapsed().as_secs_f64());
            }
        }
        for (rates, (stage, _)) in rounds.into_iter().zip(&stages) {
            let more = json!({ "scheme": scheme.name, "stage": stage });
            line("webhook_verify", "rust", BODY_BYTES, Some(median(rates)), "1/s", more);
        }
    }
}

/// Measurement of one of the bodies.
type Stage<'a> = Box<dyn FnMut(usize) + 'a>;

/// Measures Node's own `crypto.verify`, if there is a Node.
fn node(file: &str) -> Vec<serde_json::Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/node/webhooks.js");
    let found =
        Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if found { lines_of(Command::new("node").args([script, file])) } else { Vec::new() }
}

/// Keys, bodies and their signatures, as all of the programs read them.
#[derive(Serialize, Deserialize)]
struct Material {
    bodies: Vec<String>,
    schemes: Vec<Scheme>,
}

#[derive(Serialize, Deserialize)]
struct Scheme {
    #[serde(rename = "scheme")]
    name: String,
    header: String,
    /// SPKI in base64; the secret itself for HMAC.
    key: String,
    /// One for each body.
    signatures: Vec<String>,
}

impl Material {
    fn new() -> Self {
        let bodies: Vec<String> = (0..BODIES).map(body).collect();
        let signed = |sign: &dyn Fn(&[u8]) -> Vec<u8>| {
            bodies.iter().map(|body| STANDARD.encode(sign(body.as_bytes()))).collect()
        };
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let rsa = signature::RsaKeyPair::generate(KeySize::Rsa4096).unwrap();
        let secret = "0123456789abcdef0123456789abcdef";
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let schemes = vec![
            Scheme {
                name: "ed25519".into(),
                header: "X-GHL-Signature".into(),
                key: STANDARD.encode(
                    AsDer::<PublicKeyX509Der<'_>>::as_der(ed25519.public_key()).unwrap().as_ref(),
                ),
                signatures: signed(&|body| ed25519.sign(body).as_ref().to_vec()),
            },
            Scheme {
                name: "rsa-sha256".into(),
                header: "X-WH-Signature".into(),
                key: STANDARD.encode(
                    AsDer::<PublicKeyX509Der<'_>>::as_der(rsa.public_key()).unwrap().as_ref(),
                ),
                signatures: signed(&|body| {
                    let mut signature = vec![0; rsa.public_modulus_len()];
                    rsa.sign(&signature::RSA_PKCS1_SHA256, &random, body, &mut signature).unwrap();
                    signature
                }),
            },
            Scheme {
                name: "hmac-sha256".into(),
                header: "x-wl-signature".into(),
                key: secret.into(),
                signatures: signed(&|body| hmac::sign(&hmac_key, body).as_ref().to_vec()),
            },
        ];
        Self { bodies, schemes }
    }

    fn verifier(&self) -> WebhookVerifier {
        // One key of each scheme, as the primitive has it.
        let mut builder =
            WebhookVerifier::builder().option("any_app", "true").option("platform_key", "false");
        for scheme in &self.schemes {
            let name = SignatureScheme::from_name(&scheme.name).unwrap();
            builder = builder.key(WebhookKey::new(name, &scheme.name, &scheme.key).unwrap());
        }
        builder.build().unwrap()
    }
}

/// An event of about two kilobytes.
fn body(number: usize) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut event = json!({
        "type": "ContactUpdate",
        "webhookId": format!("00000000-0000-4000-8000-{number:012}"),
        "timestamp": u64::try_from(now).unwrap(),
        "locationId": "hoopLocation00000001",
        "appId": "0123456789abcdef01234567",
        "note": "",
    });
    event["note"] = "x".repeat(BODY_BYTES - event.to_string().len()).into();
    event.to_string()
}

const BODY_BYTES: usize = 2048;
const BODIES: usize = 100;
const PASSES: usize = 10;
const TURNS: usize = 5;
const ROUNDS: usize = 5;
