//! Many callers at once of one account whose token has ended.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use hoopauth::{Account, Client, Grant};
use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_IDS, DEFAULT_SCOPES, Emulator,
};
use serde_json::json;

use crate::line;

pub(crate) struct Storm {
    pub(crate) requests: f64,
    pub(crate) failures: f64,
}

#[allow(clippy::cast_precision_loss, reason = "at most a few hundred")]
pub(crate) fn measure() -> Storm {
    let config = Config::default().settings(|settings| settings.token_latency_ms = 50);
    let emulator = Emulator::start(config).unwrap();
    let account = Account::location(DEFAULT_LOCATION_IDS[0]).unwrap();
    let issued = emulator.issue_grant(account.as_str(), &DEFAULT_SCOPES).unwrap();
    let client = Client::builder()
        .option("client_id", DEFAULT_CLIENT_ID)
        .option("client_secret", DEFAULT_CLIENT_SECRET)
        .option("api_base", &emulator.api())
        .option("authorize_url", &emulator.authorize_url())
        .option("token_url", &emulator.token())
        .option("location_token_url", &emulator.location_token())
        .option("store", "memory:")
        .build()
        .unwrap();
    // Without a word on when it ends, a grant counts as expired.
    let grant =
        Grant::new(account.clone(), issued.access_token).with_refresh_token(issued.refresh_token.unwrap());
    client.import(grant, false).unwrap();

    let barrier = Barrier::new(CALLERS);
    let outcomes: Vec<(bool, Duration)> = std::thread::scope(|scope| {
        let call = || {
            barrier.wait();
            let start = Instant::now();
            let ok = client.headers_for(account.as_str(), "GET").is_ok();
            (ok, start.elapsed())
        };
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let requests = emulator.statistics().token_requests;
    let failures = outcomes.iter().filter(|(ok, _)| !ok).count();
    let slowest = outcomes.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let more = json!({
        "token_requests": requests,
        "failures": failures,
        "slowest_ms": crate::rounded(slowest.as_secs_f64() * 1e3),
    });
    line("refresh_storm", "rust", CALLERS, Some(requests as f64), "requests", more);
    Storm { requests: requests as f64, failures: failures as f64 }
}

const CALLERS: usize = 100;
