//! Operations that wait to be recorded.
//!
//! Bounded in operations and bytes; one operation for each name and sequence number, one commit for
//! each commitment; replaced only by one that carries a quarter more work; ordered by work per
//! byte.

mod slot;
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
        RuleViolation, block::check_times, context::BlockContext, operation_price::least_price,
        state::ApplyError,
    },
    types::{Action, CommitPosition, Hash, Name, Network, Operation},
};
use slot::{Lane, Slot};

/// The most operations that wait.
pub const MAX_OPERATIONS: usize = 8_192;
/// The most bytes of operations that wait.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most operations on one name that wait for their turn by sequence number; and the most
/// registrations of one name.
pub const MAX_PER_NAME: usize = 16;
/// How many operations are tried again at each move of the tip though nothing shows that they are
/// affected: leases end and commitments lapse by time alone. Until their turn comes they cost room,
/// nothing else: a block leaves them out.
const RETRIED_PER_TIP: usize = 64;

#[derive(Debug)]
struct Pending {
    operation: Arc<Operation>,
    id: Hash,
    bytes: usize,
    /// The id of the Commit that it is, or opens.
    commit_id: Option<Hash>,
    /// Of a Register, where its Commit is recorded.
    position: Option<CommitPosition>,
}

impl Pending {
    /// Work per byte, for comparing.
    fn work_rate(&self) -> u64 {
        self.operation.stamp().work / self.bytes as u64
    }
}

/// The operations that wait, each of which the next block could record after those before it on the
/// same name.
#[derive(Debug)]
pub struct Mempool {
    network: Network,
    /// The branch under which the signatures of what waits were checked.
    branch: u32,
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
    /// Too many operations on the name wait, or registrations by older commitments.
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
            branch: network.params().branches[0].number,
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

    /// Whether a Commit of `commitment` waits.
    pub fn has_commitment(&self, commitment: &Hash) -> bool {
        let commits = Slot::Commit(Hash::ZERO)..=Slot::Commit(Hash([0xff; 32]));
        self.pending.range(commits).any(|(_, pending)| {
            matches!(&*pending.operation, Operation::Commit { commitment: found, .. } if found == commitment)
        })
    }

    fn on_name<'a>(&'a self, name: &Name) -> impl Iterator<Item = (&'a Slot, &'a Pending)> {
        let first = Slot::Name(name.clone(), Lane::Register(Hash::ZERO));
        let last = Slot::Name(name.clone(), Lane::Sequence(Hash([0xff; 32]), u32::MAX));
        self.pending.range(first..=last)
    }

    /// Takes an operation whose signature and work have been checked, for the branch in force at
    /// `now`, if the next block could record it. Returns its id; one that waits already is fine.
    pub fn insert(
        &mut self,
        chain: &Chain,
        operation: Operation,
        now: u64,
    ) -> Result<Hash, MempoolError> {
        self.enter_branch(chain, now);
        let id = operation.id(self.network);
        let slot = Slot::of(self.network, &operation);
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
        let before: Vec<&Operation> = match slot.name() {
            None => Vec::new(),
            Some(name) => {
                let earlier = self.on_name(name).filter(|(other, _)| slot.follows(other));
                earlier.map(|(_, pending)| &*pending.operation).collect()
            }
        };
        if before.len() >= MAX_PER_NAME {
            return Err(MempoolError::NameFull);
        }
        chain.try_operation(&before, &operation, now)?;
        let commit_id = commit_id_of(self.network, &operation);
        let pending = Pending {
            bytes: operation.to_bytes().len(),
            position: match &slot {
                Slot::Name(_, Lane::Register(commit_id)) => chain.commit_position(commit_id)?,
                _ => None,
            },
            commit_id,
            operation: Arc::new(operation),
            id,
        };
        self.make_room_for_register(&slot, &pending)?;
        self.make_room(&slot, &pending)?;
        self.evict(&slot);
        self.bytes += pending.bytes;
        self.by_work_rate.insert((pending.work_rate(), slot.clone()));
        self.waiting.insert(id, pending.work_rate(), pending.operation.clone());
        self.pending.insert(slot, pending);
        Ok(id)
    }

    /// Of many registrations of one name those with the oldest Commits wait: the oldest has it.
    fn make_room_for_register(&mut self, slot: &Slot, new: &Pending) -> Result<(), MempoolError> {
        let Slot::Name(name, Lane::Register(_)) = slot else { return Ok(()) };
        let others = self.on_name(name).filter(|(other, _)| {
            *other != slot && matches!(other, Slot::Name(_, Lane::Register(_)))
        });
        let others: Vec<_> =
            others.map(|(other, pending)| (pending.position, other.clone())).collect();
        if others.len() < MAX_PER_NAME {
            return Ok(());
        }
        match others.into_iter().max() {
            Some((position, youngest)) if position > new.position => {
                self.evict(&youngest);
                Ok(())
            }
            _ => Err(MempoolError::NameFull),
        }
    }

    /// Drops what carries the least work a byte until `new` fits, unless that is `new` itself.
    fn make_room(&mut self, slot: &Slot, new: &Pending) -> Result<(), MempoolError> {
        while self.pending.len() >= MAX_OPERATIONS || self.bytes + new.bytes > MAX_BYTES {
            let Some((rate, poorest)) =
                self.by_work_rate.iter().find(|(_, other)| other != slot).cloned()
            else {
                return Ok(());
            };
            if rate >= new.work_rate() {
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
        self.by_work_rate.remove(&(removed.work_rate(), slot.clone()));
        self.waiting.remove(&removed.id);
        Some(removed)
    }

    /// Signatures hold for one branch: when another comes into force, what was signed for the one
    /// before goes.
    fn enter_branch(&mut self, chain: &Chain, now: u64) {
        let time = now.max(chain.tip_header().time);
        let branch = self.network.params().branch_at(time).number;
        if branch == self.branch {
            return;
        }
        self.branch = branch;
        let signed: Vec<Slot> =
            self.pending.keys().filter(|slot| slot.name().is_some()).cloned().collect();
        signed.iter().for_each(|slot| self.evict(slot));
    }

    /// Follows the chain: what was recorded goes, what was undone waits again, and what can't be
    /// recorded any more goes. Returns the ids of those that went without being recorded, those
    /// that were evicted since among them.
    ///
    /// Tried again is what the move can have changed something for: names and commitments of the
    /// blocks on both sides, stamps whose anchor has left the chain, work that the price has
    /// overtaken; and a few others in turn.
    pub fn follow(
        &mut self,
        chain: &Chain,
        change: &TipChange,
        now: u64,
    ) -> Result<Vec<Hash>, StorageError> {
        for operation in change.connected.iter().flat_map(|block| &block.operations) {
            let slot = Slot::of(self.network, operation);
            if let Some(pending) = self.pending.get(&slot)
                && pending.id == operation.id(self.network)
            {
                self.remove(&slot);
            }
        }
        self.enter_branch(chain, now);
        let mut dropped = Vec::new();
        let mut again: Vec<Operation> = Vec::new();
        for slot in self.suspects(chain, change, now) {
            again.extend(self.remove(&slot).map(|pending| Arc::unwrap_or_clone(pending.operation)));
        }
        for block in &change.undone {
            let holds = |operation: &&Operation| {
                block.header.version == self.branch || matches!(operation, Operation::Commit { .. })
            };
            again.extend(block.operations.iter().filter(holds).cloned());
        }
        // By slot, so that the operations on a name come in the order of their sequence numbers.
        again.sort_by_cached_key(|operation| Slot::of(self.network, operation));
        for operation in again {
            let id = operation.id(self.network);
            match self.insert(chain, operation, now) {
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
    fn suspects(&mut self, chain: &Chain, change: &TipChange, now: u64) -> BTreeSet<Slot> {
        let (mut names, mut commit_ids) = (HashSet::new(), HashSet::new());
        let moved =
            change.connected.iter().chain(&change.undone).flat_map(|block| &block.operations);
        for operation in moved {
            commit_ids.extend(commit_id_of(self.network, operation));
            if let Operation::Named(named) = operation {
                names.insert(named.name.clone());
            }
        }
        let parent = chain.tip_header();
        let context = BlockContext::after(parent, now.max(parent.time));
        let params = self.network.params();
        let affected = |slot: &Slot, pending: &Pending| {
            let operation = &*pending.operation;
            let anchor = chain.anchor(&operation.stamp().anchor);
            slot.name().is_some_and(|name| names.contains(name))
                || pending.commit_id.is_some_and(|id| commit_ids.contains(&id))
                || check_times(operation, anchor, context.now).is_err()
                || least_price(params, context, operation) > operation.stamp().work
        };
        let mut suspects: BTreeSet<Slot> = BTreeSet::new();
        for (slot, pending) in &self.pending {
            if suspects.last().is_some_and(|last| slot.follows(last)) || affected(slot, pending) {
                suspects.insert(slot.clone());
            }
        }
        self.add_retries(&mut suspects);
        suspects
    }

    /// Adds those whose turn it is to be tried again, each with all that follow it on its name.
    fn add_retries(&mut self, suspects: &mut BTreeSet<Slot>) {
        let from = self.tried.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last: Option<&Slot> = None;
        let mut more = false;
        for (count, (slot, _)) in self.pending.range((from, Bound::Unbounded)).enumerate() {
            let same = last.is_some_and(|last| slot.follows(last));
            if count >= RETRIED_PER_TIP && !same {
                more = true;
                break;
            }
            suspects.insert(slot.clone());
            last = Some(slot);
        }
        // At the end of the list the next turn begins at its start.
        self.tried = last.filter(|_| more).cloned();
    }

    /// The operations in the order in which a block made at `now` should try them: registrations
    /// first, the oldest Commits before all, so that nobody can be kept out by who pays more; then
    /// by work per byte, except that those on one name come by sequence number. Nothing that was
    /// signed for a branch that is not in force then.
    pub fn by_work_rate(&self, now: u64) -> Vec<&Operation> {
        let in_force = self.network.params().branch_at(now).number == self.branch;
        let mut ordered: Vec<(bool, Option<CommitPosition>, u64, &Slot, &Pending)> =
            Vec::with_capacity(self.pending.len());
        let mut before: Option<(&Slot, u64)> = None;
        for (slot, pending) in &self.pending {
            if slot.name().is_some() && !in_force {
                continue;
            }
            // No better than what it must follow.
            let rate = before
                .filter(|(other, _)| slot.follows(other))
                .map_or(pending.work_rate(), |(_, other)| pending.work_rate().min(other));
            before = Some((slot, rate));
            let last = pending.position.is_none();
            ordered.push((last, pending.position, rate, slot, pending));
        }
        ordered.sort_by(|a, b| {
            let registers = (a.0, a.1).cmp(&(b.0, b.1));
            registers.then_with(|| b.2.cmp(&a.2)).then_with(|| a.3.cmp(b.3))
        });
        ordered.into_iter().map(|(.., pending)| &*pending.operation).collect()
    }
}

/// The id of the Commit that an operation is, or opens.
fn commit_id_of(network: Network, operation: &Operation) -> Option<Hash> {
    match operation {
        Operation::Commit { .. } => Some(operation.id(network)),
        Operation::Named(named) => match &named.action {
            Action::Register { .. } => Some(named.reference),
            _ => None,
        },
    }
}
