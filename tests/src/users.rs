//! People who have names and write letters to each other: a node of the dev network, and users with
//! their 24 words in a file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    program::{Daemon, Outcome, User},
    zones,
};

/// A node of the dev network.
pub struct World {
    home: TempDir,
    data: PathBuf,
    /// The node.
    pub node: Daemon,
}

/// Starts a node with the chain in `data`.
///
/// # Panics
/// If it does not start.
pub fn node(home: &Path, data: &Path) -> Daemon {
    let data = data.to_str().expect("UTF-8");
    let args = ["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", data, "--json"];
    Daemon::start("namechaind", &args, home)
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

impl World {
    /// A new chain.
    ///
    /// # Panics
    /// If the node does not start.
    pub fn new() -> World {
        let home = tempfile::tempdir().expect("a home");
        let data = home.path().join("node");
        let node = node(home.path(), &data);
        World { home, data, node }
    }

    /// The same chain after Ctrl-C and another start. Users must be told where the node is now.
    ///
    /// # Panics
    /// If it does not start again.
    pub fn restarted(self) -> World {
        let World { home, data, node: before } = self;
        before.interrupt();
        let node = node(home.path(), &data);
        World { home, data, node }
    }

    /// A user with a new key, and the file that holds its 24 words.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn user(&self) -> (User, String) {
        let user = User::without_key(self.node.addr("api"));
        let made = user.zonetool(&["key", "new", "--no-passphrase"]).ok().json();
        let words: Vec<&str> =
            made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
        let file = user.home().join("words");
        fs::write(&file, words.join(" ")).expect("room for the words");
        (user, file.to_str().expect("UTF-8").to_owned())
    }

    /// A user with a new key who has registered `name` and published an identity key, with `more`
    /// arguments.
    ///
    /// # Panics
    /// If it does not work.
    pub fn person(&self, name: &str, more: &[&str]) -> (User, String) {
        let (user, words) = self.user();
        user.register(name, &zones::path("minimal"));
        user.zonetool(
            &[&["peer", "publish", name, "--words-file", &words, "--wait"], more].concat(),
        )
        .ok();
        (user, words)
    }
}

/// That a command was refused with an exit code, and said `words`.
///
/// # Panics
/// If not.
pub fn refused(outcome: Outcome, code: i32, words: &str) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    let error = outcome.json()["error"].to_string();
    assert!(error.contains(words), "'{words}' in {error}");
}

/// The same of a command whose output is bytes, and which has written none.
///
/// # Panics
/// If not.
pub fn refused_bytes(output: &Output, code: i32, words: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{error}");
    assert!(error.contains(words), "'{words}' in {error}");
}
