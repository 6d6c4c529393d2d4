//! `make install` into a folder, and programs in both languages built against what is there: by
//! pkg-config and by `CMake`, shared and static, where it was installed and after the tree was
//! moved.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Bench, WARNINGS, built, finish, library, root, soname, text};

const PROGRAM: &str = r#"
#include <hoopauth.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
  hoopauth_config_t *config = NULL;
  hoopauth_client_t *client = NULL;
  hoopauth_headers_t *headers = NULL;
  hoopauth_status_t status = hoopauth_config_new(&config, NULL);
  if (status == HOOPAUTH_OK) {
    status = hoopauth_config_set(config, "private_integration_token", HOOPAUTH_NUL_TERMINATED,
                                 "pit-1", 5, NULL);
  }
  if (status == HOOPAUTH_OK) {
    status = hoopauth_client_new(config, &client, NULL);
  }
  if (status == HOOPAUTH_OK) {
    status = hoopauth_client_headers(client, NULL, "GET", 3, NULL, &headers, NULL);
  }
  printf("%s %s\n", hoopauth_version(), hoopauth_headers_authorization(headers, NULL));
  hoopauth_headers_free(headers);
  hoopauth_client_free(client);
  hoopauth_config_free(config);
  return status == HOOPAUTH_OK ? 0 : 1;
}
"#;

const CMAKE: &str = "
cmake_minimum_required(VERSION 3.13)
project(user C CXX)
find_package(hoopauth @VERSION@ REQUIRED)
foreach(language c cpp)
  add_executable(${language}_shared main.${language})
  target_link_libraries(${language}_shared PRIVATE hoopauth::hoopauth)
  add_executable(${language}_static main.${language})
  target_link_libraries(${language}_static PRIVATE hoopauth::hoopauth_static)
endforeach()
find_package(hoopauth 0.99 QUIET)
if(hoopauth_FOUND)
  message(FATAL_ERROR \"a version that is not there was found\")
endif()
find_package(hoopauth 1.0 QUIET)
if(hoopauth_FOUND)
  message(FATAL_ERROR \"another ABI was found\")
endif()
";

/// Runs `make` in the source tree.
fn make(bench: &Bench, arguments: &[String]) {
    library("libhoopauth.so");
    let mut command = Command::new("make");
    command.current_dir(root()).args(arguments);
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    let output = finish(&mut command, bench.folder.path());
    assert!(output.status.success(), "make {arguments:?}: {}", text(&output));
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn pkg_config(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(arguments)
        .arg("hoopauth")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .expect("pkg-config is missing: `make test` sets it up");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

fn write_programs(folder: &Path) {
    fs::write(folder.join("main.c"), PROGRAM).unwrap();
    let wrapper = if root().join("bindings/cpp/include/hoopauth.hpp").exists() {
        "#include <hoopauth.hpp>\n"
    } else {
        ""
    };
    fs::write(folder.join("main.cpp"), format!("{wrapper}{PROGRAM}")).unwrap();
}

fn build(bench: &Bench, compiler: &str, name: &str, flags: &[Vec<String>]) -> PathBuf {
    let program = bench.folder.path().join(name);
    let source = bench.folder.path().join(if compiler == "gcc" { "main.c" } else { "main.cpp" });
    let mut command = Command::new(compiler);
    command.args(WARNINGS).arg(source).arg("-o").arg(&program).args(flags.iter().flatten());
    let output = finish(&mut command, bench.folder.path());
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    program
}

/// The program says the right thing, and needs the shared library or not.
fn runs(bench: &Bench, program: &Path, prefix: &Path, shared: bool) {
    let needed = crate::harness::tool("readelf", ["-d".as_ref(), program.as_os_str()]);
    assert_eq!(
        needed.contains(&format!("[{}]", soname())),
        shared,
        "{}: {needed}",
        program.display()
    );
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", prefix.join("lib"));
    let output = finish(&mut command, bench.folder.path());
    assert!(output.status.success(), "{}: {}", program.display(), text(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!(env!("CARGO_PKG_VERSION"), " Bearer pit-1\n"),
        "{}",
        program.display()
    );
}

fn programs_by_pkg_config(bench: &Bench, prefix: &Path) {
    assert_eq!(pkg_config(prefix, &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    let shared = pkg_config(prefix, &["--cflags", "--libs"]);
    let mut statically = pkg_config(prefix, &["--cflags"]);
    statically.extend(pkg_config(prefix, &["--variable=static_libs"]));
    for compiler in ["gcc", "g++"] {
        runs(
            bench,
            &build(bench, compiler, &format!("{compiler}-shared"), std::slice::from_ref(&shared)),
            prefix,
            true,
        );
        runs(
            bench,
            &build(
                bench,
                compiler,
                &format!("{compiler}-static"),
                std::slice::from_ref(&statically),
            ),
            prefix,
            false,
        );
    }
}

fn programs_by_cmake(bench: &Bench, prefix: &Path) {
    let folder = bench.folder.path();
    fs::write(folder.join("CMakeLists.txt"), CMAKE.replace("@VERSION@", env!("CARGO_PKG_VERSION")))
        .unwrap();
    let made = folder.join("made");
    let mut configure = Command::new("cmake");
    configure
        .arg("-S")
        .arg(folder)
        .arg("-B")
        .arg(&made)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    let mut build = Command::new("cmake");
    build.arg("--build").arg(&made);
    for command in [&mut configure, &mut build] {
        let output = finish(command, folder);
        assert!(output.status.success(), "{}", text(&output));
    }
    for language in ["c", "cpp"] {
        runs(bench, &made.join(format!("{language}_shared")), prefix, true);
        runs(bench, &made.join(format!("{language}_static")), prefix, false);
    }
}

#[test]
fn install_move_and_uninstall() {
    let bench = Bench::new();
    write_programs(bench.folder.path());
    let destination = bench.folder.path().join("dest");
    let settings = [
        format!("BUILT={}", built().display()),
        "PREFIX=/opt/hoopauth".to_owned(),
        format!("DESTDIR={}", destination.display()),
        // What is built already is installed without Rust.
        "CARGO=no-such-cargo".to_owned(),
        "RUSTC=no-such-rustc".to_owned(),
    ];
    let with =
        |goal: &str| std::iter::once(goal.to_owned()).chain(settings.clone()).collect::<Vec<_>>();
    make(&bench, &with("install"));
    make(&bench, &with("install"));
    let version = env!("CARGO_PKG_VERSION");
    let mut expected = vec![
        "include/hoopauth.h".to_owned(),
        "lib/cmake/hoopauth/hoopauthConfig.cmake".to_owned(),
        "lib/cmake/hoopauth/hoopauthConfigVersion.cmake".to_owned(),
        "lib/libhoopauth.a".to_owned(),
        "lib/libhoopauth.so".to_owned(),
        format!("lib/{}", soname()),
        format!("lib/libhoopauth.so.{version}"),
        "lib/pkgconfig/hoopauth.pc".to_owned(),
    ];
    if root().join("bindings/cpp/include/hoopauth.hpp").exists() {
        expected.insert(1, "include/hoopauth.hpp".to_owned());
    }
    let prefix = destination.join("opt/hoopauth");
    assert_eq!(files_below(&prefix), expected);
    let lib = prefix.join("lib");
    assert_eq!(fs::read_link(lib.join("libhoopauth.so")).unwrap(), Path::new(&soname()));
    assert_eq!(
        fs::read_link(lib.join(soname())).unwrap(),
        Path::new(&format!("libhoopauth.so.{version}"))
    );
    programs_by_pkg_config(&bench, &prefix);

    // Moved, and looked for by CMake there.
    let moved = bench.folder.path().join("moved");
    fs::rename(&prefix, &moved).unwrap();
    programs_by_cmake(&bench, &moved);
    // Where there is no shared library, the usual line links the static one.
    for name in ["libhoopauth.so".to_owned(), soname()] {
        fs::remove_file(moved.join("lib").join(name)).unwrap();
    }
    let usual = pkg_config(&moved, &["--static", "--cflags", "--libs"]);
    runs(&bench, &build(&bench, "gcc", "gcc-usual", &[usual]), &moved, false);

    make(&bench, &with("install"));
    make(&bench, &with("uninstall"));
    assert_eq!(files_below(&destination), [""; 0]);
}

#[test]
fn the_example_of_the_documentation() {
    let bench = Bench::new();
    let page = fs::read_to_string(root().join("docs/c.md")).unwrap();
    let example = page.split_once("```c\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let source = bench.folder.path().join("example.c");
    fs::write(&source, example).unwrap();
    let program = bench.compile(&source, crate::harness::Mode::Plain, "-lhoopauth");
    let run = |token: &str| {
        let mut command = Command::new(&program);
        command
            .env_clear()
            .env("LD_LIBRARY_PATH", bench.folder.path())
            .env("HOOPAUTH_PRIVATE_INTEGRATION_TOKEN", token);
        finish(&mut command, bench.folder.path())
    };
    let output = run("pit-1");
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).starts_with("Authorization: 12 characters\n"),
        "{}",
        text(&output)
    );
    let output = run("no header\n");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("CONFIG: "), "{}", text(&output));
}

#[test]
fn the_receiver_of_the_documentation() {
    let bench = Bench::new();
    let page = fs::read_to_string(root().join("docs/c.md")).unwrap();
    let receiver = page.split("```c\n").nth(2).and_then(|rest| rest.split_once("```")).unwrap().0;
    let source = bench.folder.path().join("receiver.c");
    fs::write(&source, format!("{receiver}\n{RECEIVED}")).unwrap();
    let program = bench.compile(&source, crate::harness::Mode::Plain, "-lhoopauth");
    let output = bench.run(&program, crate::harness::Mode::Plain, &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ContactCreate w-received\n");
}

/// Gives the receiver one webhook three times: unsigned, signed, and signed again.
const RECEIVED: &str = r#"
#include "http.h"

int main(void)
{
  hoopauth_client_t *client = client_of(app_config());
  hoopauth_webhook_config_t *config = NULL;
  hoopauth_webhook_verifier_t *verifier = make_verifier(client, NULL);
  CHECK(verifier != NULL);
  const char *sign = "{\"event\":{\"type\":\"ContactCreate\",\"webhookId\":\"w-received\"},\"schemes\":[\"hmac-sha256\"]}";
  char *keys = control("GET", "webhooks/keys", ""), *made = control("POST", "webhooks/sign", sign);
  const char *scheme = strstr(keys, "\"scheme\":\"hmac-sha256\"");
  const char *body = strstr(made, "\"body\":\"");
  while (*scheme != '{') scheme--;
  char *key = member(scheme, "key"), *to = made;
  const char *at = strstr(made, "[[\"") + 3;
  char *name = strndup(at, strcspn(at, "\""));
  at = strchr(at, ',') + 2;
  char *value = strndup(at, strcspn(at, "\""));
  hoopauth_header_t header = {name, NUL, value, NUL};
  for (body += 8; *body != '"'; body++) *to++ = *body == '\\' ? *++body : *body;
  size_t len = (size_t)(to - made);
  CHECK(receive(client, verifier, NULL, 0, (unsigned char *)made, len) == 401);
  hoopauth_webhook_verifier_free(verifier);
  OK(hoopauth_webhook_config_new(&config, &err));
  OK(hoopauth_webhook_config_add_key(config, "hmac-sha256", NUL, "own", NUL, key, NUL, 0, 0, &err));
  OK(hoopauth_webhook_verifier_new(client, config, &verifier, &err));
  CHECK(receive(client, verifier, &header, 1, (unsigned char *)made, len) == 200);
  CHECK(receive(client, verifier, &header, 1, (unsigned char *)made, len) == 200);
  hoopauth_webhook_config_free(config);
  hoopauth_webhook_verifier_free(verifier);
  hoopauth_client_free(client);
  free(keys), free(made), free(key), free(name), free(value);
  return 0;
}
"#;
