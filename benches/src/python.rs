//! Headers and the cold start from Python, on a release wheel in an environment of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{line, lines_of, many};

/// Figures that the promises need: nanoseconds per call beside the floor's, and milliseconds.
pub(crate) struct Python {
    /// (accounts, headers, floor).
    pub(crate) headers: Vec<(usize, f64, f64)>,
    pub(crate) over_floor_ms: f64,
    pub(crate) sqlite_over_floor_ms: f64,
}

pub(crate) fn measure() -> Python {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = installed(&root);
    let run = |script: &str, arguments: &[&str]| {
        passed_on(
            Command::new(&python).arg(root.join("benches/python").join(script)).args(arguments),
        )
    };
    let headers = SIZES.map(|n| {
        let values = run("headers.py", &[&n.to_string()]);
        (n, values["headers"], values["headers_floor"])
    });
    let over_floor = |arguments: &[&str]| run("cold_start.py", arguments)["over_floor_ms"];
    let folder = tempfile::tempdir().unwrap();
    let (store, key) = many::of_one(folder.path());
    Python {
        headers: headers.to_vec(),
        over_floor_ms: over_floor(&[]),
        sqlite_over_floor_ms: over_floor(&[&store, key]),
    }
}

/// The adapters for requests and httpx, each over its library alone.
pub(crate) fn requests(url: &str) -> [f64; 2] {
    let lines = lines_of(script("requests_overhead.py").arg(url));
    let ratios: Vec<f64> = lines
        .iter()
        .map(|line| {
            println!("{line}");
            line["value"].as_f64().unwrap()
        })
        .collect();
    [ratios[0], ratios[1]]
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(root.join(".venv/bin/python"));
    let packages = std::fs::read_dir(root.join("target/bench-venv/lib")).unwrap();
    let packages =
        packages.map(|folder| folder.unwrap().path().join("site-packages")).next().unwrap();
    command.env("PYTHONPATH", packages).arg(root.join("benches/python").join(name));
    command
}

/// Builds the wheel as it is published and installs it; answers that environment's Python.
fn installed(root: &Path) -> PathBuf {
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
    line(
        "wheel_bytes",
        "python",
        1,
        Some(wheel.metadata().unwrap().len() as f64),
        "bytes",
        json!({}),
    );
    succeed(tool("python").args(["-m", "venv", "--without-pip"]).arg(&place));
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "--python"];
    succeed(
        tool("python").args(pip).arg(&python).args(["install", "--no-index"]).arg(wheel.path()),
    );
    python
}

/// Runs a script, passes its lines on and returns their values, and the further keys of its last
/// line.
fn passed_on(command: &mut Command) -> HashMap<String, f64> {
    let output = command.output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut values = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        println!("{line}");
        let line: Value = serde_json::from_str(line).unwrap();
        let keys = line.as_object().unwrap().iter();
        values.extend(keys.filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))));
        values.insert(line["bench"].as_str().unwrap().to_owned(), line["value"].as_f64().unwrap());
    }
    values
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

const SIZES: [usize; 4] = [1, 1_000, 100_000, 1_000_000];
