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

/// The entries of the store's tip, with changes over them that are not written yet.
pub(super) struct Overlay {
    storage: Arc<dyn Storage>,
    changes: Entries,
}

impl Overlay {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Overlay { storage, changes: Entries::new() }
    }

    pub fn get(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.get(key) {
            Some(entry) => Ok(entry.clone()),
            None => self.storage.entry(key),
        }
    }

    pub fn set(&mut self, key: Hash, entry: Option<Vec<u8>>) {
        self.changes.insert(key, entry);
    }

    pub fn into_changes(self) -> Entries {
        self.changes
    }
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
