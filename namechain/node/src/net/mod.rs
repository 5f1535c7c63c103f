//! The network's shell: who is connected, what goes over the wire, and what it may cost. What to
//! ask for and what to believe is decided by [`namechain_core::sync`]; this room carries its
//! actions out and brings it events. The only room that names libp2p.
//!
//! ```text
//! chain thread -- Action --> NetHandle --(bounded)--> the swarm's task <--> peers
//!      ^                                                |    |
//!      `------- Event (bounded: the task waits) --------'    `-- Serve: answers, on a bounded pool
//! ```

mod address;
mod addrman;
mod ban_list;
mod bandwidth;
mod bans;
mod behaviour;
mod clock;
mod codec;
mod config;
mod connection_limits;
mod dial;
mod error;
mod eviction;
mod files;
mod gossip;
mod gossip_links;
mod handle;
mod kad;
pub mod limits;
mod local_network;
mod metrics;
mod peers;
mod pending;
mod random;
mod request_table;
mod service;

use std::path::Path;

pub use ban_list::{Ban, BanError, BanTarget, UnknownBanTarget};
pub use config::NetConfig;
pub use error::NetError;
pub use handle::{NetHandle, PeerInfo, Traffic};
pub use libp2p::Multiaddr;
pub use request_table::Serve;
pub use service::start;

use config::ADDRMAN_FILE;

/// Parts of the network engine warn of what any peer can bring about, as often as it likes, so only
/// their errors are let through. What matters of it, this module says.
pub(crate) const ENGINE_LOG_FILTER: &str = "libp2p=error,libp2p_core=error,libp2p_dns=error,libp2p_gossipsub=error,\
    libp2p_identify=error,libp2p_kad=error,libp2p_mdns=error,libp2p_noise=error,libp2p_ping=error,\
    libp2p_quic=error,libp2p_request_response=error,libp2p_swarm=error,libp2p_tcp=error,\
    libp2p_tls=error,libp2p_yamux=error,multistream_select=error,yamux=error,quinn=error,\
    quinn_proto=error,hickory_proto=error,hickory_resolver=error,hickory_net=error";

/// Whether an earlier run in this data directory has left somebody to dial.
pub fn knows_peers(data_dir: &Path) -> bool {
    let addrman = files::read(&data_dir.join(ADDRMAN_FILE)).ok().flatten();
    addrman
        .and_then(|bytes| addrman::AddrMan::from_bytes(&bytes).ok())
        .is_some_and(|addrman| addrman.len() != (0, 0))
}

#[cfg(test)]
mod tests;
