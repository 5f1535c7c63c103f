//! Moving the tip: undoing and connecting blocks, worked out in memory and written in one commit.

use super::{
    Accepted, Chain, ChainError, Refused, TipChange, TipState,
    headers::HEADERS_KEPT,
    storage::{Change, StorageError, StoredHeader, read_block},
    view::{BlockView, Changed, Overlay},
};
use crate::{
    consensus::{
        block::check_anchor,
        state::{ApplyError, BlockContext, apply_block, check_block_outcome, lapsing_height},
    },
    params::MAX_REORG_DEPTH,
    tree::Tree,
    types::{Block, Hash, Name, Operation},
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
        let mut overlay = Overlay::new(self.params.network, self.storage.clone(), &self.tip().tree);
        let (mut changes, mut outcome) = (Vec::new(), TipChange::default());
        for height in (fork + 1..=tip_height).rev() {
            for (key, old) in self.storage.undo_of(height)? {
                overlay.set(key, old);
            }
            changes.extend([Change::DropUndo(height), Change::Active(height, None)]);
            if let Some(recent) = self.recent_at(height) {
                let block = self.read_block(&recent.id)?;
                changes.extend(
                    names(&block).map(|name| {
                        Change::NameHistory(name.key(self.params.network), height, false)
                    }),
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
        for operation in &block.operations {
            let stamp = operation.stamp();
            check_anchor(stamp, self.branch_height(next, &stamp.anchor)?, height)?;
        }

        let parent = self
            .headers
            .get(&block.header.previous)
            .ok_or(ChainError::Orphan(block.header.previous))?;
        let history = parent.history.clone();
        let checked = self.headers.get(&id).is_some_and(|known| known.checked);
        let mut view = BlockView::new(&next.overlay);
        let lapsing = self.lapsing(next, height)?;
        let price = apply_block(
            params,
            BlockContext::after(&parent.header),
            &lapsing,
            &block.operations,
            &mut view,
        )
        .map_err(|failure| match failure {
            ApplyError::Rule(violation) => Refused::Rule(violation),
            ApplyError::State(error) => error.into(),
        })?;
        let (changed, tree) = view.finish(params.network, self.tree_before(next))?;
        check_block_outcome(&block.header, tree.root(), price)?;
        // Last, as signatures and stamps cost most: what is too cheap or comes too early has been
        // refused by now.
        if !checked {
            self.verifier.check_operations(&block.operations)?;
        }

        let mut history = (*history).clone();
        for (position, node) in history.push(params.network, &id, block.header.target.work()) {
            next.changes.push(Change::History(position, node));
        }
        for Changed { key, before, after } in changed {
            next.changes.push(Change::Undo(height, key, before));
            next.overlay.set(key, after);
        }
        next.changes.extend(
            names(&block).map(|name| Change::NameHistory(name.key(params.network), height, true)),
        );
        next.changes.push(Change::Active(height, Some(id)));
        if let Some(old) = height.checked_sub(HEADERS_KEPT) {
            next.changes.push(Change::DropUndo(old));
        }
        next.recent.push(TipState { id, tree });
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
        changes.extend(
            overlay.into_changes().into_iter().map(|(key, entry)| Change::Entry(key, entry)),
        );
        changes.extend(recent.last().map(|tip| Change::Tip(tip.id)));
        self.storage.commit(changes, durable)?;
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

    /// The height of `id` on the branch of a move, if it is on it and recent enough to matter.
    /// Below the fork the branch shares the best chain, further down than states are remembered: a
    /// block's anchors are counted from the block, not from the old tip.
    fn branch_height(&self, next: &Move, id: &Hash) -> Result<Option<u32>, StorageError> {
        let Some(known) = self.headers.get(id) else { return Ok(None) };
        let height = known.header.height;
        let there = match height.checked_sub(next.fork + 1) {
            Some(index) => next.recent.get(index as usize).map(|recent| recent.id),
            None => match self.recent_at(height) {
                Some(recent) => Some(recent.id),
                None => self.storage.active(height)?,
            },
        };
        Ok((there == Some(*id)).then_some(height))
    }

    /// The commitments that lapse in the block at `height` of a move.
    fn lapsing(&self, next: &Move, height: u32) -> Result<Vec<Hash>, StorageError> {
        let Some(old) = lapsing_height(self.params, height) else { return Ok(Vec::new()) };
        let id = match old.checked_sub(next.fork + 1) {
            Some(index) => next.recent.get(index as usize).map(|recent| recent.id),
            None => self.storage.active(old)?,
        };
        self.commitments_of(id)
    }

    /// The commitments that a block recorded.
    pub(super) fn commitments_of(&self, id: Option<Hash>) -> Result<Vec<Hash>, StorageError> {
        let id =
            id.ok_or_else(|| StorageError::Damaged("a block of the best chain is missing".into()))?;
        let commitment = |operation: &Operation| match operation {
            Operation::Commit { commitment, .. } => Some(*commitment),
            Operation::Named(_) => None,
        };
        Ok(self.read_block(&id)?.operations.iter().filter_map(commitment).collect())
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

/// The names that a block's operations are on.
fn names(block: &Block) -> impl Iterator<Item = &Name> {
    block.operations.iter().filter_map(|operation| match operation {
        Operation::Named(named) => Some(&named.name),
        Operation::Commit { .. } => None,
    })
}
