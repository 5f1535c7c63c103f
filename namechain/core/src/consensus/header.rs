//! The rules of headers.

use thiserror::Error;

use super::{History, RuleViolation, difficulty, work::PowHasher};
use crate::{
    params::{MAX_FUTURE_TIME, PRICE_UNIT, Params},
    types::{Block, Hash, Header, Network, SigningContext, ops_root},
};

/// What a header's check may know of the headers before it.
pub struct Ancestors<'a> {
    /// The header before. That it is the one named as previous is how it was found.
    pub parent: &'a Header,
    /// The history range over all headers up to and with the parent.
    pub history: &'a History,
}

/// Why a header is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// It breaks a rule.
    #[error(transparent)]
    Rule(#[from] RuleViolation),
    /// It is of a branch that this program does not know, and it has its work: nobody's fault.
    #[error("the chain follows branch {0} of the protocol, which this program does not know")]
    UpgradeNeeded(u32),
}

/// The genesis block: no work, no operations; it is valid because it is written here.
pub fn genesis(network: Network) -> Block {
    genesis_of(network.params())
}

/// The genesis block of these parameters.
pub fn genesis_of(params: &Params) -> Block {
    let header = Header {
        version: params.branch_at(params.genesis_time).number,
        height: 0,
        previous: params.entropy,
        ops_root: ops_root(params.network, &[]),
        state_root: Hash::ZERO,
        history_root: History::default().root(params.network),
        time: params.genesis_time,
        due: params.genesis_time,
        name_price: PRICE_UNIT,
        byte_price: PRICE_UNIT,
        nonce: 0,
    };
    Block { header, operations: Vec::new() }
}

/// What signatures of operations are bound to in blocks of this branch.
pub fn signing_context(params: &Params, branch: u32) -> SigningContext {
    let genesis = genesis_of(params).header.id(params.network);
    SigningContext { network: params.network, genesis, branch }
}

/// What a header must be by itself: worked, and of the branch that is in force at its time.
///
/// # Errors
/// The rule that it breaks, or that this program is too old to judge it.
pub fn check_header_alone(
    params: &Params,
    header: &Header,
    hasher: &mut PowHasher,
) -> Result<(), HeaderError> {
    let expected = params.branch_at(header.time).number;
    let unknown = header.version > params.last_branch().number;
    if !unknown && header.version != expected {
        return Err(RuleViolation::HeaderVersion { expected, found: header.version }.into());
    }
    if !hasher.has_header_work(header) {
        return Err(RuleViolation::HeaderWork.into());
    }
    if unknown { Err(HeaderError::UpgradeNeeded(header.version)) } else { Ok(()) }
}

/// What a header must be after the headers before it. Cheap: look at this before the work.
///
/// # Errors
/// The rule that it breaks.
pub fn check_header_with_ancestors(
    params: &Params,
    header: &Header,
    before: Ancestors<'_>,
) -> Result<(), RuleViolation> {
    let parent = before.parent;
    let expected = parent.height.saturating_add(1);
    if header.height != expected || parent.height == u32::MAX {
        return Err(RuleViolation::HeaderHeight { expected, found: header.height });
    }
    if header.time < parent.time {
        return Err(RuleViolation::HeaderTime { parent: parent.time, found: header.time });
    }
    let expected = difficulty::next_due(params, parent);
    if header.due != expected {
        return Err(RuleViolation::HeaderDue { expected, found: header.due });
    }
    if header.history_root != before.history.root(params.network) {
        return Err(RuleViolation::HistoryRoot);
    }
    Ok(())
}

/// Whether a header is so far ahead of the clock (`now`, in seconds of Unix time) that it must
/// wait. Not a rule: the same header is fine later.
pub fn is_too_early(header: &Header, now: u64) -> bool {
    header.time > now.saturating_add(MAX_FUTURE_TIME)
}
