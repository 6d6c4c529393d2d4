use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::error::ErrorCode;
use crate::store::Priority;
use crate::store::contract::{Bench, contract};

#[path = "../../../tests/postgres/cluster.rs"]
mod cluster;

use self::cluster::{Cluster, PASSWORD, Pooler, schema_of};

const SLOT: SlotRequest = SlotRequest { per_minute: 5, priority: Priority::Normal };
const LONG: Duration = Duration::from_secs(120);

/// Time passes by moving what is stored into the past: the database has a clock of its own.
struct Shared(String);

impl Shared {
    fn new() -> Self {
        Self(Cluster::shared().url())
    }
}

impl Bench for Shared {
    fn open(&self) -> Arc<dyn TokenStore> {
        Arc::new(at(&self.0))
    }

    fn now(&self) -> Timestamp {
        system_now()
    }

    fn pass(&self, time: Duration) {
        let mut admin = Cluster::shared().admin(&self.0);
        let back = i64::try_from(time.as_millis()).unwrap();
        for row in admin.query("SELECT id, sent FROM app", &[]).unwrap() {
            let (id, sent): (i32, Vec<u8>) = (row.get(0), row.get(1));
            let (times, _) = sent.as_chunks::<8>();
            let sent: Vec<u8> = times
                .iter()
                .flat_map(|at| (i64::from_be_bytes(*at) - back).to_be_bytes())
                .collect();
            admin.execute("UPDATE app SET sent = $2 WHERE id = $1", &[&id, &sent]).unwrap();
        }
        admin
            .batch_execute(&format!(
                "UPDATE account SET expires_at = expires_at - {back}, marked_at = marked_at - \
                 {back}, back_off_until = back_off_until - {back}; UPDATE claim SET until = until \
                 - {back}"
            ))
            .unwrap();
    }
}

contract!(Shared::new());

fn at(url: &str) -> PostgresStore {
    PostgresStore::new(PostgresSettings::parse(url, None, Duration::from_secs(5)).unwrap())
}

fn system_now() -> Timestamp {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp(i64::try_from(now.as_millis()).unwrap())
}

fn location(name: &str) -> Account {
    Account::location(name).unwrap()
}

fn key(account: &Account) -> Key<'_> {
    Key { app: "app", account }
}

fn new_record(bytes: &[u8]) -> NewRecord {
    NewRecord { grant: Some(bytes.to_vec()), expires_at: Timestamp(7), seen: vec![] }
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The text that a query answers over a connection of the store's.
fn ask(pooled: &mut Pooled<'_>, query: &str) -> String {
    let query = query.to_owned();
    let answer = pooled.run(|client, _| async move {
        Ok(client
            .query_typed_one(&query, &[])
            .await?
            .try_get::<_, Option<String>>(0)?
            .unwrap_or_default())
    });
    answer.unwrap()
}

fn show(store: &PostgresStore, name: &str) -> String {
    let mut pooled = store.pool().unwrap().take(Purpose::Work, LONG).unwrap().unwrap();
    ask(&mut pooled, &format!("SELECT current_setting('{name}')"))
}

/// With a name of its own, by which a test ends its sessions.
fn named_url() -> String {
    let url = Cluster::shared().url();
    format!("{url}&application_name={}", schema_of(&url))
}

fn end_sessions(url: &str) {
    let query =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1";
    Cluster::shared().admin(url).query(query, &[&schema_of(url)]).unwrap();
}

#[test]
fn what_is_committed_is_on_the_disk() {
    // The servers of the tests say `off`.
    let store = at(&Cluster::shared().url());
    assert_eq!(show(&store, "synchronous_commit"), "on");
    let account = location("l");
    let _lease = store.lease(&key(&account), Duration::ZERO).unwrap().unwrap();
    assert_eq!(show(&store, "synchronous_commit"), "on");
}

#[test]
fn a_session_has_limits() {
    let store = at(&Cluster::shared().url());
    for (name, value) in [
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("idle_session_timeout", "15min"),
        ("client_connection_check_interval", "2s"),
        ("tcp_keepalives_idle", "4"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
        ("default_transaction_isolation", "read committed"),
    ] {
        assert_eq!(show(&store, name), value, "{name}");
    }
    // A lease's session ends with a silent holder; one that waited, or waited in vain, is as
    // before.
    let pool = store.pool().unwrap();
    let account = location("l");
    let other = at(&Cluster::shared().url_of(&store.settings.schema));
    for wait in [Duration::ZERO, Duration::from_secs(60)] {
        let lease = other.lease(&key(&account), Duration::ZERO).unwrap().unwrap();
        let mut pooled = pool.take(Purpose::Work, LONG).unwrap().unwrap();
        let place = place(&["lease", pool.schema(), "app", account.as_str()]);
        let short = wait.min(Duration::from_millis(5));
        assert!(!pooled.run(|client, backend| lock(client, backend, place, short)).unwrap());
        assert_eq!(ask(&mut pooled, "SELECT current_setting('lock_timeout')"), "5s");
        assert_eq!(ask(&mut pooled, "SELECT current_setting('idle_session_timeout')"), "15min");
        drop(lease);
        assert!(pooled.run(|client, backend| lock(client, backend, place, wait)).unwrap());
        assert_eq!(ask(&mut pooled, "SELECT current_setting('idle_session_timeout')"), "10s");
        assert_eq!(ask(&mut pooled, "SELECT current_setting('statement_timeout')"), "10s");
        assert_eq!(ask(&mut pooled, "SELECT current_setting('lock_timeout')"), "5s");
        assert!(pooled.run(|client, _| unlock(client, place)).unwrap());
        assert_eq!(ask(&mut pooled, "SELECT current_setting('idle_session_timeout')"), "15min");
    }
}

#[test]
fn the_databases_clock_decides() {
    let store = at(&Cluster::shared().url());
    let account = location("l");
    let key = key(&account);
    store.save(&key, 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key, Duration::ZERO).unwrap().unwrap();
    // One host is an hour behind, the other an hour ahead.
    let hour = Duration::from_secs(3600);
    let (behind, ahead) = (system_now().minus(hour), system_now().plus(hour));
    assert_eq!(lease.begin(1, [1; 16], SLOT, behind).unwrap(), Begin::Marked);
    assert!(lease.load(ahead).unwrap().unwrap().mark.unwrap().age < Duration::from_secs(60));
    for _ in 0..3 {
        assert_eq!(store.take_slot("app", SLOT, behind).unwrap(), Slot::Taken);
    }
    // The last place is kept for the open mark.
    assert!(matches!(store.take_slot("app", SLOT, ahead).unwrap(), Slot::Wait(_)));
    assert!(store.claim("app", &[1; 16], behind.plus(Duration::from_secs(600)), behind).unwrap());
    assert!(!store.claim("app", &[1; 16], ahead.plus(Duration::from_secs(600)), ahead).unwrap());

    // Ten minutes from now are ten minutes from now everywhere.
    let pause = Duration::from_secs(600);
    let back_off =
        BackOff { until: behind.plus(pause), failures: 1, code: 20, ..BackOff::default() };
    lease.load(behind).unwrap();
    lease.note(1, false, Some(&back_off)).unwrap();
    let seen = lease.load(ahead).unwrap().unwrap().back_off.unwrap().until.since(ahead);
    assert!(seen.abs_diff(pause) < Duration::from_secs(60), "{seen:?}");
    for now in [behind, ahead] {
        assert_eq!(store.due("app", now, 9).unwrap().first, []);
        assert_eq!(store.due("app", now.plus(hour * 9), 9).unwrap().first, []);
    }
}

#[test]
fn the_tables_are_made_once_however_many_start() {
    let url = Cluster::shared().url();
    let account = location("l");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| at(&url).load(&key(&account), system_now()).unwrap());
        }
    });
    let rows: i64 = Cluster::shared()
        .admin(&url)
        .query_one("SELECT count(*) FROM hoopauth", &[])
        .unwrap()
        .get(0);
    assert_eq!(rows, 1);
}

#[test]
fn older_tables_go_forward_and_later_ones_are_refused() {
    let url = Cluster::shared().url();
    let store = at(&url);
    store.save(&key(&location("l")), 0, &new_record(b"kept")).unwrap();
    let mut pooled = store.pool().unwrap().take(Purpose::Work, LONG).unwrap().unwrap();
    let schema = schema_of(&url).to_owned();
    let forward = pooled.run(|client, _| async move {
        let mut migrations = schema::MIGRATIONS.to_vec();
        migrations.push("ALTER TABLE account ADD COLUMN more int");
        schema::ensure(&client, &schema, &migrations).await?;
        schema::ensure(&client, &schema, &migrations).await
    });
    forward.unwrap();
    let row =
        Cluster::shared().admin(&url).query_one("SELECT sealed, more FROM account", &[]).unwrap();
    assert_eq!((row.get::<_, Vec<u8>>(0), row.get::<_, Option<i32>>(1)), (b"kept".to_vec(), None));
    let error = at(&url).changes().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Store);
    let later = format!("is {}", schema::MIGRATIONS.len() + 1);
    assert!(
        error.message().contains("later release") && error.message().contains(&later),
        "{error}"
    );
}

#[test]
fn another_programs_tables_are_left_alone() {
    let url = Cluster::shared().url();
    let mut admin = Cluster::shared().admin(&url);
    admin
        .batch_execute(&format!(
            "CREATE SCHEMA {0}; CREATE TABLE {0}.account (mine int)",
            schema_of(&url)
        ))
        .unwrap();
    let error = at(&url).changes().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config);
    assert!(error.message().contains("another program"), "{error}");
    assert!(admin.query("SELECT mine FROM account", &[]).unwrap().is_empty());
    assert!(admin.query("SELECT FROM hoopauth", &[]).is_err());
}

#[test]
fn a_user_without_rights_needs_only_those_on_the_tables() {
    let cluster = Cluster::shared();
    let url = cluster.url();
    let schema = schema_of(&url);
    let user = format!("user_of_{schema}");
    let mut admin = cluster.admin(&url);
    admin.batch_execute(&format!("CREATE USER {user} PASSWORD 'planted'")).unwrap();
    let theirs = url.replace(&format!("postgres:{PASSWORD}@"), &format!("{user}:planted@"));
    let error = at(&theirs).changes().unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, false));
    assert!(error.message().contains("permission denied"), "{error}");

    // A schema that is theirs, in a database where they may make none.
    let own = format!("own_{schema}");
    admin.batch_execute(&format!("CREATE SCHEMA {own} AUTHORIZATION {user}")).unwrap();
    at(&theirs.replace(schema, &own).replace(&format!("user_of_{own}"), &user)).changes().unwrap();

    // Tables that somebody else made.
    at(&url).changes().unwrap();
    admin
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {user}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}"
        ))
        .unwrap();
    let store = at(&theirs);
    let account = location("l");
    assert!(store.save(&key(&account), 0, &new_record(b"a")).unwrap());
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    assert_eq!(lease.begin(1, [1; 16], SLOT, system_now()).unwrap(), Begin::Marked);
    assert!(lease.save(1, &new_record(b"b")).unwrap());
    assert!(store.claim("app", &[1; 16], system_now().plus(LONG), system_now()).unwrap());
    drop(lease);

    admin.batch_execute(&format!("ALTER USER {user} CONNECTION LIMIT 0")).unwrap();
    let error = at(&theirs).changes().unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true));
    assert!(error.message().contains("too many connections"), "{error}");
}

#[test]
fn what_the_server_says_is_named() {
    let url = Cluster::shared().url();
    let store = at(&url);
    store.changes().unwrap();
    let mut admin = Cluster::shared().admin(&url);
    for (state, words, retryable) in [
        ("53100", "disk is full", true),
        ("25006", "is read-only", false),
        ("53200", "out of memory", true),
        ("40P01", "in favour of others", true),
        ("55P03", "took too long", true),
        ("57P01", "starting or stopping", true),
        ("42501", "permission denied", false),
        ("42P01", "removed or changed", false),
        ("22000", "a statement failed", false),
    ] {
        admin
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'the server''s words'; END \
                 $$; CREATE OR REPLACE TRIGGER broken BEFORE INSERT ON app FOR EACH ROW EXECUTE \
                 FUNCTION broken()"
            ))
            .unwrap();
        let error = store.take_slot("app", SLOT, system_now()).unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, retryable), "{error}");
        assert!(
            error.message().contains(words) && error.message().contains("the server's words"),
            "{error}"
        );
    }
}

#[test]
fn a_row_that_does_not_parse_is_that_accounts_trouble() {
    let url = Cluster::shared().url();
    let store = at(&url);
    let (one, two) = (location("l"), location("m"));
    for account in [&one, &two] {
        store.save(&key(account), 0, &new_record(b"a")).unwrap();
    }
    let mut admin = Cluster::shared().admin(&url);
    for broken in [
        "seen = '\\x00'",
        "back_off = 'x', back_off_until = 1",
        "generation = -1",
        "mark = '\\x00'",
    ] {
        admin
            .batch_execute(&format!("UPDATE account SET {broken} WHERE name = 'location:l'"))
            .unwrap();
        let error = store.load(&key(&one), system_now()).unwrap_err();
        assert_eq!(
            (error.code(), error.account()),
            (ErrorCode::StoreCorrupt, Some(&one)),
            "{broken}"
        );
        assert!(store.load(&key(&two), system_now()).unwrap().is_some());
        let mended = "UPDATE account SET seen = '', back_off = NULL, back_off_until = NULL, \
                      generation = 1, mark = NULL";
        admin.batch_execute(mended).unwrap();
    }
}

#[test]
fn holders_of_leases_never_wait_for_each_others_connections() {
    let store = at(&Cluster::shared().url());
    let company = Account::company("c").unwrap();
    for account in [&location("l"), &company] {
        store.save(&key(account), 0, &new_record(b"a")).unwrap();
    }
    let locations: Vec<Account> = (0..6).map(|n| location(&n.to_string())).collect();
    let mut leases: Vec<_> = locations
        .iter()
        .map(|account| store.lease(&key(account), Duration::ZERO).unwrap().unwrap())
        .collect();
    // No more of them; that is nobody else's lease, so not `None` to who would wait.
    let more = location("more");
    assert!(store.lease(&key(&more), Duration::ZERO).unwrap().is_none());
    let error = store.lease(&key(&more), Duration::from_millis(5)).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true), "{error}");
    // Each of them can have its company's, do its own work, and readers read.
    let mut inner = store.lease(&key(&company), Duration::ZERO).unwrap().unwrap();
    assert_eq!(inner.begin(1, [1; 16], SLOT, system_now()).unwrap(), Begin::Marked);
    assert!(inner.save(1, &new_record(b"b")).unwrap());
    for lease in &mut leases {
        assert!(lease.save(0, &new_record(b"a")).unwrap());
    }
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert!(store.load(&key(&company), system_now()).unwrap().is_some()));
        }
    });
    drop(leases);
    assert!(store.lease(&key(&more), Duration::ZERO).unwrap().is_some());
}

#[test]
fn connections_are_few_and_waiting_for_one_ends() {
    let store = at(&named_url());
    let pool = store.pool().unwrap();
    let mut all: Vec<_> =
        (0..4).map(|_| pool.take(Purpose::Work, Duration::ZERO).unwrap().unwrap()).collect();
    assert!(pool.take(Purpose::Work, Duration::from_millis(5)).unwrap().is_none());
    assert!(pool.exhausted().is_retryable());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| store.changes().unwrap());
        drop(all.pop());
        waiting.join().unwrap();
    });
    drop(all);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let name = store.settings.schema.clone();
    let open: i64 =
        Cluster::shared().admin("hoopauth_schema=x").query_one(count, &[&name]).unwrap().get(0);
    assert_eq!(open, 4);
}

#[test]
fn leases_of_two_schemas_are_two() {
    let (one, two) = (at(&Cluster::shared().url()), at(&Cluster::shared().url()));
    let account = location("l");
    let _lease = one.lease(&key(&account), LONG).unwrap().unwrap();
    assert!(two.lease(&key(&account), Duration::ZERO).unwrap().is_some());
    assert!(one.lease(&key(&account), Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_server_that_never_answers_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:p@{}/d", listener.local_addr().unwrap());
    let settings = PostgresSettings::parse(&url, None, Duration::from_millis(50)).unwrap();
    let error = PostgresStore::new(settings).changes().unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true));
    assert!(error.message().contains("no answer in time"), "{error}");
}

#[test]
fn a_locked_row_holds_up_only_who_needs_it() {
    let url = Cluster::shared().url();
    let store = at(&url);
    let (one, two) = (location("l"), location("m"));
    for account in [&one, &two] {
        store.save(&key(account), 0, &new_record(b"a")).unwrap();
    }
    store.take_slot("app", SLOT, system_now()).unwrap();
    let mut admin = Cluster::shared().admin(&url);
    let mut transaction = admin.transaction().unwrap();
    transaction.batch_execute("UPDATE account SET mark = NULL WHERE name = 'location:l'").unwrap();
    assert!(store.load(&key(&one), system_now()).unwrap().is_some());
    let mut lease = store.lease(&key(&two), LONG).unwrap().unwrap();
    assert_eq!(lease.begin(1, [1; 16], SLOT, system_now()).unwrap(), Begin::Marked);
    assert!(lease.save(1, &new_record(b"b")).unwrap());
    transaction.rollback().unwrap();
}

#[test]
fn nothing_stays_locked_between_two_steps() {
    let url = named_url();
    let store = at(&url);
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let mut admin = Cluster::shared().admin(&url);
    let mut check = |step: &str| {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND \
                    xact_start IS NOT NULL AND query <> ''";
        let open: i64 = admin.query_one(open, &[&schema_of(&url)]).unwrap().get(0);
        assert_eq!(open, 0, "a transaction is open after {step}");
    };
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    check("lease");
    lease.load(system_now()).unwrap();
    check("load");
    lease.begin(1, [1; 16], SLOT, system_now()).unwrap();
    check("begin");
    lease.note(1, false, None).unwrap();
    check("note");
    lease.save(1, &new_record(b"b")).unwrap();
    check("save");
    drop(lease);
    check("unlock");
}

#[test]
fn all_of_a_lease_goes_over_its_connection() {
    let url = named_url();
    let store = at(&url);
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    // Every other connection of the store is gone, and none can be made.
    let mut admin = Cluster::shared().admin(&url);
    let schema = schema_of(&url);
    admin
        .query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = \
             $1 AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')",
            &[&schema],
        )
        .unwrap();
    store.pool().unwrap().refuse_connections();
    assert_eq!(store.changes().unwrap_err().code(), ErrorCode::Store);
    lease.load(system_now()).unwrap().unwrap();
    assert_eq!(lease.begin(1, [1; 16], SLOT, system_now()).unwrap(), Begin::Marked);
    lease.note(1, false, None).unwrap();
    assert!(lease.save(1, &new_record(b"b")).unwrap());
}

#[test]
fn a_lease_whose_session_was_ended_is_free_and_says_so() {
    let url = named_url();
    let (store, other) = (at(&url), at(&Cluster::shared().url_of(schema_of(&url))));
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    end_sessions(&url);
    let mut second = other.lease(&key(&account), LONG).unwrap().unwrap();
    let error = lease.begin(1, [1; 16], SLOT, system_now()).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true), "{error}");
    assert!(second.save(1, &new_record(b"newer")).unwrap());
    assert!(!lease.save(1, &new_record(b"late")).unwrap());
    drop(lease);
    // It was not the new holder's that this gave back.
    assert!(store.lease(&key(&account), Duration::ZERO).unwrap().is_none());
    assert_eq!(second.load(system_now()).unwrap().unwrap().grant.as_deref(), Some(&b"newer"[..]));
}

#[test]
fn a_save_whose_answer_was_lost_is_known_to_be_done() {
    let url = named_url();
    let store = at(&url);
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let change = Change::new(&key(&account), 1, &new_record(b"b")).unwrap();
    let pool = store.pool().unwrap();
    assert!(pool.write(|client, backend| save(client, backend, Arc::clone(&change))).unwrap());
    assert!(save_again(pool, &change, Failure::TimedOut).unwrap());
    // Another's is not ours.
    let other = Change::new(&key(&account), 1, &new_record(b"c")).unwrap();
    assert!(!save_again(pool, &other, Failure::TimedOut).unwrap());
    assert_eq!(store.load(&key(&account), system_now()).unwrap().unwrap().generation, 2);
}

#[test]
fn connections_that_the_server_ended_are_replaced_unseen() {
    let url = named_url();
    let store = at(&url);
    let account = location("l");
    for round in 0..5 {
        assert!(store.save(&key(&account), round, &new_record(b"a")).unwrap());
        end_sessions(&url);
        assert_eq!(
            store.load(&key(&account), system_now()).unwrap().unwrap().generation,
            round + 1
        );
        end_sessions(&url);
        assert!(store.lease(&key(&account), LONG).unwrap().is_some());
        end_sessions(&url);
    }
}

#[test]
fn a_server_that_is_away_fails_fast_and_comes_back_by_itself() {
    let cluster = Cluster::start();
    let store = at(&cluster.url());
    store.changes().unwrap();
    cluster.stop();
    let error = store.changes().unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true), "{error}");
    // Nobody tries while it is known to be away.
    store.pool().unwrap().refuse_connections();
    let error = store.changes().unwrap_err();
    assert!(
        error.message().contains("can't connect") && error.retry_after().is_some(),
        "{error:?}"
    );
    cluster.start_again();
    assert!(store.changes().is_err(), "the pause is over only when it is over");
    store.pool().unwrap().end_pause();
    eventually("the server is used again", || store.changes().is_ok());
    cluster.crash();
    assert!(store.changes().is_err());
    cluster.start_again();
    eventually("the server is used again", || store.changes().is_ok());
}

/// Between a store and the server: after a while nothing goes through any more, and neither side
/// hears of it.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), cluster.port);
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) =
                    (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let is_cut = Arc::clone(&is_cut);
                    thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            if !is_cut.load(Ordering::SeqCst)
                                && to.write_all(&bytes[..count]).is_err()
                            {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port, cut }
    }
}

#[test]
fn the_lease_of_a_host_that_fell_silent_ends() {
    let cluster = Cluster::shared();
    let wire = Wire::to(cluster);
    let url = cluster.url();
    let silent = at(&url.replace(&format!(":{}/", cluster.port), &format!(":{}/", wire.port)));
    let other = at(&url);
    let account = location("l");
    other.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let mut lease = silent.lease(&key(&account), LONG).unwrap().unwrap();
    lease.load(system_now()).unwrap();
    wire.cut.store(true, Ordering::SeqCst);
    let mut next = other.lease(&key(&account), LONG).unwrap().unwrap();
    assert!(next.save(1, &new_record(b"newer")).unwrap());
    wire.cut.store(false, Ordering::SeqCst);
    assert!(!lease.save(1, &new_record(b"late")).is_ok_and(|saved| saved));
    assert_eq!(next.load(system_now()).unwrap().unwrap().grant.as_deref(), Some(&b"newer"[..]));
}

#[test]
fn the_lease_of_a_host_that_speaks_does_not_end() {
    let cluster = Cluster::shared();
    let (store, other) = (at(&cluster.url()), at(&cluster.url()));
    let (account, silent) = (location("l"), location("m"));
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    // As long as the lease of one that does not.
    let pool = other.pool().unwrap();
    let mut pooled = pool.take(Purpose::LocationLease, LONG).unwrap().unwrap();
    let place = place(&["lease", pool.schema(), "app", silent.as_str()]);
    assert!(pooled.run(|client, backend| lock(client, backend, place, Duration::ZERO)).unwrap());
    eventually("the silent one's ends", || pooled.is_lost());
    assert!(lease.load(system_now()).is_ok());
}

#[test]
fn sslmode_decides_who_is_trusted() {
    let cluster = Cluster::shared();
    let root = cluster.folder.join("root.crt");
    let connect = |host: &str, mode: &str, root: Option<&str>| {
        let mut url = format!("{}&sslmode={mode}", cluster.url().replace("127.0.0.1", host));
        if let Some(root) = root {
            url = format!("{url}&sslrootcert={}", cluster.folder.join(root).display());
        }
        let store = at(&url);
        store.changes()?;
        let mut pooled = store.pool()?.take(Purpose::Work, LONG)?.unwrap();
        Ok(ask(&mut pooled, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            == "true")
    };
    let refused = |result: Result<bool>| {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, false), "{error}");
        assert!(error.message().contains("no TLS connection"), "{error}");
    };
    let (right, wrong) = (Some("root.crt"), Some("other.crt"));
    assert!(!connect("127.0.0.1", "disable", None).unwrap());
    assert!(connect("127.0.0.1", "prefer", None).unwrap());
    assert!(connect("127.0.0.1", "require", None).unwrap());
    assert!(connect("127.0.0.1", "require", right).unwrap());
    refused(connect("127.0.0.1", "require", wrong));
    assert!(connect("127.0.0.1", "verify-ca", right).unwrap());
    refused(connect("127.0.0.1", "verify-ca", wrong));
    assert!(connect("localhost", "verify-full", right).unwrap());
    refused(connect("localhost", "verify-full", wrong));
    refused(connect("127.0.0.1", "verify-full", right));
    // The option that HTTP's roots come from serves as well.
    let url = format!("{}&sslmode=verify-full", cluster.url().replace("127.0.0.1", "localhost"));
    let settings =
        PostgresSettings::parse(&url, Some(root.clone()), Duration::from_secs(5)).unwrap();
    PostgresStore::new(settings).changes().unwrap();
    let settings =
        PostgresSettings::parse(&url, Some("/no/such.pem".into()), Duration::from_secs(5)).unwrap();
    assert_eq!(PostgresStore::new(settings).changes().unwrap_err().code(), ErrorCode::Config);
}

#[test]
fn a_pooler_that_mixes_sessions_is_refused_and_one_that_does_not_is_used() {
    let cluster = Cluster::shared();
    let through = |pooler: &Pooler, more: &str| {
        at(&format!(
            "{}{more}",
            cluster.url().replace(&format!(":{}/", cluster.port), &format!(":{}/", pooler.port))
        ))
    };
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = statement",
    ] {
        let pooler = Pooler::start(cluster, settings);
        let store = through(&pooler, "");
        for _ in 0..3 {
            let error = store.changes().unwrap_err();
            assert_eq!(
                (error.code(), error.is_retryable()),
                (ErrorCode::Store, false),
                "{settings}: {error}"
            );
            assert!(error.message().contains("pooler in transaction mode"), "{settings}: {error}");
        }
    }
    let pooler = Pooler::start(cluster, "pool_mode = session");
    let store = through(&pooler, "");
    let account = location("l");
    assert!(store.save(&key(&account), 0, &new_record(b"a")).unwrap());
    let mut lease = store.lease(&key(&account), LONG).unwrap().unwrap();
    assert!(lease.save(1, &new_record(b"b")).unwrap());
    drop(lease);
    // It has no TLS.
    let error = through(&pooler, "&sslmode=require").changes().unwrap_err();
    assert!(error.message().contains("has no TLS"), "{error}");
}

/// A session that is not what it was at the start is noticed at each step, too.
#[test]
fn a_session_that_changes_is_noticed() {
    let store = at(&Cluster::shared().url());
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let pool = store.pool().unwrap();
    let elsewhere = |failure: Outcome<()>| {
        let error = failure.unwrap_err().of("");
        assert!(error.message().contains("pooler"), "{error}");
    };
    let owned = OwnedKey::of(&key(&account));
    let change = Change::new(&key(&account), 1, &new_record(b"b")).unwrap();
    let other = |backend: i32| backend ^ 1;
    elsewhere(
        pool.write(|client, at| load(client, other(at), owned.clone(), system_now())).map(|_| ()),
    );
    elsewhere(pool.write(|client, at| save(client, other(at), change)).map(|_| ()));
    for wait in [Duration::ZERO, LONG] {
        elsewhere(pool.write(|client, at| lock(client, other(at), 1, wait)).map(|_| ()));
        // And what was locked there is free again.
        eventually("it is free", || {
            pool.write(|client, at| lock(client, at, 1, Duration::ZERO)).unwrap()
        });
        assert!(pool.write(|client, _| unlock(client, 1)).unwrap());
    }
}

#[test]
fn the_list_of_changes_keeps_the_last_thousand() {
    let url = Cluster::shared().url();
    let (store, account) = (at(&url), location("a"));
    let start = store.changes().unwrap();
    let save =
        |generation| assert!(store.save(&key(&account), generation, &new_record(b"x")).unwrap());
    let mut admin = Cluster::shared().admin(&url);
    let mut kept = || -> Vec<u64> {
        let rows = admin.query("SELECT number FROM change ORDER BY number", &[]).unwrap();
        rows.iter().map(|row| row.get::<_, i64>(0).cast_unsigned() - start).collect()
    };
    save(0);
    Cluster::shared()
        .admin(&url)
        .batch_execute("UPDATE counter SET changes = changes + 998")
        .unwrap();
    save(1);
    assert_eq!(kept(), [1, 1000]);
    save(2);
    assert_eq!(kept(), [1000, 1001]);
    let both = vec![(account.clone(), 2), (account, 3)];
    assert_eq!(store.changed("app", start + 999).unwrap(), Some(both));
    assert_eq!(store.changed("app", start + 998).unwrap(), None);
}

/// Sessions of the store at `url`, which has a name of its own, since its server started to count
/// them.
fn connections_of(url: &str) -> usize {
    let log = std::fs::read_to_string(Cluster::shared().folder.join("log")).unwrap();
    let name = format!("application_name={}", schema_of(url));
    log.lines().filter(|line| line.contains("authorized") && line.contains(&name)).count()
}

#[test]
fn a_plain_server_is_connected_to_once() {
    let url = named_url();
    let mut admin = Cluster::shared().admin(&url);
    admin.batch_execute("ALTER SYSTEM SET log_connections TO on").unwrap();
    admin.execute("SELECT pg_reload_conf()", &[]).unwrap();
    // Sessions go by what it was when they began.
    eventually("connections are logged", || {
        let on: String =
            Cluster::shared().admin(&url).query_one("SHOW log_connections", &[]).unwrap().get(0);
        on != "off"
    });
    for sslmode in ["disable", "require"] {
        let url = format!("{url}&sslmode={sslmode}");
        let before = connections_of(&url);
        at(&url).changes().unwrap();
        assert_eq!(connections_of(&url), before + 1, "{sslmode}");
    }
}

/// If no second connection can be made, a plain server is not taken for a pooler.
#[test]
fn a_user_with_one_connection_has_all_of_it() {
    let url = Cluster::shared().url();
    at(&url).changes().unwrap();
    let schema = schema_of(&url);
    let mut admin = Cluster::shared().admin(&url);
    admin
        .batch_execute(&format!(
            "CREATE ROLE one_{schema} LOGIN PASSWORD 'p' CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA \
             {schema} TO one_{schema}; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO one_{schema}"
        ))
        .unwrap();
    let (_, rest) = url.split_once('@').unwrap();
    let store = at(&format!("postgres://one_{schema}:p@{rest}"));
    store.changes().unwrap();
    // One more is told by its own error, and that it may be tried again.
    let account = location("l");
    let mut held = store.pool().unwrap().take(Purpose::Work, LONG).unwrap().unwrap();
    let error = store.lease(&key(&account), Duration::ZERO).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (ErrorCode::Store, true));
    assert!(error.message().contains("too many connections"), "{error}");
    held.give_up();
}

/// If anything fails after the lock was asked for, nobody gets that session afterwards.
#[test]
fn a_session_that_may_hold_a_lease_unknown_is_ended() {
    let url = named_url();
    let (store, other) = (at(&url), at(&Cluster::shared().url_of(schema_of(&url))));
    let account = location("l");
    let sessions = |admin: &mut postgres::Client| -> Vec<i32> {
        let query = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid";
        admin.query(query, &[&schema_of(&url)]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    let mut admin = Cluster::shared().admin(&url);
    store.changes().unwrap();
    let before = sessions(&mut admin);
    assert_eq!(before.len(), 1);

    // In vain: the wait ended with an error, after which the lock may be held.
    let held = other.lease(&key(&account), Duration::ZERO).unwrap().unwrap();
    assert!(store.lease(&key(&account), Duration::from_millis(10)).unwrap().is_none());
    eventually("the session is ended", || sessions(&mut admin).is_empty());

    // Cancelled by somebody, which is no broken connection.
    store.changes().unwrap();
    thread::scope(|scope| {
        let waiting =
            scope.spawn(|| store.lease(&key(&account), LONG).map(|lease| lease.is_some()));
        eventually("the wait is cancelled", || {
            let query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = $1 AND wait_event_type = 'Lock'";
            !admin.query(query, &[&schema_of(&url)]).unwrap().is_empty()
        });
        assert_eq!(waiting.join().unwrap().unwrap_err().code(), ErrorCode::Store);
    });
    eventually("the session is ended", || sessions(&mut admin).is_empty());
    drop(held);
    assert!(store.lease(&key(&account), Duration::ZERO).unwrap().is_some());
}

/// The server stands still, with all its connections open.
#[test]
fn a_server_that_stands_still_holds_nobody_up_for_longer_than_the_call() {
    let cluster = Cluster::start();
    let store = at(&cluster.url());
    let account = location("l");
    store.save(&key(&account), 0, &new_record(b"a")).unwrap();
    let held = store.lease(&key(&location("m")), Duration::ZERO).unwrap().unwrap();
    let stopped = cluster.stand_still();
    let start = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let _short = Patience::of(Duration::from_millis(20));
                for failed in [
                    store.load(&key(&account), system_now()).map(|_| ()),
                    store.changes().map(|_| ()),
                    store.take_slot("app", SLOT, system_now()).map(|_| ()),
                    store.claim("app", &[1; 16], system_now(), system_now()).map(|_| ()),
                    store.due("app", system_now(), 1).map(|_| ()),
                ] {
                    let error = failed.unwrap_err();
                    assert!(error.code() == ErrorCode::Store && error.is_retryable(), "{error:?}");
                }
                assert!(store.lease(&key(&account), LONG).map_or(true, |lease| lease.is_none()));
            });
        }
    });
    let short = Patience::of(Duration::from_millis(20));
    drop(held);
    assert!(start.elapsed() < LOCK_TIMEOUT, "{:?}", start.elapsed());
    drop(short);
    drop(stopped);
    // What was given up by its callers is done meanwhile, and all connections are free again.
    assert!(store.load(&key(&account), system_now()).unwrap().is_some());
    assert!(store.lease(&key(&location("m")), LONG).unwrap().is_some());
    eventually("no lease is left behind", || {
        store.lease(&key(&account), Duration::ZERO).is_ok_and(|it| it.is_some())
    });
    eventually("nothing is out", || {
        (0..4).all(|_| store.pool().unwrap().take(Purpose::Work, Duration::ZERO).is_ok())
    });
}

/// Nobody is connected to who could be anybody.
#[test]
fn the_systems_roots_are_no_excuse_for_a_weaker_mode() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |query: &str| {
        at(&format!("postgres://u:planted@{}/d?{query}", listener.local_addr().unwrap()))
    };
    for mode in ["disable", "prefer", "require", "verify-ca"] {
        let error = at(&format!("sslmode={mode}&sslrootcert=system")).changes().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config, "{mode}: {error}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}
