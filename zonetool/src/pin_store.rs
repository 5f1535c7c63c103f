//! The pins of other names, and the letters that were opened: two files per network in the user's
//! data directory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use messaging::{
    Pins, ReplayCache,
    files::{FileError, FileFormat, Stored},
};
use namechain_core::types::Network;

use crate::{
    clock,
    keys::{KeyError, data_directory},
};

/// How often opening a file that another command holds is tried, and the pause in between.
const MAX_TRIES: u32 = 40;
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Where the files of a network are.
#[derive(Debug)]
pub struct PinStore {
    network: Network,
    directory: PathBuf,
}

impl PinStore {
    /// The files of `network` in the user's data directory. Nothing is opened or created yet.
    ///
    /// # Errors
    /// [`KeyError::NoHome`].
    pub fn of(network: Network) -> Result<Self, KeyError> {
        let directory = data_directory()?.join("peers").join(network.as_str());
        Ok(PinStore { network, directory })
    }

    /// The pins.
    ///
    /// # Errors
    /// As [`Stored::open`]; a file that another command has open is waited for, two seconds at
    /// most.
    pub fn pins(&self) -> Result<Stored<Pins>, FileError> {
        self.open(&self.directory.join("pins"))
    }

    /// The letters that were opened.
    ///
    /// # Errors
    /// As [`PinStore::pins`].
    pub fn seen(&self) -> Result<Stored<ReplayCache>, FileError> {
        self.open(&self.directory.join("seen"))
    }

    fn open<T: FileFormat>(&self, path: &Path) -> Result<Stored<T>, FileError> {
        let mut tries = 1;
        loop {
            match Stored::open(path, self.network) {
                Err(FileError::InUse(_)) if tries < MAX_TRIES => {
                    tries += 1;
                    clock::sleep(RETRY_PAUSE);
                }
                opened => return opened,
            }
        }
    }
}
