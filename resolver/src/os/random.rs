//! Random bytes of the system, fetched some at a time.

use std::io;

/// How many are fetched at a time: a hundred queries' worth.
const CHUNK: usize = 4096;

/// The system's generator behind a buffer. No byte is given out twice, and those given out are
/// wiped.
#[derive(Debug)]
pub struct Random {
    bytes: Box<[u8; CHUNK]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: Box::new([0; CHUNK]), used: CHUNK }
    }
}

impl Random {
    /// The next bytes.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        const { assert!(N <= CHUNK) };
        if self.used + N > CHUNK {
            getrandom::fill(self.bytes.as_mut_slice()).map_err(io::Error::other)?;
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..self.used + N];
        self.used += N;
        let mut out = [0; N];
        out.copy_from_slice(taken);
        taken.fill(0);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let mut random = Random::default();
        let mut all: Vec<[u8; 34]> = (0..1000).map(|_| random.take().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1000);
    }
}
