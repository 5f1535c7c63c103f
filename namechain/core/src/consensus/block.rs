//! The rules of blocks and operations that need no state.

use super::{RuleViolation, messaging, work::PowHasher};
use crate::{
    params::{MAX_ANCHOR_AGE, MAX_ANCHOR_AGE_S, MAX_COMMITS, MAX_VALIDITY_S, Params},
    types::{
        Action, Block, BlockTime, Hash, Header, MAX_BLOCK_BYTES, Name, Operation, Reserved,
        SigningContext, ops_root,
    },
};

/// A block that a stamp is anchored to, an ancestor on the same branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its height and time.
    pub at: BlockTime,
    /// The name price in its header, in 1/1024.
    pub name_price: u32,
}

impl Anchor {
    /// The block with this header as an anchor.
    pub fn of(header: &Header) -> Self {
        let at = BlockTime { height: header.height, time: header.time };
        Anchor { at, name_price: header.name_price }
    }
}

/// What a block must be by itself, the proofs of its operations apart: within its size, with few
/// enough Commits, and the ops root that of its operations. Judged however the block was put
/// together.
///
/// # Errors
/// The rule that it breaks.
pub fn check_block_alone(params: &Params, block: &Block) -> Result<(), RuleViolation> {
    let bytes = block.byte_len();
    if bytes > MAX_BLOCK_BYTES {
        return Err(RuleViolation::BlockSize(bytes));
    }
    let commits = block.operations.iter().filter(|op| matches!(op, Operation::Commit { .. }));
    let commits = commits.count();
    if commits > MAX_COMMITS {
        return Err(RuleViolation::BlockCommits(commits));
    }
    if block.header.ops_root != ops_root(params.network, &block.operations) {
        return Err(RuleViolation::OpsRoot);
    }
    Ok(())
}

/// Why `name` can't be registered on `branch`; `None` if it can.
pub fn reserved_on(params: &Params, branch: u32, name: &Name) -> Option<Reserved> {
    name.reserved().or_else(|| {
        let known = params.branches.iter().filter(|known| known.number <= branch);
        let mut lists = known.map(|known| known.reserved);
        lists.any(|list| list.contains(&name.as_str())).then_some(Reserved::Later)
    })
}

/// What an operation must be by itself: on a name that is not reserved, signed, and worked; in the
/// order of their cost. `context` names the branch of the block that records it.
///
/// # Errors
/// The rule that it breaks.
pub fn check_operation_alone(
    params: &Params,
    context: &SigningContext,
    operation: &Operation,
    hasher: &mut PowHasher,
) -> Result<(), RuleViolation> {
    if let Operation::Named(named) = operation {
        if matches!(named.action, Action::Register { .. })
            && let Some(reserved) = reserved_on(params, context.branch, &named.name)
        {
            return Err(RuleViolation::NameReserved { name: named.name.clone(), reserved });
        }
        if !named.signer.verify(&named.signing_message(context), &named.signature) {
            return Err(RuleViolation::Signature);
        }
        if let Action::Publish { record: Some(record), .. } = &named.action {
            let (network, title) = (context.network, &named.reference);
            messaging::check_signatures(network, &named.name, title, record)?;
        }
    }
    if !hasher.has_stamp_work(operation) {
        return Err(RuleViolation::StampWork);
    }
    Ok(())
}

/// What an operation's times must be in a block at `now`: the anchor of its stamp, where `anchor`
/// is that block if it is an ancestor, and its last valid time.
///
/// # Errors
/// The rule that it breaks.
pub fn check_times(
    operation: &Operation,
    anchor: Option<Anchor>,
    now: BlockTime,
) -> Result<Anchor, RuleViolation> {
    let anchor = anchor
        .filter(|anchor| is_recent(anchor.at, now))
        .ok_or(RuleViolation::StampAnchor(anchor_id(operation)))?;
    if let Operation::Named(named) = operation {
        let latest = now.time.saturating_add(MAX_VALIDITY_S);
        if !(now.time..=latest).contains(&named.valid_until) {
            return Err(RuleViolation::Validity { valid_until: named.valid_until, time: now.time });
        }
    }
    Ok(anchor)
}

fn anchor_id(operation: &Operation) -> Hash {
    operation.stamp().anchor
}

/// Whether a block at `anchor` may anchor a stamp in a block at `now`: 1 to 720 blocks before it,
/// and the parent or at most a day older.
pub fn is_recent(anchor: BlockTime, now: BlockTime) -> bool {
    let Some(blocks @ 1..=MAX_ANCHOR_AGE) = now.height.checked_sub(anchor.height) else {
        return false;
    };
    blocks == 1 || now.time <= anchor.time.saturating_add(MAX_ANCHOR_AGE_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_recent_in_blocks_and_seconds() {
        let at = |height, time| BlockTime { height, time };
        let now = at(1_000, 200_000);
        for (anchor, recent) in [
            (at(1_000, 200_000), false),
            (at(1_001, 200_000), false),
            (at(999, 0), true),
            (at(998, 200_000 - 86_400), true),
            (at(998, 200_000 - 86_401), false),
            (at(280, 200_000), true),
            (at(279, 200_000), false),
        ] {
            assert_eq!(is_recent(anchor, now), recent, "{anchor:?}");
        }
    }
}
