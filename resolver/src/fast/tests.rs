//! What the fast path says is what the slow path says.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{op::Message, rr::Record};
use namechain::types::{Hash, Name as ChainName, Network, Record as ChainRecord, RecordSet};
use proptest::prelude::*;

use super::{
    hit::{Asked, Moment, Outcome, probe},
    reply::ROOM,
    shape::{MAX_QUESTION, Shape},
    verdict::Verdict,
};
use crate::{
    basis::Ground,
    cache::{
        self, Key, Kind, Scope,
        testing::{AT_QUESTION, Build, name, question},
        wire::{Packet, Section, rcode},
    },
    chain::{ChainError, ChainSource, Lapse, Standing},
    forward::{Legacy, LegacyConfig},
    mount::Mounts,
    pipeline::{Delegation, Pipeline},
    query::{Client, Transport},
    respond::{Clients, Responder},
    sign::{Algorithm, Key as SigningKey, Signer},
    wire,
    zone::Zone,
};

const BOTH: Mounts = Mounts { root: true, alt: true };
const LOCAL: Client =
    Client { address: std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), transport: Transport::Udp };

/// A chain that the test moves on.
#[derive(Clone, Default)]
struct Chain(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    epoch: Option<u32>,
    names: HashMap<String, (Hash, Standing)>,
}

impl Chain {
    fn set(&self, name: &str, version: u8, records: &[(&str, u16, &[u8])]) {
        let zone = zone(name, version, records);
        self.0.lock().unwrap().names.insert(name.into(), (Hash([version; 32]), Standing::Active(zone)));
    }

    fn lapse(&self, name: &str) {
        let why = Lapse::Grace { ended: 3, released: 9 };
        let standing = Standing::Lapsed(zone(name, 1, &[]), why);
        self.0.lock().unwrap().names.insert(name.into(), (Hash([9; 32]), standing));
    }

    fn at(&self, epoch: Option<u32>) {
        self.0.lock().unwrap().epoch = epoch;
    }
}

fn zone(name: &str, serial: u8, records: &[(&str, u16, &[u8])]) -> Arc<Zone> {
    let labels = |dotted: &str| {
        wire::from_labels(dotted.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
    };
    let records = records.iter().map(|(at, rtype, rdata)| ChainRecord {
        owner: labels(at),
        rtype: *rtype,
        ttl: 60,
        rdata: rdata.to_vec(),
    });
    let records = RecordSet::new(records.collect()).unwrap();
    Arc::new(Zone::of(ChainName::parse(name).unwrap(), u32::from(serial), &records))
}

#[async_trait]
impl ChainSource for Chain {
    async fn lookup(&self, name: &ChainName) -> Result<Standing, ChainError> {
        Ok(self.lookup_with_ground(name).await?.0)
    }

    async fn lookup_with_ground(&self, name: &ChainName) -> Result<(Standing, Option<Ground>), ChainError> {
        let state = self.0.lock().unwrap();
        let Some(epoch) = state.epoch else { return Err(ChainError::NotSynced { height: 1 }) };
        let (value, standing) = match state.names.get(name.as_str()) {
            Some((value, standing)) => (Some(*value), standing.clone()),
            None => (None, Standing::Unregistered),
        };
        Ok((standing, Some(Ground { name: name.clone(), value, from: 0, until: 9, epoch })))
    }

    fn epoch(&self) -> Option<u32> {
        self.0.lock().unwrap().epoch
    }

    fn bears_out(&self, ground: &Ground) -> bool {
        let state = self.0.lock().unwrap();
        ground.is_borne_out(state.names.get(ground.name.as_str()).map(|(value, _)| value), 1)
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Dev)
    }
}

/// Both paths over one cache and one chain.
struct Paths {
    responder: Responder,
    /// Seconds since 1970, by which signatures are dated.
    wall: Arc<AtomicU64>,
    chain: Chain,
    runtime: tokio::runtime::Runtime,
}

impl Paths {
    fn new(mounts: Mounts) -> Self {
        let chain = Chain::default();
        chain.at(Some(1));
        // Nobody is there: whatever is not in the cache fails, and that is no answer of the fast path.
        let upstreams = vec!["127.0.0.1:1".parse().unwrap()];
        let legacy =
            LegacyConfig { upstreams, timeout: Duration::from_millis(50), ..LegacyConfig::default() };
        let wall = Arc::new(AtomicU64::new(1_800_000_000));
        let clock = wall.clone();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let key = SigningKey::from_pkcs8(&key).unwrap();
        let pipeline = Pipeline {
            mounts,
            chain: Arc::new(chain.clone()),
            legacy: Legacy::new(legacy).unwrap(),
            delegation: Delegation { port: 53, loopback: false },
            signer: Some(Arc::new(Signer::new(key, move || clock.load(Ordering::Relaxed)))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Paths { responder: Responder::new(pipeline, Clients::default()), wall, chain, runtime }
    }

    /// Puts what an upstream said in the cache.
    fn said(&self, question: &[u8], message: Vec<u8>) {
        let packet = Packet::parse(&message).unwrap();
        let legacy = &self.responder.pipeline().legacy;
        let answer = Arc::new(cache::Answer::new(&packet, question, true).unwrap());
        for (dnssec_ok, cd) in [(false, false), (true, false), (false, true), (true, true)] {
            let key = Key::new(question, dnssec_ok, cd, Scope::Upstreams);
            let life = Duration::from_secs(300);
            legacy.cache().insert(&key, answer.clone(), Kind::Positive, life, legacy.now());
        }
    }

    fn slow(&self, query: &[u8]) -> Vec<u8> {
        self.runtime.block_on(self.responder.respond_to_bytes(query, LOCAL)).unwrap()
    }

    fn fast(&self, query: &[u8]) -> Result<Vec<u8>, Outcome> {
        let (outcome, out) = self.outcome(query, Duration::ZERO);
        match outcome {
            Outcome::Reply(length) | Outcome::ReplyAndFetch(length) => Ok(out[..length].to_vec()),
            outcome => Err(outcome),
        }
    }

    /// What the fast path makes of a query so much later.
    fn outcome(&self, query: &[u8], later: Duration) -> (Outcome, [u8; ROOM]) {
        let mut out = [0; ROOM];
        let _entered = self.runtime.enter();
        let mut lower = [0; MAX_QUESTION];
        let Some(shape) = Shape::read(query, &mut lower) else { return (Outcome::Slow, out) };
        let pipeline = self.responder.pipeline();
        let lower = &lower[..shape.question];
        let hash = pipeline.legacy.cache().hash(&probe(&shape, lower));
        let asked = Asked { datagram: query, shape, lower, hash, local: true };
        let mut moment = Moment::new(pipeline);
        moment.now += later;
        (moment.answer(&asked, &mut out), out)
    }
}

/// A query with RD and these other flags.
fn query(flags: [u8; 2], name: &str, qtype: u16, opt: Option<(u16, bool, bool)>) -> Vec<u8> {
    let additional = u8::from(opt.is_some());
    let mut bytes = vec![0xab, 0xcd, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, additional];
    bytes.extend_from_slice(&question(name, qtype));
    if let Some((size, dnssec_ok, cookie)) = opt {
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, u8::from(dnssec_ok) << 7, 0, 0, u8::from(cookie) * 12]);
        if cookie {
            bytes.extend_from_slice(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }
    bytes
}

/// The same message: header, question byte for byte, records in their order, EDNS. A second may have passed.
fn assert_same(fast: &[u8], slow: &[u8]) {
    let (a, b) = (Message::from_vec(fast).unwrap(), Message::from_vec(slow).unwrap());
    assert_eq!(a.metadata, b.metadata);
    assert_eq!(fast[4..6], slow[4..6]);
    let end = 12 + Packet::parse(slow).unwrap().question().len();
    assert_eq!(fast[12..end], slow[12..end]);
    for (a, b) in
        [(&a.answers, &b.answers), (&a.authorities, &b.authorities), (&a.additionals, &b.additionals)]
    {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!(a.ttl.abs_diff(b.ttl) <= 1, "{a} {b}");
            let at = |record: &Record| Record::from_rdata(record.name.clone(), 0, record.data.clone());
            assert_eq!((at(a), a.dns_class), (at(b), b.dns_class));
        }
    }
    assert_eq!(a.edns, b.edns);
}

const CNAME: u16 = 5;

/// Paths with all that legacy DNS can say, and a chain with all that it can.
fn furnished(mounts: Mounts) -> Paths {
    let paths = Paths::new(mounts);
    let reply = |text: &str, qtype| (question(text, qtype), Build::answer(&question(text, qtype)));
    let alias = |build: Build, to: &str| build.record(Section::Answer, &AT_QUESTION, CNAME, 300, &name(to));
    let (q, build) = reply("a.example.com", 1);
    paths.said(&q, build.flags(0x04, 0x20).a(300, [192, 0, 2, 1]).a(200, [192, 0, 2, 2]).done());
    let (q, build) = reply("alias.example.com", 1);
    let build = alias(build, "target.example.org");
    let target = name("target.example.org");
    paths.said(&q, build.record(Section::Answer, &target, 1, 100, &[192, 0, 2, 3]).done());
    let (q, build) = reply("to-chain.example.com", 1);
    let build = alias(build, "www.alice");
    paths.said(&q, build.record(Section::Answer, &name("www.alice"), 1, 100, &[6, 6, 6, 6]).done());
    let (q, build) = reply("nowhere.example.com", CNAME);
    paths.said(&q, alias(build, "elsewhere.example.org").done());
    let (q, build) = reply("none.example.com", 1);
    paths.said(&q, build.rcode(rcode::NXDOMAIN).soa("example.com", 300, 60).done());
    let (q, build) = reply("none.example.com", 28);
    paths.said(&q, build.soa("example.com", 300, 60).opt().done());
    let (q, build) = reply("mx.example.com", 15);
    let build = build.record(Section::Answer, &AT_QUESTION, 15, 300, b"\0\x0a\x04mail\xc0\x0f");
    let build = build.record(Section::Authority, &name("example.com"), 2, 300, &name("ns.example.com"));
    paths.said(&q, build.record(Section::Additional, &name("mail.example.com"), 1, 9, &[1, 2, 3, 4]).done());
    let (q, mut build) = reply("many.example.com", 1);
    for n in 0..60 {
        build = build.a(300, [192, 0, 2, n]);
    }
    paths.said(&q, build.done());
    let (q, build) = reply("failing.example.com", 1);
    paths.said(&q, build.rcode(rcode::SERVFAIL).done());
    for label in ["nobody", "bob"] {
        let (q, build) = reply(label, 1);
        paths.said(&q, build.rcode(rcode::NXDOMAIN).soa("", 300, 60).done());
    }
    paths.chain.set(
        "alice",
        1,
        &[
            ("www", 1, &[192, 0, 2, 9]),
            ("", 16, b"\x02hi"),
            ("alias", CNAME, b"\x03www\x05alice\0"),
            ("other", CNAME, b"\x03www\x05carol\0"),
            ("out", CNAME, b"\x01a\x07example\x03com\0"),
            ("*.wild", 1, &[192, 0, 2, 8]),
            ("deep", 39, b"\x03new\x05alice\0"),
            ("sub", 2, b"\x02ns\x07example\x03com\0"),
        ],
    );
    paths.chain.set("carol", 1, &[("www", 1, &[192, 0, 2, 7])]);
    paths.chain.lapse("lapsed");
    paths
}

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
        ("to-chain.example.com", 1, Some(Outcome::Slow)),
        ("failing.example.com", 1, Some(Outcome::Slow)),
        ("many.example.com", 1, Some(Outcome::Slow)),
        ("out.alice", 1, Some(Outcome::Slow)),
        ("sub.alice", 1, Some(Outcome::Slow)),
    ] {
        assert_eq!(ask(name, qtype), expected, "{name} {qtype}");
    }
    let unknown = query([1, 0], "unknown.example.com", 1, None);
    assert_eq!(paths.fast(&unknown), Err(Outcome::Forward));
    paths.slow(&unknown);
    assert_eq!(paths.fast(&unknown), Err(Outcome::Slow), "nobody replied a moment ago");
    let without_rd = query([0, 0], "a.example.com", 1, None);
    assert_eq!(paths.fast(&without_rd), Err(Outcome::Slow), "others are not asked");
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
        assert_eq!(paths.fast(query), Err(Outcome::Slow), "nothing may be said");
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
        assert_eq!(paths.fast(query), Err(Outcome::Slow), "what it rests on has changed");
        let slow = paths.slow(query);
        assert_same(&paths.fast(query).unwrap(), &slow);
    }
}

#[test]
fn what_is_popular_is_fetched_again_before_it_ends_and_ages_until_then() {
    let paths = furnished(BOTH);
    let ask = query([1, 0], "mx.example.com", 15, None);
    let at = |seconds| paths.outcome(&ask, Duration::from_secs(seconds)).0;
    let fetches = |seconds| matches!(at(seconds), Outcome::ReplyAndFetch(_));
    assert!(!fetches(0) && !fetches(200));
    assert!(fetches(280));
    assert!(!fetches(281), "somebody does it");
    let (_, out) = paths.outcome(&ask, Duration::from_secs(150));
    let packet = Packet::parse(&out).unwrap();
    // Kept for 300 seconds; an OPT would stand behind them.
    let ttls: Vec<u32> = packet.records().iter().map(|record| record.ttl).collect();
    assert!(ttls[..2].iter().all(|ttl| (149..=150).contains(ttl)) && ttls[2] == 0, "{ttls:?}");
    assert_eq!(at(301), Outcome::Forward, "it has run out");
}

#[test]
fn mounts_that_are_off_make_other_answers() {
    let paths = furnished(Mounts { root: false, alt: true });
    for name in ["nobody", "www.alice.namechain.alt"] {
        let query = query([1, 0], name, 1, None);
        let slow = paths.slow(&query);
        assert_same(&paths.fast(&query).unwrap(), &slow);
    }
    let message = Build::answer(&question("nobody", 1)).rcode(rcode::NXDOMAIN).done();
    let verdict = |mounts| Verdict::of(&message, furnished(mounts).responder.pipeline());
    assert_eq!(verdict(BOTH), Verdict::WholeIfUnregistered);
    assert_eq!(verdict(Mounts { root: false, alt: true }), Verdict::Whole);
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

/// A signature that has been kept is given out in its own period and in no other: neither later, nor when the clock is
/// put back.
#[test]
fn a_signed_answer_is_given_only_in_the_period_that_it_was_signed_in() {
    let paths = furnished(BOTH);
    let start = paths.wall.load(Ordering::Relaxed);
    let signed = ["www.alice.namechain.alt", "nobody.namechain.alt", "com.namechain.alt", "namechain.alt"]
        .map(|name| query([1, 0], name, 6, Some((1_232, true, false))));
    let plain = query([1, 0], "www.alice.namechain.alt", 1, Some((1_232, false, false)));
    paths.slow(&plain);
    let mut before = Vec::new();
    for hours in [0, 6, 12, 72, 6] {
        paths.wall.store(start + hours * 3_600, Ordering::Relaxed);
        for query in &signed {
            assert_eq!(paths.fast(query), Err(Outcome::Slow), "of another time");
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

/// AD of the chain's answers goes to those on this machine who understand it.
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
        let paths = furnished(Mounts { root: mounts & 1 != 0, alt: mounts & 2 != 0 });
        for (name, qtype, case, flags, known, opt) in asked {
            let flags = [flags & 1, (flags & 6) << 3];
            let query = query(flags, &mixed(NAMES[name], case), TYPES[qtype], opt);
            if known {
                // Whoever asked before leaves the answer behind.
                paths.slow(&query);
            }
            if let Ok(fast) = paths.fast(&query) {
                assert_same(&fast, &paths.slow(&query));
            }
        }
    }
}

/// Whether a program that asks to share the port, as dig does of any port that it gets, has it then.
fn may_join(address: std::net::SocketAddr) -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).is_ok()
}

#[test]
fn a_port_that_anybody_may_be_given_is_shared_with_nobody() {
    let any = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = any.local_addr().unwrap();
    let sockets = super::sockets(any, 2).unwrap();
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
    let sockets = super::sockets(first, 2).unwrap();
    assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
    // Each has its own queue: what comes from many clients is spread over both.
    let clients: Vec<_> =
        (0..64).map(|_| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    clients.iter().for_each(|client| assert_eq!(client.send_to(b"?", address).unwrap(), 1));
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(socket.recv(&mut [0; 1]).unwrap(), 1);
    }
}
