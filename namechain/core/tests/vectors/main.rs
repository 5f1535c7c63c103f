//! The vectors of `docs/protocol-2.md`, in `testdata/vectors/`, for readers in any language; its
//! README gives their form.
//!
//! They are made from the page: `page`, `operation`, `cases` and what is beside them use nothing of
//! the crate that is tested. With `NAMECHAIN_BLESS=1` these tests write the files anew. The crate
//! still follows `docs/protocol.md`; an implementation in Python judges what the files say.

mod blocks;
mod cases;
mod chain;
mod encodings;
mod numbers;
mod operation;
mod page;
mod ranges;
mod trees;
mod wire;

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors")
}

fn is_blessing() -> bool {
    env::var_os("NAMECHAIN_BLESS").is_some()
}

fn write(path: &str, value: &Value) {
    let path = dir().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

fn read(path: &str) -> Value {
    let path = dir().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn operations_are_judged_as_the_page_says() {
    if is_blessing() {
        let mut files = BTreeMap::<&str, Vec<Value>>::new();
        for case in cases::all() {
            files.entry(case.rule).or_default().push(case.json());
        }
        for (rule, cases) in files {
            write(&format!("operations/{rule}.json"), &json!({ "rule": rule, "cases": cases }));
        }
    }
}

#[test]
fn blocks_are_judged_as_the_page_says() {
    if is_blessing() {
        for (path, value) in blocks::files() {
            write(&path, &value);
        }
    }
}

#[test]
fn worked_examples_are_the_pages() {
    let made = wire::files();
    if is_blessing() {
        for (path, value) in &made {
            write(path, value);
        }
    }
    for (path, value) in &made {
        assert_eq!(&read(path), value, "{path} is as it is made");
    }
}

/// A Python that can run the verifier. `None`, said in a line, where there is none and none is
/// demanded.
fn python() -> Option<&'static str> {
    let can = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import argon2.low_level"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    // The system's comes with Debian's python3-argon2, whichever other is found first.
    let found = ["python3", "/usr/bin/python3"].into_iter().find(can);
    if found.is_none() {
        let missing = "no python3 with argon2-cffi (Debian: python3-argon2)";
        assert!(env::var_os("NAMECHAIN_REQUIRE_TOOLS").is_none_or(|v| v != "1"), "{missing}");
        println!("skipped: {missing}");
    }
    found
}

fn run_python(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(python()?);
    command.arg(dir().join("../verifier-2").join(program)).args(arguments);
    let output = command.output().unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let said = said + &errors;
    assert!(output.status.success(), "{said}");
    Some(said)
}

/// An implementation in another language, from the page as well, judges every vector alike.
#[test]
fn the_verifier_agrees() {
    let Some(said) = run_python("verify.py", &[]) else { return };
    let passed = said.lines().find_map(|line| line.split_once(" passed, ")?.0.parse().ok());
    assert!(passed.unwrap_or(0) > 3_900, "{said}");
}

/// Some of the verifier's clauses misread, one at a time. All of them take minutes:
/// `python3 testdata/verifier-2/mutate.py`.
#[test]
fn misread_clauses_are_noticed() {
    if let Some(said) = run_python("mutate.py", &["--every", "23"]) {
        println!("{said}");
    }
}
