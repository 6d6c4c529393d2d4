//! Refused tokens: another token after a 401, with growing pauses if that cures nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Need, Refresher};
use crate::account::Account;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::snapshot::{Moment, Snapshot};
use crate::sync::{Mutex, lock};

/// The last token of each account that the API refused.
#[derive(Default)]
pub(crate) struct RefusedTokens {
    by_account: Mutex<HashMap<Account, Refused>>,
}

/// The last token of an account that the API refused.
struct Refused {
    snapshot: Arc<Snapshot>,
    /// Number of tokens that were refused with no quiet time between.
    in_a_row: u32,
    /// The replacement is here.
    replaced: bool,
    /// Moment at which the replacement was first asked for, on the monotonic clock.
    at: u64,
    /// Moment at which a refusal was last reported, on the monotonic clock.
    reported_at: u64,
}

impl Refused {
    /// Returns how long the next replacement has to wait.
    fn pause(&self, now: u64) -> Duration {
        pause_after(self.in_a_row)
            .saturating_sub(Duration::from_millis(now.saturating_sub(self.at)))
    }

    /// Returns `true` after so long a quiet time that the refusal means nothing any more.
    fn is_forgotten(&self, now: u64) -> bool {
        let quiet = pause_after(self.in_a_row).max(SHORTEST_PAUSE) * QUIET_PAUSES;
        Duration::from_millis(now.saturating_sub(self.reported_at)) >= quiet
    }
}

impl RefusedTokens {
    /// Returns `true` if the API refused the token of this snapshot.
    pub(super) fn contains(&self, snapshot: &Snapshot) -> bool {
        let Ok(account) = Account::parse(snapshot.name()) else { return false };
        lock(&self.by_account)
            .get(&account)
            .is_some_and(|refused| refused.snapshot.same_token(snapshot))
    }

    pub(super) fn forget(&self, account: &Account) {
        lock(&self.by_account).remove(account);
    }

    /// Notes that the refused token of an account was replaced. Returns how long the next
    /// replacement has to wait.
    pub(super) fn note_replaced(&self, account: &Account, clock: &impl Clock) -> Duration {
        let now = clock.monotonic();
        lock(&self.by_account).get_mut(account).map_or(Duration::ZERO, |refused| {
            refused.replaced = true;
            refused.pause(now)
        })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.by_account).is_empty()
    }
}

/// Returns another token than the refused one, after a 401 that a refresh can cure.
pub(crate) fn replace_refused(
    refresher: &Refresher,
    account: &Account,
    reported: &Snapshot,
    error: &Error,
) -> Result<Arc<Snapshot>> {
    let grants = &refresher.grants;
    let (cache, clock) = (&grants.cache, &grants.clock);
    let _call = grants.begin_call();
    let current = match cache.get(account.as_str()) {
        Some(current) if !current.is_suspect() => current,
        _ => grants.read_in(account)?,
    };
    if !current.same_token(reported) && refresher.is_living(&current) {
        return Ok(current);
    }
    // The cached snapshot knows when the token ends; headers that a program put together again do
    // not.
    let refused = if current.same_token(reported) { &*current } else { reported };
    let refused = Arc::new(refused.with_soft(Moment::PAST));
    let now = clock.monotonic();
    {
        let mut map = lock(&refresher.refused.by_account);
        let before = map.get(account);
        // Another report of the same token may have had it replaced since the look.
        if let Some(newer) = cache.get(account.as_str())
            && !newer.is_suspect()
            && !newer.same_token(reported)
            && !newer.is_hard(clock)
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
                    return Err(
                        refused_again(account, pause).with_server_message(error.server_message())
                    );
                }
                (before.in_a_row.saturating_add(1), now)
            }
        };
        let snapshot = Arc::clone(&refused);
        let note = Refused { snapshot, in_a_row, replaced: false, at, reported_at: now };
        map.insert(account.clone(), note);
    }
    if current.same_token(reported) {
        cache.publish(Arc::clone(&refused));
    }
    let snapshot = refresher.refresh_waiting(account, &Need::Refused(refused))?;
    let pause = refresher.refused.note_replaced(account, clock);
    if snapshot.same_token(reported) {
        return Err(refused_again(account, pause));
    }
    Ok(snapshot)
}

/// The error of an account whose tokens the API refuses one after the other.
pub(crate) fn refused_again(account: &Account, pause: Duration) -> Error {
    Error::new(
        ErrorCode::HttpStatus,
        "the API refused several tokens of this account in a row; wait, and check that the app is \
         still installed",
    )
    .with_status(401)
    .with_retry_after(if pause.is_zero() { SHORTEST_PAUSE } else { pause })
    .with_account(account)
}

/// The shortest pause before a refused token is replaced again, counted from the moment at which
/// the last replacement was asked for. Two replacements come without a pause: a second refresh may
/// help; a third rarely does.
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
