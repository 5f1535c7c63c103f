//! The history range: a Merkle mountain range over all headers, with their summed work and what it
//! takes to judge that work.
//!
//! Nodes are numbered in the order in which they come to be, children before their parent. A range
//! of n leaves has `2n - popcount(n)` nodes and one peak for each one bit of n, the largest first.
//!
//! A header's target follows from its own time and due time, so a liar could hide one dear header
//! behind many cheap ones that push the due time ahead. A node therefore says when its headers
//! begin and end and how far ahead of their due times they are, and [`HistoryNode::is_plausible`]
//! bounds the work that they can have had.

mod proof;

use std::sync::Arc;

pub use proof::{HistoryProof, HistoryProofError};

use super::difficulty;
use crate::{
    codec::{Decode, DecodeError, Encode, Reader, encode_signed_varint, encode_varint},
    params::Params,
    types::{Domain, Hash, Header, Network, hash},
};

/// A node: a hash, and what is true of all headers below it.
///
/// ```text
/// | hash 32 | work varint | first time varint | span varint, last time - first time |
/// | first lead signed varint, first due - first time | last lead signed varint |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryNode {
    /// The hash.
    pub hash: Hash,
    /// The summed work, in expected hashes.
    pub work: u128,
    /// Time and due time of the first header.
    pub first: Timing,
    /// Time and due time of the last header.
    pub last: Timing,
}

/// When a header says that it was made, and when it was due, in seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Its time.
    pub time: u64,
    /// Its due time.
    pub due: u64,
}

impl Timing {
    /// That of `header`.
    pub fn of(header: &Header) -> Self {
        Timing { time: header.time, due: header.due }
    }

    /// By how much the header was early, as 64 bits that wrap around.
    fn lead(self) -> i64 {
        self.due.wrapping_sub(self.time) as i64
    }

    fn with_lead(time: u64, lead: i64) -> Self {
        Timing { time, due: time.wrapping_add(lead as u64) }
    }
}

/// The peaks of the range: what it takes to add to it and to know its root. Ranges that grow from
/// one share its peaks: keeping one for each header costs one peak each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    leaves: u64,
    smallest: Option<Arc<Peak>>,
}

/// A peak, and the ones that are larger.
#[derive(Debug, PartialEq, Eq)]
struct Peak {
    node: HistoryNode,
    larger: Option<Arc<Peak>>,
}

impl HistoryNode {
    /// The leaf of the header `id`, which claims `work`.
    pub fn leaf(network: Network, id: &Hash, work: u128, timing: Timing) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&id.0);
        encode_varint(work, &mut bytes);
        encode_varint(timing.time.into(), &mut bytes);
        encode_signed_varint(timing.lead(), &mut bytes);
        let hash = hash(network, Domain::HistoryLeaf, &[&bytes]);
        HistoryNode { hash, work, first: timing, last: timing }
    }

    /// The leaf of `header`.
    pub fn of_header(params: &Params, id: &Hash, header: &Header) -> Self {
        let work = difficulty::header_work(params, header);
        HistoryNode::leaf(params.network, id, work, Timing::of(header))
    }

    /// The node over two neighbours.
    pub fn join(network: Network, left: &HistoryNode, right: &HistoryNode) -> Self {
        HistoryNode {
            hash: hash(network, Domain::HistoryNode, &[&left.to_bytes(), &right.to_bytes()]),
            work: left.work.saturating_add(right.work),
            first: left.first,
            last: right.last,
        }
    }

    /// Whether `right` can follow this node on a valid chain: its first header is not before this
    /// one's last, and is due when the rule says.
    pub fn is_followed_by(&self, params: &Params, right: &HistoryNode) -> bool {
        let due = self.last.due.max(self.last.time).saturating_add(params.block_interval);
        self.last.time <= right.first.time && right.first.due == due
    }

    /// Whether `leaves` headers of a valid chain can have this node's work.
    ///
    /// None of them is earlier, against its due time, than the last due time is after the first
    /// time: that bounds the work from above. From one header to the next the lead grows by an
    /// interval at most: that bounds it from below, from the end of the node backwards.
    pub fn is_plausible(&self, params: &Params, leaves: u64) -> bool {
        let work_of = |late: i128| difficulty::target(params, late).work();
        let earliest = i128::from(self.first.time) - i128::from(self.last.due);
        let most = work_of(earliest).saturating_mul(leaves.into());
        let exact = leaves != 1 || {
            let late = i128::from(self.first.time) - i128::from(self.first.due);
            self.first == self.last && self.work == work_of(late)
        };
        exact && self.work <= most && self.work >= self.least_work(params, leaves)
    }

    /// The least work that `leaves` headers can have had, of which the last is as early as this
    /// node says.
    fn least_work(&self, params: &Params, leaves: u64) -> u128 {
        let lead = i128::from(self.last.due) - i128::from(self.last.time);
        least_work(params, leaves, lead).0
    }
}

/// The least work of `leaves` headers that end `lead` seconds early, and in how many steps it was
/// summed: over runs of headers in which the target moves by a factor of two at most. Runs that are
/// so early that their targets can't differ are one step, as whoever sends a node chooses both
/// numbers.
fn least_work(params: &Params, leaves: u64, lead: i128) -> (u128, u32) {
    let interval = i128::from(params.block_interval.max(1));
    let run = (params.target_half_life / params.block_interval.max(1)).max(1);
    let far = i128::from(params.target_half_life) * difficulty::MAX_HALVINGS;
    let (mut sum, mut counted, mut steps) = (0u128, 0u64, 0);
    while counted < leaves && sum < u128::MAX {
        let mut length = run.min(leaves - counted);
        let least = lead - interval * i128::from(counted + length - 1);
        if least <= 0 {
            length = leaves - counted;
        } else if least > far {
            // Below 2^64 / interval, as a lead is below 2^64.
            let more = (least - far) / (interval * i128::from(run));
            length = length.saturating_add(run.saturating_mul(more as u64)).min(leaves - counted);
        }
        let work = difficulty::target(params, -least.max(0)).work();
        sum = sum.saturating_add(work.saturating_mul(length.into()));
        counted += length;
        steps += 1;
    }
    (sum, steps)
}

impl History {
    /// The number of headers in the range.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The positions of the peaks of a range of `leaves` leaves, the largest peak first.
    pub fn peak_positions(leaves: u64) -> Vec<u64> {
        let mut before = 0;
        let mut positions = Vec::new();
        for height in (0..u64::BITS).rev().filter(|height| leaves >> height & 1 == 1) {
            let nodes = (1 << (height + 1)) - 1;
            positions.push(before + nodes - 1);
            before += nodes;
        }
        positions
    }

    /// The range of `leaves` leaves with these peaks, the largest first; `None` if their number
    /// does not fit.
    pub fn from_peaks(leaves: u64, peaks: Vec<HistoryNode>) -> Option<Self> {
        let fits = peaks.len() == leaves.count_ones() as usize;
        let smallest = peaks.into_iter().fold(None, |larger, node| Some(Peak::below(larger, node)));
        fits.then_some(History { leaves, smallest })
    }

    /// Adds the leaf of a header. Returns the new nodes with their positions: the leaf, then each
    /// parent that it completes.
    pub fn push(&mut self, network: Network, leaf: HistoryNode) -> Vec<(u64, HistoryNode)> {
        let mut position = 2 * self.leaves - u64::from(self.leaves.count_ones());
        let mut node = leaf;
        let mut added = vec![(position, node)];
        // Each trailing one bit of the count is a peak of the same size as what has been built so
        // far.
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.smallest.take() {
                node = HistoryNode::join(network, &left.node, &node);
                self.smallest = left.larger.clone();
                position += 1;
                added.push((position, node));
            }
        }
        self.smallest = Some(Peak::below(self.smallest.take(), node));
        self.leaves += 1;
        added
    }

    /// The root: the number of leaves and the peaks, joined from the smallest to the largest.
    pub fn root(&self, network: Network) -> Hash {
        let leaves = self.leaves.to_be_bytes();
        let peaks = std::iter::successors(self.smallest.as_deref(), |peak| peak.larger.as_deref());
        let joined = peaks
            .map(|peak| peak.node)
            .reduce(|right, left| HistoryNode::join(network, &left, &right));
        match joined {
            None => hash(network, Domain::HistoryRoot, &[&leaves]),
            Some(node) => hash(network, Domain::HistoryRoot, &[&leaves, &node.to_bytes()]),
        }
    }
}

impl Peak {
    fn below(larger: Option<Arc<Peak>>, node: HistoryNode) -> Arc<Peak> {
        Arc::new(Peak { node, larger })
    }
}

impl Encode for HistoryNode {
    fn encode(&self, out: &mut Vec<u8>) {
        self.hash.encode(out);
        encode_varint(self.work, out);
        encode_varint(self.first.time.into(), out);
        encode_varint(self.last.time.wrapping_sub(self.first.time).into(), out);
        encode_signed_varint(self.first.lead(), out);
        encode_signed_varint(self.last.lead(), out);
    }
}

impl Decode for HistoryNode {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let hash = Hash::decode(reader)?;
        let work = reader.varint128()?;
        let first_time = reader.varint64()?;
        let span = reader.varint64()?;
        let last_time = first_time
            .checked_add(span)
            .ok_or(DecodeError::Invalid("a history node ends after the end of time"))?;
        let first = Timing::with_lead(first_time, reader.signed_varint()?);
        let last = Timing::with_lead(last_time, reader.signed_varint()?);
        Ok(HistoryNode { hash, work, first, last })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::consensus::header::genesis;

    fn leaf(number: u64) -> HistoryNode {
        let timing = Timing { time: 1_000 + 100 * number, due: 1_000 + 120 * number };
        HistoryNode::leaf(Network::Dev, &Hash([number as u8; 32]), u128::from(number) + 1, timing)
    }

    #[test]
    fn peaks_are_found_again_by_position() {
        let mut history = History::default();
        let mut nodes = BTreeMap::new();
        for count in 0u64..70 {
            let peaks = History::peak_positions(count).iter().map(|at| nodes[at]).collect();
            assert_eq!(
                History::from_peaks(count, peaks).as_ref(),
                Some(&history),
                "{count} leaves"
            );
            for (position, node) in history.push(Network::Dev, leaf(count)) {
                assert_eq!(nodes.insert(position, node), None, "a position is used once");
                assert_eq!(HistoryNode::from_bytes(&node.to_bytes()), Ok(node));
            }
            assert_eq!(nodes.len() as u64, 2 * (count + 1) - u64::from((count + 1).count_ones()));
        }
        let peaks: Vec<HistoryNode> =
            History::peak_positions(70).iter().map(|at| nodes[at]).collect();
        let work: u128 = peaks.iter().map(|peak| peak.work).sum();
        assert_eq!(work, (1..=70).sum::<u128>(), "the peaks carry the work of all leaves");
        assert_eq!(peaks[0].first, leaf(0).first);
        assert_eq!(peaks.last().unwrap().last, leaf(69).last);
    }

    #[test]
    fn the_least_work_is_summed_in_few_steps_whatever_is_claimed() {
        for network in Network::ALL {
            let params = network.params();
            for leaves in [1, 22, 23, 1 << 14, 1 << 31, 1 << 32] {
                for lead in [0, 1, 540_000, 540_001, 1_240_000, 1 << 40, (1 << 64) - 1] {
                    let (_, steps) = least_work(params, leaves, lead);
                    assert!(steps <= 210, "{steps} for {leaves} that end {lead} s early");
                }
            }
        }
        // Runs that are taken at once sum up as if each were taken by itself.
        let params = Network::Main.params();
        let each = |leaves: u64, lead: i128| -> u128 {
            let work = |at: u64| difficulty::target(params, 120 * i128::from(at) - lead).work();
            let ends = (0..leaves.div_ceil(22)).map(|run| ((run + 1) * 22).min(leaves));
            ends.map(|end| work(end - 1) * u128::from((end - 1) % 22 + 1)).sum()
        };
        for (leaves, lead) in [(5_000, 1_240_000), (4_500, 1_240_000), (9_000, 1_240_077)] {
            assert_eq!(least_work(params, leaves, lead).0, each(leaves, lead));
        }
    }

    #[test]
    fn the_root_tells_every_range_apart() {
        let mut history = History::default();
        let mut roots = vec![history.root(Network::Dev)];
        for count in 0..20 {
            history.push(Network::Dev, leaf(count));
            roots.push(history.root(Network::Dev));
        }
        roots.sort();
        roots.dedup();
        assert_eq!(roots.len(), 21);
    }

    /// Headers of `gaps` seconds after each other, as leaves that follow the rules.
    fn chain(gaps: impl IntoIterator<Item = u64>) -> Vec<HistoryNode> {
        let params = Network::Main.params();
        let mut header = genesis(Network::Main).header;
        let mut leaves = Vec::new();
        for gap in gaps {
            let (due, time) = (difficulty::next_due(params, &header), header.time + gap);
            header = Header { due, time, height: header.height + 1, ..header };
            let id = Hash([leaves.len() as u8; 32]);
            leaves.push(HistoryNode::of_header(params, &id, &header));
        }
        leaves
    }

    fn join_all(leaves: &[HistoryNode]) -> HistoryNode {
        let join =
            |left: HistoryNode, right: &HistoryNode| HistoryNode::join(Network::Main, &left, right);
        leaves[1..].iter().fold(leaves[0], join)
    }

    #[test]
    fn every_run_of_a_valid_chain_is_plausible() {
        let params = Network::Main.params();
        let gaps = (0..300u64).map(|number| (number * 7_919 + number * number * 31) % 331);
        let leaves = chain(gaps);
        for start in (0..leaves.len()).step_by(7) {
            for end in (start + 1..=leaves.len()).step_by(11) {
                let node = join_all(&leaves[start..end]);
                assert!(node.is_plausible(params, (end - start) as u64), "{start}..{end}");
            }
            if start > 0 {
                assert!(leaves[start - 1].is_followed_by(params, &leaves[start]));
            }
        }
    }

    /// The attack on sampling: hundreds of headers of one date, with no work, push the due time
    /// ahead until one header needs, and claims, the work of half the chain.
    #[test]
    fn a_ramp_of_cheap_headers_is_not_plausible() {
        let params = Network::Main.params();
        let honest = chain(std::iter::repeat_n(0, 400));
        let node = join_all(&honest);
        assert!(node.is_plausible(params, 400), "with its work a ramp is");
        let easiest = params.easiest_target.work();
        for work in [easiest * 400, node.work / 3, 0] {
            let cheap = HistoryNode { work, ..node };
            assert!(!cheap.is_plausible(params, 400), "{work}");
        }
        let dear = HistoryNode { work: u128::MAX, ..node };
        assert!(!dear.is_plausible(params, 400));
        let mut leaf = honest[399];
        leaf.work -= 1;
        assert!(!leaf.is_plausible(params, 1), "a leaf has exactly its work");
    }

    /// A node's lead and its number of headers come from whoever sends it.
    #[test]
    fn a_lead_that_nobody_can_count_is_judged_at_once() {
        let params = Network::Main.params();
        let never = Timing { time: 0, due: u64::MAX / 2 };
        let node = |work, last| HistoryNode { hash: Hash::ZERO, work, first: never, last };
        for leaves in [1 << 40, u64::MAX] {
            assert!(node(u128::MAX, never).is_plausible(params, leaves));
            assert!(!node(1, never).is_plausible(params, leaves));
            // A lead of which each run has a work that can still be summed.
            let some = Timing { time: 0, due: 100 * params.target_half_life };
            assert!(!node(1 << 100, some).is_plausible(params, leaves));
        }
    }

    #[test]
    fn neighbours_must_fit() {
        let params = Network::Main.params();
        let leaves = chain([10, 200, 0]);
        let (left, right) = (leaves[0], leaves[1]);
        assert!(left.is_followed_by(params, &right));
        assert!(!right.is_followed_by(params, &left));
        let mut late = right;
        late.first.due += 1;
        assert!(!left.is_followed_by(params, &late));
    }
}
