//! Anchors of stamps across reorganisations: a block may anchor as far back on its own branch as if
//! the other branch had never been, however deep the reorganisation is.

mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{LATE, Miner, NETWORK, unworked};
use namechain_core::{
    chain::{Chain, ChainError, MemoryStorage, Storage},
    consensus::{difficulty::next_due, work::PowHasher},
    params::{MAX_ANCHOR_AGE, STATES_KEPT},
    types::{Block, Hash, Operation},
};

/// The tip before each reorganisation: high enough for the deepest one with the oldest anchor.
const TIP: u32 = 2 * STATES_KEPT + 20;

fn commit_anchored_at(miner: &mut Miner, anchor: Hash, number: u32) -> Operation {
    let mut commitment = [7; 32];
    commitment[..4].copy_from_slice(&number.to_be_bytes());
    let work = miner.price();
    let operation = Operation::Commit { commitment: Hash(commitment), stamp: unworked() };
    miner.stamped_at(operation, work, anchor)
}

/// A new chain that is fed every block the store has ever taken, as when an index is made anew.
fn reindexed(blocks: &[Block]) -> Chain {
    let mut chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
    for block in blocks {
        chain.accept(block, LATE, false).unwrap();
    }
    chain
}

/// In the first block of a branch that undoes `depth` blocks, and in its last, every anchor age up
/// to the bound is accepted, after a restart too; one more is refused.
#[test]
fn anchors_reach_as_far_back_on_a_branch_as_without_a_reorganisation() {
    let mut trunk_miner = Miner::new();
    let trunk: Vec<Block> = (0..TIP).map(|_| trunk_miner.mine(&[])).collect();
    let id_at = |height: u32| trunk[height as usize - 1].header.id(NETWORK);
    let mut follower = Miner::new();
    for depth in [721, 720, 719, 359, 3, 2, 1] {
        let fork = TIP - depth;
        follower.take(&trunk[follower.chain.tip_header().height as usize..fork as usize]);
        let mut branch_miner = Miner::copy(&follower);
        let mut ages = vec![1, 2, 719, 720];
        // The window below the old tip ends here: what lies below it was refused.
        ages.extend([721 - depth, 722u32.saturating_sub(depth), 723u32.saturating_sub(depth)]);
        ages.retain(|age| (1..=MAX_ANCHOR_AGE).contains(age));
        ages.sort_unstable();
        ages.dedup();
        let good: Vec<Operation> = ages
            .iter()
            .map(|age| commit_anchored_at(&mut branch_miner, id_at(fork + 1 - age), *age))
            .collect();
        let old = commit_anchored_at(&mut branch_miner, id_at(fork + 1 - 721), 721);
        let mut branch = vec![branch_miner.mine(&good)];
        let too_old = branch_miner.chain.try_operation(&[], &old, branch_miner.now);
        assert!(too_old.is_err(), "depth {depth}: 722 blocks are too far");
        while branch.len() < depth as usize {
            branch.push(branch_miner.mine(&[]));
        }
        // The last block of the branch anchors below the fork too, if the branch is not too long.
        let height = TIP + 1;
        let oldest = height - MAX_ANCHOR_AGE;
        let anchors: BTreeSet<u32> = [oldest, oldest + 1, fork].into();
        let last: Vec<Operation> = anchors
            .iter()
            .filter(|anchor| **anchor <= fork && **anchor >= oldest)
            .map(|anchor| commit_anchored_at(&mut branch_miner, id_at(*anchor), 1_000 + anchor))
            .collect();
        branch.push(branch_miner.mine(&last));

        let tip = branch_miner.chain.tip_id();
        // Taken at once; with a restart in the middle; and from a log of all blocks.
        let mut live = Miner::copy(&trunk_miner);
        live.take(&branch);
        assert_eq!(live.chain.tip_id(), tip, "depth {depth}");
        let mut restarted = Miner::copy(&trunk_miner);
        let (before, after) = branch.split_at(branch.len() / 2);
        restarted.take(before);
        let mut restarted = Miner::copy(&restarted);
        restarted.take(after);
        assert_eq!(restarted.chain.tip_id(), tip, "depth {depth}, after a restart");
        assert_eq!(Miner::copy(&restarted).chain.tip_id(), tip);
        if depth == 359 {
            let log: Vec<Block> = trunk.iter().chain(&branch).cloned().collect();
            assert_eq!(reindexed(&log).tip_id(), tip, "depth {depth}, from the log");
        }
    }
}

/// The other side of the bound: the branch with an anchor that is too old is refused for it.
#[test]
fn an_anchor_too_old_is_refused_in_a_reorganisation() {
    let mut trunk_miner = Miner::new();
    let trunk: Vec<Block> = (0..MAX_ANCHOR_AGE + 10).map(|_| trunk_miner.mine(&[])).collect();
    let tip = trunk_miner.chain.tip_header().height;
    for depth in [1, 2, 5] {
        let fork = tip - depth;
        let mut branch_miner = Miner::new();
        branch_miner.take(&trunk[..fork as usize]);
        let anchor = trunk[(fork - MAX_ANCHOR_AGE) as usize - 1].header.id(NETWORK);
        let old = commit_anchored_at(&mut branch_miner, anchor, depth);
        let mut bad =
            branch_miner.chain.assemble_block(std::iter::empty(), branch_miner.now).unwrap();
        bad.operations.push(old);
        bad.header.ops_root = namechain_core::types::ops_root(NETWORK, &bad.operations);
        while !branch_miner.worker.has_header_work(&bad.header) {
            bad.header.nonce += 1;
        }
        let mut victim = Miner::copy(&trunk_miner);
        let first = victim.chain.accept(&bad, LATE, true);
        if depth == 1 {
            // Equal work: it stays beside the chain, unlooked at.
            assert!(first.is_ok());
        }
        let bad_id = bad.header.id(NETWORK);
        let mut previous = bad;
        for _ in 0..depth {
            previous = child_of(&victim, &previous, &mut branch_miner.worker);
            match victim.chain.accept(&previous, LATE, true) {
                Ok(_) => {}
                Err(ChainError::Rule { id, violation }) => {
                    assert_eq!((id, violation.id()), (bad_id, "stamp-anchor"));
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(victim.chain.tip_id(), trunk_miner.chain.tip_id());
        assert!(victim.chain.has_failed(&bad_id), "depth {depth}");
        assert!(victim.storage.header(&bad_id).unwrap().unwrap().failed);
    }
}

/// An empty block after one that no chain will take: only its header has to hold.
fn child_of(victim: &Miner, parent: &Block, worker: &mut PowHasher) -> Block {
    let id = parent.header.id(NETWORK);
    let mut ancestry = victim.chain.ancestry(&id).unwrap().expect("it is kept beside the chain");
    let mut header = parent.header.clone();
    header.height += 1;
    header.previous = id;
    header.ops_root = namechain_core::types::ops_root(NETWORK, &[]);
    header.history_root = ancestry.history_root();
    header.due = next_due(NETWORK.params(), &parent.header);
    while ancestry.check(&header).is_err() || !worker.has_header_work(&header) {
        header.nonce += 1;
    }
    ancestry.extend_unchecked(header.id(NETWORK), &header).unwrap();
    Block { header, operations: Vec::new() }
}
