//! A store of the host's own for tests that look at it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test uses a part"
)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hoopauth::store::{Key, Leased, Listed, NewRow, Row, RowStore};
use hoopauth::{Error, ErrorCode, Result};

/// Rows in memory: they are full or gone when told so, and count how often one is read.
#[derive(Debug, Default)]
pub struct Rows {
    stored: Mutex<HashMap<String, (Row, Listed)>>,
    pub full: AtomicBool,
    pub broken: AtomicBool,
    pub loads: AtomicUsize,
}

impl RowStore for Rows {
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::Store, "the disk is gone"));
        }
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(self.stored.lock().unwrap().get(key.account.as_str()).map(|(row, _)| row.clone()))
    }

    fn save(&self, key: &Key<'_>, expected: u64, new: &NewRow<'_>) -> Result<bool> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::Store, "the disk is full"));
        }
        let mut stored = self.stored.lock().unwrap();
        if stored.get(key.account.as_str()).map_or(0, |(row, _)| row.version) != expected {
            return Ok(false);
        }
        let row = Row { version: expected + 1, bytes: new.bytes.to_vec() };
        let listed = Listed {
            account: key.account.clone(),
            live: new.live,
            marked: new.marked,
            expires_at: new.expires_at,
            not_before: new.not_before,
        };
        stored.insert(key.account.to_string(), (row, listed));
        Ok(true)
    }

    fn list(&self, _: &str) -> Result<Vec<Listed>> {
        Ok(self.stored.lock().unwrap().values().map(|(_, listed)| listed.clone()).collect())
    }

    fn lease<'a>(&'a self, _: &Key<'_>, _: Duration) -> Result<Leased<'a>> {
        Ok(Leased::Unsupported)
    }
}
