//! Headers: lies, floods, chains without work and of little work.

use namechain_core::{
    consensus::{difficulty::next_due, header::genesis},
    sync::{
        Misbehavior, Peer, RequestId, SyncReason, limits,
        message::{Hello, MAX_HEADERS, MAX_LOCATOR, Request, Response},
    },
    types::{Hash, Header},
};

use crate::{
    bench::{Bench, headers, hello, worked},
    common::{Miner, NETWORK, NOW},
};

fn chain_of(blocks: u32) -> Miner {
    let mut chain = Miner::timeless();
    (0..blocks).for_each(|_| _ = chain.mine(&[]));
    chain
}

/// A chain that is another one from its first block on.
fn other_chain_of(blocks: u32, salt: u8) -> Miner {
    let mut chain = Miner::timeless();
    if blocks > 0 {
        let commit = chain.commit(&crate::common::name("alice-example"), &crate::common::key(salt));
        chain.mine(&[commit]);
    }
    (1..blocks).for_each(|_| _ = chain.mine(&[]));
    chain
}

/// A claim that is not shown costs, and is soon the last one.
#[test]
fn who_claims_more_than_it_shows_is_banned() {
    let mut bench = Bench::new();
    let mut chain = chain_of(3);
    let claim = Hello { work: u128::MAX, height: u32::MAX, tip: Hash([8; 32]), ..hello(&chain) };
    let liar = bench.greeted(1, claim.clone());
    bench.serve(liar, &chain);
    assert_eq!(bench.miner.chain.tip_header().height, 3, "what it has is taken all the same");
    assert_eq!(bench.score(liar), Some(-50));
    bench.ticks(20);
    bench.event(namechain_core::sync::Event::HelloReceived { peer: liar, hello: claim });
    bench.serve(liar, &chain);
    assert_eq!(bench.banned, [(liar, Misbehavior::Lied)]);
    assert_eq!(bench.sync.usage().candidates, 0);
    chain.mine(&[]);
}

/// A claim about a block that we have is looked up, not asked about.
#[test]
fn a_claim_of_more_work_for_a_known_tip_is_a_lie() {
    let mut bench = Bench::new();
    let claim = Hello { work: 1_000, ..hello(&bench.miner) };
    let liar = bench.greeted(1, claim);
    assert_eq!(bench.request(liar), None);
    assert_eq!(bench.score(liar), Some(-50));
}

/// Headers without work: nothing of them is kept, and their peer is banned. What others have shown
/// stays.
#[test]
fn headers_without_work_ban() {
    let mut bench = Bench::new();
    let mut chain = chain_of(5);
    let honest = bench.peer(1, &chain);
    let evil =
        bench.greeted(2, Hello { work: 100, height: 8, tip: Hash([8; 32]), ..hello(&chain) });
    let (id, _) = bench.request(honest).unwrap();
    bench.answer(honest, id, Response::Headers(headers(&chain, 0)));
    let mut shown = headers(&chain, 0);
    let end = chain.chain.ancestry(&chain.chain.tip_id()).unwrap().unwrap();
    let last = shown.last().unwrap().clone();
    let bad = Header {
        height: 6,
        previous: end.id(),
        history_root: end.history_root(),
        time: last.time + 1,
        ..last
    };
    shown.push(worked(&mut chain, bad, false));
    let (id, _) = bench.request(evil).unwrap();
    bench.answer(evil, id, Response::Headers(shown));
    bench.check_all();
    assert_eq!(bench.banned, [(evil, Misbehavior::BrokenRule)]);
    bench.serve(honest, &chain);
    assert_eq!(bench.miner.chain.tip_header().height, 5);
}

/// Headers that do not fit together, or not on what was asked for, are seen before any work is
/// looked at.
#[test]
fn headers_that_do_not_fit_cost_no_work() {
    let chain = chain_of(4);
    let good = headers(&chain, 0);
    let mut gap = good.clone();
    gap.remove(1);
    let mut wrong_time = good.clone();
    wrong_time[0].time = 0;
    let cases = [gap, good[1..].to_vec(), wrong_time];
    for (number, case) in (1..).zip(cases) {
        let mut bench = Bench::new();
        let peer = bench.peer(number, &chain);
        let (id, _) = bench.request(peer).unwrap();
        bench.answer(peer, id, Response::Headers(case));
        assert!(bench.jobs.is_empty(), "case {number}");
        assert!(bench.score(peer).is_none_or(|score| score < 0), "case {number}");
        assert_eq!(bench.sync.usage().candidates, 0, "case {number}");
    }
}

/// Of a chain of less work than ours nothing is kept and no block is fetched.
#[test]
fn a_poorer_chain_is_not_followed() {
    let mut bench = Bench::new();
    (0..6).for_each(|_| _ = bench.miner.mine(&[]));
    let poorer = other_chain_of(4, 1);
    let peer = bench.greeted(1, Hello { work: 50, tip: Hash([8; 32]), ..hello(&poorer) });
    while let Some((id, request)) = bench.request(peer) {
        match request {
            Request::Headers { locator } => {
                assert!(locator.len() <= MAX_LOCATOR);
                bench.answer(peer, id, Response::Headers(headers(&poorer, 0)));
            }
            Request::Pending => bench.answer(peer, id, Response::Pending(Vec::new())),
            other => panic!("{other:?}"),
        }
        bench.check_all();
    }
    assert_eq!(bench.sync.usage().candidates, 0);
    assert_eq!(bench.score(peer), Some(-50), "it had claimed more");
}

/// Headers that claim no more work than our chain has are not checked: the sum is free.
#[test]
fn a_poorer_chain_costs_no_checks() {
    let mut bench = Bench::new();
    (0..6).for_each(|_| _ = bench.miner.mine(&[]));
    let poorer = other_chain_of(4, 1);
    let peer = bench.greeted(1, Hello { work: 50, tip: Hash([8; 32]), ..hello(&poorer) });
    let (id, request) = bench.request(peer).unwrap();
    assert!(matches!(request, Request::Headers { .. }));
    bench.answer(peer, id, Response::Headers(headers(&poorer, 0)));
    assert!(bench.jobs.is_empty(), "{:?}", bench.jobs);
    assert_eq!((bench.sync.usage().candidates, bench.score(peer)), (0, Some(-50)));
}

/// Each of many peers shows a chain of its own: no more than a few are remembered, the best of them
/// at last.
#[test]
fn many_chains_are_too_many() {
    let mut bench = Bench::new();
    let chains: Vec<Miner> =
        (0..20).map(|salt| other_chain_of(2 + u32::from(salt), salt)).collect();
    let mut peers = Vec::new();
    for (number, chain) in (1..).zip(&chains) {
        peers.push(bench.peer(number, chain));
    }
    for _ in 0..200 {
        for (peer, chain) in peers.iter().zip(&chains) {
            // Headers only: nobody gives blocks.
            if let Some((id, request)) = bench.request(*peer) {
                let answer = match request {
                    Request::Headers { .. } => Response::Headers(headers(chain, 0)),
                    Request::Blocks { .. } => Response::Busy,
                    _ => continue,
                };
                bench.answer(*peer, id, answer);
            }
            let kept = bench.sync.usage();
            assert!(kept.candidates <= limits::CANDIDATES, "{kept:?}");
        }
        bench.check_all();
        bench.tick();
    }
    assert_eq!(bench.sync.usage().candidates, limits::CANDIDATES);
    // The last one is the best, and somebody gives it at last.
    bench.serve(peers[19], &chains[19]);
    for _ in 0..100 {
        bench.tick();
        bench.serve(peers[19], &chains[19]);
    }
    assert_eq!(bench.miner.chain.tip_id(), chains[19].chain.tip_id());
}

/// A header too far ahead of the clock ends what is taken; nobody is to blame, and the rest comes
/// when it is time.
#[test]
fn headers_of_the_future_wait() {
    let mut bench = Bench::new();
    let mut chain = chain_of(2);
    let mut block = chain.chain.assemble_block(std::iter::empty(), NOW + 2_000).unwrap();
    block.header = worked(&mut chain, block.header, true);
    chain.chain.accept(&block, NOW + 2_000, true).unwrap();
    let peer = bench.peer(1, &chain);
    bench.serve(peer, &chain);
    assert_eq!(bench.miner.chain.tip_header().height, 2);
    assert_eq!(bench.score(peer), Some(0));
    let status = bench.sync.status(&bench.miner.chain);
    assert_eq!((status.why, status.synced), (SyncReason::ClockBehind, false), "our clock is slow");
    let at_tip = bench.peer(2, &chain_of(2));
    bench.tick();
    assert!(bench.sync.status(&bench.miner.chain).synced, "one of two peers proves nothing");
    bench.event(namechain_core::sync::Event::PeerDisconnected { peer: at_tip });
    bench.skew = 2_000;
    bench.event(namechain_core::sync::Event::HelloReceived { peer, hello: hello(&chain) });
    bench.ticks(4);
    bench.serve(peer, &chain);
    assert_eq!(bench.miner.chain.tip_id(), block.header.id(NETWORK));
}

/// However often somebody shows a chain, nobody is asked for it in circles.
#[test]
fn headers_in_circles_end() {
    let mut bench = Bench::new();
    let chain = chain_of(1);
    let claim = Hello { work: 1_000_000, tip: Hash([8; 32]), ..hello(&chain) };
    let peer = bench.greeted(1, claim);
    let mut requests = 0;
    for _ in 0..100 {
        while let Some((id, request)) = bench.request(peer) {
            if let Request::Headers { .. } = request {
                requests += 1;
                bench.answer(peer, id, Response::Headers(headers(&chain, 0)));
                bench.check_all();
            }
        }
        bench.tick();
    }
    assert!(requests <= 2, "{requests}");
}

/// A chain whose headers fill an answer to the last place ends with an answer without any.
#[test]
fn a_chain_as_long_as_an_answer_is_followed_to_its_end() {
    let mut chain = chain_of(MAX_HEADERS as u32 - 1);
    for _ in 0..3 {
        let mut bench = Bench::new();
        let peer = bench.peer(1, &chain);
        for _ in 0..4 {
            bench.serve(peer, &chain);
            bench.tick();
        }
        assert_eq!(
            bench.miner.chain.tip_id(),
            chain.chain.tip_id(),
            "{}",
            bench.miner.chain.tip_header().height
        );
        chain.mine(&[]);
    }
}

/// A chain that is longer than times may run ahead of the clock, but for one that is later.
fn long_chain_of(blocks: u32, later: u64) -> Miner {
    long_chain_with(blocks, later, 0)
}

/// Another one from its first block on, by its nonces.
fn long_chain_with(blocks: u32, later: u64, salt: u8) -> Miner {
    let mut chain = Miner::new();
    extend(&mut chain, blocks, later, salt);
    chain
}

fn extend(chain: &mut Miner, blocks: u32, later: u64, salt: u8) {
    for _ in 0..blocks {
        let mut block = chain.chain.assemble_block(std::iter::empty(), NOW).unwrap();
        block.header.nonce = u64::from(salt) << 32;
        block.header = worked(chain, block.header, true);
        chain.chain.accept(&block, NOW + later, true).unwrap();
    }
}

/// ```text
///         /- 301 - ... - 400
/// 0 - 300 +
///         \- 301' - ... - 401'
/// ```
/// A node whose checks are slow. While the headers of the poorer chain are being checked, another
/// peer shows the richer one, which can't be placed before it is known where it departs. That peer
/// is put off, and waited for: no block of the poorer chain is fetched.
#[test]
fn who_is_put_off_by_slow_checks_is_waited_for() {
    let later = 1_000;
    let mut poorer = long_chain_of(300, later);
    let mut richer = poorer.copy();
    extend(&mut poorer, 100, later, 0);
    extend(&mut richer, 101, later, 1);
    let mut bench = Bench::new();
    bench.skew = later;
    let peers = [(bench.peer(1, &poorer), &poorer), (bench.peer(2, &richer), &richer)];
    for (peer, chain) in peers {
        let (id, _) = bench.request(peer).unwrap();
        bench.answer(peer, id, Response::Headers(headers(chain, 0)));
    }
    bench.check_all();
    for _ in 0..10 {
        for (peer, chain) in peers {
            bench.serve(peer, chain);
        }
        let ours = &bench.miner.chain;
        assert_eq!(ours.best_chain_height(&poorer.chain.tip_id()).unwrap(), None);
        bench.tick();
    }
    assert_eq!(bench.miner.chain.tip_id(), richer.chain.tip_id());
}

/// Two headers without work beside a chain's last one: they claim more than it has.
fn claim_beside(chain: &mut Miner, salt: u64) -> Vec<Header> {
    let mut shown = headers(chain, 0);
    let last = shown.pop().unwrap();
    let mut end = chain.chain.ancestry(&last.previous).unwrap().unwrap();
    for number in 0..2 {
        let header = Header {
            height: last.height + number,
            previous: end.id(),
            history_root: end.history_root(),
            time: last.time + u64::from(number),
            due: next_due(NETWORK.params(), end.header()),
            nonce: salt << 8,
            ..last.clone()
        };
        let header = worked(chain, header, false);
        end.extend_unchecked(header.id(NETWORK), &header).unwrap();
        shown.push(header);
    }
    shown
}

/// A fresh node fetches 1,900 blocks from an honest peer, whose answers take a second, and its
/// checks are done once a second. Each second somebody else comes, shows two headers without work
/// beside the chain's last one, which claim more, and leaves before they are checked. That costs
/// the node half a minute and no more.
#[test]
fn claims_without_work_do_not_stop_a_download() {
    let mut chain = long_chain_of(1_900, 2_000);
    let mut bench = Bench::new();
    bench.skew = 2_000;
    let honest = bench.peer(1, &chain);
    let (id, _) = bench.request(honest).unwrap();
    bench.answer(honest, id, Response::Headers(headers(&chain, 0)));
    bench.check_all();
    for second in 0..60 {
        let asked: Vec<_> = std::iter::from_fn(|| bench.request(honest)).collect();
        let claim = Hello { work: u128::MAX, tip: Hash([9; 32]), ..hello(&chain) };
        let attacker = bench.greeted(2 + second, claim);
        if let Some((id, Request::Headers { .. })) = bench.request(attacker) {
            bench.answer(attacker, id, Response::Headers(claim_beside(&mut chain, second)));
        }
        bench.event(namechain_core::sync::Event::PeerDisconnected { peer: attacker });
        for (id, request) in asked {
            let answer = bench.answer_of(&request, &chain);
            bench.answer(honest, id, answer);
        }
        bench.check_all();
        bench.tick();
    }
    assert_eq!(bench.miner.chain.tip_header().height, 1_900);
}

/// A fresh node, three honest peers with a long chain, and an attacker with a short one who also
/// has, as nine others, the long one's headers and takes his time to give them: he may neither hold
/// the long chain up until the node gives up waiting, nor lead the node so far that the long one
/// can't be followed any more.
#[test]
fn a_slow_peer_does_not_capture_a_fresh_node() {
    let later = 1_000;
    let long = long_chain_of(2 * MAX_HEADERS as u32 + 300, later);
    let short = other_chain_of(760, 1);
    let mut bench = Bench::new();
    bench.skew = later;
    // He is asked first, for he was there first.
    let attacker = bench.peer(1, &short);
    let slow: Vec<Peer> = (2..=10).map(|number| bench.peer(number, &long)).collect();
    let honest: Vec<Peer> = (11..=13).map(|number| bench.peer(number, &long)).collect();
    let mut kept: Vec<(u64, Peer, RequestId, Request)> = Vec::new();
    for _ in 0..60 {
        for peer in &slow {
            while let Some((id, request)) = bench.request(*peer) {
                // Headers just before the deadline, and no block ever.
                if matches!(request, Request::Headers { .. }) {
                    kept.push((bench.now + 14_000, *peer, id, request));
                }
            }
        }
        let now = bench.now;
        for (_, peer, id, request) in kept.extract_if(.., |(at, ..)| *at <= now) {
            bench.answer_as(peer, id, &request, &long);
        }
        bench.serve(attacker, &short);
        for peer in &honest {
            bench.serve(*peer, &long);
        }
        bench.check_all();
        let chain = &bench.miner.chain;
        assert!(
            chain.tip_header().height == 0
                || chain.best_chain_height(&short.chain.tip_id()).unwrap().is_none(),
            "the short chain was followed"
        );
        bench.tick();
    }
    assert_eq!(
        bench.miner.chain.tip_id(),
        long.chain.tip_id(),
        "{}",
        bench.miner.chain.tip_header().height
    );
    assert!(bench.parked_tip.is_empty());
    assert!(honest.iter().all(|peer| bench.score(*peer) == Some(0)));
}

/// What a bench has had checked of headers.
fn checked_headers(bench: &Bench) -> usize {
    let of = |job: &namechain_core::sync::Job| match job {
        namechain_core::sync::Job::Headers(headers) => headers.len(),
        _ => 0,
    };
    bench.jobs.iter().map(|(_, job)| of(job)).sum()
}

/// Answers for headers until there are no more requests. `known` is the chain whose ids are looked
/// for in the locator; what `shows` gives, by how many answers there were and how many headers of
/// `known` the asker has, is cut to an answer's length. Gives how many headers were checked.
fn show(
    bench: &mut Bench,
    peer: Peer,
    shows: impl Fn(usize, usize) -> Vec<Header>,
    known: &[Header],
    base: Hash,
) -> usize {
    let (mut checked, mut answers) = (0, 0);
    while let Some((id, request)) = bench.request(peer) {
        let answer = match request {
            Request::Headers { locator } => {
                let after = |wanted: &Hash| {
                    let at = known.iter().position(|header| header.id(NETWORK) == *wanted);
                    at.map(|at| at + 1).or((*wanted == base).then_some(0))
                };
                let from = locator.iter().find_map(after).unwrap_or(0);
                let mut headers = shows(answers, from);
                headers.truncate(MAX_HEADERS);
                answers += 1;
                Response::Headers(headers)
            }
            Request::Pending => Response::Pending(Vec::new()),
            _ => Response::Busy,
        };
        bench.answer(peer, id, answer);
        checked += checked_headers(bench);
        bench.check_all();
    }
    checked
}

/// A long chain that may be poor is walked along before its headers are checked.
///
/// One of little work, by a peer that claims more, costs a few checks. A peer that shows another
/// chain than the one that it has claimed the sum of has lied, and costs no more. One that sums
/// more in the end is shown twice, checked and followed.
#[test]
fn a_long_chain_is_walked_along_before_it_is_checked() {
    let (mut bench, later) = (Bench::new(), 1_000);
    let (most, base) = (MAX_HEADERS as u32, genesis(NETWORK).header.id(NETWORK));
    bench.skew = later;
    bench.miner = long_chain_of(most + 200, later);
    let poor = long_chain_with(most + 100, later, 1);
    let better = long_chain_with(most + 300, later, 2);
    let (cheap, good) = (headers(&poor, 0), headers(&better, 0));

    let claim = Hello { work: u128::MAX / 2, tip: Hash([8; 32]), ..hello(&poor) };
    let peer = bench.greeted(1, claim);
    let checked = show(&mut bench, peer, |_, from| cheap[from..].to_vec(), &cheap, base);
    assert!((2..=8).contains(&checked), "{checked} of {}", cheap.len());
    assert_eq!(bench.score(peer), Some(-50), "it had claimed more");

    let peer = bench.peer(2, &better);
    let shows = |answers: usize, from: usize| match (answers, from) {
        (0, _) => good.clone(),
        (_, 0) => cheap.clone(),
        (_, from) => good[from..].to_vec(),
    };
    let checked = show(&mut bench, peer, shows, &good, base);
    assert!(checked <= 8, "{checked}");
    assert_eq!((bench.score(peer), bench.sync.usage().candidates), (Some(-50), 0));

    let peer = bench.peer(3, &better);
    for _ in 0..20 {
        bench.serve(peer, &better);
        bench.tick();
    }
    assert_eq!(bench.miner.chain.tip_id(), better.chain.tip_id());
    assert_eq!(bench.score(peer), Some(0));
}
