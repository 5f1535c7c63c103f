//! Nodes of the history range as a light client sees them, and what it demands of them: the core's
//! rule, and those that it was compared with.

use namechain_core::{
    codec::Encode,
    consensus::history::{HistoryNode, Timing},
    types::Hash,
};

use super::target::Schedule;

/// What a node says about the leaves below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    pub leaves: u64,
    pub work: u128,
    pub first_time: u64,
    pub last_time: u64,
    pub first_due: u64,
    pub last_due: u64,
}

/// How a node's work is bounded from below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LowerBound {
    /// Not at all.
    None,
    /// By the largest lateness that any leaf can have: its last time less its first due.
    LargestLateness,
    /// By the lead (due less time) at its end, which grows by an interval a leaf at most.
    LeadAtEnd,
}

impl Node {
    pub fn leaf(schedule: &Schedule, due: u64, time: u64) -> Node {
        let work = schedule.target(due, time).work();
        Node { leaves: 1, work, first_time: time, last_time: time, first_due: due, last_due: due }
    }

    /// The core's node of this one; its hash is of no concern here.
    fn as_core(&self) -> HistoryNode {
        let (first, last) = (
            Timing { time: self.first_time, due: self.first_due },
            Timing { time: self.last_time, due: self.last_due },
        );
        HistoryNode { hash: Hash::ZERO, work: self.work, first, last }
    }

    /// Two nodes joined, the left one first; `None` if the right one cannot follow the left one.
    pub fn join(schedule: &Schedule, left: &Node, right: &Node) -> Option<Node> {
        let follows = left.as_core().is_followed_by(&schedule.params, &right.as_core());
        follows.then_some(Node {
            leaves: left.leaves + right.leaves,
            work: left.work.saturating_add(right.work),
            first_time: left.first_time,
            last_time: right.last_time,
            first_due: left.first_due,
            last_due: right.last_due,
        })
    }

    /// Whether the leaves that it speaks of can exist.
    pub fn is_plausible(&self, schedule: &Schedule, bound: LowerBound) -> bool {
        if bound == LowerBound::LeadAtEnd {
            return self.as_core().is_plausible(&schedule.params, self.leaves);
        }
        let most = schedule.target(self.last_due, self.first_time).work();
        self.work >= self.least_work(schedule, bound)
            && self.work <= most.saturating_mul(self.leaves.into())
    }

    /// The least work that its leaves can have.
    pub fn least_work(&self, schedule: &Schedule, bound: LowerBound) -> u128 {
        let at_lead = |lead: u64| schedule.target(lead, 0).work();
        match bound {
            LowerBound::None => 0,
            LowerBound::LargestLateness => {
                let work = schedule.target(self.first_due, self.last_time).work();
                u128::from(self.leaves).saturating_mul(work)
            }
            LowerBound::LeadAtEnd => {
                let lead = self.last_due.saturating_sub(self.last_time);
                let chunk = schedule.half_life() / schedule.interval();
                let (mut sum, mut seen) = (0u128, 0);
                while seen < self.leaves {
                    let some = chunk.min(self.leaves - seen);
                    let least = lead.saturating_sub(schedule.interval() * (seen + some - 1));
                    if least == 0 {
                        let rest = u128::from(self.leaves - seen);
                        return sum.saturating_add(
                            rest.saturating_mul(schedule.params.easiest_target.work()),
                        );
                    }
                    sum = sum.saturating_add(u128::from(some).saturating_mul(at_lead(least)));
                    seen += some;
                }
                sum
            }
        }
    }

    /// The bytes of its encoding.
    pub fn bytes(&self) -> usize {
        self.as_core().to_bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn chain(seed: u64, leaves: u64) -> Vec<Node> {
        let (schedule, mut rng) = (crate::target::schedule(2_700), Rng::new(seed));
        let (mut due, mut time) = (1_800_000_120, 1_800_000_000);
        let mut nodes = Vec::new();
        for leaf in 0..leaves {
            // Runs of one date, ordinary intervals and silences.
            let mean = [0.0, 120.0, 3_000.0][(leaf / 40 % 3) as usize];
            time += (rng.exponential() * mean) as u64;
            nodes.push(Node::leaf(&schedule, due, time));
            due = schedule.next_due(due, time);
        }
        nodes
    }

    #[test]
    fn no_honest_node_is_refused() {
        let schedule = crate::target::schedule(2_700);
        for seed in 0..20 {
            let mut level = chain(seed, 512);
            while level.len() > 1 {
                for node in &level {
                    for bound in [LowerBound::LargestLateness, LowerBound::LeadAtEnd] {
                        assert!(node.is_plausible(&schedule, bound), "{seed}: {bound:?} {node:?}");
                    }
                }
                level = level
                    .chunks(2)
                    .map(|pair| Node::join(&schedule, &pair[0], &pair[1]).expect("follows"))
                    .collect();
            }
        }
    }

    #[test]
    fn leaves_that_raise_the_lead_are_not_free() {
        let schedule = crate::target::schedule(2_700);
        let mut nodes = Vec::new();
        let (mut due, time) = (1_800_000_120, 1_800_000_000);
        for _ in 0..256 {
            nodes.push(Node::leaf(&schedule, due, time));
            due = schedule.next_due(due, time);
        }
        let join = |a: Node, b: &Node| Node::join(&schedule, &a, b).expect("follows");
        let honest = nodes[1..].iter().fold(nodes[0], join);
        let loose = honest.least_work(&schedule, LowerBound::LargestLateness);
        let tight = honest.least_work(&schedule, LowerBound::LeadAtEnd);
        assert!(loose * 200 < honest.work, "{loose} {}", honest.work);
        assert!(tight * 2 > honest.work && tight <= honest.work, "{tight} {}", honest.work);
    }

    /// What a cheater has to claim at least is what the core demands.
    #[test]
    fn the_least_work_is_that_of_the_core() {
        let schedule = crate::target::schedule(2_700);
        for (leaves, lead) in [(2, 60), (8, 900), (64, 7_200), (512, 46_000), (1 << 17, 90_000)] {
            let time = 1_800_000_000 + leaves * 60;
            let mut node = Node {
                leaves,
                work: 0,
                first_time: 1_800_000_000,
                last_time: time,
                first_due: 1_800_000_000,
                last_due: time + lead,
            };
            node.work = node.least_work(&schedule, LowerBound::LeadAtEnd);
            assert!(node.is_plausible(&schedule, LowerBound::LeadAtEnd), "{leaves} {lead}");
            node.work -= 1;
            assert!(!node.is_plausible(&schedule, LowerBound::LeadAtEnd), "{leaves} {lead}");
        }
    }
}
