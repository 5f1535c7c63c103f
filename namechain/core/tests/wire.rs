//! The worked examples of `docs/protocol.md`: bytes, hashes and works in `testdata/wire/`, one
//! subject a file, for readers in any language. With `NAMECHAIN_BLESS=1` this test writes them
//! anew; without, it compares.

use std::{collections::BTreeMap, fs, path::PathBuf};

use namechain_core::{
    codec::{Decode, Encode},
    consensus::{
        History, HistoryProof, difficulty::next_target, header::genesis, price, work::PowHasher,
    },
    tree::{Proof, Tree},
    types::{
        Action, Block, CommitmentEntry, Domain, Entry, Hash, Header, Locators, MessagingEntry,
        MessagingPolicy, MessagingRecord, Name, NameEntry, Network, Operation, PendingTransfer,
        PublicKey, Record, RecordSet, SecretKey, SignedMessagingRecord, SignedOperation, Stamp,
        Target, commitment, hash, next_key_hash, ops_root, tag,
    },
};
use serde_json::{Value, json};

const NETWORK: Network = Network::Main;

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn name() -> Name {
    Name::parse("alice-example").unwrap()
}

fn other() -> PublicKey {
    SecretKey::from_seed(&[8; 32]).public()
}

fn stamp() -> Stamp {
    Stamp { anchor: genesis(NETWORK).header.id(NETWORK), work: 5, nonce: 9 }
}

fn records() -> RecordSet {
    let record = |owner: &[u8], rtype, rdata: &[u8]| Record {
        owner: owner.into(),
        rtype,
        ttl: 300,
        rdata: rdata.into(),
    };
    RecordSet::new(vec![record(b"\x03www\0", 1, &[192, 0, 2, 1]), record(b"\0", 16, b"\x05hello")])
        .unwrap()
}

fn identity(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// Two records, the second of which follows the first with a new identity key.
fn messaging() -> [SignedMessagingRecord; 2] {
    let record = |sequence, previous, number: u8| MessagingRecord {
        sequence,
        previous,
        identity: identity(number).public(),
        next: next_key_hash(NETWORK, &identity(number + 1).public()),
        x25519: [number; 32],
        bundle: Hash([number; 32]),
        locators: Locators::default(),
        policy: MessagingPolicy { x25519_alone: false },
    };
    let first = SignedMessagingRecord::sign(
        NETWORK,
        &name(),
        record(1, Hash::ZERO, 20),
        &identity(20),
        None,
    );
    let locators = ["/dns4/alice.example/udp/7379/quic-v1", "https://alice.example/inbox"];
    let second = MessagingRecord {
        locators: Locators::new(locators.map(String::from).into()).unwrap(),
        policy: MessagingPolicy { x25519_alone: true },
        ..record(2, first.record.hash(NETWORK), 21)
    };
    let linked =
        SignedMessagingRecord::sign(NETWORK, &name(), second, &identity(21), Some(&identity(20)));
    [first, linked]
}

fn messaging_examples() -> Value {
    let examples: Vec<Value> = messaging()
        .iter()
        .map(|signed| {
            assert_eq!(SignedMessagingRecord::from_bytes(&signed.to_bytes()).as_ref(), Ok(signed));
            let record = &signed.record;
            let mut example = json!({
                "bytes": hex::encode(signed.to_bytes()),
                "record": hex::encode(record.to_bytes()),
                "hash": record.hash(NETWORK),
                "identity_seed": hex::encode([19 + record.sequence as u8; 32]),
                "identity": record.identity,
                "next": record.next,
                "possession_message": hex::encode(record.possession_message(NETWORK, &name())),
                "possession": hex::encode(signed.possession.0),
            });
            if let Some(link) = &signed.link {
                example["link_identity"] = json!(link.identity);
                example["link_message"] = hex::encode(record.link_message(NETWORK, &name())).into();
                example["link_signature"] = hex::encode(link.signature.0).into();
            }
            example
        })
        .collect();
    json!({
        "about": "Two messaging records of alice-example, the second linked to the first. The seeds of the identity keys are 32 times 14 and \
                  32 times 15; the one that the second announces has the seed 32 times 16.",
        "network": NETWORK,
        "name": name(),
        "records": examples,
    })
}

fn operations() -> Vec<Operation> {
    let salt = [3; 32];
    let commitment = commitment(NETWORK, &name(), &key().public(), &salt);
    let actions = [
        Action::Register { recovery: Some(other()), salt, records: records() },
        Action::Update { records: RecordSet::default() },
        Action::Renew,
        Action::Transfer { to: other() },
        Action::Accept { recovery: None },
        Action::Cancel,
        Action::Recover { owner: other(), recovery: Some(key().public()) },
        Action::Revoke,
        Action::Publish { record: Some(Box::new(messaging()[1].clone())) },
    ];
    let named = actions.into_iter().zip(0..).map(|(action, sequence)| {
        Operation::Named(SignedOperation::sign(NETWORK, name(), sequence, action, &key(), stamp()))
    });
    std::iter::once(Operation::Commit { commitment, stamp: stamp() }).chain(named).collect()
}

fn operation_examples() -> Value {
    let mut worker = PowHasher::new(NETWORK);
    let examples: Vec<Value> = operations()
        .iter()
        .map(|operation| {
            assert_eq!(Operation::from_bytes(&operation.to_bytes()).as_ref(), Ok(operation));
            let subject = operation.stamp_subject(NETWORK);
            let mut example = json!({
                "kind": operation.label(),
                "bytes": hex::encode(operation.to_bytes()),
                "id": operation.id(NETWORK),
                "stamp_subject": subject,
                "stamp_value": format!("{:032x}", worker.hash_stamp(&subject, &stamp().anchor, stamp().nonce)),
            });
            if let Operation::Named(named) = operation {
                example["signing_message"] = hex::encode(named.signing_message(NETWORK)).into();
                example["signature"] = hex::encode(named.signature.0).into();
            }
            example
        })
        .collect();
    json!({
        "about": "One operation of each kind on the name alice-example, signed by the key of which the seed is 32 times 07, \
                  salt 32 times 03, stamps anchored to the genesis block, work 5, nonce 9. The stamps are not worked: \
                  stamp_value is what the work function gives.",
        "network": NETWORK,
        "public_key": key().public(),
        "operations": examples,
    })
}

fn block_examples() -> Value {
    let header = Header { height: 1, nonce: 77, ..genesis(NETWORK).header };
    let block = Block { header, operations: operations() };
    let block = Block {
        header: Header { ops_root: ops_root(NETWORK, &block.operations), ..block.header.clone() },
        ..block
    };
    let value = |header: &Header| format!("{:032x}", PowHasher::new(NETWORK).hash_header(header));
    let roots: Vec<Value> = (0..=5)
        .map(|count| json!({ "operations": count, "root": ops_root(NETWORK, &operations()[..count]) }))
        .collect();
    let genesis_blocks: Vec<Value> = Network::ALL
        .iter()
        .map(|network| {
            let header = genesis(*network).header;
            json!({ "network": network, "header": hex::encode(header.to_bytes()), "id": header.id(*network) })
        })
        .collect();
    json!({
        "about": "The genesis headers; a block of the operations in operations.json whose other fields are those of the genesis \
                  header (it is not a valid block); the ops roots of the first 0 to 5 of these operations.",
        "network": NETWORK,
        "genesis": genesis_blocks,
        "block": { "bytes": hex::encode(block.to_bytes()), "id": block.header.id(NETWORK), "value": value(&block.header) },
        "ops_roots": roots,
    })
}

fn state_examples() -> Value {
    let entry = MessagingEntry { record: messaging()[1].record.clone(), linked: true, height: 200 };
    let entries = [
        Entry::Name(NameEntry {
            name: name(),
            owner: key().public(),
            recovery: Some(other()),
            sequence: 3,
            registered: 100,
            updated: 200,
            expires: 262_900,
            revoked: false,
            transfer: Some(PendingTransfer { to: other(), height: 150 }),
            records: records(),
            messaging: Some(Box::new(entry)),
            messaging_sequence: 2,
        }),
        Entry::Commitment(CommitmentEntry {
            commitment: Hash([5; 32]),
            height: 9,
            work: 1 << 19,
            price: 1_024,
        }),
    ];
    let entries: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let bytes = entry.to_bytes();
            assert_eq!(Entry::from_bytes(&bytes).as_ref(), Ok(entry));
            let value_hash = Entry::value_hash(NETWORK, &bytes);
            json!({ "bytes": hex::encode(&bytes), "key": entry.key(NETWORK), "value_hash": value_hash })
        })
        .collect();
    json!({ "about": "An entry of each kind, its key, and its value hash.", "network": NETWORK, "entries": entries })
}

fn tree_examples() -> Value {
    let key = |number: u8| Name::parse(&format!("name{number}")).unwrap().key(NETWORK);
    let mut tree = Tree::new(NETWORK);
    let mut roots = vec![json!({ "keys": 0, "root": tree.root() })];
    for number in 0..8 {
        tree.insert(key(number), Hash([number; 32]));
        roots.push(json!({ "keys": number + 1, "root": tree.root() }));
    }
    let proofs: Vec<Value> = (0..10)
        .map(|number| {
            let proof = tree.prove(&key(number));
            let bytes = proof.to_bytes();
            assert_eq!(Proof::from_bytes(&bytes).as_ref(), Ok(&proof));
            let value = tree.get(&key(number));
            assert_eq!(proof.verify(NETWORK, &tree.root(), &key(number), value.as_ref()), Ok(()));
            json!({ "key": key(number), "value_hash": value, "proof": hex::encode(bytes) })
        })
        .collect();
    json!({
        "about": "The keys of the names name0 to name7 with the value hashes 32 times 00 to 32 times 07: the root after each, and \
                  proofs against the last root; name8 and name9 are absent.",
        "network": NETWORK,
        "roots": roots,
        "proofs": proofs,
    })
}

fn history_examples() -> Value {
    let mut history = History::default();
    let mut roots = vec![json!({ "leaves": 0, "root": history.root(NETWORK) })];
    let mut nodes = BTreeMap::new();
    for leaf in 0..8u8 {
        nodes.extend(history.push(NETWORK, &Hash([leaf; 32]), u128::from(leaf) + 1));
        roots.push(json!({ "leaves": leaf + 1, "root": history.root(NETWORK) }));
    }
    let proofs: Vec<Value> = [(0u64, 1u64), (0, 5), (4, 5), (2, 7), (5, 7), (6, 7), (3, 8)]
        .into_iter()
        .map(|(index, leaves)| {
            let proof = HistoryProof::make(index, leaves, |position| nodes.get(&position).copied())
                .unwrap();
            json!({ "index": index, "leaves": leaves, "proof": hex::encode(proof.to_bytes()) })
        })
        .collect();
    json!({
        "about": "The history range over headers with the ids 32 times 00 to 32 times 07 and the works 1 to 8: the root after each, and \
                  proofs of a header's place in some of these ranges.",
        "network": NETWORK,
        "roots": roots,
        "proofs": proofs,
    })
}

fn number_examples() -> Value {
    let params = NETWORK.params();
    let schedule: Vec<Value> = [(0u32, 0i64), (1, 0), (1_000, 21_600), (1_000, -21_600), (1_000, 5_000), (77_777, -12_345), (10, 1 << 40)]
        .into_iter()
        .map(|(height, late)| {
            let due = params.genesis_time + u64::from(height) * params.block_interval;
            let parent = Header { height, time: due.saturating_add_signed(late), ..genesis(NETWORK).header };
            json!({ "parent_height": height, "parent_time": parent.time, "target": next_target(params, &parent).to_compact() })
        })
        .collect();
    let works: Vec<Value> = [Target::HARDEST, Target::EASIEST, params.genesis_target, params.easiest_target]
        .iter()
        .map(|target| json!({ "target": target.to_compact(), "value": target.value().to_string(), "work": target.work().to_string() }))
        .collect();
    let prices: Vec<Value> = [
        ("abc", 1_024),
        ("abcd", 1_024),
        ("abcde", 5_000),
        ("abcdef", 1_025),
        ("abcdef", u32::MAX),
    ]
    .into_iter()
    .map(|(name, multiplier)| {
        let name = Name::parse(name).unwrap();
        json!({
            "name": name,
            "multiplier": multiplier,
            "registration": price::registration(params, &name, multiplier),
            "renewal": price::renewal(params, &name, multiplier),
            "records_600": price::records(params, 600, multiplier),
            "rescue": price::rescue(params, multiplier),
        })
    })
    .collect();
    let multipliers: Vec<Value> = [(1_024u32, 0usize), (1_024, 21), (8_192, 0), (8_192, 13), (8_192, 33), (8_192, 500), (1 << 31, 500)]
        .into_iter()
        .map(|(parent, commits)| json!({ "parent": parent, "commits": commits, "next": price::next_multiplier(parent, commits) }))
        .collect();
    json!({
        "about": "The schedule of targets, the works of targets, prices, and multipliers.",
        "network": NETWORK,
        "schedule": schedule,
        "targets": works,
        "prices": prices,
        "multipliers": multipliers,
    })
}

fn hash_examples() -> Value {
    let examples: Vec<Value> = Network::ALL
        .iter()
        .map(|network| {
            json!({
                "network": network,
                "tag": hex::encode(tag(*network, Domain::OpsLeaf)),
                "hash": hash(*network, Domain::OpsLeaf, &[b"abc"]),
            })
        })
        .collect();
    json!({ "about": "The tag of the domain ops-leaf, and the hash of abc under it.", "examples": examples })
}

#[test]
fn the_worked_examples_are_right() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire");
    for (file, expected) in [
        ("hashes", hash_examples()),
        ("messaging", messaging_examples()),
        ("operations", operation_examples()),
        ("blocks", block_examples()),
        ("state", state_examples()),
        ("tree", tree_examples()),
        ("history", history_examples()),
        ("numbers", number_examples()),
    ] {
        let path = dir.join(format!("{file}.json"));
        if std::env::var_os("NAMECHAIN_BLESS").is_some() {
            fs::write(&path, serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
        }
        let found: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found, expected, "{file}");
    }
}
