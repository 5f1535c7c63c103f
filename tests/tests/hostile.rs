//! Input that nobody sends by accident: the server refuses it, or says nothing, and goes on.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use tests::{
    dig, http,
    machine::Machine,
    program::Daemon,
    tools,
    upstream::{self, Counting},
    zones,
};

const PACKETS: usize = 10_000;
/// Packets sent before it is looked whether the server still answers: the system drops what does
/// not fit its buffer, and what is dropped tests nothing.
const BURST: usize = 50;
/// A start that finds the same packets every time. Change it if you like: every seed has to pass.
const SEED: u64 = 0x6e61_6d65_6368_6169;

/// splitmix64: as random as this needs, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Noise, questions cut short, questions with bytes changed, and headers that promise what does not
/// follow.
fn packet(random: &mut Random) -> Vec<u8> {
    let names =
        ["www.alice.", "alice.", "x.wildcard.", "example.com.", "a.namechain.alt.", "localhost."];
    let name = names[random.below(names.len())];
    let rtype = random.below(300) as u16;
    let mut query = upstream::query(random.next() as u16, name, rtype);
    match random.below(6) {
        0 => {
            let len = random.below(600);
            random.bytes(len)
        }
        1 => {
            query.truncate(random.below(query.len()));
            query
        }
        2 => {
            for _ in 0..=random.below(4) {
                let at = random.below(query.len());
                query[at] = random.next() as u8;
            }
            query
        }
        3 => {
            let counts = 4 + random.below(8);
            query[counts] = random.next() as u8;
            let len = random.below(100);
            query.extend(random.bytes(len));
            query
        }
        4 => {
            // A name that points to itself, or out of the message.
            query.truncate(12);
            query.extend([0xc0 | random.below(64) as u8, random.next() as u8, 0, 1, 0, 1]);
            query
        }
        _ => {
            // An OPT record with a body of noise.
            query[11] = 1;
            let len = random.below(64);
            query.extend([0, 0, 41, 4, 0xd0, 0, random.next() as u8, 0x80, 0, 0, len as u8]);
            query.extend(random.bytes(len));
            query
        }
    }
}

fn alice(resolver: &Daemon, when: &str) {
    let reply = dig::ask(resolver.addr("dns"), "www.alice.", "A", "");
    assert_eq!(reply.rdata("A"), ["192.0.2.10"], "{when}: {reply:?}");
}

fn started(machine: &Machine) -> Daemon {
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    user.register("wildcard", &zones::path("wildcard"));
    resolver
}

#[test]
fn ten_thousand_random_and_truncated_packets() {
    if !tools::available("ten_thousand_random_and_truncated_packets", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let mut resolver = started(&machine);
    let dns = resolver.addr("dns");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a socket option");
    let mut random = Random(SEED);
    let mut answers = 0;
    let mut buffer = [0; 65_535];
    for sent in 1..=PACKETS {
        socket.send_to(&packet(&mut random), dns).expect("loopback takes it");
        while let Ok((len, _)) = socket.recv_from(&mut buffer) {
            answers += 1;
            assert!(
                len >= 12 && buffer[2] & 0x80 != 0,
                "an answer is a response: {:02x?}",
                &buffer[..len]
            );
            assert!(len <= 1_232, "{len} bytes over UDP");
        }
        if sent.is_multiple_of(BURST) {
            assert!(upstream::probe(dns, "alice."), "no answer after {sent} packets");
        }
    }
    assert!(answers > PACKETS / 10, "only {answers} answers: the packets did not arrive");
    assert!(resolver.runs());
    alice(&resolver, "after the packets");
    assert!(!resolver.log().contains("panicked"), "{}", resolver.log());
}

/// Sends one message over TCP, behind its length; what came back until the server closed, or was
/// silent for a while.
fn over_tcp(dns: SocketAddr, length: u16, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(dns).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    // The server may hang up at any byte.
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..len]);
        if answer.len() >= 2
            && answer.len() >= 2 + usize::from(u16::from_be_bytes([answer[0], answer[1]]))
        {
            break;
        }
    }
    answer
}

#[test]
fn messages_over_tcp_that_are_too_long_cut_short_or_nothing() {
    if !tools::available("messages_over_tcp_that_are_too_long_cut_short_or_nothing", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let mut resolver = started(&machine);
    let dns = resolver.addr("dns");
    let mut random = Random(SEED);
    let question = upstream::query(0x1234, "www.alice.", 1);
    // 64 KiB: a question with noise up to the longest length there is.
    let mut long = question.clone();
    long.resize(usize::from(u16::MAX), 0xaa);
    let mut noise = random.bytes(usize::from(u16::MAX));
    noise[2] &= 0x7f;
    for message in [&long, &noise] {
        let answer = over_tcp(dns, u16::MAX, message);
        assert!(
            answer.is_empty() || answer[4] & 0x80 != 0,
            "a response, or nothing: {:02x?}",
            &answer[..20.min(answer.len())]
        );
    }
    for (length, message) in [
        (0, &[][..]),
        (12, &[]),
        (1, &[0]),
        (u16::MAX, &question),
        (question.len() as u16, &question[..5]),
    ] {
        let answer = over_tcp(dns, length, message);
        assert!(answer.is_empty() || answer[4] & 0x80 != 0, "{length}: {answer:02x?}");
    }
    // Connections that say nothing, more than a server keeps open.
    let silent: Vec<TcpStream> = (0..300).filter_map(|_| TcpStream::connect(dns).ok()).collect();
    assert!(silent.len() > 100);
    alice(&resolver, "with silent connections");
    drop(silent);
    let reply = dig::ask(dns, "www.alice.", "A", "+tcp");
    assert_eq!(reply.rdata("A"), ["192.0.2.10"], "{reply:?}");
    let answer = over_tcp(dns, question.len() as u16, &question);
    assert_eq!(answer[2..4], [0x12, 0x34], "{answer:02x?}");
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}

#[test]
fn bodies_that_are_too_large_and_requests_that_are_none() {
    let machine = Machine::new(Counting::start().addr);
    let mut resolver = machine.resolver();
    let api = resolver.addr("api");
    let body = format!("{{\"operation\": \"{}\"}}", "ab".repeat(8 << 20));
    let answer = http::post(api, "/v1/ops", &body);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (413, Some("too-large")),
        "{answer:?}"
    );
    let deep = format!("{{\"operation\": {}", "[".repeat(50_000));
    assert_eq!(http::post(api, "/v1/ops", &deep).status, 400);
    let mut random = Random(SEED);
    for _ in 0..50 {
        let mut stream = TcpStream::connect(api).expect("it listens");
        let len = random.below(2_000);
        // It may hang up at any byte.
        let _ = stream.write_all(&random.bytes(len));
    }
    assert_eq!(http::get(api, "/healthz").status, 200);
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}
