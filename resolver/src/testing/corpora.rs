//! Every seed and every finding of the fuzzers, run through the functions that they call.

use std::{fs, path::Path};

fn replay(target: &str, run: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/fuzz").join(target);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        // If it panics, this is the last line shown.
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "only {count} files in {}", dir.display());
}

#[cfg(target_os = "linux")]
#[test]
fn packets() {
    replay("packet", super::packet);
}

#[test]
fn upstreams() {
    replay("upstream", super::upstream);
}

#[test]
fn zones() {
    replay("zone", super::zone);
}

#[test]
fn keys() {
    replay("key", super::key);
}

#[test]
fn validators() {
    replay("validator", super::validator);
}
