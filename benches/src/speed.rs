//! What headers cost, beside the plainest map of tokens.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hoopauth::AccountHandle;
use serde_json::json;

use crate::fixture::{client_over, indices, name, token};
use crate::{line, median, rounded};

/// What the promises are about, in nanoseconds per call; `two_threads` is a ratio.
pub(crate) struct Speed {
    pub(crate) name_1: f64,
    pub(crate) floor_1: f64,
    pub(crate) handle_1: f64,
    pub(crate) name_million: f64,
    pub(crate) floor_million: f64,
    pub(crate) two_threads: f64,
}

pub(crate) fn measure() -> Speed {
    let one = compare(1, 1_000_000, true);
    compare(1_000, 1_000_000, true);
    let two_threads = compare_threads(100_000);
    compare(100_000, 1_000_000, false);
    let million = compare(1_000_000, 1_000_000, false);
    Speed {
        name_1: one.name,
        floor_1: one.floor,
        handle_1: one.handle,
        name_million: million.name,
        floor_million: million.floor,
        two_threads,
    }
}

struct Compared {
    name: f64,
    floor: f64,
    handle: f64,
}

/// Headers by name, by handle and from the plain map, over `n` accounts.
fn compare(n: usize, calls: usize, with_handles: bool) -> Compared {
    let client = client_over(n);
    let names: Vec<String> = (0..n).map(name).collect();
    let floor: HashMap<String, String> = names.iter().cloned().zip((0..n).map(token)).collect();
    let handles: Vec<AccountHandle> =
        names.iter().filter(|_| with_handles).map(|name| client.account(name).unwrap()).collect();
    let order = indices(n, calls);

    let (mut by_name, mut by_floor, mut by_handle) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        by_name.push(per_call(&order, |i| {
            black_box(client.headers_for(black_box(&names[i]), "GET").unwrap());
        }));
        by_floor.push(per_call(&order, |i| {
            let token = floor.get(black_box(names[i].as_str())).unwrap();
            black_box(format!("Bearer {token}"));
        }));
        if with_handles {
            by_handle.push(per_call(&order, |i| {
                black_box(black_box(&handles[i]).headers("GET").unwrap());
            }));
        }
    }

    let (name, floor) = (median(by_name), median(by_floor));
    line("headers", "rust", n, Some(name), "ns", json!({}));
    line("headers_floor", "rust", n, Some(floor), "ns", json!({}));
    let handle = if with_handles { median(by_handle) } else { f64::NAN };
    if with_handles {
        line("headers_handle", "rust", n, Some(handle), "ns", json!({}));
    }
    Compared { name, floor, handle }
}

/// How much more two threads do than one, over the same `n` accounts; the plain map's figure tells what the machine allows.
fn compare_threads(n: usize) -> f64 {
    let client = client_over(n);
    let names: Vec<String> = (0..n).map(name).collect();
    let floor: HashMap<String, String> = names.iter().cloned().zip((0..n).map(token)).collect();
    two_threads("headers_floor_two_threads", n, |i| {
        let token = floor.get(black_box(names[i].as_str())).unwrap();
        black_box(format!("Bearer {token}"));
    });
    two_threads("headers_two_threads", n, |i| {
        black_box(client.headers_for(black_box(&names[i]), "GET").unwrap());
    })
}

/// Each round times one thread, two, two, one: what slows the machine down meanwhile meets both alike.
fn two_threads(bench: &str, n: usize, call: impl Fn(usize) + Sync) -> f64 {
    let order = indices(n, 2_000_000);
    let (first, second) = order.split_at(order.len() / 2);
    let one = || elapsed(&call, &[first]).as_secs_f64();
    let two = || elapsed(&call, &[first, second]).as_secs_f64();
    one();
    two();
    let ratios: Vec<f64> = (0..2 * ROUNDS)
        .map(|_| {
            let (before, both, again, after) = (one(), two(), two(), one());
            2.0 * (before + after) / (both + again)
        })
        .collect();
    let least = rounded(ratios.iter().copied().fold(f64::INFINITY, f64::min));
    let most = rounded(ratios.iter().copied().fold(0.0, f64::max));
    let ratio = median(ratios);
    line(bench, "rust", n, Some(ratio), "ratio", json!({ "least": least, "most": most }));
    ratio
}

/// How long a thread for each of `orders` takes, from the common start to the end of the last.
fn elapsed(call: &(impl Fn(usize) + Sync), orders: &[&[u32]]) -> Duration {
    let barrier = Barrier::new(orders.len());
    let barrier = &barrier;
    std::thread::scope(|scope| {
        let threads: Vec<_> = orders
            .iter()
            .map(|order| {
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    for &i in *order {
                        call(i as usize);
                    }
                    (start, Instant::now())
                })
            })
            .collect();
        let times: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let start = times.iter().map(|(start, _)| *start).min().unwrap();
        let end = times.iter().map(|(_, end)| *end).max().unwrap();
        end - start
    })
}

#[allow(clippy::cast_precision_loss, reason = "a few million calls are exact")]
fn per_call(order: &[u32], call: impl Fn(usize)) -> f64 {
    let start = Instant::now();
    for &i in order {
        call(i as usize);
    }
    start.elapsed().as_secs_f64() * 1e9 / order.len() as f64
}

const ROUNDS: usize = 7;
