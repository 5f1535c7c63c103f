//! The rules of headers.

use super::{History, RuleViolation, difficulty, work::PowHasher};
use crate::{
    params::{MAX_FUTURE_TIME, PRICE_UNIT, Params},
    types::{Block, HEADER_VERSION, Hash, Header, Network, ops_root},
};

/// What a header's check may know of the headers before it.
pub struct Ancestors<'a> {
    /// The header before. That it is the one named as previous is how it was found.
    pub parent: &'a Header,
    /// The times of the last headers, the parent's among them, up to eleven, in any order.
    pub times: Vec<u64>,
    /// The history range over all headers up to and with the parent.
    pub history: &'a History,
}

/// The genesis block: no work, no operations; it is valid because it is written here.
pub fn genesis(network: Network) -> Block {
    let params = network.params();
    let header = Header {
        version: HEADER_VERSION,
        height: 0,
        previous: Hash::ZERO,
        ops_root: ops_root(network, &[]),
        state_root: Hash::ZERO,
        history_root: History::default().root(network),
        time: params.genesis_time,
        target: params.genesis_target,
        price: PRICE_UNIT,
        nonce: 0,
    };
    Block { header, operations: Vec::new() }
}

/// What a header must be by itself: of this version, and worked.
pub fn check_header_alone(header: &Header, worker: &mut PowHasher) -> Result<(), RuleViolation> {
    if header.version != HEADER_VERSION {
        return Err(RuleViolation::HeaderVersion(header.version));
    }
    if !worker.has_header_work(header) {
        return Err(RuleViolation::HeaderWork);
    }
    Ok(())
}

/// What a header must be after the headers before it. Cheap: look at this before the work.
pub fn check_header_with_ancestors(
    params: &Params,
    header: &Header,
    before: Ancestors<'_>,
) -> Result<(), RuleViolation> {
    let expected = before.parent.height.saturating_add(1);
    if header.height != expected {
        return Err(RuleViolation::HeaderHeight { expected, found: header.height });
    }
    let median = difficulty::median_time(before.times);
    if header.time <= median {
        return Err(RuleViolation::HeaderTime { median, found: header.time });
    }
    let target = difficulty::next_target(params, before.parent);
    if header.target != target {
        let (expected, found) = (target.to_compact(), header.target.to_compact());
        return Err(RuleViolation::HeaderTarget { expected, found });
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
