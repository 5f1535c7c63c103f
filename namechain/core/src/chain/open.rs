//! Opening a chain: a new store gets its genesis block, an old one is read and checked.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Chain, TipState,
    ancestry::best_history,
    headers::{BlockIndexEntry, HEADERS_KEPT, Headers},
    storage::{BlockLocation, Change, Storage, StorageError, StoredHeader},
    verifier::SerialVerifier,
};
use crate::{
    consensus::{History, header::genesis, work::PowHasher},
    params::MAX_REORG_DEPTH,
    tree::Tree,
    types::{Entry, Hash, Network},
};

impl Chain {
    /// Opens the chain in `storage`. The state's tree is rebuilt from the entries and compared with
    /// the tip's root: what does not fit is [`StorageError::Damaged`], and the index must be
    /// rebuilt from the block log.
    pub fn open(network: Network, storage: Arc<dyn Storage>) -> Result<Self, StorageError> {
        let genesis_id = genesis(network).header.id(network);
        let tip = match storage.tip()? {
            Some(tip) => tip,
            None => begin(network, &*storage)?,
        };
        if storage.active(0)? != Some(genesis_id) {
            return Err(StorageError::Refused(format!(
                "the store holds another chain than that of network {network}"
            )));
        }
        let tip = storage
            .header(&tip)?
            .ok_or_else(|| StorageError::Damaged("the tip's header is missing".into()))?;
        let headers = load_headers(network, &*storage, tip.header.height)?;
        if headers.get(&tip.id).is_none() {
            return Err(StorageError::Damaged("the tip is not on a chain of headers".into()));
        }
        let recent = load_recent(network, &*storage, &headers, &tip)?;
        let (hasher, verifier) = (PowHasher::new(network), Box::new(SerialVerifier::new(network)));
        // While a chain works, the tip is of the most work: another can only have been held back.
        let parked_tip = headers.heaviest().filter(|(_, work)| *work > tip.work);
        Ok(Chain {
            params: network.params(),
            storage,
            headers,
            recent,
            parked_tip,
            hasher,
            verifier,
        })
    }
}

/// Writes the genesis block to a new store.
fn begin(network: Network, storage: &dyn Storage) -> Result<Hash, StorageError> {
    let block = genesis(network);
    let id = block.header.id(network);
    let work = block.header.target.work();
    let mut changes: Vec<Change> = History::default()
        .push(network, &id, work)
        .into_iter()
        .map(|(position, node)| Change::History(position, node))
        .collect();
    let stored =
        StoredHeader { id, header: block.header, work, at: BlockLocation::GENESIS, failed: false };
    changes.extend([Change::Header(stored), Change::Active(0, Some(id)), Change::Tip(id)]);
    storage.commit(changes, true)?;
    Ok(id)
}

/// The headers that a block may still build on, with the history range up to each.
fn load_headers(
    network: Network,
    storage: &dyn Storage,
    tip_height: u32,
) -> Result<Headers, StorageError> {
    let base = tip_height.saturating_sub(HEADERS_KEPT);
    let before = best_history(storage, u64::from(base))?;
    let base_id = storage.active(base)?;
    let mut headers = Headers::default();
    for stored in storage.headers_from(base)? {
        let StoredHeader { id, header, work, at, failed } = stored;
        let parent = headers.get(&header.previous).map(|parent| parent.history.clone());
        let history = match parent {
            Some(history) => history,
            None if Some(id) == base_id => Arc::new(before.clone()),
            // A side branch that departed before the oldest header kept: nothing can build on it
            // any more.
            None => continue,
        };
        let mut history = (*history).clone();
        history.push(network, &id, header.target.work());
        headers.insert(
            id,
            BlockIndexEntry {
                header,
                work,
                at,
                failed,
                checked: false,
                history: Arc::new(history),
            },
        );
    }
    Ok(headers)
}

/// The tip's tree from the entries, and the trees before it by undoing.
fn load_recent(
    network: Network,
    storage: &dyn Storage,
    headers: &Headers,
    tip: &StoredHeader,
) -> Result<VecDeque<TipState>, StorageError> {
    let mut entries = Vec::new();
    storage.entries(&mut |key, bytes| entries.push((key, Entry::value_hash(network, bytes))))?;
    entries.sort_unstable_by_key(|(key, _)| *key);
    let mut tree = Tree::from_sorted(network, &entries);
    drop(entries);
    let mut recent = VecDeque::new();
    let mut id = tip.id;
    while let Some(known) = headers.get(&id) {
        if tree.root() != known.header.state_root {
            return Err(StorageError::Damaged(format!(
                "the state at height {} has another root",
                known.header.height
            )));
        }
        recent.push_front(TipState { id, tree: tree.clone() });
        if known.header.height == 0 || recent.len() > MAX_REORG_DEPTH as usize {
            break;
        }
        for (key, old) in storage.undo_of(known.header.height)? {
            match old {
                Some(bytes) => tree.insert(key, Entry::value_hash(network, &bytes)),
                None => tree.remove(&key),
            }
        }
        id = known.header.previous;
    }
    Ok(recent)
}
