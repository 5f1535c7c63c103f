//! What the chain says of a name: from the node in this process, or from another one over its API.
//!
//! "Nobody has registered it" is knowledge. Whatever stands between us and that knowledge is an
//! error, and an error is never taken for it.

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

use crate::chain::{validity::Ground, zone::Zone};

/// How a name stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nobody has it, and the chain knows that.
    Unregistered,
    /// It resolves.
    Active(Arc<Zone>),
    /// Somebody had it and it does not resolve. The zone is the one that it had.
    Lapsed(Arc<Zone>, Lapse),
}

/// Why a registered name does not resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// Its lease is over, and only its keys can renew it.
    Grace {
        /// The first height at which the lease was over.
        ended: u32,
        /// The first height at which anybody can register it.
        released: u32,
    },
    /// It was revoked.
    Revoked {
        /// The first height at which anybody can register it.
        released: u32,
    },
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lapse::Grace { ended, released } => {
                write!(
                    f,
                    "its lease ended at height {ended}; until {released} only its keys can renew it"
                )
            }
            Lapse::Revoked { released } => {
                write!(f, "it was revoked; nobody can have it before height {released}")
            }
        }
    }
}

/// Why the chain can't say how a name stands.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The node does not believe that it is at the tip.
    #[error("the node has not caught up with the chain: it is at height {height}")]
    NotSynced {
        /// The height it has reached.
        height: u32,
    },
    /// The state can't be read.
    #[error("the chain's state can't be read: {0}")]
    Read(#[from] ReadError),
    /// The node's answer can't be had, or can't be believed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Whatever knows the state of the chain.
#[async_trait]
pub trait ChainSource: Send + Sync + 'static {
    /// How `name` stands at the height that names are served from.
    async fn lookup(&self, name: &Name) -> Result<Standing, ChainError>;

    /// As [`ChainSource::lookup`], with what the answer rests on, if that can be said.
    async fn lookup_with_ground(
        &self,
        name: &Name,
    ) -> Result<(Standing, Option<Ground>), ChainError> {
        Ok((self.lookup(name).await?, None))
    }

    /// The number of the state that names are served from now, at least 1; another one for every
    /// other state. `None` if nothing may be said at the moment. Costs next to nothing.
    fn epoch(&self) -> Option<u32> {
        None
    }

    /// Whether the state that names are served from bears this out. `false` if that can't be said
    /// at once.
    fn bears_out(&self, ground: &Ground) -> bool {
        let _ = ground;
        false
    }

    /// Whether what it says was validated where nobody else can have changed it: by a node in this
    /// process, or by one on this machine. Of another node the tip is only its word.
    fn is_trusted(&self) -> bool {
        false
    }

    /// The network, once it is known.
    fn network(&self) -> Option<Network>;
}
