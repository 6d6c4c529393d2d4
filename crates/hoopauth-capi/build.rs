//! Links the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let linux =
        std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os == "android");
    if linux {
        let part =
            |name: &str| std::env::var(format!("CARGO_PKG_VERSION_{name}")).unwrap_or_default();
        // Before 1.0 each minor version may break what was linked against the one before.
        let version = match part("MAJOR").as_str() {
            "0" => format!("0.{}", part("MINOR")),
            major => major.to_owned(),
        };
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhoopauth.so.{version}");
        // Threads that look up a name, or finish a call that was left, may still run when a host
        // calls dlclose.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-O2");
        // What was compiled to the same code, or to the same constants (as tables of curves are,
        // one for each kind of processor), is there once. Neither Rust nor the C inside tells
        // constants apart by where they lie.
        if linker_knows("-Wl,--icf=all,--ignore-data-address-equality") {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all,--ignore-data-address-equality");
        }
        if loader_unpacks() {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Returns `true` if the linker accepts this argument; GNU's own does not know all of them.
fn linker_knows(argument: &str) -> bool {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    let folder = std::path::PathBuf::from(variable("OUT_DIR"));
    let source = folder.join("probe.rs");
    std::fs::write(&source, "").is_ok()
        && std::process::Command::new(variable("RUSTC"))
            .args(["--crate-type", "cdylib", "--target"])
            .arg(variable("TARGET"))
            .arg("-C")
            .arg(format!("link-arg={argument}"))
            .arg("-o")
            .arg(folder.join("probe.so"))
            .arg(source)
            .output()
            .is_ok_and(|output| output.status.success())
}

/// Returns `true` if the library is built for this machine and its loader knows packed relocations
/// (glibc 2.36): they are a twentieth of the size. An older loader would refuse the library, by a
/// version it asks for.
fn loader_unpacks() -> bool {
    let native = std::env::var("HOST") == std::env::var("TARGET");
    let glibc = std::process::Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    native && glibc.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.trim().trim_start_matches("glibc ");
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let (major, minor) = (numbers.next(), numbers.next());
        matches!((major, minor), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (2, 36))
    })
}
