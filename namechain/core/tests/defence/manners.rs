//! Peers that do not behave: silent, slow, busy, on another network, with another clock.

use namechain_core::{
    consensus::header::genesis,
    sync::{
        Event, Misbehavior, Peer, RequestError, RequestId, SyncReason, limits,
        message::{Request, Response},
    },
    types::Network,
};

use crate::{
    bench::{Bench, hello},
    common::{Miner, NOW},
};

#[test]
fn another_network_is_banned_at_its_hello() {
    let mut bench = Bench::new();
    let stranger = bench.greeted(
        1,
        namechain_core::sync::message::Hello {
            genesis: genesis(Network::Test).header.id(Network::Test),
            ..hello(&Miner::new())
        },
    );
    assert_eq!(bench.banned, [(stranger, Misbehavior::OtherNetwork)]);
    assert!(bench.sync.peers().is_empty());
}

/// A peer may speak a later version than we do, for it has to understand ours. One that speaks an
/// older one than we understand is of no use, which is nobody's fault.
#[test]
fn a_peer_of_too_old_a_version_is_disconnected() {
    let mut bench = Bench::new();
    let of = |version| namechain_core::sync::message::Hello { version, ..hello(&Miner::new()) };
    let old = bench.greeted(1, of(0));
    let later = bench.greeted(2, of(u16::MAX));
    assert_eq!(bench.hung_up, [(old, "its version of the protocol is too old")]);
    assert!(bench.banned.is_empty());
    assert_eq!(bench.sync.peers().iter().map(|status| status.peer).collect::<Vec<_>>(), [later]);
}

#[test]
fn who_says_no_hello_is_hung_up_on() {
    let mut bench = Bench::new();
    bench.event(Event::PeerConnected {
        peer: Peer(1),
        ip: None,
        outbound: false,
        block_only: false,
    });
    bench.event(Event::PeerConnected {
        peer: Peer(2),
        ip: None,
        outbound: true,
        block_only: false,
    });
    assert!(
        matches!(bench.request(Peer(2)), Some((_, Request::Hello(_)))),
        "the dialler speaks first"
    );
    bench.ticks(9);
    assert!(bench.hung_up.is_empty());
    bench.tick();
    assert_eq!(bench.hung_up.len(), 2);
    assert!(bench.banned.is_empty() && bench.sync.peers().is_empty());
}

/// Late answers bring nothing, too many of them in a row end it, and it is never a ban.
#[test]
fn who_never_answers_is_hung_up_on() {
    let mut bench = Bench::new();
    let mut chain = Miner::timeless();
    chain.mine(&[]);
    let peer = bench.peer(1, &chain);
    let mut requests = 0;
    for _ in 0..400 {
        if let Some((id, _)) = bench.request(peer) {
            requests += 1;
            bench.now += limits::REQUEST_DEADLINE_MS;
            bench.tick();
            bench.answer(peer, id, Response::Headers(Vec::new()));
        }
        bench.tick();
    }
    assert_eq!(requests, usize::from(limits::MAX_TIMEOUTS));
    assert_eq!(bench.hung_up.len(), 1);
    assert!(bench.banned.is_empty());
    assert_eq!(bench.sync.usage().requests, 0);
}

/// The busier it is the longer it is left in peace.
#[test]
fn who_is_busy_is_asked_again_later_and_later() {
    let mut bench = Bench::new();
    let mut chain = Miner::timeless();
    chain.mine(&[]);
    let peer = bench.peer(1, &chain);
    let mut asked_at = Vec::new();
    for _ in 0..200 {
        while let Some((id, request)) = bench.request(peer) {
            if matches!(request, Request::Headers { .. }) {
                asked_at.push(bench.now);
            }
            bench.answer(peer, id, Response::Busy);
        }
        bench.tick();
    }
    let gaps: Vec<u64> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() && gaps.len() < 10, "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= limits::BACKOFF_MAX_MS + 1_000));
    assert_eq!(bench.score(peer), Some(0));
}

/// Failures of the transport change nothing but whom to ask.
#[test]
fn broken_requests_are_not_repeated_at_once() {
    let mut bench = Bench::new();
    let mut chain = Miner::timeless();
    chain.mine(&[]);
    let peer = bench.peer(1, &chain);
    let (request, _) = bench.request(peer).unwrap();
    bench.event(Event::RequestFailed { peer, request, error: RequestError::Closed });
    assert_eq!(bench.request(peer), None);
    bench.ticks(3);
    assert!(bench.request(peer).is_some());
    // What nobody asked for is nothing.
    bench.answer(peer, RequestId(77), Response::Headers(Vec::new()));
    assert_eq!(bench.score(peer), Some(0));
}

#[test]
fn answers_to_other_questions_cost_points() {
    let mut bench = Bench::new();
    let mut chain = Miner::timeless();
    chain.mine(&[]);
    let peer = bench.peer(1, &chain);
    for answer in [Response::Pending(Vec::new()), Response::Blocks(vec![vec![1]])] {
        let (id, _) = bench.request(peer).unwrap();
        bench.answer(peer, id, answer);
        bench.ticks(5);
    }
    assert_eq!(bench.banned, [(peer, Misbehavior::Malformed)]);
}

#[test]
fn the_transport_may_blame_a_peer() {
    let mut bench = Bench::new();
    let peer = bench.peer(1, &Miner::new());
    for _ in 0..5 {
        assert!(!bench.is_banned(peer));
        bench.event(Event::PeerMisbehaved { peer, misbehavior: Misbehavior::Flood });
    }
    assert_eq!(bench.banned, [(peer, Misbehavior::Flood)]);
}

/// What peers' clocks say is told to the operator, and decides nothing.
#[test]
fn clocks_that_are_far_off_are_only_a_warning() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        let peer = Peer(number);
        bench.event(Event::PeerConnected { peer, ip: None, outbound: true, block_only: false });
        let (id, _) = bench.request(peer).unwrap();
        let hello =
            namechain_core::sync::message::Hello { time: NOW + 4_000, ..hello(&Miner::new()) };
        assert_eq!(
            bench.sync.status(&bench.miner.chain).clock_off,
            None,
            "of few, any may be wrong"
        );
        bench.answer(peer, id, Response::Hello(hello));
    }
    let off = bench.sync.status(&bench.miner.chain).clock_off.unwrap();
    assert!((3_990..=4_000).contains(&off), "{off}");
    assert!(bench.banned.is_empty());
}

#[test]
fn synced_and_why() {
    let mut bench = Bench::new();
    let standing = |bench: &Bench| bench.sync.status(&bench.miner.chain);
    assert_eq!((standing(&bench).why, standing(&bench).synced), (SyncReason::NoPeers, false));
    let mut chain = Miner::timeless();
    (0..20).for_each(|_| _ = chain.mine(&[]));
    let peer = bench.peer(1, &chain);
    let asking = standing(&bench);
    assert_eq!((asking.why, asking.synced, asking.target_height), (SyncReason::Asking, false, 20));
    let (id, _) = bench.request(peer).unwrap();
    bench.answer(peer, id, Response::Headers(crate::bench::headers(&chain, 0)));
    assert_eq!(standing(&bench).why, SyncReason::Headers);
    bench.check_all();
    let blocks = standing(&bench);
    assert_eq!((blocks.why, blocks.headers_done, blocks.blocks_done), (SyncReason::Blocks, 20, 0));
    assert_eq!(
        blocks.second_best.map(|(tip, height, _)| (tip, height)),
        Some((chain.chain.tip_id(), 20))
    );
    bench.serve(peer, &chain);
    let done = standing(&bench);
    assert_eq!((done.why, done.synced, done.blocks_done), (SyncReason::AtTip, true, 20));
    assert_eq!(done.second_best, None);
    // Once synced, a few blocks more or less change nothing; many do.
    let hello = |chain: &Miner| hello(chain);
    chain.mine(&[]);
    bench.event(Event::HelloReceived { peer, hello: hello(&chain) });
    assert!(standing(&bench).synced);
    (0..10).for_each(|_| _ = chain.mine(&[]));
    bench.event(Event::HelloReceived { peer, hello: hello(&chain) });
    assert!(standing(&bench).synced, "a claim is nothing");
    bench.tick();
    let (id, _) = bench.request(peer).unwrap();
    bench.answer(peer, id, Response::Headers(crate::bench::headers(&chain, 20)));
    bench.check_all();
    assert!(!standing(&bench).synced, "work that was checked is something");
}

/// A peer for blocks only shows new blocks by its hello, so it is asked for it often. It is asked
/// for nothing else that the others are asked for.
#[test]
fn a_peer_for_blocks_only_says_hello_often_and_is_not_asked_for_operations() {
    let mut bench = Bench::new();
    let chain = Miner::new();
    let peers = [(Peer(1), true), (Peer(2), false)];
    for (peer, block_only) in peers {
        bench.event(Event::PeerConnected { peer, ip: None, outbound: true, block_only });
    }
    let (mut hellos, mut mempools) = ([0; 2], [0; 2]);
    for _ in 0..120 {
        for (at, (peer, _)) in peers.into_iter().enumerate() {
            while let Some((id, request)) = bench.request(peer) {
                match request {
                    Request::Hello(_) => {
                        hellos[at] += 1;
                        bench.answer(peer, id, Response::Hello(hello(&chain)));
                    }
                    Request::Pending => {
                        mempools[at] += 1;
                        bench.answer(peer, id, Response::Pending(Vec::new()));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        bench.tick();
    }
    assert_eq!(hellos, [24, 4]);
    assert_eq!(mempools[0], 0);
    assert!(mempools[1] > 0);
}

/// Lets time pass, in steps of ten seconds; the peers say hello and nothing else.
fn minutes_of_hellos(bench: &mut Bench, minutes: u64, chains: &[(Peer, &Miner)]) {
    for _ in 0..minutes * 6 {
        for (peer, chain) in chains {
            while let Some((id, request)) = bench.request(*peer) {
                match request {
                    Request::Hello(_) => bench.answer(*peer, id, Response::Hello(hello(chain))),
                    Request::Pending => bench.answer(*peer, id, Response::Pending(Vec::new())),
                    other => panic!("{other:?}"),
                }
            }
        }
        bench.now += 9_000;
        bench.tick();
    }
}

/// Peers that we dialled, say hello, and stay behind give their place to others after 20 minutes.
/// Those that were with us once are kept, four of them, and so is whoever dialled us.
#[test]
fn a_peer_that_stays_behind_is_hung_up_on() {
    let mut bench = Bench::new();
    let old = Miner::new();
    let mut behind: Vec<(Peer, &Miner)> = (1..=6).map(|number| (Peer(number), &old)).collect();
    for (peer, _) in &behind[..5] {
        let ip = None;
        bench.event(Event::PeerConnected { peer: *peer, ip, outbound: true, block_only: false });
    }
    minutes_of_hellos(&mut bench, 1, &behind);
    bench.miner.mine(&[]);
    let late = behind[5].0;
    bench.event(Event::PeerConnected { peer: late, ip: None, outbound: true, block_only: true });
    let dialled_us = bench.peer(7, &old);
    behind.push((dialled_us, &old));
    minutes_of_hellos(&mut bench, 18, &behind);
    assert!(bench.hung_up.is_empty());
    minutes_of_hellos(&mut bench, 4, &behind);
    let gone: Vec<Peer> = bench.hung_up.iter().map(|(peer, _)| *peer).collect();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.contains(&late) && !gone.contains(&dialled_us));
    assert!(bench.banned.is_empty());
}

/// Whoever catches up is not behind, however long it takes.
#[test]
fn a_peer_that_catches_up_is_kept() {
    let mut bench = Bench::new();
    let mut other = Miner::new();
    let peer = Peer(1);
    (0..3).for_each(|_| _ = bench.miner.mine(&[]));
    bench.event(Event::PeerConnected { peer, ip: None, outbound: true, block_only: false });
    for _ in 0..4 {
        minutes_of_hellos(&mut bench, 15, &[(peer, &other)]);
        other = Miner::new();
        let height = bench.miner.chain.tip_header().height;
        (0..height).for_each(|_| _ = other.mine(&[]));
        bench.miner.mine(&[]);
    }
    assert!(bench.hung_up.is_empty());
}

/// While the tip does not move, one peer more is dialled every ten minutes, from the 30th on.
#[test]
fn a_tip_that_does_not_move_has_one_peer_more_dialled() {
    let mut bench = Bench::new();
    let chain = Miner::new();
    let peer = Peer(1);
    bench.event(Event::PeerConnected { peer, ip: None, outbound: true, block_only: false });
    minutes_of_hellos(&mut bench, 29, &[(peer, &chain)]);
    assert_eq!(bench.extra_dials, 0);
    minutes_of_hellos(&mut bench, 22, &[(peer, &chain)]);
    assert_eq!(bench.extra_dials, 3);
    bench.miner.mine(&[]);
    minutes_of_hellos(&mut bench, 29, &[(peer, &chain)]);
    assert_eq!(bench.extra_dials, 3);
}
