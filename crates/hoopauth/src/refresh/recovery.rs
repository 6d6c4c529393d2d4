//! Recovery: refreshes that a crash left open are finished while the platform still answers them.

use std::sync::Arc;

use super::{Need, Refresher};
use crate::account::Account;
use crate::error::ErrorCode;
use crate::store::WINDOW;

/// Finishes the refreshes that a crash left open a moment ago, once for each client, after its
/// first call. `called` is the account of that call, which was served already. Older ones wait for
/// their callers, or for maintenance.
///
/// This runs on a thread of its own, which ends with the last of them: a call for one account never
/// waits for another's. `owner` holds the refresher, and lives until then.
pub(crate) fn finish_fresh_marks<O>(owner: &Arc<O>, called: &Account)
where
    O: AsRef<Refresher> + Send + Sync + 'static,
{
    let refresher = owner.as_ref().as_ref();
    let grants = &refresher.grants;
    let Some(watch) = grants.begun_watch().filter(|watch| watch.take_open_marks()) else { return };
    let marks = match grants.store.open_marks() {
        Ok(marks) => marks,
        Err(error) => {
            // The next call looks again.
            watch.give_back_open_marks();
            return watch.tell_trouble(&error);
        }
    };
    let others = marks.into_iter().filter(|it| it != called && !grants.is_unsaved(it));
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return;
    }
    // A program that brings its own clock expects that nothing happens between the clock's ticks.
    if !grants.clock.is_system() {
        let fresh = others.iter().filter(|account| has_fresh_mark(refresher, account));
        return fresh.for_each(|account| recover(refresher, account));
    }
    // Counted from here on: a client that closes waits for it.
    let counted = grants.calls.enter();
    let owner = Arc::clone(owner);
    let work = move || {
        let _counted = counted;
        let refresher = owner.as_ref().as_ref();
        for account in others {
            if refresher.grants.calls.check_open().is_err() {
                return;
            }
            let _call = refresher.grants.begin_call();
            if has_fresh_mark(refresher, &account) {
                recover(refresher, &account);
            }
        }
    };
    let thread = std::thread::Builder::new().name("hoopauth-recovery".to_owned());
    if let Err(error) = thread.spawn(work) {
        tracing::warn!(
            %error,
            "no thread could be started to finish refreshes that a crash interrupted; their \
             accounts' next calls do it"
        );
    }
}

fn has_fresh_mark(refresher: &Refresher, account: &Account) -> bool {
    let record = refresher.grants.load(account).ok().flatten();
    record.and_then(|record| record.mark).is_some_and(|mark| mark.age < WINDOW)
}

/// Finishes an open refresh, unless its holder is still at it.
pub(super) fn recover(refresher: &Refresher, account: &Account) {
    match refresher.renew(account, &Need::Recover) {
        Some(Err(error)) if error.code() != ErrorCode::LeaseTimeout => {
            tracing::warn!(
                %account, %error,
                "a refresh that was interrupted could not be finished; it is tried again"
            );
        }
        _ => {}
    }
}
