//! The state of a name on the chain: from the node in this process, or from another over its API.
//!
//! "Nobody has registered it" is a result. Everything that keeps us from that result is an error,
//! and an error is never taken for it.

mod embedded;
pub mod mount;
mod remote;
pub(crate) mod soa;
pub mod validity;
pub mod zone;
mod zone_cache;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use namechain_core::{
    chain::ReadError,
    types::{Name, Network},
};
use thiserror::Error;

pub use embedded::{Embedded, Served};
pub use remote::{Remote, RemoteError};
pub use zone_cache::ZoneCache;

use crate::chain::{validity::Dependency, zone::Zone};

/// The state of a name.
#[derive(Clone, Debug)]
pub enum NameState {
    /// Nobody has registered it.
    Unregistered,
    /// It is registered and resolves.
    Active(Arc<Zone>),
    /// It was registered and does not resolve. The zone is its last one.
    Lapsed(Arc<Zone>, Lapse),
}

/// Why a registered name does not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The lease has ended; for now only the owner can renew it.
    Grace {
        /// The first height after the lease.
        ended: u32,
        /// The first height at which anyone can register it.
        released: u32,
    },
    /// It was revoked.
    Revoked {
        /// The first height at which anyone can register it.
        released: u32,
    },
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lapse::Grace { ended, released } => {
                write!(
                    f,
                    "its lease ended at height {ended}; only its owner can renew it before height {released}"
                )
            }
            Lapse::Revoked { released } => {
                write!(f, "it was revoked; it can't be registered before height {released}")
            }
        }
    }
}

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

/// A source of the chain's state.
#[async_trait]
pub trait ChainSource: Send + Sync + 'static {
    /// The state of `name` at the served height.
    async fn lookup(&self, name: &Name) -> Result<NameState, ChainError>;

    /// As [`ChainSource::lookup`], with what the answer depends on, if that is known.
    async fn lookup_with_dependency(
        &self,
        name: &Name,
    ) -> Result<(NameState, Option<Dependency>), ChainError> {
        Ok((self.lookup(name).await?, None))
    }

    /// The epoch of the state served now, at least 1; it changes with every state. `None` if no
    /// answer may be given at the moment. Cheap.
    fn epoch(&self) -> Option<u32> {
        None
    }

    /// Whether a dependency holds in the state served now. `false` if that can't be told without
    /// waiting.
    fn still_holds(&self, dependency: &Dependency) -> bool {
        let _ = dependency;
        false
    }

    /// Whether the chain was validated in this process or on this machine. Another node's tip is
    /// only its claim.
    fn is_trusted(&self) -> bool {
        false
    }

    /// The network, once it is known.
    fn network(&self) -> Option<Network>;
}
