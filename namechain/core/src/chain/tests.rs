//! The chain on plain maps: registering, forks, undoing, reopening.

use super::*;
use crate::{
    consensus::{price, state::ApplyError},
    mempool::{Mempool, MempoolError},
    miner::search_nonce,
    types::{
        Action, MAX_BLOCK_BYTES, Name, NameEntry, Operation, Record, RecordSet, SecretKey,
        Signature, SignedOperation, Stamp, commitment, ops_root,
    },
};

const NETWORK: Network = Network::Dev;
const NOW: u64 = 1_800_000_000;

/// A chain with somebody who registers on it.
struct Bench {
    chain: Chain,
    storage: Arc<MemoryStorage>,
    worker: PowHasher,
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn records(address: u8) -> RecordSet {
    let rdata = vec![192, 0, 2, address];
    RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 300, rdata }]).unwrap()
}

impl Bench {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        Bench {
            chain: Chain::open(NETWORK, storage.clone()).unwrap(),
            storage,
            worker: PowHasher::new(NETWORK),
        }
    }

    /// Another chain with the same blocks.
    fn copy(&self) -> Self {
        let mut copy = Bench::new();
        for height in 1..=self.chain.tip_header().height {
            let id = self.storage.active(height).unwrap().unwrap();
            copy.take(&self.chain.read_block(&id).unwrap());
        }
        copy
    }

    fn stamped(&mut self, mut operation: Operation, work: u64) -> Operation {
        let stamp = Stamp { anchor: self.chain.tip_id(), work, nonce: 0 };
        let subject = operation.stamp_subject(NETWORK);
        *operation.stamp_mut() = self.worker.search_stamp(&subject, stamp, u64::MAX).unwrap();
        operation
    }

    fn price(&self) -> u64 {
        price::commitment(self.chain.params, self.chain.tip_header().price)
    }

    fn commit(&mut self, name: &Name, owner: &SecretKey) -> Operation {
        let commitment = commitment(NETWORK, name, &owner.public(), &owner.salt(NETWORK, name));
        let work = price::registration(self.chain.params, name, self.chain.tip_header().price);
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        self.stamped(Operation::Commit { commitment, stamp }, work)
    }

    fn named(&mut self, name: &Name, sequence: u32, action: Action, key: &SecretKey) -> Operation {
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

    fn register(&mut self, name: &Name, owner: &SecretKey, records: RecordSet) -> Operation {
        let action = Action::Register { recovery: None, salt: owner.salt(NETWORK, name), records };
        self.named(name, 0, action, owner)
    }

    fn work(&mut self, mut block: Block) -> Block {
        block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
        block
    }

    /// The next block with these operations, all of which it must be able to record.
    fn next(&mut self, operations: &[Operation]) -> Block {
        let block = self.chain.assemble_block(operations.iter(), NOW).unwrap();
        assert_eq!(block.operations.len(), operations.len(), "not all operations can be recorded");
        self.work(block)
    }

    fn take(&mut self, block: &Block) -> Accepted {
        self.chain.accept(block, NOW, true).unwrap()
    }

    fn extend(&mut self, operations: &[Operation]) -> Block {
        let block = self.next(operations);
        assert!(matches!(self.take(&block), Accepted::Tip(_)));
        block
    }

    /// Commits and registers: two blocks.
    fn claim(&mut self, name: &Name, owner: &SecretKey, address: u8) {
        let commit = self.commit(name, owner);
        self.extend(&[commit]);
        let register = self.register(name, owner, records(address));
        self.extend(&[register]);
    }

    fn entry(&self, name: &Name) -> Option<NameEntry> {
        let tip = self.chain.tip_header().height;
        self.chain.snapshot_at(tip).unwrap().entry(name).unwrap()
    }

    fn owner(&self, name: &Name) -> Option<crate::types::PublicKey> {
        self.entry(name).map(|entry| entry.owner)
    }

    fn refusal(&self, operation: &Operation) -> &'static str {
        match self.chain.try_operation(&[], operation) {
            Err(ApplyError::Rule(violation)) => violation.id(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    fn block_refusal(&mut self, block: &Block) -> &'static str {
        match self.chain.accept(block, NOW, true) {
            Err(ChainError::Rule { violation, .. }) => violation.id(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// The chain read back from its store must be the same in every respect.
    fn reopened(&self) -> Chain {
        let again = Chain::open(NETWORK, self.storage.clone()).unwrap();
        assert_eq!(again.tip_id(), self.chain.tip_id());
        assert_eq!(again.work(), self.chain.work());
        assert_eq!(again.recent.len(), self.chain.recent.len());
        for (a, b) in again.recent.iter().zip(&self.chain.recent) {
            assert_eq!((a.id, a.tree.root(), a.tree.len()), (b.id, b.tree.root(), b.tree.len()));
        }
        again
    }
}

#[test]
fn a_name_is_committed_registered_and_updated() {
    let mut bench = Bench::new();
    let (alice, owner) = (name("alice"), key(1));
    bench.claim(&alice, &owner, 1);
    let entry = bench.entry(&alice).unwrap();
    assert_eq!((entry.owner, entry.sequence, entry.registered), (owner.public(), 0, 2));
    assert_eq!(entry.expires, 2 + bench.chain.params.lease);
    let update = bench.named(&alice, 1, Action::Update { records: records(2) }, &owner);
    bench.extend(&[update]);
    let entry = bench.entry(&alice).unwrap();
    assert_eq!((entry.sequence, entry.updated, entry.records), (1, 3, records(2)));
    // An older snapshot still reads what stood there then.
    let before = bench.chain.snapshot_at(2).unwrap().entry(&alice).unwrap().unwrap();
    assert_eq!(before.records, records(1));
    assert_eq!(
        bench.chain.snapshot_at(1).unwrap().lookup(&alice).unwrap(),
        NameLookup::Unregistered
    );
    bench.reopened();
}

#[test]
fn operations_that_break_a_rule_are_refused_for_it() {
    let mut bench = Bench::new();
    let (alice, bob, owner, other) = (name("alice"), name("bobby"), key(1), key(2));
    let commit = bench.commit(&alice, &owner);
    let register = bench.register(&alice, &owner, records(1));
    assert_eq!(bench.refusal(&register), "commitment-unknown");
    bench.extend(std::slice::from_ref(&commit));
    assert_eq!(bench.refusal(&commit), "commitment-open");
    let stolen = bench.register(&alice, &other, records(1));
    assert_eq!(bench.refusal(&stolen), "commitment-unknown", "a commitment binds the key");
    let register = bench.register(&alice, &owner, records(1));
    bench.extend(&[register]);

    let late = bench.commit(&alice, &other);
    bench.extend(&[late]);
    let taken = bench.register(&alice, &other, records(9));
    assert_eq!(bench.refusal(&taken), "name-taken");
    let update = |records| Action::Update { records };
    let wrong_key = bench.named(&alice, 1, update(records(9)), &other);
    assert_eq!(bench.refusal(&wrong_key), "not-owner");
    let stale = bench.named(&alice, 0, update(records(9)), &owner);
    assert_eq!(bench.refusal(&stale), "sequence");
    let nobody = bench.named(&bob, 0, update(records(9)), &owner);
    assert_eq!(bench.refusal(&nobody), "name-unregistered");

    let cheap = bench.commit(&bob, &owner);
    let cheap = bench.stamped(cheap, 1);
    assert_eq!(bench.refusal(&cheap), "underpaid");
    let mut unanchored = bench.commit(&bob, &owner);
    unanchored.stamp_mut().anchor = Hash([1; 32]);
    assert_eq!(bench.refusal(&unanchored), "stamp-anchor");
    // Enough for some name, too little for one of three letters.
    let (short, work) = (name("abc"), bench.price());
    let commit = bench.commit(&short, &owner);
    let commit = bench.stamped(commit, work);
    bench.extend(&[commit]);
    let short = bench.register(&short, &owner, records(1));
    assert_eq!(bench.refusal(&short), "commitment-underpaid");
}

#[test]
fn operations_are_checked_alone() {
    use crate::consensus::block::check_operation_alone;
    let mut bench = Bench::new();
    let owner = key(1);
    let reserved = bench.register(&name("com"), &owner, records(1));
    let good = bench.register(&name("alice"), &owner, records(1));
    let Operation::Named(mut forged) = good.clone() else { unreachable!() };
    forged.signature = Signature([1; 64]);
    let mut idle = good.clone();
    // A claim of so much work is never met by a nonce that was found for less.
    idle.stamp_mut().work = u64::MAX;
    let worker = &mut bench.worker;
    let mut check = |operation: &Operation| {
        check_operation_alone(NETWORK, operation, worker).map_err(|v| v.id())
    };
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&reserved), Err("name-reserved"));
    assert_eq!(check(&Operation::Named(forged)), Err("signature"));
    assert_eq!(check(&idle), Err("stamp-work"));
}

#[test]
fn blocks_that_break_a_rule_are_refused_for_it() {
    let mut bench = Bench::new();
    let commit = bench.commit(&name("alice"), &key(1));
    let good = bench.next(&[commit]);
    let change = |bench: &mut Bench, change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        let block = bench.work(block);
        bench.block_refusal(&block)
    };
    assert_eq!(change(&mut bench, &|block| block.header.version = 2), "header-version");
    assert_eq!(change(&mut bench, &|block| block.header.height = 2), "header-height");
    assert_eq!(change(&mut bench, &|block| block.header.time = 0), "header-time");
    assert_eq!(
        change(&mut bench, &|block| block.header.target = crate::types::Target::of_work_bits(2)),
        "header-target"
    );
    assert_eq!(
        change(&mut bench, &|block| block.header.history_root = Hash([1; 32])),
        "history-root"
    );
    assert_eq!(change(&mut bench, &|block| block.header.ops_root = Hash([1; 32])), "ops-root");
    assert_eq!(change(&mut bench, &|block| block.header.state_root = Hash([1; 32])), "state-root");
    assert_eq!(change(&mut bench, &|block| block.header.price += 1), "price");
    let twice = |block: &mut Block| {
        block.operations.push(block.operations[0].clone());
        block.header.ops_root = ops_root(NETWORK, &block.operations);
    };
    assert_eq!(change(&mut bench, &twice), "commitment-open");
    let mut unworked = good.clone();
    while bench.worker.has_header_work(&unworked.header) {
        unworked.header.nonce += 1;
    }
    assert_eq!(bench.block_refusal(&unworked), "header-work");
    let mut early = good.clone();
    early.header.time = NOW + 601;
    assert!(matches!(bench.chain.accept(&early, NOW, true), Err(ChainError::Early { .. })));
    assert!(matches!(bench.take(&good), Accepted::Tip(_)), "the block itself is fine");
    assert!(matches!(bench.take(&good), Accepted::Known));
    let stray = Block { header: Header { previous: Hash([7; 32]), ..good.header.clone() }, ..good };
    assert!(matches!(bench.chain.accept(&stray, NOW, true), Err(ChainError::Orphan(_))));
    bench.reopened();
}

/// However a block was put together, its size is one of its rules: a store that refuses it later
/// would stop the node.
#[test]
fn a_block_over_the_size_limit_breaks_a_rule() {
    let mut bench = Bench::new();
    let commit = bench.commit(&name("alice"), &key(1));
    let mut block = bench.chain.assemble_block(std::iter::empty(), NOW).unwrap();
    let room = MAX_BLOCK_BYTES - block.byte_len();
    block.operations = vec![commit.clone(); room / commit.byte_len()];
    assert_eq!(check_block_alone(NETWORK, &block).map_err(|v| v.id()), Err("ops-root"));
    block.operations.push(commit);
    assert_eq!(block.byte_len(), block.to_bytes().len());
    block.header.ops_root = ops_root(NETWORK, &block.operations);
    let block = bench.work(block);
    assert_eq!(bench.block_refusal(&block), "block-size");
    let checked = CheckedBlock::check(NETWORK, block, &mut bench.worker);
    assert_eq!(checked.map_err(|violation| violation.id()).unwrap_err(), "block-size");
    bench.extend(&[]);
}

/// Prices are looked at before signatures and stamps, which cost a thousand times more.
#[test]
fn an_underpaid_operation_is_refused_before_its_stamp_is_worked() {
    struct Counting(Arc<std::sync::atomic::AtomicUsize>);
    impl OperationVerifier for Counting {
        fn check_operations(&mut self, _: &[Operation]) -> Result<(), RuleViolation> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        }
    }
    let mut bench = Bench::new();
    let calls = Arc::default();
    bench.chain.set_verifier(Box::new(Counting(Arc::clone(&calls))));
    let calls = || calls.load(std::sync::atomic::Ordering::Relaxed);
    let work = bench.price() - 1;
    let cheap = Operation::Commit {
        commitment: Hash([1; 32]),
        stamp: Stamp { anchor: bench.chain.tip_id(), work, nonce: 0 },
    };
    let mut block = bench.chain.assemble_block(std::iter::empty(), NOW).unwrap();
    block.operations.push(cheap);
    block.header.ops_root = ops_root(NETWORK, &block.operations);
    let block = bench.work(block);
    assert_eq!(bench.block_refusal(&block), "underpaid");
    assert_eq!(calls(), 0);
    let commit = bench.commit(&name("alice"), &key(1));
    bench.extend(&[commit]);
    assert_eq!(calls(), 1);
}

/// An index that has rotted is the disk's fault: no block is marked as bad for it.
#[test]
fn a_rotten_index_is_a_storage_error_and_no_bad_block() {
    let alice = name("alice");
    let entry_key = alice.key(NETWORK);
    let damaged = |result: Result<Accepted, ChainError>| {
        assert!(matches!(result, Err(ChainError::Storage(StorageError::Damaged(_)))), "{result:?}");
    };
    for rotten in [None, Some(vec![1, 2, 3])] {
        let mut bench = Bench::new();
        bench.claim(&alice, &key(1), 1);
        let update = Action::Update { records: records(2) };
        let update = bench.named(&alice, 1, update, &key(1));
        let block = bench.next(std::slice::from_ref(&update));
        let sound = bench.storage.entry(&entry_key).unwrap();
        bench.storage.commit(vec![Change::Entry(entry_key, rotten)], true).unwrap();
        damaged(bench.chain.accept(&block, NOW, true));
        assert!(matches!(
            bench.chain.try_operation(&[], &update),
            Err(ApplyError::State(StorageError::Damaged(_)))
        ));
        assert!(!bench.chain.has_failed(&block.header.id(NETWORK)));
        bench.storage.commit(vec![Change::Entry(entry_key, sound)], true).unwrap();
    }

    // The same of what undoes a block.
    let (mut a, mut b) = (Bench::new(), Bench::new());
    a.claim(&alice, &key(1), 1);
    b.claim(&alice, &key(2), 2);
    let third = b.extend(&[]);
    for height in 1..=2 {
        let id = b.storage.active(height).unwrap().unwrap();
        a.take(&b.chain.read_block(&id).unwrap());
    }
    a.storage.commit(vec![Change::Undo(2, entry_key, Some(vec![9]))], true).unwrap();
    damaged(a.chain.accept(&third, NOW, true));
    assert!(!a.chain.has_failed(&third.header.id(NETWORK)));
}

/// ```text
/// genesis - 1 commit(alice by 1) - 2 register(alice by 1)
///        \- 1' commit(alice by 2) - 2' register(alice by 2) - 3'
/// ```
#[test]
fn the_branch_with_more_work_decides_who_owns() {
    let (mut a, mut b) = (Bench::new(), Bench::new());
    let alice = name("alice");
    a.claim(&alice, &key(1), 1);
    b.claim(&alice, &key(2), 2);
    let root_before = a.chain.tip().tree.root();
    let branch: Vec<Block> = (1..=2)
        .map(|height| b.chain.read_block(&b.storage.active(height).unwrap().unwrap()).unwrap())
        .collect();
    for block in &branch {
        assert!(matches!(a.take(block), Accepted::Side), "the first seen wins a tie");
    }
    assert_eq!(a.storage.touched(&alice.key(NETWORK)).unwrap(), [2]);
    assert_eq!(a.owner(&alice), Some(key(1).public()));
    let third = b.extend(&[]);
    let Accepted::Tip(change) = a.take(&third) else { panic!("more work must win") };
    assert_eq!((change.undone.len(), change.connected.len()), (2, 3));
    assert_eq!(change.undone[0].header.height, 2, "the old tip is undone first");
    assert_eq!(a.owner(&alice), Some(key(2).public()));
    assert_eq!(a.chain.tip().tree.root(), b.chain.tip().tree.root());
    assert_eq!(a.storage.touched(&alice.key(NETWORK)).unwrap(), [2]);
    a.reopened();

    // The other way round: undoing everything and connecting the first branch again gives the same
    // state.
    let mut c = b.copy();
    for block in change.undone.iter().rev() {
        c.take(block);
    }
    let mut first = Bench::new();
    for block in change.undone.iter().rev() {
        first.take(block);
    }
    for _ in 0..2 {
        let block = first.extend(&[]);
        c.take(&block);
    }
    assert_eq!(c.owner(&alice), Some(key(1).public()));
    assert_eq!(c.chain.tip().tree.root(), root_before, "empty blocks change nothing");
    c.reopened();
}

/// ```text
/// genesis - 1 - 2
///        \- 1' - 2' - 3' (breaks a rule) - 4'
/// ```
#[test]
fn a_branch_that_breaks_a_rule_changes_nothing() {
    let (mut a, mut b) = (Bench::new(), Bench::new());
    a.claim(&name("alice"), &key(1), 1);
    let before = (a.chain.tip_id(), a.chain.tip().tree.root());
    let commit = b.commit(&name("bobby"), &key(2));
    let branch = [b.extend(&[commit]), b.extend(&[])];
    for block in &branch {
        a.take(block);
    }
    let mut bad = b.next(&[]);
    bad.header.state_root = Hash([5; 32]);
    let bad = b.work(bad);
    assert_eq!(a.block_refusal(&bad), "state-root");
    assert_eq!((a.chain.tip_id(), a.chain.tip().tree.root()), before);
    assert!(
        matches!(a.chain.accept(&bad, NOW, true), Err(ChainError::OnFailed(_))),
        "it is checked once"
    );
    let mut again = a.reopened();
    assert!(
        matches!(again.accept(&bad, NOW, true), Err(ChainError::OnFailed(_))),
        "that is remembered"
    );
    // The branch itself is still good, and can win by another block.
    let (third, fourth) = (b.extend(&[]), b.extend(&[]));
    a.take(&third);
    a.take(&fourth);
    assert_eq!(a.chain.tip_id(), b.chain.tip_id());
}

#[test]
fn commitments_lapse() {
    let mut bench = Bench::new();
    let (alice, owner) = (name("alice"), key(1));
    let commit = bench.commit(&alice, &owner);
    bench.extend(&[commit]);
    assert_eq!(bench.chain.tip().tree.len(), 1);
    // The last block that can open it is 720 after; the one after that removes it.
    for _ in 0..bench.chain.params.commit_max_age - 1 {
        bench.extend(&[]);
    }
    let last = bench.register(&alice, &owner, records(1));
    assert!(bench.chain.try_operation(&[], &last).is_ok());
    bench.extend(&[]);
    assert_eq!(bench.chain.tip().tree.len(), 1);
    bench.extend(&[]);
    assert_eq!(bench.chain.tip().tree.len(), 0);
    let register = bench.register(&alice, &owner, records(1));
    assert_eq!(bench.refusal(&register), "commitment-unknown");
    bench.reopened();
}

#[test]
fn somebody_waits_for_a_height_that_is_near() {
    let mut bench = Bench::new();
    let (alice, owner) = (name("alice"), key(1));
    let commit = bench.commit(&alice, &owner);
    bench.extend(&[commit]);
    assert!(!bench.chain.has_maturing_names().unwrap(), "on dev the next block can open it");
    let register = bench.register(&alice, &owner, records(1));
    bench.extend(&[register]);
    let offer = bench.named(&alice, 1, Action::Transfer { to: key(2).public() }, &owner);
    bench.extend(&[offer]);
    assert!(bench.chain.has_maturing_names().unwrap(), "the next block can't accept it");
    bench.extend(&[]);
    assert!(!bench.chain.has_maturing_names().unwrap());
}

#[test]
fn a_mempool_follows_the_chain() {
    let (mut a, mut b) = (Bench::new(), Bench::new());
    let mut mempool = Mempool::new(NETWORK);
    let (alice, owner) = (name("alice"), key(1));
    let commit = a.commit(&alice, &owner);
    mempool.insert(&a.chain, commit.clone()).unwrap();
    mempool.insert(&a.chain, commit.clone()).unwrap();
    assert_eq!(mempool.len(), 1, "the same operation is taken once");
    let more = commit.stamp().work + commit.stamp().work / 4;
    let almost = a.stamped(commit.clone(), more - 1);
    assert!(
        matches!(mempool.insert(&a.chain, almost), Err(MempoolError::Occupied(work)) if work == more)
    );
    let replacing = a.stamped(commit.clone(), more);
    mempool.insert(&a.chain, replacing.clone()).unwrap();
    assert_eq!(mempool.by_work_rate(), [&replacing]);

    let block = a.extend(&[replacing]);
    let change = TipChange { undone: vec![], connected: vec![block] };
    let gone = mempool.follow(&a.chain, &change).unwrap();
    assert_eq!(gone, [commit.id(NETWORK)], "what was replaced has gone without being recorded");
    assert!(mempool.is_empty() && mempool.bytes() == 0);

    // A register and two updates on top of each other fit one block, in their order.
    let register = a.register(&alice, &owner, records(1));
    let first = a.named(&alice, 1, Action::Update { records: records(2) }, &owner);
    let price = a.price();
    let second = a.named(&alice, 2, Action::Update { records: records(3) }, &owner);
    let second = a.stamped(second, price * 3);
    assert!(mempool.insert(&a.chain, second.clone()).is_err(), "nothing it could follow");
    for operation in [&register, &first, &second] {
        mempool.insert(&a.chain, operation.clone()).unwrap();
    }
    assert_eq!(mempool.by_work_rate(), [&register, &first, &second]);
    let candidates: Vec<Operation> = mempool.by_work_rate().into_iter().cloned().collect();
    let block = a.extend(&candidates);
    mempool.follow(&a.chain, &TipChange { undone: vec![], connected: vec![block] }).unwrap();
    assert_eq!(a.entry(&alice).unwrap().records, records(3));

    // A longer branch without any of it: the stamps are anchored to blocks that are gone, so
    // nothing can wait.
    for _ in 0..3 {
        let block = b.extend(&[]);
        if let Accepted::Tip(change) = a.take(&block) {
            assert_eq!(
                mempool.follow(&a.chain, &change).unwrap().len(),
                3,
                "all but the commit, anchored to genesis"
            );
        }
    }
    assert_eq!(a.chain.tip_id(), b.chain.tip_id());
    assert_eq!(mempool.len(), 1);
}
