//! Proofs of presence and absence against a root.

use thiserror::Error;

use super::node::{Node, first_difference, inner_hash, leaf_hash};
use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Hash, Network},
};

/// The most steps of a proof. One more would take two keys that differ in their last bit only:
/// hashes are not found so.
const MAX_STEPS: usize = 255;
/// The most bytes of an encoded proof.
pub const MAX_PROOF_BYTES: usize = 1 + 64 + 1 + MAX_STEPS * 33;

/// The way from a leaf up to the root.
///
/// ```text
/// | terminal u8: 0 empty tree, 1 the key's leaf, 2 another leaf |
/// | 2: key 32, value hash 32                                    |
/// | number of steps u8, then from the leaf up: bit u8, sibling hash 32 |
/// ```
///
/// The value of the key's own leaf is not in the proof: whoever checks it has the entry.
///
/// In a Patricia trie the bits tested on the way down to a key lead to one leaf. If that leaf is
/// the key's, the key is there; if it is another's, the key is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    terminal: Terminal,
    /// Bit and sibling of each inner node, from the leaf up.
    path: Vec<(u8, Hash)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    Empty,
    Key,
    Other { key: Hash, value: Hash },
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// It is of presence where absence was claimed, or the other way round.
    #[error("the proof is of {}", if *.0 { "presence, but no entry was given" } else { "absence, but an entry was given" })]
    Claim(bool),
    /// The bits on the way up do not fall.
    #[error("the proof's path is not in order")]
    Path,
    /// The other leaf does not lie where the key would.
    #[error("the proof's leaf does not lie on the key's way")]
    Leaf,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

pub(super) fn prove(root: Option<&Node>, network: Network, key: &Hash) -> Proof {
    let mut path = Vec::new();
    let terminal = root.map_or(Terminal::Empty, |root| descend(root, network, key, &mut path));
    Proof::from_parts(terminal, path)
}

/// Goes down from `node` to the leaf on the key's way, and adds the siblings that are passed.
pub(crate) fn descend(
    mut node: &Node,
    network: Network,
    key: &Hash,
    path: &mut Vec<(u8, Hash)>,
) -> Terminal {
    loop {
        match node {
            Node::Leaf { key: found, .. } if found == key => return Terminal::Key,
            Node::Leaf { key, value, .. } => return Terminal::Other { key: *key, value: *value },
            Node::Inner { bit, zero, one, .. } => {
                let (next, sibling) = if key.bit(*bit) { (one, zero) } else { (zero, one) };
                path.push((*bit, sibling.hash(network)));
                node = next;
            }
        }
    }
}

impl Proof {
    /// The proof that ends at `terminal`, with the steps that led down to it.
    pub(crate) fn from_parts(terminal: Terminal, mut path: Vec<(u8, Hash)>) -> Self {
        path.reverse();
        Proof { terminal, path }
    }

    /// Whether `value` is the value hash of `key` under `root`, or, if it is `None`, nothing stands
    /// under the key: a pure function of at most 256 hashes, whatever it is fed.
    pub fn verify(
        &self,
        network: Network,
        root: &Hash,
        key: &Hash,
        value: Option<&Hash>,
    ) -> Result<(), ProofError> {
        if self.path.windows(2).any(|pair| pair[0].0 <= pair[1].0) {
            return Err(ProofError::Path);
        }
        let start = match (&self.terminal, value) {
            (Terminal::Key, Some(value)) => leaf_hash(network, key, value),
            (Terminal::Key, None) => return Err(ProofError::Claim(true)),
            (_, Some(_)) => return Err(ProofError::Claim(false)),
            (Terminal::Empty, None) if self.path.is_empty() => Hash::ZERO,
            (Terminal::Empty, None) => return Err(ProofError::Path),
            (Terminal::Other { key: other, value }, None) => {
                // It must be another key, and agree with ours at every bit tested on the way.
                if first_difference(other, key).is_none()
                    || self.path.iter().any(|(bit, _)| other.bit(*bit) != key.bit(*bit))
                {
                    return Err(ProofError::Leaf);
                }
                leaf_hash(network, other, value)
            }
        };
        let reached = self.path.iter().fold(start, |below, (bit, sibling)| {
            let (zero, one) = if key.bit(*bit) { (sibling, &below) } else { (&below, sibling) };
            inner_hash(network, *bit, zero, one)
        });
        if reached == *root { Ok(()) } else { Err(ProofError::Root) }
    }
}

impl Encode for Proof {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.terminal {
            Terminal::Empty => out.push(0),
            Terminal::Key => out.push(1),
            Terminal::Other { key, value } => {
                out.push(2);
                key.encode(out);
                value.encode(out);
            }
        }
        out.push(self.path.len().min(MAX_STEPS) as u8);
        for (bit, sibling) in self.path.iter().take(MAX_STEPS) {
            out.push(*bit);
            sibling.encode(out);
        }
    }
}

impl Decode for Proof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let terminal = match reader.u8()? {
            0 => Terminal::Empty,
            1 => Terminal::Key,
            2 => Terminal::Other { key: Hash::decode(reader)?, value: Hash::decode(reader)? },
            _ => return Err(DecodeError::Invalid("a proof ends at no known kind of leaf")),
        };
        let steps = reader.u8()?;
        let path = (0..steps)
            .map(|_| Ok((reader.u8()?, Hash::decode(reader)?)))
            .collect::<Result<_, _>>()?;
        Ok(Proof { terminal, path })
    }
}
