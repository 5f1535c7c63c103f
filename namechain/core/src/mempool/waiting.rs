//! What waits, for whoever answers peers: a list beside the mempool, under a lock of its own that
//! is held for a look only.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::types::{Hash, Operation};

/// The operations that wait, by id: a handle on a list that the mempool keeps up to date. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    by_id: HashMap<Hash, (u64, Arc<Operation>)>,
    by_work_rate: BTreeSet<(Reverse<u64>, Hash)>,
}

impl Waiting {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of up to `most` operations, those of the most work a byte first.
    pub fn ids(&self, most: usize) -> Vec<Hash> {
        self.list().by_work_rate.iter().take(most).map(|(_, id)| *id).collect()
    }

    /// The operation with this id.
    pub fn get(&self, id: &Hash) -> Option<Arc<Operation>> {
        self.list().by_id.get(id).map(|(_, operation)| operation.clone())
    }

    /// Whether it waits.
    pub fn has(&self, id: &Hash) -> bool {
        self.list().by_id.contains_key(id)
    }

    pub(super) fn insert(&self, id: Hash, rate: u64, operation: Arc<Operation>) {
        let mut list = self.list();
        list.by_work_rate.insert((Reverse(rate), id));
        list.by_id.insert(id, (rate, operation));
    }

    pub(super) fn remove(&self, id: &Hash) {
        let mut list = self.list();
        if let Some((rate, _)) = list.by_id.remove(id) {
            list.by_work_rate.remove(&(Reverse(rate), *id));
        }
    }
}
