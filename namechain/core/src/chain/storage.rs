//! What the chain asks of whatever keeps its bytes. `store` answers with a block log and sled,
//! tests with plain maps.

use std::io;

use thiserror::Error;

use super::following::Following;
use crate::{
    consensus::{History, HistoryNode, header::genesis},
    types::{Block, Hash, Header, Network},
};

/// Where a block stands in the block log: for the store to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLocation {
    /// The number of the file.
    pub file: u32,
    /// The offset of the record in it, in bytes.
    pub offset: u64,
    /// The length of the block, in bytes.
    pub len: u32,
}

impl BlockLocation {
    /// The genesis block is in no log: it is written in the source.
    pub const GENESIS: BlockLocation = BlockLocation { file: 0, offset: 0, len: 0 };
}

/// A header whose block is kept, on the best chain or beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHeader {
    /// The block's id.
    pub id: Hash,
    /// The header.
    pub header: Header,
    /// The summed work up to and with this block, in expected hashes.
    pub work: u128,
    /// Where the block is.
    pub at: BlockLocation,
    /// Whether the block broke a rule when it was connected.
    pub failed: bool,
}

/// One change to the index. All changes of one call to [`Storage::commit`] happen, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A header, or what became of it.
    Header(StoredHeader),
    /// The id of the best chain's block at a height; `None` above a tip that went down.
    Active(u32, Option<Hash>),
    /// The entry under a key of the state; `None` if there is none any more.
    Entry(Hash, Option<Vec<u8>>),
    /// What the block at a height found under a key before it changed it.
    Undo(u32, Hash, Option<Vec<u8>>),
    /// Forget all undo of a height.
    DropUndo(u32),
    /// Whether the best chain's block at a height has an operation on the name with this key, or a
    /// Commit of the commitment with this key: kept for ever.
    NameHistory(Hash, u32, bool),
    /// A node of the history range, by its position.
    History(u64, HistoryNode),
    /// The tip.
    Tip(Hash),
    /// How the node came to its chain, and which one it holds back.
    Following(Following),
    /// An operation that waits to be recorded, by its id; `None` if it does not wait any more.
    Pending(Hash, Option<Vec<u8>>),
}

/// A key, and the entry that stood under it before a block changed it.
pub type Before = (Hash, Option<Vec<u8>>);

/// Why the store failed: the disk's fault, not a peer's.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// What was read can't be what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The block was deleted: those of the best chain are there from this height on.
    #[error("the block is pruned: this node keeps blocks from height {0} on")]
    Pruned(u32),
    /// It holds something else than what is asked for: another network, another format, or another
    /// process has it.
    #[error("{0}")]
    Refused(String),
}

/// A block log and an index over it.
pub trait Storage: Send + Sync + 'static {
    /// Appends a block to the log. It is durable once a later durable [`Storage::commit`] returns.
    fn append(&self, block: &[u8]) -> Result<BlockLocation, StorageError>;
    /// From this height on all blocks of the best chain are there: 0 unless old ones are pruned.
    fn first_block(&self) -> Result<u32, StorageError> {
        Ok(0)
    }
    /// Reads a block back, checking its checksum.
    fn block(&self, at: BlockLocation) -> Result<Vec<u8>, StorageError>;
    /// Makes all of `changes`, atomically. If `durable`, they and every block appended before
    /// survive a crash at any moment after the call has returned; otherwise a crash may undo the
    /// last commits, in reverse order.
    fn commit(&self, changes: Vec<Change>, durable: bool) -> Result<(), StorageError>;

    /// The tip; `None` in a new store.
    fn tip(&self) -> Result<Option<Hash>, StorageError>;
    /// The id of the best chain's block at `height`.
    fn active(&self, height: u32) -> Result<Option<Hash>, StorageError>;
    /// The header with this id.
    fn header(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError>;
    /// All headers at `height` and above, on every branch, by height.
    fn headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError>;
    /// As [`Storage::headers_from`], but that headers of the best chain may be left out.
    fn side_headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        self.headers_from(height)
    }
    /// The entry under `key` of the tip's state.
    fn entry(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError>;
    /// Calls `each` with every entry of the tip's state, in any order.
    fn entries(&self, each: &mut dyn FnMut(Hash, &[u8])) -> Result<(), StorageError>;
    /// What the block at `height` found under `key`, if it changed it and its undo is kept.
    fn undo(&self, height: u32, key: &Hash) -> Result<Option<Option<Vec<u8>>>, StorageError>;
    /// All that the block at `height` changed, with what it found.
    fn undo_of(&self, height: u32) -> Result<Vec<Before>, StorageError>;
    /// The heights of the best chain's blocks that have operations on the name, or Commits of the
    /// commitment, with this key, in order.
    fn touched(&self, key: &Hash) -> Result<Vec<u32>, StorageError>;
    /// The node of the history range at `position`.
    fn history(&self, position: u64) -> Result<Option<HistoryNode>, StorageError>;
    /// How the node came to its chain; `None` in a new store.
    fn following(&self) -> Result<Option<Following>, StorageError>;
    /// The operations that waited to be recorded.
    fn pending(&self) -> Result<Vec<Vec<u8>>, StorageError>;
}

/// Reads a block from where its header says that it is.
pub fn read_block(
    network: Network,
    storage: &dyn Storage,
    at: BlockLocation,
) -> Result<Block, StorageError> {
    if at == BlockLocation::GENESIS {
        return Ok(genesis(network));
    }
    Block::parse(&storage.block(at)?).map_err(|error| {
        StorageError::Damaged(format!("the block at {at:?} does not decode: {error}"))
    })
}

/// The header of the best chain's block at a height that it has.
pub(super) fn best_header(
    storage: &dyn Storage,
    height: u32,
) -> Result<StoredHeader, StorageError> {
    let missing =
        || StorageError::Damaged(format!("the best chain's header at height {height} is missing"));
    let id = storage.active(height)?.ok_or_else(missing)?;
    storage.header(&id)?.ok_or_else(missing)
}

/// The history range over the first `leaves` headers of the best chain.
pub(super) fn best_history(storage: &dyn Storage, leaves: u64) -> Result<History, StorageError> {
    let damaged = || StorageError::Damaged("a node of the history range is missing".into());
    let peaks = History::peak_positions(leaves)
        .into_iter()
        .map(|position| storage.history(position)?.ok_or_else(damaged))
        .collect::<Result<Vec<_>, _>>()?;
    History::from_peaks(leaves, peaks).ok_or_else(damaged)
}
