//! Replies that must not be believed, and servers with old manners.

use super::*;

const SHORT: Duration = Duration::from_millis(1);

/// An answer with an address that must never reach a client.
fn forged(seen: &Seen) -> Build {
    Build::reply(&seen.bytes).a(300, [203, 0, 113, 66])
}

fn with(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    bytes
}

#[tokio::test]
async fn what_does_not_match_is_passed_over() {
    let fake = Fake::start(|seen| {
        let query = seen.last().unwrap();
        let other = [&query.bytes[..12], &question("other.example", 1)].concat();
        let replies = vec![
            with(forged(query).done(), |bytes| bytes[1] ^= 1),
            with(forged(query).done(), |bytes| bytes[2] &= 0x7f),
            with(forged(query).done(), |bytes| bytes[2] |= 0x28),
            Build::reply(&other).a(300, [203, 0, 113, 66]).done(),
            with(forged(query).done(), |bytes| bytes[12 + query.question().len() - 3] = 28),
            with(forged(query).done(), |bytes| bytes[12 + query.question().len() - 1] = 3),
            with(forged(query).done(), |bytes| bytes[5] = 2),
            with(forged(query).done(), |bytes| bytes.truncate(20)),
            query.bytes[..2].to_vec(),
            b"noise".to_vec(),
            Vec::new(),
            one_a(query),
        ];
        replies.into_iter().map(|reply| (reply, query.from)).collect()
    })
    .await;
    let reply = legacy(&[fake.address]).resolve(&a("a.example.")).await.unwrap();
    assert_eq!(addresses(&reply), ["192.0.2.1"]);
    assert_eq!(fake.counts(), (1, 0));
}

#[tokio::test]
async fn a_reply_from_another_address_is_not_heard() {
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
    let fake = Fake::start(move |seen| {
        let query = seen.last().unwrap();
        stranger.send_to(&forged(query).done(), query.from).unwrap();
        vec![(one_a(query), query.from)]
    })
    .await;
    let reply = legacy(&[fake.address]).resolve(&a("a.example.")).await.unwrap();
    assert_eq!(addresses(&reply), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_flood_of_guesses_moves_the_query_to_tcp() {
    let fake = Fake::start(|seen| {
        let query = seen.last().unwrap();
        let guess = with(forged(query).done(), |bytes| bytes[0] ^= 0x80);
        match query.via {
            Via::Udp => vec![(guess, query.from); 40],
            Via::Tcp => vec![(one_a(query), query.from)],
        }
    })
    .await;
    let reply = legacy(&[fake.address]).resolve(&a("a.example.")).await.unwrap();
    assert_eq!((addresses(&reply), fake.counts()), (vec!["192.0.2.1".to_owned()], (1, 1)));
}

/// What a server makes of a query that does not keep its case. The name has enough letters for it
/// always to matter.
const LETTERS: &str = "a-name-with-so-many-letters-that-its-case-is-never-all-small.example.";

fn without_case(seen: &Seen) -> Seen {
    let mut bytes = seen.bytes.clone();
    let end = 12 + seen.question().len() - 4;
    bytes[12..end].make_ascii_lowercase();
    Seen { bytes, ..seen.clone() }
}

#[tokio::test]
async fn another_case_is_believed_only_over_tcp_and_remembered_of_the_server() {
    let fake = Fake::answering(|seen| one_a(&without_case(seen))).await;
    let legacy = legacy(&[fake.address]);
    assert_eq!(addresses(&legacy.resolve(&a(LETTERS)).await.unwrap()), ["192.0.2.1"]);
    assert_eq!(fake.counts(), (1, 1));
    legacy.resolve(&a(&format!("www.{LETTERS}"))).await.unwrap();
    assert_eq!(fake.counts(), (2, 1), "asked in small letters from now on");
}

#[tokio::test]
async fn a_forger_who_misses_the_case_gets_nowhere() {
    let fake = Fake::start(|seen| {
        let query = seen.last().unwrap();
        let reply = match query.via {
            Via::Udp => forged(&without_case(query)).done(),
            Via::Tcp => one_a(query),
        };
        vec![(reply, query.from)]
    })
    .await;
    let legacy = legacy(&[fake.address]);
    assert_eq!(addresses(&legacy.resolve(&a(LETTERS)).await.unwrap()), ["192.0.2.1"]);
    legacy.resolve(&a(&format!("www.{LETTERS}"))).await.unwrap();
    let cases: Vec<bool> =
        fake.seen().iter().map(|seen| without_case(seen).bytes != seen.bytes).collect();
    assert_eq!(cases, [true; 4], "the server does keep the case, so mixed case goes on");
}

#[tokio::test]
async fn a_server_without_tcp_that_changes_the_case_is_asked_in_small_letters() {
    let fake = Fake::start_without_tcp(|seen| {
        let query = seen.last().unwrap();
        vec![(one_a(&without_case(query)), query.from)]
    })
    .await;
    let legacy = legacy(&[fake.address]);
    assert_eq!(addresses(&legacy.resolve(&a(LETTERS)).await.unwrap()), ["192.0.2.1"]);
    assert_eq!(fake.counts(), (2, 0));
    legacy.resolve(&a(&format!("www.{LETTERS}"))).await.unwrap();
    assert_eq!(fake.counts(), (3, 0), "remembered");
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without() {
    let refusals: [fn(&Seen) -> Vec<u8>; 3] = [
        |seen| Build::reply(&seen.bytes).rcode(1).done(),
        |seen| Build::reply(&seen.bytes).rcode(4).done(),
        // BADVERS.
        |seen| {
            Build::reply(&seen.bytes)
                .record_of_class(Section::Additional, &[0], 41, 1232, 0x0100_0000, &[])
                .done()
        },
    ];
    for refusal in refusals {
        let fake =
            Fake::answering(move |seen| if seen.has_edns() { refusal(seen) } else { one_a(seen) })
                .await;
        let legacy = legacy(&[fake.address]);
        assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
        assert_eq!(fake.counts(), (2, 0));
        legacy.resolve(&a("b.example.")).await.unwrap();
        assert_eq!(fake.counts(), (3, 0), "remembered");
    }
}

/// Nothing but a header with FORMERR, as old servers send, and as anybody can.
fn bare_formerr(seen: &Seen) -> Vec<u8> {
    with(seen.bytes[..12].to_vec(), |bytes| {
        bytes[2..].copy_from_slice(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    })
}

/// An old server is believed over TCP.
#[tokio::test]
async fn a_server_that_refuses_edns_with_a_header_only_is_asked_over_tcp() {
    let fake =
        Fake::answering(|seen| if seen.has_edns() { bare_formerr(seen) } else { one_a(seen) })
            .await;
    let legacy = legacy(&[fake.address]);
    assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    assert_eq!(fake.counts(), (1, 2));
    legacy.resolve(&a("b.example.")).await.unwrap();
    assert_eq!(fake.counts(), (2, 2), "remembered");
}

/// Two spoofed headers of 12 bytes turned EDNS off for 15 minutes.
#[tokio::test]
async fn a_reply_without_a_question_is_a_stray() {
    let fake = Fake::start(|seen| {
        let query = seen.last().unwrap();
        let replies = [bare_formerr(query), bare_formerr(query), one_a(query)];
        replies.map(|reply| (reply, query.from)).into()
    })
    .await;
    let legacy = legacy(&[fake.address]);
    for name in ["a.example.", "b.example."] {
        assert_eq!(addresses(&legacy.resolve(&a(name)).await.unwrap()), ["192.0.2.1"]);
    }
    assert_eq!(fake.counts(), (2, 0));
    assert!(fake.seen().iter().all(Seen::has_edns));
    let random = [0; crate::upstream::FIRST_TRY_RANDOM_BYTES];
    let asked = legacy.first_try(&question("c.example", 1), false, false, &random).unwrap();
    let seen = Seen { via: Via::Udp, from: fake.address, bytes: asked.bytes().to_vec() };
    let reply = legacy.on_first_reply(&asked, fake.address, &bare_formerr(&seen), SHORT);
    assert!(matches!(reply, crate::upstream::FirstReply::Stray), "{reply:?}");
}

/// The server fails for another reason: the query without EDNS fails as well.
#[tokio::test]
async fn one_formerr_does_not_turn_edns_off() {
    let fake = Fake::start(|seen| {
        let query = seen.last().unwrap();
        let reply = match seen.len() {
            1 => Build::reply(&query.bytes).rcode(1).done(),
            2 => Build::reply(&query.bytes).rcode(2).done(),
            _ => one_a(query),
        };
        vec![(reply, query.from)]
    })
    .await;
    let legacy = legacy(&[fake.address]);
    let reply = legacy.resolve(&a("a.example.")).await.unwrap();
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
    legacy.resolve(&a("b.example.")).await.unwrap();
    let edns: Vec<bool> = fake.seen().iter().map(Seen::has_edns).collect();
    assert_eq!(edns, [true, false, true]);
}

#[tokio::test]
async fn a_broken_reply_sends_the_question_to_the_next_server() {
    let breaks: [fn(&Seen) -> Vec<u8>; 5] = [
        |seen| {
            Build::reply(&seen.bytes).record(Section::Answer, &[0xc0, 0xff], 1, 9, &[1; 4]).done()
        },
        |seen| with(one_a(seen), |bytes| bytes[7] = 9),
        |seen| Build::reply(&seen.bytes).opt().opt().done(),
        |seen| Build::reply(&seen.bytes).record(Section::Answer, &[0], 41, 0, &[]).done(),
        |seen| {
            Build::reply(&seen.bytes)
                .record_of_class(Section::Additional, &[0], 41, 1232, 0x0200_0000, &[])
                .done()
        },
    ];
    for broken in breaks {
        let (bad, good) = (Fake::answering(broken).await, Fake::answering(one_a).await);
        let reply = legacy(&[bad.address, good.address]).resolve(&a("a.example.")).await.unwrap();
        assert_eq!(reply.source, ReplySource::Server(good.address.into()));
        assert_eq!((bad.counts(), good.counts()), ((1, 0), (1, 0)));
    }
}
