//! Operations that wait to be recorded.
//!
//! Bounded in operations and bytes; one operation for each name and sequence number, one commit for each commitment;
//! replaced only by one that carries a quarter more work; ordered by work per byte.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::{
    chain::{Chain, StorageError, TipChange},
    codec::Encode,
    consensus::{RuleViolation, state::Failure},
    types::{Hash, Name, Network, Operation},
};

/// The most operations that wait.
pub const MAX_OPERATIONS: usize = 8_192;
/// The most bytes of operations that wait.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most operations on one name that wait.
pub const MAX_PER_NAME: usize = 16;

/// What two operations can't both be about. Sorts by name, then sequence number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Commit(Hash),
    Name(Name, u32),
}

impl Slot {
    fn of(operation: &Operation) -> Slot {
        match operation {
            Operation::Commit { commitment, .. } => Slot::Commit(*commitment),
            Operation::Named(named) => Slot::Name(named.name.clone(), named.sequence),
        }
    }
}

#[derive(Debug)]
struct Pending {
    operation: Operation,
    id: Hash,
    bytes: usize,
}

impl Pending {
    /// Work per byte, for comparing.
    fn rate(&self) -> u64 {
        self.operation.stamp().work / self.bytes as u64
    }
}

/// The operations that wait, each of which the next block could record after those before it on the same name.
#[derive(Debug)]
pub struct Mempool {
    network: Network,
    pending: BTreeMap<Slot, Pending>,
    bytes: usize,
}

/// Why an operation is not taken.
#[derive(Debug, Error)]
pub enum MempoolError {
    /// It breaks a rule.
    #[error(transparent)]
    Rule(#[from] RuleViolation),
    /// Another operation waits in its place.
    #[error("another operation waits in its place; to replace it takes {0} expected hashes of work")]
    Occupied(u64),
    /// Too many operations on the name wait.
    #[error("{MAX_PER_NAME} operations on the name wait already")]
    NameFull,
    /// There is no room for an operation of so little work.
    #[error("the mempool is full; to get in takes more than {0} expected hashes a byte")]
    Full(u64),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Failure<StorageError>> for MempoolError {
    fn from(failure: Failure<StorageError>) -> Self {
        match failure {
            Failure::Rule(violation) => MempoolError::Rule(violation),
            Failure::State(error) => MempoolError::Storage(error),
        }
    }
}

impl Mempool {
    /// An empty mempool.
    pub fn new(network: Network) -> Self {
        Mempool { network, pending: BTreeMap::new(), bytes: 0 }
    }

    /// How many operations wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The ids of the operations that wait.
    pub fn ids(&self) -> BTreeSet<Hash> {
        self.pending.values().map(|pending| pending.id).collect()
    }

    /// Whether an operation on `name` waits.
    pub fn has_name(&self, name: &Name) -> bool {
        self.on_name(name).next().is_some()
    }

    /// Whether a commit of `commitment` waits.
    pub fn has_commitment(&self, commitment: &Hash) -> bool {
        self.pending.contains_key(&Slot::Commit(*commitment))
    }

    fn on_name<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Pending> {
        self.pending
            .range(Slot::Name(name.clone(), 0)..=Slot::Name(name.clone(), u32::MAX))
            .map(|(_, pending)| pending)
    }

    /// Takes an operation whose signature and work have been checked. Returns its id; one that waits already is fine.
    pub fn insert(&mut self, chain: &Chain, operation: Operation) -> Result<Hash, MempoolError> {
        let id = operation.id(self.network);
        let slot = Slot::of(&operation);
        if let Some(there) = self.pending.get(&slot) {
            let needed = there.operation.stamp().work.saturating_add(there.operation.stamp().work / 4);
            if there.id == id {
                return Ok(id);
            }
            if operation.stamp().work < needed {
                return Err(MempoolError::Occupied(needed));
            }
        }
        let before: Vec<&Operation> = match &slot {
            Slot::Commit(_) => Vec::new(),
            Slot::Name(name, sequence) => {
                let earlier = |pending: &&Pending| match &pending.operation {
                    Operation::Named(named) => named.sequence < *sequence,
                    Operation::Commit { .. } => false,
                };
                self.on_name(name).filter(earlier).map(|pending| &pending.operation).collect()
            }
        };
        if before.len() >= MAX_PER_NAME {
            return Err(MempoolError::NameFull);
        }
        chain.try_operation(&before, &operation)?;
        let pending = Pending { bytes: operation.to_bytes().len(), operation, id };
        self.make_room(&slot, &pending)?;
        self.bytes += pending.bytes;
        if let Some(replaced) = self.pending.insert(slot, pending) {
            self.bytes -= replaced.bytes;
        }
        Ok(id)
    }

    /// Drops what carries the least work a byte until `new` fits, unless that is `new` itself.
    fn make_room(&mut self, slot: &Slot, new: &Pending) -> Result<(), MempoolError> {
        while self.pending.len() >= MAX_OPERATIONS || self.bytes + new.bytes > MAX_BYTES {
            let others = self.pending.iter().filter(|(other, _)| *other != slot);
            let Some((poorest, rate)) =
                others.map(|(slot, pending)| (slot, pending.rate())).min_by_key(|(_, rate)| *rate)
            else {
                return Ok(());
            };
            if rate >= new.rate() {
                return Err(MempoolError::Full(rate));
            }
            let poorest = poorest.clone();
            self.remove(&poorest);
        }
        Ok(())
    }

    fn remove(&mut self, slot: &Slot) {
        if let Some(removed) = self.pending.remove(slot) {
            self.bytes -= removed.bytes;
        }
    }

    /// Follows the chain: what was recorded goes, what was undone waits again, and what can't be recorded any more
    /// goes. Returns the ids of those that went without being recorded.
    pub fn follow(&mut self, chain: &Chain, change: &TipChange) -> Result<Vec<Hash>, StorageError> {
        for operation in change.connected.iter().flat_map(|block| &block.operations) {
            let id = operation.id(self.network);
            let slot = Slot::of(operation);
            if self.pending.get(&slot).is_some_and(|pending| pending.id == id) {
                self.remove(&slot);
            }
        }
        let mut all: Vec<Operation> =
            std::mem::take(&mut self.pending).into_values().map(|p| p.operation).collect();
        self.bytes = 0;
        all.extend(change.undone.iter().flat_map(|block| block.operations.iter().cloned()));
        // By slot, so that the operations on a name come in the order of their sequence numbers.
        all.sort_by_cached_key(Slot::of);
        let mut dropped = Vec::new();
        for operation in all {
            let id = operation.id(self.network);
            match self.insert(chain, operation) {
                Ok(_) => {}
                Err(MempoolError::Storage(error)) => return Err(error),
                Err(_) => dropped.push(id),
            }
        }
        Ok(dropped)
    }

    /// The operations in the order in which a block should try them: by work per byte, except that those on one name
    /// come by sequence number.
    pub fn by_rate(&self) -> Vec<&Operation> {
        let mut ordered: Vec<(u64, &Slot, &Pending)> = Vec::with_capacity(self.pending.len());
        let mut before: Option<(&Name, u64)> = None;
        for (slot, pending) in &self.pending {
            let mut rate = pending.rate();
            if let Slot::Name(name, _) = slot {
                // No better than what it must follow.
                rate = before.filter(|(other, _)| *other == name).map_or(rate, |(_, other)| rate.min(other));
                before = Some((name, rate));
            }
            ordered.push((rate, slot, pending));
        }
        ordered.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        ordered.into_iter().map(|(_, _, pending)| &pending.operation).collect()
    }
}
