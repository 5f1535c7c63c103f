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
    types::{Hash, Name, Network, Operation, PublicKey},
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
/// The most files that are read to find the registrations of a name.
const MAX_FILES_READ: usize = 1_000;

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
        let file = read_file(&self.path)?;
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

fn read_file(path: &Path) -> Option<File> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The commitments to `name` that registrations on this machine have stored, whoever's key they
/// are for.
pub fn stored_commitments(network: Network, name: &Name) -> Vec<Hash> {
    let Ok(directory) = keys::data_directory() else { return Vec::new() };
    let files = fs::read_dir(directory.join("registrations").join(network.as_str()));
    let files = files.into_iter().flatten().flatten().take(MAX_FILES_READ);
    let files = files.filter_map(|file| read_file(&file.path()));
    let ours = files.filter(|file| file.network == network && file.name == *name);
    let commits = ours.filter_map(|file| operation(file.commit.as_deref()?));
    let commitment = |operation| match operation {
        Operation::Commit { commitment, .. } => Some(commitment),
        Operation::Named(_) => None,
    };
    commits.filter_map(commitment).collect()
}

fn operation(text: &str) -> Option<Operation> {
    Operation::from_bytes(&hex::decode(text).ok()?).ok()
}
