//! An index that has rotted on the disk.

use super::*;

/// An index that has rotted is the disk's fault: no block is marked as bad for it.
#[test]
fn a_rotten_index_is_a_storage_error_and_no_bad_block() {
    let alice = name("alice");
    let entry_key = alice.key(NETWORK);
    let damaged = |result: Result<Accepted, ChainError>| {
        assert!(matches!(result, Err(ChainError::Storage(StorageError::Damaged(_)))), "{result:?}");
    };
    for rotten in [None, Some(vec![1, 2, 3])] {
        let mut miner = Miner::new();
        miner.claim(&alice, &key(1), 1);
        let update = miner.update(&alice, &key(1), 2);
        let block = miner.next(std::slice::from_ref(&update));
        let sound = miner.storage.entry(&entry_key).unwrap();
        miner.storage.commit(vec![Change::Entry(entry_key, rotten)], true).unwrap();
        damaged(miner.chain.accept(&block, LATE, true));
        assert!(matches!(
            miner.chain.try_operation(&[], &update, miner.now),
            Err(ApplyError::State(StorageError::Damaged(_)))
        ));
        assert!(!miner.chain.has_failed(&block.header.id(NETWORK)));
        miner.storage.commit(vec![Change::Entry(entry_key, sound)], true).unwrap();
    }

    // The same of what undoes a block.
    let (mut a, mut b) = (Miner::new(), Miner::new());
    a.claim(&alice, &key(1), 1);
    let branch = b.claim(&alice, &key(2), 2);
    let third = b.mine(&[]);
    a.take(&branch);
    a.storage.commit(vec![Change::Undo(2, entry_key, Some(vec![9]))], true).unwrap();
    damaged(a.chain.accept(&third, LATE, true));
    assert!(!a.chain.has_failed(&third.header.id(NETWORK)));
}

/// What a block found is compared with the headers: when a chain is opened for a state with a tree,
/// and for one without when its tree is wanted.
#[test]
fn a_rotten_undo_row_is_never_believed() {
    let alice = name("alice");
    let entry_key = alice.key(NETWORK);
    for blocks_above in [3, TREES_KEPT + 5] {
        let mut miner = Miner::new();
        miner.claim(&alice, &key(1), 1);
        let sound = miner.storage.entry(&entry_key).unwrap();
        let update = miner.update(&alice, &key(1), 2);
        let height = miner.mine(&[update]).header.height;
        // A later change of the same entry: the earliest state does not depend on its row.
        let update = miner.update(&alice, &key(1), 3);
        let later = miner.mine(&[update]).header.height;
        let between = miner.storage.undo(later, &entry_key).unwrap().unwrap();
        (0..blocks_above).for_each(|_| drop(miner.mine(&[])));
        assert_eq!(reopened(&miner).tip_id(), miner.chain.tip_id());
        let mut rotten = sound.clone().unwrap();
        rotten[0] ^= 1;
        for before in [Some(rotten), None] {
            miner.storage.commit(vec![Change::Undo(height, entry_key, before)], true).unwrap();
            let opened = Chain::open(NETWORK, miner.storage.clone());
            let state = opened.and_then(|chain| chain.state_at(height - 1).map(drop));
            assert!(matches!(state, Err(StorageError::Damaged(_))), "{blocks_above} blocks above");
        }
        miner.storage.commit(vec![Change::Undo(height, entry_key, sound)], true).unwrap();
        miner.storage.commit(vec![Change::Undo(later, entry_key, None)], true).unwrap();
        match Chain::open(NETWORK, miner.storage.clone()) {
            Ok(chain) => assert!(!chain.snapshot_at(height).unwrap().is_sound()),
            Err(error) => assert!(matches!(error, StorageError::Damaged(_))),
        }
        miner.storage.commit(vec![Change::Undo(later, entry_key, between)], true).unwrap();
        assert_eq!(reopened(&miner).tip_id(), miner.chain.tip_id());
    }
}
