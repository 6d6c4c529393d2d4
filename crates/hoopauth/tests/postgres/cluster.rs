//! PostgreSQL servers of the tests' own, each in a temporary folder on a free port of loopback.
//!
//! A shell holds each server and ends it as soon as the test program is gone, however that ends.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

pub const PASSWORD: &str = "planted-password";

/// A server of this program.
pub struct Cluster {
    pub port: u16,
    pub folder: PathBuf,
    shell: Mutex<Shell>,
}

struct Shell {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// The one that tests share; each with a schema of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One for tests that stop it.
    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("hoopauth-postgres-").tempdir().unwrap().keep();
        own(&folder);
        let (data, key) = (folder.join("data"), folder.join("password"));
        fs::write(&key, PASSWORD).unwrap();
        own(&key);
        let made = as_server(&program("initdb"))
            .args([
                "--username=postgres",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--no-sync",
            ])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", key.display()))
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        certificates(&folder);

        for _ in 0..10 {
            let port = free_port();
            // The store has to ask for what it needs: here, nothing is on the disk at once.
            let mut settings = String::from(
                "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_connections = \
                 300\nshared_buffers = 32MB\nlisten_addresses = '127.0.0.1'\nssl = on\n",
            );
            let _ = writeln!(
                settings,
                "port = {port}\nunix_socket_directories = '{}'",
                folder.display()
            );
            for (name, file) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
                let _ = writeln!(settings, "{name} = '{}'", folder.join(file).display());
            }
            fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
            own(&data.join("postgresql.auto.conf"));
            let cluster = Self {
                port,
                shell: Mutex::new(Shell::new(&folder, as_postgres(&folder))),
                folder: folder.clone(),
            };
            cluster.order("start");
            if cluster.wait() {
                return cluster;
            }
            // Another program was faster at the port.
            std::mem::forget(cluster);
        }
        panic!("no PostgreSQL server could be started: see {}/log", folder.display());
    }

    /// The store's URL for a schema that nobody else has.
    pub fn url(&self) -> String {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::SeqCst);
        self.url_of(&format!("test_{}_{number}", std::process::id()))
    }

    pub fn url_of(&self, schema: &str) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres?hoopauth_schema={schema}",
            self.port
        )
    }

    /// A connection of the tests' own, which sees the tables of the store at `url` first.
    pub fn admin(&self, url: &str) -> Client {
        let mut client = self.try_admin().unwrap();
        client.batch_execute(&format!("SET search_path TO {}", schema_of(url))).unwrap();
        client
    }

    fn try_admin(&self) -> Result<Client, postgres::Error> {
        let url = format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres?connect_timeout=5",
            self.port
        );
        Client::connect(&url, NoTls)
    }

    /// Stops the server as an administrator does: who is connected is sent away.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Stops it without a word and without a checkpoint.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Stops all its processes where they are, as a machine does whose network is gone: connections
    /// stay open. They go on when the answer is dropped.
    pub fn stand_still(&self) -> Stopped<'_> {
        self.signal(nix::sys::signal::Signal::SIGSTOP);
        Stopped(self)
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        use nix::unistd::Pid;

        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let server = file.lines().next().unwrap();
        let children =
            fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
        // The first one makes the others.
        for process in std::iter::once(server).chain(children.split_whitespace()) {
            // A child may have ended meanwhile.
            let _ = nix::sys::signal::kill(Pid::from_raw(process.parse().unwrap()), signal);
        }
    }

    pub fn start_again(&self) {
        self.order("start");
        assert!(self.wait(), "the server did not start again: see {}/log", self.folder.display());
    }

    fn order(&self, order: &str) {
        self.shell.lock().unwrap().order(order);
    }

    /// Until it takes connections.
    fn wait(&self) -> bool {
        patiently(Duration::from_secs(60), || self.try_admin().is_ok())
    }
}

/// A server that stands still.
pub struct Stopped<'a>(&'a Cluster);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(nix::sys::signal::Signal::SIGCONT);
    }
}

impl Shell {
    /// Holds `server`, and the folder that goes with it.
    fn new(folder: &Path, server: Vec<PathBuf>) -> Self {
        let script = r#"
            folder=$1; shift; server=
            while read -r order; do
                case $order in
                    start) "$@" >>"$folder/log" 2>&1 </dev/null & server=$! ;;
                    stop) kill -INT "$server"; wait "$server"; server= ;;
                    crash) kill -QUIT "$server"; wait "$server"; server= ;;
                esac
                echo done
            done
            # A server understands the first at once, a pooler the second only.
            if [ "$server" ]; then kill -QUIT "$server"; kill -TERM "$server"; wait "$server"; fi
            rm -rf "$folder""#;
        let mut command = as_server(Path::new("/bin/sh"));
        command.args(["-c", script, "sh"]).arg(folder).args(server);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { orders: child.stdin.take(), child, answers }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

fn as_postgres(folder: &Path) -> Vec<PathBuf> {
    vec![program("postgres"), "-D".into(), folder.join("data")]
}

/// A connection pooler before a cluster.
pub struct Pooler {
    pub port: u16,
    _shell: Shell,
}

impl Pooler {
    /// With more `settings`, and no TLS.
    pub fn start(cluster: &Cluster, settings: &str) -> Self {
        for _ in 0..10 {
            let folder =
                tempfile::Builder::new().prefix("hoopauth-pooler-").tempdir().unwrap().keep();
            let (port, file) = (free_port(), folder.join("pgbouncer.ini"));
            let text = format!(
                "[databases]\npostgres = host=127.0.0.1 port={} user=postgres \
                 password={PASSWORD}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = \
                 {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n",
                cluster.port
            );
            fs::write(&file, text).unwrap();
            own(&folder);
            own(&file);
            let mut shell = Shell::new(&folder, vec![program("pgbouncer"), file]);
            shell.order("start");
            let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?connect_timeout=5");
            if patiently(Duration::from_secs(10), || Client::connect(&url, NoTls).is_ok()) {
                return Self { port, _shell: shell };
            }
        }
        panic!("no pgbouncer could be started");
    }
}

fn patiently(longest: Duration, done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < longest {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

pub fn schema_of(url: &str) -> &str {
    let (_, schema) = url.split_once("hoopauth_schema=").unwrap();
    schema.split('&').next().unwrap()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program of the server's package.
pub fn program(name: &str) -> PathBuf {
    let chosen = std::env::var_os("HOOPAUTH_POSTGRES_BIN").map(PathBuf::from);
    let mut folders: Vec<PathBuf> = chosen.into_iter().collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders.push("/usr/sbin".into());
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap_or_else(
        || {
            panic!(
                "`{name}` is missing: install the packages `postgresql` and `pgbouncer` (as root, \
             `make setup-postgres` does), or set HOOPAUTH_POSTGRES_BIN to a folder that holds it"
            )
        },
    )
}

/// The server refuses to run as root.
pub fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// Gives a file to the server.
pub fn own(path: &Path) {
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

fn server_user() -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("postgres").unwrap();
    Some(user.map_or((65_534, 65_534), |user| (user.uid.as_raw(), user.gid.as_raw())))
}

/// Two roots, and the server's certificate, which the first one signed for `localhost` and not for
/// 127.0.0.1.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    let authority = |name: &str| {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join(name), root.self_signed(&key).unwrap().pem()).unwrap();
        Issuer::new(root, key)
    };
    let issuer = authority("root.crt");
    authority("other.crt");
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    for (name, text) in [("server.crt", server.pem()), ("server.key", server_key.serialize_pem())] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
    }
}
