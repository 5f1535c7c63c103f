//! How to take part in the network.

use std::path::PathBuf;

use libp2p::Multiaddr;

use super::limits::Limits;
use namechain_core::types::Network;

/// How to take part in the network.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Which network: it is part of every protocol's name.
    pub network: Network,
    /// Where the key (`peer.key`) and the address book (`peers`) are kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Where to listen. TCP and QUIC; port 0 means any free port. None: we only dial.
    pub listen: Vec<Multiaddr>,
    /// Peers to stay connected to, whatever the address book says; with or without `/p2p/ID`.
    pub peers: Vec<Multiaddr>,
    /// Peers to ask for others when nobody is known; with or without `/p2p/ID`.
    pub seeds: Vec<Multiaddr>,
    /// Whether to look for peers in this machine's own subnets.
    pub mdns: bool,
    /// The bounds.
    pub limits: Limits,
}

impl NetConfig {
    /// Listens nowhere, knows nobody, looks for nobody on the local network.
    pub fn new(network: Network, data_dir: PathBuf) -> Self {
        NetConfig {
            network,
            data_dir,
            listen: Vec::new(),
            peers: Vec::new(),
            seeds: Vec::new(),
            mdns: false,
            limits: Limits::default(),
        }
    }
}

/// The address book's file in the data directory.
pub(super) const ADDRMAN_FILE: &str = "peers";
