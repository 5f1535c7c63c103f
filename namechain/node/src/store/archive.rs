//! The best chain's older headers, and the older nodes of the history range: flat files beside the
//! index, with a record of one size for each height and each position. They don't grow the
//! database, so that opening a store takes as long after a million blocks as after ten thousand.
//!
//! ```text
//! index/archive-headers  height * 248   | header 168 | id 32 | work u128 | file u32, offset u64, len u32 | digest 16 |
//! index/archive-nodes    position * 96  | hash 32 | work u128 | first time, due, last time, due u64 | digest 16 |
//! index/archive-ids      height * 4     | the id's first 4 bytes |
//! ```
//!
//! How many heights count is a row of the index. Records are written and synced before that row
//! says so and the index's own rows go, and never written over while it does: a crash in between
//! leaves rows that are there twice, or records that don't count.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    error::io_error,
    layout::{decode_at, encode_at},
    log::digest,
};
use namechain_core::{
    chain::{StorageError, StoredHeader},
    codec::{Decode, DecodeError, Encode, Reader},
    consensus::{HistoryNode, history::Timing},
    types::{HEADER_BYTES, Hash, Header},
};

const DIGEST_BYTES: usize = 16;
const HEADER_RECORD_BYTES: usize = HEADER_BYTES + 32 + 16 + 16 + DIGEST_BYTES;
const NODE_RECORD_BYTES: usize = 32 + 16 + 4 * 8 + DIGEST_BYTES;
const ID_BYTES: usize = 4;

/// How many nodes a history range of `leaves` leaves has.
pub(super) fn node_count(leaves: u32) -> u64 {
    2 * u64::from(leaves) - u64::from(leaves.count_ones())
}

/// Headers and nodes that are not in the index any more.
pub(super) struct Archive {
    headers: FlatFile,
    nodes: FlatFile,
    ids: FlatFile,
    /// How many heights count, from 0 on.
    len: AtomicU32,
    /// The ids' first bytes, each with its height, sorted. Made when an id is first looked for.
    by_id: Mutex<Option<Vec<u64>>>,
}

/// A file of records of one size.
struct FlatFile {
    path: PathBuf,
    file: Mutex<File>,
    record_bytes: usize,
}

impl Archive {
    /// Opens the archive in the index's directory; `len` heights count.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if it has not as many.
    pub(super) fn open(index: &Path, len: u32) -> Result<Self, StorageError> {
        let file = |name, record_bytes| FlatFile::open(index.join(name), record_bytes);
        let archive = Archive {
            headers: file("archive-headers", HEADER_RECORD_BYTES)?,
            nodes: file("archive-nodes", NODE_RECORD_BYTES)?,
            ids: file("archive-ids", ID_BYTES)?,
            len: AtomicU32::new(len),
            by_id: Mutex::default(),
        };
        let counts = [
            (&archive.headers, u64::from(len)),
            (&archive.nodes, node_count(len)),
            (&archive.ids, u64::from(len)),
        ];
        for (file, expected) in counts {
            file.check_holds(expected)?;
        }
        Ok(archive)
    }

    /// How many heights are here, from 0 on.
    pub(super) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// Writes records of the heights from [`Archive::len`] on, and of the nodes that belong to
    /// them. They count after [`Archive::set_len`].
    pub(super) fn append(
        &self,
        headers: &[StoredHeader],
        nodes: &[HistoryNode],
    ) -> Result<(), StorageError> {
        let from = self.len();
        let heights = || (u64::from(from)..).zip(headers);
        let records = heights().flat_map(|(height, stored)| header_record(height, stored));
        self.headers.write(from.into(), &records.collect::<Vec<u8>>())?;
        let first_node = node_count(from);
        let records = (first_node..).zip(nodes).flat_map(|(at, node)| node_record(at, node));
        self.nodes.write(first_node, &records.collect::<Vec<u8>>())?;
        let ids = headers.iter().flat_map(|stored| prefix(&stored.id).to_be_bytes());
        self.ids.write(from.into(), &ids.collect::<Vec<u8>>())?;
        let mut by_id = self.by_id();
        if let Some(sorted) = &mut *by_id {
            sorted.extend(heights().map(|(height, stored)| key(prefix(&stored.id), height as u32)));
            sorted.sort();
        }
        Ok(())
    }

    /// Says how many heights count from now on.
    pub(super) fn set_len(&self, len: u32) {
        let before = self.len.swap(len, Ordering::AcqRel);
        if len < before
            && let Some(sorted) = &mut *self.by_id()
        {
            sorted.retain(|key| (*key as u32) < len);
        }
    }

    /// The best chain's header at `height`, if it is here.
    pub(super) fn header(&self, height: u32) -> Result<Option<StoredHeader>, StorageError> {
        if height >= self.len() {
            return Ok(None);
        }
        let record = self.headers.read(height.into())?;
        let stored = read_header(&record).map_err(|error| self.headers.damaged(error))?;
        Ok(Some(stored))
    }

    /// The header with this id, if it is here.
    pub(super) fn header_of(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        for height in self.heights_of(prefix(id))? {
            if let Some(stored) = self.header(height)?.filter(|stored| stored.id == *id) {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// The node at `position`, if it is here.
    pub(super) fn node(&self, position: u64) -> Result<Option<HistoryNode>, StorageError> {
        if position >= node_count(self.len()) {
            return Ok(None);
        }
        let record = self.nodes.read(position)?;
        read_node(&record).map(Some).map_err(|error| self.nodes.damaged(error))
    }

    /// The heights of the headers whose ids begin so: rarely more than one.
    fn heights_of(&self, prefix: u32) -> Result<Vec<u32>, StorageError> {
        let mut by_id = self.by_id();
        let sorted = match &mut *by_id {
            Some(sorted) => sorted,
            none => none.insert(self.sort_ids()?),
        };
        let first = sorted.partition_point(|other| *other < key(prefix, 0));
        let same = sorted[first..].iter().take_while(|other| (**other >> 32) as u32 == prefix);
        Ok(same.map(|other| *other as u32).collect())
    }

    fn sort_ids(&self) -> Result<Vec<u64>, StorageError> {
        let bytes = self.ids.read_all(self.len().into())?;
        let prefixes =
            bytes.chunks_exact(ID_BYTES).map(|id| u32::from_be_bytes([id[0], id[1], id[2], id[3]]));
        let mut sorted: Vec<u64> =
            prefixes.zip(0..).map(|(prefix, height)| key(prefix, height)).collect();
        sorted.sort_unstable();
        Ok(sorted)
    }

    fn by_id(&self) -> MutexGuard<'_, Option<Vec<u64>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlatFile {
    fn open(path: PathBuf, record_bytes: usize) -> Result<Self, StorageError> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| io_error("opening", &path, source))?;
        Ok(FlatFile { path, file: Mutex::new(file), record_bytes })
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_holds(&self, records: u64) -> Result<(), StorageError> {
        let data = self.file().metadata();
        let len = data.map_err(|source| io_error("reading", &self.path, source))?.len();
        if len >= records * self.record_bytes as u64 {
            return Ok(());
        }
        let path = self.path.display();
        Err(StorageError::Damaged(format!("{path} ends before record {records}")))
    }

    /// Writes records from number `first` on, and returns once they are on the disk.
    fn write(&self, first: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut file = self.file();
        let start = SeekFrom::Start(first * self.record_bytes as u64);
        let written =
            file.seek(start).and_then(|_| file.write_all(bytes)).and_then(|()| file.sync_data());
        written.map_err(|source| io_error("writing", &self.path, source))
    }

    /// Reads the record with a number, but for its digest, which is checked.
    fn read(&self, number: u64) -> Result<Vec<u8>, StorageError> {
        let mut record = self.read_bytes(number, self.record_bytes)?;
        let sum = record.split_off(self.record_bytes - DIGEST_BYTES);
        if record_digest(number, &record) != sum[..] {
            return Err(self.damaged(format!("record {number} is not what was written")));
        }
        Ok(record)
    }

    fn read_all(&self, records: u64) -> Result<Vec<u8>, StorageError> {
        self.read_bytes(0, records as usize * self.record_bytes)
    }

    fn read_bytes(&self, first: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![0; len];
        let mut file = self.file();
        let read = file
            .seek(SeekFrom::Start(first * self.record_bytes as u64))
            .and_then(|_| file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(format!("record {first} is missing")))
            }
            Err(source) => Err(io_error("reading", &self.path, source)),
        }
    }

    fn damaged(&self, why: impl std::fmt::Display) -> StorageError {
        StorageError::Damaged(format!("{}: {why}", self.path.display()))
    }
}

fn prefix(id: &Hash) -> u32 {
    u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]])
}

fn key(prefix: u32, height: u32) -> u64 {
    u64::from(prefix) << 32 | u64::from(height)
}

fn record_digest(number: u64, record: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(&[&number.to_be_bytes(), record])
}

fn close(number: u64, mut record: Vec<u8>) -> Vec<u8> {
    let sum = record_digest(number, &record);
    record.extend_from_slice(&sum);
    record
}

/// The record of a header of the best chain.
fn header_record(height: u64, stored: &StoredHeader) -> Vec<u8> {
    let mut record = stored.header.to_bytes();
    stored.id.encode(&mut record);
    record.extend_from_slice(&stored.work.to_be_bytes());
    encode_at(&stored.at, &mut record);
    close(height, record)
}

fn read_header(record: &[u8]) -> Result<StoredHeader, DecodeError> {
    let mut reader = Reader::new(record);
    let (header, id) = (Header::decode(&mut reader)?, Hash::decode(&mut reader)?);
    let (work, at) = (reader.u128()?, decode_at(&mut reader)?);
    reader.finish()?;
    Ok(StoredHeader { id, header, work, at, failed: false })
}

/// The record of a node of the history range.
fn node_record(position: u64, node: &HistoryNode) -> Vec<u8> {
    let mut record = node.hash.to_bytes();
    record.extend_from_slice(&node.work.to_be_bytes());
    for Timing { time, due } in [node.first, node.last] {
        record.extend_from_slice(&time.to_be_bytes());
        record.extend_from_slice(&due.to_be_bytes());
    }
    close(position, record)
}

fn read_node(record: &[u8]) -> Result<HistoryNode, DecodeError> {
    let mut reader = Reader::new(record);
    let (hash, work) = (Hash::decode(&mut reader)?, reader.u128()?);
    let mut timing = || Ok(Timing { time: reader.u64()?, due: reader.u64()? });
    let (first, last) = (timing()?, timing()?);
    reader.finish()?;
    Ok(HistoryNode { hash, work, first, last })
}
