//! Input of strangers and broken software: it gets a refusal or no response, and the server keeps
//! running.

mod common;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, UdpSocket},
};

use common::{Names, PATIENCE, Resolver, Setup, question, receive, send, shown};
use hickory_proto::op::{Message, ResponseCode};

fn start() -> Resolver {
    Setup::default().start(Names::default().with("alice", &[("www", 1, vec![192, 0, 2, 2])]))
}

fn still_answers(resolver: &Resolver) {
    let message = question("www.alice.", 1, None);
    assert_eq!(shown(&resolver.udp(&message)), ["www.alice. A 192.0.2.2"]);
    assert_eq!(shown(&resolver.tcp(&message)), ["www.alice. A 192.0.2.2"]);
}

/// RFC 6891 §6.1.2: what a server does not support it ignores. A client subnet (RFC 7871) of family
/// 0, as some clients send to opt out, or of a family that nobody knows, got FORMERR.
#[tokio::test(flavor = "multi_thread")]
async fn odd_edns_options_are_ignored() {
    let resolver = start();
    for option in [
        &[0, 8, 0, 4, 0, 0, 0, 0][..],
        &[0, 8, 0, 7, 0, 3, 24, 0, 192, 0, 2],
        &[0, 8, 0, 4, 0, 1, 99, 0],
        &[0, 8, 0, 0],
        &[0, 5, 0, 1, 250],
        &[0xfd, 0xe9, 0, 2, 1, 2],
    ] {
        let mut query = question("www.alice.", 1, Some(1_232)).to_vec().unwrap();
        let length_at = query.len() - 2;
        query[length_at + 1] = option.len() as u8;
        query.extend_from_slice(option);
        let answer = Message::from_vec(&resolver.udp_bytes(&query).unwrap()).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{option:?}");
        assert_eq!(shown(&answer), ["www.alice. A 192.0.2.2"], "{option:?}");
    }
    resolver.server.stop().await;
}

/// A generator with a fixed sequence, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }

    /// Noise, a truncated query, or a query with changed bytes.
    fn packet(&mut self) -> Vec<u8> {
        let mut good = question("www.alice.", 1, Some(1_232)).to_vec().unwrap();
        match self.below(3) {
            0 => {
                let len = self.below(600);
                self.bytes(len)
            }
            1 => {
                good.truncate(self.below(good.len()));
                good
            }
            _ => {
                for _ in 0..=self.below(4) {
                    let at = self.below(good.len());
                    good[at] = self.roll() as u8;
                }
                good
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_packets_of_noise() {
    let resolver = start();
    let mut dice = Dice(1);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut good = question("www.alice.", 1, None);
    let mut buffer = [0; 65_535];
    // As many at a time as the sockets can buffer: a valid query must not be lost.
    for round in 0..200 {
        for _ in 0..50 {
            let packet = dice.packet();
            socket.send_to(&packet, resolver.address).unwrap();
        }
        // A valid query behind them: its response arrives among those to the noise.
        good.metadata.id = 20_000 + round;
        socket.send_to(&good.to_vec().unwrap(), resolver.address).unwrap();
        loop {
            let len =
                socket.recv(&mut buffer).unwrap_or_else(|_| panic!("no answer in round {round}"));
            assert!(len <= 1_232);
            let answer = Message::from_vec(&buffer[..len]).unwrap();
            if answer.metadata.id == good.metadata.id && !answer.answers.is_empty() {
                assert_eq!(shown(&answer), ["www.alice. A 192.0.2.2"]);
                break;
            }
        }
    }
    still_answers(&resolver);
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_over_tcp() {
    let resolver = start();
    let mut dice = Dice(2);
    for _ in 0..200 {
        let mut stream = resolver.connect();
        let packet = dice.packet();
        send(&mut stream, &packet);
        // A length prefix that is not met, then the end.
        stream.write_all(&[0xff, 0xff, 1, 2, 3]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty() || rest.len() >= 14, "nothing, or at least a header");
    }
    still_answers(&resolver);
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_64_kib() {
    let resolver = start();
    let mut stream = resolver.connect();
    // A query of 65,535 bytes: the rest is not a message.
    let mut long = question("www.alice.", 1, None).to_vec().unwrap();
    long.resize(65_535, 0);
    send(&mut stream, &long);
    let answer = Message::from_vec(&receive(&mut stream).unwrap()).unwrap();
    assert!(matches!(answer.metadata.response_code, ResponseCode::FormErr | ResponseCode::NoError));
    // As many records as its header can claim.
    let mut claims = question("www.alice.", 1, None).to_vec().unwrap();
    claims[4..12].fill(0xff);
    claims.resize(65_535, 0xc0);
    send(&mut stream, &claims);
    let answer = Message::from_vec(&receive(&mut stream).unwrap()).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    // The connection is still usable.
    send(&mut stream, &question("www.alice.", 1, None).to_vec().unwrap());
    assert_eq!(
        shown(&Message::from_vec(&receive(&mut stream).unwrap()).unwrap()),
        ["www.alice. A 192.0.2.2"]
    );
    still_answers(&resolver);
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_questions_on_one_connection() {
    let resolver = start();
    let mut stream = resolver.connect();
    for id in 0..100 {
        let mut message = question("www.alice.", 1, None);
        message.metadata.id = id;
        send(&mut stream, &message.to_vec().unwrap());
    }
    let mut ids: Vec<u16> = (0..100)
        .map(|_| {
            let answer = Message::from_vec(&receive(&mut stream).unwrap()).unwrap();
            assert_eq!(answer.answers.len(), 1);
            answer.metadata.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<u16>>());
    resolver.server.stop().await;
}

/// More connections than the limit: the rest waits, and is served as soon as there is room.
#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_is_room_for() {
    let resolver = start();
    let idle: Vec<_> = (0..300).map(|_| resolver.connect()).collect();
    let message = question("www.alice.", 1, None);
    assert_eq!(resolver.udp(&message).answers.len(), 1, "datagrams have room of their own");
    let mut waiting = resolver.connect();
    send(&mut waiting, &message.to_vec().unwrap());
    drop(idle);
    assert!(receive(&mut waiting).is_some());
    resolver.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_get_no_answer() {
    let resolver = start();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = question("www.alice.", 1, None);
    answer.metadata.message_type = hickory_proto::op::MessageType::Response;
    answer.metadata.id = 1;
    socket.send_to(&answer.to_vec().unwrap(), resolver.address).unwrap();
    socket.send_to(&question("www.alice.", 1, None).to_vec().unwrap(), resolver.address).unwrap();
    let mut buffer = [0; 1_232];
    let len = socket.recv(&mut buffer).unwrap();
    assert_eq!(
        Message::from_vec(&buffer[..len]).unwrap().metadata.id,
        4_711,
        "the question's answer is the first"
    );
    resolver.server.stop().await;
}
