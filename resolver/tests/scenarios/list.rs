//! The list of scenarios that were considered.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::servers::Kind;

/// The status of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is played and passes.
    Runs,
    /// It is played and differs, for the given reason.
    Differs,
    /// It is not played, for the given reason.
    Out,
}

/// One line: `COLLECTION FILE runs`, `COLLECTION FILE differs: WHY` or `COLLECTION FILE out: WHY`.
#[derive(Clone, Debug)]
pub struct Listed {
    pub collection: String,
    pub file: String,
    pub verdict: Verdict,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/scenarios")
}

impl Listed {
    pub fn path(&self) -> PathBuf {
        root().join(&self.collection).join(&self.file)
    }

    pub fn name(&self) -> String {
        format!("{}/{}", self.collection, self.file)
    }
}

/// How a collection's files are played.
pub fn kind(collection: &str, path: &Path) -> Kind {
    // The files for Stelline's server are unbound's own.
    let server = path.parent().is_some_and(|dir| dir.ends_with("server"));
    if collection == "domain" && !server { Kind::Stelline } else { Kind::Unbound }
}

/// All lines.
///
/// # Panics
/// If a line can't be parsed, or lacks its reason.
pub fn read() -> Vec<Listed> {
    let text = fs::read_to_string(root().join("LIST")).expect("the list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("'{line}'")).to_owned();
            let (collection, file, verdict) = (word(), word(), word());
            let reason = |why: &str| assert!(why.trim().len() > 10, "'{line}' gives no reason");
            let verdict = match verdict.split_once(": ") {
                None if verdict == "runs" => Verdict::Runs,
                Some(("differs", why)) => {
                    reason(why);
                    Verdict::Differs
                }
                Some(("out", why)) => {
                    reason(why);
                    Verdict::Out
                }
                _ => panic!("'{line}'"),
            };
            Listed { collection, file, verdict }
        })
        .collect()
}

/// Every file is listed as played, every listed one exists, and none is listed twice.
#[test]
fn the_list_and_the_files_agree() {
    let listed = read();
    let names: BTreeSet<String> = listed.iter().map(Listed::name).collect();
    assert_eq!(names.len(), listed.len(), "something is listed twice");
    let played: BTreeSet<String> =
        listed.iter().filter(|listed| listed.verdict != Verdict::Out).map(Listed::name).collect();
    let mut there = BTreeSet::new();
    for collection in ["unbound", "domain"] {
        assert!(root().join(collection).join("LICENSE").is_file(), "{collection} has its licence");
        assert!(
            root().join(collection).join("ORIGIN").is_file(),
            "{collection} says where it is from"
        );
        collect(&root().join(collection), collection, &mut there);
    }
    assert_eq!(there, played, "left the files, right the list");
}

fn collect(dir: &Path, name: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            collect(&path, &name, found);
        } else if path.extension().is_some_and(|extension| extension == "rpl") {
            found.insert(name);
        }
    }
}
