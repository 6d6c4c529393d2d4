//! Accounts, their client and a store that keeps nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hoopauth::store::{
    Due, Fingerprint, Key, Lease, NewRecord, Record, Slot, SlotRequest, TokenStore,
};
use hoopauth::{
    Account, Client, ClientBuilder, Clock, Grant, Import, Result, SystemClock, Timestamp,
};

pub(crate) const TOKEN_BYTES: usize = 900;
pub(crate) const NAME_BYTES: usize = "location:".len() + 20;

/// A client over accounts 0 to `count`, all with fresh tokens.
pub(crate) fn client_over(count: usize) -> Client {
    let client = empty_client();
    fill(&client, 0..count);
    client
}

pub(crate) fn empty_client() -> Client {
    builder()
        .option("cache_accounts", "0")
        .token_store(Arc::new(Forgetful::new(|_, _| {})))
        .build()
        .unwrap()
}

/// A client of the app that all of this is about.
pub(crate) fn builder() -> ClientBuilder {
    Client::builder()
        .option("client_id", "0123456789abcdef01234567-bench")
        .option("client_secret", "00000000-0000-4000-8000-000000000000")
}

pub(crate) fn fill(client: &Client, indices: std::ops::Range<usize>) {
    let tomorrow = SystemClock.now().plus(Duration::from_secs(86_400));
    for index in indices {
        let grant = Grant::new(Account::parse(&name(index)).unwrap(), token(index))
            .with_expires_at(tomorrow);
        assert_eq!(client.import(grant, false).unwrap(), Import::Imported);
    }
}

/// The name of an account: `location:` and 20 alphanumeric characters, as the platform's are.
pub(crate) fn name(index: usize) -> String {
    let mut random = Random(index as u64);
    let mut name = String::from("location:");
    name.extend((0..20).map(|_| random.alphanumeric()));
    name
}

/// The access token of an account.
pub(crate) fn token(index: usize) -> String {
    text(!(index as u64))
}

/// Refresh token of the account.
pub(crate) fn refresh_token(index: usize) -> String {
    text(!(index as u64) ^ 1 << 32)
}

fn text(seed: u64) -> String {
    let mut random = Random(seed);
    (0..TOKEN_BYTES).map(|_| random.alphanumeric()).collect()
}

/// Indices below `count` in an order that no prefetcher guesses.
pub(crate) fn indices(count: usize, length: usize) -> Vec<u32> {
    let mut random = Random(0x5eed);
    (0..length).map(|_| u32::try_from(random.next() % count as u64).unwrap()).collect()
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn alphanumeric(&mut self) -> char {
        const LETTERS: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        char::from(LETTERS[usize::try_from(self.next() >> 32).unwrap() % LETTERS.len()])
    }
}

/// Shows whatever is saved to a function and keeps none of it, so that a client holds nothing but
/// what it serves headers from.
pub(crate) struct Forgetful<F>(F);

impl<F: Fn(&Key<'_>, &NewRecord) + Send + Sync> Forgetful<F> {
    pub(crate) fn new(show: F) -> Self {
        Self(show)
    }
}

impl<F> fmt::Debug for Forgetful<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forgetful")
    }
}

impl<F: Fn(&Key<'_>, &NewRecord) + Send + Sync> TokenStore for Forgetful<F> {
    fn load(&self, _: &Key<'_>, _: Timestamp) -> Result<Option<Record>> {
        Ok(None)
    }

    fn save(&self, key: &Key<'_>, _: u64, record: &NewRecord) -> Result<bool> {
        self.0(key, record);
        Ok(true)
    }

    fn accounts(&self, _: &str) -> Result<Vec<Account>> {
        Ok(Vec::new())
    }

    fn open_marks(&self, _: &str) -> Result<Vec<Account>> {
        Ok(Vec::new())
    }

    fn due(&self, _: &str, _: Timestamp, _: usize) -> Result<Due> {
        Ok(Due::default())
    }

    fn lease<'a>(&'a self, _: &Key<'_>, _: Duration) -> Result<Option<Box<dyn Lease + 'a>>> {
        Ok(None)
    }

    fn take_slot(&self, _: &str, _: SlotRequest, _: Timestamp) -> Result<Slot> {
        Ok(Slot::Taken)
    }

    fn claim(&self, _: &str, _: &Fingerprint, _: Timestamp, _: Timestamp) -> Result<bool> {
        Ok(true)
    }

    fn unclaim(&self, _: &str, _: &Fingerprint) -> Result<()> {
        Ok(())
    }

    fn changes(&self) -> Result<u64> {
        Ok(0)
    }
}
