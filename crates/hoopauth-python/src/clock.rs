//! A clock of the program's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use hoopauth::{Clock, Timestamp};
use pyo3::prelude::*;

use crate::callback::{Fault, Slot};
use crate::number::Seconds;

/// Asks a Python object: `now()`, `monotonic()` and, where it has one, `sleep(seconds)`. Where it
/// raises or answers what is no time, time stands still and the call fails afterwards.
pub(crate) struct PyClock {
    slot: Arc<Slot>,
    has_sleep: bool,
    now: AtomicI64,
    monotonic: AtomicU64,
}

impl PyClock {
    pub(crate) fn new(py: Python<'_>, slot: Arc<Slot>) -> PyResult<Self> {
        slot.require(py, &["now", "monotonic"])?;
        let has_sleep = slot.has(py, "sleep")?;
        Ok(Self { slot, has_sleep, now: AtomicI64::new(0), monotonic: AtomicU64::new(0) })
    }

    fn ask(&self, method: &str) -> Option<f64> {
        self.slot.call_infallible(method, |clock| {
            let answer = clock.call_method0(method)?;
            let seconds = answer.extract::<Seconds>().ok().and_then(Seconds::moment);
            seconds.ok_or_else(|| {
                Fault::Answered(
                    "a value that is not a number of seconds from 0 to the year 9999".to_owned(),
                )
            })
        })
    }
}

impl Clock for PyClock {
    fn now(&self) -> Timestamp {
        if let Some(seconds) = self.ask("now") {
            self.now.store(timestamp(seconds).0, Ordering::Relaxed);
        }
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> u64 {
        if let Some(seconds) = self.ask("monotonic") {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the cast saturates"
            )]
            self.monotonic.store((seconds * 1000.0) as u64, Ordering::Relaxed);
        }
        self.monotonic.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) {
        if self.has_sleep {
            self.slot.call_infallible("sleep", |clock| {
                clock
                    .call_method1("sleep", (duration.as_secs_f64(),))
                    .map(drop)
                    .map_err(Fault::Raised)
            });
        } else {
            std::thread::sleep(duration);
        }
    }
}

impl std::fmt::Debug for PyClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PyClock")
    }
}

/// Python's seconds since the epoch.
#[allow(clippy::cast_possible_truncation, reason = "the cast saturates; NaN is the epoch")]
pub(crate) fn timestamp(seconds: f64) -> Timestamp {
    Timestamp((seconds * 1000.0).floor() as i64)
}

/// Time as Python tells it: seconds since the epoch.
#[allow(clippy::cast_precision_loss, reason = "exact for 285 000 years")]
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1000.0
}
