//! Telling everybody what is not so.

use std::sync::Arc;

use namechain_core::{
    chain::{Chain, MemoryStorage},
    codec::Encode,
    sync::message::CompactBlock,
    types::{Hash, Header, Network, Operation, Stamp},
};
use tests::wait;

use crate::{
    peer::Evil,
    requests::{genesis, greet, polite},
    victim::Victim,
};

const NETWORK: Network = Network::Test;

/// Connected, greeted, and known to gossip: the node asks it what waits.
fn gossiping(victim: &Victim) -> Evil {
    let evil = polite(NETWORK);
    evil.connect(victim.id, &victim.address);
    greet(&evil, victim, NETWORK);
    evil
}

/// Tells the same again and again, each time a little different, until it is hung up on.
fn flood(evil: &Evil, topic: &str, message: impl Fn(u64) -> Vec<u8>) -> u64 {
    let mut told = 0;
    wait::until("a hanging up", || {
        for _ in 0..200 {
            told += 1;
            evil.tell(topic, message(told));
        }
        (evil.closed() > 0).then_some(told)
    })
}

/// A block after the genesis block, right but for its work.
fn unworked(nonce: u64) -> Header {
    let storage = Arc::new(MemoryStorage::default());
    let chain = Chain::open(NETWORK, storage).expect("a chain");
    let time = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
    let block = chain.assemble_block(std::iter::empty(), time).expect("a block");
    Header { nonce, ..block.header }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn operations_without_work_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = gossiping(&victim);
    let anchor = genesis(NETWORK);
    let told = flood(&evil, "operations", |number| {
        let mut commitment = [7; 32];
        commitment[..8].copy_from_slice(&number.to_be_bytes());
        let stamp = Stamp { anchor, work: 1 << 40, nonce: number };
        Operation::Commit { commitment: Hash(commitment), stamp }.to_bytes()
    });
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "BrokenRule"]);
    eprintln!("{told} operations were sent until it was hung up on");
    assert!(victim.metric("namechain_net_gossip_total", &["outcome=\"accepted\""]) == 0);
    victim.must_be_unharmed("operations without work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn blocks_without_work_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = gossiping(&victim);
    let header = unworked(0);
    let told = flood(&evil, "blocks", |nonce| {
        CompactBlock { header: Header { nonce, ..header.clone() }, short_ids: Vec::new() }
            .to_bytes()
    });
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "BrokenRule"]);
    eprintln!("{told} blocks were sent until it was hung up on");
    victim.must_be_unharmed("blocks without work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_that_can_not_be_read_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = gossiping(&victim);
    flood(&evil, "operations", |number| number.to_be_bytes().repeat(100));
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "Malformed"]);
    victim.must_be_unharmed("messages that can't be read");
}

/// Blocks of which nothing is known, each with as many operations as can be: nothing of them is
/// kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_blocks_without_a_parent_is_passed_over_and_then_refused() {
    let victim = Victim::start("test", &[]);
    let evil = gossiping(&victim);
    let header = unworked(0);
    let short_ids = vec![namechain_core::sync::message::ShortId([1; 8]); 2_000];
    let told = flood(&evil, "blocks", |nonce| {
        let header = Header { nonce, previous: Hash([3; 32]), height: 9, ..header.clone() };
        CompactBlock { header, short_ids: short_ids.clone() }.to_bytes()
    });
    evil.is_banned_by(victim.id, &victim.address);
    eprintln!("{told} blocks were sent until it was hung up on");
    victim.must_be_unharmed("a flood of blocks without a parent");
}

/// Messages longer than any may be, and of topics that nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn oversized_messages_are_not_taken() {
    let victim = Victim::start("test", &[]);
    let evil = gossiping(&victim);
    for number in 0..200u64 {
        evil.tell("blocks", number.to_be_bytes().repeat(60_000));
        evil.tell("elsewhere", number.to_be_bytes().repeat(500));
    }
    let honest = gossiping(&victim);
    wait::until("the honest one", || victim.peer(honest.id));
    assert_eq!(victim.metric("namechain_net_gossip_total", &["outcome=\"heard\""]), 0);
    victim.must_be_unharmed("oversized messages");
}
