//! Torn tails, flipped bits, missing and foreign files.

use super::*;

pub(super) fn copy_dir(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir(&target).unwrap();
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    dir
}

fn flip(dir: &Path, at: BlockLocation, byte: u64) {
    let path = log_file(dir, at.file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(at.offset + byte) as usize] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// A crash while block 2 was appended, cut at every byte of its record: the two before it are
/// there, and the next append takes its place.
#[test]
fn an_unfinished_record_is_cut_off_wherever_it_ends() {
    let (dir, _) = filled(2, Options::default());
    let path = log_file(dir.path(), 0);
    let whole = fs::metadata(&path).unwrap().len();
    let at = open(dir.path()).store.append(&block(2)).unwrap();
    assert_eq!(at.offset, whole);
    let bytes = fs::read(&path).unwrap();
    for cut in whole..bytes.len() as u64 {
        fs::write(&path, &bytes[..cut as usize]).unwrap();
        let opened = Store::open(dir.path(), NETWORK).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), whole, "cut at {cut}");
        assert!(!opened.rebuild);
        assert_eq!(replay(&opened.store), (vec![], 0));
    }
    let store = open(dir.path()).store;
    assert_holds(&store, 2);
    assert_eq!(add(&store, 2), at);
    assert_holds(&store, 3);
}

/// After a power failure the file may have its new length and zeros where the record should be.
#[test]
fn zeros_at_the_end_are_cut_off() {
    let (dir, _) = filled(2, SMALL);
    let path = log_file(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    for zeros in [1, 23, 24, 5_000] {
        fs::write(&path, [&bytes[..], &vec![0; zeros]].concat()).unwrap();
        assert_holds(&open(dir.path()).store, 2);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

/// A crash while the log went on in a new file: whatever there is of its header, it is made again.
#[test]
fn an_unfinished_file_is_made_again() {
    let (dir, places) = filled(30, SMALL);
    let next = log_file(dir.path(), places.last().unwrap().file + 1);
    for len in [0, 1, 35, 36] {
        fs::write(&next, vec![0; len]).unwrap();
        let store = open(dir.path()).store;
        assert_holds(&store, 30);
        drop(store);
    }
    let store = open(dir.path()).store;
    assert_eq!(add(&store, 30).file, places.last().unwrap().file + 1);
    drop(store);
    assert_holds(&open(dir.path()).store, 31);
}

/// One bit flips, in each record in turn, in its header or its block: that block is refused, all
/// others are served, and when the index is made again the damage is counted and the others are
/// handed out.
#[test]
fn a_flipped_bit_costs_one_block() {
    let (dir, places) = filled(12, SMALL);
    for (damaged, at) in places.iter().enumerate() {
        for byte in [0, 4, 5, 8, 23, 24, 24 + 100] {
            let dir = copy_dir(dir.path());
            flip(dir.path(), *at, byte);
            let opened = open(dir.path());
            assert!(!opened.rebuild, "the index is whole");
            for (height, at) in places.iter().enumerate() {
                match opened.store.block(*at) {
                    Ok(bytes) => assert!(height != damaged && bytes == block(height as u32)),
                    Err(error) => {
                        assert!(
                            height == damaged && matches!(error, StorageError::Damaged(_)),
                            "{error}"
                        )
                    }
                }
            }
            drop(opened);
            let opened =
                Store::open_with(dir.path(), NETWORK, Options { reindex: true, ..SMALL }).unwrap();
            assert!(opened.rebuild);
            let others = (0..12).filter(|height| *height as usize != damaged).collect();
            // Without the index, a damaged record at the very end looks like one that was never
            // finished.
            let counted = u64::from(damaged != 11);
            assert_eq!(replay(&opened.store), (others, counted));
        }
    }
}

/// The index knows the last block even if its record is damaged: nothing but the block is lost, and
/// what is appended goes behind it.
#[test]
fn a_damaged_last_block_does_not_cost_the_index() {
    let (dir, places) = filled(3, Options::default());
    flip(dir.path(), places[2], 30);
    let opened = Store::open(dir.path(), NETWORK).unwrap();
    assert!(!opened.rebuild);
    assert_eq!(opened.store.entry(&key(2)).unwrap(), Some(block(2)));
    let at = add(&opened.store, 3);
    assert_eq!(at.offset, Position::after(places[2]).offset());
    drop(opened);
    let store = Store::open(dir.path(), NETWORK).unwrap().store;
    assert_eq!(store.block(at).unwrap(), block(3));
    assert!(store.block(places[2]).is_err());
}

#[test]
fn a_place_where_no_block_begins_is_damage_not_a_panic() {
    let (dir, places) = filled(3, SMALL);
    let store = open(dir.path()).store;
    let at = places[1];
    for wrong in [
        BlockLocation { offset: at.offset + 1, ..at },
        BlockLocation { offset: u64::MAX, ..at },
        BlockLocation { file: 9, ..at },
        BlockLocation { len: at.len + 1, ..at },
        BlockLocation { len: u32::MAX, ..at },
        BlockLocation::GENESIS,
    ] {
        assert!(store.block(wrong).is_err(), "{wrong:?}");
    }
}

/// A record that was copied to another place does not count there.
#[test]
fn a_record_counts_only_where_it_was_written() {
    let (dir, places) = filled(1, SMALL);
    let path = log_file(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    let record = &bytes[places[0].offset as usize..];
    fs::write(&path, [&bytes[..], record].concat()).unwrap();
    let store = open(dir.path()).store;
    assert_eq!(replay(&store), (vec![], 0));
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), bytes, "it was cut off");
}

#[test]
fn without_an_index_everything_is_replayed() {
    let (dir, _) = filled(30, SMALL);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let opened = open(dir.path());
    assert!(opened.rebuild);
    assert_holds(&opened.store, 0);
    assert_eq!(replay(&opened.store), ((0..30).collect(), 0));
    assert_holds(&opened.store, 30);
    drop(opened);
    let opened = open(dir.path());
    assert!(!opened.rebuild);
    assert_holds(&opened.store, 30);
}

/// Making the index again was itself interrupted: it goes on where it was.
#[test]
fn replaying_goes_on_where_it_was_interrupted() {
    let (dir, _) = filled(20, SMALL);
    let opened = Store::open_with(dir.path(), NETWORK, Options { reindex: true, ..SMALL }).unwrap();
    let mut height = 0;
    let stopped = opened.store.replay(|at, _| {
        if height == 8 {
            return Err(StorageError::Refused("stop".into()));
        }
        opened.store.commit(changes(height, at), true)?;
        height += 1;
        Ok(())
    });
    assert!(matches!(stopped, Err(StorageError::Refused(_))));
    drop(opened);
    let opened = open(dir.path());
    assert!(!opened.rebuild, "part of it is there");
    assert_eq!(replay(&opened.store), ((8..20).collect(), 0));
    assert_holds(&opened.store, 20);
}

/// Blocks of commits that a crash has undone are handed out again.
#[test]
fn blocks_beyond_the_index_are_replayed() {
    let (dir, _) = filled(5, SMALL);
    let store = open(dir.path()).store;
    for height in 5..9 {
        store.append(&block(height)).unwrap();
    }
    drop(store);
    let opened = open(dir.path());
    assert!(!opened.rebuild);
    assert_eq!(replay(&opened.store), ((5..9).collect(), 0));
    assert_holds(&opened.store, 9);
}

#[test]
fn an_index_that_is_ahead_of_the_log_is_made_again() {
    let (dir, places) = filled(5, Options::default());
    let path = log_file(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..places[3].offset as usize]).unwrap();
    let opened = Store::open(dir.path(), NETWORK).unwrap();
    assert!(opened.rebuild);
    assert_eq!(replay(&opened.store), ((0..3).collect(), 0));
    assert_holds(&opened.store, 3);
    assert!(dir.path().join("index.aside").is_dir(), "the old one is kept");
}

#[test]
fn the_index_of_another_log_is_made_again() {
    let (dir, _) = filled(3, SMALL);
    let (other, _) = filled(0, SMALL);
    let store = open(other.path()).store;
    // As long as the others, so that a record ends where the index expects it.
    for height in 0..3 {
        let mut bytes = block(height);
        bytes[..HEADER_BYTES].copy_from_slice(&header(height, 99).to_bytes());
        store.append(&bytes).unwrap();
    }
    drop(store);
    fs::copy(log_file(other.path(), 0), log_file(dir.path(), 0)).unwrap();
    let opened = open(dir.path());
    assert!(opened.rebuild);
    assert_eq!(opened.store.tip().unwrap(), None);
}

#[test]
fn a_missing_file_of_the_log_is_reported() {
    let (dir, _) = filled(30, SMALL);
    fs::remove_file(log_file(dir.path(), 1)).unwrap();
    let error = Store::open(dir.path(), NETWORK).unwrap_err();
    assert!(
        matches!(&error, StorageError::Damaged(why) if why.contains("blocks-00001.log is missing")),
        "{error}"
    );
}

#[test]
fn files_that_change_places_are_reported() {
    let (dir, _) = filled(30, SMALL);
    let bytes = fs::read(log_file(dir.path(), 0)).unwrap();
    fs::write(log_file(dir.path(), 1), bytes).unwrap();
    let error = Store::open(dir.path(), NETWORK).unwrap_err();
    assert!(matches!(&error, StorageError::Damaged(why) if why.contains("renamed")), "{error}");
}

#[test]
fn a_foreign_file_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = vec![b'x'; 1_000];
    fs::write(log_file(dir.path(), 0), &foreign).unwrap();
    let error = Store::open(dir.path(), NETWORK).unwrap_err();
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
    assert_eq!(fs::read(log_file(dir.path(), 0)).unwrap(), foreign);
}

/// Whatever happens to sled's files, the store opens, and has all blocks after the replay that it
/// asks for.
#[test]
fn a_damaged_index_never_costs_a_block() {
    let (dir, _) = filled(12, SMALL);
    let (mut rebuilt, mut whole) = (0, 0);
    let files =
        ["conf", "db"].map(|name| (name, fs::read(dir.path().join("index").join(name)).unwrap()));
    for (name, bytes) in files {
        for part in 0..16 {
            let at = bytes.len() * part / 16;
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x01;
            let garbage = [&bytes[..at], &vec![0xff; bytes.len() - at]].concat();
            for damaged in [flipped, garbage, bytes[..at].to_vec()] {
                let dir = copy_dir(dir.path());
                fs::write(dir.path().join("index").join(name), damaged).unwrap();
                let opened = open(dir.path());
                if opened.rebuild {
                    rebuilt += 1
                } else {
                    whole += 1
                }
                assert_eq!(replay(&opened.store).1, 0);
                assert_holds(&opened.store, 12);
            }
        }
    }
    assert!(
        rebuilt > 0 && whole > 0,
        "some damage matters ({rebuilt}) and some does not ({whole})"
    );
}
