use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::account::Account;
use crate::refusal::Refusal;
use crate::tokens::Fingerprints;

/// A pair of tokens as the platform gave it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Grant {
    /// Account that the tokens speak for.
    pub account: Account,
    /// The app they were given to.
    pub client_id: String,
    /// The bearer of API requests.
    pub access_token: String,
    /// The single-use token of the next refresh; none if a mint was told not to give one.
    pub refresh_token: Option<String>,
    /// Lifetime of the access token when it was issued, in seconds.
    pub expires_in: i64,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// The company, or the company of the location.
    pub company_id: String,
    /// The location, for tokens of a location.
    pub location_id: Option<String>,
    /// The user who approved.
    pub user_id: String,
}

/// All tokens that were ever given out, by fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    fingerprints: Fingerprints,
    access: HashMap<u128, Access>,
    refresh: HashMap<u128, Refresh>,
    accounts: HashMap<Account, Standing>,
    /// The rotations whose pair is still kept for a repetition, oldest first.
    recent: VecDeque<(i64, u128)>,
    serial: u64,
    /// Access tokens up to this serial number are expired, whatever their own time says.
    expired: u64,
}

/// Facts that the platform knows of an access token.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) app: usize,
    pub(crate) account: Account,
    pub(crate) scopes: Arc<str>,
    expires_ms: i64,
    serial: u64,
    revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    app: usize,
    account: Account,
    scopes: Arc<str>,
    expires_ms: i64,
    serial: u64,
    revoked: bool,
    used: Option<Used>,
}

#[derive(Debug)]
struct Used {
    at_ms: i64,
    /// The pair it was exchanged for, until the window is over.
    pair: Option<Arc<Grant>>,
}

/// Floors below which the serial numbers of an account's tokens are worthless: a revocation costs
/// the same for one token and for a million.
#[derive(Debug, Default)]
struct Standing {
    access_revoked: u64,
    access_expired: u64,
    refresh_revoked: u64,
    uninstalled: bool,
    /// The apps that were authorized, by index.
    apps: Vec<usize>,
    current: Option<Arc<Grant>>,
}

/// Moments at which the tokens of a new pair end, in milliseconds of the emulator's clock.
#[derive(Clone, Copy)]
pub(crate) struct Lives {
    pub(crate) access_until_ms: i64,
    pub(crate) refresh_until_ms: i64,
}

/// State of a refresh token.
pub(crate) enum Presented {
    /// Unused and alive: rotate it.
    Live { account: Account, scopes: Arc<str> },
    /// Used within the window: the same pair again.
    Repeated(Arc<Grant>),
    /// Used, and the window is over.
    Reused,
    /// Unknown, revoked, expired, or another app's.
    Worthless,
}

impl Grants {
    /// Remembers a pair that was just made.
    pub(crate) fn remember(&mut self, app: usize, grant: Grant, lives: Lives) -> Arc<Grant> {
        self.serial += 1;
        let scopes: Arc<str> = grant.scope.as_str().into();
        self.access.insert(
            self.fingerprints.of(&grant.access_token),
            Access {
                app,
                account: grant.account.clone(),
                scopes: scopes.clone(),
                expires_ms: lives.access_until_ms,
                serial: self.serial,
                revoked: false,
            },
        );
        if let Some(token) = &grant.refresh_token {
            self.refresh.insert(
                self.fingerprints.of(token),
                Refresh {
                    app,
                    account: grant.account.clone(),
                    scopes,
                    expires_ms: lives.refresh_until_ms,
                    serial: self.serial,
                    revoked: false,
                    used: None,
                },
            );
        }
        let grant = Arc::new(grant);
        self.install(app, &grant.account);
        let standing = self.accounts.entry(grant.account.clone()).or_default();
        standing.uninstalled = false;
        standing.current = Some(grant.clone());
        grant
    }

    /// Notes that `old` was exchanged for `pair`, and forgets the pairs whose window is over.
    pub(crate) fn rotated(&mut self, old: &str, pair: &Arc<Grant>, now_ms: i64, window_ms: i64) {
        while let Some((at_ms, fingerprint)) = self.recent.front().copied() {
            if now_ms.saturating_sub(at_ms) <= window_ms {
                break;
            }
            self.recent.pop_front();
            if let Some(used) =
                self.refresh.get_mut(&fingerprint).and_then(|token| token.used.as_mut())
            {
                used.pair = None;
            }
        }
        let fingerprint = self.fingerprints.of(old);
        if let Some(token) = self.refresh.get_mut(&fingerprint) {
            let pair = (window_ms > 0).then(|| pair.clone());
            token.used = Some(Used { at_ms: now_ms, pair });
            self.recent.push_back((now_ms, fingerprint));
        }
    }

    /// Makes the access tokens, the refresh tokens, or both, of an account worthless.
    pub(crate) fn revoke(&mut self, account: &Account, access: bool, refresh: bool) {
        let serial = self.serial;
        let standing = self.accounts.entry(account.clone()).or_default();
        if access {
            standing.access_revoked = serial;
        }
        if refresh {
            standing.refresh_revoked = serial;
        }
    }

    /// Makes one token worthless; false if the emulator never gave it out.
    pub(crate) fn revoke_token(&mut self, token: &str) -> bool {
        let fingerprint = self.fingerprints.of(token);
        if let Some(access) = self.access.get_mut(&fingerprint) {
            access.revoked = true;
            return true;
        }
        self.refresh.get_mut(&fingerprint).map(|token| token.revoked = true).is_some()
    }

    pub(crate) fn uninstall(&mut self, account: &Account) {
        self.revoke(account, true, true);
        let standing = self.accounts.entry(account.clone()).or_default();
        standing.uninstalled = true;
        standing.apps.clear();
    }

    /// Notes that this app was authorized for the account.
    pub(crate) fn install(&mut self, app: usize, account: &Account) {
        let standing = self.accounts.entry(account.clone()).or_default();
        if !standing.apps.contains(&app) {
            standing.apps.push(app);
        }
    }

    /// The apps that were authorized for the account since it was last uninstalled.
    pub(crate) fn installed_apps(&self, account: &Account) -> Vec<usize> {
        self.accounts.get(account).map(|account| account.apps.clone()).unwrap_or_default()
    }

    pub(crate) fn expire_access(&mut self, account: &Account) {
        let serial = self.serial;
        self.accounts.entry(account.clone()).or_default().access_expired = serial;
    }

    pub(crate) fn expire_all_access(&mut self) {
        self.expired = self.serial;
    }

    /// Tells what a refresh token is worth to this app now.
    pub(crate) fn present(
        &self,
        token: &str,
        app: usize,
        now_ms: i64,
        window_ms: i64,
    ) -> Presented {
        let Some(known) =
            self.refresh.get(&self.fingerprints.of(token)).filter(|known| known.app == app)
        else {
            return Presented::Worthless;
        };
        let revoked = known.revoked
            || self
                .accounts
                .get(&known.account)
                .is_some_and(|account| known.serial <= account.refresh_revoked);
        match &known.used {
            _ if revoked => Presented::Worthless,
            None if now_ms >= known.expires_ms => Presented::Worthless,
            None => {
                Presented::Live { account: known.account.clone(), scopes: known.scopes.clone() }
            }
            Some(Used { at_ms, pair: Some(pair) })
                if window_ms > 0 && now_ms.saturating_sub(*at_ms) <= window_ms =>
            {
                Presented::Repeated(pair.clone())
            }
            Some(_) => Presented::Reused,
        }
    }

    /// Returns the account that a refresh token was given for, dead or alive.
    pub(crate) fn account_of_refresh(&self, token: &str) -> Option<&Account> {
        self.refresh.get(&self.fingerprints.of(token)).map(|known| &known.account)
    }

    /// Returns the account that an access token was given for, dead or alive.
    pub(crate) fn account_of_access(&self, token: &str) -> Option<&Account> {
        self.access.get(&self.fingerprints.of(token)).map(|known| &known.account)
    }

    /// Returns the state of an access token.
    pub(crate) fn check_access(&self, token: &str, now_ms: i64) -> Result<&Access, Refusal> {
        let fingerprint = self.fingerprints.of(token);
        let Some(access) = self.access.get(&fingerprint) else {
            let wrong_kind = self.refresh.contains_key(&fingerprint);
            return Err(Refusal::api(401, if wrong_kind { WORTHLESS } else { "Invalid JWT" }));
        };
        let account = self.accounts.get(&access.account);
        if access.revoked || account.is_some_and(|account| access.serial <= account.access_revoked)
        {
            return Err(Refusal::api(401, WORTHLESS));
        }
        let expired = now_ms >= access.expires_ms
            || access.serial <= self.expired
            || account.is_some_and(|account| access.serial <= account.access_expired);
        if expired { Err(Refusal::api(401, "Invalid JWT")) } else { Ok(access) }
    }

    /// The pair that was last given out for this account.
    pub(crate) fn current(&self, account: &Account) -> Option<Arc<Grant>> {
        self.accounts.get(account)?.current.clone()
    }

    pub(crate) fn is_uninstalled(&self, account: &Account) -> bool {
        self.accounts.get(account).is_some_and(|account| account.uninstalled)
    }
}

const WORTHLESS: &str = "Invalid token: access token is invalid";
