//! Operations that wait to be recorded.
//!
//! Bounded in operations and bytes; one operation for each name and sequence number, one commit for
//! each commitment; replaced only by one that carries a quarter more work; ordered by work per
//! byte.

mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Bound,
    sync::Arc,
};

use thiserror::Error;

pub use waiting::Waiting;

use crate::{
    chain::{Chain, StorageError, TipChange},
    codec::Encode,
    consensus::{
        RuleViolation,
        block::check_anchor,
        state::{ApplyError, BlockContext, operation_price},
    },
    types::{Action, Hash, Name, Network, Operation, commitment},
};

/// The most operations that wait.
pub const MAX_OPERATIONS: usize = 8_192;
/// The most bytes of operations that wait.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most operations on one name that wait.
pub const MAX_PER_NAME: usize = 16;
/// How many operations are tried again at each move of the tip though nothing shows that they are
/// affected: leases end and commitments lapse by height alone. Until their turn comes they cost
/// room, nothing else: a block leaves them out.
const TRIED_AGAIN: usize = 64;

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
    operation: Arc<Operation>,
    id: Hash,
    bytes: usize,
    /// The commitment that it makes or opens.
    commitment: Option<Hash>,
}

impl Pending {
    /// Work per byte, for comparing.
    fn rate(&self) -> u64 {
        self.operation.stamp().work / self.bytes as u64
    }
}

/// The operations that wait, each of which the next block could record after those before it on the
/// same name.
#[derive(Debug)]
pub struct Mempool {
    network: Network,
    pending: BTreeMap<Slot, Pending>,
    /// The same by work per byte, the least first.
    by_work_rate: BTreeSet<(u64, Slot)>,
    waiting: Waiting,
    bytes: usize,
    /// Where trying again goes on.
    tried: Option<Slot>,
    /// The operations that others took the place or the room of, and nobody has heard of yet.
    evicted: Vec<Hash>,
}

/// Why an operation is not taken.
#[derive(Debug, Error)]
pub enum MempoolError {
    /// It breaks a rule.
    #[error(transparent)]
    Rule(#[from] RuleViolation),
    /// Another operation waits in its place.
    #[error(
        "another operation waits in its place; to replace it takes {0} expected hashes of work"
    )]
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

impl From<ApplyError<StorageError>> for MempoolError {
    fn from(failure: ApplyError<StorageError>) -> Self {
        match failure {
            ApplyError::Rule(violation) => MempoolError::Rule(violation),
            ApplyError::State(error) => MempoolError::Storage(error),
        }
    }
}

impl Mempool {
    /// An empty mempool.
    pub fn new(network: Network) -> Self {
        Mempool {
            network,
            pending: BTreeMap::new(),
            by_work_rate: BTreeSet::new(),
            waiting: Waiting::default(),
            bytes: 0,
            tried: None,
            evicted: Vec::new(),
        }
    }

    /// The ids of the operations that have gone since this was last asked because others took their
    /// place or their room.
    pub fn take_evicted(&mut self) -> Vec<Hash> {
        let mut evicted = std::mem::take(&mut self.evicted);
        evicted.retain(|id| !self.has(id));
        evicted
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

    /// The operation with this id, if it waits.
    pub fn get(&self, id: &Hash) -> Option<Arc<Operation>> {
        self.waiting.get(id)
    }

    /// Whether the operation with this id waits.
    pub fn has(&self, id: &Hash) -> bool {
        self.waiting.has(id)
    }

    /// All that wait, with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&Hash, &Arc<Operation>)> {
        self.pending.values().map(|pending| (&pending.id, &pending.operation))
    }

    /// What waits, for other threads to look at: kept up to date.
    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
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

    /// Takes an operation whose signature and work have been checked. Returns its id; one that
    /// waits already is fine.
    pub fn insert(&mut self, chain: &Chain, operation: Operation) -> Result<Hash, MempoolError> {
        let id = operation.id(self.network);
        let slot = Slot::of(&operation);
        if let Some(there) = self.pending.get(&slot) {
            let needed =
                there.operation.stamp().work.saturating_add(there.operation.stamp().work / 4);
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
                let earlier = Slot::Name(name.clone(), 0)..Slot::Name(name.clone(), *sequence);
                self.pending.range(earlier).map(|(_, pending)| &*pending.operation).collect()
            }
        };
        if before.len() >= MAX_PER_NAME {
            return Err(MempoolError::NameFull);
        }
        chain.try_operation(&before, &operation)?;
        let pending = Pending {
            bytes: operation.to_bytes().len(),
            commitment: commitment_of(self.network, &operation),
            operation: Arc::new(operation),
            id,
        };
        self.make_room(&slot, &pending)?;
        self.evict(&slot);
        self.bytes += pending.bytes;
        self.by_work_rate.insert((pending.rate(), slot.clone()));
        self.waiting.insert(id, pending.rate(), pending.operation.clone());
        self.pending.insert(slot, pending);
        Ok(id)
    }

    /// Drops what carries the least work a byte until `new` fits, unless that is `new` itself.
    fn make_room(&mut self, slot: &Slot, new: &Pending) -> Result<(), MempoolError> {
        while self.pending.len() >= MAX_OPERATIONS || self.bytes + new.bytes > MAX_BYTES {
            let Some((rate, poorest)) =
                self.by_work_rate.iter().find(|(_, other)| other != slot).cloned()
            else {
                return Ok(());
            };
            if rate >= new.rate() {
                return Err(MempoolError::Full(rate));
            }
            self.evict(&poorest);
        }
        Ok(())
    }

    fn evict(&mut self, slot: &Slot) {
        let evicted = self.remove(slot);
        self.evicted.extend(evicted.map(|pending| pending.id));
    }

    fn remove(&mut self, slot: &Slot) -> Option<Pending> {
        let removed = self.pending.remove(slot)?;
        self.bytes -= removed.bytes;
        self.by_work_rate.remove(&(removed.rate(), slot.clone()));
        self.waiting.remove(&removed.id);
        Some(removed)
    }

    /// Follows the chain: what was recorded goes, what was undone waits again, and what can't be
    /// recorded any more goes. Returns the ids of those that went without being recorded, those that
    /// were evicted since among them.
    ///
    /// Tried again is what the move can have changed something for: names and commitments of the
    /// blocks on both sides, stamps whose anchor has left the chain, work that the price has
    /// overtaken; and a few others in turn.
    pub fn follow(&mut self, chain: &Chain, change: &TipChange) -> Result<Vec<Hash>, StorageError> {
        for operation in change.connected.iter().flat_map(|block| &block.operations) {
            let slot = Slot::of(operation);
            if let Some(pending) = self.pending.get(&slot)
                && pending.id == operation.id(self.network)
            {
                self.remove(&slot);
            }
        }
        let mut again: Vec<Operation> = Vec::new();
        for slot in self.suspects(chain, change) {
            again.extend(self.remove(&slot).map(|pending| Arc::unwrap_or_clone(pending.operation)));
        }
        again.extend(change.undone.iter().flat_map(|block| block.operations.iter().cloned()));
        // By slot, so that the operations on a name come in the order of their sequence numbers.
        again.sort_by_cached_key(Slot::of);
        let mut dropped = Vec::new();
        for operation in again {
            let id = operation.id(self.network);
            match self.insert(chain, operation) {
                Ok(_) => {}
                Err(MempoolError::Storage(error)) => return Err(error),
                Err(_) => dropped.push(id),
            }
        }
        dropped.extend(self.take_evicted());
        Ok(dropped)
    }

    /// The slots of the operations that may not be recordable after the move, and of all that
    /// follow them on their names.
    fn suspects(&mut self, chain: &Chain, change: &TipChange) -> BTreeSet<Slot> {
        let (mut names, mut commitments) = (HashSet::new(), HashSet::new());
        let moved =
            change.connected.iter().chain(&change.undone).flat_map(|block| &block.operations);
        for operation in moved {
            commitments.extend(commitment_of(self.network, operation));
            if let Operation::Named(named) = operation {
                names.insert(named.name.clone());
            }
        }
        let (params, context) = (self.network.params(), BlockContext::after(chain.tip_header()));
        let affected = |slot: &Slot, pending: &Pending| {
            let stamp = pending.operation.stamp();
            matches!(slot, Slot::Name(name, _) if names.contains(name))
                || pending.commitment.is_some_and(|commitment| commitments.contains(&commitment))
                || check_anchor(stamp, chain.anchor_height(&stamp.anchor), context.height).is_err()
                || operation_price(params, context, &pending.operation) > stamp.work
        };
        let mut suspects: BTreeSet<Slot> = BTreeSet::new();
        for (slot, pending) in &self.pending {
            let follows = |last: &Slot| matches!((last, slot), (Slot::Name(a, _), Slot::Name(b, _)) if a == b);
            if suspects.last().is_some_and(follows) || affected(slot, pending) {
                suspects.insert(slot.clone());
            }
        }
        self.in_turn(&mut suspects);
        suspects
    }

    /// Adds those whose turn it is, each with all that follow it on its name.
    fn in_turn(&mut self, suspects: &mut BTreeSet<Slot>) {
        let from = self.tried.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last: Option<&Slot> = None;
        let mut more = false;
        for (count, (slot, _)) in self.pending.range((from, Bound::Unbounded)).enumerate() {
            let same = matches!((last, slot), (Some(Slot::Name(a, _)), Slot::Name(b, _)) if a == b);
            if count >= TRIED_AGAIN && !same {
                more = true;
                break;
            }
            suspects.insert(slot.clone());
            last = Some(slot);
        }
        // At the end of the list the next turn begins at its start.
        self.tried = last.filter(|_| more).cloned();
    }

    /// The operations in the order in which a block should try them: by work per byte, except that
    /// those on one name come by sequence number.
    pub fn by_work_rate(&self) -> Vec<&Operation> {
        let mut ordered: Vec<(u64, &Slot, &Pending)> = Vec::with_capacity(self.pending.len());
        let mut before: Option<(&Name, u64)> = None;
        for (slot, pending) in &self.pending {
            let mut rate = pending.rate();
            if let Slot::Name(name, _) = slot {
                // No better than what it must follow.
                rate = before
                    .filter(|(other, _)| *other == name)
                    .map_or(rate, |(_, other)| rate.min(other));
                before = Some((name, rate));
            }
            ordered.push((rate, slot, pending));
        }
        ordered.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        ordered.into_iter().map(|(_, _, pending)| &*pending.operation).collect()
    }
}

/// The commitment that an operation makes or opens.
fn commitment_of(network: Network, operation: &Operation) -> Option<Hash> {
    match operation {
        Operation::Commit { commitment, .. } => Some(*commitment),
        Operation::Named(named) => match &named.action {
            Action::Register { salt, .. } => {
                Some(commitment(network, &named.name, &named.signer, salt))
            }
            _ => None,
        },
    }
}
