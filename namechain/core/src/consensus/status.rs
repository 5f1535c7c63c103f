//! What the block time makes of an entry: when it ends, and the status of a name.

use crate::{
    params::{COMMIT_LIFETIME_S, Params},
    types::{BlockTime, Entry, NameEntry},
};

/// The kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A name.
    Name,
    /// A Commit.
    Commitment,
}

impl EntryKind {
    /// The kind of `entry`.
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Name(_) => EntryKind::Name,
            Entry::Commitment(_) => EntryKind::Commitment,
        }
    }
}

/// The time at which an entry ends, in seconds of Unix time. A name is released at its end; a
/// Commit lapses after it.
pub fn end(params: &Params, entry: &Entry) -> u64 {
    match entry {
        Entry::Name(entry) => entry.expires.saturating_add(params.grace),
        Entry::Commitment(entry) => entry.time.saturating_add(COMMIT_LIFETIME_S),
    }
}

/// The status of a registered name in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// It was registered a short time ago: an older Commit can still displace it. It does not
    /// resolve.
    Settling,
    /// It resolves, and its owner can change it.
    Active,
    /// Its lease is over; only its keys can renew it.
    Grace,
    /// It was revoked: only the recovery key can do something with it.
    Revoked,
    /// Lease and grace are over: it can be registered again, as if nobody had ever had it.
    Released,
}

/// The status of the name with this entry in a block at `now`.
pub fn name_status(params: &Params, entry: &NameEntry, now: BlockTime) -> NameStatus {
    let settle = params.settle_delay;
    if now.time >= entry.expires.saturating_add(params.grace) {
        NameStatus::Released
    } else if entry.revoked {
        NameStatus::Revoked
    } else if now.time >= entry.expires {
        NameStatus::Grace
    } else if entry.registered.is_past(settle.blocks, settle.seconds, now) {
        NameStatus::Active
    } else {
        NameStatus::Settling
    }
}
