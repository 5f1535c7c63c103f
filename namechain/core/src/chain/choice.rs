//! The operator's word: blocks are put out of the choice between chains, and back into it.

use super::{Chain, ChainError, TipChange, storage::Change};
use crate::types::Hash;

impl Chain {
    /// Puts the block `id` and all that follows it out of the choice between chains, and follows
    /// the best of the others; `now` is the clock in seconds of Unix time. Stays so across
    /// restarts, until [`Chain::reconsider`].
    ///
    /// # Errors
    /// [`ChainError::Orphan`] if the block is not among those that may be undone; the store's.
    pub fn invalidate(&mut self, id: &Hash, now: u64) -> Result<Option<TipChange>, ChainError> {
        let Some(parent) = self.headers.get(id).map(|known| known.header.previous) else {
            return Err(ChainError::Orphan(*id));
        };
        let Some(below) = self.headers.get(&parent).map(|known| known.stored(parent)) else {
            return Err(ChainError::Orphan(parent));
        };
        let is_ours = self.best_chain_height(id)?.is_some();
        let mut changes = Vec::new();
        for at in self.headers.descendants(id) {
            changes.extend(self.headers.set_failed(&at, true).map(Change::Header));
        }
        if self.following.hold.as_ref().is_some_and(|hold| self.has_failed(&hold.tip)) {
            self.following.hold = None;
            changes.push(Change::Following(self.following.clone()));
        }
        self.storage.commit(changes, true)?;
        if !is_ours {
            return Ok(None);
        }
        let mut change = self.move_tip(parent, below, now, true)?;
        if let Some(next) = self.follow_best(now)? {
            change.undone.extend(next.undone);
            change.connected.extend(next.connected);
        }
        Ok(Some(change))
    }

    /// Puts the block `id`, all that follows it and all that it follows back into the choice. A
    /// block that breaks a rule is found out again.
    ///
    /// # Errors
    /// [`ChainError::Orphan`] if the block is not among those that may be undone; the store's.
    pub fn reconsider(&mut self, id: &Hash, now: u64) -> Result<Option<TipChange>, ChainError> {
        if self.headers.get(id).is_none() {
            return Err(ChainError::Orphan(*id));
        }
        let mut back = self.headers.descendants(id);
        let mut before = self.headers.get(id).map(|known| known.header.previous);
        while let Some(known) = before.and_then(|id| self.headers.get(&id)).filter(|it| it.failed) {
            back.extend(before);
            before = Some(known.header.previous);
        }
        let mut changes = Vec::new();
        for at in back {
            changes.extend(self.headers.set_failed(&at, false).map(Change::Header));
        }
        self.storage.commit(changes, true)?;
        self.follow_best(now)
    }
}
