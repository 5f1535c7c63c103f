//! What is done now and then after a durable commit: headers that are deep enough are archived, and
//! the oldest files of the block log are deleted if it is larger than it may be.
//!
//! Pruning is durable before it begins: the index says which files are left, and only then the
//! others are deleted. A crash in between leaves files that the next opening deletes.

use std::sync::{PoisonError, atomic::Ordering};

use super::{Store, layout::Pruned};
use namechain_core::chain::{Storage, StorageError};

/// How many blocks come between two looks at the log's size, if it does not begin a new file.
const PRUNE_EVERY: u32 = 256;

/// When it was looked whether something is to be pruned: at the log's last file, and the height of
/// the tip.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    file: u32,
    tip: u32,
}

impl Store {
    /// To be called when everything that was committed is on the disk.
    pub(super) fn archive_and_prune(&self) -> Result<(), StorageError> {
        let Some(tip) = self.index.tip()? else { return Ok(()) };
        let Some(tip) = self.index.header(&tip)?.map(|tip| tip.header.height) else {
            return Ok(());
        };
        let depth = self.options.archive_depth;
        // As many at once as stay: each time costs a few syncs.
        if tip.saturating_sub(self.index.archived()) >= depth.saturating_mul(2) {
            self.index.archive_below(tip - depth)?;
        }
        let Some(target) = self.options.prune_bytes else { return Ok(()) };
        let look = Look { file: self.log.last_file(), tip };
        let mut last = self.prune_look.lock().unwrap_or_else(PoisonError::into_inner);
        if look.file == last.file && tip < last.tip.saturating_add(PRUNE_EVERY) && last.tip <= tip {
            return Ok(());
        }
        *last = look;
        self.prune(target, tip)
    }

    /// Deletes the oldest files of the log until it has at most `target` bytes, as far as no block
    /// of the last ones is in them, on whatever branch.
    fn prune(&self, target: u64, tip: u32) -> Result<(), StorageError> {
        let sizes = self.log.file_sizes()?;
        let mut bytes: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        let Some(lowest) = tip.checked_sub(self.options.blocks_kept) else { return Ok(()) };
        let mut first = self.log.first_file();
        let kept = self.first_needed_file(lowest)?;
        for (number, size) in sizes {
            if bytes <= target || number >= kept {
                break;
            }
            (first, bytes) = (number + 1, bytes - size);
        }
        if first == self.log.first_file() {
            return Ok(());
        }
        let height = self.first_height_in(first, lowest)?;
        self.index.set_pruned(Pruned { file: first, height })?;
        self.first_block.store(height, Ordering::Release);
        tracing::info!("blocks below height {height} are pruned");
        // The next opening tries again what does not work now.
        if let Err(error) = self.log.delete_before(first) {
            tracing::error!("old blocks could not be deleted: {error}");
        }
        Ok(())
    }

    /// The first file with a block at `lowest` or above, of whatever branch.
    fn first_needed_file(&self, lowest: u32) -> Result<u32, StorageError> {
        let sides = self.index.side_headers_from(lowest)?.into_iter().map(|stored| stored.at);
        // A block comes after its parent: of the best chain the lowest block is the first.
        let best = self.best_header(lowest)?;
        let places = sides.chain(best.map(|stored| stored.at)).filter(|at| at.len > 0);
        Ok(places.map(|at| at.file).min().unwrap_or(0))
    }

    /// The height of the best chain's first block in file `first` or a later one; it is at most
    /// `high`, whose block is in one.
    fn first_height_in(&self, first: u32, high: u32) -> Result<u32, StorageError> {
        let (mut low, mut high) = (self.first_block()?, high);
        while low < high {
            let middle = low + (high - low) / 2;
            let before = self.best_header(middle)?.is_none_or(|stored| stored.at.file < first);
            (low, high) = if before { (middle + 1, high) } else { (low, middle) };
        }
        Ok(low)
    }

    fn best_header(
        &self,
        height: u32,
    ) -> Result<Option<namechain_core::chain::StoredHeader>, StorageError> {
        self.index.active(height)?.map_or(Ok(None), |id| self.index.header(&id))
    }
}
