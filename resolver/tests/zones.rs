//! Zones with upstreams of their own, through the whole resolver.

mod common;

use std::{sync::Arc, time::Duration};

use common::{Names, Resolver, Upstream, dname, shown};
use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record,
        rdata::{A, CNAME},
    },
};
use resolver::{
    chain::mount::Mounts,
    os::clock::Clock,
    resolve::{Delegation, Pipeline, RootPolicy},
    server::{
        Server, bind,
        responder::{Clients, Responder},
    },
    upstream::{ForwardZone, Upstreams, UpstreamsConfig},
};

fn start(names: Names, rest: &Upstream, zones: &[(&str, &Upstream)]) -> Resolver {
    start_with(names, rest, zones, RootPolicy::default())
}

fn start_with(
    names: Names,
    rest: &Upstream,
    zones: &[(&str, &Upstream)],
    root_policy: RootPolicy,
) -> Resolver {
    let bound = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = bound.address();
    let zones = zones.iter().map(|(zone, upstream)| ForwardZone {
        zone: Name::from_ascii(zone).unwrap(),
        upstreams: vec![upstream.address.into()],
        validate: None,
    });
    let config = UpstreamsConfig {
        upstreams: vec![rest.address.into()],
        zones: zones.collect(),
        timeout: Duration::from_secs(3),
        ..UpstreamsConfig::default()
    };
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy,
        chain: Arc::new(names),
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

fn saying(last: u8) -> Upstream {
    Upstream::start(move |query, answer| {
        answer.add_answer(Record::from_rdata(
            query.name().clone(),
            60,
            RData::A(A::new(192, 0, 2, last)),
        ));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_was_written_down_counts_more_than_what_its_name_is() {
    let (rest, corp) = (saying(1), saying(2));
    let names = Names::default().with("alice", &[("www", 1, vec![192, 0, 2, 9])]);
    let zones = [
        ("home.arpa.", &corp),
        ("10.in-addr.arpa.", &corp),
        ("corp.example.", &corp),
        ("intranet.", &corp),
        ("other.alt.", &corp),
    ];
    let resolver = start(names, &rest, &zones);
    for _ in 0..2 {
        for (name, expected) in [
            ("nas.home.arpa.", Some("192.0.2.2")),
            ("1.0.0.10.in-addr.arpa.", Some("192.0.2.2")),
            ("www.corp.example.", Some("192.0.2.2")),
            // It could be registered on the chain; here it is the company's.
            ("wiki.intranet.", Some("192.0.2.2")),
            ("x.other.alt.", Some("192.0.2.2")),
            ("www.example.", Some("192.0.2.1")),
            ("www.alice.", Some("192.0.2.9")),
            ("www.alice.namechain.alt.", Some("192.0.2.9")),
            ("third.alt.", None),
            ("4.3.168.192.in-addr.arpa.", None),
        ] {
            let answer = resolver.ask(name, 1);
            let expected: Vec<String> =
                expected.map(|address| format!("{name} A {address}")).into_iter().collect();
            assert_eq!(shown(&answer), expected, "{name}");
            if expected.is_empty() {
                assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{name}");
            }
        }
    }
    assert_eq!(rest.asked(), 1, "www.example. once, and nothing else");
    resolver.server.stop().await;
}

/// The DS of a zone is its parent's data (RFC 4035 §3.1.4.1): the child's servers, and the rules of
/// a special-use name, have none. Names below a special-use zone still never leave the machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_ds_of_a_zone_is_asked_of_its_parent() {
    const DS: u16 = 43;
    let (rest, corp) = (saying(1), saying(2));
    let zones = [
        ("corp.example.", &corp),
        ("lab.corp.example.", &rest),
        ("x.home.arpa.", &corp),
        ("invalid.", &corp),
    ];
    let resolver = start(Names::default(), &rest, &zones);
    for (name, expected) in [
        ("corp.example.", Some(1)),
        ("www.corp.example.", Some(2)),
        ("lab.corp.example.", Some(2)),
        ("www.lab.corp.example.", Some(1)),
        ("home.arpa.", Some(1)),
        ("10.in-addr.arpa.", Some(1)),
        ("64.100.in-addr.arpa.", Some(1)),
        ("nas.home.arpa.", None),
        ("x.home.arpa.", None),
        ("www.x.home.arpa.", Some(2)),
        ("1.10.in-addr.arpa.", None),
        ("resolver.arpa.", None),
        ("test.", None),
        ("invalid.", Some(1)),
    ] {
        for _ in 0..2 {
            let expected: Vec<String> =
                expected.map(|last| format!("{name} A 192.0.2.{last}")).into_iter().collect();
            assert_eq!(shown(&resolver.ask(name, DS)), expected, "{name}");
        }
    }
    resolver.server.stop().await;
}

/// What one upstream says of the other's names is not accepted: those names are resolved by their
/// own upstreams.
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_leaves_its_zone_is_followed() {
    let aliases = |from: &'static str, to: &'static str, last: u8| {
        Upstream::start(move |query, answer| {
            let name = query.name().clone();
            let owner = if name.to_string().to_lowercase() == from {
                let target = Name::from_ascii(to).unwrap();
                answer.add_answer(Record::from_rdata(
                    name,
                    60,
                    RData::CNAME(CNAME(target.clone())),
                ));
                target
            } else {
                name
            };
            answer.add_answer(Record::from_rdata(owner, 60, RData::A(A::new(192, 0, 2, last))));
        })
    };
    let rest = aliases("in.example.", "www.corp.example.", 66);
    let corp = aliases("out.corp.example.", "www.example.", 77);
    let names = Names::default().with("alice", &[("corp", 5, dname("www.corp.example"))]);
    let resolver = start(names, &rest, &[("corp.example.", &corp)]);
    for _ in 0..2 {
        for (name, target, last) in [
            ("in.example.", "www.corp.example.", 77),
            ("out.corp.example.", "www.example.", 66),
            ("corp.alice.", "www.corp.example.", 77),
        ] {
            let expected = [format!("{name} CNAME {target}"), format!("{target} A 192.0.2.{last}")];
            assert_eq!(shown(&resolver.ask(name, 1)), expected, "{name}");
        }
    }
    resolver.server.stop().await;
}

/// Somebody registers the name of a company's network, of a container host, or of a search domain.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_left_to_the_network_is_never_the_chains() {
    let rest = saying(1);
    let owner = [("", 1, vec![192, 0, 2, 9]), ("www", 1, vec![192, 0, 2, 9])];
    let names = Names::default().with("podman", &owner).with("alice", &owner);
    let policy = RootPolicy::new([&b"podman"[..]], true);
    let resolver = start_with(names, &rest, &[], policy);
    for _ in 0..2 {
        for (name, last) in [
            ("podman.", 1),
            ("db.podman.", 1),
            ("www.podman.", 1),
            ("www.alice.", 9),
            ("www.podman.namechain.alt.", 9),
        ] {
            let expected = [format!("{name} A 192.0.2.{last}")];
            assert_eq!(shown(&resolver.ask(name, 1)), expected, "{name}");
        }
    }
    resolver.server.stop().await;
}

/// SAC053.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_names_without_a_dot_can_be_turned_off() {
    let rest = saying(1);
    let owner =
        [("", 1, vec![192, 0, 2, 9]), ("", 16, vec![1, 65]), ("www", 1, vec![192, 0, 2, 9])];
    for (on, count) in [(true, 1), (false, 0)] {
        let policy = RootPolicy::new([], on);
        let resolver = start_with(Names::default().with("alice", &owner), &rest, &[], policy);
        for _ in 0..2 {
            let answer = resolver.ask("alice.", 1);
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            assert_eq!(answer.answers.len(), count);
            for (name, qtype) in [("alice.", 16), ("www.alice.", 1), ("alice.namechain.alt.", 1)] {
                assert_eq!(resolver.ask(name, qtype).answers.len(), 1, "{name}");
            }
        }
        resolver.server.stop().await;
    }
    assert_eq!(rest.asked(), 0);
}
