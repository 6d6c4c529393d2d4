//! The C++ wrapper: its header alone, and programs in both of its forms against the emulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod programs;

use std::process::Command;

use hoopauth_emulator::{Config, Emulator};
use programs::{Programs, SANITIZED, STRICT, includes, root, succeed};

#[test]
fn the_header_compiles_alone_and_twice_in_each_standard_and_form() {
    let programs = Programs::new();
    let source = programs.folder().join("header.cpp");
    std::fs::write(&source, "#include <hoopauth.hpp>\n#include <hoopauth.hpp>\n").unwrap();
    let more =
        ["-Wshadow", "-Wnon-virtual-dtor", "-Wold-style-cast", "-Wconversion", "-Wsign-conversion"];
    for standard in ["-std=c++17", "-std=c++20"] {
        for form in [&[][..], &["-fno-exceptions", "-fno-rtti"]] {
            let mut compiler = Command::new("g++");
            compiler
                .args([standard, "-fsyntax-only"])
                .args(form)
                .args(STRICT)
                .args(more)
                .args(includes());
            succeed(compiler.arg(&source));
        }
    }
}

#[test]
fn everything_of_the_header_is_documented() {
    let header = std::fs::read_to_string(root().join("bindings/cpp/include/hoopauth.hpp")).unwrap();
    let lines: Vec<&str> = header.lines().collect();
    let mut inside_detail = false;
    let mut checked = 0;
    for (at, line) in lines.iter().enumerate() {
        inside_detail = match *line {
            "namespace detail {" => true,
            "}  // namespace detail" => false,
            _ => inside_detail,
        };
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
        let declares = match indent {
            0 => {
                begins(&["class ", "struct ", "enum ", "using ", "inline ", "template "])
                    && !text.ends_with(';')
            }
            // A function or a member of a class; what follows a template line or ends one belongs
            // to what is above.
            4 => begins(&[
                "virtual ",
                "static ",
                "explicit ",
                "result<",
                "std::",
                "bool ",
                "moment ",
                "void ",
                "config& ",
                "client ",
                "hoopauth::",
            ]),
            _ => false,
        };
        let bodiless = text.starts_with("hoopauth::") && text.ends_with("_;")
            || text.starts_with("std::") && text.ends_with("_;")
            || text.contains("= default;")
            || text.starts_with("inline namespace");
        if inside_detail || !declares || bodiless || at == 0 {
            continue;
        }
        // The inside of a function's body is indented further, and private parts come last.
        let before = lines[at - 1].trim_start();
        let private = lines[..at]
            .iter()
            .rev()
            .find(|line| ["public:", "private:", "protected:"].contains(line));
        if private == Some(&"private:") || before.starts_with("template") {
            continue;
        }
        assert!(
            before.starts_with("///") || lines[at].contains("///<"),
            "line {} has no comment: {line}",
            at + 1
        );
        checked += 1;
    }
    assert!(checked > 150, "only {checked} declarations were found");
}

#[test]
fn the_throwing_form_does_everything() {
    let programs = Programs::new();
    let wrapper = programs.cpp("tests/cpp/wrapper.cpp", &[&["-std=c++17"], SANITIZED].concat());
    play(&programs, &wrapper);
}

#[test]
fn the_form_without_exceptions() {
    let programs = Programs::new();
    let flags = [&["-std=c++20", "-fno-exceptions", "-fno-rtti"], SANITIZED].concat();
    let program = programs.cpp("tests/cpp/no_exceptions.cpp", &flags);
    play(&programs, &program);
}

#[test]
fn both_forms_in_one_program() {
    let programs = Programs::new();
    let object = programs.folder().join("without.o");
    let source = root().join("tests/cpp/forms.cpp");
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-fno-exceptions", "-c"]).args(STRICT).args(includes());
    succeed(compiler.arg(&source).arg("-o").arg(&object));
    // First in the line, it is what the linker takes of what both have.
    let program = programs.cpp("tests/cpp/forms.cpp", &["-std=c++17", object.to_str().unwrap()]);
    succeed(&mut programs.command(&program));
}

fn play(programs: &Programs, program: &std::path::Path) {
    let emulator = Emulator::start(Config::default()).unwrap();
    let addresses = serde_json::json!({
        "api": emulator.api(),
        "authorize": emulator.authorize_url(),
        "token": emulator.token(),
        "location_token": emulator.location_token(),
        "control": emulator.control(),
    });
    let said = succeed(programs.command(program).arg(addresses.to_string()));
    assert!(said.ends_with("all passed\n"), "{said}");
}
