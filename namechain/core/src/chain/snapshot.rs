//! What readers hold: the state as it is at one block, while the chain moves on.

use std::sync::Arc;

use thiserror::Error;

use super::{
    past_tree::PastTree,
    storage::{Storage, StorageError},
};
use crate::{
    codec::Decode,
    consensus::{NameStatus, name_status},
    params::STATES_KEPT,
    tree::Proof,
    types::{BlockTime, CommitmentEntry, Entry, Hash, Header, Name, NameEntry, Network},
};

/// The state after one block: a tree root in memory, and where the values are read. Never locks the
/// chain.
#[derive(Clone)]
pub struct Snapshot {
    /// The network.
    pub network: Network,
    /// The block's id.
    pub id: Hash,
    /// The block's header.
    pub header: Header,
    /// While a heavier chain is held back: the height above which the two differ. What was changed
    /// above it is contested.
    pub contested_above: Option<u32>,
    pub(super) tree: PastTree,
    pub(super) storage: Arc<dyn Storage>,
}

/// Why a snapshot can't say what stands under a name. Never to be taken for "nothing stands there".
#[derive(Debug, Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The value is gone, or is not the one in the tree: the chain reorganised since, or the store
    /// is damaged.
    #[error("the entry under {key} can't be read at height {height}: take a newer snapshot")]
    Gone {
        /// The entry's key.
        key: Hash,
        /// The snapshot's height.
        height: u32,
    },
}

/// How a name stands at a snapshot's height, for whoever resolves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameLookup {
    /// Nobody has registered it, or the last registration has been released.
    Unregistered,
    /// It has an owner and resolves.
    Active(NameEntry),
    /// Its lease is over, and its grace is not: it does not resolve.
    Grace(NameEntry),
    /// It was registered a short time ago, and an older commitment can still displace it: it does
    /// not resolve yet.
    Settling(NameEntry),
    /// It was revoked, and lease and grace are not over: it does not resolve.
    Revoked(NameEntry),
    /// It was changed on our chain after the fork from a heavier one that is held back: it does not
    /// resolve until it is settled which of them stands.
    Contested(NameEntry),
}

impl Snapshot {
    /// The height of the snapshot's block.
    pub fn height(&self) -> u32 {
        self.header.height
    }

    /// The snapshot's block on the chain's clock.
    pub fn now(&self) -> BlockTime {
        BlockTime { height: self.header.height, time: self.header.time }
    }

    /// The state root.
    pub fn state_root(&self) -> Hash {
        self.header.state_root
    }

    /// The hash of the entry under `key`: changes exactly when the entry does. Reads memory only.
    pub fn value_hash(&self, key: &Hash) -> Option<Hash> {
        self.tree.get(key)
    }

    /// Whether the state is the one that the header names. From a state that is more than 31 blocks
    /// old it costs as much as a proof; it is not if the index has rotted.
    pub fn is_sound(&self) -> bool {
        self.tree.root() == self.header.state_root
    }

    /// Proves what stands, or that nothing stands, under `key`. From a state that is more than 31
    /// blocks old it costs a hash or two for each entry that has changed since; if the index has
    /// rotted, the proof of such a state leads to another root than its header's.
    pub fn prove(&self, key: &Hash) -> Proof {
        self.tree.prove(key)
    }

    /// The encoded entry under `key`: the value is checked against the tree.
    pub fn bytes_under(&self, key: &Hash) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(expected) = self.tree.get(key) else { return Ok(None) };
        let matches = |bytes: &Vec<u8>| Entry::value_hash(self.network, bytes) == expected;
        if let Some(bytes) = self.storage.entry(key)?.filter(matches) {
            return Ok(Some(bytes));
        }
        // A later block has changed it: the first change after our block tells what stood there
        // before.
        let gone = ReadError::Gone { key: *key, height: self.height() };
        for height in self.height() + 1..=self.height().saturating_add(STATES_KEPT) {
            if let Some(old) = self.storage.undo(height, key)? {
                return old.filter(matches).map(Some).ok_or(gone);
            }
            if self.storage.active(height)?.is_none() {
                break;
            }
        }
        Err(gone)
    }

    /// The entry of the Commit with this operation id, whether or not it has lapsed.
    pub fn commit(&self, commit_id: &Hash) -> Result<Option<CommitmentEntry>, ReadError> {
        let Some(bytes) = self.bytes_under(&CommitmentEntry::key(self.network, commit_id))? else {
            return Ok(None);
        };
        match Entry::from_bytes(&bytes) {
            Ok(Entry::Commitment(entry)) => Ok(Some(entry)),
            _ => {
                Err(StorageError::Damaged(format!("the entry of commit {commit_id} is not one"))
                    .into())
            }
        }
    }

    /// The name's entry, whatever its status.
    pub fn entry(&self, name: &Name) -> Result<Option<NameEntry>, ReadError> {
        let Some(bytes) = self.bytes_under(&name.key(self.network))? else { return Ok(None) };
        match Entry::from_bytes(&bytes) {
            Ok(Entry::Name(entry)) if entry.name == *name => Ok(Some(entry)),
            _ => Err(StorageError::Damaged(format!("the entry of {name} is not a name's")).into()),
        }
    }

    /// How the name stands at this height.
    pub fn lookup(&self, name: &Name) -> Result<NameLookup, ReadError> {
        Ok(match self.entry(name)? {
            None => NameLookup::Unregistered,
            Some(entry) => self.status(entry),
        })
    }

    /// How a name with this entry stands at this height.
    pub fn status(&self, entry: NameEntry) -> NameLookup {
        match name_status(self.network.params(), &entry, self.now()) {
            NameStatus::Settling => NameLookup::Settling(entry),
            NameStatus::Active
                if self.contested_above.is_some_and(|fork| entry.updated.height > fork) =>
            {
                NameLookup::Contested(entry)
            }
            NameStatus::Active => NameLookup::Active(entry),
            NameStatus::Grace => NameLookup::Grace(entry),
            NameStatus::Revoked => NameLookup::Revoked(entry),
            NameStatus::Released => NameLookup::Unregistered,
        }
    }
}
