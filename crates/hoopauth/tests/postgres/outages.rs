//! Connections that break and servers that go away, in the middle of refreshes.

use std::time::Duration;

use hoopauth::ErrorCode;
use hoopauth::binding::{BuilderBinding as _, Step};
use hoopauth_emulator::Endpoint;

use crate::cluster::{Cluster, schema_of};
use crate::common::location;
use crate::site::Site;

const LONG: Duration = Duration::from_secs(60);

/// Ends the sessions that hold leases of the site's accounts, as an administrator could; how many
/// there were.
fn end_holders(site: &Site, admin: &mut postgres::Client) -> usize {
    let query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' \
                 AND granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = \
                 $1)";
    admin.query(query, &[&schema_of(&site.url)]).unwrap().len()
}

/// Sessions by the name of the site's schema, so that one test does not end another's.
fn named(site: &mut Site) {
    site.url = format!("{}&application_name={}", site.url, schema_of(&site.url));
}

#[test]
fn a_session_ended_in_mid_refresh_keeps_the_new_pair() {
    let mut site = Site::new();
    named(&mut site);
    let account = location(0);
    let mut admin = site.admin();
    let client = site.client();
    client.import(site.expired(&account), false).unwrap();
    site.world.emulator.hold(Endpoint::Token);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| client.headers_for(account.as_str(), "GET"));
        assert!(site.world.emulator.wait_until_held(Endpoint::Token, 1, LONG));
        assert_eq!(end_holders(&site, &mut admin), 1);
        site.world.emulator.release(Endpoint::Token);
        refresh.join().unwrap().unwrap();
    });
    assert!(!client.health(&account).unwrap().unsaved);
    site.works(&site.client(), &account);
    assert_eq!(site.world.emulator.statistics().rotations, 1);
}

#[test]
fn a_late_save_loses_after_its_session_was_ended() {
    let mut site = Site::new();
    named(&mut site);
    let account = location(0);
    let mut admin = site.admin();
    let (late, other) = (site.client(), site.client());
    late.import(site.expired(&account), false).unwrap();
    site.world.emulator.hold(Endpoint::Token);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| late.headers_for(account.as_str(), "GET"));
        assert!(site.world.emulator.wait_until_held(Endpoint::Token, 1, LONG));
        assert_eq!(end_holders(&site, &mut admin), 1);
        // Meanwhile the account is authorized anew.
        let newer = site.world.grant(&account);
        let token = newer.access_token().expose().to_owned();
        other.import(newer, true).unwrap();
        site.world.emulator.release(Endpoint::Token);
        let _ = refresh.join().unwrap();
        for client in [&late, &other, &site.client()] {
            assert_eq!(client.export(&account).unwrap().access_token().expose(), token);
        }
        assert!(!late.health(&account).unwrap().unsaved);
    });
    let generation: i64 = admin.query_one("SELECT generation FROM account", &[]).unwrap().get(0);
    assert_eq!(generation, 2);
}

#[test]
fn sessions_ended_at_each_step_lose_no_grant() {
    for step in Step::ALL {
        let mut site = Site::new();
        named(&mut site);
        let account = location(0);
        site.client().import(site.expired(&account), false).unwrap();
        let url = site.url.clone();
        let hook = move |at, _: &_| {
            if at == step {
                let mut admin = Cluster::shared().admin(&url);
                let query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE \
                             application_name = $1";
                admin.query(query, &[&schema_of(&url)]).unwrap();
            }
            Ok(())
        };
        let client = site.builder().step_hook(hook).build().unwrap();
        let result = client.headers_for(account.as_str(), "GET");
        if let Err(error) = &result {
            assert_eq!(
                (error.code(), error.is_retryable()),
                (ErrorCode::Store, true),
                "{step:?}: {error}"
            );
        }
        drop(client);
        site.works(&site.client(), &account);
        assert_eq!(site.world.emulator.statistics().reuse_outside_window, 0, "{step:?}");
    }
}

#[test]
fn a_server_that_restarts_in_mid_refresh_loses_no_grant() {
    let cluster = Cluster::start();
    for crash in [false, true] {
        let site = Site::on(&cluster);
        let account = location(0);
        let client = site.client();
        client.import(site.expired(&account), false).unwrap();
        site.world.emulator.hold(Endpoint::Token);
        std::thread::scope(|scope| {
            let refresh = scope.spawn(|| client.headers_for(account.as_str(), "GET"));
            assert!(site.world.emulator.wait_until_held(Endpoint::Token, 1, LONG));
            if crash {
                cluster.crash();
            } else {
                cluster.stop();
            }
            site.world.emulator.release(Endpoint::Token);
            // The pair is here, and held until it can be saved.
            refresh.join().unwrap().unwrap();
            assert_eq!(site.client().accounts().unwrap_err().code(), ErrorCode::Store);
        });
        cluster.start_again();
        eventually(|| {
            client.headers_for(account.as_str(), "GET").unwrap();
            client.health(&account).is_ok_and(|health| !health.unsaved)
        });
        site.works(&site.client(), &account);
        assert_eq!(site.world.emulator.statistics().rotations, 1);
    }
}

/// The holder dies while the server is away: what it sent is finished by the next one.
#[test]
fn a_holder_and_its_server_that_die_together_lose_no_grant() {
    let cluster = Cluster::start();
    let site = Site::on(&cluster);
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut holder = site.start("park", "Check");
    assert_eq!(holder.line(), "there");
    cluster.crash();
    holder.kill();
    cluster.start_again();
    site.works(&site.client(), &account);
    let statistics = site.world.emulator.statistics();
    assert_eq!((statistics.reuse_inside_window, statistics.reuse_outside_window), (1, 0));
}

#[test]
fn a_save_that_the_server_refuses_keeps_the_new_pair() {
    let site = Site::new();
    let account = location(0);
    let mut admin = site.admin();
    let client = site.client();
    client.import(site.expired(&account), false).unwrap();
    // It refuses exactly the save of the answer.
    admin
        .batch_execute(
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
             USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file'; END $$; CREATE \
             TRIGGER broken BEFORE UPDATE OF generation ON account FOR EACH ROW EXECUTE FUNCTION \
             broken()",
        )
        .unwrap();
    site.works(&client, &account);
    assert!(client.health(&account).unwrap().unsaved);
    let other = site.builder().max_retries(0).build().unwrap();
    let error = other.import(site.expired(&account), true).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Store);
    assert!(error.message().contains("disk is full") && error.is_retryable(), "{error}");
    admin.batch_execute("DROP TRIGGER broken ON account").unwrap();
    site.works(&client, &account);
    assert!(!client.health(&account).unwrap().unsaved);
    site.works(&site.client(), &account);
    assert_eq!(site.world.emulator.statistics().rotations, 1);
}

#[test]
fn it_works_inside_an_async_runtime() {
    let site = Site::new();
    let account = location(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = site.client();
        client.import(site.expired(&account), false).unwrap();
        client.export(&account).unwrap();
        client.accounts().unwrap();
        drop(client);
    });
}

fn eventually(mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "it never happens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The network has swallowed the server: what was connected stays so, and nothing answers.
#[test]
fn a_server_that_hangs_delays_no_fresh_token_and_no_call_beyond_its_timeout() {
    let cluster = Cluster::start();
    let site = Site::on(&cluster);
    let clock = site.world.clock.clone();
    let builder = || {
        site.builder().clock(clock.clone()).option("timeout", "1").option("connect_timeout", "1")
    };
    let (fresh, ended) = (location(0), location(1));
    let client = builder().build().unwrap();
    client.import(site.world.grant(&fresh), false).unwrap();
    client.import(site.expired(&ended), false).unwrap();
    let token = client.headers_for(fresh.as_str(), "GET").unwrap().authorization().to_owned();

    let stopped = cluster.stand_still();
    let start = std::time::Instant::now();
    for _ in 0..60 {
        clock.advance(Duration::from_secs(5));
        assert_eq!(client.headers_for(fresh.as_str(), "GET").unwrap().authorization(), token);
    }
    // One look waited for half a second, the others for nothing. Each of them took a quarter of a
    // minute before.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.headers_for(ended.as_str(), "GET").unwrap_err());
        }
    });
    client.accounts().unwrap_err();
    // A client that comes only now learns it as soon.
    builder().build().unwrap().headers_for(fresh.as_str(), "GET").unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(stopped);

    // It goes on: what others do is seen again, and the ended token is renewed.
    let start = std::time::Instant::now();
    while site.client().import(site.world.grant(&fresh), true).is_err() {
        assert!(start.elapsed() < LONG);
    }
    while client.headers_for(fresh.as_str(), "GET").unwrap().authorization() == token {
        assert!(start.elapsed() < LONG, "the change was never seen");
        clock.advance(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(50));
    }
    while let Err(error) = client.headers_for(ended.as_str(), "GET") {
        assert!(start.elapsed() < LONG, "{error}");
        clock.advance(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(50));
    }
}
