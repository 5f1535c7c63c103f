//! A block after others.

use std::sync::Arc;

use namechain_core::{
    chain::{Chain, ChainError, MemoryStorage},
    consensus::RuleViolation,
    types::{Block, Network},
};

/// What becomes of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused(&'static str),
    UpgradeNeeded,
}

/// What becomes of a block after these others, all of which are accepted.
pub fn judge_block(network: Network, now: u64, before: &[Vec<u8>], block: &[u8]) -> Verdict {
    let mut chain = Chain::open(network, Arc::new(MemoryStorage::default())).unwrap();
    for block in before {
        let block = Block::parse(block).expect("a block before");
        chain.accept(&block, now, true).expect("the blocks before are accepted");
    }
    let block = match Block::parse(block) {
        Ok(block) => block,
        Err(error) => return Verdict::Refused(RuleViolation::from(error).id()),
    };
    match chain.accept(&block, now, true) {
        Ok(_) => Verdict::Accepted,
        Err(ChainError::Rule { violation, .. }) => Verdict::Refused(violation.id()),
        Err(ChainError::UpgradeNeeded { .. }) => Verdict::UpgradeNeeded,
        Err(other) => panic!("neither accepted nor refused for a rule: {other}"),
    }
}
