//! The state of a name, as answers are made from it.

use std::{fmt, sync::Arc};

use super::{date::format_utc, zone::Zone};

/// The state of a name.
#[derive(Clone, Debug)]
pub enum NameState {
    /// Nobody has registered it.
    Unregistered,
    /// It is registered and resolves.
    Active(Arc<Zone>),
    /// It is registered and does not resolve. The zone is its last one.
    Inactive(Arc<Zone>, Inactive),
    /// It was changed after the fork from a chain with more work that is held back: which of both
    /// states is final is not decided.
    Contested {
        /// The height of the last block that both chains have.
        fork: u32,
    },
}

/// Why a registered name does not resolve. Times are in seconds of Unix time, on the chain's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    /// It was registered a short time ago: an older commitment can still displace it. It resolves
    /// once both the height and the time are reached.
    Settling {
        /// The first height at which it may resolve.
        height: u32,
        /// The first time at which it may resolve.
        time: u64,
    },
    /// The lease has ended; for now only the keys of the name can renew it.
    Grace {
        /// When the lease ended.
        ended: u64,
        /// From when on anyone can register it.
        released: u64,
    },
    /// It was revoked.
    Revoked {
        /// From when on anyone can register it.
        released: u64,
    },
}

impl fmt::Display for Inactive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inactive::Settling { height, time } => write!(
                f,
                "it was registered a short time ago and settles; it resolves from height {height} and {} on",
                format_utc(*time)
            ),
            Inactive::Grace { ended, released } => write!(
                f,
                "its lease ended on {}; only its owner can renew it before {}",
                format_utc(*ended),
                format_utc(*released)
            ),
            Inactive::Revoked { released } => {
                write!(f, "it was revoked; it can't be registered before {}", format_utc(*released))
            }
        }
    }
}
