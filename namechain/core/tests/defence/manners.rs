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

#[test]
fn who_says_no_hello_is_hung_up_on() {
    let mut bench = Bench::new();
    bench.event(Event::PeerConnected { peer: Peer(1), ip: None, outbound: false });
    bench.event(Event::PeerConnected { peer: Peer(2), ip: None, outbound: true });
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
        bench.event(Event::PeerConnected { peer, ip: None, outbound: true });
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
