//! Why a node does not start.

use std::{io, net::SocketAddr};

use thiserror::Error;

use crate::{api::AdminSocketError, net::NetError};
use namechain_core::{chain::StorageError, types::Network};

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The network has no genesis block yet.
    #[error(
        "network {0} has not been launched: there is no chain to follow yet. Use --network test, or --network dev for a private chain (resolver: --dev)"
    )]
    NotLaunched(Network),
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The API's address.
    #[error(
        "the API can't listen on {0}: {1}. Is another node running? Choose another address with --api IP:PORT"
    )]
    Api(SocketAddr, io::Error),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] AdminSocketError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A thread.
    #[error("a thread can't be started: {0}")]
    Thread(io::Error),
}
