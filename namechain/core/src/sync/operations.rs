//! Operations: those that come by gossip, and those that are found by asking a peer for its
//! mempool, so that mempools meet again after a partition.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    action::{Acceptance, Action, Job},
    context::Context,
    event::{GossipId, JobOutcome, Misbehavior, Peer, RequestId},
    jobs::JobPurpose,
    limits::{
        FAILED_IDS, FETCHERS, OPERATION_BURST, OPERATIONS, OPERATIONS_PER_REQUEST,
        OPERATIONS_PER_SECOND, PENDING_EVERY_MS, REBROADCAST_MAX, REFUSED_IDS,
    },
    message::Request,
    peers::bucket_time,
    recent_ids::RecentIds,
    requests::RequestKind,
};
use crate::{
    token_bucket::TokenBucket,
    types::{Hash, Operation},
};

/// Operations in a peer's mempool that are to be fetched from it.
#[derive(Debug, Default)]
struct Fetch {
    /// Ids that have not been asked for.
    left: VecDeque<Hash>,
    /// Whether what comes is broadcast.
    broadcast: bool,
    /// The request in flight, for the list or for operations.
    request: Option<RequestId>,
}

impl Fetch {
    fn is_active(&self) -> bool {
        self.request.is_some() || !self.left.is_empty()
    }
}

/// What is known of a peer's operations.
#[derive(Debug)]
struct OperationPeer {
    /// How many operations it may still send by gossip.
    bucket: TokenBucket,
    fetch: Fetch,
    next_pending: u64,
}

/// An operation that is being checked, or that the mempool has been given.
#[derive(Debug)]
struct PendingOp {
    senders: Vec<Peer>,
    gossip: Vec<GossipId>,
    /// Whether it is broadcast though it did not come by gossip.
    broadcast: bool,
}

/// The operations that are not in the mempool yet.
#[derive(Debug)]
pub(super) struct OperationRelay {
    peers: BTreeMap<Peer, OperationPeer>,
    pending: BTreeMap<Hash, PendingOp>,
    /// Operations that break a rule by themselves.
    failed: RecentIds,
    /// Operations that were refused, until the tip moves.
    refused: RecentIds,
}

impl OperationRelay {
    pub fn new() -> Self {
        OperationRelay {
            peers: BTreeMap::new(),
            pending: BTreeMap::new(),
            failed: RecentIds::new(FAILED_IDS),
            refused: RecentIds::new(REFUSED_IDS),
        }
    }

    pub fn on_peer_connected(&mut self, peer: Peer, now: u64) {
        let bucket = TokenBucket::new(OPERATION_BURST, OPERATIONS_PER_SECOND, bucket_time(now));
        let state = OperationPeer { bucket, fetch: Fetch::default(), next_pending: now };
        self.peers.insert(peer, state);
    }

    pub fn on_peer_gone(&mut self, peer: Peer) {
        self.peers.remove(&peer);
    }

    /// What was refused at the old tip may be fine now.
    pub fn on_tip_change(&mut self) {
        self.refused.clear();
    }

    /// An operation came by gossip.
    pub fn on_announcement(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        gossip: GossipId,
        operation: Operation,
    ) {
        let id = operation.id(ctx.network);
        let ignore = |ctx: &mut Context<'_>| ctx.report(Some(gossip), Acceptance::Ignore);
        let Some(state) = self.peers.get_mut(&peer).filter(|_| ctx.peers.contains(peer)) else {
            return ignore(ctx);
        };
        if self.failed.contains(&id) {
            ctx.report(Some(gossip), Acceptance::Reject);
            return ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
        }
        if let Some(pending) = self.pending.get_mut(&id) {
            // The same operation by another way: it is checked once.
            if pending.senders.contains(&peer) {
                return ignore(ctx);
            }
            pending.senders.push(peer);
            pending.gossip.push(gossip);
            return;
        }
        // What is too cheap, over, or on another branch than ours is cheap to see, and may be fine
        // for others.
        let timely = ctx.chain.precheck_operation(&operation, ctx.unix).is_ok();
        let known = ctx.mempool.has(&id) || self.refused.contains(&id);
        if !timely || known || self.pending.len() >= OPERATIONS {
            return ignore(ctx);
        }
        if !state.bucket.take(1, bucket_time(ctx.now)) {
            ignore(ctx);
            return ctx.record_misbehavior(peer, Misbehavior::Flood);
        }
        let pending = PendingOp { senders: vec![peer], gossip: vec![gossip], broadcast: false };
        self.check(ctx, id, operation, pending);
    }

    fn check(&mut self, ctx: &mut Context<'_>, id: Hash, operation: Operation, pending: PendingOp) {
        self.pending.insert(id, pending);
        let branch = ctx.chain.branch_at(ctx.unix);
        let job = Job::Operation { operation: Box::new(operation), branch };
        ctx.run_job(job, JobPurpose::Operation(id));
    }

    /// An operation was checked by itself.
    pub fn on_operation_checked(&mut self, ctx: &mut Context<'_>, id: Hash, outcome: JobOutcome) {
        if let JobOutcome::Operation(operation) = outcome {
            return ctx.act(Action::SubmitOperation(operation));
        }
        let other_branch = matches!(outcome, JobOutcome::OtherBranch);
        if other_branch {
            self.refused.insert(id)
        } else {
            self.failed.insert(id)
        }
        let Some(pending) = self.pending.remove(&id) else { return };
        if other_branch {
            for gossip in pending.gossip {
                ctx.report(Some(gossip), Acceptance::Ignore);
            }
            return;
        }
        for gossip in pending.gossip {
            ctx.report(Some(gossip), Acceptance::Reject);
        }
        for peer in pending.senders {
            ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
        }
    }

    /// The mempool has answered, or has taken an operation of a local user.
    pub fn on_operation_submitted(&mut self, ctx: &mut Context<'_>, id: Hash, accepted: bool) {
        let acceptance = if accepted { Acceptance::Accept } else { Acceptance::Ignore };
        let broadcast = match self.pending.remove(&id) {
            None => true,
            Some(pending) => {
                // Who brings what is of use may bring as much as it likes.
                let first = pending.senders.first().filter(|_| accepted);
                if let Some(state) = first.and_then(|peer| self.peers.get_mut(peer)) {
                    state.bucket.give_back(1);
                }
                for gossip in pending.gossip {
                    ctx.report(Some(gossip), acceptance);
                }
                pending.broadcast
            }
        };
        if !accepted {
            self.refused.insert(id);
        } else if broadcast && let Some(operation) = ctx.mempool.get(&id) {
            ctx.act(Action::BroadcastOperation((*operation).clone()));
        }
    }

    /// Asks peers for their mempools, one after the other, and goes on with what they said.
    pub fn request_mempools(&mut self, ctx: &mut Context<'_>) {
        let mut fetchers = self.peers.values().filter(|state| state.fetch.is_active()).count();
        let every = PENDING_EVERY_MS * ctx.peers.len().max(1) as u64;
        let mut due: Vec<(u64, Peer)> = Vec::new();
        for (peer, state) in &self.peers {
            let ready = ctx.peers.get(*peer).is_some_and(|shared| {
                shared.has_greeted() && !shared.is_block_only() && !shared.is_backing_off(ctx.now)
            });
            if ready && !state.fetch.is_active() && ctx.now >= state.next_pending {
                due.push((state.next_pending, *peer));
            }
        }
        due.sort_unstable();
        for (_, peer) in due {
            if fetchers >= FETCHERS {
                break;
            }
            fetchers += 1;
            let request = ctx.send_request(peer, Request::Pending, RequestKind::Pending);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.fetch.request = Some(request);
                state.next_pending = ctx.now + every;
            }
        }
        let idle: Vec<Peer> = self
            .peers
            .iter()
            .filter(|(_, state)| state.fetch.request.is_none() && !state.fetch.left.is_empty())
            .map(|(peer, _)| *peer)
            .collect();
        for peer in idle {
            self.fetch_more(ctx, peer);
        }
    }

    /// A peer has told the ids of its mempool.
    pub fn on_mempool_ids(&mut self, ctx: &mut Context<'_>, peer: Peer, ids: Vec<Hash>) {
        let mut unknown: BTreeSet<Hash> = ids
            .iter()
            .filter(|id| !ctx.mempool.has(id) && !self.refused.contains(id))
            .copied()
            .collect();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.fetch.request = None;
        state.fetch.broadcast = unknown.len() <= REBROADCAST_MAX;
        // In its order: those of the most work first. Each once.
        state.fetch.left = ids.into_iter().filter(|id| unknown.remove(id)).collect();
        self.fetch_more(ctx, peer);
    }

    /// Asks for the next of the operations that a peer has, if the checks keep up.
    fn fetch_more(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        if self.pending.len() + OPERATIONS_PER_REQUEST > OPERATIONS || !ctx.peers.contains(peer) {
            return;
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let count = state.fetch.left.len().min(OPERATIONS_PER_REQUEST);
        let next = state.fetch.left.drain(..count);
        let ids: Vec<Hash> = next.filter(|id| !self.pending.contains_key(id)).collect();
        if ids.is_empty() {
            return;
        }
        let kind = RequestKind::Operations(ids.clone());
        state.fetch.request = Some(ctx.send_request(peer, Request::Operations { ids }, kind));
    }

    /// Operations that were asked for have come.
    pub fn on_operations(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        ids: &[Hash],
        operations: Vec<Operation>,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.fetch.request = None;
        let broadcast = state.fetch.broadcast;
        let mut requested: BTreeSet<Hash> = ids.iter().copied().collect();
        for operation in operations {
            let id = operation.id(ctx.network);
            if !requested.remove(&id) {
                return ctx.record_misbehavior(peer, Misbehavior::Malformed);
            }
            let known =
                ctx.mempool.has(&id) || self.pending.contains_key(&id) || self.failed.contains(&id);
            if known || self.pending.len() >= OPERATIONS {
                continue;
            }
            if ctx.chain.precheck_operation(&operation, ctx.unix).is_err() {
                self.refused.insert(id);
                continue;
            }
            let pending = PendingOp { senders: vec![peer], gossip: Vec::new(), broadcast };
            self.check(ctx, id, operation, pending);
        }
        self.fetch_more(ctx, peer);
    }

    /// A request has failed: the rest is left to the next list.
    pub fn on_request_failed(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.fetch = Fetch::default();
        }
    }

    /// Whether a peer is being asked for its mempool.
    pub fn is_asking(&self, peer: Peer) -> bool {
        self.peers.get(&peer).is_some_and(|state| state.fetch.request.is_some())
    }

    /// How many operations are pending, are to be fetched, and are remembered.
    pub fn len(&self) -> (usize, usize, usize) {
        let wanted = self.peers.values().map(|state| state.fetch.left.len()).sum();
        (self.pending.len(), wanted, self.failed.len() + self.refused.len())
    }
}
