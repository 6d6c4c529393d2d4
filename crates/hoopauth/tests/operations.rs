//! The table of operations says what the list says, at every path of the list and at no other.

#[path = "../src/operations/pack.rs"]
mod pack;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;

use hoopauth::binding::table_bytes;
use hoopauth::operations::{Operation, scopes, scopes_for};
use hoopauth::{AccountKind, ErrorCode};
use proptest::prelude::*;

#[test]
fn the_table_and_the_page_are_the_committed_ones() {
    let table = include_str!("../src/operations/table.rs");
    assert_eq!(pack::table(pack::OPERATIONS).as_deref(), Ok(table), "run `make generate`");
    let page = include_str!("../../../docs/scopes.md");
    assert_eq!(pack::page(pack::OPERATIONS).as_deref(), Ok(page), "run `make generate`");
}

#[test]
fn every_row_of_the_list_is_found_as_it_is_written() {
    let written = rows().map(|row| row.cells.join("\t")).collect::<BTreeSet<_>>();
    assert_eq!(written.len(), 576);
    assert_eq!(Operation::all().map(line).collect::<BTreeSet<_>>(), written);
    assert_eq!(Operation::all().count(), 576);
    for operation in Operation::all() {
        assert_eq!(
            scopes_for([operation.to_string().as_str()]).unwrap(),
            Vec::from_iter(operation.scope())
        );
    }

    for row in rows() {
        let [method, path, ..] = row.cells;
        let real = filled(path, "ve9EPM428h8vShlRW1KT");
        let encoded = filled(path, "%7Ba%2Fb%7D");
        let bare = real.trim_end_matches('/').to_owned();
        let lower = method.to_ascii_lowercase();
        for (method, path) in [
            (method, path.to_owned()),
            (method, real.clone()),
            (method, encoded),
            (method, format!("{bare}/")),
            (method, format!("{bare}?a=/b/{{c}}")),
            (method, format!("{bare}/?a")),
            (lower.as_str(), bare.clone()),
        ] {
            let found = Operation::find(method, &path).unwrap_or_else(|| panic!("{method} {path}"));
            assert_eq!(line(found), row.cells.join("\t"), "{method} {path}");
        }
        for other in
            [format!("{bare}//"), format!("/{bare}"), format!("{bare}/x/y/z"), bare[1..].to_owned()]
        {
            assert_eq!(Operation::find(method, &other), None, "{method} {other}");
        }
    }
}

#[test]
fn written_segments_win_over_parameters() {
    for (method, path, template) in [
        ("GET", "/calendars/events", "/calendars/events"),
        ("GET", "/calendars/e", "/calendars/{calendarId}"),
        ("GET", "/calendars/schedules/search", "/calendars/schedules/search"),
        ("GET", "/calendars/resources/notifications", "/calendars/resources/{resourceType}"),
        ("DELETE", "/contacts/c/campaigns/removeAll", "/contacts/{contactId}/campaigns/removeAll"),
        (
            "DELETE",
            "/contacts/c/campaigns/removeall",
            "/contacts/{contactId}/campaigns/{campaignId}",
        ),
        // Nothing goes on behind the written segment, or not with this method: the parameter is
        // meant.
        ("GET", "/calendars/blocked-slots/free-slots", "/calendars/{calendarId}/free-slots"),
        ("PUT", "/calendars/events", "/calendars/{calendarId}"),
    ] {
        let found = Operation::find(method, path).unwrap_or_else(|| panic!("{method} {path}"));
        assert_eq!(found.path(), template, "{method} {path}");
    }
}

#[test]
fn what_is_not_documented_is_not_found() {
    for (method, path) in [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "//"),
        ("GET", "?"),
        ("", "/contacts/"),
        ("HEAD", "/contacts/"),
        ("GETS", "/contacts/"),
        ("PATCH", "/contacts/c"),
        ("GET", "contacts/c"),
        ("GET", "/Contacts/c"),
        ("GET", "/contacts//notes"),
        ("GET", "/v3/contacts/c"),
        ("GET", "/oauth/installed-locations"),
        ("GET", "https://services.leadconnectorhq.com/contacts/c"),
    ] {
        assert_eq!(Operation::find(method, path), None, "{method} {path}");
    }
}

#[test]
fn the_least_scopes_for_a_list_of_operations() {
    let scopes = scopes_for([
        "POST /opportunities/",
        "GET /contacts/{contactId}",
        " get\t/contacts/ve9EPM428h8vShlRW1KT/notes/?limit=1 ",
        "GET /snapshots/", // None is documented for it.
        "GET /calendars/events",
    ]);
    assert_eq!(
        scopes.unwrap(),
        ["calendars/events.readonly", "contacts.readonly", "opportunities.write"]
    );
    assert_eq!(scopes_for([]).unwrap(), [""; 0]);
    for unknown in ["", "GET", "/contacts/", "GET/contacts/", "GET /nothing", "/contacts/ GET"] {
        let error = scopes_for(["GET /contacts/", unknown]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().starts_with(&format!("`{unknown}` is not")), "{error}");
    }
}

#[test]
fn every_scope_of_the_list_is_documented() {
    let listed: BTreeSet<&str> =
        rows().map(|row| row.cells[5]).filter(|scope| *scope != "-").collect();
    let documented: Vec<&str> = scopes::documented().collect();
    assert_eq!(documented, listed.iter().copied().collect::<Vec<_>>());
    for constant in [
        scopes::CONTACTS_READONLY,
        scopes::CONTACTS_WRITE,
        scopes::CONVERSATIONS_READONLY,
        scopes::CONVERSATIONS_WRITE,
        scopes::CALENDARS_READONLY,
        scopes::CALENDARS_WRITE,
        scopes::OPPORTUNITIES_READONLY,
        scopes::OPPORTUNITIES_WRITE,
    ] {
        assert!(listed.contains(constant), "{constant}");
    }
}

#[test]
fn the_table_is_small() {
    let bytes = table_bytes();
    // Less than its strings would mean that something is not counted.
    assert!((25_000..=40 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn looking_up_allocates_nothing() {
    let paths: Vec<(&str, String)> =
        rows().map(|row| (row.cells[0], filled(row.cells[1], "abc"))).collect();
    let before = allocations();
    for (method, path) in &paths {
        let found = Operation::find(method, path);
        let _ = found.map(|found| (found.method(), found.version(), found.scope()));
        assert!(found.is_some());
        assert!(Operation::find(method, "/contacts/c/nothing/of/the/kind").is_none());
    }
    assert_eq!(allocations() - before, 0);
    // The counter counts.
    drop(Operation::find("GET", "/contacts/").map(Operation::path));
    assert!(allocations() > before);
}

proptest! {
    #[test]
    fn no_path_is_found_by_mistake(method in method(), path in path()) {
        if let Some(found) = Operation::find(&method, &path) {
            prop_assert_eq!(found.method(), method.to_ascii_uppercase());
            let template = found.path();
            let end = path.find(['?', '#']).unwrap_or(path.len());
            let (template, path) = (segments(&template), segments(&path[..end]));
            prop_assert_eq!(template.len(), path.len());
            for (expected, given) in template.iter().zip(path) {
                let fits = expected.starts_with('{') || *expected == given;
                prop_assert!(fits && !given.is_empty(), "{} for {}", given, expected);
            }
        }
    }

    #[test]
    fn any_text_is_looked_up(method in ".*", path in ".*") {
        let _ = Operation::find(&method, &path);
        let _ = Operation::find("GET", &path);
        let _ = scopes_for([path.as_str()]);
    }
}

/// A row of the list, cell by cell.
struct Row {
    cells: [&'static str; 6],
}

fn rows() -> impl Iterator<Item = Row> {
    pack::OPERATIONS.lines().skip(1).map(|line| {
        let mut cells = line.split('\t');
        Row { cells: std::array::from_fn(|_| cells.next().unwrap_or_default()) }
    })
}

/// The operation as a line of the list.
fn line(operation: Operation) -> String {
    let access =
        match (operation.allows(AccountKind::Company), operation.allows(AccountKind::Location)) {
            (true, true) if !operation.documents_classes() => "-",
            (true, true) => "company,location",
            (true, false) => "company",
            (false, true) => "location",
            (false, false) => "none",
        };
    let path = operation.path();
    let version = operation.version().unwrap_or("-");
    // The list says "no" where it says nothing of the classes; the platform decides there.
    let may = operation.allows_private_integration() && operation.documents_classes();
    let private_integration = if may { "yes" } else { "no" };
    let scope = operation.scope().unwrap_or("-");
    [operation.method(), &path, version, access, private_integration, scope].join("\t")
}

/// The path with `value` for every parameter.
fn filled(template: &str, value: &str) -> String {
    let segments =
        template.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').trim_end_matches('/').split('/').collect()
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof!["GET|POST|PUT|PATCH|DELETE", "get|Post|HEAD|OPTIONS"]
}

/// Paths of the list with a segment or two changed, and paths made of its segments in any order.
fn path() -> impl Strategy<Value = String> {
    let words: Vec<&str> = rows().flat_map(|row| row.cells[1].split('/')).collect();
    let templates: Vec<&str> = rows().map(|row| row.cells[1]).collect();
    let segment = || {
        prop_oneof![3 => prop::sample::select(words.clone()).prop_map(str::to_owned),
        1 => "[a-z0-9%?#{}.]{0,8}"]
    };
    let changed =
        (prop::sample::select(templates), prop::collection::vec((0..8_usize, segment()), 0..3))
            .prop_map(|(template, changes)| {
                let mut segments: Vec<String> = template.split('/').map(str::to_owned).collect();
                for (place, segment) in changes {
                    let place = place.clamp(1, segments.len() - 1);
                    segments[place] = segment;
                }
                segments.join("/")
            });
    let made = prop::collection::vec(segment(), 0..9)
        .prop_map(|segments| format!("/{}", segments.join("/")));
    prop_oneof![changed, made]
}

/// The system's allocator, which counts what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn allocations() -> usize {
    ALLOCATIONS.get()
}

// SAFETY: everything is handed on to the system's allocator; a counter without a destructor
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
