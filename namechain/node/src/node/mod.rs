//! The node: one thread that owns the chain, those that check and mine, the network, and what
//! others hold of them.
//!
//! ```text
//! api, resolver -> NodeHandle -> commands (bounded) -> chain thread -> store
//!                      ^                                | |  ^  ^  ^
//!                      `------ published state <--------' |  |  |  `-- miner thread: blocks found
//!                                                         |  |  `----- net: what peers do and say
//!                                       jobs, actions <---'  `-------- checking threads: outcomes
//! ```

mod bundles;
mod chain_thread;
mod clock;
mod command;
mod handle;
mod local_ops;
mod mining;
mod node_state;
mod open;
mod parallel_verifier;
mod progress;
mod serve;
mod signal;
mod sync_driver;
mod verify_pool;

use std::{io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use metrics::describe_counter;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

pub use crate::net::{LOG_FILTER, Multiaddr};
pub use handle::{FatalError, NodeHandle};
pub use parallel_verifier::ParallelVerifier;
pub use progress::{LogOutput, Progress, show_progress};
pub use signal::stop_signal;

use crate::{
    api::{self, Extension},
    net::{
        self, NetConfig, NetError, NetHandle,
        limits::{INBOUND, Limits},
    },
};
use namechain_core::{
    chain::{Chain, Storage, StorageError},
    mempool::Mempool,
    sync::{Sync, SyncConfig, serve::Identity},
    types::Network,
};

/// What we call our software before peers.
const AGENT: &str = concat!("namechain/", env!("CARGO_PKG_VERSION"));
/// How often the chain thread looks whether something is due.
const TICK: Duration = Duration::from_millis(100);

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
    /// Names by which the API may be addressed, beside its address and loopback.
    pub allow_hosts: Vec<String>,
    /// How to take part in the network. `None`: this node is alone.
    pub p2p: Option<P2p>,
    /// When to mine.
    pub mine: MineMode,
    /// Threads that mine, at least 1.
    pub mine_threads: usize,
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
    fn from_memory() -> Self {
        P2p { listen: Vec::new(), peers: Vec::new(), mdns: false, max_inbound: 0 }
    }
}

/// The most peers that may dial a node, unless it is told.
pub const DEFAULT_INBOUND: usize = INBOUND;
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

/// SyncReason a node did not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The API's address.
    #[error(
        "the API can't listen on {0}: {1}. Is another node running? Choose another address with --api IP:PORT"
    )]
    Api(SocketAddr, io::Error),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A thread.
    #[error("a thread can't be started: {0}")]
    Thread(io::Error),
}

/// A running node.
pub struct Node {
    handle: NodeHandle,
    api_addr: Option<SocketAddr>,
    threads: chain_thread::Threads,
    net: Option<NetHandle>,
    ticker: JoinHandle<()>,
    api: Option<JoinHandle<io::Result<()>>>,
    stop_api: watch::Sender<bool>,
}

impl Node {
    /// Opens the store and starts the threads, the network and the API. Must be called in a tokio
    /// runtime. Blocks while the store is read; if the index has to be made anew, it logs how far
    /// it is.
    pub async fn start(config: NodeConfig) -> Result<Node, NodeError> {
        Self::start_with(config, Extension::default()).await
    }

    /// As [`Node::start`], for a program that serves routes of its own beside the node's.
    pub async fn start_with(config: NodeConfig, extension: Extension) -> Result<Node, NodeError> {
        if config.api.is_some() && api::install_metrics() {
            describe_metrics();
        }
        let listener = match config.api {
            None => None,
            Some(addr) => {
                Some(TcpListener::bind(addr).await.map_err(|error| NodeError::Api(addr, error))?)
            }
        };
        let api_addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (network, data_dir, reindex) =
            (config.network, config.data_dir.clone(), config.reindex);
        let opened =
            tokio::task::spawn_blocking(move || open::open(network, &data_dir, reindex)).await;
        let (store, chain, mempool) = match opened {
            Ok(opened) => opened?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let parts = connect(&config, store, chain, mempool).await?;
        let (net, ticking) = (parts.driver.net(), parts.commands.clone());
        let (handle, threads) = chain_thread::start(&config, parts)?;
        let ticker = tokio::spawn(tick(ticking));
        let (stop_api, stopped) = watch::channel(false);
        let api = listener.map(|listener| {
            let (mut stopped, handle) = (stopped, Arc::new(handle.clone()));
            let shutdown = async move {
                // An error means that the node is gone: a reason to stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            tokio::spawn(api::serve(listener, handle, extension, config.allow_hosts, shutdown))
        });
        Ok(Node { handle, api_addr, threads, net, ticker, api, stop_api })
    }

    /// What others hold of the node.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Where the API listens, with the port that it got.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// Stops the API, the network, the miner and the chain thread. The store is closed when the
    /// last handle and snapshot are gone.
    pub async fn stop(self) {
        self.stop_api.send_replace(true);
        if let Some(api) = self.api {
            match api.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!("the API ended with an error: {error}"),
                Err(error) => warn!("the API did not end well: {error}"),
            }
        }
        if let Some(net) = &self.net {
            net.stop().await;
        }
        self.ticker.abort();
        let threads = self.threads;
        if tokio::task::spawn_blocking(move || threads.stop()).await.is_err() {
            warn!("the node's threads did not end well");
        }
    }
}

/// What the metrics of this room are.
fn describe_metrics() {
    describe_counter!(
        verify_pool::CHECKS,
        "VerifyPool done on the checking threads, by what was checked."
    );
    describe_counter!(
        verify_pool::REJECTED,
        "What was refused for breaking a rule, by what it was and the rule."
    );
    describe_counter!(
        chain_thread::REORGANISATIONS,
        "Reorganisations, by how many blocks they have undone."
    );
}

/// Puts together what the chain thread works with; starts the network, if there is to be one.
async fn connect(
    config: &NodeConfig,
    storage: Arc<dyn Storage>,
    chain: Chain,
    mempool: Mempool,
) -> Result<chain_thread::Parts, NodeError> {
    let (network, data_dir) = (config.network, &config.data_dir);
    let knows_peers = net::knows_peers(data_dir);
    // A node that is alone unless it is told goes on with those whom it was told of before.
    let p2p = config.p2p.clone().or_else(|| knows_peers.then(P2p::from_memory));
    let (commands, inbox) = mpsc::channel(command::COMMANDS);
    let knows_nobody = |p2p: &P2p| p2p.peers.is_empty() && !knows_peers;
    let alone = p2p.as_ref().is_none_or(knows_nobody);
    let sync = Sync::new(SyncConfig {
        network,
        agent: AGENT.into(),
        // Of a public network a node without peers knows nothing.
        alone_is_synced: network == Network::Dev && alone,
        ever_synced: sync_driver::ever_synced(data_dir),
    });
    let sync_status = sync.status(&chain);
    let was_synced = sync_status.synced;
    let (published, watching) =
        watch::channel(Arc::new(node_state::NodeState::of(&chain, &mempool, sync_status)));
    let net = match p2p {
        None => None,
        Some(p2p) => {
            let server = serve::Server {
                identity: Identity::new(network, AGENT),
                storage: storage.clone(),
                waiting: mempool.waiting(),
                published: watching,
            };
            let net_config = NetConfig {
                network,
                data_dir: data_dir.clone(),
                listen: p2p.listen,
                peers: p2p.peers,
                mdns: p2p.mdns,
                limits: Limits { inbound: p2p.max_inbound, ..Limits::default() },
            };
            Some(net::start(net_config, commands.clone(), Arc::new(server)).await?)
        }
    };
    let checks = verify_pool::VerifyPool::start(network, &commands).map_err(NodeError::Thread)?;
    let driver = sync_driver::SyncDriver::new(sync, net, checks, data_dir, (was_synced, alone));
    Ok(chain_thread::Parts { storage, chain, mempool, driver, published, commands, inbox })
}

/// Tells the chain thread now and then that time passes. One that has no room for that has enough
/// to do.
async fn tick(commands: mpsc::Sender<command::Command>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Err(mpsc::error::TrySendError::Closed(_)) = commands.try_send(command::Command::Tick)
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
