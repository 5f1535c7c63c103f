//! Legacy DNS against upstreams on the loopback interface that say what a test wants.

mod failing;
mod fake;
mod matching;
mod plain;
mod quotas;
mod secure;
mod secure_fake;
mod stale;
mod ttl;
mod validating;
mod zones;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};

use super::{ForwardError, Reply, ReplySource, Upstream, Upstreams, UpstreamsConfig};
use crate::dns::message::Section;
use crate::dns::query::Question;
use crate::dns::testing::{AT_QUESTION, Build, name, question};
use fake::{Fake, Seen, Via};

/// So long that no test waits for it unless somebody is silent on purpose.
const TIMEOUT: Duration = Duration::from_secs(20);

fn ask_for(name: &str, qtype: RecordType) -> Question {
    Question::new(Name::from_ascii(name).unwrap(), qtype)
}

fn a(name: &str) -> Question {
    ask_for(name, RecordType::A)
}

fn legacy_with(upstreams: &[SocketAddr], change: impl FnOnce(&mut UpstreamsConfig)) -> Upstreams {
    let mut config = UpstreamsConfig {
        upstreams: upstreams.iter().copied().map(Upstream::Plain).collect(),
        cache_bytes: 1 << 20,
        timeout: TIMEOUT,
        first_retry: TIMEOUT / 2,
        max_in_flight: 64,
        ..UpstreamsConfig::default()
    };
    change(&mut config);
    Upstreams::standalone(config).unwrap()
}

fn legacy(upstreams: &[SocketAddr]) -> Upstreams {
    legacy_with(upstreams, |_| {})
}

fn one_a(seen: &Seen) -> Vec<u8> {
    Build::reply(&seen.bytes).a(300, [192, 0, 2, 1]).done()
}

fn addresses(reply: &Reply) -> Vec<String> {
    reply.message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn all_that_the_upstream_answered_reaches_the_client() {
    let dname = [b"\x03old".to_vec(), AT_QUESTION.to_vec()].concat();
    let data = dname.clone();
    let fake = Fake::answering(move |seen| {
        Build::reply(&seen.bytes)
            .flags(0x04, 0x20)
            .record(Section::Answer, &AT_QUESTION, 39, 300, &data)
            .record(Section::Answer, &name("Other.Example"), 65432, 301, &[1, 2, 3])
            .record(Section::Answer, &AT_QUESTION, 257, 302, b"\x00\x05issue")
            .record(Section::Authority, &AT_QUESTION, 2, 303, &name("ns.example"))
            .opt()
            .record(Section::Additional, &name("ns.example"), 28, 304, &[9; 16])
            .done()
    })
    .await;
    let legacy = legacy(&[fake.address]);
    for source in [ReplySource::Server(fake.address.into()), ReplySource::Cache] {
        let reply = legacy.resolve(&ask_for("wWw.Example.", RecordType::from(39))).await.unwrap();
        assert_eq!(reply.source, source);
        let message = &reply.message;
        let meta = message.metadata;
        assert!(
            meta.authoritative
                && meta.recursion_available
                && meta.recursion_desired
                && meta.authentic_data
        );
        assert_eq!(message.queries[0].name().to_ascii(), "wWw.Example.");
        assert!(message.edns.is_none());
        let shown: Vec<String> = message.all_sections().map(ToString::to_string).collect();
        assert_eq!(message.answers.len(), 3);
        assert_eq!(
            (message.authorities.len(), message.additionals.len()),
            (0, 0),
            "nobody asked for these"
        );
        assert_eq!(shown[1], "Other.Example. 301 IN Unknown AQID");
        match &message.answers[0].data {
            RData::Unknown { code, rdata } => {
                assert_eq!(u16::from(*code), 39);
                assert_eq!(
                    rdata.anything,
                    name("old.wWw.Example"),
                    "the name in it is written out"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fake.counts(), (1, 0));
    let stats = legacy.shared.cache.stats();
    assert_eq!((stats.entries, stats.hits, stats.misses), (1, 1, 1));
}

#[tokio::test]
async fn an_alias_and_its_chain_come_in_order() {
    let fake = Fake::answering(|seen| {
        Build::reply(&seen.bytes)
            .record(Section::Answer, &AT_QUESTION, 5, 60, &name("b.example"))
            .record(Section::Answer, &name("b.example"), 5, 30, &name("c.example"))
            .record(Section::Answer, &name("c.example"), 1, 20, &[192, 0, 2, 7])
            .done()
    })
    .await;
    let reply = legacy(&[fake.address]).resolve(&a("a.example.")).await.unwrap();
    let shown: Vec<String> = reply.message.answers.iter().map(ToString::to_string).collect();
    let want = [
        "a.example. 60 IN CNAME b.example.",
        "b.example. 30 IN CNAME c.example.",
        "c.example. 20 IN A 192.0.2.7",
    ];
    assert_eq!(shown, want);
}

#[tokio::test]
async fn what_is_truncated_over_udp_is_asked_for_over_tcp() {
    let fake = Fake::answering(|seen| match seen.via {
        Via::Udp => Build::reply(&seen.bytes).flags(2, 0).a(300, [1; 4]).done(),
        Via::Tcp => (0..200u8)
            .fold(Build::reply(&seen.bytes), |build, n| build.a(300, [192, 0, 2, n]))
            .done(),
    })
    .await;
    let legacy = legacy(&[fake.address]);
    let reply = legacy.resolve(&a("big.example.")).await.unwrap();
    assert_eq!(reply.message.answers.len(), 200);
    assert!(!reply.message.metadata.truncation);
    assert_eq!(legacy.resolve(&a("big.example.")).await.unwrap().source, ReplySource::Cache);
    assert_eq!(fake.counts(), (1, 1));
}

#[tokio::test]
async fn a_datagram_larger_than_expected_is_asked_for_over_tcp() {
    let fake = Fake::answering(|seen| {
        (0..u16::from(seen.via == Via::Udp) * 200 + 300)
            .fold(Build::reply(&seen.bytes), |build, n| {
                build.a(300, [192, 0, (n >> 8) as u8, n as u8])
            })
            .done()
    })
    .await;
    let reply = legacy(&[fake.address]).resolve(&a("big.example.")).await.unwrap();
    assert_eq!((reply.message.answers.len(), fake.counts()), (300, (1, 1)));
}

#[tokio::test]
async fn absence_is_kept_only_with_an_soa() {
    let fake = Fake::answering(|seen| {
        let build = Build::reply(&seen.bytes).rcode(3);
        if seen.question().to_ascii_lowercase().starts_with(b"\x04with") {
            build.soa("example", 300, 60).done()
        } else {
            build.done()
        }
    })
    .await;
    let legacy = legacy(&[fake.address]);
    for (asked, kept) in [("with.example.", true), ("without.example.", false)] {
        for turn in 0..2 {
            let reply = legacy.resolve(&a(asked)).await.unwrap();
            assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain);
            assert_eq!(reply.message.authorities.len(), usize::from(kept));
            assert_eq!(reply.source == ReplySource::Cache, kept && turn == 1, "{asked} {turn}");
        }
    }
}

#[tokio::test]
async fn a_ttl_of_zero_is_for_those_who_wait_and_nobody_else() {
    let fake = Fake::answering(|seen| Build::reply(&seen.bytes).a(0, [192, 0, 2, 1]).done()).await;
    let legacy = legacy(&[fake.address]);
    for _ in 0..2 {
        assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    }
    assert_eq!(fake.counts().0, 2);
}

#[tokio::test]
async fn do_and_cd_go_upstream_and_answers_are_kept_apart() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    for (dnssec_ok, checking_disabled) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let question = Question { dnssec_ok, checking_disabled, ..a("a.example.") };
        let reply = legacy.resolve(&question).await.unwrap();
        assert_eq!(reply.source, ReplySource::Server(fake.address.into()));
        assert_eq!(reply.message.metadata.checking_disabled, checking_disabled);
        let seen = fake.seen().pop().unwrap();
        let fourth = 0x20 | if checking_disabled { 0x10 } else { 0 };
        assert_eq!(
            seen.bytes[2..4],
            [0x01, fourth],
            "RD, AD asked of a server on this machine, CD"
        );
        let opt = seen.bytes.len() - 11;
        let flags = if dnssec_ok { 0x80 } else { 0 };
        assert_eq!(
            seen.bytes[opt..],
            [0, 0, 41, 0x04, 0xd0, 0, 0, flags, 0, 0, 0],
            "1232 bytes, no options"
        );
    }
}

#[tokio::test]
async fn ids_ports_and_cases_differ_from_query_to_query() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    // A socket serves 32 questions, and then there is another.
    for n in 0..256 {
        legacy.resolve(&a(&format!("a-name-with-many-letters.{n}.example."))).await.unwrap();
    }
    let seen = fake.seen();
    let ids: HashSet<_> = seen.iter().map(|seen| seen.bytes[..2].to_vec()).collect();
    let ports: HashSet<_> = seen.iter().map(|seen| seen.from.port()).collect();
    let cases: HashSet<_> = seen.iter().map(|seen| seen.question()[1..25].to_vec()).collect();
    // That one of eight is drawn twice happens once in thousands of runs; that four are equal
    // never.
    assert!(
        ids.len() > 240 && ports.len() > 4 && cases.len() > 240,
        "{} {ports:?} {}",
        ids.len(),
        cases.len()
    );
}

#[tokio::test]
async fn identical_questions_share_a_query_and_each_gets_its_own_spelling() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    let (one, two, three) = (a("a.example."), a("A.Example."), a("a.EXAMPLE."));
    // All three are polled before the upstream is, so all three are under way at once.
    let replies = tokio::join!(legacy.resolve(&one), legacy.resolve(&two), legacy.resolve(&three));
    for (reply, spelling) in
        [(replies.0, "a.example."), (replies.1, "A.Example."), (replies.2, "a.EXAMPLE.")]
    {
        let message = reply.unwrap().message;
        assert_eq!(message.queries[0].name().to_ascii(), spelling);
        assert_eq!(message.answers[0].name.to_ascii(), spelling);
    }
    assert_eq!(fake.counts(), (1, 0));
}

#[tokio::test]
async fn who_asked_first_may_go_away() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    let question = a("a.example.");
    let mut first = Box::pin(legacy.resolve(&question));
    assert!(
        std::future::poll_fn(|context| std::task::Poll::Ready(
            first.as_mut().poll(context).is_pending()
        ))
        .await
    );
    drop(first);
    assert_eq!(addresses(&legacy.resolve(&question).await.unwrap()), ["192.0.2.1"]);
    assert_eq!(fake.counts(), (1, 0));
}

#[tokio::test]
async fn no_more_questions_are_under_way_than_allowed() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy_with(&[fake.address], |config| config.max_in_flight = 1);
    let (one, two) = (a("one.example."), a("two.example."));
    let (first, second) = tokio::join!(legacy.resolve(&one), legacy.resolve(&two));
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err(), ForwardError::Busy { limit: 1 });
    assert!(legacy.resolve(&two).await.is_ok(), "there is room again");
}

#[tokio::test]
async fn delegated_servers_are_asked_without_rd_and_kept_apart() {
    let upstream =
        Fake::answering(|seen| Build::reply(&seen.bytes).a(300, [192, 0, 2, 1]).done()).await;
    let first = Fake::answering(|seen| {
        Build::reply(&seen.bytes).flags(4, 0x20).a(300, [192, 0, 2, 2]).done()
    })
    .await;
    let second =
        Fake::answering(|seen| Build::reply(&seen.bytes).flags(4, 0).a(300, [192, 0, 2, 3]).done())
            .await;
    let legacy = legacy(&[upstream.address]);
    let question = a("www.alice.");
    for _ in 0..2 {
        assert_eq!(addresses(&legacy.resolve(&question).await.unwrap()), ["192.0.2.1"]);
        let reply = legacy.ask(&[first.address], &question).await.unwrap();
        assert_eq!(addresses(&reply), ["192.0.2.2"]);
        assert!(reply.message.metadata.authoritative && !reply.message.metadata.authentic_data);
        assert_eq!(
            addresses(&legacy.ask(&[second.address], &question).await.unwrap()),
            ["192.0.2.3"]
        );
    }
    for fake in [&upstream, &first, &second] {
        assert_eq!(fake.counts(), (1, 0));
    }
    assert_eq!(first.seen()[0].bytes[2..4], [0, 0], "no RD, no AD");
}

#[tokio::test]
async fn an_alias_without_its_target_is_an_answer_only_of_a_delegated_server() {
    let reply = |seen: &Seen| {
        Build::reply(&seen.bytes).record(Section::Answer, &AT_QUESTION, 5, 60, &name("b.example"))
    };
    let fake = Fake::answering(move |seen| reply(seen).done()).await;
    let legacy = legacy(&[fake.address]);
    for source in [ReplySource::Server(fake.address.into()), ReplySource::Cache] {
        assert_eq!(legacy.ask(&[fake.address], &a("www.alice.")).await.unwrap().source, source);
        let of_upstream = legacy.resolve(&a("www.alice.")).await.unwrap().source;
        assert_eq!(of_upstream, ReplySource::Server(fake.address.into()));
    }
}

#[tokio::test]
async fn after_a_flush_everything_is_asked_anew() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    legacy.resolve(&a("a.example.")).await.unwrap();
    legacy.shared.cache.flush();
    assert_eq!(legacy.shared.cache.stats().entries, 0);
    legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(fake.counts().0, 2);
}

#[tokio::test]
async fn what_is_no_look_up_is_not_forwarded() {
    let fake = Fake::answering(one_a).await;
    let legacy = legacy(&[fake.address]);
    for qtype in [RecordType::AXFR, RecordType::IXFR, RecordType::OPT, RecordType::TSIG] {
        let error = legacy.resolve(&ask_for("a.example.", qtype)).await.unwrap_err();
        assert_eq!((&error, error.ede().code), (&ForwardError::NotForwardable(qtype), 21));
    }
    assert_eq!(fake.counts(), (0, 0));
}

#[test]
fn bounds_of_zero_are_refused() {
    for change in [
        (|config| config.timeout = Duration::ZERO) as fn(&mut UpstreamsConfig),
        |config| config.first_retry = Duration::ZERO,
        |config| config.max_in_flight = 0,
        |config| config.upstreams = vec!["192.0.2.1".parse().unwrap(); 17],
    ] {
        let mut config = UpstreamsConfig::default();
        change(&mut config);
        assert!(matches!(Upstreams::standalone(config), Err(ForwardError::Config(_))));
    }
}
