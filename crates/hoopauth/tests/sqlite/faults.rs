//! Stores that can't write: the error names the cause, and the old or the new grant is there.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hoopauth::binding::{BuilderBinding as _, Step};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Uid, geteuid, seteuid};

use crate::child::{builder, outcome, say, say_what_comes_of, step_named, wait_for_a_line};
use crate::common::location;
use crate::site::{Process, Site};

/// Fault of a process in the middle of a refresh.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The process can write no more bytes to any file: `RLIMIT_FSIZE`, as a full disk.
    Full,
    /// The process has no rights in the store's folder any more, as after giving up root.
    Rights,
}

impl Fault {
    fn possible() -> &'static [Self] {
        // Only root has rights to give up and to take back.
        if geteuid().is_root() { &[Self::Full, Self::Rights] } else { &[Self::Full] }
    }

    fn begin(self) {
        match self {
            Self::Full => {
                // SAFETY: ignoring a signal runs no code. Then the write fails instead, as under
                // Python.
                unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
                let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
                setrlimit(Resource::RLIMIT_FSIZE, 0, most).unwrap();
            }
            Self::Rights => seteuid(NOBODY).unwrap(),
        }
    }

    fn end(self) {
        match self {
            Self::Full => {
                let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
                setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
            }
            Self::Rights => seteuid(Uid::from_raw(0)).unwrap(),
        }
    }

    /// Text of the error.
    fn words(self) -> &'static str {
        match self {
            Self::Full => "space",
            Self::Rights => "right to write",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// In a child process: meets a fault at a step of a refresh and says how that ended; once it may go
/// on the fault is over, and it says how the next call ended and whether something is unsaved
/// still.
pub(crate) fn meet(argument: &str) {
    let (step, fault) = argument.split_once(' ').unwrap();
    let step = step_named(step).unwrap();
    let fault = *Fault::possible().iter().find(|known| known.to_string() == fault).unwrap();
    let met = AtomicBool::new(false);
    let hook = move |at, _: &_| {
        if at == step && !met.swap(true, Ordering::SeqCst) {
            fault.begin();
        }
        Ok(())
    };
    let client = builder().step_hook(hook).build().unwrap();
    say_what_comes_of(&client.headers_for(location(0).as_str(), "GET"));
    wait_for_a_line();
    fault.end();
    let again = client.headers_for(location(0).as_str(), "GET");
    say(&format!("{} {}", outcome(&again), client.health(&location(0)).unwrap().unsaved));
}

#[test]
fn a_fault_at_any_step_leaves_the_old_or_the_new_grant() {
    for fault in Fault::possible() {
        for step in Step::ALL {
            for dies in [false, true] {
                met_at(step, *fault, dies);
            }
        }
    }
}

/// The process comes to terms with the fault, or dies of it.
fn met_at(step: Step, fault: Fault, dies: bool) {
    let case = format!("{fault} at {step:?}, dies: {dies}");
    let site = Site::new();
    // The window does not pass on a busy machine.
    site.world.emulator.freeze();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    set_mode(site.folder.path(), 0o700);
    let mut process = site.start("meet a fault", &format!("{step:?} {fault}"));
    let first = process.line();

    // Before the mark is written nothing is sent; after that nothing is lost.
    let is_sent = !matches!(step, Step::Lease | Step::Reread | Step::Mark);
    let is_saved = matches!(step, Step::Publish | Step::Release);
    if is_sent {
        assert_eq!(first, "OK", "{case}");
    } else {
        assert!(first.starts_with("STORE ") && first.contains(fault.words()), "{case}: {first}");
    }
    assert_eq!(site.world.emulator.statistics().token_requests, u64::from(is_sent), "{case}");
    let stored = site.client().export(&account).unwrap();
    assert_eq!(stored.access_token().expose() != "ended", is_saved, "{case}");

    if dies {
        process.kill();
    } else {
        process.go();
        assert_eq!(process.line(), "OK false", "{case}");
    }
    site.works(&site.client(), &account);
    let statistics = site.world.emulator.statistics();
    let repeats = u64::from(dies && is_sent && !is_saved);
    assert_eq!(
        (statistics.rotations, statistics.reuse_inside_window, statistics.reuse_outside_window),
        (1, repeats, 0),
        "{case}"
    );
}

#[test]
fn a_limit_of_the_file_size_keeps_what_is_there() {
    let site = Site::new();
    let role = site.command("import until full");
    // The limit's signal ignored, as Python does: then the write fails instead.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""])
        .arg(role.get_program());
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

/// A process that plays `role` without the rights of root, where these tests have them. It may
/// enter the site's folder.
fn without_rights(site: &Site, role: &str) -> Command {
    let program = site.folder.path().join("program");
    // By a process of its own: one that another test forks meanwhile would hold a copy of ours open
    // for writing, too busy to run.
    let copied =
        Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
    assert!(copied.success());
    for path in [site.folder.path(), &program] {
        set_mode(path, 0o755);
    }
    let role = site.command(role);
    let mut command = Command::new(&program);
    command.args(role.get_args());
    command.envs(role.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    if geteuid().is_root() {
        command.uid(NOBODY.as_raw()).gid(NOBODY.as_raw());
    }
    command
}

#[test]
fn a_folder_without_rights_is_named() {
    let site = Site::new();
    let folder = site.folder.path().join("closed");
    fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o555);
    let mut command = without_rights(&site, "read");
    command.env("HOOPAUTH_STORE", format!("sqlite:{}/grants.db", folder.display()));
    let line = Process::start(&mut command).line();
    assert!(line.starts_with("STORE ") && line.contains("right to write"), "{line}");
}

/// A refresh that can't be marked is not sent: the refresh token in the file stays good.
#[test]
fn a_store_that_can_only_be_read_sends_nothing() {
    let site = Site::new();
    let account = location(0);
    site.client().import(site.expired(&account), false).unwrap();
    let mut command = without_rights(&site, "refresh");
    let root = geteuid().is_root();
    for entry in fs::read_dir(site.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match name {
            "grants.db" => set_mode(&path, if root { 0o444 } else { 0o400 }),
            "grants.db-wal" | "grants.db-shm" | "grants.db-lock" if root => set_mode(&path, 0o666),
            _ => {}
        }
    }
    let line = Process::start(&mut command).line();
    assert!(
        line.starts_with("STORE ") && line.contains("read-only: give this user the right"),
        "{line}"
    );
    assert_eq!(site.world.emulator.statistics().token_requests, 0);
    set_mode(&site.path(), 0o600);
    site.works(&site.client(), &account);
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
            "CREATE TRIGGER broken BEFORE UPDATE OF generation ON account BEGIN SELECT \
             raise(ABORT, 'broken'); END",
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

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const NOBODY: Uid = Uid::from_raw(65_534);

/// Another program has the file for longer than anybody here may wait.
#[test]
fn a_locked_store_holds_no_call_up_for_longer_than_its_timeout() {
    let site = Site::new();
    let client = site.builder().option("timeout", "0.3").build().unwrap();
    let accounts = [location(0), location(1), location(2)];
    for account in &accounts {
        client.import(site.expired(account), false).unwrap();
    }
    let other = rusqlite::Connection::open(site.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for (number, account) in accounts.iter().cycle().take(12).enumerate() {
            let (client, site) = (&client, &site);
            scope.spawn(move || {
                let result = match number % 3 {
                    0 => client.headers_for(account.as_str(), "GET").map(|_| ()),
                    1 => client.remove(account).map(|_| ()),
                    _ => client.import(site.expired(account), true).map(|_| ()),
                };
                let error = result.unwrap_err();
                assert!(error.is_retryable(), "{error:?}");
                // What only reads goes on.
                client.export(account).unwrap();
                assert_eq!(client.accounts().unwrap().len(), 3);
            });
        }
    });
    // One wait of old was five seconds long, and there was a queue of them.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    let client = site.client();
    for account in &accounts {
        site.works(&client, account);
    }
}
