//! Working a stamp on all cores, with its progress shown.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use namechain_core::{
    consensus::work::PowHasher,
    types::{Hash, Network, Operation, Stamp},
};

use crate::{
    clock,
    ui::{Ui, duration},
};

/// Hashes tried between two looks at whether another thread is done: about 8 ms of a core.
const HASHES_PER_CHECK: u64 = 64;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// The most threads that work; each takes a megabyte.
const MAX_THREADS: usize = 64;

/// What to pay for `price`: a quarter more, so that a price that rises meanwhile does not refuse
/// it, and so that it can take the place of an operation that waits.
pub fn with_margin(price: u64) -> u64 {
    price.saturating_add(price.div_ceil(4))
}

/// Works the stamp of `operation` for `work` expected hashes, anchored to the block `anchor`.
pub fn solve_stamp(ui: Ui, network: Network, operation: &mut Operation, anchor: Hash, work: u64) {
    let subject = operation.stamp_subject(network);
    let what = operation.label();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let hashes = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let (found, finds) = mpsc::channel();
    let start = clock::now();
    let mut progress = ui.progress();
    // Every thread begins in its own part of the nonces: they never meet.
    let part = u64::MAX / threads as u64;
    let stamp = thread::scope(|scope| {
        for index in 0..threads as u64 {
            let (found, hashes, done) = (found.clone(), &hashes, &done);
            let begin = Stamp { anchor, work, nonce: index * part };
            scope.spawn(move || {
                if let Some(stamp) = search(network, &subject, begin, hashes, done) {
                    // The receiver lives until the scope ends.
                    let _ = found.send(stamp);
                }
            });
        }
        drop(found);
        loop {
            match finds.recv_timeout(PROGRESS_INTERVAL) {
                Ok(stamp) => {
                    done.store(true, Ordering::Relaxed);
                    break stamp;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let tried = hashes.load(Ordering::Relaxed);
                    let fraction = tried as f64 / work as f64;
                    progress.show(Some(fraction), &describe(what, tried, work, start.elapsed()));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    unreachable!(
                        "a thread ends only when one has found, or by a panic that ends the scope"
                    )
                }
            }
        }
    });
    *operation.stamp_mut() = stamp;
    let tried = hashes.load(Ordering::Relaxed);
    progress.done(&format!("{what}: worked {tried} hashes in {}", duration(start.elapsed())));
}

fn search(
    network: Network,
    subject: &Hash,
    mut stamp: Stamp,
    hashes: &AtomicU64,
    done: &AtomicBool,
) -> Option<Stamp> {
    let mut worker = PowHasher::new(network);
    while !done.load(Ordering::Relaxed) {
        let begin = stamp.nonce;
        match worker.search_stamp(subject, stamp, HASHES_PER_CHECK) {
            Ok(found) => {
                hashes.fetch_add(found.nonce.wrapping_sub(begin) + 1, Ordering::Relaxed);
                return Some(found);
            }
            Err(next) => stamp = next,
        }
        hashes.fetch_add(HASHES_PER_CHECK, Ordering::Relaxed);
    }
    None
}

fn describe(what: &str, tried: u64, work: u64, elapsed: Duration) -> String {
    let rate = tried as f64 / elapsed.as_secs_f64().max(0.001);
    let left = match work.checked_sub(tried) {
        // Rates near nothing would be longer than a Duration is.
        Some(left) if left > 0 && rate > 0.0 => {
            format!(
                "about {} left",
                duration(Duration::from_secs_f64((left as f64 / rate).min(1e9)))
            )
        }
        _ => "longer than on average, which is luck".into(),
    };
    format!("{what}: {tried} hashes tried, {work} expected, {rate:.0} a second, {left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_stamp_has_the_work() {
        let commitment = Hash([3; 32]);
        let empty = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let mut operation = Operation::Commit { commitment, stamp: empty };
        solve_stamp(Ui::new(true), Network::Dev, &mut operation, Hash([7; 32]), 50);
        assert_eq!((operation.stamp().anchor, operation.stamp().work), (Hash([7; 32]), 50));
        assert!(PowHasher::new(Network::Dev).has_stamp_work(&operation));
    }

    #[test]
    fn a_quarter_more() {
        assert_eq!([1, 4, 64, u64::MAX].map(with_margin), [2, 5, 80, u64::MAX]);
    }

    #[test]
    fn progress_in_words() {
        let second = Duration::from_secs(1);
        assert_eq!(
            describe("commit", 1_000, 5_000, second),
            "commit: 1000 hashes tried, 5000 expected, 1000 a second, about 4 s left"
        );
        assert!(
            describe("commit", 6_000, 5_000, second)
                .ends_with("longer than on average, which is luck")
        );
        assert!(describe("commit", 0, u64::MAX, Duration::ZERO).ends_with("which is luck"));
    }
}
