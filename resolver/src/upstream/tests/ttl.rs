//! The TTLs that clients get, and for how long answers are cached.

use std::sync::Arc;

use super::*;
use crate::os::clock::Clock;

fn bounded(
    fake: &Fake,
    min: u64,
    max: u64,
    short_nxdomain: Option<fn(&[u8]) -> bool>,
) -> (Upstreams, Arc<Clock>) {
    let config = UpstreamsConfig {
        upstreams: vec![fake.address.into()],
        min_ttl: Duration::from_secs(min),
        max_ttl: Duration::from_secs(max),
        short_nxdomain,
        timeout: TIMEOUT,
        ..UpstreamsConfig::default()
    };
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    (Upstreams::new(config, cache, clock.clone()).unwrap(), clock)
}

/// The TTLs of an answer, and whether it came from the cache.
async fn ttls(legacy: &Upstreams, name: &str) -> (Vec<u32>, bool) {
    let reply = legacy.resolve(&a(name)).await.unwrap();
    let ttls = reply.message.all_sections().map(|record| record.ttl).collect();
    (ttls, reply.source == ReplySource::Cache)
}

/// The TTLs that clients got were the server's, and ran out at 0 while the answer was still cached.
#[tokio::test]
async fn outgoing_ttls_are_within_the_bounds() {
    let fake = Fake::answering(|seen| {
        let (first, second) = if seen.question().to_ascii_lowercase().starts_with(b"\x04zero") {
            (0, 0)
        } else {
            (5, 100_000)
        };
        Build::reply(&seen.bytes).a(first, [192, 0, 2, 1]).a(second, [192, 0, 2, 2]).done()
    })
    .await;
    let (legacy, clock) = bounded(&fake, 60, 3_600, None);
    assert_eq!(ttls(&legacy, "a.example.").await, (vec![60, 3_600], false));
    assert_eq!(ttls(&legacy, "zero.example.").await, (vec![60, 60], false));
    clock.put_forward(Duration::from_secs(50));
    assert_eq!(ttls(&legacy, "a.example.").await, (vec![10, 3_550], true));
    assert_eq!(ttls(&legacy, "zero.example.").await, (vec![10, 10], true));
    clock.put_forward(Duration::from_secs(11));
    assert_eq!(ttls(&legacy, "a.example.").await, (vec![60, 3_600], false));
    let random = [0; crate::upstream::FIRST_TRY_RANDOM_BYTES];
    let asked = legacy.first_try(&question("f.example", 1), false, false, &random).unwrap();
    let bytes = Build::reply(asked.bytes()).a(5, [192, 0, 2, 1]).a(100_000, [192, 0, 2, 2]).done();
    legacy.on_first_reply(&asked, fake.address, &bytes, Duration::from_millis(1));
    assert_eq!(ttls(&legacy, "f.example.").await, (vec![60, 3_600], true), "the fast path");
}

/// RFC 2308 §5: the TTL of a negative answer is the least of the SOA's own and its MINIMUM.
#[tokio::test]
async fn a_negative_answer_has_the_ttl_of_its_soa() {
    for code in [0, 3] {
        let fake = Fake::answering(move |seen| {
            Build::reply(&seen.bytes).rcode(code).soa("example", 900, 300).done()
        })
        .await;
        let (legacy, clock) = bounded(&fake, 0, 86_400, None);
        assert_eq!(ttls(&legacy, "a.example.").await, (vec![300], false));
        clock.put_forward(Duration::from_secs(100));
        assert_eq!(ttls(&legacy, "a.example.").await, (vec![200], true));
        let (legacy, _) = bounded(&fake, 0, 60, None);
        assert_eq!(ttls(&legacy, "a.example.").await, (vec![60], false));
        let (legacy, _) = bounded(&fake, 600, 86_400, None);
        assert_eq!(ttls(&legacy, "a.example.").await, (vec![600], false));
    }
}

/// Half a minute after a name was registered every client on this machine sees it.
#[tokio::test]
async fn nxdomain_for_a_name_that_may_be_registered_is_short() {
    let fake = Fake::answering(move |seen| {
        let code =
            if seen.question().to_ascii_lowercase().starts_with(b"\x04data") { 0 } else { 3 };
        Build::reply(&seen.bytes).rcode(code).soa("", 86_400, 86_400).done()
    })
    .await;
    let registrable: fn(&[u8]) -> bool = |question| question.ends_with(b"\x05alice\0\0\x01\0\x01");
    let (legacy, clock) = bounded(&fake, 60, 86_400, Some(registrable));
    assert_eq!(ttls(&legacy, "www.ALICE.").await, (vec![30], false));
    assert_eq!(ttls(&legacy, "data.alice.").await, (vec![10_800], false), "it exists");
    assert_eq!(ttls(&legacy, "www.example.").await, (vec![10_800], false));
    clock.put_forward(Duration::from_secs(31));
    assert_eq!(ttls(&legacy, "www.alice.").await, (vec![30], false));
}
