//! States of many names without the years that it takes to register them: the entries are written
//! straight to a store, with a chain of empty blocks above them that nobody worked for but that is
//! right in every other respect. It opens as any other; what is measured is what is built on it.

use namechain_core::{
    chain::{BlockLocation, Chain, Change, Storage, StoredHeader},
    codec::Encode,
    consensus::{
        History, HistoryNode,
        difficulty::next_due,
        header::{genesis, signing_context},
        price,
        work::PowHasher,
    },
    params::MAX_SHARED_BYTES,
    tree::Tree,
    types::{
        Action, Block, BlockTime, CommitPosition, Domain, Entry, Hash, Header, Name, NameEntry,
        Network, Operation, Record, RecordSet, Rescued, SecretKey, SignedOperation, Stamp, hash,
        ops_root,
    },
};

/// The benchmarks' network: its blocks are worked in a moment.
pub const NETWORK: Network = Network::Dev;
/// The clock of the benchmarks, in seconds of Unix time.
pub const NOW: u64 = 1_795_060_000;
/// Blocks above the names: more than the chain keeps trees for, so that opening never goes below
/// the first.
pub const EMPTY_BLOCKS: u32 = 800;
/// Changes in one commit while a store is filled.
const FILLED_AT_ONCE: usize = 20_000;
/// Names are owned by this many keys in turn.
const KEYS: u32 = 251;

/// The name with this number.
pub fn name(number: u32) -> Name {
    Name::parse(&format!("name-{number}")).expect("a name")
}

/// The key that owns the name with this number.
pub fn owner(number: u32) -> SecretKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&(number % KEYS).to_be_bytes());
    SecretKey::from_seed(&seed)
}

/// The title of the name with this number.
fn title(number: u32) -> Hash {
    hash(NETWORK, Domain::StampSubject, &[&number.to_be_bytes()])
}

/// A small zone: two addresses and a text.
pub fn records(number: u32) -> RecordSet {
    let record = |owner: &[u8], rtype, rdata: &[u8]| Record {
        owner: owner.into(),
        rtype,
        ttl: 300,
        rdata: rdata.into(),
    };
    let address = (0x0a00_0000 | number & 0xff_ffff).to_be_bytes();
    let all = vec![
        record(b"\0", 1, &address),
        record(b"\x03www\0", 1, &address),
        record(b"\0", 16, b"\x11v=spf1 -all hello"),
    ];
    RecordSet::new(all).expect("records")
}

/// Fills a new store with `names` names below `blocks` empty blocks.
pub fn fill(storage: &dyn Storage, names: u32, blocks: u32) {
    let owners: Vec<_> = (0..KEYS).map(|number| owner(number).public()).collect();
    let (mut tree, mut changes) = (Tree::new(NETWORK), Vec::new());
    let registered = BlockTime { height: 1, time: NETWORK.params().genesis_time + 1 };
    for number in 0..names {
        let name = name(number);
        let key = name.key(NETWORK);
        let bytes = Entry::Name(NameEntry {
            name,
            owner: owners[(number % KEYS) as usize],
            recovery: Some(owners[0]),
            title: title(number),
            sequence: 0,
            registered,
            commit: CommitPosition { height: 0, index: number },
            updated: registered,
            expires: registered.time + NETWORK.params().lease,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: records(number),
            messaging: None,
            messaging_sequence: 0,
        })
        .to_bytes();
        tree.insert(key, Entry::value_hash(NETWORK, &bytes));
        changes.push(Change::Entry(key, Some(bytes)));
        flush(storage, &mut changes, false);
    }
    stack(storage, tree.root(), blocks, changes);
}

fn flush(storage: &dyn Storage, changes: &mut Vec<Change>, durable: bool) {
    if changes.len() >= FILLED_AT_ONCE {
        storage.commit(std::mem::take(changes), durable).expect("a commit");
    }
}

/// The empty blocks.
fn stack(storage: &dyn Storage, state_root: Hash, blocks: u32, mut changes: Vec<Change>) {
    let (mut header, mut history) = (genesis(NETWORK).header, History::default());
    let mut work = 0;
    for height in 0..=blocks {
        if height > 0 {
            header = Header {
                height,
                previous: header.id(NETWORK),
                ops_root: ops_root(NETWORK, &[]),
                state_root,
                history_root: history.root(NETWORK),
                time: header.time + 1,
                due: next_due(NETWORK.params(), &header),
                ..header
            };
        }
        let id = header.id(NETWORK);
        let leaf = HistoryNode::of_header(NETWORK.params(), &id, &header);
        work += leaf.work;
        let at = if height == 0 {
            BlockLocation::GENESIS
        } else {
            let block = Block { header: header.clone(), operations: Vec::new() };
            storage.append(&block.to_bytes()).expect("an append")
        };
        let nodes = history.push(NETWORK, leaf);
        changes.extend(nodes.into_iter().map(|(position, node)| Change::History(position, node)));
        let stored = StoredHeader { id, header: header.clone(), work, at, failed: false };
        changes.extend([Change::Header(stored), Change::Active(height, Some(id)), Change::Tip(id)]);
        flush(storage, &mut changes, true);
    }
    storage.commit(changes, true).expect("a commit");
}

/// As many updates of the names from `first` on as fill a block, stamped on both cores.
pub fn updates(chain: &Chain, first: u32, names: u32, sequence: u32) -> Vec<Operation> {
    let mut operations = unstamped_updates(chain, first, names, sequence);
    stamp_all(&mut operations);
    operations
}

/// As [`updates`], without the work.
pub fn unstamped_updates(chain: &Chain, first: u32, names: u32, sequence: u32) -> Vec<Operation> {
    let mut operations = Vec::new();
    let (params, mut room) = (NETWORK.params(), MAX_SHARED_BYTES);
    let context = signing_context(params, params.branches[0].number);
    for number in first..names {
        let records = records(number + sequence);
        let work = price::records(params, records.byte_len(), chain.tip_header().byte_price);
        let stamp = Stamp { anchor: chain.tip_id(), work, nonce: 0 };
        let action = Action::Update { sequence, records };
        let (name, key) = (name(number), owner(number));
        let until = NOW + 3_600;
        let named =
            SignedOperation::sign(&context, name, title(number), until, action, &key, stamp);
        let operation = Operation::Named(named);
        let bytes = operation.to_bytes().len();
        if bytes > room {
            break;
        }
        room -= bytes;
        operations.push(operation);
    }
    operations
}

/// Works for the stamps, on two threads.
pub fn stamp_all(operations: &mut [Operation]) {
    let half = operations.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        for part in operations.chunks_mut(half) {
            scope.spawn(move || {
                let mut worker = PowHasher::new(NETWORK);
                for operation in part {
                    let (subject, stamp) = (operation.stamp_subject(NETWORK), *operation.stamp());
                    *operation.stamp_mut() =
                        worker.search_stamp(&subject, stamp, u64::MAX).expect("a stamp");
                }
            });
        }
    });
}
