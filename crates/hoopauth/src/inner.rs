//! What all parts of a client share: keys, store, transport, and the grants that could not be saved
//! yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::builder::{ChangeHook, Settings, StepHook};
use crate::cache::Cache;
use crate::snapshot::{Moment, Served, Snapshot};
use crate::callback::{calling, refuse_reentry};
use crate::client::{Change, ChangeKind};
use crate::clock::{ClientClock, Clock};
use crate::context::{Calls, Jobs};
use crate::credential::Credential;
use crate::calls::timed_out;
use crate::error::{Error, ErrorCode, Result};
use crate::refresh::flight::Flights;
use crate::grants::Grant;
use crate::snapshot::Constants;
use crate::keys::{Keys, LazyKeys};
use crate::limits::Limits;
use crate::options::OptionSet;
use crate::patience::{self, Patience, QUICK};
use crate::request::preflight::FactsOfGrants;
use crate::refresh::{Need, Step, no_grant};
use crate::secret::Secret;
use crate::seal::{Fingerprinter, KeyRing, is_sealed, is_unnumbered};
use crate::store::{Fingerprint, Key, NewRecord, Priority, Record, TokenStore};
use crate::sync::{Mutex, lock};
use crate::refresh::token_endpoint::{FailureClass, TokenEndpoint};
use crate::transport::Transport;
use crate::watch::{Bearer, LOOK, Watch};
use crate::webhook::Installs;

/// What all parts of a client share.
pub(crate) struct Inner {
    /// What the client was made of, the environment's part included.
    pub(crate) options: OptionSet,
    pub(crate) language: Option<String>,
    pub(crate) cache: Cache,
    pub(crate) clock: ClientClock,
    pub(crate) settings: Settings,
    pub(crate) credential: Credential,
    pub(crate) constants: Arc<Constants>,
    pub(crate) default_name: Option<String>,
    pub(crate) default_account: Option<Account>,
    pub(crate) keys: Option<LazyKeys>,
    pub(crate) store: Arc<dyn TokenStore>,
    /// `None` where nobody else can change what is stored.
    pub(crate) watch: Option<Watch>,
    /// Whether the store was given as an object.
    pub(crate) own_store: bool,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) flights: Flights<Arc<Snapshot>>,
    pub(crate) unsaved: Mutex<HashMap<Account, Unsaved>>,
    pub(crate) unsaved_count: AtomicUsize,
    pub(crate) refused: Mutex<HashMap<Account, Refused>>,
    /// Locations whose installation came before their company's grant.
    pub(crate) installs: Installs,
    /// What the API's answers said of its limits.
    pub(crate) limits: Limits,
    pub(crate) facts: FactsOfGrants,
    pub(crate) closed: AtomicBool,
    /// When the token endpoint last gave tokens to this client, in milliseconds since 1970; 0: not
    /// yet.
    pub(crate) last_success: AtomicI64,
    /// This very thing, for work that outlives the call that began it.
    pub(crate) me: Weak<Inner>,
    /// How many threads of this process maintain the fleet.
    pub(crate) maintainers: AtomicUsize,
    /// Calls under way, which may outlive their callers.
    pub(crate) calls: Arc<Calls>,
    /// Calls on threads of their own, which callers share and may leave.
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) process: u32,
    pub(crate) on_change: Option<ChangeHook>,
    pub(crate) step_hook: Option<StepHook>,
}

/// A good answer that the store did not take.
pub(crate) struct Unsaved {
    pub(crate) grant: Grant,
    /// The generation it replaces; `None`: whatever is there (a new authorization).
    pub(crate) expected: Option<u64>,
    pub(crate) error: Error,
    /// Until then a caller with a good token does not wait for another try: the last one took long.
    pub(crate) quiet_until: Option<Instant>,
}

/// The last token of an account that the API refused, and how many were refused before it with no
/// quiet time between.
pub(crate) struct Refused {
    snapshot: Arc<Snapshot>,
    in_a_row: u32,
    /// Whether its replacement is here.
    replaced: bool,
    /// When that was first asked for, on the monotonic clock.
    at: u64,
    /// When a refusal was last reported.
    reported_at: u64,
}

impl Refused {
    /// How long the next replacement has to wait.
    fn pause(&self, now: u64) -> Duration {
        pause_after(self.in_a_row)
            .saturating_sub(Duration::from_millis(now.saturating_sub(self.at)))
    }

    /// Whether it was quiet for so long that it means nothing any more.
    fn is_forgotten(&self, now: u64) -> bool {
        let quiet = pause_after(self.in_a_row).max(SHORTEST_PAUSE) * QUIET_PAUSES;
        Duration::from_millis(now.saturating_sub(self.reported_at)) >= quiet
    }
}

impl Inner {
    /// Everything but a fresh snapshot.
    #[cold]
    pub(crate) fn slow(&self, name: &str) -> Result<Arc<Snapshot>> {
        self.check_open()?;
        if self.credential.is_static() {
            self.check_static_account(name)?;
        }
        if let Some(snapshot) = self.static_snapshot(name) {
            return Ok(snapshot);
        }
        if let Err(error) = self.check_process() {
            return self.inherited(name).ok_or(error);
        }
        let _call = self.begin_call();
        // Once more, now that it is counted: a client that closes waits for what it let through.
        self.check_open()?;
        let account = Account::parse(name)?;
        let living = || {
            self.cache
                .get(name)
                .filter(|cached| !cached.is_hard(&self.clock) && !self.is_refused(cached))
        };
        let bearer = if living().is_some() { Bearer::Living } else { Bearer::None };
        let answer = match self.watch_store(bearer) {
            Ok(()) => self.obtain(&account).or_else(|error| self.finish_install(&account, error)),
            Err(error) => living().ok_or_else(|| error.with_account(&account)),
        };
        // Recovery is for a caller who has to wait for the store in any case.
        if bearer == Bearer::None {
            self.finish_fresh_marks(&account);
        }
        answer
    }

    /// What a forked child has of an account: the headers that its parent cached, until their token
    /// ends.
    fn inherited(&self, name: &str) -> Option<Arc<Snapshot>> {
        // Its own looks into the store are none; the hot path goes on for as long as after one.
        self.clock.take_look(LOOK);
        self.cache.inherited(name).filter(|snapshot| !snapshot.is_expired(&self.clock))
    }

    /// The snapshot of a static token, published under `name`.
    pub(crate) fn static_snapshot(&self, name: &str) -> Option<Arc<Snapshot>> {
        // Published while the token stays in use: a rotation that comes meanwhile finds it, and
        // forgets it.
        self.credential.with_static_token(|token| {
            let snapshot =
                Arc::new(Snapshot::new(name, token.expose(), Arc::clone(&self.constants), 0));
            self.cache.publish(Arc::clone(&snapshot));
            snapshot
        })
    }

    /// A snapshot of another account, for use within a refresh.
    pub(crate) fn serve(&self, account: &Account) -> Result<Arc<Snapshot>> {
        match self.cache.fresh(account.as_str().as_bytes(), &self.clock) {
            Some(snapshot) => Ok(Served::into_inner(snapshot)),
            None => self.obtain(account),
        }
    }

    pub(crate) fn check_process(&self) -> Result<()> {
        if self.process != std::process::id() {
            return Err(Error::state(
                "this process was forked after the client was made: make a new client in this process",
            ));
        }
        Ok(())
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::state("the client is closed: make a new one"));
        }
        refuse_reentry()
    }

    /// A static token speaks for one account; if the program said which, no other may be asked for.
    pub(crate) fn check_static_account(&self, name: &str) -> Result<()> {
        if !self.credential.is_static() || name.is_empty() {
            return Ok(());
        }
        let account = Account::parse(name)?;
        match &self.default_account {
            Some(own) if *own != account => Err(Error::new(
                ErrorCode::WrongAccount,
                "the static token speaks for `default_account` only: use OAuth to serve several accounts",
            )
            .with_account(&account)),
            _ => Ok(()),
        }
    }

    pub(crate) fn oauth(&self) -> Result<(&str, &Secret)> {
        match &self.credential {
            Credential::OAuth { client_id, client_secret } => Ok((client_id, client_secret)),
            _ => Err(Error::state(
                "this needs OAuth: the client has a static token; set `client_id` and `client_secret`",
            )),
        }
    }

    pub(crate) fn keys(&self) -> Result<&Keys> {
        self.keys
            .as_ref()
            .ok_or_else(|| Error::state("this needs OAuth: set `client_id` and `client_secret`"))?
            .get()
    }

    pub(crate) fn pending_ring(&self) -> Result<&KeyRing> {
        self.keys().map(|keys| &keys.pending)
    }

    pub(crate) fn fingerprinter(&self) -> Result<&Fingerprinter> {
        self.keys().map(|keys| &keys.fingerprint)
    }

    pub(crate) fn token_endpoint(&self) -> Result<TokenEndpoint<'_>> {
        let (client_id, client_secret) = self.oauth()?;
        let transport = self.transport.as_deref().ok_or_else(|| {
            Error::config(
                "no transport: enable the feature `reqwest` or give the builder a transport",
            )
        })?;
        Ok(TokenEndpoint {
            transport,
            token_url: &self.settings.token_url,
            location_token_url: &self.settings.location_token_url,
            client_id,
            client_secret,
            constants: &self.constants,
            clock: &self.clock,
        })
    }

    pub(crate) fn key<'a>(&'a self, account: &'a Account) -> Key<'a> {
        Key { app: &self.settings.app, account }
    }

    pub(crate) fn fingerprint(&self, account: &Account, token: &str) -> Fingerprint {
        // Without keys nothing can be opened or saved either.
        let keys = self.keys.as_ref().and_then(|keys| keys.get().ok());
        keys.map_or_else(Fingerprint::default, |keys| keys.fingerprint.of(account.as_str(), token))
    }

    /// Whether a token is among those that an account was imported or refreshed with, under any of
    /// the keys.
    pub(crate) fn has_seen(
        &self,
        account: &Account,
        token: &str,
        seen: &[Fingerprint],
    ) -> Result<bool> {
        let keys = self.keys()?;
        let mut all = std::iter::once(&keys.fingerprint).chain(&keys.older_fingerprints);
        Ok(all.any(|fingerprint| seen.contains(&fingerprint.of(account.as_str(), token))))
    }

    /// The key ring of the store, if it is sealed.
    pub(crate) fn ring(&self) -> Result<Option<&KeyRing>> {
        match &self.keys {
            Some(keys) => Ok(keys.get()?.grants.as_ref()),
            None => Ok(None),
        }
    }

    /// Refuses to replace a grant that another key sealed: whoever has that key still needs it. One
    /// that is damaged may go.
    pub(crate) fn check_replaceable(&self, account: &Account, record: &Record) -> Result<()> {
        let Some(bytes) = &record.grant else { return Ok(()) };
        match self.open_bytes(account, record, bytes) {
            Err(error) if error.code() == ErrorCode::StoreKey => Err(error),
            _ => Ok(()),
        }
    }

    fn open_bytes(&self, account: &Account, record: &Record, bytes: &[u8]) -> Result<Grant> {
        match self.ring()? {
            Some(ring) => {
                let parts = [self.settings.app.as_bytes(), account.as_str().as_bytes()];
                let opened = if is_unnumbered(bytes) {
                    self.check_never_numbered(account, record).and_then(|()| ring.open(&parts, bytes))
                } else {
                    ring.open_numbered(&parts, record.generation, bytes)
                };
                let plain = opened.map_err(|error| error.with_account(account))?;
                Grant::from_bytes(account, &plain)
            }
            None if is_sealed(bytes) => Err(Error::new(
                ErrorCode::StoreKey,
                "the stored grant is sealed and no key is given: set `store_key` to the key that it was sealed with",
            )
            .with_account(account)),
            None => Grant::from_bytes(account, bytes),
        }
    }

    /// Refuses a grant in the form of an earlier release, which says nothing of its generation,
    /// where this release has written the account's row before: then somebody put an old grant
    /// back.
    fn check_never_numbered(&self, account: &Account, record: &Record) -> Result<()> {
        if !self.has_seen(account, NUMBERED, &record.seen)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::StoreCorrupt,
            "an older copy of the grant was put back into the store, or an earlier release of hoopauth wrote there: \
             upgrade every program that shares the store, and authorize the account again",
        ))
    }

    pub(crate) fn step(&self, step: Step, account: &Account) -> Result<()> {
        self.step_hook.as_ref().map_or(Ok(()), |hook| hook(step, account))
    }

    pub(crate) fn changed(&self, account: &Account, generation: u64, kind: ChangeKind) {
        tracing::debug!(%account, generation, ?kind, "the grant changed");
        if let Some(hook) = &self.on_change {
            let change = Change { account: account.clone(), generation, kind };
            calling(|| hook(&change));
        }
    }

    pub(crate) fn load(&self, account: &Account) -> Result<Option<Record>> {
        calling(|| self.store.load(&self.key(account), self.clock.now()))
    }

    /// Opens the grant of a record; `NO_GRANT` for none and for a tombstone.
    pub(crate) fn open_live(
        &self,
        account: &Account,
        record: Option<Record>,
    ) -> Result<(Record, Grant)> {
        let mut record = record.ok_or_else(|| no_grant(account))?;
        if let Some(newer) =
            self.cache.get(account.as_str()).filter(|it| it.generation > record.generation)
            && !self.is_unsaved(account)
        {
            // It may be what another thread stored since the record was read.
            record = self.load(account)?.ok_or_else(|| no_grant(account))?;
            if record.generation < newer.generation && !self.is_unsaved(account) {
                return Err(rolled_back(account));
            }
        }
        let bytes = record.grant.take().ok_or_else(|| no_grant(account))?;
        let bytes = zeroize::Zeroizing::new(bytes);
        let grant = self.open_bytes(account, &record, &bytes)?;
        Ok((record, grant))
    }

    /// Makes what is stored of a grant, to follow generation `expected`. `spent` is a refresh
    /// token's fingerprint to be remembered beside the new one's.
    pub(crate) fn new_record(
        &self,
        grant: &Grant,
        expected: u64,
        seen: &[Fingerprint],
        spent: Option<Fingerprint>,
    ) -> Result<NewRecord> {
        let plain = grant.to_bytes()?;
        let mut seen = seen.to_vec();
        let bytes = match self.ring()? {
            Some(ring) => {
                // Among those that are never forgotten.
                let numbered = self.fingerprint(&grant.account, NUMBERED);
                if !seen.contains(&numbered) {
                    seen.insert(0, numbered);
                }
                let parts = [self.settings.app.as_bytes(), grant.account.as_str().as_bytes()];
                ring.seal_numbered(&parts, expected + 1, &plain)?
            }
            None => plain.to_vec(),
        };
        let now = grant
            .refresh_token
            .as_ref()
            .map(|token| self.fingerprint(&grant.account, token.expose()));
        for fingerprint in spent.into_iter().chain(now) {
            if !seen.contains(&fingerprint) {
                seen.push(fingerprint);
            }
        }
        // The seed that an app imports at every start is the first: it must never be forgotten.
        while seen.len() > MOST_SEEN {
            seen.remove(KEPT_SEEDS);
        }
        Ok(NewRecord { grant: Some(bytes), expires_at: grant.expires_at, seen })
    }

    /// Exchanges a code and stores the grant. `scopes` are those that were asked for: an answer
    /// that names none means them (RFC 6749 §5.1).
    pub(crate) fn exchange(
        &self,
        code: &Secret,
        redirect_uri: Option<&str>,
        verifier: Option<&Secret>,
        scopes: &[String],
        expected: Option<&Account>,
    ) -> std::result::Result<Account, (Error, FailureClass)> {
        let _call = self.begin_call();
        let untouched = |error: Error| (error, FailureClass::Untouched);
        let asked = expected.map(Account::kind).or(self.settings.user_type);
        let mut tries = 0;
        let (answer, sent) = loop {
            self.take_slot(Priority::Normal).map_err(untouched)?;
            let endpoint = self.token_endpoint().map_err(untouched)?;
            let attempt = self.at_most(self.settings.attempt_timeout);
            if attempt.is_zero() {
                return Err(untouched(timed_out()));
            }
            let sent = self.clock.now();
            match endpoint.exchange(code, redirect_uri, verifier, asked, attempt) {
                Ok(answer) => break (answer, sent),
                // A code is good for one use: only what surely never arrived is sent again.
                Err(failure)
                    if failure.class == FailureClass::Untouched
                        && failure.error.code() == ErrorCode::Network
                        && tries < self.settings.max_retries =>
                {
                    tries += 1;
                }
                Err(failure) => {
                    self.note_limit(&failure.error);
                    let stays = failure.error.is_retryable()
                        || failure.error.code() == ErrorCode::MalformedResponse;
                    let class = if stays { failure.class } else { FailureClass::Unknown };
                    return Err((failure.error, class));
                }
            }
        };
        let stored = || -> Result<Account> {
            let account = answer.account(asked)?;
            if let Some(kind) = asked
                && kind != account.kind()
            {
                return Err(Error::new(
                    ErrorCode::WrongTokenClass,
                    format!(
                        "the user authorized a {} where a {kind} was asked for, so nothing was stored: send the user through \
                         authorization again, to choose a {kind}",
                        account.kind()
                    ),
                ));
            }
            if let Some(expected) = expected {
                answer.check_new(
                    expected,
                    "check the account that you expect, and let the user choose it at the next login",
                )?;
            }
            let mut grant = answer.into_grant(&account, None, sent, false);
            if grant.scopes.is_empty() {
                grant.scopes = scopes.to_vec();
            }
            self.adopt(grant);
            self.finish_installs(&account);
            Ok(account)
        };
        stored().map_err(|error| (error, FailureClass::Unknown))
    }

    /// Stores a new authorization over whatever is there; if the store fails it is held in memory.
    pub(crate) fn adopt(&self, grant: Grant) {
        let account = grant.account.clone();
        let seen = self.seen();
        match self.save_over(&grant) {
            Ok(generation) => {
                self.forget_unsaved(&account);
                lock(&self.refused).remove(&account);
                self.publish(self.snapshot_of(&grant, generation), seen);
                self.changed(&account, generation, ChangeKind::Saved);
            }
            Err(error) => {
                tracing::error!(%account, %error, "the new grant could not be saved; it is held in memory and saved at the next call");
                self.hold(grant, None, error);
            }
        }
    }

    pub(crate) fn save_over(&self, grant: &Grant) -> Result<u64> {
        for _ in 0..SAVE_TRIES {
            let record = self.load(&grant.account)?;
            if let Some(record) = &record {
                self.check_replaceable(&grant.account, record)?;
            }
            let (expected, seen) =
                record.map_or((0, vec![]), |record| (record.generation, record.seen));
            let new = self.new_record(grant, expected, &seen, None)?;
            if calling(|| self.store.save(&self.key(&grant.account), expected, &new))? {
                return Ok(expected + 1);
            }
        }
        Err(busy(&grant.account))
    }

    /// Keeps a refreshed pair that could not be saved, unless a login is kept that came meanwhile.
    pub(crate) fn hold_unsaved(&self, grant: Grant, expected: u64, error: Error) -> Arc<Snapshot> {
        match self.unsaved_grant(&grant.account) {
            Some((login, None)) => self.held_snapshot(&login, None),
            _ => self.hold(grant, Some(expected), error),
        }
    }

    pub(crate) fn hold(&self, grant: Grant, expected: Option<u64>, error: Error) -> Arc<Snapshot> {
        let account = grant.account.clone();
        let snapshot = self.held_snapshot(&grant, expected);
        let mut unsaved = lock(&self.unsaved);
        unsaved.insert(account.clone(), Unsaved { grant, expected, error, quiet_until: None });
        self.unsaved_count.store(unsaved.len(), Ordering::SeqCst);
        drop(unsaved);
        self.cache.publish(Arc::clone(&snapshot));
        self.changed(&account, expected.unwrap_or(0), ChangeKind::Unsaved);
        snapshot
    }

    /// Never fresh, so that each call comes by and tries to save it.
    pub(crate) fn held_snapshot(&self, grant: &Grant, expected: Option<u64>) -> Arc<Snapshot> {
        Arc::new(self.snapshot_of(grant, expected.unwrap_or(0) + 1).with_soft(Moment::PAST))
    }

    pub(crate) fn is_unsaved(&self, account: &Account) -> bool {
        self.unsaved_count.load(Ordering::SeqCst) > 0 && lock(&self.unsaved).contains_key(account)
    }

    pub(crate) fn unsaved_grant(&self, account: &Account) -> Option<(Grant, Option<u64>)> {
        if self.unsaved_count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        lock(&self.unsaved).get(account).map(|held| (held.grant.clone(), held.expected))
    }

    pub(crate) fn unsaved_snapshot(&self, account: &Account) -> Option<Arc<Snapshot>> {
        let (grant, expected) = self.unsaved_grant(account)?;
        let snapshot = self.held_snapshot(&grant, expected);
        self.cache.publish(Arc::clone(&snapshot));
        Some(snapshot)
    }

    pub(crate) fn forget_unsaved(&self, account: &Account) {
        let mut unsaved = lock(&self.unsaved);
        unsaved.remove(account);
        self.unsaved_count.store(unsaved.len(), Ordering::SeqCst);
    }

    /// As [`save_unsaved`](Self::save_unsaved), where the held token is good: a store that hangs is
    /// then tried now and then only.
    pub(crate) fn save_unsaved_quickly(&self, account: &Account) -> bool {
        let start = Instant::now();
        let quiet = lock(&self.unsaved).get(account).and_then(|held| held.quiet_until);
        if quiet.is_some_and(|until| start < until) {
            return false;
        }
        let quick = Patience::of(QUICK);
        let saved = self.save_unsaved(account);
        drop(quick);
        let took = start.elapsed();
        if !saved
            && took >= QUICK
            && let Some(held) = lock(&self.unsaved).get_mut(account)
        {
            held.quiet_until = Instant::now().checked_add(took * QUIET_AFTER);
        }
        saved
    }

    /// Tries to save what is held of an account; whether nothing is held any more.
    pub(crate) fn save_unsaved(&self, account: &Account) -> bool {
        let Some((grant, expected)) = self.unsaved_grant(account) else { return true };
        let seen = self.seen();
        let saved = match expected {
            None => self.save_over(&grant).map(Some),
            Some(expected) => self.load(account).and_then(|record| {
                let seen = record.map_or_else(Vec::new, |record| record.seen);
                let new = self.new_record(&grant, expected, &seen, None)?;
                let saved = calling(|| self.store.save(&self.key(account), expected, &new))?;
                Ok(saved.then_some(expected + 1))
            }),
        };
        match saved {
            Ok(generation) => {
                self.forget_unsaved(account);
                match generation {
                    Some(generation) => {
                        self.publish(self.snapshot_of(&grant, generation), seen);
                        self.changed(account, generation, ChangeKind::Saved);
                    }
                    // Someone stored something newer meanwhile: that is right.
                    None => self.cache.forget(account.as_str()),
                }
                true
            }
            Err(error) => {
                self.note_unsaved(account, &error);
                false
            }
        }
    }

    pub(crate) fn note_unsaved(&self, account: &Account, error: &Error) {
        tracing::warn!(%account, %error, "the held grant could not be saved yet");
        if let Some(held) = lock(&self.unsaved).get_mut(account) {
            held.error = error.clone();
        }
    }

    pub(crate) fn save_all_unsaved(&self) -> Result<()> {
        let accounts: Vec<_> = lock(&self.unsaved).keys().cloned().collect();
        // With nothing to save, a clock of the host's that is broken need not be asked.
        let _call = (!accounts.is_empty()).then(|| self.begin_call());
        let mut result = Ok(());
        for account in accounts {
            if !self.save_unsaved(&account)
                && let Some(held) = lock(&self.unsaved).get(&account)
            {
                result = Err(held.error.clone().with_account(&account));
                // A store that hangs is not waited for once per account.
                if patience::is_over() {
                    break;
                }
            }
        }
        self.cache.clear();
        result
    }

    pub(crate) fn is_refused(&self, snapshot: &Snapshot) -> bool {
        let Ok(account) = Account::parse(snapshot.name()) else { return false };
        lock(&self.refused)
            .get(&account)
            .is_some_and(|refused| refused.snapshot.same_token(snapshot))
    }

    pub(crate) fn refused_again(account: &Account, pause: Duration) -> Error {
        Error::new(
            ErrorCode::HttpStatus,
            "the API refuses token after token of this account; wait, and check that the app is still installed",
        )
        .with_status(401)
        .with_retry_after(if pause.is_zero() { SHORTEST_PAUSE } else { pause })
        .with_account(account)
    }

    /// Takes in that the refused token of an account was replaced; answers how long the next
    /// replacement has to wait.
    pub(crate) fn note_replaced(&self, account: &Account) -> Duration {
        let now = self.clock.monotonic();
        lock(&self.refused).get_mut(account).map_or(Duration::ZERO, |refused| {
            refused.replaced = true;
            refused.pause(now)
        })
    }

    /// After a refreshable 401: another token than the refused one.
    pub(crate) fn replace_refused(
        &self,
        account: &Account,
        reported: &Snapshot,
        error: &Error,
    ) -> Result<Arc<Snapshot>> {
        let _call = self.begin_call();
        let current = match self.cache.get(account.as_str()) {
            Some(current) if !current.is_suspect() => current,
            _ => self.read_in(account)?,
        };
        if !current.same_token(reported)
            && !self.is_refused(&current)
            && !current.is_hard(&self.clock)
        {
            return Ok(current);
        }
        // The cached one knows when it ends, which headers that a host put together again do not.
        let refused = if current.same_token(reported) { &*current } else { reported };
        let refused = Arc::new(refused.with_soft(Moment::PAST));
        let now = self.clock.monotonic();
        {
            let mut map = lock(&self.refused);
            let before = map.get(account);
            // Another report of the same token may have had it replaced since the look.
            if let Some(newer) = self.cache.get(account.as_str())
                && !newer.is_suspect()
                && !newer.same_token(reported)
                && !newer.is_hard(&self.clock)
                && before.is_none_or(|before| !before.snapshot.same_token(&newer))
            {
                return Ok(newer);
            }
            let (in_a_row, at) = match before.filter(|before| !before.is_forgotten(now)) {
                None => (1, now),
                // Its replacement is under way, or could not be had.
                Some(before) if !before.replaced && before.snapshot.same_token(reported) => {
                    (before.in_a_row, before.at)
                }
                Some(before) => {
                    let pause = before.pause(now);
                    if !pause.is_zero() {
                        if let Some(before) = map.get_mut(account) {
                            before.reported_at = now;
                        }
                        drop(map);
                        return Err(Self::refused_again(account, pause)
                            .with_server_message(error.server_message()));
                    }
                    (before.in_a_row.saturating_add(1), now)
                }
            };
            let snapshot = Arc::clone(&refused);
            map.insert(
                account.clone(),
                Refused { snapshot, in_a_row, replaced: false, at, reported_at: now },
            );
        }
        if current.same_token(reported) {
            self.cache.publish(Arc::clone(&refused));
        }
        let snapshot = self.refresh_waiting(account, &Need::Refused(refused))?;
        let pause = self.note_replaced(account);
        if snapshot.same_token(reported) {
            return Err(Self::refused_again(account, pause));
        }
        Ok(snapshot)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not in a forked child: what is held there is the parent's.
        if self.unsaved_count.load(Ordering::SeqCst) > 0
            && self.process == std::process::id()
            && let Err(error) = self.save_all_unsaved()
        {
            tracing::error!(%error, "a grant could not be saved before the client ended");
        }
    }
}

/// The error of a row whose generation went backwards. Its refresh token is spent: sending it could
/// cost the newer grant.
fn rolled_back(account: &Account) -> Error {
    Error::new(
        ErrorCode::StoreCorrupt,
        "the store holds an older grant of this account than this process has used: somebody put back an older copy of \
         the row or of the store; authorize the account again, or restart the programs to go on with the older grant",
    )
    .with_account(account)
}

pub(crate) fn busy(account: &Account) -> Error {
    Error::new(ErrorCode::Store, "the grant changes faster than it can be written; try again")
        .with_retryable(true)
        .with_account(account)
}

/// How many times as long as a try to save took there is none.
const QUIET_AFTER: u32 = 10;
pub(crate) const SAVE_TRIES: usize = 16;
const MOST_SEEN: usize = 64;
/// Its fingerprint among those an account has seen says: grants of this account are sealed with
/// their generation. No token has a space in it.
const NUMBERED: &str = "sealed with its generation";
const KEPT_SEEDS: usize = 17;

/// The shortest pause before a refused token is replaced again, from when the last replacement was
/// asked for. Two come without: what one refresh does not cure, a second one may, a third one
/// hardly.
fn pause_after(in_a_row: u32) -> Duration {
    match in_a_row {
        0 | 1 => Duration::ZERO,
        2 => SHORTEST_PAUSE,
        3 => Duration::from_secs(4 * 60),
        _ => Duration::from_secs(15 * 60),
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
/// After so many pauses without a refusal, the account begins anew.
const QUIET_PAUSES: u32 = 4;
