//! What a tree said some changes ago: its values, hashes and proofs, without its nodes.
//!
//! A state costs as many nodes as its block changed, a dozen for each key. What the block found
//! under each key costs 65 bytes, and says as much: [`PastTree`] is a later tree and what the
//! blocks up to it found. Values are looked up in that, and a proof hashes what has changed since
//! anew.

use std::sync::Arc;

use crate::{
    tree::{Node, Proof, Terminal, Tree, descend, first_difference, inner_hash, subtree},
    types::{Hash, Network},
};

/// A key, and the value hash that it had before a change; `None` if it was not there.
pub type Found = (Hash, Option<Hash>);

/// A tree as it was before changes that led to a later one.
#[derive(Clone, Debug)]
pub struct PastTree {
    later: Tree,
    /// What each step towards the later tree found, the earliest step first, each sorted by key.
    steps: Vec<Arc<[Found]>>,
}

impl PastTree {
    /// The tree before the `steps` that led to `later`: what each found, the earliest first, each
    /// sorted by key.
    pub fn new(later: Tree, steps: Vec<Arc<[Found]>>) -> Self {
        PastTree { later, steps }
    }

    /// The value hash of `key`.
    pub fn get(&self, key: &Hash) -> Option<Hash> {
        for step in &self.steps {
            if let Ok(at) = step.binary_search_by(|(changed, _)| changed.cmp(key)) {
                return step[at].1;
            }
        }
        self.later.get(key)
    }

    /// The root. Costs a hash or more for each key that has changed since.
    pub fn root(&self) -> Hash {
        let changes = self.changes();
        let root = Part { node: self.later.root_node(), changes: &changes };
        root.hash(self.later.network()).unwrap_or(Hash::ZERO)
    }

    /// Proves what the tree said of `key`. Costs a hash or more for each key that has changed
    /// since.
    pub fn prove(&self, key: &Hash) -> Proof {
        let changes = self.changes();
        let root = Part { node: self.later.root_node(), changes: &changes };
        root.prove(self.later.network(), key)
    }

    /// The tree itself, with nodes of its own for what has changed since.
    pub fn to_tree(&self) -> Tree {
        let mut tree = self.later.clone();
        for (key, value) in self.changes() {
            match value {
                Some(value) => tree.insert(*key, *value),
                None => tree.remove(key),
            }
        }
        tree
    }

    /// By how the later tree differs, sorted by key; no key that neither of them has.
    fn changes(&self) -> Vec<&Found> {
        let mut changes: Vec<&Found> = self.steps.iter().flat_map(|step| step.iter()).collect();
        // The earliest step that changed a key says what was there: the sort is stable.
        changes.sort_by_key(|(key, _)| *key);
        changes.dedup_by_key(|(key, _)| *key);
        changes.retain(|(key, value)| value.is_some() || self.later.get(key).is_some());
        changes
    }
}

/// The keys below a node, but for `changes`: sorted, all below where the node is. Those without a
/// value are among the node's keys.
#[derive(Clone, Copy)]
struct Part<'a> {
    node: Option<&'a Node>,
    changes: &'a [&'a Found],
}

/// How a part begins.
enum Shape<'a> {
    /// A node as it is.
    Node(&'a Node),
    /// A few keys, or none.
    Few(Option<Arc<Node>>),
    /// Two parts, of which one may turn out to be empty.
    Fork { bit: u8, zero: Part<'a>, one: Part<'a> },
}

impl<'a> Part<'a> {
    fn shape(self) -> Shape<'a> {
        let (node, changes) = (self.node, self.changes);
        let (bit, sample, zero, one) = match node {
            Some(node) if changes.is_empty() => return Shape::Node(node),
            Some(Node::Inner { bit, sample, zero, one, .. }) => (*bit, sample, zero, one),
            Some(Node::Leaf { key, value, .. }) => {
                return Shape::Few(few(Some((*key, *value)), changes));
            }
            None => return Shape::Few(few(None, changes)),
        };
        // Of sorted keys the first or the last departs earliest from any other key.
        let ends = [changes.first(), changes.last()].into_iter().flatten();
        let departs = ends.filter_map(|(key, _)| first_difference(sample, key)).min();
        let departs = departs.filter(|departs| *departs < bit);
        let at = departs.unwrap_or(bit);
        let (low, high) = changes.split_at(changes.partition_point(|(key, _)| !key.bit(at)));
        let (below_zero, below_one) = match departs {
            None => (Some(&**zero), Some(&**one)),
            Some(_) if sample.bit(at) => (None, node),
            Some(_) => (node, None),
        };
        Shape::Fork {
            bit: at,
            zero: Part { node: below_zero, changes: low },
            one: Part { node: below_one, changes: high },
        }
    }

    fn hash(self, network: Network) -> Option<Hash> {
        match self.shape() {
            Shape::Node(node) => Some(node.hash(network)),
            Shape::Few(node) => node.map(|node| node.hash(network)),
            Shape::Fork { bit, zero, one } => match (zero.hash(network), one.hash(network)) {
                (Some(zero), Some(one)) => Some(inner_hash(network, bit, &zero, &one)),
                (zero, one) => zero.or(one),
            },
        }
    }

    fn is_empty(self) -> bool {
        match self.shape() {
            Shape::Node(_) => false,
            Shape::Few(node) => node.is_none(),
            Shape::Fork { zero, one, .. } => zero.is_empty() && one.is_empty(),
        }
    }

    fn prove(self, network: Network, key: &Hash) -> Proof {
        let (mut part, mut path) = (self, Vec::new());
        let terminal = loop {
            match part.shape() {
                Shape::Node(node) => break descend(node, network, key, &mut path),
                Shape::Few(Some(node)) => break descend(&node, network, key, &mut path),
                Shape::Few(None) => break Terminal::Empty,
                Shape::Fork { bit, zero, one } => {
                    let (next, sibling) = if key.bit(bit) { (one, zero) } else { (zero, one) };
                    part = if next.is_empty() {
                        sibling
                    } else {
                        path.extend(sibling.hash(network).map(|hash| (bit, hash)));
                        next
                    };
                }
            }
        };
        Proof::from_parts(terminal, path)
    }
}

/// The node over at most one leaf and what changes it.
fn few(leaf: Option<(Hash, Hash)>, changes: &[&Found]) -> Option<Arc<Node>> {
    let stays = leaf.filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
    let set = changes.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
    let mut entries: Vec<(Hash, Hash)> = stays.into_iter().chain(set).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    subtree(&entries)
}

#[cfg(test)]
mod tests {
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

    proptest! {
        /// What a past tree says, after any number of steps, is what the tree of that time said.
        #[test]
        fn past_trees_say_what_they_said(
            steps in proptest::collection::vec(
                proptest::collection::btree_map(key(), proptest::option::of(0u8..5), 0..8), 0..6,
            ),
            probes in proptest::collection::vec(key(), 1..4),
        ) {
            let (mut tree, mut times, mut found) = (Tree::new(Network::Dev), Vec::new(), Vec::new());
            for step in steps {
                times.push(tree.clone());
                let before: Vec<Found> =
                    step.keys().map(|key| (*key, tree.get(key))).collect();
                for (key, value) in step {
                    match value {
                        Some(value) => tree.insert(key, Hash([value; 32])),
                        None => tree.remove(&key),
                    }
                }
                found.push(Arc::<[Found]>::from(before));
            }
            for (at, then) in times.iter().enumerate() {
                let past = PastTree::new(tree.clone(), found[at..].to_vec());
                prop_assert_eq!(past.root(), then.root());
                prop_assert_eq!(past.to_tree().root(), then.root());
                let keys = found.iter().flat_map(|step| step.iter()).map(|(key, _)| key);
                for probe in keys.chain(&probes) {
                    prop_assert_eq!(past.get(probe), then.get(probe));
                    prop_assert_eq!(past.prove(probe), then.prove(probe));
                }
            }
        }
    }
}
