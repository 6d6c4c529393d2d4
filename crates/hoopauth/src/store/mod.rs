//! Stores, which keep grants.
//!
//! A store keeps one [`Record`] for each app and account, the sliding log of token-endpoint
//! requests, and short-lived claims. The secret part of a record is opaque bytes to the store, and
//! sealed if a `store_key` is set.

use std::fmt;
use std::time::Duration;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};

mod app;
mod budget;
#[cfg(test)]
mod contract;
mod host;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod user;

pub(crate) use self::app::{AppStore, claim_id};
pub use self::host::{Held, HostStore, Leased, Listed, NewRow, Row, RowStore};
pub use self::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub(crate) use self::postgres::{PostgresSettings, PostgresStore};
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::{SqliteStore, private, sync_folder};
#[cfg(feature = "sqlite")]
pub(crate) use self::user::UserStore;

/// Keeps records. Every method may be called from any thread, concurrently, and must not call back
/// into the client.
///
/// `now` is the client's clock; a store with a better one (a database) may use that instead,
/// everywhere.
///
/// The built-in stores wait no longer than the call that they work for may take. A store of the
/// program's own has to bound its waits itself.
pub trait TokenStore: Send + Sync + fmt::Debug {
    /// The record of an account, or `None` if there never was one.
    fn load(&self, key: &Key<'_>, now: Timestamp) -> Result<Option<Record>>;

    /// Compare-and-set: stores `record` as generation `expected + 1` if the stored generation is
    /// `expected` (0: no record), and clears mark and back-off. Answers whether it did. Durable
    /// when it answers `true`.
    fn save(&self, key: &Key<'_>, expected: u64, record: &NewRecord) -> Result<bool>;

    /// The accounts of an app that have a grant, in any order.
    fn accounts(&self, app: &str) -> Result<Vec<Account>>;

    /// The accounts of an app whose record carries an open mark.
    fn open_marks(&self, app: &str) -> Result<Vec<Account>>;

    /// The accounts of an app that maintenance should renew next. Accounts whose back-off lasts
    /// beyond `now` are left out. Each list has at most `limit` accounts.
    fn due(&self, app: &str, now: Timestamp, limit: usize) -> Result<Due>;

    /// Takes the exclusive right to refresh one account, waiting at most `wait`. `None`: another
    /// holder kept it. It ends when the lease is dropped or its process dies; it is never taken
    /// away.
    fn lease<'a>(&'a self, key: &Key<'_>, wait: Duration) -> Result<Option<Box<dyn Lease + 'a>>>;

    /// Takes one token-endpoint request out of the app's budget.
    fn take_slot(&self, app: &str, request: SlotRequest, now: Timestamp) -> Result<Slot>;

    /// Counts the app's budget as used up for the next `wait`, a minute at most, because the
    /// platform answered that it is.
    fn exhaust(
        &self,
        _app: &str,
        _per_minute: u32,
        _wait: Duration,
        _now: Timestamp,
    ) -> Result<()> {
        Ok(())
    }

    /// Remembers `id` until `until`; `false` if it was remembered already.
    fn claim(&self, app: &str, id: &Fingerprint, until: Timestamp, now: Timestamp) -> Result<bool>;

    /// Returns `true` if [`claim`](Self::claim) remembers `id`, and `None` if the store cannot tell
    /// without claiming it.
    fn claimed(&self, _app: &str, _id: &Fingerprint, _now: Timestamp) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Forgets a claim.
    fn unclaim(&self, app: &str, id: &Fingerprint) -> Result<()>;

    /// A number that changes with each stored change of any record, whichever process made it.
    /// Asked every few seconds: other clients do not notice a hidden change before their tokens are
    /// due. A caller with a fresh token waits for it: answer at once. A store that takes long is
    /// asked less often, up to once in half a minute.
    fn changes(&self) -> Result<u64>;

    /// The accounts of an app that were changed since [`changes`](Self::changes) was `since`, with
    /// their generations; some may be named twice. `None`: not known, it may be any of them.
    fn changed(&self, _app: &str, _since: u64) -> Result<Option<Vec<(Account, u64)>>> {
        Ok(None)
    }
}

/// The exclusive right to refresh one account. Dropping it gives it back.
pub trait Lease: fmt::Debug {
    /// The record as it is now.
    fn load(&mut self, now: Timestamp) -> Result<Option<Record>>;

    /// In one durable transaction: takes a slot of the budget and writes the mark, unless the
    /// generation moved on or the budget has no room. An open mark of the same fingerprint keeps
    /// its time while the platform still answers the request of that time ([`WINDOW`]); after that
    /// it gets the time of this request, which begins a new window.
    fn begin(
        &mut self,
        expected: u64,
        fingerprint: Fingerprint,
        slot: SlotRequest,
        now: Timestamp,
    ) -> Result<Begin>;

    /// Saves as [`TokenStore::save`] does.
    fn save(&mut self, expected: u64, record: &NewRecord) -> Result<bool>;

    /// Changes the notes beside the grant, if the generation is still `expected`: closes the mark,
    /// and sets the back-off (`None` clears it). No new generation.
    fn note(&mut self, expected: u64, close_mark: bool, back_off: Option<&BackOff>) -> Result<()>;
}

/// Key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The origin of the token endpoint and the client id.
    pub app: &'a str,
    /// The account.
    pub account: &'a Account,
}

/// Stored state of one account.
#[derive(Clone)]
pub struct Record {
    /// Counts up at each save, tombstones included; never restarts.
    pub generation: u64,
    /// The grant as opaque bytes; `None` is a tombstone.
    pub grant: Option<Vec<u8>>,
    /// End of the access token, by which the store finds the next one to refresh. In a tombstone:
    /// the moment of the UNINSTALL.
    pub expires_at: Timestamp,
    /// Keyed hashes of the refresh tokens this account was ever imported or refreshed with, oldest
    /// first; before them one that says that its grants are sealed with their generation.
    pub seen: Vec<Fingerprint>,
    /// A refresh of this generation was sent and its outcome is not known.
    pub mark: Option<Mark>,
    /// Time of the next try after a failure; bound to this generation.
    pub back_off: Option<BackOff>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .field("tombstone", &self.grant.is_none())
            .field("mark", &self.mark)
            .field("back_off", &self.back_off)
            .finish_non_exhaustive()
    }
}

/// The parts of a record that a save replaces.
#[derive(Clone)]
pub struct NewRecord {
    /// The grant as opaque bytes; `None` leaves a tombstone.
    pub grant: Option<Vec<u8>>,
    /// End of the access token.
    pub expires_at: Timestamp,
    /// See [`Record::seen`].
    pub seen: Vec<Fingerprint>,
}

impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("tombstone", &self.grant.is_none())
            .finish_non_exhaustive()
    }
}

/// Accounts that [`TokenStore::due`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The number of accounts that have a grant and are not [troubled](BackOff::is_troubled).
    pub total: u64,
    /// The accounts among them whose tokens live and end first, and when.
    pub first: Vec<(Account, Timestamp)>,
    /// The accounts among them whose tokens have ended, longest ago first.
    pub ended: Vec<Account>,
    /// Troubled accounts, those first whose back-off ended first. A store that can't tell them
    /// apart lists them in `first`.
    pub troubled: Vec<Account>,
}

impl Due {
    /// Chooses from all live records of an app, for stores that list them.
    pub fn of(
        all: impl IntoIterator<Item = (Account, Record)>,
        now: Timestamp,
        limit: usize,
    ) -> Self {
        let mut due = Self::default();
        let mut troubled = Vec::new();
        for (account, record) in all {
            let back_off = record.back_off.as_ref();
            let waits = back_off.is_some_and(|back_off| back_off.lasts(now));
            match back_off.filter(|back_off| back_off.is_troubled()) {
                Some(back_off) if !waits => troubled.push((back_off.until, account)),
                Some(_) => {}
                None => {
                    due.total += 1;
                    if !waits {
                        due.first.push((account, record.expires_at));
                    }
                }
            }
        }
        due.first.sort_by(|(one, ends), (other, end)| (ends, one).cmp(&(end, other)));
        let living = due.first.partition_point(|(_, ends)| *ends <= now);
        let first = due.first.split_off(living);
        due.ended = due.first.drain(..).map(|(account, _)| account).take(limit).collect();
        due.first = first;
        due.first.truncate(limit);
        troubled.sort();
        due.troubled = troubled.into_iter().map(|(_, account)| account).take(limit).collect();
        due
    }
}

/// A keyed hash: tells whether two texts are the same without telling the text.
pub type Fingerprint = [u8; 16];

/// 'A refresh of this generation was sent.'
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Fingerprint of the refresh token that was sent.
    pub fingerprint: Fingerprint,
    /// Time since the first request of the current window, by the store's clock.
    pub age: Duration,
}

impl Mark {
    /// Dates the mark of a request that is sent at `now`, where `open` is the mark found: see
    /// [`Lease::begin`].
    pub(crate) fn date(
        open: Option<(Fingerprint, Timestamp)>,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Timestamp {
        match open {
            Some((of, at)) if of == fingerprint && at <= now && now.since(at) < WINDOW => at,
            _ => now,
        }
    }
}

/// Makes the error of a row that others change faster than it can be written.
pub(crate) fn busy(account: &Account) -> Error {
    Error::new(ErrorCode::Store, "the grant changes faster than it can be written; try again")
        .with_retryable(true)
        .with_account(account)
}

/// The time after a refresh request in which the same request surely gets the same answer. The
/// platform promises 30 seconds and does not say when they begin; this is less, to be on the safe
/// side.
pub const WINDOW: Duration = Duration::from_secs(20);

/// The durable note of a failed refresh: when to try again, and what to tell callers until then.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackOff {
    /// `true` if the platform refused the refresh token; `false` if the failure may pass.
    pub refused: bool,
    /// The time of the next try.
    pub until: Timestamp,
    /// The number of failures in a row.
    pub failures: u32,
    /// The number of the last error's code.
    pub code: i32,
    /// The last error's message. It holds no secrets.
    pub message: String,
    /// The number of failures in a row that were this account's alone: the token endpoint served
    /// others meanwhile.
    #[serde(default)]
    pub alone: u32,
    /// The HTTP status of the last answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// The server's words, cleaned.
    #[serde(default)]
    pub server_message: Option<String>,
    /// `true` if the last error may pass without anybody's doing.
    #[serde(default)]
    pub retryable: bool,
    /// The time of the last failure.
    #[serde(default)]
    pub at: Timestamp,
    /// A fingerprint of the client's settings, for failures that end when those are corrected.
    #[serde(default)]
    pub settings: Option<Fingerprint>,
}

impl BackOff {
    /// The longest pause of all.
    pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3_600);

    /// Returns `true` if the trouble is this account's alone. Such accounts are tried last, from a
    /// small part of the budget.
    pub fn is_troubled(&self) -> bool {
        self.refused || self.alone >= 2
    }
}

impl BackOff {
    /// Returns the back-off if it is of this kind.
    ///
    /// A call of its own: inlined, the compiler reads `refused` before it knows that there is a
    /// back-off, and checkers of memory report that to whoever writes a C program.
    #[inline(never)]
    pub(crate) fn of_kind(before: Option<&Self>, refused: bool) -> Option<&Self> {
        before.filter(|before| before.refused == refused)
    }
}

/// Outcome of [`Lease::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Slot taken, mark written.
    Marked,
    /// No room in the budget; ask again after this time.
    Wait(Duration),
    /// The generation is not the expected one any more.
    Moved,
}

/// Asks for room in the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// `token_requests_per_minute`.
    pub per_minute: u32,
    /// Rank of the request.
    pub priority: Priority,
}

/// Rank of a request for the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// An early refresh: leaves the last slot of a minute to others.
    Soft,
    /// A login, or a refresh that callers wait for: a refresh takes the last slot of a minute only
    /// if its repeat finds another.
    Normal,
    /// The repeat of a request whose answer was lost. It may go beyond the budget, by as much
    /// again, and by 5 at least.
    Recovery,
}

/// Outcome of [`TokenStore::take_slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Taken.
    Taken,
    /// No room; ask again after this time.
    Wait(Duration),
}

/// Returns the changes of `app` among the numbered changes after `since`, in order; `None` if there
/// is a gap, or none at all.
fn changed_of(
    app: &str,
    since: u64,
    changes: impl Iterator<Item = Result<(u64, String, Account, u64)>>,
) -> Result<Option<Vec<(Account, u64)>>> {
    let mut found = Vec::new();
    let mut last = since;
    for change in changes {
        let (number, of, account, generation) = change?;
        if number != last + 1 {
            return Ok(None);
        }
        last = number;
        if of == app {
            found.push((account, generation));
        }
    }
    Ok((last != since).then_some(found))
}

/// Number of the last changes that a store knows by name.
const KNOWN_CHANGES: u64 = 1000;

/// A number for a list of words. The same in every process and release, so not of std's hasher.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn hash(parts: &[&str]) -> u64 {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
