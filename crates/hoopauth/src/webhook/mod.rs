//! Webhooks: keys, verification, replay, events.
//!
//! A [`WebhookVerifier`] says whether a request is a genuine, fresh event of this app that nobody has handled yet, and
//! [`Client::apply`] does what an installation means for the grants.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

mod event;
mod keys;
mod lifecycle;
mod options;
mod replay;
mod signature;
mod timestamp;

pub use self::event::WebhookEvent;
pub use self::keys::{SignatureScheme, WebhookKey};
pub use self::lifecycle::Applied;
pub(crate) use self::lifecycle::{Installs, MintFor};
pub use self::options::WEBHOOK_OPTIONS;

use self::event::VerifiedFor;
use self::options::Settings;
use self::replay::{Ids, Lives, Memory, Replay};
use self::signature::{KeySet, Verified};
use crate::client::Client;
use crate::clock::{ClientClock, Clock, Timestamp};
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::options::OptionSet;
use crate::sync::Mutex;

impl Client {
    /// Configures a verifier of webhooks for this client's app: `app_id` from `client_id`, replay memory in the client's store.
    pub fn webhook_verifier(&self) -> WebhookVerifierBuilder {
        WebhookVerifierBuilder::new(Some(Arc::clone(&self.inner)))
    }
}

/// Configures a [`WebhookVerifier`]. A wrong value is reported by [`build`](Self::build).
#[must_use]
pub struct WebhookVerifierBuilder {
    client: Option<Arc<Inner>>,
    keys: Vec<WebhookKey>,
    options: OptionSet,
    clock: Option<Arc<dyn Clock>>,
    error: Option<Error>,
}

impl WebhookVerifierBuilder {
    fn new(client: Option<Arc<Inner>>) -> Self {
        Self { client, keys: Vec::new(), options: OptionSet::of(WEBHOOK_OPTIONS), clock: None, error: None }
    }

    /// Adds a key beside the platform's own.
    pub fn key(mut self, key: WebhookKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets an option of [`WEBHOOK_OPTIONS`] by name. The last value wins.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.options.set(name, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// A clock of the host's own, instead of the client's or the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Checks everything and makes the verifier. No I/O; `CONFIG`.
    pub fn build(self) -> Result<WebhookVerifier> {
        let Self { client, mut keys, options, clock, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        if options.boolean("platform_rsa_key") {
            keys.insert(0, WebhookKey::platform_rsa()?);
        }
        if options.boolean("platform_key") {
            keys.insert(0, WebhookKey::platform()?);
        }
        let keys = KeySet::new(keys)?;
        let settings = Settings::read(&options, client.as_ref().and_then(|inner| inner.credential.app_id()));
        if keys.has_public() && settings.app_id.is_none() && !settings.any_app {
            return Err(Error::config(
                "a verifier of webhooks must know its app, for the platform signs those of every app: set `app_id`, make it \
                 with a client of OAuth, or say `any_app`",
            ));
        }
        let oauth = client.as_ref().filter(|inner| inner.oauth().is_ok());
        let room = usize::try_from(options.number("replay_memory")).unwrap_or(usize::MAX);
        let replay = match (options.text("replay").as_deref(), oauth) {
            (Some("off"), _) => Replay::Off,
            // A memory store of the client's own keeps no more for it than the process can.
            (Some("store") | None, Some(inner)) if inner.watch.is_none() => {
                let memory = || Arc::new(Mutex::new(Memory::new(room)));
                let memory = Arc::clone(inner.installs.deliveries.get_or_init(memory));
                Replay::Memory(memory, Some(Arc::clone(inner)))
            }
            (Some("store") | None, Some(inner)) => Replay::Store(Arc::clone(inner)),
            (Some("store"), None) => {
                return Err(Error::config(
                    "`replay` is `store`, which only a client of OAuth has: make the verifier with one",
                ));
            }
            _ => Replay::Memory(Arc::new(Mutex::new(Memory::new(room))), None),
        };
        let remembered = match &replay {
            // Another verifier on the same store may accept older ones than this.
            Replay::Store(_) | Replay::Memory(_, Some(_)) => USUAL_AGE,
            _ => settings.max_age,
        };
        if settings.max_age > remembered {
            return Err(Error::config(
                "`max_age` is over 259200 seconds (3 days), and what was handled by others on the client's store is not remembered \
                 for longer: give it no more, or set `replay` to `memory`",
            ));
        }
        let lives = Lives { claim: settings.claim, done: remembered.saturating_add(DONE_SLACK) };
        let clock = match (clock, &client) {
            (None, Some(inner)) => VerifierClock::Client(Arc::clone(inner)),
            (clock, _) => VerifierClock::Own(ClientClock::new(clock, false)),
        };
        let client = client.map(|inner| inner.settings.app.as_str().into());
        Ok(WebhookVerifier { shared: Arc::new(Shared { keys, settings, client, replay, lives, clock }) })
    }
}

impl fmt::Debug for WebhookVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookVerifierBuilder")
            .field("keys", &self.keys)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Verifies webhooks. Cheap to clone, any thread may use it at any time.
#[derive(Clone)]
pub struct WebhookVerifier {
    shared: Arc<Shared>,
}

impl WebhookVerifier {
    /// Configures a verifier without a client: replay memory in this process, and `app_id` or `any_app` must be said.
    pub fn builder() -> WebhookVerifierBuilder {
        WebhookVerifierBuilder::new(None)
    }

    /// Verifies signature, event, app, age and that it was not handled before; claims it until it is
    /// [confirmed](WebhookDelivery::confirm) or [released](WebhookDelivery::release).
    ///
    /// `headers` are all those of the request, in any case and order; `body` is what came, byte for byte.
    /// Errors: `SIGNATURE_MISSING`, `SIGNATURE_INVALID` (also for another app's event), `WEBHOOK_MALFORMED`, `WEBHOOK_STALE`,
    /// `WEBHOOK_REPLAYED`, `LEASE_TIMEOUT` while it is being handled, and those of the store.
    pub fn verify<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<WebhookDelivery> {
        let shared = &self.shared;
        let settings = &shared.settings;
        if body.len() > settings.max_body {
            return Err(Error::new(
                ErrorCode::WebhookMalformed,
                format!("the webhook's body has {} bytes, more than `max_body`: refuse it", body.len()),
            ));
        }
        let verified = shared.keys.verify(headers, body, || shared.clock.now())?;
        let mut event = WebhookEvent::parse(body)?;
        shared.check_app(&mut event, &verified)?;
        shared.replay.check()?;
        let ids = Ids::of(&event);
        let (now, moment) = shared.clock.both();
        if let Err(stale) = settings.check_age(&event, now) {
            // One that was handled is told as such, so that the platform is answered as it should be.
            return Err(if shared.replay.is_done(&ids, now)? { replay::replayed() } else { stale });
        }
        shared.replay.claim(&ids, &event, shared.lives, now)?;
        Ok(WebhookDelivery {
            key: verified.key.label().to_owned(),
            shared: Arc::clone(shared),
            event,
            ids,
            claimed_at: (now, moment),
            state: AtomicU8::new(CLAIMED),
            process: std::process::id(),
        })
    }

    /// The client whose store it is remembered in.
    #[doc(hidden)]
    pub fn remembered_by(&self) -> Option<Client> {
        self.shared.remembered_by()
    }

    /// The longest body that is accepted, in bytes: whoever reads one off a connection may stop there.
    pub fn max_body(&self) -> usize {
        self.shared.settings.max_body
    }

    /// As [`verify`](Self::verify), with a map of the `http` crate.
    pub fn verify_http(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<WebhookDelivery> {
        self.verify(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())), body)
    }

    /// Verifies the signature alone, and answers with the key that it was made with. Nothing is claimed: whoever uses it takes care
    /// of replays, ages and foreign apps.
    pub fn verify_signature<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<&WebhookKey> {
        self.shared.keys.verify(headers, body, || self.shared.clock.now()).map(|verified| verified.key)
    }
}

impl fmt::Debug for WebhookVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookVerifier")
            .field("keys", &self.shared.keys)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// A verified event, claimed by this process. Dropped without [`confirm`](Self::confirm) it is released, so that the platform's retry is
/// accepted.
pub struct WebhookDelivery {
    event: WebhookEvent,
    key: String,
    shared: Arc<Shared>,
    ids: Ids,
    claimed_at: (Timestamp, u64),
    state: AtomicU8,
    process: u32,
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

    /// It was handled: from now on it is `WEBHOOK_REPLAYED`. If that can't be stored it may be tried again, and the claim is kept
    /// until it ends. `INVALID_STATE` after a release.
    pub fn confirm(&self) -> Result<()> {
        match self.state.compare_exchange(CLAIMED, HANDLED, Ordering::SeqCst, Ordering::SeqCst) {
            Err(CONFIRMED) => return Ok(()),
            Err(RELEASED) => {
                return Err(Error::state(
                    "the webhook was released, so that another may have it: confirm it before, or not at all",
                ));
            }
            Ok(_) | Err(_) => {}
        }
        let shared = &self.shared;
        self.check_process()?;
        shared.replay.confirm(&self.ids, &self.event, shared.lives, shared.clock.now())?;
        self.state.store(CONFIRMED, Ordering::SeqCst);
        Ok(())
    }

    /// It was not handled: the next try of the platform is accepted. `INVALID_STATE` after [`confirm`](Self::confirm).
    pub fn release(&self) -> Result<()> {
        match self.state.compare_exchange(CLAIMED, RELEASED, Ordering::SeqCst, Ordering::SeqCst) {
            Err(RELEASED) => Ok(()),
            Err(_) => {
                Err(Error::state("the webhook was confirmed as handled: release it before, or not at all"))
            }
            Ok(_) => {
                self.check_process()?;
                self.give_back().inspect_err(|_| self.state.store(CLAIMED, Ordering::SeqCst))
            }
        }
    }

    /// The client whose store it is remembered in.
    #[doc(hidden)]
    pub fn remembered_by(&self) -> Option<Client> {
        self.shared.remembered_by()
    }

    /// Refuses what a forked child does with its parent's.
    fn check_process(&self) -> Result<()> {
        if self.process != std::process::id() {
            return Err(Error::state(
                "the process was forked since the webhook was verified: the one that verified it confirms or releases it",
            ));
        }
        Ok(())
    }

    /// Ends the claim, unless it has ended by itself and may be another's now.
    fn give_back(&self) -> Result<()> {
        let (now, moment) = self.shared.clock.both();
        let claim = self.shared.lives.claim;
        // What ends in a moment is left alone: until the store is told it could be another's.
        let mine = claim.saturating_sub((claim / 10).min(CLOSE));
        let since = Duration::from_millis(moment.saturating_sub(self.claimed_at.1));
        if now.since(self.claimed_at.0) >= mine || since >= mine {
            return Ok(());
        }
        self.shared.replay.release(&self.ids)
    }
}

impl Drop for WebhookDelivery {
    fn drop(&mut self) {
        // A forked child's copy is not what handles it.
        if *self.state.get_mut() == CLAIMED
            && self.check_process().is_ok()
            && let Err(error) = self.give_back()
        {
            tracing::warn!(%error, "a webhook's claim could not be released; it ends by itself");
        }
    }
}

impl fmt::Debug for WebhookDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookDelivery")
            .field("event", &self.event)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a verifier and its deliveries share.
struct Shared {
    keys: KeySet,
    settings: Settings,
    /// What everything that the client stores is keyed by.
    client: Option<Arc<str>>,
    replay: Replay,
    lives: Lives,
    clock: VerifierClock,
}

impl Shared {
    fn remembered_by(&self) -> Option<Client> {
        match &self.replay {
            Replay::Store(inner) | Replay::Memory(_, Some(inner)) => {
                Some(Client { inner: Arc::clone(inner) })
            }
            Replay::Memory(_, None) | Replay::Off => None,
        }
    }

    /// Refuses other apps' events: the platform's keys sign those of every app. A shared secret is this app's own, so that an event
    /// signed with it need not name the app, unless it is about grants.
    fn check_app(&self, event: &mut WebhookEvent, verified: &Verified<'_>) -> Result<()> {
        let settings = &self.settings;
        let why = match (settings.app_id.as_deref(), event.app_id()) {
            (Some(own), Some(theirs)) if own == theirs => {
                event.set_verified(self.client.clone().map_or(VerifiedFor::AppId, VerifiedFor::Client));
                return Ok(());
            }
            (None, _) if event.lifecycle().is_some() => {
                "this verifier does not know its app, which INSTALL and UNINSTALL need: set `app_id`"
            }
            _ if event.lifecycle().is_none() && settings.any_app => return Ok(()),
            (_, None) | (None, Some(_)) if event.lifecycle().is_none() && verified.by_secret => return Ok(()),
            (_, None) => {
                "it names no `appId`, so that it may be another app's; `any_app` accepts such events, other than INSTALL and \
                 UNINSTALL"
            }
            (_, Some(_)) => {
                "its `appId` is not `app_id`; `any_app` accepts such events, other than INSTALL and UNINSTALL"
            }
        };
        Err(Error::new(
            ErrorCode::SignatureInvalid,
            format!("the webhook's signature is right, but it was signed for another app: {why}"),
        ))
    }
}

impl Settings {
    fn check_age(&self, event: &WebhookEvent, now: Timestamp) -> Result<()> {
        let stale = |message: String| Err(Error::new(ErrorCode::WebhookStale, message));
        let Some(moment) = event.timestamp() else {
            if self.without_timestamp {
                return Ok(());
            }
            return stale(
                "the webhook has no `timestamp`, so that its age is not known: refuse it, or set `without_timestamp`".to_owned(),
            );
        };
        if moment.since(now) > FUTURE {
            return stale(format!(
                "the webhook is {} seconds from the future: refuse it, and look at this computer's clock",
                moment.since(now).as_secs()
            ));
        }
        if now.since(moment) > self.max_age {
            return stale(format!(
                "the webhook is {} seconds old, more than `max_age`: refuse it, and look at this computer's clock",
                now.since(moment).as_secs()
            ));
        }
        Ok(())
    }
}

/// A verifier's time: its client's, the host's or the system's.
enum VerifierClock {
    Client(Arc<Inner>),
    Own(ClientClock),
}

impl VerifierClock {
    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    fn both(&self) -> (Timestamp, u64) {
        self.clock().both()
    }

    fn clock(&self) -> &ClientClock {
        match self {
            Self::Client(inner) => &inner.clock,
            Self::Own(clock) => clock,
        }
    }
}

/// The states of a delivery; `HANDLED` until that is stored.
const CLAIMED: u8 = 0;
const HANDLED: u8 = 1;
const CONFIRMED: u8 = 2;
const RELEASED: u8 = 3;

/// How far clocks may be apart.
const FUTURE: Duration = Duration::from_secs(300);
/// The default of `max_age`.
const USUAL_AGE: Duration = Duration::from_secs(259_200);
/// How much longer than it is accepted a delivery is remembered: an event may be from the future, and clocks may be set.
const DONE_SLACK: Duration = Duration::from_secs(3_600);
const CLOSE: Duration = Duration::from_secs(5);
