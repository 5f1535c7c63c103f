//! Proofs of a header's place in the history range.

use thiserror::Error;

use super::{History, HistoryNode};
use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Hash, Network},
};

/// The way from a header's leaf to a history root.
///
/// ```text
/// | index u64, the header's height | leaves u64, the height of the block whose history root it is |
/// | sibling nodes, 48 each, from the leaf up to its peak | the other peaks, 48 each, the largest first |
/// ```
///
/// How many nodes there are follows from the two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryProof {
    index: u64,
    leaves: u64,
    siblings: Vec<HistoryNode>,
    peaks: Vec<HistoryNode>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HistoryProofError {
    /// It is of another header.
    #[error("the proof is of the header at another height")]
    Index,
    /// It leads to another root.
    #[error("the proof leads to another history root")]
    Root,
}

/// The peak that a leaf is below.
struct Peak {
    /// Which one, from the largest.
    number: usize,
    /// The number of levels between it and its leaves.
    height: u32,
    /// The index of its first leaf.
    first: u64,
}

fn peak_of(index: u64, leaves: u64) -> Option<Peak> {
    let mut first = 0u64;
    let peaks = (0..u64::BITS).rev().filter(|height| leaves >> height & 1 == 1);
    for (number, height) in peaks.enumerate() {
        // Written so that a range of 2^63 leaves and more does not overflow.
        if index - first < 1 << height {
            return Some(Peak { number, height, first });
        }
        first += 1 << height;
    }
    None
}

impl HistoryProof {
    /// Proves the place of the header at height `index` in the history root of the block at height
    /// `leaves`. `node` reads a node of the range by its position; `None` if one is missing, or the
    /// header is not in the range.
    pub fn make(
        index: u64,
        leaves: u64,
        node: impl Fn(u64) -> Option<HistoryNode>,
    ) -> Option<Self> {
        let Peak { number, height, first } = peak_of(index, leaves)?;
        let before = 2 * first - u64::from(first.count_ones());
        let siblings = (0..height)
            .map(|level| {
                let sibling = ((index - first) >> level) ^ 1;
                let last_leaf = ((sibling + 1) << level) - 1;
                node(before + 2 * last_leaf - u64::from(last_leaf.count_ones()) + u64::from(level))
            })
            .collect::<Option<_>>()?;
        let others = History::peak_positions(leaves)
            .into_iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let peaks = others.map(|(_, position)| node(position)).collect::<Option<_>>()?;
        Some(HistoryProof { index, leaves, siblings, peaks })
    }

    /// The number of headers in the range: the height of the block whose history root the proof
    /// leads to.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Whether the header `id` at `height`, which stands for `work`, is in the range with this
    /// root: a pure function of at most 128 hashes. If so, everybody who built on the root has
    /// believed in the header.
    pub fn verify(
        &self,
        network: Network,
        root: &Hash,
        id: &Hash,
        height: u32,
        work: u128,
    ) -> Result<(), HistoryProofError> {
        let peak = peak_of(self.index, self.leaves).filter(|_| self.index == u64::from(height));
        let peak = peak.ok_or(HistoryProofError::Index)?;
        let local = self.index - peak.first;
        let mut node = HistoryNode::leaf(network, id, work);
        for (level, sibling) in self.siblings.iter().enumerate() {
            node = match local >> level & 1 {
                0 => HistoryNode::join(network, &node, sibling),
                _ => HistoryNode::join(network, sibling, &node),
            };
        }
        let mut peaks = self.peaks.clone();
        peaks.insert(peak.number.min(peaks.len()), node);
        let history = History::from_peaks(self.leaves, peaks).ok_or(HistoryProofError::Root)?;
        if history.root(network) == *root { Ok(()) } else { Err(HistoryProofError::Root) }
    }
}

impl Encode for HistoryProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.leaves.to_be_bytes());
        for node in self.siblings.iter().chain(&self.peaks) {
            node.encode(out);
        }
    }
}

impl Decode for HistoryProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (index, leaves) = (reader.u64()?, reader.u64()?);
        let peak = peak_of(index, leaves)
            .ok_or(DecodeError::Invalid("a proof's header is not in its range"))?;
        let mut nodes = |count: u32| {
            (0..count).map(|_| HistoryNode::decode(reader)).collect::<Result<Vec<_>, _>>()
        };
        let siblings = nodes(peak.height)?;
        let peaks = nodes(leaves.count_ones() - 1)?;
        Ok(HistoryProof { index, leaves, siblings, peaks })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NETWORK: Network = Network::Dev;

    #[test]
    fn every_header_is_proven_in_every_range() {
        let mut history = History::default();
        let mut nodes = BTreeMap::new();
        for count in 1..=40u64 {
            nodes.extend(history.push(NETWORK, &Hash([count as u8 - 1; 32]), u128::from(count)));
            let root = history.root(NETWORK);
            for index in 0..count {
                let proof =
                    HistoryProof::make(index, count, |position| nodes.get(&position).copied())
                        .unwrap();
                assert_eq!(HistoryProof::from_bytes(&proof.to_bytes()).as_ref(), Ok(&proof));
                let (id, height) = (Hash([index as u8; 32]), index as u32);
                let work = u128::from(index) + 1;
                assert_eq!(proof.verify(NETWORK, &root, &id, height, work), Ok(()));
                let verify =
                    |id, height, work| proof.verify(NETWORK, &root, id, height, work).is_err();
                assert!(verify(&Hash([99; 32]), height, work), "another header");
                assert!(verify(&id, height + 1, work), "another height");
                assert!(verify(&id, height, work + 1), "another work");
                assert!(
                    proof.verify(NETWORK, &Hash::ZERO, &id, height, work).is_err(),
                    "another root"
                );
                let mut changed = proof.to_bytes();
                let at = (index * 37 + count) as usize % changed.len();
                changed[at] ^= 1;
                let verdict = HistoryProof::from_bytes(&changed)
                    .map(|proof| proof.verify(NETWORK, &root, &id, height, work));
                assert!(!matches!(verdict, Ok(Ok(()))), "byte {at} of {index} in {count}");
            }
            assert!(
                HistoryProof::make(count, count, |position| nodes.get(&position).copied())
                    .is_none()
            );
        }
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for (index, leaves) in [(0u64, 0u64), (5, 5), (u64::MAX, u64::MAX), (u64::MAX, 1)] {
            let mut bytes = index.to_be_bytes().to_vec();
            bytes.extend(leaves.to_be_bytes());
            assert!(HistoryProof::from_bytes(&bytes).is_err(), "{index} of {leaves}");
        }
        // All ones: the last header of a range that no chain reaches has as many peaks as there are
        // bits.
        let mut bytes = (u64::MAX - 1).to_be_bytes().to_vec();
        bytes.extend(u64::MAX.to_be_bytes());
        bytes.resize(16 + 63 * 48, 0);
        assert!(HistoryProof::from_bytes(&bytes).is_ok());
    }
}
