//! Ids that are remembered for a while, the oldest forgotten first.

use std::collections::{BTreeSet, VecDeque};

use crate::types::Hash;

#[derive(Debug)]
pub(super) struct Remembered {
    there: BTreeSet<Hash>,
    order: VecDeque<Hash>,
    most: usize,
}

impl Remembered {
    pub fn new(most: usize) -> Self {
        Remembered { there: BTreeSet::new(), order: VecDeque::new(), most }
    }

    pub fn insert(&mut self, id: Hash) {
        if !self.there.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.there.remove(&oldest);
        }
    }

    pub fn has(&self, id: &Hash) -> bool {
        self.there.contains(id)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn clear(&mut self) {
        self.there.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut remembered = Remembered::new(2);
        for byte in [1, 2, 2, 3] {
            remembered.insert(Hash([byte; 32]));
        }
        assert_eq!([1, 2, 3].map(|byte| remembered.has(&Hash([byte; 32]))), [false, true, true]);
        assert_eq!(remembered.len(), 2);
    }
}
