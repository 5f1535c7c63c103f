//! Blocks in the making: which operations the next block can record, and the header that commits to
//! them.

use super::{
    Chain,
    storage::StorageError,
    view::{BlockView, Overlay},
};
use crate::{
    consensus::{
        RuleViolation,
        block::{Anchor, check_times},
        context::BlockContext,
        difficulty::next_due,
        operation_price::least_price,
        state::{ApplyError, Tally, remove_ended},
    },
    params::MAX_COMMITS,
    types::{Block, HEADER_BYTES, Header, MAX_BLOCK_BYTES, Operation, ops_root},
};

impl Chain {
    /// The time of a block that is made at `now`, and what its operations are applied in: not
    /// before its parent.
    fn next_context(&self, now: u64) -> BlockContext {
        let parent = self.tip_header();
        BlockContext::after(parent, now.max(parent.time))
    }

    /// The anchor of an operation in the next block, made at `now`, if its times allow it.
    fn check_next_times(
        &self,
        operation: &Operation,
        context: BlockContext,
    ) -> Result<Anchor, RuleViolation> {
        check_times(operation, self.anchor(&operation.stamp().anchor), context.now)
    }

    /// The branch of the protocol that a block made at `now` follows.
    pub fn branch_at(&self, now: u64) -> u32 {
        self.params.branch_at(self.next_context(now).now.time).number
    }

    /// What can be said of an operation without reading state, signature or work: its stamp is
    /// recent and claims no less than it costs at least, and it can be recorded now. To be looked
    /// at before the stamp's work, which costs a thousand times more.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn precheck_operation(&self, operation: &Operation, now: u64) -> Result<(), RuleViolation> {
        let context = self.next_context(now);
        self.check_next_times(operation, context)?;
        let (price, paid) = (least_price(self.params, context, operation), operation.stamp().work);
        if paid >= price { Ok(()) } else { Err(RuleViolation::Underpaid { price, paid }) }
    }

    /// Whether the next block, made at `now`, could record `operation` after those in `before`,
    /// which concern the same name. Signature and work are not looked at.
    ///
    /// # Errors
    /// The rule that it breaks, or the store's.
    pub fn try_operation(
        &self,
        before: &[&Operation],
        operation: &Operation,
        now: u64,
    ) -> Result<(), ApplyError<StorageError>> {
        let context = self.next_context(now);
        let overlay = Overlay::new(self.params, self.storage.clone(), self.tip_tree());
        let mut view = BlockView::new(&overlay, &self.expiry);
        let mut tally = Tally::default();
        for (index, operation) in before.iter().copied().chain([operation]).enumerate() {
            let anchor = self.check_next_times(operation, context)?;
            tally.apply(self.params, context, operation, index as u32, anchor, &mut view)?;
        }
        Ok(())
    }

    /// The next block with those of `candidates` that can be recorded, tried in their order, up to
    /// the limits of a block. Its nonce is still to be found; its time is `now`, or its parent's if
    /// that is later. The state root depends on the time: after some seconds a new one should be
    /// made.
    ///
    /// # Errors
    /// The store's.
    pub fn assemble_block<'a>(
        &self,
        candidates: impl Iterator<Item = &'a Operation>,
        now: u64,
    ) -> Result<Block, StorageError> {
        let (params, parent) = (self.params, self.tip_entry());
        let context = self.next_context(now);
        let overlay = Overlay::new(params, self.storage.clone(), self.tip_tree());
        let mut view = BlockView::new(&overlay, &self.expiry);
        remove_ended(context.now, &mut view)?;
        let mut tally = Tally::default();
        let (mut operations, mut commits) = (Vec::new(), 0);
        let mut bytes = HEADER_BYTES + 4;
        for operation in candidates {
            let size = operation.byte_len();
            let is_commit = matches!(operation, Operation::Commit { .. });
            if bytes + size > MAX_BLOCK_BYTES || is_commit && commits >= MAX_COMMITS {
                continue;
            }
            let Ok(anchor) = self.check_next_times(operation, context) else { continue };
            let index = operations.len() as u32;
            let applied = tally.apply(params, context, operation, index, anchor, &mut view);
            if state_error(applied)?.is_ok() {
                bytes += size;
                commits += usize::from(is_commit);
                operations.push(operation.clone());
            }
        }
        let (_, tree) = view.finish(self.tip_tree())?;
        let prices = tally.multipliers(params, context);
        let header = Header {
            version: params.branch_at(context.now.time).number,
            height: context.now.height,
            previous: self.tip_id(),
            ops_root: ops_root(params.network, &operations),
            state_root: tree.root(),
            history_root: parent.history.root(params.network),
            time: context.now.time,
            due: next_due(params, &parent.header),
            name_price: prices.names,
            byte_price: prices.bytes,
            nonce: 0,
        };
        Ok(Block { header, operations })
    }
}

/// Keeps a failure of the state apart from a broken rule.
fn state_error(
    result: Result<(), ApplyError<StorageError>>,
) -> Result<Result<(), RuleViolation>, StorageError> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(ApplyError::Rule(violation)) => Ok(Err(violation)),
        Err(ApplyError::State(error)) => Err(error),
    }
}
