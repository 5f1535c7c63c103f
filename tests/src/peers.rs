//! Users whose names have keys, on one node.

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    pipe::Pipe,
    program::{Daemon, User},
    zones,
};

/// A node of the dev network.
pub struct Town {
    _home: TempDir,
    /// The node.
    pub node: Daemon,
}

/// Somebody with a name that a key speaks for.
pub struct Citizen {
    /// The user.
    pub user: User,
    /// The name.
    pub name: String,
    /// The file that has the 24 words.
    pub words: PathBuf,
}

impl Town {
    /// A new node.
    ///
    /// # Panics
    /// If it does not start.
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Town {
        let home = tempfile::tempdir().expect("a home");
        let data = home.path().join("node");
        let data = data.to_str().expect("UTF-8");
        let args = ["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", data, "--json"];
        let node = Daemon::start("namechaind", &args, home.path());
        Town { _home: home, node }
    }

    /// Somebody who registers `name`, and publishes a key for it.
    ///
    /// # Panics
    /// If it does not work.
    pub fn citizen(&self, name: &str) -> Citizen {
        let citizen = self.without_key(name);
        citizen.publish(&[]);
        citizen
    }

    /// Somebody who registers `name`.
    ///
    /// # Panics
    /// If it does not work.
    pub fn without_key(&self, name: &str) -> Citizen {
        let user = User::without_key(self.node.addr("api"));
        let made = user.zonetool(&["key", "new", "--no-passphrase"]).ok().json();
        let text: Vec<&str> =
            made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
        let words = user.home().join("words");
        fs::write(&words, text.join(" ")).expect("room for the words");
        user.register(name, &zones::path("minimal"));
        Citizen { user, name: name.to_owned(), words }
    }
}

impl Citizen {
    fn peer(&self, what: &str, more: &[&str]) {
        let words = self.words.to_str().expect("UTF-8");
        let args = ["peer", what, self.name.as_str(), "--words-file", words, "--wait"];
        self.user.zonetool(&[&args[..], more].concat()).ok();
    }

    /// Publishes a record.
    ///
    /// # Panics
    /// If it does not work.
    pub fn publish(&self, more: &[&str]) {
        self.peer("publish", more);
    }

    /// Replaces the key by the next one.
    ///
    /// # Panics
    /// If it does not work.
    pub fn rotate(&self) {
        self.peer("rotate", &[]);
    }

    /// Withdraws the key.
    ///
    /// # Panics
    /// If it does not work.
    pub fn withdraw(&self) {
        self.user.zonetool(&["peer", "revoke", &self.name, "--wait"]).ok();
    }

    /// The seed of the identity key at `index`.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn seed(&self, index: u32) -> [u8; 32] {
        let path = self.user.keys().join(format!("identity-{index}.key"));
        let file: Value = serde_json::from_slice(&fs::read(path).expect("a key")).expect("JSON");
        let secret = file["secret"].as_str().expect("not encrypted");
        let byte = |at: usize| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).expect("hexadecimal");
        std::array::from_fn(byte)
    }

    /// Waits for a call.
    pub fn listen(&self, more: &[&str]) -> Pipe {
        let args = ["--json", "peer", "listen", self.name.as_str(), "--listen", "127.0.0.1", "--port", "0"];
        self.user.pipe(&[&args[..], more].concat())
    }

    /// Calls somebody.
    pub fn dial(&self, name: &str, more: &[&str]) -> Pipe {
        let args = ["--json", "peer", "dial", name, "--from", self.name.as_str()];
        self.user.pipe(&[&args[..], more].concat())
    }
}
