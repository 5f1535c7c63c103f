//! A user of `zonetool` with a directory and a key.

use std::{path::Path, process::Command};

use namechain_core::types::SecretKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::{node::Node, schema::check_document};

const ZONE: &str = "@ 300 A 192.0.2.1\n";

/// A user with a key, whose secret the test knows too.
pub struct User {
    /// Its home.
    pub home: TempDir,
    /// The owner key.
    pub key: SecretKey,
}

/// How a command ended.
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

impl User {
    /// One with a new key and a zone file.
    pub fn new() -> User {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("alice.zone"), ZONE).unwrap();
        let made = run(home.path(), "http://127.0.0.1:1", &["key", "new", "--no-passphrase"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let file: Value =
            serde_json::from_slice(&std::fs::read(home.path().join("keys/owner.key")).unwrap())
                .unwrap();
        let secret = hex::decode(file["secret"].as_str().unwrap()).unwrap();
        User { home, key: SecretKey::from_seed(secret.first_chunk().unwrap()) }
    }

    /// Runs a command with `--json`.
    pub fn run(&self, node: &Node, args: &[&str]) -> Outcome {
        run(self.home.path(), &node.url, args)
    }

    /// As for a person, not for a script.
    pub fn read(&self, node: &Node, args: &[&str]) -> Outcome {
        run_with(self.home.path(), &node.url, &[], args)
    }

    /// Registers alice.
    pub fn register(&self, node: &Node, more: &[&str]) -> Outcome {
        self.run(node, &[&["register", "alice", "--zone", "alice.zone"], more].concat())
    }
}

fn run(home: &Path, node: &str, args: &[&str]) -> Outcome {
    let done = run_with(home, node, &["--json"], args);
    // Nothing, or a document a line, is printed by some.
    if let Ok(document) = serde_json::from_str(&done.stdout) {
        check_document(args, &document);
    }
    done
}

fn run_with(home: &Path, node: &str, before: &[&str], args: &[&str]) -> Outcome {
    let done = Command::new(env!("CARGO_BIN_EXE_zonetool"))
        .args(["--node", node, "--keys", "keys"])
        .args(before)
        .args(args)
        .current_dir(home)
        .env("HOME", home)
        .env_remove("XDG_DATA_HOME")
        .output()
        .unwrap();
    Outcome {
        code: done.status.code().unwrap(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}
