//! Moving the tip: undoing and connecting blocks, worked out in memory and written in one commit.

use super::{
    Accepted, Chain, ChainError, Refused, TipChange, TipState,
    headers::HEADERS_KEPT,
    idle::Activity,
    storage::{Change, StorageError, StoredHeader, read_block},
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
    params::MAX_REORG_DEPTH,
    tree::Tree,
    types::{Block, BlockTime, CommitmentEntry, Hash, Network, Operation},
};

/// A move of the tip in the making.
struct Move {
    fork: u32,
    overlay: Overlay,
    /// The new blocks of the best chain, from `fork + 1` on.
    recent: Vec<TipState>,
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
        durable: bool,
    ) -> Result<Accepted, ChainError> {
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
                Ok(Accepted::Tip(self.write(next, durable)?))
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
        let fork = self.fork_height(&target);
        let depth = tip_height - fork.unwrap_or(0);
        let Some(fork) =
            fork.filter(|fork| *fork >= self.recent_base() && depth <= MAX_REORG_DEPTH)
        else {
            return Err(ChainError::TooDeep { tip: target, depth });
        };
        let mut overlay = Overlay::new(self.params, self.storage.clone(), &self.tip().tree);
        let (mut changes, mut outcome) = (Vec::new(), TipChange::default());
        for height in (fork + 1..=tip_height).rev() {
            for (key, old) in self.storage.undo_of(height)? {
                let before = overlay.get(&key)?;
                overlay.set(key, before.as_deref(), old)?;
            }
            changes.extend([Change::DropUndo(height), Change::Active(height, None)]);
            if let Some(recent) = self.recent_at(height) {
                let block = self.read_block(&recent.id)?;
                changes.extend(
                    history_keys(self.params.network, &block)
                        .map(|key| Change::NameHistory(key, height, false)),
                );
                outcome.undone.push(block);
            }
        }
        if let Some(recent) = self.recent_at(fork) {
            overlay.check_changes(&recent.tree)?;
        }
        Ok(Move { fork, overlay, recent: Vec::new(), changes, outcome })
    }

    /// The height of the highest block of the best chain that `target` is or descends from.
    pub(super) fn fork_height(&self, target: &Hash) -> Option<u32> {
        let mut id = *target;
        loop {
            let height = self.headers.get(&id)?.header.height;
            if self.recent_at(height).is_some_and(|recent| recent.id == id) {
                return Some(height);
            }
            id = self.headers.get(&id)?.header.previous;
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

        let parent = self
            .headers
            .get(&block.header.previous)
            .ok_or(ChainError::Orphan(block.header.previous))?;
        let history = parent.history.clone();
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
        let (changed, tree) = view.finish(self.tree_before(next))?;
        check_block_outcome(&block.header, tree.root(), prices)?;
        // Last, as signatures and stamps cost most: what is too cheap or comes too early has been
        // refused by now.
        if !checked {
            let context = signing_context(params, block.header.version);
            self.verifier.check_operations(&context, &block.operations)?;
        }

        let mut history = (*history).clone();
        for (position, node) in
            history.push(params.network, HistoryNode::of_header(params, &id, &block.header))
        {
            next.changes.push(Change::History(position, node));
        }
        for Changed { key, before, after } in changed {
            next.overlay.set(key, before.as_deref(), after)?;
            next.changes.push(Change::Undo(height, key, before));
        }
        next.changes.extend(
            history_keys(params.network, &block).map(|key| Change::NameHistory(key, height, true)),
        );
        next.changes.push(Change::Active(height, Some(id)));
        if let Some(old) = height.checked_sub(HEADERS_KEPT) {
            next.changes.push(Change::DropUndo(old));
        }
        next.recent.push(TipState { id, tree, activity: Activity::of(&block) });
        next.outcome.connected.push(block);
        Ok(())
    }

    /// Marks the first block that did not connect, and what follows it on the way to `target`, as
    /// failed. Returns the first one's id, and what to write.
    fn fail_branch(&mut self, next: &Move, target: Hash) -> (Hash, Vec<Change>) {
        let first = next.fork + next.recent.len() as u32 + 1;
        let (mut id, mut changes) = (target, Vec::new());
        while let Some(stored) = self.headers.set_failed(&id) {
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
    fn write(&mut self, next: Move, durable: bool) -> Result<TipChange, ChainError> {
        let Move { fork, overlay, recent, mut changes, outcome } = next;
        let mut ends = Vec::new();
        for (key, OverlayChange { entry, end, stored_end }) in overlay.into_changes() {
            changes.push(Change::Entry(key, entry));
            ends.push((key, stored_end, end));
        }
        changes.extend(recent.last().map(|tip| Change::Tip(tip.id)));
        self.storage.commit(changes, durable)?;
        for (key, before, after) in ends {
            if let Some(end) = before {
                self.expiry.remove(end, &key);
            }
            if let Some(end) = after {
                self.expiry.insert(end, key);
            }
        }
        self.recent.truncate((fork + 1 - self.recent_base()) as usize);
        self.recent.extend(recent);
        while self.recent.len() > MAX_REORG_DEPTH as usize + 1 {
            self.recent.pop_front();
        }
        self.headers.prune(self.tip_header().height);
        if self.parked_tip.is_some() {
            // The heaviest that is known, be it kept here or only said to exist.
            let known = [self.parked_tip, self.headers.heaviest()].into_iter().flatten();
            let other = known.max_by_key(|(id, work)| (*work, *id));
            self.parked_tip = other.filter(|(_, work)| *work > self.work());
        }
        Ok(outcome)
    }

    /// The state before the next block of a move.
    fn tree_before<'a>(&'a self, next: &'a Move) -> &'a Tree {
        let before = next.recent.last().or_else(|| self.recent_at(next.fork));
        &before.unwrap_or_else(|| self.tip()).tree
    }

    /// The block `id` as an anchor on the branch of a move, if it is on it and recent enough. Below
    /// the fork the branch shares the best chain, further down than states are remembered: a
    /// block's anchors are counted from the block, not from the old tip.
    fn branch_anchor(&self, next: &Move, id: &Hash) -> Result<Option<Anchor>, StorageError> {
        let Some(known) = self.headers.get(id) else { return Ok(None) };
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
