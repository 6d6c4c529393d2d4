//! Forked children: they hold no lease, and what they inherited hurts nobody.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::location;
use crate::site::Site;

struct Orphan(Pid);

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

/// Over a connection, the child keeps the parent's socket open and the server does not see the
/// parent die: it ends the silent session.
#[test]
fn a_child_forked_mid_refresh_does_not_hold_the_lease() {
    let site = Site::new();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut parent = site.start("fork midway", "");
    let child = Orphan(Pid::from_raw(parent.line().parse().unwrap()));
    parent.kill();
    let client =
        site.builder().max_wait(Site::PATIENCE).timeout(Duration::from_secs(120)).build().unwrap();
    site.works(&client, &account);
    kill(child.0, None).unwrap();
    assert_eq!(site.world.emulator.statistics().rotations, 1);
}

#[test]
fn a_forked_child_makes_its_own_connection_and_both_go_on() {
    let site = Site::new();
    let client = site.client();
    for number in 0..3 {
        client.import(site.expired(&location(number)), false).unwrap();
    }
    drop(client);
    let mut parent = site.start("fork and go on", "");
    let mut said = [parent.line(), parent.line(), parent.line()];
    said.sort();
    let child = Orphan(Pid::from_raw(said[0].parse().unwrap()));
    assert_eq!(said[1..], ["parent done", "refreshed"]);

    // The parent dies, others come and go: for the child, who shares its pipes, nothing changes.
    kill(parent.pid(), Signal::SIGKILL).unwrap();
    parent.reap();
    let other = site.client();
    site.works(&other, &location(1));
    drop(other);
    site.visit();
    parent.go();
    assert_eq!(parent.line(), "alone");
    drop(child);

    let last = site.client();
    for number in 0..3 {
        let grant = last.export(&location(number)).unwrap();
        assert_ne!(grant.access_token().expose(), "ended", "what was refreshed is stored");
    }
    site.check();
    assert_eq!(site.world.emulator.statistics().reuse_outside_window, 0);
}
