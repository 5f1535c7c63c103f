//! Fetching the target's blocks: whom to ask for which, and what becomes of them.

use super::{
    Action, Job, JobOutcome, Misbehavior, Peer, RequestId,
    limits::{
        BLOCK_JOBS, BLOCK_REQUESTS, BLOCK_REQUESTS_A_PEER, BLOCKS_AIMED_AT, BLOCKS_AT_ONCE,
        BLOCKS_TIME_MS, DURABLE_EVERY, STALL_MS, WINDOW_BYTES,
    },
    machine::{Asked, Sync, Task},
    message::{CompactBlock, MAX_BLOCKS, Request},
    peers::PeerState,
};
use crate::{
    chain::{Chain, PowChecked, StorageError},
    codec::Decode,
    consensus::RuleViolation,
    types::{HEADER_BYTES, Hash, Header},
};

impl Sync {
    /// Asks for blocks while there are some to ask for, peers who have them, and room.
    pub(super) fn fetch_blocks(&mut self) {
        let Some(candidate) = self.window.candidate() else { return };
        while self.block_requests() < BLOCK_REQUESTS {
            let Some(on) = self.candidates.get(candidate) else { return };
            let end = on.height();
            let Some((first, run)) = self.window.next_run(end) else { return };
            let lowest = first == self.window.first();
            let coming = self.block_requests() * BLOCKS_AIMED_AT;
            if !lowest && self.window.bytes() + coming >= WINDOW_BYTES {
                return;
            }
            // Nothing is asked for in crumbs as the window moves on, unless it is the end.
            let crumb = run < BLOCKS_AT_ONCE && first + (run as u32) <= end;
            if crumb && !lowest && self.window.is_new(first) {
                return;
            }
            let Some(first_id) = on.worked_at(first) else { return };
            let Some(peer) = self.giver(first, &first_id.id(), None) else { return };
            self.ask_blocks(candidate, peer, first, run);
        }
    }

    fn block_requests(&self) -> usize {
        self.peers.values().map(|state| usize::from(state.block_requests)).sum()
    }

    /// Who is to be asked for a block: of those who have shown it, the one with the fewest
    /// requests, and then the fastest.
    fn giver(&self, height: u32, id: &Hash, not: Option<Peer>) -> Option<Peer> {
        let able = |(peer, state): &(&Peer, &PeerState)| {
            Some(**peer) != not
                && state.block_requests < state.block_requests_most
                && state.gives_blocks(self.now)
                && self.has_shown(state, id, height)
        };
        let peers = self.peers.iter().filter(able);
        let best = peers.min_by(|(_, a), (_, b)| {
            a.block_requests.cmp(&b.block_requests).then(a.pace.total_cmp(&b.pace))
        });
        best.map(|(peer, _)| *peer)
    }

    /// Asks a peer for up to `run` blocks of a candidate: as many as it has shown and as it is fast
    /// enough for.
    fn ask_blocks(&mut self, candidate: u64, peer: Peer, first: u32, run: usize) {
        let (Some(on), Some(state)) = (self.candidates.get(candidate), self.peers.get(&peer))
        else {
            return;
        };
        let by_size = BLOCKS_AIMED_AT / self.window.usual();
        let by_pace = if state.pace > 0.0 {
            (BLOCKS_TIME_MS as f64 / state.pace) as usize
        } else {
            MAX_BLOCKS
        };
        let most = run.min(by_size.max(1)).min(by_pace.max(1)).min(MAX_BLOCKS);
        let ids: Vec<PowChecked> = (first..)
            .take(most)
            .map_while(|height| {
                on.worked_at(height).filter(|id| self.has_shown(state, &id.id(), height))
            })
            .collect();
        let names: Vec<Hash> = ids.iter().map(PowChecked::id).collect();
        let request = self.ask(
            peer,
            Request::Blocks { ids: names.clone() },
            Asked::Blocks { first, ids: names },
        );
        self.window.asked(first, &ids, request, peer, self.now);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.block_requests += 1;
        }
    }

    /// Asks somebody else too for what holds everything up.
    pub(super) fn ask_around_stall(&mut self) {
        let Some(candidate) = self.window.candidate() else { return };
        let Some((slow, since, asks, run)) = self.window.late() else { return };
        if self.now < since + STALL_MS.saturating_mul(u64::from(asks))
            || self.block_requests() >= 2 * BLOCK_REQUESTS
        {
            return;
        }
        let first = self.window.first();
        let Some(id) = self.candidates.get(candidate).and_then(|on| on.worked_at(first)) else {
            return;
        };
        let Some(other) = self.giver(first, &id.id(), Some(slow)) else { return };
        if let Some(state) = self.peers.get_mut(&slow) {
            state.block_requests_most = 1;
        }
        self.ask_blocks(candidate, other, first, run);
    }

    /// Blocks have come.
    pub(super) fn blocks_answered(
        &mut self,
        peer: Peer,
        request: RequestId,
        since: u64,
        first: u32,
        ids: &[Hash],
        bodies: Vec<Vec<u8>>,
    ) {
        self.request_over(peer);
        let came = bodies.len().min(ids.len());
        let asked_for = bodies.len() <= ids.len()
            && bodies.iter().zip(ids).all(|(body, id)| {
                header_of(body).is_some_and(|it| it.id(self.config.network) == *id)
            });
        if let Some(state) = self.peers.get_mut(&peer).filter(|_| came > 0) {
            (state.no_blocks, state.no_blocks_until) = (0, 0);
            let pace = self.now.saturating_sub(since) as f64 / came as f64;
            state.pace = if state.pace == 0.0 { pace } else { (state.pace * 3.0 + pace) / 4.0 };
            // Who keeps up may be asked for more.
            if self.now < since + STALL_MS && state.block_requests_most < BLOCK_REQUESTS_A_PEER {
                state.block_requests_most += 1;
            }
        }
        if asked_for {
            for ((height, id), body) in (first..).zip(ids).zip(bodies) {
                self.window.body(height, id, body, peer);
            }
        }
        (first..).take(ids.len()).for_each(|height| self.window.not_coming(height, request));
        if !asked_for {
            self.offend(peer, Misbehavior::Malformed);
        } else if came == 0 {
            self.has_not(peer);
        }
    }

    /// A peer has not what it has shown headers of.
    fn has_not(&mut self, peer: Peer) {
        let now = self.now;
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.spot, state.settled) = (None, false);
            state.be_quiet(now);
        }
        self.look_for_target = true;
        self.offend(peer, Misbehavior::Lied);
    }

    /// A request for blocks has failed; `silent`: by the peer's silence.
    pub(super) fn blocks_failed(
        &mut self,
        peer: Peer,
        request: RequestId,
        first: u32,
        count: usize,
        silent: bool,
    ) {
        self.request_over(peer);
        let now = self.now;
        let last = self.peers.get_mut(&peer).is_some_and(|state| {
            state.block_requests_most = 1;
            silent && state.gave_none(now)
        });
        (first..).take(count).for_each(|height| self.window.not_coming(height, request));
        self.look_for_target = true;
        if last {
            self.hang_up(peer, "it does not give the blocks whose headers it shows");
        }
    }

    fn request_over(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.block_requests = state.block_requests.saturating_sub(1);
        }
    }

    /// Gives bodies to the checks, the lowest first.
    pub(super) fn check_blocks(&mut self) {
        while self.window.checking() < BLOCK_JOBS {
            let Some((height, header, bytes, from)) = self.window.next_body() else { return };
            self.check_block(height, header.id(), Some(from), || Job::Block { header, bytes });
        }
    }

    /// Gives a block to the checks, unless they have it: what comes of it is for all who want to
    /// know.
    pub(super) fn check_block(
        &mut self,
        height: u32,
        id: Hash,
        from: Option<Peer>,
        job: impl FnOnce() -> Job,
    ) {
        if self.checking.insert(id) {
            self.check(job(), Task::Block { height, id, from });
        }
    }

    /// A block was checked by itself.
    pub(super) fn block_checked(
        &mut self,
        height: u32,
        id: Hash,
        from: Option<Peer>,
        outcome: JobOutcome,
    ) {
        self.checking.remove(&id);
        match outcome {
            JobOutcome::Block(block) => {
                if self.window.wants(height, &id) {
                    self.window.checked(height, block.clone());
                }
                self.arrival_checked(id, block);
            }
            // Other operations than the header's, or none: the block may be fine, the one who gave
            // it is not.
            JobOutcome::Invalid(RuleViolation::OpsRoot) | JobOutcome::Malformed => {
                self.window.not_it(height, &id);
                self.arrival_misled(id, from.is_none());
                if let Some(from) = from {
                    self.offend(from, Misbehavior::BrokenRule);
                }
            }
            _ => self.fail(id),
        }
    }

    /// Gives the next block to the chain.
    pub(super) fn connect_next(&mut self) {
        let Some(on) = self.window.candidate().and_then(|number| self.candidates.get(number))
        else {
            return;
        };
        let end = on.height();
        if let Some(block) = self.window.next_ready() {
            let height = block.block().header.height;
            let durable = height == end || height % DURABLE_EVERY == 0;
            self.act(Action::ConnectBlock { block, durable });
        }
    }

    /// The chain has taken a block: perhaps the window's.
    pub(super) fn window_connected(&mut self, chain: &Chain, id: Hash) -> Result<(), StorageError> {
        if !self.window.is_connecting(&id) {
            self.look_for_target = true;
            return Ok(());
        }
        self.window.skip(&id);
        self.block_rate.add(1, self.now);
        let Some(on) = self.window.candidate().and_then(|number| self.candidates.get_mut(number))
        else {
            return Ok(());
        };
        if on.first().is_some_and(|first| first.id() == id) {
            on.taken();
        }
        if on.is_done() {
            (self.look_for_headers, self.look_for_target) = (true, true);
            // Others may be where we were: they ask for what comes before it.
            if chain.tip_id() == id {
                let block = chain.read_block(&id)?;
                self.act(Action::BroadcastBlock(CompactBlock::of(self.config.network, &block)));
            }
        }
        Ok(())
    }

    /// The chain can't take a block of the window now: not this way, then.
    pub(super) fn window_refused(&mut self, id: Hash) {
        if !self.window.is_connecting(&id) {
            return;
        }
        let now = self.now;
        if let Some(number) = self.window.candidate() {
            let on_it =
                |state: &&mut PeerState| state.spot.is_some_and(|spot| spot.candidate == number);
            for state in self.peers.values_mut().filter(on_it) {
                state.be_quiet(now);
                state.settled = false;
            }
            self.drop_candidate(number);
        }
    }
}

fn header_of(body: &[u8]) -> Option<Header> {
    Header::from_bytes(body.get(..HEADER_BYTES)?).ok()
}
