//! The store under everything that a disk, a crash and another process can do to it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;
use namechain_core::{
    codec::{Decode, Encode},
    consensus::history::Timing,
    types::{HEADER_BYTES, Header},
};

mod crash;
mod damage;
mod pruning;
mod rows;

const NETWORK: Network = Network::Dev;
/// Small enough that a few blocks fill a file.
const SMALL: Options = Options {
    reindex: false,
    log_file_bytes: 4_000,
    prune_bytes: None,
    blocks_kept: 10,
    archive_depth: 1_000,
};

pub(super) fn header(height: u32, nonce: u64) -> Header {
    Header {
        version: 2,
        height,
        previous: Hash([1; 32]),
        ops_root: Hash([2; 32]),
        state_root: Hash([3; 32]),
        history_root: Hash([4; 32]),
        time: 5,
        due: 5,
        name_price: 1_024,
        byte_price: 1_025,
        nonce,
    }
}

/// The bytes of a block: a header, and something behind it of a length that depends on the height.
pub(super) fn block(height: u32) -> Vec<u8> {
    let mut bytes = header(height, 0).to_bytes();
    bytes.extend((0..height % 7 * 100).map(|at| (at + height) as u8));
    bytes
}

pub(super) fn stored(height: u32, at: BlockLocation) -> StoredHeader {
    let header = header(height, 0);
    StoredHeader { id: header.id(NETWORK), work: u128::from(height) + 1, header, at, failed: false }
}

pub(super) fn key(height: u32) -> Hash {
    let mut key = Hash([7; 32]);
    key.0[..4].copy_from_slice(&height.to_be_bytes());
    key
}

/// What the chain would write for the block at `height`.
pub(super) fn changes(height: u32, at: BlockLocation) -> Vec<Change> {
    let stored = stored(height, at);
    let nodes = archive::node_count(height)..archive::node_count(height + 1);
    let mut changes = vec![
        Change::Active(height, Some(stored.id)),
        Change::Tip(stored.id),
        Change::Header(stored),
        Change::Entry(key(height), Some(block(height))),
        Change::Undo(height, key(height), None),
        Change::DropUndo(height.wrapping_sub(5)),
    ];
    changes.extend(nodes.map(|position| Change::History(position, node(position))));
    changes
}

/// The node of the history range at a position.
pub(super) fn node(position: u64) -> HistoryNode {
    let timing = Timing { time: position, due: position + 1 };
    HistoryNode { hash: Hash([position as u8; 32]), work: 7, first: timing, last: timing }
}

pub(super) fn add(store: &Store, height: u32) -> BlockLocation {
    let at = store.append(&block(height)).unwrap();
    store.commit(changes(height, at), true).unwrap();
    at
}

/// A store with blocks 0 to `count - 1`, closed.
pub(super) fn filled(count: u32, options: Options) -> (TempDir, Vec<BlockLocation>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), NETWORK, options).unwrap().store;
    let places = (0..count).map(|height| add(&store, height)).collect();
    (dir, places)
}

pub(super) fn open(dir: &Path) -> Opened {
    Store::open_with(dir, NETWORK, SMALL).unwrap()
}

/// Replays as the chain would, with every block committed; the heights that were handed out, and
/// the damage.
pub(super) fn replay(store: &Store) -> (Vec<u32>, u64) {
    let mut heights = Vec::new();
    let replayed = store.replay(|at, bytes| {
        let header = Header::from_bytes(&bytes[..HEADER_BYTES]).unwrap();
        assert_eq!(bytes, block(header.height), "a block is handed out as it was appended");
        assert_eq!(store.block(at)?, bytes);
        heights.push(header.height);
        store.commit(changes(header.height, at), false)
    });
    let replayed: Replayed = replayed.unwrap();
    assert_eq!(replayed.blocks, heights.len() as u64);
    (heights, replayed.damaged)
}

/// Checks that blocks 0 to `count - 1` are there, with all their rows.
pub(super) fn assert_holds(store: &Store, count: u32) {
    let headers = store.headers_from(0).unwrap();
    assert_eq!(headers.len(), count as usize);
    for (height, found) in (0..count).zip(headers) {
        assert_eq!(found, stored(height, found.at));
        assert_eq!(store.block(found.at).unwrap(), block(height));
        assert_eq!(store.active(height).unwrap(), Some(found.id));
        assert_eq!(store.entry(&key(height)).unwrap(), Some(block(height)));
        assert_eq!(
            store.undo(height, &key(height)).unwrap().is_some(),
            height + 5 >= count,
            "undo of {height}"
        );
    }
    assert_eq!(store.tip().unwrap(), count.checked_sub(1).map(|tip| header(tip, 0).id(NETWORK)));
}

pub(super) fn log_file(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("blocks-{number:05}.log"))
}

pub(super) fn refused(result: Result<Opened, StorageError>) -> String {
    match result {
        Err(StorageError::Refused(why)) => why,
        other => panic!("{other:?} is not a refusal"),
    }
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let (dir, places) = filled(30, SMALL);
    assert!(places.last().unwrap().file >= 2, "several files");
    for _ in 0..2 {
        let opened = open(dir.path());
        assert!(!opened.rebuild);
        assert_eq!(replay(&opened.store), (vec![], 0));
        assert_holds(&opened.store, 30);
    }
    let store = open(dir.path()).store;
    add(&store, 30);
    assert_holds(&store, 31);
}

#[test]
fn readers_and_the_writer_go_on_side_by_side() {
    let (dir, places) = filled(10, SMALL);
    let store = open(dir.path()).store;
    std::thread::scope(|scope| {
        for reader in 0..4u32 {
            let (store, places) = (&store, &places);
            scope.spawn(move || {
                for round in 0..200u32 {
                    let height = (round * 7 + reader) % 10;
                    assert_eq!(store.block(places[height as usize]).unwrap(), block(height));
                    assert_eq!(store.entry(&key(height)).unwrap(), Some(block(height)));
                    let tip = store.tip().unwrap().unwrap();
                    assert!(store.header(&tip).unwrap().is_some(), "a batch is seen whole");
                }
            });
        }
        for height in 10..40 {
            add(&store, height);
        }
    });
    assert_holds(&store, 40);
}

#[test]
fn one_process_at_a_time() {
    let (dir, _) = filled(1, SMALL);
    let opened = open(dir.path());
    let why = refused(Store::open(dir.path(), NETWORK));
    assert!(
        why.starts_with("another process uses ") && why.contains(dir.path().to_str().unwrap()),
        "{why}"
    );
    drop(opened);
    assert_holds(&open(dir.path()).store, 1);
}

#[test]
fn another_networks_directory_is_refused() {
    let (dir, _) = filled(2, SMALL);
    let why = refused(Store::open(dir.path(), Network::Main));
    assert!(why.contains("is of network dev"), "{why}");
    assert_holds(&open(dir.path()).store, 2);
}

#[test]
fn another_formats_directory_is_refused() {
    for (later, says) in [(1, "newer version"), (-1, "an earlier protocol")] {
        let (dir, _) = filled(2, SMALL);
        let header = log::file_header_of_format(NETWORK, later);
        let mut bytes = fs::read(log_file(dir.path(), 0)).unwrap();
        bytes[..header.len()].copy_from_slice(&header);
        fs::write(log_file(dir.path(), 0), &bytes).unwrap();
        let why = refused(Store::open(dir.path(), NETWORK));
        assert!(why.contains(says), "{why}");
        assert_eq!(fs::read(log_file(dir.path(), 0)).unwrap(), bytes, "nothing was changed");
    }

    let (dir, _) = filled(2, SMALL);
    Index::open(&dir.path().join("index"), NETWORK).unwrap().pretend_newer();
    let why = refused(Store::open(dir.path(), NETWORK));
    assert!(why.contains("newer version"), "{why}");
}

#[test]
fn errors_of_the_operating_system_name_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"not a directory").unwrap();
    let error = Store::open(&file, NETWORK).unwrap_err();
    assert!(matches!(error, StorageError::Io { .. }));
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");

    let lock = dir.path().join("data/lock");
    fs::create_dir_all(&lock).unwrap();
    let error = Store::open(lock.parent().unwrap(), NETWORK).unwrap_err();
    assert!(error.to_string().contains(lock.to_str().unwrap()), "{error}");
}

#[test]
fn only_blocks_are_appended() {
    let (dir, _) = filled(1, SMALL);
    let store = open(dir.path()).store;
    for bytes in [0, namechain_core::types::MAX_BLOCK_BYTES + 1] {
        assert!(matches!(store.append(&vec![0; bytes]), Err(StorageError::Refused(_))));
    }
    let largest = vec![9; namechain_core::types::MAX_BLOCK_BYTES];
    let at = store.append(&largest).unwrap();
    assert_eq!(store.block(at).unwrap(), largest);
}
