//! Both paths over one cache and one chain, with every kind of answer: for the tests of this module
//! and the fuzz target of queries.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{
    op::Message,
    rr::{
        Record,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};
use namechain_core::types::{
    BlockTime, Hash, Name as ChainName, Network, Record as ChainRecord, RecordSet,
};

use super::{
    lookup::{BatchContext, FastOutcome, FastQuery, probe},
    query::{MAX_QUESTION_BYTES, ParsedQuery},
    reply::REPLY_BUFFER_BYTES,
    root_labels::RootLabels,
};
use crate::{
    cache,
    cache::{AnswerKind, Key, Scope},
    chain::{
        ChainError, ChainSource, Inactive, NameState,
        marks::ChainMarks,
        mount::Mounts,
        validity::{BlockRange, Dependency},
        zone::Zone,
    },
    dns::{
        message::{Packet, Section, rcode},
        names,
        query::{Client, Transport},
        rtype::CNAME,
        testing::{AT_QUESTION, Build, name, question},
    },
    dnssec::sign::{Algorithm, Signer, SigningKey},
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::responder::{Clients, Responder},
    upstream::{Upstreams, UpstreamsConfig},
};

pub const BOTH: Mounts = Mounts::BOTH;
pub const LOCAL: Client =
    Client { address: std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), transport: Transport::Udp };

/// The block of the first state, and the range of every name's status.
const NOW: BlockTime = BlockTime { height: 1, time: 1 };
const RANGE: BlockRange = BlockRange { from: NOW, until: BlockTime { height: 9, time: 9 } };

/// A chain whose state the test changes.
#[derive(Clone, Default)]
pub struct Chain(Arc<Mutex<State>>);

pub struct State {
    epoch: Option<u32>,
    now: BlockTime,
    names: HashMap<String, (Hash, NameState)>,
}

impl Default for State {
    fn default() -> Self {
        State { epoch: None, now: NOW, names: HashMap::new() }
    }
}

impl Chain {
    /// Goes on to the block with this time.
    pub fn go_to(&self, epoch: u32, time: u64) {
        let mut state = self.0.lock().unwrap();
        (state.epoch, state.now) = (Some(epoch), BlockTime { time, ..NOW });
    }

    pub fn set(&self, name: &str, version: u8, records: &[(&str, u16, &[u8])]) {
        let zone = zone(name, version, records);
        self.0
            .lock()
            .unwrap()
            .names
            .insert(name.into(), (Hash([version; 32]), NameState::Active(zone)));
    }

    pub fn lapse(&self, name: &str) {
        let why = Inactive::Grace { ended: 3, released: 9 };
        let standing = NameState::Inactive(zone(name, 1, &[]), why);
        self.0.lock().unwrap().names.insert(name.into(), (Hash([9; 32]), standing));
    }

    pub fn at(&self, epoch: Option<u32>) {
        self.0.lock().unwrap().epoch = epoch;
    }
}

fn zone(name: &str, serial: u8, records: &[(&str, u16, &[u8])]) -> Arc<Zone> {
    let labels = |dotted: &str| {
        names::from_labels(dotted.split('.').filter(|label| !label.is_empty()).map(str::as_bytes))
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
    async fn lookup(&self, name: &ChainName) -> Result<NameState, ChainError> {
        Ok(self.lookup_with_dependency(name).await?.0)
    }

    async fn lookup_with_dependency(
        &self,
        name: &ChainName,
    ) -> Result<(NameState, Option<Dependency>), ChainError> {
        let state = self.0.lock().unwrap();
        let Some(epoch) = state.epoch else { return Err(ChainError::NotSynced { height: 1 }) };
        let (value, standing) = match state.names.get(name.as_str()) {
            Some((value, standing)) => (Some(*value), standing.clone()),
            None => (None, NameState::Unregistered),
        };
        Ok((
            standing,
            Some(Dependency {
                name: name.clone(),
                value,
                range: RANGE,
                marks: ChainMarks::default(),
                epoch,
            }),
        ))
    }

    fn epoch(&self) -> Option<u32> {
        self.0.lock().unwrap().epoch
    }

    fn still_holds(&self, dependency: &Dependency) -> bool {
        let state = self.0.lock().unwrap();
        dependency.holds_at(
            state.names.get(dependency.name.as_str()).map(|(value, _)| value),
            state.now,
            ChainMarks::default(),
        )
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Dev)
    }
}

/// Both paths over one cache and one chain.
pub struct Paths {
    pub responder: Responder,
    /// Seconds since 1970, for the times of signatures.
    pub wall: Arc<AtomicU64>,
    pub chain: Chain,
    pub runtime: tokio::runtime::Runtime,
    root_labels: RefCell<RootLabels>,
}

impl Paths {
    pub fn new(mounts: Mounts) -> Self {
        let chain = Chain::default();
        chain.at(Some(1));
        // There is no upstream: what is not cached fails, and the fast path never answers that.
        let upstreams = vec!["127.0.0.1:1".parse().unwrap()];
        let legacy = UpstreamsConfig {
            upstreams,
            timeout: Duration::from_millis(50),
            ..UpstreamsConfig::default()
        };
        let wall = Arc::new(AtomicU64::new(1_800_000_000));
        let unix = wall.clone();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let key = SigningKey::from_pkcs8(&key).unwrap();
        let (cache, clock) = (Arc::new(legacy.new_cache()), Arc::new(Clock::start()));
        let pipeline = Pipeline {
            mounts,
            root_policy: Default::default(),
            chain: Arc::new(chain.clone()),
            legacy: Upstreams::new(legacy, cache.clone(), clock.clone()).unwrap(),
            designated: Default::default(),
            delegation: Delegation { port: 53, loopback: false },
            signer: Some(Arc::new(Signer::new(key, move || unix.load(Ordering::Relaxed)))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Paths {
            responder: Responder::new(pipeline, cache, clock, Clients::default()),
            wall,
            chain,
            runtime,
            root_labels: RefCell::default(),
        }
    }

    /// Puts an upstream's answer into the cache.
    pub fn said(&self, question: &[u8], message: Vec<u8>) {
        let packet = Packet::parse(&message).unwrap();
        let answer = Arc::new(cache::Answer::new(&packet, question, true).unwrap());
        for (dnssec_ok, cd) in [(false, false), (true, false), (false, true), (true, true)] {
            let key = Key::new(question, dnssec_ok, cd, Scope::Upstreams);
            let life = Duration::from_secs(300);
            self.responder.cache().insert(
                &key,
                answer.clone(),
                AnswerKind::Positive,
                life,
                self.responder.now(),
            );
        }
    }

    pub fn slow(&self, query: &[u8]) -> Vec<u8> {
        self.runtime.block_on(self.responder.respond_to_bytes(query, LOCAL)).unwrap()
    }

    pub fn fast(&self, query: &[u8]) -> Result<Vec<u8>, FastOutcome> {
        let (outcome, out) = self.outcome(query, Duration::ZERO);
        match outcome {
            FastOutcome::Reply(length, _) | FastOutcome::ReplyAndFetch(length, _) => {
                Ok(out[..length].to_vec())
            }
            outcome => Err(outcome),
        }
    }

    /// The fast path's result for a query, `later` than now.
    pub fn outcome(
        &self,
        query: &[u8],
        later: Duration,
    ) -> (FastOutcome, [u8; REPLY_BUFFER_BYTES]) {
        let mut out = [0; REPLY_BUFFER_BYTES];
        let _entered = self.runtime.enter();
        let mut lower = [0; MAX_QUESTION_BYTES];
        let Some(parsed) = ParsedQuery::read(query, &mut lower) else {
            return (FastOutcome::Slow, out);
        };
        let lower = &lower[..parsed.question];
        let hash = self.responder.cache().hash(&probe(&parsed, lower));
        let asked = FastQuery { datagram: query, parsed, lower, hash, client: LOCAL.address };
        let mut context = BatchContext::new(&self.responder, &self.root_labels);
        context.now += later;
        (context.answer(&asked, &mut out), out)
    }
}

/// A query with RD and these other flags.
pub fn query(flags: [u8; 2], name: &str, qtype: u16, opt: Option<(u16, bool, bool)>) -> Vec<u8> {
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

/// The messages must be equal: header, question bytes, records in order, EDNS. TTLs may differ by
/// one second.
pub fn assert_same(fast: &[u8], slow: &[u8]) {
    let (a, b) = (Message::from_vec(fast).unwrap(), Message::from_vec(slow).unwrap());
    assert_eq!(a.metadata, b.metadata);
    assert_eq!(fast[4..6], slow[4..6]);
    let end = 12 + Packet::parse(slow).unwrap().question().len();
    assert_eq!(fast[12..end], slow[12..end]);
    for (a, b) in [
        (&a.answers, &b.answers),
        (&a.authorities, &b.authorities),
        (&a.additionals, &b.additionals),
    ] {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!(a.ttl.abs_diff(b.ttl) <= 1, "{a} {b}");
            let at =
                |record: &Record| Record::from_rdata(record.name.clone(), 0, record.data.clone());
            assert_eq!((at(a), a.dns_class), (at(b), b.dns_class));
        }
    }
    let options = |message: &Message| {
        let options = message.edns.as_ref().map(|edns| edns.options().options.clone());
        options.map(|all| {
            all.into_iter().map(|(code, option)| (code, stable(option))).collect::<Vec<_>>()
        })
    };
    assert_eq!(options(&a), options(&b));
    let flags =
        |message: &Message| message.edns.as_ref().map(|edns| (edns.max_payload(), *edns.flags()));
    assert_eq!(flags(&a), flags(&b));
}

/// An option's data; of a cookie only the part that does not depend on the time.
fn stable(option: EdnsOption) -> Vec<u8> {
    let mut data = Vec::try_from(&option).unwrap();
    if EdnsCode::from(&option) == EdnsCode::Cookie {
        assert_eq!(data.len(), 24);
        data.truncate(12);
    }
    data
}

/// Paths with every kind of legacy answer, and a chain with every kind of name.
pub fn furnished(mounts: Mounts) -> Paths {
    let paths = Paths::new(mounts);
    let reply = |text: &str, qtype| (question(text, qtype), Build::answer(&question(text, qtype)));
    let alias =
        |build: Build, to: &str| build.record(Section::Answer, &AT_QUESTION, CNAME, 300, &name(to));
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
    let build =
        build.record(Section::Authority, &name("example.com"), 2, 300, &name("ns.example.com"));
    paths.said(
        &q,
        build.record(Section::Additional, &name("mail.example.com"), 1, 9, &[1, 2, 3, 4]).done(),
    );
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

thread_local! {
    /// The paths of the fuzz target, and how many packets they have seen.
    static WORLD: std::cell::RefCell<Option<(Paths, u32)>> = const { std::cell::RefCell::new(None) };
}
/// After this many packets the paths are made anew, so that cached answers have not expired.
const PACKETS_PER_WORLD: u32 = 8_192;

/// Any bytes as a packet; the first one selects the transport. Every response has the query's id
/// and is a valid message; over UDP it fits; and the fast path's response equals the slow path's.
pub fn packet(data: &[u8]) {
    let Some((&how, datagram)) = data.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_some_and(|(_, seen)| *seen >= PACKETS_PER_WORLD) {
            *world = None;
        }
        let (paths, seen) = world.get_or_insert_with(|| (furnished(BOTH), 0));
        *seen += 1;
        let transport = if how & 1 == 0 { Transport::Udp } else { Transport::Tcp };
        check(paths, datagram, Client { transport, ..LOCAL });
    });
}

fn check(paths: &Paths, datagram: &[u8], client: Client) {
    let slow = paths.runtime.block_on(paths.responder.respond_to_bytes(datagram, client));
    let parsed = ParsedQuery::read(datagram, &mut [0; MAX_QUESTION_BYTES]);
    let Some(slow) = slow else {
        assert!(parsed.is_none(), "what the fast path could answer gets an answer");
        assert!(
            datagram.len() < 12 || datagram[2] & 0x80 != 0,
            "only what is no query gets no answer"
        );
        return;
    };
    assert_eq!(slow[..2], datagram[..2], "the id");
    assert_ne!(slow[2] & 0x80, 0, "QR");
    let message = Message::from_vec(&slow).expect("our own message can be read");
    if client.transport == Transport::Udp {
        assert!(slow.len() <= usize::from(crate::resolve::answer::MAX_UDP_BYTES));
        if let Some(parsed) = parsed {
            assert!(slow.len() <= parsed.limit);
            let fits = paths.fast(datagram).ok();
            if let Some(fast) = fits.filter(|_| !message.metadata.truncation) {
                assert_same(&fast, &slow);
            }
        }
    }
}
