//! A store's folder and an emulator, and processes that use both.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use hoopauth::{Account, Client, ClientBuilder, Grant};
use hoopauth_emulator::{Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::common::World;

pub(crate) const KEY: &str = "the-first-key-0123456789";

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// Time within which the lease of a dead process is free, whatever it left behind.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

    /// On real time: the processes go by the system's clock.
    pub(crate) fn with(config: Config) -> Self {
        let world = World::with(config);
        world.emulator.unfreeze();
        Self { world, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("grants.db")
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("client_id", DEFAULT_CLIENT_ID.to_owned()),
            ("client_secret", DEFAULT_CLIENT_SECRET.to_owned()),
            ("api_base", self.world.emulator.api()),
            ("token_url", self.world.emulator.token()),
            ("location_token_url", self.world.emulator.location_token()),
            ("token_requests_per_minute", "100000".to_owned()),
            ("store", format!("sqlite:{}", self.path().display())),
            ("store_key", KEY.to_owned()),
        ]
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        self.options()
            .iter()
            .fold(Client::builder(), |builder, (name, value)| builder.option(name, value))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// Looks into the store as any other program does, and is gone. SQLite's takes itself for the
    /// last one, and removes the write-ahead log at its end unless others hold locks of their own.
    pub(crate) fn visit(&self) {
        let shell = rusqlite::Connection::open(self.path()).unwrap();
        shell.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0)).unwrap();
    }

    /// Checks with another SQLite, Python's, that nothing is wrong with the store.
    pub(crate) fn check(&self) {
        let script = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA \
                      integrity_check').fetchall())";
        let found = Command::new("python3").args(["-c", script]).arg(self.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), "('ok',)", "{found:?}");
    }

    /// A grant whose access token has ended.
    pub(crate) fn expired(&self, account: &Account) -> Grant {
        let refresh_token = self.world.grant(account).refresh_token().unwrap().clone();
        Grant::new(account.clone(), "ended").with_refresh_token(refresh_token)
    }

    pub(crate) fn works(&self, client: &Client, account: &Account) {
        let headers = client.headers_for(account.as_str(), "GET").unwrap();
        let (status, body) = self.world.call(&headers, &format!("/locations/{}", account.id()));
        assert_eq!(status, 200, "{account}: {body}");
    }

    /// A process that plays `role`, configured by its environment.
    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::entry", "--nocapture", "--test-threads=1"]);
        for (name, value) in self.options() {
            command.env(format!("HOOPAUTH_{}", name.to_uppercase()), value);
        }
        command.env(crate::child::ROLE, role).env_remove("HOOPAI_TOKEN").env_remove("LOCATION_ID");
        command
    }

    pub(crate) fn start(&self, role: &str, argument: &str) -> Process {
        let mut command = self.command(role);
        Process::start(command.env(crate::child::ARGUMENT, argument))
    }
}

/// A child process and its lines; killed when dropped.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output }
    }

    /// Returns the next line of the process; its other output is the test harness's.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the process ended: {:?}",
                self.child.wait()
            );
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return said.to_owned();
            }
        }
    }

    /// Lets it go on.
    pub(crate) fn go(&mut self) {
        writeln!(self.input.as_mut().unwrap(), "go").unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Stands still, all of its threads, until it is woken.
    pub(crate) fn stop(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        let stopped = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    }

    /// Stops the process as [`stop`](Self::stop) does, without waiting for it. The process may have
    /// died meanwhile.
    pub(crate) fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    pub(crate) fn wake(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    pub(crate) fn reap(&mut self) {
        self.child.wait().unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
