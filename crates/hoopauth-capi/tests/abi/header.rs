//! The header: made anew it is the one that is committed; it compiles everywhere, says what it
//! must, and is what the library exports.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use hoopauth_core::ErrorCode;
use hoopauth_core::operations::scopes;

use crate::harness::{WARNINGS, built, library, root, soname, text, tool};

/// A function as the header declares it.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) returns: String,
    /// Type and name.
    pub(crate) parameters: Vec<(String, String)>,
    comment: String,
}

pub(crate) fn header() -> String {
    fs::read_to_string(root().join("include/hoopauth.h")).unwrap()
}

/// Every declaration with the comment before it, members of structs as `struct.member`.
fn declarations() -> Vec<(String, String)> {
    let header = header();
    let body = header.split_once("extern \"C\" {").unwrap().1;
    let mut found = Vec::new();
    let (mut comment, mut code, mut members): (String, String, Vec<(String, String)>) =
        Default::default();
    let mut in_comment = false;
    for line in body.lines().map(str::trim) {
        if in_comment || line.starts_with("/*") {
            if !in_comment {
                comment.clear();
            }
            comment += line;
            comment += "\n";
            in_comment = !line.ends_with("*/");
        } else if let Some(constant) = line.strip_prefix("#define ") {
            found.push((format!("#define {constant}"), std::mem::take(&mut comment)));
        } else if line.starts_with('#') || line.is_empty() {
            comment.clear();
        } else if line == "typedef struct {" {
            members = vec![(String::new(), std::mem::take(&mut comment))];
        } else if let (Some(name), false) = (line.strip_prefix("} "), members.is_empty()) {
            for (member, comment) in members.drain(..) {
                found.push((format!("typedef {} {member}", name.trim_end_matches(';')), comment));
            }
        } else {
            code += line;
            code += " ";
            if line.ends_with(';') {
                let declared = (std::mem::take(&mut code), std::mem::take(&mut comment));
                if members.is_empty() { found.push(declared) } else { members.push(declared) }
            }
        }
    }
    found
}

pub(crate) fn functions() -> Vec<Function> {
    let is_function =
        |(code, _): &(String, String)| !code.starts_with("typedef") && code.contains('(');
    declarations()
        .into_iter()
        .filter(is_function)
        .map(|(code, comment)| {
            let (front, parameters) = code.split_once('(').unwrap();
            let (returns, name) = split_name(front);
            let parameters = parameters.split_once(')').unwrap().0;
            let parameters =
                parameters.split(',').map(str::trim).filter(|p| *p != "void").map(split_name);
            Function { name, returns, parameters: parameters.collect(), comment }
        })
        .collect()
}

/// Parts `const char *name` into type and name.
fn split_name(declared: &str) -> (String, String) {
    let declared = declared.trim();
    let at = declared.rfind([' ', '*']).unwrap() + 1;
    (declared[..at].trim().to_owned(), declared[at..].to_owned())
}

fn one_line(comment: &str) -> String {
    comment.split_whitespace().filter(|word| *word != "*").collect::<Vec<_>>().join(" ")
}

#[test]
fn is_made_of_the_sources() {
    let generator = built().join("examples/header");
    let output = Command::new(&generator).output();
    let output =
        output.unwrap_or_else(|error| panic!("{}: {error}: run `make test`", generator.display()));
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        String::from_utf8(output.stdout).unwrap() == header(),
        "run `make header` and commit what it writes"
    );
}

#[test]
fn compiles_alone_and_twice_in_every_standard() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (compiler, standards) in
        [("gcc", &["c99", "c11", "c17"][..]), ("g++", &["c++11", "c++17", "c++20"][..])]
    {
        for standard in standards {
            for includes in [1, 2] {
                let source = folder.path().join(if compiler == "gcc" { "a.c" } else { "a.cpp" });
                fs::write(&source, "#include <hoopauth.h>\n".repeat(includes)).unwrap();
                let output = Command::new(compiler)
                    .arg(format!("-std={standard}"))
                    .args(WARNINGS)
                    .args(["-fsyntax-only", "-I"])
                    .arg(root().join("include"))
                    .arg(&source)
                    .stdin(Stdio::null())
                    .output()
                    .expect("a compiler is missing: `make test` sets it up");
                assert!(output.status.success(), "{compiler} {standard}: {}", text(&output));
            }
        }
    }
}

#[test]
fn every_declaration_says_what_it_is() {
    let declarations = declarations();
    assert!(declarations.len() > 200, "only {} declarations were found", declarations.len());
    for (code, comment) in &declarations {
        assert!(comment.contains("*/") && comment.len() > 15, "`{code}` has no comment of its own");
    }
}

#[test]
fn every_function_keeps_the_contract() {
    let functions = functions();
    assert!(functions.len() > 100, "only {} functions were found", functions.len());
    for Function { name, returns, parameters, comment } in &functions {
        assert!(name.starts_with("hoopauth_"), "{name}");
        assert!(one_line(comment).contains("Since 0."), "{name}: since when?");
        let last = parameters.last().map(|(kind, name)| (kind.as_str(), name.as_str()));
        let fallible = returns == "hoopauth_status_t" && name != "hoopauth_error_code";
        assert_eq!(
            fallible,
            last == Some(("hoopauth_error_t **", "err")),
            "{name}: status and err go together"
        );
        assert_eq!(
            fallible,
            one_line(comment).contains("Errors: "),
            "{name}: its comment names its errors"
        );
        // In-parameters, then the out-parameter, then err.
        let outs: Vec<usize> = parameters
            .iter()
            .enumerate()
            .filter(|(_, (kind, name))| kind.ends_with("**") && name != "err")
            .map(|(index, _)| index)
            .collect();
        assert!(
            outs.is_empty() || outs == [parameters.len() - 2],
            "{name}: the out-parameter stands before err"
        );
        for (index, (kind, parameter)) in parameters.iter().enumerate() {
            if kind == "const char *" || kind == "const uint8_t *" {
                assert_eq!(
                    parameters.get(index + 1),
                    Some(&("size_t".to_owned(), format!("{parameter}_len"))),
                    "{name}: each text has its length"
                );
            }
        }
    }
    for handle in functions.iter().filter_map(|function| function.name.strip_suffix("_free")) {
        let free =
            functions.iter().find(|function| function.name == format!("{handle}_free")).unwrap();
        assert_eq!((free.returns.as_str(), free.parameters.len()), ("void", 1), "{handle}");
    }
}

#[test]
fn every_language_says_the_same_of_a_code() {
    // The same words, however each language wraps and marks its comments.
    let words = |text: &str| {
        text.lines()
            .flat_map(|line| {
                let line = line.trim();
                let marks = ["///", "* ", "\"\"\""];
                marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).split(' ')
            })
            .map(|word| word.trim_end_matches("\"\"\"").replace('`', ""))
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let core = read("crates/hoopauth/src/error.rs");
    let (header, python) = (words(&header()), words(&read("python/hoopauth/_errors.py")));
    for code in ErrorCode::ALL {
        let (number, name) = (code.number(), code.name());
        let (before, _) = core.split_once(&format!(" = {number} \"{name}\"")).unwrap();
        let is_comment = |line: &&str| line.trim().starts_with("///");
        let mut comment: Vec<&str> = before.lines().rev().skip(1).take_while(is_comment).collect();
        comment.reverse();
        let said = words(&comment.join("\n"));
        let in_header = format!("{said} */ #define HOOPAUTH_{name} {number} ");
        assert!(header.contains(&in_header), "{in_header}");
        let in_python = format!("{said} code = {number} ");
        assert!(python.contains(&in_python), "{in_python}");
    }
}

#[test]
fn the_scopes_are_those_of_the_core() {
    let text = header();
    let found: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#define HOOPAUTH_SCOPE_")?.split_once(' '))
        .map(|(name, scope)| (name, scope.trim_matches('"')))
        .collect();
    let core = [
        ("CONTACTS_READONLY", scopes::CONTACTS_READONLY),
        ("CONTACTS_WRITE", scopes::CONTACTS_WRITE),
        ("CONVERSATIONS_READONLY", scopes::CONVERSATIONS_READONLY),
        ("CONVERSATIONS_WRITE", scopes::CONVERSATIONS_WRITE),
        ("CALENDARS_READONLY", scopes::CALENDARS_READONLY),
        ("CALENDARS_WRITE", scopes::CALENDARS_WRITE),
        ("OPPORTUNITIES_READONLY", scopes::OPPORTUNITIES_READONLY),
        ("OPPORTUNITIES_WRITE", scopes::OPPORTUNITIES_WRITE),
    ];
    assert_eq!(found, core.into());
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    let listed: BTreeSet<String> = fs::read_to_string(root().join("tests/c/symbols.txt"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let declared: BTreeSet<String> =
        functions().into_iter().map(|function| function.name).collect();
    assert_eq!(declared, listed, "tests/c/symbols.txt is not what the header declares");
    let so = library("libhoopauth.so");
    let exported = tool(
        "nm",
        ["-D".as_ref(), "--defined-only".as_ref(), "--format=posix".as_ref(), so.as_os_str()],
    );
    let exported: BTreeSet<String> =
        exported.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(exported, listed, "the library exports something else than tests/c/symbols.txt");
}

#[test]
fn the_library_has_its_name_and_stays_loaded() {
    let so = library("libhoopauth.so");
    let dynamic = tool("readelf", ["-d".as_ref(), so.as_os_str()]);
    assert!(dynamic.contains(&format!("Library soname: [{}]", soname())), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
