//! The parameters of the networks: one file each, nothing else differs.

mod dev;
mod main;
mod test;

use std::sync::OnceLock;

use crate::types::{Hash, Network, Target};

/// Everything that the rules take from the network.
#[derive(Clone, Debug)]
pub struct Params {
    /// The network.
    pub network: Network,
    /// Whether its genesis block is the real one. Programs refuse to run a network before that.
    pub launched: bool,
    /// The time of the genesis block, in seconds of Unix time.
    pub genesis_time: u64,
    /// What nobody could know before the launch; the genesis block's `previous`.
    pub entropy: Hash,
    /// The branches of the protocol by their times, the first from the beginning.
    pub branches: &'static [Branch],
    /// A chain with less summed work is not followed, but for catching up. In expected hashes.
    pub minimum_work: u128,
    /// Heights and block ids that the chain is known to have.
    pub checkpoints: &'static [(u32, Hash)],
    /// Where a node that knows nobody asks for others: multiaddrs, as in
    /// `/dns/seed.example/tcp/7379` or `/ip4/192.0.2.1/tcp/7379/p2p/ID`. Of several operators; with
    /// a name its operator can replace the node, with an identity nobody can.
    pub seeds: &'static [&'static str],
    /// The easiest target that a header may have: that of a header that is not early.
    pub easiest_target: Target,
    /// Whether target and multipliers stay as they are at the beginning.
    pub fixed: bool,
    /// Seconds between blocks that the target aims at.
    pub block_interval: u64,
    /// A block that is early by this many seconds needs twice the work.
    pub target_half_life: u64,
    /// Memory of the header's work, in KiB.
    pub header_work_kib: u32,
    /// Memory of a stamp's work, in KiB.
    pub stamp_work_kib: u32,
    /// Work of an ordinary registration at the lowest price, in expected hashes of the stamp's
    /// work.
    pub base_price: u64,
    /// What a Commit must wait before a name is registered by it.
    pub commit_delay: Delay,
    /// How long a name settles after it was registered.
    pub settle_delay: Delay,
    /// What a transfer must wait before it can be accepted.
    pub transfer_delay: Delay,
    /// Seconds for which a registration or a renewal holds.
    pub lease: u64,
    /// Seconds after the lease in which only its keys can renew the name.
    pub grace: u64,
    /// How many blocks below the tip names are served from.
    pub serve_depth: u32,
}

/// A minimum of blocks and of seconds: both must pass. Blocks alone can be made in a burst, seconds
/// alone can be claimed by one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Blocks.
    pub blocks: u32,
    /// Seconds of the chain's clock.
    pub seconds: u64,
}

/// A version of the rules. The version of a header is the number of the branch in force at its
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its number: one above that of the branch before it.
    pub number: u32,
    /// From when on it is in force, in seconds of Unix time.
    pub from: u64,
    /// The names that it reserves beyond those of the branches before.
    pub reserved: &'static [&'static str],
}

/// The branch of the genesis blocks.
pub const FIRST_BRANCH: Branch = Branch { number: 2, from: 0, reserved: &[] };

/// How many blocks deep the states are kept in memory, a day at the interval: a reorganisation of
/// as many is worked out from memory.
pub const STATES_KEPT: u32 = 720;
/// The most blocks that are undone: thirty days at the interval. What the blocks found before they
/// changed it is kept on the disk that long.
pub const MAX_REORG_DEPTH: u32 = 21_600;
/// How many of the last blocks a node that prunes has at least: those that may be undone, and those
/// that what takes their place may be anchored to.
pub const BLOCKS_KEPT: u32 = MAX_REORG_DEPTH + MAX_ANCHOR_AGE;
/// A block is followed live if it was taken at most this long after its own time, in seconds.
pub const LIVE_AGE_S: u64 = 3_600;
/// A heavier chain that would undo more than this of what was followed live is held back, in
/// seconds.
pub const HOLD_AFTER_S: u64 = 86_400;
/// The shortest time for which a chain is held back, in seconds.
pub const MIN_HOLD_S: u64 = 86_400;
/// The longest time for which a chain is held back, in seconds: fourteen days.
pub const MAX_HOLD_S: u64 = 1_209_600;
/// A chain that is held back leads if it sums more work than ours by as many blocks like our tip.
pub const HOLD_LEAD_BLOCKS: u32 = 6;
/// How far back a stamp's anchor may lie, in blocks.
pub const MAX_ANCHOR_AGE: u32 = 720;
/// How far back a stamp's anchor may lie, in seconds, unless it is the parent.
pub const MAX_ANCHOR_AGE_S: u64 = 86_400;
/// Up to this age in blocks of its anchor, a Commit is judged by the name price in the anchor.
pub const ANCHOR_PRICE_BLOCKS: u32 = 60;
/// How far ahead of a block's time the last valid time of its operations may lie, in seconds.
pub const MAX_VALIDITY_S: u64 = 86_400;
/// A Commit lapses this many seconds after its block.
pub const COMMIT_LIFETIME_S: u64 = 86_400;
/// How often each key of a name has the fixed price of a rescue, in seconds.
pub const RESCUE_PERIOD_S: u64 = 86_400;
/// The most entries of each kind that leave the state at the start of a block.
pub const MAX_REMOVED: usize = 512;
/// How far ahead of the clock a header's time may be before the header is postponed, in seconds.
pub const MAX_FUTURE_TIME: u64 = 300;
/// The unit of price multipliers, and the lowest one.
pub const PRICE_UNIT: u32 = 1_024;
/// The highest price multiplier.
pub const PRICE_MAX: u32 = 1 << 31;
/// The number of Commits in a block at which the name price stays as it is.
pub const TARGET_COMMITS: u64 = 20;
/// The most Commits in a block.
pub const MAX_COMMITS: usize = 40;
/// The bytes of a block's priced operations at which the byte price stays as it is.
pub const TARGET_BYTES: u64 = 65_536;
/// The most bytes of a block that are not Renew or a rescue at its fixed price: seven eighths.
pub const MAX_SHARED_BYTES: usize = 229_376;
/// A synced node that may mine makes a block when the tip is older than this, in seconds.
pub const LIVENESS_S: u64 = 1_200;
/// A Register is published only while the tip is at most this old, in seconds: it reveals the name,
/// and nobody must be able to date a whole registration before it.
pub const REVEAL_TIP_AGE_S: u64 = 300;

impl Params {
    /// From when a name whose lease ends at `expires` can be renewed: in the last quarter of a
    /// lease. Both are in seconds of Unix time.
    pub fn renewable_from(&self, expires: u64) -> u64 {
        expires.saturating_sub(self.lease / 4)
    }

    /// The branch in force at `time`.
    pub fn branch_at(&self, time: u64) -> &Branch {
        let current = self.branches.iter().rev().find(|branch| branch.from <= time);
        current.unwrap_or(&self.branches[0])
    }

    /// The first branch that comes into force after `time`, if one is known.
    pub fn branch_after(&self, time: u64) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.from > time)
    }

    /// The highest branch that this program knows.
    pub fn last_branch(&self) -> &Branch {
        &self.branches[self.branches.len() - 1]
    }
}

impl Network {
    /// The network's parameters.
    pub fn params(self) -> &'static Params {
        match self {
            Network::Main => &main::PARAMS,
            Network::Test => &test::PARAMS,
            Network::Dev => DEV.get_or_init(|| dev::PARAMS),
        }
    }
}

/// The parameters of dev, with the branch that a rehearsal has added.
static DEV: OnceLock<Params> = OnceLock::new();

/// Adds a branch to dev, for the whole process: the rehearsal of an upgrade. To be called before
/// anything asks for the parameters of dev.
///
/// # Errors
/// In words: it does not come after the branches there are, or the parameters have been asked for.
pub fn rehearse_branch(branch: Branch) -> Result<(), &'static str> {
    let last = dev::PARAMS.branches[dev::PARAMS.branches.len() - 1];
    if branch.number != last.number + 1 || branch.from <= last.from {
        return Err("a rehearsed branch has the number after the last one, and a time after 0");
    }
    let branches = [dev::PARAMS.branches, &[branch]].concat();
    DEV.set(Params { branches: branches.leak(), ..dev::PARAMS })
        .map_err(|_| "the parameters of dev are in use")
}
