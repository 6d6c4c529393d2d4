//! Compiles `operations.tsv`, the documented operations, into the table that `src/operations.rs` reads.
#![allow(clippy::expect_used, clippy::panic, reason = "what is wrong with the facts stops the build")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=operations.tsv");
    let facts = fs::read_to_string("operations.tsv").expect("operations.tsv");
    let rows: Vec<Vec<&str>> = facts.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let scopes = words(rows.iter().map(|row| row[5]));
    let names = words(rows.iter().flat_map(|row| row[1].split('/')).filter_map(name_of));
    let mut root = Node::default();
    for row in &rows {
        let mut node = &mut root;
        for segment in row[1].split('/').filter(|segment| !segment.is_empty()) {
            node = node.children.entry(segment).or_default();
        }
        node.operations.push(record(row, &scopes));
    }
    let source = format!(
        "{}{}static TABLE: &[u8] = &{:?};\n",
        list("SCOPES", &scopes),
        list("NAMES", &names),
        root.bytes(&names)
    );
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR")).join("operations.rs"), source)
        .expect("the table");
}

/// A place in the tree of segments: the operations of the path that ends here, and where it goes on.
#[derive(Default)]
struct Node<'a> {
    operations: Vec<[u8; 2]>,
    children: BTreeMap<&'a str, Node<'a>>,
}

impl Node<'_> {
    /// The number of operations and two bytes for each; then the children, which end where the node ends. Each: the length of its
    /// segment and the segment, or 0 and the number of a parameter's name; two bytes for its length; itself. The parameter comes
    /// last, so that it is tried last.
    fn bytes(&self, names: &[&str]) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(self.operations.len()).expect("few operations of one path")];
        bytes.extend(self.operations.iter().flatten());
        let (parameters, texts): (Vec<_>, Vec<_>) =
            self.children.iter().partition(|(segment, _)| name_of(segment).is_some());
        for (segment, child) in texts.into_iter().chain(parameters) {
            match name_of(segment) {
                Some(name) => bytes.extend([0, number(names, name)]),
                None => {
                    bytes.push(u8::try_from(segment.len()).expect("a short segment"));
                    bytes.extend(segment.bytes());
                }
            }
            let child = child.bytes(names);
            bytes.extend(u16::try_from(child.len()).expect("a small table").to_le_bytes());
            bytes.extend(child);
        }
        bytes
    }
}

/// Method, version, class and whether a Private Integration token may, in bits; the scope from 1 on, 0 for none, and whether the path
/// ends with a slash.
fn record(row: &[&str], scopes: &[&str]) -> [u8; 2] {
    let place = |words: &[&str], word: &str| {
        let found = words.iter().position(|own| *own == word);
        u8::try_from(found.unwrap_or_else(|| panic!("`{word}` is new in operations.tsv"))).expect("few words")
    };
    let method = place(&["GET", "POST", "PUT", "PATCH", "DELETE"], row[0]);
    let version = place(&["-", "2021-07-28", "2021-04-15"], row[2]);
    let class = place(&["-", "location", "company", "company,location"], row[3]);
    let integration = place(&["no", "yes"], row[4]);
    let scope = if row[5] == "-" { 0 } else { number(scopes, row[5]) + 1 };
    assert!(scope < 128, "a bit is left for the slash");
    let slash = u8::from(row[1].ends_with('/') && row[1].len() > 1);
    [method | version << 3 | class << 5 | integration << 7, scope | slash << 7]
}

fn name_of(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn words<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<_> = all.filter(|word| *word != "-").collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn number(words: &[&str], word: &str) -> u8 {
    u8::try_from(words.binary_search(&word).expect("a word of the list")).expect("few words")
}

/// The words one after the other with a line end behind each: shorter than an array of references.
fn list(name: &str, words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        let _ = writeln!(text, "{word}");
    }
    format!("static {name}: &str = {text:?};\n")
}
