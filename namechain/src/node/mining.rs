//! The miner thread: takes the newest block in the making, and hands it back with its nonce.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    thread::{self, JoinHandle},
};

use super::thread::Command;
use crate::{
    miner,
    types::{Block, Network},
};

/// What the chain thread and the miner share.
#[derive(Default)]
pub(super) struct Workshop {
    desk: Mutex<Desk>,
    changed: Condvar,
    /// Hashes tried since the node started.
    pub hashes: AtomicU64,
}

#[derive(Default)]
struct Desk {
    /// The block to take up next.
    next: Option<Block>,
    /// Stops the search in hand.
    stop: Arc<AtomicBool>,
    busy: bool,
    closed: bool,
}

impl Workshop {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a block is being mined or waits to be.
    pub fn is_busy(&self) -> bool {
        let desk = self.desk();
        desk.busy || desk.next.is_some()
    }

    /// Gives the miner another block, or none, instead of what it has in hand.
    pub fn offer(&self, block: Option<Block>) {
        let mut desk = self.desk();
        desk.stop.store(true, Ordering::Relaxed);
        desk.next = block;
        self.changed.notify_one();
    }

    /// Ends the miner thread.
    pub fn close(&self) {
        self.desk().closed = true;
        self.offer(None);
    }

    /// Waits for a block to mine; `None` when it is over.
    fn take(&self) -> Option<(Block, Arc<AtomicBool>)> {
        let mut desk = self.desk();
        loop {
            desk.busy = false;
            if desk.closed {
                return None;
            }
            if let Some(block) = desk.next.take() {
                desk.stop = Arc::default();
                desk.busy = true;
                return Some((block, desk.stop.clone()));
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Starts the miner thread, which mines on `threads` threads.
pub(super) fn start(
    network: Network,
    threads: usize,
    workshop: Arc<Workshop>,
    found: SyncSender<Command>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("miner".into()).spawn(move || {
        while let Some((block, stop)) = workshop.take() {
            if let Some(header) = miner::mine(network, &block.header, threads, &stop, &workshop.hashes)
                && found.send(Command::Mined(Box::new(Block { header, ..block }))).is_err()
            {
                return;
            }
        }
    })
}
