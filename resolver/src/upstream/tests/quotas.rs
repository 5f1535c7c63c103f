//! What does not answer, or costs too much, leaves room for the rest.

use std::sync::Arc;

use super::*;
use crate::os::clock::Clock;
use crate::upstream::{MAX_MESSAGES_PER_QUESTION, bounded};

/// The limit of [`super::legacy_with`].
const LIMIT: usize = 64;

/// An upstream that stays silent on names in `dead` zones.
async fn half_dead() -> Fake {
    Fake::start(|seen| {
        let query = seen.last().unwrap();
        let dead = query.question().to_ascii_lowercase().windows(4).any(|bytes| bytes == b"dead");
        (!dead).then(|| (one_a(query), query.from)).into_iter().collect()
    })
    .await
}

fn started(
    legacy: &Arc<Upstreams>,
    name: String,
) -> tokio::task::JoinHandle<Result<Reply, ForwardError>> {
    let legacy = legacy.clone();
    tokio::spawn(async move { legacy.resolve(&a(&name)).await })
}

/// Waits until as many queries are in flight.
async fn until_in_flight(legacy: &Upstreams, count: usize) {
    while legacy.in_flight() < count {
        tokio::task::yield_now().await;
    }
}

/// 1,024 queries of four seconds each were shared by all zones.
#[tokio::test]
async fn one_dead_zone_does_not_starve_the_rest() {
    let fake = half_dead().await;
    let legacy = Arc::new(legacy(&[fake.address]));
    let waiting: Vec<_> =
        (0..2 * LIMIT).map(|n| started(&legacy, format!("{n}.dead.example."))).collect();
    until_in_flight(&legacy, LIMIT / 4).await;
    let reply = legacy.resolve(&a("www.good.example.")).await.unwrap();
    assert_eq!(addresses(&reply), ["192.0.2.1"]);
    let error = legacy.resolve(&a("one-more.dead.example.")).await.unwrap_err();
    let zone = "dead.example.".to_owned();
    assert_eq!(error, ForwardError::ZoneBusy { limit: LIMIT / 4, zone });
    assert_eq!(error.ede().code, 22);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Many dead zones at a time: the oldest query makes room for a new one.
#[tokio::test]
async fn many_dead_zones_do_not_starve_the_rest() {
    let fake = half_dead().await;
    let config = UpstreamsConfig {
        upstreams: vec![fake.address.into()],
        timeout: TIMEOUT,
        first_retry: TIMEOUT / 2,
        max_in_flight: LIMIT,
        ..UpstreamsConfig::default()
    };
    let (cache, clock) = (Arc::new(config.new_cache()), Arc::new(Clock::start()));
    let legacy = Arc::new(Upstreams::new(config, cache, clock.clone()).unwrap());
    let first = started(&legacy, "www.dead.example.".into());
    until_in_flight(&legacy, 1).await;
    let waiting: Vec<_> =
        (1..LIMIT).map(|n| started(&legacy, format!("www.dead-{n}.example."))).collect();
    until_in_flight(&legacy, LIMIT).await;
    clock.put_forward(Duration::from_millis(200));
    let reply = legacy.resolve(&a("www.good.example.")).await.unwrap();
    assert_eq!(addresses(&reply), ["192.0.2.1"]);
    assert_eq!(first.await.unwrap().unwrap_err(), ForwardError::Busy { limit: LIMIT });
    assert_eq!(legacy.in_flight(), LIMIT - 1, "its place is free");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// What the servers of a delegation do not answer.
#[tokio::test]
async fn one_server_of_delegations_has_a_share() {
    let silent = Fake::silent().await;
    let legacy = Arc::new(legacy_with(&[], |config| config.max_in_flight = 4 * 1024));
    let limit = crate::upstream::load::MAX_PER_SERVER;
    let waiting: Vec<_> = (0..limit)
        .map(|n| {
            let (legacy, servers) = (legacy.clone(), [silent.address]);
            tokio::spawn(async move { legacy.ask(&servers, &a(&format!("{n}.x{n}."))).await })
        })
        .collect();
    until_in_flight(&legacy, limit).await;
    while silent.seen().len() < limit {
        tokio::task::yield_now().await;
    }
    let error = legacy.ask(&[silent.address], &a("one.more.")).await.unwrap_err();
    let servers = vec![silent.address.into()];
    assert_eq!(error, ForwardError::ServersBusy { limit, servers });
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// unbound's max-global-quota.
#[tokio::test]
async fn one_question_causes_a_bounded_number_of_queries() {
    let mut fakes = Vec::new();
    for _ in 0..16 {
        fakes.push(Fake::answering(|seen| Build::reply(&seen.bytes).rcode(2).done()).await);
    }
    let addresses: Vec<SocketAddr> = fakes.iter().map(|fake| fake.address).collect();
    let legacy = legacy(&addresses);
    let count = || fakes.iter().map(|fake| fake.seen().len()).sum::<usize>();
    let last = bounded(async {
        for n in 0..20 {
            let result = legacy.resolve(&a(&format!("www.{n}.example."))).await;
            if let Err(error) = result {
                return Some(error);
            }
        }
        None
    });
    let error = last.await.expect("16 servers and 20 names are too many");
    assert!(error.to_string().contains("more than 200 queries"), "{error}");
    assert_eq!((count(), error.ede().code), (MAX_MESSAGES_PER_QUESTION as usize, 0));
    assert!(legacy.resolve(&a("www.other.example.")).await.is_ok(), "another question");
}
