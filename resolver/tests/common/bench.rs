//! A real chain in memory, and an owner who registers names on it.

use std::sync::Arc;

use namechain_core::{
    api_types::{PeerCounts, ProofInfo, Status, SyncInfo},
    chain::{Chain, MemoryStorage, Snapshot},
    codec::Encode,
    consensus::{price, work::PowHasher},
    miner::search_nonce,
    types::{
        Action, Block, Hash, Name, Network, Operation, Record, RecordSet, SecretKey,
        SignedOperation, Stamp, commitment,
    },
};

pub const NETWORK: Network = Network::Dev;
const NOW: u64 = 1_800_000_000;

/// The chain.
pub struct Bench {
    pub chain: Chain,
    worker: PowHasher,
    key: SecretKey,
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

impl Bench {
    pub fn new() -> Self {
        let chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
        Bench { chain, worker: PowHasher::new(NETWORK), key: SecretKey::from_seed(&[7; 32]) }
    }

    fn stamped(&mut self, mut operation: Operation, work: u64) -> Operation {
        let stamp = Stamp { anchor: self.chain.tip_id(), work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    fn named(&mut self, name: &Name, sequence: u32, action: Action) {
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let work = price::registration(NETWORK.params(), name, self.chain.tip_header().price);
        let named =
            SignedOperation::sign(NETWORK, name.clone(), sequence, action, &self.key, stamp);
        let operation = self.stamped(Operation::Named(named), work);
        self.extend(&[operation]);
    }

    /// Adds the next block, with these operations.
    pub fn extend(&mut self, operations: &[Operation]) {
        let mut block: Block = self.chain.assemble_block(operations.iter(), NOW).unwrap();
        assert_eq!(block.operations.len(), operations.len());
        block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        self.chain.accept(&block, NOW, true).unwrap();
    }

    /// Commits and registers.
    pub fn register(&mut self, text: &str, records: RecordSet) {
        let name = name(text);
        let salt = self.key.salt(NETWORK, &name);
        let commitment = commitment(NETWORK, &name, &self.key.public(), &salt);
        let work = price::registration(NETWORK.params(), &name, self.chain.tip_header().price);
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let commit = self.stamped(Operation::Commit { commitment, stamp }, work);
        self.extend(&[commit]);
        self.named(&name, 0, Action::Register { recovery: None, salt, records });
    }

    pub fn update(&mut self, text: &str, sequence: u32, records: RecordSet) {
        self.named(&name(text), sequence, Action::Update { records });
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
            mempool_operations: 0,
            mempool_bytes: 0,
            mining: "off".into(),
            mining_hashes: 0,
            parked_tip: None,
            tip_age: 0,
            mining_rate: 0,
            peers: PeerCounts::default(),
            sync: SyncInfo::default(),
            second_best: None,
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
