//! The state while blocks are undone and connected, before anything is written.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    expiry::{End, ExpiryQueue, encoded_end},
    storage::{Storage, StorageError},
};
use crate::{
    codec::{Decode, Encode},
    consensus::{state::State, status::EntryKind},
    params::Params,
    tree::Tree,
    types::{Entry, Hash, Network},
};

/// An entry that differs from the store's.
pub(super) struct OverlayChange {
    /// The encoded entry; `None` if there is none any more.
    pub entry: Option<Vec<u8>>,
    /// When it ends.
    pub end: Option<End>,
    /// When the store's entry ends.
    pub stored_end: Option<End>,
}

/// The entries of the store's tip, with changes over them that are not written yet. What is read is
/// compared with the tree: an index that has rotted is the store's fault, never a block's.
pub(super) struct Overlay {
    params: &'static Params,
    storage: Arc<dyn Storage>,
    /// The tree of the store's tip.
    tree: Tree,
    changes: BTreeMap<Hash, OverlayChange>,
    /// The changed entries by their end.
    queue: ExpiryQueue,
}

impl Overlay {
    pub fn new(params: &'static Params, storage: Arc<dyn Storage>, tree: &Tree) -> Self {
        Overlay {
            params,
            storage,
            tree: tree.clone(),
            changes: BTreeMap::new(),
            queue: ExpiryQueue::default(),
        }
    }

    pub fn get(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.entry.clone()),
            None => {
                let entry = self.storage.entry(key)?;
                check_entry(self.params.network, &self.tree, key, entry.as_deref())?;
                Ok(entry)
            }
        }
    }

    /// Sets the entry under `key`, which was `before`.
    pub fn set(
        &mut self,
        key: Hash,
        before: Option<&[u8]>,
        entry: Option<Vec<u8>>,
    ) -> Result<(), StorageError> {
        let end = self.end_of(&key, entry.as_deref())?;
        let stored_end = match self.changes.get(&key) {
            Some(change) => change.stored_end,
            None => self.end_of(&key, before)?,
        };
        let change = OverlayChange { entry, end, stored_end };
        let before = self.changes.insert(key, change);
        if let Some(end) = before.and_then(|change| change.end) {
            self.queue.remove(end, &key);
        }
        if let Some(end) = end {
            self.queue.insert(end, key);
        }
        Ok(())
    }

    fn end_of(&self, key: &Hash, entry: Option<&[u8]>) -> Result<Option<End>, StorageError> {
        let damaged = |error| {
            StorageError::Damaged(format!("the entry under {key} does not decode: {error}"))
        };
        entry.map(|bytes| encoded_end(self.params, bytes).map_err(damaged)).transpose()
    }

    /// The keys of the entries of `kind` that end at `time` or before, by end and key, at most
    /// `limit`; `queue` is that of the store's tip.
    fn ended(&self, queue: &ExpiryQueue, kind: EntryKind, time: u64, limit: usize) -> Vec<Hash> {
        let mut stored =
            queue.ended(kind, time).filter(|(_, key)| !self.changes.contains_key(key)).peekable();
        let mut changed = self.queue.ended(kind, time).peekable();
        let mut keys = Vec::new();
        while keys.len() < limit {
            let next = match (stored.peek(), changed.peek()) {
                (Some(a), Some(b)) if a < b => stored.next(),
                (_, Some(_)) => changed.next(),
                _ => stored.next(),
            };
            let Some((_, key)) = next else { break };
            keys.push(key);
        }
        keys
    }

    /// Whether the changes so far are what `tree` says: after undoing, the state of the block that
    /// was gone back to.
    pub fn check_changes(&self, tree: &Tree) -> Result<(), StorageError> {
        self.changes.iter().try_for_each(|(key, change)| {
            check_entry(self.params.network, tree, key, change.entry.as_deref())
        })
    }

    pub fn into_changes(self) -> BTreeMap<Hash, OverlayChange> {
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
    /// The entries of the store's tip by their end.
    queue: &'a ExpiryQueue,
    written: BTreeMap<Hash, Option<Entry>>,
}

/// An entry that a block changed.
pub(super) struct Changed {
    pub key: Hash,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
}

impl<'a> BlockView<'a> {
    pub fn new(overlay: &'a Overlay, queue: &'a ExpiryQueue) -> Self {
        BlockView { overlay, queue, written: BTreeMap::new() }
    }

    /// The block's changes, and the tree after them.
    pub fn finish(self, tree: &Tree) -> Result<(Vec<Changed>, Tree), StorageError> {
        let network = self.overlay.params.network;
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

    /// Entries end at the start of a block, before it has written anything.
    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, StorageError> {
        Ok(self.overlay.ended(self.queue, kind, time, limit))
    }
}
