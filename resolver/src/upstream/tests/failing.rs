//! Servers that fail, and who is asked instead.

use super::fake::closed;
use super::*;
use crate::dns::ede::Ede;
use crate::upstream::{ExchangeError, Target};

/// How soon a second server is asked, where a test has a silent one.
const SOON: Duration = Duration::from_millis(10);

fn failing_with(code: u8) -> impl Fn(&Seen) -> Vec<u8> {
    move |seen| Build::reply(&seen.bytes).rcode(code).done()
}

#[tokio::test]
async fn a_silent_server_is_passed() {
    let (silent, good) = (Fake::silent().await, Fake::answering(one_a).await);
    let legacy = legacy_with(&[silent.address, good.address], |config| config.first_retry = SOON);
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.source, ReplySource::Server(good.address.into()));
    assert!(silent.counts().0 > 0, "it was first in the list");
}

#[tokio::test]
async fn a_late_reply_still_counts() {
    // Answers the first query when the second comes, and the second never.
    let fake = Fake::start(|seen| match seen {
        [first, _] => vec![(one_a(first), first.from)],
        _ => Vec::new(),
    })
    .await;
    let legacy = legacy_with(&[fake.address], |config| config.first_retry = SOON);
    assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    let seen = fake.seen();
    assert_ne!(
        (seen[0].from, &seen[0].bytes[..2]),
        (seen[1].from, &seen[1].bytes[..2]),
        "nothing is used twice"
    );
}

#[tokio::test]
async fn a_closed_port_is_passed_at_once() {
    let good = Fake::answering(one_a).await;
    let reply = legacy(&[closed().await, good.address]).resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.source, ReplySource::Server(good.address.into()));
}

#[tokio::test]
async fn when_nobody_can_be_reached_the_error_says_so_and_is_kept_for_a_moment() {
    let servers = [closed().await, closed().await];
    let legacy = legacy(&servers);
    let error = legacy.resolve(&a("a.example.")).await.unwrap_err();
    let ForwardError::AllFailed { servers: tried, last: ExchangeError::Network { .. }, .. } =
        &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(tried, &servers.map(Target::Plain));
    let Ede { code, text } = error.ede();
    assert_eq!(code, 23);
    assert!(text.contains(&servers[0].to_string()), "{text}");
    let again = legacy.resolve(&a("a.example.")).await.unwrap_err();
    assert_eq!((&again, again.ede().code), (&ForwardError::FailedRecently, 22));
    assert!(matches!(legacy.resolve(&a("b.example.")).await, Err(ForwardError::AllFailed { .. })));
}

#[tokio::test]
async fn when_nobody_says_anything_it_ends_in_time() {
    let silent = Fake::silent().await;
    let legacy = legacy_with(&[silent.address], |config| {
        config.timeout = 12 * SOON;
        config.first_retry = SOON;
    });
    let error = legacy.resolve(&a("a.example.")).await.unwrap_err();
    let last = ExchangeError::TimedOut(silent.address.into());
    assert_eq!(
        error,
        ForwardError::AllFailed { servers: vec![silent.address.into()], timeout: 12 * SOON, last }
    );
    assert_eq!(error.ede().code, 22);
    let seen = silent.seen();
    let tries = seen.iter().filter(|seen| !seen.looks_for_a_circle()).count();
    assert!((1..=3).contains(&tries) && silent.counts().1 == 0, "{tries} tries");
    assert!(seen.len() - tries <= 1, "whether it leads back is asked once");
}

#[tokio::test]
async fn without_upstreams_the_error_says_what_to_do() {
    let error = legacy(&[]).resolve(&a("a.example.")).await.unwrap_err();
    assert_eq!(error, ForwardError::NoUpstream);
    assert_eq!(error.ede().code, 22);
    assert!(error.to_string().contains("--upstream"));
}

#[tokio::test]
async fn a_server_that_fails_is_not_the_last_word() {
    for code in [1, 2, 4, 5] {
        let (bad, good) = (
            Fake::answering(move |seen| failing_with(code)(seen)).await,
            Fake::answering(one_a).await,
        );
        let reply = legacy(&[bad.address, good.address]).resolve(&a("a.example.")).await.unwrap();
        assert_eq!(reply.source, ReplySource::Server(good.address.into()), "RCODE {code}");
    }
}

#[tokio::test]
async fn when_all_fail_the_client_gets_what_the_last_one_said() {
    let one = Fake::answering(failing_with(5)).await;
    let two = Fake::answering(failing_with(2)).await;
    let legacy = legacy(&[one.address, two.address]);
    for source in [ReplySource::Server(two.address.into()), ReplySource::Cache] {
        let reply = legacy.resolve(&a("a.example.")).await.unwrap();
        assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(reply.source, source, "a SERVFAIL is kept for seconds");
    }
    assert_eq!((one.counts(), two.counts()), ((1, 0), (1, 0)), "who has spoken is not asked again");
}

#[tokio::test]
async fn a_failure_is_given_out_when_the_others_stay_silent() {
    let (bad, silent) = (Fake::answering(failing_with(2)).await, Fake::silent().await);
    let legacy = legacy_with(&[bad.address, silent.address], |config| config.first_retry = SOON);
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn truncated_and_no_tcp_is_a_failure() {
    let no_tcp = Fake::start_without_tcp(|seen| {
        let query = seen.last().unwrap();
        vec![(Build::reply(&query.bytes).flags(2, 0).done(), query.from)]
    })
    .await;
    let good = Fake::answering(one_a).await;
    let reply = legacy(&[no_tcp.address, good.address]).resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.source, ReplySource::Server(good.address.into()));
}

#[tokio::test]
async fn truncated_over_tcp_is_a_failure() {
    let bad = Fake::answering(|seen| Build::reply(&seen.bytes).flags(2, 0).done()).await;
    let error = legacy(&[bad.address]).resolve(&a("a.example.")).await.unwrap_err();
    assert!(error.to_string().contains("truncated over TCP"), "{error}");
}
