//! The locations that a company installed the app in, and minting a grant for each.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::account::{Account, AccountKind};
use crate::callback::calling;
use crate::client::Client;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode, Result};
use crate::inner::Inner;
use crate::members::{number, text};
use crate::sync::lock;
use crate::refresh::token_endpoint::OWN_VERSION;

/// A location of a company, as the platform lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledLocation {
    /// `location:<id>`.
    pub account: Account,
    /// Its name.
    pub name: Option<String>,
    /// Whether the app is installed in it.
    pub installed: bool,
}

/// How far [`Client::mint_all`] has come; given to its callback after each location.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MintProgress {
    /// The location that was just looked at.
    pub account: Account,
    /// Its failure, if it could not be minted.
    pub error: Option<Error>,
    /// What happened so far.
    pub summary: MintSummary,
}

/// What [`Client::mint_all`] did.
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

impl Client {
    /// All locations that `company` installed the app in, page by page until there are as many as
    /// the platform counts, or none are left. Needs the scope `oauth.readonly`.
    ///
    /// Errors: those of a [`request`](Self::request); `MALFORMED_RESPONSE` for a list that repeats
    /// itself or does not end.
    pub fn installed_locations(&self, company: &Account) -> Result<Vec<InstalledLocation>> {
        self.list_installed(company, &mut Pace::default())
    }

    fn list_installed(&self, company: &Account, pace: &mut Pace) -> Result<Vec<InstalledLocation>> {
        if company.kind() != AccountKind::Company {
            return Err(Error::argument("locations belong to a company: give `company:<id>`")
                .with_account(company));
        }
        self.inner.oauth()?;
        let app_id = self.inner.credential.app_id().unwrap_or_default();
        let mut found: Vec<InstalledLocation> = Vec::new();
        let mut known = HashSet::new();
        // Counted by what came, not by what was new: a location that moved between pages must not
        // shift those after it.
        let mut skip = 0;
        for _ in 0..MOST_PAGES {
            pace.wait(&self.inner.clock);
            let listed: Page = self
                .request("GET", "/oauth/installedLocations")
                .account(company.as_str())
                .version(OWN_VERSION)
                .param("companyId", company.id())
                .param("appId", app_id)
                .param("skip", &skip.to_string())
                .param("limit", &PAGE.to_string())
                .send()?
                .json()?;
            let (length, before) = (listed.locations.len(), found.len());
            let count = listed.count.as_ref().and_then(|count| number(count.get()));
            for item in listed.locations {
                let account = item.account().ok_or_else(|| {
                    Error::malformed(
                        "the platform's list of installed locations holds something in place of an id, so nothing of it was used: try again",
                    )
                    .with_account(company)
                })?;
                if known.insert(account.clone()) {
                    let installed = item.is_installed.unwrap_or(true);
                    found.push(InstalledLocation { account, name: item.name(), installed });
                }
            }
            // A full page may be followed by another one, whatever the count is of; a short one may
            // be as long as the server makes them.
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
            "the platform's list of installed locations repeats itself or does not end, so it was not used: try again",
        )
        .with_account(company))
    }

    /// Mints a grant for each location that `company` installed the app in and that has none: begun
    /// again after a break, it goes on where it was. `progress` is told after each location, and
    /// must not call the client; `false` ends it.
    ///
    /// It sends no more than the platform lets one company send, and takes as long as that needs. A
    /// grant that the platform refused for good is minted anew, and so is one that was removed.
    /// What fails for one location does not end it; what would fail for all of them does: a company
    /// whose token is refused, a store that does not save, and, as `RATE_LIMITED`, a limit that
    /// waits do not cure or that asks for one of over a minute: go on after `retry_after`.
    pub fn mint_all(
        &self,
        company: &Account,
        mut progress: impl FnMut(&MintProgress) -> bool,
    ) -> Result<MintSummary> {
        let inner = &self.inner;
        let mut summary = MintSummary::default();
        let mut pace = Pace::default();
        for location in self
            .list_installed(company, &mut pace)?
            .into_iter()
            .filter(|location| location.installed)
        {
            inner.check_open()?;
            let account = location.account;
            let mut failure = None;
            if inner.has_live_grant(&account)? {
                summary.kept += 1;
            } else {
                match inner.mint_paced(&account, company, &mut pace) {
                    Ok(()) => summary.minted += 1,
                    Err(Failure::OfAll(error)) => return Err(error),
                    Err(Failure::OfOne(error)) => {
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
}

impl Inner {
    /// Whether there is a grant that the platform did not refuse for good.
    fn has_live_grant(&self, account: &Account) -> Result<bool> {
        if self.is_unsaved(account) {
            return Ok(true);
        }
        let _call = self.begin_call();
        let record = self.load(account)?;
        Ok(record.is_some_and(|record| {
            record.grant.is_some() && !record.back_off.is_some_and(|back_off| back_off.refused)
        }))
    }

    /// Mints one of many; waits where the platform asks for it.
    fn mint_paced(
        &self,
        location: &Account,
        company: &Account,
        pace: &mut Pace,
    ) -> std::result::Result<(), Failure> {
        let mut tries = 0;
        loop {
            pace.wait(&self.clock);
            self.check_open().map_err(Failure::OfAll)?;
            let _call = self.begin_call();
            let minted = self.await_turn(company.as_str()).and_then(|()| {
                self.mint_counted(company, location, None, self.settings.attempt_timeout)
            });
            match minted {
                Ok(grant) => {
                    self.adopt(grant);
                    // The next location would be as little saved as this one.
                    let unsaved = lock(&self.unsaved).get(location).map(|held| held.error.clone());
                    return match unsaved {
                        Some(error) => Err(Failure::OfAll(error.with_account(location))),
                        None => Ok(()),
                    };
                }
                Err(error) if error.code() == ErrorCode::RateLimited => {
                    let wait = error.retry_after().unwrap_or(INTERVAL);
                    // The limit is the company's: the next location would meet it as well.
                    if tries >= MOST_WAITS || wait > LONGEST_WAIT {
                        return Err(Failure::OfAll(error.with_account(company)));
                    }
                    tries += 1;
                    self.clock.sleep(wait);
                    self.check_open().map_err(Failure::OfAll)?;
                }
                Err(error) if is_of_all(&error, company) => {
                    return Err(Failure::OfAll(error.with_account(company)));
                }
                Err(error) => return Err(Failure::OfOne(error)),
            }
        }
    }
}

/// Why a location was not minted.
enum Failure {
    /// The next one may be.
    OfOne(Error),
    /// None would be.
    OfAll(Error),
}

/// When the last requests were sent, on the monotonic clock, oldest first.
#[derive(Default)]
struct Pace {
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

/// A failure that has nothing to do with the location: it is the company's or its token's, or
/// nothing can work.
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
    locations: Vec<Item>,
    /// How many there are in all.
    count: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_id")]
    id: Box<RawValue>,
    name: Option<Box<RawValue>>,
    #[serde(rename = "isInstalled")]
    is_installed: Option<bool>,
}

impl Item {
    fn account(&self) -> Option<Account> {
        Account::location(&text(self.id.get())?).ok()
    }

    fn name(&self) -> Option<String> {
        self.name.as_ref().and_then(|name| text(name.get())).map(Cow::into_owned)
    }
}

/// The platform's own length of a page.
const PAGE: usize = 20;
const MOST_LOCATIONS: usize = 100_000;
/// As many as those have, and one that shows that there are more.
const MOST_PAGES: usize = MOST_LOCATIONS / PAGE + 1;
/// The platform lets a company send 100 requests in 10 seconds; the program's own shall find room
/// beside these.
const MOST_SENT: usize = 80;
const INTERVAL: Duration = Duration::from_secs(10);
/// How often one location waits for a limit that was reached all the same.
const MOST_WAITS: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
