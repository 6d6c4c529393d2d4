use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use super::database::{self, Registry};
use super::*;
use crate::error::ErrorCode;
use crate::steps::Step;
use crate::store::contract::{Bench, Still, contract};
use crate::transport::{Transport, TransportError, TransportRequest, TransportResponse};
use crate::{Client, Grant};

const NOW: Timestamp = Timestamp(1_000_000);

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("grants.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(self.path())
    }
}

struct Shared(Folder, Still);

impl Bench for Shared {
    fn open(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.0.store())
    }

    fn now(&self) -> Timestamp {
        self.1.now()
    }

    fn pass(&self, time: Duration) {
        self.1.pass(time);
    }
}

contract!(Shared(Folder::new(), Still::new()));

fn account() -> Account {
    Account::location("l").unwrap()
}

fn key(account: &Account) -> Key<'_> {
    Key { app: "app", account }
}

fn new_record(bytes: &[u8]) -> NewRecord {
    NewRecord {
        grant: Some(bytes.to_vec()),
        expires_at: Timestamp(7),
        seen: vec![[1; 16], [2; 16]],
    }
}

fn pragma(store: &SqliteStore, name: &str) -> String {
    let value = |connection: &Connection| {
        Ok(connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))?)
    };
    format!("{:?}", store.handle().unwrap().read(value).unwrap())
}

#[test]
fn a_reader_does_not_wait_for_a_transaction() {
    let folder = Folder::new();
    let store = folder.store();
    let account = account();
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let inside =
        store.handle().unwrap().write(|_| Ok(store.load(&key(&account), NOW).unwrap().is_some()));
    assert!(inside.unwrap());
}

#[test]
fn what_is_committed_is_on_the_disk() {
    let folder = Folder::new();
    let store = folder.store();
    assert_eq!(pragma(&store, "synchronous"), "Integer(2)");
    assert_eq!(pragma(&store, "journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma(&store, "page_size"), "Integer(16384)");
    // After the last store is closed the file alone is whole.
    store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
    drop(store);
    let mut log = folder.path().into_os_string();
    log.push("-wal");
    assert_eq!(fs::metadata(log).unwrap().len(), 0);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    for existing in [false, true] {
        let folder = Folder::new();
        if existing {
            fs::write(folder.path(), b"").unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o666)).unwrap();
        }
        let store = folder.store();
        store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
        let _lease = store.lease(&key(&account()), Duration::ZERO).unwrap().unwrap();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.folder.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            names.push(name);
        }
        names.sort();
        assert_eq!(names, ["grants.db", "grants.db-lock", "grants.db-shm", "grants.db-wal"]);
    }
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let refused = |prepare: &dyn Fn(&Path)| {
        let folder = Folder::new();
        prepare(&folder.path());
        let before = fs::read(folder.path()).ok();
        let error = folder.store().load(&key(&account()), NOW).unwrap_err();
        assert_eq!(fs::read(folder.path()).ok(), before);
        (error.code(), error.message().to_owned())
    };
    let run =
        |path: &Path, batch: &str| Connection::open(path).unwrap().execute_batch(batch).unwrap();

    let (code, message) = refused(&|path| fs::write(path, [b'x'; 5000]).unwrap());
    assert!(code == ErrorCode::StoreCorrupt && message.contains("not a database"), "{message}");
    let (code, message) = refused(&|path| run(path, "CREATE TABLE mine (x)"));
    assert!(code == ErrorCode::Config && message.contains("another program"), "{message}");
    let (code, message) = refused(&|path| {
        SqliteStore::new(path.to_owned()).changes().unwrap();
        run(path, "PRAGMA user_version = 99");
    });
    assert!(
        code == ErrorCode::Store && message.contains("later release") && message.contains("99")
    );
    let (code, _) = refused(&|path| fs::create_dir(path).unwrap());
    assert_eq!(code, ErrorCode::Config);

    let missing = SqliteStore::new(Folder::new().path());
    let error = missing.changes().unwrap_err();
    assert!(
        error.code() == ErrorCode::Store && error.message().contains("create the folder"),
        "{error}"
    );
}

/// Limits the database to `pages`, or to what it has if that is more.
fn limit(store: &SqliteStore, pages: i64) {
    let set = |connection: &Connection| {
        Ok(connection
            .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))?)
    };
    store.handle().unwrap().read(set).unwrap();
}

#[test]
fn a_file_of_the_first_release_goes_forward() {
    let folder = Folder::new();
    let old = Connection::open(folder.path()).unwrap();
    old.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 1752133488; PRAGMA user_version = 1; INSERT INTO app (name) \
         VALUES ('app'); INSERT INTO account (app, name, generation, sealed, expires_at, seen) \
         VALUES (1, 'location:l', 7, x'61', 7, x''); UPDATE counter SET changes = 9; INSERT INTO \
         account (app, name, generation, sealed, expires_at, seen, back_off) VALUES (1, \
         'location:dead', 1, x'61', 5, x'', '[true,1000,2,30,\"no\"]'), (1, 'location:down', 1, \
         x'61', 6, x'', '[false,1000,1,44,\"no\"]')",
    )
    .unwrap();
    drop(old);
    let (store, account) = (folder.store(), account());
    assert_eq!(store.load(&key(&account), NOW).unwrap().unwrap().generation, 7);
    let due = store.due("app", NOW, 9).unwrap();
    let ended: Vec<_> = due.ended.iter().map(Account::as_str).collect();
    assert_eq!((due.total, ended), (2, vec!["location:down", "location:l"]));
    assert_eq!(due.troubled, [Account::location("dead").unwrap()]);
    let dead = store.load(&key(&due.troubled[0]), NOW).unwrap().unwrap().back_off.unwrap();
    assert_eq!((dead.refused, dead.failures, dead.code, &*dead.message), (true, 2, 30, "no"));
    assert!(store.due("app", Timestamp(999), 9).unwrap().troubled.is_empty());
    assert_eq!((store.changes().unwrap(), store.changed("app", 8).unwrap()), (9, None));
    assert!(store.save(&key(&account), 7, &new_record(b"b")).unwrap());
    assert_eq!(store.changed("app", 9).unwrap(), Some(vec![(account, 8)]));
    let version: i64 = Connection::open(folder.path())
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, i64::try_from(schema::MIGRATIONS.len()).unwrap());
}

#[test]
fn the_list_of_changes_does_not_grow() {
    let folder = Folder::new();
    let store = folder.store();
    let account = account();
    let count = |from: i64| {
        let batch = format!("UPDATE counter SET changes = {from}");
        store
            .handle()
            .unwrap()
            .write(|transaction| Ok(transaction.execute_batch(&batch)?))
            .unwrap();
    };
    let listed = || {
        store.handle().unwrap().read(|connection| {
            Ok(connection
                .query_row("SELECT count(*) FROM change", [], |row| row.get::<_, i64>(0))?)
        })
    };
    for (generation, from, left) in [(0, 0, 1), (1, 999, 2), (2, 1000, 2), (3, 5000, 1)] {
        count(from);
        assert!(store.save(&key(&account), generation, &new_record(b"a")).unwrap());
        assert_eq!(listed().unwrap(), left, "from {from}");
        let from = u64::try_from(from).unwrap();
        assert_eq!(
            store.changed("app", from).unwrap(),
            Some(vec![(account.clone(), generation + 1)])
        );
    }
}

#[test]
fn a_full_disk_keeps_what_is_there() {
    let folder = Folder::new();
    let store = folder.store();
    let account = account();
    let key = key(&account);
    store.save(&key, 0, &new_record(b"old")).unwrap();
    limit(&store, 1);
    let error = store.save(&key, 1, &new_record(&vec![b'x'; 100_000])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Store);
    assert!(error.message().contains("is full"), "{error}");
    assert_eq!(store.load(&key, NOW).unwrap().unwrap().grant.as_deref(), Some(&b"old"[..]));
    limit(&store, 1_000_000);
    assert!(store.save(&key, 1, &new_record(&vec![b'x'; 100_000])).unwrap());
}

/// Answers each refresh with a pair that needs more pages than there are.
#[derive(Debug, Default)]
struct Growing(AtomicU32);

impl Transport for Growing {
    fn send(&self, _: &TransportRequest) -> std::result::Result<TransportResponse, TransportError> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let body = serde_json::json!({
            "access_token": "a".repeat(60_000), "refresh_token": format!("r{number}"),
            "expires_in": 86_399,
            "userType": "Location", "locationId": "l",
        });
        Ok(TransportResponse {
            status: 200,
            headers: vec![].into(),
            body: body.to_string().into_bytes(),
        })
    }
}

#[test]
fn a_database_that_is_full_at_any_step_keeps_the_old_or_the_new_grant() {
    for step in Step::ALL {
        let folder = Folder::new();
        let (store, platform) = (Arc::new(folder.store()), Arc::new(Growing::default()));
        let builder = || {
            let store: Arc<dyn TokenStore> = Arc::<SqliteStore>::clone(&store);
            let platform: Arc<dyn Transport> = Arc::<Growing>::clone(&platform);
            Client::builder()
                .client_id("i")
                .client_secret("s")
                .token_store(store)
                .transport(platform)
        };
        let account = account();
        let grant = Grant::new(account.clone(), "old").with_refresh_token("r");
        builder().build().unwrap().import(grant, false).unwrap();
        let full = Arc::<SqliteStore>::clone(&store);
        let hook = move |at, _: &_| {
            if at == step {
                limit(&full, 1);
            }
            Ok(())
        };
        let client = builder().step_hook(hook).build().unwrap();
        client.headers_for(account.as_str(), "GET").unwrap();

        let is_saved = matches!(step, Step::Publish | Step::Release);
        let health = client.health(&account).unwrap();
        assert_eq!(health.unsaved, !is_saved, "{step:?}");
        assert!(is_saved || health.last_error.unwrap().contains("is full"), "{step:?}");
        let stored = builder().build().unwrap().export(&account).unwrap();
        assert_eq!(stored.access_token().expose() != "old", is_saved, "{step:?}");
        limit(&store, 1_000_000);
        client.headers_for(account.as_str(), "GET").unwrap();
        assert!(!client.health(&account).unwrap().unsaved, "{step:?}");
        assert_eq!(
            builder().build().unwrap().export(&account).unwrap().refresh_token().unwrap().expose(),
            "r0"
        );
        assert_eq!(platform.0.load(Ordering::SeqCst), 1, "{step:?}");
    }
}

#[test]
fn a_lock_of_another_program_is_named() {
    let folder = Folder::new();
    let store = folder.store();
    store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let short = Patience::of(Duration::from_millis(1));
    let error = store.save(&key(&account()), 1, &new_record(b"b")).unwrap_err();
    assert!(error.code() == ErrorCode::Store && error.is_retryable(), "{error:?}");
    assert!(error.message().contains("locked by another program"), "{error}");
    drop(short);
    assert!(store.load(&key(&account()), NOW).unwrap().is_some());
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.save(&key(&account()), 1, &new_record(b"b")).unwrap());
}

#[test]
fn a_row_that_does_not_parse_is_that_accounts_trouble() {
    let folder = Folder::new();
    let store = folder.store();
    let (one, two) = (account(), Account::location("m").unwrap());
    for account in [&one, &two] {
        store.save(&key(account), 0, &new_record(b"a")).unwrap();
    }
    for broken in ["seen = x'00'", "back_off = 'x'", "generation = -1"] {
        let batch = format!("UPDATE account SET {broken} WHERE name = 'location:l'");
        store
            .handle()
            .unwrap()
            .write(|transaction| Ok(transaction.execute_batch(&batch)?))
            .unwrap();
        let error = store.load(&key(&one), NOW).unwrap_err();
        assert_eq!(
            (error.code(), error.account()),
            (ErrorCode::StoreCorrupt, Some(&one)),
            "{broken}"
        );
        assert!(store.load(&key(&two), NOW).unwrap().is_some());
        let mended = "UPDATE account SET seen = x'', back_off = NULL, generation = 1";
        store
            .handle()
            .unwrap()
            .write(|transaction| Ok(transaction.execute_batch(mended)?))
            .unwrap();
    }
}

#[test]
fn removed_files_are_noticed() {
    let folder = Folder::new();
    let store = folder.store();
    store.changes().unwrap();
    let lock = folder.folder.path().join("grants.db-lock");
    fs::rename(&lock, folder.folder.path().join("elsewhere")).unwrap();
    let error = store.lease(&key(&account()), Duration::ZERO).unwrap_err();
    assert!(error.code() == ErrorCode::Store && error.message().contains("lock file"), "{error}");
    fs::rename(folder.folder.path().join("elsewhere"), &lock).unwrap();
    assert!(store.lease(&key(&account()), Duration::ZERO).unwrap().is_some());

    fs::rename(folder.path(), folder.folder.path().join("moved")).unwrap();
    let error = store.changes().unwrap_err();
    assert!(
        error.code() == ErrorCode::Store && error.message().contains("removed or replaced"),
        "{error}"
    );
    fs::rename(folder.folder.path().join("moved"), folder.path()).unwrap();
    store.changes().unwrap();
}

/// A registry is all that a copy of the library has for itself.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_second_copy_of_the_library_in_the_process_is_refused() {
    let folder = Folder::new();
    let store = folder.store();
    let account = account();
    let lease = store.lease(&key(&account), Duration::ZERO).unwrap().unwrap();
    let copy: &Registry = Box::leak(Box::new(Registry::new()));
    for _ in 0..2 {
        assert_eq!(copy.open(&folder.path()).unwrap_err().code(), ErrorCode::InvalidState);
    }
    // That it looked has cost no lock: another process still can't have the lease.
    assert!(!another_process_can_lock(&folder, lock::place("app", account.as_str())));
    drop(lease);
    assert!(another_process_can_lock(&folder, lock::place("app", account.as_str())));
    drop(store);
    let handle = copy.open(&folder.path()).unwrap();
    assert_eq!(folder.store().changes().unwrap_err().code(), ErrorCode::InvalidState);
    drop(handle);
    folder.store().changes().unwrap();
}

#[cfg(unix)]
fn another_process_can_lock(folder: &Folder, place: u64) -> bool {
    let script = "import fcntl, sys
try: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
except OSError: sys.exit(7)";
    let status = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(folder.folder.path().join("grants.db-lock"))
        .arg(place.to_string())
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 7)), "{status}");
    status.success()
}

#[test]
fn a_fork_in_the_middle_of_a_transaction_leaves_no_way() {
    let folder = Folder::new();
    let store = folder.store();
    let handle = store.handle().unwrap();
    let code = handle.write(|_| Ok(handle.disown().unwrap_err().code())).unwrap();
    assert_eq!(code, ErrorCode::InvalidState);
    handle.disown().unwrap();
}

#[test]
fn stores_on_one_file_are_one_however_it_is_named() {
    let folder = Folder::new();
    let store = folder.store();
    store.changes().unwrap();
    let longer = folder.folder.path().join(".").join("grants.db");
    let other = Arc::new(SqliteStore::new(longer));
    let _lease = store.lease(&key(&account()), Duration::ZERO).unwrap().unwrap();
    assert!(other.lease(&key(&account()), Duration::ZERO).unwrap().is_none());
}

/// Each of these would wait for five seconds without a call that ends before.
#[test]
fn no_wait_is_longer_than_the_call() {
    let folder = Folder::new();
    let store = folder.store();
    store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let short = Patience::of(Duration::from_millis(20));
                let mine = folder.store();
                let slot = SlotRequest { per_minute: 5, priority: crate::store::Priority::Normal };
                for failed in [
                    mine.take_slot("app", slot, NOW).map(|_| ()),
                    mine.claim("app", &[1; 16], NOW, NOW).map(|_| ()),
                    mine.unclaim("app", &[1; 16]),
                ] {
                    let error = failed.unwrap_err();
                    assert!(error.code() == ErrorCode::Store && error.is_retryable(), "{error:?}");
                }
                drop(short);
                // What reads does not wait for who writes.
                assert!(mine.load(&key(&account()), NOW).unwrap().is_some());
                mine.changes().unwrap();
            });
        }
    });
    assert!(start.elapsed() < database::BUSY_TIMEOUT, "{:?}", start.elapsed());

    let lease = store.lease(&key(&account()), Duration::ZERO).unwrap().unwrap();
    let short = Patience::of(Duration::from_millis(1));
    assert!(store.lease(&key(&account()), Duration::from_secs(3_600)).unwrap().is_none());
    drop((short, lease));
}

/// The thread in front holds the turn for as long as it likes.
#[test]
fn a_writer_waits_no_longer_for_another_thread_than_its_call_may_take() {
    let folder = Folder::new();
    let store = folder.store();
    store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
    let waited = store.handle().unwrap().write(|_| {
        thread::scope(|scope| {
            let waited = scope.spawn(|| {
                let _short = Patience::of(Duration::from_millis(1));
                store.save(&key(&account()), 1, &new_record(b"b"))
            });
            Ok(waited.join().unwrap())
        })
    });
    let error = waited.unwrap().unwrap_err();
    assert!(error.code() == ErrorCode::Store && error.is_retryable(), "{error:?}");
    assert!(error.message().contains("other threads of this process write"), "{error}");
    assert!(store.save(&key(&account()), 1, &new_record(b"b")).unwrap());
}

#[test]
fn a_call_waits_no_longer_for_the_set_up_of_others_than_it_may_take() {
    let folder = Folder::new();
    // Another process is at it: it holds the file's write lock before there are any tables.
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _short = Patience::of(Duration::from_millis(20));
                let error = folder.store().changes().unwrap_err();
                assert!(error.code() == ErrorCode::Store && error.is_retryable(), "{error:?}");
            });
        }
    });
    assert!(start.elapsed() < database::BUSY_TIMEOUT, "{:?}", start.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    folder.store().changes().unwrap();
}

/// A save gets time even from a call that has none left, because its grant cannot be had again.
#[test]
fn what_must_be_saved_gets_a_moment() {
    let folder = Folder::new();
    let store = folder.store();
    store.save(&key(&account()), 0, &new_record(b"a")).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let (store, (begun, begins)) = (&store, std::sync::mpsc::channel());
        let saving = scope.spawn(move || {
            let _none = Patience::of(Duration::ZERO);
            begun.send(()).unwrap();
            store.save(&key(&account()), 1, &new_record(b"b"))
        });
        begins.recv().unwrap();
        other.execute_batch("ROLLBACK").unwrap();
        assert!(saving.join().unwrap().unwrap());
    });
}
