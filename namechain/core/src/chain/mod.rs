//! The best chain: the tree of headers, fork choice by most work, connecting and undoing blocks.
//!
//! One thread owns a [`Chain`]; it takes blocks and time as arguments and does no IO but through
//! [`Storage`]. A move of the tip, however many blocks it undoes and connects, is worked out first
//! and then written in one commit.

mod activity;
mod ancestry;
mod checked;
mod choice;
mod connect;
mod expiry;
mod following;
mod headers;
mod holding;
mod idle;
mod memory;
mod open;
mod past_tree;
mod pow_checked;
mod snapshot;
mod states;
mod storage;
mod template;
mod tip_state;
mod verifier;
mod view;

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use thiserror::Error;

pub use ancestry::Ancestry;
pub use checked::CheckedBlock;
pub use following::{Following, Hold};
pub use memory::MemoryStorage;
pub use pow_checked::{PowChecked, PowCheckedHeader};
pub use snapshot::{NameLookup, ReadError, Snapshot};
pub use storage::{Before, BlockLocation, Change, Storage, StorageError, StoredHeader, read_block};
pub use verifier::{OperationVerifier, SerialVerifier};

use crate::{
    codec::Encode,
    consensus::{
        RuleViolation,
        block::Anchor,
        block::check_block_alone,
        header::{HeaderError, check_header_alone, check_header_with_ancestors, is_too_early},
        state::State as _,
        work::PowHasher,
    },
    params::{MAX_REORG_DEPTH, Params},
    types::{Block, CommitPosition, CommitmentEntry, Entry, Hash, Header, Network},
};
use expiry::ExpiryQueue;
use headers::{BlockIndexEntry, HEADERS_KEPT, Headers, best_entry};
use tip_state::TipState;
use view::{BlockView, Overlay};

/// The chain of one network.
pub struct Chain {
    params: &'static Params,
    storage: Arc<dyn Storage>,
    headers: Headers,
    /// The last blocks of the best chain, the tip at the back: as many as a reorganisation may
    /// undo, and one.
    recent: VecDeque<TipState>,
    /// The entries of the tip's state by the time at which they end.
    expiry: ExpiryQueue,
    /// From where on the best chain was followed live, and which heavier chain is held back.
    following: Following,
    /// Whether a block has been connected since the chain was opened.
    taken_live: bool,
    /// When the held chain was looked at last, in seconds of Unix time.
    hold_looked_at: Option<u64>,
    /// The tip of a chain of more work that departs too deep to be followed, and its summed work.
    parked_tip: Option<(Hash, u128)>,
    hasher: PowHasher,
    verifier: Box<dyn OperationVerifier>,
}

/// What became of a block.
#[derive(Debug)]
pub enum Accepted {
    /// It was there already.
    Known,
    /// It is kept beside the best chain.
    Side,
    /// The best chain now ends elsewhere.
    Tip(TipChange),
}

/// How the best chain changed.
#[derive(Debug, Default)]
pub struct TipChange {
    /// The blocks that are no longer on it, the old tip first.
    pub undone: Vec<Block>,
    /// The blocks that are new on it, the new tip last.
    pub connected: Vec<Block>,
}

/// Why a block was not taken.
#[derive(Debug, Error)]
pub enum ChainError {
    /// It breaks a rule.
    #[error("block {id} breaks the rule '{}': {violation}", violation.id())]
    Rule {
        /// The block.
        id: Hash,
        /// The rule.
        violation: RuleViolation,
    },
    /// The block before it is not known, or lies too deep to be built on.
    #[error("the block before, {0}, is not known")]
    Orphan(Hash),
    /// It follows a block that broke a rule.
    #[error("it follows block {0}, which broke a rule")]
    OnFailed(Hash),
    /// Its time is too far ahead of the clock: it may be fine later.
    #[error("its time {time} is too far ahead of the clock, {now}")]
    Early {
        /// What the header says, in seconds of Unix time.
        time: u64,
        /// What the clock says.
        now: u64,
    },
    /// A chain of more work departs too deep below the tip: not followed without the operator.
    #[error(
        "a chain of more work, with tip {tip}, would undo {depth} blocks, and what more than \
         {MAX_REORG_DEPTH} blocks changed is not kept: find out which chain others are on. To follow \
         it, move the data directory away and start again"
    )]
    TooDeep {
        /// The tip of the other chain.
        tip: Hash,
        /// How many blocks would be undone.
        depth: u32,
    },
    /// The network is known to have another block at this height.
    #[error("the network has another block at height {0}: this chain is not followed")]
    Checkpoint(u32),
    /// It is of a branch of the protocol that this program does not know, and has its work.
    #[error("it follows branch {0} of the protocol, which this program does not know: upgrade")]
    UpgradeNeeded(u32),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Chain {
    /// Has signatures and stamps checked by `verifier` from now on, by all cores for example.
    pub fn set_verifier(&mut self, verifier: Box<dyn OperationVerifier>) {
        self.verifier = verifier;
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.params.network
    }

    /// The id of the tip.
    pub fn tip_id(&self) -> Hash {
        self.tip().id
    }

    /// The header of the tip.
    pub fn tip_header(&self) -> &Header {
        &self.tip_entry().header
    }

    /// The summed work of the best chain, in expected hashes.
    pub fn work(&self) -> u128 {
        self.tip_entry().work
    }

    /// The tip of a chain of more work that departs more than 21,600 blocks below ours, if one is
    /// known: the operator has to find out which of them others are on.
    pub fn parked_tip(&self) -> Option<Hash> {
        self.parked_tip.map(|(tip, _)| tip)
    }

    /// Says that a chain of more work, `work` expected hashes up to `tip`, departs too deep below
    /// ours to be followed, and that its blocks have therefore not even been fetched. Forgotten
    /// when our chain has as much.
    pub fn park_tip(&mut self, tip: Hash, work: u128) {
        if work > self.parked_tip.map_or(self.work(), |(_, other)| other) {
            self.parked_tip = Some((tip, work));
        }
    }

    /// From this height on all blocks of the best chain are kept: 0 unless old ones are pruned.
    pub fn first_block(&self) -> u32 {
        self.storage.first_block().unwrap_or(0)
    }

    fn tip(&self) -> &TipState {
        self.recent.back().expect("a chain has at least its genesis block")
    }

    fn tip_entry(&self) -> &BlockIndexEntry {
        self.headers.get(&self.tip().id).expect("the tip's header is in memory")
    }

    /// The height of the oldest block in `recent`.
    fn recent_base(&self) -> u32 {
        self.tip_header().height + 1 - self.recent.len() as u32
    }

    fn recent_at(&self, height: u32) -> Option<&TipState> {
        self.recent.get(height.checked_sub(self.recent_base())? as usize)
    }

    /// A block of the best chain as the anchor of a stamp in the next block, if it is recent enough
    /// to be one.
    pub fn anchor(&self, id: &Hash) -> Option<Anchor> {
        let header = &self.headers.get(id)?.header;
        (self.recent_at(header.height)?.id == *id).then(|| Anchor::of(header))
    }

    /// Whether the tip is left for the chain that ends with `other`: only if that sums more work by
    /// more than half of the lighter of the two last blocks. So of chains that are close the one
    /// seen first stands, and nothing is gained by dating a rival of the tip earlier.
    fn is_preferred(&self, other: &BlockIndexEntry) -> bool {
        let own = self.tip_entry();
        let margin = own.own_work.min(other.own_work) / 2;
        other.work > own.work.saturating_add(margin)
    }

    /// How much summed work makes a chain preferred to ours whatever its last block weighs.
    pub fn work_to_leave(&self) -> u128 {
        let own = self.tip_entry();
        own.work.saturating_add(own.own_work / 2)
    }

    /// Where the Commit with this operation id is recorded, if it has not been removed.
    ///
    /// # Errors
    /// The store's.
    pub fn commit_position(
        &self,
        commit_id: &Hash,
    ) -> Result<Option<CommitPosition>, StorageError> {
        let key = CommitmentEntry::key(self.params.network, commit_id);
        let overlay = Overlay::new(self.params, self.storage.clone(), self.tip_tree());
        Ok(match BlockView::new(&overlay, &self.expiry).get(&key)? {
            Some(Entry::Commitment(entry)) => Some(entry.position),
            _ => None,
        })
    }

    /// Takes a block: checks it, keeps it, and moves the tip if the chain that it ends is to be
    /// preferred. `now` is the clock in seconds of Unix time. If `durable`, the
    /// block survives a crash once this returns.
    pub fn accept(
        &mut self,
        block: &Block,
        now: u64,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        self.accept_logged(block, None, now, durable)
    }

    /// As [`Chain::accept`], for a block that the log has already: while the index is rebuilt from
    /// it.
    pub fn accept_logged(
        &mut self,
        block: &Block,
        at: Option<BlockLocation>,
        now: u64,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        let id = block.header.id(self.params.network);
        if let Some(known) = self.already(&id, &block.header)? {
            return known;
        }
        let check = |chain: &mut Self| -> Result<(), Refused> {
            chain.check_in_context(&id, &block.header, now)?;
            check_block_alone(chain.params, block)?;
            check_header_alone(chain.params, &block.header, &mut chain.hasher)?;
            Ok(())
        };
        check(self).map_err(|error| error.of(id))?;
        self.keep(id, block, Checks { operations: false, at }, now, durable)
    }

    /// As [`Chain::accept`], for a block that was checked as far as it can be by itself, elsewhere.
    pub fn accept_checked(
        &mut self,
        checked: &CheckedBlock,
        now: u64,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        let (id, block) = (checked.id(), checked.block());
        if let Some(known) = self.already(&id, &block.header)? {
            return known;
        }
        self.check_in_context(&id, &block.header, now).map_err(|error| error.of(id))?;
        self.keep(id, block, Checks { operations: true, at: None }, now, durable)
    }

    /// What is to be said of a block that is here already.
    fn already(
        &self,
        id: &Hash,
        header: &Header,
    ) -> Result<Option<Result<Accepted, ChainError>>, StorageError> {
        Ok(match self.headers.get(id) {
            Some(known) if known.failed => Some(Err(ChainError::OnFailed(*id))),
            Some(_) => Some(Ok(Accepted::Known)),
            None if header.height >= self.recent_base() => None,
            None => {
                let is_best = self.storage.active(header.height)? == Some(*id);
                is_best.then_some(Ok(Accepted::Known))
            }
        })
    }

    /// The block `id`, if another may build on it: on any branch, no deeper than that.
    fn find(&self, id: &Hash) -> Result<Option<Cow<'_, BlockIndexEntry>>, StorageError> {
        if let Some(known) = self.headers.get(id) {
            return Ok(Some(Cow::Borrowed(known)));
        }
        let lowest = self.tip_header().height.saturating_sub(HEADERS_KEPT);
        let deep = best_entry(self.params, &*self.storage, id)?;
        Ok(deep.filter(|known| known.header.height >= lowest).map(Cow::Owned))
    }

    /// What a header must be after those before it, and by the clock.
    fn check_in_context(&self, id: &Hash, header: &Header, now: u64) -> Result<(), Refused> {
        let parent = self.find(&header.previous)?.ok_or(ChainError::Orphan(header.previous))?;
        if parent.failed {
            return Err(ChainError::OnFailed(header.previous).into());
        }
        check_header_with_ancestors(self.params, header, parent.as_ancestors())?;
        let known = self.params.checkpoints.iter().find(|(height, _)| *height == header.height);
        if known.is_some_and(|(_, expected)| expected != id) {
            return Err(ChainError::Checkpoint(header.height).into());
        }
        if is_too_early(header, now) {
            return Err(ChainError::Early { time: header.time, now }.into());
        }
        Ok(())
    }

    /// Keeps a block that needs no more checks but those of its operations' signatures and stamps,
    /// unless these are `checked` too, and those with the state; and moves the tip if it now ends
    /// the chain of most work.
    fn keep(
        &mut self,
        id: Hash,
        block: &Block,
        Checks { operations: checked, at }: Checks,
        now: u64,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        let at = match at {
            Some(at) => at,
            None => self.storage.append(&block.to_bytes())?,
        };
        // `check_in_context` has found the parent.
        let parent =
            self.find(&block.header.previous)?.ok_or(ChainError::Orphan(block.header.previous))?;
        let known =
            BlockIndexEntry { checked, ..parent.child(self.params, &id, block.header.clone(), at) };
        let (preferred, stored) = (self.is_preferred(&known), known.stored(id));
        self.headers.insert(id, known);
        if !preferred {
            self.storage.commit(vec![Change::Header(stored)], durable)?;
            return Ok(Accepted::Side);
        }
        if let Some(hold) = self.hold_against(&id)? {
            let held = self.begin_hold(hold);
            self.storage.commit(vec![Change::Header(stored), held], true)?;
            return Ok(Accepted::Side);
        }
        Ok(Accepted::Tip(self.move_tip(id, stored, now, durable)?))
    }
}

/// What is known of a block that is to be kept.
struct Checks {
    /// Whether the signatures and stamps of its operations were checked.
    operations: bool,
    /// Where the log has it, if it does.
    at: Option<BlockLocation>,
}

/// A refusal before it is known which block it is about.
enum Refused {
    Rule(RuleViolation),
    Other(ChainError),
}

impl Refused {
    fn of(self, id: Hash) -> ChainError {
        match self {
            Refused::Rule(violation) => ChainError::Rule { id, violation },
            Refused::Other(error) => error,
        }
    }
}

impl From<RuleViolation> for Refused {
    fn from(violation: RuleViolation) -> Self {
        Refused::Rule(violation)
    }
}

impl From<HeaderError> for Refused {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Rule(violation) => Refused::Rule(violation),
            HeaderError::UpgradeNeeded(branch) => Refused::Other(ChainError::UpgradeNeeded(branch)),
        }
    }
}

impl From<ChainError> for Refused {
    fn from(error: ChainError) -> Self {
        Refused::Other(error)
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Refused::Other(error.into())
    }
}

#[cfg(test)]
mod tests;
