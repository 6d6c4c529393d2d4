//! A fleet under maintenance, on a simulated clock: days pass in seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoopauth::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use hoopauth::{Account, AccountHandle, Clock, Grant, ManualClock, Timestamp};
use serde_json::json;

use crate::{fixture, line};

/// What the promises are about.
pub(crate) struct Fleet {
    pub(crate) expired_calls: f64,
    pub(crate) peak_per_minute: f64,
    pub(crate) largest: f64,
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand are exact")]
pub(crate) fn measure() -> Fleet {
    let month = simulate(ACCOUNTS, 30, false);
    let more = json!({
        "expired_calls": month.expired_calls,
        "peak_per_minute": month.peak_per_minute,
        "refreshes": month.refreshes,
        "days": 30,
    });
    line("fleet", "rust", ACCOUNTS, Some(month.expired_calls as f64), "calls", more);

    let (mut works, mut fails) = (ACCOUNTS, 2 * ACCOUNTS);
    while fails - works > STEP {
        let middle = works.midpoint(fails);
        if simulate(middle, 5, true).expired_calls == 0 { works = middle } else { fails = middle }
    }
    line("fleet_largest", "rust", works, Some(works as f64), "accounts", json!({"step": STEP, "days": 5}));
    Fleet {
        expired_calls: month.expired_calls as f64,
        peak_per_minute: month.peak_per_minute as f64,
        largest: works as f64,
    }
}

struct Outcome {
    expired_calls: u64,
    peak_per_minute: usize,
    refreshes: u64,
}

/// `days` with one maintainer and a call per account and minute. The accounts' first tokens end within one hour, a day from
/// the start. It may `stop` at the first that is served too late.
fn simulate(accounts: usize, days: u64, stop: bool) -> Outcome {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let platform = Arc::new(Platform { clock: clock.clone(), state: Mutex::default() });
    let client =
        fixture::builder().store("memory:").transport(platform.clone()).clock(clock.clone()).build().unwrap();
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
    for _ in 0..days * 24 * 60 {
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
    Outcome { expired_calls, peak_per_minute: state.peak, refreshes: state.refreshes }
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
        state.refreshes += 1;

        let body = std::str::from_utf8(request.body.as_bytes()).unwrap();
        let token = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap();
        let token = token.replace("%3A", ":");
        let (account, generation) = token.rsplit_once('.').unwrap();
        let ends = now.plus(DAY);
        let answer = json!({
            "access_token": format!("access.{}", ends.0),
            "refresh_token": format!("{account}.{}", generation.parse::<u64>().unwrap() + 1),
            "expires_in": DAY.as_secs(),
            "userType": "Location",
            "locationId": account.strip_prefix("location:").unwrap(),
        });
        Ok(TransportResponse { status: 200, headers: vec![].into(), body: answer.to_string().into_bytes() })
    }
}

const ACCOUNTS: usize = 5_000;
const STEP: usize = 20;
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
