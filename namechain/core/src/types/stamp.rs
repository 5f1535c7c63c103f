//! The work stamp that every operation carries: proof that computing time was spent on this
//! operation, now.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::Hash,
};

/// The length of an encoded stamp.
pub const STAMP_BYTES: usize = 48;

/// A work stamp.
///
/// ```text
/// | anchor | 32 bytes, id of a block at most 720 blocks and a day before the recording one |
/// | work   | u64, expected hashes claimed, at least 1                                        |
/// | nonce  | u64                                                                             |
/// ```
///
/// It is good when the work function's value (128 bits) is at most `floor((2^128 - 1) / work)`. The
/// anchor keeps stamps from being hoarded, and from being used on another branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The id of a recent block.
    pub anchor: Hash,
    /// The work claimed, in expected hashes.
    pub work: u64,
    /// What was searched for.
    pub nonce: u64,
}

impl Stamp {
    /// The largest value of the work function that satisfies the claim.
    pub fn limit(&self) -> u128 {
        u128::MAX / u128::from(self.work.max(1))
    }
}

impl Encode for Stamp {
    fn encode(&self, out: &mut Vec<u8>) {
        self.anchor.encode(out);
        out.extend_from_slice(&self.work.to_be_bytes());
        out.extend_from_slice(&self.nonce.to_be_bytes());
    }
}

impl Decode for Stamp {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stamp =
            Stamp { anchor: Hash::decode(reader)?, work: reader.u64()?, nonce: reader.u64()? };
        if stamp.work == 0 {
            return Err(DecodeError::Invalid("a stamp claims no work"));
        }
        Ok(stamp)
    }
}
