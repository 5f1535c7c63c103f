//! Deep reorganisations: which are followed at once, which are held back, and for how long
//! (docs/protocol.md, section 9.2). Each fork is drawn above the test that builds it.

mod common;

use common::{LATE, Miner, NETWORK, key, name};
use namechain_core::{
    chain::{Accepted, Chain, ChainError, Change, NameLookup, Storage},
    consensus::{difficulty::next_due, work::PowHasher},
    miner::search_nonce,
    types::{Block, Hash, Header},
};

/// Seconds between two blocks here: 144 blocks are a day.
const STEP_S: u64 = 600;
const DAY_S: u64 = 86_400;

fn miner() -> Miner {
    Miner { step_s: STEP_S, ..Miner::new() }
}

/// Another branch from the genesis block on: its first block has a Commit.
fn other_miner() -> (Miner, Vec<Block>) {
    let mut other = miner();
    let commit = other.commit(&name("another-branch"), &key(9));
    let first = other.mine(&[commit]);
    (other, vec![first])
}

/// Somebody who follows chains, and a clock.
struct Follower {
    chain: Chain,
    now: u64,
}

impl Follower {
    fn new() -> Self {
        let miner = Miner::new();
        Follower { chain: Chain::open(NETWORK, miner.storage).unwrap(), now: 0 }
    }

    /// Takes blocks as they are made.
    fn follow(&mut self, blocks: &[Block]) {
        for block in blocks {
            self.now = self.now.max(block.header.time);
            let accepted = self.chain.accept(block, self.now, true).unwrap();
            assert!(matches!(accepted, Accepted::Tip(_)), "{accepted:?}");
        }
    }

    /// Takes blocks that others had before, all at once: whether the tip moved.
    fn learn(&mut self, blocks: &[Block]) -> bool {
        let tip = self.chain.tip_id();
        for block in blocks {
            self.now = self.now.max(block.header.time.saturating_sub(300));
            self.chain.accept(block, self.now, true).unwrap();
        }
        self.chain.tip_id() != tip
    }

    /// Lets time pass in small steps until the tip moves, for `seconds` at most: how long it took.
    fn wait(&mut self, seconds: u64) -> Option<u64> {
        let begun = self.now;
        self.chain.advance_hold(self.now).unwrap();
        while self.now < begun + seconds {
            self.now += 30;
            if self.chain.advance_hold(self.now).unwrap().is_some() {
                return Some(self.now - begun);
            }
        }
        None
    }
}

/// ```text
///    /- 1 - ... - 200          followed live, for 33 hours
/// 0 +
///    \- 1' - ... - 201' (- 207')
/// ```
/// The longer one has to lead by six blocks for as long as it would undo.
#[test]
fn a_chain_that_undoes_more_than_a_day_is_held_back_for_as_long() {
    let mut ours = miner();
    let trunk = ours.mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(200));
    let mut node = Follower::new();
    node.follow(&trunk);
    assert!(node.chain.is_live());
    assert!(!node.learn(&branch));
    let undone = trunk[199].header.time - trunk[0].header.time;
    let hold = node.chain.hold().unwrap().clone();
    assert_eq!((hold.fork_height, hold.seconds, hold.led), (0, undone, 0));
    assert_eq!((hold.first, hold.tip), (branch[0].header.id(NETWORK), other.chain.tip_id()));

    // It leads by one block: not enough.
    assert_eq!(node.wait(2 * undone), None);
    assert_eq!(node.chain.hold().unwrap().led, 0);
    let more = other.mine_empty(6);
    assert!(!node.learn(&more));
    assert_eq!(node.chain.hold().unwrap().tip, other.chain.tip_id());
    let took = node.wait(2 * undone).expect("it is followed by itself");
    assert!((undone..=undone + 60).contains(&took), "{took} of {undone}");
    assert_eq!(node.chain.tip_id(), other.chain.tip_id());
    assert_eq!(node.chain.hold(), None);
    let snapshot = node.chain.snapshot_at(207).unwrap();
    assert_eq!(snapshot.state_root(), other.state_root());
}

/// As above, with 100 blocks of ten minutes each: 17 hours.
#[test]
fn less_than_a_day_is_undone_at_once() {
    let trunk = miner().mine_empty(100);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(100));
    let mut node = Follower::new();
    node.follow(&trunk);
    assert!(node.learn(&branch));
}

/// The bound itself: the time between the first and the last block that would be undone.
#[test]
fn a_day_exactly_is_undone_at_once() {
    for (blocks, held) in [(145, false), (146, true)] {
        let trunk = miner().mine_empty(blocks);
        assert_eq!(
            trunk[trunk.len() - 1].header.time - trunk[0].header.time > DAY_S,
            held,
            "{blocks}"
        );
        let (mut other, mut branch) = other_miner();
        branch.extend(other.mine_empty(blocks));
        let mut node = Follower::new();
        node.follow(&trunk);
        assert_eq!(!node.learn(&branch), held, "{blocks}");
        assert_eq!(node.chain.hold().is_some(), held);
    }
}

/// ```text
///    /- 1 - ... - 800
/// 0 +
///    \- 1' - ... - 801' - 802' (- 803')
/// ```
/// A fresh node has followed nothing live: it takes the chain of most work from the first, deeper
/// than states are in memory; and goes back as well.
#[test]
fn a_fresh_node_takes_the_chain_of_most_work_at_any_depth() {
    let (alice, bob) = (name("alice"), name("bobby"));
    let mut ours = miner();
    let mut trunk = ours.claim(&alice, &key(1), 1).to_vec();
    trunk.extend(ours.mine_empty(798));
    let (mut other, mut branch) = other_miner();
    branch.extend(other.claim(&alice, &key(2), 2));
    branch.extend(other.mine_empty(796));
    branch.extend(other.claim(&bob, &key(3), 3));
    assert_eq!(branch.len(), 801);

    let mut taker = Miner::new();
    taker.take(&trunk);
    assert_eq!(taker.chain.hold(), None);
    let change = taker.take(&branch).expect("the tip moved");
    assert_eq!((change.undone.len(), change.connected.len()), (800, 801));
    assert_eq!(
        (taker.chain.tip_id(), taker.state_root()),
        (other.chain.tip_id(), other.state_root())
    );
    assert_eq!(taker.owner(&alice), Some(key(2).public()));
    // The states below are in memory again, and the same as those of one who never saw the other.
    for height in [81, 82, 500, 801] {
        let [seen, never] = [&taker, &other].map(|it| it.chain.snapshot_at(height).unwrap());
        assert_eq!((seen.id, seen.state_root()), (never.id, never.state_root()), "{height}");
    }
    assert!(taker.chain.snapshot_at(80).is_none());
    // Anchors and operations on what the branch holds.
    let next = taker.update(&alice, &key(2), 9);
    let next = taker.mine(&[next]);
    other.take(std::slice::from_ref(&next));
    let reopened = Chain::open(NETWORK, taker.storage.clone()).unwrap();
    assert_eq!(reopened.tip_id(), other.chain.tip_id());

    let back = ours.mine_empty(3);
    let change = taker.take(&back).expect("the way back");
    assert_eq!((change.undone.len(), change.connected.len()), (802, 803));
    assert_eq!(taker.state_root(), ours.state_root());
    assert_eq!(taker.owner(&alice), Some(key(1).public()));
    assert_eq!(taker.owner(&bob), None);
    let history = taker.storage.touched(&alice.key(NETWORK)).unwrap();
    assert_eq!(history, ours.storage.touched(&alice.key(NETWORK)).unwrap());
}

/// What was live ends with a longer absence: the first block that is taken more than an hour late.
#[test]
fn who_was_away_follows_at_once() {
    let mut ours = miner();
    let trunk = ours.mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(202));
    let mut node = Follower::new();
    node.follow(&trunk);
    node.now += 3 * DAY_S;
    let late = ours.mine(&[]);
    node.chain.accept(&late, node.now, true).unwrap();
    assert!(!node.chain.is_live());
    assert!(node.learn(&branch));
}

/// A branch is held, then a block of ours comes late, so that nothing was followed live, and the
/// branch's next block is followed at once: nothing is held any more.
#[test]
fn a_held_branch_that_is_followed_at_once_is_held_no_more() {
    let mut ours = miner();
    let trunk = ours.mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(200));
    let storage = Miner::new().storage;
    let mut node = Follower { chain: Chain::open(NETWORK, storage.clone()).unwrap(), now: 0 };
    node.follow(&trunk);
    assert!(!node.learn(&branch));
    assert!(node.chain.hold().is_some());
    let late = ours.mine_empty(1);
    node.now = late[0].header.time + 3_601;
    node.follow(&late);
    assert!(node.learn(&other.mine_empty(1)));
    assert_eq!(node.chain.tip_id(), other.chain.tip_id());
    assert_eq!(node.chain.hold(), None);
    assert_eq!(Chain::open(NETWORK, storage).unwrap().hold(), None);
}

/// ```text
///             /- 11 - ... - 161
/// 0 - ... - 10
/// |           \- 11' - ... - 161'     held
/// \- 1" - ... - 162"                  followed once nothing is live any more
/// ```
/// Where the held branch departs follows our own reorganisations, also when the program is killed
/// between the commit of the move and that of the hold.
#[test]
fn a_held_branch_departs_where_it_departs_from_what_is_followed_now() {
    let mut ours = miner();
    let mut trunk = ours.mine_empty(10);
    let mut held = Miner { step_s: STEP_S, ..ours.copy() };
    trunk.extend(ours.mine_empty(150));
    let commit = held.commit(&name("held-branch"), &key(8));
    let mut branch = vec![held.mine(&[commit])];
    branch.extend(held.mine_empty(150));
    let (mut other, mut third) = other_miner();
    third.extend(other.mine_empty(161));
    let storage = Miner::new().storage;
    let mut node = Follower { chain: Chain::open(NETWORK, storage.clone()).unwrap(), now: 0 };
    node.follow(&trunk);
    assert!(!node.learn(&branch));
    assert_eq!(node.chain.hold().unwrap().fork_height, 10);
    let late = ours.mine_empty(1);
    node.now = late[0].header.time + 3_601;
    node.follow(&late);
    let before = storage.following().unwrap().unwrap();
    assert!(node.learn(&third));
    assert_eq!(node.chain.tip_id(), other.chain.tip_id());
    let first = trunk[0].header.id(NETWORK);
    let departs_at_genesis = |chain: &Chain| {
        let hold = chain.hold().unwrap();
        assert_eq!((hold.fork_height, hold.first, hold.tip), (0, first, held.chain.tip_id()));
    };
    departs_at_genesis(&node.chain);
    storage.commit(vec![Change::Following(before)], true).unwrap();
    departs_at_genesis(&Chain::open(NETWORK, storage).unwrap());
}

/// A restart forgets neither that the chain was followed live nor how long the other has led.
#[test]
fn a_restart_forgets_nothing() {
    let trunk = miner().mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(210));
    let storage = Miner::new().storage;
    let mut node = Follower { chain: Chain::open(NETWORK, storage.clone()).unwrap(), now: 0 };
    node.follow(&trunk);
    let reopen = || Chain::open(NETWORK, storage.clone()).unwrap();
    node.chain = reopen();
    assert!(!node.learn(&branch));
    assert_eq!(node.wait(DAY_S), None);
    let led = node.chain.hold().unwrap().led;
    assert_eq!(led, DAY_S);
    node.chain = reopen();
    assert_eq!(node.chain.hold().unwrap().led, led);
    // Time in which the program did not run does not count.
    node.now += 30 * DAY_S;
    let left = node.chain.hold().unwrap().seconds_left();
    let took = node.wait(2 * DAY_S).expect("it is followed");
    assert!((left..=left + 60).contains(&took), "{took} of {left}");
    assert_eq!(node.chain.tip_id(), other.chain.tip_id());
}

/// While ours is close the timer runs backwards; when ours is the heavier one the hold ends.
#[test]
fn the_timer_runs_backwards_and_the_hold_ends() {
    let mut ours = miner();
    let trunk = ours.mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(206));
    let mut node = Follower::new();
    node.follow(&trunk);
    assert!(!node.learn(&branch));
    assert_eq!(node.wait(3_000), None);
    assert_eq!(node.chain.hold().unwrap().led, 3_000);
    // A lead of six blocks is one, of five is none.
    for (next, led) in [(1, 3_600), (1, 3_000)] {
        ours.now = node.now;
        node.learn(&ours.mine_empty(next));
        assert_eq!(node.wait(600), None);
        assert_eq!(node.chain.hold().unwrap().led, led);
    }
    ours.now = node.now;
    node.learn(&ours.mine_empty(6));
    assert_eq!(node.wait(3_600), None);
    assert_eq!(node.chain.hold(), None);
    assert_eq!(node.chain.tip_id(), ours.chain.tip_id());
}

/// A third chain that sums less than the held one does not set its timer back; one that sums more
/// is held in its place.
#[test]
fn a_lighter_rival_does_not_set_the_timer_back() {
    let trunk = miner().mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(212));
    let mut rival = miner();
    let commit = rival.commit(&name("a-third-branch"), &key(8));
    let mut third = vec![rival.mine(&[commit])];
    third.extend(rival.mine_empty(209));
    let mut node = Follower::new();
    node.follow(&trunk);
    assert!(!node.learn(&branch));
    assert_eq!(node.wait(3_000), None);
    assert!(!node.learn(&third));
    let hold = node.chain.hold().unwrap();
    assert_eq!((hold.tip, hold.led), (other.chain.tip_id(), 3_000));
    assert!(!node.learn(&rival.mine_empty(5)));
    let hold = node.chain.hold().unwrap();
    assert_eq!((hold.tip, hold.led), (rival.chain.tip_id(), 0));
}

/// A clock that jumps brings nothing forward.
#[test]
fn a_clock_that_jumps_ends_no_hold() {
    let trunk = miner().mine_empty(200);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(220));
    let mut node = Follower::new();
    node.follow(&trunk);
    assert!(!node.learn(&branch));
    for now in [node.now, u64::MAX / 2, 0, u64::MAX] {
        assert!(node.chain.advance_hold(now).unwrap().is_none());
    }
    assert!(node.chain.hold().unwrap().led <= 180);
}

/// Names that were changed after the fork don't resolve while a heavier chain is held back; others
/// do.
#[test]
fn names_that_were_changed_since_the_fork_are_contested() {
    let mut ours = miner();
    let (old, new) = (name("older-name"), name("newer-name"));
    let mut trunk = ours.claim(&old, &key(1), 1).to_vec();
    let mut other = ours.copy();
    other.step_s = STEP_S;
    trunk.extend(ours.claim(&new, &key(2), 1));
    trunk.extend(ours.mine_empty(200));
    let commit = other.commit(&name("another-branch"), &key(9));
    let mut branch = vec![other.mine(&[commit])];
    branch.extend(other.mine_empty(210));
    let mut node = Follower::new();
    node.follow(&trunk);
    let lookup = |node: &Follower, name| {
        let height = node.chain.tip_header().height;
        node.chain.snapshot_at(height).unwrap().lookup(name).unwrap()
    };
    assert!(matches!(lookup(&node, &new), NameLookup::Active(_)));
    assert!(!node.learn(&branch));
    assert_eq!(node.chain.hold().unwrap().fork_height, 2);
    assert!(matches!(lookup(&node, &new), NameLookup::Contested(_)));
    assert!(matches!(lookup(&node, &old), NameLookup::Active(_)));
    node.wait(3 * DAY_S).expect("it is followed");
    assert!(matches!(lookup(&node, &new), NameLookup::Unregistered));
    assert!(matches!(lookup(&node, &old), NameLookup::Active(_)));
}

/// Headers and empty blocks with a state root that no state has, each valid by itself.
fn false_branch(start: &Miner, blocks: u32) -> Vec<Block> {
    let params = NETWORK.params();
    let mut end = start.chain.ancestry(&start.chain.tip_id()).unwrap().unwrap();
    let mut hasher = PowHasher::new(NETWORK);
    let mut branch = Vec::new();
    for _ in 0..blocks {
        let parent = end.header().clone();
        let header = Header {
            height: parent.height + 1,
            previous: end.id(),
            state_root: Hash([7; 32]),
            history_root: end.history_root(),
            time: parent.time.max(common::NOW) + STEP_S,
            due: next_due(params, &parent),
            ..parent
        };
        let header = search_nonce(&mut hasher, header, |_| true).unwrap();
        end.extend_unchecked(header.id(NETWORK), &header).unwrap();
        branch.push(Block { header, operations: Vec::new() });
    }
    branch
}

/// A branch that turns out invalid when it is executed: the node stays on its own chain, and is
/// not held by it again.
#[test]
fn a_held_branch_that_breaks_a_rule_is_dropped() {
    let start = miner();
    let trunk = start.copy();
    let mut trunk = Miner { step_s: STEP_S, ..trunk };
    let blocks = trunk.mine_empty(200);
    let branch = false_branch(&start, 210);
    let mut node = Follower::new();
    node.follow(&blocks);
    assert!(!node.learn(&branch));
    let seconds = node.chain.hold().unwrap().seconds;
    node.chain.advance_hold(node.now).unwrap();
    let error = (0..seconds / 60 + 2).find_map(|_| {
        node.now += 60;
        node.chain.advance_hold(node.now).err()
    });
    let Some(ChainError::Rule { id, violation }) = error else { panic!("{error:?}") };
    assert_eq!((id, violation.id()), (branch[0].header.id(NETWORK), "state-root"));
    assert_eq!(node.chain.hold(), None);
    assert_eq!(node.chain.tip_id(), trunk.chain.tip_id());
    assert_eq!(node.wait(2 * DAY_S), None);
    node.follow(&trunk.mine_empty(1));
}

/// The operator's word outranks work, until it is taken back.
#[test]
fn the_operator_invalidates_and_reconsiders() {
    let mut ours = miner();
    let trunk = ours.mine_empty(10);
    let (mut other, mut branch) = other_miner();
    branch.extend(other.mine_empty(14));
    let mut taker = Miner::new();
    taker.take(&trunk);
    taker.take(&branch);
    assert_eq!(taker.chain.tip_id(), other.chain.tip_id());

    let third = branch[2].header.id(NETWORK);
    let change = taker.chain.invalidate(&third, LATE).unwrap().expect("the tip moved");
    assert_eq!((change.undone.len(), change.connected.len()), (15, 10));
    assert_eq!(taker.chain.tip_id(), ours.chain.tip_id());
    assert_eq!(taker.state_root(), ours.state_root());
    let again = Chain::open(NETWORK, taker.storage.clone()).unwrap();
    assert_eq!(again.tip_id(), ours.chain.tip_id());
    // What follows an invalidated block is not followed either.
    let next = other.mine(&[]);
    assert!(matches!(taker.refuses(&next), ChainError::OnFailed(_)));

    let change = taker.chain.reconsider(&third, LATE).unwrap().expect("the tip moved back");
    assert_eq!((change.undone.len(), change.connected.len()), (10, 15));
    assert_eq!(taker.state_root(), taker.chain.tip_header().state_root);
    taker.accept(&next);
    assert_eq!(taker.chain.tip_id(), other.chain.tip_id());

    let unknown = Hash([1; 32]);
    assert!(matches!(taker.chain.invalidate(&unknown, LATE), Err(ChainError::Orphan(_))));
    assert!(matches!(taker.chain.reconsider(&unknown, LATE), Err(ChainError::Orphan(_))));
    let genesis = taker.chain.snapshot_at(0).unwrap().id;
    assert!(taker.chain.invalidate(&genesis, LATE).is_err(), "the genesis block is no choice");
}

/// Of a block that is put out of the choice nothing better is known: the tip is its parent.
#[test]
fn invalidating_a_tip_goes_back_one_block() {
    let mut ours = miner();
    ours.mine_empty(3);
    let tip = ours.chain.tip_id();
    let parent = ours.chain.tip_header().previous;
    let change = ours.chain.invalidate(&tip, LATE).unwrap().unwrap();
    assert_eq!((change.undone.len(), change.connected.len()), (1, 0));
    assert_eq!(ours.chain.tip_id(), parent);
    ours.now += 1;
    ours.mine(&[]);
}
