//! The best chain: the tree of headers, fork choice by most work, connecting and undoing blocks.
//!
//! One thread owns a [`Chain`]; it takes blocks and time as arguments and does no IO but through
//! [`Storage`]. A move of the tip, however many blocks it undoes and connects, is worked out first
//! and then written in one commit.

mod ancestry;
mod checked;
mod connect;
mod headers;
mod memory;
mod open;
mod pow_checked;
mod snapshot;
mod storage;
mod template;
mod verifier;
mod view;

use std::{collections::VecDeque, sync::Arc};

use thiserror::Error;

pub use ancestry::Ancestry;
pub use checked::CheckedBlock;
pub use memory::MemoryStorage;
pub use pow_checked::{PowChecked, PowCheckedHeader};
pub use snapshot::{NameLookup, ReadError, Snapshot};
pub use storage::{Before, BlockLocation, Change, Storage, StorageError, StoredHeader, read_block};
pub use verifier::{OperationVerifier, SerialVerifier};

use crate::{
    codec::Encode,
    consensus::{
        RuleViolation,
        block::check_block_alone,
        header::{check_header_alone, check_header_with_ancestors, is_too_early},
        work::PowHasher,
    },
    params::{MAX_REORG_DEPTH, Params},
    tree::Tree,
    types::{Block, Hash, Header, Network},
};
use headers::{BlockIndexEntry, Headers};

/// The chain of one network.
pub struct Chain {
    params: &'static Params,
    storage: Arc<dyn Storage>,
    headers: Headers,
    /// The last blocks of the best chain, the tip at the back: as many as a reorganisation may
    /// undo, and one.
    recent: VecDeque<TipState>,
    /// The tip of a chain of more work that departs too deep to be followed, and its summed work.
    parked_tip: Option<(Hash, u128)>,
    hasher: PowHasher,
    verifier: Box<dyn OperationVerifier>,
}

/// A block of the best chain and the state after it.
#[derive(Clone)]
struct TipState {
    id: Hash,
    tree: Tree,
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
        "a chain of more work, with tip {tip}, would undo {depth} blocks; more than {MAX_REORG_DEPTH} are not undone by \
         themselves: find out which chain others are on"
    )]
    TooDeep {
        /// The tip of the other chain.
        tip: Hash,
        /// How many blocks would be undone.
        depth: u32,
    },
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

    /// The tip of a chain of more work that departs more than 720 blocks below ours, if one is
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

    /// The state after the best chain's block at `height`; `None` above the tip or deeper than 720
    /// blocks.
    pub fn snapshot_at(&self, height: u32) -> Option<Snapshot> {
        let recent = self.recent_at(height)?;
        Some(Snapshot {
            network: self.params.network,
            id: recent.id,
            header: self.headers.get(&recent.id)?.header.clone(),
            tree: recent.tree.clone(),
            storage: self.storage.clone(),
        })
    }

    /// The height of a block of the best chain, if it is recent enough to anchor a stamp.
    pub fn anchor_height(&self, id: &Hash) -> Option<u32> {
        let height = self.headers.get(id)?.header.height;
        (self.recent_at(height)?.id == *id).then_some(height)
    }

    /// Takes a block: checks it, keeps it, and moves the tip if it now ends the chain of most work
    /// (the first seen wins a tie). `now` is the clock in seconds of Unix time. If `durable`, the
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
        if let Some(known) = self.already(&id) {
            return known;
        }
        let check = |chain: &mut Self| -> Result<(), Refused> {
            chain.check_in_context(&block.header, now)?;
            check_block_alone(chain.params.network, block)?;
            check_header_alone(&block.header, &mut chain.hasher)?;
            Ok(())
        };
        check(self).map_err(|error| error.of(id))?;
        self.keep(id, block, false, at, durable)
    }

    /// As [`Chain::accept`], for a block that was checked as far as it can be by itself, elsewhere.
    pub fn accept_checked(
        &mut self,
        checked: &CheckedBlock,
        now: u64,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        let (id, block) = (checked.id(), checked.block());
        if let Some(known) = self.already(&id) {
            return known;
        }
        self.check_in_context(&block.header, now).map_err(|error| error.of(id))?;
        self.keep(id, block, true, None, durable)
    }

    /// What is to be said of a block that is here already.
    fn already(&self, id: &Hash) -> Option<Result<Accepted, ChainError>> {
        let known = self.headers.get(id)?;
        Some(if known.failed { Err(ChainError::OnFailed(*id)) } else { Ok(Accepted::Known) })
    }

    /// What a header must be after those before it, and by the clock.
    fn check_in_context(&self, header: &Header, now: u64) -> Result<(), Refused> {
        let parent =
            self.headers.get(&header.previous).ok_or(ChainError::Orphan(header.previous))?;
        if parent.failed {
            return Err(ChainError::OnFailed(header.previous).into());
        }
        check_header_with_ancestors(self.params, header, self.headers.ancestors(parent))?;
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
        checked: bool,
        at: Option<BlockLocation>,
        durable: bool,
    ) -> Result<Accepted, ChainError> {
        let at = match at {
            Some(at) => at,
            None => self.storage.append(&block.to_bytes())?,
        };
        // `check_in_context` has found the parent.
        let parent = self
            .headers
            .get(&block.header.previous)
            .ok_or(ChainError::Orphan(block.header.previous))?;
        let known = BlockIndexEntry {
            checked,
            ..parent.child(self.params.network, &id, block.header.clone(), at)
        };
        let (work, stored) = (known.work, known.stored(id));
        self.headers.insert(id, known);
        if work > self.work() {
            return self.move_tip(id, stored, durable);
        }
        self.storage.commit(vec![Change::Header(stored)], durable)?;
        Ok(Accepted::Side)
    }
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
