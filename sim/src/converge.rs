//! Question 2, second part: whether honest nodes come to one chain, with delays between them and
//! after the hash rate has fallen.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    mining::{CORE, Dating, Tip},
    rng::Rng,
    rules::{
        fork::{ForkRule, Weight},
        target::Schedule,
    },
    table::{Table, heading, number, percent, quantile, span},
    target::schedule,
};

const SEED: u64 = 1303;
const START: u64 = 1_800_000_000;
const NODES: usize = 20;
const RULES: [ForkRule; 3] = [ForkRule::Heaviest, ForkRule::HalfOwnTip, ForkRule::HalfLighterTip];

/// A block as the simulated nodes know it.
#[derive(Clone, Copy)]
struct Block {
    parent: usize,
    height: u64,
    tip: Tip,
    weight: Weight,
}

fn extend(schedule: &Schedule, blocks: &mut Vec<Block>, parent: usize, now: f64) -> usize {
    let below = blocks[parent];
    let time = below.tip.date(Dating::Clock, now);
    let work = schedule.work(below.tip.due, time);
    blocks.push(Block {
        parent,
        height: below.height + 1,
        tip: below.tip.after(schedule, time),
        weight: Weight { sum: below.weight.sum + work, tip: work },
    });
    blocks.len() - 1
}

/// How many blocks of `from` are not on the branch of `to`.
fn undone(blocks: &[Block], from: usize, to: usize) -> u64 {
    let (mut a, mut b) = (from, to);
    while a != b {
        if blocks[a].height >= blocks[b].height {
            a = blocks[a].parent;
        } else {
            b = blocks[b].parent;
        }
    }
    blocks[from].height - blocks[a].height
}

/// What a network of equal miners with a mean delay between any two does.
struct Outcome {
    stale: f64,
    reorgs: [u64; 5],
    apart_at_end: bool,
}

fn network(schedule: &Schedule, rule: ForkRule, delay: f64, count: usize, seed: u64) -> Outcome {
    let (mut rng, rate) = (Rng::new(seed), 100.0 * CORE);
    let tip = Tip::settled(schedule, rate, START);
    let work = schedule.work(tip.due, tip.time);
    let mut blocks =
        vec![Block { parent: 0, height: 0, tip, weight: Weight { sum: work, tip: work } }];
    let mut at = [0usize; NODES];
    let each = rate / NODES as f64;
    let mut finds: [f64; NODES] =
        std::array::from_fn(|_| tip.found(schedule, each, Dating::Clock, START as f64, &mut rng));
    // (time in microseconds, node, block)
    let mut arrivals: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
    let mut outcome = Outcome { stale: 0.0, reorgs: [0; 5], apart_at_end: false };
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    while blocks.len() <= count {
        let finder = (0..NODES).min_by(|a, b| finds[*a].total_cmp(&finds[*b])).expect("nodes");
        let next = arrivals.peek().map(|Reverse(arrival)| *arrival);
        match next.filter(|(time, ..)| *time < micros(finds[finder])) {
            Some((time, node, block)) => {
                arrivals.pop();
                if rule.leaves(blocks[at[node]].weight, blocks[block].weight) {
                    let depth = undone(&blocks, at[node], block) as usize;
                    outcome.reorgs[depth.min(4)] += 1;
                    at[node] = block;
                    let now = time as f64 / 1e6;
                    finds[node] =
                        blocks[block].tip.found(schedule, each, Dating::Clock, now, &mut rng);
                }
            }
            None => {
                let now = finds[finder];
                at[finder] = extend(schedule, &mut blocks, at[finder], now);
                let tip = blocks[at[finder]].tip;
                finds[finder] = tip.found(schedule, each, Dating::Clock, now, &mut rng);
                for node in (0..NODES).filter(|node| *node != finder) {
                    let arrives = now + delay * (0.5 + rng.unit());
                    arrivals.push(Reverse((micros(arrives), node, at[finder])));
                }
            }
        }
    }
    // Whether those tips have grown apart, further than what is on its way.
    outcome.apart_at_end = (1..NODES).any(|node| undone(&blocks, at[node], at[0]) > 2);
    let best = at.iter().map(|block| blocks[*block].height).max().unwrap_or(0);
    outcome.stale = 1.0 - best as f64 / (blocks.len() - 1) as f64;
    outcome
}

fn delays() {
    let count = 20_000;
    heading(
        "20 equal miners, blocks take the delay (half to one and a half times) to each",
        SEED,
        count as u64,
    );
    let mut table = Table::new(&[
        "delay",
        "fork choice",
        "stale blocks",
        "a node undid 1 block",
        "2",
        "3",
        "4 and more",
        "apart at the end",
    ]);
    let schedule = schedule(2_700);
    for delay in [1.0, 3.0, 10.0, 30.0] {
        for rule in RULES {
            let outcome = network(&schedule, rule, delay, count, SEED);
            let mut row = vec![span(delay), rule.text().to_owned(), percent(outcome.stale)];
            row.extend(outcome.reorgs[1..].iter().map(|count| number(*count as f64)));
            row.push(if outcome.apart_at_end { "yes" } else { "no" }.to_owned());
            table.row(&row);
        }
    }
    table.print();
}

/// Two siblings of equal work at the end of a spike, a part of the later hash rate on the first
/// one: seconds until all are on one chain.
fn heal(schedule: &Schedule, rule: ForkRule, spike: f64, share: f64, seed: u64) -> f64 {
    let (mut rng, rate) = (Rng::new(seed), 10.0 * CORE);
    let tip = Tip::settled(schedule, rate * spike, START);
    let work = schedule.work(tip.due, tip.time);
    let root = Block { parent: 0, height: 0, tip, weight: Weight { sum: work, tip: work } };
    let mut blocks = vec![root];
    let now = START as f64 + 60.0;
    let mut ends = [extend(schedule, &mut blocks, 0, now), extend(schedule, &mut blocks, 0, now)];
    let mut now = now;
    loop {
        let found: [f64; 2] = std::array::from_fn(|side| {
            let part = if side == 0 { share } else { 1.0 - share };
            blocks[ends[side]].tip.found(schedule, rate * part, Dating::Clock, now, &mut rng)
        });
        let side = usize::from(found[1] < found[0]);
        now = found[side];
        ends[side] = extend(schedule, &mut blocks, ends[side], now);
        if rule.leaves(blocks[ends[1 - side]].weight, blocks[ends[side]].weight) {
            return now - START as f64 - 60.0;
        }
    }
}

fn spike_end() {
    let runs = 500;
    heading(
        "Two equal tips when the hash rate falls: time until everybody is on one chain",
        SEED,
        runs,
    );
    let mut table = Table::new(&[
        "falls to",
        "hash rate on the one side",
        "heavier: median",
        "99 %",
        "half of own tip: median",
        "99 %",
        "half of lighter tip: median",
        "99 %",
    ]);
    let schedule = schedule(2_700);
    for spike in [1.0, 10.0, 1_000.0] {
        for share in [0.5, 0.8, 1.0] {
            let mut row = vec![format!("1/{spike:.0}"), percent(share)];
            for rule in RULES {
                let mut times: Vec<f64> =
                    (0..runs).map(|run| heal(&schedule, rule, spike, share, SEED + run)).collect();
                row.push(span(quantile(&mut times, 0.5)));
                row.push(span(quantile(&mut times, 0.99)));
            }
            table.row(&row);
        }
    }
    table.print();
}

pub fn run() {
    delays();
    spike_end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_to_one_chain() {
        for rule in RULES {
            let outcome = network(&schedule(2_700), rule, 10.0, 3_000, 4);
            assert!(!outcome.apart_at_end, "{rule:?}");
            assert!((0.02..0.15).contains(&outcome.stale), "{rule:?}: {}", outcome.stale);
            assert!(outcome.reorgs[4] < 20, "{rule:?}: {:?}", outcome.reorgs);
        }
    }

    /// With nobody mining on the second of two heavy tips, its nodes wait until the other side has
    /// half of that weight again: with the lighter of the tips they go at the next block.
    #[test]
    fn a_heavy_tip_does_not_hold_its_nodes_back() {
        let median = |rule| {
            let mut times: Vec<f64> =
                (0..40).map(|run| heal(&schedule(2_700), rule, 1_000.0, 1.0, run)).collect();
            quantile(&mut times, 0.5)
        };
        assert!(median(ForkRule::HalfOwnTip) > 2.0 * median(ForkRule::HalfLighterTip));
    }
}
