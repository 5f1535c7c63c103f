//! The randomness of the simulations: xoshiro256++ (Blackman and Vigna, 2019), seeded through
//! splitmix64. The same seed gives the same table on every machine.

/// A generator.
#[derive(Clone)]
pub struct Rng([u64; 4]);

impl Rng {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Rng(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of probability `p` happens.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A waiting time of mean 1 without memory.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// How often something of mean `mean` happens.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let (mut at, mut count) = (self.exponential(), 0);
        while at < mean {
            at += self.exponential();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        // xoshiro256++ with the state 1, 2, 3, 4: the first outputs of the reference code.
        let mut rng = Rng([1, 2, 3, 4]);
        assert_eq!(
            [rng.next_u64(), rng.next_u64(), rng.next_u64()],
            [41943041, 58720359, 3588806011781223]
        );
    }

    #[test]
    fn means_are_what_they_are_called() {
        let mut rng = Rng::new(1);
        let n = 100_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || rng.exponential()) - 1.0).abs() < 0.02);
        assert!((mean(&mut || rng.poisson(3.0) as f64) - 3.0).abs() < 0.05);
    }
}
