//! Asking, answering, telling everybody.

use super::common::{Node, hello};
use namechain_core::{
    codec::Encode,
    sync::{
        Acceptance, Action, Event,
        message::{CompactBlock, Request, Response, ShortId},
    },
    types::{Hash, Header, Network},
};

fn header(nonce: u64) -> Header {
    Header {
        version: 2,
        height: 1,
        previous: Hash([3; 32]),
        ops_root: Hash([4; 32]),
        state_root: Hash([5; 32]),
        history_root: Hash([6; 32]),
        time: 1_800_000_000,
        due: 1_800_000_000,
        name_price: 1_024,
        byte_price: 1_024,
        nonce,
    }
}

fn block(nonce: u64) -> CompactBlock {
    CompactBlock { header: header(nonce), short_ids: vec![ShortId([7; 8]); 3] }
}

async fn say_hello_and_answer(listen: &str) {
    let mut a =
        Node::with(|config| config.listen = vec![listen.parse().expect("an address")]).await;
    let mut b = Node::joining(&[&a]).await;
    let (at_a, at_b) = (a.connected().await, b.connected().await);
    assert_eq!(b.answer(at_b, Request::Hello(hello())).await, Response::Hello(hello()));
    let greeted = a.wait("greeting", |event| match event {
        Event::HelloReceived { peer, hello } => Some((*peer, hello.clone())),
        _ => None,
    });
    assert_eq!(greeted.await, (at_a, hello()));
    let ids = vec![Hash([8; 32]); 3];
    *a.fake.answer.lock().expect("no panic") = Some(Response::Blocks(vec![vec![9; 200_000]; 8]));
    let answer = b.answer(at_b, Request::Blocks { ids: ids.clone() }).await;
    assert_eq!(answer, Response::Blocks(vec![vec![9; 200_000]; 8]));
    assert_eq!(*a.fake.asked.lock().expect("no panic"), [Request::Blocks { ids }]);
    assert_eq!(a.answer(at_a, Request::Pending).await, Response::Pending(Vec::new()));
    let traffic = b.net.traffic();
    assert!(traffic.bytes_in > 1_600_000, "{traffic:?}");
}

#[tokio::test]
async fn two_nodes_say_hello_and_answer_each_other_over_tcp() {
    say_hello_and_answer("/ip4/127.0.0.1/tcp/0").await;
}

#[tokio::test]
async fn two_nodes_say_hello_and_answer_each_other_over_quic() {
    say_hello_and_answer("/ip4/127.0.0.1/udp/0/quic-v1").await;
}

#[tokio::test]
async fn two_nodes_say_hello_over_ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    say_hello_and_answer("/ip6/::1/tcp/0").await;
}

/// Announces until somebody has taken it up: the topic of a new connection is known a moment after
/// it.
async fn announced(
    from: &Node,
    to: &mut Node,
    nonce: u64,
) -> (namechain_core::sync::Peer, namechain_core::sync::GossipId) {
    assert!(from.net.post(Action::BroadcastBlock(block(nonce))).await.is_none());
    to.wait("block", |event| match event {
        Event::BlockAnnounced { peer, gossip, block: told } if *told == block(nonce) => {
            Some((*peer, *gossip))
        }
        _ => None,
    })
    .await
}

/// Waits until the nodes know of each other's topics: a probe that each passes on.
async fn joined(from: &Node, to: &mut Node) {
    let mut nonce = 1_000;
    loop {
        nonce += 1;
        assert!(from.net.post(Action::BroadcastBlock(block(nonce))).await.is_none());
        let probe = to.wait("probe", |event| match event {
            Event::BlockAnnounced { gossip, .. } => Some(*gossip),
            _ => None,
        });
        if let Ok(gossip) = tokio::time::timeout(std::time::Duration::from_millis(200), probe).await
        {
            assert!(
                to.net
                    .post(Action::ReportAcceptance { gossip, acceptance: Acceptance::Ignore })
                    .await
                    .is_none()
            );
            return;
        }
    }
}

/// a - b - c: what a tells reaches c when b accepts it, and not before.
#[tokio::test]
async fn nothing_is_passed_on_before_its_verdict() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    let mut c = Node::joining(&[&b]).await;
    tokio::join!(a.greet(), b.greet());
    tokio::join!(b.greet(), c.greet());
    joined(&a, &mut b).await;
    joined(&b, &mut c).await;
    let (_, rejected) = announced(&a, &mut b, 1).await;
    let (_, ignored) = announced(&a, &mut b, 2).await;
    let (_, accepted) = announced(&a, &mut b, 3).await;
    for (gossip, acceptance) in [
        (rejected, Acceptance::Reject),
        (ignored, Acceptance::Ignore),
        (accepted, Acceptance::Accept),
    ] {
        assert!(b.net.post(Action::ReportAcceptance { gossip, acceptance }).await.is_none());
    }
    // The probes were only for b to judge; of the three, c hears of the third alone.
    let first = c.wait("block", |event| match event {
        Event::BlockAnnounced { block, .. } if block.header.nonce < 1_000 => Some(block.clone()),
        _ => None,
    });
    assert_eq!(first.await, block(3));
}

#[tokio::test]
async fn what_is_not_the_networks_is_handed_back() {
    let node = Node::start().await;
    let action = Action::ParkChain { tip: Hash::ZERO, work: 1, depth: 721 };
    assert!(matches!(node.net.post(action).await, Some(Action::ParkChain { depth: 721, .. })));
}

#[tokio::test]
async fn hanging_up_is_told_at_both_ends() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    let (at_a, at_b) = (a.greet().await, b.greet().await);
    assert!(a.net.post(Action::Disconnect { peer: at_a, why: "a test" }).await.is_none());
    a.disconnected(at_a).await;
    b.disconnected(at_b).await;
    // b was told to stay connected to a.
    assert_ne!(b.connected().await, at_b, "another number");
}

#[tokio::test]
async fn asking_who_is_gone_fails_at_once() {
    let mut a = Node::start().await;
    let id = a.ask(namechain_core::sync::Peer(77), Request::Pending).await;
    a.wait("failure", |event| match event {
        Event::RequestFailed { request, .. } if *request == id => Some(()),
        _ => None,
    })
    .await;
}

#[test]
fn a_block_fits_into_a_message() {
    let most = vec![ShortId([0; 8]); namechain_core::sync::message::MAX_BLOCK_OPERATIONS];
    let bytes = CompactBlock { header: header(0), short_ids: most }.to_bytes();
    assert!(bytes.len() + 512 < crate::net::limits::GOSSIP_BYTES, "{}", bytes.len());
    assert_eq!(Network::Dev.as_str(), "dev");
}
