//! The journal of a registration: the worked Commit, so that neither a crash nor a node that
//! forgets it loses the work, and the Register that opened it.
//!
//! One file for each network, owner and name in the user's data directory, readable by the user
//! alone: before the name is registered it tells what the commitment hides.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use namechain_core::{
    codec::{Decode, Encode},
    types::{Name, Network, Operation, PublicKey},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::CommandError,
    keys::{self, KeyError},
};

/// The version of the format.
const FORMAT: u32 = 1;
/// The most bytes of a file that are read: two operations in hexadecimal are less.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The operations of a registration that were worked so far.
#[derive(Debug)]
pub struct Journal {
    network: Network,
    name: Name,
    owner: PublicKey,
    path: PathBuf,
    /// The Commit.
    pub commit: Option<Operation>,
    /// The Register.
    pub register: Option<Operation>,
}

/// The file as it is written: operations in hexadecimal.
#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    network: Network,
    name: Name,
    owner: PublicKey,
    commit: Option<String>,
    register: Option<String>,
}

impl Journal {
    /// The journal of registering `name` for `owner`; empty if there is no file, or a damaged one:
    /// it only saves work. It is in the user's data directory, or beside the keys if that is not
    /// known.
    pub fn load(network: Network, name: &Name, owner: PublicKey, keys: &Path) -> Self {
        let directory = keys::data_directory().unwrap_or_else(|_| keys.to_owned());
        let directory = directory.join("registrations").join(network.as_str());
        let short: String = owner.to_string().chars().take(16).collect();
        let path = directory.join(format!("{name}-{short}.json"));
        let mut journal =
            Journal { network, name: name.clone(), owner, path, commit: None, register: None };
        if let Some(file) = journal.read() {
            journal.commit = file.commit.as_deref().and_then(operation);
            journal.register = file.register.as_deref().and_then(operation);
        }
        journal
    }

    fn read(&self) -> Option<File> {
        let mut bytes = Vec::new();
        fs::File::open(&self.path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        let file: File = serde_json::from_slice(&bytes).ok()?;
        let is_ours = file.format == FORMAT
            && (file.network, &file.name, file.owner) == (self.network, &self.name, self.owner);
        is_ours.then_some(file)
    }

    /// The key that the name is registered for.
    pub fn owner(&self) -> PublicKey {
        self.owner
    }

    /// Writes the journal, synced to the disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn store(&self) -> Result<(), CommandError> {
        let file = File {
            format: FORMAT,
            network: self.network,
            name: self.name.clone(),
            owner: self.owner,
            commit: self.commit.as_ref().map(|commit| hex::encode(commit.to_bytes())),
            register: self.register.as_ref().map(|register| hex::encode(register.to_bytes())),
        };
        let failed = |source| KeyError::File { path: self.path.clone(), source };
        if let Some(directory) = self.path.parent() {
            keys::create_directory(directory)?;
        }
        let text = serde_json::to_vec(&file).map_err(|error| failed(error.into()))?;
        Ok(keys::write_durably(&self.path, &text).map_err(failed)?)
    }

    /// Removes the file: the registration is done, or given up.
    pub fn remove(&self) {
        // A file that stays is old work, which the next run sees by asking the node.
        let _ = fs::remove_file(&self.path);
    }
}

fn operation(text: &str) -> Option<Operation> {
    Operation::from_bytes(&hex::decode(text).ok()?).ok()
}
