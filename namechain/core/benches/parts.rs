//! The parts that everything else is made of: work, signatures, the tree. `cargo bench -p
//! namechain-core --bench parts`.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use divan::{Bencher, black_box};
use namechain_core::{
    codec::Encode,
    consensus::{header::genesis, work::PowHasher},
    tree::Tree,
    types::{Domain, Hash, Network, SecretKey, Stamp, hash},
};

const NETWORK: Network = Network::Main;
/// Sizes of the tree, in keys.
const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
/// Keys that a block changes.
const BLOCK: u32 = 1_000;
/// Keys whose proofs are measured for their size.
const SAMPLE: u32 = 10_000;

fn main() {
    for (size, tree) in SIZES.into_iter().zip(TREES.iter()) {
        let mean = |numbers: std::ops::Range<u32>| {
            let bytes = |number| tree.prove(&key(number)).to_bytes().len();
            let count = numbers.len();
            (
                numbers.clone().map(bytes).sum::<usize>() / count,
                numbers.map(bytes).max().unwrap_or(0),
            )
        };
        let (present, absent) = (mean(0..SAMPLE), mean(size..size + SAMPLE));
        println!(
            "proof of one of {size} names: {} bytes (most {}); that a name is not there: {} bytes (most {})",
            present.0, present.1, absent.0, absent.1
        );
    }
    divan::main();
}

fn key(number: u32) -> Hash {
    hash(NETWORK, Domain::NameKey, &[&number.to_be_bytes()])
}

fn tree(size: u32) -> Tree {
    let mut tree = Tree::new(NETWORK);
    for number in 0..size {
        tree.insert(key(number), key(number + 1));
    }
    tree.root();
    tree
}

static TREES: LazyLock<Vec<Tree>> = LazyLock::new(|| SIZES.map(tree).into());

fn tree_of(size: u32) -> &'static Tree {
    &TREES[SIZES.iter().position(|other| *other == size).expect("one of the sizes")]
}

#[divan::bench]
fn work_of_a_header(bencher: Bencher) {
    let (mut worker, mut header) = (PowHasher::new(NETWORK), genesis(NETWORK).header);
    bencher.bench_local(|| {
        header.nonce += 1;
        worker.hash_header(&header)
    });
}

#[divan::bench]
fn work_of_a_stamp(bencher: Bencher) {
    let (mut worker, mut nonce) = (PowHasher::new(NETWORK), 0);
    bencher.bench_local(|| {
        nonce += 1;
        worker.hash_stamp(&Hash::ZERO, &Stamp { anchor: Hash::ZERO, work: 1, nonce })
    });
}

#[divan::bench]
fn check_of_a_signature(bencher: Bencher) {
    let key = SecretKey::from_seed(&[7; 32]);
    let (public, message) = (key.public(), [5; 200]);
    let signature = key.sign(&message);
    bencher.bench(|| assert!(black_box(public).verify(black_box(&message), black_box(&signature))));
}

#[divan::bench]
fn hash_of_64_bytes(bencher: Bencher) {
    bencher.bench(|| hash(NETWORK, Domain::TreeNode, &[black_box(&[1; 64])]));
}

/// What a block of a thousand new names costs the tree: a copy that shares the rest, and the root
/// at the end.
#[divan::bench(args = SIZES, sample_count = 30, sample_size = 1)]
fn tree_takes_1000_keys(bencher: Bencher, size: u32) {
    let block: Vec<Hash> = (0..BLOCK).map(|number| key(2 * size + number)).collect();
    bencher.bench(|| {
        let mut tree = tree_of(size).clone();
        for key in &block {
            tree.insert(*key, Hash::ZERO);
        }
        tree.root()
    });
}

#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn tree_built_anew(bencher: Bencher, size: u32) {
    bencher.bench(|| tree(size));
}

#[divan::bench(args = SIZES)]
fn proof_made(bencher: Bencher, size: u32) {
    let (tree, keys): (_, Vec<Hash>) = (tree_of(size), (0..SAMPLE).map(key).collect());
    let next = AtomicU32::new(0);
    bencher.bench(|| tree.prove(&keys[(next.fetch_add(1, Ordering::Relaxed) % SAMPLE) as usize]));
}

#[divan::bench(args = SIZES)]
fn proof_verified(bencher: Bencher, size: u32) {
    let (tree, key) = (tree_of(size), key(5));
    let (root, proof, value) = (tree.root(), tree.prove(&key), tree.get(&key));
    bencher.bench(|| {
        black_box(&proof)
            .verify(NETWORK, &root, black_box(&key), value.as_ref())
            .expect("a good proof")
    });
}
