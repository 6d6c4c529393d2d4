//! Generated blocks in files that are otherwise written by hand, and wrapped text.

use crate::{Result, read};

/// Reads a file and replaces its blocks: the lines between `BEGIN generated: NAME` and `END
/// generated`. Each pair is a name and the new lines.
pub(crate) fn replace(path: &str, blocks: &[(&str, String)]) -> Result<String> {
    let mut text = read(path)?;
    for (name, lines) in blocks {
        let missing = || format!("{path}: the marks of the block `{name}` are missing");
        let begin = text.find(&format!("BEGIN generated: {name}\n")).ok_or_else(missing)?;
        let start = begin + text[begin..].find('\n').ok_or_else(missing)? + 1;
        let mark = start + text[start..].find("END generated").ok_or_else(missing)?;
        let end = text[..mark].rfind('\n').ok_or_else(missing)? + 1;
        text.replace_range(start..end, lines);
    }
    Ok(text)
}

/// Breaks text into lines of at most 100 columns, each behind `prefix`.
pub(crate) fn wrapped(text: &str, prefix: &str) -> String {
    wrapped_at(100, text, prefix)
}

/// Breaks text into lines of at most `columns`.
pub(crate) fn wrapped_at(columns: usize, text: &str, prefix: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width <= columns {
            lines.push(' ');
            column += 1;
        } else {
            if column > 0 {
                lines.push('\n');
            }
            lines.push_str(prefix);
            column = prefix.len();
        }
        lines.push_str(word);
        column += width;
    }
    lines.push('\n');
    lines
}
