//! Many processes, killed again and again: no grant is lost.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering};

use hoopauth::{Account, Report};
use hoopauth_emulator::{Config, DEFAULT_COMPANY_ID};

use crate::site::Site;

/// `HOOPAUTH_KILLS` and `HOOPAUTH_SEED` choose another length and another course.
#[test]
fn no_kill_loses_a_grant() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let wanted = number("HOOPAUTH_KILLS").unwrap_or(100);
    let seed = number("HOOPAUTH_SEED")
        .unwrap_or_else(|| u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap());
    println!("HOOPAUTH_SEED={seed} HOOPAUTH_KILLS={wanted}");

    let site = Site::with(Config::default().lifetime(2).window(30));
    let client = site.client();
    let mut accounts = Vec::new();
    for id in site.world.emulator.add_locations(DEFAULT_COMPANY_ID, 12).unwrap() {
        let account = Account::location(&id).unwrap();
        client.import(site.world.grant(&account), false).unwrap();
        accounts.push(account);
    }
    let (kills, started) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while kills.load(Ordering::SeqCst) < wanted {
                    let number = started.fetch_add(1, Ordering::SeqCst) + 1;
                    // Never 0, which the generator could not leave.
                    let seed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
                    let status = site.start("doomed", &seed.to_string()).wait();
                    assert_eq!(status.signal(), Some(9), "process {number}: {status}");
                    kills.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    // A token of two seconds may end on its way, be it to the call or from an answer that had to be fetched a second time.
    site.world.emulator.freeze();
    let next = site.client();
    for account in &accounts {
        let path = format!("/locations/{}", account.id());
        let mut headers = next.headers_for(account.as_str(), "GET").unwrap();
        let (mut status, mut body) = site.world.call(&headers, &path);
        if let Report::Repeat(again) = next.report(&headers, status, &[], body.as_bytes()).unwrap() {
            headers = again;
            (status, body) = site.world.call(&headers, &path);
        }
        assert_eq!(status, 200, "{account}: {body}");
    }
    let statistics = site.world.emulator.statistics();
    println!(
        "{} kills, {} rotations, {} repeats",
        kills.into_inner(),
        statistics.rotations,
        statistics.reuse_inside_window
    );
    assert_eq!(statistics.reuse_outside_window, 0);
    assert!(statistics.reuse_inside_window > 0, "no process was killed where it matters");
}
