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
mod bandwidth;
mod bans;
mod behaviour;
mod clock;
mod codec;
mod connection_limits;
mod dial;
mod discovery;
mod files;
mod gossip;
mod kad;
pub mod limits;
mod metrics;
mod peers;
mod random;
mod requests;
mod service;
mod start;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use libp2p::Multiaddr;
pub use start::start;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use bandwidth::Bytes;
use limits::Limits;
use namechain_core::{
    sync::{
        Action, Peer,
        message::{Hello, Request, Response},
    },
    types::Network,
};
use service::Command;

/// The address book's file in the data directory.
const ADDRMAN_FILE: &str = "peers";

/// What to add to a filter of the log (the syntax of tracing's `EnvFilter`): the engine's parts
/// warn of what any peer can bring about, as often as it likes, so only their errors are let
/// through. What matters of it, this room says.
pub const LOG_FILTER: &str = "libp2p=error,libp2p_core=error,libp2p_dns=error,libp2p_gossipsub=error,libp2p_identify=error,\
    libp2p_kad=error,libp2p_mdns=error,libp2p_noise=error,libp2p_ping=error,libp2p_quic=error,libp2p_request_response=error,\
    libp2p_swarm=error,libp2p_tcp=error,libp2p_tls=error,libp2p_yamux=error,multistream_select=error,netlink_proto=error,\
    netlink_packet_route=error,yamux=error,quinn=error,quinn_proto=error,hickory_proto=error,hickory_resolver=error,hickory_net=error";

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
    /// Whether to look for peers on the local network.
    pub mdns: bool,
    /// The bounds.
    pub limits: Limits,
}

impl NetConfig {
    /// Listens nowhere, knows nobody, looks around on the local network.
    pub fn new(network: Network, data_dir: PathBuf) -> Self {
        NetConfig {
            network,
            data_dir,
            listen: Vec::new(),
            peers: Vec::new(),
            mdns: true,
            limits: Limits::default(),
        }
    }
}

/// SyncReason the network did not start.
#[derive(Debug, Error)]
pub enum NetError {
    /// The key or the address book.
    #[error("{what} {path}: {source}", path = path.display())]
    File {
        /// What was done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// An address to listen on.
    #[error("can't listen for peers on {0}: {1}. Is another node running? Choose another address")]
    Listen(Multiaddr, String),
    /// An address that is of no use.
    #[error("{0} is not the address of a peer: {1}")]
    Address(Multiaddr, &'static str),
    /// Part of the engine.
    #[error("the network can't be set up: {0}")]
    Setup(String),
}

/// Who answers requests: read-only, from many threads at once.
pub trait Serve: Send + Sync + 'static {
    /// Answers a request; never called with [`Request::Hello`], which [`Serve::hello`] answers.
    fn serve(&self, request: Request) -> Response;
    /// What we say of ourselves. Must not wait for anything.
    fn hello(&self) -> Hello;
}

/// A connected peer, as the network's shell sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// The number under which [`namechain_core::sync`] knows it.
    pub peer: Peer,
    /// Its identity: the hash of its public key, in base58.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Where it is, as an IP address.
    pub ip: Option<IpAddr>,
    /// Whether we dialled it.
    pub outbound: bool,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// GossipSub's score of it; below zero it is at a disadvantage.
    pub gossip_score: f64,
}

/// How much went over the wire since the start, and with how many peers we are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received, within streams.
    pub bytes_in: u64,
    /// Bytes sent, within streams.
    pub bytes_out: u64,
    /// Peers that dialled us.
    pub inbound: usize,
    /// Peers that we dialled.
    pub outbound: usize,
}

/// What the task shows.
#[derive(Debug, Default)]
struct Shared {
    bytes: Arc<Bytes>,
    inbound: AtomicUsize,
    outbound: AtomicUsize,
    peers: RwLock<Arc<Vec<PeerInfo>>>,
    addresses: RwLock<Vec<Multiaddr>>,
}

impl Shared {
    fn traffic(&self) -> Traffic {
        Traffic {
            bytes_in: self.bytes.received(),
            bytes_out: self.bytes.sent(),
            inbound: self.inbound.load(Ordering::Relaxed),
            outbound: self.outbound.load(Ordering::Relaxed),
        }
    }

    fn set_peers(&self, peers: Vec<PeerInfo>, inbound: usize, outbound: usize) {
        self.inbound.store(inbound, Ordering::Relaxed);
        self.outbound.store(outbound, Ordering::Relaxed);
        *self.peers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(peers);
    }

    fn set_addresses(&self, addresses: Vec<Multiaddr>) {
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// What others hold of the network. It runs until [`NetHandle::stop`], or until the last handle is
/// gone.
#[derive(Clone, Debug)]
pub struct NetHandle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    id: Arc<str>,
}

/// Whether the network carries an action out.
fn is_ours(action: &Action) -> bool {
    match action {
        Action::SendRequest { .. }
        | Action::ReportAcceptance { .. }
        | Action::BroadcastBlock(_)
        | Action::BroadcastOperation(_)
        | Action::Disconnect { .. }
        | Action::Ban { .. } => true,
        Action::RunJob { .. }
        | Action::ConnectBlock { .. }
        | Action::SubmitOperation(_)
        | Action::ParkChain { .. } => false,
    }
}

impl NetHandle {
    /// Carries an action out, and hands back one that is not the network's ([`Action::RunJob`],
    /// `Connect`, `Submit`, `ParkChain`). Does nothing once the network has stopped. Waits for room
    /// in the queue: for threads.
    ///
    /// # Panics
    /// In an asynchronous task, which uses [`NetHandle::post`].
    pub fn send(&self, action: Action) -> Option<Action> {
        if !is_ours(&action) {
            return Some(action);
        }
        // An error: the network has stopped.
        let _ = self.commands.blocking_send(Command::Act(action));
        None
    }

    /// The same, for tasks.
    pub async fn post(&self, action: Action) -> Option<Action> {
        if !is_ours(&action) {
            return Some(action);
        }
        let _ = self.commands.send(Command::Act(action)).await;
        None
    }

    /// Our own identity, in base58.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where we listen, with the ports that we got and our identity: what others dial.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.shared.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is connected, at most a second old, by number.
    pub fn peers(&self) -> Arc<Vec<PeerInfo>> {
        self.shared.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What went over the wire.
    pub fn traffic(&self) -> Traffic {
        self.shared.traffic()
    }

    /// Says shutdown, keeps the address book, and ends the network. Returns when it has ended.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            // An error is what it ends with.
            let _ = ended.await;
        }
    }
}

/// Whether an earlier run in this data directory has left somebody to dial.
pub fn knows_peers(data_dir: &Path) -> bool {
    let addrman = files::read(&data_dir.join(ADDRMAN_FILE)).ok().flatten();
    addrman
        .and_then(|bytes| addrman::AddrMan::from_bytes(&bytes).ok())
        .is_some_and(|addrman| addrman.len() != (0, 0))
}

#[cfg(test)]
mod tests;
