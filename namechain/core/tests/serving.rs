//! What peers are answered, and where answers end.

mod common;

use common::{Miner, NETWORK, NOW, key, name};
use namechain_core::{
    chain::Storage,
    codec::Encode,
    mempool::Mempool,
    sync::{
        message::{MAX_BLOCKS_BYTES, MAX_HEADERS, Request, Response},
        serve::{self, Identity},
    },
    types::{Hash, Header, Operation, Stamp},
};

fn ask(miner: &Miner, mempool: &Mempool, request: &Request) -> Response {
    let identity = Identity::new(NETWORK, "test");
    let answer =
        serve::answer(&*miner.storage, &identity, &mempool.waiting(), request, NOW).unwrap();
    // Whatever it is, it fits into a frame.
    assert!(answer.to_bytes().len() <= namechain_core::sync::message::MAX_RESPONSE_BYTES);
    answer
}

fn headers(miner: &Miner, locator: Vec<Hash>) -> Vec<Header> {
    match ask(miner, &Mempool::new(NETWORK), &Request::Headers { locator }) {
        Response::Headers(headers) => headers,
        other => panic!("{other:?}"),
    }
}

fn at(miner: &Miner, height: u32) -> Hash {
    miner.storage.active(height).unwrap().unwrap()
}

#[test]
fn headers_follow_the_first_id_that_is_known() {
    let mut miner = Miner::new();
    let mut other = Miner::new();
    let commit = other.commit(&name("alice-example"), &key(1));
    let side = other.mine(&[commit]);
    (0..5).for_each(|_| _ = miner.mine(&[]));
    miner.take(std::slice::from_ref(&side));
    let heights =
        |locator: Vec<Hash>| headers(&miner, locator).iter().map(|h| h.height).collect::<Vec<_>>();
    assert_eq!(heights(vec![at(&miner, 3), at(&miner, 1)]), [4, 5]);
    assert_eq!(heights(vec![Hash([1; 32]), at(&miner, 4)]), [5]);
    assert!(heights(vec![miner.chain.tip_id()]).is_empty());
    // Nothing that is on the best chain: from the beginning. A block beside it is not on it.
    assert_eq!(heights(vec![side.header.id(NETWORK)]), [1, 2, 3, 4, 5]);
    assert_eq!(heights(Vec::new()), [1, 2, 3, 4, 5]);
    let all = headers(&miner, Vec::new());
    assert!(all.windows(2).all(|pair| pair[1].previous == pair[0].id(NETWORK)));
}

#[test]
fn no_more_headers_than_an_answer_holds() {
    let mut miner = Miner::new();
    (0..MAX_HEADERS + 1).for_each(|_| _ = miner.mine(&[]));
    let first = headers(&miner, Vec::new());
    assert_eq!(first.len(), MAX_HEADERS);
    assert_eq!(headers(&miner, vec![first[MAX_HEADERS - 1].id(NETWORK)]).len(), 1);
}

#[test]
fn blocks_end_at_the_first_that_is_missing() {
    let mut miner = Miner::new();
    let blocks: Vec<_> = (0..3).map(|_| miner.mine(&[])).collect();
    let ask = |ids: Vec<Hash>| match ask(&miner, &Mempool::new(NETWORK), &Request::Blocks { ids }) {
        Response::Blocks(blocks) => blocks,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        ask(vec![at(&miner, 2), at(&miner, 1)]),
        [blocks[1].to_bytes(), blocks[0].to_bytes()]
    );
    assert_eq!(ask(vec![at(&miner, 1), Hash([1; 32]), at(&miner, 2)]).len(), 1);
    assert!(ask(vec![at(&miner, 0)]).is_empty(), "everybody has the genesis block");
}

/// Blocks are sent as long as they fit; the first one always is.
#[test]
fn blocks_end_before_they_are_too_many_bytes() {
    let miner = Miner::new();
    // Blocks of a few hundred operations: bytes are what counts here, so nothing is stamped or
    // mined. They are written to the store as they are.
    let header = miner.chain.tip_header().clone();
    let mut ids = Vec::new();
    for number in 0..12u8 {
        let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
        let operation = Operation::Commit { commitment: Hash([number; 32]), stamp };
        let header = Header { height: 1, nonce: u64::from(number), ..header.clone() };
        let block = namechain_core::types::Block {
            header: header.clone(),
            operations: vec![operation; 3_000],
        };
        let at = miner.storage.append(&block.to_bytes()).unwrap();
        let id = header.id(NETWORK);
        let stored =
            namechain_core::chain::StoredHeader { id, header, work: 1, at, failed: number == 11 };
        miner.storage.commit(vec![namechain_core::chain::Change::Header(stored)], true).unwrap();
        ids.push(id);
    }
    let Response::Blocks(blocks) =
        ask(&miner, &Mempool::new(NETWORK), &Request::Blocks { ids: ids.clone() })
    else {
        panic!("not blocks")
    };
    let bytes: usize = blocks.iter().map(Vec::len).sum();
    assert!(bytes <= MAX_BLOCKS_BYTES && bytes + blocks[0].len() > MAX_BLOCKS_BYTES, "{bytes}");
    // What breaks a rule is not passed on.
    let failed = ask(&miner, &Mempool::new(NETWORK), &Request::Blocks { ids: vec![ids[11]] });
    assert_eq!(failed, Response::Blocks(Vec::new()));
}

#[test]
fn operations_of_a_block_and_those_that_wait() {
    let (mut miner, mut mempool) = (Miner::new(), Mempool::new(NETWORK));
    let commits: Vec<Operation> =
        (1..=3).map(|k| miner.commit(&name("alice-example"), &key(k))).collect();
    let block = miner.mine(&commits);
    let of_block = |indexes: Vec<u16>| {
        ask(
            &miner,
            &Mempool::new(NETWORK),
            &Request::BlockOperations { block: block.header.id(NETWORK), indexes },
        )
    };
    assert_eq!(
        of_block(vec![0, 2]),
        Response::Operations(vec![commits[0].clone(), commits[2].clone()])
    );
    assert_eq!(of_block(vec![1, 9]), Response::Operations(vec![commits[1].clone()]));
    let unknown = Request::BlockOperations { block: Hash([1; 32]), indexes: vec![0] };
    assert_eq!(ask(&miner, &mempool, &unknown), Response::Operations(Vec::new()));

    let more: Vec<Operation> =
        (4..=6).map(|k| miner.commit(&name("alice-example"), &key(k))).collect();
    let ids: Vec<Hash> = more
        .iter()
        .map(|op| mempool.insert(&miner.chain, op.clone(), miner.now).unwrap())
        .collect();
    let Response::Pending(listed) = ask(&miner, &mempool, &Request::Pending) else {
        panic!("not pending")
    };
    assert!(ids.iter().all(|id| listed.contains(id)) && listed.len() == 3);
    let wanted = Request::Operations { ids: vec![ids[2], Hash([1; 32]), ids[0]] };
    assert_eq!(
        ask(&miner, &mempool, &wanted),
        Response::Operations(vec![more[2].clone(), more[0].clone()])
    );
}

#[test]
fn hello_says_what_is_so() {
    let mut miner = Miner::new();
    miner.mine(&[]);
    let Response::Hello(hello) = ask(
        &miner,
        &Mempool::new(NETWORK),
        &Request::Hello(Identity::new(NETWORK, "x").hello((Hash::ZERO, 0, 0), 0, 0)),
    ) else {
        panic!("not a hello")
    };
    assert_eq!(
        (hello.tip, hello.height, hello.work),
        (miner.chain.tip_id(), 1, miner.chain.work())
    );
    assert_eq!((hello.time, hello.agent.as_str()), (NOW, "test"));
    // Software with a name that is none is not named so.
    assert_eq!(Identity::new(NETWORK, "a\u{1b}[31mb\u{e9}").agent, "a[31mb");
}
