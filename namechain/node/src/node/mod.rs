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
mod choice;
mod clock;
mod command;
mod config;
mod error;
mod handle;
mod heartbeat;
mod local_ops;
mod log;
mod mining;
mod node_state;
mod open;
mod panic_guard;
mod parallel_verifier;
mod progress;
mod progress_line;
mod serve;
mod signal;
mod sync_driver;
mod templates;
mod verify_pool;

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use metrics::{describe_counter, describe_gauge, describe_histogram};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

pub use crate::net::{Ban, BanError, BanTarget, Multiaddr, UnknownBanTarget};
pub use choice::{Choice, choose};
pub use config::{
    DEFAULT_INBOUND, MULTIADDR, MineMode, NodeConfig, P2P_PORT, P2p, PRUNE, UnknownMineMode,
    admin_socket, default_data_dir, prune_bytes,
};
pub use error::NodeError;
pub use handle::{FatalError, NodeHandle};
pub use log::{init_log, log_filter};
pub use parallel_verifier::ParallelVerifier;
pub use progress::Progress;
pub use progress_line::show_progress;
pub use signal::stop_signal;

use panic_guard::PanicGuard;

use crate::{
    api::{self, AdminSocket, Extension, Listeners},
    net::{self, NetConfig, NetHandle, limits::Limits},
    store,
};
use namechain_core::{
    chain::{Chain, Storage},
    mempool::Mempool,
    sync::{Sync, SyncConfig, serve::Identity},
    types::Network,
};

/// What we call our software before peers.
const AGENT: &str = concat!("namechain/", env!("CARGO_PKG_VERSION"));
/// How often the chain thread looks whether something is due.
const TICK: Duration = Duration::from_millis(100);

/// A running node.
pub struct Node {
    handle: NodeHandle,
    api_addr: Option<SocketAddr>,
    admin_path: Option<PathBuf>,
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
        if !config.network.params().launched {
            return Err(NodeError::NotLaunched(config.network));
        }
        let has_api = config.api.is_some() || config.admin.is_some();
        if has_api && api::install_metrics() {
            describe_metrics();
        }
        let listener = match config.api {
            None => None,
            Some(addr) => {
                Some(TcpListener::bind(addr).await.map_err(|error| NodeError::Api(addr, error))?)
            }
        };
        let api_addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (network, data_dir) = (config.network, config.data_dir.clone());
        let options = store::Options {
            reindex: config.reindex,
            prune_bytes: config.prune_bytes,
            ..store::Options::default()
        };
        let opened = tokio::task::spawn_blocking(move || {
            // What is in it is nobody else's. An error is the store's to say.
            let _ = api::make_private_dir(&data_dir);
            open::open(network, &data_dir, options)
        });
        let opened = opened.await;
        let (store, chain, mempool) = match opened {
            Ok(opened) => opened?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        // Now the data directory is locked: a socket in it is this node's.
        let admin = match &config.admin {
            None => None,
            Some(path) => Some(AdminSocket::bind(path).await?),
        };
        let admin_path = admin.as_ref().map(|socket| socket.path().to_owned());
        let parts = connect(&config, store, chain, mempool).await?;
        let (net, ticking) = (parts.driver.net(), parts.commands.clone());
        let (handle, threads) = chain_thread::start(&config, parts)?;
        let guard = PanicGuard::new("the node's clock", handle.panics());
        let ticker = tokio::spawn(tick(ticking, guard));
        let (stop_api, stopped) = watch::channel(false);
        let listeners = Listeners { http: listener, admin };
        let api = has_api.then(|| {
            let (mut stopped, handle) = (stopped, Arc::new(handle.clone()));
            let shutdown = async move {
                // An error means that the node is gone: a reason to stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            tokio::spawn(api::serve(listeners, handle, extension, config.allow_hosts, shutdown))
        });
        Ok(Node { handle, api_addr, admin_path, threads, net, ticker, api, stop_api })
    }

    /// What others hold of the node.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Where the API listens, with the port that it got.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// Where the admin socket is.
    pub fn admin_path(&self) -> Option<&Path> {
        self.admin_path.as_deref()
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
        "Checks done on the checking threads, by what was checked."
    );
    describe_histogram!(
        verify_pool::CHECK_SECONDS,
        "How long a check of headers, of a block or of an operation took, in seconds."
    );
    describe_gauge!(verify_pool::CHECK_QUEUE, "Checks that wait for a thread.");
    describe_histogram!(
        chain_thread::CONNECT_SECONDS,
        "How long it took to connect a block, its checks not counted, in seconds."
    );
    describe_histogram!(
        chain_thread::ARRIVAL_SECONDS,
        "How old a new tip was when it was connected, by its own time, in seconds."
    );
    describe_counter!(
        verify_pool::REJECTED,
        "What was refused for breaking a rule, by what it was and the rule."
    );
    describe_counter!(
        mining::STALE_BLOCKS,
        "Blocks mined here or through a template that did not become the tip."
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
        // The standard library keys its hash maps from the operating system.
        secret: RandomState::new().hash_one(0u8),
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
                seeds: seeds(network),
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

/// The network's seeds.
fn seeds(network: Network) -> Vec<Multiaddr> {
    network.params().seeds.iter().filter_map(|seed| seed.parse().ok()).collect()
}

/// Tells the chain thread now and then that time passes. One that has no room for that has enough
/// to do.
async fn tick(commands: mpsc::Sender<command::Command>, _guard: PanicGuard) {
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
