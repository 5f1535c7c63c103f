//! Searching for work: a block's nonce, on any number of threads, until somebody finds it or says
//! stop.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use crate::{
    consensus::work::PowHasher,
    types::{Header, Network},
};

/// Hashes tried between two looks at whether to go on: about 6 ms of a core.
const TRIES_A_LOOK: u64 = 16;

/// Searches the nonce of `header` on `threads` threads until one is found or `stop` is set. Every
/// hash tried is counted in `hashes`.
pub fn mine(
    network: Network,
    header: &Header,
    threads: usize,
    stop: &AtomicBool,
    hashes: &AtomicU64,
) -> Option<Header> {
    let found = AtomicBool::new(false);
    let stopped = || stop.load(Ordering::Relaxed) || found.load(Ordering::Relaxed);
    // Every thread begins in its own part of the nonces: they never meet.
    let part = u64::MAX / threads.max(1) as u64;
    thread::scope(|scope| {
        let search = |start: u64| {
            let mut worker = PowHasher::new(network);
            let mut header = Header { nonce: start, ..header.clone() };
            while !stopped() {
                for tried in 1..=TRIES_A_LOOK {
                    if worker.has_header_work(&header) {
                        found.store(true, Ordering::Relaxed);
                        hashes.fetch_add(tried, Ordering::Relaxed);
                        return Some(header);
                    }
                    header.nonce = header.nonce.wrapping_add(1);
                }
                hashes.fetch_add(TRIES_A_LOOK, Ordering::Relaxed);
            }
            None
        };
        let others: Vec<_> =
            (1..threads as u64).map(|index| scope.spawn(move || search(index * part))).collect();
        let mine = search(0);
        others.into_iter().fold(mine, |result, other| match other.join() {
            Ok(header) => result.or(header),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}
