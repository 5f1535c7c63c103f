//! Proofs of a header's place in the history range.

use thiserror::Error;

use super::{History, HistoryNode};
use crate::{
    codec::{Decode, DecodeError, Encode, Reader, encode_varint},
    params::Params,
    types::{Hash, Header},
};

/// The most headers of a range: as many as there are heights.
const MAX_LEAVES: u64 = 1 << 32;

/// The way from a header's leaf to a history root.
///
/// ```text
/// | index u64, the header's height | leaves u64, the height of the block whose history root it is |
/// | work before varint | sibling nodes, from the leaf up to its peak | the other peaks, the largest first |
/// ```
///
/// How many nodes there are follows from the two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryProof {
    index: u64,
    leaves: u64,
    work_before: u128,
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
    /// It states another sum of work before the header than its nodes have.
    #[error("the work before the header is not that of the nodes before it")]
    WorkBefore,
    /// A node has work that its headers can't have, or neighbours do not fit.
    #[error("no valid chain has the work and times of the proof's nodes")]
    Implausible,
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
        let peaks: Vec<HistoryNode> =
            others.map(|(_, position)| node(position)).collect::<Option<_>>()?;
        let mut proof = HistoryProof { index, leaves, work_before: 0, siblings, peaks };
        proof.work_before = proof.sum_before(number, index - first);
        Some(proof)
    }

    /// The work of the nodes to the left of the header: the peaks before its own, and the siblings
    /// on its left.
    fn sum_before(&self, peak: usize, local: u64) -> u128 {
        let left = self.siblings.iter().enumerate().filter(|(level, _)| local >> level & 1 == 1);
        let before = self.peaks.iter().take(peak).chain(left.map(|(_, node)| node));
        before.fold(0u128, |sum, node| sum.saturating_add(node.work))
    }

    /// The summed work of all headers before the proven one, in expected hashes.
    pub fn work_before(&self) -> u128 {
        self.work_before
    }

    /// The number of headers in the range: the height of the block whose history root the proof
    /// leads to.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Whether `header`, whose id is `id`, is in the range with this root, after headers of
    /// [`HistoryProof::work_before`]: a pure function of at most 128 hashes. Every node that is
    /// seen
    /// on the way has work that a valid chain can have. If so, everybody who built on the root has
    /// believed in the header.
    ///
    /// # Errors
    /// What is wrong with the proof.
    pub fn verify(
        &self,
        params: &Params,
        root: &Hash,
        id: &Hash,
        header: &Header,
    ) -> Result<(), HistoryProofError> {
        let network = params.network;
        let peak =
            peak_of(self.index, self.leaves).filter(|_| self.index == u64::from(header.height));
        let peak = peak.ok_or(HistoryProofError::Index)?;
        let local = self.index - peak.first;
        if self.work_before != self.sum_before(peak.number, local) {
            return Err(HistoryProofError::WorkBefore);
        }
        let mut node = HistoryNode::of_header(params, id, header);
        let mut plausible = node.is_plausible(params, 1);
        for (level, sibling) in self.siblings.iter().enumerate() {
            let leaves = 1u64 << level;
            let (left, right) =
                if local >> level & 1 == 0 { (&node, sibling) } else { (sibling, &node) };
            plausible &= sibling.is_plausible(params, leaves) && left.is_followed_by(params, right);
            node = HistoryNode::join(network, left, right);
            plausible &= node.is_plausible(params, 2 * leaves);
        }
        let mut peaks = self.peaks.clone();
        peaks.insert(peak.number.min(peaks.len()), node);
        plausible &= are_plausible_peaks(params, self.leaves, &peaks);
        let history = History::from_peaks(self.leaves, peaks).ok_or(HistoryProofError::Root)?;
        match history.root(network) == *root {
            false => Err(HistoryProofError::Root),
            true if !plausible => Err(HistoryProofError::Implausible),
            true => Ok(()),
        }
    }
}

/// Whether the peaks of a range, and what joining them gives, can be those of a valid chain.
fn are_plausible_peaks(params: &Params, leaves: u64, peaks: &[HistoryNode]) -> bool {
    let sizes = (0..u64::BITS).map(|height| leaves & 1 << height).filter(|size| *size > 0);
    let mut joined: Option<(HistoryNode, u64)> = None;
    // The smallest first, as the root joins them.
    for (peak, size) in peaks.iter().rev().zip(sizes) {
        if !peak.is_plausible(params, size) {
            return false;
        }
        joined = Some(match joined {
            None => (*peak, size),
            Some((right, count)) => {
                let node = HistoryNode::join(params.network, peak, &right);
                let count = count + size;
                if !peak.is_followed_by(params, &right) || !node.is_plausible(params, count) {
                    return false;
                }
                (node, count)
            }
        });
    }
    true
}

impl Encode for HistoryProof {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.leaves.to_be_bytes());
        encode_varint(self.work_before, out);
        for node in self.siblings.iter().chain(&self.peaks) {
            node.encode(out);
        }
    }
}

impl Decode for HistoryProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (index, leaves, work_before) = (reader.u64()?, reader.u64()?, reader.varint128()?);
        if leaves > MAX_LEAVES {
            return Err(DecodeError::Invalid("a range has more headers than there are heights"));
        }
        let peak = peak_of(index, leaves)
            .ok_or(DecodeError::Invalid("a proof's header is not in its range"))?;
        let mut nodes = |count: u32| {
            (0..count).map(|_| HistoryNode::decode(reader)).collect::<Result<Vec<_>, _>>()
        };
        let siblings = nodes(peak.height)?;
        let peaks = nodes(leaves.count_ones() - 1)?;
        Ok(HistoryProof { index, leaves, work_before, siblings, peaks })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        consensus::{difficulty, header::genesis},
        types::Network,
    };

    /// Headers that follow the rules of time, and the nodes of their range.
    struct Range {
        params: &'static Params,
        headers: Vec<(Hash, Header)>,
        history: History,
        nodes: BTreeMap<u64, HistoryNode>,
    }

    impl Range {
        fn new() -> Self {
            let params = Network::Main.params();
            Range {
                params,
                headers: Vec::new(),
                history: History::default(),
                nodes: BTreeMap::new(),
            }
        }

        fn add(&mut self) {
            let header = match self.headers.last() {
                None => genesis(Network::Main).header,
                Some((_, parent)) => Header {
                    height: parent.height + 1,
                    time: parent.time + u64::from(parent.height * 37 % 300),
                    due: difficulty::next_due(self.params, parent),
                    ..parent.clone()
                },
            };
            let id = header.id(self.params.network);
            let leaf = HistoryNode::of_header(self.params, &id, &header);
            self.nodes.extend(self.history.push(self.params.network, leaf));
            self.headers.push((id, header));
        }

        fn prove(&self, index: u64) -> Option<HistoryProof> {
            let read = |position| self.nodes.get(&position).copied();
            HistoryProof::make(index, self.headers.len() as u64, read)
        }
    }

    #[test]
    fn every_header_is_proven_in_every_range() {
        let mut range = Range::new();
        for count in 1..=40u64 {
            range.add();
            let (params, root) = (range.params, range.history.root(Network::Main));
            let mut before = 0;
            for index in 0..count {
                let proof = range.prove(index).unwrap();
                assert_eq!(HistoryProof::from_bytes(&proof.to_bytes()).as_ref(), Ok(&proof));
                let (id, header) = &range.headers[index as usize];
                assert_eq!(proof.verify(params, &root, id, header), Ok(()), "{index} of {count}");
                assert_eq!(proof.work_before(), before);
                before += difficulty::header_work(params, header);
                let verify = |id, header| proof.verify(params, &root, id, header).is_err();
                assert!(verify(&Hash([99; 32]), header), "another header");
                let other = Header { height: header.height + 1, ..header.clone() };
                assert!(verify(id, &other), "another height");
                let other = Header { time: header.time + 1, ..header.clone() };
                assert!(verify(id, &other), "another time");
                assert!(proof.verify(params, &Hash::ZERO, id, header).is_err(), "another root");
                let mut changed = proof.to_bytes();
                let at = (index * 37 + count) as usize % changed.len();
                changed[at] ^= 1;
                let verdict = HistoryProof::from_bytes(&changed)
                    .map(|proof| proof.verify(params, &root, id, header));
                assert!(!matches!(verdict, Ok(Ok(()))), "byte {at} of {index} in {count}");
            }
            assert!(range.prove(count).is_none());
        }
    }

    #[test]
    fn nodes_that_no_chain_has_are_refused() {
        let mut range = Range::new();
        (0..9).for_each(|_| range.add());
        let (id, header) = range.headers[2].clone();
        let mut proof = range.prove(2).unwrap();
        proof.siblings[0].last.due += 1;
        proof.siblings[0].first.due += 1;
        let root = {
            // The liar's own root, over the changed node.
            let mut node = HistoryNode::of_header(range.params, &id, &header);
            node = HistoryNode::join(Network::Main, &node, &proof.siblings[0]);
            node = HistoryNode::join(Network::Main, &proof.siblings[1], &node);
            node = HistoryNode::join(Network::Main, &node, &proof.siblings[2]);
            History::from_peaks(9, vec![node, proof.peaks[0]]).unwrap().root(Network::Main)
        };
        assert_eq!(
            proof.verify(range.params, &root, &id, &header),
            Err(HistoryProofError::Implausible)
        );
        let mut proof = range.prove(2).unwrap();
        proof.work_before += 1;
        let root = range.history.root(Network::Main);
        assert_eq!(
            proof.verify(range.params, &root, &id, &header),
            Err(HistoryProofError::WorkBefore)
        );
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for (index, leaves) in [(0u64, 0u64), (5, 5), (u64::MAX, u64::MAX), (u64::MAX, 1)] {
            let mut bytes = index.to_be_bytes().to_vec();
            bytes.extend(leaves.to_be_bytes());
            assert!(HistoryProof::from_bytes(&bytes).is_err(), "{index} of {leaves}");
        }
        let mut bytes = 0u64.to_be_bytes().to_vec();
        bytes.extend((MAX_LEAVES + 1).to_be_bytes());
        bytes.resize(16 + 1 + 33 * (32 + 5), 0);
        assert!(HistoryProof::from_bytes(&bytes).is_err(), "more headers than heights");
        // All ones: the last header of the longest range but one has as many peaks as a height has
        // bits.
        let mut bytes = u64::from(u32::MAX - 1).to_be_bytes().to_vec();
        bytes.extend(u64::from(u32::MAX).to_be_bytes());
        bytes.resize(16 + 1 + 31 * (32 + 5), 0);
        assert!(HistoryProof::from_bytes(&bytes).is_ok());
    }
}
