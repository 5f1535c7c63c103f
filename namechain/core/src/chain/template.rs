//! Blocks in the making: which operations the next block can record, and the header that commits to
//! them.

use super::{
    Chain,
    storage::StorageError,
    view::{BlockView, Overlay},
};
use crate::{
    codec::Encode,
    consensus::{
        RuleViolation,
        block::check_anchor,
        difficulty::{median_time, next_target},
        price::next_multiplier,
        state::{
            ApplyError, BlockContext, apply_operation, check_price, lapse_commitments,
            lapsing_height,
        },
    },
    types::{
        Action, Block, HEADER_BYTES, HEADER_VERSION, Hash, Header, MAX_BLOCK_BYTES, Operation,
        ops_root,
    },
};

/// How many blocks are mined on demand, at most, for somebody who waits for a height.
const PATIENCE: u32 = 16;

impl Chain {
    /// What can be said of an operation in the next block without reading state, signature or work:
    /// its stamp is anchored, and claims no less than the operation costs. To be looked at before
    /// the stamp's work, which costs a thousand times more.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn precheck_operation(&self, operation: &Operation) -> Result<(), RuleViolation> {
        let (stamp, context) = (operation.stamp(), BlockContext::after(self.tip_header()));
        check_anchor(stamp, self.anchor_height(&stamp.anchor), context.height)?;
        check_price(self.params, context, operation)
    }

    /// Whether the next block could record `operation` after those in `before`, which concern the
    /// same name. Signature and work are not looked at.
    pub fn try_operation(
        &self,
        before: &[&Operation],
        operation: &Operation,
    ) -> Result<(), ApplyError<StorageError>> {
        let overlay = Overlay::new(self.params.network, self.storage.clone(), &self.tip().tree);
        let mut view = BlockView::new(&overlay);
        let context = BlockContext::after(self.tip_header());
        for operation in before {
            apply_operation(self.params, context, operation, &mut view)?;
        }
        check_anchor(
            operation.stamp(),
            self.anchor_height(&operation.stamp().anchor),
            context.height,
        )?;
        apply_operation(self.params, context, operation, &mut view)
    }

    /// The next block with those of `candidates` that can be recorded, tried in their order, up to
    /// the size limit. Its nonce is still to be found; its time is `now`, or what the rules demand
    /// at least.
    pub fn assemble_block<'a>(
        &self,
        candidates: impl Iterator<Item = &'a Operation>,
        now: u64,
    ) -> Result<Block, StorageError> {
        let parent = self.tip_entry();
        let context = BlockContext::after(&parent.header);
        let overlay = Overlay::new(self.params.network, self.storage.clone(), &self.tip().tree);
        let mut view = BlockView::new(&overlay);
        let lapsing = match lapsing_height(self.params, context.height) {
            Some(old) => self.commitments_of(self.storage.active(old)?)?,
            None => Vec::new(),
        };
        lapse_commitments(self.params, context.height, &lapsing, &mut view)?;
        let mut operations: Vec<Operation> = Vec::new();
        let mut bytes = HEADER_BYTES + 4;
        for operation in candidates {
            let size = operation.to_bytes().len();
            let anchored = check_anchor(
                operation.stamp(),
                self.anchor_height(&operation.stamp().anchor),
                context.height,
            );
            if bytes + size > MAX_BLOCK_BYTES || anchored.is_err() {
                continue;
            }
            if state_error(apply_operation(self.params, context, operation, &mut view))?.is_ok() {
                bytes += size;
                operations.push(operation.clone());
            }
        }
        let (_, tree) = view.finish(self.params.network, &self.tip().tree)?;
        let commits = operations.iter().filter(|op| matches!(op, Operation::Commit { .. })).count();
        let header = Header {
            version: HEADER_VERSION,
            height: context.height,
            previous: self.tip_id(),
            ops_root: ops_root(self.params.network, &operations),
            state_root: tree.root(),
            history_root: parent.history.root(self.params.network),
            time: now.max(self.median_time() + 1),
            target: next_target(self.params, &parent.header),
            price: next_multiplier(context.price, commits),
            nonce: 0,
        };
        Ok(Block { header, operations })
    }

    /// The median of the times of the last eleven headers, in seconds of Unix time.
    pub fn median_time(&self) -> u64 {
        median_time(self.headers.ancestors(self.tip_entry()).times)
    }

    /// Whether somebody who has committed or offered a name waits for a height that is at most
    /// [`PATIENCE`] blocks away: a reason to mine though no operation waits.
    pub fn has_maturing_names(&self) -> Result<bool, StorageError> {
        let next = self.tip_header().height + 1;
        for height in next.saturating_sub(PATIENCE).max(1)..next {
            let id: Option<Hash> = self.recent_at(height).map(|recent| recent.id);
            let id = id.ok_or_else(|| {
                StorageError::Damaged("a block of the best chain is missing".into())
            })?;
            let waits = |operation: &Operation| {
                let delay = match operation {
                    Operation::Commit { .. } => self.params.commit_min_age,
                    Operation::Named(named) if matches!(named.action, Action::Transfer { .. }) => {
                        self.params.transfer_delay
                    }
                    Operation::Named(_) => 0,
                };
                let opens = height.saturating_add(delay);
                opens > next && opens - next < PATIENCE
            };
            if self.read_block(&id)?.operations.iter().any(waits) {
                return Ok(true);
            }
        }
        Ok(false)
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
