//! Letters that were opened before.

use std::collections::BTreeMap;

use namechain_core::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::PublicKey,
};
use thiserror::Error;

/// How many letters [`ReplayCache`] remembers at most.
pub const MAX_LETTERS: usize = 262_144;
/// How many of them at most are of one sender.
pub const MAX_LETTERS_PER_SENDER: usize = 4_096;

/// Which letter it is: the sender's key, and the 16 random bytes that the sender gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// The sender's identity key.
    pub sender: PublicKey,
    /// The letter's own number.
    pub id: [u8; 16],
}

/// Why a letter is not to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// It was read before.
    #[error("the letter was opened before")]
    Replayed,
    /// It could not be remembered, so that it could be read twice.
    #[error("there is no room to remember another letter")]
    NoRoom,
    /// The memory could not be stored.
    #[error("it can't be written down that the letter was opened")]
    NotStored,
}

/// A memory of letters. It must outlive the program: a letter that is forgotten before it expires
/// can be read twice.
pub trait ReplayGuard {
    /// Remembers a letter until `expires`; `now` and `expires` are seconds of Unix time.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`] if it is remembered already, [`ReplayError::NoRoom`] or
    /// [`ReplayError::NotStored`] if it can't be; then it is not remembered.
    fn record(&mut self, letter: LetterId, expires: u64, now: u64) -> Result<(), ReplayError>;
}

/// A bounded memory of letters. A sender who fills his share is refused until his letters expire;
/// the others are not.
///
/// It is written as a count u32 and the letters in order, each of 56 bytes: sender 32, id 16,
/// expires u64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayCache {
    letters: BTreeMap<LetterId, u64>,
}

impl ReplayCache {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many letters are remembered.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether no letter is remembered.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Forgets the letters that nobody opens any more: those that expired at `now`.
    pub fn forget_expired(&mut self, now: u64) {
        self.letters.retain(|_, expires| *expires > now);
    }

    /// Forgets one letter: it could not be stored.
    #[cfg(all(feature = "std-files", unix))]
    pub(crate) fn forget(&mut self, letter: &LetterId) {
        self.letters.remove(letter);
    }

    fn of(&self, sender: PublicKey) -> usize {
        let (first, last) = (LetterId { sender, id: [0; 16] }, LetterId { sender, id: [0xff; 16] });
        self.letters.range(first..=last).count()
    }

    fn has_room(&self, sender: PublicKey) -> bool {
        self.letters.len() < MAX_LETTERS && self.of(sender) < MAX_LETTERS_PER_SENDER
    }
}

impl ReplayGuard for ReplayCache {
    fn record(&mut self, letter: LetterId, expires: u64, now: u64) -> Result<(), ReplayError> {
        if self.letters.contains_key(&letter) {
            return Err(ReplayError::Replayed);
        }
        if !self.has_room(letter.sender) {
            self.forget_expired(now);
        }
        if !self.has_room(letter.sender) {
            return Err(ReplayError::NoRoom);
        }
        self.letters.insert(letter, expires);
        Ok(())
    }
}

impl Encode for ReplayCache {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.letters.len() as u32).to_be_bytes());
        for (letter, expires) in &self.letters {
            letter.sender.encode(out);
            out.extend_from_slice(&letter.id);
            out.extend_from_slice(&expires.to_be_bytes());
        }
    }
}

impl Decode for ReplayCache {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u32()? as usize;
        if count > MAX_LETTERS {
            return Err(DecodeError::OverCap {
                what: "the number of letters",
                found: count,
                cap: MAX_LETTERS,
            });
        }
        let mut letters = BTreeMap::new();
        for _ in 0..count {
            let letter = LetterId { sender: PublicKey::decode(reader)?, id: reader.array()? };
            if letters.last_key_value().is_some_and(|(last, _)| *last >= letter) {
                return Err(DecodeError::Invalid("the letters are not in order"));
            }
            letters.insert(letter, reader.u64()?);
        }
        Ok(ReplayCache { letters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(sender: u8, number: u32) -> LetterId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        LetterId { sender: PublicKey([sender; 32]), id }
    }

    #[test]
    fn a_letter_is_noted_once_until_it_expires() {
        let mut seen = ReplayCache::new();
        assert_eq!(seen.record(letter(1, 1), 100, 50), Ok(()));
        assert_eq!(seen.record(letter(1, 1), 100, 50), Err(ReplayError::Replayed));
        assert_eq!(seen.record(letter(2, 1), 100, 50), Ok(()), "another sender's number");
        seen.forget_expired(99);
        assert_eq!(seen.len(), 2);
        seen.forget_expired(100);
        assert!(seen.is_empty());
    }

    #[test]
    fn who_fills_his_share_keeps_nobody_else_out() {
        let mut seen = ReplayCache::new();
        for number in 0..MAX_LETTERS_PER_SENDER as u32 {
            assert_eq!(seen.record(letter(1, number), 100 + u64::from(number % 2), 50), Ok(()));
        }
        assert_eq!(seen.record(letter(1, 99_999), 100, 50), Err(ReplayError::NoRoom));
        assert_eq!(seen.record(letter(2, 0), 100, 50), Ok(()));
        assert_eq!(seen.record(letter(1, 99_999), 200, 100), Ok(()), "half of them have expired");
        assert_eq!(seen.len(), MAX_LETTERS_PER_SENDER / 2 + 1);
    }

    #[test]
    fn there_is_one_encoding() {
        let mut seen = ReplayCache::new();
        for number in [3, 1, 2] {
            seen.record(letter(1, number), 100, 50).unwrap();
        }
        let bytes = seen.to_bytes();
        assert_eq!(bytes.len(), 4 + 3 * 56);
        assert_eq!(ReplayCache::from_bytes(&bytes), Ok(seen));
        let mut twice = bytes.clone();
        twice.copy_within(4..60, 60);
        assert!(ReplayCache::from_bytes(&twice).is_err());
        assert!(ReplayCache::from_bytes(&[0xff; 4]).is_err());
        assert!(ReplayCache::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
