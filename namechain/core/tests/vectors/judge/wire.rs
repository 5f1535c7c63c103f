//! The worked examples.

use namechain_core::{
    codec::{Decode, Encode, Reader},
    consensus::{
        HistoryNode, HistoryProof, difficulty,
        header::{genesis, signing_context},
        price,
        state::remove_ended,
        work::PowHasher,
    },
    params::{TARGET_BYTES, TARGET_COMMITS},
    tree::{Proof, Tree},
    types::{
        Block, BlockTime, Entry, Hash, Header, Name, Network, Operation, RecordSet,
        SignedMessagingRecord, ops_root,
    },
};
use serde_json::Value;

use super::{JudgedState, bytes, hash, network, number};

/// Checks a file of `wire/`. Returns how many things it checked.
///
/// # Panics
/// At the first that is not as the file says.
pub fn check_wire(file: &str, value: &Value) -> usize {
    let check = match file {
        "operations" => operations,
        "messaging" => messaging,
        "blocks" => blocks,
        "state" => state,
        "tree" => tree,
        "removal" => removal,
        "history" => history,
        "numbers" => numbers,
        "encodings" => encodings,
        "hashes" => hashes,
        other => panic!("no check of {other}"),
    };
    check(value)
}

fn list<'a>(value: &'a Value, field: &str) -> &'a Vec<Value> {
    value[field].as_array().unwrap_or_else(|| panic!("a list {field}"))
}

/// Tags and hashes of bare bytes are not in the crate's interface by their text; what is made of
/// them is in all other files. Here only that the file is there.
fn hashes(value: &Value) -> usize {
    list(value, "examples").len()
}

fn operations(value: &Value) -> usize {
    let network = network(value);
    let params = network.params();
    let mut hasher = PowHasher::new(network);
    for example in list(value, "operations") {
        let raw = bytes(&example["bytes"]);
        let operation = Operation::from_bytes(&raw).unwrap();
        assert_eq!(operation.to_bytes(), raw);
        assert_eq!(operation.label(), example["kind"]);
        assert_eq!(operation.id(network), hash(&example["id"]));
        let subject = operation.stamp_subject(network);
        assert_eq!(subject, hash(&example["subject"]));
        let value = hasher.hash_stamp(&subject, operation.stamp());
        assert_eq!(format!("{value:032x}"), example["stamp_value"]);
        if let Operation::Named(named) = &operation {
            let message = named.signing_message(&signing_context(params, 2));
            assert_eq!(message, bytes(&example["signing_message"]));
            assert_eq!(named.signature.0.to_vec(), bytes(&example["signature"]));
            assert!(named.signer.verify(&message, &named.signature));
            assert_eq!(named.subject(network), subject);
        }
    }
    list(value, "operations").len()
}

fn messaging(value: &Value) -> usize {
    let (network, title) = (network(value), hash(&value["title"]));
    let name: Name = value["name"].as_str().unwrap().parse().unwrap();
    let signed = SignedMessagingRecord::from_bytes(&bytes(&value["signed"])).unwrap();
    let record = &signed.record;
    assert_eq!(record.to_bytes(), bytes(&value["record"]));
    assert_eq!(record.hash(network), hash(&value["hash"]));
    assert_eq!(record.identity.0.to_vec(), bytes(&value["identity"]));
    assert_eq!(record.next, hash(&value["next"]));
    let possession = record.possession_message(network, &name, &title);
    assert_eq!(possession, bytes(&value["possession_message"]));
    assert!(record.identity.verify(&possession, &signed.possession));
    let link = record.link_message(network, &name, &title);
    assert_eq!(link, bytes(&value["link_message"]));
    let by = signed.link.as_ref().unwrap();
    assert!(by.identity.verify(&link, &by.signature));
    1
}

fn blocks(value: &Value) -> usize {
    for example in list(value, "genesis") {
        let network = network(example);
        let header = genesis(network).header;
        assert_eq!(header.to_bytes(), bytes(&example["header"]));
        assert_eq!(header.id(network), hash(&example["id"]));
        let value = PowHasher::new(network).hash_header(&header);
        assert_eq!(format!("{value:032x}"), example["value"]);
    }
    let network = network(value);
    let raw = bytes(&value["block"]["bytes"]);
    let block = Block::parse(&raw).unwrap();
    assert_eq!(block.to_bytes(), raw);
    assert_eq!(block.header.id(network), hash(&value["block"]["id"]));
    let work = PowHasher::new(network).hash_header(&block.header);
    assert_eq!(format!("{work:032x}"), value["block"]["value"]);
    for example in list(value, "ops_roots") {
        let count: usize = number(&example["operations"]);
        let root = ops_root(network, &block.operations[..count]);
        assert_eq!(root, hash(&example["root"]));
    }
    list(value, "genesis").len() + list(value, "ops_roots").len() + 1
}

fn state(value: &Value) -> usize {
    let network = network(value);
    for example in list(value, "entries") {
        let raw = bytes(&example["bytes"]);
        let entry = Entry::from_bytes(&raw).unwrap();
        assert_eq!(entry.to_bytes(), raw);
        assert_eq!(entry.key(network), hash(&example["key"]));
        assert_eq!(Entry::value_hash(network, &raw), hash(&example["value_hash"]));
    }
    list(value, "entries").len()
}

fn tree(value: &Value) -> usize {
    let network = network(value);
    let mut tree = Tree::new(network);
    for (count, example) in (0u8..).zip(list(value, "roots")) {
        assert_eq!(tree.root(), hash(&example["root"]), "{count} keys");
        let name: Name = format!("name{count}").parse().unwrap();
        tree.insert(name.key(network), Hash([count; 32]));
    }
    let mut large = Tree::new(network);
    for count in 0..600u16 {
        let name: Name = format!("name{count}").parse().unwrap();
        large.insert(name.key(network), Hash([count as u8; 32]));
    }
    assert_eq!(large.root(), hash(&value["large_root"]));
    for example in list(value, "proofs") {
        let claim = example["value_hash"].as_str().map(|_| hash(&example["value_hash"]));
        let holds = Proof::from_bytes(&bytes(&example["proof"])).is_ok_and(|proof| {
            let (root, key) = (hash(&example["root"]), hash(&example["key"]));
            proof.verify(network, &root, &key, claim.as_ref()).is_ok()
        });
        assert_eq!(holds, example["holds"], "{}: {}", example["about"], example["key"]);
    }
    list(value, "roots").len() + list(value, "proofs").len()
}

fn removal(value: &Value) -> usize {
    let params = network(value).params();
    for case in list(value, "cases") {
        let mut state = JudgedState::read(params, &case["state"]);
        let now = BlockTime { height: 1, time: number(&case["time"]) };
        let Ok(()) = remove_ended(now, &mut state);
        let keys: Vec<Hash> = list(case, "keys_after").iter().map(hash).collect();
        assert_eq!(state.entries.keys().copied().collect::<Vec<_>>(), keys, "{}", case["about"]);
        let mut tree = Tree::new(params.network);
        for (key, entry) in &state.entries {
            tree.insert(*key, Entry::value_hash(params.network, &entry.to_bytes()));
        }
        assert_eq!(tree.root(), hash(&case["root_after"]));
    }
    list(value, "cases").len()
}

fn timed(time: u64, due: u64, height: u32) -> Header {
    Header { time, due, height, ..genesis(Network::Main).header }
}

fn history(value: &Value) -> usize {
    let network = network(value);
    let params = network.params();
    let mut history = namechain_core::consensus::History::default();
    let headers = list(value, "headers");
    for (count, example) in list(value, "roots").iter().enumerate() {
        assert_eq!(history.root(network), hash(&example["root"]), "{count} headers");
        let Some(header) = headers.get(count) else { break };
        let (time, due) = (number(&header["time"]), number(&header["due"]));
        let header_of = timed(time, due, count as u32);
        let leaf = HistoryNode::of_header(params, &Hash([count as u8; 32]), &header_of);
        assert_eq!(leaf.work.to_string(), header["work"]);
        history.push(network, leaf);
    }
    for example in list(value, "proofs") {
        let (time, due) = (number(&example["time"]), number(&example["due"]));
        let header = timed(time, due, number(&example["height"]));
        let (root, id) = (hash(&example["root"]), hash(&example["id"]));
        let holds = HistoryProof::from_bytes(&bytes(&example["proof"]))
            .is_ok_and(|proof| proof.verify(params, &root, &id, &header).is_ok());
        assert_eq!(holds, example["holds"], "{}: {}", example["about"], example["height"]);
    }
    list(value, "roots").len() + list(value, "proofs").len()
}

fn numbers(value: &Value) -> usize {
    for example in list(value, "targets") {
        let params = network(example).params();
        let header = timed(number(&example["time"]), number(&example["due"]), 0);
        let target = difficulty::header_target(params, &header);
        assert_eq!(u64::from(target.to_compact()), example["target"], "{example}");
        assert_eq!(target.value().to_string(), example["value"]);
        assert_eq!(target.work().to_string(), example["work"]);
    }
    for example in list(value, "dues") {
        let params = network(example).params();
        let parent = timed(number(&example["parent_time"]), number(&example["parent_due"]), 0);
        assert_eq!(difficulty::next_due(params, &parent), example["due"], "{example}");
    }
    for example in list(value, "prices") {
        prices(example);
    }
    for example in list(value, "multipliers") {
        let params = network(example).params();
        let target = if example["which"] == "names" { TARGET_COMMITS } else { TARGET_BYTES };
        let (parent, counted) = (number(&example["parent"]), number(&example["counted"]));
        let next =
            price::next_multiplier(params, parent, counted, target, number(&example["seconds"]));
        assert_eq!(u64::from(next), example["next"], "{example}");
    }
    ["targets", "dues", "prices", "multipliers"].iter().map(|field| list(value, field).len()).sum()
}

fn prices(example: &Value) {
    let (params, p) = (network(example).params(), number(&example["multiplier"]));
    if let Some(name) = example["name"].as_str() {
        let name: Name = name.parse().unwrap();
        assert_eq!(price::registration(params, &name, p), example["registration"], "{example}");
        assert_eq!(price::renewal(params, &name), example["renewal"], "{example}");
        return;
    }
    assert_eq!(price::commitment(params, p), example["commitment"], "{example}");
    assert_eq!(price::rescue(params), example["rescue"], "{example}");
    for records in list(example, "records") {
        let price = price::records(params, number(&records["bytes"]), p);
        assert_eq!(price, records["price"], "{example}");
    }
}

fn encodings(value: &Value) -> usize {
    for case in list(value, "cases") {
        let raw = bytes(&case["bytes"]);
        let same = |again: Option<Vec<u8>>| {
            again.is_some_and(|again| {
                assert_eq!(again, raw, "{}", case["about"]);
                true
            })
        };
        let is_valid = match case["what"].as_str().unwrap() {
            "name" => same(Name::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "records" => same(RecordSet::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "messaging" => same(SignedMessagingRecord::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "operation" => same(Operation::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "block" => same(Block::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "entry" => same(Entry::from_bytes(&raw).ok().map(|v| v.to_bytes())),
            "varint-64" => is_read(&raw, |reader| reader.varint64().is_ok()),
            "varint-128" => is_read(&raw, |reader| reader.varint128().is_ok()),
            other => panic!("no encoding of {other}"),
        };
        assert_eq!(is_valid, case["valid"], "{}: {}", case["what"], case["about"]);
    }
    list(value, "cases").len()
}

fn is_read(raw: &[u8], read: impl FnOnce(&mut Reader<'_>) -> bool) -> bool {
    let mut reader = Reader::new(raw);
    read(&mut reader) && reader.finish().is_ok()
}
