//! From the list of operations to the sorted table, and to the page of scopes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub(crate) const OPERATIONS: &str = include_str!("operations.tsv");

/// The source of the sorted table.
pub(crate) fn table(list: &str) -> Result<String, String> {
    let rows = parse(list)?;
    if let Some(twice) = rows
        .windows(2)
        .find(|pair| pair[0].method == pair[1].method && pair[0].segments().eq(pair[1].segments()))
    {
        return Err(format!("{} {} is in the list twice", twice[0].method, twice[0].path));
    }
    // The lookup takes all segments from `{` on for parameters.
    let odd = |segment: &str| segment >= "{" && !segment.starts_with('{');
    if let Some(row) = rows.iter().find(|row| row.segments().any(odd)) {
        return Err(format!("{} has a segment that sorts behind parameters", row.path));
    }
    let methods = distinct(rows.iter().map(|row| row.method));
    let versions = distinct(rows.iter().filter_map(|row| row.version));
    let scopes = distinct(rows.iter().filter_map(|row| row.scope));

    let mut source = String::from(TABLE_HEAD);
    write_words(&mut source, "METHODS", &methods);
    write_words(&mut source, "VERSIONS", &versions);
    write_words(&mut source, "SCOPES", &scopes);
    let _ = writeln!(source, "\npub(super) static ROWS: [Row; {}] = [", rows.len());
    for row in &rows {
        let classes = match (row.location, row.company) {
            (true, true) => "Both",
            (true, false) => "Location",
            (false, true) => "Company",
            (false, false) => "Undocumented",
        };
        let _ = writeln!(
            source,
            "    Row {{ path: {:?}, method: {}, version: {:?}, classes: {classes}, \
             private_integration: {}, scope: {:?} }},",
            row.path,
            position(&methods, row.method),
            row.version.map(|version| position(&versions, version)),
            row.private_integration,
            row.scope.map(|scope| position(&scopes, scope)),
        );
    }
    source.push_str("];\n");
    Ok(source)
}

/// The page that lists every scope with its operations, in Markdown.
pub(crate) fn page(list: &str) -> Result<String, String> {
    let mut by_scope: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in parse(list)? {
        if let Some(scope) = row.scope {
            by_scope.entry(scope).or_default().push(format!("`{} {}`", row.method, row.path));
        }
    }
    let mut page = String::from(PAGE_HEAD);
    for (scope, operations) in by_scope {
        let _ = writeln!(page, "| `{scope}` | {} |", operations.join(", "));
    }
    Ok(page)
}

struct Row<'a> {
    method: &'a str,
    path: &'a str,
    version: Option<&'a str>,
    location: bool,
    company: bool,
    private_integration: bool,
    scope: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Result<Self, String> {
        let wrong = || format!("not a row of the list: {line}");
        let cells: Vec<&str> = line.split('\t').collect();
        let [method, path, version, access, private_integration, scope] = cells[..] else {
            return Err(wrong());
        };
        let (location, company) = match access {
            "-" => (false, false),
            "location" => (true, false),
            "company" => (false, true),
            "company,location" => (true, true),
            _ => return Err(wrong()),
        };
        let private_integration = match private_integration {
            "yes" => true,
            "no" => false,
            _ => return Err(wrong()),
        };
        let documented = |cell| (cell != "-").then_some(cell);
        let (version, scope) = (documented(version), documented(scope));
        let row = Self { method, path, version, location, company, private_integration, scope };
        if !path.starts_with('/') || row.segments().any(str::is_empty) {
            return Err(wrong());
        }
        Ok(row)
    }

    /// Segments of the path, without the slash at its end that some paths have.
    fn segments(&self) -> impl Iterator<Item = &'a str> {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        path.strip_suffix('/').unwrap_or(path).split('/')
    }
}

fn parse(list: &str) -> Result<Vec<Row<'_>>, String> {
    let rows: Result<Vec<_>, _> = list.lines().skip(1).map(Row::parse).collect();
    let mut rows = rows?;
    rows.sort_by_cached_key(|row| (row.segments().collect::<Vec<_>>(), row.method));
    Ok(rows)
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

fn position(words: &[&str], word: &str) -> usize {
    words.partition_point(|other| *other < word)
}

fn write_words(source: &mut String, name: &str, words: &[&str]) {
    let _ = writeln!(source, "\npub(super) static {name}: [&str; {}] = [", words.len());
    for word in words {
        let _ = writeln!(source, "    {word:?},");
    }
    source.push_str("];\n");
}

const TABLE_HEAD: &str = "\
//! Generated from `operations.tsv` by `make generate`; never edited.
//!
//! The rows are sorted by the segments of their paths, then by method. `method`, `version` and
//! `scope` are places in the lists above them.

use super::Row;
use super::TokenClasses::{Both, Company, Location, Undocumented};
";

const PAGE_HEAD: &str = "\
<!-- Written by `make generate`. -->
# Scopes

This page lists the scope that each operation needs, as far as HoopAI documents it. Ask for the
least that the program uses: in Rust, `hoopauth::operations::scopes_for` computes the scopes from
the operations, and names an operation that is not documented. hoopauth refuses neither an unknown
scope nor an unknown operation.

The scopes of conversations do not include their messages, and the scopes of calendars do not
include their events: those have scopes of their own. Minting location tokens needs `oauth.write`,
and listing the installed locations needs `oauth.readonly`.

| scope | operations |
|---|---|
";
