//! Log records for `logging`: the logger `hoopauth`, and one below it per part of the library.

use std::sync::Arc;

use hoopauth::binding::{LogRecord, LogSink, set_log};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::green::Inside;
use crate::reentry::inside;

/// Sends the core's records to `logging` from now on.
pub(crate) fn forward() {
    // Refused only where this process has a subscriber of its own, which then gets them.
    let _ = set_log(TRACE, Some(Arc::new(Logging)));
}

struct Logging;

impl LogSink for Logging {
    fn log(&self, record: &LogRecord<'_>) {
        // Handlers may write somewhere, and let other greenlets run meanwhile.
        inside(|py| {
            // What a handler itself gives rise to is not logged.
            if LOGGING.with(|logging| logging.is_current(py)) {
                return;
            }
            let _leave = Leave(LOGGING.with(|logging| logging.enter(py)));
            if let Err(raised) = pass_on(py, record) {
                raised.write_unraisable(py, None);
            }
        });
    }
}

struct Leave(usize);

impl Drop for Leave {
    fn drop(&mut self) {
        LOGGING.with(|logging| logging.leave(self.0));
    }
}

thread_local! {
    /// The greenlets of this thread that hand on a record.
    static LOGGING: Inside = const { Inside::nowhere() };
}

/// Tells of what the core does not know of.
pub(crate) fn warn(py: Python<'_>, target: &str, message: &str) {
    if let Err(raised) = pass_on(py, &LogRecord { level: WARNING, target, message }) {
        raised.write_unraisable(py, None);
    }
}

fn pass_on(py: Python<'_>, record: &LogRecord<'_>) -> PyResult<()> {
    // A program that never imported `logging` sees warnings and errors only, as `logging` itself
    // does it.
    if record.level > WARNING {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
        if !modules.contains("logging")? {
            return Ok(());
        }
    }
    let logging = py.import("logging")?;
    let logger = logging.call_method1("getLogger", (record.target.replace("::", "."),))?;
    let level = match record.level {
        1 => 40,
        WARNING => 30,
        3 => 20,
        4 => 10,
        _ => 5,
    };
    if logger.call_method1("isEnabledFor", (level,))?.is_truthy()? {
        logger.call_method1("log", (level, "%s", record.message))?;
    }
    Ok(())
}

const WARNING: u8 = 2;
const TRACE: u8 = 5;
