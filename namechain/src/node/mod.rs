//! The node: one thread that owns the chain, one that mines, and what others hold of them.
//!
//! ```text
//! api, resolver -> NodeHandle -> commands (bounded) -> chain thread -> store
//!                      ^                                  |    ^
//!                      `------ published snapshots <------'    `--- miner thread: blocks found
//! ```

mod clock;
mod handle;
mod mining;
mod open;
mod signal;
mod thread;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::warn;

pub use handle::{Loss, NodeHandle};
pub use signal::stop_signal;

use crate::{api, chain::StorageError, types::Network};

/// When the node searches for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MineMode {
    /// Never.
    Off,
    /// While operations wait, or somebody who has committed or offered a name waits for a height that is near.
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

/// How to run a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The network.
    pub network: Network,
    /// Where the chain is kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Where the HTTP API listens; port 0 means any free port. `None`: no API.
    pub api: Option<SocketAddr>,
    /// When to mine.
    pub mine: MineMode,
    /// Threads that mine, at least 1.
    pub mine_threads: usize,
    /// Make the index anew from the block log, even if it looks fine.
    pub reindex: bool,
}

/// Where a network's chain is kept unless told otherwise: `namechain/NETWORK` in the user's data directory, which is
/// `$XDG_DATA_HOME` or `~/.local/share` (XDG Base Directory Specification). `None` if there is neither.
pub fn default_data_dir(network: Network) -> Option<PathBuf> {
    let from_env = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from_env("XDG_DATA_HOME").or_else(|| Some(from_env("HOME")?.join(".local/share")))?;
    Some(base.join("namechain").join(network.as_str()))
}

/// Why a node did not start.
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
    /// A thread.
    #[error("a thread can't be started: {0}")]
    Thread(io::Error),
}

/// A running node.
pub struct Node {
    handle: NodeHandle,
    api_addr: Option<SocketAddr>,
    threads: thread::Threads,
    api: Option<JoinHandle<io::Result<()>>>,
    stop_api: watch::Sender<bool>,
}

impl Node {
    /// Opens the store and starts the threads and the API. Must be called in a tokio runtime. Blocks while the store is
    /// read; if the index has to be made anew, it logs how far it is.
    pub async fn start(config: NodeConfig) -> Result<Node, NodeError> {
        let listener = match config.api {
            None => None,
            Some(addr) => Some(TcpListener::bind(addr).await.map_err(|error| NodeError::Api(addr, error))?),
        };
        let api_addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (network, data_dir, reindex) = (config.network, config.data_dir.clone(), config.reindex);
        let opened = tokio::task::spawn_blocking(move || open::open(network, &data_dir, reindex)).await;
        let (store, chain, mempool) = match opened {
            Ok(opened) => opened?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let (handle, threads) = thread::start(&config, store, chain, mempool)?;
        let (stop_api, stopped) = watch::channel(false);
        let api = listener.map(|listener| {
            let mut stopped = stopped;
            let shutdown = async move {
                // An error means that the node is gone: a reason to stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            tokio::spawn(api::serve(listener, Arc::new(handle.clone()), shutdown))
        });
        Ok(Node { handle, api_addr, threads, api, stop_api })
    }

    /// What others hold of the node.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Where the API listens, with the port that it got.
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// Stops the API, the miner and the chain thread. The store is closed when the last handle and snapshot are gone.
    pub async fn stop(self) {
        self.stop_api.send_replace(true);
        if let Some(api) = self.api {
            match api.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!("the API ended with an error: {error}"),
                Err(error) => warn!("the API did not end well: {error}"),
            }
        }
        let threads = self.threads;
        if tokio::task::spawn_blocking(move || threads.stop()).await.is_err() {
            warn!("the node's threads did not end well");
        }
    }
}

#[cfg(test)]
mod tests;
