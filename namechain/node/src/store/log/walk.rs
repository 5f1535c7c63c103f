//! Going through the log from record to record.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    position::{Position, file_path},
    record::{self, FILE_HEADER_BYTES, RECORD_HEADER_BYTES, RECORD_MAGIC},
};
use crate::store::error::io_error;
use namechain_core::chain::{BlockLocation, StorageError};

/// What is met on the way.
#[derive(Debug)]
pub(crate) enum Step {
    /// A block.
    Block(BlockLocation, Vec<u8>),
    /// Bytes that are no record.
    Damage(Damage),
}

/// A place in the log that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    path: PathBuf,
    offset: u64,
    bytes: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes at offset {} of {} are damaged",
            self.bytes,
            self.offset,
            self.path.display()
        )
    }
}

/// Goes through the records between two positions, holding one block at a time.
pub(crate) struct Walk {
    dir: PathBuf,
    next: Position,
    end: Position,
    reader: Option<FileReader>,
}

struct FileReader {
    file: BufReader<File>,
    path: PathBuf,
    number: u32,
    /// Where the file ends, as far as the walk goes.
    len: u64,
}

impl Walk {
    pub(super) fn new(dir: &Path, next: Position, end: Position) -> Self {
        Walk { dir: dir.into(), next, end, reader: None }
    }

    /// The next step; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, StorageError> {
        while self.next.file <= self.end.file {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                closed => {
                    let end = (self.next.file == self.end.file).then_some(self.end.offset);
                    closed.insert(FileReader::open(&self.dir, self.next.file, end)?)
                }
            };
            if self.next.offset >= reader.len {
                self.next = Position { file: self.next.file + 1, offset: FILE_HEADER_BYTES as u64 };
                self.reader = None;
                continue;
            }
            let offset = self.next.offset;
            let step =
                reader.step(offset).map_err(|source| io_error("reading", &reader.path, source))?;
            self.next.offset = match &step {
                Step::Block(at, _) => Position::after(*at).offset,
                Step::Damage(damage) => damage.offset + damage.bytes,
            };
            return Ok(Some(step));
        }
        Ok(None)
    }
}

impl FileReader {
    fn open(dir: &Path, number: u32, end: Option<u64>) -> Result<Self, StorageError> {
        let path = file_path(dir, number);
        let open = || {
            let file = File::open(&path)?;
            let len = end.map_or_else(|| file.metadata().map(|data| data.len()), Ok)?;
            Ok((BufReader::new(file), len))
        };
        let (file, len) = open().map_err(|source| io_error("reading", &path, source))?;
        Ok(FileReader { file, path, number, len })
    }

    fn step(&mut self, offset: u64) -> io::Result<Step> {
        if let Some(step) = self.block(offset)? {
            return Ok(step);
        }
        let mut end = offset + 1;
        while let Some(found) = self.find_magic(end)? {
            if self.block(found)?.is_some() {
                return Ok(self.damage(offset, found));
            }
            end = found + 1;
        }
        Ok(self.damage(offset, self.len))
    }

    fn damage(&self, offset: u64, end: u64) -> Step {
        Step::Damage(Damage { path: self.path.clone(), offset, bytes: end - offset })
    }

    fn block(&mut self, offset: u64) -> io::Result<Option<Step>> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut within = (&mut self.file).take(self.len - offset);
        let block = record::read(&mut within, self.number, offset)?;
        Ok(block.map(|block| {
            Step::Block(BlockLocation { file: self.number, offset, len: block.len() as u32 }, block)
        }))
    }

    /// Where a record may begin, at `start` or after it.
    fn find_magic(&mut self, start: u64) -> io::Result<Option<u64>> {
        if start + RECORD_HEADER_BYTES as u64 > self.len {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(start))?;
        let mut window = [0; RECORD_MAGIC.len()];
        for (read, byte) in (&mut self.file).take(self.len - start).bytes().enumerate() {
            window.rotate_left(1);
            window[RECORD_MAGIC.len() - 1] = byte?;
            let read = read + 1;
            if window == RECORD_MAGIC && read >= RECORD_MAGIC.len() {
                return Ok(Some(start + (read - RECORD_MAGIC.len()) as u64));
            }
        }
        Ok(None)
    }
}
