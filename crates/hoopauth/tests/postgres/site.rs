//! A schema on a server and an emulator, and processes that use both.

use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use hoopauth::{Client, ClientBuilder};
use hoopauth_emulator::Config;

use crate::cluster::Cluster;
use crate::files;
pub(crate) use crate::files::{KEY, Process};

pub(crate) struct Site {
    files: files::Site,
    pub(crate) url: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { files: files::Site::with(config), url: Cluster::shared().url() }
    }

    /// The server's, for a holder that fell silent, and much more for a busy machine.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

    /// On a server that the test may stop.
    pub(crate) fn on(cluster: &Cluster) -> Self {
        Self { files: files::Site::new(), url: cluster.url() }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        self.files.builder().store(&self.url)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command = self.files.command(role);
        command.env("HOOPAUTH_STORE", &self.url);
        command
    }

    pub(crate) fn start(&self, role: &str, argument: &str) -> Process {
        let mut command = self.command(role);
        Process::start(command.env(crate::child::ARGUMENT, argument))
    }

    pub(crate) fn visit(&self) {
        self.admin().query_one("SELECT count(*) FROM account", &[]).unwrap();
    }

    /// The server looks after its files itself.
    pub(crate) fn check(&self) {
        self.visit();
    }

    /// A connection of the test's own.
    pub(crate) fn admin(&self) -> postgres::Client {
        Cluster::shared().admin(&self.url)
    }
}

impl Deref for Site {
    type Target = files::Site;

    fn deref(&self) -> &files::Site {
        &self.files
    }
}
