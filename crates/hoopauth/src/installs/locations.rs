//! The locations that a company installed the app in, and minting a grant for each.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::account::{Account, AccountKind};
use crate::callback::calling;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::grants::Grants;
use crate::members::{number, text};
use crate::refresh::{Refresher, mint_counted};
use crate::response::Response;

/// A location of a company, as the platform lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledLocation {
    /// `location:<id>`.
    pub account: Account,
    /// Name of the location.
    pub name: Option<String>,
    /// `true` if the app is installed in it.
    pub installed: bool,
}

/// Progress of [`Client::mint_all`](crate::Client::mint_all), given to its callback after each
/// location.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MintProgress {
    /// The location that was just looked at.
    pub account: Account,
    /// Failure of this location, if it could not be minted.
    pub error: Option<Error>,
    /// Counts so far.
    pub summary: MintSummary,
}

/// Outcome of [`Client::mint_all`](crate::Client::mint_all).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MintSummary {
    /// Locations whose grant was minted.
    pub minted: u64,
    /// Locations that had a live grant already.
    pub kept: u64,
    /// Locations that could not be minted.
    pub failed: u64,
}

/// Sends the request for one page of a company's locations, with these parameters.
pub(crate) type Fetch<'a> = &'a dyn Fn(&[(&str, &str)]) -> Result<Response>;

/// Lists the locations of a company, page by page, until there are as many as the platform counts,
/// or none are left.
pub(crate) fn list_locations(
    refresher: &Refresher,
    company: &Account,
    pace: &mut Pace,
    fetch: Fetch<'_>,
) -> Result<Vec<InstalledLocation>> {
    if company.kind() != AccountKind::Company {
        return Err(Error::argument("locations belong to a company: give `company:<id>`")
            .with_account(company));
    }
    refresher.credential.oauth()?;
    let app_id = refresher.credential.app_id().unwrap_or_default();
    let mut found: Vec<InstalledLocation> = Vec::new();
    let mut known = HashSet::new();
    // Counted by what came, not by what was new: a location that moved between pages must not shift
    // those after it.
    let mut skip = 0;
    for _ in 0..MOST_PAGES {
        pace.wait(&refresher.grants.clock);
        let (skipped, limit) = (skip.to_string(), PAGE.to_string());
        let listed: Page = fetch(&[
            ("companyId", company.id()),
            ("appId", app_id),
            ("skip", &skipped),
            ("limit", &limit),
        ])?
        .json()?;
        let (length, before) = (listed.locations.len(), found.len());
        let count = listed.count.as_ref().and_then(|count| number(count.get()));
        for item in listed.locations {
            let account = item.account().ok_or_else(|| {
                Error::malformed(
                    "the platform's list of installed locations holds an entry without a valid id, \
                     so the whole list was ignored: try again",
                )
                .with_account(company)
            })?;
            if known.insert(account.clone()) {
                let installed = item.is_installed.unwrap_or(true);
                found.push(InstalledLocation { account, name: item.name(), installed });
            }
        }
        // A full page may be followed by another one, whatever the count is of; a short one may be
        // as long as the server makes them.
        #[allow(clippy::cast_precision_loss, reason = "a list has not so many")]
        let is_all = count.is_some_and(|count| found.len() as f64 >= count);
        let says_more = count.is_some() && !is_all;
        let is_new = found.len() > before;
        if length == 0 || length < PAGE && (is_all || !is_new && !says_more) {
            return Ok(found);
        }
        if !is_new || found.len() > MOST_LOCATIONS {
            break;
        }
        skip += length;
    }
    Err(Error::malformed(
        "the platform's list of installed locations repeats itself or does not end, so it was not \
         used: try again",
    )
    .with_account(company))
}

/// Mints a grant for each installed location that has none: see
/// [`Client::mint_all`](crate::Client::mint_all).
pub(crate) fn mint_all(
    refresher: &Refresher,
    company: &Account,
    fetch: Fetch<'_>,
    mut progress: impl FnMut(&MintProgress) -> bool,
) -> Result<MintSummary> {
    let grants = &refresher.grants;
    let mut summary = MintSummary::default();
    let mut pace = Pace::default();
    let all = list_locations(refresher, company, &mut pace, fetch)?;
    for location in all.into_iter().filter(|location| location.installed) {
        grants.calls.check_open()?;
        let account = location.account;
        let mut failure = None;
        if has_live_grant(grants, &account)? {
            summary.kept += 1;
        } else {
            match mint_paced(refresher, &account, company, &mut pace) {
                Ok(()) => summary.minted += 1,
                Err(NotMinted::OfAll(error)) => return Err(error),
                Err(NotMinted::OfOne(error)) => {
                    tracing::warn!(%account, %error, "a location could not be minted");
                    failure = Some(error.with_account(&account));
                    summary.failed += 1;
                }
            }
        }
        if !calling(|| progress(&MintProgress { account, error: failure, summary })) {
            break;
        }
    }
    Ok(summary)
}

/// Returns `true` if there is a grant that the platform did not refuse for good.
fn has_live_grant(grants: &Grants, account: &Account) -> Result<bool> {
    if grants.is_unsaved(account) {
        return Ok(true);
    }
    let _call = grants.begin_call();
    let record = grants.load(account)?;
    Ok(record.is_some_and(|record| {
        record.grant.is_some() && !record.back_off.is_some_and(|back_off| back_off.refused)
    }))
}

/// Mints one of many. Waits if the platform asks for it.
fn mint_paced(
    refresher: &Refresher,
    location: &Account,
    company: &Account,
    pace: &mut Pace,
) -> std::result::Result<(), NotMinted> {
    let grants = &refresher.grants;
    let (clock, settings) = (&grants.clock, &grants.settings);
    let mut tries = 0;
    loop {
        pace.wait(clock);
        grants.calls.check_open().map_err(NotMinted::OfAll)?;
        let _call = grants.begin_call();
        let left = || grants.at_most(Duration::MAX);
        let turn =
            refresher.limits.await_turn(clock, settings.pacing.as_ref(), company.as_str(), left);
        let minted = turn.and_then(|()| {
            mint_counted(refresher, company, location, None, settings.attempt_timeout)
        });
        match minted {
            Ok(grant) => {
                refresher.adopt(grant);
                // The next location could not be saved either.
                return match grants.unsaved_error(location) {
                    Some(error) => Err(NotMinted::OfAll(error.with_account(location))),
                    None => Ok(()),
                };
            }
            Err(error) if error.code() == ErrorCode::RateLimited => {
                let wait = error.retry_after().unwrap_or(INTERVAL);
                // The limit is the company's: the next location would meet it as well.
                if tries >= MOST_WAITS || wait > LONGEST_WAIT {
                    return Err(NotMinted::OfAll(error.with_account(company)));
                }
                tries += 1;
                clock.sleep(wait);
                grants.calls.check_open().map_err(NotMinted::OfAll)?;
            }
            Err(error) if is_of_all(&error, company) => {
                return Err(NotMinted::OfAll(error.with_account(company)));
            }
            Err(error) => return Err(NotMinted::OfOne(error)),
        }
    }
}

/// Reason why a location was not minted.
enum NotMinted {
    /// The failure is about this location only.
    OfOne(Error),
    /// No location can be minted.
    OfAll(Error),
}

/// Pace of requests: no more than the platform lets one company send.
#[derive(Default)]
pub(crate) struct Pace {
    /// Moments of the last requests on the monotonic clock, oldest first.
    sent: VecDeque<u64>,
}

impl Pace {
    /// Waits until one more may be sent, and counts it.
    fn wait(&mut self, clock: &impl Clock) {
        let age = |sent: u64| Duration::from_millis(clock.monotonic().saturating_sub(sent));
        if self.sent.len() >= MOST_SENT
            && let Some(oldest) = self.sent.pop_front()
        {
            let left = INTERVAL.saturating_sub(age(oldest));
            if !left.is_zero() {
                clock.sleep(left);
            }
        }
        self.sent.push_back(clock.monotonic());
    }
}

/// Returns `true` for a failure that has nothing to do with the location: it is the company's or
/// its token's, or nothing can work.
fn is_of_all(error: &Error, company: &Account) -> bool {
    error.status() == Some(401)
        || error.account() == Some(company)
        || matches!(
            error.code(),
            ErrorCode::Config
                | ErrorCode::InvalidState
                | ErrorCode::Cancelled
                | ErrorCode::Tls
                | ErrorCode::Store
                | ErrorCode::StoreKey
                | ErrorCode::StoreCorrupt
        )
}

#[derive(Deserialize)]
struct Page {
    locations: Vec<ListedLocation>,
    /// Number of locations in all.
    count: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct ListedLocation {
    #[serde(rename = "_id")]
    id: Box<RawValue>,
    name: Option<Box<RawValue>>,
    #[serde(rename = "isInstalled")]
    is_installed: Option<bool>,
}

impl ListedLocation {
    fn account(&self) -> Option<Account> {
        Account::location(&text(self.id.get())?).ok()
    }

    fn name(&self) -> Option<String> {
        self.name.as_ref().and_then(|name| text(name.get())).map(Cow::into_owned)
    }
}

/// Path of the list.
pub(crate) const LOCATIONS_PATH: &str = "/oauth/installedLocations";
/// The platform's own length of a page.
const PAGE: usize = 20;
const MOST_LOCATIONS: usize = 100_000;
/// Number of locations to ask for: those, and one more that shows that there are more.
const MOST_PAGES: usize = MOST_LOCATIONS / PAGE + 1;
/// The platform lets a company send 100 requests in 10 seconds; the program's own shall find room
/// beside these.
const MOST_SENT: usize = 80;
const INTERVAL: Duration = Duration::from_secs(10);
/// Number of times that one location waits for a limit that was reached in spite of pacing.
const MOST_WAITS: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
