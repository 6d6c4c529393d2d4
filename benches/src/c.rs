//! The same through the C ABI: a C program, compiled here, over the shared library as it is
//! installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use crate::pairs::Pairs;
use crate::{instructions, line, many, median, rounded};

/// Figures that the promises need, except speed.
pub(crate) struct C {
    pub(crate) by_name: Option<f64>,
    pub(crate) by_handle: Option<f64>,
    pub(crate) over_floor_ms: Pairs,
    pub(crate) sqlite_over_floor_ms: Pairs,
    pub(crate) library_bytes: f64,
}

/// The C programs, compiled.
pub(crate) struct Programs {
    folder: TempDir,
    library: PathBuf,
    program: PathBuf,
    nothing: PathBuf,
    requests: PathBuf,
    curl: PathBuf,
    webhooks: PathBuf,
}

impl Programs {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = library();
        let program = compile(folder.path(), "headers", &["-lhoopauth"], &library);
        let nothing = compile(folder.path(), "nothing", &[], &library);
        let requests = compile(folder.path(), "requests", &["-lhoopauth"], &library);
        let curl = compile(folder.path(), "curl", &["-lcurl"], &library);
        let webhooks = compile(folder.path(), "webhooks", &["-lhoopauth", "-lcjson"], &library);
        Self { folder, library, program, nothing, requests, curl, webhooks }
    }

    /// Measures headers over so many accounts.
    pub(crate) fn speed(&self, accounts: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["speed", &accounts.to_string()]);
        command
    }

    /// Verifies webhooks.
    pub(crate) fn webhooks(&self, file: &str) -> Command {
        let mut command = Command::new(&self.webhooks);
        command.arg(file);
        command
    }

    /// Sends requests.
    pub(crate) fn requests(&self, url: &str) -> Command {
        let mut command = Command::new(&self.requests);
        command.arg(url);
        command
    }

    /// The same with libcurl alone.
    pub(crate) fn curl(&self, url: &str) -> Command {
        let mut command = Command::new(&self.curl);
        command.arg(url);
        command
    }

    pub(crate) fn measure(&self) -> C {
        let by_name = instructions::measure_program("c", &self.program, "name");
        let by_handle = instructions::measure_program("c-handle", &self.program, "handle");
        let [over_floor_ms, sqlite_over_floor_ms] = self.cold_starts();
        let library_bytes = library_bytes(self.folder.path(), &self.library);
        C { by_name, by_handle, over_floor_ms, sqlite_over_floor_ms, library_bytes }
    }

    /// With grants in memory, and with one in a sealed SQLite file.
    pub(crate) fn cold_starts(&self) -> [Pairs; 2] {
        let (program, nothing) = (self.program.to_str().unwrap(), self.nothing.to_str().unwrap());
        let (store, key) = many::of_one(self.folder.path());
        [
            cold_start("c", "memory", &[program, "cold", "memory:"], &[nothing]),
            cold_start("c", "sqlite", &[program, "cold", &store, key], &[nothing]),
        ]
    }
}

/// From the start of the process to its end, in alternation with one that does nothing; answers
/// what is over that, in ms.
fn cold_start(via: &str, store: &str, command: &[&str], floor: &[&str]) -> Pairs {
    let (mut values, mut floors, mut overs) = (vec![], vec![], vec![]);
    for _ in 0..STARTS {
        let (value, least) = (run(command), run(floor));
        values.push(value);
        floors.push(least);
        overs.push(value - least);
    }
    let over = Pairs::new(overs);
    let more = json!({"store": store, "floor_ms": rounded(median(floors)),
        "over_floor_ms": rounded(over.median())});
    line("cold_start", via, 1, Some(median(values)), "ms", more);
    over
}

fn run(command: &[&str]) -> f64 {
    let start = Instant::now();
    let status =
        Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{command:?}: {status}");
    elapsed
}

/// The shared library of the profile that this program was built with.
fn library() -> PathBuf {
    let library = std::env::current_exe().unwrap().with_file_name("libhoopauth.so");
    assert!(library.exists(), "{} is missing: `make bench` builds it", library.display());
    library
}

fn compile(folder: &Path, name: &str, with: &[&str], library: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Found under its SONAME, as an installed one.
    let soname = folder.join("libhoopauth.so.0.1");
    if !soname.exists() {
        std::fs::copy(library, &soname).unwrap();
        std::os::unix::fs::symlink(&soname, folder.join("libhoopauth.so")).unwrap();
    }
    let program = folder.join(name);
    let status = Command::new("cc")
        .args(["-std=c99", "-O2", "-o"])
        .arg(&program)
        .arg(root.join("benches/c").join(name).with_extension("c"))
        .arg("-I")
        .arg(root.join("include"))
        .arg("-L")
        .arg(folder)
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .args(with)
        .status()
        .unwrap();
    assert!(status.success(), "cc: {status}");
    program
}

#[allow(clippy::cast_precision_loss, reason = "a few megabytes are exact")]
fn library_bytes(folder: &Path, library: &Path) -> f64 {
    let stripped = folder.join("stripped.so");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(library).status().unwrap();
    assert!(status.success(), "strip: {status}");
    let bytes = std::fs::metadata(&stripped).unwrap().len() as f64;
    line("library_bytes", "c", 1, Some(bytes), "bytes", json!({}));
    bytes
}

const STARTS: usize = 41;
