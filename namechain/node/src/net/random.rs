//! Choices that a stranger must not foresee, but that guard nothing: whom to dial, where in the
//! address book.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// From a seed: the same choices again.
    #[cfg(test)]
    pub fn seeded(seed: u64) -> Self {
        Random(seed)
    }

    /// From the operating system.
    pub fn fresh() -> Self {
        // The standard library keys its hash maps from there.
        Random(RandomState::new().hash_one(0u8))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.any() % bound as u64) as usize
    }
}
