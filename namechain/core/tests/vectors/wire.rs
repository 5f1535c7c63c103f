//! Worked examples: bytes, hashes, works, numbers, and what must not decode.

use serde_json::{Value, json};

use super::{cases::*, operation::*, page::*};

fn hashes() -> Value {
    let domains = ["header-id", "ops-leaf", "commitment", "sign-op", "namechain"];
    let mut examples = Vec::new();
    for net in [MAIN, TEST, DEV] {
        for domain in domains {
            examples.push(json!({
                "network": net.name,
                "domain": domain,
                "tag": hex::encode(tag(net, domain)),
                "hash_of_abc": hex::encode(hash(net, domain, &[b"abc"])),
            }));
        }
        let value = work_value(net, 1_024, b"abc");
        let stamp = work_value(net, 256, b"abc");
        examples.push(json!({
            "network": net.name,
            "work_of_abc": { "1024": format!("{value:032x}"), "256": format!("{stamp:032x}") },
        }));
    }
    json!({ "about": "tags, hashes and works of the three bytes abc", "examples": examples })
}

/// One operation of each kind on `main`, with stamps that are not worked.
fn operations() -> Value {
    let kinds = [COMMIT, REGISTER].into_iter().chain(CHANGES);
    let examples: Vec<Value> = kinds.map(|kind| operation(&example(kind))).collect();
    json!({
        "about": "One operation of each kind on the name alice-example, signed by the key whose seed is 32 times 07. The \
                  stamps are not worked: anchor genesis block, work 5, nonce 9; stamp_value is what the work function gives.",
        "network": "main",
        "public_key": hex::encode(public(7)),
        "operations": examples,
    })
}

const WIRE_NAME: &str = "alice-example";

fn wire_records() -> Vec<u8> {
    records(&[record(b"\0", 16, 300, b"\x05hello"), record(b"\x03www\0", 1, 300, &[192, 0, 2, 1])])
}

fn message() -> Message {
    let locators = ["/dns4/alice.example/udp/7379/quic-v1", "https://alice.example/inbox"];
    Message {
        sequence: 2,
        previous: [0x77; 32],
        identity: 21,
        next: next_key(MAIN, 22),
        x25519: [21; 32],
        bundle: [22; 32],
        locators: locators.map(String::from).into(),
        policy: 1,
    }
}

pub fn example(kind: u8) -> Op {
    let recovery = |seed: Option<u8>| seed.map(public);
    let opt = |seed: Option<u8>| optional(recovery(seed).as_ref().map(|key| &key[..]));
    let name = name_bytes(WIRE_NAME);
    let fields = match kind {
        COMMIT => hash(MAIN, "commitment", &[&name, &public(7), &[3; 32]]).to_vec(),
        REGISTER => [opt(Some(8)), vec![3; 32], wire_records()].concat(),
        UPDATE => update_fields(1, &[0, 0]),
        RENEW => 1_900_000_000u64.to_be_bytes().to_vec(),
        TRANSFER => [&2u32.to_be_bytes()[..], &public(8)].concat(),
        ACCEPT => [vec![0x22; 32], opt(None)].concat(),
        CANCEL => vec![0x22; 32],
        RECOVER => [public(8).to_vec(), opt(Some(7))].concat(),
        REVOKE => vec![],
        _ => publish_fields(3, Some(&message().signed(MAIN, &name, &TITLE, Some(20)))),
    };
    Op {
        net: MAIN,
        kind,
        name,
        reference: if kind == REGISTER { [0x44; 32] } else { TITLE },
        valid_until: 1_800_000_000,
        seed: 7,
        fields,
        genesis: genesis_id(MAIN),
        anchor: genesis_id(MAIN),
        work: 5,
        stamped: Stamped::Nonce(9),
        ..good(UPDATE).op
    }
}

fn operation(op: &Op) -> Value {
    let mut example = json!({
        "kind": label(op.kind),
        "bytes": hex::encode(op.bytes()),
        "id": hex::encode(op.id()),
        "subject": hex::encode(op.subject()),
        "stamp_value": format!("{:032x}", work_value(MAIN, 256, &op.stamp_password(9))),
    });
    if op.kind != COMMIT {
        example["signing_message"] = hex::encode(op.signing_message()).into();
        let unstamped = op.unstamped();
        example["signature"] = hex::encode(&unstamped[unstamped.len() - 64..]).into();
    }
    example
}

fn messaging() -> Value {
    let (message, name) = (message(), name_bytes(WIRE_NAME));
    let signed = message.signed(MAIN, &name, &TITLE, Some(20));
    let over = |domain| hex::encode(message.signing_message(MAIN, domain, &name, &TITLE));
    json!({
        "about": "A messaging record of alice-example under the title 32 times 11: identity key with the seed 32 times 15, linked by \
                  the one with the seed 32 times 14, announcing the one with the seed 32 times 16.",
        "network": "main",
        "name": WIRE_NAME,
        "title": hex::encode(TITLE),
        "record": hex::encode(message.encode()),
        "hash": hex::encode(message.hash(MAIN)),
        "identity": hex::encode(public(21)),
        "next": hex::encode(next_key(MAIN, 22)),
        "possession_message": over("possession"),
        "link_message": over("link"),
        "signed": hex::encode(signed),
    })
}

fn blocks() -> Value {
    let ops: Vec<Vec<u8>> = (COMMIT..=PUBLISH).map(|kind| example(kind).bytes()).collect();
    let head = Head { height: 1, nonce: 77, ops_root: ops_root(MAIN, &ops), ..genesis(MAIN) };
    let roots: Vec<Value> = (0..=9)
        .map(|n| json!({ "operations": n, "root": hex::encode(ops_root(MAIN, &ops[..n])) }))
        .collect();
    let geneses: Vec<Value> = [MAIN, TEST, DEV]
        .map(|net| {
            let header = genesis(net);
            json!({
                "network": net.name,
                "header": hex::encode(header.encode()),
                "id": hex::encode(header.id(net)),
                "value": format!("{:032x}", header.value(net)),
            })
        })
        .into();
    json!({
        "about": "The genesis headers; a block of the operations in operations.json whose other fields are those of the genesis \
                  header of main (it is not a valid block); the ops roots of the first 0 to 9 of these operations.",
        "network": "main",
        "genesis": geneses,
        "block": {
            "bytes": hex::encode(block(&head, &ops)),
            "id": hex::encode(head.id(MAIN)),
            "value": format!("{:032x}", head.value(MAIN)),
        },
        "ops_roots": roots,
    })
}

fn entries() -> Vec<E> {
    let commit = CommitE {
        id: [0x44; 32],
        commitment: [5; 32],
        height: 9,
        index: 3,
        time: 1_800_000_001,
        work: 1 << 19,
        price: 1_025,
        spent: false,
    };
    vec![
        E::Name(alice()),
        E::Name(NameE {
            name: "abc".into(),
            recovery: None,
            transfer: None,
            messaging: None,
            messaging_sequence: u32::MAX,
            revoked: true,
            rescued: (u64::MAX, 1),
            records: vec![0, 0],
            ..alice()
        }),
        E::Name(NameE {
            messaging: Some((message().encode(), true, (7, 8))),
            records: wire_records(),
            ..alice()
        }),
        E::Commit(CommitE { spent: true, index: u32::MAX, ..commit.clone() }),
        E::Commit(commit),
    ]
}

fn state() -> Value {
    let entries: Vec<Value> = entries()
        .iter()
        .map(|entry| {
            let bytes = entry.encode();
            json!({
                "bytes": hex::encode(&bytes),
                "key": hex::encode(entry.key(MAIN)),
                "value_hash": hex::encode(hash(MAIN, "value", &[&bytes])),
            })
        })
        .collect();
    json!({ "about": "entries, their keys and value hashes", "network": "main", "entries": entries })
}

/// All files of worked examples.
pub fn files() -> Vec<(String, Value)> {
    [
        ("hashes", hashes()),
        ("operations", operations()),
        ("messaging", messaging()),
        ("blocks", blocks()),
        ("state", state()),
        ("tree", super::trees::tree()),
        ("removal", super::trees::removal()),
        ("history", super::ranges::history()),
        ("numbers", super::numbers::numbers()),
        ("encodings", super::encodings::encodings()),
    ]
    .map(|(file, value)| (format!("wire/{file}.json"), value))
    .into()
}
