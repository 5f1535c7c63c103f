//! Upstreams over connections that are kept, most of them encrypted.

use super::secure_fake::{Authority, Says, SecureFake, tcp_only};
use super::*;
use crate::upstream::{ExchangeError, Protocol, Secure, Target, Trust};

const ALL: [Protocol; 3] = [Protocol::Tls, Protocol::Https, Protocol::Quic];

fn good(query: &[u8]) -> Says {
    Says::Reply(Build::reply(query).flags(0, 0x20).a(300, [192, 0, 2, 1]).done())
}

fn flags(upstreams: Vec<Upstream>) -> Upstreams {
    let config = UpstreamsConfig {
        upstreams,
        cache_bytes: 1 << 20,
        timeout: TIMEOUT,
        first_retry: TIMEOUT / 2,
        ..UpstreamsConfig::default()
    };
    Upstreams::standalone(config).unwrap()
}

fn secured(secure: Secure) -> Upstreams {
    flags(vec![Upstream::Secure(secure)])
}

fn trusting(authority: &Authority) -> Trust {
    Trust::Authorities(authority.file())
}

#[tokio::test]
async fn one_connection_serves_all_and_says_nothing_of_who_asks() {
    let authority = Authority::new();
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, good).await;
        let legacy = secured(fake.secure(trusting(&authority)));
        for n in 0..5 {
            let reply = legacy.resolve(&a(&format!("Www{n}.Example."))).await.unwrap();
            assert_eq!(addresses(&reply), ["192.0.2.1"], "{protocol:?}");
            assert!(reply.message.metadata.authentic_data, "nobody is between");
        }
        assert_eq!(fake.connections(), 1, "{protocol:?}");
        let seen = fake.seen();
        assert_eq!(seen.len(), 5);
        for query in &seen {
            assert_eq!(query.len() % 128, 0, "padded");
            assert!(protocol == Protocol::Tls || query[..2] == [0, 0], "the id is 0");
            assert!(
                query[12..].starts_with(&[4]) && query[13..].starts_with(b"Www"),
                "the client's spelling"
            );
            let opt = query[12..].iter().position(|byte| *byte == 0).unwrap() + 12 + 5;
            assert_eq!(query[opt..opt + 9], [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
            assert_eq!(query[opt + 11..opt + 13], [0, 12], "nothing but padding");
        }
    }
}

#[tokio::test]
async fn replies_in_any_order_find_their_questions() {
    let authority = Authority::new();
    let by_name = |query: &[u8]| {
        let last = query[12 + 9 + 1];
        Says::Reply(Build::reply(query).a(300, [192, 0, 2, last]).done())
    };
    let fake = SecureFake::start(Protocol::Tls, &authority, by_name).await;
    let (plain, _task) = tcp_only(by_name).await;
    for legacy in [secured(fake.secure(trusting(&authority))), flags(vec![Upstream::Tcp(plain)])] {
        let (x, y, z) =
            (a("together.x.example."), a("together.y.example."), a("together.z.example."));
        let replies = tokio::join!(legacy.resolve(&x), legacy.resolve(&y), legacy.resolve(&z));
        for (reply, last) in [(replies.0, b'x'), (replies.1, b'y'), (replies.2, b'z')] {
            assert_eq!(addresses(&reply.unwrap()), [format!("192.0.2.{last}")]);
        }
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_certificate_from_others_or_for_others_is_not_accepted() {
    let (authority, other) = (Authority::new(), Authority::new());
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, good).await;
        let for_other =
            Secure { name: "other.example".into(), ..fake.secure(trusting(&authority)) };
        for secure in [
            fake.secure(Trust::System),
            fake.secure(trusting(&other)),
            fake.secure(Trust::Pins(vec![[7; 32]])),
            for_other,
        ] {
            let error = secured(secure).resolve(&a("a.example.")).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains("certificate") && !text.contains('\n'), "{protocol:?}: {text}");
            assert_eq!(error.ede().code, 23);
        }
        assert!(fake.seen().is_empty(), "nothing was asked of somebody unknown");
    }
}

#[tokio::test]
async fn a_key_that_was_written_down_is_enough() {
    let authority = Authority::new();
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, good).await;
        let pins = Trust::Pins(vec![[7; 32], authority.pin]);
        let legacy = secured(Secure { name: "whoever.example".into(), ..fake.secure(pins) });
        assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn an_address_can_be_the_name_in_the_certificate() {
    let authority = Authority::new();
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, good).await;
        let legacy =
            secured(Secure { name: "127.0.0.1".into(), ..fake.secure(trusting(&authority)) });
        assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_made_anew() {
    let authority = Authority::new();
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, |query| {
            if query[12..].starts_with(b"\x05close") { Says::Close } else { good(query) }
        })
        .await;
        let legacy = secured(fake.secure(trusting(&authority)));
        legacy.resolve(&a("a.example.")).await.unwrap();
        // It is tried once more on a fresh connection, and then given up.
        let error = legacy.resolve(&a("close.example.")).await.unwrap_err();
        assert!(matches!(error, ForwardError::AllFailed { .. }), "{protocol:?}: {error}");
        assert_eq!(addresses(&legacy.resolve(&a("b.example.")).await.unwrap()), ["192.0.2.1"]);
        assert_eq!(fake.connections(), 3, "{protocol:?}");
    }
}

#[tokio::test]
async fn the_second_address_is_used_where_the_first_is_closed() {
    let authority = Authority::new();
    for protocol in [Protocol::Tls, Protocol::Https] {
        let fake = SecureFake::start(protocol, &authority, good).await;
        let nobody = SocketAddr::from(([127, 0, 0, 99], fake.address.port()));
        let addresses_of = vec![nobody, fake.address];
        let legacy =
            secured(Secure { addresses: addresses_of, ..fake.secure(trusting(&authority)) });
        assert_eq!(addresses(&legacy.resolve(&a("a.example.")).await.unwrap()), ["192.0.2.1"]);
    }
}

#[tokio::test]
async fn who_lies_is_passed() {
    let authority = Authority::new();
    let other = |query: &[u8]| {
        let other = [&query[..12], &question("other.example", 1)].concat();
        Says::Reply(Build::reply(&other).a(300, [203, 0, 113, 66]).done())
    };
    let broken = |query: &[u8]| {
        let mut reply = Build::reply(query).a(300, [203, 0, 113, 66]).done();
        reply.truncate(reply.len() - 1);
        Says::Reply(reply)
    };
    let truncated = |query: &[u8]| Says::Reply(Build::reply(query).flags(2, 0).done());
    let other_id = |query: &[u8]| {
        let mut reply = Build::reply(query).a(300, [203, 0, 113, 66]).done();
        reply[0] ^= 0x55;
        Says::Reply(reply)
    };
    let honest = Fake::answering(one_a).await;
    for protocol in ALL {
        for (n, lie) in
            [other as fn(&[u8]) -> Says, broken, truncated, other_id].into_iter().enumerate()
        {
            // Over TLS a reply with another id is for nobody, and its connection is not given up at
            // once for it.
            if n == 3 && protocol == Protocol::Tls {
                continue;
            }
            let fake = SecureFake::start(protocol, &authority, lie).await;
            let secure = Upstream::Secure(fake.secure(trusting(&authority)));
            let legacy = flags(vec![secure, Upstream::Plain(honest.address)]);
            let reply = legacy.resolve(&a("a.example.")).await.unwrap();
            assert_eq!(addresses(&reply), ["192.0.2.1"], "{protocol:?} {n}");
            assert_eq!(reply.source, ReplySource::Server(honest.address.into()));
            assert_eq!(fake.seen().len(), 1, "{protocol:?} {n}");
        }
    }
}

#[tokio::test]
async fn web_servers_that_serve_no_dns_are_passed() {
    let authority = Authority::new();
    for (says, expected) in
        [(Says::Status(404), "404"), (Says::Status(302), "302"), (Says::OtherType, "type")]
    {
        let fake = SecureFake::start(Protocol::Https, &authority, move |_| says.clone()).await;
        let error =
            secured(fake.secure(trusting(&authority))).resolve(&a("a.example.")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_passed() {
    let authority = Authority::new();
    let honest = Fake::answering(one_a).await;
    for protocol in ALL {
        let fake = SecureFake::start(protocol, &authority, |_| Says::Nothing).await;
        let secure = Upstream::Secure(fake.secure(trusting(&authority)));
        let mut config = UpstreamsConfig { upstreams: vec![secure], ..UpstreamsConfig::default() };
        config.upstreams.push(Upstream::Plain(honest.address));
        config.first_retry = Duration::from_millis(10);
        let legacy = Upstreams::standalone(config).unwrap();
        let reply = legacy.resolve(&a("a.example.")).await.unwrap();
        assert_eq!(reply.source, ReplySource::Server(honest.address.into()), "{protocol:?}");
    }
}

/// As after a laptop has slept: the connection is there, and nothing comes through it any more.
#[tokio::test]
async fn a_connection_that_has_gone_silent_is_given_up_for_a_fresh_one() {
    let authority = Authority::new();
    for protocol in ALL {
        let fake = SecureFake::start_counting(protocol, &authority, |connection, query| {
            let first = query[12..].starts_with(b"\x05first");
            if connection == 1 && !first { Says::Nothing } else { good(query) }
        })
        .await;
        let legacy = secured(fake.secure(trusting(&authority)));
        legacy.resolve(&a("first.example.")).await.unwrap();
        let reply = legacy.resolve(&a("second.example.")).await.unwrap();
        assert_eq!(
            (addresses(&reply), fake.connections()),
            (vec!["192.0.2.1".to_owned()], 2),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn who_never_shakes_hands_is_given_up() {
    // It takes connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = Secure {
        protocol: Protocol::Tls,
        name: "dns.example".into(),
        addresses: vec![mute.local_addr().unwrap()],
        path: String::new(),
        trust: Trust::System,
    };
    let error = secured(secure).resolve(&a("a.example.")).await.unwrap_err();
    let ForwardError::AllFailed { last: ExchangeError::Network { server, what }, .. } = error
    else {
        panic!("{error:?}");
    };
    assert!(
        matches!(server, Target::Channel(_)) && what.contains("no connection within"),
        "{what}"
    );
}

#[tokio::test]
async fn authorities_that_can_not_be_read_are_said_at_the_start() {
    let authority = Authority::new();
    let missing = authority.directory().join("none.pem");
    let text = format!("tls://192.0.2.1?ca={}", missing.display());
    let config =
        UpstreamsConfig { upstreams: vec![text.parse().unwrap()], ..UpstreamsConfig::default() };
    let error = Upstreams::standalone(config).unwrap_err().to_string();
    assert!(
        error.contains("tls://192.0.2.1:853 can't be used") && error.contains("none.pem"),
        "{error}"
    );
}
