//! The state while blocks are undone and connected, before anything is written.

use std::{collections::BTreeMap, sync::Arc};

use super::storage::{Storage, StorageError};
use crate::{
    codec::{Decode, Encode},
    consensus::state::State,
    tree::Tree,
    types::{Entry, Hash, Network},
};

type Entries = BTreeMap<Hash, Option<Vec<u8>>>;

/// The entries of the store's tip, with changes over them that are not written yet. What is read is
/// compared with the tree: an index that has rotted is the store's fault, never a block's.
pub(super) struct Overlay {
    network: Network,
    storage: Arc<dyn Storage>,
    /// The tree of the store's tip.
    tree: Tree,
    changes: Entries,
}

impl Overlay {
    pub fn new(network: Network, storage: Arc<dyn Storage>, tree: &Tree) -> Self {
        Overlay { network, storage, tree: tree.clone(), changes: Entries::new() }
    }

    pub fn get(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.get(key) {
            Some(entry) => Ok(entry.clone()),
            None => {
                let entry = self.storage.entry(key)?;
                check_entry(self.network, &self.tree, key, entry.as_deref())?;
                Ok(entry)
            }
        }
    }

    /// Whether the changes so far are what `tree` says: after undoing, the state of the block that
    /// was gone back to.
    pub fn check_changes(&self, tree: &Tree) -> Result<(), StorageError> {
        self.changes
            .iter()
            .try_for_each(|(key, entry)| check_entry(self.network, tree, key, entry.as_deref()))
    }

    pub fn set(&mut self, key: Hash, entry: Option<Vec<u8>>) {
        self.changes.insert(key, entry);
    }

    pub fn into_changes(self) -> Entries {
        self.changes
    }
}

fn check_entry(
    network: Network,
    tree: &Tree,
    key: &Hash,
    entry: Option<&[u8]>,
) -> Result<(), StorageError> {
    if tree.get(key) == entry.map(|bytes| Entry::value_hash(network, bytes)) {
        return Ok(());
    }
    Err(StorageError::Damaged(format!("the entry under {key} is not the one in the tree")))
}

/// The state of one block on top of an overlay: collects what the block writes.
pub(super) struct BlockView<'a> {
    overlay: &'a Overlay,
    written: BTreeMap<Hash, Option<Entry>>,
}

/// An entry that a block changed.
pub(super) struct Changed {
    pub key: Hash,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
}

impl<'a> BlockView<'a> {
    pub fn new(overlay: &'a Overlay) -> Self {
        BlockView { overlay, written: BTreeMap::new() }
    }

    /// The block's changes, and the tree after them.
    pub fn finish(
        self,
        network: Network,
        tree: &Tree,
    ) -> Result<(Vec<Changed>, Tree), StorageError> {
        let mut tree = tree.clone();
        let mut changed = Vec::with_capacity(self.written.len());
        for (key, entry) in self.written {
            let before = self.overlay.get(&key)?;
            let after = entry.map(|entry| entry.to_bytes());
            if before == after {
                continue;
            }
            match &after {
                Some(bytes) => tree.insert(key, Entry::value_hash(network, bytes)),
                None => tree.remove(&key),
            }
            changed.push(Changed { key, before, after });
        }
        Ok((changed, tree))
    }
}

impl State for BlockView<'_> {
    type Error = StorageError;

    fn get(&self, key: &Hash) -> Result<Option<Entry>, StorageError> {
        if let Some(entry) = self.written.get(key) {
            return Ok(entry.clone());
        }
        let Some(bytes) = self.overlay.get(key)? else { return Ok(None) };
        let entry = Entry::from_bytes(&bytes).map_err(|error| {
            StorageError::Damaged(format!("the entry under {key} does not decode: {error}"))
        })?;
        Ok(Some(entry))
    }

    fn set(&mut self, key: Hash, entry: Option<Entry>) {
        self.written.insert(key, entry);
    }
}
