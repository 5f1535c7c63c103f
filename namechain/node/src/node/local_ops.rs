//! The operations that this node's own user submitted: remembered, so that they are mined here at
//! once if this node mines on demand, and so that the log says what becomes of them.

use std::collections::{HashMap, HashSet, VecDeque};

use namechain_core::types::{Hash, Operation};

/// The most that are remembered, the oldest forgotten first.
const KEPT: usize = 4_096;

/// Ids of operations with what they are in words.
#[derive(Debug, Default)]
pub(super) struct LocalOps {
    what: HashMap<Hash, String>,
    order: VecDeque<Hash>,
    /// Those of them that wait to be recorded.
    waiting: HashSet<Hash>,
}

impl LocalOps {
    /// An operation in words.
    pub fn describe(operation: &Operation) -> String {
        match operation {
            Operation::Commit { commitment, .. } => format!("the commitment {commitment}"),
            Operation::Named(named) => format!("the {} of {}", operation.label(), named.name),
        }
    }

    /// Remembers one that waits.
    pub fn add(&mut self, id: Hash, what: String) {
        self.waiting.insert(id);
        if self.what.insert(id, what).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.what.remove(&oldest);
            self.waiting.remove(&oldest);
        }
    }

    /// What it is, if it is one of ours.
    pub fn get(&self, id: &Hash) -> Option<&str> {
        self.what.get(id).map(String::as_str)
    }

    /// Whether any of ours waits.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// These were recorded.
    pub fn recorded(&mut self, ids: impl Iterator<Item = Hash>) {
        if self.waits() {
            ids.for_each(|id| _ = self.waiting.remove(&id));
        }
    }

    /// These can't be recorded any more.
    pub fn dropped(&mut self, ids: &[Hash]) {
        ids.iter().for_each(|id| _ = self.waiting.remove(id));
    }

    /// This one was recorded, and waits again.
    pub fn waits_again(&mut self, id: &Hash) {
        if self.what.contains_key(id) {
            self.waiting.insert(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Hash {
        let mut id = Hash::ZERO;
        id.0[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut own = LocalOps::default();
        for number in 0..=KEPT {
            own.add(id(number), number.to_string());
            own.add(id(number), number.to_string());
        }
        assert_eq!((own.get(&id(0)), own.get(&id(1))), (None, Some("1")));
        assert_eq!((own.what.len(), own.order.len(), own.waiting.len()), (KEPT, KEPT, KEPT));
    }

    #[test]
    fn what_waits_is_what_was_neither_recorded_nor_dropped() {
        let mut own = LocalOps::default();
        assert!(!own.waits());
        own.add(id(1), "one".into());
        own.add(id(2), "two".into());
        own.recorded([id(1), id(7)].into_iter());
        assert!(own.waits());
        own.dropped(&[id(2)]);
        assert!(!own.waits());
        own.waits_again(&id(7));
        assert!(!own.waits(), "somebody else's");
        own.waits_again(&id(1));
        assert!(own.waits());
    }
}
