//! The repository keeps its own promises: arrows between rooms, sizes of files, who may name what.

use std::collections::{BTreeMap, BTreeSet};

use namechain_core::{
    consensus::RuleViolation,
    types::{Name, Reserved},
};
use tests::{
    imports,
    source::{self, RustFile},
    zones,
};

const PACKAGES: [&str; 5] =
    ["namechain/core", "namechain/node", "resolver", "zonetool", "messaging"];
/// What the core may not name: it does no IO, reads no clock, starts no threads, waits for nothing.
const NOT_IN_CORE: [&str; 8] = [
    "tokio",
    "async fn",
    "getrandom",
    "std::fs",
    "std::net",
    "std::thread",
    "thread::",
    "std::time",
];
const MAX_LINES: usize = 600;
/// Of a line of a comment or a document; code is what rustfmt makes of it.
const MAX_COLUMNS: usize = 100;

/// The files that may read the clock, each behind an `expect` with its reason.
const CLOCKS: [&str; 5] = [
    "namechain/node/src/net/clock.rs",
    "namechain/node/src/node/clock.rs",
    "resolver/src/chain/remote.rs",
    "resolver/src/os/clock.rs",
    "zonetool/src/clock.rs",
];

/// The block ` ```arrows PACKAGE ` of docs/architecture.md: in each line a room and, behind a
/// colon, the rooms it uses.
fn documented(package: &str) -> Vec<(String, BTreeSet<String>)> {
    let page = source::read("docs/architecture.md");
    let start = format!("```arrows {package}\n");
    let (_, block) =
        page.split_once(&start).unwrap_or_else(|| panic!("docs/architecture.md has no {start}"));
    let (block, _) = block.split_once("```").expect("the block ends");
    let rooms = block.lines().map(|line| {
        let (room, uses) = line.split_once(':').unwrap_or_else(|| panic!("no colon in '{line}'"));
        (room.trim().to_owned(), uses.split_whitespace().map(str::to_owned).collect())
    });
    rooms.collect()
}

/// What the page says is what the code does: no arrow more, no arrow less. And every arrow points
/// to a room that stands further up, so there is no way around in a circle.
#[test]
fn arrows_between_rooms_are_the_documented_ones() {
    for package in PACKAGES {
        let documented = documented(package);
        let as_map: BTreeMap<String, BTreeSet<String>> = documented.iter().cloned().collect();
        assert_eq!(
            source::arrows(package),
            as_map,
            "{package}: left the code, right docs/architecture.md"
        );
        let mut above = BTreeSet::new();
        for (room, uses) in &documented {
            assert!(
                uses.is_subset(&above),
                "{package}: {room} uses {uses:?}, and above it there is only {above:?}"
            );
            above.insert(room.clone());
        }
    }
}

#[test]
fn the_core_knows_no_shell() {
    for file in shipped("namechain/core") {
        for word in NOT_IN_CORE {
            assert!(!names(&file.code(), word), "{} names {word}", file.path);
        }
    }
}

fn shipped(package: &str) -> impl Iterator<Item = RustFile> {
    source::rust_files(&format!("{package}/src")).into_iter().filter(|file| !file.is_test())
}

/// Whether the code has `path` as a whole word.
fn names(code: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(inside);
        let after = code[at + path.len()..].chars().next().is_some_and(inside);
        !before && !after
    })
}

fn rooms_that_name(package: &str, path: &str) -> BTreeSet<String> {
    let files = shipped(package).filter(|file| names(&file.code(), path));
    files.map(|file| file.room().unwrap_or("the crate's root").to_owned()).collect()
}

#[test]
fn one_room_knows_each_engine() {
    assert_eq!(rooms_that_name("namechain/node", "sled"), BTreeSet::from(["store".to_owned()]));
    assert_eq!(rooms_that_name("namechain/node", "axum"), BTreeSet::from(["api".to_owned()]));
    assert_eq!(rooms_that_name("resolver", "axum"), BTreeSet::from(["control".to_owned()]));
    assert_eq!(rooms_that_name("namechain/node", "libp2p"), BTreeSet::from(["net".to_owned()]));
    let hickory = rooms_that_name("resolver", "hickory_server");
    assert_eq!(hickory.len(), 1, "rooms of the resolver that name hickory_server: {hickory:?}");
    assert_eq!(rooms_that_name("messaging", "hpke"), BTreeSet::from(["kem".to_owned()]));
    for engine in ["quinn", "rustls", "tokio"] {
        assert_eq!(
            rooms_that_name("messaging", engine),
            BTreeSet::from(["channel".to_owned()]),
            "{engine}"
        );
    }
    for package in ["resolver", "zonetool", "messaging"] {
        assert_eq!(rooms_that_name(package, "sled"), BTreeSet::new(), "{package}");
    }
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for package in PACKAGES.iter().chain(&["sim", "tests"]) {
        for file in source::rust_files(package) {
            let lines = file.text.lines().count();
            if lines > MAX_LINES {
                long.push(format!("{} has {lines} lines", file.path));
            }
        }
    }
    assert!(long.is_empty(), "over {MAX_LINES} lines, so two rooms: {long:#?}");
}

/// What one file imports, by way of others, doesn't import it.
#[test]
fn no_file_is_in_an_import_cycle() {
    for package in PACKAGES {
        let cycles = imports::file_cycles(&source::rust_files(&format!("{package}/src")));
        assert!(cycles.is_empty(), "{package}: import cycles between {cycles:#?}");
    }
}

/// A name that has three meanings in one crate has none.
#[test]
fn a_type_name_is_defined_at_most_twice() {
    for package in PACKAGES {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for found in imports::type_definitions(&source::rust_files(package)) {
            places.entry(found.name).or_default().push(found.path);
        }
        places.retain(|name, places| places.len() > 2 && !matches!(&**name, "Error" | "Config"));
        assert!(places.is_empty(), "{package}: defined more than twice: {places:#?}");
    }
}

/// Comments and documents are read in windows of 100 columns, as code is.
#[test]
fn comments_and_documents_fit_in_the_window() {
    let mut long = Vec::new();
    for path in source::text_files() {
        let lines = source::long_lines(&path, &source::read(&path), MAX_COLUMNS);
        long.extend(lines.into_iter().map(|line| format!("{path}:{line}")));
    }
    assert!(long.is_empty(), "{} lines over {MAX_COLUMNS} columns: {long:#?}", long.len());
}

/// Clippy refuses the clock without an `expect`; this says which files may have one.
#[test]
fn few_files_own_a_clock() {
    let mut found = BTreeSet::new();
    for file in PACKAGES.iter().flat_map(|package| shipped(package)) {
        if names(&file.code(), "SystemTime::now") || names(&file.code(), "Instant::now") {
            found.insert(file.path);
        }
    }
    assert_eq!(found, CLOCKS.map(str::to_owned).into());
    assert!(source::read("clippy.toml").contains("std::time::Instant::now"));
}

/// The command line works against a node's API: it is built without the node, and so are letters.
#[test]
fn the_command_line_has_no_node_in_it() {
    for package in ["zonetool", "messaging", "namechain/core"] {
        let manifest = source::read(&format!("{package}/Cargo.toml"));
        let line = manifest.lines().find(|line| line.contains("namechain-node"));
        assert_eq!(line, None, "{package}");
    }
}

/// A rule that no test breaks is a rule that nobody knows to hold. Id and sentence are paired
/// beside the rules.
#[test]
fn every_rule_is_broken_by_a_test() {
    let mut tests = String::new();
    for file in source::rust_files("namechain/core") {
        if file.is_test() {
            tests.push_str(&file.text);
        } else {
            tests.push_str(
                file.text.split_once("#[cfg(test)]\nmod tests {").map_or("", |(_, tests)| tests),
            );
        }
    }
    let untested: Vec<&str> = RuleViolation::IDS
        .into_iter()
        .filter(|id| !names(&tests, &variant(id)) && !tests.contains(&format!("\"{id}\"")))
        .collect();
    assert!(untested.is_empty(), "rules that no test breaks: {untested:?}");
}

/// `name-taken` -> `NameTaken`.
fn variant(id: &str) -> String {
    let words = id.split('-').filter_map(|word| word.split_at_checked(1));
    words.map(|(first, rest)| first.to_uppercase() + rest).collect()
}

#[test]
fn zone_files_are_of_names_that_can_be_registered() {
    let kept = zones::kept();
    assert!(kept.len() >= 12, "only {}", kept.len());
    for zone in kept {
        let name = Name::parse(&zone.name).unwrap_or_else(|error| panic!("{}: {error}", zone.name));
        assert_eq!(name.reserved(), None::<Reserved>, "{name}");
        let text = std::fs::read_to_string(&zone.path).expect("a zone file");
        assert!(text.starts_with("; "), "{name}: a zone file says first what it is for");
    }
}

/// Documents point at files, and at headings in them, that are there.
#[test]
fn paths_in_documents_exist() {
    for page in source::text_files().into_iter().filter(|path| path.ends_with(".md")) {
        let text = source::read(&page);
        let dir = page.rsplit_once('/').map_or(".", |(dir, _)| dir);
        let links =
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://")) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() { page.clone() } else { format!("{dir}/{target}") };
            assert!(source::root().join(&path).exists(), "{page} points at {link}");
            let there = anchor.is_empty() || source::anchors(&source::read(&path)).contains(anchor);
            assert!(there, "{page} points at {link}, and there is no such heading");
        }
        let tops = ["docs/", "tests/", "testdata/", "docker/", ".ci/"];
        for quoted in
            text.split('`').filter(|quoted| tops.iter().any(|top| quoted.starts_with(top)))
        {
            let placeholder = quoted.contains(|c: char| c.is_whitespace() || "*<{".contains(c));
            assert!(placeholder || source::root().join(quoted).exists(), "{page} names {quoted}");
        }
    }
}

/// An operator finds every metric in the documents, and no metric that is not there any more.
#[test]
fn metrics_are_documented() {
    const PAGE: &str = "docs/operate/monitoring.md";
    let metrics = |text: &str| -> BTreeSet<String> {
        let names = text.split("namechain_").skip(1).map(|rest| {
            let end =
                rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            &rest[..end.unwrap_or(rest.len())]
        });
        let crates = ["core", "node"];
        names.filter(|name| !name.is_empty() && !crates.contains(name)).map(str::to_owned).collect()
    };
    let mut exported = BTreeSet::new();
    for file in ["namechain/node", "resolver"].into_iter().flat_map(shipped) {
        let quoted = file.text.split('"').filter(|text| text.starts_with("namechain_"));
        quoted.for_each(|text| exported.extend(metrics(text)));
    }
    assert!(exported.len() > 30, "only {exported:?}");
    assert_eq!(metrics(&source::read(PAGE)), exported, "left {PAGE}, right the code");
    // A histogram's name has an ending in a query.
    let shown = metrics(&source::read("docker/dashboard.json"));
    let is_exported = |name: &String| {
        exported.contains(name)
            || name.strip_suffix("_bucket").is_some_and(|name| exported.contains(name))
    };
    let missing: Vec<_> = shown.iter().filter(|name| !is_exported(name)).collect();
    assert!(shown.len() > 15 && missing.is_empty(), "the dashboard shows {missing:?}");
}
