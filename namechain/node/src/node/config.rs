//! How to run a node.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

use crate::{
    api::ADMIN_SOCKET,
    net::{Multiaddr, limits::INBOUND},
};
use namechain_core::types::Network;

/// When the node searches for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MineMode {
    /// Never.
    Off,
    /// While operations wait, or somebody who has committed or offered a name waits for a height
    /// that is near.
    OnDemand,
    /// Always.
    Always,
}

impl MineMode {
    /// What a node of this network does unless it is told.
    pub const fn default_of(network: Network) -> MineMode {
        match network {
            Network::Dev => MineMode::OnDemand,
            Network::Main | Network::Test => MineMode::Off,
        }
    }

    /// As it is written on the command line and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            MineMode::Off => "off",
            MineMode::OnDemand => "on-demand",
            MineMode::Always => "always",
        }
    }
}

/// What is not one of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is neither off nor on-demand nor always")]
pub struct UnknownMineMode;

impl FromStr for MineMode {
    type Err = UnknownMineMode;

    fn from_str(text: &str) -> Result<Self, UnknownMineMode> {
        let all = [MineMode::Off, MineMode::OnDemand, MineMode::Always];
        all.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownMineMode)
    }
}

/// How to run a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The network.
    pub network: Network,
    /// Where the chain is kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Where the HTTP API listens; port 0 means any free port. `None`: no API.
    pub api: Option<SocketAddr>,
    /// Where the admin socket is, which serves the whole API to the user who runs the node; in the
    /// data directory by default, see [`admin_socket`]. `None`: there is none.
    pub admin: Option<PathBuf>,
    /// Names by which the API may be addressed, beside its address and loopback.
    pub allow_hosts: Vec<String>,
    /// How to take part in the network. `None`: this node is alone.
    pub p2p: Option<P2p>,
    /// When to mine.
    pub mine: MineMode,
    /// Threads that mine, at least 1.
    pub mine_threads: usize,
    /// How many bytes the block log may have, see [`prune_bytes`]. `None`: all blocks are kept.
    pub prune_bytes: Option<u64>,
    /// Make the index anew from the block log, even if it looks fine.
    pub reindex: bool,
}

/// How to take part in the network between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct P2p {
    /// Where to listen for peers; none: we only dial.
    pub listen: Vec<Multiaddr>,
    /// Peers to stay connected to.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for peers on the local network.
    pub mdns: bool,
    /// The most peers that may dial us.
    pub max_inbound: usize,
}

impl P2p {
    /// With those peers whom an earlier run has remembered, and nobody else.
    pub(super) fn from_memory() -> Self {
        P2p { listen: Vec::new(), peers: Vec::new(), mdns: false, max_inbound: 0 }
    }
}

/// The most peers that may dial a node, unless it is told.
pub const DEFAULT_INBOUND: usize = INBOUND;
/// The least size of the block log that can be asked for, in MiB: as in Bitcoin Core.
pub const MIN_PRUNE_MIB: u32 = 550;
/// What is said to whoever asks for another size.
pub const PRUNE: &str = "is neither 0 (keep all blocks) nor a size in MiB of at least 550";

/// The size of the block log in bytes that a number of MiB stands for; 0 stands for none.
///
/// # Errors
/// What is wrong with the number.
pub fn prune_bytes(mib: u32) -> Result<Option<u64>, &'static str> {
    match mib {
        0 => Ok(None),
        MIN_PRUNE_MIB.. => Ok(Some(u64::from(mib) << 20)),
        _ => Err(PRUNE),
    }
}

/// Where the admin socket of a node with this data directory is, unless told otherwise.
pub fn admin_socket(data_dir: &Path) -> PathBuf {
    data_dir.join(ADMIN_SOCKET)
}

/// The port for peers.
pub const P2P_PORT: u16 = 7379;

/// What is said to whoever writes an address that is none.
pub const MULTIADDR: &str = "is not a multiaddr, as in /ip4/192.0.2.1/tcp/7379, /dns/node.example/tcp/7379 or /ip4/192.0.2.1/udp/7379/quic-v1/p2p/ID";

/// Where a network's chain is kept unless told otherwise: `namechain/NETWORK` in the user's data
/// directory, which is `$XDG_DATA_HOME` or `~/.local/share` (XDG Base Directory Specification).
/// `None` if there is neither.
pub fn default_data_dir(network: Network) -> Option<PathBuf> {
    let from_env =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        from_env("XDG_DATA_HOME").or_else(|| Some(from_env("HOME")?.join(".local/share")))?;
    Some(base.join("namechain").join(network.as_str()))
}
