use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::authorize::redirect_to;
use crate::clock::Clock;
use crate::config::{App, Company, PrivateIntegration, Settings};
use crate::error::ControlError;
use crate::fault::{Endpoint, Fault};
use crate::gate::Stage;
use crate::grants::{Grant, Presented};
use crate::shared::Shared;
use crate::state::Code;
use crate::statistics::Statistics;
use crate::tokens;

/// A handle on a running emulator: its addresses, and everything a test may do behind the
/// platform's back.
///
/// [`crate::Emulator`] dereferences to it. Clones speak for the same emulator and may be used from
/// any thread; they don't keep it running. Accounts are written `location:<id>` or `company:<id>`.
/// The same calls exist over HTTP, see the README.
#[derive(Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

/// Addresses.
impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The API base, without a slash at its end.
    pub fn api(&self) -> String {
        self.shared.base.clone()
    }

    /// The authorize page.
    pub fn authorize_url(&self) -> String {
        self.address("/oauth/chooselocation")
    }

    /// The token endpoint.
    pub fn token(&self) -> String {
        self.address("/oauth/token")
    }

    /// The location token endpoint.
    pub fn location_token(&self) -> String {
        self.address("/oauth/locationToken")
    }

    /// The base of the control calls over HTTP.
    pub fn control(&self) -> String {
        self.address("/control")
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.shared.base)
    }
}

/// Apps and accounts.
impl Control {
    /// Adds an app.
    pub fn add_app(&self, app: App) -> Result<(), ControlError> {
        self.shared.lock().add_app(app)
    }

    /// Adds a company with its locations.
    pub fn add_company(&self, company: Company) -> Result<(), ControlError> {
        self.shared.lock().add_company(company)
    }

    /// Adds a location to a company.
    pub fn add_location(&self, company_id: &str, id: &str, name: &str) -> Result<(), ControlError> {
        self.shared.lock().add_location(company_id, id, name)
    }

    /// Adds many locations with random ids to a company; returns the ids.
    pub fn add_locations(
        &self,
        company_id: &str,
        count: usize,
    ) -> Result<Vec<String>, ControlError> {
        let mut state = self.shared.lock();
        (1..=count)
            .map(|number| {
                let id = tokens::id();
                state.add_location(company_id, &id, &format!("Location {number}"))?;
                Ok(id)
            })
            .collect()
    }

    /// Adds this Private Integration token.
    pub fn put_private_integration(&self, token: PrivateIntegration) -> Result<(), ControlError> {
        self.shared.lock().add_private_integration(token)
    }

    /// Makes a Private Integration token; no scopes means all.
    pub fn add_private_integration(
        &self,
        account: &str,
        scopes: &[&str],
    ) -> Result<String, ControlError> {
        let token = format!("pit-{}", tokens::uuid());
        self.put_private_integration(
            PrivateIntegration::new(&token, account.parse()?).scopes(scopes),
        )?;
        Ok(token)
    }

    /// Forgets a Private Integration token.
    pub fn revoke_private_integration(&self, token: &str) -> Result<(), ControlError> {
        let removed = self.shared.lock().private_integrations.remove(token);
        removed
            .map(drop)
            .ok_or_else(|| ControlError::Unknown("this Private Integration token".into()))
    }

    /// Pauses a location: its refresh tokens are refused, and stay valid.
    pub fn pause(&self, location_id: &str) -> Result<(), ControlError> {
        self.set_paused(location_id, true)
    }

    /// Ends the pause of a location.
    pub fn unpause(&self, location_id: &str) -> Result<(), ControlError> {
        self.set_paused(location_id, false)
    }

    /// Uninstalls every app from the account: all its tokens are dead, and a location can't be
    /// minted until it is authorized again.
    pub fn uninstall(&self, account: &str) -> Result<(), ControlError> {
        let account = account.parse()?;
        self.shared.lock().uninstall(&account)
    }

    fn set_paused(&self, location_id: &str, paused: bool) -> Result<(), ControlError> {
        let mut state = self.shared.lock();
        let location = state.locations.get_mut(location_id);
        let location =
            location.ok_or_else(|| ControlError::Unknown(format!("location:{location_id}")))?;
        location.paused = paused;
        Ok(())
    }

    fn known(&self, account: &str) -> Result<Account, ControlError> {
        let account = account.parse()?;
        self.shared.lock().company_of(&account)?;
        Ok(account)
    }
}

/// Codes and tokens.
impl Control {
    /// Makes a code for the account, as if the user had approved the default app. No scopes means
    /// the app's own.
    ///
    /// The exchange may name any redirect URI. Codes with a PKCE challenge come from the authorize
    /// page only.
    pub fn authorize(&self, account: &str, scopes: &[&str]) -> Result<String, ControlError> {
        self.authorize_for(None, account, scopes)
    }

    /// The same for any app; none is the default one.
    pub fn authorize_for(
        &self,
        client_id: Option<&str>,
        account: &str,
        scopes: &[&str],
    ) -> Result<String, ControlError> {
        let account = self.known(account)?;
        let (app, scopes) = self.app_and_scopes(client_id, scopes)?;
        let mut state = self.shared.lock();
        let life_ms = state.settings.code_lifetime.saturating_mul(1_000);
        let expires_ms = state.clock.now_ms().saturating_add(life_ms);
        state.issue_code(Code {
            app,
            account,
            scopes: scopes.into(),
            redirect_uri: None,
            challenge: None,
            expires_ms,
        })
    }

    /// An install that begins on the marketplace page: the address the browser is sent to, with a
    /// code and no `state`.
    pub fn install(&self, account: &str, redirect_uri: &str) -> Result<String, ControlError> {
        Ok(redirect_to(redirect_uri, &[("code", &self.authorize(account, &[])?)]))
    }

    /// Gives out a pair for the account to the default app, past all endpoints. No scopes means the
    /// app's own.
    pub fn issue_grant(&self, account: &str, scopes: &[&str]) -> Result<Grant, ControlError> {
        self.issue_grant_for(None, account, scopes)
    }

    /// The same for any app; none is the default one.
    pub fn issue_grant_for(
        &self,
        client_id: Option<&str>,
        account: &str,
        scopes: &[&str],
    ) -> Result<Grant, ControlError> {
        let (app, scopes) = self.app_and_scopes(client_id, scopes)?;
        let account = account.parse()?;
        let grant = self.shared.lock().issue(app, &account, &scopes, true)?;
        Ok(Arc::unwrap_or_clone(grant))
    }

    /// The pair that was last given out for this account, to whichever app.
    pub fn current_grant(&self, account: &str) -> Result<Option<Grant>, ControlError> {
        let account = self.known(account)?;
        Ok(self.shared.lock().grants.current(&account).map(Arc::unwrap_or_clone))
    }

    /// Returns `true` if a refresh with this token would rotate it now: unused, not revoked, not
    /// expired.
    pub fn is_refresh_token_live(&self, token: &str) -> bool {
        let state = self.shared.lock();
        let now_ms = state.clock.now_ms();
        (0..state.apps.len()).any(|app| {
            matches!(state.grants.present(token, app, now_ms, 0), Presented::Live { .. })
        })
    }

    /// Makes the account's access tokens worthless: `Invalid token: access token is invalid`.
    pub fn revoke_access(&self, account: &str) -> Result<(), ControlError> {
        let account = self.known(account)?;
        self.shared.lock().grants.revoke(&account, true, false);
        Ok(())
    }

    /// Makes the account's refresh tokens worthless.
    pub fn revoke_refresh(&self, account: &str) -> Result<(), ControlError> {
        let account = self.known(account)?;
        self.shared.lock().grants.revoke(&account, false, true);
        Ok(())
    }

    /// Makes one access or refresh token worthless.
    pub fn revoke_token(&self, token: &str) -> Result<(), ControlError> {
        let known = self.shared.lock().grants.revoke_token(token);
        if known { Ok(()) } else { Err(ControlError::Unknown("this token".into())) }
    }

    /// Makes the account's access tokens as if their time were over: `Invalid JWT`.
    pub fn expire_access(&self, account: &str) -> Result<(), ControlError> {
        let account = self.known(account)?;
        self.shared.lock().grants.expire_access(&account);
        Ok(())
    }

    /// Makes all access tokens as if their time were over.
    pub fn expire_all_access(&self) {
        self.shared.lock().grants.expire_all_access();
    }

    fn app_and_scopes(
        &self,
        client_id: Option<&str>,
        scopes: &[&str],
    ) -> Result<(usize, String), ControlError> {
        let state = self.shared.lock();
        let app = client_id.map_or((!state.apps.is_empty()).then_some(0), |id| state.app_index(id));
        let app = app.ok_or_else(|| {
            ControlError::Unknown(format!("the app {}", client_id.unwrap_or("(default)")))
        })?;
        let scopes =
            if scopes.is_empty() { state.apps[app].default_scopes() } else { scopes.join(" ") };
        Ok((app, scopes))
    }
}

/// Settings, faults and holds.
impl Control {
    /// The settings now.
    pub fn settings(&self) -> Settings {
        self.shared.lock().settings.clone()
    }

    /// Changes settings. Tokens keep the lifetime they were given out with.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.lock().settings);
    }

    /// Queues a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.push(fault);
    }

    /// Forgets all faults that still wait.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Returns the number of requests that the waiting faults will still strike.
    pub fn pending_faults(&self) -> usize {
        self.shared.lock().faults.pending()
    }

    /// Holds requests of this endpoint before they take effect, until [`Control::release`].
    pub fn hold(&self, endpoint: Endpoint) {
        self.shared.gates.close(endpoint, Stage::Request);
    }

    /// Holds answers of this endpoint after the request took effect, until [`Control::release`].
    pub fn hold_answers(&self, endpoint: Endpoint) {
        self.shared.gates.close(endpoint, Stage::Answer);
    }

    /// Lets everything go on that is held at this endpoint, and holds nothing more.
    pub fn release(&self, endpoint: Endpoint) {
        self.shared.gates.open(endpoint);
    }

    /// Lets this many go on of those that are held at this endpoint, answers first, and goes on
    /// holding.
    pub fn release_some(&self, endpoint: Endpoint, count: usize) {
        self.shared.gates.let_through(endpoint, count);
    }

    /// Releases every endpoint.
    pub fn release_all(&self) {
        for endpoint in Endpoint::ALL {
            self.release(endpoint);
        }
    }

    /// Returns the number of requests and answers that are held at this endpoint.
    pub fn held(&self, endpoint: Endpoint) -> usize {
        self.shared.gates.held(endpoint)
    }

    /// Blocks until at least this many are held; false if that takes longer than `timeout`.
    pub fn wait_until_held(&self, endpoint: Endpoint, at_least: usize, timeout: Duration) -> bool {
        self.shared.gates.wait_blocking(endpoint, at_least, timeout)
    }
}

/// The clock and the statistics.
impl Control {
    /// The emulator's time in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.shared.lock().clock.now_ms().div_euclid(1_000)
    }

    /// The emulator's time in milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        self.shared.lock().clock.now_ms()
    }

    /// Sets the emulator's time.
    pub fn set_now(&self, seconds: i64) {
        self.turn_clock(|clock| clock.set_ms(seconds.saturating_mul(1_000)));
    }

    /// Moves the emulator's time, backwards too. Webhooks that are due then are sent.
    pub fn advance(&self, seconds: i64) {
        self.turn_clock(|clock| clock.advance_ms(seconds.saturating_mul(1_000)));
    }

    /// Stops the emulator's time; it can still be moved.
    pub fn freeze(&self) {
        self.turn_clock(Clock::freeze);
    }

    /// Lets the emulator's time go on from where it stands.
    pub fn unfreeze(&self) {
        self.turn_clock(Clock::unfreeze);
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.shared.lock().clock.is_frozen()
    }

    /// Webhooks may be due afterwards.
    fn turn_clock(&self, turn: impl FnOnce(&mut Clock)) {
        let mut state = self.shared.lock();
        turn(&mut state.clock);
        state.deliveries.wake().notify_one();
    }

    /// Returns the counts so far.
    pub fn statistics(&self) -> Statistics {
        self.shared.lock().counters.shown.clone()
    }

    /// Counts from zero again; limits keep their memory.
    pub fn reset_statistics(&self) {
        self.shared.lock().counters.reset();
    }
}

/// The address only: the state may hold a hundred thousand accounts.
impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("api", &self.shared.base).finish_non_exhaustive()
    }
}
