//! The fast path's responses equal the slow path's.

use std::{net::Ipv4Addr, sync::atomic::Ordering, time::Duration};

use proptest::prelude::*;

use super::{
    cacheable::Servable,
    lookup::FastOutcome,
    testing::{BOTH, assert_same, furnished, query},
};
use crate::{
    chain::mount::{Mounts, Suffixes},
    dns::{
        message::{Packet, rcode},
        testing::{Build, question},
    },
};

const NAMES: &[&str] = &[
    "a.example.com",
    "alias.example.com",
    "to-chain.example.com",
    "nowhere.example.com",
    "none.example.com",
    "mx.example.com",
    "many.example.com",
    "failing.example.com",
    "nobody",
    "www.alice",
    "alice",
    "no.alice",
    "alias.alice",
    "other.alice",
    "out.alice",
    "x.wild.alice",
    "b.deep.alice",
    "sub.alice",
    "lapsed",
    "www.lapsed",
    "www.alice.namechain.alt",
    "alias.alice.namechain.alt",
    "nobody.namechain.alt",
    "namechain.alt",
    "com.namechain.alt",
    "localhost",
    "x.localhost",
    "printer.local",
    "",
    "1.0.0.127.in-addr.arpa",
    "other.alt",
];
const TYPES: &[u16] = &[1, 28, 15, 16, 5, 2, 6, 12, 43, 46, 47, 48, 65, 128, 255, 65280];

fn mixed(name: &str, bits: u64) -> String {
    let upper = |(at, c): (usize, char)| {
        if bits >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c }
    };
    name.chars().enumerate().map(upper).collect()
}

#[test]
fn what_is_known_is_answered_and_what_is_not_is_not() {
    let paths = furnished(BOTH);
    let ask = |name: &str, qtype| {
        let query = query([1, 0], name, qtype, None);
        let slow = paths.slow(&query);
        let fast = paths.fast(&query);
        if let Ok(fast) = &fast {
            assert_same(fast, &slow);
        }
        fast.err()
    };
    for (name, qtype, expected) in [
        ("a.example.com", 1, None),
        ("A.eXample.com", 1, None),
        ("alias.example.com", 1, None),
        ("nowhere.example.com", 5, None),
        ("none.example.com", 1, None),
        ("none.example.com", 28, None),
        ("mx.example.com", 15, None),
        ("nobody", 1, None),
        ("www.alice", 1, None),
        ("WWW.alice", 1, None),
        ("alice", 1, None),
        ("no.alice", 1, None),
        ("alias.alice", 1, None),
        ("other.alice", 1, None),
        ("lapsed", 1, None),
        ("nobody.namechain.alt", 1, None),
        ("namechain.alt", 6, None),
        ("localhost", 1, None),
        ("to-chain.example.com", 1, Some(FastOutcome::Slow)),
        ("failing.example.com", 1, Some(FastOutcome::Slow)),
        ("many.example.com", 1, Some(FastOutcome::Slow)),
        ("out.alice", 1, Some(FastOutcome::Slow)),
        ("sub.alice", 1, Some(FastOutcome::Slow)),
    ] {
        assert_eq!(ask(name, qtype), expected, "{name} {qtype}");
    }
    let unknown = query([1, 0], "unknown.example.com", 1, None);
    assert_eq!(paths.fast(&unknown), Err(FastOutcome::Forward));
    paths.slow(&unknown);
    assert_eq!(paths.fast(&unknown), Err(FastOutcome::Slow), "nobody replied a moment ago");
    let without_rd = query([0, 0], "a.example.com", 1, None);
    assert_eq!(paths.fast(&without_rd), Err(FastOutcome::Slow), "others are not asked");
    assert!(paths.fast(&query([0, 0], "www.alice", 1, None)).is_ok(), "we are");
}

#[test]
fn an_answer_of_the_chain_is_given_exactly_as_long_as_it_is_true() {
    let paths = furnished(BOTH);
    let ask = query([1, 0], "www.alice", 1, None);
    let other = query([1, 0], "other.alice", 1, None);
    let nobody = query([1, 0], "dave.namechain.alt", 1, None);
    let legacy = query([1, 0], "bob", 1, None);
    for query in [&ask, &other, &nobody, &legacy] {
        assert_same(&paths.fast(query).unwrap_or_else(|_| paths.slow(query)), &paths.slow(query));
        assert!(paths.fast(query).is_ok());
    }
    paths.chain.at(None);
    for query in [&ask, &other, &nobody, &legacy] {
        assert_eq!(paths.fast(query), Err(FastOutcome::Slow), "nothing may be said");
    }
    paths.chain.at(Some(2));
    for query in [&ask, &other, &nobody, &legacy] {
        assert!(paths.fast(query).is_ok(), "nothing has changed");
    }
    paths.chain.set("carol", 2, &[("www", 1, &[192, 0, 2, 77])]);
    paths.chain.set("dave", 1, &[]);
    paths.chain.set("bob", 1, &[("", 1, &[192, 0, 2, 66])]);
    paths.chain.at(Some(3));
    assert!(paths.fast(&ask).is_ok());
    for query in [&other, &nobody, &legacy] {
        assert_eq!(paths.fast(query), Err(FastOutcome::Slow), "what it rests on has changed");
        let slow = paths.slow(query);
        assert_same(&paths.fast(query).unwrap(), &slow);
    }
}

/// A status ends with the time of a block, without a change of the entry or of the height.
#[test]
fn an_answer_of_the_chain_ends_with_its_time() {
    let paths = furnished(BOTH);
    let ask = query([1, 0], "www.alice", 1, None);
    paths.slow(&ask);
    assert!(paths.fast(&ask).is_ok());
    paths.chain.go_to(2, 8);
    assert!(paths.fast(&ask).is_ok(), "the last second of its range");
    paths.chain.go_to(3, 9);
    assert_eq!(paths.fast(&ask), Err(FastOutcome::Slow), "the status may be another");
}

#[test]
fn what_is_popular_is_fetched_again_before_it_ends_and_ages_until_then() {
    let paths = furnished(BOTH);
    let ask = query([1, 0], "mx.example.com", 15, None);
    let at = |seconds| paths.outcome(&ask, Duration::from_secs(seconds)).0;
    let fetches = |seconds| matches!(at(seconds), FastOutcome::ReplyAndFetch(..));
    assert!(!fetches(0) && !fetches(200));
    assert!(fetches(280));
    assert!(!fetches(281), "somebody does it");
    let (_, out) = paths.outcome(&ask, Duration::from_secs(150));
    let packet = Packet::parse(&out).unwrap();
    // Cached for 300 seconds; an OPT would follow them.
    let ttls: Vec<u32> = packet.records().iter().map(|record| record.ttl).collect();
    assert!(ttls[..2].iter().all(|ttl| (149..=150).contains(ttl)) && ttls[2] == 0, "{ttls:?}");
    assert_eq!(at(301), FastOutcome::Forward, "it has run out");
}

#[test]
fn mounts_that_are_off_make_other_answers() {
    let paths = furnished(Mounts::SUFFIX);
    for name in ["nobody", "www.alice.namechain.alt"] {
        let query = query([1, 0], name, 1, None);
        let slow = paths.slow(&query);
        assert_same(&paths.fast(&query).unwrap(), &slow);
    }
    let message = Build::answer(&question("nobody", 1)).rcode(rcode::NXDOMAIN).done();
    let verdict = |mounts| Servable::of(&message, furnished(mounts).responder.pipeline());
    assert_eq!(verdict(BOTH), Servable::WholeIfUnregistered);
    assert_eq!(verdict(Mounts::SUFFIX), Servable::Whole);
}

#[test]
fn a_client_hears_ad_if_it_may() {
    let paths = furnished(BOTH);
    for (flags, expected) in [([1, 0x20], 0x20), ([1, 0], 0)] {
        let reply = paths.fast(&query(flags, "a.example.com", 1, None)).unwrap();
        assert_eq!(reply[3] & 0x20, expected);
        assert_eq!(reply[2], 0x81, "AA is the upstream's, and not ours");
    }
}

/// A cached signature is served in its own period only: neither later, nor when the clock is set
/// back.
#[test]
fn a_signed_answer_is_given_only_in_the_period_that_it_was_signed_in() {
    let paths = furnished(BOTH);
    let start = paths.wall.load(Ordering::Relaxed);
    let signed =
        ["www.alice.namechain.alt", "nobody.namechain.alt", "com.namechain.alt", "namechain.alt"]
            .map(|name| query([1, 0], name, 6, Some((1_232, true, false))));
    let plain = query([1, 0], "www.alice.namechain.alt", 1, Some((1_232, false, false)));
    paths.slow(&plain);
    let mut before = Vec::new();
    for hours in [0, 6, 12, 72, 6] {
        paths.wall.store(start + hours * 3_600, Ordering::Relaxed);
        for query in &signed {
            assert_eq!(paths.fast(query), Err(FastOutcome::Slow), "of another time");
            let slow = paths.slow(query);
            assert_same(&paths.fast(query).unwrap(), &slow);
            paths.wall.fetch_add(3_000, Ordering::Relaxed);
            assert_same(&paths.fast(query).unwrap(), &slow);
            paths.wall.fetch_sub(3_000, Ordering::Relaxed);
            assert!(!before.contains(&slow) || hours == 6, "signed anew");
            before.push(slow);
        }
        assert!(paths.fast(&plain).is_ok(), "what has no signature has no end");
    }
}

/// AD of the chain's answers is set for clients on this machine that understand it.
#[test]
fn what_the_chain_says_is_authentic() {
    let paths = furnished(BOTH);
    for name in ["www.alice", "no.alice", "www.alice.namechain.alt", "nobody.namechain.alt"] {
        for (flags, opt, expected) in [
            ([1, 0x20], None, 0x20),
            ([1, 0], None, 0),
            ([1, 0], Some((1_232, true, false)), 0x20),
            ([1, 0], Some((1_232, false, false)), 0),
        ] {
            let query = query(flags, name, 1, opt);
            assert_eq!(paths.slow(&query)[3] & 0x20, expected, "{name}");
            assert_eq!(paths.fast(&query).unwrap()[3] & 0x20, expected, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_paths_say_the_same(
        asked in prop::collection::vec(
            (0..NAMES.len(), 0..TYPES.len(), any::<u64>(), 0..8u8, any::<bool>(),
             prop::option::of((400..1400u16, any::<bool>(), any::<bool>()))),
            1..20,
        ),
        mounts in 0..4u8,
    ) {
        let paths = furnished(Mounts {
            root: mounts & 1 != 0,
            suffixes: if mounts & 2 != 0 { Suffixes::CANONICAL } else { Suffixes::NONE },
        });
        for (name, qtype, case, flags, known, opt) in asked {
            let flags = [flags & 1, (flags & 6) << 3];
            let query = query(flags, &mixed(NAMES[name], case), TYPES[qtype], opt);
            if known {
                // A first query puts the answer into the cache.
                paths.slow(&query);
            }
            if let Ok(fast) = paths.fast(&query) {
                assert_same(&fast, &paths.slow(&query));
            }
        }
    }
}

/// Whether a program that asks to share the port, as dig does for any port that it gets, can bind
/// it.
fn may_join(address: std::net::SocketAddr) -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).is_ok()
}

fn own(socket: std::net::UdpSocket) -> super::WorkerSocket {
    super::WorkerSocket { socket, is_inherited: false }
}

#[test]
fn a_port_that_anybody_may_be_given_is_shared_with_nobody() {
    let any = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = any.local_addr().unwrap();
    let sockets = super::sockets(own(any), 2).unwrap();
    assert_eq!(sockets.len(), 2);
    assert!(!may_join(address));
}

#[test]
fn any_other_port_has_a_socket_for_each_worker() {
    let free = (1_024..=u16::MAX)
        .filter(|port| !crate::os::is_given_to_anybody(*port))
        .find_map(|port| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let Some(first) = free else {
        return eprintln!("skipped: the system gives every port to anybody");
    };
    let address = first.local_addr().unwrap();
    let sockets = super::sockets(own(first), 2).unwrap();
    assert!(sockets.iter().all(|socket| socket.socket.local_addr().unwrap() == address));
    // Each has its own queue: the queries of many clients are distributed over both.
    let clients: Vec<_> =
        (0..64).map(|_| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    clients.iter().for_each(|client| assert_eq!(client.send_to(b"?", address).unwrap(), 1));
    for super::WorkerSocket { socket, .. } in &sockets {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(socket.recv(&mut [0; 1]).unwrap(), 1);
    }
}
