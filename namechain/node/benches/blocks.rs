//! Blocks, states and stores, each beside its bound in the same run. `cargo bench -p namechain-node
//! --bench blocks`; with `NAMECHAIN_BENCH_MILLION=1` at a million names too; with `-- memory`,
//! `disk`, `long`, `states`, `log` or `rebuild` that part alone.

#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../../core/benches/common/mod.rs"]
mod common;

use std::{env, fs, io::Write, path::Path, process::Command, sync::Arc};

use common::{
    measure::{Took, median, resident_mb, timed},
    state::{
        EMPTY_BLOCKS, NETWORK, NOW, fill, name, owner, records, stamp_all, unstamped_updates,
        updates,
    },
};
use namechain_core::{
    chain::{
        Accepted, BlockLocation, Chain, MemoryStorage, OperationVerifier, Storage, StorageError,
    },
    consensus::{
        RuleViolation, block::check_operation_alone, header::signing_context, price,
        work::PowHasher,
    },
    miner::search_nonce,
    types::{
        Action, Block, Hash, Name, Operation, SignedOperation, SigningContext, Stamp, commitment,
    },
};
use namechain_node::{
    node::ParallelVerifier,
    store::{Options, Store},
};

/// Full blocks that are applied, one on the other.
const FULL_BLOCKS: u32 = 5;
/// Reads of a name.
const READS: u32 = 20_000;
/// The chains whose opening is compared: one that is short and one that is long, with as many
/// names.
const SHORT_CHAIN: u32 = 10_000;
const LONG_CHAIN: u32 = 1_000_000;
/// How often each of them is opened.
const OPENINGS: usize = 5;
/// Full blocks whose states are remembered, unless NAMECHAIN_BENCH_STATES says otherwise.
const STATES: u32 = 720;
/// The chain whose index is made anew: its names, and then its blocks of one update of each.
const REBUILT_NAMES: u32 = 20;
const REBUILT_BLOCKS: u32 = 400;
/// Blocks between two durable commits, as the node has it.
const REBUILT_SYNC_EVERY: u32 = 100;
/// Appends to the log.
const APPENDS: usize = 30;

/// The parts, in the order in which they are run. Each has a process of its own: what one leaves of
/// the heap would be measured in the next.
const PARTS: [&str; 6] = ["memory", "disk", "long", "states", "log", "rebuild"];

fn main() {
    // `cargo bench` adds flags of its own, which say nothing here.
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => PARTS.iter().for_each(|part| run(&[part])),
        ["fill", dir, names, blocks] => fill(&*store(dir), number(names), number(blocks)),
        ["accept", dir, names] => accept_on_disk(dir, number(names)),
        ["open", dir, names] => opened(dir, number(names)),
        ["memory", names] => full_blocks_in_memory(number(names)),
        ["memory"] => sizes().iter().for_each(|names| run(&["memory", &names.to_string()])),
        ["disk"] => sizes().iter().for_each(|names| a_store_of(*names)),
        ["open-only", dir] => open_only(dir),
        ["remember", dir, names] => remember(dir, number(names)),
        ["long"] => long_chains(),
        ["long", names] => long_chains_with(number(names)),
        ["states"] => sizes().iter().for_each(|names| run(&["states", &names.to_string()])),
        ["states", names] => states(names),
        ["log"] => appends(),
        ["rebuild"] => rebuild(),
        _ => println!("the parts are {}", PARTS.join(", ")),
    }
}

fn sizes() -> &'static [u32] {
    let million = env::var_os("NAMECHAIN_BENCH_MILLION").is_some_and(|value| value == "1");
    if million { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000] }
}

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}

/// Runs this program with other words.
fn run(words: &[&str]) {
    let this = env::current_exe().expect("this program");
    let status = Command::new(this).args(words).status().expect("a process");
    assert!(status.success(), "{words:?} failed");
}

fn store(dir: impl AsRef<Path>) -> Arc<Store> {
    Arc::new(Store::open(dir.as_ref(), NETWORK).expect("a store").store)
}

/// The chain in a store, with blocks checked as the node checks its own: on all cores.
fn open(store: Arc<dyn Storage>) -> Chain {
    let mut chain = Chain::open(NETWORK, store).expect("a chain");
    chain.set_verifier(Box::new(ParallelVerifier::new(NETWORK)));
    chain
}

fn row(what: &str, took: Took) {
    println!("{what:58} {took}");
}

fn ratio(what: &str, took: Took, bound: Took) {
    let (wall, cpu) = took.over(bound);
    println!("{what:58} {wall:9.2} of the bound's wall {cpu:6.2} of its cpu");
}

fn work(mut block: Block) -> Block {
    block.header =
        search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true).expect("a nonce");
    block
}

fn next_block(chain: &Chain, operations: &[Operation]) -> Block {
    let block = chain.assemble_block(operations.iter(), NOW).expect("a block");
    assert_eq!(block.operations.len(), operations.len(), "not everything could be recorded");
    work(block)
}

/// What no check of the block can avoid: every signature, every stamp, the header's work, on one
/// thread.
fn bound(block: &Block) -> Took {
    let mut worker = PowHasher::new(NETWORK);
    let params = NETWORK.params();
    let context = signing_context(params, block.header.version);
    timed(|| {
        assert!(worker.has_header_work(&block.header));
        for operation in &block.operations {
            check_operation_alone(params, &context, operation, &mut worker)
                .expect("a good operation");
        }
    })
    .1
}

/// Full blocks on a chain: each one's time, beside its bound's.
fn full_blocks(chain: &mut Chain, names: u32, durable: bool) -> (Vec<Took>, Vec<Took>, usize) {
    let (mut all, mut bounds, mut first, mut sequence, mut count) =
        (Vec::new(), Vec::new(), 0, 1, 0);
    for _ in 0..FULL_BLOCKS {
        let mut operations = updates(chain, first, names, sequence);
        if first as usize + operations.len() >= names as usize {
            (first, sequence) = (0, sequence + 1);
            operations = updates(chain, first, names, sequence);
        }
        first += operations.len() as u32;
        count = operations.len();
        let block = next_block(chain, &operations);
        bounds.push(bound(&block));
        let (result, took) = timed(|| chain.accept(&block, NOW, durable));
        assert!(matches!(result, Ok(Accepted::Tip(_))));
        all.push(took);
    }
    (all, bounds, count)
}

fn full_blocks_in_memory(names: u32) {
    let storage = Arc::new(MemoryStorage::default());
    fill(&*storage, names, EMPTY_BLOCKS);
    let mut chain = open(storage);
    println!("\n== {names} names in memory");
    report_full_blocks(&mut chain, names, false);
}

fn report_full_blocks(chain: &mut Chain, names: u32, durable: bool) {
    let (all, bounds, count) = full_blocks(chain, names, durable);
    let (all, bounds) = (median(all), median(bounds));
    println!("full blocks of {count} updates, the median of {FULL_BLOCKS}");
    row("  bound: its signatures, stamps, header's work, one thread", bounds);
    row("  accept", all);
    ratio("  accept over the bound", all, bounds);
}

/// A store on disk: full blocks made durable, opening, reads, memory.
fn a_store_of(names: u32) {
    println!("\n== {names} names on disk");
    let dir = tempfile::tempdir().expect("a directory");
    let (dir, names) = (dir.path().to_str().expect("a path"), names.to_string());
    run(&["fill", dir, &names, &EMPTY_BLOCKS.to_string()]);
    run(&["open", dir, &names]);
    run(&["accept", dir, &names]);
}

fn accept_on_disk(dir: &str, names: u32) {
    let mut chain = open(store(dir));
    report_full_blocks(&mut chain, names, true);
}

/// A short chain and a long one, with as many names: how long each takes to open, in turn.
fn long_chains() {
    [1_000, 100_000].iter().for_each(|names| run(&["long", &names.to_string()]));
}

fn long_chains_with(names: u32) {
    println!("\n== {names} names on disk: {SHORT_CHAIN} blocks, and {LONG_CHAIN}");
    let dirs = [SHORT_CHAIN, LONG_CHAIN].map(|blocks| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_str().expect("a path");
        run(&["fill", path, &names.to_string(), &blocks.to_string()]);
        dir
    });
    for _ in 0..OPENINGS {
        for dir in &dirs {
            run(&["open-only", dir.path().to_str().expect("a path")]);
        }
    }
}

/// Opens the store and the chain: how long that takes, and the memory then.
fn open_only(dir: &str) {
    let (chain, took) = timed(|| Chain::open(NETWORK, store(dir)).expect("a chain"));
    let (height, resident) = (chain.tip_header().height, resident_mb());
    // What is looked for by its id for the first time.
    let (_, by_id) = timed(|| chain.has_block(&Hash([7; 32])).expect("an answer"));
    println!("  {height:8} blocks: opened in {took}, resident {resident} MB");
    println!(
        "  {height:8} blocks: the first look-up by an id {by_id}, resident {} MB",
        resident_mb()
    );
}

/// A node's memory with the states of full blocks.
fn states(names: &str) {
    println!("\n== {names} names on disk, the states of {} full blocks", state_count());
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().to_str().expect("a path");
    run(&["fill", dir, names, &EMPTY_BLOCKS.to_string()]);
    run(&["remember", dir, names]);
    run(&["open-only", dir]);
}

fn state_count() -> u32 {
    env::var("NAMECHAIN_BENCH_STATES")
        .map_or(STATES, |text| text.parse().expect("a number of states"))
}

/// Takes every operation as checked: its time is not what is measured.
struct Unchecked;

impl OperationVerifier for Unchecked {
    fn check_operations(
        &mut self,
        _: &SigningContext,
        _: &[Operation],
    ) -> Result<(), RuleViolation> {
        Ok(())
    }
}

fn remember(dir: &str, names: u32) {
    let mut chain = open(store(dir));
    chain.set_verifier(Box::new(Unchecked));
    println!("  resident before: {} MB", resident_mb());
    let (mut first, mut sequence, mut count) = (0, 1, 0);
    for _ in 0..state_count() {
        let mut operations = unstamped_updates(&chain, first, names, sequence);
        if first as usize + operations.len() >= names as usize {
            (first, sequence) = (0, sequence + 1);
            operations = unstamped_updates(&chain, first, names, sequence);
        }
        (first, count) = (first + operations.len() as u32, operations.len());
        let block = next_block(&chain, &operations);
        assert!(matches!(chain.accept(&block, NOW, true), Ok(Accepted::Tip(_))));
    }
    let states = state_count();
    println!("  resident after {states} blocks of {count} updates: {} MB", resident_mb());
    let tip = chain.tip_header().height;
    let key = name(1).key(NETWORK);
    for depth in [0, 31, states / 2, states] {
        let snapshot = chain.snapshot_at(tip - depth).expect("a recent state");
        let (proof, took) = timed(|| snapshot.prove(&key));
        let value = snapshot.value_hash(&key).expect("the name was there");
        let verified = proof.verify(NETWORK, &snapshot.state_root(), &key, Some(&value));
        assert_eq!(verified, Ok(()));
        println!("  a proof from the state {depth} blocks ago: {took}");
    }
    println!("  resident then: {} MB", resident_mb());
}

/// Opens the store and the chain, and reads names.
fn opened(dir: &str, names: u32) {
    let (store, took) = timed(|| store(dir));
    row("  opening the store", took);
    let (chain, took) = timed(|| Chain::open(NETWORK, store.clone()).expect("a chain"));
    row("  opening the chain in it: reading all, building the tree", took);
    println!("  resident then: {} MB", resident_mb());
    let snapshot = chain.snapshot_at(chain.tip_header().height).expect("the tip");
    let mut number = 1u32;
    let mut reads = Vec::new();
    for _ in 0..READS {
        // A walk over all names in an order that no cache knows.
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let name = name(number % names);
        reads.push(timed(|| snapshot.entry(&name).expect("a read").expect("a name")).1);
    }
    reads.sort_by_key(|took| took.wall);
    let at = |part: usize| reads[reads.len() * part / 100].wall.as_secs_f64() * 1e6;
    println!("  reading a name: {:.1} us at the median, {:.1} us at 99%", at(50), at(99));
    println!("  resident after {READS} reads: {} MB", resident_mb());
}

/// The log and its durable commit, beside a plain file and its fdatasync.
fn appends() {
    println!("\n== the block log");
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir);
    let block = vec![7; namechain_core::types::MAX_BLOCK_BYTES];
    let mut file = fs::File::create(dir.path().join("plain")).expect("a file");
    let (mut plain, mut log) = (Vec::new(), Vec::new());
    for _ in 0..APPENDS {
        plain.push(
            timed(|| file.write_all(&block).and_then(|()| file.sync_data()).expect("a write")).1,
        );
        log.push(
            timed(|| {
                store.append(&block).and_then(|_| store.commit(Vec::new(), true)).expect("a commit")
            })
            .1,
        );
    }
    let (plain, log) = (median(plain), median(log));
    row("  bound: 256 KiB to a plain file, fdatasync", plain);
    row("  append of 256 KiB and a durable commit", log);
    ratio("  append over the bound", log, plain);
}

/// A chain of real blocks, and its index made anew from the log.
fn rebuild() {
    println!("\n== the index made anew, {REBUILT_BLOCKS} blocks of {REBUILT_NAMES} updates");
    let dir = tempfile::tempdir().expect("a directory");
    let blocks = worked_chain(dir.path());
    let bounds: Vec<Took> = blocks.iter().map(bound).collect();
    let sum = bounds.iter().fold(Took::default(), |sum, took| Took {
        wall: sum.wall + took.wall,
        cpu: sum.cpu + took.cpu,
    });
    let (height, took) = timed(|| {
        let options = Options { reindex: true, ..Options::default() };
        let store =
            Arc::new(Store::open_with(dir.path(), NETWORK, options).expect("a store").store);
        let mut chain = open(store.clone());
        let each = |at: BlockLocation, bytes: &[u8]| -> Result<(), StorageError> {
            let block = Block::parse(bytes).expect("a block");
            let durable = block.header.height.is_multiple_of(REBUILT_SYNC_EVERY);
            chain.accept_logged(&block, Some(at), u64::MAX, durable).expect("a good block");
            Ok(())
        };
        store.replay(each).expect("a log");
        store.commit(Vec::new(), true).expect("a commit");
        chain.tip_header().height
    });
    assert_eq!(height as usize, blocks.len());
    row("  bound: all signatures, stamps, headers' work, one thread", sum);
    row("  the index made anew", took);
    ratio("  over the bound", took, sum);
    println!("  {:.0} blocks a second", f64::from(height) / took.wall.as_secs_f64());
}

/// A chain in a store, all of it worked for. Its blocks.
fn worked_chain(dir: &Path) -> Vec<Block> {
    let mut chain = open(store(dir));
    let mut blocks = Vec::new();
    let names: Vec<Name> = (0..REBUILT_NAMES).map(name).collect();
    let params = NETWORK.params();
    let context = signing_context(params, params.branches[0].number);
    let mut commits: Vec<Hash> = Vec::new();
    // A Commit opens a second later, and a name settles in as much.
    let first = NOW - 2 * u64::from(REBUILT_BLOCKS + 2);
    for round in 0..REBUILT_BLOCKS + 2 {
        let (tip, now) = (chain.tip_header(), first + 2 * u64::from(round));
        let stamp = |work| Stamp { anchor: chain.tip_id(), work, nonce: 0 };
        let operation = |(number, name): (u32, &Name)| {
            let (key, records) = (owner(number), records(number + round));
            let salt = key.salt(NETWORK, name);
            if round == 0 {
                let stamp = stamp(price::registration(params, name, tip.name_price));
                let commitment = commitment(NETWORK, name, &key.public(), &salt);
                return Operation::Commit { commitment, stamp };
            }
            let stamp = stamp(price::records(params, records.byte_len(), tip.byte_price));
            let entry = chain.snapshot_at(tip.height).and_then(|state| state.entry(name).ok()?);
            let (reference, action) = match entry {
                None => {
                    let action = Action::Register { recovery: None, salt, records };
                    (commits[number as usize], action)
                }
                Some(entry) => {
                    (entry.title, Action::Update { sequence: entry.sequence + 1, records })
                }
            };
            let name = name.clone();
            let until = now + 3_600;
            Operation::Named(SignedOperation::sign(
                &context, name, reference, until, action, &key, stamp,
            ))
        };
        let mut operations: Vec<Operation> = (0..).zip(&names).map(operation).collect();
        stamp_all(&mut operations);
        if round == 0 {
            commits = operations.iter().map(|commit| commit.id(NETWORK)).collect();
        }
        let block = chain.assemble_block(operations.iter(), now).expect("a block");
        assert_eq!(block.operations.len(), operations.len(), "not everything could be recorded");
        let block = work(block);
        assert!(matches!(chain.accept(&block, NOW, false), Ok(Accepted::Tip(_))));
        blocks.push(block);
    }
    blocks
}
