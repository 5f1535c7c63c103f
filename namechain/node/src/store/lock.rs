//! The lock that keeps two processes from using one directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

use super::error::io_error;
use namechain_core::chain::StorageError;

/// How often a lock that is held is tried again, and the time in between.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

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
        let mut tries = 0;
        let locked = loop {
            match file.try_lock() {
                // A process that is being started by the one that has just let go of it holds it
                // for a moment longer.
                Err(TryLockError::WouldBlock) if tries < TRIES => tries += 1,
                locked => break locked,
            }
            thread::sleep(BETWEEN_TRIES);
        };
        match locked {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StorageError::Refused(format!(
                "another process uses {}: stop it, or choose another directory with --data-dir",
                dir.display()
            ))),
            Err(TryLockError::Error(source)) => Err(io_error("locking", &path, source)),
        }
    }
}
