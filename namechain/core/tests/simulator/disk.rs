//! A store that loses what was not made durable when its node crashes.

use std::sync::Mutex;

use namechain_core::{
    chain::{
        Before, BlockLocation, Change, Following, MemoryStorage, Storage, StorageError,
        StoredHeader,
    },
    consensus::HistoryNode,
    types::Hash,
};

#[derive(Default)]
pub struct Disk {
    now: MemoryStorage,
    written: Mutex<Written>,
}

#[derive(Clone, Default)]
struct Written {
    steps: Vec<Step>,
    durable: usize,
}

#[derive(Clone)]
enum Step {
    Append(Vec<u8>),
    Commit(Vec<Change>),
}

impl Disk {
    /// What is there after a crash: everything up to some point not before the last durable commit.
    /// `lost` of what came after it is gone, in steps from the end.
    pub fn after_crash(&self, lost: usize) -> Disk {
        let written = self.written.lock().unwrap();
        let kept = written.steps.len().saturating_sub(lost).max(written.durable);
        let now = MemoryStorage::default();
        for step in &written.steps[..kept] {
            match step {
                Step::Append(block) => _ = now.append(block).unwrap(),
                Step::Commit(changes) => now.commit(changes.clone(), true).unwrap(),
            }
        }
        let steps = written.steps[..kept].to_vec();
        Disk { now, written: Mutex::new(Written { durable: kept, steps }) }
    }
}

impl Storage for Disk {
    fn append(&self, block: &[u8]) -> Result<BlockLocation, StorageError> {
        self.written.lock().unwrap().steps.push(Step::Append(block.to_vec()));
        self.now.append(block)
    }

    fn block(&self, at: BlockLocation) -> Result<Vec<u8>, StorageError> {
        self.now.block(at)
    }

    fn commit(&self, changes: Vec<Change>, durable: bool) -> Result<(), StorageError> {
        let mut written = self.written.lock().unwrap();
        written.steps.push(Step::Commit(changes.clone()));
        if durable {
            written.durable = written.steps.len();
        }
        self.now.commit(changes, durable)
    }

    fn tip(&self) -> Result<Option<Hash>, StorageError> {
        self.now.tip()
    }

    fn active(&self, height: u32) -> Result<Option<Hash>, StorageError> {
        self.now.active(height)
    }

    fn header(&self, id: &Hash) -> Result<Option<StoredHeader>, StorageError> {
        self.now.header(id)
    }

    fn headers_from(&self, height: u32) -> Result<Vec<StoredHeader>, StorageError> {
        self.now.headers_from(height)
    }

    fn entry(&self, key: &Hash) -> Result<Option<Vec<u8>>, StorageError> {
        self.now.entry(key)
    }

    fn entries(&self, each: &mut dyn FnMut(Hash, &[u8])) -> Result<(), StorageError> {
        self.now.entries(each)
    }

    fn undo(&self, height: u32, key: &Hash) -> Result<Option<Option<Vec<u8>>>, StorageError> {
        self.now.undo(height, key)
    }

    fn undo_of(&self, height: u32) -> Result<Vec<Before>, StorageError> {
        self.now.undo_of(height)
    }

    fn touched(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        self.now.touched(key)
    }

    fn history(&self, position: u64) -> Result<Option<HistoryNode>, StorageError> {
        self.now.history(position)
    }

    fn following(&self) -> Result<Option<Following>, StorageError> {
        self.now.following()
    }

    fn pending(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        self.now.pending()
    }
}
