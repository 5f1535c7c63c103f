//! The rules of blocks and operations that need no state.

use super::{RuleViolation, messaging, work::PowHasher};
use crate::{
    params::MAX_ANCHOR_AGE,
    types::{Action, Block, MAX_BLOCK_BYTES, Network, Operation, Stamp, ops_root},
};

/// What a block must be by itself, the proofs of its operations apart: it is not too large, however
/// it was put together, and its ops root is that of its operations.
pub fn check_block_alone(network: Network, block: &Block) -> Result<(), RuleViolation> {
    let bytes = block.byte_len();
    if bytes > MAX_BLOCK_BYTES {
        return Err(RuleViolation::BlockSize(bytes));
    }
    if block.header.ops_root != ops_root(network, &block.operations) {
        return Err(RuleViolation::OpsRoot);
    }
    Ok(())
}

/// What an operation must be by itself: on a name that is not reserved, signed, and worked; in the
/// order of their cost.
pub fn check_operation_alone(
    network: Network,
    operation: &Operation,
    worker: &mut PowHasher,
) -> Result<(), RuleViolation> {
    if let Operation::Named(named) = operation {
        if matches!(named.action, Action::Register { .. })
            && let Some(reserved) = named.name.reserved()
        {
            return Err(RuleViolation::NameReserved { name: named.name.clone(), reserved });
        }
        if !named.signer.verify(&named.signing_message(network), &named.signature) {
            return Err(RuleViolation::Signature);
        }
        if let Action::Publish { record: Some(record) } = &named.action {
            messaging::check_signatures(network, &named.name, record)?;
        }
    }
    if !worker.has_stamp_work(operation) {
        return Err(RuleViolation::StampWork);
    }
    Ok(())
}

/// What a stamp's anchor must be in a block at `height`: a block before it on the same branch, at
/// most 720 back. `anchor_height` is the height of the anchor if it is on the branch.
pub fn check_anchor(
    stamp: &Stamp,
    anchor_height: Option<u32>,
    height: u32,
) -> Result<(), RuleViolation> {
    match anchor_height {
        Some(anchor) if anchor < height && height - anchor <= MAX_ANCHOR_AGE => Ok(()),
        _ => Err(RuleViolation::StampAnchor(stamp.anchor)),
    }
}
