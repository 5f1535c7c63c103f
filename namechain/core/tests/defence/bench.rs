//! One machine on a bench: the test is the network, the checks and the clock.

use std::collections::BTreeMap;

use namechain_core::{
    chain::{Accepted, ChainError},
    codec::Encode,
    mempool::Mempool,
    sync::{
        Acceptance, Action, ConnectOutcome, Event, GossipId, Job, JobId, Misbehavior, Peer,
        RequestId, SubmitOutcome, Sync, SyncConfig,
        message::{CompactBlock, Hello, Request, Response},
        serve::Identity,
    },
    types::{Block, Hash, Header, Operation},
};

use crate::common::{Miner, NETWORK, NOW};

pub struct Bench {
    pub miner: Miner,
    pub mempool: Mempool,
    pub sync: Sync,
    pub now: u64,
    /// Seconds that the clock is away from [`NOW`].
    pub skew: u64,
    pub jobs: Vec<(JobId, Job)>,
    /// What was asked and not answered, by peer.
    pub asked: Vec<(Peer, RequestId, Request)>,
    pub verdicts: BTreeMap<GossipId, Acceptance>,
    pub announced: Vec<CompactBlock>,
    pub offered: Vec<Operation>,
    pub banned: Vec<(Peer, Misbehavior)>,
    pub hung_up: Vec<(Peer, &'static str)>,
    pub parked_tip: Vec<Hash>,
    /// How often one peer more was to be dialled.
    pub extra_dials: u32,
    /// How often a block was given to the checks.
    pub checked: BTreeMap<Hash, u32>,
    gossips: u64,
}

impl Bench {
    pub fn new() -> Self {
        let config = SyncConfig {
            network: NETWORK,
            agent: "bench".into(),
            alone_is_synced: false,
            ever_synced: false,
            secret: 1,
        };
        Bench {
            miner: Miner::new(),
            mempool: Mempool::new(NETWORK),
            sync: Sync::new(config),
            now: 1_000,
            skew: 0,
            jobs: Vec::new(),
            asked: Vec::new(),
            verdicts: BTreeMap::new(),
            announced: Vec::new(),
            offered: Vec::new(),
            banned: Vec::new(),
            hung_up: Vec::new(),
            parked_tip: Vec::new(),
            extra_dials: 0,
            checked: BTreeMap::new(),
            gossips: 0,
        }
    }

    pub fn event(&mut self, event: Event) {
        let unix = NOW + self.skew + self.now / 1_000;
        self.sync.handle(&self.miner.chain, &self.mempool, event, self.now, unix).unwrap();
        while let Some(action) = self.sync.next_action() {
            match action {
                Action::SendRequest { peer, id, request } => self.asked.push((peer, id, request)),
                Action::ReportAcceptance { gossip, acceptance } => {
                    assert_eq!(self.verdicts.insert(gossip, acceptance), None, "judged twice");
                }
                Action::BroadcastBlock(block) => self.announced.push(block),
                Action::BroadcastOperation(operation) => self.offered.push(operation),
                Action::RunJob { id, job } => {
                    if let Job::Block { header, .. } | Job::Assembled { header, .. } = &job {
                        *self.checked.entry(header.id()).or_default() += 1;
                    }
                    self.jobs.push((id, job));
                }
                Action::ConnectBlock { block, durable } => {
                    let id = block.id();
                    let outcome = match self.miner.chain.accept_checked(&block, unix, durable) {
                        Ok(Accepted::Tip(change)) => {
                            self.mempool.follow(&self.miner.chain, &change, unix).unwrap();
                            ConnectOutcome::Accepted
                        }
                        Ok(_) => ConnectOutcome::Accepted,
                        Err(ChainError::Rule { violation, .. }) => {
                            ConnectOutcome::Invalid(violation)
                        }
                        Err(_) => ConnectOutcome::Deferred,
                    };
                    let event = Event::BlockConnected { id, outcome };
                    self.sync
                        .handle(&self.miner.chain, &self.mempool, event, self.now, unix)
                        .unwrap();
                }
                Action::SubmitOperation(operation) => {
                    let id = operation.id(NETWORK);
                    let taken = self.mempool.insert(&self.miner.chain, *operation, unix).is_ok();
                    let outcome =
                        if taken { SubmitOutcome::Accepted } else { SubmitOutcome::Rejected };
                    let event = Event::OperationSubmitted { id, outcome };
                    self.sync
                        .handle(&self.miner.chain, &self.mempool, event, self.now, unix)
                        .unwrap();
                }
                Action::DialExtraPeer => self.extra_dials += 1,
                Action::Disconnect { peer, why } => self.hung_up.push((peer, why)),
                Action::Ban { peer, misbehavior, .. } => self.banned.push((peer, misbehavior)),
                Action::ParkChain { tip, .. } => self.parked_tip.push(tip),
            }
        }
        self.asked.retain(|(peer, ..)| {
            !self.banned.iter().any(|(gone, _)| gone == peer)
                && !self.hung_up.iter().any(|(gone, _)| gone == peer)
        });
    }

    /// Lets a second pass.
    pub fn tick(&mut self) {
        self.now += 1_000;
        self.event(Event::Tick);
    }

    pub fn ticks(&mut self, count: u32) {
        (0..count).for_each(|_| self.tick());
    }

    /// Does all jobs, and those that follow from them.
    pub fn check_all(&mut self) {
        while !self.jobs.is_empty() {
            for (job, what) in std::mem::take(&mut self.jobs) {
                let outcome = what.run(NETWORK, &mut self.miner.worker);
                self.event(Event::JobDone { job, outcome });
            }
        }
    }

    /// A peer that has dialled us and says what a chain is like.
    pub fn peer(&mut self, number: u64, chain: &Miner) -> Peer {
        let hello = hello(chain);
        self.greeted(number, hello)
    }

    pub fn greeted(&mut self, number: u64, hello: Hello) -> Peer {
        let peer = Peer(number);
        self.event(Event::PeerConnected { peer, ip: None, outbound: false, block_only: false });
        self.event(Event::HelloReceived { peer, hello });
        peer
    }

    /// The oldest request to a peer that has no answer yet.
    pub fn request(&mut self, peer: Peer) -> Option<(RequestId, Request)> {
        let at = self.asked.iter().position(|(to, ..)| *to == peer)?;
        let (_, id, request) = self.asked.remove(at);
        Some((id, request))
    }

    pub fn answer(&mut self, peer: Peer, request: RequestId, response: Response) {
        self.event(Event::ResponseReceived { peer, request, response });
    }

    /// Answers a peer's requests as one with this chain does, until there are no more.
    pub fn serve(&mut self, peer: Peer, chain: &Miner) {
        while let Some((id, request)) = self.request(peer) {
            self.answer_as(peer, id, &request, chain);
        }
    }

    /// Answers a request as a peer with this chain does, and does the checks.
    pub fn answer_as(&mut self, peer: Peer, id: RequestId, request: &Request, chain: &Miner) {
        let answer = self.answer_of(request, chain);
        self.answer(peer, id, answer);
        self.check_all();
    }

    /// What a peer with this chain answers.
    pub fn answer_of(&self, request: &Request, chain: &Miner) -> Response {
        let waiting = namechain_core::mempool::Waiting::default();
        let identity = Identity::new(NETWORK, "peer");
        namechain_core::sync::serve::answer(&*chain.storage, &identity, &waiting, request, NOW)
            .unwrap()
    }

    pub fn announce(&mut self, peer: Peer, block: CompactBlock) -> GossipId {
        self.gossips += 1;
        let gossip = GossipId(self.gossips);
        self.event(Event::BlockAnnounced { peer, gossip, block });
        gossip
    }

    pub fn offer(&mut self, peer: Peer, operation: Operation) -> GossipId {
        self.gossips += 1;
        let gossip = GossipId(self.gossips);
        self.event(Event::OperationAnnounced { peer, gossip, operation });
        gossip
    }

    pub fn verdict(&self, gossip: GossipId) -> Option<Acceptance> {
        self.verdicts.get(&gossip).copied()
    }

    pub fn score(&self, peer: Peer) -> Option<i64> {
        self.sync.peers().into_iter().find(|status| status.peer == peer).map(|status| status.score)
    }

    pub fn is_banned(&self, peer: Peer) -> bool {
        self.banned.iter().any(|(banned, _)| *banned == peer)
    }
}

/// What one with this chain says of itself.
pub fn hello(chain: &Miner) -> Hello {
    let tip = chain.chain.tip_header();
    let tip = (chain.chain.tip_id(), tip.height, chain.chain.work());
    Identity::new(NETWORK, "peer").hello(tip, 0, NOW)
}

pub fn compact(block: &Block) -> CompactBlock {
    CompactBlock::of(NETWORK, block)
}

/// Searches a nonce for a header, or one that is none.
pub fn worked(miner: &mut Miner, mut header: Header, good: bool) -> Header {
    while miner.worker.has_header_work(&header) != good {
        header.nonce += 1;
    }
    header
}

/// The headers of a chain above a height.
pub fn headers(chain: &Miner, above: u32) -> Vec<Header> {
    use namechain_core::chain::Storage;
    let tip = chain.chain.tip_header().height;
    let at = |height| {
        let id = chain.storage.active(height).unwrap().unwrap();
        chain.storage.header(&id).unwrap().unwrap().header
    };
    (above + 1..=tip).map(at).collect()
}

pub fn bytes(block: &Block) -> Vec<u8> {
    block.to_bytes()
}
