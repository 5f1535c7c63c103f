//! What the index answers, and its bytes.

use super::*;
use namechain_core::chain::Hold;

/// Every key and value, byte for byte: a change here is a new format.
#[test]
fn the_bytes_of_every_row() {
    let id = Hash([0xab; 32]);
    let at = BlockLocation { file: 1, offset: 2, len: 3 };
    let stored = StoredHeader { id, header: header(7, 6), work: 8, at, failed: true };
    let hash = "ab".repeat(32);
    let (first, last) = (Timing { time: 5, due: 8 }, Timing { time: 15, due: 13 });
    let hold = Hold { fork_height: 7, first: id, tip: id, seconds: 86_400, led: 5 };
    let rows = [
        (
            "the format",
            layout::FORMAT_KEY.to_vec(),
            layout::Format::of(NETWORK).to_bytes(),
            "66",
            "000000044e436431".into(),
        ),
        ("the tip", layout::TIP_KEY.to_vec(), id.to_bytes(), "74", hash.clone()),
        (
            "the mark",
            layout::MARK_KEY.to_vec(),
            Mark { at, id }.to_bytes(),
            "6d",
            format!("00000001000000000000000200000003{hash}"),
        ),
        ("active", layout::active_key(7), id.to_bytes(), "6100000007", hash.clone()),
        (
            "header",
            layout::header_key(7, &id),
            layout::header_value(&stored),
            &format!("6800000007{hash}"),
            format!(
                "{}000000000000000000000000000000080000000100000000000000020000000301",
                hex::encode(stored.header.to_bytes())
            ),
        ),
        (
            "height",
            layout::height_key(&id),
            7u32.to_be_bytes().to_vec(),
            &format!("69{hash}"),
            "00000007".into(),
        ),
        ("entry", layout::entry_key(&id), vec![1], &format!("65{hash}"), "01".into()),
        (
            "touched",
            layout::touched_key(&id, 7),
            vec![],
            &format!("63{hash}00000007"),
            String::new(),
        ),
        (
            "undo of something",
            layout::undo_key(7, &id),
            layout::undo_value(Some(&[5])),
            &format!("7500000007{hash}"),
            "0105".into(),
        ),
        (
            "undo of nothing",
            layout::undo_key(7, &id),
            layout::undo_value(None),
            &format!("7500000007{hash}"),
            "00".into(),
        ),
        (
            "history",
            layout::history_key(9),
            HistoryNode { hash: id, work: 300, first, last }.to_bytes(),
            "6e0000000000000009",
            format!("{hash}ac02050a0603"),
        ),
        (
            "following",
            layout::FOLLOWING_KEY.into(),
            Following { live_from: 9, hold: Some(hold) }.to_bytes(),
            "6c",
            format!("000000090100000007{hash}{hash}00000000000151800000000000000005"),
        ),
        (
            "archived",
            layout::ARCHIVED_KEY.to_vec(),
            7u32.to_be_bytes().to_vec(),
            "64",
            "00000007".into(),
        ),
        (
            "pruned",
            layout::PRUNED_KEY.to_vec(),
            layout::Pruned { file: 3, height: 9 }.to_bytes(),
            "67",
            "0000000300000009".into(),
        ),
        ("pending", layout::pending_key(&id), vec![1], &format!("70{hash}"), "01".into()),
    ];
    for (what, key, value, expected_key, expected_value) in rows {
        assert_eq!(hex::encode(key), expected_key, "the key of {what}");
        assert_eq!(hex::encode(value), expected_value, "the value of {what}");
    }
    let key = layout::header_key(7, &id);
    assert_eq!(layout::stored_header(&key, &layout::header_value(&stored)).unwrap(), stored);
}

/// A row of a header that was cut, lengthened or has a flag of neither kind is not taken for a
/// header.
#[test]
fn rows_that_were_not_written_are_damage() {
    let stored = stored(7, BlockLocation { file: 0, offset: 36, len: 168 });
    let key = layout::header_key(7, &stored.id);
    let value = layout::header_value(&stored);
    let longer = [&value[..], &[0]].concat();
    let mut flag = value.clone();
    *flag.last_mut().unwrap() = 2;
    for bad in [&value[..value.len() - 1], &longer, &flag, &[]] {
        assert!(matches!(layout::stored_header(&key, bad), Err(StorageError::Damaged(_))));
    }
    for bad in [&[][..], &[0, 0], &[2]] {
        assert!(matches!(layout::undo(bad), Err(StorageError::Damaged(_))));
    }
}

#[test]
fn every_kind_of_row_comes_back() {
    let (dir, _) = filled(0, SMALL);
    let store = open(dir.path()).store;
    let timing = Timing { time: 5, due: 6 };
    let node = HistoryNode { hash: Hash([9; 32]), work: 77, first: timing, last: timing };
    let operation = vec![1, 2, 3];
    let changes = vec![
        Change::History(3, node),
        Change::Pending(Hash([5; 32]), Some(operation.clone())),
        Change::Pending(Hash([6; 32]), Some(vec![4])),
        Change::Entry(key(1), Some(vec![1])),
        Change::Entry(key(2), Some(vec![2])),
    ];
    store.commit(changes, true).unwrap();
    store
        .commit(vec![Change::Pending(Hash([6; 32]), None), Change::Entry(key(1), None)], false)
        .unwrap();
    assert_eq!(store.history(3).unwrap(), Some(node));
    assert_eq!(store.history(4).unwrap(), None);
    assert_eq!(store.pending().unwrap(), vec![operation]);
    assert_eq!(store.entry(&key(1)).unwrap(), None);
    let mut entries = Vec::new();
    store.entries(&mut |key, entry| entries.push((key, entry.to_vec()))).unwrap();
    assert_eq!(entries, vec![(key(2), vec![2])]);
    assert_eq!(store.header(&Hash::ZERO).unwrap(), None);
    assert_eq!(store.active(0).unwrap(), None);
    assert_eq!(store.tip().unwrap(), None);
}

#[test]
fn headers_come_by_height_on_every_branch() {
    let (dir, _) = filled(0, SMALL);
    let store = open(dir.path()).store;
    let branches: Vec<StoredHeader> = [(255, 0), (256, 0), (256, 1), (257, 0), (u32::MAX, 0)]
        .into_iter()
        .map(|(height, nonce)| {
            let header = header(height, nonce);
            let at = BlockLocation::GENESIS;
            StoredHeader { id: header.id(NETWORK), header, work: 1, at, failed: nonce == 1 }
        })
        .collect();
    store.commit(branches.iter().cloned().map(Change::Header).collect(), true).unwrap();
    let found = store.headers_from(256).unwrap();
    assert_eq!(
        found.iter().map(|stored| stored.header.height).collect::<Vec<_>>(),
        [256, 256, 257, u32::MAX]
    );
    for stored in branches {
        assert_eq!(store.header(&stored.id).unwrap().as_ref(), Some(&stored));
        assert_eq!(found.contains(&stored), stored.header.height >= 256);
    }
}

#[test]
fn undo_is_kept_by_height_until_it_is_dropped() {
    let (dir, _) = filled(0, SMALL);
    let store = open(dir.path()).store;
    let undo = |height, entry: u32, old: Option<Vec<u8>>| Change::Undo(height, key(entry), old);
    store
        .commit(
            vec![undo(256, 1, None), undo(256, 2, Some(vec![])), undo(257, 1, Some(vec![3]))],
            false,
        )
        .unwrap();
    assert_eq!(store.undo(256, &key(1)).unwrap(), Some(None));
    assert_eq!(store.undo(256, &key(2)).unwrap(), Some(Some(vec![])));
    assert_eq!(store.undo(256, &key(3)).unwrap(), None);
    assert_eq!(store.undo_of(256).unwrap(), vec![(key(1), None), (key(2), Some(vec![]))]);
    // In order within a commit: what was put before the drop goes, what is put after it stays.
    store
        .commit(vec![undo(256, 4, None), Change::DropUndo(256), undo(256, 5, None)], false)
        .unwrap();
    assert_eq!(store.undo_of(256).unwrap(), vec![(key(5), None)]);
    assert_eq!(store.undo_of(257).unwrap(), vec![(key(1), Some(vec![3]))]);
}

/// Rows of commits that need not be durable wait in memory: they are read and dropped as if they
/// did not, and an orderly end writes them.
#[test]
fn rows_that_wait_are_as_good_as_written() {
    let (dir, _) = filled(0, SMALL);
    let store = open(dir.path()).store;
    let undo = |height, entry: u32| Change::Undo(height, key(entry), None);
    let entry = |at: u32, byte: Option<u8>| Change::Entry(key(at), byte.map(|byte| vec![byte]));
    store
        .commit(vec![undo(300, 1), undo(301, 1), entry(1, Some(1)), entry(2, Some(2))], true)
        .unwrap();
    store
        .commit(vec![undo(300, 2), undo(301, 2), entry(1, Some(9)), entry(2, None)], false)
        .unwrap();
    store.commit(vec![Change::DropUndo(300)], false).unwrap();
    let check = |store: &Store| {
        assert_eq!(store.undo(300, &key(1)).unwrap(), None);
        assert_eq!(store.undo(300, &key(2)).unwrap(), None);
        assert_eq!(store.undo(301, &key(2)).unwrap(), Some(None));
        assert_eq!(
            (store.entry(&key(1)).unwrap(), store.entry(&key(2)).unwrap()),
            (Some(vec![9]), None)
        );
    };
    check(&store);
    assert_eq!(store.undo_of(300).unwrap(), vec![]);
    assert_eq!(store.undo_of(301).unwrap(), vec![(key(1), None), (key(2), None)]);
    store.commit(vec![entry(3, Some(3))], false).unwrap();
    drop(store);
    let store = open(dir.path()).store;
    check(&store);
    assert_eq!(store.entry(&key(3)).unwrap(), Some(vec![3]));
}

/// A reorganisation is one commit, however deep it is.
#[test]
fn a_commit_may_be_large() {
    let (dir, _) = filled(0, SMALL);
    let store = open(dir.path()).store;
    let entries = (0..4_000).map(|at| Change::Entry(key(at), Some(vec![at as u8; 4_000])));
    store.commit(entries.collect(), true).unwrap();
    drop(store);
    let store = open(dir.path()).store;
    let mut count = 0;
    store.entries(&mut |_, entry| count += usize::from(entry.len() == 4_000)).unwrap();
    assert_eq!(count, 4_000);
}
