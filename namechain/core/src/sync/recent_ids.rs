//! Ids that are remembered for a while, the oldest forgotten first.

use std::collections::{BTreeSet, VecDeque};

use crate::types::Hash;

#[derive(Debug)]
pub(super) struct RecentIds {
    ids: BTreeSet<Hash>,
    order: VecDeque<Hash>,
    capacity: usize,
}

impl RecentIds {
    pub fn new(capacity: usize) -> Self {
        RecentIds { ids: BTreeSet::new(), order: VecDeque::new(), capacity }
    }

    pub fn insert(&mut self, id: Hash) {
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub fn contains(&self, id: &Hash) -> bool {
        self.ids.contains(id)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = RecentIds::new(2);
        for byte in [1, 2, 2, 3] {
            recent.insert(Hash([byte; 32]));
        }
        assert_eq!([1, 2, 3].map(|byte| recent.contains(&Hash([byte; 32]))), [false, true, true]);
        assert_eq!(recent.len(), 2);
    }
}
