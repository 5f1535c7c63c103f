//! How the vectors are made: for each rule, the smallest story in which only it is broken.

mod messaging;

use std::sync::Arc;

use namechain_core::{
    chain::{Chain, MemoryStorage},
    codec::Encode,
    consensus::{header::genesis, price, work::PowHasher},
    miner::search_nonce,
    params::{PRICE_UNIT, Params},
    types::{
        Action, Block, CommitmentEntry, Entry, Hash, MAX_BLOCK_BYTES, Name, NameEntry, Network,
        Operation, PendingTransfer, Record, RecordSet, SecretKey, Signature, SignedOperation,
        Stamp, Target, commitment, ops_root,
    },
};

use super::{Case, NOW, Vector};

const NETWORK: Network = Network::Dev;
/// The height of the block that the operations of the stories are in.
const HEIGHT: u32 = 5_000;

fn params() -> &'static Params {
    NETWORK.params()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn records() -> RecordSet {
    RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 300, rdata: vec![192, 0, 2, 1] }])
        .unwrap()
}

/// Works a stamp of `work` anchored to the genesis block.
fn stamped(mut operation: Operation, work: u64) -> Operation {
    let stamp = Stamp { anchor: genesis(NETWORK).header.id(NETWORK), work, nonce: 0 };
    let subject = operation.stamp_subject(NETWORK);
    *operation.stamp_mut() =
        PowHasher::new(NETWORK).search_stamp(&subject, stamp, u64::MAX).unwrap();
    operation
}

fn unstamped() -> Stamp {
    Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 }
}

fn commit(text: &str, work: u64) -> Operation {
    let commitment = commitment(NETWORK, &name(text), &key(1).public(), &[1; 32]);
    stamped(Operation::Commit { commitment, stamp: unstamped() }, work)
}

/// An operation on `alice` that pays what anything costs.
fn act(sequence: u32, signer: u8, action: Action) -> Operation {
    act_on("alice", sequence, signer, action)
}

fn act_on(text: &str, sequence: u32, signer: u8, action: Action) -> Operation {
    let named =
        SignedOperation::sign(NETWORK, name(text), sequence, action, &key(signer), unstamped());
    stamped(Operation::Named(named), params().base_price)
}

fn register(text: &str, sequence: u32) -> Operation {
    act_on(
        text,
        sequence,
        1,
        Action::Register { recovery: None, salt: [1; 32], records: records() },
    )
}

fn update(sequence: u32, signer: u8) -> Operation {
    act(sequence, signer, Action::Update { records: records() })
}

/// The open commitment of key 1 to a name.
fn open(text: &str, height: u32, work: u64) -> Entry {
    let commitment = commitment(NETWORK, &name(text), &key(1).public(), &[1; 32]);
    Entry::Commitment(CommitmentEntry { commitment, height, work, price: PRICE_UNIT })
}

/// `alice`, owned by key 1 with recovery key 9, sequence 3, its lease over at `expires`.
fn alice(expires: u32, change: impl FnOnce(&mut NameEntry)) -> Entry {
    let mut entry = NameEntry {
        name: name("alice"),
        owner: key(1).public(),
        recovery: Some(key(9).public()),
        sequence: 3,
        registered: 100,
        updated: 200,
        expires,
        revoked: false,
        transfer: None,
        records: records(),
        messaging: None,
        messaging_sequence: 0,
    };
    change(&mut entry);
    Entry::Name(entry)
}

fn active() -> Entry {
    alice(HEIGHT + 1, |_| {})
}

fn offered(height: u32) -> Entry {
    alice(HEIGHT + 1, |entry| {
        entry.transfer = Some(PendingTransfer { to: key(2).public(), height })
    })
}

fn operation(
    rule: &str,
    about: &str,
    state: &[Entry],
    refused: &Operation,
    accepted: &Operation,
) -> Vector {
    Vector {
        rule: rule.into(),
        about: about.into(),
        network: NETWORK,
        case: Case::Operation {
            state: state.iter().map(|entry| hex::encode(entry.to_bytes())).collect(),
            height: HEIGHT,
            price: PRICE_UNIT,
            refused: hex::encode(refused.to_bytes()),
            accepted: hex::encode(accepted.to_bytes()),
        },
    }
}

fn operation_vectors() -> Vec<Vector> {
    let price = |text: &str| price::registration(params(), &name(text), PRICE_UNIT);
    let paid = open("alice", HEIGHT - 1, price("alice"));
    let forged = {
        let Operation::Named(mut named) = update(4, 1) else { unreachable!() };
        named.signature = Signature([1; 64]);
        stamped(Operation::Named(named), params().base_price)
    };
    let unworked = {
        let mut operation = update(4, 1);
        let subject = operation.stamp_subject(NETWORK);
        let mut worker = PowHasher::new(NETWORK);
        let stamp = operation.stamp_mut();
        while worker.hash_stamp(&subject, &stamp.anchor, stamp.nonce) <= stamp.limit() {
            stamp.nonce += 1;
        }
        operation
    };
    let cheap =
        stamped(update(4, 1), price::records(params(), records().byte_len(), PRICE_UNIT) - 1);
    let ends = HEIGHT + params().lease / 4;
    let (renew, cancel, accept) =
        (Action::Renew, Action::Cancel, Action::Accept { recovery: None });
    let recover = Action::Recover { owner: key(2).public(), recovery: None };
    let transfer = Action::Transfer { to: key(2).public() };
    vec![
        operation(
            "name-reserved",
            "com is reserved, comm is not",
            &[open("com", 4_999, 1 << 40), open("comm", 4_999, 1 << 40)],
            &register("com", 0),
            &register("comm", 0),
        ),
        operation(
            "signature",
            "the signature is 64 bytes of 1",
            &[active()],
            &forged,
            &update(4, 1),
        ),
        operation("stamp-work", "another nonce", &[active()], &unworked, &update(4, 1)),
        operation(
            "underpaid",
            "one expected hash less than the price",
            &[active()],
            &cheap,
            &update(4, 1),
        ),
        operation(
            "commitment-open",
            "another commitment is open",
            &[open("alice", 4_000, 512)],
            &commit("alice", 64),
            &commit("bobby", 64),
        ),
        operation(
            "commitment-unknown",
            "only the commitment to alice is open",
            std::slice::from_ref(&paid),
            &register("bobby", 0),
            &register("alice", 0),
        ),
        operation(
            "commitment-young",
            "the commitment to bobby was recorded in this block",
            &[paid.clone(), open("bobby", HEIGHT, 512)],
            &register("bobby", 0),
            &register("alice", 0),
        ),
        operation(
            "commitment-underpaid",
            "the commitment to bobby carries one expected hash less than the price",
            &[paid.clone(), open("bobby", 4_999, price("bobby") - 1)],
            &register("bobby", 0),
            &register("alice", 0),
        ),
        operation(
            "name-taken",
            "alice is active",
            &[active(), paid, open("bobby", 4_999, 512)],
            &register("alice", 4),
            &register("bobby", 0),
        ),
        operation(
            "name-unregistered",
            "bobby is nobody's",
            &[active()],
            &act_on("bobby", 0, 1, renew_nothing()),
            &update(4, 1),
        ),
        operation(
            "name-in-grace",
            "in the grace there is no update, but a renewal",
            &[alice(HEIGHT, |_| {})],
            &update(4, 1),
            &act(4, 1, renew.clone()),
        ),
        operation(
            "sequence",
            "3 was the last, 4 is the next",
            &[active()],
            &update(3, 1),
            &update(4, 1),
        ),
        operation(
            "name-revoked",
            "bobby is another name",
            &[alice(HEIGHT + 1, |entry| entry.revoked = true), bobby()],
            &update(4, 1),
            &act_on("bobby", 4, 1, Action::Update { records: records() }),
        ),
        operation(
            "not-owner",
            "the recovery key updates",
            &[active()],
            &update(4, 9),
            &update(4, 1),
        ),
        operation(
            "not-keyholder",
            "a stranger cancels",
            &[offered(200)],
            &act(4, 5, cancel.clone()),
            &act(4, 9, cancel.clone()),
        ),
        operation(
            "not-recovery",
            "the owner recovers",
            &[active()],
            &act(4, 1, recover.clone()),
            &act(4, 9, recover),
        ),
        operation(
            "renew-early",
            "alice's lease ends a block later than bobby's",
            &[alice(ends + 1, |_| {}), renamed("bobby", alice(ends, |_| {}))],
            &act(4, 1, renew.clone()),
            &act_on("bobby", 4, 1, renew),
        ),
        operation(
            "transfer-pending",
            "bobby is not offered yet",
            &[offered(200), bobby()],
            &act(4, 1, transfer.clone()),
            &act_on("bobby", 4, 1, transfer),
        ),
        operation(
            "transfer-missing",
            "bobby is not offered",
            &[offered(200), bobby()],
            &act_on("bobby", 4, 1, cancel.clone()),
            &act(4, 1, cancel),
        ),
        operation(
            "transfer-young",
            "bobby was offered a block earlier",
            &[offered(HEIGHT - 1), renamed("bobby", offered(HEIGHT - 2))],
            &act(4, 2, accept.clone()),
            &act_on("bobby", 4, 2, accept.clone()),
        ),
        operation(
            "not-recipient",
            "a stranger accepts",
            &[offered(200)],
            &act(4, 3, accept.clone()),
            &act(4, 2, accept),
        ),
    ]
}

fn renew_nothing() -> Action {
    Action::Update { records: records() }
}

fn renamed(text: &str, entry: Entry) -> Entry {
    let Entry::Name(entry) = entry else { unreachable!() };
    Entry::Name(NameEntry { name: name(text), ..entry })
}

fn bobby() -> Entry {
    renamed("bobby", active())
}

fn worked(mut block: Block) -> Block {
    block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).unwrap();
    block
}

fn block_vectors() -> Vec<Vector> {
    let mut chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
    let first = worked(chain.assemble_block([&commit("alice", 512)].into_iter(), NOW).unwrap());
    chain.accept(&first, NOW, true).unwrap();
    let good = worked(chain.assemble_block([&commit("bobby", 512)].into_iter(), NOW).unwrap());
    let vector = |rule: &str, about: &str, refused: Vec<u8>, accepted: &Block| Vector {
        rule: rule.into(),
        about: about.into(),
        network: NETWORK,
        case: Case::Block {
            before: vec![hex::encode(first.to_bytes())],
            refused: hex::encode(refused),
            padding: 0,
            accepted: hex::encode(accepted.to_bytes()),
        },
    };
    let changed = |rule: &str, about: &str, change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        vector(rule, about, worked(block).to_bytes(), &good)
    };
    let unworked = {
        let (mut header, mut worker) = (good.header.clone(), PowHasher::new(NETWORK));
        while worker.has_header_work(&header) {
            header.nonce += 1;
        }
        Block { header, ..good.clone() }
    };
    let mut longer = good.to_bytes();
    longer.push(0);
    let mut too_large =
        vector("block-size", "zeros up to one byte over the limit", good.to_bytes(), &good);
    if let Case::Block { padding, .. } = &mut too_large.case {
        *padding = MAX_BLOCK_BYTES + 1 - good.to_bytes().len();
    }
    vec![
        vector("encoding", "a byte more at the end", longer, &good),
        too_large,
        changed("header-version", "version 2", &|block| block.header.version = 2),
        vector("header-work", "another nonce", unworked.to_bytes(), &good),
        changed("header-height", "height 3 instead of 2", &|block| block.header.height = 3),
        changed("header-time", "the time of the median itself", &|block| block.header.time = NOW),
        changed("header-target", "half the target", &|block| {
            block.header.target = Target::of_work_bits(2)
        }),
        changed("history-root", "zeros", &|block| block.header.history_root = Hash::ZERO),
        changed("ops-root", "zeros", &|block| block.header.ops_root = Hash::ZERO),
        changed("state-root", "zeros", &|block| block.header.state_root = Hash::ZERO),
        changed("price", "one more", &|block| block.header.price += 1),
        changed("stamp-anchor", "the anchor is no block", &|block| {
            let operation = &mut block.operations[0];
            let subject = operation.stamp_subject(NETWORK);
            let stamp = Stamp { anchor: Hash([1; 32]), nonce: 0, ..*operation.stamp() };
            *operation.stamp_mut() =
                PowHasher::new(NETWORK).search_stamp(&subject, stamp, u64::MAX).unwrap();
            block.header.ops_root = ops_root(NETWORK, &block.operations);
        }),
    ]
}

/// All vectors.
pub fn vectors() -> Vec<Vector> {
    operation_vectors().into_iter().chain(messaging::vectors()).chain(block_vectors()).collect()
}
