//! From the list of operations to the packed table, and to the page of scopes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

pub(crate) const OPERATIONS: &str = include_str!("operations.tsv");

/// The source of the packed table. It says itself how it is laid out.
pub(crate) fn table(list: &str) -> Result<String, String> {
    let rows = parse(list)?;
    let tree = Tree::of(&rows)?;
    let methods = distinct(rows.iter().map(|row| row.method));
    let versions = distinct(rows.iter().filter_map(|row| row.version));
    let scopes = distinct(rows.iter().filter_map(|row| row.scope));
    if methods.len() > 8
        || versions.len() > 3
        || scopes.len() > 255
        || tree.segments.len() > 0x200
        || tree.nodes.len() > 0x7fff
    {
        return Err("the list has outgrown the layout of the table".to_owned());
    }

    let nodes = tree.nodes.iter().map(|node| {
        let segment = position(&tree.segments, node.segment) | tag(node.segment) << 9;
        format!("Node({segment}, {}, {})", node.children, node.rows)
    });
    let packed = rows.iter().zip(&tree.node_of_row).map(|(row, node)| {
        let place = node << 1 | usize::from(row.path.ends_with('/'));
        let version = row.version.map_or(0, |version| position(&versions, version) + 1);
        let access = usize::from(row.location) | usize::from(row.company) << 1;
        let bits = position(&methods, row.method)
            | version << 3
            | access << 5
            | usize::from(row.private_integration) << 7;
        let scope = row.scope.map_or(0, |scope| position(&scopes, scope) + 1);
        format!("Row({place}, {bits}, {scope})")
    });

    let mut source = String::from(TABLE_HEAD);
    write_words(&mut source, "METHODS", &methods);
    write_words(&mut source, "VERSIONS", &versions);
    write_names(&mut source, "SEGMENTS", &tree.segments);
    write_names(&mut source, "SCOPES", &scopes);
    write_array(&mut source, "NODES", "Node", nodes);
    write_array(&mut source, "ROWS", "Row", packed);
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

/// All paths as a tree, breadth first: the children of one node stand together, in the order of
/// their segments.
struct Tree<'a> {
    segments: Vec<&'a str>,
    nodes: Vec<Node<'a>>,
    node_of_row: Vec<usize>,
}

struct Node<'a> {
    segment: &'a str,
    /// The first child; the last one stands before the next node's first.
    children: usize,
    /// The first row that ends here; the number of all rows if none does.
    rows: usize,
}

impl<'a> Tree<'a> {
    fn of(rows: &[Row<'a>]) -> Result<Self, String> {
        let paths: BTreeSet<Vec<&str>> = rows
            .iter()
            .flat_map(|row| {
                let whole: Vec<&str> = row.segments().collect();
                (1..=whole.len()).map(move |length| whole[..length].to_vec())
            })
            .collect();
        let root = rows.iter().filter_map(|row| row.segments().next());
        let segments = distinct(rows.iter().flat_map(Row::segments).chain(root));

        let mut nodes = Vec::new();
        let mut found: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        let mut waiting = VecDeque::from([Vec::new()]);
        let mut numbered = 1;
        while let Some(path) = waiting.pop_front() {
            let children = paths
                .iter()
                .filter(|other| other.len() == path.len() + 1 && other.starts_with(&path));
            let children: Vec<_> = children.cloned().collect();
            let segment = path.last().copied().unwrap_or(segments[0]);
            nodes.push(Node { segment, children: numbered, rows: rows.len() });
            numbered += children.len();
            found.insert(path, nodes.len() - 1);
            waiting.extend(children);
        }

        let node_of_row: Vec<usize> =
            rows.iter().map(|row| found[&row.segments().collect::<Vec<_>>()]).collect();
        for (index, node) in node_of_row.iter().enumerate().rev() {
            nodes[*node].rows = index;
        }
        if let Some(twice) = rows.windows(2).find(|pair| {
            pair[0].method == pair[1].method && pair[0].segments().eq(pair[1].segments())
        }) {
            return Err(format!("{} {} is in the list twice", twice[0].method, twice[0].path));
        }
        // Where the children of the last node end.
        nodes.push(Node { segment: segments[0], children: numbered, rows: rows.len() });
        Ok(Self { segments, nodes, node_of_row })
    }
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

fn position(words: &[&str], word: &str) -> usize {
    words.partition_point(|other| *other < word)
}

/// Hash as the lookup computes it; 0 for parameters.
fn tag(segment: &str) -> usize {
    let add = |hash: u16, byte| hash.wrapping_mul(31).wrapping_add(u16::from(byte));
    if segment.starts_with('{') { 0 } else { usize::from(segment.bytes().fold(0, add) % 127 + 1) }
}

fn write_words(source: &mut String, name: &str, words: &[&str]) {
    let _ = writeln!(source, "\npub(super) static {name}: [&str; {}] = {words:?};", words.len());
}

fn write_names(source: &mut String, name: &str, words: &[&str]) {
    let _ = writeln!(source, "\npub(super) static {name}: Names = Names {{\n    text: concat!(");
    write_wrapped(source, words.iter().map(|word| format!("{word:?}")), 8);
    let _ = writeln!(source, "    ),\n    ends: &[");
    let ends = words.iter().scan(0, |end, word| {
        *end += word.len();
        Some(end.to_string())
    });
    write_wrapped(source, ends, 8);
    let _ = writeln!(source, "    ],\n}};");
}

fn write_array(
    source: &mut String,
    name: &str,
    kind: &str,
    items: impl ExactSizeIterator<Item = String>,
) {
    let _ = writeln!(source, "\npub(super) static {name}: [{kind}; {}] = [", items.len());
    write_wrapped(source, items, 4);
    let _ = writeln!(source, "];");
}

fn write_wrapped(source: &mut String, items: impl Iterator<Item = String>, indent: usize) {
    let mut line = String::new();
    for item in items {
        if indent + line.len() + item.len() + 2 > WIDTH {
            let _ = writeln!(source, "{:indent$}{}", "", line.trim_end());
            line.clear();
        }
        let _ = write!(line, "{item}, ");
    }
    let _ = writeln!(source, "{:indent$}{}", "", line.trim_end());
}

const WIDTH: usize = 120;

const TABLE_HEAD: &str = "\
//! Generated from `operations.tsv` by `make generate`; never edited.
//!
//! `Node(segment, children, rows)`: a place in the tree of paths, breadth first; node 0 is the
//! root. `segment` is its name's place in `SEGMENTS` (bits 0 to 8) and a hash of the name, 0 for a
//! parameter (9 to 15); `children` is its first child, and the next node's `children` is where they
//! end; `rows` is the first row that ends here. `Row(place, bits, scope)`: an operation. `place` is
//! its node, doubled, plus 1 if the path is written with a slash at its end; `bits` are the method
//! (bits 0 to 2), 1 + the version or 0 (3 and 4), the token classes (5: location, 6: company) and
//! whether Private Integration tokens may (7); `scope` is 1 + its place in `SCOPES` or 0.

use super::{Names, Node, Row};
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
