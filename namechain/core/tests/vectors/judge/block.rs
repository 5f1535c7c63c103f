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
    Postponed,
}

/// The chain of these blocks, each of them taken a day after its time.
fn chain_of(network: Network, before: &[Vec<u8>]) -> Chain {
    let mut chain = Chain::open(network, Arc::new(MemoryStorage::default())).unwrap();
    for block in before {
        let block = Block::parse(block).expect("a block before");
        chain
            .accept(&block, block.header.time + 86_400, true)
            .expect("the blocks before are accepted");
    }
    chain
}

/// The id of the tip, in hexadecimal, after each of the blocks that come after those before.
pub fn judge_arrivals(
    network: Network,
    now: u64,
    before: &[Vec<u8>],
    come: &[Vec<u8>],
) -> Vec<String> {
    let mut chain = chain_of(network, before);
    come.iter()
        .map(|block| {
            let block = Block::parse(block).expect("a block");
            // What breaks a rule, or comes before its parent, is another file's matter.
            let _ = chain.accept(&block, now, true);
            hex::encode(chain.tip_id().0)
        })
        .collect()
}

/// What becomes of a block after these others, all of which are accepted.
pub fn judge_block(network: Network, now: u64, before: &[Vec<u8>], block: &[u8]) -> Verdict {
    let mut chain = chain_of(network, before);
    let block = match Block::parse(block) {
        Ok(block) => block,
        Err(error) => return Verdict::Refused(RuleViolation::from(error).id()),
    };
    match chain.accept(&block, now, true) {
        Ok(_) => Verdict::Accepted,
        Err(ChainError::Rule { violation, .. }) => Verdict::Refused(violation.id()),
        Err(ChainError::Early { .. }) => Verdict::Postponed,
        Err(ChainError::UpgradeNeeded { .. }) => Verdict::UpgradeNeeded,
        Err(other) => panic!("neither accepted nor refused for a rule: {other}"),
    }
}
