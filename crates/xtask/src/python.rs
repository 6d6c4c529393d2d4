//! Python: the exceptions, the types of options, the scopes.

use std::fmt::Write as _;

use hoopauth::webhook::WEBHOOK_OPTIONS;
use hoopauth::{ErrorCode, OPTIONS, OptionKind, OptionRow};

use crate::Result;
use crate::blocks::{replace, wrapped_at};
use crate::sources::Sources;

/// Makes the exceptions.
pub(crate) fn errors(sources: &Sources) -> Result<String> {
    let mut classes = String::new();
    for code in &sources.codes {
        let (class, number, name) = (&code.variant, code.number, &code.name);
        let _ = write!(classes, "\n\nclass {class}(Error):\n{}\n", docstring(&code.text, "    "));
        let _ = writeln!(classes, "    code = {number}\n    name = \"{name}\"");
    }
    classes.push_str("\n\n");
    let blocks = [("exports", exception_names(sources)), ("errors", classes)];
    replace("python/hoopauth/_errors.py", &blocks)
}

/// Makes the package's list of its names: type checkers take literals only.
pub(crate) fn package(sources: &Sources) -> Result<String> {
    let exports = exception_names(sources);
    let blocks = [("imports", exports.replace('"', "")), ("exports", exports)];
    replace("python/hoopauth/__init__.py", &blocks)
}

fn exception_names(sources: &Sources) -> String {
    let mut names: Vec<&str> = sources.codes.iter().map(|code| code.variant.as_str()).collect();
    names.push("Error");
    names.sort_unstable();
    quoted(&names)
}

/// Makes the types of the options.
pub(crate) fn types() -> Result<String> {
    let rows = |rows: &[OptionRow]| rows.iter().map(option).collect::<String>();
    replace(
        "python/hoopauth/types.py",
        &[("options", rows(OPTIONS)), ("webhook options", rows(WEBHOOK_OPTIONS))],
    )
}

/// The lines of a list of names.
fn quoted(names: &[&str]) -> String {
    let lines: Vec<String> = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    lines.concat()
}

fn option(row: &OptionRow) -> String {
    let words = |words: &[&str]| {
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("Literal[{}]", quoted.join(", "))
    };
    let kind = match row.kind {
        OptionKind::Seconds(..) => "float | str".to_owned(),
        OptionKind::Number(..) => "int | str".to_owned(),
        OptionKind::List => "str | Sequence[str]".to_owned(),
        OptionKind::UserType => words(&["Location", "Company"]),
        OptionKind::Boolean => "bool | str".to_owned(),
        OptionKind::Choice(choices) => words(choices),
        // The one option that is a path and nothing else.
        _ if row.name == "ca_file" => "str | PathLike[str]".to_owned(),
        _ => "str".to_owned(),
    };
    format!("    {}: {kind} | None\n{}", row.name, docstring(&said(row.meaning), "    "))
}

/// A text of the core in Python's words.
fn said(text: &str) -> String {
    let mut text = text.replace("`true`", "`True`").replace("`false`", "`False`");
    for code in ErrorCode::ALL {
        let class = format!("`hoopauth.{code:?}`");
        text = text.replace(&format!("`{}`", code.name()), &class);
    }
    text
}

/// Makes the constants of the scopes.
pub(crate) fn scopes(sources: &Sources) -> Result<String> {
    let mut names: Vec<&str> = sources.scopes.iter().map(|scope| scope.name.as_str()).collect();
    names.sort_unstable();
    let exports = quoted(&names);
    let mut constants = String::new();
    for scope in &sources.scopes {
        let _ = writeln!(constants, "{}: Final = \"{}\"", scope.name, scope.value);
        constants += &docstring(&scope.text, "");
    }
    replace("python/hoopauth/scopes.py", &[("exports", exports), ("scopes", constants)])
}

/// A docstring, in one line if it fits.
fn docstring(text: &str, indent: &str) -> String {
    let line = format!("{indent}\"\"\"{text}\"\"\"\n");
    if line.chars().count() <= 101 {
        return line;
    }
    // Three columns less: a text in one line would have its end moved there by the formatter.
    let body = wrapped_at(97, &format!("\"\"\"{text}"), indent);
    format!("{body}{indent}\"\"\"\n")
}
