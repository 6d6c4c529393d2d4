//! Changes of the emulated platform: apps, accounts, codes and grants come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::account::Account;
use crate::clock::Clock;
use crate::config::{App, Company, Config, PrivateIntegration};
use crate::error::ControlError;
use crate::fault::Faults;
use crate::grants::{Grant, Grants, Lives, Presented};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::state::{Code, CompanyRecord, LocationRecord, State};
use crate::statistics::Counters;
use crate::tokens::{Claims, id};
use crate::webhook::delivery::Deliveries;
use crate::webhook::keys::Keys;

impl State {
    pub(crate) fn new(config: Config) -> Result<Self, ControlError> {
        let mut state = Self {
            settings: config.settings,
            clock: Clock::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            counters: Counters::default(),
            grants: Grants::default(),
            codes: HashMap::new(),
            apps: Vec::new(),
            companies: BTreeMap::new(),
            locations: HashMap::new(),
            private_integrations: HashMap::new(),
            contacts: BTreeMap::new(),
            webhook_keys: Keys::new(),
            deliveries: Deliveries::new(),
        };
        config.apps.into_iter().try_for_each(|app| state.add_app(app))?;
        config.companies.into_iter().try_for_each(|company| state.add_company(company))?;
        config
            .private_integrations
            .into_iter()
            .try_for_each(|token| state.add_private_integration(token))?;
        Ok(state)
    }

    pub(crate) fn add_app(&mut self, app: App) -> Result<(), ControlError> {
        if self.app_index(&app.client_id).is_some() {
            return Err(ControlError::Exists(format!("the app {}", app.client_id)));
        }
        self.apps.push(app);
        Ok(())
    }

    pub(crate) fn add_company(&mut self, company: Company) -> Result<(), ControlError> {
        if self.companies.contains_key(company.id.as_str()) {
            return Err(ControlError::Exists(format!("company:{}", company.id)));
        }
        let record = CompanyRecord { name: company.name, user_id: id(), locations: Vec::new() };
        self.companies.insert(company.id.as_str().into(), record);
        company.locations.iter().try_for_each(|(id, name)| self.add_location(&company.id, id, name))
    }

    pub(crate) fn add_location(
        &mut self,
        company_id: &str,
        id: &str,
        name: &str,
    ) -> Result<(), ControlError> {
        if self.locations.contains_key(id) {
            return Err(ControlError::Exists(format!("location:{id}")));
        }
        let Some((company_id, _)) = self.companies.get_key_value(company_id) else {
            return Err(ControlError::Unknown(format!("company:{company_id}")));
        };
        let company_id = company_id.clone();
        let id: Arc<str> = id.into();
        if let Some(company) = self.companies.get_mut(&company_id) {
            company.locations.push(id.clone());
        }
        let company = Account::Company(company_id.clone());
        self.locations
            .insert(id.clone(), LocationRecord { name: name.into(), company_id, paused: false });
        // What a company has installed, it has installed in its future locations.
        for app in self.grants.installed_apps(&company) {
            self.announce_future_location(app, &id);
        }
        Ok(())
    }

    pub(crate) fn add_private_integration(
        &mut self,
        token: PrivateIntegration,
    ) -> Result<(), ControlError> {
        self.company_of(&token.account)?;
        if self.private_integrations.contains_key(&token.token) {
            return Err(ControlError::Exists("this Private Integration token".into()));
        }
        self.private_integrations.insert(token.token.clone(), token);
        Ok(())
    }

    /// Makes a code for the account; no scopes means the app's.
    pub(crate) fn issue_code(&mut self, code: Code) -> Result<String, ControlError> {
        self.company_of(&code.account)?;
        let text = crate::tokens::hex::<20>();
        self.grants.install(code.app, &code.account);
        self.announce_install(code.app, &code.account);
        self.codes.insert(text.clone(), code);
        Ok(text)
    }

    /// Takes every app from the account.
    pub(crate) fn uninstall(&mut self, account: &Account) -> Result<(), ControlError> {
        let company = Account::Company(self.company_of(account)?.clone());
        let mut apps = self.grants.installed_apps(account);
        apps.extend(self.grants.installed_apps(&company));
        apps.sort_unstable();
        apps.dedup();
        if apps.is_empty() && !self.apps.is_empty() {
            apps.push(0);
        }
        self.grants.uninstall(account);
        for app in apps {
            self.announce_uninstall(app, account);
        }
        Ok(())
    }

    /// Makes a new pair for the account.
    pub(crate) fn issue(
        &mut self,
        app: usize,
        account: &Account,
        scopes: &str,
        with_refresh_token: bool,
    ) -> Result<Arc<Grant>, ControlError> {
        let company_id = self.company_of(account)?.to_string();
        let user_id =
            self.companies.get(company_id.as_str()).map(|c| c.user_id.clone()).unwrap_or_default();
        let now_ms = self.clock.now_ms();
        let lives = Lives {
            access_until_ms: now_ms.saturating_add(self.settings.lifetime.saturating_mul(1_000)),
            refresh_until_ms: now_ms
                .saturating_add(self.settings.refresh_lifetime.saturating_mul(1_000)),
        };
        let client_id = self.apps[app].client_id.clone();
        let token = |kind, until_ms: i64| {
            let issued_at = now_ms.div_euclid(1_000);
            let expires_at = until_ms.div_euclid(1_000);
            Claims { kind, account, client_id: &client_id, scopes, issued_at, expires_at }
                .token(self.settings.token_size)
        };
        let grant = Grant {
            access_token: token("access", lives.access_until_ms),
            refresh_token: with_refresh_token.then(|| token("refresh", lives.refresh_until_ms)),
            account: account.clone(),
            expires_in: self.settings.lifetime,
            scope: scopes.to_owned(),
            company_id,
            location_id: matches!(account, Account::Location(_)).then(|| account.id().to_owned()),
            user_id,
            client_id,
        };
        Ok(self.grants.remember(app, grant, lives))
    }

    /// Exchanges a refresh token for a new pair, or for the pair it was exchanged for within the
    /// window.
    pub(crate) fn rotate(&mut self, app: usize, token: &str) -> Result<Arc<Grant>, Refusal> {
        let now_ms = self.clock.now_ms();
        let window_ms = self.window_ms();
        match self.grants.present(token, app, now_ms, window_ms) {
            Presented::Live { account, .. } if self.is_paused(&account) => Err(Refusal::inactive()),
            Presented::Live { account, scopes } => {
                let pair = self
                    .issue(app, &account, &scopes, true)
                    .map_err(|_| Refusal::invalid_grant())?;
                self.grants.rotated(token, &pair, now_ms, window_ms);
                self.counters.shown.rotations += 1;
                Ok(pair)
            }
            Presented::Repeated(pair) if self.is_paused(&pair.account) => Err(Refusal::inactive()),
            Presented::Repeated(pair) => {
                self.counters.shown.reuse_inside_window += 1;
                Ok(pair)
            }
            Presented::Reused => {
                self.counters.shown.reuse_outside_window += 1;
                Err(Refusal::invalid_grant())
            }
            Presented::Worthless => Err(Refusal::invalid_grant()),
        }
    }
}
