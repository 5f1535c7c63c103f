//! The fast path from outside: the socket that it answers from, its queries to upstreams, and its
//! timeouts.
#![cfg(target_os = "linux")]

mod common;

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use common::{Names, PATIENCE, Resolver, Setup, Upstream, question, send, shown};
use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, CNAME},
    },
};
use resolver::server::{ListenError, bind};

fn address(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

fn chain() -> Names {
    Names::default().with("alice", &[("www", 1, vec![192, 0, 2, 9])])
}

fn client(to: SocketAddr) -> UdpSocket {
    let from: IpAddr =
        if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

fn hear(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 4_096];
    let length = socket.recv(&mut buffer).expect("no answer");
    Message::from_vec(&buffer[..length]).unwrap()
}

/// A connected socket receives only from the address that it sends to.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_leaves_from_the_address_that_was_asked() {
    let upstream = Upstream::start(|query, answer| {
        answer.answers.push(Record::from_rdata(query.name().clone(), 300, address(1)));
    });
    for (listen, asked) in [
        ("0.0.0.0:0", vec!["127.0.0.1", "127.0.0.2", "127.1.2.3"]),
        ("[::]:0", vec!["::1", "127.0.0.1", "127.0.0.2"]),
    ] {
        let Ok(bound) = bind(listen.parse().unwrap()) else {
            assert!(listen.starts_with('['), "{listen}");
            continue; // A machine without IPv6.
        };
        let port = bound.address().port();
        let setup = Setup { upstreams: vec![upstream.address], ..Setup::default() };
        let resolver = setup.start_at(bound, chain());
        for ip in asked {
            let socket = client(SocketAddr::new(ip.parse().unwrap(), port));
            // From the slow path, from the upstream, from the cache.
            for name in ["www.alice.", "www.alice.", "a.example.com.", "a.example.com."] {
                socket.send(&question(name, 1, None).to_vec().unwrap()).unwrap();
                assert_eq!(hear(&socket).answers.len(), 1, "{name} at {ip}");
            }
            // Many at a time.
            for id in 0..40 {
                let mut query = question("www.alice.", 1, None);
                query.metadata.id = id;
                socket.send(&query.to_vec().unwrap()).unwrap();
            }
            let mut ids: Vec<u16> = (0..40).map(|_| hear(&socket).metadata.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..40).collect::<Vec<u16>>());
        }
        resolver.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_refused_to_others_while_it_is_served_and_free_afterwards() {
    let resolver = Setup::default().start(chain());
    assert_eq!(shown(&resolver.ask("www.alice.", 1)), ["www.alice. A 192.0.2.9"]);
    assert!(matches!(bind(resolver.address), Err(ListenError::Taken(_))));
    let address = resolver.address;
    resolver.server.stop().await;
    assert!(bind(address).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_make_one_question() {
    one_question_of(1).await;
}

/// Each thread has its own queries in flight: a name that several of them sent would give a forger
/// as many chances (RFC 5452 §5).
#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_of_sixteen_threads_make_one_question() {
    one_question_of(16).await;
}

async fn one_question_of(workers: usize) {
    let (asked, release) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let upstream = Upstream::start(move |query, answer| {
        asked.send(()).unwrap();
        wait.recv().unwrap();
        answer.answers.push(Record::from_rdata(query.name().clone(), 300, address(7)));
    });
    let setup =
        Setup { upstreams: vec![upstream.address], workers: Some(workers), ..Setup::default() };
    let resolver = setup.start(chain());
    let clients: Vec<UdpSocket> = (0..30).map(|_| client(resolver.address)).collect();
    let ask = |client: &UdpSocket, name: &str| {
        client.send(&question(name, 1, Some(1232)).to_vec().unwrap()).unwrap();
    };
    clients.iter().for_each(|client| ask(client, "Same.Example.com."));
    release.recv_timeout(PATIENCE).unwrap();
    // All are waiting when a later client has its answer.
    assert_eq!(shown(&resolver.ask("www.alice.", 1)).len(), 1);
    (0..8).for_each(|_| go.send(()).unwrap());
    for client in &clients {
        let reply = hear(client);
        assert_eq!(shown(&reply), ["Same.Example.com. A 192.0.2.7"]);
        assert_eq!(reply.queries[0].name().to_string(), "Same.Example.com.");
    }
    // One, plus retries if this machine was slow.
    let asked = upstream.asked();
    assert!(asked < 6, "{asked}");
    ask(&clients[0], "same.example.com.");
    assert_eq!(shown(&hear(&clients[0])).len(), 1);
    assert_eq!(upstream.asked(), asked, "it is known");
}

/// An upstream that sends given replies, and the queries that it gets over TCP.
fn raw_upstream(
    reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    let over_tcp = Arc::new(AtomicUsize::new(0));
    let count = over_tcp.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            for datagram in reply(&buffer[..length]) {
                udp.send_to(&datagram, from).unwrap();
            }
        }
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            send(&mut stream, &answer_to(&query, 2));
        }
    });
    (address, over_tcp)
}

fn answer_to(query: &[u8], last: u8) -> Vec<u8> {
    let request = Message::from_vec(query).unwrap();
    let mut answer = Message::response(request.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_queries(request.queries.clone());
    let name = request.queries[0].name().clone();
    answer.answers.push(Record::from_rdata(name, 300, address(last)));
    answer.to_vec().unwrap()
}

fn with_upstream(upstream: SocketAddr) -> Resolver {
    Setup { upstreams: vec![upstream], ..Setup::default() }.start(chain())
}

#[tokio::test(flavor = "multi_thread")]
async fn forgeries_are_not_believed() {
    let (upstream, over_tcp) = raw_upstream(|query| {
        let good = answer_to(query, 1);
        let forged = |at: usize| {
            let mut bytes = answer_to(query, 66);
            bytes[at] ^= 1;
            bytes
        };
        // Another id, another name, another type; then the answer.
        let type_at = query.windows(4).position(|window| window == [0, 0, 1, 0]).unwrap() + 2;
        vec![forged(0), forged(13), forged(type_at), good]
    });
    let resolver = with_upstream(upstream);
    assert_eq!(shown(&resolver.ask("a.example.com.", 1)), ["a.example.com. A 192.0.2.1"]);
    assert_eq!(over_tcp.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_guesses_is_left_for_tcp() {
    let (upstream, over_tcp) = raw_upstream(|query| {
        let mut forged = answer_to(query, 66);
        forged[0] ^= 1;
        vec![forged; 40]
    });
    let resolver = with_upstream(upstream);
    assert_eq!(shown(&resolver.ask("a.example.com.", 1)), ["a.example.com. A 192.0.2.2"]);
    assert_eq!(over_tcp.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_comes_over_tcp() {
    let (upstream, over_tcp) = raw_upstream(|query| {
        let mut cut = answer_to(query, 1);
        cut[2] |= 0x02;
        vec![cut]
    });
    let resolver = with_upstream(upstream);
    assert_eq!(shown(&resolver.ask("a.example.com.", 1)), ["a.example.com. A 192.0.2.2"]);
    assert_eq!(over_tcp.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_one_upstream_is_not_the_last_word() {
    let refusing =
        Upstream::start(|_, answer| answer.metadata.response_code = ResponseCode::ServFail);
    let good = Upstream::start(|query, answer| {
        answer.answers.push(Record::from_rdata(query.name().clone(), 300, address(3)));
    });
    let setup = Setup { upstreams: vec![refusing.address, good.address], ..Setup::default() };
    let resolver = setup.start(chain());
    assert_eq!(shown(&resolver.ask("a.example.com.", 1)), ["a.example.com. A 192.0.2.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_legacy_dns_has_no_say_in_what_a_name_of_the_chain_is() {
    let upstream = Upstream::start(|query, answer| {
        let target = Name::from_ascii("www.alice.").unwrap();
        answer.answers.push(Record::from_rdata(
            query.name().clone(),
            300,
            RData::CNAME(CNAME(target.clone())),
        ));
        answer.answers.push(Record::from_rdata(target, 300, address(66)));
    });
    let resolver = with_upstream(upstream.address);
    for _ in 0..3 {
        let expected = ["to.example.com. CNAME www.alice.", "www.alice. A 192.0.2.9"];
        let lines = shown(&resolver.ask("to.example.com.", 1));
        assert_eq!(lines.len(), 2);
        assert!(lines[0] == expected[0] && lines[1].starts_with("www.alice. A"), "{lines:?}");
        assert!(!lines[1].contains("192.0.2.66"), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_chain_and_special_names_are_never_asked_for() {
    let upstream = Upstream::silent();
    let resolver = with_upstream(upstream.address);
    for name in [
        "www.alice.",
        "no.alice.",
        "nobody.namechain.alt.",
        "localhost.",
        "printer.local.",
        "x.onion.",
    ] {
        for _ in 0..3 {
            resolver.ask(name, 1);
            resolver.ask(name, 65);
        }
    }
    assert_eq!(upstream.asked(), 0);
}
