//! Parts that the tests of C and C++ programs share: compiling them against the library that is
//! built beside the tests, and running them.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses a part; a helper that fails fails its test"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic"];
pub const SANITIZED: &[&str] =
    &["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

pub struct Programs {
    folder: TempDir,
}

impl Programs {
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let library = built("libhoopauth.so");
        symlink(&library, folder.path().join("libhoopauth.so")).unwrap();
        let version: Vec<&str> = env!("CARGO_PKG_VERSION").split('.').collect();
        let so_version =
            if version[0] == "0" { format!("0.{}", version[1]) } else { version[0].to_owned() };
        symlink(&library, folder.path().join(format!("libhoopauth.so.{so_version}"))).unwrap();
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Compiles a C file and links it with the library.
    pub fn c(&self, source: &str, flags: &[&str]) -> PathBuf {
        self.compile("gcc", "c", source, flags)
    }

    /// Compiles a C++ file and links it with the library.
    pub fn cpp(&self, source: &str, flags: &[&str]) -> PathBuf {
        self.compile("g++", "cpp", source, flags)
    }

    fn compile(&self, compiler: &str, language: &str, source: &str, flags: &[&str]) -> PathBuf {
        let source = root().join(source);
        let name = source.file_stem().unwrap().to_str().unwrap().to_owned();
        let program = self.folder().join(format!("{language}-{name}"));
        let mut command = Command::new(compiler);
        command.args(STRICT).args(flags).args(includes());
        command.arg(&source).arg("-o").arg(&program).arg("-L").arg(self.folder());
        command.args(["-lhoopauth", "-lcurl", "-lcjson", "-pthread"]);
        succeed(&mut command);
        program
    }

    /// A command that runs a program, with the library as the loader finds it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("LD_LIBRARY_PATH", self.folder())
            .env("HOOPAUTH_EMULATOR", built("hoopauth-emulator"));
        command.env("UBSAN_OPTIONS", "print_stacktrace=1").stdin(Stdio::null());
        command
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn includes() -> Vec<String> {
    ["include", "bindings/cpp/include"]
        .iter()
        .map(|folder| format!("-I{}", root().join(folder).display()))
        .collect()
}

/// A file that cargo built beside the tests.
pub fn built(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let file = tests.parent().and_then(Path::parent).unwrap().join(name);
    assert!(file.exists(), "{} is missing: `cargo build --workspace` makes it", file.display());
    file
}

/// Runs a command that must succeed, and answers what it wrote to stdout.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
