//! Health: the state of one account's grant, for people and monitors.

use std::time::Duration;

use super::Grants;
use crate::account::Account;
use crate::clock::{Clock, Timestamp};
use crate::error::Result;

/// State of an account's grant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// End of the access token.
    pub expires_at: Timestamp,
    /// Moment at which the token pair was asked for or imported.
    pub refreshed_at: Timestamp,
    /// Moment at which the user authorized the grant.
    pub authorized_at: Timestamp,
    /// Message of the last failure since then.
    pub last_error: Option<String>,
    /// `true` if the platform refused the refresh token and only the user can help.
    pub needs_reauthorization: bool,
    /// `true` if the current pair is held in memory because the store failed.
    pub unsaved: bool,
    /// Days until an unused refresh token ends (it lives one year); `None` without a refresh token.
    pub idle_days_left: Option<u64>,
    /// Scopes of the grant.
    pub scopes: Vec<String>,
}

/// Reads the state of an account's grant.
pub(crate) fn health(grants: &Grants, account: &Account) -> Result<Health> {
    let _call = grants.begin_call();
    let unsaved = grants.unsaved_grant(account);
    let is_unsaved = unsaved.is_some();
    let unsaved_error = grants.unsaved_error(account);
    let record = match grants.load(account) {
        Ok(record) => record,
        Err(error) if !is_unsaved => return Err(error),
        Err(_) => None,
    };
    let back_off = record.as_ref().and_then(|record| record.back_off.clone());
    let grant = match unsaved {
        Some((grant, _)) => grant,
        None => grants.open_live(account, record)?.1,
    };
    let now = grants.clock.now();
    let idle_ends = grant.obtained_at.plus(REFRESH_TOKEN_LIFE);
    let days_left = idle_ends.since(now).as_secs() / 86_400;
    Ok(Health {
        expires_at: grant.trusted_expiry(now),
        refreshed_at: grant.obtained_at,
        authorized_at: grant.authorized_at,
        last_error: unsaved_error
            .map(|error| error.message().to_owned())
            .or(back_off.as_ref().map(|back_off| back_off.message.clone())),
        needs_reauthorization: back_off.is_some_and(|back_off| back_off.refused),
        unsaved: is_unsaved,
        idle_days_left: grant.refresh_token.as_ref().map(|_| days_left),
        scopes: grant.scopes,
    })
}

/// HoopAI ends a refresh token that is unused for a year.
const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(365 * 86_400);
