//! The state machine: one place where events come in. It hands each to the machine that it
//! concerns, then does what has become possible.
//!
//! Everything asked for has a deadline, everything given up has a next peer to ask, or is dropped;
//! nobody is asked the same thing again before some time has passed or something has changed.

use std::collections::VecDeque;

use super::{
    action::Action,
    blocks::BlockDownload,
    context::{Context, FailedBlocks, LaterBranch, Wakeups},
    event::{
        ConnectOutcome, Event, JobId, JobOutcome, Misbehavior, Peer, RequestError, RequestId,
        SubmitOutcome,
    },
    headers::HeaderSync,
    jobs::{JobPurpose, Jobs},
    lagging::{self, TipWatch},
    limits::{BLOCK_ONLY_HELLO_EVERY_MS, HELLO_DEADLINE_MS, HELLO_EVERY_MS, MAX_TIMEOUTS},
    message::{CompactBlock, Hello, MIN_PROTOCOL_VERSION, Request, Response},
    operations::OperationRelay,
    peers::{PeerState, PeerTable},
    relay::BlockRelay,
    requests::{InFlightRequest, RequestKind, Requests},
    serve::Identity,
    status::{self, PeerStatus, SyncConfig, SyncStatus, Usage, View},
};
use crate::{
    chain::{Chain, StorageError},
    consensus::RuleViolation,
    mempool::Mempool,
    types::Hash,
};

/// The state machine.
#[derive(Debug)]
pub struct Sync {
    config: SyncConfig,
    synced: bool,
    /// Milliseconds from any start.
    now: u64,
    actions: VecDeque<Action>,
    peers: PeerTable,
    requests: Requests,
    jobs: Jobs,
    failed_blocks: FailedBlocks,
    wakeups: Wakeups,
    later_branch: LaterBranch,
    random: u64,
    machines: Machines,
}

/// The four machines.
#[derive(Debug)]
struct Machines {
    identity: Identity,
    headers: HeaderSync,
    blocks: BlockDownload,
    relay: BlockRelay,
    operations: OperationRelay,
    tip_watch: TipWatch,
}

impl Sync {
    /// A machine without peers.
    pub fn new(config: SyncConfig) -> Self {
        Sync {
            synced: config.ever_synced,
            now: 0,
            actions: VecDeque::new(),
            peers: PeerTable::default(),
            requests: Requests::default(),
            jobs: Jobs::default(),
            failed_blocks: FailedBlocks::new(),
            wakeups: Wakeups::default(),
            later_branch: LaterBranch::default(),
            random: config.secret,
            machines: Machines {
                identity: Identity::new(config.network, &config.agent),
                headers: HeaderSync::default(),
                blocks: BlockDownload::default(),
                relay: BlockRelay::default(),
                operations: OperationRelay::new(),
                tip_watch: TipWatch::default(),
            },
            config,
        }
    }

    /// Takes an event. `now` is a clock in milliseconds that never goes back, `unix_now` one in
    /// seconds of Unix time. What is to be done then comes out of [`Sync::next_action`].
    ///
    /// # Errors
    /// The store's: the machine can't go on.
    pub fn handle(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        event: Event,
        now: u64,
        unix_now: u64,
    ) -> Result<(), StorageError> {
        self.now = now.max(self.now);
        let mut ctx = Context {
            chain,
            mempool,
            network: self.config.network,
            peers: &mut self.peers,
            requests: &mut self.requests,
            jobs: &mut self.jobs,
            actions: &mut self.actions,
            failed_blocks: &mut self.failed_blocks,
            wakeups: &mut self.wakeups,
            later_branch: &mut self.later_branch,
            random: &mut self.random,
            now: self.now,
            unix: unix_now,
        };
        self.machines.dispatch(&mut ctx, event)?;
        let looked = self.machines.go_on(&mut ctx)?;
        if looked {
            self.synced = status::is_still_synced(&self.view(chain));
        }
        Ok(())
    }

    /// The next thing to do, in the order in which it is to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn view<'a>(&'a self, chain: &'a Chain) -> View<'a> {
        View {
            config: &self.config,
            synced: self.synced,
            chain,
            peers: &self.peers,
            headers: &self.machines.headers,
            blocks: &self.machines.blocks,
            later_branch: self.later_branch.seen,
            now: self.now,
        }
    }

    /// How far we are.
    pub fn status(&self, chain: &Chain) -> SyncStatus {
        status::status(&self.view(chain))
    }

    /// The connected peers.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let machines = &self.machines;
        let phase = |peer: Peer, state: &PeerState| {
            status::phase(peer, state, &machines.headers, &machines.blocks, &machines.operations)
        };
        self.peers
            .iter()
            .map(|(peer, state)| status::of_peer(peer, state, phase(peer, state), self.now))
            .collect()
    }

    /// How much is held.
    pub fn usage(&self) -> Usage {
        let (candidates, candidate_ids) = self.machines.headers.len();
        let (window, window_bytes) = self.machines.blocks.len();
        let (operations, wanted_operations, remembered) = self.machines.operations.len();
        Usage {
            peers: self.peers.len(),
            requests: self.requests.len(),
            jobs: self.jobs.len(),
            candidates,
            candidate_ids,
            window,
            window_bytes,
            pending_blocks: self.machines.relay.len(),
            operations,
            wanted_operations,
            remembered: self.failed_blocks.len() + remembered,
        }
    }
}

impl Machines {
    fn dispatch(&mut self, ctx: &mut Context<'_>, event: Event) -> Result<(), StorageError> {
        match event {
            Event::PeerConnected { peer, ip, outbound, block_only } => {
                ctx.peers.insert(peer, PeerState::new(ip, outbound, block_only, ctx.now));
                self.headers.on_peer_connected(peer);
                self.blocks.on_peer_connected(peer);
                self.relay.on_peer_connected(peer, ctx.now);
                self.operations.on_peer_connected(peer, ctx.now);
                if outbound {
                    self.send_hello(ctx, peer);
                }
            }
            Event::PeerDisconnected { peer } => ctx.peers.remove(peer),
            Event::HelloReceived { peer, hello } => self.on_hello(ctx, peer, hello),
            Event::ResponseReceived { peer, request, response } => {
                self.on_response(ctx, peer, request, response)?;
            }
            Event::RequestFailed { peer, request, error } => {
                if let Some(sent) = ctx.requests.take(peer, request) {
                    self.on_request_failed(ctx, request, sent, error);
                }
            }
            Event::BlockAnnounced { peer, gossip, block } => {
                self.relay.on_announcement(ctx, &mut self.headers, peer, Some(gossip), block)?;
            }
            Event::OperationAnnounced { peer, gossip, operation } => {
                self.operations.on_announcement(ctx, peer, gossip, operation);
            }
            Event::PeerMisbehaved { peer, misbehavior } => {
                ctx.record_misbehavior(peer, misbehavior);
            }
            Event::JobDone { job, outcome } => self.on_job_done(ctx, job, outcome)?,
            Event::BlockConnected { id, outcome } => self.on_block_connected(ctx, id, &outcome)?,
            Event::BlockMined { block } => {
                self.operations.on_tip_change();
                ctx.act(Action::BroadcastBlock(CompactBlock::of(ctx.network, &block)));
                ctx.wakeups.target = true;
            }
            Event::OperationSubmitted { id, outcome } => {
                let accepted = outcome == SubmitOutcome::Accepted;
                self.operations.on_operation_submitted(ctx, id, accepted);
            }
            Event::Tick => self.on_tick(ctx)?,
        }
        self.settle(ctx);
        Ok(())
    }

    /// Does what has become possible. Whether it was looked for another target.
    fn go_on(&mut self, ctx: &mut Context<'_>) -> Result<bool, StorageError> {
        if std::mem::take(&mut ctx.wakeups.headers) {
            self.headers.request_headers(ctx)?;
            self.settle(ctx);
        }
        let looked = std::mem::take(&mut ctx.wakeups.target);
        if looked {
            self.blocks.choose_target(ctx, &mut self.headers)?;
            self.settle(ctx);
        }
        self.blocks.request_blocks(ctx, &self.headers);
        self.blocks.check_bodies(ctx);
        self.blocks.connect_next(ctx, &self.headers);
        Ok(looked)
    }

    /// Clears what the machines know of peers that are gone and of blocks that failed.
    fn settle(&mut self, ctx: &mut Context<'_>) {
        loop {
            if let Some(id) = ctx.failed_blocks.next_new() {
                // Whoever showed a chain with it, or gave it, is banned.
                let mut guilty = self.relay.on_block_failed(ctx, id);
                guilty.extend(self.headers.on_block_failed(ctx, id));
                for peer in guilty {
                    ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
                }
            } else if let Some(peer) = ctx.peers.next_departed() {
                while let Some((request, sent)) = ctx.requests.take_of(peer) {
                    if let RequestKind::Blocks { first, ids } = sent.kind {
                        let run = (first, ids.len());
                        self.blocks.on_request_failed(ctx, peer, request, run, false);
                    }
                }
                self.relay.on_peer_gone(ctx, peer);
                self.headers.on_peer_gone(ctx, peer);
                self.blocks.on_peer_gone(peer);
                self.operations.on_peer_gone(peer);
            } else {
                return;
            }
        }
    }

    fn on_tick(&mut self, ctx: &mut Context<'_>) -> Result<(), StorageError> {
        while let Some((request, sent)) = ctx.requests.take_late(ctx.now) {
            self.on_request_failed(ctx, request, sent, RequestError::Timeout);
        }
        let (mut mute, mut due) = (Vec::new(), Vec::new());
        for (peer, state) in ctx.peers.iter() {
            if !state.has_greeted() && ctx.now >= state.connected_at() + HELLO_DEADLINE_MS {
                mute.push(peer);
            } else if state.is_hello_due(ctx.now) {
                due.push(peer);
            }
        }
        for peer in mute {
            ctx.disconnect(peer, "it did not say hello");
        }
        for peer in due {
            self.send_hello(ctx, peer);
        }
        self.settle(ctx);
        self.relay.on_tick(ctx, &mut self.headers)?;
        self.headers.expire_candidates(ctx);
        lagging::disconnect_lagging(ctx);
        self.settle(ctx);
        self.tip_watch.on_tick(ctx, self.headers.target().is_some());
        // While there are blocks to catch up with, what waits is of no use.
        if self.headers.best().is_none() {
            self.operations.request_mempools(ctx);
        }
        self.blocks.request_stalled(ctx, &self.headers);
        (ctx.wakeups.headers, ctx.wakeups.target) = (true, true);
        Ok(())
    }

    fn send_hello(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        let chain = ctx.chain;
        let tip = (chain.tip_id(), chain.tip_header().height, chain.work());
        let hello = self.identity.hello(tip, chain.first_block(), ctx.unix);
        let request = ctx.send_request(peer, Request::Hello(hello), RequestKind::Hello);
        if let Some(state) = ctx.peers.get_mut(peer) {
            let every =
                if state.is_block_only() { BLOCK_ONLY_HELLO_EVERY_MS } else { HELLO_EVERY_MS };
            state.hello_sent(request, ctx.now + every);
        }
    }

    fn on_hello(&mut self, ctx: &mut Context<'_>, peer: Peer, hello: Hello) {
        if hello.genesis != self.identity.genesis {
            return ctx.record_misbehavior(peer, Misbehavior::OtherNetwork);
        }
        if hello.version < MIN_PROTOCOL_VERSION {
            return ctx.disconnect(peer, "its version of the protocol is too old");
        }
        if let Some(state) = ctx.peers.get_mut(peer) {
            state.record_hello(hello, ctx.unix);
            self.headers.on_hello(ctx, peer);
        }
    }

    fn on_response(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: RequestId,
        response: Response,
    ) -> Result<(), StorageError> {
        // Late answers are nobody's fault and of no use: somebody else was asked.
        let Some(sent) = ctx.requests.take(peer, request) else { return Ok(()) };
        if response == Response::Busy {
            self.on_request_failed(ctx, request, sent, RequestError::Closed);
            return Ok(());
        }
        if let Some(state) = ctx.peers.get_mut(peer) {
            state.record_answer();
        }
        match (sent.kind, response) {
            (RequestKind::Hello, Response::Hello(hello)) => {
                if let Some(state) = ctx.peers.get_mut(peer) {
                    state.hello_done();
                }
                self.on_hello(ctx, peer, hello);
            }
            (RequestKind::Headers(asked), Response::Headers(headers)) => {
                self.headers.on_headers(ctx, peer, asked, &headers)?;
            }
            (RequestKind::Blocks { first, ids }, Response::Blocks(bodies)) => {
                let sent = (request, sent.sent_at);
                if !self.blocks.on_blocks(ctx, peer, sent, (first, &ids), bodies) {
                    let state = ctx.peers.get_mut(peer);
                    if state.is_some_and(|state| state.has_pruned(first)) {
                        ctx.wakeups.target = true;
                    } else {
                        self.headers.on_blocks_missing(ctx, peer);
                    }
                }
            }
            (
                RequestKind::PendingBlock { block, whole: false },
                Response::Operations(operations),
            ) => {
                self.relay.on_operations(ctx, peer, block, operations);
            }
            (RequestKind::PendingBlock { block, whole: true }, Response::Blocks(mut bodies))
                if bodies.len() < 2 =>
            {
                match bodies.pop() {
                    Some(body) => self.relay.on_body(ctx, peer, block, body),
                    None => self.relay.on_request_failed(ctx, &mut self.headers, peer, block),
                }
            }
            (RequestKind::Pending, Response::Pending(ids)) => {
                self.operations.on_mempool_ids(ctx, peer, ids);
            }
            (RequestKind::Operations(ids), Response::Operations(operations)) => {
                self.operations.on_operations(ctx, peer, &ids, operations);
            }
            (kind, _) => {
                // An answer to another question.
                let sent = InFlightRequest { kind, ..sent };
                self.on_request_failed(ctx, request, sent, RequestError::Malformed);
            }
        }
        Ok(())
    }

    /// What becomes of a request that brought nothing.
    fn on_request_failed(
        &mut self,
        ctx: &mut Context<'_>,
        request: RequestId,
        sent: InFlightRequest,
        error: RequestError,
    ) {
        let InFlightRequest { peer, kind, .. } = sent;
        let (is_hello, timeout) =
            (matches!(kind, RequestKind::Hello), error == RequestError::Timeout);
        let silent = ctx.peers.get_mut(peer).is_some_and(|state| {
            state.back_off(ctx.now);
            timeout && state.record_timeout() >= MAX_TIMEOUTS
        });
        match kind {
            RequestKind::Hello => {
                if let Some(state) = ctx.peers.get_mut(peer) {
                    state.hello_done();
                }
            }
            RequestKind::Headers(asked) => self.headers.on_request_over(ctx, peer, &asked),
            RequestKind::Blocks { first, ids } => {
                let run = (first, ids.len());
                self.blocks.on_request_failed(ctx, peer, request, run, timeout);
            }
            RequestKind::PendingBlock { block, .. } => {
                self.relay.on_request_failed(ctx, &mut self.headers, peer, block);
            }
            RequestKind::Pending | RequestKind::Operations(_) => {
                self.operations.on_request_failed(peer);
            }
        }
        let greeted = ctx.peers.get(peer).is_some_and(PeerState::has_greeted);
        match error {
            RequestError::Malformed => ctx.record_misbehavior(peer, Misbehavior::Malformed),
            RequestError::Timeout if silent => ctx.disconnect(peer, "it does not answer in time"),
            RequestError::Timeout | RequestError::Closed if is_hello && !greeted => {
                ctx.disconnect(peer, "it did not answer our hello");
            }
            RequestError::Timeout => {
                if let Some(state) = ctx.peers.get_mut(peer) {
                    // Never a ban by itself: lines break.
                    state.record_misbehavior(Misbehavior::Silent, ctx.now);
                }
            }
            RequestError::Closed => {}
        }
    }

    fn on_job_done(
        &mut self,
        ctx: &mut Context<'_>,
        job: JobId,
        outcome: JobOutcome,
    ) -> Result<(), StorageError> {
        match ctx.jobs.take(job) {
            None => {}
            Some(JobPurpose::Headers { candidate, batch, part }) => {
                self.headers.on_headers_checked(ctx, candidate, batch, part, outcome)?;
            }
            Some(JobPurpose::HeaderSample(peer)) => {
                self.headers.on_samples_checked(ctx, peer, &outcome);
            }
            Some(JobPurpose::Block { height, id, from }) => {
                self.on_block_checked(ctx, height, id, from, outcome);
            }
            Some(JobPurpose::LaterBranch(peer)) => ctx.on_later_branch_checked(peer, &outcome),
            Some(JobPurpose::AnnouncedHeader(id)) => self.relay.on_pow_checked(ctx, id, outcome),
            Some(JobPurpose::Operation(id)) => {
                self.operations.on_operation_checked(ctx, id, outcome);
            }
        }
        Ok(())
    }

    /// A block was checked by itself, be it of the download window or announced.
    fn on_block_checked(
        &mut self,
        ctx: &mut Context<'_>,
        height: u32,
        id: Hash,
        from: Option<Peer>,
        outcome: JobOutcome,
    ) {
        match outcome {
            JobOutcome::Block(block) => {
                self.blocks.on_block_checked(height, &id, &block);
                self.relay.on_block_checked(ctx, &id, block);
            }
            // Other operations than the header's, more than a block holds, or none: the block may
            // be fine, the one who gave it is not.
            JobOutcome::Invalid(RuleViolation::OpsRoot | RuleViolation::BlockSize(_))
            | JobOutcome::Malformed => {
                self.blocks.on_wrong_body(height, &id);
                self.relay.on_wrong_body(ctx, id, from.is_none());
                if let Some(from) = from {
                    ctx.record_misbehavior(from, Misbehavior::BrokenRule);
                }
            }
            JobOutcome::UpgradeNeeded(branch) => {
                ctx.record_later_branch(branch);
                self.relay.on_block_deferred(ctx, &id);
                self.blocks.on_block_deferred(ctx, &mut self.headers, &id);
            }
            _ => ctx.failed_blocks.insert(id),
        }
    }

    /// The chain has answered.
    fn on_block_connected(
        &mut self,
        ctx: &mut Context<'_>,
        id: Hash,
        outcome: &ConnectOutcome,
    ) -> Result<(), StorageError> {
        self.operations.on_tip_change();
        match outcome {
            ConnectOutcome::Accepted => {
                self.relay.on_block_connected(ctx, &id)?;
                self.blocks.on_block_connected(ctx, &mut self.headers, id)?;
            }
            ConnectOutcome::Invalid(_) => ctx.failed_blocks.insert(id),
            ConnectOutcome::Deferred => {
                self.relay.on_block_deferred(ctx, &id);
                self.blocks.on_block_deferred(ctx, &mut self.headers, &id);
            }
        }
        Ok(())
    }
}
