//! The state's authenticated map: a binary Patricia trie over 256-bit keys, persistent in the
//! functional sense.
//!
//! A tree is a root pointer. Changing it makes new nodes along the path and shares the rest, so
//! keeping an old tree costs what changed since. Hashes are made when they are asked for, once a
//! node: an update of many keys followed by one [`Tree::root`] hashes every changed node once. It
//! knows keys and value hashes, not what they stand for.
//!
//! The trie's shape depends only on its keys, not on the order in which they came (property test in
//! `tests`).

mod node;
mod proof;

use std::sync::{Arc, OnceLock};

pub use proof::{MAX_PROOF_BYTES, Proof, ProofError};

use crate::types::{Hash, Network};
// For states that are told by what blocks found, see `chain::past_tree`.
pub(crate) use node::{Node, first_difference, inner_hash};
pub(crate) use proof::{Terminal, descend};

/// A map from key hashes to value hashes with one root hash. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Tree {
    network: Network,
    root: Option<Arc<Node>>,
    len: usize,
}

impl Tree {
    /// The tree without keys.
    pub fn new(network: Network) -> Self {
        Tree { network, root: None, len: 0 }
    }

    pub(crate) fn network(&self) -> Network {
        self.network
    }

    pub(crate) fn root_node(&self) -> Option<&Node> {
        self.root.as_deref()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The root: the hash of the top node, or zeros for the empty tree. Hashes what changed since
    /// it was last asked.
    pub fn root(&self) -> Hash {
        self.root.as_ref().map_or(Hash::ZERO, |node| node.hash(self.network))
    }

    /// The value hash of `key`.
    pub fn get(&self, key: &Hash) -> Option<Hash> {
        let mut node = self.root.as_ref()?;
        loop {
            match &**node {
                Node::Leaf { key: found, value, .. } => return (found == key).then_some(*value),
                Node::Inner { bit, zero, one, .. } => node = if key.bit(*bit) { one } else { zero },
            }
        }
    }

    /// The tree of these keys, which must be sorted and differ: made from the bottom up, without
    /// going down for each.
    pub fn from_sorted(network: Network, entries: &[(Hash, Hash)]) -> Self {
        debug_assert!(
            entries.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "sorted, without duplicates"
        );
        Tree { network, root: subtree(entries), len: entries.len() }
    }

    /// Sets the value hash of `key`.
    pub fn insert(&mut self, key: Hash, value: Hash) {
        let added = match &mut self.root {
            None => {
                self.root = Some(Node::leaf(key, value));
                true
            }
            Some(root) => insert(root, key, value),
        };
        self.len += usize::from(added);
    }

    /// Removes `key`, if it is there.
    pub fn remove(&mut self, key: &Hash) {
        if self.get(key).is_none() {
            return;
        }
        self.len -= 1;
        match &mut self.root {
            Some(root) if matches!(&**root, Node::Inner { .. }) => remove(root, key),
            _ => self.root = None,
        }
    }

    /// Proves what the tree says of `key`: that it has a value hash, or that it is not there.
    pub fn prove(&self, key: &Hash) -> Proof {
        proof::prove(self.root.as_deref(), self.network, key)
    }
}

/// The node over sorted keys.
pub(crate) fn subtree(entries: &[(Hash, Hash)]) -> Option<Arc<Node>> {
    let ((first, value), (last, _)) = (entries.first()?, entries.last()?);
    let Some(bit) = first_difference(first, last) else { return Some(Node::leaf(*first, *value)) };
    let (zero, one) = entries.split_at(entries.partition_point(|(key, _)| !key.bit(bit)));
    Some(Node::inner(bit, *first, subtree(zero)?, subtree(one)?))
}

/// Sets `key` at or below `node`; whether it is new. `make_mut` copies what an older tree shares
/// and changes in place what nobody else holds: during a block of many operations the upper nodes
/// are copied once.
fn insert(node: &mut Arc<Node>, key: Hash, value: Hash) -> bool {
    let departs = first_difference(node.sample(), &key);
    let below = match (&**node, departs) {
        (Node::Leaf { .. }, None) => {
            *node = Node::leaf(key, value);
            return false;
        }
        (Node::Leaf { .. }, Some(_)) => false,
        (Node::Inner { bit, .. }, departs) => departs.is_none_or(|departs| departs >= *bit),
    };
    if let (false, Some(bit)) = (below, departs) {
        let (old, leaf) = (node.clone(), Node::leaf(key, value));
        let (zero, one) = if key.bit(bit) { (old, leaf) } else { (leaf, old) };
        *node = Node::inner(bit, key, zero, one);
        return true;
    }
    let Node::Inner { bit, zero, one, hash, .. } = Arc::make_mut(node) else { return false };
    *hash = OnceLock::new();
    insert(if key.bit(*bit) { one } else { zero }, key, value)
}

/// Removes `key` from below an inner node: the caller knows that it is there.
fn remove(node: &mut Arc<Node>, key: &Hash) {
    let Node::Inner { bit, sample, zero, one, hash } = Arc::make_mut(node) else { return };
    let (changed, kept) = if key.bit(*bit) { (one, zero) } else { (zero, one) };
    if matches!(&**changed, Node::Leaf { .. }) {
        *node = kept.clone();
        return;
    }
    remove(changed, key);
    // The sample must be a key that is still there: take it from the side that did not change.
    *sample = *kept.sample();
    *hash = OnceLock::new();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys that share long prefixes, so that small sets already have deep and shallow branches.
    fn key() -> impl Strategy<Value = Hash> {
        (0u8..4, 0u8..4, 0u8..8).prop_map(|(a, b, c)| {
            let mut bytes = [0; 32];
            bytes[0] = a << 6;
            bytes[15] = b;
            bytes[31] = c;
            Hash(bytes)
        })
    }

    fn model_tree(model: &BTreeMap<Hash, Hash>) -> Tree {
        let mut tree = Tree::new(Network::Dev);
        for (key, value) in model {
            tree.insert(*key, *value);
        }
        tree
    }

    proptest! {
        /// Against a plain map: same contents, and the root is a function of the contents alone.
        #[test]
        fn behaves_as_a_map(changes in proptest::collection::vec((key(), proptest::option::of(0u8..5)), 0..60)) {
            let mut tree = Tree::new(Network::Dev);
            let mut model = BTreeMap::new();
            for (key, value) in changes {
                let before = (tree.clone(), tree.root());
                match value {
                    Some(value) => {
                        tree.insert(key, Hash([value; 32]));
                        model.insert(key, Hash([value; 32]));
                    }
                    None => {
                        tree.remove(&key);
                        model.remove(&key);
                    }
                }
                prop_assert_eq!(tree.len(), model.len());
                prop_assert_eq!(tree.root(), model_tree(&model).root());
                let sorted: Vec<(Hash, Hash)> = model.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(tree.root(), Tree::from_sorted(Network::Dev, &sorted).root());
                prop_assert_eq!(before.0.root(), before.1, "an older tree stays as it was");
                for probe in model.keys().chain([&key]) {
                    prop_assert_eq!(tree.get(probe), model.get(probe).copied());
                }
            }
        }

        /// Every key is proven present or absent, the proof survives its encoding, and no other
        /// verdict verifies.
        #[test]
        fn proofs_tell_what_the_tree_says(
            keys in proptest::collection::btree_set(key(), 0..30), probe in key(), flip in any::<(u16, u8)>(),
        ) {
            use crate::codec::{Decode, Encode};
            let model = keys.into_iter().map(|key| (key, Hash([key.0[31]; 32]))).collect();
            let tree = model_tree(&model);
            let proof = tree.prove(&probe);
            let bytes = proof.to_bytes();
            prop_assert!(bytes.len() <= MAX_PROOF_BYTES);
            prop_assert_eq!(&Proof::from_bytes(&bytes).unwrap(), &proof);
            let value = model.get(&probe);
            prop_assert_eq!(proof.verify(Network::Dev, &tree.root(), &probe, value), Ok(()));
            let other = Hash([0xee; 32]);
            let lie = if value.is_some() { None } else { Some(&other) };
            prop_assert!(proof.verify(Network::Dev, &tree.root(), &probe, lie).is_err());
            prop_assert!(proof.verify(Network::Dev, &tree.root(), &probe, Some(&other)).is_err());

            let mut mutated = bytes.clone();
            let at = usize::from(flip.0) % mutated.len();
            mutated[at] ^= flip.1.max(1);
            if let Ok(other) = Proof::from_bytes(&mutated) {
                prop_assert!(other.verify(Network::Dev, &tree.root(), &probe, value).is_err(), "{:?}", other);
                prop_assert!(other.verify(Network::Dev, &tree.root(), &probe, lie).is_err(), "{:?}", other);
            }
        }
    }
}
