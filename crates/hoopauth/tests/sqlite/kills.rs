//! Many processes, killed again and again: no grant is lost.
//!
//! `HOOPAUTH_KILLS` and `HOOPAUTH_SEED` choose another length and another course; `make soak` runs
//! long ones.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::time::Duration;

use hoopauth::binding::Step;
use hoopauth::{Account, Report};
use hoopauth_emulator::{Config, DEFAULT_COMPANY_ID};

use crate::site::{Process, Site};

/// Whoever comes back within the platform's window finds the pair that a dead process was about to
/// get.
#[test]
fn no_kill_loses_a_grant() {
    let site = Site::with(Config::default().lifetime(LIFE).window(30));
    let accounts = add_accounts(&site);
    let course = Course::chosen(90);
    let kills = course.run(&site, |_| {});
    every_account_works(&site, &accounts);
    let statistics = site.world.emulator.statistics();
    course.print("window", &kills, &site);
    assert_eq!(statistics.reuse_outside_window, 0);
    assert!(statistics.reuse_inside_window > 0, "no process was killed where it matters");
}

/// Processes stand still at any moment, some of them for so long that others take over, and most of
/// them die afterwards.
#[test]
fn no_standstill_loses_a_grant() {
    let site = Site::with(Config::default().lifetime(LIFE).window(30));
    let accounts = add_accounts(&site);
    let course = Course::chosen(32);
    let kills = course.run_with(|number| {
        let process = site.start(
            "doomed",
            &format!("Moment {} {number}", 400 + course.chance(number, 0) % 1_500),
        );
        for stop in 1..=3 {
            std::thread::sleep(Duration::from_millis(course.chance(number, stop) % 300));
            process.freeze();
            // Longer than any store waits for a holder that fell silent.
            let long = stop == 2 && number % 8 == 0;
            let stands = if long { 12_000 } else { course.chance(number, stop + 10) % 2_500 };
            std::thread::sleep(Duration::from_millis(stands));
            process.wake();
        }
        ("Moment".to_owned(), process)
    });
    every_account_works(&site, &accounts);
    course.print("stopped", &kills, &site);
    assert_eq!(site.world.emulator.statistics().reuse_outside_window, 0);
}

/// A platform that answers no token twice: what dies with a process is minted from the company's
/// grant.
#[test]
fn without_a_window_every_account_comes_back_by_minting() {
    let site = Site::with(Config::default().window(0));
    // It outlives the test: nothing mints a company's.
    let company = Account::company(DEFAULT_COMPANY_ID).unwrap();
    site.client().import(site.world.grant(&company), false).unwrap();
    site.world.emulator.configure(|settings| settings.lifetime = LIFE);
    let accounts = add_accounts(&site);
    let course = Course::chosen(45);
    // What was minted once is not at risk any more: so it is authorized anew, in the middle of
    // whatever goes on.
    let client = site.client();
    let kills = course.run(&site, |number| {
        client.import(site.world.grant(&accounts[number % accounts.len()]), true).unwrap();
    });
    every_account_works(&site, &accounts);
    let statistics = site.world.emulator.statistics();
    course.print("minting", &kills, &site);
    assert_eq!(statistics.reuse_inside_window, 0);
    assert!(statistics.reuse_outside_window > 0, "no process was killed where it matters");
    assert!(statistics.location_tokens_minted > 0);
}

fn add_accounts(site: &Site) -> Vec<Account> {
    let client = site.client();
    let ids = site.world.emulator.add_locations(DEFAULT_COMPANY_ID, ACCOUNTS).unwrap();
    ids.iter()
        .map(|id| {
            let account = Account::location(id).unwrap();
            client.import(site.world.grant(&account), false).unwrap();
            account
        })
        .collect()
}

fn every_account_works(site: &Site, accounts: &[Account]) {
    // A token of two seconds may end on its way, be it to the call or from an answer that had to be
    // fetched a second time.
    site.world.emulator.freeze();
    let next = site.client();
    for account in accounts {
        let path = format!("/locations/{}", account.id());
        let mut headers = next.headers_for(account.as_str(), "GET").unwrap();
        let (mut status, mut body) = site.world.call(&headers, &path);
        if let Report::Repeat(again) = next.report(&headers, status, &[], body.as_bytes()).unwrap()
        {
            headers = again;
            (status, body) = site.world.call(&headers, &path);
        }
        assert_eq!(status, 200, "{account}: {body}");
    }
}

/// Number of processes that die, and the places.
struct Course {
    seed: u64,
    kills: usize,
}

impl Course {
    fn chosen(kills: usize) -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let kills = number("HOOPAUTH_KILLS").map_or(kills, |kills| usize::try_from(kills).unwrap());
        let seed = number("HOOPAUTH_SEED").unwrap_or_else(|| {
            u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()
        });
        println!("HOOPAUTH_SEED={seed} HOOPAUTH_KILLS={kills}");
        Self { seed, kills }
    }

    /// Always eight processes; for each that died a next one, as many as there are to be killed.
    /// `before` the nth starts, something more may happen. How many died where.
    fn run(&self, site: &Site, before: impl Fn(usize) + Sync) -> BTreeMap<String, u64> {
        self.run_with(|number| {
            before(number);
            let (point, when) = self.end_of(number);
            let process = site.start("doomed", &format!("{point} {when} {number}"));
            (point, process)
        })
    }

    /// The same with processes that are `start`ed in another way; it answers where each dies.
    fn run_with(&self, start: impl Fn(usize) -> (String, Process) + Sync) -> BTreeMap<String, u64> {
        let (started, killed) = (Mutex::new(0), Mutex::new(BTreeMap::new()));
        let next = || {
            let mut started = started.lock().unwrap();
            *started += 1;
            (*started <= self.kills).then_some(*started)
        };
        std::thread::scope(|scope| {
            for _ in 0..PROCESSES {
                scope.spawn(|| {
                    while let Some(number) = next() {
                        let (point, process) = start(number);
                        let status = process.wait();
                        assert_eq!(status.signal(), Some(9), "process {number}: {status}");
                        *killed.lock().unwrap().entry(point).or_default() += 1;
                    }
                });
            }
        });
        killed.into_inner().unwrap()
    }

    /// A number that belongs to the nth process, by the course's seed.
    fn chance(&self, number: usize, which: u64) -> u64 {
        mixed(self.seed ^ mixed(number as u64) ^ which)
    }

    /// Returns the place where the nth process dies: each point in its turn, at one of the first
    /// times or moments.
    fn end_of(&self, number: usize) -> (String, u64) {
        let chance = mixed(self.seed ^ mixed(number as u64));
        match Step::ALL.get(number % (Step::ALL.len() + 1)) {
            Some(step) => (format!("{step:?}"), chance % 3),
            None => ("Moment".to_owned(), chance % 600),
        }
    }

    /// One line that says what happened.
    fn print(&self, form: &str, kills: &BTreeMap<String, u64>, site: &Site) {
        let statistics = site.world.emulator.statistics();
        let line = serde_json::json!({
            "soak": "kills", "store": env!("CARGO_CRATE_NAME"), "form": form, "seed": self.seed,
            "kills": kills.values().sum::<u64>(), "at": kills, "rotations": statistics.rotations,
            "reuse_inside_window": statistics.reuse_inside_window,
            "reuse_outside_window": statistics.reuse_outside_window,
            "minted": statistics.location_tokens_minted,
        });
        println!("{line}");
    }
}

/// `SplitMix64`'s last steps.
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Seconds that an access token lives.
const LIFE: i64 = 2;
const ACCOUNTS: usize = 24;
const PROCESSES: usize = 8;
