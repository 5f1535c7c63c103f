//! Named cases: chains too long for every seed, and what a seed has found.

use std::sync::Arc;

use namechain_core::sync::SyncReason;

use crate::{
    common::NOW,
    disk::Disk,
    evil::Wrong,
    node::{Clock, Node},
    world::{Member, World},
};

/// A world in which nobody dials by itself.
fn still(honest: usize, evil: &[Wrong]) -> World {
    let mut world = World::new(1, honest, evil, std::env::var("SIMULATOR_SEED").is_ok());
    world.dials = 0;
    world
}

fn node(world: &mut World, at: usize) -> &mut Node {
    match &mut world.members[at] {
        Member::Honest(node) => node,
        Member::Evil(_) => panic!("{at} is not honest"),
    }
}

/// Lets a node mine so many blocks before it meets anybody, an hour ago. Blocks of another `salt`
/// are other blocks.
fn mine(world: &mut World, at: usize, count: u32, salt: u64) {
    let clock = Clock { now: 0, unix: NOW - 3_600 + salt };
    for _ in 0..count {
        let (members, cache) = (&mut world.members, &mut world.cache);
        let Member::Honest(node) = &mut members[at] else { panic!("{at} is not honest") };
        node.mine(cache, clock);
    }
}

/// Gives a node the disk of another.
fn copy(world: &mut World, from: usize, to: usize) {
    let disk: Arc<Disk> = Arc::new(node(world, from).storage.after_crash(0));
    *node(world, to) = Node::new(disk, NOW);
}

fn height(world: &mut World, at: usize) -> u32 {
    node(world, at).tip().height
}

/// ```text
///    /- 1 - ... - 720          720 blocks are undone
/// 0 +
///    \- 1' - ... - 721'
/// ```
#[test]
fn a_reorganisation_of_720_blocks() {
    let mut world = still(2, &[]);
    mine(&mut world, 0, 720, 0);
    mine(&mut world, 1, 721, 100);
    world.dial(0, 1);
    world.run(30_000);
    assert_eq!(node(&mut world, 0).chain.tip_id(), node(&mut world, 1).chain.tip_id());
    assert_eq!(node(&mut world, 0).deepest, 720);
    assert_eq!(node(&mut world, 1).deepest, 0);
}

/// ```text
///    /- 1 - ... - 900          none of them followed live
/// 0 +
///    \- 1' - ... - 1,500'
/// ```
/// Deeper than states are in memory: nodes that did not follow their chain live take the one of
/// most work.
#[test]
fn a_reorganisation_of_900_blocks() {
    let mut world = still(2, &[]);
    mine(&mut world, 0, 900, 0);
    mine(&mut world, 1, 1_500, 100);
    world.dial(0, 1);
    world.run(60_000);
    assert_eq!(node(&mut world, 0).chain.tip_id(), node(&mut world, 1).chain.tip_id());
    assert_eq!(node(&mut world, 0).deepest, 900);
}

/// ```text
///    /- 1 - ... - 200          each side followed its own chain live, for 33 hours
/// 1 +
///    \- 1' - ... - 210'
/// ```
/// A partition heals without an operator: the lighter side fetches the other chain, says that it
/// holds it back, goes on with its own and with its peers, and follows once the other has led for
/// as long as it would undo.
#[test]
fn a_partition_of_33_hours_heals_by_itself() {
    let mut world = still(3, &[]);
    for number in 0..200 {
        world.mine(0);
        world.mine(1);
        if number % 20 == 0 {
            world.mine(1);
        }
        world.run(600_000);
    }
    world.dial(0, 1);
    world.dial(2, 0);
    world.run(60_000);
    let (ours, other) = (node(&mut world, 0).chain.tip_id(), node(&mut world, 1).chain.tip_id());
    let held = node(&mut world, 0);
    assert_eq!(held.chain.hold().map(|hold| (hold.fork_height, hold.tip)), Some((1, other)));
    assert_eq!(held.chain.tip_id(), ours);
    let status = held.sync.status(&held.chain);
    assert_eq!((status.why, status.synced), (SyncReason::Holding, true));
    assert!(held.sync.peers().iter().all(|peer| peer.score == 0));
    // A fresh node that knows the lighter side alone has no chain to defend.
    assert!(node(&mut world, 2).chain.hold().is_none());
    // Both sides go on: a block each, which the other takes as a block beside its chain.
    world.mine(0);
    world.mine(1);
    world.run(60_000);
    assert_eq!((height(&mut world, 0), height(&mut world, 1)), (201, 211));
    assert!(node(&mut world, 0).chain.hold().is_some());
    world.run(34 * 3_600_000);
    let best = node(&mut world, 1).chain.tip_id();
    assert_eq!(node(&mut world, 0).chain.tip_id(), best);
    assert_eq!(node(&mut world, 2).chain.tip_id(), best);
    assert_eq!(node(&mut world, 0).deepest, 200);
    assert!(node(&mut world, 0).chain.hold().is_none());
}

/// ```text
///          /- 2,101 - ... - 2,900           three have this, and one is silent
/// 0 - 2,100
///          \- 2,101' - ... - 2,901'         one has this
/// ```
/// A fresh node hears everybody out before it fetches blocks: what it follows first is the chain of
/// most work, from whoever has the blocks.
#[test]
fn a_fresh_node_follows_no_poorer_chain_first() {
    let mut world = still(5, &[Wrong::Silent, Wrong::Lies]);
    mine(&mut world, 1, 2_100, 0);
    copy(&mut world, 1, 4);
    mine(&mut world, 1, 800, 0);
    copy(&mut world, 1, 2);
    copy(&mut world, 1, 3);
    mine(&mut world, 4, 801, 100);
    for other in 1..7 {
        world.dial(0, other);
    }
    world.run(90_000);
    let best = node(&mut world, 4).chain.tip_id();
    let fresh = node(&mut world, 0);
    assert_eq!((fresh.chain.tip_id(), fresh.deepest), (best, 0));
    assert!(fresh.sync.status(&fresh.chain).synced);
    assert_eq!((fresh.sync.usage().candidates, fresh.sync.usage().window), (0, 0));
    // Most of it is on the other chain as well: its blocks came from those who have them, who are
    // themselves busy with leaving that chain.
    let givers = (1..5).filter(|at| world.served[*at].blocks > 0).count();
    assert!(givers >= 3, "{:?}", world.served);
    assert!(
        world.served[1].headers + world.served[2].headers + world.served[3].headers < 12,
        "{:?}",
        world.served
    );
}

/// A node that was away for 1,200 blocks catches up from peers of which one withholds blocks,
/// without a word, and one is slow to break: it is not held up.
#[test]
fn whoever_was_away_catches_up() {
    let mut world = still(3, &[Wrong::WithholdsSilently, Wrong::OtherBody]);
    mine(&mut world, 1, 1_200, 0);
    copy(&mut world, 1, 2);
    for other in 1..5 {
        world.dial(0, other);
    }
    world.run(20_000);
    // The dishonest ones' own few blocks, if they have told them, are sound.
    let height = height(&mut world, 0);
    assert!(height >= 1_200, "{height}");
}

/// Honest nodes in a line, and at its end some that announce sound blocks with false short ids:
/// nobody takes the honest node that relays a block for the one who misleads.
#[test]
fn misleading_short_ids_cost_no_honest_node_points() {
    let mut world = still(4, &[Wrong::Misleads; 6]);
    for evil in 4..10 {
        world.dial(evil, 0);
    }
    for (from, to) in [(0, 1), (1, 2), (2, 3)] {
        world.dial(from, to);
    }
    for round in 0..120 {
        for _ in 0..3 {
            world.use_names(round % 4);
        }
        world.run(3_000);
        if round % 8 == 7 {
            world.mine(3);
        }
    }
    for at in 0..4 {
        let height = height(&mut world, at);
        assert!(height > 17, "{at} is at {height}");
        let scores: Vec<i64> =
            node(&mut world, at).sync.peers().iter().map(|peer| peer.score).collect();
        // The first one's first peer is the one that misleads.
        assert!(
            scores.iter().skip(usize::from(at == 0)).all(|score| *score == 0),
            "{at}: {scores:?}"
        );
    }
}
