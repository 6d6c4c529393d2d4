use std::sync::Arc;

use super::*;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::ErrorCode;
use crate::grants::Grant;
use crate::store::{MemoryStore, NewRecord};

const NEW: &str = "the-first-key-0123456789";
const OLD: &str = "the-older-key-0123456789";

fn account() -> Account {
    Account::location("l").unwrap()
}

fn grant(token: &str) -> Grant {
    Grant::new(account(), token)
        .with_refresh_token(format!("{token}-refresh").as_str())
        .with_expires_at(Timestamp(i64::MAX / 2))
}

fn client(store: &Arc<MemoryStore>, keys: &str) -> Client {
    let builder = Client::builder().client_id("i").client_secret("s").store_key(keys);
    builder.token_store(Arc::<MemoryStore>::clone(store)).build().unwrap()
}

/// The row as `client` stored it.
fn row(client: &Client) -> crate::store::Record {
    client.inner.grants().load(&account()).unwrap().unwrap()
}

/// Puts `change`d bytes into the row as somebody with a database shell would, to follow what is
/// there.
fn put(client: &Client, grant: Vec<u8>, seen: Vec<crate::store::Fingerprint>) {
    let generation =
        client.inner.grants().load(&account()).unwrap().map_or(0, |record| record.generation);
    let record = NewRecord { grant: Some(grant), expires_at: Timestamp(i64::MAX / 2), seen };
    let account = account();
    assert!(client.inner.grants().store.save(&account, generation, &record).unwrap());
}

/// A grant as releases before sealed it: bound to app and account only.
fn as_before(client: &Client, token: &str) -> Vec<u8> {
    let (account, inner) = (account(), &client.inner);
    let ring = inner.grants().vault.ring().unwrap().unwrap();
    let parts = [inner.settings().app.as_bytes(), account.as_str().as_bytes()];
    ring.seal(&parts, &grant(token).to_bytes().unwrap()).unwrap()
}

fn exported(client: &Client) -> Result<String> {
    client.export(&account()).map(|grant| grant.access_token().expose().to_owned())
}

#[test]
fn an_older_grant_of_the_same_account_does_not_open() {
    let store = Arc::new(MemoryStore::new());
    let first = client(&store, NEW);
    first.import(grant("one"), false).unwrap();
    let older = row(&first);
    first.import(grant("two"), true).unwrap();
    put(&first, older.grant.clone().unwrap(), older.seen.clone());
    let other = client(&store, NEW);
    for client in [&first, &other] {
        let error = exported(client).unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::StoreCorrupt, Some(&account())));
    }
    let error = other.headers_for(account().as_str(), "GET").err().unwrap();
    assert_eq!(error.code(), ErrorCode::StoreCorrupt);
    // The account may be authorized anew.
    other.import(grant("three"), true).unwrap();
    assert_eq!(exported(&other).unwrap(), "three");
}

#[test]
fn rows_of_the_earlier_form_open_until_they_are_written_again() {
    let store = Arc::new(MemoryStore::new());
    let client = client(&store, NEW);
    let before = as_before(&client, "before");
    put(&client, before.clone(), vec![[7; 16]]);
    assert_eq!(exported(&client).unwrap(), "before");
    client.import(grant("after"), true).unwrap();
    let now = row(&client);
    assert!(
        client
            .inner
            .grants()
            .vault
            .ring()
            .unwrap()
            .unwrap()
            .is_current(now.grant.as_ref().unwrap())
    );
    assert!(now.seen.contains(&[7; 16]));
    // From then on the earlier form is no way back, not after a removal either.
    put(&client, before.clone(), now.seen.clone());
    assert_eq!(exported(&client).unwrap_err().code(), ErrorCode::StoreCorrupt);
    client.import(grant("again"), true).unwrap();
    client.remove(&account()).unwrap();
    put(&client, before, row(&client).seen);
    assert_eq!(exported(&client).unwrap_err().code(), ErrorCode::StoreCorrupt);
}

#[test]
fn another_first_key_still_knows_that_a_row_was_written_in_the_new_form() {
    let store = Arc::new(MemoryStore::new());
    let old = client(&store, OLD);
    let before = as_before(&old, "before");
    old.import(grant("after"), false).unwrap();
    let both = client(&store, &format!("{NEW} {OLD}"));
    assert_eq!(exported(&both).unwrap(), "after");
    put(&both, before, row(&both).seen);
    assert_eq!(exported(&both).unwrap_err().code(), ErrorCode::StoreCorrupt);
}

#[test]
fn maintenance_brings_the_earlier_form_forward() {
    let store = Arc::new(MemoryStore::new());
    let both = client(&store, &format!("{NEW} {OLD}"));
    put(&both, as_before(&both, "before"), vec![]);
    assert!(!Resealing::default().next(both.inner.grants()).unwrap());
    assert!(
        both.inner
            .grants()
            .vault
            .ring()
            .unwrap()
            .unwrap()
            .is_current(row(&both).grant.as_ref().unwrap())
    );
    assert_eq!(exported(&both).unwrap(), "before");
}
