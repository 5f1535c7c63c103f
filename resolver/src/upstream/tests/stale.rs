//! Answers that have run out, and those that are about to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hickory_proto::op::Message;

use super::*;
use crate::cache::{Answer, AnswerKind, Cache, Key, Scope};
use crate::dns::message::Packet;
use crate::os::clock::Clock;

/// Puts an answer into the cache that came `age` ago and held for `life`.
fn plant(legacy: &Upstreams, message: &[u8], age: Duration, life: Duration) {
    let packet = Packet::parse(message).unwrap();
    let answer = Arc::new(Answer::new(&packet, packet.question(), false).unwrap());
    let key = Key::new(packet.question(), false, false, Scope::Upstreams);
    let kind = if answer.rcode() == 0 { AnswerKind::Positive } else { AnswerKind::Negative };
    // The cache's clock starts with legacy DNS: what is older came before.
    let then = legacy.now().saturating_sub(age);
    legacy.shared.cache.insert(&key, answer, kind, life, then);
}

/// One whose answer has run out the moment it is looked for.
fn plant_stale(legacy: &Upstreams, message: &[u8]) {
    plant(legacy, message, Duration::ZERO, Duration::ZERO);
}

fn old_a() -> Vec<u8> {
    Build::answer(&question("a.example", 1)).a(300, [192, 0, 2, 99]).done()
}

fn ttls(message: &Message) -> Vec<u32> {
    message.all_sections().map(|record| record.ttl).collect()
}

/// An upstream that answers as its number says: 0 not at all, else with that RCODE less one.
async fn moody() -> (Fake, Arc<AtomicU8>) {
    let mood = Arc::new(AtomicU8::new(0));
    let its = mood.clone();
    let fake = Fake::start(move |seen| {
        let query = seen.last().unwrap();
        match its.load(Ordering::SeqCst) {
            0 => Vec::new(),
            1 => vec![(one_a(query), query.from)],
            n => vec![(Build::reply(&query.bytes).rcode(n - 1).done(), query.from)],
        }
    })
    .await;
    (fake, mood)
}

#[tokio::test]
async fn what_has_run_out_is_given_when_all_have_failed_and_says_so() {
    let (fake, mood) = moody().await;
    let legacy = legacy(&[fake.address]);
    for failure in [2, 5] {
        mood.store(failure + 1, Ordering::SeqCst);
        plant_stale(&legacy, &old_a());
        let reply = legacy.resolve(&a("A.Example.")).await.unwrap();
        assert_eq!(
            (addresses(&reply), &reply.source),
            (vec!["192.0.2.99".to_owned()], &ReplySource::Stale)
        );
        assert_eq!((ttls(&reply.message), reply.ede[0].code), (vec![30], 3));
        assert_eq!(
            reply.message.queries[0].name().to_ascii(),
            "A.Example.",
            "in the client's spelling"
        );
    }
    let asked = fake.counts().0;
    let again = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(
        (again.source, fake.counts().0),
        (ReplySource::Stale, asked),
        "the failure is kept in mind"
    );
}

#[tokio::test]
async fn a_stale_nxdomain_has_a_code_of_its_own() {
    let (fake, mood) = moody().await;
    mood.store(3, Ordering::SeqCst);
    let legacy = legacy(&[fake.address]);
    let old = Build::answer(&question("a.example", 1)).rcode(3).soa("example", 300, 60).done();
    plant_stale(&legacy, &old);
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!((ttls(&reply.message), reply.ede[0].code), (vec![30], 19));
}

#[tokio::test]
async fn what_cannot_be_reached_is_no_reason_to_give_nothing() {
    let legacy = legacy(&[fake::closed().await]);
    plant_stale(&legacy, &old_a());
    assert_eq!(legacy.resolve(&a("a.example.")).await.unwrap().source, ReplySource::Stale);
}

#[tokio::test]
async fn who_waits_for_a_silent_upstream_gets_it_before_it_is_given_up() {
    let (fake, mood) = moody().await;
    let legacy = legacy_with(&[fake.address], |config| {
        (config.first_retry, config.timeout) = (Duration::from_millis(200), Duration::from_secs(3));
    });
    plant_stale(&legacy, &old_a());
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.source, ReplySource::Stale);
    // It is asked again; what it says then is kept.
    mood.store(1, Ordering::SeqCst);
    until_address(&legacy, "a.example.", "192.0.2.1").await;
}

#[tokio::test]
async fn an_upstream_that_replies_counts_more_than_what_has_run_out() {
    let (fake, mood) = moody().await;
    mood.store(1, Ordering::SeqCst);
    let legacy = legacy(&[fake.address]);
    plant_stale(&legacy, &old_a());
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!((addresses(&reply), reply.ede.len()), (vec!["192.0.2.1".to_owned()], 0));
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let (fake, mood) = moody().await;
    mood.store(3, Ordering::SeqCst);
    let legacy = legacy_with(&[fake.address], |config| config.serve_stale = Duration::ZERO);
    plant_stale(&legacy, &old_a());
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
}

/// Popular: asked for twice since it came. Near its end: in the last tenth of its time.
#[tokio::test]
async fn what_is_popular_is_fetched_again_before_it_ends() {
    let fake = Fake::answering(one_a).await;
    let config =
        UpstreamsConfig { upstreams: vec![fake.address.into()], ..UpstreamsConfig::default() };
    let clock = Arc::new(Clock::running_for(Duration::from_secs(1_000)));
    let legacy = Upstreams::new(config, Arc::new(Cache::new(1 << 20)), clock).unwrap();
    plant(&legacy, &old_a(), Duration::from_secs(950), Duration::from_secs(1_000));
    for _ in 0..2 {
        let reply = legacy.resolve(&a("a.example.")).await.unwrap();
        assert_eq!(
            (addresses(&reply), reply.source),
            (vec!["192.0.2.99".to_owned()], ReplySource::Cache)
        );
    }
    until_address(&legacy, "a.example.", "192.0.2.1").await;
    assert_eq!(fake.counts().0, 1, "once, however often it was asked for meanwhile");
    let question = a("b.example.");
    legacy.refresh(&question);
    until_address(&legacy, "b.example.", "192.0.2.1").await;
}

#[tokio::test]
async fn what_can_not_be_fetched_again_is_given_until_it_ends() {
    let (fake, mood) = moody().await;
    mood.store(3, Ordering::SeqCst);
    let config =
        UpstreamsConfig { upstreams: vec![fake.address.into()], ..UpstreamsConfig::default() };
    let clock = Arc::new(Clock::running_for(Duration::from_secs(1_000)));
    let legacy = Upstreams::new(config, Arc::new(Cache::new(1 << 20)), clock).unwrap();
    plant(&legacy, &old_a(), Duration::from_secs(950), Duration::from_secs(1_000));
    while fake.counts().0 == 0 {
        assert_eq!(legacy.resolve(&a("a.example.")).await.unwrap().source, ReplySource::Cache);
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert_eq!(legacy.resolve(&a("a.example.")).await.unwrap().source, ReplySource::Cache);
    }
}

/// Asks until the answer is the newer one.
async fn until_address(legacy: &Upstreams, name: &str, address: &str) {
    for _ in 0..4_000 {
        let reply = legacy.resolve(&a(name)).await.unwrap();
        if addresses(&reply) == [address] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{address} never came");
}

#[tokio::test]
async fn the_bounds_of_a_time_are_those_of_the_settings() {
    // A minimum acts on a TTL of 0 as well, as unbound's cache-min-ttl does.
    for (ttl, least, most, kept) in
        [(0, 0, 600, false), (0, 60, 600, true), (1, 60, 600, true), (9, 0, 600, true)]
    {
        let fake =
            Fake::answering(move |seen| Build::reply(&seen.bytes).a(ttl, [192, 0, 2, 1]).done())
                .await;
        let legacy = legacy_with(&[fake.address], |config| {
            (config.min_ttl, config.max_ttl) =
                (Duration::from_secs(least), Duration::from_secs(most));
        });
        legacy.resolve(&a("a.example.")).await.unwrap();
        assert_eq!(legacy.shared.cache.stats().entries, u64::from(kept), "{ttl}");
    }
    let fake = Fake::answering(one_a).await;
    let legacy = legacy_with(&[fake.address], |config| config.max_ttl = Duration::from_millis(1));
    legacy.resolve(&a("a.example.")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(fake.counts().0, 2, "kept for a millisecond, whatever its TTL says");
}

#[tokio::test]
async fn what_an_upstream_says_of_its_answer_reaches_the_client() {
    let opt = [&[0, 15, 0, 9][..], &[0, 15], b"blocked", &[0, 12, 0, 2, 0, 0]].concat();
    let fake = Fake::answering(move |seen| {
        Build::reply(&seen.bytes).rcode(3).soa("example", 300, 60).opt_with(&opt).done()
    })
    .await;
    let legacy = legacy(&[fake.address]);
    for source in [ReplySource::Server(fake.address.into()), ReplySource::Cache] {
        let reply = legacy.resolve(&a("a.example.")).await.unwrap();
        assert_eq!(reply.source, source);
        assert_eq!(
            (reply.ede.len(), reply.ede[0].code, reply.ede[0].text.as_str()),
            (1, 15, "blocked")
        );
    }
}
