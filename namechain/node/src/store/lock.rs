//! The lock that keeps two processes from using one directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use super::error::io_error;
use namechain_core::chain::StorageError;

/// Held for as long as the store is open. The operating system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `dir`.
    pub(super) fn take(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| io_error("opening", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StorageError::Refused(format!(
                "another process uses {}: stop it, or choose another directory with --data-dir",
                dir.display()
            ))),
            Err(TryLockError::Error(source)) => Err(io_error("locking", &path, source)),
        }
    }
}
