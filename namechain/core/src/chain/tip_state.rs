//! A block of the best chain with the state after it, and what it found before it changed it.

use std::{collections::VecDeque, sync::Arc};

use super::{
    activity::Activity,
    past_tree::Found,
    storage::{Before, Storage, StorageError},
};
use crate::{
    tree::Tree,
    types::{Entry, Hash, Header, Network},
};

/// How many of the last states have a tree: more than names are served from, and as many as most
/// reorganisations undo.
pub(super) const TREES_KEPT: usize = 32;

/// A block of the best chain and the state after it.
#[derive(Clone)]
pub(super) struct TipState {
    pub id: Hash,
    /// The state. The tip's is always there; what another's was the blocks above it tell.
    pub tree: Option<Tree>,
    /// What the block found under each key that it changed, sorted by key.
    pub found: Arc<[Found]>,
    pub activity: Activity,
}

/// Drops the trees that are deeper than trees are kept.
pub(super) fn drop_trees(recent: &mut VecDeque<TipState>) {
    let deep = recent.len().saturating_sub(TREES_KEPT);
    for state in recent.range_mut(..deep).rev() {
        if state.tree.take().is_none() {
            break;
        }
    }
}

/// What the best chain's block at `height` found, as value hashes.
pub(super) fn found_at(
    storage: &dyn Storage,
    network: Network,
    height: u32,
) -> Result<Arc<[Found]>, StorageError> {
    Ok(found(network, &storage.undo_of(height)?))
}

/// What a block found, as value hashes, sorted by key.
fn found(network: Network, before: &[Before]) -> Arc<[Found]> {
    let hash = |bytes: &Vec<u8>| Entry::value_hash(network, bytes);
    let mut found: Vec<Found> =
        before.iter().map(|(key, old)| (*key, old.as_ref().map(hash))).collect();
    found.sort_unstable_by_key(|(key, _)| *key);
    found.into()
}

/// Takes what a block changed back out of `tree`.
pub(super) fn undo(tree: &mut Tree, found: &[Found]) {
    for (key, old) in found {
        match old {
            Some(value) => tree.insert(*key, *value),
            None => tree.remove(key),
        }
    }
}

/// # Errors
/// [`StorageError::Damaged`] if a state that was worked out from the index has another root than
/// its header says.
pub(super) fn check_root(header: &Header, root: Hash) -> Result<(), StorageError> {
    if root == header.state_root {
        return Ok(());
    }
    let what = format!("the state at height {} has another root", header.height);
    Err(StorageError::Damaged(what))
}
