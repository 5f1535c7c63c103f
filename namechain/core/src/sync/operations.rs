//! Operations: those that are told to everybody, and those that are found out by asking a peer what
//! waits there, so that mempools meet again after a partition.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Acceptance, Action, GossipId, Job, JobOutcome, Misbehavior, Peer,
    limits::{FETCHERS, OPERATIONS, OPERATIONS_A_REQUEST, PENDING_EVERY_MS, TOLD_AGAIN},
    machine::{Asked, Sync, Task},
    message::Request,
    peers::Fetch,
};
use crate::{
    chain::Chain,
    mempool::Mempool,
    types::{Hash, Operation},
};

/// An operation in the works.
#[derive(Debug)]
struct Submission {
    /// Who told us, and what is to be judged.
    from: Vec<Peer>,
    gossips: Vec<GossipId>,
    /// Whether everybody is to be told though nobody told us.
    tell: bool,
}

/// The operations that are with the checks, or with the mempool.
#[derive(Debug, Default)]
pub(super) struct Submissions(BTreeMap<Hash, Submission>);

impl Submissions {
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Sync {
    /// An operation was told.
    pub(super) fn offered(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        peer: Peer,
        gossip: GossipId,
        operation: Operation,
    ) {
        let judge = |verdict| Action::ReportAcceptance { gossip, verdict };
        let id = operation.id(self.config.network);
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            return self.act(judge(Acceptance::Ignore));
        };
        if self.bad_operations.has(&id) {
            self.act(judge(Acceptance::Reject));
            return self.offend(peer, Misbehavior::BrokenRule);
        }
        if let Some(submission) = self.submissions.0.get_mut(&id) {
            // The same operation by another way: it is checked once.
            if submission.from.contains(&peer) {
                return self.act(judge(Acceptance::Ignore));
            }
            submission.from.push(peer);
            submission.gossips.push(gossip);
            return;
        }
        // Stamps on another branch than ours are cheap to see, and may be fine for others.
        let anchored = chain.anchor_height(&operation.stamp().anchor).is_some();
        if !anchored
            || mempool.has(&id)
            || self.refused.has(&id)
            || self.submissions.0.len() >= OPERATIONS
        {
            return self.act(judge(Acceptance::Ignore));
        }
        if !state.may_offer(now) {
            self.act(judge(Acceptance::Ignore));
            return self.offend(peer, Misbehavior::Flood);
        }
        self.submit(
            id,
            operation,
            Submission { from: vec![peer], gossips: vec![gossip], tell: false },
        );
    }

    fn submit(&mut self, id: Hash, operation: Operation, submission: Submission) {
        self.submissions.0.insert(id, submission);
        self.check(Job::Operation(Box::new(operation)), Task::Operation(id));
    }

    /// An operation was checked by itself.
    pub(super) fn operation_checked(&mut self, id: Hash, outcome: JobOutcome) {
        match outcome {
            JobOutcome::Operation(operation) => self.act(Action::SubmitOperation(operation)),
            _ => {
                self.bad_operations.insert(id);
                let Some(submission) = self.submissions.0.remove(&id) else { return };
                for gossip in submission.gossips {
                    self.act(Action::ReportAcceptance { gossip, verdict: Acceptance::Reject });
                }
                for peer in submission.from {
                    self.offend(peer, Misbehavior::BrokenRule);
                }
            }
        }
    }

    /// The mempool has answered, or has taken an operation of our own user's.
    pub(super) fn submitted(&mut self, mempool: &Mempool, id: Hash, taken: bool) {
        let verdict = if taken { Acceptance::Accept } else { Acceptance::Ignore };
        let tell = match self.submissions.0.remove(&id) {
            None => true,
            Some(submission) => {
                for gossip in submission.gossips {
                    self.act(Action::ReportAcceptance { gossip, verdict });
                }
                submission.tell
            }
        };
        if !taken {
            self.refused.insert(id);
        } else if tell && let Some(operation) = mempool.get(&id) {
            self.act(Action::BroadcastOperation((*operation).clone()));
        }
    }

    /// Asks peers what waits there, one after the other, while there is nothing more important to
    /// fetch; and goes on with what they said.
    pub(super) fn ask_what_waits(&mut self) {
        if self.window.candidate().is_some() || self.best_headers().is_some() {
            return;
        }
        let fetching = |fetch: &Fetch| fetch.request.is_some() || !fetch.left.is_empty();
        let mut fetchers = self.peers.values().filter(|state| fetching(&state.fetch)).count();
        let every = PENDING_EVERY_MS * self.peers.len().max(1) as u64;
        let now = self.now;
        let mut due: Vec<(u64, Peer)> = Vec::new();
        for (peer, state) in &self.peers {
            let free = !fetching(&state.fetch) && !state.is_quiet(now);
            if state.claim.is_some() && free && now >= state.next_pending {
                due.push((state.next_pending, *peer));
            }
        }
        due.sort_unstable();
        for (_, peer) in due {
            if fetchers >= FETCHERS {
                break;
            }
            fetchers += 1;
            let request = self.ask(peer, Request::Pending, Asked::Pending);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.fetch.request = Some(request);
                state.next_pending = now + every;
            }
        }
        let idle: Vec<Peer> = self
            .peers
            .iter()
            .filter(|(_, state)| state.fetch.request.is_none() && !state.fetch.left.is_empty())
            .map(|(peer, _)| *peer)
            .collect();
        for peer in idle {
            self.fetch_more(peer);
        }
    }

    /// A peer has told what waits there.
    pub(super) fn pending_answered(&mut self, mempool: &Mempool, peer: Peer, ids: Vec<Hash>) {
        let unknown: BTreeSet<Hash> =
            ids.iter().filter(|id| !mempool.has(id) && !self.refused.has(id)).copied().collect();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.fetch.request = None;
        state.fetch.tell = unknown.len() <= TOLD_AGAIN;
        // In its order: those of the most work first. Each once.
        let mut left = unknown;
        state.fetch.left = ids.into_iter().filter(|id| left.remove(id)).collect();
        self.fetch_more(peer);
    }

    /// Asks for the next of the operations that a peer has, if the checks keep up.
    fn fetch_more(&mut self, peer: Peer) {
        if self.submissions.0.len() + OPERATIONS_A_REQUEST > OPERATIONS {
            return;
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let count = state.fetch.left.len().min(OPERATIONS_A_REQUEST);
        let submissions = &self.submissions.0;
        let ids: Vec<Hash> =
            state.fetch.left.drain(..count).filter(|id| !submissions.contains_key(id)).collect();
        if ids.is_empty() {
            return;
        }
        let request =
            self.ask(peer, Request::Operations { ids: ids.clone() }, Asked::Operations(ids));
        if let Some(state) = self.peers.get_mut(&peer) {
            state.fetch.request = Some(request);
        }
    }

    /// Operations that were asked for have come.
    pub(super) fn operations_answered(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        peer: Peer,
        ids: &[Hash],
        operations: Vec<Operation>,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.fetch.request = None;
        let tell = state.fetch.tell;
        let mut asked: BTreeSet<Hash> = ids.iter().copied().collect();
        for operation in operations {
            let id = operation.id(self.config.network);
            if !asked.remove(&id) {
                return self.offend(peer, Misbehavior::Malformed);
            }
            let known = mempool.has(&id)
                || self.submissions.0.contains_key(&id)
                || self.bad_operations.has(&id);
            if known || self.submissions.0.len() >= OPERATIONS {
                continue;
            }
            if chain.anchor_height(&operation.stamp().anchor).is_none() {
                self.refused.insert(id);
                continue;
            }
            self.submit(id, operation, Submission { from: vec![peer], gossips: Vec::new(), tell });
        }
        self.fetch_more(peer);
    }

    pub(super) fn fetch_failed(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.fetch = Fetch::default();
        }
    }
}
