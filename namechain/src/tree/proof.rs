//! Proofs of presence and absence against a root.

use thiserror::Error;

use super::{Node, first_difference, inner_hash, leaf_hash};
use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Hash, Network},
};

/// The most bytes of an encoded proof: a path through all 256 bits.
pub const MAX_PROOF_BYTES: usize = 1 + 64 + 2 + 256 * 33;

/// The way from a leaf up to the root.
///
/// ```text
/// | terminal u8: 0 empty tree, 1 the key's leaf, 2 another leaf |
/// | 1: value hash 32    2: key 32, value hash 32                |
/// | number of steps u16, then from the leaf up: bit u8, sibling hash 32 |
/// ```
///
/// In a Patricia trie the bits tested on the way down to a key lead to one leaf. If that leaf is the key's, the key is
/// there; if it is another's, the key is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    terminal: Terminal,
    /// Bit and sibling of each inner node, from the leaf up.
    path: Vec<(u8, Hash)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Terminal {
    Empty,
    Key { value: Hash },
    Other { key: Hash, value: Hash },
}

/// What a proof proves of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The key has this value hash.
    Present(Hash),
    /// The key is not in the tree.
    Absent,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
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
    let Some(mut node) = root else { return Proof { terminal: Terminal::Empty, path } };
    loop {
        match node {
            Node::Leaf { key: found, value, .. } => {
                path.reverse();
                let terminal = if found == key {
                    Terminal::Key { value: *value }
                } else {
                    Terminal::Other { key: *found, value: *value }
                };
                return Proof { terminal, path };
            }
            Node::Inner { bit, zero, one, .. } => {
                let (next, sibling) = if key.bit(*bit) { (one, zero) } else { (zero, one) };
                path.push((*bit, sibling.hash(network)));
                node = next;
            }
        }
    }
}

impl Proof {
    /// What the proof proves of `key` against `root`: a pure function, at most 257 hashes whatever it is fed.
    pub fn verify(&self, network: Network, root: &Hash, key: &Hash) -> Result<Proven, ProofError> {
        if self.path.windows(2).any(|pair| pair[0].0 <= pair[1].0) {
            return Err(ProofError::Path);
        }
        let (start, proven) = match &self.terminal {
            Terminal::Empty if self.path.is_empty() => (Hash::ZERO, Proven::Absent),
            Terminal::Empty => return Err(ProofError::Path),
            Terminal::Key { value } => (leaf_hash(network, key, value), Proven::Present(*value)),
            Terminal::Other { key: other, value } => {
                // It must be another key, and agree with ours at every bit tested on the way.
                if first_difference(other, key).is_none()
                    || self.path.iter().any(|(bit, _)| other.bit(*bit) != key.bit(*bit))
                {
                    return Err(ProofError::Leaf);
                }
                (leaf_hash(network, other, value), Proven::Absent)
            }
        };
        let reached = self.path.iter().fold(start, |below, (bit, sibling)| {
            let (zero, one) = if key.bit(*bit) { (sibling, &below) } else { (&below, sibling) };
            inner_hash(network, *bit, zero, one)
        });
        if reached == *root { Ok(proven) } else { Err(ProofError::Root) }
    }
}

impl Encode for Proof {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.terminal {
            Terminal::Empty => out.push(0),
            Terminal::Key { value } => {
                out.push(1);
                value.encode(out);
            }
            Terminal::Other { key, value } => {
                out.push(2);
                key.encode(out);
                value.encode(out);
            }
        }
        out.extend_from_slice(&(self.path.len() as u16).to_be_bytes());
        for (bit, sibling) in &self.path {
            out.push(*bit);
            sibling.encode(out);
        }
    }
}

impl Decode for Proof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let terminal = match reader.u8()? {
            0 => Terminal::Empty,
            1 => Terminal::Key { value: Hash::decode(reader)? },
            2 => Terminal::Other { key: Hash::decode(reader)?, value: Hash::decode(reader)? },
            _ => return Err(DecodeError::Invalid("a proof ends at no known kind of leaf")),
        };
        let steps = usize::from(reader.u16()?);
        if steps > 256 {
            return Err(DecodeError::OverCap { what: "a proof's steps", found: steps, cap: 256 });
        }
        let path = (0..steps).map(|_| Ok((reader.u8()?, Hash::decode(reader)?))).collect::<Result<_, _>>()?;
        Ok(Proof { terminal, path })
    }
}
