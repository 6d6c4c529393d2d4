//! The cost of looking up a documented operation, and the size of the table of all operations.

use std::hint::black_box;
use std::time::Instant;

use hoopauth::binding::table_bytes;
use hoopauth::operations::Operation;
use serde_json::json;

use crate::fixture::indices;
use crate::{line, median};

/// Figures that the promises need.
pub(crate) struct Operations {
    pub(crate) lookup_ns: f64,
    pub(crate) bytes: f64,
}

/// Looks up all operations by real paths, in random order.
#[allow(clippy::cast_precision_loss, reason = "a few million calls are exact")]
pub(crate) fn measure() -> Operations {
    let paths: Vec<(&str, String)> =
        Operation::all().map(|operation| (operation.method(), real(&operation.path()))).collect();
    let order = indices(paths.len(), CALLS);
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for index in &order {
            let (method, path) = &paths[*index as usize];
            black_box(Operation::find(black_box(method), black_box(path)))
                .expect("a documented operation");
        }
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    });
    let lookup_ns = median(rounds.collect());
    line("operations_lookup", "rust", paths.len(), Some(lookup_ns), "ns", json!({}));
    let bytes = table_bytes() as f64;
    line("operations_bytes", "rust", paths.len(), Some(bytes), "bytes", json!({}));
    Operations { lookup_ns, bytes }
}

/// The path with an id for each parameter, as it is sent.
fn real(template: &str) -> String {
    let segments =
        template.split('/').map(|segment| if segment.starts_with('{') { ID } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

const ID: &str = "ve9EPM428h8vShlRW1KT";
const CALLS: usize = 200_000;
const ROUNDS: usize = 7;
