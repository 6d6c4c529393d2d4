//! Servers that can't write or restart, at each step of a refresh: the error names the cause, and
//! the old or the new grant is there.

use std::sync::Arc;

use hoopauth::ErrorCode;
use hoopauth::binding::{BuilderBinding as _, Step};

use crate::cluster::Cluster;
use crate::common::location;
use crate::site::Site;

#[test]
fn a_server_that_refuses_to_write_at_any_step_keeps_the_old_or_the_new_grant() {
    for (state, words) in [("53100", "disk is full"), ("25006", "is read-only")] {
        for step in Step::ALL {
            refused_at(step, state, words);
        }
    }
}

fn refused_at(step: Step, state: &str, words: &str) {
    let case = format!("{words} at {step:?}");
    let site = Site::new();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut admin = site.admin();
    let refuse = |table: &str| {
        format!(
            "CREATE TRIGGER broken BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE \
             FUNCTION broken();"
        )
    };
    let break_it = format!(
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
         USING ERRCODE = '{state}', MESSAGE = 'planted'; END $$; {}{}",
        refuse("app"),
        refuse("account")
    );
    let url = site.url.clone();
    let hook = move |at, _: &_| {
        if at == step {
            Cluster::shared().admin(&url).batch_execute(&break_it).unwrap();
        }
        Ok(())
    };
    let client = site.builder().step_hook(hook).build().unwrap();
    let result = client.headers_for(account.as_str(), "GET");

    // Before the mark is written nothing is sent; after that nothing is lost.
    let is_sent = !matches!(step, Step::Lease | Step::Reread | Step::Mark);
    let is_saved = matches!(step, Step::Publish | Step::Release);
    if is_sent {
        result.unwrap();
        let health = client.health(&account).unwrap();
        assert_eq!(health.unsaved, !is_saved, "{case}");
        assert!(is_saved || health.last_error.unwrap().contains(words), "{case}");
    } else {
        let error = result.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Store, "{case}: {error}");
        assert!(error.message().contains(words), "{case}: {error}");
    }
    assert_eq!(site.world.emulator.statistics().token_requests, u64::from(is_sent), "{case}");
    let stored = site.client().export(&account).unwrap();
    assert_eq!(stored.access_token().expose() != "ended", is_saved, "{case}");

    admin.batch_execute("DROP FUNCTION broken CASCADE").unwrap();
    // Saved at the end, if not before.
    client.close().unwrap();
    site.works(&site.client(), &account);
    let statistics = site.world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_outside_window), (1, 0), "{case}");
}

#[test]
fn a_server_that_restarts_at_any_step_loses_no_grant() {
    let cluster = Arc::new(Cluster::start());
    for crash in [false, true] {
        for step in Step::ALL {
            let case = format!("at {step:?}, crash: {crash}");
            let site = Site::on(&cluster);
            let account = location(0);
            site.client().import(site.expired(&account), false).unwrap();
            let server = Arc::clone(&cluster);
            let hook = move |at, _: &_| {
                if at == step {
                    if crash {
                        server.crash();
                    } else {
                        server.stop();
                    }
                    server.start_again();
                }
                Ok(())
            };
            let client = site.builder().step_hook(hook).build().unwrap();
            if let Err(error) = client.headers_for(account.as_str(), "GET") {
                assert_eq!(
                    (error.code(), error.is_retryable()),
                    (ErrorCode::Store, true),
                    "{case}: {error}"
                );
            }
            site.client().export(&account).unwrap();
            // As if it had died there, and nothing been saved at its end.
            std::mem::forget(client);
            site.works(&site.client(), &account);
            let statistics = site.world.emulator.statistics();
            assert_eq!((statistics.rotations, statistics.reuse_outside_window), (1, 0), "{case}");
        }
    }
}

/// Like a host that died: the server ends a session that says nothing. The lease is free, and what
/// the stopped one saves later loses.
#[test]
fn a_stopped_holder_loses_its_lease_and_its_late_save() {
    let site = Site::new();
    // However long the server takes, the platform's window is open.
    site.world.emulator.freeze();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut holder = site.start("hold", "Check");
    assert_eq!(holder.line(), "there");
    holder.stop();

    let next = site.builder().max_wait(Site::PATIENCE).timeout(Site::PATIENCE).build().unwrap();
    site.works(&next, &account);
    let stored = next.export(&account).unwrap().access_token().expose().to_owned();

    holder.wake();
    holder.go();
    // What is stored is good for it too.
    assert_eq!(holder.line(), "OK");
    assert_eq!(site.client().export(&account).unwrap().access_token().expose(), stored);
    let generation: i64 =
        site.admin().query_one("SELECT generation FROM account", &[]).unwrap().get(0);
    assert_eq!(generation, 2);
    let statistics = site.world.emulator.statistics();
    assert_eq!((statistics.rotations, statistics.reuse_inside_window), (1, 1));
}
