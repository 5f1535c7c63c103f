//! Moving the tip: undoing and connecting blocks, worked out in memory and written in one commit.

use std::collections::VecDeque;

use super::{
    Chain, ChainError, Refused, TipChange,
    activity::Activity,
    headers::{HEADERS_KEPT, best_entry},
    storage::{Change, StorageError, StoredHeader, best_header, read_block},
    tip_state::{TipState, drop_trees, found_at},
    view::{BlockView, Changed, Overlay, OverlayChange},
};
use crate::{
    consensus::{
        HistoryNode,
        block::{Anchor, check_times},
        context::BlockContext,
        header::signing_context,
        state::{ApplyError, apply_block, check_block_outcome},
    },
    params::{MAX_REORG_DEPTH, STATES_KEPT},
    types::{Block, BlockTime, CommitmentEntry, Entry, Hash, Network, Operation},
};

/// A move of the tip in the making.
struct Move {
    /// The last block that stays, and its height.
    base: TipState,
    fork: u32,
    overlay: Overlay,
    /// The new blocks of the best chain, from `fork + 1` on.
    recent: VecDeque<TipState>,
    changes: Vec<Change>,
    outcome: TipChange,
}

impl Chain {
    /// Moves the tip to `target`, whose header `new` is not written yet and which sums more work
    /// than the tip. If a block on the way breaks a rule nothing moves: what came before it sums
    /// less work, or it would have been the tip.
    pub(super) fn move_tip(
        &mut self,
        target: Hash,
        new: StoredHeader,
        now: u64,
        durable: bool,
    ) -> Result<TipChange, ChainError> {
        let mut next = match self.plan(target) {
            Ok(next) => next,
            Err(error) => {
                if let ChainError::TooDeep { tip, .. } = error {
                    self.parked_tip = Some((tip, new.work));
                }
                self.storage.commit(vec![Change::Header(new)], durable)?;
                return Err(error);
            }
        };
        match self.connect_branch(&mut next, target) {
            Ok(()) => {
                next.changes.push(Change::Header(new));
                self.write(next, now, durable)
            }
            Err(Refused::Other(error)) => Err(error),
            Err(Refused::Rule(violation)) => {
                let (id, failed) = self.fail_branch(&next, target);
                self.storage.commit(failed, durable)?;
                Err(ChainError::Rule { id, violation })
            }
        }
    }

    /// Undoes the best chain down to where the branch of `target` departs.
    fn plan(&self, target: Hash) -> Result<Move, ChainError> {
        let tip_height = self.tip_header().height;
        let fork = self.fork_height(&target)?;
        let depth = tip_height - fork.unwrap_or(0);
        let Some(fork) = fork.filter(|_| depth <= MAX_REORG_DEPTH) else {
            return Err(ChainError::TooDeep { tip: target, depth });
        };
        let mut overlay = Overlay::new(self.params, self.storage.clone(), self.tip_tree());
        let (mut changes, mut outcome) = (Vec::new(), TipChange::default());
        for height in (fork + 1..=tip_height).rev() {
            for (key, old) in self.storage.undo_of(height)? {
                let before = overlay.get(&key)?;
                overlay.set(key, before.as_deref(), old)?;
            }
            changes.extend([Change::DropUndo(height), Change::Active(height, None)]);
            let block = self.read_block(&self.best_id(height)?)?;
            changes.extend(
                history_keys(self.params.network, &block)
                    .map(|key| Change::NameHistory(key, height, false)),
            );
            outcome.undone.push(block);
        }
        let base = self.state_at(fork)?;
        overlay.check_changes(base.tree.as_ref().unwrap_or_else(|| self.tip_tree()))?;
        Ok(Move { base, fork, overlay, recent: VecDeque::new(), changes, outcome })
    }

    /// The height of the highest block of the best chain that `target` is or descends from; `None`
    /// if it lies deeper than branches are kept.
    pub(super) fn fork_height(&self, target: &Hash) -> Result<Option<u32>, StorageError> {
        let mut id = *target;
        while let Some(known) = self.headers.get(&id) {
            let height = known.header.height;
            let best = match self.recent_at(height) {
                Some(recent) => Some(recent.id),
                None if height < self.recent_base() => self.storage.active(height)?,
                None => None,
            };
            if best == Some(id) {
                return Ok(Some(height));
            }
            id = known.header.previous;
        }
        let lowest = self.tip_header().height.saturating_sub(HEADERS_KEPT);
        Ok(self.best_chain_height(&id)?.filter(|height| *height >= lowest))
    }

    /// The best chain's block at `height`, not above the tip.
    fn best_id(&self, height: u32) -> Result<Hash, StorageError> {
        match self.recent_at(height) {
            Some(recent) => Ok(recent.id),
            None => Ok(best_header(&*self.storage, height)?.id),
        }
    }

    fn connect_branch(&mut self, next: &mut Move, target: Hash) -> Result<(), Refused> {
        let mut branch = Vec::new();
        let mut id = target;
        while let Some(known) = self.headers.get(&id)
            && known.header.height > next.fork
        {
            branch.push(id);
            id = known.header.previous;
        }
        for id in branch.into_iter().rev() {
            self.connect_block(next, id)?;
        }
        Ok(())
    }

    /// Checks everything about a block that its branch's state decides, and adds its changes to the
    /// move.
    fn connect_block(&mut self, next: &mut Move, id: Hash) -> Result<(), Refused> {
        let params = self.params;
        let block = self.read_block(&id)?;
        let height = block.header.height;
        let now = BlockTime { height, time: block.header.time };
        let mut operations = Vec::with_capacity(block.operations.len());
        for operation in &block.operations {
            let anchor = self.branch_anchor(next, &operation.stamp().anchor)?;
            operations.push((operation, check_times(operation, anchor, now)?));
        }

        let parent =
            self.find(&block.header.previous)?.ok_or(ChainError::Orphan(block.header.previous))?;
        let mut history = parent.history.clone();
        let checked = self.headers.get(&id).is_some_and(|known| known.checked);
        let mut view = BlockView::new(&next.overlay, &self.expiry);
        let prices = apply_block(
            params,
            BlockContext::after(&parent.header, block.header.time),
            &operations,
            &mut view,
        )
        .map_err(|failure| match failure {
            ApplyError::Rule(violation) => Refused::Rule(violation),
            ApplyError::State(error) => error.into(),
        })?;
        let before = next.recent.back().unwrap_or(&next.base).tree.as_ref();
        let (changed, tree) = view.finish(before.unwrap_or_else(|| self.tip_tree()))?;
        check_block_outcome(&block.header, tree.root(), prices)?;
        // Last, as signatures and stamps cost most: what is too cheap or comes too early has been
        // refused by now.
        if !checked {
            let context = signing_context(params, block.header.version);
            self.verifier.check_operations(&context, &block.operations)?;
        }

        for (position, node) in
            history.push(params.network, HistoryNode::of_header(params, &id, &block.header))
        {
            next.changes.push(Change::History(position, node));
        }
        let mut found = Vec::with_capacity(changed.len());
        for Changed { key, before, after } in changed {
            next.overlay.set(key, before.as_deref(), after)?;
            let hash = before.as_ref().map(|bytes| Entry::value_hash(params.network, bytes));
            found.push((key, hash));
            next.changes.push(Change::Undo(height, key, before));
        }
        next.changes.extend(
            history_keys(params.network, &block).map(|key| Change::NameHistory(key, height, true)),
        );
        next.changes.push(Change::Active(height, Some(id)));
        if let Some(old) = height.checked_sub(HEADERS_KEPT) {
            next.changes.push(Change::DropUndo(old));
        }
        let (tree, activity) = (Some(tree), Activity::of(&block));
        next.recent.push_back(TipState { id, tree, found: found.into(), activity });
        drop_trees(&mut next.recent);
        next.outcome.connected.push(block);
        Ok(())
    }

    /// Marks the first block that did not connect, and what follows it on the way to `target`, as
    /// failed. Returns the first one's id, and what to write.
    fn fail_branch(&mut self, next: &Move, target: Hash) -> (Hash, Vec<Change>) {
        let first = next.fork + next.recent.len() as u32 + 1;
        let (mut id, mut changes) = (target, Vec::new());
        while let Some(stored) = self.headers.set_failed(&id, true) {
            let (height, previous) = (stored.header.height, stored.header.previous);
            changes.push(Change::Header(stored));
            if height <= first {
                break;
            }
            id = previous;
        }
        (id, changes)
    }

    /// Writes a move and makes it the chain's.
    fn write(&mut self, next: Move, now: u64, durable: bool) -> Result<TipChange, ChainError> {
        let Move { base, fork, overlay, recent, mut changes, outcome } = next;
        let mut ends = Vec::new();
        for (key, OverlayChange { entry, end, stored_end }) in overlay.into_changes() {
            changes.push(Change::Entry(key, entry));
            ends.push((key, stored_end, end));
        }
        let tip = recent.back().unwrap_or(&base).id;
        changes.push(Change::Tip(tip));
        let mut following = self.following.clone();
        following.on_connected(fork, &outcome.connected, now);
        if following.hold.as_ref().is_some_and(|hold| hold.tip == tip) {
            following.hold = None;
        }
        if following != self.following {
            changes.push(Change::Following(following.clone()));
        }
        self.storage.commit(changes, durable)?;
        self.following = following;
        self.taken_live = true;
        for (key, before, after) in ends {
            if let Some(end) = before {
                self.expiry.remove(end, &key);
            }
            if let Some(end) = after {
                self.expiry.insert(end, key);
            }
        }
        self.keep_header(&base.id)?;
        for block in outcome.undone.iter().rev() {
            self.keep_header(&block.header.id(self.params.network))?;
        }
        match (fork + 1).checked_sub(self.recent_base()) {
            Some(kept) if kept > 0 => {
                self.recent.truncate(kept as usize);
                // The tip needs its tree, whatever it was before.
                self.recent.pop_back();
                self.recent.push_back(base);
            }
            _ => self.recent = [base].into(),
        }
        self.recent.extend(recent);
        if !outcome.undone.is_empty() {
            self.update_hold_fork()?;
        }
        self.load_states_below()?;
        self.forget_deep(&outcome.connected);
        if self.parked_tip.is_some() {
            // The heaviest that is known, be it kept here or only said to exist.
            let known = [self.parked_tip, self.headers.heaviest()].into_iter().flatten();
            let other = known.max_by_key(|(id, work)| (*work, *id));
            self.parked_tip = other.filter(|(_, work)| *work > self.work());
        }
        Ok(outcome)
    }

    /// Has the header of a kept block in memory, which is the best chain's or follows one that is
    /// in memory.
    pub(super) fn keep_header(&mut self, id: &Hash) -> Result<(), StorageError> {
        if self.headers.get(id).is_some() {
            return Ok(());
        }
        let missing = || StorageError::Damaged(format!("the header of block {id} is missing"));
        let stored = self.storage.header(id)?.ok_or_else(missing)?;
        let known = match self.headers.get(&stored.header.previous) {
            Some(parent) => Some(parent.stored_child(self.params, stored)),
            None => best_entry(self.params, &*self.storage, id)?,
        };
        self.headers.insert(*id, known.ok_or_else(missing)?);
        Ok(())
    }

    /// After a deep move: reads the states below those that it left in memory.
    fn load_states_below(&mut self) -> Result<(), StorageError> {
        while self.recent.len() <= STATES_KEPT as usize
            && let Some(height) = self.recent_base().checked_sub(1)
        {
            let id = best_header(&*self.storage, height)?.id;
            self.keep_header(&id)?;
            let found = found_at(&*self.storage, self.params.network, height)?;
            let activity = Activity::default();
            self.recent.push_front(TipState { id, tree: None, found, activity });
        }
        Ok(())
    }

    /// Forgets the states that are too deep now, and the headers of the best chain below those that
    /// are left.
    fn forget_deep(&mut self, connected: &[Block]) {
        for id in self.trim_states() {
            self.headers.remove(&id);
        }
        let base = self.recent_base();
        for block in connected.iter().take_while(|block| block.header.height < base) {
            self.headers.remove(&block.header.id(self.params.network));
        }
        self.headers.prune(self.tip_header().height);
    }

    /// The block `id` as an anchor on the branch of a move, if it is on it and recent enough. Below
    /// the fork the branch shares the best chain, further down than states are remembered: a
    /// block's anchors are counted from the block, not from the old tip.
    fn branch_anchor(&self, next: &Move, id: &Hash) -> Result<Option<Anchor>, StorageError> {
        let Some(known) = self.find(id)? else { return Ok(None) };
        let height = known.header.height;
        let there = match height.checked_sub(next.fork + 1) {
            Some(index) => next.recent.get(index as usize).map(|recent| recent.id),
            None => match self.recent_at(height) {
                Some(recent) => Some(recent.id),
                None => self.storage.active(height)?,
            },
        };
        Ok((there == Some(*id)).then(|| Anchor::of(&known.header)))
    }

    /// Reads a block that the store has.
    pub fn read_block(&self, id: &Hash) -> Result<Block, StorageError> {
        let at = match self.headers.get(id) {
            Some(known) => known.at,
            None => {
                self.storage
                    .header(id)?
                    .ok_or_else(|| StorageError::Damaged(format!("block {id} is missing")))?
                    .at
            }
        };
        read_block(self.params.network, &*self.storage, at)
    }
}

/// The keys that a block's operations are found again by: those of the names that they are on, and
/// of the commitments that they record.
fn history_keys(network: Network, block: &Block) -> impl Iterator<Item = Hash> {
    block.operations.iter().map(move |operation| match operation {
        Operation::Named(named) => named.name.key(network),
        Operation::Commit { commitment, .. } => CommitmentEntry::key(network, commitment),
    })
}
