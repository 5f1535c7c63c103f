//! Errors of the disk.

use std::{io, path::Path};

use namechain_core::chain::StorageError;

/// What could not be done with which file, and why.
pub(super) fn io_error(doing: &str, path: &Path, source: io::Error) -> StorageError {
    StorageError::Io { what: format!("{doing} {}", path.display()), source }
}
