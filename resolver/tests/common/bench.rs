//! A real chain in memory, and an owner who registers names on it.

use std::sync::Arc;

use namechain_core::{
    api_types::{PeerCounts, ProofInfo, Status, SyncInfo},
    chain::{Chain, MemoryStorage, Snapshot},
    codec::Encode,
    consensus::{header::signing_context, price, work::PowHasher},
    miner::search_nonce,
    types::{
        Action, Block, Hash, Name, Network, Operation, Record, RecordSet, SecretKey,
        SignedOperation, SigningContext, Stamp, commitment,
    },
};

pub const NETWORK: Network = Network::Dev;
/// The time of the first block, in seconds of Unix time.
const START: u64 = 1_800_000_000;
/// Seconds between two blocks: more than any delay of the network.
const STEP_SECS: u64 = 2;
/// For how long operations are valid, in seconds.
const VALIDITY_SECS: u64 = 3_600;
const UNWORKED: Stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };

/// The chain.
pub struct Bench {
    pub chain: Chain,
    worker: PowHasher,
    key: SecretKey,
    /// The time of the next block.
    now: u64,
}

/// An A record at the name itself.
pub fn records(last: u8) -> RecordSet {
    RecordSet::new(vec![Record {
        owner: vec![0],
        rtype: 1,
        ttl: 300,
        rdata: vec![192, 0, 2, last],
    }])
    .unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn context(now: u64) -> SigningContext {
    let params = NETWORK.params();
    signing_context(params, params.branch_at(now).number)
}

impl Bench {
    pub fn new() -> Self {
        let chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
        let key = SecretKey::from_seed(&[7; 32]);
        Bench { chain, worker: PowHasher::new(NETWORK), key, now: START }
    }

    fn stamped(&mut self, mut operation: Operation, work: u64) -> Operation {
        let stamp = Stamp { anchor: self.chain.tip_id(), work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    /// Records an operation on a name in the next block.
    fn named(&mut self, name: &Name, reference: Hash, action: Action) {
        // More than any other operation costs.
        let work = price::commitment(NETWORK.params(), self.chain.tip_header().name_price);
        let named = SignedOperation::sign(
            &context(self.now),
            name.clone(),
            reference,
            self.now + VALIDITY_SECS,
            action,
            &self.key,
            UNWORKED,
        );
        let operation = self.stamped(Operation::Named(named), work);
        self.extend(&[operation]);
    }

    /// Adds the next block, with these operations.
    pub fn extend(&mut self, operations: &[Operation]) {
        let mut block: Block = self.chain.assemble_block(operations.iter(), self.now).unwrap();
        assert_eq!(block.operations.len(), operations.len());
        block.header = search_nonce(&mut self.worker, block.header, |_| true).unwrap();
        self.chain.accept(&block, self.now, true).unwrap();
        self.now += STEP_SECS;
    }

    /// Lets time pass before the next block.
    pub fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// The time of the last block.
    pub fn time(&self) -> u64 {
        self.chain.tip_header().time
    }

    /// Commits and registers. The name settles after that.
    pub fn begin_registration(&mut self, text: &str, records: RecordSet) {
        let name = name(text);
        let salt = self.key.salt(NETWORK, &name);
        let commitment = commitment(NETWORK, &name, &self.key.public(), &salt);
        let multiplier = self.chain.tip_header().name_price;
        let work = price::registration(NETWORK.params(), &name, multiplier);
        let commit = self.stamped(Operation::Commit { commitment, stamp: UNWORKED }, work);
        let commit_id = commit.id(NETWORK);
        self.extend(&[commit]);
        self.named(&name, commit_id, Action::Register { recovery: None, salt, records });
    }

    /// Commits, registers, and adds the block after which the name resolves.
    pub fn register(&mut self, text: &str, records: RecordSet) {
        self.begin_registration(text, records);
        self.extend(&[]);
    }

    pub fn update(&mut self, text: &str, sequence: u32, records: RecordSet) {
        let name = name(text);
        let title = self.snapshot().entry(&name).unwrap().unwrap().title;
        self.named(&name, title, Action::Update { sequence, records });
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(self.chain.snapshot_at(self.chain.tip_header().height).unwrap())
    }

    /// The response of a node over this chain to `GET /v1/status`.
    pub fn status(&self) -> Status {
        let header = self.chain.tip_header();
        Status {
            version: "test".into(),
            network: NETWORK,
            height: header.height,
            tip: self.chain.tip_id(),
            tip_time: header.time,
            work: self.chain.work().to_string(),
            serve_depth: 0,
            served_height: header.height,
            synced: true,
            pruned: false,
            first_block: 0,
            mempool_operations: 0,
            mempool_bytes: 0,
            mining: "off".into(),
            mining_hashes: 0,
            hold: None,
            parked_tip: None,
            tip_age: 0,
            mining_rate: 0,
            peers: PeerCounts::default(),
            sync: SyncInfo::default(),
            second_best: None,
            protocol: Default::default(),
            p2p: Vec::new(),
        }
    }

    /// The response of a node over this chain to `GET /v1/names/{name}/proof`.
    pub fn proof(&self, name: &Name) -> ProofInfo {
        let snapshot = self.snapshot();
        let key = name.key(NETWORK);
        ProofInfo {
            name: name.clone(),
            height: snapshot.height(),
            block: snapshot.id,
            header: hex::encode(snapshot.header.to_bytes()),
            proof: hex::encode(snapshot.prove(&key).to_bytes()),
            entry: snapshot.bytes_under(&key).unwrap().map(hex::encode),
        }
    }
}
