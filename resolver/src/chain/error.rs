//! Why the state of a name can't be read.

use namechain_core::{
    chain::ReadError,
    tree::ProofError,
    types::{Name, Network},
};
use thiserror::Error;

/// Why the state of a name can't be read.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The node is not synced.
    #[error("the node is not synced: it is at height {height}")]
    NotSynced {
        /// The height it has reached.
        height: u32,
    },
    /// The state can't be read.
    #[error("the chain's state can't be read: {0}")]
    Read(#[from] ReadError),
    /// The remote node gave no answer, or an invalid one.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Why a remote node can't be used.
#[derive(Clone, Debug, Error)]
pub enum RemoteError {
    /// The URL can't be used.
    #[error("'{url}' can't be a node's URL: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client can't be made.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// The node can't be reached, or is too slow.
    #[error("the node at {0} can't be reached: {1}")]
    Unreachable(String, String),
    /// The node refused the request.
    #[error("the node at {0} refused: {1}")]
    Refused(String, String),
    /// The node has too much to do (429, 503).
    #[error("the node at {0} is busy: {1}")]
    Busy(String, String),
    /// The answer can't be parsed.
    #[error("the node at {0} sent an invalid answer: {1}")]
    Malformed(String, String),
    /// The node is on another network.
    #[error("the node at {url} is on the network {found}, not {expected}")]
    Network {
        /// The URL.
        url: String,
        /// The network asked for.
        expected: Network,
        /// The node's own.
        found: Network,
    },
    /// The proof does not verify.
    #[error("the node at {0} sent a proof that does not verify: {1}")]
    Proof(String, ProofError),
    /// The entry is not the one that the proof is for.
    #[error("the node at {0} sent an entry of {1} that is not the proven one")]
    Entry(String, Name),
}
