//! Rebinding protection through the whole resolver: the first answer, and the cached one.

mod common;

use std::{sync::Arc, time::Duration};

use common::{Names, Resolver, Upstream, dname, ede, shown};
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
    resolve::{Delegation, Pipeline},
    server::{
        Server, Udp, bind,
        responder::{Clients, Responder},
    },
    upstream::{ForwardZone, Rebind, RebindPolicy, Upstreams, UpstreamsConfig},
};

/// Replies by name: an alias of what follows `to-`, the router's address for `inside`, a public
/// address for anything else.
fn upstream() -> Upstream {
    Upstream::start(|query, answer| {
        let name = query.name().clone();
        let first = String::from_utf8_lossy(name.iter().next().unwrap_or_default()).to_lowercase();
        let data = match first.strip_prefix("to-") {
            Some(target) => RData::CNAME(CNAME(
                Name::from_ascii(format!("{}.", target.replace('_', "."))).unwrap(),
            )),
            None if first == "inside" => RData::A(A::new(192, 168, 1, 1)),
            None => RData::A(A::new(192, 0, 2, 1)),
        };
        answer.add_answer(Record::from_rdata(name, 300, data));
    })
}

fn start(upstream: &Upstream, rebind: Rebind, udp: Udp) -> Resolver {
    let bound = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = bound.address();
    let corp = ForwardZone {
        zone: Name::from_ascii("corp.example.").unwrap(),
        upstreams: vec![upstream.address.into()],
        validate: None,
    };
    let config = UpstreamsConfig {
        upstreams: vec![upstream.address.into()],
        zones: vec![corp],
        timeout: Duration::from_secs(3),
        rebind,
        ..UpstreamsConfig::default()
    };
    let names = Names::default().with(
        "alice",
        &[
            ("nas", 1, vec![10, 0, 0, 9]),
            ("away", 5, dname("inside.corp.example")),
            ("here", 5, dname("nas.alice")),
        ],
    );
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(names),
        legacy: Upstreams::new(config, cache.clone(), clock.clone()).unwrap(),
        designated: Default::default(),
        delegation: Delegation { port: 53, loopback: true },
        signer: None,
    };
    let responder = Responder::new(pipeline, cache, clock, Clients::default());
    Resolver { address, server: Server::start_with(vec![bound], responder, udp) }
}

/// Each name with the number of records in its answer; `None`: it is withheld.
fn check(resolver: &Resolver, expected: &[(&str, Option<usize>)]) {
    for (name, given) in expected {
        for pass in ["first", "again", "over TCP"] {
            let answer = match pass {
                "over TCP" => resolver.tcp(&common::question(name, 1, Some(1_232))),
                _ => resolver.ask(name, 1),
            };
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{name} {pass}");
            let records = shown(&answer);
            assert_eq!(records.len(), given.unwrap_or_default(), "{name} {pass}: {records:?}");
            match given {
                Some(_) => assert_eq!(ede(&answer), None, "{name} {pass}"),
                None => {
                    let (code, text) = ede(&answer).expect("it says why");
                    assert!(
                        code == 15 && text.contains("rebind-allow"),
                        "{name} {pass}: {code} {text}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_others_do_not_point_inside() {
    for udp in [Udp::default(), Udp::Plain] {
        let upstream = upstream();
        let allow = vec![Name::from_ascii("fritz.box.").unwrap()];
        let resolver = start(&upstream, Rebind { allow, ..Rebind::default() }, udp);
        check(
            &resolver,
            &[
                ("www.example.com.", Some(1)),
                ("inside.example.com.", None),
                ("inside.fritz.box.", Some(1)),
                ("inside.corp.example.", Some(1)),
                ("inside.lan.", Some(1)),
                ("localhost.", Some(1)),
                // The queried name decides.
                ("to-inside_fritz_box.example.com.", None),
                ("to-inside_corp_example.example.com.", None),
                ("to-localhost.example.com.", None),
                ("to-nas_alice.example.com.", None),
                ("to-inside_fritz_box.fritz.box.", Some(2)),
                // Records on the chain are the owner's choice; the targets of its aliases are not.
                ("nas.alice.", Some(1)),
                ("here.alice.", Some(2)),
                ("away.alice.", None),
            ],
        );
        resolver.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_names_or_none() {
    let upstream = upstream();
    let all =
        start(&upstream, Rebind { policy: RebindPolicy::All, ..Rebind::default() }, Udp::default());
    check(&all, &[("nas.alice.", None), ("here.alice.", None), ("inside.example.com.", None)]);
    let allow = vec![Name::from_ascii("alice.").unwrap()];
    let allowed = start(&upstream, Rebind { policy: RebindPolicy::All, allow }, Udp::default());
    check(&allowed, &[("nas.alice.", Some(1)), ("inside.example.com.", None)]);
    let off =
        start(&upstream, Rebind { policy: RebindPolicy::Off, ..Rebind::default() }, Udp::default());
    check(&off, &[("inside.example.com.", Some(1)), ("to-localhost.example.com.", Some(2))]);
}
