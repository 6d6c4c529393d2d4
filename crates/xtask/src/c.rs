//! C and C++: the status codes, the exported symbols, the tables of the C++ header.

use std::fmt::Write as _;

use crate::Result;
use crate::blocks::{replace, wrapped};
use crate::sources::Sources;

/// A declaration of the header with its comment; members of a struct have declarations of their
/// own.
pub(crate) struct Declaration {
    pub(crate) code: String,
    pub(crate) comment: String,
    pub(crate) members: Vec<(String, String)>,
}

impl Declaration {
    pub(crate) fn is_constant(&self) -> bool {
        self.code.starts_with("#define ")
    }

    pub(crate) fn is_type(&self) -> bool {
        self.code.starts_with("typedef ")
    }

    pub(crate) fn is_function(&self) -> bool {
        !self.is_constant() && !self.is_type()
    }

    /// The name that is declared.
    pub(crate) fn name(&self) -> &str {
        let code = self.code.trim_start_matches("#define ");
        if self.is_constant() {
            return code.split(' ').next().unwrap_or(code);
        }
        if let Some((_, pointer)) = code.split_once("(*").filter(|_| self.is_type()) {
            return pointer.split(')').next().unwrap_or(pointer);
        }
        let front = if self.is_function() { code.split('(').next().unwrap_or(code) } else { code };
        front.rsplit([' ', '*']).next().unwrap_or(front).trim_end_matches(';')
    }
}

/// Reads the declarations of the header, whose form is cbindgen's.
pub(crate) fn declarations(header: &str) -> Vec<Declaration> {
    let body = header.split_once("extern \"C\" {").map_or("", |(_, body)| body);
    let mut found = Vec::new();
    let (mut comment, mut code) = (String::new(), String::new());
    let mut structure: Option<Declaration> = None;
    let mut in_comment = false;
    for line in body.lines().map(str::trim) {
        if in_comment || line.starts_with("/*") {
            if !in_comment {
                comment.clear();
            }
            in_comment = !line.ends_with("*/");
            let words = line.trim_start_matches("/*").trim_end_matches("*/");
            let words = words.trim_start_matches('*').trim();
            if words.is_empty() && !comment.is_empty() && in_comment {
                comment.push('\n');
            } else if !words.is_empty() {
                if !comment.is_empty() && !comment.ends_with('\n') {
                    comment.push(' ');
                }
                comment.push_str(words);
            }
            continue;
        }
        let taken = || (String::new(), Vec::new());
        if line.starts_with("#define ") {
            let (_, members) = taken();
            let comment = std::mem::take(&mut comment);
            found.push(Declaration { code: line.to_owned(), comment, members });
        } else if line.starts_with('#') || line.is_empty() || line.starts_with("} /*") {
            comment.clear();
        } else if line == "typedef struct {" {
            let (code, members) = taken();
            structure = Some(Declaration { code, comment: std::mem::take(&mut comment), members });
        } else if let (Some(name), Some(mut whole)) =
            (line.strip_prefix("} "), structure.take_if(|_| line.starts_with("} ")))
        {
            whole.code = format!("typedef struct {name}");
            found.push(whole);
        } else {
            if !code.is_empty() {
                code.push(' ');
            }
            code.push_str(line);
            if line.ends_with(';') {
                let (code, comment) = (std::mem::take(&mut code), std::mem::take(&mut comment));
                match &mut structure {
                    Some(whole) => whole.members.push((code, comment)),
                    None => found.push(Declaration { code, comment, members: Vec::new() }),
                }
            }
        }
    }
    found
}

/// Lists the functions that the library exports.
pub(crate) fn symbols(declarations: &[Declaration]) -> String {
    let functions = declarations.iter().filter(|declaration| declaration.is_function());
    let mut names: Vec<&str> = functions.map(Declaration::name).collect();
    names.sort_unstable();
    names.join("\n") + "\n"
}

/// Makes the status codes of the C library.
pub(crate) fn status(sources: &Sources) -> Result<String> {
    let (mut constants, mut names) = (String::new(), String::new());
    for code in &sources.codes {
        constants += &wrapped(&code.text, "/// ");
        let (name, number) = (&code.name, code.number);
        let _ = writeln!(constants, "pub const HOOPAUTH_{name}: hoopauth_status_t = {number};");
        let _ = writeln!(names, "        HOOPAUTH_{name} => c\"{name}\",");
    }
    replace("crates/hoopauth-capi/src/status.rs", &[("codes", constants), ("names", names)])
}

/// Makes the tables of the C++ header.
pub(crate) fn cpp(sources: &Sources) -> Result<String> {
    let rows = sources
        .codes
        .iter()
        .map(|code| format!("    X({}, {})", code.name.to_lowercase(), code.name));
    let rows: Vec<String> =
        std::iter::once("#define HOOPAUTH_CODES_(X)".to_owned()).chain(rows).collect();
    let width = rows.iter().map(String::len).max().unwrap_or(0);
    let mut codes = String::new();
    for (index, row) in rows.iter().enumerate() {
        if index + 1 < rows.len() {
            let _ = writeln!(codes, "{row:width$} \\");
        } else {
            let _ = writeln!(codes, "{row}");
        }
    }
    let mut scopes = String::new();
    for scope in &sources.scopes {
        scopes += &wrapped(&scope.text, "/// ");
        let declared = format!("inline constexpr std::string_view {}", scope.name.to_lowercase());
        let _ = writeln!(scopes, "{declared} = HOOPAUTH_SCOPE_{};", scope.name);
    }
    replace("bindings/cpp/include/hoopauth.hpp", &[("codes", codes), ("scopes", scopes)])
}
