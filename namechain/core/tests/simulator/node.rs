//! An honest node: the machine with its chain, mempool and disk, and the little that joins them.

use std::{collections::BTreeMap, sync::Arc};

use namechain_core::{
    chain::{Accepted, Chain, ChainError, Change, CheckedBlock, Storage, TipChange},
    codec::{Decode, Encode},
    mempool::Mempool,
    sync::{
        Action, ConnectOutcome, Event, Job, JobId, SubmitOutcome, Sync, SyncConfig, limits,
        message::{Hello, Request, Response},
        serve::{self, Identity},
    },
    types::{Block, Hash, Header, Name, Operation, SecretKey, SignedOperation, Stamp, commitment},
};

use crate::{
    cache::Cache,
    common::{NETWORK, NOW, Random, context, records},
    disk::Disk,
};

/// Until when everything that is signed holds, from the beginning on, in seconds: no world lasts
/// longer. So the same users sign the same in every world.
const LONGEST_S: u64 = 80_000;
/// What every operation pays: more than any costs while the multiplier stays low.
const WORK: u64 = 80;

pub struct Node {
    pub storage: Arc<Disk>,
    pub chain: Chain,
    pub mempool: Mempool,
    pub sync: Sync,
    identity: Identity,
    /// How often a job said that a block is bad, by the block.
    pub bad_blocks: BTreeMap<Hash, u32>,
    /// The jobs that are being done.
    pub jobs: usize,
    /// The deepest reorganisation.
    pub deepest: usize,
}

/// Where a node is in time.
#[derive(Clone, Copy)]
pub struct Clock {
    pub now: u64,
    pub unix: u64,
}

impl Node {
    pub fn new(storage: Arc<Disk>, unix: u64) -> Self {
        let chain = Chain::open(NETWORK, storage.clone()).unwrap();
        let mut mempool = Mempool::new(NETWORK);
        let operations: Vec<Operation> = storage
            .pending()
            .unwrap()
            .iter()
            .map(|bytes| Operation::from_bytes(bytes).unwrap())
            .collect();
        if !operations.is_empty() {
            let header = chain.tip_header().clone();
            let undone = vec![Block { header, operations }];
            let change = TipChange { undone, connected: Vec::new() };
            mempool.follow(&chain, &change, unix).unwrap();
        }
        let config = SyncConfig {
            network: NETWORK,
            agent: "simulator".into(),
            alone_is_synced: false,
            ever_synced: false,
            secret: 1,
        };
        let identity = Identity::new(NETWORK, "simulator");
        let (bad_blocks, sync) = (BTreeMap::new(), Sync::new(config));
        Node { storage, chain, mempool, sync, identity, bad_blocks, jobs: 0, deepest: 0 }
    }

    /// As after a crash that lost `lost` of the last steps that were not durable.
    pub fn restarted(&self, lost: usize, unix: u64) -> Self {
        Node::new(Arc::new(self.storage.after_crash(lost)), unix)
    }

    /// Takes an event, does at once what a node does at once, and gives the rest.
    pub fn handle(&mut self, event: Event, clock: Clock) -> Vec<Action> {
        let mut rest = Vec::new();
        if matches!(event, Event::Tick)
            && let Some(change) = self.chain.advance_hold(clock.unix).unwrap()
        {
            self.follow(&change, clock.unix);
        }
        self.sync_handle(event, clock);
        while let Some(action) = self.sync.next_action() {
            match action {
                Action::ConnectBlock { block, durable } => {
                    let id = block.id();
                    let outcome = self.connect(&block, clock.unix, durable);
                    self.sync_handle(Event::BlockConnected { id, outcome }, clock);
                }
                Action::SubmitOperation(operation) => {
                    let event = self.submit(*operation, clock);
                    self.sync_handle(event, clock);
                }
                Action::ParkChain { tip, work, .. } => self.chain.park_tip(tip, work),
                other => rest.push(other),
            }
        }
        rest
    }

    fn sync_handle(&mut self, event: Event, clock: Clock) {
        self.sync.handle(&self.chain, &self.mempool, event, clock.now, clock.unix).unwrap();
    }

    fn connect(&mut self, block: &CheckedBlock, unix: u64, durable: bool) -> ConnectOutcome {
        match self.chain.accept_checked(block, unix, durable) {
            Ok(Accepted::Known | Accepted::Side) => ConnectOutcome::Accepted,
            Ok(Accepted::Tip(change)) => {
                self.follow(&change, unix);
                ConnectOutcome::Accepted
            }
            Err(ChainError::Rule { violation, .. }) => ConnectOutcome::Invalid(violation),
            Err(ChainError::Storage(error)) => panic!("{error}"),
            Err(_) => ConnectOutcome::Deferred,
        }
    }

    fn follow(&mut self, change: &TipChange, unix: u64) {
        self.deepest = self.deepest.max(change.undone.len());
        let dropped = self.mempool.follow(&self.chain, change, unix).unwrap();
        let recorded = change.connected.iter().flat_map(|block| &block.operations);
        let gone = recorded.map(|operation| operation.id(NETWORK)).chain(dropped);
        let mut rows: Vec<Change> = gone.map(|id| Change::Pending(id, None)).collect();
        // What was undone waits again, and survives a crash again.
        for operation in change.undone.iter().flat_map(|block| &block.operations) {
            let id = operation.id(NETWORK);
            if self.mempool.has(&id) {
                rows.push(Change::Pending(id, Some(operation.to_bytes())));
            }
        }
        self.storage.commit(rows, false).unwrap();
    }

    pub fn submit(&mut self, operation: Operation, clock: Clock) -> Event {
        let (id, bytes) = (operation.id(NETWORK), operation.to_bytes());
        let outcome = match self.mempool.insert(&self.chain, operation, clock.unix) {
            Ok(_) => {
                let evicted = self.mempool.take_evicted().into_iter();
                let mut rows: Vec<Change> = evicted.map(|id| Change::Pending(id, None)).collect();
                rows.push(Change::Pending(id, Some(bytes)));
                self.storage.commit(rows, false).unwrap();
                SubmitOutcome::Accepted
            }
            Err(_) => SubmitOutcome::Rejected,
        };
        Event::OperationSubmitted { id, outcome }
    }

    pub fn run(&mut self, cache: &mut Cache, id: JobId, job: Job) -> Event {
        let block = match &job {
            Job::Block { header, .. } | Job::Assembled { header, .. } => Some(header.id()),
            _ => None,
        };
        let outcome = cache.run(job);
        if let (Some(block), namechain_core::sync::JobOutcome::Invalid(violation)) =
            (block, &outcome)
            && violation.id() != "ops-root"
        {
            *self.bad_blocks.entry(block).or_default() += 1;
        }
        Event::JobDone { job: id, outcome }
    }

    pub fn serve(&self, request: &Request, unix: u64) -> Response {
        serve::answer(&*self.storage, &self.identity, &self.mempool.waiting(), request, unix)
            .unwrap()
    }

    pub fn hello(&self, unix: u64) -> Hello {
        serve::hello(&*self.storage, &self.identity, unix).unwrap()
    }

    /// Mines a block on the tip.
    pub fn mine(&mut self, cache: &mut Cache, clock: Clock) -> Vec<Action> {
        let candidates = self.mempool.by_work_rate(clock.unix).into_iter();
        let mut block = self.chain.assemble_block(candidates, clock.unix).unwrap();
        block.header = cache.mine(block.header);
        let checked = cache.block(block.clone()).unwrap();
        let Ok(Accepted::Tip(change)) = self.chain.accept_checked(&checked, clock.unix, true)
        else {
            panic!("a mined block is a new tip");
        };
        self.follow(&change, clock.unix);
        self.handle(Event::BlockMined { block }, clock)
    }

    /// Somebody does something with a name here, if there is something to do.
    pub fn act(
        &mut self,
        cache: &mut Cache,
        random: &mut Random,
        anchor: Hash,
        clock: Clock,
    ) -> Vec<Action> {
        let name = Name::parse(&format!("name-number-{}", random.below(12))).unwrap();
        let key = SecretKey::from_seed(&[1 + random.below(3) as u8; 32]);
        let operation = self.next_operation(cache, &name, &key, anchor);
        let operation = cache.stamped(operation);
        let event = self.submit(operation, clock);
        let taken =
            matches!(event, Event::OperationSubmitted { outcome: SubmitOutcome::Accepted, .. });
        if taken { self.handle(event, clock) } else { Vec::new() }
    }

    /// Commit, then register, then update: whatever comes next for this key.
    fn next_operation(
        &self,
        cache: &mut Cache,
        name: &Name,
        key: &SecretKey,
        anchor: Hash,
    ) -> Operation {
        use namechain_core::types::Action::{Register, Update};
        let stamp = Stamp { anchor, work: WORK, nonce: 0 };
        let salt = key.salt(NETWORK, name);
        let commitment = commitment(NETWORK, name, &key.public(), &salt);
        let commit = cache.stamped(Operation::Commit { commitment, stamp });
        let commit_id = commit.id(NETWORK);
        let snapshot = self.chain.snapshot_at(self.chain.tip_header().height).unwrap();
        let sign = |reference, action| {
            Operation::Named(SignedOperation::sign(
                &context(),
                name.clone(),
                reference,
                NOW + LONGEST_S,
                action,
                key,
                stamp,
            ))
        };
        match snapshot.entry(name).unwrap() {
            Some(entry) if entry.owner == key.public() => {
                let sequence = entry.sequence + 1;
                sign(entry.title, Update { sequence, records: records(sequence as u8) })
            }
            _ if snapshot.commit(&commit_id).unwrap().is_some() => {
                sign(commit_id, Register { recovery: None, salt, records: records(0) })
            }
            _ => commit,
        }
    }

    /// A block of the best chain by height.
    pub fn block_at(&self, height: u32) -> Block {
        let id = self.storage.active(height).unwrap().unwrap();
        self.chain.read_block(&id).unwrap()
    }

    /// Panics if anything that it keeps has grown over its bound.
    pub fn assert_limits(&self) {
        let kept = self.sync.usage();
        assert!(kept.jobs <= limits::JOBS, "{kept:?}");
        assert!(
            kept.candidates <= limits::CANDIDATES && kept.candidate_ids <= limits::CANDIDATE_IDS,
            "{kept:?}"
        );
        assert!(kept.window <= limits::WINDOW, "{kept:?}");
        assert!(kept.pending_blocks <= limits::PENDING_BLOCKS + limits::EARLY_BLOCKS, "{kept:?}");
        assert!(kept.operations <= limits::OPERATIONS, "{kept:?}");
        assert!(kept.remembered <= 2 * limits::FAILED_IDS + limits::REFUSED_IDS, "{kept:?}");
        // One of each kind for a peer, and what the window and the arrivals have.
        let requests = 3 * kept.peers
            + 2 * limits::BLOCK_REQUESTS
            + limits::PENDING_BLOCKS * limits::ANNOUNCERS;
        assert!(kept.requests <= requests, "{kept:?}");
    }

    pub fn has_block(&self, id: &Hash) -> bool {
        self.chain.has_block(id).unwrap()
    }

    pub fn tip(&self) -> &Header {
        self.chain.tip_header()
    }
}
