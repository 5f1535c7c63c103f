//! Opening a chain: a new store gets its genesis block, an old one is read and checked.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Chain,
    activity::Activity,
    expiry::{ExpiryQueue, encoded_end},
    headers::{BlockIndexEntry, HEADERS_KEPT, Headers, best_entry},
    past_tree::{Found, PastTree},
    storage::{
        BlockLocation, Change, Storage, StorageError, StoredHeader, best_header, best_history,
    },
    tip_state::{TREES_KEPT, TipState, check_root, found_at, undo},
    verifier::SerialVerifier,
};
use crate::{
    consensus::{History, HistoryNode, header::genesis, work::PowHasher},
    params::{Params, STATES_KEPT},
    tree::Tree,
    types::{Entry, Hash, Network},
};

/// How many of the last blocks are read when a chain is opened, for what in them waits for more.
const ACTIVITY_READ: usize = 64;

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
        let params = network.params();
        let headers = load_headers(params, &*storage, &tip)?;
        let (tree, expiry) = load_state(params, &*storage)?;
        let recent = load_recent(network, &*storage, &headers, &tip, tree)?;
        let (hasher, verifier) = (PowHasher::new(network), Box::new(SerialVerifier::new(network)));
        let following = storage.following()?.unwrap_or_default();
        let mut chain = Chain {
            params,
            storage,
            headers,
            recent,
            expiry,
            following,
            taken_live: false,
            hold_looked_at: None,
            parked_tip: None,
            hasher,
            verifier,
        };
        // The move that a hold follows was committed before it: a crash may have come between.
        chain.update_hold_fork()?;
        chain.load_activity();
        Ok(chain)
    }
}

impl Chain {
    /// Reads the last blocks, for what in them waits for more. A block that can't be read is passed
    /// over: nothing depends on it but when blocks are made.
    fn load_activity(&mut self) {
        let recent = self.recent.iter().rev().take(ACTIVITY_READ);
        let read = recent.map(|state| {
            let block = self.read_block(&state.id);
            block.map_or(Activity::default(), |block| Activity::of(&block))
        });
        let read: Vec<Activity> = read.collect();
        for (state, activity) in self.recent.iter_mut().rev().zip(read) {
            state.activity = activity;
        }
    }
}

/// Writes the genesis block to a new store.
fn begin(network: Network, storage: &dyn Storage) -> Result<Hash, StorageError> {
    let block = genesis(network);
    let id = block.header.id(network);
    let leaf = HistoryNode::of_header(network.params(), &id, &block.header);
    let work = leaf.work;
    let mut changes: Vec<Change> = History::default()
        .push(network, leaf)
        .into_iter()
        .map(|(position, node)| Change::History(position, node))
        .collect();
    let stored =
        StoredHeader { id, header: block.header, work, at: BlockLocation::GENESIS, failed: false };
    changes.extend([Change::Header(stored), Change::Active(0, Some(id)), Change::Tip(id)]);
    storage.commit(changes, true)?;
    Ok(id)
}

/// The headers of the last blocks, the tip last, and what departs from the best chain as deep as a
/// block may still build on it; each with the history range up to it.
fn load_headers(
    params: &Params,
    storage: &dyn Storage,
    tip: &StoredHeader,
) -> Result<Headers, StorageError> {
    let (mut headers, tip_height) = (Headers::default(), tip.header.height);
    let lowest = tip_height.saturating_sub(STATES_KEPT);
    let mut before: Option<Hash> = None;
    for height in lowest..=tip_height {
        let stored = best_header(storage, height)?;
        let id = stored.id;
        let known = match before.and_then(|before| headers.get(&before)) {
            Some(parent) if before == Some(stored.header.previous) => {
                parent.stored_child(params, stored)
            }
            Some(_) => {
                let what = format!("the best chain's headers do not fit at height {height}");
                return Err(StorageError::Damaged(what));
            }
            None => {
                let history = best_history(storage, u64::from(height) + 1)?;
                BlockIndexEntry::of_stored(params, stored, history)
            }
        };
        headers.insert(id, known);
        before = Some(id);
    }
    if before != Some(tip.id) {
        return Err(StorageError::Damaged("the tip is not on a chain of headers".into()));
    }
    for stored in storage.side_headers_from(tip_height.saturating_sub(HEADERS_KEPT))? {
        let (id, height) = (stored.id, stored.header.height);
        if headers.get(&id).is_some() || height < lowest && storage.active(height)? == Some(id) {
            continue;
        }
        let known = match headers.get(&stored.header.previous) {
            Some(parent) => Some(parent.stored_child(params, stored)),
            None => {
                let parent = best_entry(params, storage, &stored.header.previous)?;
                parent.map(|parent| parent.stored_child(params, stored))
            }
        };
        // None: it departed before what a block can still build on.
        if let Some(known) = known {
            headers.insert(id, known);
        }
    }
    Ok(headers)
}

/// The tip's tree and its entries by their end.
fn load_state(params: &Params, storage: &dyn Storage) -> Result<(Tree, ExpiryQueue), StorageError> {
    let (mut hashes, mut ends) = (Vec::new(), Vec::new());
    let mut damaged = None;
    storage.entries(&mut |key, bytes| {
        hashes.push((key, Entry::value_hash(params.network, bytes)));
        match encoded_end(params, bytes) {
            Ok((kind, end)) => ends.push((kind, end, key)),
            Err(error) => damaged = Some(format!("the entry under {key} does not decode: {error}")),
        }
    })?;
    if let Some(what) = damaged {
        return Err(StorageError::Damaged(what));
    }
    hashes.sort_unstable_by_key(|(key, _)| *key);
    ends.sort_unstable();
    Ok((Tree::from_sorted(params.network, &hashes), ends.into_iter().collect()))
}

/// The states of the last blocks: the tip's, and those before it by undoing. Each state that has a
/// tree is compared with its header, and so is the earliest. To hash those between as well would
/// take several times as long as all else; a state is compared when its tree is wanted.
fn load_recent(
    network: Network,
    storage: &dyn Storage,
    headers: &Headers,
    tip: &StoredHeader,
    mut tree: Tree,
) -> Result<VecDeque<TipState>, StorageError> {
    let mut recent = VecDeque::new();
    // What led from the earliest state to the last one without a tree, the last step first.
    let mut steps: Vec<Arc<[Found]>> = Vec::new();
    let mut id = tip.id;
    while let Some(known) = headers.get(&id) {
        let height = known.header.height;
        let has_tree = recent.len() < TREES_KEPT;
        if has_tree {
            check_root(&known.header, tree.root())?;
        }
        let found = found_at(storage, network, height)?;
        let kept = has_tree.then(|| tree.clone());
        let activity = Activity::default();
        recent.push_front(TipState { id, tree: kept, found: found.clone(), activity });
        if height == 0 || recent.len() > STATES_KEPT as usize {
            break;
        }
        if has_tree {
            undo(&mut tree, &found);
        } else {
            steps.push(found);
        }
        id = known.header.previous;
    }
    if let Some(earliest) = recent.front().and_then(|state| headers.get(&state.id)) {
        steps.reverse();
        if recent.len() > TREES_KEPT {
            check_root(&earliest.header, PastTree::new(tree, steps).root())?;
        }
    }
    Ok(recent)
}
