//! What clients are told about the chain beside an answer (docs/protocol.md, sections 9.2, 9.5).

use crate::dns::ede::Ede;

/// Answers are marked when the tip is older than this, in seconds. A chain without operations still
/// has a block every 20 minutes, so the node may not hear from the network.
pub const MAX_TIP_AGE_SECS: u64 = 86_400;
/// The encoding of "no chain is held back".
const NO_FORK: u32 = u32::MAX;
/// The length of the encoding.
const ENCODED_BYTES: usize = 5;

/// The marks of the answers that are made from a state of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainMarks {
    /// While a chain with more work is held back: the height of the last block that both chains
    /// have. Names that changed above it are contested; of the others this is only told.
    pub fork: Option<u32>,
    /// Whether the tip is older than [`MAX_TIP_AGE_SECS`].
    pub is_old: bool,
}

impl ChainMarks {
    /// The extended errors of an answer with these marks.
    pub fn extended_errors(self) -> impl Iterator<Item = Ede> {
        let held = self.fork.map(|fork| {
            let why =
                format!("a chain with more work that forks off at height {fork} is held back");
            Ede::new(Ede::OTHER, why)
        });
        let old = self.is_old.then(|| {
            let hours = MAX_TIP_AGE_SECS / 3_600;
            Ede::new(Ede::STALE_ANSWER, format!("the chain's tip is more than {hours} hours old"))
        });
        held.into_iter().chain(old)
    }

    /// The marks as bytes: the height of the fork (4; all ones: none), whether the tip is old (1).
    pub fn encode(self) -> [u8; ENCODED_BYTES] {
        let [a, b, c, d] = self.fork.unwrap_or(NO_FORK).to_be_bytes();
        [a, b, c, d, u8::from(self.is_old)]
    }

    /// Decodes the marks at the start of `bytes`; also returns the rest.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[a, b, c, d, old], rest) = bytes.split_first_chunk::<ENCODED_BYTES>()?;
        let fork = u32::from_be_bytes([a, b, c, d]);
        Some((ChainMarks { fork: (fork != NO_FORK).then_some(fork), is_old: old == 1 }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_and_decoded() {
        for (marks, told) in [
            (ChainMarks::default(), vec![]),
            (ChainMarks { fork: Some(7), is_old: false }, vec![Ede::OTHER]),
            (ChainMarks { fork: None, is_old: true }, vec![Ede::STALE_ANSWER]),
            (ChainMarks { fork: Some(0), is_old: true }, vec![Ede::OTHER, Ede::STALE_ANSWER]),
        ] {
            let codes: Vec<u16> = marks.extended_errors().map(|ede| ede.code).collect();
            assert_eq!(codes, told);
            let bytes = [&marks.encode()[..], b"rest"].concat();
            assert_eq!(ChainMarks::decode(&bytes), Some((marks, &b"rest"[..])));
            assert_eq!(ChainMarks::decode(&bytes[..4]), None);
        }
    }
}
