//! Proofs that somebody changed: of the state tree and of the history range. None verifies, and no
//! bytes make a decoder fail otherwise than with an error.
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p namechain-core --test proofs
//! ```

use std::{collections::BTreeMap, sync::LazyLock};

use namechain_core::{
    codec::{Decode, Encode},
    consensus::{History, HistoryNode, HistoryProof, difficulty::next_due, header::genesis},
    tree::{Proof, Tree},
    types::{Hash, Header, Network},
};
use proptest::{collection::vec, prelude::*, sample::Index};

const NETWORK: Network = Network::Main;
/// Headers of the range, and keys of the tree: several peaks, and paths of several lengths.
const HEADERS: u32 = 55;
const KEYS: u8 = 40;

/// What is done to the bytes of a proof.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// Some bytes of another proof, at the same place or at another.
    Splice(Index, Index, usize),
    Cut(Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<Index>;
    let edit = prop_oneof![
        4 => (index(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        1 => index().prop_map(Edit::Remove),
        4 => (index(), index(), 1usize..120).prop_map(|(at, from, len)| Edit::Splice(at, from, len)),
        1 => index().prop_map(Edit::Cut),
    ];
    vec(edit, 1..4)
}

fn edited(mut bytes: Vec<u8>, other: &[u8], edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let count = bytes.len();
        match edit {
            Edit::Flip(at, bits) => bytes[at.index(count)] ^= bits,
            Edit::Replace(at, byte) => bytes[at.index(count)] = *byte,
            Edit::Insert(at, byte) => bytes.insert(at.index(count), *byte),
            Edit::Remove(at) => drop(bytes.remove(at.index(count))),
            Edit::Splice(at, from, len) => {
                let (at, from) = (at.index(count), from.index(other.len()));
                let from = if from % 2 == 0 { from } else { at.min(other.len() - 1) };
                let part = &other[from..other.len().min(from + len)];
                bytes.splice(at..count.min(at + part.len()), part.iter().copied());
            }
            Edit::Cut(at) => bytes.truncate(at.index(count)),
        }
    }
    bytes
}

/// A range of headers, each with its id, and the nodes by their position.
struct Range {
    headers: Vec<(Hash, Header)>,
    nodes: BTreeMap<u64, HistoryNode>,
    root: Hash,
}

static RANGE: LazyLock<Range> = LazyLock::new(|| {
    let params = NETWORK.params();
    let (mut history, mut nodes, mut headers) = (History::default(), BTreeMap::new(), Vec::new());
    let mut header = genesis(NETWORK).header;
    for _ in 0..HEADERS {
        let id = header.id(NETWORK);
        nodes.extend(history.push(NETWORK, HistoryNode::of_header(params, &id, &header)));
        let next = Header {
            height: header.height + 1,
            time: header.time + u64::from(header.height * 37 % 300),
            due: next_due(params, &header),
            ..header.clone()
        };
        headers.push((id, std::mem::replace(&mut header, next)));
    }
    Range { headers, nodes, root: history.root(NETWORK) }
});

fn history_proof(index: usize) -> HistoryProof {
    let read = |position| RANGE.nodes.get(&position).copied();
    HistoryProof::make(index as u64, u64::from(HEADERS), read).unwrap()
}

fn hash(number: u8) -> Hash {
    // Prefixes of every length are shared.
    let mut bytes = [0; 32];
    bytes[usize::from(number) % 32] = number;
    bytes[31] ^= number.wrapping_mul(151);
    Hash(bytes)
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let mut tree = Tree::new(NETWORK);
    (0..KEYS).for_each(|number| tree.insert(hash(number), Hash([number; 32])));
    tree
});

proptest! {
    #[test]
    fn a_changed_history_proof_does_not_verify(
        index in 0..HEADERS as usize, other in 0..HEADERS as usize, edits in edits(),
    ) {
        let (proof, range) = (history_proof(index), &*RANGE);
        let changed = edited(proof.to_bytes(), &history_proof(other).to_bytes(), &edits);
        if let Ok(changed) = HistoryProof::from_bytes(&changed) && changed != proof {
            for (height, (id, header)) in range.headers.iter().enumerate() {
                let verdict = changed.verify(NETWORK.params(), &range.root, id, header);
                let is_honest = changed == history_proof(height);
                prop_assert_eq!(verdict.is_ok(), is_honest, "{:?} of {}", changed, height);
            }
        }
    }

    #[test]
    fn a_changed_tree_proof_does_not_verify(
        number in 0..2 * KEYS, other in 0..2 * KEYS, edits in edits(),
    ) {
        let (key, tree) = (hash(number), &*TREE);
        let proof = tree.prove(&key);
        let changed = edited(proof.to_bytes(), &tree.prove(&hash(other)).to_bytes(), &edits);
        if let Ok(changed) = Proof::from_bytes(&changed) && changed != proof {
            let value = tree.get(&key);
            for value in [value, None, Some(Hash([0xee; 32])), Some(Hash([other; 32]))] {
                let verdict = changed.verify(NETWORK, &tree.root(), &key, value.as_ref());
                prop_assert!(
                    verdict.is_err() || value == tree.get(&key) && is_an_other_honest_one(&changed, &key),
                    "{:?} of {:?}", changed, value,
                );
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        if let Ok(proof) = HistoryProof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes.clone());
            let (id, header) = &RANGE.headers[0];
            prop_assert!(proof.verify(NETWORK.params(), &RANGE.root, id, header).is_err());
        }
        if let Ok(proof) = Proof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
            prop_assert!(proof.verify(NETWORK, &TREE.root(), &hash(0), None).is_err());
        }
    }
}

/// Whether a proof of another key proves the same about this one: two absent keys that end at the
/// same leaf have one proof.
fn is_an_other_honest_one(proof: &Proof, key: &Hash) -> bool {
    TREE.get(key).is_none() && (0..2 * KEYS).any(|number| TREE.prove(&hash(number)) == *proof)
}
