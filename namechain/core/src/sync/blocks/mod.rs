//! Downloading the target's blocks: whom to ask for which, and what becomes of them.
//!
//! ```text
//! wanted -> requested -> body -> checking -> ready -> connecting -> ours
//! ```

mod window;

use std::collections::BTreeMap;

use super::{
    action::{Action, Job},
    context::Context,
    event::{Misbehavior, Peer, RequestId},
    headers::{Candidate, HeaderSync},
    limits::{
        BLOCK_JOBS, BLOCK_REQUESTS, BLOCK_REQUESTS_PER_PEER, DURABLE_EVERY, MIN_RUN, NO_BLOCKS_MAX,
        NO_BLOCKS_MS, REQUEST_TARGET_BYTES, REQUEST_TARGET_MS, STALL_MS, WINDOW_BYTES,
    },
    message::{CompactBlock, MAX_BLOCKS, Request},
    rate::Rate,
    requests::RequestKind,
};
use crate::{
    chain::{CheckedBlock, PowChecked, StorageError},
    codec::Decode,
    types::{HEADER_BYTES, Hash, Header},
};
use window::Window;

/// How a peer gives blocks.
#[derive(Debug)]
struct BlockPeer {
    in_flight: u8,
    /// The most requests that it gets at a time.
    max_in_flight: u8,
    /// Milliseconds per block that it took, smoothed; 0 before the first.
    ms_per_block: f64,
    /// Requests in a row that brought no block, and until when no more are sent.
    failures: u32,
    paused_until: u64,
}

impl BlockPeer {
    fn new() -> Self {
        BlockPeer {
            in_flight: 0,
            max_in_flight: 2,
            ms_per_block: 0.0,
            failures: 0,
            paused_until: 0,
        }
    }

    fn record_blocks(&mut self, count: usize, took_ms: u64) {
        (self.failures, self.paused_until) = (0, 0);
        let pace = took_ms as f64 / count as f64;
        self.ms_per_block =
            if self.ms_per_block == 0.0 { pace } else { (self.ms_per_block * 3.0 + pace) / 4.0 };
        // Who keeps up may be asked for more.
        if took_ms < STALL_MS && self.max_in_flight < BLOCK_REQUESTS_PER_PEER {
            self.max_in_flight += 1;
        }
    }

    /// It gave no blocks. Whether that was once too often.
    fn record_failure(&mut self, now: u64) -> bool {
        self.paused_until = now + (NO_BLOCKS_MS << self.failures.min(8));
        self.failures += 1;
        self.failures >= NO_BLOCKS_MAX
    }
}

/// The blocks between our tip and the target, and who is asked for them.
#[derive(Debug, Default)]
pub(super) struct BlockDownload {
    peers: BTreeMap<Peer, BlockPeer>,
    window: Window,
    rate: Rate,
}

impl BlockDownload {
    pub fn on_peer_connected(&mut self, peer: Peer) {
        self.peers.insert(peer, BlockPeer::new());
    }

    pub fn on_peer_gone(&mut self, peer: Peer) {
        self.peers.remove(&peer);
    }

    /// Chooses what to download.
    pub fn choose_target(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
    ) -> Result<(), StorageError> {
        headers.choose_target(ctx, |ctx, peer, height| self.gives_blocks(ctx, peer, height))?;
        self.window.retarget(headers.target());
        Ok(())
    }

    /// Whether a peer may be asked for blocks from this height on now.
    fn gives_blocks(&self, ctx: &Context<'_>, peer: Peer, height: u32) -> bool {
        !ctx.peers.is_backing_off(peer, ctx.now)
            && ctx.peers.get(peer).is_some_and(|state| state.keeps(height))
            && self.peers.get(&peer).is_some_and(|state| ctx.now >= state.paused_until)
    }

    fn candidate<'a>(&self, headers: &'a HeaderSync) -> Option<&'a Candidate> {
        headers.candidate(self.window.candidate()?)
    }

    /// Asks for blocks while there are some to ask for, peers who have them, and room.
    pub fn request_blocks(&mut self, ctx: &mut Context<'_>, headers: &HeaderSync) {
        while self.in_flight() < BLOCK_REQUESTS {
            let Some(on) = self.candidate(headers) else { return };
            let end = on.height();
            let Some((first, run)) = self.window.next_run(end) else { return };
            let lowest = first == self.window.first();
            let coming = self.in_flight() * REQUEST_TARGET_BYTES;
            if !lowest && self.window.bytes() + coming >= WINDOW_BYTES {
                return;
            }
            // Nothing is asked for in crumbs as the window moves on, unless it is the end.
            let crumb = run < MIN_RUN && first + (run as u32) <= end;
            if crumb && !lowest && self.window.is_new(first) {
                return;
            }
            let Some(first_id) = on.checked_at(first) else { return };
            let Some(peer) = self.choose_peer(ctx, headers, first, &first_id.id(), None) else {
                return;
            };
            self.request_run(ctx, headers, peer, first, run);
        }
    }

    fn in_flight(&self) -> usize {
        self.peers.values().map(|state| usize::from(state.in_flight)).sum()
    }

    /// Whom to ask for a block: of those who have shown it, the one with the fewest requests, and
    /// then the fastest.
    fn choose_peer(
        &self,
        ctx: &Context<'_>,
        headers: &HeaderSync,
        height: u32,
        id: &Hash,
        not: Option<Peer>,
    ) -> Option<Peer> {
        let able = |(peer, state): &(&Peer, &BlockPeer)| {
            Some(**peer) != not
                && state.in_flight < state.max_in_flight
                && self.gives_blocks(ctx, **peer, height)
                && headers.has_shown(**peer, id, height)
        };
        let best = self.peers.iter().filter(able).min_by(|(_, a), (_, b)| {
            a.in_flight.cmp(&b.in_flight).then(a.ms_per_block.total_cmp(&b.ms_per_block))
        });
        best.map(|(peer, _)| *peer)
    }

    /// Asks a peer for up to `run` blocks: as many as it has shown and as it is fast enough for.
    fn request_run(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &HeaderSync,
        peer: Peer,
        first: u32,
        run: usize,
    ) {
        let Some(on) = self.candidate(headers) else { return };
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let by_size = REQUEST_TARGET_BYTES / self.window.average();
        let by_pace = if state.ms_per_block > 0.0 {
            (REQUEST_TARGET_MS as f64 / state.ms_per_block) as usize
        } else {
            MAX_BLOCKS
        };
        let count = run.min(by_size.max(1)).min(by_pace.max(1)).min(MAX_BLOCKS);
        let checked: Vec<PowChecked> = (first..)
            .take(count)
            .map_while(|height| {
                on.checked_at(height).filter(|id| headers.has_shown(peer, &id.id(), height))
            })
            .collect();
        let ids: Vec<Hash> = checked.iter().map(PowChecked::id).collect();
        let kind = RequestKind::Blocks { first, ids: ids.clone() };
        let request = ctx.send_request(peer, Request::Blocks { ids }, kind);
        self.window.set_requested(first, &checked, request, peer, ctx.now);
        state.in_flight += 1;
    }

    /// Asks a second peer for what holds everything up.
    pub fn request_stalled(&mut self, ctx: &mut Context<'_>, headers: &HeaderSync) {
        let Some(on) = self.candidate(headers) else { return };
        let Some((slow, since, requests, run)) = self.window.stalled() else { return };
        if ctx.now < since + STALL_MS.saturating_mul(u64::from(requests))
            || self.in_flight() >= 2 * BLOCK_REQUESTS
        {
            return;
        }
        let first = self.window.first();
        let Some(id) = on.checked_at(first) else { return };
        let Some(other) = self.choose_peer(ctx, headers, first, &id.id(), Some(slow)) else {
            return;
        };
        if let Some(state) = self.peers.get_mut(&slow) {
            state.max_in_flight = 1;
        }
        self.request_run(ctx, headers, other, first, run);
    }

    /// Blocks have come. False if the peer has none of them.
    pub fn on_blocks(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        (request, sent_at): (RequestId, u64),
        (first, ids): (u32, &[Hash]),
        bodies: Vec<Vec<u8>>,
    ) -> bool {
        let count = bodies.len().min(ids.len());
        let requested = bodies.len() <= ids.len()
            && bodies
                .iter()
                .zip(ids)
                .all(|(body, id)| header_of(body).is_some_and(|it| it.id(ctx.network) == *id));
        if let Some(state) = self.peers.get_mut(&peer) {
            state.in_flight = state.in_flight.saturating_sub(1);
            if count > 0 {
                state.record_blocks(count, ctx.now.saturating_sub(sent_at));
            }
        }
        if requested {
            for ((height, id), body) in (first..).zip(ids).zip(bodies) {
                self.window.insert_body(height, id, body, peer);
            }
        }
        (first..).take(ids.len()).for_each(|height| self.window.request_over(height, request));
        if !requested {
            ctx.record_misbehavior(peer, Misbehavior::Malformed);
        }
        !requested || count > 0
    }

    /// A request for blocks has failed; `silent`: by the peer's silence.
    pub fn on_request_failed(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: RequestId,
        (first, count): (u32, usize),
        silent: bool,
    ) {
        let last = self.peers.get_mut(&peer).is_some_and(|state| {
            state.in_flight = state.in_flight.saturating_sub(1);
            state.max_in_flight = 1;
            silent && state.record_failure(ctx.now)
        });
        (first..).take(count).for_each(|height| self.window.request_over(height, request));
        ctx.wakeups.target = true;
        if last {
            ctx.disconnect(peer, "it does not give the blocks whose headers it shows");
        }
    }

    /// Has bodies checked, the lowest first.
    pub fn check_bodies(&mut self, ctx: &mut Context<'_>) {
        while self.window.checking() < BLOCK_JOBS {
            let Some((height, header, bytes, from)) = self.window.next_body() else { return };
            ctx.check_block(height, header.id(), Some(from), || Job::Block { header, bytes });
        }
    }

    /// A block was found valid but for the state.
    pub fn on_block_checked(&mut self, height: u32, id: &Hash, block: &CheckedBlock) {
        if self.window.is_wanted(height, id) {
            self.window.set_ready(height, Box::new(block.clone()));
        }
    }

    /// What was checked was not the block: it is to be asked for again.
    pub fn on_wrong_body(&mut self, height: u32, id: &Hash) {
        self.window.reject_body(height, id);
    }

    /// Gives the next block to the chain.
    pub fn connect_next(&mut self, ctx: &mut Context<'_>, headers: &HeaderSync) {
        let Some(end) = self.candidate(headers).map(Candidate::height) else { return };
        if let Some(block) = self.window.next_ready() {
            let height = block.block().header.height;
            let durable = height == end || height % DURABLE_EVERY == 0;
            ctx.act(Action::ConnectBlock { block, durable });
        }
    }

    /// The chain has taken a block: perhaps the window's.
    pub fn on_block_connected(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
        id: Hash,
    ) -> Result<(), StorageError> {
        if !self.window.is_connecting(&id) {
            ctx.wakeups.target = true;
            return Ok(());
        }
        self.window.remove_first(&id);
        self.rate.add(1, ctx.now);
        headers.on_block_connected(&id);
        if self.candidate(headers).is_some_and(Candidate::is_done) {
            (ctx.wakeups.headers, ctx.wakeups.target) = (true, true);
            // Others may be where we were: they ask for what comes before it.
            if ctx.chain.tip_id() == id {
                let block = ctx.chain.read_block(&id)?;
                ctx.act(Action::BroadcastBlock(CompactBlock::of(ctx.network, &block)));
            }
        }
        Ok(())
    }

    /// The chain can't take a block of the window now: not this way, then.
    pub fn on_block_deferred(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
        id: &Hash,
    ) {
        if self.window.is_connecting(id) {
            headers.give_up_target(ctx);
        }
    }

    /// How many requests to a peer are in flight.
    pub fn in_flight_of(&self, peer: Peer) -> u8 {
        self.peers.get(&peer).map_or(0, |state| state.in_flight)
    }

    /// Blocks connected per second, lately.
    pub fn per_second(&self, now: u64) -> f64 {
        self.rate.per_second(now)
    }

    /// How many blocks of the window are not connected, and their bytes.
    pub fn len(&self) -> (usize, usize) {
        (self.window.len(), self.window.bytes())
    }
}

fn header_of(body: &[u8]) -> Option<Header> {
    Header::from_bytes(body.get(..HEADER_BYTES)?).ok()
}
