//! The nodes of the trie, and their hashes.

use std::sync::{Arc, OnceLock};

use crate::types::{Domain, Hash, Network, hash};

/// A node: a key with its value, or a fork.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Leaf {
        key: Hash,
        value: Hash,
        hash: OnceLock<Hash>,
    },
    /// All keys below agree on the bits before `bit`; those with a zero there are in `zero`.
    /// `sample` is one of them, so that where a new key departs is known without going down.
    Inner {
        bit: u8,
        sample: Hash,
        zero: Arc<Node>,
        one: Arc<Node>,
        hash: OnceLock<Hash>,
    },
}

impl Node {
    pub(crate) fn leaf(key: Hash, value: Hash) -> Arc<Node> {
        Arc::new(Node::Leaf { key, value, hash: OnceLock::new() })
    }

    pub(crate) fn inner(bit: u8, sample: Hash, zero: Arc<Node>, one: Arc<Node>) -> Arc<Node> {
        Arc::new(Node::Inner { bit, sample, zero, one, hash: OnceLock::new() })
    }

    pub(crate) fn sample(&self) -> &Hash {
        match self {
            Node::Leaf { key, .. } => key,
            Node::Inner { sample, .. } => sample,
        }
    }

    pub(crate) fn hash(&self, network: Network) -> Hash {
        match self {
            Node::Leaf { key, value, hash } => *hash.get_or_init(|| leaf_hash(network, key, value)),
            Node::Inner { bit, zero, one, hash, .. } => *hash
                .get_or_init(|| inner_hash(network, *bit, &zero.hash(network), &one.hash(network))),
        }
    }
}

pub(crate) fn leaf_hash(network: Network, key: &Hash, value: &Hash) -> Hash {
    hash(network, Domain::TreeLeaf, &[&key.0, &value.0])
}

pub(crate) fn inner_hash(network: Network, bit: u8, zero: &Hash, one: &Hash) -> Hash {
    hash(network, Domain::TreeNode, &[&[bit], &zero.0, &one.0])
}

/// The first bit in which two keys differ.
pub(crate) fn first_difference(a: &Hash, b: &Hash) -> Option<u8> {
    let byte = a.0.iter().zip(&b.0).position(|(x, y)| x != y)?;
    Some((byte * 8) as u8 + (a.0[byte] ^ b.0[byte]).leading_zeros() as u8)
}
