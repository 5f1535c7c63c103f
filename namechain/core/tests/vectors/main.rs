//! The vectors of `docs/protocol.md`, in `testdata/vectors/`, for readers in any language; its
//! README gives their form.
//!
//! They are made from the page: `page`, `operation`, `cases` and what is beside them use nothing of
//! the crate that is tested. With `NAMECHAIN_BLESS=1` these tests write the files anew. Then the
//! crate judges what the files say (`judge`), and so does an implementation in Python.

mod blocks;
mod cases;
mod chain;
mod encodings;
mod forks;
mod judge;
mod numbers;
mod operation;
mod page;
#[allow(dead_code, reason = "stories are told elsewhere")]
#[path = "../common/python.rs"]
mod python;
mod ranges;
mod trees;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    process::Command,
};

use judge::{Verdict, check_wire, judge_arrivals, judge_block, judge_operation};
use namechain_core::consensus::RuleViolation;
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

/// The files of a folder by the names that they have without their ending.
fn files(folder: &str) -> Vec<(String, Value)> {
    let mut names: Vec<String> = fs::read_dir(dir().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&format!("{folder}/{name}.json")))).collect()
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
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (rule, file) in files("operations") {
        assert_eq!(file["rule"], rule);
        for case in file["cases"].as_array().unwrap() {
            count += 1;
            let expected = match case["refused"].as_str() {
                Some(rule) => Err(rule.to_owned()),
                None => Ok(case["after"].as_array().unwrap().clone()),
            };
            let found = judge_operation(case)
                .map(|entries| entries.into_iter().map(Value::from).collect())
                .map_err(str::to_owned);
            if found != expected {
                wrong.push(format!("{rule}: {}: {found:?} and not {expected:?}", case["about"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
    assert!(count > 500, "only {count}");
}

#[test]
fn blocks_are_judged_as_the_page_says() {
    if is_blessing() {
        for (path, value) in blocks::files() {
            write(&path, &value);
        }
    }
    let chain = read("chain.json");
    let (network, now) = (judge::network(&chain), judge::number(&chain["now"]));
    let blocks: Vec<Vec<u8>> =
        chain["blocks"].as_array().unwrap().iter().map(judge::bytes).collect();
    let (last, before) = blocks.split_last().unwrap();
    assert_eq!(judge_block(network, now, before, last), Verdict::Accepted);
    let mut wrong = Vec::new();
    for (rule, file) in files("blocks") {
        assert_eq!(file["rule"], rule);
        for case in file["cases"].as_array().unwrap() {
            let mut bytes = judge::bytes(&case["block"]);
            bytes.resize(bytes.len() + case["padding"].as_u64().unwrap_or(0) as usize, 0);
            let before = &blocks[..judge::number(&case["before"])];
            let now = case.get("now").map_or(now, judge::number);
            let found = match judge_block(network, now, before, &bytes) {
                Verdict::Accepted => json!({ "accepted": true }),
                Verdict::Refused(rule) => json!({ "refused": rule }),
                Verdict::UpgradeNeeded => json!({ "upgrade_needed": true }),
                Verdict::Postponed => json!({ "postponed": true }),
            };
            let verdicts = ["accepted", "refused", "upgrade_needed", "postponed"];
            let expected = verdicts.iter().find(|verdict| case.get(**verdict).is_some()).unwrap();
            if found != json!({ (*expected): case[*expected] }) {
                wrong.push(format!("{rule}: {}: {found}", case["about"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let forks = read("forks.json");
    for case in forks["cases"].as_array().unwrap() {
        let arrivals = case["blocks"].as_array().unwrap();
        let before = &blocks[..judge::number(&case["before"])];
        let come: Vec<Vec<u8>> = arrivals.iter().map(|it| judge::bytes(&it["block"])).collect();
        let tips: Vec<Value> = arrivals.iter().map(|it| it["tip"].clone()).collect();
        let now = judge::number(&forks["now"]);
        assert_eq!(judge_arrivals(network, now, before, &come), tips, "{}", case["about"]);
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
    let mut count = 0;
    for (file, value) in files("wire") {
        count += check_wire(&file, &value);
    }
    assert!(count > 1_000, "only {count}");
}

/// Each rule is broken by a vector, and a rule of operations is met by one that just keeps it.
#[test]
fn every_rule_has_vectors() {
    let (mut refused, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    for (rule, file) in files("operations").into_iter().chain(files("blocks")) {
        for case in file["cases"].as_array().unwrap() {
            match case["refused"].as_str() {
                Some(broken) => refused.insert(broken.to_owned()),
                None => accepted.insert(rule.clone()),
            };
        }
    }
    let rules: BTreeSet<String> = RuleViolation::IDS.map(str::to_owned).into();
    assert_eq!(refused, rules, "left what the vectors break, right the rules");
    // What has no near side: roots and encodings are right or wrong.
    let without = [
        "encoding",
        "block-size",
        "block-commits",
        "history-root",
        "ops-root",
        "state-root",
        "header-height",
        "header-due",
        "header-version",
    ];
    let missing: Vec<&String> = rules
        .iter()
        .filter(|rule| !accepted.contains(*rule) && !without.contains(&rule.as_str()))
        .collect();
    assert!(missing.is_empty(), "rules without a vector that keeps them: {missing:?}");
}

fn run_python(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(python::python()?);
    command.arg(dir().join("../verifier").join(program)).args(arguments);
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
/// `python3 testdata/verifier/mutate.py`.
#[test]
fn misread_clauses_are_noticed() {
    if let Some(said) = run_python("mutate.py", &["--every", "23"]) {
        println!("{said}");
    }
}
