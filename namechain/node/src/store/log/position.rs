//! Places in the log, and the names of its files.

use std::path::{Path, PathBuf};

use namechain_core::chain::BlockLocation;

use super::record::{FILE_HEADER_BYTES, RECORD_HEADER_BYTES};

/// A place between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Position {
    pub(super) file: u32,
    pub(super) offset: u64,
}

impl Position {
    /// Before the first block.
    pub(in crate::store) const START: Position =
        Position { file: 0, offset: FILE_HEADER_BYTES as u64 };

    /// Its offset in the file, in bytes.
    #[cfg(test)]
    pub(in crate::store) fn offset(self) -> u64 {
        self.offset
    }

    /// After a block.
    pub(in crate::store) fn after(at: BlockLocation) -> Self {
        let offset = at.offset.saturating_add(RECORD_HEADER_BYTES as u64 + u64::from(at.len));
        Position { file: at.file, offset }
    }
}

/// The file with a number.
pub(super) fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("blocks-{number:05}.log"))
}
