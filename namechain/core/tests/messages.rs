//! What peers say to each other: one encoding a value, caps before anything is kept, no bytes that
//! make the decoder fail otherwise than with an error; and one worked example a message in
//! `testdata/network/`, for readers in any language. With `NAMECHAIN_BLESS=1` this test writes them
//! anew; without, it compares.

use std::{fs, path::PathBuf};

use namechain_core::{
    codec::{Decode, DecodeError, Encode},
    consensus::header::genesis,
    sync::message::{
        CompactBlock, Hello, MAX_AGENT, MAX_BLOCK_OPERATIONS, MAX_BLOCKS, MAX_HEADERS, MAX_LOCATOR,
        MAX_OPERATIONS, MAX_PENDING, PROTOCOL_VERSION, Request, Response, ShortId,
    },
    types::{Block, Hash, Header, MAX_BLOCK_BYTES, Network, Operation, Stamp},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn hashes() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn headers() -> impl Strategy<Value = Header> {
    (any::<u32>(), any::<u32>(), [hashes(), hashes(), hashes(), hashes()], any::<u64>(), 1u8..=105)
        .prop_map(
            |(version, height, [previous, ops_root, state_root, history_root], time, bits)| {
                Header {
                    version,
                    height,
                    previous,
                    ops_root,
                    state_root,
                    history_root,
                    time,
                    due: time.rotate_left(bits.into()),
                    name_price: height ^ version,
                    byte_price: !height,
                    nonce: time ^ 7,
                }
            },
        )
}

fn operations() -> impl Strategy<Value = Operation> {
    (hashes(), hashes(), 1u64.., any::<u64>()).prop_map(|(commitment, anchor, work, nonce)| {
        Operation::Commit { commitment, stamp: Stamp { anchor, work, nonce } }
    })
}

fn hellos() -> impl Strategy<Value = Hello> {
    let heights = (any::<u32>(), any::<u32>());
    (any::<u16>(), hashes(), hashes(), heights, any::<u128>(), any::<u64>(), "[ -~]{0,64}")
        .prop_map(|(version, genesis, tip, (height, first_block), work, time, agent)| Hello {
            version,
            genesis,
            tip,
            height,
            first_block,
            work,
            time,
            agent,
        })
}

fn requests() -> impl Strategy<Value = Request> {
    let indexes = proptest::collection::btree_set(any::<u16>(), 0..20);
    prop_oneof![
        hellos().prop_map(Request::Hello),
        vec(hashes(), 0..=MAX_LOCATOR).prop_map(|locator| Request::Headers { locator }),
        vec(hashes(), 0..=MAX_BLOCKS).prop_map(|ids| Request::Blocks { ids }),
        (hashes(), indexes).prop_map(|(block, indexes)| {
            Request::BlockOperations { block, indexes: indexes.into_iter().collect() }
        }),
        Just(Request::Pending),
        vec(hashes(), 0..=MAX_OPERATIONS).prop_map(|ids| Request::Operations { ids }),
    ]
}

fn responses() -> impl Strategy<Value = Response> {
    prop_oneof![
        hellos().prop_map(Response::Hello),
        vec(headers(), 0..6).prop_map(Response::Headers),
        vec(vec(any::<u8>(), 0..200), 0..6).prop_map(Response::Blocks),
        vec(operations(), 0..6).prop_map(Response::Operations),
        vec(hashes(), 0..40).prop_map(Response::Pending),
        Just(Response::Busy),
    ]
}

fn compact_blocks() -> impl Strategy<Value = CompactBlock> {
    (headers(), vec(any::<[u8; 8]>().prop_map(ShortId), 0..40))
        .prop_map(|(header, short_ids)| CompactBlock { header, short_ids })
}

/// What decodes encodes to the same bytes.
fn has_one_form<T: Encode + Decode>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
}

/// A value comes back from its bytes; a byte less or more is refused.
fn comes_back<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T) {
    let mut bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    assert!(T::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    bytes.push(0);
    assert_eq!(T::from_bytes(&bytes), Err(DecodeError::Trailing(1)));
}

proptest! {
    #[test]
    fn requests_have_one_encoding(request in requests()) {
        comes_back(&request);
    }

    #[test]
    fn responses_have_one_encoding(response in responses()) {
        comes_back(&response);
    }

    #[test]
    fn compact_blocks_have_one_encoding(block in compact_blocks()) {
        comes_back(&block);
    }

    #[test]
    fn any_bytes_are_a_message_or_refused(mut bytes in vec(any::<u8>(), 0..300), kind in 0u8..7) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        has_one_form::<Request>(&bytes);
        has_one_form::<Response>(&bytes);
        has_one_form::<CompactBlock>(&bytes);
    }

    /// A sound message with one byte changed.
    #[test]
    fn bent_messages_are_another_one_or_refused(request in requests(), response in responses(), at: prop::sample::Index, to: u8) {
        for mut bytes in [request.to_bytes(), response.to_bytes()] {
            let at = at.index(bytes.len());
            bytes[at] = to;
            has_one_form::<Request>(&bytes);
            has_one_form::<Response>(&bytes);
        }
    }
}

/// Each count is compared with its cap before what it counts is looked at: there is nothing behind
/// it here.
#[test]
fn counts_over_their_caps_are_refused() {
    let over = |kind: u8, before: usize, cap: usize| {
        let mut bytes = vec![kind];
        bytes.extend(vec![0; before]);
        bytes.extend((cap as u32 + 1).to_be_bytes());
        bytes
    };
    let is_over = |error: DecodeError, cap: usize| matches!(error, DecodeError::OverCap { cap: at, found, .. } if at == cap && found == cap + 1);
    for (kind, before, cap) in [
        (1, 0, MAX_LOCATOR),
        (2, 0, MAX_BLOCKS),
        (3, 32, MAX_BLOCK_OPERATIONS),
        (5, 0, MAX_OPERATIONS),
    ] {
        assert!(
            is_over(Request::from_bytes(&over(kind, before, cap)).unwrap_err(), cap),
            "request {kind}"
        );
    }
    for (kind, cap) in
        [(1, MAX_HEADERS), (2, MAX_BLOCKS), (3, MAX_BLOCK_OPERATIONS), (4, MAX_PENDING)]
    {
        assert!(
            is_over(Response::from_bytes(&over(kind, 0, cap)).unwrap_err(), cap),
            "response {kind}"
        );
    }
    let mut block = vec![2, 0, 0, 0, 1];
    block.extend((MAX_BLOCK_BYTES as u32 + 1).to_be_bytes());
    assert!(is_over(Response::from_bytes(&block).unwrap_err(), MAX_BLOCK_BYTES));
    let mut compact = genesis(Network::Dev).header.to_bytes();
    compact.extend((MAX_BLOCK_OPERATIONS as u32 + 1).to_be_bytes());
    assert!(is_over(CompactBlock::from_bytes(&compact).unwrap_err(), MAX_BLOCK_OPERATIONS));
    let mut hello = vec![0];
    hello.extend([0; 2 + 32 + 32 + 4 + 4 + 16 + 8]);
    hello.push(MAX_AGENT as u8 + 1);
    assert!(is_over(Request::from_bytes(&hello).unwrap_err(), MAX_AGENT));
}

#[test]
fn what_has_another_form_is_refused() {
    let falling = Request::BlockOperations { block: Hash::ZERO, indexes: vec![2, 1] }.to_bytes();
    let twice = Request::BlockOperations { block: Hash::ZERO, indexes: vec![1, 1] }.to_bytes();
    let control = Request::Hello(Hello { agent: "a\u{7}".into(), ..hello() }).to_bytes();
    for bytes in [falling, twice, control, vec![6], vec![]] {
        assert!(Request::from_bytes(&bytes).is_err(), "{bytes:?}");
    }
    assert!(Response::from_bytes(&[6]).is_err());
}

fn hello() -> Hello {
    let genesis = genesis(Network::Main).header.id(Network::Main);
    Hello {
        version: PROTOCOL_VERSION,
        genesis,
        tip: genesis,
        height: 7,
        first_block: 3,
        work: 1_000,
        time: 1_800_000_000,
        agent: "example/1.0".into(),
    }
}

fn examples() -> Value {
    let network = Network::Main;
    let header = genesis(network).header;
    let id = header.id(network);
    let stamp = Stamp { anchor: id, work: 5, nonce: 9 };
    let operation = Operation::Commit { commitment: Hash([3; 32]), stamp };
    let block = Block { header: header.clone(), operations: vec![operation.clone()] };
    let compact = CompactBlock::of(network, &block);
    let request = |message: &str, request: &Request| json!({ "message": message, "bytes": hex::encode(request.to_bytes()) });
    let response = |message: &str, response: &Response| json!({ "message": message, "bytes": hex::encode(response.to_bytes()) });
    json!({
        "about": "One example of each message. The header is that of the genesis block of the network main, the operation a commit of the commitment 32 times 03, its stamp anchored to the genesis block, work 5, nonce 9; the block has both (and is not a valid one).",
        "network": "main",
        "genesis": id,
        "operation_id": operation.id(network),
        "short_id": hex::encode(ShortId::of(network, &id, &operation.id(network)).0),
        "requests": [
            request("hello: version 1, tip the genesis block, height 7, blocks from height 3 on, work 1000, time 1800000000, agent example/1.0", &Request::Hello(hello())),
            request("headers after the genesis block, or after 32 times 01", &Request::Headers { locator: vec![Hash([1; 32]), id] }),
            request("blocks: the genesis block and 32 times 02", &Request::Blocks { ids: vec![id, Hash([2; 32])] }),
            request("operations 0, 2 and 300 of the genesis block", &Request::BlockOperations { block: id, indexes: vec![0, 2, 300] }),
            request("what waits", &Request::Pending),
            request("the operation", &Request::Operations { ids: vec![operation.id(network)] }),
        ],
        "responses": [
            response("hello, as above", &Response::Hello(hello())),
            response("headers: the one", &Response::Headers(vec![header])),
            response("blocks: the one", &Response::Blocks(vec![block.to_bytes()])),
            response("operations: the one", &Response::Operations(vec![operation.clone()])),
            response("what waits: the id of the operation", &Response::Pending(vec![operation.id(network)])),
            response("busy", &Response::Busy),
        ],
        "told": [
            { "message": "a compact block: the block", "bytes": hex::encode(compact.to_bytes()) },
            { "message": "an operation: the operation", "bytes": hex::encode(operation.to_bytes()) },
        ],
    })
}

#[test]
fn the_examples_are_what_they_were() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/network/messages.json");
    let now = serde_json::to_string_pretty(&examples()).unwrap() + "\n";
    if std::env::var_os("NAMECHAIN_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &now).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), now, "testdata/network/messages.json");
}
