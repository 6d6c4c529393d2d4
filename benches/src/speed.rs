//! The cost of headers, beside the plainest map of tokens.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use hoopauth::AccountHandle;
use serde_json::json;

use crate::c::Programs;
use crate::fixture::{NAME_BYTES, client_over, indices, name, token};
use crate::pairs::Pairs;
use crate::{PROCESSES, again, in_turns, line, lines_of, median, rounded};

/// Headers of one account over the floor's, pair by pair.
pub(crate) struct Speed {
    pub(crate) name: Pairs,
    pub(crate) handle: Pairs,
    pub(crate) c_name: Pairs,
    pub(crate) c_handle: Pairs,
}

/// Figures of larger sizes that the promises need.
pub(crate) struct Large {
    pub(crate) two_threads: Pairs,
}

/// Measures one account. Each process measures both, so that none inherits the heap that another
/// left; C takes its turns with Rust, whose floor it is held against.
pub(crate) fn measure(c: &Programs) -> Speed {
    let one = in_turns(PROCESSES, &[&|| of_size("speed", 1), &|| c.speed(1)]);
    let floor = &one[0]["headers_floor"];
    Speed {
        name: Pairs::ratios(&one[0]["headers"], floor),
        handle: Pairs::ratios(&one[0]["headers_handle"], floor),
        c_name: Pairs::ratios(&one[1]["headers"], floor),
        c_handle: Pairs::ratios(&one[1]["headers_handle"], floor),
    }
}

/// Measures a thousand to a million accounts, and two threads.
pub(crate) fn measure_large(c: &Programs) -> Large {
    let in_turns = |runs, n| in_turns(runs, &[&|| of_size("speed", n), &|| c.speed(n)]);
    in_turns(1, 1_000);
    let threads = lines_of(&mut of_size("threads", 100_000));
    for line in &threads {
        println!("{line}");
    }
    let ours = threads.iter().find(|line| line["bench"] == "headers_two_threads");
    let two_threads = Pairs::of_line(ours.expect("the line of two threads"));
    in_turns(1, 100_000);
    in_turns(1, 1_000_000);
    Large { two_threads }
}

fn of_size(mode: &str, n: usize) -> Command {
    let mut command = again();
    command.args([mode, &n.to_string()]);
    command
}

/// Headers by name, by handle and from the plain map, over `n` accounts.
pub(crate) fn compare(n: usize) {
    let with_handles = n <= 1_000;
    let client = client_over(n);
    let floor: HashMap<String, String> = (0..n).map(|i| (name(i), token(i))).collect();
    let handles: Vec<AccountHandle> =
        (0..n).filter(|_| with_handles).map(|i| client.account(&name(i)).unwrap()).collect();
    let order = indices(n, CALLS);
    let names = Names::in_order(&order);

    let (mut by_name, mut by_floor, mut by_handle) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        by_name.push(per_call(|call| {
            black_box(client.headers_for(black_box(names.of(call)), "GET").unwrap());
        }));
        by_floor.push(per_call(|call| {
            let token = floor.get(black_box(names.of(call))).unwrap();
            black_box(format!("Bearer {token}"));
        }));
        if with_handles {
            by_handle.push(per_call(|call| {
                black_box(black_box(&handles[order[call] as usize]).headers("GET").unwrap());
            }));
        }
    }

    line("headers", "rust", n, Some(median(by_name)), "ns", json!({}));
    line("headers_floor", "rust", n, Some(median(by_floor)), "ns", json!({}));
    if with_handles {
        line("headers_handle", "rust", n, Some(median(by_handle)), "ns", json!({}));
    }
}

/// Ratio of the calls of two threads to those of one, over the same `n` accounts; the plain map's
/// figure tells what the machine allows.
pub(crate) fn compare_threads(n: usize) {
    let client = client_over(n);
    let floor: HashMap<String, String> = (0..n).map(|i| (name(i), token(i))).collect();
    let names = Names::in_order(&indices(n, 2 * CALLS));
    two_threads("headers_floor_two_threads", n, |call| {
        let token = floor.get(black_box(names.of(call))).unwrap();
        black_box(format!("Bearer {token}"));
    });
    two_threads("headers_two_threads", n, |call| {
        black_box(client.headers_for(black_box(names.of(call)), "GET").unwrap());
    });
}

/// Each round times one thread, two, two, one: what slows the machine down meanwhile meets both
/// alike.
fn two_threads(bench: &str, n: usize, call: impl Fn(usize) + Sync) {
    let one = || elapsed(&call, 1).as_secs_f64();
    let two = || elapsed(&call, 2).as_secs_f64();
    one();
    two();
    let ratios: Vec<f64> = (0..2 * ROUNDS)
        .map(|_| {
            let (before, both, again, after) = (one(), two(), two(), one());
            2.0 * (before + after) / (both + again)
        })
        .collect();
    let pairs: Vec<f64> = ratios.iter().copied().map(rounded).collect();
    line(bench, "rust", n, Some(median(ratios)), "ratio", json!({ "pairs": pairs }));
}

/// Measures how long `threads` threads take, each for its own calls, from the common start to the
/// end of the last.
fn elapsed(call: &(impl Fn(usize) + Sync), threads: usize) -> Duration {
    let barrier = Barrier::new(threads);
    let barrier = &barrier;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    for i in thread * CALLS..(thread + 1) * CALLS {
                        call(i);
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
fn per_call(call: impl Fn(usize)) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(call);
    start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
}

/// The names as a program has them that was just asked for an account: at hand, one after the
/// other, in no order.
struct Names(String);

impl Names {
    fn in_order(order: &[u32]) -> Self {
        let names = Self(order.iter().map(|i| name(*i as usize)).collect());
        assert_eq!(names.0.len(), order.len() * NAME_BYTES);
        names
    }

    #[inline]
    fn of(&self, call: usize) -> &str {
        &self.0[call * NAME_BYTES..(call + 1) * NAME_BYTES]
    }
}

const CALLS: usize = 1_000_000;
const ROUNDS: usize = 7;
