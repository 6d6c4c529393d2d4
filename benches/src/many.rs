//! A SQLite store of a million grants beside one of a thousand.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{Key, NewRecord};
use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, ClientBuilder, Clock, Grant, Import, ManualClock, SystemClock};
use hoopauth_emulator::DEFAULT_SCOPES;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::fixture::{Forgetful, TOKEN_BYTES, builder, indices, name, refresh_token, token};
use crate::{again, line, median, rounded};

/// Figures that the promises need.
pub(crate) struct Many {
    pub(crate) open_ms: f64,
    pub(crate) write_ratio: f64,
    pub(crate) file_ratio: f64,
}

pub(crate) fn measure() -> Many {
    let folder = tempfile::tempdir().unwrap();
    let (large, small) = (folder.path().join("large.db"), folder.path().join("small.db"));
    fill(&large, LARGE);
    fill(&small, SMALL);
    Many {
        file_ratio: file_ratio(&large),
        open_ms: open(&large),
        write_ratio: writes(&large, &small),
    }
}

/// The options `store` and `store_key` of a store with one grant, of [`ONE`], in a folder.
pub(crate) fn of_one(folder: &Path) -> (String, &'static str) {
    let path = folder.join("one.db");
    let grant = Grant::new(Account::parse(ONE).unwrap(), "token")
        .with_expires_at(SystemClock.now().plus(DAY));
    over(&path).build().unwrap().import(grant, false).unwrap();
    (format!("sqlite:{}", path.display()), KEY)
}

/// A client of the store in the file at `path`.
fn over(path: &Path) -> ClientBuilder {
    builder().option("store", &format!("sqlite:{}", path.display())).option("store_key", KEY)
}

/// Stores a grant of each account, as so many imports would; these alone would each wait for the
/// disk.
fn fill(path: &Path, count: usize) {
    // What makes the tables is the store itself.
    over(path).build().unwrap().accounts().unwrap();
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; \
             BEGIN",
        )
        .unwrap();
    let database = Arc::new(Mutex::new(database));
    let inner = Arc::clone(&database);
    let insert = move |key: &Key<'_>, record: &NewRecord| {
        let database = inner.lock().unwrap();
        database
            .prepare_cached("INSERT INTO app (name) VALUES (?1) ON CONFLICT DO NOTHING")
            .and_then(|mut statement| statement.execute([key.app]))
            .unwrap();
        let query = "INSERT INTO account (app, name, generation, sealed, expires_at, seen) \
             VALUES ((SELECT id FROM app WHERE name = ?1), ?2, 1, ?3, ?4, ?5)";
        let (name, seen) = (key.account.as_str(), record.seen.as_flattened());
        database
            .prepare_cached(query)
            .and_then(|mut statement| {
                statement.execute(params![key.app, name, record.grant, record.expires_at.0, seen])
            })
            .unwrap();
    };
    let client = builder()
        .option("store_key", KEY)
        .option("cache_accounts", "1")
        .token_store(Arc::new(Forgetful::new(insert)))
        .build()
        .unwrap();
    let ends = SystemClock.now().plus(DAY);
    for index in 0..count {
        let grant = Grant::new(Account::parse(&name(index)).unwrap(), token(index))
            .with_refresh_token(refresh_token(index))
            .with_company_id("companyOfAllOfThem00")
            .with_scopes(DEFAULT_SCOPES[..8].iter().copied())
            .with_expires_at(ends);
        assert_eq!(client.import(grant, false).unwrap(), Import::Imported);
    }
    let database = database.lock().unwrap();
    database.execute_batch("COMMIT; PRAGMA journal_mode = WAL").unwrap();
}

#[allow(clippy::cast_precision_loss, reason = "a few gigabytes are exact")]
fn file_ratio(path: &Path) -> f64 {
    let bytes = std::fs::metadata(path).unwrap().len() as f64;
    let ratio = bytes / (LARGE * 2 * TOKEN_BYTES) as f64;
    let more = json!({"store": "sqlite", "file_bytes": bytes, "token_bytes": 2 * TOKEN_BYTES});
    line("store_file_ratio", "rust", LARGE, Some(ratio), "ratio", more);
    ratio
}

/// Each time in a process of its own.
fn open(path: &Path) -> f64 {
    let once = |index: u32| {
        let output =
            again().arg("store-open").arg(path).arg(name(index as usize)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    let value = median(indices(LARGE, OPENS).into_iter().map(once).collect());
    line("store_open", "rust", LARGE, Some(value), "ms", json!({"store": "sqlite"}));
    value
}

/// Milliseconds from nothing to the first headers.
pub(crate) fn open_once(path: &str, account: &str) -> f64 {
    let start = Instant::now();
    let client = over(Path::new(path)).build().unwrap();
    client.headers_for(account, "GET").unwrap();
    start.elapsed().as_secs_f64() * 1e3
}

/// Ratio of the times that one refresh writes in the large store than in the small one: slot and
/// mark, and the new grant, each on the disk when its transaction ends.
fn writes(large: &Path, small: &Path) -> f64 {
    let (mut large, mut small) = (Refreshes::new(large, LARGE), Refreshes::new(small, SMALL));
    for _ in 0..REFRESHES {
        large.next();
        small.next();
    }
    let (value, floor) = (median(large.times()), median(small.times()));
    let more = json!({"store": "sqlite", "large_ms": rounded(value), "small_ms": rounded(floor),
        "small_n": SMALL});
    line("store_refresh_write", "rust", LARGE, Some(value / floor), "ratio", more);
    value / floor
}

/// Refreshes of one account after the other, and how long each wrote.
struct Refreshes {
    client: hoopauth::Client,
    accounts: std::vec::IntoIter<u32>,
    steps: Arc<Mutex<Vec<(Step, Instant)>>>,
}

impl Refreshes {
    fn new(path: &Path, count: usize) -> Self {
        // By this clock all tokens have ended.
        let clock = Arc::new(ManualClock::new(SystemClock.now().plus(2 * DAY)));
        let steps = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&steps);
        let client = over(path)
            .option("token_requests_per_minute", "100000")
            .clock(clock)
            .transport(Arc::new(Platform))
            .step_hook(move |step, _| {
                noted.lock().unwrap().push((step, Instant::now()));
                Ok(())
            })
            .build()
            .unwrap();
        let mut accounts = indices(count, 2 * REFRESHES);
        accounts.sort_unstable();
        accounts.dedup();
        // In no order again.
        accounts.sort_by_key(|index| index.wrapping_mul(0x9e37_79b9));
        Self { client, accounts: accounts.into_iter(), steps }
    }

    fn next(&mut self) {
        let index = self.accounts.next().unwrap();
        self.client.headers_for(&name(index as usize), "GET").unwrap();
    }

    /// Milliseconds.
    fn times(&self) -> Vec<f64> {
        let steps = self.steps.lock().unwrap();
        let between = |from: Step, to: Step| {
            let at = |step| steps.iter().filter(move |(at, _)| *at == step).map(|(_, when)| *when);
            at(from)
                .zip(at(to))
                .map(|(from, to)| (to - from).as_secs_f64() * 1e3)
                .collect::<Vec<f64>>()
        };
        let (marks, saves) = (between(Step::Mark, Step::Send), between(Step::Save, Step::Publish));
        assert_eq!((marks.len(), saves.len()), (REFRESHES, REFRESHES));
        marks.into_iter().zip(saves).map(|(mark, save)| mark + save).collect()
    }
}

/// Answers every refresh at once with a new pair of the same size.
#[derive(Debug)]
struct Platform;

impl Transport for Platform {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let body = std::str::from_utf8(request.body.as_bytes()).unwrap();
        let before = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap();
        let turned = |by: usize| format!("{}{}", &before[by..], &before[..by]);
        let answer = json!({
            "access_token": turned(1), "refresh_token": turned(2), "expires_in": DAY.as_secs(),
            "userType": "Location",
            // The eight that the platform's overview page names.
            "scope": DEFAULT_SCOPES[..8].join(" "),
        });
        Ok(TransportResponse {
            status: 200,
            headers: vec![].into(),
            body: answer.to_string().into_bytes(),
        })
    }
}

const ONE: &str = "location:one";
const KEY: &str = "a-key-for-measurements";
const DAY: Duration = Duration::from_secs(86_400);
const LARGE: usize = 1_000_000;
const SMALL: usize = 1_000;
const OPENS: usize = 21;
const REFRESHES: usize = 200;
