//! Webhooks: keys, verification, replay, events.
//!
//! A [`WebhookVerifier`] checks that a request is a genuine, fresh event for this app that nobody
//! has handled yet, and [`Client::apply`](crate::Client::apply) does what an installation means for
//! the grants.
//!
//! The platform sends an event again only if it was answered with 429, at least under one of its
//! documented policies. So a receiver answers 200 to an event that it handled, to
//! `WEBHOOK_REPLAYED` and to `WEBHOOK_FOREIGN`; 401 to `SIGNATURE_MISSING` and `SIGNATURE_INVALID`;
//! 400 to `WEBHOOK_MALFORMED` and `WEBHOOK_STALE`; and **429 to everything else**, its own failures
//! included.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

mod apply;
mod event;
mod keys;
mod options;
mod replay;
mod signature;
mod timestamp;

pub(crate) use self::apply::apply;
pub use self::event::WebhookEvent;
pub use self::keys::{SignatureScheme, WebhookKey};
pub use self::options::WEBHOOK_OPTIONS;
pub use crate::installs::Applied;

use self::event::{EventTime, NamedApp, VerifiedFor};
use self::options::VerifierSettings;
use self::replay::{Lives, Replay};
use self::signature::{KeySet, Verified};
use crate::clock::{ClientClock, Clock, Timestamp};
use crate::deliveries::{Deliveries, DeliveryIds, replayed};
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::options::OptionSet;
use crate::process::Process;
use crate::sync::Mutex;

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
    pub(crate) fn new(client: Option<Arc<Inner>>) -> Self {
        Self {
            client,
            keys: Vec::new(),
            options: OptionSet::of(WEBHOOK_OPTIONS),
            clock: None,
            error: None,
        }
    }

    /// Adds a key beside the platform's own.
    pub fn key(mut self, key: WebhookKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets an option of [`WEBHOOK_OPTIONS`] by name. The last value wins.
    pub fn option(self, name: &str, value: &str) -> Self {
        self.set(|options| options.set(name, value))
    }

    fn set(mut self, set: impl FnOnce(&mut OptionSet) -> Result<()>) -> Self {
        if let Err(error) = set(&mut self.options) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Sets a clock of the host, instead of the client's or the system's clock.
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
        if options.is_on("platform_rsa_key")? {
            keys.insert(0, WebhookKey::platform_rsa()?);
        }
        if options.is_on("platform_key")? {
            keys.insert(0, WebhookKey::platform()?);
        }
        let keys = KeySet::new(keys)?;
        let settings = VerifierSettings::read(
            &options,
            client.as_ref().and_then(|inner| inner.refresher.credential.app_id()),
        )?;
        if keys.has_public() && settings.app_id.is_none() && !settings.any_app {
            return Err(Error::config(
                "the platform signs the webhooks of all apps with one key, so a verifier must know \
                 its app: set `app_id`, make the verifier with a client that has a `client_id`, or \
                 set `any_app` to accept the events of all apps",
            ));
        }
        let oauth = client.as_ref().filter(|inner| inner.refresher.credential.oauth().is_ok());
        let room = options.size("replay_memory")?;
        let replay = match (options.choice("replay")?, oauth) {
            (Some("off"), _) => Replay::Off,
            // A memory store of the client's own keeps no more for it than the process can.
            (Some("store") | None, Some(inner)) if !inner.grants().is_shared() => {
                let memory = || Arc::new(Mutex::new(Deliveries::new(room)));
                let memory = Arc::clone(inner.deliveries.get_or_init(memory));
                Replay::Memory(memory, Some(Arc::clone(inner)))
            }
            (Some("store") | None, Some(inner)) => Replay::Store(Arc::clone(inner)),
            (Some("store"), None) => {
                return Err(Error::config(
                    "`replay` is `store`, but only a client with a `client_id` has a store: make \
                     the verifier with such a client, or set `replay` to `memory`",
                ));
            }
            _ => Replay::Memory(Arc::new(Mutex::new(Deliveries::new(room))), None),
        };
        let remembered = match &replay {
            // Another verifier on the same store may accept older ones than this.
            Replay::Store(_) | Replay::Memory(_, Some(_)) => USUAL_AGE,
            _ => settings.max_age,
        };
        if settings.max_age > remembered {
            return Err(Error::config(
                "`max_age` is more than 259200 seconds (3 days), but the client's store remembers \
                 handled webhooks for 3 days only: set a smaller `max_age`, or set `replay` to \
                 `memory`",
            ));
        }
        let lives = Lives {
            claim: settings.claim,
            done: remembered.saturating_add(DONE_SLACK),
            indistinct: INDISTINCT,
        };
        let clock = match (clock, &client) {
            (None, Some(inner)) => VerifierClock::Client(Arc::clone(inner)),
            (clock, _) => VerifierClock::Own(ClientClock::new(clock, false)),
        };
        // Its grants tell whose an event is that names no app, unless the verifier is for another
        // app.
        let grants = oauth
            .filter(|inner| settings.app_id.as_deref() == inner.refresher.credential.app_id())
            .cloned();
        let client = client.map(|inner| inner.settings().app.as_str().into());
        Ok(WebhookVerifier {
            shared: Arc::new(VerifierParts {
                keys,
                settings,
                client,
                grants,
                replay,
                lives,
                clock,
            }),
        })
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
    shared: Arc<VerifierParts>,
}

impl WebhookVerifier {
    /// Configures a verifier without a client: it remembers in this process, and `app_id` or
    /// `any_app` must be set. It has no grants to look at, so an event that names no app is
    /// `WEBHOOK_FOREIGN` unless a shared secret signed it or `any_app` is set.
    pub fn builder() -> WebhookVerifierBuilder {
        WebhookVerifierBuilder::new(None)
    }

    /// Verifies signature, event, app and age, and that the event was not handled before. Claims it
    /// until it is [confirmed](WebhookDelivery::confirm) or [released](WebhookDelivery::release).
    ///
    /// `headers` are all headers of the request, in any case and order; `body` is the raw body.
    ///
    /// The platform signs the events of all apps with one key. An event that names another app is
    /// foreign. An event that names no app is accepted if the client has a grant for its account or
    /// for its company (the verifier asks the store, not the platform), or if a shared secret
    /// signed it. `any_app` accepts both kinds. INSTALL and UNINSTALL must name this app.
    ///
    /// Errors, and what to answer to the platform: `WEBHOOK_REPLAYED` and `WEBHOOK_FOREIGN` (200,
    /// do nothing), `SIGNATURE_MISSING` and `SIGNATURE_INVALID` (401), `WEBHOOK_MALFORMED` and
    /// `WEBHOOK_STALE` (400); `LEASE_TIMEOUT` while another worker handles it, and those of the
    /// store (429: the platform then sends it again).
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
                format!(
                    "the webhook's body has {} bytes, more than `max_body` ({}): answer 400; if \
                     you expect such webhooks, raise `max_body`",
                    body.len(),
                    settings.max_body
                ),
            ));
        }
        let verified = shared.keys.verify(headers, body, || shared.clock.now())?;
        let mut event = WebhookEvent::parse(body)?;
        shared.replay.check()?;
        shared.check_app(&mut event, &verified)?;
        let ids = DeliveryIds::of(event.webhook_id());
        let (now, moment) = shared.clock.both();
        if let Err(stale) = settings.check_age(&event, &verified, now) {
            // One that was handled is told as such, so that the platform is answered as it should
            // be.
            return Err(if shared.replay.is_done(&ids, now)? { replayed() } else { stale });
        }
        shared.replay.claim(&ids, &event, shared.lives, now)?;
        Ok(WebhookDelivery {
            key: verified.key.label().to_owned(),
            shared: Arc::clone(shared),
            event,
            ids,
            claimed_at: (now, moment),
            state: AtomicU8::new(CLAIMED),
            process: Process::this(),
        })
    }

    /// Returns the client whose store a verification may wait for.
    pub(crate) fn waits_for(&self) -> Option<&Arc<Inner>> {
        self.shared.remembered_by().or(self.shared.grants.as_ref())
    }

    /// Returns the longest body that is accepted, in bytes: a reader of the connection may stop
    /// there.
    pub fn max_body(&self) -> usize {
        self.shared.settings.max_body
    }

    /// Verifies as [`verify`](Self::verify) does, with a map of the `http` crate.
    pub fn verify_http(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<WebhookDelivery> {
        self.verify(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())), body)
    }

    /// Verifies only the signature, and returns the key that made it. Nothing is claimed: you check
    /// replays, age and app yourself.
    pub fn verify_signature<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<&WebhookKey> {
        self.shared
            .keys
            .verify(headers, body, || self.shared.clock.now())
            .map(|verified| verified.key)
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

/// A verified event, claimed by this process. A drop without [`confirm`](Self::confirm) releases
/// it, so that the platform's retry is accepted.
pub struct WebhookDelivery {
    event: WebhookEvent,
    key: String,
    shared: Arc<VerifierParts>,
    ids: DeliveryIds,
    claimed_at: (Timestamp, u64),
    state: AtomicU8,
    process: Process,
}

impl WebhookDelivery {
    /// The event.
    pub fn event(&self) -> &WebhookEvent {
        &self.event
    }

    /// Returns the label of the key that verified the event.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Confirms that the delivery was handled: from now on it is `WEBHOOK_REPLAYED`. If that can't
    /// be stored, `confirm` may be called again, and the claim is kept until it ends.
    /// `INVALID_STATE` after a release.
    pub fn confirm(&self) -> Result<()> {
        match self.state.compare_exchange(CLAIMED, HANDLED, Ordering::SeqCst, Ordering::SeqCst) {
            Err(CONFIRMED) => return Ok(()),
            Err(RELEASED) => {
                return Err(Error::state(
                    "the webhook was released, so another worker may be handling it: call \
                     `confirm` or `release`, not both",
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

    /// Releases a delivery that was not handled: the next try of the platform is accepted.
    /// `INVALID_STATE` after [`confirm`](Self::confirm).
    pub fn release(&self) -> Result<()> {
        match self.state.compare_exchange(CLAIMED, RELEASED, Ordering::SeqCst, Ordering::SeqCst) {
            Err(RELEASED) => Ok(()),
            Err(_) => Err(Error::state(
                "the webhook was confirmed as handled: call `confirm` or `release`, not both",
            )),
            Ok(_) => {
                self.check_process()?;
                self.give_back().inspect_err(|_| self.state.store(CLAIMED, Ordering::SeqCst))
            }
        }
    }

    /// Returns the client whose store remembers the delivery.
    pub(crate) fn remembered_by(&self) -> Option<&Arc<Inner>> {
        self.shared.remembered_by()
    }

    /// Refuses a forked child that uses its parent's delivery.
    fn check_process(&self) -> Result<()> {
        if !self.process.is_this() {
            return Err(Error::state(
                "the process was forked after the webhook was verified: confirm or release it in \
                 the process that verified it",
            ));
        }
        Ok(())
    }

    /// Ends the claim, unless it has ended by itself and another worker may have it now.
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
            tracing::warn!(%error, "a webhook could not be released in the store; it is accepted \
                                    again after `claim_seconds`");
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

/// State that a verifier and its deliveries share.
struct VerifierParts {
    keys: KeySet,
    settings: VerifierSettings,
    /// Key of everything that the client stores.
    client: Option<Arc<str>>,
    /// Client whose grants show that an event belongs to this app.
    grants: Option<Arc<Inner>>,
    replay: Replay,
    lives: Lives,
    clock: VerifierClock,
}

impl VerifierParts {
    fn remembered_by(&self) -> Option<&Arc<Inner>> {
        match &self.replay {
            Replay::Store(inner) | Replay::Memory(_, Some(inner)) => Some(inner),
            Replay::Memory(_, None) | Replay::Off => None,
        }
    }

    /// Refuses events of other apps as foreign, because the platform's keys sign the events of
    /// every app.
    fn check_app(&self, event: &mut WebhookEvent, verified: &Verified<'_>) -> Result<()> {
        let settings = &self.settings;
        let (own, is_lifecycle) = (settings.app_id.as_deref(), event.lifecycle().is_some());
        let why = match (own, event.app()) {
            (Some(own), NamedApp::One(theirs)) if own == theirs => {
                event.set_verified(
                    self.client.clone().map_or(VerifiedFor::AppId, VerifiedFor::Client),
                );
                return Ok(());
            }
            (None, _) if is_lifecycle => {
                "this verifier does not know its app, which INSTALL and UNINSTALL need: set \
                 `app_id`"
            }
            (_, NamedApp::No) if is_lifecycle => {
                "an INSTALL or UNINSTALL must name its app, and this one has no `appId`"
            }
            _ if is_lifecycle => "its `appId` is not the verifier's `app_id`",
            _ if settings.any_app => return Ok(()),
            // A shared secret is this app's own.
            (_, NamedApp::No) | (None, NamedApp::One(_)) if verified.by_secret => return Ok(()),
            (_, NamedApp::No) if self.has_grant_of(event)? => return Ok(()),
            (_, NamedApp::No) if self.grants.is_some() => {
                "it names no `appId`, and this client has no grant for its account or company; set \
                 `any_app` to accept such events"
            }
            (_, NamedApp::No) => {
                "it names no `appId`, and this verifier has no client whose grants could tell; \
                 make it with `webhook_verifier` of a client, or set `any_app` to accept such \
                 events"
            }
            _ => {
                "its `appId` is not the verifier's `app_id`; set `any_app` to accept the events of \
                 other apps"
            }
        };
        Err(Error::new(
            ErrorCode::WebhookForeign,
            format!(
                "the webhook is genuine, but not for this app: {why}. Do nothing, and answer 200"
            ),
        ))
    }

    /// Returns `true` if the client has a grant for the event's account or company.
    fn has_grant_of(&self, event: &WebhookEvent) -> Result<bool> {
        let Some(inner) = &self.grants else { return Ok(false) };
        for account in event.account().into_iter().chain(event.company()) {
            if inner.installs.knows(inner.grants(), account)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl VerifierSettings {
    fn check_age(
        &self,
        event: &WebhookEvent,
        verified: &Verified<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let stale = |message: String| Err(Error::new(ErrorCode::WebhookStale, message));
        let moment = match event.time() {
            EventTime::At(moment) => moment,
            // The events of shared secrets usually have none, as in HoopAI's own example.
            _ if self.without_timestamp.unwrap_or(verified.by_secret) => return Ok(()),
            EventTime::No => {
                return stale(
                    "the webhook has no `timestamp`, so its age is not known: answer 400; to \
                     accept such webhooks, set `without_timestamp`"
                        .to_owned(),
                );
            }
            EventTime::Unreadable => {
                return stale(
                    "the webhook's `timestamp` is neither ISO 8601 nor a number of seconds or \
                     milliseconds since 1970, so its age is not known: answer 400; to accept such \
                     webhooks, set `without_timestamp`"
                        .to_owned(),
                );
            }
        };
        if moment.since(now) > FUTURE {
            return stale(format!(
                "the webhook's `timestamp` is {} seconds in the future: check this computer's \
                 clock; if it is right, answer 400",
                moment.since(now).as_secs()
            ));
        }
        if now.since(moment) > self.max_age {
            return stale(format!(
                "the webhook is {} seconds old, more than `max_age` ({}): check this computer's \
                 clock; if it is right, answer 400, or raise `max_age`",
                now.since(moment).as_secs(),
                self.max_age.as_secs()
            ));
        }
        Ok(())
    }
}

/// Clock of a verifier: its client's, the host's or the system's.
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
            Self::Client(inner) => inner.clock(),
            Self::Own(clock) => clock,
        }
    }
}

/// States of a delivery. It is `HANDLED` until that is stored.
const CLAIMED: u8 = 0;
const HANDLED: u8 = 1;
const CONFIRMED: u8 = 2;
const RELEASED: u8 = 3;

/// Difference between clocks that is tolerated.
const FUTURE: Duration = Duration::from_secs(300);
/// The default of `max_age`.
const USUAL_AGE: Duration = Duration::from_secs(259_200);
/// Time for which a delivery is remembered beyond the time for which it is accepted: an event may
/// be from the future, and clocks may be set.
const DONE_SLACK: Duration = Duration::from_secs(3_600);
/// Time for which an event without id and time is remembered: longer than the platform waits before
/// it repeats a handled event whose answer was lost (10 minutes and some), but not so long that a
/// second event of the same bytes is mistaken for it.
const INDISTINCT: Duration = Duration::from_secs(900);
const CLOSE: Duration = Duration::from_secs(5);
