//! A store in plain maps, for tests, simulations and tools that keep nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    following::Following,
    storage::{Before, BlockLocation, Change, Storage, StorageError, StoredHeader},
};
use crate::{consensus::HistoryNode, types::Hash};

/// [`Storage`] in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage(Mutex<Maps>);

#[derive(Clone, Debug, Default)]
struct Maps {
    log: Vec<Vec<u8>>,
    tip: Option<Hash>,
    active: BTreeMap<u32, Hash>,
    headers: BTreeMap<(u32, Hash), StoredHeader>,
    heights: BTreeMap<Hash, u32>,
    entries: BTreeMap<Hash, Vec<u8>>,
    undo: BTreeMap<(u32, Hash), Option<Vec<u8>>>,
    touched: BTreeSet<(Hash, u32)>,
    history: BTreeMap<u64, HistoryNode>,
    following: Option<Following>,
    pending: BTreeMap<Hash, Vec<u8>>,
}

impl MemoryStorage {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for MemoryStorage {
    /// A store of its own with the same contents.
    fn clone(&self) -> Self {
        MemoryStorage(Mutex::new(self.maps().clone()))
    }
}

impl Storage for MemoryStorage {
    fn append(&self, block: &[u8]) -> Result<BlockLocation, StorageError> {
        let mut maps = self.maps();
        maps.log.push(block.to_vec());
        Ok(BlockLocation { file: 0, offset: maps.log.len() as u64 - 1, len: block.len() as u32 })
    }

    fn block(&self, at: BlockLocation) -> Result<Vec<u8>, StorageError> {
        let maps = self.maps();
        let block = usize::try_from(at.offset).ok().and_then(|index| maps.log.get(index));
        block.cloned().ok_or_else(|| StorageError::Damaged(format!("no block at {}", at.offset)))
    }

    fn commit(&self, changes: Vec<Change>, _durable: bool) -> Result<(), StorageError> {
        let mut maps = self.maps();
        for change in changes {
            match change {
                Change::Header(stored) => {
                    maps.heights.insert(stored.id, stored.header.height);
                    maps.headers.insert((stored.header.height, stored.id), stored);
                }
                Change::Active(height, Some(id)) => _ = maps.active.insert(height, id),
                Change::Active(height, None) => _ = maps.active.remove(&height),
                Change::Entry(key, Some(entry)) => _ = maps.entries.insert(key, entry),
                Change::Entry(key, None) => _ = maps.entries.remove(&key),
                Change::Undo(height, key, old) => _ = maps.undo.insert((height, key), old),
                Change::DropUndo(height) => {
                    let range = (height, Hash::ZERO)..=(height, Hash([0xff; 32]));
                    let keys: Vec<_> = maps.undo.range(range).map(|(key, _)| *key).collect();
                    keys.iter().for_each(|key| _ = maps.undo.remove(key));
                }
                Change::NameHistory(key, height, true) => _ = maps.touched.insert((key, height)),
                Change::NameHistory(key, height, false) => _ = maps.touched.remove(&(key, height)),
                Change::History(position, node) => _ = maps.history.insert(position, node),
                Change::Tip(id) => maps.tip = Some(id),
                Change::Following(following) => maps.following = Some(following),
                Change::Pending(id, Some(operation)) => _ = maps.pending.insert(id, operation),
                Change::Pending(id, None) => _ = maps.pending.remove(&id),
            }
        }
        Ok(())
    }

    fn tip(&self) -> Result<Option<Hash>, StorageError> {
        Ok(self.maps().tip)
    }

    fn active(&self, height: u32) -> Result<Option<Hash>, StorageError> {
        Ok(self.maps().active.get(&height).copied())
    }

    fn header(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        let maps = self.maps();
        Ok(maps.heights.get(id).and_then(|height| maps.headers.get(&(*height, *id))).cloned())
    }

    fn headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        Ok(self
            .maps()
            .headers
            .range((height, Hash::ZERO)..)
            .map(|(_, stored)| stored.clone())
            .collect())
    }

    fn entry(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.maps().entries.get(key).cloned())
    }

    fn entries(&self, each: &mut dyn FnMut(Hash, &[u8])) -> Result<(), StorageError> {
        for (key, entry) in &self.maps().entries {
            each(*key, entry);
        }
        Ok(())
    }

    fn undo(&self, height: u32, key: &Hash) -> Result<Option<Option<Vec<u8>>>, StorageError> {
        Ok(self.maps().undo.get(&(height, *key)).cloned())
    }

    fn undo_of(&self, height: u32) -> Result<Vec<Before>, StorageError> {
        let maps = self.maps();
        let range = (height, Hash::ZERO)..=(height, Hash([0xff; 32]));
        Ok(maps.undo.range(range).map(|((_, key), old)| (*key, old.clone())).collect())
    }

    fn touched(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        Ok(self
            .maps()
            .touched
            .range((*key, 0)..=(*key, u32::MAX))
            .map(|(_, height)| *height)
            .collect())
    }

    fn history(&self, position: u64) -> Result<Option<HistoryNode>, StorageError> {
        Ok(self.maps().history.get(&position).copied())
    }

    fn following(&self) -> Result<Option<Following>, StorageError> {
        Ok(self.maps().following.clone())
    }

    fn pending(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        Ok(self.maps().pending.values().cloned().collect())
    }
}
