//! Serving headers: the way of a call that finds no fresh snapshot in the cache.

use std::sync::Arc;

use crate::account::Account;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::{Bearer, LOOK_EVERY};
use crate::headers::Headers;
use crate::inner::Inner;
use crate::refresh::finish_fresh_marks;
use crate::snapshot::{Served, Snapshot};

/// Gets the headers of an account: from the cache, or by everything that it takes.
#[inline]
pub(crate) fn headers_for(inner: &Arc<Inner>, name: &str, method: &[u8]) -> Result<Headers> {
    let grants = inner.grants();
    let served = match grants.cache.fresh(name.as_bytes(), &grants.clock) {
        Some(served) => served,
        None => Served::from_inner(slow(inner, name)?),
    };
    Ok(Headers::new(served, method))
}

/// Gets a snapshot that is not in the cache, or not fresh.
#[cold]
pub(crate) fn slow(inner: &Arc<Inner>, name: &str) -> Result<Arc<Snapshot>> {
    let (grants, refresher) = (inner.grants(), &inner.refresher);
    inner.check_open()?;
    if refresher.credential.is_static() {
        check_static_account(inner, name)?;
    }
    if let Some(snapshot) = static_snapshot(inner, name) {
        return Ok(snapshot);
    }
    if let Err(error) = inner.check_process() {
        return inherited(inner, name).ok_or(error);
    }
    let _call = inner.begin_call();
    // Once more, now that the call is counted: a client that closes waits for the calls that it let
    // through.
    inner.check_open()?;
    let account = Account::parse(name)?;
    let living = || grants.cache.get(name).filter(|cached| refresher.is_living(cached));
    let bearer = if living().is_some() { Bearer::Living } else { Bearer::None };
    let answer = match grants.watch_store(bearer) {
        Ok(()) => refresher
            .obtain(&account)
            .or_else(|error| inner.installations().finish_install(&account, error)),
        Err(error) => living().ok_or_else(|| error.with_account(&account)),
    };
    // Only a caller who has to wait for the store anyway starts recovery.
    if bearer == Bearer::None {
        finish_fresh_marks(inner, &account);
        // With a clock of the program, recovery runs on this thread. A token that a failed refresh
        // left may have ended meanwhile.
        if answer.as_ref().is_ok_and(|snapshot| snapshot.is_expired(&grants.clock)) {
            return refresher.obtain(&account);
        }
    }
    answer
}

/// Returns what a forked child has of an account: the headers that its parent cached, until their
/// token ends.
fn inherited(inner: &Inner, name: &str) -> Option<Arc<Snapshot>> {
    let grants = inner.grants();
    // A child does not look into the store. The hot path goes on for as long as after a look.
    grants.clock.take_look(LOOK_EVERY);
    grants.cache.inherited(name).filter(|snapshot| !snapshot.is_expired(&grants.clock))
}

/// Makes the snapshot of a static token, and publishes it under `name`.
pub(crate) fn static_snapshot(inner: &Inner, name: &str) -> Option<Arc<Snapshot>> {
    let grants = inner.grants();
    // Published while the token stays in use: a rotation that comes meanwhile finds the snapshot,
    // and forgets it.
    inner.refresher.credential.with_static_token(|token| {
        let constants = Arc::clone(&grants.constants);
        let snapshot = Arc::new(Snapshot::new(name, token.expose(), constants, 0));
        grants.cache.publish(Arc::clone(&snapshot));
        snapshot
    })
}

/// Refuses any other account than `default_account` for a static token, which speaks for one
/// account.
pub(crate) fn check_static_account(inner: &Inner, name: &str) -> Result<()> {
    if !inner.refresher.credential.is_static() || name.is_empty() {
        return Ok(());
    }
    let account = Account::parse(name)?;
    match &inner.settings().default_account {
        Some(own) if *own != account => Err(Error::new(
            ErrorCode::WrongAccount,
            "the static token speaks for `default_account` only: use OAuth to serve several \
             accounts",
        )
        .with_account(&account)),
        _ => Ok(()),
    }
}
