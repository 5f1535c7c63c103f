//! Users who call each other by their names.

use std::fs;

use serde_json::Value;

use crate::{pipe::Pipe, program::User, users::World, zones};

/// Somebody with a name that a key speaks for.
pub struct Citizen {
    /// The user.
    pub user: User,
    /// The name.
    pub name: String,
    /// The file that has the 24 words.
    pub words: String,
}

impl Citizen {
    /// Somebody who registers `name`, and publishes a key for it.
    ///
    /// # Panics
    /// If it does not work.
    pub fn of(world: &World, name: &str) -> Citizen {
        let citizen = Citizen::without_key(world, name);
        citizen.publish(&[]);
        citizen
    }

    /// Somebody who registers `name`.
    ///
    /// # Panics
    /// If it does not work.
    pub fn without_key(world: &World, name: &str) -> Citizen {
        let (user, words) = world.user();
        user.register(name, &zones::path("minimal"));
        Citizen { user, name: name.to_owned(), words }
    }

    fn peer(&self, what: &str, more: &[&str]) {
        let args = ["peer", what, self.name.as_str(), "--words-file", &self.words, "--wait"];
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
        let byte =
            |at: usize| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).expect("hexadecimal");
        std::array::from_fn(byte)
    }

    /// Waits for a call.
    pub fn listen(&self, more: &[&str]) -> Pipe {
        let args = [
            "--json",
            "peer",
            "listen",
            self.name.as_str(),
            "--listen",
            "127.0.0.1",
            "--port",
            "0",
        ];
        self.user.pipe(&[&args[..], more].concat())
    }

    /// Calls somebody.
    pub fn dial(&self, name: &str, more: &[&str]) -> Pipe {
        let args = ["--json", "peer", "dial", name, "--from", self.name.as_str()];
        self.user.pipe(&[&args[..], more].concat())
    }
}
