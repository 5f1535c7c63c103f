//! The tree of recent headers: every branch that a block may still extend.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::storage::{BlockLocation, StoredHeader};
use crate::{
    consensus::{History, header::Ancestors},
    params::{MAX_REORG_DEPTH, MEDIAN_TIME_SPAN},
    types::{Hash, Header, Network},
};

/// How far below the tip headers are kept in memory: a branch may begin a reorganisation's depth
/// below, and its first header looks back further for anchors and times.
pub(super) const HEADERS_KEPT: u32 = 2 * MAX_REORG_DEPTH;

/// A header with what its children need to know.
#[derive(Clone, Debug)]
pub(super) struct BlockIndexEntry {
    pub header: Header,
    /// Summed work up to and with this header.
    pub work: u128,
    pub at: BlockLocation,
    /// Whether the block broke a rule when it was connected.
    pub failed: bool,
    /// Whether the signatures and stamps of its block were checked since the chain was opened.
    pub checked: bool,
    /// The range up to and with this header.
    pub history: Arc<History>,
}

/// Headers by id, all of them connected to one oldest header.
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
        self.by_height.entry(known.header.height).or_default().push(id);
        self.known.insert(id, known);
    }

    pub fn set_failed(&mut self, id: &Hash) -> Option<StoredHeader> {
        let known = self.known.get_mut(id)?;
        known.failed = true;
        Some(known.stored(*id))
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

    /// What the check of a child of `parent` may know.
    pub fn ancestors<'a>(&'a self, parent: &'a BlockIndexEntry) -> Ancestors<'a> {
        let mut times = Vec::with_capacity(MEDIAN_TIME_SPAN);
        let mut at = Some(parent);
        while let Some(known) = at
            && times.len() < MEDIAN_TIME_SPAN
        {
            times.push(known.header.time);
            at = self.get(&known.header.previous);
        }
        Ancestors { parent: &parent.header, times, history: &parent.history }
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

    /// A child of this header.
    pub fn child(
        &self,
        network: Network,
        id: &Hash,
        header: Header,
        at: BlockLocation,
    ) -> BlockIndexEntry {
        let mut history = (*self.history).clone();
        let work = header.target.work();
        history.push(network, id, work);
        BlockIndexEntry {
            header,
            work: self.work.saturating_add(work),
            at,
            failed: false,
            checked: false,
            history: Arc::new(history),
        }
    }
}
