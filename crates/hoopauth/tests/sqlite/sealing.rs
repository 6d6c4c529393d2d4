//! A sealed value opens for its key, app and account only, and nothing sealed is overwritten with
//! another key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hoopauth::{Account, Client, Clock as _, ErrorCode, Grant, SystemClock};
use rusqlite::Connection;

use crate::common::{World, location};
use crate::site::{KEY, Process, Site};

const OTHER: &str = "the-other-key-0123456789";

fn code<T>(result: hoopauth::Result<T>) -> ErrorCode {
    result.err().unwrap().code()
}

fn grant(account: &Account) -> Grant {
    Grant::new(account.clone(), "planted-access").with_refresh_token("planted-refresh")
}

#[test]
fn a_path_of_its_own_needs_a_key() {
    let builder =
        || Client::builder().client_id("i").client_secret("s").store("sqlite:somewhere.db");
    let error = builder().build().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config);
    assert!(error.message().contains("`store_key`"), "{error}");
    for store in ["sqlite", "sqlite://x", "sqlit:x", "memory:x", "postgres:x"] {
        assert_eq!(
            code(builder().store_key(KEY).store(store).build()),
            ErrorCode::Config,
            "{store}"
        );
    }
    builder().store_key(KEY).build().unwrap();
    assert!(!fs::exists("somewhere.db").unwrap());
}

#[test]
fn a_static_token_opens_no_store() {
    let site = Site::new();
    let client = Client::builder()
        .private_integration_token("pit-1")
        .store(format!("sqlite:{}", site.path().display()))
        .build()
        .unwrap();
    client.headers("GET").unwrap();
    client.accounts().unwrap();
    assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_key_opens_nothing_and_overwrites_nothing() {
    let site = Site::new();
    let account = location(0);
    site.client().import(grant(&account), false).unwrap();
    let wrong = site.builder().store_key(OTHER).build().unwrap();
    assert_eq!(code(wrong.headers_for(account.as_str(), "GET")), ErrorCode::StoreKey);
    assert_eq!(code(wrong.export(&account)), ErrorCode::StoreKey);
    assert_eq!(code(wrong.import(grant(&account), true)), ErrorCode::StoreKey);
    assert_eq!(code(wrong.remove(&account)), ErrorCode::StoreKey);
    assert_eq!(site.client().export(&account).unwrap().access_token().expose(), "planted-access");

    // Without a key at all: the same, in any store.
    let world = World::new();
    world.builder().store_key(KEY).build().unwrap().import(grant(&account), false).unwrap();
    let bare = world.client();
    assert_eq!(code(bare.export(&account)), ErrorCode::StoreKey);
    assert_eq!(code(bare.import(grant(&account), true)), ErrorCode::StoreKey);
    assert_eq!(code(bare.remove(&account)), ErrorCode::StoreKey);
}

#[test]
fn keys_are_changed_one_after_the_other() {
    let site = Site::new();
    let account = location(0);
    let file = site.folder.path().join("keys of mine");
    fs::write(&file, format!("{OTHER}\n{KEY}\n")).unwrap();
    site.client().import(grant(&account), false).unwrap();
    let both = site.builder().store_key(format!("file:{}", file.display())).build().unwrap();
    // The seed is known under the old key too.
    assert_eq!(both.import(grant(&account), true).unwrap(), hoopauth::Import::Known);
    let newer = Grant::new(account.clone(), "newer").with_refresh_token("newer-refresh");
    both.import(newer, true).unwrap();
    let only_new = site.builder().store_key(OTHER).build().unwrap();
    assert_eq!(only_new.export(&account).unwrap().access_token().expose(), "newer");
}

#[test]
fn maintenance_seals_all_with_the_first_key() {
    let site = Site::new();
    let client = site.client();
    let tomorrow = SystemClock.now().plus(Duration::from_secs(80_000));
    let accounts: Vec<Account> =
        (0..150).map(|number| Account::location(&format!("n{number}")).unwrap()).collect();
    for account in &accounts {
        client.import(grant(account).with_expires_at(tomorrow), false).unwrap();
    }
    // One that the platform refused, and one in the middle of a refresh.
    let database = Connection::open(site.path()).unwrap();
    let refused = format!("[true,{},1,30,\"told to\"]", tomorrow.0);
    let set = |name: &str, what: &str, value: &dyn rusqlite::ToSql| {
        let query = format!("UPDATE account SET {what} = ?1 WHERE name = ?2");
        assert_eq!(database.execute(&query, (value, name)).unwrap(), 1);
    };
    set("location:n3", "back_off", &refused);
    set("location:n4", "mark", &[1u8; 16]);
    set("location:n4", "marked_at", &(SystemClock.now().0 - 60_000));
    set("location:n4", "back_off", &refused);
    drop(client);

    let both = site.builder().store_key(format!("{OTHER} {KEY}")).build().unwrap();
    let maintenance = both.maintain_in_background().unwrap();
    let only_new = site.builder().store_key(OTHER).build().unwrap();
    let is_open = |account: &&Account| only_new.export(account).is_ok();
    let waits = accounts.iter().filter(|account| account.id() != "n4");
    for account in waits {
        while !is_open(&account) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    drop(maintenance);
    assert_eq!(code(only_new.export(&accounts[4])), ErrorCode::StoreKey, "its refresh seals it");
    assert!(only_new.health(&accounts[3]).unwrap().needs_reauthorization);
    assert_eq!(only_new.accounts().unwrap().len(), accounts.len());
    assert_eq!(site.world.emulator.statistics().token_requests, 0);
    // The first key alone may now replace what it could not have opened before.
    only_new
        .import(Grant::new(accounts[3].clone(), "again").with_refresh_token("again"), true)
        .unwrap();
}

#[test]
fn rows_open_where_they_belong_only() {
    let site = Site::new();
    let (one, two) = (location(0), location(1));
    let client = site.client();
    client.import(grant(&one), false).unwrap();
    client.import(grant(&two), false).unwrap();
    let other_app = site.builder().client_id("other-app").build().unwrap();
    other_app.import(grant(&one), false).unwrap();

    let database = Connection::open(site.path()).unwrap();
    let copy = |from: &Account, app: i64, to: &Account| {
        let copied = database
            .execute(
                "UPDATE account SET sealed = (SELECT sealed FROM account WHERE app = 1 AND name = \
                 ?1) WHERE app = ?2 AND name = ?3",
                (from.as_str(), app, to.as_str()),
            )
            .unwrap();
        assert_eq!(copied, 1);
    };
    copy(&one, 1, &two);
    copy(&one, 2, &one);
    for (client, account) in [(&client, &two), (&other_app, &one)] {
        let error = client.export(account).unwrap_err();
        assert_eq!((error.code(), error.account()), (ErrorCode::StoreCorrupt, Some(account)));
    }
    client.export(&one).unwrap();
    // What is damaged may be authorized again.
    client
        .import(Grant::new(two.clone(), "again").with_refresh_token("again-refresh"), true)
        .unwrap();
    client.export(&two).unwrap();
}

#[test]
fn an_older_grant_that_is_put_back_is_never_sent() {
    let site = Site::new();
    let account = location(0);
    let database = Connection::open(site.path()).unwrap();
    let columns = "sealed, expires_at, seen, generation";
    let client = site.client();
    client.import(site.expired(&account), false).unwrap();
    database
        .execute_batch(&format!("CREATE TEMP TABLE older AS SELECT {columns} FROM account"))
        .unwrap();
    site.works(&client, &account);
    let put_back = |columns: &str| {
        let query = format!("UPDATE account SET ({columns}) = (SELECT {columns} FROM older)");
        assert_eq!(database.execute(&query, []).unwrap(), 1);
    };

    // The grant alone: nobody opens it.
    put_back("sealed, expires_at, seen");
    for client in [&site.client(), &client] {
        assert_eq!(code(client.export(&account)), ErrorCode::StoreCorrupt);
    }
    assert_eq!(code(site.client().headers_for(account.as_str(), "GET")), ErrorCode::StoreCorrupt);
    // The whole row: who has used the newer grant knows.
    put_back(columns);
    assert_eq!(code(client.export(&account)), ErrorCode::StoreCorrupt);
    assert_eq!(site.world.emulator.statistics().token_requests, 1);

    // Authorized anew, all is well for all.
    client.import(site.expired(&account), true).unwrap();
    site.works(&client, &account);
    site.works(&site.client(), &account);
}

#[test]
fn flipped_bits_are_that_accounts_trouble() {
    let site = Site::new();
    let (one, two) = (location(0), location(1));
    let client = site.client();
    client.import(grant(&one), false).unwrap();
    client.import(grant(&two), false).unwrap();
    let database = Connection::open(site.path()).unwrap();
    let whole: Vec<u8> = database
        .query_row("SELECT sealed FROM account WHERE name = ?1", [one.as_str()], |row| row.get(0))
        .unwrap();
    let set = |bytes: &[u8]| {
        database
            .execute("UPDATE account SET sealed = ?1 WHERE name = ?2", (bytes, one.as_str()))
            .unwrap();
    };
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        set(&flipped);
        assert_eq!(code(client.export(&one)), ErrorCode::StoreCorrupt, "byte {at}");
    }
    client.export(&two).unwrap();
    set(&whole);
    client.export(&one).unwrap();
}

#[test]
fn no_token_can_be_read_in_the_files() {
    let site = Site::new();
    let client = site.client();
    client.import(grant(&location(0)), false).unwrap();
    for entry in fs::read_dir(site.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for planted in [&b"planted"[..], KEY.as_bytes()] {
            assert!(
                !bytes.windows(planted.len()).any(|window| window == planted),
                "{}",
                path.display()
            );
        }
    }
}

/// A process whose options say nothing of a store.
fn by_default(site: &Site, role: &str) -> Command {
    let mut command = site.command(role);
    command
        .env_remove("HOOPAUTH_STORE")
        .env_remove("HOOPAUTH_STORE_KEY")
        .env("XDG_DATA_HOME", site.folder.path())
        .env("HOME", site.folder.path());
    command
}

#[test]
fn nothing_is_made_for_a_static_token_nor_before_the_first_use() {
    let site = Site::new();
    for role in ["use a static token", "make a client"] {
        assert_eq!(Process::start(&mut by_default(&site, role)).line(), "done");
        assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), 0, "{role}");
    }
}

#[test]
fn a_user_without_a_home_is_told_what_to_do() {
    let site = Site::new();
    let mut command = by_default(&site, "make a client");
    let said = Process::start(command.env_remove("HOME").env_remove("XDG_DATA_HOME")).line();
    assert!(said.starts_with("CONFIG ") && said.contains("sqlite:PATH"), "{said}");
}

#[test]
fn the_users_own_store_has_a_key_of_its_own() {
    let site = Site::new();
    let start = || Process::start(&mut by_default(&site, "use the default store"));
    let mut processes: Vec<_> = (0..8).map(|_| start()).collect();
    for process in &mut processes {
        assert_eq!(process.line(), "ready");
    }
    for process in &mut processes {
        process.go();
    }
    for process in &mut processes {
        assert_eq!(process.line(), "planted-access");
    }
    if cfg!(not(target_os = "macos")) {
        let folder = site.folder.path().join("hoopauth");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        names.retain(|name| !name.starts_with("grants.db-"));
        names.sort();
        assert_eq!(names, ["grants.db", "store.key"], "of eight that made a key, one is left");
        fs::remove_file(folder.join("store.key")).unwrap();
        let mut process = start();
        process.line();
        process.go();
        assert!(process.line().starts_with("STORE_KEY "));
        assert!(!fs::exists(folder.join("store.key")).unwrap(), "a lost key is not replaced");
    }
}
