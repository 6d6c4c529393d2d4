//! Processes that share a store.

use std::time::Duration;

use hoopauth::ErrorCode;
use hoopauth::binding::Step;
use hoopauth_emulator::Config;

use crate::common::location;
use crate::site::Site;

#[test]
fn a_storm_of_processes_makes_one_request() {
    let site = Site::with(Config::default().settings(|settings| settings.token_latency_ms = 50));
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut processes: Vec<_> = (0..8).map(|_| site.start("storm", "32")).collect();
    for process in &mut processes {
        assert_eq!(process.line(), "ready");
    }
    for process in &mut processes {
        process.go();
    }
    for process in &mut processes {
        assert_eq!(process.line(), "0");
    }
    assert_eq!(site.world.emulator.statistics().token_requests, 1);
}

#[test]
fn a_storm_behind_a_holder_waits_for_it() {
    let site = Site::new();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    site.client().import(site.world.grant(&location(1)), false).unwrap();
    let mut holder = site.start("hold", "Send");
    assert_eq!(holder.line(), "there");
    let mut storm = site.start("storm behind a holder", "32");
    assert_eq!(storm.line(), "waits");
    holder.go();
    assert_eq!((&*holder.line(), &*storm.line()), ("OK", "OK 0"));
    assert_eq!(site.world.emulator.statistics().token_requests, 1);
}

#[test]
fn killed_at_each_step_the_lease_is_free_and_the_grant_lives() {
    for step in Step::ALL {
        let site = Site::new();
        let account = location(0);
        site.client().import(site.expired(&account), false).unwrap();
        let mut process = site.start("park", &format!("{step:?}"));
        assert_eq!(process.line(), "there");

        // From taking the lease until the new grant is saved, the others wait; nobody takes the
        // lease away.
        let impatient = site.builder().max_wait(Duration::from_millis(50)).build().unwrap();
        let result = impatient.headers_for(account.as_str(), "GET");
        match step {
            Step::Lease | Step::Publish | Step::Release => {
                assert!(result.is_ok(), "{step:?}: {result:?}");
            }
            _ => assert_eq!(result.unwrap_err().code(), ErrorCode::LeaseTimeout, "{step:?}"),
        }
        // Another account is refreshed meanwhile.
        impatient.import(site.expired(&location(1)), false).unwrap();
        site.works(&impatient, &location(1));

        process.kill();
        site.works(&site.client(), &account);
        let statistics = site.world.emulator.statistics();
        assert_eq!((statistics.rotations, statistics.reuse_outside_window), (2, 0), "{step:?}");
    }
}

#[test]
fn what_one_process_changes_the_other_sees() {
    let site = Site::new();
    let account = location(0);
    let client = site.client();
    let bearer = |grant: &hoopauth::Grant| format!("Bearer {}", grant.access_token().expose());
    let (first, second) = (site.world.grant(&account), site.world.grant(&account));
    client.import(first.clone(), false).unwrap();
    let mut process = site.start("watch", "");
    assert_eq!(process.line(), bearer(&first));
    client.import(second.clone(), true).unwrap();
    assert_eq!(process.line(), bearer(&second));
    client.remove(&account).unwrap();
    assert_eq!(process.line(), "NO_GRANT");
}

#[test]
fn a_waiting_process_goes_on_when_the_holder_is_killed() {
    let site = Site::new();
    let account = location(0);
    let client = site.client();
    client.import(site.expired(&account), false).unwrap();
    let mut holder = site.start("park", "Send");
    assert_eq!(holder.line(), "there");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.headers_for(account.as_str(), "GET"));
        holder.kill();
        waiting.join().unwrap().unwrap();
    });
    site.works(&client, &account);
}

#[test]
fn two_processes_have_one_budget() {
    let site = Site::with(Config::default());
    let company = hoopauth_emulator::DEFAULT_COMPANY_ID;
    let client = site.client();
    for id in site.world.emulator.add_locations(company, 12).unwrap() {
        let account = hoopauth::Account::location(&id).unwrap();
        client.import(site.expired(&account), false).unwrap();
    }
    let mut processes: Vec<_> = (0..2)
        .map(|_| {
            let mut command = site.command("spend");
            command.env("HOOPAUTH_TOKEN_REQUESTS_PER_MINUTE", "5").env("HOOPAUTH_MAX_WAIT", "0.2");
            crate::site::Process::start(&mut command)
        })
        .collect();
    for process in &mut processes {
        assert_eq!(process.line(), "ready");
    }
    for process in &mut processes {
        process.go();
    }
    for process in &mut processes {
        let line = process.line();
        let mut words = line.split(' ');
        assert!(words.next().unwrap().parse::<u32>().unwrap() <= 5, "{line}");
        assert!(words.all(|code| matches!(code, "RATE_LIMITED" | "LEASE_TIMEOUT")), "{line}");
    }
    // The last place of a minute is kept for the repeat of a lost answer.
    assert_eq!(site.world.emulator.statistics().token_requests, 4);
}

#[test]
fn a_redirect_is_claimed_once_over_all_processes() {
    let site = Site::new();
    let begin = || {
        site.builder().redirect_uri("https://app.example/cb").scopes(["contacts.readonly"]).build()
    };
    let (one, two) = (begin().unwrap(), begin().unwrap());
    let pending = one.begin(one.authorization_request().unwrap()).unwrap();
    let redirect = format!("https://app.example/cb?code=wrong&state={}", pending.state().expose());
    assert_ne!(one.complete(&pending, &redirect).unwrap_err().code(), ErrorCode::StateMismatch);
    let pending = two.open_pending(&one.seal_pending(&pending).unwrap()).unwrap();
    assert_eq!(two.complete(&pending, &redirect).unwrap_err().code(), ErrorCode::StateMismatch);
}

#[test]
fn a_late_save_loses_by_generation() {
    let site = Site::new();
    let account = location(0);
    let (one, two) = (site.client(), site.client());
    one.import(site.expired(&account), false).unwrap();
    site.world.emulator.hold(hoopauth_emulator::Endpoint::Token);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| one.headers_for(account.as_str(), "GET"));
        let endpoint = hoopauth_emulator::Endpoint::Token;
        assert!(site.world.emulator.wait_until_held(endpoint, 1, Duration::from_secs(20)));
        assert!(two.remove(&account).unwrap());
        site.world.emulator.release(endpoint);
        assert_eq!(refresh.join().unwrap().unwrap_err().code(), ErrorCode::NoGrant);
    });
    assert_eq!(site.client().accounts().unwrap(), []);
}
