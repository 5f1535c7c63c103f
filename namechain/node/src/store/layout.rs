//! Every key and value of the index, on one screen.
//!
//! | row     | key                      | value                                                          |
//! |---------|--------------------------|----------------------------------------------------------------|
//! | format  | `f`                      | format u32, network 4                                          |
//! | tip     | `t`                      | id 32                                                          |
//! | mark    | `m`                      | file u32, offset u64, len u32, id 32: last block referred to   |
//! | following | `l`                    | see `Following`                                                |
//! | active  | `a` height u32           | id 32                                                          |
//! | header  | `h` height u32, id 32    | header 168, work u128, file u32, offset u64, len u32, failed u8 |
//! | height  | `i` id 32                | height u32                                                     |
//! | entry   | `e` key 32               | the entry's bytes                                              |
//! | undo    | `u` height u32, key 32   | 0, or 1 and the entry's bytes                                  |
//! | touched | `c` key 32, height u32 | nothing                                                        |
//! | history | `n` position u64         | hash 32, work u128                                             |
//! | pending | `p` id 32                | the operation's bytes                                          |
//! | archived | `d`                     | height u32: lower ones of the best chain are in the `archive`   |
//! | pruned  | `g`                      | file u32, height u32: the first that are left of the log        |
//!
//! Of what is archived there are no active, header, height and history rows, but of headers of
//! other branches. Integers are big-endian, so that heights sort. Any change here, or of an entry's
//! encoding, is a new [`FORMAT`]: an index of an older one is made again from the log.

use namechain_core::{
    chain::{BlockLocation, StorageError, StoredHeader},
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Hash, Header, Network},
};

/// The version of the index's rows.
pub(super) const FORMAT: u32 = 4;

pub(super) const FORMAT_KEY: &[u8] = b"f";
pub(super) const TIP_KEY: &[u8] = b"t";
pub(super) const MARK_KEY: &[u8] = b"m";
pub(super) const FOLLOWING_KEY: &[u8] = b"l";
pub(super) const ARCHIVED_KEY: &[u8] = b"d";
pub(super) const PRUNED_KEY: &[u8] = b"g";
pub(super) const ENTRIES: &[u8] = b"e";
pub(super) const PENDING: &[u8] = b"p";
/// The first key after all header rows.
pub(super) const HEADERS_END: &[u8] = b"i";

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn active_key(height: u32) -> Vec<u8> {
    key(b'a', &[&height.to_be_bytes()])
}

pub(super) fn header_key(height: u32, id: &Hash) -> Vec<u8> {
    key(b'h', &[&height.to_be_bytes(), &id.0])
}

/// Before the first header row of a height.
pub(super) fn headers_key(height: u32) -> Vec<u8> {
    key(b'h', &[&height.to_be_bytes()])
}

pub(super) fn height_key(id: &Hash) -> Vec<u8> {
    key(b'i', &[&id.0])
}

pub(super) fn entry_key(entry: &Hash) -> Vec<u8> {
    key(b'e', &[&entry.0])
}

pub(super) fn undo_key(height: u32, entry: &Hash) -> Vec<u8> {
    key(b'u', &[&height.to_be_bytes(), &entry.0])
}

/// What all undo keys of a height begin with.
pub(super) fn undo_prefix(height: u32) -> Vec<u8> {
    key(b'u', &[&height.to_be_bytes()])
}

pub(super) fn touched_key(name: &Hash, height: u32) -> Vec<u8> {
    key(b'c', &[&name.0, &height.to_be_bytes()])
}

/// What all touched keys of a name begin with.
pub(super) fn touched_prefix(name: &Hash) -> Vec<u8> {
    key(b'c', &[&name.0])
}

/// The height that ends a touched key.
pub(super) fn touched_height(key: &[u8]) -> Result<u32, StorageError> {
    let bytes = key.last_chunk().ok_or_else(|| damaged("a key", "it is too short"))?;
    Ok(u32::from_be_bytes(*bytes))
}

pub(super) fn history_key(position: u64) -> Vec<u8> {
    key(b'n', &[&position.to_be_bytes()])
}

pub(super) fn pending_key(id: &Hash) -> Vec<u8> {
    key(b'p', &[&id.0])
}

/// The hash that ends a key.
pub(super) fn key_hash(key: &[u8]) -> Result<Hash, StorageError> {
    let bytes = key.last_chunk().ok_or_else(|| damaged("a key", "it is too short"))?;
    Ok(Hash(*bytes))
}

/// The format row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) version: u32,
    pub(super) network: [u8; 4],
}

impl Format {
    pub(super) fn of(network: Network) -> Self {
        Format { version: FORMAT, network: network.magic() }
    }
}

impl Encode for Format {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.network);
    }
}

impl Decode for Format {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Format { version: reader.u32()?, network: reader.array()? })
    }
}

/// The last block of the log that the index refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: BlockLocation,
    pub(super) id: Hash,
}

impl Mark {
    /// Whether this block was appended after that of `other`.
    pub(super) fn is_after(&self, other: Option<&Mark>) -> bool {
        other.is_none_or(|other| (self.at.file, self.at.offset) > (other.at.file, other.at.offset))
    }
}

/// What is left of a log whose beginning was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pruned {
    /// The first file.
    pub(super) file: u32,
    /// From this height on the log has all blocks of the best chain.
    pub(super) height: u32,
}

impl Encode for Pruned {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.file.to_be_bytes());
        out.extend_from_slice(&self.height.to_be_bytes());
    }
}

impl Decode for Pruned {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Pruned { file: reader.u32()?, height: reader.u32()? })
    }
}

/// A place in the log: file, offset, length.
pub(super) fn encode_at(at: &BlockLocation, out: &mut Vec<u8>) {
    out.extend_from_slice(&at.file.to_be_bytes());
    out.extend_from_slice(&at.offset.to_be_bytes());
    out.extend_from_slice(&at.len.to_be_bytes());
}

/// Reads a place in the log.
pub(super) fn decode_at(reader: &mut Reader<'_>) -> Result<BlockLocation, DecodeError> {
    Ok(BlockLocation { file: reader.u32()?, offset: reader.u64()?, len: reader.u32()? })
}

impl Encode for Mark {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_at(&self.at, out);
        self.id.encode(out);
    }
}

impl Decode for Mark {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Mark { at: decode_at(reader)?, id: Hash::decode(reader)? })
    }
}

/// The value of a header row; the id is in its key.
pub(super) fn header_value(stored: &StoredHeader) -> Vec<u8> {
    let mut out = stored.header.to_bytes();
    out.extend_from_slice(&stored.work.to_be_bytes());
    encode_at(&stored.at, &mut out);
    out.push(u8::from(stored.failed));
    out
}

/// Reads a header row.
pub(super) fn stored_header(key: &[u8], value: &[u8]) -> Result<StoredHeader, StorageError> {
    let id = key_hash(key)?;
    let mut reader = Reader::new(value);
    let mut read = || {
        let header = Header::decode(&mut reader)?;
        let (work, at) = (reader.u128()?, decode_at(&mut reader)?);
        let failed = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Invalid("a flag is neither 0 nor 1")),
        };
        Ok(StoredHeader { id, header, work, at, failed })
    };
    let stored = read().map_err(|error| damaged("a header row", error))?;
    reader.finish().map_err(|error| damaged("a header row", error))?;
    Ok(stored)
}

/// The value of an undo row.
pub(super) fn undo_value(old: Option<&[u8]>) -> Vec<u8> {
    match old {
        None => vec![0],
        Some(bytes) => [&[1], bytes].concat(),
    }
}

/// Reads an undo row.
pub(super) fn undo(value: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    match value {
        [0] => Ok(None),
        [1, bytes @ ..] => Ok(Some(bytes.to_vec())),
        _ => Err(damaged("an undo row", "it begins with neither 0 nor 1")),
    }
}

/// Reads a value with an encoding of its own.
pub(super) fn value<T: Decode>(what: &str, bytes: &[u8]) -> Result<T, StorageError> {
    T::from_bytes(bytes).map_err(|error| damaged(what, error))
}

fn damaged(what: &str, why: impl std::fmt::Display) -> StorageError {
    StorageError::Damaged(format!("{what} of the index can't be read: {why}"))
}
