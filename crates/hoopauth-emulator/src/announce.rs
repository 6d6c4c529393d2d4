//! Webhooks of the emulated platform: what their bodies say, and those of the install flow.

use serde_json::{Map, Value, json};

use crate::account::{Account, Class};
use crate::error::ControlError;
use crate::state::State;
use crate::style::PLAN_ID;
use crate::tokens::uuid;
use crate::webhook::event::{Prepared, Webhook, iso8601};
use crate::webhook::keys::WebhookScheme;

impl State {
    /// Makes the body and finds the keys. Signing is left for later, as it needs no lock.
    pub(crate) fn prepare(&self, webhook: &Webhook) -> Result<Prepared, ControlError> {
        let app = match &webhook.client_id {
            None => self.apps.first(),
            Some(id) => self.app_index(id).map(|app| &self.apps[app]),
        };
        let unknown = || {
            ControlError::Unknown(format!(
                "the app {}",
                webhook.client_id.as_deref().unwrap_or("(default)")
            ))
        };
        let find = |scheme: &WebhookScheme| self.webhook_keys.find(*scheme, webhook.key.as_deref());
        let keys = webhook.schemes.iter().map(find).collect::<Result<_, _>>()?;
        let style = self.settings.webhook_hmac;
        if let Some(body) = &webhook.body {
            if !webhook.event.is_empty() {
                return Err(ControlError::Malformed("give `event` or `body`, not both".into()));
            }
            let event = serde_json::from_str(body).unwrap_or_default();
            return Ok(Prepared { event, body: body.clone(), keys, style });
        }
        let app_id = app.ok_or_else(unknown)?.app_id();
        let event = fill(webhook.event.clone(), app_id, self);
        Ok(Prepared { body: Value::Object(event.clone()).to_string(), event, keys, style })
    }

    /// Tells the app's webhook that it was installed. Installing it in a company installs it in the
    /// company's locations, each of which is told of by its own.
    pub(crate) fn announce_install(&mut self, app: usize, account: &Account) {
        if self.settings.webhook_url.is_none() {
            return;
        }
        self.announce(app, json!({ "type": "INSTALL", id_of(account): account.id() }));
        if let Account::Company(id) = account {
            let locations =
                self.companies.get(id).map(|company| company.locations.clone()).unwrap_or_default();
            let locations = locations.into_iter().map(Account::Location);
            let installed: Vec<_> = locations
                .filter(|location| !self.grants.is_uninstalled(location))
                .take(TOLD_AT_MOST)
                .collect();
            for location in installed {
                self.announce(app, json!({ "type": "INSTALL", "locationId": location.id() }));
            }
        }
    }

    /// Tells of a location that came to a company with the app: the platform knows no user then and
    /// names no company.
    pub(crate) fn announce_future_location(&mut self, app: usize, id: &str) {
        self.announce(
            app,
            json!({ "type": "INSTALL", "locationId": id, "companyId": null, "userId": null }),
        );
    }

    pub(crate) fn announce_uninstall(&mut self, app: usize, account: &Account) {
        self.announce(app, json!({ "type": "UNINSTALL", id_of(account): account.id() }));
    }

    /// Queues an event of the install flow, if there is a webhook to send it to.
    fn announce(&mut self, app: usize, event: Value) {
        let Some(url) = self.settings.webhook_url.clone() else { return };
        let webhook = Webhook::event(event).client_id(&self.apps[app].client_id);
        let now_ms = self.clock.now_ms();
        if let Ok(webhook) = self.prepare(&webhook) {
            self.deliveries.push(&url, webhook, 1, self.settings.webhook_retry, now_ms);
        }
    }
}

/// The member of an event that names the account.
fn id_of(account: &Account) -> &'static str {
    match account.class() {
        Class::Location => "locationId",
        Class::Company => "companyId",
    }
}

/// Adds what the event leaves out, then takes out what it says is `null`.
fn fill(mut event: Map<String, Value>, app_id: &str, state: &State) -> Map<String, Value> {
    let now_ms = state.clock.now_ms();
    let mut put = |name: &str, value: Value| {
        event.entry(name).or_insert(value);
    };
    put("type", "ContactCreate".into());
    put("webhookId", uuid().into());
    put("timestamp", iso8601(now_ms).into());
    put("appId", app_id.into());
    if event["type"] == "INSTALL" {
        fill_install(&mut event, app_id, state);
    }
    event.retain(|_, value| !value.is_null());
    event
}

fn fill_install(event: &mut Map<String, Value>, app_id: &str, state: &State) {
    let text = |event: &Map<String, Value>, name| {
        event.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
    };
    let location = text(event, "locationId").map(|id| Account::location(&id));
    let known = location
        .as_ref()
        .and_then(|location| state.company_of(location).ok())
        .map(ToString::to_string);
    let company_id = text(event, "companyId").or_else(|| known.clone());
    let company = company_id.as_deref().and_then(|id| state.companies.get(id));
    let class = if location.is_some() { Class::Location } else { Class::Company };
    let trial_start = iso8601(state.clock.now_ms());
    let mut put = |name: &str, value: Value| {
        event.entry(name).or_insert(value);
    };
    put("versionId", app_id.into());
    put("installType", class.as_str().into());
    put("companyId", json!(company_id));
    put("userId", json!(company.map(|company| &company.user_id)));
    put("planId", PLAN_ID.into());
    put("trial", json!({ "onTrial": true, "trialDuration": 10, "trialStartDate": trial_start }));
    put("isWhitelabelCompany", false.into());
    put("whitelabelDetails", json!({}));
    put("companyName", json!(company.map(|company| &company.name)));
}

/// Number of locations that an answer's `approvedLocations` has.
const TOLD_AT_MOST: usize = 100;
