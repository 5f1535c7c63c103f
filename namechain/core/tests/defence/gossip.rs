//! What is told to everybody: blocks and operations, floods of them, bad ones, early ones.

use namechain_core::{
    sync::{
        Acceptance, Event, Job, Misbehavior, Peer, limits,
        message::{CompactBlock, MAX_BLOCK_OPERATIONS, Request, Response, ShortId},
    },
    types::{Hash, Header, Operation, SignedOperation, SigningContext, Stamp},
};

use crate::{
    bench::{Bench, bytes, compact, worked},
    common::{Miner, NETWORK, NOW, context, key, name},
};

fn bad_operation(anchor: Hash, number: u64) -> Operation {
    let mut commitment = [0; 32];
    commitment[..8].copy_from_slice(&number.to_be_bytes());
    Operation::Commit {
        commitment: Hash(commitment),
        stamp: Stamp { anchor, work: u64::MAX, nonce: 0 },
    }
}

/// An operation on a name that nobody has: sound by itself, if its work is not looked at, and of no
/// use.
fn idle_operation(anchor: Hash, number: u64) -> Operation {
    let action = namechain_core::types::Action::Revoke;
    let stamp = Stamp { anchor, work: u64::MAX, nonce: number };
    let named = SignedOperation::sign(
        &context(),
        name("nobody-has-this"),
        Hash::ZERO,
        NOW + 3_600,
        action,
        &key(1),
        stamp,
    );
    Operation::Named(named)
}

/// A sound block goes from the announcement to the tip without a request, and only then further.
#[test]
fn a_known_block_travels_compactly() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commit = other.commit(&name("alice-example"), &key(1));
    let peer = bench.peer(1, &other);
    let gossip = bench.offer(peer, commit.clone());
    assert_eq!(bench.verdict(gossip), None, "nothing goes further before it is checked");
    bench.check_all();
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Accept));
    assert_eq!(bench.mempool.len(), 1);
    let block = other.mine(&[commit]);
    let gossip = bench.announce(peer, compact(&block));
    assert_eq!(bench.verdict(gossip), None);
    bench.check_all();
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Accept));
    assert_eq!(bench.miner.chain.tip_id(), other.chain.tip_id());
    assert!(bench.mempool.is_empty());
    let asked =
        |what: &Request| matches!(what, Request::Blocks { .. } | Request::BlockOperations { .. });
    assert!(!bench.asked.iter().any(|(_, _, what)| asked(what)));
}

/// Who makes blocks quickly, as a network without much work does, is not taken for a flood.
#[test]
fn blocks_of_our_chain_may_come_quickly() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let peer = bench.peer(1, &other);
    for _ in 0..3 * limits::ANNOUNCED_BURST {
        let block = other.mine(&[]);
        bench.announce(peer, compact(&block));
        bench.check_all();
        assert_eq!(bench.miner.chain.tip_id(), other.chain.tip_id());
    }
    assert_eq!(bench.score(peer), Some(0));
}

/// What is missing is asked of the announcer; if it gives something else, the whole block; then the
/// next announcer.
#[test]
fn missing_operations_are_asked_for() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commits: Vec<Operation> =
        (1..=3).map(|k| other.commit(&name("alice-example"), &key(k))).collect();
    let (first, second) = (bench.peer(1, &other), bench.peer(2, &other));
    for commit in &commits[..2] {
        bench.offer(first, commit.clone());
    }
    bench.check_all();
    bench.asked.clear();
    let block = other.mine(&commits);
    let gossip = bench.announce(first, compact(&block));
    let another = bench.announce(second, compact(&block));
    bench.check_all();
    let (id, request) = bench.request(first).unwrap();
    assert_eq!(
        request,
        Request::BlockOperations { block: block.header.id(NETWORK), indexes: vec![2] }
    );
    bench.answer(first, id, Response::Operations(vec![commits[0].clone()]));
    assert_eq!(bench.score(first), Some(-50));
    let (id, request) = bench.request(first).unwrap();
    assert_eq!(request, Request::Blocks { ids: vec![block.header.id(NETWORK)] });
    bench.answer(first, id, Response::Blocks(vec![vec![0; 9]]));
    bench.check_all();
    assert!(bench.is_banned(first));
    let (id, request) = bench.request(second).unwrap();
    assert_eq!(
        request,
        Request::BlockOperations { block: block.header.id(NETWORK), indexes: vec![2] }
    );
    bench.answer(second, id, Response::Operations(vec![commits[2].clone()]));
    bench.check_all();
    assert_eq!(
        (bench.verdict(gossip), bench.verdict(another)),
        (Some(Acceptance::Accept), Some(Acceptance::Accept))
    );
    assert_eq!(bench.miner.chain.tip_id(), other.chain.tip_id());
}

/// Two operations share a short id: the whole block settles it, and nobody is to blame.
#[test]
fn short_ids_that_mislead_cost_a_request() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commits: Vec<Operation> =
        (1..=2).map(|k| other.commit(&name("alice-example"), &key(k))).collect();
    let peer = bench.peer(1, &other);
    for commit in &commits {
        bench.offer(peer, commit.clone());
    }
    bench.check_all();
    bench.asked.clear();
    let block = other.mine(&commits);
    let id = block.header.id(NETWORK);
    // As if the second had the short id of the first.
    let mut announced = compact(&block);
    announced.short_ids[1] = ShortId::of(NETWORK, &id, &commits[0].id(NETWORK));
    let gossip = bench.announce(peer, announced);
    bench.check_all();
    let mut whole = false;
    while let Some((request, what)) = bench.request(peer) {
        match what {
            Request::Blocks { .. } => {
                whole = true;
                bench.answer(peer, request, Response::Blocks(vec![bytes(&block)]));
            }
            Request::BlockOperations { indexes, .. } => {
                let operations =
                    indexes.iter().map(|at| commits[usize::from(*at)].clone()).collect();
                bench.answer(peer, request, Response::Operations(operations));
            }
            _ => {}
        }
        bench.check_all();
    }
    assert!(whole);
    assert_eq!(bench.miner.chain.tip_id(), id);
    assert_eq!(bench.score(peer), Some(0));
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Reject), "it is not the block's own form");
    assert_eq!(bench.announced, [compact(&block)], "which is what goes further");
}

/// A block whose announcement has a false short id: of the forms that were announced only the one
/// that the block itself gives goes further, so that no honest peer is taken for the liar by the
/// next one.
#[test]
fn only_the_canonical_form_goes_further() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commits: Vec<Operation> =
        (1..=3).map(|k| other.commit(&name("alice-example"), &key(k))).collect();
    let (liar, honest) = (bench.peer(1, &other), bench.peer(2, &other));
    for commit in &commits {
        bench.offer(honest, commit.clone());
    }
    bench.check_all();
    bench.asked.clear();
    let block = other.mine(&commits);
    let mut misleading = compact(&block);
    misleading.short_ids[2] = ShortId([7; 8]);
    let first = bench.announce(liar, misleading);
    let second = bench.announce(honest, compact(&block));
    bench.check_all();
    // The liar gives what the block has, which is not what it announced.
    let (id, request) = bench.request(liar).unwrap();
    assert!(matches!(request, Request::BlockOperations { .. }), "{request:?}");
    bench.answer(liar, id, Response::Operations(vec![commits[2].clone()]));
    bench.check_all();
    for _ in 0..3 {
        bench.tick();
        bench.check_all();
    }
    assert_eq!(bench.miner.chain.tip_id(), other.chain.tip_id(), "the honest form was enough");
    assert_eq!(
        (bench.verdict(first), bench.verdict(second)),
        (Some(Acceptance::Reject), Some(Acceptance::Accept))
    );
    assert_eq!(bench.score(honest), Some(0));
}

/// Short ids that lead to more operations than a block can hold: nothing is put together of them,
/// and the block, which is fine, is not condemned for it.
#[test]
fn short_ids_of_too_many_bytes_condemn_no_block() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let (liar, honest) = (bench.peer(1, &Miner::new()), bench.peer(2, &Miner::new()));
    let anchor = bench.miner.chain.tip_id();
    let ids: Vec<Hash> = (0..MAX_BLOCK_OPERATIONS as u64)
        .map(|number| {
            let commit = bad_operation(anchor, number);
            bench.mempool.insert(&bench.miner.chain, commit, NOW).unwrap()
        })
        .collect();
    let block = other.mine(&[]);
    let block_id = block.header.id(NETWORK);
    let mut misleading = compact(&block);
    misleading.short_ids = ids.iter().map(|id| ShortId::of(NETWORK, &block_id, id)).collect();
    bench.announce(liar, misleading);
    bench.check_all();
    assert_eq!(bench.checked.get(&block_id), None, "nothing was put together");
    bench.announce(honest, compact(&block));
    let (id, request) = bench.request(liar).unwrap();
    assert_eq!(request, Request::Blocks { ids: vec![block_id] });
    bench.answer(liar, id, Response::Blocks(vec![bytes(&block)]));
    bench.check_all();
    assert_eq!(bench.miner.chain.tip_id(), block_id);
}

/// An operation that pays too little is not even checked: that would cost a thousand times more
/// than a look at its price. Prices differ from tip to tip, so nobody is to blame.
#[test]
fn an_underpaid_operation_is_not_checked() {
    let mut bench = Bench::new();
    let peer = bench.peer(1, &Miner::new());
    let mut cheap = bad_operation(bench.miner.chain.tip_id(), 1);
    cheap.stamp_mut().work = bench.miner.price() - 1;
    let gossip = bench.offer(peer, cheap);
    assert!(bench.jobs.is_empty());
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Ignore));
    assert_eq!(bench.score(peer), Some(0));
}

/// Announcers who stay silent hold a block up for a second or two each, of a deadline of fifteen;
/// and one that we dialled is asked before others that dialled us.
#[test]
fn silent_announcers_hold_nothing_up() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commit = other.commit(&name("alice-example"), &key(1));
    let silent: Vec<Peer> = (1..=7).map(|number| bench.peer(number, &Miner::new())).collect();
    let honest = Peer(8);
    bench.event(Event::PeerConnected { peer: honest, ip: None, outbound: true, block_only: false });
    let hello = crate::bench::hello(&Miner::new());
    bench.event(Event::HelloReceived { peer: honest, hello });
    bench.asked.clear();
    let block = other.mine(&[commit]);
    for peer in silent.iter().chain([&honest]) {
        bench.announce(*peer, compact(&block));
    }
    // A ninth has no place.
    let late = bench.peer(9, &Miner::new());
    let ignored = bench.announce(late, compact(&block));
    assert_eq!(bench.verdict(ignored), Some(Acceptance::Ignore));
    bench.check_all();
    let wanted = |what: &Request| matches!(what, Request::Blocks { .. });
    let start = bench.now;
    while !bench.asked.iter().any(|(peer, _, what)| *peer == honest && wanted(what)) {
        bench.tick();
        assert!(bench.now <= start + 2_000, "the honest one is not asked");
    }
    let (id, _) = std::iter::from_fn(|| bench.request(honest))
        .find(|(_, what)| wanted(what))
        .expect("it was asked");
    bench.answer(honest, id, Response::Blocks(vec![bytes(&block)]));
    bench.check_all();
    assert_eq!(bench.miner.chain.tip_id(), other.chain.tip_id());
}

/// Where all announcers dialled us, each silent one costs no more than a moment.
#[test]
fn the_next_announcer_is_asked_soon() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commit = other.commit(&name("alice-example"), &key(1));
    let peers: Vec<Peer> = (1..=7).map(|number| bench.peer(number, &Miner::new())).collect();
    bench.asked.clear();
    let block = other.mine(&[commit]);
    for peer in &peers {
        bench.announce(*peer, compact(&block));
    }
    bench.check_all();
    let asked = |bench: &Bench| {
        bench.asked.iter().filter(|(_, _, what)| matches!(what, Request::Blocks { .. })).count()
    };
    assert_eq!(asked(&bench), 1, "one is asked at first");
    let start = bench.now;
    let mut last = 1;
    while last < peers.len() {
        bench.tick();
        let now = asked(&bench);
        assert!(now <= last + 1, "one after the other");
        last = now;
        assert!(bench.now <= start + 16_000, "{last} of {} after 16 s", peers.len());
    }
}

/// A block without work is rejected, and costs its announcer everything; one whose header does not
/// fit costs no work.
#[test]
fn a_block_without_work_bans() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let block = other.mine(&[]);
    let (first, second) = (bench.peer(1, &Miner::new()), bench.peer(2, &Miner::new()));
    let header = worked(&mut other, block.header.clone(), false);
    let gossip = bench.announce(first, CompactBlock { header, short_ids: Vec::new() });
    bench.check_all();
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Reject));
    assert_eq!(bench.banned, [(first, Misbehavior::BrokenRule)]);
    let header = Header { height: 9, ..block.header };
    let gossip = bench.announce(second, CompactBlock { header, short_ids: Vec::new() });
    assert!(bench.jobs.is_empty() && bench.is_banned(second));
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Reject));
}

/// A flood of blocks that follow nothing: nothing is kept, and their peer is asked for headers now
/// and then.
#[test]
fn orphans_are_not_kept() {
    let mut bench = Bench::new();
    let peer = bench.peer(1, &Miner::new());
    bench.ticks(1);
    let header = bench.miner.chain.tip_header().clone();
    let mut requests = 0;
    for number in 0..1_000u32 {
        let mut previous = [7; 32];
        previous[..4].copy_from_slice(&number.to_be_bytes());
        let header = Header { previous: Hash(previous), height: number + 5, ..header.clone() };
        let gossip = bench.announce(peer, CompactBlock { header, short_ids: Vec::new() });
        assert_eq!(bench.verdict(gossip), Some(Acceptance::Ignore));
        while let Some((id, request)) = bench.request(peer) {
            match request {
                Request::Headers { .. } => {
                    requests += 1;
                    bench.answer(peer, id, Response::Headers(Vec::new()));
                }
                _ => bench.answer(peer, id, Response::Pending(Vec::new())),
            }
        }
        if number % 100 == 99 {
            bench.tick();
        }
    }
    assert!(bench.jobs.is_empty());
    assert!((1..=7).contains(&requests), "{requests} in ten seconds");
    let kept = bench.sync.usage();
    assert_eq!((kept.pending_blocks, kept.candidates), (0, 0));
}

/// Real blocks beside our tip, made for the work that they make: so many are checked, then no more.
#[test]
fn a_flood_of_blocks_is_bounded() {
    let mut bench = Bench::new();
    let peer = bench.peer(1, &Miner::new());
    let mut jobs = 0;
    let template = bench.miner.chain.assemble_block(std::iter::empty(), NOW).unwrap();
    for nonce in 0..400 {
        let header = Header { nonce, ..template.header.clone() };
        bench.announce(peer, CompactBlock { header, short_ids: Vec::new() });
        jobs += bench.jobs.len();
        assert!(bench.sync.usage().pending_blocks <= limits::PENDING_BLOCKS);
        // As if all had work and were never completed.
        bench.jobs.clear();
        if bench.is_banned(peer) {
            break;
        }
    }
    assert!(jobs <= limits::ANNOUNCED_BURST as usize, "{jobs}");
    assert_eq!(bench.banned, [(peer, Misbehavior::Flood)]);
}

/// A block two hours ahead waits, and is taken when it is time. It is not worked on before.
#[test]
fn early_blocks_wait() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let mut block = other.chain.assemble_block(std::iter::empty(), NOW + 7_200).unwrap();
    block.header = worked(&mut other, block.header, true);
    let peer = bench.peer(1, &Miner::new());
    let gossip = bench.announce(peer, compact(&block));
    assert_eq!(bench.verdict(gossip), Some(Acceptance::Ignore));
    for nonce in 0..1_000 {
        let header = Header { nonce, ..block.header.clone() };
        bench.announce(peer, CompactBlock { header, short_ids: Vec::new() });
    }
    assert!(bench.jobs.is_empty());
    assert_eq!(bench.sync.usage().pending_blocks, limits::EARLY_PER_PEER);
    for number in 0..20 {
        let other = bench.peer(10 + number, &Miner::new());
        let header = Header { nonce: 2_000 + number, ..block.header.clone() };
        bench.announce(other, CompactBlock { header, short_ids: Vec::new() });
    }
    assert_eq!(bench.sync.usage().pending_blocks, limits::EARLY_BLOCKS);
    assert_eq!(bench.score(peer), Some(0));
    bench.skew = 7_000;
    bench.tick();
    bench.check_all();
    assert_eq!(bench.miner.chain.tip_id(), block.header.id(NETWORK));
}

/// A flood of operations: so many are checked, the rest is ignored, then the peer is banned.
#[test]
fn a_flood_of_operations_is_bounded() {
    let mut bench = Bench::new();
    let peer = bench.peer(1, &Miner::new());
    let anchor = bench.miner.chain.tip_id();
    for number in 0..2_000 {
        bench.offer(peer, idle_operation(anchor, number));
        if bench.is_banned(peer) {
            break;
        }
        assert!(bench.sync.usage().operations <= limits::OPERATIONS);
        assert!(bench.jobs.len() <= limits::OPERATIONS);
        if bench.jobs.len() == limits::OPERATIONS {
            // As if they were slowly done, and all sound and refused.
            for (job, what) in std::mem::take(&mut bench.jobs) {
                if let Job::Operation { operation, .. } = what {
                    let outcome = namechain_core::sync::JobOutcome::Operation(operation);
                    bench.event(Event::JobDone { job, outcome });
                }
            }
        }
    }
    assert_eq!(bench.banned, [(peer, Misbehavior::Flood)]);
}

/// An operation whose stamp is a lie is checked once, whoever tells it, and bans all who do. One
/// that is anchored elsewhere is not even looked at.
#[test]
fn bad_operations_ban() {
    let mut bench = Bench::new();
    let anchor = bench.miner.chain.tip_id();
    let peers: Vec<_> = (1..=4).map(|number| bench.peer(number, &Miner::new())).collect();
    let first = bench.offer(peers[0], bad_operation(anchor, 1));
    let second = bench.offer(peers[1], bad_operation(anchor, 1));
    assert_eq!(bench.jobs.len(), 1);
    bench.check_all();
    assert_eq!(
        (bench.verdict(first), bench.verdict(second)),
        (Some(Acceptance::Reject), Some(Acceptance::Reject))
    );
    let third = bench.offer(peers[2], bad_operation(anchor, 1));
    assert!(bench.jobs.is_empty());
    assert_eq!(bench.verdict(third), Some(Acceptance::Reject));
    assert!(peers[..3].iter().all(|peer| bench.is_banned(*peer)));
    let elsewhere = bench.offer(peers[3], bad_operation(Hash([1; 32]), 1));
    assert!(bench.jobs.is_empty());
    assert_eq!(
        (bench.verdict(elsewhere), bench.score(peers[3])),
        (Some(Acceptance::Ignore), Some(0))
    );
}

/// At the date of an upgrade clocks differ by seconds, and some programs are old: what is signed
/// under the rules before or after ours is no use, and nobody is to blame.
#[test]
fn operations_of_the_next_branch_ban_nobody() {
    let mut bench = Bench::new();
    let branch = context().branch;
    for (number, signed_for, expected) in [
        (1, branch - 1, Acceptance::Ignore),
        (2, branch + 1, Acceptance::Ignore),
        (3, branch + 2, Acceptance::Reject),
    ] {
        let signing = SigningContext { branch: signed_for, ..context() };
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let named = SignedOperation::sign(
            &signing,
            name("nobody-has-this"),
            Hash::ZERO,
            NOW + 3_600,
            namechain_core::types::Action::Revoke,
            &key(1),
            stamp,
        );
        let work = 10 * bench.miner.price();
        let operation = bench.miner.stamped(Operation::Named(named), work);
        let peer = bench.peer(number, &Miner::new());
        let gossip = bench.offer(peer, operation);
        bench.check_all();
        assert_eq!(bench.verdict(gossip), Some(expected), "signed for branch {signed_for}");
        assert_eq!(bench.is_banned(peer), expected == Acceptance::Reject, "{signed_for}");
    }
}

/// What waits elsewhere is found out by asking, and told to others if it is little.
#[test]
fn what_waits_at_a_peer_is_fetched() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let commits: Vec<Operation> =
        (1..=3).map(|k| other.commit(&name("alice-example"), &key(k))).collect();
    let peer = bench.peer(1, &Miner::new());
    bench.tick();
    let (id, request) = bench.request(peer).unwrap();
    assert_eq!(request, Request::Pending);
    bench.answer(
        peer,
        id,
        Response::Pending(commits.iter().map(|commit| commit.id(NETWORK)).collect()),
    );
    let (id, request) = bench.request(peer).unwrap();
    assert!(matches!(request, Request::Operations { ids } if ids.len() == 3));
    bench.answer(peer, id, Response::Operations(commits.clone()));
    bench.check_all();
    assert_eq!((bench.mempool.len(), bench.offered.len()), (3, 3));
    // What it did not say it had.
    bench.now += limits::PENDING_EVERY_MS;
    bench.tick();
    let (id, _) = bench.request(peer).unwrap();
    bench.answer(peer, id, Response::Pending(vec![Hash([1; 32])]));
    let (id, _) = bench.request(peer).unwrap();
    bench.answer(peer, id, Response::Operations(commits));
    assert_eq!(bench.score(peer), Some(-50));
}

/// Our own user's operation and our own block are told to everybody.
#[test]
fn our_own_is_told() {
    let mut bench = Bench::new();
    let commit = bench.miner.commit(&name("alice-example"), &key(1));
    let id = bench.mempool.insert(&bench.miner.chain, commit.clone(), bench.miner.now).unwrap();
    bench.event(Event::OperationSubmitted {
        id,
        outcome: namechain_core::sync::SubmitOutcome::Accepted,
    });
    assert_eq!(bench.offered, std::slice::from_ref(&commit));
    let block = bench.miner.mine(&[commit]);
    bench.event(Event::BlockMined { block: block.clone() });
    assert_eq!(bench.announced, [compact(&block)]);
}
