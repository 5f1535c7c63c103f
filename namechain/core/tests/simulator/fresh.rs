//! A fresh node whose outbound peers are all dishonest but one ends on the honest chain.

use std::sync::Arc;

use crate::{
    cache::Cache,
    common::{NOW, Random, number_from_env},
    disk::Disk,
    evil::Wrong,
    node::{Clock, Node},
    over_seeds, percentile,
    world::{Member, World},
};

/// A thousand in `docs/simulations.md`.
const DEFAULT_SEEDS: u64 = 50;
const BLOCKS: u32 = 300;
const FRESH: usize = 0;
const HONEST: usize = 1;
const DISHONEST: usize = 7;

/// The honest chain, and what mining it has checked.
fn honest_chain() -> (Disk, Cache) {
    let (disk, mut cache) = (Arc::new(Disk::default()), Cache::new());
    let mut node = Node::new(disk.clone(), NOW);
    for block in 0..u64::from(BLOCKS) {
        let unix = NOW - 10 * u64::from(BLOCKS) + 10 * block;
        node.mine(&mut cache, Clock { now: 0, unix });
    }
    (disk.after_crash(0), cache)
}

/// How long it took the fresh node to have all blocks that were there when it came, in
/// milliseconds.
fn live(seed: u64, disk: Disk, cache: Cache, trace: bool) -> u64 {
    let mut random = Random(seed ^ 0xf4e5);
    let wrong: Vec<Wrong> = (0..DISHONEST)
        .map(|_| Wrong::ALL[random.below(Wrong::ALL.len() as u64) as usize])
        .collect();
    let mut world = World::new(seed, 2, &wrong, trace);
    (world.dials, world.cache) = (0, cache);
    world.members[HONEST] = Member::Honest(Box::new(Node::new(Arc::new(disk), NOW)));
    world.say(|| format!("{wrong:?}"));
    // The dishonest ones know the honest chain, and have made what they make of it.
    world.run(60_000);
    let begun = world.now;
    for peer in HONEST..2 + DISHONEST {
        world.dial(FRESH, peer);
    }
    let mut took = None;
    for second in 0..600 {
        world.run(1_000);
        // Some peers are left or banned: it dials them again as it would others like them.
        if second % 10 == 9 {
            for peer in HONEST..2 + DISHONEST {
                world.dial(FRESH, peer);
            }
            world.mine(HONEST);
        }
        if took.is_none() && height(&world, FRESH) >= BLOCKS {
            took = Some(world.now - begun);
        }
    }
    world.evil_rests = true;
    world.run(60_000);
    world.mine(HONEST);
    world.run(60_000);
    assert_eq!(tip(&world, FRESH), tip(&world, HONEST), "it ends on another chain");
    took.expect("it had caught up")
}

fn node(world: &World, at: usize) -> &Node {
    match &world.members[at] {
        Member::Honest(node) => node,
        Member::Evil(_) => panic!("{at} is not honest"),
    }
}

fn height(world: &World, at: usize) -> u32 {
    node(world, at).tip().height
}

fn tip(world: &World, at: usize) -> namechain_core::types::Hash {
    node(world, at).chain.tip_id()
}

#[test]
fn one_honest_peer_of_eight_is_enough() {
    let (disk, cache) = honest_chain();
    if let Ok(seed) = std::env::var("SIMULATOR_SEED") {
        println!("{} ms", live(seed.parse().unwrap(), disk, cache, true));
        return;
    }
    let seeds = number_from_env("SIMULATOR_FRESH_SEEDS", DEFAULT_SEEDS);
    let mut took = over_seeds(seeds, |seed| live(seed, disk.after_crash(0), cache.clone(), false));
    took.sort_unstable();
    println!(
        "{seeds} seeds: {BLOCKS} blocks in {} ms (median), {} ms (99 %), {} ms at most",
        percentile(&took, 50),
        percentile(&took, 99),
        took[took.len() - 1],
    );
}
