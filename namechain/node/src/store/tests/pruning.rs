//! Headers that are archived, and blocks that are pruned.

use super::*;

/// Headers are archived early, and blocks pruned as early as may be.
const PRUNING: Options =
    Options { archive_depth: 16, prune_bytes: Some(8_000), blocks_kept: 20, ..SMALL };
const ARCHIVING: Options = Options { archive_depth: 16, ..SMALL };

fn open_pruning(dir: &Path) -> Opened {
    Store::open_with(dir, NETWORK, PRUNING).unwrap()
}

fn filled_whole(count: u32, options: Options) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), NETWORK, options).unwrap().store;
    (0..count).for_each(|height| _ = add(&store, height));
    dir
}

/// Everything but the blocks is there from 0 to `count - 1`.
fn assert_has_headers(store: &Store, count: u32) {
    for height in 0..count {
        let id = header(height, 0).id(NETWORK);
        assert_eq!(store.active(height).unwrap(), Some(id), "{height}");
        let found = store.header(&id).unwrap().unwrap();
        assert_eq!(found, stored(height, found.at));
    }
    assert_eq!(store.active(count).unwrap(), None);
    assert_eq!(store.header(&header(count, 0).id(NETWORK)).unwrap(), None);
    let nodes = archive::node_count(count);
    for at in 0..nodes {
        assert_eq!(store.history(at).unwrap(), Some(node(at)), "node {at} of {nodes}");
    }
    assert_eq!(store.history(nodes).unwrap(), None);
    let heights: Vec<u32> =
        store.headers_from(3).unwrap().iter().map(|stored| stored.header.height).collect();
    assert_eq!(heights, (3..count).collect::<Vec<_>>());
}

#[test]
fn archived_headers_are_read_as_before() {
    let dir = filled_whole(100, ARCHIVING);
    for _ in 0..2 {
        let store = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap().store;
        assert!((84 - 16..=84).contains(&store.index.archived()), "{}", store.index.archived());
        assert!(store.side_headers_from(0).unwrap().len() <= 32, "the index itself stays small");
        assert_has_headers(&store, 100);
        assert_holds(&store, 100);
    }
}

/// A reorganisation below what is archived, and headers of other branches there.
#[test]
fn a_reorganisation_reaches_into_the_archive() {
    let dir = filled_whole(100, ARCHIVING);
    let store = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap().store;
    let other = |height: u32| {
        let header = header(height, 9);
        let at = BlockLocation { file: 0, offset: 36, len: 168 };
        StoredHeader { id: header.id(NETWORK), header, work: 1_000, at, failed: false }
    };
    // One of the best chain's old headers is told to have failed before.
    let failed =
        StoredHeader { failed: true, ..store.header(&header(50, 0).id(NETWORK)).unwrap().unwrap() };
    store.commit(vec![Change::Header(failed.clone())], true).unwrap();
    let mut changes: Vec<Change> = (40..100).rev().map(|at| Change::Active(at, None)).collect();
    for height in 40..45 {
        let stored = other(height);
        changes.extend([Change::Active(height, Some(stored.id)), Change::Tip(stored.id)]);
        changes.push(Change::Header(stored));
    }
    store.commit(changes, false).unwrap();
    let check = |store: &Store| {
        for height in 0..100 {
            let best = match height {
                0..40 => Some(header(height, 0).id(NETWORK)),
                40..45 => Some(other(height).id),
                _ => None,
            };
            assert_eq!(store.active(height).unwrap(), best, "{height}");
            let old = store.header(&header(height, 0).id(NETWORK)).unwrap().unwrap();
            assert_eq!(old.failed, height == 50, "{height}");
        }
        assert_eq!(store.headers_from(0).unwrap().len(), 105);
        assert_eq!(
            store.history(archive::node_count(40) - 1).unwrap(),
            Some(node(archive::node_count(40) - 1))
        );
    };
    check(&store);
    assert_eq!(store.index.archived(), 40);
    drop(store);
    let store = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap().store;
    check(&store);
    // What is archived next takes the place of what was there.
    for height in 45..110 {
        add_whole_on(&store, height);
    }
    assert!(store.index.archived() > 60);
    for height in 40..45 {
        assert_eq!(store.header(&other(height).id).unwrap(), Some(other(height)));
        assert_eq!(store.active(height).unwrap(), Some(other(height).id));
    }
}

/// As [`add`], on another branch: with nodes for what it replaces.
fn add_whole_on(store: &Store, height: u32) {
    for at in archive::node_count(40)..archive::node_count(height) {
        if store.history(at).unwrap().is_none() {
            store.commit(vec![Change::History(at, node(at))], false).unwrap();
        }
    }
    add(store, height);
}

/// An archive that ends too early, or was changed, is damage of the index: it is made again.
#[test]
fn a_damaged_archive_is_made_again() {
    for name in ["archive-headers", "archive-nodes", "archive-ids"] {
        let dir = filled_whole(100, ARCHIVING);
        let path = dir.path().join("index").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let opened = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap();
        assert!(opened.rebuild, "{name}");
        assert_eq!(replay(&opened.store), ((0..100).collect(), 0));
        assert_holds(&opened.store, 100);
    }
    let dir = filled_whole(100, ARCHIVING);
    let path = dir.path().join("index/archive-headers");
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 248 + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap().store;
    assert!(matches!(store.active(3), Err(StorageError::Damaged(_))));
    assert!(store.active(4).is_ok());
}

fn files(dir: &Path) -> Vec<u32> {
    let mut files: Vec<u32> = (0..200).filter(|number| log_file(dir, *number).exists()).collect();
    files.sort_unstable();
    files
}

/// What a pruned store of `count` blocks is: the last blocks, and all headers.
fn assert_pruned(dir: &Path, count: u32) -> u32 {
    let opened = open_pruning(dir);
    let store = &opened.store;
    assert!(!opened.rebuild);
    assert_eq!(replay(store), (vec![], 0));
    assert_has_headers(store, count);
    let first = store.first_block().unwrap();
    assert!(first > 0 && first <= count - 20, "the last 20 are kept: {first}");
    for height in 0..count {
        let at = store.header(&header(height, 0).id(NETWORK)).unwrap().unwrap().at;
        match store.block(at) {
            Ok(bytes) => assert!(height >= first && bytes == block(height), "{height}"),
            Err(StorageError::Pruned(told)) => assert!(height < first && told == first),
            Err(error) => panic!("{height}: {error}"),
        }
        assert_eq!(store.entry(&key(height)).unwrap(), Some(block(height)));
    }
    first
}

#[test]
fn old_blocks_are_pruned_and_nothing_else() {
    let dir = filled_whole(300, PRUNING);
    let left = files(dir.path());
    assert!(left[0] > 10 && left.len() < 8, "{left:?}");
    let first = assert_pruned(dir.path(), 300);
    let store = open_pruning(dir.path()).store;
    (300..600).for_each(|height| _ = add(&store, height));
    drop(store);
    assert!(assert_pruned(dir.path(), 600) > first);
    // Without the option nothing more is deleted, and what is gone is gone.
    let store = Store::open_with(dir.path(), NETWORK, ARCHIVING).unwrap().store;
    let first = store.first_block().unwrap();
    (600..900).for_each(|height| _ = add(&store, height));
    assert_eq!(store.first_block().unwrap(), first);
}

/// A block of another branch that may still be followed keeps its file.
#[test]
fn blocks_of_other_branches_are_kept_as_long() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_pruning(dir.path()).store;
    let other = header(295, 9);
    let at = store.append(&other.to_bytes()).unwrap();
    let side = StoredHeader { id: other.id(NETWORK), header: other, work: 1, at, failed: false };
    store.commit(vec![Change::Header(side)], true).unwrap();
    (0..300).for_each(|height| _ = add(&store, height));
    assert_eq!((store.first_block().unwrap(), files(dir.path())[0]), (0, 0));
    (300..600).for_each(|height| _ = add(&store, height));
    assert!(store.first_block().unwrap() > 300, "now it is too deep");
    assert!(matches!(store.block(at), Err(StorageError::Pruned(_))));
}

/// Killed at each step: before the index says what is left, after that, and after each deletion, in
/// whatever order the directory keeps them.
#[test]
fn a_crash_while_pruning_loses_nothing() {
    let unpruned = filled_whole(300, ARCHIVING);
    // The first durable commit with the option prunes.
    let dir = super::damage::copy_dir(unpruned.path());
    open_pruning(dir.path()).store.commit(Vec::new(), true).unwrap();
    let gone = files(dir.path())[0];
    assert!(gone > 10);
    let before: Vec<(u32, Vec<u8>)> =
        (0..gone).map(|file| (file, fs::read(log_file(unpruned.path(), file)).unwrap())).collect();
    for left in (0..=gone).chain([u32::MAX]) {
        let dir = super::damage::copy_dir(dir.path());
        let kept = |file: u32| match left {
            // Not in order.
            u32::MAX => file % 3 == 1,
            left => file >= left,
        };
        for (file, bytes) in before.iter().filter(|(file, _)| kept(*file)) {
            fs::write(log_file(dir.path(), *file), bytes).unwrap();
        }
        let first = assert_pruned(dir.path(), 300);
        assert_eq!(files(dir.path())[0], gone, "left {left}: first block {first}");
    }
    // Before the index says so nothing is deleted, and the index can still be made again.
    let opened =
        Store::open_with(unpruned.path(), NETWORK, Options { reindex: true, ..ARCHIVING }).unwrap();
    assert_eq!(replay(&opened.store).0.len(), 300);
}

/// The index of a pruned log can't be made again: that is said, and nothing is touched.
#[test]
fn a_pruned_store_with_a_damaged_index_is_refused() {
    let dir = filled_whole(300, PRUNING);
    let reindex = Options { reindex: true, ..PRUNING };
    let why = refused(Store::open_with(dir.path(), NETWORK, reindex));
    assert!(why.contains("Move the directory away"), "{why}");
    assert_pruned(dir.path(), 300);

    let path = dir.path().join("index/archive-headers");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let why = refused(Store::open_with(dir.path(), NETWORK, PRUNING));
    assert!(why.contains("Move the directory away"), "{why}");
    fs::write(&path, &bytes).unwrap();
    assert_pruned(dir.path(), 300);

    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let error = Store::open_with(dir.path(), NETWORK, PRUNING).unwrap_err();
    assert!(error.to_string().contains("blocks-00000.log is missing"), "{error}");
}

/// A file that is missing of what should be left.
#[test]
fn a_missing_file_behind_the_pruned_ones_is_reported() {
    let dir = filled_whole(300, PRUNING);
    let first = files(dir.path())[0];
    fs::remove_file(log_file(dir.path(), first)).unwrap();
    let error = Store::open_with(dir.path(), NETWORK, PRUNING).unwrap_err();
    assert!(error.to_string().contains(&format!("blocks-{first:05}.log is missing")), "{error}");
}
