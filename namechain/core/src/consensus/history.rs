//! The history range: a Merkle mountain range over all headers, with their summed work.
//!
//! Nodes are numbered in the order in which they come to be, children before their parent. A range
//! of n leaves has `2n - popcount(n)` nodes and one peak for each one bit of n, the largest first.

mod proof;

pub use proof::{HistoryProof, HistoryProofError};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, Network, hash},
};

/// A node: a hash and the work of all headers below it.
///
/// ```text
/// | hash 32 | work u128 |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryNode {
    /// The hash.
    pub hash: Hash,
    /// The summed work, in expected hashes.
    pub work: u128,
}

/// The peaks of the range: what it takes to add to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    leaves: u64,
    peaks: Vec<HistoryNode>,
}

impl HistoryNode {
    fn leaf(network: Network, id: &Hash, work: u128) -> Self {
        HistoryNode {
            hash: hash(network, Domain::HistoryLeaf, &[&id.0, &work.to_be_bytes()]),
            work,
        }
    }

    fn join(network: Network, left: &HistoryNode, right: &HistoryNode) -> Self {
        HistoryNode {
            hash: hash(network, Domain::HistoryNode, &[&left.to_bytes(), &right.to_bytes()]),
            work: left.work.saturating_add(right.work),
        }
    }
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
        (peaks.len() == leaves.count_ones() as usize).then_some(History { leaves, peaks })
    }

    /// Adds a header. Returns the new nodes with their positions: the leaf, then each parent that
    /// it completes.
    pub fn push(&mut self, network: Network, id: &Hash, work: u128) -> Vec<(u64, HistoryNode)> {
        let mut position = 2 * self.leaves - u64::from(self.leaves.count_ones());
        let mut node = HistoryNode::leaf(network, id, work);
        let mut added = vec![(position, node)];
        // Each trailing one bit of the count is a peak of the same size as what has been built so
        // far.
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = HistoryNode::join(network, &left, &node);
                position += 1;
                added.push((position, node));
            }
        }
        self.peaks.push(node);
        self.leaves += 1;
        added
    }

    /// The root: the number of leaves and the peaks, joined from the smallest to the largest.
    pub fn root(&self, network: Network) -> Hash {
        let leaves = self.leaves.to_be_bytes();
        let joined = self
            .peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| HistoryNode::join(network, &left, &right));
        match joined {
            None => hash(network, Domain::HistoryRoot, &[&leaves]),
            Some(node) => hash(network, Domain::HistoryRoot, &[&leaves, &node.to_bytes()]),
        }
    }
}

impl Encode for HistoryNode {
    fn encode(&self, out: &mut Vec<u8>) {
        self.hash.encode(out);
        out.extend_from_slice(&self.work.to_be_bytes());
    }
}

impl Decode for HistoryNode {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(HistoryNode { hash: Hash::decode(reader)?, work: reader.u128()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

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
            for (position, node) in
                history.push(Network::Dev, &Hash([count as u8; 32]), u128::from(count) + 1)
            {
                assert_eq!(nodes.insert(position, node), None, "a position is used once");
            }
            assert_eq!(nodes.len() as u64, 2 * (count + 1) - u64::from((count + 1).count_ones()));
        }
        let work: u128 = history.peaks.iter().map(|peak| peak.work).sum();
        assert_eq!(work, (1..=70).sum::<u128>(), "the peaks carry the work of all leaves");
    }

    #[test]
    fn the_root_tells_every_range_apart() {
        let mut history = History::default();
        let mut roots = vec![history.root(Network::Dev)];
        for count in 0..20u8 {
            history.push(Network::Dev, &Hash([count; 32]), 1);
            roots.push(history.root(Network::Dev));
        }
        roots.sort();
        roots.dedup();
        assert_eq!(roots.len(), 21);
    }
}
