//! What the tests of whole chains share: a miner in memory, and randomness from a seed.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::sync::Arc;

use namechain_core::{
    chain::{Accepted, Chain, ChainError, MemoryStorage, Storage, TipChange},
    consensus::{header::signing_context, price, state::ApplyError, work::PowHasher},
    miner::search_nonce,
    types::{
        Action, Block, Hash, Name, NameEntry, Network, Operation, PublicKey, Record, RecordSet,
        SecretKey, SignedOperation, SigningContext, Stamp, commitment,
    },
};

pub const NETWORK: Network = Network::Dev;
/// Where a miner's clock begins, in seconds of Unix time.
pub const NOW: u64 = 1_795_050_000;
/// The clock by which blocks are taken: no block is ahead of it.
pub const LATE: u64 = u64::MAX;
/// Seconds between two blocks of a miner: more than any delay of the network `dev`.
pub const STEP_S: u64 = 2;
/// How long what is signed holds, in seconds.
pub const VALID_S: u64 = 3_600;

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

/// What operations are signed for.
pub fn context() -> SigningContext {
    let params = NETWORK.params();
    signing_context(params, params.branch_at(NOW).number)
}

pub fn unworked() -> Stamp {
    Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 }
}

/// A chain in memory and somebody who mines on it.
pub struct Miner {
    pub chain: Chain,
    pub storage: Arc<MemoryStorage>,
    pub worker: PowHasher,
    /// The time of the next block, in seconds of Unix time.
    pub now: u64,
    /// How far the clock goes on with each block, in seconds.
    pub step_s: u64,
}

impl Miner {
    pub fn new() -> Self {
        Miner::on(MemoryStorage::default())
    }

    /// Somebody who goes on with what is stored.
    pub fn on(storage: MemoryStorage) -> Self {
        let storage = Arc::new(storage);
        let chain = Chain::open(NETWORK, storage.clone()).unwrap();
        let now = NOW.max(chain.tip_header().time + STEP_S);
        Miner { chain, storage, worker: PowHasher::new(NETWORK), now, step_s: STEP_S }
    }

    /// Somebody whose clock stands still: of long chains no block is ahead of anybody's clock.
    pub fn timeless() -> Self {
        Miner { step_s: 0, ..Miner::new() }
    }

    /// Another with the same blocks.
    pub fn copy(&self) -> Self {
        Miner { now: self.now, ..Miner::on((*self.storage).clone()) }
    }

    /// Works the stamp of an operation, anchored at the tip.
    pub fn stamped(&mut self, operation: Operation, work: u64) -> Operation {
        let anchor = self.chain.tip_id();
        self.stamped_at(operation, work, anchor)
    }

    pub fn stamped_at(&mut self, mut operation: Operation, work: u64, anchor: Hash) -> Operation {
        let stamp = Stamp { anchor, work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    /// The price of an ordinary registration, which is more than all else costs.
    pub fn price(&self) -> u64 {
        price::commitment(NETWORK.params(), self.chain.tip_header().name_price)
    }

    pub fn commitment(&self, name: &Name, key: &SecretKey) -> Hash {
        commitment(NETWORK, name, &key.public(), &key.salt(NETWORK, name))
    }

    pub fn commit(&mut self, name: &Name, key: &SecretKey) -> Operation {
        let commitment = self.commitment(name, key);
        let multiplier = self.chain.tip_header().name_price;
        let work = price::registration(NETWORK.params(), name, multiplier);
        self.stamped(Operation::Commit { commitment, stamp: unworked() }, work)
    }

    /// The id of the last recorded Commit of a name by a key; zeros if there is none.
    pub fn commit_id(&self, name: &Name, key: &SecretKey) -> Hash {
        let wanted = self.commitment(name, key);
        let mut height = self.chain.tip_header().height;
        while height > 0 {
            let id = self.storage.active(height).unwrap().unwrap();
            let block = self.chain.read_block(&id).unwrap();
            let of_it = |operation: &&Operation| matches!(operation, Operation::Commit { commitment, .. } if *commitment == wanted);
            if let Some(commit) = block.operations.iter().find(of_it) {
                return commit.id(NETWORK);
            }
            height -= 1;
        }
        Hash::ZERO
    }

    /// The title of a name; zeros if nobody has it.
    pub fn title(&self, name: &Name) -> Hash {
        self.entry(name).map_or(Hash::ZERO, |entry| entry.title)
    }

    /// The next sequence number of a name.
    pub fn next_sequence(&self, name: &Name) -> u32 {
        self.entry(name).map_or(1, |entry| entry.sequence + 1)
    }

    /// An operation on a name that somebody has, by a key.
    pub fn act(&mut self, name: &Name, action: Action, key: &SecretKey) -> Operation {
        let title = self.title(name);
        self.act_under(name, title, action, key)
    }

    pub fn act_under(
        &mut self,
        name: &Name,
        reference: Hash,
        action: Action,
        key: &SecretKey,
    ) -> Operation {
        let (work, until) = (self.price(), self.now + VALID_S);
        let named = SignedOperation::sign(
            &context(),
            name.clone(),
            reference,
            until,
            action,
            key,
            unworked(),
        );
        self.stamped(Operation::Named(named), work)
    }

    pub fn register(&mut self, name: &Name, key: &SecretKey, number: u8) -> Operation {
        let commit_id = self.commit_id(name, key);
        self.register_by(name, key, number, commit_id)
    }

    pub fn register_by(
        &mut self,
        name: &Name,
        key: &SecretKey,
        number: u8,
        commit_id: Hash,
    ) -> Operation {
        let salt = key.salt(NETWORK, name);
        let action = Action::Register { recovery: None, salt, records: records(number) };
        self.act_under(name, commit_id, action, key)
    }

    pub fn update(&mut self, name: &Name, key: &SecretKey, number: u8) -> Operation {
        let sequence = self.next_sequence(name);
        self.act(name, Action::Update { sequence, records: records(number) }, key)
    }

    /// The next block with these operations, all of which the chain must be able to record.
    pub fn next(&mut self, operations: &[Operation]) -> Block {
        let block = self.chain.assemble_block(operations.iter(), self.now).unwrap();
        assert_eq!(block.operations.len(), operations.len(), "not all operations can be recorded");
        self.work(block)
    }

    /// Searches the nonce of a block.
    pub fn work(&mut self, mut block: Block) -> Block {
        block.header = search_nonce(&mut self.worker, block.header, |_| true).unwrap();
        block
    }

    /// Mines a block of these operations, all of which the chain must be able to record.
    pub fn mine(&mut self, operations: &[Operation]) -> Block {
        let block = self.next(operations);
        self.accept_own(&block);
        block
    }

    /// Mines a block of those operations that the chain can record.
    pub fn try_mine(&mut self, operations: &[Operation]) -> Block {
        let block = self.chain.assemble_block(operations.iter(), self.now).unwrap();
        let block = self.work(block);
        self.accept_own(&block);
        block
    }

    fn accept_own(&mut self, block: &Block) {
        let accepted = self.chain.accept(block, LATE, true);
        assert!(matches!(accepted, Ok(Accepted::Tip(_))), "{accepted:?}");
        self.now += self.step_s;
    }

    pub fn mine_empty(&mut self, count: u32) -> Vec<Block> {
        (0..count).map(|_| self.mine(&[])).collect()
    }

    /// Commits and registers in two blocks; the next one finds the name settled.
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
            if let Accepted::Tip(change) = self.chain.accept(block, LATE, true).unwrap() {
                moved = Some(change);
            }
        }
        self.now = self.now.max(self.chain.tip_header().time + self.step_s);
        moved
    }

    pub fn accept(&mut self, block: &Block) -> Accepted {
        self.chain.accept(block, LATE, true).unwrap()
    }

    pub fn refuses(&mut self, block: &Block) -> ChainError {
        self.chain.accept(block, LATE, true).unwrap_err()
    }

    /// The rule for which a block is refused.
    pub fn block_refusal(&mut self, block: &Block) -> &'static str {
        match self.refuses(block) {
            ChainError::Rule { violation, .. } => violation.id(),
            other => panic!("expected a broken rule, got {other:?}"),
        }
    }

    /// The rule for which an operation is refused in the next block.
    pub fn refusal(&self, operation: &Operation) -> &'static str {
        match self.chain.try_operation(&[], operation, self.now) {
            Err(ApplyError::Rule(violation)) => violation.id(),
            other => panic!("expected a refusal, got {other:?}"),
        }
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
