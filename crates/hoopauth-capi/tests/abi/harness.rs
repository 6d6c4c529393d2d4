//! Compiles and runs C programs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hoopauth_emulator::{
    Config, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_LOCATION_PRIVATE_INTEGRATION,
    DEFAULT_SCOPES, Emulator,
};
use tempfile::TempDir;

/// Mode in which a program is built and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    Valgrind,
    Sanitized,
}

/// A folder for one test's programs, with the shared library as a loader finds it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) emulator: Emulator,
    /// `true` if memory that a program leaves unfreed is looked for, where it is run under
    /// something that can.
    pub(crate) leaks: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        symlink(library("libhoopauth.so"), folder.path().join(soname())).unwrap();
        Self { folder, emulator: Emulator::start(Config::default()).unwrap(), leaks: true }
    }

    /// Compiles a C file with warnings as errors and links it with the shared library.
    pub(crate) fn compile(&self, source: &Path, mode: Mode, link: &str) -> PathBuf {
        library(&format!("{}.so", link.replacen("-l", "lib", 1)));
        let name = source.file_stem().unwrap().to_str().unwrap();
        let program = self.folder.path().join(format!("{name}-{mode:?}"));
        let mut compiler = Command::new("gcc");
        compiler
            .args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-pthread", "-g", "-O1"])
            .args(WARNINGS);
        if mode == Mode::Sanitized {
            compiler.args(SANITIZERS);
        }
        compiler.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
        compiler
            .arg(source)
            .arg("-o")
            .arg(&program)
            .arg("-L")
            .arg(built())
            .args([link, "-ldl", "-lm"]);
        let output = compiler.output().expect("gcc is missing: `make test` sets it up");
        assert!(output.status.success(), "{}", text(&output));
        program
    }

    /// Runs a program and answers how it ended and what it wrote. One that does not end is killed.
    pub(crate) fn run(&self, program: &Path, mode: Mode, arguments: &[&str]) -> Output {
        let mut command = match mode {
            Mode::Valgrind => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(VALGRIND);
                valgrind
                    .arg(if self.leaks { "--leak-check=full" } else { "--leak-check=no" })
                    .arg(program);
                valgrind
            }
            _ => Command::new(program),
        };
        let emulator = &self.emulator;
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env(
                "LD_LIBRARY_PATH",
                format!("{}:{}", self.folder.path().display(), built().display()),
            )
            .env("ASAN_OPTIONS", if self.leaks { "detect_leaks=1" } else { "detect_leaks=0" })
            .env("UBSAN_OPTIONS", "print_stacktrace=1")
            .env("TEST_CLIENT_ID", DEFAULT_CLIENT_ID)
            .env("TEST_CLIENT_SECRET", DEFAULT_CLIENT_SECRET)
            .env("TEST_SCOPES", DEFAULT_SCOPES.join(" "))
            .env("TEST_PIT", DEFAULT_LOCATION_PRIVATE_INTEGRATION)
            .env("TEST_API", emulator.api())
            .env("TEST_AUTHORIZE", emulator.authorize_url())
            .env("TEST_TOKEN", emulator.token())
            .env("TEST_LOCATION_TOKEN", emulator.location_token())
            .env("TEST_CONTROL", emulator.control())
            .env("TEST_LIBRARY", library("libhoopauth.so"));
        finish(&mut command, self.folder.path())
    }

    /// Compiles and runs a program of `tests/c`, which must succeed; what it printed.
    pub(crate) fn passes(&self, name: &str, mode: Mode, link: &str) -> String {
        let program = self.compile(&root().join("tests/c").join(name), mode, link);
        let output = self.run(&program, mode, &[]);
        assert!(output.status.success(), "{name}, {mode:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A library of this build. It is made before the tests run, which `cargo test` on its own does not
/// do.
pub(crate) fn library(name: &str) -> PathBuf {
    let path = built().join(name);
    let made = modified(&path).unwrap_or_else(|| panic!("{} is missing: {BUILD}", path.display()));
    for source in sources(&path) {
        assert!(
            modified(&source).is_none_or(|changed| changed <= made),
            "{} is older than {}: {BUILD}",
            path.display(),
            source.display()
        );
    }
    path
}

/// Files that a library was made of, as cargo noted them; none where the notes are those of the
/// core, which has the same name.
fn sources(library: &Path) -> Vec<PathBuf> {
    let notes = fs::read_to_string(library.with_extension("d")).unwrap_or_default();
    let of_it = notes.lines().filter_map(|line| Some(line.split_once(": ")?.1));
    of_it
        .filter(|sources| sources.contains("hoopauth-capi"))
        .flat_map(str::split_whitespace)
        .map(PathBuf::from)
        .collect()
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// The folder that this build's libraries are in: this test runs from its `deps`.
pub(crate) fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// The top of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn soname() -> String {
    match env!("CARGO_PKG_VERSION_MAJOR") {
        "0" => concat!("libhoopauth.so.0.", env!("CARGO_PKG_VERSION_MINOR")).to_owned(),
        major => format!("libhoopauth.so.{major}"),
    }
}

/// Runs a command with its output in files, so that nobody need read along, and for a bounded time.
pub(crate) fn finish(command: &mut Command, folder: &Path) -> Output {
    let files = tempfile::tempdir_in(folder).unwrap();
    let (stdout, stderr) = (files.path().join("stdout"), files.path().join("stderr"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&stdout).unwrap())
        .stderr(File::create(&stderr).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: `make test` sets up what is needed"));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > LONGEST {
            child.kill().unwrap();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Output { status, stdout: fs::read(&stdout).unwrap(), stderr: fs::read(&stderr).unwrap() }
}

/// Runs a tool that must succeed; what it printed.
pub(crate) fn tool<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(name)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}: `make test` sets up what is needed"));
    assert!(output.status.success(), "{name}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{} (signal {:?})\n{}\n{}",
        output.status,
        output.status.signal(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
const SANITIZERS: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
const VALGRIND: [&str; 5] = [
    "--quiet",
    "--error-exitcode=99",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
    "--fair-sched=try",
];
const LONGEST: Duration = Duration::from_secs(300);
const BUILD: &str = "run `make test`, which builds it first";
