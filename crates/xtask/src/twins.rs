//! The throwing twins of the C++ header: `headers` from `try_headers`, in each class.
//!
//! A class says where they stand with the block `throwing CLASS`, behind its `try_` functions. A
//! twin that does more than its `try_` function is written by hand, outside the block, and then
//! left out of it.

use std::fmt::Write as _;

use crate::Result;

/// Replaces the blocks of twins in the header.
pub(crate) fn replace(header: &str) -> Result<String> {
    let mut text = header.to_owned();
    let mut from = 0;
    while let Some(found) = text[from..].find(BEGIN) {
        let mark = from + found + BEGIN.len();
        let class = text[mark..].lines().next().unwrap_or_default().to_owned();
        let start = mark + class.len() + 1;
        let missing = || format!("the block of `{class}` has no end");
        let mark_of_end = start + text[start..].find("// END generated").ok_or_else(missing)?;
        let end = text[..mark_of_end].rfind('\n').ok_or_else(missing)? + 1;
        let opening = format!("\nclass {class} {{\n");
        let own = text[..start]
            .rfind(&opening)
            .ok_or_else(|| format!("the block of `{class}` stands in no such class"))?;
        let class_end = end + text[end..].find("\n};").ok_or_else(missing)?;
        let by_hand = format!("{}{}", &text[own..start], &text[end..class_end]);
        let twins = twins(&class, &text[own..start], &by_hand);
        text.replace_range(start..end, &twins);
        from = start + twins.len();
    }
    Ok(text)
}

/// A `try_` function.
struct Function<'a> {
    name: &'a str,
    is_static: bool,
    is_const: bool,
    /// The type in `result<…>`.
    value: &'a str,
    /// The parameters as they are written.
    parameters: Vec<&'a str>,
}

/// Writes the twins of the functions in `source`.
fn twins(class: &str, source: &str, by_hand: &str) -> String {
    let mut text = String::new();
    for function in functions(source) {
        let twin = Twin::of(class, &function);
        let written = format!(" {}(", twin.name);
        let is_written = by_hand.lines().any(|line| {
            line.starts_with("    ")
                && !line.contains("///")
                && !line.contains("return")
                && line.contains(&written)
        });
        if !function.is_static && is_written {
            continue;
        }
        let why = if twin.name == function.name || function.is_static {
            String::new()
        } else {
            format!(" (`{}` is a word of the language.)", function.name)
        };
        let _ = writeln!(text, "    /// Does the same as try_{}, and throws.{why}", function.name);
        text.push_str(&twin.formatted());
    }
    text
}

/// A twin, in the parts that it is put together of.
struct Twin {
    name: String,
    /// The text before the parameters, such as `grant& set_scopes`.
    head: String,
    parameters: Vec<String>,
    /// The text behind the parameters, such as ` const`.
    tail: &'static str,
    /// The call of the `try_` function.
    call: String,
    /// The statement around the call.
    kind: Kind,
}

enum Kind {
    Constructor(String),
    Returns,
    Chains,
    Nothing,
}

impl Twin {
    fn of(class: &str, function: &Function<'_>) -> Self {
        let name = match function.name {
            // These are words of the language.
            "import" | "export" => format!("{}_grant", function.name),
            name => name.to_owned(),
        };
        let passed: Vec<String> = function.parameters.iter().map(|it| argument(it)).collect();
        let call = format!("try_{}({})", function.name, passed.join(", "));
        let (head, kind) = if function.is_static {
            let explicit = if function.parameters.len() == 1 { "explicit " } else { "" };
            (format!("{explicit}{class}"), Kind::Constructor(class.to_owned()))
        } else if function.value != "void" {
            (format!("{} {name}", function.value), Kind::Returns)
        } else if function.is_const {
            (format!("void {name}"), Kind::Nothing)
        } else {
            (format!("{class}& {name}"), Kind::Chains)
        };
        Self {
            name,
            head,
            parameters: function.parameters.iter().map(|&it| it.to_owned()).collect(),
            tail: if function.is_const { " const" } else { "" },
            call,
            kind,
        }
    }

    /// Writes it as the formatter of the tree does.
    fn formatted(&self) -> String {
        let one_line = self.parameters.join(", ");
        let call = format!("{}.value()", self.call);
        let statement = match &self.kind {
            Kind::Constructor(class) => {
                let head = format!("{INDENT}{}({one_line})", self.head);
                let rest = format!(": {class}({call}) {{}}");
                return if head.len() + rest.len() < WIDTH {
                    format!("{head} {rest}\n")
                } else {
                    format!("{head}\n{INDENT}{INDENT}{rest}\n")
                };
            }
            Kind::Returns => format!("return {call};"),
            Kind::Chains => format!("return {call}, *this;"),
            Kind::Nothing => format!("{call};"),
        };
        let head = format!("{INDENT}{}({one_line}){} {{", self.head, self.tail);
        let whole = format!("{head} {statement} }}\n");
        if whole.trim_end().len() <= WIDTH {
            return whole;
        }
        let head = if head.len() <= WIDTH { head } else { self.filled() };
        let mut body = format!("{INDENT}{INDENT}{statement}");
        if body.len() > WIDTH {
            body = body.replace(".value()", &format!("\n{INDENT}{INDENT}{INDENT}.value()"));
        }
        format!("{head}\n{body}\n{INDENT}}}\n")
    }

    /// Writes the head with its parameters below each other where a line is full.
    fn filled(&self) -> String {
        let mut text = format!("{INDENT}{}(", self.head);
        let column = text.len();
        let mut used = column;
        let last = self.parameters.len() - 1;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let behind = if index == last { ")".len() + self.tail.len() + 2 } else { 1 };
            let space = usize::from(used > column);
            if used > column && used + space + parameter.len() + behind > WIDTH {
                let _ = write!(text, "\n{:column$}", "");
                used = column;
            } else if space > 0 {
                text.push(' ');
                used += 1;
            }
            text.push_str(parameter);
            used += parameter.len();
            if index < last {
                text.push(',');
                used += 1;
            }
        }
        let _ = write!(text, "){} {{", self.tail);
        text
    }
}

/// Finds the `try_` functions of a class.
fn functions(source: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("result<") {
        let line_start = rest[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = &rest[line_start..at];
        let is_static = before == "    static ";
        let behind = &rest[at + "result<".len()..];
        rest = behind;
        if !is_static && before != "    " {
            continue;
        }
        let Some(value_end) = behind.find("> try_") else { continue };
        let value = &behind[..value_end];
        let signature = &behind[value_end + "> try_".len()..];
        let (Some(open), false) = (signature.find('('), value.contains(['\n', ';'])) else {
            continue;
        };
        let Some(close) = closing(&signature[open..]).map(|close| open + close) else { continue };
        let is_const = signature[close + 1..].trim_start().starts_with("const");
        let parameters = split(&signature[open + 1..close]);
        found.push(Function { name: &signature[..open], is_static, is_const, value, parameters });
    }
    found
}

/// Returns the place of the parenthesis that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Splits parameters at the commas that stand in no brackets.
fn split(parameters: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0, 0, Vec::new());
    for (at, byte) in parameters.bytes().enumerate() {
        match byte {
            b'(' | b'<' | b'{' => depth += 1,
            b')' | b'>' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                all.push(parameters[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(parameters[start..].trim());
    all.retain(|parameter| !parameter.is_empty());
    all
}

/// Returns the argument that passes a parameter on.
fn argument(parameter: &str) -> String {
    let declared = parameter.split('=').next().unwrap_or_default().trim();
    let name = declared.rsplit([' ', '&']).next().unwrap_or_default();
    if declared.starts_with("std::shared_ptr<") {
        format!("std::move({name})")
    } else {
        name.to_owned()
    }
}

const BEGIN: &str = "// BEGIN generated: throwing ";
const INDENT: &str = "    ";
const WIDTH: usize = 100;
