//! Mining through a node's template, on all cores, for a while at a time.
//!
//! The search has no memory: it loses nothing by looking at the node every few seconds.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use namechain_core::{
    api_types::{MinedBlock, MiningTemplate},
    codec::Decode,
    consensus::work::PowHasher,
    miner::search_nonce,
    types::{Header, Network},
};

use crate::{
    client::{Client, ClientError},
    clock,
    ui::{Ui, duration},
};

/// How many intervals without a block mean that nobody mines.
const PATIENCE_INTERVALS: u32 = 3;
/// The most threads that mine; each takes a megabyte.
const MAX_THREADS: usize = 64;

/// The header of a template.
///
/// # Errors
/// If the node's answer is not one.
pub fn header_of(client: &Client, template: &MiningTemplate) -> Result<Header, ClientError> {
    let bytes = hex::decode(&template.header).ok();
    bytes
        .and_then(|bytes| Header::from_bytes(&bytes).ok())
        .ok_or_else(|| client.bad_answer("its template has no header"))
}

/// Searches the nonce of a header on `threads` threads for at most `limit`, from `start` on, which
/// is moved past what was tried.
pub fn search(
    network: Network,
    header: &Header,
    threads: usize,
    limit: Duration,
    start: &mut u64,
) -> Option<Header> {
    let (found, over, tried) = (Mutex::new(None), AtomicBool::new(false), AtomicU64::new(0));
    let deadline = clock::now() + limit;
    // Every thread begins in its own part of the nonces: they never meet.
    let part = u64::MAX / threads.max(1) as u64;
    thread::scope(|scope| {
        for index in 0..threads.max(1) as u64 {
            let nonce = start.wrapping_add(index.wrapping_mul(part));
            let header = Header { nonce, ..header.clone() };
            let (found, over, tried) = (&found, &over, &tried);
            scope.spawn(move || {
                let mut hasher = PowHasher::new(network);
                let mined = search_nonce(&mut hasher, header, |hashes| {
                    tried.fetch_add(hashes, Ordering::Relaxed);
                    !over.load(Ordering::Relaxed) && clock::now() < deadline
                });
                if let Some(mined) = mined {
                    over.store(true, Ordering::Relaxed);
                    *found.lock().unwrap_or_else(|error| error.into_inner()) = Some(mined);
                }
            });
        }
    });
    *start = start.wrapping_add(tried.into_inner());
    found.into_inner().unwrap_or_else(|error| error.into_inner())
}

/// The number of this machine's cores, up to [`MAX_THREADS`].
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

/// Mines what somebody waits for when nobody else does.
#[derive(Debug)]
pub struct StandIn {
    ui: Ui,
    client: Client,
    network: Network,
    /// The height that would come next, and since when it has been that.
    next: Option<(u32, std::time::Instant)>,
    nonce: u64,
    has_mined: bool,
    has_said: bool,
}

impl StandIn {
    /// Through a node, after it has said so.
    pub fn new(ui: Ui, client: Client, network: Network) -> Self {
        let (next, nonce, has_mined, has_said) = (None, 0, false, false);
        StandIn { ui, client, network, next, nonce, has_mined, has_said }
    }

    /// Spends a pause: mines if nobody else does, or sleeps.
    pub fn pause(&mut self, pause: Duration) {
        let end = clock::now() + pause;
        // A node that gives no template, as it is away or not synced, is asked again later.
        if let Ok(template) = self.client.mining_template() {
            self.mine(&template, pause);
        }
        clock::sleep(end.saturating_duration_since(clock::now()));
    }

    fn mine(&mut self, template: &MiningTemplate, limit: Duration) -> Option<MinedBlock> {
        let now = clock::now();
        let since = match self.next {
            Some((height, since)) if height == template.height => since,
            _ => now,
        };
        self.next = Some((template.height, since));
        let interval = Duration::from_secs(self.network.params().block_interval.max(1));
        // Once it is known that nobody does, others still get their chance.
        let patience = if self.has_mined { interval } else { interval * PATIENCE_INTERVALS };
        if !template.wanted || now.saturating_duration_since(since) < patience {
            return None;
        }
        if !self.has_said {
            self.has_said = true;
            self.ui.print_note(&format!(
                "no block for {}: mining on this machine, {} expected hashes a block; --no-mine \
                 leaves it to others",
                duration(now.saturating_duration_since(since)),
                template.work
            ));
        }
        let header = header_of(&self.client, template).ok()?;
        let mined = search(self.network, &header, cores(), limit, &mut self.nonce)?;
        let block = self.client.mined_header(&mined).ok()?;
        self.has_mined |= block.tip;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::consensus::header::genesis;

    use super::*;

    #[test]
    fn a_search_finds_or_ends_in_time_and_goes_on_behind_what_was_tried() {
        let header = genesis(Network::Dev).header;
        let mut nonce = 7;
        let second = Duration::from_secs(60);
        let found = search(Network::Dev, &header, 2, second, &mut nonce).unwrap();
        assert!(PowHasher::new(Network::Dev).has_header_work(&found));
        assert!(nonce > 7);
        let hard = Header { due: u64::MAX / 2, ..genesis(Network::Main).header };
        let before = nonce;
        assert_eq!(search(Network::Main, &hard, 2, Duration::from_millis(1), &mut nonce), None);
        assert!(nonce > before);
    }
}
