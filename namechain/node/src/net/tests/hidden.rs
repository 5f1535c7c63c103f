//! Connections that the chain thread, or gossip, does not hear of: feelers, and those for blocks
//! only.

use std::{fs, sync::Arc, time::Duration};

use super::common::{Node, PATIENCE};
use crate::net::{
    address::Address,
    addrman::{AddrMan, Entry},
    config::ADDRMAN_FILE,
    limits::Limits,
    random::Random,
};
use namechain_core::{
    sync::{
        Action, Event,
        message::{CompactBlock, Request, Response},
    },
    types::{Hash, Header},
};
use tempfile::TempDir;

/// The entry of a node in an address book.
fn entry_of(node: &Node) -> Entry {
    let (address, peer) = Address::read(&node.address()).expect("an address");
    (peer.expect("with an identity"), address)
}

/// A directory with an address book.
fn dir_with(fill: impl FnOnce(&mut AddrMan)) -> Arc<TempDir> {
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut addrman = AddrMan::new(&mut Random::seeded(1));
    fill(&mut addrman);
    fs::write(dir.path().join(ADDRMAN_FILE), addrman.to_bytes()).expect("written");
    dir
}

/// A feeler finds out that somebody answers, and goes; nobody but the address book hears of it.
#[tokio::test]
async fn a_feeler_tries_an_address_and_goes() {
    let mut a = Node::start().await;
    let friend = entry_of(&a);
    let dir = dir_with(|addrman| addrman.add(friend, friend.1.group(), 1));
    let mut b = Node::in_dir(dir.clone(), |config| {
        config.limits =
            Limits { outbound: 0, feeler_every: Duration::from_millis(100), ..Limits::default() };
    })
    .await;
    let peer = a.connected().await;
    let greeted = a.wait("greeting", |event| match event {
        Event::HelloReceived { peer, .. } => Some(*peer),
        _ => None,
    });
    assert_eq!(greeted.await, peer);
    a.disconnected(peer).await;
    b.net.stop().await;
    assert!(b.heard_nothing(), "the chain thread has nothing to do with it");
    let bytes = fs::read(dir.path().join(ADDRMAN_FILE)).expect("written");
    assert_eq!(AddrMan::from_bytes(&bytes).expect("an address book").len(), (1, 1));
}

fn block(nonce: u64) -> CompactBlock {
    let header = Header {
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
    };
    CompactBlock { header, short_ids: Vec::new() }
}

/// An anchor is dialled for blocks only: no gossip goes over the connection, and of operations it
/// is told nothing.
#[tokio::test]
async fn an_anchor_brings_blocks_and_nothing_of_operations() {
    let mut a = Node::start().await;
    let anchor = entry_of(&a);
    let dir = dir_with(|addrman| {
        addrman.set_anchors(vec![anchor]);
    });
    let mut b = Node::in_dir(dir, |_| {}).await;
    let (at_b, block_only) = b
        .wait("connection", |event| match event {
            Event::PeerConnected { peer, block_only, .. } => Some((*peer, *block_only)),
            _ => None,
        })
        .await;
    assert!(block_only);
    let at_a = a.connected().await;
    let answer = b.answer(at_b, Request::Hello(super::common::hello())).await;
    assert!(matches!(answer, Response::Hello(_)));
    // What b's mempool has, a is not told; its blocks it is.
    *b.fake.answer.lock().expect("no panic") = Some(Response::Pending(vec![Hash([7; 32])]));
    assert_eq!(a.answer(at_a, Request::Pending).await, Response::Pending(Vec::new()));
    let operations = Request::Operations { ids: vec![Hash([7; 32])] };
    assert_eq!(a.answer(at_a, operations).await, Response::Operations(Vec::new()));
    let blocks = Response::Blocks(vec![vec![9; 100]]);
    *b.fake.answer.lock().expect("no panic") = Some(blocks.clone());
    assert_eq!(a.answer(at_a, Request::Blocks { ids: vec![Hash([8; 32])] }).await, blocks);
    // An ordinary peer of a's hears its gossip, in the end; b has heard none of it then.
    let mut c = Node::joining(&[&a]).await;
    tokio::join!(c.greet(), a.connected());
    let mut nonce = 0;
    let heard = async {
        loop {
            nonce += 1;
            assert!(a.net.post(Action::BroadcastBlock(block(nonce))).await.is_none());
            let announced = c.wait("block", |event| match event {
                Event::BlockAnnounced { .. } => Some(()),
                _ => None,
            });
            if tokio::time::timeout(Duration::from_millis(200), announced).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("an ordinary peer hears of blocks");
    assert!(matches!(b.answer(at_b, Request::Pending).await, Response::Pending(_)));
    assert!(b.heard_nothing(), "no gossip");
}
