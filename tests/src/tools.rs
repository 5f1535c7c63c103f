//! The tools from outside: dig, kdig, drill, the tools of ldns, nsd.

use std::{env, fs, io::Write, path::PathBuf};

/// Set in CI: a tool that is missing is then a failure.
pub const REQUIRE: &str = "NAMECHAIN_REQUIRE_TOOLS";

/// Where `tool` is: in the path, or in the directories of servers, which are not in everybody's
/// path.
pub fn find(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(sbin).map(|dir| dir.join(tool)).find(|file| file.is_file())
}

/// Whether all `tools` are there. If not, says which test is skipped, on the real standard error:
/// the test harness does not swallow it.
///
/// # Panics
/// If one is missing and [`REQUIRE`] is set.
pub fn available(test: &str, tools: &[&str]) -> bool {
    let missing: Vec<&&str> = tools.iter().filter(|tool| find(tool).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    skip(test, &format!("{missing:?} not installed"));
    false
}

/// The library of Debian's package `libfaketime`, which `faketime` comes with: for `LD_PRELOAD`. If
/// it is not there, says that `test` is skipped.
///
/// # Panics
/// If it is missing and [`REQUIRE`] is set.
pub fn faketime(test: &str) -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = dirs
        .map(|entry| entry.path().join("faketime"))
        .chain([PathBuf::from("/usr/lib/faketime")])
        .map(|dir| dir.join("libfaketime.so.1"))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(test, "libfaketime is not installed");
    }
    found
}

/// Says that `test` is skipped, and why.
///
/// # Panics
/// If [`REQUIRE`] is set.
pub fn skip(test: &str, why: &str) {
    assert!(env::var_os(REQUIRE).is_none(), "{test}: {why}, and {REQUIRE} is set");
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
