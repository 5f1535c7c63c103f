//! Question 7: how large a sampled proof of a year's chain is, and whether a cheater gets past it.
//!
//! Sampling is that of FlyClient (Bünz, Kiffer, Luu and Zamani, 2020): positions in summed work,
//! denser towards the tip, the last headers all.

use crate::{
    mining::{CORE, Dating, Tip},
    rng::Rng,
    rules::{
        history::{LowerBound, Node},
        target::Schedule,
    },
    table::{Table, heading, number, percent},
    target::schedule,
};

const SEED: u64 = 1308;
const START: u64 = 1_800_000_000;
const HEADER_BYTES: usize = 168;
/// Headers at the tip that come in full.
const LAST: usize = 100;
/// A cheater gets by with probability 2^-LAMBDA at most.
const LAMBDA: f64 = 50.0;
/// The cheater's hash rate in that of all others.
const CHEATER: f64 = 0.5;

/// Leaves with what each claims, and which have no work behind them.
struct Leaves {
    schedule: Schedule,
    leaves: Vec<Node>,
    /// Sums of claimed work before each leaf.
    before: Vec<u128>,
    fake: Vec<bool>,
}

impl Leaves {
    fn new(schedule: &Schedule, leaves: Vec<Node>, fake: Vec<bool>) -> Self {
        let mut before = vec![0];
        for leaf in &leaves {
            before.push(before[before.len() - 1] + leaf.work);
        }
        Leaves { schedule: schedule.clone(), leaves, before, fake }
    }

    fn total(&self) -> u128 {
        self.before[self.leaves.len()]
    }

    /// The node over some leaves.
    fn node(&self, from: usize, to: usize) -> Node {
        let (first, last) = (&self.leaves[from], &self.leaves[to - 1]);
        Node {
            leaves: (to - from) as u64,
            work: self.before[to] - self.before[from],
            first_time: first.first_time,
            last_time: last.last_time,
            first_due: first.first_due,
            last_due: last.last_due,
        }
    }

    /// Which leaves a client opens.
    fn opened(&self, samples: u64, rng: &mut Rng) -> Vec<bool> {
        let count = self.leaves.len();
        let mut opened = vec![false; count];
        opened[count - LAST..].fill(true);
        let total = self.total() as f64;
        let delta = (self.total() - self.before[count - LAST]) as f64 / total;
        for _ in 0..samples {
            // Density 1 / ((1 - x) ln(1 / delta)) on [0, 1 - delta].
            let x = 1.0 - delta.powf(rng.unit());
            let work = (x * total) as u128;
            let leaf = self.before.partition_point(|before| *before <= work);
            opened[leaf.clamp(1, count) - 1] = true;
        }
        opened
    }

    /// Samples that it takes for [`LAMBDA`]: each catches the cheater with probability 1 / k where
    /// the last headers are `CHEATER^k` of the work.
    fn samples(&self) -> u64 {
        let count = self.leaves.len();
        let last = (self.total() - self.before[count - LAST]) as f64 / self.total() as f64;
        let k = last.ln() / CHEATER.ln();
        (LAMBDA * std::f64::consts::LN_2 / -(1.0 - 1.0 / k).ln()).ceil() as u64
    }

    /// Visits the nodes that a proof states: those over leaves none of which is opened, as large as
    /// can be, under the peaks.
    fn stated(&self, opened: &[bool], visit: &mut dyn FnMut(Node)) {
        let sums = sums(opened);
        for (from, to) in peaks(self.leaves.len()) {
            self.descend(&sums, from, to, visit);
        }
    }

    fn descend(&self, sums: &[u64], from: usize, to: usize, visit: &mut dyn FnMut(Node)) {
        if sums[from] == sums[to] {
            visit(self.node(from, to));
        } else if to - from > 1 {
            let middle = (from + to) / 2;
            self.descend(sums, from, middle, visit);
            self.descend(sums, middle, to, visit);
        }
    }

    /// Whether a client that opens these leaves finds nothing wrong: works, joins, nodes.
    fn passes(&self, opened: &[bool], bound: LowerBound) -> bool {
        let faked = opened.iter().zip(&self.fake).any(|(opened, fake)| *opened && *fake);
        let sums = sums(opened);
        let mut peaks = peaks(self.leaves.len()).into_iter();
        !faked && peaks.all(|(from, to)| self.checked(&sums, from, to, bound).is_some())
    }

    /// The node over some leaves as a client works it out from what is opened and what is stated.
    fn checked(&self, sums: &[u64], from: usize, to: usize, bound: LowerBound) -> Option<Node> {
        let node = if sums[from] == sums[to] || to - from == 1 {
            self.node(from, to)
        } else {
            let middle = (from + to) / 2;
            let left = self.checked(sums, from, middle, bound)?;
            let right = self.checked(sums, middle, to, bound)?;
            Node::join(&self.schedule, &left, &right)?
        };
        node.is_plausible(&self.schedule, bound).then_some(node)
    }
}

/// The leaves below each peak of a range, as half-open intervals.
fn peaks(count: usize) -> Vec<(usize, usize)> {
    let mut from = 0;
    let heights = (0..usize::BITS).rev().filter(|height| count >> height & 1 == 1);
    heights
        .map(|height| {
            let peak = (from, from + (1 << height));
            from = peak.1;
            peak
        })
        .collect()
}

/// How many leaves before each are opened.
fn sums(opened: &[bool]) -> Vec<u64> {
    let mut sums = vec![0];
    for is in opened {
        sums.push(sums[sums.len() - 1] + u64::from(*is));
    }
    sums
}

/// A chain mined at a hash rate that stays, or that has a spike of ten times for a day in thirty.
fn honest(schedule: &Schedule, count: usize, spikes: bool, seed: u64) -> Vec<Node> {
    let (mut rng, rate) = (Rng::new(seed), 100.0 * CORE);
    let (mut tip, mut now) = (Tip::settled(schedule, rate, START), START as f64);
    let mut leaves = Vec::with_capacity(count);
    while leaves.len() < count {
        let day = ((now - START as f64) / 86_400.0) as u64;
        let rate = if spikes && day % 30 == 9 { rate * 10.0 } else { rate };
        now = tip.found(schedule, rate, Dating::Clock, now, &mut rng);
        let date = tip.date(Dating::Clock, now);
        leaves.push(Node::leaf(schedule, tip.due, date));
        tip = tip.after(schedule, date);
    }
    leaves
}

/// Bytes of headers and of nodes of a proof.
fn size(leaves: &Leaves, seed: u64) -> (u64, usize, usize, usize) {
    let samples = leaves.samples();
    let opened = leaves.opened(samples, &mut Rng::new(seed));
    let headers = opened.iter().filter(|is| **is).count() + 1;
    let (mut nodes, mut bytes) = (0, 0);
    leaves.stated(&opened, &mut |node| {
        nodes += 1;
        bytes += node.bytes();
    });
    (samples, headers, nodes, bytes)
}

fn sizes() {
    heading("A proof of the tip, lambda 50, c = 1/2, the last 100 headers in full", SEED, 1);
    let mut table = Table::new(&[
        "blocks",
        "hash rate",
        "samples",
        "headers",
        "nodes",
        "bytes of nodes",
        "bytes in all, headers whole",
        "without what follows from the range (previous of runs, history root)",
    ]);
    let schedule = schedule(2_700);
    for count in [20_000, 262_800, 1_048_575, 2_628_000] {
        for spikes in [false, true] {
            let chain = honest(&schedule, count, spikes, SEED);
            let fake = vec![false; count];
            let leaves = Leaves::new(&schedule, chain, fake);
            let (samples, headers, nodes, bytes) = size(&leaves, SEED);
            let whole = headers * HEADER_BYTES + bytes;
            let short = whole - headers * 32 - LAST * 32;
            table.row(&[
                number(count as f64),
                if spikes { "x 10 one day in 30" } else { "steady" }.to_owned(),
                number(samples as f64),
                number(headers as f64),
                number(nodes as f64),
                number(bytes as f64),
                number(whole as f64),
                number(short as f64),
            ]);
        }
    }
    table.print();
}

/// What a cheater shows: honest up to a fork, then fake leaves of one date that raise `due`, then
/// one header worth `big` of the honest work that he leaves out, then the last headers. The node of
/// 512 before the big header claims no more than `bound` asks.
fn cheat(honest: &[Node], schedule: &Schedule, bound: LowerBound) -> (Leaves, f64) {
    let count = honest.len();
    // The fork is in the middle, so that what he lacks is half of the chain.
    let big_at = count / 2 / 512 * 512;
    let lacking: u128 = honest[big_at..count - LAST].iter().map(|leaf| leaf.work).sum();
    let mut best: Option<(Leaves, f64)> = None;
    for ramp in (20..=500).step_by(20) {
        let fork = big_at - ramp;
        let mut leaves = honest[..fork].to_vec();
        let mut fake = vec![false; fork];
        let last = leaves[fork - 1];
        let (mut due, time) = (schedule.next_due(last.last_due, last.last_time), last.last_time);
        for _ in 0..ramp {
            leaves.push(Node::leaf(schedule, due, time));
            fake.push(true);
            due = schedule.next_due(due, time);
        }
        // What the leaves of the ramp claim together is what the bound asks of their node.
        let over = big_at - 512;
        let real: u128 = leaves[over..fork].iter().map(|leaf| leaf.work).sum();
        let node = Node {
            leaves: 512,
            work: 0,
            first_time: leaves[over].first_time,
            last_time: time,
            first_due: leaves[over].first_due,
            last_due: leaves[big_at - 1].last_due,
        };
        let asked = node.least_work(schedule, bound).saturating_sub(real).max(ramp as u128);
        let each = asked / ramp as u128 + 1;
        leaves[fork..].iter_mut().for_each(|leaf| leaf.work = each);
        leaves.push(Node::leaf(schedule, due, time));
        fake.push(false);
        let big = leaves[big_at].work;
        due = schedule.next_due(due, time);
        // The last headers are real, dated when the lead is over.
        let mut time = due + 3_600;
        for _ in 0..LAST {
            leaves.push(Node::leaf(schedule, due, time));
            fake.push(false);
            due = schedule.next_due(due, time);
            time += 120;
        }
        // He has half of the work that he lacks, for one header.
        let found = 1.0 - (-(lacking as f64) * CHEATER / big as f64).exp();
        if big + asked >= lacking {
            best = Some((Leaves::new(schedule, leaves, fake), found));
            break;
        }
    }
    best.expect("a ramp of 500 leaves raises the work 4.9 million times")
}

fn attack(bound: LowerBound, trials: u64) -> (f64, f64, f64, f64) {
    let schedule = schedule(2_700);
    let chain = honest(&schedule, 262_800, false, SEED);
    let (cheater, found) = cheat(&chain, &schedule, bound);
    let samples = Leaves::new(&schedule, chain, vec![false; 262_800]).samples();
    let mut rng = Rng::new(SEED);
    let passed = (0..trials)
        .filter(|_| cheater.passes(&cheater.opened(samples, &mut rng), bound))
        .count() as f64
        / trials as f64;
    let claimed: u128 = cheater
        .leaves
        .iter()
        .zip(&cheater.fake)
        .filter(|(_, fake)| **fake)
        .map(|(leaf, _)| leaf.work)
        .sum();
    let ramp = cheater.fake.iter().filter(|fake| **fake).count();
    (ramp as f64, claimed as f64 / cheater.total() as f64, found, passed)
}

fn attacks() {
    let trials = 300;
    heading(
        "Half a year replaced by unworked leaves and one header, by a cheater with half of the work",
        SEED,
        trials,
    );
    let mut table = Table::new(&[
        "least work of a node",
        "fake leaves",
        "their part of the claimed work",
        "he finds the header",
        "passes the samples and the nodes",
        "gets by",
    ]);
    for (bound, text) in [
        (LowerBound::None, "none"),
        (LowerBound::LargestLateness, "n x W(last time - first due)"),
        (LowerBound::LeadAtEnd, "by the lead at its end"),
    ] {
        let (ramp, claimed, found, passed) = attack(bound, trials);
        table.row(&[
            text.to_owned(),
            number(ramp),
            percent(claimed),
            percent(found),
            percent(passed),
            percent(found * passed),
        ]);
    }
    table.print();
}

pub fn run() {
    sizes();
    attacks();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_proofs_pass() {
        let schedule = schedule(2_700);
        let chain = honest(&schedule, 5_000, true, 3);
        let leaves = Leaves::new(&schedule, chain, vec![false; 5_000]);
        let mut rng = Rng::new(3);
        for _ in 0..5 {
            let opened = leaves.opened(leaves.samples(), &mut rng);
            assert!(leaves.passes(&opened, LowerBound::LargestLateness));
            assert!(leaves.passes(&opened, LowerBound::LeadAtEnd));
        }
    }

    #[test]
    fn only_the_lead_at_the_end_stops_the_cheater() {
        let (.., loose) = attack(LowerBound::LargestLateness, 30);
        let (.., tight) = attack(LowerBound::LeadAtEnd, 30);
        assert!(loose > 0.5, "{loose}");
        assert!(tight == 0.0, "{tight}");
    }

    #[test]
    fn a_year_fits() {
        let schedule = schedule(2_700);
        let chain = honest(&schedule, 262_800, false, 3);
        let leaves = Leaves::new(&schedule, chain, vec![false; 262_800]);
        let (_, headers, _, bytes) = size(&leaves, 3);
        assert!(headers * HEADER_BYTES + bytes < 250_000);
    }
}
