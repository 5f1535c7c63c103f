//! The search for a block's nonce. It starts no threads: whoever mines on several gives each a part
//! of the nonces.

use crate::{consensus::work::PowHasher, types::Header};

/// Hashes tried between two questions whether to go on: about 6 ms of a core.
const TRIES_PER_POLL: u64 = 16;

/// Tries nonces from `header.nonce` on until the header has its work, and returns it with that
/// nonce. Every 16 hashes `keep_going` is told how many were tried since it was last asked, and the
/// search ends with `None` once it says no. Hashes are reported when a nonce is found, too.
pub fn search_nonce(
    hasher: &mut PowHasher,
    mut header: Header,
    mut keep_going: impl FnMut(u64) -> bool,
) -> Option<Header> {
    loop {
        for tried in 1..=TRIES_PER_POLL {
            if hasher.has_header_work(&header) {
                keep_going(tried);
                return Some(header);
            }
            header.nonce = header.nonce.wrapping_add(1);
        }
        if !keep_going(TRIES_PER_POLL) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consensus::header::genesis, types::Network};

    #[test]
    fn a_search_counts_its_hashes_and_stops_when_told() {
        // So early that it needs the most work.
        let mut hasher = PowHasher::new(Network::Main);
        let header = Header { due: u64::MAX, ..genesis(Network::Main).header };
        let (mut polls, mut hashes) = (0, 0);
        let found = search_nonce(&mut hasher, header, |tried| {
            hashes += tried;
            polls += 1;
            polls < 2
        });
        assert_eq!((found, polls, hashes), (None, 2, 2 * TRIES_PER_POLL));

        let mut hasher = PowHasher::new(Network::Dev);
        let easy = Header { nonce: u64::MAX, ..genesis(Network::Dev).header };
        let mut hashes = 0;
        let found = search_nonce(&mut hasher, easy, |tried| {
            hashes += tried;
            true
        })
        .unwrap();
        assert!(hasher.has_header_work(&found));
        assert_eq!(found.nonce, u64::MAX.wrapping_add(hashes - 1), "nonces wrap around");
    }
}
