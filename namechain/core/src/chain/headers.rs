//! The headers in memory: those of the last blocks of the best chain, and every other branch that a
//! block may still extend. The best chain's deeper headers are read from the store when a branch
//! departs there.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::storage::{BlockLocation, Storage, StorageError, StoredHeader, best_history};
use crate::{
    consensus::{History, HistoryNode, difficulty::header_work, header::Ancestors},
    params::{BLOCKS_KEPT, Params},
    types::{Hash, Header},
};

/// How far below the tip a branch may be extended: it may begin a reorganisation's depth below, and
/// its first block looks back further for anchors.
pub(super) const HEADERS_KEPT: u32 = BLOCKS_KEPT;

/// A header with what its children need to know.
#[derive(Clone, Debug)]
pub(super) struct BlockIndexEntry {
    pub header: Header,
    /// The work of this header alone.
    pub own_work: u128,
    /// Summed work up to and with this header.
    pub work: u128,
    pub at: BlockLocation,
    /// Whether the block broke a rule when it was connected.
    pub failed: bool,
    /// Whether the signatures and stamps of its block were checked since the chain was opened.
    pub checked: bool,
    /// The range up to and with this header.
    pub history: History,
}

/// Headers by id.
#[derive(Debug, Default)]
pub(super) struct Headers {
    known: HashMap<Hash, BlockIndexEntry>,
    by_height: BTreeMap<u32, Vec<Hash>>,
}

impl Headers {
    pub fn get(&self, id: &Hash) -> Option<&BlockIndexEntry> {
        self.known.get(id)
    }

    pub fn insert(&mut self, id: Hash, known: BlockIndexEntry) {
        let height = known.header.height;
        if self.known.insert(id, known).is_none() {
            self.by_height.entry(height).or_default().push(id);
        }
    }

    /// The heights and ids of those below `height`.
    pub fn below(&self, height: u32) -> Vec<(u32, Hash)> {
        let below = self.by_height.range(..height);
        below.flat_map(|(height, ids)| ids.iter().map(|id| (*height, *id))).collect()
    }

    /// Says whether the block `id` is put out of the choice. Returns what to store.
    pub fn set_failed(&mut self, id: &Hash, failed: bool) -> Option<StoredHeader> {
        let known = self.known.get_mut(id)?;
        known.failed = failed;
        Some(known.stored(*id))
    }

    /// The block `id` and all that descend from it, each after its parent.
    pub fn descendants(&self, id: &Hash) -> Vec<Hash> {
        let Some(height) = self.known.get(id).map(|known| known.header.height) else {
            return Vec::new();
        };
        let (mut all, mut last) = (vec![*id], HashSet::from([*id]));
        for ids in self.by_height.range(height + 1..).map(|(_, ids)| ids) {
            let follows = |id: &&Hash| {
                self.known.get(*id).is_some_and(|known| last.contains(&known.header.previous))
            };
            let next: HashSet<Hash> = ids.iter().filter(follows).copied().collect();
            all.extend(&next);
            last = next;
        }
        all
    }

    /// The header of most summed work that broke no rule, and its work.
    pub fn heaviest(&self) -> Option<(Hash, u128)> {
        self.heaviest_of(|_, _| true).map(|(id, known)| (id, known.work))
    }

    /// The header of most summed work that broke no rule, of those that are `wanted`.
    pub fn heaviest_of(
        &self,
        wanted: impl Fn(&Hash, &BlockIndexEntry) -> bool,
    ) -> Option<(Hash, &BlockIndexEntry)> {
        let sound = self.known.iter().filter(|(id, known)| !known.failed && wanted(id, known));
        sound.max_by_key(|(id, known)| (known.work, **id)).map(|(id, known)| (*id, known))
    }

    /// Forgets a header.
    pub fn remove(&mut self, id: &Hash) {
        let Some(known) = self.known.remove(id) else { return };
        if let Some(ids) = self.by_height.get_mut(&known.header.height) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_height.remove(&known.header.height);
            }
        }
    }

    /// Forgets what is too far below `tip_height` to be extended.
    pub fn prune(&mut self, tip_height: u32) {
        let keep = tip_height.saturating_sub(HEADERS_KEPT);
        while let Some(entry) = self.by_height.first_entry()
            && *entry.key() < keep
        {
            for id in entry.remove() {
                self.known.remove(&id);
            }
        }
    }
}

impl BlockIndexEntry {
    pub fn stored(&self, id: Hash) -> StoredHeader {
        StoredHeader {
            id,
            header: self.header.clone(),
            work: self.work,
            at: self.at,
            failed: self.failed,
        }
    }

    /// What the check of a child of this header may know.
    pub fn as_ancestors(&self) -> Ancestors<'_> {
        Ancestors { parent: &self.header, history: &self.history }
    }

    /// A child of this header.
    pub fn child(
        &self,
        params: &Params,
        id: &Hash,
        header: Header,
        at: BlockLocation,
    ) -> BlockIndexEntry {
        let leaf = HistoryNode::of_header(params, id, &header);
        let mut history = self.history.clone();
        history.push(params.network, leaf);
        BlockIndexEntry {
            header,
            own_work: leaf.work,
            work: self.work.saturating_add(leaf.work),
            at,
            failed: false,
            checked: false,
            history,
        }
    }

    /// A kept header, with the history range up to and with it.
    pub fn of_stored(params: &Params, stored: StoredHeader, history: History) -> BlockIndexEntry {
        let StoredHeader { header, work, at, failed, .. } = stored;
        let own_work = header_work(params, &header);
        BlockIndexEntry { header, own_work, work, at, failed, checked: false, history }
    }

    /// A kept header whose parent this is.
    pub fn stored_child(&self, params: &Params, stored: StoredHeader) -> BlockIndexEntry {
        let mut history = self.history.clone();
        let leaf = HistoryNode::of_header(params, &stored.id, &stored.header);
        history.push(params.network, leaf);
        BlockIndexEntry::of_stored(params, stored, history)
    }
}

/// The block `id` of the best chain, read from the store; `None` if it is not on the best chain.
pub(super) fn best_entry(
    params: &Params,
    storage: &dyn Storage,
    id: &Hash,
) -> Result<Option<BlockIndexEntry>, StorageError> {
    let Some(stored) = storage.header(id)? else { return Ok(None) };
    let height = stored.header.height;
    if storage.active(height)? != Some(*id) {
        return Ok(None);
    }
    let history = best_history(storage, u64::from(height) + 1)?;
    Ok(Some(BlockIndexEntry::of_stored(params, stored, history)))
}
