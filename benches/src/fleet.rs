//! A fleet under maintenance, on a simulated clock: days pass in seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoopauth::store::{MemoryStore, TokenStore};
use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, AccountHandle, Client, Clock, Grant, ManualClock, Timestamp};
use serde_json::json;

use crate::{fixture, line};

/// Figures that the promises need.
pub(crate) struct Fleet {
    pub(crate) expired_calls: f64,
    pub(crate) peak_per_minute: f64,
    pub(crate) largest: f64,
    /// Expired calls of healthy accounts beside many in trouble.
    pub(crate) troubled_expired_calls: f64,
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand are exact")]
pub(crate) fn measure() -> Fleet {
    let month = simulate(ACCOUNTS, 30, false, &NONE);
    let more = json!({
        "expired_calls": month.expired_calls,
        "peak_per_minute": month.peak_per_minute,
        "refreshes": month.refreshes,
        "days": 30,
    });
    line("fleet", "rust", ACCOUNTS, Some(month.expired_calls as f64), "calls", more);

    let troubled_expired_calls = troubled();

    let largest = largest();
    Fleet {
        expired_calls: month.expired_calls as f64,
        peak_per_minute: month.peak_per_minute as f64,
        largest,
        troubled_expired_calls,
    }
}

/// A fleet that shares its app with accounts in trouble; answers its expired calls.
#[allow(clippy::cast_precision_loss, reason = "they are few")]
pub(crate) fn troubled() -> f64 {
    let troubled = simulate(HEALTHY, 30, false, &TROUBLE);
    let more = json!({
        "expired_calls": troubled.expired_calls,
        "peak_per_minute": troubled.peak_per_minute,
        "refreshes": troubled.refreshes,
        "refused": troubled.refused,
        "dead": TROUBLE.dead, "failing": TROUBLE.failing, "unreadable": TROUBLE.unreadable,
        "days": 30,
    });
    line("fleet_troubled", "rust", HEALTHY, Some(troubled.expired_calls as f64), "calls", more);
    troubled.expired_calls as f64
}

/// Answers the number of accounts of the largest fleet without an expired call.
#[allow(clippy::cast_precision_loss, reason = "a few thousand are exact")]
pub(crate) fn largest() -> f64 {
    let (mut works, mut fails) = (ACCOUNTS, 2 * ACCOUNTS);
    while fails - works > STEP {
        let middle = works.midpoint(fails);
        if simulate(middle, 5, true, &NONE).expired_calls == 0 {
            works = middle;
        } else {
            fails = middle;
        }
    }
    line(
        "fleet_largest",
        "rust",
        works,
        Some(works as f64),
        "accounts",
        json!({"step": STEP, "days": 5}),
    );
    works as f64
}

struct Outcome {
    expired_calls: u64,
    peak_per_minute: usize,
    refreshes: u64,
    refused: u64,
}

/// Accounts of a fleet that can't be renewed.
struct Trouble {
    /// The platform refuses their refresh tokens.
    dead: usize,
    /// Each of their requests fails: one half is paused, for the other the endpoint breaks down.
    failing: usize,
    /// Accounts whose rows are sealed with another key.
    unreadable: usize,
}

impl Trouble {
    /// Names of these accounts.
    fn accounts(&self) -> impl Iterator<Item = Account> {
        let of = |kind: &'static str, count| (0..count).map(move |i| format!("location:{kind}{i}"));
        let (paused, down) = (self.failing / 2, self.failing - self.failing / 2);
        let names = of("dead", self.dead).chain(of("paused", paused)).chain(of("down", down));
        names.map(|name| Account::parse(&name).unwrap())
    }
}

/// `days` with one maintainer and a call per account and minute. The accounts' first tokens end
/// within one hour, a day from the start. Those in trouble ended before, and are asked for every
/// hour. It may `stop` at the first that is served too late.
fn simulate(accounts: usize, days: u64, stop: bool, trouble: &Trouble) -> Outcome {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let platform = Arc::new(Platform { clock: clock.clone(), state: Mutex::default() });
    let store = Arc::new(MemoryStore::new());
    let with_key = |key: &str| {
        let store: Arc<dyn TokenStore> = Arc::<MemoryStore>::clone(&store);
        let builder = fixture::builder().token_store(store).store_key(key.repeat(32));
        builder.transport(platform.clone()).clock(clock.clone()).build().unwrap()
    };
    let (client, stranger) = (with_key("k"), with_key("s"));
    let troubled: Vec<Account> = trouble.accounts().collect();
    let ended = |client: &Client, account: &Account| {
        let grant = Grant::new(account.clone(), "ended").with_refresh_token(format!("{account}.1"));
        client.import(grant.with_expires_at(clock.now()), false).unwrap();
    };
    for account in &troubled {
        ended(&client, account);
    }
    (0..trouble.unreadable)
        .for_each(|i| ended(&stranger, &Account::location(&format!("unreadable{i}")).unwrap()));
    let handles: Vec<AccountHandle> = (0..accounts)
        .map(|i| {
            let account = Account::parse(&fixture::name(i)).unwrap();
            let early = Duration::from_secs(i as u64 * 3_600 / accounts as u64);
            let ends = clock.now().plus(DAY).minus(early);
            let grant = Grant::new(account.clone(), format!("access.{}", ends.0))
                .with_refresh_token(format!("{account}.1"))
                .with_expires_at(ends);
            client.import(grant, false).unwrap();
            client.account(account.as_str()).unwrap()
        })
        .collect();

    let mut expired_calls = 0;
    for minute in 0..days * 24 * 60 {
        if minute % 60 == 0 {
            for account in &troubled {
                client.headers_for(account.as_str(), "GET").unwrap_err();
            }
        }
        client.maintain(clock.now().plus(MINUTE)).unwrap();
        let now = clock.now().0;
        let lives = |handle: &&AccountHandle| {
            handle.headers("GET").is_ok_and(|headers| {
                let (_, ends) = headers.authorization().rsplit_once('.').unwrap();
                ends.parse::<i64>().unwrap() > now
            })
        };
        expired_calls += if stop {
            u64::from(!handles.iter().all(|handle| lives(&handle)))
        } else {
            handles.iter().filter(|handle| !lives(handle)).count() as u64
        };
        if stop && expired_calls > 0 {
            break;
        }
    }
    let state = platform.state.lock().unwrap();
    Outcome {
        expired_calls,
        peak_per_minute: state.peak,
        refreshes: state.refreshes,
        refused: state.refused,
    }
}

/// Answers every refresh with a token of a day whose text says when it ends.
#[derive(Debug)]
struct Platform {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_minute: VecDeque<i64>,
    peak: usize,
    refreshes: u64,
    refused: u64,
}

/// Refusal that the platform gives an account in trouble.
fn refusal(account: &str) -> Option<(u16, &'static str)> {
    let (_, id) = account.split_once(':').unwrap();
    [
        ("dead", (400, r#"{"error":"invalid_grant"}"#)),
        ("paused", (400, r#"{"message":"Location is not active"}"#)),
        ("down", (503, "{}")),
    ]
    .into_iter()
    .find_map(|(kind, answer)| {
        id.strip_prefix(kind).is_some_and(|rest| rest.len() < 6).then_some(answer)
    })
}

impl Transport for Platform {
    fn send(&self, request: &TransportRequest) -> Result<TransportResponse, TransportError> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        while state.last_minute.front().is_some_and(|sent| now.0 - sent >= 60_000) {
            state.last_minute.pop_front();
        }
        state.last_minute.push_back(now.0);
        state.peak = state.peak.max(state.last_minute.len());
        let body = std::str::from_utf8(request.body.as_bytes()).unwrap();
        let token = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap();
        let token = token.replace("%3A", ":");
        let (account, generation) = token.rsplit_once('.').unwrap();
        if let Some((status, body)) = refusal(account) {
            state.refused += 1;
            return Ok(TransportResponse { status, headers: vec![].into(), body: body.into() });
        }
        state.refreshes += 1;
        let ends = now.plus(DAY);
        let answer = json!({
            "access_token": format!("access.{}", ends.0),
            "refresh_token": format!("{account}.{}", generation.parse::<u64>().unwrap() + 1),
            "expires_in": DAY.as_secs(),
            "userType": "Location",
            "locationId": account.strip_prefix("location:").unwrap(),
        });
        Ok(TransportResponse {
            status: 200,
            headers: vec![].into(),
            body: answer.to_string().into_bytes(),
        })
    }
}

const ACCOUNTS: usize = 5_000;
const HEALTHY: usize = 4_000;
const TROUBLE: Trouble = Trouble { dead: 2_500, failing: 50, unreadable: 16 };
const NONE: Trouble = Trouble { dead: 0, failing: 0, unreadable: 0 };
const STEP: usize = 20;
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
