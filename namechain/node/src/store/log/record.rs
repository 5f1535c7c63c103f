//! The bytes of the log's files and records.

use std::{
    io::{self, Read},
    path::Path,
};

use blake2::{Blake2b, Digest, digest::consts::U16};

use namechain_core::{
    chain::{BlockLocation, StorageError},
    types::{MAX_BLOCK_BYTES, Network},
};

/// The length of what a file begins with.
pub(super) const FILE_HEADER_BYTES: usize = 8 + 4 + 4 + 4 + DIGEST_BYTES;
/// The length of what a record begins with.
pub(super) const RECORD_HEADER_BYTES: usize = 4 + 4 + DIGEST_BYTES;
/// What every record begins with.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"NCBK";

const FILE_MAGIC: [u8; 8] = *b"NCBLOCKS";
const DIGEST_BYTES: usize = 16;

/// A digest against damage.
pub(in crate::store) fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hasher = Blake2b::<U16>::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn record_digest(file: u32, offset: u64, block: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(&[&file.to_be_bytes(), &offset.to_be_bytes(), block])
}

/// What every file of a log says at its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileHeader {
    pub(super) format: u32,
    pub(super) network: [u8; 4],
}

impl FileHeader {
    /// The first bytes of file `number`.
    pub(super) fn encode(self, number: u32) -> Vec<u8> {
        let mut out = FILE_MAGIC.to_vec();
        out.extend_from_slice(&self.format.to_be_bytes());
        out.extend_from_slice(&self.network);
        out.extend_from_slice(&number.to_be_bytes());
        let digest = digest(&[&out]);
        out.extend_from_slice(&digest);
        out
    }

    /// Compares the first bytes of file `number` with what they should be.
    pub(super) fn check(
        self,
        bytes: &[u8; FILE_HEADER_BYTES],
        number: u32,
        path: &Path,
    ) -> Result<(), StorageError> {
        if bytes[..] == self.encode(number) {
            return Ok(());
        }
        let path = path.display();
        let (said, sum) = bytes.split_at(FILE_HEADER_BYTES - DIGEST_BYTES);
        let word = |at: usize| [said[at], said[at + 1], said[at + 2], said[at + 3]];
        let (format, network) = (u32::from_be_bytes(word(8)), word(12));
        Err(if digest(&[said]) != *sum || !said.starts_with(&FILE_MAGIC) {
            StorageError::Damaged(format!("{path} does not begin as a file of a block log"))
        } else if format > self.format {
            StorageError::Refused(format!(
                "{path} was written by a newer version of this program (format {format}, this one knows {}): use that one",
                self.format
            ))
        } else if format < self.format {
            StorageError::Refused(format!(
                "{path} holds blocks of an earlier protocol (format {format}, this program writes \
                 {}), which no network runs any more: move the directory away, or choose another \
                 one with --data-dir, and start again",
                self.format
            ))
        } else if network != self.network {
            let found = Network::ALL.into_iter().find(|known| known.magic() == network);
            let found =
                found.map_or("an unknown network".into(), |known| format!("network {known}"));
            StorageError::Refused(format!(
                "{path} is of {found}: choose another directory with --data-dir"
            ))
        } else {
            StorageError::Damaged(format!("{path} is another file of the log, renamed"))
        })
    }
}

/// The record of `block` at `at`.
pub(super) fn encode(at: BlockLocation, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEADER_BYTES + block.len());
    out.extend_from_slice(&RECORD_MAGIC);
    out.extend_from_slice(&at.len.to_be_bytes());
    out.extend_from_slice(&record_digest(at.file, at.offset, block));
    out.extend_from_slice(block);
    out
}

/// Reads the record that begins at the reader's place, which is `offset` in file `file`. `None` if
/// there is no intact record.
pub(super) fn read(reader: &mut impl Read, file: u32, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; RECORD_HEADER_BYTES];
    if !read_whole(reader, &mut header)? {
        return Ok(None);
    }
    let (magic, rest) = header.split_at(RECORD_MAGIC.len());
    let (len, sum) = rest.split_at(4);
    let len = len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    if magic != RECORD_MAGIC || !(1..=MAX_BLOCK_BYTES).contains(&len) {
        return Ok(None);
    }
    let mut block = vec![0; len];
    let whole = read_whole(reader, &mut block)?;
    Ok((whole && record_digest(file, offset, &block) == *sum).then_some(block))
}

/// Fills `buffer`, or says that the file ends before.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes on disk, made by another program (Python's hashlib): a change to them is a new
    /// format.
    #[test]
    fn the_bytes_of_a_file() {
        let header = FileHeader { format: 1, network: Network::Dev.magic() };
        assert_eq!(
            hex::encode(header.encode(2)),
            "4e43424c4f434b53000000014e43643100000002d808aef5eb25beba3ebf5ac1edff0bf4"
        );
        let at = BlockLocation { file: 2, offset: 36, len: 3 };
        assert_eq!(
            hex::encode(encode(at, b"abc")),
            "4e43424b00000003c2b34b3690ccd09538703a65a20a0bfb616263"
        );
    }
}
