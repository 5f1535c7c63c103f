//! Blocks that were asked for: withheld, late, other ones, bad ones, too many.

use namechain_core::{
    codec::Encode,
    params::BLOCKS_KEPT,
    sync::{
        Misbehavior, Peer, SyncReason, limits,
        message::{Hello, Request, Response},
    },
    types::{Block, Hash, ops_root},
};

use crate::{
    bench::{Bench, bytes, compact, headers, hello, worked},
    common::{Miner, NETWORK, NOW},
};

fn chain_of(blocks: u32) -> Miner {
    let mut chain = Miner::timeless();
    (0..blocks).for_each(|_| _ = chain.mine(&[]));
    chain
}

/// Lets a peer show headers; its requests for blocks stay with the test.
fn show(bench: &mut Bench, peer: Peer, shown: &[namechain_core::types::Header]) {
    while let Some(at) = bench
        .asked
        .iter()
        .position(|(to, _, what)| *to == peer && matches!(what, Request::Headers { .. }))
    {
        let (_, id, _) = bench.asked.remove(at);
        bench.answer(peer, id, Response::Headers(shown.to_vec()));
        bench.check_all();
    }
}

fn wants_blocks(
    bench: &mut Bench,
    peer: Peer,
) -> Option<(namechain_core::sync::RequestId, Vec<Hash>)> {
    let at = bench
        .asked
        .iter()
        .position(|(to, _, what)| *to == peer && matches!(what, Request::Blocks { .. }))?;
    match bench.asked.remove(at) {
        (_, id, Request::Blocks { ids }) => Some((id, ids)),
        _ => None,
    }
}

/// A block that breaks a rule of the state: it is checked once, whoever brings it, and all who had
/// its chain are banned.
#[test]
fn a_bad_block_is_checked_once() {
    let mut bench = Bench::new();
    let mut chain = chain_of(3);
    let mut block = chain.chain.assemble_block(std::iter::empty(), NOW).unwrap();
    block.header.state_root = Hash([1; 32]);
    block.header = worked(&mut chain, block.header, true);
    let id = block.header.id(NETWORK);
    let mut shown = headers(&chain, 0);
    shown.push(block.header.clone());
    let claim = Hello { tip: id, height: 4, work: chain.chain.work() + 1, ..hello(&chain) };
    let evil = bench.greeted(1, claim.clone());
    let other = bench.greeted(2, claim.clone());
    let honest = bench.peer(3, &chain);
    show(&mut bench, evil, &shown);
    show(&mut bench, other, &shown);
    show(&mut bench, honest, &headers(&chain, 0));
    let give = |bench: &mut Bench, peer: Peer| {
        while let Some((request, ids)) = wants_blocks(bench, peer) {
            let blocks = ids.iter().map(|wanted| {
                if *wanted == id {
                    bytes(&block)
                } else {
                    bytes(&chain.chain.read_block(wanted).unwrap())
                }
            });
            let blocks = blocks.collect();
            bench.answer(peer, request, Response::Blocks(blocks));
            bench.check_all();
        }
    };
    for peer in [evil, other, honest] {
        give(&mut bench, peer);
    }
    assert_eq!(bench.miner.chain.tip_id(), chain.chain.tip_id(), "what is sound of it stays");
    assert!(bench.is_banned(evil) && bench.is_banned(other) && !bench.is_banned(honest));
    assert_eq!(bench.checked.get(&id), Some(&1));
    // Whoever comes with it again is banned for it, and it is not looked at.
    let again = bench.peer(4, &Miner::new());
    let gossip = bench.announce(again, compact(&block));
    assert_eq!(bench.verdict(gossip), Some(namechain_core::sync::Acceptance::Reject));
    assert!(bench.is_banned(again));
    assert_eq!(bench.checked.get(&id), Some(&1));
    let claims_it = bench.greeted(5, claim);
    assert!(bench.is_banned(claims_it), "whoever has it as its tip");
}

/// Another body under the same header is its giver's fault alone: the block comes from somebody
/// else.
#[test]
fn another_body_is_its_givers_fault() {
    let mut bench = Bench::new();
    let chain = chain_of(2);
    let evil = bench.peer(1, &chain);
    show(&mut bench, evil, &headers(&chain, 0));
    let (request, ids) = wants_blocks(&mut bench, evil).unwrap();
    let spoilt = ids.iter().map(|id| {
        let block = chain.chain.read_block(id).unwrap();
        let mut operations =
            bench.miner.chain.read_block(&bench.miner.chain.tip_id()).unwrap().operations;
        let commit = namechain_core::types::Operation::Commit {
            commitment: Hash([1; 32]),
            stamp: namechain_core::types::Stamp { anchor: Hash([1; 32]), work: 1, nonce: 1 },
        };
        operations.push(commit);
        assert_ne!(ops_root(NETWORK, &operations), block.header.ops_root);
        Block { header: block.header, operations }.to_bytes()
    });
    let spoilt = spoilt.collect();
    bench.answer(evil, request, Response::Blocks(spoilt));
    bench.check_all();
    assert_eq!(bench.banned, [(evil, Misbehavior::BrokenRule)]);
    let honest = bench.peer(2, &chain);
    bench.serve(honest, &chain);
    bench.ticks(3);
    bench.serve(honest, &chain);
    assert_eq!(bench.miner.chain.tip_header().height, 2);
}

/// Other blocks than were asked for, or more of them.
#[test]
fn other_blocks_cost_points() {
    for extra in [false, true] {
        let mut bench = Bench::new();
        let chain = chain_of(2);
        let peer = bench.peer(1, &chain);
        show(&mut bench, peer, &headers(&chain, 0));
        let (request, ids) = wants_blocks(&mut bench, peer).unwrap();
        let mut blocks: Vec<_> =
            ids.iter().map(|id| bytes(&chain.chain.read_block(id).unwrap())).collect();
        if extra {
            blocks.push(blocks[0].clone())
        } else {
            blocks.reverse()
        }
        bench.answer(peer, request, Response::Blocks(blocks));
        assert_eq!(bench.score(peer), Some(-50));
        assert_eq!(bench.miner.chain.tip_header().height, 0);
    }
}

/// Who shows headers and has no blocks claims what it can't show.
#[test]
fn who_has_no_blocks_is_banned_in_the_end() {
    let mut bench = Bench::new();
    let chain = chain_of(3);
    let peer = bench.peer(1, &chain);
    for _ in 0..300 {
        show(&mut bench, peer, &headers(&chain, 0));
        while let Some((request, _)) = wants_blocks(&mut bench, peer) {
            bench.answer(peer, request, Response::Blocks(Vec::new()));
        }
        if bench.is_banned(peer) {
            break;
        }
        bench.tick();
        bench.event(namechain_core::sync::Event::HelloReceived { peer, hello: hello(&chain) });
    }
    assert_eq!(bench.banned, [(peer, Misbehavior::Lied)]);
}

/// The lowest missing block is late: somebody else is asked for it, before the first one's time is
/// up.
#[test]
fn a_stalled_block_is_asked_of_somebody_else() {
    let mut bench = Bench::new();
    let chain = chain_of(3);
    let (slow, quick) = (bench.peer(1, &chain), bench.peer(2, &chain));
    show(&mut bench, slow, &headers(&chain, 0));
    show(&mut bench, quick, &headers(&chain, 0));
    let (first, second) = match wants_blocks(&mut bench, slow) {
        Some(_) => (slow, quick),
        None => {
            wants_blocks(&mut bench, quick).unwrap();
            (quick, slow)
        }
    };
    assert_eq!(wants_blocks(&mut bench, second), None);
    let before = bench.now;
    let asked = loop {
        bench.tick();
        if let Some(asked) = wants_blocks(&mut bench, second) {
            break asked;
        }
    };
    assert!(bench.now - before <= limits::STALL_MS + 1_000);
    let blocks = asked.1.iter().map(|id| bytes(&chain.chain.read_block(id).unwrap())).collect();
    bench.answer(second, asked.0, Response::Blocks(blocks));
    bench.check_all();
    assert_eq!(bench.miner.chain.tip_header().height, 3);
    assert_eq!(bench.score(first), Some(0), "late is no misbehavior");
}

/// A peer that has pruned the blocks that come next is not asked for them, and not blamed; one that
/// keeps them is.
#[test]
fn pruned_blocks_are_asked_of_others() {
    let mut bench = Bench::new();
    let chain = chain_of(5);
    let pruned = bench.greeted(1, Hello { first_block: 3, ..hello(&chain) });
    show(&mut bench, pruned, &headers(&chain, 0));
    bench.ticks(60);
    assert!(wants_blocks(&mut bench, pruned).is_none());
    assert_eq!(bench.sync.status(&bench.miner.chain).why, SyncReason::Pruned);
    assert_eq!(bench.score(pruned), Some(0));

    let full = bench.peer(2, &chain);
    show(&mut bench, full, &headers(&chain, 0));
    bench.ticks(1);
    while let Some((request, ids)) = wants_blocks(&mut bench, full) {
        let blocks = ids.iter().map(|id| bytes(&chain.chain.read_block(id).unwrap())).collect();
        bench.answer(full, request, Response::Blocks(blocks));
        bench.check_all();
    }
    let mut from_pruned = Vec::new();
    while let Some((request, ids)) = wants_blocks(&mut bench, pruned) {
        from_pruned.extend(ids.iter().map(|id| chain.chain.read_block(id).unwrap().header.height));
        let blocks = ids.iter().map(|id| bytes(&chain.chain.read_block(id).unwrap())).collect();
        bench.answer(pruned, request, Response::Blocks(blocks));
        bench.check_all();
    }
    assert!(from_pruned.iter().all(|height| *height >= 3), "{from_pruned:?}");
    assert_eq!(bench.miner.chain.tip_header().height, 5);
    assert_eq!((bench.score(pruned), bench.score(full)), (Some(0), Some(0)));
}

/// A peer that prunes more after its hello gives nothing once, without blame; then it is asked only
/// for what everybody keeps. One that says that it keeps all, or has to keep a block, is blamed.
#[test]
fn blocks_pruned_since_the_hello_are_no_lie() {
    let chain = chain_of(5);
    let far = Hello { height: 5 + BLOCKS_KEPT, ..hello(&chain) };
    for (first_block, height, score) in [(1, far.height, 0), (0, far.height, -50), (1, 5, -50)] {
        let mut bench = Bench::new();
        let peer = bench.greeted(1, Hello { first_block, height, ..far.clone() });
        show(&mut bench, peer, &headers(&chain, 0));
        let (request, _) = wants_blocks(&mut bench, peer).expect("it has them, as far as it says");
        bench.answer(peer, request, Response::Blocks(Vec::new()));
        assert_eq!(bench.score(peer), Some(score), "{first_block} {height}");
        if score == 0 {
            bench.ticks(60);
            assert!(wants_blocks(&mut bench, peer).is_none(), "asked only for what all keep");
        }
    }
}

/// Never more than a window's blocks, and never more requests than may be, however long the chain
/// is.
#[test]
fn the_window_is_bounded() {
    let mut bench = Bench::new();
    let chain = chain_of(700);
    let peers: Vec<Peer> = (1..=6).map(|number| bench.peer(number, &chain)).collect();
    for peer in &peers {
        show(&mut bench, *peer, &headers(&chain, 0));
    }
    // All but the lowest come: nothing can be connected.
    let mut withheld = None;
    for _ in 0..50 {
        let mut any = false;
        for peer in &peers {
            while let Some((request, ids)) = wants_blocks(&mut bench, *peer) {
                let first = chain.chain.read_block(&ids[0]).unwrap().header.height == 1;
                if first {
                    withheld = Some((*peer, request));
                    continue;
                }
                any = true;
                let blocks =
                    ids.iter().map(|id| bytes(&chain.chain.read_block(id).unwrap())).collect();
                bench.answer(*peer, request, Response::Blocks(blocks));
                assert!(bench.jobs.len() <= limits::BLOCK_JOBS);
                bench.check_all();
            }
            let in_flight =
                bench.asked.iter().filter(|(_, _, what)| matches!(what, Request::Blocks { .. }));
            assert!(in_flight.count() <= limits::BLOCK_REQUESTS);
        }
        assert!(bench.sync.usage().window <= limits::WINDOW);
        if !any {
            break;
        }
    }
    assert!(withheld.is_some());
    assert_eq!(bench.sync.usage().window, limits::WINDOW);
    assert_eq!(bench.miner.chain.tip_header().height, 0);
}
