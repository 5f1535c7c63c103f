//! Randomness as an argument: 32 bytes, used once.

use std::fmt;

use namechain_core::types::{Domain, Network, hash};
use zeroize::Zeroizing;

/// Thirty-two bytes that nobody else knows or will ever see again: what one letter needs. It is
/// used up by the call that takes it, and wiped from memory. Sealing two letters with the same
/// bytes breaks both.
pub struct Randomness(Zeroizing<[u8; 32]>);

impl Randomness {
    /// The caller's own random bytes, from the operating system's source.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Randomness(Zeroizing::new(bytes))
    }

    /// Fresh bytes from the operating system.
    ///
    /// # Errors
    /// If the operating system gives none.
    #[cfg(feature = "getrandom")]
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Randomness(bytes))
    }

    pub(crate) fn stream(self, network: Network) -> Stream {
        Stream { network, seed: self.0, counter: 0 }
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}

/// As many bytes as are asked for: the hashes of the seed and a counter, one after the other.
pub(crate) struct Stream {
    network: Network,
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
}

impl Stream {
    /// Fills `out`. What is left of the last hash is thrown away.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = Zeroizing::new(
                hash(
                    self.network,
                    Domain::Random,
                    &[self.seed.as_slice(), &self.counter.to_be_bytes()],
                )
                .0,
            );
            chunk.copy_from_slice(&block[..chunk.len()]);
            // 2^64 hashes are never made.
            self.counter = self.counter.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_goes_on_and_never_repeats() {
        let mut stream = Randomness::from_bytes([7; 32]).stream(Network::Dev);
        let mut blocks = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let mut block = [0; 32];
            stream.fill(&mut block);
            assert!(blocks.insert(block));
        }
        let (mut long, mut same) = ([0; 64], [0; 64]);
        Randomness::from_bytes([7; 32]).stream(Network::Dev).fill(&mut long);
        Randomness::from_bytes([7; 32]).stream(Network::Dev).fill(&mut same);
        assert_eq!(long, same);
        assert!(blocks.contains(&long[..32]) && blocks.contains(&long[32..]));
        Randomness::from_bytes([7; 32]).stream(Network::Main).fill(&mut same);
        assert_ne!(long, same);
    }
}
