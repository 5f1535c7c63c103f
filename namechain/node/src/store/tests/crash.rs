//! kill -9, and a disk that is full, in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use super::*;

/// Tells the test binary that it is the process to be killed, and where its store is.
const CHILD: &str = "NAMECHAIN_STORE_CHILD";
/// Commits between two that are durable, as while catching up.
const DURABLE_EVERY: u32 = 3;

/// The child: adds blocks for ever, and says which are durable. Ends when it can't write.
fn add_for_ever(dir: &Path) {
    add_with(dir, SMALL);
}

fn add_with(dir: &Path, options: Options) {
    let store = Store::open_with(dir, NETWORK, options).unwrap().store;
    replay(&store);
    let mut stdout = std::io::stdout();
    for height in store.headers_from(0).unwrap().len() as u32.. {
        let durable = height % DURABLE_EVERY == 0;
        let added =
            store.append(&block(height)).and_then(|at| store.commit(changes(height, at), durable));
        let line = match added {
            Ok(()) if durable => format!("durable {height}"),
            Ok(()) => continue,
            Err(error) => format!("stopped {error}"),
        };
        writeln!(stdout, "{line}").unwrap();
        stdout.flush().unwrap();
        if line.starts_with("stopped") {
            return;
        }
    }
}

fn command(test: &str, limit: Option<u32>) -> Command {
    let exe = env::current_exe().unwrap();
    let mut command = match limit {
        None => Command::new(exe),
        Some(blocks) => {
            // A limit on the size of files stands for a disk that is full: both fail a write half
            // way.
            let mut shell = Command::new("sh");
            let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            shell.args(["-c", &limited]).arg(exe);
            shell
        }
    };
    command.args(["--exact", "--nocapture", test]);
    command
}

fn start(test: &str, dir: &Path, limit: Option<u32>) -> Child {
    command(test, limit)
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child once it has acknowledged a few blocks, and at once opens what it left, round
/// after round.
#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = env::var_os(CHILD) {
        return add_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12u32 {
        let mut child = start(
            "store::tests::crash::kill_9_loses_nothing_that_was_acknowledged",
            dir.path(),
            None,
        );
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        // The rest is read after the kill: what was said before it counts.
        for line in lines {
            if let Some(height) = line.unwrap().strip_prefix("durable ") {
                acknowledged = height.parse().unwrap();
                seen += 1;
                if seen == round + 1 {
                    child.kill().unwrap();
                }
            }
        }
        assert!(!child.wait().unwrap().success() && seen > round, "it was killed while it wrote");

        let opened = open(dir.path());
        assert!(!opened.rebuild, "the index survives too");
        let held = opened.store.headers_from(0).unwrap().len() as u32;
        assert!(held > acknowledged, "{held} blocks are held, {acknowledged} was acknowledged");
        let (replayed, damaged) = replay(&opened.store);
        assert_eq!(damaged, 0);
        assert_holds(&opened.store, held + replayed.len() as u32);
    }
}

/// As above, with a log that is pruned and headers that are archived all the time.
#[test]
fn kill_9_while_pruning_loses_nothing_that_is_kept() {
    const OPTIONS: Options =
        Options { archive_depth: 4, prune_bytes: Some(8_000), blocks_kept: 12, ..SMALL };
    if let Some(dir) = env::var_os(CHILD) {
        return add_with(Path::new(&dir), OPTIONS);
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut pruned) = (0, 0);
    for round in 0..12u32 {
        let mut child = start(
            "store::tests::crash::kill_9_while_pruning_loses_nothing_that_is_kept",
            dir.path(),
            None,
        );
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            if let Some(height) = line.unwrap().strip_prefix("durable ") {
                acknowledged = height.parse().unwrap();
                seen += 1;
                if seen == 30 + 7 * round {
                    child.kill().unwrap();
                }
            }
        }
        assert!(!child.wait().unwrap().success(), "it was killed while it wrote");
        let opened = Store::open_with(dir.path(), NETWORK, OPTIONS).unwrap();
        assert!(!opened.rebuild, "the index survives too");
        let (_, damaged) = replay(&opened.store);
        assert_eq!(damaged, 0);
        let headers = opened.store.headers_from(0).unwrap();
        assert!(headers.len() as u32 > acknowledged);
        let first = opened.store.first_block().unwrap();
        for (height, found) in (0..).zip(&headers) {
            assert_eq!(*found, stored(height, found.at));
            assert_eq!(opened.store.block(found.at).is_ok(), height >= first, "{height}");
        }
        pruned = first;
    }
    assert!(pruned > 0, "something was pruned");
}

/// The child: adds blocks that fill the log much faster than the index.
fn add_large_blocks_for_ever(dir: &Path) {
    let store = Store::open(dir, NETWORK).unwrap().store;
    for height in 0.. {
        let added = store.append(&large_block(height)).and_then(|at| {
            let stored = stored(height, at);
            store
                .commit(vec![Change::Active(height, Some(stored.id)), Change::Header(stored)], true)
        });
        if let Err(error) = added {
            println!("\nstopped {error}");
            // It is as it was before the append: a smaller block still finds room.
            add(&store, height);
            return;
        }
        println!("\ndurable {height}");
    }
}

fn large_block(height: u32) -> Vec<u8> {
    let mut bytes = header(height, 0).to_bytes();
    bytes.resize(100_000, height as u8);
    bytes
}

/// What the child said before its disk was full: the last durable height, and the error.
fn run_on_a_full_disk(test: &str, dir: &Path, limit: u32) -> (u32, String) {
    let mut child = start(test, dir, Some(limit));
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let durable = lines.iter().filter_map(|line| line.strip_prefix("durable ")?.parse().ok()).max();
    let stopped = lines.iter().find_map(|line| line.strip_prefix("stopped "));
    (durable.expect("something was acknowledged"), stopped.expect("the disk was full").into())
}

#[test]
fn a_full_disk_under_the_log_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = env::var_os(CHILD) {
        return add_large_blocks_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "store::tests::crash::a_full_disk_under_the_log_loses_nothing_that_was_acknowledged";
    let (durable, error) = run_on_a_full_disk(test, dir.path(), 6_000);
    assert!(error.contains("blocks-00000.log"), "{error}");
    let opened = Store::open(dir.path(), NETWORK).unwrap();
    assert!(!opened.rebuild);
    let headers = opened.store.headers_from(0).unwrap();
    for (height, stored) in (0..=durable).zip(&headers) {
        assert_eq!(opened.store.block(stored.at).unwrap(), large_block(height));
    }
    let last = headers.last().unwrap();
    assert_eq!(headers.len() as u32, durable + 2, "the small block was taken");
    assert_eq!(opened.store.block(last.at).unwrap(), block(durable + 1));
}

#[test]
fn a_full_disk_under_the_index_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = env::var_os(CHILD) {
        return add_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let test =
        "store::tests::crash::a_full_disk_under_the_index_loses_nothing_that_was_acknowledged";
    let (durable, error) = run_on_a_full_disk(test, dir.path(), 6_000);
    assert!(error.contains("index"), "{error}");
    let opened = open(dir.path());
    assert!(!opened.rebuild);
    let held = opened.store.headers_from(0).unwrap().len() as u32;
    assert!(held > durable, "{held} blocks are held, {durable} was acknowledged");
    let (replayed, damaged) = replay(&opened.store);
    assert_eq!(damaged, 0);
    assert_holds(&opened.store, held + replayed.len() as u32);
}
