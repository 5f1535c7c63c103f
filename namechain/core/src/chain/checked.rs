//! Blocks that have been checked as far as they can be by themselves: on any core, while one thread
//! applies others.

use super::pow_checked::PowChecked;
use crate::{
    consensus::{
        block::{check_block_alone, check_operation_alone},
        header::{HeaderError, check_header_alone, signing_context},
        work::PowHasher,
    },
    types::{Block, Hash, Network},
};

/// A block whose header's work, operations' root, signatures and stamps have been checked. What is
/// left is what its ancestors and the state decide, which takes little time.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    id: Hash,
    block: Block,
}

impl CheckedBlock {
    /// Checks a block by itself, the cheap things first.
    ///
    /// # Errors
    /// The rule that it breaks, or that it is of a later branch.
    pub fn check(
        network: Network,
        block: Block,
        worker: &mut PowHasher,
    ) -> Result<Self, HeaderError> {
        check_block_alone(network.params(), &block)?;
        check_header_alone(network.params(), &block.header, worker)?;
        Self::check_operations(network, block, &[], worker)
    }

    /// As [`CheckedBlock::check`], for a block whose header was checked before: its work is not
    /// looked at again. A block with another header than that is checked whole.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check_below(
        network: Network,
        header: PowChecked,
        block: Block,
        worker: &mut PowHasher,
    ) -> Result<Self, HeaderError> {
        Self::check_rest(network, header, block, &[], worker)
    }

    /// As [`CheckedBlock::check_below`], for a block some of whose operations were checked by
    /// themselves before, as those in the mempool were: where `known` says so, their signatures and
    /// stamps are not looked at again.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check_rest(
        network: Network,
        header: PowChecked,
        block: Block,
        known: &[bool],
        worker: &mut PowHasher,
    ) -> Result<Self, HeaderError> {
        if block.header.id(network) != header.id() {
            return Self::check(network, block, worker);
        }
        check_block_alone(network.params(), &block)?;
        Self::check_operations(network, block, known, worker)
    }

    fn check_operations(
        network: Network,
        block: Block,
        known: &[bool],
        worker: &mut PowHasher,
    ) -> Result<Self, HeaderError> {
        let known = known.iter().copied().chain(std::iter::repeat(false));
        let mut rest = block.operations.iter().zip(known).filter(|(_, known)| !known);
        let params = network.params();
        let context = signing_context(params, block.header.version);
        rest.try_for_each(|(operation, _)| {
            check_operation_alone(params, &context, operation, worker)
        })?;
        Ok(CheckedBlock { id: block.header.id(network), block })
    }

    /// Its id.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }
}
