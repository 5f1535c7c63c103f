//! The state of a name, as answers are made from it.

use std::{fmt, sync::Arc};

use super::zone::Zone;

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
