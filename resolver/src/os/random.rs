//! Random bytes of the operating system, fetched in chunks.

use std::io;

/// The size of a chunk in bytes: enough for a hundred queries.
const CHUNK_BYTES: usize = 4096;

/// The system's generator with a buffer. No byte is returned twice, and returned bytes are wiped
/// from the buffer.
#[derive(Debug)]
pub struct Random {
    bytes: Box<[u8; CHUNK_BYTES]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: Box::new([0; CHUNK_BYTES]), used: CHUNK_BYTES }
    }
}

impl Random {
    /// The next bytes.
    ///
    /// # Errors
    /// If the operating system gives none.
    pub fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        const { assert!(N <= CHUNK_BYTES) };
        if self.used + N > CHUNK_BYTES {
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
