//! The parameters of the networks: one file each, nothing else differs.

mod dev;
mod main;
mod test;

use crate::types::{Network, Target};

/// Everything that the rules take from the network.
#[derive(Clone, Debug)]
pub struct Params {
    /// The network.
    pub network: Network,
    /// The time of the genesis block, in seconds of Unix time: where the schedule of blocks begins.
    pub genesis_time: u64,
    /// The target of the genesis block, from which the schedule moves it.
    pub genesis_target: Target,
    /// The easiest target that a header may have.
    pub easiest_target: Target,
    /// Seconds between blocks that the target aims at. Zero keeps the target at the easiest: no
    /// schedule is ever ahead of itself then.
    pub block_interval: u64,
    /// Blocks late or early by this many seconds double or halve the target.
    pub target_half_life: u64,
    /// Memory of the header's work, in KiB.
    pub header_work_kib: u32,
    /// Memory of a stamp's work, in KiB.
    pub stamp_work_kib: u32,
    /// Work of an ordinary registration at the lowest price, in expected hashes of the stamp's
    /// work.
    pub base_price: u64,
    /// Blocks that a commitment must wait before it can be opened.
    pub commit_min_age: u32,
    /// Blocks after which a commitment lapses.
    pub commit_max_age: u32,
    /// Blocks for which a registration or a renewal holds.
    pub lease: u32,
    /// Blocks after the lease in which only its keys can renew the name.
    pub grace: u32,
    /// Blocks that a transfer must wait before it can be accepted.
    pub transfer_delay: u32,
    /// How many blocks below the tip names are served from.
    pub serve_depth: u32,
}

/// A block counts as deep enough never to be undone by itself after this many blocks, a day: no
/// reorganisation goes deeper, and stamps are anchored no further back.
pub const MAX_REORG_DEPTH: u32 = 720;
/// How far back a stamp's anchor may lie, in blocks.
pub const MAX_ANCHOR_AGE: u32 = 720;
/// The number of headers whose times' median the next one must be after.
pub const MEDIAN_TIME_SPAN: usize = 11;
/// How far ahead of the clock a header's time may be before the header is postponed, in seconds.
pub const MAX_FUTURE_TIME: u64 = 600;
/// The unit of price multipliers, and the lowest one.
pub const PRICE_UNIT: u32 = 1_024;
/// The highest price multiplier.
pub const PRICE_MAX: u32 = 1 << 31;
/// The number of commitments in a block at which the price stays as it is.
pub const TARGET_COMMITS: u32 = 20;

impl Network {
    /// The network's parameters.
    pub fn params(self) -> &'static Params {
        match self {
            Network::Main => &main::PARAMS,
            Network::Test => &test::PARAMS,
            Network::Dev => &dev::PARAMS,
        }
    }
}
