//! The vectors of the fork choice (section 9.1): blocks of two branches in the order in which they
//! arrive, and the tip after each.

use serde_json::{Value, json};

use super::{chain::*, page::*};

/// How many blocks of the chain both branches stand on.
const BEFORE: usize = 2;
/// How many blocks the branch has that is as early as can be.
const EARLY: usize = 6;

/// A block with an id: its own, or that of the tip after it.
type Arrival = (Vec<u8>, H32);

struct Fork {
    about: &'static str,
    blocks: Vec<Arrival>,
}

impl Fork {
    fn json(&self) -> Value {
        let blocks: Vec<Value> = self
            .blocks
            .iter()
            .map(|(block, tip)| json!({ "block": hex::encode(block), "tip": hex::encode(tip) }))
            .collect();
        json!({ "about": self.about, "before": BEFORE, "blocks": blocks })
    }
}

/// A branch of empty blocks at these times.
fn branch(base: &Maker, times: &[u64]) -> Maker {
    let mut maker = base.clone();
    for time in times {
        maker.add(*time, &[], maker.state().clone());
    }
    maker
}

/// The block of a branch at this place, the first is 1, and its id.
fn at(branch: &Maker, place: usize) -> Arrival {
    (branch.blocks[BEFORE + place].clone(), branch.heads[BEFORE + place].id(NET))
}

fn work(head: &Head) -> u128 {
    target_work(target(NET, head.time, head.due))
}

/// The blocks of a branch in their order, none of which moves the tip, but perhaps the last.
fn arrive(branch: &Maker, tip: H32, moves: bool) -> Vec<Arrival> {
    let last = branch.heads.len() - 1 - BEFORE;
    (1..=last)
        .map(|place| {
            let (block, id) = at(branch, place);
            (block, if moves && place == last { id } else { tip })
        })
        .collect()
}

/// The blocks of a branch in their order, each of which becomes the tip.
fn lead(branch: &Maker) -> Vec<Arrival> {
    (1..branch.heads.len() - BEFORE)
        .map(|place| {
            let (block, id) = at(branch, place);
            (block, id)
        })
        .collect()
}

pub fn forks(story: &Maker) -> Value {
    let base = story.cut(BEFORE);
    let mut cases = plain(&base);
    cases.extend(orders(&base));
    cases.extend(margins(&base));
    json!({
        "about": "Blocks after the first of chain.json as they arrive, and the tip after each: branches of equal and unequal work.",
        "network": NET.name,
        "now": 1_900_000_000u64,
        "cases": cases.iter().map(Fork::json).collect::<Vec<_>>(),
    })
}

/// Branches at their due times: each block has the work of the easiest target.
fn plain(base: &Maker) -> Vec<Fork> {
    let due = base.due();
    let first = branch(base, &[due, due + 120, due + 240]);
    let other = branch(base, &[due + 1, due + 121]);
    let [a1, a2, a3] = [1, 2, 3].map(|place| at(&first, place));
    let [b1, b2] = [1, 2].map(|place| at(&other, place));
    let tips = |blocks: &[(&Arrival, &Arrival)]| {
        blocks.iter().map(|(block, tip)| (block.0.clone(), tip.1)).collect()
    };
    vec![
        Fork {
            about: "two blocks of equal work: the first stands",
            blocks: tips(&[(&a1, &a1), (&b1, &a1)]),
        },
        Fork { about: "the same two in the other order", blocks: tips(&[(&b1, &b1), (&a1, &b1)]) },
        Fork {
            about: "two branches that outdo each other by a block in turn",
            blocks: tips(&[(&a1, &a1), (&b1, &a1), (&b2, &b2), (&a2, &b2), (&a3, &a3), (&b1, &a3)]),
        },
    ]
}

/// Blocks that can't be judged yet, and blocks that break a rule.
fn orders(base: &Maker) -> Vec<Fork> {
    let due = base.due();
    let own = branch(base, &[due]);
    let other = branch(base, &[due + 1, due + 121]);
    let [b1, b2] = [1, 2].map(|place| at(&other, place));
    let (a1, tip) = (at(&own, 1), base.tip().id(NET));
    // A block whose state root is wrong, and a good one on it.
    let mut bad = base.clone();
    let head = Head { state_root: [7; 32], ..base.head(due + 1, &[], base.state()) };
    let head = head.search(NET, true);
    bad.blocks.push(block(&head, &[]));
    bad.heads.push(head);
    bad.states.push(base.state().clone());
    bad.add(due + 121, &[], base.state().clone());
    let [c1, c2] = [1, 2].map(|place| at(&bad, place));
    vec![
        Fork {
            about: "a block before its parent changes nothing, and is taken after it",
            blocks: vec![(b2.0.clone(), tip), (b1.0.clone(), b1.1), (b2.0, b2.1)],
        },
        Fork {
            about: "a branch of more work, the first block of which has a wrong state root",
            blocks: vec![(a1.0, a1.1), (c1.0, a1.1), (c2.0, a1.1)],
        },
    ]
}

/// Both sides of the margin, half of the lighter of the two tips: blocks at their due times against
/// blocks as early as can be.
fn margins(base: &Maker) -> Vec<Fork> {
    let due = base.due();
    let usual = |count: u64| -> Vec<u64> { (0..count).map(|n| due + 120 * n).collect() };
    // The last of the usual ones is early by a second or two: its work is odd.
    let odd = |count: u64| -> Vec<u64> {
        let mut times = usual(count);
        *times.last_mut().unwrap() -= 1;
        times
    };
    let (fewer, more) = (heads(base, &odd(EARLY as u64)), heads(base, &odd(EARLY as u64 + 1)));
    assert!(work(&fewer[EARLY - 1]) % 2 == 1 && work(&more[EARLY]) % 2 == 1);
    let sum = |heads: &[Head]| heads.iter().map(work).sum::<u128>();
    let margin = |tip: &Head| work(tip) / 2;
    let mut cases = Vec::new();
    // The early branch comes second: the tip that it would leave is the lighter one.
    for (over, about) in [
        (
            0,
            "the other branch has half of the own tip's work more, rounded down: it is not followed",
        ),
        (1, "the other branch has one hash more than that: it is followed"),
    ] {
        let wanted = sum(&fewer) + margin(&fewer[EARLY - 1]) + over;
        let own = branch(base, &odd(EARLY as u64));
        let other = branch(base, &early_times(base, wanted));
        let blocks = [lead(&own), arrive(&other, own.tip().id(NET), over == 1)].concat();
        cases.push(Fork { about, blocks });
    }
    // The early branch comes first: the tip that would be followed is the lighter one.
    for (over, about) in [
        (0, "the other branch has half of its tip's work more, rounded down: it is not followed"),
        (1, "the other branch has half of its tip's work and one hash more: it is followed"),
    ] {
        let wanted = sum(&more) - margin(&more[EARLY]) - over;
        let own = branch(base, &early_times(base, wanted));
        let other = branch(base, &odd(EARLY as u64 + 1));
        let blocks = [lead(&own), arrive(&other, own.tip().id(NET), over == 1)].concat();
        cases.push(Fork { about, blocks });
    }
    cases
}

/// The times and dues of a branch, without its work.
fn heads(base: &Maker, times: &[u64]) -> Vec<Head> {
    let mut parent = base.tip().clone();
    times
        .iter()
        .map(|time| {
            let due = next_due(NET, parent.due, parent.time);
            parent = Head { time: *time, due, ..parent.clone() };
            parent.clone()
        })
        .collect()
}

/// Times of [`EARLY`] blocks, as early as can be but for the last two, that sum up to this work.
fn early_times(base: &Maker, wanted: u128) -> Vec<u64> {
    let start = base.tip().time;
    let mut found = (0..600u64).flat_map(|before| (before..600).map(move |last| (before, last)));
    let times = |(before, last): (u64, u64)| {
        let mut times = vec![start; EARLY - 2];
        times.extend([start + before, start + last]);
        times
    };
    let fits =
        |pair: &(u64, u64)| heads(base, &times(*pair)).iter().map(work).sum::<u128>() == wanted;
    times(found.find(fits).expect("some times sum up to it"))
}
