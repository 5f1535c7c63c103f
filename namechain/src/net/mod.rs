//! The network's shell: who is connected, what goes over the wire, and what it may cost. What to ask for and what to
//! believe is decided by [`crate::sync`]; this room carries its actions out and brings it events. The only room that
//! names libp2p.
//!
//! ```text
//! chain thread -- Action --> NetHandle --(bounded)--> the swarm's task <--> peers
//!      ^                                                |    |
//!      `------- Event (bounded: the task waits) --------'    `-- Serve: answers, on a bounded pool
//! ```

pub mod limits;

use std::{io, net::IpAddr, path::PathBuf, sync::Arc};

pub use libp2p::Multiaddr;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::{
    sync::{
        Action, Event, Peer,
        message::{Hello, Request, Response},
    },
    types::Network,
};

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
}

/// Why the network did not start.
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
    #[error(
        "can't listen for peers on {0}: {1}. Is another node running? Choose another address with --listen"
    )]
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
    /// The number under which [`crate::sync`] knows it.
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

/// How much went over the wire since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Peers that dialled us.
    pub inbound: usize,
    /// Peers that we dialled.
    pub outbound: usize,
}

/// What others hold of the network. It runs until [`NetHandle::stop`] or until the last handle is gone.
#[derive(Clone, Debug)]
pub struct NetHandle {
    actions: mpsc::Sender<Action>,
}

impl NetHandle {
    /// Carries an action out, and hands back one that is not the network's ([`Action::Check`], `Connect`, `Submit`,
    /// `HoldBack`). Waits for room in the queue: for threads, not for tasks. Does nothing once the network has stopped.
    pub fn send(&self, _action: Action) -> Option<Action> {
        unimplemented!()
    }

    /// The same for tasks.
    pub async fn post(&self, _action: Action) -> Option<Action> {
        unimplemented!()
    }

    /// Our own identity, in base58.
    pub fn id(&self) -> &str {
        unimplemented!()
    }

    /// Where we listen, with the ports that we got.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        unimplemented!()
    }

    /// Who is connected, at most a second old.
    pub fn peers(&self) -> Arc<Vec<PeerInfo>> {
        unimplemented!()
    }

    /// What went over the wire.
    pub fn traffic(&self) -> Traffic {
        unimplemented!()
    }

    /// Says goodbye, keeps the address book and ends the task.
    pub async fn stop(&self) {
        unimplemented!()
    }
}

/// Starts the network. Its events go to `events`, wrapped as whatever that channel carries; while the channel is full,
/// the network waits. Must be called in a tokio runtime. Returns once it listens.
pub async fn start<C>(
    config: NetConfig,
    events: mpsc::Sender<C>,
    server: Arc<dyn Serve>,
) -> Result<NetHandle, NetError>
where
    C: From<Event> + Send + 'static,
{
    let _ = (config, events, server, &IpAddr::is_loopback);
    unimplemented!()
}
