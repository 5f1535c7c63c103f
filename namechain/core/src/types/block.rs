//! Blocks, and the root of their operations.

use thiserror::Error;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, HEADER_BYTES, Hash, Header, Network, Operation, STAMP_BYTES, hash},
};

/// The most bytes of an encoded block.
pub const MAX_BLOCK_BYTES: usize = 256 * 1024;
/// The fewest bytes of an operation: a Commit.
pub const MIN_OPERATION_BYTES: usize = 1 + 32 + STAMP_BYTES;

/// A block: its header, the number of operations (u32), the operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// What it records, in the order in which it is applied.
    pub operations: Vec<Operation>,
}

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// More than [`MAX_BLOCK_BYTES`].
    #[error("the block has {0} bytes, at most {MAX_BLOCK_BYTES} are allowed")]
    TooLarge(usize),
    /// Not an encoding.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
}

impl Block {
    /// Reads a block, refusing one that is too large before looking at it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BlockError> {
        if bytes.len() > MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge(bytes.len()));
        }
        Ok(Block::from_bytes(bytes)?)
    }

    /// The length of the encoded block, in bytes.
    pub fn byte_len(&self) -> usize {
        HEADER_BYTES + 4 + self.operations.iter().map(Operation::byte_len).sum::<usize>()
    }
}

impl Encode for Block {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.extend_from_slice(&(self.operations.len() as u32).to_be_bytes());
        for operation in &self.operations {
            operation.encode(out);
        }
    }
}

impl Decode for Block {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Header::decode(reader)?;
        let count = reader.u32()? as usize;
        let cap = MAX_BLOCK_BYTES / MIN_OPERATION_BYTES;
        if count > cap {
            return Err(DecodeError::OverCap {
                what: "the number of operations",
                found: count,
                cap,
            });
        }
        // Not reserved up front: a peer's count is only believed as its operations arrive.
        let mut operations = Vec::new();
        for _ in 0..count {
            operations.push(Operation::decode(reader)?);
        }
        Ok(Block { header, operations })
    }
}

/// The root of the operations in the shape of RFC 6962 §2.1: leaf and inner hashes differ, nothing
/// is duplicated, a list of n splits at the largest power of two below n.
pub fn ops_root(network: Network, operations: &[Operation]) -> Hash {
    let leaves: Vec<Hash> =
        operations.iter().map(|op| hash(network, Domain::OpsLeaf, &[&op.to_bytes()])).collect();
    if leaves.is_empty() {
        hash(network, Domain::OpsEmpty, &[])
    } else {
        subtree_root(network, &leaves)
    }
}

fn subtree_root(network: Network, leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let (left, right) = (subtree_root(network, left), subtree_root(network, right));
            hash(network, Domain::OpsNode, &[&left.0, &right.0])
        }
    }
}
