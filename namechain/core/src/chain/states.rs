//! The states of the last blocks. Those a reader asks for most have a tree each; of the others is
//! kept what their blocks found before they changed it, which says as much in a tenth of the
//! memory.

use super::{
    Chain, Snapshot,
    activity::Activity,
    past_tree::PastTree,
    storage::{StorageError, best_header},
    tip_state::{TipState, check_root, drop_trees, found_at, undo},
};
use crate::{params::STATES_KEPT, tree::Tree, types::Hash};

impl Chain {
    /// The state at the tip.
    pub(super) fn tip_tree(&self) -> &Tree {
        self.tip().tree.as_ref().expect("the tip has its tree")
    }

    /// The state after the block at `index` of the recent ones.
    fn past_tree(&self, index: usize) -> PastTree {
        let mut steps = Vec::new();
        for state in self.recent.range(index..) {
            // The block itself changed what came before it.
            if let Some(tree) = &state.tree {
                return PastTree::new(tree.clone(), steps);
            }
            if let Some(next) = self.recent.get(index + steps.len() + 1) {
                steps.push(next.found.clone());
            }
        }
        PastTree::new(self.tip_tree().clone(), steps)
    }

    /// The state after the best chain's block at `height`; `None` above the tip or deeper than 720
    /// blocks.
    pub fn snapshot_at(&self, height: u32) -> Option<Snapshot> {
        let index = height.checked_sub(self.recent_base())? as usize;
        let recent = self.recent.get(index)?;
        Some(Snapshot {
            network: self.params.network,
            id: recent.id,
            header: self.headers.get(&recent.id)?.header.clone(),
            contested_above: self.hold().map(|hold| hold.fork_height),
            tree: self.past_tree(index),
            storage: self.storage.clone(),
        })
    }

    /// The state after the best chain's block at `height`, with its tree: from memory, or worked
    /// out from what the blocks above it found.
    pub(super) fn state_at(&self, height: u32) -> Result<TipState, StorageError> {
        let base = self.recent_base();
        if let Some(index) = height.checked_sub(base).map(|index| index as usize)
            && let Some(recent) = self.recent.get(index)
        {
            let tree = match &recent.tree {
                Some(tree) => tree.clone(),
                None => {
                    let tree = self.past_tree(index).to_tree();
                    let known = self.headers.get(&recent.id);
                    known.map_or(Ok(()), |known| check_root(&known.header, tree.root()))?;
                    tree
                }
            };
            return Ok(TipState { tree: Some(tree), ..recent.clone() });
        }
        let mut tree = self.past_tree(0).to_tree();
        for above in (height + 1..=base).rev() {
            undo(&mut tree, &found_at(&*self.storage, self.params.network, above)?);
        }
        let stored = best_header(&*self.storage, height)?;
        check_root(&stored.header, tree.root())?;
        let found = found_at(&*self.storage, self.params.network, height)?;
        Ok(TipState { id: stored.id, tree: Some(tree), found, activity: Activity::default() })
    }

    /// Drops what is too deep: states, and the trees of those that are not asked for much.
    pub(super) fn trim_states(&mut self) -> Vec<Hash> {
        let mut dropped = Vec::new();
        while self.recent.len() > STATES_KEPT as usize + 1 {
            dropped.extend(self.recent.pop_front().map(|state| state.id));
        }
        drop_trees(&mut self.recent);
        dropped
    }
}
