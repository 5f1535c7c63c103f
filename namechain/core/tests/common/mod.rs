//! What the tests of whole chains share: a miner in memory, and randomness from a seed.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::sync::Arc;

use namechain_core::{
    chain::{Accepted, Chain, ChainError, MemoryStorage, TipChange},
    consensus::{price, work::PowHasher},
    miner::search_nonce,
    types::{
        Action, Block, Hash, Name, NameEntry, Network, Operation, PublicKey, Record, RecordSet,
        SecretKey, SignedOperation, Stamp, commitment,
    },
};

pub const NETWORK: Network = Network::Dev;
/// The clock, in seconds of Unix time.
pub const NOW: u64 = 1_800_000_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

pub fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// One A record that tells who wrote it.
pub fn records(number: u8) -> RecordSet {
    RecordSet::new(vec![Record {
        owner: vec![0],
        rtype: 1,
        ttl: 60,
        rdata: vec![10, 0, 0, number],
    }])
    .unwrap()
}

/// A chain in memory and somebody who mines on it.
pub struct Miner {
    pub chain: Chain,
    pub storage: Arc<MemoryStorage>,
    pub worker: PowHasher,
}

impl Miner {
    pub fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        Miner {
            chain: Chain::open(NETWORK, storage.clone()).unwrap(),
            storage,
            worker: PowHasher::new(NETWORK),
        }
    }

    /// Works the stamp of an operation.
    pub fn stamped(&mut self, mut operation: Operation, work: u64) -> Operation {
        let stamp = Stamp { anchor: self.chain.tip_id(), work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    /// The price of an ordinary registration, which is more than all else costs.
    pub fn price(&self) -> u64 {
        price::commitment(NETWORK.params(), self.chain.tip_header().price)
    }

    pub fn commit(&mut self, name: &Name, key: &SecretKey) -> Operation {
        let commitment = commitment(NETWORK, name, &key.public(), &key.salt(NETWORK, name));
        let work = price::registration(NETWORK.params(), name, self.chain.tip_header().price);
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        self.stamped(Operation::Commit { commitment, stamp }, work)
    }

    pub fn act(
        &mut self,
        name: &Name,
        sequence: u32,
        action: Action,
        key: &SecretKey,
    ) -> Operation {
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let work = self.price();
        self.stamped(
            Operation::Named(SignedOperation::sign(
                NETWORK,
                name.clone(),
                sequence,
                action,
                key,
                stamp,
            )),
            work,
        )
    }

    pub fn register(&mut self, name: &Name, key: &SecretKey, number: u8) -> Operation {
        let salt = key.salt(NETWORK, name);
        self.act(name, 0, Action::Register { recovery: None, salt, records: records(number) }, key)
    }

    pub fn update(&mut self, name: &Name, sequence: u32, key: &SecretKey, number: u8) -> Operation {
        self.act(name, sequence, Action::Update { records: records(number) }, key)
    }

    /// Mines a block of these operations, all of which the chain must be able to record.
    pub fn mine(&mut self, operations: &[Operation]) -> Block {
        let block = self.try_mine(operations);
        assert_eq!(block.operations.len(), operations.len(), "not all operations can be recorded");
        block
    }

    /// Mines a block of those operations that the chain can record.
    pub fn try_mine(&mut self, operations: &[Operation]) -> Block {
        let mut block = self.chain.assemble_block(operations.iter(), NOW).unwrap();
        block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        assert!(matches!(self.chain.accept(&block, NOW, true), Ok(Accepted::Tip(_))));
        block
    }

    /// Commits and registers in two blocks.
    pub fn claim(&mut self, name: &Name, key: &SecretKey, number: u8) -> [Block; 2] {
        let commit = self.commit(name, key);
        let first = self.mine(&[commit]);
        let register = self.register(name, key, number);
        [first, self.mine(&[register])]
    }

    /// Takes somebody else's blocks; gives how the tip moved last.
    pub fn take(&mut self, blocks: &[Block]) -> Option<TipChange> {
        let mut moved = None;
        for block in blocks {
            if let Accepted::Tip(change) = self.chain.accept(block, NOW, true).unwrap() {
                moved = Some(change);
            }
        }
        moved
    }

    pub fn refuses(&mut self, block: &Block) -> ChainError {
        self.chain.accept(block, NOW, true).unwrap_err()
    }

    pub fn entry(&self, name: &Name) -> Option<NameEntry> {
        self.chain.snapshot_at(self.chain.tip_header().height).unwrap().entry(name).unwrap()
    }

    pub fn owner(&self, name: &Name) -> Option<PublicKey> {
        self.entry(name).map(|entry| entry.owner)
    }

    pub fn state_root(&self) -> Hash {
        self.chain.tip_header().state_root
    }
}
