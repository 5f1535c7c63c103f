//! Forks, each drawn above the test that builds it. Constants of the rules are written out again
//! here, so that one changed by accident fails.

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use common::{Miner, NETWORK, key, name};
use namechain_core::{
    chain::{Chain, ChainError, Change, NameLookup, Storage, StoredHeader},
    codec::Encode,
    consensus::History,
    tree::Tree,
    types::{Action, Block, Entry, Header, NameEntry},
};
use namechain_node::{
    api::Backend,
    node::{MineMode, Node, NodeConfig},
    store::Store,
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
    let transfer = |miner: &mut Miner, to: u8| {
        miner.act(&alice, 1, Action::Transfer { to: key(to).public() }, &owner)
    };
    let accept = |miner: &mut Miner, by: u8| {
        miner.act(&alice, 2, Action::Accept { recovery: None }, &key(by))
    };
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
/// 720 blocks are undone by themselves. When 721 would be, the tip stays, and the error says what
/// to do.
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
    assert_eq!(settled.chain.parked_tip(), Some(longer.chain.tip_id()));
    let again = Chain::open(NETWORK, settled.storage.clone()).unwrap();
    assert_eq!(again.parked_tip(), Some(longer.chain.tip_id()), "a restart does not forget it");
    // It goes on by itself, and with two more blocks ours is the one of more work.
    let next = [shorter.mine(&[]), shorter.mine(&[])];
    assert!(settled.take(&next).is_some());
    assert_eq!(settled.chain.parked_tip(), None);

    a_node_says_so(&trunk, &branch, deeper);
}

/// The same on disk: the node starts, stays where it is, and tells the other chain's tip.
fn a_node_says_so(trunk: &[Block], branch: &[Block], deeper: Block) {
    let dir = tempfile::tempdir().unwrap();
    let other = deeper.header.id(NETWORK);
    {
        let store = Arc::new(Store::open(dir.path(), NETWORK).unwrap().store);
        let mut chain = Chain::open(NETWORK, store).unwrap();
        // One more of ours, as above: the branch is then too deep.
        let mut ours = Miner::new();
        ours.take(trunk);
        let last = ours.mine(&[]);
        for block in trunk.iter().chain([&last]).chain(branch) {
            chain.accept(block, common::NOW, false).unwrap();
        }
        assert!(matches!(
            chain.accept(&deeper, common::NOW, true),
            Err(ChainError::TooDeep { .. })
        ));
    }
    let config = NodeConfig {
        network: NETWORK,
        data_dir: dir.path().into(),
        api: None,
        mine: MineMode::Off,
        mine_threads: 1,
        reindex: false,
        allow_hosts: Vec::new(),
        p2p: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::start(config).await.unwrap();
        let status = node.handle().status();
        assert_eq!((status.height, status.parked_tip), (721, Some(other)));
        node.stop().await;
    });
}

/// Two who begin at height 1 with `alice` owned by key 1 and a lease that is over at height 6:
/// written straight to the store, for nobody can mine the 262,800 blocks of a lease.
fn two_near_the_end_of_a_lease() -> (Miner, Miner) {
    let alice = Entry::Name(NameEntry {
        name: name("alice"),
        owner: key(1).public(),
        recovery: None,
        sequence: 0,
        registered: 1,
        updated: 1,
        expires: 6,
        revoked: false,
        transfer: None,
        records: common::records(1),
        messaging: None,
        messaging_sequence: 0,
    });
    let begun = || {
        let mut miner = Miner::new();
        let genesis = miner.chain.tip_header().clone();
        let mut tree = Tree::new(NETWORK);
        let (entry_key, bytes) = (alice.key(NETWORK), alice.to_bytes());
        tree.insert(entry_key, Entry::value_hash(NETWORK, &bytes));
        let mut history = History::default();
        history.push(NETWORK, &genesis.id(NETWORK), genesis.target.work());
        let history_root = history.root(NETWORK);
        let (previous, state_root) = (genesis.id(NETWORK), tree.root());
        let header = Header {
            height: 1,
            previous,
            state_root,
            history_root,
            time: genesis.time + 1,
            ..genesis
        };
        let id = header.id(NETWORK);
        let nodes = history.push(NETWORK, &id, header.target.work());
        let block = Block { header: header.clone(), operations: Vec::new() };
        let at = miner.storage.append(&block.to_bytes()).unwrap();
        let mut changes: Vec<Change> =
            nodes.into_iter().map(|(at, node)| Change::History(at, node)).collect();
        changes.extend([
            Change::Header(StoredHeader {
                id,
                work: miner.chain.work() + header.target.work(),
                header,
                at,
                failed: false,
            }),
            Change::Active(1, Some(id)),
            Change::Entry(entry_key, Some(bytes)),
            Change::Undo(1, entry_key, None),
            Change::Tip(id),
        ]);
        miner.storage.commit(changes, true).unwrap();
        miner.chain = Chain::open(NETWORK, miner.storage.clone()).unwrap();
        miner
    };
    (begun(), begun())
}

/// ```text
///         /- 2 renew(alice) - 3 - ... - 7
/// 0 - 1 -+                                       the lease ends at 6
///         \- 2' - 3' - ... - 8' - 9' renew(alice)
/// ```
#[test]
fn a_lease_across_a_reorganisation() {
    let (mut a, mut b) = two_near_the_end_of_a_lease();
    let (alice, owner) = (name("alice"), key(1));
    let status = |miner: &Miner| {
        miner.chain.snapshot_at(miner.chain.tip_header().height).unwrap().lookup(&alice).unwrap()
    };
    let renew = a.act(&alice, 1, Action::Renew, &owner);
    a.mine(&[renew]);
    while a.chain.tip_header().height < 7 {
        a.mine(&[]);
    }
    assert!(matches!(status(&a), NameLookup::Active(entry) if entry.expires == 6 + 262_800));

    let mut branch = Vec::new();
    while b.chain.tip_header().height < 8 {
        branch.push(b.mine(&[]));
    }
    a.take(&branch);
    assert!(
        matches!(status(&a), NameLookup::Grace(entry) if entry.expires == 6),
        "on this branch nobody renewed"
    );
    let late = a.update(&alice, 1, &owner, 2);
    assert!(a.chain.try_operation(&[], &late).is_err(), "in the grace there is no update");
    let renew = b.act(&alice, 1, Action::Renew, &owner);
    let renewed = b.mine(&[renew]);
    a.take(&[renewed]);
    assert!(
        matches!(status(&a), NameLookup::Active(entry) if entry.expires == 6 + 262_800 && entry.updated == 9)
    );
    assert_eq!(a.state_root(), b.state_root());
}
