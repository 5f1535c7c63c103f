//! Block headers and compact targets.

use std::fmt;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, Network, hash},
};

/// The length of an encoded header.
pub const HEADER_BYTES: usize = 168;

/// A block header.
///
/// ```text
///   0 | version      u32      |  4 | height u32                        |  8 | previous id 32 |
///  40 | ops root     32       | 72 | state root 32, after this block   |
/// 104 | history root 32, over all earlier headers                      |
/// 136 | time         u64      | 144 | due u64                          | seconds of Unix time
/// 152 | name price   u32      | 156 | byte price u32                   | for the next block, 1/1024
/// 160 | nonce        u64      | 168 |
/// ```
///
/// What the work function's value may be at most follows from `time` and `due`
/// (`consensus::difficulty::target`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the branch that is in force at `time`.
    pub version: u32,
    /// Blocks before this one.
    pub height: u32,
    /// The id of the block before.
    pub previous: Hash,
    /// The root of the operations, [`super::ops_root`].
    pub ops_root: Hash,
    /// The root of the state after this block.
    pub state_root: Hash,
    /// The root of the history range over all earlier headers.
    pub history_root: Hash,
    /// When the block was made, in seconds of Unix time, as its miner says. It is the clock of the
    /// block: ages, leases and validities are judged by it.
    pub time: u64,
    /// When the block is due, in seconds of Unix time: the earlier it comes, the more work it
    /// needs.
    pub due: u64,
    /// The multiplier that the next block's Commits pay, in 1/1024.
    pub name_price: u32,
    /// The multiplier that the bytes of the next block's operations pay, in 1/1024.
    pub byte_price: u32,
    /// What was searched for.
    pub nonce: u64,
}

impl Header {
    /// The block's id: the hash of the header.
    pub fn id(&self, network: Network) -> Hash {
        hash(network, Domain::HeaderId, &[&self.to_bytes()])
    }
}

impl Encode for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.height.to_be_bytes());
        for root in [&self.previous, &self.ops_root, &self.state_root, &self.history_root] {
            root.encode(out);
        }
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&self.due.to_be_bytes());
        out.extend_from_slice(&self.name_price.to_be_bytes());
        out.extend_from_slice(&self.byte_price.to_be_bytes());
        out.extend_from_slice(&self.nonce.to_be_bytes());
    }
}

impl Decode for Header {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Header {
            version: reader.u32()?,
            height: reader.u32()?,
            previous: Hash::decode(reader)?,
            ops_root: Hash::decode(reader)?,
            state_root: Hash::decode(reader)?,
            history_root: Hash::decode(reader)?,
            time: reader.u64()?,
            due: reader.u64()?,
            name_price: reader.u32()?,
            byte_price: reader.u32()?,
            nonce: reader.u64()?,
        })
    }
}

/// A target: what the work function's 128-bit value may be at most. It is `mantissa * 2^shift`, the
/// mantissa of 24 bits with the highest set, so that every target has one compact form: the shift
/// in the top byte of a u32, the mantissa below.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    mantissa: u32,
    shift: u8,
}

impl Target {
    /// The largest shift: the target then reaches the top bit of 128.
    pub const MAX_SHIFT: u8 = 128 - 24;
    /// The easiest target that can be written.
    pub const EASIEST: Target = Target { mantissa: 0xff_ffff, shift: Self::MAX_SHIFT };
    /// The hardest target that can be written.
    pub const HARDEST: Target = Target { mantissa: 0x80_0000, shift: 0 };

    /// The target of `2^bits` expected hashes, less a rounding; `bits` is 1 to 105.
    pub const fn of_work_bits(bits: u8) -> Target {
        assert!(bits >= 1 && bits <= Self::MAX_SHIFT + 1);
        Target { mantissa: 0x80_0000, shift: Self::MAX_SHIFT + 1 - bits }
    }

    /// Reads the compact form; `None` if it is not canonical.
    pub const fn from_compact(compact: u32) -> Option<Target> {
        let target = Target { mantissa: compact & 0xff_ffff, shift: (compact >> 24) as u8 };
        if target.mantissa & 0x80_0000 == 0 || target.shift > Self::MAX_SHIFT {
            None
        } else {
            Some(target)
        }
    }

    /// The compact form.
    pub const fn to_compact(self) -> u32 {
        (self.shift as u32) << 24 | self.mantissa
    }

    /// The largest target not over `mantissa * 2^shift`, within what can be written.
    pub fn rounded_down(mantissa: u64, shift: i64) -> Target {
        let excess = 40 - i64::from(mantissa.leading_zeros());
        let (shift, mantissa) = match excess {
            _ if mantissa == 0 => return Self::HARDEST,
            0.. => (shift + excess, mantissa >> excess),
            _ => (shift + excess, mantissa << -excess),
        };
        match u8::try_from(shift) {
            Err(_) if shift < 0 => Self::HARDEST,
            Ok(shift) if shift <= Self::MAX_SHIFT => Target { mantissa: mantissa as u32, shift },
            _ => Self::EASIEST,
        }
    }

    /// The mantissa and the shift.
    pub const fn parts(self) -> (u32, u8) {
        (self.mantissa, self.shift)
    }

    /// The target as a number.
    pub const fn value(self) -> u128 {
        (self.mantissa as u128) << self.shift
    }

    /// The work that a header with this target stands for, in expected hashes: `floor(2^128 /
    /// (target + 1))`.
    pub const fn work(self) -> u128 {
        let value = self.value();
        // 2^128 does not fit: (2^128 - 1 - value) / (value + 1) + 1 is the same.
        !value / (value + 1) + 1
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x} (work {})", self.to_compact(), self.work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_form() {
        assert_eq!(Target::from_compact(0x0080_0000), Some(Target::HARDEST));
        assert_eq!(Target::from_compact(0x007f_ffff), None, "the mantissa's top bit is missing");
        assert_eq!(Target::from_compact(0x6980_0000), None, "the shift is over 104");
        assert_eq!(Target::from_compact(Target::EASIEST.to_compact()), Some(Target::EASIEST));
    }

    #[test]
    fn work_of_a_target() {
        assert_eq!(Target::of_work_bits(1).work(), 1, "2^127 + 1 values of 2^128 pass");
        assert_eq!(Target::of_work_bits(18).value(), 1 << 110);
        assert_eq!(Target::of_work_bits(18).work(), (1 << 18) - 1);
        assert_eq!(Target::EASIEST.work(), 1);
    }

    #[test]
    fn rounding_never_makes_a_target_easier() {
        assert_eq!(Target::rounded_down(0x1ff_ffff, 3), Target { mantissa: 0xff_ffff, shift: 4 });
        assert_eq!(Target::rounded_down(1, 30), Target { mantissa: 0x80_0000, shift: 7 });
        assert_eq!(Target::rounded_down(1, 3), Target::HARDEST);
        assert_eq!(Target::rounded_down(u64::MAX, 100), Target::EASIEST);
        assert_eq!(Target::rounded_down(0, 9), Target::HARDEST);
    }

    #[test]
    fn a_header_has_168_bytes() {
        let header = Header {
            version: 2,
            height: 7,
            previous: Hash([1; 32]),
            ops_root: Hash([2; 32]),
            state_root: Hash([3; 32]),
            history_root: Hash([4; 32]),
            time: 5,
            due: 8,
            name_price: 1024,
            byte_price: 1025,
            nonce: 6,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::from_bytes(&bytes), Ok(header));
    }
}
