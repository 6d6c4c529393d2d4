//! Parts that the tests share: an emulator, a client of it, and a clock that both go by.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test uses a part; a helper that fails fails its test"
)]

pub mod raw;
pub mod receiver;

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use hoopauth::store::{MemoryStore, TokenStore};
use hoopauth::{Account, Client, ClientBuilder, Grant, ManualClock, Timestamp};
use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_IDS, DEFAULT_SCOPES,
    Emulator,
};

pub struct World {
    pub emulator: Emulator,
    pub clock: Arc<ManualClock>,
    pub store: Arc<MemoryStore>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let emulator = Emulator::start(config).unwrap();
        emulator.freeze();
        let clock = Arc::new(ManualClock::new(Timestamp(emulator.now() * 1000)));
        Self { emulator, clock, store: Arc::new(MemoryStore::new()) }
    }

    /// A client of the emulator's app; its grants are in this world's store.
    pub fn builder(&self) -> ClientBuilder {
        let store: Arc<dyn TokenStore> = self.store.clone();
        self.app().token_store(store)
    }

    /// The emulator's app, and the clock.
    pub fn app(&self) -> ClientBuilder {
        Client::builder()
            .client_id(DEFAULT_CLIENT_ID)
            .client_secret(DEFAULT_CLIENT_SECRET)
            .redirect_uri("https://app.example/callback?from=hoop")
            .scopes(DEFAULT_SCOPES)
            .api_base(self.emulator.api())
            .authorize_url(self.emulator.authorize_url())
            .token_url(self.emulator.token())
            .location_token_url(self.emulator.location_token())
            .token_requests_per_minute(1000)
            .clock(self.clock.clone())
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// Lets time pass for both sides.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.emulator.advance(i64::try_from(seconds).unwrap());
    }

    /// A live grant of an account, as an app would import it.
    pub fn grant(&self, account: &Account) -> Grant {
        let issued = self.emulator.issue_grant(account.as_str(), &DEFAULT_SCOPES).unwrap();
        let expires = self.emulator.now() + issued.expires_in;
        Grant::new(account.clone(), issued.access_token)
            .with_refresh_token(issued.refresh_token.unwrap())
            .with_company_id(&issued.company_id)
            .with_expires_at(Timestamp(expires * 1000))
    }

    /// The status of an API call with these headers.
    pub fn call(&self, headers: &hoopauth::Headers, path: &str) -> (u16, String) {
        let response = http()
            .get(format!("{}{path}", self.emulator.api()))
            .headers(headers.to_header_map())
            .send()
            .unwrap();
        (response.status().as_u16(), response.text().unwrap())
    }
}

pub fn http() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

pub fn location(index: usize) -> Account {
    Account::location(DEFAULT_LOCATION_IDS[index]).unwrap()
}

/// Approves at the authorize page and answers the URL that the browser is sent to.
pub fn approve(url: &str, account: &Account) -> String {
    let response = http().get(format!("{url}&approve={account}")).send().unwrap();
    assert_eq!(response.status().as_u16(), 302, "{}", response.text().unwrap());
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// A log in memory.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Returns the text that was written so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns the text that this process logs from now on, for all of its tests: one that logs and
    /// one that reads the log call this first. A subscriber of one thread may miss what another
    /// thread logs for the first time just then.
    pub fn of_process() -> &'static Self {
        static LOG: LazyLock<Captured> = LazyLock::new(|| {
            let log = Captured::default();
            let writer = log.clone();
            let subscriber =
                tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
            tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
            log
        });
        &LOG
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
