//! Stores that can't write: the error names the cause, and what was stored stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::location;
use crate::site::{Process, Site};

#[test]
fn a_limit_of_the_file_size_keeps_what_is_there() {
    let site = Site::new();
    let role = site.command("import until full");
    // The limit's signal ignored, as Python does: then the write fails instead.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""]).arg(role.get_program());
    limited.args(role.get_args());
    limited.envs(role.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let mut process = Process::start(&mut limited);
    let line = process.line();
    let (count, error) = line.split_once(' ').unwrap();
    assert!(error.starts_with("STORE ") && error.contains("space"), "{line}");
    assert!(process.wait().success());
    let client = site.client();
    let count: usize = count.parse().unwrap();
    assert_eq!(client.accounts().unwrap().len(), count);
    for account in client.accounts().unwrap() {
        client.export(&account).unwrap();
    }
}

#[test]
fn a_folder_without_rights_is_named() {
    let site = Site::new();
    let program = site.folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let folder = site.folder.path().join("closed");
    fs::create_dir(&folder).unwrap();
    for path in [site.folder.path(), &program, &folder] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let role = site.command("read");
    let mut command = Command::new(&program);
    command.args(role.get_args());
    command.envs(role.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    command.env("HOOPAUTH_STORE", format!("sqlite:{}/grants.db", folder.display()));
    if nix::unistd::geteuid().is_root() {
        // Rights mean nothing to root.
        command.uid(65_534).gid(65_534);
    }
    let line = Process::start(&mut command).line();
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(line.starts_with("STORE ") && line.contains("right to write"), "{line}");
}

#[test]
fn a_store_that_breaks_in_mid_refresh_keeps_the_new_pair() {
    let site = Site::new();
    let account = location(0);
    let database = rusqlite::Connection::open(site.path()).unwrap();
    let client = site.client();
    client.import(site.expired(&account), false).unwrap();
    // The disk refuses exactly the save of the answer.
    database
        .execute_batch(
            "CREATE TRIGGER broken BEFORE UPDATE OF generation ON account BEGIN SELECT raise(ABORT, 'broken'); END",
        )
        .unwrap();
    site.works(&client, &account);
    assert!(client.health(&account).unwrap().unsaved);
    database.execute_batch("DROP TRIGGER broken").unwrap();
    site.works(&client, &account);
    assert!(!client.health(&account).unwrap().unsaved);
    site.works(&site.client(), &account);
    assert_eq!(site.world.emulator.statistics().rotations, 1);
}
