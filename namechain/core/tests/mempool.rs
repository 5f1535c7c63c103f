//! The operations that wait: what a move of the tip does to them, bounds, replacing, and the list
//! that other threads read.

mod common;

use common::{Miner, NETWORK, key, name};
use namechain_core::{
    chain::TipChange,
    consensus::price,
    mempool::{MAX_OPERATIONS, MAX_PER_NAME, Mempool, MempoolError},
    types::{Block, Hash, Operation, Stamp},
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
        mempool.insert(&miner.chain, commit(number, miner.chain.tip_id(), 100)).unwrap();
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
    let id = mempool.insert(&miner.chain, ours).unwrap();
    let block = miner.mine(&[theirs]);
    assert_eq!(mempool.follow(&miner.chain, &moved(&[], &[block])).unwrap(), [id]);
    assert_eq!(mempool.len(), 300);
    list_is_right(&mempool);
}

#[test]
fn what_is_recorded_goes_and_what_is_undone_waits_again() {
    let (mut a, mut b, mut mempool) = (Miner::new(), Miner::new(), Mempool::new(NETWORK));
    let alice = name("alice-example");
    let commit = a.commit(&alice, &key(1));
    mempool.insert(&a.chain, commit.clone()).unwrap();
    let block = a.mine(std::slice::from_ref(&commit));
    assert!(mempool.follow(&a.chain, &moved(&[], &[block])).unwrap().is_empty());
    assert!(mempool.is_empty());
    // The registration waits for the commitment's block; then another branch wins, on which there
    // is no commitment.
    let register = a.register(&alice, &key(1), 1);
    let gone = mempool.insert(&a.chain, register).unwrap();
    let other = [b.mine(&[]), b.mine(&[])];
    let change = a.take(&other).unwrap();
    assert_eq!(mempool.follow(&a.chain, &change).unwrap(), [gone]);
    assert_eq!(mempool.all().map(|(id, _)| *id).collect::<Vec<_>>(), [commit.id(NETWORK)]);
    list_is_right(&mempool);
}

/// Stamps that are anchored to a block that was undone are worth nothing any more.
#[test]
fn what_is_anchored_to_an_undone_block_goes() {
    let (mut a, mut b, mut mempool) = (Miner::new(), Miner::new(), Mempool::new(NETWORK));
    crowd(&mut mempool, &a, 200);
    let first = a.mine(&[]);
    mempool.follow(&a.chain, &moved(&[], &[first])).unwrap();
    let id = mempool.insert(&a.chain, commit(1_000, a.chain.tip_id(), 100)).unwrap();
    // Another first block: its time is another.
    let other = b.commit(&name("alice-example"), &key(1));
    let other = [b.mine(&[other]), b.mine(&[])];
    let change = a.take(&other).unwrap();
    assert_eq!(mempool.follow(&a.chain, &change).unwrap(), [id]);
    assert_eq!(mempool.len(), 200);
}

/// Work that the price has overtaken does not pay any more.
#[test]
fn what_does_not_pay_any_more_goes() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let base = price::commitment(NETWORK.params(), miner.chain.tip_header().price);
    let poor = mempool.insert(&miner.chain, commit(1, miner.chain.tip_id(), base)).unwrap();
    let rich: Vec<Hash> = (2..400)
        .map(|number| {
            mempool.insert(&miner.chain, commit(number, miner.chain.tip_id(), 2 * base)).unwrap()
        })
        .collect();
    let names: Vec<Operation> = (0..41)
        .map(|number| miner.commit(&name(&format!("name-number-{number}")), &key(1)))
        .collect();
    let block = miner.mine(&names);
    assert!(price::commitment(NETWORK.params(), miner.chain.tip_header().price) > base);
    assert_eq!(mempool.follow(&miner.chain, &moved(&[], &[block])).unwrap(), [poor]);
    assert_eq!(mempool.len(), rich.len());
}

/// When it is full, whoever brings the least work a byte goes, or does not come in.
#[test]
fn it_is_bounded_by_work_a_byte() {
    let (miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let anchor = miner.chain.tip_id();
    for number in 0..MAX_OPERATIONS as u64 {
        mempool.insert(&miner.chain, commit(number, anchor, 10_000 + 100 * (number % 7))).unwrap();
    }
    assert_eq!(mempool.len(), MAX_OPERATIONS);
    let poor = mempool.insert(&miner.chain, commit(1_000_000, anchor, 10_000));
    assert!(matches!(poor, Err(MempoolError::Full(_))), "{poor:?}");
    mempool.insert(&miner.chain, commit(1_000_001, anchor, 50_000)).unwrap();
    assert_eq!(mempool.len(), MAX_OPERATIONS);
    assert_eq!(mempool.take_evicted().len(), 1);
    assert!(mempool.take_evicted().is_empty(), "it is told once");
    assert_eq!(mempool.waiting().ids(1), [commit(1_000_001, anchor, 50_000).id(NETWORK)]);
    list_is_right(&mempool);
}

#[test]
fn one_is_replaced_for_a_quarter_more_work() {
    let (miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let anchor = miner.chain.tip_id();
    let with = |work, nonce| {
        let Operation::Commit { commitment, .. } = commit(1, anchor, work) else { unreachable!() };
        Operation::Commit { commitment, stamp: Stamp { anchor, work, nonce } }
    };
    mempool.insert(&miner.chain, with(100, 1)).unwrap();
    mempool.insert(&miner.chain, with(100, 1)).unwrap();
    let refused = mempool.insert(&miner.chain, with(124, 2));
    assert!(matches!(refused, Err(MempoolError::Occupied(125))), "{refused:?}");
    assert!(mempool.take_evicted().is_empty());
    let id = mempool.insert(&miner.chain, with(125, 2)).unwrap();
    assert_eq!(mempool.take_evicted(), [with(100, 1).id(NETWORK)], "its row must go too");
    assert_eq!(mempool.all().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    list_is_right(&mempool);
}

/// A name's operations wait one after the other, and what follows one that goes goes with it.
#[test]
fn operations_on_a_name_wait_in_their_order() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let (alice, owner) = (name("alice-example"), key(1));
    miner.claim(&alice, &owner, 1);
    crowd(&mut mempool, &miner, 200);
    let updates: Vec<Operation> = (1..=MAX_PER_NAME as u32 + 1)
        .map(|number| miner.update(&alice, number, &owner, number as u8))
        .collect();
    for update in &updates[..MAX_PER_NAME] {
        mempool.insert(&miner.chain, update.clone()).unwrap();
    }
    let full = mempool.insert(&miner.chain, updates[MAX_PER_NAME].clone());
    assert!(matches!(full, Err(MempoolError::NameFull)), "{full:?}");
    // Another first update is recorded: the others still follow.
    let other = miner.update(&alice, 1, &owner, 77);
    let block = miner.mine(&[other]);
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block])).unwrap();
    assert_eq!(dropped, [updates[0].id(NETWORK)]);
    // The name is taken back by nobody, but revoked: none of them can be recorded.
    let revoke = miner.act(&alice, 2, namechain_core::types::Action::Revoke, &owner);
    let block = miner.mine(&[revoke]);
    let dropped = mempool.follow(&miner.chain, &moved(&[], &[block])).unwrap();
    assert_eq!(dropped.len(), MAX_PER_NAME - 1);
    assert_eq!(mempool.len(), 200);
    list_is_right(&mempool);
}
