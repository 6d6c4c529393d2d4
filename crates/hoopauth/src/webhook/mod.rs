//! Webhooks: keys, verification, replay, events.

use std::fmt;
use std::time::Duration;

use crate::account::Account;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::options::OptionRow;

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// `X-GHL-Signature`: Ed25519 over the raw body.
    Ed25519,
    /// `X-WH-Signature`: RSA PKCS#1 v1.5 with SHA-256 over the raw body.
    RsaSha256,
    /// `x-wl-signature` or `X-Hook-Signature`: HMAC-SHA256 over the raw body.
    HmacSha256,
}

impl SignatureScheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::RsaSha256, Self::HmacSha256];

    /// The name in every language: `ed25519`, `rsa-sha256`, `hmac-sha256`.
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

/// A key that webhooks may be signed with.
#[derive(Clone)]
pub struct WebhookKey {
    scheme: SignatureScheme,
    label: String,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

impl WebhookKey {
    /// A key. A public one is PEM, or SPKI DER or (Ed25519) the 32 raw bytes as base64 or hex; an HMAC secret is taken as it is and
    /// has at least 16 bytes. `label` is for people: a verified delivery tells it. `CONFIG`.
    pub fn new(scheme: SignatureScheme, label: &str, _key: &str) -> Result<Self> {
        Ok(Self { scheme, label: label.to_owned(), not_before: None, not_after: None })
    }

    /// Counts from this moment on only.
    #[must_use]
    pub fn not_before(mut self, moment: Timestamp) -> Self {
        self.not_before = Some(moment);
        self
    }

    /// Counts until this moment only.
    #[must_use]
    pub fn not_after(mut self, moment: Timestamp) -> Self {
        self.not_after = Some(moment);
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
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKey")
            .field("scheme", &self.scheme)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// The options of a verifier, by name as text: the same in every language.
pub static WEBHOOK_OPTIONS: &[OptionRow] = &[];

impl Client {
    /// Configures a verifier of webhooks for this client's app: `app_id` from `client_id`, replay memory in the client's store.
    pub fn webhook_verifier(&self) -> WebhookVerifierBuilder {
        WebhookVerifierBuilder { keys: Vec::new(), error: None }
    }

    /// Does what a verified INSTALL or UNINSTALL means for the grants of this client. Doing it again changes nothing.
    pub fn apply(&self, _event: &WebhookEvent) -> Result<Applied> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }
}

/// What [`Client::apply`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// The event says nothing about grants, or nothing new.
    Nothing,
    /// A location's grant was minted.
    Minted,
    /// The company's grant is not here yet: the location's is minted once it is.
    Remembered,
    /// Grants were removed.
    Removed,
    /// An UNINSTALL older than the grant's authorization: ignored.
    Outdated,
}

impl Applied {
    /// The name in every language: `nothing`, `minted`, `remembered`, `removed`, `outdated`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Minted => "minted",
            Self::Remembered => "remembered",
            Self::Removed => "removed",
            Self::Outdated => "outdated",
        }
    }
}

/// Configures a [`WebhookVerifier`]. A wrong value is reported by [`build`](Self::build).
#[must_use]
#[derive(Debug)]
pub struct WebhookVerifierBuilder {
    keys: Vec<WebhookKey>,
    error: Option<Error>,
}

impl WebhookVerifierBuilder {
    /// Adds a key beside the platform's own.
    pub fn key(mut self, key: WebhookKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets an option of [`WEBHOOK_OPTIONS`] by name.
    pub fn option(mut self, name: &str, _value: &str) -> Self {
        self.error.get_or_insert_with(|| Error::config(format!("there is no option `{name}`")));
        self
    }

    /// Checks everything and makes the verifier. No I/O; `CONFIG`.
    pub fn build(self) -> Result<WebhookVerifier> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(WebhookVerifier { keys: self.keys }),
        }
    }
}

/// Verifies webhooks. Cheap to share by reference; any thread may use it at any time.
#[derive(Debug)]
pub struct WebhookVerifier {
    keys: Vec<WebhookKey>,
}

impl WebhookVerifier {
    /// Configures a verifier without a client: replay memory in this process, and `app_id` or `any_app` must be said.
    pub fn builder() -> WebhookVerifierBuilder {
        WebhookVerifierBuilder { keys: Vec::new(), error: None }
    }

    /// Verifies signature, event, app, age and that it was not handled before; claims it until it is
    /// [confirmed](WebhookDelivery::confirm) or [released](WebhookDelivery::release).
    ///
    /// `headers` are all those of the request, in any case and order; `body` is what came, byte for byte.
    pub fn verify<'h>(
        &self,
        _headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        _body: &[u8],
    ) -> Result<WebhookDelivery> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }

    /// As [`verify`](Self::verify), with a map of the `http` crate.
    pub fn verify_http(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<WebhookDelivery> {
        self.verify(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())), body)
    }

    /// Verifies the signature alone, and answers with the key that it was made with. Nothing is claimed: whoever uses it takes care
    /// of replays, ages and foreign apps.
    pub fn verify_signature<'h>(
        &self,
        _headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        _body: &[u8],
    ) -> Result<&WebhookKey> {
        let _ = &self.keys;
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }
}

/// A verified event, claimed by this process. Dropped without [`confirm`](Self::confirm) it is released, so that the platform's retry is
/// accepted.
#[derive(Debug)]
pub struct WebhookDelivery {
    event: WebhookEvent,
    key: String,
}

impl WebhookDelivery {
    /// The event.
    pub fn event(&self) -> &WebhookEvent {
        &self.event
    }

    /// The label of the key that verified it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// It was handled: from now on it is `WEBHOOK_REPLAYED`.
    pub fn confirm(&self) -> Result<()> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }

    /// It was not handled: the next try of the platform is accepted.
    pub fn release(&self) -> Result<()> {
        Err(Error::new(ErrorCode::Internal, "not built yet"))
    }
}

/// What a webhook says.
#[derive(Clone)]
pub struct WebhookEvent {
    body: std::sync::Arc<[u8]>,
    event_type: String,
    id: String,
    timestamp: Option<Timestamp>,
    account: Option<Account>,
    app_id: Option<String>,
}

impl WebhookEvent {
    /// `type`, such as `ContactCreate`; unknown ones are passed on.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// `webhookId`, or a hash of the body where there is none.
    pub fn webhook_id(&self) -> &str {
        &self.id
    }

    /// When it happened.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The location it is about, else the company.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// `appId`.
    pub fn app_id(&self) -> Option<&str> {
        self.app_id.as_deref()
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, parsed.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEvent")
            .field("event_type", &self.event_type)
            .field("webhook_id", &self.id)
            .finish_non_exhaustive()
    }
}

#[allow(dead_code, reason = "until the rooms are built")]
const AGE: Duration = Duration::from_secs(3 * 86_400);
