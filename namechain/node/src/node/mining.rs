//! The miner thread: takes the newest block in the making, and hands it back with its nonce.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{clock::Since, command::Command, panic_guard::PanicGuard};
use namechain_core::{
    consensus::work::PowHasher,
    miner::search_nonce,
    types::{Block, Header, Network},
};

/// Blocks mined here or through a template that did not become the tip.
pub(super) const STALE_BLOCKS: &str = "namechain_mined_stale_blocks_total";

/// What the chain thread and the miner share.
#[derive(Default)]
pub(super) struct MiningQueue {
    state: Mutex<MiningState>,
    changed: Condvar,
    /// Hashes tried since the node started.
    pub hashes: AtomicU64,
    /// Hashes tried in a second, as of late.
    pub rate: AtomicU64,
}

/// Whose turn it is to mine what waits, among nodes that all mine on demand.
///
/// Where work is trivial they would all find a block at once for every operation, and have as many
/// chains of equal work. So a node mines at once what its own user submitted, and leaves the rest
/// to others for a moment that is another one each time.
#[derive(Default)]
pub(super) struct MiningBackoff {
    waiting: Option<(Since, Duration)>,
    random: RandomState,
    count: u64,
}

/// The shortest and the longest moment: longer than a block takes through the network, shorter than
/// anybody minds.
const LEFT_TO_OTHERS: (u64, u64) = (100, 400);

impl MiningBackoff {
    /// Whether to leave it to others for now, as there is something to mine; `own`: of our own
    /// user.
    pub fn leaves_to_others(&mut self, own: bool, has_peers: bool) -> bool {
        if own || !has_peers {
            return false;
        }
        let (shortest, longest) = LEFT_TO_OTHERS;
        self.count += 1;
        let moment = shortest + self.random.hash_one(self.count) % (longest - shortest);
        let (since, moment) =
            self.waiting.get_or_insert_with(|| (Since::now(), Duration::from_millis(moment)));
        since.elapsed() < *moment
    }

    /// Whether something was left to others, and their time is over.
    pub fn is_over(&self) -> bool {
        self.waiting.as_ref().is_some_and(|(since, moment)| since.elapsed() >= *moment)
    }

    /// What there was to mine is being mined.
    pub fn reset(&mut self) {
        self.waiting = None;
    }
}

/// Over how long the hash rate is measured.
const RATE_OVER: Duration = Duration::from_secs(5);

/// Measures how fast the miner is.
pub(super) struct HashRate {
    since: Since,
    hashes: u64,
}

impl Default for HashRate {
    fn default() -> Self {
        HashRate { since: Since::now(), hashes: 0 }
    }
}

impl HashRate {
    /// Looks at the count, and every few seconds says how fast it has risen.
    pub fn measure(&mut self, mining_queue: &MiningQueue) {
        let passed = self.since.elapsed();
        if passed < RATE_OVER {
            return;
        }
        let hashes = mining_queue.hashes.load(Ordering::Relaxed);
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        mining_queue.rate.store(
            hashes.saturating_sub(self.hashes).saturating_mul(1_000) / millis,
            Ordering::Relaxed,
        );
        (self.since, self.hashes) = (Since::now(), hashes);
    }
}

#[derive(Default)]
struct MiningState {
    /// The block to take up next.
    next: Option<Block>,
    /// Stops the search in hand.
    stop: Arc<AtomicBool>,
    busy: bool,
    closed: bool,
}

impl MiningQueue {
    fn state(&self) -> MutexGuard<'_, MiningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a block is being mined or waits to be.
    pub fn is_busy(&self) -> bool {
        let state = self.state();
        state.busy || state.next.is_some()
    }

    /// Gives the miner another block, or none, instead of what it has in hand.
    pub fn offer(&self, block: Option<Block>) {
        let mut state = self.state();
        state.stop.store(true, Ordering::Relaxed);
        state.next = block;
        self.changed.notify_one();
    }

    /// Ends the miner thread.
    pub fn close(&self) {
        self.state().closed = true;
        self.offer(None);
    }

    /// Waits for a block to mine; `None` when it is over.
    fn take(&self) -> Option<(Block, Arc<AtomicBool>)> {
        let mut state = self.state();
        loop {
            state.busy = false;
            if state.closed {
                return None;
            }
            if let Some(block) = state.next.take() {
                state.stop = Arc::default();
                state.busy = true;
                return Some((block, state.stop.clone()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Starts the miner thread, which mines on `threads` threads.
pub(super) fn start(
    network: Network,
    threads: usize,
    mining_queue: Arc<MiningQueue>,
    found: mpsc::Sender<Command>,
    guard: PanicGuard,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("miner".into()).spawn(move || {
        let _guard = guard;
        while let Some((block, stop)) = mining_queue.take() {
            if let Some(header) = mine(network, &block.header, threads, &stop, &mining_queue.hashes)
                && found.blocking_send(Command::Mined(Box::new(Block { header, ..block }))).is_err()
            {
                return;
            }
        }
    })
}

/// Searches the nonce of `header` on `threads` threads until one is found or `stop` is set. Every
/// hash tried is counted in `hashes`.
fn mine(
    network: Network,
    header: &Header,
    threads: usize,
    stop: &AtomicBool,
    hashes: &AtomicU64,
) -> Option<Header> {
    let found = AtomicBool::new(false);
    // Every thread begins in its own part of the nonces: they never meet.
    let part = u64::MAX / threads.max(1) as u64;
    let search = |start: u64| {
        let header = Header { nonce: start, ..header.clone() };
        let result = search_nonce(&mut PowHasher::new(network), header, |tried| {
            hashes.fetch_add(tried, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed) && !found.load(Ordering::Relaxed)
        });
        if result.is_some() {
            found.store(true, Ordering::Relaxed);
        }
        result
    };
    thread::scope(|scope| {
        let search = &search;
        let others: Vec<_> =
            (1..threads as u64).map(|index| scope.spawn(move || search(index * part))).collect();
        let first = search(0);
        others.into_iter().fold(first, |result, other| match other.join() {
            Ok(header) => result.or(header),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use namechain_core::consensus::header::genesis;

    use super::*;

    const NETWORK: Network = Network::Dev;

    #[test]
    fn several_threads_find_a_nonce_or_stop_when_told() {
        let (stop, hashes) = (AtomicBool::new(false), AtomicU64::new(0));
        let header = genesis(NETWORK).header;
        for threads in [1, 3] {
            let found = mine(NETWORK, &header, threads, &stop, &hashes).expect("a nonce");
            assert!(PowHasher::new(NETWORK).has_header_work(&found));
        }
        assert!(hashes.load(Ordering::Relaxed) >= 2);
        stop.store(true, Ordering::Relaxed);
        // Due in a thousand years: nobody finds that.
        let hard = Header { due: u64::MAX / 2, ..genesis(Network::Main).header };
        assert_eq!(mine(Network::Main, &hard, 2, &stop, &hashes), None);
    }
}
