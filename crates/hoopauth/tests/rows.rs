//! A store of the host's own with three methods carries the whole protocol.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{World, location};
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth::store::{Key, Leased, Listed, NewRow, Row, RowStore};
use hoopauth::{Account, Client, Error, ErrorCode, Result};

type Stored = (Row, Listed);

#[derive(Debug, Default)]
struct Rows {
    stored: Mutex<HashMap<(String, String), Stored>>,
    leases: AtomicUsize,
    lends: AtomicBool,
    garbage: AtomicBool,
}

impl RowStore for Rows {
    fn load(&self, key: &Key<'_>) -> Result<Option<Row>> {
        if self.garbage.load(Ordering::SeqCst) {
            return Ok(Some(Row { version: 1, bytes: b"not what was saved".to_vec() }));
        }
        let rows = self.stored.lock().unwrap();
        Ok(rows.get(&owned(key)).map(|(row, _)| row.clone()))
    }

    fn save(&self, key: &Key<'_>, expected: u64, new: &NewRow<'_>) -> Result<bool> {
        let mut rows = self.stored.lock().unwrap();
        if rows.get(&owned(key)).map_or(0, |(row, _)| row.version) != expected {
            return Ok(false);
        }
        assert!(std::str::from_utf8(new.bytes).is_ok());
        let row = Row { version: expected + 1, bytes: new.bytes.to_vec() };
        let listed = Listed {
            account: key.account.clone(),
            live: new.live,
            marked: new.marked,
            expires_at: new.expires_at,
            not_before: new.not_before,
        };
        rows.insert(owned(key), (row, listed));
        Ok(true)
    }

    fn list(&self, app: &str) -> Result<Vec<Listed>> {
        let rows = self.stored.lock().unwrap();
        Ok(rows
            .iter()
            .filter(|((of, _), _)| of == app)
            .map(|(_, (_, listed))| listed.clone())
            .collect())
    }

    fn lease<'a>(&'a self, _: &Key<'_>, _: Duration) -> Result<Leased<'a>> {
        if !self.lends.load(Ordering::SeqCst) {
            return Ok(Leased::Unsupported);
        }
        if self.leases.fetch_add(1, Ordering::SeqCst) > 0 {
            self.leases.fetch_sub(1, Ordering::SeqCst);
            return Ok(Leased::Busy);
        }
        Ok(Leased::Held(Box::new(Lent(self))))
    }
}

#[derive(Debug)]
struct Lent<'a>(&'a Rows);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.leases.fetch_sub(1, Ordering::SeqCst);
    }
}

fn owned(key: &Key<'_>) -> (String, String) {
    (key.app.to_owned(), key.account.to_string())
}

fn works(world: &World, client: &Client, account: &Account) {
    let headers = client.headers_for(account.as_str(), "GET").unwrap();
    assert_eq!(world.call(&headers, &format!("/locations/{}", account.id())).0, 200);
}

#[test]
fn login_expiry_removal() {
    let world = World::new();
    let rows = Arc::new(Rows::default());
    let client =
        world.builder().row_store(rows.clone()).store_key("0123456789abcdef").build().unwrap();
    let account = location(0);
    let grant = world.grant(&account);
    let planted = grant.refresh_token().unwrap().expose().to_owned();
    client.import(grant, false).unwrap();
    for _ in 0..3 {
        works(&world, &client, &account);
        world.pass(86_399);
    }
    works(&world, &client, &account);
    assert_eq!(world.emulator.statistics().rotations, 3);
    for (row, _) in rows.stored.lock().unwrap().values() {
        assert!(
            !String::from_utf8_lossy(&row.bytes).contains(&planted),
            "a grant was stored in clear"
        );
    }
    assert_eq!(client.accounts().unwrap(), std::slice::from_ref(&account));
    assert!(client.remove(&account).unwrap());
    assert!(client.accounts().unwrap().is_empty());
    assert_eq!(client.headers_for(account.as_str(), "GET").unwrap_err().code(), ErrorCode::NoGrant);
    client.import(world.grant(&account), false).unwrap();
    works(&world, &client, &account);
}

#[test]
fn what_stops_between_two_steps_is_finished_by_the_next_client() {
    for step in Step::ALL {
        let world = World::new();
        let rows = Arc::new(Rows::default());
        let account = location(0);
        let stops = AtomicBool::new(false);
        let first = world
            .builder()
            .row_store(rows.clone())
            .step_hook(move |at, _| {
                if at == step && stops.swap(true, Ordering::SeqCst) {
                    return Ok(());
                }
                if at == step { Err(Error::new(ErrorCode::Store, "told to stop")) } else { Ok(()) }
            })
            .build()
            .unwrap();
        first.import(world.grant(&account), false).unwrap();
        world.pass(86_399);
        let _ = first.headers_for(account.as_str(), "GET");
        drop(first);
        world.pass(5);
        let second = world.builder().row_store(rows).build().unwrap();
        works(&world, &second, &account);
        assert_eq!(world.emulator.statistics().reuse_outside_window, 0, "{step:?}");
    }
}

#[test]
fn leases_of_the_hosts_own_are_asked_and_given_back() {
    let world = World::new();
    let rows = Arc::new(Rows::default());
    rows.lends.store(true, Ordering::SeqCst);
    let client = world.builder().row_store(rows.clone()).build().unwrap();
    client.import(world.grant(&location(0)), false).unwrap();
    world.pass(86_399);
    rows.leases.store(1, Ordering::SeqCst);
    let error = client.headers_for(location(0).as_str(), "GET").unwrap_err();
    assert_eq!(error.code(), ErrorCode::LeaseTimeout);
    rows.leases.store(0, Ordering::SeqCst);
    works(&world, &client, &location(0));
    assert_eq!(rows.leases.load(Ordering::SeqCst), 0);
}

#[test]
fn rows_that_are_not_what_was_saved_are_corrupt() {
    let world = World::new();
    let rows = Arc::new(Rows::default());
    rows.garbage.store(true, Ordering::SeqCst);
    let client = world.builder().row_store(rows).build().unwrap();
    let error = client.headers_for(location(0).as_str(), "GET").unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::StoreCorrupt, Some(&location(0))));
}
