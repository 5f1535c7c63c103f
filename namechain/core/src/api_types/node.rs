//! What a node says of itself: how far it is, its peers, and the price of operations.

use serde::{Deserialize, Serialize};

use crate::types::{Hash, Network};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Status {
    /// The version of the software.
    pub version: String,
    /// The network.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "dev"))]
    pub network: Network,
    /// The height of the tip.
    pub height: u32,
    /// The id of the tip.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tip: Hash,
    /// The time that the tip's header states, in seconds of Unix time.
    pub tip_time: u64,
    /// The summed work of the chain in expected hashes, in decimal.
    pub work: String,
    /// How many blocks below the tip names are served from.
    pub serve_depth: u32,
    /// The height from which names are served.
    pub served_height: u32,
    /// Whether the node believes that it is at the tip; names are not served before.
    pub synced: bool,
    /// Whether old blocks were deleted, see `--prune`.
    #[serde(default)]
    pub pruned: bool,
    /// The height from which on the node has all blocks of its chain: 0 unless it is pruned.
    #[serde(default)]
    pub first_block: u32,
    /// Operations that wait to be recorded.
    pub mempool_operations: usize,
    /// Their bytes.
    pub mempool_bytes: usize,
    /// `off`, `on-demand` or `always`.
    pub mining: String,
    /// Hashes of the work function tried for the block in hand.
    pub mining_hashes: u64,
    /// The chain of more work that is held back, as it would undo more than a day of ours.
    #[serde(default)]
    pub hold: Option<HoldInfo>,
    /// The tip of a chain of more work that departs more than 21,600 blocks below ours: it is not
    /// followed, and the operator has to find out which of them others are on.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub parked_tip: Option<Hash>,
    /// How long ago the time is that the tip's header states, in seconds; 0 if it lies ahead.
    #[serde(default)]
    pub tip_age: u64,
    /// Hashes of the work function that the miner tries in a second, as of late.
    #[serde(default)]
    pub mining_rate: u64,
    /// How many peers are connected.
    #[serde(default)]
    pub peers: PeerCounts,
    /// How far the node has caught up, and why it believes that it has or has not.
    #[serde(default)]
    pub sync: SyncInfo,
    /// The tip of the chain of most work beside ours, of those that are known and sound.
    #[serde(default)]
    pub second_best: Option<OtherTip>,
    /// The rules that the next block follows, and those that come.
    #[serde(default)]
    pub protocol: ProtocolInfo,
    /// Where other nodes reach this one: for their `--peer`. Empty if it takes no connections.
    #[serde(default)]
    pub p2p: Vec<String>,
}

/// Which rules a node follows (branches of the protocol).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProtocolInfo {
    /// The number of the branch that the next block follows.
    pub branch: u32,
    /// The branch that comes into force next, if one is known.
    pub next: Option<NextBranch>,
    /// A branch that this program does not know, and a chain with work follows: the node stays on
    /// its last block until it is upgraded.
    pub upgrade_needed: Option<u32>,
}

/// A branch of the protocol that comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NextBranch {
    /// Its number.
    pub number: u32,
    /// From when on it is in force, in seconds of Unix time.
    pub from: u64,
}

/// A chain of more work that a node does not follow at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct HoldInfo {
    /// The tip of that chain.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tip: Hash,
    /// The height of the last block that both chains have. Names that were changed above it do not
    /// resolve while the chain is held back.
    pub fork_height: u32,
    /// For how long that chain has to lead before it is followed, in seconds.
    pub seconds: u64,
    /// How much of that is left, in seconds.
    pub seconds_left: u64,
}

/// How many peers are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PeerCounts {
    /// Those who dialled us.
    pub inbound: usize,
    /// Those whom we dialled.
    pub outbound: usize,
}

/// How far a node has caught up with its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SyncInfo {
    /// Why the node believes that it is at the tip, or does not.
    pub why: String,
    /// The height that it goes for: that of its own tip if no peer shows more work.
    pub target: u32,
    /// The height up to which headers have been checked, of the chain that it goes for.
    pub headers: u32,
    /// Blocks taken in a second, as of late.
    pub blocks_per_second: u64,
    /// How many seconds it will take at that rate, if there is one.
    pub seconds_left: Option<u64>,
    /// By how many seconds most peers' clocks are ahead of this node's, if that is too much to be
    /// right.
    pub clock_off: Option<i64>,
}

/// The end of a chain that is not the best one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct OtherTip {
    /// The id of its last block.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// Its height.
    pub height: u32,
    /// Its summed work in expected hashes, in decimal.
    pub work: String,
}

/// `GET /v1/peers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Peers {
    /// Where other nodes reach this one.
    pub addresses: Vec<String>,
    /// The peers that are connected, those who have been for longest first.
    pub peers: Vec<PeerInfo>,
}

/// A peer that is connected. What it says of itself is marked so: nothing of that is to be
/// believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PeerInfo {
    /// Its identity: the hash of the key that the connection is encrypted for.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// `in`: it dialled us. `out`: we dialled it.
    pub direction: String,
    /// For how many seconds it has been connected.
    pub seconds: u64,
    /// Whether the connection carries blocks only: operations are not relayed on it, and nobody is
    /// told of it.
    #[serde(default)]
    pub block_only: bool,
    /// The shortest answer to a ping, in milliseconds; absent until there was one.
    #[serde(default)]
    pub latency_ms: Option<u64>,
    /// How many seconds ago it was the first to bring a block; absent if it never was.
    #[serde(default)]
    pub last_block_seconds: Option<u64>,
    /// The height that it says it is at; absent until it has said so.
    pub height: Option<u32>,
    /// The summed work that it says its chain has, in decimal; absent until it has said so.
    pub work: Option<String>,
    /// How it has behaved: 0 is fine, and it is banned at -100.
    pub score: i64,
    /// What it says its software is.
    pub agent: String,
    /// What it is asked for right now, in words.
    pub doing: String,
}

/// `GET /v1/price`: what to work for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Price {
    /// The network.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "dev"))]
    pub network: Network,
    /// The tip: the block to anchor a stamp to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub anchor: Hash,
    /// Its height.
    pub height: u32,
    /// Its time, in seconds of Unix time.
    pub time: u64,
    /// The multiplier of names for the next block, in 1/1024: what Commits pay.
    pub name_multiplier: u32,
    /// The multiplier of bytes for the next block, in 1/1024: what records pay.
    pub byte_multiplier: u32,
    /// The work of registering an ordinary name now (six letters or more), in expected hashes.
    pub register: u64,
    /// The work of registering a name of five letters.
    pub register_5: u64,
    /// The work of registering a name of four letters.
    pub register_4: u64,
    /// The work of registering a name of three letters.
    pub register_3: u64,
    /// The work of an update with few records.
    pub update: u64,
    /// The work of renewing an ordinary name; it does not follow demand.
    pub renew: u64,
    /// The work of Cancel, Recover and Revoke, once a day for each key of a name.
    pub rescue: u64,
}
