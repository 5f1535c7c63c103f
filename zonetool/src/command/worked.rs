//! Finished work, stored before it is sent: neither a crash nor a node that loses the operation
//! costs it again, while the operation is valid. Registrations have their own journal.
//!
//! One file for each network, name and signer in the user's data directory; the next operation
//! replaces it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use namechain_core::{
    codec::{Decode, Encode},
    types::{Action, Name, Network, Operation, PublicKey, SignedOperation},
};

use super::draft::Draft;
use crate::{
    error::CommandError,
    keys::{self, KeyError},
};

/// The most bytes of a file that are read: an operation is less.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// An operation that is valid for less than this, in seconds, is not sent again: no block might
/// take it in time.
const MIN_LEFT_SECS: u64 = 600;

/// The file of the last operation that `signer` worked for a name.
#[derive(Debug)]
pub struct WorkedFile {
    path: PathBuf,
}

/// What a file holds that may be sent again.
#[derive(Debug)]
pub enum Stored {
    /// Nothing for this draft.
    Nothing,
    /// The draft's operation, but it is not valid any more, or not for long.
    Expired,
    /// The draft's operation.
    Usable(Box<SignedOperation>),
}

impl WorkedFile {
    /// The file; `None` where operations are not stored: of a registration, or if the directory is
    /// not known.
    pub fn of(network: Network, draft: &Draft, signer: &PublicKey) -> Option<Self> {
        if matches!(draft.action, Action::Register { .. }) {
            return None;
        }
        let directory = keys::data_directory().ok()?.join("operations").join(network.as_str());
        Some(WorkedFile { path: path_in(&directory, &draft.name, signer) })
    }

    /// The stored operation, if it is exactly what `draft` asks for, at `now` in seconds of Unix
    /// time.
    pub fn load(&self, draft: &Draft, signer: &PublicKey, now: u64) -> Stored {
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
        let Some(Ok(Operation::Named(named))) = read.ok().map(|_| Operation::from_bytes(&bytes))
        else {
            return Stored::Nothing;
        };
        let is_same = (&named.name, &named.reference, &named.action, &named.signer)
            == (&draft.name, &draft.reference, &draft.action, signer);
        match is_same {
            false => Stored::Nothing,
            true if named.valid_until < now.saturating_add(MIN_LEFT_SECS) => Stored::Expired,
            true => Stored::Usable(Box::new(named)),
        }
    }

    /// Writes an operation, synced to the disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn store(&self, operation: &Operation) -> Result<(), CommandError> {
        if let Some(directory) = self.path.parent() {
            keys::create_directory(directory)?;
        }
        let failed = |source| KeyError::File { path: self.path.clone(), source };
        Ok(keys::write_durably(&self.path, &operation.to_bytes()).map_err(failed)?)
    }
}

fn path_in(directory: &Path, name: &Name, signer: &PublicKey) -> PathBuf {
    let short: String = signer.to_string().chars().take(16).collect();
    directory.join(format!("{name}-{short}.op"))
}

#[cfg(test)]
mod tests {
    use namechain_core::{
        consensus::header::signing_context,
        types::{Hash, SecretKey},
    };

    use super::*;
    use crate::command::draft::UNWORKED;

    #[test]
    fn only_the_same_operation_is_used_again_while_it_is_valid() {
        let directory = tempfile::tempdir().unwrap();
        let key = SecretKey::from_seed(&[1; 32]);
        let draft = Draft {
            name: "alice".parse().unwrap(),
            reference: Hash([7; 32]),
            action: Action::Transfer { sequence: 3, to: key.public() },
            entry: None,
        };
        let file = WorkedFile { path: path_in(directory.path(), &draft.name, &key.public()) };
        assert!(matches!(file.load(&draft, &key.public(), 0), Stored::Nothing));
        let context = signing_context(Network::Dev.params(), 2);
        let (name, action) = (draft.name.clone(), draft.action.clone());
        let named =
            SignedOperation::sign(&context, name, draft.reference, 1_000, action, &key, UNWORKED);
        file.store(&Operation::Named(named.clone())).unwrap();
        assert!(
            matches!(file.load(&draft, &key.public(), 400), Stored::Usable(it) if *it == named)
        );
        assert!(matches!(file.load(&draft, &key.public(), 401), Stored::Expired));
        let next = Draft { action: Action::Transfer { sequence: 4, to: key.public() }, ..draft };
        assert!(matches!(file.load(&next, &key.public(), 400), Stored::Nothing));
        fs::write(&file.path, b"damaged").unwrap();
        assert!(matches!(file.load(&next, &key.public(), 400), Stored::Nothing));
    }
}
