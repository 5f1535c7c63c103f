//! Pins and letters seen, kept in files: readable by their owner alone, replaced as a whole, damage
//! noticed.
//!
//! ```text
//! | "NCM" | kind u8: 1 pins, 2 letters seen | version = 1 | network's magic 4 | value | checksum 32 of all before |
//! ```

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use namechain_core::{
    codec::{Decode, DecodeError, Encode},
    types::{Domain, Network, hash},
};
use thiserror::Error;

use crate::{
    envelope::{LetterId, MAX_LETTERS, ReplayCache, ReplayError, ReplayGuard},
    pin::{MAX_PINS, Pins},
};

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 32;

/// A value that is kept in a file.
pub trait FileFormat: Encode + Decode {
    /// The byte that says what the file holds.
    const KIND: u8;
    /// The most bytes of such a file.
    const MAX_BYTES: usize;

    /// What a file that is not there holds.
    fn empty(network: Network) -> Self;

    /// Whether the value can be of this network.
    fn is_of(&self, network: Network) -> bool;
}

impl FileFormat for Pins {
    const KIND: u8 = 1;
    const MAX_BYTES: usize = HEAD_BYTES + 8 + MAX_PINS * (64 + 185) + CHECKSUM_BYTES;

    fn empty(network: Network) -> Self {
        Pins::new(network)
    }

    fn is_of(&self, network: Network) -> bool {
        self.network() == network
    }
}

impl FileFormat for ReplayCache {
    const KIND: u8 = 2;
    const MAX_BYTES: usize = HEAD_BYTES + 4 + MAX_LETTERS * 56 + CHECKSUM_BYTES;

    fn empty(_: Network) -> Self {
        ReplayCache::new()
    }

    fn is_of(&self, _: Network) -> bool {
        true
    }
}

/// A value and the file that it is kept in. While it is there, nobody else can open the file: a
/// lock beside it is held.
#[derive(Debug)]
pub struct Stored<T> {
    network: Network,
    path: PathBuf,
    /// What is kept. Nothing is written before [`Stored::save`].
    pub value: T,
    /// Released when it is closed.
    _lock: File,
}

/// Why a file is not opened or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program has it open.
    #[error("{} is in use by another program", .0.display())]
    InUse(PathBuf),
    /// Others can read or write it.
    #[error("{} can be read or written by others (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not such a file, or was changed.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: DecodeError,
    },
}

impl<T: FileFormat> Stored<T> {
    /// Opens the file, or begins a new one: then its directory is made, for its owner alone.
    ///
    /// # Errors
    /// If it can't be read, is in use, is open to others, or is damaged. A damaged file is not
    /// replaced by an empty one: what was seen would be forgotten.
    pub fn open(path: &Path, network: Network) -> Result<Self, FileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        let lock = lock(path)?;
        let value = match File::open(path) {
            Ok(file) => read(path, file, network)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::empty(network),
            Err(error) => return Err(failed(error)),
        };
        Ok(Stored { network, path: path.to_owned(), value, _lock: lock })
    }

    /// Writes the file: created beside it with mode 0600, synced, renamed over it, the directory
    /// synced.
    ///
    /// # Errors
    /// If the operating system refuses. Then the file is as it was before.
    pub fn save(&self) -> Result<(), FileError> {
        let mut bytes = [b"NCM".as_slice(), &[T::KIND, VERSION], &self.network.magic()].concat();
        self.value.encode(&mut bytes);
        let checksum = checksum::<T>(self.network, &bytes);
        bytes.extend_from_slice(&checksum);
        let temporary = beside(&self.path, ".new");
        let result =
            write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, &self.path));
        if result.is_err() {
            // The error that is reported is the first.
            let _ = fs::remove_file(&temporary);
        }
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        result
            .and_then(|()| File::open(directory.unwrap_or(Path::new(".")))?.sync_all())
            .map_err(|source| FileError::Io { path: self.path.clone(), source })
    }
}

/// Letters are remembered on disk before they are known to be new.
impl ReplayGuard for Stored<ReplayCache> {
    fn record(&mut self, letter: LetterId, expires: u64, now: u64) -> Result<(), ReplayError> {
        self.value.record(letter, expires, now)?;
        self.save().map_err(|_| {
            self.value.forget(&letter);
            ReplayError::NotStored
        })
    }
}

fn checksum<T: FileFormat>(network: Network, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let what =
        if T::KIND == <Pins as FileFormat>::KIND { Domain::Pins } else { Domain::ReplayCache };
    hash(network, what, &[bytes]).0
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn lock(path: &Path) -> Result<File, FileError> {
    let path_of_lock = beside(path, ".lock");
    let open =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path_of_lock);
    let lock = open.map_err(|source| FileError::Io { path: path_of_lock.clone(), source })?;
    lock.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => FileError::InUse(path.to_owned()),
        fs::TryLockError::Error(source) => FileError::Io { path: path_of_lock, source },
    })?;
    Ok(lock)
}

fn read<T: FileFormat>(path: &Path, file: File, network: Network) -> Result<T, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(T::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    parse(&bytes, network).map_err(|why| FileError::Damaged { path: path.to_owned(), why })
}

fn parse<T: FileFormat>(bytes: &[u8], network: Network) -> Result<T, DecodeError> {
    if bytes.len() > T::MAX_BYTES {
        return Err(DecodeError::OverCap {
            what: "its length",
            found: bytes.len(),
            cap: T::MAX_BYTES,
        });
    }
    let (body, found) = bytes
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(DecodeError::Invalid("it is too short"))?;
    let value = body
        .strip_prefix(&[b'N', b'C', b'M', T::KIND, VERSION])
        .ok_or(DecodeError::Invalid("it is no such file, or of another version"))?
        .strip_prefix(&network.magic())
        .ok_or(DecodeError::Invalid("it is of another network"))?;
    if checksum::<T>(network, body) != *found {
        return Err(DecodeError::Invalid("its checksum is wrong"));
    }
    let value = T::from_bytes(value)?;
    if value.is_of(network) {
        Ok(value)
    } else {
        Err(DecodeError::Invalid("it is of another network"))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left behind by a program that was ended; the lock says that it is nobody's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Whatever the umask took away.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use namechain_core::types::PublicKey;

    use super::*;
    use crate::{
        pin::OnKeyChange,
        testing::{NETWORK, Person, World},
    };

    fn pins(path: &Path) -> Result<Stored<Pins>, FileError> {
        Stored::open(path, NETWORK)
    }

    fn pinned(path: &Path) -> Pins {
        let (mut world, alice) = (World::new(), Person::new("alice", 1));
        world.add(&alice);
        let mut stored = pins(path).unwrap();
        stored.value.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse).unwrap();
        stored.save().unwrap();
        stored.value.clone()
    }

    #[test]
    fn pins_are_kept_for_their_owner_alone() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/pins");
        let value = pinned(&path);
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(pins(&path).unwrap().value, value);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 2, "the file and its lock, no temporary file");
        for bits in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            assert!(matches!(pins(&path), Err(FileError::Exposed { mode, .. }) if mode == bits));
        }
    }

    #[test]
    fn one_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("pins");
        let first = pins(&path).unwrap();
        assert!(matches!(pins(&path), Err(FileError::InUse(_))));
        drop(first);
        assert!(pins(&path).is_ok());
    }

    #[test]
    fn what_was_damaged_is_not_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("pins");
        pinned(&path);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(pins(&path), Err(FileError::Damaged { .. })), "byte {at}");
            assert_eq!(fs::read(&path).unwrap(), changed);
        }
        for end in [0, 8, 41, bytes.len() - 1] {
            fs::write(&path, &bytes[..end]).unwrap();
            assert!(matches!(pins(&path), Err(FileError::Damaged { .. })), "cut at {end}");
        }
        fs::write(&path, &bytes).unwrap();
        assert!(pins(&path).is_ok());
        assert!(matches!(
            Stored::<Pins>::open(&path, Network::Test),
            Err(FileError::Damaged { .. })
        ));
        assert!(matches!(
            Stored::<ReplayCache>::open(&path, NETWORK),
            Err(FileError::Damaged { .. })
        ));
    }

    #[test]
    fn a_letter_is_on_disk_before_it_is_new() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("seen");
        let letter = LetterId { sender: PublicKey([1; 32]), id: [2; 16] };
        for expected in [Ok(()), Err(ReplayError::Replayed)] {
            let mut seen = Stored::<ReplayCache>::open(&path, NETWORK).unwrap();
            assert_eq!(seen.record(letter, 100, 50), expected);
        }
        let mut gone = Stored::<ReplayCache>::open(&path, NETWORK).unwrap();
        fs::remove_dir_all(base.path()).unwrap();
        let another = LetterId { id: [3; 16], ..letter };
        for _ in 0..2 {
            assert_eq!(
                gone.record(another, 100, 50),
                Err(ReplayError::NotStored),
                "it can't be written"
            );
        }
    }
}
