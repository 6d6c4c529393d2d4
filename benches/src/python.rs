//! Headers and the cold start from Python, on a release wheel in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::pairs::Pairs;
use crate::{line, lines_of, many};

/// Figures that the promises need.
pub(crate) struct Python {
    /// Headers of one account over the floor's.
    pub(crate) headers: Pairs,
    pub(crate) over_floor_ms: Pairs,
    pub(crate) sqlite_over_floor_ms: Pairs,
    pub(crate) wheel_bytes: f64,
}

pub(crate) fn measure() -> Python {
    let root = root();
    let wheel_bytes = install(&root);
    let over_floor = |arguments: &[&str]| pairs_of(bare("cold_start.py").args(arguments));
    let folder = tempfile::tempdir().unwrap();
    let (store, key) = many::of_one(folder.path());
    Python {
        headers: headers_over_floor(1),
        over_floor_ms: over_floor(&[]),
        sqlite_over_floor_ms: over_floor(&[&store, key]),
        wheel_bytes,
    }
}

/// Headers over the floor's, for larger sizes. After [`measure`], which installs the wheel.
pub(crate) fn headers_large() -> Vec<(usize, Pairs)> {
    LARGE_SIZES.map(|n| (n, headers_over_floor(n))).to_vec()
}

fn headers_over_floor(accounts: usize) -> Pairs {
    pairs_of(bare("headers.py").arg(accounts.to_string()))
}

/// Runs a script, passes its lines on, and returns the pairs of the first.
fn pairs_of(script: &mut Command) -> Pairs {
    let lines = lines_of(script);
    for line in &lines {
        println!("{line}");
    }
    Pairs::of_line(&lines[0])
}

/// The adapters for requests and httpx, each over its library alone.
pub(crate) fn requests(url: &str) -> [Pairs; 2] {
    let lines = lines_of(script("requests_overhead.py").arg(url));
    for line in &lines {
        println!("{line}");
    }
    [Pairs::of_line(&lines[0]), Pairs::of_line(&lines[1])]
}

/// Verifies webhooks, with ours and with Python's `cryptography`.
pub(crate) fn webhooks(file: &str) -> Command {
    let mut command = script("webhooks.py");
    command.arg(file);
    command
}

/// A script that needs further packages: those of `.venv`, with the wheel that [`measure`]
/// installed before the one there.
fn script(name: &str) -> Command {
    let root = root();
    let mut command = Command::new(root.join(".venv/bin/python"));
    let packages = std::fs::read_dir(root.join("target/bench-venv/lib")).unwrap();
    let packages =
        packages.map(|folder| folder.unwrap().path().join("site-packages")).next().unwrap();
    command.env("PYTHONPATH", packages).arg(root.join("benches/python").join(name));
    command
}

/// Returns the Python of the environment that has the wheel and nothing else, with a script.
fn bare(script: &str) -> Command {
    let root = root();
    let mut command = Command::new(root.join("target/bench-venv/bin/python"));
    command.arg(root.join("benches/python").join(script));
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the wheel as it is published and installs it into an environment of its own. Returns the
/// bytes of the wheel.
fn install(root: &Path) -> f64 {
    let (wheels, place) = (root.join("target/bench-wheels"), root.join("target/bench-venv"));
    let python = place.join("bin/python");
    let tool = |name: &str| Command::new(root.join(".venv/bin").join(name));
    succeed(Command::new(root.join("python/setup.sh")).current_dir(root));
    for old in [&wheels, &place] {
        let _ = std::fs::remove_dir_all(old);
    }
    let build = ["build", "--quiet", "--locked", "--release", "--interpreter"];
    succeed(
        tool("maturin")
            .current_dir(root)
            .args(build)
            .arg(root.join(".venv/bin/python"))
            .arg("--out")
            .arg(&wheels),
    );
    let wheel = std::fs::read_dir(&wheels).unwrap().next().expect("a wheel").unwrap();
    #[allow(clippy::cast_precision_loss, reason = "megabytes")]
    let bytes = wheel.metadata().unwrap().len() as f64;
    line("wheel_bytes", "python", 1, Some(bytes), "bytes", json!({}));
    succeed(tool("python").args(["-m", "venv", "--without-pip"]).arg(&place));
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "--python"];
    succeed(
        tool("python").args(pip).arg(&python).args(["install", "--no-index"]).arg(wheel.path()),
    );
    bytes
}

/// Sends its output to stderr, because the program's stdout is JSON lines.
fn succeed(command: &mut Command) {
    let output = command.output().expect("a tool of .venv");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

const LARGE_SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
