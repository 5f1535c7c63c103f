//! What the four machines share while an event is handled.

use std::collections::VecDeque;

use super::{
    action::{Acceptance, Action, Job},
    event::{GossipId, JobId, JobOutcome, Misbehavior, Peer, RequestId},
    jobs::{JobPurpose, Jobs},
    limits::{FAILED_IDS, ban_seconds},
    message::Request,
    peers::PeerTable,
    recent_ids::RecentIds,
    requests::{RequestKind, Requests},
};
use crate::{
    chain::Chain,
    mempool::Mempool,
    types::{Hash, Header, Network},
};

/// What has to be looked at again before the event is done with.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    /// A peer may have become worth asking for headers.
    pub headers: bool,
    /// Another candidate may have become the one to download.
    pub target: bool,
}

/// The blocks that broke a rule.
#[derive(Debug)]
pub(super) struct FailedBlocks {
    known: RecentIds,
    /// Those that the machines have not heard of yet.
    new: VecDeque<Hash>,
}

impl FailedBlocks {
    pub fn new() -> Self {
        FailedBlocks { known: RecentIds::new(FAILED_IDS), new: VecDeque::new() }
    }

    pub fn contains(&self, id: &Hash) -> bool {
        self.known.contains(id)
    }

    pub fn insert(&mut self, id: Hash) {
        self.known.insert(id);
        self.new.push_back(id);
    }

    pub fn next_new(&mut self) -> Option<Hash> {
        self.new.pop_front()
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }
}

/// Whether a chain was seen that follows a later branch of the protocol than this program knows.
#[derive(Debug, Default)]
pub(super) struct LaterBranch {
    /// The highest that was seen in a header with its work.
    pub seen: Option<u32>,
    /// Whether such a header's work is being checked.
    checking: bool,
}

/// The chain as it is, the peers, and where requests, jobs and actions go.
pub(super) struct Context<'a> {
    pub chain: &'a Chain,
    pub mempool: &'a Mempool,
    pub network: Network,
    pub peers: &'a mut PeerTable,
    pub requests: &'a mut Requests,
    pub jobs: &'a mut Jobs,
    pub actions: &'a mut VecDeque<Action>,
    pub failed_blocks: &'a mut FailedBlocks,
    pub wakeups: &'a mut Wakeups,
    pub later_branch: &'a mut LaterBranch,
    /// The state of the choices that no peer foresees.
    pub random: &'a mut u64,
    /// Milliseconds from any start.
    pub now: u64,
    /// Seconds of Unix time.
    pub unix: u64,
}

impl Context<'_> {
    /// A number below `bound`, which is not zero, that no peer foresees (SplitMix64).
    pub fn random_below(&mut self, bound: usize) -> usize {
        *self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub fn send_request(&mut self, peer: Peer, request: Request, kind: RequestKind) -> RequestId {
        let id = self.requests.insert(peer, kind, self.now);
        self.act(Action::SendRequest { peer, id, request });
        id
    }

    pub fn run_job(&mut self, job: Job, purpose: JobPurpose) -> JobId {
        let id = self.jobs.insert(purpose);
        self.act(Action::RunJob { id, job });
        id
    }

    /// Has a block checked, unless it is being checked: the result goes to all who want it.
    pub fn check_block(
        &mut self,
        height: u32,
        id: Hash,
        from: Option<Peer>,
        job: impl FnOnce() -> Job,
    ) {
        if self.jobs.insert_block(id) {
            self.run_job(job(), JobPurpose::Block { height, id, from });
        }
    }

    /// A peer has shown a header of a branch that this program does not know. If it has its work
    /// that is nobody's fault, and this program is too old.
    pub fn on_later_branch(&mut self, peer: Peer, header: &Header) {
        let known = self.later_branch.seen.is_some_and(|seen| seen >= header.version);
        if !known && !self.later_branch.checking {
            self.later_branch.checking = true;
            self.run_job(Job::Headers(vec![header.clone()]), JobPurpose::LaterBranch(peer));
        }
    }

    pub fn on_later_branch_checked(&mut self, peer: Peer, outcome: &JobOutcome) {
        self.later_branch.checking = false;
        match outcome {
            JobOutcome::UpgradeNeeded(branch) => self.record_later_branch(*branch),
            _ => self.record_misbehavior(peer, Misbehavior::BrokenRule),
        }
    }

    pub fn record_later_branch(&mut self, branch: u32) {
        self.later_branch.seen = self.later_branch.seen.max(Some(branch));
    }

    pub fn report(&mut self, gossip: Option<GossipId>, acceptance: Acceptance) {
        if let Some(gossip) = gossip {
            self.act(Action::ReportAcceptance { gossip, acceptance });
        }
    }

    /// Takes points off a peer's score, and bans it when they are too many.
    pub fn record_misbehavior(&mut self, peer: Peer, misbehavior: Misbehavior) {
        let now = self.now;
        let state = self.peers.get_mut(peer);
        if state.is_some_and(|state| state.record_misbehavior(misbehavior, now)) {
            self.act(Action::Ban { peer, misbehavior, seconds: ban_seconds(misbehavior) });
            self.peers.remove(peer);
        }
    }

    pub fn disconnect(&mut self, peer: Peer, why: &'static str) {
        if self.peers.contains(peer) {
            self.act(Action::Disconnect { peer, why });
            self.peers.remove(peer);
        }
    }
}
