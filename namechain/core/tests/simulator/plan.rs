//! From a seed to a story: who there is, how the network is, when it splits and heals; and what
//! must be so in the end.

use std::collections::HashSet;

use namechain_core::{
    chain::Storage,
    consensus::state::ApplyError,
    params::MAX_FUTURE_TIME,
    types::{Action, Name, Operation},
};

use crate::{
    common::Random,
    evil::Wrong,
    node::Node,
    world::{Weather, World},
};

/// How a story went, for the sums at the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    pub nodes: usize,
    pub evil: usize,
    pub blocks: u64,
    pub deepest: usize,
    pub bans: u64,
    pub digest: u64,
}

/// Lives through a seed. Panics if anything is not as it must be.
pub fn live(seed: u64, trace: bool) -> Story {
    let mut random = Random(seed ^ 0x5eed);
    let honest = match random.below(100) {
        0 => 50,
        1..=4 => 20,
        _ => 8 + random.below(9) as usize,
    };
    let evil: Vec<Wrong> = match random.below(3) {
        0 => (0..1 + random.below(2))
            .map(|_| Wrong::ALL[random.below(Wrong::ALL.len() as u64) as usize])
            .collect(),
        _ => Vec::new(),
    };
    let mut world = World::new(seed, honest, &evil, trace);
    let delay = [(5, 50), (20, 400), (100, 2_000)][random.below(3) as usize];
    let lost = [0, 0, 10, 40][random.below(4) as usize];
    let twice = [0, 30][random.below(2) as usize];
    world.weather = Weather { delay, lost, twice, sides: None };
    if random.below(3) == 0 {
        // No two clocks are so far apart that blocks of one come too early for the other.
        let half = MAX_FUTURE_TIME / 2 - 10;
        for ahead in &mut world.ahead_s {
            *ahead = random.below(2 * half) as i64 - half as i64;
        }
    }
    world.say(|| format!("{honest} honest, evil {evil:?}, {:?}", world.weather));
    let mut blocks = 0;

    // Together.
    busy(&mut world, &mut random, 30, 4, true, &mut blocks);
    if random.below(5) > 0 {
        // Apart, both sides at work.
        let sides: Vec<bool> = world.members.iter().map(|_| random.below(2) == 0).collect();
        let noticed = random.below(2) == 0;
        world.split(sides, noticed);
        let rate = [2, 3, 5, 8, 15, 30, 50][random.below(7) as usize];
        let crashes = random.below(2) == 0;
        busy(&mut world, &mut random, 40, rate, crashes, &mut blocks);
    }
    // Whoever is down comes back within twenty seconds.
    world.heal();
    world.run(60_000);
    settle(&mut world, &mut blocks);
    meet(&world, honest);
    let deepest = world.honest().map(|(_, node)| node.deepest).max().unwrap_or(0);
    Story {
        nodes: honest,
        evil: evil.len(),
        blocks,
        deepest,
        bans: world.bans,
        digest: world.digest,
    }
}

/// Some seconds in which blocks are mined (so many tenths of one a second), names used, and nodes
/// crash.
fn busy(
    world: &mut World,
    random: &mut Random,
    seconds: u64,
    tenths: u64,
    crashes: bool,
    blocks: &mut u64,
) {
    let honest: Vec<usize> = world.honest().map(|(at, _)| at).collect();
    let any = |random: &mut Random| honest[random.below(honest.len() as u64) as usize];
    for _ in 0..seconds {
        for _ in 0..tenths / 10 + u64::from(random.below(10) < tenths % 10) {
            let miner = any(random);
            world.mine(miner);
            *blocks += 1;
        }
        if random.below(10) < 4 {
            let user = any(random);
            world.use_names(user);
        }
        if crashes && random.below(30) == 0 {
            let victim = any(random);
            world.crash(victim, 1_000 + random.below(19_000));
        }
        world.run(1_000);
    }
}

/// A tie is decided by the next block; then there is nothing left to do.
fn settle(world: &mut World, blocks: &mut u64) {
    world.evil_rests = true;
    world.run(20_000);
    let best = world
        .honest()
        .max_by_key(|(at, node)| (node.chain.work(), usize::MAX - at))
        .map(|(at, _)| at);
    world.mine(best.expect("somebody is honest"));
    *blocks += 1;
    world.run(60_000);
}

/// All honest nodes have met.
pub fn meet(world: &World, honest: usize) {
    let (_, first) = world.honest().next().expect("somebody is honest");
    let evil = world.members.len() > honest;
    for (at, node) in world.honest() {
        let tips =
            (node.tip().height, node.chain.tip_id(), first.tip().height, first.chain.tip_id());
        assert_eq!(tips.1, tips.3, "{at} is at {}, the first at {}", tips.0, tips.2);
        assert_eq!(node.tip().state_root, first.tip().state_root);
        sane(at, node, evil);
    }
}

fn sane(at: usize, node: &Node, evil: bool) {
    let kept = node.sync.usage();
    assert!(node.sync.status(&node.chain).synced || evil, "{at} is not synced");
    assert_eq!((kept.jobs, kept.operations, kept.wanted_operations), (0, 0, 0), "{at}: {kept:?}");
    if !evil {
        let busy = (kept.candidates, kept.window, kept.pending_blocks);
        assert_eq!(busy, (0, 0, 0), "{at}: {kept:?}");
    }
    // A bad block was looked at once.
    assert!(node.bad_blocks.values().all(|times| *times == 1), "{at}: {:?}", node.bad_blocks);
    // What waits can be recorded, in its order, and is what the list for others says.
    let waiting: Vec<_> = node.mempool.all().map(|(id, _)| *id).collect();
    let listed = node.mempool.waiting().ids(usize::MAX);
    assert_eq!(waiting.len(), listed.len());
    assert!(listed.iter().all(|id| node.mempool.has(id)));
    let now = node.tip().time + 1;
    let candidates = node.mempool.by_work_rate(now).into_iter();
    let block = node.chain.assemble_block(candidates, now).unwrap();
    // A name that settled when a registration by an older Commit came may have settled since.
    let registers = node.mempool.all().filter_map(|(_, op)| Some((op, registered(op)?)));
    let (late, timely): (Vec<_>, Vec<_>) =
        registers.partition(|(op, _)| is_late(node, op, node.tip().time, now));
    // Of several registrations of a name the one with the oldest Commit is recorded.
    let names: HashSet<&Name> = timely.iter().map(|(_, name)| *name).collect();
    let rivals = timely.len() - names.len();
    let recorded = block.operations.len() + rivals + late.len();
    assert_eq!(recorded, waiting.len(), "{at}: what waits can't all be recorded");
    let stored = node.storage.pending().unwrap().len();
    assert!(stored >= waiting.len(), "{at}: {stored} of {} operations are kept", waiting.len());
}

/// Whether a registration could be recorded at one time, and finds the name taken at a later one.
fn is_late(node: &Node, operation: &Operation, before: u64, now: u64) -> bool {
    let refusal = |time| match node.chain.try_operation(&[], operation, time) {
        Ok(()) => None,
        Err(ApplyError::Rule(violation)) => Some(violation.id()),
        Err(ApplyError::State(error)) => panic!("{error}"),
    };
    refusal(before).is_none() && refusal(now) == Some("name-taken")
}

/// The name that an operation registers.
fn registered(operation: &Operation) -> Option<&Name> {
    match operation {
        Operation::Named(named) if matches!(named.action, Action::Register { .. }) => {
            Some(&named.name)
        }
        _ => None,
    }
}
