//! Forks, each drawn above the test that builds it. Constants of the rules are written out again
//! here, so that one changed by accident fails.

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use common::{Miner, NETWORK, key, name};
use namechain_core::{
    chain::{Accepted, Chain, Change, NameLookup, Storage, StoredHeader},
    codec::Encode,
    consensus::{
        History, HistoryNode,
        difficulty::{header_work, next_due},
    },
    tree::Tree,
    types::{Action, Block, BlockTime, CommitPosition, Entry, Hash, Header, NameEntry, Rescued},
};
use namechain_node::{
    api::Backend,
    node::{MineMode, Node, NodeConfig},
    store::{Options, Store},
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
    assert_eq!(a.refusal(&again), "name-taken");
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
    let update = a.update(&alice, &owner, 11);
    a.mine(&[update]);
    let update = b.update(&alice, &owner, 21);
    let third = b.mine(&[update]);
    let update = b.update(&alice, &owner, 22);
    let fourth = b.mine(&[update]);
    assert_eq!(a.entry(&alice).unwrap().records, common::records(11));
    let change = a.take(&[third, fourth]).unwrap();
    assert_eq!((change.undone.len(), change.connected.len()), (1, 2));
    let entry = a.entry(&alice).unwrap();
    assert_eq!((entry.records, entry.sequence), (common::records(22), 2));
    assert_eq!(entry.updated.height, 4);
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
        let to = key(to).public();
        miner.act(&alice, Action::Transfer { sequence: 1, to }, &owner)
    };
    let accept = |miner: &mut Miner, by: u8| {
        let offered = miner.entry(&alice).unwrap().transfer.unwrap();
        let action = Action::Accept { transfer: offered.subject, recovery: None };
        miner.act(&alice, action, &key(by))
    };
    let offered = transfer(&mut a, 2);
    a.mine(&[offered]);
    a.mine(&[]);
    let accepted = accept(&mut a, 2);
    a.mine(&[accepted]);
    assert_eq!(a.owner(&alice), Some(key(2).public()));

    let offered = transfer(&mut b, 3);
    let mut branch = vec![b.mine(&[offered])];
    b.now -= common::STEP_S;
    let early = accept(&mut b, 3);
    assert_eq!(b.refusal(&early), "transfer-young", "dev waits two seconds");
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
///           /- 31 - ... - 800        a name in 41 and one in 700
/// 0 - 30 - +
///           \- 31' - ... - 802'      the same names, other owners
/// ```
/// In a store that archives headers after a few blocks, and has only the last 721 in memory: the
/// fork is far below both. There, after a restart, and on the way back by the operator's word.
#[test]
fn a_reorganisation_departs_below_what_is_in_memory() {
    let (mut a, mut b) = two();
    let names = [name("alice"), name("bobby")];
    let grow = |miner: &mut Miner, to: u32| {
        (miner.chain.tip_header().height..to).map(|_| miner.mine(&[])).collect::<Vec<Block>>()
    };
    let mut trunk = grow(&mut a, 40);
    b.take(&trunk[..30]);
    trunk.extend(a.claim(&names[0], &key(1), 1));
    trunk.extend(grow(&mut a, 698));
    trunk.extend(a.claim(&names[1], &key(1), 1));
    trunk.extend(grow(&mut a, 800));
    let mut branch: Vec<Block> = Vec::new();
    for name in &names {
        branch.extend(b.claim(name, &key(2), 2));
    }
    branch.extend(grow(&mut b, 802));

    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options { archive_depth: 8, ..Options::default() };
        let store = Store::open_with(dir.path(), NETWORK, options).unwrap().store;
        Chain::open(NETWORK, Arc::new(store)).unwrap()
    };
    let take = |chain: &mut Chain, blocks: &[Block]| {
        for block in blocks {
            let durable = block.header.height.is_multiple_of(50);
            chain.accept(block, common::LATE, durable).unwrap();
        }
    };
    let check = |chain: &Chain, like: &Miner, owner: u8| {
        assert_eq!(chain.tip_id(), like.chain.tip_id());
        let tip = chain.tip_header().height;
        for height in [tip, tip - 31, tip - 400, tip - 720] {
            let snapshot = chain.snapshot_at(height).unwrap();
            let theirs = like.chain.snapshot_at(height).unwrap();
            assert_eq!((snapshot.id, snapshot.state_root()), (theirs.id, theirs.state_root()));
            for name in &names {
                let key = name.key(NETWORK);
                let value = snapshot.value_hash(&key);
                let proof = snapshot.prove(&key);
                assert_eq!(value, theirs.value_hash(&key));
                let root = snapshot.state_root();
                assert_eq!(proof.verify(NETWORK, &root, &key, value.as_ref()), Ok(()));
            }
        }
        let snapshot = chain.snapshot_at(tip).unwrap();
        for name in &names {
            let entry = snapshot.entry(name).unwrap().unwrap();
            assert_eq!(entry.owner, key(owner).public());
        }
        assert!(chain.snapshot_at(tip - 721).is_none());
    };
    let mut chain = open();
    take(&mut chain, &trunk);
    check(&chain, &a, 1);
    take(&mut chain, &branch[..400]);
    drop(chain);
    let mut chain = open();
    check(&chain, &a, 1);
    take(&mut chain, &branch[400..]);
    check(&chain, &b, 2);
    drop(chain);
    let mut chain = open();
    check(&chain, &b, 2);
    // The best chain's old blocks are known, and the other branch's.
    for block in [&branch[0], &branch[700], &trunk[0], &trunk[31], &trunk[799]] {
        let again = chain.accept(block, common::LATE, true);
        assert!(matches!(again, Ok(Accepted::Known)), "{}", block.header.height);
    }
    let first = branch[0].header.id(NETWORK);
    let change = chain.invalidate(&first, common::LATE).unwrap().unwrap();
    assert_eq!((change.undone.len(), change.connected.len()), (772, 770));
    check(&chain, &a, 1);
    drop(chain);
    let mut chain = open();
    check(&chain, &a, 1);
    chain.reconsider(&first, common::LATE).unwrap().unwrap();
    check(&chain, &b, 2);
    drop(chain);
    check(&open(), &b, 2);
}

/// ```text
///    /- 1 - ... - 200          followed live, for 33 hours
/// 0 +
///    \- 1' - ... - 201'
/// ```
/// A heavier chain that is held back is on the disk, and a node that starts says so.
#[test]
fn a_node_says_that_it_holds_a_chain_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ours, mut other) = two();
    (ours.step_s, other.step_s) = (600, 600);
    let commit = other.commit(&name("another-branch"), &key(9));
    let mut branch = vec![other.mine(&[commit])];
    branch.extend(other.mine_empty(200));
    {
        let store = Arc::new(Store::open(dir.path(), NETWORK).unwrap().store);
        let mut chain = Chain::open(NETWORK, store).unwrap();
        for block in ours.mine_empty(200) {
            chain.accept(&block, block.header.time, false).unwrap();
        }
        for block in &branch {
            chain.accept(block, other.now, false).unwrap();
        }
    }
    let config = NodeConfig {
        network: NETWORK,
        data_dir: dir.path().into(),
        api: None,
        admin: None,
        mine: MineMode::Off,
        mine_threads: 1,
        prune_bytes: None,
        reindex: false,
        allow_hosts: Vec::new(),
        p2p: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::start(config).await.unwrap();
        let status = node.handle().status();
        let hold = status.hold.expect("the hold survives a restart");
        assert_eq!((status.height, hold.tip, hold.fork_height), (200, other.chain.tip_id(), 0));
        assert_eq!((hold.seconds, hold.seconds_left), (199 * 600, 199 * 600));
        node.stop().await;
    });
}

/// When the lease ends that two begin with below, in seconds of Unix time: while the chain is at
/// height 6.
const LEASE_END: u64 = common::NOW + 9;
const LEASE_S: u64 = 31_536_000;

/// Two who begin at height 1 with `alice` owned by key 1 and a lease that is nearly over: written
/// straight to the store, as a lease takes a year.
fn two_near_the_end_of_a_lease() -> (Miner, Miner) {
    let begun = || {
        let mut miner = Miner::new();
        let genesis = miner.chain.tip_header().clone();
        let at = BlockTime { height: 1, time: genesis.time + 1 };
        let alice = Entry::Name(NameEntry {
            name: name("alice"),
            owner: key(1).public(),
            recovery: None,
            title: Hash([5; 32]),
            sequence: 0,
            registered: at,
            commit: CommitPosition { height: 0, index: 0 },
            updated: at,
            expires: LEASE_END,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: common::records(1),
            messaging: None,
            messaging_sequence: 0,
        });
        let params = NETWORK.params();
        let mut tree = Tree::new(NETWORK);
        let (entry_key, bytes) = (alice.key(NETWORK), alice.to_bytes());
        tree.insert(entry_key, Entry::value_hash(NETWORK, &bytes));
        let mut history = History::default();
        let push = |history: &mut History, header: &Header| {
            let id = header.id(NETWORK);
            history.push(NETWORK, HistoryNode::of_header(params, &id, header))
        };
        push(&mut history, &genesis);
        let header = Header {
            height: 1,
            previous: genesis.id(NETWORK),
            state_root: tree.root(),
            history_root: history.root(NETWORK),
            time: at.time,
            due: next_due(params, &genesis),
            ..genesis
        };
        let id = header.id(NETWORK);
        let nodes = push(&mut history, &header);
        let block = Block { header: header.clone(), operations: Vec::new() };
        let location = miner.storage.append(&block.to_bytes()).unwrap();
        let mut changes: Vec<Change> =
            nodes.into_iter().map(|(at, node)| Change::History(at, node)).collect();
        changes.extend([
            Change::Header(StoredHeader {
                id,
                work: miner.chain.work() + header_work(params, &header),
                header,
                at: location,
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
/// 0 - 1 -+                                       the lease ends between 6 and 7
///         \- 2' - 3' - ... - 8' - 9' renew(alice)
/// ```
#[test]
fn a_lease_across_a_reorganisation() {
    let (mut a, mut b) = two_near_the_end_of_a_lease();
    let (alice, owner) = (name("alice"), key(1));
    let status = |miner: &Miner| {
        miner.chain.snapshot_at(miner.chain.tip_header().height).unwrap().lookup(&alice).unwrap()
    };
    let renew = a.act(&alice, Action::Renew { expires: LEASE_END }, &owner);
    a.mine(&[renew]);
    while a.chain.tip_header().height < 7 {
        a.mine(&[]);
    }
    let renewed = LEASE_END + LEASE_S;
    assert!(matches!(status(&a), NameLookup::Active(entry) if entry.expires == renewed));

    let mut branch = Vec::new();
    while b.chain.tip_header().height < 8 {
        branch.push(b.mine(&[]));
    }
    a.take(&branch);
    assert!(
        matches!(status(&a), NameLookup::Grace(entry) if entry.expires == LEASE_END),
        "on this branch nobody renewed"
    );
    let late = a.update(&alice, &owner, 2);
    assert_eq!(a.refusal(&late), "name-in-grace", "in the grace there is no update");
    let renew = b.act(&alice, Action::Renew { expires: LEASE_END }, &owner);
    let ninth = b.mine(&[renew]);
    a.take(&[ninth]);
    let NameLookup::Active(entry) = status(&a) else { panic!("{:?}", status(&a)) };
    assert_eq!((entry.expires, entry.updated.height), (renewed, 9));
    assert_eq!(a.state_root(), b.state_root());
}
