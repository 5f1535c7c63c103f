//! Published scenarios of other resolvers, played against ours: `testdata/scenarios/LIST` names
//! every one that was considered.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod list;
mod message;
mod play;
mod rpl;
mod servers;
mod settings;
mod upstream;

use std::{fs, path::Path, sync::Mutex, thread};

use list::{Listed, Verdict, kind};

/// How many scenarios are played at a time. They wait more than they compute.
const AT_A_TIME: usize = 6;

fn played(path: &Path, collection: &str) -> Result<(), String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    play::play(&rpl::read(&text)?, kind(collection, path))
}

/// Plays all, several at a time.
fn outcomes(listed: &[Listed]) -> Vec<(String, Result<(), String>)> {
    let (left, done) = (Mutex::new(listed.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(next) = left.lock().unwrap().next() else { break };
                    let outcome = played(&next.path(), &next.collection);
                    done.lock().unwrap().push((next.name(), outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort();
    done
}

#[test]
fn scenarios_that_run_pass() {
    let listed: Vec<Listed> =
        list::read().into_iter().filter(|listed| listed.verdict == Verdict::Runs).collect();
    assert!(listed.len() > 50, "only {}", listed.len());
    let failed: Vec<String> = outcomes(&listed)
        .into_iter()
        .filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), listed.len(), failed.join("\n"));
}

/// A scenario that is listed as different has to differ: otherwise it belongs among those that run.
#[test]
fn scenarios_that_differ_differ() {
    let listed: Vec<Listed> =
        list::read().into_iter().filter(|listed| listed.verdict == Verdict::Differs).collect();
    let passed: Vec<String> = outcomes(&listed)
        .into_iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(name, _)| name)
        .collect();
    assert!(passed.is_empty(), "these run now: {passed:?}");
}

/// Plays every scenario in the directory `SCENARIOS` and prints the results, to update the list.
#[test]
#[ignore = "a tool"]
fn survey() {
    let dir = std::env::var("SCENARIOS").expect("SCENARIOS is a directory");
    let collection = std::env::var("COLLECTION").unwrap_or_else(|_| "unbound".into());
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rpl"));
    paths.sort();
    for path in paths {
        let outcome = std::panic::catch_unwind(|| played(&path, &collection));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match outcome {
            Ok(Ok(())) => println!("PASS {name}"),
            Ok(Err(why)) => println!("FAIL {name}: {}", why.replace('\n', " ")),
            Err(_) => println!("PANIC {name}"),
        }
    }
}
