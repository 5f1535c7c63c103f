//! The operator's word: blocks are put out of the choice between chains, and back into it.

use super::{
    Chain, ChainError, TipChange,
    storage::{Change, StorageError, best_header},
};
use crate::types::Hash;

impl Chain {
    /// Puts the block `id` and all that follows it out of the choice between chains, and follows
    /// the best of the others; `now` is the clock in seconds of Unix time. Stays so across
    /// restarts, until [`Chain::reconsider`].
    ///
    /// # Errors
    /// [`ChainError::Orphan`] if the block is not among those that may be undone; the store's.
    pub fn invalidate(&mut self, id: &Hash, now: u64) -> Result<Option<TipChange>, ChainError> {
        let Some(parent) = self.find(id)?.map(|known| known.header.previous) else {
            return Err(ChainError::Orphan(*id));
        };
        let Some(below) = self.find(&parent)?.map(|known| known.stored(parent)) else {
            return Err(ChainError::Orphan(parent));
        };
        let height = self.best_chain_height(id)?;
        self.load_best_from(height)?;
        let mut changes = Vec::new();
        for at in self.headers.descendants(id) {
            changes.extend(self.headers.set_failed(&at, true).map(Change::Header));
        }
        if self.following.hold.as_ref().is_some_and(|hold| self.has_failed(&hold.tip)) {
            self.following.hold = None;
            changes.push(Change::Following(self.following.clone()));
        }
        self.storage.commit(changes, true)?;
        if height.is_none() {
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
        if self.find(id)?.is_none() {
            return Err(ChainError::Orphan(*id));
        }
        self.load_best_from(self.best_chain_height(id)?)?;
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
        let followed = self.follow_best(now);
        self.forget_best_below_recent()?;
        followed
    }

    /// Reads the best chain's headers from `height` on that are too deep to be in memory: what
    /// departs from them descends from them.
    fn load_best_from(&mut self, height: Option<u32>) -> Result<(), StorageError> {
        let Some(height) = height else { return Ok(()) };
        for height in height..self.recent_base() {
            let id = best_header(&*self.storage, height)?.id;
            self.keep_header(&id)?;
        }
        Ok(())
    }

    fn forget_best_below_recent(&mut self) -> Result<(), StorageError> {
        for (height, id) in self.headers.below(self.recent_base()) {
            if self.storage.active(height)? == Some(id) {
                self.headers.remove(&id);
            }
        }
        Ok(())
    }
}
