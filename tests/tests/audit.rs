//! The guide to an audit of consensus, `docs/audit.md`, says how much there is to read and in which
//! order. This keeps it true.

use std::collections::{BTreeMap, BTreeSet};

use tests::source::{self, RustFile};

const CORE: &str = "namechain/core/src";
const ROOMS: [&str; 5] = ["codec", "types", "params", "tree", "consensus"];

/// The most lines of code of a room, and the crates that it names.
struct Bound {
    lines: usize,
    crates: BTreeSet<String>,
}

fn bounds() -> BTreeMap<String, Bound> {
    let page = source::read("docs/audit.md");
    let (_, block) = page.split_once("```audit\n").expect("docs/audit.md has a block of bounds");
    let (block, _) = block.split_once("```").expect("the block ends");
    let bound = |line: &str| {
        let (room, rest) = line.split_once(':').unwrap_or_else(|| panic!("no colon in '{line}'"));
        let mut words = rest.split_whitespace();
        let lines = words.next().and_then(|word| word.parse().ok());
        let lines = lines.unwrap_or_else(|| panic!("no number of lines in '{line}'"));
        (room.to_owned(), Bound { lines, crates: words.map(str::to_owned).collect() })
    };
    block.lines().map(bound).collect()
}

/// The files of consensus, without what is built for tests only.
fn files() -> Vec<RustFile> {
    let in_rooms = |file: &RustFile| file.room().is_some_and(|room| ROOMS.contains(&room));
    source::rust_files(CORE).into_iter().filter(|file| !file.is_test() && in_rooms(file)).collect()
}

fn lines_of_code(file: &RustFile) -> usize {
    file.code().lines().filter(|line| !line.trim().is_empty()).count()
}

/// The dependencies of the crate, as its code names them.
fn dependencies() -> Vec<String> {
    let manifest = source::read("namechain/core/Cargo.toml");
    let (_, section) = manifest.split_once("[dependencies]\n").expect("dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn names(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(inside);
        let after = &code[at + word.len()..];
        !before && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

#[test]
fn consensus_can_be_read_in_one_sitting() {
    let bounds = bounds();
    let mut lines = BTreeMap::<&str, usize>::new();
    let files = files();
    for file in &files {
        *lines.entry(file.room().expect("a room")).or_default() += lines_of_code(file);
    }
    for room in ROOMS {
        let (bound, found) = (&bounds[room], lines.get(room).copied().unwrap_or(0));
        assert!(found <= bound.lines, "{room} has {found} lines of code, over {}", bound.lines);
        assert!(found > 0, "{room} has no code");
    }
    let all: usize = lines.values().sum();
    assert!(all <= bounds["all"].lines, "{all} lines of code, over {}", bounds["all"].lines);
}

#[test]
fn consensus_names_the_stated_crates() {
    let (bounds, files) = (bounds(), files());
    let dependencies = dependencies();
    assert!(dependencies.iter().any(|name| name == "ed25519_dalek"), "{dependencies:?}");
    for room in ROOMS {
        let mut found = BTreeSet::new();
        for file in files.iter().filter(|file| file.room() == Some(room)) {
            let code = file.code();
            found.extend(dependencies.iter().filter(|name| names(&code, name)).cloned());
        }
        assert_eq!(found, bounds[room].crates, "{room}: left the code, right docs/audit.md");
    }
}

#[test]
fn the_reading_order_has_every_file_once() {
    let page = source::read("docs/audit.md");
    let (_, section) = page.split_once("## Reading order").expect("a reading order");
    let section = section.split("\n## ").next().unwrap_or_default();
    // Every second part is between backquotes.
    let quoted = section.split('`').skip(1).step_by(2);
    let mut listed: Vec<&str> = quoted.filter(|word| word.ends_with(".rs")).collect();
    let mut read = BTreeSet::new();
    for file in &listed {
        assert!(read.insert(*file), "{file} stands twice");
    }
    listed.sort_unstable();
    let mut expected: Vec<String> = files()
        .into_iter()
        .filter_map(|file| file.path.strip_prefix(&format!("{CORE}/")).map(str::to_owned))
        .collect();
    expected.sort();
    assert_eq!(listed, expected, "left docs/audit.md, right the code");
}
