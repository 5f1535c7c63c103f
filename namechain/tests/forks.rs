//! Forks, each drawn above the test that builds it. Constants of the rules are written out again here, so that one
//! changed by accident fails.

mod common;

use common::{Miner, NETWORK, key, name};
use namechain::{
    chain::{Chain, ChainError},
    types::{Action, Block},
};

/// Two who know the same chain.
fn two() -> (Miner, Miner) {
    (Miner::new(), Miner::new())
}

/// ```text
///         /- 2 register(alice by 1)
/// 0 - 1 -+                                  both have committed in block 1
///         \- 2' register(alice by 2) - 3'
/// ```
#[test]
fn competing_reveals_are_decided_by_work() {
    let (mut a, mut b) = two();
    let alice = name("alice");
    let commits = [a.commit(&alice, &key(1)), a.commit(&alice, &key(2))];
    let first = a.mine(&commits);
    b.take(&[first]);
    let by_one = a.register(&alice, &key(1), 1);
    let mine = a.mine(&[by_one]);
    let by_two = b.register(&alice, &key(2), 2);
    let theirs = [b.mine(std::slice::from_ref(&by_two)), b.mine(&[])];
    assert_eq!(a.owner(&alice), Some(key(1).public()));
    a.take(&theirs);
    assert_eq!(a.owner(&alice), Some(key(2).public()));
    // Whoever lost can't register any more, though the commitment is still open.
    let again = a.register(&alice, &key(1), 1);
    assert!(a.chain.try_operation(&[], &again).is_err());
    assert!(b.take(&[mine]).is_none(), "the shorter branch changes nothing");
}

/// ```text
///                /- 3 update(alice, 1)
/// 0 - 1 - 2 ----+         2 registers alice
///                \- 3' update(alice, 1) - 4' update(alice, 2)
/// ```
#[test]
fn an_update_on_both_branches() {
    let (mut a, mut b) = two();
    let (alice, owner) = (name("alice"), key(1));
    b.take(&a.claim(&alice, &owner, 1));
    let update = a.update(&alice, 1, &owner, 11);
    a.mine(&[update]);
    let update = b.update(&alice, 1, &owner, 21);
    let third = b.mine(&[update]);
    let update = b.update(&alice, 2, &owner, 22);
    let fourth = b.mine(&[update]);
    assert_eq!(a.entry(&alice).unwrap().records, common::records(11));
    let change = a.take(&[third, fourth]).unwrap();
    assert_eq!((change.undone.len(), change.connected.len()), (1, 2));
    let entry = a.entry(&alice).unwrap();
    assert_eq!((entry.records, entry.sequence, entry.updated), (common::records(22), 2, 4));
    assert_eq!(a.state_root(), b.state_root());
}

/// ```text
///                /- 3 transfer(alice to 2) - 4 - 5 accept(alice by 2)
/// 0 - 1 - 2 ----+
///                \- 3' transfer(alice to 3) - 4' - 5' - 6' accept(alice by 3)
/// ```
#[test]
fn a_transfer_across_a_reorganisation() {
    let (mut a, mut b) = two();
    let (alice, owner) = (name("alice"), key(1));
    b.take(&a.claim(&alice, &owner, 1));
    let transfer =
        |miner: &mut Miner, to: u8| miner.act(&alice, 1, Action::Transfer { to: key(to).public() }, &owner);
    let accept =
        |miner: &mut Miner, by: u8| miner.act(&alice, 2, Action::Accept { recovery: None }, &key(by));
    let offered = transfer(&mut a, 2);
    a.mine(&[offered]);
    a.mine(&[]);
    let accepted = accept(&mut a, 2);
    a.mine(&[accepted]);
    assert_eq!(a.owner(&alice), Some(key(2).public()));

    let offered = transfer(&mut b, 3);
    let mut branch = vec![b.mine(&[offered])];
    let early = accept(&mut b, 3);
    assert!(b.chain.try_operation(&[], &early).is_err(), "dev waits two blocks");
    branch.extend([b.mine(&[]), b.mine(&[])]);
    let accepted = accept(&mut b, 3);
    branch.push(b.mine(&[accepted]));
    a.take(&branch);
    assert_eq!(a.owner(&alice), Some(key(3).public()));
    assert!(a.entry(&alice).unwrap().records.is_empty());
    assert_eq!(a.state_root(), b.state_root());
}

/// ```text
///    /- 1 - 2 - ... - 100          a name every other block
/// 0 +
///    \- 1' - 2' - ... - 101'       the same names, other owners
/// ```
#[test]
fn a_hundred_blocks_are_undone_and_a_hundred_and_one_connected() {
    let (mut a, mut b) = two();
    let names: Vec<_> = (0..50).map(|number| name(&format!("name-number-{number}"))).collect();
    for name in &names {
        a.claim(name, &key(1), 1);
    }
    let mut branch: Vec<Block> = Vec::new();
    for name in &names {
        branch.extend(b.claim(name, &key(2), 2));
    }
    branch.push(b.mine(&[]));
    let change = a.take(&branch).unwrap();
    assert_eq!((change.undone.len(), change.connected.len()), (100, 101));
    assert!(names.iter().all(|name| a.owner(name) == Some(key(2).public())));
    assert_eq!((a.state_root(), a.chain.tip_id()), (b.state_root(), b.chain.tip_id()));
    let again = Chain::open(NETWORK, a.storage.clone()).unwrap();
    assert_eq!(again.snapshot_at(101).unwrap().state_root(), b.state_root());
    // The way back: the old branch, made longer by two.
    let mut c = Miner::new();
    c.take(&change.undone.into_iter().rev().collect::<Vec<_>>());
    let longer = [c.mine(&[]), c.mine(&[])];
    a.take(&longer);
    assert!(names.iter().all(|name| a.owner(name) == Some(key(1).public())));
    assert_eq!(a.state_root(), c.state_root());
}

/// ```text
///    /- 1 - ... - 720 (- 721)
/// 0 +
///    \- 1' - ... - 721' (- 722')
/// ```
/// 720 blocks are undone by themselves. When 721 would be, the tip stays, and the error says what to do.
#[test]
fn no_more_than_720_blocks_are_undone() {
    let (mut shorter, mut longer) = two();
    let trunk: Vec<Block> = (0..720).map(|_| shorter.mine(&[])).collect();
    // Another first block, and so another branch.
    let commit = longer.commit(&name("alice"), &key(1));
    let mut branch = vec![longer.mine(&[commit])];
    branch.extend((1..721).map(|_| longer.mine(&[])));

    let mut witness = Miner::new();
    witness.take(&trunk);
    let change = witness.take(&branch).unwrap();
    assert_eq!(change.undone.len(), 720);
    assert_eq!(witness.chain.tip_id(), longer.chain.tip_id());

    let mut settled = Miner::new();
    settled.take(&trunk);
    let last = shorter.mine(&[]);
    settled.take(&[last]);
    assert!(settled.take(&branch).is_none(), "of equal work, the first seen stays");
    let deeper = longer.mine(&[]);
    let error = settled.refuses(&deeper);
    assert!(matches!(error, ChainError::TooDeep { depth: 721, .. }), "{error}");
    assert!(error.to_string().contains("find out which chain others are on"));
    assert_eq!(settled.chain.tip_id(), shorter.chain.tip_id());
    // It goes on by itself.
    let next = shorter.mine(&[]);
    assert!(settled.take(&[next]).is_some());
}
