//! The machine: one place where events come in, and from which every room here is told.
//!
//! A peer:
//!
//! ```text
//! connected --hello in time--> greeted --claims more work, of a tip that we do not know--> asked for headers --.
//!    |                          |  ^  ^                                                    |                   |
//!    | no hello, other network  |  |  '---- they end, and sum no more than ours -----------'    they go on, ---'
//!    v                          |  |                                                       |     2,000 an answer
//! hung up on, banned <----------'  '-- our chain has them all -- on a candidate <----------'
//!    ^    score at -100, silent           asked for its blocks    they sum more
//! ```
//!
//! A candidate, which peers on the same chain share:
//!
//! ```text
//! headers shown --place, time, target, history fit--> unworked --jobs--> worked --a peer's last--> complete
//!   |                                                    |                                           |
//!   | a rule broken                                      | work missing                              | more work than ours?
//!   v                                                    v                                           |
//!  peer banned                          cut back to what is worked, peer banned                      |
//!                                                                                                    |
//!  dropped <-- no more work than ours, a block breaks a rule, nobody has it for ten minutes ---------+
//!  held back <-- departs more than 720 blocks below our tip -----------------------------------------+
//!  target <-- the one of most work that somebody is there to give -----------------------------------'
//!     its blocks, in a window: wanted -> asked -> body -> checking -> ready -> connecting -> ours
//! ```
//!
//! An announced block whose parent we have goes its own way (`relay.rs`), one whose parent we have
//! not makes its peer be asked for headers. Everything asked for has a deadline, everything given
//! up has a next one to ask, or is dropped; nobody is asked the same thing again before some time
//! has passed or something has changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Action, ConnectOutcome, Event, Job, JobId, JobOutcome, Misbehavior, Peer, RequestError,
    RequestId, SubmitOutcome, Usage,
    candidates::Candidates,
    download::Window,
    headers::Walk,
    limits::{
        FAILED, HELLO_DEADLINE_MS, HELLO_EVERY_MS, JOBS, REFUSED, REQUEST_DEADLINE_MS, SILENCES,
        ban_seconds,
    },
    message::{CompactBlock, Hello, Request, Response},
    operations::Submissions,
    peers::PeerState,
    relay::Arrivals,
    remember::Remembered,
    serve::Identity,
    standing::{Rate, SyncConfig},
};
use crate::{
    chain::{Chain, StorageError},
    mempool::Mempool,
    types::Hash,
};

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    Hello,
    Headers(Walk),
    /// Blocks of the window, from a height on.
    Blocks {
        first: u32,
        ids: Vec<Hash>,
    },
    /// What is missing of an announced block: some operations, or all of it.
    Arrival {
        block: Hash,
        whole: bool,
    },
    Pending,
    Operations(Vec<Hash>),
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    pub peer: Peer,
    pub since: u64,
    deadline: u64,
    pub what: Asked,
}

/// What a job is for.
#[derive(Debug)]
pub(super) enum Task {
    Headers {
        candidate: u64,
        batch: u64,
        part: usize,
    },
    /// A block: of the window, with who gave it, or an announced one.
    Block {
        height: u32,
        id: Hash,
        from: Option<Peer>,
    },
    /// The work of an announced block's header.
    ArrivalWork(Hash),
    Operation(Hash),
}

/// The state machine. See the drawings at the head of this file.
#[derive(Debug)]
pub struct Sync {
    pub(super) config: SyncConfig,
    pub(super) identity: Identity,
    /// The clock, in milliseconds from any start.
    pub(super) now: u64,
    /// The clock, in seconds of Unix time.
    pub(super) unix: u64,
    actions: VecDeque<Action>,
    pub(super) requests: BTreeMap<RequestId, InFlight>,
    next_request: u64,
    tasks: BTreeMap<JobId, Task>,
    next_job: u64,
    pub(super) peers: BTreeMap<Peer, PeerState>,
    pub(super) candidates: Candidates,
    pub(super) window: Window,
    pub(super) arrivals: Arrivals,
    /// The blocks that are in the hands of the checks: none twice at a time, whoever wants to know.
    pub(super) checking: BTreeSet<Hash>,
    pub(super) early: Vec<(Peer, CompactBlock)>,
    pub(super) submissions: Submissions,
    /// Blocks that break a rule.
    pub(super) failed: Remembered,
    /// Operations that break a rule by themselves.
    pub(super) bad_operations: Remembered,
    /// Operations that were refused, until the tip moves.
    pub(super) refused: Remembered,
    pub(super) header_rate: Rate,
    pub(super) block_rate: Rate,
    pub(super) synced: bool,
    /// Something has changed that may make a peer worth asking for headers.
    pub(super) look_for_headers: bool,
    /// Something has changed that may make another candidate the target.
    pub(super) look_for_target: bool,
}

impl Sync {
    /// A machine that knows nobody.
    pub fn new(config: SyncConfig) -> Self {
        Sync {
            identity: Identity::new(config.network, &config.agent),
            now: 0,
            unix: 0,
            actions: VecDeque::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            tasks: BTreeMap::new(),
            next_job: 0,
            peers: BTreeMap::new(),
            candidates: Candidates::default(),
            window: Window::default(),
            arrivals: Arrivals::default(),
            checking: BTreeSet::new(),
            early: Vec::new(),
            submissions: Submissions::default(),
            failed: Remembered::new(FAILED),
            bad_operations: Remembered::new(FAILED),
            refused: Remembered::new(REFUSED),
            header_rate: Rate::default(),
            block_rate: Rate::default(),
            synced: config.ever_synced,
            look_for_headers: false,
            look_for_target: false,
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
        (self.now, self.unix) = (now.max(self.now), unix_now);
        match event {
            Event::PeerConnected { peer, ip, outbound } => {
                self.peers.insert(peer, PeerState::new(ip, outbound, self.now));
                if outbound {
                    self.say_hello(chain, peer);
                }
            }
            Event::PeerDisconnected { peer } => self.remove_peer(peer),
            Event::HelloReceived { peer, hello } => self.greeted(peer, hello),
            Event::ResponseReceived { peer, request, response } => {
                self.answered(chain, mempool, peer, request, response)?;
            }
            Event::RequestFailed { peer, request, error } => {
                if let Some(asked) = self.take_request(peer, request) {
                    self.failed_request(request, asked, error);
                }
            }
            Event::BlockAnnounced { peer, gossip, block } => {
                self.announced(chain, peer, Some(gossip), block)?;
            }
            Event::OperationAnnounced { peer, gossip, operation } => {
                self.offered(chain, mempool, peer, gossip, operation);
            }
            Event::PeerMisbehaved { peer, misbehavior } => self.offend(peer, misbehavior),
            Event::JobDone { job, outcome } => self.checked(chain, mempool, job, outcome)?,
            Event::BlockConnected { id, outcome } => self.connected(chain, id, &outcome)?,
            Event::BlockMined { block } => {
                self.refused.clear();
                self.act(Action::BroadcastBlock(CompactBlock::of(self.config.network, &block)));
                self.look_for_target = true;
            }
            Event::OperationSubmitted { id, outcome } => {
                self.submitted(mempool, id, outcome == SubmitOutcome::Accepted)
            }
            Event::Tick => self.tick(chain)?,
        }
        self.go_on(chain)
    }

    /// The next thing to do, in the order in which it is to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Does what has become possible.
    fn go_on(&mut self, chain: &Chain) -> Result<(), StorageError> {
        if std::mem::take(&mut self.look_for_headers) {
            self.ask_for_headers(chain)?;
        }
        if std::mem::take(&mut self.look_for_target) {
            self.choose_target(chain)?;
            self.note_standing(chain);
        }
        self.fetch_blocks();
        self.check_blocks();
        self.connect_next();
        Ok(())
    }

    fn tick(&mut self, chain: &Chain) -> Result<(), StorageError> {
        let late: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, asked)| asked.deadline <= self.now)
            .map(|(request, _)| *request)
            .collect();
        for request in late {
            if let Some(asked) = self.requests.remove(&request) {
                self.failed_request(request, asked, RequestError::Timeout);
            }
        }
        let (now, mut mute, mut due) = (self.now, Vec::new(), Vec::new());
        for (peer, state) in &mut self.peers {
            if state.claim.is_none() && now >= state.connected_at + HELLO_DEADLINE_MS {
                mute.push(*peer);
            } else if state.outbound && state.hello.is_none() && now >= state.next_hello {
                due.push(*peer);
            }
        }
        for peer in mute {
            self.hang_up(peer, "it did not say hello");
        }
        for peer in due {
            self.say_hello(chain, peer);
        }
        self.take_early(chain)?;
        self.give_up_arrivals();
        self.expire_candidates();
        self.ask_what_waits();
        self.ask_around_stall();
        (self.look_for_headers, self.look_for_target) = (true, true);
        Ok(())
    }

    fn say_hello(&mut self, chain: &Chain, peer: Peer) {
        let tip = chain.tip_header();
        let hello = self.identity.hello(chain.tip_id(), tip.height, chain.work(), self.unix);
        let request = self.ask(peer, Request::Hello(hello), Asked::Hello);
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.hello, state.next_hello) = (Some(request), self.now + HELLO_EVERY_MS);
        }
    }

    fn greeted(&mut self, peer: Peer, hello: Hello) {
        if hello.genesis != self.identity.genesis {
            return self.offend(peer, Misbehavior::OtherNetwork);
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.greet(hello, self.unix);
            state.settled = false;
            self.look_for_headers = true;
        }
    }

    fn answered(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        peer: Peer,
        request: RequestId,
        response: Response,
    ) -> Result<(), StorageError> {
        // Late answers are nobody's fault and of no use: somebody else was asked.
        let Some(asked) = self.take_request(peer, request) else { return Ok(()) };
        if response == Response::Busy {
            self.failed_request(request, asked, RequestError::Closed);
            return Ok(());
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.was_useful();
        }
        match (asked.what, response) {
            (Asked::Hello, Response::Hello(hello)) => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.hello = None;
                }
                self.greeted(peer, hello);
            }
            (Asked::Headers(walk), Response::Headers(headers)) => {
                self.headers_answered(chain, peer, walk, headers)?;
            }
            (Asked::Blocks { first, ids }, Response::Blocks(bodies)) => {
                self.blocks_answered(peer, request, asked.since, first, &ids, bodies);
            }
            (Asked::Arrival { block, whole: false }, Response::Operations(operations)) => {
                self.arrival_operations(peer, block, operations);
            }
            (Asked::Arrival { block, whole: true }, Response::Blocks(mut bodies))
                if bodies.len() < 2 =>
            {
                self.arrival_body(peer, block, bodies.pop());
            }
            (Asked::Pending, Response::Pending(ids)) => self.pending_answered(mempool, peer, ids),
            (Asked::Operations(ids), Response::Operations(operations)) => {
                self.operations_answered(chain, mempool, peer, &ids, operations);
            }
            (what, _) => {
                // An answer to another question.
                let asked = InFlight { what, ..asked };
                self.failed_request(request, asked, RequestError::Malformed);
            }
        }
        Ok(())
    }

    /// What becomes of a request that brought nothing.
    fn failed_request(&mut self, request: RequestId, asked: InFlight, error: RequestError) {
        let InFlight { peer, what, .. } = asked;
        let now = self.now;
        let is_hello = matches!(what, Asked::Hello);
        let silent = self.peers.get_mut(&peer).is_some_and(|state| {
            state.be_quiet(now);
            state.silences += u8::from(error == RequestError::Timeout);
            state.silences >= SILENCES
        });
        match what {
            Asked::Hello => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.hello = None;
                }
            }
            Asked::Headers(walk) => self.walk_failed(peer, &walk),
            Asked::Blocks { first, ids } => {
                self.blocks_failed(peer, request, first, ids.len(), error == RequestError::Timeout);
            }
            Asked::Arrival { block, .. } => self.arrival_failed(peer, block),
            Asked::Pending | Asked::Operations(_) => self.fetch_failed(peer),
        }
        let greeted = self.peers.get(&peer).is_some_and(|state| state.claim.is_some());
        match error {
            RequestError::Malformed => self.offend(peer, Misbehavior::Malformed),
            RequestError::Timeout if silent => self.hang_up(peer, "it does not answer in time"),
            RequestError::Timeout | RequestError::Closed if is_hello && !greeted => {
                self.hang_up(peer, "it did not answer our hello");
            }
            RequestError::Timeout => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    // Never a ban by itself: lines break.
                    state.offend(Misbehavior::Silent, now);
                }
            }
            RequestError::Closed => {}
        }
    }

    fn checked(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        job: JobId,
        outcome: JobOutcome,
    ) -> Result<(), StorageError> {
        match self.tasks.remove(&job) {
            None => Ok(()),
            Some(Task::Headers { candidate, batch, part }) => {
                self.headers_checked(chain, candidate, batch, part, outcome)
            }
            Some(Task::Block { height, id, from }) => {
                self.block_checked(height, id, from, outcome);
                Ok(())
            }
            Some(Task::ArrivalWork(id)) => {
                self.arrival_worked(mempool, id, outcome);
                Ok(())
            }
            Some(Task::Operation(id)) => {
                self.operation_checked(id, outcome);
                Ok(())
            }
        }
    }

    /// The chain has answered.
    fn connected(
        &mut self,
        chain: &Chain,
        id: Hash,
        outcome: &ConnectOutcome,
    ) -> Result<(), StorageError> {
        self.refused.clear();
        match outcome {
            ConnectOutcome::Accepted => {
                self.arrival_connected(chain, id)?;
                self.window_connected(chain, id)
            }
            ConnectOutcome::Invalid(_) => {
                self.fail(id);
                Ok(())
            }
            ConnectOutcome::Deferred => {
                self.drop_arrival(&id, super::Acceptance::Ignore);
                self.window_refused(id);
                Ok(())
            }
        }
    }

    /// A block breaks a rule: whoever showed a chain with it, or gave it, is banned, and it is not
    /// looked at again.
    pub(super) fn fail(&mut self, id: Hash) {
        self.failed.insert(id);
        let mut guilty = self.fail_arrival(id);
        guilty.extend(self.fail_candidates(id));
        for peer in guilty {
            self.offend(peer, Misbehavior::BrokenRule);
        }
        (self.look_for_headers, self.look_for_target) = (true, true);
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn ask(&mut self, peer: Peer, request: Request, what: Asked) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let (since, deadline) = (self.now, self.now + REQUEST_DEADLINE_MS);
        self.requests.insert(id, InFlight { peer, since, deadline, what });
        self.act(Action::SendRequest { peer, id, request });
        id
    }

    /// Takes a request out of those in flight, if it was this peer's.
    fn take_request(&mut self, peer: Peer, request: RequestId) -> Option<InFlight> {
        if self.requests.get(&request)?.peer == peer {
            self.requests.remove(&request)
        } else {
            None
        }
    }

    pub(super) fn check(&mut self, job: Job, task: Task) {
        debug_assert!(self.tasks.len() < JOBS);
        self.next_job += 1;
        let id = JobId(self.next_job);
        self.tasks.insert(id, task);
        self.act(Action::RunJob { id, job });
    }

    /// Scores an misbehavior, and bans at the last.
    pub(super) fn offend(&mut self, peer: Peer, misbehavior: Misbehavior) {
        let now = self.now;
        if self.peers.get_mut(&peer).is_some_and(|state| state.offend(misbehavior, now)) {
            self.act(Action::Ban { peer, misbehavior, seconds: ban_seconds(misbehavior) });
            self.remove_peer(peer);
        }
    }

    pub(super) fn hang_up(&mut self, peer: Peer, why: &'static str) {
        self.act(Action::Disconnect { peer, why });
        self.remove_peer(peer);
    }

    /// Forgets a peer, and asks others for what it was asked for.
    fn remove_peer(&mut self, peer: Peer) {
        if self.peers.remove(&peer).is_none() {
            return;
        }
        let its: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, asked)| asked.peer == peer)
            .map(|(id, _)| *id)
            .collect();
        for request in its {
            let Some(InFlight { what, .. }) = self.requests.remove(&request) else { continue };
            match what {
                Asked::Blocks { first, ids } => {
                    self.blocks_failed(peer, request, first, ids.len(), false);
                }
                Asked::Arrival { block, .. } => self.arrival_source_lost(peer, block),
                _ => {}
            }
        }
        self.early.retain(|(from, _)| *from != peer);
        self.leave_candidates(peer);
        (self.look_for_headers, self.look_for_target) = (true, true);
    }

    /// How much is held.
    pub fn usage(&self) -> Usage {
        Usage {
            peers: self.peers.len(),
            requests: self.requests.len(),
            jobs: self.tasks.len(),
            candidates: self.candidates.len(),
            candidate_ids: self.candidates.ids(),
            window: self.window.len(),
            window_bytes: self.window.bytes(),
            arrivals: self.arrivals.len() + self.early.len(),
            operations: self.submissions.len(),
            wanted_operations: self.peers.values().map(|state| state.fetch.left.len()).sum(),
            remembered: self.failed.len() + self.bad_operations.len() + self.refused.len(),
        }
    }
}
