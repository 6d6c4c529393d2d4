//! A database holds sealed values only, and nothing secret comes out of it or of an error.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Mutex;

use hoopauth::{Account, Client, ErrorCode, Grant};

use crate::cluster::{Cluster, PASSWORD, free_port, schema_of};
use crate::common::location;
use crate::site::{KEY, Site};

fn code<T>(result: hoopauth::Result<T>) -> ErrorCode {
    result.err().unwrap().code()
}

fn grant(account: &Account) -> Grant {
    Grant::new(account.clone(), "planted-access").with_refresh_token("planted-refresh")
}

#[test]
fn a_database_needs_a_key() {
    let builder =
        || Client::builder().client_id("i").client_secret("s").store("postgres://u:p@127.0.0.1/d");
    let error = builder().build().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config);
    assert!(error.message().contains("`store_key`"), "{error}");
    builder().store_key(KEY).build().unwrap();
    builder().store_key(KEY).store("postgresql://u:p@127.0.0.1/d").build().unwrap();
}

#[test]
fn a_static_token_connects_to_nothing() {
    let nowhere = format!("postgres://u:p@127.0.0.1:{}/d", free_port());
    let client =
        Client::builder().private_integration_token("pit-1").store(nowhere).build().unwrap();
    client.headers("GET").unwrap();
    client.accounts().unwrap();
}

#[test]
fn a_wrong_key_opens_nothing_and_overwrites_nothing() {
    let site = Site::new();
    let account = location(0);
    site.client().import(grant(&account), false).unwrap();
    let wrong = site.builder().store_key("the-other-key-0123456789").build().unwrap();
    assert_eq!(code(wrong.headers_for(account.as_str(), "GET")), ErrorCode::StoreKey);
    assert_eq!(code(wrong.export(&account)), ErrorCode::StoreKey);
    assert_eq!(code(wrong.import(grant(&account), true)), ErrorCode::StoreKey);
    assert_eq!(code(wrong.remove(&account)), ErrorCode::StoreKey);
    assert_eq!(site.client().export(&account).unwrap().access_token().expose(), "planted-access");
}

#[test]
fn no_secret_can_be_read_in_the_tables() {
    let site = Site::new();
    let account = location(0);
    let client = site.client();
    client.import(grant(&account), false).unwrap();
    client.import(site.expired(&account), true).unwrap();
    site.works(&client, &account);
    let mut admin = site.admin();
    for table in ["app", "account", "claim", "counter", "hoopauth"] {
        let rows = admin.query(&format!("SELECT {table}::text FROM {table}"), &[]).unwrap();
        for row in rows {
            let text: String = row.get(0);
            for planted in [hex("planted"), hex(KEY), "planted".to_owned(), KEY.to_owned()] {
                assert!(!text.contains(&planted), "{table}: {text}");
            }
        }
    }
    let sealed: Vec<u8> = admin.query_one("SELECT sealed FROM account", &[]).unwrap().get(0);
    assert_eq!(sealed[0], 2, "in the form of a sealed value");
}

/// Log of all threads of this program.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_password_is_in_no_error_and_no_log() {
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let cluster = Cluster::shared();
    let schema = schema_of(&cluster.url()).to_owned();
    let ask = |user: &str, database: &str, port: u16| {
        let url = format!("postgres://{user}@127.0.0.1:{port}/{database}?hoopauth_schema={schema}");
        let site = Site::new();
        let client = site.builder().store(url).build().unwrap();
        let error = client.accounts().unwrap_err();
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains("planted"), "{shown}");
        assert_eq!(error.code(), ErrorCode::Store, "{shown}");
        (error.message().to_owned(), error.is_retryable())
    };
    let good = format!("postgres:{PASSWORD}");
    let (message, retryable) = ask("postgres:planted-wrong", "postgres", cluster.port);
    assert!(message.contains("authentication failed") && !retryable, "{message}");
    let (message, retryable) = ask("postgres", "postgres", cluster.port);
    assert!(message.contains("authentication failed") && !retryable, "{message}");
    let (message, retryable) = ask(&good, "nowhere", cluster.port);
    assert!(message.contains("the database does not exist") && !retryable, "{message}");
    let port = free_port();
    let (message, retryable) = ask(&good, "postgres", port);
    assert!(
        message.contains(&format!("can't connect to the PostgreSQL server 127.0.0.1:{port}")),
        "{message}"
    );
    assert!(retryable);
    let site = Site::new();
    let client = site.client();
    client.import(site.expired(&location(0)), false).unwrap();
    site.works(&client, &location(0));
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the grant changed"), "nothing was logged");
    assert!(!log.contains("planted") && !log.contains(KEY), "a secret was logged");
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
