//! The entries of the state by the time at which they end: which ones the next block removes.

use std::collections::BTreeSet;

use crate::{
    codec::{DecodeError, Reader},
    consensus::status::EntryKind,
    params::{COMMIT_LIFETIME_S, Params},
    types::Hash,
};

/// When an entry ends: its kind, and the time in seconds of Unix time.
pub(super) type End = (EntryKind, u64);

/// The entries of a state by their end. An index derived from the entries: it is made anew when a
/// chain is opened.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpiryQueue(BTreeSet<(EntryKind, u64, Hash)>);

impl ExpiryQueue {
    pub fn insert(&mut self, end: End, key: Hash) {
        self.0.insert((end.0, end.1, key));
    }

    pub fn remove(&mut self, end: End, key: &Hash) {
        self.0.remove(&(end.0, end.1, *key));
    }

    /// The entries of `kind` that end at `time` or before, by end and key.
    pub fn ended(&self, kind: EntryKind, time: u64) -> impl Iterator<Item = (u64, Hash)> {
        let range = (kind, 0, Hash::ZERO)..=(kind, time, Hash([0xff; 32]));
        self.0.range(range).map(|(_, end, key)| (*end, *key))
    }

    #[cfg(test)]
    pub fn rows(&self) -> Vec<(EntryKind, u64, Hash)> {
        self.0.iter().copied().collect()
    }
}

impl FromIterator<(EntryKind, u64, Hash)> for ExpiryQueue {
    fn from_iter<I: IntoIterator<Item = (EntryKind, u64, Hash)>>(rows: I) -> Self {
        ExpiryQueue(rows.into_iter().collect())
    }
}

/// When an encoded entry ends, reading no more of it than that takes: a million of them are read
/// whenever a chain is opened.
///
/// # Errors
/// If the bytes do not begin as an entry does.
pub(super) fn encoded_end(params: &Params, bytes: &[u8]) -> Result<End, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        1 => {
            let name = usize::from(reader.u8()?);
            // Owner; then the recovery key, if there is one.
            reader.take(name + 32)?;
            if reader.flag("an optional field is neither there nor not")? {
                reader.take(32)?;
            }
            // Title and sequence; registered; commit; updated.
            reader.take(32 + 4 + 12 + 8 + 12)?;
            Ok((EntryKind::Name, reader.u64()?.saturating_add(params.grace)))
        }
        2 => {
            // Commit id and commitment; height and index.
            reader.take(32 + 32 + 8)?;
            Ok((EntryKind::Commitment, reader.u64()?.saturating_add(COMMIT_LIFETIME_S)))
        }
        _ => Err(DecodeError::Invalid("an entry is of no known kind")),
    }
}
