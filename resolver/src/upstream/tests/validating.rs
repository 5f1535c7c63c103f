//! Upstreams that strip signatures or sign wrongly, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::dns::rtype;
use crate::dnssec::validate::Anchors;
use crate::dnssec::validate::tests::signer::{Claims, NOW, Pair};
use crate::os::clock::Clock;
use crate::upstream::{ValidateConfig, ValidateMode};

/// The zone that the trust anchor is for, and a signed zone below it.
const PARENT: &str = "example";
const CHILD: &str = "child.example";

fn parent() -> Pair {
    Pair::new(1, 257)
}

fn child() -> Pair {
    Pair::new(2, 257)
}

/// The DS of the child: SHA-256.
fn child_ds() -> Vec<u8> {
    let digest =
        ring::digest::digest(&ring::digest::SHA256, &[name(CHILD), child().dnskey].concat());
    [&child().tag().to_be_bytes()[..], &[15, 2], digest.as_ref()].concat()
}

/// The answer of both zones to a query, with signatures or without.
fn answer(seen: &Seen, is_signed: bool) -> Vec<u8> {
    let question = seen.question().to_ascii_lowercase();
    let qtype = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let is_child = question.starts_with(&name(CHILD));
    let asked = crate::dns::name::Name::of(&question[..question.len() - 4]).to_string();
    let (pair, signer, owner, value): (Pair, &'static str, &str, Vec<u8>) = match qtype {
        rtype::DNSKEY if is_child => (child(), CHILD, CHILD, child().dnskey),
        rtype::DNSKEY => (parent(), PARENT, PARENT, parent().dnskey),
        rtype::DS => (parent(), PARENT, CHILD, child_ds()),
        _ => (child(), CHILD, &asked, vec![192, 0, 2, 1]),
    };
    let build = Build::reply(&seen.bytes);
    if is_signed {
        pair.add(build, Section::Answer, owner, qtype, &[&value], &Claims::of(signer)).done()
    } else {
        build.record(Section::Answer, &name(owner), qtype, 86_400, &value).done()
    }
}

/// An upstream that strips signatures as long as the flag is set; with `only`, of one type.
async fn stripping(strips: &Arc<AtomicBool>, only: Option<u16>) -> Fake {
    let strips = strips.clone();
    Fake::answering(move |seen| {
        let question = seen.question();
        let qtype =
            u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
        let meant = only.is_none_or(|only| only == qtype);
        answer(seen, !(meant && strips.load(Ordering::SeqCst)))
    })
    .await
}

fn config(upstreams: &[SocketAddr]) -> UpstreamsConfig {
    let anchors = Anchors::from_text(&parent().anchor("example.")).unwrap();
    UpstreamsConfig {
        upstreams: upstreams.iter().copied().map(Upstream::Plain).collect(),
        timeout: TIMEOUT,
        first_retry: TIMEOUT / 2,
        validate: ValidateConfig { mode: ValidateMode::On, anchors },
        ..UpstreamsConfig::default()
    }
}

fn validating(upstreams: &[SocketAddr]) -> (Upstreams, Arc<Clock>) {
    let config = config(upstreams);
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::at(NOW)));
    (Upstreams::new(config, cache, clock.clone()).unwrap(), clock)
}

async fn rcode(legacy: &Upstreams) -> ResponseCode {
    legacy.resolve(&a("www.child.example.")).await.unwrap().message.metadata.response_code
}

fn flag(set: bool) -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(set))
}

/// RFC 4035 §4.7, RFC 9520 §3.2: a DS, DNSKEY or answer that made a name bogus was cached for its
/// own TTL, a day here.
#[tokio::test]
async fn what_made_an_answer_bogus_is_cached_for_half_a_minute_at_most() {
    for only in [Some(rtype::DS), Some(rtype::DNSKEY), Some(rtype::A), None] {
        let strips = flag(true);
        let fake = stripping(&strips, only).await;
        let (legacy, clock) = validating(&[fake.address]);
        assert_eq!(rcode(&legacy).await, ResponseCode::ServFail);
        strips.store(false, Ordering::SeqCst);
        let before = fake.seen().len();
        assert_eq!(rcode(&legacy).await, ResponseCode::ServFail, "the failure is cached");
        assert_eq!(fake.seen().len(), before);
        clock.put_forward(Duration::from_secs(31));
        assert_eq!(rcode(&legacy).await, ResponseCode::NoError, "{only:?}");
    }
}

/// One upstream of two strips signatures: the other one has the answer.
#[tokio::test]
async fn another_upstream_is_asked_before_an_answer_is_bogus() {
    let good = stripping(&flag(false), None).await;
    for only in [Some(rtype::DS), Some(rtype::DNSKEY), Some(rtype::A), None] {
        let spoilt = stripping(&flag(true), only).await;
        for upstreams in [[spoilt.address, good.address], [good.address, spoilt.address]] {
            let (legacy, _) = validating(&upstreams);
            assert_eq!(rcode(&legacy).await, ResponseCode::NoError, "{only:?} {upstreams:?}");
            assert_eq!(rcode(&legacy).await, ResponseCode::NoError, "from the cache");
        }
    }
}

/// A zone that is broken everywhere costs a bounded number of queries, and its failure is cached:
/// other names below it are not retried.
#[tokio::test]
async fn a_zone_that_is_broken_everywhere_is_not_asked_for_again_and_again() {
    let (one, two) = (stripping(&flag(true), None).await, stripping(&flag(true), None).await);
    let (legacy, _) = validating(&[one.address, two.address]);
    assert_eq!(rcode(&legacy).await, ResponseCode::ServFail);
    let count = || one.seen().len() + two.seen().len();
    let first = count();
    assert!(first <= 15, "{first} queries");
    let reply = legacy.resolve(&a("other.child.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(count(), first + 1, "only the answer itself");
}

/// The first attempt over the fast path leaves a bogus answer to the slow path, which asks others.
#[tokio::test]
async fn the_fast_path_does_not_settle_that_an_answer_is_bogus() {
    let strips = flag(false);
    let (one, two) =
        (stripping(&strips, Some(rtype::A)).await, stripping(&flag(false), None).await);
    let (legacy, _) = validating(&[one.address, two.address]);
    // The keys are cached now.
    assert_eq!(rcode(&legacy).await, ResponseCode::NoError);
    strips.store(true, Ordering::SeqCst);
    legacy.shared.cache.flush();
    let random = [0; crate::upstream::FIRST_TRY_RANDOM_BYTES];
    let asked = legacy.first_try(&question("www.child.example", 1), false, false, &random).unwrap();
    let from: SocketAddr = asked.server();
    let seen = Seen { via: Via::Udp, from, bytes: asked.bytes().to_vec() };
    let reply = legacy.on_first_reply(&asked, from, &answer(&seen, false), SHORT);
    assert!(matches!(reply, crate::upstream::FirstReply::Other), "{reply:?}");
    assert_eq!(rcode(&legacy).await, ResponseCode::NoError);
}

const SHORT: Duration = Duration::from_millis(1);

/// `cache flush` removes keys too.
#[tokio::test]
async fn a_flush_removes_keys() {
    let fake = stripping(&flag(false), None).await;
    let (legacy, _) = validating(&[fake.address]);
    assert_eq!(rcode(&legacy).await, ResponseCode::NoError);
    assert_ne!(legacy.validation_counts().known, 0);
    legacy.flush_keys();
    assert_eq!(legacy.validation_counts().known, 0);
}

/// A reload removes failures at once, and answers of upstreams that are not used any more.
#[tokio::test]
async fn after_a_reload_nothing_depends_on_the_network_before() {
    let strips = flag(true);
    let fake = stripping(&strips, None).await;
    let (before, _) = validating(&[fake.address]);
    assert_eq!(rcode(&before).await, ResponseCode::ServFail);
    strips.store(false, Ordering::SeqCst);
    let same = before.reconfigured(config(&[fake.address])).unwrap();
    same.take_over(&before);
    assert_eq!(rcode(&same).await, ResponseCode::NoError, "the network strips nothing any more");
    let cached = same.resolve(&a("www.child.example.")).await.unwrap();
    assert_eq!(cached.source, ReplySource::Cache);
    let other = stripping(&flag(false), None).await;
    let after = same.reconfigured(config(&[other.address])).unwrap();
    after.take_over(&same);
    let reply = after.resolve(&a("www.child.example.")).await.unwrap();
    assert_eq!(reply.source, ReplySource::Server(other.address.into()));
}

/// A query in flight across a reload is answered, and not cached: by the slow path and by the fast.
#[tokio::test]
async fn an_answer_to_the_settings_before_a_reload_is_not_cached() {
    let (old, new) = (Fake::answering(one_a).await, Fake::answering(one_a).await);
    let before = legacy(&[old.address]);
    let random = [0; crate::upstream::FIRST_TRY_RANDOM_BYTES];
    let asked = before.first_try(&question("fast.example", 1), false, false, &random).unwrap();
    let slow = a("slow.example.");
    let mut in_flight = Box::pin(before.resolve(&slow));
    let started = std::future::poll_fn(|context| {
        std::task::Poll::Ready(in_flight.as_mut().poll(context).is_pending())
    });
    assert!(started.await);
    let config =
        UpstreamsConfig { upstreams: vec![new.address.into()], ..UpstreamsConfig::default() };
    let after = before.reconfigured(config).unwrap();
    after.take_over(&before);
    assert_eq!(in_flight.await.unwrap().source, ReplySource::Server(old.address.into()));
    let source = after.resolve(&slow).await.unwrap().source;
    assert_eq!(source, ReplySource::Server(new.address.into()));
    let seen = Seen { via: Via::Udp, from: old.address, bytes: asked.bytes().to_vec() };
    let reply = after.on_first_reply(&asked, old.address, &one_a(&seen), SHORT);
    assert!(matches!(reply, crate::upstream::FirstReply::Other), "{reply:?}");
}

/// One FORMERR turned EDNS off for 15 minutes, and with it every signed name.
#[tokio::test]
async fn an_upstream_that_supports_dnssec_is_never_asked_without_edns() {
    let fails = flag(false);
    let formerr = fails.clone();
    let fake = Fake::answering(move |seen| {
        if formerr.load(Ordering::SeqCst) {
            return Build::reply(&seen.bytes).rcode(1).done();
        }
        answer(seen, seen.has_edns())
    })
    .await;
    let mut config = config(&[fake.address]);
    config.validate.mode = ValidateMode::Auto;
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::at(NOW)));
    let legacy = Upstreams::new(config, cache, clock).unwrap();
    assert_eq!(rcode(&legacy).await, ResponseCode::NoError, "it has passed the probe");
    legacy.shared.cache.flush();
    fails.store(true, Ordering::SeqCst);
    assert_ne!(rcode(&legacy).await, ResponseCode::NoError);
    fails.store(false, Ordering::SeqCst);
    legacy.shared.cache.flush();
    assert_eq!(rcode(&legacy).await, ResponseCode::NoError);
    assert!(fake.seen().iter().all(Seen::has_edns));
}

/// In mode `auto`, an answer that was taken without validation while the upstream that supports
/// DNSSEC did not reply was cached for its whole TTL, also after that was back.
#[tokio::test]
async fn an_unvalidated_answer_leaves_when_an_upstream_that_validates_is_back() {
    let silent = flag(false);
    let is_silent = silent.clone();
    let good = Fake::start(move |seen| {
        let query = seen.last().unwrap();
        let quiet = is_silent.load(Ordering::SeqCst);
        (!quiet).then(|| (answer(query, true), query.from)).into_iter().collect()
    })
    .await;
    let other = stripping(&flag(true), None).await;
    let mut config = config(&[good.address, other.address]);
    config.validate.mode = ValidateMode::Auto;
    (config.timeout, config.first_retry) = (400 * SHORT, 100 * SHORT);
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::at(NOW)));
    let legacy = Upstreams::new(config.clone(), cache, clock).unwrap();
    let source = async |legacy: &Upstreams, name: &str| {
        let reply = legacy.resolve(&a(name)).await.unwrap();
        (reply.source, reply.message.answers[0].ttl)
    };
    let (validated, _) = source(&legacy, "www.child.example.").await;
    assert_eq!(validated, ReplySource::Server(good.address.into()));
    silent.store(true, Ordering::SeqCst);
    legacy.shared.cache.flush();
    let (unvalidated, ttl) = source(&legacy, "www.child.example.").await;
    assert_eq!((unvalidated, ttl), (ReplySource::Server(other.address.into()), 30));
    assert_eq!(source(&legacy, "www.child.example.").await.0, ReplySource::Cache);
    silent.store(false, Ordering::SeqCst);
    // Also across a reload.
    let after = legacy.reconfigured(config).unwrap();
    after.take_over(&legacy);
    assert_eq!(
        source(&after, "new.child.example.").await.0,
        ReplySource::Server(good.address.into())
    );
    let (again, _) = source(&after, "www.child.example.").await;
    assert_eq!(again, ReplySource::Server(good.address.into()));
}
