//! Finding peers, and finding them again.

use std::sync::Arc;

use super::common::{Node, PATIENCE, hello};
use crate::net::Multiaddr;
use namechain_core::{
    sync::{Event, Misbehavior, message::Request},
    types::Network,
};

/// Waits until `node` says that so many are connected.
async fn peers(node: &Node, count: usize) {
    let enough = async {
        while node.net.peers().len() < count {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, enough).await;
    found.unwrap_or_else(|_| panic!("{count} peers wanted, there are {:?}", node.net.peers()));
}

#[tokio::test]
async fn a_good_peer_is_found_again_without_being_named() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    tokio::join!(a.greet(), b.greet());
    let dir = b.dir.clone();
    b.net.stop().await;
    let mut again = Node::in_dir(dir.clone(), |_| {}).await;
    let peer = again.greet().await;
    assert_eq!(again.net.id(), b.net.id(), "the same identity");
    peers(&again, 1).await;
    let found = again.net.peers();
    assert_eq!((found[0].peer, found[0].id.as_str(), found[0].outbound), (peer, a.net.id(), true));
}

/// The address book is written soon after somebody good is there, not only at the end: a crash
/// forgets nobody.
#[tokio::test]
async fn a_good_peer_is_found_again_after_a_crash() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    tokio::join!(a.greet(), b.greet());
    let dir = b.dir.clone();
    let written = async {
        while !dir.path().join("peers").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written)
        .await
        .expect("the address book is written while the node runs");
    let copy = Arc::new(tempfile::tempdir().expect("a directory"));
    for file in ["peers", "peer.key"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).expect("copied");
    }
    b.net.stop().await;
    let mut again = Node::in_dir(copy, |_| {}).await;
    again.greet().await;
}

/// b and c know only a; each finds the other by asking it.
#[tokio::test]
async fn those_who_know_one_node_find_each_other() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    let mut c = Node::joining(&[&a]).await;
    for node in [&mut b, &mut c] {
        node.greet().await;
    }
    a.greet().await;
    a.greet().await;
    peers(&b, 2).await;
    peers(&c, 2).await;
    assert!(b.net.peers().iter().any(|peer| peer.id == c.net.id()));
}

#[tokio::test]
async fn whoever_is_on_another_network_is_told_apart() {
    let mut a = Node::start().await;
    let mut b = Node::with(|config| {
        config.network = Network::Test;
        config.peers = vec![a.address()];
    })
    .await;
    // Whoever notices first says so and hangs up; the other one only sees that.
    async fn apart(node: &mut Node) {
        let peer = node.connected().await;
        node.ask(peer, Request::Hello(hello())).await;
        let told = node.wait("misbehavior", |event| match event {
            Event::PeerMisbehaved { peer: who, misbehavior: Misbehavior::OtherNetwork } => {
                Some(*who)
            }
            _ => None,
        });
        let who = told.await;
        node.disconnected(who).await;
    }
    tokio::select! {
        () = apart(&mut a) => {}
        () = apart(&mut b) => {}
    }
}

#[tokio::test]
async fn both_dialling_at_once_end_up_with_one_connection() {
    let dirs = [(); 2].map(|()| Arc::new(tempfile::tempdir().expect("a directory")));
    let free = [(); 2].map(|()| {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        socket.local_addr().expect("an address").port()
    });
    let address =
        |port| format!("/ip4/127.0.0.1/tcp/{port}").parse::<Multiaddr>().expect("an address");
    let start = |own: usize, other: usize| {
        Node::in_dir(dirs[own].clone(), move |config| {
            config.listen = vec![address(free[own])];
            config.peers = vec![address(free[other])];
        })
    };
    let (mut a, mut b) = tokio::join!(start(0, 1), start(1, 0));
    // Whichever connection is kept, an answer comes over it in the end.
    for node in [&mut a, &mut b] {
        loop {
            let peer = node.connected().await;
            let id = node.ask(peer, Request::Pending).await;
            let answered = node.wait("outcome", |event| match event {
                Event::ResponseReceived { request, .. } if *request == id => Some(true),
                Event::RequestFailed { request, .. } if *request == id => Some(false),
                _ => None,
            });
            if answered.await {
                break;
            }
        }
        peers(node, 1).await;
        assert_eq!(node.net.peers().len(), 1);
    }
}

/// A node's own name of the first listener of another.
fn by_name(node: &Node) -> Multiaddr {
    let text = node.address().to_string();
    let port = text.split('/').nth(4).expect("a port").to_owned();
    format!("/dns4/localhost/tcp/{port}").parse().expect("an address")
}

/// A peer that was named by its name alone is remembered, with its address, after a clean stop.
#[tokio::test]
async fn a_peer_that_was_named_by_name_is_found_again_without_it() {
    let mut a = Node::start().await;
    let named = by_name(&a);
    let mut b = Node::with(|config| config.peers = vec![named]).await;
    tokio::join!(a.greet(), b.greet());
    let dir = b.dir.clone();
    b.net.stop().await;
    let mut again = Node::in_dir(dir, |_| {}).await;
    again.greet().await;
    peers(&again, 1).await;
}

/// A node that knows nobody asks a seed, and is connected with those whom the seed knows.
#[tokio::test]
async fn a_seed_tells_of_others() {
    let mut seed = Node::start().await;
    let mut a = Node::joining(&[&seed]).await;
    tokio::join!(a.greet(), seed.greet());
    let mut b = Node::with(|config| {
        config.seeds = vec![by_name(&seed)];
        config.limits.seed_after = std::time::Duration::ZERO;
    })
    .await;
    b.greet().await;
    peers(&b, 2).await;
    assert!(b.net.peers().iter().any(|peer| peer.id == a.net.id()));
}
