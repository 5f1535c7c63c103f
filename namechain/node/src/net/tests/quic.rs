//! QUIC: whoever sends first packets in the name of other addresses keeps nobody out.

use std::{collections::HashSet, time::Duration};

use futures::StreamExt;
use libp2p::{Swarm, SwarmBuilder, ping, swarm::dial_opts::DialOpts};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};

use super::common::{Node, PATIENCE};
use crate::net::{Multiaddr, limits};

/// First packets that are sent.
const PACKETS: usize = 64;

fn dialler() -> Swarm<ping::Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| ping::Behaviour::default())
        .expect("a behaviour")
        .build()
}

/// First packets of as many connections, none of which goes further: whoever takes them says
/// nothing.
async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let catcher = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let port = catcher.local_addr().expect("an address").port();
    let address: Multiaddr =
        format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().expect("an address");
    let dials: JoinHandle<()> = tokio::spawn(async move {
        let mut swarm = dialler();
        for _ in 0..count {
            let options = DialOpts::unknown_peer_id().address(address.clone()).build();
            swarm.dial(options).expect("dialled");
        }
        loop {
            swarm.select_next_some().await;
        }
    });
    let (mut packets, mut seen) = (Vec::new(), HashSet::new());
    let caught = async {
        let mut buffer = [0; 2_048];
        while packets.len() < count {
            let (len, _) = catcher.recv_from(&mut buffer).await.expect("a packet");
            // RFC 9000, section 17.2: flags, version, then the length of the connection's id.
            let id = buffer[6..6 + usize::from(buffer[5])].to_vec();
            if seen.insert(id) {
                packets.push(buffer[..len].to_vec());
            }
        }
    };
    timeout(PATIENCE, caught).await.expect("in time");
    dials.abort();
    packets
}

/// What a listener answers a first packet with: a Retry packet, or a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Retry,
    Handshake,
}

async fn answer(socket: &UdpSocket) -> Option<Reply> {
    let mut buffer = [0; 2_048];
    let received = timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
    let len = received.ok()?.expect("a packet");
    // The type of a long header: 3 is Retry.
    let is_retry = len > 0 && buffer[0] & 0x30 == 0x30;
    Some(if is_retry { Reply::Retry } else { Reply::Handshake })
}

/// A few packets a second in the name of addresses that answer nothing must not fill the places of
/// handshakes: all but a few have to show first that they receive.
#[tokio::test]
async fn many_first_packets_are_answered_with_retry() {
    let mut node = Node::with(|config| {
        config.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().expect("an address")];
    })
    .await;
    let port: u16 =
        node.address().to_string().split('/').nth(4).expect("a port").parse().expect("a port");
    let mut sockets = Vec::new();
    for packet in first_packets(PACKETS).await {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        socket.connect(("127.0.0.1", port)).await.expect("connected");
        socket.send(&packet).await.expect("sent");
        sockets.push(socket);
    }
    let mut answers = Vec::new();
    for socket in &sockets {
        answers.extend(answer(socket).await);
    }
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!(count(Reply::Handshake), limits::QUIC_UNVALIDATED, "{answers:?}");
    assert_eq!(count(Reply::Retry), PACKETS - limits::QUIC_UNVALIDATED, "{answers:?}");
    // Somebody who receives at its address gets in at the same time.
    let mut other = Node::joining(&[&node]).await;
    tokio::join!(other.greet(), node.greet());
}
