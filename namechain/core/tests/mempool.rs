//! The operations that wait: what a move of the tip does to them, bounds, replacing, and the list
//! that other threads read.

mod common;

use common::{Miner, NETWORK, VALID_S, key, name, records};
use namechain_core::{
    chain::TipChange,
    mempool::{MAX_OPERATIONS, MAX_PER_NAME, Mempool, MempoolError},
    types::{Action, Block, Hash, Operation, Stamp},
};

/// A commitment with a stamp that claims so much. The mempool does not look at the work: it was
/// looked at before.
fn commit(number: u64, anchor: Hash, work: u64) -> Operation {
    let mut commitment = [9; 32];
    commitment[..8].copy_from_slice(&number.to_be_bytes());
    Operation::Commit { commitment: Hash(commitment), stamp: Stamp { anchor, work, nonce: number } }
}

/// What the list for others says is what waits, the most work a byte first.
fn list_is_right(mempool: &Mempool) {
    let waiting = mempool.waiting();
    let ids = waiting.ids(usize::MAX);
    assert_eq!(ids.len(), mempool.len());
    assert!(
        ids.iter()
            .all(|id| mempool.has(id) && waiting.get(id).is_some_and(|op| op.id(NETWORK) == *id))
    );
    let works: Vec<u64> = ids.iter().map(|id| waiting.get(id).unwrap().stamp().work).collect();
    assert!(
        works.is_sorted_by(|a, b| a >= b)
            || mempool.all().any(|(_, op)| matches!(&**op, Operation::Named(_)))
    );
}

fn moved(undone: &[Block], connected: &[Block]) -> TipChange {
    TipChange { undone: undone.to_vec(), connected: connected.to_vec() }
}

/// Hundreds that a block does not touch, so that what it touches is found and not just tried in
/// turn.
fn crowd(mempool: &mut Mempool, miner: &Miner, count: u64) {
    for number in 0..count {
        mempool.insert(&miner.chain, commit(number, miner.chain.tip_id(), 100), miner.now).unwrap();
    }
}

#[test]
fn what_a_block_takes_the_ground_from_goes_at_once() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let alice = name("alice-example");
    let commits = [miner.commit(&alice, &key(1)), miner.commit(&alice, &key(2))];
    miner.mine(&commits);
    crowd(&mut mempool, &miner, 300);
    let (ours, theirs) = (miner.register(&alice, &key(1), 1), miner.register(&alice, &key(2), 1));
    let id = mempool.insert(&miner.chain, ours, miner.now).unwrap();
    let block = miner.mine(&[theirs]);
    assert_eq!(mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap(), [id]);
    assert_eq!(mempool.len(), 300);
    list_is_right(&mempool);
}

#[test]
fn what_is_recorded_goes_and_what_is_undone_waits_again() {
    let (mut a, mut b, mut mempool) = (Miner::new(), Miner::new(), Mempool::new(NETWORK));
    let alice = name("alice-example");
    let commit = a.commit(&alice, &key(1));
    mempool.insert(&a.chain, commit.clone(), a.now).unwrap();
    let block = a.mine(std::slice::from_ref(&commit));
    assert!(mempool.follow(&a.chain, &moved(&[], &[block]), a.now).unwrap().is_empty());
    assert!(mempool.is_empty());
    // The registration waits for the commitment's block; then another branch wins, on which there
    // is no commitment.
    let register = a.register(&alice, &key(1), 1);
    let gone = mempool.insert(&a.chain, register, a.now).unwrap();
    let other = [b.mine(&[]), b.mine(&[])];
    let change = a.take(&other).unwrap();
    assert_eq!(mempool.follow(&a.chain, &change, a.now).unwrap(), [gone]);
    assert_eq!(mempool.all().map(|(id, _)| *id).collect::<Vec<_>>(), [commit.id(NETWORK)]);
    list_is_right(&mempool);
}

/// Stamps that are anchored to a block that was undone are worth nothing any more.
#[test]
fn what_is_anchored_to_an_undone_block_goes() {
    let (mut a, mut b, mut mempool) = (Miner::new(), Miner::new(), Mempool::new(NETWORK));
    crowd(&mut mempool, &a, 200);
    let first = a.mine(&[]);
    mempool.follow(&a.chain, &moved(&[], &[first]), a.now).unwrap();
    let id = mempool.insert(&a.chain, commit(1_000, a.chain.tip_id(), 100), a.now).unwrap();
    // Another first block: its time is another.
    let other = b.commit(&name("alice-example"), &key(1));
    let other = [b.mine(&[other]), b.mine(&[])];
    let change = a.take(&other).unwrap();
    assert_eq!(mempool.follow(&a.chain, &change, a.now).unwrap(), [id]);
    assert_eq!(mempool.len(), 200);
}

/// What was signed for a time that has passed can't be recorded any more.
#[test]
fn what_is_not_valid_any_more_goes() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let (alice, bobby, owner) = (name("alice-example"), name("bobby-example"), key(1));
    miner.claim(&alice, &owner, 1);
    miner.claim(&bobby, &owner, 1);
    crowd(&mut mempool, &miner, 300);
    let short = miner.update(&alice, &owner, 2);
    miner.now += 10;
    let long = miner.update(&bobby, &owner, 2);
    let gone = mempool.insert(&miner.chain, short, miner.now).unwrap();
    let stays = mempool.insert(&miner.chain, long, miner.now).unwrap();
    miner.now += VALID_S - 5;
    let block = miner.mine(&[]);
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap();
    assert_eq!(dropped, [gone]);
    assert!(mempool.has(&stays));
    assert_eq!(mempool.len(), 301);
}

/// When it is full, whoever brings the least work a byte goes, or does not come in.
#[test]
fn it_is_bounded_by_work_a_byte() {
    let (miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let anchor = miner.chain.tip_id();
    for number in 0..MAX_OPERATIONS as u64 {
        mempool
            .insert(&miner.chain, commit(number, anchor, 10_000 + 100 * (number % 7)), miner.now)
            .unwrap();
    }
    assert_eq!(mempool.len(), MAX_OPERATIONS);
    let poor = mempool.insert(&miner.chain, commit(1_000_000, anchor, 10_000), miner.now);
    assert!(matches!(poor, Err(MempoolError::Full(_))), "{poor:?}");
    mempool.insert(&miner.chain, commit(1_000_001, anchor, 50_000), miner.now).unwrap();
    assert_eq!(mempool.len(), MAX_OPERATIONS);
    assert_eq!(mempool.take_evicted().len(), 1);
    assert!(mempool.take_evicted().is_empty(), "it is told once");
    assert_eq!(mempool.waiting().ids(1), [commit(1_000_001, anchor, 50_000).id(NETWORK)]);
    list_is_right(&mempool);
}

#[test]
fn one_is_replaced_for_a_quarter_more_work() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let (alice, owner) = (name("alice-example"), key(1));
    miner.claim(&alice, &owner, 1);
    let update = miner.update(&alice, &owner, 2);
    let with = |work| {
        let mut operation = update.clone();
        operation.stamp_mut().work = work;
        operation
    };
    let first = mempool.insert(&miner.chain, with(100), miner.now).unwrap();
    mempool.insert(&miner.chain, with(100), miner.now).unwrap();
    let refused = mempool.insert(&miner.chain, with(124), miner.now);
    assert!(matches!(refused, Err(MempoolError::Occupied(125))), "{refused:?}");
    let id = mempool.insert(&miner.chain, with(125), miner.now).unwrap();
    assert_eq!(mempool.all().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    assert_eq!(mempool.take_evicted(), [first]);
    list_is_right(&mempool);
}

/// Nothing that the owner's key signs keeps a Recover out, however much of it waits.
#[test]
fn a_recover_waits_beside_whatever_the_owner_signs() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let (alice, owner, recovery) = (name("alice-example"), key(1), key(2));
    let commit = miner.commit(&alice, &owner);
    miner.mine(std::slice::from_ref(&commit));
    let register = Action::Register {
        recovery: Some(recovery.public()),
        salt: owner.salt(NETWORK, &alice),
        records: records(1),
    };
    let register = miner.act_under(&alice, commit.id(NETWORK), register, &owner);
    miner.mine(&[register]);
    for sequence in 1..=MAX_PER_NAME as u32 {
        let update = Action::Update { sequence, records: records(sequence as u8) };
        let update = miner.act(&alice, update, &owner);
        mempool.insert(&miner.chain, update, miner.now).unwrap();
    }
    let recover = Action::Recover { owner: key(3).public(), recovery: Some(recovery.public()) };
    let recover = miner.act(&alice, recover, &recovery);
    let id = mempool.insert(&miner.chain, recover.clone(), miner.now).unwrap();
    // A block takes it, whatever came before it.
    let candidates: Vec<Operation> = mempool.by_work_rate(miner.now).into_iter().cloned().collect();
    let block = miner.try_mine(&candidates);
    assert!(block.operations.iter().any(|operation| operation.id(NETWORK) == id));
    assert_eq!(miner.owner(&alice), Some(key(3).public()));
    mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap();
    assert!(mempool.is_empty(), "nothing under the old title can be recorded");
}

/// Registrations come first in a block, the one with the oldest Commit before all, whatever others
/// pay.
#[test]
fn the_oldest_commit_comes_first() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let alice = name("alice-example");
    let first = miner.commit(&alice, &key(1));
    miner.mine(&[first]);
    let second = miner.commit(&alice, &key(2));
    miner.mine(&[second]);
    let other = miner.commit(&name("bobby-example"), &key(3));
    let other = miner.stamped(other, 20_000);
    mempool.insert(&miner.chain, other, miner.now).unwrap();
    let late = miner.register(&alice, &key(2), 2);
    let late = miner.stamped(late, 10_000);
    let early = miner.register(&alice, &key(1), 1);
    mempool.insert(&miner.chain, late.clone(), miner.now).unwrap();
    mempool.insert(&miner.chain, early.clone(), miner.now).unwrap();
    assert_eq!(mempool.by_work_rate(miner.now)[..2], [&early, &late]);
    let candidates: Vec<Operation> = mempool.by_work_rate(miner.now).into_iter().cloned().collect();
    let block = miner.try_mine(&candidates);
    assert_eq!(miner.owner(&alice), Some(key(1).public()));
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap();
    assert_eq!(dropped, [late.id(NETWORK)]);

    // The other way round it displaces the younger one while the name settles.
    let mut miner = Miner::new();
    for (number, commit) in [(1, key(1)), (2, key(2))] {
        let commit = miner.commit(&alice, &commit);
        let block = miner.mine(&[commit]);
        assert_eq!(block.header.height, number);
    }
    let late = miner.register(&alice, &key(2), 2);
    let block = miner.mine(&[late]);
    let early = miner.register(&alice, &key(1), 1);
    miner.now = block.header.time;
    miner.mine(&[early]);
    assert_eq!(miner.owner(&alice), Some(key(1).public()));
}

/// A name's operations wait one after the other, and what follows one that goes goes with it.
#[test]
fn operations_on_a_name_wait_in_their_order() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let (alice, owner) = (name("alice-example"), key(1));
    miner.claim(&alice, &owner, 1);
    crowd(&mut mempool, &miner, 200);
    let updates: Vec<Operation> = (1..=MAX_PER_NAME as u32 + 1)
        .map(|sequence| {
            let update = Action::Update { sequence, records: records(sequence as u8) };
            miner.act(&alice, update, &owner)
        })
        .collect();
    for update in &updates[..MAX_PER_NAME] {
        mempool.insert(&miner.chain, update.clone(), miner.now).unwrap();
    }
    let full = mempool.insert(&miner.chain, updates[MAX_PER_NAME].clone(), miner.now);
    assert!(matches!(full, Err(MempoolError::NameFull)), "{full:?}");
    // Another first update is recorded: the others still follow.
    let other = miner.update(&alice, &owner, 77);
    let block = miner.mine(&[other]);
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap();
    assert_eq!(dropped, [updates[0].id(NETWORK)]);
    // The name is taken back by nobody, but revoked: none of them can be recorded.
    let revoke = miner.act(&alice, Action::Revoke, &owner);
    let block = miner.mine(&[revoke]);
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block]), miner.now).unwrap();
    assert_eq!(dropped.len(), MAX_PER_NAME - 1);
    assert_eq!(mempool.len(), 200);
    list_is_right(&mempool);
}
