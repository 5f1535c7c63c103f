//! Changes to bytes, many and reproducible.

/// How many changed ones a test makes: `MESSAGING_MUTATIONS`, or few enough for every day.
pub fn count() -> usize {
    match std::env::var("MESSAGING_MUTATIONS") {
        Ok(text) => text.parse().expect("MESSAGING_MUTATIONS is a number"),
        Err(_) => 1_500,
    }
}

/// A small generator (xorshift64*), and what it does to bytes.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    /// A changed copy of `bytes`, perhaps with parts of `other` in it. It may happen to be the
    /// same.
    pub fn change(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(3) {
            self.change_once(&mut out, other);
        }
        out
    }

    fn change_once(&mut self, out: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(out.len());
        let length = self.below(64).min(out.len() - at);
        match self.below(10) {
            // The front, where the fields are that say what follows.
            0 | 1 if out.len() > 8 => out[self.below(8)] = self.next() as u8,
            0..=3 if !out.is_empty() => out[at] ^= 1 << self.below(8),
            4 if !out.is_empty() => out[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            5 => out.truncate(at),
            6 => out.extend((0..=self.below(40)).map(|number| number as u8)),
            7 => drop(out.drain(at..at + length)),
            8 => {
                let from = self.below(other.len());
                let part = &other[from..(from + length).min(other.len())];
                let end = (at + part.len()).min(out.len());
                out[at..end].copy_from_slice(&part[..end - at]);
            }
            _ => {
                let part = out[at..at + length].to_vec();
                let to = self.below(out.len() - length + 1);
                out[to..to + length].copy_from_slice(&part);
            }
        }
    }
}
