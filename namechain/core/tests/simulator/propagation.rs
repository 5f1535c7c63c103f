//! How long a block takes to reach everybody in a network of 200 nodes, a tenth of them dishonest.

use namechain_core::types::{Hash, Operation, Stamp};

use crate::{
    cache::Cache,
    common::{Random, number_from_env},
    evil::Wrong,
    over_seeds, percentile,
    world::{Member, Weather, World},
};

/// As many in `.ci/run`.
const DEFAULT_SEEDS: u64 = 20;
const HONEST: usize = 180;
const DISHONEST: usize = 20;
/// Milliseconds that a message takes.
const LINK_MS: u64 = 50;
/// How many connections each node makes: with those that it gets they are as many as GossipSub
/// tells a message to (six).
const DIALS: usize = 3;
/// Operations of a block; a full one has 3,200 commits.
const DEFAULT_OPERATIONS: u64 = 40;
/// What each of them pays: more than it costs.
const WORK: u64 = 80;
/// Milliseconds by which 99 of a hundred honest nodes have a block. The clock is the simulator's.
const GOAL_MS: u64 = 3_000;

/// Commits that everybody knows.
fn commits(count: u64, anchor: Hash) -> Vec<Operation> {
    let mut cache = Cache::new();
    (0..count)
        .map(|number| {
            let mut commitment = [3; 32];
            commitment[..8].copy_from_slice(&number.to_be_bytes());
            let stamp = Stamp { anchor, work: WORK, nonce: 0 };
            cache.stamped(Operation::Commit { commitment: Hash(commitment), stamp })
        })
        .collect()
}

impl World {
    /// Has every honest node know operations that were told long ago.
    pub fn know(&mut self, operations: &[Operation]) {
        for at in 0..self.members.len() {
            let clock = self.clock(at);
            if let Member::Honest(node) = &mut self.members[at] {
                operations.iter().for_each(|operation| _ = node.submit(operation.clone(), clock));
            }
        }
    }
}

/// How long each honest node waited for the block, in milliseconds; the block is mined after a
/// minute, by any of them.
fn live(seed: u64, operations: &[Operation]) -> Vec<u64> {
    let mut random = Random(seed ^ 0x200);
    let wrong: Vec<Wrong> = (0..DISHONEST)
        .map(|_| Wrong::ALL[random.below(Wrong::ALL.len() as u64) as usize])
        .collect();
    let mut world = World::new(seed, HONEST, &wrong, false);
    world.dials = DIALS;
    world.weather = Weather { delay: (LINK_MS, LINK_MS), lost: 0, twice: 0, sides: None };
    world.run(60_000);
    // The dishonest make no blocks now, which could win against the one that is looked at. They
    // still tell nothing on, and answer as they do.
    world.evil_rests = true;
    world.run(15_000);
    world.know(operations);
    let miner = random.below(HONEST as u64) as usize;
    world.mine(miner);
    let begun = world.now;
    let Member::Honest(node) = &world.members[miner] else { panic!("{miner} is honest") };
    let (block, height) = (node.chain.tip_id(), node.tip().height);
    assert_eq!(node.block_at(height).operations.len(), operations.len());
    let mut waited = vec![None; HONEST];
    while world.now < begun + 60_000 && waited.contains(&None) {
        world.run(10);
        for (at, node) in world.honest() {
            if waited[at].is_none() && node.has_block(&block) {
                waited[at] = Some(world.now - begun);
            }
        }
    }
    waited.into_iter().map(|waited| waited.expect("everybody has the block")).collect()
}

#[test]
fn a_block_reaches_two_hundred_nodes() {
    let seeds = number_from_env("SIMULATOR_LARGE_SEEDS", DEFAULT_SEEDS);
    let count = number_from_env("SIMULATOR_OPERATIONS", DEFAULT_OPERATIONS);
    let genesis = namechain_core::consensus::header::genesis(crate::common::NETWORK);
    let operations = commits(count, genesis.header.id(crate::common::NETWORK));
    let mut waited: Vec<u64> =
        over_seeds(seeds, |seed| live(seed, &operations)).into_iter().flatten().collect();
    waited.sort_unstable();
    let most = percentile(&waited, 99);
    println!(
        "{seeds} seeds, {HONEST} honest nodes and {DISHONEST} others, {count} operations: {} ms \
         (median), {most} ms (99 %), {} ms at most",
        percentile(&waited, 50),
        waited[waited.len() - 1],
    );
    assert!(most < GOAL_MS, "{most} ms");
}
