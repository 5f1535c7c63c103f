//! Forwarding loops: resolvers whose upstream forwards to them.

mod common;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Names, Resolver, Upstream, ede, shown};
use hickory_proto::{
    op::ResponseCode,
    rr::{
        RData, Record,
        rdata::{A, SOA},
    },
};
use resolver::{
    chain::mount::Mounts,
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::{
        Bound, Server, bind,
        responder::{Clients, Responder},
    },
    upstream::{ForwardZone, Upstreams, UpstreamsConfig},
};

fn free() -> Bound {
    bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

fn start(bound: Bound, config: UpstreamsConfig) -> Resolver {
    let address = bound.address();
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(Names::default()),
        legacy: Upstreams::new(config, cache.clone(), clock.clone()).unwrap(),
        designated: Default::default(),
        delegation: Delegation { port: 53, loopback: true },
        signer: None,
    };
    Resolver {
        address,
        server: Server::start(
            vec![bound],
            Responder::new(pipeline, cache, clock, Clients::default()),
        ),
    }
}

fn asking(upstreams: &[SocketAddr]) -> UpstreamsConfig {
    let upstreams = upstreams.iter().copied().map(Into::into).collect();
    UpstreamsConfig { upstreams, timeout: Duration::from_secs(3), ..UpstreamsConfig::default() }
}

/// Forwards datagrams to another address and the replies back, and counts the queries.
struct Relay {
    address: SocketAddr,
    passed: Arc<AtomicUsize>,
}

impl Relay {
    fn to(target: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, passed) = (socket.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = passed.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::SeqCst);
                let (question, back) = (buffer[..length].to_vec(), socket.try_clone().unwrap());
                std::thread::spawn(move || {
                    let onward = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                    onward.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    onward.send_to(&question, target).unwrap();
                    let mut answer = [0; 4_096];
                    if let Ok(length) = onward.recv(&mut answer) {
                        back.send_to(&answer[..length], from).unwrap();
                    }
                });
            }
        });
        Self { address, passed }
    }

    fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

/// The most datagrams on one link: a query, its two retries and the loop test, and those of the
/// other resolver that pass through.
const FEW: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_is_its_own_upstream_says_so_and_stops() {
    let bound = free();
    let relay = Relay::to(bound.address());
    let resolver = start(bound, asking(&[relay.address]));
    let answer = resolver.ask("www.example.com.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let (code, text) = ede(&answer).unwrap();
    let why = format!("{} forwards to this resolver", relay.address);
    assert!(code == 22 && text.contains(&why), "{code} {text}");
    for n in 0..2 * FEW {
        let answer = resolver.ask(&format!("www{n}.example.com."), 1);
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert!(ede(&answer).unwrap().1.contains(&why));
    }
    // One that was in flight may arrive late.
    let passed = relay.passed();
    assert!(passed <= FEW, "it is left out: {passed} datagrams");
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_resolvers_that_ask_each_other_find_out() {
    let (one, two) = (free(), free());
    let (to_one, to_two) = (Relay::to(one.address()), Relay::to(two.address()));
    let one = start(one, asking(&[to_two.address]));
    let two = start(two, asking(&[to_one.address]));
    for resolver in [&one, &two] {
        let answer = resolver.ask("www.example.com.", 1);
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert!(
            ede(&answer).is_some_and(
                |(code, text)| code == 22 && text.contains("to this resolver (a loop)")
            )
        );
    }
    let before = (to_one.passed(), to_two.passed());
    assert!(before.0 <= FEW && before.1 <= FEW, "{before:?}");
    for n in 0..50 {
        let asked = if n % 2 == 0 { &one } else { &two };
        let answer = asked.ask(&format!("www{n}.example.com."), 1);
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    }
    let after = (to_one.passed(), to_two.passed());
    // Each detects the loop by itself, or sends one query per question to the other.
    assert!(after.0 + after.1 <= before.0 + before.1 + 50, "{before:?} {after:?}");
    one.server.stop().await;
    two.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_good_upstream_is_enough_beside_one_in_a_loop() {
    let good = Upstream::start(|query, answer| {
        answer.add_answer(Record::from_rdata(
            query.name().clone(),
            60,
            RData::A(A::new(192, 0, 2, 1)),
        ));
    });
    let bound = free();
    let back = Relay::to(bound.address());
    let resolver = start(bound, asking(&[back.address, good.address]));
    for n in 0..20 {
        let name = format!("www{n}.example.com.");
        assert_eq!(shown(&resolver.ask(&name, 1)), [format!("{name} A 192.0.2.1")]);
    }
    assert!(back.passed() <= FEW, "{} datagrams", back.passed());
    resolver.server.stop().await;
}

/// A server of a company's zone that forwards everything else to us is a valid configuration.
#[tokio::test(flavor = "multi_thread")]
async fn a_zones_server_that_asks_us_for_the_rest_is_no_circle() {
    let bound = free();
    let back = Relay::to(bound.address());
    // Silent for one name, so that it is tested; it answers that its zone has no other name.
    let corp = Upstream::start_where_answered(|query, answer| {
        let name = query.name().to_string().to_lowercase();
        if name == "slow.corp.example." {
            return false;
        }
        let zone: hickory_proto::rr::Name = "corp.example.".parse().unwrap();
        if name == "www.corp.example." {
            answer.add_answer(Record::from_rdata(
                query.name().clone(),
                60,
                RData::A(A::new(10, 0, 0, 1)),
            ));
        } else {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, 5);
            answer.add_authority(Record::from_rdata(zone, 60, RData::SOA(soa)));
        }
        true
    });
    let config = UpstreamsConfig {
        zones: vec![ForwardZone {
            zone: "corp.example.".parse().unwrap(),
            upstreams: vec![corp.address.into()],
            validate: None,
        }],
        ..asking(&[back.address])
    };
    let resolver = start(bound, config);
    assert_eq!(
        resolver.ask("slow.corp.example.", 1).metadata.response_code,
        ResponseCode::ServFail
    );
    assert_eq!(shown(&resolver.ask("www.corp.example.", 1)), ["www.corp.example. A 10.0.0.1"]);
    assert_eq!(back.passed(), 0, "names of the zone are asked of nobody else");
    resolver.server.stop().await;
}
