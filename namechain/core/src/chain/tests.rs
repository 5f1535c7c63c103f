//! The chain on plain maps: registering, forks, undoing, reopening.

use super::{
    expiry::{ExpiryQueue, encoded_end},
    tip_state::TREES_KEPT,
    *,
};
use crate::{
    consensus::{
        block::{check_block_alone, check_operation_alone},
        state::ApplyError,
        status::{self, EntryKind},
    },
    mempool::{Mempool, MempoolError},
    params::COMMIT_LIFETIME_S,
    types::{Action, MAX_BLOCK_BYTES, Operation, SecretKey, Signature, Stamp, ops_root},
};
use common::{LATE, Miner, NETWORK, STEP_S, context, key, name, records};

#[path = "../../tests/common/mod.rs"]
mod common;
mod rot;

/// The chain read back from its store must be the same in every respect.
fn reopened(miner: &Miner) -> Chain {
    let again = Chain::open(NETWORK, miner.storage.clone()).unwrap();
    let chain = &miner.chain;
    assert_eq!(again.tip_id(), chain.tip_id());
    assert_eq!(again.work(), chain.work());
    assert_eq!(again.recent.len(), chain.recent.len());
    for (a, b) in again.recent.iter().zip(&chain.recent) {
        assert_eq!((a.id, &a.found), (b.id, &b.found));
    }
    assert_eq!(again.tip_tree().root(), chain.tip_tree().root());
    assert_eq!(again.tip_tree().len(), chain.tip_tree().len());
    let lowest = chain.recent_base();
    for height in lowest..=chain.tip_header().height {
        for snapshot in [&again, chain].map(|chain| chain.snapshot_at(height).unwrap()) {
            assert_eq!(snapshot.tree.root(), snapshot.state_root(), "the state at {height}");
        }
    }
    let known = |chain: &Chain| chain.headers.below(u32::MAX);
    let (mut theirs, mut ours) = (known(&again), known(chain));
    theirs.sort();
    ours.sort();
    assert_eq!(theirs, ours, "the headers in memory");
    assert_eq!(again.expiry.rows(), chain.expiry.rows());
    again
}

#[test]
fn a_name_is_committed_registered_and_updated() {
    let mut miner = Miner::new();
    let (alice, owner) = (name("alice"), key(1));
    let [_, registered] = miner.claim(&alice, &owner, 1);
    let entry = miner.entry(&alice).unwrap();
    let time = registered.header.time;
    assert_eq!((entry.owner, entry.sequence), (owner.public(), 0));
    assert_eq!((entry.registered.height, entry.registered.time), (2, time));
    assert_eq!(entry.expires, time + miner.chain.params.lease);
    let at =
        |miner: &Miner, height| miner.chain.snapshot_at(height).unwrap().lookup(&alice).unwrap();
    assert!(matches!(at(&miner, 2), NameLookup::Settling(_)));
    let update = miner.update(&alice, &owner, 2);
    miner.mine(&[update]);
    let entry = miner.entry(&alice).unwrap();
    assert_eq!((entry.sequence, entry.updated.height, entry.records), (1, 3, records(2)));
    assert!(matches!(at(&miner, 3), NameLookup::Active(_)));
    // An older snapshot still reads what stood there then.
    let before = miner.chain.snapshot_at(2).unwrap().entry(&alice).unwrap().unwrap();
    assert_eq!(before.records, records(1));
    assert_eq!(at(&miner, 1), NameLookup::Unregistered);
    reopened(&miner);
}

#[test]
fn operations_that_break_a_rule_are_refused_for_it() {
    let mut miner = Miner::new();
    let (alice, bob, owner, other) = (name("alice"), name("bobby"), key(1), key(2));
    let commit = miner.commit(&alice, &owner);
    let register = miner.register(&alice, &owner, 1);
    assert_eq!(miner.refusal(&register), "commitment-unknown");
    let block = miner.mine(std::slice::from_ref(&commit));
    assert_eq!(miner.refusal(&commit), "commit-recorded");
    let id = commit.id(NETWORK);
    let stolen = miner.register_by(&alice, &other, 1, id);
    assert_eq!(miner.refusal(&stolen), "commitment-unknown", "a commitment binds the key");
    let register = miner.register(&alice, &owner, 1);
    let young = miner.chain.try_operation(&[], &register, block.header.time);
    assert!(matches!(young, Err(ApplyError::Rule(rule)) if rule.id() == "commitment-young"));
    miner.mine(&[register]);
    let again = miner.register(&alice, &owner, 2);
    assert_eq!(miner.refusal(&again), "commitment-spent");

    let late = miner.commit(&alice, &other);
    miner.mine(&[late]);
    let taken = miner.register(&alice, &other, 9);
    assert_eq!(miner.refusal(&taken), "name-taken");
    let update = |sequence| Action::Update { sequence, records: records(9) };
    let wrong_key = miner.act(&alice, update(1), &other);
    assert_eq!(miner.refusal(&wrong_key), "not-owner");
    let stale = miner.act(&alice, update(0), &owner);
    assert_eq!(miner.refusal(&stale), "sequence");
    let other_title = miner.act_under(&alice, Hash([1; 32]), update(1), &owner);
    assert_eq!(miner.refusal(&other_title), "title");
    let nobody = miner.act(&bob, update(1), &owner);
    assert_eq!(miner.refusal(&nobody), "name-unregistered");

    let cheap = miner.commit(&bob, &owner);
    let cheap = miner.stamped(cheap, 1);
    assert_eq!(miner.refusal(&cheap), "underpaid");
    let mut unanchored = miner.commit(&bob, &owner);
    unanchored.stamp_mut().anchor = Hash([1; 32]);
    assert_eq!(miner.refusal(&unanchored), "stamp-anchor");
    // Enough for some name, too little for one of three letters.
    let (short, work) = (name("abc"), miner.price());
    let commit = miner.commit(&short, &owner);
    let commit = miner.stamped(commit, work);
    miner.mine(&[commit]);
    let short = miner.register(&short, &owner, 1);
    assert_eq!(miner.refusal(&short), "commitment-underpaid");
}

#[test]
fn operations_are_checked_alone() {
    let mut miner = Miner::new();
    let owner = key(1);
    let reserved = miner.register(&name("com"), &owner, 1);
    let good = miner.register(&name("alice"), &owner, 1);
    let Operation::Named(mut forged) = good.clone() else { unreachable!() };
    forged.signature = Signature([1; 64]);
    let mut idle = good.clone();
    // A claim of so much work is never met by a nonce that was found for less.
    idle.stamp_mut().work = u64::MAX;
    let worker = &mut miner.worker;
    let mut check = |operation: &Operation| {
        check_operation_alone(NETWORK.params(), &context(), operation, worker).map_err(|v| v.id())
    };
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&reserved), Err("name-reserved"));
    assert_eq!(check(&Operation::Named(forged)), Err("signature"));
    assert_eq!(check(&idle), Err("stamp-work"));
}

#[test]
fn blocks_that_break_a_rule_are_refused_for_it() {
    let mut miner = Miner::new();
    miner.mine(&[]);
    let commit = miner.commit(&name("alice"), &key(1));
    let good = miner.next(&[commit]);
    let change = |miner: &mut Miner, change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        let block = miner.work(block);
        miner.block_refusal(&block)
    };
    assert_eq!(change(&mut miner, &|block| block.header.version = 1), "header-version");
    assert_eq!(change(&mut miner, &|block| block.header.height = 3), "header-height");
    assert_eq!(change(&mut miner, &|block| block.header.time = 0), "header-time");
    assert_eq!(change(&mut miner, &|block| block.header.due += 1), "header-due");
    assert_eq!(
        change(&mut miner, &|block| block.header.history_root = Hash([1; 32])),
        "history-root"
    );
    assert_eq!(change(&mut miner, &|block| block.header.ops_root = Hash([1; 32])), "ops-root");
    assert_eq!(change(&mut miner, &|block| block.header.state_root = Hash([1; 32])), "state-root");
    assert_eq!(change(&mut miner, &|block| block.header.name_price += 1), "price");
    assert_eq!(change(&mut miner, &|block| block.header.byte_price += 1), "price");
    let twice = |block: &mut Block| {
        block.operations.push(block.operations[0].clone());
        block.header.ops_root = ops_root(NETWORK, &block.operations);
    };
    assert_eq!(change(&mut miner, &twice), "commit-recorded");
    let mut unworked = good.clone();
    while miner.worker.has_header_work(&unworked.header) {
        unworked.header.nonce += 1;
    }
    assert_eq!(miner.block_refusal(&unworked), "header-work");
    let clock = good.header.time - 301;
    let early = miner.chain.accept(&good, clock, true);
    assert!(matches!(early, Err(ChainError::Early { .. })), "{early:?}");
    assert!(matches!(miner.accept(&good), Accepted::Tip(_)), "the block itself is fine");
    assert!(matches!(miner.accept(&good), Accepted::Known));
    let stray = Block { header: Header { previous: Hash([7; 32]), ..good.header.clone() }, ..good };
    assert!(matches!(miner.refuses(&stray), ChainError::Orphan(_)));
    reopened(&miner);
}

/// A block of a branch that this program does not know breaks no rule, if it has its work.
#[test]
fn a_later_branch_asks_for_an_upgrade() {
    let mut miner = Miner::new();
    let mut block = miner.next(&[]);
    block.header.version = 3;
    let block = miner.work(block);
    assert!(matches!(miner.refuses(&block), ChainError::UpgradeNeeded(3)));
    assert!(!miner.chain.has_failed(&block.header.id(NETWORK)));
    let mut unworked = block;
    while miner.worker.has_header_work(&unworked.header) {
        unworked.header.nonce += 1;
    }
    assert_eq!(miner.block_refusal(&unworked), "header-work");
    miner.mine(&[]);
}

/// However a block was put together, its size is one of its rules: a store that refuses it later
/// would stop the node.
#[test]
fn a_block_over_the_size_limit_breaks_a_rule() {
    let mut miner = Miner::new();
    let register = miner.register(&name("alice"), &key(1), 1);
    let mut block = miner.chain.assemble_block(std::iter::empty(), miner.now).unwrap();
    let room = MAX_BLOCK_BYTES - block.byte_len();
    block.operations = vec![register.clone(); room / register.byte_len()];
    let alone = check_block_alone(NETWORK.params(), &block);
    assert_eq!(alone.map_err(|violation| violation.id()), Err("ops-root"));
    block.operations.push(register);
    assert_eq!(block.byte_len(), block.to_bytes().len());
    block.header.ops_root = ops_root(NETWORK, &block.operations);
    let block = miner.work(block);
    assert_eq!(miner.block_refusal(&block), "block-size");
    let checked = CheckedBlock::check(NETWORK, block, &mut miner.worker).unwrap_err();
    assert!(matches!(checked, HeaderError::Rule(rule) if rule.id() == "block-size"));
    miner.mine(&[]);
}

/// Prices are looked at before signatures and stamps, which cost a thousand times more.
#[test]
fn an_underpaid_operation_is_refused_before_its_stamp_is_worked() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Counting(Arc<AtomicUsize>);
    impl OperationVerifier for Counting {
        fn check_operations(
            &mut self,
            _: &crate::types::SigningContext,
            _: &[Operation],
        ) -> Result<(), RuleViolation> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let mut miner = Miner::new();
    let calls: Arc<AtomicUsize> = Arc::default();
    miner.chain.set_verifier(Box::new(Counting(calls.clone())));
    let work = miner.price() - 1;
    let stamp = Stamp { anchor: miner.chain.tip_id(), work, nonce: 0 };
    let cheap = Operation::Commit { commitment: Hash([1; 32]), stamp };
    let precheck = miner.chain.precheck_operation(&cheap, miner.now);
    assert_eq!(precheck.map_err(|violation| violation.id()), Err("underpaid"));
    let mut block = miner.chain.assemble_block(std::iter::empty(), miner.now).unwrap();
    block.operations.push(cheap);
    block.header.ops_root = ops_root(NETWORK, &block.operations);
    let block = miner.work(block);
    assert_eq!(miner.block_refusal(&block), "underpaid");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let commit = miner.commit(&name("alice"), &key(1));
    assert!(miner.chain.precheck_operation(&commit, miner.now).is_ok());
    miner.mine(&[commit]);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// ```text
/// genesis - 1 commit(alice by 1) - 2 register(alice by 1)
///        \- 1' commit(alice by 2) - 2' register(alice by 2) - 3'
/// ```
#[test]
fn the_branch_with_more_work_decides_who_owns() {
    let (mut a, mut b) = (Miner::new(), Miner::new());
    let alice = name("alice");
    let first = a.claim(&alice, &key(1), 1);
    let branch = b.claim(&alice, &key(2), 2);
    let root_before = a.chain.tip_tree().root();
    for block in &branch {
        assert!(matches!(a.accept(block), Accepted::Side), "the first seen wins a tie");
    }
    let history = |miner: &Miner| miner.storage.touched(&alice.key(NETWORK)).unwrap();
    assert_eq!(history(&a), [2]);
    assert_eq!(a.owner(&alice), Some(key(1).public()));
    let third = b.mine(&[]);
    let Accepted::Tip(change) = a.accept(&third) else { panic!("more work must win") };
    assert_eq!((change.undone.len(), change.connected.len()), (2, 3));
    assert_eq!(change.undone[0].header.height, 2, "the old tip is undone first");
    assert_eq!(a.owner(&alice), Some(key(2).public()));
    assert_eq!(a.chain.tip_tree().root(), b.chain.tip_tree().root());
    assert_eq!(history(&a), [2]);
    let commits = |miner: &Miner, owner: &SecretKey| {
        let key = CommitmentEntry::key(NETWORK, &miner.commitment(&alice, owner));
        miner.storage.touched(&key).unwrap()
    };
    assert_eq!((commits(&a, &key(1)), commits(&a, &key(2))), (vec![], vec![1]));
    reopened(&a);

    // The other way round: undoing everything and connecting the first branch again gives the same
    // state.
    let mut c = b.copy();
    let mut other = Miner::new();
    for block in &first {
        c.accept(block);
        other.accept(block);
    }
    other.now = third.header.time + STEP_S;
    for _ in 0..2 {
        let block = other.mine(&[]);
        c.accept(&block);
    }
    assert_eq!(c.owner(&alice), Some(key(1).public()));
    assert_eq!(c.chain.tip_tree().root(), root_before, "empty blocks change nothing");
    reopened(&c);
}

/// ```text
/// genesis - 1 - 2
///        \- 1' - 2' - 3' (breaks a rule) - 4'
/// ```
#[test]
fn a_branch_that_breaks_a_rule_changes_nothing() {
    let (mut a, mut b) = (Miner::new(), Miner::new());
    a.claim(&name("alice"), &key(1), 1);
    let before = (a.chain.tip_id(), a.chain.tip_tree().root());
    let commit = b.commit(&name("bobby"), &key(2));
    let branch = [b.mine(&[commit]), b.mine(&[])];
    a.take(&branch);
    let mut bad = b.next(&[]);
    bad.header.state_root = Hash([5; 32]);
    let bad = b.work(bad);
    assert_eq!(a.block_refusal(&bad), "state-root");
    assert_eq!((a.chain.tip_id(), a.chain.tip_tree().root()), before);
    assert!(matches!(a.refuses(&bad), ChainError::OnFailed(_)), "it is checked once");
    let mut again = reopened(&a);
    assert!(
        matches!(again.accept(&bad, LATE, true), Err(ChainError::OnFailed(_))),
        "that is remembered"
    );
    // The branch itself is still good, and can win by another block.
    let (third, fourth) = (b.mine(&[]), b.mine(&[]));
    a.take(&[third, fourth]);
    assert_eq!(a.chain.tip_id(), b.chain.tip_id());
}

#[test]
fn commits_lapse_after_a_day_and_are_removed() {
    let mut miner = Miner::new();
    let (alice, owner) = (name("alice"), key(1));
    let commit = miner.commit(&alice, &owner);
    let recorded = miner.mine(&[commit]).header.time;
    assert_eq!(miner.chain.tip_tree().len(), 1);
    // At its last second it can still be opened; after it, it is gone.
    miner.now = recorded + COMMIT_LIFETIME_S;
    let last = miner.register(&alice, &owner, 1);
    assert!(miner.chain.try_operation(&[], &last, miner.now).is_ok());
    let late = miner.chain.try_operation(&[], &last, miner.now + 1);
    assert!(matches!(late, Err(ApplyError::Rule(rule)) if rule.id() == "commitment-unknown"));
    miner.mine(&[]);
    assert_eq!(miner.chain.tip_tree().len(), 1);
    miner.now = recorded + COMMIT_LIFETIME_S + 1;
    miner.mine(&[]);
    assert_eq!(miner.chain.tip_tree().len(), 0);
    assert_eq!(miner.chain.expiry.rows(), []);
    reopened(&miner);
}

/// A name leaves the state when its grace is over, and comes back when that block is undone.
#[test]
fn released_names_are_removed_and_restored_by_undoing() {
    let mut miner = Miner::new();
    let (alice, owner) = (name("alice"), key(1));
    miner.claim(&alice, &owner, 1);
    let end = miner.entry(&alice).unwrap().expires + NETWORK.params().grace;
    let rows = miner.chain.expiry.rows();
    assert!(rows.contains(&(EntryKind::Name, end, alice.key(NETWORK))));
    miner.now = end - 1;
    miner.mine(&[]);
    assert!(miner.entry(&alice).is_some(), "its grace is not over");
    let mut other = miner.copy();
    miner.now = end;
    miner.mine(&[]);
    assert!(miner.entry(&alice).is_none());
    assert_eq!(miner.chain.tip_tree().len(), 0, "the spent Commit is gone too");
    reopened(&miner);
    // Another branch, on which the time has not come.
    for _ in 0..2 {
        other.now = end - 1;
        let block = other.mine(&[]);
        miner.accept(&block);
    }
    assert_eq!(miner.chain.tip_id(), other.chain.tip_id());
    assert!(miner.entry(&alice).is_some());
    reopened(&miner);
    // And once more on that one: an entry that came back ends again.
    miner.now = end;
    miner.mine(&[]);
    assert!(miner.entry(&alice).is_none());
    reopened(&miner);
}

/// The end that is read from an encoded entry is the one that the rules go by.
#[test]
fn the_end_is_read_from_the_bytes() {
    let mut miner = Miner::new();
    let (alice, owner) = (name("alice"), key(1));
    miner.claim(&alice, &owner, 1);
    let commit = miner.commit(&name("bobby-long-name"), &owner);
    miner.mine(&[commit]);
    let params = NETWORK.params();
    let mut seen = ExpiryQueue::default();
    miner
        .storage
        .entries(&mut |key, bytes| {
            let entry = <Entry as crate::codec::Decode>::from_bytes(bytes).unwrap();
            let end = (EntryKind::of(&entry), status::end(params, &entry));
            assert_eq!(encoded_end(params, bytes), Ok(end));
            if let Entry::Name(name) = &entry {
                let with_recovery = Entry::Name(crate::types::NameEntry {
                    recovery: Some(owner.public()),
                    ..name.clone()
                });
                assert_eq!(encoded_end(params, &with_recovery.to_bytes()), Ok(end));
            }
            seen.insert(end, key);
        })
        .unwrap();
    assert_eq!(seen.rows(), miner.chain.expiry.rows());
    assert!(encoded_end(params, &[]).is_err() && encoded_end(params, &[3]).is_err());
}

#[test]
fn an_empty_block_is_due_while_something_waits_for_blocks() {
    let mut miner = Miner::new();
    let (alice, owner) = (name("alice"), key(1));
    miner.mine(&[]);
    let due = |miner: &Miner, age: u64| {
        miner.chain.is_empty_block_due(miner.chain.tip_header().time + age)
    };
    assert!(!due(&miner, 1_199) && due(&miner, 1_200), "twenty minutes at most");
    let commit = miner.commit(&alice, &owner);
    miner.mine(&[commit]);
    assert!(!due(&miner, 0), "the tip is not old enough");
    assert!(!due(&miner, 1), "by then the next block can open it");
    let register = miner.register(&alice, &owner, 1);
    miner.mine(&[register]);
    assert!(!due(&miner, 0) && due(&miner, 1), "a name settles");
    let again = reopened(&miner);
    assert!(again.is_empty_block_due(again.tip_header().time + 1), "after a restart too");
    miner.mine(&[]);
    assert!(!due(&miner, 1) && due(&miner, 1_200));
}

/// A rival of the tip must outweigh it by more than half of the lighter of the two.
#[test]
fn a_rival_must_outweigh_the_tip_by_half() {
    // On dev every block weighs one hash, so half of it is none: the margin is arithmetic.
    let (mut a, mut b) = (Miner::new(), Miner::new());
    let ours = a.mine(&[]);
    b.now += 1;
    let theirs = b.mine(&[]);
    assert!(matches!(a.accept(&theirs), Accepted::Side));
    assert_eq!(a.chain.tip_id(), ours.header.id(NETWORK));
    let entry = a.chain.tip_entry().clone();
    let rival = |own_work: u128, work: u128| BlockIndexEntry { own_work, work, ..entry.clone() };
    let own = &entry;
    assert_eq!((own.own_work, own.work), (1, 2));
    for (own_work, lead, preferred) in [(1, 0, false), (1, 1, true), (9, 0, false), (9, 1, true)] {
        assert_eq!(a.chain.is_preferred(&rival(own_work, own.work + lead)), preferred);
    }
    // The same with heavier blocks.
    let id = a.chain.tip_id();
    let heavy = BlockIndexEntry { own_work: 100, work: 1_000, ..entry.clone() };
    a.chain.headers.insert(id, heavy);
    for (own_work, work, preferred) in [
        (100, 1_050, false),
        (100, 1_051, true),
        (400, 1_050, false),
        (400, 1_051, true),
        (10, 1_005, false),
        (10, 1_006, true),
    ] {
        assert_eq!(a.chain.is_preferred(&rival(own_work, work)), preferred, "{own_work} {work}");
    }
}

#[test]
fn a_mempool_follows_the_chain() {
    let (mut a, mut b) = (Miner::new(), Miner::new());
    let mut mempool = Mempool::new(NETWORK);
    let (alice, owner) = (name("alice"), key(1));
    let commit = a.commit(&alice, &owner);
    mempool.insert(&a.chain, commit.clone(), a.now).unwrap();
    mempool.insert(&a.chain, commit.clone(), a.now).unwrap();
    assert_eq!(mempool.len(), 1, "the same operation is taken once");
    assert_eq!(mempool.by_work_rate(a.now), [&commit]);

    let block = a.mine(&[commit]);
    let change = TipChange { undone: vec![], connected: vec![block] };
    assert_eq!(mempool.follow(&a.chain, &change, a.now).unwrap(), []);
    assert!(mempool.is_empty() && mempool.bytes() == 0);

    let register = a.register(&alice, &owner, 1);
    mempool.insert(&a.chain, register.clone(), a.now).unwrap();
    let more = register.stamp().work + register.stamp().work / 4;
    let almost = a.stamped(register.clone(), more - 1);
    let refused = mempool.insert(&a.chain, almost, a.now);
    assert!(matches!(refused, Err(MempoolError::Occupied(work)) if work == more));
    let replacing = a.stamped(register.clone(), more);
    mempool.insert(&a.chain, replacing.clone(), a.now).unwrap();
    assert_eq!(mempool.take_evicted(), [register.id(NETWORK)]);
    let block = a.mine(&[replacing]);
    let change = TipChange { undone: vec![], connected: vec![block] };
    assert_eq!(mempool.follow(&a.chain, &change, a.now).unwrap(), []);

    // Two updates on top of each other fit one block, in their order.
    let first = a.update(&alice, &owner, 2);
    let price = a.price();
    let second = a.act(&alice, Action::Update { sequence: 2, records: records(3) }, &owner);
    let second = a.stamped(second, price * 3);
    assert!(mempool.insert(&a.chain, second.clone(), a.now).is_err(), "nothing it could follow");
    for operation in [&first, &second] {
        mempool.insert(&a.chain, operation.clone(), a.now).unwrap();
    }
    assert_eq!(mempool.by_work_rate(a.now), [&first, &second]);
    let candidates: Vec<Operation> = mempool.by_work_rate(a.now).into_iter().cloned().collect();
    let block = a.mine(&candidates);
    let change = TipChange { undone: vec![], connected: vec![block] };
    mempool.follow(&a.chain, &change, a.now).unwrap();
    assert_eq!(a.entry(&alice).unwrap().records, records(3));

    // A longer branch without any of it: the stamps are anchored to blocks that are gone, so
    // nothing but the Commit, anchored to genesis, can wait.
    for _ in 0..4 {
        let block = b.mine(&[]);
        if let Accepted::Tip(change) = a.accept(&block) {
            assert_eq!(mempool.follow(&a.chain, &change, b.now).unwrap().len(), 3);
        }
    }
    assert_eq!(a.chain.tip_id(), b.chain.tip_id());
    assert_eq!(mempool.len(), 1);
}
