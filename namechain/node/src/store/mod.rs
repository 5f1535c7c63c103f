//! The store: an append-only block log in flat files, and an index over it in sled.
//!
//! The log is the truth. The index says what the blocks amount to (headers, entries, undo) and can
//! always be made again from the log, so a damaged index costs time and nothing else.
//!
//! ```text
//! DIR/lock                the process that uses DIR holds a lock on it
//! DIR/blocks-00000.log    the block log, see `log`; pruning deletes the first files
//! DIR/index/              the index, see `layout` and `archive`
//! DIR/index.aside/        the last index that was found damaged, for whoever wants to know why
//! ```
//!
//! What survives a crash: a durable commit first syncs the log, then writes its batch to the index,
//! then syncs the index. The index remembers the last block that it refers to (its *mark*); the
//! blocks that the log holds beyond the mark are handed out again by [`Store::replay`], whatever
//! happened to the index. The rows of commits that need not be durable wait in memory, some
//! thousands at a time, and are written as one batch: if the program is killed they are made again
//! from the log.

mod archive;
mod error;
mod index;
mod layout;
mod lock;
mod log;
mod prune;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use error::io_error;
use index::Index;
use layout::Mark;
use lock::Lock;
use log::{Log, Position};
use namechain_core::{
    chain::{Before, BlockLocation, Change, Following, Storage, StorageError, StoredHeader},
    consensus::HistoryNode,
    params::BLOCKS_KEPT,
    types::{Hash, Network},
};

/// The size at which the block log goes on in a new file, in bytes.
pub const LOG_FILE_BYTES: u64 = 128 * 1024 * 1024;
/// How far below the tip the index has a header's rows before it is archived: further than anything
/// that is read often.
const ARCHIVE_DEPTH: u32 = 2_048;

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Forget the index and make it again from the log.
    pub reindex: bool,
    /// The size at which the block log goes on in a new file, in bytes.
    pub log_file_bytes: u64,
    /// How many bytes the block log may have: more than that is pruned, the oldest first, down to
    /// the blocks that a reorganisation may need. `None`: nothing is pruned.
    pub prune_bytes: Option<u64>,
    /// How many of the last blocks are never pruned.
    pub blocks_kept: u32,
    /// How far below the tip headers are archived, and how many at once at least.
    pub archive_depth: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            reindex: false,
            log_file_bytes: LOG_FILE_BYTES,
            prune_bytes: None,
            blocks_kept: BLOCKS_KEPT,
            archive_depth: ARCHIVE_DEPTH,
        }
    }
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Whether the index is empty while the log is not: [`Store::replay`] then goes through all
    /// blocks.
    pub rebuild: bool,
}

/// What [`Store::replay`] went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Blocks that were handed out.
    pub blocks: u64,
    /// Damaged places of the log, each of one record or more, that were passed over and logged.
    pub damaged: u64,
}

/// The block log and the index in one directory.
#[derive(Debug)]
pub struct Store {
    log: Log,
    index: Index,
    /// The last block of the log that the index refers to. Held through a commit: there is one
    /// writer.
    mark: Mutex<Option<Mark>>,
    options: Options,
    /// From this height on the log has all blocks of the best chain.
    first_block: AtomicU32,
    /// When it was looked last whether something is to be pruned.
    prune_look: Mutex<prune::Look>,
    /// Set when a write failed in a way that leaves open what is on the disk.
    broken: AtomicBool,
    /// Dropped last.
    _lock: Lock,
}

impl Store {
    /// Opens the store in `dir`, or makes a new one there. Call [`Store::replay`] next.
    ///
    /// # Errors
    /// [`StorageError::Refused`] if another process uses the directory, or if it is another
    /// network's or a newer version's; [`StorageError::Damaged`] if files of the log are missing or
    /// are not what they should be; [`StorageError::Io`] with the path if the operating system
    /// refuses.
    pub fn open(dir: &Path, network: Network) -> Result<Opened, StorageError> {
        Self::open_with(dir, network, Options::default())
    }

    /// As [`Store::open`].
    pub fn open_with(
        dir: &Path,
        network: Network,
        options: Options,
    ) -> Result<Opened, StorageError> {
        fs::create_dir_all(dir).map_err(|source| io_error("creating", dir, source))?;
        let lock = Lock::take(dir)?;
        let log = Log::open(dir, network, options.log_file_bytes)?;
        let path = dir.join("index");
        if options.reindex {
            refuse_if_pruned(dir, &log)?;
            index::remove(&path)?;
        }
        let index = match Index::open(&path, network).and_then(|index| check(network, &log, index))
        {
            Ok(index) => index,
            Err(StorageError::Damaged(why)) => {
                refuse_if_pruned(dir, &log)?;
                tracing::error!("the index will be made again from the block log: {why}");
                index::set_aside(&path)?;
                Index::open(&path, network)?
            }
            Err(error) => return Err(error),
        };
        let pruned = index.pruned()?;
        log.check_first(pruned.map_or(0, |pruned| pruned.file))?;
        let mark = index.mark()?;
        log.settle(position_after(mark.as_ref()))?;
        let rebuild = mark.is_none() && !log.is_empty();
        let store = Store {
            log,
            index,
            mark: Mutex::new(mark),
            options,
            first_block: AtomicU32::new(pruned.map_or(0, |pruned| pruned.height)),
            prune_look: Mutex::default(),
            broken: AtomicBool::new(false),
            _lock: lock,
        };
        Ok(Opened { store, rebuild })
    }

    /// Calls `each` with every block of the log that the index does not refer to, in the order in
    /// which they were appended: all of them after the index was lost, else those of commits that a
    /// crash has undone (usually none).
    ///
    /// `each` may read from the store and commit to it. Damaged places are logged, counted and
    /// passed over; what follows them is still handed out.
    pub fn replay<E: From<StorageError>>(
        &self,
        mut each: impl FnMut(BlockLocation, &[u8]) -> Result<(), E>,
    ) -> Result<Replayed, E> {
        let start = position_after(self.mark().as_ref());
        let mut replayed = Replayed { blocks: 0, damaged: 0 };
        let mut walk = self.log.walk(start);
        while let Some(step) = walk.next()? {
            match step {
                log::Step::Block(at, block) => {
                    replayed.blocks += 1;
                    each(at, &block)?;
                }
                log::Step::Damage(damage) => {
                    replayed.damaged += 1;
                    tracing::error!("passed over in the block log: {damage}");
                }
            }
        }
        Ok(replayed)
    }

    fn mark(&self) -> MutexGuard<'_, Option<Mark>> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a failed write or sync nobody knows what the disk holds (a second fdatasync proves
    /// nothing), so nothing more is written or acknowledged. What was acknowledged is there when
    /// the store is opened again.
    fn check_usable(&self) -> Result<(), StorageError> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StorageError::Io {
            what: "the store writes nothing more after an earlier error: see to the disk and start again"
                .into(),
            source: io::Error::other("a write failed before"),
        })
    }

    fn breaking<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if result.is_err() {
            self.broken.store(true, Ordering::Release);
        }
        result
    }
}

/// Whether the index belongs to this log: the block that it last referred to must be there.
fn check(network: Network, log: &Log, index: Index) -> Result<Index, StorageError> {
    let Some(mark) = index.mark()? else { return Ok(index) };
    match log.block_id(network, mark.at)? {
        log::Found::Block(id) if id == mark.id => Ok(index),
        log::Found::Block(_) => {
            Err(StorageError::Damaged("the index is of another block log".into()))
        }
        log::Found::Beyond => {
            Err(StorageError::Damaged("the block log ends before what the index refers to".into()))
        }
        log::Found::Damaged(why) => {
            // The block is lost, and with it only the block: making the index again would lose its
            // entries too.
            tracing::error!("the last block of the log is damaged, the index is not: {why}");
            Ok(index)
        }
    }
}

/// Nothing can be made again from a log whose beginning is gone.
fn refuse_if_pruned(dir: &Path, log: &Log) -> Result<(), StorageError> {
    if log.first_file() == 0 {
        return Ok(());
    }
    Err(StorageError::Refused(format!(
        "the index in {} is damaged or to be made again, and cannot be: old blocks are not there. \
         Move the directory away and start again; the chain is fetched from peers",
        dir.display()
    )))
}

fn position_after(mark: Option<&Mark>) -> Position {
    mark.map_or(Position::START, |mark| Position::after(mark.at))
}

impl Drop for Store {
    /// What the index still holds is written: the log must not be behind it.
    fn drop(&mut self) {
        if let Err(error) = self.log.sync() {
            tracing::error!("the block log could not be synced: {error}");
        } else if !self.broken.load(Ordering::Acquire)
            && let Err(error) = self.index.settle()
        {
            tracing::error!("the index could not be written: {error}");
        }
    }
}

impl Storage for Store {
    fn append(&self, block: &[u8]) -> Result<BlockLocation, StorageError> {
        self.check_usable()?;
        self.log.append(block)
    }

    fn block(&self, at: BlockLocation) -> Result<Vec<u8>, StorageError> {
        self.log.block(at).map_err(|error| {
            let pruned = at.file < self.log.first_file();
            if pruned {
                StorageError::Pruned(self.first_block.load(Ordering::Acquire))
            } else {
                error
            }
        })
    }

    fn commit(&self, changes: Vec<Change>, durable: bool) -> Result<(), StorageError> {
        let mut mark = self.mark();
        self.check_usable()?;
        let mut rows = self.index.rows(changes)?;
        let advance = rows.last_block.filter(|last| last.is_after(mark.as_ref()));
        if let Some(last) = &advance {
            rows.put_mark(last);
        }
        if durable {
            self.breaking(self.log.sync())?;
        }
        self.breaking(self.index.apply(rows))?;
        *mark = advance.or(*mark);
        if durable {
            self.breaking(self.index.sync())?;
            self.breaking(self.archive_and_prune())?;
        }
        Ok(())
    }

    fn first_block(&self) -> Result<u32, StorageError> {
        Ok(self.first_block.load(Ordering::Acquire))
    }

    fn tip(&self) -> Result<Option<Hash>, StorageError> {
        self.index.tip()
    }

    fn active(&self, height: u32) -> Result<Option<Hash>, StorageError> {
        self.index.active(height)
    }

    fn header(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        self.index.header(id)
    }

    fn headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        self.index.headers_from(height)
    }

    fn side_headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        self.index.side_headers_from(height)
    }

    fn entry(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        self.index.entry(key)
    }

    fn entries(&self, each: &mut dyn FnMut(Hash, &[u8])) -> Result<(), StorageError> {
        self.index.entries(each)
    }

    fn undo(&self, height: u32, key: &Hash) -> Result<Option<Option<Vec<u8>>>, StorageError> {
        self.index.undo(height, key)
    }

    fn undo_of(&self, height: u32) -> Result<Vec<Before>, StorageError> {
        self.index.undo_of(height)
    }

    fn touched(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        self.index.touched(key)
    }

    fn history(&self, position: u64) -> Result<Option<HistoryNode>, StorageError> {
        self.index.history(position)
    }

    fn following(&self) -> Result<Option<Following>, StorageError> {
        self.index.following()
    }

    fn pending(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        self.index.pending()
    }
}
