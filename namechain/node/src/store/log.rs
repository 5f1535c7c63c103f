//! The block log: every block that was taken, in the order in which it was, in files of a bounded
//! size.
//!
//! ```text
//! file:   | "NCBLOCKS" 8 | format u32 | network 4 | number of the file u32 | digest 16 | records |
//! record: | "NCBK" 4     | len u32    | digest 16 | block, len bytes |
//! ```
//!
//! A file's digest is over the bytes before it; these 36 bytes stay as they are in every format. A
//! record's digest is over the number of the file, the offset of the record and the block, so that
//! a record counts only where it was written. Both are BLAKE2b-128 (RFC 7693), which the chain has
//! at hand: a 32-bit sum would miss one damage in four billion, and could be steered by whoever
//! chooses what is in a block. Against the fdatasync it costs nothing.

mod position;
mod record;
mod walk;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::error::io_error;
use namechain_core::{
    chain::{BlockLocation, StorageError},
    codec::Decode,
    types::{HEADER_BYTES, Hash, Header, MAX_BLOCK_BYTES, Network},
};
pub(super) use position::Position;
use position::file_path;
pub(super) use record::digest;
use record::{FILE_HEADER_BYTES, FileHeader, RECORD_HEADER_BYTES};
pub(super) use walk::{Step, Walk};

/// The version of the log's files: 1 had blocks of protocol 1.
const FORMAT: u32 = 2;

/// What stands where a block should be.
#[derive(Debug)]
pub(super) enum Found {
    /// A block, with this id.
    Block(Hash),
    /// Nothing: the log ends before.
    Beyond,
    /// Something that is not a block.
    Damaged(StorageError),
}

/// The block log of one store.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    header: FileHeader,
    file_bytes: u64,
    /// The first file that is left.
    first: AtomicU32,
    end: Mutex<End>,
}

/// Where the log goes on.
#[derive(Debug)]
struct End {
    /// The last file.
    file: File,
    number: u32,
    /// The end of its last record.
    offset: u64,
    /// Whether something was written since the last sync.
    dirty: bool,
}

impl Log {
    /// Opens the log in `dir` or begins one. [`Log::settle`] must follow.
    pub(super) fn open(
        dir: &Path,
        network: Network,
        file_bytes: u64,
    ) -> Result<Self, StorageError> {
        let header = FileHeader { format: FORMAT, network: network.magic() };
        let files = find_files(dir)?;
        if files.is_empty() {
            create_file(dir, header, 0)?;
        }
        let (first, last) = (first_without_gap(&files), files.last().copied().unwrap_or(0));
        for number in first..=last {
            let path = file_path(dir, number);
            let mut file = open_file(&path)?;
            let len = file.metadata().map_err(|source| io_error("reading", &path, source))?.len();
            if number == last && len <= FILE_HEADER_BYTES as u64 {
                // A crash while it was made: it can't hold a block yet.
                create_file(dir, header, number)?;
                continue;
            }
            let mut bytes = [0; FILE_HEADER_BYTES];
            file.read_exact(&mut bytes).map_err(|source| io_error("reading", &path, source))?;
            header.check(&bytes, number, &path)?;
        }
        let path = file_path(dir, last);
        let file = open_file(&path)?;
        let offset = file.metadata().map_err(|source| io_error("reading", &path, source))?.len();
        let end = Mutex::new(End { file, number: last, offset, dirty: false });
        Ok(Log { dir: dir.into(), header, file_bytes, first: AtomicU32::new(first), end })
    }

    /// The first file that is left.
    pub(super) fn first_file(&self) -> u32 {
        self.first.load(Ordering::Acquire)
    }

    /// The last file.
    pub(super) fn last_file(&self) -> u32 {
        self.end().number
    }

    /// The number of bytes of the log's files, by number.
    pub(super) fn file_sizes(&self) -> Result<Vec<(u32, u64)>, StorageError> {
        let end = self.end();
        let mut sizes = Vec::new();
        for number in self.first_file()..end.number {
            let path = file_path(&self.dir, number);
            let data = fs::metadata(&path).map_err(|source| io_error("reading", &path, source))?;
            sizes.push((number, data.len()));
        }
        sizes.push((end.number, end.offset));
        Ok(sizes)
    }

    /// Deletes the files before `first`. What is read of them from now on is not there.
    pub(super) fn delete_before(&self, first: u32) -> Result<(), StorageError> {
        let first = first.min(self.end().number);
        self.delete(self.first.fetch_max(first, Ordering::AcqRel)..first)
    }

    fn delete(&self, numbers: impl Iterator<Item = u32>) -> Result<(), StorageError> {
        for number in numbers {
            let path = file_path(&self.dir, number);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("removing", &path, source));
                }
                _ => tracing::info!("pruned {}", path.display()),
            }
        }
        sync_dir(&self.dir).map_err(|source| io_error("syncing", &self.dir, source))
    }

    /// Compares the files that are there with the first that should be: all older ones were pruned,
    /// and those that a crash has left are deleted.
    pub(super) fn check_first(&self, expected: u32) -> Result<(), StorageError> {
        let files = find_files(&self.dir)?;
        if let Some(missing) = (expected..self.first_file()).find(|number| !files.contains(number))
        {
            return Err(StorageError::Damaged(format!(
                "{} is missing: put it back, or begin anew in an empty directory",
                file_path(&self.dir, missing).display()
            )));
        }
        let last = self.end().number;
        let left = files.into_iter().filter(|number| *number < expected.min(last));
        self.delete(left)?;
        self.first.fetch_max(expected.min(last), Ordering::AcqRel);
        Ok(())
    }

    /// Finds the end of the log, going through the last file from `known`, up to which all is known
    /// to be there. What a crash left of a record that was being written is cut off.
    pub(super) fn settle(&self, known: Position) -> Result<(), StorageError> {
        let mut end = self.end();
        let start = Position { file: end.number, offset: FILE_HEADER_BYTES as u64 };
        let start =
            if known.file == end.number && known.offset > start.offset { known } else { start };
        let mut walk =
            Walk::new(&self.dir, start, Position { file: end.number, offset: end.offset });
        let mut settled = start.offset;
        while let Some(step) = walk.next()? {
            match step {
                Step::Block(at, _) => settled = Position::after(at).offset,
                // What matters is whether there is a block behind it: if so, the walk comes to it.
                Step::Damage(damage) => tracing::warn!("in the block log: {damage}"),
            }
        }
        if settled < end.offset {
            let path = file_path(&self.dir, end.number);
            tracing::warn!(
                "cutting {} bytes of an unfinished record off {} at offset {settled}",
                end.offset - settled,
                path.display()
            );
            let cut = end.file.set_len(settled).and_then(|()| end.file.sync_data());
            cut.map_err(|source| io_error("truncating", &path, source))?;
            end.offset = settled;
        }
        Ok(())
    }

    /// Whether no block was ever appended.
    pub(super) fn is_empty(&self) -> bool {
        let end = self.end();
        end.number == self.first_file() && end.offset == FILE_HEADER_BYTES as u64
    }

    /// Appends a block. An append that fails leaves the log as it was.
    pub(super) fn append(&self, block: &[u8]) -> Result<BlockLocation, StorageError> {
        let len = match u32::try_from(block.len()) {
            Ok(len) if (1..=MAX_BLOCK_BYTES).contains(&block.len()) => len,
            _ => {
                let bytes = block.len();
                return Err(StorageError::Refused(format!(
                    "no block has {bytes} bytes: it is not kept"
                )));
            }
        };
        let mut end = self.end();
        let next = end.offset + (RECORD_HEADER_BYTES + block.len()) as u64;
        if next > self.file_bytes && end.offset > FILE_HEADER_BYTES as u64 {
            self.roll(&mut end)?;
        }
        let at = BlockLocation { file: end.number, offset: end.offset, len };
        let record = record::encode(at, block);
        end.dirty = true;
        let start = SeekFrom::Start(at.offset);
        if let Err(source) = end.file.seek(start).and_then(|_| end.file.write_all(&record)) {
            // Should this fail too, the next append writes over what is there, or the next opening
            // cuts it off.
            if let Err(error) = end.file.set_len(at.offset) {
                tracing::warn!("a failed append could not be taken back: {error}");
            }
            return Err(io_error("appending to", &file_path(&self.dir, at.file), source));
        }
        end.offset += record.len() as u64;
        Ok(at)
    }

    /// Goes on in a new file. The old one is synced: only the last file can be unfinished after a
    /// crash.
    fn roll(&self, end: &mut End) -> Result<(), StorageError> {
        self.sync_end(end)?;
        let number = end.number.checked_add(1).ok_or_else(|| {
            StorageError::Refused(format!(
                "the block log in {} has no more files",
                self.dir.display()
            ))
        })?;
        create_file(&self.dir, self.header, number)?;
        let file = open_file(&file_path(&self.dir, number))?;
        *end = End { file, number, offset: FILE_HEADER_BYTES as u64, dirty: false };
        Ok(())
    }

    /// Returns once every appended block is on the disk.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.sync_end(&mut self.end())
    }

    fn sync_end(&self, end: &mut End) -> Result<(), StorageError> {
        if end.dirty {
            let synced = end.file.sync_data();
            synced
                .map_err(|source| io_error("syncing", &file_path(&self.dir, end.number), source))?;
            end.dirty = false;
        }
        Ok(())
    }

    /// Reads a block.
    pub(super) fn block(&self, at: BlockLocation) -> Result<Vec<u8>, StorageError> {
        let path = file_path(&self.dir, at.file);
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(at.offset))?;
            record::read(&mut file, at.file, at.offset)
        };
        let block = match read() {
            Ok(block) => block,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(io_error("reading", &path, source)),
        };
        match block {
            Some(block) if block.len() as u64 == u64::from(at.len) => Ok(block),
            _ => Err(StorageError::Damaged(format!(
                "{} holds no intact block of {} bytes at offset {}",
                path.display(),
                at.len,
                at.offset
            ))),
        }
    }

    /// The id of the block that stands at `at`, if one does.
    pub(super) fn block_id(
        &self,
        network: Network,
        at: BlockLocation,
    ) -> Result<Found, StorageError> {
        let (file, offset) = {
            let end = self.end();
            (end.number, end.offset)
        };
        let after = Position::after(at);
        if (after.file, after.offset) > (file, offset) {
            return Ok(Found::Beyond);
        }
        let block = match self.block(at) {
            Ok(block) => block,
            Err(error @ StorageError::Damaged(_)) => return Ok(Found::Damaged(error)),
            Err(error) => return Err(error),
        };
        let header = block.get(..HEADER_BYTES).map(Header::from_bytes);
        Ok(match header {
            Some(Ok(header)) => Found::Block(header.id(network)),
            _ => Found::Damaged(StorageError::Damaged(
                "a record of the block log holds no block".into(),
            )),
        })
    }

    /// Goes through the log from `start` to where it ends now.
    pub(super) fn walk(&self, start: Position) -> Walk {
        let end = self.end();
        Walk::new(&self.dir, start, Position { file: end.number, offset: end.offset })
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_file(path: &Path) -> Result<File, StorageError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map_err(|source| io_error("opening", path, source))
}

/// The numbers of the log's files, in order.
fn find_files(dir: &Path) -> Result<Vec<u32>, StorageError> {
    let reading = |source| io_error("reading", dir, source);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(reading)? {
        let name = entry.map_err(reading)?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("blocks-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first of the files up to the last that has no gap behind it.
fn first_without_gap(files: &[u32]) -> u32 {
    let follows = |pair: &&[u32]| pair[0] + 1 == pair[1];
    let run = files.windows(2).rev().take_while(follows).count();
    files.len().checked_sub(run + 1).map_or(0, |at| files[at])
}

/// Makes an empty file of the log that is certain to be there after a crash.
fn create_file(dir: &Path, header: FileHeader, number: u32) -> Result<(), StorageError> {
    let path = file_path(dir, number);
    let create = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        file.write_all(&header.encode(number))?;
        file.sync_all()?;
        sync_dir(dir)
    };
    create().map_err(|source| io_error("creating", &path, source))
}

/// Makes the names of new files durable. Windows has no such call and needs none.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// What file 0 begins with in a format that is `later` than this one.
#[cfg(test)]
pub(super) fn file_header_of_format(network: Network, later: i32) -> Vec<u8> {
    let format = FORMAT.checked_add_signed(later).unwrap();
    FileHeader { format, network: network.magic() }.encode(0)
}
