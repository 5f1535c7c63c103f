//! Why the network did not start.

use std::{io, path::PathBuf};

use libp2p::Multiaddr;
use thiserror::Error;

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
    #[error("can't listen for peers on {0}: {1}. Is another node running? Choose another address")]
    Listen(Multiaddr, String),
    /// An address that is of no use.
    #[error("{0} is not the address of a peer: {1}")]
    Address(Multiaddr, &'static str),
    /// Part of the engine.
    #[error("the network can't be set up: {0}")]
    Setup(String),
}
