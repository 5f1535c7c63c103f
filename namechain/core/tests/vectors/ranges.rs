//! The history range, with proofs of a header's place that hold and that don't.

use serde_json::{Value, json};

use super::page::*;

const NET: Net = MAIN;

/// Leaves as a chain of `main` has them that comes at these gaps.
fn range(count: usize, gaps: &[u64]) -> Vec<RangeNode> {
    let (mut time, mut due) = (GENESIS_TIME, GENESIS_TIME);
    let mut leaves = Vec::new();
    for number in 0..count {
        let work = target_work(target(NET, time, due));
        leaves.push(leaf(number, work, time, due));
        due = next_due(NET, due, time);
        time = time.saturating_add(gaps[number % gaps.len()]);
    }
    leaves
}

fn leaf(number: usize, work: u128, time: u64, due: u64) -> RangeNode {
    RangeNode::leaf(NET, &[number as u8; 32], work, time, due)
}

/// What is claimed of a header, and by what proof.
#[derive(Clone)]
struct Claim {
    root: H32,
    height: usize,
    id: H32,
    time: u64,
    due: u64,
    proof: Vec<u8>,
}

impl Claim {
    fn of(leaves: &[RangeNode], index: usize) -> Claim {
        Claim {
            root: history_root(NET, leaves),
            height: index,
            id: [index as u8; 32],
            time: leaves[index].first.0,
            due: leaves[index].first.1,
            proof: place_proof(NET, leaves, index),
        }
    }
}

struct Claims(Vec<Value>);

impl Claims {
    fn add(&mut self, about: &str, claim: &Claim, holds: bool) {
        self.0.push(json!({
            "about": about,
            "root": hex::encode(claim.root),
            "height": claim.height,
            "id": hex::encode(claim.id),
            "time": claim.time,
            "due": claim.due,
            "proof": hex::encode(&claim.proof),
            "holds": holds,
        }));
    }

    fn fails(&mut self, about: &str, claim: &Claim, change: impl FnOnce(&mut Claim)) {
        let mut claim = claim.clone();
        change(&mut claim);
        self.add(about, &claim, false);
    }
}

/// A proof and what is near it.
fn around(claims: &mut Claims, leaves: &[RangeNode], index: usize) {
    let good = Claim::of(leaves, index);
    claims.add("a header's place", &good, true);
    claims.fails("another root", &good, |claim| claim.root = [7; 32]);
    claims.fails("another header", &good, |claim| claim.id = [99; 32]);
    claims.fails("another height", &good, |claim| claim.height += 1);
    claims.fails("another time", &good, |claim| claim.time += 1);
    claims.fails("another due", &good, |claim| claim.due += 1);
    claims.fails("a byte more", &good, |claim| claim.proof.push(0));
    claims.fails("a byte less", &good, |claim| {
        claim.proof.pop();
    });
    let before: u128 = leaves[..index].iter().map(|leaf| leaf.work).sum();
    let tail = good.proof[16 + varint(before).len()..].to_vec();
    let with = |index: u64, count: u64, before: &[u8]| {
        [&index.to_be_bytes(), &count.to_be_bytes()[..], before, &tail].concat()
    };
    let (at, count) = (index as u64, leaves.len() as u64);
    claims.fails("the work before is one more", &good, |claim| {
        claim.proof = with(at, count, &varint(before + 1));
    });
    claims.fails("the work before is one less", &good, |claim| {
        claim.proof = with(at, count, &varint(before.wrapping_sub(1)));
    });
    claims.fails("the work before in a byte too many", &good, |claim| {
        let mut long = varint(before);
        *long.last_mut().unwrap() |= 0x80;
        long.push(0);
        claim.proof = with(at, count, &long);
    });
    claims.fails("the index is that of the last leaf and one", &good, |claim| {
        claim.proof = with(count, count, &varint(before));
    });
    claims.fails("no leaves", &good, |claim| claim.proof = with(0, 0, &varint(before)));
    for position in [0, tail.len() / 3, tail.len() / 2] {
        claims.fails("one bit of a node is another", &good, |claim| {
            let at = claim.proof.len() - tail.len() + position;
            if let Some(byte) = claim.proof.get_mut(at) {
                *byte ^= 1;
            } else {
                claim.root = [8; 32];
            }
        });
    }
}

/// Eight leaves that are hashed rightly and changed in one place.
fn changed(
    claims: &mut Claims,
    about: &str,
    index: usize,
    change: impl FnOnce(&mut [RangeNode], &dyn Fn(usize, u128, u64, u64) -> RangeNode),
) {
    let mut leaves = range(8, &GAPS);
    change(&mut leaves, &leaf);
    claims.add(about, &Claim::of(&leaves, index), false);
}

fn unsound(claims: &mut Claims) {
    let of = |all: &[RangeNode], at: usize| (all[at].work, all[at].first.0, all[at].first.1);
    let at_easiest = |time, due| target_work(target(NET, time, due));
    changed(claims, "a sibling of less work than its lateness allows", 0, |all, leaf| {
        let (work, time, due) = of(all, 1);
        all[1] = leaf(1, work - 1, time, due);
    });
    changed(claims, "a sibling of more work than its lateness allows", 0, |all, leaf| {
        let (work, time, due) = of(all, 1);
        all[1] = leaf(1, work + 1, time, due);
    });
    changed(claims, "a right sibling whose due does not follow", 0, |all, leaf| {
        let (_, time, due) = of(all, 1);
        all[1] = leaf(1, at_easiest(time, due + 1), time, due + 1);
    });
    changed(claims, "a right sibling whose due is a second early", 0, |all, leaf| {
        let (_, time, due) = of(all, 1);
        all[1] = leaf(1, at_easiest(time, due - 1), time, due - 1);
    });
    changed(claims, "a left sibling that the header's due does not follow", 1, |all, leaf| {
        let (_, time, due) = of(all, 0);
        all[0] = leaf(0, at_easiest(time, due + 1), time, due + 1);
    });
    changed(claims, "a sibling whose time is before its left neighbour's", 0, |all, leaf| {
        let (_, _, due) = of(all, 1);
        let time = all[0].first.0 - 1;
        all[1] = leaf(1, at_easiest(time, due), time, due);
    });
    changed(claims, "the due of a header further to the right does not follow", 0, |all, leaf| {
        let (_, time, due) = of(all, 4);
        all[4] = leaf(4, at_easiest(time, due + 1), time, due + 1);
    });
    changed(claims, "four headers claim the work of many", 0, |all, leaf| {
        let (work, time, due) = of(all, 5);
        all[5] = leaf(5, work * 64, time, due);
    });
    // Peaks are joined, too: seven leaves have three.
    let mut seven = range(7, &GAPS);
    let (_, time, due) = of(&seven, 6);
    seven[6] = leaf(6, at_easiest(time, due + 1), time, due + 1);
    claims.add("a peak whose due does not follow", &Claim::of(&seven, 0), false);
    let mut seven = range(7, &GAPS);
    let (work, time, due) = of(&seven, 6);
    seven[6] = leaf(6, work + 1, time, due);
    claims.add("a peak of more work than its lateness allows", &Claim::of(&seven, 0), false);
    claims.add("the same header, by itself", &Claim::of(&seven, 6), false);
}

/// Headers of one date push the due time ahead: what their node must have claimed at the least.
fn ramps(claims: &mut Claims) {
    for (gap, about) in [(0, "of one date"), (78, "78 s apart")] {
        let honest = range(64, &[gap]);
        claims.add(&format!("64 headers {about}"), &Claim::of(&honest, 0), true);
        claims.add(&format!("64 headers {about}, the last"), &Claim::of(&honest, 63), true);
        ramp(claims, &honest, about);
    }
}

fn ramp(claims: &mut Claims, honest: &[RangeNode], about: &str) {
    let (first, last) = (&honest[32], &honest[63]);
    let least = least_work(32, i128::from(last.last.1) - i128::from(last.last.0));
    let most = 32 * late_work(i128::from(first.first.0) - i128::from(last.last.1));
    // The work of 32 headers put into the first of them: a proof shows their sum alone.
    let with = |sum: u128| {
        let mut leaves = honest.to_vec();
        for (at, node) in leaves.iter_mut().enumerate().skip(32) {
            let work = if at == 32 { sum - 31 } else { 1 };
            *node = leaf(at, work, node.first.0, node.first.1);
        }
        Claim::of(&leaves, 0)
    };
    claims.add(
        &format!("32 headers {about} with the least work that they can have"),
        &with(least),
        true,
    );
    claims.add(&format!("32 headers {about} with one hash less"), &with(least - 1), false);
    let easiest = with(32 * late_work(0));
    claims.add(&format!("32 headers {about} with the work of the easiest target"), &easiest, false);
    claims.add(
        &format!("32 headers {about} with the most work that they can have"),
        &with(most),
        true,
    );
    claims.add(&format!("32 headers {about} with one hash more"), &with(most + 1), false);
}

fn late_work(late: i128) -> u128 {
    let (time, due) = if late < 0 { (0, (-late) as u64) } else { (late as u64, 0) };
    target_work(target(NET, time, due))
}

/// `least_work` of section 4.3.
fn least_work(n: i128, lead: i128) -> u128 {
    let (run, interval) = (i128::from(HALF_LIFE / NET.interval), i128::from(NET.interval));
    let (mut sum, mut i) = (0, 0);
    while i < n {
        let k = run.min(n - i);
        let l = lead - interval * (i + k - 1);
        if l <= 0 {
            return sum + (n - i) as u128 * late_work(0);
        }
        sum += k as u128 * late_work(-l);
        i += k;
    }
    sum
}

/// Times near their end, and differences that go around.
fn far(claims: &mut Claims) {
    for (gap, about) in [
        (u64::MAX - GENESIS_TIME, "a header at 2^64 - 1, and due times that stop there"),
        ((1 << 63) + 120, "a header 2^63 s late"),
        ((1 << 63) + 119, "a header 2^63 - 1 s late"),
    ] {
        let leaves = range(3, &[gap, 0]);
        for index in 0..3 {
            claims.add(about, &Claim::of(&leaves, index), true);
        }
    }
    // The node of one leaf says of its end what it does not say of its beginning.
    let leaves = range(2, &GAPS);
    let (time, due) = leaves[1].last;
    for last in [(time + 1, due), (time, due + 1)] {
        let right = RangeNode { last, ..leaves[1].clone() };
        let root = RangeNode::join(NET, &leaves[0], &right);
        let mut claim = Claim::of(&leaves, 0);
        claim.proof.truncate(claim.proof.len() - leaves[1].encode().len());
        claim.proof.extend(right.encode());
        let count = 2u64.to_be_bytes();
        claim.root = hash(NET, "hist-root", &[&count, &root.encode()]);
        claims.add("a leaf that begins and ends at two times", &claim, false);
    }
}

/// A node over as many headers as a power of two, from a time on, whose due times run ahead of its
/// times by 600,000 s: it can have had any work.
fn node(exponent: u8, work: u128, (time, due): (u64, u64), lead: u64) -> RangeNode {
    let first = (due, due);
    let last = (time.max(due) + 600_000, time.max(due) + 600_000 + lead);
    RangeNode { hash: [exponent; 32], work, first, last }
}

/// Sums of work that stop at 2^128 - 1, and how much a long lead demands.
fn large(claims: &mut Claims) {
    let easiest = |exponent: u8| late_work(0) << exponent;
    let most = |exponent: u8| if exponent < 30 { easiest(exponent) } else { u128::MAX };
    let wraps = |left: &RangeNode, right: &RangeNode| RangeNode {
        work: left.work.wrapping_add(right.work),
        ..RangeNode::join(NET, left, right)
    };
    let joins = |left: &RangeNode, right: &RangeNode| RangeNode::join(NET, left, right);
    let about = "the first of 2^32 headers; the sum of the work stops at 2^128 - 1";
    claims.add(about, &first_of(32, most, 0, &joins), true);
    let about = "the first of 2^32 headers; the sum of the work goes around";
    claims.add(about, &first_of(32, most, 0, &wraps), false);
    let about = "the last of 2^32 headers; the work before stops at 2^128 - 1";
    claims.add(about, &last_of(most, u128::MAX), true);
    let about = "the last of 2^32 headers; the work before goes around";
    claims.add(about, &last_of(most, u128::MAX - 1), false);
    // A lead that is long beyond the hardest target, for a part of the headers and for all.
    let (lead, n) = (1_240_000, 1 << 14);
    let least = least_work(n, i128::from(lead));
    let with = |work: u128| move |exponent| if exponent == 14 { work } else { easiest(exponent) };
    for (work, holds) in [(least, true), (least - 1, false)] {
        let about = "2^14 headers that end 1,240,000 s early, with the least work, or one less";
        claims.add(about, &first_of(15, with(work), lead, &joins), holds);
    }
    let with = |work: u128| move |exponent| if exponent == 31 { work } else { easiest(exponent) };
    for (work, holds) in [(u128::MAX, true), (u128::MAX - 1, false)] {
        let about = "2^31 headers that end 2^40 s early: the least work stops at 2^128 - 1";
        claims.add(about, &first_of(32, with(work), 1 << 40, &joins), holds);
    }
}

/// The place of the first of `2^height` headers; `lead` is that of the last.
fn first_of(
    height: u8,
    work: impl Fn(u8) -> u128,
    lead: u64,
    join: &dyn Fn(&RangeNode, &RangeNode) -> RangeNode,
) -> Claim {
    let begin = leaf(0, late_work(0), GENESIS_TIME, GENESIS_TIME);
    let count = (1u64 << height).to_be_bytes();
    let mut proof = [&[0; 8][..], &count, &varint(0)].concat();
    let mut all = begin.clone();
    for exponent in 0..height {
        let due = next_due(NET, all.last.1, all.last.0);
        let sibling = match exponent {
            0 => leaf(1, late_work(0), due, due),
            _ if exponent + 1 == height => node(exponent, work(exponent), (due, due), lead),
            _ => node(exponent, work(exponent), (due, due), 0),
        };
        proof.extend(sibling.encode());
        all = join(&all, &sibling);
    }
    let root = hash(NET, "hist-root", &[&count, &all.encode()]);
    Claim { root, height: 0, id: [0; 32], time: GENESIS_TIME, due: GENESIS_TIME, proof }
}

/// The place of the last of 2^32 headers, with this work before.
fn last_of(work: impl Fn(u8) -> u128, before: u128) -> Claim {
    let mut siblings = Vec::new();
    let (mut time, mut due) = (GENESIS_TIME, GENESIS_TIME);
    for exponent in (0..32).rev() {
        let sibling = match exponent {
            0 => leaf(1, late_work(0), due, due),
            _ => node(exponent, work(exponent), (time, due), 0),
        };
        (time, due) = (sibling.last.0, next_due(NET, sibling.last.1, sibling.last.0));
        siblings.push(sibling);
    }
    let index = u64::from(u32::MAX).to_be_bytes();
    let count = (1u64 << 32).to_be_bytes();
    let mut proof = [&index[..], &count, &varint(before)].concat();
    let mut all = leaf(2, late_work(0), due, due);
    for sibling in siblings.iter().rev() {
        proof.extend(sibling.encode());
        all = RangeNode::join(NET, sibling, &all);
    }
    let root = hash(NET, "hist-root", &[&count, &all.encode()]);
    Claim { root, height: u32::MAX as usize, id: [2; 32], time: due, due, proof }
}

/// A node that ends after the end of time.
fn endless(claims: &mut Claims) {
    let leaves = range(2, &GAPS);
    let mut claim = Claim::of(&leaves, 0);
    let (head, node) = (claim.proof.len() - leaves[1].encode().len(), &leaves[1]);
    claim.proof.truncate(head);
    claim.proof.extend(node.hash);
    claim.proof.extend([varint(node.work), varint(node.first.0.into())].concat());
    claim.proof.extend(varint(u128::from(u64::MAX - node.first.0) + 1));
    claim.proof.extend([lead(node.first.1, node.first.0), lead(0, 0)].concat());
    claims.add("a node that ends at 2^64", &claim, false);
}

/// Some as the parent, some hours early against their due, some after a silence.
const GAPS: [u64; 8] = [120, 0, 7, 9_000, 128, 1, 0, 300];

pub fn history() -> Value {
    let leaves = range(24, &GAPS);
    let roots: Vec<Value> = (0..=leaves.len())
        .map(|n| json!({ "leaves": n, "root": hex::encode(history_root(NET, &leaves[..n])) }))
        .collect();
    let headers: Vec<Value> = leaves
        .iter()
        .map(|leaf| {
            json!({ "time": leaf.first.0, "due": leaf.first.1, "work": leaf.work.to_string() })
        })
        .collect();
    let mut claims = Claims(Vec::new());
    for (index, count) in
        [(0, 1), (0, 5), (4, 5), (2, 7), (5, 7), (6, 7), (3, 8), (17, 23), (22, 24)]
    {
        around(&mut claims, &leaves[..count], index);
    }
    unsound(&mut claims);
    ramps(&mut claims);
    endless(&mut claims);
    far(&mut claims);
    large(&mut claims);
    json!({
        "about": "The history range over headers with the ids 32 times 00 to 32 times 17, their times and dues on main: the root after \
                  each, and proofs of a header's place, with whether they hold. The proofs that are unsound or implausible lead to the \
                  root that is given.",
        "network": "main",
        "headers": headers,
        "roots": roots,
        "proofs": claims.0,
    })
}
