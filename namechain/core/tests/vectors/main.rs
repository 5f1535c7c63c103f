//! The vectors of `docs/protocol.md`, in `testdata/vectors/`, for readers in any language; its
//! README gives their form.
//!
//! They are made from the page: `page`, `operation` and `cases` use nothing of the crate that is
//! tested. With `NAMECHAIN_BLESS=1` these tests write the files anew; without, they only read them
//! and let the crate judge.

mod blocks;
mod cases;
mod chain;
mod encodings;
mod numbers;
mod operation;
mod page;
mod trees;
mod wire;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors")
}

fn is_blessing() -> bool {
    std::env::var_os("NAMECHAIN_BLESS").is_some()
}

fn write(path: &str, value: &Value) {
    let path = dir().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
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
    if is_blessing() {
        for (path, value) in wire::files() {
            write(&path, &value);
        }
    }
}
