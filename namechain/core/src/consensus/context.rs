//! What the rules of operations may know of the block that they are applied in.

use crate::{
    params::Delay,
    types::{BlockTime, Header},
};

/// The multipliers of prices, in 1/1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multipliers {
    /// That of names.
    pub names: u32,
    /// That of bytes.
    pub bytes: u32,
}

impl Multipliers {
    /// Those in `header`, which the next block's operations pay.
    pub fn of(header: &Header) -> Self {
        Multipliers { names: header.name_price, bytes: header.byte_price }
    }
}

/// The block that operations are applied in.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// Its height and time.
    pub now: BlockTime,
    /// The time of its parent, in seconds of Unix time.
    pub parent_time: u64,
    /// The multipliers in force: those in the parent's header.
    pub price: Multipliers,
}

impl BlockContext {
    /// A block after `parent` with this time.
    pub fn after(parent: &Header, time: u64) -> Self {
        BlockContext {
            now: BlockTime { height: parent.height.saturating_add(1), time },
            parent_time: parent.time,
            price: Multipliers::of(parent),
        }
    }
}

/// The first block time at which `delay` has passed since `from`.
pub(super) fn earliest(from: BlockTime, delay: Delay) -> BlockTime {
    BlockTime {
        height: from.height.saturating_add(delay.blocks),
        time: from.time.saturating_add(delay.seconds),
    }
}
