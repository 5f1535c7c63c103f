//! Queries over real sockets, and their expected responses.

mod common;

use common::{Names, Setup, Upstream, dname, ede, question, shown};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, CNAME, NS, SOA},
    },
};
use resolver::chain::{Inactive, marks::ChainMarks, mount::Mounts};

fn a(last: u8) -> Vec<u8> {
    vec![192, 0, 2, last]
}

fn alice() -> Names {
    let mx = [&[0, 10][..], &dname("mail.alice")].concat();
    let srv = [&[0, 1, 0, 2, 0, 80][..], &dname("www.alice")].concat();
    let https = [&[0, 1][..], &dname("www.alice"), &[0, 1, 0, 3, 2, b'h', b'2']].concat();
    let text = |n: u8| (b"\xff".iter().chain([n; 255].iter()).copied()).collect::<Vec<u8>>();
    let big: Vec<_> = (0..6).map(|n| ("big", 16, text(n))).collect();
    let mut records = vec![
        ("", 1, a(1)),
        ("", 15, mx),
        ("", 16, b"\x05hello".to_vec()),
        ("www", 1, a(2)),
        ("www", 28, vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("mail", 1, a(3)),
        ("ftp", 5, dname("www.alice")),
        ("away", 5, dname("www.example.com")),
        ("bobs", 5, dname("www.bobby")),
        ("loop", 5, dname("pool.alice")),
        ("pool", 5, dname("loop.alice")),
        ("home", 5, dname("localhost")),
        ("_http._tcp", 33, srv),
        ("", 65, https),
        ("odd", 65_280, vec![1, 2, 3]),
        ("none", 65_281, vec![]),
        ("old", 39, dname("new.alice")),
        ("host.new", 1, a(4)),
        ("*.wild", 1, a(5)),
        ("caa", 257, b"\x00\x05issueca.example".to_vec()),
    ];
    records.extend(big);
    Names::default()
        .with("alice", &records)
        .with("bobby", &[("www", 1, a(9))])
        .inactive("gone", Inactive::Grace { ended: 10, released: 20 })
        .inactive("burnt", Inactive::Revoked { released: 30 })
        .contested("fork", 7)
        .inactive("fresh", Inactive::Settling { height: 77, time: 1_800_000_000 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_of_the_chain() {
    let upstream = Upstream::silent();
    let resolver = Setup { upstreams: vec![upstream.address], ..Setup::default() }.start(alice());
    for (name, qtype, expected) in [
        ("alice.", 1, vec!["alice. A 192.0.2.1"]),
        ("www.alice.", 1, vec!["www.alice. A 192.0.2.2"]),
        ("www.alice.", 28, vec!["www.alice. AAAA 2001:db8::1"]),
        ("WwW.aLiCe.", 1, vec!["WwW.aLiCe. A 192.0.2.2"]),
        ("alice.", 15, vec!["alice. MX 10 mail.alice."]),
        ("_http._tcp.alice.", 33, vec!["_http._tcp.alice. SRV 1 2 80 www.alice."]),
        ("ftp.alice.", 1, vec!["ftp.alice. CNAME www.alice.", "www.alice. A 192.0.2.2"]),
        ("ftp.alice.", 5, vec!["ftp.alice. CNAME www.alice."]),
        ("ftp.alice.", 16, vec!["ftp.alice. CNAME www.alice."]),
        ("bobs.alice.", 1, vec!["bobs.alice. CNAME www.bobby.", "www.bobby. A 192.0.2.9"]),
        ("home.alice.", 1, vec!["home.alice. CNAME localhost.", "localhost. A 127.0.0.1"]),
        ("x.y.wild.alice.", 1, vec!["x.y.wild.alice. A 192.0.2.5"]),
        (
            "host.old.alice.",
            1,
            vec![
                "old.alice. DNAME new.alice.",
                "host.old.alice. CNAME host.new.alice.",
                "host.new.alice. A 192.0.2.4",
            ],
        ),
        ("alice.", 6, vec!["alice. SOA alice. hostmaster.alice. 7 3600 600 604800 300"]),
        ("wild.alice.", 1, vec![]),
        ("alice.", 2, vec![]),
    ] {
        let answer = resolver.ask(name, qtype);
        let got = shown(&answer);
        let got: Vec<String> = got.iter().map(|line| line.replace("ANAME", "DNAME")).collect();
        // hickory represents DNAME RDATA as bytes.
        let same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(got, want)| {
                got == want || (want.contains(" DNAME ") && got.starts_with("old.alice. DNAME"))
            });
        assert!(same, "{name} {qtype}: {got:#?}");
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{name} {qtype}");
        assert!(
            answer.metadata.authoritative && answer.metadata.recursion_available,
            "{name} {qtype}"
        );
        let negative = expected.is_empty() || (name == "ftp.alice." && qtype == 16);
        assert_eq!(answer.authorities.len(), usize::from(negative), "{name} {qtype}");
    }
    for (name, soa) in [
        ("nobody.alice.", "alice."),
        ("a.b.alice.", "alice."),
        ("nobody.alice.namechain.alt.", "namechain.alt."),
    ] {
        let answer = resolver.ask(name, 1);
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{name}");
        assert_eq!(answer.authorities[0].name.to_string(), soa);
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
    }
    assert_eq!(upstream.asked(), 0, "nothing of this leaves the machine");
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_unknown_types_are_as_they_were() {
    let resolver = Setup::default().start(alice());
    for (name, qtype, data) in [
        ("odd.alice.", 65_280, vec![1, 2, 3]),
        ("caa.alice.", 257, b"\x00\x05issueca.example".to_vec()),
    ] {
        let bytes = resolver.udp_bytes(&question(name, qtype, None).to_vec().unwrap()).unwrap();
        assert!(bytes.ends_with(&data), "{name}: {bytes:?}");
    }
    let bytes =
        resolver.udp_bytes(&question("none.alice.", 65_281, None).to_vec().unwrap()).unwrap();
    assert_eq!(
        (&bytes[6..8], &bytes[bytes.len() - 2..]),
        (&[0, 1][..], &[0, 0][..]),
        "one record without data"
    );
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_given_under_the_mount_they_were_asked_under() {
    let mounts = Mounts::SUFFIX;
    let resolver = Setup { mounts, ..Setup::default() }.start(alice());
    for (name, qtype, expected) in [
        ("alice.namechain.alt.", 15, vec!["alice.namechain.alt. MX 10 mail.alice.namechain.alt."]),
        (
            "ftp.alice.namechain.alt.",
            1,
            vec![
                "ftp.alice.namechain.alt. CNAME www.alice.namechain.alt.",
                "www.alice.namechain.alt. A 192.0.2.2",
            ],
        ),
        (
            "_http._tcp.alice.namechain.alt.",
            33,
            vec!["_http._tcp.alice.namechain.alt. SRV 1 2 80 www.alice.namechain.alt."],
        ),
        (
            "alice.namechain.alt.",
            65,
            vec!["alice.namechain.alt. HTTPS 1 www.alice.namechain.alt. alpn=h2,"],
        ),
        ("alice.namechain.alt.", 16, vec!["alice.namechain.alt. TXT hello"]),
    ] {
        assert_eq!(shown(&resolver.ask(name, qtype)), expected, "{name} {qtype}");
    }
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_mount_point_nothing_leaves_the_machine() {
    let upstream = Upstream::silent();
    let resolver = Setup { upstreams: vec![upstream.address], ..Setup::default() }.start(alice());
    for (name, rcode) in [
        ("nobody.namechain.alt.", ResponseCode::NXDomain),
        ("www.nobody.namechain.alt.", ResponseCode::NXDomain),
        ("com.namechain.alt.", ResponseCode::NXDomain),
        ("_x.namechain.alt.", ResponseCode::NXDomain),
        ("namechain.alt.", ResponseCode::NoError),
        ("other.alt.", ResponseCode::NXDomain),
        ("gone.namechain.alt.", ResponseCode::NXDomain),
        ("printer.local.", ResponseCode::NXDomain),
        ("4.3.168.192.in-addr.arpa.", ResponseCode::NXDomain),
    ] {
        let answer = resolver.ask(name, 1);
        assert_eq!(answer.metadata.response_code, rcode, "{name}");
        assert_eq!(answer.authorities.len(), 1, "{name}: an SOA");
        assert!(answer.authorities[0].name.zone_of(&Name::from_ascii(name).unwrap()), "{name}");
    }
    assert_eq!(upstream.asked(), 0);
    resolver.server.stop().await;
}

/// A held chain and an old tip are told beside the answers, which stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_marked_and_given() {
    for (marks, expected) in [
        (ChainMarks::default(), None),
        (ChainMarks { fork: Some(9), is_old: false }, Some((0, "forks off at height 9"))),
        (ChainMarks { fork: None, is_old: true }, Some((3, "more than 24 hours old"))),
    ] {
        let resolver = Setup::default().start(alice().marked(marks));
        let answer = resolver.ask("alice.", 1);
        assert_eq!(shown(&answer), ["alice. A 192.0.2.1"]);
        let told = ede(&answer);
        let (code, text) = expected.unzip();
        assert_eq!(told.as_ref().map(|(code, _)| *code), code, "{told:?}");
        assert!(text.is_none_or(|text| told.unwrap().1.contains(text)));
        resolver.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_the_chain_is_legacys() {
    let upstream = Upstream::start(|query, answer| {
        let data = RData::A(A::new(198, 51, 100, 1));
        answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
    });
    let resolver = Setup { upstreams: vec![upstream.address], ..Setup::default() }.start(alice());
    for name in ["www.example.com.", "nobody.", "x.nobody.", "_odd."] {
        let answer = resolver.ask(name, 1);
        assert_eq!(shown(&answer), [format!("{name} A 198.51.100.1")], "{name}");
        assert!(!answer.metadata.authoritative);
    }
    let before = upstream.asked();
    // An alias of the chain to that name.
    let answer = resolver.ask("away.alice.", 1);
    assert_eq!(
        shown(&answer),
        [
            "away.alice. CNAME www.example.com.".to_owned(),
            "www.example.com. A 198.51.100.1".to_owned()
        ]
    );
    assert!(answer.metadata.authoritative, "the first owner is ours");
    // Never queried in legacy DNS: lapsed, revoked, settling, contested, unreadable.
    for (name, rcode, code, text) in [
        ("gone.", ResponseCode::NXDomain, 0, "its lease ended on 1970-01-01 00:00 UTC"),
        ("www.burnt.", ResponseCode::NXDomain, 0, "it was revoked"),
        ("fresh.", ResponseCode::NXDomain, 0, "resolves from height 77 and 2027-01-15 08:00 UTC"),
        ("www.fresh.namechain.alt.", ResponseCode::NXDomain, 0, "fresh: it was registered a short"),
        ("fork.", ResponseCode::ServFail, 14, "fork is contested: it was changed above height 7"),
        ("broken.", ResponseCode::ServFail, 14, "can't be read"),
        ("www.broken.namechain.alt.", ResponseCode::ServFail, 14, "can't be read"),
    ] {
        let answer = resolver.ask(name, 1);
        assert_eq!(answer.metadata.response_code, rcode, "{name}");
        let (found, why) = ede(&answer).unwrap();
        assert!(found == code && why.contains(text), "{name}: {found} {why}");
    }
    assert!(upstream.asked() <= before + 1, "only the alias's target was asked for");
    resolver.server.stop().await;
}

/// `www.example.com` says that it is an alias of a name of the chain, and gives that name's
/// address. It has no authority for the latter.
#[tokio::test(flavor = "multi_thread")]
async fn legacy_has_no_say_over_names_of_the_chain() {
    let upstream = Upstream::start(|query, answer| {
        let target = Name::from_ascii("www.alice.").unwrap();
        let alias = RData::CNAME(CNAME(target.clone()));
        answer.add_answer(Record::from_rdata(query.name().clone(), 60, alias));
        answer.add_answer(Record::from_rdata(target, 60, RData::A(A::new(198, 51, 100, 66))));
    });
    let resolver = Setup { upstreams: vec![upstream.address], ..Setup::default() }.start(alice());
    let answer = resolver.ask("www.example.com.", 1);
    assert_eq!(shown(&answer), ["www.example.com. CNAME www.alice.", "www.alice. A 192.0.2.2"]);
    assert!(!answer.metadata.authoritative, "the first owner is not ours");
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_upstreams_legacy_names_fail_and_say_why() {
    let resolver = Setup::default().start(alice());
    let answer = resolver.ask("www.example.com.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(ede(&answer).unwrap().1.contains("no upstream"));
    assert_eq!(shown(&resolver.ask("www.alice.", 1)), ["www.alice. A 192.0.2.2"]);
    let answer = resolver.ask("loop.alice.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "an endless alias ends");
    assert!(ede(&answer).unwrap().1.contains("more than"));
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_recursion_nobody_is_asked() {
    let upstream = Upstream::silent();
    let names = alice().with("dele", &[("", 2, dname("ns.dele")), ("ns", 1, vec![127, 0, 0, 1])]);
    let setup = Setup {
        upstreams: vec![upstream.address],
        delegation_port: upstream.address.port(),
        ..Setup::default()
    };
    let resolver = setup.start(names);
    let ask = |name: &str| {
        let mut message = question(name, 1, Some(1_232));
        message.metadata.recursion_desired = false;
        resolver.udp(&message)
    };
    assert_eq!(shown(&ask("www.alice.")), ["www.alice. A 192.0.2.2"]);
    assert_eq!(ask("www.example.com.").metadata.response_code, ResponseCode::Refused);
    let referral = ask("www.dele.");
    assert_eq!(
        (referral.answers.len(), referral.authorities.len(), referral.additionals.len()),
        (0, 1, 1)
    );
    assert!(!referral.metadata.authoritative);
    assert_eq!(upstream.asked(), 0);
    resolver.server.stop().await;
}

/// The delegated server of `dele.`: it serves its zone as at the root, delegates `deep` to itself,
/// and adds records about other names.
fn delegated(query: &hickory_proto::op::Query, answer: &mut Message) {
    let name = query.name().clone();
    let at = |text: &str| Name::from_ascii(text).unwrap();
    answer.metadata.authoritative = true;
    let soa = SOA::new(at("dele."), at("root.dele."), 1, 2, 3, 4, 5);
    let soa = Record::from_rdata(at("dele."), 60, RData::SOA(soa));
    match name.to_string().to_lowercase().as_str() {
        "www.dele." => {
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(203, 0, 113, 1))));
            answer.add_authority(Record::from_rdata(
                at("dele."),
                60,
                RData::NS(NS(at("ns.dele."))),
            ));
            answer.add_additional(Record::from_rdata(
                at("evil.example."),
                60,
                RData::A(A::new(6, 6, 6, 6)),
            ));
        }
        "www.own.namechain.alt." => {
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(203, 0, 113, 2))));
        }
        "refused.own.namechain.alt." => answer.metadata.response_code = ResponseCode::Refused,
        "alias.dele." => {
            answer.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(at("www.alice.")))));
            answer.add_answer(Record::from_rdata(
                at("www.alice."),
                60,
                RData::A(A::new(6, 6, 6, 6)),
            ));
        }
        "host.deep.dele." if query.query_type() == RecordType::A => {
            answer.metadata.authoritative = false;
            answer.add_authority(Record::from_rdata(
                at("deep.dele."),
                60,
                RData::NS(NS(at("ns.dele."))),
            ));
        }
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.add_authority(soa);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delegated_servers_are_asked_and_believed_for_their_zone() {
    let server = Upstream::start(delegated);
    let ds = vec![0, 1, 8, 2, 0xaa, 0xbb];
    let names = alice()
        .with("dele", &[("", 2, dname("ns.dele")), ("ns", 1, vec![127, 0, 0, 1])])
        .with("own", &[("", 2, dname("ns.own")), ("", 43, ds), ("ns", 1, vec![127, 0, 0, 1])])
        .with("lost", &[("", 2, dname("ns.lost"))])
        .with("bad", &[("", 2, dname("ns.bad")), ("ns", 1, vec![0, 0, 0, 0])]);
    let resolver =
        Setup { delegation_port: server.address.port(), ..Setup::default() }.start(names);
    let answer = resolver.ask("www.dele.", 1);
    assert_eq!(shown(&answer), ["www.dele. A 203.0.113.1"]);
    assert!(!answer.metadata.authoritative);
    assert!(answer.additionals.is_empty(), "what lies outside its zone is left out");
    let answer = resolver.ask("www.dele.namechain.alt.", 1);
    assert_eq!(shown(&answer), ["www.dele.namechain.alt. A 203.0.113.1"]);
    assert_eq!(answer.authorities[0].data.to_string(), "ns.dele.namechain.alt.");
    let answer = resolver.ask("alias.dele.", 1);
    assert_eq!(shown(&answer), ["alias.dele. CNAME www.alice.", "www.alice. A 192.0.2.2"]);
    let answer = resolver.ask("nothing.dele.namechain.alt.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities[0].name.to_string(), "dele.namechain.alt.");
    let answer = resolver.ask("www.own.namechain.alt.", 1);
    assert_eq!(
        shown(&answer),
        ["www.own.namechain.alt. A 203.0.113.2"],
        "a signed zone is not given another name"
    );
    let answer = resolver.ask("refused.own.namechain.alt.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let (code, why) = ede(&answer).unwrap();
    assert!(code == 22 && why.contains("own.namechain.alt., a signed zone"), "{why}");
    let before = server.asked();
    let answer = resolver.ask("own.", 43);
    assert_eq!(answer.answers.len(), 1, "the DS of the cut is ours");
    assert!(answer.metadata.authoritative);
    for name in ["www.lost.", "www.bad."] {
        let answer = resolver.ask(name, 1);
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(ede(&answer).unwrap().0, 22, "{name}");
    }
    assert_eq!(server.asked(), before);
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_in_circles_ends() {
    let server = Upstream::start(delegated);
    let names = alice().with("dele", &[("", 2, dname("ns.dele")), ("ns", 1, vec![127, 0, 0, 1])]);
    let resolver =
        Setup { delegation_port: server.address.port(), ..Setup::default() }.start(names);
    let answer = resolver.ask("host.deep.dele.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(server.asked() < 20, "{}", server.asked());
    resolver.server.stop().await;
}

/// Each name's server is a name in the other's zone: no address can be found, and the search ends.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_need_each_other_are_given_up() {
    let names = Names::default()
        .with(
            "left",
            &[
                ("", 2, dname("ns1.right")),
                ("", 2, dname("ns2.right")),
                ("", 2, dname("ns3.right")),
            ],
        )
        .with(
            "right",
            &[("", 2, dname("ns1.left")), ("", 2, dname("ns2.left")), ("", 2, dname("ns3.left"))],
        );
    let resolver = Setup::default().start(names);
    let answer = resolver.ask("www.left.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(ede(&answer).unwrap().0, 22);
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_truncated_and_whole_over_tcp() {
    let resolver = Setup::default().start(alice());
    for (edns, limit) in [(None, 512), (Some(600), 600), (Some(1_232), 1_232), (Some(4_096), 1_232)]
    {
        let message = question("big.alice.", 16, edns);
        let bytes = resolver.udp_bytes(&message.to_vec().unwrap()).unwrap();
        assert!(bytes.len() <= limit, "{} bytes for {edns:?}", bytes.len());
        let answer = Message::from_vec(&bytes).unwrap();
        assert!(answer.metadata.truncation && answer.answers.is_empty(), "{edns:?}");
        assert_eq!(answer.edns.as_ref().map(Edns::max_payload), edns.map(|_| 1_232));
        let answer = resolver.tcp(&message);
        assert!(!answer.metadata.truncation);
        assert_eq!(answer.answers.len(), 6);
    }
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_questions() {
    let resolver = Setup::default().start(alice());
    let rcode = |message: &Message| resolver.udp(message).metadata.response_code;
    let mut version = question("www.alice.", 1, Some(1_232));
    version.edns.as_mut().unwrap().set_version(1);
    let answer = resolver.udp(&version);
    // BADSIG is 16 too.
    assert_eq!(u16::from(answer.metadata.response_code), u16::from(ResponseCode::BADVERS));
    assert_eq!(answer.edns.unwrap().version(), 0);
    let mut notify = question("alice.", 6, None);
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(rcode(&notify), ResponseCode::NotImp);
    let mut two = question("alice.", 1, None);
    two.add_queries(question("www.alice.", 1, None).queries);
    assert_eq!(rcode(&two), ResponseCode::FormErr);
    assert_eq!(rcode(&Message::new(1, MessageType::Query, OpCode::Query)), ResponseCode::FormErr);
    let mut chaos = question("version.bind.", 16, None);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(rcode(&chaos), ResponseCode::Refused);
    assert_eq!(rcode(&question("alice.", 251, None)), ResponseCode::Refused);
    assert_eq!(
        resolver.tcp(&question("alice.", 252, None)).metadata.response_code,
        ResponseCode::Refused
    );
    assert_eq!(resolver.ask("www.alice.", 255).answers.len(), 1, "one RRset for ANY");
    resolver.server.stop().await;
}
